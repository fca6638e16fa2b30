/* SPDX-License-Identifier: MIT
 *
 * What scripts see of a run: vars, share, tasks, run, error, the item, and an attempt's private
 * values. The names are looked up in the call's scope when a script asks for them, and JSON is
 * parsed then. The thread that the state belongs to; may raise.
 *
 * What was parsed is kept for the rest of the call, so that a loop over tasks.x.output is no loop
 * over parsing; not so share data in the acting tier, which others may change meanwhile.
 */
#include <stdio.h>

#include "core/model/nearest.h"
#include "core/model/scope.h"
#include "lua/lua_impl.h"

static const char *const scope_names[] = {"run", "share", "tasks", "vars"};

/* ---- what was parsed before ------------------------------------------------------------------ */

static void push_cache(lua_State *L, enum cache cache)
{
    struct mr__lua *lua = lua_of(L);
    int kept = KEPT_CACHES + (int)cache;
    if ((lua->caches & 1u << cache) != 0) {
        lua_push_kept(L, kept);
        return;
    }
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, lua->kept[kept]);
    lua->caches |= (uint8_t)(1u << cache);
}

/* The key is on top. True: what is kept under it takes its place. False: the cache stands below it,
 * for keep_cached to take both. */
static bool push_cached(lua_State *L, enum cache cache)
{
    push_cache(L, cache);
    lua_insert(L, -2);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return true;
    }
    lua_pop(L, 1);
    return false;
}

