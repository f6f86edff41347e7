/*
 * Was it the kernel, for want of memory? A cgroup of the container's own counts whom the kernel has killed
 * in it. Without one nobody is told; but the kernel counts them all (/proc/vmstat, oom_kill). A SIGKILL
 * that is not ours and that no verb has sent, while the count has grown, is taken for one.
 */
#include "helper.h"

#include <stdlib.h>
#include <string.h>

uint64_t oom_kills(void)
{
    char text[8192];
    static const char key[] = "\noom_kill ";
    cleanup_fd int fd = open_cloexec("/proc/vmstat", O_RDONLY, 0);
    ssize_t length = fd < 0 ? 0 : read_exact(fd, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
    const char *found = strstr(text, key);
    return found ? strtoull(found + sizeof key - 1, NULL, 10) : 0;
}

bool oom_is_likely(const struct monitor *monitor)
{
    const struct plan *plan = &monitor->run->plan;
    uint64_t own;
    bool grown = cgroup_oom_kills(&own) ? own > 0 : oom_kills() > monitor->oom_kills;
    return !monitor->killed && grown &&
           !(plan->restart_stop && access(plan->restart_stop, F_OK) == 0);
}
