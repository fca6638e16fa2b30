/* SPDX-License-Identifier: MIT
 *
 * Reads JSON text in place. The scan knows strings and brackets and no more: what it takes apart
 * was written by the engine.
 */
#include "sdk/cli/pick.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *at, const char *end);
static const char *skip_value(const char *at, const char *end);
static const char *skip_string(const char *at, const char *end);

struct mr__pick mr__pick_value(const char *json, size_t len)
{
    const char *end = json + len;
    const char *at = skip_blanks(json, end);
    const char *after = skip_value(at, end);
    if (after == NULL) {
        return (struct mr__pick){NULL, 0};
    }
    return (struct mr__pick){at, (size_t)(after - at)};
}

struct mr__pick mr__pick_member(struct mr__pick object, const char *name)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    size_t len = strlen(name);
    mr__pick_begin(&each, object);
    if (each.object) {
        while (mr__pick_next(&each, &key, &value)) {
            if (key.len == len && memcmp(key.at, name, len) == 0) {
                return value;
            }
        }
    }
    return (struct mr__pick){NULL, 0};
}

void mr__pick_begin(struct mr__pick_each *each, struct mr__pick container)
{
    memset(each, 0, sizeof *each);
    if (container.len >= 2 && (container.at[0] == '{' || container.at[0] == '[')) {
        each->at = container.at + 1;
        each->end = container.at + container.len - 1;
        each->object = container.at[0] == '{';
    }
}

bool mr__pick_next(struct mr__pick_each *each, struct mr__pick *ret_key, struct mr__pick *ret_value)
{
    const char *end = each->end;
    const char *at = skip_blanks(each->at, end);
    struct mr__pick key = {NULL, 0};
    if (at < end && *at == ',') {
        at = skip_blanks(at + 1, end);
    }
    if (at == end) {
        return false;
    }
    if (each->object) {
        const char *after = *at == '"' ? skip_string(at, end) : NULL;
        if (after == NULL) {
            return false;
        }
        key = (struct mr__pick){at + 1, (size_t)(after - at) - 2};
        at = skip_blanks(after, end);
        if (at == end || *at != ':') {
            return false;
        }
        at = skip_blanks(at + 1, end);
    }
    const char *after = skip_value(at, end);
    if (after == NULL) {
        each->at = end;
        return false;
    }
    *ret_key = key;
    *ret_value = (struct mr__pick){at, (size_t)(after - at)};
    each->at = after;
    return true;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at;
}

/* The place after the value that begins at `at`, or NULL if the text ends before it does. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    const char *from = at;
    while (at < end) {
        switch (*at) {
        case '"':
            at = skip_string(at, end);
            if (at == NULL || depth == 0) {
                return at;
            }
            continue;
        case '{':
        case '[': depth++; break;
        case '}':
        case ']':
            if (depth == 0) {
                return at > from ? at : NULL;
            }
            if (--depth == 0) {
                return at + 1;
            }
            break;
        case ',':
        case ':':
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            if (depth == 0) {
                return at > from ? at : NULL;
            }
            break;
        default: break;
        }
        at++;
    }
    return depth == 0 && at > from ? at : NULL;
}

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\') {
            at++;
        } else if (*at == '"') {
            return at + 1;
        }
    }
    return NULL;
}

size_t mr__pick_count(struct mr__pick container)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    size_t count = 0;
    mr__pick_begin(&each, container);
    while (mr__pick_next(&each, &key, &value)) {
        count++;
    }
    return count;
}

bool mr__pick_is(struct mr__pick value, const char *json)
{
    size_t len = strlen(json);
    return value.at != NULL && value.len == len && memcmp(value.at, json, len) == 0;
}

bool mr__pick_present(struct mr__pick value)
{
    return value.at != NULL && !mr__pick_is(value, "null");
}

bool mr__pick_text(struct mr__pick value, struct mr__text *text)
{
    if (!mr__pick_present(value)) {
        return false;
    }
    if (value.len < 2 || value.at[0] != '"') {
        mr__text_add(text, value.at, value.len);
        return true;
    }
    mr__pick_unescape((struct mr__pick){value.at + 1, value.len - 2}, text);
    return true;
}

/* The four hex digits of \uXXXX, or UINT32_MAX. */
static uint32_t read_hex4(const char *at, const char *end)
{
    char digits[5] = {0};
    char *stop;
    if (end - at < 4) {
        return UINT32_MAX;
    }
    memcpy(digits, at, 4);
    unsigned long value = strtoul(digits, &stop, 16);
    return stop == digits + 4 ? (uint32_t)value : UINT32_MAX;
}

static void add_char(struct mr__text *text, uint32_t c)
{
    char b[4];
    if (c < 0x80) {
        b[0] = (char)c;
        mr__text_add(text, b, 1);
    } else if (c < 0x800) {
        b[0] = (char)(0xc0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3f));
        mr__text_add(text, b, 2);
    } else if (c < 0x10000) {
        b[0] = (char)(0xe0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (char)(0x80 | (c & 0x3f));
        mr__text_add(text, b, 3);
    } else {
        b[0] = (char)(0xf0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3f));
        b[2] = (char)(0x80 | (c >> 6 & 0x3f));
        b[3] = (char)(0x80 | (c & 0x3f));
        mr__text_add(text, b, 4);
    }
}

void mr__pick_unescape(struct mr__pick raw, struct mr__text *text)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *end = raw.at + raw.len;
    const char *at = raw.at;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        mr__text_add(text, at, (size_t)((slash != NULL ? slash : end) - at));
        if (slash == NULL || slash + 1 == end) {
            return;
        }
        const char *known = strchr(from, slash[1]);
        at = slash + 2;
        if (slash[1] == 'u') {
            uint32_t c = read_hex4(at, end);
            at = c == UINT32_MAX ? at : at + 4;
            if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
                uint32_t low = read_hex4(at + 2, end);
                if (low >= 0xdc00 && low < 0xe000) {
                    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                }
            }
            add_char(text, c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
        } else if (known != NULL && slash[1] != '\0') {
            mr__text_add(text, to + (known - from), 1);
        } else {
            mr__text_add(text, slash + 1, 1);
        }
    }
}

bool mr__pick_equals(struct mr__pick value, const char *word)
{
    size_t len = strlen(word);
    return value.at != NULL && value.len == len + 2 && value.at[0] == '"' &&
           memcmp(value.at + 1, word, len) == 0;
}

int64_t mr__pick_int(struct mr__pick value, int64_t otherwise)
{
    char copy[32];
    char *stop;
    if (value.at == NULL || value.len == 0 || value.len >= sizeof copy) {
        return otherwise;
    }
    memcpy(copy, value.at, value.len);
    copy[value.len] = '\0';
    long long number = strtoll(copy, &stop, 10);
    return stop != copy && (*stop == '\0' || *stop == '.') ? number : otherwise;
}

int64_t mr__pick_time(struct mr__pick value)
{
    int64_t ms = 0;
    if (value.at == NULL || value.len < 2 || value.at[0] != '"' ||
        !mr__text_read_time(value.at + 1, value.len - 2, &ms)) {
        return 0;
    }
    return ms;
}
