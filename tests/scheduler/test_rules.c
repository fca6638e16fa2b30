/* SPDX-License-Identifier: MIT
 *
 * Goal: the rules beyond starts and ends, one by one: phases, retry policies, fan-outs, `when`,
 * commands for single tasks, pause, hooks, share data, what is kept. Method: inputs by hand, the
 * events and statuses that follow, and each story once more after a crash (fixture.h checks every
 * state against its replay).
 */
#include "tests/scheduler/fixture.h"

#define HAND(yaml) hand_run(*state, yaml)

static mr_error last_error;

static struct mr__run *crash(struct hand *h, struct mr__run *run)
{
    return hand_crash(h, run, fate_gone);
}

static uint32_t named(const struct mr__run *run, const char *name)
{
    int64_t t = mr__run_task_find(run, name, strlen(name));
    assert_true(t >= 0);
    return (uint32_t)t;
}

#define assert_named(run, name, want) \
    assert_string_equal(mr__task_status_name((run)->tasks[named(run, name)].status), want)

static void end_named(struct hand *h, struct mr__run *run, const char *name,
                      enum mr__outcome outcome)
{
    uint32_t t = named(run, name);
    struct mr__ended ended = {.task = t,
                              .attempt = mr__run_attempt(run, t),
                              .outcome = outcome,
                              .reason = {"exit 7", outcome == MR__OUTCOME_FAILED ? 6 : 0}};
    assert_true(mr__decide_ended(&h->s, run, &ended));
    hand_do(h);
}

static mr_status on_tasks(struct hand *h, struct mr__run *run,
                          mr_status (*verb)(struct mr__scheduler *, struct mr__run *,
                                            const uint32_t *, size_t, mr_error *),
                          const char *name)
{
    uint32_t t = named(run, name);
    mr_status status = verb(&h->s, run, &t, 1, &last_error);
    hand_do(h);
    return status;
}

/* ---- phases --------------------------------------------------------------------------------- */

static void rules__run_before_comes_before_the_attempt(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND("tasks: [{id: a, action: phases}]\n");
    assert_int_equal(h->before_count, 1);
    assert_int_equal(h->started_count, 0);
    assert_task(run, "a", "init");
    assert_int_equal(run->tasks[0].attempt, 0);
    run = crash(h, run); /* it may be called again */
    assert_int_equal(h->before_count, 2);
    assert_int_equal(h->s.jobs_used, 1);
    assert_false(mr__decide_began(&h->s, run, 0, 2));
    assert_true(mr__decide_began(&h->s, run, 0, 1));
    hand_do(h);
    assert_task(run, "a", "running");
    assert_int_equal(h->started_count, 1);
    assert_int_equal(run->tasks[0].attempt, 1);
}

static void rules__a_failure_in_run_before_is_an_attempt(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND("tasks: [{id: a, action: phases}]\n");
    end_named(h, run, "a", MR__OUTCOME_FAILED);
    assert_task(run, "a", "failed");
    assert_int_equal(run->tasks[0].attempt, 1);
    assert_status(run, "failed");
    assert_run_reason(run, "a: exit 7");
}

static void rules__run_after_is_resumed_and_never_lost(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks: [{id: a, action: phases}, {id: b, dependOn: [a]}]\n");
    assert_true(mr__decide_ending(&h->s, run, 0, 1, (struct mr__blob){"7", 1}));
    hand_do(h);
    assert_task(run, "a", "ending");
    assert_task(run, "b", "init");
    assert_int_equal(h->after_count, 1);
    assert_false(mr__decide_ending(&h->s, run, 0, 1, NO_BLOB)); /* once */
    run = crash(h, run);
    assert_task(run, "a", "ending");
    assert_int_equal(h->after_count, 2);
    hand_ok(h, run, "a");
    assert_status(run, "success");
    struct mr__event event;
    assert_true(mr__run_task_event(run, 0, &event));
    assert_int_equal(event.payload.len, 1); /* the output is the one of `run` */
}

