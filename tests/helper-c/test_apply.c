/*
 * `apply` on real directories. Run as root it checks owners too; in a user namespace with one id
 * (a child of its own) what cannot be set must be deferred.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "../../helper-c/apply.h"
#include "../../helper-c/tree.h"
#include "testing.h"

static char top[] = "/tmp/tsbox-test-apply-XXXXXX";
static char root[PATH_MAX], lower[PATH_MAX], lowest[PATH_MAX];
static struct buffer stream;
static char *events;
/* Contents stay in memory that apply maps (RECORD_FLAG_LENT); nothing is ever taken out of it. */
static bool lending;
static struct buffer memory;

/*** Making a stream ***/

struct with {
    const char *path, *link, *data;
    uint32_t mode, uid, gid, major, minor;
    int64_t mtime;
    uint32_t nsec;
    struct {
        const char *name, *value;
        size_t length;
    } xattrs[4];
    uint8_t flags;
    uint64_t size, offset;
};

/* In two pieces, the first of which lies behind the second. */
static void lend(const char *data, uint32_t length)
{
    uint32_t second = length / 3, first = length - second, at = (uint32_t)memory.length;
    buffer_put(&memory, data + first, second);
    buffer_put(&memory, data, first);
    struct lent_piece pieces[2] = {{at + second, first}, {at, second}};
    buffer_put(&stream, pieces, second ? sizeof pieces : sizeof *pieces);
}

static void add(uint8_t kind, struct with w)
{
    bool lent = lending && w.data && *w.data;
    struct buffer xattrs = {0};
    struct record r = {.kind = kind, .flags = w.flags, .mode = w.mode, .uid = w.uid, .gid = w.gid,
                       .dev_major = w.major, .dev_minor = w.minor, .mtime_sec = w.mtime, .mtime_nsec = w.nsec,
                       .offset = w.offset, .size = w.size};
    for (int i = 0; i < 4 && w.xattrs[i].name; i++) {
        size_t size = w.xattrs[i].length ? w.xattrs[i].length : strlen(w.xattrs[i].value);
        uint32_t lengths[2] = {(uint32_t)strlen(w.xattrs[i].name), (uint32_t)size};
        buffer_put(&xattrs, lengths, 8);
        buffer_put(&xattrs, w.xattrs[i].name, lengths[0]);
        buffer_put(&xattrs, w.xattrs[i].value, size);
        r.xattr_count++;
    }
    r.path_length = w.path ? (uint32_t)strlen(w.path) : 0;
    r.link_length = w.link ? (uint32_t)strlen(w.link) : 0;
    r.xattr_length = (uint32_t)xattrs.length;
    r.data = w.data ? strlen(w.data) : 0;
    if (kind == RECORD_FILE && !w.flags)
        r.size = r.data;
    r.length = RECORD_HEADER_SIZE + r.path_length + r.link_length + r.xattr_length;
    r.flags |= lent ? RECORD_FLAG_LENT : 0;
    buffer_put(&stream, &r, sizeof r);
    buffer_put(&stream, w.path ? w.path : "", r.path_length);
    buffer_put(&stream, w.link ? w.link : "", r.link_length);
    buffer_put(&stream, xattrs.data ? xattrs.data : "", xattrs.length);
    if (lent)
        lend(w.data, (uint32_t)r.data);
    else
        buffer_put(&stream, w.data ? w.data : "", r.data);
    buffer_free(&xattrs);
}

/* Defaults that a test may override. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define directory(...) add(RECORD_DIRECTORY, (struct with){.mode = 0755, __VA_ARGS__})
#define file(...) add(RECORD_FILE, (struct with){.mode = 0644, __VA_ARGS__})
#define symlink_to(target, ...) add(RECORD_SYMLINK, (struct with){.link = target, .mode = 0777, __VA_ARGS__})
#define hard_link(target, ...) add(RECORD_HARDLINK, (struct with){.link = target, __VA_ARGS__})
#define whiteout(p) add(RECORD_WHITEOUT, (struct with){.path = p})
#define opaque(p) add(RECORD_OPAQUE, (struct with){.path = p})
#define end() add(RECORD_END, (struct with){0})

static int with_stdio(int in, const char *target, size_t n, char **lowers)
{
    int out = memfd_create("events", MFD_CLOEXEC);
    fflush(stdout);
    int saved_in = dup(0), saved_out = dup(1);
    dup2(in, 0);
    dup2(out, 1);
    int result = op_apply(target, lending ? FLAG_LENT : 0, n, lowers);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    close(saved_in);
    close(saved_out);
    lseek(out, 0, SEEK_SET);
    free(events);
    events = read_all(out, NULL);
    close(out);
    return result;
}

static void *send_stream(void *socket)
{
    (void)!write_all(*(int *)socket, stream.data, stream.length);
    shutdown(*(int *)socket, SHUT_WR);
    return NULL;
}

/* A message of one byte that brings a descriptor, if it is one. */
static void send_descriptor(int socket, int fd)
{
    if (send_with_descriptor(socket, "", 1, fd) != 1)
        abort();
}

static int make_memory(int seals)
{
    int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (write_all(fd, memory.data ? memory.data : "", memory.length) < 0 || ftruncate(fd, (off_t)memory.length + 1) != 0 ||
        fcntl(fd, F_ADD_SEALS, seals) != 0)
        abort();
    return fd;
}

/* The words that came back over the socket: the last one, where they are right. */
static uint64_t last_word(int socket)
{
    uint64_t words[512], last = 0;
    ssize_t length = recv(socket, words, sizeof words, MSG_DONTWAIT);
    for (ssize_t i = 0; i < length / 8; i++) {
        expect(words[i] > last);
        last = words[i];
    }
    return last;
}

static uint64_t used;

static int apply_lent(const char *target, size_t n, char **lowers, int fd)
{
    int ends[2];
    pthread_t sender;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    send_descriptor(ends[0], fd);
    pthread_create(&sender, NULL, send_stream, &ends[0]);
    int result = with_stdio(ends[1], target, n, lowers);
    close(ends[1]);
    pthread_join(sender, NULL);
    used = last_word(ends[0]);
    close(ends[0]);
    stream.length = 0;
    return result;
}

