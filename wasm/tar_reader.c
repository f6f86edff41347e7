#include "tar_reader.h"

#include "apart.h"
#include "whiteout.h"
#include "xattr.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written as they stand in memory");

/*
 * Theory of operation
 *
 *   header block ── x g L K ──> extension: its body is kept for the entry that follows
 *        │
 *        ├── S, or a PAX sparse 1.0 file ──> more input: the rest of the sparse map
 *        ▼
 *   begin_entry(): names and numbers are chosen among header, GNU and PAX values, checked, and
 *   written as a record ──> content passes by, or is skipped ──> padding ──> next header block
 *
 * Readers that choose differently among several values are how archives come to mean one thing to
 * a scanner and another to the tool that unpacks. So where two values contradict each other in a
 * way no writer produces, the archive is refused.
 *
 * End of an archive: two zero blocks, then anything (writers fill up to their record size). Every
 * writer of layers (Go, GNU tar, bsdtar, Python) ends so. One zero block is taken where the source
 * ends right after it, which GNU tar also reads; none at all is how a cut-off archive looks.
 */

/* --- Failing ------------------------------------------------------------------------------ */

static enum reader_status fail(struct tar_reader *r, const char *what) {
    message_text(&r->message, what);
    return r->status = READER_ERROR;
}

/* `what` is a predicate: entry "NAME" has a bad size. */
static enum reader_status fail_entry(struct tar_reader *r, const char *what) {
    message_text(&r->message, "entry ");
    message_name(&r->message, r->name);
    message_text(&r->message, " ");
    return fail(r, what);
}

static enum reader_status fail_cut_off(struct tar_reader *r) {
    message_text(&r->message, "it is cut off after ");
    message_number(&r->message, r->offset);
    message_text(&r->message, " bytes, in entry ");
    message_name(&r->message, r->name);
    return fail(r, "");
}

/* Where there is no entry to name. */
static enum reader_status fail_at_block(struct tar_reader *r, const char *what) {
    message_text(&r->message, what);
    message_text(&r->message, " at byte ");
    message_number(&r->message, r->offset - TAR_BLOCK);
    return fail(r, "");
}

/* --- Asking the host ---------------------------------------------------------------------- */

static enum reader_status want_input(struct tar_reader *r, enum reader_input what, uint8_t *where, uint32_t n) {
    r->input_is = what;
    r->input = where;
    r->want = n;
    return r->status = READER_NEED_INPUT;
}

static enum reader_status want_header(struct tar_reader *r) {
    return want_input(r, INPUT_HEADER, r->block, TAR_BLOCK);
}

static uint32_t padding(int64_t size) {
    return (uint32_t)(-(uint64_t)size % TAR_BLOCK);
}

static enum reader_status pass_data(struct tar_reader *r, enum reader_status status, uint64_t n) {
    r->data_length = n;
    return r->status = status;
}

/* --- Records ------------------------------------------------------------------------------ */

static uint8_t *record_path(struct tar_reader *r) {
    return r->record + RECORD_HEADER_SIZE;
}

/* Path, link and xattrs stand in place behind the header already. */
static enum reader_status give_record(struct tar_reader *r, struct record record) {
    record.length = RECORD_HEADER_SIZE + record.path_length + record.link_length + record.xattr_length;
    memcpy(r->record, &record, sizeof record);
    r->record_length = record.length;
    return r->status = READER_RECORD;
}

static enum reader_status advance(struct tar_reader *r);

static enum reader_status give_end(struct tar_reader *r) {
    give_record(r, (struct record){.kind = RECORD_END});
    return r->status = READER_END;
}

/* --- The entry ---------------------------------------------------------------------------- */

static void forget_extensions(struct tar_reader *r) {
    r->has_local = r->has_long_name = r->has_long_link = false;
}

/* What the entry is called, as the archive says. */
static void choose_name(struct tar_reader *r) {
    const struct tar_header *h = &r->header;
    r->name = h->name;
    r->link = h->link;
    if (h->prefix.length > 0) {
        uint32_t n = h->prefix.length;
        memcpy(r->raw_name, h->prefix.at, n);
        r->raw_name[n++] = '/';
        memcpy(r->raw_name + n, h->name.at, h->name.length);
        r->name = (struct bytes){r->raw_name, n + h->name.length};
    }
    if (r->has_long_name) r->name = (struct bytes){r->long_name, r->long_name_length};
    if (r->has_long_link) r->link = (struct bytes){r->long_link, r->long_link_length};
}

