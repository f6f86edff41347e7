/* Names from archives → paths of records (see abi.h), or a reason to refuse them. */
#ifndef TSBOX_PATH_H
#define TSBOX_PATH_H

#include "bytes.h"

/* Linux: PATH_MAX counts the NUL; NAME_MAX does not. */
#define PATH_LENGTH_MAX 4095u
#define COMPONENT_MAX 255u

/*
 * Writes at most PATH_LENGTH_MAX bytes. The root is the empty path. `whiteouts` allows a last
 * component ".wh.NAME" with a NAME of full length. NULL, or what is wrong, as a predicate.
 *
 * Leading "/" and "./" are taken off, as every container tool does: "/" in a layer is the layer's
 * root. Any ".." is refused, also one that stays inside: what "a/../b" means depends on whether
 * "a" is a link, and no tool writes it.
 */
const char *path_normalise(struct bytes raw, bool whiteouts, uint8_t *out, uint32_t *length);

/* Does a symlink at the (normalised) path name something outside when the target is followed by hand? */
bool path_link_leaves(struct bytes path, struct bytes target);

struct bytes path_parent(struct bytes path);
struct bytes path_last(struct bytes path);

#endif
