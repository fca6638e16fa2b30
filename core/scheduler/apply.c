/* SPDX-License-Identifier: MIT
 *
 * The transition tables, and what each event does. Pure; loop thread.
 */
#include "core/scheduler/apply.h"

#include <stdlib.h>

#define TO(status) (1u << MR__TASK_##status)

/* Every legal change of a task's status: from the row to the columns named. */
static const uint16_t task_transitions[MR__TASK_STATUSES] = {
    [MR__TASK_INIT] = TO(RUNNING) | TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(SKIPPED) |
                      TO(BLOCKED), /* success: a gate */
    [MR__TASK_RUNNING] = TO(ENDING) | TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(BLOCKED) |
                         TO(RETRYING), /* blocked: lost, and onLost asks; retrying: lost */
    [MR__TASK_ENDING] = TO(SUCCESS) | TO(FAILED) | TO(CANCELED),
    [MR__TASK_RETRYING] = TO(RUNNING) | TO(FAILED) | TO(CANCELED),
    [MR__TASK_CONTINUE] = TO(RUNNING) | TO(FAILED) | TO(CANCELED) | TO(SUCCESS),
    [MR__TASK_SUCCESS] = 0,
    [MR__TASK_FAILED] = TO(RETRYING) | TO(INIT),
    [MR__TASK_CANCELED] = TO(RETRYING) | TO(INIT),
    [MR__TASK_SKIPPED] = 0,
    [MR__TASK_BLOCKED] = TO(CONTINUE) | TO(CANCELED),
};

/* The statuses that a TASK_SET may give, and a RUN_SETTLED; the others have events of their own. */
#define SET_STATUSES     (TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(SKIPPED) | TO(BLOCKED))
#define SETTLED_STATUSES (RUN_TO(SUCCESS) | RUN_TO(FAILED) | RUN_TO(CANCELED) | RUN_TO(BLOCKED))

#define RUN_TO(status) (1u << MR__RUN_##status)

static const uint16_t run_transitions[MR__RUN_STATUSES] = {
    [MR__RUN_INIT] = RUN_TO(SCHEDULED) | RUN_TO(RUNNING) | RUN_TO(FAILED) | RUN_TO(CANCELED),
    [MR__RUN_SCHEDULED] = RUN_TO(RUNNING) | RUN_TO(CANCELED),
    [MR__RUN_RUNNING] =
        RUN_TO(SUCCESS) | RUN_TO(FAILED) | RUN_TO(CANCELED) | RUN_TO(BLOCKED) | RUN_TO(PAUSED),
    [MR__RUN_FAILED] = RUN_TO(RUNNING),
    [MR__RUN_CANCELED] = RUN_TO(RUNNING),
    [MR__RUN_BLOCKED] = RUN_TO(RUNNING) | RUN_TO(CANCELED) | RUN_TO(FAILED),
    [MR__RUN_PAUSED] = RUN_TO(RUNNING) | RUN_TO(CANCELED),
};

/* ---- ready lists ------------------------------------------------------------------------------
 */

bool mr__task_is_job(const struct mr__run *run, uint32_t t)
{
    return (run->plan->bindings[t].flags & MR__ACTION_JOB) != 0;
}

static struct mr__ready *ready_list(struct mr__run *run, uint32_t t)
{
    return mr__task_is_job(run, t) ? &run->ready_job : &run->ready_free;
}

static void ready_add(struct mr__run *run, uint32_t t)
{
    struct mr__ready *list = ready_list(run, t);
    struct mr__task *task = &run->tasks[t];
    MR_ASSERT((task->flags & MR__TASKFLAG_READY) == 0);
    task->flags |= MR__TASKFLAG_READY;
    task->next = MR__NONE;
    task->prev = list->tail;
    *(list->tail == MR__NONE ? &list->head : &run->tasks[list->tail].next) = t;
    list->tail = t;
    run->ready_count++;
}