static void rules__a_cancel_reaches_every_phase(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND("tasks: [{id: a, action: phases}]\n");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_int_equal(h->canceled_count, 1);
    assert_status(run, "running");
    run = crash(h, run);
    assert_int_equal(h->canceled_count, 2);
    end_named(h, run, "a", MR__OUTCOME_CANCELED);
    assert_status(run, "canceled");
    assert_int_equal(h->started_count, 0);
}

/* ---- retry policies ------------------------------------------------------------------------- */

static void rules__a_retry_waits_without_a_slot(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("maxParallel: 1\n"
                               "tasks:\n"
                               "  - {id: a, action: job, retry: {max: 2, delay: 2s}}\n"
                               "  - {id: b, action: job}\n");
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "a", "retrying");
    assert_task(run, "b", "running");
    assert_int_equal(h->s.jobs_used, 1);
    assert_true(has_timer(h, MR__TIMER_RETRY, 0, 1));
    h->timer_count = 0;
    run = crash(h, run);
    assert_true(has_timer(h, MR__TIMER_RETRY, 0, 1));    /* the wait survives */
    mr__decide_timer(&h->s, run, MR__TIMER_RETRY, 0, 0); /* of another attempt: nothing */
    assert_task(run, "a", "retrying");
    hand_fire(h, run, MR__TIMER_RETRY, "a");
    hand_fail(h, run, "a", "exit 7");
    hand_fire(h, run, MR__TIMER_RETRY, "a");
    hand_fail(h, run, "a", "exit 8");
    assert_task(run, "a", "failed");
    assert_int_equal(run->tasks[0].attempt, 3);
}

static void rules__lost_attempts_do_not_count_as_retries(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks: [{id: a, action: job, onLost: retry, retry: {max: 1}}]\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    assert_task(run, "a", "running");
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "a", "running");
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "a", "failed");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL)); /* the count begins anew */
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "a", "running");
    assert_int_equal(run->tasks[0].attempt, 5);
}

static void rules__delays_double_up_to_the_maximum(void **state)
{
    struct hand *h = *state;
    static const int64_t want[] = {1000, 2000, 4000, 5000, 5000};
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: a, action: loop, retry: {max: 5, backoff: exponential, "
                               "delay: 1s, maxDelay: 5s}}\n");
    for (size_t i = 0; i < MR__COUNT(want); i++) {
        struct mr__event event = {0};
        hand_fail(h, run, "a", "exit 7");
        assert_true(last_event(run, MR__EVENT_TASK_DELAYED, 0, &event));
        assert_true(event.ms == want[i]);
        hand_fire(h, run, MR__TIMER_RETRY, "a");
    }
    hand_fail(h, run, "a", "exit 7");
    assert_status(run, "failed");
}

static void rules__a_delay_of_0_is_none_however_often_it_is_doubled(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: a, action: loop, retry: {max: 3, backoff: exponential, "
                               "delay: 0s, maxDelay: 5s, jitter: 1}}\n");
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        struct mr__event event = {0};
        hand_fail(h, run, "a", "exit 7");
        assert_true(last_event(run, MR__EVENT_TASK_DELAYED, 0, &event));
        assert_true(event.ms == 0);
        assert_task(run, "a", "running");
        assert_int_equal(run->tasks[0].attempt, attempt + 1);
    }
    hand_fail(h, run, "a", "exit 7");
    assert_status(run, "failed");
}

static void rules__jitter_only_shortens_and_replays_the_same(void **state)
{
    struct hand *h = *state;
    for (int i = 0; i < 50; i++) {
        struct mr__event event = {0};
        struct mr__run *run =
            HAND("tasks: [{id: a, action: loop, retry: {max: 1, delay: 10s, jitter: 0.5}}]\n");
        hand_fail(h, run, "a", "exit 7");
        assert_true(last_event(run, MR__EVENT_TASK_DELAYED, 0, &event));
        assert_true(event.ms >= 5000 && event.ms <= 10000);
    }
}

