/*
 * Contents that lie in memory of the runner, which has decompressed them there: the stream tells where, and they are written from where they
 * lie. The runner must know when it may use that memory again, so it is told over the socket that the stream comes from, eight bytes each
 * time, how many bytes of contents were used: whenever it was enough, and before a wait for more, as the runner may be waiting too. It
 * may also be busy, and its socket full; nobody waits for that, or all would wait for each other.
 *
 * Most files are only made by the thread that reads the stream, and filled by another one: in a kernel both take about as long, and towards the end
 * of a layer, where small files often are, nobody else is busy. Contents are used in the order of the stream, by whichever thread.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apply.h"

enum {
    TELL_SIZE = 256 * 1024,
    TASKS = 512,
    /* Waking a thread costs as much as a small file. */
    WORTH_WAKING = 64,
    DESCRIPTORS_LEFT = 32,
};

/* A piece to be written. */
struct task {
    struct lent_piece piece;
    int fd;
    bool last; /* of its file, which then gets its time and is closed */
    struct timespec time;
    char *path; /* ours */
};

struct lent {
    const uint8_t *memory;
    size_t size;
    int socket;
    int highest; /* descriptor that may wait for the writing thread: the others are for all else that is opened */

    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t added, done;
    struct task tasks[TASKS];
    uint64_t put, finished; /* how many tasks so far */
    bool sleeping, ending;
    bool starving; /* the stream is waited for */
    uint64_t used, told;
    int error;
    char *failed; /* the path of what could not be written */
};

/*** Memory ***/

static int map_memory(struct lent *lent)
{
    char byte;
    cleanup_fd int fd = -1;
    if (receive_with_descriptor(lent->socket, &byte, 1, &fd) < 0)
        return -errno;
    if (fd < 0)
        return -ENODATA;
    /* Memory that became smaller would end us by a signal. */
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) != 0 || st.st_size <= 0)
        return -EINVAL;
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    lent->memory = at;
    lent->size = (size_t)st.st_size;
    return 0;
}

