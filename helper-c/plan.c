/*
 * The plan: words in, a validated struct out. Two tables say which settings and ops there are and
 * what their operands look like; nothing is carried out before the last word was understood.
 */
#include "helper.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* What an op or setting may cost at most: far above any plan, far below what hurts. */
#define WORDS_MAX 100000

static const struct {
    const char *name;
    unsigned flag;
} flag_names[] = {
    {"rec", FLAG_REC},           {"ro", FLAG_RO},           {"nosuid", FLAG_NOSUID},
    {"nodev", FLAG_NODEV},       {"noexec", FLAG_NOEXEC},   {"private", FLAG_PRIVATE},
    {"slave", FLAG_SLAVE},       {"shared", FLAG_SHARED},   {"rprivate", FLAG_RPRIVATE},
    {"rslave", FLAG_RSLAVE},     {"rshared", FLAG_RSHARED}, {"make", FLAG_MAKE},
    {"optional", FLAG_OPTIONAL}, {"volatile", FLAG_VOLATILE}, {"userxattr", FLAG_USERXATTR},
    {"copy", FLAG_COPY}, {"nocopy", FLAG_NOCOPY},     {"names", FLAG_NAMES},     {"tree", FLAG_TREE},
    {"overwrite", FLAG_OVERWRITE}, {"root", FLAG_ROOT},     {"fuse", FLAG_FUSE},       {"whole", FLAG_WHOLE},
    {"merge", FLAG_MERGE},         {"lent", FLAG_LENT},
};

#define FLAGS_OVERLAY (FLAG_VOLATILE | FLAG_USERXATTR | FLAG_RO | FLAG_FUSE)
#define FLAGS_ATTRIBUTES (FLAG_RO | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC)
#define FLAGS_PROPAGATION (FLAG_PRIVATE | FLAG_SLAVE | FLAG_SHARED | FLAG_RPRIVATE | FLAG_RSLAVE | FLAG_RSHARED)
#define FLAGS_NEW (FLAGS_ATTRIBUTES | FLAG_MAKE | FLAG_OPTIONAL)

static const struct op_spec op_specs[] = {
    {"private-mounts", "", 0, op_private_mounts},
    {"slave-mounts", "", 0, op_slave_mounts},
    {"loopback", "", 0, op_loopback},
    {"root", "p", 0, op_root},
    {"overlay", "pttf*", FLAGS_OVERLAY | FLAG_COPY, op_overlay},
    {"overlay-at", "pttf*", FLAGS_OVERLAY | FLAG_MAKE | FLAG_OPTIONAL, op_overlay_at},
    {"bind", "ppf", FLAGS_NEW | FLAGS_PROPAGATION | FLAG_REC, op_bind},
    {"bind-in", "pppf", FLAGS_NEW | FLAGS_PROPAGATION | FLAG_REC, op_bind_in},
    {"fill", "pppnnf", FLAG_NOCOPY, op_fill},
    {"chown", "pnn", 0, op_chown},
    {"tmpfs", "pft", FLAGS_NEW | FLAG_COPY, op_tmpfs},
    {"proc", "p", 0, op_proc},
    {"sysfs", "pf", FLAGS_NEW, op_sysfs},
    {"mqueue", "p", 0, op_mqueue},
    {"cgroup2", "pf", FLAGS_NEW, op_cgroup2},
    {"devpts", "pt", 0, op_devpts},
    {"sysctl", "pt", 0, op_sysctl},
    {"mkdir", "po", 0, op_mkdir},
    {"file", "pot", 0, op_file},
    {"append", "pt", 0, op_append},
    {"symlink", "pp", 0, op_symlink},
    {"shared-memory", "p", 0, op_shared_memory},
    {"mask", "p", 0, op_mask},
    {"read-only", "p", 0, op_read_only},
    {"remount", "pf", FLAGS_ATTRIBUTES, op_remount},
    {"pivot-root", "", 0, op_pivot_root},
    {"rlimit", "rll", 0, NULL},
    {"user", "nn*", 0, NULL},
    {"capabilities", "xxxxx", 0, NULL},
    {"no-new-privs", "", 0, NULL},
    {"seccomp", "p", 0, NULL},
    {"session-keyring", "", 0, op_session_keyring},
    {"umask", "o", 0, NULL},
    {"oom-score-adj", "i", 0, NULL},
    {"cwd", "p", 0, NULL},
    {"cwd-make", "p", 0, NULL},
    {"env", "*", 0, NULL},
    {"exec", "*", 0, NULL},
    {"apply", "pf*", FLAG_LENT, NULL},
    {"pack", "ptf*", FLAG_NAMES | FLAG_TREE | FLAG_WHOLE | FLAG_MERGE, NULL},
    {"changes", "pt*", 0, NULL},
    {"pick", "p", 0, NULL},
    {"place", "pf", FLAG_OVERWRITE | FLAG_ROOT, NULL},
    {"look", "*", 0, NULL},
    {"remove", "*", 0, NULL},
    {"finish", "", 0, NULL},
};