static void rules__a_filter_is_asked_once_and_again_after_a_crash(void **state)
{
    struct hand *h = *state;
    struct mr__run *run =
        HAND("tasks: [{id: a, action: loop, retry: {max: 3, if: error.exit == 7}}, {id: b, action: "
             "loop}]\n");
    h->holds = true;
    hand_fail(h, run, "a", "exit 7");
    assert_int_equal(h->judge_count, 1);
    assert_task(run, "a", "retrying");
    run = crash(h, run);
    assert_int_equal(h->judge_count, 2);
    mr__decide_judged(&h->s, run, 0, false, NO_BLOB);
    hand_do(h);
    assert_task(run, "a", "failed");
    mr__decide_judged(&h->s, run, 0, true, NO_BLOB); /* too late */
    assert_task(run, "a", "failed");
    struct mr__event event;
    assert_true(last_event(run, MR__EVENT_TASK_SET, 0, &event));
    assert_int_equal(event.reason.len, 6); /* the failure's own */
}

static void rules__an_automatic_attempt_evaluates_no_condition_again(void **state)
{
    struct hand *h = *state;
    struct mr__run *run =
        HAND("tasks: [{id: a, action: loop, skipIf: share.x, retry: {max: 1}}]\n");
    assert_int_equal(h->last_prepare, 0);
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "a", "running");
    assert_int_equal(h->last_prepare, 0); /* nobody was asked: it has no templates either */
    h->verdict = MR__VERDICT_SKIP;
    hand_fail(h, run, "a", "exit 7");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "skipped"); /* by hand: conditions count */
    assert_status(run, "success");
}

/* ---- conditions ----------------------------------------------------------------------------- */

static void rules__a_blocked_task_is_continued_past_its_block(void **state)
{
    struct hand *h = *state;
    h->verdict = MR__VERDICT_BLOCK;
    struct mr__run *run = HAND("tasks: [{id: a, action: loop, blockIf: share.x}]\n");
    assert_task(run, "a", "blocked");
    assert_status(run, "blocked");
    run = crash(h, run);
    expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
    assert_int_equal(h->last_prepare, MR__PREPARE_CONTINUED);
    assert_task(run, "a", "running");
}

static void rules__an_answer_for_a_canceled_task_is_ignored(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND("tasks: [{id: a, action: job, skipIf: share.x}]\n");
    assert_int_equal(h->s.jobs_used, 1);
    assert_int_equal(on_tasks(h, run, mr__decide_cancel_tasks, "a"), MR_OK);
    assert_task(run, "a", "canceled");
    assert_int_equal(h->s.jobs_used, 0);
    mr__decide_prepared(&h->s, run, 0, &(struct mr__ready_to_go){.verdict = MR__VERDICT_GO});
    assert_task(run, "a", "canceled");
    assert_status(run, "failed");
    assert_run_reason(run, "a: canceled");
}

/* ---- fan-outs ------------------------------------------------------------------------------- */

static void rules__a_fan_out_runs_its_children_within_its_room(void **state)
{
    struct hand *h = *state;
    h->items = 3;
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: f, action: job, forEach: share.l, maxParallel: 2}\n"
                               "  - {id: j, dependOn: [f]}\n");
    assert_named(run, "f", "running");
    assert_named(run, "f[k0]", "running");
    assert_named(run, "f[k2]", "init");
    assert_int_equal(h->s.jobs_used, 2);
    run = hand_crash(h, run, NULL);
    mr__resume_run(&h->s, run, fate_gone, h); /* both are lost: not idempotent */
    hand_do(h);
    assert_named(run, "f[k0]", "failed");
    assert_named(run, "f[k2]", "running");
    end_named(h, run, "f[k2]", MR__OUTCOME_SUCCESS);
    assert_named(run, "f", "failed");
    assert_status(run, "failed");
    assert_int_equal(on_tasks(h, run, mr__decide_retry, "f[k0]"), MR_OK);
    assert_named(run, "f", "running"); /* for its child's sake, and the other stays */
    assert_named(run, "f[k1]", "failed");
    end_named(h, run, "f[k0]", MR__OUTCOME_SUCCESS);
    assert_named(run, "f", "failed");
    assert_int_equal(on_tasks(h, run, mr__decide_retry, "f"), MR_OK);
    end_named(h, run, "f[k1]", MR__OUTCOME_SUCCESS);
    assert_named(run, "f", "success");
    assert_status(run, "success");
}

