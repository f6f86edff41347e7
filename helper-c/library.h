/* What addon.c takes from library.c; koffi knows some of these and the others by the prototypes in runner/sys/native.ts. */
#ifndef TSBOX_LIBRARY_H
#define TSBOX_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

int tsbox_replace(const char *path, const char **argv);
int tsbox_open_in_root(const char *root, const char *path, int flags);
int tsbox_scan_folder(const char *path, uint8_t *out, size_t capacity, int attributes);
int tsbox_read_small(const char *path, uint8_t *out, size_t capacity);
int tsbox_lock(const char *path, int exclusive);
int tsbox_lock_is_free(const char *path);
int tsbox_memfd(const void *data, size_t length);
int tsbox_pipe(int *out, int size);
int tsbox_share_memory(void *at, size_t length);
int tsbox_socketpair(int *out, int stream);
int tsbox_send_fds(int socket, const void *data, size_t length, const int *fds, int count);
unsigned long long tsbox_start_time(int pid);
int tsbox_getxattr(const char *path, const char *name, void *value, size_t capacity);
int tsbox_listxattr(const char *path, void *names, size_t capacity);

#endif