APART static const char *choose_pax_values(struct tar_reader *r) {
    struct pax_values *v = &r->values;
    *v = r->global;
    if (!r->has_local) return NULL;
    const char *wrong = pax_read((struct bytes){r->pax, r->local_length}, false, v);
    if (wrong) return wrong;
    if ((r->has_long_name && v->has & (PAX_PATH | PAX_SPARSE_NAME)) || (r->has_long_link && v->has & PAX_LINK))
        return "has two names, a GNU and a PAX one";
    if (v->has & PAX_PATH) r->name = v->path;
    if (v->has & PAX_SPARSE_NAME) r->name = v->sparse_name;
    if (v->has & PAX_LINK) r->link = v->link;
    return NULL;
}

APART static const char *choose_numbers(struct tar_reader *r, struct record *record) {
    const struct tar_header *h = &r->header;
    const struct pax_values *v = &r->values;
    int64_t uid = v->has & PAX_UID ? v->uid : h->uid;
    int64_t gid = v->has & PAX_GID ? v->gid : h->gid;
    struct pax_time mtime = v->has & PAX_MTIME ? v->mtime : (struct pax_time){.seconds = h->mtime};
    if (uid < 0 || uid >= UINT32_MAX) return "has an impossible uid";
    if (gid < 0 || gid >= UINT32_MAX) return "has an impossible gid";
    if (mtime.seconds < -TAR_SIZE_MAX || mtime.seconds > TAR_SIZE_MAX) return "has an impossible mtime";
    if (h->dev_major < 0 || h->dev_major > UINT32_MAX || h->dev_minor < 0 || h->dev_minor > UINT32_MAX)
        return "has an impossible device number";
    record->mode = (uint32_t)(h->mode & 07777); /* old writers leave the file type in it */
    record->uid = (uint32_t)uid;
    record->gid = (uint32_t)gid;
    record->mtime_sec = mtime.seconds;
    record->mtime_nsec = mtime.nanoseconds;
    record->dev_major = (uint32_t)h->dev_major;
    record->dev_minor = (uint32_t)h->dev_minor;
    return NULL;
}

/* 0: refused. */
static enum record_kind kind_of(const struct tar_reader *r) {
    switch (r->header.type) {
    case TAR_FILE:
        /* Before there was a type for directories, a "/" at the end was. */
        return r->name.length > 0 && r->name.at[r->name.length - 1] == '/' ? RECORD_DIRECTORY : RECORD_FILE;
    case TAR_CONTIGUOUS:
    case TAR_GNU_SPARSE: return RECORD_FILE;
    case TAR_HARDLINK: return RECORD_HARDLINK;
    case TAR_SYMLINK: return RECORD_SYMLINK;
    case TAR_CHARACTER: return RECORD_CHARACTER;
    case TAR_BLOCK_DEVICE: return RECORD_BLOCK;
    case TAR_DIRECTORY:
    case TAR_GNU_DUMPDIR: return RECORD_DIRECTORY;
    case TAR_FIFO: return RECORD_FIFO;
    default: return 0;
    }
}

/*
 * Format note: the size of what has no content is a relic (some writers put a link's target's
 * size there). Every reader takes it for 0; if content followed nevertheless, it would fail as a
 * header.
 */
static bool has_content(uint8_t type, enum record_kind kind) {
    return kind == RECORD_FILE || type == TAR_GNU_DUMPDIR || type == TAR_GNU_LABEL;
}

/* Path, and whiteouts among them, into the record; `skip` if the entry is to be passed over. */
APART static const char *put_path(struct tar_reader *r, struct record *record, bool *skip) {
    bool whiteouts = r->flags & READER_WHITEOUTS;
    uint8_t *at = record_path(r);
    const char *wrong = path_normalise(r->name, whiteouts, at, &record->path_length);
    if (wrong) return wrong;
    struct bytes path = {at, record->path_length};
    if (whiteouts) {
        switch (whiteout_of(path)) {
        case WHITEOUT_NONE: break;
        case WHITEOUT_SKIP: *skip = true; return NULL;
        case WHITEOUT_NAMELESS: return "is a whiteout of no name";
        case WHITEOUT_ABOVE: return "is below a whiteout";
        case WHITEOUT_DIR:
            record->kind = RECORD_OPAQUE;
            record->path_length = path_parent(path).length;
            break;
        case WHITEOUT_FILE: {
            struct bytes name = bytes_from(path_last(path), WHITEOUT_PREFIX.length);
            record->kind = RECORD_WHITEOUT;
            memmove(at + (path_last(path).at - at), name.at, name.length);
            record->path_length -= WHITEOUT_PREFIX.length;
            break;
        }
        }
    }
    path.length = record->path_length;
    /* An opaque marker is in the directory that its record names. */
    if (link_set_has_above(&r->links, path) || (record->kind == RECORD_OPAQUE && link_set_has(&r->links, path)))
        return "is below a symbolic link that leads out of the root";
    if (record->path_length == 0 && record->kind != RECORD_DIRECTORY && record->kind != RECORD_OPAQUE)
        return "would replace the root";
    return NULL;
}

