/*
 * The door of libtsbox.so for verbs that are to be quick: loading koffi costs 8 ms, a quarter of what a
 * start may take beyond Node's own boot, and process.dlopen of this nothing. So what `run` and a build
 * call comes through Node-API: the start, locks, descriptors for the helper, files of a context; and the
 * one call that `diff` is. All others, where time matters less, come through koffi.
 *
 * Node-API is a stable ABI of C functions that the node program exports (nodejs.org/api/n-api.html);
 * the few used here are declared by hand, so that no Node headers are needed to build.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "changes.h"
#include "library.h"

#define EXPORT __attribute__((visibility("default")))

typedef void *napi_env, *napi_value, *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
enum { NAPI_OK = 0 };
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_string_utf8(napi_env, napi_value, char *, size_t, size_t *);
int napi_get_value_int32(napi_env, napi_value, int32_t *);
int napi_get_array_length(napi_env, napi_value, uint32_t *);
int napi_get_element(napi_env, napi_value, uint32_t, napi_value *);
int napi_create_int32(napi_env, int32_t, napi_value *);
int napi_create_double(napi_env, double, napi_value *);
int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
int napi_create_buffer_copy(napi_env, size_t, const void *, void **, napi_value *);

/* A copy of a JavaScript string, to be freed; NULL when it is none. */
static char *text_of(napi_env env, napi_value value)
{
    size_t length;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != NAPI_OK)
        return NULL;
    char *text = malloc(length + 1);
    if (text && napi_get_value_string_utf8(env, value, text, length + 1, &length) != NAPI_OK) {
        free(text);
        return NULL;
    }
    return text;
}

static void words_free(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

static napi_value number(napi_env env, int value)
{
    napi_value result = NULL;
    napi_create_int32(env, value, &result);
    return result;
}

/* The words of an array as C strings, NULL after the last; to be freed with words_free. NULL where they cannot be had. */
static char **words_of(napi_env env, napi_value array, uint32_t *count)
{
    if (napi_get_array_length(env, array, count) != NAPI_OK)
        return NULL;
    char **words = calloc(*count + 1, sizeof *words);
    for (uint32_t i = 0; words && i < *count; i++) {
        napi_value word;
        if (napi_get_element(env, array, i, &word) != NAPI_OK || !(words[i] = text_of(env, word))) {
            words_free(words);
            return NULL;
        }
    }
    return words;
}

/* replace(path, argv): does not return; a number below 0 is -errno. */
static napi_value replace(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    size_t count = 2;
    uint32_t words;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != NAPI_OK || count != 2)
        return number(env, -EINVAL);
    char *path = text_of(env, arguments[0]);
    char **argv = words_of(env, arguments[1], &words);
    int result = path && argv ? tsbox_replace(path, (const char **)argv) : -EINVAL;
    words_free(argv);
    free(path);
    return number(env, result);
}

/* The arguments of a call, if it has as many as it should; texts are freed by release(). */
struct arguments {
    napi_value values[3];
    char *texts[3];
    bool good;
};

static struct arguments arguments_of(napi_env env, napi_callback_info info, size_t wanted)
{
    struct arguments arguments = {0};
    size_t count = sizeof arguments.values / sizeof *arguments.values;
    arguments.good = napi_get_cb_info(env, info, &count, arguments.values, NULL, NULL) == NAPI_OK && count == wanted;
    return arguments;
}

static const char *text_at(napi_env env, struct arguments *arguments, size_t index)
{
    if (arguments->good && !(arguments->texts[index] = text_of(env, arguments->values[index])))
        arguments->good = false;
    return arguments->texts[index];
}

static int32_t number_at(napi_env env, struct arguments *arguments, size_t index)
{
    int32_t value = 0;
    if (arguments->good && napi_get_value_int32(env, arguments->values[index], &value) != NAPI_OK)
        arguments->good = false;
    return value;
}

static void *bytes_at(napi_env env, struct arguments *arguments, size_t index, size_t *length)
{
    void *bytes = NULL;
    *length = 0;
    if (arguments->good && napi_get_buffer_info(env, arguments->values[index], &bytes, length) != NAPI_OK)
        arguments->good = false;
    return bytes;
}

static napi_value answer(napi_env env, struct arguments *arguments, int result)
{
    for (size_t i = 0; i < sizeof arguments->texts / sizeof *arguments->texts; i++)
        free(arguments->texts[i]);
    return number(env, result);
}

/* openInRoot(root, path, flags): a descriptor, or -errno. */
static napi_value open_in_root(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 3);
    const char *root = text_at(env, &given, 0), *path = text_at(env, &given, 1);
    int32_t flags = number_at(env, &given, 2);
    return answer(env, &given, given.good ? tsbox_open_in_root(root, path, flags) : -EINVAL);
}

/* Calls of the form (path, buffer). */
static napi_value fill(napi_env env, napi_callback_info info, int (*call)(const char *, uint8_t *, size_t))
{
    struct arguments given = arguments_of(env, info, 2);
    size_t capacity;
    const char *path = text_at(env, &given, 0);
    void *out = bytes_at(env, &given, 1, &capacity);
    return answer(env, &given, given.good ? call(path, out, capacity) : -EINVAL);
}

/* scanFolder(path, buffer, attributes) */
static napi_value scan_folder(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 3);
    size_t capacity;
    const char *path = text_at(env, &given, 0);
    void *out = bytes_at(env, &given, 1, &capacity);
    int32_t attributes = number_at(env, &given, 2);
    return answer(env, &given, given.good ? tsbox_scan_folder(path, out, capacity, attributes) : -EINVAL);
}

