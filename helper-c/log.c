/*
 * The container's log: each line is "2026-11-21T05:13:53.123456789Z stdout F text". A chunk that does
 * not end with a newline gives a P line, "the line goes on", so that a prompt shows at once and
 * nothing is kept in memory.
 */
#include "helper.h"

#include <string.h>
#include <time.h>

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

void log_format(struct buffer *out, int64_t nanoseconds, const char *name, const char *data, size_t length)
{
    char head[64];
    struct buffer time = {0};
    put_time(&time, nanoseconds);
    size_t head_length = time.length < sizeof head ? time.length : sizeof head;
    memcpy(head, time.data, head_length);
    buffer_free(&time);
    while (length > 0) {
        const char *newline = memchr(data, '\n', length);
        size_t line = newline ? (size_t)(newline - data) : length;
        buffer_put(out, head, head_length);
        buffer_put(out, " ", 1);
        buffer_puts(out, name);
        buffer_puts(out, newline ? " F " : " P ");
        buffer_put(out, data, line);
        buffer_put(out, "\n", 1);
        line += newline != NULL;
        data += line;
        length -= line;
    }
}

/* A full disk must not stop the container: errors are not reported. */
void log_write(int fd, const char *name, const char *data, size_t length)
{
    static struct buffer text;
    text.length = 0;
    log_format(&text, now_nanoseconds(CLOCK_REALTIME), name, data, length);
    write_all(fd, text.data, text.length);
    /* Many short lines grow much: give that back. */
    if (text.capacity > 4 * STREAM_SIZE)
        buffer_free(&text);
}
