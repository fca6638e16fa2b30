/* SPDX-License-Identifier: MIT
 *
 * Goal: expressions and chunks see their scope, nothing else, and errors name the file's own line.
 * Method: tables of scripts with the JSON that they give or the message with which they fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lua_fixture.h"

#include <cmocka.h> /* last: its macros take plain words */

#include "lua_rows.h"

static void eval__sees_its_scope(void **state)
{
    static const struct row rows[] = {
        {"1 + 1", "2"},
        {"vars.stage == 'prod' and share.n ~= 3", "true"},
        {"vars.none", "null"},
        {"vars.list", "[1,null,3]"},
        {"#vars.list", "3"},
        {"vars.list[2] == null", "true"},
        {"share.missing", "null"},
        {"share.hosts[2].name", "\"b\""},
        {"tasks.fetch.output.pages[3]", "3"},
        {"tasks.fetch.output.big", "9007199254740993"},
        {"tasks['fetch'].status", "\"success\""},
        {"tasks.build.output", "null"},
        {"tasks.build.status .. tasks.build.reason", "\"init\""},
        {"run.id .. run.dag .. run.status .. run.folder .. run.trigger",
         "\"r1drunning/tmpmanually\""},
        {"run.createdAt + run.startedAt", "4000"},
        {"run.scheduledAt == nil", "true"},
        {"filter(share.hosts, function(h) return h.name == 'b' end)", "[{\"name\":\"b\"}]"},
        {"vars.stage -- a comment", "\"prod\""},
        {"vars", "{\"list\":[1,null,3],\"n\":3,\"none\":null,\"stage\":\"prod\"}"},
        {"share", "{\"hosts\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"n\":4}"},
        {"keys(vars)", "[\"list\",\"n\",\"none\",\"stage\"]"},
        {"keys(tasks)", "[\"build\",\"fetch\"]"},
        {"#vars", "4"},
        {"#share", "2"},
        {"#tasks", "2"},
    };
    (void)state;
    assert_rows(rows, MR__COUNT(rows), MR_OK);
}

static void eval__errors_name_the_line_of_the_file(void **state)
{
    static const struct row rows[] = {
        {"\n\n1 + nil", "d.yaml:14: attempt to perform arithmetic on a nil value"},
        {"share.none.x\n", "d.yaml:12: attempt to index a nil value (field 'none')"},
        {"vars.stag", "d.yaml:12: no variable \"stag\" is declared, did you mean \"stage\"?"},
        {"vars.something", "d.yaml:12: no variable \"something\" is declared"},
        {"tasks.fetsh.output", "d.yaml:12: no task \"fetsh\", did you mean \"fetch\"?"},
        {"stage", "d.yaml:12: unknown name \"stage\", did you mean \"vars.stage\"?"},
        {"flter({})", "d.yaml:12: unknown name \"flter\", did you mean \"filter\"?"},
        {"print(1)", "d.yaml:12: unknown name \"print\""},
        {"run.idd", "d.yaml:12: run has no field \"idd\", did you mean \"id\"?"},
        {"(function() vars.x = 1 end)()", "d.yaml:12: vars is read-only"},
        {"(function() share.x = 1 end)()",
         "d.yaml:12: share is read-only here: only lua: tasks and actions set it"},
        {"(function() x = 1 end)()", "d.yaml:12: the global \"x\" is assigned to: write local"},
        {"(function() string.x = 1 end)()", "d.yaml:12: the library is read-only"},
        {"error('boom')", "d.yaml:12: boom"},
        {"error({})", "d.yaml:12: error() was called with a table"},
        {"vars.x ==", "d.yaml:13: unexpected symbol near <eof>"},
        {"1, 2", "d.yaml:12: one expression is expected here, not none or several"},
        {"null.x", "d.yaml:12: attempt to index a null value"},
        {"string.flor(1)", "d.yaml:12: the library has no function \"flor\""},
    };
    (void)state;
    assert_rows(rows, MR__COUNT(rows), MR_EINVAL);
}

