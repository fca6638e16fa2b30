/* SPDX-License-Identifier: MIT
 *
 * Goal: whatever a task can wait for is told, in words; no reason is there that nothing ever has.
 * Method: each state in turn, by the hand of fixture.h; at the end every kind has been met.
 */
#include "tests/scheduler/fixture.h"

static bool met[MR__WHY_KINDS];

static int setup(void **state)
{
    *state = hand_create(2);
    return 0;
}

static int teardown(void **state)
{
    check_all(*state);
    hand_destroy(*state);
    return 0;
}

/* The task waits for this, and for a person it is `line`. */
static void expect_why(struct hand *h, const struct mr__run *run, uint32_t t,
                       enum mr__why_kind kind, const char *line)
{
    struct mr__why why = mr__why_task(&h->s, run, t);
    struct mr__buf text;
    mr__buf_init(&text);
    mr__why_print(&h->s, run, t, &why, NOW, &text);
    assert_string_equal(mr__buf_cstr(&text), line);
    assert_string_equal(mr__why_word(why.kind), mr__why_word(kind));
    assert_int_equal(why.kind, kind);
    met[kind] = true;
    mr__buf_finish(&text);
}

static void why__dependencies(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, dependOn: [a]}\n"
                                      "  - {id: c, dependOn: [b]}\n"
                                      "  - {id: d, when: always, dependOn: [e, a]}\n"
                                      "  - {id: e, action: loop}\n");
    expect_why(h, run, 0, MR__WHY_ATTEMPT, "a runs: attempt 1");
    expect_why(h, run, 1, MR__WHY_TASK, "b waits for task a");
    expect_why(h, run, 2, MR__WHY_TASK, "c waits for task b");
    expect_why(h, run, 3, MR__WHY_TASK, "d waits for task e");
    hand_fail(h, run, "a", "exit 7");
    expect_why(h, run, 0, MR__WHY_OVER, "a waits for nothing: it is failed: exit 7");
    expect_why(h, run, 1, MR__WHY_DEAD, "b cannot begin: before it, a is failed");
    expect_why(h, run, 2, MR__WHY_DEAD, "c cannot begin: before it, b is kept from beginning too");
    hand_ok(h, run, "e");
    expect_why(h, run, 3, MR__WHY_OVER, "d waits for nothing: it is success");
    assert_status(run, "failed");
    expect_why(h, run, 2, MR__WHY_DEAD, "c cannot begin: before it, b is kept from beginning too");
}

static void why__timers(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: w, action: wait}\n"
                                      "  - {id: r, action: loop, retry: {max: 1, delay: 10s}}\n");
    assert_true(mr__decide_waiting(&h->s, run, 0, 1, 5000));
    hand_do(h);
    expect_why(h, run, 0, MR__WHY_TIMER, "w waits until 2023-11-14T22:13:25.000Z (in 5s)");
    hand_fail(h, run, "r", "exit 7");
    expect_why(h, run, 1, MR__WHY_RETRY,
               "r waits for attempt 2 at 2023-11-14T22:13:30.000Z (in 10s): exit 7");
    hand_fire(h, run, MR__TIMER_RETRY, "r");
    expect_why(h, run, 1, MR__WHY_ATTEMPT, "r runs: attempt 2");
}

static void why__what_is_evaluated(void **state)
{
    struct hand *h = *state;
    struct mr__run *run =
        hand_run(h, "tasks:\n"
                    "  - {id: a, action: loop, retry: {max: 1, if: error.exit}}\n"
                    "  - {id: b, action: loop, skipIf: share.x, dependOn: [z], when: always}\n"
                    "  - {id: p, action: phases, dependOn: [z], when: always}\n"
                    "  - {id: z, action: loop}\n");
    h->holds = true;
    hand_fail(h, run, "a", "exit 7");
    expect_why(h, run, 0, MR__WHY_JUDGE, "a: its retry.if is being evaluated");
    hand_ok(h, run, "z");
    expect_why(h, run, 1, MR__WHY_PREPARE, "b: its conditions and templates are being evaluated");
    expect_why(h, run, 2, MR__WHY_BEFORE, "p: run_before is being called");
    h->holds = false;
    assert_true(mr__decide_began(&h->s, run, 2, 1));
    hand_do(h);
    assert_true(mr__decide_ending(&h->s, run, 2, 1, NO_BLOB));
    hand_do(h);
    expect_why(h, run, 2, MR__WHY_AFTER, "p: run_after is being called");
}

