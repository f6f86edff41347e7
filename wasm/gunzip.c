#include "gunzip.h"

#include "apart.h"
#include "inflate_block.h"

enum {
    MEMBER,
    METHOD,
    STAMP,
    EXTRA_LENGTH,
    EXTRA,
    NAME,
    COMMENT,
    HEADER_CHECK,
    BLOCK,
    STORED_LENGTH,
    STORED,
    DYNAMIC,
    CODE_LENGTHS,
    LENGTHS,
    CODES,
    CHECKSUM,
    SIZE,
    PADDING,
    FAILED,
};

enum { FLAG_CHECK = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAGS_RESERVED = 0xe0 };

static uint32_t refuse(struct gunzip *g, const char *why) {
    message_clear(&g->message);
    message_text(&g->message, "the gzip stream is damaged: ");
    message_text(&g->message, why);
    g->state = FAILED;
    return GUNZIP_ERROR;
}

/* Takes bytes until N bits are there, if the input has them. */
static bool need(struct gunzip *g, uint32_t n) {
    while (g->count < n && g->in < g->in_end) {
        g->bits |= (uint64_t)*g->in++ << g->count;
        g->count += 8;
    }
    return g->count >= n;
}

static uint32_t take(struct gunzip *g, uint32_t n) {
    uint32_t value = (uint32_t)(g->bits & (((uint64_t)1 << n) - 1));
    g->bits >>= n;
    g->count -= n;
    return value;
}

static void account(struct gunzip *g) {
    g->total += (uint64_t)(g->out - g->counted);
    g->counted = g->out;
}

/* Meanings of symbols: RFC 1951, 3.2.5. */
static uint32_t literal_meanings[288], distance_meanings[32], plain_meanings[19];

APART static void make_meanings(void) {
    for (uint32_t i = 0; i < 256; i++) literal_meanings[i] = ENTRY_LITERAL | i << 16;
    literal_meanings[256] = ENTRY_SPECIAL | ENTRY_END;
    for (uint32_t i = 257, base = 3; i < 285; i++) {
        uint32_t extra = i < 265 ? 0 : (i - 261) / 4;
        literal_meanings[i] = base << 16 | extra;
        base += 1u << extra;
    }
    literal_meanings[285] = 258u << 16;
    literal_meanings[286] = literal_meanings[287] = ENTRY_SPECIAL;
    for (uint32_t i = 0, base = 1; i < 30; i++) {
        uint32_t extra = i < 4 ? 0 : (i - 2) / 2;
        distance_meanings[i] = base << 16 | extra;
        base += 1u << extra;
    }
    distance_meanings[30] = distance_meanings[31] = ENTRY_SPECIAL;
    for (uint32_t i = 0; i < 19; i++) plain_meanings[i] = i << 16;
}

static bool make_codes(struct gunzip *g) {
    return huffman_table(g->literals, LITERAL_SPACE, LITERAL_ROOT, g->lengths, g->literal_count, literal_meanings) &&
           huffman_table(g->distances, DISTANCE_SPACE, DISTANCE_ROOT, g->lengths + g->literal_count, g->distance_count,
                         distance_meanings);
}

static void fixed_codes(struct gunzip *g) {
    g->literal_count = 288;
    g->distance_count = 32;
    memset(g->lengths, 8, 144);
    memset(g->lengths + 144, 9, 112);
    memset(g->lengths + 256, 7, 24);
    memset(g->lengths + 280, 8, 8);
    memset(g->lengths + 288, 5, 32);
    make_codes(g);
}

void gunzip_start(struct gunzip *g) {
    if (plain_meanings[1] == 0) make_meanings();
    g->state = MEMBER;
    g->member_seen = false;
    g->bits = g->count = 0;
    g->in = g->in_end = g->input;
    g->out = g->taken = g->floor = g->counted = g->buffer;
    g->output = g->buffer;
    g->output_length = 0;
    message_clear(&g->message);
}

