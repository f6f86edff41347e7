/*
 * gzip (RFC 1952) → plain bytes, several members in a row too; after the last one only zeros may follow. The CRC
 * is not computed: it would take a third of the time, and whoever unpacks a layer compares the SHA-256 of both
 * what goes in and what comes out with what the image says.
 */
#ifndef TSBOX_GUNZIP_H
#define TSBOX_GUNZIP_H

#include "huffman.h"
#include "message.h"

#define GUNZIP_INPUT_SPACE (256u << 10)
#define GUNZIP_CHUNK (512u << 10)
#define GUNZIP_CHUNKS 32u

enum gunzip_status {
    GUNZIP_NEED_INPUT = 1, /* put bytes at `input`, gunzip_feed(); at the source's end gunzip_finish() */
    GUNZIP_OUTPUT = 2,     /* take `output`, gunzip_next(): it stays as it is while GUNZIP_CHUNKS - 2 more are asked for */
    GUNZIP_END = 3,        /* take `output`, if it has anything: it was the last */
    GUNZIP_ERROR = 4,      /* see `message` */
};

/* How far back a match may reach, and how far the decoder may write beyond what was asked for. */
#define GUNZIP_WINDOW (32u << 10)
#define GUNZIP_SLACK 512u

/* Most entries that a table of complete codes can have, by zlib's "enough": 288 symbols, 11 root bits; 32, 8. */
#define LITERAL_ROOT 11u
#define LITERAL_SPACE 2400u
#define DISTANCE_ROOT 8u
#define DISTANCE_SPACE 512u
#define LENGTH_ROOT 7u

struct gunzip {
    uint8_t input[GUNZIP_INPUT_SPACE];
    /* While one chunk is filled, which may run over into the next, the host still has those before. */
    uint8_t buffer[GUNZIP_WINDOW + GUNZIP_CHUNKS * GUNZIP_CHUNK + GUNZIP_SLACK];
    const uint8_t *output; /* what the host may take */
    uint32_t output_length;

    uint32_t state;
    uint64_t bits; /* the next ones, lowest first; none above `count` is set */
    uint32_t count;
    const uint8_t *in, *in_end;
    uint8_t *out, *taken; /* where the next byte goes; what was given to the host ends here */
    uint8_t *floor;       /* the first byte that a match may reach */
    uint64_t total;       /* bytes of this member before `counted` */
    uint8_t *counted;
    bool last_block, member_seen;
    uint32_t flags, left;

    uint32_t literal_count, distance_count, length_count, index;
    uint8_t lengths[320 + 138];
    uint32_t literals[LITERAL_SPACE], distances[DISTANCE_SPACE], code_lengths[1u << LENGTH_ROOT];
    struct message message;
};

void gunzip_start(struct gunzip *g);
uint32_t gunzip_fed(struct gunzip *g, uint32_t n);
uint32_t gunzip_more(struct gunzip *g);
uint32_t gunzip_ended(struct gunzip *g);

#endif
