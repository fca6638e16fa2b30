/* SPDX-License-Identifier: MIT
 *
 * What the tests of the scheduler share: dags from YAML, a hand that does the effects (an executor
 * that only remembers what it was told), and the invariants that hold after every input. Header
 * only.
 *
 * Actions by name: "loop" needs no --jobs slot, "job" does, "idem" is a job that may be repeated,
 * "phases" has run_before and run_after, "gone" is known to nobody.
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
#include "core/scheduler/why.h"

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
    size_t before_count, after_count, share_count, hook_count, judge_count;
    uint32_t last_settled, last_hooks, last_prepare;
    bool bad_params;          /* rendering fails */
    bool holds;               /* what is to be answered is not: PREPARE, JUDGE, BEFORE, HOOK */
    bool gives_up;            /* JUDGE: no further attempt */
    enum mr__verdict verdict; /* of PREPARE, where it is not a fan-out's */
    uint32_t items;           /* of a fan-out */
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
        {"phases", MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_BEFORE},
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

static inline uint32_t check_list(const struct mr__run *run, const struct mr__list *list, bool jobs)
{
    uint32_t count = 0, before = MR__NONE;
    for (uint32_t t = list->head; t != MR__NONE; t = run->tasks[t].next) {
        assert_true(run->tasks[t].flags & MR__TASKFLAG_READY);
        assert_int_equal(run->tasks[t].prev, before);
        assert_int_equal(mr__task_is_job(run, t), jobs);
        before = t;
        count++;
        assert_in_range(count, 1, run->task_count);
    }
    assert_int_equal(list->tail, before);
    return count;
}

/* What a task is for those below it, from the rules alone. */
static inline enum mr__graph_state graph_state(const struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    uint8_t status = run->tasks[t].status;
    if (status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED) {
        return MR__GRAPH_GOOD;
    }
    if (status == MR__TASK_FAILED || status == MR__TASK_CANCELED) {
        return MR__GRAPH_BAD;
    }
    for (uint32_t i = 0; i < dag->tasks[t].parent_count && status == MR__TASK_INIT &&
                         dag->tasks[t].when == MR__WHEN_SUCCESS;
         i++) {
        if (graph_state(run, dag->parents[dag->tasks[t].first_parent + i]) == MR__GRAPH_BAD) {
            return MR__GRAPH_BAD;
        }
    }
    return MR__GRAPH_OPEN;
}

static inline void check_graph(const struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    uint32_t open = 0, bad = 0;
    for (uint32_t i = 0; i < dag->tasks[t].parent_count; i++) {
        enum mr__graph_state state = graph_state(run, dag->parents[dag->tasks[t].first_parent + i]);
        open += dag->tasks[t].when == MR__WHEN_SUCCESS ? state != MR__GRAPH_GOOD
                                                       : state == MR__GRAPH_OPEN;
        bad += state == MR__GRAPH_BAD;
    }
    assert_int_equal(run->tasks[t].open, open);
    if (dag->has_when) {
        assert_int_equal(run->bad[t], bad);
        assert_int_equal((run->tasks[t].flags & MR__TASKFLAG_DEAD) != 0,
                         run->tasks[t].status == MR__TASK_INIT &&
                             graph_state(run, t) == MR__GRAPH_BAD);
    }
}

static inline void check_task(const struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    bool ready = (task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_HELD)) != 0;
    bool preparing = (task->flags & MR__TASKFLAG_PREPARING) != 0;
    bool prepared = (task->flags & MR__TASKFLAG_PREPARED) != 0;
    bool later = (task->flags & (MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED)) != 0;
    if (t < run->plan->dag->task_count) {
        check_graph(run, t);
    } else {
        assert_int_equal(task->open, 0);
    }
    assert_true(ready + preparing + prepared + later <= 1);
    if (!prepared) { /* once run_before is called it goes on, whatever its parents do */
        assert_int_equal(ready || preparing || later,
                         (task->open == 0 || later) && may_start(task->status));
    }
    if (later) {
        assert_int_equal(task->status, MR__TASK_RETRYING);
    }
    if (task->flags & MR__TASKFLAG_WAITING) {
        assert_int_equal(task->status, MR__TASK_RUNNING);
        assert_non_null(run->details);
    }
    if (task->flags & MR__TASKFLAG_CANCELING) {
        assert_true(mr__task_begun(task));
    }
    if (task->status == MR__TASK_RUNNING && (task->flags & MR__TASKFLAG_FANNED) == 0) {
        assert_true(task->attempt > 0);
    }
}

