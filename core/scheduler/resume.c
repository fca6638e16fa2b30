/* SPDX-License-Identifier: MIT
 *
 * From state to effects. Pure; loop thread.
 */
#include "core/scheduler/resume.h"

#include <millrace/plugin.h>

/* An attempt that the journal says is under way. */
static void resume_attempt(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                           mr__fate_fn fate, void *user)
{
    struct mr__task *task = &run->tasks[t];
    uint32_t attempt = mr__run_attempt(run, t);
    bool canceling =
        (run->flags & MR__RUNFLAG_CANCELING) != 0 || (task->flags & MR__TASKFLAG_CANCELED) != 0;
    bool before = (task->flags & MR__TASKFLAG_PREPARED) != 0;
    struct mr__ended ended = {.task = t, .attempt = attempt, .outcome = MR__OUTCOME_LOST};
    if (mr__run_dag_task(run, t)->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_DEADLINE, run->slot, t, attempt);
    }
    if (task->flags & MR__TASKFLAG_WAITING) {
        if (canceling) {
            ended.outcome = MR__OUTCOME_CANCELED;
            (void)mr__decide_ended(s, run, &ended);
        } else {
            mr__effect_push(s, &s->now, MR__EFFECT_WAIT, run->slot, t, attempt);
        }
        return;
    }
    /* These phases may be called again; whoever is in one already is not called twice. */
    if (before) {
        mr__decide_ask_before(s, run, t);
        return;
    }
    if (task->status == MR__TASK_ENDING) {
        mr__effect_push(s, &s->durable, MR__EFFECT_AFTER, run->slot, t, attempt);
        if (canceling) {
            mr__effect_push(s, &s->durable, MR__EFFECT_CANCEL, run->slot, t, MR_BY_USER);
        }
        return;
    }
    switch (fate(user, run, t)) {
    case MR__RESUME_RUNNING:
        if (canceling) {
            mr__effect_push(s, &s->durable, MR__EFFECT_CANCEL, run->slot, t, MR_BY_USER);
        } else if ((mr__run_binding(run, t)->flags & MR__ACTION_BEFORE) != 0) {
            /* What comes before it was called here; whether it was told to go on, nobody knows. */
            mr__effect_push(s, &s->durable, MR__EFFECT_START, run->slot, t, attempt);
        }
        break;
    case MR__RESUME_NOT_BEGUN:
        if (canceling) {
            ended.outcome = MR__OUTCOME_CANCELED;
            (void)mr__decide_ended(s, run, &ended);
        } else {
            mr__effect_push(s, &s->durable, MR__EFFECT_START, run->slot, t, attempt);
        }
        break;
    default: /* pushed first: the run may be over after this */
        mr__effect_push(s, &s->durable, MR__EFFECT_FORGET, run->slot, t, attempt);
        (void)mr__decide_ended(s, run, &ended);
        break;
    }
}

/* What waits without an attempt: for its judge, for its next attempt's time. */
static void resume_waiting(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    if (task->flags & MR__TASKFLAG_JUDGING) {
        mr__effect_push(s, &s->now, MR__EFFECT_JUDGE, run->slot, t, 0);
    } else if (task->flags & MR__TASKFLAG_DELAYED) {
        mr__effect_push(s, &s->now, MR__EFFECT_DELAY, run->slot, t, task->attempt);
    }
}

void mr__resume_run(struct mr__scheduler *s, struct mr__run *run, mr__fate_fn fate, void *user)
{
    uint32_t n = run->task_count;
    if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
        return;
    }
    /* Every slot is counted before anything starts: an end that comes first frees its own. */
    for (uint32_t t = 0; t < n; t++) {
        if (mr__task_begun(&run->tasks[t])) {
            s->jobs_used += mr__task_is_job(run, t);
            run->tasks[t].flags |= MR__TASKFLAG_RESUMING;
        }
        resume_waiting(s, run, t);
    }
    run->flags &= (uint8_t) ~(MR__RUNFLAG_DORMANT | MR__RUNFLAG_RESUMING);
    s->dormant_count--;
    if (run->plan->dag->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, run->slot, 0, 0);
    }
    if (run->hooks_due != 0) {
        mr__effect_push(s, &s->durable, MR__EFFECT_HOOK, run->slot, 0, run->hooks_due);
    }
    /* Only what ran before: an end may start others, whose attempts are not to be looked at. */
    for (uint32_t t = 0; t < n && !s->failed && !(run->flags & MR__RUNFLAG_SETTLED); t++) {
        if ((run->tasks[t].flags & MR__TASKFLAG_RESUMING) != 0) {
            run->tasks[t].flags &= (uint16_t)~MR__TASKFLAG_RESUMING;
            resume_attempt(s, run, t, fate, user);
        }
    }
    mr__decide_advance(s, run);
}
