/* Memory, files, numbers and growable buffers: what the C library leaves to everybody. */
#include "helper.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void cleanup_fd_function(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

void cleanup_free_function(void *pointer)
{
    free(*(void **)pointer);
}

void *xrealloc(void *pointer, size_t size)
{
    void *result = realloc(pointer, size ? size : 1);
    if (!result)
        die(ENOMEM, NULL, "Cannot get %zu bytes of memory", size);
    return result;
}

void *xmalloc(size_t size)
{
    return xrealloc(NULL, size);
}

void *xcalloc(size_t count, size_t size)
{
    void *result = calloc(count ? count : 1, size ? size : 1);
    if (!result)
        die(ENOMEM, NULL, "Cannot get %zu times %zu bytes of memory", count, size);
    return result;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(xmalloc(size), text, size);
}

char *xasprintf(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        die(ENOMEM, NULL, "Cannot get memory for a text");
    va_end(arguments);
    return text;
}

static void buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->length > more)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->length <= more)
        capacity *= 2;
    buffer->data = xrealloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

void buffer_put(struct buffer *buffer, const void *data, size_t length)
{
    buffer_reserve(buffer, length);
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = 0;
}

void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_put(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    for (size_t room = 64;;) {
        buffer_reserve(buffer, room);
        size_t space = buffer->capacity - buffer->length;
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(buffer->data + buffer->length, space, format, arguments);
        va_end(arguments);
        if (length < 0)
            die(errno, NULL, "Cannot format a text");
        if ((size_t)length < space) {
            buffer->length += (size_t)length;
            return;
        }
        room = (size_t)length + 1;
    }
}

/* Length of the UTF-8 sequence at `text`, 0 if it is none: overlong forms, surrogates and values
 * above U+10FFFF are none (RFC 3629). */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || size > length)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) || (first == 0xf0 && text[1] < 0x90) ||
        (first == 0xf4 && text[1] > 0x8f))
        return 0;
    return size;
}

void buffer_json(struct buffer *buffer, const char *text, size_t length)
{
    buffer_put(buffer, "\"", 1);
    for (size_t i = 0; i < length;) {
        unsigned char byte = (unsigned char)text[i];
        size_t size = utf8_length((const unsigned char *)text + i, length - i);
        if (size == 0) {
            buffer_puts(buffer, "\\ufffd");
            size = 1;
        } else if (byte == '"' || byte == '\\') {
            buffer_put(buffer, "\\", 1);
            buffer_put(buffer, text + i, 1);
        } else if (byte < 0x20 || byte == 0x7f) {
            buffer_printf(buffer, "\\u%04x", byte);
        } else {
            buffer_put(buffer, text + i, size);
        }
        i += size;
    }
    buffer_put(buffer, "\"", 1);
}

void buffer_percent(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_put(buffer, "", 0);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                     (byte && strchr("-._~/", byte));
        if (plain)
            buffer_put(buffer, bytes + i, 1);
        else
            buffer_printf(buffer, "%%%02X", byte);
    }
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

int open_cloexec(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int xopen(const char *path, int flags, mode_t mode)
{
    int fd = open_cloexec(path, flags, mode);
    if (fd < 0)
        die(errno, path, "Cannot open the file");
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    poll(&wanted, 1, -1);
}

char *read_all(int fd, size_t *length)
{
    struct buffer buffer = {0};
    buffer_reserve(&buffer, 4096);
    for (;;) {
        ssize_t count = read(fd, buffer.data + buffer.length, buffer.capacity - buffer.length - 1);
        if (count == 0)
            break;
        if (count < 0 && errno == EAGAIN)
            wait_for(fd, POLLIN);
        else if (count < 0 && errno != EINTR) {
            int error = errno;
            buffer_free(&buffer);
            errno = error;
            return NULL;
        }
        if (count > 0) {
            buffer.length += (size_t)count;
            if (buffer.capacity - buffer.length < 2)
                buffer_reserve(&buffer, buffer.capacity);
        }
    }
    buffer.data[buffer.length] = 0;
    if (length)
        *length = buffer.length;
    return buffer.data;
}

char *read_file(const char *path, size_t *length)
{
    cleanup_fd int fd = open_cloexec(path, O_RDONLY, 0);
    return fd < 0 ? NULL : read_all(fd, length);
}

int write_all(int fd, const void *data, size_t length)
{
    const char *rest = data;
    while (length > 0) {
        ssize_t count = write(fd, rest, length);
        if (count < 0 && errno == EAGAIN)
            wait_for(fd, POLLOUT);
        else if (count < 0 && errno != EINTR)
            return -1;
        if (count > 0) {
            rest += count;
            length -= (size_t)count;
        }
    }
    return 0;
}

ssize_t read_exact(int fd, void *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = read(fd, (char *)data + done, length - done);
        if (count == 0)
            break;
        if (count < 0 && errno == EAGAIN)
            wait_for(fd, POLLIN);
        else if (count < 0 && errno != EINTR)
            return -1;
        if (count > 0)
            done += (size_t)count;
    }
    return (ssize_t)done;
}

int write_file_at(int directory, const char *path, const char *text)
{
    cleanup_fd int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
    size_t length = strlen(text);
    if (fd < 0)
        return -1;
    ssize_t count = write(fd, text, length);
    if (count >= 0 && (size_t)count != length) {
        errno = EIO;
        return -1;
    }
    return count < 0 ? -1 : 0;
}

bool parse_base(const char *word, unsigned base, uint64_t max, uint64_t *value)
{
    uint64_t result = 0;
    if (!*word)
        return false;
    for (; *word; word++) {
        unsigned char c = (unsigned char)*word;
        unsigned digit = c >= '0' && c <= '9'   ? c - '0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                : 99;
        if (digit >= base || digit > max || result > (max - digit) / base)
            return false;
        result = result * base + digit;
    }
    *value = result;
    return true;
}

bool parse_number(const char *word, uint64_t max, uint64_t *value)
{
    return parse_base(word, 10, max, value);
}

int64_t now_nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
