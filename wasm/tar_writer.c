#include "tar_writer.h"

#include "path.h"
#include "pax.h"
#include "whiteout.h"
#include "xattr.h"

/* What 7 and 11 octal digits hold. */
#define OCTAL_7_MAX 07777777
#define OCTAL_11_MAX 077777777777

static bool fail(struct tar_writer *w, struct bytes path, const char *what) {
    message_text(&w->message, "entry ");
    message_name(&w->message, path);
    message_text(&w->message, " ");
    message_text(&w->message, what);
    return false;
}

/* --- PAX records -------------------------------------------------------------------------- */

static void put(struct tar_writer *w, struct bytes b) {
    if (b.length > 0) memcpy(w->out + w->length, b.at, b.length);
    w->length += b.length;
}

static uint32_t digits_of(uint64_t n) {
    uint32_t digits = 1;
    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

static void put_decimal(struct tar_writer *w, uint64_t n) {
    uint32_t digits = digits_of(n);
    for (uint32_t i = digits; i > 0; i--, n /= 10) w->out[w->length + i - 1] = (uint8_t)('0' + n % 10);
    w->length += digits;
}

/* LENGTH counts its own digits too, which may be one more for it. */
static void put_pax(struct tar_writer *w, struct bytes prefix, struct bytes key, struct bytes value) {
    uint32_t rest = prefix.length + key.length + value.length + 3;
    uint32_t digits = digits_of(rest + digits_of(rest));
    put_decimal(w, rest + digits);
    put(w, BYTES_OF(" "));
    put(w, prefix);
    put(w, key);
    put(w, BYTES_OF("="));
    put(w, value);
    put(w, BYTES_OF("\n"));
}

static void put_pax_number(struct tar_writer *w, struct bytes key, uint64_t number) {
    uint8_t text[20];
    uint32_t digits = digits_of(number);
    for (uint32_t i = digits; i > 0; i--, number /= 10) text[i - 1] = (uint8_t)('0' + number % 10);
    put_pax(w, BYTES_OF(""), key, (struct bytes){text, digits});
}

static void put_pax_time(struct tar_writer *w, int64_t seconds, uint32_t nanoseconds) {
    uint8_t text[40];
    uint32_t n = 0;
    bool negative = seconds < 0;
    if (negative && nanoseconds > 0) {
        seconds++;
        nanoseconds = 1000000000u - nanoseconds;
    }
    uint64_t whole = negative ? (uint64_t)-seconds : (uint64_t)seconds;
    if (negative) text[n++] = '-';
    uint32_t digits = digits_of(whole);
    for (uint32_t i = digits; i > 0; i--, whole /= 10) text[n + i - 1] = (uint8_t)('0' + whole % 10);
    n += digits;
    if (nanoseconds > 0) {
        text[n++] = '.';
        for (uint32_t unit = 100000000u; unit > 0 && nanoseconds > 0; unit /= 10) {
            text[n++] = (uint8_t)('0' + nanoseconds / unit);
            nanoseconds %= unit;
        }
    }
    put_pax(w, BYTES_OF(""), BYTES_OF("mtime"), (struct bytes){text, n});
}

static int compare(struct bytes a, struct bytes b) {
    uint32_t n = a.length < b.length ? a.length : b.length;
    int order = n > 0 ? memcmp(a.at, b.at, n) : 0;
    return order != 0 ? order : a.length < b.length ? -1 : a.length > b.length;
}

/* By name: the order in which a file system lists them is no property of the file. */
static bool put_xattrs(struct tar_writer *w, struct bytes block, uint32_t count) {
    struct bytes names[XATTR_COUNT_MAX], values[XATTR_COUNT_MAX];
    uint32_t n = 0;
    for (struct bytes rest = block, name, value; xattr_next(&rest, &name, &value); n++) {
        if (n == XATTR_COUNT_MAX) return false;
        uint32_t at = n;
        for (; at > 0 && compare(names[at - 1], name) > 0; at--) {
            names[at] = names[at - 1];
            values[at] = values[at - 1];
        }
        names[at] = name;
        values[at] = value;
    }
    if (n != count) return false;
    for (uint32_t i = 0; i < n; i++) {
        /* "=" ends a key: such a name cannot be written. */
        if (names[i].length == 0 || memchr(names[i].at, '=', names[i].length)) return false;
        put_pax(w, BYTES_OF("SCHILY.xattr."), names[i], values[i]);
    }
    return true;
}

/* --- Header blocks ------------------------------------------------------------------------ */

static void octal(uint8_t *field, uint32_t width, uint64_t number) {
    field[width - 1] = 0;
    for (uint32_t i = width - 1; i > 0; i--, number >>= 3) field[i - 1] = (uint8_t)('0' + (number & 7));
}

struct block_values {
    struct bytes prefix, name, link;
    uint8_t type;
    uint32_t mode;
    uint64_t uid, gid, size, mtime, dev_major, dev_minor;
};

static void copy_cut(uint8_t *field, uint32_t width, struct bytes text) {
    memcpy(field, text.at, text.length < width ? text.length : width);
}

static void put_block(struct tar_writer *w, struct block_values v) {
    uint8_t *b = w->out + w->length;
    memset(b, 0, TAR_BLOCK);
    copy_cut(b, 100, v.name);
    octal(b + 100, 8, v.mode);
    octal(b + 108, 8, v.uid > OCTAL_7_MAX ? 0 : v.uid);
    octal(b + 116, 8, v.gid > OCTAL_7_MAX ? 0 : v.gid);
    octal(b + 124, 12, v.size > OCTAL_11_MAX ? 0 : v.size);
    octal(b + 136, 12, v.mtime > OCTAL_11_MAX ? 0 : v.mtime);
    memset(b + 148, ' ', 8);
    b[156] = v.type;
    if (v.link.length > 0) copy_cut(b + 157, 100, v.link);
    memcpy(b + 257, "ustar\00000", 8);
    octal(b + 329, 8, v.dev_major);
    octal(b + 337, 8, v.dev_minor);
    if (v.prefix.length > 0) copy_cut(b + 345, 155, v.prefix);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < TAR_BLOCK; i++) sum += b[i];
    octal(b + 148, 7, sum);
    w->length += TAR_BLOCK;
}

