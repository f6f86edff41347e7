/*
 * `processes PID STARTTIME list|stop|continue`: every process of the container whose first process is
 * PID: one pid a line, or SIGSTOP or SIGCONT to each. With `limit NAME SOFT HARD` each gets this
 * resource limit, again until none is found that had another.
 *
 * They are those of the pid namespace that PID is the first of, and of those nested in it. A container
 * that shares the pid namespace of the host or of another one is told by its mount namespace: its
 * processes are there, or descend from one that is.
 *
 * Stopping is a race with fork: a process that is not stopped yet may have made another one that the
 * last look at /proc did not see. So look again until a whole round finds nothing that still moves.
 */
#include "helper.h"

#include <dirent.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Rounds of a millisecond: a process in an uninterruptible call stops only when that is over. */
#define ROUNDS_MAX 2000

static bool same(const struct stat *found, const struct namespace_identity *wanted)
{
    return found->st_ino == wanted->inode && found->st_dev == wanted->device;
}

bool namespace_identify(pid_t pid, const char *kind, struct namespace_identity *identity)
{
    char path[48];
    struct stat found;
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
    else
        snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (stat(path, &found) < 0)
        return false;
    *identity = (struct namespace_identity){found.st_dev, found.st_ino};
    return true;
}

int namespace_open(pid_t pid, const char *kind)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
    return open_cloexec(path, O_RDONLY, 0);
}

bool processes_are_shared(const struct plan *plan)
{
    return plan->lock && !plan->join_pid && !plan->namespaces[NS_PID];
}

/* Before the program is there, which may end at once and leave others behind; and by the child itself:
 * nobody may look at one who has entered another container's pid namespace. */
int processes_tell(const struct run *run)
{
    if (!processes_are_shared(&run->plan) || !run->plan.namespaces[NS_MOUNT])
        return 0;
    cleanup_fd int fd = open_cloexec("/proc/self/ns/mnt", O_RDONLY, 0);
    struct message message = {.kind = MESSAGE_MOUNTS};
    if (fd < 0 || message_send(run->socket, &message, fd) < 0)
        return fail(errno, NULL, "Cannot tell the monitor the mount namespace");
    return 0;
}

static bool identify_open(int fd, struct namespace_identity *identity)
{
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0)
        return false;
    *identity = (struct namespace_identity){found.st_dev, found.st_ino};
    return true;
}

/* What makes a process one of the container. */
struct scope {
    struct namespace_identity own, wanted; /* this process's namespace, and the container's */
    bool by_mounts;
};

static bool is_in_pid_namespace(pid_t pid, const struct scope *scope)
{
    char path[40];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    if (stat(path, &found) < 0)
        return false;
    if (same(&found, &scope->wanted))
        return true;
    if (same(&found, &scope->own))
        return false;
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    while (fd >= 0) {
        int parent = ioctl(fd, NS_GET_PARENT);
        close(fd);
        fd = parent;
        if (fd >= 0 && fstat(fd, &found) == 0 && same(&found, &scope->wanted))
            return true;
    }
    return false;
}

/* Field 4 of /proc/PID/stat; 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = 0;
    const char *end = strrchr(text, ')');
    return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static bool is_in_mount_namespace(pid_t pid, const struct scope *scope)
{
    for (; pid > 1; pid = parent_of(pid)) {
        struct namespace_identity found;
        if (!namespace_identify(pid, "mnt", &found))
            return false;
        if (found.inode == scope->wanted.inode && found.device == scope->wanted.device)
            return true;
        if (found.inode == scope->own.inode && found.device == scope->own.device)
            return false;
    }
    return false;
}

static bool is_within(pid_t pid, const struct scope *scope)
{
    return scope->by_mounts ? is_in_mount_namespace(pid, scope) : is_in_pid_namespace(pid, scope);
}

/* Whether the process is the first one of its pid namespace. */
static bool is_first(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    cleanup_free char *text = read_file(path, NULL);
    char *line = text ? strstr(text, "\nNSpid:") : NULL;
    if (!line)
        return true;
    line[1 + strcspn(line + 1, "\n")] = 0;
    const char *last = strrchr(line, '\t');
    return last && strcmp(last + 1, "1") == 0;
}

/* The letter of /proc/PID/stat; 0: it is gone. */
static char state_of(pid_t pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = 0;
    const char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 0;
}

static bool moves(char state)
{
    return state && !strchr("TtZX", state);
}

enum action { ACTION_LIST, ACTION_STOP, ACTION_CONTINUE, ACTION_LIMIT, ACTION_KILL };

static struct {
    int resource;
    struct rlimit limit;
} wish;

