/*
 * tsbox-helper: the only part of tsbox that makes namespaces, mounts and credentials. It knows ops,
 * not containers: what to do stands in a plan that the runner wrote (ARCHITECTURE.md, contract 1).
 *
 * Theory of operation. Up to three processes take part in `run`:
 *
 *   front      what the user started. With `detach` it forks the monitor, waits until the program
 *              was exec'd, prints a line and leaves, or with `attached` stays as its first client
 *              (client.c); otherwise it is the monitor itself.
 *   monitor    stays outside: writes id maps, relays output, keeps log, events and exit status.
 *   child      is cloned into the new namespaces (or enters those of `join`), carries out the ops
 *              and execs the program. It talks to the monitor over one socket that closes on exec:
 *              end-of-file without a failure message means that the program runs.
 *
 * With `init` the child forks once more and stays as pid 1; with a terminal a guardian waits beside
 * the monitor to restore the terminal if the monitor is killed.
 */
#ifndef TSBOX_HELPER_H
#define TSBOX_HELPER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "stage/stage.h"

#define PLAN_VERSION 1

/* Exit codes that are not the program's own; runner/base/error.ts and the README agree. */
enum exit_code {
    EXIT_TSBOX = 125,       /* tsbox could not do it */
    EXIT_CANNOT_EXEC = 126, /* the program is there but cannot be executed */
    EXIT_NOT_FOUND = 127,   /* the program is not there */
    EXIT_SIGNALLED = 128,   /* plus the number of the signal that ended the program */
};

/*** util.c: memory, files, growable buffers ***/

#define countof(array) (sizeof(array) / sizeof((array)[0]))
#define printf_like(text, first) __attribute__((format(printf, text, first)))

void cleanup_fd_function(int *fd);
void cleanup_free_function(void *pointer);
/* The descriptor is closed (if not negative) and the memory freed at the end of the block. */
#define cleanup_fd __attribute__((cleanup(cleanup_fd_function)))
#define cleanup_free __attribute__((cleanup(cleanup_free_function)))

/* Give a cleanup_fd away: the value is returned, the variable becomes -1. */
static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

/* These die when memory is exhausted. */
void *xmalloc(size_t size);
void *xrealloc(void *pointer, size_t size);
void *xcalloc(size_t count, size_t size);
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) printf_like(1, 2);

struct buffer {
    char *data; /* always ends with a NUL that `length` does not count, once something was put */
    size_t length;
    size_t capacity;
};

void buffer_put(struct buffer *buffer, const void *data, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) printf_like(2, 3);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void buffer_json(struct buffer *buffer, const char *text, size_t length);
/* Percent-encode: letters, digits and "-._~/" stay, every other byte becomes %XX. */
void buffer_percent(struct buffer *buffer, const char *bytes, size_t length);
void buffer_free(struct buffer *buffer);

/* Like open(2), always O_CLOEXEC; xopen dies on failure, naming the path. */
int open_cloexec(const char *path, int flags, mode_t mode);
int xopen(const char *path, int flags, mode_t mode);
/* Read until end-of-file; NUL-terminated, to be freed. NULL and errno on failure. */
char *read_all(int fd, size_t *length);
char *read_file(const char *path, size_t *length);
/* Write everything, waiting where the descriptor does not block. 0, or -1 and errno. */
int write_all(int fd, const void *data, size_t length);
/* Read exactly `length` bytes; fewer only at end-of-file. The count, or -1 and errno. */
ssize_t read_exact(int fd, void *data, size_t length);
/* Write a short text with one write(2) to an existing file (of /proc). 0, or -1 and errno. */
int write_file_at(int directory, const char *path, const char *text);
/* Decimal, whole word, at most `max`. */
bool parse_number(const char *word, uint64_t max, uint64_t *value);
bool parse_base(const char *word, unsigned base, uint64_t max, uint64_t *value);
int64_t now_nanoseconds(clockid_t clock);

/*** report.c: failures and events ***/

/* Small enough for one packet; the monitor turns it into the `failed` event. */
struct failure {
    int32_t error;     /* errno, or 0 */
    int32_t exit_code; /* enum exit_code */
    int32_t index;     /* of the op, from 1; 0: before or beside the ops */
    char op[28];
    char path[2048];
    char message[1024]; /* "Cannot mount the overlay: Operation not permitted" */
};

