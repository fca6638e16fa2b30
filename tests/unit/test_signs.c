/* SPDX-License-Identifier: MIT
 *
 * Goal: an attempt that is watched is ended when it is silent for too long, and only then; progress
 * is told, the latest of it and not too often; lines of the log have their level. Method: a real
 * executor on a loop, actions written here, short times.
 */
#include <math.h>
#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "exec_fixture.h"

static struct fixture *f;
static _Atomic bool open_gate;
static mr_task *the_task;

static int set_up(void **state)
{
    open_gate = false;
    the_task = NULL;
    f = fixture_make(4);
    return 0;
}

static int tear_down(void **state)
{
    open_gate = true;
    fixture_destroy(f);
    return 0;
}

/* ---- heartbeats -------------------------------------------------------------------------------
 */

static mr_status silent_run(mr_task *t)
{
    while (mr_sleep(t, 1000) == MR_OK) {
    }
    return mr_cancel_reason(t) == MR_BY_TIMEOUT ? MR_OK : MR_EFAILED;
}
ACTION(silent, .where = MR_ON_WORKER, .run = silent_run);

static mr_status pending_run(mr_task *t)
{
    the_task = t;
    return MR_PENDING;
}
ACTION(pending, .where = MR_ON_LOOP, .run = pending_run);

static void silence__ends_a_worker(void **state)
{
    f->heartbeat_ms = 40;
    fixture_start(f, &silent, 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[0].reason, "no heartbeat for 40ms");
}

static void silence__ends_an_action_of_the_loop(void **state)
{
    f->heartbeat_ms = 40;
    fixture_start(f, &pending, 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[0].reason, "no heartbeat for 40ms");
    assert_int_equal(mr_finish(the_task, MR_OK), MR_OK);
}

/* Speaks every few milliseconds for more than twice its limit. */
static mr_status lively_run(mr_task *t)
{
    for (int i = 0; i < 240; i++) {
        if (mr_sleep(t, 5) != MR_OK) {
            return MR_ECANCELED;
        }
        if (i % 2 == 0) {
            mr_heartbeat(t);
        } else {
            mr_progress(t, 0.5, NULL);
        }
    }
    return MR_OK;
}
ACTION(lively, .where = MR_ON_WORKER, .run = lively_run);

static void heartbeat__keeps_it_alive(void **state)
{
    f->heartbeat_ms = 500;
    fixture_start(f, &lively, 1, NULL);
    assert_true(fixture_run(f, 1, 10000));
    assert_string_equal(f->ends[0].reason, "");
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
}

static mr_status holds_run(mr_task *t)
{
    mr_status status = mr_lock(t, "x", NULL, NULL);
    while (status == MR_OK && !atomic_load(&open_gate)) {
        status = mr_sleep(t, 1);
    }
    return status;
}
ACTION(holds, .where = MR_ON_WORKER, .run = holds_run);

/* Silent before it has the lock and, if it is told to, behind it. */
static mr_status waits_run(mr_task *t)
{
    mr_lock_options options = MR_LOCK(.wait_ms = -1);
    mr_status status = mr_lock(t, "x", &options, NULL);
    return status == MR_OK && mr_param_int(t, "then") > 0 ? silent_run(t) : status;
}
static const mr_param then_param[] = {{.name = "then", .type = MR_INT}, {.name = NULL}};
ACTION(waits, .where = MR_ON_WORKER, .run = waits_run, .params = then_param);

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    (void)mr_finish(t, status);
}

static mr_status waits_on_loop_run(mr_task *t)
{
    mr_lock_options options = MR_LOCK(.wait_ms = -1);
    mr_status status = mr_lock_then(t, "x", &options, on_lock, NULL);
    return status == MR_OK ? MR_PENDING : status;
}
ACTION(waits_on_loop, .where = MR_ON_LOOP, .run = waits_on_loop_run);

/* A task of a dag with `heartbeat: 1m` and ten minutes to wait for its lock failed after one. */
static void heartbeat__did_not_know_that_who_waits_for_a_lock_is_alive(void **state)
{
    uint32_t never = 0;
    fixture_start(f, &holds, 1, NULL);
    (void)fixture_run_until(f, &never, 1, 50);
    f->heartbeat_ms = 40;
    fixture_start(f, &waits_on_loop, 2, NULL);
    fixture_start(f, &waits, 3, "{\"then\":0}");
    (void)fixture_run_until(f, &never, 1, 50);
    fixture_start(f, &waits, 4, "{\"then\":1}");
    (void)fixture_run_until(f, &never, 1, 200);
    assert_int_equal(f->end_count, 0);
    open_gate = true;
    assert_true(fixture_run(f, 4, 5000));
    for (int i = 0; i < 3; i++) {
        assert_string_equal(f->ends[i].reason, "");
        assert_int_equal(f->ends[i].outcome, MR__OUTCOME_SUCCESS);
    }
    assert_int_equal(f->ends[3].ref.task, 4);
    assert_string_equal(f->ends[3].reason, "no heartbeat for 40ms");
}