APART static const char *put_link(struct tar_reader *r, struct record *record) {
    uint8_t *at = record_path(r) + record->path_length;
    struct bytes path = {record_path(r), record->path_length};
    if (record->kind == RECORD_SYMLINK) {
        if (r->link.length == 0) return "is a symbolic link without a target";
        if (r->link.length > PATH_LENGTH_MAX) return "has a link target of more than 4095 bytes";
        memcpy(at, r->link.at, r->link.length);
        record->link_length = r->link.length;
        if (path_link_leaves(path, r->link)) link_set_add(&r->links, path);
        else link_set_remove(&r->links, path);
        return NULL;
    }
    if (record->kind == RECORD_HARDLINK) {
        const char *wrong = path_normalise(r->link, false, at, &record->link_length);
        struct bytes target = {at, record->link_length};
        if (r->link.length == 0) return "is a hard link without a target";
        if (wrong && strcmp(wrong, "leaves the root") == 0) return "is a hard link that leaves the root";
        if (wrong) return "is a hard link to a malformed path";
        if (link_set_has_above(&r->links, target)) return "is a hard link through a symbolic link that leads out of the root";
        if (target.length == 0) return "is a hard link to the root";
        if (bytes_equal(target, path)) return "is a hard link to itself";
        if (r->flags & READER_WHITEOUTS && whiteout_of(target) != WHITEOUT_NONE) return "is a hard link to a whiteout";
        if (link_set_has(&r->links, target)) link_set_add(&r->links, path);
        else link_set_remove(&r->links, path);
        return NULL;
    }
    if (record->kind != RECORD_WHITEOUT && record->kind != RECORD_OPAQUE) link_set_remove(&r->links, path);
    return NULL;
}

static const char *put_xattrs(struct tar_reader *r, struct record *record) {
    if (!r->has_local || !(r->values.has & PAX_XATTR)) return NULL;
    uint32_t used = RECORD_HEADER_SIZE + record->path_length + record->link_length;
    struct xattr_block block = {.at = r->record + used, .capacity = RECORD_MAX - used};
    const char *wrong = xattr_add_body(&block, (struct bytes){r->pax, r->local_length});
    record->xattr_length = block.length;
    record->xattr_count = block.count;
    return wrong;
}

/* Everything is known, sparse maps too: check it and give the record. */
APART static enum reader_status finish_entry(struct tar_reader *r) {
    struct record record = {.kind = (uint8_t)kind_of(r)};
    bool skip = r->header.type == TAR_GNU_LABEL;
    const char *wrong = NULL;
    if (!skip && record.kind == 0) {
        fail_entry(r, "is of the unsupported type ");
        message_name(&r->message, (struct bytes){&r->header.type, 1});
        return r->status;
    }
    if (!skip) wrong = put_path(r, &record, &skip);
    if (wrong) return fail_entry(r, wrong);
    if (r->sparse) {
        wrong = sparse_check(&r->map, r->size, r->content);
        if (wrong) return fail_entry(r, wrong);
    }
    r->step = r->content == 0                 ? STEP_HEADER
              : skip                          ? STEP_DROP
              : record.kind != RECORD_FILE    ? STEP_DROP
              : r->sparse                     ? STEP_SEGMENT
                                              : STEP_CONTENT;
    if (skip) {
        forget_extensions(r);
        return advance(r);
    }
    if (record.kind == RECORD_WHITEOUT || record.kind == RECORD_OPAQUE) {
        /* Only the name speaks. */
        put_link(r, &record);
        forget_extensions(r);
        return give_record(r, record);
    }
    wrong = choose_numbers(r, &record);
    if (!wrong) wrong = put_link(r, &record);
    if (!wrong) wrong = put_xattrs(r, &record);
    if (wrong) return fail_entry(r, wrong);
    if (record.kind == RECORD_FILE) {
        record.size = (uint64_t)r->size;
        record.data = r->sparse ? 0 : (uint64_t)r->content;
        record.flags = r->sparse ? RECORD_FLAG_SPARSE : 0;
    }
    r->segment = 0;
    forget_extensions(r);
    return give_record(r, record);
}