/* Applies the stream made so far, and forgets it. */
static int apply_to(const char *target, size_t n, char **lowers)
{
    if (lending) {
        int fd = make_memory(F_SEAL_SHRINK);
        int result = apply_lent(target, n, lowers, fd);
        close(fd);
        return result;
    }
    int in = memfd_create("records", MFD_CLOEXEC);
    write_all(in, stream.data, stream.length);
    lseek(in, 0, SEEK_SET);
    stream.length = 0;
    int result = with_stdio(in, target, n, lowers);
    close(in);
    return result;
}

static int apply_here(void)
{
    return apply_to(root, 0, NULL);
}

static int apply_over(void)
{
    char *lowers[] = {lower, lowest};
    return apply_to(root, 2, lowers);
}

/*** Looking ***/

static char *at(const char *directory, const char *path)
{
    static char buffers[8][PATH_MAX * 2];
    static int next;
    char *buffer = buffers[next++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s/%s", directory, path);
    return buffer;
}

static struct stat stat_of(const char *directory, const char *path)
{
    struct stat st = {0};
    lstat(at(directory, path), &st);
    return st;
}

static bool exists(const char *directory, const char *path)
{
    struct stat st;
    return lstat(at(directory, path), &st) == 0;
}

static bool contains(const char *directory, const char *path, const char *wanted)
{
    char *text = read_file(at(directory, path), NULL);
    bool same = text && strcmp(text, wanted) == 0;
    free(text);
    return same;
}

static bool is_whiteout(const char *path)
{
    struct stat st = stat_of(root, path);
    return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static bool is_opaque(const char *path)
{
    char value;
    return getxattr(at(root, path), "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static void put(const char *directory, const char *path, const char *content)
{
    int fd = open(at(directory, path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_all(fd, content, strlen(content));
    close(fd);
}

static void make_directory(const char *directory, const char *path, mode_t mode)
{
    mkdir(at(directory, path), 0700);
    chmod(at(directory, path), mode);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int open_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static void clean(const char *path)
{
    nftw(path, open_one, 16, FTW_PHYS);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void fresh(void)
{
    char *all[] = {root, lower, lowest};
    for (int i = 0; i < 3; i++) {
        clean(all[i]);
        mkdir(all[i], 0755);
    }
    stream.length = 0;
    last_failure = (struct failure){0};
}

/*** Entries ***/

static void makes_every_kind(void)
{
    fresh();
    directory(.path = "d", .mode = 0750, .mtime = 1000, .nsec = 123456789);
    file(.path = "d/f", .data = "hello", .mode = 0640, .mtime = -5, .nsec = 7);
    symlink_to("../../etc/passwd", .path = "d/l", .mtime = 77);
    hard_link("d/f", .path = "d/h");
    add(RECORD_FIFO, (struct with){.path = "d/p", .mode = 0622, .mtime = 9});
    file(.path = "empty", .mode = 0);
    end();
    expect_equal(apply_here(), 0);
    struct stat d = stat_of(root, "d"), f = stat_of(root, "d/f"), p = stat_of(root, "d/p");
    expect_equal(d.st_mode, S_IFDIR | 0750);
    expect_equal(d.st_mtim.tv_sec, 1000);
    expect_equal(d.st_mtim.tv_nsec, 123456789);
    expect_equal(f.st_mode, S_IFREG | 0640);
    expect_equal(f.st_mtim.tv_sec, -5);
    expect_equal(f.st_mtim.tv_nsec, 7);
    expect_equal(f.st_nlink, 2);
    expect_equal(stat_of(root, "d/h").st_ino, f.st_ino);
    expect(contains(root, "d/f", "hello"));
    char target[64] = "";
    expect(readlink(at(root, "d/l"), target, sizeof target - 1) > 0 && strcmp(target, "../../etc/passwd") == 0);
    expect_equal(stat_of(root, "d/l").st_mtim.tv_sec, 77);
    expect_equal(p.st_mode, S_IFIFO | 0622);
    expect_equal(stat_of(root, "empty").st_mode, S_IFREG | 0);
    expect(strstr(events, "{\"event\":\"applied\",\"time\":\"") && strstr(events, "\"entries\":6,\"bytes\":5}"));
}

static void sparse_files_have_holes(void)
{
    fresh();
    file(.path = "s", .flags = RECORD_FLAG_SPARSE, .size = 10 << 20, .mtime = 5, .mode = 04755,
         .xattrs = {{"user.a", "1", 0}});
    add(RECORD_SEGMENT, (struct with){.offset = 5 << 20, .data = "middle"});
    add(RECORD_SEGMENT, (struct with){.offset = 0, .data = "begin"});
    file(.path = "after", .data = "x", .xattrs = {{"user.b", "2", 0}});
    end();
    expect_equal(apply_here(), 0);
    struct stat s = stat_of(root, "s");
    expect_equal(s.st_size, 10 << 20);
    expect(s.st_blocks * 512 < 1 << 20);
    expect_equal(s.st_mtime, 5);
    expect_equal(s.st_mode, S_IFREG | 04755);
    char value[8];
    expect_equal(getxattr(at(root, "s"), "user.a", value, sizeof value), 1);
    expect_equal(getxattr(at(root, "s"), "user.b", value, sizeof value), -1);
    expect(contains(root, "after", "x"));
    fresh();
    file(.path = "all-hole", .flags = RECORD_FLAG_SPARSE, .size = 1 << 20);
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "all-hole").st_size, 1 << 20);
}

static void parents_are_made(void)
{
    fresh();
    file(.path = "a/b/c/f", .data = "x");
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "a/b").st_mode, S_IFDIR | 0755);
    expect_equal(stat_of(root, "a/b").st_mtime, 0);
    expect_equal(stat_of(root, "").st_mode, S_IFDIR | 0755);
}

static void restrictive_directories(void)
{
    fresh();
    directory(.path = "d", .mode = 0, .mtime = 42);
    directory(.path = "d/e", .mode = 0555, .mtime = 43);
    file(.path = "d/e/f", .data = "x");
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "d").st_mode, S_IFDIR);
    expect_equal(stat_of(root, "d").st_mtime, 42);
    chmod(at(root, "d"), 0700);
    expect_equal(stat_of(root, "d/e").st_mode, S_IFDIR | 0555);
    expect_equal(stat_of(root, "d/e").st_mtime, 43);
}

static void later_entries_replace(void)
{
    fresh();
    directory(.path = "d", .mode = 0700);
    file(.path = "d/in", .data = "1");
    file(.path = "d", .data = "file over directory");
    file(.path = "f", .data = "old");
    file(.path = "f", .data = "new");
    file(.path = "g", .data = "old");
    directory(.path = "g", .mode = 0711, .mtime = 3);
    directory(.path = "m");
    file(.path = "m/kept", .data = "kept");
    directory(.path = "m", .mode = 0700);
    symlink_to("/etc/passwd", .path = "l");
    file(.path = "l", .data = "no link any more");
    end();
    expect_equal(apply_here(), 0);
    expect(contains(root, "d", "file over directory"));
    expect(contains(root, "f", "new"));
    expect_equal(stat_of(root, "g").st_mode, S_IFDIR | 0711);
    expect(is_opaque("g"));
    expect(contains(root, "m/kept", "kept"));
    expect_equal(stat_of(root, "m").st_mode, S_IFDIR | 0700);
    expect(contains(root, "l", "no link any more"));
    expect_equal(stat_of(root, "l").st_mode, S_IFREG | 0644);
}

static void cached_parent_is_forgotten(void)
{
    fresh();
    directory(.path = "d");
    file(.path = "d/one", .data = "1");
    directory(.path = "other");
    symlink_to("other", .path = "d");
    file(.path = "d/two", .data = "2");
    end();
    expect_equal(apply_here(), 0);
    expect(contains(root, "other/two", "2"));
    /* The entry before was in the directory that the next one replaces. */
    fresh();
    file(.path = "a/b/f", .data = "1");
    file(.path = "a/b", .data = "2");
    end();
    expect_equal(apply_here(), 0);
    expect(contains(root, "a/b", "2"));
}

static void big_content_comes_whole(void)
{
    fresh();
    size_t size = 40 * 1024 * 1024 + 17; /* the buffer has 16 MiB */
    char *big = xmalloc(size + 1);
    for (size_t i = 0; i < size; i++)
        big[i] = (char)('a' + i % 23);
    big[size] = '\0';
    file(.path = "small", .data = "s");
    file(.path = "big", .data = big);
    file(.path = "after", .data = "a");
    end();
    expect_equal(apply_here(), 0);
    expect(contains(root, "big", big));
    expect(contains(root, "after", "a"));
    free(big);
}

/* The runner's end: a pipe or socket whose bytes come in odd pieces, non-blocking on our side. */
static void pieces(bool socket)
{
    fresh();
    size_t size = 700 * 1000;
    char *big = xmalloc(size + 1);
    memset(big, 'b', size);
    big[size] = '\0';
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "dir%d/f", i);
        file(.path = name, .data = i % 10 ? name : big);
    }
    end();
    int ends[2];
    if (socket ? socketpair(1, 1, 0, ends) : pipe(ends))
        abort();
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        size_t step = 1;
        for (size_t done = 0; done < stream.length;) {
            size_t now = step < stream.length - done ? step : stream.length - done;
            write_all(ends[1], stream.data + done, now);
            done += now;
            step = step * 3 % 100003 + 1;
        }
        _exit(0);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    expect_equal(with_stdio(ends[0], root, 0, NULL), 0);
    close(ends[0]);
    waitpid(child, NULL, 0);
    expect(contains(root, "dir10/f", big));
    expect(contains(root, "dir11/f", "dir11/f"));
    free(big);
}

