/* SPDX-License-Identifier: MIT
 *
 * From Lua to JSON text: what a script returns or stores. The thread that the state belongs to; may
 * raise, with the path of what cannot be JSON: "result.a[3] is a function".
 *
 * A table with keys 1..n is a list, an empty one too unless it came in as a map; one with texts as
 * keys is a map, in key order. Metatables are not looked at: no code of the script runs here.
 */
#include <math.h>
#include <stdio.h>

#include "core/base/value.h"

#include "lua/lua_impl.h"

struct step { /* from a table to a member; key NULL: an index */
    const char *key;
    size_t len;
    lua_Integer index;
    const void *table;
};

struct writer {
    lua_State *L;
    struct mr__lua *lua;
    const char *what;
    size_t bytes_max;
    unsigned depth;
    struct step steps[MR__JSON_DEPTH_MAX];
};

static void write_value(struct writer *w, int index);

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z';
        if (!letter && text[i] != '_' && !(i > 0 && text[i] >= '0' && text[i] <= '9')) {
            return false;
        }
    }
    return len > 0;
}

/* Raises "PATH MESSAGE"; `message` begins with a verb. */
static int fail(struct writer *w, const char *message)
{
    char path[MR__LUA_PATH_KEYS_BYTES];
    size_t len = (size_t)snprintf(path, sizeof path, "%s", w->what);
    for (unsigned i = 0; i < w->depth && len < sizeof path; i++) {
        const struct step *step = &w->steps[i];
        int n = (int)MR__MIN(step->len, 64u);
        size_t room = sizeof path - len;
        if (step->key == NULL) {
            len += (size_t)snprintf(path + len, room, "[%lld]", (long long)step->index);
        } else if (is_name(step->key, step->len)) {
            len += (size_t)snprintf(path + len, room, ".%.*s", n, step->key);
        } else {
            len += (size_t)snprintf(path + len, room, "[\"%.*s\"]", n, step->key);
        }
    }
    return luaL_error(w->L, "%s %s", path, message);
}

static void write_text(struct writer *w, int index)
{
    size_t len;
    const char *text = lua_tolstring(w->L, index, &len);
    mr__lua_tick(w->L, len / 32);
    if (memchr(text, '\0', len) != NULL) {
        (void)fail(w, "is text with a NUL");
    }
    if (!mr__utf8_valid(text, len)) {
        (void)fail(w, "is text that is not UTF-8");
    }
    mr__json_str(&w->lua->out, text, len);
}

/* How many members, and whether they are those of a list; what is neither raises. */
static lua_Integer count_members(struct writer *w, int index, bool *ret_list)
{
    lua_Integer count = 0, texts = 0, last = 0;
    lua_pushnil(w->L);
    while (lua_next(w->L, index) != 0) {
        lua_pop(w->L, 1);
        mr__lua_tick(w->L, 1);
        count++;
        if (lua_type(w->L, -1) == LUA_TSTRING) {
            texts++;
        } else if (lua_isinteger(w->L, -1) && lua_tointeger(w->L, -1) >= 1) {
            last = MR__MAX(last, lua_tointeger(w->L, -1));
        } else {
            (void)fail(w, lua_type(w->L, -1) == LUA_TNUMBER ? "has a number as key that no list has"
                                                            : "has a key that is no text");
        }
    }
    if (texts > 0 && texts < count) {
        (void)fail(w, "has both numbers and texts as keys");
    }
    if (texts == 0 && last != count) {
        (void)fail(w, "is a list with holes: put null where nothing is");
    }
    *ret_list = texts == 0;
    if (count == 0 && lua_getmetatable(w->L, index)) {
        lua_push_kept(w->L, KEPT_EMPTY_META);
        *ret_list = !lua_rawequal(w->L, -1, -2);
        lua_pop(w->L, 2);
    }
    return count;
}

static struct step *enter(struct writer *w, int index)
{
    const void *table = lua_topointer(w->L, index);
    if (w->depth == MR__JSON_DEPTH_MAX) {
        (void)fail(w, "is nested too deeply");
    }
    for (unsigned i = 0; i < w->depth; i++) {
        if (w->steps[i].table == table) {
            (void)fail(w, "holds itself: a cycle");
        }
    }
    luaL_checkstack(w->L, 8, "JSON");
    w->steps[w->depth] = (struct step){.table = table};
    return &w->steps[w->depth];
}

