/*
 * The hostile program of the isolation tests: `attack NAME` tries one thing and says in one line what
 * came of it. Static, so that it runs in any image.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, long result)
{
    printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
}

/* Arguments are chosen so that a call that the filter lets through fails otherwise than by EPERM, or
 * does no harm. */
static const struct {
    const char *name;
    long number, arguments[5];
} calls[] = {
    {"acct", SYS_acct, {0}},
    {"add_key", SYS_add_key, {0, 0, 0, 0, 0}},
    {"bpf", SYS_bpf, {99, 0, 0}},
    {"clock_settime", SYS_clock_settime, {0, 0}},
    {"clone3", SYS_clone3, {0, 0}},
    {"delete_module", SYS_delete_module, {0, 0}},
    {"finit_module", SYS_finit_module, {-1, 0, 0}},
    {"fsconfig", 431, {-1, 0, 0, 0, 0}},
    {"fsmount", 432, {-1, 0, 0}},
    {"fsopen", 430, {0, 0}},
    {"fspick", 433, {-1, 0, 0}},
    {"get_mempolicy", SYS_get_mempolicy, {0, 0, 0, 0, 0}},
    {"init_module", SYS_init_module, {0, 0, 0}},
    {"io_uring_enter", 426, {-1, 0, 0, 0, 0}},
    {"io_uring_register", 427, {-1, 0, 0, 0}},
    {"io_uring_setup", 425, {0, 0}},
    {"ioperm", SYS_ioperm, {0, 0, 0}},
    {"iopl", SYS_iopl, {0}},
    {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}},
    {"kexec_file_load", SYS_kexec_file_load, {-1, -1, 0, 0, 0}},
    {"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"lookup_dcookie", SYS_lookup_dcookie, {0, 0, 0}},
    {"mbind", SYS_mbind, {0, 0, 0, 0, 0}},
    {"mount", SYS_mount, {0, 0, 0, 0, 0}},
    {"mount_setattr", 442, {-1, 0, 0, 0, 0}},
    {"move_mount", 429, {-1, 0, -1, 0, 0}},
    {"move_pages", SYS_move_pages, {0, 0, 0, 0, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}},
    {"open_tree", 428, {-1, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, 0, 0, 0}},
    {"pidfd_getfd", 438, {-1, 0, 0}},
    {"pivot_root", SYS_pivot_root, {0, 0}},
    {"process_madvise", 440, {-1, 0, 0, 0, 0}},
    {"quotactl", SYS_quotactl, {0, 0, 0, 0}},
    {"quotactl_fd", 443, {-1, 0, 0, 0}},
    {"reboot", SYS_reboot, {0, 0, 0, 0}},
    {"request_key", SYS_request_key, {0, 0, 0, 0}},
    {"set_mempolicy", SYS_set_mempolicy, {0, 0, 0}},
    {"setdomainname", SYS_setdomainname, {0, 0}},
    {"sethostname", SYS_sethostname, {0, 0}},
    {"setns", SYS_setns, {-1, 0}},
    {"settimeofday", SYS_settimeofday, {0, 0}},
    {"swapoff", SYS_swapoff, {0}},
    {"swapon", SYS_swapon, {0, 0}},
    {"sysfs", SYS_sysfs, {3, 0, 0}},
    {"_sysctl", SYS__sysctl, {0}},
    {"syslog", SYS_syslog, {10, 0, 0}},
    {"umount2", SYS_umount2, {0, 0}},
    {"unshare-user", SYS_unshare, {CLONE_NEWUSER}},
    {"unshare-mount", SYS_unshare, {CLONE_NEWNS}},
    {"uselib", SYS_uselib, {0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"ustat", SYS_ustat, {0, 0}},
    {"vhangup", SYS_vhangup, {0}},
    {"vmsplice", SYS_vmsplice, {-1, 0, 0, 0}},
    {"clone-newuser", SYS_clone, {CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0}},
    {"clone-newnet", SYS_clone, {CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0}},
    {"personality-linux32", SYS_personality, {8}},
    {"personality-query", SYS_personality, {0xffffffff}},
    {"personality-no-randomize", SYS_personality, {0x0040000}},
    {"personality-read-implies-exec", SYS_personality, {0x0400000}},
    {"socket-vsock", SYS_socket, {40, SOCK_STREAM, 0}},
    /* The kernel drops the upper half that the filter compares. */
    {"socket-vsock-high", SYS_socket, {0x100000028, SOCK_STREAM, 0}},
    {"unknown-600", 600, {0}},
    {"unknown-2000", 2000, {0}},
};

static void syscalls(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const long *a = calls[i].arguments;
        long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4]);
        if (result == 0 && calls[i].number == SYS_clone)
            _exit(0);
        say(calls[i].name, result);
    }
}