/* One code length, or a run of them (RFC 1951, 3.2.7). */
APART static uint32_t read_lengths(struct gunzip *g) {
    uint32_t total = g->literal_count + g->distance_count;
    while (g->index < total) {
        need(g, 14);
        uint32_t entry = g->code_lengths[g->bits & ((1u << LENGTH_ROOT) - 1)], symbol = entry_base(entry);
        if (entry & ENTRY_SPECIAL) {
            if (g->count < LENGTH_ROOT) return GUNZIP_NEED_INPUT;
            return refuse(g, "a code length has no code");
        }
        uint32_t extra = symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
        if (g->count < entry_taken(entry) + extra) return GUNZIP_NEED_INPUT;
        take(g, entry_taken(entry));
        if (symbol < 16) {
            g->lengths[g->index++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && g->index == 0) return refuse(g, "it repeats a code length that is not there");
        uint32_t repeat = take(g, extra) + (symbol == 18 ? 11 : 3);
        if (g->index + repeat > total) return refuse(g, "it has too many code lengths");
        memset(g->lengths + g->index, symbol == 16 ? g->lengths[g->index - 1] : 0, repeat);
        g->index += repeat;
    }
    return 0;
}

/* As many stored bytes as there are and fit. */
static void copy_stored(struct gunzip *g, uint8_t *limit) {
    while (g->left > 0 && g->count > 0 && g->out < limit) {
        *g->out++ = (uint8_t)take(g, 8);
        g->left--;
    }
    uint32_t n = g->left;
    if (n > (uint32_t)(limit - g->out)) n = (uint32_t)(limit - g->out);
    if (n > (uint32_t)(g->in_end - g->in)) n = (uint32_t)(g->in_end - g->in);
    if (g->count > 0 || n == 0) return;
    memcpy(g->out, g->in, n);
    g->out += n;
    g->in += n;
    g->left -= n;
}

/* Skips a text that ends with NUL; false: not ended yet. */
static bool skip_text(struct gunzip *g) {
    while (need(g, 8))
        if (take(g, 8) == 0) return true;
    return false;
}

APART static uint32_t member_header(struct gunzip *g) {
    switch (g->state) {
    case MEMBER:
        if (!need(g, 8)) return GUNZIP_NEED_INPUT;
        if (g->member_seen && (g->bits & 0xff) == 0) {
            g->state = PADDING;
            return 0;
        }
        if ((g->bits & 0xff) == 0x1f && !need(g, 16)) return GUNZIP_NEED_INPUT;
        if ((g->bits & 0xffff) != 0x8b1f)
            return refuse(g, g->member_seen ? "something follows its end" : "it does not begin as gzip does");
        take(g, 16);
        g->state = METHOD;
        return 0;
    case METHOD:
        if (!need(g, 16)) return GUNZIP_NEED_INPUT;
        if (take(g, 8) != 8) return refuse(g, "its method is not DEFLATE");
        g->flags = take(g, 8);
        if (g->flags & FLAGS_RESERVED) return refuse(g, "a member has unknown flags");
        g->state = STAMP;
        return 0;
    case STAMP:
        if (!need(g, 48)) return GUNZIP_NEED_INPUT;
        take(g, 16);
        take(g, 32);
        g->state = EXTRA_LENGTH;
        return 0;
    case EXTRA_LENGTH:
        g->left = 0;
        if (g->flags & FLAG_EXTRA) {
            if (!need(g, 16)) return GUNZIP_NEED_INPUT;
            g->left = take(g, 16);
        }
        g->state = EXTRA;
        return 0;
    case EXTRA:
        for (; g->left > 0; g->left--) {
            if (!need(g, 8)) return GUNZIP_NEED_INPUT;
            take(g, 8);
        }
        g->state = NAME;
        return 0;
    case NAME:
        if ((g->flags & FLAG_NAME) && !skip_text(g)) return GUNZIP_NEED_INPUT;
        g->state = COMMENT;
        return 0;
    case COMMENT:
        if ((g->flags & FLAG_COMMENT) && !skip_text(g)) return GUNZIP_NEED_INPUT;
        g->state = HEADER_CHECK;
        return 0;
    default: /* HEADER_CHECK */
        if (g->flags & FLAG_CHECK) {
            if (!need(g, 16)) return GUNZIP_NEED_INPUT;
            take(g, 16);
        }
        /* Matches do not reach into the member before. */
        g->floor = g->counted = g->out;
        g->total = 0;
        g->state = BLOCK;
        return 0;
    }
}

APART static uint32_t block_header(struct gunzip *g) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    switch (g->state) {
    case BLOCK:
        if (!need(g, 3)) return GUNZIP_NEED_INPUT;
        g->last_block = take(g, 1);
        switch (take(g, 2)) {
        case 0:
            take(g, g->count & 7);
            g->state = STORED_LENGTH;
            return 0;
        case 1:
            fixed_codes(g);
            g->state = CODES;
            return 0;
        case 2:
            g->state = DYNAMIC;
            return 0;
        default:
            return refuse(g, "a block has an unknown type");
        }
    case STORED_LENGTH:
        if (!need(g, 32)) return GUNZIP_NEED_INPUT;
        g->left = take(g, 16);
        if (take(g, 16) != (g->left ^ 0xffff)) return refuse(g, "the length of a stored block is wrong");
        g->state = STORED;
        return 0;
    case DYNAMIC:
        if (!need(g, 14)) return GUNZIP_NEED_INPUT;
        g->literal_count = take(g, 5) + 257;
        g->distance_count = take(g, 5) + 1;
        g->length_count = take(g, 4) + 4;
        if (g->literal_count > 286) return refuse(g, "a block has too many codes");
        memset(g->lengths, 0, 19);
        g->index = 0;
        g->state = CODE_LENGTHS;
        return 0;
    case CODE_LENGTHS:
        for (; g->index < g->length_count; g->index++) {
            if (!need(g, 3)) return GUNZIP_NEED_INPUT;
            g->lengths[order[g->index]] = (uint8_t)take(g, 3);
        }
        if (!huffman_table(g->code_lengths, 1u << LENGTH_ROOT, LENGTH_ROOT, g->lengths, 19, plain_meanings))
            return refuse(g, "the codes of its code lengths are none");
        g->index = 0;
        g->state = LENGTHS;
        return 0;
    default: { /* LENGTHS */
        uint32_t status = read_lengths(g);
        if (status) return status;
        if (g->lengths[256] == 0) return refuse(g, "a block has no end");
        if (!make_codes(g)) return refuse(g, "the codes of a block are none");
        g->state = CODES;
        return 0;
    }
    }
}

