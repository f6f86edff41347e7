/*
 * New file systems: overlay, tmpfs, proc and the like, through fsopen and fsmount. A file system is
 * configured and mounted detached, with its flags, and only then attached: nobody sees it half made,
 * and the kernel explains a refusal in words.
 */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* fsconfig takes at most 255 bytes and overlay gives "," ":" and "\" a meaning in some forms of its
 * options: a path that is longer or has those goes by a descriptor's name. */
#define PLAIN_PATH_MAX 200

static uint64_t attributes(unsigned flags)
{
    return (flags & FLAG_RO ? MOUNT_ATTR_RDONLY : 0) | (flags & FLAG_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
           (flags & FLAG_NODEV ? MOUNT_ATTR_NODEV : 0) | (flags & FLAG_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

/* The kernel's own words ("overlay: No changes allowed in …") say more than the errno. */
static int fail_with_log(int context, int error, const char *path, const char *type)
{
    char said[512];
    ssize_t length = read(context, said, sizeof said - 1);
    said[length > 0 ? length : 0] = 0;
    said[strcspn(said, "\n")] = 0;
    const char *text = strlen(said) > 2 ? said + 2 : "";
    return fail(error, path, "Cannot mount %s%s%s%s", type, *text ? " (" : "", text, *text ? ")" : "");
}

static int set_option(int context, const char *key, const char *value)
{
    return value ? fsconfig(context, FSCONFIG_SET_STRING, key, value, 0)
                 : fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);
}

static int set_options(int context, const char *options)
{
    cleanup_free char *copy = xstrdup(options);
    char *state = NULL;
    for (char *option = strtok_r(copy, ",", &state); option; option = strtok_r(NULL, ",", &state)) {
        char *equals = strchr(option, '=');
        if (equals)
            *equals++ = 0;
        if (set_option(context, option, equals) < 0)
            return -1;
    }
    return 0;
}

int new_filesystem(const char *type, const char *options, unsigned flags, const char *path)
{
    cleanup_fd int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0)
        return fail(errno, path, "Cannot mount %s: the kernel does not offer it", type);
    if (set_option(context, "source", type) < 0 || set_options(context, options) < 0 ||
        fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fail_with_log(context, errno, path, type);
    int mounted = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes(flags));
    if (mounted < 0)
        return fail_with_log(context, errno, path, type);
    return mounted;
}

static int mount_new(struct run *run, const struct op *op, const char *type, const char *options, unsigned flags)
{
    const char *path = op->texts[0];
    cleanup_fd int target =
        op->flags & FLAG_MAKE ? make_mount_point(run->root, path, true) : resolve_in_root(run->root, path);
    if (target < 0)
        return is_optional(op) ? 0 : fail(errno, path, "Cannot find the mount point of %s", type);
    cleanup_fd int mounted = new_filesystem(type, options, flags, path);
    if (mounted < 0)
        return is_optional(op) ? 0 : -1;
    if (attach_in_root(run, &mounted, target, path) < 0)
        return is_optional(op) ? 0 : fail(errno, path, "Cannot attach %s", type);
    return 0;
}

int op_tmpfs(struct run *run, const struct op *op)
{
    if (op->flags & FLAG_COPY)
        return fill_tmpfs(run, op);
    return mount_tmpfs(run, op);
}

int mount_tmpfs(struct run *run, const struct op *op)
{
    return mount_new(run, op, "tmpfs", op->texts[1], op->flags);
}

int op_proc(struct run *run, const struct op *op)
{
    return mount_new(run, op, "proc", "", FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC);
}

int op_sysfs(struct run *run, const struct op *op)
{
    return mount_new(run, op, "sysfs", "", op->flags | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC);
}

int op_mqueue(struct run *run, const struct op *op)
{
    return mount_new(run, op, "mqueue", "", FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC);
}

int op_cgroup2(struct run *run, const struct op *op)
{
    return mount_new(run, op, "cgroup2", "", op->flags | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC);
}

int op_devpts(struct run *run, const struct op *op)
{
    return mount_new(run, op, "devpts", op->texts[1], FLAG_NOSUID | FLAG_NOEXEC);
}

/*** Overlay ***/

struct overlay_paths {
    int *fds;
    char **names; /* what overlay is told: the path itself or /proc/self/fd/N */
    size_t count;
};

static void free_paths(struct overlay_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (paths->fds[i] >= 0)
            close(paths->fds[i]);
        free(paths->names[i]);
    }
    free(paths->fds);
    free(paths->names);
}