static void eval__has_its_item_and_its_error(void **state)
{
    static const struct row items[] = {
        {"host.name", "\"web\""},
        {"filter", "{\"name\":\"web\"}"},
        {"host", NULL},
    };
    static const struct row errors[] = {
        {"error.reason", "\"exit 7\""},
        {"error.attempt", "2"},
        {"error.exit == 7 and error.status ~= 404", "true"},
        {"error.status", "null"},
        {"error", "{\"attempt\":2,\"exit\":7,\"reason\":\"exit 7\"}"},
        {"select(2, pcall(error, 'x', 0))", "\"x\""},
        {"select(2, pcall(function() error('x') end))", "\"d.yaml:12: x\""},
    };
    (void)state;
    f.scope.item = (struct mr__blob){"{\"name\":\"web\"}", 14};
    f.scope.item_name = "host";
    assert_rows(&items[0], 1, MR_OK);
    f.scope.item_name = "filter"; /* the item comes before what has its name */
    assert_rows(&items[1], 1, MR_OK);
    assert_int_equal(fixture_eval(&f, items[2].script), MR_EINVAL);
    f.scope.item = (struct mr__blob){"null", 4};
    assert_int_equal(fixture_eval(&f, "filter == nil"), MR_OK);
    assert_string_equal(mr__buf_cstr(&f.text), "true");
    f.scope.item_name = NULL;

    f.scope.has_error = true;
    f.scope.error_reason = (struct mr__blob){"exit 7", 6};
    f.scope.error_attempt = 2;
    f.scope.error_detail = (struct mr__blob){"{\"exit\":7}", 10};
    assert_rows(errors, MR__COUNT(errors), MR_OK);
    f.scope.error_detail = (struct mr__blob){NULL, 0};
    assert_rows(&errors[0], 2, MR_OK);
    assert_int_equal(fixture_eval(&f, "(function() error.reason = 1 end)()"), MR_EINVAL);
}

static void eval__a_check_says_which_line(void **state)
{
    static const struct {
        const char *script;
        int kind;
        unsigned line;
        const char *message;
    } rows[] = {
        {"1 +\n\n+", MR__SCRIPT_EXPRESSION, 14, "14: unexpected symbol near '+'"},
        {"1) --", MR__SCRIPT_EXPRESSION, 12, "12: <eof> expected near ')'"},
        {"1), (2", MR__SCRIPT_EXPRESSION, 12, "12: <eof> expected near ')'"},
        {"", MR__SCRIPT_EXPRESSION, 12, "12: one expression is expected here, not none or several"},
        {"local x =\nif", MR__SCRIPT_CHUNK, 13, "13: unexpected symbol near 'if'"},
        {"for", MR__SCRIPT_CHUNK, 12, "12: <name> expected near <eof>"},
        {"local _ENV = {}", MR__SCRIPT_CHUNK, 12, "12: a script may not name _ENV"},
    };
    (void)state;
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        uint32_t line = 0;
        mr_error error = {0};
        fixture_script(&f, (enum mr__script_kind)rows[i].kind, rows[i].script,
                       strlen(rows[i].script));
        assert_int_equal(mr__lua_compile_check(f.lua, &f.script, &line, &error), MR_EINVAL);
        assert_string_equal(error.message, rows[i].message);
        assert_int_equal(line, rows[i].line);
    }
    fixture_script(&f, MR__SCRIPT_CHUNK, "return undeclared", 17);
    assert_int_equal(mr__lua_compile_check(f.lua, &f.script, NULL, NULL), MR_OK);
}

static void eval__long_file_names_and_lines_are_whole(void **state)
{
    (void)state;
    f.dag.file = "a/folder/with/a/name/that/is/longer/than/what/lua/keeps/of/a/name/d.yaml";
    fixture_script(&f, MR__SCRIPT_EXPRESSION, "\n1 + {}", 7);
    f.script.pos.line = 4000000;
    mr_value value;
    assert_int_equal(mr__lua_eval(f.lua, &f.scope, 0, &f.budget, &f.arena, &value, &f.error),
                     MR_EINVAL);
    assert_string_equal(f.error.message,
                        "a/folder/with/a/name/that/is/longer/than/what/lua/keeps/of/a/name/d.yaml:"
                        "4000001: attempt to perform arithmetic on a table value");
    /* What a script catches has the place too, and passes it on as it is. */
    assert_int_equal(fixture_eval(&f, "select(2, pcall(function() local x = nil + 1 end))"), MR_OK);
    assert_memory_equal(mr__buf_cstr(&f.text), "\"a/folder", 9);
    f.dag.file = NULL; /* standard input has no name */
    assert_int_equal(fixture_eval(&f, "nil + 1"), MR_EINVAL);
    assert_string_equal(mr__buf_cstr(&f.text),
                        "?:12: attempt to perform arithmetic on a nil value");
}

