/* SPDX-License-Identifier: MIT
 *
 * Goal: no nominal time has two runs and none is lost against the rules, whatever happens to the
 * process and the clock. Method: each rule by hand, with its bounds; then simulated months in ten
 * zones around their changes of the clock, with crashes at any point, downtime and a clock that is
 * set, counted against the times that the expression has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/engine/schedule_rules.h"

#include <cmocka.h> /* last: its macros take plain words */

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define BEGIN  (INT64_C(1767225600) * SECOND) /* 2026-01-01 */

static struct mr__schedule_rule rule_of(const char *cron, uint8_t overlap, uint8_t catchup)
{
    struct mr__schedule_rule rule = {
        .zone = mr__zone_utc(), .overlap = overlap, .catchup = catchup};
    mr_error error;
    if (mr__cron_parse(cron, strlen(cron), &rule.cron, &error) != MR_OK) {
        fail_msg("%s: %s", cron, error.message);
    }
    return rule;
}

static struct mr__schedule_found look_at(const struct mr__schedule_rule *rule,
                                         struct mr__schedule_state *state, int64_t now_ms,
                                         int64_t since_ms, bool busy)
{
    struct mr__schedule_look look = {.now_ms = now_ms, .since_ms = since_ms, .busy = busy};
    struct mr__schedule_found found;
    mr__schedule_look(rule, state, &look, &found);
    return found;
}

/* The waiting times, in units from BEGIN on. */
static void check_waiting(const struct mr__schedule_state *state, int64_t unit, uint32_t count,
                          const int64_t *times)
{
    assert_int_equal(state->mark.waiting_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(state->mark.waiting[i], BEGIN + times[i] * unit);
    }
}
#define WAITING(state, unit, ...) \
    check_waiting(state, unit, MR__COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[]){__VA_ARGS__})
#define NOTHING_WAITS(state) assert_int_equal((state)->mark.waiting_count, 0)

/* ---- the latest times ---------------------------------------------------------------------------
 */

static void latest__of_few_and_of_very_many(void **state)
{
    struct mr__schedule_rule hours = rule_of("@hourly", 0, 0), often = rule_of("@every 1s", 0, 0);
    int64_t times[MR__SCHEDULE_CATCHUP_MAX];
    assert_int_equal(mr__schedule_latest(&hours, BEGIN, BEGIN, 100, times), 0);
    assert_int_equal(mr__schedule_latest(&hours, BEGIN, BEGIN + HOUR - 1, 100, times), 0);
    assert_int_equal(mr__schedule_latest(&hours, BEGIN - 1, BEGIN + HOUR, 100, times), 2);
    assert_int_equal(times[0], BEGIN);
    assert_int_equal(times[1], BEGIN + HOUR);
    assert_int_equal(mr__schedule_latest(&hours, BEGIN, BEGIN + 100 * HOUR, 100, times), 100);
    assert_int_equal(times[0], BEGIN + HOUR);
    assert_int_equal(mr__schedule_latest(&hours, BEGIN, BEGIN + 101 * HOUR, 100, times), 100);
    assert_int_equal(times[0], BEGIN + 2 * HOUR);
    assert_int_equal(times[99], BEGIN + 101 * HOUR);
    assert_int_equal(mr__schedule_latest(&hours, BEGIN, BEGIN + 20 * HOUR, 1, times), 1);
    assert_int_equal(times[0], BEGIN + 20 * HOUR);
    assert_int_equal(mr__schedule_latest(&often, 1, BEGIN + 7 * SECOND, 100, times), 100);
    assert_int_equal(times[0], BEGIN + (7 - 99) * SECOND);
    assert_int_equal(times[99], BEGIN + 7 * SECOND);
}

/* ---- one rule at a time -------------------------------------------------------------------------
 */