/*
 * Remember why the current op failed and return -1, so that `return fail(errno, path, "Cannot …")`
 * reads well. `path` may be NULL. The text of `error` is appended to the message, if not 0.
 */
int fail(int error, const char *path, const char *format, ...) printf_like(3, 4);
int vfail(int error, const char *path, const char *format, va_list arguments) printf_like(3, 0);
/* fail() and leave: through the socket to the monitor in the child, else with a line on stderr. */
_Noreturn void die(int error, const char *path, const char *format, ...) printf_like(3, 4);
extern struct failure last_failure;
/* What die() does with last_failure; must not return. */
extern void (*failure_sink)(void);
void set_current_op(const char *name, size_t index);
/* One line for people on descriptor 2. */
void print_failure(const struct failure *failure);
const char *error_name(int error);

/* Events: event_begin, fields, event_end. Lines go to every descriptor that was added. */
void events_add(int fd);
void events_drop_all(void); /* close them */
void event_begin(const char *name);
void event_text(const char *key, const char *value);
void event_bytes(const char *key, const char *value, size_t length); /* percent-encoded */
void event_number(const char *key, long long value);
void event_end(void); /* written at once, or kept while held */
/* Collect lines (up to some KiB) instead of a write for each; event_flush writes what is left. */
void events_hold(bool hold);
void event_flush(void);
/* The last event's JSON, without the newline; valid until the next event_begin. */
const char *event_line(void);

/*** plan.c: what the runner wants ***/

enum namespace_index { NS_USER, NS_MOUNT, NS_PID, NS_IPC, NS_UTS, NS_NET, NS_CGROUP, NS_TIME, NS_COUNT };

enum stdio_mode { STDIO_INHERIT, STDIO_RELAY, STDIO_TERMINAL, STDIO_NULL };

enum op_flag {
    FLAG_REC = 1 << 0,
    FLAG_RO = 1 << 1,
    FLAG_NOSUID = 1 << 2,
    FLAG_NODEV = 1 << 3,
    FLAG_NOEXEC = 1 << 4,
    FLAG_PRIVATE = 1 << 5,
    FLAG_SLAVE = 1 << 6,
    FLAG_SHARED = 1 << 7,
    FLAG_RPRIVATE = 1 << 8,
    FLAG_RSLAVE = 1 << 9,
    FLAG_RSHARED = 1 << 10,
    FLAG_MAKE = 1 << 11,
    FLAG_OPTIONAL = 1 << 12,
    FLAG_VOLATILE = 1 << 13,
    FLAG_USERXATTR = 1 << 14,
    FLAG_NOCOPY = 1 << 15,
    FLAG_NAMES = 1 << 16,
    FLAG_TREE = 1 << 17,
    FLAG_OVERWRITE = 1 << 18,
    FLAG_ROOT = 1 << 19,
    FLAG_COPY = 1 << 20,
    FLAG_FUSE = 1 << 21,
    FLAG_WHOLE = 1 << 22,
    FLAG_MERGE = 1 << 23,
    FLAG_LENT = 1 << 24,
};

struct words {
    char **list;
    size_t count;
};

struct id_range {
    uint32_t inside, outside, count;
};

struct id_map {
    struct id_range *ranges;
    size_t count;
};

#define OP_TEXTS 3
#define OP_NUMBERS 5
#define UNLIMITED UINT64_MAX

struct run;
struct op;
typedef int (*op_action)(struct run *run, const struct op *op);

struct op_spec {
    const char *name;
    /* One letter an operand: p path, t text, f flags, n decimal, o octal, x hexadecimal,
     * i signed, r rlimit name, l limit, * counted words (last). */
    const char *operands;
    unsigned flags; /* those that `f` may hold */
    op_action act;  /* NULL: takes effect at the end, see child.c */
};

struct op {
    const struct op_spec *spec;
    size_t index; /* from 1, as events count */
    const char *texts[OP_TEXTS];
    uint64_t numbers[OP_NUMBERS];
    unsigned flags;
    struct words words; /* NULL-terminated */
};

struct time_offset {
    int clock; /* CLOCK_MONOTONIC, CLOCK_BOOTTIME */
    int64_t seconds;
    int64_t nanoseconds;
};

struct health_plan {
    const char *report; /* NULL: nothing is checked */
    const char *plan;   /* of the check; `join` is added */
    const char *on_failure;
    uint64_t interval, timeout, retries, start_period, start_interval; /* milliseconds */
};

