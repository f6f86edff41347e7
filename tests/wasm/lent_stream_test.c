/* Tars in chunks of memory, and the stream that comes of them with its pieces put back from where they are said to lie. */
#include "lent_stream.h"
#include "unit.h"
#include "xattr.h"

#include <stdlib.h>

#define SPACE ((size_t)4 << 20)

/* --- An archive ----------------------------------------------------------------------------- */

static uint8_t tar[SPACE];
static size_t tar_length;

static void octal(uint8_t *field, size_t width, size_t number) {
    for (size_t i = width - 1; i > 0; i--, number >>= 3) field[i - 1] = (uint8_t)('0' + (number & 7));
}

static void seal(uint8_t *block) {
    size_t sum = 0;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++) sum += block[i];
    octal(block + 148, 7, sum);
}

static uint8_t *put_block(const void *bytes, size_t n) {
    uint8_t *block = tar + tar_length;
    size_t whole = (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    if (whole > SPACE - tar_length) abort();
    memset(block, 0, whole);
    if (n > 0) memcpy(block, bytes, n);
    tar_length += whole;
    return block;
}

static uint8_t *put_header(uint8_t type, const char *name, const char *link, size_t size) {
    uint8_t *block = put_block("", 1);
    memcpy(block, name, strlen(name));
    octal(block + 100, 8, 0640);
    octal(block + 124, 12, size);
    block[156] = type;
    memcpy(block + 157, link, strlen(link));
    memcpy(block + 257, "ustar\00000", 8);
    seal(block);
    return block;
}

static void put_entry(uint8_t type, const char *name, const char *content) {
    put_header(type, name, "", strlen(content));
    put_block(content, strlen(content));
}

static void put_end(void) {
    memset(put_block(tar, 2 * TAR_BLOCK), 0, 2 * TAR_BLOCK);
}

static uint8_t pax[PAX_MAX + 64];
static size_t pax_length;

static void add_pax(const char *key, const void *value, size_t n) {
    size_t rest = strlen(key) + n + 3, length = rest, before;
    do {
        before = length;
        length = rest + (size_t)snprintf(NULL, 0, "%zu", length);
    } while (length != before);
    if (length > sizeof pax - pax_length) abort();
    pax_length += (size_t)sprintf((char *)pax + pax_length, "%zu %s=", length, key);
    memcpy(pax + pax_length, value, n);
    pax_length += n;
    pax[pax_length++] = '\n';
}

static void add_pax_text(const char *key, const char *value) {
    add_pax(key, value, strlen(value));
}

static void put_pax(uint8_t type) {
    put_header(type, "PaxHeader", "", pax_length);
    put_block(pax, pax_length);
    pax_length = 0;
}

/* --- What comes of it ----------------------------------------------------------------------- */

static struct lent_stream s;
static uint8_t memory[SPACE];
static uintptr_t base;

/* The stream as it were if contents followed their records, which keep the flag. */
static uint8_t plain[SPACE];
static struct back {
    size_t length;
    uint64_t left; /* of the content of the last record */
    uint64_t contents;
    uint32_t entries;
    uint32_t full_at_record, full_at_piece;
    bool ended;
} back;
static char message[MESSAGE_MAX + 1];

static void append(const void *bytes, size_t n) {
    if (n > SPACE - back.length) abort();
    memcpy(plain + back.length, bytes, n);
    back.length += n;
}

/* `out` is whole records and pieces; false if it is anything else. */
static bool take_out(const uint8_t *chunk, size_t length) {
    if (s.length > LENT_SPACE) return false;
    for (uint32_t at = 0; at < s.length;) {
        uint32_t rest = s.length - at;
        if (back.left > 0) {
            struct lent_piece piece;
            if (rest < sizeof piece) return false;
            memcpy(&piece, s.out + at, sizeof piece);
            size_t from = base + piece.offset - (uintptr_t)chunk;
            if (piece.length == 0 || piece.length > back.left || from > length || piece.length > length - from) return false;
            append(chunk + from, piece.length);
            back.left -= piece.length;
            back.contents += piece.length;
            at += (uint32_t)sizeof piece;
            continue;
        }
        struct record record;
        if (rest < sizeof record) return false;
        memcpy(&record, s.out + at, sizeof record);
        if (record.length > rest || record.length != sizeof record + record.path_length + record.link_length + record.xattr_length)
            return false;
        bool sparse = record.flags & RECORD_FLAG_SPARSE, lent = record.flags & RECORD_FLAG_LENT;
        if (record.flags & ~(RECORD_FLAG_SPARSE | RECORD_FLAG_LENT)) return false;
        if (lent != (record.kind == RECORD_SEGMENT || (record.kind == RECORD_FILE && !sparse))) return false;
        if (!lent && record.data > 0) return false;
        append(s.out + at, record.length);
        back.left = record.data;
        back.entries += record.kind != RECORD_SEGMENT && record.kind != RECORD_END;
        back.ended = record.kind == RECORD_END;
        at += record.length;
    }
    return s.entries == back.entries && s.lent == back.contents;
}

static bool lend(const uint8_t *chunk, size_t length, enum lent_status *status) {
    *status = lent_stream_chunk(&s, chunk, (uint32_t)length);
    for (;;) {
        if (*status == LENT_ERROR) return true;
        if (!take_out(chunk, length) || back.ended) return false;
        if (*status == LENT_USED) return true;
        if (*status != LENT_FULL || s.length <= LENT_SPACE - RECORD_MAX) return false;
        back.full_at_record += s.reader.status == READER_RECORD;
        back.full_at_piece += s.reader.status == READER_DATA;
        *status = lent_stream_more(&s);
    }
}

/*
 * Cuts the first N bytes of the archive: FIRST, then STEP at a time. Each chunk lies at the end of the memory, so that the sanitizer sees what reads
 * beyond, and is gone when the next one comes. LENT_USED: it has ended with the END record.
 */
static enum lent_status run(size_t n, size_t first, size_t step) {
    enum lent_status status = LENT_USED;
    back = (struct back){0};
    lent_stream_start(&s, READER_WHITEOUTS, base);
    bool good = true;
    for (size_t at = 0, cut = first; good && at < n && status == LENT_USED; at += cut, cut = step) {
        if (cut > n - at) cut = n - at;
        uint8_t *chunk = memory + SPACE - cut;
        memcpy(chunk, tar + at, cut);
        good = lend(chunk, cut, &status);
        memset(chunk, 0xee, cut);
    }
    if (good && status == LENT_USED) {
        status = lent_stream_finish(&s);
        if (status == LENT_USED) good = take_out(memory, 0) && back.ended;
    }
    memcpy(message, s.reader.message.text, s.reader.message.length);
    message[s.reader.message.length] = 0;
    return good ? status : 0;
}

/* One line for each record: its kind, "~" if its content is lent, names, content. */
static const char *text_of_back(void) {
    static const char *const kinds[] = {"?", "directory", "file", "symlink", "hardlink", "?", "?", "?", "whiteout", "opaque", "segment", "end"};
    static char text[8192];
    size_t n = 0, at = 0;
    text[0] = 0;
    while (at < back.length && n < sizeof text) {
        struct record r;
        memcpy(&r, plain + at, sizeof r);
        const char *path = (const char *)plain + at + sizeof r, *content = (const char *)plain + at + r.length;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s %.*s", kinds[r.kind], r.flags & RECORD_FLAG_LENT ? "~" : "",
                              r.flags & RECORD_FLAG_SPARSE ? " sparse" : "", (int)r.path_length, path);
        if (n < sizeof text && r.link_length > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, " -> %.*s", (int)r.link_length, path + r.path_length);
        if (n < sizeof text && r.kind == RECORD_SEGMENT) n += (size_t)snprintf(text + n, sizeof text - n, "%u", (unsigned)r.offset);
        if (n < sizeof text && r.xattr_length > 0) n += (size_t)snprintf(text + n, sizeof text - n, " xattrs %u", (unsigned)r.xattr_length);
        if (n < sizeof text && r.kind == RECORD_FILE) n += (size_t)snprintf(text + n, sizeof text - n, " %u", (unsigned)r.size);
        if (n < sizeof text && r.data > 0) n += (size_t)snprintf(text + n, sizeof text - n, " \"%.*s\"", (int)r.data, content);
        if (n < sizeof text) n += (size_t)snprintf(text + n, sizeof text - n, "\n");
        at += r.length + (size_t)r.data;
    }
    return text;
}