static int add_path(struct overlay_paths *paths, const char *path, bool by_descriptor)
{
    size_t i = paths->count++;
    paths->fds[i] = -1;
    paths->names[i] = NULL;
    if (!by_descriptor && strlen(path) <= PLAIN_PATH_MAX && !strpbrk(path, ",:\\")) {
        paths->names[i] = xstrdup(path);
        return 0;
    }
    paths->fds[i] = open_cloexec(path, O_PATH | O_DIRECTORY, 0);
    if (paths->fds[i] < 0)
        return fail(errno, path, "Cannot open the directory for the overlay");
    paths->names[i] = xasprintf("/proc/self/fd/%d", paths->fds[i]);
    return 0;
}

/* Lowers first, then upper and work unless read-only. */
static int open_paths(struct overlay_paths *paths, const struct op *op, bool by_descriptor)
{
    bool writable = !(op->flags & FLAG_RO);
    size_t capacity = op->words.count + 2;
    *paths = (struct overlay_paths){.fds = xcalloc(capacity, sizeof(int)), .names = xcalloc(capacity, sizeof(char *))};
    for (size_t i = 0; i < op->words.count; i++)
        if (add_path(paths, op->words.list[i], by_descriptor) < 0)
            return -1;
    if (writable && (add_path(paths, op->texts[1], by_descriptor) < 0 || add_path(paths, op->texts[2], by_descriptor) < 0))
        return -1;
    return 0;
}

