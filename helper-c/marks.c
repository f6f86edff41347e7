/* Whether a directory is opaque, and whether an entry is a whiteout. Nothing is followed. */
#include "marks.h"

#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "helper.h"

bool opaque_is(int directory)
{
    char value = 0;
    if (fgetxattr(directory, XATTR_OPAQUE, &value, 1) == 1)
        return value == 'y';
    return opaque_is_by_fuse(directory);
}

bool opaque_is_by_fuse(int directory)
{
    char value = 0;
    return fgetxattr(directory, "user.fuseoverlayfs.opaque", &value, 1) == 1 && value == 'y';
}

static bool is_whiteout_link(int parent, const char *name, const struct stat *st)
{
    char target[sizeof WHITEOUT_LINK];
    return st->st_size == sizeof WHITEOUT_LINK - 1 &&
           readlinkat(parent, name, target, sizeof target) == sizeof WHITEOUT_LINK - 1 &&
           memcmp(target, WHITEOUT_LINK, sizeof WHITEOUT_LINK - 1) == 0;
}

int whiteout_look(int parent, const char *name, const struct stat *st)
{
    if (S_ISCHR(st->st_mode))
        return st->st_rdev == makedev(0, 0);
    if (S_ISLNK(st->st_mode))
        return is_whiteout_link(parent, name, st);
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
