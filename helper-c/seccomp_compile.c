/*
 * `seccomp`: rule words (ARCHITECTURE.md) on standard input become BPF on standard output.
 *
 * libseccomp makes the filter. In front of it comes a prologue of our own, for two things that it
 * cannot do:
 *
 * - A system call newer than any that the profile names answers ENOSYS, not the profile's default
 *   (mostly EPERM). C libraries try new calls and fall back on ENOSYS only; EPERM makes them fail.
 *   The line is drawn at the largest number that the profile names, for each architecture. A
 *   profile that allows by default needs none of this.
 * - Calls that this libseccomp has no name for. From 424 (pidfd_send_signal) on all architectures
 *   number system calls alike, apart from a fixed offset (x32's bit 30, MIPS's 4000 …), so a table of
 *   numbers does. Its rules have no conditions on arguments: one that has answers ENOSYS, as if
 *   the kernel were older, which denies no less.
 *
 * - 32-bit x86 programs may make sockets by socketcall, whose arguments lie in memory, where no filter
 *   can look. A profile that allows some sockets only would allow them all there (libseccomp drops the
 *   conditions): so SYS_SOCKET is refused. C libraries of the last ten years call socket itself.
 *
 * Nothing else is decided here: the profile with all its defaults is the runner's.
 */
#include "helper.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARCHITECTURES_MAX 16
#define ARGUMENTS 6
#define X32_BIT 0x40000000u

/* Numbers of the generic table; include/uapi/asm-generic/unistd.h of Linux 6.18. */
static const struct {
    const char *name;
    int number;
} newer_calls[] = {
    {"memfd_secret", 447},
    {"process_mrelease", 448},
    {"futex_waitv", 449},
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
    {"file_getattr", 468},
    {"file_setattr", 469},
};

struct action {
    uint32_t library; /* SCMP_ACT_* */
    uint32_t kernel;  /* SECCOMP_RET_* with its data */
};

/* A rule by number for the prologue; `number` without the architecture's offset. */
struct extra {
    int number;
    uint32_t kernel;
};

struct compiler {
    char *text, *at, *end; /* the words */
    scmp_filter_ctx context;
    struct action fallback; /* of calls that no rule names */
    bool permissive;        /* the default lets calls happen: no line is drawn */
    uint32_t architectures[ARCHITECTURES_MAX]; /* SCMP_ARCH_* */
    int largest[ARCHITECTURES_MAX];            /* number without offset, -1: none */
    size_t architecture_count;
    struct extra extras[countof(newer_calls)];
    size_t extra_count;
    bool some_sockets; /* whether a socket may be made depends on its arguments */
};

/*** Words ***/

static const char *next_word(struct compiler *c)
{
    if (c->at == c->end)
        die(0, NULL, "Cannot compile the seccomp profile: it ends in the middle of a rule");
    char *word = c->at;
    c->at += strlen(word) + 1;
    return word;
}

static uint64_t next_number(struct compiler *c, uint64_t max)
{
    const char *word = next_word(c);
    uint64_t value;
    if (!parse_number(word, UINT64_MAX, &value) || value > max)
        die(0, word, "Cannot compile the seccomp profile: expected a number of at most %llu, got",
            (unsigned long long)max);
    return value;
}

static struct action next_action(struct compiler *c)
{
    static const struct {
        const char *name;
        uint32_t library, kernel;
    } actions[] = {
        {"allow", SCMP_ACT_ALLOW, SECCOMP_RET_ALLOW},
        {"errno", SCMP_ACT_ERRNO(0), SECCOMP_RET_ERRNO},
        {"kill-thread", SCMP_ACT_KILL_THREAD, SECCOMP_RET_KILL_THREAD},
        {"kill-process", SCMP_ACT_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS},
        {"trap", SCMP_ACT_TRAP, SECCOMP_RET_TRAP},
        {"log", SCMP_ACT_LOG, SECCOMP_RET_LOG},
        {"trace", SCMP_ACT_TRACE(0), SECCOMP_RET_TRACE},
        {"notify", SCMP_ACT_NOTIFY, SECCOMP_RET_USER_NOTIF},
    };
    const char *word = next_word(c);
    /* The kernel cuts errno at 4095 (MAX_ERRNO); trace has all of its 16 bits. */
    uint32_t data = (uint32_t)next_number(c, strcmp(word, "trace") == 0 ? 65535 : 4095);
    for (size_t i = 0; i < countof(actions); i++)
        if (strcmp(word, actions[i].name) == 0) {
            bool with_data = i == 1 || i == 6;
            return (struct action){actions[i].library | (with_data ? data : 0),
                                   actions[i].kernel | (with_data ? data : 0)};
        }
    die(0, word, "Cannot compile the seccomp profile: unknown action");
}

