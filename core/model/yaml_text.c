/* SPDX-License-Identifier: MIT
 *
 * Checks and repairs of a file's text before libyaml reads it. Pure, any thread.
 *
 * JSON writes characters beyond U+FFFF as two escapes, \ud83d\ude00, which libyaml refuses. In
 * double-quoted text, and only there, a pair is rewritten as \U0001f600; where such text begins and
 * ends is asked of libyaml itself, from a copy in which every pair was made harmless in its place.
 */
#include "core/model/yaml_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define PAIR_CHARS 12u /* \ud83d\ude00 */
#define LONG_CHARS 10u /* \U0001f600 */

struct pair {
    size_t offset; /* in bytes */
    size_t index;  /* in characters */
    bool quoted;   /* in double-quoted text */
};

static mr_status check_bytes(const char *text, size_t len, struct mr__problems *problems);
static mr_status find_pairs(const char *text, size_t len, struct pair **ret_pairs,
                            size_t *ret_count);
static mr_status find_quoted(const char *text, size_t len, struct pair *pairs, size_t count);
static mr_status rewrite(struct mr__yaml_text *source, const struct pair *pairs, size_t count);

mr_status mr__yaml_text_init(struct mr__yaml_text *source, const char *text, size_t len,
                             struct mr__problems *problems)
{
    memset(source, 0, sizeof *source);
    struct mr__pos top = {.line = 1, .column = 1};
    if (len > MR__DAG_FILE_BYTES_MAX) {
        mr__problem_add(problems, "E002", top, NULL,
                        "the file has %zu bytes; at most %u MiB are allowed", len,
                        MR__DAG_FILE_BYTES_MAX >> 20);
        return MR_EDEFINITION;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    mr_status status = check_bytes(text, len, problems);
    if (status != MR_OK) {
        return status;
    }
    source->text = text;
    source->len = len;
    struct pair *pairs = NULL;
    size_t count = 0;
    status = find_pairs(text, len, &pairs, &count);
    if (status == MR_OK && count > 0) {
        status = find_quoted(text, len, pairs, count);
        if (status == MR_OK) {
            status = rewrite(source, pairs, count);
        }
    }
    mr__free(pairs);
    if (status != MR_OK) {
        mr__yaml_text_finish(source);
    }
    return status;
}

void mr__yaml_text_finish(struct mr__yaml_text *source)
{
    mr__free(source->copy);
    mr__free(source->shifts);
    memset(source, 0, sizeof *source);
}

/* How many bytes at `p` are one well-formed UTF-8 character; 0: none. */
static size_t char_bytes(const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return bytes <= left && mr__utf8_valid(p, bytes) ? bytes : 0;
}

/* What makes the character of `bytes` bytes at `p` impossible in a dag file, or NULL. */
static const char *bad_char(const char *p, size_t bytes)
{
    unsigned char c = (unsigned char)p[0], d = bytes > 1 ? (unsigned char)p[1] : 0;
    if (bytes == 0) {
        return "this byte is not UTF-8";
    }
    if (c == 0) {
        return "a NUL byte";
    }
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f ||
        (c == 0xc2 && d < 0xa0 && d != 0x85)) {
        return "a control character (in double quotes it can be written as \\xNN)";
    }
    /* YAML 1.2 reads these as text, libyaml, which is of YAML 1.1, as the end of a line. */
    if ((c == 0xc2 && d == 0x85) ||
        (bytes == 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0))) {
        return "a line separator other than a newline (in double quotes it can be written as "
               "\\u0085, \\u2028 or \\u2029)";
    }
    if (bytes == 3 &&
        (memcmp(p, "\xef\xbb\xbf", 3) == 0 || (c == 0xef && d == 0xbf && (p[2] & 0x3f) >= 0x3e))) {
        return "a character that no text may hold";
    }
    return NULL;
}

static mr_status check_bytes(const char *text, size_t len, struct mr__problems *problems)
{
    struct mr__pos pos = {.line = 1, .column = 1};
    for (size_t i = 0; i < len;) {
        if (text[i] >= 0x20 && text[i] < 0x7f) {
            i++;
            pos.column++;
            continue;
        }
        size_t bytes = char_bytes(text + i, len - i);
        const char *what = bad_char(text + i, bytes);
        if (what != NULL) {
            mr__problem_add(problems, bytes == 0 ? "E003" : "E004", pos, NULL, "%s", what);
            return MR_EDEFINITION;
        }
        bool crlf = text[i] == '\r' && i + 1 < len && text[i + 1] == '\n';
        if (text[i] == '\n' || (text[i] == '\r' && !crlf)) {
            pos.line++;
            pos.column = 1;
        } else {
            pos.column++;
        }
        i += bytes;
    }
    return MR_OK;
}

