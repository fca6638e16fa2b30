/* SPDX-License-Identifier: MIT
 *
 * Goal: an attempt sees its own sets of the share data at once and those of others as soon as they
 * are durable; its sets travel with the end of its phase, or of a failure, and once only; a flush
 * waits on a worker and not on the loop, and what it could not save is not lost; the limits hold.
 * Method: a real executor, an engine played by the fixture, which puts into the durable table what
 * it is told.
 */
#include <millrace/plugin.h>
#include <stdatomic.h>

#include "core/exec/task_host.h"
#include "exec_fixture.h"

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

static void durable(const char *key, const char *json)
{
    assert_int_equal(mr__share_put(f->share, (struct mr__blob){key, strlen(key)},
                                   (struct mr__blob){json, json == NULL ? 0 : strlen(json)}),
                     MR_OK);
}

static void expect_durable(const char *key, const char *json)
{
    struct mr__buf buf = {0};
    assert_int_equal(mr__share_get(f->share, key, strlen(key), &buf), json != NULL);
    assert_string_equal(json == NULL ? "" : mr__buf_cstr(&buf), json == NULL ? "" : json);
    mr__buf_finish(&buf);
}

static int64_t number(mr_task *t, const char *key)
{
    return mr_value_int(mr_share_get(t, key), -1);
}

static mr_status set_number(mr_task *t, const char *key, int64_t n)
{
    mr_value value = {.type = MR_INT, .u.i = n};
    return mr_share_set(t, key, &value);
}

/* ---- reading and setting ----------------------------------------------------------------------
 */

static mr_status reads_run(mr_task *t)
{
    assert_null(mr_share_get(t, "none"));
    assert_int_equal(number(t, "theirs"), 1);
    assert_int_equal(set_number(t, "own", 2), MR_OK);
    assert_int_equal(number(t, "own"), 2); /* at once */
    const mr_value *before = mr_share_get(t, "theirs");
    assert_ptr_equal(mr_share_get(t, "theirs"), before); /* It costs memory once. */
    durable("theirs", "10");
    assert_int_equal(number(t, "theirs"), 10); /* live */
    assert_int_equal(mr_value_int(before, -1), 1);
    assert_int_equal(mr_share_set(t, "removed", NULL), MR_OK);
    assert_null(mr_share_get(t, "removed"));
    assert_int_equal(mr_share_set_str(t, "text", "\xc3\xa4"), MR_OK);
    assert_int_equal(mr_share_set_json(t, "list", "[1,\n 2]", 7), MR_OK);
    assert_int_equal(mr_share_get(t, "list")->len, 2);
    char keys[64] = "";
    for (const char *key = NULL; (key = mr_share_next(t, key)) != NULL;) {
        (void)strcat(strcat(keys, key), " ");
    }
    assert_string_equal(keys, "list own text theirs ");
    assert_string_equal(mr_share_next(t, "m"), "own");
    return MR_OK;
}
ACTION(reads, .where = MR_ON_LOOP, .run = reads_run);
ACTION(reads_worker, .where = MR_ON_WORKER, .run = reads_run);

static void share__shows_own_sets_at_once_and_others_when_they_are_durable(void **state)
{
    const struct mr__action *both[] = {&reads, &reads_worker};
    for (uint32_t i = 0; i < 2; i++) {
        durable("theirs", "1");
        durable("removed", "true");
        durable("own", NULL);
        fixture_start(f, both[i], i, NULL);
        assert_true(fixture_run(f, i + 1, 5000));
        assert_string_equal(f->ends[i].reason, "");
        assert_string_equal(f->ends[i].sets, "list=[1,2];own=2;removed=;text=\"\xc3\xa4\";");
        expect_durable("removed", NULL);
    }
}

static mr_status wrong_run(mr_task *t)
{
    char key[300];
    mr_value infinite = {.type = MR_NUMBER, .u.d = 1e308 * 10};
    memset(key, 'k', sizeof key);
    key[257] = '\0';
    assert_int_equal(set_number(t, key, 1), MR_EINVAL);
    key[256] = '\0';
    assert_int_equal(set_number(t, key, 1), MR_OK);
    assert_int_equal(mr_share_set(t, key, NULL), MR_OK);
    assert_int_equal(set_number(t, "", 1), MR_EINVAL);
    assert_int_equal(set_number(t, "\xff", 1), MR_EINVAL);
    assert_int_equal(mr_share_set(t, "k", &infinite), MR_EINVAL);
    assert_int_equal(mr_share_set_json(t, "k", "1 2", 3), MR_EINVAL);
    assert_int_equal(mr_share_set_str(t, "k", NULL), MR_ENOMEM);
    return set_number(t, "", 1);
}
ACTION(wrong, .where = MR_ON_LOOP, .run = wrong_run);

static void set__refuses_what_is_no_key_or_no_value(void **state)
{
    fixture_start(f, &wrong, 1, NULL);
    assert_string_equal(f->ends[0].reason, "a key of the share data has 1 to 256 bytes of UTF-8");
}

