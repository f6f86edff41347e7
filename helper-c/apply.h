/* The parts of `apply`: apply.c makes entries, the others are its chapters. */
#ifndef TSBOX_APPLY_H
#define TSBOX_APPLY_H

#include <limits.h>
#include <sys/stat.h>

#include "../wasm/abi.h"
#include "helper.h"
#include "marks.h"

/*** apply_input.c: the stream ***/

struct ring;
struct lent;

struct input {
    struct ring *ring;
    struct lent *lent; /* where contents are that the stream only tells of, or NULL */
};

/* With LENT the stream is a socket, and its first message brings memory. 0 or -errno. */
int input_open(struct input *in, int fd, bool lent);
void input_close(struct input *in);
/* Makes the next N bytes (at most RECORD_MAX) contiguous. They stay until the next call; NULL and
 * errno, which is ENODATA where the stream was cut off. */
const uint8_t *input_peek(struct input *in, size_t n);
void input_skip(struct input *in, size_t n);
/* Writes the next N bytes to FD at its position. 0 or -errno: of the stream where *reading. */
int input_copy(struct input *in, int fd, uint64_t n, bool *reading);

/*** apply_lent.c: contents in memory of the runner (RECORD_FLAG_LENT) ***/

int lent_open(struct lent **lent, int socket);
void lent_close(struct lent *lent);
/* Waits until the stream has more; nothing is kept back from the writing thread meanwhile, nor from the runner, who may be waiting too. */
void lent_wait(struct lent *lent);
/* As input_copy(), once everything before is written; -EBADMSG, reading, where a piece is not in the memory. */
int lent_copy(struct input *in, int fd, uint64_t n, bool *reading);
/* Has the writing thread do that, set the time and close FD; of what it fails in lent_settle() tells. */
int lent_hand_over(struct input *in, int fd, const struct record *record, const char *path, bool *reading);
/* Waits until everything that was handed over is written: 0, or -errno and what could not be. */
int lent_settle(struct lent *lent, const char **path);

/*** apply_notes.c: what has to wait for the end ***/

enum note_flag {
    NOTE_TIME = 1,     /* a directory's mtime: making entries in it changes it */
    NOTE_MODE = 2,     /* a directory's mode: without u+rwx we might not get in any more */
    NOTE_DEFERRED = 4, /* could not be set here; reported as an event */
};

struct note {
    uint64_t hash;
    size_t path; /* offset in `paths`; the path is canonical: no link in it */
    uint32_t path_length;
    uint32_t flags; /* 0: forgotten */
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    uint32_t mode, uid, gid, major, minor;
    uint8_t kind;
};

struct notes {
    struct note *list;
    size_t count, space;
    uint32_t *slots; /* hash table: index + 1 into `list` */
    size_t slot_count;
    struct buffer paths;
    size_t deferred;
};

struct note *notes_find(const struct notes *notes, const char *path);
/* The note of PATH, made if there is none; valid until the next call. */
struct note *notes_get(struct notes *notes, const char *path);
/* Forget PATH, and with TREE everything below it. */
void notes_forget(struct notes *notes, const char *path, bool tree);
const char *note_path(const struct notes *notes, const struct note *note);
void notes_free(struct notes *notes);

/*** apply.c ***/

struct entry {
    struct record record;
    const char *path, *link; /* NUL-terminated copies */
    const uint8_t *xattrs;
};

struct apply {
    const char *root_name;
    int root;
    size_t lower_count;
    int *lowers; /* topmost first */
    uid_t uid;   /* who we are in this namespace */
    gid_t gid;
    struct input in;
    struct notes notes;
    uint64_t records, entries, bytes;
    /* `place`: into a tree that is somebody's, not a layer of its own. */
    bool placing;
    bool dresses_root; /* ROOT gets the attributes that an entry for it says */
    bool replaces; /* a directory may make way for something else, and the reverse */
    bool root_seen, xattr_whiteouts;
    uint64_t whiteouts;