struct published_port {
    const char *address;
    uint16_t port, inside;
};

/* A file of the container's cgroup and what is written to it. */
struct cgroup_setting {
    const char *file, *value;
    bool optional;
};

struct plan {
    bool namespaces[NS_COUNT];
    pid_t join_pid; /* 0: none */
    uint64_t join_start_time;
    const char *shared[NS_COUNT]; /* lock of the container whose namespace is entered instead of a new one */
    bool shares;
    struct id_map uid_map, gid_map;
    const char *newuidmap, *newgidmap;
    struct time_offset time_offsets[2];
    size_t time_offset_count;
    bool clocks_from_zero;
    const char *hostname, *domainname;
    bool hostname_may_stay; /* nobody asked for it */
    enum stdio_mode stdio;
    bool stdin_open, detach, signal_proxy, die_with_parent, init;
    const char *announce;
    uint16_t rows, columns;
    struct words on_failure;
    const char *attach;   /* where the monitor listens for clients */
    const char *attached; /* detach keys of the front process, which stays as a client; NULL: it leaves */
    bool attached_input, attached_leaves, attached_hides[2];
    const char *journal, *journal_actor;
    struct health_plan health;
    uint64_t stop_signal, stop_timeout;
    uint64_t log_limit, log_files;
    const char *release_folder, *release_target;
    const char *restart_policy, *restart_stop;
    uint64_t restart_count, restart_delay;
    bool restarted;
    const char *events;
    int events_fd;
    const char *log;
    const char *lock;
    uint64_t timeout; /* milliseconds, 0: none */
    uint64_t process_limit; /* 0: none */
    const char *cgroup;     /* what its cgroup is called; NULL: it has none of its own */
    bool cgroup_optional;
    struct cgroup_setting *cgroup_settings;
    size_t cgroup_setting_count;
    const char *cgroup_join; /* with `join`: that of the container, below the root of all */
    bool cgroup_join_optional;
    int control_fd;
    struct words cleanup;
    struct published_port *published;
    size_t published_count;
    struct op *ops;
    size_t op_count;
    char *text; /* the memory that all words are in */
};

/* Parse and validate the whole; dies with a message that names the word. Takes `text`. */
void plan_parse(struct plan *plan, char *text, size_t length);
/* Settings beyond those of the file; pointers into `words` are kept. */
void plan_add_settings(struct plan *plan, char **words, size_t count);
/* Nobody looks at the monitor's own descriptors 0 to 2. */
bool plan_is_background(const struct plan *plan);
void plan_free(struct plan *plan);
const struct op_spec *op_spec_find(const char *name);
const struct op *plan_find(const struct plan *plan, const char *name);

/*** The state of one run ***/

struct run {
    struct plan plan;
    const char *path; /* of the plan; NULL: it came on a descriptor */
    int socket;       /* the child's end of the socket to the monitor */
    int root;         /* O_PATH of the new root; DESTs resolve below it */
    int empty;        /* an empty read-only directory's mount, for `mask` */
    bool slave_mounts; /* what the host mounts later is seen, but for binds that are private */
    int memory;       /* with `share ipc`: a detached copy of the other container's /dev/shm */
    int score;        /* oom_score_adj, opened while the process still owns its /proc files */
    int init_program; /* a read-only, detached mount of this program, for `init` */
    int stdio[3];     /* what the child gets as 0, 1, 2; -1: as it is */
    uint16_t rows, columns;
    struct sock_filter *filter;
    size_t filter_length;
};

#define RUN_INITIALIZER {.socket = -1, .root = -1, .empty = -1, .memory = -1, .score = -1, .init_program = -1, .stdio = {-1, -1, -1}}

/*** run.c, child.c, message.c ***/

/* `run PLAN`: exits, or execs `on-failure`. */
int cmd_run(int argc, char **argv);
/* Everything from a parsed plan to the exit. */
_Noreturn void run_plan(struct run *run);
/* In the child: everything from the clone on. */
_Noreturn void child_main(struct run *run);
/* In the child: take the program's place. */
_Noreturn void exec_program(struct run *run);
/* Make sure that this process dies with its parent; `socket` tells if that has died already. */
void die_with_parent(const struct run *run);
/* Until the monitor has done its part. */
void wait_for_go(const struct run *run);

