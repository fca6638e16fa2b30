/* SPDX-License-Identifier: MIT
 *
 * A heap of timers by the time at which they are due, in monotonic milliseconds. A timer is never
 * taken out early: who it names may be gone when it fires, which the scheduler sees. Loop thread.
 */
#ifndef MR__TIMERS_H
#define MR__TIMERS_H

#include "core/base/base.h"

struct mr__timer {
    int64_t due_ms;
    uint32_t slot, gen; /* of the run */
    uint32_t task, attempt;
    uint32_t kind; /* enum mr__timer_kind */
};

struct mr__timers {
    struct mr__timer *heap;
    size_t count, cap;
};

void mr__timers_finish(struct mr__timers *timers);
mr_status mr__timers_push(struct mr__timers *timers, const struct mr__timer *timer);
/* Takes the earliest if it is due at `now_ms`. */
bool mr__timers_pop(struct mr__timers *timers, int64_t now_ms, struct mr__timer *ret_timer);
/* When the earliest is due; INT64_MAX: there is none. */
int64_t mr__timers_next(const struct mr__timers *timers);

#endif