static void from_pipe(void)
{
    pieces(false);
}

static void from_socket(void)
{
    pieces(true);
}

static void extended_attributes(void)
{
    fresh();
    /* cap_net_raw=ep, version 2; and version 3 bound to somebody's uid 1000 */
    struct vfs_cap_data two = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, .data[0].permitted = 1 << 13};
    struct vfs_ns_cap_data three = {.magic_etc = VFS_CAP_REVISION_3, .data[0].permitted = 1 << 13, .rootid = 1000};
    file(.path = "f", .data = "x", .mode = 04755,
         .xattrs = {{"user.mime", "text", 0}, {"security.capability", (char *)&two, sizeof two},
                    {"user.overlay.redirect", "/etc", 0}, {"trusted.overlay.opaque", "y", 0}});
    file(.path = "g", .data = "x",
         .xattrs = {{"security.capability", (char *)&three, sizeof three}, {"security.selinux", "x", 0},
                    {"security.capability.", "x", 0}, {"user.overlay.whiteout", "y", 0}});
    directory(.path = "d", .xattrs = {{"user.overlay.opaque", "y", 0}, {"user.ok", "yes", 0}});
    end();
    expect_equal(apply_here(), 0);
    char value[64];
    expect_equal(getxattr(at(root, "f"), "user.mime", value, sizeof value), 4);
    expect_equal(getxattr(at(root, "f"), "user.overlay.redirect", value, sizeof value), -1);
    expect_equal(getxattr(at(root, "f"), "trusted.overlay.opaque", value, sizeof value), -1);
    expect_equal(getxattr(at(root, "g"), "user.overlay.whiteout", value, sizeof value), -1);
    expect_equal(getxattr(at(root, "d"), "user.ok", value, sizeof value), 3);
    expect(!is_opaque("d"));
    expect_equal(stat_of(root, "f").st_mode, S_IFREG | 04755);
    if (geteuid() == 0) {
        expect_equal(getxattr(at(root, "f"), "security.capability", value, sizeof value), sizeof two);
        expect_equal(getxattr(at(root, "g"), "security.capability", value, sizeof value), sizeof two);
    }
}

static void owners(void)
{
    if (geteuid() != 0)
        return;
    fresh();
    file(.path = "f", .uid = 12, .gid = 34, .mode = 06755, .data = "x");
    symlink_to("f", .path = "l", .uid = 56, .gid = 78);
    directory(.path = "d", .uid = 90, .gid = 91, .mode = 02775);
    file(.path = "d/in", .uid = 0, .gid = 0, .mode = 0640);
    directory(.path = "d/sub", .uid = 0, .gid = 0, .mode = 0500);
    file(.path = "d/sub/in", .uid = 0, .gid = 0, .mode = 04711, .data = "x");
    add(RECORD_CHARACTER, (struct with){.path = "null", .major = 1, .minor = 3, .mode = 0666});
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "f").st_uid, 12);
    expect_equal(stat_of(root, "f").st_gid, 34);
    expect_equal(stat_of(root, "f").st_mode, S_IFREG | 06755);
    expect_equal(stat_of(root, "l").st_uid, 56);
    expect_equal(stat_of(root, "d").st_mode, S_IFDIR | 02775);
    expect_equal(stat_of(root, "d/in").st_gid, 0);
    expect_equal(stat_of(root, "d/in").st_mode, S_IFREG | 0640);
    expect_equal(stat_of(root, "d/sub").st_gid, 0);
    expect_equal(stat_of(root, "d/sub").st_mode, S_IFDIR | 0500);
    expect_equal(stat_of(root, "d/sub/in").st_mode, S_IFREG | 04711);
    expect_equal(stat_of(root, "null").st_mode, S_IFCHR | 0666);
    expect_equal(stat_of(root, "null").st_rdev, makedev(1, 3));
}

