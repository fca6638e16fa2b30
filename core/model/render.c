/* SPDX-License-Identifier: MIT
 *
 * Replacing the templates of one task's params by what they stand for. Pure, any thread.
 *
 * What each template is was found when the file was parsed: they are taken one after the other, in
 * the order in which this walk meets them. What was put in is never looked at again: text goes from
 * the params and from the values to the result, each once. What has no template is shared with the
 * dag, not copied.
 */
#include "core/model/programs.h"
#include "core/model/scope.h"
#include "core/model/template.h"

struct renderer {
    const struct mr__scope *scope;
    const struct mr__evaluator *evaluator;
    const struct mr__dag_template *next; /* template */
    uint32_t left;                       /* templates, with it */
    struct mr__arena *arena;
    struct mr__buf buf;
    bool *ret_again;
    mr_error *reterr;
};

static mr_status render(struct renderer *r, const mr_value *value, unsigned depth,
                        mr_value *ret_value);

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

static mr_status read_var(const struct renderer *r, uint32_t number, mr_value *ret_value)
{
    const mr_value *vars = r->scope->vars;
    const char *name = r->scope->dag->vars[number].name;
    if (vars->type != MR_MAP || number >= vars->len || strcmp(vars->u.map[number].key, name) != 0) {
        return mr__error_set(r->reterr, MR_EINVAL, "no variable is called \"%s\"", name);
    }
    *ret_value = vars->u.map[number].value;
    return MR_OK;
}

static mr_status read_share(const struct renderer *r, const struct mr__dag_template *row,
                            mr_value *ret_value)
{
    struct mr__blob json;
    if (!r->scope->share(r->scope, row->text, row->len, &json)) {
        return mr__error_set(r->reterr, MR_EINVAL, "%s:%u: the share data has no key \"%.*s\"",
                             r->scope->dag->file, row->line,
                             (int)MR__MIN(row->len, MR__ID_BYTES_MAX), row->text);
    }
    return mr__value_parse(r->arena, json.data, json.len, ret_value, r->reterr);
}

static mr_status read_item(const struct renderer *r, mr_value *ret_value)
{
    const struct mr__scope *scope = r->scope;
    if (scope->item_name == NULL) {
        return mr__error_set(r->reterr, MR_EINVAL, "there is no item here");
    }
    return mr__value_parse(r->arena, scope->item.data, scope->item.len, ret_value, r->reterr);
}

/* What the next template stands for. */
static mr_status evaluate(struct renderer *r, mr_value *ret_value)
{
    if (r->left == 0) {
        return mr__error_set(r->reterr, MR_EINVAL, "a template that the dag does not know");
    }
    const struct mr__dag_template *row = r->next++;
    r->left--;
    switch (row->kind) {
    case MR__TEMPLATE_VAR: return read_var(r, row->number, ret_value);
    case MR__TEMPLATE_ITEM: return read_item(r, ret_value);
    case MR__TEMPLATE_SHARE: return read_share(r, row, ret_value);
    case MR__TEMPLATE_SCRIPT:
        return mr__evaluate(r->evaluator, r->scope, row->number, r->arena, ret_value, r->ret_again,
                            r->reterr);
    default: *ret_value = mr__value_str(row->text, row->len); return MR_OK;
    }
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
        status = evaluate(r, &part);
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
        status = evaluate(r, &part);
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

mr_status mr__render(const struct mr__scope *scope, uint32_t task,
                     const struct mr__evaluator *evaluator, struct mr__arena *arena,
                     mr_value *ret_params, bool *ret_again, mr_error *reterr)
{
    const struct mr__dag *dag = scope->dag;
    const struct mr__dag_task *row = &dag->tasks[task];
    *ret_again = false;
    if (row->template_count == 0) {
        *ret_params = row->params;
        return MR_OK;
    }
    struct renderer r = {.scope = scope,
                         .evaluator = evaluator,
                         .next = &dag->templates[row->first_template],
                         .left = row->template_count,
                         .arena = arena,
                         .ret_again = ret_again,
                         .reterr = reterr};
    mr_value rendered;
    mr__buf_init(&r.buf);
    /* What stands between braces in a program is not ours. */
    const struct mr__program *program = mr__program_of(row->action);
    mr_status status =
        render_members(&r, &row->params, program == NULL ? NULL : program->param, 0, &rendered);
    mr__buf_finish(&r.buf);
    if (status == MR_OK) {
        *ret_params = rendered;
    }
    return status;
}
