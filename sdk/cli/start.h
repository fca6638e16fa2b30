/* SPDX-License-Identifier: MIT
 *
 * Begins a run: sends the request for it, tells its id, and stays with it until it ends.
 */
#ifndef MR__START_H
#define MR__START_H

#include "sdk/cli/session.h"

/* Sends a submit or rerun; from then on the run belongs to this process. `id` gets the run's full
 * id; warnings have been printed. False: `failure` says why, its `json` is in `answer`. */
bool mr__start_send(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer,
                    struct mr__text *id, struct mr__failure *failure);

/* Writes the id to stdout, as -o says, and with `detach` that is all; else follows the run.
 * Returns the exit code. */
int mr__start_stay(struct mr__cli *cli, struct mr__text *id, bool detach);

#endif
