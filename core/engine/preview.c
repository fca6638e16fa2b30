/* SPDX-License-Identifier: MIT
 *
 * A dag before anything runs. Tasks are gone through parents first. The conditions of each are
 * evaluated by the scheduler's own prepare step, in a scope that has the variables alone: where one
 * looks at the share data, a task or the run, what it gave says nothing and the task is undecided.
 */
#include "core/engine/preview.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/exec/evaluator.h"
#include "core/model/lua_names.h"
#include "core/model/scope.h"

/* What becomes of a task. */
enum fate {
    FATE_RUN = 0,   /* unless something before it fails */
    FATE_SKIP,      /* by its conditions, or its `when` */
    FATE_BLOCK,     /* stands until `continue` */
    FATE_FAIL,      /* what is evaluated before it begins fails */
    FATE_WAIT,      /* behind one that blocks */
    FATE_NEVER,     /* behind one that fails */
    FATE_UNDECIDED, /* only the run can tell */
};
static const char *const fate_names[] = {"run",  "skip",  "block",    "fail",
                                         "wait", "never", "undecided"};

struct preview {
    const struct mr__dag *dag;
    const mr_value *vars; /* NULL: the graph alone */
    struct mr__buf *out;
    uint32_t *layers;       /* by task: the longest way to it */
    uint32_t *order;        /* tasks, parents first */
    uint8_t *fates;         /* by task: enum fate */
    bool *failing;          /* by task: it, or a task above it, is known to fail */
    struct mr__arena arena; /* of one task's evaluation */
    struct mr__lua *lua;
    struct mr__lua_evaluator evaluator;
    struct mr__lua_names names;
    bool touched; /* the evaluation looked at what only a run has */
    bool no_memory;
};

static void find_layers(struct preview *p, uint32_t *counts);
static mr_status foresee(struct preview *p, uint32_t number, char *reason, int64_t *ret_items);
static void write_task(struct preview *p, uint32_t number, const char *reason, int64_t items);

mr_status mr__preview(const struct mr__dag *dag, const mr_value *vars, struct mr__buf *out)
{
    struct preview p = {.dag = dag, .vars = vars, .out = out};
    uint32_t count = dag->task_count;
    uint32_t *counts = mr__calloc(count + 1u, sizeof *counts);
    p.layers = mr__calloc(count, sizeof *p.layers);
    p.order = mr__calloc(count, sizeof *p.order);
    p.fates = mr__calloc(count, sizeof *p.fates);
    p.failing = mr__calloc(count, sizeof *p.failing);
    mr__arena_init(&p.arena);
    mr__lua_names_init(&p.names);
    mr__lua_evaluator_init_worker(&p.evaluator, &p.lua);
    mr_status status = MR_ENOMEM;
    if (counts != NULL && p.layers != NULL && p.order != NULL && p.fates != NULL &&
        p.failing != NULL) {
        status = MR_OK;
        find_layers(&p, counts);
        mr__buf_text(out, "\"tasks\":[");
    }
    for (uint32_t i = 0; i < count && status == MR_OK; i++) {
        char reason[MR_ERROR_MESSAGE_BYTES] = "";
        int64_t items = -1;
        status = vars == NULL ? MR_OK : foresee(&p, p.order[i], reason, &items);
        mr__buf_text(out, i == 0 ? "{\"id\":" : ",{\"id\":");
        write_task(&p, p.order[i], reason, items);
    }
    mr__buf_text(out, "]");
    mr__lua_evaluator_finish(&p.evaluator);
    mr__lua_destroy(p.lua);
    mr__lua_names_finish(&p.names);
    mr__arena_finish(&p.arena);
    mr__free(counts);
    mr__free(p.layers);
    mr__free(p.order);
    mr__free(p.fates);
    mr__free(p.failing);
    return status == MR_OK && out->failed ? MR_ENOMEM : status;
}

/* ---- the order ----------------------------------------------------------------------------- */

/* Fills `layers`, and `order` with the tasks sorted by layer and number. `counts`: zeroes, one more
 * than tasks. */
static void find_layers(struct preview *p, uint32_t *counts)
{
    const struct mr__dag *dag = p->dag;
    uint32_t ready = 0;
    for (uint32_t i = 0; i < dag->task_count; i++) { /* the order is a queue meanwhile */
        counts[i] = dag->tasks[i].parent_count;
        if (counts[i] == 0) {
            p->order[ready++] = i;
        }
    }
    for (uint32_t at = 0; at < ready; at++) {
        const struct mr__dag_task *task = &dag->tasks[p->order[at]];
        for (uint32_t i = 0; i < task->child_count; i++) {
            uint32_t child = dag->children[task->first_child + i];
            p->layers[child] = MR__MAX(p->layers[child], p->layers[p->order[at]] + 1);
            if (--counts[child] == 0) {
                p->order[ready++] = child;
            }
        }
    }
    /* A counting sort: no layer is as large as the number of tasks. */
    memset(counts, 0, (dag->task_count + 1u) * sizeof *counts);
    for (uint32_t i = 0; i < dag->task_count; i++) {
        counts[p->layers[i] + 1]++;
    }
    for (uint32_t i = 1; i <= dag->task_count; i++) {
        counts[i] += counts[i - 1];
    }
    for (uint32_t i = 0; i < dag->task_count; i++) {
        p->order[counts[p->layers[i]]++] = i;
    }
}

