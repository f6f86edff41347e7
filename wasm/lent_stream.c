#include "lent_stream.h"

void lent_stream_start(struct lent_stream *s, uint32_t flags, uintptr_t base) {
    tar_reader_start(&s->reader, flags);
    s->base = base;
    s->at = s->end = s->out;
    s->passed = s->lent = 0;
    s->entries = s->length = 0;
}

static bool put(struct lent_stream *s, const void *bytes, uint32_t length) {
    if (LENT_SPACE - s->length < length) return false;
    memcpy(s->out + s->length, bytes, length);
    s->length += length;
    return true;
}

static bool put_record(struct lent_stream *s) {
    struct record record;
    memcpy(&record, s->reader.record, sizeof record);
    bool content = record.kind == RECORD_SEGMENT || (record.kind == RECORD_FILE && !(record.flags & RECORD_FLAG_SPARSE));
    uint32_t start = s->length;
    if (!put(s, s->reader.record, s->reader.record_length)) return false;
    record.flags |= content ? RECORD_FLAG_LENT : 0;
    memcpy(s->out + start, &record, sizeof record);
    s->entries += record.kind != RECORD_SEGMENT;
    return true;
}

/* As much of what passes as the chunk has: told, if it is content. */
static bool pass(struct lent_stream *s, bool content) {
    uint64_t left = s->reader.data_length - s->passed;
    uint32_t n = (uint32_t)(s->end - s->at);
    if (n > left) n = (uint32_t)left;
    if (content && n > 0) {
        struct lent_piece piece = {.offset = (uint32_t)((uintptr_t)s->at - s->base), .length = n};
        if (!put(s, &piece, sizeof piece)) return false;
        s->lent += n;
    }
    s->at += n;
    s->passed += n;
    if (s->passed == s->reader.data_length) {
        s->passed = 0;
        tar_reader_next(&s->reader);
    }
    return true;
}

static void feed(struct lent_stream *s) {
    uint32_t n = (uint32_t)(s->end - s->at);
    if (n > s->reader.want) n = s->reader.want;
    memcpy(s->reader.input, s->at, n);
    s->at += n;
    tar_reader_feed(&s->reader, n);
}

enum lent_status lent_stream_more(struct lent_stream *s) {
    s->length = 0;
    for (;;) {
        switch (s->reader.status) {
        case READER_RECORD:
            if (!put_record(s)) return LENT_FULL;
            tar_reader_next(&s->reader);
            continue;
        case READER_END: s->at = s->end; return LENT_USED; /* padding; the END record waits for the end of the source */
        case READER_ERROR: return LENT_ERROR;
        default: break;
        }
        if (s->at == s->end) return LENT_USED;
        if (s->reader.status == READER_NEED_INPUT) feed(s);
        else if (!pass(s, s->reader.status == READER_DATA)) return LENT_FULL;
    }
}

enum lent_status lent_stream_chunk(struct lent_stream *s, const uint8_t *chunk, uint32_t length) {
    s->at = chunk;
    s->end = chunk + length;
    return lent_stream_more(s);
}

enum lent_status lent_stream_finish(struct lent_stream *s) {
    s->length = 0;
    if (tar_reader_finish(&s->reader, s->passed) != READER_END) return LENT_ERROR;
    put(s, s->reader.record, s->reader.record_length);
    return LENT_USED;
}
