/*
 * dist/tsbox, what people start. A `run` that was made before is made again from its kept start ("Contract 3" in ARCHITECTURE.md) if everything
 * it depended on is as it was: a container's folder is written and the helper executed, without Node. In every other case, and wherever something is
 * not as expected, Node runs the command line, which says what is wrong. So nothing depends on this program but time.
 *
 * A kept start is a list of words, each ended by a NUL. It is gone through twice: CHECK evaluates the conditions and validates all of it, MAKE does what
 * stands in it. What MAKE has made before it fails is taken back.
 */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* In this order: any number of conditions, the store that all is made in, the name that it is made for, what is made. */
enum stage { CONDITION, STORE, NAME, STEP };

static const struct {
    const char *word;
    bool (*act)(struct kept *kept);
    enum stage stage;
} entries[] = {
    {"arguments", arguments, CONDITION}, {"directory", directory, CONDITION}, {"caller", caller, CONDITION},
    {"program", program, CONDITION},     {"variable", variable, CONDITION},   {"unset", unset, CONDITION},
    {"text", text, CONDITION},           {"there", there, CONDITION},         {"same", same, CONDITION},
    {"absent", absent, CONDITION},       {"store", store, STORE},             {"name", name, NAME},
    {"name-of", name_of, NAME},          {"folder", folder, STEP},            {"file", file, STEP},
    {"rename", rename_file, STEP},       {"journal", journal, STEP},          {"helper", helper, STEP},
};

static bool follows(enum stage next, enum stage last)
{
    return next == last + 1 || (next == last && (next == CONDITION || next == STEP));
}

/* Goes through the words from `at` on; true at their end. Where the first that makes something stands is left in *first. */
static bool go_through(struct kept *kept, enum pass pass, char **first)
{
    enum stage last = CONDITION;
    kept->pass = pass;
    while (kept->at < kept->end) {
        char *start = kept->at;
        const char *word = next_word(kept);
        size_t i = 0;
        while (word && i < sizeof entries / sizeof *entries && strcmp(word, entries[i].word))
            i++;
        if (!word || i == sizeof entries / sizeof *entries || !follows(entries[i].stage, last))
            return false;
        last = entries[i].stage;
        if (last == STORE)
            *first = start;
        if (!entries[i].act(kept))
            return false;
    }
    return true;
}

/* The kept start of this command line, if there is one: the lowest byte of the hash of its words and the current directory names the file. */
static char *kept_path(char **words, const char *cwd)
{
    const char *root = getenv("TSBOX_ROOT"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    uint32_t hash = HASH_START;
    for (size_t i = 0; words[i]; i++) {
        /* whatever name is given: those that differ by it have one kept start */
        bool named = i > 0 && !strcmp(words[i - 1], NAME_FLAG), names = !strncmp(words[i], NAME_FLAG "=", sizeof NAME_FLAG);
        hash = hash_on(hash, words[i], named ? 0 : names ? sizeof NAME_FLAG : strlen(words[i]));
        hash = hash_on(hash, "", 1);
    }
    hash = hash_on(hash, cwd, strlen(cwd));
    char *path;
    int length;
    if (root)
        length = asprintf(&path, "%s/kept/%02x", root, hash & 0xff);
    else if (data && *data)
        length = asprintf(&path, "%s/tsbox/kept/%02x", data, hash & 0xff);
    else
        length = asprintf(&path, "%s/.local/share/tsbox/kept/%02x", home && *home ? home : "/nonexistent", hash & 0xff);
    return length < 0 ? NULL : path;
}

/* The content of a file that only its owner, the caller, can have written. */
static char *read_kept(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return NULL;
    struct stat status;
    char *bytes = NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 022) &&
        status.st_size < MOST_BYTES && (bytes = malloc((size_t)status.st_size + 1))) {
        ssize_t count = read(fd, bytes, (size_t)status.st_size);
        if (count != status.st_size) {
            free(bytes);
            bytes = NULL;
        }
        *size = (size_t)status.st_size;
    }
    close(fd);
    return bytes;
}

/* Comes back if there is nothing to repeat. */
static void repeat(const char *program, char **words)
{
    char cwd[4096];
    if (!getcwd(cwd, sizeof cwd))
        return;
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return; /* Node opens what is closed */
    char *path = kept_path(words, cwd);
    size_t size = 0;
    struct kept kept = {.arguments = words, .program = program, .cwd = cwd, .folder = -1};
    kept.mask = umask(0);
    umask(kept.mask);
    kept.at = path ? read_kept(path, &size) : NULL;
    free(path);
    if (!kept.at)
        return;
    kept.end = kept.at + size;
    const char *magic = next_word(&kept), *version = magic ? next_word(&kept) : NULL;
    uint64_t checksum;
    if (!version || strcmp(magic, "tsbox-kept") || strcmp(version, KEPT_VERSION) || !next_number(&kept, 10, &checksum) ||
        checksum != hash_on(HASH_START, kept.at, (size_t)(kept.end - kept.at)))
        return;

    /* the arguments come first: two command lines may have the same file */
    char *first = NULL;
    if (!make_fresh(&kept.fresh) || !go_through(&kept, CHECK, &first) || !first)
        return;

    /* a signal waits until the helper is there, which knows what to do */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGXFSZ, SIG_IGN); /* Node ignores it, too; the helper has its own way */
    umask(0);
    kept.at = first;
    go_through(&kept, MAKE, &first); /* ends as the helper, or not at all */
    take_back(&kept);
    umask(kept.mask);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Node on tsbox.cjs, which lies beside this program. */
static int run_node(const char *program, char **words)
{
    char script[4096];
    size_t count = 0;
    while (words[count])
        count++;
    char **argv = calloc(count + 4, sizeof *argv);
    if (!argv || snprintf(script, sizeof script, "%s.cjs", program) >= (int)sizeof script)
        return 125;
    argv[0] = "node";
    argv[1] = "--"; /* Node 20 would take --env-file for its own wherever it stands, and end before this line */
    argv[2] = script;
    memcpy(argv + 3, words, count * sizeof *words);
    execvp(argv[0], argv);
    fprintf(stderr, "tsbox: Cannot start Node: %s\n", strerror(errno));
    if (errno == ENOENT)
        fprintf(stderr, "hint: tsbox needs Node 20 or later: \"node\" is nowhere in PATH, or lacks something\n");
    return 125;
}

/* Where this program lies, links resolved; without /proc as it was called. */
static bool find_program(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length >= 0) {
        path[length] = 0;
        return (size_t)length < size - 1;
    }
    const char *called = (const char *)getauxval(AT_EXECFN);
    char *real = called ? realpath(called, NULL) : NULL;
    bool fits = real && strlen(real) < size;
    if (fits)
        strcpy(path, real);
    free(real);
    return fits;
}

int main(int argc, char **argv)
{
    char program[4000];
    if (argc < 1 || !find_program(program, sizeof program)) {
        fprintf(stderr, "tsbox: Cannot find out where tsbox lies: %s\n", strerror(errno));
        return 125;
    }
    if (argc > 2 && !strcmp(argv[1], "run"))
        repeat(program, argv + 1);
    return run_node(program, argv + 1);
}