/* The four hexadecimal digits of a \u escape at `p`, or 0. */
static unsigned unit_at(const char *p)
{
    unsigned unit = 0;
    if (p[0] != '\\' || p[1] != 'u') {
        return 0;
    }
    for (int i = 2; i < 6; i++) {
        char lower = (char)(p[i] | 0x20);
        if (p[i] >= '0' && p[i] <= '9') {
            unit = unit * 16 + (unsigned)(p[i] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            unit = unit * 16 + (unsigned)(lower - 'a') + 10;
        } else {
            return 0;
        }
    }
    return unit;
}

static bool is_pair(const char *p, size_t left)
{
    if (left < PAIR_CHARS) {
        return false;
    }
    unsigned high = unit_at(p), low = unit_at(p + 6);
    return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}

static mr_status find_pairs(const char *text, size_t len, struct pair **ret_pairs,
                            size_t *ret_count)
{
    struct pair *pairs = NULL;
    size_t count = 0, cap = 0, index = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' && is_pair(text + i, len - i)) {
            if (count == cap) {
                cap = cap == 0 ? 16 : cap * 2;
                struct pair *more = mr__realloc(pairs, cap * sizeof *pairs);
                if (more == NULL) {
                    mr__free(pairs);
                    return MR_ENOMEM;
                }
                pairs = more;
            }
            pairs[count++] = (struct pair){.offset = i, .index = index};
            i += PAIR_CHARS - 1;
            index += PAIR_CHARS;
        } else if (text[i] == '\\' && i + 1 < len && text[i + 1] == '\\') {
            i++; /* an escaped backslash escapes nothing */
            index += 2;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            index++;
        }
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return MR_OK;
}

static mr_status find_quoted_in_events(yaml_parser_t *parser, struct pair *pairs, size_t count)
{
    size_t next = 0;
    bool more = true;
    while (more && next < count) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            /* What is wrong will be found again, and told, when the tree is read; if it is within
             * quotes, then behind pairs that are good. */
            bool in_quotes = parser->context != NULL && strstr(parser->context, "quoted") != NULL;
            for (; in_quotes && next < count; next++) {
                pairs[next].quoted = pairs[next].index > parser->context_mark.index &&
                                     pairs[next].index < parser->problem_mark.index;
            }
            return parser->error == YAML_MEMORY_ERROR ? MR_ENOMEM : MR_OK;
        }
        if (event.type == YAML_SCALAR_EVENT) {
            bool quoted = event.data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
            while (next < count && pairs[next].index < event.end_mark.index) {
                pairs[next].quoted = quoted && pairs[next].index > event.start_mark.index;
                next++;
            }
        }
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return MR_OK;
}

static mr_status find_quoted(const char *text, size_t len, struct pair *pairs, size_t count)
{
    char *harmless = mr__malloc(len);
    if (harmless == NULL) {
        return MR_ENOMEM;
    }
    memcpy(harmless, text, len);
    for (size_t i = 0; i < count; i++) {
        /* \ud83d\ude00 becomes \ue83d\uee00: two escapes of as many characters that libyaml takes.
         */
        harmless[pairs[i].offset + 2] = 'e';
        harmless[pairs[i].offset + 8] = 'e';
    }
    yaml_parser_t parser;
    mr_status status = MR_ENOMEM;
    if (yaml_parser_initialize(&parser)) {
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)harmless, len);
        status = find_quoted_in_events(&parser, pairs, count);
        yaml_parser_delete(&parser);
    }
    mr__free(harmless);
    return status;
}

static mr_status rewrite(struct mr__yaml_text *source, const struct pair *pairs, size_t count)
{
    const char *text = source->text;
    size_t len = source->len;
    source->copy = mr__malloc(len + 1);
    source->shifts = mr__malloc(count * sizeof *source->shifts);
    if (source->copy == NULL || source->shifts == NULL) {
        return MR_ENOMEM;
    }
    char *to = source->copy;
    uint32_t line = 0, column = 0;
    size_t next = 0;
    for (size_t i = 0; i < len;) {
        if (next < count && pairs[next].offset == i) {
            bool quoted = pairs[next++].quoted;
            if (quoted) {
                unsigned high = unit_at(text + i) - 0xd800, low = unit_at(text + i + 6) - 0xdc00;
                to += snprintf(to, LONG_CHARS + 1, "\\U%08x", 0x10000 + (high << 10 | low));
                source->shifts[source->shift_count++] =
                    (struct mr__yaml_shift){.line = line, .column = column};
                i += PAIR_CHARS;
                column += LONG_CHARS;
                continue;
            }
        }
        char c = text[i++];
        *to++ = c;
        if (c == '\n' || (c == '\r' && !(i < len && text[i] == '\n'))) {
            line++;
            column = 0;
        } else if (((unsigned char)c & 0xc0) != 0x80) {
            column++;
        }
    }
    source->text = source->copy;
    source->len = (size_t)(to - source->copy);
    return MR_OK;
}

/* How many shifts stand before a place. */
static size_t shifts_before(const struct mr__yaml_text *source, uint32_t line, uint32_t column)
{
    size_t low = 0, high = source->shift_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mr__yaml_shift *shift = &source->shifts[middle];
        if (shift->line < line || (shift->line == line && shift->column < column)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t mr__yaml_text_column(const struct mr__yaml_text *source, uint32_t line, uint32_t column)
{
    if (source->shift_count == 0) {
        return column;
    }
    size_t on_line = shifts_before(source, line, column) - shifts_before(source, line, 0);
    return column + (uint32_t)on_line * (PAIR_CHARS - LONG_CHARS);
}
