/* SPDX-License-Identifier: MIT
 *
 * What events ask for: preparing, timers, starting and canceling attempts, telling who watches.
 * What has to wait until its event is durable comes here only then. Loop thread.
 */
#include "core/engine/shard_impl.h"
#include "core/exec/share.h"

#include <stdlib.h>

void mr__context_free(void *context)
{
    struct mr__context *it = context;
    mr__share_unref(it->share);
    mr__arena_finish(&it->arena);
    mr__free(it);
}

/* Removes from the table what the run does not have. */
static bool share_trim(const struct mr__run *run, struct mr__share *share)
{
    struct mr__buf key, after;
    bool found;
    mr__buf_init(&key);
    mr__buf_init(&after);
    struct mr__blob last = {NULL, 0};
    while (mr__share_next(share, last, &key)) {
        struct mr__blob name = {(const char *)key.data, key.len};
        (void)mr__run_share_at(run, name.data, name.len, &found);
        if (!found && mr__share_put(share, name, (struct mr__blob){NULL, 0}) != MR_OK) {
            key.failed = true;
        }
        mr__buf_reset(&after);
        mr__buf_bytes(&after, key.data, key.len);
        mr__buf_reset(&key);
        if (key.failed || after.failed) {
            break;
        }
        last = (struct mr__blob){(const char *)after.data, after.len};
    }
    bool ok = !key.failed && !after.failed;
    mr__buf_finish(&key);
    mr__buf_finish(&after);
    return ok;
}

/* The table that the run's attempts have kept through a rebuild, or NULL. */
static struct mr__share *share_kept(struct mr__shard *sh, const struct mr__run *run)
{
    for (size_t i = 0; i < sh->kept_count; i++) {
        if (memcmp(sh->kept_shares[i].run_id, run->id, MR__RUN_ID_BYTES) == 0) {
            struct mr__share *share = sh->kept_shares[i].share;
            sh->kept_shares[i] = sh->kept_shares[--sh->kept_count];
            return share;
        }
    }
    return NULL;
}

/* The share data as it stands, which is as it is durable: mr__shard_feed sees to it that the table
 * is there before anything is set that is not. */
static struct mr__share *share_of(struct mr__shard *sh, const struct mr__run *run)
{
    struct mr__share *share = share_kept(sh, run);
    bool ok = share == NULL || share_trim(run, share);
    share = share == NULL ? mr__share_create() : share;
    for (uint32_t i = 0; i < run->share_count && share != NULL && ok; i++) {
        const struct mr__share_row *row = run->share[i];
        struct mr__event event;
        ok =
            mr__run_event(run, row->at, &event) &&
            mr__share_put(share, (struct mr__blob){row->key, row->key_len}, event.payload) == MR_OK;
    }
    if (!ok) {
        mr__share_unref(share);
        share = NULL;
    }
    return share;
}

void mr__shares_keep(struct mr__shard *sh)
{
    struct mr__kept_share *tables =
        mr__realloc(sh->kept_shares, (sh->kept_count + sh->s.run_count + 1) * sizeof *tables);
    if (tables == NULL) {
        return; /* attempts go on with what they have */
    }
    sh->kept_shares = tables;
    for (uint32_t slot = 0; slot < sh->s.runs_cap; slot++) {
        const struct mr__run *run = sh->s.runs[slot];
        const struct mr__context *context = run == NULL ? NULL : run->context;
        if (context != NULL) {
            struct mr__kept_share *table = &tables[sh->kept_count++];
            memcpy(table->run_id, run->id, MR__RUN_ID_BYTES);
            table->share = mr__share_ref(context->share);
        }
    }
}

