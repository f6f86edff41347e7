/* Where the content of a sparse file goes: a checked list of segments. */
#ifndef TSBOX_SPARSE_H
#define TSBOX_SPARSE_H

#include "bytes.h"

/* 2 MiB of memory. A file in more pieces than this is refused. */
#define SPARSE_MAX (1u << 17)

struct sparse_map {
    uint32_t count;
    int64_t bytes; /* of all segments together */
    struct {
        int64_t offset, length;
    } segment[SPARSE_MAX];
};

void sparse_clear(struct sparse_map *map);
/* Segments come in order and do not overlap. NULL, or what is wrong, as a predicate. */
const char *sparse_add(struct sparse_map *map, int64_t offset, int64_t length);
/* All fit into the file, and are the whole of the content. */
const char *sparse_check(const struct sparse_map *map, int64_t file_size, int64_t content);

#endif
