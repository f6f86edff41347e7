/*
 * A tar that passes in chunks of memory → the record stream that the helper's `apply` reads, with contents told by where they lie
 * (RECORD_FLAG_LENT): what the runner does record by record for other sources, done here for a chunk at once.
 */
#ifndef TSBOX_LENT_STREAM_H
#define TSBOX_LENT_STREAM_H

#include "tar_reader.h"

enum lent_status {
    LENT_USED = 1,  /* take `out`; the chunk is used up: lent_stream_chunk(), or lent_stream_finish() at the source's end */
    LENT_FULL = 2,  /* take `out`, lent_stream_more() */
    LENT_ERROR = 3, /* see `reader.message` */
};

/* Room for a record of any length, and for what a chunk usually makes. */
#define LENT_SPACE (RECORD_MAX + (256u << 10))

struct lent_stream {
    struct tar_reader reader;
    uintptr_t base; /* what offsets of pieces count from */
    const uint8_t *at, *end;
    uint64_t passed; /* of what the reader passes on now */
    uint64_t lent;   /* bytes of contents told so far */
    uint32_t entries; /* records so far, without SEGMENT and END */
    uint32_t length;
    uint8_t out[LENT_SPACE];
};

void lent_stream_start(struct lent_stream *s, uint32_t flags, uintptr_t base);
enum lent_status lent_stream_chunk(struct lent_stream *s, const uint8_t *chunk, uint32_t length);
enum lent_status lent_stream_more(struct lent_stream *s);
/* The source has ended: LENT_USED if it may end here, and `out` is the END record, for when its digests are right too. */
enum lent_status lent_stream_finish(struct lent_stream *s);

#endif