typedef void (*setter)(struct plan *plan, const struct op *values);

struct setting_spec {
    struct op_spec spec; /* name and operands; no action */
    setter set;
};

struct reader {
    char **words;
    size_t count;
    size_t next;
};

_Noreturn static void refuse(const char *what, const char *word, const char *why)
{
    die(0, word, "Cannot read the plan: %s %s", what, why);
}

static char *next_word(struct reader *reader, const char *what)
{
    if (reader->next == reader->count)
        refuse(what, NULL, "ends too early");
    return reader->words[reader->next++];
}

static uint64_t next_number(struct reader *reader, const char *what, unsigned base, uint64_t max)
{
    uint64_t value;
    const char *word = next_word(reader, what);
    if (!parse_base(word, base, max, &value))
        refuse(what, word, "has a number that is not one or too large:");
    return value;
}

static unsigned parse_flags(char *word, unsigned allowed, const char *what)
{
    unsigned flags = 0;
    while (*word) {
        size_t length = strcspn(word, ",");
        unsigned flag = 0;
        for (size_t i = 0; i < countof(flag_names); i++)
            if (strlen(flag_names[i].name) == length && memcmp(flag_names[i].name, word, length) == 0)
                flag = flag_names[i].flag;
        if (!(flag & allowed))
            refuse(what, word, "does not know the flag");
        flags |= flag;
        word += length;
        if (*word == ',' && !*++word)
            refuse(what, NULL, "has flags that end with a comma");
    }
    return flags;
}

/* The list ends with the word after its last one overwritten by nothing: words are copied into an
 * array of their own with a NULL behind, as exec wants it. */
static struct words read_list(struct reader *reader, const char *what)
{
    struct words words = {.count = next_number(reader, what, 10, WORDS_MAX)};
    if (words.count > reader->count - reader->next)
        refuse(what, NULL, "counts more words than there are");
    words.list = xcalloc(words.count + 1, sizeof *words.list);
    memcpy(words.list, reader->words + reader->next, words.count * sizeof *words.list);
    reader->next += words.count;
    return words;
}

static void read_operands(struct reader *reader, struct op *op)
{
    const char *what = op->spec->name;
    size_t texts = 0, numbers = 0;
    for (const char *operand = op->spec->operands; *operand; operand++) {
        char *word;
        switch (*operand) {
        case 'p':
            word = next_word(reader, what);
            if (!*word || strlen(word) >= PATH_MAX)
                refuse(what, NULL, "has a path that is empty or too long");
            op->texts[texts++] = word;
            break;
        case 't':
            op->texts[texts++] = next_word(reader, what);
            break;
        case 'f':
            op->flags = parse_flags(next_word(reader, what), op->spec->flags, what);
            break;
        case 'n':
            op->numbers[numbers++] = next_number(reader, what, 10, UINT64_MAX - 1);
            break;
        case 'o':
            op->numbers[numbers++] = next_number(reader, what, 8, 07777);
            break;
        case 'x':
            op->numbers[numbers++] = next_number(reader, what, 16, UINT64_MAX);
            break;
        case 'i': {
            word = next_word(reader, what);
            uint64_t value;
            if (!parse_number(word + (*word == '-'), INT64_MAX, &value))
                refuse(what, word, "has a number that is not one or too large:");
            op->numbers[numbers++] = *word == '-' ? -value : value;
            break;
        }
        case 'r': {
            word = next_word(reader, what);
            int resource = rlimit_resource(word);
            if (resource < 0)
                refuse(what, word, "does not know the resource");
            op->numbers[numbers++] = (uint64_t)resource;
            break;
        }
        case 'l':
            if (reader->next < reader->count && strcmp(reader->words[reader->next], "unlimited") == 0) {
                reader->next++;
                op->numbers[numbers++] = UNLIMITED;
            } else {
                op->numbers[numbers++] = next_number(reader, what, 10, UNLIMITED - 1);
            }
            break;
        case '*':
            op->words = read_list(reader, what);
            break;
        }
    }
}

