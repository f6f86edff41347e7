/*
 * Health checks: from time to time the monitor starts another helper on the plan of the check, which
 * joins the container as `exec` does. What the last checks found lies in a file that is replaced as a
 * whole; events tell when the verdict changes.
 */
#include "helper.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define LOG_MAX 5
#define OUTPUT_MAX 4096
#define MILLISECOND 1000000LL
#define GRACE_MILLISECONDS 5000

enum verdict { STARTING, HEALTHY, UNHEALTHY };
static const char *const verdicts[] = {[STARTING] = "starting", [HEALTHY] = "healthy", [UNHEALTHY] = "unhealthy"};

struct check {
    int64_t start, end; /* CLOCK_REALTIME */
    int code;
    char *output;
};

static struct {
    enum verdict verdict;
    uint64_t streak; /* of failures */
    struct check log[LOG_MAX];
    size_t logged;
    int64_t next, deadline, begun; /* CLOCK_MONOTONIC */
    pid_t pid;
    int pidfd, output;
    int asked; /* to end: by SIGTERM, then by SIGKILL */
    struct check current;
    size_t length;
} health = {.pidfd = -1, .output = -1};

static const struct health_plan *plan_of(const struct monitor *monitor)
{
    return &monitor->run->plan.health;
}

static void write_report(const struct health_plan *plan)
{
    struct buffer text = {0};
    buffer_printf(&text, "{\"status\":\"%s\",\"failingStreak\":%llu,\"log\":[", verdicts[health.verdict],
                  (unsigned long long)health.streak);
    for (size_t i = 0; i < health.logged; i++) {
        const struct check *check = &health.log[i];
        buffer_printf(&text, "%s{\"start\":\"%lld\",\"end\":\"%lld\",\"exitCode\":%d,\"output\":", i ? "," : "",
                      (long long)check->start, (long long)check->end, check->code);
        buffer_json(&text, check->output, strlen(check->output));
        buffer_puts(&text, "}");
    }
    buffer_puts(&text, "]}\n");
    cleanup_free char *path = xasprintf("%s.new", plan->report);
    cleanup_fd int fd = open_cloexec(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && write_all(fd, text.data, text.length) == 0)
        rename(path, plan->report);
    buffer_free(&text);
}

static bool in_start_period(const struct health_plan *plan)
{
    return health.verdict == STARTING &&
           now_nanoseconds(CLOCK_MONOTONIC) - health.begun < (int64_t)plan->start_period * MILLISECOND;
}

static void plan_next(const struct health_plan *plan)
{
    uint64_t wait = in_start_period(plan) ? plan->start_interval : plan->interval;
    health.next = now_nanoseconds(CLOCK_MONOTONIC) + (int64_t)wait * MILLISECOND;
}

void health_begin(struct monitor *monitor)
{
    const struct health_plan *plan = plan_of(monitor);
    if (!plan->report)
        return;
    health.begun = now_nanoseconds(CLOCK_MONOTONIC);
    plan_next(plan);
    write_report(plan);
}

/*** One check ***/

