/* SPDX-License-Identifier: MIT
 *
 * Goal: a piece of Lua gives exactly the names that it does not declare itself, and the variables
 * and tasks that it names. Method: a table of texts with the names found in each: `name` (free),
 * `v:NAME` (of vars), `t:ID` (of tasks), `t:*` (tasks in another use).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/model/lua_names.h"

#include <cmocka.h> /* last: its macros take plain words */

static const struct {
    const char *lua, *names;
} cases[] = {
    {"", ""},
    {"a", "a"},
    {"a + b * 2", "a b"},
    {"vars.stage == 'prod'", "v:stage"},
    {"vars['my-var'] .. vars[\"x y\"]", "v:my-var v:x y"},
    {"vars", "vars"},
    {"vars[name]", "vars name"},
    {"vars['a' .. b]", "vars b"},
    {"vars['a\\n']", "vars"},
    {"vars . stage", "v:stage"},
    {"vars --[[ c ]] . --x\nstage", "v:stage"},
    {"tasks.build.output.n", "t:build"},
    {"tasks['fetch-data'].status", "t:fetch-data"},
    {"tasks[[[a]]]", "t:*"},
    {"tasks[id]", "t:* id"},
    {"pairs(tasks)", "pairs t:*"},
    {"tasks.a.output + tasks.b.output", "t:a t:b"},
    {"x.vars.stage", "x"},
    {"x:tasks()", "x"},
    {"share.links", "share"},
    {"1..x", ""}, /* no Lua: the dots are of the number */
    {"1 ..x", "x"},
    {"0x1p-3 + 3e+5 + .5 - a", "a"},
    {"a...b", "a b"},
    {"'a \\' b' .. \"c \\\" d\" .. [[ e ]] .. [==[ f ]] g ]==] .. h", "h"},
    {"'open\nx", "x"},
    {"'goes \\\non' .. x", "x"},
    {"[[ never closed x", ""},
    {"-- a\nb --[[ c\nd ]] e --[==[ f ]] g ]==] h -- i", "b e h"},
    {"{a = 1, b = c, [d] = e; f = 2}", "c d e"},
    {"{a, b}", "a b"},
    {"{a == b}", "a b"},
    {"f{a = g{b = 1}, c}", "f g c"},
    {"{x, function() y = 1 end}", "x y"},
    {"({a})[b]", "a b"},
    {"local a, b = 1, c; return a + b + d", "c d"},
    {"local a <const>, b <close> = x; return a, b", "x"},
    {"local function f(n) return n == 0 and 1 or f(n - 1) end return f(3)", ""},
    {"function g(a, b, ...) return a, b, h end", "h"},
    {"function t.u:v(a) self.x = a end", "t"},
    {"filter(l, function(h) return h.zone == vars.zone end)", "filter l v:zone"},
    {"for i = 1, n do print(i) end", "n print"},
    {"for k, v in pairs(t) do s = k .. v end", "pairs t s"},
    {"goto done; ::done:: a = 1", "a"},
    {"not a and nil or true ~= false", "a"},
    {"local tasks = tasks; return tasks.a", "t:* t:* t:*"},
    {"local vars = {} return vars.x", ""},
    {"a ~= b // c << d >> e <= f >= g", "a b c d e f g"},
    {"\xc3\xa4 + a", "a"},
    {"a.b.c['d'].e:f(g).h", "a g"},
    {"if a then b() elseif c then d() else e() end", "a b c d e"},
};

static void names__are_what_the_text_reads(void **state)
{
    size_t faults = 0;
    struct mr__lua_names names;
    mr__lua_names_init(&names);
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__buf found;
        mr__buf_init(&found);
        assert_int_equal(mr__lua_names_read(&names, cases[i].lua, strlen(cases[i].lua)), MR_OK);
        for (size_t j = 0; j < names.count; j++) {
            const struct mr__lua_name *name = &names.list[j];
            mr__buf_text(&found, j == 0 ? "" : " ");
            mr__buf_text(&found, name->kind == MR__LUA_VAR    ? "v:"
                                 : name->kind == MR__LUA_FREE ? ""
                                                              : "t:");
            if (name->kind == MR__LUA_TASKS) {
                mr__buf_text(&found, "*");
            } else {
                mr__buf_bytes(&found, name->text, name->len);
            }
        }
        if (strcmp(mr__buf_cstr(&found), cases[i].names) != 0) {
            print_message("%s: %s, expected %s\n", cases[i].lua, mr__buf_cstr(&found),
                          cases[i].names);
            faults++;
        }
        mr__buf_finish(&found);
    }
    mr__lua_names_finish(&names);
    assert_int_equal(faults, 0);
}

static void names__read_no_byte_beyond_the_text(void **state)
{
    struct mr__lua_names names;
    mr__lua_names_init(&names);
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        for (size_t len = 0; len <= strlen(cases[i].lua); len++) {
            char *cut = test_malloc(len + 1); /* the sanitizer guards its end */
            memcpy(cut, cases[i].lua, len);
            assert_int_equal(mr__lua_names_read(&names, cut, len), MR_OK);
            for (size_t j = 0; j < names.count; j++) {
                assert_true(names.list[j].text >= cut &&
                            names.list[j].text + names.list[j].len <= cut + len);
            }
            test_free(cut);
        }
    }
    mr__lua_names_finish(&names);
}

static void names__of_a_large_text_are_read_in_linear_time(void **state)
{
    static const char *const parts[] = {
        "local abc = d; ", "{x = [[ ", "((((((a.b ", "--[==[ ", "]==", "[==", "tasks['a'] "};
    struct mr__clock *clock = mr__clock_system();
    int64_t begin = clock->monotonic_ms(clock);
    for (size_t i = 0; i < MR__COUNT(parts); i++) {
        struct mr__buf text;
        struct mr__lua_names names;
        mr__buf_init(&text);
        mr__lua_names_init(&names);
        while (text.len < MR__SCRIPT_BYTES_MAX) {
            mr__buf_text(&text, parts[i]);
        }
        assert_int_equal(mr__lua_names_read(&names, (const char *)text.data, text.len), MR_OK);
        mr__lua_names_finish(&names);
        mr__buf_finish(&text);
    }
    assert_true(clock->monotonic_ms(clock) - begin < 5000);
}

static void names__tell_keywords_and_globals(void **state)
{
    assert_true(mr__lua_is_name("host_1", 6));
    assert_true(mr__lua_is_name("_", 1));
    assert_false(mr__lua_is_name("", 0));
    assert_false(mr__lua_is_name("1a", 2));
    assert_false(mr__lua_is_name("a-b", 3));
    assert_false(mr__lua_is_name("end", 3));
    assert_true(mr__lua_is_keyword("goto", 4));
    assert_false(mr__lua_is_keyword("got", 3));
    assert_true(mr__lua_global_find("vars", 4)->is_data);
    assert_false(mr__lua_global_find("pairs", 5)->acts);
    assert_true(mr__lua_global_find("sleep", 5)->acts);
    assert_null(mr__lua_global_find("pair", 4));
    assert_null(mr__lua_global_find("os", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names__are_what_the_text_reads),
        cmocka_unit_test(names__read_no_byte_beyond_the_text),
        cmocka_unit_test(names__of_a_large_text_are_read_in_linear_time),
        cmocka_unit_test(names__tell_keywords_and_globals),
    };
    return cmocka_run_group_tests_name("lua_names", tests, NULL, NULL);
}