/*** Settings ***/

static void set_namespace(struct plan *plan, const struct op *values)
{
    for (size_t i = 0; i < NS_COUNT; i++)
        if (strcmp(values->texts[0], namespace_names[i]) == 0) {
            plan->namespaces[i] = true;
            return;
        }
    refuse("namespace", values->texts[0], "does not know the name");
}

static void set_join(struct plan *plan, const struct op *values)
{
    if (values->numbers[0] < 1 || values->numbers[0] > INT_MAX)
        refuse("join", NULL, "has a pid that is none");
    plan->join_pid = (pid_t)values->numbers[0];
    plan->join_start_time = values->numbers[1];
}

static void set_share(struct plan *plan, const struct op *values)
{
    static const enum namespace_index allowed[] = {NS_PID, NS_IPC, NS_UTS, NS_NET, NS_CGROUP, NS_TIME};
    for (size_t i = 0; i < countof(allowed); i++)
        if (strcmp(values->texts[0], namespace_names[allowed[i]]) == 0) {
            plan->shared[allowed[i]] = values->texts[1];
            plan->shares = true;
            return;
        }
    refuse("share", values->texts[0], "does not know the name");
}

static void add_range(struct id_map *map, const struct op *values)
{
    for (size_t i = 0; i < 3; i++)
        if (values->numbers[i] > UINT32_MAX - 1 || (i == 2 && values->numbers[i] == 0))
            refuse(values->spec->name, NULL, "has an id or a count that is none");
    map->ranges = xrealloc(map->ranges, (map->count + 1) * sizeof *map->ranges);
    map->ranges[map->count++] = (struct id_range){
        .inside = (uint32_t)values->numbers[0],
        .outside = (uint32_t)values->numbers[1],
        .count = (uint32_t)values->numbers[2],
    };
}

static void set_uid_map(struct plan *plan, const struct op *values)
{
    add_range(&plan->uid_map, values);
}

static void set_gid_map(struct plan *plan, const struct op *values)
{
    add_range(&plan->gid_map, values);
}

static void set_map_tools(struct plan *plan, const struct op *values)
{
    plan->newuidmap = values->texts[0];
    plan->newgidmap = values->texts[1];
}

static void set_time_offset(struct plan *plan, const struct op *values)
{
    bool monotonic = strcmp(values->texts[0], "monotonic") == 0;
    if (!monotonic && strcmp(values->texts[0], "boottime") != 0)
        refuse("time-offset", values->texts[0], "does not know the clock");
    if (plan->time_offset_count == countof(plan->time_offsets))
        refuse("time-offset", NULL, "appears more than twice");
    plan->time_offsets[plan->time_offset_count++] = (struct time_offset){
        .clock = monotonic ? CLOCK_MONOTONIC : CLOCK_BOOTTIME,
        .seconds = (int64_t)values->numbers[0],
        .nanoseconds = (int64_t)values->numbers[1],
    };
}

static void set_clocks_from_zero(struct plan *plan, const struct op *values)
{
    (void)values;
    plan->clocks_from_zero = true;
}

