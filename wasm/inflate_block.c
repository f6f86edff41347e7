#include "inflate_block.h"

#include "apart.h"

/* One round of the fast loop, and the refill before the first, load at most so many bytes of input: each refill takes 7 and loads 8. */
#define ROUND_INPUT 24

static inline uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void store64(uint8_t *at, uint64_t value) {
    memcpy(at, &value, sizeof value);
}

static inline uint64_t low(uint64_t bits, uint32_t n) {
    return bits & (((uint64_t)1 << n) - 1);
}

/* What the symbol at the beginning of BITS says, with its extra bits. */
static inline uint32_t value_of(uint32_t entry, uint64_t bits) {
    return entry_base(entry) + (uint32_t)(low(bits, entry & 63) >> entry_length(entry));
}

typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline void copy16(uint8_t *to, const uint8_t *from) {
    sixteen value;
    memcpy(&value, from, sizeof value);
    memcpy(to, &value, sizeof value);
}

/* May write 31 bytes more than LENGTH. Most matches are short: the first 32 bytes are copied without a question. */
static inline void copy_match(uint8_t *out, uint32_t distance, uint32_t length) {
    const uint8_t *from = out - distance;
    uint8_t *end = out + length;
    if (distance >= 16) {
        copy16(out, from);
        copy16(out + 16, from + 16);
        for (out += 32, from += 32; out < end; out += 16, from += 16) copy16(out, from);
    } else if (distance >= 8) {
        do {
            store64(out, load64(from));
            store64(out + 8, load64(from + 8));
            out += 16;
            from += 16;
        } while (out < end);
    } else if (distance == 1) {
        uint64_t value = *from * (uint64_t)0x0101010101010101;
        do {
            store64(out, value);
            out += 8;
        } while (out < end);
    } else {
        do *out++ = *from++;
        while (out < end);
    }
}

/* Symbol by symbol, each taken whole or not at all: near the ends of input and output. 0: one was taken. */
APART static uint32_t one_symbol(struct gunzip *g) {
    while (g->count <= 56 && g->in < g->in_end) {
        g->bits |= (uint64_t)*g->in++ << g->count;
        g->count += 8;
    }
    uint64_t bits = g->bits;
    uint32_t entry = g->literals[low(bits, LITERAL_ROOT)];
    if (entry & ENTRY_SECOND) entry = g->literals[entry_base(entry) + low(bits >> LITERAL_ROOT, entry_length(entry))];
    uint32_t used = entry_taken(entry);
    /* No code: perhaps only because bits are missing. */
    if ((entry & ENTRY_SPECIAL) && !(entry & ENTRY_END))
        return g->count < HUFFMAN_LONGEST ? INFLATE_NEED_INPUT : INFLATE_NO_CODE;
    if (used > g->count) return INFLATE_NEED_INPUT;
    if (entry & (ENTRY_LITERAL | ENTRY_END)) {
        g->bits >>= used;
        g->count -= used;
        if (entry & ENTRY_END) return INFLATE_BLOCK_END;
        *g->out++ = (uint8_t)(entry >> 16);
        return 0;
    }
    uint32_t length = value_of(entry, bits);
    bits >>= used;
    entry = g->distances[low(bits, DISTANCE_ROOT)];
    if (entry & ENTRY_SECOND) entry = g->distances[entry_base(entry) + low(bits >> DISTANCE_ROOT, entry_length(entry))];
    if (entry & ENTRY_SPECIAL) return g->count - used < HUFFMAN_LONGEST ? INFLATE_NEED_INPUT : INFLATE_NO_CODE;
    used += entry_taken(entry);
    if (used > g->count) return INFLATE_NEED_INPUT;
    uint32_t distance = value_of(entry, bits);
    if (distance > (uint32_t)(g->out - g->floor)) return INFLATE_FAR;
    g->bits >>= used;
    g->count -= used;
    copy_match(g->out, distance, length);
    g->out += length;
    return 0;
}

