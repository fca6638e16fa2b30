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
                         TO(RETRYING), /* blocked: lost, and onLost asks */
    [MR__TASK_ENDING] = TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(RETRYING) | TO(BLOCKED),
    [MR__TASK_RETRYING] =
        TO(RUNNING) | TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(SKIPPED) | TO(BLOCKED),
    [MR__TASK_CONTINUE] =
        TO(RUNNING) | TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(SKIPPED) | TO(BLOCKED),
    [MR__TASK_SUCCESS] = 0,
    [MR__TASK_FAILED] = TO(RETRYING) | TO(INIT) | TO(RUNNING), /* running: a fan-out is retried */
    [MR__TASK_CANCELED] = TO(RETRYING) | TO(INIT) | TO(RUNNING),
    [MR__TASK_SKIPPED] = 0,
    [MR__TASK_BLOCKED] = TO(CONTINUE) | TO(CANCELED),
};

/* The statuses that a TASK_SET may give, and a RUN_SETTLED; the others have events of their own. */
#define SET_STATUSES     (TO(SUCCESS) | TO(FAILED) | TO(CANCELED) | TO(SKIPPED) | TO(BLOCKED))
#define SETTLED_STATUSES (RUN_TO(SUCCESS) | RUN_TO(FAILED) | RUN_TO(CANCELED) | RUN_TO(BLOCKED))

#define RUN_TO(status) (1u << MR__RUN_##status)

static const uint16_t run_transitions[MR__RUN_STATUSES] = {
    [MR__RUN_INIT] = RUN_TO(SCHEDULED) | RUN_TO(RUNNING) | RUN_TO(SUCCESS) | RUN_TO(FAILED) |
                     RUN_TO(CANCELED) | RUN_TO(PAUSED), /* success: all of it was kept */
    [MR__RUN_SCHEDULED] = RUN_TO(RUNNING) | RUN_TO(CANCELED),
    [MR__RUN_RUNNING] =
        RUN_TO(SUCCESS) | RUN_TO(FAILED) | RUN_TO(CANCELED) | RUN_TO(BLOCKED) | RUN_TO(PAUSED),
    [MR__RUN_FAILED] = RUN_TO(RUNNING),
    [MR__RUN_CANCELED] = RUN_TO(RUNNING),
    [MR__RUN_BLOCKED] = RUN_TO(RUNNING) | RUN_TO(CANCELED) | RUN_TO(FAILED),
    [MR__RUN_PAUSED] = RUN_TO(INIT) | RUN_TO(RUNNING) | RUN_TO(CANCELED),
};

/* ---- pieces -----------------------------------------------------------------------------------
 */

static bool task_may_become(const struct mr__run *run, uint32_t t, uint8_t status)
{
    return (task_transitions[run->tasks[t].status] & 1u << status) != 0;
}

static bool its_turn(const struct mr__task *task)
{
    return (task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_PREPARING | MR__TASKFLAG_PREPARED)) !=
           0;
}

static bool has_ended(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_FAILED || status == MR__TASK_CANCELED ||
           status == MR__TASK_SKIPPED;
}

static bool is_bad(uint8_t status)
{
    return status == MR__TASK_FAILED || status == MR__TASK_CANCELED;
}

/* What a child's change of status means for its fan-out. `active`: it was. */
static void fan_count(struct mr__run *run, struct mr__fan *fan, bool active, uint8_t from,
                      uint8_t to)
{
    bool runs = to == MR__TASK_RUNNING || to == MR__TASK_ENDING;
    fan->active += (uint32_t)runs - (uint32_t)active;
    fan->ended += (uint32_t)has_ended(to) - (uint32_t)has_ended(from);
    fan->bad += (uint32_t)is_bad(to) - (uint32_t)is_bad(from);
    mr__ready_room(run, fan);
}

/* Sets a status that was found legal and the flags that go with it, and all that follows from it.
 */
