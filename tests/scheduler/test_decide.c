/* SPDX-License-Identifier: MIT
 *
 * Goal: each rule of the scheduler, one by one. Method: dags from YAML, an executor that only
 * remembers what it was told to start (fixture.h), inputs by hand; after every input the invariants
 * hold, and at the end of each case every run's log replays to the same state.
 */
#include "tests/scheduler/fixture.h"

static int setup(void **state)
{
    *state = hand_create(4);
    return 0;
}

static int teardown(void **state)
{
    check_all(*state);
    hand_destroy(*state);
    return 0;
}

/* ---- order ---------------------------------------------------------------------------------- */

static void decide__chain(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n"
                                      "  - {id: c, action: loop, dependOn: [b]}\n");
    assert_int_equal(h->started_count, 1);
    assert_task(run, "b", "init");
    assert_status(run, "running");
    hand_ok(h, run, "a");
    assert_int_equal(h->started_count, 2);
    assert_int_equal(h->started[1].task, 1);
    hand_ok(h, run, "b");
    hand_ok(h, run, "c");
    assert_status(run, "success");
    assert_int_equal(h->settled_count, 1);
    assert_int_equal(h->finished_count, 1);
    assert_run_reason(run, "");
}

static void decide__diamond(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: join, action: loop, dependOn: [l, r]}\n"
                                      "  - {id: l, action: loop, dependOn: [top]}\n"
                                      "  - {id: r, action: loop, dependOn: [top]}\n"
                                      "  - {id: top, action: loop}\n");
    hand_ok(h, run, "top");
    assert_int_equal(h->started_count, 3);
    hand_ok(h, run, "r");
    assert_task(run, "join", "init");
    hand_ok(h, run, "l");
    assert_task(run, "join", "running");
    hand_ok(h, run, "join");
    assert_status(run, "success");
}

static void decide__ten_thousand_parallel_and_a_join(void **state)
{
    enum { WIDTH = 10000 };
    struct hand *h = *state;
    struct mr__buf yaml;
    mr__buf_init(&yaml);
    mr__buf_text(&yaml, "tasks:\n");
    for (int i = 0; i < WIDTH; i++) {
        mr__buf_printf(&yaml, "  - {id: t%d, action: loop}\n", i);
    }
    mr__buf_text(&yaml, "  - {id: join, action: loop, dependOn: [");
    for (int i = 0; i < WIDTH; i++) {
        mr__buf_printf(&yaml, "%st%d", i == 0 ? "" : ",", i);
    }
    mr__buf_text(&yaml, "]}\n");
    struct mr__run *run = hand_run(h, mr__buf_cstr(&yaml));
    mr__buf_finish(&yaml);
    assert_int_equal(h->started_count, WIDTH);
    for (uint32_t t = 0; t < WIDTH; t++) {
        struct mr__ended ended = {.task = t, .attempt = 1};
        assert_int_equal(run->tasks[WIDTH].attempt, 0);
        assert_true(mr__decide_ended(&h->s, run, &ended));
    }
    hand_do(h);
    assert_int_equal(h->started_count, WIDTH + 1);
    hand_ok(h, run, "join");
    assert_status(run, "success");
}

static void decide__gates_succeed_at_once(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: g1}\n"
                                      "  - {id: g2, dependOn: [g1]}\n"
                                      "  - {id: a, action: loop, dependOn: [g2]}\n"
                                      "  - {id: g3, dependOn: [a]}\n");
    assert_task(run, "g2", "success");
    assert_int_equal(h->started_count, 1);
    hand_ok(h, run, "a");
    assert_status(run, "success");
    run = hand_run(h, "tasks:\n  - {id: only}\n");
    assert_status(run, "success");
    assert_true(run->began_ms != 0);
    assert_int_equal(h->settled_count, 2);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void decide__a_failure_leaves_other_branches_going(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: bad, action: loop}\n"
                                      "  - {id: child, action: loop, dependOn: [bad]}\n"
                                      "  - {id: grandchild, action: loop, dependOn: [child]}\n"
                                      "  - {id: good, action: loop}\n"
                                      "  - {id: next, action: loop, dependOn: [good]}\n");
    hand_fail(h, run, "bad", "exit 7");
    assert_status(run, "running");
    hand_ok(h, run, "good");
    assert_task(run, "next", "running");
    hand_ok(h, run, "next");
    assert_status(run, "failed");
    assert_task(run, "child", "init");
    assert_task(run, "grandchild", "init");
    assert_run_reason(run, "bad: exit 7");
}