/* The same calls by the other doors of an x86-64 kernel, which number them differently. */
static void other_doors(void)
{
#ifdef __x86_64__
    /* A word that cannot be truncated: i386 pointers and values are 32 bits wide. */
    static const struct {
        const char *name;
        int i386;
    } doors[] = {{"socketcall-socket", 102}, {"mount", 21}, {"unshare", 310}, {"keyctl", 288}, {"add_key", 286}, {"ptrace-is-open", 20}, {"setns", 346}};
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        long result = doors[i].i386;
        __asm__ volatile("int $0x80" : "+a"(result) : "b"(doors[i].i386 == 310 ? CLONE_NEWUSER : doors[i].i386 == 102), "c"(0), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
        errno = (int)-result;
        printf("int80-%s %s\n", doors[i].name, result >= 0 ? "ok" : strerrorname_np(errno));
    }
    say("x32-mount", syscall(0x40000000L | SYS_mount, 0, 0, 0, 0, 0));
    say("x32-unshare", syscall(0x40000000L | SYS_unshare, CLONE_NEWUSER));
    say("x32-keyctl", syscall(0x40000000L | SYS_keyctl, 0, -3, 0));
#endif
}

/* chroot into a directory while the current one stays outside of it, then climb. */
static void double_chroot(void)
{
    struct stat before, after;
    stat("/", &before);
    mkdir("/tmp/jail", 0700);
    say("chroot", chroot("/tmp/jail"));
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            break;
    say("chroot-up", chroot("."));
    stat("/", &after);
    printf("same-root %s\n", before.st_ino == after.st_ino && before.st_dev == after.st_dev ? "yes" : "NO");
}

static void ptrace_child(void)
{
    pid_t child = fork();
    if (child == 0)
        pause();
    say("ptrace-own", ptrace(PTRACE_SEIZE, child, 0, 0));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void devices(void)
{
    static const struct {
        const char *name;
        mode_t mode;
        unsigned major, minor;
    } nodes[] = {{"mem", S_IFCHR, 1, 1}, {"disk", S_IFBLK, 254, 0}, {"sda", S_IFBLK, 8, 0}, {"kmsg", S_IFCHR, 1, 11}};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/%s", nodes[i].name);
        say(nodes[i].name, mknod(path, nodes[i].mode | 0600, (dev_t)(nodes[i].major << 8 | nodes[i].minor)));
    }
}

static void abstract_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    say("abstract", connect(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + 1 + strlen(name))));
}

static void unix_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    say("socket", connect(fd, (struct sockaddr *)&address, sizeof address));
}

/* Whether the other side's keystrokes can be forged. */
static void push_input(void)
{
    say("tiocsti", ioctl(0, TIOCSTI, "x"));
    say("tiocsti-high", syscall(SYS_ioctl, 0, 0xdeadbeef00000000UL | TIOCSTI, "x"));
    char subcode = 3; /* TIOCL_PASTESEL */
    say("tioclinux", ioctl(0, 0x541C, &subcode));
}

