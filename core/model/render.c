/* SPDX-License-Identifier: MIT
 *
 * Replacing the templates of one task's params by the variables of a run. Pure, any thread.
 *
 * What was put in is never looked at again: text goes from the params and from the variables to the
 * result, each once. What has no template is shared with the dag, not copied.
 */
#include "core/model/dag.h"
#include "core/model/template.h"

#define LINEAR_VARS_MAX 32u /* up to here comparing all names is cheaper than a table */

struct renderer {
    const mr_value *vars;
    struct mr__hash by_name; /* of many variables */
    struct mr__arena *arena;
    struct mr__buf buf;
    mr_error *reterr;
};

static mr_status render(struct renderer *r, const mr_value *value, unsigned depth,
                        mr_value *ret_value);

static mr_status init(struct renderer *r)
{
    mr__hash_init(&r->by_name);
    mr__buf_init(&r->buf);
    mr_status status = MR_OK;
    uint32_t count = r->vars->type == MR_MAP ? r->vars->len : 0;
    for (uint32_t i = 0; count > LINEAR_VARS_MAX && i < count && status == MR_OK; i++) {
        const char *name = r->vars->u.map[i].key;
        status = mr__hash_put(&r->by_name, name, strlen(name), i);
    }
    return status;
}

static const mr_value *find_var(const struct renderer *r, const char *name, size_t len)
{
    uint64_t at;
    if (r->by_name.count > 0) {
        bool found = mr__hash_get(&r->by_name, name, len, &at);
        return found ? &r->vars->u.map[at].value : NULL;
    }
    for (uint32_t i = 0; r->vars->type == MR_MAP && i < r->vars->len; i++) {
        const char *key = r->vars->u.map[i].key;
        if (strncmp(key, name, len) == 0 && key[len] == '\0') {
            return &r->vars->u.map[i].value;
        }
    }
    return NULL;
}

static unsigned height(const mr_value *value)
{
    unsigned below = 0;
    if (value->type != MR_LIST && value->type != MR_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < value->len; i++) {
        const mr_value *item = value->type == MR_LIST ? &value->u.list[i] : &value->u.map[i].value;
        unsigned item_height = height(item);
        below = MR__MAX(below, item_height);
    }
    return below + 1;
}

/* What a template stands for. */
static mr_status evaluate(struct renderer *r, const struct mr__template *t, mr_value *ret_value)
{
    const char *text;
    size_t len;
    const mr_value *var = find_var(r, t->body, t->body_len);
    if (var != NULL) {
        *ret_value = *var;
        return MR_OK;
    }
    if (mr__template_literal(t, &text, &len)) {
        const char *copy = mr__arena_dup(r->arena, text, len);
        if (copy == NULL) {
            return mr__error_set(r->reterr, MR_ENOMEM, "out of memory");
        }
        *ret_value = mr__value_str(copy, len);
        return MR_OK;
    }
    return mr__error_set(r->reterr, MR_EINVAL, "no variable is called \"%.*s\"",
                         (int)MR__MIN(t->body_len, MR__ID_BYTES_MAX), t->body);
}

