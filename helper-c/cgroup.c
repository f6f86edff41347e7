/*
 * A cgroup (version 2) of the container's own: its limits, its count of what is used, and the end of all its processes at once.
 *
 * Only a part of the tree that was given to this user may be divided. Where this process is in such a part, it is used as it is;
 * otherwise the user's systemd is asked to make one and to move this process there. Then:
 *
 *     BASE                what is ours to divide: a unit with Delegate=yes, or the root that an outer container gives
 *       tsbox.callers     whoever was in BASE: a cgroup whose children have limits may hold no process itself (cgroups(7))
 *       NAME              the container
 *
 * A command that is started from tsbox.callers finds everything made, and asks nobody. A unit of systemd's goes when its last process
 * has ended, with all that is below it; in a part that was there before, the monitor removes NAME, or the runner where that was killed.
 */
#include "helper.h"

#include <dirent.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>

#define MOUNT "/sys/fs/cgroup"
#define CALLERS "tsbox.callers"
/* Processes that are born while others are moved away are moved in the next round. */
#define ROUNDS_MAX 100

static struct {
    int directory;
    char *path; /* below MOUNT, "/…" */
    int base;
} own = {.directory = -1, .base = -1};

int cgroup_directory(void)
{
    return own.directory;
}

const char *cgroup_path(void)
{
    return own.path;
}