/* With the mutex. Little is told with ALL alone. A runner that has gone is noticed where its records end. */
static void tell_used(struct lent *lent, bool all)
{
    if (lent->used - lent->told < (all ? 1 : TELL_SIZE))
        return;
    ssize_t sent = send(lent->socket, &lent->used, sizeof lent->used, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* Otherwise it is told again: the runner may wait for it. */
    if (sent == sizeof lent->used || errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        lent->told = lent->used;
}

/* The next piece of a content of which N bytes are missing. */
static int read_piece(struct input *in, uint64_t n, struct lent_piece *piece)
{
    const uint8_t *bytes = input_peek(in, sizeof *piece);
    if (!bytes)
        return -errno;
    memcpy(piece, bytes, sizeof *piece);
    input_skip(in, sizeof *piece);
    bool inside = piece->offset <= in->lent->size && piece->length <= in->lent->size - piece->offset;
    return inside && piece->length > 0 && piece->length <= n ? 0 : -EBADMSG;
}

/*** The writing thread ***/

static int carry_out(const struct lent *lent, const struct task *task)
{
    int result = write_all(task->fd, lent->memory + task->piece.offset, task->piece.length) < 0 ? -errno : 0;
    if (!task->last)
        return result;
    struct timespec times[2] = {task->time, task->time};
    if (result == 0 && futimens(task->fd, times) != 0)
        result = -errno;
    close(task->fd);
    return result;
}

static void *write_contents(void *argument)
{
    struct lent *lent = argument;
    pthread_mutex_lock(&lent->mutex);
    for (;;) {
        while (lent->put == lent->finished && !lent->ending) {
            lent->sleeping = true;
            pthread_cond_signal(&lent->done);
            pthread_cond_wait(&lent->added, &lent->mutex);
        }
        lent->sleeping = false;
        if (lent->put == lent->finished)
            break;
        struct task task = lent->tasks[lent->finished % TASKS];
        int result = lent->error;
        pthread_mutex_unlock(&lent->mutex);
        if (result == 0)
            result = carry_out(lent, &task);
        else if (task.last)
            close(task.fd);
        pthread_mutex_lock(&lent->mutex);
        if (result < 0 && lent->error == 0) {
            lent->error = result;
            lent->failed = task.path;
            task.path = NULL;
        }
        free(task.path);
        lent->used += task.piece.length;
        lent->finished++;
        tell_used(lent, lent->starving && lent->put == lent->finished);
        if (lent->put - lent->finished == TASKS / 2)
            pthread_cond_signal(&lent->done);
    }
    pthread_mutex_unlock(&lent->mutex);
    return NULL;
}

static void wake(struct lent *lent)
{
    if (!lent->sleeping || lent->put == lent->finished)
        return;
    lent->sleeping = false;
    pthread_cond_signal(&lent->added);
}

void lent_wait(struct lent *lent)
{
    struct pollfd more = {.fd = lent->socket, .events = POLLIN};
    for (bool waiting = poll(&more, 1, 0) == 0; waiting;) {
        pthread_mutex_lock(&lent->mutex);
        lent->starving = true;
        wake(lent);
        tell_used(lent, lent->put == lent->finished);
        bool all_told = lent->put == lent->finished && lent->used == lent->told;
        pthread_mutex_unlock(&lent->mutex);
        waiting = poll(&more, 1, all_told ? -1 : 20) <= 0;
    }
    pthread_mutex_lock(&lent->mutex);
    lent->starving = false;
    pthread_mutex_unlock(&lent->mutex);
}

int lent_settle(struct lent *lent, const char **path)
{
    pthread_mutex_lock(&lent->mutex);
    wake(lent);
    while (lent->put > lent->finished)
        pthread_cond_wait(&lent->done, &lent->mutex);
    int error = lent->error;
    *path = lent->failed;
    pthread_mutex_unlock(&lent->mutex);
    return error;
}

/* After an earlier failure it may leave FD to the end of the process. */
int lent_hand_over(struct input *in, int fd, const struct record *record, const char *path, bool *reading)
{
    struct lent *lent = in->lent;
    for (uint64_t left = record->data; left > 0;) {
        struct task task = {.fd = fd, .time = {.tv_sec = record->mtime_sec, .tv_nsec = record->mtime_nsec}};
        int result = read_piece(in, left, &task.piece);
        *reading = result < 0;
        if (result < 0) {
            const char *failed;
            (void)lent_settle(lent, &failed); /* earlier pieces are written to FD */
            close(fd);
            return result;
        }
        left -= task.piece.length;
        task.last = left == 0;
        task.path = xstrdup(path);
        pthread_mutex_lock(&lent->mutex);
        while (lent->put - lent->finished == TASKS)
            pthread_cond_wait(&lent->done, &lent->mutex);
        lent->tasks[lent->put++ % TASKS] = task;
        if (lent->put - lent->finished >= WORTH_WAKING)
            wake(lent);
        int error = lent->error;
        pthread_mutex_unlock(&lent->mutex);
        /* What is left of this file's pieces is read by nobody: the layer has failed. */
        if (error < 0)
            return error;
    }
    const char *failed;
    return fd < lent->highest ? 0 : lent_settle(lent, &failed);
}

/*** The whole ***/

int lent_open(struct lent **result, int socket)
{
    struct lent *lent = xcalloc(1, sizeof *lent);
    *lent = (struct lent){
        .socket = socket, .highest = INT_MAX, .mutex = PTHREAD_MUTEX_INITIALIZER, .added = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER,
    };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX)
        lent->highest = (int)limit.rlim_cur - DESCRIPTORS_LEFT;
    int mapped = map_memory(lent);
    if (mapped == 0)
        mapped = -pthread_create(&lent->thread, NULL, write_contents, lent);
    if (mapped < 0) {
        if (lent->memory)
            munmap((void *)lent->memory, lent->size);
        free(lent);
        return mapped;
    }
    *result = lent;
    return 0;
}

void lent_close(struct lent *lent)
{
    if (!lent)
        return;
    pthread_mutex_lock(&lent->mutex);
    lent->ending = true;
    pthread_cond_signal(&lent->added);
    pthread_mutex_unlock(&lent->mutex);
    pthread_join(lent->thread, NULL);
    munmap((void *)lent->memory, lent->size);
    free(lent->failed);
    free(lent);
}

int lent_copy(struct input *in, int fd, uint64_t n, bool *reading)
{
    struct lent *lent = in->lent;
    while (n > 0) {
        struct lent_piece piece;
        int result = read_piece(in, n, &piece);
        *reading = result < 0;
        if (result < 0)
            return result;
        if (write_all(fd, lent->memory + piece.offset, piece.length) < 0)
            return -errno;
        n -= piece.length;
        pthread_mutex_lock(&lent->mutex);
        lent->used += piece.length;
        tell_used(lent, false);
        pthread_mutex_unlock(&lent->mutex);
    }
    *reading = false;
    return 0;
}
