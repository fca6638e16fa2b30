/* SPDX-License-Identifier: MIT
 *
 * The rules: what follows from each input. Every rule ends in mr__decide_advance, which starts what
 * may start and settles the run when nothing can. Pure; loop thread.
 */
#include "core/scheduler/decide_impl.h"

#include <stdio.h>

#include <millrace/plugin.h>

#include "core/base/clock.h"

/* ---- making an event --------------------------------------------------------------------------
 */

void mr__decide_emit(struct mr__scheduler *s, struct mr__run *run, struct mr__event *event)
{
    size_t at = run->log.len;
    if (s->failed) {
        return;
    }
    event->time_ms = MR__MAX(s->now_ms, run->last_ms);
    mr__event_encode(&run->log, event, run->last_ms);
    mr__buf_varint(&s->events, run->slot);
    if (run->log.failed || s->events.failed) {
        s->failed = true;
        return;
    }
    mr__buf_bytes(&s->events, run->log.data + at, run->log.len - at);
    if (s->events.failed) {
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

void mr__decide_emit_task(struct mr__scheduler *s, struct mr__run *run, uint8_t type, uint32_t task)
{
    struct mr__event event = {.type = type, .task = task};
    mr__decide_emit(s, run, &event);
}

void mr__decide_set(struct mr__scheduler *s, struct mr__run *run, uint32_t task, uint8_t status,
                    struct mr__blob reason)
{
    struct mr__event event = {.type = MR__EVENT_TASK_SET,
                              .task = task,
                              .status = status,
                              .reason = {reason.data, MR__MIN(reason.len, MR__REASON_BYTES_MAX)}};
    mr__decide_emit(s, run, &event);
    mr__decide_close_fan_of(s, run, task);
}

bool mr__decide_hooks(struct mr__scheduler *s, struct mr__run *run, uint32_t mask, uint8_t status,
                      struct mr__blob reason)
{
    mask &= run->plan->dag->hook_mask | s->hooks;
    if (mask == 0) {
        return false;
    }
    struct mr__event event = {
        .type = MR__EVENT_HOOKS_DUE, .count = mask, .status = status, .reason = reason};
    mr__decide_emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_HOOK, run->slot, 0, mask);
    return true;
}

/* ---- going on ---------------------------------------------------------------------------------
 */

/* Whether anything of the run may begin, or the run end. */
static bool goes_on(const struct mr__run *run)
{
    return (run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) == 0 &&
           run->status != MR__RUN_PAUSED && run->hooks_due == 0;
}

static bool has_room(const struct mr__run *run)
{
    uint32_t max = run->plan->dag->max_parallel;
    return max == 0 || mr__run_begun(run) < max;
}

static bool has_timeout(const struct mr__run *run, uint32_t t)
{
    return mr__run_dag_task(run, t)->timeout_ms > 0;
}

/* Everything before the attempt is known: it begins, with run_before where its action has one. */
static void attempt_start(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                          struct mr__blob params)
{
    bool before = (mr__run_binding(run, t)->flags & MR__ACTION_BEFORE) != 0;
    struct mr__event event = {.type = before ? MR__EVENT_TASK_PREPARED : MR__EVENT_ATTEMPT_STARTED,
                              .task = t,
                              .payload = params};
    mr__decide_emit(s, run, &event);
    uint32_t attempt = mr__run_attempt(run, t);
    mr__effect_push(s, &s->durable, before ? MR__EFFECT_BEFORE : MR__EFFECT_START, run->slot, t,
                    attempt);
    if (has_timeout(run, t)) {
        mr__effect_push(s, &s->now, MR__EFFECT_DEADLINE, run->slot, t, attempt);
    }
}

/* What is to be evaluated before the task begins: the flags of mr__prepare in `ret_flags`. */
static bool needs_prepare(const struct mr__run *run, uint32_t t, unsigned *ret_flags)
{
    const struct mr__task *task = &run->tasks[t];
    unsigned asks = mr__run_dag_task(run, t)->flags;
    bool child = t >= run->plan->dag->task_count;
    bool again = (task->flags & MR__TASKFLAG_AGAIN) != 0;
    *ret_flags = (child ? MR__PREPARE_CHILD : 0) |
                 (child || again ? MR__PREPARE_NO_CONDITIONS : 0) |
                 (task->status == MR__TASK_CONTINUE ? MR__PREPARE_CONTINUED : 0);
    if (child || again) {
        asks &= ~(unsigned)MR__TASK_CONDITIONS;
    }
    if (child) {
        asks &= ~(unsigned)MR__TASK_FOR_EACH;
    }
    return asks != 0;
}

/* `when: failed` without a failure above it. */
static bool skips(struct mr__scheduler *s, const struct mr__run *run, uint32_t t)
{
    bool ok;
    if (run->bad == NULL || t >= run->plan->dag->task_count ||
        run->plan->dag->tasks[t].when != MR__WHEN_FAILED || run->tasks[t].status != MR__TASK_INIT) {
        return false;
    }
    bool tainted = mr__graph_tainted(run, t, &ok);
    s->failed |= !ok;
    return !tainted;
}

/* Takes a ready task on: it has its slot of maxParallel and of --jobs. */
static void begin(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    unsigned flags;
    if (skips(s, run, t)) {
        mr__decide_set(s, run, t, MR__TASK_SKIPPED, mr__blob_of("nothing above it failed"));
    } else if (needs_prepare(run, t, &flags)) {
        mr__ready_remove(run, t);
        run->tasks[t].flags |= MR__TASKFLAG_PREPARING;
        run->preparing_count++;
        s->jobs_used += mr__task_is_job(run, t);
        mr__effect_push(s, &s->now, MR__EFFECT_PREPARE, run->slot, t, flags);
    } else if (mr__run_dag_task(run, t)->action == NULL) {
        mr__decide_set(s, run, t, MR__TASK_SUCCESS, (struct mr__blob){NULL, 0});
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

/* Of the first failure in the log that still stands, or where there is none of the first task that
 * was canceled: "build: exit 7". A fan-out's own failure says no more than its child's. */
static void failure_reason(const struct mr__run *run, struct mr__buf *text)
{
    struct mr__reader r;
    struct mr__event event, found = {0};
    int64_t last_ms = 0;
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, last_ms, &event)) {
        last_ms = event.time_ms;
        bool ends = event.type == MR__EVENT_ATTEMPT_ENDED || event.type == MR__EVENT_TASK_SET;
        bool stands = ends && event.status == run->tasks[event.task].status;
        bool better = found.type == 0 ||
                      (event.status == MR__TASK_FAILED && found.status == MR__TASK_CANCELED);
        if (stands && better &&
            (event.status == MR__TASK_FAILED || event.status == MR__TASK_CANCELED)) {
            found = event;
        }
        if (event.type == MR__EVENT_TASK_RETRIED && found.type != 0 && event.task == found.task) {
            found.type = 0;
        }
    }
    if (found.type != 0) {
        mr__run_task_name(run, found.task, text);
        mr__buf_text(text, ": ");
        if (found.reason.len > 0) {
            mr__buf_bytes(text, found.reason.data, found.reason.len);
        } else {
            mr__buf_text(text, mr__task_status_name(found.status));
        }
    }
}

/* What the run is to become, now that nothing can go on, and why. */
static uint8_t verdict(const struct mr__run *run, struct mr__buf *reason)
{
    if (run->flags & MR__RUNFLAG_TIMED_OUT) {
        char limit[MR__TIME_TEXT_BYTES];
        mr__duration_text(run->plan->dag->timeout_ms, limit);
        mr__buf_printf(reason, "timed out after %s", limit);
        return MR__RUN_FAILED;
    }
    if (run->flags & MR__RUNFLAG_CANCELING) {
        mr__buf_text(reason, "canceled");
        return MR__RUN_CANCELED;
    }
    if (run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] > 0) {
        failure_reason(run, reason);
        return MR__RUN_FAILED;
    }
    return run->count[MR__TASK_BLOCKED] > 0 ? MR__RUN_BLOCKED : MR__RUN_SUCCESS;
}

