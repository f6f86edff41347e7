/*
 * The exports of unpack.wasm, the whole of them: one layer at a time, from gzip to records. A module of its own, because its memory is the host's, who
 * lets another thread and another process read the output there.
 */
#ifndef TSBOX_UNPACK_ENGINE_H
#define TSBOX_UNPACK_ENGINE_H

#include "export.h"
#include "gunzip.h"
#include "lent_stream.h"

EXPORT(engine_version) uint32_t engine_version(void); /* ABI_VERSION */
EXPORT(gunzip_lasting) uint32_t gunzip_lasting(void); /* an output stays as it is while so many more are asked for */

/* See enum gunzip_status for who does what next. */
EXPORT(gunzip_new) void gunzip_new(void);
EXPORT(gunzip_input) uint8_t *gunzip_input(void);
EXPORT(gunzip_space) uint32_t gunzip_space(void);
EXPORT(gunzip_feed) uint32_t gunzip_feed(uint32_t n);
EXPORT(gunzip_next) uint32_t gunzip_next(void);
EXPORT(gunzip_finish) uint32_t gunzip_finish(void);
EXPORT(gunzip_output) const uint8_t *gunzip_output(void);
EXPORT(gunzip_output_length) uint32_t gunzip_output_length(void);
EXPORT(gunzip_error_pointer) char *gunzip_error_pointer(void);
EXPORT(gunzip_error_length) uint32_t gunzip_error_length(void);

/* The records of the output, which is a tar's next chunk: see enum lent_status. */
EXPORT(lent_new) void lent_new(uint32_t flags);
EXPORT(lent_chunk) uint32_t lent_chunk(void);
EXPORT(lent_more) uint32_t lent_more(void);
EXPORT(lent_finish) uint32_t lent_finish(void);
EXPORT(lent_out) const uint8_t *lent_out(void);
EXPORT(lent_out_length) uint32_t lent_out_length(void);
EXPORT(lent_total) double lent_total(void); /* bytes of contents told so far */
EXPORT(lent_entries) uint32_t lent_entries(void);
EXPORT(lent_error_pointer) char *lent_error_pointer(void);
EXPORT(lent_error_length) uint32_t lent_error_length(void);

#endif