/* What travels on the socket between child and monitor. */
enum message_kind {
    MESSAGE_GO = 1, /* to the child: the id maps are written; with `join`, `share` or `process-limit` once more, to the real one */
    MESSAGE_PID,    /* with `join`, `share` or `process-limit`: the pid of the real child; with `share` its user namespace */
    MESSAGE_PTY,    /* with the master */
    MESSAGE_READY,  /* about to exec; end-of-file after it is success, without it the child died */
    MESSAGE_FAILED,
    MESSAGE_EXEC_FAILED = STAGE_MESSAGE_KIND, /* after READY, from the stage; `pid` is an errno */
    MESSAGE_NETWORK, /* with `publish`: the net namespace */
    MESSAGE_MOUNTS,  /* of a container that shares its pid namespace: its mount namespace */
    MESSAGE_FUSE,    /* what fuse-overlayfs reads from; `pid` is the op's index */
};

struct message {
    int32_t kind;
    int32_t pid;
    struct failure failure; /* only sent with MESSAGE_FAILED */
};

/* `fd` -1: none. -1 and errno. */
ssize_t send_with_descriptor(int socket, const void *data, size_t length, int fd);
/* `*fd`: the descriptor that came along, or -1. */
ssize_t receive_with_descriptor(int socket, void *data, size_t capacity, int *fd);
int message_send(int socket, const struct message *message, int fd);
/* 1: a message; 0: end-of-file; -1 and errno. `fd` becomes a descriptor that came along, or -1. */
int message_receive(int socket, struct message *message, int *fd);

/*** exec_stage.c ***/

/* A sealed file in memory that holds the stage. -1 and errno. */
int exec_stage_open(void);
/* Execute the program through it; returns only on failure, with errno. What fails later is told by MESSAGE_EXEC_FAILED. */
void exec_through_stage(int stage, int socket, const char *program, char **argv);

/*** namespaces.c ***/

extern const char *const namespace_names[NS_COUNT];
extern const int namespace_flags[NS_COUNT];
/* Clone into the plan's namespaces. 0 in the child; in the parent the pid, and its pidfd. */
pid_t namespaces_clone(const struct plan *plan, int *pidfd);
pid_t namespaces_clone_with(unsigned long flags, int *pidfd);
/* The same for the first process of all: it is born in the container's cgroup. */
pid_t namespaces_clone_first(unsigned long flags, int *pidfd);
int write_id_maps(const struct plan *plan, pid_t pid);
int set_time_offsets(const struct plan *plan);
int become_namespace_root(const struct plan *plan);
int op_loopback(struct run *run, const struct op *op);
uint64_t process_start_time(pid_t pid);

/*** cgroup.c, systemd.c ***/

/* Make the container's cgroup, if the plan wants one. What is not optional and cannot be had ends the run. */
void cgroup_begin(struct plan *plan);
/* Where the first process is to be born; -1: there is none. */
int cgroup_directory(void);
/* As seen from the root of all, "/…"; NULL: there is none. */
const char *cgroup_path(void);
/* Move a process into it: for kernels and filters without clone3. */
void cgroup_take(pid_t pid);
/* In the process that was born in it, or moved there: let its own cgroup be the root of all it sees. */
void cgroup_namespace(const struct plan *plan);
/* This process joins a container: it enters that one's cgroup. */
void cgroup_join(const struct plan *plan);
/* How many of its processes the kernel has killed for want of memory; false: there is no telling. */
bool cgroup_oom_kills(uint64_t *count);
void cgroup_kill(void);
/* All its processes have ended: it goes. */
void cgroup_end(void);

/* Each returns 0, or -1 after fail(). */
/* Have this process moved to a unit of its own, whose cgroup is ours to divide. */
int systemd_start_scope(const char *name, const char *description);
/* Whether there is a systemd to ask. */
int systemd_reach(void);
/* Have it moved to the cgroup `below` ("/…") that of a unit. */
int systemd_attach(const char *unit, const char *below);

/*** process_limit.c ***/

/* The process of the user namespace between: it makes the container's first process and tells the monitor its pid. */
pid_t stem_clone(void);
/* In the stem, once its ids are mapped. Returns only in the container's first process. */
void stem_main(struct run *run);

/*** join.c ***/

/* In a first child: enter the namespaces, clone the real child and tell the monitor its pid.
 * Returns only in the real child. */
void join_namespaces(struct run *run);

/*** share.c ***/

