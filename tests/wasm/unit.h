/* As much of a test framework as these tests need: TEST("a plain sentence") { CHECK(…); } … RUN(); */
#ifndef TSBOX_UNIT_H
#define TSBOX_UNIT_H

#include <stdio.h>
#include <string.h>

static int unit_passed, unit_failed, unit_wrong;
static const char *unit_name;

static inline void unit_end(void) {
    if (!unit_name) return;
    printf("%s %s\n", unit_wrong ? "not ok" : "ok", unit_name);
    if (unit_wrong) unit_failed++;
    else unit_passed++;
    unit_name = NULL;
}

static inline void unit_begin(const char *name) {
    unit_end();
    unit_name = name;
    unit_wrong = 0;
}

static inline int unit_result(void) {
    unit_end();
    printf("%d passed, %d failed\n", unit_passed, unit_failed);
    return unit_failed ? 1 : 0;
}

#define TEST(name) unit_begin(name);
#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            printf("# %s:%d: expected %s\n", __FILE__, __LINE__, #condition);        \
            unit_wrong = 1;                                                          \
        }                                                                            \
    } while (0)

#define CHECK_TEXT(got, want)                                                                          \
    do {                                                                                               \
        const char *got_ = (got), *want_ = (want);                                                     \
        if ((got_ == NULL) != (want_ == NULL) || (got_ && strcmp(got_, want_) != 0)) {                 \
            printf("# %s:%d: got \"%s\", expected \"%s\"\n", __FILE__, __LINE__, got_ ? got_ : "NULL", \
                   want_ ? want_ : "NULL");                                                            \
            unit_wrong = 1;                                                                            \
        }                                                                                              \
    } while (0)

#endif
