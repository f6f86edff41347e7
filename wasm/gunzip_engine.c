#include "gunzip_engine.h"

#include "abi.h"

static struct gunzip gunzip;

uint32_t engine_version(void) {
    return ABI_VERSION;
}

uint32_t gunzip_lasting(void) {
    return GUNZIP_CHUNKS - 2;
}

void gunzip_new(void) {
    gunzip_start(&gunzip);
}

uint8_t *gunzip_input(void) {
    return gunzip.input;
}

uint32_t gunzip_space(void) {
    return GUNZIP_INPUT_SPACE;
}

uint32_t gunzip_feed(uint32_t n) {
    return gunzip_fed(&gunzip, n);
}

uint32_t gunzip_next(void) {
    return gunzip_more(&gunzip);
}

uint32_t gunzip_finish(void) {
    return gunzip_ended(&gunzip);
}

const uint8_t *gunzip_output(void) {
    return gunzip.output;
}

uint32_t gunzip_output_length(void) {
    return gunzip.output_length;
}

char *gunzip_error_pointer(void) {
    return gunzip.message.text;
}

uint32_t gunzip_error_length(void) {
    return gunzip.message.length;
}
