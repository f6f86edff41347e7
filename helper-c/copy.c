/* Copying a file's content, with its holes, by whatever the file systems do fastest. */
#include "tree.h"

#include "helper.h"

static int copy_range(int from, int to, off_t start, off_t end)
{
    char buffer[64 * 1024];
    while (start < end) {
        off_t at = start, to_at = start;
        ssize_t count = copy_file_range(from, &at, to, &to_at, (size_t)(end - start), 0);
        if (count < 0 && errno != EINTR) {
            /* Across file systems older kernels cannot: by hand. */
            size_t wanted = (size_t)(end - start) < sizeof buffer ? (size_t)(end - start) : sizeof buffer;
            count = pread(from, buffer, wanted, start);
            if (count < 0 || (count > 0 && pwrite(to, buffer, (size_t)count, start) != count))
                return -errno;
        }
        if (count == 0)
            return -ENODATA; /* became shorter while we read: somebody works in a LOWER */
        if (count > 0)
            start += count;
    }
    return 0;
}

int copy_content(int from, int to, off_t size)
{
    off_t start = 0;
    while (start < size) {
        start = lseek(from, start, SEEK_DATA);
        if (start < 0 && errno == ENXIO)
            break; /* only a hole is left */
        off_t end = start < 0 ? -1 : lseek(from, start, SEEK_HOLE);
        if (end < 0) {
            start = start < 0 ? 0 : start;
            end = size;
        }
        int copied = copy_range(from, to, start, end < size ? end : size);
        if (copied < 0)
            return copied;
        start = end;
    }
    return ftruncate(to, size) == 0 ? 0 : -errno;
}