static int open_directory(int at, const char *path)
{
    return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_group(const char *path)
{
    cleanup_free char *full = xasprintf(MOUNT "%s", path);
    return open_directory(AT_FDCWD, full);
}

static char *read_file_at(int directory, const char *name)
{
    cleanup_fd int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? NULL : read_all(fd, NULL);
}

/*** Where we are, and whose it is ***/

/* The path of this process's cgroup, or NULL after fail(). */
static char *current_group(void)
{
    struct statfs fs;
    if (statfs(MOUNT, &fs) < 0 || (fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != TMPFS_MAGIC)) {
        fail(0, MOUNT, "Cannot make a cgroup: no cgroups are mounted");
        return NULL;
    }
    if (fs.f_type == TMPFS_MAGIC) {
        fail(0, MOUNT, "Cannot make a cgroup: this machine's cgroups are of version 1");
        return NULL;
    }
    char *text = read_file("/proc/self/cgroup", NULL);
    char *start = text ? strstr(text, "0::/") : NULL;
    /* a path that leads up is seen from a namespace that this process is not below */
    if (!start || strncmp(start + 3, "/..", 3) == 0) {
        free(text);
        fail(0, MOUNT, "Cannot make a cgroup: this process is in none that can be seen");
        return NULL;
    }
    start += 3;
    start[strcspn(start, "\n")] = 0;
    memmove(text, start, strlen(start) + 1);
    return text;
}

static bool may_divide(int directory)
{
    return faccessat(directory, ".", W_OK, AT_EACCESS) == 0 && faccessat(directory, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
           faccessat(directory, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

static bool is_marked(int directory, const char *attribute)
{
    char value = 0;
    return fgetxattr(directory, attribute, &value, 1) == 1 && value == '1';
}

/* systemd's own part, which it divides into units, is not for others; nor is the root of the whole machine. A user's systemd before
 * version 254 marks nothing: then it is asked for a unit that is certainly ours. */
static bool is_given_to_us(const char *path)
{
    cleanup_fd int directory = open_group(path);
    if (directory < 0 || !may_divide(directory))
        return false;
    if (strcmp(path, "/") == 0)
        return faccessat(directory, "cgroup.type", F_OK, 0) == 0;
    const char *name = strrchr(path, '/') + 1;
    if (strncmp(name, "user@", 5) == 0)
        return false;
    return is_marked(directory, "user.delegate") || is_marked(directory, "trusted.delegate");
}

/* What of `current` can be divided, or NULL. */
static char *find_base(const char *current)
{
    const char *name = strrchr(current, '/');
    if (strcmp(name + 1, CALLERS) != 0)
        return is_given_to_us(current) ? xstrdup(current) : NULL;
    char *parent = name == current ? xstrdup("/") : xasprintf("%.*s", (int)(name - current), current);
    cleanup_fd int directory = open_group(parent);
    if (directory >= 0 && may_divide(directory))
        return parent;
    free(parent);
    return NULL;
}

/*** Dividing ***/

/* Whether there was any. */
static bool move_processes(int base)
{
    cleanup_free char *pids = read_file_at(base, "cgroup.procs");
    bool any = false;
    for (char *rest = pids, *pid; pids && (pid = strsep(&rest, "\n"));) {
        if (!*pid)
            continue;
        any = true;
        write_file_at(base, CALLERS "/cgroup.procs", pid);
    }
    return any;
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *found = text; found && (found = strstr(found, word)); found += length)
        if ((found == text || found[-1] == ' ') && strchr(" \n", found[length]))
            return true;
    return false;
}

/* Whether all controllers that are there are on for the cgroups below. */
static bool enable_controllers(int base)
{
    static const char *const wanted[] = {"cpu", "memory", "pids", "io", "cpuset"};
    cleanup_free char *there = read_file_at(base, "cgroup.controllers"), *on = read_file_at(base, "cgroup.subtree_control");
    bool all = true;
    for (size_t i = 0; i < countof(wanted); i++) {
        char word[16];
        snprintf(word, sizeof word, "+%s", wanted[i]);
        if (has_word(there, wanted[i]) && !has_word(on, wanted[i]) && write_file_at(base, "cgroup.subtree_control", word) < 0)
            all = all && errno != EBUSY;
    }
    return all;
}

static int divide(int base)
{
    if (mkdirat(base, CALLERS, 0755) < 0 && errno != EEXIST)
        return fail(errno, NULL, "Cannot make a cgroup");
    for (int round = 0; round < ROUNDS_MAX; round++)
        if (!move_processes(base) && enable_controllers(base))
            break;
    return 0;
}

/*** The container's own ***/

/* A program may have made cgroups in its own. */
static int remove_group(int at, const char *name)
{
    if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    int fd = open_directory(at, name);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_group(dirfd(entries), entry->d_name);
    if (entries)
        closedir(entries);
    else if (fd >= 0)
        close(fd);
    return unlinkat(at, name, AT_REMOVEDIR);
}

/* The base of the container's cgroup, opened and divided; its path in `path`. -1 after fail(). */
static int open_base(const struct plan *plan, char **path)
{
    cleanup_free char *current = current_group();
    if (!current)
        return -1;
    *path = find_base(current);
    if (!*path) {
        cleanup_free char *unit = xasprintf("%s-%d.scope", plan->cgroup, getpid());
        if (systemd_start_scope(unit, plan->cgroup) < 0)
            return -1;
        *path = current_group();
        if (!*path)
            return -1;
    }
    int base = open_group(*path);
    if (base < 0)
        return fail(errno, *path, "Cannot make a cgroup");
    if (divide(base) == 0)
        return base;
    close(base);
    return -1;
}

static int make_group(const struct plan *plan)
{
    cleanup_free char *path = NULL;
    cleanup_fd int base = open_base(plan, &path);
    if (base < 0)
        return -1;
    /* left by a monitor that was killed */
    remove_group(base, plan->cgroup);
    if (mkdirat(base, plan->cgroup, 0755) < 0)
        return fail(errno, path, "Cannot make a cgroup");
    own.directory = open_directory(base, plan->cgroup);
    if (own.directory < 0)
        return fail(errno, path, "Cannot make a cgroup");
    own.path = xasprintf("%s/%s", strcmp(path, "/") == 0 ? "" : path, plan->cgroup);
    own.base = steal_fd(&base);
    return 0;
}

static int apply_setting(const struct cgroup_setting *setting)
{
    if (write_file_at(own.directory, setting->file, setting->value) == 0)
        return 0;
    if (errno == ENOENT)
        return fail(ENOENT, setting->file, "Cannot limit the container: the controller is not delegated");
    return fail(errno, setting->file, "Cannot limit the container: \"%s\" is refused", setting->value);
}

void cgroup_begin(struct plan *plan)
{
    if (!plan->cgroup)
        return;
    set_current_op("cgroup", 0);
    if (make_group(plan) < 0) {
        if (!plan->cgroup_optional)
            failure_sink();
        set_current_op("", 0);
        return;
    }
    for (size_t i = 0; i < plan->cgroup_setting_count; i++) {
        const struct cgroup_setting *setting = &plan->cgroup_settings[i];
        int result = apply_setting(setting);
        if (result < 0 && !setting->optional)
            failure_sink();
        /* then nothing has to stand between */
        if (result == 0 && strcmp(setting->file, "pids.max") == 0)
            plan->process_limit = 0;
    }
    event_begin("cgroup");
    event_text("path", own.path);
    event_end();
    set_current_op("", 0);
}

void cgroup_take(pid_t pid)
{
    char text[12];
    snprintf(text, sizeof text, "%d", pid);
    if (write_file_at(own.directory, "cgroup.procs", text) < 0)
        die(errno, own.path, "Cannot put the container into its cgroup");
}

void cgroup_namespace(const struct plan *plan)
{
    if (own.directory >= 0 && plan->namespaces[NS_CGROUP] && unshare(CLONE_NEWCGROUP) < 0)
        die(errno, NULL, "Cannot make a cgroup namespace");
}

bool cgroup_oom_kills(uint64_t *count)
{
    cleanup_free char *events = own.directory < 0 ? NULL : read_file_at(own.directory, "memory.events");
    const char *found = events ? strstr(events, "\noom_kill ") : NULL;
    *count = found ? strtoull(found + 10, NULL, 10) : 0;
    return found != NULL;
}

void cgroup_kill(void)
{
    if (own.directory >= 0)
        write_file_at(own.directory, "cgroup.kill", "1");
}

void cgroup_end(void)
{
    if (own.directory < 0)
        return;
    cgroup_kill();
    const char *name = strrchr(own.path, '/') + 1;
    /* one that was killed a moment ago may still be on its way out */
    for (int round = 0; round < ROUNDS_MAX && remove_group(own.base, name) < 0 && errno == EBUSY; round++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    close(own.directory);
    close(own.base);
    own.directory = own.base = -1;
}

/*** Joining ***/

/* The unit that a cgroup belongs to, and the rest of the path in `*below`. NULL: it belongs to none. */
static char *unit_of(const char *path, const char **below)
{
    char *unit = NULL;
    for (const char *start = path; *start == '/';) {
        size_t length = strcspn(++start, "/");
        const char *const endings[] = {".scope", ".service"};
        for (size_t i = 0; i < countof(endings); i++) {
            size_t size = strlen(endings[i]);
            if (length <= size || memcmp(start + length - size, endings[i], size) != 0)
                continue;
            free(unit);
            unit = xasprintf("%.*s", (int)length, start);
            *below = start + length;
        }
        start += length;
    }
    return unit;
}

/* The kernel lets us move it where we are in the same part; else systemd may. */
static int join_group(const char *path)
{
    cleanup_fd int directory = open_group(path);
    if (directory < 0)
        return fail(errno, path, "Cannot enter the container's cgroup");
    if (write_file_at(directory, "cgroup.procs", "0") == 0)
        return 0;
    const char *below = "";
    cleanup_free char *unit = errno == EACCES || errno == EPERM ? unit_of(path, &below) : NULL;
    return unit ? systemd_attach(unit, below) : fail(errno, path, "Cannot enter the container's cgroup");
}

void cgroup_join(const struct plan *plan)
{
    if (!plan->cgroup_join)
        return;
    set_current_op("cgroup", 0);
    if (join_group(plan->cgroup_join) < 0 && !plan->cgroup_join_optional)
        failure_sink();
    set_current_op("", 0);
}
