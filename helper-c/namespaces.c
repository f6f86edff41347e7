/* Namespaces: cloning into them, their id maps, clocks and loopback device. */
#include "helper.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

const char *const namespace_names[NS_COUNT] = {
    [NS_USER] = "user", [NS_MOUNT] = "mount", [NS_PID] = "pid",       [NS_IPC] = "ipc",
    [NS_UTS] = "uts",   [NS_NET] = "net",     [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
};

const int namespace_flags[NS_COUNT] = {
    [NS_USER] = CLONE_NEWUSER, [NS_MOUNT] = CLONE_NEWNS, [NS_PID] = CLONE_NEWPID,       [NS_IPC] = CLONE_NEWIPC,
    [NS_UTS] = CLONE_NEWUTS,   [NS_NET] = CLONE_NEWNET,  [NS_CGROUP] = CLONE_NEWCGROUP, [NS_TIME] = CLONE_NEWTIME,
};

/* CLONE_NEWTIME has no bit in the old clone call: a time namespace is made by set_time_offsets. */
pid_t namespaces_clone(const struct plan *plan, int *pidfd)
{
    unsigned long flags = CLONE_PIDFD;
    for (size_t i = 0; i < NS_COUNT; i++)
        if (plan->namespaces[i] && i != NS_TIME)
            flags |= (unsigned long)namespace_flags[i];
    return namespaces_clone_first(flags, pidfd);
}

/* To be born in a cgroup costs less than to be moved there, but needs clone3. A cgroup namespace begins
 * with the cgroup of who makes it, and that is still the monitor's: the child makes its own. */
pid_t namespaces_clone_first(unsigned long flags, int *pidfd)
{
    if (cgroup_directory() < 0)
        return namespaces_clone_with(flags, pidfd);
    struct clone_args arguments = {
        .flags = (flags & ~(unsigned long)CLONE_NEWCGROUP) | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup_directory(),
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid >= 0 || errno == EAGAIN || errno == ENOMEM || errno == ENOSPC || errno == EUSERS)
        return pid;
    pid = namespaces_clone_with(flags & ~(unsigned long)CLONE_NEWCGROUP, pidfd);
    if (pid > 0)
        cgroup_take(pid);
    return pid;
}

/* The old clone call is enough and, unlike clone3, passes the seccomp filters of older outer containers. */
pid_t namespaces_clone_with(unsigned long flags, int *pidfd)
{
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, pidfd, NULL, NULL);
}

/*** Id maps ***/

static bool may_write_any_map(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID;
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & wanted) == wanted;
}

static int write_map_directly(pid_t pid, const char *file, const struct id_map *map)
{
    cleanup_free char *path = xasprintf("/proc/%d/%s", pid, file);
    struct buffer text = {0};
    for (size_t i = 0; i < map->count; i++)
        buffer_printf(&text, "%u %u %u\n", map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].count);
    int result = write_file_at(AT_FDCWD, path, text.data);
    if (result < 0)
        fail(errno, path, "Cannot write the id map");
    buffer_free(&text);
    return result;
}

static int write_maps_directly(const struct plan *plan, pid_t pid)
{
    /* An unprivileged process may map one group only after giving up setgroups (user_namespaces(7));
     * a privileged one keeps it, so that the container can set supplementary groups. */
    if (!may_write_any_map()) {
        cleanup_free char *path = xasprintf("/proc/%d/setgroups", pid);
        if (write_file_at(AT_FDCWD, path, "deny") < 0 && errno != ENOENT)
            return fail(errno, path, "Cannot deny setgroups");
    }
    if (write_map_directly(pid, "uid_map", &plan->uid_map) < 0)
        return -1;
    return write_map_directly(pid, "gid_map", &plan->gid_map);
}

static pid_t start_map_tool(const char *tool, pid_t pid, const struct id_map *map, int output)
{
    char numbers[12], **argv = xcalloc(map->count * 3 + 3, sizeof *argv);
    char(*words)[12] = xcalloc(map->count * 3, sizeof *words);
    size_t argc = 0;
    argv[argc++] = (char *)tool;
    snprintf(numbers, sizeof numbers, "%d", pid);
    argv[argc++] = numbers;
    for (size_t i = 0; i < map->count; i++) {
        const uint32_t values[] = {map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].count};
        for (size_t j = 0; j < 3; j++) {
            snprintf(words[i * 3 + j], sizeof *words, "%u", values[j]);
            argv[argc++] = words[i * 3 + j];
        }
    }

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    pid_t child;
    int error = posix_spawn(&child, tool, &actions, &attributes, argv, (char *[]){NULL});
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(words);
    free(argv);
    errno = error;
    return error ? -1 : child;
}

