/* SPDX-License-Identifier: MIT
 *
 * Goal: Lua that cannot be compiled is shown at the dag file's own line, all of it at once. Method:
 * dag files with scripts in each place that has one.
 */
#include "core/exec/check_scripts.h"
#include "exec_fixture.h"

static struct mr__problems problems;

static int set_up(void **state)
{
    mr__problems_init(&problems);
    return 0;
}

static int tear_down(void **state)
{
    mr__problems_finish(&problems);
    return 0;
}

static void check(const char *text)
{
    struct mr__parse_options options = {.file = "dag.yaml"};
    struct mr__dag *dag;
    if (mr__dag_parse(text, strlen(text), &options, &problems, &dag) != MR_OK) {
        fail_msg("%s", problems.list[0].message);
    }
    mr__scripts_check(dag, &problems);
    mr__dag_unref(dag);
    mr__problems_sort(&problems);
}

static void expect(uint32_t i, uint32_t line, uint32_t column)
{
    assert_true(i < problems.count);
    const struct mr__problem *problem = &problems.list[i];
    assert_string_equal(problem->code, "E605");
    assert_int_equal(problem->pos.line, line);
    assert_int_equal(problem->pos.column, column);
    assert_non_null(strstr(problem->message, "no Lua: "));
    assert_true(problem->message[8] < '0' || problem->message[8] > '9'); /* no line in it */
}

static void scripts__that_are_good_add_nothing(void **state)
{
    check("id: d\ntasks:\n"
          "  - {id: a, runIf: \"1 < 2\", lua: \"return 1\"}\n"
          "  - {id: b, forEach: \"{1}\", run: \"true\", env: {A: \"{{ item + 1 }}\"}}\n"
          "hooks: {onExit: {lua: \"trace(1)\"}}\n");
    assert_int_equal(problems.count, 0);
}

static void scripts__that_are_none_are_shown_where_they_stand(void **state)
{
    check("id: d\ntasks:\n"
          "  - {id: a, runIf: \"1 <\", run: \"true\"}\n"
          "  - id: b\n"
          "    lua: |\n"
          "      local x = 1\n"
          "      if x then\n"
          "        x x x     -- \xc3\xa4\n"
          "      end\n"
          "  - {id: c, run: \"true\", env: {A: \"{{ vars.. }}\"}}\n"
          "hooks: {onExit: {lua: \"end\"}}\n");
    assert_int_equal(problems.count, 4);
    expect(0, 3, problems.list[0].pos.column);
    expect(1, 8, 9);
    assert_int_equal(problems.list[1].pos.width, 14);
    expect(2, 10, problems.list[2].pos.column);
    expect(3, 11, problems.list[3].pos.column);
}

static void scripts__of_the_same_text_are_each_shown(void **state)
{
    check("id: d\ntasks:\n"
          "  - {id: a, runIf: \"1 = 2\"}\n"
          "  - {id: b, runIf: \"1 == 2\"}\n"
          "  - {id: c, runIf: \"1 == 2\"}\n"
          "  - {id: d, skipIf: \"1 = 2\"}\n"
          "  - {id: e, lua: \"1 == 2\"}\n"); /* good as an expression, but none is expected */
    assert_int_equal(problems.count, 3);
    expect(0, 3, problems.list[0].pos.column);
    expect(1, 6, problems.list[1].pos.column);
    expect(2, 7, problems.list[2].pos.column);
    assert_non_null(strstr(problems.list[1].message, "what compares is =="));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Short ones are checked some at a time: which of them is wrong is said all the same. */
static void scripts__among_many_the_wrong_ones_are_found(void **state)
{
    static char text[64 << 10];
    size_t len = (size_t)snprintf(text, sizeof text, "id: d\ntasks:\n");
    for (unsigned i = 0; i < 3 * MR__LUA_JOINED_MAX; i++) { /* task i on line i + 3 */
        bool wrong = i == MR__LUA_JOINED_MAX + 7 || i == 3 * MR__LUA_JOINED_MAX - 1;
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "  - {id: t%u, runIf: \"7 %s %u\"}\n", i, wrong ? "=" : "==", i);
    }
    check(text);
    assert_int_equal(problems.count, 2);
    expect(0, MR__LUA_JOINED_MAX + 10, 23);
    expect(1, 3 * MR__LUA_JOINED_MAX + 2, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scripts__that_are_good_add_nothing),
        TEST(scripts__that_are_none_are_shown_where_they_stand),
        TEST(scripts__of_the_same_text_are_each_shown),
        TEST(scripts__among_many_the_wrong_ones_are_found),
    };
    return cmocka_run_group_tests_name("check_scripts", tests, NULL, NULL);
}
