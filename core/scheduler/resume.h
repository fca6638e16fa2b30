/* SPDX-License-Identifier: MIT
 *
 * resume: everything that is to be done about a run, from its state alone. Used at start, after a
 * take-over, when a dormant run is gone on with, and after the shard threw its memory away. The
 * only recovery code that the scheduler has.
 */
#ifndef MR__RESUME_H
#define MR__RESUME_H

#include "core/scheduler/decide.h"

/* What has become of a running attempt (enum mr__fate of the executor port). */
enum mr__resume_fate { MR__RESUME_RUNNING, MR__RESUME_NOT_BEGUN, MR__RESUME_GONE };
typedef enum mr__resume_fate (*mr__fate_fn)(void *user, const struct mr__run *run, uint32_t task);

/* Makes a dormant run active: arms its timers, starts what never began, gives up what is gone (each
 * by the task's onLost), starts what is ready. Survivors of an earlier engine must be dead. */
void mr__resume_run(struct mr__scheduler *s, struct mr__run *run, mr__fate_fn fate, void *user);

#endif
