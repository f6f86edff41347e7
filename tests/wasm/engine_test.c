/* The exports as a host drives them: a writer's archive through a reader, and a host that misbehaves. */
#include "engine.h"
#include "unit.h"

#include <stdlib.h>

static uint8_t archive[1 << 20];
static size_t archive_length;

static void put_entry(uint8_t kind, const char *path, const char *link, const char *content) {
    uint8_t *at = writer_buffer();
    struct record r = {
        .kind = kind,
        .mode = 0640,
        .uid = 3000000,
        .gid = 5,
        .mtime_sec = -7,
        .mtime_nsec = 120000000,
        .size = strlen(content),
        .data = strlen(content),
        .path_length = (uint32_t)strlen(path),
        .link_length = (uint32_t)strlen(link),
    };
    r.length = RECORD_HEADER_SIZE + r.path_length + r.link_length;
    memcpy(at, &r, sizeof r);
    memcpy(at + sizeof r, path, r.path_length);
    memcpy(at + sizeof r + r.path_length, link, r.link_length);
    uint32_t n = writer_entry(r.length);
    if (n == 0) unit_wrong = 1;
    memcpy(archive + archive_length, writer_pointer(), n);
    archive_length += n;
    memcpy(archive + archive_length, content, strlen(content));
    archive_length += strlen(content);
    while (archive_length % 512 != 0) archive[archive_length++] = 0;
}

static struct { struct record record; char path[5000], link[5000], content[256]; } got[16];
static int got_count;

/* Feeds at most `step` bytes a time. */
static uint32_t read_all(const uint8_t *in, size_t n, uint32_t flags, uint32_t step) {
    size_t at = 0;
    got_count = 0;
    reader_new(flags);
    uint32_t status = READER_NEED_INPUT, guard = 0;
    while (guard++ < 100000) {
        if (status == READER_NEED_INPUT) {
            uint32_t want = reader_want();
            if (want > step) want = step;
            if (want > n - at) want = (uint32_t)(n - at);
            if (want == 0) return reader_finish(0);
            memcpy(reader_buffer(), in + at, want);
            at += want;
            status = reader_feed(want);
        } else if (status == READER_RECORD) {
            if (got_count < 16) {
                memset(&got[got_count], 0, sizeof *got);
                memcpy(&got[got_count].record, record_pointer(), RECORD_HEADER_SIZE);
                memcpy(got[got_count].path, record_pointer() + 80, got[got_count].record.path_length);
                memcpy(got[got_count].link, record_pointer() + 80 + got[got_count].record.path_length, got[got_count].record.link_length);
                got_count++;
            }
            status = reader_next();
        } else if (status == READER_DATA || status == READER_SKIP) {
            size_t length = (size_t)reader_data_length();
            if (length > n - at) return reader_finish((double)(n - at));
            if (status == READER_DATA && length < 256) memcpy(got[got_count - 1].content, in + at, length);
            at += length;
            status = reader_next();
        } else {
            return status;
        }
    }
    return 0;
}

