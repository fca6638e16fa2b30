/* SPDX-License-Identifier: MIT
 *
 * An attempt's life: its phases, answer, cancel, end. Loop thread, but for work() (a worker).
 *
 *     before(), start(), after()
 *        |
 *        v        (it answered at once)
 *     RUNNING ------------------------------------------------+--> FREE (its end is told)
 *      ^ | |\---> PENDING ----> FINISHED (mr_finish) ---------+
 *      | | |          \-------> ABANDONED (ended by the host) |--> FREE (mr_finish)
 *      | | \----> QUEUED -----> FINISHED (the worker is done) +
 *      | |                                                    |
 *      | \----------------- RESTING <-------------------------/    (a phase is over, another one
 *      \---------------------/ start(), after()                     is to come: began, ending)
 *
 * What an action without phases answers at once costs no lock and no allocation of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/exec/task_host.h"

static struct mr__task *take(struct mr__exec *x, const struct mr__attempt *attempt);
static mr_status complete_params(struct mr__task *t);
static void go(struct mr__task *t);
static void start_worker(struct mr__task *t);
static mr_status run_phase(struct mr__task *t);
static void answered(struct mr__task *t, mr_status status);
static void phase_over(struct mr__task *t, mr_status status);
static void rest(struct mr__task *t);
static void end(struct mr__task *t, mr_status status);
static void report(struct mr__exec *x, const struct mr__attempt_end *end);
static void release(struct mr__task *t);
static void cancel_pending(struct mr__task *t);

/* Whether the engine may ask again for what it was told of: then the entry stays until forget(). */
static bool is_kept(const struct mr__action *action)
{
    return mr__action_is_job(action) || mr__action_has_before(action);
}

/* From now on it can be found by its name. One that is no job and has one phase is entered only
 * when it is pending: what answers at once is never looked for. */
static mr_status enter(struct mr__task *t)
{
    t->entry = mr__exec_entry_add(t->exec, &t->ref);
    if (t->entry == NULL) {
        return MR_ENOMEM;
    }
    t->entry->task = t;
    return MR_OK;
}

void mr__attempt_start(struct mr__exec *x, const struct mr__attempt *attempt, enum mr__phase phase)
{
    struct mr__task *t = take(x, attempt);
    if (t == NULL) {
        struct mr__attempt_end failure = {.ref = attempt->ref,
                                          .outcome = MR__OUTCOME_FAILED,
                                          .reason = mr_status_text(MR_ENOMEM)};
        mr__scope_copy_destroy(attempt->scope);
        report(x, &failure);
        return;
    }
    t->phase = phase;
    bool entered = is_kept(t->action) || t->action->table->run_after != NULL;
    mr_status status = entered ? enter(t) : MR_OK;
    if (status == MR_OK) {
        status = complete_params(t);
    }
    if (status != MR_OK) {
        end(t, status);
    } else {
        go(t);
    }
}

static void tell_began(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    mr__attempt_call_begin(t); /* The engine may do anything while it is told. */
    x->events.began(x->events.user, &t->ref);
    (void)mr__attempt_call_end(t);
}

void mr__attempt_continue(struct mr__task *t, const struct mr__attempt *attempt,
                          enum mr__phase phase)
{
    t->ref.hint = attempt->ref.hint;
    if (atomic_load(&t->state) != MR__TASK_RESTING) {
        return; /* It is at it: the answer comes. */
    }
    if (phase == t->phase + 1) {
        mr__task_set_times(t, attempt);
        t->phase = phase;
        atomic_store(&t->state, MR__TASK_RUNNING);
        go(t);
    } else if (phase == MR__PHASE_BEFORE && t->phase == phase) {
        tell_began(t); /* The engine was told, but has lost it. */
    }
}

/* A struct for one attempt, zeroed; its arena may hold memory of the one before. */
static struct mr__task *take(struct mr__exec *x, const struct mr__attempt *attempt)
{
    struct mr__task *t = x->spare;
    if (t != NULL) {
        x->spare = NULL;
        memset(t, 0, offsetof(struct mr__task, arena));
    } else {
        t = mr__calloc(1, sizeof *t);
        if (t == NULL) {
            return NULL;
        }
    }
    t->head.host = &mr__task_host;
    t->exec = x;
    t->ref = attempt->ref;
    t->attempt = attempt;
    t->action = attempt->action;
    t->retry = attempt->retry;
    t->limits = attempt->limits;
    t->script = attempt->script;
    t->heartbeat_ms = attempt->heartbeat_ms;
    if (attempt->scope != NULL) {
        t->scope = attempt->scope;
        x->scoped++;
    }
    t->wait_ms = -1;
    atomic_store_explicit(&t->state, MR__TASK_RUNNING, memory_order_relaxed);
    return t;
}

