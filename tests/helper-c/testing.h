/* The few lines that every test program shares: `ok NAME`, `not ok NAME`, a total at the end. */
#ifndef TSBOX_TESTING_H
#define TSBOX_TESTING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int passed_count, failed_count, skipped_count;
static bool test_failed;

__attribute__((unused, format(printf, 3, 4))) static void expect_that(bool held, int line, const char *format, ...)
{
    if (held)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("# line %d: ", line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    test_failed = true;
}

#define expect(condition) expect_that((condition), __LINE__, "%s", #condition)
#define expect_equal(got, wanted)                                                                                     \
    do {                                                                                                               \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                                              \
        expect_that(got_ == wanted_, __LINE__, "%s is %lld, expected %lld", #got, got_, wanted_);                      \
    } while (0)

#define run_test(name, function)                                                                                       \
    do {                                                                                                               \
        test_failed = false;                                                                                           \
        function();                                                                                                    \
        printf("%s %s\n", test_failed ? "not ok" : "ok", name);                                                        \
        fflush(stdout);                                                                                                \
        if (test_failed)                                                                                               \
            failed_count++;                                                                                            \
        else                                                                                                           \
            passed_count++;                                                                                            \
    } while (0)

__attribute__((unused)) static void skip_test(const char *name, const char *missing)
{
    printf("ok %s # SKIP needs %s\n", name, missing);
    skipped_count++;
}

__attribute__((unused)) static int finish_tests(void)
{
    if (skipped_count)
        printf("%d skipped\n", skipped_count);
    printf("%d passed, %d failed\n", passed_count, failed_count);
    return failed_count ? 1 : 0;
}

#endif
