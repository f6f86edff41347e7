/*
 * Hard links. The target is an entry of this layer or of an earlier one; in the latter case it is
 * copied up to its own place first, as overlay does when a file with a second name is changed, so that
 * all names of this layer share one inode.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "tree.h"

static int copy_file(struct apply *a, int lower, const struct stat *st, int parent, const char *name,
                     const struct entry *entry, const char *canonical)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", lower);
    cleanup_fd int from = open_cloexec(self, O_RDONLY, 0);
    cleanup_fd int to =
        from < 0 ? -1 : openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    int result = copy_content(from, to, st->st_size);
    return result < 0 ? result : attributes_set(a, to, entry, canonical);
}

static int copy_up(struct apply *a, int lower, const struct stat *st, int parent, const char *name,
                   const char *canonical)
{
    struct entry entry;
    uint8_t *memory;
    int result = attributes_read(lower, st, &entry, &memory);
    if (result == 0 && S_ISREG(st->st_mode))
        result = copy_file(a, lower, st, parent, name, &entry, canonical);
    else if (result == 0 && S_ISLNK(st->st_mode)) {
        char target[PATH_MAX + 1];
        ssize_t length = readlinkat(lower, "", target, PATH_MAX);
        if (length >= 0)
            target[length] = '\0';
        result = length < 0 || symlinkat(target, parent, name) != 0
                     ? -errno
                     : attributes_set_at(a, parent, name, &entry, canonical);
    } else if (result == 0) {
        result = mknodat(parent, name, st->st_mode, st->st_rdev) != 0
                     ? -errno
                     : attributes_set_at(a, parent, name, &entry, canonical);
    }
    free(memory);
    return result;
}

/* The target's directory in ROOT and its name there, brought up from a LOWER if ROOT has none.
 * 0; -ENOENT: nowhere; or -errno. */
static int find_target(struct apply *a, const char *link, int *directory, char canonical[PATH_MAX])
{
    char above[PATH_MAX], canonical_above[PATH_MAX];
    struct stat st;
    snprintf(above, sizeof above, "%s", link);
    char *slash = strrchr(above, '/');
    const char *name = link + (slash ? slash + 1 - above : 0);
    *(slash ? slash : above) = '\0';

    int result = view_directory(a, above, canonical_above, false);
    if (result == 0)
        result = path_join(canonical, canonical_above, name);
    if (result < 0)
        return result;
    *directory = tree_open(a->root, canonical_above, O_PATH | O_DIRECTORY);
    if (*directory >= 0 && fstatat(*directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (whiteout_is(*directory, name, &st))
            return -ENOENT;
        return S_ISDIR(st.st_mode) ? -EISDIR : 0;
    }
    cleanup_fd int lower = view_lower(a, canonical, &st);
    if (lower < 0)
        return lower;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (*directory < 0)
        *directory = view_directory(a, canonical_above, canonical_above, true);
    return *directory < 0 ? *directory : copy_up(a, lower, &st, *directory, name, canonical);
}

static int report_missing(const struct entry *entry)
{
    struct buffer text = {0};
    apply_event_begin(&text, "missing-link");
    apply_event_path(&text, "path", entry->path);
    apply_event_path(&text, "link", entry->link);
    buffer_puts(&text, "}\n");
    int sent = apply_event_send(&text);
    buffer_free(&text);
    return sent < 0 ? sent
                    : fail(0, entry->path, "Cannot make the hard link: its target is neither in this layer nor below");
}

int hard_link_make(struct apply *a, int parent, const char *name, const char *canonical, const struct entry *entry)
{
    char target[PATH_MAX];
    cleanup_fd int directory = -1;
    int result = find_target(a, entry->link, &directory, target);
    if (result == -ENOENT || result == -ENOTDIR)
        return report_missing(entry);
    if (result < 0)
        return fail(-result, entry->path, "Cannot make the hard link");
    if (strcmp(target, canonical) == 0)
        return 0;
    const char *slash = strrchr(target, '/');
    const char *target_name = slash ? slash + 1 : target;
    /* Flags 0: a link to a symbolic link is a link to the link itself. */
    if (linkat(directory, target_name, parent, name, 0) != 0) {
        if (errno != EEXIST)
            return fail(errno, entry->path, "Cannot make the hard link");
        result = clear_way(a, parent, name, canonical);
        if (result < 0)
            return fail(-result, entry->path, "Cannot replace the earlier entry");
        if (linkat(directory, target_name, parent, name, 0) != 0)
            return fail(errno, entry->path, "Cannot make the hard link");
    }
    /* What could not be set on the target holds for its new name too. */
    if (a->notes.deferred) {
        const struct note *note = notes_find(&a->notes, target);
        struct record record = {0};
        bool deferred = note && (note->flags & NOTE_DEFERRED);
        if (deferred)
            record = (struct record){.kind = note->kind, .mode = note->mode, .uid = note->uid, .gid = note->gid,
                                     .dev_major = note->major, .dev_minor = note->minor};
        notes_forget(&a->notes, canonical, false);
        if (deferred)
            attributes_defer(a, &record, canonical);
    }
    return 0;
}
