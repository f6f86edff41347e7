#include "pax.h"
#include "unit.h"
#include "xattr.h"

#include <stdlib.h>

static char body[8192];
static size_t body_length;
static struct pax_values v;

static void start(void) {
    body_length = 0;
}

/* A well-formed record, whatever it says. */
static void add_bytes(const char *key, const char *value, size_t n) {
    size_t rest = strlen(key) + n + 3, length = rest + 1;
    char digits[20];
    while ((size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length) length++;
    body_length += (size_t)sprintf(body + body_length, "%zu %s=", length, key);
    memcpy(body + body_length, value, n);
    body_length += n;
    body[body_length++] = '\n';
}

static void add(const char *key, const char *value) {
    add_bytes(key, value, strlen(value));
}

/* A copy of exactly this length on the heap, so that ASan sees a read beyond it. */
static const char *read_bytes(const char *text, size_t n, bool global) {
    static uint8_t *kept;
    free(kept);
    kept = malloc(n ? n : 1);
    memcpy(kept, text, n);
    memset(&v, 0, sizeof v);
    return pax_read((struct bytes){kept, (uint32_t)n}, global, &v);
}

static const char *read_body(void) {
    return read_bytes(body, body_length, false);
}

static const char *read_one(const char *key, const char *value) {
    start();
    add(key, value);
    return read_body();
}

static const char *read_global(const char *key, const char *value) {
    start();
    add(key, value);
    return read_bytes(body, body_length, true);
}

#define LITERAL(text) read_bytes(text, sizeof(text) - 1, false)

static struct xattr_block attributes;

static const char *attributes_of_body(void) {
    static uint8_t space[2048];
    attributes = (struct xattr_block){space, sizeof space, 0, 0};
    return xattr_add_body(&attributes, (struct bytes){(const uint8_t *)body, (uint32_t)body_length});
}

static bool has_attribute(const char *wanted, const char *content, size_t n) {
    struct bytes rest = {attributes.at, attributes.length}, name, value;
    while (xattr_next(&rest, &name, &value))
        if (name.length == strlen(wanted) && memcmp(name.at, wanted, name.length) == 0)
            return value.length == n && memcmp(value.at, content, n) == 0;
    return false;
}

int main(void) {
    static const char malformed[] = "has a malformed PAX header";

    TEST("pax_read() takes the values of one entry")
    start();
    add("path", "a/b");
    add("linkpath", "cd");
    add("uid", "7000");
    add("gid", "7001");
    add("size", "505");
    add("uname", "root");
    CHECK_TEXT(read_body(), NULL);
    CHECK(v.has == (PAX_PATH | PAX_LINK | PAX_UID | PAX_GID | PAX_SIZE));
    CHECK(bytes_equal(v.path, BYTES_OF("a/b")) && bytes_equal(v.link, BYTES_OF("cd")));
    CHECK(v.uid == 7000 && v.gid == 7001 && v.size == 505);

    TEST("pax_read() lets a later record win, and an empty one pass")
    start();
    add("path", "a");
    add("path", "b");
    add("uid", "");
    CHECK_TEXT(read_body(), NULL);
    CHECK(bytes_equal(v.path, BYTES_OF("b")) && v.has == PAX_PATH);
    CHECK_TEXT(LITERAL(""), NULL);

    TEST("pax_read() lets values hold newlines and equal signs")
    CHECK_TEXT(read_one("path", "a\nb=c=d"), NULL);
    CHECK(bytes_equal(v.path, BYTES_OF("a\nb=c=d")));

    TEST("pax_read() reads fractions, and times before 1970")
    CHECK_TEXT(read_one("mtime", "1234567.25"), NULL);
    CHECK(v.mtime.seconds == 1234567 && v.mtime.nanoseconds == 250000000);
    CHECK_TEXT(read_one("mtime", "-1.5"), NULL);
    CHECK(v.mtime.seconds == -2 && v.mtime.nanoseconds == 500000000);
    CHECK_TEXT(read_one("mtime", "-2"), NULL);
    CHECK(v.mtime.seconds == -2 && v.mtime.nanoseconds == 0);
    CHECK_TEXT(read_one("mtime", "1.1234567899999"), NULL);
    CHECK(v.mtime.nanoseconds == 123456789);

    TEST("pax_read() refuses malformed times")
    CHECK_TEXT(read_one("mtime", "x"), "has a malformed mtime");
    CHECK_TEXT(read_one("mtime", "1,5"), "has a malformed mtime");
    CHECK_TEXT(read_one("mtime", "--5"), "has a malformed mtime");
    CHECK_TEXT(read_one("mtime", "-"), "has a malformed mtime");
    CHECK_TEXT(read_one("mtime", "1.5e3"), "has a malformed mtime");

    TEST("pax_read() refuses malformed records, whatever is wrong with them")
    CHECK_TEXT(LITERAL("10 path=a\n"), NULL);
    CHECK_TEXT(LITERAL("x"), malformed);
    CHECK_TEXT(LITERAL("10 path=a"), malformed);
    CHECK_TEXT(LITERAL("8 path=a\n"), malformed);
    CHECK_TEXT(LITERAL("11 path=a\n"), malformed);
    CHECK_TEXT(LITERAL("-10 path=a\n"), malformed);
    CHECK_TEXT(LITERAL("0 path=a\n"), malformed);
    CHECK_TEXT(LITERAL("1 path=a\n"), malformed);
    CHECK_TEXT(LITERAL("99999999999999999999 path=a\n"), malformed);
    CHECK_TEXT(LITERAL(" path=a\n"), malformed);
    CHECK_TEXT(LITERAL("6 =aa\n"), malformed);
    CHECK_TEXT(LITERAL("7 path\n"), malformed);
    CHECK_TEXT(LITERAL("10 path=a\n\0"), malformed);
    CHECK_TEXT(LITERAL("10 pa\0h=a\n"), malformed);

    TEST("pax_read() refuses numbers that lie")
    CHECK_TEXT(read_one("size", "-1"), "has an impossible size");
    CHECK_TEXT(read_one("size", "9007199254740992"), NULL);
    CHECK_TEXT(read_one("size", "9007199254740993"), "has an impossible size");
    CHECK_TEXT(read_one("size", "99999999999999999999999999999999"), "has an impossible size");
    CHECK_TEXT(read_one("uid", "4294967294"), NULL);
    CHECK_TEXT(read_one("uid", "4294967295"), "has an impossible uid");
    CHECK_TEXT(read_one("gid", "4294967295"), "has an impossible gid");
    CHECK_TEXT(read_one("GNU.sparse.major", "2"), "has a sparse map of an unknown version");

    TEST("pax_read() refuses NUL in names")
    start();
    add_bytes("path", "a\0b", 3);
    CHECK_TEXT(read_body(), "has a NUL in its name");
    start();
    add_bytes("linkpath", "a\0b", 3);
    CHECK_TEXT(read_body(), "has a NUL in its link target");
    start();
    add_bytes("GNU.sparse.name", "a\0b", 3);
    CHECK_TEXT(read_body(), "has a NUL in its name");

    TEST("pax_read() refuses a global header that names every entry alike")
    CHECK_TEXT(read_global("comment", "a0b1c2"), NULL);
    CHECK_TEXT(read_global("uid", "7"), NULL);
    CHECK(v.has == PAX_UID && v.uid == 7);
    CHECK(read_global("path", "a") != NULL);
    CHECK(read_global("linkpath", "a") != NULL);
    CHECK(read_global("size", "5") != NULL);
    CHECK(read_global("SCHILY.xattr.user.a", "5") != NULL);

    TEST("pax_sparse_pair_01() reads a map, and refuses half of one")
    int64_t offset, length;
    struct bytes map = BYTES_OF("0,5,10,6");
    CHECK(pax_sparse_pair_01(&map, &offset, &length) == 1 && offset == 0 && length == 5);
    CHECK(pax_sparse_pair_01(&map, &offset, &length) == 1 && offset == 10 && length == 6);
    CHECK(pax_sparse_pair_01(&map, &offset, &length) == 0);
    map = BYTES_OF("0");
    CHECK(pax_sparse_pair_01(&map, &offset, &length) == -1);
    map = BYTES_OF("0,-5");
    CHECK(pax_sparse_pair_01(&map, &offset, &length) == -1);

    TEST("xattr_add_body() takes SCHILY's and libarchive's, each name once")
    start();
    add("SCHILY.xattr.user.a", "first");
    add_bytes("SCHILY.xattr.user.a", "las\0t", 5);
    add("LIBARCHIVE.xattr.user.a", "AAAAAA==");
    add("LIBARCHIVE.xattr.user.b%25%zz%", "AQID");
    add("SCHILY.xattr.user.empty", "");
    CHECK_TEXT(attributes_of_body(), NULL);
    CHECK(attributes.count == 3);
    CHECK(has_attribute("user.a", "las\0t", 5));
    CHECK(has_attribute("user.b%%zz%", "\x01\x02\x03", 3));
    CHECK(has_attribute("user.empty", "", 0));

    TEST("xattr_add_body() refuses overlayfs's own attributes, however they are spelt")
    static const char overlay[] = "has an extended attribute that belongs to overlayfs";
    start();
    add("SCHILY.xattr.user.overlay.redirect", "/etc");
    CHECK_TEXT(attributes_of_body(), overlay);
    start();
    add("SCHILY.xattr.trusted.overlay.opaque", "y");
    CHECK_TEXT(attributes_of_body(), overlay);
    start();
    add("LIBARCHIVE.xattr.trusted%2eoverlay%2Eopaque", "eQ");
    CHECK_TEXT(attributes_of_body(), overlay);

    TEST("xattr_add_body() refuses malformed and too many attributes")
    start();
    add("LIBARCHIVE.xattr.user.a", "A");
    CHECK_TEXT(attributes_of_body(), "has an extended attribute with malformed base64");
    start();
    add("LIBARCHIVE.xattr.user.a", "A*==");
    CHECK_TEXT(attributes_of_body(), "has an extended attribute with malformed base64");
    start();
    add("LIBARCHIVE.xattr.a%00b", "AAAA");
    CHECK_TEXT(attributes_of_body(), "has an extended attribute with a malformed name");
    start();
    add("SCHILY.xattr.", "a");
    CHECK_TEXT(attributes_of_body(), "has an extended attribute with a malformed name");
    static char large[2048];
    memset(large, 'x', sizeof large - 1);
    start();
    add("SCHILY.xattr.user.a", large);
    CHECK_TEXT(attributes_of_body(), "has extended attributes that are too many or too large");
    start();
    for (int i = 0; i < 300; i++) {
        char key[40];
        sprintf(key, "SCHILY.xattr.%d", i);
        add(key, "");
    }
    CHECK_TEXT(attributes_of_body(), "has extended attributes that are too many or too large");
    return unit_result();
}
