/* PAX extended headers: a body of "LENGTH KEY=VALUE\n" records → values. Pure; values point into the body. */
#ifndef TSBOX_PAX_H
#define TSBOX_PAX_H

#include "bytes.h"

/* Of one header. Go's limit, and so that of most container tools, is the same. */
#define PAX_MAX (1u << 20)

struct pax_time {
    int64_t seconds; /* rounded down, so that nanoseconds are never negative */
    uint32_t nanoseconds;
};

/* What stands in `has` was given. */
enum pax_has {
    PAX_PATH = 1 << 0,
    PAX_LINK = 1 << 1,
    PAX_SIZE = 1 << 2,
    PAX_UID = 1 << 3,
    PAX_GID = 1 << 4,
    PAX_MTIME = 1 << 5,
    PAX_XATTR = 1 << 6,
    PAX_SPARSE_0 = 1 << 7,     /* GNU.sparse.size: the map is in the header, as map or as pairs */
    PAX_SPARSE_1 = 1 << 8,     /* GNU.sparse.major = 1: the map is at the start of the content */
    PAX_SPARSE_NAME = 1 << 9,  /* the path; `path` then is a made-up one for tars that know no sparse */
    PAX_SPARSE_SIZE = 1 << 10, /* length of the file when complete */
    PAX_SPARSE_MAP = 1 << 11,
};

struct pax_values {
    uint32_t has;
    struct bytes path, link, sparse_name, sparse_map;
    int64_t size, uid, gid, sparse_size;
    struct pax_time mtime;
};

/*
 * Adds to the values what the body says; later records win. A global header may not hold what
 * only one entry can have (path, linkpath, size, sparse, extended attributes): it would give every
 * entry the same, readers differ in what they make of it, and no tool writes it. NULL, or what is wrong, as a predicate.
 */
const char *pax_read(struct bytes body, bool global, struct pax_values *values);

/* The next record of a body that pax_read() has accepted; false at its end. */
bool pax_next(struct bytes *rest, struct bytes *key, struct bytes *value);

/* The next two numbers of a 0.0 body or a 0.1 map; 1: given, 0: no more, -1: malformed. */
int pax_sparse_pair_00(struct bytes *rest, int64_t *offset, int64_t *length);
int pax_sparse_pair_01(struct bytes *map, int64_t *offset, int64_t *length);

#endif
