/*
 * Published ports: the monitor listens outside and leads each connection to the same container's port
 * inside (tunnel.c). It listens before the container is made, so that nothing starts whose port is taken,
 * and accepts once its program runs. All of it hangs on one epoll descriptor, which the monitor's own loop
 * watches.
 */
#include "publish.h"

#include <arpa/inet.h>
#include <linux/nsfs.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define EVENTS 64
/* Before the monitor looks after other things again. */
#define ROUNDS 16
#define ACCEPTS 64
/* The monitor's own, and what the pools keep. */
#define OTHER_DESCRIPTORS 128
/* What the program wrote last may be on its way to a slow reader, which is waited for while it goes on. */
#define FAREWELL_SECONDS 1
#define FAREWELLS 10
#define PAUSE_NANOSECONDS 50000000

struct listener {
    enum watch_kind kind;
    int fd;
    uint16_t port; /* inside */
};

static struct {
    int epoll;
    struct listener *listeners;
    size_t count;
    enum watch_kind timer_kind;
    int timer;
    struct inside inside;
    struct rlimit limit; /* of descriptors, before it was raised */
    bool raised, paused, ending;
    size_t farewells, moved;
} ports = {.epoll = -1, .timer_kind = WATCH_TIMER, .timer = -1, .inside = {-1, -1}};

/*** Listening ***/

bool publish_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        return true;
    }
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(port);
    return inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1;
}

/* Sockets of a listener inherit its options. */
static void set_options(int fd, int family)
{
    static const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* "::" beside "0.0.0.0", not instead of it */
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

static int listen_on(const struct published_port *published)
{
    struct sockaddr_storage address;
    publish_address(published->address, published->port, &address);
    cleanup_fd int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    set_options(fd, address.ss_family);
    socklen_t length = address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0)
        return -1;
    return steal_fd(&fd);
}

/* The container's program gets the limit back. */
static void raise_limit(void)
{
    if (getrlimit(RLIMIT_NOFILE, &ports.limit) < 0)
        return;
    struct rlimit raised = {.rlim_cur = ports.limit.rlim_max, .rlim_max = ports.limit.rlim_max};
    ports.raised = setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

static void restore_limit(void)
{
    if (ports.raised)
        setrlimit(RLIMIT_NOFILE, &ports.limit);
    ports.raised = false;
}

static void watch_listener(struct listener *listener, int action, bool accepting)
{
    struct epoll_event event = {.events = accepting ? EPOLLIN : 0, .data.ptr = listener};
    if (epoll_ctl(ports.epoll, action, listener->fd, &event) < 0)
        die(errno, NULL, "Cannot watch a published port");
}

void publish_listen(const struct plan *plan)
{
    if (plan->published_count == 0)
        return;
    raise_limit();
    ports.epoll = epoll_create1(EPOLL_CLOEXEC);
    ports.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &ports.timer_kind};
    if (ports.epoll < 0 || ports.timer < 0 || epoll_ctl(ports.epoll, EPOLL_CTL_ADD, ports.timer, &event) < 0)
        die(errno, NULL, "Cannot watch published ports");
    ports.listeners = xcalloc(plan->published_count, sizeof *ports.listeners);
    set_current_op("publish", 0);
    for (size_t i = 0; i < plan->published_count; i++) {
        const struct published_port *published = &plan->published[i];
        struct listener *listener = &ports.listeners[ports.count];
        *listener = (struct listener){.kind = WATCH_LISTENER, .fd = listen_on(published), .port = published->inside};
        if (listener->fd < 0) {
            int error = errno;
            bool is_ipv6 = strchr(published->address, ':') != NULL;
            cleanup_free char *path =
                xasprintf(is_ipv6 ? "[%s]:%u" : "%s:%u", published->address, (unsigned)published->port);
            die(error, path, "Cannot publish port");
        }
        ports.count++;
        watch_listener(listener, EPOLL_CTL_ADD, true);
    }
    set_current_op("", 0);
}

