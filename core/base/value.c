/* SPDX-License-Identifier: MIT
 *
 * Making, copying, comparing and printing values. Pure, any thread. Recursion is bounded by
 * MR__JSON_DEPTH_MAX; value_parse.c is the way back from JSON text.
 */
#include "core/base/value.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

mr_value mr__value_null(void)
{
    return (mr_value){.type = MR_NULL};
}

mr_value mr__value_bool(bool v)
{
    return (mr_value){.type = MR_BOOL, .u.i = v};
}

mr_value mr__value_int(int64_t v)
{
    return (mr_value){.type = MR_INT, .u.i = v};
}

mr_value mr__value_number(double v)
{
    return (mr_value){.type = MR_NUMBER, .u.d = v};
}

mr_value mr__value_str(const char *text, size_t len)
{
    MR_ASSERT(len <= UINT32_MAX && text[len] == '\0');
    return (mr_value){.type = MR_STRING, .len = (uint32_t)len, .u.s = text};
}

static mr_status dup_at(struct mr__arena *arena, const mr_value *value, unsigned depth,
                        mr_value *ret_value)
{
    *ret_value = *value;
    if (value->type == MR_STRING) {
        ret_value->u.s = mr__arena_dup(arena, value->u.s, value->len);
        return ret_value->u.s == NULL ? MR_ENOMEM : MR_OK;
    }
    if (value->type != MR_LIST && value->type != MR_MAP) {
        return MR_OK;
    }
    if (depth >= MR__JSON_DEPTH_MAX) {
        return MR_ELIMIT;
    }
    mr_status status = MR_OK;
    if (value->type == MR_LIST) {
        mr_value *list = mr__arena_alloc(arena, value->len * sizeof *list);
        if (list == NULL) {
            return MR_ENOMEM;
        }
        for (uint32_t i = 0; i < value->len && status == MR_OK; i++) {
            status = dup_at(arena, &value->u.list[i], depth + 1, &list[i]);
        }
        ret_value->u.list = list;
        return status;
    }
    mr_member *map = mr__arena_alloc(arena, value->len * sizeof *map);
    if (map == NULL) {
        return MR_ENOMEM;
    }
    for (uint32_t i = 0; i < value->len && status == MR_OK; i++) {
        map[i].key = mr__arena_dup(arena, value->u.map[i].key, strlen(value->u.map[i].key));
        status = map[i].key == NULL
                     ? MR_ENOMEM
                     : dup_at(arena, &value->u.map[i].value, depth + 1, &map[i].value);
    }
    ret_value->u.map = map;
    return status;
}

mr_status mr__value_dup(struct mr__arena *arena, const mr_value *value, mr_value *ret_value)
{
    mr_value copy;
    mr_status status = dup_at(arena, value, 0, &copy);
    if (status == MR_OK) {
        *ret_value = copy;
    }
    return status;
}

void mr__json_number(struct mr__buf *buf, double v)
{
    if (!isfinite(v)) {
        mr__buf_text(buf, "null");
        return;
    }
    /* The host program may have set a locale whose decimal point is a comma. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) {
        buf->failed = true;
        return;
    }
    locale_t before = uselocale(c_locale);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    (void)uselocale(before);
    freelocale(c_locale);

    mr__buf_text(buf, text);
    if (strpbrk(text, ".e") == NULL) {
        mr__buf_text(buf, ".0");
    }
}

/* How many bytes at `p` are one well-formed UTF-8 character; 0: none. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    return len <= left && mr__utf8_valid((const char *)p, len) ? len : 0;
}

static void json_escape(struct mr__buf *buf, unsigned char c)
{
    static const char names[] = "btn\0fr"; /* of 0x08 to 0x0d */
    if (c == '"' || c == '\\') {
        mr__buf_u8(buf, '\\');
        mr__buf_u8(buf, c);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        mr__buf_u8(buf, '\\');
        mr__buf_u8(buf, (uint8_t)names[c - 0x08]);
    } else {
        mr__buf_printf(buf, "\\u%04x", c);
    }
}

void mr__json_str(struct mr__buf *buf, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t done = 0, i = 0;
    mr__buf_u8(buf, '"');
    while (i < len) {
        if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\') {
            i++;
            continue;
        }
        size_t bytes = p[i] >= 0x80 ? utf8_char(p + i, len - i) : 0;
        if (bytes > 0) {
            i += bytes;
            continue;
        }
        mr__buf_bytes(buf, p + done, i - done);
        if (p[i] >= 0x80 || p[i] == 0) {
            mr__buf_text(buf, "\xef\xbf\xbd");
        } else {
            json_escape(buf, p[i]);
        }
        done = ++i;
    }
    if (len > done) { /* no text may be no pointer */
        mr__buf_bytes(buf, p + done, len - done);
    }
    mr__buf_u8(buf, '"');
}

