/*
 * fuse-overlayfs, where the kernel's overlay cannot be had.
 *
 * Theory of operation. Three take part, so that nothing of the host is seen in the container and nothing has to be waited for. The
 * child opens /dev/fuse and mounts it: the kernel wants both done in the user namespace that owns the mount. It sends the
 * descriptor to the monitor, which starts the program outside: in no pid or mount namespace of the container's, only in its user
 * namespace, whose ids the files have. Until the program reads from the descriptor whoever looks into the mount waits in the kernel.
 * It dies with the monitor, and the mount's users then get ENOTCONN.
 */
#include "helper.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PROGRAM "fuse-overlayfs"

int fuse_mount(const char *target)
{
    cleanup_fd int fuse = open_cloexec("/dev/fuse", O_RDWR, 0);
    char options[120];
    if (fuse < 0)
        return -1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fuse);
    if (mount(PROGRAM, target, "fuse." PROGRAM, MS_NODEV, options) < 0)
        return -1;
    return steal_fd(&fuse);
}

/* In its options "," ":" and "\" have a meaning: paths that have one are refused before. */
static bool is_plain(const char *path)
{
    return strpbrk(path, ",:\\") == NULL;
}

bool fuse_can_name(const char *upper, const char *work, const struct words *lowers)
{
    for (size_t i = 0; i < lowers->count; i++)
        if (!is_plain(lowers->list[i]))
            return false;
    return is_plain(upper) && is_plain(work);
}

void fuse_overlay_exec(int fuse, const char *upper, const char *work, const struct words *lowers)
{
    struct buffer options = {0};
    char place[24];
    for (size_t i = 0; i < lowers->count; i++)
        buffer_printf(&options, "%s%s", i ? ":" : "lowerdir=", lowers->list[i]);
    if (*upper)
        buffer_printf(&options, ",upperdir=%s,workdir=%s", upper, work);
    snprintf(place, sizeof place, "/dev/fd/%d", fuse);
    if (fcntl(fuse, F_SETFD, 0) < 0)
        return;
    execlp(PROGRAM, PROGRAM, "-f", "-o", options.data, place, NULL);
    /* A PATH that lacks the system's own folders. */
    if (errno == ENOENT)
        execl("/usr/bin/" PROGRAM, PROGRAM, "-f", "-o", options.data, place, NULL);
}

static bool is_fuse(const struct op *op)
{
    return strncmp(op->spec->name, "overlay", 7) == 0 && (op->flags & FLAG_FUSE);
}

bool fuse_is_used(const struct plan *plan)
{
    for (size_t i = 0; i < plan->op_count; i++)
        if (is_fuse(&plan->ops[i]))
            return true;
    return false;
}

/*** In the child ***/

int mount_fuse_overlay(const struct run *run, const struct op *op, int target)
{
    char place[40];
    snprintf(place, sizeof place, "/proc/self/fd/%d", target);
    if (!fuse_can_name(op->texts[1], op->texts[2], &op->words))
        return fail(0, op->texts[0], "Cannot mount fuse-overlayfs: it cannot be told a path with a comma, a colon or a backslash");
    cleanup_fd int fuse = fuse_mount(place);
    if (fuse < 0)
        return fail(errno, op->texts[0], "Cannot mount fuse-overlayfs");
    struct message message = {.kind = MESSAGE_FUSE, .pid = (int32_t)op->index};
    return message_send(run->socket, &message, fuse) < 0 ? fail(errno, NULL, "Cannot ask for fuse-overlayfs") : 0;
}

/*** In the monitor ***/

static pid_t *servers;
static size_t server_count;

_Noreturn static void serve_overlay(const struct monitor *monitor, const struct op *op, int fuse, pid_t parent)
{
    const struct plan *plan = &monitor->run->plan;
    bool read_only = op->flags & FLAG_RO;
    sigset_t none;
    setsid(); /* Ctrl-C is meant for the program inside */
    int null = open_cloexec("/dev/null", O_RDWR, 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (monitor->user_namespace >= 0 && (setns(monitor->user_namespace, CLONE_NEWUSER) < 0 || become_namespace_root(plan) < 0))
        _exit(EXIT_TSBOX);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(EXIT_TSBOX);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(0);
    fuse_overlay_exec(fuse, read_only ? "" : op->texts[1], op->texts[2], &op->words);
    _exit(EXIT_NOT_FOUND);
}

void fuse_begin(const struct monitor *monitor, size_t index, int fuse)
{
    const struct plan *plan = &monitor->run->plan;
    cleanup_fd int owned = fuse;
    if (index == 0 || index > plan->op_count || !is_fuse(&plan->ops[index - 1]))
        return;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        serve_overlay(monitor, &plan->ops[index - 1], owned, parent);
    if (pid < 0)
        die(errno, NULL, "Cannot start fuse-overlayfs");
    servers = xrealloc(servers, (server_count + 1) * sizeof *servers);
    servers[server_count++] = pid;
}

void fuse_end(void)
{
    while (server_count > 0) {
        pid_t pid = servers[--server_count];
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}
