/*
 * The client: shows a container's output, passes on what is typed, and leaves on the detach keys. It is
 * the front process of an `attached` run, and the whole of the verb `attach PATH KEYS FLAG…`. Packets
 * as attach.c tells.
 */
#include "helper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#define PACKET_MAX (STREAM_SIZE + 1)

struct view {
    int socket, signals;
    const struct client_options *options;
    size_t matched;        /* of the detach keys, withheld until it is sure what they mean */
    bool input, ended;     /* ended: an `e` is to be sent once `out` is empty */
    char out[INPUT_MAX];   /* typed, not yet taken by the monitor */
    size_t out_length;
    char packet[PACKET_MAX]; /* output, not yet taken by whoever reads ours */
    size_t start, end;
    int target;
};

_Noreturn static void leave(int code)
{
    terminal_restore();
    _exit(code);
}

static void send_or_leave(int socket, char letter, const void *data, size_t length)
{
    if (packet_send(socket, letter, data, length) < 0 && errno != EAGAIN)
        leave(EXIT_SIGNALLED + SIGKILL);
}

static void send_size(const struct view *view, uint16_t more)
{
    uint16_t sides[2];
    if (!terminal_size(&sides[0], &sides[1]))
        return;
    sides[0] = (uint16_t)(sides[0] + more);
    packet_send(view->socket, 'w', sides, sizeof sides);
}

/*** Input ***/

static bool is_detached(struct view *view, const char *data, size_t length)
{
    const struct client_options *options = view->options;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (options->key_count && byte == options->keys[view->matched]) {
            if (++view->matched == options->key_count)
                return true;
            continue;
        }
        memcpy(view->out + view->out_length, options->keys, view->matched);
        view->out_length += view->matched;
        view->matched = options->key_count && byte == options->keys[0];
        if (!view->matched)
            view->out[view->out_length++] = (char)byte;
    }
    return false;
}

static void flush_input(struct view *view)
{
    if (view->out_length) {
        if (packet_send(view->socket, 'i', view->out, view->out_length) < 0)
            return;
        view->out_length = 0;
    }
    if (view->ended && packet_send(view->socket, 'e', NULL, 0) >= 0)
        view->ended = false;
}

static void read_input(struct view *view)
{
    char data[INPUT_MAX - KEYS_MAX];
    ssize_t count = read(STDIN_FILENO, data, sizeof data);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        view->input = false;
        view->ended = true;
    } else if (is_detached(view, data, (size_t)count)) {
        flush_input(view);
        packet_send(view->socket, 'd', NULL, 0);
        leave(0);
    }
    flush_input(view);
}

/*** Output ***/

static void say_lost(const struct view *view)
{
    uint32_t count;
    memcpy(&count, view->packet + 1, sizeof count);
    cleanup_free char *line =
        xasprintf("tsbox: %u bytes of output were left out: they were not read in time\r\n", (unsigned)count);
    write_all(STDERR_FILENO, line, strlen(line));
}

_Noreturn static void lost_monitor(void)
{
    static const char line[] = "tsbox: Cannot follow the container: its monitor was killed\n";
    terminal_restore();
    write_all(STDERR_FILENO, line, sizeof line - 1);
    _exit(EXIT_SIGNALLED + SIGKILL);
}

static void write_output(struct view *view)
{
    /* The descriptor is shared with others and blocks: no more than a pipe surely has room for. */
    size_t length = view->end - view->start;
    ssize_t count = write(view->target, view->packet + view->start, length < 4096 ? length : 4096);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        leave(EXIT_SIGNALLED + SIGPIPE);
    view->start += count > 0 ? (size_t)count : 0;
}

