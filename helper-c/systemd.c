/*
 * Asking the user's systemd for a cgroup. A session's processes lie in a cgroup of root's, and the
 * kernel moves a process only where the mover may write at both ends and above them: so systemd has to
 * do it. It speaks D-Bus; the little of it that is needed is here, since the libraries for it would be
 * larger than the helper. (dbus.freedesktop.org/doc/dbus-specification.html, org.freedesktop.systemd1(5))
 *
 * systemd listens on a socket of its own, where nothing stands between; the bus is the second choice.
 */
#include "helper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER SERVICE ".Manager"
#define PATIENCE 10000
#define MESSAGE_MAX (1u << 20)

enum { METHOD_CALL = 1, METHOD_RETURN = 2, ERROR = 3, SIGNAL = 4 };
enum { FIELD_PATH = 1, FIELD_INTERFACE = 2, FIELD_MEMBER = 3, FIELD_REPLY_SERIAL = 5, FIELD_DESTINATION = 6, FIELD_SIGNATURE = 8 };

static const char endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';

/*** Writing ***/

static void put_padding(struct buffer *out, size_t to)
{
    static const char zeros[8];
    buffer_put(out, zeros, (to - out->length % to) % to);
}

static void put_number(struct buffer *out, uint32_t value)
{
    put_padding(out, 4);
    buffer_put(out, &value, sizeof value);
}

static void put_long(struct buffer *out, uint64_t value)
{
    put_padding(out, 8);
    buffer_put(out, &value, sizeof value);
}

static void put_text(struct buffer *out, const char *text)
{
    put_number(out, (uint32_t)strlen(text));
    buffer_put(out, text, strlen(text) + 1);
}

static void put_signature(struct buffer *out, const char *text)
{
    unsigned char length = (unsigned char)strlen(text);
    buffer_put(out, &length, 1);
    buffer_put(out, text, length + 1u);
}

/* An array's length stands before it and is known behind it. */
static size_t begin_array(struct buffer *out, size_t alignment)
{
    put_number(out, 0);
    size_t at = out->length;
    put_padding(out, alignment);
    return at;
}

static void end_array(struct buffer *out, size_t at, size_t alignment)
{
    size_t start = (at + alignment - 1) / alignment * alignment;
    uint32_t length = (uint32_t)(out->length - start);
    memcpy(out->data + at - sizeof length, &length, sizeof length);
}

static void put_field(struct buffer *out, unsigned char code, const char *type, const char *value)
{
    put_padding(out, 8);
    buffer_put(out, &code, 1);
    put_signature(out, type);
    if (*type == 'g')
        put_signature(out, value);
    else
        put_text(out, value);
}

struct call {
    const char *destination, *path, *interface, *member, *signature;
};

static void put_call(struct buffer *out, const struct call *call, uint32_t serial, const struct buffer *body)
{
    struct buffer message = {0};
    const char start[] = {endian, METHOD_CALL, 0, 1};
    buffer_put(&message, start, sizeof start);
    put_number(&message, (uint32_t)(body ? body->length : 0));
    put_number(&message, serial);
    size_t fields = begin_array(&message, 8);
    put_field(&message, FIELD_PATH, "o", call->path);
    put_field(&message, FIELD_DESTINATION, "s", call->destination);
    put_field(&message, FIELD_INTERFACE, "s", call->interface);
    put_field(&message, FIELD_MEMBER, "s", call->member);
    if (body)
        put_field(&message, FIELD_SIGNATURE, "g", call->signature);
    end_array(&message, fields, 8);
    put_padding(&message, 8);
    if (body)
        buffer_put(&message, body->data, body->length);
    buffer_put(out, message.data, message.length);
    buffer_free(&message);
}

/*** Reading ***/

struct answer {
    unsigned char type;
    uint32_t reply_serial;
    char member[64];
    char *data; /* the whole message */
    size_t length, body;
};

/* A cursor that never passes the end: what is cut off or makes no sense reads as nothing. */
struct cursor {
    const struct answer *answer;
    size_t at;
};

static uint32_t take_number(struct cursor *cursor)
{
    uint32_t value = 0;
    cursor->at = (cursor->at + 3) / 4 * 4;
    if (cursor->at + sizeof value <= cursor->answer->length)
        memcpy(&value, cursor->answer->data + cursor->at, sizeof value);
    cursor->at += sizeof value;
    return value;
}

static const char *take_text(struct cursor *cursor)
{
    uint32_t length = take_number(cursor);
    size_t start = cursor->at;
    if (start >= cursor->answer->length || length >= cursor->answer->length - start || cursor->answer->data[start + length]) {
        cursor->at = cursor->answer->length;
        return "";
    }
    cursor->at += length + 1u;
    return cursor->answer->data + start;
}