static void set_stdio(struct plan *plan, const struct op *values)
{
    static const char *const modes[] = {
        [STDIO_INHERIT] = "inherit", [STDIO_RELAY] = "relay", [STDIO_TERMINAL] = "terminal", [STDIO_NULL] = "null"};
    for (size_t i = 0; i < countof(modes); i++)
        if (strcmp(values->texts[0], modes[i]) == 0) {
            plan->stdio = (enum stdio_mode)i;
            return;
        }
    refuse("stdio", values->texts[0], "does not know the mode");
}

static void set_terminal_size(struct plan *plan, const struct op *values)
{
    if (values->numbers[0] > UINT16_MAX || values->numbers[1] > UINT16_MAX)
        refuse("terminal-size", NULL, "is too large");
    plan->rows = (uint16_t)values->numbers[0];
    plan->columns = (uint16_t)values->numbers[1];
}

static int descriptor(const struct op *values)
{
    if (values->numbers[0] > INT_MAX)
        refuse(values->spec->name, NULL, "is no descriptor");
    return (int)values->numbers[0];
}

static void set_events_fd(struct plan *plan, const struct op *values)
{
    plan->events_fd = descriptor(values);
}

static void set_control_fd(struct plan *plan, const struct op *values)
{
    plan->control_fd = descriptor(values);
}

static void set_timeout(struct plan *plan, const struct op *values)
{
    if (values->numbers[0] > INT64_MAX / 1000000)
        refuse("timeout", NULL, "is too long");
    plan->timeout = values->numbers[0];
}

static void set_process_limit(struct plan *plan, const struct op *values)
{
    if (values->numbers[0] < 1 || values->numbers[0] > INT_MAX)
        refuse("process-limit", NULL, "has a number that is none");
    plan->process_limit = values->numbers[0];
}

static void set_cgroup(struct plan *plan, const struct op *values)
{
    if (!*values->texts[0] || *values->texts[0] == '.' || strchr(values->texts[0], '/'))
        refuse("cgroup", values->texts[0], "has a name that is none:");
    plan->cgroup = values->texts[0];
    plan->cgroup_optional = values->flags & FLAG_OPTIONAL;
}

static void add_cgroup_setting(struct plan *plan, const struct op *values)
{
    if (!*values->texts[0] || *values->texts[0] == '.' || strchr(values->texts[0], '/'))
        refuse("cgroup-set", values->texts[0], "has a file that is none of a cgroup:");
    plan->cgroup_settings = xrealloc(plan->cgroup_settings, (plan->cgroup_setting_count + 1) * sizeof *plan->cgroup_settings);
    plan->cgroup_settings[plan->cgroup_setting_count++] = (struct cgroup_setting){
        .file = values->texts[0],
        .value = values->texts[1],
        .optional = values->flags & FLAG_OPTIONAL,
    };
}

static void set_cgroup_join(struct plan *plan, const struct op *values)
{
    if (*values->texts[0] != '/' || strstr(values->texts[0], "/.."))
        refuse("cgroup-join", values->texts[0], "has a path that does not begin at the root:");
    plan->cgroup_join = values->texts[0];
    plan->cgroup_join_optional = values->flags & FLAG_OPTIONAL;
}

static void add_cleanup(struct plan *plan, const struct op *values)
{
    struct words *cleanup = &plan->cleanup;
    cleanup->list = xrealloc(cleanup->list, (cleanup->count + 1) * sizeof *cleanup->list);
    cleanup->list[cleanup->count++] = (char *)values->texts[0];
}

static void add_published(struct plan *plan, const struct op *values)
{
    struct sockaddr_storage address;
    for (size_t i = 0; i < 2; i++)
        if (values->numbers[i] < 1 || values->numbers[i] > UINT16_MAX)
            refuse("publish", NULL, "has a port that is none");
    if (!publish_address(values->texts[0], 0, &address))
        refuse("publish", values->texts[0], "has an address that is none:");
    plan->published = xrealloc(plan->published, (plan->published_count + 1) * sizeof *plan->published);
    plan->published[plan->published_count++] = (struct published_port){
        .address = values->texts[0],
        .port = (uint16_t)values->numbers[0],
        .inside = (uint16_t)values->numbers[1],
    };
}

