/* SPDX-License-Identifier: MIT
 *
 * What is found out before a task begins: checks and conditions, the list of a fan-out, its params;
 * and after it failed: whether it is tried again. Pure: the Lua is the evaluator's. The thread of
 * whoever calls.
 */
#include <stdio.h>

#include "core/model/scope.h"

struct prepare {
    const struct mr__scope *scope;
    const struct mr__dag_task *task;
    uint32_t number; /* the task's */
    const struct mr__evaluator *evaluator;
    struct mr__arena *arena;
    struct mr__prepared *prepared;
    mr_error error;
};

/* Each step gives MR_OK to go on, and anything else once the verdict stands: MR_ENOMEM is passed
 * on, the rest is in `prepared`. */
enum { DECIDED = 1 };

static int decide_check(struct prepare *s, unsigned flags);
static int decide_conditions(struct prepare *s, unsigned flags);
static int decide_fan(struct prepare *s);
static int decide_params(struct prepare *s);

mr_status mr__evaluate(const struct mr__evaluator *evaluator, const struct mr__scope *scope,
                       uint32_t script, struct mr__arena *arena, mr_value *ret_value,
                       bool *ret_again, mr_error *reterr)
{
    *ret_again = false;
    if (evaluator == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "%s:%u: Lua cannot be evaluated here",
                             scope->dag->file, scope->dag->scripts[script].pos.line);
    }
    return evaluator->eval(evaluator->user, scope, script, arena, ret_value, ret_again, reterr);
}

mr_status mr__prepare(const struct mr__scope *scope, uint32_t task, unsigned flags,
                      const struct mr__evaluator *evaluator, struct mr__arena *arena,
                      struct mr__prepared *ret_prepared)
{
    const struct mr__dag_task *row = &scope->dag->tasks[task];
    struct prepare s = {.scope = scope,
                        .task = row,
                        .number = task,
                        .evaluator = evaluator,
                        .arena = arena,
                        .prepared = ret_prepared};
    memset(ret_prepared, 0, sizeof *ret_prepared);
    mr__buf_init(&ret_prepared->items);
    int step = MR_OK;
    if ((flags & MR__PREPARE_NO_CONDITIONS) == 0 && (row->flags & MR__TASK_CONDITIONS) != 0) {
        step = decide_check(&s, flags);
        if (step == MR_OK) {
            step = decide_conditions(&s, flags);
        }
    }
    if ((flags & MR__PREPARE_CONDITIONS) != 0) {
        return step == MR_ENOMEM ? MR_ENOMEM : MR_OK;
    }
    if (step == MR_OK && (row->flags & MR__TASK_FOR_EACH) != 0 &&
        (flags & MR__PREPARE_CHILD) == 0) {
        step = decide_fan(&s);
    } else if (step == MR_OK && (row->flags & MR__TASK_TEMPLATES) != 0) {
        step = decide_params(&s);
    }
    return step == MR_ENOMEM ? MR_ENOMEM : MR_OK;
}

MR__PRINTF(3, 4)
static int decide(struct prepare *s, enum mr__verdict verdict, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(s->prepared->reason, sizeof s->prepared->reason, fmt, args);
    va_end(args);
    s->prepared->verdict = verdict;
    return DECIDED;
}

/* What became of a call of the evaluator that is not MR_OK. */
static int decide_failed(struct prepare *s, mr_status status, bool again)
{
    if (status == MR_ENOMEM) {
        return MR_ENOMEM;
    }
    return decide(s, again ? MR__VERDICT_AGAIN : MR__VERDICT_FAIL, "%s",
                  again ? "" : s->error.message);
}

/* ---- preCheck ------------------------------------------------------------------------------ */

/* The value that a condition is about; false: there is none. */
static bool find_value(struct prepare *s, const struct mr__condition *condition,
                       mr_value *ret_value, mr_status *ret_status)
{
    struct mr__blob json;
    *ret_status = MR_OK;
    if (condition->source == MR__SOURCE_VARS) {
        const mr_value *vars = s->scope->vars;
        for (uint32_t i = 0; vars->type == MR_MAP && i < vars->len; i++) {
            if (strcmp(vars->u.map[i].key, condition->key) == 0) {
                *ret_value = vars->u.map[i].value;
                return true;
            }
        }
        return false;
    }
    if (!s->scope->share(s->scope, condition->key, strlen(condition->key), &json)) {
        return false;
    }
    *ret_status = mr__value_parse(s->arena, json.data, json.len, ret_value, &s->error);
    return *ret_status == MR_OK;
}