static void look__a_time_runs_when_it_comes(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_SKIP, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN + 1};
    struct mr__schedule_found found = look_at(&rule, &s, BEGIN + 1, BEGIN, false);
    int64_t time_ms;
    assert_int_equal(found.next_ms, BEGIN + HOUR);
    assert_false(found.changed);
    found = look_at(&rule, &s, BEGIN + HOUR, BEGIN, false);
    assert_true(found.changed);
    assert_int_equal(found.next_ms, BEGIN + 2 * HOUR);
    assert_int_equal(s.mark.decided_ms, BEGIN + HOUR);
    assert_true(mr__schedule_ready(&rule, &s, false, &time_ms));
    assert_int_equal(time_ms, BEGIN + HOUR);
    assert_false(look_at(&rule, &s, BEGIN + HOUR, BEGIN, true).changed);
    mr__schedule_begun(&s);
    assert_false(mr__schedule_ready(&rule, &s, false, &time_ms));
    assert_int_equal(s.mark.skipped, 0);
}

static void look__an_expression_without_times(void **state)
{
    struct mr__schedule_rule rule = rule_of("0 0 30 2 *", MR__OVERLAP_SKIP, MR__CATCHUP_ALL);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    assert_int_equal(look_at(&rule, &s, BEGIN + DAY, BEGIN, false).next_ms, INT64_MAX);
    NOTHING_WAITS(&s);
}

static void look__at_the_limit_of_lateness_and_one_past(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_SKIP, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    int64_t late = MR__SCHEDULE_LATE_MS;
    struct mr__schedule_found found = look_at(&rule, &s, BEGIN + HOUR + late, BEGIN, false);
    assert_int_equal(found.missed_ms, 0);
    WAITING(&s, HOUR, 1);
    mr__schedule_begun(&s);
    found = look_at(&rule, &s, BEGIN + 2 * HOUR + late + 1, BEGIN, false);
    assert_int_equal(found.missed_ms, BEGIN + 2 * HOUR);
    assert_false(found.changed);
    assert_int_equal(found.next_ms, BEGIN + 3 * HOUR);
    NOTHING_WAITS(&s);
}

static void look__a_slow_loop_loses_nothing(void **state)
{
    struct mr__schedule_rule rule = rule_of("@every 1s", MR__OVERLAP_QUEUE, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    (void)look_at(&rule, &s, BEGIN + 5 * SECOND, BEGIN, false);
    WAITING(&s, SECOND, 1, 2, 3, 4, 5);
}

static void catchup__after_downtime(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_QUEUE, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    int64_t now_ms = BEGIN + HOUR; /* it came in this very moment: nobody looked before */
    assert_int_equal(look_at(&rule, &s, now_ms, now_ms, false).missed_ms, BEGIN + HOUR);
    s = (struct mr__schedule_state){.from_ms = BEGIN};
    now_ms = BEGIN + 3 * HOUR;
    assert_int_equal(look_at(&rule, &s, now_ms, now_ms, false).missed_ms, BEGIN + HOUR);
    NOTHING_WAITS(&s);
    assert_int_equal(s.mark.decided_ms, 0);
    rule.catchup = MR__CATCHUP_LATEST;
    s = (struct mr__schedule_state){.from_ms = BEGIN};
    (void)look_at(&rule, &s, now_ms, now_ms, false);
    WAITING(&s, HOUR, 3);
    rule.catchup = MR__CATCHUP_ALL;
    s = (struct mr__schedule_state){.from_ms = BEGIN};
    (void)look_at(&rule, &s, now_ms, now_ms, false);
    WAITING(&s, HOUR, 1, 2, 3);
}

static void catchup__all_is_bounded(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_QUEUE, MR__CATCHUP_ALL);
    for (int64_t more = 0; more < 2; more++) {
        struct mr__schedule_state s = {.from_ms = BEGIN};
        int64_t now_ms = BEGIN + (MR__SCHEDULE_CATCHUP_MAX + more) * HOUR;
        (void)look_at(&rule, &s, now_ms, now_ms, false);
        assert_int_equal(s.mark.waiting_count, MR__SCHEDULE_CATCHUP_MAX);
        assert_int_equal(s.mark.waiting[0], BEGIN + (1 + more) * HOUR);
        assert_int_equal(s.mark.decided_ms, now_ms);
    }
}

