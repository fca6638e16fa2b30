/* SPDX-License-Identifier: MIT
 *
 * The problems of a dag file: errors and warnings with their place, shown all at once.
 */
#ifndef MR__PROBLEMS_H
#define MR__PROBLEMS_H

#include "core/base/arena.h"
#include "core/base/buf.h"

struct mr__pos {
    uint32_t line, column; /* from 1, columns in Unicode characters; 0: unknown */
    uint32_t width;        /* characters under the caret; 0: one */
};

struct mr__problem {
    bool warning;
    char code[8]; /* "E102": docs/errors.md lists them */
    struct mr__pos pos;
    const char *message;
    const char *suggestion;   /* the nearest known word, or NULL */
    uint32_t suggestion_line; /* where that word stands in the file, or 0 */
};

struct mr__problems {
    struct mr__arena arena;
    struct mr__problem *list;
    uint32_t count, cap;
    uint32_t error_count; /* counts those beyond MR__DAG_ERRORS_MAX too, which are not kept */
    bool failed;          /* out of memory while adding */
};

void mr__problems_init(struct mr__problems *problems);
void mr__problems_finish(struct mr__problems *problems);

/* Adds one. `code` begins with E (error) or W (warning). `suggestion` is copied, or NULL. */
MR__PRINTF(5, 6)
void mr__problem_add(struct mr__problems *problems, const char *code, struct mr__pos pos,
                     const char *suggestion, const char *fmt, ...);

/* Sorts by place. */
void mr__problems_sort(struct mr__problems *problems);

/* {"errors":[...],"warnings":[...]} as contract.md has it ("warnings" only where there are any),
 * each with file, line, column, code, message, suggestion, and beyond that "source" (the line's
 * text), "width" (of the caret) and "suggestionLine", so that a client can draw them without the
 * file. "source" is cut after 500 characters, and null where the place is beyond them. A last error
 * E000, without a place, says how many were not kept. */
void mr__problems_json(const struct mr__problems *problems, const char *file, const char *text,
                       size_t len, struct mr__buf *buf);

#endif