/* In a first child: enter the namespaces of other containers, clone the real child into the rest and tell the
 * monitor its pid. Returns only in the real child. */
void share_namespaces(struct run *run);
int op_shared_memory(struct run *run, const struct op *op);

/*** resolve.c, mounts.c, filesystems.c, copy_tree.c, fill.c ***/

/* O_PATH of `path` inside the new root, or -1 and errno. */
int resolve_in_root(int root, const char *path);
/* O_PATH of a path of this process, not through /proc's links to open files (fd, exe, root…). */
int resolve_without_magic(const char *path);
/* Each returns a descriptor, or -1 and errno; missing directories are made with mode 0755. */
int make_directories(int root, const char *path);
int make_parent(int root, const char *path, char name[NAME_MAX + 1]);
int make_mount_point(int root, const char *path, bool directory);
/* A detached mount of a new file system, or -1 after fail(). */
int new_filesystem(const char *type, const char *options, unsigned flags, const char *path);
/* Put a detached mount on what `target` names. */
int attach(int mounted, int target);
/* The same for a DEST; a mount on "/" itself becomes the new root, so that later ones lie on it. */
int attach_in_root(struct run *run, int *mounted, int target, const char *path);
/* May the failure that errno tells be ignored, because the op says `optional`? */
bool is_optional(const struct op *op);
int op_private_mounts(struct run *run, const struct op *op);
int op_slave_mounts(struct run *run, const struct op *op);
int op_root(struct run *run, const struct op *op);
/* copy_tree.c: in the place of an overlay, a copy. */
int mount_copy(const struct op *op, int target);
int op_overlay(struct run *run, const struct op *op);
int op_overlay_at(struct run *run, const struct op *op);
int op_bind(struct run *run, const struct op *op);
int op_bind_in(struct run *run, const struct op *op);
int op_fill(struct run *run, const struct op *op);
int op_chown(struct run *run, const struct op *op);
int op_append(struct run *run, const struct op *op);
int op_tmpfs(struct run *run, const struct op *op);
int mount_tmpfs(struct run *run, const struct op *op);
int fill_tmpfs(struct run *run, const struct op *op);
int op_proc(struct run *run, const struct op *op);
int op_sysfs(struct run *run, const struct op *op);
int op_mqueue(struct run *run, const struct op *op);
int op_cgroup2(struct run *run, const struct op *op);
int op_devpts(struct run *run, const struct op *op);
int op_sysctl(struct run *run, const struct op *op);
int op_mkdir(struct run *run, const struct op *op);
int op_file(struct run *run, const struct op *op);
int op_symlink(struct run *run, const struct op *op);
int op_mask(struct run *run, const struct op *op);
int op_read_only(struct run *run, const struct op *op);
int op_remount(struct run *run, const struct op *op);
int op_pivot_root(struct run *run, const struct op *op);

/*** fuse.c ***/

struct monitor;

/* Mounts FUSE on TARGET, in the user namespace of the caller. What the server reads from, or -1 and errno. */
int fuse_mount(const char *target);
/* In the child: mounts it for the op on what `target` names, and has the monitor start the program. 0, or -1 after fail(). */
int mount_fuse_overlay(const struct run *run, const struct op *op, int target);
/* In the monitor: the program for the op, in the container's user namespace; and the end of all of them. */
void fuse_begin(const struct monitor *monitor, size_t index, int fuse);
void fuse_end(void);
/* Whether a plan has such an op. */
bool fuse_is_used(const struct plan *plan);
/* Whether fuse-overlayfs can be told these paths. */
bool fuse_can_name(const char *upper, const char *work, const struct words *lowers);
/* Becomes fuse-overlayfs; returns only on failure, with errno. UPPER empty: read-only. */
void fuse_overlay_exec(int fuse, const char *upper, const char *work, const struct words *lowers);

/*** credentials.c, seccomp.c, init.c, pty.c ***/

int rlimit_resource(const char *name); /* -1: unknown */
int apply_rlimits(const struct plan *plan);
/* Ids, groups and capabilities of the plan; what a filter still needs is kept until the last. */
int apply_credentials(const struct plan *plan);
int op_session_keyring(struct run *run, const struct op *op);
/* The filter, and what had to be kept for it dropped. */
int apply_filter(const struct run *run);

int load_filter_file(struct run *run, const char *path);
int install_filter(const struct sock_filter *filter, size_t length);

