#include "engine.h"

/* The one context of the instance: about 5 MiB, which is memory only where it was touched. */
static struct tar_reader reader;
static struct tar_writer writer;

uint32_t engine_version(void) {
    return ABI_VERSION;
}

void reader_new(uint32_t flags) {
    tar_reader_start(&reader, flags);
}

uint8_t *reader_buffer(void) {
    return reader.input;
}

uint32_t reader_want(void) {
    return reader.want;
}

uint32_t reader_feed(uint32_t n) {
    return tar_reader_feed(&reader, n);
}

uint32_t reader_next(void) {
    return tar_reader_next(&reader);
}

uint32_t reader_finish(double passed) {
    /* Written so that NaN fails too. */
    return tar_reader_finish(&reader, passed >= 0 && passed <= (double)TAR_SIZE_MAX ? (uint64_t)passed : 0);
}

double reader_data_length(void) {
    return (double)reader.data_length;
}

double reader_offset(void) {
    return (double)reader.offset;
}

uint8_t *record_pointer(void) {
    return reader.record;
}

uint32_t record_length(void) {
    return reader.record_length;
}

char *reader_error_pointer(void) {
    return reader.message.text;
}

uint32_t reader_error_length(void) {
    return reader.message.length;
}

uint8_t *writer_buffer(void) {
    return writer.record;
}

uint32_t writer_entry(uint32_t n) {
    return tar_writer_entry(&writer, n) ? writer.length : 0;
}

uint8_t *writer_pointer(void) {
    return writer.out;
}

char *writer_error_pointer(void) {
    return writer.message.text;
}

uint32_t writer_error_length(void) {
    return writer.message.length;
}
