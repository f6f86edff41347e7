/* libFuzzer: any bytes as gzip. The sanitizers see what goes wrong; how the input is cut up must not matter. */
#include "gunzip.h"

#include <stdlib.h>

static struct gunzip g;

/* A digest of the output and the verdict; at most 16 MiB, which is what a small input can make. */
static uint64_t run(const uint8_t *data, size_t size, size_t step) {
    uint64_t sum = 14695981039346656037u;
    size_t total = 0;
    gunzip_start(&g);
    for (size_t at = 0;;) {
        size_t n = size - at < step ? size - at : step;
        memcpy(g.input, data + at, n);
        at += n;
        uint32_t status = n ? gunzip_fed(&g, (uint32_t)n) : gunzip_ended(&g);
        while (status == GUNZIP_OUTPUT || status == GUNZIP_END) {
            if (g.output < g.buffer || g.output + g.output_length > g.buffer + sizeof g.buffer) abort();
            for (uint32_t i = 0; i < g.output_length; i++) sum = (sum ^ g.output[i]) * 1099511628211u;
            total += g.output_length;
            if (status == GUNZIP_END || total > 16 << 20) return sum;
            status = gunzip_more(&g);
        }
        if (status == GUNZIP_ERROR) return 0;
        if (status != GUNZIP_NEED_INPUT) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t whole = run(data, size, GUNZIP_INPUT_SPACE);
    if (size < 20000 && run(data, size, 1 + size % 7) != whole) abort();
    return 0;
}
