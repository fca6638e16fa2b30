/* SPDX-License-Identifier: MIT
 *
 * A problem of a dag file as a person reads it.
 */
#include "sdk/cli/caret.h"

#define SOURCE_COLUMNS_MAX 160 /* a longer line is cut around the caret */
#define SOURCE_BEFORE      60
#define GUTTER_COLUMNS     4 /* of the line's number */

static void add_source(struct mr__text *text, struct mr__pick problem, int64_t line,
                       int64_t column);

static void add_clean(struct mr__text *text, struct mr__pick value)
{
    struct mr__text plain = {0};
    (void)mr__pick_text(value, &plain);                                        /* absent: nothing */
    (void)mr__text_clean(text, mr__text_str(&plain), plain.len, SIZE_MAX, ""); /* on one line */
    mr__text_finish(&plain);
}

void mr__caret_add(struct mr__text *text, struct mr__pick problem, bool color)
{
    struct mr__pick code = mr__pick_member(problem, "code");
    int64_t line = mr__pick_int(mr__pick_member(problem, "line"), 0);
    int64_t column = mr__pick_int(mr__pick_member(problem, "column"), 0);
    bool warning = code.len > 1 && code.at[1] == 'W';
    if (mr__pick_present(mr__pick_member(problem, "file"))) {
        add_clean(text, mr__pick_member(problem, "file"));
    } else {
        mr__text_puts(text, "millrace");
    }
    if (line > 0) {
        mr__text_printf(text, ":%lld:%lld", (long long)line, (long long)(column > 0 ? column : 1));
    }
    mr__text_puts(text, color ? (warning ? ": \033[33m" : ": \033[31m") : ": ");
    mr__text_puts(text, warning ? "warning" : "error");
    if (mr__pick_present(code)) {
        mr__text_puts(text, "[");
        add_clean(text, code);
        mr__text_puts(text, "]");
    }
    mr__text_puts(text, color ? "\033[0m: " : ": ");
    add_clean(text, mr__pick_member(problem, "message"));
    add_source(text, problem, line, column);
    mr__text_puts(text, "\n");
}

static void add_suggestion(struct mr__text *text, struct mr__pick problem, const char *before)
{
    struct mr__pick suggestion = mr__pick_member(problem, "suggestion");
    int64_t line = mr__pick_int(mr__pick_member(problem, "suggestionLine"), 0);
    if (!mr__pick_present(suggestion)) {
        return;
    }
    mr__text_printf(text, "%sdid you mean \"", before);
    add_clean(text, suggestion);
    mr__text_puts(text, "\"");
    if (line > 0) {
        mr__text_printf(text, " (line %lld)", (long long)line);
    }
    mr__text_puts(text, "?");
}

/* Where the character number `count` (from 0) of the source begins; its end if it is shorter. */
static size_t offset_of(const struct mr__text *source, int64_t count)
{
    size_t at = 0;
    for (size_t step; count > 0 && at < source->len; count--, at += step) {
        (void)mr__text_decode(source->at + at, source->len - at, &step); /* for the step alone */
    }
    return at;
}

/* Adds the source's characters from `from` to `to` as they are shown, or marks of the same width. A
 * tab is shown as itself in both rows, so that they stay in line. */
static void add_shown(struct mr__text *text, const struct mr__text *source, size_t from, size_t to,
                      char mark)
{
    for (size_t step; from < to; from += step) {
        uint32_t c = mr__text_decode(source->at + from, source->len - from, &step);
        bool bad = c == UINT32_MAX || c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (c == '\t' && mark != '~') {
            mr__text_puts(text, "\t");
        } else if (mark != '\0') {
            mr__text_fill(text, mark, bad ? 1 : mr__text_char_width(c));
        } else if (bad) {
            mr__text_puts(text, "?");
        } else {
            mr__text_add(text, source->at + from, step);
        }
    }
}

/*   14 |     dependon: [build]
 *      |     ^~~~~~~~ did you mean "dependOn"?  */
static void add_source(struct mr__text *text, struct mr__pick problem, int64_t line, int64_t column)
{
    struct mr__text source = {0};
    int64_t width = mr__pick_int(mr__pick_member(problem, "width"), 1);
    if (line <= 0 || column <= 0 || !mr__pick_text(mr__pick_member(problem, "source"), &source) ||
        source.failed) {
        add_suggestion(text, problem, ": ");
        mr__text_finish(&source);
        return;
    }
    width = width < 1 ? 1 : width;
    width = width > SOURCE_COLUMNS_MAX ? SOURCE_COLUMNS_MAX : width;
    bool cut = source.len > SOURCE_COLUMNS_MAX * 2;
    int64_t first = cut && column > SOURCE_BEFORE ? column - SOURCE_BEFORE : 0;
    size_t from = offset_of(&source, first);
    size_t to = cut ? offset_of(&source, first + SOURCE_COLUMNS_MAX) : source.len;
    size_t caret = offset_of(&source, column - 1);
    size_t caret_end = offset_of(&source, column - 1 + width);
    size_t after_first = offset_of(&source, column);

    size_t before = text->len;
    mr__text_printf(text, "\n%*lld", GUTTER_COLUMNS, (long long)line);
    size_t gutter = text->len - before - 1;
    mr__text_puts(text, first > 0 ? " | ..." : " | ");
    add_shown(text, &source, from, to, '\0');
    mr__text_puts(text, to < source.len ? "...\n" : "\n");
    mr__text_fill(text, ' ', gutter);
    mr__text_puts(text, first > 0 ? " |    " : " | ");
    add_shown(text, &source, from, caret, ' ');
    mr__text_puts(text, "^");
    if (caret < source.len) { /* a wide character is marked in all its columns */
        size_t step;
        uint32_t c = mr__text_decode(source.at + caret, source.len - caret, &step);
        size_t columns = mr__text_char_width(c);
        mr__text_fill(text, '~', columns > 1 ? columns - 1 : 0);
    }
    add_shown(text, &source, after_first, caret_end > to ? to : caret_end, '~');
    add_suggestion(text, problem, " ");
    mr__text_finish(&source);
}
