/* SPDX-License-Identifier: MIT
 *
 * Goal: values go into Lua and out again unchanged, in key order; what is no JSON is refused with
 * its path; running out of memory at any point is an error, never more. Method: tables of scripts;
 * the library's table against the state; the state's n-th allocation fails, for every n.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/annotations.h"
#include "lua/api.h"
#include "lua/lua_impl.h"
#include "lua_fixture.h"

#include <cmocka.h> /* last: its macros take plain words */

#include "lua_rows.h"

static void values__go_out_as_json(void **state)
{
    static const struct row rows[] = {
        {"9223372036854775807", "9223372036854775807"},
        {"math.mininteger", "-9223372036854775808"},
        {"0.1", "0.1"},
        {"3.0", "3.0"},
        {"nil", "null"},
        {"null", "null"},
        {"{}", "[]"},
        {"{1, 'b', {true}}", "[1,\"b\",[true]]"},
        {"{1, null, null}", "[1,null,null]"},
        {"{null}", "[null]"},
        {"{b = 1, a = null, ['\\u{e9}'] = 2, B = 3}",
         "{\"B\":3,\"a\":null,\"b\":1,\"\xc3\xa9\":2}"},
        {"{a = {b = {}}}", "{\"a\":{\"b\":[]}}"},
        {"tasks.fetch.output.empty", "{}"},
        {"{tasks.fetch.output.empty}", "[{}]"},
        {"json.decode('{}')", "{}"},
        {"json.decode('[]')", "[]"},
        {"(function() local t = json.decode('{}') t[1] = 2 return t end)()", "[2]"},
        {"setmetatable(json.decode('{}'), {})", "[]"},
        {"json.decode('null')", "null"},
        {"json.decode(' {\"a\":[1,2.5,-0,1e3,\"\\\\u00e9\\\\ud83d\\\\ude00\\\\n\",true,null]} ')",
         "{\"a\":[1,2.5,0,1000.0,\"\xc3\xa9\xf0\x9f\x98\x80\\n\",true,null]}"},
        {"json.decode('9223372036854775808')", "9.223372036854776e+18"},
        {"json.encode{b = 1, a = {}}", "\"{\\\"a\\\":[],\\\"b\\\":1}\""},
        {"json.encode(json.decode('[{}]'))", "\"[{}]\""},
        {"json.encode(nil)", "\"null\""},
        {"tostring(null) .. ' ' .. type(null) .. ' ' .. type(vars) .. ' ' .. tostring({}) .. ' ' "
         ".. "
         "tostring(type)",
         "\"null null table table function\""},
        {"string.format('%s %s %d %5.2f %q', {}, null, 3, 1.5, 'x')",
         "\"table null 3  1.50 \\\"x\\\"\""},
        {"string.format('%5s|%-5s|%%', 'a', {})", "\"    a|table|%\""},
        {"date('%F %T %Y-%m-%d %H:%M:%S %j %u %a %b %%', 1700000000999)",
         "\"2023-11-14 22:13:20 2023-11-14 22:13:20 318 2 Tue Nov %\""},
        {"date('%F %j %u', -1)", "\"1969-12-31 365 3\""},
        {"date('%F %j', 951782400000)", "\"2000-02-29 060\""},
        {"date('%F %j', 4107542400000)", "\"2100-03-01 060\""},
        {"contains({1, 'a'}, 'a')", "true"},
        {"contains({1, 'a'}, 'b')", "false"},
        {"map({1, 2}, function(x, i) return x * 10 + i end)", "[11,22]"},
        {"map({1, 2}, function() end)", "[null,null]"},
        {"keys{b = 1, a = 2, 10}", "[1,\"a\",\"b\"]"},
        {"math.type(vars.n) .. #vars.list", "\"integer3\""},
        {"('x'):rep(3, ',') .. ('%d'):format(3)", "\"x,x,x3\""},
        {"'10' + 1", "11"},
    };
    (void)state;
    assert_rows(rows, MR__COUNT(rows), MR_OK);
}

