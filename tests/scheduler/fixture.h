/* SPDX-License-Identifier: MIT
 *
 * What the tests of the scheduler share: dags from YAML, a hand that does the effects (an executor
 * that only remembers what it was told), and the invariants that hold after every input. Header
 * only.
 *
 * Actions by name: "loop" needs no --jobs slot, "job" does, "idem" is a job that may be repeated,
 * "gone" is known to nobody.
 */
#ifndef MR__SCHEDULER_FIXTURE_H
#define MR__SCHEDULER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace/plugin.h> /* before cmocka, whose macros have names of its fields */

#include "core/scheduler/resume.h"

#include <cmocka.h>

#define NOW     1700000000000
#define NO_BLOB ((struct mr__blob){NULL, 0})

struct hand_timer {
    uint32_t kind, slot, task, attempt;
};

/* Everything that the effects asked for, in order. */
struct hand {
    struct mr__scheduler s;
    struct mr__effect started[65536], canceled[256];
    struct hand_timer timers[65536];
    size_t started_count, canceled_count, timer_count, settled_count, notify_count, finished_count;
    uint32_t last_settled;
    bool bad_params; /* rendering fails */
    uint32_t next_id;
};

static inline struct mr__action_binding fixture_bind(void *user, const char *name)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } known[] = {
        {"loop", MR__ACTION_KNOWN},
        {"wait", MR__ACTION_KNOWN},
        {"job", MR__ACTION_KNOWN | MR__ACTION_JOB},
        {"idem", MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_IDEMPOTENT},
    };
    for (size_t i = 0; i < MR__COUNT(known); i++) {
        if (strcmp(known[i].name, name) == 0) {
            return (struct mr__action_binding){.flags = known[i].flags};
        }
    }
    return (struct mr__action_binding){0};
}

static inline struct mr__plan *fixture_plan(const char *yaml)
{
    struct mr__problems problems;
    struct mr__parse_options options = {.file = "test.yaml"};
    struct mr__dag *dag;
    struct mr__plan *plan;
    mr__problems_init(&problems);
    mr_status status = mr__dag_parse(yaml, strlen(yaml), &options, &problems, &dag);
    if (status != MR_OK) {
        fail_msg("%s in:\n%s", problems.count > 0 ? problems.list[0].message : "?", yaml);
    }
    mr__problems_finish(&problems);
    assert_int_equal(mr__plan_create(dag, fixture_bind, NULL, &plan), MR_OK);
    return plan;
}

static inline void hand_finished(void *user, struct mr__run *run)
{
    ((struct hand *)user)->finished_count++;
}

static inline struct hand *hand_create(uint32_t jobs)
{
    struct hand *h = calloc(1, sizeof *h);
    assert_non_null(h);
    mr__scheduler_init(&h->s, jobs);
    h->s.on_finished = hand_finished;
    h->s.user = h;
    h->s.now_ms = NOW;
    h->s.lsn = 1;
    return h;
}

static inline void hand_destroy(struct hand *h)
{
    assert_false(h->s.failed);
    mr__scheduler_finish(&h->s);
    free(h);
}

/* ---- invariants ----------------------------------------------------------------------------- */

static inline bool may_start(uint8_t status)
{
    return status == MR__TASK_INIT || status == MR__TASK_RETRYING || status == MR__TASK_CONTINUE;
}

static inline uint32_t check_list(const struct mr__run *run, const struct mr__ready *list,
                                  bool jobs)
{
    uint32_t count = 0, before = MR__NONE;
    for (uint32_t t = list->head; t != MR__NONE; t = run->tasks[t].next) {
        assert_true(run->tasks[t].flags & MR__TASKFLAG_READY);
        assert_int_equal(run->tasks[t].prev, before);
        assert_int_equal(mr__task_is_job(run, t), jobs);
        before = t;
        count++;
        assert_in_range(count, 1, run->plan->dag->task_count);
    }
    assert_int_equal(list->tail, before);
    return count;
}