static napi_value read_small(napi_env env, napi_callback_info info)
{
    return fill(env, info, tsbox_read_small);
}

/* changes(upper, init, lowers): a buffer with the lines, or -errno. */
static napi_value changes(napi_env env, napi_callback_info info)
{
    napi_value arguments[3], made = NULL;
    size_t count = 3;
    uint32_t layers;
    struct buffer lines = {0}, where = {0};
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != NAPI_OK || count != 3)
        return number(env, -EINVAL);
    char *upper = text_of(env, arguments[0]);
    char *init = text_of(env, arguments[1]);
    char **lowers = words_of(env, arguments[2], &layers);
    int result = upper && init && lowers ? changes_find(upper, init, lowers, layers, &lines, &where) : -EINVAL;
    if (result == 0 && napi_create_buffer_copy(env, lines.length, lines.data, NULL, &made) != NAPI_OK)
        result = -ENOMEM;
    buffer_free(&lines);
    buffer_free(&where);
    words_free(lowers);
    free(init);
    free(upper);
    return result < 0 ? number(env, result) : made;
}

static int list_xattrs(const char *path, uint8_t *out, size_t capacity)
{
    return tsbox_listxattr(path, out, capacity);
}

static napi_value listxattr(napi_env env, napi_callback_info info)
{
    return fill(env, info, list_xattrs);
}

/* getxattr(path, name, buffer) */
static napi_value getxattr(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 3);
    size_t capacity;
    const char *path = text_at(env, &given, 0), *name = text_at(env, &given, 1);
    void *out = bytes_at(env, &given, 2, &capacity);
    return answer(env, &given, given.good ? tsbox_getxattr(path, name, out, capacity) : -EINVAL);
}

/* tryLock(path, exclusive): a descriptor that holds the lock, or -errno. */
static napi_value try_lock(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 2);
    const char *path = text_at(env, &given, 0);
    int32_t exclusive = number_at(env, &given, 1);
    return answer(env, &given, given.good ? tsbox_lock(path, exclusive) : -EINVAL);
}

/* lockIsFree(path) */
static napi_value lock_is_free(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 1);
    const char *path = text_at(env, &given, 0);
    return answer(env, &given, given.good ? tsbox_lock_is_free(path) : -EINVAL);
}

/* memfd(buffer): a descriptor, or -errno. */
static napi_value memfd(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 1);
    size_t length;
    const void *data = bytes_at(env, &given, 0, &length);
    return answer(env, &given, given.good ? tsbox_memfd(data, length) : -EINVAL);
}

/* pipe(buffer, bytes), socketpair(buffer, stream): two descriptors into the buffer, four bytes each. */
static napi_value make_pipe(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 2);
    size_t capacity;
    void *out = bytes_at(env, &given, 0, &capacity);
    int32_t size = number_at(env, &given, 1);
    return answer(env, &given, given.good && capacity >= 2 * sizeof(int) ? tsbox_pipe(out, size) : -EINVAL);
}

static napi_value make_socketpair(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 2);
    size_t capacity;
    void *out = bytes_at(env, &given, 0, &capacity);
    int32_t stream = number_at(env, &given, 1);
    return answer(env, &given, given.good && capacity >= 2 * sizeof(int) ? tsbox_socketpair(out, stream) : -EINVAL);
}

/* shareMemory(bytes): a descriptor, or -errno. */
static napi_value share_memory(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 1);
    size_t length;
    void *bytes = bytes_at(env, &given, 0, &length);
    return answer(env, &given, given.good ? tsbox_share_memory(bytes, length) : -EINVAL);
}

/* sendFds(socket, data, descriptors): the last is a buffer too, four bytes each. */
static napi_value send_fds(napi_env env, napi_callback_info info)
{
    struct arguments given = arguments_of(env, info, 3);
    size_t length, size;
    int32_t socket = number_at(env, &given, 0);
    const void *data = bytes_at(env, &given, 1, &length), *fds = bytes_at(env, &given, 2, &size);
    return answer(env, &given, given.good ? tsbox_send_fds(socket, data, length, fds, (int)(size / sizeof(int))) : -EINVAL);
}

/* startTime(pid): field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie. `ps` asks for each container. */
static napi_value start_time(napi_env env, napi_callback_info info)
{
    napi_value argument, result = NULL;
    size_t count = 1;
    int32_t pid;
    if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != NAPI_OK || count != 1 ||
        napi_get_value_int32(env, argument, &pid) != NAPI_OK)
        return number(env, -EINVAL);
    /* ticks since boot: exact as a double for a hundred thousand years */
    napi_create_double(env, (double)tsbox_start_time(pid), &result);
    return result;
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    static const struct {
        const char *name;
        napi_callback call;
    } functions[] = {{"replace", replace}, {"openInRoot", open_in_root}, {"scanFolder", scan_folder}, {"readSmall", read_small},
                   {"tryLock", try_lock}, {"lockIsFree", lock_is_free}, {"memfd", memfd}, {"pipe", make_pipe},
                   {"socketpair", make_socketpair}, {"sendFds", send_fds}, {"getxattr", getxattr}, {"listxattr", listxattr},
                   {"changes", changes}, {"startTime", start_time}, {"shareMemory", share_memory}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        napi_value made;
        if (napi_create_function(env, functions[i].name, SIZE_MAX, functions[i].call, NULL, &made) == NAPI_OK)
            napi_set_named_property(env, exports, functions[i].name, made);
    }
    return exports;
}
