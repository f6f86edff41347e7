/*
 * The monitor's loop: one poll over the child's socket and pidfd, signals, the control descriptor
 * and the streams, until the child has ended and what it wrote is delivered.
 */
#include "helper.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static int send_signal(const struct monitor *monitor, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, monitor->pidfd, signal, NULL, 0);
}

void monitor_kill(struct monitor *monitor)
{
    if (monitor->pidfd >= 0 && !monitor->exited) {
        send_signal(monitor, SIGKILL);
    } else if (monitor->pidfd < 0 && monitor->starter > 0) {
        kill(monitor->starter, SIGKILL);
        /* what it may have made meanwhile waits for our word, and can now never have it; what it has said already is still read */
        if (monitor->socket >= 0)
            shutdown(monitor->socket, SHUT_RDWR);
    }
    cgroup_kill();
    monitor->killed = true;
}

void monitor_signal(struct monitor *monitor, int signal)
{
    if (monitor->pidfd >= 0 && !monitor->exited)
        send_signal(monitor, signal);
}

void monitor_created(struct monitor *monitor)
{
    event_begin("created");
    event_number("pid", monitor->pid);
    cleanup_free char *start = xasprintf("%llu", (unsigned long long)process_start_time(monitor->pid));
    event_text("startTime", start);
    event_number("monitor", getpid());
    cleanup_free char *own = xasprintf("%llu", (unsigned long long)process_start_time(getpid()));
    event_text("monitorStartTime", own);
    event_end();
}

void monitor_tell_first(const struct monitor *monitor, bool runs)
{
    char text[64];
    int length = runs ? snprintf(text, sizeof text, "%d %llu\n", monitor->pid, (unsigned long long)process_start_time(monitor->pid)) : 0;
    /* what cannot be written is an empty file: nobody shares anything */
    if (monitor->lock >= 0 && (ftruncate(monitor->lock, 0) < 0 || pwrite(monitor->lock, text, (size_t)length, 0) != length))
        (void)!ftruncate(monitor->lock, 0);
}

/*** The child's messages ***/

static void take_pid(struct monitor *monitor, pid_t pid, int user_namespace)
{
    monitor->pid = pid;
    monitor->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* it has done its work, and nobody should see it as a zombie as long as the container lives */
    if (waitpid(monitor->starter, NULL, 0) > 0)
        monitor->starter = 0;
    if (user_namespace >= 0)
        monitor->user_namespace = user_namespace;
    struct message go = {.kind = MESSAGE_GO};
    if (message_send(monitor->socket, &go, -1) < 0 && errno != EPIPE)
        die(errno, NULL, "Cannot start the container's process");
    if (monitor->pidfd < 0)
        die(errno, NULL, "Cannot watch the process");
    if (monitor->killed)
        monitor_kill(monitor);
    monitor_created(monitor);
}

static void take_terminal(struct monitor *monitor, int master)
{
    const struct plan *plan = &monitor->run->plan;
    monitor->master = master;
    fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
    int owner = attach_owner(monitor);
    bool background = plan_is_background(plan);
    monitor->out = (struct stream){
        .from = master, .to = background ? owner : STDOUT_FILENO, .to_client = owner >= 0, .letter = 'o',
        .log = monitor->log, .name = "stdout", .from_terminal = true};
    if (!plan->stdin_open)
        return;
    monitor->in = (struct stream){
        .from = background ? -1 : STDIN_FILENO, .to = master, .log = -1, .to_plain = true, .to_terminal = true};
    if (!background)
        terminal_make_raw();
}

static bool ends_with_exec(const struct plan *plan)
{
    return strcmp(plan->ops[plan->op_count - 1].spec->name, "exec") == 0;
}

static void child_closed(struct monitor *monitor, void (*executed)(struct monitor *monitor))
{
    close(monitor->socket);
    monitor->socket = -1;
    if (monitor->ready) {
        monitor->executed = true;
        executed(monitor);
    } else if (monitor->killed) {
        /* Ended on purpose during set-up; with `join` perhaps before there was a process inside. */
        monitor->exited = monitor->pid == 0;
    } else if (ends_with_exec(&monitor->run->plan)) {
        die(0, NULL, "Cannot set up the container: its process ended before the program could be executed");
    }
}

/* The file was found: ENOENT now means its interpreter or loader. */
static void exec_failed(const struct monitor *monitor, int error)
{
    const struct plan *plan = &monitor->run->plan;
    const struct op *op = &plan->ops[plan->op_count - 1];
    set_current_op(op->spec->name, op->index);
    fail(error, op->words.list[0], error == ENOENT ? "Cannot execute the program: its interpreter or loader is missing"
                                                   : "Cannot execute the program");
    last_failure.exit_code = EXIT_CANNOT_EXEC;
    failure_sink();
}

