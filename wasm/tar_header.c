#include "tar_header.h"

/*
 * Format notes
 * - offset, width: name 0,100; mode 100,8; uid 108,8; gid 116,8; size 124,12; mtime 136,12;
 *   checksum 148,8; type 156,1; link 157,100; magic 257,6; version 263,2; user 265,32; group
 *   297,32; major 329,8; minor 337,8; prefix 345,155 (ustar) or 131 (star).
 * - A string that fills its field has no NUL.
 * - The checksum is the sum of all bytes with its own field read as blanks. POSIX says unsigned;
 *   some old writers summed signed chars, so both are taken. It is at most 512 * 255.
 */
enum { NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, CHECKSUM = 148, TYPE = 156 };
enum { LINK = 157, MAGIC = 257, MAJOR = 329, MINOR = 337, PREFIX = 345, STAR_TRAILER = 508 };

const char *const TAR_NO_HEADER = "is no header";

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK]) {
    for (uint32_t i = 0; i < TAR_BLOCK; i++)
        if (block[i] != 0) return false;
    return true;
}

/*
 * Base-256: the first bit of the field is set, the second is the sign, the rest a two's-complement
 * number. What does not fit into 63 bits is refused.
 */
static bool base256(const uint8_t *field, uint32_t width, int64_t *number) {
    bool negative = field[0] & 0x40;
    uint8_t fill = negative ? 0xff : 0x00;
    uint8_t first = (uint8_t)((field[0] & 0x7f) | (negative ? 0x80 : 0));
    uint64_t value = negative ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < width; i++) {
        uint8_t byte = i == 0 ? first : field[i];
        if (width - i > 8 && byte != fill) return false;
        value = value << 8 | byte;
    }
    if ((value >> 63) != negative) return false;
    *number = (int64_t)value;
    return true;
}

bool tar_number(const uint8_t *field, uint32_t width, int64_t *number) {
    if (field[0] & 0x80) return base256(field, width, number);
    uint32_t i = 0;
    while (i < width && field[i] == ' ') i++;
    uint64_t value = 0;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++) value = value << 3 | (uint64_t)(field[i] - '0');
    /* At most 12 digits, so no overflow. What follows the number may only be filling. */
    for (; i < width; i++)
        if (field[i] != ' ' && field[i] != 0) return false;
    *number = (int64_t)value;
    return true;
}

static struct bytes string_field(const uint8_t *field, uint32_t width) {
    const uint8_t *end = memchr(field, 0, width);
    return (struct bytes){field, end ? (uint32_t)(end - field) : width};
}

static bool checksum_holds(const uint8_t block[TAR_BLOCK]) {
    int64_t stored, as_unsigned = 0, as_signed = 0;
    if (block[CHECKSUM] & 0x80 || !tar_number(block + CHECKSUM, 8, &stored)) return false;
    for (uint32_t i = 0; i < TAR_BLOCK; i++) {
        uint8_t byte = i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
        as_unsigned += byte;
        as_signed += (int8_t)byte;
    }
    return stored == as_unsigned || stored == as_signed;
}

static enum tar_format format_of(const uint8_t block[TAR_BLOCK]) {
    if (memcmp(block + MAGIC, "ustar  ", 8) == 0) return TAR_GNU;
    if (memcmp(block + MAGIC, "ustar", 5) != 0) return TAR_V7;
    return memcmp(block + STAR_TRAILER, "tar", 4) == 0 ? TAR_STAR : TAR_USTAR;
}

const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *header) {
    if (!checksum_holds(block)) return TAR_NO_HEADER;
    *header = (struct tar_header){
        .format = format_of(block),
        .type = block[TYPE] == 0 ? TAR_FILE : block[TYPE],
        .prefix = {block + PREFIX, 0},
        .name = string_field(block + NAME, 100),
        .link = string_field(block + LINK, 100),
    };
    if (header->format == TAR_USTAR) header->prefix = string_field(block + PREFIX, 155);
    if (header->format == TAR_STAR) header->prefix = string_field(block + PREFIX, 131);
    if (!tar_number(block + MODE, 8, &header->mode)) return "has a malformed mode";
    if (!tar_number(block + UID, 8, &header->uid)) return "has a malformed uid";
    if (!tar_number(block + GID, 8, &header->gid)) return "has a malformed gid";
    if (!tar_number(block + SIZE, 12, &header->size)) return "has a malformed size";
    if (!tar_number(block + MTIME, 12, &header->mtime)) return "has a malformed mtime";
    /* Only devices have these; elsewhere writers leave anything in them. */
    if (header->type == TAR_CHARACTER || header->type == TAR_BLOCK_DEVICE) {
        if (!tar_number(block + MAJOR, 8, &header->dev_major)) return "has a malformed device number";
        if (!tar_number(block + MINOR, 8, &header->dev_minor)) return "has a malformed device number";
    }
    if (header->size < 0) return "has a negative size";
    if (header->size > TAR_SIZE_MAX) return "has an impossible size";
    return NULL;
}