int main(void) {
    static char longest[4096], deep[300];

    TEST("what the writer wrote, the reader reads, however it is fed")
    for (int i = 0; i < 4095; i++) longest[i] = i % 200 == 199 ? '/' : 'p';
    memset(deep, 'd', 299);
    memset(deep + 100, '/', 1);
    memset(deep + 255, '/', 1);
    put_entry(RECORD_DIRECTORY, "", "", "");
    put_entry(RECORD_FILE, "etc/file", "", "the content");
    put_entry(RECORD_FILE, longest, "", "");
    put_entry(RECORD_FILE, deep, "", "x");
    put_entry(RECORD_SYMLINK, "link", longest, "");
    put_entry(RECORD_HARDLINK, "hard", "etc/file", "");
    put_entry(RECORD_WHITEOUT, "etc/gone", "", "");
    put_entry(RECORD_OPAQUE, "etc", "", "");
    writer_buffer()[4] = RECORD_END;
    struct record end = {.length = RECORD_HEADER_SIZE, .kind = RECORD_END};
    memcpy(writer_buffer(), &end, sizeof end);
    CHECK(writer_entry(RECORD_HEADER_SIZE) == 1024);
    memcpy(archive + archive_length, writer_pointer(), 1024);
    archive_length += 1024;
    const uint32_t steps[] = {1, 7, 511, 512, 513, 100000};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        CHECK(read_all(archive, archive_length, READER_WHITEOUTS, steps[i]) == READER_END);
        CHECK(got_count == 8);
        CHECK(got[0].record.kind == RECORD_DIRECTORY && got[0].record.path_length == 0);
        CHECK(got[1].record.uid == 3000000 && got[1].record.gid == 5 && got[1].record.mode == 0640);
        CHECK(got[1].record.mtime_sec == -7 && got[1].record.mtime_nsec == 120000000);
        CHECK_TEXT(got[1].path, "etc/file");
        CHECK_TEXT(got[1].content, "the content");
        CHECK_TEXT(got[2].path, longest);
        CHECK_TEXT(got[3].path, deep);
        CHECK_TEXT(got[4].link, longest);
        CHECK_TEXT(got[5].link, "etc/file");
        CHECK(got[6].record.kind == RECORD_WHITEOUT && strcmp(got[6].path, "etc/gone") == 0);
        CHECK(got[7].record.kind == RECORD_OPAQUE && strcmp(got[7].path, "etc") == 0);
    }

    TEST("without the flag, whiteouts are files")
    CHECK(read_all(archive, archive_length, 0, 512) == READER_END);
    CHECK(got[6].record.kind == RECORD_FILE && strcmp(got[6].path, "etc/.wh.gone") == 0);

    TEST("an archive cut off at any byte is refused, and the reader stays refusing")
    int wrong = 0;
    for (size_t n = 0; n < archive_length - 512; n++) {
        wrong += read_all(archive, n, READER_WHITEOUTS, 4096) != READER_ERROR;
        wrong += reader_error_length() == 0;
        wrong += reader_next() != READER_ERROR || reader_feed(1) != READER_ERROR || reader_finish(0) != READER_ERROR;
    }
    CHECK(wrong == 0);

    TEST("one zero block at the end of the source ends an archive, and inside it none does")
    CHECK(read_all(archive, archive_length - 512, READER_WHITEOUTS, 4096) == READER_END);
    memcpy(archive + archive_length - 512, archive, 512);
    CHECK(read_all(archive, archive_length, READER_WHITEOUTS, 4096) == READER_ERROR);

    TEST("a host that feeds more than was asked for is refused")
    reader_new(0);
    CHECK(reader_want() == 512);
    CHECK(reader_feed(513) == READER_ERROR);
    reader_new(0);
    CHECK(reader_feed(0xffffffff) == READER_ERROR);

    TEST("the writer refuses records that contradict themselves")
    struct record r = {.length = 81, .kind = RECORD_FILE, .path_length = 1};
    writer_buffer()[80] = 'a';
    memcpy(writer_buffer(), &r, sizeof r);
    CHECK(writer_entry(81) == 512);
    CHECK(writer_entry(80) == 0);
    CHECK(writer_entry(82) == 0);
    CHECK(writer_entry(0) == 0);
    CHECK(writer_entry(0xffffffff) == 0);
    r.path_length = 0xffffffff;
    memcpy(writer_buffer(), &r, sizeof r);
    CHECK(writer_entry(81) == 0);
    r = (struct record){.length = 81, .kind = RECORD_FILE, .path_length = 1, .flags = RECORD_FLAG_SPARSE};
    memcpy(writer_buffer(), &r, sizeof r);
    CHECK(writer_entry(81) == 0 && writer_error_length() > 0);
    r = (struct record){.length = 81, .kind = RECORD_SEGMENT, .path_length = 1};
    memcpy(writer_buffer(), &r, sizeof r);
    CHECK(writer_entry(81) == 0);
    r = (struct record){.length = 81, .kind = RECORD_FILE, .path_length = 1};
    memcpy(writer_buffer(), &r, sizeof r);
    writer_buffer()[80] = 0;
    CHECK(writer_entry(81) == 0);
    return unit_result();
}