/* Runs a test in a child, inside a user namespace where only our own id is mapped. */
static bool in_single_id_namespace(void (*test)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char map[64];
        snprintf(map, sizeof map, "0 %d 1", geteuid());
        char gid_map[64];
        snprintf(gid_map, sizeof gid_map, "0 %d 1", getegid());
        if (unshare(CLONE_NEWUSER) != 0 || write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny") != 0 ||
            write_file_at(AT_FDCWD, "/proc/self/gid_map", gid_map) != 0 ||
            write_file_at(AT_FDCWD, "/proc/self/uid_map", map) != 0)
            _exit(2);
        test();
        fflush(stdout);
        _exit(test_failed);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void single_id(void)
{
    fresh();
    file(.path = "mine", .data = "x", .mode = 04755);
    file(.path = "theirs", .data = "x", .uid = 33, .gid = 44, .mode = 04755, .mtime = 9);
    hard_link("theirs", .path = "again");
    directory(.path = "d\x01 \xff", .uid = 33, .mode = 0700, .mtime = 8);
    symlink_to("x", .path = "l", .gid = 5);
    add(RECORD_CHARACTER, (struct with){.path = "dev/null", .major = 1, .minor = 3, .mode = 0666});
    file(.path = "nobody", .uid = UINT32_MAX);
    file(.path = "twice", .uid = 7);
    file(.path = "twice", .uid = 0);
    directory(.path = "gone");
    file(.path = "gone/f", .uid = 7);
    file(.path = "gone", .data = "");
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "mine").st_mode, S_IFREG | 04755);
    expect_equal(stat_of(root, "theirs").st_mode, S_IFREG | 04755);
    expect_equal(stat_of(root, "theirs").st_mtime, 9);
    expect_equal(stat_of(root, "dev/null").st_mode, S_IFREG);
    expect(strstr(events, "\"path\":\"theirs\",\"uid\":33,\"gid\":44,\"mode\":2541,\"kind\":2,\"major\":0,\"minor\":0}"));
    expect(strstr(events, "\"path\":\"again\",\"uid\":33,\"gid\":44,\"mode\":2541,\"kind\":2"));
    expect(strstr(events, "\"path\":\"d%01%20%FF\",\"uid\":33,\"gid\":0,\"mode\":448,\"kind\":1"));
    expect(strstr(events, "\"path\":\"l\",\"uid\":0,\"gid\":5"));
    expect(strstr(events, "\"path\":\"dev/null\",\"uid\":0,\"gid\":0,\"mode\":438,\"kind\":5,\"major\":1,\"minor\":3}"));
    expect(strstr(events, "\"path\":\"nobody\",\"uid\":4294967295"));
    expect(!strstr(events, "mine") && !strstr(events, "twice") && !strstr(events, "gone"));
}

static void single_id_defers(void)
{
    expect(in_single_id_namespace(single_id));
}

static void device_zero_is_no_whiteout(void)
{
    fresh();
    add(RECORD_CHARACTER, (struct with){.path = "etc", .mode = 0600});
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "etc").st_mode, S_IFREG);
    expect(strstr(events, "\"kind\":5,\"major\":0,\"minor\":0}"));
}

/*** Staying inside ***/

static void links_lead_inside_the_root(void)
{
    fresh();
    char outside[PATH_MAX];
    snprintf(outside, sizeof outside, "%s/outside", top);
    mkdir(outside, 0755);
    symlink_to(outside, .path = "abs");
    file(.path = "abs/f", .data = "1");
    symlink_to("../../../../../../../../etc", .path = "up");
    file(.path = "up/f", .data = "2");
    directory(.path = "usr");
    directory(.path = "usr/lib");
    symlink_to("usr/lib", .path = "lib");
    file(.path = "lib/x", .data = "3");
    symlink_to("lib/../lib/./", .path = "chain");
    file(.path = "chain/y", .data = "4");
    end();
    expect_equal(apply_here(), 0);
    expect(!exists(outside, "f"));
    expect(contains(root, at(outside, "f") + 1, "1"));
    expect(contains(root, "etc/f", "2"));
    expect(contains(root, "usr/lib/x", "3"));
    expect(contains(root, "usr/lib/y", "4"));
    rmdir(outside);
}

static void loops_are_refused(void)
{
    fresh();
    symlink_to("b", .path = "a");
    symlink_to("a", .path = "b");
    file(.path = "a/f", .data = "");
    end();
    expect_equal(apply_here(), -1);
    expect_equal(last_failure.error, ELOOP);
}

static void a_file_is_no_directory(void)
{
    fresh();
    file(.path = "f", .data = "");
    file(.path = "f/in", .data = "");
    end();
    expect_equal(apply_here(), -1);
    expect_equal(last_failure.error, ENOTDIR);
    expect(strcmp(last_failure.path, "f/in") == 0);
}

static void hard_link_through_symlink(void)
{
    fresh();
    symlink_to("/etc", .path = "e");
    hard_link("e/passwd", .path = "stolen");
    end();
    expect_equal(apply_here(), -1);
    expect(strstr(events, "{\"event\":\"missing-link\"") && strstr(events, "\"link\":\"e/passwd\"}"));
    expect(!exists(root, "stolen"));
}

/*** Over lower layers ***/

static void lower_directories_keep_their_attributes(void)
{
    fresh();
    make_directory(lower, "tmp", 0700);
    chmod(at(lower, "tmp"), 01777);
    setxattr(at(lower, "tmp"), "user.keep", "1", 1, 0);
    struct timespec times[2] = {{.tv_sec = 77}, {.tv_sec = 77}};
    utimensat(AT_FDCWD, at(lower, "tmp"), times, 0);
    make_directory(lowest, "usr", 0755);
    make_directory(lowest, "usr/lib", 0711);
    if (symlink("usr/lib", at(lowest, "lib")) != 0)
        abort();
    chmod(lower, 0751);
    file(.path = "tmp/f", .data = "x");
    file(.path = "lib/g", .data = "y");
    end();
    expect_equal(apply_over(), 0);
    expect_equal(stat_of(root, "tmp").st_mode, S_IFDIR | 01777);
    expect_equal(stat_of(root, "tmp").st_mtime, 77);
    char value[4];
    expect_equal(getxattr(at(root, "tmp"), "user.keep", value, 4), 1);
    expect(contains(root, "usr/lib/g", "y"));
    expect_equal(stat_of(root, "usr/lib").st_mode, S_IFDIR | 0711);
    expect(!exists(root, "lib"));
    expect_equal(stat_of(root, "").st_mode, S_IFDIR | 0751);
}

