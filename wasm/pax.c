#include "pax.h"

#include "tar_header.h"

/*
 * Format notes
 * - LENGTH counts the whole record: its own digits, the blank, and the newline.
 * - A value may hold anything, "=" and newlines and (in extended attributes) NUL; only LENGTH ends it.
 * - An empty value takes back what an earlier record or the ustar header said. Here: it leaves the
 *   ustar header's value. Only extended attributes can be empty.
 */

/* Up to 16 digits, so that it cannot overflow; what is over 2^53 is refused by the caller's limit. */
static bool decimal(struct bytes text, int64_t limit, int64_t *number) {
    if (text.length == 0 || text.length > 16) return false;
    int64_t value = 0;
    for (uint32_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        value = value * 10 + (text.at[i] - '0');
    }
    *number = value;
    return value <= limit;
}

/* 1: a record, 0: the end, -1: malformed. */
static int record(struct bytes *rest, struct bytes *key, struct bytes *value) {
    if (rest->length == 0) return 0;
    const uint8_t *blank = memchr(rest->at, ' ', rest->length < 8 ? rest->length : 8);
    int64_t length;
    if (!blank) return -1;
    uint32_t digits = (uint32_t)(blank - rest->at);
    if (!decimal((struct bytes){rest->at, digits}, rest->length, &length)) return -1;
    /* The least is a blank, one letter, "=" and the newline. */
    if (length < digits + 4 || rest->at[length - 1] != '\n') return -1;
    struct bytes pair = {blank + 1, (uint32_t)length - digits - 2};
    const uint8_t *equals = memchr(pair.at, '=', pair.length);
    if (!equals || equals == pair.at) return -1;
    *key = (struct bytes){pair.at, (uint32_t)(equals - pair.at)};
    *value = bytes_from(pair, key->length + 1);
    *rest = bytes_from(*rest, (uint32_t)length);
    return bytes_have_nul(*key) ? -1 : 1;
}

bool pax_next(struct bytes *rest, struct bytes *key, struct bytes *value) {
    return record(rest, key, value) == 1;
}

/* "[-]SECONDS[.FRACTION]"; digits beyond nanoseconds are dropped. */
static bool time_of(struct bytes text, struct pax_time *time) {
    bool negative = text.length > 0 && text.at[0] == '-';
    if (negative) text = bytes_from(text, 1);
    const uint8_t *dot = text.length > 0 ? memchr(text.at, '.', text.length) : NULL;
    struct bytes whole = {text.at, dot ? (uint32_t)(dot - text.at) : text.length};
    if (!decimal(whole, TAR_SIZE_MAX, &time->seconds)) return false;
    uint32_t nanoseconds = 0, digits = 0;
    if (dot) {
        struct bytes fraction = bytes_from(text, whole.length + 1);
        for (uint32_t i = 0; i < fraction.length; i++) {
            if (fraction.at[i] < '0' || fraction.at[i] > '9') return false;
            if (digits == 9) continue;
            nanoseconds = nanoseconds * 10 + (uint32_t)(fraction.at[i] - '0');
            digits++;
        }
    }
    for (; digits < 9; digits++) nanoseconds *= 10;
    if (negative) {
        time->seconds = -time->seconds;
        if (nanoseconds > 0) {
            time->seconds--;
            nanoseconds = 1000000000u - nanoseconds;
        }
    }
    time->nanoseconds = nanoseconds;
    return true;
}

/* The kernel keeps 32 bits, of which the last value means "leave as it is". */
#define ID_MAX ((int64_t)UINT32_MAX - 1)

static const char *take_sparse(struct bytes key, struct bytes value, struct pax_values *v) {
    int64_t number;
    if (bytes_equal(key, BYTES_OF("major"))) {
        if (!decimal(value, 1, &number)) return "has a sparse map of an unknown version";
        if (number == 1) v->has |= PAX_SPARSE_1;
    } else if (bytes_equal(key, BYTES_OF("minor"))) {
        if (!decimal(value, 1, &number)) return "has a sparse map of an unknown version";
    } else if (bytes_equal(key, BYTES_OF("name"))) {
        if (bytes_have_nul(value)) return "has a NUL in its name";
        v->sparse_name = value;
        v->has |= PAX_SPARSE_NAME;
    } else if (bytes_equal(key, BYTES_OF("size")) || bytes_equal(key, BYTES_OF("realsize"))) {
        if (!decimal(value, TAR_SIZE_MAX, &v->sparse_size)) return "has an impossible size";
        v->has |= PAX_SPARSE_SIZE;
        if (key.length == 4) v->has |= PAX_SPARSE_0; /* 1.0 says realsize */
    } else if (bytes_equal(key, BYTES_OF("map"))) {
        v->sparse_map = value;
        v->has |= PAX_SPARSE_MAP;
    }
    return NULL;
}

