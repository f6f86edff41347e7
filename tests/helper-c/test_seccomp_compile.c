/*
 * Filters made by `seccomp`, judged twice: by an interpreter of classic BPF for any architecture and
 * number, and by the kernel, which loads them in a child that then makes the calls.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../helper-c/helper.h"
#include "testing.h"

#define ERRNO(n) (SECCOMP_RET_ERRNO | (n))
#define WORDS(...) (const char *const[]){"tsbox-seccomp", "1", __VA_ARGS__, NULL}

static struct sock_filter *code;
static size_t code_length;
static char complaint[2048];

/* Compiles words into `code`; the exit code. */
static int compile_bytes(const char *text, size_t length)
{
    int in = memfd_create("words", MFD_CLOEXEC), out = memfd_create("filter", MFD_CLOEXEC);
    int complaints = memfd_create("complaints", MFD_CLOEXEC);
    write_all(in, text, length);
    lseek(in, 0, SEEK_SET);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(in, 0);
        dup2(out, 1);
        dup2(complaints, 2);
        char *argv[] = {"seccomp", NULL};
        exit(cmd_seccomp(1, argv));
    }
    int status;
    waitpid(child, &status, 0);
    lseek(out, 0, SEEK_SET);
    lseek(complaints, 0, SEEK_SET);
    free(code);
    size_t size;
    code = (struct sock_filter *)read_all(out, &size);
    code_length = size / sizeof *code;
    ssize_t said = read_exact(complaints, complaint, sizeof complaint - 1);
    complaint[said > 0 ? said : 0] = '\0';
    close(in);
    close(out);
    close(complaints);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int compile(const char *const *words)
{
    struct buffer text = {0};
    for (; *words; words++)
        buffer_put(&text, *words, strlen(*words) + 1);
    int result = compile_bytes(text.data, text.length);
    buffer_free(&text);
    return result;
}

/* The instructions that seccomp(2) allows and these filters use. */
static uint32_t judge_with(uint32_t arch, uint32_t number, uint64_t first, uint64_t second)
{
    struct seccomp_data data = {.nr = (int)number, .arch = arch, .args = {first, second}};
    uint32_t a = 0;
    for (size_t pc = 0; pc < code_length; pc++) {
        const struct sock_filter *at = &code[pc];
        bool yes;
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *)&data + at->k, sizeof a);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= at->k;
            continue;
        case BPF_RET | BPF_K:
            return at->k;
        case BPF_JMP | BPF_JA:
            pc += at->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            yes = a == at->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            yes = a > at->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            yes = a >= at->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            yes = (a & at->k) != 0;
            break;
        default:
            return 0xbad;
        }
        pc += yes ? at->jt : at->jf;
    }
    return 0xbad;
}

static uint32_t judge(uint32_t arch, uint32_t number)
{
    return judge_with(arch, number, 0, 0);
}

#define expect_action(got, wanted)                                                                                     \
    do {                                                                                                               \
        uint32_t got_ = (got), wanted_ = (wanted);                                                                     \
        expect_that(got_ == wanted_, __LINE__, "%s is %#x, expected %#x", #got, got_, wanted_);                        \
    } while (0)

/* The tests name x86-64 numbers. */
static void denies_by_default(void)
{
    expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", "read", "0", "rule", "allow", "0", "write",
                               "0", "rule", "errno", "38", "ptrace", "0")),
                 0);
    expect_action(judge(AUDIT_ARCH_X86_64, 0), SECCOMP_RET_ALLOW);
    expect_action(judge(AUDIT_ARCH_X86_64, 1), SECCOMP_RET_ALLOW);
    expect_action(judge(AUDIT_ARCH_X86_64, 2), ERRNO(EPERM));
    expect_action(judge(AUDIT_ARCH_X86_64, 101), ERRNO(ENOSYS));
    expect_action(judge(AUDIT_ARCH_X86_64, 100), ERRNO(EPERM));
    expect_action(judge(AUDIT_ARCH_X86_64, 102), ERRNO(ENOSYS)); /* newer than ptrace */
    expect(judge(AUDIT_ARCH_X86_64, UINT32_MAX) != SECCOMP_RET_ALLOW);
    /* Another architecture than the profile's, and x32's numbers, never pass. */
    expect(judge(AUDIT_ARCH_I386, 3) != SECCOMP_RET_ALLOW);
    expect(judge(AUDIT_ARCH_X86_64, 0x40000000) != SECCOMP_RET_ALLOW);
    expect(judge(AUDIT_ARCH_AARCH64, 63) != SECCOMP_RET_ALLOW);
}