/* ---- the scope ----------------------------------------------------------------------------- */

static bool touch_task(const struct mr__scope *scope, uint32_t task,
                       struct mr__scope_task *ret_task)
{
    ((struct preview *)scope->user)->touched = true;
    return false;
}

static bool touch_share(const struct mr__scope *scope, const char *key, size_t len,
                        struct mr__blob *ret_json)
{
    ((struct preview *)scope->user)->touched = true;
    return false;
}

static bool touch_share_next(const struct mr__scope *scope, struct mr__blob after,
                             struct mr__blob *ret_key)
{
    ((struct preview *)scope->user)->touched = true;
    return false;
}

/* `run` is a table of plain values, which nobody sees being read: its name counts. */
static bool names_run(struct preview *p, const struct mr__script *script)
{
    bool found = false;
    if (mr__lua_names_read(&p->names, script->text, script->len) != MR_OK) {
        p->no_memory = true;
    }
    for (size_t i = 0; i < p->names.count && !p->no_memory; i++) {
        const struct mr__lua_name *name = &p->names.list[i];
        found = found || (name->kind == MR__LUA_TASKS) ||
                (name->kind == MR__LUA_FREE && name->len == 3 && memcmp(name->text, "run", 3) == 0);
    }
    return found;
}

static mr_status eval(void *user, const struct mr__scope *scope, uint32_t script,
                      struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                      mr_error *reterr)
{
    struct preview *p = user;
    p->touched = p->touched || names_run(p, &scope->dag->scripts[script]);
    const struct mr__evaluator *lua = &p->evaluator.port;
    return lua->eval(lua->user, scope, script, arena, ret_value, ret_again, reterr);
}

static mr_status matches(void *user, const char *text, size_t len, const char *pattern,
                         size_t pattern_len, bool *ret_matches, mr_error *reterr)
{
    const struct mr__evaluator *lua = &((struct preview *)user)->evaluator.port;
    return lua->matches(lua->user, text, len, pattern, pattern_len, ret_matches, reterr);
}

static mr_status prepare(struct preview *p, uint32_t number, unsigned flags,
                         struct mr__prepared *ret_prepared)
{
    struct mr__evaluator evaluator = {.user = p, .eval = eval, .matches = matches};
    struct mr__scope scope = {
        .dag = p->dag,
        .vars = p->vars,
        .run =
            {.id = "", .dag = p->dag->id, .status = "", .reason = "", .folder = "", .trigger = ""},
        .user = p,
        .task = touch_task,
        .share = touch_share,
        .share_next = touch_share_next,
    };
    mr__arena_reset(&p->arena);
    p->touched = false;
    mr_status status = mr__prepare(&scope, number, flags, &evaluator, &p->arena, ret_prepared);
    mr__buf_finish(&ret_prepared->items);
    return status == MR_OK && p->no_memory ? MR_ENOMEM : status;
}

/* ---- what becomes of a task ---------------------------------------------------------------- */

/* What its parents leave of a task: FATE_RUN where they let it begin. */
static enum fate look_above(struct preview *p, uint32_t number, char *reason)
{
    const struct mr__dag_task *task = &p->dag->tasks[number];
    const char *blocking = NULL;
    const char *failing = NULL;
    for (uint32_t i = 0; i < task->parent_count; i++) {
        uint32_t parent = p->dag->parents[task->first_parent + i];
        uint8_t fate = p->fates[parent];
        p->failing[number] = p->failing[number] || p->failing[parent];
        if (fate == FATE_BLOCK || fate == FATE_WAIT) {
            blocking = blocking != NULL ? blocking : p->dag->tasks[parent].id;
        } else if (fate == FATE_FAIL || fate == FATE_NEVER) {
            failing = failing != NULL ? failing : p->dag->tasks[parent].id;
        }
    }
    if (failing != NULL && task->when == MR__WHEN_SUCCESS) {
        (void)snprintf(reason, MR_ERROR_MESSAGE_BYTES, "behind \"%s\"",
                       failing); /* ids are short */
        return FATE_NEVER;
    }
    if (blocking != NULL) {
        (void)snprintf(reason, MR_ERROR_MESSAGE_BYTES, "behind \"%s\"", blocking); /* likewise */
        return FATE_WAIT;
    }
    if (task->when == MR__WHEN_FAILED && !p->failing[number]) {
        (void)snprintf(reason, MR_ERROR_MESSAGE_BYTES, "only if a task above it fails");
        return FATE_UNDECIDED;
    }
    return FATE_RUN;
}