static void settle_as(struct mr__scheduler *s, struct mr__run *run, uint8_t status,
                      struct mr__blob reason)
{
    struct mr__event event = {.type = MR__EVENT_RUN_SETTLED, .status = status, .reason = reason};
    mr__decide_emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_SETTLED, run->slot, (uint32_t)run->log.len,
                    run->status);
    if (run->status != MR__RUN_BLOCKED && s->on_finished != NULL && !s->failed) {
        s->on_finished(s->user, run);
    }
}

/* Nothing can go on: its hooks are called, if there are any for this end; then it is over. */
static void settle(struct mr__scheduler *s, struct mr__run *run)
{
    static const uint32_t hooks[MR__RUN_STATUSES] = {
        [MR__RUN_SUCCESS] =
            1u << MR__HOOK_BEFORE_SUCCESS | 1u << MR__HOOK_ON_SUCCESS | 1u << MR__HOOK_ON_EXIT,
        [MR__RUN_FAILED] =
            1u << MR__HOOK_BEFORE_FAIL | 1u << MR__HOOK_ON_FAILURE | 1u << MR__HOOK_ON_EXIT,
        [MR__RUN_CANCELED] = 1u << MR__HOOK_ON_CANCEL | 1u << MR__HOOK_ON_EXIT,
        [MR__RUN_BLOCKED] = 1u << MR__HOOK_BEFORE_BLOCK,
    };
    struct mr__buf text;
    mr__buf_init(&text);
    uint8_t status = verdict(run, &text);
    s->failed |= text.failed;
    struct mr__blob reason = {(const char *)text.data, MR__MIN(text.len, MR__REASON_BYTES_MAX)};
    if (!s->failed && !mr__decide_hooks(s, run, hooks[status], status, reason)) {
        settle_as(s, run, status, reason);
    }
    mr__buf_finish(&text);
}

