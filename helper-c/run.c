/*
 * `run`: from a plan to an exit code. The functions below stand in the order in which a run goes:
 * read, detach, prepare, start, watch, end.
 */
#include "helper.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* The monitor of this process: the failure sink takes no argument. */
static struct monitor monitor = {
    .pidfd = -1,
    .socket = -1,
    .signals = -1,
    .user_namespace = -1,
    .lock = -1,
    .mounts = -1,
    .log = -1,
    .listener = -1,
    .master = -1,
    .status_pipe = -1,
    .in = {.from = -1, .to = -1, .log = -1},
    .out = {.from = -1, .to = -1, .log = -1},
    .err = {.from = -1, .to = -1, .log = -1},
};

int cmd_run(int argc, char **argv)
{
    struct run run = RUN_INITIALIZER;
    bool once = argc > 2 && strcmp(argv[2], "once") == 0;
    if (argc < 2)
        die(0, NULL, "Cannot run: usage: tsbox-helper run PLAN [once] [SETTING…]");
    bool piped = strcmp(argv[1], "-") == 0;
    int fd = piped ? 3 : xopen(argv[1], O_RDONLY, 0);
    size_t length;
    char *text = read_all(fd, &length);
    if (!text)
        die(errno, argv[1], "Cannot read the plan");
    close(fd);
    if (once && !piped)
        unlink(argv[1]);
    plan_parse(&run.plan, text, length);
    plan_add_settings(&run.plan, argv + 2 + once, (size_t)argc - 2 - once);
    run.path = piped || once ? NULL : argv[1];
    run_plan(&run);
}

/*** Failure ***/

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the process that the user sees: let the runner explain, or say it in one line. */
_Noreturn static void explain_failure(const struct plan *plan, const struct failure *failure, const char *event)
{
    const struct words *command = &plan->on_failure;
    if (command->count) {
        char **argv = xcalloc(command->count + 2, sizeof *argv);
        memcpy(argv, command->list, command->count * sizeof *argv);
        argv[command->count] = (char *)event;
        unblock_signals();
        execv(argv[0], argv);
    }
    print_failure(failure);
    _exit(failure->exit_code);
}

/* The links in a folder that lead to `target`: a container's names, of which it may have got another. */
static void release_names(const char *folder, const char *target)
{
    DIR *names = opendir(folder);
    struct dirent *name;
    char found[256];
    while (names && (name = readdir(names))) {
        ssize_t length = readlinkat(dirfd(names), name->d_name, found, sizeof found);
        if (length == (ssize_t)strlen(target) && memcmp(found, target, (size_t)length) == 0)
            unlinkat(dirfd(names), name->d_name, 0);
    }
    if (names)
        closedir(names);
}

/* The files that go belong to the container's ids, and overlay's work directory to its root alone:
 * only a process of the same user namespace can remove them. */
