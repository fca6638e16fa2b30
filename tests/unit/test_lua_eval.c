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

static struct lua_fixture f;

struct row {
    const char *script, *expected;
};

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_finish(&f);
    return 0;
}

static void assert_rows(const struct row *rows, size_t count, mr_status expected)
{
    for (size_t i = 0; i < count; i++) {
        mr_status status = fixture_eval(&f, rows[i].script);
        const char *text = mr__buf_cstr(&f.text);
        if (status != expected || strcmp(text, rows[i].expected) != 0) {
            fail_msg("%s\n  gives %d %s\n  not     %d %s", rows[i].script, status, text, expected,
                     rows[i].expected);
        }
    }
}

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
        {"vars.stag", "d.yaml:12: no variable \"stag\" is declared, did you mean \"stage\"?"},
        {"vars.something", "d.yaml:12: no variable \"something\" is declared"},
        {"tasks.fetsh.output", "d.yaml:12: no task \"fetsh\", did you mean \"fetch\"?"},
        {"stage", "d.yaml:12: unknown name \"stage\", did you mean \"vars.stage\"?"},
        {"flter({})", "d.yaml:12: unknown name \"flter\", did you mean \"filter\"?"},
        {"print(1)", "d.yaml:12: unknown name \"print\""},
        {"run.idd", "d.yaml:12: run has no field \"idd\", did you mean \"id\"?"},
        {"(function() vars.x = 1 end)()", "d.yaml:12: vars is read-only"},
        {"(function() share.x = 1 end)()",
         "d.yaml:12: share is read-only here: only lua: tasks and hooks set it"},
        {"(function() x = 1 end)()", "d.yaml:12: the global \"x\" is assigned to: write local"},
        {"(function() string.x = 1 end)()", "d.yaml:12: the library is read-only"},
        {"error('boom')", "d.yaml:12: boom"},
        {"error({})", "d.yaml:12: error() was called with a table"},
        {"vars.x ==", "d.yaml:13: unexpected symbol near <eof>"},
        {"1, 2", "d.yaml:12: ')' expected near ','"},
        {"null.x", "d.yaml:12: attempt to index a null value"},
        {"string.flor(1)", "d.yaml:12: the library has no function \"flor\""},
    };
    (void)state;
    assert_rows(rows, MR__COUNT(rows), MR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(eval__sees_its_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eval__errors_name_the_line_of_the_file, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lua_eval", tests, NULL, NULL);
}