static mr_status large_run(mr_task *t)
{
    size_t room = MR__OUTPUT_BYTES_MAX - 1000; /* as many are durable */
    char *text = mr_alloc(t, room + 1);
    memset(text, 'a', room);
    text[room - 3] = '\0'; /* a key and two quotes */
    assert_int_equal(mr_share_set_str(t, "k", text), MR_OK);
    assert_int_equal(set_number(t, "l", 1), MR_ELIMIT);
    assert_int_equal(mr_share_set_str(t, "k", text), MR_OK); /* in its place */
    text[room - 3] = 'a';
    text[room - 2] = '\0';
    assert_int_equal(mr_share_set_str(t, "k", text), MR_ELIMIT);
    assert_int_equal(mr_share_get(t, "k")->len, room - 3);
    assert_int_equal(mr_share_set_str(t, "k", ""), MR_OK);
    return mr_share_set(t, "d", NULL);
}
ACTION(large, .where = MR_ON_LOOP, .run = large_run);

static mr_status many_run(mr_task *t)
{
    char key[16];
    for (uint32_t i = 0; i < MR__SHARE_KEYS_MAX - 1; i++) { /* One is durable. */
        (void)snprintf(key, sizeof key, "%08x", i * 2654435761u);
        assert_int_equal(set_number(t, key, 1), MR_OK);
    }
    assert_int_equal(set_number(t, key, 2), MR_OK); /* no new one */
    return set_number(t, "one too many", 1);
}
ACTION(many, .where = MR_ON_LOOP, .run = many_run);

static void limits__hold_for_what_is_durable_and_own_together(void **state)
{
    char *json = malloc(1000);
    memset(json, 'd', 1000);
    json[0] = json[998] = '"';
    json[999] = '\0'; /* and its key: 1,000 */
    durable("d", json);
    free(json);
    fixture_start(f, &large, 1, NULL);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    durable("k", NULL);
    durable("one", "1");
    fixture_start(f, &many, 2, NULL);
    assert_string_equal(f->ends[1].reason, "share data of more than 65536 keys");
}

/* ---- with the end -----------------------------------------------------------------------------
 */

static mr_status fails_run(mr_task *t)
{
    assert_int_equal(set_number(t, "tried", 3), MR_OK);
    assert_int_equal(mr_detail_int(t, "exit", 2), MR_OK);
    return mr_fail(t, MR_EFAILED, "no");
}
ACTION(fails, .where = MR_ON_LOOP, .run = fails_run);

static void end__of_a_failure_has_its_sets_and_its_details(void **state)
{
    fixture_start(f, &fails, 1, NULL);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[0].sets, "tried=3;");
    assert_string_equal(f->ends[0].output, "{\"exit\":2}");
}

static mr_status phase_before(mr_task *t)
{
    return set_number(t, "a", 1);
}

static mr_status phase_run(mr_task *t)
{
    assert_int_equal(number(t, "a"), 1);
    return set_number(t, "b", 2);
}

static mr_status phase_after(mr_task *t)
{
    assert_int_equal(number(t, "a"), 1);
    assert_int_equal(number(t, "b"), 7); /* somebody else's, by now */
    return set_number(t, "c", 3);
}
ACTION(phases, .where = MR_ON_WORKER, .run = phase_run, .run_before = phase_before,
       .run_after = phase_after);