static mr_status foresee(struct preview *p, uint32_t number, char *reason, int64_t *ret_items)
{
    static const uint8_t fates[] = {
        [MR__VERDICT_GO] = FATE_RUN,      [MR__VERDICT_SKIP] = FATE_SKIP,
        [MR__VERDICT_BLOCK] = FATE_BLOCK, [MR__VERDICT_FAIL] = FATE_FAIL,
        [MR__VERDICT_FAN] = FATE_RUN,     [MR__VERDICT_AGAIN] = FATE_UNDECIDED};
    const struct mr__dag_task *task = &p->dag->tasks[number];
    struct mr__prepared prepared = {.verdict = MR__VERDICT_GO};
    mr_status status = MR_OK;
    enum fate fate = look_above(p, number, reason);
    if (fate == FATE_RUN && (task->flags & MR__TASK_CONDITIONS) != 0) {
        status = prepare(p, number, MR__PREPARE_CONDITIONS, &prepared);
        fate = p->touched ? FATE_UNDECIDED : (enum fate)fates[prepared.verdict];
        (void)snprintf(reason, MR_ERROR_MESSAGE_BYTES, "%s",
                       p->touched ? "its conditions look at the run" : prepared.reason);
    }
    if (status == MR_OK && fate == FATE_RUN &&
        (task->flags & (MR__TASK_FOR_EACH | MR__TASK_TEMPLATES)) != 0) {
        status = prepare(p, number, MR__PREPARE_NO_CONDITIONS, &prepared);
        if (!p->touched) { /* else its list or its params come from the run */
            fate = (enum fate)fates[prepared.verdict];
            *ret_items = prepared.verdict == MR__VERDICT_FAN ? (int64_t)prepared.item_count : -1;
            (void)snprintf(reason, MR_ERROR_MESSAGE_BYTES, "%s", prepared.reason);
        }
    }
    p->fates[number] = (uint8_t)fate;
    p->failing[number] = p->failing[number] || fate == FATE_FAIL;
    return status;
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static void write_text(struct mr__buf *out, const char *text)
{
    if (text == NULL) {
        mr__buf_text(out, "null");
    } else {
        mr__json_str(out, text, strlen(text));
    }
}

/* From behind "id": to the closing brace. */
static void write_task(struct preview *p, uint32_t number, const char *reason, int64_t items)
{
    static const char *const whens[] = {"success", "always", "failed"};
    const struct mr__dag_task *task = &p->dag->tasks[number];
    const struct {
        const char *name;
        bool there;
    } conditions[] = {{"preCheck", task->check_count > 0},
                      {"runIf", task->run_if != MR__NO_SCRIPT},
                      {"skipIf", task->skip_if != MR__NO_SCRIPT},
                      {"blockIf", task->block_if != MR__NO_SCRIPT}};
    bool first = true;
    write_text(p->out, task->id);
    mr__buf_text(p->out, ",\"action\":");
    write_text(p->out, task->action);
    mr__buf_printf(p->out, ",\"layer\":%u,\"dependOn\":[", p->layers[number]);
    for (uint32_t i = 0; i < task->parent_count; i++) {
        mr__buf_text(p->out, i == 0 ? "" : ",");
        write_text(p->out, p->dag->tasks[p->dag->parents[task->first_parent + i]].id);
    }
    mr__buf_printf(p->out, "],\"when\":\"%s\",\"forEach\":%s,\"conditions\":[", whens[task->when],
                   (task->flags & MR__TASK_FOR_EACH) != 0 ? "true" : "false");
    for (size_t i = 0; i < MR__COUNT(conditions); i++) {
        if (conditions[i].there) {
            mr__buf_printf(p->out, "%s\"%s\"", first ? "" : ",", conditions[i].name);
            first = false;
        }
    }
    mr__buf_text(p->out, "]");
    if (p->vars != NULL) {
        mr__buf_printf(p->out, ",\"plan\":\"%s\",\"reason\":", fate_names[p->fates[number]]);
        write_text(p->out, reason);
        if (items >= 0) {
            mr__buf_printf(p->out, ",\"items\":%lld", (long long)items);
        } else {
            mr__buf_text(p->out, ",\"items\":null");
        }
    }
    mr__buf_text(p->out, "}");
}
