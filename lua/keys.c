/* SPDX-License-Identifier: MIT
 *
 * Key order: `pairs`, `next` and everything that walks a table go through numbers first, ascending,
 * then texts by their bytes. The thread that the state belongs to; may raise.
 */
#include <stdlib.h>

#include "lua/lua_impl.h"

struct sort_key {
    const char *text; /* NULL: a number. Held by the table that it stands in */
    size_t len;
    lua_Integer integer;
    lua_Number number;
    bool whole;
};

static int compare_numbers(const struct sort_key *a, const struct sort_key *b)
{
    if (a->whole && b->whole) {
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    }
    /* Rounding must not make two keys equal: beyond 2^53 an integer is compared with care. */
    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    return a->whole == b->whole ? 0 : a->whole ? -1 : 1;
}

static int compare_keys(const void *left, const void *right)
{
    const struct sort_key *a = left, *b = right;
    if (a->text == NULL || b->text == NULL) {
        return a->text != NULL ? 1 : b->text != NULL ? -1 : compare_numbers(a, b);
    }
    int order = memcmp(a->text, b->text, MR__MIN(a->len, b->len));
    return order != 0 ? order : a->len < b->len ? -1 : a->len > b->len;
}

static struct sort_key read_key(lua_State *L, int index, const char *what)
{
    struct sort_key key = {0};
    if (lua_type(L, index) == LUA_TSTRING) {
        key.text = lua_tolstring(L, index, &key.len);
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        key.whole = lua_isinteger(L, index);
        key.integer = lua_tointeger(L, index);
        key.number = lua_tonumber(L, index);
    } else {
        (void)luaL_error(L, "%s: a key that is a %s has no order", what, luaL_typename(L, index));
    }
    return key;
}

static uint64_t sort_cost(uint64_t count)
{
    uint64_t cost = count;
    for (uint64_t n = count; n > 1; n /= 2) {
        cost += count * 2;
    }
    return cost;
}

static void push_key(lua_State *L, const struct sort_key *key)
{
    if (key->text != NULL) {
        lua_pushlstring(L, key->text, key->len);
    } else if (key->whole) {
        lua_pushinteger(L, key->integer);
    } else {
        lua_pushnumber(L, key->number);
    }
}

/* Pushes the keys of the list `names` (values) or of any table (its keys), sorted, as a new list.
 */
static lua_Integer push_sorted(lua_State *L, int index, lua_Integer count, bool names,
                               const char *what)
{
    struct sort_key few[8], *keys = few;
    if (count > (lua_Integer)MR__COUNT(few)) {
        keys = lua_newuserdatauv(L, (size_t)count * sizeof *keys, 0);
    } else {
        lua_pushnil(L); /* in the place of the array */
    }
    int list = lua_gettop(L) + 1;
    lua_Integer i = 0;
    lua_createtable(L, (int)MR__MIN(count, 1 << 20), 0);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        keys[i++] = read_key(L, names ? -1 : -2, what);
        lua_pop(L, 1);
    }
    mr__lua_tick(L, sort_cost((uint64_t)count));
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (i = 0; i < count; i++) {
        push_key(L, &keys[i]);
        lua_rawseti(L, list, i + 1);
    }
    lua_remove(L, -2);
    return count;
}

lua_Integer mr__lua_push_keys(lua_State *L, int index, const char *what)
{
    const struct proxy *proxy = to_proxy(L, index);
    lua_Integer count = 0;
    luaL_checkstack(L, 8, what);
    index = lua_absindex(L, index);
    if (proxy == NULL) {
        luaL_checktype(L, index, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, index) != 0) {
            lua_pop(L, 1);
            count++;
            if (count % 64 == 0) {
                mr__lua_tick(L, 64);
            }
        }
        return push_sorted(L, index, count, false, what);
    }
    if (proxy->kind == PROXY_LIBRARY || proxy->kind == PROXY_RECORD) {
        lua_getiuservalue(L, index, 1);
        count = mr__lua_push_keys(L, lua_gettop(L), what);
        lua_remove(L, -2);
        return count;
    }
    lua_newtable(L);
    count = mr__lua_scope_keys(L, index, proxy);
    (void)push_sorted(L, lua_gettop(L), count, true, what);
    lua_remove(L, -2);
    return count;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

/* Upvalues: the list of keys, how many were given. What was removed meanwhile is passed by. */
static int pairs_step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
    bool plain = lua_type(L, 1) == LUA_TTABLE;
    lua_settop(L, 1);
    for (;;) {
        int type = lua_rawgeti(L, lua_upvalueindex(1), ++i);
        lua_pushinteger(L, i);
        lua_replace(L, lua_upvalueindex(2));
        if (type == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(L, -1);
        type = plain ? lua_rawget(L, 1) : lua_gettable(L, 1);
        if (type != LUA_TNIL) {
            return 2;
        }
        lua_settop(L, 1);
        mr__lua_tick(L, 1);
    }
}

/* True for a table with the keys 1..n, whose order needs no list of keys. */
static bool is_list(lua_State *L, int index)
{
    lua_Unsigned len = lua_rawlen(L, index), count = 0;
    bool list = true;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        count++;
        list = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 &&
               (lua_Unsigned)lua_tointeger(L, -1) <= len;
        if (!list) {
            lua_pop(L, 1);
            return false;
        }
        if (count % 64 == 0) {
            mr__lua_tick(L, 64);
        }
    }
    return count == len;
}

static int list_step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, 2), len = lua_tointeger(L, lua_upvalueindex(1));
    while (i < len) {
        lua_pushinteger(L, ++i);
        if (lua_rawgeti(L, 1, i) != LUA_TNIL) {
            return 2;
        }
        lua_pop(L, 2);
        mr__lua_tick(L, 1);
    }
    lua_pushnil(L);
    return 1;
}

int mr__lua_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TTABLE && luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    lua_settop(L, 1);
    const struct proxy *proxy = to_proxy(L, 1);
    if ((proxy == NULL || proxy->kind == PROXY_NULL || proxy->kind == PROXY_PURE) &&
        lua_type(L, 1) != LUA_TTABLE) {
        return luaL_error(L, "bad argument #1 to 'pairs' (table expected, got %s)",
                          is_null(L, 1) ? "null" : luaL_typename(L, 1));
    }
    if (proxy == NULL && is_list(L, 1)) {
        lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
        lua_pushcclosure(L, list_step, 1);
    } else {
        (void)mr__lua_push_keys(L, 1, "pairs");
        lua_pushinteger(L, 0);
        lua_pushcclosure(L, pairs_step, 2);
    }
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* The least key that is greater than the given one: each call looks at all. */
int mr__lua_next(lua_State *L)
{
    bool found = false;
    struct sort_key after = {0}, best = {0};
    lua_settop(L, 2);
    if (to_proxy(L, 1) != NULL && !is_null(L, 1)) {
        return luaL_error(L, "bad argument #1 to 'next': use pairs");
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    bool first = lua_isnil(L, 2);
    if (!first) {
        after = read_key(L, 2, "next");
    }
    lua_pushnil(L); /* 3: the best key */
    lua_pushnil(L); /* 4: its value */
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        struct sort_key key = read_key(L, -2, "next");
        mr__lua_tick(L, 1);
        if ((first || compare_keys(&key, &after) > 0) &&
            (!found || compare_keys(&key, &best) < 0)) {
            best = key;
            found = true;
            lua_pushvalue(L, -2);
            lua_replace(L, 3);
            lua_pushvalue(L, -1);
            lua_replace(L, 4);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, 4);
    return found ? 2 : 1;
}