static bool is_number(const mr_value *value)
{
    return value->type == MR_INT || value->type == MR_NUMBER;
}

/* A value as text, as it would stand in longer text. */
static mr_status to_text(struct prepare *s, const mr_value *value, mr_value *ret_text)
{
    if (value->type == MR_STRING) {
        *ret_text = *value;
        return MR_OK;
    }
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_text(&buf, value);
    const char *text = buf.failed ? NULL : mr__arena_dup(s->arena, (const char *)buf.data, buf.len);
    *ret_text = mr__value_str(text == NULL ? "" : text, buf.len);
    mr__buf_finish(&buf);
    return text == NULL ? MR_ENOMEM : MR_OK;
}

/* A number, or text that is one. */
static bool to_number(struct prepare *s, const mr_value *value, mr_value *ret_number)
{
    *ret_number = *value;
    return is_number(value) ||
           (value->type == MR_STRING &&
            (mr__value_from_text(s->arena, value->u.s, value->len, MR_INT, ret_number) ||
             mr__value_from_text(s->arena, value->u.s, value->len, MR_NUMBER, ret_number)));
}

static int compare_numbers(const mr_value *a, const mr_value *b)
{
    if (a->type == MR_INT && b->type == MR_INT) {
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    }
    double x = a->type == MR_INT ? (double)a->u.i : a->u.d;
    double y = b->type == MR_INT ? (double)b->u.i : b->u.d;
    return (x > y) - (x < y);
}

/* Below, above or at 0 as `a` is to `b`: as numbers where both are (with `text_too`: or are text of
 * one), else as text, byte for byte. */
static mr_status compare(struct prepare *s, const mr_value *a, const mr_value *b, bool text_too,
                         int *ret_order)
{
    mr_value x, y;
    if ((text_too || (is_number(a) && is_number(b))) && to_number(s, a, &x) &&
        to_number(s, b, &y)) {
        *ret_order = compare_numbers(&x, &y);
        return MR_OK;
    }
    if (to_text(s, a, &x) != MR_OK || to_text(s, b, &y) != MR_OK) {
        return MR_ENOMEM;
    }
    int order = memcmp(x.u.s, y.u.s, MR__MIN(x.len, y.len));
    *ret_order = order != 0 ? order : (x.len > y.len) - (x.len < y.len);
    return MR_OK;
}

static mr_status is_among(struct prepare *s, const mr_value *value, const mr_value *list,
                          bool *ret_found)
{
    *ret_found = false;
    for (uint32_t i = 0; i < list->len && !*ret_found; i++) {
        int order;
        if (compare(s, value, &list->u.list[i], false, &order) != MR_OK) {
            return MR_ENOMEM;
        }
        *ret_found = order == 0;
    }
    return MR_OK;
}

static mr_status matches(struct prepare *s, const mr_value *value, const mr_value *pattern,
                         bool *ret_matches)
{
    mr_value text;
    if (to_text(s, value, &text) != MR_OK) {
        return MR_ENOMEM;
    }
    if (s->evaluator == NULL) {
        return mr__error_set(&s->error, MR_EINVAL, "patterns cannot be matched here");
    }
    return s->evaluator->matches(s->evaluator->user, text.u.s, text.len, pattern->u.s, pattern->len,
                                 ret_matches, &s->error);
}

static mr_status holds(struct prepare *s, const struct mr__condition *condition, bool *ret_holds)
{
    mr_value value;
    mr_status status;
    const mr_value *values = &condition->values;
    bool found = find_value(s, condition, &value, &status);
    *ret_holds = false;
    if (status != MR_OK) {
        return status;
    }
    if (condition->op == MR__OP_EXISTS) {
        bool wanted = values->len == 0 || values->u.list[0].u.i != 0;
        *ret_holds = found == wanted;
        return MR_OK;
    }
    if (!found) {
        return MR_OK;
    }
    if (condition->op == MR__OP_MATCHES) {
        return matches(s, &value, &values->u.list[0], ret_holds);
    }
    if (condition->op == MR__OP_LT || condition->op == MR__OP_GT) {
        int order;
        status = compare(s, &value, &values->u.list[0], true, &order);
        *ret_holds = status == MR_OK && (condition->op == MR__OP_LT ? order < 0 : order > 0);
        return status;
    }
    bool wanted = condition->op == MR__OP_IN || condition->op == MR__OP_EQ;
    status = is_among(s, &value, values, &found);
    *ret_holds = status == MR_OK && found == wanted;
    return status;
}

