/* The plan's parser: what it understands, and that it refuses everything else before acting. */
#include "helper.h"
#include "testing.h"

#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <string.h>

static jmp_buf refused;

static void jump(void)
{
    longjmp(refused, 1);
}

/* The plan's text as one literal, with \0 after each word; sizeof counts one NUL more than written. */
#define parse(plan, text) parse_bytes(plan, "tsbox-plan\0" "1\0" text, sizeof("tsbox-plan\0" "1\0" text) - 1)

static bool parse_bytes(struct plan *plan, const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    failure_sink = jump;
    *plan = (struct plan){0};
    if (setjmp(refused))
        return false;
    plan_parse(plan, copy, length);
    return true;
}

/* A refused plan is not freed: in the helper the process ends. */
static bool refuses_bytes(const char *text, size_t length, const char *words)
{
    struct plan plan;
    __lsan_disable();
    bool understood = parse_bytes(&plan, text, length);
    __lsan_enable();
    return !understood && strstr(last_failure.message, words) != NULL;
}

#define refuses(text, words) refuses_bytes("tsbox-plan\0" "1\0" text, sizeof("tsbox-plan\0" "1\0" text) - 1, words)

static void reads_shared_namespaces(void)
{
    struct plan plan;
    expect(parse(&plan, "namespace\0mount\0share\0ipc\0/x/lock\0share\0net\0/x/lock\0uid-map\0" "0\0" "1000\0" "1\0gid-map\0" "0\0" "1000\0" "1\0"
                        "root\0/r\0shared-memory\0/dev/shm\0exec\0" "1\0true\0"));
    expect(plan.shares && plan.shared[NS_IPC] && strcmp(plan.shared[NS_NET], "/x/lock") == 0 && !plan.shared[NS_PID]);
    plan_free(&plan);
    expect(refuses("share\0mount\0/l\0exec\0" "1\0true\0", "does not know the name"));
    expect(refuses("namespace\0net\0share\0net\0/l\0exec\0" "1\0true\0", "names a new namespace"));
    expect(refuses("share\0net\0/l\0join\0" "5\0" "6\0exec\0" "1\0true\0", "excludes"));
    expect(refuses("namespace\0mount\0share\0net\0/l\0root\0/r\0shared-memory\0/dev/shm\0exec\0" "1\0true\0", "needs a shared ipc"));
}

static void reads_settings(void)
{
    struct plan plan;
    expect(parse(&plan, "namespace\0user\0namespace\0uts\0namespace\0pid\0uid-map\0" "0\0" "1000\0" "1\0uid-map\0" "1\0" "100000\0" "65536\0"
                        "gid-map\0" "0\0" "1000\0" "1\0map-tools\0/a\0/b\0hostname\0box\0stdio\0terminal\0stdin\0detach\0"
                        "announce\0\0terminal-size\0" "24\0" "80\0on-failure\0" "2\0/x\0y\0events\0/e\0events-fd\0" "5\0log\0/l\0"
                        "lock\0/k\0timeout\0" "1500\0signal-proxy\0die-with-parent\0control-fd\0" "6\0cleanup\0/c\0cleanup\0/d\0"
                        "init\0exec\0" "1\0true\0"));
    expect(plan.namespaces[NS_USER] && plan.namespaces[NS_UTS] && !plan.namespaces[NS_NET]);
    expect_equal(plan.uid_map.count, 2);
    expect_equal(plan.uid_map.ranges[1].outside, 100000);
    expect_equal(plan.uid_map.ranges[1].count, 65536);
    expect_equal(plan.gid_map.count, 1);
    expect(strcmp(plan.newgidmap, "/b") == 0 && strcmp(plan.hostname, "box") == 0);
    expect(plan.stdio == STDIO_TERMINAL && plan.stdin_open && plan.detach && plan.signal_proxy && plan.die_with_parent && plan.init);
    expect(plan.announce && !*plan.announce);
    expect(plan.rows == 24 && plan.columns == 80);
    expect(plan.on_failure.count == 2 && strcmp(plan.on_failure.list[1], "y") == 0 && !plan.on_failure.list[2]);
    expect(plan.events_fd == 5 && plan.control_fd == 6 && plan.timeout == 1500);
    expect(plan.cleanup.count == 2 && strcmp(plan.cleanup.list[1], "/d") == 0);
    plan_free(&plan);
}