static void decide__the_reason_is_of_the_first_failure_that_stands(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop}\n");
    hand_fail(h, run, "b", "first");
    hand_fail(h, run, "a", "second");
    assert_run_reason(run, "b: first");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    hand_ok(h, run, "b");
    hand_fail(h, run, "a", "third");
    assert_run_reason(run, "a: third");
}

static void decide__a_failed_render_fails_the_task(void **state)
{
    struct hand *h = *state;
    h->bad_params = true;
    struct mr__run *run = hand_run(h, "vars: {x: {defaultValue: \"1\"}}\n"
                                      "tasks:\n"
                                      "  - {id: a, action: job, params: {p: \"{{x}}\"}}\n");
    assert_status(run, "failed");
    assert_run_reason(run, "a: unknown name");
    assert_int_equal(run->tasks[0].attempt, 0);
    assert_int_equal(h->s.jobs_used, 0);
    h->bad_params = false;
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "running");
    hand_ok(h, run, "a");
    assert_status(run, "success");
}

static void decide__rendered_params_stand_in_the_event(void **state)
{
    struct hand *h = *state;
    struct mr__event event;
    struct mr__run *run = hand_run(h, "vars: {x: {defaultValue: \"1\"}}\n"
                                      "tasks:\n"
                                      "  - {id: plain, action: loop, params: {p: 1}}\n"
                                      "  - {id: a, action: loop, params: {p: \"{{x}}\"}}\n");
    assert_true(last_event(run, MR__EVENT_ATTEMPT_STARTED, 0, &event));
    assert_null(event.payload.data);
    assert_true(last_event(run, MR__EVENT_ATTEMPT_STARTED, 1, &event));
    assert_memory_equal(event.payload.data, "{\"x\":1}", 7);
    assert_true(mr__run_event(run, run->details[1].params_at - 1, &event));
    assert_int_equal(event.type, MR__EVENT_ATTEMPT_STARTED);
    assert_int_equal(event.task, 1);
    assert_int_equal(run->details[0].params_at, 0);
    run = hand_crash(h, run, fate_gone);
    assert_int_not_equal(run->details[1].params_at, 0);
}

static void decide__a_long_reason_is_cut(void **state)
{
    struct hand *h = *state;
    char long_reason[3 * MR__REASON_BYTES_MAX];
    struct mr__event event;
    memset(long_reason, 'x', sizeof long_reason);
    long_reason[sizeof long_reason - 1] = '\0';
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    hand_fail(h, run, "a", long_reason);
    assert_true(last_event(run, MR__EVENT_ATTEMPT_ENDED, 0, &event));
    assert_int_equal(event.reason.len, MR__REASON_BYTES_MAX);
    assert_true(last_event(run, MR__EVENT_RUN_SETTLED, MR__NONE, &event));
    assert_int_equal(event.reason.len, MR__REASON_BYTES_MAX);
}

/* ---- how much at once ----------------------------------------------------------------------- */

static void decide__max_parallel(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "maxParallel: 2\n"
                                      "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop}\n"
                                      "  - {id: c, action: job}\n"
                                      "  - {id: d, action: loop}\n");
    assert_int_equal(h->started_count, 2);
    hand_ok(h, run, "a");
    assert_int_equal(h->started_count, 3);
    assert_task(run, "d", "running");
    hand_fail(h, run, "d", "no");
    assert_task(run, "c", "running");
    hand_ok(h, run, "c");
    hand_ok(h, run, "b");
    assert_status(run, "failed");
}

static void decide__waits_count_for_max_parallel_and_not_for_jobs(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "maxParallel: 1\n"
                                      "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop}\n");
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 1000));
    hand_do(h);
    assert_int_equal(h->started_count, 1);
    assert_int_equal(h->s.jobs_used, 0);
    hand_fire(h, run, MR__TIMER_WAIT, "a");
    assert_task(run, "a", "success");
    assert_task(run, "b", "running");
}

