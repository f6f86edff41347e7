/*
 * Paths inside the new root. The root's content comes from an image, so any part of a path may be a
 * symbolic link that its author chose: the kernel resolves below the root as if it were "/"
 * (RESOLVE_IN_ROOT), and no step is ever taken by name on the host.
 */
#include "helper.h"

#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int resolve_in_root(int root, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    /* EAGAIN: somebody renamed or mounted meanwhile, and the kernel cannot tell whether ".." stayed inside. */
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, root, *path ? path : "/", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || tries == 64)
            return fd;
    }
}

int resolve_without_magic(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

int make_directories(int root, const char *path)
{
    int fd = resolve_in_root(root, path);
    if (fd >= 0 || errno != ENOENT)
        return fd;

    char prefix[PATH_MAX];
    size_t length = strlen(path), end = 0;
    if (length >= sizeof prefix) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(prefix, path, length + 1);
    fd = resolve_in_root(root, "/");
    while (fd >= 0) {
        size_t start = end + strspn(path + end, "/");
        end = start + strcspn(path + start, "/");
        if (start == end)
            return fd;
        prefix[end] = 0;
        int next = resolve_in_root(root, prefix);
        if (next < 0 && errno == ENOENT) {
            if (mkdirat(fd, prefix + start, 0755) < 0) {
                /* A dangling link stands there: report it as it is, missing. */
                errno = errno == EEXIST ? ENOENT : errno;
            } else {
                next = resolve_in_root(root, prefix);
            }
        }
        int error = errno;
        close(fd);
        errno = error;
        prefix[end] = path[end];
        fd = next;
    }
    return -1;
}

int make_parent(int root, const char *path, char name[NAME_MAX + 1])
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (length == start || length - start > NAME_MAX) {
        errno = length == start ? EEXIST : ENAMETOOLONG;
        return -1;
    }
    memcpy(name, path + start, length - start);
    name[length - start] = 0;
    if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0) {
        errno = EINVAL;
        return -1;
    }
    cleanup_free char *parent = xstrdup(path);
    parent[start] = 0;
    return make_directories(root, parent);
}

int make_mount_point(int root, const char *path, bool directory)
{
    int fd = resolve_in_root(root, path);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (directory)
        return make_directories(root, path);
    char name[NAME_MAX + 1];
    cleanup_fd int parent = make_parent(root, path, name);
    if (parent < 0)
        return -1;
    int file = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0)
        return -1;
    close(file);
    return resolve_in_root(root, path);
}

/* The mode is exact: the umask that holds while set-up makes other files does not touch it. */
int op_mkdir(struct run *run, const struct op *op)
{
    char name[NAME_MAX + 1];
    cleanup_fd int parent = make_parent(run->root, op->texts[0], name);
    if (parent < 0)
        return errno == EEXIST ? 0 : fail(errno, op->texts[0], "Cannot make the directory's parents");
    mode_t mask = umask(0);
    int result = mkdirat(parent, name, (mode_t)op->numbers[0]);
    umask(mask);
    if (result < 0 && errno != EEXIST)
        return fail(errno, op->texts[0], "Cannot make the directory");
    return 0;
}

int op_file(struct run *run, const struct op *op)
{
    char name[NAME_MAX + 1];
    cleanup_fd int parent = make_parent(run->root, op->texts[0], name);
    if (parent < 0)
        return fail(errno, op->texts[0], "Cannot make the file's parents");
    mode_t mask = umask(0);
    cleanup_fd int fd =
        openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, (mode_t)op->numbers[0]);
    umask(mask);
    if (fd < 0)
        return errno == EEXIST ? 0 : fail(errno, op->texts[0], "Cannot make the file");
    if (write_all(fd, op->texts[1], strlen(op->texts[1])) < 0)
        return fail(errno, op->texts[0], "Cannot write the file");
    return 0;
}

/* Where an image has a pipe or a device for a file, writing would wait for ever or reach something else. */
int op_append(struct run *run, const struct op *op)
{
    struct stat status;
    struct open_how how = {
        .flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    const char *path = op->texts[0];
    cleanup_fd int fd = (int)syscall(SYS_openat2, run->root, path, &how, sizeof how);
    if (fd < 0 || fstat(fd, &status) < 0)
        return errno == ENOENT || errno == ENXIO ? 0 : fail(errno, path, "Cannot open the file");
    if (!S_ISREG(status.st_mode))
        return 0;
    if (write_all(fd, op->texts[1], strlen(op->texts[1])) < 0)
        return fail(errno, path, "Cannot write the file");
    return 0;
}

int op_symlink(struct run *run, const struct op *op)
{
    char name[NAME_MAX + 1];
    cleanup_fd int parent = make_parent(run->root, op->texts[1], name);
    if (parent < 0)
        return fail(errno, op->texts[1], "Cannot make the symbolic link's parents");
    if (symlinkat(op->texts[0], parent, name) < 0 && errno != EEXIST)
        return fail(errno, op->texts[1], "Cannot make the symbolic link");
    return 0;
}