void mr__ready_remove(struct mr__run *run, uint32_t t)
{
    struct mr__ready *list = ready_list(run, t);
    struct mr__task *task = &run->tasks[t];
    if ((task->flags & MR__TASKFLAG_READY) == 0) {
        return;
    }
    task->flags &= (uint8_t)~MR__TASKFLAG_READY;
    *(task->prev == MR__NONE ? &list->head : &run->tasks[task->prev].next) = task->next;
    *(task->next == MR__NONE ? &list->tail : &run->tasks[task->next].prev) = task->prev;
    task->next = task->prev = MR__NONE;
    run->ready_count--;
}

/* ---- pieces -----------------------------------------------------------------------------------
 */

static bool task_may_become(const struct mr__run *run, uint32_t t, uint8_t status)
{
    return (task_transitions[run->tasks[t].status] & 1u << status) != 0;
}

static bool holds_job(uint8_t status)
{
    return status == MR__TASK_RUNNING || status == MR__TASK_ENDING;
}

/* Sets a status that was found legal, with everything that counts statuses. */
static void task_become(struct mr__scheduler *s, struct mr__run *run, uint32_t t, uint8_t status)
{
    struct mr__task *task = &run->tasks[t];
    mr__ready_remove(run, t);
    bool held = holds_job(task->status);
    if (task->flags & MR__TASKFLAG_PREPARING) {
        task->flags &= (uint8_t)~MR__TASKFLAG_PREPARING;
        run->preparing_count--;
        held = true;
    }
    if ((run->flags & MR__RUNFLAG_DORMANT) == 0 && mr__task_is_job(run, t)) {
        s->jobs_used += (uint32_t)holds_job(status) - (uint32_t)held;
    }
    run->count[task->status]--;
    run->count[status]++;
    task->status = status;
}

static void children_open(struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const uint32_t *child = dag->children + dag->tasks[t].first_child;
    for (uint32_t i = 0; i < dag->tasks[t].child_count; i++) {
        struct mr__task *task = &run->tasks[child[i]];
        MR_ASSERT(task->open > 0);
        if (--task->open == 0 && task->status == MR__TASK_INIT) {
            ready_add(run, child[i]);
        }
    }
}

static void run_begins(struct mr__run *run, const struct mr__event *event)
{
    if (run->status == MR__RUN_INIT) {
        run->status = MR__RUN_RUNNING;
        run->began_ms = event->time_ms;
    }
}

/* A number per task that most runs never need, made when it is first needed. */
static bool by_task(const struct mr__run *run, void *array, size_t bytes)
{
    void **where = array;
    if (*where == NULL) {
        *where = calloc(run->plan->dag->task_count, bytes);
    }
    return *where != NULL;
}

/* ---- one function per event -------------------------------------------------------------------
 */

static mr_status apply_created(struct mr__run *run, const struct mr__event *event)
{
    const struct mr__plan *plan = run->plan;
    run->created_ms = run->timed_from_ms = event->time_ms;
    for (uint32_t i = 0; i < plan->root_count; i++) {
        ready_add(run, plan->roots[i]);
    }
    return MR_OK;
}

static mr_status apply_started(struct mr__scheduler *s, struct mr__run *run,
                               const struct mr__event *event)
{
    uint32_t t = event->task;
    struct mr__task *task = &run->tasks[t];
    if ((task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_PREPARING)) == 0 ||
        !task_may_become(run, t, MR__TASK_RUNNING)) {
        return MR_EFORMAT;
    }
    if (run->plan->dag->tasks[t].timeout_ms > 0) {
        if (!by_task(run, &run->started_ms, sizeof *run->started_ms)) {
            return MR_ENOMEM;
        }
        run->started_ms[t] = event->time_ms;
    }
    if (event->payload.data != NULL) {
        if (!by_task(run, &run->params_at, sizeof *run->params_at)) {
            return MR_ENOMEM;
        }
        run->params_at[t] = run->event_at + 1;
    }
    task_become(s, run, t, MR__TASK_RUNNING);
    task->attempt++;
    task->flags = MR__TASKFLAG_BEGUN;
    run_begins(run, event);
    return MR_OK;
}

