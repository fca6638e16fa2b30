/* SPDX-License-Identifier: MIT
 *
 * A run rebuilt from its events alone, in a scheduler of its own: for those who look at a run that
 * is over, or at one of another thread. Pure; any thread.
 */
#ifndef MR__PAST_H
#define MR__PAST_H

#include "core/scheduler/apply.h"

struct mr__past {
    struct mr__scheduler scheduler;
    struct mr__plan *plan;
    struct mr__run *run;      /* as it was after the events so far */
    struct mr__event created; /* its first event; borrowed from the log */
    struct mr__reader reader; /* what is left of the log */
};

/* Begins with a run to which nothing has happened. `dag` (of the run's version) and `log` are
 * borrowed until finish. MR_EFORMAT: the log does not begin with a run's creation; MR_ENOMEM. On
 * failure there is nothing to finish. */
mr_status mr__past_begin(struct mr__past *past, struct mr__dag *dag, struct mr__blob log);
/* Applies the next event. MR_OK; MR_ENOTFOUND: there is none left; MR_EFORMAT, MR_ENOMEM. */
mr_status mr__past_next(struct mr__past *past, struct mr__event *ret_event);
/* Begins, and applies them all. */
mr_status mr__past_open(struct mr__past *past, struct mr__dag *dag, struct mr__blob log);
void mr__past_finish(struct mr__past *past);

#endif
