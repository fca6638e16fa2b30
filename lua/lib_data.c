/* SPDX-License-Identifier: MIT
 *
 * The library: json, date, and small functions over lists and maps. The thread that the state
 * belongs to; may raise.
 */
#include <stdio.h>

#include "lua/lua_impl.h"

#define DATE_BYTES_MAX 512

/* ---- json ------------------------------------------------------------------------------------ */

static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct mr__blob json = mr__lua_to_json(L, 1, "the value");
    lua_pushlstring(L, json.data, json.len);
    return 1;
}

static int json_decode(lua_State *L)
{
    size_t len;
    const char *json = luaL_checklstring(L, 1, &len);
    mr__lua_push_json(L, json, len, "the text");
    return 1;
}

/* ---- date ------------------------------------------------------------------------------------ */

struct date {
    int64_t days;                                                  /* since 1970-01-01 */
    int year, month, day, hour, minute, second, weekday, year_day; /* weekday: 0 is Sunday */
};

/* The civil calendar of a day, in eras of 400 years that begin with a March. */
static struct date make_date(int64_t ms)
{
    struct date date = {0};
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    date.days = seconds / 86400 - (seconds % 86400 < 0);
    int second = (int)(seconds - date.days * 86400);
    date.hour = second / 3600;
    date.minute = second / 60 % 60;
    date.second = second % 60;
    date.weekday = (int)(((date.days + 4) % 7 + 7) % 7);
    int64_t shifted = date.days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097 - (shifted % 146097 < 0);
    int day_of_era = (int)(shifted - era * 146097);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day + 2) / 153; /* from March */
    date.day = day - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = (int)(era * 400) + year_of_era + (date.month <= 2);
    bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    date.year_day = month < 10 ? day + 60 + leap : day - 305;
    return date;
}

static int print_part(char *text, size_t room, char part, const struct date *date)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    switch (part) {
    case 'Y': return snprintf(text, room, "%04d", date->year);
    case 'm': return snprintf(text, room, "%02d", date->month);
    case 'd': return snprintf(text, room, "%02d", date->day);
    case 'H': return snprintf(text, room, "%02d", date->hour);
    case 'M': return snprintf(text, room, "%02d", date->minute);
    case 'S': return snprintf(text, room, "%02d", date->second);
    case 'j': return snprintf(text, room, "%03d", date->year_day);
    case 'u': return snprintf(text, room, "%d", date->weekday == 0 ? 7 : date->weekday);
    case 'a': return snprintf(text, room, "%s", days[date->weekday]);
    case 'b': return snprintf(text, room, "%s", months[date->month - 1]);
    case 'F': return snprintf(text, room, "%04d-%02d-%02d", date->year, date->month, date->day);
    case 'T': return snprintf(text, room, "%02d:%02d:%02d", date->hour, date->minute, date->second);
    case '%': return snprintf(text, room, "%%");
    default: return -1;
    }
}

/* date(format, ms): UTC, from Unix milliseconds; a part of strftime that has no local form. */
static int data_date(lua_State *L)
{
    const int64_t limit = INT64_C(253402300800000); /* the year 10000 */
    char text[DATE_BYTES_MAX];
    size_t len = 0;
    const char *format = luaL_checkstring(L, 1);
    int64_t ms = luaL_checkinteger(L, 2);
    luaL_argcheck(L, ms > -limit && ms < limit, 2, "not between the years -6000 and 9999");
    struct date date = make_date(ms);
    for (; *format != '\0'; format++) {
        int n = 1;
        if (len + 16 > sizeof text) {
            return luaL_error(L, "bad argument #1 to 'date': more than %d bytes", DATE_BYTES_MAX);
        }
        if (*format != '%') {
            text[len] = *format;
        } else {
            n = print_part(text + len, sizeof text - len, *++format, &date);
        }
        if (n < 0) {
            return luaL_error(L, "bad argument #1 to 'date': it knows %%Y %%m %%d %%H %%M %%S %%F "
                                 "%%T %%j %%u %%a %%b %%%%");
        }
        len += (size_t)n;
    }
    lua_pushlstring(L, text, len);
    return 1;
}

/* ---- lists and maps -------------------------------------------------------------------------- */

static lua_Integer check_list(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, index);
}

static int data_filter(lua_State *L)
{
    lua_Integer len = check_list(L, 1), kept = 0;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= len; i++) {
        mr__lua_tick(L, 2);
        lua_pushvalue(L, 2);
        lua_rawgeti(L, 1, i);
        lua_pushvalue(L, -1);
        lua_insert(L, -3); /* item, f, item */
        lua_pushinteger(L, i);
        lua_call(L, 2, 1);
        bool keep = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (keep) {
            lua_rawseti(L, 3, ++kept);
        } else {
            lua_pop(L, 1);
        }
    }
    return 1;
}

static int data_map(lua_State *L)
{
    lua_Integer len = check_list(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= len; i++) {
        mr__lua_tick(L, 2);
        lua_pushvalue(L, 2);
        lua_rawgeti(L, 1, i);
        lua_pushinteger(L, i);
        lua_call(L, 2, 1);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_push_kept(L, KEPT_NULL); /* the list keeps its length */
        }
        lua_rawseti(L, 3, i);
    }
    return 1;
}

static int data_keys(lua_State *L)
{
    const struct proxy *proxy = to_proxy(L, 1);
    luaL_argexpected(L, lua_istable(L, 1) || (proxy != NULL && proxy->kind != PROXY_NULL), 1,
                     "table");
    (void)mr__lua_push_keys(L, 1, "keys");
    return 1;
}

static int data_contains(lua_State *L)
{
    lua_Integer len = check_list(L, 1);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    for (lua_Integer i = 1; i <= len; i++) {
        lua_rawgeti(L, 1, i);
        mr__lua_tick(L, 1 + (lua_type(L, 3) == LUA_TSTRING ? lua_rawlen(L, 3) / 64 : 0));
        if (lua_rawequal(L, 2, 3)) {
            lua_pushboolean(L, 1);
            return 1;
        }
        lua_settop(L, 2);
    }
    lua_pushboolean(L, 0);
    return 1;
}

void mr__lua_open_data(lua_State *L)
{
    static const luaL_Reg functions[] = {{"contains", data_contains}, {"date", data_date},
                                         {"filter", data_filter},     {"keys", data_keys},
                                         {"map", data_map},           {NULL, NULL}};
    static const luaL_Reg json[] = {{"decode", json_decode}, {"encode", json_encode}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_newtable(L);
    luaL_setfuncs(L, json, 0);
    mr__lua_seal(L);
    lua_setfield(L, -2, "json");
}
