/*
 * The container's log: each line is "2026-11-21T05:13:53.123456789Z stdout F text". A chunk that does
 * not end with a newline gives a P line, "the line goes on", so that a prompt shows at once and
 * nothing is kept in memory. When the file has its size it becomes FILE.1, what was that FILE.2, and so
 * on; a disk that is full costs lines, never the program, and a later line says how much is missing.
 */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FLUSH_AT 4096

/* Civil date from days since 1970 (proleptic Gregorian, years from March: the leap day comes last).
 * gmtime would bring the time zone code's memory into every monitor. */
static void put_time(struct buffer *out, int64_t nanoseconds)
{
    int64_t seconds = nanoseconds / 1000000000, days = seconds / 86400 + 719468;
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    buffer_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", (int)year, (int)month, (int)day,
                  (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60),
                  (int)(nanoseconds % 1000000000));
}

static struct {
    const char *path;
    uint64_t limit, files; /* limit 0: one file for ever */
    uint64_t size;
    uint64_t lost; /* bytes that the disk had no room for */
    int error;
} rotation;

int log_open(const char *path, uint64_t limit, uint64_t files)
{
    struct stat found;
    int fd = xopen(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    rotation.path = path;
    rotation.limit = limit;
    rotation.files = files;
    rotation.size = fstat(fd, &found) == 0 ? (uint64_t)found.st_size : 0;
    return fd;
}

/* The new file takes the old one's descriptor, which streams hold. */
static void rotate(int fd)
{
    cleanup_free char *from = NULL, *to = NULL;
    for (uint64_t number = rotation.files - 1; number > 0; number--) {
        free(from);
        free(to);
        from = number > 1 ? xasprintf("%s.%llu", rotation.path, (unsigned long long)number - 1) : xstrdup(rotation.path);
        to = xasprintf("%s.%llu", rotation.path, (unsigned long long)number);
        rename(from, to);
    }
    cleanup_fd int next = open_cloexec(rotation.path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, 0600);
    if (next >= 0 && dup3(next, fd, O_CLOEXEC) == fd)
        rotation.size = 0;
}

/* Whole lines or nothing: half a line would make the next one unreadable. */
static bool write_whole(int fd, const char *data, size_t length)
{
    if (rotation.limit && rotation.size && rotation.size + length > rotation.limit)
        rotate(fd);
    if (write_all(fd, data, length) == 0) {
        rotation.size += length;
        return true;
    }
    rotation.error = errno;
    if (ftruncate(fd, (off_t)rotation.size) < 0)
        rotation.error = errno;
    return false;
}

static void write_lines(int fd, const struct buffer *lines)
{
    if (rotation.lost) {
        struct buffer note = {0};
        put_time(&note, now_nanoseconds(CLOCK_REALTIME));
        buffer_printf(&note, " stderr F tsbox: %llu bytes of the log are missing here: %s\n",
                      (unsigned long long)rotation.lost, strerror(rotation.error));
        if (write_whole(fd, note.data, note.length))
            rotation.lost = 0;
        buffer_free(&note);
    }
    if (rotation.lost || !write_whole(fd, lines->data, lines->length))
        rotation.lost += lines->length;
}

/* `fd` not negative: write what has gathered whenever it is enough, so that many short lines do not
 * grow the monitor. */
static void put_lines(struct buffer *out, int fd, int64_t nanoseconds, const char *name, const char *data, size_t length)
{
    struct buffer head = {0};
    put_time(&head, nanoseconds);
    buffer_printf(&head, " %s ", name);
    while (length > 0) {
        const char *newline = memchr(data, '\n', length);
        size_t line = newline ? (size_t)(newline - data) : length;
        buffer_put(out, head.data, head.length);
        buffer_put(out, newline ? "F " : "P ", 2);
        buffer_put(out, data, line);
        buffer_put(out, "\n", 1);
        line += newline != NULL;
        data += line;
        length -= line;
        if (fd >= 0 && (out->length >= FLUSH_AT || length == 0)) {
            write_lines(fd, out);
            out->length = 0;
        }
    }
    buffer_free(&head);
}

void log_format(struct buffer *out, int64_t nanoseconds, const char *name, const char *data, size_t length)
{
    put_lines(out, -1, nanoseconds, name, data, length);
}

void log_write(int fd, const char *name, const char *data, size_t length)
{
    static struct buffer text;
    put_lines(&text, fd, now_nanoseconds(CLOCK_REALTIME), name, data, length);
}
