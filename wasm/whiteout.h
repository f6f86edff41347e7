/* The names by which an OCI layer says what it takes away from the layers below. */
#ifndef TSBOX_WHITEOUT_H
#define TSBOX_WHITEOUT_H

#include "bytes.h"

#define WHITEOUT_PREFIX BYTES_OF(".wh.")
#define WHITEOUT_META_PREFIX BYTES_OF(".wh..wh.")
#define WHITEOUT_OPAQUE BYTES_OF(".wh..wh..opq")

enum whiteout {
    WHITEOUT_NONE,    /* an ordinary entry */
    WHITEOUT_FILE,    /* ".wh.NAME" */
    WHITEOUT_DIR,     /* ".wh..wh..opq": the directory it stands in is opaque */
    WHITEOUT_SKIP,    /* other ".wh..wh.*", and all below: bookkeeping of aufs, no content */
    WHITEOUT_NAMELESS, /* ".wh.", ".wh.." and ".wh...": would take away a directory by its dots */
    WHITEOUT_ABOVE,   /* below a ".wh.NAME": what it would mean, no specification says */
};

/* By the name alone, whatever the type, as other tools do. The path is normalised. */
enum whiteout whiteout_of(struct bytes path);

#endif
