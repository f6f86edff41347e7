/*
 * dist/tsbox, what people start. A `run` that was made before is made again from its kept start ("Contract 3" in ARCHITECTURE.md) if everything
 * it depended on is as it was: a container's folder is written and the helper executed, without Node. In every other case, and wherever something is
 * not as expected, Node runs the command line, which says what is wrong. So nothing depends on this program but time.
 *
 * A kept start is a list of words, each ended by a NUL. It is gone through twice: CHECK evaluates the conditions and validates all of it, MAKE does what
 * stands in it. What MAKE has made before it fails is taken back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEPT_VERSION "1"
#define HASH_START 2166136261u

enum {
    MOST_BYTES = 1 << 20,    /* of a kept start; larger ones are not kept */
    MOST_MADE = 64,          /* files and folders of one container */
    MOST_WORDS = 256,        /* of one list */
    JOURNAL_MOST = 4 << 20,  /* past this size the runner sets the journal aside (runner/container/journal.ts) */
    NAME_ATTEMPTS = 20,
    PLACEHOLDER = 1,         /* this byte and a letter stand for a fresh value */
};

#define NAME_FLAG "--name"

extern char **environ;

enum pass { CHECK, MAKE };

/* What must be fresh, as text. */
struct fresh {
    char id[65], short_id[13], name[160], created[48], now[32], pid[16], started[32];
};

struct kept {
    char *at, *end;          /* what is still to be read */
    enum pass pass;
    char **arguments;        /* of this program, without its name */
    const char *cwd;
    struct fresh fresh;
    mode_t mask;             /* the caller's umask */
    const char *root;        /* of the store */
    int folder;              /* of the container; -1 before it is there */
    char *name_link;         /* absolute paths of what was made, for taking it back */
    char *folder_path;
    const char *made[MOST_MADE];
    int made_count;
};

/* --- reading -------------------------------------------------------------------------------------- */

static const char *next_word(struct kept *kept)
{
    char *word = kept->at, *nul = memchr(word, 0, (size_t)(kept->end - word));
    if (!nul)
        return NULL;
    kept->at = nul + 1;
    return word;
}

static bool next_number(struct kept *kept, int base, uint64_t *number)
{
    const char *word = next_word(kept);
    if (!word || *word < '0' || *word > '9')
        return false;
    char *rest;
    errno = 0;
    *number = strtoull(word, &rest, base);
    return *rest == 0 && errno == 0;
}

/* COUNT WORD…; `words` has room for MOST_WORDS and a NULL. */
static bool next_list(struct kept *kept, const char **words, size_t *count)
{
    uint64_t number;
    if (!next_number(kept, 10, &number) || number > MOST_WORDS)
        return false;
    for (uint64_t i = 0; i < number; i++)
        if (!(words[i] = next_word(kept)))
            return false;
    words[number] = NULL;
    *count = (size_t)number;
    return true;
}

/* LENGTH, and so many bytes and a NUL: a file's content may hold NULs itself. */
static bool next_bytes(struct kept *kept, const char **bytes, size_t *length)
{
    uint64_t number;
    if (!next_number(kept, 10, &number) || number >= (uint64_t)(kept->end - kept->at) || kept->at[number] != 0)
        return false;
    *bytes = kept->at;
    *length = (size_t)number;
    kept->at += number + 1;
    return true;
}

/* The whole of a small file, NUL-terminated; -1 if it cannot be read or does not fit. */
static ssize_t read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    size_t length = 0;
    ssize_t count;
    while ((count = read(fd, out + length, size - 1 - length)) > 0)
        length += (size_t)count;
    close(fd);
    out[length] = 0;
    return count < 0 || length == size - 1 ? -1 : (ssize_t)length;
}