static uint8_t whole[SPACE];
static size_t whole_length;

static void keep_whole(void) {
    memcpy(whole, plain, back.length);
    whole_length = back.length;
}

static bool is_whole(void) {
    return back.length == whole_length && memcmp(plain, whole, whole_length) == 0;
}

static bool begins_whole(void) {
    return back.length < whole_length && memcmp(plain, whole, back.length) == 0;
}

/* --- Archives ------------------------------------------------------------------------------- */

static void put_gnu_sparse(const char *name, size_t size, const size_t (*segments)[2], size_t n, const char *content) {
    uint8_t *block = put_header('S', name, "", strlen(content)), *pairs = block + 386;
    memcpy(block + 257, "ustar  ", 8);
    memset(block + 345, 0, TAR_BLOCK - 345);
    octal(block + 483, 12, size);
    for (size_t i = 0; i < n; i++) {
        if (i == 4) {
            block[482] = 1;
            pairs = put_block("", 1);
        }
        octal(pairs, 12, segments[i][0]);
        octal(pairs + 12, 12, segments[i][1]);
        pairs += 24;
    }
    seal(block);
    put_block(content, strlen(content));
}

static char longer[1026], block_long[513];

/* Every way that the reader asks for things and passes them on. Where its end marker begins. */
static size_t put_all_kinds(void) {
    char segments[700];
    tar_length = 0;
    memset(longer, 'l', sizeof longer - 1);
    memset(block_long, 'b', sizeof block_long - 1);
    put_entry('5', "dir/", "");
    put_entry('0', "dir/file", "the content");
    put_entry('0', "dir/empty", "");
    put_entry('0', "longer", longer);
    put_entry('0', "block", block_long);
    put_header('2', "link", "dir/file", 0);
    put_header('1', "hard", "dir/file", 0);
    put_entry('0', "dir/.wh.gone", "nobody's");
    put_entry('0', "dir/.wh..wh..opq", "");
    snprintf(segments, sizeof segments, "onefour%.600s5as", longer);
    put_gnu_sparse("gnu", 9000, (const size_t[][2]){{1, 3}, {10, 4}, {20, 0}, {600, 600}, {2000, 1}, {8998, 2}}, 6, segments);
    put_gnu_sparse("holes", 5000, (const size_t[][2]){{5000, 0}}, 1, "");
    add_pax_text("GNU.sparse.major", "1");
    add_pax_text("GNU.sparse.minor", "0");
    add_pax_text("GNU.sparse.name", "pax");
    add_pax_text("GNU.sparse.realsize", "70000");
    put_pax('x');
    put_header('0', "GNUSparseFile.0/pax", "", TAR_BLOCK + 6);
    put_block("2\n7\n2\n65536\n4\n", 14);
    put_block("in pax", 6);
    add_pax_text("SCHILY.xattr.user.test", "value");
    put_pax('x');
    put_header('L', "././@LongLink", "", 8);
    put_block("by name", 8);
    put_entry('0', "long", "x");
    size_t end = tar_length;
    put_end();
    put_entry('0', "behind", "what nobody reads");
    return end;
}

