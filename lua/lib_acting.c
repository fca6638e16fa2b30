/* SPDX-License-Identifier: MIT
 *
 * The library of the acting tier: what lua: tasks, hooks and actions can do, each a call of struct
 * mr__lua_acts. A call that is NULL there is a name that the script does not know. The thread that
 * the state belongs to; may raise.
 */
#include <math.h>

#include "core/base/clock.h"
#include "lua/lua_impl.h"

/* An action's task has these calls too: `task.trace(...)` and `task:trace(...)` are the same. */
static const struct mr__lua_acts *begin_call(lua_State *L)
{
    const struct proxy *proxy = to_proxy(L, 1);
    if (proxy != NULL && proxy->kind == PROXY_RECORD && lua_getiuservalue(L, 1, 2) == LUA_TSTRING) {
        bool task = strcmp(lua_tostring(L, -1), "task") == 0;
        lua_pop(L, 1);
        if (task) {
            lua_remove(L, 1);
        }
    }
    return lua_of(L)->acts;
}

void mr__lua_check_host(lua_State *L, mr_status status, const mr_error *error)
{
    if (status == MR_OK) {
        return;
    }
    if (status == MR_ENOMEM || status == MR_ECANCELED) {
        lua_pushstring(L, mr_status_text(status));
        (void)mr__lua_end(L, status == MR_ENOMEM ? ENDED_NOMEM : ENDED_CANCELED);
    }
    (void)luaL_error(L, "%s", error->message[0] != '\0' ? error->message : mr_status_text(status));
}

/* All arguments as one text with `between` between two of them, on top. */
static const char *push_line(lua_State *L, const char *between, size_t *ret_len)
{
    int count = lua_gettop(L);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addstring(&buffer, between);
        }
        (void)mr__lua_push_text(L, i, NULL);
        mr__lua_tick(L, 1 + lua_rawlen(L, -1) / 16);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    return lua_tolstring(L, -1, ret_len);
}

static int acting_trace(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    size_t len;
    const char *line = push_line(L, " ", &len);
    acts->trace(acts->user, line, len);
    return 0;
}

static int acting_print(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    size_t len;
    (void)push_line(L, "\t", &len);
    lua_pushliteral(L, "\n");
    lua_concat(L, 2);
    const char *line = lua_tolstring(L, -1, &len);
    acts->log(acts->user, 1, line, len);
    return 0;
}

/* Milliseconds, or a text such as 10s. */
static int64_t check_duration(lua_State *L, int argument, const char *function)
{
    size_t len;
    int64_t ms;
    if (lua_type(L, argument) != LUA_TSTRING) {
        return luaL_checkinteger(L, argument);
    }
    const char *text = lua_tolstring(L, argument, &len);
    if (!mr__duration_parse(text, len, &ms)) {
        (void)luaL_error(L, "bad argument #%d to '%s': \"%s\" is no duration such as 10s", argument,
                         function, text);
    }
    return ms;
}

static int acting_sleep(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    mr_error error = {0};
    int64_t ms = check_duration(L, 1, "sleep");
    mr_status status = acts->sleep(acts->user, MR__MAX(ms, 0));
    mr__lua_check_host(L, status, &error);
    return 0;
}

static int acting_heartbeat(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    acts->heartbeat(acts->user);
    return 0;
}

static int acting_progress(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    double fraction = luaL_optnumber(L, 1, NAN);
    acts->progress(acts->user, fraction, luaL_optstring(L, 2, NULL));
    return 0;
}

static int acting_lock(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    mr_error error = {0};
    int64_t fence = 0;
    const char *name = luaL_checkstring(L, 1);
    int64_t wait_ms = lua_isnoneornil(L, 2) ? -1 : MR__MAX(check_duration(L, 2, "lock"), 0);
    int64_t ttl_ms = lua_isnoneornil(L, 3) ? 0 : check_duration(L, 3, "lock");
    mr_status status = acts->lock(acts->user, name, wait_ms, ttl_ms, &fence, &error);
    if (status == MR_EBUSY || status == MR_ETIMEDOUT) {
        lua_pushnil(L);
        return 1;
    }
    mr__lua_check_host(L, status, &error);
    lua_pushinteger(L, fence);
    return 1;
}

static int acting_unlock(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    lua_pushboolean(L, acts->unlock(acts->user, luaL_checkstring(L, 1)) == MR_OK);
    return 1;
}

static int acting_canceled(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    lua_pushboolean(L, acts->canceled(acts->user));
    return 1;
}

static int acting_now(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    lua_pushinteger(L, acts->now_ms(acts->user));
    return 1;
}

static int acting_flush(lua_State *L)
{
    const struct mr__lua_acts *acts = begin_call(L);
    mr_error error = {0};
    mr_status status = acts->share_flush(acts->user, &error);
    mr__lua_check_host(L, status, &error);
    return 0;
}

/* Ends the script; no pcall goes on after it. */
static int acting_fail(lua_State *L)
{
    (void)begin_call(L);
    if (lua_isnone(L, 1)) {
        lua_pushliteral(L, "failed");
    } else {
        (void)mr__lua_push_text(L, 1, NULL);
    }
    return mr__lua_end(L, ENDED_FAILED);
}

static const luaL_Reg functions[] = {{"canceled", acting_canceled},
                                     {"fail", acting_fail},
                                     {"flush", acting_flush},
                                     {"heartbeat", acting_heartbeat},
                                     {"lock", acting_lock},
                                     {"log", acting_print},
                                     {"now", acting_now},
                                     {"print", acting_print},
                                     {"progress", acting_progress},
                                     {"sleep", acting_sleep},
                                     {"trace", acting_trace},
                                     {"unlock", acting_unlock},
                                     {NULL, NULL}};

bool mr__lua_acting_has(const struct mr__lua_acts *acts, const char *name)
{
    if (acts == NULL) {
        return false;
    }
    switch (name[0]) {
    case 'c': return strcmp(name, "canceled") != 0 || acts->canceled != NULL;
    case 'f': return strcmp(name, "flush") != 0 || acts->share_flush != NULL;
    case 'h': return strcmp(name, "heartbeat") != 0 || acts->heartbeat != NULL;
    case 'l':
        return (strcmp(name, "log") != 0 || acts->log != NULL) &&
               (strcmp(name, "lock") != 0 || acts->lock != NULL);
    case 'n': return strcmp(name, "now") != 0 || acts->now_ms != NULL;
    case 'p':
        return (strcmp(name, "print") != 0 || acts->log != NULL) &&
               (strcmp(name, "progress") != 0 || acts->progress != NULL);
    case 's': return strcmp(name, "sleep") != 0 || acts->sleep != NULL;
    case 't': return strcmp(name, "trace") != 0 || acts->trace != NULL;
    case 'u': return strcmp(name, "unlock") != 0 || acts->unlock != NULL;
    default: return true;
    }
}

void mr__lua_open_acting(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    mr__lua_open_math(L, true);
}
