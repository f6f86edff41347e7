/*
 * Becoming the container's program by way of a page of sealed memory: stage/stage.c tells why. Its machine code is built first and included here.
 */
#include "helper.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

__asm__(".section .rodata\n"
        ".globl stage_begin, stage_end\n"
        "stage_begin:\n"
        ".incbin \"" STAGE_FILE "\"\n"
        "stage_end:\n"
        ".previous\n");
extern const char stage_begin[], stage_end[];

int exec_stage_open(void)
{
    /* Linux before 6.3 does not know the flag, and needs none */
    int fd = memfd_create("tsbox-exec", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("tsbox-exec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (write_all(fd, stage_begin, (size_t)(stage_end - stage_begin)) < 0 || fchmod(fd, 0555) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void exec_through_stage(int stage, int socket, const char *program, char **argv)
{
    size_t count = 0;
    while (argv[count])
        count++;
    char **words = xcalloc(count + 3, sizeof *words);
    words[0] = "tsbox-exec";
    words[1] = (char *)program;
    memcpy(words + 2, argv, count * sizeof *argv);
    /* the stage closes it to the program; it must not be closed to the stage */
    fcntl(socket, F_SETFD, 0);
    syscall(SYS_execveat, stage, "", words, environ, AT_EMPTY_PATH);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", stage);
    execve(path, words, environ); /* a filter may know only execve */
    fcntl(socket, F_SETFD, FD_CLOEXEC);
}
