/*
 * The child: carries out the ops in the new namespaces, then takes the program's place. Ops with an
 * action run in the plan's order; those that could hinder later ones (ids, limits, the filter) are
 * collected by exec_program and take effect last.
 */
#include "helper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int failure_socket = -1;

_Noreturn static void send_failure(void)
{
    struct message message = {.kind = MESSAGE_FAILED, .failure = last_failure};
    event_flush();
    message_send(failure_socket, &message, -1);
    _exit(last_failure.exit_code);
}

static void report_to(int socket)
{
    failure_socket = socket;
    failure_sink = send_failure;
}

/* The failing function has said why in last_failure. */
static void must(int result)
{
    if (result < 0)
        failure_sink();
}

/* getppid says nothing across a pid namespace; the socket does: its other end is the monitor's. */
void die_with_parent(const struct run *run)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    struct pollfd peer = {.fd = run->socket, .events = 0};
    if (poll(&peer, 1, 0) == 1 && (peer.revents & POLLHUP))
        _exit(EXIT_TSBOX);
}

void wait_for_go(const struct run *run)
{
    struct message message;
    if (message_receive(run->socket, &message, NULL) != 1 || message.kind != MESSAGE_GO)
        _exit(EXIT_TSBOX);
}

/* Host files that later steps need, opened before the ids and the root change. */
static void open_early(struct run *run)
{
    const struct op *op = plan_find(&run->plan, "oom-score-adj");
    if (op) {
        set_current_op(op->spec->name, op->index);
        run->score = open_cloexec("/proc/self/oom_score_adj", O_WRONLY, 0);
        if (run->score < 0)
            die(errno, "/proc/self/oom_score_adj", "Cannot open the file");
    }
    op = plan_find(&run->plan, "seccomp");
    if (op) {
        set_current_op(op->spec->name, op->index);
        must(load_filter_file(run, op->texts[0]));
    }
    set_current_op("", 0);
}

static void set_names(const struct plan *plan)
{
    /* Podman's filter lets a container make namespaces, but give no host name. */
    if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0 &&
        !(plan->hostname_may_stay && errno == EPERM))
        die(errno, plan->hostname, "Cannot set the host name");
    if (plan->domainname && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
        die(errno, plan->domainname, "Cannot set the domain name");
}

static void use_stdio(const struct run *run)
{
    for (int fd = 0; fd < 3; fd++)
        if (run->stdio[fd] >= 0 && dup2(run->stdio[fd], fd) < 0)
            die(errno, NULL, "Cannot set up descriptor %d", fd);
}

static void run_ops(struct run *run)
{
    const struct plan *plan = &run->plan;
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if (!op->spec->act)
            continue;
        set_current_op(op->spec->name, op->index);
        must(op->spec->act(run, op));
    }
    set_current_op("", 0);
    if (plan->namespaces[NS_MOUNT]) {
        event_begin("mounted");
        event_end();
    }
}