/* The value is on top of the cache and its key: only it stays. */
static void keep_cached(lua_State *L)
{
    lua_insert(L, -3);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static const struct mr__scope *scope_of(lua_State *L, const char *name)
{
    const struct mr__scope *scope = lua_of(L)->scope;
    if (scope == NULL) {
        (void)luaL_error(L, "%s is not there yet: the file is only being read", name);
    }
    return scope;
}

static const char *key_text(lua_State *L, const char *what, size_t *ret_len)
{
    size_t len;
    if (lua_type(L, 2) != LUA_TSTRING) {
        (void)luaL_error(L, "%s has names only, no %s as key", what, luaL_typename(L, 2));
    }
    const char *key = lua_tolstring(L, 2, &len);
    if (len > MR__KEY_BYTES_MAX || memchr(key, '\0', len) != NULL || !mr__utf8_valid(key, len)) {
        (void)luaL_error(L, "a name in %s is UTF-8 of at most %d bytes", what,
                         (int)MR__KEY_BYTES_MAX);
    }
    if (ret_len != NULL) {
        *ret_len = len;
    }
    return key;
}

/* ---- vars ------------------------------------------------------------------------------------ */

int mr__lua_vars_index(lua_State *L)
{
    const struct mr__scope *scope = scope_of(L, "vars");
    const char *key = key_text(L, "vars", NULL);
    const mr_value *value = mr_value_get(scope->vars, key);
    if (value == NULL) {
        struct mr__nearest nearest;
        uint64_t budget = 100000;
        mr__nearest_init(&nearest, key, &budget);
        for (uint32_t i = 0; scope->vars != NULL && i < scope->vars->len; i++) {
            mr__nearest_try(&nearest, scope->vars->u.map[i].key, i);
        }
        return nearest.found == NULL
                   ? luaL_error(L, "no variable \"%s\" is declared", key)
                   : luaL_error(L, "no variable \"%s\" is declared, did you mean \"%s\"?", key,
                                nearest.found);
    }
    if ((value->type == MR_LIST || value->type == MR_MAP)) {
        lua_pushvalue(L, 2);
        if (!push_cached(L, CACHE_VARS)) {
            mr__lua_push_value(L, value);
            keep_cached(L);
        }
        return 1;
    }
    mr__lua_push_value(L, value);
    return 1;
}

/* ---- share ----------------------------------------------------------------------------------- */

int mr__lua_share_index(lua_State *L)
{
    const struct mr__scope *scope = scope_of(L, "share");
    size_t len;
    const char *key = key_text(L, "share", &len);
    struct mr__blob json;
    if (scope->share == NULL || !scope->share(scope, key, len, &json)) {
        lua_pushnil(L);
        return 1;
    }
    bool composed = json.len > 0 && (json.data[0] == '[' || json.data[0] == '{');
    if (composed && lua_of(L)->acts == NULL) {
        lua_pushvalue(L, 2);
        if (!push_cached(L, CACHE_SHARE)) {
            mr__lua_push_json(L, json.data, json.len, "the share data");
            keep_cached(L);
        }
        return 1;
    }
    mr__lua_push_json(L, json.data, json.len, "the share data");
    return 1;
}

int mr__lua_share_set(lua_State *L)
{
    const struct mr__lua_acts *acts = lua_of(L)->acts;
    const char *key = key_text(L, "share", NULL);
    char what[96];
    mr_error error = {0};
    if (acts == NULL || acts->share_set == NULL) {
        return luaL_error(L, "share is read-only here: only lua: tasks and actions set it");
    }
    struct mr__blob json = {NULL, 0};
    if (!lua_isnil(L, 3)) {
        (void)snprintf(what, sizeof what, "share.%.80s", key);
        json = mr__lua_to_json(L, 3, what);
    }
    mr__lua_check_host(L, acts->share_set(acts->user, key, json.data, json.len, &error), &error);
    return 0;
}

/* ---- an attempt's private values ------------------------------------------------------------- */

int mr__lua_value_index(lua_State *L)
{
    const struct mr__lua_acts *acts = lua_of(L)->acts;
    const char *key = key_text(L, "value", NULL);
    struct mr__blob json;
    if (acts == NULL || acts->value == NULL || !acts->value(acts->user, key, &json)) {
        lua_pushnil(L);
    } else {
        mr__lua_push_json(L, json.data, json.len, "the value");
    }
    return 1;
}

int mr__lua_value_set(lua_State *L)
{
    const struct mr__lua_acts *acts = lua_of(L)->acts;
    const char *key = key_text(L, "value", NULL);
    char what[96];
    mr_error error = {0};
    if (acts == NULL || acts->value_set == NULL) {
        return luaL_error(L, "value cannot be set here");
    }
    struct mr__blob json = {NULL, 0};
    if (!lua_isnil(L, 3)) {
        (void)snprintf(what, sizeof what, "value.%.80s", key);
        json = mr__lua_to_json(L, 3, what);
    }
    mr__lua_check_host(L, acts->value_set(acts->user, key, json.data, json.len), &error);
    return 0;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

int mr__lua_tasks_index(lua_State *L)
{
    const struct mr__scope *scope = scope_of(L, "tasks");
    size_t len;
    const char *key = key_text(L, "tasks", &len);
    if (scope->dag == NULL || scope->task == NULL) {
        return luaL_error(L, "tasks are not to be seen from here");
    }
    int64_t number = mr__dag_find(scope->dag, key, len);
    if (number < 0) {
        struct mr__nearest nearest;
        uint64_t budget = 1000000;
        mr__nearest_init(&nearest, key, &budget);
        for (uint32_t i = 0; i < scope->dag->task_count && budget > 1000; i++) {
            mr__nearest_try(&nearest, scope->dag->tasks[i].id, i);
        }
        return nearest.found == NULL
                   ? luaL_error(L, "no task \"%s\"", key)
                   : luaL_error(L, "no task \"%s\", did you mean \"%s\"?", key, nearest.found);
    }
    mr__lua_push_proxy(L, PROXY_TASK, 0)->number = (uint32_t)number;
    return 1;
}

int mr__lua_task_index(lua_State *L)
{
    const struct mr__scope *scope = scope_of(L, "tasks");
    uint32_t number = to_proxy(L, 1)->number;
    const char *key = key_text(L, "a task", NULL);
    struct mr__scope_task task = {0};
    if (scope->dag == NULL || scope->task == NULL || number >= scope->dag->task_count ||
        !scope->task(scope, number, &task)) {
        return luaL_error(L, "this task is not to be seen from here: name it as tasks.ID");
    }
    if (strcmp(key, "status") == 0) {
        lua_pushstring(L, task.status);
    } else if (strcmp(key, "reason") == 0) {
        lua_pushlstring(L, task.reason.data == NULL ? "" : task.reason.data, task.reason.len);
    } else if (strcmp(key, "output") != 0) {
        return luaL_error(L, "a task has no field \"%s\": only output, status and reason", key);
    } else if (task.output.data == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, number);
        if (!push_cached(L, CACHE_REST)) {
            mr__lua_push_json(L, task.output.data, task.output.len, "the output");
            keep_cached(L);
        }
    }
    return 1;
}

/* ---- run, error, the item -------------------------------------------------------------------- */

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (text == NULL) {
        lua_push_kept(L, KEPT_NULL);
    } else {
        lua_pushstring(L, text);
    }
    lua_setfield(L, -2, field);
}