void mr__decide_ask_before(struct mr__scheduler *s, struct mr__run *run, uint32_t task)
{
    const uint16_t ends = MR__TASKFLAG_CANCELED | MR__TASKFLAG_CANCELING;
    const struct mr__task *it = &run->tasks[task];
    mr__effect_push(s, &s->durable, MR__EFFECT_BEFORE, run->slot, task, mr__run_attempt(run, task));
    if ((it->flags & ends) != 0 || (run->flags & MR__RUNFLAG_CANCELING) != 0) {
        bool timed_out = (it->flags & MR__TASKFLAG_TIMED_OUT) != 0;
        mr__effect_push(s, &s->durable, MR__EFFECT_CANCEL, run->slot, task,
                        timed_out ? MR_BY_TIMEOUT : MR_BY_USER);
    }
}

void mr__decide_ask_all_before(struct mr__scheduler *s, struct mr__run *run)
{
    for (uint32_t t = 0; t < run->task_count && run->preparing_count > 0; t++) {
        if (run->tasks[t].flags & MR__TASKFLAG_PREPARED) {
            mr__decide_ask_before(s, run, t);
        }
    }
}

void mr__decide_hooked(struct mr__scheduler *s, struct mr__run *run, uint32_t mask)
{
    struct mr__event due;
    if (run->hooks_due != mask || mask == 0 || (run->flags & MR__RUNFLAG_DORMANT) != 0) {
        return; /* of an earlier time */
    }
    if (mr__run_closing(run) && mr__run_event(run, run->hooks_at, &due)) {
        char reason[MR__REASON_BYTES_MAX]; /* the log moves as it grows */
        size_t len = MR__MIN(due.reason.len, sizeof reason);
        memcpy(reason, len == 0 ? "" : due.reason.data, len);
        settle_as(s, run, run->hooks_status, (struct mr__blob){reason, len});
        return;
    }
    struct mr__event event = {.type = MR__EVENT_HOOKS_DONE, .count = mask};
    mr__decide_emit(s, run, &event);
    mr__decide_ask_all_before(s, run);
    mr__decide_advance(s, run);
}

/* ---- fan-outs ---------------------------------------------------------------------------------
 */

