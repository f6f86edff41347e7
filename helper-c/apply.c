/*
 * `apply`: layer records (wasm/abi.h) from standard input become files below ROOT.
 *
 * Theory of operation. It runs inside the user namespace, with a range of ids or a single one. The
 * records come from the layer engine, which has refused what is hostile already; they are checked
 * again all the same, because a mistake there must not become an escape here. Every entry is made in
 * its directory, by a descriptor, as a name that is never followed; a directory is found by apply_view.c,
 * which resolves symbolic links inside ROOT. Later entries replace earlier ones, but a directory over a
 * directory merges. A device node that cannot be made here is an empty file of mode 0, and a
 * `deferred` event says what it stands for.
 *
 * Whiteouts speak of the layers below alone, wherever in this layer they come (OCI image layer
 * specification): an entry of this layer survives its own whiteout, and a directory then becomes opaque.
 *
 * ROOT is expected to be new and ours. If anything fails it is half filled, and the caller removes it.
 */
#include "apply.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "tree.h"

/*** Events ***/

void apply_event_begin(struct buffer *text, const char *name)
{
    buffer_printf(text, "{\"event\":\"%s\",\"time\":\"%lld\"", name, (long long)now_nanoseconds(CLOCK_REALTIME));
}

void apply_event_path(struct buffer *text, const char *key, const char *path)
{
    buffer_printf(text, ",\"%s\":\"", key);
    buffer_percent(text, path, strlen(path));
    buffer_puts(text, "\"");
}

int apply_event_send(struct buffer *text)
{
    if (write_all(STDOUT_FILENO, text->data, text->length) < 0)
        return fail(errno, NULL, "Cannot write events to standard output");
    text->length = 0;
    return 0;
}

/*** Directories above ***/

static void parent_forget(struct apply *a)
{
    if (a->parent >= 0)
        close(a->parent);
    a->parent = -1;
    a->parent_stale = false;
    a->plain_mode = -1;
}

/* A directory that was just made: its entries come next. */
static void parent_keep(struct apply *a, const char *path, const char *canonical, int fd)
{
    parent_forget(a);
    strcpy(a->parent_asked, path);
    strcpy(a->parent_path, canonical);
    a->parent = fd;
}

/* Finds or makes the directory of `path` and gives the entry's own canonical path. The descriptor
 * belongs to the cache. Or -1 after fail(). */
static int parent_of(struct apply *a, const char *path, const char **name, char canonical[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (a->parent < 0 || a->parent_stale || strlen(a->parent_asked) != length || memcmp(a->parent_asked, path, length) != 0) {
        parent_forget(a);
        memcpy(a->parent_asked, path, length);
        a->parent_asked[length] = '\0';
        int fd = view_directory(a, a->parent_asked, a->parent_path, true);
        if (fd < 0)
            return fail(-fd, path, "Cannot make the directories above");
        a->parent = fd;
    }
    if (path_join(canonical, a->parent_path, *name) < 0)
        return fail(ENAMETOOLONG, path, "Cannot make the entry");
    return a->parent;
}

int clear_way(struct apply *a, int parent, const char *name, const char *canonical)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (a->placing && !a->replaces && S_ISDIR(st.st_mode))
        return -EISDIR;
    notes_forget(&a->notes, canonical, S_ISDIR(st.st_mode));
    /* Some file systems keep a file that is still being written under another name. What failed there is told later. */
    const char *failed;
    if (a->in.lent)
        (void)lent_settle(a->in.lent, &failed);
    int result = tree_remove(parent, name);
    /* The cached directory may lie below what went; PARENT itself does not, and stays usable. */
    if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
        a->parent_stale = true;
    return result;
}

/*** Making entries ***/

/* What became of writing a content: 0, or -1 after fail(). */
static int content_result(struct apply *a, int result, bool reading, const char *path)
{
    if (result == 0)
        return 0;
    if (result == -EBADMSG && reading)
        return apply_refuse(a, path, "its content does not lie in the memory that was given");
    errno = -result;
    return reading ? apply_read_failed() : fail(-result, path, "Cannot write the file");
}

/* Everything that was handed over is written. */
static int settle(struct apply *a)
{
    const char *path = NULL;
    int result = a->in.lent ? lent_settle(a->in.lent, &path) : 0;
    return content_result(a, result, false, path);
}

