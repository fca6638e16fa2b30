/* SPDX-License-Identifier: MIT
 *
 * The library: string.find, match, gmatch and gsub, on the matcher that counts its steps. The
 * thread that the state belongs to; may raise.
 */
#include "lua/lua_impl.h"
#include "lua/pattern.h"

static bool count_steps(void *user, unsigned steps)
{
    return mr__lua_tick_quiet(user, steps);
}

/* Raises what kept a match from being an answer; else pays for its last steps. */
static void check_match(lua_State *L, struct pattern_match *m)
{
    if (m->error[0] != '\0') {
        (void)luaL_error(L, "%s", m->error);
    }
    mr__lua_tick(L, m->steps);
    m->steps = 0;
}

static struct pattern_match make_match(lua_State *L, const char *text, size_t len,
                                       const char *pattern, size_t pattern_len)
{
    return (struct pattern_match){.text = text,
                                  .text_end = text + len,
                                  .pattern = pattern,
                                  .pattern_end = pattern + pattern_len,
                                  .more = count_steps,
                                  .user = lua_of(L)};
}

/* Capture number `i`, or the whole match where there are none. */
static void push_capture(lua_State *L, const struct pattern_match *m, int i, const char *begin,
                         const char *end)
{
    if (i >= m->captures) {
        if (i != 0) {
            (void)luaL_error(L, "invalid capture index %%%d", i + 1);
        }
        lua_pushlstring(L, begin, (size_t)(end - begin));
    } else if (m->capture[i].len == CAPTURE_POSITION) {
        lua_pushinteger(L, m->capture[i].at - m->text + 1);
    } else if (m->capture[i].len == CAPTURE_OPEN) {
        (void)luaL_error(L, "unfinished capture");
    } else {
        lua_pushlstring(L, m->capture[i].at, (size_t)m->capture[i].len);
    }
}

/* All captures; `begin` NULL: without the whole match. */
static int push_captures(lua_State *L, const struct pattern_match *m, const char *begin,
                         const char *end)
{
    int count = m->captures == 0 && begin != NULL ? 1 : m->captures;
    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++) {
        push_capture(L, m, i, begin, end);
    }
    return count;
}

/* Where the third argument says that the search begins; false: behind the text. */
static bool read_from(lua_State *L, size_t len, size_t *ret_from)
{
    lua_Integer from = luaL_optinteger(L, 3, 1);
    if (from < 0) {
        from = from < -(lua_Integer)len ? 1 : (lua_Integer)len + from + 1;
    }
    from = MR__MAX(from, 1);
    *ret_from = (size_t)from - 1;
    return *ret_from <= len;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t len, pattern_len, from;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    const char *begin, *end;
    if (!read_from(L, len, &from)) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(pattern, pattern_len))) {
        mr__lua_tick(L, 1 + (len - from) / 16 + pattern_len / 16);
        begin = pattern_find_plain(text + from, len - from, pattern, pattern_len);
        end = begin == NULL ? NULL : begin + pattern_len;
        if (end == NULL) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushinteger(L, begin - text + 1);
        lua_pushinteger(L, end - text);
        return 2;
    }
    bool anchored = pattern_len > 0 && pattern[0] == '^';
    struct pattern_match m = make_match(L, text, len, pattern + anchored, pattern_len - anchored);
    end = pattern_find(&m, text + from, anchored, &begin);
    check_match(L, &m);
    if (end == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (!find) {
        return push_captures(L, &m, begin, end);
    }
    lua_pushinteger(L, begin - text + 1);
    lua_pushinteger(L, end - text);
    return push_captures(L, &m, NULL, NULL) + 2;
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* ---- gmatch ---------------------------------------------------------------------------------- */

/* Upvalues: text, pattern, where to go on, where the last match ended (or -1). */
static int gmatch_step(lua_State *L)
{
    size_t len, pattern_len;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &len);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_len);
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct pattern_match m = make_match(L, text, len, pattern, pattern_len);
    for (; from <= len; from++) {
        const char *end = pattern_match_at(&m, text + from);
        if (end == NULL && (m.spent || m.error[0] != '\0')) {
            check_match(L, &m);
        }
        if (end != NULL && end - text != last) {
            check_match(L, &m);
            lua_pushinteger(L, end - text);
            lua_copy(L, -1, lua_upvalueindex(3));
            lua_copy(L, -1, lua_upvalueindex(4));
            return push_captures(L, &m, text + from, end);
        }
    }
    check_match(L, &m);
    lua_pushinteger(L, (lua_Integer)len + 1);
    lua_copy(L, -1, lua_upvalueindex(3));
    return 0;
}

