/* SPDX-License-Identifier: MIT
 *
 * Goal: a run's variables are the given ones over the defaults, of their declared types, or one
 * message says all that is wrong. Method: one dag, tables of given maps and results; many
 * variables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/dag.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__arena arena;

static struct mr__dag *parse(const char *text)
{
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), NULL, &problems, &dag), MR_OK);
    mr__problems_finish(&problems);
    return dag;
}

static int set_up(void **state)
{
    mr__arena_init(&arena);
    *state = parse("vars:\n"
                   "  stage: {defaultValue: dev, enum: [dev, prod]}\n"
                   "  n: {type: int, defaultValue: 3, enum: [1, 3, 9223372036854775807]}\n"
                   "  f: {type: number}\n"
                   "  b: {type: bool, defaultValue: true}\n"
                   "  l: {type: list, defaultValue: [1, a]}\n"
                   "  m: {type: map}\n"
                   "  s: {}\n"
                   "tasks: [{id: a}]\n");
    return 0;
}

static int tear_down(void **state)
{
    mr__dag_unref(*state);
    mr__arena_finish(&arena);
    return 0;
}

static mr_value json_value(const char *json)
{
    mr_value value;
    assert_int_equal(mr__value_parse(&arena, json, strlen(json), &value, NULL), MR_OK);
    return value;
}

static void assert_vars(const struct mr__dag *dag, const char *given, const char *expected)
{
    mr_value map = json_value(given), vars;
    mr_error error = {0};
    if (mr__dag_vars(dag, &map, &arena, &vars, &error) != MR_OK) {
        fail_msg("%s: %s", given, error.message);
    }
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, &vars);
    assert_string_equal(mr__buf_cstr(&buf), expected);
    mr__buf_finish(&buf);
}

static void vars__are_given_over_defaults(void **state)
{
    const char *defaults = "{\"stage\":\"dev\",\"n\":3,\"f\":null,\"b\":true,\"l\":[1,\"a\"],"
                           "\"m\":null,\"s\":\"\"}";
    assert_vars(*state, "{}", defaults);
    assert_vars(*state, "null", defaults);
    assert_vars(*state, "{\"stage\":\"\",\"n\":\"\",\"l\":\"\",\"b\":null,\"s\":\"\"}", defaults);
    assert_vars(*state,
                "{\"s\":\"text\",\"stage\":\"prod\",\"n\":\"9223372036854775807\",\"f\":\"1.5\","
                "\"b\":\"false\",\"l\":\"[true]\",\"m\":\"{\\\"k\\\":[]}\"}",
                "{\"stage\":\"prod\",\"n\":9223372036854775807,\"f\":1.5,\"b\":false,\"l\":[true],"
                "\"m\":{\"k\":[]},\"s\":\"text\"}");
    assert_vars(*state, "{\"n\":1,\"f\":2,\"b\":false,\"l\":[],\"m\":{\"x\":1},\"s\":\"t\"}",
                "{\"stage\":\"dev\",\"n\":1,\"f\":2.0,\"b\":false,\"l\":[],\"m\":{\"x\":1},"
                "\"s\":\"t\"}");
    assert_vars(*state, "{\"s\":3}",
                "{\"stage\":\"dev\",\"n\":3,\"f\":null,\"b\":true,"
                "\"l\":[1,\"a\"],\"m\":null,\"s\":\"3\"}");
}

static void assert_complaint(const struct mr__dag *dag, const char *given, const char *message)
{
    mr_value map = json_value(given), vars;
    mr_error error = {0};
    assert_int_equal(mr__dag_vars(dag, &map, &arena, &vars, &error), MR_EINVAL);
    assert_string_equal(error.message, message);
}

static void vars__complaints_name_everything(void **state)
{
    assert_complaint(*state, "{\"stge\":\"x\"}",
                     "no variable \"stge\" is declared, did you mean \"stage\"?");
    assert_complaint(*state, "{\"colour\":\"x\"}", "no variable \"colour\" is declared");
    assert_complaint(*state, "{\"n\":\"many\"}", "variable \"n\" must be of type int");
    assert_complaint(*state, "{\"n\":1.5}", "variable \"n\" must be of type int");
    assert_complaint(*state, "{\"n\":2}",
                     "variable \"n\" must be one of: 1, 3, 9223372036854775807");
    assert_complaint(*state, "{\"s\":[1]}", "variable \"s\" must be of type string");
    assert_complaint(*state, "{\"l\":\"{}\"}", "variable \"l\" must be of type list");
    assert_complaint(*state, "{\"stage\":\"test\",\"f\":\"x\",\"q\":1}",
                     "variable \"stage\" must be one of: dev, prod; variable \"f\" must be of type "
                     "number; no variable \"q\" is declared");
    assert_complaint(*state, "[]", "variables must be a map, not a list");
}

static void vars__required_ones_must_be_given(void **state)
{
    struct mr__dag *dag = parse("vars:\n  a: {required: true}\n  b: {required: true, type: int}\n"
                                "  c: {required: true, defaultValue: x}\ntasks: [{id: t}]\n");
    assert_complaint(dag, "{}", "variable \"a\" is required; variable \"b\" is required");
    assert_complaint(dag, "{\"a\":\"\",\"b\":1}", "variable \"a\" is required");
    assert_vars(dag, "{\"a\":\"x\",\"b\":0}", "{\"a\":\"x\",\"b\":0,\"c\":\"x\"}");
    mr__dag_unref(dag);
}

static void vars__a_long_complaint_is_cut_at_a_character(void **state)
{
    struct mr__buf given;
    mr__buf_init(&given);
    for (int i = 0; i < 60; i++) {
        mr__buf_printf(&given, "%s\"\xc3\xa4\xc3\xb6-%d\":1", i == 0 ? "{" : ",", i);
    }
    mr__buf_text(&given, "}");
    mr_value map = json_value(mr__buf_cstr(&given)), vars;
    mr_error error = {0};
    assert_int_equal(mr__dag_vars(*state, &map, &arena, &vars, &error), MR_EINVAL);
    size_t len = strlen(error.message);
    assert_true(len > 500 && len < MR_ERROR_MESSAGE_BYTES);
    assert_true(mr__utf8_valid(error.message, len));
    assert_string_equal(error.message + len - 4, " ...");
    mr__buf_finish(&given);
}

static void vars__many_are_found_by_name(void **state)
{
    enum { COUNT = 20000 };
    struct mr__buf text, given;
    mr__buf_init(&text);
    mr__buf_init(&given);
    mr__buf_text(&text, "tasks: [{id: a}]\nvars:\n");
    for (int i = 0; i < COUNT; i++) {
        mr__buf_printf(&text, "  v%d: {}\n", i);
        mr__buf_printf(&given, "%s\"v%d\":\"%d\"", i == 0 ? "{" : ",", COUNT - 1 - i, i);
    }
    mr__buf_text(&given, "}");
    struct mr__dag *dag = parse(mr__buf_cstr(&text));
    mr_value map = json_value(mr__buf_cstr(&given)), vars;
    assert_int_equal(mr__dag_vars(dag, &map, &arena, &vars, NULL), MR_OK);
    assert_int_equal(vars.len, COUNT);
    assert_string_equal(mr_value_str(mr_value_get(&vars, "v77"), ""), "19922");
    mr__buf_finish(&text);
    mr__buf_finish(&given);
    mr__dag_unref(dag);
}

static void vars__hold_the_limit_of_bytes(void **state)
{
    for (size_t more = 0; more < 2; more++) {
        struct mr__dag *dag = parse("vars: {a: {}}\ntasks: [{id: t}]\n");
        size_t len = MR__VARS_BYTES_MAX - 17 + more; /* 8 for the map, 8 for the text, 1 for "a" */
        char *text = mr__arena_bytes(&arena, len + 1);
        memset(text, 'x', len);
        text[len] = '\0';
        mr_member member = {.key = "a", .value = mr__value_str(text, len)};
        mr_value map = {.type = MR_MAP, .len = 1, .u.map = &member}, vars;
        mr_error error = {0};
        assert_int_equal(mr__dag_vars(dag, &map, &arena, &vars, &error),
                         more == 0 ? MR_OK : MR_ELIMIT);
        mr__dag_unref(dag);
    }
}