static void whiteouts(void)
{
    fresh();
    put(lower, "gone", "x");
    make_directory(lowest, "d", 0755);
    put(lowest, "d/gone", "x");
    whiteout("gone");
    whiteout("d/gone");
    whiteout("never-was");
    whiteout("no/such/directory");
    end();
    expect_equal(apply_over(), 0);
    expect(is_whiteout("gone"));
    expect(is_whiteout("d/gone"));
    expect(!exists(root, "never-was"));
    expect(!exists(root, "no"));
    /* Without knowing what is below, they are made. */
    fresh();
    whiteout("a/b");
    end();
    expect_equal(apply_here(), 0);
    expect(is_whiteout("a/b"));
}

static void whiteouts_spare_their_own_layer(void)
{
    fresh();
    make_directory(lower, "d", 0755);
    make_directory(lower, "e", 0755);
    put(lower, "f", "low");
    put(lower, "d/old", "x");
    file(.path = "f", .data = "high");
    whiteout("f");
    file(.path = "d/new", .data = "x");
    whiteout("d");
    whiteout("e");
    file(.path = "e/new", .data = "x");
    end();
    expect_equal(apply_over(), 0);
    expect(contains(root, "f", "high"));
    expect(exists(root, "d/new") && is_opaque("d"));
    expect(exists(root, "e/new") && is_opaque("e"));
}

static void opaque_directories_hold_no_whiteouts(void)
{
    fresh();
    make_directory(lower, "d", 0755);
    make_directory(lower, "d/sub", 0755);
    put(lower, "d/a", "x");
    put(lower, "d/sub/b", "x");
    put(lower, "d/c", "x");
    whiteout("d/a");
    whiteout("d/sub/b");
    opaque("d");
    whiteout("d/c");
    file(.path = "d/new", .data = "x");
    end();
    expect_equal(apply_over(), 0);
    expect(is_opaque("d"));
    expect(exists(root, "d/new") && exists(root, "d/sub"));
    expect(!exists(root, "d/a") && !exists(root, "d/sub/b") && !exists(root, "d/c"));
}

static void opaque_root(void)
{
    fresh();
    put(lower, "file", "x");
    make_directory(lowest, "etc", 0755);
    put(lowest, "etc/old", "x");
    opaque("");
    file(.path = "etc/new", .data = "x");
    end();
    expect_equal(apply_over(), 0);
    expect(is_whiteout("file"));
    expect(is_opaque("etc") && exists(root, "etc/new"));
}

static void xattr_whiteouts(void)
{
    fresh();
    struct apply a = {.root = open(root, O_RDONLY | O_DIRECTORY), .xattr_whiteouts = true};
    expect_equal(whiteout_make(&a, a.root, "w"), 0);
    struct stat st = stat_of(root, "w");
    expect(S_ISREG(st.st_mode) && st.st_size == 0);
    expect(whiteout_is(a.root, "w", &st));
    char value = 0;
    expect_equal(getxattr(root, "user.overlay.opaque", &value, 1), 1);
    expect_equal(value, 'x');
    expect(!opaque_is(a.root));
    close(a.root);
}

static void hard_links_to_lower_files(void)
{
    fresh();
    make_directory(lowest, "usr", 0711);
    put(lowest, "usr/tool", "binary");
    chmod(at(lowest, "usr/tool"), 04755);
    struct timespec times[2] = {{.tv_sec = 77}, {.tv_sec = 77}};
    utimensat(AT_FDCWD, at(lowest, "usr/tool"), times, 0);
    hard_link("usr/tool", .path = "one");
    hard_link("usr/tool", .path = "usr/two");
    hard_link("usr/tool", .path = "usr/tool");
    end();
    expect_equal(apply_over(), 0);
    struct stat one = stat_of(root, "one");
    expect_equal(one.st_nlink, 3);
    expect_equal(one.st_mode, S_IFREG | 04755);
    expect_equal(one.st_mtime, 77);
    expect_equal(stat_of(root, "usr/two").st_ino, one.st_ino);
    expect_equal(stat_of(root, "usr/tool").st_ino, one.st_ino);
    expect_equal(stat_of(root, "usr").st_mode, S_IFDIR | 0711);
    expect(contains(root, "one", "binary"));
}

static void hard_links_respect_what_hides(void)
{
    fresh();
    put(lowest, "hidden", "x");
    mknod(at(lower, "hidden"), S_IFCHR, 0);
    hard_link("hidden", .path = "a");
    end();
    expect_equal(apply_over(), -1);
    expect(strstr(events, "missing-link"));
    fresh();
    make_directory(lowest, "d", 0755);
    put(lowest, "d/f", "x");
    make_directory(lower, "d", 0755);
    setxattr(at(lower, "d"), "user.overlay.opaque", "y", 1, 0);
    hard_link("d/f", .path = "a");
    end();
    expect_equal(apply_over(), -1);
    expect(strstr(events, "missing-link"));
    fresh();
    put(lower, "f", "x");
    whiteout("f");
    hard_link("f", .path = "a");
    end();
    expect_equal(apply_over(), -1);
    fresh();
    directory(.path = "d");
    hard_link("d", .path = "a");
    end();
    expect_equal(apply_here(), -1);
    expect_equal(last_failure.error, EISDIR);
}

/*** Refusals: one input each ***/

struct raw {
    const char *name;
    struct record record;
    const char *path, *link;
    const char *xattrs;
    size_t xattr_length;
    const char *says;
    size_t path_length;
};

