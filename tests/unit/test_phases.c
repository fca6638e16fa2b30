/* SPDX-License-Identifier: MIT
 *
 * Goal: the phases of an attempt are called in their order, each once, in one memory; the engine is
 * asked between them, may ask again, and may know more than the executor after a restart; cancel
 * and shutdown work in each. Method: a real executor on a loop, actions that write down which phase
 * was called, on the loop and on a worker.
 */
#include <millrace/plugin.h>
#include <stdatomic.h>

#include "exec_fixture.h"

static struct fixture *f;
static char order[64];
static _Atomic bool hold_before, hold_after; /* the phase of a worker does not return yet */
static _Atomic uint32_t holding;
static mr_status answer_before, answer_after, answer_retry;

static int set_up(void **state)
{
    order[0] = '\0';
    atomic_store(&hold_before, false);
    atomic_store(&hold_after, false);
    atomic_store(&holding, 0);
    answer_before = answer_after = answer_retry = MR_OK;
    f = fixture_make(2);
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    return 0;
}

static void called(const char *letter)
{
    size_t len = strlen(order);
    assert_true(len + 2 < sizeof order);
    memcpy(order + len, letter, 2);
}

/* Until it is let go, or canceled. */
static void hold(mr_task *t, _Atomic bool *wanted)
{
    if (atomic_load(wanted)) {
        atomic_fetch_add(&holding, 1);
    }
    while (atomic_load(wanted) && mr_cancel_reason(t) == MR_NOT_CANCELED) {
        (void)usleep(500);
    }
}

static void wait_for_holder(void)
{
    for (int i = 0; i < 10000 && atomic_load(&holding) == 0; i++) {
        (void)usleep(500);
    }
    assert_int_equal(atomic_load(&holding), 1);
}

static mr_status retry_before(mr_task *t)
{
    called("r");
    return answer_retry;
}

static mr_status run_before(mr_task *t)
{
    called("b");
    mr_set_data(t, mr_printf(t, "made before %s", mr_info(t)->task_id));
    hold(t, &hold_before);
    return answer_before;
}

static void due(mr_task *t, void *arg)
{
    (void)mr_finish(t, MR_OK);
}

static mr_status run(mr_task *t)
{
    called("R");
    if (mr_data(t) != NULL) {
        assert_int_equal(mr_output_str(t, "data", mr_data(t)), MR_OK);
    }
    return mr_output_str(t, "stage", mr_value_str(mr_var(t, "stage"), ""));
}

static mr_status run_pending(mr_task *t)
{
    mr_status status = run(t);
    return status != MR_OK ? status : mr_timer(t, 1, due, NULL) == MR_OK ? MR_PENDING : MR_ENOMEM;
}

static void cancel(mr_task *t)
{
    (void)mr_finish(t, MR_ECANCELED);
}

static mr_status run_after(mr_task *t)
{
    called("a");
    assert_true(mr_output_str(t, "late", "x") == MR_EINVAL);
    hold(t, &hold_after);
    if (mr_data(t) == NULL) {
        mr_trace(t, "no data: after a restart");
    }
    return answer_after == MR_EFAILED ? mr_fail(t, MR_EFAILED, "after") : answer_after;
}

#define PHASES .run_before = run_before, .run_after = run_after, .retry_before = retry_before
ACTION(loop, .where = MR_ON_LOOP, .run = run, PHASES);
ACTION(later, .where = MR_ON_LOOP, .run = run_pending, .cancel = cancel, PHASES);
ACTION(worker, .where = MR_ON_WORKER, .run = run, PHASES);
ACTION(only_run, .where = MR_ON_LOOP, .run = run);
static const struct mr__action *const all[] = {&loop, &later, &worker};

static void expect_began(uint32_t count)
{
    assert_true(fixture_run_until(f, &f->began_count, count, 5000));
    assert_int_equal(f->began_count, count);
}

static void expect_ending(uint32_t count)
{
    assert_true(fixture_run_until(f, &f->ending_count, count, 5000));
    assert_int_equal(f->ending_count, count);
}

