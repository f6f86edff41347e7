/*
 * Starting again after the end, by a policy. The policy lies in a file, so that it can be changed while
 * the container runs; a second file tells that somebody stopped it on purpose. The monitor waits a
 * little and executes itself on the same plan: what a run has gathered is gone with it, and no other
 * process is needed.
 */
#include "helper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#define FIRST_DELAY 100
#define LAST_DELAY 60000
/* Who ran for so long was well: the next failure begins at the first delay. */
#define WELL_AFTER_NANOSECONDS 10000000000

static char *read_policy(const struct plan *plan)
{
    char *text = plan->restart_policy ? read_file(plan->restart_policy, NULL) : NULL;
    if (text)
        text[strcspn(text, "\n")] = 0;
    return text;
}

bool restart_is_wished(const struct plan *plan)
{
    cleanup_free char *policy = read_policy(plan);
    return policy && *policy && strcmp(policy, "no") != 0;
}

/* `keep`: somebody is about to start it again, so that nothing is to be removed. */
bool restart_is_announced(const struct plan *plan)
{
    cleanup_free char *text = plan->restart_stop ? read_file(plan->restart_stop, NULL) : NULL;
    return text && strncmp(text, "keep", 4) == 0;
}

static bool is_stopped(const struct plan *plan)
{
    return plan->restart_stop && access(plan->restart_stop, F_OK) == 0;
}

static bool wants_restart(const struct plan *plan, int code)
{
    cleanup_free char *policy = read_policy(plan);
    uint64_t most;
    if (!policy || is_stopped(plan))
        return false;
    if (strcmp(policy, "always") == 0 || strcmp(policy, "unless-stopped") == 0)
        return true;
    if (strncmp(policy, "on-failure", 10) != 0 || code == 0)
        return false;
    return policy[10] != ' ' || !parse_number(policy + 11, UINT32_MAX, &most) || most == 0 || plan->restart_count < most;
}

/* False: a signal asks to end instead. */
static bool wait_quietly(int signals, uint64_t milliseconds)
{
    int64_t until = now_nanoseconds(CLOCK_MONOTONIC) + (int64_t)milliseconds * 1000000;
    for (;;) {
        int64_t left = until - now_nanoseconds(CLOCK_MONOTONIC);
        if (left <= 0)
            return true;
        struct pollfd watched = {.fd = signals, .events = POLLIN};
        poll(&watched, 1, (int)(left / 1000000) + 1);
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGHUP ||
                info.ssi_signo == SIGQUIT)
                return false;
    }
}

void restart_if_wished(struct monitor *monitor, int code)
{
    const struct plan *plan = &monitor->run->plan;
    if (!plan_is_background(plan) || !(wants_restart(plan, code) || (monitor->restart_asked && !is_stopped(plan))))
        return;
    bool well = monitor->started && now_nanoseconds(CLOCK_MONOTONIC) - monitor->started >= WELL_AFTER_NANOSECONDS;
    uint64_t delay = well || plan->restart_delay == 0 ? FIRST_DELAY : plan->restart_delay * 2;
    delay = delay < LAST_DELAY ? delay : LAST_DELAY;
    event_begin("restarting");
    event_number("count", (long long)plan->restart_count + 1);
    event_number("delay", (long long)delay);
    event_end();
    if (!wait_quietly(monitor->signals, delay) || is_stopped(plan))
        return;
    char count[24], text[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)plan->restart_count + 1);
    snprintf(text, sizeof text, "%llu", (unsigned long long)delay);
    char *argv[] = {"tsbox-helper", "run", (char *)monitor->run->path, "restarted", count, text, NULL};
    execv("/proc/self/exe", argv);
}
