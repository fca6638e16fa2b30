/* SPDX-License-Identifier: MIT
 *
 * Goal: a copy of a scope shows what the scope showed, of the tasks that were asked for, after all
 * that it was made from is gone; and the tasks that a task's Lua names are found. Method: a scope
 * whose memory is overwritten after the copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fake_scope.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__dag *make_dag(const char *text)
{
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), NULL, &problems, &dag), MR_OK);
    mr__problems_finish(&problems);
    return dag;
}

static void assert_blob(struct mr__blob blob, const char *text)
{
    assert_non_null(blob.data);
    assert_int_equal(blob.len, strlen(text));
    assert_memory_equal(blob.data, text, blob.len);
}

static void assert_share(const struct mr__scope *scope, const char *key, const char *json)
{
    struct mr__blob found;
    assert_int_equal(scope->share(scope, key, strlen(key), &found), json != NULL);
    if (json != NULL) {
        assert_blob(found, json);
    }
}

static const char four[] =
    "vars: {a: {}, l: {type: list}}\ntasks: [{id: a}, {id: b}, {id: c}, {id: d}]\n";

static void copy__shows_what_the_scope_showed(void **state)
{
    static const char *const share[] = {"", "0", "a", "[1]", "ab", "\"x\"", "b", "null", NULL};
    static const char *const outputs[] = {"{\"n\":1}", NULL, "2", "3"};
    static const uint32_t uses[] = {2, 0, 1, 2};
    struct mr__dag *dag = make_dag(four);
    struct mr__arena arena;
    struct fake_scope fake;
    struct mr__scope_task task;
    struct mr__blob key = {NULL, 0};
    mr_value vars;
    char id[] = "run-1", item[] = "{\"h\":1}", reason[] = "exit 7", detail[] = "{\"exit\":7}";
    mr__arena_init(&arena);
    assert_int_equal(mr__value_parse(&arena, "{\"a\":\"x\",\"l\":[1,{\"b\":2}]}", 25, &vars, NULL),
                     MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.share = share;
    fake.outputs = outputs;
    fake.scope.run = (struct mr__scope_run){.id = id, .status = "running", .created_ms = 5};
    fake.scope.item_name = "host";
    fake.scope.item = (struct mr__blob){item, strlen(item)};
    fake.scope.has_error = true;
    fake.scope.error_reason = (struct mr__blob){reason, strlen(reason)};
    fake.scope.error_attempt = 2;
    fake.scope.error_detail = (struct mr__blob){detail, strlen(detail)};

    struct mr__scope_copy *copy =
        mr__scope_copy_create(&fake.scope, uses, MR__COUNT(uses), MR__COPY_SHARE);
    assert_non_null(copy);
    mr__arena_finish(&arena);
    memset(&fake, 0xaa, sizeof fake);
    memset(id, 'z', sizeof id);
    memset(item, 'z', sizeof item);
    memset(reason, 'z', sizeof reason);
    memset(detail, 'z', sizeof detail);

    const struct mr__scope moved = copy->scope; /* a scope may be copied as a struct */
    assert_ptr_equal(moved.dag, dag);
    assert_string_equal(moved.vars->u.map[0].value.u.s, "x");
    assert_int_equal(moved.vars->u.map[1].value.u.list[1].u.map[0].value.u.i, 2);
    assert_string_equal(moved.run.id, "run-1");
    assert_string_equal(moved.run.status, "running");
    assert_null(moved.run.reason);
    assert_int_equal(moved.run.created_ms, 5);
    assert_string_equal(moved.item_name, "host");
    assert_blob(moved.item, "{\"h\":1}");
    assert_true(moved.has_error);
    assert_blob(moved.error_reason, "exit 7");
    assert_int_equal(moved.error_attempt, 2);
    assert_blob(moved.error_detail, "{\"exit\":7}");

    assert_true(moved.task(&moved, 0, &task));
    assert_string_equal(task.status, "success");
    assert_blob(task.output, "{\"n\":1}");
    assert_true(moved.task(&moved, 1, &task));
    assert_string_equal(task.status, "init");
    assert_null(task.output.data);
    assert_true(moved.task(&moved, 2, &task));
    assert_blob(task.output, "2");
    assert_false(moved.task(&moved, 3, &task));

    for (size_t i = 0; share[i] != NULL; i += 2) {
        assert_share(&moved, share[i], share[i + 1]);
        assert_true(moved.share_next(&moved, key, &key));
        assert_blob(key, share[i]);
    }
    assert_false(moved.share_next(&moved, key, &key));
    assert_share(&moved, "aa", NULL);
    key = (struct mr__blob){"aa", 2}; /* a key that is not there */
    assert_true(moved.share_next(&moved, key, &key));
    assert_blob(key, "ab");
    mr__scope_copy_destroy(copy);
    mr__dag_unref(dag);
}

