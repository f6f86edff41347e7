/*
 * The exports of gunzip.wasm, the whole of them: one stream at a time. A module of its own, because its memory is the host's, who lets another thread
 * read the output there.
 */
#ifndef TSBOX_GUNZIP_ENGINE_H
#define TSBOX_GUNZIP_ENGINE_H

#include "export.h"
#include "gunzip.h"

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

#endif