/* Before the ops: find this program where it can be executed from inside. */
int init_prepare(struct run *run);
/*
 * Fork, and become pid 1's program. Returns in the child, once pid 1 is confined. `alone`: no program is to follow, pid 1 only
 * reaps, and does not end with the child.
 */
void init_start(struct run *run, bool alone);
/* `words`: numbers of the child (0: none), and of the descriptor that came along. */
_Noreturn void init_main(char **words);

/* In the child: open a pty of the container's devpts, make it 0, 1, 2 and send its master. */
int pty_open(struct run *run);

/* The user's own terminal: raw as long as the container has it; restored even after SIGKILL. */
bool terminal_size(uint16_t *rows, uint16_t *columns);
void terminal_make_raw(void);
void terminal_restore(void);
void terminal_resume(void);

/*** log.c, relay.c, monitor.c ***/

/* Append output as lines, each "RFC3339NANO NAME F|P TEXT\n". */
int log_open(const char *path, uint64_t limit, uint64_t files);
void log_write(int fd, const char *name, const char *data, size_t length);
void log_format(struct buffer *out, int64_t nanoseconds, const char *name, const char *data, size_t length);

/* One direction of one stream: what was read is logged and written before more is read. */
#define STREAM_SIZE 16384
struct stream {
    int from, to; /* -1: none, or closed */
    int log;
    const char *name;
    char letter;   /* attach.c: what its copies and packets begin with; 0: no copies */
    bool to_client; /* `to` is the owner's socket, which out and err share */
    bool ending;   /* nothing comes after what is pending */
    bool to_plain; /* `to` is ours and does not block: no care needed */
    bool from_terminal, to_terminal; /* the pty's master, which both directions share */
    bool broken;                     /* nobody reads `to` any more */
    size_t start, end;
    char *data;
};

/* Both close what is at its end; stream_read tells if there was anything to read. */
bool stream_read(struct stream *stream);
/* Sees what every stream with a letter has read. */
extern void (*stream_observer)(char letter, const char *data, size_t length);
void stream_write(struct stream *stream);
bool stream_pending(const struct stream *stream);

#define CLIENTS_MAX 32
#define INPUT_MAX 4096

struct client {
    int fd;
    bool owner, output, asks_health;
    uint32_t lost; /* bytes of output that it has missed */
};

struct namespace_identity {
    uint64_t device, inode; /* both 0: none */
};

struct monitor {
    struct run *run;
    pid_t pid;     /* the container's first process, or what was joined to it */
    pid_t starter; /* with `join`, `share` or `process-limit`: the process that clones the real one */
    pid_t parent;
    int pidfd;
    int socket;
    int signals;
    int user_namespace; /* for `cleanup` */
    int lock; /* says who the container's first process is, for those that `share` */
    int mounts; /* the mount namespace of a container that shares its pid namespace: tells its processes */
    int log;
    int master;
    int status_pipe; /* to the front process, when detached */
    bool ready, executed, exited, killed, timed_out;
    int status;       /* of wait4, once exited */
    int stopped_by;   /* the signal that ended the monitor, where signals are not passed on */
    int64_t deadline; /* CLOCK_MONOTONIC nanoseconds, 0: none */
    int64_t started;  /* the same, of the exec */
    int64_t kill_at;  /* the same: it was asked to end before, 0: it was not */
    bool restart_asked;
    uint64_t oom_kills; /* of the machine, when the program was exec'd */
    int listener;     /* of attach.c */
    struct client clients[CLIENTS_MAX];
    size_t client_count;
    struct stream in, out, err;
};

/* Until the process has ended and its output is delivered. Dies if set-up fails. */
void monitor_loop(struct monitor *monitor, void (*executed)(struct monitor *monitor));
void monitor_kill(struct monitor *monitor);
void monitor_signal(struct monitor *monitor, int signal);
void monitor_created(struct monitor *monitor);
/* The lock's content is "PID STARTTIME" as long as the container's first process runs. */
void monitor_tell_first(const struct monitor *monitor, bool runs);
/* Sent to the monitor when its parent dies. */
#define SIGNAL_PARENT_DIED SIGRTMAX

/*** attach.c, client.c, restart.c, journal.c, processes.c ***/

