/* SPDX-License-Identifier: MIT
 *
 * Actions written as one Lua file: what the file returns is read and checked; its functions are
 * called, one phase at a time. The file is run anew for each call, in a fresh environment, so that
 * attempts share nothing but what they store. The thread that the state belongs to.
 */
#include <stdio.h>

#include "core/model/nearest.h"
#include "lua/lua_impl.h"

static const char *const action_fields[] = {"help", "idempotent", "name",       "params",
                                            "run",  "run_after",  "run_before", "retry_before"};
static const char *const param_fields[] = {"default", "help", "name", "required", "type"};

static const struct {
    const char *name;
    unsigned flag;
} phases[] = {
    [MR__LUA_RUN] = {"run", 0},
    [MR__LUA_RUN_BEFORE] = {"run_before", MR__LUA_HAS_RUN_BEFORE},
    [MR__LUA_RUN_AFTER] = {"run_after", MR__LUA_HAS_RUN_AFTER},
    [MR__LUA_RETRY_BEFORE] = {"retry_before", MR__LUA_HAS_RETRY_BEFORE},
};

static struct chunk_source source_of(const struct mr__lua_file *file)
{
    return (struct chunk_source){.version = file->digest,
                                 .kind = CHUNK_FILE,
                                 .text = file->text,
                                 .len = file->len,
                                 .line = 1};
}

/* Runs the file; the table that it returns is on top. */
static void run_file(lua_State *L, const struct mr__lua_file *file)
{
    struct chunk_source source = source_of(file);
    mr__lua_push_chunk(L, &source);
    mr__lua_push_environment(L);
    (void)lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1)) {
        (void)luaL_error(L, "the file returns no table but a %s", luaL_typename(L, -1));
    }
}

/* ---- read ------------------------------------------------------------------------------------ */

struct reading {
    const struct mr__lua_file *file;
    struct mr__arena *arena;
    struct mr__lua_action action;
};

/* Raises a message without a place, which then gets the file's first line: what a table holds has
 * no line of its own. */
