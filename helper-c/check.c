/*
 * `check [DIRECTORY]`: tries each kernel feature for real, in a child of its own, and says which are
 * there: one JSON line each, `{"feature","ok","errno","detail","purpose"}`. Version numbers are not
 * asked: distributions backport, sysctls and outer containers take away. DIRECTORY is where the
 * store would be; overlay depends on its file system.
 *
 * The probes are a table: name (stable; the runner and the tests ask for them by it), purpose, function.
 * A probe returns 0 or an errno and may write a detail. It runs in a child, so it may unshare, mount
 * and load filters as it likes; it is killed after SECONDS.
 */
#include "helper.h"

#include <limits.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "tree.h"

/* sys/mount.h and linux/mount.h both define its enum in this C library. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
#define MOUNT_PRIVATE (1ul << 18 | 1ul << 14) /* MS_PRIVATE | MS_REC */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { SECONDS = 10 };

struct probe {
    const char *directory; /* to be tried with overlay */
    char detail[400];
};

/* What is too long is cut: it is for people. */
printf_like(2, 3) static void detail(struct probe *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->detail, sizeof p->detail, format, arguments);
    va_end(arguments);
}

/*** The user namespace, and why there is none ***/

static long long read_sysctl(const char *path)
{
    cleanup_free char *text = read_file(path, NULL);
    return text ? atoll(text) : -1;
}

/* Whether a seccomp filter was put on us from outside: field "Seccomp:" is 2. */
static bool outer_seccomp(void)
{
    cleanup_free char *text = read_file("/proc/self/status", NULL);
    const char *field = text ? strstr(text, "\nSeccomp:") : NULL;
    return field && atoi(field + 9) == 2;
}