#define ENTRIES 13

static const char *all_kinds(void) {
    static char text[8192];
    snprintf(text, sizeof text,
             "directory dir\n"
             "file~ dir/file 11 \"the content\"\n"
             "file~ dir/empty 0\n"
             "file~ longer 1025 \"%s\"\n"
             "file~ block 512 \"%s\"\n"
             "symlink link -> dir/file\n"
             "hardlink hard -> dir/file\n"
             "whiteout dir/gone\n"
             "opaque dir\n"
             "file sparse gnu 9000\n"
             "segment~ 1 \"one\"\n"
             "segment~ 10 \"four\"\n"
             "segment~ 600 \"%.600s\"\n"
             "segment~ 2000 \"5\"\n"
             "segment~ 8998 \"as\"\n"
             "file sparse holes 5000\n"
             "file sparse pax 70000\n"
             "segment~ 7 \"in\"\n"
             "segment~ 65536 \" pax\"\n"
             "file~ by name xattrs 22 1 \"x\"\n"
             "end \n",
             longer, block_long, longer);
    return text;
}

/* Three records of almost RECORD_MAX. */
static void put_large_records(void) {
    static uint8_t value[XATTR_VALUE_MAX];
    tar_length = 0;
    for (int i = 0; i < 3; i++) {
        char key[] = "SCHILY.xattr.user.a", name[] = "file0", content[] = "content 0";
        key[strlen(key) - 1] = 'a';
        for (int k = 0; k < 16; k++, key[strlen(key) - 1]++) {
            memset(value, i * 16 + k, sizeof value);
            add_pax(key, value, k < 15 ? sizeof value : 64000);
        }
        put_pax('x');
        name[4] = content[8] = (char)('0' + i);
        put_entry('0', name, content);
    }
    put_end();
}

