/*
 * Removing a tree, as `rm -rf` does, for trees that somebody hostile may have filled.
 *
 * Theory of operation. Everything is relative to a directory descriptor and nothing follows a
 * symbolic link, so a name that is swapped for a link while we work is unlinked, never entered.
 * Another mount is never entered either: what is bind-mounted below belongs to the host. Depth is
 * a list of frames, not recursion, and only the DESCRIPTORS deepest frames keep theirs open; the
 * way back up is "..", believed only when device and inode are those we came from. Overlay leaves
 * its work directory with mode 000, and images hold directories without write permission:
 * a directory that refuses is given u+rwx once, then tried again.
 */
#include "helper.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tree.h"

enum {
    DESCRIPTORS = 32,
    LISTING = 32 * 1024,
    /* How often a directory that was emptied but is not empty is read again: a program that
     * keeps making files in it must not keep us for ever. */
    RESCANS = 16,
};

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

/* One directory on the way from the top to where we are. */
struct frame {
    int fd; /* -1: closed to save descriptors */
    dev_t device;
    ino_t inode;
    int64_t resume; /* position in the listing, for the return from a subdirectory */
    int rescans;
    bool opened_up; /* u+rwx was added */
    char *name;     /* in the parent */
};

struct removal {
    struct frame *frames;
    size_t depth, space;
    int error; /* the first failure; the rest is removed all the same */
    char listing[LISTING] __attribute__((aligned(8)));
};

static void note(struct removal *r, int error)
{
    if (r->error == 0)
        r->error = error;
}

/* Adds u+rwx to the directory itself: fchmodat follows links, so the mode is changed through a
 * descriptor that was opened without following. */
static int open_up(int parent, const char *name)
{
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int result = 0;
    if (fstat(fd, &st) != 0 || chmod(link, (st.st_mode & 07777) | 0700) != 0)
        result = -errno;
    close(fd);
    return result;
}

static int open_directory(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = tree_open_same_mount(parent, name, flags);
    if (fd == -EACCES) {
        int opened = open_up(parent, name);
        fd = opened < 0 ? opened : tree_open_same_mount(parent, name, flags);
    }
    return fd;
}

static int push(struct removal *r, int parent, const char *name)
{
    if (r->depth == r->space) {
        size_t space = r->space ? r->space * 2 : 64;
        struct frame *frames = realloc(r->frames, space * sizeof *frames);
        if (!frames)
            return -ENOMEM;
        r->frames = frames;
        r->space = space;
    }
    int fd = open_directory(parent, name);
    if (fd < 0)
        return fd;
    struct stat st;
    char *copy = strdup(name);
    if (!copy || fstat(fd, &st) != 0) {
        int error = copy ? errno : ENOMEM;
        free(copy);
        close(fd);
        return -error;
    }
    if (r->depth >= DESCRIPTORS) {
        struct frame *far = &r->frames[r->depth - DESCRIPTORS];
        if (far->fd >= 0)
            close(far->fd);
        far->fd = -1;
    }
    r->frames[r->depth++] = (struct frame){.fd = fd, .device = st.st_dev, .inode = st.st_ino, .name = copy};
    return 0;
}

/* Opens the parent frame again if it was closed. The child may have been moved elsewhere
 * meanwhile: then its ".." is not where we came from, and we must not delete there. */
static int reopen_parent(struct frame *parent, const struct frame *child)
{
    if (parent->fd >= 0)
        return 0;
    int fd = openat(child->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_dev != parent->device || st.st_ino != parent->inode) {
        close(fd);
        return -ESTALE;
    }
    parent->fd = fd;
    return 0;
}

/* Removes one entry of the directory at the top of the stack. Returns true when it was a
 * directory with something in it, which is now the top. */
