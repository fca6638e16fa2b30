/* SPDX-License-Identifier: MIT
 *
 * A task's params against its action's table: weak decoding, defaults, and what does not fit. Pure,
 * any thread.
 */
#include <math.h>
#include <stdio.h>

#include "core/exec/registry.h"

const mr_param *mr__params_row(const mr_action *action, uint32_t i)
{
    if (action->params == NULL) {
        return NULL;
    }
    const char *rows = (const char *)action->params;
    const mr_param *row = (const mr_param *)(rows + (size_t)i * action->param_size);
    return row->name == NULL ? NULL : row;
}

static bool scalar_to_text(struct mr__arena *arena, const mr_value *value, mr_value *ret_value)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_text(&buf, value);
    const char *text = buf.failed ? NULL : mr__arena_dup(arena, (const char *)buf.data, buf.len);
    bool made = text != NULL;
    if (made) {
        *ret_value = mr__value_str(text, buf.len);
    }
    mr__buf_finish(&buf);
    return made;
}

bool mr__params_fit(struct mr__arena *arena, const mr_value *value, uint32_t type,
                    mr_value *ret_value)
{
    *ret_value = *value;
    if (type == MR_NULL || value->type == type || value->type == MR_NULL) {
        return true;
    }
    if (value->type == MR_STRING) {
        return mr__value_from_text(arena, value->u.s, value->len, type, ret_value);
    }
    switch (type) {
    case MR_STRING: return value->type < MR_STRING && scalar_to_text(arena, value, ret_value);
    case MR_NUMBER: *ret_value = mr__value_number((double)value->u.i); return value->type == MR_INT;
    case MR_INT:
        if (value->type != MR_NUMBER || !(fabs(value->u.d) <= 9007199254740992.0) ||
            floor(value->u.d) != value->u.d) {
            return false;
        }
        *ret_value = mr__value_int((int64_t)value->u.d);
        return true;
    case MR_BOOL:
        *ret_value = mr__value_bool(value->u.i != 0);
        return value->type == MR_INT && (value->u.i == 0 || value->u.i == 1);
    default: return false;
    }
}

/* The value of one row: what was given, else its default, else null. */
static mr_status complete_row(const mr_action *action, const mr_param *row, const mr_value *given,
                              struct mr__arena *arena, mr_value *ret_value, mr_error *reterr)
{
    mr_value copy;
    if (given == NULL || given->type == MR_NULL) {
        if ((row->flags & MR_REQUIRED) != 0) {
            return mr__error_set(reterr, MR_EINVAL, "param \"%s\" of action \"%s\" is missing",
                                 row->name, action->name);
        }
        if (row->default_json == NULL) {
            *ret_value = mr__value_null();
            return MR_OK;
        }
        mr_status status =
            mr__value_parse(arena, row->default_json, strlen(row->default_json), &copy, reterr);
        if (status != MR_OK) {
            return status;
        }
        given = &copy;
    }
    mr_value fitted;
    if (!mr__params_fit(arena, given, row->type, &fitted)) {
        return mr__error_set(reterr, MR_EINVAL, "param \"%s\" of action \"%s\" must be %s, not %s",
                             row->name, action->name, mr__value_type_name(row->type),
                             mr__value_type_name(given->type));
    }
    mr_status status = mr__value_dup(arena, &fitted, ret_value);
    return status == MR_OK ? MR_OK : mr__error_set(reterr, status, "%s", mr_status_text(status));
}

mr_status mr__params_complete(const mr_action *action, const mr_value *params,
                              struct mr__arena *arena, mr_value *ret_params, mr_error *reterr)
{
    uint32_t rows = 0, used = 0;
    if (params != NULL && params->type != MR_MAP && params->type != MR_NULL) {
        return mr__error_set(reterr, MR_EINVAL, "the params of action \"%s\" must be a map",
                             action->name);
    }
    while (mr__params_row(action, rows) != NULL) {
        rows++;
    }
    mr_member *members = mr__arena_alloc(arena, rows * sizeof *members);
    if (members == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    for (uint32_t i = 0; i < rows; i++) {
        const mr_param *row = mr__params_row(action, i);
        const mr_value *given = mr_value_get(params, row->name);
        members[i].key = row->name; /* static: plugins stay loaded */
        mr_status status = complete_row(action, row, given, arena, &members[i].value, reterr);
        if (status != MR_OK) {
            return status;
        }
        used += given != NULL;
    }
    for (uint32_t i = 0; params != NULL && params->type == MR_MAP && i < params->len; i++) {
        mr_value table = {.type = MR_MAP, .len = rows, .u.map = members};
        if (used < params->len && mr_value_get(&table, params->u.map[i].key) == NULL) {
            return mr__error_set(reterr, MR_EINVAL, "unknown param \"%.128s\" of action \"%s\"",
                                 params->u.map[i].key, action->name);
        }
    }
    *ret_params = (mr_value){.type = MR_MAP, .len = rows, .u.map = members};
    return MR_OK;
}