void mr__shares_give_back(struct mr__shard *sh)
{
    while (sh->kept_count > 0) {
        const struct mr__kept_share *table = &sh->kept_shares[sh->kept_count - 1];
        struct mr__run *run = mr__run_find(&sh->s, table->run_id);
        size_t count = sh->kept_count;
        if (run != NULL && run->context == NULL && mr__shard_context(sh, run) == NULL) {
            sh->s.failed = true;
        }
        if (sh->kept_count == count) { /* of a run that is over, or nobody could take it */
            mr__share_unref(sh->kept_shares[--sh->kept_count].share);
        }
    }
}

/* Where the run came from: by hand, or what the JSON of its first event says. */
static bool read_origin(struct mr__context *context, struct mr__blob origin)
{
    mr_value value;
    context->trigger = "manually";
    if (origin.len == 0) {
        return true;
    }
    if (mr__value_parse(&context->arena, origin.data, origin.len, &value, NULL) != MR_OK) {
        return false;
    }
    context->trigger = mr_value_str(mr_value_get(&value, "trigger"), context->trigger);
    context->scheduled_ms = mr_value_int(mr_value_get(&value, "scheduledFor"), 0);
    return true;
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
    if (!mr__event_decode(&r, 0, &event)) {
        return NULL;
    }
    context = mr__calloc(1, sizeof *context + event.folder.len + 1);
    if (context == NULL) {
        return NULL;
    }
    mr__arena_init(&context->arena);
    if (event.folder.len > 0) {
        memcpy(context->folder, event.folder.data, event.folder.len);
    }
    context->vars = (mr_value){.type = MR_MAP};
    context->share = share_of(sh, run);
    bool ok = context->share != NULL && read_origin(context, event.payload);
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
    if (timer->kind == MR__TIMER_RUN) {
        return true;
    }
    if (timer->kind == MR__TIMER_RETRY) {
        return run->tasks[timer->task].attempt == timer->attempt &&
               (run->tasks[timer->task].flags & MR__TASKFLAG_DELAYED) != 0;
    }
    return mr__attempt_is_current(run, timer->task, timer->attempt);
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
    if (run == NULL || t >= run->task_count) {
        return;
    }
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__detail *detail = mr__run_detail(run, t);
    int64_t timeout_ms = mr__run_dag_task(run, t)->timeout_ms;
    switch (effect->kind) {
    case MR__EFFECT_PREPARE: mr__scripts_prepare(sh, run, t, effect->arg); break;
    case MR__EFFECT_JUDGE: mr__scripts_judge(sh, run, t); break;
    case MR__EFFECT_WAIT:
        if (run->tasks[t].flags & MR__TASKFLAG_WAITING) {
            push_timer(sh, run, MR__TIMER_WAIT, effect, detail->due_ms, detail->duration_ms);
        }
        break;
    case MR__EFFECT_DELAY:
        if (run->tasks[t].flags & MR__TASKFLAG_DELAYED) {
            push_timer(sh, run, MR__TIMER_RETRY, effect, detail->due_ms, detail->duration_ms);
        }
        break;
    case MR__EFFECT_DEADLINE:
        push_timer(sh, run, MR__TIMER_DEADLINE, effect, detail->started_ms + timeout_ms,
                   timeout_ms);
        break;
    default:
        push_timer(sh, run, MR__TIMER_RUN, effect, run->timed_from_ms + dag->timeout_ms,
                   dag->timeout_ms);
        break;
    }
}

/* ---- attempts ---------------------------------------------------------------------------------
 */

/* The params that templates made, as they stand in the event. */
static bool rendered_params(struct mr__shard *sh, struct mr__run *run, uint32_t t, mr_value *ret)
{
    struct mr__event event;
    mr__arena_reset(&sh->scratch);
    return mr__run_event(run, run->details[t].params_at - 1, &event) &&
           event.payload.data != NULL &&
           mr__value_parse(&sh->scratch, event.payload.data, event.payload.len, ret, NULL) == MR_OK;
}

