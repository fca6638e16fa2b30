/* SPDX-License-Identifier: MIT
 *
 * What ps, runs and dags have in common: one request, and a table or documents of its answers.
 */
#ifndef MR__LISTING_H
#define MR__LISTING_H

#include "sdk/cli/print.h"

struct mr__listing {
    const char *const *heads; /* of the table; ended by NULL */
    const char *member;       /* of each answer: what is listed */
    void (*add_row)(struct mr__table *table, struct mr__pick object);
};

/* Sends the request, which is whole, and prints what comes, a part at a time. Finishes `request`.
 * Returns an exit code. */
int mr__listing_print(struct mr__cli *cli, struct mr__text *request,
                      const struct mr__listing *listing);

#endif
