/* Directory trees that somebody hostile may have filled: apply*.c and remove.c stand on these. */
#ifndef TSBOX_TREE_H
#define TSBOX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Tests set this: behave as on Linux < 5.6, where openat2 answers ENOSYS. */
extern bool tree_without_openat2;

/* Opens PATH (relative, normalised; "" is the directory itself) without following any symbolic
 * link and without leaving DIRECTORY. A descriptor or -errno; O_CLOEXEC is added. */
int tree_open(int directory, const char *path, int flags);
/* The same for one name, which must not be a mount point: -EXDEV. */
int tree_open_same_mount(int directory, const char *name, int flags);

/* The first SIZE bytes of a file into a fresh one, holes as holes. 0 or -errno. */
int copy_content(int from, int to, off_t size);

/* Owner, mode, xattrs and times, but for overlay's own marks. 0 or -errno. */
int copy_attributes(int from, int to, const struct stat *st);
/* The same without xattrs for what cannot be opened. */
int copy_attributes_at(int parent, const char *name, const struct stat *st);
/* NAME of one directory becomes NAME of another, where there is none. Devices are left out. 0 or -errno. */
int copy_file_at(int from, int to, const char *name);
int copy_link_at(int from, int to, const char *name, const struct stat *st);
int copy_node_at(int to, const char *name, const struct stat *st);

/* Removes NAME in PARENT with everything below. 0, also when it is not there; or -errno of the
 * first thing that would not go, after the rest has gone. */
int tree_remove(int parent, const char *name);

#endif
