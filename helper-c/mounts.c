/*
 * Mounts of what is there already: binds, masks, read-only remounts, and the change of root.
 *
 * A bind is cloned detached (open_tree), gets its flags there and is attached last. mount_setattr
 * adds flags and takes none away, so the locked ones of the host (nosuid, nodev…) stay by
 * themselves; the older remount, kept for seccomp filters that do not know mount_setattr, must
 * repeat each of them, or the kernel refuses (mount_namespaces(7)).
 */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

bool is_optional(const struct op *op)
{
    return (op->flags & FLAG_OPTIONAL) &&
           (errno == ENOENT || errno == EACCES || errno == EPERM || errno == ENODEV || errno == ENOTDIR || errno == EROFS);
}

int attach(int mounted, int target)
{
    return move_mount(mounted, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int attach_in_root(struct run *run, int *mounted, int target, const char *path)
{
    if (attach(*mounted, target) < 0)
        return -1;
    if (path && !path[strspn(path, "/")]) {
        close(run->root);
        run->root = steal_fd(mounted);
    }
    return 0;
}

static bool is_mount_root(int fd)
{
    struct statx status;
    return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool is_directory(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

int op_private_mounts(struct run *run, const struct op *op)
{
    (void)run;
    (void)op;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail(errno, "/", "Cannot make the mounts private");
    return 0;
}

int op_slave_mounts(struct run *run, const struct op *op)
{
    (void)op;
    run->slave_mounts = true;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail(errno, "/", "Cannot make the mounts slaves of the host's");
    return 0;
}

/*** Flags ***/

static unsigned long remount_flags(unsigned flags)
{
    return (flags & FLAG_RO ? MS_RDONLY : 0) | (flags & FLAG_NOSUID ? MS_NOSUID : 0) |
           (flags & FLAG_NODEV ? MS_NODEV : 0) | (flags & FLAG_NOEXEC ? MS_NOEXEC : 0);
}

static int remount_one(const char *path, unsigned flags)
{
    struct statvfs status;
    if (statvfs(path, &status) < 0)
        return -1;
    unsigned long keep = (status.f_flag & ST_RDONLY ? MS_RDONLY : 0) | (status.f_flag & ST_NOSUID ? MS_NOSUID : 0) |
                         (status.f_flag & ST_NODEV ? MS_NODEV : 0) | (status.f_flag & ST_NOEXEC ? MS_NOEXEC : 0) |
                         (status.f_flag & ST_NOATIME ? MS_NOATIME : 0) |
                         (status.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0) |
                         (status.f_flag & ST_RELATIME ? MS_RELATIME : 0);
    return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | keep | remount_flags(flags), NULL);
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text)
{
    char *out = text;
    for (; *text; text++) {
        if (text[0] == '\\' && text[1] && text[2] && text[3]) {
            *out++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 3;
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

static int remount_below(const char *top, unsigned flags)
{
    cleanup_free char *text = read_file("/proc/self/mountinfo", NULL);
    size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    char *lines = NULL;
    if (!text)
        return -1;
    for (char *line = strtok_r(text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
        char *words = NULL, *path = strtok_r(line, " ", &words);
        for (int i = 0; path && i < 4; i++)
            path = strtok_r(NULL, " ", &words);
        if (!path)
            continue;
        unescape(path);
        /* ENOENT: another mount hides this one, nobody can reach it. */
        if (strncmp(path, top, length) == 0 && (path[length] == '/' || !path[length]) &&
            remount_one(path, flags) < 0 && errno != ENOENT && errno != EACCES)
            return -1;
    }
    return 0;
}

static int remount_attached(int mounted, unsigned flags, bool recursive)
{
    char name[40], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", mounted);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0)
        return -1;
    path[length] = 0;
    return recursive ? remount_below(path, flags) : remount_one(path, flags);
}

static unsigned attribute_flags(unsigned flags)
{
    return flags & (FLAG_RO | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC);
}

static int set_attributes(int mounted, unsigned flags, bool recursive)
{
    struct mount_attr wanted = {
        .attr_set = (flags & FLAG_RO ? MOUNT_ATTR_RDONLY : 0) | (flags & FLAG_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
                    (flags & FLAG_NODEV ? MOUNT_ATTR_NODEV : 0) | (flags & FLAG_NOEXEC ? MOUNT_ATTR_NOEXEC : 0),
    };
    return mount_setattr(mounted, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &wanted, sizeof wanted);
}

static int set_propagation(int mounted, unsigned flags)
{
    unsigned recursive = FLAG_RPRIVATE | FLAG_RSLAVE | FLAG_RSHARED;
    struct mount_attr wanted = {
        .propagation = flags & (FLAG_SHARED | FLAG_RSHARED) ? MS_SHARED
                       : flags & (FLAG_SLAVE | FLAG_RSLAVE) ? MS_SLAVE
                                                            : MS_PRIVATE,
    };
    return mount_setattr(mounted, "", AT_EMPTY_PATH | (flags & recursive ? AT_RECURSIVE : 0), &wanted, sizeof wanted);
}

/*** Ops ***/

int op_root(struct run *run, const struct op *op)
{
    int root = open_cloexec(op->texts[0], O_PATH | O_DIRECTORY, 0);
    if (root < 0)
        return fail(errno, op->texts[0], "Cannot open the root directory");
    /* pivot_root wants a mount; a plain directory (--rootfs) becomes one by a bind to itself. */
    if (run->plan.namespaces[NS_MOUNT] && !is_mount_root(root)) {
        cleanup_fd int tree = open_tree(root, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || (run->slave_mounts && set_propagation(tree, FLAG_RPRIVATE) < 0) || attach(tree, root) < 0) {
            fail(errno, op->texts[0], "Cannot make the root directory a mount");
            close(root);
            return -1;
        }
        close(root);
        root = steal_fd(&tree);
    }
    if (run->root >= 0)
        close(run->root);
    run->root = root;
    return 0;
}

/* Takes the clone of SOURCE to the DEST. */
static int bind_tree(struct run *run, const struct op *op, int cloned, const char *source, const char *path)
{
    cleanup_fd int tree = cloned;
    bool recursive = op->flags & FLAG_REC;
    unsigned wanted = attribute_flags(op->flags);
    if (tree < 0)
        return is_optional(op) ? 0 : fail(errno, source, "Cannot bind");
    cleanup_fd int target = op->flags & FLAG_MAKE ? make_mount_point(run->root, path, is_directory(tree))
                                                  : resolve_in_root(run->root, path);
    if (target < 0)
        return is_optional(op) ? 0 : fail(errno, path, "Cannot find the mount point");

    /* The kernel would say EINVAL, as for many other things. */
    if (is_directory(tree) != is_directory(target))
        return fail(is_directory(tree) ? ENOTDIR : EISDIR, path, "Cannot mount");

    bool late = false;
    if (wanted && set_attributes(tree, wanted, recursive) < 0) {
        if (errno != ENOSYS)
            return is_optional(op) ? 0 : fail(errno, source, "Cannot set the mount's flags");
        late = true;
    }
    const unsigned any = FLAG_PRIVATE | FLAG_SLAVE | FLAG_SHARED | FLAG_RPRIVATE | FLAG_RSLAVE | FLAG_RSHARED;
    unsigned propagation = run->slave_mounts && !(op->flags & any) ? FLAG_RPRIVATE : op->flags & any;
    if (propagation && set_propagation(tree, propagation) < 0)
        return fail(errno, path, "Cannot set the mount's propagation");
    int mounted = tree;
    if (attach_in_root(run, &tree, target, path) < 0)
        return is_optional(op) ? 0 : fail(errno, path, "Cannot mount");
    if (late && remount_attached(mounted, wanted, recursive) < 0)
        return fail(errno, path, "Cannot set the mount's flags");
    return 0;
}

static unsigned clone_flags(const struct op *op)
{
    return OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (op->flags & FLAG_REC ? AT_RECURSIVE : 0);
}

int op_bind(struct run *run, const struct op *op)
{
    return bind_tree(run, op, open_tree(AT_FDCWD, op->texts[0], clone_flags(op)), op->texts[0], op->texts[1]);
}

/* What lies below BASE may be a container's: its links must not lead to what is the host's. */
int op_bind_in(struct run *run, const struct op *op)
{
    const char *base = op->texts[0], *source = op->texts[1];
    cleanup_fd int root = open_cloexec(base, O_PATH | O_DIRECTORY, 0);
    if (root < 0)
        return fail(errno, base, "Cannot open the directory to bind from");
    cleanup_fd int found = resolve_in_root(root, source);
    if (found < 0)
        return fail(errno, source, "Cannot find the path to bind");
    return bind_tree(run, op, open_tree(found, "", AT_EMPTY_PATH | clone_flags(op)), source, op->texts[2]);
}

/* One empty directory is mounted read-only and then cloned wherever a directory is hidden. */
static int empty_directory(struct run *run, int target, const char *path)
{
    if (run->empty < 0) {
        run->empty = new_filesystem("tmpfs", "mode=0555,size=4k,nr_inodes=2",
                                    FLAG_RO | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC, path);
        if (run->empty < 0)
            return -1;
        return attach(run->empty, target) < 0 ? fail(errno, path, "Cannot hide the directory") : 0;
    }
    cleanup_fd int copy = open_tree(run->empty, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (copy < 0 || attach(copy, target) < 0)
        return fail(errno, path, "Cannot hide the directory");
    return 0;
}

int op_mask(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    cleanup_fd int target = resolve_in_root(run->root, path);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(errno, path, "Cannot find what to hide");
    if (is_directory(target))
        return empty_directory(run, target, path);
    cleanup_fd int null = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (null < 0 || attach(null, target) < 0)
        return fail(errno, path, "Cannot hide the file");
    return 0;
}

int op_read_only(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    cleanup_fd int target = resolve_in_root(run->root, path);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(errno, path, "Cannot find what to make read-only");
    bool clone = !is_mount_root(target);
    cleanup_fd int tree =
        open_tree(target, "", AT_EMPTY_PATH | (clone ? AT_RECURSIVE | OPEN_TREE_CLONE : 0) | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return fail(errno, path, "Cannot make read-only");
    bool late = set_attributes(tree, FLAG_RO, true) < 0;
    if (late && errno != ENOSYS)
        return fail(errno, path, "Cannot make read-only");
    if (clone && attach(tree, target) < 0)
        return fail(errno, path, "Cannot make read-only");
    if (late && remount_attached(tree, FLAG_RO, true) < 0)
        return fail(errno, path, "Cannot make read-only");
    return 0;
}

int op_remount(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    cleanup_fd int target = resolve_in_root(run->root, path);
    if (target < 0)
        return fail(errno, path, "Cannot find the mount");
    if (set_attributes(target, op->flags, false) < 0 &&
        (errno != ENOSYS || remount_attached(target, op->flags, false) < 0))
        return fail(errno, path, "Cannot change the mount's flags");
    return 0;
}

/* pivot_root(".", ".") stacks the old root on the new one, where "." still finds it to be detached:
 * no directory for it is needed inside (pivot_root(2), "pivot_root(".", ".")"). */
int op_pivot_root(struct run *run, const struct op *op)
{
    (void)op;
    if (fchdir(run->root) < 0)
        return fail(errno, NULL, "Cannot enter the new root");
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return fail(errno, NULL, "Cannot change the root");
    if (umount2(".", MNT_DETACH) < 0)
        return fail(errno, NULL, "Cannot detach the old root");
    if (chdir("/") < 0)
        return fail(errno, "/", "Cannot enter the new root");
    return 0;
}
