/* SPDX-License-Identifier: MIT
 *
 * An attempt's life: start, answer, cancel, end; and the mailbox through which other threads reach
 * it. Loop thread, but for work() (a worker) and mr__attempt_push (any).
 *
 *     RUNNING --> (answered at once) ------------------------------> FREE
 *        |  \---> PENDING --> FINISHED (mr_finish) ----------------> FREE
 *        |            \-----> ABANDONED (ended by the host) -------> FREE (mr_finish)
 *        \------> QUEUED ---> FINISHED (the worker is done) -------> FREE
 *
 * What an action answers at once costs no lock and no allocation of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/exec/task_host.h"

#define MESSAGES_PER_TURN 256u /* so that a talkative worker cannot hold the loop */

static struct mr__task *take(struct mr__exec *x, const struct mr__attempt *attempt);
static mr_status prepare(struct mr__task *t);
static void start_worker(struct mr__task *t);
static mr_status run_phases(struct mr__task *t);
static void answered(struct mr__task *t, mr_status status);
static void end(struct mr__task *t, mr_status status);
static void report(struct mr__exec *x, const struct mr__attempt_end *end);
static void release(struct mr__task *t);
static void flush(struct mr__task *t);
static void cancel_pending(struct mr__task *t);

bool mr__attempt_is_job(const struct mr__action *action)
{
    return action->table->where == MR_ON_WORKER || (action->table->flags & MR_SPAWNS) != 0;
}

/* From now on it can be found by its name. Others than jobs are entered only when they are pending:
 * one that answers at once is never looked for. */
static mr_status enter(struct mr__task *t)
{
    t->entry = mr__exec_entry_add(t->exec, &t->ref);
    if (t->entry == NULL) {
        return MR_ENOMEM;
    }
    t->entry->task = t;
    return MR_OK;
}

void mr__attempt_start(struct mr__exec *x, const struct mr__attempt *attempt)
{
    struct mr__attempt_end failure = {
        .ref = attempt->ref, .outcome = MR__OUTCOME_FAILED, .reason = mr_status_text(MR_ENOMEM)};
    struct mr__task *t = take(x, attempt);
    if (t == NULL) {
        report(x, &failure);
        return;
    }
    mr_status status = mr__attempt_is_job(t->action) ? enter(t) : MR_OK;
    if (status == MR_OK) {
        status = prepare(t);
    }
    if (status != MR_OK) {
        end(t, status);
    } else if (t->action->table->where == MR_ON_LOOP) {
        answered(t, run_phases(t));
    } else {
        start_worker(t);
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
        t = calloc(1, sizeof *t);
        if (t == NULL) {
            return NULL;
        }
    }
    t->head.host = &mr__task_host;
    t->exec = x;
    t->ref = attempt->ref;
    t->attempt = attempt;
    t->action = attempt->action;
    t->wait_ms = -1;
    atomic_store_explicit(&t->state, MR__TASK_RUNNING, memory_order_relaxed);
    return t;
}

static mr_status prepare(struct mr__task *t)
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
    if ((action->flags & MR_SPAWNS) != 0 && t->exec->has_table) {
        mr_status status = mr__child_table_enter(&t->exec->table, &t->entry->key, &t->entry->row);
        if (status != MR_OK) {
            t->entry->row = MR__CHILD_NO_ROW;
            return mr__task_fail(t, status, "the table of children is full (%u)",
                                 MR__CHILD_TABLE_ROWS);
        }
    }
    return MR_OK;
}

