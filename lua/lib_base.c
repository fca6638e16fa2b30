/* SPDX-License-Identifier: MIT
 *
 * The library: the basic functions, math and utf8. What Lua's own functions do well is used as it
 * is; what shows addresses, catches errors or reaches metatables is written here. The thread that
 * the state belongs to; may raise.
 */
#include <lualib.h>

#include "lua/lua_impl.h"

const char *mr__lua_push_text(lua_State *L, int index, size_t *ret_len)
{
    index = lua_absindex(L, index);
    if (lua_type(L, index) == LUA_TTABLE && luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            (void)luaL_error(L, "'__tostring' must return a string");
        }
        return lua_tolstring(L, -1, ret_len);
    }
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TNIL:
    case LUA_TBOOLEAN: return luaL_tolstring(L, index, ret_len);
    case LUA_TUSERDATA: lua_pushstring(L, is_null(L, index) ? "null" : "table"); break;
    default: lua_pushstring(L, luaL_typename(L, index)); break;
    }
    return lua_tolstring(L, -1, ret_len);
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    (void)mr__lua_push_text(L, 1, NULL);
    return 1;
}

static int base_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, to_proxy(L, 1) == NULL ? luaL_typename(L, 1)
                      : is_null(L, 1)        ? "null"
                                             : "table");
    return 1;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != LUA_OK || lua_of(L)->ended != ENDED_NOT) {
        mr__lua_caught(L, status);
        lua_pushboolean(L, 0);
        lua_insert(L, 1);
        lua_settop(L, 2);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* The script's handler, upvalue 1, but not for what ended the script: this may be called inside the
 * hook, where no hook would stop it. */
static int handle(lua_State *L)
{
    if (lua_of(L)->ended != ENDED_NOT) {
        return 1;
    }
    mr__lua_place(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, 1); /* f, handler, arguments..., f */
    lua_insert(L, 3);    /* f, handler, f, arguments... */
    int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 2);
    if (status != LUA_OK || lua_of(L)->ended != ENDED_NOT) {
        mr__lua_caught(L, status);
    }
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 2);
    return lua_gettop(L) - 1;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int base_setmetatable(lua_State *L)
{
    static const char *const refused[] = {"__gc", "__close", "__mode"};
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (lua_getmetatable(L, 1)) {
        lua_push_kept(L, KEPT_EMPTY_META);
        if (!lua_rawequal(L, -1, -2) && luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
            return luaL_error(L, "cannot change a protected metatable");
        }
    }
    for (size_t i = 0; lua_istable(L, 2) && i < MR__COUNT(refused); i++) {
        lua_pushstring(L, refused[i]);
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luaL_error(L, "a metatable may not have %s", refused[i]);
        }
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) {
        lua_pushnil(L);
    } else if (luaL_getmetafield(L, 1, "__metatable") == LUA_TNIL) {
        lua_settop(L, 2);
    }
    return 1;
}

static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int base_rawlen(lua_State *L)
{
    luaL_argexpected(L, lua_type(L, 1) == LUA_TTABLE || lua_type(L, 1) == LUA_TSTRING, 1,
                     "table or string");
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Calls a function of Lua's own, upvalue 1, after paying for the length of its texts. It runs in
 * this call's frame, so that its errors have the name that the script wrote. */
static int charged(lua_State *L)
{
    uint64_t bytes = 0;
    for (int i = 1; i <= lua_gettop(L) && i <= 8; i++) {
        bytes += lua_type(L, i) == LUA_TSTRING ? lua_rawlen(L, i) : 0;
    }
    mr__lua_tick(L, 1 + bytes / 8);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void mr__lua_take(lua_State *L, const char *const *names, bool charge)
{
    for (; *names != NULL; names++) {
        lua_getfield(L, -1, *names);
        if (charge) {
            lua_pushcclosure(L, charged, 1);
        }
        lua_setfield(L, -3, *names);
    }
}

/* Opens one of Lua's own libraries for its functions to be taken: it is on top. */
void mr__lua_open_own(lua_State *L, lua_CFunction open, const char *name)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}

void mr__lua_open_math(lua_State *L, bool random)
{
    static const char *const names[] = {
        "abs",  "acos", "asin", "atan", "ceil",       "cos",        "deg", "exp",  "floor",
        "fmod", "huge", "log",  "max",  "maxinteger", "mininteger", "min", "modf", "pi",
        "rad",  "sin",  "sqrt", "tan",  "type",       "ult",        NULL};
    static const char *const texts[] = {"tointeger", NULL};
    static const char *const randoms[] = {"random", "randomseed", NULL};
    lua_newtable(L);
    mr__lua_open_own(L, luaopen_math, "math");
    mr__lua_take(L, names, false);
    mr__lua_take(L, texts, true);
    if (random) {
        mr__lua_take(L, randoms, false);
    }
    lua_pop(L, 1);
    mr__lua_seal(L);
    lua_setfield(L, -2, "math");
}

static void open_utf8(lua_State *L)
{
    static const char *const names[] = {"char", "codes", "charpattern", NULL};
    static const char *const texts[] = {"codepoint", "len", "offset", NULL};
    lua_newtable(L);
    mr__lua_open_own(L, luaopen_utf8, "utf8");
    mr__lua_take(L, names, false);
    mr__lua_take(L, texts, true);
    lua_pop(L, 1);
    mr__lua_seal(L);
    lua_setfield(L, -2, "utf8");
}

void mr__lua_open_base(lua_State *L)
{
    static const luaL_Reg functions[] = {{"getmetatable", base_getmetatable},
                                         {"next", mr__lua_next},
                                         {"pairs", mr__lua_pairs},
                                         {"pcall", base_pcall},
                                         {"rawget", base_rawget},
                                         {"rawlen", base_rawlen},
                                         {"rawset", base_rawset},
                                         {"setmetatable", base_setmetatable},
                                         {"tostring", base_tostring},
                                         {"type", base_type},
                                         {"xpcall", base_xpcall},
                                         {NULL, NULL}};
    static const char *const names[] = {"assert", "error", "ipairs", "rawequal", "select", NULL};
    static const char *const texts[] = {"tonumber", NULL};
    luaL_setfuncs(L, functions, 0);
    mr__lua_open_own(L, luaopen_base,
                     "_G"); /* it fills the state's globals, which no script sees */
    mr__lua_take(L, names, false);
    mr__lua_take(L, texts, true);
    lua_pop(L, 1);
    mr__lua_open_math(L, false);
    open_utf8(L);
}
