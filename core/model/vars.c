/* SPDX-License-Identifier: MIT
 *
 * The variables of a run: what was given over what is declared. Pure, any thread.
 */
#include <stdio.h>

#include "core/model/dag.h"
#include "core/model/nearest.h"
#include "core/model/parse.h"

#define LINEAR_VARS_MAX 32u /* up to here comparing all names is cheaper than a table */

/* Everything that is wrong, in one message. */
struct complaints {
    struct mr__buf text;
    bool any;
};

MR__PRINTF(2, 3)
static void complain(struct complaints *complaints, const char *fmt, ...)
{
    char text[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (complaints->text.len < MR_ERROR_MESSAGE_BYTES) {
        mr__buf_text(&complaints->text, complaints->any ? "; " : "");
        mr__buf_text(&complaints->text, text);
    }
    complaints->any = true;
}

/* The message, cut at a character where it is too long. */
static void give_message(struct complaints *complaints, mr_error *reterr)
{
    const char *text = mr__buf_cstr(&complaints->text);
    if (text == NULL || reterr == NULL) {
        return;
    }
    size_t len = complaints->text.len;
    if (len < MR_ERROR_MESSAGE_BYTES) {
        (void)mr__error_set(reterr, MR_EINVAL, "%s", text);
        return;
    }
    len = MR_ERROR_MESSAGE_BYTES - 1 - strlen(" ...");
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    (void)mr__error_set(reterr, MR_EINVAL, "%.*s ...", (int)len, text);
}

bool mr__var_coerce(struct mr__arena *arena, const mr_value *value, uint32_t type,
                    mr_value *ret_value)
{
    if (value->type == type) {
        return mr__value_dup(arena, value, ret_value) == MR_OK;
    }
    if (value->type == MR_STRING) {
        return mr__value_from_text(arena, value->u.s, value->len, type, ret_value);
    }
    if (type == MR_NUMBER && value->type == MR_INT) {
        *ret_value = mr__value_number((double)value->u.i);
        return true;
    }
    if (type != MR_STRING ||
        (value->type != MR_INT && value->type != MR_NUMBER && value->type != MR_BOOL)) {
        return false;
    }
    struct mr__buf text;
    mr__buf_init(&text);
    mr__value_text(&text, value);
    const char *copy = text.failed ? NULL : mr__arena_dup(arena, (const char *)text.data, text.len);
    if (copy != NULL) {
        *ret_value = mr__value_str(copy, text.len);
    }
    mr__buf_finish(&text);
    return copy != NULL;
}

bool mr__var_allows(const struct mr__var *var, const mr_value *value)
{
    for (uint32_t i = 0; i < var->allowed.len; i++) {
        if (mr__value_equal(&var->allowed.u.list[i], value)) {
            return true;
        }
    }
    return var->allowed.type == MR_NULL;
}

/* "dev, prod, ..." for a message. */
static const char *list_allowed(const struct mr__var *var, struct mr__buf *buf)
{
    mr__buf_reset(buf);
    for (uint32_t i = 0; i < var->allowed.len && buf->len < 160; i++) {
        mr__buf_text(buf, i == 0 ? "" : ", ");
        mr__value_text(buf, &var->allowed.u.list[i]);
    }
    if (buf->len > 200) {
        buf->len = 200;
        while (buf->len > 0 && (buf->data[buf->len] & 0xc0) == 0x80) {
            buf->len--;
        }
        mr__buf_text(buf, " ...");
    }
    const char *text = mr__buf_cstr(buf);
    return text == NULL ? "" : text;
}

/* The declared variable of each name that was given; UINT32_MAX where it is not declared. */
static mr_status match_names(const struct mr__dag *dag, const mr_value *given, uint32_t *matches)
{
    struct mr__hash by_name;
    mr__hash_init(&by_name);
    mr_status status = MR_OK;
    bool many = dag->var_count > LINEAR_VARS_MAX;
    for (uint32_t i = 0; many && i < dag->var_count && status == MR_OK; i++) {
        status = mr__hash_put(&by_name, dag->vars[i].name, strlen(dag->vars[i].name), i);
    }
    for (uint32_t i = 0; i < given->len && status == MR_OK; i++) {
        const char *name = given->u.map[i].key;
        uint64_t at = UINT32_MAX;
        if (many) {
            (void)mr__hash_get(&by_name, name, strlen(name), &at); /* else it stays undeclared */
        }
        for (uint32_t j = 0; !many && j < dag->var_count; j++) {
            if (strcmp(dag->vars[j].name, name) == 0) {
                at = j;
                break;
            }
        }
        matches[i] = (uint32_t)at;
    }
    mr__hash_finish(&by_name);
    return status;
}

static void complain_undeclared(const struct mr__dag *dag, const char *name, uint64_t *budget,
                                struct complaints *complaints)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, name, budget);
    for (uint32_t i = 0; i < dag->var_count; i++) {
        mr__nearest_try(&nearest, dag->vars[i].name, i);
    }
    if (nearest.found != NULL) {
        complain(complaints, "no variable \"%.128s\" is declared, did you mean \"%.128s\"?", name,
                 nearest.found);
    } else {
        complain(complaints, "no variable \"%.128s\" is declared", name);
    }
}