static void rules__an_empty_list_is_a_success(void **state)
{
    struct mr__run *run = HAND("tasks: [{id: f, action: job, forEach: share.l}, {id: j, dependOn: "
                               "[f]}]\n");
    assert_status(run, "success");
    assert_int_equal(run->tasks[0].attempt, 0);
}

static void rules__a_child_that_waits_for_its_retry_leaves_its_room(void **state)
{
    struct hand *h = *state;
    h->items = 2;
    struct mr__run *run =
        HAND("tasks: [{id: f, action: loop, forEach: share.l, maxParallel: 1, retry: {max: 1, "
             "delay: 1s}}]\n");
    end_named(h, run, "f[k0]", MR__OUTCOME_FAILED);
    assert_named(run, "f[k0]", "retrying");
    assert_named(run, "f[k1]", "running");
    mr__decide_timer(&h->s, run, MR__TIMER_RETRY, named(run, "f[k0]"), 1);
    hand_do(h);
    assert_named(run, "f[k0]", "retrying"); /* its turn has come, but not its room */
    end_named(h, run, "f[k1]", MR__OUTCOME_SUCCESS);
    assert_named(run, "f[k0]", "running");
}

static void rules__a_canceled_fan_out_ends_with_its_children(void **state)
{
    struct hand *h = *state;
    h->items = 3;
    struct mr__run *run =
        HAND("tasks: [{id: f, action: loop, forEach: share.l, maxParallel: 2}]\n");
    assert_int_equal(on_tasks(h, run, mr__decide_cancel_tasks, "f"), MR_OK);
    assert_named(run, "f", "running");
    assert_named(run, "f[k2]", "canceled");
    assert_int_equal(h->canceled_count, 2);
    end_named(h, run, "f[k0]", MR__OUTCOME_CANCELED);
    end_named(h, run, "f[k1]", MR__OUTCOME_CANCELED);
    assert_named(run, "f", "canceled");
    assert_status(run, "failed"); /* a task was canceled, not the run */
}

static void rules__blocked_children_do_not_keep_a_failed_run_open(void **state)
{
    struct hand *h = *state;
    h->items = 2;
    struct mr__run *run = HAND("tasks: [{id: f, action: job, forEach: share.l, onLost: ask}]\n");
    end_named(h, run, "f[k0]", MR__OUTCOME_LOST);
    assert_named(run, "f[k0]", "blocked");
    end_named(h, run, "f[k1]", MR__OUTCOME_FAILED);
    assert_named(run, "f", "failed");
    assert_status(run, "failed");
}

/* ---- when ----------------------------------------------------------------------------------- */

static void rules__always_begins_when_nothing_above_can_go_on(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: a, action: loop}\n"
                               "  - {id: b, action: loop, dependOn: [a]}\n"
                               "  - {id: c, action: loop, dependOn: [b]}\n"
                               "  - {id: clean, action: loop, dependOn: [c], when: always}\n"
                               "  - {id: alarm, action: loop, dependOn: [clean], when: failed}\n"
                               "  - {id: calm, action: loop, dependOn: [x], when: failed}\n"
                               "  - {id: x}\n");
    assert_task(run, "calm", "skipped");
    assert_task(run, "clean", "init");
    hand_fail(h, run, "a", "exit 7");
    assert_task(run, "clean", "running"); /* c cannot begin any more */
    hand_ok(h, run, "clean");
    assert_task(run, "alarm", "running"); /* above it, far up, a task failed */
    hand_ok(h, run, "alarm");
    assert_status(run, "failed");
    assert_run_reason(run, "a: exit 7");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    hand_ok(h, run, "c");
    assert_status(run, "success"); /* what was cleaned stays cleaned */
    assert_int_equal(run->tasks[task_of(run, "clean")].attempt, 1);
}