static inline void check_task(const struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__task *task = &run->tasks[t];
    bool ready = (task->flags & MR__TASKFLAG_READY) != 0;
    bool preparing = (task->flags & MR__TASKFLAG_PREPARING) != 0;
    uint32_t open = 0;
    for (uint32_t i = 0; i < dag->tasks[t].parent_count; i++) {
        uint8_t status = run->tasks[dag->parents[dag->tasks[t].first_parent + i]].status;
        open += status != MR__TASK_SUCCESS && status != MR__TASK_SKIPPED;
    }
    assert_int_equal(task->open, open);
    assert_false(ready && preparing);
    assert_int_equal(ready || preparing, open == 0 && may_start(task->status));
    if (task->flags & MR__TASKFLAG_WAITING) {
        assert_int_equal(task->status, MR__TASK_RUNNING);
        assert_non_null(run->wait_ms);
    }
    if (task->flags & MR__TASKFLAG_CANCELING) {
        assert_int_equal(task->status, MR__TASK_RUNNING);
    }
    if (task->status == MR__TASK_RUNNING) {
        assert_true(task->attempt > 0 && open == 0);
    }
}

/* What must hold of a run at any time between two inputs. Returns the --jobs slots that it holds.
 */
static inline uint32_t check_run(const struct mr__run *run)
{
    uint32_t count[MR__TASK_STATUSES] = {0}, preparing = 0, jobs = 0;
    const struct mr__dag *dag = run->plan->dag;
    for (uint32_t t = 0; t < dag->task_count; t++) {
        const struct mr__task *task = &run->tasks[t];
        bool prepares = (task->flags & MR__TASKFLAG_PREPARING) != 0;
        check_task(run, t);
        count[task->status]++;
        preparing += prepares;
        jobs += mr__task_is_job(run, t) &&
                (prepares || task->status == MR__TASK_RUNNING || task->status == MR__TASK_ENDING);
    }
    assert_memory_equal(count, run->count, sizeof count);
    assert_int_equal(preparing, run->preparing_count);
    assert_int_equal(check_list(run, &run->ready_free, false) +
                         check_list(run, &run->ready_job, true),
                     run->ready_count);
    if (run->flags & MR__RUNFLAG_SETTLED || run->status == MR__RUN_BLOCKED) {
        assert_int_equal(mr__run_begun(run), 0);
        assert_int_equal(run->ready_count, 0);
    }
    return jobs;
}

/* No run stands still that could go on, and no slot is lost or given twice. */
static inline void check_scheduler(const struct mr__scheduler *s)
{
    uint32_t jobs = 0, runs = 0, dormant = 0, queued = 0;
    for (const struct mr__run *r = s->job_head; r != NULL; r = r->job_next) {
        assert_true(r->flags & MR__RUNFLAG_JOB_QUEUED);
        queued++;
    }
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        if (run == NULL) {
            continue;
        }
        uint32_t held = check_run(run), max = run->plan->dag->max_parallel;
        runs++;
        queued -= (run->flags & MR__RUNFLAG_JOB_QUEUED) != 0;
        if (run->flags & MR__RUNFLAG_DORMANT) {
            dormant++;
            continue;
        }
        jobs += held;
        bool room = max == 0 || mr__run_begun(run) < max;
        bool open = run->status == MR__RUN_INIT || run->status == MR__RUN_RUNNING;
        assert_true(!open || mr__run_begun(run) > 0 || run->ready_count > 0);
        assert_true(!room || run->ready_free.head == MR__NONE);
        if (room && run->ready_job.head != MR__NONE) {
            assert_true(s->jobs_used >= s->jobs_max);
            assert_true(run->flags & MR__RUNFLAG_JOB_QUEUED);
        }
    }
    assert_int_equal(queued, 0);
    assert_int_equal(s->jobs_used, jobs);
    assert_int_equal(s->run_count, runs);
    assert_int_equal(s->dormant_count, dormant);
    assert_int_equal(s->by_id.count, runs);
}

/* The first `len` bytes of a run's log, replayed elsewhere, give this digest. */
static inline void check_replay(const struct mr__run *run, size_t len, uint64_t digest)
{
    struct mr__scheduler other;
    struct mr__run *copy;
    mr__scheduler_init(&other, 1);
    assert_int_equal(mr__run_create(&other, run->slot, run->id, run->plan, &copy), MR_OK);
    assert_int_equal(mr__replay(&other, copy, run->log.data, len), MR_OK);
    assert_true(mr__run_digest(copy) == digest);
    (void)check_run(copy);
    assert_int_equal(other.jobs_used, 0);
    mr__scheduler_finish(&other);
}

