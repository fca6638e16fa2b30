/* SPDX-License-Identifier: MIT
 *
 * What ends an attempt, or a wait: results, losses, timers; and what a retry policy makes of a
 * failure. Pure; loop thread.
 */
#include "core/scheduler/decide_impl.h"

#include <stdio.h>

#include <millrace/plugin.h>

#include "core/base/clock.h"

/* ---- the end of an attempt --------------------------------------------------------------------
 */

/* Somebody wants it to end: its run is canceled, or the task itself. */
static bool is_unwanted(const struct mr__run *run, uint32_t t)
{
    return (run->flags & MR__RUNFLAG_CANCELING) != 0 ||
           (run->tasks[t].flags & MR__TASKFLAG_CANCELED) != 0;
}

static uint8_t status_after_loss(const struct mr__run *run, uint32_t task)
{
    uint8_t on_lost = mr__run_dag_task(run, task)->on_lost;
    if (is_unwanted(run, task)) {
        return MR__TASK_CANCELED;
    }
    if (run->tasks[task].lost + 1u >= MR__LOST_MAX) {
        return MR__TASK_FAILED;
    }
    if (on_lost == MR__ON_LOST_DEFAULT) {
        bool idempotent = (mr__run_binding(run, task)->flags & MR__ACTION_IDEMPOTENT) != 0;
        on_lost = idempotent ? MR__ON_LOST_RETRY : MR__ON_LOST_FAIL;
    }
    return on_lost == MR__ON_LOST_RETRY  ? MR__TASK_RETRYING
           : on_lost == MR__ON_LOST_FAIL ? MR__TASK_FAILED
                                         : MR__TASK_BLOCKED;
}

/* A failure that its retry policy may follow with another attempt. */
static uint8_t status_after_failure(const struct mr__run *run, uint32_t task)
{
    const struct mr__detail *detail = mr__run_detail(run, task);
    uint32_t retries = detail == NULL ? 0 : detail->retries;
    if (is_unwanted(run, task)) {
        return MR__TASK_CANCELED;
    }
    return retries < mr__run_dag_task(run, task)->retry.max ? MR__TASK_RETRYING : MR__TASK_FAILED;
}

#define LOST_REASON "lost: the engine stopped while it ran"

/* The status and reason with which the attempt's end is recorded. `text` holds a reason made here.
 */
static void judge(const struct mr__run *run, const struct mr__ended *ended, struct mr__event *event,
                  char *text, size_t text_bytes)
{
    bool unwanted = is_unwanted(run, ended->task);
    const char *made = NULL;
    switch (ended->outcome) {
    case MR__OUTCOME_SUCCESS:
        event->status = MR__TASK_SUCCESS;
        made = unwanted ? "success after canceled" : NULL;
        break;
    case MR__OUTCOME_CANCELED:
        event->status = MR__TASK_CANCELED;
        made = ended->reason.len == 0 ? "canceled" : NULL;
        break;
    case MR__OUTCOME_TIMED_OUT: {
        char limit[MR__TIME_TEXT_BYTES];
        mr__duration_text(mr__run_dag_task(run, ended->task)->timeout_ms, limit);
        (void)snprintf(text, text_bytes, "timed out after %s", limit);
        event->status = status_after_failure(run, ended->task);
        made = text;
        break;
    }
    case MR__OUTCOME_LOST:
        event->status = status_after_loss(run, ended->task);
        made = LOST_REASON;
        if (!unwanted && run->tasks[ended->task].lost + 1u >= MR__LOST_MAX) {
            (void)snprintf(text, text_bytes, "lost %u times: the engine stopped while it ran",
                           run->tasks[ended->task].lost + 1u);
            made = text;
        }
        break;
    default: event->status = status_after_failure(run, ended->task); break;
    }
    if (made != NULL) {
        event->reason = mr__blob_of(made);
    }
}

/* How long until the next attempt: fixed or doubled each time, up to the maximum, less what jitter
 * takes away. The same for the same attempt of the same run: replaying needs no luck. */
