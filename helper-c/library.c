/*
 * libtsbox.so: the few system calls that Node lacks and the runner needs in its own process. Called
 * through koffi (runner/sys/native.ts) or addon.c, so every function takes plain C types and returns -errno on
 * failure. Nothing here makes namespaces or mounts: that is the helper's.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "become.h"
#include "library.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int tsbox_version(void)
{
    return 1;
}

/* Become another program. */
EXPORT int tsbox_replace(const char *path, const char **argv)
{
    become_clean();
    execv(path, (char *const *)argv);
    return -errno;
}

/* Open `path` as if `root` were "/": no symbolic link and no ".." leads out. O_CLOEXEC. */
EXPORT int tsbox_open_in_root(const char *root, const char *path, int flags)
{
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    int error = errno;
    close(directory);
    return fd < 0 ? -error : (int)fd;
}

/* What tells that a file was not written since; the fields of runner/sys/scan.ts, in this machine's byte order. */
struct stamp {
    uint64_t inode, size, modified, changed; /* times in nanoseconds since 1970 */
};

static struct stamp stamp_of(const struct stat *status)
{
    return (struct stamp){
        .inode = status->st_ino,
        .size = (uint64_t)status->st_size,
        .modified = (uint64_t)status->st_mtim.tv_sec * 1000000000u + (uint64_t)status->st_mtim.tv_nsec,
        .changed = (uint64_t)status->st_ctim.tv_sec * 1000000000u + (uint64_t)status->st_ctim.tv_nsec,
    };
}

/* Beside the mode: the entry has extended attributes. */
#define HAS_ATTRIBUTES (1u << 31)

/* Whether it has any; what cannot be asked counts as none. */
static bool has_attributes(const char *folder, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    if (!S_ISREG(mode) && !S_ISDIR(mode))
        return false;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && llistxattr(path, NULL, 0) > 0;
}

/* One entry of a folder; its name follows, with zeros up to a multiple of eight. */
struct scanned {
    struct stamp stamp;
    uint32_t mode, links, device, name_length;
};

/*
 * The entries of a folder with what lstat tells of them, as the file system has them; if asked, also
 * which have extended attributes. Returns the bytes, or -errno; -EOVERFLOW: `capacity` is too small.
 */
EXPORT int tsbox_scan_folder(const char *path, uint8_t *out, size_t capacity, int attributes)
{
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    size_t used = 0;
    int result = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            result = -errno;
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        struct stat status;
        if (fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue; /* gone meanwhile */
            result = -errno;
            break;
        }
        size_t length = strlen(name);
        size_t padded = (length + 7) & ~(size_t)7;
        if (sizeof(struct scanned) + padded > capacity - used) {
            result = -EOVERFLOW;
            break;
        }
        struct scanned scanned = {
            .stamp = stamp_of(&status),
            .mode = status.st_mode | (attributes && has_attributes(path, name, status.st_mode) ? HAS_ATTRIBUTES : 0),
            .links = (uint32_t)status.st_nlink,
            .device = (uint32_t)status.st_dev,
            .name_length = (uint32_t)length,
        };
        memcpy(out + used, &scanned, sizeof scanned);
        memcpy(out + used + sizeof scanned, name, length);
        memset(out + used + sizeof scanned + length, 0, padded - length);
        used += sizeof scanned + padded;
    }
    closedir(folder);
    return result < 0 ? result : (int)used;
}

/*
 * A regular file at once: its stamp as it is after the reading, then its content. Returns the length
 * of the content, or -errno; -EFBIG: it does not fit.
 */
EXPORT int tsbox_read_small(const char *path, uint8_t *out, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    size_t used = sizeof(struct stamp);
    int result = capacity < used ? -EFBIG : 0;
    while (result == 0) {
        ssize_t count = read(fd, out + used, capacity - used);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            result = -errno;
        if (count <= 0)
            break;
        used += (size_t)count;
        if (used == capacity)
            result = -EFBIG;
    }
    struct stat status;
    if (result == 0 && fstat(fd, &status) < 0)
        result = -errno;
    close(fd);
    if (result < 0)
        return result;
    struct stamp stamp = stamp_of(&status);
    memcpy(out, &stamp, sizeof stamp);
    return (int)(used - sizeof stamp);
}

