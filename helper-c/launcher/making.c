/* Making the container: its name, folder and files, and the helper that starts it. */
#include "kept.h"

#include "../become.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    if (!kept->folder_path || mkdir(kept->folder_path, 0711 & ~kept->mask) < 0) {
        free(kept->folder_path);
        kept->folder_path = NULL;
        return false;
    }
    kept->folder = open(kept->folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return kept->folder >= 0;
}

/* ROOT: the store, whose journal must not be due to be set aside. */
bool store(struct kept *kept)
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
bool name(struct kept *kept)
{
    if (kept->pass == CHECK)
        return *kept->fresh.name;
    return take_name(kept) && make_folder(kept);
}

/* N WORD… N WORD…: one of each makes a name; with a number when the first attempts were taken. */
bool name_of(struct kept *kept)
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
bool folder(struct kept *kept)
{
    const char *path = next_word(kept);
    uint64_t mode;
    if (!good_path(path) || !next_number(kept, 8, &mode) || mode > 07777)
        return false;
    if (kept->pass == CHECK)
        return true;
    /* the mode again: a set-group-id bit or a default list of the folder above would change it */
    return note(kept, path) && mkdirat(kept->folder, path, (mode_t)mode) == 0 && fchmodat(kept->folder, path, (mode_t)mode, 0) == 0;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    for (ssize_t count; length > 0; bytes += count, length -= (size_t)count)
        if ((count = write(fd, bytes, length)) <= 0)
            return false;
    return true;
}

/* PATH MODE LENGTH CONTENT: with placeholders. */
bool file(struct kept *kept)
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
        done = fd >= 0 && fchmod(fd, (mode_t)mode) == 0 && write_all(fd, content, length);
        if (fd >= 0)
            done = close(fd) == 0 && done;
    }
    free(content);
    return done;
}

/* FROM TO: of files in the folder. */
bool rename_file(struct kept *kept)
{
    const char *from = next_word(kept), *to = next_word(kept);
    if (!good_path(from) || !good_path(to))
        return false;
    if (kept->pass == CHECK)
        return true;
    return note(kept, to) && renameat(kept->folder, from, kept->folder, to) == 0;
}

/* LINE: with placeholders. Failing is no error: the journal tells what happened, it does not make it happen. */
bool journal(struct kept *kept)
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

/* Node does so at its start, and what it starts inherits it. */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? 1 << 20 : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* N WORD…: the helper's words with placeholders; it lies beside this program. The last: comes back only if it cannot be executed. */
bool helper(struct kept *kept)
{
    const char *words[MOST_WORDS + 1];
    char *argv[MOST_WORDS + 1] = {0}, path[4096];
    size_t count;
    if (snprintf(path, sizeof path, "%s-helper", kept->program) >= (int)sizeof path || access(path, X_OK) < 0)
        return false;
    if (!next_list(kept, words, &count) || count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!(argv[i] = filled_word(&kept->fresh, words[i])))
            return false;
    if (kept->pass == CHECK) {
        for (size_t i = 0; i < count; i++)
            free(argv[i]);
        return kept->at == kept->end;
    }
    syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    become_clean();
    raise_open_files();
    umask(kept->mask);
    execv(path, argv);
    return false;
}

void take_back(struct kept *kept)
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