static void live_add(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
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

static mr_status run_phase(struct mr__task *t, mr_status (*phase)(mr_task *t))
{
    mr_status status = phase == NULL ? MR_OK : phase(&t->head);
    return status <= 0 ? status
                       : mr__task_fail(t, MR_EFAILED, "a phase of the action answered %d", status);
}

/* run_after waits until a pending attempt is finished. */
static mr_status run_phases(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    mr_status status = MR_OK;
    if (t->ref.attempt > 1 && action->retry_before != NULL) {
        status = run_phase(t, action->retry_before);
    }
    if (status == MR_OK && action->run_before != NULL) {
        status = run_phase(t, action->run_before);
    }
    if (status == MR_OK) {
        status = action->run(&t->head);
    }
    if (status == MR_OK && action->run_after != NULL) {
        status = run_phase(t, action->run_after);
    }
    return status;
}

/* ---- worker actions ---------------------------------------------------------------------------
 */

static void work(struct mr__pool_job *job);

static void start_worker(struct mr__task *t)
{
    pthread_condattr_t monotonic;
    mr_status status = mr__task_snapshot(t);
    t->attempt = NULL;
    t->shared = true;
    if (status == MR_OK) {
        t->has_wake = pthread_condattr_init(&monotonic) == 0;
        if (t->has_wake) {
            t->has_wake = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                          pthread_cond_init(&t->wake, &monotonic) == 0;
            (void)pthread_condattr_destroy(&monotonic);
        }
        status = t->has_wake ? MR_OK : MR_ENOMEM;
    }
    if (status == MR_OK) {
        live_add(t);
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
    mr_status status = run_phases(t);
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

/* A loop action's `run` has returned. */
static void answered(struct mr__task *t, mr_status status)
{
    struct mr__exec *x = t->exec;
    if (status != MR_PENDING) {
        t->shared = atomic_load(&t->queued); /* by a thread that `run` has waited for */
        if (status > 0) {
            status = mr__task_fail(t, MR_EFAILED, "the action answered %d", status);
        }
        if (t->process != NULL) { /* It ends with its child, which nobody waits for any more. */
            t->shared = true;
            t->finish_status = status;
            atomic_store(&t->state, MR__TASK_FINISHED);
            live_add(t);
            mr__process_end(t->process, 0);
            return;
        }
        end(t, status);
        return;
    }
    if (t->wait_ms >= 0 && atomic_load(&t->cancel_reason) != MR_NOT_CANCELED) {
        end(t, MR_ECANCELED);
        return;
    }
    if (t->wait_ms >= 0) {
        struct mr__attempt_ref ref = t->ref;
        int64_t ms = t->wait_ms;
        t->shared = atomic_load(&t->queued);
        if (t->entry != NULL) {
            mr__exec_entry_del(x, t->entry);
        }
        t->told = true;
        release(t);
        if (!x->closing) {
            x->events.waiting(x->events.user, &ref, ms);
        }
        return;
    }
    t->shared = true;
    live_add(t);
    status = mr__task_snapshot(t);
    t->attempt = NULL;
    if (status == MR_OK && t->entry == NULL) {
        status = enter(t);
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

void mr__attempt_finished(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    if (t->process != NULL) {
        mr__process_end(t->process, 0); /* mr__attempt_on_exit goes on. */
        return;
    }
    mr_status status = t->finish_status;
    if (status > 0) {
        status = mr__task_fail(t, MR_EFAILED, "the action finished with %d", status);
    }
    if (status == MR_OK && action->where == MR_ON_LOOP && action->run_after != NULL && !t->told) {
        mr__attempt_call_begin(t);
        status = run_phase(t, action->run_after);
        (void)mr__attempt_call_end(t);
    }
    end(t, status);
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

/* Tells the engine, unless it has been told. A job's entry stays until forget(). */
static void tell(struct mr__task *t, mr_status status)
{
    struct mr__exec *x = t->exec;
    struct mr__entry *entry = t->entry;
    if (t->told) {
        return;
    }
    struct mr__buf output = {0};
    struct mr__attempt_end told = {.ref = t->ref, .reason = ""};
    told.outcome =
        outcome_of(atomic_load_explicit(&t->cancel_reason, memory_order_relaxed), status);
    if (told.outcome == MR__OUTCOME_SUCCESS && t->output_count > 0) {
        if (mr__task_output_json(t, &output)) {
            told.output = (const char *)output.data;
            told.output_len = output.len;
        } else {
            told.outcome = MR__OUTCOME_FAILED;
            status = MR_ENOMEM;
        }
    }
    if (told.outcome == MR__OUTCOME_FAILED) {
        told.reason = t->reason != NULL ? t->reason : mr_status_text(status);
    }
    t->told = true;
    t->entry = NULL;
    if (entry != NULL && mr__attempt_is_job(t->action)) {
        entry->task = NULL;
    } else if (entry != NULL) {
        mr__exec_entry_del(x, entry);
    }
    report(x, &told);
    mr__buf_finish(&output);
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
        flush(t);
    }
    mr__attempt_call_begin(t); /* The engine may do anything while it is told. */
    tell(t, status);
    release(t);
    (void)mr__attempt_call_end(t);
}

static void recycle(struct mr__task *t);

/* Over: nothing reaches it any more. Its memory goes when no call of the plugin is under way. */
static void release(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    if (t->timers != NULL) {
        mr__task_close_timers(t);
    }
    if (t->shared) {
        live_del(t, t->abandoned ? &x->abandoned : &x->live);
        (void)pthread_mutex_lock(&x->mutex);
        atomic_store(&t->state, MR__TASK_FREE);
        (void)pthread_mutex_unlock(&x->mutex);
        flush(t);
    } else {
        atomic_store_explicit(&t->state, MR__TASK_FREE, memory_order_relaxed);
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
    if (--t->calls == 0 && released) {
        recycle(t);
    }
    return !released;
}

static void finish_parts(struct mr__task *t)
{
    const mr_task_info *info = atomic_load_explicit(&t->info, memory_order_relaxed);
    if (info != NULL) {
        free((void *)(uintptr_t)info);
        atomic_store_explicit(&t->info, NULL, memory_order_relaxed);
    }
    if (t->outputs != NULL) {
        mr__task_output_finish(t);
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
    free(*place);
    *place = t;
}

void mr__attempt_free(struct mr__task *t)
{
    struct mr__message *message = t->first;
    while (message != NULL) {
        struct mr__message *next = message->next;
        free(message);
        message = next;
    }
    finish_parts(t);
    mr__arena_finish(&t->arena);
    free(t);
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
    default: break; /* RUNNING: answered() looks at the reason; FINISHED: it is under way. */
    }
}

static void cancel_pending(struct mr__task *t)
{
    const mr_action *action = t->action->table;
    bool has_child = t->process != NULL;
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
    flush(t);
    mr__task_close_timers(t);
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
    if (!x->closing) {
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

/* ---- the mailbox ------------------------------------------------------------------------------
 */

void mr__attempt_wake_loop(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    if (atomic_load(&t->queued)) {
        return;
    }
    atomic_store(&t->queued, true);
    t->queue_next = NULL;
    if (x->queue_last != NULL) {
        x->queue_last->queue_next = t;
    } else {
        x->queue_first = t;
    }
    x->queue_last = t;
    (void)uv_async_send(&x->async);
}

/* True where nothing can be left with the attempt any more. */
static bool is_deaf(const struct mr__task *t)
{
    uint32_t state = atomic_load(&t->state);
    return t->exec->closed || state == MR__TASK_FREE || state == MR__TASK_ABANDONED ||
           (state == MR__TASK_FINISHED && t->finish_posted);
}

mr_status mr__attempt_push(struct mr__task *t, struct mr__message *message)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    while (!is_deaf(t) && atomic_load(&t->state) == MR__TASK_QUEUED &&
           t->queued_bytes >= MR__TASK_MAILBOX_BYTES) {
        (void)pthread_cond_wait(&x->room, &x->mutex); /* Only the worker comes here: t is safe. */
    }
    bool full =
        t->queued_bytes >= MR__TASK_MAILBOX_BYTES || t->queued_count >= MR__TASK_MESSAGES_MAX;
    mr_status status = is_deaf(t) ? MR_ECANCELED : full ? MR_ELIMIT : MR_OK;
    if (status == MR_OK) {
        message->next = NULL;
        if (t->last != NULL) {
            t->last->next = message;
        } else {
            t->first = message;
        }
        t->last = message;
        t->queued_bytes += message->len;
        t->queued_count++;
        mr__attempt_wake_loop(t);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (status != MR_OK) {
        free(message);
    }
    return status;
}

/* The oldest message, or NULL. **Owned**: free. */
static struct mr__message *pop_message(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__message *message = t->first;
    if (message != NULL) {
        bool was_full = t->queued_bytes >= MR__TASK_MAILBOX_BYTES;
        t->first = message->next;
        t->last = t->first == NULL ? NULL : t->last;
        t->queued_bytes -= message->len;
        t->queued_count--;
        if (was_full) {
            (void)pthread_cond_broadcast(&x->room);
        }
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return message;
}

static void deliver(struct mr__task *t, const struct mr__message *message)
{
    struct mr__exec *x = t->exec;
    if (t->told || x->closing) {
        return;
    }
    if (message->kind == MR__MESSAGE_TRACE) {
        x->events.trace(x->events.user, &t->ref, message->bytes, message->len);
    } else if (message->kind == MR__MESSAGE_LOG) {
        x->events.log(x->events.user, &t->ref, message->stream, message->bytes, message->len);
    }
}

/* Before an attempt's end: what was logged comes first, posts come no more; out of the mailbox. */
static void flush(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    for (struct mr__message *message; (message = pop_message(t)) != NULL;) {
        deliver(t, message);
        free(message);
    }
    (void)pthread_mutex_lock(&x->mutex);
    if (atomic_load(&t->queued)) {
        struct mr__task *before = NULL;
        for (struct mr__task *at = x->queue_first; at != t; at = at->queue_next) {
            before = at;
        }
        *(before == NULL ? &x->queue_first : &before->queue_next) = t->queue_next;
        x->queue_last = x->queue_last == t ? before : x->queue_last;
        atomic_store(&t->queued, false);
    }
    (void)pthread_mutex_unlock(&x->mutex);
}

static struct mr__task *pop_task(struct mr__exec *x)
{
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__task *t = x->queue_first;
    if (t != NULL) {
        x->queue_first = t->queue_next;
        x->queue_last = x->queue_first == NULL ? NULL : x->queue_last;
        atomic_store(&t->queued, false);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return t;
}

static void drain_notes(struct mr__exec *x)
{
    char *note;
    do {
        (void)pthread_mutex_lock(&x->mutex);
        note = x->note_count == 0 ? NULL : x->notes[--x->note_count];
        (void)pthread_mutex_unlock(&x->mutex);
        if (note != NULL && x->log != NULL) {
            x->log(x->log_user, 1, note);
        }
        free(note);
    } while (note != NULL);
}

void mr__attempt_drain(struct mr__exec *x)
{
    unsigned left = MESSAGES_PER_TURN;
    drain_notes(x);
    for (struct mr__task *t; (t = pop_task(x)) != NULL;) {
        mr__attempt_call_begin(t);
        for (struct mr__message *message; !t->released && (message = pop_message(t)) != NULL;) {
            left--;
            if (message->kind != MR__MESSAGE_POST) {
                deliver(t, message);
            } else if (atomic_load(&t->state) == MR__TASK_PENDING) {
                message->cb(&t->head, message->arg);
            }
            free(message);
            if (left == 0) {
                break;
            }
        }
        (void)pthread_mutex_lock(&x->mutex);
        if (left == 0 && !t->released) { /* The rest in another turn. */
            mr__attempt_wake_loop(t);
            (void)pthread_mutex_unlock(&x->mutex);
            (void)mr__attempt_call_end(t);
            return;
        }
        bool finished = t->finish_posted && atomic_load(&t->state) == MR__TASK_FINISHED;
        t->finish_posted = t->finish_posted && !finished; /* A child may have to end first. */
        (void)pthread_mutex_unlock(&x->mutex);
        if (finished && !t->released) {
            mr__attempt_finished(t);
        }
        (void)mr__attempt_call_end(t);
    }
}