/* unshare refuses a user namespace to a process whose root is not its mount namespace's. */
static bool in_chroot(void)
{
    cleanup_free char *text = read_file("/proc/self/mountinfo", NULL);
    const char *line = text;
    while (line) {
        char point[8] = "";
        if (sscanf(line, "%*s %*s %*s %*s %7s", point) == 1 && strcmp(point, "/") == 0)
            return false;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return text && *text;
}

static void explain_user_namespace(struct probe *p, int error, const char *step)
{
    const char *clone = "/proc/sys/kernel/unprivileged_userns_clone";
    const char *most = "/proc/sys/user/max_user_namespaces";
    const char *apparmor = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    if (access("/proc/self/ns/user", F_OK) != 0 && access("/proc/self/status", F_OK) == 0)
        detail(p, "the kernel was built without CONFIG_USER_NS");
    else if (geteuid() != 0 && read_sysctl(clone) == 0)
        detail(p, "sysctl kernel.unprivileged_userns_clone is 0");
    else if (read_sysctl(most) == 0)
        detail(p, "sysctl user.max_user_namespaces is 0");
    else if (error == ENOSPC)
        detail(p, "more user namespaces than sysctl user.max_user_namespaces (%lld) allows", read_sysctl(most));
    else if (error == EUSERS)
        detail(p, "user namespaces are nested more than 32 deep");
    else if (geteuid() != 0 && read_sysctl(apparmor) == 1)
        detail(p, "sysctl kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor refuses it to programs without a profile");
    else if (outer_seccomp() && (error == EPERM || error == ENOSYS || error == EACCES))
        detail(p, "a seccomp filter around this process (an outer container's) refuses it");
    else if (error == EPERM && in_chroot())
        detail(p, "this process is in a chroot, where the kernel refuses it");
    else
        detail(p, "%s failed", step);
}

/* A user namespace in which our own id is root, with the other namespaces of FLAGS. 0 or errno, explained. */
static int enter_namespaces(struct probe *p, int flags)
{
    char uid_map[40], gid_map[40];
    snprintf(uid_map, sizeof uid_map, "0 %u 1", geteuid());
    snprintf(gid_map, sizeof gid_map, "0 %u 1", getegid());
    const char *step = "unshare(CLONE_NEWUSER)";
    int error = 0;
    if (unshare(CLONE_NEWUSER) != 0)
        error = errno;
    /* setgroups is denied for the gid map of somebody without privilege; the file came with Linux 3.19. */
    else if (step = "writing /proc/self/setgroups",
             write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny") != 0 && errno != ENOENT)
        error = errno;
    else if (step = "writing /proc/self/uid_map", write_file_at(AT_FDCWD, "/proc/self/uid_map", uid_map) != 0)
        error = errno;
    else if (step = "writing /proc/self/gid_map", write_file_at(AT_FDCWD, "/proc/self/gid_map", gid_map) != 0)
        error = errno;
    if (error) {
        explain_user_namespace(p, error, step);
        return error;
    }
    if (flags && unshare(flags) != 0)
        return errno;
    if ((flags & CLONE_NEWNS) && mount(NULL, "/", NULL, MOUNT_PRIVATE, NULL) != 0)
        return errno;
    return 0;
}

static int probe_user_namespace(struct probe *p)
{
    int error = enter_namespaces(p, 0);
    if (error)
        return error;
    /* AppArmor lets the namespace be made and takes the capabilities away. */
    if (unshare(CLONE_NEWUTS) != 0) {
        error = errno;
        explain_user_namespace(p, error, "using a capability in the new namespace");
    }
    return error;
}

/*** Ids ***/

/* Finds a program as the runner does. */
static bool find_program(const char *name, char path[PATH_MAX])
{
    const char *list = getenv("PATH");
    if (!list || !*list)
        list = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    while (*list) {
        size_t length = strcspn(list, ":");
        if (length > 0 && snprintf(path, PATH_MAX, "%.*s/%s", (int)length, list, name) < PATH_MAX &&
            access(path, X_OK) == 0)
            return true;
        list += length + (list[length] == ':');
    }
    return false;
}

static int probe_map_tool(struct probe *p, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    if (!find_program(name, path)) {
        detail(p, "%s is not in PATH (package uidmap or shadow-utils)", name);
        return ENOENT;
    }
    if (stat(path, &st) != 0)
        return errno;
    bool setuid = (st.st_mode & S_ISUID) && st.st_uid == 0;
    bool capable = getxattr(path, "security.capability", NULL, 0) > 0;
    detail(p, "%s%s", path, setuid || capable ? "" : " has neither the setuid bit nor file capabilities");
    if ((setuid || capable) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        detail(p, "%s cannot use its privilege: this process has no_new_privs", path);
        return EPERM;
    }
    return setuid || capable || geteuid() == 0 ? 0 : EPERM;
}

static int probe_newuidmap(struct probe *p)
{
    return probe_map_tool(p, "newuidmap");
}

static int probe_newgidmap(struct probe *p)
{
    return probe_map_tool(p, "newgidmap");
}

/* From /etc/passwd, else as the environment says: a static program has no business with NSS. */
static char *user_name(void)
{
    cleanup_free char *text = read_file("/etc/passwd", NULL);
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        const char *name = strsep(&line, ":");
        strsep(&line, ":");
        if (line && *line && strtoul(line, NULL, 10) == geteuid())
            return xstrdup(name);
    }
    const char *name = getenv("USER");
    return name ? xstrdup(name) : NULL;
}

/* The first line "NAME:START:COUNT" of ours. */
static bool find_range(const char *path, unsigned long *start, unsigned long *count)
{
    cleanup_free char *text = read_file(path, NULL);
    cleanup_free char *user = user_name();
    char number[16];
    snprintf(number, sizeof number, "%u", geteuid());
    char *rest = text;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        const char *owner = strsep(&line, ":");
        if (!line || (strcmp(owner, number) != 0 && !(user && strcmp(owner, user) == 0)))
            continue;
        if (sscanf(line, "%lu:%lu", start, count) == 2 && *count > 0)
            return true;
    }
    return false;
}

static int run_map_tool(const char *name, pid_t pid, unsigned id, unsigned long start, unsigned long count)
{
    char path[PATH_MAX], numbers[4][24];
    if (!find_program(name, path))
        return ENOENT;
    snprintf(numbers[0], sizeof numbers[0], "%d", pid);
    snprintf(numbers[1], sizeof numbers[1], "%u", id);
    snprintf(numbers[2], sizeof numbers[2], "%lu", start);
    snprintf(numbers[3], sizeof numbers[3], "%lu", count);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 2);
        execl(path, name, numbers[0], "0", numbers[1], "1", "1", numbers[2], numbers[3], (char *)NULL);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EPERM;
}

