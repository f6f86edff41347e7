/* A directory's names in an order that is no property of the file system: the same tree gives the same bytes. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"
#include "pack.h"

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void names_sort(struct names *names)
{
    names->list = xcalloc(names->count + 1, sizeof *names->list);
    char *at = names->text.data;
    for (size_t i = 0; i < names->count; i++, at += strlen(at) + 1)
        names->list[i] = ++at;
    if (names->count > 1)
        qsort(names->list, names->count, sizeof *names->list, compare);
}

int names_read(struct names *names, int directory)
{
    *names = (struct names){0};
    /* A description of its own: the position in a directory is shared by copies. */
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return -error;
    }
    const struct dirent *entry;
    for (errno = 0; (entry = readdir(stream)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (strcmp(entry->d_name, FUSE_OPAQUE) == 0 && opaque_is_by_fuse(dirfd(stream)))
            continue;
        buffer_put(&names->text, &entry->d_type, 1);
        buffer_put(&names->text, entry->d_name, strlen(entry->d_name) + 1);
        names->count++;
    }
    int error = errno;
    closedir(stream);
    if (error) {
        names_free(names);
        return -error;
    }
    names_sort(names);
    return 0;
}

bool names_have(const struct names *names, const char *name)
{
    return names->count > 0 && bsearch(&name, names->list, names->count, sizeof *names->list, compare) != NULL;
}

unsigned char names_type(const char *name)
{
    return (unsigned char)name[-1];
}

void names_free(struct names *names)
{
    free(names->list);
    buffer_free(&names->text);
    *names = (struct names){0};
}
