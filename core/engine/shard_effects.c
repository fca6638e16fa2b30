/* SPDX-License-Identifier: MIT
 *
 * What events ask for: preparing, timers, starting and canceling attempts, telling who watches.
 * What has to wait until its event is durable comes here only then. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

#include "core/model/scope.h"

void mr__context_free(void *context)
{
    mr__arena_finish(&((struct mr__context *)context)->arena);
    free(context);
}

struct mr__context *mr__shard_context(struct mr__shard *sh, struct mr__run *run)
{
    struct mr__context *context = run->context;
    struct mr__reader r;
    struct mr__event event;
    if (context != NULL) {
        return context;
    }
    mr__reader_init(&r, run->log.data, run->log.len);
    context = calloc(1, sizeof *context);
    if (context == NULL || !mr__event_decode(&r, 0, &event)) {
        free(context);
        return NULL;
    }
    mr__arena_init(&context->arena);
    context->folder = mr__arena_dup(&context->arena, event.folder.data, event.folder.len);
    context->vars = (mr_value){.type = MR_MAP};
    bool ok = context->folder != NULL;
    if (ok && event.vars.len > 2) {
        ok = mr__value_parse(&context->arena, event.vars.data, event.vars.len, &context->vars,
                             NULL) == MR_OK;
    }
    if (!ok) {
        mr__context_free(context);
        return NULL;
    }
    run->context = context;
    return context;
}

static bool no_share(const struct mr__scope *scope, const char *key, size_t len,
                     struct mr__blob *ret_json)
{
    (void)scope;
    (void)key;
    (void)len;
    (void)ret_json;
    return false;
}

static void do_prepare(struct mr__shard *sh, struct mr__run *run, uint32_t task)
{
    mr_error error = {0};
    mr_value params;
    struct mr__buf json;
    struct mr__context *context = mr__shard_context(sh, run);
    const struct mr__dag *dag = run->plan->dag;
    mr__arena_reset(&sh->scratch);
    if (context == NULL) {
        sh->s.failed = true;
        return;
    }
    const struct mr__scope scope = {.dag = dag, .vars = &context->vars, .share = no_share};
    bool again;
    mr_status status = mr__render(&scope, task, NULL, &sh->scratch, &params, &again, &error);
    mr__buf_init(&json);
    struct mr__blob reason = {error.message, 0};
    if (status == MR_OK) {
        mr__value_print(&json, &params);
        sh->s.failed |= json.failed;
    } else {
        reason.len = strlen(error.message);
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__decide_prepared(&sh->s, run, task,
                        (struct mr__blob){json.data == NULL ? "" : (char *)json.data, json.len},
                        reason);
    mr__buf_finish(&json);
}

/* Whether anybody still waits for a timer. */
static bool timer_counts(void *user, const struct mr__timer *timer)
{
    struct mr__shard *sh = user;
    const struct mr__run *run = mr__run_at(&sh->s, timer->slot);
    if (timer->kind > MR__TIMER_RUN) {
        return true; /* the shard's own */
    }
    if (run == NULL || run->gen != timer->gen || (run->flags & MR__RUNFLAG_SETTLED) != 0) {
        return false;
    }
    return timer->kind == MR__TIMER_RUN || (run->tasks[timer->task].attempt == timer->attempt &&
                                            run->tasks[timer->task].status == MR__TASK_RUNNING);
}

static void push_timer(struct mr__shard *sh, const struct mr__run *run, uint32_t kind,
                       const struct mr__effect *effect, int64_t due_wall_ms, int64_t duration_ms)
{
    int64_t left = due_wall_ms - sh->opt.clock->wall_ms(sh->opt.clock);
    left = MR__MAX(0, MR__MIN(left, MR__MIN(duration_ms, INT64_MAX / 2)));
    struct mr__timer timer = {
        .due_ms = sh->opt.clock->monotonic_ms(sh->opt.clock) + left,
        .slot = run->slot,
        .gen = run->gen,
        .task = effect->task,
        .attempt = kind == MR__TIMER_RUN ? (uint32_t)run->timed_from_ms : effect->arg,
        .kind = kind,
    };
    if (mr__timers_full(&sh->timers)) {
        mr__timers_purge(&sh->timers, timer_counts, sh);
    }
    sh->s.failed |= mr__timers_push(&sh->timers, &timer) != MR_OK;
    mr__shard_arm(sh);
}

