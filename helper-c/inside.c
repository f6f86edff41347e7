/*
 * Sockets of another network namespace. A socket belongs for ever to the namespace it was made in, so a
 * process that enters the container's for a moment is enough. It shares memory and descriptors with this
 * one, which waits for it: what it opens is open here, and nothing has to be handed over. It cannot be a
 * thread: only a process of one thread may enter a user namespace.
 */
#include "publish.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Every page of it is touched. */
#define STACK_SIZE (8 * 1024)

struct errand {
    const struct inside *inside;
    int family;
    int *fds;
    size_t count, made;
    int error;
};

static int make_sockets(void *argument)
{
    struct errand *errand = argument;
    const struct inside *inside = errand->inside;
    if ((inside->user >= 0 && setns(inside->user, CLONE_NEWUSER) < 0) || setns(inside->net, CLONE_NEWNET) < 0) {
        errand->error = errno;
        _exit(1);
    }
    while (errand->made < errand->count) {
        int fd = socket(errand->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            break;
        errand->fds[errand->made++] = fd;
    }
    errand->error = errno;
    _exit(0);
}

size_t inside_sockets(const struct inside *inside, int family, int *fds, size_t count)
{
    _Alignas(16) char stack[STACK_SIZE];
    struct errand errand = {.inside = inside, .family = family, .fds = fds, .count = count};
    int pid = clone(make_sockets, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &errand);
    if (pid < 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = errand.error;
    return errand.made;
}
