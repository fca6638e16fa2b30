/* SPDX-License-Identifier: MIT
 *
 * Goal: what an attempt gives back is JSON within its limits: the output of one that ended well,
 * the details of one that failed. Method: a real executor, actions that set what is good and what
 * is not.
 */
#include <millrace/plugin.h>

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

/* ---- output -----------------------------------------------------------------------------------
 */

static mr_status outputs_run(mr_task *t)
{
    const char *big = mr_alloc(t, MR__OUTPUT_BYTES_MAX + 3);
    memset((char *)(uintptr_t)big, 'a', MR__OUTPUT_BYTES_MAX + 2);
    mr_value infinite = {.type = MR_NUMBER, .u.d = 1e308 * 10};
    mr_value broken = {.type = MR_STRING, .len = 1, .u.s = "\xff"};
    mr_member twice[] = {{"k", {.type = MR_NULL}}, {"k", {.type = MR_NULL}}};
    mr_value repeated = {.type = MR_MAP, .len = 2, .u.map = twice};
    assert_int_equal(mr_output(t, "x", &infinite), MR_EINVAL);
    assert_int_equal(mr_output(t, "x", &broken), MR_EINVAL);
    assert_int_equal(mr_output(t, "x", &repeated), MR_EINVAL);
    assert_int_equal(mr_output_str(t, "x", NULL), MR_ENOMEM);
    assert_int_equal(mr_output_json(t, "x", "[1] 2", 5), MR_EINVAL);
    assert_int_equal(mr_output_json(t, "x", "", 0), MR_EINVAL);
    assert_int_equal(mr_output_str(t, "x", big), MR_ELIMIT);
    assert_int_equal(mr_output_str(t, "a", "1"), MR_OK);
    assert_int_equal(mr_output_str(t, "b", "2"), MR_OK);
    assert_int_equal(mr_output_str(t, "a", "3"), MR_OK);
    return mr_output_json(t, "c", "[1,\n 2]", 7);
}
ACTION(outputs, .where = MR_ON_LOOP, .run = outputs_run);

static mr_status largest_run(mr_task *t)
{
    char *big = mr_alloc(t, MR__OUTPUT_BYTES_MAX);
    memset(big, 'a', MR__OUTPUT_BYTES_MAX - 2); /* and two quotes */
    assert_int_equal(mr_output_str(t, "gone", "x"), MR_OK);
    return mr_output_str(t, NULL, big);
}
ACTION(largest, .where = MR_ON_LOOP, .run = largest_run);

static mr_status fails_run(mr_task *t)
{
    assert_int_equal(mr_output_str(t, "a", "1"), MR_OK);
    return MR_EFAILED;
}
ACTION(fails, .where = MR_ON_LOOP, .run = fails_run);

static void output__is_one_json_value_within_its_limit(void **state)
{
    fixture_start(f, &outputs, 1, NULL);
    assert_string_equal(f->ends[0].output, "{\"a\":\"3\",\"b\":\"2\",\"c\":[1,2]}");
    fixture_start(f, &largest, 2, NULL);
    assert_int_equal(f->ends[1].outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(strlen(f->ends[1].output), MR__OUTPUT_BYTES_MAX);
    fixture_start(f, &fails, 3, NULL);
    assert_null(f->ends[2].output);
}

/* ---- details ----------------------------------------------------------------------------------
 */

static bool details_fail;

static mr_status details_run(mr_task *t)
{
    static char big[MR__DETAIL_BYTES_MAX + 2];
    mr_value infinite = {.type = MR_NUMBER, .u.d = 1e308 * 10};
    mr_value list = {.type = MR_LIST};
    memset(big, 'a', MR__DETAIL_BYTES_MAX - 2 - 1); /* its quotes, and its key */
    assert_int_equal(mr_detail_int(t, "", 1), MR_EINVAL);
    assert_int_equal(mr_detail_int(t, "\xff", 1), MR_EINVAL);
    assert_int_equal(mr_detail(t, "x", &infinite), MR_EINVAL);
    assert_int_equal(mr_detail(t, "x", NULL), MR_EINVAL);
    mr_value text = {.type = MR_STRING, .len = (uint32_t)strlen(big), .u.s = big};
    assert_int_equal(mr_detail(t, "b", &text), MR_OK);
    assert_int_equal(mr_detail_int(t, "c", 1), MR_ELIMIT);
    assert_int_equal(mr_detail(t, "b", &list), MR_OK); /* instead of the long one */
    assert_int_equal(mr_detail_int(t, "exit", 6), MR_OK);
    assert_int_equal(mr_detail_int(t, "exit", 7), MR_OK);
    assert_int_equal(mr_output_str(t, NULL, "done"), MR_OK);
    return details_fail ? mr_fail(t, MR_EFAILED, "exit 7") : MR_OK;
}
ACTION(details, .where = MR_ON_LOOP, .run = details_run);

static void detail__is_told_of_a_failure_alone(void **state)
{
    details_fail = true;
    fixture_start(f, &details, 1, NULL);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[0].reason, "exit 7");
    assert_string_equal(f->ends[0].output, "{\"b\":[],\"exit\":7}");
    details_fail = false;
    fixture_start(f, &details, 2, NULL);
    assert_int_equal(f->ends[1].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->ends[1].output, "\"done\"");
}

static void detail__of_sh_is_its_exit_or_its_signal(void **state)
{
    fixture_load_plugins(f);
    const struct mr__action *sh = fixture_action(f, "sh");
    fixture_start(f, sh, 1, "{\"run\":\"exit 42\"}");
    fixture_start(f, sh, 2, "{\"run\":\"kill -9 $$\"}");
    assert_true(fixture_run(f, 2, 10000));
    assert_string_equal(fixture_end_of(f, 1)->output, "{\"exit\":42}");
    assert_string_equal(fixture_end_of(f, 2)->output, "{\"signal\":9}");
    assert_string_equal(fixture_end_of(f, 2)->reason, "killed by SIGKILL");
}

static void members__replace_each_other_within_their_limit(void **state)
{
    struct mr__members members = {NULL};
    struct mr__buf buf = {0};
    assert_int_equal(mr__members_set(&members, "a", "1", 1, 8), MR_OK);
    assert_int_equal(mr__members_set(&members, "b", "22", 2, 8), MR_OK);
    assert_int_equal(mr__members_set(&members, "a", "4444", 4, 8), MR_OK);
    assert_int_equal(members.bytes, 8);
    assert_int_equal(mr__members_set(&members, "c", "1", 1, 8), MR_ELIMIT);
    assert_true(mr__members_json(&members, &buf));
    assert_string_equal(mr__buf_cstr(&buf), "{\"a\":4444,\"b\":22}");
    assert_int_equal(mr__members_set(&members, NULL, "12345678", 8, 8), MR_OK);
    mr__buf_finish(&buf);
    assert_true(mr__members_json(&members, &buf));
    assert_string_equal(mr__buf_cstr(&buf), "12345678");
    mr__buf_finish(&buf);
    mr__members_finish(&members);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output__is_one_json_value_within_its_limit),
        TEST(detail__is_told_of_a_failure_alone),
        TEST(detail__of_sh_is_its_exit_or_its_signal),
        TEST(members__replace_each_other_within_their_limit),
    };
    return cmocka_run_group_tests_name("task_output", tests, NULL, NULL);
}