/* The content that follows a record. */
static int write_content(struct apply *a, const struct record *r, int fd, const char *path)
{
    bool lent = r->flags & RECORD_FLAG_LENT, reading;
    if (lent && r->data > 0 && settle(a) < 0)
        return -1;
    int result = lent ? lent_copy(&a->in, fd, r->data, &reading) : input_copy(&a->in, fd, r->data, &reading);
    a->bytes += r->data;
    return content_result(a, result, reading, path);
}

/* Nothing but content and time is missing: another thread can see to that. */
static bool only_content_missing(struct apply *a, const struct record *r, int fd)
{
    struct stat st;
    if (!(r->flags & RECORD_FLAG_LENT) || r->data == 0 || r->xattr_count > 0 || r->mode & 07000 || r->uid != 0 || r->gid != 0)
        return false;
    /* Its directory may have a default ACL or give away its group: to all that are made in it. */
    if (a->plain_mode == (int)r->mode)
        return true;
    if (fstat(fd, &st) != 0 || st.st_uid != 0 || st.st_gid != 0 || (st.st_mode & 07777) != r->mode)
        return false;
    a->plain_mode = (int)r->mode;
    return true;
}

static int hand_over(struct apply *a, const struct entry *entry, const char *canonical, int fd)
{
    bool reading;
    if (a->notes.deferred)
        notes_forget(&a->notes, canonical, false);
    a->bytes += entry->record.data;
    int result = lent_hand_over(&a->in, fd, &entry->record, entry->path, &reading);
    if (result < 0 && !reading)
        return settle(a);
    return content_result(a, result, reading, entry->path);
}

static int make_file(struct apply *a, const struct entry *entry)
{
    const struct record *r = &entry->record;
    const char *name;
    char canonical[PATH_MAX];
    int parent = parent_of(a, entry->path, &name, canonical);
    if (parent < 0)
        return -1;
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(parent, name, flags, mode_made(r));
    if (fd < 0 && errno == EEXIST) {
        int cleared = clear_way(a, parent, name, canonical);
        if (cleared < 0)
            return fail(-cleared, entry->path, "Cannot replace the earlier entry");
        fd = openat(parent, name, flags, mode_made(r));
    }
    if (fd < 0)
        return fail(errno, entry->path, "Cannot make the file");
    if (r->flags & RECORD_FLAG_SPARSE) {
        a->sparse_entry = *entry;
        a->sparse_xattrs = a->xattrs; /* the next record has its own */
        a->xattrs = NULL;
        memcpy(a->sparse_path, canonical, sizeof canonical);
        a->sparse = steal_fd(&fd);
        return 0;
    }
    if (only_content_missing(a, r, fd))
        return hand_over(a, entry, canonical, steal_fd(&fd));
    if (write_content(a, r, fd, entry->path) < 0)
        return -1;
    int result = attributes_set(a, fd, entry, canonical);
    return result < 0 ? fail(-result, entry->path, "Cannot set the attributes of the file") : 0;
}

static int add_segment(struct apply *a, const struct entry *entry)
{
    const struct record *r = &entry->record;
    if (a->sparse < 0)
        return apply_refuse(a, entry->path, "it is a segment, but no sparse file comes before it");
    if (r->offset + r->data > a->sparse_entry.record.size)
        return apply_refuse(a, a->sparse_path, "its segment ends behind the end of the file");
    if (lseek(a->sparse, (off_t)r->offset, SEEK_SET) < 0)
        return fail(errno, a->sparse_path, "Cannot write the sparse file");
    return write_content(a, r, a->sparse, a->sparse_path);
}

/* No more segments: the rest is a hole, and now the attributes can be set. */
static int finish_sparse(struct apply *a)
{
    if (a->sparse < 0)
        return 0;
    cleanup_fd int fd = steal_fd(&a->sparse);
    if (ftruncate(fd, (off_t)a->sparse_entry.record.size) != 0)
        return fail(errno, a->sparse_path, "Cannot set the size of the sparse file");
    int result = attributes_set(a, fd, &a->sparse_entry, a->sparse_path);
    free(a->sparse_xattrs);
    a->sparse_xattrs = NULL;
    return result < 0 ? fail(-result, a->sparse_path, "Cannot set the attributes of the sparse file") : 0;
}