static void task_become(struct mr__scheduler *s, struct mr__run *run, uint32_t t, uint8_t status,
                        uint16_t flags)
{
    const uint16_t prepares = MR__TASKFLAG_PREPARING | MR__TASKFLAG_PREPARED;
    const uint16_t delays = MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED;
    struct mr__task *task = &run->tasks[t];
    struct mr__fan *fan = mr__run_fan(run, t);
    uint8_t from = task->status;
    enum mr__graph_state was = run->bad == NULL ? MR__GRAPH_OPEN : mr__graph_state(run, t);
    bool held = mr__task_begun(task);
    bool active = held || (task->flags & MR__TASKFLAG_READY) != 0;
    bool fan_was_open = from == MR__TASK_RUNNING && (task->flags & MR__TASKFLAG_FANNED) != 0;
    if ((task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_HELD)) != 0) {
        mr__ready_remove(run, t);
    }
    run->preparing_count -= (task->flags & prepares) != 0;
    run->delayed_count += (uint32_t)((flags & delays) != 0) - ((task->flags & delays) != 0);
    run->count[from]--;
    run->count[status]++;
    task->status = status;
    task->flags = (task->flags & MR__TASKFLAG_DEAD) | flags;
    run->fan_open += (uint32_t)(status == MR__TASK_RUNNING && (flags & MR__TASKFLAG_FANNED) != 0) -
                     (uint32_t)fan_was_open;
    bool holds = mr__task_begun(task);
    if (holds != held && (run->flags & MR__RUNFLAG_DORMANT) == 0 && mr__task_is_job(run, t)) {
        s->jobs_used += holds ? 1u : -1u;
    }
    if (fan != NULL) {
        fan_count(run, fan, active, from, status);
    } else if (run->bad != NULL) {
        mr__graph_changed(s, run, t, was);
    } else if (status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED) {
        mr__graph_good(run, t);
    }
}

static void run_begins(struct mr__run *run, const struct mr__event *event)
{
    if (run->status == MR__RUN_INIT) {
        run->status = MR__RUN_RUNNING;
    }
    if (run->began_ms == 0) {
        run->began_ms = event->time_ms;
    }
}

/* Remembers where the task's last reason and output stand, if it has any. */
static mr_status remember_end(struct mr__run *run, const struct mr__event *event)
{
    struct mr__detail *detail = mr__run_detail(run, event->task);
    if (detail == NULL && event->reason.len == 0 && event->payload.data == NULL) {
        return MR_OK;
    }
    detail = mr__run_detail_make(run, event->task);
    if (detail == NULL) {
        return MR_ENOMEM;
    }
    detail->ended_at = run->event_at + 1;
    return MR_OK;
}

static int64_t add_ms(int64_t time_ms, int64_t ms)
{
    return ms > INT64_MAX - MR__MAX(time_ms, 0) ? INT64_MAX : time_ms + ms;
}

/* ---- one function per event -------------------------------------------------------------------
 */

static mr_status apply_created(struct mr__run *run, const struct mr__event *event)
{
    const struct mr__plan *plan = run->plan;
    run->created_ms = run->timed_from_ms = event->time_ms;
    for (uint32_t i = 0; i < plan->root_count; i++) {
        mr__ready_add(run, plan->roots[i]);
    }
    return MR_OK;
}

/* What an attempt needs beside its task: where its params stand, since when its time counts. */
static mr_status note_start(struct mr__run *run, const struct mr__event *event)
{
    bool timed = mr__run_dag_task(run, event->task)->timeout_ms > 0;
    if (!timed && event->payload.data == NULL && run->details == NULL) {
        return MR_OK;
    }
    struct mr__detail *detail = mr__run_detail_make(run, event->task);
    if (detail == NULL) {
        return MR_ENOMEM;
    }
    detail->params_at = event->payload.data == NULL ? 0 : run->event_at + 1;
    detail->started_ms = timed ? event->time_ms : 0;
    return MR_OK;
}

