/* SPDX-License-Identifier: MIT
 *
 * Goal: string.find, match, gmatch and gsub give what Lua's own give, complaints included. Method:
 * the same calls in a plain Lua state and in ours, on a table of patterns and on many random ones;
 * the seed is printed, and MILLRACE_TEST_SEED sets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <lualib.h>

#include "lua/lua_impl.h"
#include "lua_fixture.h"

#include <cmocka.h> /* last: its macros take plain words */

enum { RANDOM_CALLS = 60000, RESULTS_MAX = 40 };

struct call {
    const char *function;
    const char *text, *pattern, *replacement; /* replacement NULL: none */
    size_t text_len, pattern_len, replacement_len;
    lua_Integer number; /* init or n; 0: none */
    bool plain;
    char result[2048];
};

static struct lua_fixture f;
static lua_State *own; /* Lua as it is */

static void add(char *result, size_t room, const char *bytes, size_t len)
{
    size_t at = strlen(result);
    for (size_t i = 0; i < len && at + 5 < room; i++) {
        at += (size_t)snprintf(result + at, room - at,
                               bytes[i] >= ' ' && bytes[i] < 127 ? "%c" : "<%02x>",
                               (unsigned char)bytes[i]);
    }
}

/* All values from stack index `first` on, as text. */
static void add_values(lua_State *L, int first, struct call *call)
{
    size_t room = sizeof call->result;
    for (int i = first; i <= lua_gettop(L); i++) {
        size_t len;
        const char *text;
        add(call->result, room, "|", 1);
        switch (lua_type(L, i)) {
        case LUA_TNUMBER: add(call->result, room, "#", 1); /* fall through */
        case LUA_TSTRING:
            lua_pushvalue(L, i);
            text = lua_tolstring(L, -1, &len);
            add(call->result, room, text, len);
            lua_pop(L, 1);
            break;
        default: add(call->result, room, luaL_typename(L, i), strlen(luaL_typename(L, i)));
        }
    }
}

/* The library is on top of the stack: makes the call and notes what came of it. */
static void make_call(lua_State *L, struct call *call)
{
    int base = lua_gettop(L), arguments = 2;
    bool iterate = strcmp(call->function, "gmatch") == 0;
    call->result[0] = '\0';
    lua_getfield(L, -1, call->function);
    lua_pushlstring(L, call->text, call->text_len);
    lua_pushlstring(L, call->pattern, call->pattern_len);
    if (call->replacement != NULL) {
        lua_pushlstring(L, call->replacement, call->replacement_len);
        arguments++;
    }
    if (call->number != 0 || call->plain) {
        lua_pushinteger(L, call->number == 0 ? 1 : call->number);
        arguments++;
    }
    if (call->plain) {
        lua_pushboolean(L, 1);
        arguments++;
    }
    int status = lua_pcall(L, arguments, LUA_MULTRET, 0);
    for (int i = 0; status == LUA_OK && iterate && i < RESULTS_MAX; i++) {
        lua_settop(L, base + 1);
        lua_pushvalue(L, base + 1);
        status = lua_pcall(L, 0, LUA_MULTRET, 0);
        if (status != LUA_OK || lua_isnoneornil(L, base + 2)) {
            break;
        }
        add_values(L, base + 2, call);
        add(call->result, sizeof call->result, ";", 1);
    }
    if (status != LUA_OK || !iterate) {
        add(call->result, sizeof call->result, status == LUA_OK ? "" : "!", status != LUA_OK);
        add_values(L, status == LUA_OK ? base + 1 : lua_gettop(L), call);
    }
    lua_settop(L, base);
}

static int ours_body(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    lua_push_kept(L, KEPT_GLOBALS);
    lua_getfield(L, -1, "string");
    lua_getiuservalue(L, -1, 1);
    make_call(L, call);
    return 0;
}