static void handle_message(struct monitor *monitor, void (*executed)(struct monitor *monitor))
{
    struct message message;
    int fd;
    int result = message_receive(monitor->socket, &message, &fd);
    if (result == 0) {
        child_closed(monitor, executed);
        return;
    }
    if (result < 0)
        die(errno, NULL, "Cannot read from the container's process");
    /* what comes after READY can only be the stage's: nothing else is believed then */
    if (monitor->ready && message.kind != MESSAGE_FAILED && message.kind != MESSAGE_EXEC_FAILED)
        return;
    switch (message.kind) {
    case MESSAGE_PID:
        take_pid(monitor, message.pid, fd);
        break;
    case MESSAGE_PTY:
        take_terminal(monitor, fd);
        break;
    case MESSAGE_FUSE:
        fuse_begin(monitor, (size_t)message.pid, fd);
        break;
    case MESSAGE_MOUNTS:
        monitor->mounts = fd;
        break;
    case MESSAGE_NETWORK:
        publish_begin(&monitor->run->plan, fd);
        break;
    case MESSAGE_READY:
        monitor->ready = true;
        break;
    case MESSAGE_FAILED:
        last_failure = message.failure;
        failure_sink();
        break;
    case MESSAGE_EXEC_FAILED:
        exec_failed(monitor, message.pid);
    }
}

/*** Signals ***/

static void resize(const struct monitor *monitor)
{
    struct winsize size = {0};
    if (monitor->master >= 0 && terminal_size(&size.ws_row, &size.ws_col))
        ioctl(monitor->master, TIOCSWINSZ, &size);
}