static void refusals(void)
{
#define NUMBER(n) (char)(n), 0, 0, 0
    static const char cut[] = {NUMBER(6), NUMBER(9), 'u'};
    static const char no_name[] = {NUMBER(0), NUMBER(0)};
    static const char nul_name[] = {NUMBER(2), NUMBER(0), 'u', 0};
    static const char trailing[] = {NUMBER(1), NUMBER(0), 'u', 'x'};
    static const char huge[] = {NUMBER(1), -1, -1, -1, -1, 'u'};
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[299] = '\0';
    const struct raw all[] = {
        {.record = {.kind = 0}, .path = "f", .says = "kind"},
        {.record = {.kind = 12}, .path = "f", .says = "kind"},
        {.record = {.kind = RECORD_FILE, .flags = 2}, .path = "f", .says = "flags"},
        {.record = {.kind = RECORD_DIRECTORY, .flags = 1}, .path = "f", .says = "flags"},
        {.record = {.kind = RECORD_FILE, .below = 1}, .path = "f", .says = "layer below"},
        {.record = {.kind = RECORD_FILE, .mode = 010000}, .path = "f", .says = "mode"},
        {.record = {.kind = RECORD_FILE, .mtime_nsec = 1000000000}, .path = "f", .says = "nanoseconds"},
        {.record = {.kind = RECORD_FILE}, .path = "", .says = "path is empty"},
        {.record = {.kind = RECORD_SYMLINK}, .path = "", .link = "x", .says = "path is empty"},
        {.record = {.kind = RECORD_WHITEOUT}, .path = "", .says = "path is empty"},
        {.record = {.kind = RECORD_FILE}, .path = "/etc/passwd", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "../f", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "a/../f", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "a/..", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "./f", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "a//f", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "a/", .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = "a\0b", .path_length = 3, .says = "not a normal path"},
        {.record = {.kind = RECORD_FILE}, .path = long_name, .says = "not a normal path"},
        {.record = {.kind = RECORD_HARDLINK}, .path = "h", .link = "../f", .says = "link is not a normal path"},
        {.record = {.kind = RECORD_HARDLINK}, .path = "h", .link = "", .says = "link is not a normal path"},
        {.record = {.kind = RECORD_HARDLINK}, .path = "h", .link = "/f", .says = "link is not a normal path"},
        {.record = {.kind = RECORD_SYMLINK}, .path = "l", .link = "", .says = "link is empty"},
        {.record = {.kind = RECORD_FILE}, .path = "l", .link = "x", .says = "no link but has a target"},
        {.record = {.kind = RECORD_FILE, .size = 5, .data = 4}, .path = "f", .says = "another length than its size"},
        {.record = {.kind = RECORD_FILE, .flags = 1, .data = 4}, .path = "f", .says = "another length than its size"},
        {.record = {.kind = RECORD_DIRECTORY, .data = 4}, .path = "f", .says = "content but is no file"},
        {.record = {.kind = RECORD_FILE, .flags = 1, .size = UINT64_MAX}, .path = "f", .says = "beyond"},
        {.record = {.kind = RECORD_SEGMENT, .offset = INT64_MAX, .data = 2}, .path = "", .says = "beyond"},
        {.record = {.kind = RECORD_SEGMENT}, .path = "", .says = "no sparse file"},
        {.record = {.kind = RECORD_WHITEOUT, .xattr_count = 1}, .path = "w", .xattrs = trailing, .xattr_length = 9, .says = "is no file but"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .says = "cut off"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .xattrs = cut, .xattr_length = 9, .says = "cut off"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .xattrs = huge, .xattr_length = 9, .says = "cut off"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .xattrs = no_name, .xattr_length = 8, .says = "name of an extended"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .xattrs = nul_name, .xattr_length = 10, .says = "name of an extended"},
        {.record = {.kind = RECORD_FILE, .xattr_count = 1}, .path = "f", .xattrs = trailing, .xattr_length = 10, .says = "another length"},
        {.record = {.kind = RECORD_FILE, .length = 79}, .path = "f", .says = "lengths do not agree"},
        {.record = {.kind = RECORD_FILE, .length = 100}, .path = "f", .says = "lengths do not agree"},
        {.record = {.kind = RECORD_FILE, .length = RECORD_MAX + 1}, .path = "f", .says = "lengths do not agree"},
        {.record = {.kind = RECORD_FILE, .length = 80, .path_length = UINT32_MAX, .link_length = 1}, .path = "", .says = "lengths do not agree"},
    };
    for (size_t i = 0; i < countof(all); i++) {
        fresh();
        struct record r = all[i].record;
        size_t path = all[i].path_length ? all[i].path_length : strlen(all[i].path);
        size_t link = all[i].link ? strlen(all[i].link) : 0;
        if (!r.path_length) {
            r.path_length = (uint32_t)path;
            r.link_length = (uint32_t)link;
        }
        r.xattr_length = (uint32_t)all[i].xattr_length;
        if (!r.length)
            r.length = (uint32_t)(RECORD_HEADER_SIZE + path + link + all[i].xattr_length);
        buffer_put(&stream, &r, sizeof r);
        buffer_put(&stream, all[i].path, path);
        buffer_put(&stream, all[i].link ? all[i].link : "", link);
        buffer_put(&stream, all[i].xattrs ? all[i].xattrs : "", all[i].xattr_length);
        buffer_put(&stream, "datadata", 8);
        end();
        int result = apply_here();
        expect_that(result == -1 && strstr(last_failure.message, all[i].says), __LINE__, "refusal %zu (%s): %s", i,
                    all[i].says, result ? last_failure.message : "accepted");
    }
    fresh();
    file(.path = "s", .flags = RECORD_FLAG_SPARSE, .size = 4);
    add(RECORD_SEGMENT, (struct with){.offset = 2, .data = "abc"});
    end();
    expect_equal(apply_here(), -1);
    expect(strstr(last_failure.message, "behind the end"));
}

static void cut_off_anywhere(void)
{
    fresh();
    directory(.path = "d", .xattrs = {{"user.a", "b", 0}});
    file(.path = "d/f", .data = "content");
    end();
    char *whole = xmalloc(stream.length);
    size_t length = stream.length;
    memcpy(whole, stream.data, length);
    for (size_t cut = 0; cut < length; cut++) {
        fresh();
        buffer_put(&stream, whole, cut);
        int result = apply_here();
        expect_that(result == -1 && strstr(last_failure.message, "stream was cut off"), __LINE__, "cut at %zu", cut);
        expect(!strstr(events, "applied"));
    }
    free(whole);
}

static void without_openat2(void)
{
    tree_without_openat2 = true;
    makes_every_kind();
    parents_are_made();
    restrictive_directories();
    later_entries_replace();
    cached_parent_is_forgotten();
    links_lead_inside_the_root();
    loops_are_refused();
    hard_links_to_lower_files();
    opaque_directories_hold_no_whiteouts();
    tree_without_openat2 = false;
}