static mr_status apply_prepared(struct mr__scheduler *s, struct mr__run *run,
                                const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    if ((task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_PREPARING)) == 0) {
        return MR_EFORMAT;
    }
    if (note_start(run, event) != MR_OK) {
        return MR_ENOMEM;
    }
    bool held = mr__task_begun(task);
    mr__ready_remove(run, event->task);
    run->preparing_count += (task->flags & MR__TASKFLAG_PREPARING) == 0;
    task->flags = (uint16_t)((task->flags & ~MR__TASKFLAG_PREPARING) | MR__TASKFLAG_PREPARED);
    if ((run->flags & MR__RUNFLAG_DORMANT) == 0 && mr__task_is_job(run, event->task)) {
        s->jobs_used += !held;
    }
    run_begins(run, event);
    return MR_OK;
}

static mr_status apply_started(struct mr__scheduler *s, struct mr__run *run,
                               const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    const uint16_t kept = MR__TASKFLAG_CANCELED | MR__TASKFLAG_CANCELING | MR__TASKFLAG_TIMED_OUT;
    if (!its_turn(task) || !task_may_become(run, event->task, MR__TASK_RUNNING)) {
        return MR_EFORMAT;
    }
    if ((task->flags & MR__TASKFLAG_PREPARED) == 0 && note_start(run, event) != MR_OK) {
        return MR_ENOMEM;
    }
    task->attempt++;
    task_become(s, run, event->task, MR__TASK_RUNNING, task->flags & kept);
    run_begins(run, event);
    return MR_OK;
}

static mr_status apply_waiting(struct mr__run *run, const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    if (task->status != MR__TASK_RUNNING ||
        (task->flags & (MR__TASKFLAG_WAITING | MR__TASKFLAG_FANNED)) != 0) {
        return MR_EFORMAT;
    }
    struct mr__detail *detail = mr__run_detail_make(run, event->task);
    if (detail == NULL) {
        return MR_ENOMEM;
    }
    detail->due_ms = add_ms(event->time_ms, event->ms);
    detail->duration_ms = event->ms;
    task->flags |= MR__TASKFLAG_WAITING;
    return MR_OK;
}

static mr_status apply_ending(struct mr__scheduler *s, struct mr__run *run,
                              const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    const uint16_t kept = MR__TASKFLAG_CANCELED | MR__TASKFLAG_CANCELING | MR__TASKFLAG_TIMED_OUT;
    if (task->status != MR__TASK_RUNNING ||
        (task->flags & (MR__TASKFLAG_WAITING | MR__TASKFLAG_FANNED)) != 0) {
        return MR_EFORMAT;
    }
    if (remember_end(run, event) != MR_OK) {
        return MR_ENOMEM;
    }
    task_become(s, run, event->task, MR__TASK_ENDING, task->flags & kept);
    run->output_bytes += event->payload.len;
    return MR_OK;
}

static mr_status apply_ended(struct mr__scheduler *s, struct mr__run *run,
                             const struct mr__event *event)
{
    uint32_t t = event->task;
    struct mr__task *task = &run->tasks[t];
    bool runs = task->status == MR__TASK_RUNNING || task->status == MR__TASK_ENDING;
    if (!runs || (task->flags & MR__TASKFLAG_FANNED) != 0 || event->status == MR__TASK_ENDING ||
        !task_may_become(run, t, event->status)) {
        return MR_EFORMAT;
    }
    bool lost = event->outcome == MR__OUTCOME_LOST;
    bool keeps_output = task->status == MR__TASK_ENDING && event->status == MR__TASK_SUCCESS;
    if (!keeps_output && remember_end(run, event) != MR_OK) { /* else ATTEMPT_ENDING has it */
        return MR_ENOMEM;
    }
    uint16_t flags = event->status != MR__TASK_RETRYING ? 0
                     : lost                             ? MR__TASKFLAG_AGAIN
                                                        : MR__TASKFLAG_JUDGING;
    task_become(s, run, t, event->status, flags);
    if (lost && task->lost < UINT8_MAX) {
        task->lost++;
    }
    if (event->status == MR__TASK_SUCCESS) {
        run->output_bytes += event->payload.len;
    }
    if (event->status == MR__TASK_RETRYING && lost && task->open == 0) {
        mr__ready_add(run, t);
    }
    return MR_OK;
}

