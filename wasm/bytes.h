/* A run of bytes somewhere else: the one currency between the parsers. Never owned, never ended by NUL. */
#ifndef TSBOX_BYTES_H
#define TSBOX_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at;
    uint32_t length;
};

#define BYTES_OF(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static inline bool bytes_start(struct bytes all, struct bytes start) {
    return all.length >= start.length && memcmp(all.at, start.at, start.length) == 0;
}

static inline struct bytes bytes_from(struct bytes all, uint32_t skip) {
    return (struct bytes){all.at + skip, all.length - skip};
}

static inline bool bytes_have_nul(struct bytes b) {
    return b.length > 0 && memchr(b.at, 0, b.length) != NULL;
}

#endif
