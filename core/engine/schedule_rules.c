/* SPDX-License-Identifier: MIT
 *
 * Decisions about nominal times. See schedule_rules.h. Pure.
 */
#include "core/engine/schedule_rules.h"

_Static_assert(MR__SCHEDULE_CATCHUP_MAX <= MR__SCHEDULE_QUEUE_MAX,
               "what is caught up with must have room to wait");

static bool next_of(const struct mr__schedule_rule *rule, int64_t after_ms, int64_t *ret_ms)
{
    return mr__cron_next(&rule->cron, rule->zone, after_ms, ret_ms);
}

/* ---- finding times ------------------------------------------------------------------------------
 */

/* The first times with after < t <= upto, at most `max`. */
static uint32_t first_of(const struct mr__schedule_rule *rule, int64_t after_ms, int64_t upto_ms,
                         uint32_t max, int64_t *ret_times)
{
    uint32_t count = 0;
    int64_t at_ms = after_ms;
    while (count < max && next_of(rule, at_ms, &at_ms) && at_ms <= upto_ms) {
        ret_times[count++] = at_ms;
    }
    return count;
}

uint32_t mr__schedule_latest(const struct mr__schedule_rule *rule, int64_t after_ms,
                             int64_t upto_ms, uint32_t max, int64_t *ret_times)
{
    int64_t times[MR__SCHEDULE_CATCHUP_MAX + 1];
    MR_ASSERT(max <= MR__SCHEDULE_CATCHUP_MAX);
    uint32_t count = first_of(rule, after_ms, upto_ms, max + 1, times);
    /* Behind `many` there are more than `max`, behind `few` there are not. One time is one
     * millisecond, so where the two meet there are exactly `max`. */
    int64_t many_ms = after_ms, few_ms = upto_ms;
    bool too_many = count > max;
    while (too_many && few_ms - many_ms > 1) {
        int64_t middle_ms = many_ms + (few_ms - many_ms) / 2;
        if (first_of(rule, middle_ms, upto_ms, max + 1, times) > max) {
            many_ms = middle_ms;
        } else {
            few_ms = middle_ms;
        }
    }
    if (too_many) {
        count = first_of(rule, few_ms, upto_ms, max, times);
    }
    memcpy(ret_times, times, count * sizeof *times);
    return count;
}

/* ---- decisions ----------------------------------------------------------------------------------
 */

static void skip(struct mr__schedule_mark *mark, int64_t time_ms)
{
    mark->skipped++;
    mark->skipped_ms = time_ms;
}

static void take_first(struct mr__schedule_mark *mark)
{
    MR_ASSERT(mark->waiting_count > 0);
    mark->waiting_count--;
    memmove(mark->waiting, mark->waiting + 1, mark->waiting_count * sizeof *mark->waiting);
}

/* A time that is to run: by the rule of what happens to it while others do. */
static void decide(const struct mr__schedule_rule *rule, struct mr__schedule_mark *mark,
                   int64_t time_ms, bool busy, struct mr__schedule_found *found)
{
    bool waits = mark->waiting_count < MR__SCHEDULE_QUEUE_MAX;
    if (rule->overlap == MR__OVERLAP_SKIP) {
        waits = !busy && mark->waiting_count == 0;
    } else if (rule->overlap == MR__OVERLAP_REPLACE) {
        while (mark->waiting_count > 0) { /* replaced before it began */
            skip(mark, mark->waiting[0]);
            take_first(mark);
            found->skipped++;
        }
        waits = true;
    }
    if (waits) {
        mark->waiting[mark->waiting_count++] = time_ms;
    } else {
        skip(mark, time_ms);
        found->skipped++;
    }
    mark->decided_ms = time_ms;
    found->changed = true;
}

void mr__schedule_look(const struct mr__schedule_rule *rule, struct mr__schedule_state *state,
                       const struct mr__schedule_look *look, struct mr__schedule_found *ret_found)
{
    struct mr__schedule_mark *mark = &state->mark;
    int64_t now_ms = look->now_ms, first_ms, times[MR__SCHEDULE_CATCHUP_MAX];
    *ret_found = (struct mr__schedule_found){.next_ms = INT64_MAX};
    /* The clock was set back to before it was pushed: it was never meant to wait for that. */
    state->from_ms = MR__MIN(state->from_ms, now_ms);
    int64_t after_ms = MR__MAX(mark->decided_ms, state->from_ms);
    if (next_of(rule, after_ms, &first_ms) && first_ms <= now_ms) {
        uint32_t count = MR__SCHEDULE_CATCHUP_MAX;
        if (first_ms <= look->since_ms || now_ms - first_ms > MR__SCHEDULE_LATE_MS) {
            ret_found->missed_ms = first_ms;
            count = rule->catchup == MR__CATCHUP_SKIP     ? 0
                    : rule->catchup == MR__CATCHUP_LATEST ? 1
                                                          : MR__SCHEDULE_CATCHUP_MAX;
        }
        if (count > 0) {
            count = mr__schedule_latest(rule, after_ms, now_ms, count, times);
        }
        for (uint32_t i = 0; i < count; i++) {
            decide(rule, mark, times[i], look->busy, ret_found);
        }
        /* Those that nothing was decided of are not marked: a clock that was set ahead by mistake
         * and back again shall not have used up the times between. */
        state->from_ms = now_ms;
    }
    if (!next_of(rule, MR__MAX(mark->decided_ms, now_ms), &ret_found->next_ms)) {
        ret_found->next_ms = INT64_MAX;
    }
}

bool mr__schedule_ready(const struct mr__schedule_rule *rule,
                        const struct mr__schedule_state *state, bool busy, int64_t *ret_ms)
{
    if (state->mark.waiting_count == 0 || (busy && rule->overlap != MR__OVERLAP_ALLOW)) {
        return false;
    }
    *ret_ms = state->mark.waiting[0];
    return true;
}

bool mr__schedule_replaces(const struct mr__schedule_rule *rule,
                           const struct mr__schedule_state *state)
{
    return rule->overlap == MR__OVERLAP_REPLACE && state->mark.waiting_count > 0;
}

void mr__schedule_begun(struct mr__schedule_state *state)
{
    take_first(&state->mark);
}

void mr__schedule_refused(struct mr__schedule_state *state)
{
    skip(&state->mark, state->mark.waiting[0]);
    take_first(&state->mark);
}

bool mr__schedule_drop(struct mr__schedule_state *state)
{
    bool any = state->mark.waiting_count > 0;
    while (state->mark.waiting_count > 0) {
        mr__schedule_refused(state);
    }
    return any;
}
