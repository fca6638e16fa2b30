/* SPDX-License-Identifier: MIT
 *
 * Makes whole lines of what tasks write: a piece of log may hold several lines or a part of one,
 * and pieces of several tasks come mixed.
 *
 * Pure. A line without an end is kept for its task and stream until the rest comes.
 */
#ifndef MR__LINES_H
#define MR__LINES_H

#include "sdk/cli/pick.h"

struct mr__lines_part {
    struct mr__text key; /* task, NUL, stream */
    struct mr__text text;
};

struct mr__lines {
    /* Gets each line without its end. */
    void (*line)(void *user, const char *task, const char *text, size_t len);
    void *user;
    struct mr__lines_part *parts;
    size_t count, cap;
};

void mr__lines_finish(struct mr__lines *lines);
/* Takes one LOG of docs/requests.md. */
void mr__lines_take(struct mr__lines *lines, struct mr__pick log);
/* Gives out what `task` left without an end; NULL: what all tasks did. */
void mr__lines_flush(struct mr__lines *lines, const char *task);

#endif