/* 0: made; 1: made where something stood that hid the LOWERs, which must stay hidden; 2: was there; or -errno. */
static int make_one_directory(struct apply *a, int parent, const char *name, const char *canonical, mode_t mode)
{
    struct stat st;
    if (mkdirat(parent, name, mode) == 0)
        return 0;
    if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return 2;
    if (a->placing && !a->replaces)
        return -ENOTDIR;
    int cleared = clear_way(a, parent, name, canonical);
    if (cleared < 0)
        return cleared;
    return mkdirat(parent, name, mode) == 0 ? 1 : -errno;
}

static int make_directory(struct apply *a, const struct entry *entry)
{
    if (*entry->path == '\0') {
        a->root_seen = true;
        if (a->placing && !a->dresses_root)
            return 0;
        int result = attributes_set(a, a->root, entry, "");
        return result < 0 ? fail(-result, a->root_name, "Cannot set the attributes of the root directory") : 0;
    }
    const char *name;
    char canonical[PATH_MAX];
    int parent = parent_of(a, entry->path, &name, canonical);
    if (parent < 0)
        return -1;
    int made = make_one_directory(a, parent, name, canonical, mode_made(&entry->record));
    cleanup_fd int fd = made < 0 ? made : tree_open(parent, name, O_RDONLY | O_DIRECTORY);
    int result = fd < 0 ? fd : made == 1 && !a->placing ? opaque_set(a, fd, canonical) : 0;
    if (result < 0)
        return fail(-result, entry->path, "Cannot make the directory");
    result = attributes_set(a, fd, entry, canonical);
    if (result < 0)
        return fail(-result, entry->path, "Cannot set the attributes of the directory");
    parent_keep(a, entry->path, canonical, steal_fd(&fd));
    return 0;
}

/* Symbolic links and special files. */
static int make_node(int parent, const char *name, const struct entry *entry)
{
    const struct record *r = &entry->record;
    mode_t type = r->kind == RECORD_FIFO ? S_IFIFO : r->kind == RECORD_BLOCK ? S_IFBLK : S_IFCHR;
    int made = r->kind == RECORD_SYMLINK
                   ? symlinkat(entry->link, parent, name)
                   : mknodat(parent, name, type | r->mode, makedev(r->dev_major, r->dev_minor));
    return made == 0 ? 0 : -errno;
}

static int make_stand_in(int parent, const char *name)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int make_special(struct apply *a, const struct entry *entry)
{
    const struct record *r = &entry->record;
    const char *name;
    char canonical[PATH_MAX];
    int parent = parent_of(a, entry->path, &name, canonical);
    if (parent < 0)
        return -1;
    bool device = r->kind == RECORD_CHARACTER || r->kind == RECORD_BLOCK;
    /* A device 0:0 in an archive would become a whiteout and hide another layer's file. */
    bool stands_in = !a->placing && r->kind == RECORD_CHARACTER && r->dev_major == 0 && r->dev_minor == 0;
    for (int attempt = 0;; attempt++) {
        int made = stands_in ? make_stand_in(parent, name) : make_node(parent, name, entry);
        if (made == 0)
            break;
        if (made == -EEXIST && attempt < 2) {
            int cleared = clear_way(a, parent, name, canonical);
            if (cleared < 0)
                return fail(-cleared, entry->path, "Cannot replace the earlier entry");
        } else if (device && a->placing && made == -EPERM && strchr(entry->path, '/')) {
            return 0;
        } else if (device && !stands_in && !a->placing && made != -EEXIST && made != -ENOSPC)
            stands_in = true;
        else
            return fail(-made, entry->path, "Cannot make the entry");
    }
    if (stands_in) {
        /* Owner and time as far as they go; the event has what is true. */
        struct entry stand_in = *entry;
        stand_in.record.mode = 0;
        int result = attributes_set_at(a, parent, name, &stand_in, canonical);
        if (result < 0)
            return fail(-result, entry->path, "Cannot set the attributes of the entry");
        attributes_defer(a, r, canonical);
        return 0;
    }
    int result = attributes_set_at(a, parent, name, entry, canonical);
    return result < 0 ? fail(-result, entry->path, "Cannot set the attributes of the entry") : 0;
}

static int make_hard_link(struct apply *a, const struct entry *entry)
{
    const char *name;
    char canonical[PATH_MAX];
    int parent = parent_of(a, entry->path, &name, canonical);
    return parent < 0 ? -1 : hard_link_make(a, parent, name, canonical, entry);
}