static mr_status apply_waiting(struct mr__run *run, const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    if (task->status != MR__TASK_RUNNING || (task->flags & MR__TASKFLAG_WAITING) != 0) {
        return MR_EFORMAT;
    }
    if (!by_task(run, &run->wait_ms, 2 * sizeof *run->wait_ms)) {
        return MR_ENOMEM;
    }
    run->wait_ms[2 * event->task] =
        event->ms > INT64_MAX - MR__MAX(event->time_ms, 0) ? INT64_MAX : event->time_ms + event->ms;
    run->wait_ms[2 * event->task + 1] = event->ms;
    task->flags |= MR__TASKFLAG_WAITING;
    return MR_OK;
}

static mr_status apply_ended(struct mr__scheduler *s, struct mr__run *run,
                             const struct mr__event *event)
{
    uint32_t t = event->task;
    struct mr__task *task = &run->tasks[t];
    if (!holds_job(task->status) || event->status == MR__TASK_ENDING ||
        !task_may_become(run, t, event->status)) {
        return MR_EFORMAT;
    }
    task_become(s, run, t, event->status);
    task->flags &= MR__TASKFLAG_BEGUN;
    if (event->outcome == MR__OUTCOME_LOST && task->lost < UINT8_MAX) {
        task->lost++;
    }
    run->output_bytes += event->payload.len;
    if (event->status == MR__TASK_SUCCESS) {
        children_open(run, t);
    } else if (event->status == MR__TASK_RETRYING) {
        ready_add(run, t);
    }
    return MR_OK;
}

static mr_status apply_set(struct mr__scheduler *s, struct mr__run *run,
                           const struct mr__event *event)
{
    uint32_t t = event->task;
    bool its_turn = (run->tasks[t].flags & (MR__TASKFLAG_READY | MR__TASKFLAG_PREPARING)) != 0;
    if ((!its_turn && event->status != MR__TASK_CANCELED) || holds_job(run->tasks[t].status) ||
        (SET_STATUSES & 1u << event->status) == 0 || !task_may_become(run, t, event->status)) {
        return MR_EFORMAT;
    }
    task_become(s, run, t, event->status);
    run_begins(run, event);
    if (event->status == MR__TASK_SUCCESS || event->status == MR__TASK_SKIPPED) {
        children_open(run, t);
    }
    return MR_OK;
}

/* All that has not begun is canceled by this one event; what runs ends by events of its own. */
static mr_status apply_cancel(struct mr__scheduler *s, struct mr__run *run,
                              const struct mr__event *event)
{
    if ((run->flags & (MR__RUNFLAG_CANCELING | MR__RUNFLAG_SETTLED)) != 0) {
        return MR_EFORMAT;
    }
    run->flags |= MR__RUNFLAG_CANCELING;
    run->flags |= event->outcome == MR__CANCEL_BY_RUN_TIMEOUT ? MR__RUNFLAG_TIMED_OUT : 0;
    if (run->status == MR__RUN_BLOCKED) {
        run->status = MR__RUN_RUNNING;
    }
    for (uint32_t t = 0; t < run->plan->dag->task_count; t++) {
        if (!holds_job(run->tasks[t].status) && task_may_become(run, t, MR__TASK_CANCELED)) {
            task_become(s, run, t, MR__TASK_CANCELED);
        }
    }
    return MR_OK;
}

static mr_status apply_retried(struct mr__scheduler *s, struct mr__run *run,
                               const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    uint8_t status = task->attempt > 0 ? MR__TASK_RETRYING : MR__TASK_INIT;
    if (!task_may_become(run, event->task, status) || run->status != MR__RUN_RUNNING) {
        return MR_EFORMAT;
    }
    task_become(s, run, event->task, status);
    task->lost = 0;
    task->flags = 0;
    if (task->open == 0) {
        ready_add(run, event->task);
    }
    return MR_OK;
}

