/*
 * The tree as the container will see it: ROOT, which this layer fills, over the LOWERs.
 *
 * A layer was made by somebody who saw the merged tree, so its paths mean what they mean there. If
 * an earlier layer has "lib -> usr/lib" and this one brings "lib/x", then "usr/lib/x" is meant, as
 * tools that unpack on a mounted overlay (containerd) or into one directory (umoci) find. If it
 * brings "tmp/x" alone, "tmp" keeps the mode 1777 that it has below. Symbolic links are resolved here,
 * name by name and with the root as "/": the kernel is only ever given paths that it may not follow
 * a link in, so whatever a layer says, nothing outside ROOT is reached.
 *
 * Overlay's marks (Documentation/filesystems/overlayfs.rst): a whiteout is a character device 0:0, or
 * where that cannot be made (Linux >= 6.7 reads it) an empty file with the xattr
 * user.overlay.whiteout in a directory marked user.overlay.opaque=x; an opaque directory is marked
 * user.overlay.opaque=y and must hold no whiteouts, which would be seen.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "apply.h"
#include "tree.h"

enum {
    LINKS_MAX = 40, /* as the kernel's own limit */
    READ_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

int path_join(char joined[PATH_MAX], const char *directory, const char *name)
{
    int length = *directory ? snprintf(joined, PATH_MAX, "%s/%s", directory, name)
                            : snprintf(joined, PATH_MAX, "%s", name);
    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/*** Marks ***/

/* Where the file system has no user xattrs, what an opaque directory hides is hidden name by name. */
static int hide_by_whiteouts(struct apply *a, int directory, const char *canonical);

int opaque_set(struct apply *a, int directory, const char *canonical)
{
    if (fsetxattr(directory, XATTR_OPAQUE, "y", 1, 0) == 0)
        return 0;
    return errno == EOPNOTSUPP ? hide_by_whiteouts(a, directory, canonical) : -errno;
}

static int whiteout_make_by_xattr(int parent, const char *name)
{
    cleanup_fd int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fsetxattr(fd, XATTR_WHITEOUT, "y", 1, 0) != 0) {
        int error = errno;
        if (unlinkat(parent, name, 0) != 0)
            return -errno;
        return error != EOPNOTSUPP ? -error : symlinkat(WHITEOUT_LINK, parent, name) == 0 ? 0 : -errno;
    }
    cleanup_fd int directory = openat(parent, ".", READ_DIRECTORY);
    if (directory < 0)
        return -errno;
    /* XATTR_CREATE: a directory that is opaque already stays so. */
    if (fsetxattr(directory, XATTR_OPAQUE, "x", 1, XATTR_CREATE) != 0 && errno != EEXIST)
        return -errno;
    return 0;
}

int whiteout_make(struct apply *a, int parent, const char *name)
{
    a->whiteouts++;
    if (!a->xattr_whiteouts) {
        if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) == 0)
            return 0;
        if (errno == EEXIST || (errno != EPERM && errno != EINVAL && errno != EOPNOTSUPP))
            return -errno;
        a->xattr_whiteouts = true;
    }
    return whiteout_make_by_xattr(parent, name);
}