struct pollfd;
/* Send a packet without waiting: how much of `data`, or -1 and errno. */
ssize_t packet_send(int fd, char letter, const void *data, size_t length);
int attach_connect(const char *path);
void attach_listen(struct monitor *monitor, const char *path);
void attach_add(struct monitor *monitor, int fd, bool owner);
int attach_owner(const struct monitor *monitor); /* -1: none */
/* Output for all but the owner, who gets it through its streams. */
void attach_copy(struct monitor *monitor, char letter, const char *data, size_t length);
/* What to poll, at most CLIENTS_MAX + 1; and what to do about it. */
size_t attach_watch(const struct monitor *monitor, struct pollfd *watched);
void attach_handle(struct monitor *monitor, const struct pollfd *watched);
void attach_end(struct monitor *monitor, int code);
/* Whoever asked for a health check is told. */
void attach_answer(struct monitor *monitor, int code);

#define KEYS_MAX 16

struct client_options {
    unsigned char keys[KEYS_MAX];
    size_t key_count;
    bool input, terminal, signal_proxy;
    bool guest; /* came later: asks for output */
    bool health; /* asks for a health check instead */
    bool leaves; /* a signal that ends it lets the program go on */
    bool hides[2]; /* standard output, standard error */
};

bool detach_keys_parse(struct client_options *options, const char *text);
_Noreturn void client_run(int socket, const struct client_options *options);
int cmd_attach(int argc, char **argv);

/* A line of the store's journal, with one more field if `key` is not NULL. */
void journal_write(const struct plan *plan, const char *action, const char *key, const char *value);
int cmd_processes(int argc, char **argv);
/* The namespace of this kind that the process is in. */
bool namespace_identify(pid_t pid, const char *kind, struct namespace_identity *identity);
/* Whether the container's processes are not those of a pid namespace of its own. */
bool processes_are_shared(const struct plan *plan);
/* In the child: tells the monitor the mount namespace, by which its processes are known. */
int processes_tell(const struct run *run);
/* A descriptor of it, or -1. As long as it is open no later namespace has its number. */
int namespace_open(pid_t pid, const char *kind);
/* SIGKILL to all that are in the mount namespace, and to what they have started; a negative descriptor: nobody. */
void processes_kill(int mounts);

/*** health.c ***/

void health_begin(struct monitor *monitor);
void health_check_now(struct monitor *monitor);
/* When there is something to do, CLOCK_MONOTONIC; 0: never. */
int64_t health_wakes_at(const struct monitor *monitor);
void health_watch(struct pollfd *exit, struct pollfd *output);
void health_handle(struct monitor *monitor, const struct pollfd *exit, const struct pollfd *output);
void health_end(void);

/* guard.c: kills the program when the monitor is killed, where the kernel would not */
void guard_begin(const struct monitor *monitor);
void guard_end(void);

/* oom.c */
uint64_t oom_kills(void);
bool oom_is_likely(const struct monitor *monitor);

bool restart_is_wished(const struct plan *plan);
bool restart_is_announced(const struct plan *plan);
/* Returns when the container is not to be started again. */
void restart_if_wished(struct monitor *monitor, int code);

/*** publish.c ***/

struct sockaddr_storage;
/* False: `text` is no address. */
bool publish_address(const char *text, uint16_t port, struct sockaddr_storage *address);
/* Listen on what the plan publishes, or die. */
void publish_listen(const struct plan *plan);
/* In the child: hand its net namespace out, and take no part in what was raised for the monitor. */
int publish_inside(const struct run *run);
/* `net` is the container's net namespace. */
void publish_begin(const struct plan *plan, int net);
/* What to poll for reading (-1: nothing), and what to do then. */
int publish_watched(bool accepting);
void publish_handle(void);
/* The program has ended: nothing more is accepted; until publish_finished its last words are delivered. */
void publish_finish(void);
bool publish_finished(void);
void publish_close(void);

/* `serve FD PLAN` */
int cmd_serve(int argc, char **argv);

/*** apply.c, pack.c, remove.c, check.c, seccomp_compile.c ***/

/* 0, or -1 after fail(). */
int op_apply(const char *root, unsigned flags, size_t nlowers, char **lowers);
int op_pack(const struct op *op);
int op_changes(const struct op *op);
int op_pick(const struct op *op);
int op_place(const struct op *op);
int op_remove(size_t n, char **paths);
/* look.c: events on standard output */
int op_look(size_t n, char **paths);
/* Exit codes. */
int cmd_check(int argc, char **argv);
int cmd_seccomp(int argc, char **argv);

#endif
