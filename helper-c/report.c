/*
 * Failures and events. A failure is remembered in one struct, so that any function can say what
 * went wrong where it happened, and the process decides at its edge where that goes. Events are JSON
 * lines; the runner parses them, so every byte of a path must come out as valid JSON.
 */
#include "helper.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#define HELD_MAX (16 * 1024)
#define EVENT_FDS 2

struct failure last_failure;

static const char *current_op = "";
static size_t current_index;

static void print_and_exit(void)
{
    print_failure(&last_failure);
    _exit(last_failure.exit_code);
}

void (*failure_sink)(void) = print_and_exit;

void set_current_op(const char *name, size_t index)
{
    current_op = name;
    current_index = index;
}

const char *error_name(int error)
{
    const char *name = error ? strerrorname_np(error) : NULL;
    return name ? name : "";
}

int vfail(int error, const char *path, const char *format, va_list arguments)
{
    struct failure *failure = &last_failure;
    *failure = (struct failure){
        .error = error,
        .exit_code = EXIT_TSBOX,
        .index = (int32_t)current_index,
    };
    snprintf(failure->op, sizeof failure->op, "%s", current_op);
    snprintf(failure->path, sizeof failure->path, "%s", path ? path : "");
    int length = vsnprintf(failure->message, sizeof failure->message, format, arguments);
    if (error && length >= 0 && (size_t)length < sizeof failure->message)
        snprintf(failure->message + length, sizeof failure->message - (size_t)length, ": %s", strerror(error));
    return -1;
}

int fail(int error, const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfail(error, path, format, arguments);
    va_end(arguments);
    return -1;
}

void die(int error, const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfail(error, path, format, arguments);
    va_end(arguments);
    failure_sink();
    _exit(EXIT_TSBOX);
}

/* Paths may come from an image: what could move the cursor of somebody's terminal is shown as \xNN. */
static void put_visible(struct buffer *line, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f)
            buffer_printf(line, "\\x%02x", byte);
        else
            buffer_put(line, text, 1);
    }
}

void print_failure(const struct failure *failure)
{
    struct buffer line = {0};
    buffer_puts(&line, "tsbox: ");
    put_visible(&line, failure->message);
    if (failure->path[0]) {
        buffer_puts(&line, " \"");
        put_visible(&line, failure->path);
        buffer_puts(&line, "\"");
    }
    if (failure->index)
        buffer_printf(&line, " (op %d, %s)", failure->index, failure->op);
    buffer_puts(&line, "\n");
    write_all(STDERR_FILENO, line.data, line.length);
    buffer_free(&line);
}

static int event_fds[EVENT_FDS];
static size_t event_fd_count;
static struct buffer event_text_buffer;
static size_t event_start; /* of the last event in the buffer */
static bool events_held, events_unwritten;

void events_add(int fd)
{
    if (event_fd_count == EVENT_FDS)
        die(E2BIG, NULL, "Cannot write events to more than %d places", EVENT_FDS);
    event_fds[event_fd_count++] = fd;
}

void events_drop_all(void)
{
    for (size_t i = 0; i < event_fd_count; i++)
        close(event_fds[i]);
    event_fd_count = 0;
}

/* A reader that went away must not stop the container: errors are not reported. */
static void write_events(void)
{
    for (size_t i = 0; i < event_fd_count; i++)
        write_all(event_fds[i], event_text_buffer.data, event_text_buffer.length);
}

void event_flush(void)
{
    if (!events_unwritten)
        return;
    write_events();
    event_text_buffer.length = event_start = 0;
    events_unwritten = false;
}

void events_hold(bool hold)
{
    events_held = hold;
}

static void put_key(const char *key)
{
    buffer_printf(&event_text_buffer, ",\"%s\":", key);
}

void event_begin(const char *name)
{
    if (!events_unwritten)
        event_text_buffer.length = 0;
    event_start = event_text_buffer.length;
    buffer_printf(&event_text_buffer, "{\"event\":\"%s\",\"time\":\"%lld\"", name,
                  (long long)now_nanoseconds(CLOCK_REALTIME));
}

void event_text(const char *key, const char *value)
{
    put_key(key);
    buffer_json(&event_text_buffer, value, strlen(value));
}

void event_bytes(const char *key, const char *value, size_t length)
{
    put_key(key);
    buffer_puts(&event_text_buffer, "\"");
    buffer_percent(&event_text_buffer, value, length);
    buffer_puts(&event_text_buffer, "\"");
}

void event_number(const char *key, long long value)
{
    put_key(key);
    buffer_printf(&event_text_buffer, "%lld", value);
}

void event_end(void)
{
    struct buffer *text = &event_text_buffer;
    buffer_puts(text, "}\n");
    events_unwritten = true;
    if (events_held && text->length <= HELD_MAX)
        return;
    write_events();
    events_unwritten = false;
    /* The line is kept without its newline: on-failure hands it on. */
    text->data[--text->length] = 0;
}

const char *event_line(void)
{
    return event_text_buffer.data ? event_text_buffer.data + event_start : "";
}
