/* SPDX-License-Identifier: MIT
 *
 * Text that grows, display width, quoting, durations.
 */
#include "sdk/cli/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define DISTANCE_CHARS_MAX 64 /* longer words are compared no further: nobody mistypes those */

static bool grow(struct mr__text *text, size_t more);

void mr__text_finish(struct mr__text *text)
{
    free(text->at);
    memset(text, 0, sizeof *text);
}

void mr__text_clear(struct mr__text *text)
{
    text->len = 0;
    text->failed = false;
    if (text->at != NULL) {
        text->at[0] = '\0';
    }
}

const char *mr__text_str(const struct mr__text *text)
{
    return text->at != NULL ? text->at : "";
}

void mr__text_add(struct mr__text *text, const char *bytes, size_t len)
{
    if (len == 0 || !grow(text, len)) {
        return;
    }
    memcpy(text->at + text->len, bytes, len);
    text->len += len;
    text->at[text->len] = '\0';
}

static bool grow(struct mr__text *text, size_t more)
{
    if (text->failed || more > SIZE_MAX / 4 || text->len > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t need = text->len + more + 1;
    if (need <= text->cap) {
        return true;
    }
    size_t cap = text->cap < 64 ? 64 : text->cap;
    while (cap < need) {
        cap *= 2;
    }
    char *at = realloc(text->at, cap);
    if (at == NULL) {
        text->failed = true;
        return false;
    }
    text->at = at;
    text->cap = cap;
    return true;
}

void mr__text_puts(struct mr__text *text, const char *string)
{
    mr__text_add(text, string, strlen(string));
}

void mr__text_printf(struct mr__text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0 || !grow(text, (size_t)len)) {
        text->failed = true;
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text->at + text->len, (size_t)len + 1, fmt, args); /* was measured above */
    va_end(args);
    text->len += (size_t)len;
}

void mr__text_fill(struct mr__text *text, char c, size_t count)
{
    if (count == 0 || !grow(text, count)) {
        return;
    }
    memset(text->at + text->len, c, count);
    text->len += count;
    text->at[text->len] = '\0';
}

void mr__text_json(struct mr__text *text, const char *bytes, size_t len)
{
    mr__text_puts(text, "\"");
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        mr__text_add(text, bytes + from, i - from);
        from = i + 1;
        if (c == '\n') {
            mr__text_puts(text, "\\n");
        } else if (c == '"' || c == '\\') {
            mr__text_printf(text, "\\%c", c);
        } else {
            mr__text_printf(text, "\\u%04x", c);
        }
    }
    mr__text_add(text, bytes + from, len - from);
    mr__text_puts(text, "\"");
}

void mr__text_shell(struct mr__text *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./,:@%+=";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        mr__text_puts(text, word);
        return;
    }
    mr__text_puts(text, "'");
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '\'') {
            mr__text_puts(text, "'\\''");
        } else {
            mr__text_add(text, c, 1);
        }
    }
    mr__text_puts(text, "'");
}

size_t mr__text_clean(struct mr__text *text, const char *bytes, size_t len, size_t width_max,
                      const char *cut)
{
    size_t width = 0;
    size_t keep_len = text->len; /* where to cut: the last place that leaves room for `cut` */
    size_t keep_width = 0;
    for (size_t i = 0, step; i < len; i += step) {
        uint32_t c = mr__text_decode(bytes + i, len - i, &step);
        bool blank = c == '\t' || c == '\n' || c == '\r';
        bool bad = c == UINT32_MAX || c < 0x20 || (c >= 0x7f && c < 0xa0);
        size_t columns = blank || bad ? 1 : mr__text_char_width(c);
        if (width + columns > width_max) {
            if (text->at != NULL && text->len > keep_len) {
                text->len = keep_len;
                text->at[keep_len] = '\0';
            }
            if (width_max == 0) {
                return 0;
            }
            mr__text_puts(text, cut);
            return keep_width + 1;
        }
        if (blank || bad) {
            mr__text_puts(text, blank ? " " : "?");
        } else {
            mr__text_add(text, bytes + i, step);
        }
        width += columns;
        if (width < width_max) {
            keep_len = text->len;
            keep_width = width;
        }
    }
    return width;
}

/* ---- characters ---------------------------------------------------------------------------- */