static void remove_leftovers(const struct plan *plan)
{
    if (restart_is_announced(plan))
        return;
    if (plan->release_folder)
        release_names(plan->release_folder, plan->release_target);
    if (plan->cleanup.count == 0)
        return;
    journal_write(plan, "destroy", NULL, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        failure_sink = NULL;
        if (monitor.user_namespace >= 0 && setns(monitor.user_namespace, CLONE_NEWUSER) == 0)
            become_namespace_root(plan);
        _exit(op_remove(plan->cleanup.count, plan->cleanup.list) < 0 ? EXIT_TSBOX : 0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void end_child(void)
{
    monitor_kill(&monitor);
    if (monitor.pid > 0 && !monitor.exited)
        waitpid(monitor.pid, NULL, 0);
    if (monitor.starter > 0)
        waitpid(monitor.starter, NULL, 0);
    fuse_end();
    cgroup_end();
}

struct outcome {
    bool failed;
    struct failure failure;
    size_t event_length;
};

/* The failure sink of the monitor. */
_Noreturn static void set_up_failed(void)
{
    const struct plan *plan = &monitor.run->plan;
    static struct outcome outcome;
    outcome.failed = true;
    outcome.failure = last_failure;
    failure_sink = NULL; /* once is enough */
    end_child();
    publish_close();
    terminal_restore();
    remove_leftovers(plan);
    event_begin("failed");
    event_text("op", outcome.failure.op);
    event_number("index", outcome.failure.index);
    event_number("of", (long long)plan->op_count);
    event_text("path", outcome.failure.path);
    event_text("errno", error_name(outcome.failure.error));
    event_text("message", outcome.failure.message);
    event_number("exitCode", outcome.failure.exit_code);
    event_end();
    if (plan->restarted) {
        attach_end(&monitor, outcome.failure.exit_code);
        restart_if_wished(&monitor, outcome.failure.exit_code);
        _exit(outcome.failure.exit_code);
    }
    if (monitor.status_pipe < 0)
        explain_failure(plan, &outcome.failure, event_line());
    outcome.event_length = strlen(event_line());
    write_all(monitor.status_pipe, &outcome, sizeof outcome);
    write_all(monitor.status_pipe, event_line(), outcome.event_length);
    _exit(outcome.failure.exit_code);
}

/*** Detach ***/

/* The front process: wait for what becomes of the program, and stay beside it if it was asked to. */
_Noreturn static void wait_for_outcome(const struct plan *plan, int pipe, int socket)
{
    struct outcome outcome;
    if (read_exact(pipe, &outcome, sizeof outcome) != (ssize_t)sizeof outcome)
        die(0, NULL, "Cannot start the container: its monitor ended unexpectedly");
    if (!outcome.failed) {
        if (plan->announce) {
            cleanup_free char *line = xasprintf("%s\n", plan->announce);
            write_all(STDOUT_FILENO, line, strlen(line));
        }
        if (socket < 0)
            _exit(0);
        static struct client_options options;
        options.input = plan->stdin_open && plan->attached_input;
        options.terminal = plan->stdio == STDIO_TERMINAL;
        options.signal_proxy = plan->signal_proxy;
        options.leaves = plan->attached_leaves;
        memcpy(options.hides, plan->attached_hides, sizeof options.hides);
        if (options.terminal)
            detach_keys_parse(&options, plan->attached);
        client_run(socket, &options);
    }
    char *event = xcalloc(outcome.event_length + 1, 1);
    read_exact(pipe, event, outcome.event_length);
    explain_failure(plan, &outcome.failure, event);
}

static bool is_kept(const struct plan *plan, const struct run *run, int fd)
{
    return fd == plan->events_fd || fd == plan->control_fd || fd == monitor.status_pipe || fd == run->stdio[0] ||
           fd == run->stdio[1] || fd == run->stdio[2] || fd == attach_owner(&monitor);
}

/* Whatever the caller had open is not the monitor's, and may be a pipe that somebody waits on. */
static void close_others(const struct run *run)
{
    int last = STDERR_FILENO;
    const struct plan *plan = &run->plan;
    const int kept[] = {plan->events_fd, plan->control_fd, monitor.status_pipe, run->stdio[0], run->stdio[1], run->stdio[2],
                        attach_owner(&monitor)};
    for (size_t i = 0; i < countof(kept); i++)
        last = kept[i] > last ? kept[i] : last;
    for (int fd = STDERR_FILENO + 1; fd < last; fd++)
        if (!is_kept(plan, run, fd))
            close(fd);
    syscall(SYS_close_range, (unsigned)last + 1, ~0u, 0u);
}

static int duplicate(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0)
        die(errno, NULL, "Cannot duplicate descriptor %d", fd);
    return copy;
}

static void detach(struct run *run)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die(errno, NULL, "Cannot make a pipe");
    int sockets[2] = {-1, -1};
    if (run->plan.attached && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        die(errno, NULL, "Cannot make a socket");
    terminal_size(&run->plan.rows, &run->plan.columns);
    pid_t pid = fork();
    if (pid < 0)
        die(errno, NULL, "Cannot start the monitor");
    if (pid > 0) {
        close(ends[1]);
        if (sockets[1] >= 0)
            close(sockets[1]);
        if (run->plan.die_with_parent)
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        wait_for_outcome(&run->plan, ends[0], sockets[0]);
    }
    close(ends[0]);
    if (sockets[0] >= 0) {
        close(sockets[0]);
        attach_add(&monitor, sockets[1], true);
    }
    monitor.status_pipe = ends[1];
    setsid();
    if (run->plan.stdio == STDIO_INHERIT)
        for (int fd = 0; fd < 3; fd++)
            run->stdio[fd] = run->stdio[fd] < 0 ? duplicate(fd) : run->stdio[fd];
    int null = xopen("/dev/null", O_RDWR, 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close_others(run);
    if (chdir("/") < 0)
        die(errno, "/", "Cannot enter the directory");
}

/*** Prepare ***/

static void open_events(const struct plan *plan)
{
    if (plan->events)
        events_add(xopen(plan->events, O_WRONLY | O_APPEND | O_CREAT, 0600));
    if (plan->events_fd >= 0) {
        if (fcntl(plan->events_fd, F_SETFD, FD_CLOEXEC) < 0)
            die(errno, NULL, "Cannot write events to descriptor %d", plan->events_fd);
        events_add(plan->events_fd);
    }
    event_begin("hello");
    event_number("version", PLAN_VERSION);
    /* Pids mean nothing after a reboot. */
    cleanup_free char *boot = plan->events ? read_file("/proc/sys/kernel/random/boot_id", NULL) : NULL;
    if (boot) {
        boot[strcspn(boot, "\n")] = 0;
        event_text("boot", boot);
    }
    event_end();
}

/* Others hold the lock for a moment only, to look whether the container lives. */
static void take_lock(const char *path)
{
    if (!path)
        return;
    int fd = xopen(path, O_RDWR | O_CREAT, 0600);
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 200)
            die(errno, path, "Cannot lock the file");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    monitor.lock = fd;
    monitor_tell_first(&monitor, false);
}

static void make_stream(struct stream *stream, int *inside, int own, const char *name)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die(errno, NULL, "Cannot make a pipe");
    bool input = own == STDIN_FILENO;
    int outside = ends[input];
    *inside = ends[!input];
    fcntl(outside, F_SETFL, O_NONBLOCK);
    *stream = (struct stream){.from = input ? own : outside, .to = input ? outside : own, .log = -1, .name = name, .to_plain = input};
}

static void prepare_stdio(struct run *run)
{
    struct plan *plan = &run->plan;
    bool executes = strcmp(plan->ops[plan->op_count - 1].spec->name, "exec") == 0;
    int null = plan->stdio == STDIO_TERMINAL ? -1 : xopen("/dev/null", O_RDWR, 0);
    switch (plan->stdio) {
    case STDIO_INHERIT:
        /* apply reads its records from descriptor 0; only a program has to ask for input. */
        if (executes && !plan->stdin_open)
            run->stdio[0] = null;
        break;
    case STDIO_NULL:
        run->stdio[0] = run->stdio[1] = run->stdio[2] = null;
        break;
    case STDIO_RELAY:
        run->stdio[0] = null;
        if (plan->stdin_open)
            make_stream(&monitor.in, &run->stdio[0], STDIN_FILENO, NULL);
        make_stream(&monitor.out, &run->stdio[1], STDOUT_FILENO, "stdout");
        make_stream(&monitor.err, &run->stdio[2], STDERR_FILENO, "stderr");
        /* Nobody writes to a detached program, but it asked for an input that does not end. */
        if (plan_is_background(plan)) {
            monitor.in.from = -1;
            monitor.out.to = monitor.err.to = attach_owner(&monitor);
            monitor.out.to_client = monitor.err.to_client = attach_owner(&monitor) >= 0;
        }
        monitor.out.letter = 'o';
        monitor.err.letter = 'e';
        monitor.out.log = monitor.err.log = monitor.log;
        break;
    case STDIO_TERMINAL:
        run->rows = plan->rows;
        run->columns = plan->columns;
        if (!plan_is_background(plan))
            terminal_size(&run->rows, &run->columns);
        break;
    }
}

/* Stopping by the terminal keeps its default action, so that job control works. */
static void prepare_signals(void)
{
    sigset_t blocked, handled;
    sigfillset(&blocked);
    const int untouched[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < countof(untouched); i++)
        sigdelset(&blocked, untouched[i]);
    handled = blocked;
    sigdelset(&handled, SIGPIPE);
    sigdelset(&handled, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    monitor.signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (monitor.signals < 0)
        die(errno, NULL, "Cannot receive signals");
}

/*** Start ***/

static void close_inside_ends(struct run *run)
{
    for (int fd = 0; fd < 3; fd++) {
        int inside = run->stdio[fd];
        if (inside < 0)
            continue;
        for (int other = fd; other < 3; other++)
            if (run->stdio[other] == inside)
                run->stdio[other] = -1;
        close(inside);
    }
}

static void start_child(struct run *run)
{
    const struct plan *plan = &run->plan;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        die(errno, NULL, "Cannot make a socket");
    int pidfd = -1;
    pid_t pid = plan->shares          ? namespaces_clone_first(0, NULL)
                : plan->process_limit ? stem_clone()
                                      : namespaces_clone(plan, &pidfd);
    if (pid < 0)
        die(errno, NULL, "Cannot make the namespaces");
    if (pid == 0) {
        close(ends[0]);
        run->socket = ends[1];
        child_main(run);
    }
    close(ends[1]);
    monitor.socket = ends[0];
    close_inside_ends(run);
    if (plan->join_pid || plan->shares || plan->process_limit) {
        monitor.starter = pid;
        if (pidfd >= 0)
            close(pidfd);
    } else {
        monitor.pid = pid;
        monitor.pidfd = pidfd;
        monitor_created(&monitor);
    }
    if (plan->namespaces[NS_USER]) {
        if (write_id_maps(plan, pid) < 0)
            failure_sink();
        event_begin("mapped");
        event_end();
    }
    if (plan->namespaces[NS_USER] && (plan->cleanup.count || fuse_is_used(plan))) {
        char path[40];
        snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        monitor.user_namespace = xopen(path, O_RDONLY, 0);
    }
    struct message go = {.kind = MESSAGE_GO};
    if (message_send(monitor.socket, &go, -1) < 0 && errno != EPIPE)
        die(errno, NULL, "Cannot start the container's process");
}

/*** Watch and end ***/

/* The code of set-up is not needed any more: what a monitor occupies for hours is what it still runs. */
static void forget_code(void)
{
    extern const char __executable_start, etext;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)&__executable_start & ~(page - 1);
    /* read from the file again where it is needed */
    madvise((void *)start, (uintptr_t)&etext - start, MADV_DONTNEED);
}

static void executed(struct monitor *self)
{
    const struct plan *plan = &self->run->plan;
    event_begin("exec");
    event_number("pid", self->pid);
    cleanup_free char *start = xasprintf("%llu", (unsigned long long)process_start_time(self->pid));
    event_text("startTime", start);
    event_end();
    self->started = now_nanoseconds(CLOCK_MONOTONIC);
    monitor_tell_first(self, true);
    /* The program runs beside what follows. */
    if (plan->attach)
        attach_listen(self, plan->attach);
    journal_write(plan, plan->join_pid ? "exec_start" : "start", NULL, NULL);
    health_begin(self);
    if (plan->timeout)
        self->deadline = now_nanoseconds(CLOCK_MONOTONIC) + (int64_t)plan->timeout * 1000000;
    if (self->status_pipe >= 0) {
        static const struct outcome done;
        write_all(self->status_pipe, &done, sizeof done);
        close(self->status_pipe);
        self->status_pipe = -1;
    }
    guard_begin(self);
    forget_code();
    self->oom_kills = oom_kills(); /* last: nobody waits for it any more */
}

static void copy_output(char letter, const char *data, size_t length)
{
    if (monitor.client_count)
        attach_copy(&monitor, letter, data, length);
}

static int exit_code(void)
{
    int status = monitor.status;
    if (monitor.stopped_by)
        return EXIT_SIGNALLED + monitor.stopped_by;
    if (monitor.killed && !monitor.pid)
        return EXIT_SIGNALLED + SIGKILL;
    return WIFSIGNALED(status) ? EXIT_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

void run_plan(struct run *run)
{
    struct plan *plan = &run->plan;
    monitor.run = run;
    failure_sink = set_up_failed;
    if (plan->detach)
        detach(run);
    monitor.parent = getppid();
    prepare_signals();
    if (plan->die_with_parent && !plan->detach)
        prctl(PR_SET_PDEATHSIG, SIGNAL_PARENT_DIED, 0, 0, 0);
    take_lock(plan->lock); /* first: events of a second monitor would confuse those of the first */
    open_events(plan);
    if (plan->log)
        monitor.log = log_open(plan->log, plan->log_limit, plan->log_files);
    publish_listen(plan);
    stream_observer = copy_output;
    prepare_stdio(run);
    cgroup_begin(plan);
    start_child(run);
    monitor_loop(&monitor, executed);

    int code = exit_code();
    fuse_end();
    guard_end();
    health_end();
    terminal_restore();
    if (monitor.starter > 0)
        waitpid(monitor.starter, NULL, 0);
    cgroup_end();
    if (monitor.listener >= 0 && plan->cleanup.count == 0)
        unlink(plan->attach);
    if (!monitor.stopped_by && run->path) {
        if (restart_is_wished(plan))
            attach_end(&monitor, code);
        restart_if_wished(&monitor, code);
    }
    remove_leftovers(plan);
    attach_end(&monitor, code);
    _exit(code);
}