static void sets__of_each_phase_are_told_once(void **state)
{
    fixture_before(f, &phases, 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_start(f, &phases, 1, NULL);
    assert_true(fixture_run_until(f, &f->ending_count, 1, 5000));
    assert_string_equal(f->ending.sets, "a=1;b=2;");
    durable("b", "7");
    fixture_after(f, &phases, 1);
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(f->ends[0].reason, "");
    assert_string_equal(f->ends[0].sets, "c=3;");
}

static mr_status waits_run(mr_task *t)
{
    assert_int_equal(set_number(t, "a", 1), MR_OK);
    assert_int_equal(mr_finish_after(t, 5), MR_EINVAL); /* Its sets would be lost. */
    assert_int_equal(mr_share_flush(t), MR_OK);
    assert_int_equal(mr_finish_after(t, 5), MR_OK);
    assert_int_equal(set_number(t, "b", 1), MR_EINVAL);
    return MR_PENDING;
}
ACTION(waits, .where = MR_ON_LOOP, .run = waits_run);

static void finish_after__takes_no_sets_along(void **state)
{
    fixture_start(f, &waits, 1, NULL);
    assert_int_equal(f->waiting_count, 1);
    assert_string_equal(f->flush_sets, "a=1;");
}

/* ---- flush ------------------------------------------------------------------------------------
 */

static _Atomic uint32_t returned;

static mr_status flushes_run(mr_task *t)
{
    assert_int_equal(mr_share_flush(t), MR_OK); /* nothing to flush */
    assert_int_equal(set_number(t, "a", 1), MR_OK);
    assert_int_equal(mr_share_set(t, "b", NULL), MR_OK);
    mr_status status = mr_share_flush(t);
    atomic_store(&returned, 1);
    assert_int_equal(number(t, "a"), 1); /* saved or not */
    assert_int_equal(set_number(t, "c", 3), MR_OK);
    return status;
}
ACTION(flushes, .where = MR_ON_WORKER, .run = flushes_run);

static void flush__of_a_worker_returns_when_it_is_durable(void **state)
{
    f->flush_hold = true;
    atomic_store(&returned, 0);
    fixture_start(f, &flushes, 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    assert_string_equal(f->flush_sets, "a=1;b=;");
    (void)fixture_run(f, 1, 20);
    assert_int_equal(atomic_load(&returned), 0);
    fixture_flushed(f, MR_OK);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->ends[0].sets, "c=3;");
}

static void flush__that_failed_goes_with_the_end(void **state)
{
    f->flush_status = MR_ELIMIT;
    fixture_start(f, &flushes, 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(f->ends[0].reason, "share data was not saved: limit reached");
    assert_string_equal(f->ends[0].sets, "a=1;b=;c=3;");
}

static void flush__of_a_canceled_worker_returns_at_once(void **state)
{
    f->flush_hold = true;
    fixture_start(f, &flushes, 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
    assert_string_equal(f->ends[0].sets, "c=3;"); /* What the engine has is not told again. */
    fixture_flushed(f, MR_OK);                    /* of an attempt that is over */
}

static void flush__under_way_at_a_shutdown_does_no_harm(void **state)
{
    f->flush_hold = true;
    fixture_start(f, &flushes, 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    fixture_close(f, 5000); /* without an answer ever */
    fixture_open(f, 2);
}

static mr_status loop_flush_run(mr_task *t)
{
    assert_int_equal(set_number(t, "a", 1), MR_OK);
    assert_int_equal(set_number(t, "b", 1), MR_OK);
    assert_int_equal(mr_share_flush(t), MR_OK);
    assert_int_equal(number(t, "a"), 1); /* under way */
    assert_int_equal(set_number(t, "b", 2), MR_OK);
    assert_int_equal(number(t, "b"), 2);
    if (f->flush_done != NULL) {
        fixture_flushed(f, f->flush_status);
    }
    assert_int_equal(number(t, "a"), 1);
    return set_number(t, "c", 3);
}
ACTION(loop_flush, .where = MR_ON_LOOP, .run = loop_flush_run);

static void flush__on_the_loop_returns_at_once(void **state)
{
    fixture_start(f, &loop_flush, 1, NULL); /* done from within */
    assert_string_equal(f->flush_sets, "a=1;b=1;");
    assert_string_equal(f->ends[0].sets, "b=2;c=3;");
    f->flush_hold = true;
    fixture_start(f, &loop_flush, 2, NULL);
    assert_string_equal(f->ends[1].sets, "b=2;c=3;");
    f->flush_status = MR_ESTORE; /* What was set anew meanwhile holds. */
    fixture_start(f, &loop_flush, 3, NULL);
    assert_string_equal(f->ends[2].sets, "a=1;b=2;c=3;");
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static mr_task *kept;

static mr_status keeps_run(mr_task *t)
{
    kept = t;
    return MR_PENDING;
}
ACTION(keeps, .where = MR_ON_LOOP, .run = keeps_run);

static void *other_thread(void *arg)
{
    assert_int_equal(set_number(kept, "a", 1), MR_EINVAL);
    assert_null(mr_share_get(kept, "a"));
    assert_int_equal(mr_share_flush(kept), MR_EINVAL);
    return NULL;
}

static void share__is_for_the_thread_of_the_action(void **state)
{
    pthread_t thread;
    fixture_start(f, &keeps, 1, NULL);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(mr_finish(kept, MR_OK), MR_OK);
    assert_int_equal(mr_share_set(kept, "a", NULL), MR_EINVAL);
    assert_string_equal(f->note,
                        "action \"keeps\" called mr_share_set after the attempt's end: refused");
}

static mr_status vars_run(mr_task *t)
{
    const mr_value *vars = mr_vars(t);
    assert_int_equal(vars->len, 1);
    return mr_output_str(t, vars->u.map[0].key, vars->u.map[0].value.u.s);
}
ACTION(vars, .where = MR_ON_LOOP, .run = vars_run);

static void vars__can_be_gone_through(void **state)
{
    fixture_start(f, &vars, 1, NULL);
    assert_string_equal(f->ends[0].output, "{\"stage\":\"dev\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(share__shows_own_sets_at_once_and_others_when_they_are_durable),
        TEST(set__refuses_what_is_no_key_or_no_value),
        TEST(limits__hold_for_what_is_durable_and_own_together),
        TEST(end__of_a_failure_has_its_sets_and_its_details),
        TEST(sets__of_each_phase_are_told_once),
        TEST(finish_after__takes_no_sets_along),
        TEST(flush__of_a_worker_returns_when_it_is_durable),
        TEST(flush__that_failed_goes_with_the_end),
        TEST(flush__of_a_canceled_worker_returns_at_once),
        TEST(flush__under_way_at_a_shutdown_does_no_harm),
        TEST(flush__on_the_loop_returns_at_once),
        TEST(share__is_for_the_thread_of_the_action),
        TEST(vars__can_be_gone_through),
    };
    return cmocka_run_group_tests_name("task_share", tests, NULL, NULL);
}
