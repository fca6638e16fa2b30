/* SPDX-License-Identifier: MIT
 *
 * The rules: what follows from each input. Every rule ends in mr__decide_advance, which starts what
 * may start and settles the run when nothing can. Pure; loop thread.
 */
#include "core/scheduler/decide.h"

#include <stdio.h>

#include <millrace/plugin.h>

#include "core/base/clock.h"

static void start_jobs(struct mr__scheduler *s);

/* ---- making an event --------------------------------------------------------------------------
 */

/* Writes the event to the run's log and to the journal and applies it: the one way in which
 * anything happens. An event that is not legal here is a bug of this file. */
static void emit(struct mr__scheduler *s, struct mr__run *run, struct mr__event *event)
{
    size_t at = run->log.len;
    if (s->failed) {
        return;
    }
    event->time_ms = MR__MAX(s->now_ms, run->last_ms);
    mr__event_encode(&run->log, event, run->last_ms);
    mr__buf_varint(&s->events, run->slot);
    mr__buf_bytes(&s->events, run->log.data + at, run->log.len - at);
    if (run->log.failed || s->events.failed) {
        s->failed = true;
        return;
    }
    s->event_count++;
    run->event_at = (uint32_t)at;
    mr_status status = mr__apply(s, run, event);
    MR_ASSERT(status != MR_EFORMAT);
    s->failed |= status != MR_OK;
    mr__run_touched(s, run, s->lsn);
    if (run->flags & MR__RUNFLAG_WATCHED) {
        mr__effect_notify(s, run, event, at);
    }
}

static void emit_task(struct mr__scheduler *s, struct mr__run *run, uint8_t type, uint32_t task)
{
    struct mr__event event = {.type = type, .task = task};
    emit(s, run, &event);
}

/* ---- going on ---------------------------------------------------------------------------------
 */

static bool has_room(const struct mr__run *run)
{
    uint32_t max = run->plan->dag->max_parallel;
    return max == 0 || mr__run_begun(run) < max;
}

static void attempt_start(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                          struct mr__blob params)
{
    struct mr__event event = {.type = MR__EVENT_ATTEMPT_STARTED, .task = t, .payload = params};
    emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_START, run->slot, t, run->tasks[t].attempt);
    if (run->plan->dag->tasks[t].timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_DEADLINE, run->slot, t, run->tasks[t].attempt);
    }
}

/* Takes a ready task on: it has its slot of maxParallel and of --jobs. */
static void begin(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    const struct mr__dag_task *task = &run->plan->dag->tasks[t];
    if (task->action == NULL) {
        struct mr__event event = {
            .type = MR__EVENT_TASK_SET, .task = t, .status = MR__TASK_SUCCESS};
        emit(s, run, &event);
    } else if ((task->flags & MR__TASK_TEMPLATES) != 0) {
        mr__ready_remove(run, t);
        run->tasks[t].flags |= MR__TASKFLAG_PREPARING;
        run->preparing_count++;
        s->jobs_used += mr__task_is_job(run, t);
        mr__effect_push(s, &s->now, MR__EFFECT_PREPARE, run->slot, t, 0);
    } else {
        attempt_start(s, run, t, (struct mr__blob){NULL, 0});
    }
}

static void job_queue_push(struct mr__scheduler *s, struct mr__run *run)
{
    if (run->flags & MR__RUNFLAG_JOB_QUEUED) {
        return;
    }
    run->flags |= MR__RUNFLAG_JOB_QUEUED;
    run->job_next = NULL;
    *(s->job_tail == NULL ? &s->job_head : &s->job_tail->job_next) = run;
    s->job_tail = run;
}

static struct mr__run *job_queue_pop(struct mr__scheduler *s)
{
    struct mr__run *run = s->job_head;
    if (run != NULL) {
        s->job_head = run->job_next;
        s->job_tail = s->job_head == NULL ? NULL : s->job_tail;
        run->flags &= (uint8_t)~MR__RUNFLAG_JOB_QUEUED;
    }
    return run;
}

/* Gives free --jobs slots out, one task a run in turn. */
static void start_jobs(struct mr__scheduler *s)
{
    while (s->jobs_used < s->jobs_max && !s->failed) {
        struct mr__run *run = job_queue_pop(s);
        if (run == NULL) {
            return;
        }
        if (run->ready_job.head == MR__NONE || !has_room(run)) {
            continue; /* comes back with mr__decide_advance when a task of it ends */
        }
        begin(s, run, run->ready_job.head);
        if (run->ready_job.head != MR__NONE) {
            job_queue_push(s, run);
        }
    }
}

