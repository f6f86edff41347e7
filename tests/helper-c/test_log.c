/* The log's files, and the detach keys. */
#include "helper.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder[] = "/tmp/tsbox-log-XXXXXX";

static char *file(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static bool holds(const char *name, const char *text)
{
    cleanup_free char *path = file(name), *content = read_file(path, NULL);
    return content && strstr(content, text);
}

static off_t size_of(const char *name)
{
    cleanup_free char *path = file(name);
    struct stat found;
    return stat(path, &found) == 0 ? found.st_size : -1;
}

static void rotates(void)
{
    cleanup_free char *path = file("log");
    cleanup_fd int fd = log_open(path, 200, 3);
    for (int i = 1; i <= 20; i++) {
        char line[16];
        int length = snprintf(line, sizeof line, "line %02d\n", i);
        log_write(fd, "stdout", line, (size_t)length);
    }
    expect(holds("log", "line 20"));
    expect(size_of("log") > 0 && size_of("log") <= 200);
    expect(size_of("log.1") > 0 && size_of("log.1") <= 200);
    expect(size_of("log.2") > 0);
    expect(size_of("log.3") < 0);
    expect(!holds("log.2", "line 01"));
}

/* RLIMIT_FSIZE stands for the disk that is full: write fails the same way. */
static void survives_a_full_disk(void)
{
    cleanup_free char *path = file("full");
    cleanup_fd int fd = log_open(path, 0, 1);
    struct rlimit before, tight = {.rlim_cur = 150, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    tight.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    for (int i = 0; i < 10; i++)
        log_write(fd, "stdout", "0123456789\n", 11);
    expect(size_of("full") <= 150);
    setrlimit(RLIMIT_FSIZE, &before);
    log_write(fd, "stdout", "later\n", 6);
    expect(holds("full", "bytes of the log are missing here: File too large"));
    expect(holds("full", "stdout F later"));
    cleanup_free char *content = read_file(path, NULL);
    /* no half line */
    for (char *line = strtok(content, "\n"); line; line = strtok(NULL, "\n"))
        expect(line[0] == '2' && line[29] == 'Z');
}

static void keys(void)
{
    struct client_options options = {0};
    expect(detach_keys_parse(&options, "16,17") && options.key_count == 2);
    expect(options.keys[0] == 16 && options.keys[1] == 17);
    expect(detach_keys_parse(&options, "") && options.key_count == 0);
    expect(!detach_keys_parse(&options, "16,x"));
    expect(!detach_keys_parse(&options, "256"));
    expect(!detach_keys_parse(&options, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    run_test("a log of its size is set aside, and so many files are kept", rotates);
    run_test("a full disk costs whole lines, and a later one says how many bytes", survives_a_full_disk);
    run_test("detach_keys_parse() takes bytes in decimal", keys);
    static const char *const names[] = {"log", "log.1", "log.2", "full"};
    for (size_t i = 0; i < countof(names); i++) {
        cleanup_free char *path = file(names[i]);
        unlink(path);
    }
    rmdir(folder);
    return finish_tests();
}
