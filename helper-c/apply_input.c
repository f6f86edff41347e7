/*
 * The stream of records, read ahead of its use by a thread of its own. Whoever makes the records and whoever applies them take turns at being the
 * slower one: large files cost the first more, small ones the second. A pipe's megabyte between them is too little for both to be busy all the time.
 *
 * The bytes lie in a ring that is mapped twice, one mapping behind the other, so that what goes over its end is contiguous too.
 *
 * Of a layer that the runner decompresses in memory which it can share only the records come this way (apply_lent.c).
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "apply.h"

enum {
    RING_SIZE = 16 * 1024 * 1024,
    READ_SIZE = 256 * 1024,
    PIPE_SIZE = 1024 * 1024,
};

_Static_assert(RING_SIZE >= 2 * RECORD_MAX, "a record and what follows it fit into the ring");

/* Positions count the bytes of the stream. */
struct ring {
    int fd;
    uint8_t *bytes;
    /* The user's own: what it has used, and what it knows to be there. */
    uint64_t from, seen;

    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    uint64_t read;
    uint64_t used;   /* `from`, as far as it was told */
    uint64_t wanted; /* `read` that the user waits for */
    int error;       /* why no more is read: ENODATA at the end */
};

static uint8_t *map_twice(size_t size)
{
    cleanup_fd int fd = memfd_create("records", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        return NULL;
    uint8_t *at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    for (size_t half = 0; half < 2; half++) {
        if (mmap(at + half * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
            munmap(at, 2 * size);
            return NULL;
        }
    }
    return at;
}

/* Reads what comes, at least one byte. How many; or -errno, -ENODATA at the end. */
static ssize_t read_some(int fd, uint8_t *into, size_t room)
{
    for (;;) {
        ssize_t count = read(fd, into, room);
        if (count > 0)
            return count;
        if (count == 0)
            return -ENODATA;
        if (errno == EAGAIN) {
            struct pollfd wanted = {.fd = fd, .events = POLLIN};
            poll(&wanted, 1, -1);
        } else if (errno != EINTR)
            return -errno;
    }
}

static void *read_ahead(void *argument)
{
    struct ring *ring = argument;
    uint64_t read = 0, used = 0;
    for (;;) {
        size_t room = RING_SIZE - (size_t)(read - used);
        ssize_t count = read_some(ring->fd, ring->bytes + read % RING_SIZE, room < READ_SIZE ? room : READ_SIZE);
        pthread_mutex_lock(&ring->mutex);
        if (count > 0)
            ring->read = read += (size_t)count;
        else
            ring->error = (int)-count;
        if (count < 0 || read >= ring->wanted)
            pthread_cond_signal(&ring->changed);
        while (count > 0 && read - ring->used == RING_SIZE)
            pthread_cond_wait(&ring->changed, &ring->mutex);
        used = ring->used;
        pthread_mutex_unlock(&ring->mutex);
        if (count < 0)
            return NULL;
    }
}

int input_open(struct input *in, int fd, bool lent)
{
    int borrowed = lent ? lent_open(&in->lent, fd) : 0;
    if (borrowed < 0)
        return borrowed;
    struct ring *ring = xcalloc(1, sizeof *ring);
    *ring = (struct ring){
        .fd = fd, .bytes = map_twice(RING_SIZE), .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
    };
    int result = ring->bytes ? 0 : -errno;
    if (result == 0 && !lent) {
        /* A larger pipe means fewer switches between the runner and us; refusal (a limit of the system) costs only speed. */
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
        result = -pthread_create(&ring->thread, NULL, read_ahead, ring);
    }
    if (result == 0) {
        in->ring = ring;
        return 0;
    }
    if (ring->bytes)
        munmap(ring->bytes, 2 * (size_t)RING_SIZE);
    free(ring);
    lent_close(in->lent);
    in->lent = NULL;
    return result;
}

void input_close(struct input *in)
{
    struct ring *ring = in->ring;
    if (!ring)
        return;
    in->ring = NULL;
    /* The reader waits in read(2) or for room, where it can be ended. */
    if (!in->lent) {
        pthread_cancel(ring->thread);
        pthread_join(ring->thread, NULL);
    }
    munmap(ring->bytes, 2 * (size_t)RING_SIZE);
    free(ring);
    lent_close(in->lent);
    in->lent = NULL;
}

/* The same without a reading thread: there is little to read. */
static void look_now(struct input *in, size_t n)
{
    struct ring *ring = in->ring;
    while (ring->read - ring->from < n && ring->error == 0) {
        lent_wait(in->lent);
        size_t room = RING_SIZE - (size_t)(ring->read - ring->from);
        ssize_t count = read_some(ring->fd, ring->bytes + ring->read % RING_SIZE, room < READ_SIZE ? room : READ_SIZE);
        if (count > 0)
            ring->read += (size_t)count;
        else /* its end, where the other side had not taken all that it was told */
            ring->error = count == -ECONNRESET ? ENODATA : (int)-count;
    }
    ring->seen = ring->read;
    ring->used = ring->from;
}

/* Tells the reader what was used, and waits for N bytes behind that, or as many as there are before the stream ends or fails. */
static void look(struct input *in, size_t n)
{
    struct ring *ring = in->ring;
    if (in->lent) {
        look_now(in, n);
        return;
    }
    pthread_mutex_lock(&ring->mutex);
    ring->used = ring->from;
    pthread_cond_signal(&ring->changed);
    ring->wanted = ring->from + n;
    while (ring->read < ring->wanted && ring->error == 0)
        pthread_cond_wait(&ring->changed, &ring->mutex);
    ring->seen = ring->read;
    pthread_mutex_unlock(&ring->mutex);
}

const uint8_t *input_peek(struct input *in, size_t n)
{
    struct ring *ring = in->ring;
    if (ring->seen - ring->from < n)
        look(in, n);
    if (ring->seen - ring->from >= n)
        return ring->bytes + ring->from % RING_SIZE;
    errno = ring->error;
    return NULL;
}

void input_skip(struct input *in, size_t n)
{
    struct ring *ring = in->ring;
    ring->from += n;
    /* Without a look now and then the reader would think the ring full while we go on in what we know. */
    if (ring->from - ring->used > RING_SIZE / 4)
        look(in, 0);
}

int input_copy(struct input *in, int fd, uint64_t n, bool *reading)
{
    struct ring *ring = in->ring;
    while (n > 0) {
        size_t now = n < READ_SIZE ? (size_t)n : READ_SIZE;
        const uint8_t *bytes = input_peek(in, now);
        *reading = !bytes;
        if (!bytes)
            return -ring->error;
        size_t there = (size_t)(ring->seen - ring->from);
        if (there > n)
            there = (size_t)n;
        if (there > RING_SIZE / 4)
            there = RING_SIZE / 4;
        if (write_all(fd, bytes, there) < 0)
            return -errno;
        input_skip(in, there);
        n -= there;
    }
    *reading = false;
    return 0;
}