/*** Whiteouts ***/

static int make_opaque(struct apply *a, int directory, const char *canonical)
{
    int result = whiteouts_purge(a, canonical);
    return result < 0 ? result : opaque_set(a, directory, canonical);
}

/* The layers below lose PATH; what this layer itself has there stays. */
static int make_whiteout(struct apply *a, const char *path)
{
    const char *name;
    char canonical[PATH_MAX];
    struct stat st;
    if (a->lower_count > 0) {
        /* Nothing there to hide: a whiteout would only be seen as a strange file. */
        char above[PATH_MAX];
        snprintf(above, sizeof above, "%s", path);
        char *slash = strrchr(above, '/');
        *(slash ? slash : above) = '\0';
        int result = view_directory(a, above, canonical, false);
        if (result == 0) {
            char directory[PATH_MAX];
            memcpy(directory, canonical, sizeof directory);
            result = path_join(canonical, directory, slash ? path + (slash - above) + 1 : path);
        }
        cleanup_fd int lower = result < 0 ? result : view_lower(a, canonical, &st);
        if (lower == -ENOENT || lower == -ENOTDIR)
            return 0;
        if (lower < 0)
            return fail(-lower, path, "Cannot find what the whiteout hides");
    }
    int parent = parent_of(a, path, &name, canonical);
    if (parent < 0)
        return -1;
    int result = 0;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        result = errno == ENOENT ? whiteout_make(a, parent, name) : -errno;
    else if (S_ISDIR(st.st_mode)) {
        cleanup_fd int directory = tree_open(parent, name, O_RDONLY | O_DIRECTORY);
        result = directory < 0 ? directory : make_opaque(a, directory, canonical);
    }
    return result < 0 ? fail(-result, path, "Cannot make the whiteout") : 0;
}

