/*
 * Decoding tables of DEFLATE's Huffman codes (RFC 1951, 3.2.2): one look at the next ROOT bits finds most
 * symbols, a second look at more bits the rare long ones. An entry holds all that is to be known of a
 * symbol: how many bits its code has, what it stands for, how many extra bits follow.
 */
#ifndef TSBOX_HUFFMAN_H
#define TSBOX_HUFFMAN_H

#include "bytes.h"

#define HUFFMAN_LONGEST 15u

/*
 * bits 0–7   how many bits the symbol takes: its code and the extra bits that follow; 0 where it is none
 * bits 8–12  the code's part of them; or how many bits the second table looks at
 * bits 13–15 flags
 * bits 16–30 base value, literal, or where the second table starts
 * bit 31     a literal, which is what the decoder asks first
 */
#define ENTRY_LITERAL 0x80000000u
#define ENTRY_SPECIAL 0x8000u /* one of the next two, or no code at all */
#define ENTRY_SECOND 0x4000u  /* look again */
#define ENTRY_END 0x2000u     /* end of the block */

static inline uint32_t entry_taken(uint32_t entry) {
    return entry & 0xff;
}

static inline uint32_t entry_length(uint32_t entry) {
    return entry >> 8 & 31;
}

static inline uint32_t entry_base(uint32_t entry) {
    return entry >> 16 & 0x7fff;
}

/*
 * Makes TABLE, of SPACE entries, for COUNT symbols: LENGTHS[i] bits (0: not used) for the symbol whose entry, but for
 * the length, is MEANINGS[i]. False: the lengths are those of no code. An incomplete code is one only if it has at most one symbol.
 */
bool huffman_table(uint32_t *table, uint32_t space, uint32_t root, const uint8_t *lengths, uint32_t count,
                   const uint32_t *meanings);

#endif
