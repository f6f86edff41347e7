/*
 * `changes`: what an overlay's upper directory changed in the layers below: A(dded), C(hanged), D(eleted).
 *
 * Theory of operation. The upper directory is walked with the same directory of each LOWER beside it, by descriptors (pack_below.c). A name
 * that no LOWER shows is added, one that they show is changed, a whiteout of one is deleted; a directory that overlay only copied up is no
 * change, unless entries came or went in it, which is how Docker tells it. No file is opened, and where the LOWERs have nothing any more
 * what the directory itself says of its entries is enough: a tree of new files costs no system call a file.
 *
 * The runner calls this in its own process first (addon.c): most containers' files can be seen by who made them. Where one cannot be, it
 * runs the op, in the container's user namespace. So nothing here prints or ends the process.
 */
#include "changes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "marks.h"
#include "pack.h"

#define XATTR_REDIRECT "user.overlay.redirect"

struct walk {
    struct buffer found; /* kind, path, NUL of each, as they were met */
    size_t count, last;
    bool sorted;
    size_t length; /* of `path` */
    char path[PATH_MAX];
};

/* What the walk knows of the directory it is in. */
struct place {
    int fd;
    int init;    /* the same directory in the init layer, or -1 */
    bool marked; /* whiteouts may be files with an attribute */
    bool told;   /* it is among the changes, or is none that could be */
    bool hides;  /* it is opaque, or was made in one that is: what the LOWERs have shows no more */
    struct below below;
};

static void tell(struct walk *walk, char kind, const char *path, size_t length)
{
    size_t at = walk->found.length;
    buffer_put(&walk->found, &kind, 1);
    buffer_put(&walk->found, path, length);
    buffer_put(&walk->found, "", 1);
    if (walk->count++ > 0 && strcmp(walk->found.data + walk->last + 1, walk->found.data + at + 1) > 0)
        walk->sorted = false;
    walk->last = at;
}

/* What came or went changes its directory, too. */
static void tell_entry(struct walk *walk, struct place *place, char kind)
{
    if (kind != 'C' && !place->told) {
        const char *slash = strrchr(walk->path, '/');
        place->told = true;
        if (slash) {
            /* The path ends here for as long as it is compared. */
            size_t length = (size_t)(slash - walk->path);
            tell(walk, 'C', walk->path, length);
        }
    }
    tell(walk, kind, walk->path, walk->length);
}

/*** The way down ***/

/* 0, or -ENAMETOOLONG; what it returns to is given to path_leave. */
static int path_enter(struct walk *walk, const char *name)
{
    size_t length = strlen(name), start = walk->length + (walk->length > 0);
    if (start + length >= sizeof walk->path)
        return -ENAMETOOLONG;
    memcpy(walk->path + walk->length, "/", walk->length > 0);
    memcpy(walk->path + start, name, length + 1);
    walk->length = start + length;
    return 0;
}

static void path_leave(struct walk *walk, size_t length)
{
    walk->length = length;
    walk->path[length] = '\0';
}