/* What root with CAP_SYS_ADMIN and no filter can do about the masks. */
static void unmask(void)
{
    static const char *const masked[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sys", "/sys/firmware"};
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        umount2(masked[i], MNT_DETACH);
    mkdir("/tmp/proc", 0700);
    mount("proc", "/tmp/proc", "proc", 0, NULL);
    mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL);
    mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND, NULL);
    static const char *const targets[] = {"/proc/kcore", "/tmp/proc/kcore", "/proc/kmsg", "/dev/mem"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char word;
        int fd = open(targets[i], O_RDONLY | O_NONBLOCK);
        printf("read %s %s\n", targets[i], fd >= 0 && read(fd, &word, 1) == 1 ? "ok" : "no");
    }
    static const char *const written[] = {
        "/proc/sys/kernel/core_pattern",     "/tmp/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",               "/tmp/proc/sysrq-trigger",           "/proc/sys/fs/binfmt_misc/register",
        "/sys/kernel/uevent_helper",         "/proc/sys/vm/overcommit_memory"};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        printf("write %s %s\n", written[i], open(written[i], O_WRONLY) >= 0 ? "ok" : "no");
    /* A second file system of the host's disk, and the cgroup release agent (CVE-2022-0492). */
    mkdir("/tmp/mnt", 0700);
    say("mount-disk", mount("/dev/vda", "/tmp/mnt", "ext4", 0, NULL));
    say("mount-cgroup1", mount("cgroup", "/tmp/mnt", "cgroup", 0, "rdma"));
    say("mount-debugfs", mount("debugfs", "/tmp/mnt", "debugfs", 0, NULL));
    umount2("/", MNT_DETACH);
    chdir("/");
    say("climb", open("../../../../../../etc/machine-id-of-the-host", O_RDONLY));
}

static void overwrite_pid1(void)
{
    /* CVE-2019-5736: the runtime's own program, reached through a process that it still is. */
    for (int pid = 1; pid < 64; pid++) {
        char path[32];
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        if (pid == getpid())
            continue;
        int fd = open(path, O_RDWR);
        if (fd >= 0)
            printf("writable %s\n", path);
        fd = open(path, O_PATH);
        if (fd >= 0) {
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            printf("chmod %d %s\n", pid, chmod(path, 0777) == 0 ? "ok" : strerrorname_np(errno));
        }
    }
    puts("done");
}

static void fork_until_refused(void)
{
    int count = 0;
    while (count < 5000) {
        pid_t pid = fork();
        if (pid == 0)
            pause();
        if (pid < 0)
            break;
        count++;
    }
    printf("forked %d %s\n", count, count == 5000 ? "unbounded" : strerrorname_np(errno));
    fflush(stdout);
    kill(-1, SIGKILL);
}

/* Root inside has many users, each of which the kernel counts alone. */
static void fork_as_many_users(void)
{
    int *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int user = 1; user <= 40; user++) {
        pid_t child = fork();
        if (child == 0) {
            if (setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0)
                _exit(1);
            for (int i = 0; i < 20; i++) {
                pid_t pid = fork();
                if (pid == 0)
                    pause();
                if (pid < 0)
                    break;
                __sync_add_and_fetch(count, 1);
            }
            pause();
        }
        if (child < 0)
            break;
        __sync_add_and_fetch(count, 1);
    }
    sleep(1);
    printf("forked %d\n", *count);
    fflush(stdout);
    kill(-1, SIGKILL);
}

static void open_until_refused(void)
{
    int count = 0;
    while (open("/dev/null", O_RDONLY) >= 0)
        count++;
    int error = errno;
    printf("opened %d %s\n", count, strerrorname_np(error));
}

static void fill_output(void)
{
    char block[65536];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 32; i++)
        if (write(1, block, sizeof block) < 0)
            _exit(1);
}

static void descriptors(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct stat status;
        if (fstat(fd, &status) == 0)
            printf("%d ", fd);
    }
    puts("");
}

