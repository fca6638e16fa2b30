/* SPDX-License-Identifier: MIT
 *
 * Goal: actions are found by name, from named folders before the installed one; what is wrong with
 * a named folder is an error; a dag's tasks are checked against their actions with places and
 * suggestions. Method: the build's own plugins, those of tests/abi, and dags put together here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/exec/registry.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__registry *registry;
static struct mr__arena arena;

static const char *folders(const char *a, const char *b)
{
    static char text[2048];
    const char *build = getenv("MILLRACE_TEST_BUILD");
    build = build == NULL ? "build" : build;
    (void)snprintf(text, sizeof text, "%s/%s:%s/%s", build, a, build, b);
    return text;
}

static int set_up(void **state)
{
    mr_error error;
    mr__arena_init(&arena);
    registry = NULL;
    if (mr__registry_create(folders("plugins/sh", "plugins/wait"), NULL, NULL, &registry, &error) !=
        MR_OK) {
        fail_msg("%s", error.message);
    }
    return 0;
}

static int tear_down(void **state)
{
    mr__registry_destroy(registry);
    mr__arena_finish(&arena);
    return 0;
}

static void registry__finds_actions_by_name(void **state)
{
    const struct mr__action *action = mr__registry_find(registry, "ff-waiting");
    assert_non_null(action);
    assert_string_equal(action->name, "ff-waiting");
    assert_string_equal(action->plugin, "wait");
    assert_non_null(strstr(action->file, "/plugins/wait/wait.so"));
    assert_non_null(mr__registry_find(registry, "wait"));
    assert_non_null(mr__registry_find(registry, "sh"));
    assert_null(mr__registry_find(registry, "s"));
    assert_null(mr__registry_find(registry, ""));
    assert_true(mr__registry_count(registry) >= 3);
    for (size_t i = 1; i < mr__registry_count(registry); i++) {
        assert_true(
            strcmp(mr__registry_at(registry, i - 1)->name, mr__registry_at(registry, i)->name) < 0);
    }
    assert_null(mr__registry_at(registry, mr__registry_count(registry)));
}

static void registry__takes_a_folder_named_twice(void **state)
{
    struct mr__registry *other;
    mr_error error;
    assert_int_equal(
        mr__registry_create(folders("plugins/sh", "plugins/sh"), NULL, NULL, &other, &error),
        MR_OK);
    mr__registry_destroy(other);
}

static void registry__two_plugins_with_one_action_are_an_error(void **state)
{
    struct mr__registry *other;
    mr_error error = {0};
    assert_int_equal(mr__registry_create(folders("tests/abi/good", "tests/abi/same"), NULL, NULL,
                                         &other, &error),
                     MR_EABI);
    assert_non_null(strstr(error.message, "same_action.so: action \"wide\" is already that of "));
    assert_non_null(strstr(error.message, "wide_rows.so"));
}

static void registry__bad_named_folders_are_errors(void **state)
{
    struct mr__registry *other;
    mr_error error = {0};
    assert_int_equal(
        mr__registry_create(folders("plugins/sh", "tests/abi"), NULL, NULL, &other, &error),
        MR_EABI);
    assert_non_null(strstr(error.message, "bad_default.so"));
    assert_int_equal(mr__registry_create("/no/such/folder", NULL, NULL, &other, &error),
                     MR_ENOTFOUND);
    assert_int_equal(mr__registry_create("", NULL, NULL, &other, &error), MR_OK);
    mr__registry_destroy(other);
}

/* ---- check ------------------------------------------------------------------------------------
 */

static struct mr__problems check(const char *action, const char *params)
{
    static struct mr__pos param_pos[8];
    struct mr__dag_task tasks[2] = {{.id = "gate"},
                                    {.id = "t",
                                     .action = action,
                                     .param_pos = param_pos,
                                     .pos = {7, 1, 1},
                                     .action_pos = {8, 9, 2}}};
    struct mr__dag dag = {.task_count = 2, .tasks = tasks};
    struct mr__problems problems;
    for (uint32_t i = 0; i < MR__COUNT(param_pos); i++) {
        param_pos[i] = (struct mr__pos){100 + i, 5, 3};
    }
    assert_int_equal(mr__value_parse(&arena, params, strlen(params), &tasks[1].params, NULL),
                     MR_OK);
    mr__problems_init(&problems);
    mr__registry_check(registry, &dag, &problems);
    return problems;
}