static void copy__of_all_tasks_and_no_share(void **state)
{
    static const char *const share[] = {"a", "1", NULL};
    static const char *const outputs[] = {"0", "1", "2", "3"};
    struct mr__dag *dag = make_dag(four);
    const mr_value vars = {.type = MR_MAP};
    struct fake_scope fake;
    struct mr__scope_task task;
    struct mr__blob key = {NULL, 0};
    fake_scope_init(&fake, dag, &vars);
    fake.share = share;
    fake.outputs = outputs;
    struct mr__scope_copy *copy = mr__scope_copy_create(&fake.scope, NULL, 0, MR__COPY_ALL_TASKS);
    assert_non_null(copy);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(copy->scope.task(&copy->scope, i, &task));
        assert_blob(task.output, outputs[i]);
    }
    assert_share(&copy->scope, "a", NULL);
    assert_false(copy->scope.share_next(&copy->scope, key, &key));
    assert_null(copy->scope.item_name);
    assert_null(copy->scope.item.data);
    assert_false(copy->scope.has_error);
    mr__scope_copy_destroy(copy);

    fake.outputs = NULL; /* a scope without tasks */
    copy = mr__scope_copy_create(&fake.scope, NULL, 0, MR__COPY_ALL_TASKS | MR__COPY_SHARE);
    assert_non_null(copy);
    assert_false(copy->scope.task(&copy->scope, 0, &task));
    assert_share(&copy->scope, "a", "1");
    mr__scope_copy_destroy(copy);

    copy = mr__scope_copy_create(&fake.scope, NULL, 0, 0);
    assert_non_null(copy);
    assert_false(copy->scope.task(&copy->scope, 0, &task));
    mr__scope_copy_destroy(copy);
    mr__scope_copy_destroy(NULL);
    mr__dag_unref(dag);
}

static void uses__are_those_of_all_scripts_of_the_task(void **state)
{
    struct mr__dag *dag = make_dag(
        "tasks:\n"
        "- {id: a}\n"
        "- {id: b}\n"
        "- {id: c}\n"
        "- {id: d, runIf: tasks.h.status, skipIf: tasks.b.status, blockIf: tasks.a.status, forEach:"
        " tasks.e.output, key: tasks.g.output, retry: {max: 1, if: tasks.a.output}, action: x, "
        "params: {p: '{{tasks.f.output}} {{tasks.a.output}}'}}\n"
        "- {id: e, lua: return tasks.c.output}\n"
        "- {id: f, skipIf: tasks.a.output, blockIf: '#keys(tasks) > 3'}\n"
        "- {id: g, wait: 1s}\n"
        "- {id: h}\n");
    static const uint32_t of_d[] = {0, 1, 4, 5, 6, 7};
    struct mr__arena arena;
    const uint32_t *uses;
    size_t count;
    bool all;
    mr__arena_init(&arena);
    assert_int_equal(mr__scope_uses(dag, 3, &arena, &uses, &count, &all), MR_OK);
    assert_int_equal(count, MR__COUNT(of_d));
    assert_memory_equal(uses, of_d, sizeof of_d);
    assert_false(all);
    assert_int_equal(mr__scope_uses(dag, 4, &arena, &uses, &count, &all), MR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(uses[0], 2);
    assert_int_equal(mr__scope_uses(dag, 5, &arena, &uses, &count, &all), MR_OK);
    assert_true(all);
    assert_int_equal(mr__scope_uses(dag, 6, &arena, &uses, &count, &all), MR_OK);
    assert_int_equal(count, 0);
    assert_false(all);
    mr__arena_finish(&arena);
    mr__dag_unref(dag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy__shows_what_the_scope_showed),
        cmocka_unit_test(copy__of_all_tasks_and_no_share),
        cmocka_unit_test(uses__are_those_of_all_scripts_of_the_task),
    };
    return cmocka_run_group_tests_name("scope", tests, NULL, NULL);
}
