/* SPDX-License-Identifier: MIT
 *
 * A dag before anything runs, as mr_plan tells it: of a file, or of a dag of the store.
 */
#ifndef MR__OUTLINE_H
#define MR__OUTLINE_H

#include "sdk/cli/session.h"

struct mr__outline_task {
    struct mr__pick object; /* the whole task */
    struct mr__pick id;     /* as it is written, with its quotes: two of one id are alike */
    size_t number;          /* its own, by place in the document */
};

struct mr__outline {
    char *json;
    struct mr__pick document;
    struct mr__outline_task *tasks; /* layer by layer, as the document has them */
    size_t count;
    const struct mr__outline_task **by_id; /* sorted */
};

/* Reads what words[0] names. `graph`: the graph alone, without variables. Returns an exit code; an
 * error has been printed, and warnings. To be finished in every case. */
int mr__outline_read(struct mr__cli *cli, bool graph, struct mr__outline *ret_outline);
void mr__outline_finish(struct mr__outline *outline);
/* The task with this id, NULL: there is none. */
const struct mr__outline_task *mr__outline_find(const struct mr__outline *outline,
                                                struct mr__pick id);

#endif