MR__PRINTF(2, 3)
static int refuse(lua_State *L, const char *fmt, ...)
{
    char text[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    lua_pushstring(L, text);
    return lua_error(L);
}

static void *arena_alloc(lua_State *L, struct reading *r, size_t bytes)
{
    void *memory = mr__arena_alloc(r->arena, bytes);
    if (memory == NULL) {
        lua_pushliteral(L, "out of memory");
        (void)mr__lua_end(L, ENDED_NOMEM);
    }
    return memory;
}

/* A copy of the text on top, which it pops. */
static const char *take_text(lua_State *L, struct reading *r, const char *what)
{
    size_t len;
    if (lua_type(L, -1) != LUA_TSTRING) {
        (void)refuse(L, "%s is no text but a %s", what, luaL_typename(L, -1));
    }
    const char *text = lua_tolstring(L, -1, &len);
    if (!mr__utf8_valid(text, len) || memchr(text, '\0', len) != NULL) {
        (void)refuse(L, "%s is text that is not UTF-8", what);
    }
    char *copy = memcpy(arena_alloc(L, r, len + 1), text, len);
    lua_pop(L, 1);
    return copy;
}

static const char *optional_text(lua_State *L, struct reading *r, const char *field,
                                 const char *what)
{
    lua_pushstring(L, field);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    return take_text(L, r, what);
}

static bool optional_bool(lua_State *L, const char *field)
{
    lua_pushstring(L, field);
    int type = lua_rawget(L, -2);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
        (void)refuse(L, "\"%s\" is neither true nor false", field);
    }
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The table on top has no fields but these. */
static void check_fields(lua_State *L, const char *what, const char *const *fields, size_t count)
{
    (void)mr__lua_push_keys(L, -1, what);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        bool known = false;
        struct mr__nearest nearest;
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "1";
        mr__nearest_init(&nearest, key, NULL);
        for (size_t j = 0; j < count; j++) {
            known = known || strcmp(fields[j], key) == 0;
            mr__nearest_try(&nearest, fields[j], j);
        }
        if (!known && nearest.found != NULL) {
            (void)refuse(L, "%s has no field \"%.64s\", did you mean \"%s\"?", what, key,
                         nearest.found);
        } else if (!known) {
            (void)refuse(L, "%s has no field \"%.64s\"", what, key);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static uint32_t read_type(lua_State *L, const char *param)
{
    static const char *const names[] = {
        [MR_NULL] = "any",      [MR_BOOL] = "bool", [MR_INT] = "int", [MR_NUMBER] = "number",
        [MR_STRING] = "string", [MR_LIST] = "list", [MR_MAP] = "map"};
    uint32_t type = MR_NULL;
    lua_pushliteral(L, "type");
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        return MR_NULL;
    }
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    while (type < MR__COUNT(names) && strcmp(names[type], text) != 0) {
        type++;
    }
    if (type == MR__COUNT(names)) {
        (void)refuse(L, "param \"%.64s\": type is string, int, number, bool, list, map or any",
                     param);
    }
    lua_pop(L, 1);
    return type;
}

static const char *read_default(lua_State *L, struct reading *r)
{
    lua_pushliteral(L, "default");
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    struct mr__blob json = mr__lua_to_json(L, -1, "default");
    char *copy = memcpy(arena_alloc(L, r, json.len + 1), json.data, json.len);
    lua_pop(L, 1);
    return copy;
}

/* One param: its table is on top, which is popped. `name` is NULL where the table names itself. */
static void read_param(lua_State *L, struct reading *r, const char *name,
                       struct mr__lua_param *ret_param)
{
    if (!lua_istable(L, -1)) {
        (void)refuse(L, "a param is no table but a %s", luaL_typename(L, -1));
    }
    check_fields(L, "a param", param_fields, MR__COUNT(param_fields));
    const char *own = optional_text(L, r, "name", "the name of a param");
    ret_param->name = name != NULL ? name : own;
    if (ret_param->name == NULL || ret_param->name[0] == '\0') {
        (void)refuse(L, "a param has no name");
    }
    ret_param->help = optional_text(L, r, "help", "the help of a param");
    ret_param->type = read_type(L, ret_param->name);
    ret_param->default_json = read_default(L, r);
    ret_param->required = optional_bool(L, "required");
    if (ret_param->required && ret_param->default_json != NULL) {
        (void)refuse(L, "param \"%.64s\" is required and has a default", ret_param->name);
    }
    lua_pop(L, 1);
}

/* `params` is on top: a list of tables, or a map from names to tables, which is read by name. */
static void read_params(lua_State *L, struct reading *r)
{
    if (!lua_istable(L, -1)) {
        (void)refuse(L, "params is no table but a %s", luaL_typename(L, -1));
    }
    lua_Integer count = mr__lua_push_keys(L, -1, "params");
    if (count > (lua_Integer)MR__LUA_PARAMS_MAX) {
        (void)refuse(L, "more than %u params", MR__LUA_PARAMS_MAX);
    }
    struct mr__lua_param *params = arena_alloc(L, r, (size_t)count * sizeof *params);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        bool named = lua_type(L, -1) == LUA_TSTRING;
        if (!named && !(lua_isinteger(L, -1) && lua_tointeger(L, -1) == i)) {
            (void)refuse(L, "params is neither a list nor a map");
        }
        lua_pushvalue(L, -1);
        const char *name = named ? take_text(L, r, "the name of a param") : NULL;
        if (!named) {
            lua_pop(L, 1);
        }
        lua_rawget(L, -3);
        read_param(L, r, name, &params[i - 1]);
        for (lua_Integer j = 1; j < i; j++) {
            if (strcmp(params[j - 1].name, params[i - 1].name) == 0) {
                (void)refuse(L, "param \"%.64s\" stands there twice", params[i - 1].name);
            }
        }
    }
    lua_pop(L, 1);
    r->action.params = params;
    r->action.param_count = (uint32_t)count;
}

static int read_body(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);
    run_file(L, r->file);
    check_fields(L, "an action", action_fields, MR__COUNT(action_fields));
    r->action.name = optional_text(L, r, "name", "name");
    if (r->action.name == NULL) {
        return refuse(L, "the action has no name");
    }
    if (!mr__id_valid(r->action.name, strlen(r->action.name))) {
        return refuse(L, "\"%.128s\" is no name of an action", r->action.name);
    }
    r->action.help = optional_text(L, r, "help", "help");
    r->action.idempotent = optional_bool(L, "idempotent");
    for (size_t i = 0; i < MR__COUNT(phases); i++) {
        lua_pushstring(L, phases[i].name);
        int type = lua_rawget(L, -2);
        if (type != LUA_TFUNCTION && (type != LUA_TNIL || i == MR__LUA_RUN)) {
            return refuse(L, "%s is no function but a %s", phases[i].name, luaL_typename(L, -1));
        }
        r->action.phases |= type == LUA_TFUNCTION ? phases[i].flag : 0;
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "params");
    if (lua_rawget(L, -2) != LUA_TNIL) {
        read_params(L, r);
    }
    return 0;
}