static void set_release(struct plan *plan, const struct op *values)
{
    plan->release_folder = values->texts[0];
    plan->release_target = values->texts[1];
}

static void set_attached(struct plan *plan, const struct op *values)
{
    struct client_options parsed;
    if (!detach_keys_parse(&parsed, values->texts[0]))
        refuse("attached", values->texts[0], "has keys that are none:");
    plan->attached = values->texts[0];
    cleanup_free char *copy = xstrdup(values->texts[1]);
    for (char *rest = copy, *flag; (flag = strsep(&rest, ","));) {
        plan->attached_input |= strcmp(flag, "stdin") == 0;
        plan->attached_leaves |= strcmp(flag, "leave") == 0;
        plan->attached_hides[0] |= strcmp(flag, "no-stdout") == 0;
        plan->attached_hides[1] |= strcmp(flag, "no-stderr") == 0;
    }
}

static void set_health(struct plan *plan, const struct op *values)
{
    plan->health = (struct health_plan){
        .report = values->texts[0],
        .plan = values->texts[1],
        .on_failure = values->texts[2],
        .interval = values->numbers[0],
        .timeout = values->numbers[1],
        .retries = values->numbers[2],
        .start_period = values->numbers[3],
        .start_interval = values->numbers[4],
    };
    for (size_t i = 0; i < 5; i++)
        if (values->numbers[i] > INT64_MAX / 1000000)
            refuse("health", NULL, "has a time that is too long");
}

static void set_stop(struct plan *plan, const struct op *values)
{
    if (values->numbers[0] < 1 || values->numbers[0] >= NSIG || values->numbers[1] > INT64_MAX / 1000000)
        refuse("stop-signal", NULL, "has a signal or a time that is none");
    plan->stop_signal = values->numbers[0];
    plan->stop_timeout = values->numbers[1];
}

static void set_log_limit(struct plan *plan, const struct op *values)
{
    if (values->numbers[1] < 1 || values->numbers[1] > 1000)
        refuse("log-limit", NULL, "has a number of files that is none or too large");
    plan->log_limit = values->numbers[0];
    plan->log_files = values->numbers[1];
}

static void set_journal(struct plan *plan, const struct op *values)
{
    plan->journal = values->texts[0];
    plan->journal_actor = values->texts[1];
}

static void set_restart(struct plan *plan, const struct op *values)
{
    plan->restart_policy = values->texts[0];
    plan->restart_stop = values->texts[1];
}

static void set_restarted(struct plan *plan, const struct op *values)
{
    plan->restarted = true;
    plan->restart_count = values->numbers[0];
    plan->restart_delay = values->numbers[1];
}

static void set_on_failure(struct plan *plan, const struct op *values)
{
    plan->on_failure = values->words;
}

#define TEXT_SETTER(field)                                                                                             \
    static void set_##field(struct plan *plan, const struct op *values)                                                \
    {                                                                                                                  \
        plan->field = values->texts[0];                                                                                \
    }
static void set_hostname_may_stay(struct plan *plan, const struct op *values)
{
    (void)values;
    plan->hostname_may_stay = true;
}
TEXT_SETTER(hostname)
TEXT_SETTER(domainname)
TEXT_SETTER(announce)
TEXT_SETTER(events)
TEXT_SETTER(attach)
TEXT_SETTER(log)
TEXT_SETTER(lock)

#define SWITCH_SETTER(field)                                                                                           \
    static void set_##field(struct plan *plan, const struct op *values)                                                \
    {                                                                                                                  \
        (void)values;                                                                                                  \
        plan->field = true;                                                                                            \
    }
SWITCH_SETTER(stdin_open)
SWITCH_SETTER(detach)
SWITCH_SETTER(signal_proxy)
SWITCH_SETTER(die_with_parent)
SWITCH_SETTER(init)

