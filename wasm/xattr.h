/* Extended attributes of a PAX body → the xattr block of a record (see abi.h). */
#ifndef TSBOX_XATTR_H
#define TSBOX_XATTR_H

#include "bytes.h"

/* Linux's own limits for a name and a value; the count is ours, far above what file systems hold. */
#define XATTR_NAME_MAX 255u
#define XATTR_VALUE_MAX 65536u
#define XATTR_COUNT_MAX 512u

struct xattr_block {
    uint8_t *at;
    uint32_t capacity, length;
    uint16_t count;
};

/* An attribute that is there already is replaced. NULL, or what is wrong, as a predicate. */
const char *xattr_add_body(struct xattr_block *block, struct bytes body);

/* The next attribute of a block; false at its end, or where the block is malformed. */
bool xattr_next(struct bytes *rest, struct bytes *name, struct bytes *value);

#endif