/* --- Sparse maps -------------------------------------------------------------------------- */

/*
 * Format notes, old GNU: in the header at 386 four pairs of 12-byte numbers, at 482 "more follows",
 * at 483 the length of the file. A block that follows has 21 pairs, and at 504 "more follows". A
 * pair without an offset ends the list.
 */
static const char *take_old_gnu_pairs(struct tar_reader *r, const uint8_t *at, uint32_t pairs) {
    for (uint32_t i = 0; i < pairs && at[i * 24] != 0; i++) {
        int64_t offset, length;
        if (!tar_number(at + i * 24, 12, &offset) || !tar_number(at + i * 24 + 12, 12, &length))
            return "has a malformed sparse map";
        const char *wrong = sparse_add(&r->map, offset, length);
        if (wrong) return wrong;
    }
    return NULL;
}

static enum reader_status begin_old_gnu_sparse(struct tar_reader *r) {
    const char *wrong = take_old_gnu_pairs(r, r->block + 386, 4);
    if (wrong) return fail_entry(r, wrong);
    if (!tar_number(r->block + 483, 12, &r->size)) return fail_entry(r, "has a malformed size");
    if (r->size < 0 || r->size > TAR_SIZE_MAX) return fail_entry(r, "has an impossible size");
    if (r->block[482] == 0) return finish_entry(r);
    return want_input(r, INPUT_SPARSE_BLOCK, r->map_block, TAR_BLOCK);
}

static enum reader_status take_sparse_block(struct tar_reader *r) {
    const char *wrong = take_old_gnu_pairs(r, r->map_block, 21);
    if (wrong) return fail_entry(r, wrong);
    if (r->map_block[504] == 0) return finish_entry(r);
    return want_input(r, INPUT_SPARSE_BLOCK, r->map_block, TAR_BLOCK);
}

static enum reader_status begin_pax_sparse_0(struct tar_reader *r) {
    struct bytes rest = {r->pax, r->local_length};
    if (r->values.has & PAX_SPARSE_MAP) rest = r->values.sparse_map;
    int64_t offset, length;
    int more;
    while ((more = r->values.has & PAX_SPARSE_MAP ? pax_sparse_pair_01(&rest, &offset, &length)
                                                  : pax_sparse_pair_00(&rest, &offset, &length)) == 1) {
        const char *wrong = sparse_add(&r->map, offset, length);
        if (wrong) return fail_entry(r, wrong);
    }
    if (more < 0) return fail_entry(r, "has a malformed sparse map");
    return finish_entry(r);
}

/* Format note, PAX 1.0: the content starts with lines "COUNT", then "OFFSET", "LENGTH" each, filled up to a block. */
static enum reader_status want_map_block(struct tar_reader *r) {
    if (r->content < TAR_BLOCK) return fail_entry(r, "has a sparse map that is longer than its content");
    r->content -= TAR_BLOCK;
    return want_input(r, INPUT_SPARSE_MAP, r->map_block, TAR_BLOCK);
}

static const char *take_map_number(struct tar_reader *r) {
    int64_t number = r->map_text.number;
    if (r->map_text.digits == 0) return "has a malformed sparse map";
    r->map_text.number = 0;
    r->map_text.digits = 0;
    if (r->map_text.expected < 0) {
        if (number > SPARSE_MAX) return "has a sparse map of more than 131072 segments";
        r->map_text.expected = 2 * number;
        return NULL;
    }
    if (r->map_text.numbers++ % 2 == 0) {
        r->map_text.offset = number;
        return NULL;
    }
    return sparse_add(&r->map, r->map_text.offset, number);
}

static enum reader_status take_map_block(struct tar_reader *r) {
    for (uint32_t i = 0; i < TAR_BLOCK; i++) {
        uint8_t c = r->map_block[i];
        const char *wrong = NULL;
        if (c == '\n') wrong = take_map_number(r);
        else if (c < '0' || c > '9' || ++r->map_text.digits > 16) wrong = "has a malformed sparse map";
        else r->map_text.number = r->map_text.number * 10 + (c - '0');
        if (wrong) return fail_entry(r, wrong);
        if (r->map_text.numbers == r->map_text.expected) return finish_entry(r);
    }
    return want_map_block(r);
}

/* --- Input -------------------------------------------------------------------------------- */

