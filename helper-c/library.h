/* What addon.c takes from library.c; koffi knows these and the others by the prototypes in runner/sys/native.ts. */
#ifndef TSBOX_LIBRARY_H
#define TSBOX_LIBRARY_H

int tsbox_replace(const char *path, const char **argv);
int tsbox_open_in_root(const char *root, const char *path, int flags);

#endif