/* Ends a fan-out: all of its children have ended, or (`stuck`) those that have not never will. */
static void fan_close(struct mr__scheduler *s, struct mr__run *run, const struct mr__fan *fan)
{
    bool canceled = (run->flags & MR__RUNFLAG_CANCELING) != 0 ||
                    (run->tasks[fan->task].flags & MR__TASKFLAG_CANCELED) != 0;
    uint32_t bad = fan->bad + (fan->count - fan->ended), task = fan->task;
    struct mr__buf reason;
    mr__buf_init(&reason);
    if (bad == 0) {
        mr__decide_set(s, run, task, MR__TASK_SUCCESS, (struct mr__blob){NULL, 0});
        return;
    }
    for (uint32_t t = fan->first; t < fan->first + fan->count && reason.len == 0; t++) {
        struct mr__event event = {0};
        uint8_t want =
            canceled || run->count[MR__TASK_FAILED] == 0 ? MR__TASK_CANCELED : MR__TASK_FAILED;
        if (run->tasks[t].status == want && mr__run_task_event(run, t, &event)) {
            mr__buf_printf(&reason, "%u of %u %s: ", bad, fan->count,
                           canceled ? "canceled" : "failed");
            mr__run_task_name(run, t, &reason);
            mr__buf_text(&reason, ": ");
            mr__buf_bytes(&reason, event.reason.data, event.reason.len);
        }
    }
    if (reason.len == 0) {
        mr__buf_printf(&reason, "%u of %u %s", bad, fan->count, canceled ? "canceled" : "failed");
    }
    s->failed |= reason.failed;
    mr__decide_set(s, run, task, canceled ? MR__TASK_CANCELED : MR__TASK_FAILED,
                   (struct mr__blob){(const char *)reason.data, reason.len});
    mr__buf_finish(&reason);
}

/* True if a fan-out was ended: what is below it may go on. */
static bool close_fans(struct mr__scheduler *s, struct mr__run *run, bool stuck)
{
    bool closed = false;
    for (uint32_t i = 0; i < run->fan_count && run->fan_open > 0 && !s->failed; i++) {
        const struct mr__fan *fan = &run->fans[i];
        if (run->tasks[fan->task].status == MR__TASK_RUNNING &&
            (stuck || fan->ended == fan->count)) {
            fan_close(s, run, fan);
            closed = true;
        }
    }
    return closed;
}

void mr__decide_close_fans(struct mr__scheduler *s, struct mr__run *run)
{
    (void)close_fans(s, run, false);
}

void mr__decide_close_fan_of(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    const struct mr__fan *fan = mr__run_fan(run, t);
    if (fan != NULL && fan->ended == fan->count && !s->failed &&
        run->tasks[fan->task].status == MR__TASK_RUNNING) {
        fan_close(s, run, fan);
    }
}

/* Begins what needs no --jobs slot, asks for slots for the rest, and ends the run when nothing is
 * left. */
static void step(struct mr__scheduler *s, struct mr__run *run)
{
    while (goes_on(run) && !s->failed) {
        while (run->ready_free.head != MR__NONE && has_room(run) && !s->failed) {
            begin(s, run, run->ready_free.head);
        }
        if (run->ready_job.head != MR__NONE && has_room(run)) {
            job_queue_push(s, run);
        }
        bool open = run->status == MR__RUN_INIT || run->status == MR__RUN_RUNNING;
        if (!open || s->failed || mr__run_begun(run) + run->ready_count + run->delayed_count > 0) {
            return;
        }
        /* Children that are blocked beside a failure will not be continued any more. */
        bool fails = run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] > 0;
        if (!fails || run->fan_open == 0 || !close_fans(s, run, true)) {
            settle(s, run);
            return;
        }
    }
}

/* One task a run in turn. */
void mr__decide_start_jobs(struct mr__scheduler *s)
{
    while (s->jobs_used < s->jobs_max && !s->failed) {
        struct mr__run *run = job_queue_pop(s);
        if (run == NULL) {
            return;
        }
        if (run->ready_job.head == MR__NONE || !has_room(run) || !goes_on(run)) {
            continue; /* comes back with mr__decide_advance when a task of it ends */
        }
        uint32_t t = run->ready_job.head;
        begin(s, run, t);
        if (run->ready_job.head != MR__NONE) {
            job_queue_push(s, run);
        }
        if (!mr__task_begun(&run->tasks[t])) {
            step(s, run); /* it was skipped: what is below it may begin, or nothing is left */
        }
    }
}

void mr__decide_advance(struct mr__scheduler *s, struct mr__run *run)
{
    step(s, run);
    mr__decide_start_jobs(s);
}

/* ---- submit and prepare -----------------------------------------------------------------------
 */

