/*
 * Where the root is a copy of the layers, a change is what differs from them. Attributes are compared always; a
 * content only of files whose inode was touched after the copy was complete: nobody can set a ctime back.
 */
#include <linux/limits.h>
#include <string.h>

#include "pack.h"

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static int same_content(int a, int b, off_t size)
{
    char left[32 * 1024], right[sizeof left];
    for (off_t at = 0; at < size;) {
        ssize_t count = pread(a, left, sizeof left, at);
        if (count < 0)
            return -errno;
        for (ssize_t have = 0, piece; have < count; have += piece) {
            piece = pread(b, right + have, (size_t)(count - have), at + have);
            if (piece < 0)
                return -errno;
            if (piece == 0)
                return 0;
        }
        if (count == 0 || memcmp(left, right, (size_t)count) != 0)
            return 0;
        at += count;
    }
    return 1;
}

static int same_link(int directory, int other, const char *name)
{
    char left[PATH_MAX], right[PATH_MAX];
    ssize_t length = readlinkat(directory, name, left, sizeof left);
    if (length < 0)
        return -errno;
    ssize_t other_length = readlinkat(other, name, right, sizeof right);
    return other_length < 0 ? -errno : length == other_length && memcmp(left, right, (size_t)length) == 0;
}

/* A directory's time is told by what came and went in it; its xattrs are compared like a file's. */
int same_as_original(int directory, const char *name, int fd, const struct stat *st, const struct entry *entry,
                     const uint8_t *xattrs, const struct original *original, const struct timespec *copied)
{
    const struct stat *was = &original->st;
    if (((st->st_mode ^ was->st_mode) & (S_IFMT | 07777)) || st->st_uid != was->st_uid || st->st_gid != was->st_gid)
        return 0;
    if (entry->record.mtime_sec != was->st_mtim.tv_sec || entry->record.mtime_nsec != (uint32_t)was->st_mtim.tv_nsec)
        return 0;
    if (S_ISLNK(st->st_mode))
        return same_link(directory, original->directory, name);
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return st->st_rdev == was->st_rdev;
    if (S_ISREG(st->st_mode) && st->st_size != was->st_size)
        return 0;
    cleanup_fd int other = openat(original->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat now;
    if (other < 0 || fstat(other, &now) < 0)
        return -errno;
    struct entry there;
    cleanup_free uint8_t *other_xattrs = NULL;
    int result = attributes_read(other, &now, &there, &other_xattrs);
    if (result < 0)
        return result;
    if (entry->record.xattr_length != there.record.xattr_length ||
        (there.record.xattr_length > 0 && memcmp(xattrs, other_xattrs, there.record.xattr_length) != 0))
        return 0;
    if (!S_ISREG(st->st_mode) || is_before(&st->st_ctim, copied))
        return 1;
    return same_content(fd, other, st->st_size);
}
