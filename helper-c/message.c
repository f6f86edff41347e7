/* The socket between child and monitor: packets, one of which may carry a descriptor. */
#include "helper.h"

#include <string.h>
#include <sys/socket.h>

static size_t message_size(const struct message *message)
{
    return message->kind == MESSAGE_FAILED ? sizeof *message : offsetof(struct message, failure);
}

int message_send(int socket, const struct message *message, int fd)
{
    struct iovec data = {.iov_base = (void *)message, .iov_len = message_size(message)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr packet = {.msg_iov = &data, .msg_iovlen = 1};
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
    return count < 0 ? -1 : 0;
}

int message_receive(int socket, struct message *message, int *fd)
{
    struct iovec data = {.iov_base = message, .iov_len = sizeof *message};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr packet = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t count;
    do
        count = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    if (fd)
        *fd = -1;
    if (count <= 0)
        return count < 0 && errno == ECONNRESET ? 0 : (int)count;
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
        int received;
        memcpy(&received, CMSG_DATA(header), sizeof received);
        if (fd)
            *fd = received;
        else
            close(received);
    }
    if ((size_t)count < offsetof(struct message, failure) || (size_t)count < message_size(message)) {
        errno = EPROTO;
        return -1;
    }
    return 1;
}
