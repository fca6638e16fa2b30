/* SPDX-License-Identifier: MIT
 *
 * Commands: cancel, retry, continue, pause. Each is checked against the state first and then done
 * whole; one that does not fit changes nothing and says what the state is. Pure; loop thread.
 */
#include "core/scheduler/decide_impl.h"

#include <millrace/plugin.h>

static mr_status wrong_state(const struct mr__run *run, const char *verb, mr_error *reterr)
{
    if (mr__run_closing(run)) {
        return mr__error_set(reterr, MR_ECONFLICT, "cannot %s: the run is just ending (%s)", verb,
                             mr__run_status_name(run->hooks_status));
    }
    return mr__error_set(reterr, MR_ECONFLICT, "cannot %s: the run is %s", verb,
                         mr__run_status_name(run->status));
}

static mr_status wrong_task(const struct mr__run *run, uint32_t t, const char *verb,
                            mr_error *reterr)
{
    struct mr__buf name;
    mr__buf_init(&name);
    mr__run_task_name(run, t, &name);
    const char *text = mr__buf_cstr(&name);
    mr_status status =
        mr__error_set(reterr, MR_ECONFLICT, "cannot %s: task \"%.300s\" is %s", verb,
                      text == NULL ? "?" : text, mr__task_status_name(run->tasks[t].status));
    mr__buf_finish(&name);
    return status;
}

/* A fan-out stands for its children where it has some. */
static bool is_fan(const struct mr__run *run, uint32_t t)
{
    return (run->tasks[t].flags & MR__TASKFLAG_FANNED) != 0;
}

static const struct mr__fan *fan_at(const struct mr__run *run, uint32_t t)
{
    return &run->fans[run->details[t].fan];
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

/* Ends the attempt of a task that is under way. */
static void cancel_attempt(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    if (task->flags & MR__TASKFLAG_WAITING) {
        struct mr__ended ended = {
            .task = t, .attempt = task->attempt, .outcome = MR__OUTCOME_CANCELED};
        (void)mr__decide_ended(s, run, &ended);
    } else if ((task->flags & MR__TASKFLAG_CANCELING) == 0) {
        task->flags |= MR__TASKFLAG_CANCELING;
        mr__effect_push(s, &s->durable, MR__EFFECT_CANCEL, run->slot, t, MR_BY_USER);
    }
}

mr_status mr__decide_cancel(struct mr__scheduler *s, struct mr__run *run, enum mr__cancel_why why,
                            mr_error *reterr)
{
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0 || mr__run_closing(run)) {
        return wrong_state(run, "cancel", reterr);
    }
    if ((run->flags & MR__RUNFLAG_CANCELING) != 0) {
        return MR_OK; /* under way: said twice is not wrong */
    }
    struct mr__event event = {.type = MR__EVENT_CANCEL_REQUESTED, .outcome = (uint8_t)why};
    mr__decide_emit(s, run, &event);
    if (!s->failed) {
        mr__decide_close_fans(s, run);
    }
    uint32_t n = mr__run_begun(run) == 0 ? 0 : run->task_count;
    for (uint32_t t = 0;
         t < n && !s->failed && !(run->flags & MR__RUNFLAG_SETTLED) && !mr__run_closing(run); t++) {
        if (mr__task_begun(&run->tasks[t])) {
            cancel_attempt(s, run, t);
        }
    }
    mr__decide_advance(s, run);
    mr__decide_start_jobs(s); /* slots that this run had may have come free for others */
    return MR_OK;
}

static bool has_ended(const struct mr__task *task)
{
    return task->status == MR__TASK_SUCCESS || task->status == MR__TASK_FAILED ||
           task->status == MR__TASK_CANCELED || task->status == MR__TASK_SKIPPED;
}