static uint32_t block_end(struct gunzip *g) {
    if (!g->last_block) {
        g->state = BLOCK;
        return 0;
    }
    take(g, g->count & 7);
    account(g);
    g->state = CHECKSUM;
    return 0;
}

static uint32_t step(struct gunzip *g, uint8_t *limit) {
    switch (g->state) {
    case BLOCK:
    case STORED_LENGTH:
    case DYNAMIC:
    case CODE_LENGTHS:
    case LENGTHS:
        return block_header(g);
    case STORED:
        copy_stored(g, limit);
        if (g->left == 0) return block_end(g);
        return g->out < limit ? GUNZIP_NEED_INPUT : GUNZIP_OUTPUT;
    case CODES:
        switch (inflate_block(g, limit)) {
        case INFLATE_BLOCK_END:
            return block_end(g);
        case INFLATE_OUTPUT_FULL:
            return GUNZIP_OUTPUT;
        case INFLATE_NEED_INPUT:
            return GUNZIP_NEED_INPUT;
        case INFLATE_FAR:
            return refuse(g, "a match reaches back before the beginning");
        default:
            return refuse(g, "a symbol has no code");
        }
    case CHECKSUM:
        if (!need(g, 32)) return GUNZIP_NEED_INPUT;
        take(g, 32);
        g->state = SIZE;
        return 0;
    case SIZE:
        if (!need(g, 32)) return GUNZIP_NEED_INPUT;
        if (take(g, 32) != (uint32_t)g->total) return refuse(g, "a member has another length than it says");
        g->member_seen = true;
        g->state = MEMBER;
        return 0;
    case PADDING:
        while (need(g, 8))
            if (take(g, 8) != 0) return refuse(g, "something follows its end");
        return GUNZIP_NEED_INPUT;
    case FAILED:
        return GUNZIP_ERROR;
    default:
        return member_header(g);
    }
}

uint32_t gunzip_more(struct gunzip *g) {
    if (g->state == FAILED) return GUNZIP_ERROR;
    uint8_t *first = g->buffer + GUNZIP_WINDOW, *last = first + GUNZIP_CHUNKS * GUNZIP_CHUNK;
    if (g->out >= last) {
        /* The host has taken everything; what matches may reach moves to the front. */
        account(g);
        uint32_t kept = (uint32_t)(g->out - g->floor);
        if (kept > GUNZIP_WINDOW) kept = GUNZIP_WINDOW;
        memmove(g->buffer, g->out - kept, kept);
        g->floor = g->buffer;
        g->out = g->taken = g->counted = g->buffer + kept;
    }
    uint8_t *limit = first + GUNZIP_CHUNK;
    while (g->out >= limit) limit += GUNZIP_CHUNK;
    g->output_length = 0;
    for (;;) {
        uint32_t status = step(g, limit);
        if (status == GUNZIP_OUTPUT) {
            g->output = g->taken;
            g->output_length = (uint32_t)(g->out - g->taken);
            g->taken = g->out;
        }
        if (status) return status;
    }
}

uint32_t gunzip_fed(struct gunzip *g, uint32_t n) {
    g->in = g->input;
    g->in_end = g->input + (n > GUNZIP_INPUT_SPACE ? GUNZIP_INPUT_SPACE : n);
    return gunzip_more(g);
}

uint32_t gunzip_ended(struct gunzip *g) {
    bool complete = g->member_seen && g->count == 0 && (g->state == MEMBER || g->state == PADDING);
    if (!complete) return g->state == FAILED ? GUNZIP_ERROR : refuse(g, "it was cut off");
    g->output = g->taken;
    g->output_length = (uint32_t)(g->out - g->taken);
    g->taken = g->out;
    return GUNZIP_END;
}