static mr_status apply_delayed(struct mr__run *run, const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    if ((task->flags & MR__TASKFLAG_JUDGING) == 0) {
        return MR_EFORMAT;
    }
    struct mr__detail *detail = mr__run_detail_make(run, event->task);
    if (detail == NULL) {
        return MR_ENOMEM;
    }
    detail->retries++;
    detail->due_ms = add_ms(event->time_ms, event->ms);
    detail->duration_ms = event->ms;
    task->flags = (uint16_t)((task->flags & ~MR__TASKFLAG_JUDGING) | MR__TASKFLAG_AGAIN |
                             MR__TASKFLAG_DELAYED);
    return MR_OK;
}

static mr_status apply_due(struct mr__run *run, const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    if ((task->flags & MR__TASKFLAG_DELAYED) == 0) {
        return MR_EFORMAT;
    }
    task->flags &= (uint16_t)~MR__TASKFLAG_DELAYED;
    run->delayed_count--;
    if (task->open == 0) {
        mr__ready_add(run, event->task);
    }
    return MR_OK;
}

static mr_status apply_canceling(struct mr__run *run, const struct mr__event *event)
{
    struct mr__task *task = &run->tasks[event->task];
    bool open_fan = task->status == MR__TASK_RUNNING && (task->flags & MR__TASKFLAG_FANNED) != 0;
    if ((!mr__task_begun(task) && !open_fan) || (task->flags & MR__TASKFLAG_CANCELED) != 0) {
        return MR_EFORMAT;
    }
    task->flags |= MR__TASKFLAG_CANCELED;
    return MR_OK;
}

/* A task that no attempt ended: a gate, a condition, a fan-out whose children have ended, one that
 * was canceled before it began; or, marked `kept`, from the beginning. */
