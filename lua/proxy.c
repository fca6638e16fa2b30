/* SPDX-License-Identifier: MIT
 *
 * The things that a script holds but cannot change: sealed library tables, vars, share, tasks,
 * records, null, and the environments in which scripts run. Made once with the state. The thread
 * that the state belongs to; may raise.
 */
#include "core/model/nearest.h"
#include "lua/lua_impl.h"

static const char *const kind_names[PROXY_KINDS] = {
    [PROXY_NULL] = "null",   [PROXY_LIBRARY] = "the library", [PROXY_PURE] = "a global",
    [PROXY_VARS] = "vars",   [PROXY_SHARE] = "share",         [PROXY_TASKS] = "tasks",
    [PROXY_TASK] = "a task", [PROXY_RECORD] = "this",         [PROXY_VALUE] = "value",
};

struct proxy *mr__lua_push_proxy(lua_State *L, enum proxy_kind kind, int user_values)
{
    struct proxy *proxy = lua_newuserdatauv(L, sizeof *proxy, user_values);
    *proxy = (struct proxy){.kind = (uint8_t)kind};
    lua_push_kept(L, KEPT_META + (int)kind);
    lua_setmetatable(L, -2);
    return proxy;
}

void mr__lua_seal(lua_State *L)
{
    (void)mr__lua_push_proxy(L, PROXY_LIBRARY, 1);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

void mr__lua_push_record(lua_State *L, const char *name)
{
    (void)mr__lua_push_proxy(L, PROXY_RECORD, 2);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    if (name != NULL) {
        lua_pushstring(L, name);
        lua_setiuservalue(L, -2, 2);
    }
}

int mr__lua_unknown(lua_State *L, const char *what, const char *key, int index)
{
    struct mr__nearest nearest;
    uint64_t budget = 100000;
    mr__nearest_init(&nearest, key, &budget);
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        mr__lua_tick(L, 10);
        if (lua_type(L, -1) == LUA_TSTRING) {
            mr__nearest_try(&nearest, lua_tostring(L, -1), 0);
        }
    }
    if (nearest.found != NULL) {
        return luaL_error(L, "%s \"%s\", did you mean \"%s\"?", what, key, nearest.found);
    }
    return luaL_error(L, "%s \"%s\"", what, key);
}

/* ---- metamethods ----------------------------------------------------------------------------- */

static int library_index(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TNIL && lua_type(L, 2) == LUA_TSTRING) {
        return mr__lua_unknown(L, "the library has no function", lua_tostring(L, 2), -2);
    }
    return 1;
}

static int record_index(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TNIL && lua_type(L, 2) == LUA_TSTRING &&
        lua_getiuservalue(L, 1, 2) == LUA_TSTRING) {
        const char *what = lua_pushfstring(L, "%s has no field", lua_tostring(L, -1));
        return mr__lua_unknown(L, what, lua_tostring(L, 2), 3);
    }
    lua_settop(L, 4);
    if (is_null(L, 4)) { /* a field that is known and has no value */
        lua_pushnil(L);
    }
    return 1;
}

/* `error`, where it is the failure that retry.if looks at, is still the function too. */
static int record_call(lua_State *L)
{
    lua_remove(L, 1);
    lua_push_kept(L, KEPT_GLOBALS);
    lua_getfield(L, -1, "error");
    lua_CFunction error = lua_tocfunction(L, -1);
    lua_pop(L, 2);
    return error(L);
}

static int null_index(lua_State *L)
{
    return luaL_error(L, "attempt to index a null value");
}

static int is_read_only(lua_State *L)
{
    const struct proxy *proxy = to_proxy(L, 1);
    if (proxy->kind == PROXY_PURE) {
        return luaL_error(L, "the global \"%s\" is assigned to: write local",
                          mr__lua_push_text(L, 2, NULL));
    }
    if (proxy->kind == PROXY_RECORD && lua_getiuservalue(L, 1, 2) == LUA_TSTRING) {
        return luaL_error(L, "%s is read-only", lua_tostring(L, -1));
    }
    return luaL_error(L, "%s is read-only", kind_names[proxy->kind]);
}