/* Of the first failure in the log that still stands: "build: exit 7". */
static void failure_reason(const struct mr__run *run, struct mr__buf *text)
{
    struct mr__reader r;
    struct mr__event event, found = {0};
    int64_t last_ms = 0;
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, last_ms, &event)) {
        last_ms = event.time_ms;
        bool ends = event.type == MR__EVENT_ATTEMPT_ENDED || event.type == MR__EVENT_TASK_SET;
        if (ends && event.status == MR__TASK_FAILED &&
            run->tasks[event.task].status == MR__TASK_FAILED && found.type == 0) {
            found = event;
        }
        if (event.type == MR__EVENT_TASK_RETRIED && found.type != 0 && event.task == found.task) {
            found.type = 0;
        }
    }
    if (found.type != 0) {
        mr__buf_text(text, run->plan->dag->tasks[found.task].id);
        mr__buf_text(text, ": ");
        mr__buf_bytes(text, found.reason.data, found.reason.len);
    }
}

static void settle(struct mr__scheduler *s, struct mr__run *run)
{
    struct mr__event event = {.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_SUCCESS};
    struct mr__buf reason;
    mr__buf_init(&reason);
    if (run->flags & MR__RUNFLAG_TIMED_OUT) {
        char limit[MR__TIME_TEXT_BYTES];
        mr__duration_text(run->plan->dag->timeout_ms, limit);
        event.status = MR__RUN_FAILED;
        mr__buf_printf(&reason, "timed out after %s", limit);
    } else if (run->flags & MR__RUNFLAG_CANCELING) {
        event.status = MR__RUN_CANCELED;
        mr__buf_text(&reason, "canceled");
    } else if (run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] > 0) {
        event.status = MR__RUN_FAILED;
        failure_reason(run, &reason);
    } else if (run->count[MR__TASK_BLOCKED] > 0) {
        event.status = MR__RUN_BLOCKED;
    }
    s->failed |= reason.failed;
    event.reason =
        (struct mr__blob){(const char *)reason.data, MR__MIN(reason.len, MR__REASON_BYTES_MAX)};
    emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_SETTLED, run->slot, (uint32_t)run->log.len,
                    run->status);
    if (run->status != MR__RUN_BLOCKED && s->on_finished != NULL && !s->failed) {
        s->on_finished(s->user, run);
    }
    mr__buf_finish(&reason);
}

void mr__decide_advance(struct mr__scheduler *s, struct mr__run *run)
{
    if ((run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) != 0) {
        return;
    }
    while (run->ready_free.head != MR__NONE && has_room(run) && !s->failed) {
        begin(s, run, run->ready_free.head);
    }
    if (run->ready_job.head != MR__NONE && has_room(run)) {
        job_queue_push(s, run);
    }
    start_jobs(s);
    bool open = run->status == MR__RUN_INIT || run->status == MR__RUN_RUNNING;
    if (open && mr__run_begun(run) == 0 && run->ready_count == 0 && !s->failed) {
        settle(s, run);
    }
}

/* ---- submit and prepare -----------------------------------------------------------------------
 */

mr_status mr__decide_submit(struct mr__scheduler *s, const struct mr__submit *submit,
                            struct mr__run **ret_run)
{
    uint32_t slot;
    struct mr__run *run;
    const struct mr__dag *dag = submit->plan->dag;
    mr_status status = mr__slot_take(s, &slot);
    if (status != MR_OK) {
        return status;
    }
    status = mr__run_create(s, slot, submit->id, submit->plan, &run);
    if (status != MR_OK) {
        s->free_slots[s->free_count++] = slot; /* the place it was just taken from */
        return status;
    }
    run->flags &= (uint8_t)~MR__RUNFLAG_DORMANT;
    s->dormant_count--;
    struct mr__event event = {
        .type = MR__EVENT_RUN_CREATED,
        .id = submit->id,
        .version = dag->version,
        .dag = {dag->id, strlen(dag->id)},
        .folder = submit->folder,
        .vars = submit->vars,
        .tags = submit->tags,
        .key = submit->key,
        .token = submit->token,
    };
    emit(s, run, &event);
    if (dag->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, slot, 0, 0);
    }
    mr__decide_advance(s, run);
    *ret_run = run;
    return MR_OK;
}