/* The monitor could not open it: files in /proc of a process that has changed its ids are closed to whoever started it. */
int publish_inside(const struct run *run)
{
    if (run->plan.published_count == 0)
        return 0;
    restore_limit();
    cleanup_fd int net = open_cloexec("/proc/self/ns/net", O_RDONLY, 0);
    struct message message = {.kind = MESSAGE_NETWORK};
    if (net < 0 || message_send(run->socket, &message, net) < 0)
        return fail(errno, NULL, "Cannot hand out the container's network");
    return 0;
}

void publish_begin(const struct plan *plan, int net)
{
    if (ports.epoll < 0 || net < 0)
        return;
    ports.inside.net = net;
    if (plan->namespaces[NS_USER]) {
        ports.inside.user = ioctl(net, NS_GET_USERNS);
        if (ports.inside.user < 0)
            die(errno, NULL, "Cannot find the owner of the container's network");
        fcntl(ports.inside.user, F_SETFD, FD_CLOEXEC);
    }
    tunnels_begin(ports.epoll, &ports.inside);
}

/*** Accepting ***/

static void set_timer(time_t seconds, long nanoseconds)
{
    struct itimerspec when = {.it_value = {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    timerfd_settime(ports.timer, 0, &when, NULL);
}

static void pause_accepting(bool pause)
{
    if (ports.paused == pause)
        return;
    ports.paused = pause;
    for (size_t i = 0; i < ports.count; i++)
        watch_listener(&ports.listeners[i], EPOLL_CTL_MOD, !pause);
    if (pause)
        set_timer(0, PAUSE_NANOSECONDS);
}

/* Every tunnel that was begun can have what it needs. */
static bool has_room(void)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return true;
    return (tunnels_count() + 1) * TUNNEL_DESCRIPTORS + ports.count + OTHER_DESCRIPTORS <= now.rlim_cur;
}

static void accept_connections(const struct listener *listener)
{
    for (size_t i = 0; i < ACCEPTS; i++) {
        if (!has_room()) {
            pause_accepting(true);
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            tunnel_open(fd, listener->port);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(true);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void timer_expired(void)
{
    uint64_t count;
    ssize_t done = read(ports.timer, &count, sizeof count);
    (void)done;
    if (!ports.ending) {
        pause_accepting(false);
    } else if (tunnels_moved() != ports.moved && ++ports.farewells < FAREWELLS) {
        ports.moved = tunnels_moved();
        set_timer(FAREWELL_SECONDS, 0);
    } else {
        tunnels_close();
    }
}

int publish_watched(bool accepting)
{
    return accepting ? ports.epoll : -1;
}

void publish_handle(void)
{
    struct epoll_event events[EVENTS];
    for (size_t round = 0; round < ROUNDS; round++) {
        int count = epoll_wait(ports.epoll, events, EVENTS, 0);
        for (int i = 0; i < count; i++) {
            enum watch_kind *kind = events[i].data.ptr;
            if (*kind == WATCH_SIDE)
                tunnel_event(kind, events[i].events);
            else if (*kind == WATCH_TIMER)
                timer_expired();
            else if (*kind == WATCH_RETRY)
                tunnels_retry();
            else if (!ports.ending)
                accept_connections((const struct listener *)kind);
        }
        tunnels_sweep();
        if (count < EVENTS)
            return;
    }
}

/*** The end ***/

static void close_listeners(void)
{
    for (size_t i = 0; i < ports.count; i++)
        close(ports.listeners[i].fd);
    ports.count = 0;
    restore_limit();
}

void publish_finish(void)
{
    if (ports.epoll < 0 || ports.ending)
        return;
    close_listeners();
    ports.ending = true;
    ports.moved = tunnels_moved();
    tunnels_finish();
    set_timer(FAREWELL_SECONDS, 0);
}

bool publish_finished(void)
{
    return tunnels_count() == 0;
}

void publish_close(void)
{
    if (ports.epoll < 0)
        return;
    close_listeners();
    tunnels_close();
}