static int probe_subuid_range(struct probe *p)
{
    unsigned long uid, uids, gid, gids;
    if (!find_range("/etc/subuid", &uid, &uids)) {
        detail(p, "no line for this user in /etc/subuid");
        return ENOENT;
    }
    if (!find_range("/etc/subgid", &gid, &gids)) {
        detail(p, "no line for this user in /etc/subgid");
        return ENOENT;
    }
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0)
        return errno;
    pid_t child = fork();
    if (child == 0) {
        int error = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
        if (write(ready[1], &error, sizeof error) < 0)
            _exit(1);
        pause();
        _exit(0);
    }
    int error = EIO;
    if (child < 0)
        return errno;
    if (read(ready[0], &error, sizeof error) != sizeof error)
        error = EIO;
    if (error)
        detail(p, "there is no user namespace to map it in");
    else if ((error = run_map_tool("newuidmap", child, geteuid(), uid, uids)))
        detail(p, "newuidmap refuses the range %lu:%lu", uid, uids);
    else if ((error = run_map_tool("newgidmap", child, getegid(), gid, gids)))
        detail(p, "newgidmap refuses the range %lu:%lu", gid, gids);
    else
        detail(p, "%lu:%lu", uid, uids);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return error;
}

/*** Namespaces ***/

static int probe_mount_namespace(struct probe *p)
{
    return enter_namespaces(p, CLONE_NEWNS);
}

static int probe_pid_namespace(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWPID);
    if (error)
        return error;
    pid_t child = fork();
    if (child == 0)
        _exit(getpid() != 1);
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return errno;
    return status == 0 ? 0 : EINVAL;
}

static int probe_network_namespace(struct probe *p)
{
    return enter_namespaces(p, CLONE_NEWNET);
}

static int probe_ipc_namespace(struct probe *p)
{
    return enter_namespaces(p, CLONE_NEWIPC);
}

static int probe_uts_namespace(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWUTS);
    return error ? error : sethostname("check", 5) == 0 ? 0 : errno;
}

static int probe_cgroup_namespace(struct probe *p)
{
    return enter_namespaces(p, CLONE_NEWCGROUP);
}

static int probe_time_namespace(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWTIME);
    if (error)
        return error;
    return write_file_at(AT_FDCWD, "/proc/self/timens_offsets", "monotonic 10 0\n") == 0 ? 0 : errno;
}

/* Those that people meet where a store cannot be an overlay's upper. */
static const char *filesystem_name(long type)
{
    switch ((unsigned long)type) {
    case 0x794c7630: return "overlayfs";
    case 0x6969: return "NFS";
    case 0x65735546: return "FUSE";
    case 0x4d44: return "FAT";
    case 0x2011bab0: return "exFAT";
    case 0x858458f6: return "ramfs";
    case 0x01021994: return "tmpfs";
    case 0x01021997: return "9p";
    case 0xff534d42: case 0xfe534d42: case 0x517b: return "SMB";
    case 0x00c36400: return "Ceph";
    case 0xf15f: return "eCryptfs";
    case 0x2fc12fc1: return "ZFS";
    default: return NULL;
    }
}

/*** File systems. /proc is a directory that is always there to be mounted on. ***/

