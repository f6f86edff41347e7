/* The verbs. */
#include "helper.h"

#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Whoever started this program may ignore or block signals (Node ignores SIGPIPE), and both survive
 * exec: the container's programs shall find them as usual. */
static void reset_signals(bool keep_mask)
{
    sigset_t none;
    /* By the kernel's own call: glibc keeps 32 and 33 for itself, and make leaves them ignored. All
     * zeros is SIG_DFL, no flags and an empty mask. */
    static const unsigned long by_default[8];
    sigemptyset(&none);
    for (int signal = 1; signal < NSIG; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            syscall(SYS_rt_sigaction, signal, by_default, NULL, 8);
    if (!keep_mask)
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* No descriptor of the caller may reach a container, and 0 to 2 must be something. */
static void secure_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EXIT_TSBOX);
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        for (int fd = 3; fd < 4096; fd++)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("tsbox-helper, plan version %d\n", PLAN_VERSION);
    return fflush(stdout) ? EXIT_TSBOX : 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", cmd_run}, {"check", cmd_check}, {"seccomp", cmd_seccomp}, {"serve", cmd_serve}, {"attach", cmd_attach}, {"processes", cmd_processes}, {"version", cmd_version},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[0], "init") == 0)
        init_main(argv + 1);
    /* A monitor that starts its container again does not lose a signal that came meanwhile. */
    reset_signals(argc > 3 && strcmp(argv[3], "restarted") == 0);
    secure_descriptors();
    for (size_t i = 0; argc > 1 && i < countof(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    static const char usage[] = "Usage: tsbox-helper run PLAN [SETTING…] | attach SOCKET KEYS | processes PID STARTTIME ACTION | serve FD PLAN | check | seccomp | version\n";
    write_all(STDERR_FILENO, usage, sizeof usage - 1);
    return EXIT_TSBOX;
}
