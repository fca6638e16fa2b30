/* SPDX-License-Identifier: MIT
 *
 * Goal: no script holds up its thread, takes more memory than its budget, sees an address or
 * reaches what it should not; and afterwards the same state is of use. Method: a table of scripts
 * that try. Each is stopped, or ends by itself, within 100 ms (times MILLRACE_TEST_SLACK, for
 * sanitizers and busy machines) and within the memory of its budget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lua/lua_impl.h"
#include "lua_fixture.h"

#include <cmocka.h> /* last: its macros take plain words */

#define WALL_MS 100

static struct lua_fixture f;

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

static int64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLACK 10
#else
#define SLACK 1
#endif

static int64_t slack(void)
{
    const char *text = getenv("MILLRACE_TEST_SLACK");
    return text == NULL ? SLACK : strtoll(text, NULL, 10);
}

struct probe {
    const char *name;
    mr_status expected; /* MR_PENDING: whatever it gives */
    const char *result; /* NULL: any */
    const char *body;   /* of a function */
};

static const struct probe probes[] = {
    /* research/reliability.md, section 5, and design.md, "Lua" */
    {"busy loop", MR_ELIMIT, NULL, "while true do end"},
    {"table flood", MR_ELIMIT, NULL, "local t = {} while true do t[#t + 1] = {} end"},
    {"rep of 1e9", MR_EINVAL, NULL, "return ('x'):rep(1000000000)"},
    {"find backtracking", MR_ELIMIT, NULL, "return string.find(('a'):rep(20000), '.-.-.-.-b')"},
    {"pcall swallows the hook's error", MR_ELIMIT, NULL,
     "while true do pcall(function() while true do end end) end"},
    {"__gc finalizer loop", MR_EINVAL, NULL,
     "setmetatable({}, {__gc = function() while true do end end})"},
    {"__gc added later", MR_OK, "1",
     "local m = {} setmetatable({}, m) m.__gc = function() while true do end end return 1"},
    {"load of a dump", MR_EINVAL, NULL, "return load(string.dump(function() end))"},
    {"string metatable is rewritten", MR_EINVAL, NULL,
     "getmetatable('').__index = function() return 1 end"},
    {"string metatable is shown", MR_OK, "null", "return getmetatable('')"},
    {"table.move over a proxy with __index = type", MR_PENDING, NULL,
     "local p = setmetatable({}, {__index = type, __newindex = type}) "
     "return #table.move(p, 1, math.maxinteger - 1, 2)"},
    {"table.insert with a lying __len", MR_OK, "1",
     "local p = setmetatable({}, {__len = function() return math.maxinteger - 1 end}) "
     "table.insert(p, 1, 'x') return rawlen(p)"},
    /* time in C */
    {"find of stars", MR_ELIMIT, NULL, "return ('a'):rep(100000):find('a*a*a*a*a*b')"},
    {"find in a loop that pcall guards", MR_ELIMIT, NULL,
     "while true do pcall(string.find, ('a'):rep(20000), '.-.-.-b') end"},
    {"match of nothing, long", MR_ELIMIT, NULL, "return ('a'):rep(4000000):match('[^a]-b')"},
    {"gmatch that finds nothing", MR_ELIMIT, NULL,
     "for a in ('a'):rep(1000000):gmatch('.-.-b') do end"},
    {"balance", MR_ELIMIT, NULL, "return ('('):rep(1000000):find('%b()')"},
    {"back references", MR_ELIMIT, NULL, "return ('a'):rep(100000):find('(.-)%1%1b')"},
    {"frontier over long sets", MR_ELIMIT, NULL,
     "return ('a'):rep(100000):find('%f[' .. ('b'):rep(5000) .. ']')"},
    {"a deep pattern", MR_EINVAL, NULL, "return ('a'):rep(300):find(('a?'):rep(300))"},
    {"gsub with a looping function", MR_ELIMIT, NULL,
     "return ('a'):rep(1000000):gsub('a', function() while true do end end)"},
    {"gsub with a C function", MR_ELIMIT, NULL,
     "return ('a'):rep(4000000):gsub('.', string.upper)"},
    {"gsub with a table of metamethods", MR_ELIMIT, NULL,
     "local t = setmetatable({}, {__index = function() while true do end end}) "
     "return ('a'):rep(100):gsub('.', t)"},
    {"gsub that grows", MR_PENDING, NULL, "return #('a'):rep(1000):gsub('.', ('b'):rep(100000))"},
    {"gsub in gsub", MR_EINVAL, NULL,
     "local function g(s) return (s:gsub('.', function(c) return g(s) end)) end return g('abc')"},
    {"rep in a loop", MR_ELIMIT, NULL, "while true do local s = ('x'):rep(4000000) end"},
    {"rep of nothing", MR_OK, "0", "return #(''):rep(1000000000)"},
    {"rep in pcall", MR_ELIMIT, NULL, "while true do pcall(string.rep, 'x', 1000000000) end"},
    {"doubling", MR_ELIMIT, NULL, "local s = 'x' while true do s = s .. s end"},
    {"doubling in pcall", MR_ELIMIT, NULL,
     "local s = 'x' while true do pcall(function() s = s .. s end) end"},
    {"concat in a loop", MR_ELIMIT, NULL,
     "local s = ('x'):rep(2000000) while true do local t = s .. 'y' end"},
    {"long comparisons", MR_ELIMIT, NULL,
     "local a, b = ('x'):rep(4000000) .. 'a', ('x'):rep(4000000) .. 'b' while true do local c = a "
     "== b end"},
    {"long orders", MR_ELIMIT, NULL,
     "local a, b = ('x'):rep(4000000) .. 'a', ('x'):rep(4000000) .. 'b' while true do local c = a "
     "< b end"},
    {"long orders of NULs", MR_ELIMIT, NULL,
     "local a = ('\\0'):rep(4000000) while true do local c = a < a end"},
    {"long texts as numbers", MR_ELIMIT, NULL,
     "local a = (' '):rep(4000000) .. '1' while true do local c = a + 1 end"},
    {"tonumber of long texts", MR_ELIMIT, NULL,
     "local a = ('1'):rep(4000000) while true do local c = tonumber(a, 10) end"},
    {"table.concat", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 100 do t[i] = ('x'):rep(40000) end while true do local s = "
     "table.concat(t) end"},
    {"table.concat to the greatest index", MR_EINVAL, NULL,
     "return table.concat({}, '', 1, math.maxinteger)"},
    {"utf8.len", MR_ELIMIT, NULL,
     "local s = ('x'):rep(4000000) while true do local n = utf8.len(s) end"},
    {"utf8.offset", MR_ELIMIT, NULL,
     "local s = ('x'):rep(4000000) while true do local n = utf8.offset(s, 3999999) end"},
    {"utf8.codes", MR_ELIMIT, NULL, "for p, c in utf8.codes(('x'):rep(4000000)) do end"},
    {"utf8.codepoint", MR_PENDING, NULL,
     "return select('#', utf8.codepoint(('x'):rep(4000000), 1, -1))"},
    {"string.byte", MR_PENDING, NULL, "return select('#', ('x'):rep(4000000):byte(1, -1))"},
    {"upper in a loop", MR_ELIMIT, NULL,
     "local s = ('x'):rep(4000000) while true do local t = s:upper() end"},
    {"string.pack", MR_PENDING, NULL, "return #string.pack('c1000000000', 'x')"},
    {"string.pack in a loop", MR_ELIMIT, NULL,
     "while true do pcall(string.pack, 'c4000000', 'x') end"},
    {"long formats", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 200 do t[i] = 1e308 end local s = ('%99.99f'):rep(200) "
     "while true do local x = s:format(table.unpack(t)) end"},
    {"a format of many", MR_PENDING, NULL,
     "local t = {} for i = 1, 90000 do t[i] = 1e308 end return "
     "#('%99.99f'):rep(90000):format(table.unpack(t))"},
    {"sort that lies", MR_PENDING, NULL,
     "local t = {} for i = 1, 10000 do t[i] = i % 7 end table.sort(t, function() return true end)"},
    {"sort that loops", MR_ELIMIT, NULL, "table.sort({1, 2, 3}, function() while true do end end)"},
    {"sort of many", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 200000 do t[i] = -i end table.sort(t) return #t"},
    {"sort of long texts", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 50 do t[i] = ('x'):rep(400000) .. -i end while true do table.sort(t) "
     "end"},
    {"table.insert at the front", MR_ELIMIT, NULL,
     "local t = {} while true do table.insert(t, 1, 0) end"},
    {"table.remove at the front", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 100000 do t[i] = i end while true do table.remove(t, 1) end"},
    {"table.unpack", MR_EINVAL, NULL, "return table.unpack({}, 1, 1e8)"},
    {"table.unpack of a million", MR_PENDING, NULL,
     "return select('#', table.unpack({}, 1, 900000))"},
    {"table.move of nothing", MR_ELIMIT, NULL, "table.move({}, 1, 1e15, 2)"},
    {"json.decode of depth", MR_EINVAL, NULL, "return json.decode(('['):rep(1000000))"},
    {"json.decode in a loop", MR_ELIMIT, NULL,
     "local s = '[' .. ('0,'):rep(1000000) .. '0]' while true do json.decode(s) end"},
    {"json.encode of a bush", MR_PENDING, NULL,
     "local t = {1, 2} for i = 1, 60 do t = {t, t} end return t"},
    {"json.encode in a loop", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 10000 do t[i] = 0.1 end while true do json.encode(t) end"},
    {"pairs over many", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 100000 do t['k' .. i] = i end while true do for k in pairs(t) do "
     "break end end"},
    {"next over many", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 20000 do t['k' .. i] = i end local k repeat k = next(t, k) until not "
     "k"},
    {"filter with a C function", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 100000 do t[i] = i end while true do filter(t, type) end"},
    {"contains of long texts", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 8 do t[i] = ('x'):rep(2000000) .. i end while true do contains(t, "
     "('x'):rep(2000000) .. 9) end"},
    /* recursion, metamethods, errors */
    {"deep recursion", MR_PENDING, NULL, "local function r() return 1 + r() end return r()"},
    {"deep recursion in pcall", MR_ELIMIT, NULL,
     "local function r() return 1 + r() end while true do pcall(r) end"},
    {"tail calls", MR_ELIMIT, NULL, "local function r() return r() end return r()"},
    {"recursion through pcall", MR_PENDING, NULL,
     "local function r() return pcall(r) end return (r())"},
    {"recursion through C", MR_PENDING, NULL,
     "local function r(s) return (s:gsub('.', r)) end return r('x')"},
    {"recursion through tostring", MR_EINVAL, NULL,
     "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return "
     "tostring(t)"},
    {"__index chain", MR_PENDING, NULL,
     "local t = {} for i = 1, 100 do t = setmetatable({}, {__index = t}) end while t.x == nil do "
     "end"},
    {"__index that is its own", MR_EINVAL, NULL,
     "local t = {} setmetatable(t, {__index = t}) t = setmetatable(t, {__index = t}) return t.x"},
    {"__concat recursion", MR_EINVAL, NULL,
     "local t t = setmetatable({}, {__concat = function(a, b) return t .. t end}) return t .. 1"},
    {"__eq recursion", MR_EINVAL, NULL,
     "local m = {} m.__eq = function(a, b) return setmetatable({}, m) == setmetatable({}, m) end "
     "return setmetatable({}, m) == setmetatable({}, m)"},
    {"__lt recursion", MR_EINVAL, NULL,
     "local m = {} m.__lt = function(a, b) return a < b end return setmetatable({}, m) < "
     "setmetatable({}, m)"},
    {"__close loop", MR_ELIMIT, NULL,
     "local m = {} local t = setmetatable({}, m) m.__close = function() while true do end end "
     "local x <close> = t while true do end"},
    {"__close in pcall in a loop", MR_ELIMIT, NULL,
     "local m = {} local t = setmetatable({}, m) m.__close = function() error('x') end "
     "while true do pcall(function() local x <close> = t end) end"},
    {"goto", MR_ELIMIT, NULL, "::a:: goto a"},
    {"a pcall loop", MR_ELIMIT, NULL, "while true do pcall(error, {}) end"},
    {"an error in the handler", MR_PENDING, NULL,
     "return xpcall(error, function() error('again') end, 'x')"},
    {"a handler that loops", MR_ELIMIT, NULL,
     "xpcall(function() error('x') end, function() while true do end end)"},
    {"a handler that loops once the budget is spent", MR_ELIMIT, NULL,
     "xpcall(function() while true do end end, function() while true do end end)"},
    {"nested handlers", MR_ELIMIT, NULL,
     "local function f() return xpcall(f, function(m) while true do end end) end f() while true do "
     "end"},
    {"a huge error", MR_PENDING, NULL, "error(('x'):rep(4000000))"},
    {"an error that is a table", MR_EINVAL, NULL,
     "error(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"a loop with a huge count", MR_ELIMIT, NULL, "for i = 1, math.maxinteger do end"},
    {"a float loop", MR_ELIMIT, NULL, "for i = 1, math.huge do end"},
    {"many items", MR_PENDING, NULL, "local t = {} for i = 1, 1e6 do t[i] = i end return #t"},
    {"many closures", MR_ELIMIT, NULL,
     "local t = {} for i = 1, 1e9 do t[i] = function() return i end end"},
    {"many texts", MR_ELIMIT, NULL, "local t = {} for i = 1, 1e9 do t[i] = i .. 'x' end"},
    {"varargs that grow", MR_PENDING, NULL,
     "local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end return f()"},
    {"memory near its end, garbage", MR_PENDING, NULL,
     "local t = {} for i = 1, 250000 do t[i] = {} end while true do local x = {} end"},
    {"memory errors in pcall", MR_ELIMIT, NULL,
     "local t = {} while true do pcall(function() while true do t[#t + 1] = {i = 1} end end) end"},
    {"# of share in a loop", MR_ELIMIT, NULL,
     "while true do local n = #share + #vars + #tasks end"},
    /* what is out of reach */
    {"os", MR_EINVAL, NULL, "return os"},
    {"io", MR_EINVAL, NULL, "return io"},
    {"debug", MR_EINVAL, NULL, "return debug"},
    {"require", MR_EINVAL, NULL, "return require('x')"},
    {"dofile", MR_EINVAL, NULL, "return dofile('/etc/passwd')"},
    {"coroutine", MR_EINVAL, NULL, "return coroutine"},
    {"collectgarbage", MR_EINVAL, NULL, "return collectgarbage('count')"},
    {"_G", MR_EINVAL, NULL, "return _G"},
    {"random", MR_EINVAL, NULL, "return math.random()"},
    {"rawset on the library", MR_EINVAL, NULL, "rawset(string, 'x', 1)"},
    {"setmetatable on the library", MR_EINVAL, NULL, "setmetatable(string, {})"},
    {"rawset on vars", MR_EINVAL, NULL, "rawset(vars, 'x', 1)"},
    {"__mode", MR_EINVAL, NULL, "setmetatable({}, {__mode = 'k'})"},
    {"metatable of a proxy", MR_OK, "null", "return getmetatable(vars)"},
    {"metatable of an empty map", MR_OK, "false", "return getmetatable(json.decode('{}'))"},
    {"the address of a table", MR_OK, "\"table\"", "return tostring({})"},
    {"the address of a function", MR_OK, "\"functionfunction\"",
     "return tostring(print_ or type) .. string.format('%s', function() end)"},
    {"an address in a message", MR_OK, "\"table\"",
     "return select(2, pcall(error, string.format('%s', {})))"},
    {"_ENV is set", MR_EINVAL, NULL, "_ENV = {} return 1"},
    {"_ENV is a constant", MR_EINVAL, NULL, "local _ENV <const> = 220 X = 1"},
};

static void assert_usable(const char *name)
{
    f.budget = mr__lua_budget_worker;
    if (fixture_eval(&f, "1+1") != MR_OK || strcmp(mr__buf_cstr(&f.text), "2") != 0) {
        fail_msg("%s: afterwards 1+1 gives %s", name, mr__buf_cstr(&f.text));
    }
    if (fixture_eval(&f, "('a'):upper() .. #vars.list .. string.rep('b', 2)") != MR_OK ||
        strcmp(mr__buf_cstr(&f.text), "\"A3bb\"") != 0) {
        fail_msg("%s: afterwards the library gives %s", name, mr__buf_cstr(&f.text));
    }
}

static void sandbox__probes_are_stopped(void **state)
{
    char script[1024];
    size_t idle = 0;
    (void)state;
    for (size_t i = 0; i < MR__COUNT(probes); i++) {
        const struct probe *p = &probes[i];
        (void)snprintf(script, sizeof script, "(function(...) local print_ %s end)()", p->body);
        int64_t before = cpu_us();
        size_t bytes_before = f.lua->bytes_peak = f.lua->bytes;
        mr_status status = fixture_eval(&f, script);
        int64_t us = cpu_us() - before;
        const char *text = mr__buf_cstr(&f.text);
        if (getenv("MILLRACE_TEST_SHOW") != NULL) {
            print_message("%7.1f ms %6zu KiB %3d %s: %.100s\n", (double)us / 1000.0,
                          f.lua->bytes_peak >> 10, status, p->name, text);
        }
        if ((p->expected != MR_PENDING && status != p->expected) ||
            (p->expected == MR_PENDING && status != MR_OK && status != MR_EINVAL &&
             status != MR_ELIMIT) ||
            (p->result != NULL && strcmp(p->result, text) != 0)) {
            fail_msg("%s: gives %d %.200s", p->name, status, text);
        }
        if (us > WALL_MS * 1000 * slack()) {
            fail_msg("%s: took %lld ms", p->name, (long long)us / 1000);
        }
        idle = MR__MAX(idle, f.lua->bytes);
        if (f.lua->bytes_peak > bytes_before + mr__lua_budget_worker.memory_bytes) {
            fail_msg("%s: took %zu bytes", p->name, f.lua->bytes_peak);
        }
        assert_usable(p->name);
    }
    assert_true(idle < 4u << 20); /* nothing stays */
}

/* The same by the loop's budget, which is 1 ms: a single long step may take longer, never ten. */
static void sandbox__the_loop_is_not_held_up(void **state)
{
    char script[1024];
    (void)state;
    for (size_t i = 0; i < MR__COUNT(probes); i++) {
        const struct probe *p = &probes[i];
        (void)snprintf(script, sizeof script, "(function(...) local print_ %s end)()", p->body);
        int64_t before = cpu_us();
        f.budget = mr__lua_budget_loop;
        (void)fixture_eval(&f, script);
        int64_t us = cpu_us() - before;
        if (us > 10 * 1000 * slack()) {
            fail_msg("%s: took %lld us", p->name, (long long)us);
        }
        assert_usable(p->name);
    }
}

/* Chunks have the same budget where they are given one. */
static void sandbox__chunks_are_stopped(void **state)
{
    static const struct mr__lua_acts none = {0};
    (void)state;
    for (size_t i = 0; i < MR__COUNT(probes); i++) {
        int64_t before = cpu_us();
        mr_status status = fixture_run(&f, probes[i].body, &none);
        int64_t us = cpu_us() - before;
        if (probes[i].expected == MR_ELIMIT && status != MR_ELIMIT) {
            fail_msg("%s: gives %d %s", probes[i].name, status, mr__buf_cstr(&f.text));
        }
        if (us > 2 * WALL_MS * 1000 * slack()) {
            fail_msg("%s: took %lld us", probes[i].name, (long long)us);
        }
        assert_usable(probes[i].name);
    }
}

static void sandbox__sources_are_bounded(void **state)
{
    enum { MAX = MR__SCRIPT_BYTES_MAX };
    (void)state;
    static char text[MAX + 2];
    memset(text, ' ', sizeof text);
    text[0] = '1';
    uint32_t line = 0;
    fixture_script(&f, MR__SCRIPT_EXPRESSION, text, MAX);
    assert_int_equal(mr__lua_compile_check(f.lua, &f.script, &line, &f.error), MR_OK);
    fixture_script(&f, MR__SCRIPT_EXPRESSION, text, MAX + 1);
    assert_int_equal(mr__lua_compile_check(f.lua, &f.script, &line, &f.error), MR_EINVAL);
    assert_string_equal(f.error.message, "12: a script of more than 65536 bytes");
    assert_int_equal(line, 12);

    static const char *const pieces[] = {
        "(",           "{",    "-",       "not ",     "a.",         "f(", "[[", "a..",
        "function() ", "x=1 ", "goto a ", "local a ", "if a then ", "a,", "\\", "\""};
    for (size_t i = 0; i < MR__COUNT(pieces); i++) {
        size_t n = strlen(pieces[i]);
        for (size_t at = 0; at + n <= MAX; at += n) {
            memcpy(text + at, pieces[i], n);
        }
        for (int kind = 0; kind < 2; kind++) {
            int64_t before = cpu_us();
            fixture_script(&f, (enum mr__script_kind)kind, text, MAX);
            (void)mr__lua_compile_check(f.lua, &f.script, &line, &f.error);
            assert_true(cpu_us() - before < WALL_MS * 1000 * slack());
            assert_usable(pieces[i]);
        }
    }
    fixture_script(&f, MR__SCRIPT_CHUNK, "\x1bLua", 4);
    assert_int_equal(mr__lua_compile_check(f.lua, &f.script, &line, &f.error), MR_EINVAL);
}

static void sandbox__nothing_is_left_for_the_next_script(void **state)
{
    mr_value value;
    (void)state;
    static const char script[] =
        "(function() local x = #vars.list vars.list[4] = 9 share.hosts[1] = nil return x end)()";
    fixture_script(&f, MR__SCRIPT_EXPRESSION, script, strlen(script));
    for (int i = 0; i < 3; i++) { /* the same chunk, compiled once */
        assert_int_equal(mr__lua_eval(f.lua, &f.scope, 0, &f.budget, &f.arena, &value, &f.error),
                         MR_OK);
        assert_int_equal(value.u.i, 3);
    }
    assert_int_equal(fixture_eval(&f, "(function() vars.list[1] = 5 return vars.list[1] end)()"),
                     MR_OK);
    assert_string_equal(mr__buf_cstr(&f.text), "5");
    assert_int_equal(fixture_eval(&f, "vars.list[1]"), MR_OK);
    assert_string_equal(mr__buf_cstr(&f.text), "1");
}

static void sandbox__chunks_are_kept_up_to_a_number(void **state)
{
    (void)state;
    char script[32];
    for (unsigned i = 0; i < MR__LUA_CHUNKS_MAX + 100; i++) {
        (void)snprintf(script, sizeof script, "%u", i);
        assert_int_equal(fixture_eval(&f, script), MR_OK);
        assert_string_equal(mr__buf_cstr(&f.text), script);
    }
    assert_int_equal(f.lua->chunk_count, MR__LUA_CHUNKS_MAX);
    assert_int_equal(f.lua->chunk_rows.count, MR__LUA_CHUNKS_MAX);
    assert_int_equal(fixture_eval(&f, "vars.n"), MR_OK);
    assert_int_equal(f.lua->chunk_count, MR__LUA_CHUNKS_MAX);
    assert_true(f.lua->bytes < 2u << 20);
}

static void sandbox__patterns_of_pre_checks_are_bounded(void **state)
{
    (void)state;
    bool matches = false;
    assert_int_equal(mr__lua_matches(f.lua, "prod-eu", 7, "^prod", 5, &matches, NULL), MR_OK);
    assert_true(matches);
    assert_int_equal(mr__lua_matches(f.lua, "prod-eu", 7, "^%d", 3, &matches, NULL), MR_OK);
    assert_false(matches);
    assert_int_equal(mr__lua_matches(f.lua, "prod", 4, "[a", 2, &matches, &f.error), MR_EINVAL);
    assert_string_equal(f.error.message, "malformed pattern (missing ']')");
    static char text[20000];
    memset(text, 'a', sizeof text);
    int64_t before = cpu_us();
    assert_int_equal(mr__lua_matches(f.lua, text, sizeof text, ".-.-.-.-b", 9, &matches, &f.error),
                     MR_ELIMIT);
    assert_true(cpu_us() - before < 10000 * slack());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sandbox__probes_are_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sandbox__the_loop_is_not_held_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sandbox__chunks_are_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sandbox__sources_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sandbox__nothing_is_left_for_the_next_script, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sandbox__chunks_are_kept_up_to_a_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sandbox__patterns_of_pre_checks_are_bounded, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("lua_sandbox", tests, NULL, NULL);
}