/* In the current directory: lower, upper, work, merged. */
static int make_overlay_parts(void)
{
    if (mkdir("lower", 0755) != 0 || mkdir("upper", 0755) != 0 || mkdir("work", 0755) != 0 || mkdir("merged", 0755) != 0)
        return errno;
    int file = open("lower/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

/* A whiteout and an opaque directory are what a container needs first. */
static int use_overlay(struct probe *p)
{
    struct stat st;
    if (unlink("merged/file") == 0 && mkdir("merged/file", 0755) == 0 && stat("upper/file", &st) == 0)
        return 0;
    int error = errno;
    detail(p, "mounted, but a file of the lower directory cannot be replaced");
    return error;
}

static int mount_overlay(struct probe *p, const char *where)
{
    if (mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr") == 0)
        return use_overlay(p);
    int error = errno;
    struct statfs fs;
    const char *type = statfs(".", &fs) == 0 ? filesystem_name(fs.f_type) : NULL;
    detail(p, "the mount fails %s%s%s%s", where, type ? " (" : "", type ? type : "", type ? ")" : "");
    return error;
}

static int try_overlay(struct probe *p)
{
    if (chdir(p->directory) != 0)
        return errno;
    int error = make_overlay_parts();
    if (error == 0)
        error = enter_namespaces(p, CLONE_NEWNS);
    return error ? error : mount_overlay(p, "on this directory's file system");
}

static int probe_overlay_memory(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS);
    if (error)
        return error;
    if (mount("tmpfs", "/proc", "tmpfs", 0, "size=1m") != 0 || chdir("/proc") != 0)
        return errno;
    error = make_overlay_parts();
    return error ? error : mount_overlay(p, "on a tmpfs");
}

static int explain_device(struct probe *p, const char *path, int error);

/* As a container would have it, but that here the program is in the namespace, too. */
static int try_fuse_overlay(struct probe *p)
{
    if (chdir(p->directory) != 0)
        return errno;
    int error = make_overlay_parts();
    if (error == 0)
        error = enter_namespaces(p, CLONE_NEWNS);
    if (error)
        return error;
    int fuse = fuse_mount("merged");
    if (fuse < 0) {
        error = errno;
        if (error == ENOENT || error == EACCES || error == EPERM || error == ENXIO || error == ENODEV)
            return explain_device(p, "/dev/fuse", error);
        detail(p, "the kernel refuses a FUSE mount in a user namespace");
        return error;
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        static char *lowers[] = {"lower", NULL};
        struct words words = {.list = lowers, .count = 1};
        fuse_overlay_exec(fuse, "upper", "work", &words);
        _exit(errno == ENOENT ? 127 : 126);
    }
    close(fuse);
    int status;
    error = child < 0 ? errno : use_overlay(p);
    if (child > 0 && waitpid(child, &status, WNOHANG) == child && WIFEXITED(status)) {
        bool missing = WEXITSTATUS(status) == 127;
        snprintf(p->detail, sizeof p->detail, missing ? "the program fuse-overlayfs is not installed" : "fuse-overlayfs ends at once");
        return missing ? ENOENT : EIO;
    }
    if (child > 0)
        kill(child, SIGKILL);
    return error;
}

static int probe_lowerdir_plus(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS);
    if (error)
        return error;
    cleanup_fd int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
    if (fs < 0)
        return errno;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) != 0)
        return errno;
    return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0 ? 0 : errno;
}

static int try_user_xattr(struct probe *p)
{
    if (setxattr(p->directory, "user.tsbox.check", "1", 1, 0) == 0)
        return 0;
    int error = errno;
    detail(p, "the file system has no user.* extended attributes");
    return error;
}

static int try_whiteout_device(struct probe *p)
{
    if (chdir(p->directory) != 0)
        return errno;
    int error = enter_namespaces(p, 0);
    return error ? error : mknod("whiteout", S_IFCHR, makedev(0, 0)) == 0 ? 0 : errno;
}

static int mount_over_proc(const char *type, const char *options)
{
    return mount(type, "/proc", type, 0, options) == 0 ? 0 : errno;
}

/* A fresh proc or sysfs is refused where parts of the one in sight are covered by other mounts. */
static void explain_covered(struct probe *p, int error, const char *where)
{
    if (error == EPERM)
        detail(p, "refused: probably parts of %s are covered by mounts of an outer container", where);
}

static int probe_proc_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS | CLONE_NEWPID);
    if (error)
        return error;
    pid_t child = fork();
    if (child == 0)
        _exit(mount_over_proc("proc", NULL));
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return errno;
    error = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    explain_covered(p, error, "/proc");
    return error;
}

static int probe_sysfs_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS | CLONE_NEWNET);
    error = error ? error : mount_over_proc("sysfs", NULL);
    explain_covered(p, error, "/sys");
    return error;
}

static int probe_mqueue_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS | CLONE_NEWIPC);
    return error ? error : mount_over_proc("mqueue", NULL);
}

static int probe_devpts_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS);
    return error ? error : mount_over_proc("devpts", "newinstance,ptmxmode=0666");
}

static int probe_tmpfs_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS);
    return error ? error : mount_over_proc("tmpfs", "size=64k");
}

static int probe_cgroup2_mount(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS | CLONE_NEWCGROUP);
    error = error ? error : mount_over_proc("cgroup2", NULL);
    explain_covered(p, error, "/sys/fs/cgroup");
    return error;
}

static int probe_mount_setattr(struct probe *p)
{
    int error = probe_tmpfs_mount(p);
    if (error)
        return error;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    return syscall(SYS_mount_setattr, AT_FDCWD, "/proc", AT_RECURSIVE, &attributes, sizeof attributes) == 0 ? 0 : errno;
}

