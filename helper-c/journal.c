/*
 * The store's journal: one line for whatever happens to containers, which `tsbox events` reads. What
 * stands for the container (its id, name, image) comes ready-made from the plan. A line is one write
 * at the file's end, so that many monitors can share it; failing is no error.
 */
#include "helper.h"

#include <string.h>
#include <time.h>

void journal_write(const struct plan *plan, const char *action, const char *key, const char *value)
{
    if (!plan->journal)
        return;
    cleanup_fd int fd = open_cloexec(plan->journal, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0)
        return;
    struct buffer line = {0};
    buffer_printf(&line, "{\"time\":\"%lld\",\"type\":\"container\",\"action\":\"%s\",%s",
                  (long long)now_nanoseconds(CLOCK_REALTIME), action, plan->journal_actor);
    if (key) {
        buffer_printf(&line, ",\"%s\":", key);
        buffer_json(&line, value, strlen(value));
    }
    buffer_puts(&line, "}\n");
    ssize_t done = write(fd, line.data, line.length);
    (void)done;
    buffer_free(&line);
}
