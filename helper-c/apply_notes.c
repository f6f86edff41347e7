/*
 * What has to wait for the end of the layer, by canonical path: a hash table over a list in order
 * of arrival. About 100 bytes an entry, so that a layer with 100,000 directories costs some 10 MB.
 */
#include <stdlib.h>
#include <string.h>

#include "apply.h"

/* FNV-1a; a bad case only costs time, and a layer can waste time more easily. */
static uint64_t hash_of(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 0x100000001b3u;
    return hash;
}

const char *note_path(const struct notes *notes, const struct note *note)
{
    return notes->paths.data + note->path;
}

static size_t slot_of(const struct notes *notes, const char *path, uint64_t hash)
{
    size_t mask = notes->slot_count - 1;
    size_t slot = hash & mask;
    while (notes->slots[slot]) {
        const struct note *note = &notes->list[notes->slots[slot] - 1];
        if (note->hash == hash && strcmp(note_path(notes, note), path) == 0)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

struct note *notes_find(const struct notes *notes, const char *path)
{
    if (notes->count == 0)
        return NULL;
    uint32_t index = notes->slots[slot_of(notes, path, hash_of(path))];
    return index && notes->list[index - 1].flags ? &notes->list[index - 1] : NULL;
}

static void grow(struct notes *notes)
{
    notes->space = notes->space ? notes->space * 2 : 256;
    notes->list = xrealloc(notes->list, notes->space * sizeof *notes->list);
    free(notes->slots);
    notes->slot_count = notes->space * 2;
    notes->slots = xcalloc(notes->slot_count, sizeof *notes->slots);
    for (size_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->list[i];
        notes->slots[slot_of(notes, note_path(notes, note), note->hash)] = (uint32_t)i + 1;
    }
}

struct note *notes_get(struct notes *notes, const char *path)
{
    if (notes->count == notes->space)
        grow(notes);
    uint64_t hash = hash_of(path);
    size_t slot = slot_of(notes, path, hash);
    if (notes->slots[slot])
        return &notes->list[notes->slots[slot] - 1];
    struct note *note = &notes->list[notes->count++];
    size_t length = strlen(path);
    *note = (struct note){.hash = hash, .path = notes->paths.length, .path_length = (uint32_t)length};
    buffer_put(&notes->paths, path, length + 1);
    notes->slots[slot] = (uint32_t)notes->count;
    return note;
}

static void forget(struct notes *notes, struct note *note)
{
    if (note->flags & NOTE_DEFERRED)
        notes->deferred--;
    note->flags = 0;
}

void notes_forget(struct notes *notes, const char *path, bool tree)
{
    struct note *note = notes_find(notes, path);
    if (note)
        forget(notes, note);
    if (!tree)
        return;
    size_t length = strlen(path);
    for (size_t i = 0; i < notes->count; i++) {
        note = &notes->list[i];
        const char *below = note_path(notes, note);
        if (note->flags && note->path_length > length && below[length] == '/' && memcmp(below, path, length) == 0)
            forget(notes, note);
    }
}

void notes_free(struct notes *notes)
{
    free(notes->list);
    free(notes->slots);
    buffer_free(&notes->paths);
    *notes = (struct notes){0};
}
