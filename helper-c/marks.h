/* Overlay's marks, as apply_view.c tells what they are: how they are read. */
#ifndef TSBOX_MARKS_H
#define TSBOX_MARKS_H

#include <stdbool.h>
#include <sys/stat.h>

#define XATTR_OPAQUE "user.overlay.opaque"
#define XATTR_WHITEOUT "user.overlay.whiteout"
/* The last resort, where neither devices nor xattrs can be made (some NFS, FUSE). No overlay reads it, but
 * none can lie on such a file system: its layers are merged by copying. */
#define WHITEOUT_LINK "(tsbox: this name was removed by the layer)"
/* fuse-overlayfs puts this file into an opaque directory, beside its xattr. */
#define FUSE_OPAQUE ".wh..wh..opq"

bool opaque_is(int directory);
/* As fuse-overlayfs says it. */
bool opaque_is_by_fuse(int directory);
/* ST: of NAME. 1, 0, or -errno where the caller may not know. */
int whiteout_look(int parent, const char *name, const struct stat *st);
bool whiteout_is(int parent, const char *name, const struct stat *st);

#endif
