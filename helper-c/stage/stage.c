/*
 * The last step before a container's program: a program of one page, executed from sealed memory, that does nothing but execute the program.
 *
 * Why it exists. The kernel resolves a program's interpreter ("#!" or the ELF loader) while the caller still is what /proc/self/exe says.
 * Were that the helper, an image whose program begins with "#!/proc/self/exe" would make the kernel run the helper's own file
 * inside, where other processes could open it through /proc/PID/exe and overwrite it later (CVE-2019-5736). So the helper becomes this
 * first: what can be found there is a copy in memory that nobody can change.
 *
 * No libc: it runs under the container's system call filter, so it makes two calls: fcntl and execve (and write, exit on failure).
 *
 * argv: a name, the program's path, the program's argv. Descriptor 3 is the socket to the monitor.
 */
#define SOCKET 3
#define F_SETFD 2
#define FD_CLOEXEC 1

#include "stage.h"

#if defined(__x86_64__)
enum { SYS_write = 1, SYS_execve = 59, SYS_exit = 60, SYS_fcntl = 72 };
static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call stage_main\n");
#elif defined(__aarch64__)
enum { SYS_fcntl = 25, SYS_write = 64, SYS_exit = 93, SYS_execve = 221 };
static long call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl stage_main\n");
#endif

__attribute__((noreturn)) void stage_main(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1), **environment = argv + argc + 1;
    /* run by something else than the helper (as an image's "interpreter"): nothing to do */
    if (argc < 3)
        call(SYS_exit, 126, 0, 0);
    long error = call(SYS_fcntl, SOCKET, F_SETFD, FD_CLOEXEC);
    /* a program that could speak to the monitor is worse than one that does not start */
    if (error == 0)
        error = call(SYS_execve, (long)argv[1], (long)(argv + 2), (long)environment);
    int message[2] = {STAGE_MESSAGE_KIND, (int)-error};
    call(SYS_write, SOCKET, (long)message, sizeof message);
    for (;;)
        call(SYS_exit, 126, 0, 0);
}
