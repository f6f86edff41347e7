/*
 * The exports of layers.wasm, the whole of them. Only integers (and doubles, for what may exceed 32
 * bits) cross; pointers are offsets in the module's memory, valid until the next call. One
 * instance reads one archive at a time: the host makes an instance for each.
 */
#ifndef TSBOX_ENGINE_H
#define TSBOX_ENGINE_H

#include "export.h"
#include "tar_reader.h"
#include "tar_writer.h"

EXPORT(engine_version) uint32_t engine_version(void); /* ABI_VERSION */

/* Reading: see enum reader_status for who does what next. */
EXPORT(reader_new) void reader_new(uint32_t flags);
EXPORT(reader_buffer) uint8_t *reader_buffer(void);
EXPORT(reader_want) uint32_t reader_want(void);
EXPORT(reader_feed) uint32_t reader_feed(uint32_t n);
EXPORT(reader_next) uint32_t reader_next(void);
EXPORT(reader_finish) uint32_t reader_finish(double passed);
EXPORT(reader_data_length) double reader_data_length(void);
EXPORT(reader_offset) double reader_offset(void);
EXPORT(record_pointer) uint8_t *record_pointer(void);
EXPORT(record_length) uint32_t record_length(void);
EXPORT(reader_error_pointer) char *reader_error_pointer(void);
EXPORT(reader_error_length) uint32_t reader_error_length(void);

/* Writing: put a record at writer_buffer(), call writer_entry(); 0 is refused, else so many bytes at writer_pointer(). */
EXPORT(writer_buffer) uint8_t *writer_buffer(void);
EXPORT(writer_entry) uint32_t writer_entry(uint32_t n);
EXPORT(writer_pointer) uint8_t *writer_pointer(void);
EXPORT(writer_error_pointer) char *writer_error_pointer(void);
EXPORT(writer_error_length) uint32_t writer_error_length(void);

#endif