static const struct fixture_end *expect_end(uint32_t count, enum mr__outcome outcome)
{
    assert_true(fixture_run(f, count, 5000));
    assert_int_equal(f->end_count, count);
    assert_int_equal(f->ends[count - 1].outcome, outcome);
    return &f->ends[count - 1];
}

/* ---- order ------------------------------------------------------------------------------------
 */

static void phases__come_in_order_in_one_memory(void **state)
{
    for (uint32_t i = 0; i < MR__COUNT(all); i++) {
        const char *expected = i == 0   ? "{\"data\":\"made before task-0\",\"stage\":\"dev\"}"
                               : i == 1 ? "{\"data\":\"made before task-1\",\"stage\":\"dev\"}"
                                        : "{\"data\":\"made before task-2\",\"stage\":\"dev\"}";
        order[0] = '\0';
        fixture_before(f, all[i], i, true);
        expect_began(i + 1);
        assert_string_equal(order, "rb");
        assert_int_equal(fixture_fate(f, 1, i, all[i]), MR__FATE_RUNNING);
        fixture_start(f, all[i], i, NULL);
        expect_ending(i + 1);
        assert_string_equal(order, "rbR");
        assert_int_equal(f->ending.outcome, MR__OUTCOME_SUCCESS);
        assert_string_equal(f->ending.output, expected);
        assert_int_equal(f->end_count, i);
        assert_int_equal(fixture_fate(f, 1, i, all[i]), MR__FATE_RUNNING);
        fixture_after(f, all[i], i);
        assert_null(expect_end(i + 1, MR__OUTCOME_SUCCESS)->output); /* ending() has told it. */
        assert_string_equal(order, "rbRa");
        assert_int_equal(f->trace_count, 0);
        assert_int_equal(fixture_fate(f, 1, i, all[i]), MR__FATE_GONE);
    }
    assert_int_equal(f->note_count, 0);
}

static void phases__without_a_retry_have_no_retry_before(void **state)
{
    fixture_before(f, &loop, 1, false);
    assert_string_equal(order, "b");
    assert_int_equal(f->began_count, 1);
}

/* By a plugin built against an older header, too. */
static void phases__are_shown_in_the_binding(void **state)
{
    struct mr__action_binding binding;
    mr_error error;
    const char *build = getenv("MILLRACE_TEST_BUILD");
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s/tests/abi/v1_0", build == NULL ? "build" : build);
    assert_int_equal(mr__registry_create(folder, NULL, NULL, &f->registry, &error), MR_OK);
    fixture_close(f, 0);
    fixture_open(f, 2);
    binding = f->x->ops->bind(f->x, "minor-0");
    assert_int_equal(binding.flags,
                     MR__ACTION_KNOWN | MR__ACTION_BEFORE | MR__ACTION_AFTER | MR__ACTION_APART);
    fixture_before(f, binding.action, 1, false);
    fixture_start(f, binding.action, 1, NULL);
    assert_string_equal(f->ending.output, "{\"data\":\"kept\"}");
    fixture_after(f, binding.action, 1);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->trace, "after kept");
    assert_int_equal(f->x->ops->bind(f->x, "none").flags, 0);
}

/* ---- again and after a restart ----------------------------------------------------------------
 */

static void before__said_again_is_answered_and_calls_nothing_twice(void **state)
{
    for (uint32_t i = 0; i < MR__COUNT(all); i++) {
        order[0] = '\0';
        f->began_count = 0;
        fixture_before(f, all[i], i, false);
        expect_began(1);
        fixture_before(f, all[i], i, false);
        expect_began(2);
        assert_string_equal(order, "b");
        fixture_start(f, all[i], i, NULL);
        expect_ending(i + 1);
        assert_string_equal(order, "bR");
        fixture_after(f, all[i], i);
        (void)expect_end(i + 1, MR__OUTCOME_SUCCESS);
    }
}

static void phase__asked_for_again_while_it_is_at_work_is_answered_once(void **state)
{
    atomic_store(&hold_before, true);
    fixture_before(f, &worker, 1, false);
    wait_for_holder();
    fixture_before(f, &worker, 1, false);
    atomic_store(&hold_before, false);
    expect_began(1);
    fixture_start(f, &worker, 1, NULL);
    expect_ending(1);
    atomic_store(&hold_after, true);
    atomic_store(&holding, 0);
    fixture_after(f, &worker, 1);
    wait_for_holder();
    fixture_after(f, &worker, 1);
    atomic_store(&hold_after, false);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    (void)fixture_run(f, 2, 20);
    assert_int_equal(f->end_count, 1);
    assert_string_equal(order, "bRa");
}