static void decide__jobs_are_given_in_turn(void **state)
{
    struct hand *h = *state;
    struct mr__plan *plan = fixture_plan("tasks:\n"
                                         "  - {id: a, action: job}\n"
                                         "  - {id: b, action: job}\n"
                                         "  - {id: c, action: job}\n"
                                         "  - {id: d, action: job}\n");
    struct mr__run *runs[3];
    for (int i = 0; i < 3; i++) {
        runs[i] = hand_submit(h, plan);
    }
    mr__plan_unref(plan);
    assert_int_equal(h->s.jobs_used, 4); /* all are the first run's, which came to an empty house */
    assert_int_equal(mr__run_begun(runs[0]), 4);
    hand_ok(h, runs[0], "a");
    assert_int_equal(mr__run_begun(runs[1]), 1);
    hand_ok(h, runs[0], "b");
    assert_int_equal(mr__run_begun(runs[2]), 1);
    hand_ok(h, runs[0], "c");
    assert_int_equal(mr__run_begun(runs[1]), 2);
    hand_ok(h, runs[0], "d");
    assert_int_equal(mr__run_begun(runs[2]), 2);
    assert_status(runs[0], "success");
    assert_int_equal(h->s.jobs_used, 4);
}

static void decide__a_waiting_run_does_not_hold_up_others(void **state)
{
    struct hand *h = *state;
    struct mr__run *first = hand_run(h, "maxParallel: 1\n"
                                        "tasks:\n"
                                        "  - {id: a, action: job}\n"
                                        "  - {id: b, action: job}\n");
    struct mr__run *second = hand_run(h, "tasks:\n  - {id: a, action: job}\n");
    assert_task(second, "a", "running");
    hand_ok(h, first, "a");
    assert_task(first, "b", "running");
}

static void decide__a_canceled_run_gives_its_slots_to_others(void **state)
{
    struct hand *h = *state;
    struct mr__plan *plan = fixture_plan("vars: {x: {defaultValue: \"1\"}}\n"
                                         "tasks:\n"
                                         "  - {id: a, action: job, params: {p: \"{{x}}\"}}\n"
                                         "  - {id: b, action: job, params: {p: \"{{x}}\"}}\n"
                                         "  - {id: c, action: job, params: {p: \"{{x}}\"}}\n"
                                         "  - {id: d, action: job, params: {p: \"{{x}}\"}}\n");
    struct mr__run *first, *second;
    uint8_t id[MR__RUN_ID_BYTES] = {9};
    struct mr__submit submit = {
        .id = id, .plan = plan, .folder = {"/", 1}, .vars = {"{}", 2}, .tags = {"{}", 2}};
    assert_int_equal(mr__decide_submit(&h->s, &submit, &first), MR_OK);
    assert_int_equal(first->preparing_count, 4); /* nobody has rendered them yet */
    id[0] = 10;
    assert_int_equal(mr__decide_submit(&h->s, &submit, &second), MR_OK);
    assert_int_equal(second->preparing_count, 0);
    assert_int_equal(mr__decide_cancel(&h->s, first, MR__CANCEL_BY_USER, NULL), MR_OK);
    assert_status(first, "canceled");
    assert_int_equal(second->preparing_count, 4);
    hand_do(h);
    assert_int_equal(mr__run_begun(second), 4);
    assert_int_equal(first->tasks[0].attempt, 0);
    mr__plan_unref(plan);
}

/* ---- lost attempts -------------------------------------------------------------------------- */

