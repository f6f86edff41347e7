/*
 * tsbox-helper: the only part of tsbox that makes namespaces, mounts and credentials. It knows ops,
 * not containers: what to do stands in a plan that the runner wrote (ARCHITECTURE.md, contract 1).
 *
 * Theory of operation. Up to three processes take part in `run`:
 *
 *   front      what the user started. With `detach` it forks the monitor, waits until the program
 *              was exec'd, prints a line and leaves; otherwise it is the monitor itself.
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
#include <linux/filter.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

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

struct plan {
    bool namespaces[NS_COUNT];
    pid_t join_pid; /* 0: none */
    uint64_t join_start_time;
    struct id_map uid_map, gid_map;
    const char *newuidmap, *newgidmap;
    struct time_offset time_offsets[2];
    size_t time_offset_count;
    const char *hostname, *domainname;
    enum stdio_mode stdio;
    bool stdin_open, detach, signal_proxy, die_with_parent, init;
    const char *announce;
    uint16_t rows, columns;
    struct words on_failure;
    const char *events;
    int events_fd;
    const char *log;
    const char *lock;
    uint64_t timeout; /* milliseconds, 0: none */
    int control_fd;
    struct words cleanup;
    struct op *ops;
    size_t op_count;
    char *text; /* the memory that all words are in */
};

/* Parse and validate the whole; dies with a message that names the word. Takes `text`. */
void plan_parse(struct plan *plan, char *text, size_t length);
void plan_free(struct plan *plan);
const struct op_spec *op_spec_find(const char *name);
const struct op *plan_find(const struct plan *plan, const char *name);

/*** run.c, child.c: the state of one run ***/

struct run {
    struct plan plan;
    int socket;         /* the monitor's end, or in the child its own */
    int root;           /* O_PATH of the new root; DESTs resolve below it */
    int empty;          /* an empty read-only directory's mount, for `mask` */
    int oom_score_adj;  /* opened while the process still owns its /proc files */
    int init_program;   /* a read-only, detached mount of this program, for `init` */
    bool foreground;    /* the container must not outlive the monitor */
    struct sock_filter *filter;
    size_t filter_length;
    int stdio[3]; /* what the child gets as 0, 1, 2; -1: as it is */
    int pty_rows, pty_columns;
};

/* `run PLAN`: exits, or execs `on-failure`. */
int cmd_run(int argc, char **argv);
/* Everything from a parsed plan on; `front` false in a server's child. */
_Noreturn void run_plan(struct run *run);
/* In the child: everything from the clone on. */
_Noreturn void child_main(struct run *run);

/* What travels on the socket between child and monitor. */
enum message_kind { MESSAGE_GO = 1, MESSAGE_FAILED, MESSAGE_PTY, MESSAGE_PID };

struct message {
    int32_t kind;
    int32_t pid;
    struct failure failure; /* only sent with MESSAGE_FAILED */
};

int message_send(int socket, const struct message *message, int fd);
/* 1: a message; 0: end-of-file; -1 and errno. `fd` becomes a descriptor that came along, or -1. */
int message_receive(int socket, struct message *message, int *fd);

/*** namespaces.c ***/

extern const char *const namespace_names[NS_COUNT];
extern const int namespace_flags[NS_COUNT];
/* Clone into the plan's namespaces. 0 in the child; in the parent the pid, and its pidfd. */
pid_t namespaces_clone(const struct plan *plan, int *pidfd);
int write_id_maps(const struct plan *plan, pid_t pid);
int set_time_offsets(const struct plan *plan);
int become_namespace_root(const struct plan *plan);
int op_loopback(struct run *run, const struct op *op);
uint64_t process_start_time(pid_t pid);

/*** join.c ***/

/* In a first child: enter the namespaces, clone the real child and tell the monitor its pid.
 * Returns only in the real child. */
void join_namespaces(struct run *run);

/*** mounts.c, filesystems.c ***/

/* O_PATH of `path` inside the new root, or -1 and errno. */
int resolve_in_root(int root, const char *path);
int op_private_mounts(struct run *run, const struct op *op);
int op_root(struct run *run, const struct op *op);
int op_overlay(struct run *run, const struct op *op);
int op_overlay_at(struct run *run, const struct op *op);
int op_bind(struct run *run, const struct op *op);
int op_tmpfs(struct run *run, const struct op *op);
int op_proc(struct run *run, const struct op *op);
int op_sysfs(struct run *run, const struct op *op);
int op_mqueue(struct run *run, const struct op *op);
int op_cgroup2(struct run *run, const struct op *op);
int op_devpts(struct run *run, const struct op *op);
int op_mkdir(struct run *run, const struct op *op);
int op_file(struct run *run, const struct op *op);
int op_symlink(struct run *run, const struct op *op);
int op_mask(struct run *run, const struct op *op);
int op_read_only(struct run *run, const struct op *op);
int op_pivot_root(struct run *run, const struct op *op);

/*** credentials.c, seccomp.c, init.c, pty.c ***/

int rlimit_resource(const char *name); /* -1: unknown */
int apply_credentials(struct run *run);
int load_filter_file(struct run *run, const char *path);
int install_filter(const struct sock_filter *filter, size_t length);

int init_prepare(struct run *run);
_Noreturn void init_exec(struct run *run, pid_t child);
_Noreturn void init_main(pid_t child);

/* In the child: open a pty of the container's devpts, make it 0, 1, 2 and send its master. */
int pty_open(struct run *run);

/*** apply.c, remove.c, check.c, seccomp_compile.c ***/

/* 0, or -1 after fail(). */
int op_apply(const char *root, size_t nlowers, char **lowers);
int op_remove(size_t n, char **paths);
/* Exit codes. */
int cmd_check(int argc, char **argv);
int cmd_seccomp(int argc, char **argv);

#endif