static void after__of_an_attempt_of_an_earlier_engine_has_a_new_memory(void **state)
{
    for (uint32_t i = 0; i < MR__COUNT(all); i++) {
        order[0] = '\0';
        fixture_after(f, all[i], i);
        (void)expect_end(i + 1, MR__OUTCOME_SUCCESS);
        assert_string_equal(order, "a");
        assert_string_equal(f->trace, "no data: after a restart");
    }
    assert_int_equal(f->ending_count, 0);
}

static void start__of_an_attempt_of_an_earlier_engine_calls_run_alone(void **state)
{
    for (uint32_t i = 0; i < MR__COUNT(all); i++) {
        order[0] = '\0';
        fixture_start(f, all[i], i, NULL);
        expect_ending(i + 1);
        assert_string_equal(order, "R");
        fixture_after(f, all[i], i);
        (void)expect_end(i + 1, MR__OUTCOME_SUCCESS);
    }
}

static void end__that_was_told_and_not_forgotten_is_not_begun_anew(void **state)
{
    f->forget = false;
    fixture_before(f, &loop, 1, false);
    fixture_cancel(f, 1, MR_BY_USER);
    (void)expect_end(1, MR__OUTCOME_CANCELED);
    fixture_start(f, &loop, 1, NULL); /* It was under way when the cancel came. */
    fixture_after(f, &loop, 1);
    fixture_before(f, &loop, 1, false);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->began_count, 1);
    assert_string_equal(order, "b");
}

/* ---- failures ---------------------------------------------------------------------------------
 */

static void failure__of_a_phase_ends_the_attempt_with_its_reason(void **state)
{
    answer_retry = MR_EBUSY;
    fixture_before(f, &loop, 1, true);
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason, "in use");
    assert_string_equal(order, "r");
    answer_retry = MR_OK;
    answer_before = MR_PENDING;
    fixture_before(f, &loop, 2, false);
    assert_string_equal(expect_end(2, MR__OUTCOME_FAILED)->reason,
                        "run_before answered MR_PENDING, as only run may");
    fixture_before(f, &worker, 3, false);
    assert_string_equal(expect_end(3, MR__OUTCOME_FAILED)->reason,
                        "run_before answered MR_PENDING, as only run may");
    answer_after = MR_END;
    fixture_after(f, &worker, 4);
    assert_string_equal(expect_end(4, MR__OUTCOME_FAILED)->reason, "run_after answered 2");
    answer_after = MR_EFAILED;
    fixture_start(f, &later, 5, NULL);
    expect_ending(1);
    fixture_after(f, &later, 5);
    assert_string_equal(expect_end(5, MR__OUTCOME_FAILED)->reason, "after");
    assert_int_equal(f->began_count, 0);
}

static mr_status busy_before(mr_task *t)
{
    assert_int_equal(mr_timer(t, 1, due, NULL), MR_EINVAL);
    assert_int_equal(mr_finish(t, MR_OK), MR_EINVAL);
    assert_int_equal(mr_finish_after(t, 5), MR_EINVAL);
    return MR_OK;
}
ACTION(busy, .where = MR_ON_LOOP, .run = run, .run_before = busy_before);

