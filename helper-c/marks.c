/* Whether a directory is opaque, and whether an entry is a whiteout. Nothing is followed. */
#include "marks.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "helper.h"

bool opaque_is(int directory)
{
    char value = 0;
    return fgetxattr(directory, XATTR_OPAQUE, &value, 1) == 1 && value == 'y';
}

int whiteout_look(int parent, const char *name, const struct stat *st)
{
    if (S_ISCHR(st->st_mode))
        return st->st_rdev == makedev(0, 0);
    if (!S_ISREG(st->st_mode) || st->st_size != 0)
        return 0;
    cleanup_fd int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES || errno == EPERM ? -errno : 0;
    return fgetxattr(fd, XATTR_WHITEOUT, NULL, 0) >= 0;
}

bool whiteout_is(int parent, const char *name, const struct stat *st)
{
    return whiteout_look(parent, name, st) > 0;
}
