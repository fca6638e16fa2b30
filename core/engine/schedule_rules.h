/* SPDX-License-Identifier: MIT
 *
 * What a schedule does, when: which nominal times get a run, which wait for an earlier run to end,
 * which get none. Pure: the wall clock, the zone and what is known of earlier runs come in,
 * decisions go out; the tests drive it through years, restarts and changed clocks.
 *
 * A nominal time is what the cron expression says, in Unix milliseconds. Each is decided once: the
 * mark (core/store/records.h) knows up to where, and stands in the store before, or in the same
 * commit in which, a decision takes effect. From any mark that was stored the rules go on as if
 * nothing had happened, so a restart is nothing special here.
 *
 * A time is *missed* if nobody looked when it came: it lies before the owner began to run
 * schedules, or it is more than MR__SCHEDULE_LATE_MS late (the machine slept, the clock was set
 * ahead). Then those that follow it up to now are missed, too, and `catchup` says what becomes of
 * all of them: nothing (skip), a run for the last one (latest), or for the last
 * MR__SCHEDULE_CATCHUP_MAX (all). `overlap` says what becomes of a time that is to run while an
 * earlier run of the schedule is unfinished. A clock that is set back reaches times that are
 * decided: they pass by.
 */
#ifndef MR__SCHEDULE_RULES_H
#define MR__SCHEDULE_RULES_H

#include "core/model/cron.h"
#include "core/model/dag.h"
#include "core/store/records.h"

struct mr__schedule_rule {
    struct mr__cron cron;
    const struct mr__zone *zone; /* borrowed */
    uint8_t overlap, catchup;    /* enum mr__overlap, enum mr__catchup */
};

struct mr__schedule_state {
    struct mr__schedule_mark mark;
    int64_t from_ms; /* times up to here are not its business: it was pushed, or started, then */
};

struct mr__schedule_look {
    int64_t now_ms;
    int64_t since_ms; /* since when somebody looks: what came before that was missed */
    bool busy;        /* a run of an earlier time is unfinished, or about to be made */
};

struct mr__schedule_found {
    uint32_t skipped;  /* times that get no run because of others ... */
    int64_t missed_ms; /* the first time that was missed; 0: none was */
    bool changed;      /* the mark did */
    int64_t next_ms;   /* when to look again; INT64_MAX: never */
};

/* Decides everything up to now. */
void mr__schedule_look(const struct mr__schedule_rule *rule, struct mr__schedule_state *state,
                       const struct mr__schedule_look *look, struct mr__schedule_found *ret_found);

/* The time whose run is to be made now. It stays in the mark until one of the next two. */
bool mr__schedule_ready(const struct mr__schedule_rule *rule,
                        const struct mr__schedule_state *state, bool busy, int64_t *ret_ms);
/* Whether the unfinished runs must go, so that a later one can begin. */
bool mr__schedule_replaces(const struct mr__schedule_rule *rule,
                           const struct mr__schedule_state *state);
/* The run of the earliest waiting time exists: from the very commit that the mark is in. */
void mr__schedule_begun(struct mr__schedule_state *state);
/* It cannot be made. */
void mr__schedule_refused(struct mr__schedule_state *state);
/* The dag was stopped, or has no schedule any more: what waits gets no run. True: the mark changed.
 */
bool mr__schedule_drop(struct mr__schedule_state *state);

/* The last `max` times with after < t <= upto, the earliest first: how many there are. Costs a few
 * dozen searches, however many times there are. */
uint32_t mr__schedule_latest(const struct mr__schedule_rule *rule, int64_t after_ms,
                             int64_t upto_ms, uint32_t max, int64_t *ret_times);

#endif