static int probe_mount_api(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWNS);
    if (error)
        return error;
    cleanup_fd int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return errno;
    cleanup_fd int mounted = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
    if (mounted < 0)
        return errno;
    return syscall(SYS_move_mount, mounted, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : errno;
}

/*** System calls ***/

static int probe_openat2(struct probe *p)
{
    (void)p;
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    cleanup_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
    return fd < 0 ? errno : 0;
}

static int probe_pidfd_open(struct probe *p)
{
    (void)p;
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return fd < 0 ? errno : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 ? 0 : errno;
}

static int probe_setns_pidfd(struct probe *p)
{
    int error = enter_namespaces(p, CLONE_NEWUTS);
    if (error)
        return error;
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return fd < 0 ? errno : setns(fd, CLONE_NEWUTS) == 0 ? 0 : errno;
}

static int probe_clone3(struct probe *p)
{
    (void)p;
    /* struct clone_args, first published form */
    uint64_t arguments[8] = {[4] = SIGCHLD};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    if (child < 0)
        return errno;
    return waitpid((pid_t)child, NULL, 0) < 0 ? errno : 0;
}

static int probe_close_range(struct probe *p)
{
    (void)p;
    /* 4: CLOSE_RANGE_CLOEXEC, of Linux 5.11 */
    return syscall(SYS_close_range, 1000, ~0u, 4) == 0 ? 0 : errno;
}

static int load_filter(unsigned flags)
{
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog program = {.len = 1, .filter = &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    long loaded = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return loaded < 0 ? -errno : (int)loaded;
}

static int probe_seccomp_filter(struct probe *p)
{
    (void)p;
    return -load_filter(0);
}

static int probe_seccomp_notify(struct probe *p)
{
    int fd = load_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
    if (fd == -EBUSY)
        detail(p, "a filter around this process has the only listener");
    return fd < 0 ? -fd : 0;
}

static int probe_landlock(struct probe *p)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) {
        int error = errno;
        if (error == EOPNOTSUPP)
            detail(p, "built in, but not among the security modules that were started (lsm=)");
        return error;
    }
    detail(p, "%ld", abi);
    return 0;
}

/*** Devices ***/

static int explain_device(struct probe *p, const char *path, int error)
{
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        detail(p, "no %s: the kernel module is not loaded, or an outer container hides it", path);
    else if (error == EACCES || error == EPERM)
        detail(p, "%s may not be opened by this user", path);
    return error;
}

static int probe_tun(struct probe *p)
{
    cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return explain_device(p, "/dev/net/tun", errno);
    int error = enter_namespaces(p, CLONE_NEWNET);
    if (error)
        return error;
    close(fd);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* belongs to the network namespace it is opened in */
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    return fd < 0 ? errno : ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
}

static int probe_fuse(struct probe *p)
{
    cleanup_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    return fd < 0 ? explain_device(p, "/dev/fuse", errno) : 0;
}

/*** Cgroups ***/

static const char *cgroup2_root(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < countof(places); i++) {
        struct statfs fs;
        if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            return places[i];
    }
    return NULL;
}

static int probe_cgroup2(struct probe *p)
{
    const char *root = cgroup2_root();
    if (!root) {
        detail(p, "no cgroup2 file system on /sys/fs/cgroup");
        return ENOENT;
    }
    if (strcmp(root, "/sys/fs/cgroup") != 0) {
        detail(p, "%s is there, but the controllers belong to version 1", root);
        return ENOENT;
    }
    detail(p, "%s", root);
    return 0;
}

/* The next best: who can be asked. */
static bool give_by_systemd(struct probe *p, const char *group)
{
    if (systemd_reach() < 0) {
        detail(p, "%s is not ours to divide, and the user's systemd does not answer", group);
        return false;
    }
    cleanup_free char *file = xasprintf("/sys/fs/cgroup/user.slice/user-%1$u.slice/user@%1$u.service/cgroup.controllers", getuid());
    cleanup_free char *controllers = read_file(file, NULL);
    if (controllers)
        controllers[strcspn(controllers, "\n")] = '\0';
    detail(p, "by the user's systemd: %s", controllers ? controllers : "");
    return true;
}