static void rules__always_waits_for_a_blocked_parent_and_for_a_retried_one(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("maxParallel: 2\n"
                               "tasks:\n"
                               "  - {id: a, action: job, onLost: ask}\n"
                               "  - {id: b, action: job}\n"
                               "  - {id: c, action: job, dependOn: [a, b], when: always}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    hand_fail(h, run, "b", "exit 7");
    assert_task(run, "c", "init");
    assert_status(run, "failed");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "c", "init");
    hand_ok(h, run, "b");
    assert_status(run, "blocked");
    expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
    hand_ok(h, run, "a");
    assert_task(run, "c", "running");
}

/* ---- commands ------------------------------------------------------------------------------- */

static void rules__success_after_canceled_cancels_the_children(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: a, action: loop}\n"
                               "  - {id: b, action: loop, dependOn: [a]}\n"
                               "  - {id: c, action: loop, dependOn: [b]}\n"
                               "  - {id: z, action: loop, dependOn: [a], when: always}\n");
    assert_int_equal(on_tasks(h, run, mr__decide_cancel_tasks, "a"), MR_OK);
    assert_int_equal(on_tasks(h, run, mr__decide_cancel_tasks, "a"), MR_OK); /* not wrong */
    assert_int_equal(h->canceled_count, 1);
    run = hand_crash(h, run, fate_running);
    assert_int_equal(h->canceled_count, 2);
    hand_ok(h, run, "a");
    assert_task(run, "a", "success");
    assert_task_reason(run, "a", "success after canceled");
    assert_task(run, "b", "canceled");
    assert_task(run, "c", "init");
    assert_task(run, "z", "running");
    hand_ok(h, run, "z");
    assert_status(run, "failed");
}

static void rules__a_lost_attempt_that_was_to_be_canceled_is_canceled(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks: [{id: a, action: idem}, {id: b, action: job}]\n");
    assert_int_equal(on_tasks(h, run, mr__decide_cancel_tasks, "a"), MR_OK);
    run = crash(h, run);
    assert_task(run, "a", "canceled");
}

static void rules__commands_for_tasks_are_all_or_nothing(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks: [{id: a, action: loop}, {id: b, action: loop}]\n");
    hand_fail(h, run, "a", "exit 7");
    uint32_t both[] = {0, 1};
    uint64_t before = mr__run_digest(run);
    assert_int_equal(mr__decide_retry(&h->s, run, both, 2, &last_error), MR_ECONFLICT);
    assert_string_equal(last_error.message, "cannot retry: task \"b\" is running");
    assert_int_equal(mr__decide_cancel_tasks(&h->s, run, both, 2, &last_error), MR_ECONFLICT);
    assert_string_equal(last_error.message, "cannot cancel: task \"a\" is failed");
    assert_int_equal(on_tasks(h, run, mr__decide_continue, "b"), MR_ECONFLICT);
    assert_true(mr__run_digest(run) == before);
    assert_int_equal(on_tasks(h, run, mr__decide_retry, "a"), MR_OK);
    assert_task(run, "a", "running");
}

static void rules__a_paused_run_begins_nothing_and_ends_nothing(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks:\n"
                               "  - {id: a, action: loop, retry: {max: 1, delay: 1s}}\n"
                               "  - {id: b, action: loop, dependOn: [a]}\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    assert_int_equal(mr__decide_pause(&h->s, run, &last_error), MR_ECONFLICT);
    assert_string_equal(last_error.message, "cannot pause: the run is paused");
    hand_fail(h, run, "a", "exit 7");
    hand_fire(h, run, MR__TIMER_RETRY, "a");
    assert_task(run, "a", "retrying");
    assert_status(run, "paused");
    run = crash(h, run);
    assert_status(run, "paused");
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    assert_task(run, "a", "running");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    hand_ok(h, run, "a");
    assert_task(run, "b", "init");
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    hand_ok(h, run, "b");
    assert_status(run, "paused"); /* nothing is left, but nobody said that it may end */
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    assert_status(run, "success");
    assert_int_equal(mr__decide_unpause(&h->s, run, &last_error), MR_ECONFLICT);
}