/* So many that what they make does not fit at once. */
enum { SEGMENTS = 15000 };

static void put_many_segments(size_t path_length) {
    static char map[SEGMENTS * 9], name[101], size[16];
    size_t n = 0;
    tar_length = 0;
    for (unsigned i = 0; i < SEGMENTS; i++) n += (size_t)sprintf(map + n, "%s%u,1", i ? "," : "", 2 * i);
    sprintf(size, "%u", 2 * SEGMENTS);
    memset(name, 0, sizeof name);
    memset(name, 'n', path_length);
    add_pax_text("GNU.sparse.size", size);
    add_pax("GNU.sparse.map", map, n);
    put_pax('x');
    put_header('0', name, "", SEGMENTS);
    uint8_t *content = put_block(memory, SEGMENTS);
    for (unsigned i = 0; i < SEGMENTS; i++) content[i] = (uint8_t)(i * 7 % 251);
    put_entry('0', "next", "after it");
    put_end();
}

static bool has_many_segments(size_t path_length) {
    size_t at = sizeof(struct record) + path_length;
    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct record r;
        memcpy(&r, plain + at, sizeof r);
        if (r.kind != RECORD_SEGMENT || r.offset != 2 * i || r.data != 1 || plain[at + sizeof r] != i * 7 % 251) return false;
        at += sizeof r + 1;
    }
    return at + sizeof(struct record) + strlen("next" "after it") + sizeof(struct record) == back.length;
}

static const size_t steps[] = {1, 7, 511, 512, 513};
#define STEPS (sizeof steps / sizeof *steps)