static void heartbeat__is_what_a_child_writes(void **state)
{
    fixture_close(f, 1000);
    fixture_load_plugins(f);
    fixture_open(f, 4);
    f->heartbeat_ms = 1000;
    const struct mr__action *sh = fixture_action(f, "sh");
    fixture_start(f, sh, 1, "{\"run\":\"for i in 1 2 3 4 5 6; do sleep 0.4; echo $i; done\"}");
    fixture_start(f, sh, 2, "{\"run\":\"echo one; sleep 100\"}");
    assert_true(fixture_run(f, 2, 20000));
    assert_int_equal(f->ends[0].ref.task, 2);
    assert_string_equal(f->ends[0].reason, "no heartbeat for 1s");
    assert_string_equal(f->ends[1].reason, "");
    assert_int_equal(f->ends[1].outcome, MR__OUTCOME_SUCCESS);
}

static void heartbeat__matters_no_more_after_a_cancel(void **state)
{
    f->heartbeat_ms = 30;
    fixture_start(f, &silent, 1, NULL);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
}

/* ---- progress ---------------------------------------------------------------------------------
 */

static mr_status counts_run(mr_task *t)
{
    for (int i = 0; i <= 10000; i++) {
        char note[32];
        (void)snprintf(note, sizeof note, "step %d", i);
        mr_progress(t, i / 10000.0, note);
    }
    while (!atomic_load(&open_gate) && mr_sleep(t, 1) == MR_OK) {
    }
    return MR_OK;
}
ACTION(counts, .where = MR_ON_WORKER, .run = counts_run);

static void progress__tells_the_latest_and_not_each(void **state)
{
    uint64_t before = uv_hrtime();
    fixture_start(f, &counts, 1, NULL);
    while (strcmp(f->progress_note, "step 10000") != 0) {
        assert_true(fixture_run_until(f, &f->progress_count, f->progress_count + 1, 5000));
    }
    uint64_t ms = (uv_hrtime() - before) / 1000000;
    assert_true(f->progress == 1.0);
    assert_true(f->progress_count <= 2 + ms / MR__PROGRESS_MS);
    open_gate = true;
    assert_true(fixture_run(f, 1, 5000));
}

static mr_status says_run(mr_task *t)
{
    char note[MR__PROGRESS_NOTE_BYTES + 10];
    memset(note, 'n', sizeof note);
    note[0] = '\n';
    memcpy(note + MR__PROGRESS_NOTE_BYTES - 1, "\xc3\xa4", 2); /* does not fit whole */
    note[sizeof note - 1] = '\0';
    mr_progress(t, -1, note);
    the_task = t;
    return MR_PENDING;
}
ACTION(says, .where = MR_ON_LOOP, .run = says_run);

static void progress__has_a_note_of_one_line_and_may_have_no_fraction(void **state)
{
    fixture_start(f, &says, 1, NULL);
    assert_true(fixture_run_until(f, &f->progress_count, 1, 5000));
    assert_true(isnan(f->progress));
    assert_int_equal(strlen(f->progress_note), MR__PROGRESS_NOTE_BYTES - 1);
    assert_true(f->progress_note[0] == ' ' && f->progress_note[1] == 'n');
    mr_progress(the_task, NAN, NULL);
    assert_true(fixture_run_until(f, &f->progress_count, 2, 5000));
    assert_string_equal(f->progress_note, "");
    assert_int_equal(mr_finish(the_task, MR_OK), MR_OK);
    mr_progress(the_task, 0.5, "late");
    mr_heartbeat(the_task);
    assert_int_equal(f->progress_count, 2);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static mr_status logs_run(mr_task *t)
{
    char text[MR__LOG_LINE_BYTES_MAX + 100];
    mr_logf(t, MR_LOG_ERROR, "no %s", "luck");
    mr_logf(t, MR_LOG_WARNING, "two\nlines");
    mr_logf(t, MR_LOG_INFO, "%d", 7);
    mr_logf(t, MR_LOG_DEBUG, "%s", "");
    mr_logf(t, 4, "none");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mr_logf(t, MR_LOG_DEBUG, "%s", text);
    return MR_OK;
}
ACTION(logs, .where = MR_ON_LOOP, .run = logs_run);
ACTION(logs_worker, .where = MR_ON_WORKER, .run = logs_run);

static void line__begins_with_its_level(void **state)
{
    static const char expected[] = "error: no luck\nwarning: two lines\n7\ndebug: \n";
    const size_t bytes = sizeof expected - 1 + MR__LOG_LINE_BYTES_MAX;
    fixture_start(f, &logs, 1, NULL);
    assert_int_equal(f->log_len, bytes);
    assert_memory_equal(f->log, expected, sizeof expected - 1);
    assert_memory_equal(f->log + sizeof expected - 1, "debug: xx", 9);
    assert_int_equal(f->log[bytes - 1], '\n');
    assert_int_equal(f->note_count, 1);
    fixture_start(f, &logs_worker, 2, NULL);
    assert_true(fixture_run(f, 2, 5000));
    assert_int_equal(f->log_len, 2 * bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silence__ends_a_worker),
        TEST(silence__ends_an_action_of_the_loop),
        TEST(heartbeat__keeps_it_alive),
        TEST(heartbeat__did_not_know_that_who_waits_for_a_lock_is_alive),
        TEST(heartbeat__is_what_a_child_writes),
        TEST(heartbeat__matters_no_more_after_a_cancel),
        TEST(progress__tells_the_latest_and_not_each),
        TEST(progress__has_a_note_of_one_line_and_may_have_no_fraction),
        TEST(line__begins_with_its_level),
    };
    return cmocka_run_group_tests_name("signs", tests, NULL, NULL);
}