static const char *take(struct bytes key, struct bytes value, struct pax_values *v) {
    if (bytes_start(key, BYTES_OF("SCHILY.xattr.")) || bytes_start(key, BYTES_OF("LIBARCHIVE.xattr."))) {
        v->has |= PAX_XATTR;
    } else if (value.length == 0) {
        return NULL;
    } else if (bytes_equal(key, BYTES_OF("path"))) {
        if (bytes_have_nul(value)) return "has a NUL in its name";
        v->path = value;
        v->has |= PAX_PATH;
    } else if (bytes_equal(key, BYTES_OF("linkpath"))) {
        if (bytes_have_nul(value)) return "has a NUL in its link target";
        v->link = value;
        v->has |= PAX_LINK;
    } else if (bytes_equal(key, BYTES_OF("size"))) {
        if (!decimal(value, TAR_SIZE_MAX, &v->size)) return "has an impossible size";
        v->has |= PAX_SIZE;
    } else if (bytes_equal(key, BYTES_OF("uid"))) {
        if (!decimal(value, ID_MAX, &v->uid)) return "has an impossible uid";
        v->has |= PAX_UID;
    } else if (bytes_equal(key, BYTES_OF("gid"))) {
        if (!decimal(value, ID_MAX, &v->gid)) return "has an impossible gid";
        v->has |= PAX_GID;
    } else if (bytes_equal(key, BYTES_OF("mtime"))) {
        if (!time_of(value, &v->mtime)) return "has a malformed mtime";
        v->has |= PAX_MTIME;
    } else if (bytes_start(key, BYTES_OF("GNU.sparse."))) {
        return take_sparse(bytes_from(key, 11), value, v);
    }
    return NULL; /* atime, ctime, uname, gname, comment, and keys of tools yet to come */
}

const char *pax_read(struct bytes body, bool global, struct pax_values *values) {
    const uint32_t one_entry_only = PAX_PATH | PAX_LINK | PAX_SIZE | PAX_SPARSE_0 | PAX_SPARSE_1 | PAX_SPARSE_NAME |
                                    PAX_SPARSE_SIZE | PAX_SPARSE_MAP | PAX_XATTR;
    struct bytes key, value;
    int more;
    while ((more = record(&body, &key, &value)) == 1) {
        const char *wrong = take(key, value, values);
        if (wrong) return wrong;
    }
    if (more < 0) return "has a malformed PAX header";
    if (global && values->has & one_entry_only) return "is a global PAX header that gives every entry the same path, link, size or attribute";
    return NULL;
}

int pax_sparse_pair_00(struct bytes *rest, int64_t *offset, int64_t *length) {
    struct bytes key, value;
    while (pax_next(rest, &key, &value)) {
        if (bytes_equal(key, BYTES_OF("GNU.sparse.numbytes"))) return -1; /* without its offset */
        if (!bytes_equal(key, BYTES_OF("GNU.sparse.offset"))) continue;
        if (!decimal(value, TAR_SIZE_MAX, offset)) return -1;
        if (!pax_next(rest, &key, &value) || !bytes_equal(key, BYTES_OF("GNU.sparse.numbytes"))) return -1;
        return decimal(value, TAR_SIZE_MAX, length) ? 1 : -1;
    }
    return 0;
}

static bool map_number(struct bytes *map, int64_t *number) {
    const uint8_t *comma = map->length > 0 ? memchr(map->at, ',', map->length) : NULL;
    struct bytes text = {map->at, comma ? (uint32_t)(comma - map->at) : map->length};
    *map = bytes_from(*map, comma ? text.length + 1 : text.length);
    return decimal(text, TAR_SIZE_MAX, number);
}

int pax_sparse_pair_01(struct bytes *map, int64_t *offset, int64_t *length) {
    if (map->length == 0) return 0;
    return map_number(map, offset) && map_number(map, length) ? 1 : -1;
}