_Noreturn static void become_check(const struct monitor *monitor, int output)
{
    char pid[12], start[24];
    snprintf(pid, sizeof pid, "%d", monitor->pid);
    snprintf(start, sizeof start, "%llu", (unsigned long long)process_start_time(monitor->pid));
    /* the words after `start` only where there is a cgroup to join */
    char *argv[] = {"tsbox-helper", "run", (char *)plan_of(monitor)->plan, "join", pid, start, NULL, NULL, NULL, NULL};
    if (cgroup_path()) {
        argv[6] = "cgroup-join";
        argv[7] = (char *)cgroup_path();
        argv[8] = "optional";
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    setsid();
    int null = open_cloexec("/dev/null", O_RDONLY, 0);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    _exit(EXIT_TSBOX);
}

void health_check_now(struct monitor *monitor)
{
    int ends[2];
    if (health.pid || pipe2(ends, O_CLOEXEC) < 0)
        return;
    health.pid = fork();
    if (health.pid == 0)
        become_check(monitor, ends[1]);
    close(ends[1]);
    if (health.pid < 0) {
        close(ends[0]);
        health.pid = 0;
        plan_next(plan_of(monitor));
        return;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    health.output = ends[0];
    health.pidfd = (int)syscall(SYS_pidfd_open, health.pid, 0);
    health.asked = 0;
    health.current = (struct check){.start = now_nanoseconds(CLOCK_REALTIME), .output = xcalloc(OUTPUT_MAX + 1, 1)};
    health.length = 0;
    health.deadline = now_nanoseconds(CLOCK_MONOTONIC) + (int64_t)plan_of(monitor)->timeout * MILLISECOND;
}

/* More than is kept is read and dropped: a check that says much must not get stuck. */
static void read_output(void)
{
    char rest[OUTPUT_MAX];
    for (;;) {
        size_t room = OUTPUT_MAX - health.length;
        ssize_t count = read(health.output, room ? health.current.output + health.length : rest, room ? room : sizeof rest);
        if (count <= 0) {
            if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
                close(health.output);
                health.output = -1;
            }
            return;
        }
        if (room)
            health.length += (size_t)count;
    }
}

static void say(const struct monitor *monitor, enum verdict verdict)
{
    if (health.verdict == verdict)
        return;
    health.verdict = verdict;
    event_begin("health");
    event_text("status", verdicts[verdict]);
    event_end();
    cleanup_free char *action = xasprintf("health_status: %s", verdicts[verdict]);
    journal_write(&monitor->run->plan, action, NULL, NULL);
}

static void stop(struct monitor *monitor, bool start_again)
{
    const struct plan *plan = &monitor->run->plan;
    monitor->restart_asked = start_again;
    if (!start_again && plan->restart_stop) {
        int mark = open_cloexec(plan->restart_stop, O_WRONLY | O_CREAT, 0600);
        if (mark >= 0)
            close(mark);
    }
    monitor_signal(monitor, plan->stop_signal ? (int)plan->stop_signal : SIGTERM);
    monitor->kill_at = now_nanoseconds(CLOCK_MONOTONIC) + (int64_t)plan->stop_timeout * MILLISECOND;
}

static void act_on_failure(struct monitor *monitor)
{
    const char *action = plan_of(monitor)->on_failure;
    if (strcmp(action, "kill") == 0)
        monitor_kill(monitor);
    else if (strcmp(action, "stop") == 0 || strcmp(action, "restart") == 0)
        stop(monitor, *action == 'r');
}

static void judge(struct monitor *monitor)
{
    const struct health_plan *plan = plan_of(monitor);
    if (health.current.code == 0) {
        health.streak = 0;
        say(monitor, HEALTHY);
    } else if (!in_start_period(plan) && ++health.streak >= plan->retries && health.verdict != UNHEALTHY) {
        say(monitor, UNHEALTHY);
        act_on_failure(monitor);
    }
}

static void finish_check(struct monitor *monitor)
{
    int status = 0;
    while (waitpid(health.pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (health.output >= 0)
        read_output();
    if (health.output >= 0)
        close(health.output);
    if (health.pidfd >= 0)
        close(health.pidfd);
    health.output = health.pidfd = -1;
    health.pid = 0;
    struct check *check = &health.current;
    check->end = now_nanoseconds(CLOCK_REALTIME);
    check->code = WIFSIGNALED(status) ? EXIT_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
    if (health.asked) {
        check->code = -1;
        snprintf(check->output, OUTPUT_MAX, "Health check exceeded timeout (%llu ms)",
                 (unsigned long long)plan_of(monitor)->timeout);
    }
    if (health.logged == LOG_MAX) {
        free(health.log[0].output);
        memmove(health.log, health.log + 1, (LOG_MAX - 1) * sizeof *health.log);
        health.logged--;
    }
    /* Five times the most would be kept for years, though checks mostly say nothing. */
    check->output = xrealloc(check->output, strlen(check->output) + 1);
    health.log[health.logged++] = *check;
    judge(monitor);
    write_report(plan_of(monitor));
    plan_next(plan_of(monitor));
    attach_answer(monitor, check->code == 0 ? 0 : 1);
}

/*** In the monitor's loop ***/

int64_t health_wakes_at(const struct monitor *monitor)
{
    if (!plan_of(monitor)->report || !monitor->executed || monitor->exited)
        return 0;
    if (!health.pid)
        return health.next;
    return health.asked > 1 ? 0 : health.deadline;
}

void health_watch(struct pollfd *exit, struct pollfd *output)
{
    *exit = (struct pollfd){.fd = health.pidfd, .events = POLLIN};
    *output = (struct pollfd){.fd = health.output, .events = POLLIN};
}

static bool is_paused(pid_t pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return false;
    text[length] = 0;
    const char *end = strrchr(text, ')');
    return end && end[1] && end[2] == 'T';
}

void health_handle(struct monitor *monitor, const struct pollfd *exit, const struct pollfd *output)
{
    if (output->revents && health.output >= 0)
        read_output();
    if (exit->revents && health.pid)
        finish_check(monitor);
    int64_t at = health_wakes_at(monitor), now = now_nanoseconds(CLOCK_MONOTONIC);
    if (!at || now < at)
        return;
    if (health.pid) {
        /* The helper kills what it has started, and waits for it: who else would, if the host's pid 1
         * does not? Unreaped it would hold up the end of the container. */
        kill(health.pid, health.asked++ ? SIGKILL : SIGTERM);
        health.deadline = now + GRACE_MILLISECONDS * MILLISECOND;
    } else if (is_paused(monitor->pid)) {
        plan_next(plan_of(monitor));
    } else {
        health_check_now(monitor);
    }
}

void health_end(void)
{
    if (!health.pid)
        return;
    kill(health.pid, SIGTERM);
    waitpid(health.pid, NULL, 0);
    health.pid = 0;
}