static enum scmp_compare next_operator(struct compiler *c)
{
    static const char *const names[] = {"ne", "lt", "le", "eq", "ge", "gt", "masked-eq"};
    static const enum scmp_compare operators[] = {SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE,       SCMP_CMP_EQ,
                                                  SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};
    const char *word = next_word(c);
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(word, names[i]) == 0)
            return operators[i];
    die(0, word, "Cannot compile the seccomp profile: unknown comparison");
}

/*** Architectures ***/

/* The architecture's offset: what it adds to a number of the generic table. */
static int offset_of(uint32_t architecture)
{
    return seccomp_syscall_resolve_name_arch(architecture, "pidfd_send_signal") - 424;
}

static void add_architecture(struct compiler *c, uint32_t architecture)
{
    for (size_t i = 0; i < c->architecture_count; i++)
        if (c->architectures[i] == architecture)
            return;
    if (c->architecture_count == ARCHITECTURES_MAX)
        die(E2BIG, NULL, "Cannot compile the seccomp profile: more than %d architectures", ARCHITECTURES_MAX);
    c->largest[c->architecture_count] = -1;
    c->architectures[c->architecture_count++] = architecture;
    int added = seccomp_arch_add(c->context, architecture);
    if (added < 0 && added != -EEXIST)
        die(-added, NULL, "Cannot compile the seccomp profile: the architecture cannot be added");
}

static void read_architecture(struct compiler *c)
{
    /* As the OCI runtime specification has them, or libseccomp's own short names. */
    const char *word = next_word(c);
    char name[32];
    const char *from = strncmp(word, "SCMP_ARCH_", 10) == 0 ? word + 10 : word;
    size_t length = 0;
    for (; from[length] && length < sizeof name - 1; length++)
        name[length] = (char)(from[length] >= 'A' && from[length] <= 'Z' ? from[length] + 32 : from[length]);
    name[length] = '\0';
    uint32_t architecture = seccomp_arch_resolve_name(name);
    if (architecture == 0)
        die(0, word, "Cannot compile the seccomp profile: unknown architecture");
    add_architecture(c, architecture);
}

/*** Rules ***/

/* For each architecture, remember how far the profile's knowledge of system calls goes. */
static void note_number(struct compiler *c, const char *name, int newer)
{
    for (size_t i = 0; i < c->architecture_count; i++) {
        int number = seccomp_syscall_resolve_name_arch(c->architectures[i], name);
        number = number >= 0 ? number - offset_of(c->architectures[i]) : newer;
        if (number > c->largest[i])
            c->largest[i] = number;
    }
}

static void add_extra(struct compiler *c, int number, uint32_t kernel)
{
    /* The first rule holds, as a second rule for the same call would be refused by libseccomp. */
    for (size_t i = 0; i < c->extra_count; i++)
        if (c->extras[i].number == number)
            return;
    if (c->extra_count < countof(c->extras))
        c->extras[c->extra_count++] = (struct extra){number, kernel};
}

static void add_rule(struct compiler *c, struct action action, const char *name, int number,
                     const struct scmp_arg_cmp *conditions, unsigned count)
{
    int added = seccomp_rule_add_array(c->context, action.library, number, count, conditions);
    /* -EDOM: this call does not exist on one of the architectures in the form that conditions need;
     * -EEXIST: an equal rule is there. */
    if (added < 0 && added != -EEXIST && added != -EDOM)
        die(-added, name, "Cannot compile the seccomp profile: the rule cannot be added for");
}