void mr__decide_prepared(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                         struct mr__blob params, struct mr__blob reason)
{
    if ((run->tasks[task].flags & MR__TASKFLAG_PREPARING) == 0) {
        return; /* canceled meanwhile */
    }
    if (reason.len > 0) {
        struct mr__event event = {
            .type = MR__EVENT_TASK_SET, .task = task, .status = MR__TASK_FAILED, .reason = reason};
        emit(s, run, &event);
    } else {
        attempt_start(s, run, task, params);
    }
    mr__decide_advance(s, run);
}

/* ---- the end of an attempt --------------------------------------------------------------------
 */

static bool is_current(const struct mr__run *run, uint32_t task, uint32_t attempt)
{
    return task < run->plan->dag->task_count && run->tasks[task].attempt == attempt &&
           (run->tasks[task].status == MR__TASK_RUNNING ||
            run->tasks[task].status == MR__TASK_ENDING);
}

static uint8_t status_after_loss(const struct mr__run *run, uint32_t task)
{
    uint8_t on_lost = run->plan->dag->tasks[task].on_lost;
    if (run->flags & MR__RUNFLAG_CANCELING) {
        return MR__TASK_CANCELED;
    }
    if (run->tasks[task].lost + 1u >= MR__LOST_MAX) {
        return MR__TASK_FAILED;
    }
    if (on_lost == MR__ON_LOST_DEFAULT) {
        bool idempotent = (run->plan->bindings[task].flags & MR__ACTION_IDEMPOTENT) != 0;
        on_lost = idempotent ? MR__ON_LOST_RETRY : MR__ON_LOST_FAIL;
    }
    return on_lost == MR__ON_LOST_RETRY  ? MR__TASK_RETRYING
           : on_lost == MR__ON_LOST_FAIL ? MR__TASK_FAILED
                                         : MR__TASK_BLOCKED;
}

#define LOST_REASON "lost: the engine stopped while it ran"

/* The status and reason with which the attempt's end is recorded. `text` holds a reason made here.
 */
static void judge(const struct mr__run *run, const struct mr__ended *ended, struct mr__event *event,
                  char *text, size_t text_bytes)
{
    bool canceling = (run->flags & MR__RUNFLAG_CANCELING) != 0;
    const char *made = NULL;
    switch (ended->outcome) {
    case MR__OUTCOME_SUCCESS:
        event->status = MR__TASK_SUCCESS;
        made = canceling ? "success after canceled" : NULL;
        break;
    case MR__OUTCOME_CANCELED:
        event->status = MR__TASK_CANCELED;
        made = ended->reason.len == 0 ? "canceled" : NULL;
        break;
    case MR__OUTCOME_TIMED_OUT: {
        char limit[MR__TIME_TEXT_BYTES];
        mr__duration_text(run->plan->dag->tasks[ended->task].timeout_ms, limit);
        (void)snprintf(text, text_bytes, "timed out after %s", limit);
        event->status = canceling ? MR__TASK_CANCELED : MR__TASK_FAILED;
        made = text;
        break;
    }
    case MR__OUTCOME_LOST:
        event->status = status_after_loss(run, ended->task);
        made = LOST_REASON;
        if (!canceling && run->tasks[ended->task].lost + 1u >= MR__LOST_MAX) {
            (void)snprintf(text, text_bytes, "lost %u times: the engine stopped while it ran",
                           run->tasks[ended->task].lost + 1u);
            made = text;
        }
        break;
    default: event->status = canceling ? MR__TASK_CANCELED : MR__TASK_FAILED; break;
    }
    if (made != NULL) {
        event->reason = (struct mr__blob){made, strlen(made)};
    }
}

bool mr__decide_ended(struct mr__scheduler *s, struct mr__run *run, const struct mr__ended *ended)
{
    char text[128];
    if (!is_current(run, ended->task, ended->attempt)) {
        return false;
    }
    struct mr__event event = {
        .type = MR__EVENT_ATTEMPT_ENDED,
        .task = ended->task,
        .outcome = (uint8_t)ended->outcome,
        .reason = {ended->reason.data, MR__MIN(ended->reason.len, MR__REASON_BYTES_MAX)},
    };
    if (ended->outcome == MR__OUTCOME_SUCCESS) {
        event.payload = ended->output;
        event.reason.len = 0;
    }
    judge(run, ended, &event, text, sizeof text);
    emit(s, run, &event);
    mr__decide_advance(s, run);
    return true;
}

/* ---- waiting and timers -----------------------------------------------------------------------
 */

