/* `check` where features are there and where they are taken away: in children, so that nothing stays. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../helper-c/helper.h"
#include "testing.h"

static char *lines;

/* Runs check in a child, after `prepare`; 0 if it did. */
static int check_after(int (*prepare)(void), const char *directory)
{
    int out = memfd_create("lines", MFD_CLOEXEC);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (prepare && prepare() != 0)
            _exit(99);
        dup2(out, 1);
        char *argv[] = {"check", (char *)directory, NULL};
        _exit(cmd_check(directory ? 2 : 1, argv));
    }
    int status;
    waitpid(child, &status, 0);
    lseek(out, 0, SEEK_SET);
    free(lines);
    lines = read_all(out, NULL);
    close(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool has(const char *text)
{
    return strstr(lines, text) != NULL;
}

static void prints_a_line_each(void)
{
    expect_equal(check_after(NULL, "/tmp"), 0);
    const char *const names[] = {"user-namespace", "subuid-range", "overlay-userxattr", "proc-mount", "seccomp-notify",
                                 "landlock", "cgroup-delegation"};
    for (size_t i = 0; i < countof(names); i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"feature\":\"%s\",\"ok\":", names[i]);
        expect_that(has(text), __LINE__, "%s is missing", names[i]);
    }
    size_t count = 0;
    for (const char *line = lines; (line = strchr(line, '\n')); line++)
        count++;
    expect(count > 30);
    expect_equal(lines[strlen(lines) - 1], '\n');
}

/* As an ordinary user in a user namespace whose own limit is none; the sysctl is each namespace's. */
static int forbid_by_sysctl(void)
{
    char map[32];
    snprintf(map, sizeof map, "0 %d 1", geteuid());
    if (unshare(CLONE_NEWUSER) != 0 || write_file_at(AT_FDCWD, "/proc/self/uid_map", map) != 0)
        return -1;
    return write_file_at(AT_FDCWD, "/proc/sys/user/max_user_namespaces", "0");
}

static void names_the_sysctl(void)
{
    expect_equal(check_after(forbid_by_sysctl, "/tmp"), 0);
    expect(has("{\"feature\":\"user-namespace\",\"ok\":false,\"errno\":\"ENOSPC\",\"detail\":\"sysctl "
               "user.max_user_namespaces is 0\""));
    expect(has("{\"feature\":\"openat2\",\"ok\":true"));
}

/* As an outer container does. */
static int refuse_call(uint32_t number, uint32_t with)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, with),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = countof(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int forbid_by_seccomp(void)
{
    return refuse_call(SYS_unshare, SECCOMP_RET_ERRNO | EPERM);
}

static int kill_by_seccomp(void)
{
    return refuse_call(SYS_landlock_create_ruleset, SECCOMP_RET_KILL_PROCESS);
}

static int old_kernel(void)
{
    return refuse_call(SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);
}

static void names_the_outer_filter(void)
{
    expect_equal(check_after(forbid_by_seccomp, "/tmp"), 0);
    expect(has("{\"feature\":\"user-namespace\",\"ok\":false,\"errno\":\"EPERM\",\"detail\":\"a seccomp filter around"));
    expect_equal(check_after(kill_by_seccomp, "/tmp"), 0);
    expect(has("{\"feature\":\"landlock\",\"ok\":false,\"errno\":\"EIO\",\"detail\":\"the probe was killed by signal 31: a seccomp"));
    expect(has("{\"feature\":\"clone3\",\"ok\":true"));
    expect_equal(check_after(old_kernel, "/tmp"), 0);
    expect(has("{\"feature\":\"openat2\",\"ok\":false,\"errno\":\"ENOSYS\""));
}

static void leaves_nothing(void)
{
    char directory[] = "/tmp/tsbox-test-check-XXXXXX";
    expect(mkdtemp(directory) != NULL);
    expect_equal(check_after(NULL, directory), 0);
    expect(rmdir(directory) == 0);
    expect_equal(check_after(NULL, directory), 0); /* gone now */
    expect(has("{\"feature\":\"overlay-userxattr\",\"ok\":false,\"errno\":\"ENOENT\",\"detail\":\"cannot write in"));
}

int main(void)
{
    run_test("check prints a line for each feature", prints_a_line_each);
    run_test("check names the sysctl that forbids user namespaces", names_the_sysctl);
    run_test("check names the filter of an outer container", names_the_outer_filter);
    run_test("check leaves nothing behind", leaves_nothing);
    free(lines);
    return finish_tests();
}
