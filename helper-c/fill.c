/*
 * Volumes: what the image has at a fresh volume's place becomes its content, and a tree can be given to another owner.
 *
 * Theory of operation. Both trees may have been made by somebody hostile, and a container that has the volume already may be at
 * work in it: everything is relative to directory descriptors, one name at a time, and no symbolic link is followed. How far a
 * volume is stands in its lock file, one letter, so that a copy that was cut off is made again, and one that was made once is never
 * made a second time over what the volume's user has removed since.
 */
#include "helper.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tree.h"

enum progress {
    FRESH = 0,
    OWNED = 'o', /* used without a copy */
    COPYING = 'c',
    FILLED = 'f',
};

/* A file of several names, once it was copied. */
struct linked {
    dev_t device;
    ino_t inode;
    char *path; /* in the volume */
};

struct filling {
    int data;
    struct linked *links;
    size_t link_count;
    char path[PATH_MAX]; /* of the entry at hand, below the volume; for links and for errors */
};

static int set_progress(int lock, char progress)
{
    return pwrite(lock, &progress, 1, 0) == 1 && fsync(lock) == 0 ? 0 : -1;
}

static char get_progress(int lock)
{
    char progress = FRESH;
    return pread(lock, &progress, 1, 0) == 1 ? progress : FRESH;
}

static int copy_tree(struct filling *f, int from, int to);