APART static enum reader_status begin_entry(struct tar_reader *r) {
    const struct pax_values *v = &r->values;
    const uint32_t any_sparse = PAX_SPARSE_0 | PAX_SPARSE_1 | PAX_SPARSE_NAME | PAX_SPARSE_SIZE | PAX_SPARSE_MAP;
    const char *wrong = choose_pax_values(r);
    if (wrong) return fail_entry(r, wrong);
    bool old_gnu = r->header.type == TAR_GNU_SPARSE;
    bool pax_sparse = (v->has & any_sparse) != 0;
    r->content = has_content(r->header.type, kind_of(r)) ? (v->has & PAX_SIZE ? v->size : r->header.size) : 0;
    r->size = r->content;
    r->sparse = old_gnu || pax_sparse;
    if (!r->sparse) return finish_entry(r);
    sparse_clear(&r->map);
    if (kind_of(r) != RECORD_FILE) return fail_entry(r, "has a sparse map but is not a file");
    if (old_gnu && pax_sparse) return fail_entry(r, "has two sparse maps");
    if (old_gnu) return begin_old_gnu_sparse(r);
    if ((v->has & PAX_SPARSE_0) && (v->has & PAX_SPARSE_1)) return fail_entry(r, "has two sparse maps");
    if (!(v->has & PAX_SPARSE_SIZE) || !(v->has & (PAX_SPARSE_0 | PAX_SPARSE_1)))
        return fail_entry(r, "has a sparse map of an unknown version");
    r->size = v->sparse_size;
    if (v->has & PAX_SPARSE_0) return begin_pax_sparse_0(r);
    memset(&r->map_text, 0, sizeof r->map_text);
    r->map_text.expected = -1;
    return want_map_block(r);
}

static const char *take_long(const uint8_t *body, uint32_t size, uint32_t *length) {
    struct bytes text = {body, size};
    const uint8_t *end = size > 0 ? memchr(body, 0, size) : NULL;
    if (end) text.length = (uint32_t)(end - body);
    for (uint32_t i = text.length; i < size; i++)
        if (body[i] != 0) return "has a NUL in its name";
    if (text.length > PATH_LENGTH_MAX) return "has a path of more than 4095 bytes";
    *length = text.length;
    return NULL;
}

APART static enum reader_status take_extension(struct tar_reader *r) {
    const char *wrong = NULL;
    switch (r->extension) {
    case TAR_PAX_LOCAL:
        r->has_local = true;
        r->local_length = r->extension_size;
        break; /* read with the entry, so that an error names the entry */
    case TAR_PAX_GLOBAL: wrong = pax_read((struct bytes){r->pax, r->extension_size}, true, &r->global); break;
    case TAR_GNU_LONG_NAME:
        r->has_long_name = true;
        wrong = take_long(r->long_name, r->extension_size, &r->long_name_length);
        break;
    default:
        r->has_long_link = true;
        wrong = take_long(r->long_link, r->extension_size, &r->long_link_length);
    }
    return wrong ? fail_entry(r, wrong) : want_header(r);
}

static enum reader_status begin_extension(struct tar_reader *r) {
    uint8_t *where = r->pax;
    int64_t limit = PAX_MAX;
    bool twice = false;
    switch (r->header.type) {
    case TAR_PAX_LOCAL: twice = r->has_local; break;
    /* Its body would overwrite the local one's; and nobody puts it there. */
    case TAR_PAX_GLOBAL: twice = r->has_local || r->has_long_name || r->has_long_link; break;
    case TAR_GNU_LONG_NAME:
        where = r->long_name;
        twice = r->has_long_name;
        limit = PATH_LENGTH_MAX + 1;
        break;
    default:
        where = r->long_link;
        twice = r->has_long_link;
        limit = PATH_LENGTH_MAX + 1;
    }
    if (twice) return fail_entry(r, "is a second extended header for the same entry");
    if (r->header.size > limit)
        return fail_entry(r, limit == PAX_MAX ? "is a PAX header of more than 1 MiB" : "has a path of more than 4095 bytes");
    r->extension = r->header.type;
    r->extension_size = (uint32_t)r->header.size;
    if (r->extension_size == 0) return take_extension(r);
    return want_input(r, INPUT_EXTENSION, where, r->extension_size + padding(r->extension_size));
}