static void vars__results_do_not_need_what_was_given(void **state)
{
    struct mr__arena other;
    mr__arena_init(&other);
    mr_value map, vars;
    const char *json = "{\"s\":\"hello\",\"l\":[\"x\"]}";
    assert_int_equal(mr__value_parse(&other, json, strlen(json), &map, NULL), MR_OK);
    assert_int_equal(mr__dag_vars(*state, &map, &arena, &vars, NULL), MR_OK);
    mr__arena_finish(&other);
    assert_string_equal(mr_value_str(mr_value_get(&vars, "s"), ""), "hello");
    assert_string_equal(mr_value_get(&vars, "l")->u.list[0].u.s, "x");
}

static void vars__are_read_from_a_file(void **state)
{
    static const struct {
        const char *text, *message; /* NULL: it is a map with x = 1 */
    } cases[] = {{"x: 1\n", NULL},
                 {"{\"x\": 1}", NULL},
                 {"[1]", "v.yaml:1:1: it must be a map of variables"},
                 {"", "v.yaml:1:1: the file is empty"},
                 {"x: [1\n", "v.yaml:"}};
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        mr_value map;
        mr_error error = {MR_OK, ""};
        mr_status status =
            mr__vars_read("v.yaml", cases[i].text, strlen(cases[i].text), &arena, &map, &error);
        assert_int_equal(status, cases[i].message == NULL ? MR_OK : MR_EINVAL);
        if (cases[i].message == NULL) {
            assert_int_equal(mr_value_int(mr_value_get(&map, "x"), 0), 1);
        } else {
            assert_non_null(strstr(error.message, cases[i].message));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vars__are_given_over_defaults),
        cmocka_unit_test(vars__complaints_name_everything),
        cmocka_unit_test(vars__required_ones_must_be_given),
        cmocka_unit_test(vars__a_long_complaint_is_cut_at_a_character),
        cmocka_unit_test(vars__many_are_found_by_name),
        cmocka_unit_test(vars__hold_the_limit_of_bytes),
        cmocka_unit_test(vars__results_do_not_need_what_was_given),
        cmocka_unit_test(vars__are_read_from_a_file),
    };
    return cmocka_run_group_tests_name("vars", tests, set_up, tear_down);
}
