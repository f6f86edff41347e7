/* Paths in a root whose author is hostile: no step may leave it. */
#include "helper.h"
#include "testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char directory[] = "/tmp/tsbox-resolve-XXXXXX";
static int outside = -1, root = -1;

static bool same(int fd, int at, const char *path)
{
    struct stat a, b;
    return fd >= 0 && fstat(fd, &a) == 0 && fstatat(at, path, &b, 0) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static void stays_inside(void)
{
    symlinkat("/", root, "absolute");
    symlinkat("../../../../..", root, "upwards");
    symlinkat("../secret", root, "beside");
    mkdirat(outside, "secret", 0755);
    const char *paths[] = {"/absolute", "/upwards", "/..", "/../../..", "/upwards/absolute/.."};
    for (size_t i = 0; i < countof(paths); i++) {
        cleanup_fd int fd = resolve_in_root(root, paths[i]);
        expect(same(fd, root, "."));
    }
    cleanup_fd int fd = resolve_in_root(root, "/beside");
    expect(fd < 0 && errno == ENOENT);
}

static void makes_inside(void)
{
    cleanup_fd int fd = make_directories(root, "/upwards/a/b/../c");
    expect(same(fd, root, "a/c")); /* made step by step, so ".." finds the b that was missing */
    cleanup_fd int made = make_directories(root, "/upwards/x/y");
    expect(same(made, root, "x/y"));
    cleanup_fd int file = make_mount_point(root, "/absolute/x/f", false);
    expect(same(file, root, "x/f"));
    struct stat status;
    expect(fstatat(outside, "x", &status, 0) < 0);
}

static void refuses_dangling(void)
{
    symlinkat("/nowhere/at/all", root, "dangling");
    cleanup_fd int fd = make_directories(root, "/dangling/x");
    expect(fd < 0 && errno == ENOENT);
    char name[NAME_MAX + 1];
    cleanup_fd int parent = make_parent(root, "/", name);
    expect(parent < 0 && errno == EEXIST);
    cleanup_fd int dots = make_parent(root, "/x/..", name);
    expect(dots < 0 && errno == EINVAL);
}

static void refuses_magic(void)
{
    cleanup_fd int fd = resolve_without_magic("/proc/self/exe");
    expect(fd < 0 && errno == ELOOP);
    cleanup_fd int plain = resolve_without_magic("/proc/self/status");
    expect(plain >= 0);
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    outside = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    mkdirat(outside, "root", 0755);
    root = openat(outside, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    run_test("resolve_in_root() takes links and .. of an image no further than its root", stays_inside);
    run_test("make_directories() makes directories inside the root, through links that point out", makes_inside);
    run_test("make_directories() does not follow a dangling link", refuses_dangling);
    run_test("resolve_without_magic() refuses links of /proc to open files", refuses_magic);
    close(root);
    close(outside);
    char *paths[] = {directory};
    return op_remove(1, paths) < 0 ? 1 : finish_tests();
}