static void set_time(lua_State *L, const char *field, int64_t ms)
{
    if (ms == 0) {
        lua_push_kept(L, KEPT_NULL);
    } else {
        lua_pushinteger(L, ms);
    }
    lua_setfield(L, -2, field);
}

static void push_run(lua_State *L, const struct mr__scope_run *run)
{
    lua_pushliteral(L, "run");
    if (push_cached(L, CACHE_REST)) {
        return;
    }
    lua_createtable(L, 0, 9);
    set_text(L, "id", run->id);
    set_text(L, "dag", run->dag);
    set_text(L, "status", run->status);
    set_text(L, "reason", run->reason);
    set_text(L, "folder", run->folder);
    set_text(L, "trigger", run->trigger);
    set_time(L, "createdAt", run->created_ms);
    set_time(L, "startedAt", run->started_ms);
    set_time(L, "scheduledAt", run->scheduled_ms);
    mr__lua_push_record(L, "run");
    keep_cached(L);
}

static void push_error(lua_State *L, const struct mr__scope *scope)
{
    lua_pushliteral(L, "error");
    if (push_cached(L, CACHE_REST)) {
        return;
    }
    if (scope->error_detail.data != NULL) {
        mr__lua_push_json(L, scope->error_detail.data, scope->error_detail.len, "the error");
        if (!lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
        }
        lua_pushnil(L); /* an empty map's mark is not for a table that is filled */
        lua_setmetatable(L, -2);
    } else {
        lua_newtable(L);
    }
    lua_pushlstring(L, scope->error_reason.data == NULL ? "" : scope->error_reason.data,
                    scope->error_reason.len);
    lua_setfield(L, -2, "reason");
    lua_pushinteger(L, scope->error_attempt);
    lua_setfield(L, -2, "attempt");
    mr__lua_push_record(L, NULL);
    keep_cached(L);
}