void child_main(struct run *run)
{
    const struct plan *plan = &run->plan;
    report_to(run->socket);
    wait_for_go(run);
    die_with_parent(run);
    open_early(run);
    if (plan->join_pid) {
        cgroup_join(plan);
        join_namespaces(run);
    } else {
        if (plan->shares)
            share_namespaces(run);
        else if (plan->process_limit)
            stem_main(run);
        else
            cgroup_namespace(plan);
        must(processes_tell(run));
        must(publish_inside(run));
        must(set_time_offsets(plan));
        must(become_namespace_root(plan));
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    die_with_parent(run); /* again: a change of ids clears it (prctl(2)) */
    umask(022);
    set_names(plan);
    if (plan->init)
        must(init_prepare(run));
    run_ops(run);

    const struct op *last = &plan->ops[plan->op_count - 1];
    set_current_op(last->spec->name, last->index);
    if (strcmp(last->spec->name, "exec") == 0)
        exec_program(run);
    setsid();
    use_stdio(run);
    if (strcmp(last->spec->name, "apply") == 0)
        must(op_apply(last->texts[0], last->flags, last->words.count, last->words.list));
    else if (strcmp(last->spec->name, "pack") == 0)
        must(op_pack(last));
    else if (strcmp(last->spec->name, "changes") == 0)
        must(op_changes(last));
    else if (strcmp(last->spec->name, "pick") == 0)
        must(op_pick(last));
    else if (strcmp(last->spec->name, "place") == 0)
        must(op_place(last));
    else if (strcmp(last->spec->name, "look") == 0)
        must(op_look(last->words.count, last->words.list));
    else if (strcmp(last->spec->name, "remove") == 0)
        must(op_remove(last->words.count, last->words.list));
    event_flush();
    _exit(0);
}

/*** Exec ***/

static void write_score(const struct run *run)
{
    const struct op *op = plan_find(&run->plan, "oom-score-adj");
    char number[24];
    if (!op)
        return;
    set_current_op(op->spec->name, op->index);
    snprintf(number, sizeof number, "%lld", (long long)op->numbers[0]);
    if (write(run->score, number, strlen(number)) < 0)
        die(errno, number, "Cannot set oom_score_adj");
}

/* The directory's name comes from the image: no magic link of /proc may lead out of the root through
 * a descriptor that is still open (CVE-2024-21626). */
static void enter_directory(struct run *run)
{
    const struct op *op = plan_find(&run->plan, "cwd");
    bool make = !op;
    if (!op)
        op = plan_find(&run->plan, "cwd-make");
    if (!op)
        return;
    set_current_op(op->spec->name, op->index);
    cleanup_fd int root = open_cloexec("/", O_PATH | O_DIRECTORY, 0);
    cleanup_fd int fd = make ? make_directories(root, op->texts[0]) : resolve_in_root(root, op->texts[0]);
    if (fd < 0 || fchdir(fd) < 0)
        die(errno, op->texts[0], "Cannot enter the working directory");
}

/* Nothing of the host may be open when a path that an image has chosen is resolved and executed. */
static void close_all_but_socket(struct run *run)
{
    events_drop_all();
    if (run->socket != 3 && dup3(run->socket, 3, O_CLOEXEC) == 3)
        run->socket = 3;
    report_to(run->socket);
    if (run->socket == 3)
        syscall(SYS_close_range, 4u, ~0u, 0u);
}

/* A directory of PATH that may not be entered does not hold the program: as if it were not there. */
static bool is_executable(const char *path, bool searching, int *error)
{
    struct stat status;
    cleanup_fd int fd = resolve_without_magic(path);
    if (fd < 0 || fstat(fd, &status) < 0) {
        if (errno != ENOENT && errno != ENOTDIR && !(searching && errno == EACCES))
            *error = errno;
        return false;
    }
    if (S_ISREG(status.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        return true;
    *error = EACCES;
    return false;
}

_Noreturn static void cannot_exec(const char *name, int error)
{
    if (error == ENOENT) {
        fail(0, name, "Cannot find the program");
        last_failure.error = ENOENT;
    } else {
        fail(error, name, "Cannot execute the program");
    }
    last_failure.exit_code = error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC;
    failure_sink();
    _exit(last_failure.exit_code);
}

static char *find_program(char *name)
{
    int error = ENOENT;
    if (strchr(name, '/')) {
        if (is_executable(name, false, &error))
            return name;
        cannot_exec(name, error);
    }
    const char *path = getenv("PATH");
    for (path = path ? path : DEFAULT_PATH; *name; path++) {
        size_t length = strcspn(path, ":");
        char *candidate = length ? xasprintf("%.*s/%s", (int)length, path, name) : xasprintf("./%s", name);
        if (is_executable(candidate, true, &error))
            return candidate;
        free(candidate);
        path += length;
        if (!*path)
            break;
    }
    cannot_exec(name, error);
}

static void reset_signal_mask(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void tell_ready(const struct run *run)
{
    struct message message = {.kind = MESSAGE_READY};
    if (message_send(run->socket, &message, -1) < 0)
        _exit(EXIT_TSBOX);
}

void exec_program(struct run *run)
{
    static char *no_environment[] = {NULL};
    const struct plan *plan = &run->plan;
    const struct op *op = &plan->ops[plan->op_count - 1], *mode = plan_find(plan, "umask"),
                    *environment = plan_find(plan, "env");
    char **argv = op->words.list;
    if (plan->init) {
        bool alone = op->words.count == 0;
        init_start(run, alone);
        if (alone) {
            tell_ready(run);
            _exit(0);
        }
    }
    setsid();
    use_stdio(run);
    if (plan->stdio == STDIO_TERMINAL)
        must(pty_open(run));
    write_score(run);
    enter_directory(run);
    close_all_but_socket(run);
    int stage = exec_stage_open();
    if (stage < 0)
        die(errno, NULL, "Cannot make the sealed copy that executes the program");
    if (mode)
        umask((mode_t)mode->numbers[0]);
    environ = environment ? environment->words.list : no_environment;
    must(apply_rlimits(plan));
    must(apply_credentials(plan));
    set_current_op(op->spec->name, op->index);
    char *program = find_program(argv[0]);
    if (!plan->init)
        die_with_parent(run);
    tell_ready(run);
    must(apply_filter(run));
    set_current_op(op->spec->name, op->index);
    reset_signal_mask();
    exec_through_stage(stage, run->socket, program, argv);
    fail(errno, program, "Cannot execute the program: the system call filter is in the way");
    last_failure.exit_code = EXIT_CANNOT_EXEC;
    failure_sink();
    _exit(EXIT_CANNOT_EXEC);
}