static int open_directory(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static bool same_time(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A directory that overlay copied up and nobody touched. The init layer's mount points have changed the times of those they are in. */
static bool is_untouched(const struct stat *st, const struct stat *under, int init)
{
    struct stat made;
    if (st->st_mode != under->st_mode || st->st_uid != under->st_uid || st->st_gid != under->st_gid)
        return false;
    return same_time(st, under) || (init >= 0 && fstat(init, &made) == 0 && same_time(st, &made));
}

static int walk_entries(struct walk *walk, struct place *place);

static int walk_directory(struct walk *walk, struct place *place, const char *name)
{
    struct stat st, under;
    char value = 0;
    struct place here = {.fd = open_directory(place->fd, name), .init = -1};
    if (here.fd < 0)
        return errno == ENOENT ? 0 : -errno; /* a running container removed it meanwhile */
    ssize_t mark = fgetxattr(here.fd, XATTR_OPAQUE, &value, 1);
    here.marked = mark >= 0 || errno != ENODATA;
    int number = below_find(&place->below, name, &under);
    int result = number < 0 ? number : 0;
    if (place->init >= 0 && number > 0)
        here.init = open_directory(place->init, name);
    if (number == 0) {
        here.told = true;
        tell_entry(walk, place, 'A');
    } else if (number > 0 && fstat(here.fd, &st) != 0)
        result = -errno;
    else if (number > 0 && !is_untouched(&st, &under, here.init)) {
        here.told = true;
        tell_entry(walk, place, 'C');
    }
    if (result == 0 && number > 0) {
        here.hides = place->hides || (mark == 1 && value == 'y');
        if (fgetxattr(here.fd, XATTR_REDIRECT, NULL, 0) >= 0)
            result = -ENOTSUP; /* its content is in another place; tsbox mounts no overlay that would do this */
        else
            result = below_enter(&place->below, name, &here.below);
    }
    if (result == 0)
        result = walk_entries(walk, &here);
    below_close(&here.below);
    cleanup_fd_function(&here.fd);
    cleanup_fd_function(&here.init);
    return result;
}

/* Whether NAME, of this type, is a whiteout: 1, 0 or -errno; TYPE is made known if it is not. */
static int look_closer(const struct place *place, const char *name, unsigned char *type)
{
    struct stat st;
    bool maybe = *type == DT_UNKNOWN || *type == DT_CHR || (*type == DT_REG && place->marked);
    if (!maybe)
        return 0;
    if (fstatat(place->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 1 : -errno;
    *type = IFTODT(st.st_mode);
    return whiteout_look(place->fd, name, &st);
}

static int walk_entry(struct walk *walk, struct place *place, const char *name, unsigned char type)
{
    struct stat under;
    int whiteout = look_closer(place, name, &type);
    if (whiteout < 0)
        return whiteout;
    if (type == DT_DIR)
        return walk_directory(walk, place, name);
    if (type == DT_SOCK)
        return 0; /* a layer could not tell it */
    int number = below_find(&place->below, name, &under);
    if (number < 0)
        return number;
    if (!whiteout)
        tell_entry(walk, place, number > 0 ? 'C' : 'A');
    else if (number > 0)
        tell_entry(walk, place, 'D');
    return 0;
}

/* What an opaque directory hides of those below, but for its OWN entries. */
static int walk_hidden(struct walk *walk, struct place *place, const struct names *own)
{
    int result = 0;
    size_t length = walk->length;
    for (size_t i = 0; i < place->below.count && result == 0; i++) {
        const struct below_layer *layer = &place->below.layers[i];
        struct names names;
        result = names_read(&names, layer->fd);
        if (result < 0)
            return result;
        for (size_t k = 0; k < names.count && result == 0; k++) {
            struct stat under;
            int number = below_find(&place->below, names.list[k], &under);
            /* Each name once: by the layer that shows it. */
            if (names_have(own, names.list[k]) || number != (int)layer->number)
                result = number < 0 ? number : 0;
            else if ((result = path_enter(walk, names.list[k])) == 0) {
                tell_entry(walk, place, 'D');
                path_leave(walk, length);
            }
        }
        names_free(&names);
    }
    return result;
}

static int walk_entries(struct walk *walk, struct place *place)
{
    struct names names;
    size_t length = walk->length;
    int result = names_read(&names, place->fd);
    if (result < 0)
        return result;
    for (size_t i = 0; i < names.count && result == 0; i++) {
        result = path_enter(walk, names.list[i]);
        if (result == 0)
            result = walk_entry(walk, place, names.list[i], names_type(names.list[i]));
        if (result == 0) /* else it tells where */
            path_leave(walk, length);
    }
    if (result == 0 && place->hides)
        result = walk_hidden(walk, place, &names);
    names_free(&names);
    return result;
}

/*** The whole ***/

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left + 1, *(char *const *)right + 1);
}

static void put_line(struct buffer *lines, const char *change)
{
    static const char hex[] = "0123456789abcdef";
    const char start[] = {change[0], ' ', '/'};
    const char *from = change + 1, *at;
    buffer_put(lines, start, sizeof start);
    for (at = from; *at; at++) {
        if (*at >= ' ' && *at < 0x7f && *at != '\\')
            continue;
        const char escaped[] = {'\\', 'x', hex[(unsigned char)*at >> 4], hex[*at & 15]};
        buffer_put(lines, from, (size_t)(at - from));
        buffer_put(lines, escaped, sizeof escaped);
        from = at + 1;
    }
    buffer_put(lines, from, (size_t)(at - from));
    buffer_put(lines, "\n", 1);
}

static void put_lines(const struct walk *walk, struct buffer *lines)
{
    char **changes = xcalloc(walk->count, sizeof *changes), *at = walk->found.data;
    for (size_t i = 0; i < walk->count; i++, at += strlen(at) + 1)
        changes[i] = at;
    /* Names in the order of a walk are sorted already, but for those with something below "/" in ASCII, as "a.b" beside "a/b". */
    if (!walk->sorted)
        qsort(changes, walk->count, sizeof *changes, compare);
    for (size_t i = 0; i < walk->count; i++)
        put_line(lines, changes[i]);
    free(changes);
}

static int open_root(const char *path, struct walk *walk)
{
    int fd = open_cloexec(path, O_RDONLY | O_DIRECTORY, 0);
    int error = errno;
    if (fd < 0)
        snprintf(walk->path, sizeof walk->path, "%s", path);
    return fd < 0 ? -error : fd;
}

static int open_roots(struct walk *walk, struct place *place, const char *upper, const char *init, char *const *lowers,
                      size_t count)
{
    place->fd = open_root(upper, walk);
    if (place->fd < 0)
        return place->fd;
    place->init = *init ? open_root(init, walk) : -1;
    if (*init && place->init < 0 && place->init != -ENOENT)
        return place->init;
    walk->path[0] = '\0';
    place->below.layers = xcalloc(count, sizeof *place->below.layers);
    for (size_t i = 0; i < count; i++) {
        int fd = open_root(lowers[i], walk);
        if (fd < 0)
            return fd;
        place->below.layers[place->below.count++] = (struct below_layer){.fd = fd, .number = (uint32_t)i + 1};
    }
    return 0;
}

int changes_find(const char *upper, const char *init, char *const *lowers, size_t count, struct buffer *lines,
                 struct buffer *where)
{
    struct walk *walk = xcalloc(1, sizeof *walk);
    /* The root itself is never told. */
    struct place place = {.fd = -1, .init = -1, .marked = true, .told = true};
    walk->sorted = true;
    int result = open_roots(walk, &place, upper, init, lowers, count);
    if (result == 0)
        result = walk_entries(walk, &place);
    if (result == 0)
        put_lines(walk, lines);
    else
        buffer_puts(where, walk->path);
    below_close(&place.below);
    cleanup_fd_function(&place.fd);
    cleanup_fd_function(&place.init);
    buffer_free(&walk->found);
    free(walk);
    return result;
}