APART static enum reader_status take_header(struct tar_reader *r) {
    if (tar_block_is_zero(r->block)) {
        r->name = BYTES_OF("");
        if (r->has_local || r->has_long_name || r->has_long_link)
            return fail(r, "its end follows an extended header whose entry is missing");
        if (r->zero_block) return give_end(r);
        r->zero_block = true;
        return want_header(r);
    }
    const char *wrong = tar_header_read(r->block, &r->header);
    if (r->zero_block) return fail_at_block(r, "it goes on after a block of zeros");
    if (wrong == TAR_NO_HEADER) return fail_at_block(r, r->offset == TAR_BLOCK ? "it is not a tar archive: bad checksum" : "bad header checksum");
    choose_name(r);
    if (wrong) return fail_entry(r, wrong);
    switch (r->header.type) {
    case TAR_PAX_LOCAL:
    case TAR_PAX_GLOBAL:
    case TAR_GNU_LONG_NAME:
    case TAR_GNU_LONG_LINK: return begin_extension(r);
    default: return begin_entry(r);
    }
}

/* --- What the host calls ------------------------------------------------------------------ */

void tar_reader_start(struct tar_reader *r, uint32_t flags) {
    /* Not the large buffers: they would be touched, and so become real memory, for nothing. */
    link_set_clear(&r->links);
    message_clear(&r->message);
    forget_extensions(r);
    r->flags = flags;
    r->offset = r->data_length = 0;
    r->zero_block = false;
    r->record_length = 0;
    r->name = r->link = BYTES_OF("");
    memset(&r->header, 0, sizeof r->header);
    memset(&r->global, 0, sizeof r->global);
    r->step = STEP_HEADER;
    want_header(r);
}

enum reader_status tar_reader_feed(struct tar_reader *r, uint32_t n) {
    if (r->status != READER_NEED_INPUT) return r->status;
    if (n > r->want) return fail(r, "the runner fed more than was asked for");
    r->input += n;
    r->want -= n;
    r->offset += n;
    if (r->want > 0) return r->status;
    switch (r->input_is) {
    case INPUT_HEADER: return take_header(r);
    case INPUT_EXTENSION: return take_extension(r);
    case INPUT_SPARSE_BLOCK: return take_sparse_block(r);
    default: return take_map_block(r);
    }
}

static enum reader_status next_segment(struct tar_reader *r) {
    while (r->segment < r->map.count && r->map.segment[r->segment].length == 0) r->segment++;
    if (r->segment == r->map.count) {
        r->step = STEP_PADDING;
        return advance(r);
    }
    r->step = STEP_SEGMENT_DATA;
    return give_record(r, (struct record){
                              .kind = RECORD_SEGMENT,
                              .data = (uint64_t)r->map.segment[r->segment].length,
                              .offset = (uint64_t)r->map.segment[r->segment].offset,
                          });
}

static enum reader_status advance(struct tar_reader *r) {
    switch (r->step) {
    case STEP_CONTENT: r->step = STEP_PADDING; return pass_data(r, READER_DATA, (uint64_t)r->content);
    case STEP_DROP: r->step = STEP_HEADER; return pass_data(r, READER_SKIP, (uint64_t)r->content + padding(r->content));
    case STEP_SEGMENT: return next_segment(r);
    case STEP_SEGMENT_DATA: r->step = STEP_SEGMENT; return pass_data(r, READER_DATA, (uint64_t)r->map.segment[r->segment++].length);
    case STEP_PADDING:
        r->step = STEP_HEADER;
        if (padding(r->content) > 0) return pass_data(r, READER_SKIP, padding(r->content));
        return want_header(r);
    default: return want_header(r);
    }
}

enum reader_status tar_reader_next(struct tar_reader *r) {
    if (r->status != READER_RECORD && r->status != READER_DATA && r->status != READER_SKIP) return r->status;
    if (r->status != READER_RECORD) r->offset += r->data_length;
    r->data_length = 0;
    return advance(r);
}

enum reader_status tar_reader_finish(struct tar_reader *r, uint64_t passed) {
    if (r->status == READER_END || r->status == READER_ERROR) return r->status;
    r->offset += passed;
    bool between_entries = r->status == READER_NEED_INPUT && r->input_is == INPUT_HEADER;
    if (!between_entries) return fail_cut_off(r);
    if (r->want == TAR_BLOCK && r->zero_block) return give_end(r);
    if (r->offset == 0) return fail(r, "it is empty");
    message_text(&r->message, "it is cut off after ");
    message_number(&r->message, r->offset);
    return fail(r, r->want == TAR_BLOCK ? " bytes: its end marker is missing" : " bytes, in a header");
}
