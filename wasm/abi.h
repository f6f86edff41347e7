/*
 * Everything that crosses between the layer engine and its two neighbours: the runner
 * (TypeScript, runner/layers/abi.ts mirrors this file; scripts/check-wire compares them) and the
 * helper's `apply`, which reads the same records from its standard input, and `pack`, which writes them.
 *
 * A record describes one change to a root filesystem. Integers are little-endian and naturally
 * aligned inside the header; nothing follows a string to end it; nothing pads. A FILE or SEGMENT
 * record is followed in the stream by `data` bytes of content, or by where they lie, then the next record. The stream
 * ends with an END record; a stream that stops without it was cut off.
 */
#ifndef TSBOX_ABI_H
#define TSBOX_ABI_H

#include <stdint.h>

#define ABI_VERSION 1

/* Longest record, strings included: a PATH_MAX path and link, and as many xattrs as fit. */
#define RECORD_MAX (1u << 20)
#define RECORD_HEADER_SIZE 80u

enum record_kind {
    RECORD_DIRECTORY = 1,
    RECORD_FILE = 2,
    RECORD_SYMLINK = 3,   /* link: the target, any bytes */
    RECORD_HARDLINK = 4,  /* link: path of an earlier entry, normalised like `path` */
    RECORD_CHARACTER = 5, /* dev_major, dev_minor */
    RECORD_BLOCK = 6,
    RECORD_FIFO = 7,
    RECORD_WHITEOUT = 8, /* path: what the layers below lose (".wh." already taken off) */
    RECORD_OPAQUE = 9,   /* path: a directory whose content below is hidden */
    RECORD_SEGMENT = 10, /* sparse content of the FILE record before: `data` bytes at `offset` */
    RECORD_END = 11,
};

enum record_flag {
    RECORD_FLAG_SPARSE = 1, /* FILE: `data` is 0, SEGMENT records follow, the rest is holes */
    RECORD_FLAG_LENT = 8,   /* FILE, SEGMENT: pieces (struct lent_piece) follow, `data` bytes together, in memory that `apply` was given */
    /* Written by `pack` for the runner, refused by `apply`: */
    RECORD_FLAG_COPIED = 2, /* overlay brought it up from the LOWER that `below` names */
    RECORD_FLAG_SAME = 4,   /* DIRECTORY: mode, owner and time are those of that LOWER */
};

/*
 * `path` is relative to the root, without leading "/" or "./", without "." or ".." or empty
 * components, without NUL; the root itself is the empty path. xattr block: for each attribute
 * u32 name length, u32 value length, name, value.
 */
struct record {
    uint32_t length; /* of the whole record: header, path, link, xattr block; not of the data */
    uint8_t kind;
    uint8_t flags;
    uint16_t xattr_count;
    uint32_t mode; /* permission bits, at most 07777 */
    uint32_t uid;
    uint32_t gid;
    uint32_t dev_major;
    uint32_t dev_minor;
    uint32_t mtime_nsec;
    int64_t mtime_sec;
    uint64_t size;   /* FILE: length of the file when complete */
    uint64_t data;   /* content bytes that follow this record in the stream */
    uint64_t offset; /* SEGMENT: where they go */
    uint32_t path_length;
    uint32_t link_length;
    uint32_t xattr_length;
    uint32_t below; /* written by `pack`: the number, from 1, of the LOWER that shows something here; else 0 */
};

/* Where content lies in the memory. */
struct lent_piece {
    uint32_t offset;
    uint32_t length; /* not 0 */
};

_Static_assert(sizeof(struct record) == RECORD_HEADER_SIZE, "records cross program boundaries");

#endif
