/*
 * A container's root without overlay: what the LOWERs show together is copied to UPPER, once, and UPPER is
 * bound where the overlay would be. Hard links to the layers would be faster and unsafe: a program may write to
 * any file. Where the file system can share blocks (FICLONE), copies cost next to nothing.
 *
 * Theory of operation. The layers are walked by descriptors, as `pack` walks them (pack_below.c), so whiteouts and
 * opaque directories are applied on the way. When all is there a mark is made beside UPPER; without it UPPER is
 * what a copy left that was cut off, and is emptied first. Where the mark is, the container has begun to live in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "pack.h"
#include "tree.h"

struct copying {
    int upper;
    struct links links;
    char path[PATH_MAX]; /* of the entry at hand */
};

char *copied_mark(const char *upper)
{
    return xasprintf("%s.copied", upper);
}

static int copy_directory(struct copying *c, const struct below *below, int to);

/* 1: NAME is another name of a file that has been copied. */
static int link_to_copy(struct copying *c, int to, const char *name, const struct stat *st)
{
    const char *first = st->st_nlink > 1 && !S_ISDIR(st->st_mode) ? links_seen(&c->links, st, c->path) : NULL;
    if (!first)
        return 0;
    char self[40];
    cleanup_fd int target = tree_open(c->upper, first, O_PATH);
    if (target < 0)
        return target;
    snprintf(self, sizeof self, "/proc/self/fd/%d", target);
    return linkat(AT_FDCWD, self, to, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 1;
}

static int copy_below(struct copying *c, const struct below *below, int to, const char *name, const struct stat *st)
{
    struct below entered;
    if (mkdirat(to, name, 0700) < 0)
        return -errno;
    cleanup_fd int made = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made < 0)
        return -errno;
    int result = below_enter(below, name, &entered);
    if (result < 0)
        return result;
    result = copy_directory(c, &entered, made);
    if (result == 0)
        result = copy_attributes(entered.layers[0].fd, made, st);
    below_close(&entered);
    return result;
}

static int copy_entry(struct copying *c, const struct below *below, int to, const char *name)
{
    struct stat st;
    int number = below_find(below, name, &st);
    if (number <= 0)
        return number;
    if (S_ISDIR(st.st_mode))
        return copy_below(c, below, to, name, &st);
    int from = below_directory(below, (uint32_t)number), linked = link_to_copy(c, to, name, &st);
    if (linked != 0)
        return linked < 0 ? linked : 0;
    if (S_ISREG(st.st_mode))
        return copy_file_at(from, to, name);
    return S_ISLNK(st.st_mode) ? copy_link_at(from, to, name, &st) : copy_node_at(to, name, &st);
}

static int copy_directory(struct copying *c, const struct below *below, int to)
{
    struct names names;
    size_t length = strlen(c->path), start = length + (length > 0);
    int result = below_names(below, &names);
    for (size_t i = 0; result == 0 && i < names.count; i++) {
        size_t size = strlen(names.list[i]);
        if (start + size >= PATH_MAX) {
            result = -ENAMETOOLONG;
            break;
        }
        memcpy(c->path + length, "/", length > 0);
        memcpy(c->path + start, names.list[i], size + 1);
        result = copy_entry(c, below, to, names.list[i]);
        if (result == 0)
            c->path[length] = '\0'; /* after a failure it tells where */
    }
    names_free(&names);
    return result;
}

static int empty_directory(int directory)
{
    struct names names;
    int result = names_read(&names, directory);
    for (size_t i = 0; result == 0 && i < names.count; i++)
        result = tree_remove(directory, names.list[i]);
    names_free(&names);
    return result;
}

static int open_layers(struct below *below, const struct op *op)
{
    below->layers = xcalloc(op->words.count, sizeof *below->layers);
    for (size_t i = 0; i < op->words.count; i++) {
        int fd = open_cloexec(op->words.list[i], O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
            return fail(errno, op->words.list[i], "Cannot open the layer to be copied");
        below->layers[below->count++] = (struct below_layer){.fd = fd, .number = (uint32_t)i + 1};
    }
    return 0;
}

static int make_copy(const struct op *op, const struct below *below)
{
    const char *upper = op->texts[1];
    struct copying *c = xcalloc(1, sizeof *c);
    struct stat st;
    c->upper = open_cloexec(upper, O_RDONLY | O_DIRECTORY, 0);
    int result = c->upper < 0 ? -errno : empty_directory(c->upper);
    if (result == 0)
        result = copy_directory(c, below, c->upper);
    if (result == 0)
        result = fstat(below->layers[0].fd, &st) < 0 ? -errno : copy_attributes(below->layers[0].fd, c->upper, &st);
    if (result < 0)
        fail(-result, *c->path ? c->path : upper, "Cannot copy the image's file into the container");
    cleanup_fd_function(&c->upper);
    links_free(&c->links);
    free(c);
    return result < 0 ? -1 : 0;
}

/* Every directory on the way holds descriptors, its own and those of the layers that have it. */
static bool raise_limit(struct rlimit *before)
{
    if (getrlimit(RLIMIT_NOFILE, before) < 0)
        return false;
    struct rlimit raised = {.rlim_cur = before->rlim_max, .rlim_max = before->rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

static int make_copy_once(const struct op *op)
{
    cleanup_free char *mark = copied_mark(op->texts[1]);
    if (access(mark, F_OK) == 0)
        return 0;
    struct below below = {0};
    struct rlimit before;
    bool raised = raise_limit(&before);
    int result = open_layers(&below, op);
    if (result == 0)
        result = make_copy(op, &below);
    below_close(&below);
    if (raised)
        (void)setrlimit(RLIMIT_NOFILE, &before); /* the program inside shall not inherit it */
    if (result < 0)
        return -1;
    cleanup_fd int fd = open_cloexec(mark, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
    return fd < 0 ? fail(errno, mark, "Cannot note that the copy is complete") : 0;
}

int mount_copy(const struct op *op, int target)
{
    const char *upper = op->texts[1];
    if (make_copy_once(op) < 0)
        return -1;
    cleanup_fd int mounted = (int)syscall(SYS_open_tree, AT_FDCWD, upper, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (mounted < 0 || attach(mounted, target) < 0)
        return fail(errno, op->texts[0], "Cannot mount the copy of the image");
    return 0;
}
