#include "whiteout.h"

#include "path.h"

enum whiteout whiteout_of(struct bytes path) {
    bool above = false;
    struct bytes last = path_last(path);
    for (uint32_t start = 0; start < path.length;) {
        struct bytes component = bytes_from(path, start);
        const uint8_t *slash = memchr(component.at, '/', component.length);
        if (slash) component.length = (uint32_t)(slash - component.at);
        start += component.length + 1;
        if (!bytes_start(component, WHITEOUT_PREFIX)) continue;
        if (bytes_start(component, WHITEOUT_META_PREFIX)) {
            /* The opaque marker is a file: below it is nothing but nonsense to skip. */
            if (component.at == last.at && bytes_equal(component, WHITEOUT_OPAQUE)) break;
            return WHITEOUT_SKIP;
        }
        if (component.at != last.at) above = true;
    }
    if (above) return WHITEOUT_ABOVE;
    if (!bytes_start(last, WHITEOUT_PREFIX)) return WHITEOUT_NONE;
    if (bytes_equal(last, WHITEOUT_OPAQUE)) return WHITEOUT_DIR;
    struct bytes name = bytes_from(last, WHITEOUT_PREFIX.length);
    if (name.length == 0 || bytes_equal(name, BYTES_OF(".")) || bytes_equal(name, BYTES_OF(".."))) return WHITEOUT_NAMELESS;
    return WHITEOUT_FILE;
}