static void print_at(struct mr__buf *buf, const mr_value *value, unsigned depth)
{
    if (depth > MR__JSON_DEPTH_MAX) {
        buf->failed = true; /* no function that makes values makes one so deep */
        return;
    }
    switch (value->type) {
    case MR_BOOL: mr__buf_text(buf, value->u.i != 0 ? "true" : "false"); break;
    case MR_INT: mr__buf_printf(buf, "%lld", (long long)value->u.i); break;
    case MR_NUMBER: mr__json_number(buf, value->u.d); break;
    case MR_STRING: mr__json_str(buf, value->u.s, value->len); break;
    case MR_LIST:
        mr__buf_u8(buf, '[');
        for (uint32_t i = 0; i < value->len; i++) {
            if (i > 0) {
                mr__buf_u8(buf, ',');
            }
            print_at(buf, &value->u.list[i], depth + 1);
        }
        mr__buf_u8(buf, ']');
        break;
    case MR_MAP:
        mr__buf_u8(buf, '{');
        for (uint32_t i = 0; i < value->len; i++) {
            if (i > 0) {
                mr__buf_u8(buf, ',');
            }
            mr__json_str(buf, value->u.map[i].key, strlen(value->u.map[i].key));
            mr__buf_u8(buf, ':');
            print_at(buf, &value->u.map[i].value, depth + 1);
        }
        mr__buf_u8(buf, '}');
        break;
    default: mr__buf_text(buf, "null"); break;
    }
}

void mr__value_print(struct mr__buf *buf, const mr_value *value)
{
    print_at(buf, value, 0);
}

bool mr__value_equal(const mr_value *a, const mr_value *b)
{
    if (a->type != b->type || a->len != b->len) {
        return false;
    }
    switch (a->type) {
    case MR_BOOL:
    case MR_INT: return a->u.i == b->u.i;
    case MR_NUMBER: return a->u.d == b->u.d;
    case MR_STRING: return a->len == 0 || memcmp(a->u.s, b->u.s, a->len) == 0;
    case MR_LIST:
        for (uint32_t i = 0; i < a->len; i++) {
            if (!mr__value_equal(&a->u.list[i], &b->u.list[i])) {
                return false;
            }
        }
        return true;
    case MR_MAP: /* in whatever order their members stand */
        for (uint32_t i = 0; i < a->len; i++) {
            const char *key = a->u.map[i].key;
            const mr_value *other =
                strcmp(key, b->u.map[i].key) == 0 ? &b->u.map[i].value : mr_value_get(b, key);
            if (other == NULL || !mr__value_equal(&a->u.map[i].value, other)) {
                return false;
            }
        }
        return true;
    default: return true;
    }
}

const char *mr__value_type_name(uint32_t type)
{
    static const char *const names[] = {"null", "bool", "int", "number", "string", "list", "map"};
    return type < MR__COUNT(names) ? names[type] : "unknown";
}

void mr__value_text(struct mr__buf *buf, const mr_value *value)
{
    if (value->type == MR_STRING) {
        mr__buf_bytes(buf, value->u.s, value->len);
    } else if (value->type != MR_NULL) {
        mr__value_print(buf, value);
    }
}

bool mr__value_from_text(struct mr__arena *arena, const char *text, size_t len, uint32_t type,
                         mr_value *ret_value)
{
    if (type == MR_STRING) {
        const char *copy = mr__arena_dup(arena, text, len);
        if (copy == NULL || memchr(text, '\0', len) != NULL) {
            return false;
        }
        *ret_value = mr__value_str(copy, len);
        return true;
    }
    /* Every other type is written as in JSON, but for blanks, of which a number or bool has none.
     */
    mr_value value;
    if (len == 0 || mr__value_parse(arena, text, len, &value, NULL) != MR_OK) {
        return false;
    }
    bool scalar = type == MR_BOOL || type == MR_INT || type == MR_NUMBER;
    if (scalar &&
        (strchr(" \t\r\n", text[0]) != NULL || strchr(" \t\r\n", text[len - 1]) != NULL)) {
        return false;
    }
    if (type == MR_NUMBER && value.type == MR_INT) {
        value = mr__value_number((double)value.u.i);
    }
    if (value.type != type) {
        return false;
    }
    *ret_value = value;
    return true;
}

mr_status mr__value_merge(struct mr__arena *arena, mr_value *into, const mr_value *over)
{
    if (over == NULL || over->type != MR_MAP || over->len == 0) {
        return MR_OK;
    }
    mr_member *members = mr__arena_alloc(arena, (into->len + over->len) * sizeof *members);
    if (members == NULL) {
        return MR_ENOMEM;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < into->len; i++) {
        if (mr_value_get(over, into->u.map[i].key) == NULL) {
            members[n++] = into->u.map[i];
        }
    }
    memcpy(members + n, over->u.map, over->len * sizeof *members);
    into->u.map = members;
    into->len = n + over->len;
    return MR_OK;
}
