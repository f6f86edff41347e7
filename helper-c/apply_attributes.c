/*
 * Owners, modes, extended attributes and times.
 *
 * Order matters: chown takes setuid bits and capabilities away, so mode and xattrs follow it, and
 * the time comes last. What this user namespace cannot express (an owner outside its map, a device
 * node) is noted and reported at the end as a `deferred` event, from which a commit can write the
 * true entry; meanwhile the file belongs to the namespace's root. Extended attributes that cannot be
 * set without real privilege (trusted.*, security labels) are left out, as all OCI tools do.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "apply.h"
#include "tree.h"

static uint32_t read_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* An image that could set overlay's own marks could make files of other layers appear, vanish or
 * move (overlay.redirect, overlay.metacopy), so these names are never set; nor are fuse-overlayfs'. */
static bool xattr_wanted(const char *name)
{
    if (starts(name, "user.overlay.") || starts(name, "user.fuseoverlayfs."))
        return false;
    return starts(name, "user.") || strcmp(name, "security.capability") == 0 ||
           starts(name, "system.posix_acl_");
}

/* The kernel binds file capabilities to the user namespace's root when the plain (version 2)
 * form is written in it. A value that some other namespace bound (version 3) loses that binding. */
static size_t plain_capability(const uint8_t *value, size_t length, struct vfs_cap_data *plain)
{
    if (length != sizeof(struct vfs_ns_cap_data) && length != sizeof *plain)
        return 0;
    memcpy(plain, value, sizeof *plain);
    uint32_t magic = plain->magic_etc;
    uint32_t revision = magic & VFS_CAP_REVISION_MASK;
    if (revision != VFS_CAP_REVISION_2 && revision != VFS_CAP_REVISION_3)
        return 0;
    plain->magic_etc = VFS_CAP_REVISION_2 | (magic & VFS_CAP_FLAGS_MASK);
    return sizeof *plain;
}

static int set_xattrs(int fd, const struct entry *entry)
{
    const uint8_t *at = entry->xattrs;
    for (unsigned i = 0; i < entry->record.xattr_count; i++) {
        uint32_t name_length = read_u32(at), length = read_u32(at + 4);
        char name[XATTR_NAME_MAX + 1];
        memcpy(name, at + 8, name_length);
        name[name_length] = '\0';
        const void *value = at + 8 + name_length;
        at += 8 + name_length + length;
        if (!xattr_wanted(name))
            continue;
        struct vfs_cap_data plain;
        if (strcmp(name, "security.capability") == 0) {
            length = (uint32_t)plain_capability(value, length, &plain);
            value = &plain;
            if (length == 0)
                continue;
        }
        /* Refused: the file system has none of these, or this namespace cannot express it. */
        if (fsetxattr(fd, name, value, length, 0) != 0 && errno != ENOTSUP && errno != EPERM && errno != EINVAL)
            return -errno;
    }
    return 0;
}

static void defer(struct apply *a, const struct record *record, const char *canonical)
{
    struct note *note = notes_get(&a->notes, canonical);
    if (!(note->flags & NOTE_DEFERRED))
        a->notes.deferred++;
    note->flags |= NOTE_DEFERRED;
    note->uid = record->uid;
    note->gid = record->gid;
    note->mode = record->mode;
    note->kind = record->kind;
    note->major = record->dev_major;
    note->minor = record->dev_minor;
}

/* An id of -1 would mean "leave it" to chown; an image that says so gets no owner either. */
static int chown_result(struct apply *a, const struct record *record, const char *canonical, int result)
{
    if (result == 0 && record->uid != UINT32_MAX && record->gid != UINT32_MAX)
        return 0;
    if (result != 0 && errno != EINVAL && errno != EPERM && errno != EOVERFLOW)
        return -errno;
    defer(a, record, canonical);
    return 0;
}

static struct timespec mtime_of(const struct record *record)
{
    return (struct timespec){.tv_sec = record->mtime_sec, .tv_nsec = record->mtime_nsec};
}

mode_t mode_made(const struct record *record)
{
    bool directory = record->kind == RECORD_DIRECTORY;
    /* Nobody else looks into it before it has its owner. */
    if (record->uid != 0 || record->gid != 0)
        return directory ? 0700 : 0600;
    return (record->mode & 0777) | (directory ? 0700 : 0);
}

