/* Reading a kept start, and small files. */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *next_word(struct kept *kept)
{
    char *word = kept->at, *nul = memchr(word, 0, (size_t)(kept->end - word));
    if (!nul)
        return NULL;
    kept->at = nul + 1;
    return word;
}

bool next_number(struct kept *kept, int base, uint64_t *number)
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
bool next_list(struct kept *kept, const char **words, size_t *count)
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
bool next_bytes(struct kept *kept, const char **bytes, size_t *length)
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
ssize_t read_small(const char *path, char *out, size_t size)
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

/* FNV-1a, going on from `hash`. */
uint32_t hash_on(uint32_t hash, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}