static void allows_by_default(void)
{
    expect_equal(compile(WORDS("default", "allow", "0", "rule", "errno", "1", "mount", "0", "rule", "errno", "1", "mseal",
                               "0")),
                 0);
    expect_action(judge(AUDIT_ARCH_X86_64, 165), ERRNO(EPERM));
    expect_action(judge(AUDIT_ARCH_X86_64, 462), ERRNO(EPERM));
    expect_action(judge(AUDIT_ARCH_X86_64, 463), SECCOMP_RET_ALLOW);
    expect_action(judge(AUDIT_ARCH_X86_64, 5000), SECCOMP_RET_ALLOW);
}

static void three_architectures(void)
{
    expect_equal(compile(WORDS("default", "errno", "1", "arch", "SCMP_ARCH_X86", "arch", "x32", "arch", "SCMP_ARCH_X86_64",
                               "rule", "allow", "0", "read", "0", "rule", "allow", "0", "cachestat", "0", "rule", "allow", "0",
                               "mseal", "0", "rule", "allow", "0", "not_a_call", "0")),
                 0);
    const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386};
    const uint32_t offsets[] = {0, 0x40000000, 0}, reads[] = {0, 0, 3};
    for (int i = 0; i < 3; i++) {
        expect_action(judge(archs[i], offsets[i] + reads[i]), SECCOMP_RET_ALLOW);
        expect_action(judge(archs[i], offsets[i] + 451), SECCOMP_RET_ALLOW);
        expect_action(judge(archs[i], offsets[i] + 462), SECCOMP_RET_ALLOW);
        expect_action(judge(archs[i], offsets[i] + 461), ERRNO(EPERM));
        expect_action(judge(archs[i], offsets[i] + 463), ERRNO(ENOSYS));
        expect_action(judge(archs[i], offsets[i] + 3000), ERRNO(ENOSYS));
        expect_action(judge(archs[i], offsets[i] + 120), ERRNO(EPERM));
    }
    expect(judge(AUDIT_ARCH_AARCH64, 63) != SECCOMP_RET_ALLOW);
}

static void every_newer_call(void)
{
    static const char *const names[] = {"futex_waitv", "set_mempolicy_home_node", "cachestat", "fchmodat2",
        "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue", "statmount", "listmount", "lsm_get_self_attr",
        "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat", "getxattrat", "listxattrat", "removexattrat",
        "open_tree_attr", "file_getattr", "file_setattr"};
    for (size_t i = 0; i < countof(names); i++) {
        expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", names[i], "0")), 0);
        uint32_t number = 449 + (uint32_t)i;
        expect_action(judge(AUDIT_ARCH_X86_64, number), SECCOMP_RET_ALLOW);
        expect_action(judge(AUDIT_ARCH_X86_64, number - 1), ERRNO(EPERM));
        expect_action(judge(AUDIT_ARCH_X86_64, number + 1), ERRNO(ENOSYS));
    }
    /* A condition on one that libseccomp does not know: as if the kernel were older. */
    expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", "mseal", "1", "0", "eq", "1", "0")), 0);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 462, 1, 0), ERRNO(ENOSYS));
}

static void conditions(void)
{
    expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", "personality", "1", "0", "eq",
                               "18446744073709551615", "0", "rule", "allow", "0", "clone", "1", "0", "masked-eq", "0",
                               "2114060288", "rule", "allow", "0", "socket", "2", "0", "ne", "40", "0", "1", "lt", "5", "0")),
                 0);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 135, UINT64_MAX, 0), SECCOMP_RET_ALLOW);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 135, UINT32_MAX, 0), ERRNO(EPERM));
    expect_action(judge_with(AUDIT_ARCH_X86_64, 56, CLONE_VM | SIGCHLD, 0), SECCOMP_RET_ALLOW);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 56, CLONE_NEWUSER, 0), ERRNO(EPERM));
    expect_action(judge_with(AUDIT_ARCH_X86_64, 41, AF_UNIX, SOCK_STREAM), SECCOMP_RET_ALLOW);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 41, 40, SOCK_STREAM), ERRNO(EPERM));
    expect_action(judge_with(AUDIT_ARCH_X86_64, 41, AF_UNIX, 5), ERRNO(EPERM));
    /* Several on one argument: any of them. */
    expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", "personality", "2", "0", "eq", "0", "0", "0",
                               "eq", "8", "0")),
                 0);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 135, 0, 0), SECCOMP_RET_ALLOW);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 135, 8, 0), SECCOMP_RET_ALLOW);
    expect_action(judge_with(AUDIT_ARCH_X86_64, 135, 1, 0), ERRNO(EPERM));
}