static void tree_open_stays_inside(void)
{
    fresh();
    mkdir(at(root, "d"), 0755);
    put(root, "d/f", "x");
    if (symlink("/etc", at(root, "abs")) != 0 || symlink("d", at(root, "rel")) != 0)
        abort();
    int fd = open(root, O_PATH | O_DIRECTORY);
    for (int pass = 0; pass < 2; pass++) {
        tree_without_openat2 = pass == 1;
        const char *const refused[] = {"abs", "rel", "abs/passwd", "rel/f", "..", "d/../..", "d/../d"};
        for (size_t i = 0; i < countof(refused); i++) {
            int opened = tree_open(fd, refused[i], O_RDONLY);
            bool plain_up = strcmp(refused[i], "d/../d") == 0; /* stays inside: either answer is right */
            expect_that(opened < 0 || plain_up, __LINE__, "opened %s in pass %d", refused[i], pass);
            if (opened >= 0)
                close(opened);
        }
        int opened = tree_open(fd, "d/f", O_RDONLY);
        expect(opened >= 0);
        close(opened);
        opened = tree_open(fd, "", O_RDONLY | O_DIRECTORY);
        expect(opened >= 0);
        close(opened);
        expect_equal(tree_open(fd, "missing/x", O_RDONLY), -ENOENT);
    }
    tree_without_openat2 = false;
    close(fd);
}

static void many_directories(void)
{
    fresh();
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "d%d/e%d", i % 50, i);
        directory(.path = name, .mtime = i + 1);
    }
    end();
    expect_equal(apply_here(), 0);
    expect_equal(stat_of(root, "d49/e2999").st_mtime, 3000);
    expect_equal(stat_of(root, "d0/e0").st_mtime, 1);
}

/*** Contents in memory ***/

/* More than the writing thread is given at once; some that it is not given. */
static void add_files(int count)
{
    for (int i = 0; i < count; i++) {
        char name[32], content[400];
        snprintf(name, sizeof name, "d%d/f%d", i / 100, i);
        memset(content, 'a' + i % 26, sizeof content - 1);
        content[i % 399] = '\0';
        file(.path = name, .data = content, .mtime = i + 1, .mode = i % 50 == 7 ? 04755 : 0644);
    }
}

static bool file_is_right(int i)
{
    char name[32], content[400];
    snprintf(name, sizeof name, "d%d/f%d", i / 100, i);
    memset(content, 'a' + i % 26, sizeof content - 1);
    content[i % 399] = '\0';
    struct stat st = stat_of(root, name);
    return contains(root, name, content) && st.st_mtime == i + 1 && st.st_mode == (S_IFREG | (i % 50 == 7 ? 04755 : 0644));
}

static void many_files(void)
{
    fresh();
    add_files(1000);
    /* What is still being written is replaced, linked to, and lies in a directory that is closed. */
    file(.path = "d9/f999", .data = "another");
    hard_link("d9/f998", .path = "link");
    directory(.path = "d9", .mode = 0500, .mtime = 77);
    end();
    expect_equal(apply_here(), 0);
    for (int i = 0; i < 999; i++)
        expect_that(file_is_right(i), __LINE__, "file %d", i);
    expect(contains(root, "d9/f999", "another"));
    expect_equal(stat_of(root, "link").st_ino, stat_of(root, "d9/f998").st_ino);
    expect_equal(stat_of(root, "d9").st_mtime, 77);
}

/* Others may do without what it takes to find out, but not where a directory has its own mind. */
static void default_acls_change_no_mode(void)
{
    static const struct {
        uint32_t version;
        struct {
            uint16_t tag, permissions;
            uint32_t id;
        } entries[3];
    } others_nothing = {2, {{1, 7, UINT32_MAX}, {4, 5, UINT32_MAX}, {0x20, 0, UINT32_MAX}}};
    fresh();
    directory(.path = "plain");
    file(.path = "plain/1", .data = "1");
    file(.path = "plain/2", .data = "2");
    directory(.path = "acl", .xattrs = {{"system.posix_acl_default", (char *)&others_nothing, sizeof others_nothing}});
    file(.path = "acl/private", .data = "p", .mode = 0600);
    file(.path = "acl/1", .data = "1");
    file(.path = "acl/2", .data = "2");
    file(.path = "plain/3", .data = "3");
    file(.path = "acl/3", .data = "3");
    end();
    expect_equal(apply_here(), 0);
    const char *all[] = {"plain/1", "plain/2", "plain/3", "acl/1", "acl/2", "acl/3"};
    for (size_t i = 0; i < countof(all); i++)
        expect_equal(stat_of(root, all[i]).st_mode, S_IFREG | 0644);
    expect_equal(stat_of(root, "acl/private").st_mode, S_IFREG | 0600);
}

static void contents_in_memory(void)
{
    lending = true;
    default_acls_change_no_mode();
    makes_every_kind();
    sparse_files_have_holes();
    later_entries_replace();
    cached_parent_is_forgotten();
    big_content_comes_whole();
    extended_attributes();
    links_lead_inside_the_root();
    hard_links_to_lower_files();
    opaque_directories_hold_no_whiteouts();
    cut_off_anywhere();
    many_directories();
    many_files();
    lending = false;
}

static void little_room_for_descriptors(void)
{
    struct rlimit before, few;
    lending = true;
    fresh();
    add_files(300);
    end();
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    few = (struct rlimit){.rlim_cur = (rlim_t)next + 20, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int result = apply_here();
    setrlimit(RLIMIT_NOFILE, &before);
    expect_equal(result, 0);
    for (int i = 0; i < 300; i++)
        expect_that(file_is_right(i), __LINE__, "file %d", i);
    lending = false;
}

/* The runner learns that everything was used, while it keeps back the rest. */
static void tells_what_was_used(void)
{
    int ends[2], fd;
    lending = true;
    fresh();
    file(.path = "a", .data = "12345");
    file(.path = "s", .flags = RECORD_FLAG_SPARSE, .size = 100);
    add(RECORD_SEGMENT, (struct with){.offset = 50, .data = "6789"});
    fd = make_memory(F_SEAL_SHRINK);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(with_stdio(ends[1], root, 0, NULL) == 0 ? 0 : 1);
    }
    close(ends[1]);
    send_descriptor(ends[0], fd);
    expect(write_all(ends[0], stream.data, stream.length) == 0);
    uint64_t word = 0;
    while (word < 9)
        if (recv(ends[0], &word, sizeof word, 0) != sizeof word)
            break;
    expect_equal((long)word, 9);
    expect(contains(root, "a", "12345"));
    stream.length = 0;
    end();
    expect(write_all(ends[0], stream.data, stream.length) == 0);
    int status = 1;
    waitpid(child, &status, 0);
    expect_equal(status, 0);
    stream.length = 0;
    close(ends[0]);
    close(fd);
    lending = false;
}