static mr_status apply_continued(struct mr__scheduler *s, struct mr__run *run,
                                 const struct mr__event *event)
{
    if (!task_may_become(run, event->task, MR__TASK_CONTINUE) || run->status != MR__RUN_RUNNING) {
        return MR_EFORMAT;
    }
    task_become(s, run, event->task, MR__TASK_CONTINUE);
    ready_add(run, event->task);
    return MR_OK;
}

static mr_status apply_reopened(struct mr__run *run, const struct mr__event *event)
{
    if (run->status == MR__RUN_INIT || !(run_transitions[run->status] & RUN_TO(RUNNING))) {
        return MR_EFORMAT;
    }
    run->status = MR__RUN_RUNNING;
    run->timed_from_ms = event->time_ms;
    run->flags &= (uint8_t) ~(MR__RUNFLAG_CANCELING | MR__RUNFLAG_TIMED_OUT | MR__RUNFLAG_SETTLED);
    return MR_OK;
}

static mr_status apply_settled(struct mr__run *run, const struct mr__event *event)
{
    if ((run_transitions[run->status] & SETTLED_STATUSES & 1u << event->status) == 0 ||
        mr__run_begun(run) != 0 || run->ready_count != 0) {
        return MR_EFORMAT;
    }
    run->status = event->status;
    if (event->status != MR__RUN_BLOCKED) {
        run->flags |= MR__RUNFLAG_SETTLED;
    }
    return MR_OK;
}

/* ---- public -----------------------------------------------------------------------------------
 */

static mr_status apply_by_type(struct mr__scheduler *s, struct mr__run *run,
                               const struct mr__event *event)
{
    switch (event->type) {
    case MR__EVENT_RUN_CREATED: return apply_created(run, event);
    case MR__EVENT_ATTEMPT_STARTED: return apply_started(s, run, event);
    case MR__EVENT_ATTEMPT_WAITING: return apply_waiting(run, event);
    case MR__EVENT_ATTEMPT_ENDED: return apply_ended(s, run, event);
    case MR__EVENT_TASK_SET: return apply_set(s, run, event);
    case MR__EVENT_CANCEL_REQUESTED: return apply_cancel(s, run, event);
    case MR__EVENT_TASK_RETRIED: return apply_retried(s, run, event);
    case MR__EVENT_TASK_CONTINUED: return apply_continued(s, run, event);
    case MR__EVENT_RUN_REOPENED: return apply_reopened(run, event);
    case MR__EVENT_RUN_SETTLED: return apply_settled(run, event);
    default: return MR_EFORMAT;
    }
}

mr_status mr__apply(struct mr__scheduler *s, struct mr__run *run, const struct mr__event *event)
{
    if (event->task >= run->plan->dag->task_count ||
        (event->type == MR__EVENT_RUN_CREATED) != (run->event_at == 0)) {
        return MR_EFORMAT;
    }
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0 && event->type != MR__EVENT_RUN_REOPENED) {
        return MR_EFORMAT;
    }
    mr_status status = apply_by_type(s, run, event);
    if (status == MR_OK) {
        run->last_ms = event->time_ms;
    }
    return status;
}

mr_status mr__replay(struct mr__scheduler *s, struct mr__run *run, const uint8_t *bytes, size_t len)
{
    struct mr__reader r;
    size_t begin = run->log.len;
    mr__reader_init(&r, bytes, len);
    mr__buf_bytes(&run->log, bytes, len);
    if (run->log.failed) {
        return MR_ENOMEM;
    }
    while (mr__reader_left(&r) > 0) {
        struct mr__event event;
        run->event_at = (uint32_t)(begin + len - mr__reader_left(&r));
        if (!mr__event_decode(&r, run->last_ms, &event)) {
            return MR_EFORMAT;
        }
        mr_status status = mr__apply(s, run, &event);
        if (status != MR_OK) {
            return status;
        }
    }
    return MR_OK;
}
