/* SPDX-License-Identifier: MIT
 *
 * What an action gives, as compact JSON, and what it reads of JSON: in the engine, and in a host
 * process. Any thread.
 */
#ifndef MR__TASK_JSON_H
#define MR__TASK_JSON_H

#include "core/base/hash.h"
#include "core/base/value.h"

/* Any value as JSON, checked: MR_EINVAL for what has no JSON form. */
mr_status mr__task_json(struct mr__buf *ret_json, const mr_value *value, mr_error *reterr);
/* JSON text made compact: exactly one value, else MR_EINVAL. */
mr_status mr__task_compact(struct mr__buf *ret_json, const char *json, size_t len,
                           mr_error *reterr);
/* The value of what `key` has, read from its JSON: the same pointer for as long as the text is the
 * same. Keys and values are in `arena`, `table` only finds them. NULL: out of memory. */
const mr_value *mr__task_see(struct mr__hash *table, struct mr__arena *arena, const char *key,
                             const struct mr__buf *json);

#endif