/* A value that was given for a variable: "" and null mean the default. */
static void take_given(const struct mr__var *var, const mr_value *given, struct mr__arena *arena,
                       struct complaints *complaints, mr_value *value, bool *has_value)
{
    bool is_empty = given->type == MR_NULL || (given->type == MR_STRING && given->len == 0);
    if (is_empty) {
        return;
    }
    if (!mr__var_coerce(arena, given, var->type, value)) {
        complain(complaints, "variable \"%.128s\" must be of type %s", var->name,
                 mr__value_type_name(var->type));
    } else if (!mr__var_allows(var, value)) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        complain(complaints, "variable \"%.128s\" must be one of: %s", var->name,
                 list_allowed(var, &buf));
        mr__buf_finish(&buf);
    }
    *has_value = true;
}

/* About as much memory as its JSON text. */
static size_t weigh(const mr_value *value)
{
    size_t bytes = 8;
    if (value->type == MR_STRING) {
        bytes += value->len;
    } else if (value->type == MR_LIST) {
        for (uint32_t i = 0; i < value->len; i++) {
            bytes += weigh(&value->u.list[i]);
        }
    } else if (value->type == MR_MAP) {
        for (uint32_t i = 0; i < value->len; i++) {
            bytes += strlen(value->u.map[i].key) + weigh(&value->u.map[i].value);
        }
    }
    return bytes;
}

static mr_status fill(const struct mr__dag *dag, const mr_value *given, struct mr__arena *arena,
                      struct complaints *complaints, mr_member *members)
{
    uint32_t *matches = mr__arena_alloc(arena, given->len * sizeof *matches);
    bool *has_value = mr__arena_alloc(arena, dag->var_count * sizeof *has_value);
    if (matches == NULL || has_value == NULL) {
        return MR_ENOMEM;
    }
    mr_status status = match_names(dag, given, matches);
    if (status != MR_OK) {
        return status;
    }
    for (uint32_t i = 0; i < dag->var_count; i++) {
        members[i] = (mr_member){.key = dag->vars[i].name, .value = dag->vars[i].default_value};
        has_value[i] = dag->vars[i].has_default;
    }
    uint64_t budget = MR__NEAREST_BUDGET;
    for (uint32_t i = 0; i < given->len; i++) {
        uint32_t at = matches[i];
        if (at == UINT32_MAX) {
            complain_undeclared(dag, given->u.map[i].key, &budget, complaints);
        } else {
            take_given(&dag->vars[at], &given->u.map[i].value, arena, complaints,
                       &members[at].value, &has_value[at]);
        }
    }
    for (uint32_t i = 0; i < dag->var_count; i++) {
        if (dag->vars[i].required && !has_value[i]) {
            complain(complaints, "variable \"%.128s\" is required", dag->vars[i].name);
        }
    }
    return MR_OK;
}

mr_status mr__dag_vars(const struct mr__dag *dag, const mr_value *given, struct mr__arena *arena,
                       mr_value *ret_vars, mr_error *reterr)
{
    const mr_value nothing = {.type = MR_MAP};
    if (given == NULL || given->type == MR_NULL) {
        given = &nothing;
    } else if (given->type != MR_MAP) {
        return mr__error_set(reterr, MR_EINVAL, "variables must be a map, not a %s",
                             mr__value_type_name(given->type));
    }
    mr_member *members = mr__arena_alloc(arena, dag->var_count * sizeof *members);
    struct complaints complaints = {.any = false};
    mr__buf_init(&complaints.text);
    mr_status status = members == NULL ? MR_ENOMEM : fill(dag, given, arena, &complaints, members);
    mr_value vars = {.type = MR_MAP, .len = dag->var_count, .u.map = members};
    if (status == MR_ENOMEM || complaints.text.failed) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    } else if (complaints.any) {
        give_message(&complaints, reterr);
        status = MR_EINVAL;
    } else if (weigh(&vars) > MR__VARS_BYTES_MAX) {
        status = mr__error_set(reterr, MR_ELIMIT, "the variables have more than %u KiB",
                               MR__VARS_BYTES_MAX >> 10);
    }
    mr__buf_finish(&complaints.text);
    if (status == MR_OK) {
        *ret_vars = vars;
    }
    return status;
}

mr_status mr__vars_read(const char *name, const char *text, size_t len, struct mr__arena *arena,
                        mr_value *ret_given, mr_error *reterr)
{
    struct mr__problems problems;
    mr_value map = {.type = MR_MAP};
    mr__problems_init(&problems);
    mr_status status = mr__yaml_value(text, len, arena, &problems, &map);
    if (problems.error_count > 0 || (status == MR_OK && map.type != MR_MAP)) {
        struct mr__pos pos = {1, 1, 0};
        const char *message = "it must be a map of variables";
        if (problems.error_count > 0) {
            pos = problems.list[0].pos;
            message = problems.list[0].message;
        }
        status =
            mr__error_set(reterr, MR_EINVAL, "%s:%u:%u: %s", name, pos.line, pos.column, message);
    } else if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    mr__problems_finish(&problems);
    if (status == MR_OK) {
        *ret_given = map;
    }
    return status;
}