static int proxy_len(lua_State *L)
{
    lua_pushinteger(L, mr__lua_push_keys(L, 1, "#"));
    return 1;
}

static int proxy_text(lua_State *L)
{
    lua_pushstring(L, is_null(L, 1) ? "null" : "table");
    return 1;
}

static void make_meta(lua_State *L, enum proxy_kind kind)
{
    static const lua_CFunction index[PROXY_KINDS] = {
        [PROXY_NULL] = null_index,           [PROXY_LIBRARY] = library_index,
        [PROXY_PURE] = mr__lua_global_index, [PROXY_VARS] = mr__lua_vars_index,
        [PROXY_SHARE] = mr__lua_share_index, [PROXY_TASKS] = mr__lua_tasks_index,
        [PROXY_TASK] = mr__lua_task_index,   [PROXY_RECORD] = record_index,
        [PROXY_VALUE] = mr__lua_value_index,
    };
    lua_newtable(L);
    lua_pushcfunction(L, index[kind]);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, kind == PROXY_SHARE   ? mr__lua_share_set
                         : kind == PROXY_VALUE ? mr__lua_value_set
                                               : is_read_only);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, proxy_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushstring(L, kind == PROXY_NULL ? "null" : "read-only table");
    lua_setfield(L, -2, "__name"); /* "attempt to ... a null value" */
    if (kind != PROXY_NULL && kind != PROXY_PURE) {
        lua_pushcfunction(L, proxy_len);
        lua_setfield(L, -2, "__len");
        lua_pushcfunction(L, mr__lua_pairs);
        lua_setfield(L, -2, "__pairs");
    }
    if (kind == PROXY_RECORD) {
        lua_pushcfunction(L, record_call);
        lua_setfield(L, -2, "__call");
    }
}

void mr__lua_push_environment(lua_State *L)
{
    lua_newtable(L);
    lua_push_kept(L, KEPT_CHUNK_META);
    lua_setmetatable(L, -2);
}

/* ---- made with the state --------------------------------------------------------------------- */

static void keep(lua_State *L, int kept)
{
    lua_of(L)->kept[kept] = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The names of the pure tier: functions, null and sealed tables. */
static void open_globals(lua_State *L)
{
    lua_newtable(L);
    mr__lua_open_base(L);
    mr__lua_open_data(L);
    mr__lua_open_string(L);
    mr__lua_open_table(L);
    lua_push_kept(L, KEPT_NULL);
    lua_setfield(L, -2, "null");
    keep(L, KEPT_GLOBALS);
    lua_newtable(L);
    mr__lua_open_acting(L);
    keep(L, KEPT_ACTING);
}

void mr__lua_proxy_open(lua_State *L)
{
    static const struct {
        int kept;
        enum proxy_kind kind;
    } singles[] = {{KEPT_PURE, PROXY_PURE},   {KEPT_NULL, PROXY_NULL},   {KEPT_VARS, PROXY_VARS},
                   {KEPT_SHARE, PROXY_SHARE}, {KEPT_TASKS, PROXY_TASKS}, {KEPT_VALUE, PROXY_VALUE}};
    for (int kind = 0; kind < PROXY_KINDS; kind++) {
        make_meta(L, (enum proxy_kind)kind);
        keep(L, KEPT_META + kind);
    }
    for (size_t i = 0; i < MR__COUNT(singles); i++) {
        (void)mr__lua_push_proxy(L, singles[i].kind, 0);
        keep(L, singles[i].kept);
    }
    for (int cache = 0; cache < CACHES; cache++) {
        lua_pushboolean(L, 0);
        keep(L, KEPT_CACHES + cache);
    }
    lua_newtable(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    keep(L, KEPT_EMPTY_META);
    lua_newtable(L);
    lua_pushcfunction(L, mr__lua_global_index);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    keep(L, KEPT_CHUNK_META);
    open_globals(L);
}
