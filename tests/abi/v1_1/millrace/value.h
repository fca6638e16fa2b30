/* SPDX-License-Identifier: MIT
 *
 * A JSON-like value, read-only: what an action sees of its params, variables and outputs.
 *
 * Integers are 64 bits and stay so from the dag file to the last JSON document. The layout of these
 * two structs is frozen for ABI major 1. A value and all below it live as long as the call that
 * gave it says; no function here allocates, and all may be called from any thread.
 */
#ifndef MILLRACE_VALUE_H
#define MILLRACE_VALUE_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MR_NULL = 0,
    MR_BOOL = 1,   /* u.i is 0 or 1 */
    MR_INT = 2,    /* u.i */
    MR_NUMBER = 3, /* u.d */
    MR_STRING = 4, /* u.s, UTF-8, with a final NUL that `len` does not count */
    MR_LIST = 5,   /* u.list[0 .. len-1] */
    MR_MAP = 6     /* u.map[0 .. len-1], in the order in which it was written */
};

typedef struct mr_value {
    uint32_t type;
    uint32_t len; /* bytes of a string, items of a list, members of a map; else 0 */
    union {
        int64_t i;
        double d;
        const char *s;
        const struct mr_value *list;
        const struct mr_member *map;
    } u;
} mr_value;

typedef struct mr_member {
    const char *key; /* UTF-8, NUL-terminated */
    mr_value value;
} mr_member;

/* Returns the member `key` of `map`, or NULL if there is none or `map` is no map (or NULL). */
static inline const mr_value *mr_value_get(const mr_value *map, const char *key)
{
    uint32_t i;
    if (map == 0 || map->type != MR_MAP) {
        return 0;
    }
    for (i = 0; i < map->len; i++) {
        if (strcmp(map->u.map[i].key, key) == 0) {
            return &map->u.map[i].value;
        }
    }
    return 0;
}

/* Returns the text of a string value, `otherwise` for any other type or NULL. */
static inline const char *mr_value_str(const mr_value *value, const char *otherwise)
{
    return value != 0 && value->type == MR_STRING ? value->u.s : otherwise;
}

/* Returns the number of an integer or bool value, `otherwise` for any other type or NULL. */
static inline int64_t mr_value_int(const mr_value *value, int64_t otherwise)
{
    return value != 0 && (value->type == MR_INT || value->type == MR_BOOL) ? value->u.i : otherwise;
}

#ifdef __cplusplus
}
#endif
#endif