static void catchup__all_obeys_overlap(void **state)
{
    int64_t now_ms = BEGIN + 4 * HOUR;
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_SKIP, MR__CATCHUP_ALL);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    assert_int_equal(look_at(&rule, &s, now_ms, now_ms, false).skipped, 3);
    WAITING(&s, HOUR, 1);
    rule.overlap = MR__OVERLAP_REPLACE;
    s = (struct mr__schedule_state){.from_ms = BEGIN};
    assert_int_equal(look_at(&rule, &s, now_ms, now_ms, false).skipped, 3);
    WAITING(&s, HOUR, 4);
}

static void overlap__skip(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_SKIP, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    struct mr__schedule_found found = look_at(&rule, &s, BEGIN + HOUR, BEGIN, true);
    assert_int_equal(found.skipped, 1);
    assert_true(found.changed); /* it must not come back */
    assert_int_equal(s.mark.skipped, 1);
    assert_int_equal(s.mark.skipped_ms, BEGIN + HOUR);
    NOTHING_WAITS(&s);
    assert_false(look_at(&rule, &s, BEGIN + HOUR + 1, BEGIN, false).changed);
}

static void overlap__queue_is_bounded(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_QUEUE, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    int64_t time_ms, at_ms = BEGIN;
    for (uint32_t i = 0; i < MR__SCHEDULE_QUEUE_MAX; i++) {
        at_ms += HOUR;
        assert_int_equal(look_at(&rule, &s, at_ms, BEGIN, true).skipped, 0);
    }
    assert_false(mr__schedule_ready(&rule, &s, true, &time_ms));
    assert_int_equal(look_at(&rule, &s, at_ms + HOUR, BEGIN, true).skipped, 1);
    assert_int_equal(s.mark.waiting_count, MR__SCHEDULE_QUEUE_MAX);
    for (uint32_t i = 0; i < MR__SCHEDULE_QUEUE_MAX; i++) {
        assert_true(mr__schedule_ready(&rule, &s, false, &time_ms));
        assert_int_equal(time_ms, BEGIN + (i + 1) * HOUR);
        mr__schedule_begun(&s);
    }
    assert_false(mr__schedule_ready(&rule, &s, false, &time_ms));
}

static void overlap__replace(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_REPLACE, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    int64_t time_ms;
    (void)look_at(&rule, &s, BEGIN + HOUR, BEGIN, true);
    assert_true(mr__schedule_replaces(&rule, &s));
    assert_false(mr__schedule_ready(&rule, &s, true, &time_ms));
    assert_int_equal(look_at(&rule, &s, BEGIN + 2 * HOUR, BEGIN, true).skipped, 1);
    WAITING(&s, HOUR, 2);
    assert_true(mr__schedule_ready(&rule, &s, false, &time_ms));
    mr__schedule_begun(&s);
    assert_false(mr__schedule_replaces(&rule, &s));
}

static void overlap__allow(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_ALLOW, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    int64_t time_ms;
    (void)look_at(&rule, &s, BEGIN + HOUR, BEGIN, true);
    assert_true(mr__schedule_ready(&rule, &s, true, &time_ms));
}

static void drop__what_waits_when_its_dag_is_stopped(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_QUEUE, MR__CATCHUP_ALL);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    (void)look_at(&rule, &s, BEGIN + 3 * HOUR, BEGIN + 3 * HOUR, true);
    assert_true(mr__schedule_drop(&s));
    assert_false(mr__schedule_drop(&s));
    NOTHING_WAITS(&s);
    assert_int_equal(s.mark.skipped, 3);
}

/* ---- the clock is set ---------------------------------------------------------------------------
 */