static mr_status render_text(struct renderer *r, const mr_value *value, unsigned depth,
                             mr_value *ret_value)
{
    const char *at = value->u.s, *end = at + value->len;
    struct mr__template t;
    enum mr__template_found found = mr__template_next(at, end, &t);
    if (found == MR__TEMPLATE_NONE) {
        *ret_value = *value;
        return MR_OK;
    }
    mr_value part;
    mr_status status;
    if (found == MR__TEMPLATE_FOUND && t.begin == at && t.end == end) {
        status = evaluate(r, &t, &part);
        if (status == MR_OK && depth + height(&part) > MR__JSON_DEPTH_MAX) {
            status = mr__error_set(r->reterr, MR_ELIMIT, "params nested deeper than %u",
                                   MR__JSON_DEPTH_MAX);
        }
        if (status == MR_OK) {
            *ret_value = part;
        }
        return status;
    }
    mr__buf_reset(&r->buf);
    for (; found == MR__TEMPLATE_FOUND; found = mr__template_next(at, end, &t)) {
        mr__buf_bytes(&r->buf, at, (size_t)(t.begin - at));
        status = evaluate(r, &t, &part);
        if (status != MR_OK) {
            return status;
        }
        mr__value_text(&r->buf, &part);
        if (r->buf.len > MR__OUTPUT_BYTES_MAX) {
            return mr__error_set(r->reterr, MR_ELIMIT, "a param of more than %u MiB",
                                 MR__OUTPUT_BYTES_MAX >> 20);
        }
        at = t.end;
    }
    if (found == MR__TEMPLATE_OPEN) {
        return mr__error_set(r->reterr, MR_EINVAL, "a {{ without }}");
    }
    mr__buf_bytes(&r->buf, at, (size_t)(end - at));
    char *text =
        r->buf.failed ? NULL : mr__arena_dup(r->arena, (const char *)r->buf.data, r->buf.len);
    if (text == NULL) {
        return mr__error_set(r->reterr, MR_ENOMEM, "out of memory");
    }
    *ret_value = mr__value_str(text, r->buf.len);
    return MR_OK;
}

static mr_status render_members(struct renderer *r, const mr_value *value, const char *skip,
                                unsigned depth, mr_value *ret_value)
{
    mr_member *map = mr__arena_alloc(r->arena, value->len * sizeof *map);
    if (map == NULL) {
        return mr__error_set(r->reterr, MR_ENOMEM, "out of memory");
    }
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < value->len && status == MR_OK; i++) {
        map[i] = value->u.map[i];
        if (skip == NULL || strcmp(map[i].key, skip) != 0) {
            status = render(r, &value->u.map[i].value, depth + 1, &map[i].value);
        }
    }
    *ret_value = (mr_value){.type = MR_MAP, .len = value->len, .u.map = map};
    return status;
}

static mr_status render(struct renderer *r, const mr_value *value, unsigned depth,
                        mr_value *ret_value)
{
    if (value->type == MR_STRING) {
        return render_text(r, value, depth, ret_value);
    }
    if (value->type == MR_MAP) {
        return render_members(r, value, NULL, depth, ret_value);
    }
    if (value->type != MR_LIST) {
        *ret_value = *value;
        return MR_OK;
    }
    mr_value *list = mr__arena_alloc(r->arena, value->len * sizeof *list);
    if (list == NULL) {
        return mr__error_set(r->reterr, MR_ENOMEM, "out of memory");
    }
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < value->len && status == MR_OK; i++) {
        status = render(r, &value->u.list[i], depth + 1, &list[i]);
    }
    *ret_value = (mr_value){.type = MR_LIST, .len = value->len, .u.list = list};
    return status;
}

mr_status mr__dag_render(const struct mr__dag *dag, const mr_value *params, const mr_value *vars,
                         struct mr__arena *arena, mr_value *ret_params, mr_error *reterr)
{
    const struct mr__dag_task *task = MR__CONTAINER(params, const struct mr__dag_task, params);
    MR_ASSERT(task >= dag->tasks && task < dag->tasks + dag->task_count);

    struct renderer r = {.vars = vars, .arena = arena, .reterr = reterr};
    mr_value rendered;
    mr_status status = init(&r);
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "out of memory");
    } else {
        /* sh's `run` is the shell's: what stands in it between braces is not ours. */
        bool is_sh = task->action != NULL && strcmp(task->action, "sh") == 0;
        status = render_members(&r, params, is_sh ? "run" : NULL, 0, &rendered);
    }
    mr__hash_finish(&r.by_name);
    mr__buf_finish(&r.buf);
    if (status == MR_OK) {
        *ret_params = rendered;
    }
    return status;
}