static void read_rule(struct compiler *c)
{
    struct action action = next_action(c);
    const char *name = next_word(c);
    unsigned count = (unsigned)next_number(c, ARGUMENTS);
    struct scmp_arg_cmp conditions[ARGUMENTS];
    bool repeated = false;
    unsigned seen = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned index = (unsigned)next_number(c, ARGUMENTS - 1);
        enum scmp_compare operator= next_operator(c);
        uint64_t value = next_number(c, UINT64_MAX), mask = next_number(c, UINT64_MAX);
        bool masked = operator== SCMP_CMP_MASKED_EQ;
        conditions[i] = (struct scmp_arg_cmp){
            .arg = index, .op = operator, .datum_a = masked ? mask : value, .datum_b = masked ? value : 0};
        repeated |= (seen >> index) & 1;
        seen |= 1u << index;
    }

    c->some_sockets |= count > 0 && strcmp(name, "socket") == 0;
    int newer = -1;
    for (size_t i = 0; i < countof(newer_calls); i++)
        if (strcmp(name, newer_calls[i].name) == 0)
            newer = newer_calls[i].number;
    note_number(c, name, newer);

    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
        if (newer >= 0)
            add_extra(c, newer, count ? SECCOMP_RET_ERRNO | ENOSYS : action.kernel);
        return; /* unknown: profiles name calls of other kernels and architectures */
    }
    if (action.library == c->fallback.library)
        return;
    if (!repeated) {
        add_rule(c, action, name, number, conditions, count);
        return;
    }
    /* libseccomp takes one condition an argument; several on one mean "any of them" (as in runc). */
    for (unsigned i = 0; i < count; i++)
        add_rule(c, action, name, number, &conditions[i], 1);
}

/*** The prologue ***/

struct program {
    struct sock_filter code[ARCHITECTURES_MAX * (2 * countof(newer_calls) + 8)];
    size_t length;
};

static void emit(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
    if (p->length == countof(p->code))
        die(E2BIG, NULL, "Cannot compile the seccomp profile: its prologue is too long");
    p->code[p->length++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

#define I386_SOCKETCALL 102
#define SYS_SOCKET_CALL 1
#define SOCKETCALL_LENGTH 5

/* The number is in A, before and after. */
static void emit_socketcall(struct program *p)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, SOCKETCALL_LENGTH - 1, I386_SOCKETCALL);
    emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_SOCKET_CALL);
    emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
    emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
}

/* Numbers of one architecture, in A; falls through for all that the main filter has to judge. */
static void emit_numbers(struct program *p, const struct compiler *c, int largest, uint32_t offset)
{
    for (size_t i = 0; i < c->extra_count; i++) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)c->extras[i].number + offset);
        emit(p, BPF_RET | BPF_K, 0, 0, c->extras[i].kernel);
    }
    if (!c->permissive && largest >= 0) {
        emit(p, BPF_JMP | BPF_JGT | BPF_K, 0, 1, (uint32_t)largest + offset);
        emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
    }
}

static size_t numbers_length(const struct compiler *c, int largest)
{
    return 2 * c->extra_count + (!c->permissive && largest >= 0 ? 2 : 0);
}

static int largest_of(const struct compiler *c, uint32_t architecture, bool *found)
{
    *found = false;
    for (size_t i = 0; i < c->architecture_count; i++)
        if (c->architectures[i] == architecture) {
            *found = true;
            return c->largest[i];
        }
    return -1;
}

/*
 * For each architecture: if it is this one, look at the number, then go on with the main filter.
 * x32 has x86-64's audit value and bit 30 in the number; where it is not in the profile, libseccomp's
 * filter deals with it.
 */
static void emit_prologue(struct program *p, const struct compiler *c)
{
    const uint32_t arch_at = offsetof(struct seccomp_data, arch), number_at = offsetof(struct seccomp_data, nr);
    emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, arch_at);
    for (size_t i = 0; i < c->architecture_count; i++) {
        uint32_t architecture = c->architectures[i];
        if (architecture == SCMP_ARCH_X32)
            continue; /* with x86-64; alone it gets no prologue */
        bool x32 = false;
        int x32_largest = architecture == SCMP_ARCH_X86_64 ? largest_of(c, SCMP_ARCH_X32, &x32) : -1;
        size_t own = numbers_length(c, c->largest[i]), other = x32 ? numbers_length(c, x32_largest) : 0;
        bool split = architecture == SCMP_ARCH_X86_64;
        /* load, [test for bit 30], own, jump, [x32's, jump], reload of arch is not needed after a match */
        bool sockets = architecture == SCMP_ARCH_X86 && c->some_sockets && !c->permissive;
        size_t body = 1 + (sockets ? SOCKETCALL_LENGTH : 0) + own + 1 + (split ? 1 + other + 1 : 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)body, architecture);
        if (body > UINT8_MAX)
            die(E2BIG, NULL, "Cannot compile the seccomp profile: its prologue is too long");
        emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, number_at);
        if (sockets)
            emit_socketcall(p);
        if (split)
            emit(p, BPF_JMP | BPF_JSET | BPF_K, (uint8_t)(own + 1), 0, X32_BIT);
        emit_numbers(p, c, c->largest[i], (uint32_t)offset_of(architecture));
        emit(p, BPF_JMP | BPF_JA, 0, 0, UINT32_MAX); /* to the end: filled in below */
        if (split) {
            if (x32)
                emit_numbers(p, c, x32_largest, X32_BIT);
            emit(p, BPF_JMP | BPF_JA, 0, 0, UINT32_MAX);
        }
    }
    for (size_t i = 0; i < p->length; i++)
        if (p->code[i].code == (BPF_JMP | BPF_JA))
            p->code[i].k = (uint32_t)(p->length - i - 1);
}