static const struct setting_spec setting_specs[] = {
    {{"namespace", "t", 0, NULL}, set_namespace},
    {{"join", "nn", 0, NULL}, set_join},
    {{"share", "tp", 0, NULL}, set_share},
    {{"uid-map", "nnn", 0, NULL}, set_uid_map},
    {{"gid-map", "nnn", 0, NULL}, set_gid_map},
    {{"map-tools", "pp", 0, NULL}, set_map_tools},
    {{"time-offset", "tin", 0, NULL}, set_time_offset},
    {{"hostname", "t", 0, NULL}, set_hostname},
    {{"hostname-may-stay", "", 0, NULL}, set_hostname_may_stay},
    {{"domainname", "t", 0, NULL}, set_domainname},
    {{"stdio", "t", 0, NULL}, set_stdio},
    {{"stdin", "", 0, NULL}, set_stdin_open},
    {{"detach", "", 0, NULL}, set_detach},
    {{"announce", "t", 0, NULL}, set_announce},
    {{"terminal-size", "nn", 0, NULL}, set_terminal_size},
    {{"on-failure", "*", 0, NULL}, set_on_failure},
    {{"attach", "p", 0, NULL}, set_attach},
    {{"attached", "tt", 0, NULL}, set_attached},
    {{"release", "pt", 0, NULL}, set_release},
    {{"health", "ppnnnnnt", 0, NULL}, set_health},
    {{"stop-signal", "nn", 0, NULL}, set_stop},
    {{"log-limit", "nn", 0, NULL}, set_log_limit},
    {{"journal", "pt", 0, NULL}, set_journal},
    {{"restart", "pp", 0, NULL}, set_restart},
    {{"restarted", "nn", 0, NULL}, set_restarted},
    {{"events", "p", 0, NULL}, set_events},
    {{"events-fd", "n", 0, NULL}, set_events_fd},
    {{"log", "p", 0, NULL}, set_log},
    {{"lock", "p", 0, NULL}, set_lock},
    {{"timeout", "n", 0, NULL}, set_timeout},
    {{"clocks-from-zero", "", 0, NULL}, set_clocks_from_zero},
    {{"process-limit", "n", 0, NULL}, set_process_limit},
    {{"cgroup", "tf", FLAG_OPTIONAL, NULL}, set_cgroup},
    {{"cgroup-set", "ttf", FLAG_OPTIONAL, NULL}, add_cgroup_setting},
    {{"cgroup-join", "pf", FLAG_OPTIONAL, NULL}, set_cgroup_join},
    {{"signal-proxy", "", 0, NULL}, set_signal_proxy},
    {{"die-with-parent", "", 0, NULL}, set_die_with_parent},
    {{"control-fd", "n", 0, NULL}, set_control_fd},
    {{"cleanup", "p", 0, NULL}, add_cleanup},
    {{"init", "", 0, NULL}, set_init},
    {{"publish", "tnn", 0, NULL}, add_published},
};

/*** The whole ***/

const struct op_spec *op_spec_find(const char *name)
{
    for (size_t i = 0; i < countof(op_specs); i++)
        if (strcmp(op_specs[i].name, name) == 0)
            return &op_specs[i];
    return NULL;
}

static const struct setting_spec *setting_find(const char *name)
{
    for (size_t i = 0; i < countof(setting_specs); i++)
        if (strcmp(setting_specs[i].spec.name, name) == 0)
            return &setting_specs[i];
    return NULL;
}

