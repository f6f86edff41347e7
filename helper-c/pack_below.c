/*
 * What the LOWERs show of one directory. They are followed down beside the walk, by descriptors, so
 * that a name costs one stat(2) a layer that has the directory, and nothing at all in a new one.
 */
#include <stdlib.h>

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