/* Open (making it, mode 0600) and flock a file, or -EWOULDBLOCK. The descriptor holds the lock until it is closed. */
EXPORT int tsbox_lock(const char *path, int exclusive)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* 1: nobody holds it, or there is no such file; 0: somebody does. */
EXPORT int tsbox_lock_is_free(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 1 : -errno;
    int free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    int error = errno;
    close(fd);
    return free ? 1 : error == EWOULDBLOCK ? 0 : -error;
}

/* Field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie. */
unsigned long long tsbox_start_time(int pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    /* the second field may hold blanks and parentheses */
    char *field = strrchr(text, ')');
    if (!field || field[1] != ' ' || field[2] == 'Z' || field[2] == 'X')
        return 0;
    field += 2;
    for (int number = 3; number < 22; number++) {
        field = strchr(field, ' ');
        if (!field)
            return 0;
        field++;
    }
    return strtoull(field, NULL, 10);
}

/* A pidfd of the process that has this start time; -ESRCH when it is gone, whatever has its pid now. */
static int open_process(int pid, unsigned long long started)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    if (tsbox_start_time(pid) != started) {
        close(fd);
        return -ESRCH;
    }
    return fd;
}

EXPORT int tsbox_pidfd_signal(int pid, unsigned long long started, int number)
{
    int fd = open_process(pid, started);
    if (fd < 0)
        return fd;
    int result = syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) < 0 ? -errno : 0;
    close(fd);
    return result;
}

/* 0: the process is gone; 1: it is still there after `milliseconds`. */
EXPORT int tsbox_pidfd_wait(int pid, unsigned long long started, int milliseconds)
{
    int fd = open_process(pid, started);
    if (fd < 0)
        return fd == -ESRCH ? 0 : fd;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int count = poll(&poll_fd, 1, milliseconds);
    int result = count > 0 ? 0 : count == 0 ? 1 : errno == EINTR ? 1 : -errno;
    close(fd);
    return result;
}

/* A sealed file in memory, positioned at its start. */
EXPORT int tsbox_memfd(const void *data, size_t length)
{
    int fd = memfd_create("tsbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < length;) {
        ssize_t count = pwrite(fd, (const char *)data + done, length - done, (off_t)done);
        if (count < 0) {
            int error = errno;
            close(fd);
            return -error;
        }
        done += (size_t)count;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
}

/* out[0] is the end to read; where it can be had, the pipe holds `size` bytes (0: what the kernel gives). */
EXPORT int tsbox_pipe(int *out, int size)
{
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (size > 0)
        fcntl(out[1], F_SETPIPE_SZ, size);
    return 0;
}

/*
 * Puts memory that other processes can map in the place of this one, which has whole pages and nothing in it yet: a descriptor of it. Its owner
 * goes on to use and to free it as before. (V8 reserves WebAssembly's memory with mmap, never moves it and frees it with munmap.)
 */
EXPORT int tsbox_share_memory(void *at, size_t length)
{
    int fd = memfd_create("tsbox-lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)length) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
        mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* Messages keep their boundaries, or (stream) are one stream of bytes. */
EXPORT int tsbox_socketpair(int *out, int stream)
{
    int type = stream ? SOCK_STREAM : SOCK_SEQPACKET;
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out) < 0 ? -errno : 0;
}

/* One message with descriptors (at most 16). */
EXPORT int tsbox_send_fds(int socket, const void *data, size_t length, const int *fds, int count)
{
    if (count < 0 || count > 16)
        return -EINVAL;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : (int)sent;
}

/* Extended attributes of the name itself, also where it is a symbolic link. With capacity 0 nothing is
 * written and the size that is needed is returned; -ERANGE when it did not fit. */
EXPORT int tsbox_getxattr(const char *path, const char *name, void *value, size_t capacity)
{
    ssize_t length = lgetxattr(path, name, value, capacity);
    return length < 0 ? -errno : (int)length;
}

EXPORT int tsbox_setxattr(const char *path, const char *name, const void *value, size_t length)
{
    return lsetxattr(path, name, value, length, 0) < 0 ? -errno : 0;
}

/* Names, each ended by a NUL byte. */
EXPORT int tsbox_listxattr(const char *path, void *names, size_t capacity)
{
    ssize_t length = llistxattr(path, names, capacity);
    return length < 0 ? -errno : (int)length;
}