static void clock__set_back_repeats_no_time(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_ALLOW, MR__CATCHUP_ALL);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    for (int64_t hour = 1; hour <= 5; hour++) {
        (void)look_at(&rule, &s, BEGIN + hour * HOUR, BEGIN, false);
        mr__schedule_begun(&s);
    }
    for (int64_t hour = 2; hour <= 5; hour++) {
        struct mr__schedule_found found = look_at(&rule, &s, BEGIN + hour * HOUR, BEGIN, false);
        assert_false(found.changed);
        assert_int_equal(found.next_ms, BEGIN + 6 * HOUR);
    }
    (void)look_at(&rule, &s, BEGIN + 6 * HOUR, BEGIN, false);
    WAITING(&s, HOUR, 6);
}

static void clock__wrong_when_it_was_pushed(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_ALLOW, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN + 3650 * DAY};
    assert_int_equal(look_at(&rule, &s, BEGIN, BEGIN, false).next_ms, BEGIN + HOUR);
    (void)look_at(&rule, &s, BEGIN + HOUR, BEGIN, false);
    WAITING(&s, HOUR, 1);
}

/* A minute in the year 2036 must not use up the ten years before. */
static void clock__far_ahead_by_mistake_and_back(void **state)
{
    struct mr__schedule_rule rule = rule_of("@hourly", MR__OVERLAP_ALLOW, MR__CATCHUP_SKIP);
    struct mr__schedule_state s = {.from_ms = BEGIN};
    assert_int_not_equal(look_at(&rule, &s, BEGIN + 3650 * DAY + 1, BEGIN, false).missed_ms, 0);
    assert_int_equal(look_at(&rule, &s, BEGIN + 1, BEGIN, false).next_ms, BEGIN + HOUR);
    (void)look_at(&rule, &s, BEGIN + HOUR, BEGIN, false);
    WAITING(&s, HOUR, 1);
}

/* ---- worlds -------------------------------------------------------------------------------------
 */

/* A process that may die, its store, its clock, and every run that there ever was. */
struct world {
    uint64_t seed;
    struct mr__schedule_rule rule;
    struct mr__schedule_state state; /* in memory */
    struct mr__schedule_mark stored;
    int64_t pushed_ms, now_ms, since_ms, next_ms;
    int64_t first_ms; /* the clock never showed less */
    bool unsaved;
    uint32_t unfinished;
    int64_t *runs;
    size_t run_count, run_cap;
    bool jumps; /* the clock is set now and then */
};

static uint64_t dice(struct world *w, uint64_t sides)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->seed >> 33) % sides;
}

static void world_run(struct world *w, int64_t time_ms)
{
    int64_t again_ms;
    if (w->run_count == w->run_cap) {
        w->run_cap = w->run_cap == 0 ? 1024 : w->run_cap * 2;
        w->runs = realloc(w->runs, w->run_cap * sizeof *w->runs);
        assert_non_null(w->runs);
    }
    assert_true(mr__cron_next(&w->rule.cron, w->rule.zone, time_ms - 1, &again_ms));
    assert_int_equal(again_ms, time_ms); /* a time of the expression */
    if (w->rule.overlap != MR__OVERLAP_ALLOW) {
        assert_int_equal(w->unfinished, 0);
    }
    if (w->run_count > 0) {
        assert_true(w->runs[w->run_count - 1] < time_ms); /* in order, so none of them twice */
    }
    w->runs[w->run_count++] = time_ms;
    w->unfinished++;
}

/* What schedules.c does after a look, dying on the way at times: false. */
static bool world_advance(struct world *w)
{
    int64_t time_ms;
    if (mr__schedule_replaces(&w->rule, &w->state)) {
        w->unfinished = 0;
    }
    while (mr__schedule_ready(&w->rule, &w->state, w->unfinished > 0, &time_ms)) {
        if (dice(w, 40) == 0) {
            return false; /* before the commit */
        }
        mr__schedule_begun(&w->state);
        w->stored = w->state.mark; /* one commit with the run */
        w->unsaved = false;
        world_run(w, time_ms);
        if (dice(w, 40) == 0) {
            return false;
        }
        if (dice(w, 3) == 0) {
            w->unfinished--;
        }
    }
    if (w->unsaved) {
        if (dice(w, 40) == 0) {
            return false;
        }
        w->stored = w->state.mark;
        w->unsaved = false;
    }
    return true;
}