static bool ends_process(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

static void handle_signals(struct monitor *monitor)
{
    struct signalfd_siginfo info;
    while (read(monitor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        int signal = (int)info.ssi_signo;
        if (signal == SIGNAL_PARENT_DIED && getppid() != monitor->parent) {
            monitor_kill(monitor);
        } else if (signal == SIGWINCH) {
            resize(monitor);
        } else if (signal == SIGCONT) {
            terminal_resume();
            resize(monitor);
        } else if (monitor->exited && ends_process(signal)) {
            /* Nothing is left to signal: stop waiting for whoever does not read the output. */
            monitor->out.from = monitor->err.from = -1;
            monitor->out.start = monitor->out.end = monitor->err.start = monitor->err.end = 0;
        } else if (monitor->run->plan.signal_proxy) {
            monitor_signal(monitor, signal);
        } else if (ends_process(signal)) {
            monitor->stopped_by = signal;
            monitor_kill(monitor);
        }
    }
}

/*** The end ***/

static bool can_read(const struct stream *stream)
{
    return stream->from >= 0 && !stream_pending(stream);
}

/* After the end: pipes hold what was written last. Background processes of a joined program may keep
 * them open; what is not there now is not waited for. */
static bool drained(struct stream *stream)
{
    while (can_read(stream) && stream_read(stream))
        ;
    return !stream_pending(stream);
}

static void reap(struct monitor *monitor)
{
    struct rusage usage;
    if (wait4(monitor->pid, &monitor->status, 0, &usage) < 0)
        return;
    monitor->exited = true;
    monitor_tell_first(monitor, false);
    processes_kill(monitor->mounts);
    if (monitor->mounts >= 0)
        close(monitor->mounts);
    monitor->mounts = -1;
    publish_finish();
    int status = monitor->status, signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (!monitor->executed && ends_with_exec(&monitor->run->plan))
        return;
    /* Whoever has seen the event finds the log whole. */
    drained(&monitor->out);
    drained(&monitor->err);
    uint64_t kills = 0;
    cgroup_oom_kills(&kills);
    bool oom = signal == SIGKILL && oom_is_likely(monitor);
    /* Before the event: whoever waits for that has the journal in order. */
    char code[12];
    snprintf(code, sizeof code, "%d", signal ? EXIT_SIGNALLED + signal : WEXITSTATUS(status));
    if (oom || kills)
        journal_write(&monitor->run->plan, "oom", NULL, NULL);
    journal_write(&monitor->run->plan, monitor->run->plan.join_pid ? "exec_die" : "die", "exitCode", code);
    event_begin("exited");
    event_number("code", signal ? EXIT_SIGNALLED + signal : WEXITSTATUS(status));
    event_number("signal", signal);
    event_text("reason", monitor->timed_out ? "timeout" : oom ? "oom" : signal ? "signal" : "exit");
    if (kills)
        event_number("oomKills", (long long)kills);
    event_number("maxRssKiB", usage.ru_maxrss);
    event_number("userMicros", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec);
    event_number("systemMicros", usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec);
    event_end();
}

static bool is_over(int64_t moment)
{
    return moment && now_nanoseconds(CLOCK_MONOTONIC) >= moment;
}

/* Until the first of the moments at which there is something to do. */
static int milliseconds_left(const struct monitor *monitor)
{
    const int64_t moments[] = {monitor->timed_out ? 0 : monitor->deadline, monitor->kill_at, health_wakes_at(monitor)};
    int64_t first = 0;
    for (size_t i = 0; i < countof(moments); i++)
        if (moments[i] && (!first || moments[i] < first))
            first = moments[i];
    if (!first || monitor->exited)
        return -1;
    int64_t left = first - now_nanoseconds(CLOCK_MONOTONIC);
    return left <= 0 ? 0 : left > (int64_t)INT32_MAX * 1000000 ? INT32_MAX : (int)((left + 999999) / 1000000);
}

/* What a stream waits for: room for what it holds, or more to read. A pipe into the container is
 * watched even when idle: poll reports its reader's end without being asked. */
static void watch(const struct stream *stream, bool readable, struct pollfd *from, struct pollfd *to)
{
    *from = (struct pollfd){.fd = readable && can_read(stream) ? stream->from : -1, .events = POLLIN};
    *to = (struct pollfd){.fd = stream_pending(stream) || (stream->to > STDERR_FILENO && !stream->to_terminal && !stream->to_client)
                                ? stream->to
                                : -1,
                          .events = stream_pending(stream) ? POLLOUT : 0};
}

static void handle_stream(struct stream *stream, const struct pollfd *from, const struct pollfd *to)
{
    if (to->revents && stream_pending(stream))
        stream_write(stream);
    else if (to->revents & POLLERR && !stream->to_client)
        stream->from = stream->to = -1;
    else if (from->revents)
        stream_read(stream);
}

static void hang_up_if_broken(struct monitor *monitor)
{
    if (monitor->out.broken && monitor->master >= 0) {
        monitor->in.from = monitor->in.to = -1;
        close(monitor->master);
        monitor->master = -1;
    }
}

void monitor_loop(struct monitor *monitor, void (*executed)(struct monitor *monitor))
{
    enum { SOCKET, PIDFD, SIGNALS, CONTROL, IN_FROM, IN_TO, OUT_FROM, OUT_TO, ERR_FROM, ERR_TO, HEALTH_EXIT, HEALTH_OUT, PUBLISHED, CLIENTS, COUNT = CLIENTS + CLIENTS_MAX + 1 };
    int control = monitor->run->plan.control_fd;
    for (;;) {
        struct pollfd watched[COUNT] = {
            [SOCKET] = {.fd = monitor->socket, .events = POLLIN},
            [PIDFD] = {.fd = monitor->exited ? -1 : monitor->pidfd, .events = POLLIN},
            [SIGNALS] = {.fd = monitor->signals, .events = POLLIN},
            [CONTROL] = {.fd = monitor->exited ? -1 : control, .events = POLLIN},
            [PUBLISHED] = {.fd = publish_watched(monitor->executed), .events = POLLIN},
        };
        watch(&monitor->in, !monitor->exited && monitor->executed, &watched[IN_FROM], &watched[IN_TO]);
        watch(&monitor->out, true, &watched[OUT_FROM], &watched[OUT_TO]);
        watch(&monitor->err, true, &watched[ERR_FROM], &watched[ERR_TO]);
        health_watch(&watched[HEALTH_EXIT], &watched[HEALTH_OUT]);
        size_t clients = attach_watch(monitor, &watched[CLIENTS]);
        if (poll(watched, CLIENTS + clients, milliseconds_left(monitor)) < 0 && errno != EINTR)
            die(errno, NULL, "Cannot wait for events");

        /* The socket before the pidfd: a program that ends at once was executed before it ended. */
        if (watched[SOCKET].revents) {
            handle_message(monitor, executed);
            if (!monitor->exited)
                continue; /* killed before there was a process: nothing more will come */
        }
        if (watched[SIGNALS].revents)
            handle_signals(monitor);
        if (watched[CONTROL].revents) {
            char word[64];
            ssize_t count = read(control, word, sizeof word);
            if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
                control = -1;
                monitor_kill(monitor);
            }
        }
        handle_stream(&monitor->in, &watched[IN_FROM], &watched[IN_TO]);
        handle_stream(&monitor->out, &watched[OUT_FROM], &watched[OUT_TO]);
        handle_stream(&monitor->err, &watched[ERR_FROM], &watched[ERR_TO]);
        if (watched[PUBLISHED].revents)
            publish_handle();
        attach_handle(monitor, &watched[CLIENTS]);
        hang_up_if_broken(monitor);
        health_handle(monitor, &watched[HEALTH_EXIT], &watched[HEALTH_OUT]);
        if (!monitor->timed_out && !monitor->exited && is_over(monitor->deadline)) {
            monitor->timed_out = true;
            monitor_kill(monitor);
        }
        if (is_over(monitor->kill_at)) {
            monitor->kill_at = 0;
            monitor_kill(monitor);
        }
        if (!monitor->exited && watched[PIDFD].revents && monitor->socket < 0)
            reap(monitor);
        if (monitor->exited && drained(&monitor->out) && drained(&monitor->err) && publish_finished())
            return;
    }
}