static void compare(struct call *call)
{
    struct call theirs = *call;
    struct mr__lua_call budget = {.budget = &mr__lua_budget_acting, .file = "x"};
    mr_error error = {0};
    lua_getglobal(own, "string");
    make_call(own, &theirs);
    lua_settop(own, 0);
    mr_status status = mr__lua_protect(f.lua, &budget, ours_body, call, &error);
    if (status != MR_OK || strcmp(call->result, theirs.result) != 0) {
        char text[256] = "", pattern[256] = "", replacement[256] = "";
        add(text, sizeof text, call->text, call->text_len);
        add(pattern, sizeof pattern, call->pattern, call->pattern_len);
        if (call->replacement != NULL) {
            add(replacement, sizeof replacement, call->replacement, call->replacement_len);
        }
        fail_msg("%s('%s', '%s', '%s', %lld)\n  ours   %d %s %s\n  theirs %s", call->function, text,
                 pattern, replacement, (long long)call->number, status, error.message, call->result,
                 theirs.result);
    }
}

static void compare_all(const char *text, size_t text_len, const char *pattern, size_t pattern_len,
                        const char *replacement, size_t replacement_len, lua_Integer number)
{
    static const char *const functions[] = {"find", "match", "gmatch", "gsub"};
    for (size_t i = 0; i < MR__COUNT(functions); i++) {
        struct call call = {.function = functions[i],
                            .text = text,
                            .text_len = text_len,
                            .pattern = pattern,
                            .pattern_len = pattern_len,
                            .number = number};
        if (i == 3) {
            call.replacement = replacement;
            call.replacement_len = replacement_len;
        }
        compare(&call);
        if (i == 0) {
            call.plain = true;
            compare(&call);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    own = luaL_newstate();
    luaL_requiref(own, "string", luaopen_string, 1);
    lua_settop(own, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lua_close(own);
    fixture_finish(&f);
    return 0;
}

static void patterns__of_a_table_match_alike(void **state)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "hello world",
                                        "key = value",
                                        "aaab",
                                        "THE (quick) fox",
                                        "2026-11-25",
                                        "  trim  ",
                                        "((a)b)",
                                        "x.y.z",
                                        "\xc3\xa9t\xc3\xa9",
                                        "a]b^c-d%"};
    static const char *const patterns[] = {
        "", "^", "$", "^$", "a", "a*", "a+", "a-", "a?", "^a", "a$", "^a$", "a$b", "^^a", ".", ".-",
        ".*", ".+b", "%a+", "%A+", "%d+", "%D", "%s*", "%S+", "%w+", "%W", "%p", "%P+", "%c", "%C",
        "%g+", "%G", "%l+", "%L", "%u+", "%U", "%x+", "%X", "%%", "%.", "%-", "%]", "%b()", "%b((",
        "%bxx", "%f[%w]%w+", "%f[%W]", "%f[^%w]", "%f[%z]", "%f[\\0]", "(a)", "(a*)", "()", "()a()",
        "(a)(b)", "((a)(b))", "(a)%1", "(.)%1", "(a*(.)%w(%s*))", "^(%w+)%s*=%s*(%w+)$",
        "^%s*(.-)%s*$", "(%d+)-(%d+)-(%d+)", "[abc]", "[^abc]", "[a-z]+", "[^a-z]+", "[]]", "[^]]",
        "[]a]", "[a-]", "[-a]", "[a-%a]", "[%a-z]", "[%]]", "[%a%d]+", "[^%s]+", "[z-a]", "[a%-z]",
        "[+-]", "[a^]", "[^^]",
        /* malformed */
        "%", "[", "[a", "[^", "[]", "[^]", "[%", "[a%", "(", ")", "(a", "a)", "(()", "%b", "%bx",
        "%f", "%fa", "%f[", "%1", "(%1)", "%0", "%2(a)", "(a)%2", "a**", "*", "+", "-", "?", "^*",
        "$$", "a$*"};
    static const char *const replacements[] = {"",   "x", "<%0>", "<%1>", "%2",
                                               "%%", "%", "%a",   "%9"};
    (void)state;
    for (size_t t = 0; t < MR__COUNT(texts); t++) {
        for (size_t p = 0; p < MR__COUNT(patterns); p++) {
            for (size_t r = 0; r < MR__COUNT(replacements); r++) {
                compare_all(texts[t], strlen(texts[t]), patterns[p], strlen(patterns[p]),
                            replacements[r], strlen(replacements[r]),
                            (lua_Integer)(r == 0 ? 0 : r) - 3);
            }
        }
    }
}

static void patterns__bounds_are_the_same(void **state)
{
    static const char pattern_nul[] = "a\0b", text_nul[] = "xa\0by\0";
    char captures[200] = "";
    (void)state;
    compare_all(text_nul, sizeof text_nul - 1, pattern_nul, 3, "%0\0", 3, 0);
    compare_all(text_nul, sizeof text_nul - 1, "%z", 2, "0", 1, 0);
    compare_all(text_nul, sizeof text_nul - 1, "[%z]+", 5, "0", 1, 0);
    compare_all(text_nul, sizeof text_nul - 1, "[^\0]*", 5, "0", 1, 2);
    for (int i = 0; i < 33; i++) { /* 32 captures are the most, in Lua too */
        strcat(captures, "()");
        compare_all("ab", 2, captures, strlen(captures), "%9", 2, 0);
    }
    static char deep[1000], text[1000];
    memset(text, 'a', sizeof text);
    for (size_t n = 180; n < 220; n++) {
        for (size_t i = 0; i < n; i++) {
            memcpy(deep + 2 * i, "a?", 2);
        }
        compare_all(text, 250, deep, 2 * n, "", 0, 0);
        compare_all(text, 250, deep, n, "", 0, 0);
    }
    for (lua_Integer from = -8; from <= 8; from++) {
        compare_all("abcabc", 6, "[bc]", 4, "<%0>", 4, from);
        compare_all("abcabc", 6, "", 0, "-", 1, from);
    }
    compare_all("abc", 3, "b", 1, "x", 1, LUA_MAXINTEGER);
    compare_all("abc", 3, "b", 1, "x", 1, LUA_MININTEGER);
}

static uint64_t random_state;
static unsigned random_below(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static size_t random_text(char *to, size_t max, const char *const *pieces, unsigned count)
{
    size_t len = 0;
    for (unsigned n = random_below(9); n > 0; n--) {
        const char *piece = pieces[random_below(count)];
        if (len + strlen(piece) <= max) {
            memcpy(to + len, piece, strlen(piece));
            len += strlen(piece);
        }
    }
    return len;
}

static void patterns__random_ones_match_alike(void **state)
{
    static const char *const letters[] = {"a", "b", "ab", "1",    " ", ".",
                                          "(", ")", "A",  "\xff", "-", "]"};
    static const char *const parts[] = {
        "a",  "b", ".",    "%a", "%d", "%s", "%w", "%W",  "%1",   "%2",    "%b()", "%f[%w]",
        "*",  "+", "-",    "?",  "^",  "$",  "(",  ")",   "()",   "[ab]",  "[^a]", "[%a1]",
        "[a", "]", "[a-b", "%",  "%%", "[^", "%f", "(a)", "(.-)", "(%w+)", "a*",   "b-"};
    static const char *const substitutes[] = {"x", "%0", "%1", "%2", "%%", "%", "ab"};
    const char *seed = getenv("MILLRACE_TEST_SEED");
    (void)state;
    random_state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("MILLRACE_TEST_SEED=%llu\n", (unsigned long long)random_state);
    for (int i = 0; i < RANDOM_CALLS; i++) {
        char text[32], pattern[64], replacement[32];
        size_t text_len = random_text(text, sizeof text, letters, MR__COUNT(letters));
        size_t pattern_len = random_text(pattern, sizeof pattern, parts, MR__COUNT(parts));
        size_t replacement_len =
            random_text(replacement, sizeof replacement, substitutes, MR__COUNT(substitutes));
        compare_all(text, text_len, pattern, pattern_len, replacement, replacement_len,
                    (lua_Integer)random_below(9) - 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(patterns__of_a_table_match_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns__bounds_are_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns__random_ones_match_alike, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lua_patterns", tests, NULL, NULL);
}
