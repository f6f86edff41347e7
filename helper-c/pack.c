/*
 * `pack`: a tree becomes layer records (wasm/abi.h) on standard output: the reverse of `apply`.
 *
 * Theory of operation. It runs inside the user namespace, so ids are what they are inside. ROOT is an
 * overlay's upper directory, full of files that a container made and may be changing still: every step
 * goes from a directory's descriptor to a name that is not followed, and nothing is believed that was
 * read before a file was open. Where a change in between would make the stream a lie, it ends without
 * its END, and the failure says of which file.
 *
 * What a layer does not tell: sockets; overlay's own attributes; what the upper directory has only
 * because INIT lay below it (a whiteout of a mount point, the time of a directory that got one). These
 * are counted in the END record's `size`: with 0 the tree itself is as good as the unpacked layer.
 *
 * A directory that overlay copied up stays in the layer though nothing of it changed, as in those of
 * Docker and Podman: whoever unpacks the layer alone then has its mode and owner.
 */
#include "pack.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define XATTR_ORIGIN "user.overlay.origin"
#define XATTR_FUSE_ORIGIN "user.fuseoverlayfs.origin"
#define XATTR_REDIRECT "user.overlay.redirect"
#define XATTR_METACOPY "user.overlay.metacopy"

struct pack {
    struct output out;
    struct links links;
    bool tree, names, lowest;
    bool picking; /* a tree with everything that is mounted in it */
    bool whole;   /* ROOT is a copy of the LOWERs that somebody worked in: a change is what differs */
    bool merge;   /* no ROOT: what the LOWERs show together */
    struct timespec copied;
    struct pending *pending;
    uint64_t left_out;
    char path[PATH_MAX];
};

/* A directory on the way that is told only if something below it is. */
struct pending {
    struct pending *above;
    struct entry *entry;
    size_t length; /* of its path */
    bool told;
};

/* What the walk knows of the directory it is in. */
struct place {
    int fd;
    int init; /* the same directory in INIT, or -1 */
    bool hides; /* it is opaque, or lies in one that is: what the LOWERs have shows no more */
    struct below below;
};

static int written(const struct pack *p, int result)
{
    if (result == -E2BIG)
        return fail(0, p->path, "Cannot pack the entry: its extended attributes have more than a MiB");
    return result < 0 ? fail(-result, NULL, "Cannot write the layer to standard output") : 0;
}

/* Opened to be read: its access time is none of our business, where we may say so. */
static int open_to_read(int directory, const char *name, int flags)
{
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, name, flags | O_NOATIME);
    return fd < 0 && errno == EPERM ? openat(directory, name, flags) : fd;
}

