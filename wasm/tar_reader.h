/*
 * The state machine that turns an archive into records. It is fed exactly what it asks for:
 * headers and extended headers go into its memory, file content never does.
 */
#ifndef TSBOX_TAR_READER_H
#define TSBOX_TAR_READER_H

#include "abi.h"
#include "link_set.h"
#include "message.h"
#include "path.h"
#include "pax.h"
#include "sparse.h"
#include "tar_header.h"

enum reader_flag {
    READER_WHITEOUTS = 1, /* names of whiteouts mean whiteouts (layers), not files (other archives) */
};

/* What the host does next. */
enum reader_status {
    READER_NEED_INPUT = 1, /* put up to `want` bytes at `input`, call tar_reader_feed() */
    READER_RECORD = 2,     /* take the record, call tar_reader_next() */
    READER_DATA = 3,       /* the next `data_length` bytes are the record's: pass them on, call next() */
    READER_SKIP = 4,       /* the next `data_length` bytes are nobody's: drop them, call next() */
    READER_END = 5,        /* the record is RECORD_END; what follows in the source is padding */
    READER_ERROR = 6,      /* the message says why; for good */
};

/* What next() does when the host has dealt with a record or with content. */
enum reader_step { STEP_HEADER, STEP_CONTENT, STEP_DROP, STEP_SEGMENT, STEP_SEGMENT_DATA, STEP_PADDING };

/* What the input that was asked for is. */
enum reader_input { INPUT_HEADER, INPUT_EXTENSION, INPUT_SPARSE_BLOCK, INPUT_SPARSE_MAP };

#define LONG_NAME_MAX (PATH_LENGTH_MAX + 1 + TAR_BLOCK)

struct tar_reader {
    uint32_t flags;
    enum reader_status status;
    enum reader_input input_is;
    enum reader_step step;

    uint8_t *input;        /* where the next bytes go */
    uint32_t want;         /* how many are missing there */
    uint64_t offset;       /* in the archive, of what was fed and passed on */
    uint64_t data_length;
    bool zero_block;       /* the last block was the first of the end marker */

    /* What came before an entry and belongs to it. */
    uint8_t extension; /* type of the extension being read */
    uint32_t extension_size;
    uint32_t local_length, long_name_length, long_link_length;
    bool has_local, has_long_name, has_long_link;
    struct pax_values global; /* what global PAX headers said so far */

    /* The entry. */
    struct tar_header header;
    struct pax_values values; /* of global and local PAX headers together */
    struct bytes name, link;  /* as the archive says */
    int64_t content;          /* bytes in the archive, without padding */
    int64_t size;             /* of the file when complete */
    bool sparse;
    uint32_t segment;         /* next one to tell */
    struct {                  /* of a 1.0 map: reading numbers as they come */
        int64_t number, offset;
        int64_t expected; /* numbers in all; -1 before the first, which tells it */
        int64_t numbers;
        uint32_t digits;
    } map_text;

    uint8_t block[TAR_BLOCK];     /* the entry's header, which name and link point into */
    uint8_t map_block[TAR_BLOCK]; /* more of its sparse map */
    uint8_t raw_name[256 + 1 + 100];
    uint8_t long_name[LONG_NAME_MAX], long_link[LONG_NAME_MAX];
    uint8_t pax[PAX_MAX + TAR_BLOCK];
    _Alignas(8) uint8_t record[RECORD_MAX];
    uint32_t record_length;
    struct sparse_map map;
    struct link_set links;
    struct message message;
};

void tar_reader_start(struct tar_reader *r, uint32_t flags);
enum reader_status tar_reader_feed(struct tar_reader *r, uint32_t n);
enum reader_status tar_reader_next(struct tar_reader *r);
/*
 * The source has ended; `passed` bytes of the current data_length were still there. READER_END if
 * it may end here, otherwise READER_ERROR.
 */
enum reader_status tar_reader_finish(struct tar_reader *r, uint64_t passed);

#endif
