/*
 * The symlinks of this archive that lead out of the root when followed by hand: hashes of their
 * paths, in a table of fixed size. An entry below one of them is refused by name, which tells of
 * an attack more clearly than a file that quietly landed elsewhere.
 *
 * This is the second line of defence, so it may forget (a full table takes no more; layers of Nix
 * hold a hundred thousand absolute links) and does not follow chains of links. The first line is
 * the helper's apply, which resolves every parent inside the new root whatever links are there.
 */
#ifndef TSBOX_LINK_SET_H
#define TSBOX_LINK_SET_H

#include "bytes.h"

#define LINK_SET_SLOTS 65536u
#define LINK_SET_MAX (LINK_SET_SLOTS / 4 * 3)

struct link_set {
    uint64_t hash[LINK_SET_SLOTS]; /* 0: free */
    uint32_t count;
};

/* A set that was never used must be all zeros, as a static one is. */
void link_set_clear(struct link_set *set);
void link_set_add(struct link_set *set, struct bytes path);
void link_set_remove(struct link_set *set, struct bytes path);
bool link_set_has(const struct link_set *set, struct bytes path);
/* Is a directory above the path in the set? The path itself does not count. */
bool link_set_has_above(const struct link_set *set, struct bytes path);

#endif