int main(void) {
    int wrong = 0;
    base = (uintptr_t)memory - 1000;

    TEST("records of every kind, and contents told by where they lie")
    size_t end = put_all_kinds();
    CHECK(run(tar_length, tar_length, 1) == LENT_USED);
    CHECK_TEXT(text_of_back(), all_kinds());
    CHECK(s.entries == ENTRIES);
    CHECK(s.lent == 11 + 1025 + 512 + 610 + 6 + 1);
    CHECK(back.full_at_record == 0 && back.full_at_piece == 0);
    keep_whole();

    TEST("the same however it is cut")
    for (size_t i = 0; i < STEPS; i++) {
        CHECK(run(tar_length, steps[i], steps[i]) == LENT_USED);
        CHECK(is_whole());
    }
    for (size_t n = 1; n < tar_length; n++) wrong += run(tar_length, n, tar_length) != LENT_USED || !is_whole();
    CHECK(wrong == 0);

    TEST("chunks without anything, and asking for more of nothing")
    lent_stream_start(&s, READER_WHITEOUTS, base);
    CHECK(lent_stream_more(&s) == LENT_USED && s.length == 0);
    CHECK(lent_stream_chunk(&s, memory, 0) == LENT_USED && s.length == 0);
    CHECK(lent_stream_chunk(&s, tar, 512 + 512 + 3) == LENT_USED && s.length > 0);
    CHECK(lent_stream_more(&s) == LENT_USED && s.length == 0);
    CHECK(lent_stream_chunk(&s, tar, 0) == LENT_USED && s.length == 0);
    CHECK(s.entries == 2 && s.lent == 3);

    TEST("what follows the end marker is ignored, in chunks of its own too")
    CHECK(run(end + 1024, end + 1024, 1) == LENT_USED && is_whole());
    CHECK(run(tar_length, end + 1024, 100) == LENT_USED && is_whole());
    CHECK(lent_stream_chunk(&s, tar, 512) == LENT_USED && s.length == 0);
    CHECK(lent_stream_finish(&s) == LENT_USED && s.length == RECORD_HEADER_SIZE);
    CHECK(s.entries == ENTRIES);

    TEST("cut off anywhere, it is an error that says where, after all that was there")
    wrong = 0;
    for (size_t n = 1; n < end + 1024; n++) {
        if (n == end + 512) continue;
        char where[64];
        snprintf(where, sizeof where, "it is cut off after %zu bytes", n);
        wrong += run(n, n, 1) != LENT_ERROR || !begins_whole() || strncmp(message, where, strlen(where)) != 0;
        wrong += lent_stream_chunk(&s, tar, 512) != LENT_ERROR || lent_stream_more(&s) != LENT_ERROR || lent_stream_finish(&s) != LENT_ERROR;
    }
    CHECK(wrong == 0);
    CHECK(run(end + 512, end + 512, 1) == LENT_USED && is_whole()); /* the source's end stands for the second block of zeros */
    CHECK(run(end, 513, 513) == LENT_ERROR);
    CHECK(back.length == whole_length - RECORD_HEADER_SIZE && begins_whole());
    CHECK(run(0, 1, 1) == LENT_ERROR);
    CHECK_TEXT(message, "it is empty");

    TEST("a damaged archive is an error at the same place however it is cut")
    static char expected[128];
    tar[end] = 'x';
    CHECK(run(tar_length, tar_length, 1) == LENT_ERROR);
    snprintf(expected, sizeof expected, "bad header checksum at byte %zu", end);
    CHECK_TEXT(message, expected);
    for (size_t i = 0; i < STEPS; i++) {
        CHECK(run(tar_length, steps[i], steps[i]) == LENT_ERROR);
        CHECK(begins_whole());
        CHECK_TEXT(message, expected);
    }
    tar[end] = 0;

    TEST("without the flag, whiteouts are files, with contents")
    tar_length = 0;
    put_entry('0', "dir/.wh.gone", "nobody's");
    lent_stream_start(&s, 0, base);
    CHECK(lent_stream_chunk(&s, tar, (uint32_t)tar_length) == LENT_USED);
    CHECK(s.entries == 1 && s.lent == strlen("nobody's"));
    CHECK(s.length == RECORD_HEADER_SIZE + strlen("dir/.wh.gone") + sizeof(struct lent_piece));
    CHECK(s.out[4] == RECORD_FILE && s.out[5] == RECORD_FLAG_LENT);

    TEST("started again, nothing is left of a stream that stopped anywhere, or of where its memory was")
    wrong = 0;
    put_all_kinds();
    for (size_t n = 0; n < tar_length; n += 37) {
        base = (uintptr_t)memory - n;
        run(n, n, 1);
        base = (uintptr_t)memory - 3 * n;
        wrong += run(tar_length, tar_length, 1) != LENT_USED || !is_whole();
        lent_stream_start(&s, READER_WHITEOUTS, base);
        lent_stream_chunk(&s, tar, (uint32_t)n);
        wrong += run(tar_length, 513, 4096) != LENT_USED || !is_whole();
    }
    CHECK(wrong == 0);

    TEST("started again, nothing is left of an error, of global headers and links, of what did not fit")
    tar_length = 0;
    add_pax_text("uid", "77");
    put_pax('g');
    put_header('2', "dir", "/elsewhere", 0);
    put_entry('0', "dir/file", "");
    CHECK(run(tar_length, tar_length, 1) == LENT_ERROR);
    CHECK_TEXT(message, "entry \"dir/file\" is below a symbolic link that leads out of the root");
    CHECK(s.entries == 1);
    put_all_kinds();
    CHECK(run(tar_length, tar_length, 1) == LENT_USED && is_whole());
    CHECK_TEXT(message, "");
    put_large_records();
    lent_stream_start(&s, READER_WHITEOUTS, (uintptr_t)tar);
    CHECK(lent_stream_chunk(&s, tar, (uint32_t)tar_length) == LENT_FULL);
    put_all_kinds();
    CHECK(run(tar_length, tar_length, 1) == LENT_USED && is_whole());

    TEST("records that do not fit at once come one after the other")
    put_large_records();
    CHECK(run(tar_length, tar_length, 1) == LENT_USED);
    CHECK(back.full_at_record == 2);
    CHECK(s.entries == 3 && s.lent == 3 * strlen("content 0"));
    CHECK(back.length > 3 * (RECORD_MAX - 10000));
    keep_whole();
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        struct record r;
        memcpy(&r, plain + at, sizeof r);
        const uint8_t *path = plain + at + sizeof r;
        CHECK(r.kind == RECORD_FILE && r.xattr_count == 16 && r.path_length == 5 && memcmp(path, "file", 4) == 0 && path[4] == '0' + i);
        struct bytes rest = {path + 5, r.xattr_length}, name, value;
        for (int k = 0; k < 16; k++) CHECK(xattr_next(&rest, &name, &value) && name.at[5] == 'a' + k && value.at[0] == i * 16 + k);
        CHECK(memcmp(plain + at + r.length, "content ", 8) == 0 && plain[at + r.length + 8] == '0' + i);
        at += r.length + 9;
    }
    CHECK(run(tar_length, 4095, 4095) == LENT_USED && is_whole() && back.full_at_record == 0);
    CHECK(run(tar_length, 1 << 19, 2 << 20) == LENT_USED && is_whole() && back.full_at_record > 0);

    TEST("nor is anything lost where a record fits and its piece does not")
    uint32_t at_record = 0, at_piece = 0;
    for (size_t n = 1; n <= sizeof(struct record) + sizeof(struct lent_piece); n += 4) {
        put_many_segments(n);
        CHECK(run(tar_length, tar_length, 1) == LENT_USED);
        CHECK(has_many_segments(n));
        CHECK(s.entries == 2 && s.lent == SEGMENTS + strlen("after it"));
        CHECK(back.full_at_record + back.full_at_piece == 1);
        at_record += back.full_at_record;
        at_piece += back.full_at_piece;
    }
    CHECK(at_record > 0 && at_piece > 0);
    keep_whole();
    CHECK(run(tar_length, 8191, 8191) == LENT_USED && is_whole());

    return unit_result();
}
