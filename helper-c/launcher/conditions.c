/* What must be as it was. */
#include "kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* N WORD…: a placeholder stands for the name that is given. */
bool arguments(struct kept *kept)
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

bool directory(struct kept *kept)
{
    const char *path = next_word(kept);
    return path && !strcmp(path, kept->cwd);
}

/* UID GID GAINS UMASK: effective ids; whether setuid programs gain something. */
bool caller(struct kept *kept)
{
    uint64_t uid, gid, gains, mask;
    return next_number(kept, 10, &uid) && next_number(kept, 10, &gid) && next_number(kept, 10, &gains) && next_number(kept, 8, &mask) &&
           uid == geteuid() && gid == getegid() && gains == (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) && mask == kept->mask;
}

/* PATH: another installation's plans are not ours. */
bool program(struct kept *kept)
{
    const char *path = next_word(kept);
    return path && !strcmp(path, kept->program);
}

bool variable(struct kept *kept)
{
    const char *name = next_word(kept), *value = next_word(kept);
    if (!value)
        return false;
    const char *now = getenv(name);
    return now && !strcmp(now, value);
}

bool unset(struct kept *kept)
{
    const char *name = next_word(kept);
    return name && !getenv(name);
}

bool text(struct kept *kept)
{
    const char *path = next_word(kept), *content;
    size_t length;
    char now[4096];
    if (!path || !next_bytes(kept, &content, &length))
        return false;
    return read_small(path, now, sizeof now) == (ssize_t)length && !memcmp(now, content, length);
}

/* PATH DEVICE INODE: the same file or folder, whatever has become of its content. */
static bool there_as(struct kept *kept, struct stat *status)
{
    const char *path = next_word(kept);
    uint64_t device, inode;
    return path && next_number(kept, 10, &device) && next_number(kept, 10, &inode) && stat(path, status) == 0 &&
           status->st_dev == device && status->st_ino == inode;
}

bool there(struct kept *kept)
{
    struct stat status;
    return there_as(kept, &status);
}

/* … SIZE MODIFIED CHANGED: and it was not written since. */
bool same(struct kept *kept)
{
    struct stat status;
    uint64_t size, modified, changed;
    return there_as(kept, &status) && next_number(kept, 10, &size) && next_number(kept, 10, &modified) &&
           next_number(kept, 10, &changed) && (uint64_t)status.st_size == size && nanoseconds(status.st_mtim) == modified &&
           nanoseconds(status.st_ctim) == changed;
}

bool absent(struct kept *kept)
{
    const char *path = next_word(kept);
    return path && access(path, F_OK) != 0 && errno == ENOENT;
}