/* Whiteouts in one directory; its subdirectories are added to the list of paths to visit. */
static int purge_one(struct apply *a, const char *path, struct buffer *visit)
{
    int fd = tree_open(a->root, path, READ_DIRECTORY);
    if (fd < 0)
        return fd;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int error = errno;
        close(fd);
        return -error;
    }
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) {
        struct stat st;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (fstatat(dirfd(directory), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            result = -errno;
        else if (S_ISDIR(st.st_mode)) {
            char below[PATH_MAX];
            result = path_join(below, path, name);
            if (result == 0)
                buffer_put(visit, below, strlen(below) + 1);
        } else if (whiteout_is(dirfd(directory), name, &st) && unlinkat(dirfd(directory), name, 0) != 0)
            result = -errno;
    }
    closedir(directory);
    return result;
}

int whiteouts_purge(struct apply *a, const char *canonical)
{
    if (a->whiteouts == 0)
        return 0;
    struct buffer visit = {0};
    buffer_put(&visit, canonical, strlen(canonical) + 1);
    int result = 0;
    while (result == 0 && visit.length > 0) {
        /* Take the last path off the end; what is before it ends with a NUL too. */
        size_t start = visit.length - 1;
        while (start > 0 && visit.data[start - 1] != '\0')
            start--;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s", visit.data + start);
        visit.length = start;
        result = purge_one(a, path, &visit);
    }
    buffer_free(&visit);
    return result;
}

/*** Looking ***/

enum layer_says { LAYER_NOTHING, LAYER_HIDES, LAYER_HAS };

/* Follows the canonical PATH in one layer. LAYER_HIDES: nothing of the layers below shows there.
 * LAYER_HAS: *fd is an O_PATH descriptor of it. Or -errno. */
static int look_in_layer(int layer, const char *path, int *found, struct stat *st)
{
    cleanup_fd int at = openat(layer, ".", READ_DIRECTORY);
    if (at < 0)
        return -errno;
    bool opaque = false;
    for (;;) {
        size_t length = strcspn(path, "/");
        char name[NAME_MAX + 1];
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, length);
        name[length] = '\0';
        if (fstatat(at, name, st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                return opaque ? LAYER_HIDES : LAYER_NOTHING;
            return -errno;
        }
        if (whiteout_is(at, name, st))
            return LAYER_HIDES;
        if (path[length] == '\0') {
            *found = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
            return *found < 0 ? -errno : LAYER_HAS;
        }
        if (!S_ISDIR(st->st_mode))
            return LAYER_HIDES;
        int next = openat(at, name, READ_DIRECTORY);
        if (next < 0)
            return -errno;
        close(at);
        at = next;
        opaque |= opaque_is(at);
        path += length + 1;
    }
}

int view_lower(struct apply *a, const char *canonical, struct stat *st)
{
    int fd = -1;
    int says = look_in_layer(a->root, canonical, &fd, st);
    if (says == LAYER_HAS) {
        /* ROOT's own entry is not a lower one; the caller asks what lies under a directory, too. */
        close(fd);
        cleanup_fd int own = tree_open(a->root, canonical, READ_DIRECTORY);
        if (own >= 0 && opaque_is(own))
            return -ENOENT;
        says = LAYER_NOTHING;
    }
    for (size_t i = 0; says == LAYER_NOTHING && i < a->lower_count; i++) {
        says = look_in_layer(a->lowers[i], canonical, &fd, st);
        if (says == LAYER_HAS)
            return fd;
    }
    return says < 0 ? says : -ENOENT;
}

static int hide_name(struct apply *a, int directory, const char *canonical, const char *name)
{
    char below[PATH_MAX];
    struct stat st, own;
    int result = path_join(below, canonical, name);
    if (result < 0)
        return result;
    if (fstatat(directory, name, &own, AT_SYMLINK_NOFOLLOW) == 0) {
        /* What this layer has there is seen; but not together with what the LOWERs have in it. */
        if (!S_ISDIR(own.st_mode))
            return 0;
        cleanup_fd int fd = openat(directory, name, READ_DIRECTORY);
        return fd < 0 ? -errno : hide_by_whiteouts(a, fd, below);
    }
    if (errno != ENOENT)
        return -errno;
    cleanup_fd int lower = view_lower(a, below, &st);
    return lower == -ENOENT ? 0 : lower < 0 ? lower : whiteout_make(a, directory, name);
}

static int hide_by_whiteouts(struct apply *a, int directory, const char *canonical)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < a->lower_count; i++) {
        struct stat st;
        int found = -1, says = look_in_layer(a->lowers[i], canonical, &found, &st);
        if (says < 0)
            return says;
        if (says != LAYER_HAS)
            continue;
        DIR *listing = NULL;
        if (S_ISDIR(st.st_mode)) {
            int fd = openat(found, ".", READ_DIRECTORY);
            listing = fd < 0 ? NULL : fdopendir(fd);
            result = listing ? 0 : -errno;
        }
        close(found);
        const struct dirent *entry;
        while (result == 0 && listing && (entry = readdir(listing)))
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                result = hide_name(a, directory, canonical, entry->d_name);
        if (listing)
            closedir(listing);
    }
    return result;
}

/*** Going ***/

/* A position on the way through the merged tree. */
struct walk {
    char *done; /* canonical path so far, PATH_MAX */
    int fd;     /* that directory in ROOT (O_PATH); -1: only a LOWER has it */
    int links;
};

static int walk_to(struct apply *a, struct walk *walk)
{
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = tree_open(a->root, walk->done, O_PATH | O_DIRECTORY);
    if (walk->fd == -ENOENT || walk->fd == -ENOTDIR)
        walk->fd = -1;
    return walk->fd < -1 ? walk->fd : 0;
}

static int walk_up(struct apply *a, struct walk *walk)
{
    char *slash = strrchr(walk->done, '/');
    *(slash ? slash : walk->done) = '\0'; /* the root's parent is the root */
    return walk_to(a, walk);
}