static bool remove_entry(struct removal *r, const char *name, unsigned char type)
{
    for (int attempt = 0;; attempt++) {
        struct frame *top = &r->frames[r->depth - 1]; /* push() may move the frames */
        int fd = top->fd;
        if (type != DT_DIR) {
            if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
                return false;
            if (errno == EISDIR) {
                type = DT_DIR;
                continue;
            }
            /* Directories answer EPERM on some file systems, as an unwritable parent's sticky bit does. */
            struct stat st;
            int error = errno;
            if (error == EPERM && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
                type = DT_DIR;
                continue;
            }
            errno = error;
        } else {
            if (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return false;
            if (errno == ENOTEMPTY || errno == EEXIST) {
                int pushed = push(r, fd, name);
                if (pushed == 0)
                    return true;
                if (pushed == -ENOENT)
                    return false;
                if (pushed != -ENOTDIR && pushed != -ELOOP) {
                    note(r, -pushed);
                    return false;
                }
                errno = ENOTDIR; /* swapped under us: fall through to another try as a file */
            }
            if (errno == ENOTDIR) {
                type = DT_UNKNOWN;
                if (attempt < RESCANS)
                    continue;
            }
        }
        /* A directory without write permission: give it some, once. */
        if (errno == EACCES && !top->opened_up) {
            struct stat st;
            top->opened_up = true;
            if (fstat(fd, &st) == 0 && fchmod(fd, (st.st_mode & 07777) | 0700) == 0)
                continue;
            errno = EACCES;
        }
        note(r, errno);
        return false;
    }
}

/* Empties the directory at the top, as far as it goes without descending. Returns true when
 * there is a new top to be emptied first. */
static bool empty_top(struct removal *r)
{
    struct frame *top = &r->frames[r->depth - 1];
    for (;;) {
        long length = syscall(SYS_getdents64, top->fd, r->listing, sizeof r->listing);
        if (length < 0) {
            if (errno != ENOENT)
                note(r, errno);
            return false;
        }
        if (length == 0)
            return false;
        for (long at = 0; at < length;) {
            const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(r->listing + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            int64_t next = entry->d_off;
            if (remove_entry(r, entry->d_name, entry->d_type)) {
                r->frames[r->depth - 2].resume = next;
                return true;
            }
        }
    }
}

/* The top is as empty as it gets: remove it from its parent (BASE below the first frame).
 * Returns false when it has to be read once more. */
static bool pop(struct removal *r, int base)
{
    struct frame *top = &r->frames[r->depth - 1];
    int parent = base;
    if (r->depth > 1) {
        struct frame *above = &r->frames[r->depth - 2];
        int found = reopen_parent(above, top);
        if (found < 0) {
            /* Nothing above can be reached any more; say so and give up on all of it. */
            note(r, -found);
            while (r->depth > 0) {
                struct frame *frame = &r->frames[--r->depth];
                if (frame->fd >= 0)
                    close(frame->fd);
                free(frame->name);
            }
            return true;
        }
        parent = above->fd;
    }
    if (unlinkat(parent, top->name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        bool fresh = errno == ENOTEMPTY || errno == EEXIST;
        if (fresh && r->error == 0 && top->rescans++ < RESCANS && lseek(top->fd, 0, SEEK_SET) == 0)
            return false;
        if (errno == EACCES && r->depth > 1 && !r->frames[r->depth - 2].opened_up) {
            struct frame *above = &r->frames[r->depth - 2];
            struct stat st;
            above->opened_up = true;
            if (fstat(above->fd, &st) == 0 && fchmod(above->fd, (st.st_mode & 07777) | 0700) == 0)
                return false;
            errno = EACCES;
        }
        note(r, errno);
    }
    close(top->fd);
    free(top->name);
    r->depth--;
    if (r->depth > 0) {
        struct frame *above = &r->frames[r->depth - 1];
        if (lseek(above->fd, above->resume, SEEK_SET) < 0)
            note(r, errno);
    }
    return true;
}

int tree_remove(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES && errno != EBUSY)
        return -errno;
    int error = errno;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno == ENOTDIR)
        return -error;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;

    struct removal *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    int pushed = push(r, parent, name);
    if (pushed < 0)
        note(r, pushed == -ENOENT ? 0 : -pushed);
    while (r->depth > 0)
        if (!empty_top(r))
            pop(r, parent);
    error = r->error;
    free(r->frames);
    free(r);
    return -error;
}

/* PATH's parent directory is found as usual; its last component is not followed. */
static int remove_path(const char *text)
{
    char path[PATH_MAX];
    size_t length = strnlen(text, sizeof path);
    if (length == sizeof path)
        return -ENAMETOOLONG;
    memcpy(path, text, length + 1);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL; /* not the name of something in a directory */
    const char *directory = slash == path ? "/" : slash ? path : ".";
    if (slash && slash != path)
        *slash = '\0';
    cleanup_fd int parent = open_cloexec(directory, O_PATH | O_DIRECTORY, 0);
    if (parent < 0)
        return errno == ENOENT ? 0 : -errno;
    return tree_remove(parent, name);
}

int op_remove(size_t n, char **paths)
{
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        int removed = remove_path(paths[i]);
        if (removed < 0)
            result = fail(-removed, paths[i], "Cannot remove everything of");
    }
    return result;
}