static void reads_cgroups(void)
{
    struct plan plan;
    expect(parse(&plan, "cgroup\0box\0optional\0cgroup-set\0memory.max\0" "1000\0\0cgroup-set\0pids.max\0max\0optional\0exec\0" "1\0true\0"));
    expect(strcmp(plan.cgroup, "box") == 0 && plan.cgroup_optional);
    expect_equal(plan.cgroup_setting_count, 2);
    expect(strcmp(plan.cgroup_settings[0].file, "memory.max") == 0 && strcmp(plan.cgroup_settings[0].value, "1000") == 0);
    expect(!plan.cgroup_settings[0].optional && plan.cgroup_settings[1].optional);
    plan_free(&plan);
    expect(parse(&plan, "join\0" "5\0" "6\0cgroup-join\0/a/b\0\0exec\0" "1\0true\0"));
    expect(strcmp(plan.cgroup_join, "/a/b") == 0 && !plan.cgroup_join_optional);
    plan_free(&plan);
    /* no name leads out of the cgroup that is ours */
    expect(refuses("cgroup\0../box\0\0exec\0" "1\0true\0", "has a name that is none"));
    expect(refuses("cgroup\0..\0\0exec\0" "1\0true\0", "has a name that is none"));
    expect(refuses("cgroup\0box\0\0cgroup-set\0../memory.max\0" "1\0\0exec\0" "1\0true\0", "has a file that is none"));
    expect(refuses("cgroup-set\0memory.max\0" "1\0\0exec\0" "1\0true\0", "needs a cgroup"));
    expect(refuses("join\0" "5\0" "6\0cgroup-join\0/a/../b\0\0exec\0" "1\0true\0", "has a path that does not begin at the root"));
    expect(refuses("cgroup-join\0/a\0\0exec\0" "1\0true\0", "needs a process to join"));
}

static void reads_ops(void)
{
    struct plan plan;
    expect(parse(&plan, "namespace\0mount\0root\0/r\0overlay\0/m\0/u\0/w\0volatile,userxattr\0" "2\0/a\0/b\0"
                        "bind\0/s\0/d\0rec,ro,make,optional\0mkdir\0/x\0" "1777\0file\0/y\0" "644\0two\nlines\0rlimit\0nofile\0" "10\0unlimited\0"
                        "user\0" "1\0" "2\0" "1\0" "3\0capabilities\0a80425fb\0" "20\0" "20\0" "20\0" "20\0oom-score-adj\0-5\0"
                        "env\0" "1\0A=\0exec\0" "2\0sh\0\0"));
    expect_equal(plan.op_count, 11);
    const struct op *op = plan_find(&plan, "overlay");
    expect(op && op->index == 2 && op->flags == (FLAG_VOLATILE | FLAG_USERXATTR) && op->words.count == 2);
    expect(strcmp(op->texts[1], "/u") == 0 && strcmp(op->words.list[1], "/b") == 0);
    expect_equal(plan_find(&plan, "bind")->flags, FLAG_REC | FLAG_RO | FLAG_MAKE | FLAG_OPTIONAL);
    expect_equal(plan_find(&plan, "mkdir")->numbers[0], 01777);
    expect(strcmp(plan_find(&plan, "file")->texts[1], "two\nlines") == 0);
    expect(plan_find(&plan, "rlimit")->numbers[1] == 10 && plan_find(&plan, "rlimit")->numbers[2] == UNLIMITED);
    expect_equal(plan_find(&plan, "capabilities")->numbers[0], 0xa80425fb);
    expect_equal((int64_t)plan_find(&plan, "oom-score-adj")->numbers[0], -5);
    op = plan_find(&plan, "exec");
    expect(op->words.count == 2 && !*op->words.list[1] && !op->words.list[2]);
    expect(!plan_find(&plan, "pivot-root"));
    plan_free(&plan);
}

static void reads_last_ops(void)
{
    struct plan plan;
    expect(parse(&plan, "apply\0/r\0\0" "1\0/l\0"));
    plan_free(&plan);
    expect(parse(&plan, "remove\0" "2\0/a\0/b\0"));
    expect_equal(plan.ops[0].words.count, 2);
    plan_free(&plan);
    expect(parse(&plan, "finish\0"));
    plan_free(&plan);
    expect(parse(&plan, "namespace\0pid\0init\0exec\0" "0\0"));
    plan_free(&plan);
}

