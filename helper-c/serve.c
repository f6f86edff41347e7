/*
 * `serve FD PLAN`: one process keeps a user namespace whose maps newuidmap wrote once; every plan
 * that arrives runs in a user namespace nested in it, whose maps a privileged process of the outer
 * one, this one's child, writes itself. That saves a script's sandboxes the two setuid programs,
 * and the fork of a large parent.
 *
 * PLAN gives the outer namespace: `namespace user`, uid-map, gid-map, map-tools, and `finish`. In the
 * plans that arrive, OUTSIDE ids are ids of that namespace.
 *
 * FD is a SOCK_SEQPACKET socket. Each packet starts one run: a letter for each descriptor that comes
 * with it, in the same order. `p` the plan (a memfd or file, read from its start; required), `0` `1`
 * `2` the run's standard descriptors (default: /dev/null), `e` where its events go (in the plan:
 * events-fd 3), `c` the control descriptor (control-fd 4). Once the outer namespace is ready, the
 * server sends one packet, "ready". End-of-file ends all that was started, then the server.
 */
#include "helper.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DESCRIPTORS_MAX 6
#define EVENTS_AT 3
#define CONTROL_AT 4

struct request {
    char letters[DESCRIPTORS_MAX];
    int fds[DESCRIPTORS_MAX];
    size_t count;
};

/* The maps must be written from the namespace's parent; so a child that stays there does it. */
static void enter_user_namespace(const struct plan *plan)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        die(errno, NULL, "Cannot make a pipe");
    pid_t server = getpid(), child = fork();
    if (child < 0)
        die(errno, NULL, "Cannot start a process");
    if (child == 0) {
        char word;
        close(ready[1]);
        if (read_exact(ready[0], &word, 1) != 1)
            _exit(EXIT_TSBOX);
        if (write_id_maps(plan, server) < 0)
            failure_sink();
        _exit(0);
    }
    if (unshare(CLONE_NEWUSER) < 0)
        die(errno, NULL, "Cannot make a user namespace");
    write_all(ready[1], "", 1);
    close(ready[0]);
    close(ready[1]);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        _exit(EXIT_TSBOX);
    if (become_namespace_root(plan) < 0)
        failure_sink();
    /* The change of ids has made /proc files of this process and its children root's; the runs' maps
     * are written through those. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* 1: a request; 0: end-of-file. A packet that makes no sense is dropped. */
static int receive_request(int socket, struct request *request)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof request->fds)];
    } control = {0};
    struct iovec data = {.iov_base = request->letters, .iov_len = sizeof request->letters};
    struct msghdr packet = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t count = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        request->count = 0;
        return 1;
    }
    if (count <= 0)
        return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    request->count = 0;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        request->count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(request->fds, CMSG_DATA(header), request->count * sizeof(int));
    }
    if (request->count != (size_t)count) {
        for (size_t i = 0; i < request->count; i++)
            close(request->fds[i]);
        request->count = 0;
    }
    return 1;
}

static int find_descriptor(const struct request *request, char letter)
{
    for (size_t i = 0; i < request->count; i++)
        if (request->letters[i] == letter)
            return request->fds[i];
    return -1;
}

/* In the run's own process: put every descriptor where the plan expects it, close all others. */
static char *arrange_descriptors(const struct request *request, size_t *length)
{
    static const struct {
        char letter;
        int at;
    } places[] = {{'0', 0}, {'1', 1}, {'2', 2}, {'e', EVENTS_AT}, {'c', CONTROL_AT}};
    int plan = find_descriptor(request, 'p');
    lseek(plan, 0, SEEK_SET);
    char *text = read_all(plan, length);
    int null = open_cloexec("/dev/null", O_RDWR, 0), copies[countof(places)];
    /* First all out of the way of their places, then to them. */
    for (size_t i = 0; i < countof(places); i++) {
        int fd = find_descriptor(request, places[i].letter);
        copies[i] = fcntl(fd < 0 ? null : fd, F_DUPFD_CLOEXEC, 64);
    }
    for (size_t i = 0; i < countof(places); i++)
        dup3(copies[i], places[i].at, places[i].at > STDERR_FILENO ? O_CLOEXEC : 0);
    syscall(SYS_close_range, (unsigned)CONTROL_AT + 1, ~0u, 0u);
    return text;
}

_Noreturn static void run_request(const struct request *request, pid_t server)
{
    struct run run = RUN_INITIALIZER;
    size_t length;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != server)
        _exit(EXIT_TSBOX);
    char *text = arrange_descriptors(request, &length);
    if (!text)
        die(errno, NULL, "Cannot read the plan");
    plan_parse(&run.plan, text, length);
    run.plan.die_with_parent = true;
    run.plan.detach = false;
    run_plan(&run);
}

static void start_run(const struct request *request)
{
    pid_t server = getpid(), pid = request->count && find_descriptor(request, 'p') >= 0 ? fork() : -1;
    if (pid == 0)
        run_request(request, server);
    for (size_t i = 0; i < request->count; i++)
        close(request->fds[i]);
}

static void reap_runs(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/*
 * The client is gone: a TERM makes each run's monitor kill what it started and clean up behind it.
 * They are in this process's group, which it leads, and nobody else is: the programs are in sessions
 * of their own. (Were this process killed, their parent-death signal does the same.)
 */
_Noreturn static void end(const struct plan *plan)
{
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    _exit(op_remove(plan->cleanup.count, plan->cleanup.list) < 0 ? EXIT_TSBOX : 0);
}

_Noreturn static void serve(int socket, const struct plan *plan)
{
    if (setpgid(0, 0) < 0)
        die(errno, NULL, "Cannot lead a process group");
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        die(errno, NULL, "Cannot receive signals");
    if (send(socket, "ready", 5, MSG_NOSIGNAL) < 0)
        die(errno, NULL, "Cannot answer on the socket");
    for (;;) {
        struct pollfd watched[] = {{.fd = socket, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(watched, countof(watched), -1) < 0 && errno != EINTR)
            die(errno, NULL, "Cannot wait for requests");
        if (watched[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0)
                ;
            reap_runs();
        }
        if (watched[0].revents) {
            struct request request;
            if (receive_request(socket, &request) == 0)
                end(plan);
            start_run(&request);
        }
    }
}

int cmd_serve(int argc, char **argv)
{
    uint64_t fd;
    struct plan plan;
    if (argc != 3 || !parse_number(argv[1], INT_MAX, &fd))
        die(0, NULL, "Cannot serve: usage: tsbox-helper serve FD PLAN");
    size_t length;
    char *text = read_file(argv[2], &length);
    if (!text)
        die(errno, argv[2], "Cannot read the plan");
    plan_parse(&plan, text, length);
    if (!plan.namespaces[NS_USER])
        die(0, argv[2], "Cannot serve: the plan has no user namespace");
    enter_user_namespace(&plan);
    serve((int)fd, &plan);
}
