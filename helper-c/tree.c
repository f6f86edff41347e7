/* Opening below a directory without ever leaving it: by openat2, or on Linux < 5.6 name by name. */
#include "tree.h"

#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "helper.h"

bool tree_without_openat2;

static int openat2_call(int directory, const char *path, int flags, uint64_t resolve)
{
    if (tree_without_openat2)
        return -ENOSYS;
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = resolve};
    for (;;) {
        long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        /* EAGAIN: something was renamed while the kernel looked; asking again is the documented answer. */
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

/* One name at a time. O_PATH | O_NOFOLLOW opens a link itself, so O_DIRECTORY refuses it. */
static int open_by_names(int directory, const char *path, int flags)
{
    int at = fcntl(directory, F_DUPFD_CLOEXEC, 3);
    while (at >= 0) {
        size_t length = strcspn(path, "/");
        char name[256];
        if (length >= sizeof name) {
            close(at);
            return -ENAMETOOLONG;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        bool last = path[length] == '\0';
        if (strcmp(name, "..") == 0) {
            close(at);
            return -EXDEV;
        }
        int next = openat(at, length ? name : ".",
                          (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        close(at);
        if (next < 0)
            return -error;
        if (last)
            return next;
        path += length + 1;
        at = next;
    }
    return -errno;
}

int tree_open(int directory, const char *path, int flags)
{
    int fd = openat2_call(directory, *path ? path : ".", flags | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    return fd == -ENOSYS ? open_by_names(directory, path, flags) : fd;
}

int tree_open_same_mount(int directory, const char *name, int flags)
{
    int fd = openat2_call(directory, name, flags | O_NOFOLLOW,
                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    if (fd != -ENOSYS)
        return fd;
    fd = open_by_names(directory, name, flags);
    if (fd < 0)
        return fd;
    /* Linux < 5.8 does not know STATX_ATTR_MOUNT_ROOT; there the device number has to do. */
    struct statx above, here;
    int error = 0;
    if (statx(directory, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &above) != 0 ||
        statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &here) != 0)
        error = errno;
    else if (above.stx_dev_major != here.stx_dev_major || above.stx_dev_minor != here.stx_dev_minor ||
             (here.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        error = EXDEV;
    if (error == 0)
        return fd;
    close(fd);
    return -error;
}
