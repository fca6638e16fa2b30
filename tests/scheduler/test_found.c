/* SPDX-License-Identifier: MIT
 *
 * Goal: what went wrong once stays right. Method: the smallest history of each bug that the
 * simulation found in the rules, by hand (fixture.h); its name says what went wrong.
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

static void found__what_began_while_hooks_were_due_was_never_asked_again(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = hand_run(h, "hooks: {beforeRetry: {lua: return 1}}\n"
                                      "tasks:\n"
                                      "  - {id: a, action: loop}\n"
                                      "  - {id: b, action: phases}\n");
    hand_fail(h, run, "a", "exit 7");
    assert_int_equal(h->before_count, 1);
    expect_ok(h, mr__decide_retry(&h->s, run, NULL, 0, NULL));
    assert_int_equal(h->hook_count, 1);
    assert_true(mr__decide_began(&h->s, run, task_of(run, "b"), 1));
    hand_do(h);
    assert_task(run, "b", "init");
    h->holds = false;
    mr__decide_hooked(&h->s, run, h->last_hooks);
    hand_do(h);
    assert_int_equal(h->before_count, 2);
    assert_task(run, "b", "running");
}

/* A pause came before the executor was asked, which then knew nothing that it could end. */
static void found__a_prepared_task_of_a_paused_run_could_not_be_canceled(void **state)
{
    struct hand *h = *state;
    h->holds = true;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: phases}]\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    assert_int_equal(h->before_count, 1);
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_int_equal(h->before_count, 2);
    assert_int_equal(h->canceled_count, 1);
    struct mr__ended ended = {.attempt = 1, .outcome = MR__OUTCOME_CANCELED};
    assert_true(mr__decide_ended(&h->s, run, &ended));
    assert_status(run, "canceled");
}

static void found__a_task_canceled_while_its_run_was_paused_ran_on_after_that(void **state)
{
    struct hand *h = *state;
    const uint32_t task = 0;
    h->holds = true;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: phases}]\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    expect_ok(h, mr__decide_cancel_tasks(&h->s, run, &task, 1, NULL));
    assert_int_equal(h->canceled_count, 1);
    expect_ok(h, mr__decide_unpause(&h->s, run, NULL));
    assert_int_equal(h->canceled_count, 2); /* behind the new asking, which may be the first */
    assert_int_equal(h->canceled[1].arg, MR_BY_USER);
}

static void found__a_task_canceled_in_a_pause_outlived_the_cancel_of_its_run(void **state)
{
    struct hand *h = *state;
    const uint32_t task = 0;
    h->holds = true;
    struct mr__run *run = hand_run(h, "tasks: [{id: a, action: phases}]\n");
    expect_ok(h, mr__decide_pause(&h->s, run, NULL));
    expect_ok(h, mr__decide_cancel_tasks(&h->s, run, &task, 1, NULL));
    assert_int_equal(h->before_count, 2);
    expect_ok(h, mr__decide_cancel(&h->s, run, MR__CANCEL_BY_USER, NULL));
    assert_int_equal(h->before_count, 3); /* the two before were passed over: it was paused */
    assert_int_equal(h->canceled_count, 2);
}

/* "Attempt started" was durable, and memory was read anew before the executor was told. */
static void found__an_attempt_that_was_prepared_here_was_never_started(void **state)
{
    struct hand *h = *state;
    struct mr__run *run = hand_run(h, "tasks:\n"
                                      "  - {id: a, action: phases}\n"
                                      "  - {id: b, action: job}\n");
    assert_int_equal(h->started_count, 2);
    run = hand_crash(h, run, fate_running);
    assert_task(run, "a", "running");
    assert_int_equal(h->started_count, 3); /* not b: it runs if the executor knows it */
    assert_int_equal(h->started[2].task, task_of(run, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            found__what_began_while_hooks_were_due_was_never_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            found__a_prepared_task_of_a_paused_run_could_not_be_canceled, setup, teardown),
        cmocka_unit_test_setup_teardown(
            found__a_task_canceled_while_its_run_was_paused_ran_on_after_that, setup, teardown),
        cmocka_unit_test_setup_teardown(
            found__a_task_canceled_in_a_pause_outlived_the_cancel_of_its_run, setup, teardown),
        cmocka_unit_test_setup_teardown(found__an_attempt_that_was_prepared_here_was_never_started,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("found", tests, NULL, NULL);
}