static int probe_cgroup_delegation(struct probe *p)
{
    const char *root = cgroup2_root();
    cleanup_free char *text = read_file("/proc/self/cgroup", NULL);
    const char *own = text ? strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::") : NULL;
    if (!root || strcmp(root, "/sys/fs/cgroup") != 0 || !own) {
        detail(p, "no cgroup2 hierarchy with controllers that this process is in");
        return ENOENT;
    }
    own = strchr(own, '/');
    cleanup_free char *group = xasprintf("%s%.*s", root, own ? (int)strcspn(own, "\n") : 0, own ? own : "");
    cleanup_fd int directory = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[40];
    snprintf(name, sizeof name, "tsbox-check-%d", getpid());
    if (directory < 0 || mkdirat(directory, name, 0755) != 0) {
        int error = errno;
        return give_by_systemd(p, group) ? 0 : error;
    }
    unlinkat(directory, name, AT_REMOVEDIR);
    cleanup_free char *file = xasprintf("%s/cgroup.controllers", group);
    cleanup_free char *controllers = read_file(file, NULL);
    if (controllers)
        controllers[strcspn(controllers, "\n")] = '\0';
    detail(p, "%s: %s", group, controllers ? controllers : "");
    /* Moving into a group below needs write access to cgroup.procs here, too. */
    return faccessat(directory, "cgroup.procs", W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/*** The table ***/

static const struct feature {
    const char *name, *purpose;
    int (*probe)(struct probe *p);
    bool uses_directory; /* a new one in DIRECTORY */
} features[] = {
    {"user-namespace", "containers without root", probe_user_namespace, false},
    {"newuidmap", "more than one user id in a container", probe_newuidmap, false},
    {"newgidmap", "more than one group id in a container", probe_newgidmap, false},
    {"subuid-range", "a range of ids for this user", probe_subuid_range, false},
    {"mount-namespace", "a root file system of its own", probe_mount_namespace, false},
    {"pid-namespace", "processes that cannot see the host's", probe_pid_namespace, false},
    {"network-namespace", "a network of its own", probe_network_namespace, false},
    {"ipc-namespace", "shared memory of its own", probe_ipc_namespace, false},
    {"uts-namespace", "a host name of its own", probe_uts_namespace, false},
    {"cgroup-namespace", "a view of its own cgroup only", probe_cgroup_namespace, false},
    {"time-namespace", "clocks of its own", probe_time_namespace, false},
    {"overlay-userxattr", "layers without copying", try_overlay, true},
    {"overlay-memory", "changes to the host's own root where the store cannot hold them", probe_overlay_memory, false},
    {"fuse-overlayfs", "layers without copying where the kernel's overlay is refused", try_fuse_overlay, true},
    {"overlay-lowerdir-plus", "images with very many layers", probe_lowerdir_plus, false},
    {"user-xattr", "overlay's marks in the store's file system", try_user_xattr, true},
    {"whiteout-device", "deleted files of lower layers", try_whiteout_device, true},
    {"proc-mount", "a fresh /proc", probe_proc_mount, false},
    {"sysfs-mount", "a fresh /sys", probe_sysfs_mount, false},
    {"mqueue-mount", "POSIX message queues", probe_mqueue_mount, false},
    {"devpts-mount", "terminals", probe_devpts_mount, false},
    {"tmpfs-mount", "/dev, /run and --tmpfs", probe_tmpfs_mount, false},
    {"cgroup2-mount", "/sys/fs/cgroup inside", probe_cgroup2_mount, false},
    {"mount-setattr", "recursive read-only mounts", probe_mount_setattr, false},
    {"mount-api", "fsopen, fsmount, move_mount", probe_mount_api, false},
    {"openat2", "paths that cannot leave the root", probe_openat2, false},
    {"pidfd-open", "signals that cannot hit another process", probe_pidfd_open, false},
    {"setns-pidfd", "exec in a running container", probe_setns_pidfd, false},
    {"clone3", "starting a container in its cgroup", probe_clone3, false},
    {"close-range", "closing descriptors at once", probe_close_range, false},
    {"seccomp-filter", "the default system call filter", probe_seccomp_filter, false},
    {"seccomp-notify", "ports opened on demand", probe_seccomp_notify, false},
    {"landlock", "file rules that hold inside", probe_landlock, false},
    {"dev-net-tun", "a whole IP stack by pasta", probe_tun, false},
    {"dev-fuse", "fuse-overlayfs", probe_fuse, false},
    {"cgroup2", "limits", probe_cgroup2, false},
    {"cgroup-delegation", "a cgroup of its own: limits, pause, stats", probe_cgroup_delegation, false},
};

/* What the child leaves behind. */
struct answer {
    bool given;
    int error;
    char detail[sizeof((struct probe *)0)->detail];
};

static void run_child(const struct feature *feature, const char *directory, struct answer *answer)
{
    struct probe probe = {.directory = directory};
    /* The parent's own time limit kills us; this one holds when the parent is gone. */
    alarm(SECONDS * 2);
    answer->error = feature->probe(&probe);
    memcpy(answer->detail, probe.detail, sizeof answer->detail);
    answer->given = true;
    _exit(0);
}

/* Waits, but not for ever: a mount of a dead network file system would keep us. */
static void wait_for_child(pid_t child, struct answer *answer)
{
    int status = 0;
    for (int64_t end = now_nanoseconds(CLOCK_MONOTONIC) + SECONDS * 1000000000ll;;) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child || (done < 0 && errno != EINTR))
            break;
        if (now_nanoseconds(CLOCK_MONOTONIC) > end) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            *answer = (struct answer){.given = true, .error = ETIMEDOUT, .detail = "gave no answer"};
            return;
        }
        poll(NULL, 0, 1);
    }
    if (!answer->given) {
        *answer = (struct answer){.given = true, .error = EIO};
        if (WIFSIGNALED(status))
            snprintf(answer->detail, sizeof answer->detail, "the probe was killed by signal %d%s", WTERMSIG(status),
                     WTERMSIG(status) == SIGSYS ? ": a seccomp filter around this process" : "");
    }
}