static mr_status apply_set(struct mr__scheduler *s, struct mr__run *run,
                           const struct mr__event *event)
{
    uint32_t t = event->task;
    struct mr__task *task = &run->tasks[t];
    bool kept = event->outcome != 0;
    bool fan = (task->flags & MR__TASKFLAG_FANNED) != 0 && task->status == MR__TASK_RUNNING;
    bool begun = mr__task_begun(task) && (task->flags & MR__TASKFLAG_PREPARED) == 0 &&
                 (task->flags & MR__TASKFLAG_PREPARING) == 0;
    bool fits = its_turn(task) || fan || event->status == MR__TASK_CANCELED ||
                ((task->flags & MR__TASKFLAG_JUDGING) != 0 && event->status == MR__TASK_FAILED);
    if (kept) {
        fits = run->status == MR__RUN_INIT && task->status == MR__TASK_INIT &&
               (event->status == MR__TASK_SUCCESS || event->status == MR__TASK_SKIPPED);
    }
    if (!fits || begun || (SET_STATUSES & 1u << event->status) == 0 ||
        !task_may_become(run, t, event->status)) {
        return MR_EFORMAT;
    }
    if (remember_end(run, event) != MR_OK) {
        return MR_ENOMEM;
    }
    task_become(s, run, t, event->status, task->flags & MR__TASKFLAG_FANNED);
    run->output_bytes += event->payload.len;
    if (!kept) {
        run_begins(run, event);
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
    run->hooks_due = 0; /* of its beginning: there is none */
    if (run->status == MR__RUN_BLOCKED || run->status == MR__RUN_PAUSED) {
        run->status = MR__RUN_RUNNING;
    }
    for (uint32_t t = 0; t < run->task_count; t++) {
        struct mr__task *task = &run->tasks[t];
        bool runs = task->status == MR__TASK_RUNNING || task->status == MR__TASK_ENDING;
        if (!runs && (task->flags & MR__TASKFLAG_PREPARED) == 0 &&
            task_may_become(run, t, MR__TASK_CANCELED)) {
            task_become(s, run, t, MR__TASK_CANCELED, 0);
        }
    }
    return MR_OK;
}

static mr_status apply_retried(struct mr__scheduler *s, struct mr__run *run,
                               const struct mr__event *event)
{
    uint32_t t = event->task;
    struct mr__task *task = &run->tasks[t];
    bool fan = (task->flags & MR__TASKFLAG_FANNED) != 0;
    uint8_t status = fan ? MR__TASK_RUNNING : task->attempt > 0 ? MR__TASK_RETRYING : MR__TASK_INIT;
    if (!is_bad(task->status) || !task_may_become(run, t, status) ||
        run->status != MR__RUN_RUNNING) {
        return MR_EFORMAT;
    }
    struct mr__detail *detail = mr__run_detail(run, t);
    if (detail != NULL) {
        detail->retries = 0;
        detail->ended_at = 0;
    }
    task->lost = 0;
    task_become(s, run, t, status, fan ? MR__TASKFLAG_FANNED : 0);
    if (!fan && task->open == 0) {
        mr__ready_add(run, t);
    }
    return MR_OK;
}

static mr_status apply_continued(struct mr__scheduler *s, struct mr__run *run,
                                 const struct mr__event *event)
{
    if (!task_may_become(run, event->task, MR__TASK_CONTINUE) || run->status != MR__RUN_RUNNING) {
        return MR_EFORMAT;
    }
    task_become(s, run, event->task, MR__TASK_CONTINUE, 0);
    if (run->tasks[event->task].open == 0) { /* a parent may be going on again */
        mr__ready_add(run, event->task);
    }
    return MR_OK;
}

static mr_status apply_reopened(struct mr__run *run, const struct mr__event *event)
{
    if (run->status == MR__RUN_INIT || run->status == MR__RUN_PAUSED ||
        !(run_transitions[run->status] & RUN_TO(RUNNING))) {
        return MR_EFORMAT;
    }
    run->status = MR__RUN_RUNNING;
    run->timed_from_ms = event->time_ms;
    run->flags &= (uint8_t) ~(MR__RUNFLAG_CANCELING | MR__RUNFLAG_TIMED_OUT | MR__RUNFLAG_SETTLED);
    return MR_OK;
}

static mr_status apply_paused(struct mr__run *run)
{
    if (!(run_transitions[run->status] & RUN_TO(PAUSED)) ||
        (run->flags & MR__RUNFLAG_CANCELING) != 0) {
        return MR_EFORMAT;
    }
    run->status = MR__RUN_PAUSED;
    return MR_OK;
}

static mr_status apply_unpaused(struct mr__run *run, const struct mr__event *event)
{
    if (run->status != MR__RUN_PAUSED) {
        return MR_EFORMAT;
    }
    run->status = run->began_ms == 0 ? MR__RUN_INIT : MR__RUN_RUNNING;
    run->timed_from_ms = event->time_ms;
    return MR_OK;
}

static mr_status apply_settled(struct mr__run *run, const struct mr__event *event)
{
    if ((run_transitions[run->status] & SETTLED_STATUSES & 1u << event->status) == 0 ||
        mr__run_begun(run) + run->ready_count + run->delayed_count != 0 ||
        (run->hooks_due != 0 && run->hooks_status != event->status)) {
        return MR_EFORMAT;
    }
    run->status = event->status;
    run->hooks_due = 0;
    if (event->status != MR__RUN_BLOCKED) {
        run->flags |= MR__RUNFLAG_SETTLED;
    }
    return MR_OK;
}

static mr_status apply_hooks(struct mr__run *run, const struct mr__event *event)
{
    bool due = event->type == MR__EVENT_HOOKS_DUE;
    if (event->count == 0 || due != (run->hooks_due == 0)) {
        return MR_EFORMAT;
    }
    run->hooks_due = due ? event->count : 0;
    run->hooks_status = due ? event->status : MR__RUN_RUNNING;
    run->hooks_at = run->event_at;
    return MR_OK;
}

/* ---- fan-outs and share data ------------------------------------------------------------------
 */

/* Room for `count` more tasks. */
static mr_status tasks_grow(struct mr__run *run, uint32_t count)
{
    uint32_t total = run->task_count + count;
    struct mr__task *tasks = run->tasks == run->own
                                 ? mr__malloc(total * sizeof *tasks)
                                 : mr__realloc(run->tasks, total * sizeof *tasks);
    if (tasks == NULL) {
        return MR_ENOMEM;
    }
    if (run->tasks == run->own) {
        memcpy(tasks, run->own, run->task_count * sizeof *tasks);
    }
    run->tasks = tasks;
    struct mr__detail *details = run->details == NULL
                                     ? mr__calloc(total, sizeof *details)
                                     : mr__realloc(run->details, total * sizeof *details);
    if (details == NULL) {
        return MR_ENOMEM;
    }
    run->details = details;
    memset(details + run->task_count, 0, count * sizeof *details);
    for (uint32_t t = run->task_count; t < total; t++) {
        tasks[t] = (struct mr__task){.next = MR__NONE, .prev = MR__NONE};
    }
    return MR_OK;
}

/* Where in the log each item's key stands. */
static mr_status items_find(const struct mr__run *run, const struct mr__event *event,
                            uint32_t **ret_item_at)
{
    /* The payload lies at the end of the event, which is the last one in the log when it is made;
     * when it is read it is borrowed from elsewhere: the log has it at the same distance. */
    struct mr__event in_log;
    struct mr__reader r;
    if (!mr__run_event(run, run->event_at, &in_log) || in_log.payload.len != event->payload.len) {
        return MR_EFORMAT;
    }
    uint32_t *item_at = mr__malloc((event->count + 1) * sizeof *item_at);
    if (item_at == NULL) {
        return MR_ENOMEM;
    }
    mr__reader_init(&r, in_log.payload.data, in_log.payload.len);
    for (uint32_t i = 0; i < event->count; i++) {
        size_t len;
        item_at[i] = (uint32_t)(r.at - run->log.data);
        (void)mr__read_blob(&r, &len);
        (void)mr__read_blob(&r, &len);
    }
    if (r.failed || mr__reader_left(&r) != 0) {
        mr__free(item_at);
        return MR_EFORMAT;
    }
    *ret_item_at = item_at;
    return MR_OK;
}

static mr_status apply_fanned(struct mr__scheduler *s, struct mr__run *run,
                              const struct mr__event *event)
{
    uint32_t t = event->task, *item_at;
    if (t >= run->plan->dag->task_count || !its_turn(&run->tasks[t]) ||
        (run->plan->dag->tasks[t].flags & MR__TASK_FOR_EACH) == 0 ||
        event->count > MR__RUN_TASKS_MAX - run->task_count) {
        return MR_EFORMAT;
    }
    mr_status status = items_find(run, event, &item_at);
    if (status != MR_OK) {
        return status;
    }
    struct mr__fan *fans = mr__realloc(run->fans, (run->fan_count + 1) * sizeof *fans);
    run->fans = fans == NULL ? run->fans : fans;
    if (fans == NULL || tasks_grow(run, event->count) != MR_OK) {
        mr__free(item_at);
        return MR_ENOMEM;
    }
    struct mr__fan *fan = &fans[run->fan_count];
    *fan = (struct mr__fan){.task = t,
                            .first = run->task_count,
                            .count = event->count,
                            .held = {MR__NONE, MR__NONE},
                            .item_at = item_at};
    run->details[t].fan = run->fan_count++;
    run->task_count += event->count;
    run->count[MR__TASK_INIT] += event->count;
    task_become(s, run, t, MR__TASK_RUNNING, MR__TASKFLAG_FANNED);
    for (uint32_t child = fan->first; child < run->task_count; child++) {
        mr__ready_add(run, child);
    }
    run_begins(run, event);
    return MR_OK;
}

static mr_status share_row_add(struct mr__run *run, uint32_t i, const struct mr__event *event)
{
    if (run->share_count == run->share_cap) {
        uint32_t cap = run->share_cap == 0 ? 8 : run->share_cap * 2;
        struct mr__share_row **rows = mr__realloc(run->share, cap * sizeof *rows);
        if (rows == NULL) {
            return MR_ENOMEM;
        }
        run->share = rows;
        run->share_cap = cap;
    }
    struct mr__share_row *row = mr__malloc(sizeof *row + event->key.len);
    if (row == NULL) {
        return MR_ENOMEM;
    }
    row->key_len = (uint32_t)event->key.len;
    memcpy(row->key, event->key.data, event->key.len);
    memmove(run->share + i + 1, run->share + i, (run->share_count - i) * sizeof(row));
    run->share[i] = row;
    run->share_count++;
    return MR_OK;
}

static mr_status apply_share(struct mr__run *run, const struct mr__event *event)
{
    bool found;
    struct mr__event before;
    if (event->key.len == 0 || event->key.len > MR__SHARE_KEY_BYTES_MAX) {
        return MR_EFORMAT;
    }
    uint32_t i = mr__run_share_at(run, event->key.data, event->key.len, &found);
    if (found && mr__run_event(run, run->share[i]->at, &before)) {
        run->output_bytes -= before.key.len + before.payload.len;
    }
    if (event->payload.data == NULL) {
        if (found) {
            mr__free(run->share[i]);
            run->share_count--;
            memmove(run->share + i, run->share + i + 1,
                    (run->share_count - i) * sizeof run->share[0]);
        }
        return MR_OK;
    }
    if (!found && share_row_add(run, i, event) != MR_OK) {
        return MR_ENOMEM;
    }
    run->share[i]->at = run->event_at;
    run->output_bytes += event->key.len + event->payload.len;
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
    case MR__EVENT_ATTEMPT_ENDING: return apply_ending(s, run, event);
    case MR__EVENT_ATTEMPT_ENDED: return apply_ended(s, run, event);
    case MR__EVENT_TASK_SET: return apply_set(s, run, event);
    case MR__EVENT_TASK_PREPARED: return apply_prepared(s, run, event);
    case MR__EVENT_TASK_DELAYED: return apply_delayed(run, event);
    case MR__EVENT_TASK_DUE: return apply_due(run, event);
    case MR__EVENT_TASK_CANCELING: return apply_canceling(run, event);
    case MR__EVENT_TASK_FANNED: return apply_fanned(s, run, event);
    case MR__EVENT_TASK_RETRIED: return apply_retried(s, run, event);
    case MR__EVENT_TASK_CONTINUED: return apply_continued(s, run, event);
    case MR__EVENT_SHARE_SET: return apply_share(run, event);
    case MR__EVENT_CANCEL_REQUESTED: return apply_cancel(s, run, event);
    case MR__EVENT_RUN_REOPENED: return apply_reopened(run, event);
    case MR__EVENT_RUN_PAUSED: return apply_paused(run);
    case MR__EVENT_RUN_UNPAUSED: return apply_unpaused(run, event);
    case MR__EVENT_HOOKS_DUE:
    case MR__EVENT_HOOKS_DONE: return apply_hooks(run, event);
    case MR__EVENT_RUN_SETTLED: return apply_settled(run, event);
    default: return MR_EFORMAT;
    }
}

mr_status mr__apply(struct mr__scheduler *s, struct mr__run *run, const struct mr__event *event)
{
    if (event->task >= run->task_count ||
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