static int string_gmatch(lua_State *L)
{
    size_t len, from;
    (void)luaL_checklstring(L, 1, &len);
    (void)luaL_checkstring(L, 2);
    if (!read_from(L, len, &from)) {
        from = len + 1;
    }
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_step, 4);
    return 1;
}

/* ---- gsub ------------------------------------------------------------------------------------ */

/* Adds the replacement text (argument 3) with its %0 to %9. */
static void add_text(lua_State *L, luaL_Buffer *buffer, const struct pattern_match *m,
                     const char *begin, const char *end)
{
    size_t len;
    const char *text = lua_tolstring(L, 3, &len), *text_end = text + len, *percent;
    mr__lua_tick(L, 1 + len / 16);
    while ((percent = memchr(text, '%', (size_t)(text_end - text))) != NULL) {
        luaL_addlstring(buffer, text, (size_t)(percent - text));
        char c = percent + 1 < text_end ? percent[1] : '\0';
        text = percent + 2;
        if (c == '%') {
            luaL_addchar(buffer, '%');
        } else if (c == '0') {
            luaL_addlstring(buffer, begin, (size_t)(end - begin));
        } else if (c >= '1' && c <= '9') {
            push_capture(L, m, c - '1', begin, end);
            (void)luaL_tolstring(L, -1, NULL); /* a position is a number */
            lua_remove(L, -2);
            mr__lua_tick(L, 1 + lua_rawlen(L, -1) / 32);
            luaL_addvalue(buffer);
        } else {
            (void)luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
    luaL_addlstring(buffer, text, (size_t)(text_end - text));
}

/* Adds what takes the place of the match; false: the match itself stays. */
static bool add_replacement(lua_State *L, luaL_Buffer *buffer, const struct pattern_match *m,
                            const char *begin, const char *end)
{
    int type = lua_type(L, 3);
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        int count = push_captures(L, m, begin, end);
        lua_call(L, count, 1);
    } else if (type == LUA_TTABLE || type == LUA_TUSERDATA) {
        push_capture(L, m, 0, begin, end);
        lua_gettable(L, 3);
    } else {
        add_text(L, buffer, m, begin, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(buffer, begin, (size_t)(end - begin));
        return false;
    }
    if (!lua_isstring(L, -1)) {
        (void)luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    mr__lua_tick(L, 1 + lua_rawlen(L, -1) / 32);
    luaL_addvalue(buffer);
    return true;
}

static int string_gsub(lua_State *L)
{
    size_t len, pattern_len;
    const char *text = luaL_checklstring(L, 1, &len), *at = text, *last = NULL;
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    int type = lua_type(L, 3);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
                         type == LUA_TFUNCTION || (type == LUA_TUSERDATA && !is_null(L, 3)),
                     3, "string/function/table");
    lua_Integer limit = luaL_optinteger(L, 4, (lua_Integer)len + 1), count = 0;
    bool anchored = pattern_len > 0 && pattern[0] == '^', changed = false;
    struct pattern_match m = make_match(L, text, len, pattern + anchored, pattern_len - anchored);
    luaL_Buffer buffer;
    if (type == LUA_TNUMBER) {
        (void)lua_tostring(L, 3);
    }
    luaL_buffinit(L, &buffer);
    while (count < limit) {
        const char *end = pattern_match_at(&m, at);
        if (m.spent || m.error[0] != '\0') {
            check_match(L, &m);
        }
        if (end != NULL && end != last) {
            count++;
            changed = add_replacement(L, &buffer, &m, at, end) || changed;
            at = last = end;
        } else if (at < m.text_end) {
            luaL_addchar(&buffer, *at++);
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    check_match(L, &m);
    if (!changed) {
        lua_pushvalue(L, 1);
    } else {
        luaL_addlstring(&buffer, at, (size_t)(m.text_end - at));
        luaL_pushresult(&buffer);
    }
    lua_pushinteger(L, count);
    return 2;
}

void mr__lua_open_patterns(lua_State *L)
{
    static const luaL_Reg functions[] = {{"find", string_find},
                                         {"gmatch", string_gmatch},
                                         {"gsub", string_gsub},
                                         {"match", string_match},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