/*
 * While there is input for a whole round and room for one. At the top of a round at least 56 bits are ready, and the entry of the next symbol is
 * looked up: they are enough for two literals of the first table and a length (11 + 11 + 20), and to look a distance up; after the next
 * refill for a distance (28) and to look the next symbol up. Looking up before refilling keeps the refill out of the chain of what waits for each other.
 */
APART static uint32_t many_symbols(struct gunzip *g, uint8_t *limit) {
    const uint8_t *in = g->in, *in_stop = g->in_end - ROUND_INPUT;
    uint8_t *out = g->out;
    uint64_t bits = g->bits, before;
    uint32_t count = g->count, result = 0, entry;
    const uint32_t *literals = g->literals, *distances = g->distances;

#define REFILL()                             \
    do {                                     \
        bits |= load64(in) << (count & 63);  \
        in += 7 - (count >> 3 & 7);          \
        count |= 56;                         \
    } while (0)
/* What is above the low byte of ENTRY and of COUNT does not matter: shifts take six bits. */
#define TAKE()                  \
    do {                        \
        before = bits;          \
        bits >>= entry & 63;    \
        count -= entry;         \
    } while (0)

    REFILL();
    entry = literals[low(bits, LITERAL_ROOT)];
    while (in <= in_stop && out < limit) {
        TAKE();
        if (entry & ENTRY_LITERAL) {
            *out++ = (uint8_t)(entry >> 16);
            entry = literals[low(bits, LITERAL_ROOT)];
            TAKE();
            if (entry & ENTRY_LITERAL) {
                *out++ = (uint8_t)(entry >> 16);
                entry = literals[low(bits, LITERAL_ROOT)];
                TAKE();
                if (entry & ENTRY_LITERAL) {
                    *out++ = (uint8_t)(entry >> 16);
                    entry = literals[low(bits, LITERAL_ROOT)];
                    REFILL();
                    continue;
                }
            }
        }
        if (entry & ENTRY_SPECIAL) {
            if (entry & ENTRY_SECOND) {
                entry = literals[entry_base(entry) + low(bits >> LITERAL_ROOT, entry_length(entry))];
                TAKE();
            }
            if (entry & ENTRY_LITERAL) {
                *out++ = (uint8_t)(entry >> 16);
                REFILL();
                entry = literals[low(bits, LITERAL_ROOT)];
                continue;
            }
            if (entry & ENTRY_SPECIAL) {
                result = entry & ENTRY_END ? INFLATE_BLOCK_END : INFLATE_NO_CODE;
                break;
            }
        }
        uint32_t length = value_of(entry, before);
        entry = distances[low(bits, DISTANCE_ROOT)];
        REFILL();
        if (entry & ENTRY_SPECIAL) {
            if (entry & ENTRY_SECOND)
                entry = distances[entry_base(entry) + low(bits >> DISTANCE_ROOT, entry_length(entry))];
            if (entry & ENTRY_SPECIAL) {
                result = INFLATE_NO_CODE;
                break;
            }
        }
        TAKE();
        uint32_t distance = value_of(entry, before);
        if (distance > (uint32_t)(out - g->floor)) {
            result = INFLATE_FAR;
            break;
        }
        entry = literals[low(bits, LITERAL_ROOT)];
        REFILL();
        copy_match(out, distance, length);
        out += length;
    }
#undef REFILL
#undef TAKE
    g->in = in;
    g->out = out;
    g->count = count & 63;
    g->bits = low(bits, g->count);
    return result;
}

uint32_t inflate_block(struct gunzip *g, uint8_t *limit) {
    while (g->out < limit) {
        uint32_t result = g->in_end - g->in >= ROUND_INPUT ? many_symbols(g, limit) : one_symbol(g);
        if (result) return result;
    }
    return INFLATE_OUTPUT_FULL;
}