static void rules__run_before_that_ends_in_a_pause_is_asked_again(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND("tasks: [{id: a, action: phases}]\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    assert_true(mr__decide_began(&h->s, run, 0, 1));
    hand_do(h);
    assert_int_equal(h->started_count, 0);
    h->holds = false;
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    assert_int_equal(h->before_count, 2);
    assert_int_equal(h->started_count, 1);
}

/* ---- hooks ---------------------------------------------------------------------------------- */

#define HOOKS                                                                        \
    "hooks: {beforeRun: {lua: trace(1)}, onFailure: {lua: trace(1)}, onExit: {lua: " \
    "trace(1)}}\n"

static void rules__nothing_begins_before_the_hooks_of_its_beginning(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND(HOOKS "tasks: [{id: a, action: loop}]\n");
    assert_int_equal(h->hook_count, 1);
    assert_int_equal(h->started_count, 0);
    run = crash(h, run);
    assert_int_equal(h->hook_count, 2);
    mr__decide_hooked(&h->s, run, 1u << MR__HOOK_ON_EXIT); /* others than were asked for */
    assert_task(run, "a", "init");
    mr__decide_hooked(&h->s, run, h->last_hooks);
    hand_do(h);
    assert_task(run, "a", "running");
    run = crash(h, run);
    assert_int_equal(h->hook_count, 3); /* those of its end: the attempt was lost */
    assert_int_equal(h->last_hooks, 1u << MR__HOOK_ON_FAILURE | 1u << MR__HOOK_ON_EXIT);
    assert_status(run, "running");
    assert_int_equal(mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, &last_error), MR_ECONFLICT);
    assert_string_equal(last_error.message, "cannot cancel: the run is just ending (failed)");
    run = crash(h, run);
    assert_int_equal(h->hook_count, 4);
    mr__decide_hooked(&h->s, run, h->last_hooks);
    hand_do(h);
    assert_status(run, "failed");
    assert_run_reason(run, "a: lost: the engine stopped while it ran");
    mr__decide_hooked(&h->s, run, h->last_hooks); /* twice: nothing */
    assert_status(run, "failed");
}

static void rules__a_cancel_drops_the_hooks_of_a_beginning(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = HAND(HOOKS "tasks: [{id: a, action: loop}]\n");
    h->holds = false;
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_status(run, "canceled");
    assert_int_equal(h->last_hooks, 1u << MR__HOOK_ON_EXIT);
}

static void rules__the_librarys_hooks_are_called_without_any_of_the_dag(void **state)
{
    struct hand *h = *state;
    h->s.hooks = 1u << MR__HOOK_BEFORE_SUCCESS;
    struct mr__run *run = HAND("tasks: [{id: a}]\n");
    assert_int_equal(h->last_hooks, 1u << MR__HOOK_BEFORE_SUCCESS);
    assert_status(run, "success");
}

/* ---- share data, and what is kept ----------------------------------------------------------- */

static void expect_share(const struct mr__run *run, const char *key, const char *want)
{
    struct mr__blob json;
    bool found = mr__run_share(run, key, strlen(key), &json);
    assert_int_equal(found, want != NULL);
    if (found) {
        assert_int_equal(json.len, strlen(want));
        assert_memory_equal(json.data, want, json.len);
    }
}

static void share(struct hand *h, struct mr__run *run, const char *key, const char *json)
{
    struct mr__blob value = {json, json == NULL ? 0 : strlen(json)};
    mr__decide_share(&h->s, run, 0, (struct mr__blob){key, strlen(key)}, value);
    hand_do(h);
}

static void rules__share_data_is_set_replaced_and_removed(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = HAND("tasks: [{id: a, action: loop}]\n");
    share(h, run, "b", "1");
    share(h, run, "a", "[2]");
    share(h, run, "ab", "{}");
    share(h, run, "b", "\"longer\"");
    assert_int_equal(h->share_count, 4);
    assert_int_equal(run->share_count, 3);
    assert_int_equal(run->output_bytes, 1 + 3 + 2 + 2 + 1 + 8);
    share(h, run, "a", NULL);
    share(h, run, "none", NULL);
    run = hand_crash(h, run, fate_running);
    expect_share(run, "a", NULL);
    expect_share(run, "ab", "{}");
    expect_share(run, "b", "\"longer\"");
    assert_int_equal(run->output_bytes, 2 + 2 + 1 + 8);
    assert_memory_equal(run->share[0]->key, "ab", 2); /* in key order */
}