static void decide__lost_by_on_lost_and_by_idempotence(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: plain, action: loop}\n"
                                      "  - {id: idem, action: idem}\n"
                                      "  - {id: retried, action: loop, onLost: retry}\n"
                                      "  - {id: failed, action: idem, onLost: fail}\n"
                                      "  - {id: asked, action: idem, onLost: ask}\n");
    h->started_count = 0;
    run = hand_crash(h, run, fate_gone);
    assert_task(run, "plain", "failed");
    assert_task(run, "idem", "running");
    assert_task(run, "retried", "running");
    assert_task(run, "failed", "failed");
    assert_task(run, "asked", "blocked");
    assert_int_equal(h->started_count, 2);
    assert_int_equal(run->tasks[1].attempt, 2);
    assert_int_equal(run->tasks[1].lost, 1);
    assert_task_reason(run, "plain", "lost: the engine stopped while it ran");
    assert_task_reason(run, "asked", "lost: the engine stopped while it ran");
}

static void decide__the_third_lost_attempt_fails(void **state)
{
    static const char *const kinds[] = {"retry", "ask"};
    struct hand *h = *state;
    for (size_t k = 0; k < MR__COUNT(kinds); k++) {
        char yaml[128];
        (void)snprintf(yaml, sizeof yaml, "onLost: %s\ntasks:\n  - {id: a, action: idem}\n",
                       kinds[k]);
        struct mr__run *run = hand_run(h, yaml);
        for (int lost = 1; lost <= 3; lost++) {
            assert_task(run, "a", "running");
            hand_end(h, run, "a", MR__OUTCOME_LOST, "");
            if (k == 1 && lost < 3) {
                assert_status(run, "blocked");
                expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
            }
        }
        assert_status(run, "failed");
        assert_int_equal(run->tasks[0].attempt, 3);
        assert_run_reason(run, "a: lost 3 times: the engine stopped while it ran");
        /* A manual retry starts the count anew. */
        expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
        hand_end(h, run, "a", MR__OUTCOME_LOST, "");
        assert_int_equal(run->tasks[0].lost, 1);
        assert_status(run, k == 0 ? "running" : "blocked");
    }
}

static enum mr__resume_fate fate_not_begun(void *user, const struct mr__run *run, uint32_t task)
{
    return MR__RESUME_NOT_BEGUN;
}

static void decide__an_attempt_that_never_began_is_started_not_lost(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: job}\n");
    run = hand_crash(h, run, fate_not_begun);
    assert_task(run, "a", "running");
    assert_int_equal(run->tasks[0].attempt, 1);
    assert_int_equal(h->started_count, 2);
    assert_int_equal(h->started[1].arg, 1);
    assert_int_equal(h->s.jobs_used, 1);
}

/* ---- blocked and continue ------------------------------------------------------------------- */

static void decide__ask_blocks_until_continue(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop, onLost: ask}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    assert_task(run, "a", "blocked");
    assert_status(run, "blocked");
    assert_int_equal(h->settled_count, 1);
    assert_int_equal(h->last_settled, MR__RUN_BLOCKED);
    assert_int_equal(h->finished_count, 0); /* it is not over */
    expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "running");
    assert_status(run, "running");
    assert_int_equal(run->tasks[0].attempt, 2);
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    assert_status(run, "success");
}

static void decide__failed_over_blocked_over_success(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop, onLost: ask}\n"
                                      "  - {id: b, action: loop}\n"
                                      "  - {id: c, action: loop}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    assert_status(run, "running");
    hand_fail(h, run, "b", "exit 1");
    hand_ok(h, run, "c");
    assert_status(run, "failed");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL)); /* of b alone */
    assert_task(run, "a", "blocked");
    hand_ok(h, run, "b");
    assert_status(run, "blocked");
    expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
    hand_ok(h, run, "a");
    assert_status(run, "success");
}

static void decide__a_blocked_run_is_canceled(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop, onLost: ask}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_task(run, "a", "canceled");
    assert_status(run, "canceled");
}

/* ---- retry ---------------------------------------------------------------------------------- */

static void decide__retry_of_a_failed_run(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n"
                                      "  - {id: c, action: loop, dependOn: [a]}\n"
                                      "  - {id: d, action: loop, dependOn: [b, c]}\n");
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    hand_fail(h, run, "c", "exit 1");
    assert_status(run, "failed");
    h->started_count = 0;
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_status(run, "running");
    assert_int_equal(h->started_count, 1); /* c alone: what is good stays */
    assert_int_equal(run->tasks[2].attempt, 2);
    hand_ok(h, run, "c");
    hand_ok(h, run, "d");
    assert_status(run, "success");
    assert_int_equal(h->finished_count, 2);
}

