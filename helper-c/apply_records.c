/* Reading records of a layer, and checking them: what is wrong with one is never made. */
#include "apply.h"

#include <string.h>

/* Relative, normalised, no way out; every component a name that a file system takes. */
static bool path_is_normal(const char *path, size_t length)
{
    for (size_t start = 0; start <= length;) {
        const char *slash = memchr(path + start, '/', length - start);
        size_t end = slash ? (size_t)(slash - path) : length;
        size_t size = end - start;
        if (size == 0 || size > NAME_MAX || (size == 1 && path[start] == '.') ||
            (size == 2 && path[start] == '.' && path[start + 1] == '.'))
            return false;
        start = end + 1;
    }
    return memchr(path, '\0', length) == NULL;
}

static const char *xattrs_wrong(const uint8_t *block, size_t length, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t lengths[2];
        if (length < sizeof lengths)
            return "its extended attributes are cut off";
        memcpy(lengths, block, sizeof lengths);
        block += sizeof lengths;
        length -= sizeof lengths;
        if (lengths[0] == 0 || lengths[0] > XATTR_NAME_MAX || memchr(block, '\0', lengths[0] < length ? lengths[0] : length))
            return "the name of an extended attribute is not valid";
        if (lengths[0] > length || lengths[1] > length - lengths[0])
            return "its extended attributes are cut off";
        block += lengths[0] + lengths[1];
        length -= lengths[0] + lengths[1];
    }
    return length == 0 ? NULL : "its extended attributes have another length than it says";
}

/* What is wrong with a record whose bytes are all there, or NULL. */
static const char *record_wrong(const struct record *r, const char *path, const char *link, const uint8_t *xattrs)
{
    bool file = r->kind == RECORD_FILE, segment = r->kind == RECORD_SEGMENT;
    if (r->kind < RECORD_DIRECTORY || r->kind > RECORD_END)
        return "its kind is unknown";
    unsigned known = file ? RECORD_FLAG_SPARSE | RECORD_FLAG_LENT : segment ? RECORD_FLAG_LENT : 0;
    if (r->flags & ~known)
        return "its flags are unknown";
    if (r->below)
        return "it names a layer below";
    if (r->mode > 07777)
        return "its mode has more than permission bits";
    if (r->mtime_nsec > 999999999)
        return "its time has more than 999999999 nanoseconds";
    if (r->path_length == 0) {
        if (r->kind != RECORD_DIRECTORY && r->kind != RECORD_OPAQUE && r->kind != RECORD_END && !segment)
            return "its path is empty";
    } else if (!path_is_normal(path, r->path_length))
        return "its path is not a normal path below the root";
    if (r->xattr_length && r->kind > RECORD_FIFO)
        return "it is no file but has extended attributes";
    if (r->kind == RECORD_HARDLINK) {
        if (!path_is_normal(link, r->link_length))
            return "its link is not a normal path below the root";
    } else if (r->kind == RECORD_SYMLINK) {
        if (r->link_length == 0 || memchr(link, '\0', r->link_length))
            return "its link is empty or has a NUL byte";
    } else if (r->link_length)
        return "it is no link but has a target";
    if (file && (r->flags & RECORD_FLAG_SPARSE ? r->data != 0 : r->data != r->size))
        return "its content has another length than its size";
    if (!file && !segment && r->data)
        return "it has content but is no file";
    if ((file || segment) && (r->size > INT64_MAX || r->data > INT64_MAX || r->offset > INT64_MAX - r->data))
        return "its size is beyond what a file can have";
    return xattrs_wrong(xattrs, r->xattr_length, r->xattr_count);
}

int apply_refuse(const struct apply *a, const char *path, const char *why)
{
    return fail(0, path, "Cannot apply record %llu of the layer: %s", (unsigned long long)a->records, why);
}

int apply_read_failed(void)
{
    if (errno == ENODATA)
        return fail(0, NULL, "Cannot apply the layer: the stream was cut off");
    return fail(errno, NULL, "Cannot read the layer from standard input");
}

int entry_read(struct apply *a, struct entry *entry)
{
    struct record *r = &entry->record;
    a->records++;
    const uint8_t *bytes = input_peek(&a->in, RECORD_HEADER_SIZE);
    if (!bytes)
        return apply_read_failed();
    memcpy(r, bytes, sizeof *r);
    if (r->length < RECORD_HEADER_SIZE || r->length > RECORD_MAX ||
        r->length != (uint64_t)RECORD_HEADER_SIZE + r->path_length + r->link_length + r->xattr_length)
        return apply_refuse(a, NULL, "its lengths do not agree");
    if (r->path_length >= PATH_MAX || r->link_length >= PATH_MAX)
        return apply_refuse(a, NULL, "its path or link is longer than a path can be");
    bytes = input_peek(&a->in, r->length);
    if (!bytes)
        return apply_read_failed();
    bytes += RECORD_HEADER_SIZE;
    memcpy(a->path, bytes, r->path_length);
    a->path[r->path_length] = '\0';
    memcpy(a->link, bytes + r->path_length, r->link_length);
    a->link[r->link_length] = '\0';
    entry->path = a->path;
    entry->link = a->link;
    entry->xattrs = NULL;
    const uint8_t *xattrs = bytes + r->path_length + r->link_length;
    const char *wrong = record_wrong(r, a->path, a->link, xattrs);
    if (!wrong && r->flags & RECORD_FLAG_LENT && !a->in.lent)
        wrong = "its content lies in memory that was not given";
    if (wrong)
        return apply_refuse(a, a->path, wrong);
    if (r->xattr_length) {
        /* The content that follows may push the record out of the buffer. */
        a->xattrs = xrealloc(a->xattrs, r->xattr_length);
        memcpy(a->xattrs, xattrs, r->xattr_length);
        entry->xattrs = a->xattrs;
    }
    input_skip(&a->in, r->length);
    return 0;
}