static int64_t retry_delay(const struct mr__run *run, uint32_t t)
{
    const struct mr__retry *retry = &mr__run_dag_task(run, t)->retry;
    const struct mr__detail *detail = mr__run_detail(run, t);
    uint32_t before = detail == NULL ? 0 : detail->retries;
    int64_t ms = retry->delay_ms;
    if (retry->backoff == MR__BACKOFF_EXPONENTIAL) {
        for (uint32_t i = 0; i < before && ms < MR__RETRY_DELAY_MS_MAX; i++) {
            ms *= 2;
        }
    }
    ms = MR__MIN(ms, retry->max_delay_ms > 0 ? retry->max_delay_ms : MR__RETRY_DELAY_MS_MAX);
    if (retry->jitter > 0) {
        uint8_t seed[MR__RUN_ID_BYTES + 8];
        uint32_t attempt = run->tasks[t].attempt;
        memcpy(seed, run->id, MR__RUN_ID_BYTES);
        memcpy(seed + MR__RUN_ID_BYTES, &t, 4);
        memcpy(seed + MR__RUN_ID_BYTES + 4, &attempt, 4);
        double luck = (double)(mr__hash64(seed, sizeof seed) >> 11) / (double)(UINT64_C(1) << 53);
        ms -= (int64_t)((double)ms * retry->jitter * luck);
    }
    return ms;
}

static void delay(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    struct mr__event event = {.type = MR__EVENT_TASK_DELAYED, .task = t, .ms = retry_delay(run, t)};
    mr__decide_emit(s, run, &event);
    if (event.ms == 0) {
        mr__decide_emit_task(s, run, MR__EVENT_TASK_DUE, t);
    } else {
        mr__effect_push(s, &s->now, MR__EFFECT_DELAY, run->slot, t, run->tasks[t].attempt);
    }
}

void mr__decide_judged(struct mr__scheduler *s, struct mr__run *run, uint32_t task, bool retry,
                       struct mr__blob reason)
{
    struct mr__event ended = {0};
    if (task >= run->task_count || (run->tasks[task].flags & MR__TASKFLAG_JUDGING) == 0 ||
        (run->flags & MR__RUNFLAG_DORMANT) != 0) {
        return; /* canceled meanwhile */
    }
    if (retry) {
        delay(s, run, task);
    } else {
        char text[MR__REASON_BYTES_MAX]; /* the log moves as it grows */
        if (reason.len == 0 && mr__run_task_event(run, task, &ended) && ended.reason.len > 0) {
            reason.len = MR__MIN(ended.reason.len, sizeof text);
            memcpy(text, ended.reason.data, reason.len);
            reason.data = text;
        }
        mr__decide_set(s, run, task, MR__TASK_FAILED, reason);
    }
    mr__decide_advance(s, run);
}

/* What waited for a task that succeeded after it was canceled is canceled in its place. */
static void cancel_children(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    for (uint32_t i = 0; i < dag->tasks[t].child_count && !s->failed; i++) {
        uint32_t child = dag->children[dag->tasks[t].first_child + i];
        if (run->tasks[child].status == MR__TASK_INIT &&
            dag->tasks[child].when == MR__WHEN_SUCCESS) {
            mr__decide_set(s, run, child, MR__TASK_CANCELED,
                           mr__blob_of("canceled: a task before it succeeded after canceled"));
        }
    }
}

bool mr__decide_ended(struct mr__scheduler *s, struct mr__run *run, const struct mr__ended *ended)
{
    char text[128];
    uint32_t t = ended->task;
    if (!mr__attempt_is_current(run, t, ended->attempt)) {
        return false;
    }
    if ((run->tasks[t].flags & MR__TASKFLAG_PREPARED) != 0) {
        /* In run_before: an attempt all the same. */
        mr__decide_emit_task(s, run, MR__EVENT_ATTEMPT_STARTED, t);
    }
    struct mr__event event = {
        .type = MR__EVENT_ATTEMPT_ENDED,
        .task = t,
        .outcome = (uint8_t)ended->outcome,
        .reason = {ended->reason.data, MR__MIN(ended->reason.len, MR__REASON_BYTES_MAX)},
        .payload = ended->output,
    };
    bool canceled = (run->tasks[t].flags & MR__TASKFLAG_CANCELED) != 0;
    if (ended->outcome == MR__OUTCOME_SUCCESS) {
        event.reason.len = 0;
    }
    judge(run, ended, &event, text, sizeof text);
    mr__decide_emit(s, run, &event);
    if (run->tasks[t].flags & MR__TASKFLAG_JUDGING) {
        if (mr__run_dag_task(run, t)->retry.filter == MR__NO_SCRIPT) {
            delay(s, run, t);
        } else {
            mr__effect_push(s, &s->now, MR__EFFECT_JUDGE, run->slot, t, 0);
        }
    } else if (event.status == MR__TASK_SUCCESS && canceled && t < run->plan->dag->task_count) {
        cancel_children(s, run, t);
    }
    mr__decide_close_fan_of(s, run, t);
    mr__decide_advance(s, run);
    return true;
}