static void values__that_are_no_json_are_named(void **state)
{
    static const struct row rows[] = {
        {"{a = {1, 2, type}}", "d.yaml:12: the result.a[3] is a function"},
        {"type", "d.yaml:12: the result is a function"},
        {"{['x y'] = {[1] = type}}", "d.yaml:12: the result[\"x y\"][1] is a function"},
        {"{1, a = 2}", "d.yaml:12: the result has both numbers and texts as keys"},
        {"{[true] = 2}", "d.yaml:12: the result has a key that is no text"},
        {"{[1.5] = 2}", "d.yaml:12: the result has a number as key that no list has"},
        {"{1, nil, 3}", "d.yaml:12: the result is a list with holes: put null where nothing is"},
        {"{a = 0/0}", "d.yaml:12: the result.a is a number that is not finite"},
        {"1/0", "d.yaml:12: the result is a number that is not finite"},
        {"'\\xff'", "d.yaml:12: the result is text that is not UTF-8"},
        {"{'\\0'}", "d.yaml:12: the result[1] is text with a NUL"},
        {"{['\\xff'] = 1}", "d.yaml:12: the result[\"?\"] is text that is not UTF-8"},
        {"string", "d.yaml:12: the result is a part of the library"},
        {"(function() local t = {} t.a = {t} return t end)()",
         "d.yaml:12: the result.a[1] holds itself: a cycle"},
        {"(function() local t = {} for i = 1, 70 do t = {t} end return t end)()", NULL},
        {"json.encode(('x'):rep(4300000))", NULL},
        {"json.decode('[1,]')", "d.yaml:12: the text is not JSON: line 1: expected a value"},
        {"json.decode('{\"a\":1,\"a\":2}')",
         "d.yaml:12: the text is not JSON: line 1: a key stands there twice"},
        {"json.decode('[\\n01]')", "d.yaml:12: the text is not JSON: line 2: not a number"},
        {"json.decode('1 2')", "d.yaml:12: the text is not JSON: line 1: text after the value"},
        {"json.decode('\"\\\\ud800\"')",
         "d.yaml:12: the text is not JSON: line 1: a lone surrogate"},
        {"json.decode('1e999')",
         "d.yaml:12: the text is not JSON: line 1: a number that is too large"},
        {"json.decode(('['):rep(100))",
         "d.yaml:12: the text is not JSON: line 1: nested too deeply"},
        {"json.decode('')", "d.yaml:12: the text is not JSON: line 1: expected a value"},
        {"json.decode('\"\\xff\"')", "d.yaml:12: the text is not JSON: it is not UTF-8"},
        {"date('%c', 1)", "d.yaml:12: bad argument #1 to 'date': it knows %Y %m %d %H %M %S %F %T "
                          "%j %u %a %b %%"},
        {"date('%', 1)", NULL},
        {"string.format('%p', {})",
         "d.yaml:12: invalid conversion '%p' to 'format': addresses are not shown"},
    };
    (void)state;
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        if (rows[i].expected != NULL) {
            assert_rows(&rows[i], 1, MR_EINVAL);
        } else {
            assert_int_equal(fixture_eval(&f, rows[i].script), MR_EINVAL);
        }
    }
}

static void values__pairs_goes_in_key_order(void **state)
{
#define JOINED(list)                                   \
    "(function() local s = '' for k, v in pairs(" list \
    ") do s = s .. tostring(k) .. '=' .. tostring(v) .. ' ' end return s end)()"
    static const struct row rows[] = {
        {JOINED("{3, 2, 1}"), "\"1=3 2=2 3=1 \""},
        {JOINED("{c = 1, a = 2, b = 3, [10] = 4, [2] = 5, [-1] = 6, [1.5] = 7}"),
         "\"-1=6 1.5=7 2=5 10=4 a=2 b=3 c=1 \""},
        {JOINED("vars"), "\"list=table n=3 stage=prod \""},
        {JOINED("run"), "\"createdAt=1500 dag=d folder=/tmp id=r1 reason= startedAt=2500 "
                        "status=running trigger=manually \""},
        {JOINED("share"), "\"hosts=table n=4 \""},
        {JOINED("tasks"), "\"build=table fetch=table \""},
        {JOINED("json"), "\"decode=function encode=function \""},
        {JOINED("setmetatable({}, {__pairs = function() return next, {7} end})"), "\"1=7 \""},
        {"(function() local t = {b = 1, a = 2} local k = next(t) return k .. next(t, k) end)()",
         "\"ab\""},
        {"next({}) == nil", "true"},
        {"(function() local t, n = {a = 1, b = 2, c = 3}, 0 for k in pairs(t) do t.b = nil n = n + "
         "1 end return n end)()",
         "2"},
        {"(function() local t, n = {1, 2, 3}, 0 for k in pairs(t) do t[2] = nil n = n + 1 end "
         "return n end)()",
         "2"},
        {"(function() local s = 0 for i, x in ipairs(vars.list) do s = s + i end return s end)()",
         "6"},
        {"select('#', table.unpack({1, 2, nil, 4}, 1, 4))", "4"},
        {"table.concat({1, 'b', 2.5}, '-')", "\"1-b-2.5\""},
        {"(function() local t = {5, 3, 9, 1, 7, 3} table.sort(t) return table.concat(t) end)()",
         "\"133579\""},
        {"(function() local t = {'b', 'a', 'C'} table.sort(t, function(x, y) return x:lower() < "
         "y:lower() end) return table.concat(t) end)()",
         "\"abC\""},
        {"(function() local t = {1, 2, 3} table.insert(t, 1, 0) table.insert(t, 9) "
         "return table.concat(t, ',') .. table.remove(t) .. table.remove(t, 1) .. #t end)()",
         "\"0,1,2,3,9903\""},
        {"table.concat(table.move({1, 2, 3, 4}, 1, 3, 2), ',')", "\"1,1,2,3\""},
        {"table.concat(table.move({1, 2, 3, 4}, 2, 4, 1), ',')", "\"2,3,4,4\""},
        {"table.concat(table.move({1, 2}, 1, 2, 2, {9}), ',')", "\"9,1,2\""},
        {"table.pack(1, nil, 3).n", "3"},
    };
    static const struct row bad[] = {
        {JOINED("{[true] = 1}"), "d.yaml:12: pairs: a key that is a boolean has no order"},
        {JOINED("null"), "d.yaml:12: bad argument #1 to 'pairs' (table expected, got null)"},
        {JOINED("nil"), "d.yaml:12: bad argument #1 to 'pairs' (table expected, got nil)"},
    };
    (void)state;
    assert_rows(rows, MR__COUNT(rows), MR_OK);
    assert_rows(bad, MR__COUNT(bad), MR_EINVAL);
}

