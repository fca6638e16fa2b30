/* SPDX-License-Identifier: MIT
 *
 * A heap of timers by the time at which they are due, in monotonic milliseconds. No timer is taken
 * out alone: who it names may be gone when it fires, which the scheduler sees; when the heap has
 * doubled, all that nobody waits for go at once. Loop thread.
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
    size_t purge_at; /* how many there are when the next purge is worth it; 0: the least */
};

void mr__timers_finish(struct mr__timers *timers);
mr_status mr__timers_push(struct mr__timers *timers, const struct mr__timer *timer);
/* Takes the earliest if it is due at `now_ms`. */
bool mr__timers_pop(struct mr__timers *timers, int64_t now_ms, struct mr__timer *ret_timer);
/* Whether enough timers have gathered for a purge. */
bool mr__timers_full(const struct mr__timers *timers);
/* Keeps those for which `keep` says so. */
void mr__timers_purge(struct mr__timers *timers,
                      bool (*keep)(void *user, const struct mr__timer *timer), void *user);
/* When the earliest is due; INT64_MAX: there is none. */
int64_t mr__timers_next(const struct mr__timers *timers);

#endif