static void identities(void)
{
    say("setuid-binary", 0);
    printf("uid %d euid %d no-new-privs %d\n", getuid(), geteuid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void ipc(const char *key)
{
    say("shm", shmget((key_t)strtol(key, NULL, 0), 1, 0));
    say("sem", semget((key_t)strtol(key, NULL, 0), 1, 0));
    say("msg", msgget((key_t)strtol(key, NULL, 0), 0));
    say("mq", mq_open("/tsbox-isolation", O_RDONLY));
}

/* On the host: what a container must not see. */
static void make_ipc(const char *key)
{
    key_t number = (key_t)strtol(key, NULL, 0);
    say("shm", shmget(number, 4096, IPC_CREAT | 0666));
    say("sem", semget(number, 1, IPC_CREAT | 0666));
    say("msg", msgget(number, IPC_CREAT | 0666));
    say("mq", mq_open("/tsbox-isolation", O_CREAT | O_RDWR, 0666, NULL));
    say("key", syscall(SYS_add_key, "user", "tsbox-isolation", "secret", 6, -4 /* the user's key ring */));
    fflush(stdout);
    getchar();
    shmctl(shmget(number, 0, 0), IPC_RMID, NULL);
    semctl(semget(number, 0, 0), 0, IPC_RMID);
    msgctl(msgget(number, 0), IPC_RMID, NULL);
    mq_unlink("/tsbox-isolation");
    syscall(SYS_keyctl, 21 /* invalidate */, syscall(SYS_keyctl, 10 /* search */, -4, "user", "tsbox-isolation", 0));
}

/* Without a filter. */
static void key_ring(void)
{
    const int rings[] = {-1, -2, -3, -4, -5};
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        say("search", syscall(SYS_keyctl, 10, rings[i], "user", "tsbox-isolation", 0));
    say("request", syscall(SYS_request_key, "user", "tsbox-isolation", NULL, -3));
}

/* As pam_keyinit does it: a session keyring that leads to the user's. */
static void log_in(char **argv)
{
    syscall(SYS_keyctl, 1 /* join session keyring */, NULL);
    syscall(SYS_keyctl, 8 /* link */, -4, -3);
    execvp(argv[0], argv);
}

/* A program with the setuid bit, or with capabilities in its file, must gain nothing. */
static void gains(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &header, data);
    printf("euid %d effective %x%08x\n", geteuid(), data[1].effective, data[0].effective);
}

/* Pid 1 does as this process tells it: is it under the filter? */
static void trace_init(void)
{
    say("attach", ptrace(PTRACE_SEIZE, 1, 0, 0));
    char text[4096] = "";
    int fd = open("/proc/1/status", O_RDONLY);
    read(fd, text, sizeof text - 1);
    char *line = strstr(text, "\nSeccomp:");
    printf("filter %c\n", line ? line[10] : '?');
}

/* security.capability as capabilities(7) has it: version 2, effective, permitted those of the mask. */
static void set_file_capability(const char *path, const char *mask)
{
    uint64_t bits = strtoull(mask, NULL, 16);
    uint32_t value[5] = {0x02000001, (uint32_t)bits, 0, (uint32_t)(bits >> 32), 0};
    say("setcap", setxattr(path, "security.capability", value, sizeof value, 0));
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "", *word = argc > 2 ? argv[2] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(name, "syscalls") == 0) syscalls();
    else if (strcmp(name, "other-doors") == 0) other_doors();
    else if (strcmp(name, "double-chroot") == 0) double_chroot();
    else if (strcmp(name, "ptrace") == 0) ptrace_child();
    else if (strcmp(name, "devices") == 0) devices();
    else if (strcmp(name, "abstract") == 0) abstract_socket(word);
    else if (strcmp(name, "unix") == 0) unix_socket(word);
    else if (strcmp(name, "push-input") == 0) push_input();
    else if (strcmp(name, "setcap") == 0) set_file_capability(word, argv[3]);
    else if (strcmp(name, "unmask") == 0) unmask();
    else if (strcmp(name, "overwrite") == 0) overwrite_pid1();
    else if (strcmp(name, "forks") == 0) fork_until_refused();
    else if (strcmp(name, "forks-users") == 0) fork_as_many_users();
    else if (strcmp(name, "opens") == 0) open_until_refused();
    else if (strcmp(name, "fill") == 0) fill_output();
    else if (strcmp(name, "descriptors") == 0) descriptors();
    else if (strcmp(name, "identities") == 0) identities();
    else if (strcmp(name, "ipc") == 0) ipc(word);
    else if (strcmp(name, "make-ipc") == 0) make_ipc(word);
    else if (strcmp(name, "keys") == 0) key_ring();
    else if (strcmp(name, "log-in") == 0) log_in(argv + 2);
    else if (strcmp(name, "gains") == 0) gains();
    else if (strcmp(name, "trace-init") == 0) trace_init();
    else return 2;
    return 0;
}
