/*
 * libFuzzer: any bytes as an archive in chunks. However it is cut, putting the pieces back where they are told must give what the reader alone gives
 * record by record, and the same verdict.
 */
#include "lent_stream.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) \
    do {                \
        if (!(condition)) abort(); \
    } while (0)

static struct lent_stream lent;
static struct tar_reader reader;

/* What the reader alone gives: records, with the flag where it belongs, each followed by its content. */
static struct {
    uint8_t *bytes;
    size_t length, space;
    uint64_t contents;
    uint32_t entries;
} plain;

static void append(const void *bytes, size_t n) {
    if (n > plain.space - plain.length) {
        plain.space = 2 * (plain.length + n);
        MUST(plain.bytes = realloc(plain.bytes, plain.space));
    }
    memcpy(plain.bytes + plain.length, bytes, n);
    plain.length += n;
}

static void append_record(void) {
    struct record record;
    memcpy(&record, reader.record, sizeof record);
    bool content = record.kind == RECORD_SEGMENT || (record.kind == RECORD_FILE && !(record.flags & RECORD_FLAG_SPARSE));
    size_t start = plain.length;
    append(reader.record, reader.record_length);
    if (content) plain.bytes[start + offsetof(struct record, flags)] |= RECORD_FLAG_LENT;
    plain.entries += record.kind != RECORD_SEGMENT && record.kind != RECORD_END;
}

static void read_plain(const uint8_t *data, size_t size, uint32_t flags) {
    size_t at = 0;
    plain.length = plain.contents = plain.entries = 0;
    tar_reader_start(&reader, flags);
    for (;;) {
        size_t n = size - at;
        switch (reader.status) {
        case READER_NEED_INPUT:
            if (n > reader.want) n = reader.want;
            memcpy(reader.input, data + at, n);
            at += n;
            if (n == 0) tar_reader_finish(&reader, 0);
            else tar_reader_feed(&reader, (uint32_t)n);
            break;
        case READER_DATA:
        case READER_SKIP:
            if (n > reader.data_length) n = reader.data_length;
            if (reader.status == READER_DATA) {
                append(data + at, n);
                plain.contents += n;
            }
            at += n;
            if (n < reader.data_length) tar_reader_finish(&reader, n);
            else tar_reader_next(&reader);
            break;
        case READER_RECORD:
            append_record();
            tar_reader_next(&reader);
            break;
        case READER_END: append_record(); return;
        default: return;
        }
    }
}

/* How far the lent stream has been put back, and compared. */
static struct {
    size_t length;
    uint64_t left; /* of the content of the last record */
    uint64_t contents;
    uint32_t entries;
} back;

static uintptr_t base;

static void compare(const void *bytes, size_t n) {
    MUST(n <= plain.length - back.length && memcmp(bytes, plain.bytes + back.length, n) == 0);
    back.length += n;
}

static void take_out(const uint8_t *chunk, size_t length) {
    MUST(lent.length <= LENT_SPACE);
    for (uint32_t at = 0; at < lent.length;) {
        uint32_t rest = lent.length - at;
        if (back.left > 0) {
            struct lent_piece piece;
            MUST(rest >= sizeof piece);
            memcpy(&piece, lent.out + at, sizeof piece);
            uint32_t from = piece.offset - (uint32_t)((uintptr_t)chunk - base);
            MUST(piece.length > 0 && piece.length <= back.left && from <= length && piece.length <= length - from);
            compare(chunk + from, piece.length);
            back.left -= piece.length;
            back.contents += piece.length;
            at += sizeof piece;
            continue;
        }
        struct record record;
        MUST(rest >= sizeof record);
        memcpy(&record, lent.out + at, sizeof record);
        MUST(record.length <= rest);
        MUST((uint64_t)sizeof record + record.path_length + record.link_length + record.xattr_length == record.length);
        compare(lent.out + at, record.length);
        back.left = record.data;
        back.entries += record.kind != RECORD_SEGMENT && record.kind != RECORD_END;
        at += record.length;
    }
    MUST(lent.entries == back.entries && lent.lent == back.contents);
}

