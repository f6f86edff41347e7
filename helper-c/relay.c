/*
 * Streams between the container and the user. A stream holds one chunk: it is read only when the
 * last was delivered, so a slow reader slows the program and never fills memory.
 *
 * The user's descriptors are shared with other programs; O_NONBLOCK on them would be theirs too. So
 * writing uses RWF_NOWAIT where the kernel knows it, and otherwise at most PIPE_BUF bytes after
 * poll has said that there is room: a pipe then takes them without blocking.
 */
#include "helper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define CHUNK_SAFE 4096

void (*stream_observer)(char letter, const char *data, size_t length);

bool stream_pending(const struct stream *stream)
{
    return stream->start < stream->end;
}

static void close_end(int *fd)
{
    if (*fd > STDERR_FILENO)
        close(*fd);
    *fd = -1;
}

static void finish(struct stream *stream)
{
    /* A terminal has no end-of-file of its own: ^D says it. */
    if (stream->to >= 0 && stream->to_terminal && stream->from >= 0 && !stream->from_terminal) {
        ssize_t done = write(stream->to, "\004", 1);
        (void)done;
    }
    if (!stream->from_terminal)
        close_end(&stream->from);
    stream->from = -1;
    if (!stream->to_terminal && !stream->to_client)
        close_end(&stream->to);
    stream->to = -1;
    free(stream->data);
    stream->data = NULL;
    stream->start = stream->end = 0;
}

bool stream_read(struct stream *stream)
{
    if (!stream->data)
        stream->data = xmalloc(STREAM_SIZE);
    ssize_t count = read(stream->from, stream->data, STREAM_SIZE);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    /* EIO: the last program has closed the terminal. */
    if (count <= 0) {
        finish(stream);
        return true;
    }
    if (stream->log >= 0)
        log_write(stream->log, stream->name, stream->data, (size_t)count);
    if (stream->letter && stream_observer)
        stream_observer(stream->letter, stream->data, (size_t)count);
    if (stream->to >= 0) {
        stream->start = 0;
        stream->end = (size_t)count;
        stream_write(stream);
    }
    return true;
}

static ssize_t write_without_blocking(struct stream *stream, const void *data, size_t length)
{
    if (stream->to_client)
        return packet_send(stream->to, stream->letter, data, length);
    if (stream->to_plain)
        return write(stream->to, data, length);
    struct iovec piece = {.iov_base = (void *)data, .iov_len = length};
    ssize_t count = pwritev2(stream->to, &piece, 1, -1, RWF_NOWAIT);
    if (count >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
        return count;
    return write(stream->to, data, length < CHUNK_SAFE ? length : CHUNK_SAFE);
}

void stream_write(struct stream *stream)
{
    if (!stream_pending(stream)) {
        if (stream->ending)
            finish(stream);
        return;
    }
    ssize_t count =
        write_without_blocking(stream, stream->data + stream->start, stream->end - stream->start);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* Nobody reads any more: pass that on, the program gets SIGPIPE as it would without a container. */
    if (count < 0 && stream->to_client) {
        /* attach.c sees the owner's end, and what it means. */
        stream->to = -1;
        stream->start = stream->end = 0;
        return;
    }
    if (count < 0) {
        finish(stream);
        stream->broken = true;
        return;
    }
    stream->start += (size_t)count;
    if (!stream_pending(stream) && stream->ending)
        finish(stream);
}
