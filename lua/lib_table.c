/* SPDX-License-Identifier: MIT
 *
 * The library: table. Raw accesses alone: Lua's own functions go by metamethods, which lets a lying
 * __len or an __index written in C keep them in loops that no hook sees. Every item costs a step.
 * The thread that the state belongs to; may raise.
 */
#include "lua/lua_impl.h"

static lua_Integer check_table(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, index);
}

static int table_insert(lua_State *L)
{
    lua_Integer end = check_table(L, 1) + 1, at = end;
    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
        mr__lua_tick(L, (uint64_t)(end - at));
        for (lua_Integer i = end; i > at; i--) {
            lua_rawgeti(L, 1, i - 1);
            lua_rawseti(L, 1, i);
        }
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_rawseti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer len = check_table(L, 1), at = luaL_optinteger(L, 2, len);
    if (at != len) {
        luaL_argcheck(L, (lua_Unsigned)at - 1u <= (lua_Unsigned)len, 2, "position out of bounds");
    }
    lua_rawgeti(L, 1, at);
    if (at < len) {
        mr__lua_tick(L, (uint64_t)(len - at));
    }
    for (; at < len; at++) {
        lua_rawgeti(L, 1, at + 1);
        lua_rawseti(L, 1, at);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, at);
    return 1;
}

static int table_move(lua_State *L)
{
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    (void)check_table(L, 1);
    (void)check_table(L, target);
    lua_settop(L, 5);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        lua_Integer count = last - first + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        bool upwards = to > last || to <= first || (target != 1 && !lua_rawequal(L, 1, target));
        for (lua_Integer i = 0; i < count; i++) {
            lua_Integer offset = upwards ? i : count - 1 - i;
            mr__lua_tick(L, 1);
            lua_rawgeti(L, 1, first + offset);
            lua_rawseti(L, target, to + offset);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static int table_concat(lua_State *L)
{
    lua_Integer len = check_table(L, 1);
    size_t separator_len;
    const char *separator = luaL_optlstring(L, 2, "", &separator_len);
    lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, len);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (lua_Integer i = first; i <= last; i++) {
        lua_rawgeti(L, 1, i);
        if (!lua_isstring(L, -1)) {
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'", i);
        }
        mr__lua_tick(L, 1 + (lua_rawlen(L, -1) + separator_len) / 32);
        luaL_addvalue(&buffer);
        if (i == last) {
            break; /* `last` may be the greatest integer */
        }
        luaL_addlstring(&buffer, separator, separator_len);
    }
    luaL_pushresult(&buffer);
    return 1;
}

static int table_pack(lua_State *L)
{
    int count = lua_gettop(L);
    mr__lua_tick(L, (uint64_t)count);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--) {
        lua_rawseti(L, 1, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = luaL_optinteger(L, 3, (lua_Integer)lua_rawlen(L, 1));
    if (first > last) {
        return 0;
    }
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
    if (count >= INT32_MAX || !lua_checkstack(L, (int)++count)) {
        return luaL_error(L, "too many results to unpack");
    }
    mr__lua_tick(L, count);
    for (lua_Unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, 1, first + (lua_Integer)i);
    }
    return (int)count;
}

/* ---- sort ------------------------------------------------------------------------------------ */

/* Whether the item at stack index `b` is to stand before the one at `a`. */
static bool is_before(lua_State *L, int b, int a)
{
    mr__lua_tick(L, 2 + (lua_type(L, a) == LUA_TSTRING ? lua_rawlen(L, a) / 64 : 0));
    if (lua_isnil(L, 2)) {
        return lua_compare(L, b, a, LUA_OPLT);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, b);
    lua_pushvalue(L, a);
    lua_call(L, 2, 1);
    bool before = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return before;
}

/* Merges two sorted stretches [low, middle) and [middle, high) of the table at `from` into `to`. */
static void merge(lua_State *L, int from, int to, lua_Integer low, lua_Integer middle,
                  lua_Integer high)
{
    lua_Integer left = low, right = middle;
    for (lua_Integer i = low; i < high; i++) {
        bool take_right = left >= middle;
        if (!take_right && right < high) {
            int top = lua_gettop(L);
            lua_rawgeti(L, from, left);
            lua_rawgeti(L, from, right);
            take_right = is_before(L, top + 2, top + 1);
            lua_settop(L, top);
        }
        lua_rawgeti(L, from, take_right ? right++ : left++);
        lua_rawseti(L, to, i);
    }
}

/* A merge sort from the bottom up, on copies: it is stable, and whatever the comparison says or
 * does to the table, it ends. */
static int table_sort(lua_State *L)
{
    lua_Integer len = check_table(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TFUNCTION);
    }
    lua_settop(L, 2);
    mr__lua_tick(L, (uint64_t)len);
    lua_createtable(L, (int)MR__MIN(len, 1 << 24), 0);
    lua_createtable(L, (int)MR__MIN(len, 1 << 24), 0);
    for (lua_Integer i = 1; i <= len; i++) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, 3, i);
    }
    int from = 3, to = 4;
    for (lua_Integer width = 1; width < len; width *= 2) {
        for (lua_Integer low = 1; low <= len; low += 2 * width) {
            merge(L, from, to, low, MR__MIN(low + width, len + 1),
                  MR__MIN(low + 2 * width, len + 1));
        }
        from = 7 - from;
        to = 7 - to;
    }
    mr__lua_tick(L, (uint64_t)len);
    for (lua_Integer i = 1; i <= len; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, 1, i);
    }
    return 0;
}

void mr__lua_open_table(lua_State *L)
{
    static const luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert},
                                         {"move", table_move},     {"pack", table_pack},
                                         {"remove", table_remove}, {"sort", table_sort},
                                         {"unpack", table_unpack}, {NULL, NULL}};
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    mr__lua_seal(L);
    lua_setfield(L, -2, "table");
}
