#include "xattr.h"

#include "pax.h"

#define TOO_LARGE "has extended attributes that are too many or too large"

static void put32(uint8_t *at, uint32_t n) {
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool xattr_next(struct bytes *rest, struct bytes *name, struct bytes *value) {
    if (rest->length < 8) return false;
    uint32_t n = get32(rest->at), v = get32(rest->at + 4);
    if (n > rest->length - 8 || v > rest->length - 8 - n) return false;
    *name = (struct bytes){rest->at + 8, n};
    *value = (struct bytes){rest->at + 8 + n, v};
    *rest = bytes_from(*rest, 8 + n + v);
    return true;
}

static void take_out(struct xattr_block *block, struct bytes wanted) {
    struct bytes rest = {block->at, block->length}, name, value;
    for (struct bytes here = rest; xattr_next(&rest, &name, &value); here = rest) {
        if (!bytes_equal(name, wanted)) continue;
        memmove(block->at + (here.at - block->at), rest.at, rest.length);
        block->length -= here.length - rest.length;
        block->count--;
        return;
    }
}

/* Appends an attribute whose name and value stand already where they belong: see the callers. */
static const char *close_attribute(struct xattr_block *block, uint32_t name_length, uint32_t value_length) {
    uint8_t *at = block->at + block->length;
    struct bytes name = {at + 8, name_length};
    if (name_length == 0 || bytes_have_nul(name)) return "has an extended attribute with a malformed name";
    if (name_length > XATTR_NAME_MAX || value_length > XATTR_VALUE_MAX) return TOO_LARGE;
    /* They steer overlayfs itself: a layer could so redirect a directory or fake a whiteout. */
    if (bytes_start(name, BYTES_OF("user.overlay.")) || bytes_start(name, BYTES_OF("trusted.overlay.")))
        return "has an extended attribute that belongs to overlayfs";
    put32(at, name_length);
    put32(at + 4, value_length);
    block->length += 8 + name_length + value_length;
    block->count++;
    return NULL;
}

static bool fits(const struct xattr_block *block, uint32_t name_length, uint32_t value_length) {
    return block->count < XATTR_COUNT_MAX && 8 + (uint64_t)name_length + value_length <= block->capacity - block->length;
}

static const char *add_plain(struct xattr_block *block, struct bytes name, struct bytes value) {
    take_out(block, name);
    if (!fits(block, name.length, value.length)) return TOO_LARGE;
    uint8_t *at = block->at + block->length + 8;
    memcpy(at, name.at, name.length);
    if (value.length > 0) memcpy(at + name.length, value.at, value.length);
    return close_attribute(block, name.length, value.length);
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t percent_decode(struct bytes text, uint8_t *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < text.length; i++) {
        int high = -1, low = -1;
        if (text.at[i] == '%' && text.length - i > 2) {
            high = hex_digit(text.at[i + 1]);
            low = hex_digit(text.at[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[n++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = text.at[i];
        }
    }
    return n;
}

static int base64_digit(uint8_t c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* libarchive leaves out the "=" at the end; with it is taken as well. */
static bool base64_decode(struct bytes text, uint8_t *out, uint32_t *length) {
    uint32_t bits = 0, held = 0;
    *length = 0;
    while (text.length > 0 && text.at[text.length - 1] == '=') text.length--;
    for (uint32_t i = 0; i < text.length; i++) {
        int digit = base64_digit(text.at[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*length)++] = (uint8_t)(bits >> held);
        }
    }
    return held < 6;
}

static const char *add_libarchive(struct xattr_block *block, struct bytes coded_name, struct bytes coded_value) {
    if (coded_name.length > XATTR_NAME_MAX * 3) return TOO_LARGE;
    uint8_t name[XATTR_NAME_MAX * 3];
    uint32_t name_length = percent_decode(coded_name, name), value_length;
    take_out(block, (struct bytes){name, name_length});
    if (!fits(block, name_length, coded_value.length)) return TOO_LARGE;
    uint8_t *at = block->at + block->length + 8;
    memcpy(at, name, name_length);
    if (!base64_decode(coded_value, at + name_length, &value_length)) return "has an extended attribute with malformed base64";
    return close_attribute(block, name_length, value_length);
}

const char *xattr_add_body(struct xattr_block *block, struct bytes body) {
    static const struct bytes libarchive = {(const uint8_t *)"LIBARCHIVE.xattr.", 17}, schily = {(const uint8_t *)"SCHILY.xattr.", 13};
    /* bsdtar writes each attribute both ways; SCHILY's, which is the plain one, comes second and wins. */
    struct bytes key, value;
    const char *wrong = NULL;
    for (struct bytes rest = body; !wrong && pax_next(&rest, &key, &value);)
        if (bytes_start(key, libarchive)) wrong = add_libarchive(block, bytes_from(key, libarchive.length), value);
    for (struct bytes rest = body; !wrong && pax_next(&rest, &key, &value);)
        if (bytes_start(key, schily)) wrong = add_plain(block, bytes_from(key, schily.length), value);
    return wrong;
}