uint32_t mr__text_decode(const char *at, size_t left, size_t *ret_len)
{
    const unsigned char *b = (const unsigned char *)at;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *ret_len = 1;
    if (b[0] < 0x80) {
        return b[0];
    }
    size_t len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || left < len) {
        return UINT32_MAX;
    }
    uint32_t c = b[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return UINT32_MAX;
        }
        c = (c << 6) | (b[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return UINT32_MAX;
    }
    *ret_len = len;
    return c;
}

bool mr__text_is_utf8(const char *bytes, size_t len)
{
    for (size_t i = 0, step; i < len; i += step) {
        if (mr__text_decode(bytes + i, len - i, &step) == UINT32_MAX) {
            return false;
        }
    }
    return true;
}

size_t mr__text_char_width(uint32_t c)
{
    if (c < 0x7f) {
        return 1;
    }
    int width = c == UINT32_MAX ? 1 : wcwidth((wchar_t)c);
    return width < 0 ? 1 : (size_t)width;
}

size_t mr__text_width(const char *bytes, size_t len)
{
    size_t width = 0;
    for (size_t i = 0, step; i < len; i += step) {
        width += mr__text_char_width(mr__text_decode(bytes + i, len - i, &step));
    }
    return width;
}

/* ---- durations and times -----------------------------------------------------------------------
 */

void mr__text_duration(struct mr__text *text, int64_t ms)
{
    long long s = ms < 0 ? 0 : ms / 1000;
    if (s < 1) {
        mr__text_printf(text, "%lldms", ms < 0 ? 0 : (long long)ms);
    } else if (s < 10) {
        mr__text_printf(text, "%lld.%llds", s, (long long)(ms % 1000 / 100));
    } else if (s < 60) {
        mr__text_printf(text, "%llds", s);
    } else if (s < 3600) {
        mr__text_printf(text, "%lldm %02llds", s / 60, s % 60);
    } else if (s < 86400) {
        mr__text_printf(text, "%lldh %02lldm", s / 3600, s / 60 % 60);
    } else {
        mr__text_printf(text, "%lldd %02lldh", s / 86400, s / 3600 % 24);
    }
}

bool mr__text_read_duration(const char *string, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t most = INT64_C(86400000) * 36500; /* a hundred years: no sum below can overflow */
    int64_t sum = 0;
    const char *c = string;
    while (*c != '\0') {
        const char *digits = c;
        int64_t number = 0;
        for (; *c >= '0' && *c <= '9'; c++) {
            number = number * 10 + (*c - '0');
            if (number > most) {
                return false;
            }
        }
        size_t unit = strspn(c, "msdh");
        size_t u = 0;
        while (u < 5 && (strlen(units[u].name) != unit || strncmp(c, units[u].name, unit) != 0)) {
            u++;
        }
        if (c == digits || u == 5 || number > most / units[u].ms) {
            return false;
        }
        sum += number * units[u].ms;
        if (sum > most) {
            return false;
        }
        c += unit;
    }
    *ret_ms = sum;
    return c != string;
}

bool mr__text_read_time(const char *bytes, size_t len, int64_t *ret_ms)
{
    char copy[48];
    struct tm tm = {0};
    int used = 0;
    if (len >= sizeof copy) {
        return false;
    }
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    if (sscanf(copy, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
        used == 0) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    const char *c = copy + used;
    int64_t fraction = 0;
    if (*c == '.') {
        int scale = 100;
        for (c++; *c >= '0' && *c <= '9'; c++) {
            fraction += (int64_t)(*c - '0') * scale;
            scale /= 10;
        }
    }
    int64_t zone_s = 0;
    int hours = 0;
    int minutes = 0;
    if ((*c == '+' || *c == '-') && sscanf(c + 1, "%2d:%2d", &hours, &minutes) == 2) {
        zone_s = (*c == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    } else if (strcmp(c, "Z") != 0 && strcmp(c, "z") != 0) {
        return false;
    }
    *ret_ms = ((int64_t)timegm(&tm) - zone_s) * 1000 + fraction;
    return true;
}

/* ---- likeness ----------------------------------------------------------------------------------
 */

unsigned mr__text_distance(const char *a, const char *b, unsigned limit)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    unsigned rows[3][DISTANCE_CHARS_MAX + 1];
    if (a_len > DISTANCE_CHARS_MAX || b_len > DISTANCE_CHARS_MAX) {
        return limit + 1;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *twice = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                twice[j - 2] + 1 < best) {
                best = twice[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    unsigned distance = rows[a_len % 3][b_len];
    return distance > limit ? limit + 1 : distance;
}