/* What a run begins with: tasks that are settled already, and share data. */
static void submit_kept(struct mr__scheduler *s, struct mr__run *run,
                        const struct mr__submit *submit)
{
    for (size_t i = 0; i < submit->share_count && !s->failed; i++) {
        struct mr__event event = {.type = MR__EVENT_SHARE_SET,
                                  .key = submit->share[2 * i],
                                  .payload = submit->share[2 * i + 1]};
        mr__decide_emit(s, run, &event);
        mr__effect_push(s, &s->durable, MR__EFFECT_SHARE, run->slot, 0, run->event_at);
    }
    for (size_t i = 0; i < submit->kept_count && !s->failed; i++) {
        const struct mr__kept *kept = &submit->kept[i];
        struct mr__event event = {.type = MR__EVENT_TASK_SET,
                                  .task = kept->task,
                                  .status = kept->status,
                                  .outcome = 1,
                                  .reason = kept->reason,
                                  .payload = kept->output};
        mr__decide_emit(s, run, &event);
    }
}

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
        .payload = submit->origin,
    };
    mr__decide_emit(s, run, &event);
    submit_kept(s, run, submit);
    (void)mr__decide_hooks(s, run, 1u << MR__HOOK_BEFORE_RUN, MR__RUN_RUNNING,
                           (struct mr__blob){NULL, 0});
    if (dag->timeout_ms > 0) {
        mr__effect_push(s, &s->now, MR__EFFECT_RUN_TIMER, slot, 0, 0);
    }
    mr__decide_advance(s, run);
    *ret_run = run;
    return MR_OK;
}

static void fan_out(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                    const struct mr__ready_to_go *answer)
{
    struct mr__event event = {
        .type = MR__EVENT_TASK_FANNED,
        .task = t,
        .count = answer->item_count,
        .payload = {answer->items.data == NULL ? "" : answer->items.data, answer->items.len}};
    if (answer->item_count > MR__RUN_TASKS_MAX - run->task_count) {
        mr__decide_set(s, run, t, MR__TASK_FAILED,
                       mr__blob_of("forEach: the run would have more than 2,000,000 tasks"));
        return;
    }
    mr__decide_emit(s, run, &event);
    if (answer->item_count == 0 && !s->failed) {
        mr__decide_set(s, run, t, MR__TASK_SUCCESS, (struct mr__blob){NULL, 0});
    }
}

void mr__decide_prepared(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                         const struct mr__ready_to_go *answer)
{
    if (task >= run->task_count || (run->tasks[task].flags & MR__TASKFLAG_PREPARING) == 0) {
        return; /* canceled meanwhile */
    }
    if (!goes_on(run)) {
        mr__ready_back(s, run, task); /* it is asked for again when it may begin */
        mr__decide_start_jobs(s);     /* its slot is another run's now */
        return;
    }
    switch (answer->verdict) {
    case MR__VERDICT_SKIP: mr__decide_set(s, run, task, MR__TASK_SKIPPED, answer->reason); break;
    case MR__VERDICT_BLOCK: mr__decide_set(s, run, task, MR__TASK_BLOCKED, answer->reason); break;
    case MR__VERDICT_FAN: fan_out(s, run, task, answer); break;
    case MR__VERDICT_GO:
        if (mr__run_dag_task(run, task)->action == NULL) {
            mr__decide_set(s, run, task, MR__TASK_SUCCESS, (struct mr__blob){NULL, 0});
        } else {
            attempt_start(s, run, task, answer->params);
        }
        break;
    default: mr__decide_set(s, run, task, MR__TASK_FAILED, answer->reason); break;
    }
    mr__decide_advance(s, run);
}

bool mr__decide_began(struct mr__scheduler *s, struct mr__run *run, uint32_t task, uint32_t attempt)
{
    if (!mr__attempt_is_current(run, task, attempt) ||
        (run->tasks[task].flags & MR__TASKFLAG_PREPARED) == 0) {
        return false;
    }
    if (!goes_on(run)) {
        return true; /* unpause, or the end of the hooks, asks again */
    }
    mr__decide_emit_task(s, run, MR__EVENT_ATTEMPT_STARTED, task);
    mr__effect_push(s, &s->durable, MR__EFFECT_START, run->slot, task, attempt);
    return true;
}

void mr__decide_share(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                      struct mr__blob key, struct mr__blob json)
{
    struct mr__event event = {
        .type = MR__EVENT_SHARE_SET, .task = task, .key = key, .payload = json};
    if (task >= run->task_count || (run->flags & MR__RUNFLAG_SETTLED) != 0) {
        return;
    }
    mr__decide_emit(s, run, &event);
    mr__effect_push(s, &s->durable, MR__EFFECT_SHARE, run->slot, task, run->event_at);
}
