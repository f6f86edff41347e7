/*
 * A bound on the number of processes where no cgroup can be had.
 *
 * Since Linux 5.14 RLIMIT_NPROC is counted for each user namespace and user, and a process counts in all namespaces above its own too. A
 * limit in the container itself would bound each of its users alone: with a range of ids, root inside has 65536 times as many. What bounds
 * them together is the limit that a namespace has been given when it was made: it holds for what counts for its owner in the namespace
 * above. So that nothing but the container counts there, one more user namespace is put between: its first process, the stem, has the
 * ids mapped, makes the container's namespaces below its own, and leaves. (user_namespaces(7), kernel/ucount.c)
 */
#include "helper.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* The ids of the namespace between, one by one. */
static struct id_map same_ids(const struct id_map *map)
{
    struct id_map same = {.ranges = xcalloc(map->count, sizeof *same.ranges), .count = map->count};
    for (size_t i = 0; i < map->count; i++) {
        same.ranges[i] = map->ranges[i];
        same.ranges[i].outside = map->ranges[i].inside;
    }
    return same;
}

static rlim_t least(rlim_t a, rlim_t b)
{
    return a < b ? a : b;
}

pid_t stem_clone(void)
{
    return namespaces_clone_first(CLONE_NEWUSER, NULL);
}

/* The stem itself counts beside the container's first process for a moment. */
#define LEAST 2

void stem_main(struct run *run)
{
    const struct plan *plan = &run->plan;
    struct rlimit before, during;
    if (become_namespace_root(plan) < 0)
        failure_sink();
    /* a change of ids gives the child's files in /proc to the real root; the stem has to write its maps */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (getrlimit(RLIMIT_NPROC, &before) < 0)
        die(errno, NULL, "Cannot prepare the limit of processes");
    during = before;
    rlim_t limit = plan->process_limit < LEAST ? LEAST : (rlim_t)plan->process_limit;
    during.rlim_cur = least(least(limit, before.rlim_cur), before.rlim_max);
    if (setrlimit(RLIMIT_NPROC, &during) < 0)
        die(errno, NULL, "Cannot set the limit of processes");
    int flags = CLONE_PARENT;
    for (size_t i = 0; i < NS_COUNT; i++)
        if (plan->namespaces[i] && i != NS_TIME)
            flags |= namespace_flags[i];
    pid_t child = namespaces_clone_with((unsigned long)flags, NULL);
    if (child < 0)
        die(errno, NULL, "Cannot make the namespaces");
    if (child == 0) {
        /* the namespace keeps it; what the program may ask of setrlimit is another matter */
        if (plan->process_limit < LEAST)
            before.rlim_cur = before.rlim_max = plan->process_limit;
        if (setrlimit(RLIMIT_NPROC, &before) < 0)
            _exit(EXIT_TSBOX);
        wait_for_go(run); /* the stem counts until the monitor has reaped it */
        return;
    }
    struct plan inner = {.uid_map = same_ids(&plan->uid_map), .gid_map = same_ids(&plan->gid_map)};
    if (write_id_maps(&inner, child) < 0)
        failure_sink();
    struct message message = {.kind = MESSAGE_PID, .pid = (int32_t)child};
    _exit(message_send(run->socket, &message, -1) < 0 ? EXIT_TSBOX : 0);
}
