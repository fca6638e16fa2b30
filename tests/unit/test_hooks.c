/* SPDX-License-Identifier: MIT
 *
 * Goal: the hooks of a run are called in their order, see the run and its share data, may trace,
 * log and sleep; one that fails or takes too long is traced and holds up neither the others nor the
 * end. Method: a dag with hooks, in a real executor.
 */
#include <millrace/plugin.h>

#include "exec_fixture.h"

#include "dag_fixture.h" /* after it */

static struct fixture *f;
static struct dag_fixture d;

static const char text[] =
    "id: d\n"
    "tasks: [{id: a, run: \"true\"}]\n"
    "hooks:\n"
    "  beforeRun: {lua: \"trace('beforeRun', run.id, share.n, share.copy) print('logged')\"}\n"
    "  beforeFail: {lua: \"error('no')\"}\n"
    "  onSuccess: {lua: \"share.n = 1\"}\n"
    "  onFailure: {lua: \"trace('endless') while true do end\"}\n"
    "  onCancel: {lua: \"trace('asleep') sleep('1h')\"}\n"
    "  onExit: {lua: \"for i = 1, 5 do trace(i, tasks.a.status) end\"}\n";

static int set_up(void **state)
{
    dag_fixture_parse(&d, text);
    f = fixture_make(1);
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(f, 100);
    dag_fixture_finish(&d);
    fixture_free(f);
    return 0;
}

static void call(uint32_t mask, struct mr__share *share)
{
    struct mr__hook_call hooks = {.mask = mask, .scope = dag_fixture_copy(&d), .share = share};
    f->x->ops->hook(f->x, &hooks);
}

static void expect(uint32_t mask, struct mr__share *share, const char *traces)
{
    uint32_t count = f->hooked_count + 1;
    f->traces[0] = '\0';
    call(mask, share);
    assert_true(fixture_run_until(f, &f->hooked_count, count, 10000));
    assert_int_equal(f->hooked_mask, mask);
    assert_string_equal(f->traces, traces);
}

static void hooks__are_called_in_order_and_a_failure_is_traced(void **state)
{
    struct mr__blob n = {"n", 1}, five = {"5", 1};
    assert_int_equal(mr__share_put(f->share, n, five), MR_OK);
    expect(1u << MR__HOOK_ON_EXIT | 1u << MR__HOOK_BEFORE_FAIL | 1u << MR__HOOK_BEFORE_RUN,
           f->share,
           "-1:beforeRun run-1 5 nil\n"
           "-1:hook beforeFail failed: dag.yaml:5: no\n"
           "-1:1 init\n-1:2 init\n-1:3 init\n-1:4 init\n-1:5 init\n");
    assert_memory_equal(f->log, "logged\n", 7);
    expect(1u << MR__HOOK_BEFORE_RUN, NULL, "-1:beforeRun run-1 nil of the copy\n");
    expect(1u << MR__HOOK_BEFORE_BLOCK, f->share, ""); /* The dag has none. */
    expect(0, f->share, "");
}

static void hook__that_takes_too_long_is_ended(void **state)
{
    fixture_close(f, 0);
    f->hook_ms = 50;
    fixture_open(f, 1);
    expect(1u << MR__HOOK_ON_FAILURE | 1u << MR__HOOK_ON_CANCEL, f->share,
           "-1:endless\n-1:hook onFailure failed: dag.yaml:7: the script took more than 50 ms\n"
           "-1:asleep\n-1:hook onCancel failed: dag.yaml:8: timed out\n");
}

static void hook__cannot_set_share_data(void **state)
{
    call(1u << MR__HOOK_ON_SUCCESS, f->share);
    assert_true(fixture_run_until(f, &f->hooked_count, 1, 10000));
    assert_non_null(strstr(f->trace, "hook onSuccess failed: dag.yaml:6: "));
    assert_int_equal(mr__share_count(f->share), 0);
}

static void shutdown__ends_hooks_and_waits_for_them(void **state)
{
    for (uint32_t i = 0; i < 2 * MR__HOOK_THREADS; i++) { /* Half of them wait. */
        call(i % 2 == 0 ? 1u << MR__HOOK_ON_FAILURE : 1u << MR__HOOK_ON_CANCEL, f->share);
    }
    assert_true(fixture_run_until(f, &f->trace_count, MR__HOOK_THREADS, 10000));
    fixture_close(f, 0);
    dag_fixture_finish(&d);
    assert_int_equal(f->hooked_count, 0);
    dag_fixture_parse(&d, text);
    fixture_open(f, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hooks__are_called_in_order_and_a_failure_is_traced),
        TEST(hook__that_takes_too_long_is_ended),
        TEST(hook__cannot_set_share_data),
        TEST(shutdown__ends_hooks_and_waits_for_them),
    };
    return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