static bool world_look(struct world *w)
{
    w->since_ms = MR__MIN(w->since_ms, w->now_ms);
    w->first_ms = MR__MIN(w->first_ms, w->now_ms);
    struct mr__schedule_found found =
        look_at(&w->rule, &w->state, w->now_ms, w->since_ms, w->unfinished > 0);
    w->next_ms = found.next_ms;
    w->unsaved |= found.changed;
    assert_true(w->state.mark.waiting_count <= MR__SCHEDULE_QUEUE_MAX);
    assert_true(found.next_ms > w->now_ms);
    if (found.skipped > 0 && w->rule.overlap != MR__OVERLAP_SKIP) { /* only for want of room */
        assert_int_equal(w->state.mark.waiting_count,
                         w->rule.overlap == MR__OVERLAP_REPLACE ? 1 : MR__SCHEDULE_QUEUE_MAX);
    }
    return world_advance(w);
}

static void world_restart(struct world *w, int64_t down_ms_max)
{
    if (down_ms_max > 0 && w->now_ms - MR__MAX(w->stored.decided_ms, w->pushed_ms) < down_ms_max) {
        w->now_ms += (int64_t)dice(w, (uint64_t)down_ms_max); /* else it was down just now */
    }
    w->since_ms = w->now_ms;
    w->state = (struct mr__schedule_state){.mark = w->stored, .from_ms = w->pushed_ms};
    w->unsaved = false;
}

static void world_live(struct world *w, int64_t until_ms, int64_t down_ms_max)
{
    bool alive = world_look(w);
    while (w->now_ms < until_ms) {
        if (!alive || dice(w, 60) == 0) {
            world_restart(w, down_ms_max);
        } else if (w->jumps && dice(w, 40) == 0) {
            w->now_ms += (int64_t)dice(w, (uint64_t)down_ms_max) - down_ms_max * 2 / 5;
        } else if (dice(w, 4) == 0) { /* a run ends before the next time */
            w->unfinished -= w->unfinished > 0;
            alive = world_advance(w);
            continue;
        } else {
            w->now_ms = w->next_ms + (int64_t)dice(w, 50);
        }
        alive = world_look(w);
    }
    while (!alive) {
        world_restart(w, 0);
        alive = world_look(w);
    }
}

/* Times of the expression with first < t <= what is decided. */
static size_t world_times(const struct world *w)
{
    size_t count = 0;
    int64_t at_ms = w->first_ms;
    while (mr__cron_next(&w->rule.cron, w->rule.zone, at_ms, &at_ms) &&
           at_ms <= w->state.mark.decided_ms) {
        count++;
    }
    return count;
}

static const struct {
    const char *zone;
    int64_t begin_s; /* some weeks around one change of its clock, at least */
} places[] = {
    {"Europe/Paris", 1774000000},      {"Europe/Dublin", 1792000000},
    {"America/New_York", 1772000000},  {"America/St_Johns", 1793000000},
    {"America/Santiago", 1788000000},  {"Australia/Lord_Howe", 1775000000},
    {"Africa/Casablanca", 1770500000}, {"Asia/Kathmandu", 1770000000},
    {"Pacific/Apia", 1324000000},      {"Antarctica/Troll", 1774000000},
};
static const struct {
    const char *text;
    int64_t span_ms, down_ms; /* of simulated time; twice so long down: fewer than 100 times */
} schedules[] = {
    {"*/15 * * * *", 30 * DAY, 12 * HOUR}, {"30 2 * * *", 200 * DAY, 40 * DAY},
    {"0 */2 * * *", 60 * DAY, 4 * DAY},    {"*/20 * * * * *", 2 * DAY, 16 * MINUTE},
    {"@every 7s", DAY, 5 * MINUTE},        {"0 0 1,15 * 1", 300 * DAY, 60 * DAY},
};