/* Whether it had another limit. One that has just ended has none. */
static bool limit_one(pid_t pid)
{
    struct rlimit before;
    if (prlimit(pid, (__rlimit_resource_t)wish.resource, &wish.limit, &before) == 0)
        return before.rlim_cur != wish.limit.rlim_cur || before.rlim_max != wish.limit.rlim_max;
    if (errno != ESRCH)
        die(errno, NULL, "Cannot change the limit of process %d", pid);
    return false;
}

static bool parse_limit(const char *text, rlim_t *value)
{
    uint64_t number = RLIM_INFINITY;
    bool known = strcmp(text, "unlimited") == 0 || parse_number(text, UINT64_MAX - 1, &number);
    *value = (rlim_t)number;
    return known;
}

/* The descriptor holds the process; only then is it sure that the namespace is this one's. */
static bool act_on(pid_t pid, enum action action, const struct scope *scope)
{
    if (action == ACTION_LIST) {
        printf("%d\n", pid);
        return false;
    }
    if (action == ACTION_LIMIT)
        return state_of(pid) != 'Z' && limit_one(pid);
    char state = state_of(pid);
    if (action == ACTION_KILL ? !state || strchr("ZX", state) : moves(state) == (action == ACTION_CONTINUE))
        return false;
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || !is_within(pid, scope))
        return false;
    static const int signals[] = {[ACTION_STOP] = SIGSTOP, [ACTION_CONTINUE] = SIGCONT, [ACTION_KILL] = SIGKILL};
    syscall(SYS_pidfd_send_signal, fd, signals[action], NULL, 0);
    return action != ACTION_CONTINUE;
}

/* Whether anything had to be stopped. */
static bool look_once(enum action action, const struct scope *scope)
{
    bool acted = false;
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    if (!proc)
        die(errno, "/proc", "Cannot list the processes");
    while ((entry = readdir(proc))) {
        uint64_t pid;
        if (parse_number(entry->d_name, INT_MAX, &pid) && is_within((pid_t)pid, scope))
            acted |= act_on((pid_t)pid, action, scope);
    }
    closedir(proc);
    return acted;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void processes_kill(int mounts)
{
    struct scope scope = {.by_mounts = true};
    if (!identify_open(mounts, &scope.wanted) || !namespace_identify(0, "mnt", &scope.own) ||
        scope.own.inode == scope.wanted.inode)
        return;
    for (int round = 0; round < ROUNDS_MAX && look_once(ACTION_KILL, &scope); round++)
        pause_a_little();
}

int cmd_processes(int argc, char **argv)
{
    static const char *const actions[] = {
        [ACTION_LIST] = "list", [ACTION_STOP] = "stop", [ACTION_CONTINUE] = "continue", [ACTION_LIMIT] = "limit"};
    uint64_t pid, start;
    size_t action = 0;
    int words = argc > 3 && strcmp(argv[3], "limit") == 0 ? 7 : 4;
    while (argc == words && action < countof(actions) && strcmp(argv[3], actions[action]) != 0)
        action++;
    if (argc != words || action == countof(actions) || !parse_number(argv[1], INT_MAX, &pid) ||
        !parse_number(argv[2], UINT64_MAX, &start))
        die(0, NULL, "Cannot look at the processes: usage: tsbox-helper processes PID STARTTIME list|stop|continue|limit NAME SOFT HARD");
    if (words == 7) {
        wish.resource = rlimit_resource(argv[4]);
        if (wish.resource < 0 || !parse_limit(argv[5], &wish.limit.rlim_cur) || !parse_limit(argv[6], &wish.limit.rlim_max))
            die(0, argv[4], "Cannot change the limit: no such limit, or not a number");
    }
    struct scope scope = {.by_mounts = !is_first((pid_t)pid)};
    const char *kind = scope.by_mounts ? "mnt" : "pid";
    /* held to the end, or what has ended meanwhile would give its number to another container */
    cleanup_fd int held = namespace_open((pid_t)pid, kind);
    if (!namespace_identify(0, kind, &scope.own) || !identify_open(held, &scope.wanted) ||
        process_start_time((pid_t)pid) != start)
        die(ESRCH, argv[1], "Cannot find the container's first process");
    if (scope.own.inode == scope.wanted.inode && scope.own.device == scope.wanted.device)
        die(0, argv[1], "Cannot tell the container's processes from others: it shares their namespaces");
    for (int round = 0; look_once((enum action)action, &scope); round++) {
        if (round == ROUNDS_MAX)
            die(0, argv[1], words == 7 ? "Cannot change the limit of all processes: new ones come too fast" : "Cannot stop all processes of the container: some wait for a device");
        pause_a_little();
    }
    return fflush(stdout) ? EXIT_TSBOX : 0;
}
