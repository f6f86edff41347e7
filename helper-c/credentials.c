/*
 * What the program may do: limits, ids, groups, capabilities. Everything here happens in the last
 * moments before exec, and in an order the kernel dictates: the bounding set while CAP_SETPCAP is
 * there, ids with the permitted set kept, then the exact sets, then no_new_privs and the filter.
 */
#include "helper.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    int resource;
} rlimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},     {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},   {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},   {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME}, {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

int rlimit_resource(const char *name)
{
    for (size_t i = 0; i < countof(rlimits); i++)
        if (strcmp(rlimits[i].name, name) == 0)
            return rlimits[i].resource;
    return -1;
}

static rlim_t limit(uint64_t value)
{
    return value == UNLIMITED ? RLIM_INFINITY : (rlim_t)value;
}

int apply_rlimits(const struct plan *plan)
{
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if (strcmp(op->spec->name, "rlimit") != 0)
            continue;
        set_current_op("rlimit", op->index);
        struct rlimit wanted = {.rlim_cur = limit(op->numbers[1]), .rlim_max = limit(op->numbers[2])};
        if (setrlimit((__rlimit_resource_t)op->numbers[0], &wanted) < 0)
            return fail(errno, NULL, "Cannot set the resource limit");
    }
    return 0;
}

struct capability_sets {
    uint64_t effective, permitted, inheritable;
};

static int get_capabilities(struct capability_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int set_capabilities(const struct capability_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable},
        {(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32), (uint32_t)(sets->inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}

static int drop_bounding(uint64_t keep)
{
    for (unsigned capability = 0; capability < 64; capability++) {
        if (keep >> capability & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return errno == EINVAL ? 0 : fail(errno, NULL, "Cannot drop capability %u", capability);
    }
    return 0;
}

static int change_ids(const struct op *user)
{
    gid_t groups[256];
    if (user->words.count > countof(groups))
        return fail(EINVAL, NULL, "Cannot set more than %zu groups", countof(groups));
    for (size_t i = 0; i < user->words.count; i++) {
        uint64_t id = 0;
        parse_number(user->words.list[i], UINT32_MAX - 1, &id);
        groups[i] = (gid_t)id;
    }
    /* EPERM: with one mapped id the kernel denies setgroups for good (user_namespaces(7)), and what
     * groups there are cannot be given up. */
    if (setgroups(user->words.count, groups) < 0 && errno != EPERM)
        return fail(errno, NULL, "Cannot set the supplementary groups");
    gid_t gid = (gid_t)user->numbers[1];
    uid_t uid = (uid_t)user->numbers[0];
    if (setresgid(gid, gid, gid) < 0)
        return fail(errno, NULL, "Cannot become group %u", gid);
    if (setresuid(uid, uid, uid) < 0)
        return fail(errno, NULL, "Cannot become user %u", uid);
    return 0;
}

/* Without no_new_privs a filter may only be installed with CAP_SYS_ADMIN (seccomp(2)). */
static bool filter_needs_admin(const struct plan *plan)
{
    return plan_find(plan, "seccomp") && !plan_find(plan, "no-new-privs");
}

static int wanted_capabilities(const struct op *op, struct capability_sets *sets)
{
    struct capability_sets now;
    if (get_capabilities(&now) < 0)
        return fail(errno, NULL, "Cannot read the capabilities");
    /* Masked with what there is: a newer kernel's capability cannot be given on an older one. */
    *sets = (struct capability_sets){
        .effective = op->numbers[1] & now.permitted,
        .permitted = op->numbers[2] & now.permitted,
        .inheritable = op->numbers[3] & now.permitted,
    };
    return 0;
}

int apply_credentials(const struct plan *plan)
{
    const struct op *user = plan_find(plan, "user");
    const struct op *capabilities = plan_find(plan, "capabilities");
    uint64_t admin = filter_needs_admin(plan) ? UINT64_C(1) << CAP_SYS_ADMIN : 0;

    if (capabilities) {
        set_current_op("capabilities", capabilities->index);
        if (drop_bounding(capabilities->numbers[0]) < 0)
            return -1;
    }
    if (capabilities || admin)
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (user) {
        set_current_op("user", user->index);
        if (change_ids(user) < 0)
            return -1;
    }
    struct capability_sets sets;
    if (!capabilities && !admin)
        return 0;
    if (!capabilities) {
        if (get_capabilities(&sets) < 0)
            return fail(errno, NULL, "Cannot read the capabilities");
        sets.effective |= admin & sets.permitted;
        return set_capabilities(&sets) < 0 ? fail(errno, NULL, "Cannot set the capabilities") : 0;
    }
    set_current_op("capabilities", capabilities->index);
    if (wanted_capabilities(capabilities, &sets) < 0)
        return -1;
    struct capability_sets now = sets;
    now.effective |= admin;
    now.permitted |= admin;
    if (set_capabilities(&now) < 0)
        return fail(errno, NULL, "Cannot set the capabilities");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned capability = 0; capability < 64; capability++)
        if ((capabilities->numbers[4] & sets.permitted) >> capability & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return fail(errno, NULL, "Cannot raise ambient capability %u", capability);
    return 0;
}

/* A login's session keyring leads to all keys of its user, and an empty one of its own to none. */
int op_session_keyring(struct run *run, const struct op *op)
{
    (void)run, (void)op;
    /* where the kernel knows no keys, or an outer filter refuses them, the program cannot ask for one either */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
        return fail(errno, NULL, "Cannot make a session keyring");
    return 0;
}

int apply_filter(const struct run *run)
{
    const struct plan *plan = &run->plan;
    const struct op *op = plan_find(plan, "no-new-privs");
    if (op) {
        set_current_op("no-new-privs", op->index);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return fail(errno, NULL, "Cannot set no_new_privs");
    }
    if (!run->filter)
        return 0;
    const struct op *capabilities = plan_find(plan, "capabilities");
    struct capability_sets sets;
    bool drop = filter_needs_admin(plan) && capabilities;
    if (drop && wanted_capabilities(capabilities, &sets) < 0)
        return -1;
    op = plan_find(plan, "seccomp");
    set_current_op("seccomp", op->index);
    if (install_filter(run->filter, run->filter_length) < 0)
        return fail(errno, op->texts[0], "Cannot install the seccomp filter");
    /* The filter may refuse capset. That gives nothing away: exec computes the sets anew from the
     * bounding and ambient ones, which have been set (capabilities(7)). */
    if (drop)
        set_capabilities(&sets);
    return 0;
}
