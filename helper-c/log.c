/*
 * The container's log: each line is "2026-11-21T05:13:53.123456789Z stdout F text". A chunk that does
 * not end with a newline gives a P line, "the line goes on", so that a prompt shows at once and
 * nothing is kept in memory.
 */
#include "helper.h"

#include <string.h>
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

/* `fd` not negative: write what has gathered whenever it is enough, so that many short lines do not
 * grow the monitor. A full disk must not stop the container: errors are not reported. */
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
            write_all(fd, out->data, out->length);
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