/* Puts a link's target in front of what is left to walk. */
static int expand_link(struct apply *a, struct walk *walk, int at, const char *name, char *rest)
{
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    char target[PATH_MAX];
    ssize_t length = readlinkat(at, name, target, sizeof target);
    if (length < 0)
        return -errno;
    size_t left = strlen(rest);
    if ((size_t)length + 1 + left >= PATH_MAX)
        return -ENAMETOOLONG;
    memmove(rest + length + 1, rest, left + 1);
    rest[length] = '/';
    memcpy(rest, target, (size_t)length);
    if (length > 0 && target[0] == '/') {
        walk->done[0] = '\0';
        return walk_to(a, walk);
    }
    return 0;
}

/* Makes directory NAME, with the attributes that the LOWER's directory has, else 0755 and root's,
 * at time 0: the same layer always gives the same tree. */
static int make_implied(struct apply *a, int parent, const char *name, const char *canonical, int lower,
                        const struct stat *st, bool hides)
{
    if (mkdirat(parent, name, 0700) != 0)
        return -errno;
    cleanup_fd int fd = openat(parent, name, READ_DIRECTORY);
    if (fd < 0)
        return -errno;
    if (hides) {
        int marked = opaque_set(a, fd, canonical);
        if (marked < 0)
            return marked;
    }
    struct entry entry = {.record = {.kind = RECORD_DIRECTORY, .mode = 0755}, .path = "", .link = ""};
    uint8_t *memory = NULL;
    int result = lower >= 0 ? attributes_read(lower, st, &entry, &memory) : 0;
    if (result == 0)
        result = attributes_set(a, fd, &entry, canonical);
    free(memory);
    return result;
}

static int step(struct apply *a, struct walk *walk, const char *name, char *rest, bool make)
{
    char next[PATH_MAX];
    struct stat st;
    bool hides = false;
    int result = path_join(next, walk->done, name);
    if (result < 0)
        return result;

    if (walk->fd >= 0 && fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISLNK(st.st_mode))
            return expand_link(a, walk, walk->fd, name, rest);
        if (S_ISDIR(st.st_mode)) {
            memcpy(walk->done, next, sizeof next);
            int fd = openat(walk->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0)
                return -errno;
            close(walk->fd);
            walk->fd = fd;
            return 0;
        }
        if (!whiteout_is(walk->fd, name, &st))
            return -ENOTDIR;
        if (!make)
            return -ENOENT;
        /* A directory takes the whiteout's place; what the whiteout hid stays hidden. */
        if (unlinkat(walk->fd, name, 0) != 0)
            return -errno;
        hides = true;
    } else if (walk->fd >= 0 && errno != ENOENT)
        return -errno;

    cleanup_fd int lower = hides ? -1 : view_lower(a, next, &st);
    if (lower < -1 && lower != -ENOENT)
        return lower;
    if (lower >= 0 && S_ISLNK(st.st_mode))
        return expand_link(a, walk, lower, "", rest);
    if (lower >= 0 && !S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (!make) {
        if (lower < 0)
            return -ENOENT;
        memcpy(walk->done, next, sizeof next);
        if (walk->fd >= 0)
            close(walk->fd);
        walk->fd = -1;
        return 0;
    }
    result = make_implied(a, walk->fd, name, next, lower, &st, hides);
    if (result < 0)
        return result;
    memcpy(walk->done, next, sizeof next);
    int fd = openat(walk->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(walk->fd);
    walk->fd = fd;
    return 0;
}

int view_directory(struct apply *a, const char *path, char canonical[PATH_MAX], bool make)
{
    /* Mostly the directory is there and the way has no link in it: one call. */
    int fd = tree_open(a->root, path, O_PATH | O_DIRECTORY);
    if (fd >= 0) {
        memmove(canonical, path, strlen(path) + 1);
        if (make)
            return fd;
        close(fd);
        return 0;
    }
    char rest[PATH_MAX];
    snprintf(rest, sizeof rest, "%s", path);
    canonical[0] = '\0';
    struct walk walk = {.done = canonical, .fd = -1};
    int result = walk_to(a, &walk);
    while (result == 0 && *rest) {
        size_t length = strcspn(rest, "/");
        char name[NAME_MAX + 1];
        if (length > NAME_MAX) {
            result = -ENAMETOOLONG;
            break;
        }
        memcpy(name, rest, length);
        name[length] = '\0';
        size_t skip = length + strspn(rest + length, "/");
        memmove(rest, rest + skip, strlen(rest + skip) + 1);
        if (length == 0 || strcmp(name, ".") == 0)
            continue;
        result = strcmp(name, "..") == 0 ? walk_up(a, &walk) : step(a, &walk, name, rest, make);
    }
    if (result == 0 && make)
        return walk.fd;
    if (walk.fd >= 0)
        close(walk.fd);
    return result;
}