int attributes_set(struct apply *a, int fd, const struct entry *entry, const char *canonical)
{
    const struct record *record = &entry->record;
    bool directory = record->kind == RECORD_DIRECTORY;
    if (a->notes.deferred)
        notes_forget(&a->notes, canonical, false);
    /* To look costs a tenth of a change, and most of what images have is root's and was made with its mode. Other
     * ids may be shown for those that this namespace does not have. */
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    int result = 0;
    if (record->uid != 0 || record->gid != 0 || st.st_uid != 0 || st.st_gid != 0)
        result = chown_result(a, record, canonical, fchown(fd, record->uid, record->gid));
    if (result < 0)
        return result;
    /* Without u+rwx we could not make entries in it where the kernel gives us no privilege over it. */
    bool restrictive = directory && (record->mode & 0700) != 0700;
    mode_t mode = restrictive ? record->mode | 0700 : record->mode;
    /* Writing and chown take the special bits away. */
    if (((mode & 07000) || (st.st_mode & 07777) != mode) && fchmod(fd, mode) != 0)
        return -errno;
    if (record->xattr_count) {
        result = set_xattrs(fd, entry);
        if (result < 0)
            return result;
    }
    if (directory) {
        struct note *note = notes_get(&a->notes, canonical);
        note->flags = (note->flags & NOTE_DEFERRED) | NOTE_TIME | (restrictive ? NOTE_MODE : 0);
        note->mode = record->mode;
        note->mtime_sec = record->mtime_sec;
        note->mtime_nsec = record->mtime_nsec;
        return 0;
    }
    struct timespec times[2] = {mtime_of(record), mtime_of(record)};
    return futimens(fd, times) == 0 ? 0 : -errno;
}

int attributes_set_at(struct apply *a, int parent, const char *name, const struct entry *entry, const char *canonical)
{
    const struct record *record = &entry->record;
    if (a->notes.deferred)
        notes_forget(&a->notes, canonical, false);
    int result = chown_result(a, record, canonical,
                              fchownat(parent, name, record->uid, record->gid, AT_SYMLINK_NOFOLLOW));
    if (result < 0)
        return result;
    /* The mode was given when it was made; chown may have taken setuid bits away since. The name is
     * ours and no link, so following does not matter. */
    if (record->kind != RECORD_SYMLINK && fchmodat(parent, name, record->mode, 0) != 0)
        return -errno;
    struct timespec times[2] = {mtime_of(record), mtime_of(record)};
    return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

/* A device node cannot be made in a user namespace: an empty file of mode 0 stands in for it, and
 * the event has the rest. */
void attributes_defer(struct apply *a, const struct record *record, const char *canonical)
{
    defer(a, record, canonical);
}

/*** Reading a LOWER's ***/

static int read_xattrs(int fd, struct entry *entry, uint8_t **memory)
{
    char self[40], names[XATTR_LIST_MAX];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t size = flistxattr(fd, names, sizeof names);
    /* An O_PATH descriptor has no xattr calls of its own; its /proc name has. */
    if (size < 0 && errno == EBADF)
        size = listxattr(self, names, sizeof names);
    if (size <= 0)
        return size == 0 || errno == ENOTSUP || errno == ENOENT ? 0 : -errno;
    struct buffer block = {0};
    int result = 0;
    for (const char *name = names; name < names + size && result == 0; name += strlen(name) + 1) {
        if (!xattr_wanted(name))
            continue;
        char *value = xmalloc(XATTR_SIZE_MAX);
        ssize_t length = getxattr(self, name, value, XATTR_SIZE_MAX);
        /* A binding to this namespace's root would mean nothing elsewhere. */
        struct vfs_cap_data plain;
        if (length >= 0 && strcmp(name, "security.capability") == 0) {
            length = (ssize_t)plain_capability((const uint8_t *)value, (size_t)length, &plain);
            if (length == 0) {
                free(value);
                continue;
            }
            memcpy(value, &plain, sizeof plain);
        }
        if (length >= 0) {
            uint32_t lengths[2] = {(uint32_t)strlen(name), (uint32_t)length};
            buffer_put(&block, lengths, sizeof lengths);
            buffer_put(&block, name, lengths[0]);
            buffer_put(&block, value, (size_t)length);
            entry->record.xattr_count++;
        } else if (errno != ENODATA && errno != ENOTSUP && errno != EPERM)
            result = -errno;
        free(value);
    }
    *memory = (uint8_t *)block.data;
    entry->xattrs = *memory;
    entry->record.xattr_length = (uint32_t)block.length;
    return result;
}

int attributes_read(int fd, const struct stat *st, struct entry *entry, uint8_t **memory)
{
    *memory = NULL;
    *entry = (struct entry){
        .record =
            {
                .kind = S_ISDIR(st->st_mode)    ? RECORD_DIRECTORY
                        : S_ISREG(st->st_mode)  ? RECORD_FILE
                        : S_ISLNK(st->st_mode)  ? RECORD_SYMLINK
                        : S_ISFIFO(st->st_mode) ? RECORD_FIFO
                        : S_ISBLK(st->st_mode)  ? RECORD_BLOCK
                                                : RECORD_CHARACTER,
                .mode = st->st_mode & 07777,
                .uid = st->st_uid,
                .gid = st->st_gid,
                .dev_major = major(st->st_rdev),
                .dev_minor = minor(st->st_rdev),
                .mtime_sec = st->st_mtim.tv_sec,
                .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
                .size = (uint64_t)st->st_size,
            },
        .path = "",
        .link = "",
    };
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) ? read_xattrs(fd, entry, memory) : 0;
}