bool mr__decide_ending(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                       uint32_t attempt, struct mr__blob output)
{
    if (!mr__attempt_is_current(run, task, attempt) ||
        run->tasks[task].status != MR__TASK_RUNNING) {
        return false;
    }
    struct mr__event event = {.type = MR__EVENT_ATTEMPT_ENDING, .task = task, .payload = output};
    mr__decide_emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_AFTER, run->slot, task, attempt);
    return true;
}

/* ---- waiting and timers -----------------------------------------------------------------------
 */

bool mr__decide_waiting(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                        uint32_t attempt, int64_t ms)
{
    if (!mr__attempt_is_current(run, task, attempt) ||
        run->tasks[task].status != MR__TASK_RUNNING ||
        (run->tasks[task].flags & MR__TASKFLAG_WAITING) != 0) {
        return false;
    }
    struct mr__event event = {.type = MR__EVENT_ATTEMPT_WAITING, .task = task, .ms = ms};
    mr__decide_emit(s, run, &event);
    if (s->failed) {
        return true;
    }
    bool canceling = is_unwanted(run, task);
    if (canceling || (run->tasks[task].flags & MR__TASKFLAG_TIMED_OUT) != 0) {
        /* The executor, which was to be told to end it, has forgotten it. */
        struct mr__ended ended = {.task = task,
                                  .attempt = attempt,
                                  .outcome =
                                      canceling ? MR__OUTCOME_CANCELED : MR__OUTCOME_TIMED_OUT};
        (void)mr__decide_ended(s, run, &ended); /* it is current: checked above */
    } else {
        mr__effect_push(s, &s->now, MR__EFFECT_WAIT, run->slot, task, attempt);
    }
    return true;
}

void mr__decide_timer(struct mr__scheduler *s, struct mr__run *run, enum mr__timer_kind kind,
                      uint32_t task, uint32_t attempt)
{
    if ((run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) != 0) {
        return;
    }
    if (kind == MR__TIMER_RUN) {
        if ((run->flags & MR__RUNFLAG_CANCELING) == 0 && run->status != MR__RUN_BLOCKED &&
            run->status != MR__RUN_PAUSED && !mr__run_closing(run)) {
            (void)mr__decide_cancel(s, run, MR__CANCEL_BY_RUN_TIMEOUT, NULL);
        }
        return;
    }
    if (kind == MR__TIMER_RETRY) {
        if (task < run->task_count && run->tasks[task].attempt == attempt &&
            (run->tasks[task].flags & MR__TASKFLAG_DELAYED) != 0) {
            mr__decide_emit_task(s, run, MR__EVENT_TASK_DUE, task);
            mr__decide_advance(s, run);
        }
        return;
    }
    if (!mr__attempt_is_current(run, task, attempt)) {
        return;
    }
    struct mr__task *it = &run->tasks[task];
    if ((it->flags & MR__TASKFLAG_WAITING) != 0) {
        bool late = kind == MR__TIMER_DEADLINE;
        struct mr__ended ended = {.task = task,
                                  .attempt = attempt,
                                  .outcome = late ? MR__OUTCOME_TIMED_OUT : MR__OUTCOME_SUCCESS};
        (void)mr__decide_ended(s, run, &ended);
    } else if (kind == MR__TIMER_DEADLINE && (it->flags & MR__TASKFLAG_CANCELING) == 0) {
        it->flags |= MR__TASKFLAG_CANCELING | MR__TASKFLAG_TIMED_OUT;
        mr__effect_push(s, &s->durable, MR__EFFECT_CANCEL, run->slot, task, MR_BY_TIMEOUT);
    }
}