static void read_packet(struct view *view)
{
    ssize_t count = recv(view->socket, view->packet, sizeof view->packet, MSG_DONTWAIT);
    /* Reset: the monitor has left without reading all that was typed. What it said before that comes next. */
    if (count < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
        return;
    if (count <= 0)
        lost_monitor();
    switch (view->packet[0]) {
    case 'x':
        leave(count > 1 ? (unsigned char)view->packet[1] : EXIT_TSBOX);
    case 'l':
        if (count == 1 + sizeof(uint32_t))
            say_lost(view);
        break;
    case 'o':
    case 'e':
        if (view->options->hides[view->packet[0] == 'e'])
            break;
        view->target = view->packet[0] == 'o' ? STDOUT_FILENO : STDERR_FILENO;
        view->start = 1;
        view->end = (size_t)count;
    }
}

/*** Signals ***/

static void handle_signal(const struct view *view, int signal)
{
    switch (signal) {
    case SIGCHLD:
        return;
    case SIGCONT:
        terminal_resume();
        send_size(view, 0);
        return;
    case SIGWINCH:
        send_size(view, 0);
        return;
    }
    if (view->options->signal_proxy) {
        char number = (char)signal;
        send_or_leave(view->socket, 's', &number, 1);
    } else if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) {
        if (view->options->leaves)
            packet_send(view->socket, 'd', NULL, 0);
        leave(EXIT_SIGNALLED + signal);
    }
}

static int receive_signals(void)
{
    sigset_t set;
    sigfillset(&set);
    const int untouched[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < countof(untouched); i++)
        sigdelset(&set, untouched[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigdelset(&set, SIGPIPE);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void client_run(int socket, const struct client_options *options)
{
    static struct view view;
    view = (struct view){.socket = socket, .options = options, .input = options->input};
    view.signals = receive_signals();
    if (options->terminal && options->input)
        terminal_make_raw();
    if (options->health) {
        send_or_leave(socket, 'h', NULL, 0);
    } else if (options->guest) {
        send_or_leave(socket, 'a', NULL, 0);
        /* A size that changes makes full-screen programs draw themselves anew. */
        if (options->terminal) {
            send_size(&view, 1);
            send_size(&view, 0);
        }
    }
    for (;;) {
        bool typed = view.out_length || view.ended, shown = view.start < view.end;
        struct pollfd watched[] = {
            {.fd = view.input && !typed ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = socket, .events = (short)((shown ? 0 : POLLIN) | (typed ? POLLOUT : 0))},
            {.fd = view.signals, .events = POLLIN},
            {.fd = shown ? view.target : -1, .events = POLLOUT},
        };
        if (poll(watched, countof(watched), -1) < 0 && errno != EINTR)
            leave(EXIT_TSBOX);
        struct signalfd_siginfo info;
        while (watched[2].revents && read(view.signals, &info, sizeof info) == (ssize_t)sizeof info)
            handle_signal(&view, (int)info.ssi_signo);
        if (watched[3].revents)
            write_output(&view);
        else if (!shown && watched[1].revents & (POLLIN | POLLHUP | POLLERR))
            read_packet(&view);
        if (typed && watched[1].revents & POLLOUT)
            flush_input(&view);
        if (watched[0].revents)
            read_input(&view);
    }
}

/* `16,17`: bytes in decimal. */
bool detach_keys_parse(struct client_options *options, const char *text)
{
    options->key_count = 0;
    while (*text) {
        char *end;
        unsigned long byte = strtoul(text, &end, 10);
        if (end == text || byte > 255 || options->key_count == KEYS_MAX)
            return false;
        options->keys[options->key_count++] = (unsigned char)byte;
        text = end + (*end == ',');
    }
    return true;
}

int cmd_attach(int argc, char **argv)
{
    struct client_options options = {.guest = true};
    if (argc < 3 || !detach_keys_parse(&options, argv[2]))
        die(0, NULL, "Cannot attach: usage: tsbox-helper attach SOCKET KEYS [stdin] [terminal] [signal-proxy] | health");
    for (int i = 3; i < argc; i++) {
        options.input |= strcmp(argv[i], "stdin") == 0;
        options.terminal |= strcmp(argv[i], "terminal") == 0;
        options.health |= strcmp(argv[i], "health") == 0;
        options.signal_proxy |= strcmp(argv[i], "signal-proxy") == 0;
    }
    int socket = attach_connect(argv[1]);
    if (socket < 0)
        die(errno, argv[1], "Cannot reach the container's monitor");
    client_run(socket, &options);
}