static void eval__versions_are_told_apart_by_their_bytes(void **state)
{
    (void)state;
    mr_value value;
    char text[] = "1";
    fixture_script(&f, MR__SCRIPT_EXPRESSION, text, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mr__lua_eval(f.lua, &f.scope, 0, &f.budget, &f.arena, &value, NULL),
                         MR_OK);
        assert_int_equal(value.u.i, 1);
        text[0] = '2'; /* the same version: it is not read again */
    }
    f.dag.version[15]++;
    assert_int_equal(mr__lua_eval(f.lua, &f.scope, 0, &f.budget, &f.arena, &value, NULL), MR_OK);
    assert_int_equal(value.u.i, 2);
}

/* What a call has parsed is kept under its name: that of a variable is no key of the share data,
 * nor "run" or "item" one of either. */
static void eval__what_was_parsed_is_told_apart(void **state)
{
    (void)state;
    f.vars = fixture_json(&f, "{\"run\":[1],\"item\":[2]}");
    f.share = fixture_json(&f, "{\"run\":[3],\"item\":[4],\"1\":[5]}");
    f.scope.item_name = "it";
    f.scope.item = (struct mr__blob){"[6]", 3};
    for (int i = 0; i < 2; i++) { /* and nothing is left from the call before */
        assert_int_equal(
            fixture_eval(&f, "(function() local all = {} for i = 1, 2 do"
                             " all[i] = {vars.run[1], share.run[1], run.id, vars.item[1],"
                             " share.item[1], it[1], share['1'][1], tasks.fetch.output.pages[1]}"
                             " end return all end)()"),
            MR_OK);
        assert_string_equal(mr__buf_cstr(&f.text),
                            i == 0 ? "[[1,3,\"r1\",2,4,6,5,1],[1,3,\"r1\",2,4,6,5,1]]"
                                   : "[[1,3,\"r1\",2,4,8,5,7],[1,3,\"r1\",2,4,8,5,7]]");
        f.scope.item = (struct mr__blob){"[8]", 3};
        f.outputs[0] = "{\"pages\":[7]}";
    }
}

/* Neighbours must not make good of each other what is no expression by itself. */
static void eval__what_is_checked_together_compiles_alone(void **state)
{
    static const char *const texts[] = {
        "1",      "vars.n == 4", "a b",  "1)",      "(1",    "(",    "'x",   "'",        "\"",
        "--",     "-- '",        "--[[", "[[",      "]]",    "--]]", "[=[",  "]=]",      "a[1]",
        "a[[x]]", "{",           "}",    "{1}",     "{1",    "1}",   "'a\\", "'a\\z",    "1,2",
        "...",    "a=1",         "_",    "_=",      ";",     "1;2",  "end",  "function", "return 1",
        "goto x", "::x::",       " ",    "\n",      "not",   "-",    "a.",   "a:",       "a:b",
        "'%d'",   "1 -- ok",     "nil",  "1) _=(2", "a and", "or b"};
    (void)state;
    struct mr__script scripts[MR__COUNT(texts)];
    bool good[MR__COUNT(texts)];
    unsigned joined = 0;
    for (size_t i = 0; i < MR__COUNT(texts); i++) {
        uint32_t line;
        mr_error error;
        scripts[i] = (struct mr__script){.text = texts[i],
                                         .len = strlen(texts[i]),
                                         .pos = {.line = 1, .column = 1},
                                         .kind = MR__SCRIPT_EXPRESSION};
        good[i] = mr__lua_compile_check(f.lua, &scripts[i], &line, &error) == MR_OK;
    }
    for (size_t i = 0; i < MR__COUNT(texts); i++) {
        for (size_t k = 0; k < MR__COUNT(texts); k++) {
            const struct mr__script *both[] = {&scripts[i], &scripts[k]};
            if (!mr__lua_compile_joins(both[0]) || !mr__lua_compile_joins(both[1])) {
                continue;
            }
            if (mr__lua_compile_check_all(f.lua, both, 2) != (good[i] && good[k])) {
                fail_msg("%s and %s", texts[i], texts[k]);
            }
            joined++;
        }
    }
    assert_true(joined > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(eval__sees_its_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__errors_name_the_line_of_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__has_its_item_and_its_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__a_check_says_which_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__long_file_names_and_lines_are_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(eval__versions_are_told_apart_by_their_bytes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(eval__what_was_parsed_is_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__what_is_checked_together_compiles_alone, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("lua_eval", tests, NULL, NULL);
}
