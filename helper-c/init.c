/*
 * Pid 1 of a container with `init`: reap whatever is orphaned, pass signals on, end with the
 * program's status. It runs as a program of its own, for two reasons. What stays in memory is a few
 * pages instead of the plan. And /proc/1/exe then leads to a read-only mount that exists only for
 * this process: nobody inside can reach the helper's own file through it to overwrite it
 * (CVE-2019-5736), also not with CAP_SYS_PTRACE.
 */
#include "helper.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* Between two looks at what pid 1 has said: no call of pid 1 may be needed to wake whoever waits (struct handover). */
enum { CONFINED_CHECK_NS = 50 * 1000 };

/* Where mounts cannot be cloned: a sealed copy in memory. */
static int sealed_copy(void)
{
    cleanup_fd int self = open_cloexec("/proc/self/exe", O_RDONLY, 0);
    cleanup_fd int copy = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (self < 0 || copy < 0)
        return -1;
    ssize_t count;
    do
        count = sendfile(copy, self, NULL, 1 << 20);
    while (count > 0);
    if (count < 0 || fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return steal_fd(&copy);
}

static int read_only_mount(void)
{
    char path[PATH_MAX];
    struct stat self, found;
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0 || stat("/proc/self/exe", &self) < 0)
        return -1;
    path[length] = 0;
    cleanup_fd int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || fstat(tree, &found) < 0 || found.st_dev != self.st_dev || found.st_ino != self.st_ino ||
        mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0)
        return -1;
    return steal_fd(&tree);
}

int init_prepare(struct run *run)
{
    run->init_program = run->plan.namespaces[NS_MOUNT] ? read_only_mount() : -1;
    if (run->init_program < 0)
        run->init_program = sealed_copy();
    return run->init_program < 0 ? fail(errno, NULL, "Cannot prepare the program of pid 1") : 0;
}

static int set_capabilities(uint32_t low, uint32_t high, uint32_t inheritable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{low, low, inheritable}, {high, high, 0}};
    return (int)syscall(SYS_capset, &header, data);
}

/* Where the namespace's root is not this process's user, exec would drop all capabilities, and pid 1
 * could not signal a program of another user: an ambient CAP_KILL survives. The other sets stay as
 * they are: a process that gains by exec loses its parent-death signal (prctl(2)). */
static void keep_kill_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2];
    if (syscall(SYS_capget, &header, now) == 0 &&
        set_capabilities(now[0].permitted, now[1].permitted, now[0].inheritable | 1u << CAP_KILL) == 0)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
}

/* The exec gives nothing but CAP_KILL. It makes a process that those inside may trace, which they could not before; and in a shared pid
 * namespace others are there already. */
static void give_up_gains(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (capability != CAP_KILL)
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/*
 * What goes with pid 1 through its exec, in memory that its child sees too: the filter, which could refuse the exec if it were loaded
 * before; and pid 1's word that it is confined, which no filter can refuse it to say.
 */
struct handover {
    _Atomic uint32_t confined;
    uint32_t length;
    struct sock_filter filter[];
};

static struct handover *map_handover(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return NULL;
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

static struct handover *make_handover(const struct run *run, int *fd)
{
    size_t bytes = run->filter ? run->filter_length * sizeof *run->filter : 0;
    *fd = memfd_create("init", MFD_CLOEXEC);
    struct handover *made = *fd < 0 || ftruncate(*fd, (off_t)(sizeof *made + bytes)) < 0 ? NULL : map_handover(*fd);
    if (!made)
        die(errno, NULL, "Cannot hand the seccomp filter to pid 1");
    made->length = bytes ? (uint32_t)run->filter_length : 0;
    if (bytes)
        memcpy(made->filter, run->filter, bytes);
    return made;
}

static _Noreturn void become_init(struct run *run, pid_t child, int fd)
{
    int null = open_cloexec("/dev/null", O_RDWR, 0);
    for (int number = 0; number < 3; number++) {
        if (null >= 0)
            dup2(null, number);
        else
            close(number);
    }
    umask(022);
    char words[2][12];
    snprintf(words[0], sizeof words[0], "%d", child);
    snprintf(words[1], sizeof words[1], "%d", fd);
    char *argv[] = {"init", words[0], words[1], NULL}, *environment[] = {NULL};
    fcntl(fd, F_SETFD, 0);
    keep_kill_capability();
    give_up_gains();
    die_with_parent(run);
    fexecve(run->init_program, argv, environment);
    syscall(SYS_execveat, run->init_program, "", argv, environment, AT_EMPTY_PATH);
    die(errno, NULL, "Cannot start pid 1");
}

void init_start(struct run *run, bool alone)
{
    int fd;
    struct handover *handover = make_handover(run, &fd);
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        die(errno, NULL, "Cannot start the program beside pid 1");
    if (child > 0)
        become_init(run, alone ? 0 : child, fd);
    close(run->init_program);
    close(fd);
    while (!handover->confined) {
        if (getppid() != parent)
            die(0, NULL, "Cannot start the program: pid 1 has gone");
        nanosleep(&(struct timespec){.tv_nsec = CONFINED_CHECK_NS}, NULL);
    }
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? EXIT_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * Pid 1 is as tempting as any process of the container: whoever can trace it has no more than the others. Its exec has made it
 * the container's own, which CAP_SYS_PTRACE reaches (dumpable or not): hence nothing else runs before this is done (init_start).
 */
static void confine(struct handover *handover)
{
    set_capabilities(1u << CAP_KILL, 0, 0);
    if (handover->length && install_filter(handover->filter, handover->length) < 0)
        _exit(EXIT_TSBOX);
    handover->confined = 1;
}

/* From here on pid 1 must not die before its child: nothing returns an error. */
void init_main(char **words)
{
    int numbers[2];
    for (size_t i = 0; i < countof(numbers); i++) {
        numbers[i] = (int)strtol(words[i], NULL, 10);
        memset(words[i], 0, strlen(words[i]));
    }
    pid_t child = numbers[0];
    struct handover *handover = map_handover(numbers[1]);
    close(numbers[1]);
    if (!handover)
        _exit(EXIT_TSBOX);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NAME, "init", 0, 0, 0);
    /* in a pid namespace that is not its own, orphans would go to somebody else's pid 1 */
    if (getpid() != 1)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    confine(handover);

    for (;;) {
        /* First reap, then wait: a child that ended before the mask was set has sent its signal. */
        int status;
        pid_t ended;
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
            if (ended == child)
                _exit(exit_code(status));
        siginfo_t info;
        int signal = sigwaitinfo(&all, &info);
        if (signal < 0 && errno != EINTR) {
            /* the user's own filter refuses it: what can be done without signals */
            if (waitpid(-1, &status, 0) == child && child)
                _exit(exit_code(status));
            continue;
        }
        if (signal <= 0 || signal == SIGCHLD)
            continue;
        if (child)
            kill(child, signal);
        else if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT)
            _exit(EXIT_SIGNALLED + signal);
    }
}
