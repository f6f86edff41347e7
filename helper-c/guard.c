/*
 * The program dies with its monitor by its parent-death signal; but the kernel takes that signal away
 * from a process whose ids change (prctl(2), PR_SET_PDEATHSIG): one that drops root as `su` and `gosu`
 * do, or that executes a setuid file. For these a second process stands beside the monitor, whose ids
 * never change: it does nothing but wait for the monitor's death, and then kills the program. The same where the pid
 * namespace is not the container's own: what the program has left there would outlive it.
 */
#include "helper.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pid_t guard;

#define MASK(capability) (1ull << (capability))

/* Pid 1 of --init stays what it is, and a joined program ends with its container. */
static bool needs_guard(const struct plan *plan)
{
    const struct op *capabilities = plan_find(plan, "capabilities");
    if (processes_are_shared(plan))
        return true;
    if (plan->init || plan->join_pid)
        return false;
    return !capabilities || !plan_find(plan, "no-new-privs") ||
           (capabilities->numbers[0] & (MASK(CAP_SETUID) | MASK(CAP_SETGID)));
}

_Noreturn static void keep_watch(const struct monitor *monitor, pid_t parent)
{
    sigset_t all, death;
    sigfillset(&all);
    sigemptyset(&death);
    sigaddset(&death, SIGNAL_PARENT_DIED);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid(); /* what is sent to the terminal's processes is not meant for us */
    /* nobody waits for the end of a pipe or a lock because of us */
    int pidfd = dup2(monitor->pidfd, 0), mounts = monitor->mounts < 0 ? -1 : dup2(monitor->mounts, 1);
    syscall(SYS_close_range, mounts < 0 ? 1u : 2u, ~0u, 0u);
    prctl(PR_SET_PDEATHSIG, SIGNAL_PARENT_DIED, 0, 0, 0);
    while (getppid() == parent)
        sigwaitinfo(&death, NULL);
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    processes_kill(mounts);
    _exit(0);
}

void guard_begin(const struct monitor *monitor)
{
    if (monitor->pidfd < 0 || !needs_guard(&monitor->run->plan))
        return;
    pid_t parent = getpid();
    guard = fork();
    if (guard == 0)
        keep_watch(monitor, parent);
}

void guard_end(void)
{
    if (guard <= 0)
        return;
    kill(guard, SIGKILL);
    while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
        ;
    guard = 0;
}
