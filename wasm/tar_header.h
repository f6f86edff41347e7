/* One 512-byte tar header as fields. Pure: looks at the block and at nothing else. */
#ifndef TSBOX_TAR_HEADER_H
#define TSBOX_TAR_HEADER_H

#include "bytes.h"

#define TAR_BLOCK 512u
/* Sizes stay below 2^53: exact in a double, which is how they cross to JavaScript. */
#define TAR_SIZE_MAX ((int64_t)1 << 53)

enum tar_format {
    TAR_V7,    /* before 1988: no magic, no prefix, no user names, no devices */
    TAR_USTAR, /* POSIX: prefix, devices */
    TAR_STAR,  /* Schilling's: ustar with a shorter prefix and times behind it */
    TAR_GNU,   /* "ustar  ": no prefix; long names and sparse maps of its own */
};

enum tar_type {
    TAR_FILE = '0',
    TAR_HARDLINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER = '3',
    TAR_BLOCK_DEVICE = '4',
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
    TAR_CONTIGUOUS = '7', /* a file, laid out in one piece where that matters */
    TAR_PAX_LOCAL = 'x',
    TAR_PAX_GLOBAL = 'g',
    TAR_GNU_DUMPDIR = 'D', /* a directory whose content lists what an incremental dump saw */
    TAR_GNU_LONG_LINK = 'K',
    TAR_GNU_LONG_NAME = 'L',
    TAR_GNU_SPARSE = 'S',
    TAR_GNU_LABEL = 'V',
};

struct tar_header {
    enum tar_format format;
    uint8_t type; /* '\0' of old archives is given as TAR_FILE */
    struct bytes prefix, name, link;
    int64_t mode, uid, gid, size, mtime, dev_major, dev_minor;
};

/* The checksum does not hold: this is no header, and nothing in it is a name. */
extern const char *const TAR_NO_HEADER;

/* NULL, TAR_NO_HEADER, or what is wrong: a predicate that follows the entry's name in a sentence. */
const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *header);

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK]);

/* A numeric field: octal digits between blanks or NULs, or GNU's base-256. */
bool tar_number(const uint8_t *field, uint32_t width, int64_t *number);

#endif
