/* SPDX-License-Identifier: MIT
 *
 * What is evaluated: the conditions, fan-outs and params of tasks that are about to begin, the
 * filters of retry policies, hooks. On the loop with a small budget; what is over it goes once more
 * to a worker, with the full one and with copies of what it may look at. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/engine/run_scope.h"

/* ---- far: on a worker -------------------------------------------------------------------------
 */

static bool same_task(const struct mr__evaluation *evaluation, const struct mr__run *run,
                      uint32_t task)
{
    return evaluation->task == task && memcmp(evaluation->run_id, run->id, MR__RUN_ID_BYTES) == 0;
}

static bool far_add(struct mr__shard *sh, struct mr__evaluation *evaluation)
{
    if (sh->far_count == sh->far_cap) {
        size_t cap = sh->far_cap == 0 ? 8 : sh->far_cap * 2;
        struct mr__far *far = mr__realloc(sh->far, cap * sizeof *far);
        if (far == NULL) {
            return false;
        }
        sh->far = far;
        sh->far_cap = cap;
    }
    sh->far[sh->far_count++] = (struct mr__far){.evaluation = evaluation};
    return true;
}

/* Gives the evaluation to the executor; the answer is mr__scripts_evaluated's. */
static mr_status go_far(struct mr__shard *sh, struct mr__run *run, struct mr__run_scope *rs,
                        uint32_t task, bool judge, unsigned flags)
{
    const uint32_t *uses;
    size_t use_count;
    bool all;
    for (size_t i = 0; i < sh->far_count; i++) {
        sh->far[i].stale |= same_task(sh->far[i].evaluation, run, task);
    }
    mr_status status = mr__scope_uses(run->plan->dag, mr__run_row(run, task), &sh->scratch, &uses,
                                      &use_count, &all);
    struct mr__evaluation *evaluation = status == MR_OK ? mr__calloc(1, sizeof *evaluation) : NULL;
    if (evaluation == NULL) {
        return MR_ENOMEM;
    }
    memcpy(evaluation->run_id, run->id, MR__RUN_ID_BYTES);
    evaluation->task = task;
    evaluation->row = mr__run_row(run, task);
    evaluation->attempt = run->tasks[task].attempt;
    evaluation->row = mr__run_row(run, task);
    evaluation->judge = judge;
    evaluation->flags = flags;
    mr__arena_init(&evaluation->arena);
    evaluation->scope = mr__scope_copy_create(&rs->scope, uses, use_count,
                                              MR__COPY_SHARE | (all ? MR__COPY_ALL_TASKS : 0));
    status = evaluation->scope == NULL || !far_add(sh, evaluation)
                 ? MR_ENOMEM
                 : sh->opt.executor->ops->evaluate(sh->opt.executor, evaluation);
    if (status != MR_OK) {
        sh->far_count -= sh->far_count > 0 && sh->far[sh->far_count - 1].evaluation == evaluation;
        mr__evaluation_destroy(evaluation);
    }
    return status;
}

static bool scope_begin(struct mr__shard *sh, struct mr__run *run, struct mr__run_scope *rs)
{
    struct mr__context *context = mr__shard_context(sh, run);
    mr__arena_reset(&sh->scratch);
    if (context == NULL) {
        sh->s.failed = true;
        return false;
    }
    mr__run_scope_init(rs, run, &context->vars, context->folder, context->trigger,
                       context->scheduled_ms);
    return true;
}

/* ---- prepare ----------------------------------------------------------------------------------
 */