static void try_feature(const struct feature *feature, const char *directory, struct answer *answer)
{
    *answer = (struct answer){.given = false};
    cleanup_free char *own = NULL;
    if (feature->uses_directory) {
        own = xasprintf("%s/.tsbox-check-XXXXXX", directory);
        if (!mkdtemp(own)) {
            answer->error = errno;
            snprintf(answer->detail, sizeof answer->detail, "cannot write in %s", directory);
            return;
        }
    }
    pid_t child = fork();
    if (child == 0)
        run_child(feature, own, answer);
    if (child < 0)
        *answer = (struct answer){.error = errno, .detail = "cannot fork"};
    else
        wait_for_child(child, answer);
    if (own)
        op_remove(1, &own);
}

static int print_answer(const struct feature *feature, const struct answer *answer)
{
    struct buffer line = {0};
    buffer_puts(&line, "{\"feature\":");
    buffer_json(&line, feature->name, strlen(feature->name));
    buffer_printf(&line, ",\"ok\":%s,\"errno\":", answer->error ? "false" : "true");
    const char *name = error_name(answer->error);
    buffer_json(&line, name, strlen(name));
    buffer_puts(&line, ",\"detail\":");
    buffer_json(&line, answer->detail, strlen(answer->detail));
    buffer_puts(&line, ",\"purpose\":");
    buffer_json(&line, feature->purpose, strlen(feature->purpose));
    buffer_puts(&line, "}\n");
    int result = write_all(STDOUT_FILENO, line.data, line.length);
    buffer_free(&line);
    return result;
}

static bool is_listed(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_feature(const char *name)
{
    for (size_t i = 0; i < countof(features); i++)
        if (strcmp(features[i].name, name) == 0)
            return true;
    return false;
}

/* `check [DIRECTORY [FEATURE…]]`: all, or those that are named. */
int cmd_check(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!is_feature(argv[i]))
            die(0, argv[i], "Cannot check: there is no feature");
    const char *directory = argc >= 2 ? argv[1] : getenv("TMPDIR");
    if (!directory || !*directory)
        directory = "/tmp";
    struct answer *answer = mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (answer == MAP_FAILED)
        die(errno, NULL, "Cannot check: no shared memory");
    for (size_t i = 0; i < countof(features); i++) {
        if (argc > 2 && !is_listed(features[i].name, argc - 2, argv + 2))
            continue;
        try_feature(&features[i], directory, answer);
        if (print_answer(&features[i], answer) < 0)
            return EXIT_TSBOX;
    }
    return 0;
}
