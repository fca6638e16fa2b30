/* SPDX-License-Identifier: MIT
 *
 * Goal: the plan of a dag decides what variables alone decide, and nothing else. Method: a dag of
 * one case each, evaluated with real Lua; what becomes of its tasks as one line of text. That a run
 * ends as planned, tests/e2e/test_verbs.py tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/preview.h"

static struct mr__arena arena;

static int set_up(void **state)
{
    mr__arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    mr__arena_finish(&arena);
    return 0;
}

static struct mr__dag *parse(const char *tasks)
{
    struct mr__parse_options options = {.file = "d.yaml"};
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    struct mr__buf text;
    mr__buf_init(&text);
    mr__buf_printf(&text,
                   "vars: {s: {defaultValue: dev}, n: {type: int, defaultValue: 3}}\n"
                   "tasks: [%s]\n",
                   tasks);
    mr__problems_init(&problems);
    if (mr__dag_parse(mr__buf_cstr(&text), text.len, &options, &problems, &dag) != MR_OK) {
        fail_msg("%s: %s", tasks, problems.list[0].message);
    }
    mr__problems_finish(&problems);
    mr__buf_finish(&text);
    return dag;
}

/* "tasks" of the preview. */
static const mr_value *preview(const struct mr__dag *dag, bool graph, mr_value *document)
{
    struct mr__buf out;
    mr_value vars;
    mr__buf_init(&out);
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    mr__buf_text(&out, "{");
    assert_int_equal(mr__preview(dag, graph ? NULL : &vars, &out), MR_OK);
    mr__buf_text(&out, "}");
    assert_int_equal(mr__value_parse(&arena, (const char *)out.data, out.len, document, NULL),
                     MR_OK);
    mr__buf_finish(&out);
    return mr_value_get(document, "tasks");
}

/* "a run, b skip, ..." in the order in which they can begin. */
static void assert_plan(const char *tasks, const char *expected)
{
    struct mr__dag *dag = parse(tasks);
    struct mr__buf said;
    mr_value document;
    const mr_value *list = preview(dag, false, &document);
    mr__buf_init(&said);
    for (uint32_t i = 0; i < list->len; i++) {
        const mr_value *task = &list->u.list[i];
        mr__buf_printf(&said, "%s%s %s", i == 0 ? "" : ", ",
                       mr_value_str(mr_value_get(task, "id"), ""),
                       mr_value_str(mr_value_get(task, "plan"), ""));
        if (mr_value_get(task, "items")->type == MR_INT) {
            mr__buf_printf(&said, " x %d", (int)mr_value_int(mr_value_get(task, "items"), 0));
        }
    }
    assert_string_equal(mr__buf_cstr(&said), expected);
    mr__buf_finish(&said);
    mr__dag_unref(dag);
}

static void preview__decides_what_variables_decide(void **state)
{
    assert_plan("{id: a, skipIf: vars.n > 2}", "a skip");
    assert_plan("{id: a, runIf: vars.n > 2}", "a run");
    assert_plan("{id: a, blockIf: 'vars.s == \"dev\"'}", "a block");
    assert_plan("{id: a, runIf: vars.n + nil}", "a fail");
    assert_plan("{id: a, forEach: '{1, 2, 3}', run: x}", "a run x 3");
    assert_plan("{id: a, forEach: vars.n, run: x}", "a fail");
    assert_plan("{id: a, run: x, env: {A: '{{vars.n.x.y}}'}}", "a fail");
    assert_plan("{id: a, preCheck: {c: {act: skip, conditions: [{source: vars, key: s, op: "
                "matches, value: ^d}]}}}",
                "a skip");
}

static void preview__leaves_the_rest_to_the_run(void **state)
{
    assert_plan("{id: a, skipIf: share.x}", "a undecided");
    assert_plan("{id: a, skipIf: run.dag == 'd'}", "a undecided");
    assert_plan("{id: a}, {id: b, dependOn: a, skipIf: tasks.a.status == 'failed'}",
                "a run, b undecided");
    assert_plan("{id: a}, {id: b, dependOn: a, skipIf: 'pcall(function() return tasks.a.output.x "
                "end)'}",
                "a run, b undecided");
    assert_plan("{id: a, skipIf: '(function() for k in pairs(share) do return k end end)()'}",
                "a undecided");
    assert_plan("{id: a, preCheck: {c: {act: skip, conditions: [{source: share-data, key: s, op: "
                "exists}]}}}",
                "a undecided");
    /* What is not looked at decides nothing. */
    assert_plan("{id: a, skipIf: vars.n == 3 or share.x}", "a skip");
    /* Templates that need the run do not keep a task from being planned. */
    assert_plan("{id: a}, {id: b, dependOn: a, run: x, env: {A: '{{tasks.a.output}}'}}",
                "a run, b run");
    assert_plan("{id: a}, {id: b, dependOn: a, run: x, forEach: tasks.a.output}", "a run, b run");
}

static void preview__follows_the_graph(void **state)
{
    assert_plan("{id: c, dependOn: b}, {id: b, dependOn: a}, {id: a, blockIf: 'true'}",
                "a block, b wait, c wait");
    assert_plan(
        "{id: a, runIf: 1 + nil}, {id: b, dependOn: a}, {id: c, dependOn: a, when: always}, "
        "{id: d, dependOn: b, when: failed}, {id: e, when: failed}",
        "a fail, e undecided, b never, c run, d run");
    assert_plan("{id: a, skipIf: 'true'}, {id: b, dependOn: a}", "a skip, b run");
    assert_plan("{id: z, dependOn: [x, y]}, {id: y, dependOn: x}, {id: x}", "x run, y run, z run");
}

static void preview__of_the_graph_evaluates_nothing(void **state)
{
    struct mr__dag *dag = parse("{id: a, when: always, runIf: 1 + nil, blockIf: 'true'}, {id: b, "
                                "dependOn: a, forEach: '{}', run: x}");
    mr_value document;
    struct mr__buf said;
    const mr_value *list = preview(dag, true, &document);
    mr__buf_init(&said);
    mr__value_print(&said, list);
    assert_string_equal(
        mr__buf_cstr(&said),
        "[{\"id\":\"a\",\"action\":null,\"layer\":0,\"dependOn\":[],\"when\":\"always\","
        "\"forEach\":"
        "false,\"conditions\":[\"runIf\",\"blockIf\"]},{\"id\":\"b\",\"action\":\"sh\",\"layer\":1,"
        "\"dependOn\":[\"a\"],\"when\":\"success\",\"forEach\":true,\"conditions\":[]}]");
    mr__buf_finish(&said);
    mr__dag_unref(dag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preview__decides_what_variables_decide),
        cmocka_unit_test(preview__leaves_the_rest_to_the_run),
        cmocka_unit_test(preview__follows_the_graph),
        cmocka_unit_test(preview__of_the_graph_evaluates_nothing),
    };
    return cmocka_run_group_tests_name("preview", tests, set_up, tear_down);
}