static void write_list(struct writer *w, int index, lua_Integer count)
{
    struct mr__buf *out = &w->lua->out;
    struct step *step = enter(w, index);
    mr__buf_u8(out, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            mr__buf_u8(out, ',');
        }
        step->index = i;
        lua_rawgeti(w->L, index, i);
        w->depth++;
        write_value(w, lua_gettop(w->L));
        w->depth--;
        lua_pop(w->L, 1);
    }
    mr__buf_u8(out, ']');
}

/* Of a table or a proxy: the keys are texts. */
static void write_map(struct writer *w, int index)
{
    struct mr__buf *out = &w->lua->out;
    struct step *step = enter(w, index);
    bool first = true;
    lua_Integer count = mr__lua_push_keys(w->L, index, w->what);
    int keys = lua_gettop(w->L);
    mr__buf_u8(out, '{');
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(w->L, keys, i);
        step->key = lua_tolstring(w->L, -1, &step->len);
        lua_pushvalue(w->L, -1);
        if (lua_type(w->L, index) == LUA_TTABLE) {
            lua_rawget(w->L, index);
        } else {
            lua_gettable(w->L, index);
        }
        if (!first) {
            mr__buf_u8(out, ',');
        }
        first = false;
        w->depth++;
        write_text(w, keys + 1);
        mr__buf_u8(out, ':');
        write_value(w, keys + 2);
        w->depth--;
        lua_settop(w->L, keys);
    }
    lua_pop(w->L, 1);
    mr__buf_u8(out, '}');
}

static void write_table(struct writer *w, int index)
{
    bool list;
    lua_Integer count = count_members(w, index, &list);
    if (list) {
        write_list(w, index, count);
    } else {
        write_map(w, index);
    }
}

static void write_proxy(struct writer *w, int index)
{
    const struct proxy *proxy = to_proxy(w->L, index);
    switch (proxy->kind) {
    case PROXY_NULL: mr__buf_text(&w->lua->out, "null"); break;
    case PROXY_VARS:
    case PROXY_SHARE:
    case PROXY_TASKS:
    case PROXY_TASK:
    case PROXY_RECORD:
    case PROXY_VALUE: write_map(w, index); break;
    default: (void)fail(w, "is a part of the library");
    }
}

static void write_value(struct writer *w, int index)
{
    struct mr__buf *out = &w->lua->out;
    char message[64];
    mr__lua_tick(w->L, 1);
    switch (lua_type(w->L, index)) {
    case LUA_TNIL: mr__buf_text(out, "null"); break;
    case LUA_TBOOLEAN: mr__buf_text(out, lua_toboolean(w->L, index) ? "true" : "false"); break;
    case LUA_TSTRING: write_text(w, index); break;
    case LUA_TTABLE: write_table(w, index); break;
    case LUA_TUSERDATA: write_proxy(w, index); break;
    case LUA_TNUMBER:
        if (lua_isinteger(w->L, index)) {
            mr__buf_printf(out, "%lld", (long long)lua_tointeger(w->L, index));
        } else if (!isfinite(lua_tonumber(w->L, index))) {
            (void)fail(w, "is a number that is not finite");
        } else {
            mr__lua_tick(w->L, 100); /* its shortest form is looked for */
            mr__json_number(out, lua_tonumber(w->L, index));
        }
        break;
    default:
        (void)snprintf(message, sizeof message, "is a %s", luaL_typename(w->L, index));
        (void)fail(w, message);
    }
    if (out->len > w->bytes_max) {
        (void)fail(w, "is too large as JSON");
    }
    if (out->failed) {
        w->lua->out_of_memory = true;
        lua_pushliteral(w->L, "out of memory");
        (void)mr__lua_end(w->L, ENDED_NOMEM);
    }
}

struct mr__blob mr__lua_to_json(lua_State *L, int index, const char *what)
{
    struct mr__lua *lua = lua_of(L);
    struct writer w = {.L = L, .lua = lua, .what = what, .bytes_max = lua->budget->output_bytes};
    mr__buf_reset(&lua->out);
    luaL_checkstack(L, 8, "JSON");
    write_value(&w, lua_absindex(L, index));
    return (struct mr__blob){(const char *)lua->out.data, lua->out.len};
}
