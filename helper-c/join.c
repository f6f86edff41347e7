/*
 * Entering a running container. The process is named by pid and start time and held by a pidfd, so
 * a reused pid is never entered. From the first setns on, the container's processes may look at
 * this one: it is not dumpable, which keeps its memory and /proc/PID/exe closed to them
 * (CVE-2019-5736).
 */
#include "helper.h"

#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char *const namespace_files[NS_COUNT] = {
    [NS_USER] = "user", [NS_MOUNT] = "mnt", [NS_PID] = "pid",       [NS_IPC] = "ipc",
    [NS_UTS] = "uts",   [NS_NET] = "net",   [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
};

/* Entering the user namespace one is in is an error, so enter those that differ. */
static int differing_namespaces(pid_t pid)
{
    int flags = 0;
    for (size_t i = 0; i < NS_COUNT; i++) {
        char own[32], other[48];
        struct stat mine, theirs;
        snprintf(own, sizeof own, "/proc/self/ns/%s", namespace_files[i]);
        snprintf(other, sizeof other, "/proc/%d/ns/%s", pid, namespace_files[i]);
        if (stat(own, &mine) < 0)
            continue;
        if (stat(other, &theirs) < 0)
            return -1;
        if (mine.st_ino != theirs.st_ino || mine.st_dev != theirs.st_dev)
            flags |= namespace_flags[i];
    }
    return flags;
}

void join_namespaces(struct run *run)
{
    const struct plan *plan = &run->plan;
    char name[16];
    snprintf(name, sizeof name, "%d", plan->join_pid);
    cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, plan->join_pid, 0);
    if (pidfd < 0)
        die(errno, name, "Cannot find the process to join");
    if (process_start_time(plan->join_pid) != plan->join_start_time)
        die(ESRCH, name, "Cannot find the process to join: its pid belongs to another process now");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int flags = differing_namespaces(plan->join_pid);
    if (flags < 0)
        die(errno, name, "Cannot look at the namespaces of the process to join");
    if (flags && setns(pidfd, flags) < 0)
        die(errno, name, "Cannot enter the namespaces of the process");

    /* Only children are in the entered pid namespace. The monitor becomes the parent of this one. */
    long child = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), NULL, NULL, NULL, NULL);
    if (child < 0)
        die(errno, name, "Cannot start a process in the container");
    if (child == 0) {
        /* else it could say READY before the monitor knows it, and would never be reaped */
        wait_for_go(run);
        return;
    }
    struct message message = {.kind = MESSAGE_PID, .pid = (int32_t)child};
    if (message_send(run->socket, &message, -1) < 0)
        _exit(EXIT_TSBOX);
    _exit(0);
}