static void each_world(uint64_t seed, uint8_t overlap, uint8_t catchup, bool jumps,
                       void (*check)(struct world *w))
{
    for (size_t p = 0; p < MR__COUNT(places); p++) {
        struct mr__zone *zone;
        mr_error error;
        if (mr__zone_load(places[p].zone, &zone, &error) != MR_OK) {
            fail_msg("%s", error.message);
        }
        for (size_t i = 0; i < MR__COUNT(schedules); i++) {
            struct world w = {.seed = seed + p * 100 + i, .jumps = jumps};
            w.rule = rule_of(schedules[i].text, overlap, catchup);
            w.rule.zone = zone;
            w.pushed_ms = w.first_ms = w.now_ms = w.since_ms = places[p].begin_s * SECOND;
            w.state.from_ms = w.pushed_ms;
            world_live(&w, w.pushed_ms + schedules[i].span_ms, schedules[i].down_ms);
            check(&w);
            free(w.runs);
        }
        mr__zone_destroy(zone);
    }
}

static void check_none_is_lost(struct world *w)
{
    size_t wanted = world_times(w);
    size_t have = w->run_count + w->state.mark.waiting_count + w->state.mark.skipped;
    if (have != wanted || wanted == 0) {
        fail_msg("seed %llu: %zu runs, %u waiting, %llu skipped, but %zu times",
                 (unsigned long long)w->seed, w->run_count, w->state.mark.waiting_count,
                 (unsigned long long)w->state.mark.skipped, wanted);
    }
}

static void worlds__with_all_caught_up_lose_no_time(void **state)
{
    for (uint64_t round = 0; round < 3; round++) {
        each_world(1000 * round, MR__OVERLAP_ALLOW, MR__CATCHUP_ALL, false, check_none_is_lost);
        each_world(1000 * round, MR__OVERLAP_QUEUE, MR__CATCHUP_ALL, false, check_none_is_lost);
        each_world(1000 * round, MR__OVERLAP_SKIP, MR__CATCHUP_ALL, false, check_none_is_lost);
        each_world(1000 * round, MR__OVERLAP_REPLACE, MR__CATCHUP_ALL, false, check_none_is_lost);
    }
}

/* world_run has seen that none was twice, out of order or beside another. */
static void check_some_ran(struct world *w)
{
    assert_true(w->run_count > 0);
    assert_true(w->run_count + w->state.mark.waiting_count <= world_times(w));
}

static void worlds__whose_clock_is_set_repeat_no_time(void **state)
{
    for (uint8_t overlap = MR__OVERLAP_SKIP; overlap <= MR__OVERLAP_ALLOW; overlap++) {
        for (uint8_t catchup = MR__CATCHUP_SKIP; catchup <= MR__CATCHUP_ALL; catchup++) {
            each_world(7 + overlap * 10 + catchup, overlap, catchup, true, check_some_ran);
        }
    }
}

/* 02:30 exists not at all, once or twice: one run a day. */
static void worlds__fixed_hours_run_once_a_day(void **state)
{
    for (size_t p = 0; p < MR__COUNT(places); p++) {
        struct mr__zone *zone;
        assert_int_equal(mr__zone_load(places[p].zone, &zone, NULL), MR_OK);
        struct world w = {.seed = 1};
        w.rule = rule_of("30 2 * * *", MR__OVERLAP_ALLOW, MR__CATCHUP_SKIP);
        w.rule.zone = zone;
        w.pushed_ms = w.first_ms = w.now_ms = w.since_ms = places[p].begin_s * SECOND;
        w.state.from_ms = w.pushed_ms;
        for (int64_t until_ms = w.pushed_ms + 60 * DAY; w.now_ms < until_ms;) {
            struct mr__schedule_found found =
                look_at(&w.rule, &w.state, w.now_ms, w.since_ms, false);
            int64_t time_ms;
            while (mr__schedule_ready(&w.rule, &w.state, false, &time_ms)) {
                mr__schedule_begun(&w.state);
                world_run(&w, time_ms);
            }
            w.now_ms = found.next_ms;
        }
        assert_in_range(w.run_count, 59, 61); /* the ends of the span */
        /* Apia left a whole day out: its run came with the beginning of the next one. */
        int64_t least_ms = strcmp(places[p].zone, "Pacific/Apia") == 0 ? 2 * HOUR : 20 * HOUR;
        for (size_t i = 1; i < w.run_count; i++) {
            assert_in_range(w.runs[i] - w.runs[i - 1], least_ms, 27 * HOUR);
        }
        free(w.runs);
        mr__zone_destroy(zone);
    }
}