/* What came before an error in the same chunk need not be told. */
static void check_error(void) {
    MUST(reader.status == READER_ERROR && lent.reader.message.length > 0);
    MUST(lent.reader.message.length == reader.message.length);
    MUST(memcmp(lent.reader.message.text, reader.message.text, reader.message.length) == 0);
    MUST(lent_stream_more(&lent) == LENT_ERROR && lent_stream_finish(&lent) == LENT_ERROR);
}

static void run(const uint8_t *data, size_t size, uint32_t flags, size_t step) {
    memset(&back, 0, sizeof back);
    base = (uintptr_t)data - step;
    lent_stream_start(&lent, flags, base);
    for (size_t at = 0, n; at < size; at += n) {
        n = size - at < step ? size - at : step;
        enum lent_status status = lent_stream_chunk(&lent, data + at, (uint32_t)n);
        for (; status == LENT_FULL; status = lent_stream_more(&lent)) {
            MUST(lent.length > LENT_SPACE - RECORD_MAX); /* or there was room */
            take_out(data + at, n);
        }
        if (status == LENT_ERROR) return check_error();
        MUST(status == LENT_USED);
        take_out(data + at, n);
    }
    enum lent_status status = lent_stream_finish(&lent);
    if (status == LENT_ERROR) {
        /* The source's end alone is wrong: all that was there has been told. */
        MUST(back.length == plain.length);
        return check_error();
    }
    MUST(status == LENT_USED && reader.status == READER_END && back.left == 0);
    take_out(data, 0);
    MUST(back.length == plain.length && back.entries == plain.entries && back.contents == plain.contents);
}

static void mend_checksum(uint8_t *block) {
    uint32_t sum = 0;
    memset(block + 148, ' ', 8);
    for (uint32_t i = 0; i < TAR_BLOCK; i++) sum += block[i];
    block[154] = 0;
    for (int i = 5; i >= 0; i--, sum >>= 3) block[148 + i] = (uint8_t)('0' + (sum & 7));
}

/* As in fuzz_reader.c: checksums are made right again, most of the time. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 16 == 0) return size;
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK)
        if (memcmp(data + at + 257, "ustar", 5) == 0) mend_checksum(data + at);
    return size;
}

static uint8_t *put_header(uint8_t *at, char type, size_t size) {
    memset(at, 0, TAR_BLOCK);
    at[0] = 'f';
    snprintf((char *)at + 124, 12, "%011zo", size);
    at[156] = (uint8_t)type;
    mend_checksum(at);
    return at + TAR_BLOCK;
}

/* An empty file whose attributes make a record of LENGTH bytes. */
static uint8_t *put_large(uint8_t *at, size_t length) {
    uint8_t *header = at, *body = at + TAR_BLOCK;
    at = body;
    size_t left = length - RECORD_HEADER_SIZE - 1, name_length = strlen("user.a");
    for (char name = 'a'; left > 0; name++) {
        size_t n = left > 60000 ? 50000 : left - 8 - name_length;
        at += sprintf((char *)at, "%05zu SCHILY.xattr.user.%c=", 6 + strlen("SCHILY.xattr.user.a=") + n + 1, name);
        memset(at, name, n);
        at += n;
        *at++ = '\n';
        left -= 8 + name_length + n;
    }
    put_header(header, 'x', (size_t)(at - body));
    while ((at - body) % TAR_BLOCK) *at++ = 0;
    return put_header(at, '0', 0);
}

/* No input is so large that its records fill `out`: two before it leave as much room as is to be left. */
static uint8_t filled[2 * LENT_SPACE];

static size_t fill_out(const uint8_t *data, size_t size, size_t room) {
    uint8_t *at = put_large(filled, 900000);
    at = put_large(at, LENT_SPACE - 900000 - room);
    MUST(size <= sizeof filled - (size_t)(at - filled));
    memcpy(at, data, size);
    return (size_t)(at - filled) + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    /* The last byte: whiteouts or not, and how the archive is cut. */
    uint8_t choice = data[--size];
    uint32_t flags = choice & READER_WHITEOUTS, cut = choice >> 1;
    if (cut % 8 == 1) {
        size = fill_out(data, size, size % 400);
        data = filled;
    }
    read_plain(data, size, flags);
    run(data, size, flags, sizeof filled);
    run(data, size, flags, 1 + cut * 5);
    return 0;
}
