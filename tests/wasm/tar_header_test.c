#include "tar_header.h"
#include "unit.h"

static bool number(const char *field, uint32_t width, int64_t *out) {
    uint8_t copy[12] = {0}; /* not longer than the field, so that ASan sees a read beyond it */
    memcpy(copy, field, width);
    return tar_number(copy, width, out);
}

static void sum(uint8_t block[TAR_BLOCK], bool as_signed) {
    int total = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++) total += as_signed ? (int8_t)block[i] : block[i];
    snprintf((char *)block + 148, 8, "%06o", (unsigned)total);
}

static void sample(uint8_t block[TAR_BLOCK]) {
    memset(block, 0, TAR_BLOCK);
    strcpy((char *)block, "some/name");
    strcpy((char *)block + 100, "0000644");
    strcpy((char *)block + 108, "0001750");
    strcpy((char *)block + 116, "0001751");
    memcpy(block + 124, "00000001000 ", 12);
    memcpy(block + 136, "14000000000", 11);
    block[156] = '0';
    memcpy(block + 257, "ustar\00000", 8);
    sum(block, false);
}

int main(void) {
    int64_t n;
    struct tar_header h;
    uint8_t block[TAR_BLOCK];

    TEST("tar_number() reads octal digits between blanks and NULs")
    CHECK(number("0000644\0", 8, &n) && n == 0644);
    CHECK(number("  644 \0\0", 8, &n) && n == 0644);
    CHECK(number("777777777777", 12, &n) && n == 0777777777777);
    CHECK(number("\0\0\0\0\0\0\0\0", 8, &n) && n == 0);
    CHECK(number("        ", 8, &n) && n == 0);

    TEST("tar_number() refuses what is no octal number")
    CHECK(!number("0000648\0", 8, &n));
    CHECK(!number("-000001\0", 8, &n));
    CHECK(!number("12 34\0\0\0", 8, &n));
    CHECK(!number("\0" "1234567", 8, &n));
    CHECK(!number("0x12345\0", 8, &n));

    TEST("tar_number() reads base-256, negative too")
    CHECK(number("\x80\0\0\0\0\0\0\0\0\0\x01\x02", 12, &n) && n == 258);
    CHECK(number("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, &n) && n == -1);
    CHECK(number("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 12, &n) && n == -256);
    CHECK(number("\x80\0\0\0\0\x20\0\0", 8, &n) && n == 0x200000);
    CHECK(number("\xff\xff\xff\xff\xff\xff\xff\xfe", 8, &n) && n == -2);

    TEST("tar_number() refuses base-256 beyond 63 bits")
    CHECK(!number("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, &n));
    CHECK(!number("\x81\0\0\0\0\0\0\0\0\0\0\0", 12, &n));
    CHECK(!number("\xff\xff\xff\xff\x7f\0\0\0\0\0\0\0", 12, &n));
    CHECK(!number("\xc0\0\0\0\0\0\0\0\0\0\0\0", 12, &n));

    TEST("tar_header_read() gives the fields")
    sample(block);
    CHECK_TEXT(tar_header_read(block, &h), NULL);
    CHECK(h.format == TAR_USTAR && h.type == TAR_FILE && h.mode == 0644 && h.uid == 01750 && h.gid == 01751);
    CHECK(h.size == 512 && h.mtime == 014000000000 && bytes_equal(h.name, BYTES_OF("some/name")));

    TEST("tar_header_read() takes a signed checksum too")
    sample(block);
    memset(block, 0xe9, 20);
    sum(block, true);
    CHECK_TEXT(tar_header_read(block, &h), NULL);

    TEST("tar_header_read() refuses a bad checksum")
    for (int i = 0; i < 512; i++) {
        if (i >= 148 && i < 156) continue;
        sample(block);
        block[i] ^= 1;
        CHECK(tar_header_read(block, &h) == TAR_NO_HEADER);
    }

    TEST("tar_header_read() reads names that fill their field")
    sample(block);
    memset(block, 'n', 100);
    memset(block + 157, 'l', 100);
    memset(block + 345, 'p', 155);
    sum(block, false);
    CHECK_TEXT(tar_header_read(block, &h), NULL);
    CHECK(h.name.length == 100 && h.link.length == 100 && h.prefix.length == 155);

    TEST("tar_header_read() knows the formats apart")
    sample(block);
    memcpy(block + 508, "tar", 4);
    sum(block, false);
    CHECK(!tar_header_read(block, &h) && h.format == TAR_STAR);
    sample(block);
    memcpy(block + 257, "ustar  ", 8);
    memset(block + 345, '1', 100);
    sum(block, false);
    CHECK(!tar_header_read(block, &h) && h.format == TAR_GNU && h.prefix.length == 0);
    sample(block);
    memset(block + 257, 0, 8);
    block[156] = 0;
    sum(block, false);
    CHECK(!tar_header_read(block, &h) && h.format == TAR_V7 && h.type == TAR_FILE);

    TEST("tar_header_read() names the malformed field")
    const struct { int at; const char *want; } fields[] = {
        {100, "has a malformed mode"}, {108, "has a malformed uid"}, {116, "has a malformed gid"},
        {124, "has a malformed size"}, {136, "has a malformed mtime"},
    };
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
        sample(block);
        block[fields[i].at] = '?';
        sum(block, false);
        CHECK_TEXT(tar_header_read(block, &h), fields[i].want);
    }
    sample(block);
    block[156] = TAR_CHARACTER;
    block[329] = '9';
    sum(block, false);
    CHECK_TEXT(tar_header_read(block, &h), "has a malformed device number");

    TEST("tar_header_read() refuses sizes that lie")
    sample(block);
    memset(block + 124, 0xff, 12);
    sum(block, false);
    CHECK_TEXT(tar_header_read(block, &h), "has a negative size");
    sample(block);
    memcpy(block + 124, "\x80\0\0\0\0\x20\0\0\0\0\0\x01", 12);
    sum(block, false);
    CHECK_TEXT(tar_header_read(block, &h), "has an impossible size");
    return unit_result();
}