static void expect(const char *action, const char *params, const char *code, uint32_t line,
                   const char *suggestion, const char *message)
{
    struct mr__problems problems = check(action, params);
    assert_int_equal(problems.count, code == NULL ? 0 : 1);
    if (code != NULL) {
        const struct mr__problem *problem = &problems.list[0];
        assert_string_equal(problem->code, code);
        assert_int_equal(problem->pos.line, line);
        assert_string_equal(problem->message, message);
        assert_int_equal(problem->suggestion != NULL, suggestion != NULL);
        if (suggestion != NULL) {
            assert_string_equal(problem->suggestion, suggestion);
        }
        assert_false(problem->warning);
    }
    mr__problems_finish(&problems);
}

static void check__names_what_does_not_fit(void **state)
{
    expect("sh", "{\"run\":\"x\"}", NULL, 0, NULL, NULL);
    expect("ssh", "{}", "E201", 8, "sh", "unknown action \"ssh\" in task \"t\"");
    expect("xyzzy-and-more", "{}", "E201", 8, NULL,
           "unknown action \"xyzzy-and-more\" in task \"t\"");
    expect("sh", "{\"run\":\"x\",\"emv\":{}}", "E202", 101, "env",
           "unknown param \"emv\" of action \"sh\" in task \"t\"");
    expect("sh", "{\"run\":\"x\",\"env\":[1]}", "E203", 101, NULL,
           "param \"env\" of action \"sh\" in task \"t\" must be map, not list");
    expect("sh", "{\"env\":{}}", "E204", 8, NULL,
           "param \"run\" of action \"sh\" is missing in task \"t\"");
    expect("sh", "{\"run\":null}", "E204", 8, NULL,
           "param \"run\" of action \"sh\" is missing in task \"t\"");
}

static void check__decodes_weakly_and_lets_templates_be(void **state)
{
    expect("sh", "{\"run\":3}", NULL, 0, NULL, NULL);
    expect("sh", "{\"run\":\"x\",\"env\":\"{{ vars.all }}\"}", NULL, 0, NULL, NULL);
    expect("sh", "{\"run\":\"x\",\"env\":\"plain\"}", "E203", 101, NULL,
           "param \"env\" of action \"sh\" in task \"t\" must be map, not string");
    expect("sh", "{\"run\":\"x\",\"env\":\"{\\\"A\\\":1}\"}", NULL, 0, NULL, NULL);
    expect("sh", "{\"run\":[1]}", "E203", 100, NULL,
           "param \"run\" of action \"sh\" in task \"t\" must be string, not list");
}

static void check__shows_all_problems(void **state)
{
    struct mr__problems problems = check("sh", "{\"a\":1,\"bb\":2,\"env\":3}");
    assert_int_equal(problems.error_count, 4);
    mr__problems_finish(&problems);
}

/* ---- json -------------------------------------------------------------------------------------
 */

static void json__lists_actions(void **state)
{
    struct mr__buf buf;
    mr_value value;
    mr__buf_init(&buf);
    mr__registry_json(registry, "sh", &buf);
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_OK);
    const mr_value *actions = mr_value_get(&value, "actions");
    assert_int_equal(actions->len, 1);
    const mr_value *action = &actions->u.list[0];
    assert_string_equal(mr_value_str(mr_value_get(action, "name"), ""), "sh");
    assert_string_equal(mr_value_str(mr_value_get(action, "where"), ""), "loop");
    assert_int_equal(mr_value_int(mr_value_get(action, "idempotent"), 9), 0);
    assert_int_equal(mr_value_int(mr_value_get(action, "isolated"), 9), 0);
    const mr_value *params = mr_value_get(action, "params");
    assert_int_equal(params->len, 3);
    const mr_value *output = &params->u.list[2];
    assert_string_equal(mr_value_str(mr_value_get(output, "type"), ""), "string");
    assert_string_equal(mr_value_str(mr_value_get(output, "default"), ""), "text");
    mr__buf_reset(&buf);
    mr__registry_json(registry, "none", &buf);
    assert_string_equal(mr__buf_cstr(&buf), "{\"actions\":[]}");
    mr__buf_reset(&buf);
    mr__registry_json(registry, NULL, &buf);
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_OK);
    assert_int_equal(mr_value_get(&value, "actions")->len, mr__registry_count(registry));
    mr__buf_finish(&buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registry__finds_actions_by_name),
        TEST(registry__takes_a_folder_named_twice),
        TEST(registry__two_plugins_with_one_action_are_an_error),
        TEST(registry__bad_named_folders_are_errors),
        TEST(check__names_what_does_not_fit),
        TEST(check__decodes_weakly_and_lets_templates_be),
        TEST(check__shows_all_problems),
        TEST(json__lists_actions),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
