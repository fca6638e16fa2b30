/* SPDX-License-Identifier: MIT
 *
 * The library: string, but for patterns. Lua's own functions where they cost what their arguments
 * weigh; rep and format are bounded here; string.dump is left out. Also the metatable of all texts,
 * which is locked. The thread that the state belongs to; may raise.
 */
#include <ctype.h>
#include <lualib.h>

#include "lua/lua_impl.h"

#define FORMAT_STEPS 300u /* of one directive: a long float takes microseconds */

static int string_rep(lua_State *L)
{
    size_t len, separator_len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_len);
    if (count <= 0 || len + separator_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t most = lua_of(L)->string_max > 0 ? lua_of(L)->string_max : INT32_MAX;
    if ((size_t)count > most || len + separator_len > most / (size_t)count) {
        return luaL_error(L, "resulting string too large");
    }
    size_t total = (size_t)count * (len + separator_len) - separator_len;
    mr__lua_tick(L, 1 + total / 32);
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, total + separator_len);
    memcpy(to, text, len);
    memcpy(to + len, separator, separator_len);
    for (size_t done = len + separator_len; done < total; done *= 2) {
        memcpy(to + done, to, MR__MIN(done, total - done));
    }
    luaL_pushresultsize(&buffer, total);
    return 1;
}

/* Makes of each argument that %s shows its text, refuses %p, and pays; then Lua's own format does
 * the rest. */
static int string_format(lua_State *L)
{
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len), *end = format + len;
    int top = lua_gettop(L), argument = 1;
    for (const char *at = format; at < end; at++) {
        if (*at != '%' || at + 1 == end) {
            continue;
        }
        if (*++at == '%') {
            continue;
        }
        while (at < end && !isalpha((unsigned char)*at) && *at != '%') {
            at++;
        }
        argument++;
        mr__lua_tick(L, FORMAT_STEPS);
        if (at < end && *at == 'p') {
            return luaL_error(L, "invalid conversion '%%p' to 'format': addresses are not shown");
        }
        if (at < end && *at == 's' && argument <= top) {
            (void)mr__lua_push_text(L, argument, &len);
            mr__lua_tick(L, len / 16);
            lua_replace(L, argument);
        }
    }
    mr__lua_tick(L, len / 16);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The metatable of all texts: methods, and arithmetic on texts that are numbers, as in Lua. */
static void lock_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

void mr__lua_open_string(lua_State *L)
{
    static const char *const names[] = {"len", NULL};
    static const char *const texts[] = {"byte",    "char", "lower",  "pack",  "packsize",
                                        "reverse", "sub",  "unpack", "upper", NULL};
    lua_newtable(L);
    mr__lua_open_own(L, luaopen_string, "string");
    mr__lua_take(L, names, false);
    mr__lua_take(L, texts, true);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, string_format, 1);
    lua_setfield(L, -3, "format");
    lua_pop(L, 1);
    lua_pushcfunction(L, string_rep);
    lua_setfield(L, -2, "rep");
    mr__lua_open_patterns(L);
    mr__lua_seal(L);
    lock_metatable(L);
    lua_setfield(L, -2, "string");
}
