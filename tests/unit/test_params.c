/* SPDX-License-Identifier: MIT
 *
 * Goal: params are decoded weakly to the types of an action's table, completed with its defaults,
 * and refused with a reason where they do not fit. Method: a table with a row of each type; JSON
 * in, JSON out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/exec/registry.h"

#include <cmocka.h> /* last: its macros take plain words */

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

static mr_status run(mr_task *t)
{
    return MR_OK;
}

static const mr_param rows[] = {
    {.name = "any"},
    {.name = "bool", .type = MR_BOOL},
    {.name = "int", .type = MR_INT, .default_json = "5"},
    {.name = "number", .type = MR_NUMBER},
    {.name = "string", .type = MR_STRING},
    {.name = "list", .type = MR_LIST, .default_json = "[1, 2]"},
    {.name = "map", .type = MR_MAP},
    {.name = NULL},
};
static const mr_action action = MR_ACTION(.name = "all", .params = rows, .run = run);
static const mr_param needed_rows[] = {
    {.name = "x", .type = MR_STRING, .flags = MR_REQUIRED, .default_json = "nothing that is read"},
    {.name = NULL},
};
static const mr_action needed = MR_ACTION(.name = "needed", .params = needed_rows, .run = run);
static const mr_action bare = MR_ACTION(.name = "bare", .run = run);

/* What becomes of these params, as JSON; or the reason of the refusal. */
static const char *complete(const mr_action *of, const char *params)
{
    static struct mr__buf buf;
    mr_value value, completed;
    mr_error error = {0};
    mr__buf_finish(&buf);
    assert_int_equal(mr__value_parse(&arena, params, strlen(params), &value, NULL), MR_OK);
    mr_status status = mr__params_complete(of, &value, &arena, &completed, &error);
    if (status == MR_OK) {
        mr__value_print(&buf, &completed);
    } else {
        assert_int_equal(status, MR_EINVAL);
        assert_int_equal(error.status, MR_EINVAL);
        mr__buf_text(&buf, error.message);
    }
    return mr__buf_cstr(&buf);
}

/* The same for the one param of that name. */
static const char *one(const char *name, const char *json)
{
    static char params[512];
    static struct mr__buf buf;
    mr_value value, completed;
    mr__buf_finish(&buf);
    (void)snprintf(params, sizeof params, "{\"%s\":%s}", name, json);
    assert_int_equal(mr__value_parse(&arena, params, strlen(params), &value, NULL), MR_OK);
    if (mr__params_complete(&action, &value, &arena, &completed, NULL) != MR_OK) {
        return "refused";
    }
    mr__value_print(&buf, mr_value_get(&completed, name));
    return mr__buf_cstr(&buf);
}

static void params__are_completed(void **state)
{
    static const char *const given[] = {"{}", "null"};
    for (size_t i = 0; i < MR__COUNT(given); i++) {
        assert_string_equal(complete(&action, given[i]),
                            "{\"any\":null,\"bool\":null,\"int\":5,\"number\":null,\"string\":null,"
                            "\"list\":[1,2],\"map\":null}");
    }
    assert_string_equal(complete(&bare, "{}"), "{}");
    assert_string_equal(one("int", "null"), "5"); /* null is as good as nothing */
    assert_string_equal(one("list", "[]"), "[]");
}

static void params__that_do_not_fit_are_refused(void **state)
{
    assert_string_equal(complete(&needed, "{}"), "param \"x\" of action \"needed\" is missing");
    assert_string_equal(complete(&needed, "{\"x\":null}"),
                        "param \"x\" of action \"needed\" is missing");
    assert_string_equal(complete(&needed, "{\"x\":\"1\",\"y\":2}"),
                        "unknown param \"y\" of action \"needed\"");
    assert_string_equal(complete(&needed, "{\"x\":[]}"),
                        "param \"x\" of action \"needed\" must be string, not list");
    assert_string_equal(complete(&bare, "{\"x\":1}"), "unknown param \"x\" of action \"bare\"");
    assert_string_equal(complete(&bare, "[1]"), "the params of action \"bare\" must be a map");
}

static void params__are_decoded_weakly(void **state)
{
    static const struct {
        const char *name, *json, *decoded;
    } cases[] = {
        {"any", "[1,{\"a\":2.5}]", "[1,{\"a\":2.5}]"},
        {"bool", "true", "true"},
        {"bool", "\"true\"", "true"},
        {"bool", "\"false\"", "false"},
        {"bool", "1", "true"},
        {"bool", "0", "false"},
        {"bool", "2", "refused"},
        {"bool", "\"yes please\"", "refused"},
        {"int", "\"100\"", "100"},
        {"int", "\"-9223372036854775808\"", "-9223372036854775808"},
        {"int", "9223372036854775807", "9223372036854775807"},
        {"int", "3.0", "3"},
        {"int", "3.5", "refused"},
        {"int", "1e300", "refused"},
        {"int", "\"3x\"", "refused"},
        {"int", "true", "refused"},
        {"number", "3", "3.0"},
        {"number", "\"1.5\"", "1.5"},
        {"number", "true", "refused"},
        {"string", "3", "\"3\""},
        {"string", "true", "\"true\""},
        {"string", "1.5", "\"1.5\""},
        {"string", "{}", "refused"},
        {"list", "\"[1]\"", "[1]"},
        {"list", "\"{}\"", "refused"},
        {"list", "{}", "refused"},
        {"map", "\"{\\\"a\\\":1}\"", "{\"a\":1}"},
        {"map", "[]", "refused"},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        const char *decoded = one(cases[i].name, cases[i].json);
        if (strcmp(decoded, cases[i].decoded) != 0) {
            fail_msg("%s: %s became %s", cases[i].name, cases[i].json, decoded);
        }
    }
}

static void params__are_copies(void **state)
{
    char json[] = "{\"string\":\"abc\",\"any\":[\"def\"]}";
    struct mr__arena other;
    mr_value value, completed;
    mr__arena_init(&other);
    assert_int_equal(mr__value_parse(&other, json, strlen(json), &value, NULL), MR_OK);
    assert_int_equal(mr__params_complete(&action, &value, &arena, &completed, NULL), MR_OK);
    mr__arena_finish(&other);
    assert_string_equal(mr_value_str(mr_value_get(&completed, "string"), ""), "abc");
    assert_string_equal(mr_value_str(&mr_value_get(&completed, "any")->u.list[0], ""), "def");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(params__are_completed),
        TEST(params__that_do_not_fit_are_refused),
        TEST(params__are_decoded_weakly),
        TEST(params__are_copies),
    };
    return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
