/* SPDX-License-Identifier: MIT
 *
 * Goal: what an action writes to its log a few bytes at a time is told in a few pieces, all of it,
 * in order with its traces and before its end; and a call without a name or text is no crash.
 * Method: a real executor on a loop, actions written here; the order is that in which the fixture
 * saw things.
 */
#include <millrace/plugin.h>
#include <pthread.h>

#include "exec_fixture.h"

#define PIECES 20000u

static struct fixture *f;

static int set_up(void **state)
{
    f = fixture_make(2);
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    return 0;
}

static mr_status many_run(mr_task *t)
{
    for (uint32_t i = 0; i < PIECES; i++) {
        char piece[2] = {(char)('a' + i % 26), '\n'};
        mr_log(t, MR_STDOUT, piece, 2);
    }
    return MR_OK;
}
ACTION(many, .where = MR_ON_LOOP, .run = many_run);
ACTION(many_on_worker, .where = MR_ON_WORKER, .run = many_run);

static void check_pieces(void)
{
    assert_int_equal(f->log_total, 2 * PIECES);
    for (uint32_t i = 0; i < PIECES; i++) {
        assert_int_equal(f->log[2 * i], 'a' + i % 26);
    }
}

/* Each was an answer to everybody who followed the run: at 65,536 they were cut off. */
static void pieces__are_put_together(void **state)
{
    fixture_start(f, &many, 1, NULL);
    assert_int_equal(f->end_count, 1);
    check_pieces();
    assert_true(f->log_count <= 2 * PIECES / (MR__LOG_CHUNK_BYTES_MAX / 2) + 1);
}

static void pieces__of_a_worker_too(void **state)
{
    fixture_start(f, &many_on_worker, 1, NULL);
    assert_true(fixture_run(f, 1, 20000));
    check_pieces();
    assert_true(f->log_count < PIECES);
}

static mr_status mixed_run(mr_task *t)
{
    mr_log(t, MR_STDOUT, "a", 1);
    mr_log(t, MR_STDOUT, "b", 1);
    mr_trace(t, "after %zu", f->log_total);
    mr_log(t, MR_STDERR, "c", 1);
    mr_log(t, MR_STDOUT, "d", 1);
    return MR_OK;
}
ACTION(mixed, .where = MR_ON_LOOP, .run = mixed_run);

static void order__of_streams_and_traces_is_kept(void **state)
{
    fixture_start(f, &mixed, 1, NULL);
    assert_int_equal(f->end_count, 1);
    assert_memory_equal(f->log, "abcd", 4);
    assert_int_equal(f->log_total, 4);
    assert_int_equal(f->log_count, 3);          /* "ab", and one of each stream */
    assert_int_equal(f->log_at_first_trace, 2); /* "ab" was told before it */
}

static void later(mr_task *t, void *arg)
{
    mr_log(t, MR_STDOUT, "timer", 5);
}

static void last(mr_task *t, void *arg)
{
    assert_int_equal(f->log_total, 5); /* The call before was over: nothing waits for this one. */
    mr_log(t, MR_STDOUT, "end", 3);
    assert_int_equal(mr_finish(t, MR_OK), MR_OK);
}

static mr_status pending_run(mr_task *t)
{
    assert_int_equal(mr_timer(t, 1, later, NULL), MR_OK);
    assert_int_equal(mr_timer(t, 20, last, NULL), MR_OK);
    return MR_PENDING;
}
ACTION(pending, .where = MR_ON_LOOP, .run = pending_run);

static void pieces__are_told_with_the_call_that_wrote_them(void **state)
{
    fixture_start(f, &pending, 1, NULL);
    assert_true(fixture_run(f, 1, 20000));
    assert_memory_equal(f->log, "timerend", 8);
    assert_int_equal(f->log_count, 2);
}

/* The host compared it, and the process ended. */
static mr_status nameless_run(mr_task *t)
{
    const char *volatile none = NULL;
    assert_null(mr_param_get(t, NULL));
    assert_null(mr_var(t, NULL));
    assert_null(mr_printf(t, none));
    assert_int_equal(mr_output_json(t, "a", NULL, 5), MR_EINVAL);
    mr_trace(t, none);
    mr_log(t, MR_STDOUT, NULL, 5);
    return mr_fail(t, MR_EBUSY, none);
}
ACTION(nameless, .where = MR_ON_LOOP, .run = nameless_run);

static void calls__without_a_name_or_text_did_crash(void **state)
{
    fixture_start(f, &nameless, 1, NULL);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->trace_count + f->log_count, 0);
    assert_non_null(strstr(f->ends[0].reason, "output is not one JSON value"));
    assert_non_null(strstr(f->note, "called mr_log with an unknown stream or without bytes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces__are_put_together),
        TEST(pieces__of_a_worker_too),
        TEST(order__of_streams_and_traces_is_kept),
        TEST(pieces__are_told_with_the_call_that_wrote_them),
        TEST(calls__without_a_name_or_text_did_crash),
    };
    return cmocka_run_group_tests_name("task_log", tests, NULL, NULL);
}