/* Only a name that the runner takes, too (runner/container/name.ts): the rest is Node's to refuse. */
static bool take_given_name(struct kept *kept, const char *name)
{
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t length = strlen(name);
    if (length == 0 || length > 128 || strspn(name, others) != length || strchr("_.-", *name))
        return false;
    strcpy(kept->fresh.name, name);
    return true;
}

/* --- conditions: true if it is as it was ------------------------------------------------------------ */

/* N WORD…: a placeholder stands for the name that is given. */
static bool arguments(struct kept *kept)
{
    const char *words[MOST_WORDS + 1];
    size_t count;
    if (!next_list(kept, words, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i], *given = kept->arguments[i];
        if (!given)
            return false;
        const char *place = strchr(word, PLACEHOLDER);
        size_t same = place ? (size_t)(place - word) : strlen(word) + 1;
        if (strncmp(given, word, same) || (place && !take_given_name(kept, given + same)))
            return false;
    }
    return !kept->arguments[count];
}

static bool directory(struct kept *kept)
{
    const char *path = next_word(kept);
    return path && !strcmp(path, kept->cwd);
}

/* UID GID PRIVILEGES: effective ids; whether setuid programs gain something. */
static bool caller(struct kept *kept)
{
    uint64_t uid, gid, gains;
    return next_number(kept, 10, &uid) && next_number(kept, 10, &gid) && next_number(kept, 10, &gains) &&
           uid == geteuid() && gid == getegid() && gains == (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

static bool variable(struct kept *kept)
{
    const char *name = next_word(kept), *value = next_word(kept);
    if (!value)
        return false;
    const char *now = getenv(name);
    return now && !strcmp(now, value);
}

static bool unset(struct kept *kept)
{
    const char *name = next_word(kept);
    return name && !getenv(name);
}

static bool text(struct kept *kept)
{
    const char *path = next_word(kept), *content;
    size_t length;
    char now[4096];
    if (!path || !next_bytes(kept, &content, &length))
        return false;
    return read_small(path, now, sizeof now) == (ssize_t)length && !memcmp(now, content, length);
}

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* PATH DEVICE INODE: the same file or folder, whatever has become of its content. */
static bool there_as(struct kept *kept, struct stat *status)
{
    const char *path = next_word(kept);
    uint64_t device, inode;
    return path && next_number(kept, 10, &device) && next_number(kept, 10, &inode) && stat(path, status) == 0 &&
           status->st_dev == device && status->st_ino == inode;
}

static bool there(struct kept *kept)
{
    struct stat status;
    return there_as(kept, &status);
}

/* … SIZE MODIFIED CHANGED: and it was not written since. */
static bool same(struct kept *kept)
{
    struct stat status;
    uint64_t size, modified, changed;
    return there_as(kept, &status) && next_number(kept, 10, &size) && next_number(kept, 10, &modified) &&
           next_number(kept, 10, &changed) && (uint64_t)status.st_size == size && nanoseconds(status.st_mtim) == modified &&
           nanoseconds(status.st_ctim) == changed;
}

static bool absent(struct kept *kept)
{
    const char *path = next_word(kept);
    return path && access(path, F_OK) != 0 && errno == ENOENT;
}

/* --- making ------------------------------------------------------------------------------------------ */

/* What the letter after PLACEHOLDER stands for; NULL if for nothing. */
static const char *fresh_value(const struct fresh *fresh, char letter)
{
    switch (letter) {
    case 'I': return fresh->id;
    case 'i': return fresh->short_id;
    case 'N': return fresh->name;
    case 'C': return fresh->created;
    case 'T': return fresh->now;
    case 'P': return fresh->pid;
    case 'S': return fresh->started;
    default: return NULL;
    }
}

/* The bytes with fresh values put in, ended by a NUL; NULL where a placeholder is none. */
static char *filled(const struct fresh *fresh, const char *bytes, size_t length, size_t *filled_length)
{
    size_t places = 0;
    for (size_t i = 0; i < length; i++)
        places += bytes[i] == PLACEHOLDER;
    char *out = malloc(length + places * sizeof fresh->name + 1), *to = out;
    for (size_t i = 0; out && i < length; i++) {
        if (bytes[i] != PLACEHOLDER) {
            *to++ = bytes[i];
            continue;
        }
        const char *value = i + 1 < length ? fresh_value(fresh, bytes[++i]) : NULL;
        if (!value) {
            free(out);
            return NULL;
        }
        to = stpcpy(to, value);
    }
    if (!out)
        return NULL;
    *to = 0;
    if (filled_length)
        *filled_length = (size_t)(to - out);
    return out;
}

static char *filled_word(const struct fresh *fresh, const char *word)
{
    return filled(fresh, word, strlen(word), NULL);
}

/* Id, times and process: everything fresh but the name. */
static bool make_fresh(struct fresh *fresh)
{
    unsigned char random[32];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        sprintf(fresh->id + 2 * i, "%02x", random[i]);
    memcpy(fresh->short_id, fresh->id, sizeof fresh->short_id - 1);

    struct timespec now;
    struct tm utc;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(fresh->created, sizeof fresh->created, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    snprintf(fresh->now, sizeof fresh->now, "%" PRIu64, nanoseconds(now));

    /* field 22; the second, the program's name, may hold anything but ends with the last parenthesis */
    char status[1024], *field;
    snprintf(fresh->pid, sizeof fresh->pid, "%d", (int)getpid());
    if (read_small("/proc/self/stat", status, sizeof status) < 0 || !(field = strrchr(status, ')')))
        return false;
    for (int number = 2; number < 22 && field; number++)
        field = strchr(field + 1, ' ');
    if (!field)
        return false;
    snprintf(fresh->started, sizeof fresh->started, "%.*s", (int)strcspn(field + 1, " "), field + 1);
    return true;
}

/* Takes a name that is in fresh: a symbolic link that leads to the id. */
static bool take_name(struct kept *kept)
{
    free(kept->name_link);
    if (asprintf(&kept->name_link, "%s/names/%s", kept->root, kept->fresh.name) < 0)
        kept->name_link = NULL;
    if (kept->name_link && symlink(kept->fresh.id, kept->name_link) == 0)
        return true;
    int error = errno;
    free(kept->name_link);
    kept->name_link = NULL;
    errno = error;
    return false;
}

static bool make_folder(struct kept *kept)
{
    if (asprintf(&kept->folder_path, "%s/containers/%s", kept->root, kept->fresh.id) < 0)
        kept->folder_path = NULL;
    if (!kept->folder_path || mkdir(kept->folder_path, 0711) < 0) {
        free(kept->folder_path);
        kept->folder_path = NULL;
        return false;
    }
    kept->folder = open(kept->folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return kept->folder >= 0;
}

/* ROOT: the store, whose journal must not be due to be set aside. */
static bool store(struct kept *kept)
{
    kept->root = next_word(kept);
    if (!kept->root || kept->pass == MAKE)
        return kept->root;
    char *path;
    if (asprintf(&path, "%s/journal", kept->root) < 0)
        return false;
    struct stat status;
    bool room = stat(path, &status) < 0 ? errno == ENOENT : status.st_size < JOURNAL_MOST;
    free(path);
    return room;
}

/* The name that was given among the arguments; one that is taken is Node's to report. */
static bool name(struct kept *kept)
{
    if (kept->pass == CHECK)
        return *kept->fresh.name;
    return take_name(kept) && make_folder(kept);
}

/* N WORD… N WORD…: one of each makes a name; with a number when the first attempts were taken. */
static bool name_of(struct kept *kept)
{
    const char *left[MOST_WORDS + 1], *right[MOST_WORDS + 1];
    size_t lefts, rights;
    if (!next_list(kept, left, &lefts) || !next_list(kept, right, &rights) || lefts == 0 || rights == 0)
        return false;
    if (kept->pass == CHECK)
        return true;
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        uint16_t random[3];
        char number[8] = "";
        if (getrandom(random, sizeof random, 0) != sizeof random)
            return false;
        if (attempt >= 3)
            snprintf(number, sizeof number, "%d", random[2] % 1000);
        snprintf(kept->fresh.name, sizeof kept->fresh.name, "%s_%s%s", left[random[0] % lefts], right[random[1] % rights], number);
        if (take_name(kept))
            return make_folder(kept);
        if (errno != EEXIST)
            return false;
    }
    return false;
}

/* A path in the container's folder leads nowhere else. */
static bool good_path(const char *path)
{
    return path && *path && *path != '/' && !strstr(path, "..");
}

/* Notes what is about to be made there. */
static bool note(struct kept *kept, const char *path)
{
    if (kept->made_count == MOST_MADE)
        return false;
    kept->made[kept->made_count++] = path;
    return true;
}

/* PATH MODE */
static bool folder(struct kept *kept)
{
    const char *path = next_word(kept);
    uint64_t mode;
    if (!good_path(path) || !next_number(kept, 8, &mode) || mode > 07777)
        return false;
    if (kept->pass == CHECK)
        return true;
    return note(kept, path) && mkdirat(kept->folder, path, (mode_t)mode) == 0;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    for (ssize_t count; length > 0; bytes += count, length -= (size_t)count)
        if ((count = write(fd, bytes, length)) <= 0)
            return false;
    return true;
}

/* PATH MODE LENGTH CONTENT: with placeholders. */
static bool file(struct kept *kept)
{
    const char *path = next_word(kept), *bytes;
    uint64_t mode;
    size_t length;
    if (!good_path(path) || !next_number(kept, 8, &mode) || mode > 0777 || !next_bytes(kept, &bytes, &length))
        return false;
    char *content = filled(&kept->fresh, bytes, length, &length);
    bool done = content;
    if (done && kept->pass == MAKE) {
        int fd = note(kept, path) ? openat(kept->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode) : -1;
        done = fd >= 0 && write_all(fd, content, length);
        if (fd >= 0)
            done = close(fd) == 0 && done;
    }
    free(content);
    return done;
}

/* FROM TO: of files in the folder. */
static bool rename_file(struct kept *kept)
{
    const char *from = next_word(kept), *to = next_word(kept);
    if (!good_path(from) || !good_path(to))
        return false;
    if (kept->pass == CHECK)
        return true;
    return note(kept, to) && renameat(kept->folder, from, kept->folder, to) == 0;
}

/* LINE: with placeholders. Failing is no error: the journal tells what happened, it does not make it happen. */
static bool journal(struct kept *kept)
{
    const char *word = next_word(kept);
    char *line = word ? filled_word(&kept->fresh, word) : NULL, *path;
    if (!line)
        return false;
    if (kept->pass == MAKE && asprintf(&path, "%s/journal", kept->root) >= 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            write_all(fd, line, strlen(line));
            close(fd);
        }
        free(path);
    }
    free(line);
    return true;
}

/* As a program finds the world that the runner starts (tsbox_replace in library.c): signals by default, nothing open but 0, 1 and 2. */
static void clear_inherited(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_NONBLOCK))
            fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    static const unsigned long by_default[8];
    for (int number = 1; number < _NSIG; number++)
        syscall(SYS_rt_sigaction, number, by_default, NULL, 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* PATH N WORD…: the helper, and its words with placeholders. The last: comes back only if it cannot be executed. */
static bool helper(struct kept *kept)
{
    const char *path = next_word(kept), *words[MOST_WORDS + 1];
    char *argv[MOST_WORDS + 1] = {0};
    size_t count;
    if (!path || !next_list(kept, words, &count) || count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!(argv[i] = filled_word(&kept->fresh, words[i])))
            return false;
    if (kept->pass == CHECK) {
        for (size_t i = 0; i < count; i++)
            free(argv[i]);
        return kept->at == kept->end;
    }
    clear_inherited();
    umask(kept->mask);
    execv(path, argv);
    return false;
}

static const struct {
    const char *word;
    bool (*act)(struct kept *kept);
    bool condition; /* evaluated in CHECK only */
} entries[] = {
    {"arguments", arguments, true}, {"directory", directory, true}, {"caller", caller, true}, {"variable", variable, true},
    {"unset", unset, true},         {"text", text, true},           {"there", there, true},   {"same", same, true},
    {"absent", absent, true},       {"store", store, false},        {"name", name, false},    {"name-of", name_of, false},
    {"folder", folder, false},      {"file", file, false},          {"rename", rename_file, false},
    {"journal", journal, false},    {"helper", helper, false},
};

/* Goes through the words from `at` on; true at their end. Where the first that makes something stands is left in *first. */
static bool go_through(struct kept *kept, enum pass pass, char **first)
{
    kept->pass = pass;
    while (kept->at < kept->end) {
        char *start = kept->at;
        const char *word = next_word(kept);
        size_t i = 0;
        while (word && i < sizeof entries / sizeof *entries && strcmp(word, entries[i].word))
            i++;
        if (!word || i == sizeof entries / sizeof *entries)
            return false;
        if (entries[i].condition && (pass == MAKE || *first))
            return false; /* all of them stand before anything that makes */
        if (!entries[i].condition && !*first)
            *first = start;
        if (!entries[i].act(kept))
            return false;
    }
    return true;
}

static void take_back(struct kept *kept)
{
    while (kept->folder >= 0 && kept->made_count > 0) {
        const char *path = kept->made[--kept->made_count];
        if (unlinkat(kept->folder, path, 0) < 0)
            unlinkat(kept->folder, path, AT_REMOVEDIR);
    }
    if (kept->folder_path)
        rmdir(kept->folder_path);
    if (kept->name_link)
        unlink(kept->name_link);
}

/* --- the two ways ------------------------------------------------------------------------------------- */

/* FNV-1a, going on from `hash`. */
static uint32_t hash_on(uint32_t hash, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
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
static void repeat(char **words)
{
    char cwd[4096];
    if (!getcwd(cwd, sizeof cwd))
        return;
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return; /* Node opens what is closed */
    char *path = kept_path(words, cwd);
    size_t size = 0;
    struct kept kept = {.arguments = words, .cwd = cwd, .folder = -1};
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
    kept.mask = umask(0);
    kept.at = first;
    go_through(&kept, MAKE, &first); /* ends as the helper, or not at all */
    take_back(&kept);
    umask(kept.mask);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Node on tsbox.cjs, which lies beside this program. */
static int run_node(char **words)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - sizeof ".cjs");
    if (length < 0) {
        fprintf(stderr, "tsbox: Cannot find out where tsbox lies: /proc/self/exe: %s\n", strerror(errno));
        return 125;
    }
    memcpy(program + length, ".cjs", sizeof ".cjs");
    size_t count = 0;
    while (words[count])
        count++;
    char **argv = calloc(count + 4, sizeof *argv);
    if (!argv)
        return 125;
    argv[0] = "node";
    argv[1] = "--"; /* Node 20 would take --env-file for its own wherever it stands, and end before this line */
    argv[2] = program;
    memcpy(argv + 3, words, count * sizeof *words);
    execvp(argv[0], argv);
    int error = errno;
    fprintf(stderr, "tsbox: Cannot start Node: %s\n", strerror(error));
    if (error == ENOENT)
        fprintf(stderr, "hint: tsbox needs Node 20 or later; \"node\" is nowhere in PATH\n");
    return error == ENOENT ? 127 : 126;
}

int main(int argc, char **argv)
{
    if (argc < 1)
        return 125;
    if (argc > 2 && !strcmp(argv[1], "run"))
        repeat(argv + 1);
    return run_node(argv + 1);
}
