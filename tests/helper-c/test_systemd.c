/* The little D-Bus that is spoken: what is asked, and that no answer, however broken, is believed or read beyond its end. */
#include "helper.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char folder[] = "/tmp/test-systemd-XXXXXX";

static int listen_on(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cleanup_free char *below = xasprintf("%s/systemd", folder);
    mkdir(below, 0700);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/systemd/private", folder);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
    return fd;
}

static void put(struct buffer *out, uint32_t number)
{
    buffer_put(out, &number, sizeof number);
}

static void put_words(struct buffer *out, const char *text)
{
    put(out, (uint32_t)strlen(text));
    buffer_put(out, text, strlen(text) + 1);
    while (out->length % 4)
        buffer_put(out, "", 1);
}

/* A message of `type` whose one field is `code`, a number or a text. */
static struct buffer message(char type, unsigned char code, uint32_t number, const char *text, const struct buffer *body)
{
    struct buffer out = {0}, field = {0};
    buffer_put(&field, (char[]){(char)code, 1, text ? 's' : 'u', 0}, 4);
    if (text)
        put_words(&field, text);
    else
        put(&field, number);
    buffer_put(&out, (char[]){__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B', type, 0, 1}, 4);
    put(&out, (uint32_t)body->length);
    put(&out, 7);
    put(&out, (uint32_t)field.length);
    buffer_put(&out, field.data, field.length);
    while (out.length % 8)
        buffer_put(&out, "", 1);
    buffer_put(&out, body->data, body->length);
    buffer_free(&field);
    return out;
}

static const char authenticated[] = "DATA\r\nOK 0123\r\n";

/* The words of authentication, and one whole call: a header of 16 bytes, its fields in rows of 8, the body. */
static bool is_whole(const char *asked, size_t length)
{
    const size_t begin = sizeof "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n" - 1;
    uint32_t head[4];
    if (length < begin + sizeof head)
        return false;
    memcpy(head, asked + begin, sizeof head);
    return length >= begin + (sizeof head + head[3] + 7) / 8 * 8 + head[1];
}

/* In a process of its own: answers once with `answer`, and writes what was asked into a file. */
static pid_t serve(int listener, const struct buffer *answer)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = accept(listener, NULL, NULL);
    char asked[4096];
    size_t length = 0;
    write_all(fd, authenticated, sizeof authenticated - 1);
    while (length < sizeof asked && !is_whole(asked, length)) {
        ssize_t count = read(fd, asked + length, sizeof asked - length);
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    cleanup_free char *path = xasprintf("%s/asked", folder);
    int file = open_cloexec(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write_all(file, asked, length);
    write_all(fd, answer->data, answer->length);
    _exit(0);
}

static int ask(int listener, const struct buffer *answer)
{
    pid_t pid = serve(listener, answer);
    last_failure = (struct failure){0};
    int result = systemd_start_scope("box-1.scope", "box");
    waitpid(pid, NULL, 0);
    return result;
}

static struct buffer done(const char *job, const char *result)
{
    struct buffer body = {0}, reply, signal;
    put_words(&body, "/job/1");
    reply = message(2, 5, 1, NULL, &body);
    body.length = 0;
    put(&body, 1);
    put_words(&body, job);
    put_words(&body, "box-1.scope");
    put_words(&body, result);
    signal = message(4, 3, 0, "JobRemoved", &body);
    buffer_put(&reply, signal.data, signal.length);
    buffer_free(&signal);
    buffer_free(&body);
    return reply;
}

static bool holds(const char *text, size_t length, const char *words)
{
    return memmem(text, length, words, strlen(words)) != NULL;
}

static void asks_for_a_scope(void)
{
    int listener = listen_on();
    struct buffer answer = done("/job/1", "done");
    expect_equal(ask(listener, &answer), 0);
    cleanup_free char *path = xasprintf("%s/asked", folder);
    size_t length = 0;
    cleanup_free char *asked = read_file(path, &length);
    const char begin[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    expect(asked && memcmp(asked, begin, sizeof begin - 1) == 0);
    const char *const words[] = {"StartTransientUnit", "ssa(sv)a(sa(sv))", "box-1.scope", "Delegate", "PIDs"};
    for (size_t i = 0; i < countof(words); i++)
        expect(holds(asked, length, words[i]));
    buffer_free(&answer);
    close(listener);
}

static void tells_what_went_wrong(void)
{
    int listener = listen_on();
    struct buffer failed = done("/job/1", "failed"), body = {0};
    expect_equal(ask(listener, &failed), -1);
    expect(strstr(last_failure.message, "failed"));
    buffer_free(&failed);
    put_words(&body, "no such thing");
    struct buffer error = message(3, 5, 1, NULL, &body);
    expect_equal(ask(listener, &error), -1);
    expect(strstr(last_failure.message, "no such thing"));
    buffer_free(&error);
    buffer_free(&body);
    /* another job's end is not ours; then nothing more comes */
    struct buffer other = done("/job/2", "done");
    expect_equal(ask(listener, &other), -1);
    buffer_free(&other);
    close(listener);
}

static void survives_broken_answers(void)
{
    int listener = listen_on();
    struct buffer whole = done("/job/1", "done");
    for (size_t length = 0; length < whole.length; length += 5) {
        struct buffer cut = {.data = whole.data, .length = length};
        expect_equal(ask(listener, &cut), -1);
    }
    /* lengths that lie: of the body, of the fields, of a text */
    for (size_t at = 4; at < 48; at += 4) {
        char copy[256];
        uint32_t lie = 0xfffffff0;
        memcpy(copy, whole.data, whole.length);
        memcpy(copy + at, &lie, sizeof lie);
        struct buffer lying = {.data = copy, .length = whole.length};
        ask(listener, &lying);
    }
    buffer_free(&whole);
    close(listener);
}

static void says_when_nobody_is_there(void)
{
    cleanup_free char *path = xasprintf("%s/systemd/private", folder);
    unlink(path);
    setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere", 1);
    cleanup_free char *own = xasprintf("/run/user/%u/systemd/private", (unsigned)getuid());
    if (access(own, F_OK) == 0)
        return; /* somebody is */
    expect_equal(systemd_reach(), -1);
    expect(strncmp(last_failure.message, "Cannot reach the user's systemd", 31) == 0);
}

int main(void)
{
    expect(mkdtemp(folder) != NULL);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    run_test("systemd_start_scope() asks for a scope with a process and waits for its job", asks_for_a_scope);
    run_test("systemd_start_scope() tells what systemd says", tells_what_went_wrong);
    run_test("systemd_start_scope() believes no answer that is cut off or lies about lengths", survives_broken_answers);
    run_test("systemd_reach() says when there is no systemd", says_when_nobody_is_there);
    cleanup_free char *asked = xasprintf("%s/asked", folder), *below = xasprintf("%s/systemd", folder);
    unlink(asked);
    rmdir(below);
    rmdir(folder);
    return finish_tests();
}
