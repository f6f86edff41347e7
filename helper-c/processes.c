/*
 * `processes PID STARTTIME list|stop|continue`: every process of the pid namespace that PID is the
 * first of, and of those nested in it: one pid a line, or SIGSTOP or SIGCONT to each. With
 * `limit NAME SOFT HARD` each gets this resource limit, again until none is found that had another.
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

struct identity {
    dev_t device;
    ino_t inode;
};

static bool same(const struct stat *found, const struct identity *wanted)
{
    return found->st_ino == wanted->inode && found->st_dev == wanted->device;
}

/* Is the namespace the wanted one, or below it? */
static bool is_within(pid_t pid, const struct identity *own, const struct identity *wanted)
{
    char path[40];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    if (stat(path, &found) < 0)
        return false;
    if (same(&found, wanted))
        return true;
    if (same(&found, own))
        return false;
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    while (fd >= 0) {
        int parent = ioctl(fd, NS_GET_PARENT);
        close(fd);
        fd = parent;
        if (fd >= 0 && fstat(fd, &found) == 0 && same(&found, wanted))
            return true;
    }
    return false;
}

static bool identify(pid_t pid, struct identity *identity)
{
    char path[40];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    if (stat(path, &found) < 0)
        return false;
    *identity = (struct identity){found.st_dev, found.st_ino};
    return true;
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

enum action { ACTION_LIST, ACTION_STOP, ACTION_CONTINUE, ACTION_LIMIT };

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
static bool act_on(pid_t pid, enum action action, const struct identity *own, const struct identity *wanted)
{
    if (action == ACTION_LIST) {
        printf("%d\n", pid);
        return false;
    }
    if (action == ACTION_LIMIT)
        return state_of(pid) != 'Z' && limit_one(pid);
    bool moving = moves(state_of(pid));
    if (moving == (action == ACTION_CONTINUE))
        return false;
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || !is_within(pid, own, wanted))
        return false;
    syscall(SYS_pidfd_send_signal, fd, action == ACTION_STOP ? SIGSTOP : SIGCONT, NULL, 0);
    return action == ACTION_STOP;
}

/* Whether anything had to be stopped. */
static bool look_once(enum action action, const struct identity *own, const struct identity *wanted)
{
    bool acted = false;
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    if (!proc)
        die(errno, "/proc", "Cannot list the processes");
    while ((entry = readdir(proc))) {
        uint64_t pid;
        if (parse_number(entry->d_name, INT_MAX, &pid) && is_within((pid_t)pid, own, wanted))
            acted |= act_on((pid_t)pid, action, own, wanted);
    }
    closedir(proc);
    return acted;
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
    struct identity own, wanted;
    if (!identify(getpid(), &own) || !identify((pid_t)pid, &wanted) || process_start_time((pid_t)pid) != start)
        die(ESRCH, argv[1], "Cannot find the container's first process");
    /* A container without a pid namespace of its own has no list that is only its own. */
    if (own.inode == wanted.inode && own.device == wanted.device)
        die(0, argv[1], "Cannot tell the container's processes from others: it shares their pid namespace");
    for (int round = 0; look_once((enum action)action, &own, &wanted); round++) {
        if (round == ROUNDS_MAX)
            die(0, argv[1], words == 7 ? "Cannot change the limit of all processes: new ones come too fast" : "Cannot stop all processes of the container: some wait for a device");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return fflush(stdout) ? EXIT_TSBOX : 0;
}