const struct op *plan_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->op_count; i++)
        if (strcmp(plan->ops[i].spec->name, name) == 0)
            return &plan->ops[i];
    return NULL;
}

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static void check_op(const struct plan *plan, const struct op *op, bool has_root)
{
    static const char *const last[] = {"exec", "apply", "pack", "changes", "pick", "place", "look", "remove", "finish"};
    static const char *const anywhere[] = {"private-mounts", "slave-mounts", "loopback", "root", "overlay", "chown", "session-keyring"};
    static const char *const unmounted[] = {"loopback", "root", "mkdir", "file", "symlink", "session-keyring"};
    const char *name = op->spec->name;
    bool is_last = op->index == plan->op_count;

    if (is_one_of(name, last, countof(last)) != is_last)
        refuse(name, NULL, is_last ? "cannot be the last op" : "must be the last op");
    if (op->spec->act && !has_root && !is_one_of(name, anywhere, countof(anywhere)))
        refuse(name, NULL, "needs a root op before it");
    /* Never touch the host's own mounts, whatever the plan says. */
    if (op->spec->act && !plan->namespaces[NS_MOUNT] && !is_one_of(name, unmounted, countof(unmounted)))
        refuse(name, NULL, "needs a new mount namespace");
    if (strcmp(name, "loopback") == 0 && !plan->namespaces[NS_NET])
        refuse(name, NULL, "needs a new net namespace");
    if (strcmp(name, "shared-memory") == 0 && !plan->shared[NS_IPC])
        refuse(name, NULL, "needs a shared ipc namespace");
    if (strcmp(name, "exec") == 0 && op->words.count == 0 && !plan->init)
        refuse(name, NULL, "has no words, and there is no init");
    if (strcmp(name, "user") == 0) {
        uint64_t id;
        for (size_t i = 0; i < op->words.count; i++)
            if (!parse_number(op->words.list[i], UINT32_MAX - 1, &id))
                refuse(name, op->words.list[i], "has a group that is no number:");
    }
    if ((strcmp(name, "user") == 0 || strcmp(name, "chown") == 0 || strcmp(name, "fill") == 0) &&
        (op->numbers[0] >= UINT32_MAX || op->numbers[1] >= UINT32_MAX))
        refuse(name, NULL, "has an id that is too large");
    if (strcmp(name, "capabilities") == 0) {
        uint64_t effective = op->numbers[1], permitted = op->numbers[2], inheritable = op->numbers[3],
                 ambient = op->numbers[4];
        if ((effective & ~permitted) || (ambient & ~(permitted & inheritable)))
            refuse(name, NULL, "has effective or ambient ones that the kernel would not keep");
    }
    if (strncmp(name, "overlay", 7) == 0) {
        if (op->words.count == 0)
            refuse(name, NULL, "has no lower directory");
        if ((op->flags & (FLAG_COPY | FLAG_FUSE)) == (FLAG_COPY | FLAG_FUSE))
            refuse(name, NULL, "is by copy or by fuse, not both");
        if ((!(op->flags & FLAG_RO) || (op->flags & FLAG_COPY)) && (!*op->texts[1] || !*op->texts[2]))
            refuse(name, NULL, "has no upper or work directory, and is not ro");
    }
    if (strcmp(name, "pack") == 0 && (op->flags & FLAG_MERGE) && (!(op->flags & FLAG_TREE) || op->words.count == 0))
        refuse(name, NULL, "merges layers without saying tree, or without layers");
}

static void check_plan(const struct plan *plan)
{
    bool any_namespace = false, has_root = false;
    for (size_t i = 0; i < NS_COUNT; i++)
        any_namespace |= plan->namespaces[i];
    if (plan->join_pid && any_namespace)
        refuse("join", NULL, "excludes new namespaces");
    if (plan->join_pid && plan->init)
        refuse("join", NULL, "excludes init");
    for (size_t i = 0; i < NS_COUNT; i++)
        if (plan->shared[i] && plan->namespaces[i])
            refuse("share", namespace_names[i], "names a new namespace:");
    if (plan->shares && (plan->namespaces[NS_USER] || plan->join_pid))
        refuse("share", NULL, "excludes join and a new user namespace");
    if (!plan->namespaces[NS_USER] && !plan->shares && (plan->uid_map.count || plan->gid_map.count))
        refuse("uid-map", NULL, "needs a new user namespace");
    if (plan->namespaces[NS_USER] && (!plan->uid_map.count || !plan->gid_map.count))
        refuse("namespace user", NULL, "needs uid-map and gid-map");
    if (!plan->namespaces[NS_USER] && plan->process_limit)
        refuse("process-limit", NULL, "needs a new user namespace");
    if (!plan->cgroup && plan->cgroup_setting_count)
        refuse("cgroup-set", NULL, "needs a cgroup");
    if (!plan->join_pid && plan->cgroup_join)
        refuse("cgroup-join", NULL, "needs a process to join");
    if (!plan->namespaces[NS_UTS] && (plan->hostname || plan->domainname))
        refuse("hostname", NULL, "needs a new uts namespace");
    if (!plan->namespaces[NS_TIME] && (plan->time_offset_count || plan->clocks_from_zero))
        refuse("time-offset", NULL, "needs a new time namespace");
    if (plan->published_count && !plan->namespaces[NS_NET])
        refuse("publish", NULL, "needs a new net namespace");
    if (plan->init && !plan->namespaces[NS_PID] && !plan->namespaces[NS_MOUNT])
        refuse("init", NULL, "needs a new pid namespace, or a mount namespace to be told by");
    if (plan->op_count == 0)
        refuse("it", NULL, "has no op");
    if (plan->init && strcmp(plan->ops[plan->op_count - 1].spec->name, "exec") != 0)
        refuse("init", NULL, "needs exec as the last op");
    for (size_t i = 0; i < plan->op_count; i++) {
        has_root |= strcmp(plan->ops[i].spec->name, "root") == 0;
        check_op(plan, &plan->ops[i], has_root);
    }
}