static void why__limits(void **state)
{
    struct hand *h = *state;
    struct mr__run *one = hand_run(h, "maxParallel: 1\n"
                                      "tasks: [{id: a, action: loop}, {id: b, action: loop}]\n");
    struct mr__run *fan;
    expect_why(h, one, 1, MR__WHY_RUN_SLOT, "b waits for a slot: maxParallel of the run is 1");
    h->items = 3;
    fan = hand_run(h, "tasks: [{id: f, action: loop, forEach: share.l, maxParallel: 1}]\n");
    expect_why(h, fan, 0, MR__WHY_CHILDREN,
               "f waits for its children: 0 of 3 have ended; next is f[k0]");
    expect_why(h, fan, 1, MR__WHY_ATTEMPT, "f[k0] runs: attempt 1");
    expect_why(h, fan, 2, MR__WHY_FAN_SLOT,
               "f[k1] waits for a slot: maxParallel of the fan-out is 1");
    struct mr__run *jobs =
        hand_run(h, "tasks: [{id: a, action: job}, {id: b, action: job}, {id: c, action: job}]\n");
    expect_why(h, jobs, 2, MR__WHY_JOBS, "c waits for a slot: 2 of 2 jobs run (--jobs)");
    hand_ok(h, jobs, "a");
    expect_why(h, jobs, 2, MR__WHY_ATTEMPT, "c runs: attempt 1");
}

static void why__people(void **state)
{
    struct hand *h = *state;
    uint32_t a = 0;
    h->verdict = MR__VERDICT_BLOCK;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: loop, blockIf: share.x}]\n");
    expect_why(h, run, 0, MR__WHY_CONTINUE,
               "a is blocked and waits for `continue`: by a condition");
    h->verdict = MR__VERDICT_GO;
    run = hand_run(h, "tasks: [{id: a, action: loop}, {id: b, dependOn: [a]}]\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    hand_ok(h, run, "a");
    expect_why(h, run, 1, MR__WHY_PAUSED, "b waits: the run is paused (`unpause`)");
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    assert_status(run, "success");
    run = hand_run(h, "tasks: [{id: a, action: loop}]\n");
    expect_ok(h, mr__decide_cancel_tasks(&h->s, run, &a, 1, NULL));
    expect_why(h, run, 0, MR__WHY_CANCEL, "a was told to end, and attempt 1 has not ended yet");
    h->holds = true;
    run = hand_run(h, "hooks: {beforeRun: {lua: trace(1)}}\ntasks: [{id: a, action: loop}]\n");
    expect_why(h, run, 0, MR__WHY_HOOKS, "a waits for hooks that are being called");
    mr__decide_hooked(&h->s, run, run->hooks_due);
    hand_do(h);
    expect_why(h, run, 0, MR__WHY_ATTEMPT, "a runs: attempt 1");
}

static void why__nobody(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: gone}, {id: b, action: loop}]\n");
    run = hand_crash(h, run, NULL);
    expect_why(h, run, 0, MR__WHY_ACTION, "a waits: no plugin has its action \"gone\"");
    expect_why(h, run, 1, MR__WHY_OWNER,
               "b waits: nobody goes on with the run (`millrace run --resume`)");
}

/* Only between two steps of the loop: here, of a run that was read back and is woken by hand. */
static void why__its_turn(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: loop, skipIf: share.x}]\n");
    run = hand_crash(h, run, NULL);
    run->flags &= (uint8_t)~MR__RUNFLAG_DORMANT;
    expect_why(h, run, 0, MR__WHY_TURN, "a begins with the next step");
    run->flags |= MR__RUNFLAG_DORMANT;
}

/* Stands last. */
static void why__every_kind_was_met(void **state)
{
    for (uint32_t kind = 0; kind < MR__WHY_KINDS; kind++) {
        if (!met[kind]) {
            fail_msg("nothing waited for \"%s\" (kind %u)", mr__why_word((enum mr__why_kind)kind),
                     kind);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(why__dependencies),
        TEST(why__timers),
        TEST(why__what_is_evaluated),
        TEST(why__limits),
        TEST(why__people),
        TEST(why__nobody),
        TEST(why__its_turn),
        cmocka_unit_test(why__every_kind_was_met),
    };
    return cmocka_run_group_tests_name("why", tests, NULL, NULL);
}
