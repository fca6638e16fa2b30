/* SPDX-License-Identifier: MIT
 *
 * Goal: whatever dags there are and whatever comes in, in whatever order, the state stays whole, no
 * run stands still that could go on, and each run is what its log says. Method: from a seed, random
 * dags and a random series of inputs, right and wrong ones, early and late ones, with crashes in
 * between; after every input the invariants of fixture.h; at the end every log is replayed, whole
 * and up to each place where the state was known.
 *
 * MILLRACE_SEEDS=N runs N seeds, MILLRACE_SEED=S that one alone.
 */
#include "tests/scheduler/fixture.h"

#define SEEDS_DEFAULT 4000
#define RUNS          5
#define POINTS_MAX    512

static uint64_t state_of_random;

static uint32_t below(uint32_t n)
{
    uint64_t z = state_of_random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

static bool chance(uint32_t percent)
{
    return below(100) < percent;
}

/* ---- random dags ---------------------------------------------------------------------------- */

static struct mr__plan *random_plan(void)
{
    static const char *const actions[] = {"loop", "wait", "job", "idem", "phases"};
    static const char *const whens[] = {"always", "failed", "success"};
    static const char *const on_lost[] = {"retry", "fail", "ask"};
    struct mr__buf yaml;
    uint32_t n = 1 + below(14), density = below(60);
    bool has_when = chance(50);
    mr__buf_init(&yaml);
    mr__buf_text(&yaml, "vars: {x: {defaultValue: \"1\"}}\n");
    if (chance(30)) {
        mr__buf_printf(&yaml, "maxParallel: %u\n", 1 + below(4));
    }
    if (chance(30)) {
        mr__buf_printf(&yaml, "timeout: %us\n", 1 + below(100));
    }
    if (chance(20)) {
        mr__buf_text(&yaml, "hooks: {beforeRun: {lua: 'trace(1)'}, beforeRetry: {lua: 'trace(1)'}, "
                            "onExit: {lua: 'trace(1)'}, beforeBlock: {lua: 'trace(1)'}}\n");
    }
    mr__buf_text(&yaml, "tasks:\n");
    for (uint32_t t = 0; t < n; t++) {
        mr__buf_printf(&yaml, "  - {id: t%u", t);
        if (chance(85)) {
            mr__buf_printf(&yaml, ", action: %s", actions[below(5)]);
            if (chance(25)) {
                mr__buf_text(&yaml, ", params: {p: \"{{x}}\"}");
            }
            if (chance(25)) {
                mr__buf_printf(&yaml, ", timeout: %us", 1 + below(20));
            }
            if (chance(50)) {
                mr__buf_printf(&yaml, ", onLost: %s", on_lost[below(3)]);
            }
            if (chance(30)) {
                mr__buf_printf(&yaml, ", retry: {max: %u%s%s%s}", 1 + below(3),
                               chance(70) ? ", delay: 2s" : "",
                               chance(50) ? ", backoff: exponential, jitter: 0.5" : "",
                               chance(50) ? ", if: error.attempt" : "");
            }
        }
        if (chance(25)) {
            mr__buf_text(&yaml, ", skipIf: share.x");
        }
        if (chance(20)) {
            mr__buf_text(&yaml, ", forEach: share.list");
            if (chance(50)) {
                mr__buf_printf(&yaml, ", maxParallel: %u", 1 + below(3));
            }
        }
        if (has_when && chance(50)) {
            mr__buf_printf(&yaml, ", when: %s", whens[below(3)]);
        }
        bool any = false;
        for (uint32_t p = 0; p < t; p++) {
            if (chance(density)) {
                mr__buf_printf(&yaml, "%st%u", any ? ", " : ", dependOn: [", p);
                any = true;
            }
        }
        mr__buf_text(&yaml, any ? "]}\n" : "}\n");
    }
    struct mr__plan *plan = fixture_plan(mr__buf_cstr(&yaml));
    mr__buf_finish(&yaml);
    return plan;
}

/* ---- random inputs -------------------------------------------------------------------------- */

struct point { /* a moment at which a run's state was known */
    uint32_t run;
    size_t len;
    uint64_t digest;
};

struct game {
    struct hand *h;
    struct mr__plan *plans[RUNS];
    uint8_t ids[RUNS][MR__RUN_ID_BYTES];
    uint32_t count;
    struct point points[POINTS_MAX];
    size_t point_count;
};

static struct mr__run *any_run(const struct game *game)
{
    return game->count == 0 ? NULL : mr__run_find(&game->h->s, game->ids[below(game->count)]);
}

/* The attempt that goes on, or one that does not: the numbers around it too. */
static void random_end(struct game *game, struct mr__run *run)
{
    struct mr__scheduler *s = &game->h->s;
    uint32_t t = below(run->task_count + 1);
    uint32_t attempt = t < run->task_count ? mr__run_attempt(run, t) : 1;
    struct mr__ended ended = {.task = t,
                              .attempt = chance(10) ? attempt + below(3) - 1 : attempt,
                              .outcome = (enum mr__outcome)below(MR__OUTCOMES)};
    if (chance(50)) {
        ended.outcome = MR__OUTCOME_SUCCESS;
        ended.output = (struct mr__blob){"[1]", 3};
    } else {
        ended.reason = (struct mr__blob){"exit 7", below(7)};
    }
    bool current = t < run->task_count && mr__attempt_is_current(run, t, ended.attempt);
    if (current && chance(20)) {
        mr__decide_share(s, run, t, (struct mr__blob){"a\0b", 1 + below(3)},
                         chance(70) ? (struct mr__blob){"17", 1 + below(2)} : NO_BLOB);
    }
    if (current && chance(20)) {
        bool may = run->tasks[t].status == MR__TASK_RUNNING &&
                   (run->tasks[t].flags & MR__TASKFLAG_WAITING) == 0;
        if (may) {
            assert_true(mr__decide_ending(s, run, t, ended.attempt, ended.output));
        }
        return;
    }
    assert_int_equal(mr__decide_ended(s, run, &ended), current);
}

/* What was asked of the engine and not answered at once is answered now, or once more. */
static void random_answer(struct game *game, struct mr__run *run)
{
    struct mr__scheduler *s = &game->h->s;
    uint32_t t = below(run->task_count);
    if ((run->flags & MR__RUNFLAG_DORMANT) != 0) {
        return;
    }
    if (run->tasks[t].flags & MR__TASKFLAG_PREPARING) {
        bool child = t >= run->plan->dag->task_count;
        hand_prepare(game->h, run, t, child ? MR__PREPARE_CHILD | MR__PREPARE_NO_CONDITIONS : 0);
    }
    mr__decide_judged(s, run, t, chance(50), NO_BLOB);
    (void)mr__decide_began(s, run, t, mr__run_attempt(run, t));
    mr__decide_hooked(s, run, chance(90) ? run->hooks_due : 1);
}

static void random_command(struct game *game, struct mr__run *run)
{
    struct mr__scheduler *s = &game->h->s;
    mr_error error = {0};
    uint64_t before = mr__run_digest(run);
    size_t len = run->log.len;
    uint32_t tasks[2] = {below(run->task_count), below(run->task_count)};
    size_t count = chance(50) ? 0 : 1 + below(2);
    mr_status status;
    switch (below(8)) {
    case 0: status = mr__decide_cancel(s, run, (enum mr__cancel_why)below(2), &error); break;
    case 1:
    case 2: status = mr__decide_continue(s, run, tasks, count, &error); break;
    case 3: status = mr__decide_cancel_tasks(s, run, tasks, 1 + below(2), &error); break;
    case 4: status = mr__decide_pause(s, run, &error); break;
    case 5: status = mr__decide_unpause(s, run, &error); break;
    default: status = mr__decide_retry(s, run, tasks, count, &error); break;
    }
    if (status != MR_OK) {
        assert_int_equal(status, MR_ECONFLICT);
        assert_non_null(strstr(error.message, "cannot "));
        assert_true(mr__run_digest(run) == before && run->log.len == len);
    }
}

static enum mr__resume_fate fate_random(void *user, const struct mr__run *run, uint32_t task)
{
    return (enum mr__resume_fate)below(3);
}

/* All memory goes; every run is built anew from its log, and gone on with in another order. */
static void crash(struct game *game)
{
    struct mr__scheduler old = game->h->s, *s = &game->h->s;
    struct mr__run *run;
    mr__scheduler_init(s, old.jobs_max);
    s->on_finished = hand_finished;
    s->user = game->h;
    s->now_ms = old.now_ms;
    s->lsn = old.lsn;
    for (uint32_t slot = 0; slot < old.runs_cap; slot++) {
        const struct mr__run *was = old.runs[slot];
        if (was == NULL) {
            continue;
        }
        assert_int_equal(mr__run_create(s, slot, was->id, was->plan, &run), MR_OK);
        assert_int_equal(mr__replay(s, run, was->log.data, was->log.len), MR_OK);
        assert_true(mr__run_digest(was) == mr__run_digest(run));
    }
    assert_int_equal(mr__slots_rebuild(s), MR_OK);
    mr__scheduler_finish(&old);
    check_scheduler(s);
    for (uint32_t slot = s->runs_cap; slot > 0; slot--) {
        run = s->runs[slot - 1];
        if (run != NULL && (run->flags & MR__RUNFLAG_SETTLED) == 0 && chance(80)) {
            mr__resume_run(s, run, fate_random, NULL);
            assert_true(s->failed || (run->flags & MR__RUNFLAG_DORMANT) == 0);
        }
    }
}

/* A run that stands still and came back from the history is awake: only its log is dormant. */
static void wake(struct mr__scheduler *s, struct mr__run *run)
{
    if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
        return;
    }
    if ((run->flags & MR__RUNFLAG_SETTLED) == 0) {
        mr__resume_run(s, run, fate_random, NULL);
    } else {
        run->flags &= (uint8_t)~MR__RUNFLAG_DORMANT;
        s->dormant_count--;
    }
}

