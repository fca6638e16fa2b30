/* SPDX-License-Identifier: MIT
 *
 * From JSON text, and from values of the model, to Lua. Integers stay integers; null is nil at the
 * top and `null` below, so that lists keep their length; an empty map is marked, so that it does
 * not go out as a list. The thread that the state belongs to; may raise.
 *
 * The JSON that other parts of the engine hand over was checked by core/base/value_parse.c; what
 * json.decode is given was not, so that this reader is as strict. It makes Lua values at once: what
 * it needs comes out of the script's own budget.
 */
#include <math.h>
#include <stdlib.h>

#include "lua/lua_impl.h"

#define NUMBER_CHARS_MAX 1000u

struct reader {
    lua_State *L;
    const char *text, *at, *end;
    const char *what;
};

static void read_value(struct reader *r, unsigned depth);

static int fail(struct reader *r, const char *message)
{
    lua_Integer line = 1;
    for (const char *c = r->text; c < r->at; c++) {
        line += *c == '\n';
    }
    return luaL_error(r->L, "%s is not JSON: line %I: %s", r->what, line, message);
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) {
        r->at++;
    }
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) {
        return false;
    }
    r->at += len;
    return true;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static unsigned long read_hex4(struct reader *r)
{
    unsigned long number = 0;
    for (int i = 0; i < 4; i++) {
        char c = r->at < r->end ? *r->at : '\0', lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') {
            number = number * 16 + (unsigned long)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            number = number * 16 + (unsigned long)(lower - 'a' + 10);
        } else {
            (void)fail(r, "not an escape of JSON");
        }
        r->at++;
    }
    return number;
}

