/* Inodes with more than one name, and the first path of each: an open-addressing hash table. */
#include <stdlib.h>
#include <string.h>

#include "pack.h"

static size_t slot_of(const struct links *links, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ (device << 32 | device >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(hash >> 20) & (links->space - 1);
    while (links->slots[at].path && (links->slots[at].inode != inode || links->slots[at].device != device))
        at = (at + 1) & (links->space - 1);
    return at;
}

static void grow(struct links *links)
{
    struct links old = *links;
    links->space = old.space ? old.space * 2 : 256;
    links->slots = xcalloc(links->space, sizeof *links->slots);
    for (size_t i = 0; i < old.space; i++)
        if (old.slots[i].path)
            links->slots[slot_of(links, old.slots[i].device, old.slots[i].inode)] = old.slots[i];
    free(old.slots);
}

const char *links_seen(struct links *links, const struct stat *st, const char *path)
{
    if (links->count * 2 >= links->space)
        grow(links);
    struct link *slot = &links->slots[slot_of(links, st->st_dev, st->st_ino)];
    if (slot->path)
        return links->paths.data + slot->path - 1;
    *slot = (struct link){.device = st->st_dev, .inode = st->st_ino, .path = links->paths.length + 1};
    links->count++;
    buffer_put(&links->paths, path, strlen(path) + 1);
    return NULL;
}

void links_free(struct links *links)
{
    free(links->slots);
    buffer_free(&links->paths);
}