static void input(struct game *game)
{
    struct hand *h = game->h;
    struct mr__run *run = any_run(game);
    uint32_t what = below(100);
    h->s.now_ms += chance(10) ? -(int64_t)below(5000) : (int64_t)below(2000);
    h->bad_params = chance(10);
    h->holds = chance(20);
    h->gives_up = chance(50);
    h->verdict = (enum mr__verdict)(chance(60) ? 0 : below(4));
    h->items = below(5);
    if (what < 8 && game->count < RUNS) {
        struct mr__plan *plan = game->plans[game->count] = random_plan();
        struct mr__run *submitted = hand_submit(h, plan);
        memcpy(game->ids[game->count++], submitted->id, MR__RUN_ID_BYTES);
    } else if (run == NULL) {
        return;
    } else if (what < 10) {
        crash(game);
    } else if (what < 60) {
        if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
            random_end(game, run);
        }
    } else if (what < 70) {
        uint32_t t = below(run->task_count);
        if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
            (void)mr__decide_waiting(&h->s, run, t, run->tasks[t].attempt, below(5000));
        }
    } else if (what < 85) {
        uint32_t t = below(run->task_count);
        uint32_t kind = chance(10) ? MR__TIMER_RUN : below(3);
        mr__decide_timer(&h->s, run, (enum mr__timer_kind)kind, t, mr__run_attempt(run, t));
        random_answer(game, run);
    } else if (what < 95) {
        wake(&h->s, run);
        random_command(game, run);
    } else {
        wake(&h->s, run);
    }
}

