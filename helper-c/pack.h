/* The parts of `pack`: pack.c walks, the others are its chapters. */
#ifndef TSBOX_PACK_H
#define TSBOX_PACK_H

#include "apply.h"

/* Every directory on the way holds descriptors, its own and those of the LOWERs that have it. */
void raise_descriptor_limit(void);

/*** pack_output.c: the stream ***/

struct output {
    int fd;
    uint8_t *buffer;
    size_t length;
    bool sends; /* sendfile(2) does */
};

void output_open(struct output *out, int fd);
void output_close(struct output *out);
/* Fills in the lengths. 0 or -errno. */
int output_record(struct output *out, struct record *record, const char *path, const char *link, const uint8_t *xattrs);
/* Exactly N bytes of FILE from OFFSET on. 0, -ENODATA where the file has become shorter, or -errno. */
int output_content(struct output *out, int file, uint64_t offset, uint64_t n);
int output_flush(struct output *out);
/* Has room for N bytes, some of WORTH_SENDING at most: what is put then can be taken back by setting `length`. 0 or -errno. */
int output_reserve(struct output *out, size_t n);

/* From so many bytes on a content does not pass through the buffer. */
enum { WORTH_SENDING = 64 * 1024 };

/*** pack_below.c: one directory as the LOWERs show it ***/

struct below {
    size_t count;
    struct below_layer {
        int fd;
        uint32_t number; /* from 1, topmost first */
    } *layers;
};

void below_close(struct below *below);
/* The number of the layer that shows NAME, 0 where none does, or -errno. */
int below_find(const struct below *below, const char *name, struct stat *st);
/* The directory NAME as they show it; empty where that is none. 0 or -errno. */
int below_enter(const struct below *below, const char *name, struct below *entered);

/* A descriptor of NAME as layer NUMBER has it, not followed, or -1 and errno. */
int below_open(const struct below *below, uint32_t number, const char *name, int flags);
/* The directory of layer NUMBER; it stays the layer's. */
int below_directory(const struct below *below, uint32_t number);
/* The names that the LOWERs show together, sorted by bytes. 0 or -errno. */
struct names;
int below_names(const struct below *below, struct names *names);

/*** pack_same.c: whether a file of a copied tree is still what was copied ***/

struct original {
    int directory; /* where it is under its name */
    struct stat st;
};

/* NAME of DIRECTORY, with what attributes_read said of it. FD: of the file or directory itself, or -1. A content that nobody can have
 * touched since COPIED is not read. 1: the same, 0: not, or -errno. */
int same_as_original(int directory, const char *name, int fd, const struct stat *st, const struct entry *entry,
                     const uint8_t *xattrs, const struct original *original, const struct timespec *copied);

/*** copy_tree.c ***/

/* Beside UPPER: says that it is the whole copy, and by its own time since when. To be freed. */
char *copied_mark(const char *upper);

/*** pack_links.c: files that have more than one name ***/

struct links {
    struct link {
        uint64_t device, inode;
        size_t path; /* offset + 1 in `paths`; 0: a free slot */
    } *slots;
    size_t count, space;
    struct buffer paths;
};

/* The path under which the file was seen before; otherwise NULL, and PATH is remembered. */
const char *links_seen(struct links *links, const struct stat *st, const char *path);
void links_free(struct links *links);

/*** pack_names.c ***/

struct names {
    char **list;
    size_t count;
    struct buffer text;
};

/* Sorts what was put into `text`: of each name its type, itself and its NUL. */
void names_sort(struct names *names);
/* What is in a directory, sorted by bytes. 0 or -errno. */
int names_read(struct names *names, int directory);
/* DT_DIR and so on of NAME, which is one of the list; DT_UNKNOWN where the file system does not tell. */
unsigned char names_type(const char *name);
bool names_have(const struct names *names, const char *name);
void names_free(struct names *names);

#endif
