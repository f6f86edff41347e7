/*
 * The monitor's side of `attach`: a listening socket in the container's folder, and clients that see
 * new output and type. Packets (SOCK_SEQPACKET) begin with a letter:
 *
 *   to the monitor    a: show me output       i DATA: input         e: end of input
 *                     w ROWS COLUMNS: size    s NUMBER: signal      d: I leave, the program goes on
 *                     h: check its health now; the answer is an x
 *   to the client     o DATA, e DATA: output  l COUNT: bytes that were left out   x CODE: it has ended
 *
 * The first client of an `attached` run is its owner: its slowness slows the program, as a terminal
 * does, and the program ends when it is killed. All others are guests: what they do not read in time
 * is left out for them, so that nobody who looks on can hold up the program.
 */
#include "helper.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

/* How long the end is held up for clients that do not read. */
#define FAREWELL_MILLISECONDS 500

/* A socket's path has room for 108 bytes, a store's may be longer: its folder is named by descriptor. */
static bool short_address(const char *path, int *folder, struct sockaddr_un *address)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent = slash > path ? xasprintf("%.*s", (int)(slash - path), path) : xstrdup("/");
    *folder = open_cloexec(parent, O_PATH | O_DIRECTORY, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    cleanup_free char *name = xasprintf("/proc/self/fd/%d/%s", *folder, slash ? slash + 1 : path);
    if (*folder < 0 || strlen(name) >= sizeof address->sun_path) {
        errno = *folder < 0 ? errno : ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, name, strlen(name) + 1);
    return true;
}

int attach_connect(const char *path)
{
    struct sockaddr_un address;
    cleanup_fd int folder = -1;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || !short_address(path, &folder, &address) ||
        connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return steal_fd(&fd);
}

/* A container without an attach socket is as good as any: where there can be none, nobody can attach. */
void attach_listen(struct monitor *monitor, const char *path)
{
    struct sockaddr_un address;
    cleanup_fd int folder = -1;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !short_address(path, &folder, &address))
        return;
    unlink(path);
    mode_t before = umask(0177);
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(before);
    if (result == 0 && listen(fd, 16) == 0)
        monitor->listener = steal_fd(&fd);
}

