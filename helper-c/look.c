/* `look`: what paths of a container are, told as events on standard output. */
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "apply.h"

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "directory" : S_ISREG(mode) ? "file" : S_ISLNK(mode) ? "link" : "other";
}

/* The name itself, not what a link at its end leads to; nor anything that /proc would lead to out of here. */
static int open_itself(int root, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int look(int root, const char *path)
{
    struct buffer text = {0};
    struct stat st;
    apply_event_begin(&text, "found");
    apply_event_path(&text, "path", path);
    cleanup_fd int fd = open_itself(root, path);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
        buffer_free(&text);
        return fail(errno, path, "Cannot look at the path");
    }
    bool there = fd >= 0 && fstat(fd, &st) == 0;
    buffer_printf(&text, ",\"kind\":\"%s\"", there ? kind_of(st.st_mode) : "missing");
    if (there && S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        ssize_t length = readlinkat(fd, "", target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        apply_event_path(&text, "link", target);
    }
    buffer_puts(&text, "}\n");
    int sent = apply_event_send(&text);
    buffer_free(&text);
    return sent;
}

int op_look(size_t n, char **paths)
{
    cleanup_fd int root = open_cloexec("/", O_PATH | O_DIRECTORY, 0);
    if (root < 0)
        return fail(errno, "/", "Cannot open the root directory");
    for (size_t i = 0; i < n; i++)
        if (look(root, paths[i]) < 0)
            return -1;
    return 0;
}