static int decide_check(struct prepare *s, unsigned flags)
{
    for (uint32_t i = 0; i < s->task->check_count; i++) {
        const struct mr__check *check = &s->task->checks[i];
        bool acts = !(check->block && (flags & MR__PREPARE_CONTINUED) != 0);
        for (uint32_t j = 0; acts && j < check->count; j++) {
            mr_status status = holds(s, &check->conditions[j], &acts);
            if (status != MR_OK) {
                return decide_failed(s, status, false);
            }
        }
        if (acts) {
            return decide(s, check->block ? MR__VERDICT_BLOCK : MR__VERDICT_SKIP,
                          "%s by preCheck \"%s\"", check->block ? "blocked" : "skipped",
                          check->name);
        }
    }
    return MR_OK;
}

/* ---- conditions in Lua ---------------------------------------------------------------------- */

static bool is_true(const mr_value *value)
{
    return value->type != MR_NULL && !(value->type == MR_BOOL && value->u.i == 0);
}

static int decide_conditions(struct prepare *s, unsigned flags)
{
    const struct {
        uint32_t script;
        bool acts_if;
        enum mr__verdict verdict;
        const char *reason;
    } conditions[] = {
        {s->task->run_if, false, MR__VERDICT_SKIP, "skipped by runIf"},
        {s->task->skip_if, true, MR__VERDICT_SKIP, "skipped by skipIf"},
        {s->task->block_if, true, MR__VERDICT_BLOCK, "blocked by blockIf"},
    };
    for (size_t i = 0; i < MR__COUNT(conditions); i++) {
        bool passed =
            conditions[i].verdict == MR__VERDICT_BLOCK && (flags & MR__PREPARE_CONTINUED) != 0;
        if (conditions[i].script == MR__NO_SCRIPT || passed) {
            continue;
        }
        mr_value value;
        bool again;
        mr_status status = mr__evaluate(s->evaluator, s->scope, conditions[i].script, s->arena,
                                        &value, &again, &s->error);
        if (status != MR_OK) {
            return decide_failed(s, status, again);
        }
        if (is_true(&value) == conditions[i].acts_if) {
            return decide(s, conditions[i].verdict, "%s", conditions[i].reason);
        }
    }
    return MR_OK;
}

/* ---- forEach ------------------------------------------------------------------------------- */

static const char *with_article(uint32_t type)
{
    switch (type) {
    case MR_NULL: return "nothing";
    case MR_BOOL: return "a bool";
    case MR_INT: return "an int";
    case MR_NUMBER: return "a number";
    case MR_STRING: return "a string";
    case MR_LIST: return "a list";
    default: return "a map";
    }
}

/* The key of one item, which is in `scope`; in the arena. */
static int find_key(struct prepare *s, const struct mr__scope *scope, uint32_t index,
                    mr_value *ret_key)
{
    mr_value value = mr__value_int(index);
    if (s->task->key != MR__NO_SCRIPT) {
        bool again;
        mr_status status =
            mr__evaluate(s->evaluator, scope, s->task->key, s->arena, &value, &again, &s->error);
        if (status != MR_OK) {
            return decide_failed(s, status, again);
        }
    }
    if (value.type != MR_STRING && value.type != MR_BOOL && !is_number(&value)) {
        return decide(s, MR__VERDICT_FAIL, "the key of item %u is %s, not text", index,
                      with_article(value.type));
    }
    if (to_text(s, &value, ret_key) != MR_OK) {
        return MR_ENOMEM;
    }
    if (!mr__id_valid(ret_key->u.s, ret_key->len)) {
        return decide(s, MR__VERDICT_FAIL,
                      "the key \"%.*s\" of item %u is not allowed: 1 to %u bytes without [ ] / , "
                      "blanks or control characters",
                      (int)MR__MIN(ret_key->len, MR__ID_BYTES_MAX), ret_key->u.s, index,
                      MR__ID_BYTES_MAX);
    }
    return MR_OK;
}