/* At the first "/" that leaves a name of at most 100 bytes. */
static bool split(struct bytes path, struct bytes *prefix, struct bytes *name) {
    *prefix = (struct bytes){path.at, 0};
    *name = path;
    if (path.length <= 100) return true;
    for (uint32_t i = path.length - 101; i < path.length - 1 && i <= 155; i++) {
        if (path.at[i] != '/' || i == 0) continue;
        *prefix = (struct bytes){path.at, i};
        *name = bytes_from(path, i + 1);
        return true;
    }
    return false;
}

static void fill_block(struct tar_writer *w) {
    while (w->length % TAR_BLOCK != 0) w->out[w->length++] = 0;
}

/* --- Entries ------------------------------------------------------------------------------ */

static uint8_t type_of(uint8_t kind) {
    switch (kind) {
    case RECORD_DIRECTORY: return TAR_DIRECTORY;
    case RECORD_SYMLINK: return TAR_SYMLINK;
    case RECORD_HARDLINK: return TAR_HARDLINK;
    case RECORD_CHARACTER: return TAR_CHARACTER;
    case RECORD_BLOCK: return TAR_BLOCK_DEVICE;
    case RECORD_FIFO: return TAR_FIFO;
    default: return TAR_FILE;
    }
}

/* The path as the archive has it: a "/" behind a directory, whiteouts by their OCI names. */
static struct bytes archive_path(const struct record *record, struct bytes path, uint8_t *out) {
    uint32_t n = 0;
    struct bytes parent = path_parent(path), last = path_last(path);
    if (record->kind == RECORD_WHITEOUT) {
        if (parent.length > 0) {
            memcpy(out, parent.at, parent.length);
            n = parent.length;
            out[n++] = '/';
        }
        memcpy(out + n, WHITEOUT_PREFIX.at, WHITEOUT_PREFIX.length);
        n += WHITEOUT_PREFIX.length;
        memcpy(out + n, last.at, last.length);
        return (struct bytes){out, n + last.length};
    }
    memcpy(out, path.at, path.length);
    n = path.length;
    if (record->kind == RECORD_DIRECTORY) {
        if (n == 0) out[n++] = '.';
        out[n++] = '/';
    } else if (record->kind == RECORD_OPAQUE) {
        if (n > 0) out[n++] = '/';
        memcpy(out + n, WHITEOUT_OPAQUE.at, WHITEOUT_OPAQUE.length);
        n += WHITEOUT_OPAQUE.length;
    }
    return (struct bytes){out, n};
}

