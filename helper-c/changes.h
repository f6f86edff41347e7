/* What an overlay's upper directory changed in the layers below it. */
#ifndef TSBOX_CHANGES_H
#define TSBOX_CHANGES_H

#include "helper.h"

/*
 * A line for each change, `A /path`, `C /path` or `D /path`, sorted by the bytes of the path; in it, what is no printable ASCII, and the
 * backslash, is `\xNN`. 0, or -errno and the path that it is about in WHERE. LOWERS: topmost first; INIT, which lay above them, may be empty.
 */
int changes_find(const char *upper, const char *init, char *const *lowers, size_t count, struct buffer *lines,
                 struct buffer *where);

#endif