/*** The whole ***/

static void read_profile(struct compiler *c)
{
    if (strcmp(next_word(c), "tsbox-seccomp") != 0)
        die(0, NULL, "Cannot compile the seccomp profile: it does not begin with \"tsbox-seccomp\"");
    const char *version = next_word(c);
    if (strcmp(version, "1") != 0)
        die(0, version, "Cannot compile the seccomp profile: expected version 1, got");
    if (strcmp(next_word(c), "default") != 0)
        die(0, NULL, "Cannot compile the seccomp profile: the default action comes first");
    c->fallback = next_action(c);
    c->permissive = c->fallback.kernel == SECCOMP_RET_ALLOW || c->fallback.kernel == SECCOMP_RET_LOG;
    c->context = seccomp_init(c->fallback.library);
    if (!c->context)
        die(EINVAL, NULL, "Cannot compile the seccomp profile: its default action is not possible here");
    /* no_new_privs is an op of the plan. */
    seccomp_attr_set(c->context, SCMP_FLTATR_CTL_NNP, 0);
    /* A tree instead of a list of 500 tests: the kernel walks the filter for each syscall number when it
     * is loaded, so each start gains as well. Older libraries do not know it, and make the list. */
    seccomp_attr_set(c->context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    add_architecture(c, seccomp_arch_native());
    bool rules = false;
    while (c->at < c->end) {
        const char *word = next_word(c);
        if (strcmp(word, "arch") == 0 && !rules)
            read_architecture(c);
        else if (strcmp(word, "rule") == 0) {
            rules = true;
            read_rule(c);
        } else
            die(0, word, "Cannot compile the seccomp profile: expected \"arch\", then \"rule\", got");
    }
}

int cmd_seccomp(int argc, char **argv)
{
    if (argc > 1)
        die(0, argv[1], "Cannot compile the seccomp profile: unexpected argument");
    struct compiler c = {0};
    size_t length;
    c.text = read_all(STDIN_FILENO, &length);
    if (!c.text)
        die(errno, NULL, "Cannot read the seccomp profile");
    if (length == 0 || c.text[length - 1] != '\0')
        die(0, NULL, "Cannot compile the seccomp profile: it was cut off");
    c.at = c.text;
    c.end = c.text + length;
    read_profile(&c);

    cleanup_fd int memory = memfd_create("seccomp", MFD_CLOEXEC);
    int exported = memory < 0 ? -errno : seccomp_export_bpf(c.context, memory);
    if (exported < 0)
        die(-exported, NULL, "Cannot compile the seccomp profile");
    if (lseek(memory, 0, SEEK_SET) < 0)
        die(errno, NULL, "Cannot compile the seccomp profile");
    size_t size;
    cleanup_free char *filter = read_all(memory, &size);
    if (!filter)
        die(errno, NULL, "Cannot compile the seccomp profile");
    static struct program prologue;
    prologue.length = 0;
    if (!c.permissive || c.extra_count)
        emit_prologue(&prologue, &c);
    if (prologue.length + size / sizeof prologue.code[0] > BPF_MAXINSNS)
        die(E2BIG, NULL, "Cannot compile the seccomp profile: more than %d instructions", BPF_MAXINSNS);
    if (write_all(STDOUT_FILENO, prologue.code, prologue.length * sizeof prologue.code[0]) < 0 ||
        write_all(STDOUT_FILENO, filter, size) < 0)
        die(errno, NULL, "Cannot write the seccomp filter");
    seccomp_release(c.context);
    free(c.text);
    return 0;
}