static void cancel_task(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    bool under_way = mr__task_begun(task) &&
                     (task->flags & MR__TASKFLAG_PREPARING) == 0; /* preparing: not yet */
    if (has_ended(task) || (task->flags & MR__TASKFLAG_CANCELED) != 0 || s->failed) {
        return; /* said twice is not wrong */
    }
    if (is_fan(run, t) && task->status == MR__TASK_RUNNING) {
        const struct mr__fan *fan = fan_at(run, t);
        mr__decide_emit_task(s, run, MR__EVENT_TASK_CANCELING, t);
        for (uint32_t i = 0; i < fan->count && !s->failed; i++) {
            cancel_task(s, run, fan_at(run, t)->first + i); /* one level: children have none */
        }
    } else if (under_way) {
        mr__decide_emit_task(s, run, MR__EVENT_TASK_CANCELING, t);
        cancel_attempt(s, run, t);
    } else {
        mr__decide_set(s, run, t, MR__TASK_CANCELED, mr__blob_of("canceled"));
    }
}

mr_status mr__decide_cancel_tasks(struct mr__scheduler *s, struct mr__run *run,
                                  const uint32_t *tasks, size_t count, mr_error *reterr)
{
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0 || mr__run_closing(run)) {
        return wrong_state(run, "cancel", reterr);
    }
    for (size_t i = 0; i < count; i++) {
        if (has_ended(&run->tasks[tasks[i]])) {
            return wrong_task(run, tasks[i], "cancel", reterr);
        }
    }
    if (run->status == MR__RUN_BLOCKED) {
        mr__decide_reopen(s, run, 0); /* what is left may end it otherwise */
    }
    for (size_t i = 0; i < count && !(run->flags & MR__RUNFLAG_SETTLED); i++) {
        cancel_task(s, run, tasks[i]);
    }
    mr__decide_advance(s, run);
    mr__decide_start_jobs(s);
    return MR_OK;
}

/* ---- retry and continue -----------------------------------------------------------------------
 */

/* The run's time begins anew, and hooks may come before what follows. */
void mr__decide_reopen(struct mr__scheduler *s, struct mr__run *run, uint32_t hooks)
{
    if (run->status != MR__RUN_RUNNING) {
        mr__decide_emit_task(s, run, MR__EVENT_RUN_REOPENED, 0);
        if (run->plan->dag->timeout_ms > 0) {
            mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, run->slot, 0, 0);
        }
    }
    if (run->hooks_due == 0) {
        (void)mr__decide_hooks(s, run, hooks, MR__RUN_RUNNING, (struct mr__blob){NULL, 0});
    }
}

static bool in_status(const struct mr__run *run, uint32_t t, uint32_t statuses)
{
    return (statuses & 1u << run->tasks[t].status) != 0;
}

/* Whether the task, or for a fan-out a child of it, is in one of the statuses. */
static bool is_meant(const struct mr__run *run, uint32_t t, uint32_t statuses)
{
    bool found = in_status(run, t, statuses);
    if (is_fan(run, t)) {
        const struct mr__fan *fan = fan_at(run, t);
        for (uint32_t i = 0; i < fan->count && !found; i++) {
            found = in_status(run, fan->first + i, statuses);
        }
    }
    return found;
}

/* One task takes the event: a fan-out first itself, if it has ended, then its children. */
static void take(struct mr__scheduler *s, struct mr__run *run, uint32_t t, uint32_t statuses,
                 uint8_t type)
{
    const struct mr__fan *fan = mr__run_fan(run, t);
    if (fan != NULL && in_status(run, t, statuses) && in_status(run, fan->task, statuses)) {
        mr__decide_emit_task(s, run, type, fan->task); /* it goes on, for this child's sake */
    }
    if (!s->failed && in_status(run, t, statuses)) {
        mr__decide_emit_task(s, run, type, t);
    }
    if (is_fan(run, t)) {
        fan = fan_at(run, t);
        for (uint32_t i = 0; i < fan->count && !s->failed; i++) {
            if (in_status(run, fan->first + i, statuses)) {
                mr__decide_emit_task(s, run, type, fan->first + i);
            }
        }
    }
}

/* All that are meant take the event, before anything starts. */
static void take_all(struct mr__scheduler *s, struct mr__run *run, const uint32_t *tasks,
                     size_t count, uint32_t statuses, uint8_t type)
{
    for (size_t i = 0; i < count && !s->failed; i++) {
        take(s, run, tasks[i], statuses, type);
    }
    for (uint32_t t = 0; t < run->task_count && count == 0 && !s->failed; t++) {
        if (in_status(run, t, statuses)) {
            mr__decide_emit_task(s, run, type, t);
        }
    }
    /* A fan-out without a child to do again has ended once more. */
    if (!s->failed) {
        mr__decide_close_fans(s, run);
    }
}