static void refuses_framing(void)
{
    expect(refuses_bytes("", 0, "end with a NUL"));
    expect(refuses_bytes("tsbox-plan\0" "1", 12, "end with a NUL"));
    expect(refuses_bytes("bogus\0" "1\0", 8, "does not begin with tsbox-plan"));
    expect(refuses_bytes("tsbox-plan\0" "2\0", 13, "version 2"));
    expect(refuses_bytes("tsbox-plan\0", 11, "ends too early"));
    expect(refuses("", "no op"));
}

static void refuses_words(void)
{
    expect(refuses("nonsense\0finish\0", "unknown word"));
    expect(refuses("root\0/r\0hostname\0x\0finish\0", "setting after an op"));
    expect(refuses("exec\0" "3\0a\0b\0", "counts more words"));
    expect(refuses("exec\0" "99999999999999999999\0a\0", "number"));
    expect(refuses("exec\0" "-1\0a\0", "number"));
    expect(refuses("root\0\0finish\0", "path"));
    expect(refuses("root\0", "ends too early"));
    expect(refuses("namespace\0mount\0root\0/r\0bind\0/a\0/b\0rec,bogus\0finish\0", "flag"));
    expect(refuses("namespace\0mount\0root\0/r\0bind\0/a\0/b\0volatile\0finish\0", "flag"));
    expect(refuses("namespace\0mount\0root\0/r\0bind\0/a\0/b\0rec,\0finish\0", "comma"));
    expect(refuses("root\0/r\0mkdir\0/x\0" "999\0finish\0", "number"));
    expect(refuses("rlimit\0pigs\0" "1\0" "1\0finish\0", "resource"));
    expect(refuses("namespace\0planet\0finish\0", "name"));
    expect(refuses("stdio\0smoke\0finish\0", "mode"));
    expect(refuses("user\0" "0\0" "0\0" "1\0wheel\0exec\0" "1\0a\0", "group"));
}

static void refuses_what_cannot_work(void)
{
    expect(refuses("exec\0" "0\0", "no words"));
    expect(refuses("exec\0" "1\0a\0finish\0", "must be the last"));
    expect(refuses("root\0/r\0", "cannot be the last"));
    expect(refuses("init\0exec\0" "1\0a\0", "pid namespace"));
    expect(refuses("join\0" "5\0" "6\0namespace\0pid\0exec\0" "1\0a\0", "excludes"));
    expect(refuses("hostname\0x\0finish\0", "uts"));
    expect(refuses("namespace\0user\0finish\0", "uid-map"));
    expect(refuses("uid-map\0" "0\0" "0\0" "1\0finish\0", "user namespace"));
    expect(refuses("namespace\0user\0uid-map\0" "0\0" "0\0" "0\0finish\0", "count"));
    expect(refuses("capabilities\0" "1\0" "3\0" "1\0" "0\0" "0\0exec\0" "1\0a\0", "effective"));
    expect(refuses("namespace\0mount\0overlay\0/m\0/u\0/w\0\0" "0\0finish\0", "lower"));
    expect(refuses("namespace\0mount\0overlay\0/m\0\0\0\0" "1\0/l\0finish\0", "upper"));
}

static void protects_the_host(void)
{
    expect(refuses("private-mounts\0finish\0", "mount namespace"));
    expect(refuses("root\0/r\0tmpfs\0/tmp\0\0\0finish\0", "mount namespace"));
    expect(refuses("namespace\0mount\0tmpfs\0/tmp\0\0\0finish\0", "root op before"));
    expect(refuses("mkdir\0/x\0" "755\0finish\0", "root op before"));
    expect(refuses("loopback\0finish\0", "net namespace"));
}

int main(void)
{
    run_test("plan_parse() reads every setting", reads_settings);
    run_test("plan_parse() reads which namespaces are shared", reads_shared_namespaces);
    run_test("plan_parse() reads cgroups, whose names stay below our own", reads_cgroups);
    run_test("plan_parse() reads ops with paths, flags, numbers and lists", reads_ops);
    run_test("plan_parse() reads each op that may be the last", reads_last_ops);
    run_test("plan_parse() refuses another magic or version and a missing last NUL", refuses_framing);
    run_test("plan_parse() refuses unknown words, flags and numbers", refuses_words);
    run_test("plan_parse() refuses plans that cannot work", refuses_what_cannot_work);
    run_test("plan_parse() refuses ops that would change the host's own mounts and files", protects_the_host);
    return finish_tests();
}