/*** The end ***/

static int finish_times(struct apply *a)
{
    /* Directories come in groups with the same parent. */
    char parent_path[PATH_MAX] = "";
    cleanup_fd int parent = fcntl(a->root, F_DUPFD_CLOEXEC, 3);
    for (size_t i = 0; i < a->notes.count; i++) {
        const struct note *note = &a->notes.list[i];
        if (!(note->flags & NOTE_TIME))
            continue;
        const char *path = note_path(&a->notes, note);
        struct timespec times[2] = {{.tv_sec = note->mtime_sec, .tv_nsec = note->mtime_nsec}};
        times[1] = times[0];
        if (*path == '\0') {
            if (futimens(a->root, times) != 0)
                return fail(errno, a->root_name, "Cannot set the time of the root directory");
            continue;
        }
        const char *slash = strrchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : 0;
        if (strlen(parent_path) != length || memcmp(parent_path, path, length) != 0 || parent < 0) {
            memcpy(parent_path, path, length);
            parent_path[length] = '\0';
            if (parent >= 0)
                close(parent);
            parent = tree_open(a->root, parent_path, O_PATH | O_DIRECTORY);
        }
        if (parent < 0)
            return fail(-parent, path, "Cannot open the directory above");
        if (utimensat(parent, slash ? slash + 1 : path, times, AT_SYMLINK_NOFOLLOW) != 0)
            return fail(errno, path, "Cannot set the time of the directory");
    }
    return 0;
}

static int compare_paths_descending(const void *left, const void *right)
{
    return strcmp(*(const char *const *)right, *(const char *const *)left);
}

/* Modes that would lock us out, deepest first. */
static int finish_modes(struct apply *a)
{
    const char **paths = NULL;
    size_t count = 0;
    int result = 0;
    for (size_t i = 0; i < a->notes.count; i++)
        count += (a->notes.list[i].flags & NOTE_MODE) != 0;
    if (count == 0)
        return 0;
    paths = xcalloc(count, sizeof *paths);
    count = 0;
    for (size_t i = 0; i < a->notes.count; i++)
        if (a->notes.list[i].flags & NOTE_MODE)
            paths[count++] = note_path(&a->notes, &a->notes.list[i]);
    qsort(paths, count, sizeof *paths, compare_paths_descending);
    for (size_t i = 0; i < count && result == 0; i++) {
        cleanup_fd int fd = tree_open(a->root, paths[i], O_RDONLY | O_DIRECTORY);
        if (fd < 0)
            result = fail(-fd, paths[i], "Cannot open the directory");
        else if (fchmod(fd, notes_find(&a->notes, paths[i])->mode) != 0)
            result = fail(errno, paths[i], "Cannot set the mode of the directory");
    }
    free(paths);
    return result;
}

static int finish_deferred(struct apply *a)
{
    struct buffer text = {0};
    int result = 0;
    for (size_t i = 0; i < a->notes.count && result == 0; i++) {
        const struct note *note = &a->notes.list[i];
        if (!(note->flags & NOTE_DEFERRED))
            continue;
        apply_event_begin(&text, "deferred");
        apply_event_path(&text, "path", note_path(&a->notes, note));
        buffer_printf(&text, ",\"uid\":%u,\"gid\":%u,\"mode\":%u,\"kind\":%u,\"major\":%u,\"minor\":%u}\n", note->uid,
                      note->gid, note->mode, note->kind, note->major, note->minor);
        if (text.length > 16 * 1024)
            result = apply_event_send(&text);
    }
    if (result == 0)
        result = apply_event_send(&text);
    buffer_free(&text);
    return result;
}

int attributes_finish(struct apply *a)
{
    if (finish_times(a) < 0 || finish_modes(a) < 0)
        return -1;
    return finish_deferred(a);
}