static void decide__retry_of_a_canceled_run(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n"
                                      "  - {id: c, dependOn: [b]}\n");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    hand_end(h, run, "a", MR__OUTCOME_CANCELED, "");
    assert_status(run, "canceled");
    assert_task(run, "b", "canceled");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "running");
    assert_int_equal(run->tasks[0].attempt, 2);
    assert_task(run, "b", "init"); /* it never began */
    assert_task(run, "c", "init");
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    assert_status(run, "success");
    assert_int_equal(run->tasks[1].attempt, 1);
}

static void decide__retry_while_the_run_goes_on(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop}\n");
    hand_fail(h, run, "a", "exit 1");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "running");
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    assert_status(run, "success");
}

/* ---- cancel --------------------------------------------------------------------------------- */

static void decide__cancel_before_anything_began(void **state)
{
    struct hand *h = *state;
    struct mr__run *busy = hand_run(h, "tasks:\n"
                                       "  - {id: a, action: job}\n  - {id: b, action: job}\n"
                                       "  - {id: c, action: job}\n  - {id: d, action: job}\n");
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: job}\n");
    assert_status(run, "init");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_status(run, "canceled");
    assert_run_reason(run, "canceled");
    assert_int_equal(run->began_ms, 0);
    hand_ok(h, busy, "a");
    assert_int_equal(h->s.jobs_used, 3);
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_task(run, "a", "running");
}

static void decide__cancel_of_what_runs_waits_and_is_to_come(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: done, action: loop}\n"
                                      "  - {id: bad, action: loop}\n"
                                      "  - {id: runs, action: job}\n"
                                      "  - {id: waits, action: loop}\n"
                                      "  - {id: later, action: loop, dependOn: [runs]}\n");
    hand_ok(h, run, "done");
    hand_fail(h, run, "bad", "exit 1");
    assert_true(mr__decide_waiting(&h->s, run, 3, 1, 60000));
    hand_do(h);
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_task(run, "later", "canceled");
    assert_task(run, "waits", "canceled"); /* there is nobody who would end it */
    assert_task(run, "runs", "running");
    assert_status(run, "running");
    assert_int_equal(h->canceled_count, 1);
    assert_int_equal(h->canceled[0].task, 2);
    assert_int_equal(h->canceled[0].arg, MR_BY_USER);
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL)); /* said twice */
    assert_int_equal(h->canceled_count, 1);
    hand_end(h, run, "runs", MR__OUTCOME_CANCELED, "");
    assert_status(run, "canceled"); /* over failed */
    assert_task(run, "done", "success");
    assert_task(run, "bad", "failed");
    assert_task_reason(run, "runs", "canceled");
    hand_fire(h, run, MR__TIMER_WAIT, "waits");
    assert_task(run, "waits", "canceled");
}

static void decide__ends_after_a_cancel(void **state)
{
    static const struct {
        enum mr__outcome outcome;
        const char *status, *reason;
    } cases[] = {
        {MR__OUTCOME_SUCCESS, "success", "success after canceled"},
        {MR__OUTCOME_FAILED, "canceled", "exit 9"},
        {MR__OUTCOME_CANCELED, "canceled", "exit 9"},
        {MR__OUTCOME_TIMED_OUT, "canceled", "timed out after 1s"},
        {MR__OUTCOME_LOST, "canceled", "lost: the engine stopped while it ran"},
    };
    struct hand *h = *state;
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__run *run = hand_run(h, "tasks:\n"
                                          "  - {id: a, action: idem, timeout: 1s}\n"
                                          "  - {id: b, action: loop, dependOn: [a]}\n");
        expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
        hand_end(h, run, "a", cases[i].outcome, "exit 9");
        assert_task(run, "a", cases[i].status);
        assert_task_reason(run, "a", cases[i].reason);
        assert_task(run, "b", "canceled");
        assert_status(run, "canceled");
    }
}

static void decide__an_attempt_that_starts_to_wait_after_a_cancel_is_over(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 60000));
    hand_do(h);
    assert_status(run, "canceled");
}