static inline void check_all(struct hand *h)
{
    check_scheduler(&h->s);
    for (uint32_t slot = 0; slot < h->s.runs_cap; slot++) {
        const struct mr__run *run = h->s.runs[slot];
        if (run != NULL) {
            check_replay(run, run->log.len, mr__run_digest(run));
        }
    }
}

/* ---- doing effects -------------------------------------------------------------------------- */

static inline void hand_now(struct hand *h, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&h->s, effect->slot);
    static const char bad[] = "unknown name";
    if (run == NULL) {
        return;
    }
    switch (effect->kind) {
    case MR__EFFECT_PREPARE:
        mr__decide_prepared(&h->s, run, effect->task, (struct mr__blob){"{\"x\":1}", 7},
                            (struct mr__blob){bad, h->bad_params ? strlen(bad) : 0});
        break;
    default:
        h->timers[h->timer_count++ % MR__COUNT(h->timers)] =
            (struct hand_timer){.kind = effect->kind == MR__EFFECT_WAIT       ? MR__TIMER_WAIT
                                        : effect->kind == MR__EFFECT_DEADLINE ? MR__TIMER_DEADLINE
                                                                              : MR__TIMER_RUN,
                                .slot = effect->slot,
                                .task = effect->task,
                                .attempt = effect->arg};
        break;
    }
}

/* Makes all events durable at once and does what they ask for. */
static inline void hand_do(struct hand *h)
{
    struct mr__effect effect;
    while (mr__effect_pop(&h->s.now, &effect)) {
        hand_now(h, &effect);
    }
    mr__buf_reset(&h->s.events);
    if (h->s.event_count > 0) {
        h->s.lsn++;
    }
    h->s.event_count = 0;
    while (mr__effect_pop(&h->s.durable, &effect)) {
        switch (effect.kind) {
        case MR__EFFECT_START:
            h->started[h->started_count++ % MR__COUNT(h->started)] = effect;
            break;
        case MR__EFFECT_CANCEL:
            h->canceled[h->canceled_count++ % MR__COUNT(h->canceled)] = effect;
            break;
        case MR__EFFECT_FORGET: break;
        case MR__EFFECT_NOTIFY: h->notify_count++; break;
        case MR__EFFECT_SETTLED:
            h->settled_count++;
            h->last_settled = effect.arg;
            break;
        default: fail_msg("effect %u", effect.kind);
        }
    }
    check_scheduler(&h->s);
}

static inline struct mr__run *hand_submit(struct hand *h, struct mr__plan *plan)
{
    uint8_t id[MR__RUN_ID_BYTES] = {0};
    struct mr__run *run;
    uint32_t n = ++h->next_id;
    memcpy(id, &n, sizeof n);
    struct mr__submit submit = {
        .id = id, .plan = plan, .folder = {"/", 1}, .vars = {"{}", 2}, .tags = {"{}", 2}};
    assert_int_equal(mr__decide_submit(&h->s, &submit, &run), MR_OK);
    hand_do(h);
    return run;
}

static inline struct mr__run *hand_run(struct hand *h, const char *yaml)
{
    struct mr__plan *plan = fixture_plan(yaml);
    struct mr__run *run = hand_submit(h, plan);
    mr__plan_unref(plan);
    return run;
}

static inline uint32_t task_of(const struct mr__run *run, const char *id)
{
    int64_t t = mr__dag_find(run->plan->dag, id, strlen(id));
    assert_true(t >= 0);
    return (uint32_t)t;
}

static inline uint8_t status_of(const struct mr__run *run, const char *id)
{
    return run->tasks[task_of(run, id)].status;
}

#define assert_task(run, id, want) \
    assert_string_equal(mr__task_status_name(status_of(run, id)), want)
#define assert_status(run, want) assert_string_equal(mr__run_status_name((run)->status), want)

