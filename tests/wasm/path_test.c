#include "path.h"

#include "link_set.h"
#include "message.h"
#include "unit.h"
#include "whiteout.h"

#include <stdlib.h>

static char shown[PATH_LENGTH_MAX + 1];

static const char *normalise(const char *raw, bool whiteouts) {
    uint8_t *out = malloc(PATH_LENGTH_MAX); /* exactly, so that ASan sees one byte more */
    uint32_t length;
    const char *wrong = path_normalise((struct bytes){(const uint8_t *)raw, (uint32_t)strlen(raw)}, whiteouts, out, &length);
    memcpy(shown, out, length);
    shown[length] = 0;
    free(out);
    return wrong;
}

#define BECOMES(raw, want)                  \
    do {                                    \
        CHECK_TEXT(normalise(raw, false), NULL); \
        CHECK_TEXT(shown, want);            \
    } while (0)

static struct bytes text(const char *s) {
    return (struct bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

int main(void) {
    TEST("path_normalise() takes off what leads to the root, and what leads nowhere")
    BECOMES("a", "a");
    BECOMES("/a/b", "a/b");
    BECOMES("./a/b/", "a/b");
    BECOMES("//.//a///b/./c", "a/b/c");
    BECOMES("./", "");
    BECOMES("/", "");
    BECOMES(".", "");
    BECOMES("...", "...");
    BECOMES("..a/b..", "..a/b..");

    TEST("path_normalise() refuses every \"..\"")
    CHECK_TEXT(normalise("..", false), "leaves the root");
    CHECK_TEXT(normalise("../a", false), "leaves the root");
    CHECK_TEXT(normalise("/../a", false), "leaves the root");
    CHECK_TEXT(normalise("a/../../b", false), "leaves the root");
    CHECK_TEXT(normalise("a/../b", false), "has \"..\" in its path");
    CHECK_TEXT(normalise("a/b/..", false), "has \"..\" in its path");
    CHECK_TEXT(normalise("", false), "has no name");

    TEST("path_normalise() refuses what Linux cannot name, and takes what it can")
    static char raw[5000];
    memset(raw, 'x', 255);
    CHECK_TEXT(normalise(raw, false), NULL);
    raw[255] = 'x';
    CHECK_TEXT(normalise(raw, false), "has a name of more than 255 bytes");
    memset(raw, 0, sizeof raw);
    for (int i = 0; i < 4095; i++) raw[i] = i % 2 ? '/' : 'a';
    CHECK_TEXT(normalise(raw, false), NULL);
    CHECK(strlen(shown) == 4095);
    raw[4095] = '/';
    raw[4096] = 'a';
    CHECK_TEXT(normalise(raw, false), "has a path of more than 4095 bytes");

    TEST("path_normalise() lets a whiteout name a file of full length")
    memset(raw, 0, sizeof raw);
    strcpy(raw, ".wh.");
    memset(raw + 4, 'x', 255);
    CHECK_TEXT(normalise(raw, true), NULL);
    CHECK_TEXT(normalise(raw, false), "has a name of more than 255 bytes");
    strcat(raw, "/a");
    CHECK_TEXT(normalise(raw, true), "has a name of more than 255 bytes");

    TEST("path_link_leaves() follows by hand")
    CHECK(path_link_leaves(text("a"), text("/etc")));
    CHECK(path_link_leaves(text("a"), text("..")));
    CHECK(path_link_leaves(text("a"), text("b/../../c")));
    CHECK(path_link_leaves(text("d/a"), text("../../x")));
    CHECK(!path_link_leaves(text("d/a"), text("../x")));
    CHECK(!path_link_leaves(text("d/e/a"), text("../../x")));
    CHECK(!path_link_leaves(text("lib"), text("usr/lib")));

    TEST("whiteout_of() reads the OCI names")
    CHECK(whiteout_of(text("a/b")) == WHITEOUT_NONE);
    CHECK(whiteout_of(text("a/.whb")) == WHITEOUT_NONE);
    CHECK(whiteout_of(text("a/.wh.b")) == WHITEOUT_FILE);
    CHECK(whiteout_of(text(".wh.b")) == WHITEOUT_FILE);
    CHECK(whiteout_of(text("a/.wh..b")) == WHITEOUT_FILE);
    CHECK(whiteout_of(text("a/.wh..wh..opq")) == WHITEOUT_DIR);
    CHECK(whiteout_of(text(".wh..wh..opq")) == WHITEOUT_DIR);
    CHECK(whiteout_of(text(".wh..wh.aufs")) == WHITEOUT_SKIP);
    CHECK(whiteout_of(text(".wh..wh.plnk/1.2")) == WHITEOUT_SKIP);
    CHECK(whiteout_of(text(".wh..wh..opq/x")) == WHITEOUT_SKIP);
    CHECK(whiteout_of(text("a/.wh.")) == WHITEOUT_NAMELESS);
    CHECK(whiteout_of(text("a/.wh..")) == WHITEOUT_NAMELESS);
    CHECK(whiteout_of(text("a/.wh...")) == WHITEOUT_NAMELESS);
    CHECK(whiteout_of(text(".wh.a/b")) == WHITEOUT_ABOVE);
    CHECK(whiteout_of(text(".wh.a/.wh.b")) == WHITEOUT_ABOVE);

    TEST("link_set remembers, forgets, and answers for what is below")
    static struct link_set set;
    link_set_clear(&set);
    link_set_add(&set, text("a/link"));
    link_set_add(&set, text("a/link"));
    CHECK(set.count == 1 && link_set_has(&set, text("a/link")));
    CHECK(link_set_has_above(&set, text("a/link/x/y")));
    CHECK(!link_set_has_above(&set, text("a/link")));
    CHECK(!link_set_has_above(&set, text("a/linkage/x")));
    link_set_remove(&set, text("a/link"));
    CHECK(set.count == 0 && !link_set_has_above(&set, text("a/link/x")));

    TEST("link_set finds everything after removals in a crowded table")
    char name[16];
    for (int i = 0; i < 49152; i++) {
        sprintf(name, "%d", i);
        link_set_add(&set, text(name));
    }
    CHECK(set.count == LINK_SET_MAX);
    for (int i = 0; i < 49152; i += 2) {
        sprintf(name, "%d", i);
        link_set_remove(&set, text(name));
    }
    int wrong = 0;
    for (int i = 0; i < 49152; i++) {
        sprintf(name, "%d", i);
        wrong += link_set_has(&set, text(name)) != (i % 2 == 1);
    }
    CHECK(wrong == 0);

    TEST("link_set takes no more when it is full, and still answers")
    for (int i = 0; i < 200000; i++) {
        sprintf(name, "n%d", i);
        link_set_add(&set, text(name));
    }
    CHECK(set.count == LINK_SET_MAX);
    CHECK(!link_set_has(&set, text("none of them")));

    TEST("message_name() shows names without obeying them")
    struct message m;
    message_clear(&m);
    message_name(&m, BYTES_OF("a\x1b[31m\n\x7f\xc2\x9b\xff\xe2\x82\xac"));
    CHECK(m.length == strlen("\"a\\x1b[31m\\x0a\\x7f\\xc2\\x9b\\xff\xe2\x82\xac\""));
    CHECK(memcmp(m.text, "\"a\\x1b[31m\\x0a\\x7f\\xc2\\x9b\\xff\xe2\x82\xac\"", m.length) == 0);
    static uint8_t long_name[100000];
    memset(long_name, 0xff, sizeof long_name);
    message_clear(&m);
    message_name(&m, (struct bytes){long_name, sizeof long_name});
    CHECK(m.length <= MESSAGE_MAX);
    return unit_result();
}