static void decide__a_canceled_run_goes_on_with_its_cancel_after_a_crash(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: idem}\n"
                                      "  - {id: b, action: job}\n");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    run = hand_crash(h, run, fate_gone);
    assert_task(run, "a", "canceled");
    assert_status(run, "canceled");
    assert_int_equal(run->tasks[0].attempt, 1);
    run = hand_run(h, "tasks:\n  - {id: a, action: idem}\n");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    h->started_count = 0;
    run = hand_crash(h, run, fate_not_begun);
    assert_status(run, "canceled");
    assert_int_equal(h->started_count, 0);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void decide__the_timeout_of_an_attempt(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop, timeout: 90s}\n");
    assert_true(has_timer(h, MR__TIMER_DEADLINE, 0, 1));
    hand_fire(h, run, MR__TIMER_DEADLINE, "a");
    assert_int_equal(h->canceled_count, 1);
    assert_int_equal(h->canceled[0].arg, MR_BY_TIMEOUT);
    assert_task(run, "a", "running");
    hand_fire(h, run, MR__TIMER_DEADLINE, "a");
    assert_int_equal(h->canceled_count, 1);
    hand_end(h, run, "a", MR__OUTCOME_TIMED_OUT, "");
    assert_status(run, "failed");
    assert_run_reason(run, "a: timed out after 90s");
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_true(has_timer(h, MR__TIMER_DEADLINE, 0, 2));
    mr__decide_timer(&h->s, run, MR__TIMER_DEADLINE, 0, 1); /* of the first attempt: too late */
    hand_do(h);
    assert_int_equal(h->canceled_count, 1);
}

static void decide__a_timeout_ends_a_wait_at_once(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop, timeout: 1s}\n");
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 60000));
    hand_do(h);
    assert_false(mr__decide_waiting(&h->s, run, 0, 1, 60000));
    hand_fire(h, run, MR__TIMER_DEADLINE, "a");
    assert_status(run, "failed");
    assert_run_reason(run, "a: timed out after 1s");
    assert_int_equal(h->canceled_count, 0);
}

static void decide__an_attempt_that_starts_to_wait_after_its_timeout_has_timed_out(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop, timeout: 1s}\n");
    mr__decide_timer(&h->s, run, MR__TIMER_DEADLINE, 0, 1);
    /* The order to end it still waits to be durable; the executor forgets the attempt now. */
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 60000));
    hand_do(h);
    assert_status(run, "failed");
    assert_run_reason(run, "a: timed out after 1s");
}

static void decide__the_timeout_of_the_run(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "timeout: 2m\n"
                                      "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n");
    assert_true(has_timer(h, MR__TIMER_RUN, 0, 0));
    hand_fire(h, run, MR__TIMER_RUN, NULL);
    assert_int_equal(h->canceled_count, 1);
    hand_fire(h, run, MR__TIMER_RUN, NULL);
    hand_end(h, run, "a", MR__OUTCOME_CANCELED, "");
    assert_status(run, "failed");
    assert_run_reason(run, "timed out after 2m");
    assert_task(run, "b", "canceled");
    h->timer_count = 0;
    h->s.now_ms += 1000;
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_int_equal(run->timed_from_ms, NOW + 1000);
    assert_true(has_timer(h, MR__TIMER_RUN, 0, 0));
    hand_ok(h, run, "a");
    hand_ok(h, run, "b");
    assert_status(run, "success");
    hand_fire(h, run, MR__TIMER_RUN, NULL);
    assert_status(run, "success");
}

static void decide__continue_begins_the_time_of_the_run_anew(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "timeout: 2m\n"
                                      "tasks:\n  - {id: a, action: loop, onLost: ask}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    hand_fire(h, run, MR__TIMER_RUN, NULL);
    assert_status(run, "blocked"); /* it waits for somebody: no time passes */
    h->timer_count = 0;
    expect_ok(h, mr__decide_continue(&h->s, run, NULL, 0, NULL));
    assert_true(has_timer(h, MR__TIMER_RUN, 0, 0));
}

