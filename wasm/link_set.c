#include "link_set.h"

/* FNV-1a. A collision, made on purpose or not, refuses an archive and lets nothing through. */
#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

static uint64_t hash_more(uint64_t hash, uint8_t byte) {
    return (hash ^ byte) * HASH_PRIME;
}

static uint64_t hash_of(struct bytes path) {
    uint64_t hash = HASH_START;
    for (uint32_t i = 0; i < path.length; i++) hash = hash_more(hash, path.at[i]);
    return hash ? hash : 1;
}

static uint32_t home(uint64_t hash) {
    return (uint32_t)(hash >> 32 ^ hash) % LINK_SET_SLOTS;
}

/* The slot that holds the hash, or the free one where it belongs. */
static uint32_t find(const struct link_set *set, uint64_t hash) {
    uint32_t slot = home(hash);
    while (set->hash[slot] != 0 && set->hash[slot] != hash) slot = (slot + 1) % LINK_SET_SLOTS;
    return slot;
}

void link_set_clear(struct link_set *set) {
    /* Most archives put nothing in: then its half megabyte is never touched. */
    if (set->count > 0) memset(set, 0, sizeof *set);
}

void link_set_add(struct link_set *set, struct bytes path) {
    uint64_t hash = hash_of(path);
    uint32_t slot = find(set, hash);
    if (set->hash[slot] == hash || set->count == LINK_SET_MAX) return;
    set->hash[slot] = hash;
    set->count++;
}

void link_set_remove(struct link_set *set, struct bytes path) {
    if (set->count == 0) return;
    uint64_t hash = hash_of(path);
    uint32_t gap = find(set, hash);
    if (set->hash[gap] != hash) return;
    set->count--;
    /* Close the gap: move back whatever probing would no longer reach across it. */
    for (uint32_t slot = gap;;) {
        set->hash[gap] = 0;
        uint32_t wanted;
        do {
            slot = (slot + 1) % LINK_SET_SLOTS;
            if (set->hash[slot] == 0) return;
            wanted = home(set->hash[slot]);
        } while ((slot - wanted) % LINK_SET_SLOTS < (slot - gap) % LINK_SET_SLOTS);
        set->hash[gap] = set->hash[slot];
        gap = slot;
    }
}

bool link_set_has(const struct link_set *set, struct bytes path) {
    return set->count > 0 && set->hash[find(set, hash_of(path))] != 0;
}

bool link_set_has_above(const struct link_set *set, struct bytes path) {
    if (set->count == 0) return false;
    uint64_t hash = HASH_START;
    for (uint32_t i = 0; i < path.length; i++) {
        if (path.at[i] == '/' && set->hash[find(set, hash ? hash : 1)] != 0) return true;
        hash = hash_more(hash, path.at[i]);
    }
    return false;
}