    /* The directory of the entry before: tar lists a directory's entries one after the other. */
    int parent;
    bool parent_stale; /* its path may mean something else now; the descriptor is good for the entry at hand */
    char parent_asked[PATH_MAX]; /* as the record says */
    char parent_path[PATH_MAX];  /* canonical */
    int plain_mode; /* a mode with which files come out there as they should; or -1 */

    /* The sparse FILE whose SEGMENTs are coming, or -1. */
    int sparse;
    struct entry sparse_entry;
    uint8_t *sparse_xattrs;
    char sparse_path[PATH_MAX];

    char path[PATH_MAX], link[PATH_MAX]; /* of the record at hand */
    uint8_t *xattrs;
};

/* Event lines; they go to standard output, many at a time. */
void apply_event_begin(struct buffer *text, const char *name);
void apply_event_path(struct buffer *text, const char *key, const char *path);
int apply_event_send(struct buffer *text); /* 0, or -1 after fail() */

/*** apply_records.c ***/

/* The next record, checked; its content follows in the stream. What is said of it lies in the apply until the next call. 0, or -1 after fail(). */
int entry_read(struct apply *a, struct entry *entry);
/* What is wrong with the record at hand, and with the stream (errno). -1 after fail(). */
int apply_refuse(const struct apply *a, const char *path, const char *why);
int apply_read_failed(void);

/*** apply_view.c: the tree as the container will see it: ROOT over the LOWERs ***/

/* The canonical form of directory PATH (symbolic links resolved inside the root). With MAKE,
 * missing directories are made in ROOT and a descriptor of the directory in ROOT is returned;
 * without, 0. Or -errno. */
int view_directory(struct apply *a, const char *path, char canonical[PATH_MAX], bool make);
/* What the LOWERs show at a canonical path that ROOT does not have: an O_PATH descriptor, or
 * -ENOENT where there is nothing or ROOT hides it, or -errno. */
int view_lower(struct apply *a, const char *canonical, struct stat *st);
/* PARENT/NAME: 0 or -errno. */
int whiteout_make(struct apply *a, int parent, const char *name);
/* A directory, by a descriptor that was not opened with O_PATH, and its canonical path. */
int opaque_set(struct apply *a, int directory, const char *canonical);
/* Takes away whiteouts below a directory that has become opaque; there they would be seen. */
int whiteouts_purge(struct apply *a, const char *canonical);
/* "DIRECTORY/NAME", or NAME where the directory is the root. 0 or -ENAMETOOLONG. */
int path_join(char joined[PATH_MAX], const char *directory, const char *name);

/*** apply_attributes.c ***/

/* The mode that a file or directory is to be made with: its own where nothing is to be changed later. Needs umask 0. */
mode_t mode_made(const struct record *record);

/* Owner, mode, xattrs and time of what was just made, noting for the end what cannot be set now.
 * FD: file or directory. 0 or -errno. */
int attributes_set(struct apply *a, int fd, const struct entry *entry, const char *canonical);
/* The same for a name that must not or cannot be opened: link, fifo, device. */
int attributes_set_at(struct apply *a, int parent, const char *name, const struct entry *entry,
                      const char *canonical);
/* The entry is a stand-in: note the whole record for a `deferred` event. */
void attributes_defer(struct apply *a, const struct record *record, const char *canonical);
/* Fills an entry from what a LOWER has at FD (O_PATH or not), xattrs included. The caller frees
 * *memory. 0 or -errno. */
int attributes_read(int fd, const struct stat *st, struct entry *entry, uint8_t **memory);
/* The end: directories' times and modes, the `deferred` events. 0, or -1 after fail(). */
int attributes_finish(struct apply *a);

/*** apply_link.c ***/

/* Makes PARENT/NAME (canonical: CANONICAL) a hard link to the entry's link, copied up from a LOWER
 * if need be. 0, or -1 after fail(). */
int hard_link_make(struct apply *a, int parent, const char *name, const char *canonical, const struct entry *entry);

/* Removes what stands in the way of a new entry. 0 or -errno. */
int clear_way(struct apply *a, int parent, const char *name, const char *canonical);

#endif