bool tar_writer_entry(struct tar_writer *w, uint32_t n) {
    struct record record;
    w->length = 0;
    message_clear(&w->message);
    memcpy(&record, w->record, sizeof record);
    uint64_t needed = (uint64_t)RECORD_HEADER_SIZE + record.path_length + record.link_length + record.xattr_length;
    struct bytes path = {w->record + RECORD_HEADER_SIZE, 0};
    if (n < RECORD_HEADER_SIZE || n > RECORD_MAX || record.length != n || needed != n) return fail(w, path, "is a malformed record");
    if (record.kind == RECORD_END) {
        memset(w->out, 0, 2 * TAR_BLOCK);
        w->length = 2 * TAR_BLOCK;
        return true;
    }
    path.length = record.path_length;
    struct bytes link = {path.at + path.length, record.link_length};
    struct bytes xattrs = {link.at + link.length, record.xattr_length};
    if (record.kind == 0 || record.kind > RECORD_OPAQUE) return fail(w, path, "is a record of an unknown kind");
    /* Holes are no content: a digest must not depend on them. The caller writes zeros. */
    if (record.flags & RECORD_FLAG_SPARSE) return fail(w, path, "is sparse");
    if (path.length > PATH_LENGTH_MAX || link.length > PATH_LENGTH_MAX) return fail(w, path, "has a path of more than 4095 bytes");
    if (bytes_have_nul(path) || bytes_have_nul(link)) return fail(w, path, "has a NUL in its name");
    if (path.length == 0 && record.kind != RECORD_DIRECTORY && record.kind != RECORD_OPAQUE) return fail(w, path, "has no name");
    if (record.dev_major > OCTAL_7_MAX || record.dev_minor > OCTAL_7_MAX) return fail(w, path, "has an impossible device number");
    if (record.mtime_nsec > 999999999u || record.mtime_sec < -TAR_SIZE_MAX || record.mtime_sec > TAR_SIZE_MAX) return fail(w, path, "has an impossible mtime");
    if (record.size > (uint64_t)TAR_SIZE_MAX) return fail(w, path, "has an impossible size");

    uint8_t named[PATH_LENGTH_MAX + 16];
    struct block_values v = {
        .type = type_of(record.kind),
        .link = link,
        .mode = record.mode & 07777,
        .uid = record.uid,
        .gid = record.gid,
        .size = record.kind == RECORD_FILE ? record.size : 0,
        .dev_major = record.kind == RECORD_CHARACTER || record.kind == RECORD_BLOCK ? record.dev_major : 0,
        .dev_minor = record.kind == RECORD_CHARACTER || record.kind == RECORD_BLOCK ? record.dev_minor : 0,
    };
    struct bytes full = archive_path(&record, path, named);
    bool long_path = !split(full, &v.prefix, &v.name), long_link = link.length > 100;
    bool odd_time = record.mtime_sec < 0 || record.mtime_sec > OCTAL_11_MAX || record.mtime_nsec > 0;
    v.mtime = record.mtime_sec < 0 ? 0 : (uint64_t)record.mtime_sec;

    if (xattrs.length > 0 || long_path || long_link || odd_time || v.uid > OCTAL_7_MAX || v.gid > OCTAL_7_MAX || v.size > OCTAL_11_MAX) {
        w->length = TAR_BLOCK; /* its header is written when its size is known */
        if (!put_xattrs(w, xattrs, record.xattr_count)) return fail(w, path, "has extended attributes that no archive can hold");
        if (v.gid > OCTAL_7_MAX) put_pax_number(w, BYTES_OF("gid"), v.gid);
        if (long_link) put_pax(w, BYTES_OF(""), BYTES_OF("linkpath"), link);
        if (odd_time) put_pax_time(w, record.mtime_sec, record.mtime_nsec);
        if (long_path) put_pax(w, BYTES_OF(""), BYTES_OF("path"), full);
        if (v.size > OCTAL_11_MAX) put_pax_number(w, BYTES_OF("size"), v.size);
        if (v.uid > OCTAL_7_MAX) put_pax_number(w, BYTES_OF("uid"), v.uid);
        uint32_t body = w->length - TAR_BLOCK;
        if (body > PAX_MAX) return fail(w, path, "has extended attributes that no archive can hold");
        fill_block(w);
        uint32_t end = w->length;
        w->length = 0;
        put_block(w, (struct block_values){.name = BYTES_OF("PaxHeader"), .type = TAR_PAX_LOCAL, .mode = 0644, .size = body});
        w->length = end;
    }
    put_block(w, v);
    return true;
}