static inline void check_fan(const struct mr__run *run, const struct mr__fan *fan)
{
    uint32_t active = 0, ended = 0, bad = 0, held = 0;
    uint32_t max = run->plan->dag->tasks[fan->task].max_parallel;
    uint8_t status = run->tasks[fan->task].status;
    for (uint32_t t = fan->first; t < fan->first + fan->count; t++) {
        const struct mr__task *task = &run->tasks[t];
        active += mr__task_begun(task) || (task->flags & MR__TASKFLAG_READY) != 0;
        held += (task->flags & MR__TASKFLAG_HELD) != 0;
        bad += task->status == MR__TASK_FAILED || task->status == MR__TASK_CANCELED;
        ended += task->status == MR__TASK_SUCCESS || task->status == MR__TASK_FAILED ||
                 task->status == MR__TASK_CANCELED || task->status == MR__TASK_SKIPPED;
    }
    assert_int_equal(active, fan->active);
    assert_int_equal(ended, fan->ended);
    assert_int_equal(bad, fan->bad);
    assert_true(max == 0 ? held == 0 : active <= max && (held == 0 || active == max));
    assert_true(status != MR__TASK_SUCCESS || (ended == fan->count && bad == 0));
}

/* What must hold of a run at any time between two inputs. Returns the --jobs slots that it holds.
 */
static inline uint32_t check_run(const struct mr__run *run)
{
    uint32_t count[MR__TASK_STATUSES] = {0}, preparing = 0, jobs = 0, delayed = 0, fans = 0;
    for (uint32_t t = 0; t < run->task_count; t++) {
        const struct mr__task *task = &run->tasks[t];
        check_task(run, t);
        count[task->status]++;
        preparing += (task->flags & (MR__TASKFLAG_PREPARING | MR__TASKFLAG_PREPARED)) != 0;
        delayed += (task->flags & (MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED)) != 0;
        fans += (task->flags & MR__TASKFLAG_FANNED) != 0 && task->status == MR__TASK_RUNNING;
        jobs += mr__task_is_job(run, t) && mr__task_begun(task);
    }
    for (uint32_t i = 0; i < run->fan_count; i++) {
        check_fan(run, &run->fans[i]);
    }
    assert_memory_equal(count, run->count, sizeof count);
    assert_int_equal(preparing, run->preparing_count);
    assert_int_equal(delayed, run->delayed_count);
    assert_int_equal(fans, run->fan_open);
    assert_int_equal(check_list(run, &run->ready_free, false) +
                         check_list(run, &run->ready_job, true),
                     run->ready_count);
    if (run->flags & MR__RUNFLAG_SETTLED || run->status == MR__RUN_BLOCKED) {
        assert_int_equal(mr__run_begun(run) + delayed, 0);
        assert_int_equal(run->ready_count, 0);
    }
    if (run->flags & MR__RUNFLAG_SETTLED) {
        assert_int_equal(run->fan_open, 0);
    }
    return jobs;
}

/* Nothing waits without a reason: a task that is not over waits for something else than its turn,
 * or could begin at this very moment. */
