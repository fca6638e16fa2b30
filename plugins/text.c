/* SPDX-License-Identifier: MIT
 *
 * Text that plugins put together; see text.h.
 */
#include "plugins/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLACEMENT     "\xef\xbf\xbd" /* U+FFFD */
#define DURATION_MS_MAX (INT64_C(36525) * 24 * 3600 * 1000)

static void json_number(struct mr__text *text, double v);

void mr__text_finish(struct mr__text *text)
{
    if (text != NULL) {
        free(text->bytes);
        *text = (struct mr__text){0};
    }
}

void mr__text_add(struct mr__text *text, const char *bytes, size_t len)
{
    if (!text->failed && text->cap - text->len <= len) {
        size_t cap = text->cap == 0 ? 256 : text->cap;
        while (cap - text->len <= len && cap <= SIZE_MAX / 2) {
            cap *= 2;
        }
        char *grown = cap - text->len <= len ? NULL : realloc(text->bytes, cap);
        if (grown == NULL) {
            text->failed = true;
        } else {
            text->bytes = grown;
            text->cap = cap;
        }
    }
    if (!text->failed) {
        if (len > 0) {
            memcpy(text->bytes + text->len, bytes, len);
        }
        text->len += len;
        text->bytes[text->len] = '\0';
    }
}

void mr__text_puts(struct mr__text *text, const char *s)
{
    mr__text_add(text, s, strlen(s));
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

void mr__text_json(struct mr__text *text, const mr_value *value)
{
    char number[24];
    switch (value->type) {
    case MR_NULL: mr__text_puts(text, "null"); break;
    case MR_BOOL: mr__text_puts(text, value->u.i != 0 ? "true" : "false"); break;
    case MR_INT:
        (void)snprintf(number, sizeof number, "%lld", (long long)value->u.i);
        mr__text_puts(text, number);
        break;
    case MR_NUMBER: json_number(text, value->u.d); break;
    case MR_STRING: mr__text_json_string(text, value->u.s, value->len); break;
    default:
        mr__text_puts(text, value->type == MR_LIST ? "[" : "{");
        for (uint32_t i = 0; i < value->len; i++) {
            mr__text_puts(text, i == 0 ? "" : ",");
            if (value->type == MR_MAP) {
                const char *key = value->u.map[i].key;
                mr__text_json_string(text, key, strlen(key));
                mr__text_puts(text, ":");
            }
            mr__text_json(text,
                          value->type == MR_LIST ? &value->u.list[i] : &value->u.map[i].value);
        }
        mr__text_puts(text, value->type == MR_LIST ? "]" : "}");
    }
}

void mr__text_json_string(struct mr__text *text, const char *bytes, size_t len)
{
    char escape[8];
    size_t done = 0; /* what needs no escape is added in one piece */
    mr__text_puts(text, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        if (c >= 0x20) {
            (void)snprintf(escape, sizeof escape, "\\%c", c);
        } else {
            (void)snprintf(escape, sizeof escape, c == '\n' ? "\\n" : "\\u%04x", c);
        }
        mr__text_add(text, bytes + done, i - done);
        mr__text_puts(text, escape);
        done = i + 1;
    }
    mr__text_add(text, bytes + done, len - done);
    mr__text_puts(text, "\"");
}

/* The shortest text that reads back as the same number, and as one with a fraction. */
static void json_number(struct mr__text *text, double v)
{
    char number[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(number, sizeof number, "%.*g", digits, v);
        if (strtod(number, NULL) == v) {
            break;
        }
    }
    char *point = strchr(number, ','); /* the host program's locale */
    if (point != NULL) {
        *point = '.';
    }
    mr__text_puts(text, number);
    if (strpbrk(number, ".e") == NULL) {
        mr__text_puts(text, ".0");
    }
}

void mr__text_plain(struct mr__text *text, const mr_value *value)
{
    if (value->type == MR_STRING) {
        mr__text_add(text, value->u.s, value->len);
    } else if (value->type != MR_NULL) {
        mr__text_json(text, value);
    }
}

void mr__text_percent(struct mr__text *text, const char *bytes, size_t len)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char escape[4];
    for (size_t i = 0; i < len; i++) {
        if (memchr(plain, bytes[i], sizeof plain - 1) != NULL) {
            mr__text_add(text, bytes + i, 1);
        } else {
            (void)snprintf(escape, sizeof escape, "%%%02X", (unsigned char)bytes[i]);
            mr__text_add(text, escape, 3);
        }
    }
}

/* ---- UTF-8 ------------------------------------------------------------------------------------
 */

void mr__text_utf8(struct mr__text *text, const char *bytes, size_t len)
{
    size_t done = 0, at = 0; /* what is good is added in one piece */
    while (at < len) {
        size_t good = mr__text_character((const unsigned char *)bytes + at, len - at);
        if (good == 0) {
            mr__text_add(text, bytes + done, at - done);
            mr__text_puts(text, REPLACEMENT);
            done = at + 1;
        }
        at += good > 0 ? good : 1;
    }
    mr__text_add(text, bytes + done, len - done);
}

size_t mr__text_character(const unsigned char *at, size_t left)
{
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0 || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)) {
        return 0; /* too long a form, a surrogate, or beyond the last character */
    }
    return len;
}

/* ---- durations --------------------------------------------------------------------------------
 */

bool mr__text_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (*at - '0');
        if (number > DURATION_MS_MAX) {
            return false;
        }
    }
    for (size_t i = 0; at > text && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(at, units[i].name) == 0 && number <= DURATION_MS_MAX / units[i].ms) {
            *ret_ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

/* ---- errors -----------------------------------------------------------------------------------
 */

mr_status mr__text_error(mr_error *reterr, mr_status status, const char *fmt, ...)
{
    va_list args;
    if (reterr != NULL) {
        reterr->status = status;
        va_start(args, fmt);
        (void)vsnprintf(reterr->message, sizeof reterr->message, fmt, args);
        va_end(args);
    }
    return status;
}