static int configure_overlay(int context, const struct op *op, const struct overlay_paths *paths)
{
    size_t lowers = op->words.count;
    for (size_t i = 0; i < lowers; i++)
        if (set_option(context, "lowerdir+", paths->names[i]) < 0)
            return -1;
    if (!(op->flags & FLAG_RO) && (set_option(context, "upperdir", paths->names[lowers]) < 0 ||
                                   set_option(context, "workdir", paths->names[lowers + 1]) < 0))
        return -1;
    if ((op->flags & FLAG_USERXATTR) && set_option(context, "userxattr", NULL) < 0)
        return -1;
    if ((op->flags & FLAG_VOLATILE) && set_option(context, "volatile", NULL) < 0)
        return -1;
    return fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

/* Linux before 6.5 knows no "lowerdir+", and its "lowerdir" has no room for many layers in
 * fsconfig's 255 bytes; mount(2) takes a page of options, and descriptors' names are short. */
static int mount_overlay_with_options(const struct op *op, int target)
{
    struct overlay_paths paths;
    struct buffer options = {0};
    int result = open_paths(&paths, op, true);
    if (result == 0) {
        size_t lowers = op->words.count;
        char place[40];
        snprintf(place, sizeof place, "/proc/self/fd/%d", target);
        for (size_t i = 0; i < lowers; i++)
            buffer_printf(&options, "%s%s", i ? ":" : "lowerdir=", paths.names[i]);
        if (!(op->flags & FLAG_RO))
            buffer_printf(&options, ",upperdir=%s,workdir=%s", paths.names[lowers], paths.names[lowers + 1]);
        buffer_puts(&options, op->flags & FLAG_USERXATTR ? ",userxattr" : "");
        buffer_puts(&options, op->flags & FLAG_VOLATILE ? ",volatile" : "");
        result = mount("overlay", place, "overlay", op->flags & FLAG_RO ? MS_RDONLY : 0, options.data);
        if (result < 0)
            fail(errno, op->texts[0], "Cannot mount overlay");
    }
    buffer_free(&options);
    free_paths(&paths);
    return result;
}

/* A volatile overlay leaves this mark, so that nobody trusts its files after a crash of the machine. Who
 * chose it lives with that, and may start the container again. */
static void forget_volatile(const struct op *op)
{
    cleanup_free char *mark = xasprintf("%s/work/incompat/volatile/dirty", op->texts[2]);
    if (unlink(mark) < 0)
        return;
    for (int level = 0; level < 2; level++) {
        *strrchr(mark, '/') = 0;
        rmdir(mark);
    }
}

/* `run` NULL: the target is a path of the host's, not one in the new root.
 *
 * EINVAL says both "unknown option" and "cannot be combined": the older way is tried then, which costs
 * nothing where mounting fails anyway. */
static int mount_overlay(struct run *run, const struct op *op, int target)
{
    if (op->flags & FLAG_VOLATILE)
        forget_volatile(op);
    cleanup_fd int context = fsopen("overlay", FSOPEN_CLOEXEC);
    if (context < 0)
        return errno == ENOSYS ? mount_overlay_with_options(op, target)
                               : fail(errno, op->texts[0], "Cannot mount overlay: the kernel does not offer it");
    struct overlay_paths paths;
    int result = open_paths(&paths, op, false);
    if (result < 0) {
        free_paths(&paths);
        return result;
    }
    result = set_option(context, "source", "overlay") < 0 ? -1 : configure_overlay(context, op, &paths);
    int error = errno;
    free_paths(&paths);
    if (result < 0) {
        if (error == EINVAL && mount_overlay_with_options(op, target) == 0)
            return 0;
        return fail_with_log(context, error, op->texts[0], "overlay");
    }
    cleanup_fd int mounted = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes(op->flags));
    if (mounted < 0)
        return fail_with_log(context, errno, op->texts[0], "overlay");
    if (attach_in_root(run, &mounted, target, run ? op->texts[0] : NULL) < 0)
        return fail(errno, op->texts[0], "Cannot attach the overlay");
    return 0;
}

int op_overlay(struct run *run, const struct op *op)
{
    cleanup_fd int target = open_cloexec(op->texts[0], O_PATH | O_DIRECTORY, 0);
    if (target < 0)
        return fail(errno, op->texts[0], "Cannot find the overlay's mount point");
    if (op->flags & FLAG_COPY)
        return mount_copy(op, target);
    if (op->flags & FLAG_FUSE)
        return mount_fuse_overlay(run, op, target);
    return mount_overlay(NULL, op, target);
}

static bool lacks_lower(const struct op *op)
{
    for (size_t i = 0; i < op->words.count; i++)
        if (access(op->words.list[i], F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
            return true;
    return false;
}

int op_overlay_at(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    if ((op->flags & FLAG_OPTIONAL) && lacks_lower(op))
        return 0;
    cleanup_fd int target =
        op->flags & FLAG_MAKE ? make_mount_point(run->root, path, true) : resolve_in_root(run->root, path);
    if (target < 0)
        return fail(errno, path, "Cannot find the overlay's mount point");
    return op->flags & FLAG_FUSE ? mount_fuse_overlay(run, op, target) : mount_overlay(run, op, target);
}

/* A setting of the new namespaces, through the new root's own /proc. */
int op_sysctl(struct run *run, const struct op *op)
{
    cleanup_free char *path = xasprintf("/proc/sys/%s", op->texts[0]);
    cleanup_fd int found = resolve_in_root(run->root, path);
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", found);
    cleanup_fd int fd = found < 0 ? -1 : open_cloexec(name, O_WRONLY, 0);
    size_t length = strlen(op->texts[1]);
    if (fd < 0 || write(fd, op->texts[1], length) != (ssize_t)length)
        return fail(errno, op->texts[0], "Cannot set the kernel parameter");
    return 0;
}