static void rules__kept_tasks_are_settled_from_the_beginning_in_any_order(void **state)
{
    struct hand *h = *state;
    struct mr__plan *plan = fixture_plan("tasks:\n"
                                         "  - {id: c, action: loop, dependOn: [b]}\n"
                                         "  - {id: b, action: loop, dependOn: [a]}\n"
                                         "  - {id: a, action: loop}\n"
                                         "  - {id: d, action: loop, dependOn: [c]}\n");
    uint8_t id[MR__RUN_ID_BYTES] = {9};
    const struct mr__kept kept[] = {
        {.task = 1, .status = MR__TASK_SUCCESS, .output = {"5", 1}, .reason = {"kept", 4}},
        {.task = 2, .status = MR__TASK_SKIPPED},
    };
    const struct mr__blob shared[] = {{"k", 1}, {"7", 1}};
    struct mr__submit submit = {.id = id,
                                .plan = plan,
                                .folder = {"/", 1},
                                .vars = {"{}", 2},
                                .tags = {"{}", 2},
                                .kept = kept,
                                .kept_count = 2,
                                .share = shared,
                                .share_count = 1};
    struct mr__run *run;
    assert_int_equal(mr__decide_submit(&h->s, &submit, &run), MR_OK);
    hand_do(h);
    assert_task(run, "b", "success");
    assert_task(run, "a", "skipped");
    assert_task(run, "c", "running");
    assert_task(run, "d", "init");
    expect_share(run, "k", "7");
    struct mr__event event;
    assert_true(mr__run_task_event(run, 1, &event));
    assert_int_equal(event.payload.len, 1);
    assert_int_equal(h->started_count, 1);
    mr__plan_unref(plan);
}

static int setup(void **state)
{
    *state = hand_create(8);
    return 0;
}

static int teardown(void **state)
{
    check_all(*state);
    hand_destroy(*state);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(rules__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(run_before_comes_before_the_attempt),
        CASE(a_failure_in_run_before_is_an_attempt),
        CASE(run_after_is_resumed_and_never_lost),
        CASE(a_cancel_reaches_every_phase),
        CASE(a_retry_waits_without_a_slot),
        CASE(lost_attempts_do_not_count_as_retries),
        CASE(delays_double_up_to_the_maximum),
        CASE(a_delay_of_0_is_none_however_often_it_is_doubled),
        CASE(jitter_only_shortens_and_replays_the_same),
        CASE(a_filter_is_asked_once_and_again_after_a_crash),
        CASE(an_automatic_attempt_evaluates_no_condition_again),
        CASE(a_blocked_task_is_continued_past_its_block),
        CASE(an_answer_for_a_canceled_task_is_ignored),
        CASE(a_fan_out_runs_its_children_within_its_room),
        CASE(an_empty_list_is_a_success),
        CASE(a_child_that_waits_for_its_retry_leaves_its_room),
        CASE(a_canceled_fan_out_ends_with_its_children),
        CASE(blocked_children_do_not_keep_a_failed_run_open),
        CASE(always_begins_when_nothing_above_can_go_on),
        CASE(always_waits_for_a_blocked_parent_and_for_a_retried_one),
        CASE(success_after_canceled_cancels_the_children),
        CASE(a_lost_attempt_that_was_to_be_canceled_is_canceled),
        CASE(commands_for_tasks_are_all_or_nothing),
        CASE(a_paused_run_begins_nothing_and_ends_nothing),
        CASE(run_before_that_ends_in_a_pause_is_asked_again),
        CASE(nothing_begins_before_the_hooks_of_its_beginning),
        CASE(a_cancel_drops_the_hooks_of_a_beginning),
        CASE(the_librarys_hooks_are_called_without_any_of_the_dag),
        CASE(share_data_is_set_replaced_and_removed),
        CASE(kept_tasks_are_settled_from_the_beginning_in_any_order),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
