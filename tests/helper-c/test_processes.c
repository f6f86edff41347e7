/* Who is killed with a mount namespace, and who is not. */
#include "helper.h"
#include "testing.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OTHERS 24

/* A process that waits in a mount namespace of its own; 0: there is none to be had. */
static pid_t start(void)
{
    int ends[2];
    char byte = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
        write_all(ends[1], &byte, 1);
        syscall(SYS_close_range, 3u, ~0u, 0u); /* nor does it hold what others look at */
        while (byte)
            pause();
        _exit(0);
    }
    close(ends[1]);
    bool ready = pid > 0 && read(ends[0], &byte, 1) == 1 && byte;
    close(ends[0]);
    if (!ready && pid > 0)
        waitpid(pid, NULL, 0);
    return ready ? pid : 0;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool has_ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) != 0;
}

static void kills_all_that_are_in_it(void)
{
    pid_t inside = start(), outside = start();
    int mounts = namespace_open(inside, "mnt");
    processes_kill(mounts);
    expect(waitpid(inside, NULL, 0) == inside);
    expect(!has_ended(outside));
    end(outside);
    close(mounts);
}

/* The kernel gives the number of one that is gone to the next one, if nobody holds it. */
static void kills_nobody_who_came_after_it(void)
{
    pid_t gone = start(), others[OTHERS];
    int mounts = namespace_open(gone, "mnt");
    end(gone);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* numbers are given back late */
    for (size_t i = 0; i < OTHERS; i++)
        others[i] = start();
    processes_kill(mounts);
    for (size_t i = 0; i < OTHERS; i++) {
        expect(!has_ended(others[i]));
        end(others[i]);
    }
    close(mounts);
    processes_kill(-1);
}

int main(void)
{
    pid_t probe = start();
    if (!probe) {
        skip_test("processes_kill()", "user-namespace");
        return finish_tests();
    }
    end(probe);
    run_test("processes_kill() ends all that are in the namespace, and nobody else", kills_all_that_are_in_it);
    run_test("processes_kill() ends nobody who came after what was in it", kills_nobody_who_came_after_it);
    return finish_tests();
}
