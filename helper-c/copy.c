/* Copying one file, link or node: its content, with its holes, by whatever the file systems do fastest, and its attributes. */
#include "tree.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "helper.h"

static int copy_range(int from, int to, off_t start, off_t end)
{
    char buffer[64 * 1024];
    while (start < end) {
        off_t at = start, to_at = start;
        ssize_t count = copy_file_range(from, &at, to, &to_at, (size_t)(end - start), 0);
        if (count < 0 && errno != EINTR) {
            /* Across file systems older kernels cannot: by hand. */
            size_t wanted = (size_t)(end - start) < sizeof buffer ? (size_t)(end - start) : sizeof buffer;
            count = pread(from, buffer, wanted, start);
            if (count < 0 || (count > 0 && pwrite(to, buffer, (size_t)count, start) != count))
                return -errno;
        }
        if (count == 0)
            return -ENODATA; /* became shorter while we read: somebody works in a LOWER */
        if (count > 0)
            start += count;
    }
    return 0;
}

int copy_content(int from, int to, off_t size)
{
    off_t start = 0;
    /* btrfs, xfs, bcachefs: the same blocks, until one of the two is written to */
    if (size > 0 && ioctl(to, FICLONE, from) == 0)
        start = size;
    while (start < size) {
        start = lseek(from, start, SEEK_DATA);
        if (start < 0 && errno == ENXIO)
            break; /* only a hole is left */
        off_t end = start < 0 ? -1 : lseek(from, start, SEEK_HOLE);
        if (end < 0) {
            start = start < 0 ? 0 : start;
            end = size;
        }
        int copied = copy_range(from, to, start, end < size ? end : size);
        if (copied < 0)
            return copied;
        start = end;
    }
    return ftruncate(to, size) == 0 ? 0 : -errno;
}

/*** Attributes ***/

static bool is_overlays(const char *name)
{
    return strncmp(name, "user.overlay.", 13) == 0 || strncmp(name, "user.fuseoverlayfs.", 19) == 0;
}

/* Those that this namespace cannot express or the file system has not are left out, as by `cp -a`. */
static int copy_xattrs(int from, int to)
{
    char names[64 * 1024], value[64 * 1024];
    ssize_t length = flistxattr(from, names, sizeof names);
    if (length < 0)
        return errno == ENOTSUP ? 0 : -errno;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        if (is_overlays(name))
            continue; /* says something of the layer it is in, not of the file */
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        if (size >= 0 && fsetxattr(to, name, value, (size_t)size, 0) < 0 && errno != ENOTSUP && errno != EPERM &&
            errno != EINVAL)
            return -errno;
    }
    return 0;
}

/* chown first: it takes setuid bits and capabilities away. An owner outside the map stays the namespace's root. */
int copy_attributes(int from, int to, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchown(to, st->st_uid, st->st_gid) < 0 && errno != EPERM && errno != EINVAL)
        return -errno;
    if (fchmod(to, st->st_mode & 07777) < 0)
        return -errno;
    int result = copy_xattrs(from, to);
    return result < 0 ? result : futimens(to, times) < 0 ? -errno : 0;
}

int copy_attributes_at(int parent, const char *name, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchownat(parent, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM && errno != EINVAL)
        return -errno;
    return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/*** Entries ***/

int copy_file_at(int from, int to, const char *name)
{
    struct stat st;
    cleanup_fd int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (source < 0 || fstat(source, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ESTALE;
    cleanup_fd int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (copy < 0)
        return -errno;
    int result = copy_content(source, copy, st.st_size);
    return result < 0 ? result : copy_attributes(source, copy, &st);
}

int copy_link_at(int from, int to, const char *name, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0)
        return -errno;
    target[length] = 0;
    if (symlinkat(target, to, name) < 0)
        return -errno;
    return copy_attributes_at(to, name, st);
}

/* Device nodes cannot be made here; nobody can use them in a volume either. */
int copy_node_at(int to, const char *name, const struct stat *st)
{
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        return 0;
    if (mknodat(to, name, st->st_mode & ~07000u, 0) < 0)
        return -errno;
    return copy_attributes_at(to, name, st);
}
