/*
 * What is executed finds what a shell would have given it. Node leaves SIGPIPE ignored, and libuv may have made 0-2
 * close-on-exec or non-blocking; whoever started us may have left signals ignored or blocked. (The runner by library.c, the launcher.)
 */
#include "become.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void become_clean(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
        flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_NONBLOCK))
            fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    /* by the kernel's own call: glibc keeps 32 and 33 for itself, and make leaves them ignored. All
     * zeros is SIG_DFL, no flags and an empty mask on every architecture. */
    static const unsigned long by_default[8];
    for (int number = 1; number < _NSIG; number++)
        syscall(SYS_rt_sigaction, number, by_default, NULL, 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
