/* The content of a compressed block: where nearly all of gunzip's time goes. */
#ifndef TSBOX_INFLATE_BLOCK_H
#define TSBOX_INFLATE_BLOCK_H

#include "gunzip.h"

enum inflate_result {
    INFLATE_BLOCK_END = 1,
    INFLATE_OUTPUT_FULL = 2, /* g->out has come to LIMIT; at most GUNZIP_SLACK bytes beyond it were written */
    INFLATE_NEED_INPUT = 3,
    INFLATE_NO_CODE = 4,
    INFLATE_FAR = 5, /* a match reaches before g->floor */
};

uint32_t inflate_block(struct gunzip *g, uint8_t *limit);

#endif
