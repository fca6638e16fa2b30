/* SPDX-License-Identifier: MIT
 *
 * Which tasks of a new run are settled from its beginning: those that were not asked for (--only),
 * and those that another run of the same dag version has done already (rerun --from). Pure; any
 * thread.
 */
#ifndef MR__KEPT_H
#define MR__KEPT_H

#include "core/scheduler/decide.h"

struct mr__kept_set { /* zeros: nothing is kept */
    struct mr__kept *list;
    size_t count;
    struct mr__blob *share; /* pairs {key, JSON} */
    size_t share_count;     /* of pairs */
    struct mr__arena arena; /* holds what they point to */
};
void mr__kept_finish(struct mr__kept_set *set); /* NULL is allowed */

/* Every task that is not among `ids` is skipped. MR_ENOTFOUND names those of `ids` that are none;
 * MR_ENOMEM. */
mr_status mr__kept_only(const struct mr__dag *dag, const char *const *ids, size_t count,
                        struct mr__kept_set *ret_set, mr_error *reterr);

/* A run of the same dag version is done again from the task `from` on: what is neither `from` nor
 * below it and ended well is kept with its output, and the share data as it is. `log` holds the
 * run's events. MR_ENOTFOUND: no such task. MR_ECONFLICT: a task above `from` did not end well,
 * which the message names. MR_EFORMAT, MR_ENOMEM. */
mr_status mr__kept_from(struct mr__dag *dag, struct mr__blob log, const char *from,
                        struct mr__kept_set *ret_set, mr_error *reterr);

#endif