static mr_status complete_params(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    const mr_value *params = t->attempt->params;
    mr_error error;
    t->params = (mr_value){.type = MR_MAP};
    t->vars = (mr_value){.type = MR_MAP};
    if (action->params != NULL || (params != NULL && params->len > 0)) {
        mr_status status = mr__params_complete(action, params, &t->arena, &t->params, &error);
        if (status != MR_OK) {
            return mr__task_fail(t, status, "%s", error.message);
        }
    }
    return MR_OK;
}

/* Of an action that starts children, before its `run`: from now on the attempt has begun. */
static mr_status enter_row(struct mr__task *t)
{
    mr_status status = MR_OK;
    if (t->phase == MR__PHASE_RUN && (t->action->table->flags & MR_SPAWNS) != 0 &&
        t->exec->has_table) {
        status = mr__child_table_enter(&t->exec->table, &t->entry->key, &t->entry->row);
        if (status != MR_OK) {
            t->entry->row = MR__CHILD_NO_ROW;
            (void)mr__task_fail(t, status, "the table of children is full (%u)",
                                MR__CHILD_TABLE_ROWS);
        }
    }
    return status;
}

/* Those that began and have not ended, but for what answers at once. */
static void live_add(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    t->shared = true;
    if (t->live) {
        return;
    }
    t->live = true;
    t->live_previous = NULL;
    t->live_next = x->live;
    if (x->live != NULL) {
        x->live->live_previous = t;
    }
    x->live = t;
}

static void live_del(struct mr__task *t, struct mr__task **list)
{
    if (t->live_next != NULL) {
        t->live_next->live_previous = t->live_previous;
    }
    if (t->live_previous != NULL) {
        t->live_previous->live_next = t->live_next;
    } else if (*list == t) {
        *list = t->live_next;
    }
    t->live_next = t->live_previous = NULL;
}

/* ---- phases -----------------------------------------------------------------------------------
 */

static void go(struct mr__task *t)
{
    mr_status status = enter_row(t);
    if (status != MR_OK) {
        end(t, status);
    } else if (t->action->table->where == MR_ON_LOOP) {
        answered(t, run_phase(t));
    } else {
        start_worker(t);
    }
}

static mr_status call_phase(struct mr__task *t, const char *name, mr_status (*phase)(mr_task *t))
{
    mr_status status = phase == NULL ? MR_OK : phase(&t->head);
    if (status == MR_PENDING && t->action->inner == NULL) {
        return mr__task_fail(t, MR_EFAILED, "%s answered MR_PENDING, as only run may", name);
    }
    return status <= 0 || t->action->inner != NULL
               ? status
               : mr__task_fail(t, MR_EFAILED, "%s answered %d", name, status);
}

/* retry_before and run_before of an isolated action are one message: its host calls both. */
static mr_status isolated_before(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    if (action->run_before != NULL) {
        return action->run_before(&t->head);
    }
    return t->retry ? action->retry_before(&t->head) : MR_OK;
}

static mr_status run_phase(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    mr_status status = MR_OK;
    switch (t->phase) {
    case MR__PHASE_BEFORE:
        if (t->action->inner != NULL) {
            return isolated_before(t);
        }
        if (t->retry) {
            status = call_phase(t, "retry_before", action->retry_before);
        }
        return status != MR_OK ? status : call_phase(t, "run_before", action->run_before);
    case MR__PHASE_RUN: return action->run(&t->head);
    default: return call_phase(t, "run_after", action->run_after);
    }
}

/* A phase has ended: another one is to come, or the attempt has ended with it. */
static void phase_over(struct mr__task *t, mr_status status)
{
    bool before = t->phase == MR__PHASE_BEFORE;
    bool more = before || (t->phase == MR__PHASE_RUN && t->action->table->run_after != NULL);
    bool canceled = atomic_load(&t->cancel_reason) != MR_NOT_CANCELED;
    if (status == MR_OK && more && !canceled && !t->told) {
        rest(t);
    } else {
        end(t, status == MR_OK && before ? MR_ECANCELED : status);
    }
}

/* ---- worker actions ---------------------------------------------------------------------------
 */

static void work(struct mr__pool_job *job);

