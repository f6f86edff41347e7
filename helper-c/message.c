/* Descriptors that go over sockets, and the socket between child and monitor: packets, one of which may carry one. */
#include "helper.h"

#include <string.h>
#include <sys/socket.h>

static size_t message_size(const struct message *message)
{
    return message->kind == MESSAGE_FAILED ? sizeof *message : offsetof(struct message, failure);
}

ssize_t send_with_descriptor(int socket, const void *data, size_t length, int fd)
{
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        packet.msg_control = control.space;
        packet.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
        *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t count;
    do
        count = sendmsg(socket, &packet, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count;
}

ssize_t receive_with_descriptor(int socket, void *data, size_t capacity, int *fd)
{
    struct iovec part = {.iov_base = data, .iov_len = capacity};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t count;
    do
        count = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    *fd = -1;
    struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&packet) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return count;
}

int message_send(int socket, const struct message *message, int fd)
{
    return send_with_descriptor(socket, message, message_size(message), fd) < 0 ? -1 : 0;
}

int message_receive(int socket, struct message *message, int *fd)
{
    cleanup_fd int received = -1;
    ssize_t count = receive_with_descriptor(socket, message, sizeof *message, &received);
    if (fd)
        *fd = -1;
    if (count <= 0)
        return count < 0 && errno == ECONNRESET ? 0 : (int)count;
    if ((size_t)count < offsetof(struct message, failure) || (size_t)count < message_size(message)) {
        errno = EPROTO;
        return -1;
    }
    if (fd)
        *fd = steal_fd(&received);
    return 1;
}
