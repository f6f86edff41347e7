/*
 * The stream of records that goes out: small things are gathered in one buffer; the content of a big
 * file goes from the page cache to the pipe or socket without passing through our memory.
 *
 * A record says how much content follows, so exactly that much must: a file that a running program
 * made longer is cut, a big one that it made shorter ends the stream without its END.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

#include "pack.h"

enum {
    CAPACITY = 256 * 1024,
};

void output_open(struct output *out, int fd)
{
    *out = (struct output){.fd = fd, .buffer = xmalloc(CAPACITY), .sends = true};
}

void output_close(struct output *out)
{
    free(out->buffer);
    out->buffer = NULL;
}

int output_flush(struct output *out)
{
    size_t length = out->length;
    out->length = 0;
    return length == 0 || write_all(out->fd, out->buffer, length) == 0 ? 0 : -errno;
}

int output_reserve(struct output *out, size_t n)
{
    return n > CAPACITY - out->length ? output_flush(out) : 0;
}

static int put(struct output *out, const void *data, size_t length)
{
    if (length > CAPACITY - out->length) {
        int result = output_flush(out);
        if (result < 0)
            return result;
        if (length > CAPACITY)
            return write_all(out->fd, data, length) == 0 ? 0 : -errno;
    }
    if (length > 0)
        memcpy(out->buffer + out->length, data, length);
    out->length += length;
    return 0;
}

int output_record(struct output *out, struct record *record, const char *path, const char *link, const uint8_t *xattrs)
{
    record->path_length = (uint32_t)strlen(path);
    record->link_length = (uint32_t)strlen(link);
    uint64_t length = (uint64_t)RECORD_HEADER_SIZE + record->path_length + record->link_length + record->xattr_length;
    if (length > RECORD_MAX)
        return -E2BIG;
    record->length = (uint32_t)length;
    int result = put(out, record, sizeof *record);
    if (result == 0)
        result = put(out, path, record->path_length);
    if (result == 0)
        result = put(out, link, record->link_length);
    return result == 0 ? put(out, xattrs, record->xattr_length) : result;
}

static ssize_t send_some(struct output *out, int file, uint64_t offset, uint64_t n)
{
    off_t at = (off_t)offset;
    size_t wanted = n < (1 << 30) ? (size_t)n : 1 << 30;
    for (;;) {
        ssize_t count = sendfile(out->fd, file, &at, wanted);
        if (count >= 0)
            return count;
        if (errno == EAGAIN) {
            struct pollfd wanted_fd = {.fd = out->fd, .events = POLLOUT};
            poll(&wanted_fd, 1, -1);
        } else if (errno != EINTR)
            return -errno;
    }
}

int output_content(struct output *out, int file, uint64_t offset, uint64_t n)
{
    while (n > 0) {
        ssize_t count;
        if (out->sends && n >= WORTH_SENDING) {
            int result = output_flush(out);
            if (result < 0)
                return result;
            count = send_some(out, file, offset, n);
            if (count == -EINVAL || count == -ENOSYS) {
                out->sends = false; /* a file or a terminal as the output, or an odd file system */
                continue;
            }
        } else {
            if (out->length == CAPACITY) {
                int result = output_flush(out);
                if (result < 0)
                    return result;
            }
            size_t room = CAPACITY - out->length;
            count = pread(file, out->buffer + out->length, n < room ? (size_t)n : room, (off_t)offset);
            if (count < 0 && errno == EINTR)
                continue;
            if (count > 0)
                out->length += (size_t)count;
            else if (count < 0)
                count = -errno;
        }
        if (count <= 0)
            return count == 0 ? -ENODATA : (int)count;
        offset += (uint64_t)count;
        n -= (uint64_t)count;
    }
    return 0;
}