static void before__has_no_timers_and_no_end_of_its_own(void **state)
{
    fixture_before(f, &busy, 1, false);
    assert_int_equal(f->began_count, 1);
    assert_int_equal(f->note_count, 3);
    fixture_start(f, &busy, 1, NULL); /* without run_after: the end itself */
    assert_string_equal(expect_end(1, MR__OUTCOME_SUCCESS)->output, "{\"stage\":\"dev\"}");
    assert_int_equal(f->ending_count, 0);
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

static void cancel__between_phases_ends_it_at_once(void **state)
{
    for (uint32_t i = 0; i < MR__COUNT(all); i++) {
        order[0] = '\0';
        fixture_before(f, all[i], i, false);
        expect_began(i + 1);
        fixture_cancel(f, i, MR_BY_USER);
        assert_int_equal(f->end_count, 2 * i + 1);
        assert_int_equal(f->ends[2 * i].outcome, MR__OUTCOME_CANCELED);
        fixture_start(f, all[i], 100 + i, NULL);
        expect_ending(i + 1);
        fixture_cancel(f, 100 + i, MR_BY_TIMEOUT);
        assert_int_equal(f->end_count, 2 * i + 2);
        assert_int_equal(f->ends[2 * i + 1].outcome, MR__OUTCOME_TIMED_OUT);
        assert_string_equal(order, "bR");
    }
}

static void cancel__in_before_is_canceled_though_it_ended_well(void **state)
{
    atomic_store(&hold_before, true);
    fixture_before(f, &worker, 1, false);
    wait_for_holder();
    fixture_cancel(f, 1, MR_BY_USER);
    (void)expect_end(1, MR__OUTCOME_CANCELED);
    assert_int_equal(f->began_count, 0);
    assert_string_equal(order, "b");
}

static void cancel__in_run_leaves_no_run_after(void **state)
{
    fixture_start(f, &later, 1, NULL);
    fixture_cancel(f, 1, MR_BY_USER);
    (void)expect_end(1, MR__OUTCOME_CANCELED);
    (void)fixture_run(f, 2, 20);
    assert_int_equal(f->ending_count, 0);
    assert_string_equal(order, "R");
}

static void cancel__in_after_that_ends_well_is_success(void **state)
{
    fixture_start(f, &worker, 1, NULL);
    expect_ending(1);
    atomic_store(&hold_after, true);
    fixture_after(f, &worker, 1);
    wait_for_holder();
    fixture_cancel(f, 1, MR_BY_USER);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    atomic_store(&holding, 0);
    fixture_after(f, &worker, 2);
    wait_for_holder();
    fixture_cancel(f, 2, MR_BY_TIMEOUT);
    (void)expect_end(2, MR__OUTCOME_TIMED_OUT);
}

/* ---- shutdown ---------------------------------------------------------------------------------
 */

static void shutdown__in_every_phase_ends_without_events(void **state)
{
    fixture_before(f, &loop, 1, false); /* rests before run */
    fixture_before(f, &worker, 2, false);
    expect_began(2);
    fixture_start(f, &loop, 3, NULL); /* rests before run_after */
    fixture_start(f, &worker, 4, NULL);
    expect_ending(2);
    fixture_start(f, &later, 5, NULL); /* is pending */
    atomic_store(&hold_before, true);
    fixture_before(f, &worker, 6, false); /* is at work */
    wait_for_holder();
    fixture_close(f, 5000);
    assert_int_equal(f->end_count, 0);
    assert_int_equal(f->began_count, 2);
    fixture_open(f, 2);
}

static void only_run__is_not_kept(void **state)
{
    f->forget = false;
    fixture_start(f, &only_run, 1, NULL);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(fixture_fate(f, 1, 1, &only_run), MR__FATE_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(phases__come_in_order_in_one_memory),
        TEST(phases__without_a_retry_have_no_retry_before),
        TEST(phases__are_shown_in_the_binding),
        TEST(before__said_again_is_answered_and_calls_nothing_twice),
        TEST(phase__asked_for_again_while_it_is_at_work_is_answered_once),
        TEST(after__of_an_attempt_of_an_earlier_engine_has_a_new_memory),
        TEST(start__of_an_attempt_of_an_earlier_engine_calls_run_alone),
        TEST(end__that_was_told_and_not_forgotten_is_not_begun_anew),
        TEST(failure__of_a_phase_ends_the_attempt_with_its_reason),
        TEST(before__has_no_timers_and_no_end_of_its_own),
        TEST(cancel__between_phases_ends_it_at_once),
        TEST(cancel__in_before_is_canceled_though_it_ended_well),
        TEST(cancel__in_run_leaves_no_run_after),
        TEST(cancel__in_after_that_ends_well_is_success),
        TEST(shutdown__in_every_phase_ends_without_events),
        TEST(only_run__is_not_kept),
    };
    return cmocka_run_group_tests_name("phases", tests, NULL, NULL);
}
