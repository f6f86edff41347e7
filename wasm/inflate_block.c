#include "inflate_block.h"

/* One round of the fast loop takes at most so many bytes of input: two refills, each a load of 8 bytes. */
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

/* May write 7 bytes more than LENGTH. */
static inline void copy_match(uint8_t *out, uint32_t distance, uint32_t length) {
    const uint8_t *from = out - distance;
    uint8_t *end = out + length;
    if (distance >= 8) {
        do {
            store64(out, load64(from));
            out += 8;
            from += 8;
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
static uint32_t one_symbol(struct gunzip *g) {
    while (g->count <= 56 && g->in < g->in_end) {
        g->bits |= (uint64_t)*g->in++ << g->count;
        g->count += 8;
    }
    uint64_t bits = g->bits;
    uint32_t entry = g->literals[low(bits, LITERAL_ROOT)];
    if (entry & ENTRY_SECOND) entry = g->literals[entry_base(entry) + low(bits >> LITERAL_ROOT, entry_extra(entry))];
    uint32_t used = entry_length(entry) + (entry & (ENTRY_SPECIAL | ENTRY_LITERAL) ? 0 : entry_extra(entry));
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
    uint32_t length = entry_base(entry) + (uint32_t)low(bits >> entry_length(entry), entry_extra(entry));
    bits >>= used;
    entry = g->distances[low(bits, DISTANCE_ROOT)];
    if (entry & ENTRY_SECOND) entry = g->distances[entry_base(entry) + low(bits >> DISTANCE_ROOT, entry_extra(entry))];
    if (entry & ENTRY_SPECIAL) return g->count - used < HUFFMAN_LONGEST ? INFLATE_NEED_INPUT : INFLATE_NO_CODE;
    used += entry_length(entry) + entry_extra(entry);
    if (used > g->count) return INFLATE_NEED_INPUT;
    uint32_t distance = entry_base(entry) + (uint32_t)low(bits >> entry_length(entry), entry_extra(entry));
    if (distance > (uint32_t)(g->out - g->floor)) return INFLATE_FAR;
    g->bits >>= used;
    g->count -= used;
    copy_match(g->out, distance, length);
    g->out += length;
    return 0;
}

/*
 * While there is input for a whole round and room for one. At the top of a round at least 56 bits are made ready, which are
 * enough for two literals of the first table and a length (11 + 11 + 20), and after the next refill for a distance (28).
 */
static uint32_t many_symbols(struct gunzip *g, uint8_t *limit) {
    const uint8_t *in = g->in, *in_stop = g->in_end - ROUND_INPUT;
    uint8_t *out = g->out;
    uint64_t bits = g->bits;
    uint32_t count = g->count, result = 0;
    const uint32_t *literals = g->literals, *distances = g->distances;

#define REFILL()                       \
    do {                               \
        bits |= load64(in) << count;   \
        in += (63 - count) >> 3;       \
        count |= 56;                   \
    } while (0)
#define DROP(n)        \
    do {               \
        bits >>= (n);  \
        count -= (n);  \
    } while (0)

    while (in <= in_stop && out < limit) {
        REFILL();
        uint32_t entry = literals[low(bits, LITERAL_ROOT)];
        if (entry & ENTRY_LITERAL) {
            DROP(entry_length(entry));
            *out++ = (uint8_t)(entry >> 16);
            entry = literals[low(bits, LITERAL_ROOT)];
            if (entry & ENTRY_LITERAL) {
                DROP(entry_length(entry));
                *out++ = (uint8_t)(entry >> 16);
                entry = literals[low(bits, LITERAL_ROOT)];
                if (entry & ENTRY_LITERAL) {
                    DROP(entry_length(entry));
                    *out++ = (uint8_t)(entry >> 16);
                    continue;
                }
            }
        }
        if (entry & ENTRY_SPECIAL) {
            if (entry & ENTRY_SECOND)
                entry = literals[entry_base(entry) + low(bits >> LITERAL_ROOT, entry_extra(entry))];
            if (entry & ENTRY_LITERAL) {
                DROP(entry_length(entry));
                *out++ = (uint8_t)(entry >> 16);
                continue;
            }
            if (entry & ENTRY_SPECIAL) {
                result = entry & ENTRY_END ? INFLATE_BLOCK_END : INFLATE_NO_CODE;
                DROP(entry_length(entry));
                break;
            }
        }
        uint32_t length = entry_base(entry) + (uint32_t)low(bits >> entry_length(entry), entry_extra(entry));
        DROP(entry_length(entry) + entry_extra(entry));
        REFILL();
        entry = distances[low(bits, DISTANCE_ROOT)];
        if (entry & ENTRY_SPECIAL) {
            if (entry & ENTRY_SECOND)
                entry = distances[entry_base(entry) + low(bits >> DISTANCE_ROOT, entry_extra(entry))];
            if (entry & ENTRY_SPECIAL) {
                result = INFLATE_NO_CODE;
                break;
            }
        }
        uint32_t distance = entry_base(entry) + (uint32_t)low(bits >> entry_length(entry), entry_extra(entry));
        DROP(entry_length(entry) + entry_extra(entry));
        if (distance > (uint32_t)(out - g->floor)) {
            result = INFLATE_FAR;
            break;
        }
        copy_match(out, distance, length);
        out += length;
    }
#undef REFILL
#undef DROP
    g->in = in;
    g->out = out;
    g->bits = low(bits, count);
    g->count = count;
    return result;
}

uint32_t inflate_block(struct gunzip *g, uint8_t *limit) {
    while (g->out < limit) {
        uint32_t result = g->in_end - g->in >= ROUND_INPUT ? many_symbols(g, limit) : one_symbol(g);
        if (result) return result;
    }
    return INFLATE_OUTPUT_FULL;
}