static void answer_prepared(struct mr__shard *sh, struct mr__run *run, uint32_t task,
                            const struct mr__prepared *prepared)
{
    struct mr__buf params;
    struct mr__ready_to_go answer = {
        .verdict = prepared->verdict,
        .reason = {prepared->reason, strlen(prepared->reason)},
        .items = {(const char *)prepared->items.data, prepared->items.len},
        .item_count = prepared->item_count,
    };
    mr__buf_init(&params);
    if (prepared->verdict == MR__VERDICT_GO && prepared->params.type != MR_NULL) {
        mr__value_print(&params, &prepared->params);
        answer.params = (struct mr__blob){(const char *)params.data, params.len};
        sh->s.failed |= params.failed;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    if (!sh->s.failed) {
        mr__decide_prepared(&sh->s, run, task, &answer);
    }
    mr__buf_finish(&params);
}

void mr__scripts_prepare(struct mr__shard *sh, struct mr__run *run, uint32_t task, unsigned flags)
{
    struct mr__run_scope rs;
    struct mr__prepared prepared = {0};
    if ((run->tasks[task].flags & MR__TASKFLAG_PREPARING) == 0 || !scope_begin(sh, run, &rs)) {
        return; /* canceled meanwhile */
    }
    mr__run_scope_item(&rs, task);
    mr_status status = mr__prepare(&rs.scope, mr__run_row(run, task), flags, sh->opt.evaluator,
                                   &sh->scratch, &prepared);
    bool again = status == MR_OK && prepared.verdict == MR__VERDICT_AGAIN;
    if (again) {
        status = go_far(sh, run, &rs, task, false, flags);
    }
    if (status == MR_ELIMIT) {
        prepared.verdict = MR__VERDICT_FAIL;
        (void)snprintf(prepared.reason, sizeof prepared.reason,
                       "too many scripts are being evaluated at once");
        again = false;
    } else if (status != MR_OK) {
        sh->s.failed = true;
    }
    mr__run_scope_finish(&rs);
    if (!again && !sh->s.failed) {
        answer_prepared(sh, run, task, &prepared);
    }
    mr__buf_finish(&prepared.items);
}

/* ---- judge ------------------------------------------------------------------------------------
 */

static void answer_judged(struct mr__shard *sh, struct mr__run *run, uint32_t task,
                          mr_status status, bool retry, const mr_error *error)
{
    struct mr__blob reason = {NULL, 0};
    if (status != MR_OK) {
        reason = (struct mr__blob){error->message, strlen(error->message)};
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__decide_judged(&sh->s, run, task, status == MR_OK && retry, reason);
}

void mr__scripts_judge(struct mr__shard *sh, struct mr__run *run, uint32_t task)
{
    struct mr__run_scope rs;
    mr_error error = {0};
    bool retry = false, again = false;
    if ((run->tasks[task].flags & MR__TASKFLAG_JUDGING) == 0 || !scope_begin(sh, run, &rs)) {
        return;
    }
    mr__run_scope_item(&rs, task);
    mr__run_scope_error(&rs, task);
    mr_status status = mr__judge(&rs.scope, mr__run_row(run, task), sh->opt.evaluator, &sh->scratch,
                                 &retry, &again, &error);
    if (again) {
        status = go_far(sh, run, &rs, task, true, 0);
        again = status == MR_OK;
        if (status != MR_OK) {
            (void)mr__error_set(&error, status, "retry.if: %s", mr_status_text(status));
        }
    }
    mr__run_scope_finish(&rs);
    if (!again) {
        answer_judged(sh, run, task, status, retry, &error);
    }
}

/* ---- answers from far -------------------------------------------------------------------------
 */

/* Takes it out of the list; false: nobody waits for it. */
static bool far_take(struct mr__shard *sh, const struct mr__evaluation *evaluation)
{
    for (size_t i = 0; i < sh->far_count; i++) {
        if (sh->far[i].evaluation == evaluation) {
            bool stale = sh->far[i].stale;
            sh->far[i] = sh->far[--sh->far_count];
            return !stale;
        }
    }
    return false;
}

void mr__scripts_evaluated(void *user, struct mr__evaluation *evaluation)
{
    struct mr__shard *sh = user;
    bool wanted = far_take(sh, evaluation) && !sh->waiting && !sh->broken && !sh->s.failed;
    struct mr__run *run = wanted ? mr__run_find(&sh->s, evaluation->run_id) : NULL;
    uint32_t task = evaluation->task;
    if (run != NULL && task < run->task_count && run->tasks[task].attempt == evaluation->attempt) {
        if (evaluation->judge) {
            answer_judged(sh, run, task, evaluation->status, evaluation->retry, &evaluation->error);
        } else if (evaluation->status == MR_ENOMEM) {
            sh->s.failed = true;
        } else if ((run->tasks[task].flags & MR__TASKFLAG_PREPARING) != 0) {
            answer_prepared(sh, run, task, &evaluation->prepared);
        }
    }
    mr__evaluation_destroy(evaluation);
}

/* ---- hooks ------------------------------------------------------------------------------------
 */

static bool hooking_add(struct mr__shard *sh, const struct mr__run *run, uint32_t mask)
{
    for (size_t i = 0; i < sh->hooking_count; i++) {
        if (memcmp(sh->hooking[i].run_id, run->id, MR__RUN_ID_BYTES) == 0) {
            return false; /* being called: memory was read anew meanwhile */
        }
    }
    if (sh->hooking_count == sh->hooking_cap) {
        size_t cap = sh->hooking_cap == 0 ? 8 : sh->hooking_cap * 2;
        struct mr__hooking *hooking = mr__realloc(sh->hooking, cap * sizeof *hooking);
        if (hooking == NULL) {
            sh->s.failed = true;
            return false;
        }
        sh->hooking = hooking;
        sh->hooking_cap = cap;
    }
    struct mr__hooking *hooking = &sh->hooking[sh->hooking_count++];
    memcpy(hooking->run_id, run->id, MR__RUN_ID_BYTES);
    hooking->mask = mask;
    return true;
}

void mr__scripts_hook(struct mr__shard *sh, struct mr__run *run, uint32_t mask)
{
    struct mr__run_scope rs;
    uint32_t scripted = mask & run->plan->dag->hook_mask;
    if (run->hooks_due != mask || !hooking_add(sh, run, mask)) {
        return;
    }
    if (!scope_begin(sh, run, &rs)) {
        return;
    }
    if ((mask & sh->opt.hooks) != 0) {
        sh->opt.events.hooked(sh->opt.events.user, &rs.scope.run, mask & sh->opt.hooks);
    }
    if (scripted == 0) {
        mr__run_scope_finish(&rs);
        mr__scripts_hooked(sh, run->id, mask);
        return;
    }
    struct mr__hook_call call = {.mask = scripted, .share = mr__shard_context(sh, run)->share};
    memcpy(call.run_id, run->id, MR__RUN_ID_BYTES);
    call.scope = mr__scope_copy_create(&rs.scope, NULL, 0, MR__COPY_ALL_TASKS);
    mr__run_scope_finish(&rs);
    if (call.scope == NULL) {
        sh->s.failed = true;
        return;
    }
    sh->opt.executor->ops->hook(sh->opt.executor, &call);
}

void mr__scripts_hooked(void *user, const uint8_t *run_id, uint32_t mask)
{
    struct mr__shard *sh = user;
    uint32_t due = 0;
    for (size_t i = 0; i < sh->hooking_count && due == 0; i++) {
        if (memcmp(sh->hooking[i].run_id, run_id, MR__RUN_ID_BYTES) == 0) {
            due = sh->hooking[i].mask;
            sh->hooking[i] = sh->hooking[--sh->hooking_count];
        }
    }
    struct mr__run *run = mr__run_find(&sh->s, run_id);
    if (due == 0 || run == NULL || sh->waiting || sh->broken || sh->s.failed) {
        return; /* resume asks for them again */
    }
    mr__logbook_ended(sh, run, MR__HOOK_TASK);
    if (run->hooks_due != 0 && run->hooks_due != due) {
        /* A cancel came in between; those of the run's end have waited for these to be over. */
        mr__effect_push(&sh->s, &sh->s.durable, MR__EFFECT_HOOK, run->slot, 0, run->hooks_due);
        return;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__decide_hooked(&sh->s, run, due);
}

/* ---- lua: tasks -------------------------------------------------------------------------------
 */

struct mr__scope_copy *mr__scripts_scope_of(struct mr__shard *sh, struct mr__run *run,
                                            uint32_t task)
{
    struct mr__run_scope rs;
    const struct mr__dag_task *row = mr__run_dag_task(run, task);
    const struct mr__script *script =
        row->lua == MR__NO_SCRIPT ? NULL : &run->plan->dag->scripts[row->lua];
    struct mr__context *context = mr__shard_context(sh, run);
    if (context == NULL) {
        return NULL;
    }
    mr__run_scope_init(&rs, run, &context->vars, context->folder, context->trigger,
                       context->scheduled_ms);
    mr__run_scope_item(&rs, task);
    struct mr__scope_copy *copy = mr__scope_copy_create(
        &rs.scope, script == NULL ? NULL : script->uses, script == NULL ? 0 : script->use_count,
        script != NULL && script->uses_all_tasks ? MR__COPY_ALL_TASKS : 0);
    mr__run_scope_finish(&rs);
    return copy;
}