/* A directory that an earlier, cut-off copy made is used again. */
static int copy_directory(struct filling *f, int from, int to, const char *name, const struct stat *st)
{
    cleanup_fd int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0)
        return -errno;
    if (mkdirat(to, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    cleanup_fd int copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (copy < 0)
        return -errno;
    int result = copy_tree(f, source, copy);
    return result < 0 ? result : copy_attributes(source, copy, st);
}

/* 1: NAME is another name of a file that has been copied. The target is opened without following links: a program at work in the volume
 * could have put one there. */
static int link_to_copy(struct filling *f, int to, const char *name, const struct stat *st)
{
    char self[40];
    for (size_t i = 0; i < f->link_count; i++) {
        const struct linked *linked = &f->links[i];
        if (linked->inode != st->st_ino || linked->device != st->st_dev)
            continue;
        cleanup_fd int target = tree_open(f->data, linked->path, O_PATH);
        if (target < 0)
            return target;
        snprintf(self, sizeof self, "/proc/self/fd/%d", target);
        return linkat(AT_FDCWD, self, to, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 1;
    }
    f->links = xrealloc(f->links, (f->link_count + 1) * sizeof *f->links);
    f->links[f->link_count++] = (struct linked){.device = st->st_dev, .inode = st->st_ino, .path = xstrdup(f->path)};
    return 0;
}

static int copy_entry(struct filling *f, int from, int to, const char *name)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode))
        return copy_directory(f, from, to, name, &st);
    /* left by a copy that was cut off */
    if (unlinkat(to, name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (st.st_nlink > 1) {
        int linked = link_to_copy(f, to, name, &st);
        if (linked != 0)
            return linked < 0 ? linked : 0;
    }
    if (S_ISREG(st.st_mode))
        return copy_file_at(from, to, name);
    return S_ISLNK(st.st_mode) ? copy_link_at(from, to, name, &st) : copy_node_at(to, name, &st);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A listing of the directory from its start; the descriptor given stays the caller's. */
static DIR *list_directory(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (!directory && own >= 0)
        close(own);
    return directory;
}

/* Adds "/NAME" to a path. The length before, or -ENAMETOOLONG. */
static int path_push(char path[PATH_MAX], const char *name)
{
    size_t length = strlen(path);
    if (length + strlen(name) + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    sprintf(path + length, "%s%s", length ? "/" : "", name);
    return (int)length;
}

static int copy_tree(struct filling *f, int from, int to)
{
    DIR *directory = list_directory(from);
    if (!directory)
        return -errno;
    const struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(directory))) {
        if (is_dots(entry->d_name))
            continue;
        int length = path_push(f->path, entry->d_name);
        result = length < 0 ? length : copy_entry(f, from, to, entry->d_name);
        if (result == 0)
            f->path[length] = 0; /* after a failure it tells where */
    }
    closedir(directory);
    return result;
}

static bool is_empty(int fd)
{
    DIR *directory = list_directory(fd);
    const struct dirent *entry;
    bool empty = true;
    while (directory && empty && (entry = readdir(directory)))
        empty = is_dots(entry->d_name);
    if (directory)
        closedir(directory);
    return empty;
}

/* Where the image has no directory, the volume is whose the container's program is, who could not write to it otherwise. */
static int own(int data, const struct op *op)
{
    return fchown(data, (uid_t)op->numbers[0], (gid_t)op->numbers[1]) < 0 || fchmod(data, 0755) < 0 ? -errno : 0;
}

static int fill(const struct op *op, int lock, int data, int source, char *where)
{
    struct filling f = {.data = data};
    struct stat st;
    if (set_progress(lock, COPYING) < 0)
        return -errno;
    int result = source < 0 ? own(data, op) : copy_tree(&f, source, data);
    if (result == 0 && source >= 0)
        result = fstat(source, &st) < 0 ? -errno : copy_attributes(source, data, &st);
    for (size_t i = 0; i < f.link_count; i++)
        free(f.links[i].path);
    free(f.links);
    snprintf(where, PATH_MAX, "%s", f.path);
    return result < 0 ? result : set_progress(lock, FILLED) < 0 ? -errno : 0;
}

static int open_source(struct run *run, const char *path)
{
    cleanup_fd int found = resolve_in_root(run->root, path);
    return found < 0 ? -1 : openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int op_fill(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    cleanup_fd int data = open_cloexec(path, O_RDONLY | O_DIRECTORY, 0);
    cleanup_fd int lock = data < 0 ? -1 : open_cloexec(op->texts[1], O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return fail(errno, path, "Cannot open the volume");
    char progress = get_progress(lock), where[PATH_MAX] = "";
    if (progress == FILLED || (progress == OWNED && (op->flags & FLAG_NOCOPY)))
        return 0;
    if (progress != COPYING && !is_empty(data))
        return set_progress(lock, FILLED) < 0 ? fail(errno, path, "Cannot note that the volume is in use") : 0;
    if (op->flags & FLAG_NOCOPY) {
        int result = progress == COPYING ? 0 : own(data, op);
        if (result == 0 && progress != COPYING && set_progress(lock, OWNED) < 0)
            result = -errno;
        return result < 0 ? fail(-result, path, "Cannot give the volume to the container") : 0;
    }
    cleanup_fd int source = open_source(run, op->texts[2]);
    if (source < 0 && errno != ENOENT && errno != ENOTDIR)
        return fail(errno, op->texts[2], "Cannot read what the image has at the volume's place");
    int result = fill(op, lock, data, source, where);
    return result < 0 ? fail(-result, path, "Cannot copy \"%s\" of the image into the volume", *where ? where : ".") : 0;
}

/* What lies at the place goes into the file system that is mounted over it. */
int fill_tmpfs(struct run *run, const struct op *op)
{
    struct stat st;
    cleanup_fd int source = open_source(run, op->texts[0]);
    if (mount_tmpfs(run, op) < 0)
        return -1;
    if (source < 0)
        return 0;
    cleanup_fd int data = open_source(run, op->texts[0]);
    if (data < 0)
        return fail(errno, op->texts[0], "Cannot open what was mounted");
    struct filling f = {.data = data};
    int result = copy_tree(&f, source, data);
    if (result == 0 && !strstr(op->texts[1], "mode="))
        result = fstat(source, &st) < 0 ? -errno : copy_attributes(source, data, &st);
    for (size_t i = 0; i < f.link_count; i++)
        free(f.links[i].path);
    free(f.links);
    return result < 0 ? fail(-result, op->texts[0], "Cannot copy \"%s\" of the image into the tmpfs", *f.path ? f.path : ".") : 0;
}

/*** Owners ***/

struct owners {
    uid_t uid;
    gid_t gid;
    dev_t device;
    char path[PATH_MAX];
};

static int change_owner(int parent, const char *name, const struct owners *o, const struct stat *st)
{
    if (st->st_uid == o->uid && st->st_gid == o->gid)
        return 0;
    return fchownat(parent, name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

/* What another file system is mounted on below is not what the user named. */
static int change_tree(int fd, struct owners *o)
{
    DIR *directory = list_directory(fd);
    if (!directory)
        return -errno;
    const struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(directory))) {
        struct stat st;
        if (is_dots(entry->d_name))
            continue;
        int length = path_push(o->path, entry->d_name);
        if (length < 0 || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            result = length < 0 ? length : errno == ENOENT ? 0 : -errno;
        } else if (st.st_dev == o->device) {
            if (S_ISDIR(st.st_mode)) {
                cleanup_fd int below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                result = below < 0 ? -errno : change_tree(below, o);
            }
            if (result == 0)
                result = change_owner(fd, entry->d_name, o, &st);
        }
        if (result == 0)
            o->path[length] = 0;
    }
    closedir(directory);
    return result;
}

int op_chown(struct run *run, const struct op *op)
{
    (void)run;
    const char *path = op->texts[0];
    struct owners owners = {.uid = (uid_t)op->numbers[0], .gid = (gid_t)op->numbers[1]};
    struct stat st;
    cleanup_fd int top = open_cloexec(path, O_PATH | O_NOFOLLOW, 0);
    if (top < 0 || fstat(top, &st) < 0)
        return fail(errno, path, "Cannot open what to change the owner of");
    owners.device = st.st_dev;
    snprintf(owners.path, sizeof owners.path, "%s", path);
    int result = 0;
    if (S_ISDIR(st.st_mode)) {
        cleanup_fd int directory = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = directory < 0 ? -errno : change_tree(directory, &owners);
    }
    if (result == 0)
        result = change_owner(top, "", &owners, &st);
    return result < 0 ? fail(-result, owners.path, "Cannot change the owner of") : 0;
}