static void decide__timers_are_armed_again_after_a_crash(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "timeout: 2m\n"
                                      "tasks:\n"
                                      "  - {id: a, action: loop, timeout: 10s}\n"
                                      "  - {id: b, action: loop}\n");
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 5000));
    hand_do(h);
    h->timer_count = 0;
    run = hand_crash(h, run, fate_not_begun);
    assert_true(has_timer(h, MR__TIMER_RUN, 0, 0));
    assert_true(has_timer(h, MR__TIMER_DEADLINE, 0, 1));
    assert_true(has_timer(h, MR__TIMER_WAIT, 0, 1));
    assert_int_equal(run->details[0].due_ms, NOW + 5000);
    assert_int_equal(run->details[0].duration_ms, 5000);
    hand_fire(h, run, MR__TIMER_WAIT, "a"); /* a wait is not lost with the engine */
    assert_task(run, "a", "success");
    assert_int_equal(run->tasks[0].attempt, 1);
}

static void decide__a_clock_that_goes_back_does_not_turn_the_log_around(void **state)
{
    struct hand *h = *state;
    struct mr__event event;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    h->s.now_ms = NOW - 3600000;
    hand_ok(h, run, "a");
    assert_true(last_event(run, MR__EVENT_RUN_SETTLED, MR__NONE, &event));
    assert_int_equal(event.time_ms, NOW);
}

static void decide__an_endless_wait_does_not_overflow(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, INT64_MAX));
    hand_do(h);
    assert_true(run->details[0].due_ms == INT64_MAX);
}

/* ---- what comes too late or in the wrong state ---------------------------------------------- */

static void decide__stale_attempts_are_refused(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop}\n");
    hand_fail(h, run, "a", "exit 1");
    struct mr__ended again = {.task = 0, .attempt = 1};
    assert_false(mr__decide_ended(&h->s, run, &again));
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    uint64_t before = mr__run_digest(run);
    assert_false(mr__decide_ended(&h->s, run, &again));
    assert_false(mr__decide_waiting(&h->s, run, 0, 1, 5));
    again.attempt = 3;
    assert_false(mr__decide_ended(&h->s, run, &again));
    again.task = 99;
    assert_false(mr__decide_ended(&h->s, run, &again));
    mr__decide_timer(&h->s, run, MR__TIMER_WAIT, 0, 1);
    mr__decide_timer(&h->s, run, MR__TIMER_DEADLINE, 99, 1);
    mr__decide_prepared(&h->s, run, 0, &(struct mr__ready_to_go){0});
    assert_int_equal(h->s.event_count, 0);
    assert_true(mr__run_digest(run) == before);
    assert_int_equal(run->tasks[0].attempt, 2);
}

static void expect_refused(struct hand *h, struct mr__run *run,
                           mr_status (*verb)(struct mr__scheduler *, struct mr__run *, mr_error *),
                           const char *message)
{
    mr_error error = {0};
    uint64_t before = mr__run_digest(run);
    assert_int_equal(verb(&h->s, run, &error), MR_ECONFLICT);
    assert_int_equal(error.status, MR_ECONFLICT);
    assert_string_equal(error.message, message);
    assert_true(mr__run_digest(run) == before);
    assert_int_equal(h->s.event_count, 0);
    assert_int_equal(verb(&h->s, run, NULL), MR_ECONFLICT);
}

static mr_status retry_all(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    return mr__decide_retry(s, run, NULL, 0, reterr);
}

static mr_status continue_all(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    return mr__decide_continue(s, run, NULL, 0, reterr);
}

static mr_status cancel_by_user(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr)
{
    return mr__decide_cancel(s, run, MR__CANCEL_BY_USER, reterr);
}