static ssize_t send_packet(int fd, char letter, const void *data, size_t length)
{
    struct iovec parts[] = {{.iov_base = &letter, .iov_len = 1}, {.iov_base = (void *)data, .iov_len = length}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t count = sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? -1 : count - 1;
}

ssize_t packet_send(int fd, char letter, const void *data, size_t length)
{
    ssize_t count;
    do
        count = send_packet(fd, letter, data, length);
    while (count < 0 && errno == EINTR);
    return count;
}

void attach_add(struct monitor *monitor, int fd, bool owner)
{
    if (monitor->client_count == CLIENTS_MAX) {
        close(fd);
        return;
    }
    monitor->clients[monitor->client_count++] = (struct client){.fd = fd, .owner = owner};
}

int attach_owner(const struct monitor *monitor)
{
    return monitor->client_count && monitor->clients[0].owner ? monitor->clients[0].fd : -1;
}

static void forget_output(struct stream *stream, int fd)
{
    if (!stream->to_client || stream->to != fd)
        return;
    stream->to = -1;
    stream->start = stream->end = 0;
}

static void remove_client(struct monitor *monitor, size_t index)
{
    struct client *client = &monitor->clients[index];
    forget_output(&monitor->out, client->fd);
    forget_output(&monitor->err, client->fd);
    close(client->fd);
    monitor->client_count--;
    memmove(client, client + 1, (monitor->client_count - index) * sizeof *client);
}

/* A guest that has missed something is told so before it gets more. */
static void send_to_guest(struct client *client, char letter, const char *data, size_t length)
{
    if (client->lost) {
        if (packet_send(client->fd, 'l', &client->lost, sizeof client->lost) < 0) {
            client->lost += length;
            return;
        }
        client->lost = 0;
    }
    if (packet_send(client->fd, letter, data, length) < 0)
        client->lost += length;
}

void attach_copy(struct monitor *monitor, char letter, const char *data, size_t length)
{
    for (size_t i = 0; i < monitor->client_count; i++)
        if (monitor->clients[i].output && !monitor->clients[i].owner)
            send_to_guest(&monitor->clients[i], letter, data, length);
}

/*** What clients say ***/

/* A terminal drops what nobody reads, as the kernel's own does; into a pipe clients are read only when
 * there is room. */
static void take_input(struct stream *in, const char *data, size_t length)
{
    if (in->to < 0 || in->ending)
        return;
    if (!in->data)
        in->data = xmalloc(STREAM_SIZE);
    if (!stream_pending(in))
        in->start = in->end = 0;
    size_t room = STREAM_SIZE - in->end;
    length = length < room ? length : room;
    memcpy(in->data + in->end, data, length);
    in->end += length;
    stream_write(in);
}

static void end_input(struct stream *in)
{
    if (in->to < 0)
        return;
    if (in->to_terminal)
        take_input(in, "\004", 1);
    else {
        in->ending = true;
        stream_write(in);
    }
}

static void take_size(const struct monitor *monitor, const char *data, size_t length)
{
    uint16_t sides[2];
    if (length != sizeof sides || monitor->master < 0)
        return;
    memcpy(sides, data, sizeof sides);
    struct winsize size = {.ws_row = sides[0], .ws_col = sides[1]};
    ioctl(monitor->master, TIOCSWINSZ, &size);
}

/* False: this client leaves. */
static bool handle_packet(struct monitor *monitor, struct client *client, const char *packet, size_t length)
{
    const char *data = packet + 1;
    switch (packet[0]) {
    case 'a':
        client->output = true;
        break;
    case 'i':
        take_input(&monitor->in, data, length - 1);
        break;
    case 'e':
        if (client->owner)
            end_input(&monitor->in);
        break;
    case 'w':
        take_size(monitor, data, length - 1);
        break;
    case 's':
        if (length == 2 && data[0] > 0)
            monitor_signal(monitor, data[0]);
        break;
    case 'h':
        client->asks_health = true;
        if (monitor->run->plan.health.report)
            health_check_now(monitor);
        else
            attach_answer(monitor, EXIT_TSBOX);
        break;
    case 'd':
        return false;
    }
    return true;
}

/* One packet: between two the streams have their turn. */
static void read_client(struct monitor *monitor, size_t index)
{
    struct client *client = &monitor->clients[index];
    char packet[INPUT_MAX + 1];
    ssize_t count = recv(client->fd, packet, sizeof packet, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count > 0 && handle_packet(monitor, client, packet, (size_t)count))
        return;
    /* Whoever owned the program was killed before it could say that it leaves. */
    if (count <= 0 && client->owner && !restart_is_wished(&monitor->run->plan))
        monitor_kill(monitor);
    remove_client(monitor, index);
}

size_t attach_watch(const struct monitor *monitor, struct pollfd *watched)
{
    bool listens = monitor->executed && (monitor->in.to_terminal || !stream_pending(&monitor->in));
    watched[0] = (struct pollfd){.fd = monitor->listener, .events = POLLIN};
    for (size_t i = 0; i < monitor->client_count; i++)
        watched[i + 1] = (struct pollfd){.fd = monitor->clients[i].fd, .events = listens ? POLLIN : 0};
    return monitor->client_count + 1;
}

void attach_handle(struct monitor *monitor, const struct pollfd *watched)
{
    for (size_t i = monitor->client_count; i > 0; i--)
        if (watched[i].revents)
            read_client(monitor, i - 1);
    if (watched[0].revents) {
        int fd = accept4(monitor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            attach_add(monitor, fd, false);
    }
}

void attach_answer(struct monitor *monitor, int code)
{
    unsigned char byte = (unsigned char)code;
    for (size_t i = 0; i < monitor->client_count; i++)
        if (monitor->clients[i].asks_health) {
            monitor->clients[i].asks_health = false;
            packet_send(monitor->clients[i].fd, 'x', &byte, 1);
        }
}

void attach_end(struct monitor *monitor, int code)
{
    int64_t until = now_nanoseconds(CLOCK_MONOTONIC) + FAREWELL_MILLISECONDS * 1000000LL;
    unsigned char byte = (unsigned char)code;
    for (size_t i = 0; i < monitor->client_count; i++) {
        struct pollfd client = {.fd = monitor->clients[i].fd, .events = POLLOUT};
        while (packet_send(client.fd, 'x', &byte, 1) < 0 && errno == EAGAIN) {
            int64_t left = until - now_nanoseconds(CLOCK_MONOTONIC);
            if (left <= 0 || poll(&client, 1, (int)(left / 1000000) + 1) == 0)
                break;
        }
        close(client.fd);
    }
    monitor->client_count = 0;
}
