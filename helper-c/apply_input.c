/*
 * The stream of records: one buffer, filled by big reads. Records are looked at where they lie;
 * content that is already in the buffer is written from there, the rest of a big file goes from
 * pipe to file without passing through our memory where the kernel can do that.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"

enum {
    CHUNK = 256 * 1024,
    PIPE_SIZE = 1024 * 1024,
    /* Below this a system call more costs more than a copy less. */
    WORTH_SPLICING = 64 * 1024,
};

int input_open(struct input *in, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    *in = (struct input){.fd = fd, .capacity = CHUNK, .buffer = xmalloc(CHUNK)};
    in->splices = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
    /* A bigger pipe means fewer switches between the runner and us; refusal (a limit of the
     * system) costs only speed. */
    if (S_ISFIFO(st.st_mode))
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
    return 0;
}

void input_close(struct input *in)
{
    free(in->buffer);
    in->buffer = NULL;
}

static void wait_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    poll(&wanted, 1, -1);
}

/* Reads what comes, at least one byte. 1, 0 at the end, or -errno. */
static int fill(struct input *in)
{
    for (;;) {
        ssize_t count = read(in->fd, in->buffer + in->end, in->capacity - in->end);
        if (count > 0) {
            in->end += (size_t)count;
            return 1;
        }
        if (count == 0) {
            in->ended = true;
            return 0;
        }
        if (errno == EAGAIN)
            wait_readable(in->fd);
        else if (errno != EINTR)
            return -errno;
    }
}

const uint8_t *input_peek(struct input *in, size_t n)
{
    if (in->end - in->start < n && in->capacity - in->start < n) {
        memmove(in->buffer, in->buffer + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
        if (n > in->capacity) {
            in->buffer = xrealloc(in->buffer, n);
            in->capacity = n;
        }
    }
    while (in->end - in->start < n) {
        int filled = fill(in);
        if (filled <= 0) {
            errno = filled == 0 ? ENODATA : -filled;
            return NULL;
        }
    }
    return in->buffer + in->start;
}

void input_skip(struct input *in, size_t n)
{
    in->start += n;
    if (in->start == in->end)
        in->start = in->end = 0;
}

/* Moves up to N bytes without copying them through here. How many; 0 where splice does not do. */
static ssize_t splice_some(struct input *in, int fd, uint64_t n)
{
    size_t wanted = n < PIPE_SIZE ? (size_t)n : PIPE_SIZE;
    for (;;) {
        ssize_t count = splice(in->fd, NULL, fd, NULL, wanted, SPLICE_F_MOVE);
        if (count > 0)
            return count;
        if (count < 0 && errno == EAGAIN)
            wait_readable(in->fd);
        else if (count == 0 || errno != EINTR)
            return count == 0 || errno == EINVAL || errno == ENOSYS || errno == EPERM ? 0 : -errno;
    }
}

int input_copy(struct input *in, int fd, uint64_t n, bool *reading)
{
    *reading = false;
    while (n > 0) {
        size_t there = in->end - in->start;
        if (there == 0 && in->splices && n >= WORTH_SPLICING) {
            ssize_t count = splice_some(in, fd, n);
            if (count < 0)
                return (int)count;
            if (count == 0)
                in->splices = false; /* or the end of the stream, which read() tells apart */
            n -= (uint64_t)count;
            continue;
        }
        if (there == 0) {
            int filled = fill(in);
            if (filled <= 0) {
                *reading = true;
                return filled == 0 ? -ENODATA : filled;
            }
            continue;
        }
        size_t now = there < n ? there : (size_t)n;
        if (write_all(fd, in->buffer + in->start, now) < 0)
            return -errno;
        input_skip(in, now);
        n -= now;
    }
    return 0;
}