/* Whether the phase that the effect asks for is still to come. */
static bool phase_is_due(const struct mr__run *run, const struct mr__effect *effect)
{
    const struct mr__task *task = &run->tasks[effect->task];
    if (mr__run_attempt(run, effect->task) != effect->arg) {
        return false;
    }
    switch (effect->kind) {
    case MR__EFFECT_BEFORE:
        return (task->flags & MR__TASKFLAG_PREPARED) != 0 && run->status != MR__RUN_PAUSED;
    case MR__EFFECT_AFTER: return task->status == MR__TASK_ENDING;
    default: return task->status == MR__TASK_RUNNING;
    }
}

/* A phase of an attempt: what comes before it, its run, what comes after. */
static void do_phase(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    uint32_t t = effect->task;
    const struct mr__dag_task *row = mr__run_dag_task(run, t);
    const struct mr__detail *detail = mr__run_detail(run, t);
    const struct mr__action_binding *binding = mr__run_binding(run, t);
    struct mr__context *context = mr__shard_context(sh, run);
    struct mr__buf name = {0};
    mr_value params;
    if (!phase_is_due(run, effect)) {
        return;
    }
    struct mr__attempt attempt = {
        .ref = {.task = t, .attempt = effect->arg, .hint = run->slot},
        .action = binding->action,
        .params = &row->params,
        .dag_id = run->plan->dag->id,
        .task_id = row->id,
        .script = row->lua,
        .retry = run->tasks[t].status == MR__TASK_RETRYING,
        .heartbeat_ms = row->heartbeat_ms,
        .epoch = sh->epoch,
        .isolated = (binding->flags & MR__ACTION_ISOLATED) != 0,
    };
    if (row->isolation != NULL) {
        attempt.limits = row->isolation->limits;
    }
    bool rendered = detail != NULL && detail->params_at != 0;
    bool good = context != NULL && (!rendered || rendered_params(sh, run, t, &params));
    if (good && t >= run->plan->dag->task_count) {
        mr__run_task_name(run, t, &name);
        attempt.task_id = mr__buf_cstr(&name);
    }
    if (good && (binding->flags & MR__ACTION_SCOPE) != 0) {
        attempt.scope = mr__scripts_scope_of(sh, run, t);
        good = attempt.scope != NULL;
    }
    if (!good || attempt.task_id == NULL) {
        mr__scope_copy_destroy(attempt.scope);
        mr__buf_finish(&name);
        sh->s.failed = true;
        return;
    }
    attempt.params = rendered ? &params : attempt.params;
    attempt.vars = &context->vars;
    attempt.folder = context->folder;
    attempt.share = context->share;
    attempt.started_at_ms = mr__shard_now(sh);
    if (row->timeout_ms > 0) {
        attempt.deadline_ms = detail->started_ms + row->timeout_ms;
    }
    memcpy(attempt.ref.run_id, run->id, MR__RUN_ID_BYTES);
    const struct mr__executor_ops *ops = sh->opt.executor->ops;
    void (*call)(struct mr__executor *, const struct mr__attempt *) =
        effect->kind == MR__EFFECT_BEFORE  ? ops->before
        : effect->kind == MR__EFFECT_AFTER ? ops->after
                                           : ops->start;
    call(sh->opt.executor, &attempt);
    if (name.data != NULL) {
        mr__buf_finish(&name);
    }
}

/* What the event set is durable: the run's attempts may see it. */
static void do_share(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    struct mr__context *context = mr__shard_context(sh, run);
    struct mr__event event;
    if (context == NULL || !mr__run_event(run, effect->arg, &event) ||
        mr__share_put(context->share, event.key, event.payload) != MR_OK) {
        sh->s.failed = true;
    }
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
    case MR__EFFECT_BEFORE:
    case MR__EFFECT_START:
    case MR__EFFECT_AFTER: do_phase(sh, run, effect); break;
    case MR__EFFECT_SHARE: do_share(sh, run, effect); break;
    case MR__EFFECT_HOOK: mr__scripts_hook(sh, run, effect->arg); break;
    case MR__EFFECT_CANCEL:
        ref.attempt = mr__run_attempt(run, effect->task);
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