mr_status mr__decide_retry(struct mr__scheduler *s, struct mr__run *run, const uint32_t *tasks,
                           size_t count, mr_error *reterr)
{
    const uint32_t bad = 1u << MR__TASK_FAILED | 1u << MR__TASK_CANCELED;
    bool open = run->status == MR__RUN_RUNNING || run->status == MR__RUN_BLOCKED;
    bool stands = run->status == MR__RUN_FAILED || run->status == MR__RUN_CANCELED;
    if ((run->flags & MR__RUNFLAG_CANCELING) != 0 && !stands) {
        return mr__error_set(reterr, MR_ECONFLICT, "cannot retry: the run is being canceled");
    }
    if (!(stands || open) || mr__run_closing(run)) {
        return wrong_state(run, "retry", reterr);
    }
    if (run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] == 0) {
        return mr__error_set(reterr, MR_ECONFLICT,
                             "cannot retry: no task of the run is failed or canceled (it is %s)",
                             mr__run_status_name(run->status));
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_meant(run, tasks[i], bad)) {
            return wrong_task(run, tasks[i], "retry", reterr);
        }
    }
    mr__decide_reopen(s, run, 1u << MR__HOOK_BEFORE_RETRY);
    take_all(s, run, tasks, count, bad, MR__EVENT_TASK_RETRIED);
    mr__decide_advance(s, run);
    return MR_OK;
}

mr_status mr__decide_continue(struct mr__scheduler *s, struct mr__run *run, const uint32_t *tasks,
                              size_t count, mr_error *reterr)
{
    const uint32_t blocked = 1u << MR__TASK_BLOCKED;
    bool open = run->status == MR__RUN_RUNNING || run->status == MR__RUN_BLOCKED;
    if (!open || mr__run_closing(run)) {
        return wrong_state(run, "continue", reterr);
    }
    if (run->count[MR__TASK_BLOCKED] == 0) {
        return mr__error_set(reterr, MR_ECONFLICT,
                             "cannot continue: no task of the run is blocked (it is %s)",
                             mr__run_status_name(run->status));
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_meant(run, tasks[i], blocked)) {
            return wrong_task(run, tasks[i], "continue", reterr);
        }
    }
    mr__decide_reopen(s, run, 1u << MR__HOOK_BEFORE_CONTINUE);
    take_all(s, run, tasks, count, blocked, MR__EVENT_TASK_CONTINUED);
    mr__decide_advance(s, run);
    return MR_OK;
}

/* ---- pause ------------------------------------------------------------------------------------
 */

mr_status mr__decide_pause(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    bool open = run->status == MR__RUN_INIT || run->status == MR__RUN_RUNNING;
    if (!open || mr__run_closing(run)) {
        return wrong_state(run, "pause", reterr);
    }
    if ((run->flags & MR__RUNFLAG_CANCELING) != 0) {
        return mr__error_set(reterr, MR_ECONFLICT, "cannot pause: the run is being canceled");
    }
    mr__decide_emit_task(s, run, MR__EVENT_RUN_PAUSED, 0);
    return MR_OK;
}

mr_status mr__decide_unpause(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    if (run->status != MR__RUN_PAUSED) {
        return wrong_state(run, "unpause", reterr);
    }
    mr__decide_emit_task(s, run, MR__EVENT_RUN_UNPAUSED, 0);
    if (run->plan->dag->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, run->slot, 0, 0);
    }
    /* What was about to begin when it was paused has said so, and is asked again. */
    for (uint32_t t = 0; t < run->task_count && run->preparing_count > 0 && !s->failed; t++) {
        if (run->tasks[t].flags & MR__TASKFLAG_PREPARED) {
            mr__effect_push(s, &s->durable, MR__EFFECT_BEFORE, run->slot, t,
                            mr__run_attempt(run, t));
        }
    }
    mr__decide_advance(s, run);
    return MR_OK;
}