static void read_fields(struct answer *answer, size_t end)
{
    struct cursor cursor = {answer, 16};
    for (;;) {
        cursor.at = (cursor.at + 7) / 8 * 8;
        if (cursor.at + 4 >= end)
            return;
        unsigned char code = (unsigned char)answer->data[cursor.at];
        char type = answer->data[cursor.at + 2];
        if (answer->data[cursor.at + 1] != 1)
            return;
        cursor.at += 4;
        if (type == 'u') {
            uint32_t value = take_number(&cursor);
            if (code == FIELD_REPLY_SERIAL)
                answer->reply_serial = value;
        } else if (type == 's' || type == 'o') {
            const char *text = take_text(&cursor);
            if (code == FIELD_MEMBER)
                snprintf(answer->member, sizeof answer->member, "%s", text);
        } else if (type == 'g' && cursor.at < end) {
            cursor.at += 2u + (unsigned char)answer->data[cursor.at];
        } else {
            return;
        }
    }
}

/* A systemd that hangs is as good as none. */
static bool read_soon(int fd, void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        struct pollfd watched = {.fd = fd, .events = POLLIN};
        int ready = poll(&watched, 1, PATIENCE);
        ssize_t count = ready > 0 ? read(fd, (char *)data + done, length - done) : -1;
        if (ready == 0)
            errno = ETIMEDOUT;
        else if (count == 0)
            errno = EPIPE;
        if (count > 0)
            done += (size_t)count;
        else if (count == 0 || errno != EINTR)
            return false;
    }
    return true;
}