bool mr__decide_waiting(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                        uint32_t attempt, int64_t ms)
{
    if (!is_current(run, task, attempt) || (run->tasks[task].flags & MR__TASKFLAG_WAITING) != 0) {
        return false;
    }
    struct mr__event event = {.type = MR__EVENT_ATTEMPT_WAITING, .task = task, .ms = ms};
    emit(s, run, &event);
    if (s->failed) {
        return true;
    }
    bool canceling = (run->flags & MR__RUNFLAG_CANCELING) != 0;
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
        if ((run->flags & MR__RUNFLAG_CANCELING) == 0 && run->status != MR__RUN_BLOCKED) {
            (void)mr__decide_cancel(s, run, MR__CANCEL_BY_RUN_TIMEOUT, NULL);
        }
        return;
    }
    if (!is_current(run, task, attempt)) {
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

/* ---- commands ---------------------------------------------------------------------------------
 */

static mr_status wrong_state(const struct mr__run *run, const char *verb, mr_error *reterr)
{
    return mr__error_set(reterr, MR_ECONFLICT, "cannot %s: the run is %s", verb,
                         mr__run_status_name(run->status));
}

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
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0) {
        return wrong_state(run, "cancel", reterr);
    }
    if ((run->flags & MR__RUNFLAG_CANCELING) != 0) {
        return MR_OK; /* under way: said twice is not wrong */
    }
    struct mr__event event = {.type = MR__EVENT_CANCEL_REQUESTED, .outcome = (uint8_t)why};
    emit(s, run, &event);
    uint32_t n = mr__run_begun(run) == 0 ? 0 : run->plan->dag->task_count;
    for (uint32_t t = 0; t < n && !s->failed && !(run->flags & MR__RUNFLAG_SETTLED); t++) {
        if (run->tasks[t].status == MR__TASK_RUNNING || run->tasks[t].status == MR__TASK_ENDING) {
            cancel_attempt(s, run, t);
        }
    }
    mr__decide_advance(s, run);
    start_jobs(s); /* slots that this run had may have come free for others */
    return MR_OK;
}

/* The run's time begins anew. */
static void reopen(struct mr__scheduler *s, struct mr__run *run)
{
    struct mr__event event = {.type = MR__EVENT_RUN_REOPENED};
    emit(s, run, &event);
    if (run->plan->dag->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, run->slot, 0, 0);
    }
}

/* Every task of one status takes the event; all of them before anything starts. */
static void each_task(struct mr__scheduler *s, struct mr__run *run, uint32_t statuses, uint8_t type)
{
    for (uint32_t t = 0; t < run->plan->dag->task_count && !s->failed; t++) {
        if (statuses & 1u << run->tasks[t].status) {
            emit_task(s, run, type, t);
        }
    }
}

mr_status mr__decide_retry(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    bool open = run->status == MR__RUN_RUNNING || run->status == MR__RUN_BLOCKED;
    bool stands = run->status == MR__RUN_FAILED || run->status == MR__RUN_CANCELED;
    uint32_t bad = run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED];
    if ((run->flags & MR__RUNFLAG_CANCELING) != 0 && !stands) {
        return mr__error_set(reterr, MR_ECONFLICT, "cannot retry: the run is being canceled");
    }
    if (!(stands || open) || bad == 0) {
        if (stands || open) {
            return mr__error_set(
                reterr, MR_ECONFLICT,
                "cannot retry: no task of the run is failed or canceled (it is %s)",
                mr__run_status_name(run->status));
        }
        return wrong_state(run, "retry", reterr);
    }
    if (run->status != MR__RUN_RUNNING) {
        reopen(s, run);
    }
    each_task(s, run, 1u << MR__TASK_FAILED | 1u << MR__TASK_CANCELED, MR__EVENT_TASK_RETRIED);
    mr__decide_advance(s, run);
    return MR_OK;
}

mr_status mr__decide_continue(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    bool open = run->status == MR__RUN_RUNNING || run->status == MR__RUN_BLOCKED;
    if (!open || run->count[MR__TASK_BLOCKED] == 0) {
        if (open) {
            return mr__error_set(reterr, MR_ECONFLICT,
                                 "cannot continue: no task of the run is blocked (it is %s)",
                                 mr__run_status_name(run->status));
        }
        return wrong_state(run, "continue", reterr);
    }
    if (run->status == MR__RUN_BLOCKED) {
        reopen(s, run);
    }
    each_task(s, run, 1u << MR__TASK_BLOCKED, MR__EVENT_TASK_CONTINUED);
    mr__decide_advance(s, run);
    return MR_OK;
}