/* ---- the table of names ---------------------------------------------------------------------- */

#define PURE   KEPT_GLOBALS
#define ACTING KEPT_ACTING
#define VALUE  NULL
static const struct {
    int kept;
    const char *name, *params;
} names[] = {
#define NAME(tier, name, params, result, help) {tier, name, params},
    LUA_NAMES(NAME)
#undef NAME
};

static bool is_listed(int kept, const char *name, bool function)
{
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        if (strcmp(names[i].name, name) == 0 && (names[i].params != NULL) == function &&
            (names[i].kept == kept || kept == KEPT_ACTING)) {
            return true;
        }
    }
    return false;
}

/* The table on top holds names that begin with `prefix`. */
static size_t count_listed(lua_State *L, int kept, const char *prefix)
{
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s%s", prefix, lua_tostring(L, -2));
        if (lua_isuserdata(L, -1) && strcmp(name, "null") != 0) {
            (void)snprintf(name, sizeof name, "%s.", lua_tostring(L, -2));
            lua_getiuservalue(L, -1, 1);
            count += count_listed(L, kept, name);
            lua_pop(L, 1);
        } else {
            if (!is_listed(kept, name, lua_isfunction(L, -1))) {
                fail_msg("%s is in the state and not in the table", name);
            }
            count++;
        }
        lua_pop(L, 1);
    }
    return count;
}

static void values__each_name_stands_in_the_table_and_in_the_state(void **state)
{
    (void)state;
    size_t pure = 0;
    struct mr__buf out;
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        pure += names[i].kept == KEPT_GLOBALS;
    }
    lua_State *L = f.lua->L;
    lua_push_kept(L, KEPT_GLOBALS);
    assert_int_equal(count_listed(L, KEPT_GLOBALS, ""), pure);
    lua_push_kept(L, KEPT_ACTING);
    /* The acting tier's math has all of math. */
    size_t math = 0;
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        math += names[i].kept == KEPT_GLOBALS && strncmp(names[i].name, "math.", 5) == 0;
    }
    assert_int_equal(count_listed(L, KEPT_ACTING, ""), MR__COUNT(names) - pure + math);
    lua_settop(L, 0);

    mr__buf_init(&out);
    mr__lua_annotations(&out);
    const char *text = mr__buf_cstr(&out);
    assert_memory_equal(text, "---@meta\n", 9);
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        assert_non_null(strstr(text, names[i].name));
    }
    assert_non_null(strstr(text, "function filter(list, f) end\n"));
    assert_non_null(strstr(text, "string = {}\n"));
    /* It is Lua itself. */
    fixture_script(&f, MR__SCRIPT_CHUNK, text, out.len);
    uint32_t line;
    assert_int_equal(mr__lua_compile_check(f.lua, &f.script, &line, &f.error), MR_OK);
    mr__buf_finish(&out);
}

/* ---- out of memory --------------------------------------------------------------------------- */

static void values__each_allocation_may_fail(void **state)
{
    static const char script[] =
        "json.decode(json.encode({a = {1, 'x' .. vars.n, null}, b = ('y'):rep(2000)})).a[2] == "
        "'x3' and #table.concat(map(share.hosts, function(h) return h.name:gsub('a', '%0%0') end), "
        "'-') == 4 and pcall(error) == false and tasks.fetch.output.pages[2]";
    (void)state;
    unsigned failed = 0;
    for (uint64_t n = 1;; n++) {
        f.lua->fail_after = n;
        mr_status status = fixture_eval(&f, script);
        bool reached = f.lua->fail_after == 1;
        f.lua->fail_after = 0;
        if (status == MR_OK) { /* Lua does without some, such as a larger table of all texts */
            assert_string_equal(mr__buf_cstr(&f.text), "2");
        }
        if (!reached) {
            assert_int_equal(status, MR_OK);
            break;
        }
        failed += status == MR_ENOMEM;
        assert_true(status == MR_OK || status == MR_ENOMEM);
        assert_int_equal(fixture_eval(&f, "1+1"), MR_OK);
        assert_string_equal(mr__buf_cstr(&f.text), "2");
    }
    assert_true(failed > 20);
    assert_int_equal(fixture_eval(&f, script), MR_OK);
    assert_string_equal(mr__buf_cstr(&f.text), "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values__go_out_as_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values__that_are_no_json_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values__pairs_goes_in_key_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values__each_name_stands_in_the_table_and_in_the_state,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(values__each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lua_values", tests, NULL, NULL);
}
