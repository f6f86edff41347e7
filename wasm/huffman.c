#include "huffman.h"

#include "apart.h"

/* Codes are numbered from their first bit on, the stream has that bit lowest. */
static uint32_t reversed(uint32_t code, uint32_t length) {
    uint32_t result = 0;
    for (; length > 0; length--, code >>= 1) result = result << 1 | (code & 1);
    return result;
}

APART bool huffman_table(uint32_t *table, uint32_t space, uint32_t root, const uint8_t *lengths, uint32_t count,
                   const uint32_t *meanings) {
    uint32_t of_length[HUFFMAN_LONGEST + 1] = {0};
    for (uint32_t i = 0; i < count; i++) of_length[lengths[i]]++;
    uint32_t used = count - of_length[0];
    of_length[0] = 0;

    /* What is left of the code space at each length: never less than nothing, and in the end nothing. */
    uint32_t left = 1, next[HUFFMAN_LONGEST + 1], place[HUFFMAN_LONGEST + 1];
    uint32_t code = 0, sorted_at = 0;
    for (uint32_t length = 1; length <= HUFFMAN_LONGEST; length++) {
        left <<= 1;
        if (of_length[length] > left) return false;
        left -= of_length[length];
        code = (code + of_length[length - 1]) << 1;
        next[length] = code;
        place[length] = sorted_at;
        sorted_at += of_length[length];
    }
    if (left > 0 && (used > 1 || (used == 1 && of_length[1] != 1))) return false;

    for (uint32_t i = 0; i < 1u << root; i++) table[i] = ENTRY_SPECIAL;
    uint16_t sorted[288];
    for (uint32_t i = 0; i < count; i++)
        if (lengths[i]) sorted[place[lengths[i]]++] = (uint16_t)i;

    uint32_t filled = 1u << root, second = 0, second_bits = 0, second_prefix = UINT32_MAX;
    for (uint32_t n = 0; n < used; n++) {
        uint32_t symbol = sorted[n], length = lengths[symbol];
        uint32_t bits = reversed(next[length]++, length), entry = meanings[symbol] + (length << 8 | length);
        if (length <= root) {
            for (uint32_t i = bits; i < 1u << root; i += 1u << length) table[i] = entry;
            continue;
        }
        uint32_t prefix = bits & ((1u << root) - 1);
        if (prefix != second_prefix) {
            /* As many bits as the codes with this prefix need: they are the next ones in order. */
            second_bits = length - root;
            for (uint32_t room = 1u << second_bits, l = length; l < HUFFMAN_LONGEST; ) {
                uint32_t here = 0;
                for (uint32_t m = n; m < used && lengths[sorted[m]] <= l && here <= room; m++)
                    if (lengths[sorted[m]] == l) here++;
                if (here >= room) break;
                room = (room - here) << 1;
                second_bits = ++l - root;
            }
            second_prefix = prefix;
            second = filled;
            if (second + (1u << second_bits) > space) return false;
            filled += 1u << second_bits;
            for (uint32_t i = second; i < filled; i++) table[i] = ENTRY_SPECIAL;
            table[prefix] = ENTRY_SPECIAL | ENTRY_SECOND | second << 16 | second_bits << 8;
        }
        for (uint32_t i = bits >> root; i < 1u << second_bits; i += 1u << (length - root)) table[second + i] = entry;
    }
    return true;
}