static bool same_time(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*** What is known of the layers below ***/

/* Sets `below` and COPIED. FD: of the entry, or -1 where it has no attributes of overlay's. */
static int note_below(const struct pack *p, const struct place *place, const char *name, int fd, const struct stat *st,
                      struct record *record, struct stat *under)
{
    int number = below_find(&place->below, name, under);
    if (number < 0)
        return fail(-number, p->path, "Cannot look at the layers below");
    record->below = (uint32_t)number;
    if (number == 0 || (under->st_mode & S_IFMT) != (st->st_mode & S_IFMT))
        return 0;
    if (p->whole) {
        /* Nothing tells what was written to and what was made anew in its place; an owner that stayed may be taken for the same. */
        if (st->st_uid == under->st_uid && st->st_gid == under->st_gid)
            record->flags |= RECORD_FLAG_COPIED;
        return 0;
    }
    /* Overlay marks what it copied up, but not links and files that had several names: they are as they were. */
    if ((fd >= 0 && (fgetxattr(fd, XATTR_ORIGIN, NULL, 0) >= 0 || fgetxattr(fd, XATTR_FUSE_ORIGIN, NULL, 0) >= 0)) ||
        same_time(st, under))
        record->flags |= RECORD_FLAG_COPIED;
    return 0;
}

/* INIT's mount points have changed the times of the directories they are in. */
static void forget_init(struct pack *p, int init, const struct stat *st, const struct stat *under, struct record *record)
{
    struct stat there;
    if (init < 0 || record->below == 0 || !S_ISDIR(under->st_mode) || fstat(init, &there) != 0)
        return;
    if (!same_time(st, &there) || same_time(st, under))
        return;
    record->mtime_sec = under->st_mtim.tv_sec;
    record->mtime_nsec = (uint32_t)under->st_mtim.tv_nsec;
    p->left_out++;
}

/*** Entries ***/

static int put_pending(struct pack *p, struct pending *one)
{
    if (!one || one->told)
        return 0;
    int result = put_pending(p, one->above);
    if (result < 0)
        return result;
    char after = p->path[one->length];
    p->path[one->length] = '\0';
    result = written(p, output_record(&p->out, &one->entry->record, p->path, "", one->entry->xattrs));
    p->path[one->length] = after;
    one->told = true;
    return result;
}

static int put_entry(struct pack *p, struct entry *entry, const char *link)
{
    if (put_pending(p, p->pending) < 0)
        return -1;
    return written(p, output_record(&p->out, &entry->record, p->path, link, entry->xattrs));
}

static int put_whiteout(struct pack *p, const struct place *place, const char *name)
{
    struct stat under;
    struct record record = {.kind = RECORD_WHITEOUT};
    int number = below_find(&place->below, name, &under);
    if (number < 0)
        return fail(-number, p->path, "Cannot look at the layers below");
    if (number == 0 && !p->lowest) {
        p->left_out++;
        return 0;
    }
    record.below = (uint32_t)number;
    if (put_pending(p, p->pending) < 0)
        return -1;
    return written(p, output_record(&p->out, &record, p->path, "", NULL));
}

/* Of a whole tree: 1, where the entry is what a layer or INIT has, and need not be told. -1 after fail(). */
static int is_original(struct pack *p, const struct place *place, const char *name, int fd, const struct stat *st,
                       const struct entry *entry, const struct stat *under)
{
    const struct record *r = &entry->record;
    int result = 0;
    if (!p->whole)
        return 0;
    if (r->below && !p->tree) {
        struct original layer = {.directory = below_directory(&place->below, r->below), .st = *under};
        result = same_as_original(place->fd, name, fd, st, entry, entry->xattrs, &layer, &p->copied);
    }
    struct original init = {.directory = place->init};
    if (result == 0 && (r->below == 0 || !p->tree) && init.directory >= 0 &&
        fstatat(init.directory, name, &init.st, AT_SYMLINK_NOFOLLOW) == 0) {
        result = same_as_original(place->fd, name, fd, st, entry, entry->xattrs, &init, &p->copied);
        p->left_out += result > 0;
    }
    return result < 0 ? fail(-result, p->path, "Cannot compare the entry with the image's") : result;
}

static int content_failed(const struct pack *p, int result)
{
    if (result == -ENODATA)
        return fail(0, p->path, "Cannot pack the file: it became shorter meanwhile");
    return result < 0 ? fail(-result, p->path, "Cannot pack the file") : 0;
}

/* Data where the file has some, as SEGMENTs. What changes meanwhile may go missing, but what a SEGMENT says follows it. */
static int put_segments(struct pack *p, int fd, uint64_t size)
{
    for (off_t start = 0; (uint64_t)start < size;) {
        start = lseek(fd, start, SEEK_DATA);
        if (start < 0 && errno == ENXIO)
            return 0; /* a hole up to the end */
        off_t end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
        if (end < 0)
            return content_failed(p, -errno);
        if ((uint64_t)start >= size)
            return 0;
        if ((uint64_t)end > size)
            end = (off_t)size;
        struct record segment = {.kind = RECORD_SEGMENT, .offset = (uint64_t)start, .data = (uint64_t)(end - start)};
        int result = written(p, output_record(&p->out, &segment, "", "", NULL));
        if (result == 0)
            result = content_failed(p, output_content(&p->out, fd, segment.offset, segment.data));
        if (result < 0)
            return result;
        start = end;
    }
    return 0;
}

static bool has_holes(int fd, const struct stat *st)
{
    if ((uint64_t)st->st_blocks * 512 >= (uint64_t)st->st_size)
        return false;
    off_t hole = lseek(fd, 0, SEEK_HOLE);
    return hole >= 0 && hole < st->st_size;
}

/* Files of the kernel's own file systems say that they have no bytes, or a page of them; how many there are shows when they are read. */
#define SPOKEN_MAX (64 << 20)

static bool is_spoken(int fd, const struct stat *st)
{
    struct statfs found;
    char byte;
    return (st->st_size == 0 && pread(fd, &byte, 1, 0) > 0) || (fstatfs(fd, &found) == 0 && found.f_type == SYSFS_MAGIC);
}

/* A copy in memory whose size is true, or -1 and errno. */
static int copy_spoken(int fd, struct stat *st)
{
    char piece[16384];
    ssize_t count;
    off_t length = 0;
    cleanup_fd int copy = memfd_create("tsbox-pick", MFD_CLOEXEC);
    if (copy < 0)
        return -1;
    while ((count = pread(fd, piece, sizeof piece, length)) > 0) {
        if ((length += count) > SPOKEN_MAX) {
            errno = EFBIG;
            return -1;
        }
        if (write_all(copy, piece, (size_t)count) < 0)
            return -1;
    }
    if (count < 0)
        return -1;
    st->st_size = length;
    return steal_fd(&copy);
}

/* Of a file that changes all the time. */
#define SMALL_ATTEMPTS 50

/* A small file is read before it is told: one that a running program has just made shorter (`echo x > file` empties it first) is looked at again. */
static int put_small_file(struct pack *p, struct entry *entry, int fd)
{
    struct record *r = &entry->record;
    if (put_pending(p, p->pending) < 0)
        return -1;
    for (int attempt = 0; r->size < WORTH_SENDING && attempt < SMALL_ATTEMPTS; attempt++) {
        if (written(p, output_reserve(&p->out, RECORD_HEADER_SIZE + strlen(p->path) + r->xattr_length + r->size)) < 0)
            return -1;
        size_t before = p->out.length;
        if (put_entry(p, entry, "") < 0)
            return -1;
        int result = output_content(&p->out, fd, 0, r->size);
        if (result != -ENODATA)
            return content_failed(p, result);
        struct stat st;
        if (fstat(fd, &st) != 0)
            return fail(errno, p->path, "Cannot look at the file");
        p->out.length = before;
        r->size = r->data = (uint64_t)st.st_size;
        r->mtime_sec = st.st_mtim.tv_sec;
        r->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
    }
    int result = put_entry(p, entry, "");
    return result < 0 ? result : content_failed(p, output_content(&p->out, fd, 0, r->size));
}

static int put_file(struct pack *p, const struct place *place, const char *name)
{
    cleanup_fd int fd = open_to_read(place->fd, name, 0);
    struct stat st, under;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail(errno, p->path, "Cannot open the file");
    if (!S_ISREG(st.st_mode))
        return fail(0, p->path, "Cannot pack the file: it became something else meanwhile");
    cleanup_fd int copy = -1;
    if (p->picking && is_spoken(fd, &st)) {
        copy = copy_spoken(fd, &st);
        if (copy < 0)
            return fail(errno, p->path, "Cannot read the file");
    }

    struct entry entry;
    cleanup_free uint8_t *xattrs = NULL;
    int result = attributes_read(fd, &st, &entry, &xattrs);
    if (result < 0)
        return fail(-result, p->path, "Cannot read the attributes of the file");
    if (!p->tree && fgetxattr(fd, XATTR_METACOPY, NULL, 0) >= 0)
        return fail(0, p->path, "Cannot pack the file: its content is in another layer (overlay metacopy)");
    result = note_below(p, place, name, fd, &st, &entry.record, &under);
    if (result < 0)
        return result;
    result = is_original(p, place, name, fd, &st, &entry, &under);
    if (result != 0)
        return result < 0 ? result : 0;
    const char *first = st.st_nlink > 1 ? links_seen(&p->links, &st, p->path) : NULL;
    if (first) {
        entry.record.kind = RECORD_HARDLINK;
        entry.record.size = entry.record.xattr_count = entry.record.xattr_length = 0;
        return put_entry(p, &entry, first);
    }
    bool sparse = p->names || (copy < 0 && has_holes(fd, &st));
    entry.record.data = sparse ? 0 : entry.record.size;
    entry.record.flags |= sparse ? RECORD_FLAG_SPARSE : 0;
    /* attributes that are not small might not fit the buffer with it */
    if (!sparse && copy < 0 && entry.record.size < WORTH_SENDING && entry.record.xattr_length < WORTH_SENDING)
        return put_small_file(p, &entry, fd);
    result = put_entry(p, &entry, "");
    if (result < 0 || p->names)
        return result;
    if (sparse)
        return put_segments(p, fd, entry.record.size);
    return content_failed(p, output_content(&p->out, copy < 0 ? fd : copy, 0, entry.record.size));
}

/* Where names are asked for, a file that is new need not be opened: nothing of overlay's can be known of it. */
static int put_file_name(struct pack *p, const struct place *place, const char *name, const struct stat *st)
{
    struct stat under;
    int number = below_find(&place->below, name, &under);
    if (number < 0)
        return fail(-number, p->path, "Cannot look at the layers below");
    if (number > 0 || p->whole)
        return put_file(p, place, name);
    struct record record = {
        .kind = RECORD_FILE,
        .flags = RECORD_FLAG_SPARSE,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime_sec = st->st_mtim.tv_sec,
        .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
        .size = (uint64_t)st->st_size,
    };
    return written(p, output_record(&p->out, &record, p->path, "", NULL));
}

/* Symbolic links, pipes, devices. */
static int put_special(struct pack *p, const struct place *place, const char *name, const struct stat *st)
{
    struct entry entry;
    uint8_t *none;
    struct stat under;
    char target[PATH_MAX] = "";
    attributes_read(-1, st, &entry, &none);
    entry.record.size = 0;
    if (S_ISLNK(st->st_mode)) {
        ssize_t length = readlinkat(place->fd, name, target, sizeof target - 1);
        if (length < 0)
            return errno == ENOENT ? 0 : fail(errno, p->path, "Cannot read the symbolic link");
        target[length] = '\0';
    } else if (S_ISFIFO(st->st_mode))
        entry.record.dev_major = entry.record.dev_minor = 0;
    int result = note_below(p, place, name, -1, st, &entry.record, &under);
    if (result < 0)
        return result;
    result = is_original(p, place, name, -1, st, &entry, &under);
    if (result != 0)
        return result < 0 ? result : 0;
    const char *first = st->st_nlink > 1 ? links_seen(&p->links, st, p->path) : NULL;
    if (first)
        entry.record.kind = RECORD_HARDLINK;
    return put_entry(p, &entry, first ? first : target);
}

/*** Directories ***/

static int pack_entries(struct pack *p, struct place *place, bool hides);

/* Says what an opaque directory hides, for who wants to know the changes and not a layer; and what is gone in a whole tree. */
static int put_hidden(struct pack *p, const struct place *place, const struct names *own, size_t length)
{
    int result = 0;
    for (size_t i = 0; i < place->below.count && result == 0; i++) {
        struct names names;
        result = names_read(&names, place->below.layers[i].fd);
        if (result < 0)
            return fail(-result, p->path, "Cannot list the directory in the layer below");
        for (size_t k = 0; k < names.count && result == 0; k++) {
            const char *name = names.list[k];
            struct stat under;
            int number = below_find(&place->below, name, &under);
            /* Each name once: by the layer that shows it. */
            if (names_have(own, name) || number != (int)place->below.layers[i].number)
                continue;
            if (length + 1 + strlen(name) >= PATH_MAX)
                continue;
            memcpy(p->path + length, "/", length > 0);
            strcpy(p->path + length + (length > 0), name);
            result = put_whiteout(p, place, name);
            p->path[length] = '\0';
        }
        names_free(&names);
    }
    return result;
}

/* What is in these is not files that anybody could put elsewhere. */
static bool is_kernels(int fd)
{
    static const unsigned long types[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                          DEVPTS_SUPER_MAGIC, 0x19800202 /* mqueue */};
    struct statfs status;
    if (fstatfs(fd, &status) != 0)
        return false;
    for (size_t i = 0; i < countof(types); i++)
        if ((unsigned long)status.f_type == types[i])
            return true;
    return false;
}

static int put_directory(struct pack *p, const struct place *place, const char *name)
{
    struct place here = {.fd = open_to_read(place->fd, name, O_DIRECTORY), .init = -1};
    struct pending pending = {.above = p->pending, .length = strlen(p->path)};
    struct stat st, under = {0};
    if (here.fd < 0 && errno == ENOENT)
        return 0;
    if (here.fd < 0 || fstat(here.fd, &st) != 0)
        return fail(errno, p->path, "Cannot open the directory");
    if (place->init >= 0)
        here.init = open_to_read(place->init, name, O_DIRECTORY);

    struct entry entry;
    uint8_t *xattrs = NULL;
    bool opaque = !p->tree && !p->whole && opaque_is(here.fd);
    int result = attributes_read(here.fd, &st, &entry, &xattrs);
    entry.record.size = 0;
    if (result < 0)
        result = fail(-result, p->path, "Cannot read the attributes of the directory");
    else if (!p->tree && fgetxattr(here.fd, XATTR_REDIRECT, NULL, 0) >= 0)
        result = fail(0, p->path, "Cannot pack the directory: its content is in another layer (overlay redirect)");
    else
        result = note_below(p, place, name, here.fd, &st, &entry.record, &under);
    if (result == 0) {
        forget_init(p, here.init, &st, &under, &entry.record);
        const struct record *r = &entry.record;
        if (r->below && S_ISDIR(under.st_mode) && r->mode == (under.st_mode & 07777) && r->uid == under.st_uid &&
            r->gid == under.st_gid && r->mtime_sec == under.st_mtim.tv_sec &&
            r->mtime_nsec == (uint32_t)under.st_mtim.tv_nsec)
            entry.record.flags |= RECORD_FLAG_SAME;
        result = is_original(p, place, name, here.fd, &st, &entry, &under);
        if (result == 1) {
            pending.entry = &entry;
            p->pending = &pending;
            result = 0;
        } else if (result == 0)
            result = put_entry(p, &entry, "");
    }
    /* The mark matters only where there is a directory below to hide. */
    bool hides = opaque && (p->lowest || (result == 0 && entry.record.below && S_ISDIR(under.st_mode)));
    here.hides = hides || place->hides;
    if (result == 0 && hides && !p->names) {
        struct record mark = {.kind = RECORD_OPAQUE};
        result = written(p, output_record(&p->out, &mark, p->path, "", NULL));
    }
    /* What hides is new: nothing in it is a change of something below, unless it is the names that are asked for. */
    if (result == 0 && (!opaque || p->names)) {
        result = below_enter(&place->below, name, &here.below);
        if (result < 0)
            result = fail(-result, p->path, "Cannot look at the layers below");
    }
    if (result == 0 && !(p->picking && is_kernels(here.fd)))
        result = pack_entries(p, &here, (here.hides && p->names) || (p->whole && !p->tree));
    p->pending = pending.above;
    free(xattrs);
    below_close(&here.below);
    cleanup_fd_function(&here.fd);
    cleanup_fd_function(&here.init);
    return result;
}

static int pack_entry(struct pack *p, const struct place *given, const char *name)
{
    struct stat st;
    struct place shown = *given;
    const struct place *place = &shown;
    if (p->merge) {
        int number = below_find(&shown.below, name, &st);
        if (number <= 0)
            return number < 0 ? fail(-number, p->path, "Cannot look at the layers") : 0;
        shown.fd = below_directory(&shown.below, (uint32_t)number);
    }
    if (fstatat(place->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : fail(errno, p->path, "Cannot look at the entry");
    if (S_ISDIR(st.st_mode))
        return put_directory(p, place, name);
    if (!p->tree && !p->whole && whiteout_is(place->fd, name, &st))
        return put_whiteout(p, place, name);
    if (S_ISREG(st.st_mode))
        return p->names ? put_file_name(p, place, name, &st) : put_file(p, place, name);
    if (S_ISSOCK(st.st_mode)) {
        p->left_out++;
        return 0;
    }
    return put_special(p, place, name, &st);
}

static int pack_entries(struct pack *p, struct place *place, bool hides)
{
    struct names names;
    size_t length = strlen(p->path), start = length + (length > 0);
    int result = p->merge ? below_names(&place->below, &names) : names_read(&names, place->fd);
    if (result < 0)
        return fail(-result, p->path, "Cannot list the directory");
    for (size_t i = 0; i < names.count && result == 0; i++) {
        size_t size = strlen(names.list[i]);
        if (start + size >= PATH_MAX) {
            result = fail(ENAMETOOLONG, p->path, "Cannot pack what is in the directory");
            break;
        }
        memcpy(p->path + length, "/", length > 0);
        memcpy(p->path + start, names.list[i], size + 1);
        result = pack_entry(p, place, names.list[i]);
        p->path[length] = '\0';
    }
    if (result == 0 && hides)
        result = put_hidden(p, place, &names, length);
    names_free(&names);
    return result;
}

/*
 * The upper directory's own attributes are those of "/". Its time says when the container was made, so only
 * another mode, owner or attribute than the layer below has makes it an entry.
 */
static int put_root(struct pack *p, const struct place *place)
{
    struct stat st, under = {.st_mode = S_IFDIR | 0755};
    struct entry entry, other = {0};
    cleanup_free uint8_t *xattrs = NULL, *other_xattrs = NULL;
    if (p->tree)
        return 0;
    int result = fstat(place->fd, &st) == 0 ? attributes_read(place->fd, &st, &entry, &xattrs) : -errno;
    if (result == 0 && place->below.count > 0) {
        int fd = place->below.layers[0].fd;
        result = fstat(fd, &under) == 0 ? attributes_read(fd, &under, &other, &other_xattrs) : -errno;
    }
    if (result < 0)
        return fail(-result, NULL, "Cannot read the attributes of the root directory");
    entry.record.size = 0;
    if ((st.st_mode & 07777) == (under.st_mode & 07777) && st.st_uid == under.st_uid && st.st_gid == under.st_gid &&
        entry.record.xattr_length == other.record.xattr_length &&
        (entry.record.xattr_length == 0 || memcmp(xattrs, other_xattrs, entry.record.xattr_length) == 0))
        return 0;
    entry.record.below = place->below.count > 0;
    return put_entry(p, &entry, "");
}

/*** The whole ***/

/* Of merged layers ROOT is a folder in them, from "/" on. */
static int enter_merged(struct place *place, const char *root)
{
    cleanup_free char *path = xstrdup(root);
    char *state = NULL;
    for (char *name = strtok_r(path, "/", &state); name; name = strtok_r(NULL, "/", &state)) {
        struct below entered;
        int result = strcmp(name, "..") == 0 ? -EINVAL : below_enter(&place->below, name, &entered);
        if (result < 0)
            return fail(-result, root, "Cannot enter the directory to pack");
        below_close(&place->below);
        place->below = entered;
    }
    return place->below.count ? 0 : fail(ENOENT, root, "Cannot find the directory to pack");
}

static int open_places(const struct pack *p, struct place *place, const struct op *op, const char *root)
{
    const char *init = op->texts[1];
    if (!p->merge)
        place->fd = open_cloexec(root, O_RDONLY | O_DIRECTORY, 0);
    if (!p->merge && place->fd < 0)
        return fail(errno, root, "Cannot open the directory to pack");
    if (*init)
        place->init = open_cloexec(init, O_RDONLY | O_DIRECTORY, 0);
    if (*init && place->init < 0 && errno != ENOENT)
        return fail(errno, init, "Cannot open the init layer");
    place->below.layers = xcalloc(op->words.count, sizeof *place->below.layers);
    for (size_t i = 0; i < op->words.count; i++) {
        int fd = open_cloexec(op->words.list[i], O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
            return fail(errno, op->words.list[i], "Cannot open the layer below");
        place->below.layers[place->below.count++] = (struct below_layer){.fd = fd, .number = (uint32_t)i + 1};
    }
    return p->merge ? enter_merged(place, root) : 0;
}

/* A tree that was never made has no changes that could be older than its mark. */
static int look_when_copied(struct pack *p, const char *root)
{
    cleanup_free char *mark = copied_mark(root);
    struct stat st;
    if (stat(mark, &st) < 0)
        return errno == ENOENT ? 0 : fail(errno, mark, "Cannot look since when the tree is complete");
    p->copied = st.st_mtim;
    return 1;
}

void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int put_end(struct pack *p)
{
    struct record end = {.kind = RECORD_END, .size = p->left_out};
    int result = output_record(&p->out, &end, "", "", NULL);
    return written(p, result == 0 ? output_flush(&p->out) : result);
}

int op_pack(const struct op *op)
{
    struct pack *p = xcalloc(1, sizeof *p);
    struct place place = {.fd = -1, .init = -1};
    p->tree = op->flags & FLAG_TREE;
    p->names = op->flags & FLAG_NAMES;
    p->whole = op->flags & FLAG_WHOLE;
    p->merge = op->flags & FLAG_MERGE;
    p->lowest = op->words.count == 0;
    raise_descriptor_limit();
    output_open(&p->out, STDOUT_FILENO);
    int exists = p->whole ? look_when_copied(p, op->texts[0]) : 1;
    if (exists == 0 && p->tree) {
        /* The container never ran: it has what its layers show. */
        p->whole = false;
        p->merge = true;
    }
    int result = exists < 0 ? -1 : open_places(p, &place, op, exists ? op->texts[0] : "/");
    if (result == 0 && (exists || p->tree)) {
        result = put_root(p, &place);
        if (result == 0)
            result = pack_entries(p, &place, p->whole && !p->tree);
    }
    if (result == 0)
        result = put_end(p);
    below_close(&place.below);
    cleanup_fd_function(&place.fd);
    cleanup_fd_function(&place.init);
    output_close(&p->out);
    links_free(&p->links);
    free(p);
    return result;
}

/* PATH's parent as an O_PATH descriptor, and its last name; "." for the root itself. The way may be a container's: see op_place. */
static int open_parent(const char *path, char name[NAME_MAX + 1])
{
    cleanup_fd int root = open_cloexec("/", O_PATH | O_DIRECTORY, 0);
    cleanup_free char *parent = xstrdup(path);
    size_t length = strlen(parent);
    while (length > 0 && parent[length - 1] == '/')
        parent[--length] = '\0';
    char *slash = strrchr(parent, '/');
    const char *last = slash ? slash + 1 : parent;
    if (strlen(last) > NAME_MAX || strcmp(last, "..") == 0) {
        errno = EINVAL;
        return -1;
    }
    strcpy(name, *last ? last : ".");
    *(slash ? slash + 1 : parent) = '\0';
    return root < 0 ? -1 : resolve_in_root(root, parent);
}

int op_pick(const struct op *op)
{
    const char *path = op->texts[0];
    char name[NAME_MAX + 1];
    struct stat st;
    struct place place = {.fd = open_parent(path, name), .init = -1};
    if (place.fd < 0 || fstatat(place.fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        int error = errno;
        cleanup_fd_function(&place.fd);
        return fail(error, path, "Cannot find what to read");
    }
    struct pack *p = xcalloc(1, sizeof *p);
    p->tree = p->lowest = p->picking = true;
    strcpy(p->path, "x");
    raise_descriptor_limit();
    output_open(&p->out, STDOUT_FILENO);
    int result = pack_entry(p, &place, name);
    if (result == 0)
        result = put_end(p);
    cleanup_fd_function(&place.fd);
    output_close(&p->out);
    links_free(&p->links);
    free(p);
    return result;
}