static void push_item(lua_State *L, const struct mr__scope *scope)
{
    if (scope->item.data == NULL) {
        lua_pushnil(L);
        return;
    }
    lua_pushliteral(L, "item");
    if (!push_cached(L, CACHE_REST)) {
        mr__lua_push_json(L, scope->item.data, scope->item.len, "the item");
        keep_cached(L);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool push_scope_name(lua_State *L, const struct mr__scope *scope, const char *key)
{
    bool acting = lua_of(L)->acts != NULL;
    if (scope != NULL && scope->item_name != NULL && strcmp(scope->item_name, key) == 0) {
        push_item(L, scope);
    } else if (strcmp(key, "vars") == 0) {
        lua_push_kept(L, KEPT_VARS);
    } else if (strcmp(key, "share") == 0) {
        lua_push_kept(L, KEPT_SHARE);
    } else if (strcmp(key, "tasks") == 0) {
        lua_push_kept(L, KEPT_TASKS);
    } else if (strcmp(key, "run") == 0) {
        push_run(L, &scope_of(L, "run")->run);
    } else if (scope != NULL && scope->has_error && strcmp(key, "error") == 0) {
        push_error(L, scope);
    } else if (acting && strcmp(key, "value") == 0 && lua_of(L)->acts->value != NULL) {
        lua_push_kept(L, KEPT_VALUE);
    } else {
        return false;
    }
    return true;
}

static int unknown_name(lua_State *L, const struct mr__scope *scope, const char *key)
{
    struct mr__nearest nearest;
    uint64_t budget = 100000;
    mr__lua_tick(L, 2000);
    if (scope != NULL && mr_value_get(scope->vars, key) != NULL) {
        return luaL_error(L, "unknown name \"%s\", did you mean \"vars.%s\"?", key, key);
    }
    mr__nearest_init(&nearest, key, &budget);
    for (size_t i = 0; i < MR__COUNT(scope_names); i++) {
        mr__nearest_try(&nearest, scope_names[i], i);
    }
    if (scope != NULL && scope->item_name != NULL) {
        mr__nearest_try(&nearest, scope->item_name, 0);
    }
    for (int kept = KEPT_GLOBALS; kept <= KEPT_ACTING; kept++) {
        lua_push_kept(L, kept);
        lua_pushnil(L);
        while (lua_next(L, -2) != 0) {
            lua_pop(L, 1);
            if (kept == KEPT_GLOBALS || mr__lua_acting_has(lua_of(L)->acts, lua_tostring(L, -1))) {
                mr__nearest_try(&nearest, lua_tostring(L, -1), 0);
            }
        }
        lua_pop(L, 1);
    }
    if (nearest.found != NULL) {
        return luaL_error(L, "unknown name \"%s\", did you mean \"%s\"?", key, nearest.found);
    }
    return luaL_error(L, "unknown name \"%s\"", key);
}

int mr__lua_global_index(lua_State *L)
{
    struct mr__lua *lua = lua_of(L);
    if (lua_type(L, 2) != LUA_TSTRING) {
        return luaL_error(L, "a name is a text, not a %s", luaL_typename(L, 2));
    }
    const char *key = lua_tostring(L, 2);
    if (push_scope_name(L, lua->scope, key)) {
        return 1;
    }
    if (lua->acts != NULL && mr__lua_acting_has(lua->acts, key)) {
        lua_push_kept(L, KEPT_ACTING);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return 1;
        }
        lua_pop(L, 2);
    }
    lua_push_kept(L, KEPT_GLOBALS);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        return 1;
    }
    return unknown_name(L, lua->scope, key);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static lua_Integer add_key(lua_State *L, const char *key, size_t len, lua_Integer count)
{
    mr__lua_tick(L, 2);
    lua_pushlstring(L, key, len);
    lua_rawseti(L, -2, count + 1);
    return count + 1;
}

static lua_Integer add_share_keys(lua_State *L, const struct mr__scope *scope)
{
    struct mr__blob after = {NULL, 0}, key;
    lua_Integer count = 0;
    while (scope->share_next != NULL && scope->share_next(scope, after, &key)) {
        count = add_key(L, key.data, key.len, count);
        /* What was given is borrowed: the next call needs a text that stays. */
        lua_rawgeti(L, -1, count);
        after.data = lua_tolstring(L, -1, &after.len);
        lua_pop(L, 1);
    }
    return count;
}

lua_Integer mr__lua_scope_keys(lua_State *L, int index, const struct proxy *proxy)
{
    const struct mr__scope *scope = lua_of(L)->scope;
    lua_Integer count = 0;
    (void)index;
    if (scope == NULL) {
        return 0;
    }
    switch (proxy->kind) {
    case PROXY_VARS:
        for (uint32_t i = 0; scope->vars != NULL && i < scope->vars->len; i++) {
            const char *name = scope->vars->u.map[i].key;
            count = add_key(L, name, strlen(name), count);
        }
        break;
    case PROXY_TASKS:
        for (uint32_t i = 0;
             scope->dag != NULL && scope->task != NULL && i < scope->dag->task_count; i++) {
            count = add_key(L, scope->dag->tasks[i].id, strlen(scope->dag->tasks[i].id), count);
        }
        break;
    case PROXY_TASK:
        count = add_key(L, "output", 6, count);
        count = add_key(L, "reason", 6, count);
        count = add_key(L, "status", 6, count);
        break;
    case PROXY_SHARE: count = add_share_keys(L, scope); break;
    default: break;
    }
    return count;
}