/* Small enough for any socket's queue; its end must not end us. */
static bool send_all(int fd, const char *data, size_t length)
{
    return send(fd, data, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool receive(int fd, struct answer *answer)
{
    uint32_t head[4];
    free(answer->data);
    *answer = (struct answer){0};
    if (!read_soon(fd, head, sizeof head))
        return false;
    errno = EPROTO;
    if (*(char *)head != endian || head[1] > MESSAGE_MAX || head[3] > MESSAGE_MAX)
        return false;
    answer->body = (sizeof head + head[3] + 7) / 8 * 8;
    answer->length = answer->body + head[1];
    answer->data = xmalloc(answer->length + 1);
    memcpy(answer->data, head, sizeof head);
    if (!read_soon(fd, answer->data + sizeof head, answer->length - sizeof head))
        return false;
    answer->type = (unsigned char)((char *)head)[1];
    read_fields(answer, sizeof head + head[3]);
    return true;
}

/*** The connection ***/

struct connection {
    int fd;
    uint32_t serial;
    bool is_bus;
};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The other end looks at who we are by itself: our uid may be another one inside a user namespace. */
static bool authenticate(int fd)
{
    static const char words[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    if (!send_all(fd, words, sizeof words - 1))
        return false;
    char line[128];
    for (int lines = 0; lines < 4; lines++) {
        size_t length = 0;
        while (length < sizeof line - 1 && read_soon(fd, line + length, 1) && line[length++] != '\n')
            ;
        line[length] = 0;
        if (strncmp(line, "OK ", 3) == 0)
            return true;
        if (strncmp(line, "DATA", 4) != 0)
            break;
    }
    errno = EACCES;
    return false;
}

/* 0, or -1 after fail(). */
static int call(struct connection *connection, const struct call *what, const struct buffer *body, struct answer *answer)
{
    struct buffer out = {0};
    put_call(&out, what, ++connection->serial, body);
    bool sent = send_all(connection->fd, out.data, out.length);
    buffer_free(&out);
    if (!sent)
        return fail(errno, NULL, "Cannot ask systemd");
    do {
        if (!receive(connection->fd, answer))
            return fail(errno, NULL, "Cannot understand systemd's answer");
    } while ((answer->type != METHOD_RETURN && answer->type != ERROR) || answer->reply_serial != connection->serial);
    if (answer->type == METHOD_RETURN)
        return 0;
    struct cursor cursor = {answer, answer->body};
    return fail(0, NULL, "Cannot get a cgroup from systemd: it said: %s", take_text(&cursor));
}

static int call_bus(struct connection *connection, const char *member, const char *text)
{
    const struct call what = {"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member, "s"};
    struct answer answer = {0};
    struct buffer body = {0};
    if (text)
        put_text(&body, text);
    int result = call(connection, &what, text ? &body : NULL, &answer);
    buffer_free(&body);
    free(answer.data);
    return result;
}

static const struct call start_unit = {SERVICE, "/org/freedesktop/systemd1", MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))"};
static const struct call attach_processes = {SERVICE, "/org/freedesktop/systemd1", MANAGER, "AttachProcessesToUnit", "ssau"};
static const struct call subscribe = {SERVICE, "/org/freedesktop/systemd1", MANAGER, "Subscribe", ""};

static int enter_bus(struct connection *connection)
{
    struct answer answer = {0};
    int result = call_bus(connection, "Hello", NULL) < 0 ||
                         call_bus(connection, "AddMatch", "type='signal',sender='" SERVICE "',interface='" MANAGER "',member='JobRemoved'") < 0 ||
                         call(connection, &subscribe, NULL, &answer) < 0
                     ? -1
                     : 0;
    free(answer.data);
    return result;
}

static int open_connection(struct connection *connection)
{
    const char *folder = getenv("XDG_RUNTIME_DIR"), *bus = getenv("DBUS_SESSION_BUS_ADDRESS");
    cleanup_free char *usual = xasprintf("/run/user/%u", (unsigned)getuid());
    cleanup_free char *given = xasprintf("%s/systemd/private", folder ? folder : usual);
    cleanup_free char *own = xasprintf("%s/systemd/private", usual);
    cleanup_free char *shared = bus && strncmp(bus, "unix:path=", 10) == 0 ? xasprintf("%.*s", (int)strcspn(bus + 10, ",;"), bus + 10)
                                                                           : xasprintf("%s/bus", usual);
    const char *const paths[] = {given, own, shared};
    *connection = (struct connection){.fd = -1};
    for (size_t i = 0; i < countof(paths) && connection->fd < 0; i++) {
        connection->is_bus = paths[i] == shared;
        connection->fd = connect_to(paths[i]);
        if (connection->fd >= 0 && !authenticate(connection->fd)) {
            int error = errno;
            close(connection->fd);
            connection->fd = -1;
            errno = error;
        }
    }
    if (connection->fd < 0)
        return fail(errno, NULL, "Cannot reach the user's systemd");
    return connection->is_bus ? enter_bus(connection) : 0;
}

/*** What is asked ***/

static void put_property(struct buffer *out, const char *name, const char *type)
{
    put_padding(out, 8);
    put_text(out, name);
    put_signature(out, type);
}

/* 0 is whoever asks, as the kernel names him to systemd: our own number may be one of another pid namespace's. */
static void put_pids(struct buffer *out)
{
    size_t pids = begin_array(out, 4);
    put_number(out, 0);
    end_array(out, pids, 4);
}

/* The job is done when the process has been moved. */
static int wait_for_job(const struct connection *connection, struct answer *answer)
{
    struct cursor cursor = {answer, answer->body};
    cleanup_free char *job = xstrdup(take_text(&cursor));
    while (receive(connection->fd, answer)) {
        if (answer->type != SIGNAL || strcmp(answer->member, "JobRemoved") != 0)
            continue;
        cursor = (struct cursor){answer, answer->body};
        take_number(&cursor);
        if (strcmp(take_text(&cursor), job) != 0)
            continue;
        take_text(&cursor);
        const char *result = take_text(&cursor);
        return strcmp(result, "done") == 0 ? 0 : fail(0, NULL, "Cannot get a cgroup from systemd: its job ended as \"%s\"", result);
    }
    return fail(errno, NULL, "Cannot get a cgroup from systemd: it does not tell when it is done");
}

int systemd_start_scope(const char *name, const char *description)
{
    struct connection connection;
    if (open_connection(&connection) < 0)
        return -1;
    struct buffer body = {0};
    struct answer answer = {0};
    put_text(&body, name);
    put_text(&body, "fail");
    size_t properties = begin_array(&body, 8);
    put_property(&body, "Description", "s");
    put_text(&body, description);
    put_property(&body, "Delegate", "b");
    put_number(&body, 1);
    /* what a container may have is said by its own cgroup, one below */
    put_property(&body, "TasksMax", "t");
    put_long(&body, UINT64_MAX);
    put_property(&body, "CollectMode", "s");
    put_text(&body, "inactive-or-failed");
    put_property(&body, "PIDs", "au");
    put_pids(&body);
    end_array(&body, properties, 8);
    end_array(&body, begin_array(&body, 8), 8); /* no other units */
    int result = call(&connection, &start_unit, &body, &answer);
    if (result == 0)
        result = wait_for_job(&connection, &answer);
    free(answer.data);
    buffer_free(&body);
    close(connection.fd);
    return result;
}

int systemd_reach(void)
{
    struct connection connection;
    if (open_connection(&connection) < 0)
        return -1;
    close(connection.fd);
    return 0;
}

int systemd_attach(const char *unit, const char *below)
{
    struct connection connection;
    if (open_connection(&connection) < 0)
        return -1;
    struct buffer body = {0};
    struct answer answer = {0};
    put_text(&body, unit);
    put_text(&body, below);
    put_pids(&body);
    int result = call(&connection, &attach_processes, &body, &answer);
    free(answer.data);
    buffer_free(&body);
    close(connection.fd);
    return result;
}