static void note_points(struct game *game)
{
    for (uint32_t i = 0; i < game->count && game->point_count < POINTS_MAX; i++) {
        const struct mr__run *run = mr__run_find(&game->h->s, game->ids[i]);
        game->points[game->point_count++] = (struct point){i, run->log.len, mr__run_digest(run)};
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Everything that one run waits for comes. True if anything did. */
static bool finish_step(struct game *game, struct mr__run *run)
{
    struct mr__scheduler *s = &game->h->s;
    bool any = run->status == MR__RUN_PAUSED && mr__decide_unpause(s, run, NULL) == MR_OK;
    if (run->hooks_due != 0) {
        mr__decide_hooked(s, run, run->hooks_due);
        any = true;
    }
    hand_do(game->h);
    for (uint32_t t = 0; t < run->task_count; t++) {
        struct mr__ended ended = {.task = t, .attempt = mr__run_attempt(run, t)};
        if (run->tasks[t].flags & MR__TASKFLAG_PREPARING) {
            bool child = t >= run->plan->dag->task_count;
            hand_prepare(game->h, run, t, child ? MR__PREPARE_CHILD : MR__PREPARE_NO_CONDITIONS);
            any = true;
        }
        if (run->tasks[t].flags & (MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED)) {
            mr__decide_judged(s, run, t, true, NO_BLOB);
            mr__decide_timer(s, run, MR__TIMER_RETRY, t, run->tasks[t].attempt);
            any = true;
        }
        any |= mr__decide_ended(s, run, &ended);
        hand_do(game->h);
    }
    return any;
}

/* Nothing more comes from outside but what is waited for: every run must come to stand. */
static void finish(struct game *game)
{
    struct mr__scheduler *s = &game->h->s;
    for (uint32_t i = 0; i < game->count; i++) {
        wake(s, mr__run_find(s, game->ids[i]));
        hand_do(game->h);
    }
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < game->count; i++) {
            again |= finish_step(game, mr__run_find(s, game->ids[i]));
        }
    }
    assert_int_equal(s->jobs_used, 0);
    for (uint32_t i = 0; i < game->count; i++) {
        const struct mr__run *run = mr__run_find(s, game->ids[i]);
        bool bad = run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] > 0;
        assert_true((run->flags & MR__RUNFLAG_SETTLED) != 0 || run->status == MR__RUN_BLOCKED);
        if (run->flags & MR__RUNFLAG_CANCELING) {
            bool by_time = (run->flags & MR__RUNFLAG_TIMED_OUT) != 0;
            assert_int_equal(run->status, by_time ? MR__RUN_FAILED : MR__RUN_CANCELED);
        } else if (bad) {
            assert_int_equal(run->status, MR__RUN_FAILED);
        } else {
            bool blocked = run->count[MR__TASK_BLOCKED] > 0;
            assert_int_equal(run->status, blocked ? MR__RUN_BLOCKED : MR__RUN_SUCCESS);
            assert_true(blocked || run->count[MR__TASK_SUCCESS] + run->count[MR__TASK_SKIPPED] ==
                                       run->task_count);
        }
    }
}

