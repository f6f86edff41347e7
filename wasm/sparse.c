#include "sparse.h"

#include "tar_header.h"

void sparse_clear(struct sparse_map *map) {
    map->count = 0;
    map->bytes = 0;
}

const char *sparse_add(struct sparse_map *map, int64_t offset, int64_t length) {
    if (offset < 0 || length < 0) return "has a sparse map with a negative number";
    /* So that no sum overflows: segments are in order, and each ends below 2^54. */
    if (offset > TAR_SIZE_MAX || length > TAR_SIZE_MAX) return "has a sparse map that exceeds the file";
    if (map->count == SPARSE_MAX) return "has a sparse map of more than 131072 segments";
    if (map->count > 0) {
        int64_t end = map->segment[map->count - 1].offset + map->segment[map->count - 1].length;
        if (offset < end) return "has a sparse map that overlaps or is out of order";
    }
    map->segment[map->count].offset = offset;
    map->segment[map->count].length = length;
    map->count++;
    map->bytes += length;
    return NULL;
}

const char *sparse_check(const struct sparse_map *map, int64_t file_size, int64_t content) {
    if (map->count > 0) {
        int64_t end = map->segment[map->count - 1].offset + map->segment[map->count - 1].length;
        if (end > file_size) return "has a sparse map that exceeds the file";
    }
    if (map->bytes != content) return "has a sparse map that differs from its content in size";
    return NULL;
}