void mr__effects_now(struct mr__shard *sh, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&sh->s, effect->slot);
    uint32_t t = effect->task;
    if (run == NULL) {
        return;
    }
    const struct mr__dag *dag = run->plan->dag;
    switch (effect->kind) {
    case MR__EFFECT_PREPARE: do_prepare(sh, run, t); break;
    case MR__EFFECT_WAIT:
        if (run->tasks[t].flags & MR__TASKFLAG_WAITING) {
            push_timer(sh, run, MR__TIMER_WAIT, effect, run->wait_ms[2 * t],
                       run->wait_ms[2 * t + 1]);
        }
        break;
    case MR__EFFECT_DEADLINE:
        push_timer(sh, run, MR__TIMER_DEADLINE, effect,
                   run->started_ms[t] + dag->tasks[t].timeout_ms, dag->tasks[t].timeout_ms);
        break;
    default:
        push_timer(sh, run, MR__TIMER_RUN, effect, run->timed_from_ms + dag->timeout_ms,
                   dag->timeout_ms);
        break;
    }
}

/* The params that templates made, as they stand in the event. */
static bool rendered_params(struct mr__shard *sh, struct mr__run *run, uint32_t t, mr_value *ret)
{
    struct mr__reader r;
    struct mr__event event;
    uint32_t at = run->params_at[t] - 1;
    mr__reader_init(&r, run->log.data + at, run->log.len - at);
    mr__arena_reset(&sh->scratch);
    return mr__event_decode(&r, 0, &event) && event.payload.data != NULL &&
           mr__value_parse(&sh->scratch, event.payload.data, event.payload.len, ret, NULL) == MR_OK;
}

static void do_start(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    uint32_t t = effect->task;
    const struct mr__dag_task *task = &run->plan->dag->tasks[t];
    struct mr__context *context = mr__shard_context(sh, run);
    mr_value params;
    if (run->tasks[t].attempt != effect->arg || run->tasks[t].status != MR__TASK_RUNNING) {
        return;
    }
    struct mr__attempt attempt = {
        .ref = {.task = t, .attempt = effect->arg, .hint = run->slot},
        .action = run->plan->bindings[t].action,
        .params = &task->params,
        .dag_id = run->plan->dag->id,
        .task_id = task->id,
    };
    if (context == NULL || (run->params_at != NULL && run->params_at[t] != 0 &&
                            !rendered_params(sh, run, t, &params))) {
        sh->s.failed = true;
        return;
    }
    if (run->params_at != NULL && run->params_at[t] != 0) {
        attempt.params = &params;
    }
    attempt.vars = &context->vars;
    attempt.folder = context->folder;
    attempt.started_at_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    if (task->timeout_ms > 0) {
        attempt.deadline_ms = run->started_ms[t] + task->timeout_ms;
    }
    memcpy(attempt.ref.run_id, run->id, MR__RUN_ID_BYTES);
    sh->opt.executor->ops->start(sh->opt.executor, &attempt);
}

static void do_notify(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, run->log.data + effect->arg, run->log.len - effect->arg);
    if ((run->flags & MR__RUNFLAG_WATCHED) != 0 && mr__event_decode(&r, 0, &event)) {
        event.time_ms = run->created_ms + effect->task;
        sh->opt.events.notify(sh->opt.events.user, run, &event, effect->attempt);
    }
}

static void do_settled(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    if (run->log.len != effect->task) {
        return; /* it was blocked and goes on already: what it is now is not durable */
    }
    if (sh->opt.events.settled != NULL) {
        sh->opt.events.settled(sh->opt.events.user, run);
    }
    if (run->flags & MR__RUNFLAG_SETTLED) {
        mr__run_release(&sh->s, run);
    }
}

void mr__effects_durable(struct mr__shard *sh, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&sh->s, effect->slot);
    if (run == NULL) {
        return;
    }
    struct mr__attempt_ref ref = {.task = effect->task, .hint = run->slot};
    memcpy(ref.run_id, run->id, MR__RUN_ID_BYTES);
    switch (effect->kind) {
    case MR__EFFECT_START: do_start(sh, run, effect); break;
    case MR__EFFECT_CANCEL:
        ref.attempt = run->tasks[effect->task].attempt;
        sh->opt.executor->ops->cancel(sh->opt.executor, &ref, effect->arg);
        break;
    case MR__EFFECT_FORGET:
        ref.attempt = effect->arg;
        sh->opt.executor->ops->forget(sh->opt.executor, &ref);
        break;
    case MR__EFFECT_NOTIFY: do_notify(sh, run, effect); break;
    default: do_settled(sh, run, effect); break;
    }
}