static void every_action(void)
{
    expect_equal(compile(WORDS("default", "kill-process", "0", "rule", "allow", "0", "read", "0", "rule", "errno", "7", "write",
                               "0", "rule", "kill-thread", "0", "open", "0", "rule", "trap", "0", "close", "0", "rule", "log", "0",
                               "stat", "0", "rule", "trace", "9", "fstat", "0", "rule", "notify", "0", "lstat", "0")),
                 0);
    const uint32_t wanted[] = {SECCOMP_RET_ALLOW, ERRNO(7), SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_LOG,
                               SECCOMP_RET_TRACE | 9, SECCOMP_RET_USER_NOTIF};
    for (uint32_t i = 0; i < countof(wanted); i++)
        expect_action(judge(AUDIT_ARCH_X86_64, i), wanted[i]);
}

/* The kernel's opinion. _exit() is out: under ASan it makes calls that the filter refuses. */
#define leave(status) syscall(SYS_exit_group, status)

static void kernel_accepts(void)
{
    expect_equal(compile(WORDS("default", "allow", "0", "arch", "x86", "arch", "x32", "rule", "errno", "99", "getpid", "0", "rule",
                               "errno", "98", "mseal", "0", "rule", "errno", "97", "socket", "1", "0", "eq", "16", "0")),
                 0);
    pid_t child = fork();
    if (child == 0) {
        struct sock_fprog program = {.len = (unsigned short)code_length, .filter = code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
            leave(1);
        if (syscall(SYS_getpid) != -1 || errno != 99)
            leave(2);
        if (syscall(462, 0, 0, 0) != -1 || errno != 98)
            leave(3);
        if (socket(16, SOCK_RAW, 0) != -1 || errno != 97)
            leave(4);
        if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
            leave(5);
        leave(0);
    }
    int status;
    waitpid(child, &status, 0);
    expect_equal(status, 0);
    /* Deny by default: what a small program needs, and ENOSYS for the unheard-of. */
    expect_equal(compile(WORDS("default", "errno", "1", "rule", "allow", "0", "exit_group", "0", "rule", "allow", "0", "getuid", "0",
                               "rule", "allow", "0", "openat2", "0")),
                 0);
    child = fork();
    if (child == 0) {
        struct sock_fprog program = {.len = (unsigned short)code_length, .filter = code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
            leave(1);
        long got = syscall(SYS_getuid);
        if (got < 0)
            leave(2);
        if (syscall(SYS_getppid) != -1 || errno != EPERM)
            leave(3);
        if (syscall(438) != -1 || errno != ENOSYS) /* pidfd_getfd */
            leave(4);
        leave(0);
    }
    waitpid(child, &status, 0);
    expect_equal(status, 0);
}

static void refusals(void)
{
    const struct {
        const char *const *words;
        const char *says;
    } all[] = {
        {(const char *const[]){"other", "1", NULL}, "does not begin"},
        {(const char *const[]){"tsbox-seccomp", "2", NULL}, "expected version 1"},
        {(const char *const[]){"tsbox-seccomp", "1", NULL}, "ends in the middle"},
        {(const char *const[]){"tsbox-seccomp", "1", "rule", NULL}, "default action comes first"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "permit", "0", NULL}, "unknown action"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "errno", "4096", NULL}, "at most 4095"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "errno", "-1", NULL}, "expected a number"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "arch", "pdp11", NULL}, "unknown architecture"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "what", NULL}, "expected \"arch\""},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "rule", "errno", "1", "read", NULL}, "in the middle"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "rule", "errno", "1", "read", "7", NULL}, "at most 6"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "rule", "errno", "1", "read", "1", "6", NULL}, "at most 5"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "rule", "errno", "1", "read", "1", "0", "is", NULL}, "unknown comparison"},
        {(const char *const[]){"tsbox-seccomp", "1", "default", "allow", "0", "rule", "errno", "1", "read", "0", "arch", "x86", NULL}, "expected \"arch\", then"},
    };
    for (size_t i = 0; i < countof(all); i++) {
        int result = compile(all[i].words);
        expect_that(result == EXIT_TSBOX && strstr(complaint, all[i].says) && code_length == 0, __LINE__,
                    "refusal %zu (%s): %d, %s", i, all[i].says, result, complaint);
    }
    expect_equal(compile_bytes("tsbox-seccomp", 13), EXIT_TSBOX);
    expect(strstr(complaint, "cut off"));
    expect_equal(compile_bytes("", 0), EXIT_TSBOX);
}

int main(void)
{
#ifndef __x86_64__
    skip_test("seccomp filters", "x86-64");
    return finish_tests();
#endif
    run_test("what no rule names gets the default, what is newer ENOSYS", denies_by_default);
    run_test("a profile that allows by default draws no line", allows_by_default);
    run_test("x86, x32 and x86-64 are each judged by their own numbers", three_architectures);
    run_test("calls that libseccomp does not know are filtered by number", every_newer_call);
    run_test("conditions on arguments hold on all 64 bits", conditions);
    run_test("every action comes out", every_action);
    run_test("the kernel takes the filter and answers as it says", kernel_accepts);
    run_test("malformed profiles are refused", refusals);
    free(code);
    return finish_tests();
}
