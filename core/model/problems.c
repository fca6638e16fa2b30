/* SPDX-License-Identifier: MIT
 *
 * Collecting the problems of a file and writing them as JSON. One thread; owns copies of all text.
 */
#include "core/model/problems.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/value.h"

/* A line that goes on beyond this many characters is cut there, or not shown if that is before its
 * problem: a whole JSON file may stand in one line. */
#define SOURCE_CHARS_MAX 500u

void mr__problems_init(struct mr__problems *problems)
{
    memset(problems, 0, sizeof *problems);
    mr__arena_init(&problems->arena);
}

void mr__problems_finish(struct mr__problems *problems)
{
    mr__arena_finish(&problems->arena);
    mr__free(problems->list);
    memset(problems, 0, sizeof *problems);
}

static uint32_t count_warnings(const struct mr__problems *problems)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < problems->count; i++) {
        count += problems->list[i].warning;
    }
    return count;
}

/* Errors and warnings have room of their own: many of one kind must not hide the other. */
static bool is_full(const struct mr__problems *problems, bool warning)
{
    return (warning ? count_warnings(problems) : problems->error_count) >= MR__DAG_ERRORS_MAX;
}

/* Names of a file may hold anything, the control sequences of a terminal too. */
static void blank_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = ' ';
        } else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
            p[1] = 0xa0;
        }
    }
}

static bool make_room(struct mr__problems *problems)
{
    if (problems->count < problems->cap) {
        return true;
    }
    uint32_t cap = problems->cap == 0 ? 8 : problems->cap * 2;
    struct mr__problem *list = mr__realloc(problems->list, cap * sizeof *list);
    if (list == NULL) {
        return false;
    }
    problems->list = list;
    problems->cap = cap;
    return true;
}

void mr__problem_add(struct mr__problems *problems, const char *code, struct mr__pos pos,
                     const char *suggestion, const char *fmt, ...)
{
    struct mr__problem problem = {.warning = code[0] == 'W', .pos = pos};
    bool full = is_full(problems, problem.warning);
    problems->error_count += problem.warning ? 0 : 1;
    if (full || problems->failed) {
        return;
    }
    (void)snprintf(problem.code, sizeof problem.code, "%s", code);
    va_list args;
    va_start(args, fmt);
    char *message = mr__arena_vprintf(&problems->arena, fmt, args);
    va_end(args);
    char *word = NULL;
    if (suggestion != NULL) {
        word = mr__arena_dup(&problems->arena, suggestion, strlen(suggestion));
    }
    if (message == NULL || (suggestion != NULL && word == NULL) || !make_room(problems)) {
        problems->failed = true;
        return;
    }
    blank_controls(message);
    if (word != NULL) {
        blank_controls(word);
    }
    problem.message = message;
    problem.suggestion = word;
    problems->list[problems->count++] = problem;
}

static bool stands_before(const struct mr__pos *a, const struct mr__pos *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void mr__problems_sort(struct mr__problems *problems)
{
    for (uint32_t i = 1; i < problems->count; i++) {
        struct mr__problem problem = problems->list[i];
        uint32_t at = i;
        while (at > 0 && stands_before(&problem.pos, &problems->list[at - 1].pos)) {
            problems->list[at] = problems->list[at - 1];
            at--;
        }
        problems->list[at] = problem;
    }
}

/* Where in the text a walk over its lines stands. */
struct line_walk {
    const char *at, *end; /* the beginning of the line */
    uint32_t line;
};

static const char *line_end(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

/* Goes to `line`, which is not before the walk's. */
static bool walk_to(struct line_walk *walk, uint32_t line)
{
    while (walk->line < line) {
        const char *at = line_end(walk->at, walk->end);
        if (at == walk->end) {
            return false;
        }
        at += *at == '\r' && at + 1 < walk->end && at[1] == '\n' ? 2 : 1;
        walk->at = at;
        walk->line++;
    }
    return true;
}

static void source_json(struct mr__buf *buf, struct line_walk *walk, const struct mr__pos *pos)
{
    if (pos->line == 0 || pos->column > SOURCE_CHARS_MAX || !walk_to(walk, pos->line)) {
        mr__buf_text(buf, "null");
        return;
    }
    const char *at = walk->at;
    for (uint32_t chars = 0; at < walk->end && *at != '\n' && *at != '\r'; at++) {
        bool first_byte = ((unsigned char)*at & 0xc0) != 0x80;
        if (first_byte && ++chars > SOURCE_CHARS_MAX) {
            break;
        }
    }
    mr__json_str(buf, walk->at, (size_t)(at - walk->at));
}

static void number_json(struct mr__buf *buf, const char *key, uint32_t number)
{
    if (number == 0) {
        mr__buf_printf(buf, ",\"%s\":null", key);
    } else {
        mr__buf_printf(buf, ",\"%s\":%u", key, number);
    }
}

static void string_json(struct mr__buf *buf, const char *text)
{
    if (text == NULL) {
        mr__buf_text(buf, "null");
    } else {
        mr__json_str(buf, text, strlen(text));
    }
}

static void problem_json(struct mr__buf *buf, const struct mr__problem *problem, const char *file,
                         struct line_walk *walk)
{
    mr__buf_text(buf, "{\"file\":");
    string_json(buf, file);
    number_json(buf, "line", problem->pos.line);
    number_json(buf, "column", problem->pos.column);
    mr__buf_printf(buf, ",\"code\":\"%s\",\"message\":", problem->code);
    string_json(buf, problem->message);
    mr__buf_text(buf, ",\"suggestion\":");
    string_json(buf, problem->suggestion);
    mr__buf_text(buf, ",\"source\":");
    source_json(buf, walk, &problem->pos);
    mr__buf_printf(buf, ",\"width\":%u", MR__MAX(problem->pos.width, 1u));
    number_json(buf, "suggestionLine", problem->suggestion_line);
    mr__buf_u8(buf, '}');
}

static void list_json(const struct mr__problems *problems, bool warnings, const char *file,
                      const char *text, size_t len, struct mr__buf *buf)
{
    size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const struct line_walk begin = {.at = text + bom, .end = text + len, .line = 1};
    struct line_walk walk = begin;
    bool first = true;
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mr__problem *problem = &problems->list[i];
        if (problem->warning != warnings) {
            continue;
        }
        if (problem->pos.line < walk.line) {
            walk = begin;
        }
        if (!first) {
            mr__buf_u8(buf, ',');
        }
        first = false;
        problem_json(buf, problem, file, &walk);
    }
    if (!warnings && problems->error_count > MR__DAG_ERRORS_MAX) {
        char message[64];
        (void)snprintf(message, sizeof message, "%u more errors are not shown",
                       problems->error_count - MR__DAG_ERRORS_MAX);
        struct mr__problem rest = {.code = "E000", .message = message};
        mr__buf_u8(buf, ',');
        problem_json(buf, &rest, file, &walk);
    }
}

void mr__problems_json(const struct mr__problems *problems, const char *file, const char *text,
                       size_t len, struct mr__buf *buf)
{
    mr__buf_text(buf, "{\"errors\":[");
    list_json(problems, false, file, text, len, buf);
    mr__buf_u8(buf, ']');
    if (count_warnings(problems) > 0) {
        mr__buf_text(buf, ",\"warnings\":[");
        list_json(problems, true, file, text, len, buf);
        mr__buf_u8(buf, ']');
    }
    mr__buf_u8(buf, '}');
}