static char **split_words(char *text, size_t length, size_t *count)
{
    *count = 0;
    if (length == 0 || text[length - 1])
        refuse("it", NULL, "does not end with a NUL");
    for (size_t i = 0; i < length; i++)
        *count += !text[i];
    char **words = xcalloc(*count, sizeof *words);
    for (size_t i = 0, start = 0; i < *count; i++) {
        words[i] = text + start;
        start += strlen(text + start) + 1;
    }
    return words;
}

void plan_parse(struct plan *plan, char *text, size_t length)
{
    *plan = (struct plan){.events_fd = -1, .control_fd = -1, .text = text};
    struct reader reader = {0};
    cleanup_free char **words = split_words(text, length, &reader.count);
    reader.words = words;

    const char *magic = next_word(&reader, "it");
    if (strcmp(magic, "tsbox-plan") != 0)
        refuse("it", magic, "does not begin with tsbox-plan but with");
    uint64_t version = next_number(&reader, "the version", 10, UINT32_MAX);
    if (version != PLAN_VERSION)
        die(0, NULL, "Cannot read the plan: it has version %u, the helper reads %u", (unsigned)version, PLAN_VERSION);

    while (reader.next < reader.count) {
        const char *name = next_word(&reader, "it");
        const struct setting_spec *setting = plan->op_count ? NULL : setting_find(name);
        struct op values = {.spec = setting ? &setting->spec : op_spec_find(name), .index = plan->op_count + 1};
        if (!values.spec)
            refuse("it", name, setting_find(name) ? "has a setting after an op:" : "has an unknown word");
        read_operands(&reader, &values);
        if (setting) {
            setting->set(plan, &values);
            continue;
        }
        /* Grow by doubling: powers of two are full. */
        if ((plan->op_count & (plan->op_count - 1)) == 0)
            plan->ops = xrealloc(plan->ops, (plan->op_count ? plan->op_count * 2 : 1) * sizeof *plan->ops);
        plan->ops[plan->op_count++] = values;
    }
    check_plan(plan);
}

void plan_add_settings(struct plan *plan, char **words, size_t count)
{
    struct reader reader = {.words = words, .count = count};
    while (reader.next < reader.count) {
        const char *name = next_word(&reader, "the command line");
        const struct setting_spec *setting = setting_find(name);
        if (!setting)
            refuse("the command line", name, "has an unknown setting");
        struct op values = {.spec = &setting->spec};
        read_operands(&reader, &values);
        setting->set(plan, &values);
    }
    check_plan(plan);
}

bool plan_is_background(const struct plan *plan)
{
    return plan->detach || plan->restarted;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->op_count; i++)
        free(plan->ops[i].words.list);
    free(plan->ops);
    free(plan->uid_map.ranges);
    free(plan->gid_map.ranges);
    free(plan->on_failure.list);
    free(plan->cleanup.list);
    free(plan->published);
    free(plan->cgroup_settings);
    free(plan->text);
    *plan = (struct plan){0};
}