static void add_utf8(luaL_Buffer *buffer, unsigned long c)
{
    if (c < 0x80) {
        luaL_addchar(buffer, (char)c);
        return;
    }
    if (c < 0x800) {
        luaL_addchar(buffer, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            luaL_addchar(buffer, (char)(0xe0 | c >> 12));
        } else {
            luaL_addchar(buffer, (char)(0xf0 | c >> 18));
            luaL_addchar(buffer, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        luaL_addchar(buffer, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    luaL_addchar(buffer, (char)(0x80 | (c & 0x3f)));
}

/* One escape; its backslash is read. */
static void read_escape(struct reader *r, luaL_Buffer *buffer)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : '\0';
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found != NULL) {
        luaL_addchar(buffer, into[found - from]);
        return;
    }
    if (c != 'u') {
        (void)fail(r, "not an escape of JSON");
    }
    unsigned long unit = read_hex4(r);
    if (unit >= 0xd800 && unit < 0xdc00 && take_word(r, "\\u")) {
        unsigned long low = read_hex4(r);
        if (low < 0xdc00 || low > 0xdfff) {
            (void)fail(r, "a lone surrogate");
        }
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    if (unit == 0 || (unit >= 0xd800 && unit <= 0xdfff)) {
        (void)fail(r, unit == 0 ? "text may not hold NUL" : "a lone surrogate");
    }
    add_utf8(buffer, unit);
}

static void read_text(struct reader *r)
{
    const char *begin = ++r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= ' ') {
        r->at++;
    }
    if (r->at < r->end && *r->at == '"') {
        lua_pushlstring(r->L, begin, (size_t)(r->at - begin));
        r->at++;
        return;
    }
    luaL_Buffer buffer;
    luaL_buffinit(r->L, &buffer);
    luaL_addlstring(&buffer, begin, (size_t)(r->at - begin));
    for (;;) {
        if (r->at == r->end || (unsigned char)*r->at < ' ') {
            (void)fail(r, "a text does not end");
        }
        char c = *r->at++;
        if (c == '"') {
            break;
        }
        if (c == '\\') {
            read_escape(r, &buffer);
        } else {
            luaL_addchar(&buffer, c);
        }
    }
    luaL_pushresult(&buffer);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static size_t digits(struct reader *r)
{
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return (size_t)(r->at - begin);
}

static void read_number(struct reader *r)
{
    const char *begin = r->at;
    bool whole = true;
    if (*r->at == '-') {
        r->at++;
    }
    const char *first = r->at;
    size_t count = digits(r);
    bool good = count > 0 && (count == 1 || *first != '0');
    if (good && r->at < r->end && *r->at == '.') {
        r->at++;
        whole = false;
        good = digits(r) > 0;
    }
    if (good && r->at < r->end && (*r->at | 0x20) == 'e') {
        r->at++;
        whole = false;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) {
            r->at++;
        }
        good = digits(r) > 0;
    }
    char copy[NUMBER_CHARS_MAX + 1];
    size_t len = (size_t)(r->at - begin);
    if (!good || len > NUMBER_CHARS_MAX) {
        (void)fail(r, "not a number");
    }
    memcpy(copy, begin, len);
    copy[len] = '\0';
    /* Lua too makes a number of an integer that does not fit 64 bits. Its own reader takes what has
     * at most 200 characters. */
    if (!whole || lua_stringtonumber(r->L, copy) == 0) {
        lua_pushnumber(r->L, strtod(copy, NULL));
    }
    if (!isfinite(lua_tonumber(r->L, -1))) {
        (void)fail(r, "a number that is too large");
    }
}

/* ---- lists and maps -------------------------------------------------------------------------- */

static void read_list(struct reader *r, unsigned depth)
{
    lua_Integer count = 0;
    if (take(r, ']')) {
        lua_newtable(r->L);
        return;
    }
    lua_createtable(r->L, 1, 0);
    do {
        skip_blanks(r);
        read_value(r, depth + 1);
        lua_rawseti(r->L, -2, ++count);
    } while (take(r, ','));
    if (!take(r, ']')) {
        (void)fail(r, "expected ',' or ']'");
    }
}

static void read_map(struct reader *r, unsigned depth)
{
    if (take(r, '}')) {
        lua_newtable(r->L);
        lua_push_kept(r->L, KEPT_EMPTY_META);
        lua_setmetatable(r->L, -2);
        return;
    }
    lua_createtable(r->L, 0, 1);
    do {
        skip_blanks(r);
        if (r->at == r->end || *r->at != '"') {
            (void)fail(r, "expected a key in quotes");
        }
        read_text(r);
        lua_pushvalue(r->L, -1);
        if (lua_rawget(r->L, -3) != LUA_TNIL) {
            (void)fail(r, "a key stands there twice");
        }
        lua_pop(r->L, 1);
        if (!take(r, ':')) {
            (void)fail(r, "expected ':'");
        }
        skip_blanks(r);
        read_value(r, depth + 1);
        lua_rawset(r->L, -3);
    } while (take(r, ','));
    if (!take(r, '}')) {
        (void)fail(r, "expected ',' or '}'");
    }
}

static void read_value(struct reader *r, unsigned depth)
{
    mr__lua_tick(r->L, 2);
    char c = r->at < r->end ? *r->at : '\0';
    if (c == '{' || c == '[') {
        if (depth >= MR__JSON_DEPTH_MAX) {
            (void)fail(r, "nested too deeply");
        }
        luaL_checkstack(r->L, 8, "JSON");
        r->at++;
        if (c == '{') {
            read_map(r, depth);
        } else {
            read_list(r, depth);
        }
    } else if (c == '"') {
        read_text(r);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        read_number(r);
    } else if (take_word(r, "true")) {
        lua_pushboolean(r->L, 1);
    } else if (take_word(r, "false")) {
        lua_pushboolean(r->L, 0);
    } else if (take_word(r, "null")) {
        lua_push_kept(r->L, KEPT_NULL);
    } else {
        (void)fail(r, "expected a value");
    }
}

static void null_to_nil(lua_State *L)
{
    if (is_null(L, -1)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

void mr__lua_push_json(lua_State *L, const char *json, size_t len, const char *what)
{
    struct reader r = {.L = L, .text = json, .at = json, .end = json + len, .what = what};
    mr__lua_tick(L, len / 16);
    if (!mr__utf8_valid(json, len)) {
        (void)luaL_error(L, "%s is not JSON: it is not UTF-8", what);
    }
    skip_blanks(&r);
    read_value(&r, 0);
    skip_blanks(&r);
    if (r.at < r.end) {
        (void)fail(&r, "text after the value");
    }
    null_to_nil(L);
}

/* ---- values of the model --------------------------------------------------------------------- */

static void push_value(lua_State *L, const mr_value *value)
{
    mr__lua_tick(L, 1);
    switch (value->type) {
    case MR_BOOL: lua_pushboolean(L, value->u.i != 0); break;
    case MR_INT: lua_pushinteger(L, value->u.i); break;
    case MR_NUMBER: lua_pushnumber(L, value->u.d); break;
    case MR_STRING: lua_pushlstring(L, value->u.s, value->len); break;
    case MR_LIST:
        luaL_checkstack(L, 8, "value");
        lua_createtable(L, (int)MR__MIN(value->len, 1u << 20), 0);
        for (uint32_t i = 0; i < value->len; i++) {
            push_value(L, &value->u.list[i]);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        break;
    case MR_MAP:
        luaL_checkstack(L, 8, "value");
        lua_createtable(L, 0, (int)MR__MIN(value->len, 1u << 20));
        if (value->len == 0) {
            lua_push_kept(L, KEPT_EMPTY_META);
            lua_setmetatable(L, -2);
        }
        for (uint32_t i = 0; i < value->len; i++) {
            lua_pushstring(L, value->u.map[i].key);
            push_value(L, &value->u.map[i].value);
            lua_rawset(L, -3);
        }
        break;
    default: lua_push_kept(L, KEPT_NULL); break;
    }
}

void mr__lua_push_value(lua_State *L, const mr_value *value)
{
    push_value(L, value);
    null_to_nil(L);
}