static int refused(const char *says)
{
    int fd = make_memory(F_SEAL_SHRINK);
    int result = apply_lent(root, 0, NULL, fd);
    close(fd);
    return result == -1 && strstr(last_failure.message, says) != NULL;
}

static void wrong_pieces_are_refused(void)
{
    lending = true;
    fresh();
    buffer_put(&memory, "12345678", 8);
    uint32_t size = (uint32_t)memory.length + 1;
    const struct lent_piece wrong[] = {{size, 4}, {size - 3, 4}, {UINT32_MAX, 4}, {0, 0}, {0, 5}, {8, UINT32_MAX}};
    for (size_t i = 0; i < countof(wrong); i++)
        for (int special = 0; special < 2; special++) {
            fresh();
            struct record r = {.kind = RECORD_FILE, .flags = RECORD_FLAG_LENT, .mode = special ? 04755 : 0644, .data = 4, .size = 4,
                               .path_length = 1, .length = RECORD_HEADER_SIZE + 1};
            buffer_put(&stream, &r, sizeof r);
            buffer_put(&stream, "f", 1);
            buffer_put(&stream, &wrong[i], sizeof wrong[i]);
            end();
            expect_that(refused("does not lie in the memory"), __LINE__, "piece %zu: %s", i, last_failure.message);
        }
    fresh();
    file(.path = "f", .data = "1234");
    end();
    lending = false;
    expect_equal(apply_here(), -1);
    expect(strstr(last_failure.message, "memory that was not given"));
    lending = true;
    fresh();
    end();
    expect_equal(apply_lent(root, 0, NULL, -1), -1);
    fresh();
    end();
    int fd = make_memory(F_SEAL_GROW);
    expect_equal(apply_lent(root, 0, NULL, fd), -1); /* it could shrink under us */
    close(fd);
    lending = false;
}

/* What the writing thread cannot write ends the layer, by its name. */
static void failed_writes_are_told(void)
{
    /* more than apply itself needs */
    struct rlimit before, small = {.rlim_cur = 17 << 20, .rlim_max = RLIM_INFINITY};
    size_t length = 18 << 20;
    char *large = xmalloc(length + 1);
    memset(large, 'x', length);
    large[length] = '\0';
    lending = true;
    fresh();
    file(.path = "small", .data = "x");
    file(.path = "large", .data = large);
    for (int i = 0; i < 100; i++)
        add_files(100);
    end();
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    int fd = make_memory(F_SEAL_SHRINK);
    setrlimit(RLIMIT_FSIZE, &small);
    int result = apply_lent(root, 0, NULL, fd);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    close(fd);
    expect_equal(result, -1);
    expect(strstr(last_failure.message, "Cannot write the file"));
    expect(strcmp(last_failure.path, "large") == 0);
    expect(!strstr(events, "applied"));
    free(large);
    lending = false;
}

int main(void)
{
    umask(077); /* must not matter */
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(top))
        return 1;
    snprintf(root, sizeof root, "%s/root", top);
    snprintf(lower, sizeof lower, "%s/lower", top);
    snprintf(lowest, sizeof lowest, "%s/lowest", top);
    run_test("apply makes every kind of entry", makes_every_kind);
    run_test("apply keeps the holes of sparse files", sparse_files_have_holes);
    run_test("apply makes missing parents with mode 0755 and time 0", parents_are_made);
    run_test("apply sets restrictive directory modes last", restrictive_directories);
    run_test("later entries replace earlier ones, directories merge", later_entries_replace);
    run_test("a directory that was replaced is not remembered", cached_parent_is_forgotten);
    run_test("a file bigger than the buffer comes whole", big_content_comes_whole);
    run_test("records come in pieces through a non-blocking pipe", from_pipe);
    run_test("records come in pieces through a socket", from_socket);
    run_test("contents that lie in memory give the same", contents_in_memory);
    run_test("contents in memory: few descriptors are enough", little_room_for_descriptors);
    run_test("contents in memory: what was used is told before more is waited for", tells_what_was_used);
    run_test("contents in memory: pieces that do not lie there are refused", wrong_pieces_are_refused);
    run_test("contents in memory: a failed write ends the layer", failed_writes_are_told);
    run_test("extended attributes are set, overlay's own are not", extended_attributes);
    run_test("default ACLs change no mode that an entry has", default_acls_change_no_mode);
    run_test("owners and setuid bits are set", owners);
    run_test("with a single id owners and devices are deferred", single_id_defers);
    run_test("a device 0:0 in an archive does not become a whiteout", device_zero_is_no_whiteout);
    run_test("symbolic links lead inside the root", links_lead_inside_the_root);
    run_test("a loop of links is refused", loops_are_refused);
    run_test("an entry below a file is refused", a_file_is_no_directory);
    run_test("a hard link through a symbolic link cannot take a file of the host", hard_link_through_symlink);
    run_test("implied directories are as the layers below have them", lower_directories_keep_their_attributes);
    run_test("whiteouts are made for what the layers below have", whiteouts);
    run_test("whiteouts spare entries of their own layer", whiteouts_spare_their_own_layer);
    run_test("an opaque directory holds no whiteouts", opaque_directories_hold_no_whiteouts);
    run_test("an opaque root hides the layers below name by name", opaque_root);
    run_test("whiteouts are xattrs where devices are refused", xattr_whiteouts);
    run_test("hard links to files of lower layers share one copy", hard_links_to_lower_files);
    run_test("hard links respect whiteouts and opaque directories", hard_links_respect_what_hides);
    run_test("every malformed record is refused", refusals);
    run_test("a stream that is cut off anywhere fails", cut_off_anywhere);
    run_test("apply works without openat2", without_openat2);
    run_test("tree_open() never leaves its directory", tree_open_stays_inside);
    run_test("three thousand directories keep their times", many_directories);
    clean(top);
    free(events);
    buffer_free(&stream);
    return finish_tests();
}
