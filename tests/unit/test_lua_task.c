/* SPDX-License-Identifier: MIT
 *
 * Goal: the action `lua` runs the task's own script on a worker: what it returns is the output,
 * what it sets is share data, what it says is traced and logged, and it ends when it fails, errs,
 * is canceled or when all is shut down. Method: scripts of a dag file, parsed, in a real executor.
 */
#include <millrace/plugin.h>

#include "exec_fixture.h"

#include "dag_fixture.h" /* after it */

static struct fixture *f;
static struct dag_fixture l;

static int set_up(void **state)
{
    mr_error error;
    f = fixture_make(2);
    assert_int_equal(mr__registry_create(NULL, NULL, NULL, &f->registry, &error), MR_OK);
    fixture_close(f, 0);
    fixture_open(f, 2);
    memset(&l, 0, sizeof l);
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(f, 100);
    if (l.dag != NULL) {
        dag_fixture_finish(&l); /* Nobody looks into it after the executor's end. */
    }
    fixture_free(f);
    return 0;
}

/* A dag of tasks "t0", "t1", ... with these scripts, each in one line of the file: from line 3. */
static void scripts(const char *const *list, size_t count)
{
    char text[8192] = "id: d\ntasks:\n";
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(text);
        (void)snprintf(text + at, sizeof text - at, "  - {id: t%zu, lua: '%s'}\n", i, list[i]);
    }
    dag_fixture_parse(&l, text);
}

static void start(uint32_t task)
{
    struct mr__action_binding binding = f->x->ops->bind(f->x, "lua");
    assert_int_equal(binding.flags, MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_SCOPE);
    struct mr__attempt attempt = {.ref = fixture_ref(1, task, 1),
                                  .action = binding.action,
                                  .params = &l.dag->tasks[task].params,
                                  .vars = &l.vars,
                                  .dag_id = "d",
                                  .task_id = l.dag->tasks[task].id,
                                  .folder = "/tmp",
                                  .share = f->share,
                                  .scope = dag_fixture_copy(&l),
                                  .script = l.dag->tasks[task].lua};
    f->x->ops->start(f->x, &attempt);
}

static const struct fixture_end *run(uint32_t task)
{
    uint32_t count = f->end_count + 1;
    start(task);
    assert_true(fixture_run(f, count, 10000));
    return fixture_end_of(f, task);
}

static void lua__returns_the_output(void **state)
{
    const char *const list[] = {"return {n = 2^53 | 0, list = {1, 2}}", "local x = 1", "return nil",
                                "return tasks.t0.output.n + 1"};
    scripts(list, MR__COUNT(list));
    l.outputs[0] = "{\"n\":41}";
    assert_string_equal(run(0)->output, "{\"list\":[1,2],\"n\":9007199254740992}");
    assert_null(run(1)->output);
    assert_null(run(2)->output);
    assert_string_equal(run(3)->output, "42");
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_SUCCESS);
}

static void lua__fails_with_its_own_reason_or_its_line(void **state)
{
    const char *const list[] = {"fail(\"no luck\")", "share.before = 1 error(\"boom\")",
                                "local x = nil; x.y = 1", "return share.nothing.at_all",
                                "return function() end"};
    scripts(list, MR__COUNT(list));
    assert_string_equal(run(0)->reason, "no luck");
    assert_int_equal(fixture_end_of(f, 0)->outcome, MR__OUTCOME_FAILED);
    assert_string_equal(run(1)->reason, "dag.yaml:4: boom");
    assert_string_equal(fixture_end_of(f, 1)->sets, "before=1;");
    assert_non_null(strstr(run(2)->reason, "dag.yaml:5: "));
    assert_non_null(strstr(run(3)->reason, "dag.yaml:6: "));
    assert_int_equal(run(4)->outcome, MR__OUTCOME_FAILED);
}

static void calls__of_locks_heartbeats_and_progress(void **state)
{
    const char *const list[] = {
        ("local one, two = lock(\"x\"), lock(\"x\", 0, \"1m\") heartbeat() "
         "return {one > 0, one == two, unlock(\"x\"), unlock(\"x\"), unlock(\"x\")}"),
        "lock(\"x\") progress(0.5, \"half\") while not canceled() do sleep(5) end",
        "return {lock(\"x\", 0) == nil, lock(\"x\", \"20ms\") == nil}", "lock(\"\")",
        "lock(\"y\", \"soon\")"};
    scripts(list, MR__COUNT(list));
    assert_string_equal(run(0)->output, "[true,true,true,true,false]");
    start(1);
    assert_true(fixture_run_until(f, &f->progress_count, 1, 5000));
    assert_true(f->progress == 0.5);
    assert_string_equal(f->progress_note, "half");
    assert_string_equal(run(2)->output, "[true,true]");
    assert_string_equal(run(3)->reason,
                        "dag.yaml:6: the name of a lock has 1 to 256 bytes of UTF-8");
    assert_string_equal(run(4)->reason, "dag.yaml:7: bad argument #2 to \'lock\': \"soon\" is no "
                                        "duration such as 10s");
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 5, 5000));
}

