/* The op `changes`: to standard output, with the words of a failure. */
#include "changes.h"

#include <stdlib.h>

#include "pack.h"

int op_changes(const struct op *op)
{
    struct buffer lines = {0}, where = {0};
    raise_descriptor_limit();
    int result = changes_find(op->texts[0], op->texts[1], op->words.list, op->words.count, &lines, &where);
    if (result < 0)
        fail(-result, where.data, "Cannot compare with the layers below");
    else if (write_all(STDOUT_FILENO, lines.data, lines.length) < 0)
        result = fail(errno, NULL, "Cannot write the changes to standard output");
    buffer_free(&lines);
    buffer_free(&where);
    return result < 0 ? -1 : 0;
}
