/*
 * Records → tar headers. Deterministic: the same records give the same bytes, whatever machine,
 * user and time. POSIX ustar, and PAX only for what ustar cannot hold.
 */
#ifndef TSBOX_TAR_WRITER_H
#define TSBOX_TAR_WRITER_H

#include "abi.h"
#include "message.h"
#include "tar_header.h"

/* A PAX header and its padding around the largest record, an ustar header for each, and room for its keys. */
#define WRITER_MAX (RECORD_MAX + (1u << 16))

struct tar_writer {
    _Alignas(8) uint8_t record[RECORD_MAX];
    uint8_t out[WRITER_MAX];
    uint32_t length;
    struct message message;
};

/*
 * The first n bytes of `record` are one record: writes into `out` what stands before its content,
 * and for RECORD_END the end marker. The caller writes the content and fills it up to a block with
 * zeros. WHITEOUT and OPAQUE become the OCI names. False: the message says why.
 */
bool tar_writer_entry(struct tar_writer *w, uint32_t n);

#endif
