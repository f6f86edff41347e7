/*
 * Connections from outside to a port inside. Each is two sockets and two flows between them. A flow moves
 * bytes by splice(2) through a pipe, which holds them where the far side does not take them all: memory of
 * this process is never in between, and the near side is not read until the pipe is empty, so that a slow
 * reader slows the writer. A pipe belongs to a flow only while there are bytes in it.
 *
 * A listener inside whose queue is full drops who comes, and the kernel asks again after 1, 3, 7, 15, 31
 * seconds. Nothing is ever slow on the way to it, so it is asked again at short intervals instead.
 *
 * epoll reports edges: what a socket is ready for is remembered in its side, and forgotten when a call says
 * EAGAIN.
 */
#include "publish.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define CHUNK (1024 * 1024)
/* What one flow moves before the others have their turn. */
#define TURN (4 * CHUNK)
#define PIPES_KEPT 8
#define SOCKETS_KEPT 16
#define RETRY_NANOSECONDS 50000000
/* Of those that wait longest, at a time: where a server stands still, thousands may wait. */
#define RETRIES 64

struct tunnel;

struct side {
    enum watch_kind kind;
    int fd;
    bool readable, writable;
    struct tunnel *tunnel;
};

struct flow {
    struct side *from, *to;
    int pipe[2];
    size_t held;
    bool ended; /* nothing more comes */
    bool done;  /* and that was passed on */
};

struct tunnel {
    struct side outside, inside;
    struct flow inwards, outwards;
    uint16_t port;
    uint8_t address; /* which of `addresses` is tried */
    bool connected, waiting, closed;
    struct tunnel *next, *previous;
    TAILQ_ENTRY(tunnel) wait; /* for an answer inside */
};

static struct {
    int epoll;
    const struct inside *inside;
    struct tunnel *first, *closed;
    size_t count;
    bool finishing;
    size_t moved;
    enum watch_kind retry_kind;
    int retry;
    bool retry_set;
    TAILQ_HEAD(waiting, tunnel) waiting;
    int pipes[PIPES_KEPT][2];
    size_t pipe_count; /* of those kept */
    size_t pipes_open;
    struct {
        int fds[SOCKETS_KEPT];
        size_t count;
    } sockets[2];
} tunnels = {.retry_kind = WATCH_RETRY, .retry = -1, .waiting = TAILQ_HEAD_INITIALIZER(tunnels.waiting)};

/* Where a program may listen: most on every address or the first; who looks up "localhost" may get the
 * second, who looks up the host's name the third, which /etc/hosts has for it. */
static const struct {
    int family;
    uint32_t ipv4;
} addresses[] = {{AF_INET, 0x7f000001}, {AF_INET6, 0}, {AF_INET, 0x7f000101}};

void tunnels_begin(int epoll, const struct inside *inside)
{
    tunnels.epoll = epoll;
    tunnels.inside = inside;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &tunnels.retry_kind};
    tunnels.retry = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (tunnels.retry < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, tunnels.retry, &event) < 0)
        die(errno, NULL, "Cannot watch published ports");
}

size_t tunnels_count(void)
{
    return tunnels.count;
}

size_t tunnels_moved(void)
{
    return tunnels.moved;
}

/*** Closing ***/

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void drop_pipe(struct flow *flow)
{
    if (flow->pipe[0] < 0)
        return;
    if (flow->held == 0 && tunnels.pipe_count < PIPES_KEPT) {
        memcpy(tunnels.pipes[tunnels.pipe_count++], flow->pipe, sizeof flow->pipe);
    } else {
        close(flow->pipe[0]);
        close(flow->pipe[1]);
        tunnels.pipes_open--;
    }
    flow->pipe[0] = flow->pipe[1] = -1;
}

static bool take_pipe(struct flow *flow)
{
    if (flow->pipe[0] >= 0)
        return true;
    if (tunnels.pipe_count) {
        memcpy(flow->pipe, tunnels.pipes[--tunnels.pipe_count], sizeof flow->pipe);
        return true;
    }
    if (pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        flow->pipe[0] = flow->pipe[1] = -1;
        return false;
    }
    /* Larger pipes are fewer calls. Not all of them: the kernel counts their size for all programs of the
     * user, and gives small ones to all when it is too much. Without leave it stays as it is. */
    if (tunnels.pipes_open++ < PIPES_KEPT)
        fcntl(flow->pipe[1], F_SETPIPE_SZ, CHUNK);
    return true;
}

static void stop_waiting(struct tunnel *tunnel)
{
    if (tunnel->waiting)
        TAILQ_REMOVE(&tunnels.waiting, tunnel, wait);
    tunnel->waiting = false;
}

