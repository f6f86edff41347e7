#include "unpack_engine.h"

#include "abi.h"

/*
 * Behind everything that the linker knows, where memory is new: what is static in shared memory is filled with zeros when an instance is made, page
 * by page, and most of this is never used, or not at once.
 */
struct context {
    struct gunzip gunzip;
    struct lent_stream lent;
};
extern uint8_t __heap_base[];
#define CONTEXT ((struct context *)__heap_base)

uint32_t engine_version(void) {
    return ABI_VERSION;
}

uint32_t gunzip_lasting(void) {
    return GUNZIP_CHUNKS - 2;
}

void gunzip_new(void) {
    if ((uintptr_t)(CONTEXT + 1) > __builtin_wasm_memory_size(0) << 16) __builtin_trap();
    gunzip_start(&CONTEXT->gunzip);
}

uint8_t *gunzip_input(void) {
    return CONTEXT->gunzip.input;
}

uint32_t gunzip_space(void) {
    return GUNZIP_INPUT_SPACE;
}

uint32_t gunzip_feed(uint32_t n) {
    return gunzip_fed(&CONTEXT->gunzip, n);
}

uint32_t gunzip_next(void) {
    return gunzip_more(&CONTEXT->gunzip);
}

uint32_t gunzip_finish(void) {
    return gunzip_ended(&CONTEXT->gunzip);
}

const uint8_t *gunzip_output(void) {
    return CONTEXT->gunzip.output;
}

uint32_t gunzip_output_length(void) {
    return CONTEXT->gunzip.output_length;
}

char *gunzip_error_pointer(void) {
    return CONTEXT->gunzip.message.text;
}

uint32_t gunzip_error_length(void) {
    return CONTEXT->gunzip.message.length;
}

void lent_new(uint32_t flags) {
    lent_stream_start(&CONTEXT->lent, flags, 0);
}

uint32_t lent_chunk(void) {
    return lent_stream_chunk(&CONTEXT->lent, CONTEXT->gunzip.output, CONTEXT->gunzip.output_length);
}

uint32_t lent_more(void) {
    return lent_stream_more(&CONTEXT->lent);
}

uint32_t lent_finish(void) {
    return lent_stream_finish(&CONTEXT->lent);
}

const uint8_t *lent_out(void) {
    return CONTEXT->lent.out;
}

uint32_t lent_out_length(void) {
    return CONTEXT->lent.length;
}

double lent_total(void) {
    return (double)CONTEXT->lent.lent;
}

uint32_t lent_entries(void) {
    return CONTEXT->lent.entries;
}

char *lent_error_pointer(void) {
    return CONTEXT->lent.reader.message.text;
}

uint32_t lent_error_length(void) {
    return CONTEXT->lent.reader.message.length;
}
