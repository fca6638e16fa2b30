/* SPDX-License-Identifier: MIT
 *
 * Stays with a run until it stands still: shows its progress on stderr, and at the end what failed
 * and what to type next.
 */
#ifndef MR__FOLLOW_H
#define MR__FOLLOW_H

#include "sdk/cli/session.h"

/* Follows the run `id`. `ret_document` gets its document as it ended. Returns the exit code: the
 * run's, or that of an error, a signal or the deadline, which has been printed; `ret_document` is
 * then empty (or not, where the run was canceled for it). */
int mr__follow(struct mr__cli *cli, const char *id, struct mr__text *ret_document);

/* mr__follow, and the document to stdout with -o json and jsonl. */
int mr__follow_and_print(struct mr__cli *cli, const char *id);

/* Says how the run ended (its document: `run`) without having followed it. */
void mr__follow_tell(struct mr__cli *cli, struct mr__pick run);

#endif
