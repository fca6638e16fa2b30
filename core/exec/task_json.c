/* SPDX-License-Identifier: MIT
 *
 * What an action gives as a value or as JSON text, made compact JSON or refused; what it reads.
 * Pure.
 */
#include "core/exec/task_json.h"

#include <math.h>

/* Whether a scalar has a JSON form; lists and maps are printed and read back instead. */
static bool scalar_is_json(const mr_value *v)
{
    switch (v->type) {
    case MR_NULL:
    case MR_BOOL:
    case MR_INT: return true;
    case MR_NUMBER: return isfinite(v->u.d);
    case MR_STRING:
        return v->u.s != NULL && mr__utf8_valid(v->u.s, v->len) &&
               memchr(v->u.s, '\0', v->len) == NULL;
    default: return false;
    }
}

static bool is_json(const mr_value *v, unsigned depth)
{
    if (v->type != MR_LIST && v->type != MR_MAP) {
        return scalar_is_json(v);
    }
    bool good = depth < MR__JSON_DEPTH_MAX;
    for (uint32_t i = 0; good && i < v->len; i++) {
        good = v->type == MR_LIST
                   ? is_json(&v->u.list[i], depth + 1)
                   : v->u.map[i].key != NULL && is_json(&v->u.map[i].value, depth + 1);
    }
    return good;
}

mr_status mr__task_compact(struct mr__buf *ret_json, const char *json, size_t len, mr_error *reterr)
{
    struct mr__arena arena;
    mr_value value;
    if (json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "no text");
    }
    mr__arena_init(&arena);
    mr_status status = mr__value_parse(&arena, json, len, &value, reterr);
    if (status == MR_OK) {
        mr__value_print(ret_json, &value);
        if (ret_json->failed) {
            status = mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
        }
    }
    mr__arena_finish(&arena);
    return status;
}

mr_status mr__task_json(struct mr__buf *ret_json, const mr_value *value, mr_error *reterr)
{
    if (value == NULL || !is_json(value, 0)) {
        return mr__error_set(reterr, MR_EINVAL, "a value that is no JSON");
    }
    if (value->type != MR_MAP && value->type != MR_LIST) {
        mr__value_print(ret_json, value);
        return !ret_json->failed
                   ? MR_OK
                   : mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    struct mr__buf printed = {0}; /* The keys of a map may be repeated or no UTF-8. */
    mr__value_print(&printed, value);
    mr_status status =
        printed.failed
            ? mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM))
            : mr__task_compact(ret_json, (const char *)printed.data, printed.len, reterr);
    mr__buf_finish(&printed);
    return status;
}

struct seen {
    const char *json;
    size_t len;
    mr_value value;
};

const mr_value *mr__task_see(struct mr__hash *table, struct mr__arena *arena, const char *key,
                             const struct mr__buf *json)
{
    size_t key_len = strlen(key);
    uint64_t number;
    struct seen *seen = NULL;
    if (mr__hash_get(table, key, key_len, &number)) {
        seen = (struct seen *)(uintptr_t)number;
        if (seen->len == json->len && memcmp(seen->json, json->data, json->len) == 0) {
            return &seen->value;
        }
    }
    const char *copy = mr__arena_dup(arena, key, key_len);
    seen = mr__arena_alloc(arena, sizeof *seen);
    if (copy == NULL || seen == NULL) {
        return NULL;
    }
    seen->len = json->len;
    seen->json = mr__arena_dup(arena, (const char *)json->data, json->len);
    if (seen->json == NULL ||
        mr__value_parse(arena, seen->json, seen->len, &seen->value, NULL) != MR_OK) {
        return NULL;
    }
    (void)mr__hash_put(table, copy, key_len, (uintptr_t)seen); /* else it is parsed again */
    return &seen->value;
}
