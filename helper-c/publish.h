/* Between publish.c, tunnel.c and inside.c. */
#ifndef TSBOX_PUBLISH_H
#define TSBOX_PUBLISH_H

#include "helper.h"

/* What an epoll event leads to: the first member of each of its kinds. */
enum watch_kind { WATCH_LISTENER, WATCH_TIMER, WATCH_RETRY, WATCH_SIDE };

/*** inside.c ***/

struct inside {
    int user, net; /* namespaces; `user` -1: it is ours */
};

/* Sockets of the container's network that are connected to nothing. How many were made; 0 and errno. */
size_t inside_sockets(const struct inside *inside, int family, int *fds, size_t count);

/*** tunnel.c ***/

void tunnels_begin(int epoll, const struct inside *inside);
/* Takes a connection from outside to a port inside. */
void tunnel_open(int fd, uint16_t port);
/* `side` is what the event's data points at. */
void tunnel_event(enum watch_kind *side, uint32_t events);
/* What the last batch of events has closed is freed: no event leads to it any more. */
void tunnels_sweep(void);
/* Who is not answered inside is announced there again. */
void tunnels_retry(void);
size_t tunnels_count(void);
/* How many bytes, in all. */
size_t tunnels_moved(void);
/* The program has ended: what it wrote is delivered, nothing is waited for. */
void tunnels_finish(void);
/* Resets them all; also from within a batch. */
void tunnels_close(void);

/* Descriptors that one tunnel may take: two sockets, two pipes. */
#define TUNNEL_DESCRIPTORS 6

#endif