static int add_item(struct prepare *s, struct mr__scope *scope, struct mr__hash *seen,
                    struct mr__buf *json, const mr_value *item)
{
    mr_value key = {.type = MR_NULL};
    uint64_t first;
    uint32_t index = s->prepared->item_count;
    mr__buf_reset(json);
    mr__value_print(json, item);
    if (json->failed) {
        return MR_ENOMEM;
    }
    scope->item = (struct mr__blob){(const char *)json->data, json->len};
    int step = find_key(s, scope, index, &key);
    if (step != MR_OK) {
        return step;
    }
    if (mr__hash_get(seen, key.u.s, key.len, &first)) {
        return decide(s, MR__VERDICT_FAIL, "the key \"%s\" is of two items, %u and %u", key.u.s,
                      (unsigned)first, index);
    }
    if (mr__hash_put(seen, key.u.s, key.len, index) != MR_OK) {
        return MR_ENOMEM;
    }
    mr__buf_blob(&s->prepared->items, key.u.s, key.len);
    mr__buf_blob(&s->prepared->items, json->data, json->len);
    s->prepared->item_count++;
    if (s->prepared->items.len > MR__FAN_BYTES_MAX) {
        return decide(s, MR__VERDICT_FAIL, "forEach gave more than %u MiB",
                      MR__FAN_BYTES_MAX >> 20);
    }
    return s->prepared->items.failed ? MR_ENOMEM : MR_OK;
}

static int add_items(struct prepare *s, const mr_value *list)
{
    struct mr__scope scope = *s->scope;
    struct mr__hash seen;
    struct mr__buf json;
    int step = MR_OK;
    scope.item_name = s->task->as;
    mr__hash_init(&seen);
    mr__buf_init(&json);
    for (uint32_t i = 0; i < list->len && step == MR_OK; i++) {
        step = add_item(s, &scope, &seen, &json, &list->u.list[i]);
    }
    mr__buf_finish(&json);
    mr__hash_finish(&seen);
    if (step != MR_OK) { /* half a list is none */
        mr__buf_reset(&s->prepared->items);
        s->prepared->item_count = 0;
    }
    return step;
}

static int decide_fan(struct prepare *s)
{
    mr_value list;
    bool again;
    mr_status status =
        mr__evaluate(s->evaluator, s->scope, s->task->for_each, s->arena, &list, &again, &s->error);
    if (status != MR_OK) {
        return decide_failed(s, status, again);
    }
    bool is_empty_map = list.type == MR_MAP && list.len == 0;
    if (list.type != MR_LIST && !is_empty_map) {
        return decide(s, MR__VERDICT_FAIL, "forEach gave %s, not a list", with_article(list.type));
    }
    if (list.len > MR__FAN_ITEMS_MAX) {
        return decide(s, MR__VERDICT_FAIL, "forEach gave %u items; at most %u are allowed",
                      list.len, MR__FAN_ITEMS_MAX);
    }
    int step = add_items(s, &list);
    if (step == MR_OK) {
        s->prepared->verdict = MR__VERDICT_FAN;
    }
    return step;
}

/* ---- params and retry.if ------------------------------------------------------------------- */

static int decide_params(struct prepare *s)
{
    bool again;
    mr_status status = mr__render(s->scope, s->number, s->evaluator, s->arena, &s->prepared->params,
                                  &again, &s->error);
    return status == MR_OK ? MR_OK : decide_failed(s, status, again);
}

mr_status mr__judge(const struct mr__scope *scope, uint32_t task,
                    const struct mr__evaluator *evaluator, struct mr__arena *arena, bool *ret_retry,
                    bool *ret_again, mr_error *reterr)
{
    uint32_t filter = scope->dag->tasks[task].retry.filter;
    mr_value value;
    *ret_again = false;
    if (filter == MR__NO_SCRIPT) {
        *ret_retry = true;
        return MR_OK;
    }
    mr_status status = mr__evaluate(evaluator, scope, filter, arena, &value, ret_again, reterr);
    if (status == MR_OK) {
        *ret_retry = is_true(&value);
    }
    return status;
}
