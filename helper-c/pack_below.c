/*
 * What the LOWERs show of one directory. They are followed down beside the walk, by descriptors, so
 * that a name costs one stat(2) a layer that has the directory, and nothing at all in a new one.
 */
#include <stdlib.h>
#include <string.h>

#include "pack.h"

void below_close(struct below *below)
{
    for (size_t i = 0; i < below->count; i++)
        close(below->layers[i].fd);
    free(below->layers);
    *below = (struct below){0};
}

int below_find(const struct below *below, const char *name, struct stat *st)
{
    for (size_t i = 0; i < below->count; i++) {
        const struct below_layer *layer = &below->layers[i];
        if (fstatat(layer->fd, name, st, AT_SYMLINK_NOFOLLOW) == 0) {
            int whiteout = whiteout_look(layer->fd, name, st);
            return whiteout == 0 ? (int)layer->number : whiteout > 0 ? 0 : whiteout;
        }
        if (errno != ENOENT)
            return -errno;
    }
    return 0;
}

int below_enter(const struct below *below, const char *name, struct below *entered)
{
    *entered = (struct below){0};
    if (below->count == 0)
        return 0;
    entered->layers = xcalloc(below->count, sizeof *entered->layers);
    for (size_t i = 0; i < below->count; i++) {
        const struct below_layer *layer = &below->layers[i];
        int fd = openat(layer->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
            break; /* something else, or a whiteout: what is further down does not show */
        if (fd < 0) {
            int error = errno;
            below_close(entered);
            return -error;
        }
        entered->layers[entered->count++] = (struct below_layer){.fd = fd, .number = layer->number};
        if (opaque_is(fd))
            break;
    }
    return 0;
}

int below_directory(const struct below *below, uint32_t number)
{
    for (size_t i = 0; i < below->count; i++)
        if (below->layers[i].number == number)
            return below->layers[i].fd;
    errno = ENOENT;
    return -1;
}

int below_open(const struct below *below, uint32_t number, const char *name, int flags)
{
    int directory = below_directory(below, number);
    return directory < 0 ? -1 : openat(directory, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

int below_names(const struct below *below, struct names *names)
{
    *names = (struct names){0};
    int result = 0;
    for (size_t i = 0; i < below->count && result == 0; i++) {
        struct names own;
        result = names_read(&own, below->layers[i].fd);
        if (result < 0)
            break;
        for (size_t k = 0; k < own.count && result >= 0; k++) {
            struct stat st;
            result = below_find(below, own.list[k], &st);
            /* Each name once: of the layer that shows it. */
            if (result != (int)below->layers[i].number)
                continue;
            buffer_put(&names->text, own.list[k] - 1, strlen(own.list[k]) + 2); /* its type stands before it */
            names->count++;
        }
        result = result < 0 ? result : 0;
        names_free(&own);
    }
    if (result < 0) {
        names_free(names);
        return result;
    }
    names_sort(names);
    return 0;
}
