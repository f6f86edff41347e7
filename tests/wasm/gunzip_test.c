#include "gunzip.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct gunzip g;

struct plain {
    uint8_t *at;
    size_t length;
    const char *wrong;
};

/* All of a stream, fed STEP bytes at a time. */
static struct plain unzip(const uint8_t *from, size_t length, size_t step) {
    struct plain p = {malloc(1 << 22), 0, NULL};
    gunzip_start(&g);
    for (size_t at = 0;;) {
        size_t n = length - at < step ? length - at : step;
        memcpy(g.input, from + at, n);
        at += n;
        uint32_t status = n ? gunzip_fed(&g, (uint32_t)n) : gunzip_ended(&g);
        while (status == GUNZIP_OUTPUT || status == GUNZIP_END) {
            if (p.length + g.output_length > 1 << 22) abort();
            memcpy(p.at + p.length, g.output, g.output_length);
            p.length += g.output_length;
            if (status == GUNZIP_END) return p;
            status = gunzip_more(&g);
        }
        if (status == GUNZIP_ERROR) {
            g.message.text[g.message.length] = 0;
            p.wrong = g.message.text;
            return p;
        }
    }
}

#define HEADER 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3
#define GIVES(bytes, want)                                                                     \
    for (size_t step = 1; step <= sizeof(bytes); step++) {                                     \
        struct plain each = unzip(bytes, sizeof(bytes), step);                                    \
        CHECK_TEXT(each.wrong, NULL);                                                          \
        CHECK(each.length == sizeof(want) - 1 && memcmp(each.at, want, sizeof(want) - 1) == 0); \
        free(each.at);                                                                         \
    }
#define REFUSES(bytes, why)                                                                    \
    for (size_t step = 1; step <= sizeof(bytes); step++) {                                     \
        struct plain each = unzip(bytes, sizeof(bytes), step);                                    \
        CHECK_TEXT(each.wrong, "the gzip stream is damaged: " why);                            \
        free(each.at);                                                                         \
    }

int main(void) {
    static const uint8_t stored[] = {HEADER, 1, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o', 0, 0, 0, 0, 5, 0, 0, 0};
    /* what zlib makes of "aaaaaaaaaa" */
    static const uint8_t fixed[] = {HEADER, 0x4b, 0x4c, 0x84, 0x01, 0x00, 0xf0, 0xcd, 0x11, 0x4c, 10, 0, 0, 0};

    TEST("stored and fixed blocks, however they are cut up")
    GIVES(stored, "hello")
    GIVES(fixed, "aaaaaaaaaa")

    TEST("a second member, and zeros after the last")
    uint8_t twice[sizeof stored + sizeof fixed + 7] = {0};
    memcpy(twice, stored, sizeof stored);
    memcpy(twice + sizeof stored, fixed, sizeof fixed);
    GIVES(twice, "helloaaaaaaaaaa")

    TEST("names, comments and extra fields are passed over")
    static const uint8_t named[] = {0x1f, 0x8b, 8, 31, 0, 0, 0, 0, 0, 3, 2, 0, 9, 9, 'n', 0, 'c', 0, 1, 2, 1, 1, 0, 0xfe, 0xff, 'x', 0, 0, 0, 0, 1, 0, 0, 0};
    GIVES(named, "x")

    TEST("what is damaged is refused")
    static const uint8_t magic[] = {'P', 'K', 8, 0};
    REFUSES(magic, "it does not begin as gzip does")
    static const uint8_t method[] = {0x1f, 0x8b, 7, 0};
    REFUSES(method, "its method is not DEFLATE")
    static const uint8_t flags[] = {0x1f, 0x8b, 8, 0x80};
    REFUSES(flags, "a member has unknown flags")
    static const uint8_t type[] = {HEADER, 7, 0};
    REFUSES(type, "a block has an unknown type")
    static const uint8_t length[] = {HEADER, 1, 5, 0, 0xfa, 0xfe};
    REFUSES(length, "the length of a stored block is wrong")
    static const uint8_t far[] = {HEADER, 0x4b, 0x44, 0x01, 0x00, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct plain p = unzip(far, sizeof far, sizeof far);
    CHECK(p.wrong != NULL);
    free(p.at);
    static const uint8_t size[] = {HEADER, 1, 1, 0, 0xfe, 0xff, 'x', 0, 0, 0, 0, 2, 0, 0, 0};
    REFUSES(size, "a member has another length than it says")
    uint8_t after[sizeof stored + 1];
    memcpy(after, stored, sizeof stored);
    after[sizeof stored] = 'x';
    p = unzip(after, sizeof after, 1);
    CHECK(p.wrong != NULL);
    free(p.at);

    TEST("a stream that is cut off anywhere is refused")
    for (size_t n = 0; n < sizeof stored; n++) {
        p = unzip(stored, n, 3);
        CHECK_TEXT(p.wrong, "the gzip stream is damaged: it was cut off");
        free(p.at);
    }

    TEST("codes that are none are refused: too many, too few")
    uint32_t table[2048];
    static const uint32_t meanings[4];
    CHECK(!huffman_table(table, 2048, 8, (const uint8_t[]){1, 1, 1, 0}, 4, meanings));
    CHECK(!huffman_table(table, 2048, 8, (const uint8_t[]){2, 2, 2, 0}, 4, meanings));
    CHECK(huffman_table(table, 2048, 8, (const uint8_t[]){1, 0, 0, 0}, 4, meanings));
    CHECK(huffman_table(table, 2048, 8, (const uint8_t[]){0, 0, 0, 0}, 4, meanings));
    CHECK(!huffman_table(table, 2048, 8, (const uint8_t[]){2, 0, 0, 0}, 4, meanings));
    CHECK(huffman_table(table, 2048, 8, (const uint8_t[]){1, 2, 3, 3}, 4, meanings));

    return unit_result();
}
