/* `remove` on trees that resist. As root the modes do not resist, so an ordinary user's child tries those. */
#include <string.h>
#include <sys/mount.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../helper-c/helper.h"
#include "../../helper-c/tree.h"
#include "testing.h"

static char top[] = "/tmp/tsbox-test-remove-XXXXXX";
static char tree[64], other[64];

static char *at(const char *path)
{
    static char buffers[4][4096];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", top, path);
    return buffer;
}

static void put(const char *path)
{
    int fd = open(at(path), O_WRONLY | O_CREAT, 0600);
    expect(fd >= 0);
    close(fd);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(at(path), &st) == 0;
}

static int remove_tree(void)
{
    char *paths[] = {tree};
    return op_remove(1, paths);
}

static void removes_a_tree(void)
{
    mkdir(at("tree"), 0755);
    mkdir(at("tree/a"), 0755);
    mkdir(at("tree/a/b"), 0755);
    put("tree/a/b/f");
    put("tree/f");
    mkfifo(at("tree/p"), 0600);
    char slashes[80];
    snprintf(slashes, sizeof slashes, "%s//", tree);
    char *paths[] = {slashes};
    expect_equal(op_remove(1, paths), 0);
    expect(!exists("tree"));
    put("tree");
    expect_equal(remove_tree(), 0);
    expect(!exists("tree"));
}

static void missing_is_no_error(void)
{
    char *paths[] = {tree, at("no/such/parent")};
    expect_equal(op_remove(2, paths), 0);
}

static void follows_no_links(void)
{
    mkdir(at("other"), 0755);
    put("other/kept");
    mkdir(at("tree"), 0755);
    if (symlink(other, at("tree/abs")) != 0 || symlink("../other", at("tree/rel")) != 0)
        abort();
    expect_equal(remove_tree(), 0);
    expect(exists("other/kept"));
    if (symlink(other, tree) != 0)
        abort();
    expect_equal(remove_tree(), 0);
    expect(exists("other/kept") && !exists("tree"));
}

static void many_files(void)
{
    mkdir(at("tree"), 0755);
    for (int i = 0; i < 5000; i++) {
        char name[64];
        snprintf(name, sizeof name, "tree/a-rather-long-name-to-fill-the-listing-%d", i);
        if (i % 10 == 0) {
            mkdir(at(name), 0755);
            strcat(name, "/f");
        }
        put(name);
    }
    expect_equal(remove_tree(), 0);
    expect(!exists("tree"));
}

static void deep_trees(void)
{
    struct rlimit before, few = {.rlim_cur = 64, .rlim_max = 64};
    getrlimit(RLIMIT_NOFILE, &before);
    few.rlim_max = before.rlim_max;
    mkdir(at("tree"), 0755);
    int fd = open(tree, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 3000; i++) {
        mkdirat(fd, "a-directory-deeper", 0755);
        int file = openat(fd, "f", O_WRONLY | O_CREAT, 0600);
        close(file);
        int next = openat(fd, "a-directory-deeper", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    setrlimit(RLIMIT_NOFILE, &few);
    expect_equal(remove_tree(), 0);
    setrlimit(RLIMIT_NOFILE, &before);
    expect(!exists("tree"));
}

static void restrictive_modes(void)
{
    mkdir(at("tree"), 0755);
    mkdir(at("tree/none"), 0755);
    mkdir(at("tree/none/inner"), 0755);
    put("tree/none/inner/f");
    mkdir(at("tree/readonly"), 0755);
    put("tree/readonly/f");
    mkdir(at("tree/readonly/empty"), 0);
    chmod(at("tree/none/inner"), 0);
    chmod(at("tree/none"), 0);
    chmod(at("tree/readonly"), 0500);
    chmod(tree, 0);
    expect_equal(remove_tree(), 0);
    expect(!exists("tree"));
}

/* As somebody to whom modes apply. */
static void restrictive_modes_as_user(void)
{
    chmod(top, 0777);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        restrictive_modes();
        fflush(stdout);
        _exit(test_failed);
    }
    int status;
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void two_at_a_time(void)
{
    mkdir(at("tree"), 0755);
    for (int i = 0; i < 2000; i++) {
        char name[64];
        snprintf(name, sizeof name, "tree/d%d", i);
        mkdir(at(name), 0755);
        strcat(name, "/f");
        put(name);
    }
    fflush(stdout);
    pid_t child = fork();
    int result = remove_tree();
    if (child == 0)
        _exit(result != 0);
    int status;
    waitpid(child, &status, 0);
    expect_equal(result, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect(!exists("tree"));
}

static void refuses_what_is_no_name(void)
{
    char *root[] = {"/"}, *dot[] = {"."}, *up[] = {at("..")}, *nothing[] = {""};
    expect_equal(op_remove(1, root), -1);
    expect_equal(op_remove(1, dot), -1);
    expect_equal(op_remove(1, up), -1);
    expect_equal(op_remove(1, nothing), -1);
}

/* In a mount namespace of our own; `held` is on tree/mounted. */
static int without_mounts(bool old_kernel)
{
    mkdir(at("other"), 0755);
    put("other/kept");
    mkdir(at("tree"), 0755);
    mkdir(at("tree/mounted"), 0755);
    put("tree/f");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        uid_t uid = geteuid();
        char map[32];
        snprintf(map, sizeof map, "0 %d 1", uid);
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || write_file_at(AT_FDCWD, "/proc/self/uid_map", map) != 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(other, at("tree/mounted"), NULL, MS_BIND, NULL) != 0)
            _exit(2);
        tree_without_openat2 = old_kernel;
        int result = remove_tree();
        _exit(result == -1 && exists("other/kept") && !exists("tree/f") ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    remove_tree();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void enters_no_mounts(void)
{
    expect_equal(without_mounts(false), 0);
    expect_equal(without_mounts(true), 0);
    expect(exists("other/kept"));
}

static void without_openat2(void)
{
    tree_without_openat2 = true;
    removes_a_tree();
    follows_no_links();
    deep_trees();
    restrictive_modes_as_user();
    tree_without_openat2 = false;
}

int main(void)
{
    if (!mkdtemp(top))
        return 1;
    snprintf(tree, sizeof tree, "%s/tree", top);
    snprintf(other, sizeof other, "%s/other", top);
    run_test("remove takes a tree or a file", removes_a_tree);
    run_test("a missing path is no error", missing_is_no_error);
    run_test("remove follows no symbolic links", follows_no_links);
    run_test("remove takes thousands of files", many_files);
    run_test("remove takes a tree 3,000 directories deep with few descriptors", deep_trees);
    run_test("remove takes directories of mode 000", restrictive_modes_as_user);
    run_test("two removals of one tree both succeed", two_at_a_time);
    run_test("remove refuses /, . and ..", refuses_what_is_no_name);
    run_test("remove never enters a mount", enters_no_mounts);
    run_test("remove works without openat2", without_openat2);
    char *all[] = {top};
    op_remove(1, all);
    return finish_tests();
}
