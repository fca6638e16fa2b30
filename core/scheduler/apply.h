/* SPDX-License-Identifier: MIT
 *
 * apply: what each event does to a run. The only code that changes one.
 *
 * The same function runs when an event is made (decide.c) and when it is read again (recovery,
 * take-over, show): it needs no clock, no store and no action. It accepts only legal transitions
 * (the table in apply.c); anything else in a journal is damage, which it reports and does not do.
 */
#ifndef MR__APPLY_H
#define MR__APPLY_H

#include "core/scheduler/ready.h"

/* Applies one event, which must already stand in the run's log (log.len counts it). MR_EFORMAT: not
 * legal here, nothing was changed. MR_ENOMEM. */
mr_status mr__apply(struct mr__scheduler *s, struct mr__run *run, const struct mr__event *event);

/* Adds the bytes of events to a run's log and applies each: a checkpoint, a finished run, or part
 * of a journal entry. */
mr_status mr__replay(struct mr__scheduler *s, struct mr__run *run, const uint8_t *bytes,
                     size_t len);

#endif