static void share__is_its_own_over_what_is_durable(void **state)
{
    const char *const list[] = {
        "share.a = (share.a or 0) + 1; share.b = {x = 1}; return {share.a, share.b.x, share.copy}",
        ("local keys = {} for k, v in pairs(share) do keys[#keys + 1] = k end share.gone = nil; "
         "return {keys, share.gone}"),
        "share.a = 5 flush() return share.a"};
    scripts(list, MR__COUNT(list));
    struct mr__blob a = {"a", 1}, one = {"1", 1}, gone = {"gone", 4};
    assert_int_equal(mr__share_put(f->share, a, one), MR_OK);
    assert_int_equal(mr__share_put(f->share, gone, one), MR_OK);
    assert_string_equal(run(0)->output, "[2,1]"); /* The copy's share data is not looked at. */
    assert_string_equal(fixture_end_of(f, 0)->sets, "a=2;b={\"x\":1};");
    assert_string_equal(run(1)->output, "[[\"a\",\"b\",\"gone\"]]");
    assert_string_equal(fixture_end_of(f, 1)->sets, "gone=;");
    assert_string_equal(run(2)->output, "5");
    assert_string_equal(f->flush_sets, "a=5;");
    assert_string_equal(fixture_end_of(f, 2)->sets, "");
}

static void flush__that_failed_is_an_error_with_a_line(void **state)
{
    const char *const list[] = {"share.a = 1 flush()"};
    scripts(list, MR__COUNT(list));
    f->flush_status = MR_ELIMIT;
    assert_string_equal(run(0)->reason, "dag.yaml:3: share data was not saved: limit reached");
    assert_string_equal(fixture_end_of(f, 0)->sets, "a=1;");
}

static void lua__traces_logs_and_sleeps(void **state)
{
    const char *const list[] = {
        "trace(\"one\", 2) print(\"to the log\") local t = now() sleep(20) return now() - t >= 20",
        "return canceled()"};
    scripts(list, MR__COUNT(list));
    assert_string_equal(run(0)->output, "true");
    assert_string_equal(f->trace, "one 2");
    assert_int_equal(f->log_len, 11);
    assert_memory_equal(f->log, "to the log\n", 11);
    assert_string_equal(run(1)->output, "false");
}

static void cancel__ends_a_sleep_and_an_endless_loop(void **state)
{
    const char *const list[] = {"trace(\"s\") sleep(\"1h\")",
                                "trace(\"l\") while true do pcall(function() end) end"};
    scripts(list, MR__COUNT(list));
    for (uint32_t i = 0; i < 2; i++) {
        start(i);
        assert_true(fixture_run_until(f, &f->trace_count, i + 1, 5000));
        fixture_cancel(f, i, i == 0 ? MR_BY_USER : MR_BY_TIMEOUT);
        assert_true(fixture_run(f, i + 1, 5000));
    }
    assert_int_equal(fixture_end_of(f, 0)->outcome, MR__OUTCOME_CANCELED);
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_TIMED_OUT);
}

/* The dag goes right after it: a worker must not look into it any more. */
static void shutdown__waits_for_lua_even_beyond_its_grace(void **state)
{
    const char *const list[] = {"trace(\"x\") while true do local t = tasks.t0.status end",
                                "trace(\"x\") while true do local t = tasks.t0.status end",
                                "return 1"};
    scripts(list, MR__COUNT(list));
    start(0);
    start(1);
    start(2); /* Two workers: it waits. */
    assert_true(fixture_run_until(f, &f->trace_count, 2, 5000));
    fixture_close(f, 0);
    dag_fixture_finish(&l);
    assert_int_equal(f->end_count, 0);
    fixture_open(f, 2);
}

static void lua__without_a_script_of_the_dag_fails(void **state)
{
    const char *const list[] = {"return 1"};
    scripts(list, MR__COUNT(list));
    const struct mr__action *lua = fixture_action(f, "lua");
    fixture_start(f, lua, 1, "{\"lua\":\"return 1\"}");
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(f->ends[0].reason, "the action \"lua\" has no script in this dag");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lua__returns_the_output),
        TEST(lua__fails_with_its_own_reason_or_its_line),
        TEST(calls__of_locks_heartbeats_and_progress),
        TEST(share__is_its_own_over_what_is_durable),
        TEST(flush__that_failed_is_an_error_with_a_line),
        TEST(lua__traces_logs_and_sleeps),
        TEST(cancel__ends_a_sleep_and_an_endless_loop),
        TEST(shutdown__waits_for_lua_even_beyond_its_grace),
        TEST(lua__without_a_script_of_the_dag_fails),
    };
    return cmocka_run_group_tests_name("lua_task", tests, NULL, NULL);
}
