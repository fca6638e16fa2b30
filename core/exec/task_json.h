/* SPDX-License-Identifier: MIT
 *
 * What an action gives, as compact JSON: in the engine, and in a host process. Any thread.
 */
#ifndef MR__TASK_JSON_H
#define MR__TASK_JSON_H

#include "core/base/value.h"

/* Any value as JSON, checked: MR_EINVAL for what has no JSON form. */
mr_status mr__task_json(struct mr__buf *ret_json, const mr_value *value, mr_error *reterr);
/* JSON text made compact: exactly one value, else MR_EINVAL. */
mr_status mr__task_compact(struct mr__buf *ret_json, const char *json, size_t len,
                           mr_error *reterr);

#endif
