#include "path.h"

#include "whiteout.h"

static struct bytes next_component(struct bytes *rest) {
    while (rest->length > 0 && rest->at[0] == '/') *rest = bytes_from(*rest, 1);
    const uint8_t *slash = rest->length > 0 ? memchr(rest->at, '/', rest->length) : NULL;
    struct bytes component = {rest->at, slash ? (uint32_t)(slash - rest->at) : rest->length};
    *rest = bytes_from(*rest, component.length);
    return component;
}

static bool is_last(struct bytes rest) {
    struct bytes component;
    do component = next_component(&rest);
    while (bytes_equal(component, BYTES_OF(".")));
    return component.length == 0;
}

const char *path_normalise(struct bytes raw, bool whiteouts, uint8_t *out, uint32_t *length) {
    *length = 0;
    if (raw.length == 0) return "has no name";
    if (bytes_have_nul(raw)) return "has a NUL in its name";
    uint32_t depth = 0, dotdots = 0;
    bool leaves = false;
    for (struct bytes rest = raw;;) {
        struct bytes component = next_component(&rest);
        if (component.length == 0) break;
        if (bytes_equal(component, BYTES_OF("."))) continue;
        if (bytes_equal(component, BYTES_OF(".."))) {
            dotdots++;
            if (depth == 0) leaves = true;
            else depth--;
            continue;
        }
        depth++;
        uint32_t longest = COMPONENT_MAX;
        if (whiteouts && bytes_start(component, WHITEOUT_PREFIX) && is_last(rest)) longest += WHITEOUT_PREFIX.length;
        if (component.length > longest) return "has a name of more than 255 bytes";
        if (*length + (*length > 0) + component.length > PATH_LENGTH_MAX) return "has a path of more than 4095 bytes";
        if (*length > 0) out[(*length)++] = '/';
        memcpy(out + *length, component.at, component.length);
        *length += component.length;
    }
    if (leaves) return "leaves the root";
    if (dotdots > 0) return "has \"..\" in its path";
    return NULL;
}

bool path_link_leaves(struct bytes path, struct bytes target) {
    if (target.length > 0 && target.at[0] == '/') return true;
    int64_t depth = -1; /* of the directory that holds the link */
    for (struct bytes rest = path, c; (c = next_component(&rest)).length > 0;) depth++;
    for (struct bytes rest = target, c; (c = next_component(&rest)).length > 0;) {
        if (bytes_equal(c, BYTES_OF("."))) continue;
        if (!bytes_equal(c, BYTES_OF(".."))) depth++;
        else if (--depth < 0) return true;
    }
    return false;
}

struct bytes path_parent(struct bytes path) {
    uint32_t n = path.length;
    while (n > 0 && path.at[n - 1] != '/') n--;
    return (struct bytes){path.at, n > 0 ? n - 1 : 0};
}

struct bytes path_last(struct bytes path) {
    uint32_t n = path.length;
    while (n > 0 && path.at[n - 1] != '/') n--;
    return bytes_from(path, n);
}
