/*
 * Namespaces of another container of ours: its net, ipc, pid, uts or cgroup namespace instead of a new
 * one. They belong to that container's user namespace, so this has to be entered first, and what is made
 * then, the new mount namespace above all, belongs to it as well.
 *
 * Who the other container's first process is stands in the file that its monitor keeps locked: a name
 * that stays right when it is started again.
 */
#include "helper.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct donor {
    const char *lock; /* NULL: none */
    pid_t pid;
    int pidfd;
};

_Noreturn static void not_running(const char *lock)
{
    die(ESRCH, lock, "Cannot enter a namespace of another container: it does not run");
}

static struct donor open_donor(const char *lock)
{
    struct donor donor = {.lock = lock, .pidfd = -1};
    cleanup_fd int fd = open_cloexec(lock, O_RDONLY, 0);
    if (fd < 0 && errno == ENOENT)
        die(ENOENT, lock, "Cannot enter a namespace of another container");
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
        not_running(lock);
    cleanup_free char *text = read_all(fd, NULL);
    char *space = text ? strchr(text, ' ') : NULL;
    uint64_t pid, start;
    if (!space)
        not_running(lock);
    *space = 0;
    space[1 + strcspn(space + 1, "\n")] = 0;
    if (!parse_number(text, INT_MAX, &pid) || !parse_number(space + 1, UINT64_MAX, &start))
        not_running(lock);
    donor.pid = (pid_t)pid;
    donor.pidfd = (int)syscall(SYS_pidfd_open, donor.pid, 0);
    if (donor.pidfd < 0 || process_start_time(donor.pid) != start)
        not_running(lock);
    return donor;
}

static bool is_own(const struct donor *donor, const char *kind)
{
    struct namespace_identity own, theirs;
    if (!namespace_identify(0, kind, &own) || !namespace_identify(donor->pid, kind, &theirs))
        die(errno, donor->lock, "Cannot look at the namespaces of another container");
    return own.device == theirs.device && own.inode == theirs.inode;
}

static void enter(const struct donor *donor, enum namespace_index kind)
{
    static const char *const files[NS_COUNT] = {[NS_USER] = "user", [NS_PID] = "pid",       [NS_IPC] = "ipc",  [NS_UTS] = "uts",
                                                [NS_NET] = "net",   [NS_CGROUP] = "cgroup", [NS_TIME] = "time"};
    if (kind == NS_TIME && access("/proc/self/ns/time", F_OK) < 0)
        return;
    /* those of the host that it has itself, and a user namespace that was entered before */
    if (is_own(donor, files[kind]))
        return;
    if (setns(donor->pidfd, namespace_flags[kind]) < 0)
        die(errno, donor->lock, "Cannot enter the %s namespace of another container", namespace_names[kind]);
}

/* A mount can be cloned only by a process in its mount namespace, and who is there cannot come back. */
static int fetch_memory(const struct donor *donor)
{
    int ends[2], fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        die(errno, NULL, "Cannot make a socket");
    pid_t pid = fork();
    if (pid < 0)
        die(errno, NULL, "Cannot start a process");
    struct message message = {.kind = MESSAGE_GO};
    if (pid == 0) {
        failure_sink = NULL;
        int tree = setns(donor->pidfd, CLONE_NEWNS) < 0 ? -1 : open_tree(AT_FDCWD, "/dev/shm", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        message.pid = tree < 0 ? errno : 0;
        message_send(ends[1], &message, tree);
        _exit(0);
    }
    close(ends[1]);
    message.pid = EPROTO;
    message_receive(ends[0], &message, &fd);
    close(ends[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (fd < 0)
        die(message.pid, donor->lock, "Cannot take the /dev/shm of another container");
    return fd;
}

int op_shared_memory(struct run *run, const struct op *op)
{
    const char *path = op->texts[0];
    cleanup_fd int target = resolve_in_root(run->root, path);
    if (target < 0 || attach_in_root(run, &run->memory, target, path) < 0)
        return fail(errno, path, "Cannot attach the shared memory");
    return 0;
}

void share_namespaces(struct run *run)
{
    const struct plan *plan = &run->plan;
    struct donor donors[NS_COUNT] = {{0}};
    const struct donor *first = NULL;
    for (size_t i = 0; i < NS_COUNT; i++) {
        if (!plan->shared[i])
            continue;
        donors[i] = open_donor(plan->shared[i]);
        first = first ? first : &donors[i];
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* as in join.c: processes inside may look at this one from here on */
    enter(first, NS_USER);
    for (size_t i = 0; i < NS_COUNT; i++)
        if (donors[i].lock && !is_own(&donors[i], "user"))
            die(0, donors[i].lock, "Cannot enter namespaces of two containers: their user namespaces are not the same");
    if (plan_find(plan, "shared-memory"))
        run->memory = fetch_memory(&donors[NS_IPC]);
    for (size_t i = 0; i < NS_COUNT; i++)
        if (donors[i].lock)
            enter(&donors[i], (enum namespace_index)i);
    for (size_t i = 0; i < NS_COUNT; i++)
        if (donors[i].lock)
            close(donors[i].pidfd);

    /* The monitor becomes the parent of this one; it is the first in the entered pid namespace. */
    unsigned long flags = CLONE_PARENT;
    for (size_t i = 0; i < NS_COUNT; i++)
        if (plan->namespaces[i] && i != NS_TIME)
            flags |= (unsigned long)namespace_flags[i];
    pid_t child = namespaces_clone_with(flags, NULL);
    if (child < 0)
        die(errno, NULL, "Cannot make the namespaces");
    if (child == 0) {
        /* nobody of the other container sees this one, and it has files of its own in /proc to write */
        if (!plan->shared[NS_PID])
            prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        wait_for_go(run);
        return;
    }
    /* for what the monitor removes at the end; in /proc it could not open it */
    int user = open_cloexec("/proc/self/ns/user", O_RDONLY, 0);
    struct message message = {.kind = MESSAGE_PID, .pid = (int32_t)child};
    _exit(message_send(run->socket, &message, user) < 0 ? EXIT_TSBOX : 0);
}
