/* What no two containers have in common, and texts with places for it. */
#include "kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

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
char *filled(const struct fresh *fresh, const char *bytes, size_t length, size_t *filled_length)
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

char *filled_word(const struct fresh *fresh, const char *word)
{
    return filled(fresh, word, strlen(word), NULL);
}

/* Id, times and process: everything fresh but the name. */
bool make_fresh(struct fresh *fresh)
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