static inline void check_why(const struct mr__scheduler *s, const struct mr__run *run)
{
    uint32_t max = run->plan->dag->max_parallel;
    for (uint32_t t = 0; t < run->task_count; t++) {
        const struct mr__task *task = &run->tasks[t];
        struct mr__why why = mr__why_task(s, run, t);
        bool over = task->status == MR__TASK_SUCCESS || task->status == MR__TASK_FAILED ||
                    task->status == MR__TASK_CANCELED || task->status == MR__TASK_SKIPPED;
        assert_true(why.kind < MR__WHY_KINDS);
        assert_int_equal(why.kind == MR__WHY_OVER, over);
        if (why.kind == MR__WHY_TASK || why.kind == MR__WHY_DEAD || why.kind == MR__WHY_CHILDREN) {
            assert_true(why.other < run->task_count && why.other != t);
        }
        if (why.kind == MR__WHY_TURN) {
            assert_true(task->flags & MR__TASKFLAG_READY);
            assert_true(max == 0 || mr__run_begun(run) < max);
            assert_true(!mr__task_is_job(run, t) || s->jobs_used < s->jobs_max);
        }
    }
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
        check_why(s, run);
        runs++;
        queued -= (run->flags & MR__RUNFLAG_JOB_QUEUED) != 0;
        if (run->flags & MR__RUNFLAG_DORMANT) {
            dormant++;
            continue;
        }
        jobs += held;
        bool room = max == 0 || mr__run_begun(run) < max;
        bool open = run->status == MR__RUN_INIT || run->status == MR__RUN_RUNNING;
        assert_true(!open || run->hooks_due != 0 ||
                    mr__run_begun(run) + run->ready_count + run->delayed_count > 0);
        if (run->status == MR__RUN_PAUSED || run->hooks_due != 0) {
            continue; /* nothing begins */
        }
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

/* The items of a fan-out: keys k0, k1, ... and the numbers. */
static inline void fixture_items(struct mr__buf *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char key[16], json[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        (void)snprintf(json, sizeof json, "%u", i);
        mr__buf_blob(items, key, strlen(key));
        mr__buf_blob(items, json, strlen(json));
    }
}

static inline void hand_prepare(struct hand *h, struct mr__run *run, uint32_t t, unsigned flags)
{
    static const char bad[] = "unknown name", why[] = "by a condition";
    unsigned asks = mr__run_dag_task(run, t)->flags;
    struct mr__buf items;
    struct mr__ready_to_go answer = {.verdict = h->verdict, .reason = {why, strlen(why)}};
    mr__buf_init(&items);
    h->last_prepare = flags;
    if ((flags & MR__PREPARE_NO_CONDITIONS) != 0) {
        answer.verdict = MR__VERDICT_GO;
    }
    if (answer.verdict == MR__VERDICT_BLOCK && (flags & MR__PREPARE_CONTINUED) != 0) {
        answer.verdict = MR__VERDICT_GO;
    }
    if (answer.verdict == MR__VERDICT_GO && (asks & MR__TASK_FOR_EACH) != 0 &&
        (flags & MR__PREPARE_CHILD) == 0) {
        fixture_items(&items, h->items);
        answer.verdict = MR__VERDICT_FAN;
        answer.items = (struct mr__blob){(const char *)items.data, items.len};
        answer.item_count = h->items;
    }
    if ((asks & MR__TASK_TEMPLATES) != 0) {
        answer.params = (struct mr__blob){"{\"x\":1}", 7};
    }
    if (h->bad_params) {
        answer.verdict = MR__VERDICT_FAIL;
        answer.reason = (struct mr__blob){bad, strlen(bad)};
    }
    mr__decide_prepared(&h->s, run, t, &answer);
    mr__buf_finish(&items);
}

static inline void hand_now(struct hand *h, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&h->s, effect->slot);
    static const uint32_t kinds[MR__EFFECT_KINDS] = {[MR__EFFECT_WAIT] = MR__TIMER_WAIT,
                                                     [MR__EFFECT_DELAY] = MR__TIMER_RETRY,
                                                     [MR__EFFECT_DEADLINE] = MR__TIMER_DEADLINE,
                                                     [MR__EFFECT_RUN_TIMER] = MR__TIMER_RUN};
    if (run == NULL) {
        return;
    }
    switch (effect->kind) {
    case MR__EFFECT_PREPARE:
        if (!h->holds) {
            hand_prepare(h, run, effect->task, effect->arg);
        }
        break;
    case MR__EFFECT_JUDGE:
        h->judge_count++;
        if (!h->holds) {
            mr__decide_judged(&h->s, run, effect->task, !h->gives_up, NO_BLOB);
        }
        break;
    default:
        h->timers[h->timer_count++ % MR__COUNT(h->timers)] =
            (struct hand_timer){.kind = kinds[effect->kind],
                                .slot = effect->slot,
                                .task = effect->task,
                                .attempt = effect->arg};
        break;
    }
}

static inline void hand_durable(struct hand *h, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&h->s, effect->slot);
    switch (effect->kind) {
    case MR__EFFECT_START: h->started[h->started_count++ % MR__COUNT(h->started)] = *effect; break;
    case MR__EFFECT_CANCEL:
        h->canceled[h->canceled_count++ % MR__COUNT(h->canceled)] = *effect;
        break;
    case MR__EFFECT_BEFORE:
        h->before_count++;
        if (!h->holds && run != NULL) {
            (void)mr__decide_began(&h->s, run, effect->task, effect->arg);
        }
        break;
    case MR__EFFECT_AFTER: h->after_count++; break;
    case MR__EFFECT_SHARE: h->share_count++; break;
    case MR__EFFECT_HOOK:
        h->hook_count++;
        h->last_hooks = effect->arg;
        if (!h->holds && run != NULL) {
            mr__decide_hooked(&h->s, run, effect->arg);
        }
        break;
    case MR__EFFECT_FORGET: break;
    case MR__EFFECT_NOTIFY: h->notify_count++; break;
    case MR__EFFECT_SETTLED:
        h->settled_count++;
        h->last_settled = effect->arg;
        break;
    default: fail_msg("effect %u", effect->kind);
    }
}

/* Makes all events durable at once and does what they ask for, until nothing is left. */
static inline void hand_do(struct hand *h)
{
    struct mr__effect effect;
    for (bool again = true; again;) {
        again = false;
        while (mr__effect_pop(&h->s.now, &effect)) {
            hand_now(h, &effect);
        }
        mr__buf_reset(&h->s.events);
        h->s.lsn += h->s.event_count > 0;
        h->s.event_count = 0;
        while (!again && mr__effect_pop(&h->s.durable, &effect)) {
            hand_durable(h, &effect);
            again = h->s.event_count > 0;
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

static inline enum mr__resume_fate fate_running(void *user, const struct mr__run *run,
                                                uint32_t task)
{
    return MR__RESUME_RUNNING;
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
