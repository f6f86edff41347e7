/* Loading a filter that was compiled before (seccomp_compile.c): bytes of struct sock_filter. */
#include "helper.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/syscall.h>

int load_filter_file(struct run *run, const char *path)
{
    size_t size;
    char *bytes = read_file(path, &size);
    if (!bytes)
        return fail(errno, path, "Cannot read the seccomp filter");
    size_t length = size / sizeof(struct sock_filter);
    if (size == 0 || size % sizeof(struct sock_filter) || length > BPF_MAXINSNS) {
        free(bytes);
        return fail(0, path, "Cannot use the seccomp filter: its size is %zu", size);
    }
    /* malloc aligns for every type, so the bytes are instructions already. */
    run->filter = (struct sock_filter *)(void *)bytes;
    run->filter_length = length;
    return 0;
}

int install_filter(const struct sock_filter *filter, size_t length)
{
    struct sock_fprog program = {.len = (unsigned short)length, .filter = (struct sock_filter *)filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