/* Overlay does not look at a mark on a layer's root, so what the LOWERs have there is hidden name by name. */
static int make_root_opaque(struct apply *a)
{
    int result = 0;
    for (size_t i = 0; i < a->lower_count && result == 0; i++) {
        int fd = openat(a->lowers[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        if (!directory)
            return fail(errno, NULL, "Cannot list the root of the layer below");
        const struct dirent *entry;
        while (result == 0 && (entry = readdir(directory)))
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                result = make_whiteout(a, entry->d_name);
        closedir(directory);
    }
    return result;
}

static int make_directory_opaque(struct apply *a, const char *path)
{
    if (*path == '\0')
        return make_root_opaque(a);
    char canonical[PATH_MAX];
    /* The marker's directory is one that later entries go into: made like any parent. */
    cleanup_fd int way = view_directory(a, path, canonical, true);
    cleanup_fd int directory = way < 0 ? way : tree_open(a->root, canonical, O_RDONLY | O_DIRECTORY);
    int result = directory < 0 ? directory : make_opaque(a, directory, canonical);
    return result < 0 ? fail(-result, path, "Cannot make the directory opaque") : 0;
}

/*** The whole ***/

static int apply_entry(struct apply *a, const struct entry *entry)
{
    if (entry->record.kind == RECORD_SEGMENT)
        return add_segment(a, entry);
    if (finish_sparse(a) < 0)
        return -1;
    a->entries += entry->record.kind != RECORD_END;
    switch ((enum record_kind)entry->record.kind) {
    case RECORD_DIRECTORY:
        return make_directory(a, entry);
    case RECORD_FILE:
        return make_file(a, entry);
    case RECORD_SYMLINK:
    case RECORD_CHARACTER:
    case RECORD_BLOCK:
    case RECORD_FIFO:
        return make_special(a, entry);
    case RECORD_HARDLINK:
        return make_hard_link(a, entry);
    case RECORD_WHITEOUT:
        return a->placing ? apply_refuse(a, entry->path, "it takes away something of a layer, and there is none")
                          : make_whiteout(a, entry->path);
    case RECORD_OPAQUE:
        return a->placing ? apply_refuse(a, entry->path, "it takes away something of a layer, and there is none")
                          : make_directory_opaque(a, entry->path);
    case RECORD_SEGMENT:
    case RECORD_END:
        break;
    }
    return 0;
}

/* A layer without an entry for the root still shows its root's mode on top of the others. */
static int finish_root(struct apply *a)
{
    if (a->root_seen || a->placing)
        return 0;
    struct entry entry = {.record = {.kind = RECORD_DIRECTORY, .mode = 0755}, .path = "", .link = ""};
    uint8_t *memory = NULL;
    struct stat st;
    int result = 0;
    if (a->lower_count > 0)
        result = fstat(a->lowers[0], &st) != 0 ? -errno : attributes_read(a->lowers[0], &st, &entry, &memory);
    if (result == 0)
        result = attributes_set(a, a->root, &entry, "");
    free(memory);
    return result < 0 ? fail(-result, a->root_name, "Cannot set the attributes of the root directory") : 0;
}

static int apply_all(struct apply *a)
{
    struct entry entry;
    do {
        if (entry_read(a, &entry) < 0 || apply_entry(a, &entry) < 0)
            return -1;
    } while (entry.record.kind != RECORD_END);
    if (settle(a) < 0 || finish_root(a) < 0 || attributes_finish(a) < 0)
        return -1;
    struct buffer text = {0};
    apply_event_begin(&text, "applied");
    buffer_printf(&text, ",\"entries\":%llu,\"bytes\":%llu}\n", (unsigned long long)a->entries,
                  (unsigned long long)a->bytes);
    int sent = apply_event_send(&text);
    buffer_free(&text);
    return sent;
}

static int open_directories(struct apply *a, const char *root, bool lent, size_t nlowers, char **lowers)
{
    a->root = open_cloexec(root, O_RDONLY | O_DIRECTORY, 0);
    if (a->root < 0)
        return fail(errno, root, "Cannot open the directory for the layer");
    a->lowers = xcalloc(nlowers, sizeof *a->lowers);
    for (size_t i = 0; i < nlowers; i++) {
        a->lowers[i] = open_cloexec(lowers[i], O_RDONLY | O_DIRECTORY, 0);
        if (a->lowers[i] < 0)
            return fail(errno, lowers[i], "Cannot open the layer below");
        a->lower_count++;
    }
    int opened = input_open(&a->in, STDIN_FILENO, lent);
    return opened < 0 ? fail(-opened, NULL, "Cannot read the layer from standard input") : 0;
}

static void apply_free(struct apply *a)
{
    parent_forget(a);
    cleanup_fd_function(&a->sparse);
    cleanup_fd_function(&a->root);
    for (size_t i = 0; i < a->lower_count; i++)
        close(a->lowers[i]);
    free(a->lowers);
    free(a->xattrs);
    free(a->sparse_xattrs);
    input_close(&a->in);
    notes_free(&a->notes);
    free(a);
}

int op_apply(const char *root, unsigned flags, size_t nlowers, char **lowers)
{
    struct apply *a = xcalloc(1, sizeof *a);
    *a = (struct apply){.root_name = root, .root = -1, .parent = -1, .sparse = -1, .plain_mode = -1};
    mode_t mask = umask(0);
    int result = open_directories(a, root, flags & FLAG_LENT, nlowers, lowers);
    if (result == 0)
        result = apply_all(a);
    umask(mask);
    apply_free(a);
    return result;
}

/* The way to ROOT may be a container's, which can change it at any time: links lead to nothing but what the container has, and never
 * through /proc to what this process has open. */
int op_place(const struct op *op)
{
    struct apply *a = xcalloc(1, sizeof *a);
    *a = (struct apply){
        .root_name = op->texts[0], .root = -1, .parent = -1, .sparse = -1, .plain_mode = -1,
        .placing = true, .dresses_root = op->flags & FLAG_ROOT, .replaces = op->flags & FLAG_OVERWRITE,
    };
    mode_t mask = umask(0);
    cleanup_fd int top = open_cloexec("/", O_PATH | O_DIRECTORY, 0);
    cleanup_fd int found = top < 0 ? -1 : resolve_in_root(top, op->texts[0]);
    a->root = found < 0 ? -1 : openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = a->root < 0 ? fail(errno, op->texts[0], "Cannot open the directory") : 0;
    if (result == 0) {
        int opened = input_open(&a->in, STDIN_FILENO, false);
        result = opened < 0 ? fail(-opened, NULL, "Cannot read the files from standard input") : apply_all(a);
    }
    umask(mask);
    apply_free(a);
    return result;
}