static void tunnel_close(struct tunnel *tunnel)
{
    if (tunnel->closed)
        return;
    tunnel->closed = true;
    stop_waiting(tunnel);
    close_if_open(&tunnel->outside.fd);
    close_if_open(&tunnel->inside.fd);
    drop_pipe(&tunnel->inwards);
    drop_pipe(&tunnel->outwards);
    if (tunnel->previous)
        tunnel->previous->next = tunnel->next;
    else
        tunnels.first = tunnel->next;
    if (tunnel->next)
        tunnel->next->previous = tunnel->previous;
    tunnel->next = tunnels.closed;
    tunnels.closed = tunnel;
    tunnels.count--;
}

/* Both see a reset, as they would of each other: an end-of-file would claim that all was said. */
static void tunnel_reset(struct tunnel *tunnel)
{
    static const struct linger none = {.l_onoff = 1};
    if (!tunnel->closed) {
        setsockopt(tunnel->outside.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        if (tunnel->inside.fd >= 0)
            setsockopt(tunnel->inside.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    tunnel_close(tunnel);
}

void tunnels_sweep(void)
{
    while (tunnels.closed) {
        struct tunnel *next = tunnels.closed->next;
        free(tunnels.closed);
        tunnels.closed = next;
    }
}

/*** Moving ***/

static bool watch_side(struct side *side, int action)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = side};
    return epoll_ctl(tunnels.epoll, action, side->fd, &event) == 0;
}

static ssize_t move(int from, int to, size_t length)
{
    ssize_t count;
    do
        count = splice(from, NULL, to, NULL, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (count < 0 && errno == EINTR);
    return count;
}

/* False: one of the two is broken. */
static bool flow_fill(struct flow *flow)
{
    if (!take_pipe(flow))
        return false;
    ssize_t count = move(flow->from->fd, flow->pipe[1], CHUNK);
    if (count < 0 && errno != EAGAIN)
        return false;
    if (count < 0)
        flow->from->readable = false;
    else if (count == 0)
        flow->ended = true;
    else
        flow->held = (size_t)count;
    return true;
}

static bool flow_empty(struct flow *flow)
{
    ssize_t count = move(flow->pipe[0], flow->to->fd, flow->held);
    if (count < 0 && errno != EAGAIN)
        return false;
    if (count < 0)
        flow->to->writable = false;
    if (count > 0) {
        flow->held -= (size_t)count;
        tunnels.moved += (size_t)count;
    }
    return true;
}

static bool flow_move(struct flow *flow)
{
    size_t moved = 0;
    for (;;) {
        if (!flow->held && (flow->ended || !flow->from->readable))
            break;
        if (!flow->held) {
            if (moved >= TURN) {
                /* Told once more, after the others. */
                watch_side(flow->from, EPOLL_CTL_MOD);
                break;
            }
            if (!flow_fill(flow))
                return false;
            moved += flow->held;
            continue;
        }
        if (!flow->to->writable)
            break;
        if (!flow_empty(flow))
            return false;
    }
    if (!flow->held)
        drop_pipe(flow);
    if (flow->ended && !flow->held && !flow->done) {
        shutdown(flow->to->fd, SHUT_WR);
        flow->done = true;
    }
    return true;
}

static void tunnel_move(struct tunnel *tunnel)
{
    if (!flow_move(&tunnel->inwards) || !flow_move(&tunnel->outwards))
        tunnel_reset(tunnel);
    else if (tunnel->outwards.done && (tunnel->inwards.done || tunnels.finishing))
        tunnel_close(tunnel);
}

/*** Opening ***/

static int take_socket(int family)
{
    size_t which = family == AF_INET6;
    if (tunnels.sockets[which].count == 0)
        tunnels.sockets[which].count = inside_sockets(tunnels.inside, family, tunnels.sockets[which].fds, SOCKETS_KEPT);
    return tunnels.sockets[which].count ? tunnels.sockets[which].fds[--tunnels.sockets[which].count] : -1;
}

static bool connect_to(int fd, size_t address, uint16_t port)
{
    static const int on = 1;
    struct sockaddr_in ipv4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addresses[address].ipv4)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_ipv4 = addresses[address].family == AF_INET;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(fd, is_ipv4 ? (struct sockaddr *)&ipv4 : (struct sockaddr *)&ipv6, is_ipv4 ? sizeof ipv4 : sizeof ipv6) == 0 ||
           errno == EINPROGRESS;
}

static void set_retry(void)
{
    struct itimerspec when = {.it_value = {.tv_nsec = RETRY_NANOSECONDS}};
    if (!tunnels.retry_set)
        tunnels.retry_set = timerfd_settime(tunnels.retry, 0, &when, NULL) == 0;
}

static void start_waiting(struct tunnel *tunnel)
{
    stop_waiting(tunnel);
    TAILQ_INSERT_TAIL(&tunnels.waiting, tunnel, wait);
    tunnel->waiting = true;
    set_retry();
}

/* Not what an event that is yet to be handled tells of. */
static bool is_unanswered(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_SYN_SENT;
}

/* The same socket, from the beginning. It says that it was disconnected: that must not be taken for an answer. */
static bool connect_again(struct tunnel *tunnel)
{
    static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int fd = tunnel->inside.fd, error;
    socklen_t length = sizeof error;
    return connect(fd, &nowhere, sizeof nowhere) == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
           connect_to(fd, tunnel->address, tunnel->port);
}

void tunnels_retry(void)
{
    uint64_t expired;
    ssize_t done = read(tunnels.retry, &expired, sizeof expired);
    (void)done;
    tunnels.retry_set = false;
    struct tunnel *last = TAILQ_LAST(&tunnels.waiting, waiting);
    for (size_t i = 0; last && i < RETRIES; i++) {
        struct tunnel *tunnel = TAILQ_FIRST(&tunnels.waiting);
        bool is_last = tunnel == last;
        start_waiting(tunnel);
        if (is_unanswered(tunnel->inside.fd) && !connect_again(tunnel))
            tunnel_reset(tunnel);
        if (is_last)
            break;
    }
}

/* Try this address and those after it. Nobody listens anywhere: outside it is as if nobody had listened there. */
static void tunnel_connect(struct tunnel *tunnel)
{
    for (; tunnel->address < countof(addresses); tunnel->address++) {
        close_if_open(&tunnel->inside.fd);
        tunnel->inside.fd = take_socket(addresses[tunnel->address].family);
        tunnel->inside.readable = tunnel->inside.writable = false;
        if (tunnel->inside.fd >= 0 && connect_to(tunnel->inside.fd, tunnel->address, tunnel->port) &&
            watch_side(&tunnel->inside, EPOLL_CTL_ADD)) {
            start_waiting(tunnel);
            return;
        }
    }
    tunnel_reset(tunnel);
}

void tunnel_open(int fd, uint16_t port)
{
    struct tunnel *tunnel = xcalloc(1, sizeof *tunnel);
    *tunnel = (struct tunnel){
        .outside = {.kind = WATCH_SIDE, .fd = fd, .tunnel = tunnel},
        .inside = {.kind = WATCH_SIDE, .fd = -1, .tunnel = tunnel},
        .inwards = {.from = &tunnel->outside, .to = &tunnel->inside, .pipe = {-1, -1}},
        .outwards = {.from = &tunnel->inside, .to = &tunnel->outside, .pipe = {-1, -1}},
        .port = port,
        .next = tunnels.first,
    };
    if (tunnels.first)
        tunnels.first->previous = tunnel;
    tunnels.first = tunnel;
    tunnels.count++;
    if (watch_side(&tunnel->outside, EPOLL_CTL_ADD))
        tunnel_connect(tunnel);
    else
        tunnel_reset(tunnel);
}

void tunnel_event(enum watch_kind *kind, uint32_t events)
{
    struct side *side = (struct side *)kind;
    struct tunnel *tunnel = side->tunnel;
    if (tunnel->closed)
        return;
    if (side == &tunnel->inside && !tunnel->connected) {
        if (events & (EPOLLERR | EPOLLHUP)) {
            tunnel->address++;
            tunnel_connect(tunnel);
            return;
        }
        tunnel->connected = (events & EPOLLOUT) != 0;
        if (tunnel->connected)
            stop_waiting(tunnel);
    } else if (events & EPOLLERR) {
        /* A server that answers before it has read all ends like this: the answer is passed on. */
        side->readable = true;
        flow_move(side == &tunnel->inside ? &tunnel->outwards : &tunnel->inwards);
        tunnel_reset(tunnel);
        return;
    }
    side->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0;
    side->writable |= (events & (EPOLLOUT | EPOLLHUP)) != 0;
    if (tunnel->connected)
        tunnel_move(tunnel);
}

/*** The end ***/

static void close_kept(void)
{
    close_if_open(&tunnels.retry);
    for (size_t family = 0; family < countof(tunnels.sockets); family++)
        while (tunnels.sockets[family].count)
            close(tunnels.sockets[family].fds[--tunnels.sockets[family].count]);
    while (tunnels.pipe_count) {
        tunnels.pipe_count--;
        close(tunnels.pipes[tunnels.pipe_count][0]);
        close(tunnels.pipes[tunnels.pipe_count][1]);
    }
}

void tunnels_finish(void)
{
    tunnels.finishing = true;
    for (struct tunnel *tunnel = tunnels.first, *next; tunnel; tunnel = next) {
        next = tunnel->next;
        if (!tunnel->connected)
            tunnel_reset(tunnel);
        else if (tunnel->outwards.done)
            tunnel_close(tunnel);
    }
    tunnels_sweep();
}

void tunnels_close(void)
{
    while (tunnels.first)
        tunnel_reset(tunnels.first);
    close_kept();
}
