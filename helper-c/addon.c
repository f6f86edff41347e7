/*
 * The door of libtsbox.so for the start of `run`: loading koffi costs 8 ms, a quarter of what a start
 * may take beyond Node's own boot, and process.dlopen of this nothing. So the two calls that every
 * `run` makes come through Node-API, and two that a build makes for each of 100,000 files; all others,
 * where time matters less, through koffi.
 *
 * Node-API is a stable ABI of C functions that the node program exports (nodejs.org/api/n-api.html);
 * the few used here are declared by hand, so that no Node headers are needed to build.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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
int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);

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

static napi_value number(napi_env env, int value)
{
    napi_value result = NULL;
    napi_create_int32(env, value, &result);
    return result;
}

/* replace(path, argv): does not return; a number below 0 is -errno. */
static napi_value replace(napi_env env, napi_callback_info info)
{
    napi_value arguments[2];
    size_t count = 2;
    uint32_t words;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != NAPI_OK || count != 2 ||
        napi_get_array_length(env, arguments[1], &words) != NAPI_OK)
        return number(env, -EINVAL);
    char *path = text_of(env, arguments[0]);
    const char **argv = calloc(words + 1, sizeof *argv);
    int result = path && argv ? 0 : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < words; i++) {
        napi_value word;
        if (napi_get_element(env, arguments[1], i, &word) != NAPI_OK || !(argv[i] = text_of(env, word)))
            result = -EINVAL;
    }
    if (result == 0)
        result = tsbox_replace(path, argv);
    for (uint32_t i = 0; argv && i < words; i++)
        free((void *)argv[i]);
    free(argv);
    free(path);
    return number(env, result);
}

/* openInRoot(root, path, flags): a descriptor, or -errno. */
static napi_value open_in_root(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    size_t count = 3;
    int32_t flags;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != NAPI_OK || count != 3 ||
        napi_get_value_int32(env, arguments[2], &flags) != NAPI_OK)
        return number(env, -EINVAL);
    char *root = text_of(env, arguments[0]);
    char *path = text_of(env, arguments[1]);
    int result = root && path ? tsbox_open_in_root(root, path, flags) : -EINVAL;
    free(root);
    free(path);
    return number(env, result);
}

/* Two that a build calls for each folder and file of its context: scanFolder and readSmall (path, buffer). */
static napi_value fill(napi_env env, napi_callback_info info, int (*call)(const char *, uint8_t *, size_t))
{
    napi_value arguments[2];
    size_t count = 2, capacity;
    void *out;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != NAPI_OK || count != 2 ||
        napi_get_buffer_info(env, arguments[1], &out, &capacity) != NAPI_OK)
        return number(env, -EINVAL);
    char *path = text_of(env, arguments[0]);
    int result = path ? call(path, out, capacity) : -EINVAL;
    free(path);
    return number(env, result);
}

static napi_value scan_folder(napi_env env, napi_callback_info info)
{
    return fill(env, info, tsbox_scan_folder);
}

static napi_value read_small(napi_env env, napi_callback_info info)
{
    return fill(env, info, tsbox_read_small);
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    static const struct {
        const char *name;
        napi_callback call;
    } functions[] = {{"replace", replace}, {"openInRoot", open_in_root}, {"scanFolder", scan_folder}, {"readSmall", read_small}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        napi_value made;
        if (napi_create_function(env, functions[i].name, SIZE_MAX, functions[i].call, NULL, &made) == NAPI_OK)
            napi_set_named_property(env, exports, functions[i].name, made);
    }
    return exports;
}