mr_status mr__lua_action_read(struct mr__lua *lua, const struct mr__lua_file *file,
                              struct mr__arena *arena, struct mr__lua_action *ret_action,
                              mr_error *reterr)
{
    struct reading r = {.file = file, .arena = arena};
    struct mr__lua_call call = {.budget = &mr__lua_budget_worker, .file = file->path};
    mr_status status = mr__lua_protect(lua, &call, read_body, &r, reterr);
    if (status == MR_OK) {
        *ret_action = r.action;
        return MR_OK;
    }
    if (status != MR_ENOMEM && reterr != NULL) {
        reterr->status = MR_EINVAL;
    }
    return status == MR_ENOMEM ? status : MR_EINVAL;
}

/* ---- call ------------------------------------------------------------------------------------ */

struct calling {
    const struct mr__lua_file *file;
    const struct mr__lua_task *task;
    enum mr__lua_phase phase;
};

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (text == NULL) {
        lua_push_kept(L, KEPT_NULL);
    } else {
        lua_pushstring(L, text);
    }
    lua_setfield(L, -2, field);
}

static void set_value(lua_State *L, const char *field, const mr_value *value)
{
    if (value == NULL) {
        lua_newtable(L);
    } else {
        mr__lua_push_value(L, value);
    }
    lua_setfield(L, -2, field);
}

/* The calls of the acting tier that are there are fields of the task, too. */
static void add_calls(lua_State *L)
{
    lua_push_kept(L, KEPT_ACTING);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (lua_iscfunction(L, -1) && mr__lua_acting_has(lua_of(L)->acts, lua_tostring(L, -2))) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -5);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void push_task(lua_State *L, const struct mr__lua_task *task)
{
    lua_newtable(L);
    set_text(L, "id", task->id);
    set_text(L, "run", task->run);
    set_text(L, "dag", task->dag);
    set_text(L, "key", task->key);
    set_text(L, "folder", task->folder);
    lua_pushinteger(L, task->attempt);
    lua_setfield(L, -2, "attempt");
    set_value(L, "params", task->params);
    set_value(L, "vars", task->vars);
    if (lua_of(L)->acts->value != NULL) {
        lua_push_kept(L, KEPT_VALUE);
        lua_setfield(L, -2, "value");
    }
    lua_push_kept(L, KEPT_SHARE);
    lua_setfield(L, -2, "share");
    add_calls(L);
    mr__lua_push_record(L, "task");
}

static int call_body(lua_State *L)
{
    struct calling *c = lua_touserdata(L, 1);
    run_file(L, c->file);
    lua_pushstring(L, phases[c->phase].name);
    if (lua_rawget(L, -2) != LUA_TFUNCTION) {
        return refuse(L, "%s is no function", phases[c->phase].name);
    }
    push_task(L, c->task);
    lua_call(L, 1, 1);
    mr__buf_reset(&lua_of(L)->out);
    if (!lua_isnil(L, -1)) {
        (void)mr__lua_to_json(L, -1, "the result");
    }
    return 0;
}

mr_status mr__lua_action_call(struct mr__lua *lua, const struct mr__lua_file *file,
                              enum mr__lua_phase phase, const struct mr__lua_task *task,
                              const struct mr__scope *scope, const struct mr__lua_acts *acts,
                              const struct mr__lua_budget *budget, struct mr__buf *output,
                              mr_error *reterr)
{
    struct calling c = {.file = file, .task = task, .phase = phase};
    struct mr__lua_call call = {.scope = scope, .acts = acts, .budget = budget, .file = file->path};
    MR_ASSERT(acts != NULL && (size_t)phase < MR__COUNT(phases));
    mr_status status = mr__lua_protect(lua, &call, call_body, &c, reterr);
    return status == MR_OK ? mr__lua_give_output(lua, output, reterr) : status;
}
