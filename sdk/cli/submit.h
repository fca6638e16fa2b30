/* SPDX-License-Identifier: MIT
 *
 * A new run of what was typed: makes the request with the options that belong to it, sends it and
 * stays with the run. Both return the exit code.
 */
#ifndef MR__SUBMIT_H
#define MR__SUBMIT_H

#include "sdk/cli/session.h"

/* Of the FILE or DAG among the words; with --only the other words are tasks. */
int mr__submit_word(struct mr__cli *cli);
/* Of a dag file's text, which errors call `name`; the words are not looked at. */
int mr__submit_text(struct mr__cli *cli, const char *name, const struct mr__text *text);

#endif
