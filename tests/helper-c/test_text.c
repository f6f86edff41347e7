/* Text that leaves the helper: JSON, percent-encoding, log lines; and numbers that enter it. */
#include "helper.h"
#include "testing.h"

#include <string.h>

static struct buffer out;

static bool json_is(const char *text, size_t length, const char *wanted)
{
    out.length = 0;
    buffer_json(&out, text, length);
    return strcmp(out.data, wanted) == 0;
}

static void json_escapes(void)
{
    expect(json_is("plain", 5, "\"plain\""));
    expect(json_is("", 0, "\"\""));
    expect(json_is("a\"b\\c", 5, "\"a\\\"b\\\\c\""));
    expect(json_is("\n\t\033\177", 4, "\"\\u000a\\u0009\\u001b\\u007f\""));
    expect(json_is("\0x", 2, "\"\\u0000x\""));
}

static void json_utf8(void)
{
    expect(json_is("\303\244\342\202\254\360\237\230\200", 9, "\"\303\244\342\202\254\360\237\230\200\""));
    expect(json_is("\377a", 2, "\"\\ufffda\""));
    expect(json_is("\303", 1, "\"\\ufffd\""));
    expect(json_is("\300\200", 2, "\"\\ufffd\\ufffd\""));                   /* overlong */
    expect(json_is("\355\240\200", 3, "\"\\ufffd\\ufffd\\ufffd\""));         /* a surrogate */
    expect(json_is("\364\220\200\200", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"")); /* above U+10FFFF */
}

static void percent(void)
{
    out.length = 0;
    buffer_percent(&out, "a/b-c d%\n\377", 10);
    expect(strcmp(out.data, "a/b-c%20d%25%0A%FF") == 0);
    out.length = 0;
    buffer_percent(&out, "x\0y", 3);
    expect(strcmp(out.data, "x%00y") == 0);
}

static void grows(void)
{
    struct buffer buffer = {0};
    for (int i = 0; i < 1000; i++)
        buffer_printf(&buffer, "%d,", i);
    expect_equal(buffer.length, 3890);
    expect(strcmp(buffer.data + buffer.length - 4, "999,") == 0);
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    buffer_printf(&buffer, "%s", large);
    expect_equal(buffer.length, 3890 + 4999);
    buffer_free(&buffer);
}

static bool log_is(const char *data, const char *wanted)
{
    out.length = 0;
    buffer_put(&out, "", 0);
    log_format(&out, 1795239816887565635, "stdout", data, strlen(data));
    return strcmp(out.data, wanted) == 0;
}

#define TIME "2026-11-21T05:43:36.887565635Z stdout "

static void log_lines(void)
{
    expect(log_is("one\n", TIME "F one\n"));
    expect(log_is("one\ntwo\n", TIME "F one\n" TIME "F two\n"));
    expect(log_is("\n\n", TIME "F \n" TIME "F \n"));
    expect(log_is("prompt> ", TIME "P prompt> \n"));
    expect(log_is("end\nbegin", TIME "F end\n" TIME "P begin\n"));
    expect(log_is("", ""));
}

static bool time_is(int64_t seconds, const char *wanted)
{
    out.length = 0;
    log_format(&out, seconds * 1000000000, "x", "y", 1);
    return strncmp(out.data, wanted, strlen(wanted)) == 0;
}

static void log_times(void)
{
    expect(time_is(0, "1970-01-01T00:00:00.000000000Z "));
    expect(time_is(951782399, "2000-02-28T23:59:59"));
    expect(time_is(951782400, "2000-02-29T00:00:00"));
    expect(time_is(951868800, "2000-03-01T00:00:00"));
    expect(time_is(1735689599, "2024-12-31T23:59:59"));
    expect(time_is(4107542400, "2100-03-01T00:00:00")); /* 2100 is no leap year */
}

static void numbers(void)
{
    uint64_t value = 7;
    expect(parse_number("0", 10, &value) && value == 0);
    expect(parse_number("10", 10, &value) && value == 10);
    expect(!parse_number("11", 10, &value));
    expect(!parse_number("", 10, &value) && !parse_number("+1", 10, &value) && !parse_number("1 ", 10, &value));
    expect(parse_number("18446744073709551615", UINT64_MAX, &value) && value == UINT64_MAX);
    expect(!parse_number("18446744073709551616", UINT64_MAX, &value));
    expect(parse_base("1fFf", 16, UINT64_MAX, &value) && value == 0x1fff);
    expect(parse_base("1777", 8, 07777, &value) && value == 01777);
    expect(!parse_base("8", 8, 07777, &value) && !parse_base("10000", 8, 07777, &value));
}

static void failures(void)
{
    set_current_op("bind", 4);
    expect_equal(fail(ENOENT, "/x", "Cannot bind"), -1);
    expect(strcmp(last_failure.message, "Cannot bind: No such file or directory") == 0);
    expect(last_failure.index == 4 && strcmp(last_failure.op, "bind") == 0 && strcmp(last_failure.path, "/x") == 0);
    expect_equal(last_failure.exit_code, EXIT_TSBOX);
    char path[5000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    fail(0, path, "%s", path);
    expect_equal(strlen(last_failure.path), sizeof last_failure.path - 1);
    expect_equal(strlen(last_failure.message), sizeof last_failure.message - 1);
    expect(strcmp(error_name(ENOENT), "ENOENT") == 0 && strcmp(error_name(0), "") == 0 && strcmp(error_name(99999), "") == 0);
}

static void events(void)
{
    int ends[2];
    char text[4096];
    expect(pipe(ends) == 0);
    events_add(ends[1]);
    event_begin("one");
    event_text("path", "a\"b");
    event_number("n", -3);
    event_end();
    expect(strstr(event_line(), "\"path\":\"a\\\"b\",\"n\":-3}") != NULL);
    events_hold(true);
    event_begin("two");
    event_bytes("path", "\377", 1);
    event_end();
    event_begin("three");
    event_end();
    ssize_t length = read(ends[0], text, sizeof text - 1);
    text[length] = 0;
    expect(strncmp(text, "{\"event\":\"one\",\"time\":\"", 23) == 0 && strchr(text, '\n') == text + length - 1);
    event_flush();
    event_flush();
    length = read(ends[0], text, sizeof text - 1);
    text[length] = 0;
    expect(strstr(text, "\"path\":\"%FF\"}\n{\"event\":\"three\"") != NULL && text[length - 1] == '\n');
    events_hold(false);
    events_drop_all();
    close(ends[0]);
}

int main(void)
{
    run_test("buffer_json() escapes quotes, backslashes and control characters", json_escapes);
    run_test("buffer_json() keeps UTF-8 and replaces what is none", json_utf8);
    run_test("buffer_percent() keeps harmless bytes only", percent);
    run_test("buffer_printf() grows the buffer as needed", grows);
    run_test("log_format() writes an F line a line and a P line for an unfinished one", log_lines);
    run_test("log_format() knows the calendar", log_times);
    run_test("parse_number() takes whole words within the limit", numbers);
    run_test("fail() keeps op, path, errno and text, and cuts what is too long", failures);
    run_test("events are whole lines, held until flushed where asked", events);
    buffer_free(&out);
    return finish_tests();
}