/* ---- the mark in the store ----------------------------------------------------------------------
 */

static void mark__survives_the_store(void **state)
{
    struct mr__schedule_mark mark = {.decided_ms = BEGIN, .skipped = 3, .skipped_ms = -5}, read;
    struct mr__buf buf;
    struct mr__key key;
    struct mr__blob id;
    mr__buf_init(&buf);
    for (uint32_t i = 0; i < MR__SCHEDULE_QUEUE_MAX; i++) {
        mark.waiting[mark.waiting_count++] = BEGIN + i;
    }
    mr__schedule_mark_write(&buf, &mark);
    assert_int_equal(mr__schedule_mark_read((struct mr__bytes){buf.data, buf.len}, &read, NULL),
                     MR_OK);
    assert_memory_equal(&read, &mark, sizeof mark);
    mr__buf_reset(&buf);
    size_t begin = mr__record_begin(&buf); /* one that has one more waiting */
    for (int i = 0; i < 3; i++) {
        mr__buf_zigzag(&buf, 0);
    }
    mr__buf_varint(&buf, MR__SCHEDULE_QUEUE_MAX + 1);
    for (uint32_t i = 0; i < MR__SCHEDULE_QUEUE_MAX + 1; i++) {
        mr__buf_zigzag(&buf, i);
    }
    mr__record_end(&buf, begin);
    assert_int_equal(mr__schedule_mark_read((struct mr__bytes){buf.data, buf.len}, &read, NULL),
                     MR_EFORMAT);
    mr__buf_finish(&buf);
    mr__key_schedule(&key, "deploy");
    assert_true(mr__key_schedule_id((struct mr__bytes){key.bytes, key.len}, &id));
    assert_int_equal(id.len, 6);
    assert_memory_equal(id.data, "deploy", 6);
    assert_false(mr__key_pushed_id((struct mr__bytes){key.bytes, key.len}, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest__of_few_and_of_very_many),
        cmocka_unit_test(look__a_time_runs_when_it_comes),
        cmocka_unit_test(look__an_expression_without_times),
        cmocka_unit_test(look__at_the_limit_of_lateness_and_one_past),
        cmocka_unit_test(look__a_slow_loop_loses_nothing),
        cmocka_unit_test(catchup__after_downtime),
        cmocka_unit_test(catchup__all_is_bounded),
        cmocka_unit_test(catchup__all_obeys_overlap),
        cmocka_unit_test(overlap__skip),
        cmocka_unit_test(overlap__queue_is_bounded),
        cmocka_unit_test(overlap__replace),
        cmocka_unit_test(overlap__allow),
        cmocka_unit_test(drop__what_waits_when_its_dag_is_stopped),
        cmocka_unit_test(clock__set_back_repeats_no_time),
        cmocka_unit_test(clock__wrong_when_it_was_pushed),
        cmocka_unit_test(clock__far_ahead_by_mistake_and_back),
        cmocka_unit_test(worlds__with_all_caught_up_lose_no_time),
        cmocka_unit_test(worlds__whose_clock_is_set_repeat_no_time),
        cmocka_unit_test(worlds__fixed_hours_run_once_a_day),
        cmocka_unit_test(mark__survives_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