/* Event by event: each prefix of a log is a state that holds together. */
static void check_prefixes(const struct mr__run *run)
{
    struct mr__scheduler other;
    struct mr__run *copy;
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    mr__scheduler_init(&other, 1);
    assert_int_equal(mr__run_create(&other, 0, run->id, run->plan, &copy), MR_OK);
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0) {
        const uint8_t *begin = r.at;
        assert_true(mr__event_decode(&r, last_ms, &event));
        last_ms = event.time_ms;
        assert_int_equal(mr__replay(&other, copy, begin, (size_t)(r.at - begin)), MR_OK);
        (void)check_run(copy);
        if (copy->log.len % 5 == 0 || mr__reader_left(&r) == 0) {
            check_replay(run, copy->log.len, mr__run_digest(copy));
        }
    }
    assert_true(mr__run_digest(copy) == mr__run_digest(run));
    mr__scheduler_finish(&other);
}

static void play(uint64_t seed)
{
    static struct game game;
    memset(&game, 0, sizeof game);
    state_of_random = seed;
    game.h = hand_create(1 + below(4));
    uint32_t inputs = 20 + below(150);
    for (uint32_t i = 0; i < inputs; i++) {
        input(&game);
        check_scheduler(&game.h->s);
        if (chance(70)) {
            hand_do(game.h);
        }
        if (chance(30)) {
            note_points(&game);
        }
    }
    game.h->holds = game.h->bad_params = false;
    game.h->verdict = MR__VERDICT_GO;
    hand_do(game.h);
    finish(&game);
    check_all(game.h);
    for (size_t i = 0; i < game.point_count; i++) {
        const struct point *point = &game.points[i];
        const struct mr__run *run = mr__run_find(&game.h->s, game.ids[point->run]);
        check_replay(run, point->len, point->digest);
    }
    for (uint32_t i = 0; i < game.count; i++) {
        check_prefixes(mr__run_find(&game.h->s, game.ids[i]));
    }
    hand_destroy(game.h);
    for (uint32_t i = 0; i < game.count; i++) {
        mr__plan_unref(game.plans[i]);
    }
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

static void property__any_inputs_leave_the_state_whole(void **state)
{
    uint64_t only = number_of("MILLRACE_SEED", 0);
    uint64_t seeds = number_of("MILLRACE_SEEDS", number_of("MILLRACE_TEST_SEEDS", SEEDS_DEFAULT));
    for (uint64_t seed = only != 0 ? only : 1; seed <= (only != 0 ? only : seeds); seed++) {
        uint64_t *now = *state;
        *now = seed;
        play(seed);
    }
}

static int setup(void **state)
{
    static uint64_t seed;
    *state = &seed;
    return 0;
}

/* Also after a failure: says where it was. */
static int teardown(void **state)
{
    (void)fprintf(stderr, "property: the last seed was %llu\n",
                  (unsigned long long)*(uint64_t *)*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(property__any_inputs_leave_the_state_whole, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("property", tests, NULL, NULL);
}
