/* SPDX-License-Identifier: MIT
 *
 * Goal: what is too much for the loop is evaluated on a worker, with the full budget, and no action
 * can hold it up; the loop's own evaluator says what is to be done again, and makes no Lua state
 * before it needs one; a shutdown leaves nothing behind. Method: a dag's expressions, in a real
 * executor whose workers are all busy.
 */
#include <millrace/plugin.h>
#include <stdatomic.h>

#include "core/exec/evaluator.h"
#include "exec_fixture.h"

#include "dag_fixture.h" /* after it */

static struct fixture *f;
static struct dag_fixture d;
static _Atomic uint32_t begun;

static const char text[] =
    "id: d\n"
    "vars: {n: {type: int, defaultValue: 3}}\n"
    "tasks:\n"
    "  - {id: quick, run: \"true\", env: {A: \"{{ vars.n + 1 }}\"}}\n"
    "  - {id: slow, runIf: \"(function() local n = 0 for i = 1, 100000 do n = n + i end return n > "
    "0 "
    "end)()\", run: \"true\", env: {A: \"{{ vars.n }}\"}}\n"
    "  - {id: never, runIf: \"(function() while true do end end)()\", run: \"true\"}\n"
    "  - {id: judged, run: \"true\", retry: {max: 1, if: \"error.attempt < 2\"}}\n"
    "  - {id: fan, forEach: \"{1, 2}\", run: \"true\"}\n"
    "  - {id: plain, run: \"true\"}\n";
enum { QUICK = 0, SLOW, NEVER, JUDGED, FAN, PLAIN };

static int set_up(void **state)
{
    dag_fixture_parse(&d, text);
    f = fixture_make(2);
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(f, 100);
    dag_fixture_finish(&d);
    fixture_free(f);
    return 0;
}

static struct mr__evaluation *make(uint32_t task, bool judge)
{
    struct mr__evaluation *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->task = 100 + task; /* of the run: a fan-out's child, say */
    e->row = task;
    e->attempt = 1;
    e->judge = judge;
    e->scope = dag_fixture_copy(&d);
    if (judge) {
        e->scope->scope.has_error = true;
        e->scope->scope.error_attempt = 1;
    }
    mr__arena_init(&e->arena);
    return e;
}

static const struct mr__evaluation *evaluate(uint32_t task, bool judge)
{
    struct mr__evaluation *e = make(task, judge);
    uint32_t count = f->evaluated_count + 1;
    assert_int_equal(f->x->ops->evaluate(f->x, e), MR_OK);
    assert_true(fixture_run_until(f, &f->evaluated_count, count, 5000));
    assert_ptr_equal(f->evaluated, e);
    assert_int_equal(e->status, MR_OK);
    return e;
}

static void evaluate__answers_what_it_was_asked(void **state)
{
    const struct mr__evaluation *e = evaluate(SLOW, false);
    assert_int_equal(e->prepared.verdict, MR__VERDICT_GO);
    const mr_value *env = mr_value_get(&e->prepared.params, "env");
    assert_int_equal(mr_value_int(mr_value_get(env, "A"), 0), 3);
    e = evaluate(NEVER, false);
    assert_int_equal(e->prepared.verdict, MR__VERDICT_FAIL);
    assert_non_null(strstr(e->prepared.reason, "dag.yaml:6"));
    e = evaluate(FAN, false);
    assert_int_equal(e->prepared.verdict, MR__VERDICT_FAN);
    assert_int_equal(e->prepared.item_count, 2);
    assert_true(evaluate(JUDGED, true)->retry);
}

static mr_status holds_run(mr_task *t)
{
    atomic_fetch_add(&begun, 1);
    return mr_sleep(t, 60000);
}
ACTION(holds, .where = MR_ON_WORKER, .run = holds_run);

static void evaluate__is_not_held_up_by_actions(void **state)
{
    atomic_store(&begun, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        fixture_start(f, &holds, i, NULL);
    }
    for (int i = 0; i < 5000 && atomic_load(&begun) < 2; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(atomic_load(&begun), 2);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(f->x->ops->evaluate(f->x, make(QUICK, false)), MR_OK);
    }
    assert_true(fixture_run_until(f, &f->evaluated_count, 50, 5000));
    assert_int_equal(f->end_count, 0);
}

static void evaluate__refuses_one_more_than_its_limit(void **state)
{
    for (uint32_t i = 0; i < MR__EVALUATIONS_MAX; i++) {
        assert_int_equal(f->x->ops->evaluate(f->x, make(PLAIN, false)), MR_OK);
    }
    struct mr__evaluation *more = make(PLAIN, false);
    assert_int_equal(f->x->ops->evaluate(f->x, more), MR_ELIMIT);
    assert_true(fixture_run_until(f, &f->evaluated_count, MR__EVALUATIONS_MAX, 20000));
    assert_int_equal(f->x->ops->evaluate(f->x, more), MR_OK);
    assert_true(fixture_run_until(f, &f->evaluated_count, MR__EVALUATIONS_MAX + 1, 5000));
}

static void shutdown__gives_back_every_evaluation(void **state)
{
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(f->x->ops->evaluate(f->x, make(NEVER, false)), MR_OK);
    }
    fixture_close(f, 0); /* The dag lives no longer than this. */
    dag_fixture_finish(&d);
    assert_int_equal(f->evaluated_count, 0);
    dag_fixture_parse(&d, text);
    fixture_open(f, 2);
}

static void evaluator__of_the_loop_says_what_is_to_be_done_again(void **state)
{
    struct mr__lua_evaluator evaluator;
    struct mr__scope scope = dag_fixture_scope(&d);
    struct mr__prepared prepared;
    mr__lua_evaluator_init_loop(&evaluator);
    assert_int_equal(mr__prepare(&scope, PLAIN, 0, &evaluator.port, &d.arena, &prepared), MR_OK);
    assert_int_equal(prepared.verdict, MR__VERDICT_GO);
    assert_null(evaluator.own); /* nothing to evaluate: no Lua */
    assert_int_equal(mr__prepare(&scope, QUICK, 0, &evaluator.port, &d.arena, &prepared), MR_OK);
    assert_int_equal(prepared.verdict, MR__VERDICT_GO);
    assert_non_null(evaluator.own);
    assert_int_equal(mr__prepare(&scope, SLOW, 0, &evaluator.port, &d.arena, &prepared), MR_OK);
    assert_int_equal(prepared.verdict, MR__VERDICT_AGAIN);
    mr__lua_evaluator_finish(&evaluator);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(evaluate__answers_what_it_was_asked),
        TEST(evaluate__is_not_held_up_by_actions),
        TEST(evaluate__refuses_one_more_than_its_limit),
        TEST(shutdown__gives_back_every_evaluation),
        TEST(evaluator__of_the_loop_says_what_is_to_be_done_again),
    };
    return cmocka_run_group_tests_name("evaluation", tests, NULL, NULL);
}