/* What a worker needs, once for all phases. */
static mr_status make_wake(struct mr__task *t)
{
    pthread_condattr_t monotonic;
    mr_status status = mr__task_snapshot(t);
    if (status != MR_OK || t->has_wake) {
        return status;
    }
    t->has_wake = pthread_condattr_init(&monotonic) == 0;
    if (t->has_wake) {
        t->has_wake = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                      pthread_cond_init(&t->wake, &monotonic) == 0;
        (void)pthread_condattr_destroy(&monotonic);
    }
    return t->has_wake ? MR_OK : MR_ENOMEM;
}

static void start_worker(struct mr__task *t)
{
    mr_status status = make_wake(t);
    t->attempt = NULL;
    t->shared = true;
    if (status == MR_OK) {
        live_add(t);
        status = mr__signs_begin(t);
    }
    if (status == MR_OK) {
        atomic_store(&t->state, MR__TASK_QUEUED);
        t->job.run = work;
        status = mr__pool_submit(t->exec->pool, &t->job);
        if (status != MR_OK) {
            (void)mr__task_fail(t, status, "no worker thread can be started");
        }
    }
    if (status != MR_OK) {
        end(t, status);
    }
}

/* A worker's part. From the moment of the unlock on the attempt is the loop's, or freed. */
static void work(struct mr__pool_job *job)
{
    struct mr__task *t = MR__CONTAINER(job, struct mr__task, job);
    struct mr__exec *x = t->exec;
    mr__signs_heard(t);
    mr_status status = run_phase(t);
    if (status > 0) {
        status = mr__task_fail(t, MR_EFAILED, "the action answered %d on a worker thread", status);
    }
    (void)pthread_mutex_lock(&x->mutex);
    t->finish_status = status;
    t->finish_posted = true;
    if (x->closed) {
        mr__attempt_free(t);
        mr__exec_foreign_less_and_unlock(x);
        return;
    }
    atomic_store(&t->state, MR__TASK_FINISHED);
    mr__attempt_wake_loop(t);
    (void)pthread_mutex_unlock(&x->mutex);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* It ends by a timer of the engine: the executor forgets it. */
static void answered_waiting(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    struct mr__attempt_ref ref = t->ref;
    int64_t ms = t->wait_ms;
    if (atomic_load(&t->cancel_reason) != MR_NOT_CANCELED) {
        end(t, MR_ECANCELED);
        return;
    }
    t->shared = t->shared || atomic_load(&t->queued);
    if (t->entry != NULL) {
        mr__exec_entry_del(x, t->entry);
        t->entry = NULL;
    }
    t->told = true;
    release(t);
    if (!x->closing) {
        x->events.waiting(x->events.user, &ref, ms);
    }
}

mr_status mr__attempt_wait(struct mr__task *t, int64_t ms)
{
    if (t->phase != MR__PHASE_RUN || t->output.count > 0 || mr__task_share_unsaved(t) ||
        mr__task_has_locks(t)) {
        return mr__task_fail(t, MR_EINVAL,
                             "mr_finish_after with an output, unsaved share data or a lock");
    }
    mr__task_log_flush(t);
    t->wait_ms = ms;
    mr__attempt_call_begin(t); /* The engine may do anything while it is told. */
    answered_waiting(t);
    (void)mr__attempt_call_end(t);
    return MR_OK;
}

static void answered_pending(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    live_add(t);
    mr_status status = mr__task_snapshot(t);
    t->attempt = NULL;
    if (status == MR_OK && t->entry == NULL) {
        status = enter(t);
    }
    if (status == MR_OK) {
        status = mr__signs_begin(t);
    }
    (void)pthread_mutex_lock(&x->mutex);
    bool posted = t->finish_posted;
    bool finished = atomic_load(&t->state) == MR__TASK_FINISHED || status != MR_OK;
    if (!finished) {
        atomic_store(&t->state, MR__TASK_PENDING);
    } else if (status != MR_OK) {
        atomic_store(&t->state, MR__TASK_FINISHED);
        t->finish_status = status;
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (finished && posted) {
        return; /* The mailbox brings the end. */
    }
    if (finished) {
        mr__attempt_finished(t);
    } else if (atomic_load(&t->cancel_reason) != MR_NOT_CANCELED) {
        cancel_pending(t);
    }
}

/* A phase of a loop action has returned. */
static void answered(struct mr__task *t, mr_status status)
{
    mr__task_log_flush(t);
    if (status == MR_PENDING && t->wait_ms >= 0) {
        answered_waiting(t);
        return;
    }
    if (status == MR_PENDING) {
        answered_pending(t);
        return;
    }
    t->shared = t->shared || atomic_load(&t->queued); /* by a thread that `run` has waited for */
    if (status > 0) {
        status = mr__task_fail(t, MR_EFAILED, "the action answered %d", status);
    }
    if (t->process != NULL) { /* It ends with its child, which nobody waits for any more. */
        t->finish_status = status;
        atomic_store(&t->state, MR__TASK_FINISHED);
        live_add(t);
        mr__process_end(t->process, 0);
        return;
    }
    phase_over(t, status);
}

void mr__attempt_finished(struct mr__task *t)
{
    if (t->process != NULL) {
        mr__process_end(t->process, 0); /* mr__attempt_on_exit goes on. */
        return;
    }
    mr_status status = t->finish_status;
    if (status > 0) {
        status = mr__task_fail(t, MR_EFAILED, "the action finished with %d", status);
    }
    phase_over(t, status);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static enum mr__outcome outcome_of(uint32_t cancel_reason, mr_status status)
{
    switch (cancel_reason) {
    case MR_BY_TIMEOUT: return MR__OUTCOME_TIMED_OUT;
    case MR_NOT_CANCELED: return status == MR_OK ? MR__OUTCOME_SUCCESS : MR__OUTCOME_FAILED;
    default: return status == MR_OK ? MR__OUTCOME_SUCCESS : MR__OUTCOME_CANCELED;
    }
}

/* What is told of an end, and the memory in which it lies until it was told. */
struct telling {
    struct mr__attempt_end end;
    struct mr__buf json;
    struct mr__share *table; /* whose texts `sets` names */
    struct mr__share_set *sets;
};

/* Success whose output or sets cannot be told is none. */
static mr_status telling_init(struct telling *telling, struct mr__task *t, mr_status status)
{
    struct mr__attempt_end *told = &telling->end;
    *telling = (struct telling){.end = {.ref = t->ref, .reason = ""}};
    uint32_t reason = atomic_load_explicit(&t->cancel_reason, memory_order_relaxed);
    told->outcome = t->silent ? MR__OUTCOME_FAILED : outcome_of(reason, status);
    if (t->sets != NULL) {
        mr_status taken = mr__task_share_take(t, &telling->table, &telling->sets, &told->set_count);
        told->sets = telling->sets;
        if (taken != MR_OK && told->outcome == MR__OUTCOME_SUCCESS) {
            status = taken;
            told->outcome = MR__OUTCOME_FAILED;
        }
    }
    if (told->outcome == MR__OUTCOME_SUCCESS && t->output.count > 0 &&
        !mr__members_json(&t->output, &telling->json)) {
        status = MR_ENOMEM;
        told->outcome = MR__OUTCOME_FAILED;
    }
    if (t->silent) {
        char limit[MR__TIME_TEXT_BYTES];
        mr__duration_text(t->heartbeat_ms, limit);
        (void)mr__task_fail(t, MR_ETIMEDOUT, "no heartbeat for %s", limit);
    }
    if (told->outcome == MR__OUTCOME_FAILED) {
        told->reason = t->reason != NULL ? t->reason : mr_status_text(status);
        if (t->details.count > 0 && !mr__members_json(&t->details, &telling->json)) {
            mr__buf_finish(&telling->json); /* The reason alone must do. */
        }
    }
    if (telling->json.len > 0) {
        told->output = (const char *)telling->json.data;
        told->output_len = telling->json.len;
    }
    return status;
}

static void telling_finish(struct telling *telling)
{
    mr__buf_finish(&telling->json);
    mr__free(telling->sets);
    mr__share_unref(telling->table);
}

/* Tells the engine, unless it has been told. A kept entry stays until forget(). */
static void tell(struct mr__task *t, mr_status status)
{
    struct mr__exec *x = t->exec;
    struct mr__entry *entry = t->entry;
    struct telling telling;
    if (t->told) {
        return;
    }
    mr__task_log_flush(t);
    (void)telling_init(&telling, t, status);
    t->told = true;
    t->entry = NULL;
    if (entry != NULL && is_kept(t->action)) {
        entry->task = NULL;
    } else if (entry != NULL) {
        mr__exec_entry_del(x, entry);
    }
    report(x, &telling.end);
    telling_finish(&telling);
}

static void report(struct mr__exec *x, const struct mr__attempt_end *told)
{
    if (!x->closing) {
        x->events.ended(x->events.user, told);
    }
}

static void end(struct mr__task *t, mr_status status)
{
    if (t->shared) {
        mr__attempt_flush(t);
    }
    mr__attempt_call_begin(t); /* The engine may do anything while it is told. */
    tell(t, status);
    release(t);
    (void)mr__attempt_call_end(t);
}

/* Nothing is left of the phase but what the next one is to find; then the engine is told. */
static void rest(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    struct telling telling = {.table = NULL};
    bool before = t->phase == MR__PHASE_BEFORE;
    mr_status status = mr__task_snapshot(t);
    t->attempt = NULL;
    live_add(t);
    mr__attempt_flush(t);
    mr__task_log_flush(t);
    if (status == MR_OK && !before) {
        status = telling_init(&telling, t, MR_OK);
    }
    if (status != MR_OK) {
        telling_finish(&telling);
        end(t, status);
        return;
    }
    mr__task_close_timers(t);
    mr__signs_end(t);
    (void)pthread_mutex_lock(&x->mutex);
    atomic_store(&t->state, MR__TASK_RESTING);
    t->finish_posted = false;
    (void)pthread_mutex_unlock(&x->mutex);
    if (before) {
        tell_began(t);
        return;
    }
    mr__members_finish(&t->output);
    mr__attempt_call_begin(t);
    x->events.ending(x->events.user, &telling.end);
    (void)mr__attempt_call_end(t);
    telling_finish(&telling);
}

static void recycle(struct mr__task *t);

/* Over: nothing reaches it any more. Its memory goes when no call of the plugin is under way. */
static void release(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    if (t->host != NULL) {
        mr__host_give_back(t->host);
    }
    if (t->timers != NULL) {
        mr__task_close_timers(t);
    }
    mr__signs_end(t);
    if (t->shared) {
        live_del(t, t->abandoned ? &x->abandoned : &x->live);
        (void)pthread_mutex_lock(&x->mutex);
        atomic_store(&t->state, MR__TASK_FREE);
        (void)pthread_mutex_unlock(&x->mutex);
        mr__attempt_flush(t);
    } else {
        atomic_store_explicit(&t->state, MR__TASK_FREE, memory_order_relaxed);
    }
    if (t->asked_locks) {
        mr__task_locks_drop(t);
    }
    if (x->closing && !x->finishing) {
        (void)uv_async_send(&x->async); /* The shutdown may have waited for this one. */
    }
    t->released = true;
    if (t->calls == 0) {
        recycle(t);
    }
}

void mr__attempt_call_begin(struct mr__task *t)
{
    t->calls++;
}

bool mr__attempt_call_end(struct mr__task *t)
{
    bool released = t->released;
    mr__task_log_flush(t);
    if (--t->calls == 0 && released) {
        recycle(t);
    }
    return !released;
}

static void finish_parts(struct mr__task *t)
{
    const mr_task_info *info = atomic_load_explicit(&t->info, memory_order_relaxed);
    if (info != NULL) {
        mr__free((void *)(uintptr_t)info);
        atomic_store_explicit(&t->info, NULL, memory_order_relaxed);
    }
    if (t->output.rows != NULL || t->details.rows != NULL || t->values.rows != NULL) {
        mr__members_finish(&t->output);
        mr__members_finish(&t->details);
        mr__members_finish(&t->values);
    }
    if (t->log.data != NULL) {
        mr__buf_finish(&t->log);
    }
    if (t->scope != NULL) {
        mr__scope_copy_destroy(t->scope);
        t->scope = NULL;
        t->exec->scoped--;
    }
    if (t->share != NULL || t->sets != NULL) {
        mr__task_share_finish(t);
    }
    if (t->progress != NULL) {
        mr__free(t->progress);
        t->progress = NULL;
    }
    if (t->has_wake) {
        (void)pthread_cond_destroy(&t->wake);
        t->has_wake = false;
    }
}

/* One that no other thread has seen is used again at once; the others rest for a while first, so
 * that a plugin which calls too late is told so instead of reaching somebody else's attempt. */
static void recycle(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    finish_parts(t);
    if (!t->shared && x->spare == NULL) {
        if (t->arena.bytes > 4096) {
            mr__arena_finish(&t->arena);
        } else {
            mr__arena_reset(&t->arena);
        }
        x->spare = t;
        return;
    }
    mr__arena_finish(&t->arena);
    struct mr__task **place = &x->quarantine[x->quarantine_at++ % MR__TASK_QUARANTINE];
    mr__free(*place);
    *place = t;
}

void mr__attempt_free(struct mr__task *t)
{
    struct mr__message *message = t->first;
    while (message != NULL) {
        struct mr__message *next = message->next;
        mr__free(message);
        message = next;
    }
    finish_parts(t);
    mr__arena_finish(&t->arena);
    mr__free(t);
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

void mr__attempt_cancel(struct mr__task *t, uint32_t reason)
{
    struct mr__exec *x = t->exec;
    uint32_t none = MR_NOT_CANCELED;
    bool first = atomic_compare_exchange_strong(&t->cancel_reason, &none, reason);
    if (!first && reason != MR_BY_SHUTDOWN) {
        return;
    }
    switch (atomic_load(&t->state)) {
    case MR__TASK_QUEUED:
        if (mr__pool_remove(x->pool, &t->job)) {
            end(t, MR_ECANCELED);
            break;
        }
        (void)pthread_mutex_lock(&x->mutex);
        (void)pthread_cond_broadcast(&t->wake);
        (void)pthread_mutex_unlock(&x->mutex);
        break;
    case MR__TASK_PENDING: cancel_pending(t); break;
    case MR__TASK_RESTING: end(t, MR_ECANCELED); break;
    default: break; /* RUNNING: answered() looks at the reason; FINISHED: it is under way. */
    }
}

static void cancel_pending(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    bool has_child = t->process != NULL;
    mr__task_locks_leave(t);
    if (has_child) {
        int64_t grace_ms = mr__process_grace_ms(t->process);
        if (t->exec->closing) {
            int64_t left = t->exec->shutdown_due_ms - (int64_t)uv_now(t->exec->loop);
            grace_ms = MR__MIN(grace_ms, MR__MAX(left, 0));
        }
        mr__process_end(t->process, grace_ms);
    }
    if (action->cancel != NULL) {
        if (!t->cancel_called) {
            t->cancel_called = true;
            mr__attempt_call_begin(t);
            action->cancel(&t->head);
            (void)mr__attempt_call_end(t);
        }
    } else if (!has_child) {
        mr__attempt_abandon(t);
    }
}

void mr__attempt_abandon(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    bool pending = atomic_load(&t->state) == MR__TASK_PENDING;
    if (pending) {
        atomic_store(&t->state, MR__TASK_ABANDONED);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (!pending) {
        return; /* Its mr_finish has come in between: that is its end. */
    }
    mr__attempt_flush(t);
    mr__task_close_timers(t);
    mr__signs_end(t);
    mr__task_locks_leave(t);
    live_del(t, &x->live);
    t->abandoned = true;
    t->live_next = x->abandoned;
    if (x->abandoned != NULL) {
        x->abandoned->live_previous = t;
    }
    x->abandoned = t;
    mr__attempt_call_begin(t);
    tell(t, MR_ECANCELED);
    (void)mr__attempt_call_end(t);
}

/* ---- children ---------------------------------------------------------------------------------
 */

void mr__attempt_on_output(void *user, uint32_t stream, const char *bytes, size_t len)
{
    struct mr__task *t = user;
    struct mr__exec *x = t->exec;
    if (t->told) {
        return;
    }
    mr__signs_heard(t); /* Whatever the child says is a sign that it is alive. */
    if (!x->closing) {
        mr__task_log_flush(t);
        x->events.log(x->events.user, &t->ref, stream, bytes, len);
    }
    if (t->on_output != NULL && atomic_load(&t->state) == MR__TASK_PENDING) {
        mr__attempt_call_begin(t);
        t->on_output(&t->head, stream, bytes, len);
        (void)mr__attempt_call_end(t);
    }
}

void mr__attempt_on_exit(void *user, int32_t exit_code, int32_t signal_number)
{
    struct mr__task *t = user;
    t->process = NULL;
    if (atomic_load(&t->state) == MR__TASK_FINISHED) {
        if (!t->finish_posted) { /* else the mailbox brings the end */
            mr__attempt_finished(t);
        }
        return;
    }
    mr__attempt_call_begin(t);
    t->on_exit(&t->head, exit_code, signal_number);
    bool goes_on = mr__attempt_call_end(t);
    if (goes_on && t->process == NULL && atomic_load(&t->state) == MR__TASK_PENDING &&
        atomic_load(&t->cancel_reason) != MR_NOT_CANCELED && t->action->table->cancel == NULL) {
        mr__attempt_abandon(t);
    }
}
