/* What clang does not make instructions of, for a module without a C library: that of WASI knows no shared memory. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n > 0; n--, x++, y++)
        if (*x != *y) return *x < *y ? -1 : 1;
    return 0;
}

void *memchr(const void *bytes, int c, size_t n) {
    for (const uint8_t *at = bytes; n > 0; n--, at++)
        if (*at == (uint8_t)c) return (void *)at;
    return NULL;
}

int strcmp(const char *a, const char *b) {
    for (; *a && *a == *b; a++, b++) continue;
    return (uint8_t)*a - (uint8_t)*b;
}