static void decide__commands_in_the_wrong_state_change_nothing(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    expect_refused(h, run, retry_all,
                   "cannot retry: no task of the run is failed or canceled (it is running)");
    expect_refused(h, run, continue_all,
                   "cannot continue: no task of the run is blocked (it is running)");
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    expect_refused(h, run, retry_all, "cannot retry: the run is being canceled");
    hand_end(h, run, "a", MR__OUTCOME_CANCELED, "");
    expect_refused(h, run, cancel_by_user, "cannot cancel: the run is canceled");
    expect_refused(h, run, continue_all, "cannot continue: the run is canceled");
    run = hand_run(h, "tasks:\n  - {id: a}\n");
    expect_refused(h, run, retry_all, "cannot retry: the run is success");
    expect_refused(h, run, cancel_by_user, "cannot cancel: the run is success");
    run = hand_run(h, "tasks:\n  - {id: a, action: loop, onLost: ask}\n");
    hand_end(h, run, "a", MR__OUTCOME_LOST, "");
    expect_refused(h, run, retry_all,
                   "cannot retry: no task of the run is failed or canceled (it is blocked)");
}

static void decide__a_watched_run_notifies_each_event(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: loop, dependOn: [a]}\n");
    run->flags |= MR__RUNFLAG_WATCHED;
    hand_ok(h, run, "a");
    assert_int_equal(h->notify_count, 2); /* a ended, b started */
    hand_ok(h, run, "b");
    assert_int_equal(h->notify_count, 4); /* b ended, the run ended */
}

static void decide__a_failed_submit_gives_its_slot_back(void **state)
{
    struct hand *h = *state;
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: loop}\n");
    struct mr__run *run = hand_submit(h, plan), *other;
    struct mr__submit submit = {.id = run->id, .plan = plan, .vars = {"{}", 2}};
    uint32_t free_slots = h->s.free_count;
    assert_int_equal(mr__decide_submit(&h->s, &submit, &other), MR_EFORMAT);
    assert_int_equal(h->s.free_count, free_slots);
    assert_int_equal(h->s.event_count, 0);
    mr__plan_unref(plan);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(decide__chain),
        CASE(decide__diamond),
        CASE(decide__ten_thousand_parallel_and_a_join),
        CASE(decide__gates_succeed_at_once),
        CASE(decide__a_failure_leaves_other_branches_going),
        CASE(decide__the_reason_is_of_the_first_failure_that_stands),
        CASE(decide__a_failed_render_fails_the_task),
        CASE(decide__rendered_params_stand_in_the_event),
        CASE(decide__a_long_reason_is_cut),
        CASE(decide__max_parallel),
        CASE(decide__waits_count_for_max_parallel_and_not_for_jobs),
        CASE(decide__jobs_are_given_in_turn),
        CASE(decide__a_waiting_run_does_not_hold_up_others),
        CASE(decide__a_canceled_run_gives_its_slots_to_others),
        CASE(decide__lost_by_on_lost_and_by_idempotence),
        CASE(decide__the_third_lost_attempt_fails),
        CASE(decide__an_attempt_that_never_began_is_started_not_lost),
        CASE(decide__ask_blocks_until_continue),
        CASE(decide__failed_over_blocked_over_success),
        CASE(decide__a_blocked_run_is_canceled),
        CASE(decide__retry_of_a_failed_run),
        CASE(decide__retry_of_a_canceled_run),
        CASE(decide__retry_while_the_run_goes_on),
        CASE(decide__cancel_before_anything_began),
        CASE(decide__cancel_of_what_runs_waits_and_is_to_come),
        CASE(decide__ends_after_a_cancel),
        CASE(decide__an_attempt_that_starts_to_wait_after_a_cancel_is_over),
        CASE(decide__a_canceled_run_goes_on_with_its_cancel_after_a_crash),
        CASE(decide__the_timeout_of_an_attempt),
        CASE(decide__a_timeout_ends_a_wait_at_once),
        CASE(decide__an_attempt_that_starts_to_wait_after_its_timeout_has_timed_out),
        CASE(decide__the_timeout_of_the_run),
        CASE(decide__continue_begins_the_time_of_the_run_anew),
        CASE(decide__timers_are_armed_again_after_a_crash),
        CASE(decide__a_clock_that_goes_back_does_not_turn_the_log_around),
        CASE(decide__an_endless_wait_does_not_overflow),
        CASE(decide__stale_attempts_are_refused),
        CASE(decide__commands_in_the_wrong_state_change_nothing),
        CASE(decide__a_watched_run_notifies_each_event),
        CASE(decide__a_failed_submit_gives_its_slot_back),
    };
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