/* Ends the current attempt of a task. */
static inline void hand_end(struct hand *h, struct mr__run *run, const char *id,
                            enum mr__outcome outcome, const char *reason)
{
    uint32_t t = task_of(run, id);
    struct mr__ended ended = {.task = t,
                              .attempt = run->tasks[t].attempt,
                              .outcome = outcome,
                              .reason = {reason, strlen(reason)}};
    assert_true(mr__decide_ended(&h->s, run, &ended));
    hand_do(h);
}

static inline void hand_ok(struct hand *h, struct mr__run *run, const char *id)
{
    hand_end(h, run, id, MR__OUTCOME_SUCCESS, "");
}

static inline void hand_fail(struct hand *h, struct mr__run *run, const char *id,
                             const char *reason)
{
    hand_end(h, run, id, MR__OUTCOME_FAILED, reason);
}

/* A timer fires, of the current attempt; of the run if `id` is NULL. */
static inline void hand_fire(struct hand *h, struct mr__run *run, enum mr__timer_kind kind,
                             const char *id)
{
    uint32_t t = id == NULL ? 0 : task_of(run, id);
    mr__decide_timer(&h->s, run, kind, t, id == NULL ? 0 : run->tasks[t].attempt);
    hand_do(h);
}

static inline bool has_timer(const struct hand *h, uint32_t kind, uint32_t task, uint32_t attempt)
{
    for (size_t i = 0; i < h->timer_count; i++) {
        const struct hand_timer *timer = &h->timers[i];
        if (timer->kind == kind && timer->task == task && timer->attempt == attempt) {
            return true;
        }
    }
    return false;
}

static inline void expect_ok(struct hand *h, mr_status status)
{
    assert_int_equal(status, MR_OK);
    hand_do(h);
}

/* The last event of a type in the run's log, of a task if it is not MR__NONE. */
static inline bool last_event(const struct mr__run *run, uint8_t type, uint32_t task,
                              struct mr__event *ret_event)
{
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    bool found = false;
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0) {
        assert_true(mr__event_decode(&r, last_ms, &event));
        last_ms = event.time_ms;
        if (event.type == type && (task == MR__NONE || event.task == task)) {
            *ret_event = event;
            found = true;
        }
    }
    return found;
}

static inline void assert_reason(const struct mr__run *run, uint8_t type, const char *id,
                                 const char *want)
{
    struct mr__event event = {0};
    char got[MR__REASON_BYTES_MAX + 1];
    assert_true(last_event(run, type, id == NULL ? MR__NONE : task_of(run, id), &event));
    (void)snprintf(got, sizeof got, "%.*s", (int)event.reason.len,
                   event.reason.data == NULL ? "" : event.reason.data);
    assert_string_equal(got, want);
}

#define assert_run_reason(run, want)      assert_reason(run, MR__EVENT_RUN_SETTLED, NULL, want)
#define assert_task_reason(run, id, want) assert_reason(run, MR__EVENT_ATTEMPT_ENDED, id, want)

static inline enum mr__resume_fate fate_gone(void *user, const struct mr__run *run, uint32_t task)
{
    return MR__RESUME_GONE;
}

/* What a crash does: the run is built anew from its log, dormant, in a fresh scheduler; then it is
 * resumed. Returns the run; `h` is as after a restart. */
static inline struct mr__run *hand_crash(struct hand *h, struct mr__run *run, mr__fate_fn fate)
{
    struct mr__scheduler old = h->s;
    struct mr__run *again;
    mr__scheduler_init(&h->s, old.jobs_max);
    h->s.on_finished = hand_finished;
    h->s.user = h;
    h->s.now_ms = old.now_ms;
    h->s.lsn = old.lsn;
    assert_int_equal(mr__run_create(&h->s, run->slot, run->id, run->plan, &again), MR_OK);
    assert_int_equal(mr__replay(&h->s, again, run->log.data, run->log.len), MR_OK);
    assert_true(mr__run_digest(run) == mr__run_digest(again));
    assert_int_equal(mr__slots_rebuild(&h->s), MR_OK);
    mr__scheduler_finish(&old);
    if (fate != NULL) {
        mr__resume_run(&h->s, again, fate, h);
        hand_do(h);
    }
    return again;
}

#endif
