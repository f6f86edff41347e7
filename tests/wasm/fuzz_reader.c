/*
 * libFuzzer: any bytes as an archive. Besides what the sanitizers see, every promise that abi.h
 * makes about records is checked, because apply relies on them. What the writer can write of them
 * must read back as the same record.
 */
#include "tar_reader.h"
#include "tar_writer.h"
#include "xattr.h"

#include <stdlib.h>

#define MUST(condition) \
    do {                \
        if (!(condition)) abort(); \
    } while (0)

static struct tar_reader reader, again;
static struct tar_writer writer;

static void check_path(struct bytes path) {
    MUST(path.length <= PATH_LENGTH_MAX && !bytes_have_nul(path));
    for (uint32_t start = 0; start < path.length;) {
        struct bytes c = bytes_from(path, start);
        const uint8_t *slash = memchr(c.at, '/', c.length);
        if (slash) c.length = (uint32_t)(slash - c.at);
        MUST(c.length > 0 && c.length <= COMPONENT_MAX);
        MUST(!bytes_equal(c, BYTES_OF(".")) && !bytes_equal(c, BYTES_OF("..")));
        start += c.length + 1;
        MUST(start != path.length); /* no "/" at the end */
    }
}

static struct record check_record(const struct tar_reader *r) {
    struct record record;
    memcpy(&record, r->record, sizeof record);
    MUST(record.length == r->record_length && record.length <= RECORD_MAX);
    MUST((uint64_t)RECORD_HEADER_SIZE + record.path_length + record.link_length + record.xattr_length == record.length);
    MUST(record.kind >= RECORD_DIRECTORY && record.kind <= RECORD_END);
    MUST(record.mode <= 07777 && record.mtime_nsec < 1000000000 && record.below == 0);
    struct bytes path = {r->record + RECORD_HEADER_SIZE, record.path_length};
    struct bytes link = {path.at + path.length, record.link_length};
    struct bytes rest = {link.at + link.length, record.xattr_length}, name, value;
    check_path(path);
    if (record.kind == RECORD_HARDLINK) {
        check_path(link);
        MUST(link.length > 0);
    }
    if (record.kind == RECORD_SYMLINK) MUST(link.length > 0 && link.length <= PATH_LENGTH_MAX && !bytes_have_nul(link));
    uint32_t attributes = 0;
    while (xattr_next(&rest, &name, &value)) {
        attributes++;
        MUST(name.length > 0 && !bytes_have_nul(name) && !bytes_start(name, BYTES_OF("user.overlay.")));
    }
    MUST(rest.length == 0 && attributes == record.xattr_count);
    return record;
}

static void check_written(const struct record *record) {
    if (record->flags & RECORD_FLAG_SPARSE || record->kind >= RECORD_SEGMENT) return;
    memcpy(writer.record, reader.record, reader.record_length);
    if (!tar_writer_entry(&writer, reader.record_length)) return;
    tar_reader_start(&again, reader.flags);
    uint32_t at = 0;
    while (again.status == READER_NEED_INPUT) {
        uint32_t n = again.want;
        MUST(n <= writer.length - at);
        memcpy(again.input, writer.out + at, n);
        at += n;
        tar_reader_feed(&again, n);
    }
    MUST(again.status == READER_RECORD && at == writer.length);
    struct record back = check_record(&again);
    MUST(back.kind == record->kind && back.path_length == record->path_length && back.link_length == record->link_length);
    MUST(memcmp(again.record + RECORD_HEADER_SIZE, reader.record + RECORD_HEADER_SIZE, back.path_length + back.link_length) == 0);
    if (record->kind == RECORD_WHITEOUT || record->kind == RECORD_OPAQUE) return;
    MUST(back.mode == record->mode && back.uid == record->uid && back.gid == record->gid && back.size == record->size);
    MUST(back.mtime_sec == record->mtime_sec && back.mtime_nsec == record->mtime_nsec);
    MUST(back.xattr_count == record->xattr_count && back.xattr_length == record->xattr_length);
}

/*
 * The checksum is a wall that random changes never get over: it is made right again wherever a
 * block looks like a header, and left wrong once in a while.
 */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 16 == 0) return size;
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        uint8_t *block = data + at;
        if (memcmp(block + 257, "ustar", 5) != 0) continue;
        uint32_t sum = 0;
        memset(block + 148, ' ', 8);
        for (uint32_t i = 0; i < TAR_BLOCK; i++) sum += block[i];
        block[154] = 0;
        for (int i = 5; i >= 0; i--, sum >>= 3) block[148 + i] = (uint8_t)('0' + (sum & 7));
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    /* The last byte: whiteouts or not, and how the input is cut up. */
    uint8_t choice = data[--size];
    uint32_t step = (choice >> 1) % 8 == 0 ? 1u << 20 : 1u + (choice >> 1) * 5u;
    size_t at = 0;
    uint64_t file_size = 0, segment_end = 0;
    tar_reader_start(&reader, choice & READER_WHITEOUTS);
    for (;;) {
        switch (reader.status) {
        case READER_NEED_INPUT: {
            uint32_t n = reader.want < step ? reader.want : step;
            if (n > size - at) n = (uint32_t)(size - at);
            MUST(reader.want > 0);
            if (n == 0) {
                tar_reader_finish(&reader, 0);
                MUST(reader.status == READER_END || reader.status == READER_ERROR);
                break;
            }
            memcpy(reader.input, data + at, n);
            at += n;
            tar_reader_feed(&reader, n);
            break;
        }
        case READER_RECORD: {
            struct record record = check_record(&reader);
            if (record.kind == RECORD_FILE) {
                file_size = record.size;
                segment_end = 0;
                if (!(record.flags & RECORD_FLAG_SPARSE)) MUST(record.data == record.size);
            }
            if (record.kind == RECORD_SEGMENT) {
                MUST(record.offset >= segment_end && record.data > 0 && record.offset + record.data <= file_size);
                segment_end = record.offset + record.data;
            }
            check_written(&record);
            tar_reader_next(&reader);
            if (record.data > 0) MUST(reader.status == READER_DATA && reader.data_length == record.data);
            break;
        }
        case READER_DATA:
        case READER_SKIP:
            MUST(reader.data_length > 0);
            if (reader.data_length > size - at) {
                MUST(tar_reader_finish(&reader, size - at) == READER_ERROR);
                break;
            }
            at += reader.data_length;
            tar_reader_next(&reader);
            break;
        case READER_END: check_record(&reader); return 0;
        default: MUST(reader.status == READER_ERROR && reader.message.length > 0); return 0;
        }
    }
}
