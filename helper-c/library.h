/* What addon.c takes from library.c; koffi knows these and the others by the prototypes in runner/sys/native.ts. */
#ifndef TSBOX_LIBRARY_H
#define TSBOX_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

int tsbox_replace(const char *path, const char **argv);
int tsbox_open_in_root(const char *root, const char *path, int flags);
int tsbox_scan_folder(const char *path, uint8_t *out, size_t capacity);
int tsbox_read_small(const char *path, uint8_t *out, size_t capacity);

#endif
