/* Overlay's marks, as apply_view.c tells what they are: how they are read. */
#ifndef TSBOX_MARKS_H
#define TSBOX_MARKS_H

#include <stdbool.h>
#include <sys/stat.h>

#define XATTR_OPAQUE "user.overlay.opaque"
#define XATTR_WHITEOUT "user.overlay.whiteout"

bool opaque_is(int directory);
/* ST: of NAME. 1, 0, or -errno where the caller may not know. */
int whiteout_look(int parent, const char *name, const struct stat *st);
bool whiteout_is(int parent, const char *name, const struct stat *st);

#endif