static int wait_for_exit(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* newuidmap and newgidmap each cost a millisecond or two: let them run side by side. */
static int write_maps_with_tools(const struct plan *plan, pid_t pid)
{
    int output[2];
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0)
        return fail(errno, NULL, "Cannot make a pipe");
    cleanup_fd int reading = output[0];
    const char *tools[] = {plan->newuidmap, plan->newgidmap};
    pid_t children[] = {-1, -1};
    int result = 0;
    for (size_t i = 0; i < 2; i++) {
        children[i] = start_map_tool(tools[i], pid, i == 0 ? &plan->uid_map : &plan->gid_map, output[1]);
        if (children[i] < 0)
            result = fail(errno, tools[i], "Cannot start the program that writes the id map");
    }
    close(output[1]);
    for (size_t i = 0; i < 2; i++) {
        if (children[i] < 0)
            continue;
        int status = wait_for_exit(children[i]);
        if (status == 0 || result < 0)
            continue;
        char said[512];
        ssize_t length = read(reading, said, sizeof said - 1);
        said[length > 0 ? length : 0] = 0;
        said[strcspn(said, "\n")] = 0;
        result = fail(EPERM, tools[i], "Cannot write the id map%s%s", *said ? ": the program said: " : "", said);
    }
    return result;
}

int write_id_maps(const struct plan *plan, pid_t pid)
{
    return plan->newuidmap ? write_maps_with_tools(plan, pid) : write_maps_directly(plan, pid);
}

static bool maps_root(const struct id_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->ranges[i].inside == 0)
            return true;
    return false;
}

/* Files and directories that set-up makes belong to the container's root, also where the user is
 * mapped to another id (keep-id). Capabilities stay: the namespace's first process has all. */
int become_namespace_root(const struct plan *plan)
{
    if (getegid() != 0 && maps_root(&plan->gid_map) && setresgid(0, 0, 0) < 0)
        return fail(errno, NULL, "Cannot become group 0 of the user namespace");
    if (geteuid() != 0 && maps_root(&plan->uid_map) && setresuid(0, 0, 0) < 0)
        return fail(errno, NULL, "Cannot become user 0 of the user namespace");
    return 0;
}

/*** Clocks ***/

static int set_clock(const struct time_offset *offset)
{
    cleanup_free char *line =
        xasprintf("%d %lld %lld\n", offset->clock, (long long)offset->seconds, (long long)offset->nanoseconds);
    if (write_file_at(AT_FDCWD, "/proc/self/timens_offsets", line) < 0)
        return fail(errno, "/proc/self/timens_offsets", "Cannot set a clock of the time namespace");
    return 0;
}

/* As if the machine had started with this process: had it started later, the time of pid 1's start, which ps shows, would lie before all time. */
static int clocks_from_zero(void)
{
    const int clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    int64_t ticks = (int64_t)process_start_time(0), second = 1000000000;
    int64_t age = now_nanoseconds(CLOCK_BOOTTIME) - ticks * (second / sysconf(_SC_CLK_TCK));
    for (size_t i = 0; i < countof(clocks); i++) {
        int64_t offset = age - now_nanoseconds(clocks[i]), seconds = offset / second - 1; /* nanoseconds may not be negative */
        struct time_offset set = {.clock = clocks[i], .seconds = seconds, .nanoseconds = offset - seconds * second};
        if (set.nanoseconds >= second)
            set = (struct time_offset){.clock = clocks[i], .seconds = seconds + 1, .nanoseconds = set.nanoseconds - second};
        if (set_clock(&set) < 0)
            return -1;
    }
    return 0;
}

/* Offsets can be written until the first process is inside; so make the namespace for children,
 * set its clocks, then enter it (time_namespaces(7)). */
int set_time_offsets(const struct plan *plan)
{
    if (!plan->namespaces[NS_TIME])
        return 0;
    if (unshare(CLONE_NEWTIME) < 0)
        return plan->clocks_from_zero ? 0 : fail(errno, NULL, "Cannot make a time namespace");
    if (plan->clocks_from_zero && clocks_from_zero() < 0)
        return -1;
    for (size_t i = 0; i < plan->time_offset_count; i++)
        if (set_clock(&plan->time_offsets[i]) < 0)
            return -1;
    cleanup_fd int inside = open_cloexec("/proc/self/ns/time_for_children", O_RDONLY, 0);
    if (inside < 0 || setns(inside, CLONE_NEWTIME) < 0)
        return fail(errno, NULL, "Cannot enter the time namespace");
    return 0;
}

int op_loopback(struct run *run, const struct op *op)
{
    (void)run;
    (void)op;
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return fail(errno, "lo", "Cannot bring up the loopback device");
    return 0;
}

/* Field 22 of /proc/PID/stat; of this process for 0. The second field, the name, may hold spaces and parentheses. */
uint64_t process_start_time(pid_t pid)
{
    char path[32], text[1024];
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
    else
        snprintf(path, sizeof path, "/proc/self/stat");
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *rest = strrchr(text, ')');
    for (int field = 2; rest && field < 22; field++)
        rest = strchr(rest + 1, ' ');
    return rest ? strtoull(rest + 1, NULL, 10) : 0;
}
