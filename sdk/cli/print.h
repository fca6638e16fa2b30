/* SPDX-License-Identifier: MIT
 *
 * What the program writes: documents and tables on stdout, talk and errors on stderr, errors as
 * JSON on stdout where -o says so, and commands to type next.
 */
#ifndef MR__PRINT_H
#define MR__PRINT_H

#include <stdio.h>

#include "sdk/cli/session.h"

#define MR__RUN_ID_SHOWN 8 /* the last characters of a run's id */

/* ---- stdout -------------------------------------------------------------------------------- */

/* Nothing is written once a write has failed; mr__print_closed says so to those that go on for
 * long. */
void mr__print_out(struct mr__cli *cli, const char *bytes, size_t len);
void mr__print_document(struct mr__cli *cli, struct mr__pick document); /* and a newline */
bool mr__print_closed(const struct mr__cli *cli);
/* Flushes. Returns `code`, or another one if what was written before is lost. */
int mr__print_flush(struct mr__cli *cli, int code);
bool mr__print_is_json(const struct mr__cli *cli); /* -o json or jsonl */

/* A stream of documents: a JSON array with -o json, one a line with -o jsonl. */
struct mr__documents {
    struct mr__cli *cli;
    size_t count;
};
void mr__documents_add(struct mr__documents *documents, struct mr__pick document);
void mr__documents_end(struct mr__documents *documents);

/* ---- tables -------------------------------------------------------------------------------- */

#define MR__ROWS_AT_ONCE 5000 /* of a table in memory; then they are printed */

struct mr__table {
    const char *const *heads; /* ended by NULL, static */
    size_t columns;
    struct mr__text cells; /* NUL after each, row by row */
    size_t cell_count;
    size_t widths[16];
    bool has_heads; /* they were printed: the rows before were flushed */
};
void mr__table_init(struct mr__table *table, const char *const *heads);
void mr__table_cell(struct mr__table *table, const char *text);
void mr__table_cell_pick(struct mr__table *table, struct mr__pick value);
/* Prints the rows that stand and forgets them; the heads before the first ones. */
void mr__table_print(struct mr__cli *cli, struct mr__table *table);
void mr__table_finish(struct mr__table *table);

/* "2m ago"; nothing for 0. */
void mr__print_ago(struct mr__text *text, int64_t time_ms, int64_t now_ms);
/* What a run or task took up to its end or now; nothing if it has not begun. */
void mr__print_took(struct mr__text *text, struct mr__pick object, int64_t now_ms);
const char *mr__print_short_id(const char *id);

/* ---- stderr -------------------------------------------------------------------------------- */

/* One line, of errors and of what is said with -q too. Any thread. */
__attribute__((format(printf, 2, 3))) void mr__print_talk(struct mr__cli *cli, const char *fmt,
                                                          ...);
/* Adds a command as it can be typed: the verb, words (NULL: none), and the options that this call
 * had and the next one needs. */
void mr__print_command(const struct mr__cli *cli, struct mr__text *text, const char *verb,
                       const char *run, const char *task);

/* ---- errors -------------------------------------------------------------------------------- */

/* An error of the program's own; returns its exit code. `suggestion` may be NULL. */
__attribute__((format(printf, 4, 5))) int mr__print_error(struct mr__cli *cli, mr_status status,
                                                          const char *suggestion, const char *fmt,
                                                          ...);
/* A request that failed; returns its exit code. What a signal ended is told as that. */
int mr__print_failure(struct mr__cli *cli, const struct mr__failure *failure);
/* Adds its error objects, ',' between, also after those that stand. */
void mr__print_failure_objects(struct mr__text *objects, const struct mr__failure *failure);
bool mr__print_has_candidates(const struct mr__failure *failure);

/* All of a list, to stderr. */
void mr__print_problems(struct mr__cli *cli, struct mr__pick problems);
/* Adds contract.md's error objects for all of a list, ',' between, also after those that stand. */
void mr__print_problem_objects(struct mr__text *text, struct mr__pick problems);
/* Adds one such object for an error that has no place in a file. `code` is the status's text, as
 * the engine names it. */
void mr__print_error_object(struct mr__text *text, const char *code, const char *message,
                            const char *suggestion);

#endif
