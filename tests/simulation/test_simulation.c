/* SPDX-License-Identifier: MIT
 *
 * Goal: what shard.h and design.md promise, through any history of crashes, failed and lost writes,
 * jumping clocks, late cancels, lost children. Method: one seed gives one history of a few hundred
 * steps; then the faults stop, and every run must come to the end that its tasks demand. All along
 * the world (sim.h) holds what the shard does against what is durable.
 *
 * MILLRACE_SEEDS=N (or MILLRACE_TEST_SEEDS) runs N seeds, MILLRACE_SEED=S that one alone, with `-v`
 * every step of it; `-c` says how often each thing came up. mutants.sh plants bugs and shows that
 * this test finds each.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/simulation/sim.h"

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW_BUILD 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW_BUILD 1
#endif
#if defined(SLOW_BUILD)
#define SEEDS_DEFAULT 2000
#else
#define SEEDS_DEFAULT 8000
#endif
#define SEEDS_FOR_COUNTERS 1500 /* from here on each kind of fault must have come up */
#define RUNS_MAX           40   /* submitted in one history */
#define DRAIN_STEPS_MAX    20000

static uint32_t counters[SIM_COUNTER_COUNT];
static bool verbose, show_counters;
static volatile uint64_t seed_now;

/* ---- what a history is made of -------------------------------------------------------------- */

static void choose_knobs(struct sim *sim)
{
    struct sim_knobs *knobs = &sim->knobs;
    bool calm = sim_chance(sim, 150);
    knobs->crash = calm ? 0 : sim_below(sim, 60);
    knobs->within = calm || sim_chance(sim, 400) ? 0 : sim_below(sim, 30);
    knobs->wait = sim_below(sim, 500);
    knobs->fail = calm || sim_chance(sim, 500) ? 0 : sim_below(sim, 80);
    knobs->unknown = calm || sim_chance(sim, 500) ? 0 : sim_below(sim, 80);
    knobs->jump = sim_chance(sim, 500) ? 0 : sim_below(sim, 100);
    knobs->attempt_fails = sim_chance(sim, 300) ? 0 : sim_below(sim, 200);
    knobs->survive = sim_below(sim, 1001);
    knobs->full = sim_chance(sim, 700) ? 0 : sim_below(sim, 100);
    sim->jobs = 1 + sim_below(sim, 8);
    sim->journal_bytes_keep = sim_chance(sim, 300) ? 0 : 1 + sim_below(sim, 4000);
    sim->index_runs_pending = sim_chance(sim, 300) ? 0 : 1 + sim_below(sim, 8);
    if (sim_chance(sim, 400)) {
        sim->limits.ops_max = 1 + sim_below(sim, 12);
    }
    if (sim_chance(sim, 300)) {
        sim->limits.bytes_max = 200 + sim_below(sim, 4000);
    }
    if (sim_chance(sim, 300)) {
        sim->limits.value_max = 64 + sim_below(sim, 600);
    }
}

/* The engine looks keys of runs that have ended up in the store before it asks the shard. */
static bool key_is_taken(const struct sim *sim, struct mr__blob key)
{
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        const struct sim_run *run = &sim->truth.runs[i];
        struct mr__reader r;
        struct mr__event created;
        if (run->ends == 0) {
            continue;
        }
        mr__reader_init(&r, run->log.data, run->log.len);
        if (mr__event_decode(&r, 0, &created) && created.key.len == key.len &&
            memcmp(created.key.data, key.data, key.len) == 0) {
            return true;
        }
    }
    return false;
}

static void submit(struct sim *sim)
{
    struct mr__plan *plan;
    char key[32], token[32];
    if (sim->truth.run_count >= RUNS_MAX && sim->faults) {
        return;
    }
    size_t dag = sim_below(sim, (uint32_t)sim_dag_count);
    if (mr__shard_plan_add(sim->shard, sim_dag_parse(dag), &plan) != MR_OK) {
        sim_broken(sim, "a plan cannot be added");
    }
    struct mr__submit how = {
        .plan = plan, .folder = {"/", 1}, .vars = {"{\"x\":\"1\"}", 9}, .tags = {"{}", 2}};
    if (plan->dag->tags.len > 0) {
        how.tags = (struct mr__blob){"{\"team\":\"a\"}", 12};
    }
    (void)snprintf(key, sizeof key, "key-%u", sim_below(sim, 20));
    if (sim_chance(sim, 400) && !key_is_taken(sim, (struct mr__blob){key, strlen(key)})) {
        how.key = (struct mr__blob){key, strlen(key)};
    }
    if (sim_chance(sim, 300)) {
        (void)snprintf(token, sizeof token, "token-%llx", (unsigned long long)sim_random(sim));
        how.token = (struct mr__blob){token, strlen(token)};
    }
    sim_note(sim, "submit %s", plan->dag->id);
    mr__shard_submit(sim->shard, &how, sim_done, sim_request(sim, SIM_SUBMIT, NULL));
}

/* As the engine does: a finished run comes back from the history first. */
static void revive(struct sim *sim, struct sim_run *run)
{
    struct mr__plan *plan;
    struct mr__buf log;
    mr_error error = {0};
    if (run->status == MR__RUN_SUCCESS || !sim_truth_history(sim, run->id, &log)) {
        return;
    }
    plan = mr__shard_plan(sim->shard, run->plan->dag->version);
    if (plan == NULL &&
        mr__shard_plan_add(sim->shard, mr__dag_ref(run->plan->dag), &plan) != MR_OK) {
        sim_broken(sim, "a plan cannot be added");
    }
    mr_status status = mr__shard_revive(sim->shard, run->id, plan,
                                        (struct mr__blob){(const char *)log.data, log.len}, &error);
    mr__buf_finish(&log);
    if (status == MR_OK) {
        sim_count(sim, SIM_run_revived);
        struct mr__command_of what = {.command = MR__COMMAND_RETRY};
        mr__shard_command(sim->shard, run->id, &what, sim_done, sim_request(sim, SIM_RETRY, run));
    } else if (error.status == MR_OK || status == MR_EFORMAT) {
        sim_broken(sim, "a run does not come back: %s", error.message);
    }
}

static void command_of(struct sim *sim, struct sim_run *run, enum mr__command command)
{
    static const enum sim_request_kind kinds[] = {SIM_CANCEL, SIM_RETRY, SIM_CONTINUE};
    const struct mr__run *live = mr__shard_find(sim->shard, run->id);
    if (!run->durable) {
        return;
    }
    sim_note(sim, "command %d", (int)command);
    if (live == NULL) {
        if (command == MR__COMMAND_RETRY) {
            revive(sim, run);
        }
        return;
    }
    if ((live->flags & MR__RUNFLAG_DORMANT) != 0) {
        sim_count(sim, SIM_command_of_dormant);
    }
    if ((live->flags & MR__RUNFLAG_SETTLED) != 0 && command == MR__COMMAND_RETRY) {
        sim_count(sim, SIM_retry_while_ending);
    }
    struct mr__command_of what = {.command = command};
    mr__shard_command(sim->shard, run->id, &what, sim_done, sim_request(sim, kinds[command], run));
}

static void command(struct sim *sim)
{
    static const enum mr__command often[] = {MR__COMMAND_CANCEL, MR__COMMAND_RETRY,
                                             MR__COMMAND_RETRY, MR__COMMAND_CONTINUE};
    if (sim->truth.run_count > 0) {
        struct sim_run *run = &sim->truth.runs[sim_below(sim, (uint32_t)sim->truth.run_count)];
        command_of(sim, run, often[sim_below(sim, MR__COUNT(often))]);
    }
}

/* Goes on with some of the dormant runs, or with all. */
static void resume(struct sim *sim, uint32_t per_mille)
{
    const struct mr__scheduler *s = mr__shard_state(sim->shard);
    uint8_t ids[SIM_RUNS_MAX][MR__RUN_ID_BYTES];
    size_t count = 0;
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        if (run == NULL || (run->flags & MR__RUNFLAG_DORMANT) == 0 ||
            run->status == MR__RUN_BLOCKED) {
            continue;
        }
        if (sim_chance(sim, per_mille)) {
            memcpy(ids[count++], run->id, MR__RUN_ID_BYTES);
            sim_count(sim, SIM_resumed);
        } else {
            sim_count(sim, SIM_left_dormant);
        }
    }
    if (count > 0) {
        sim_note(sim, "resume %zu", count);
        mr__shard_resume(sim->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])ids, count);
    }
}

static void after(struct sim *sim)
{
    if (sim->truth.run_count > 0) {
        struct sim_run *run = &sim->truth.runs[sim_below(sim, (uint32_t)sim->truth.run_count)];
        if (run->durable) {
            mr__shard_after(sim->shard, sim_done, sim_request(sim, SIM_AFTER, run));
        }
    }
}

/* ---- checks between steps ------------------------------------------------------------------- */

static void check_journal(struct sim *sim)
{
    struct mr__shard_stats stats;
    mr__shard_stats(sim->shard, &stats);
    if (sim->journal_bytes_keep == 0 || sim_untidy(sim)) {
        return;
    }
    if (stats.journal_bytes > sim->journal_bytes_keep &&
        stats.journal_last > stats.journal_first + 4) {
        sim_broken(sim, "the journal grows: entries %llu to %llu, %llu bytes",
                   (unsigned long long)stats.journal_first, (unsigned long long)stats.journal_last,
                   (unsigned long long)stats.journal_bytes);
    }
}

static void check(struct sim *sim, bool all)
{
    bool quiet = mr__shard_quiet(sim->shard);
    sim_truth_check_memory(sim, false);
    if (quiet && all) {
        sim_truth_check_memory(sim, true);
        sim_truth_check_archive(sim);
        check_journal(sim);
    }
}

/* ---- histories ------------------------------------------------------------------------------ */

static void step(struct sim *sim)
{
    uint32_t choice = sim_below(sim, 100);
    int64_t due = sim_next_due(sim);
    if (sim_chance(sim, sim->knobs.crash)) {
        sim_count(sim, SIM_crash_between);
        sim_crash(sim, sim_chance(sim, 150));
        sim_open(sim);
    } else if (choice < 30) {
        sim_poll(sim);
    } else if (choice < 48 && due != INT64_MAX) {
        sim_advance(sim, MR__MAX(0, due - sim->monotonic_ms) + (int64_t)sim_below(sim, 40));
    } else if (choice < 55) {
        sim_advance(sim, (int64_t)sim_below(sim, 1500));
    } else if (choice < 67) {
        submit(sim);
    } else if (choice < 80) {
        command(sim);
    } else if (choice < 85) {
        resume(sim, sim_below(sim, 1001));
    } else if (choice < 92) {
        sim_exec_talk(sim);
    } else if (choice < 95) {
        after(sim);
    } else if (choice < 96 && sim->knobs.fail > 0) {
        sim->failing = !sim->failing && sim_chance(sim, 100);
    }
    sim_pump(sim);
    check(sim, sim_chance(sim, 200));
}

static bool all_over(struct sim *sim)
{
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        if (sim->truth.runs[i].durable && !sim_truth_over(&sim->truth.runs[i])) {
            return false;
        }
    }
    return mr__shard_quiet(sim->shard);
}

/* Nothing goes wrong any more: everything must come to its end. */
static void drain(struct sim *sim)
{
    for (uint32_t i = 0; !all_over(sim); i++, sim->step++) {
        int64_t due = sim_next_due(sim);
        if (i == DRAIN_STEPS_MAX) {
            sim_broken(sim, "a run does not come to its end");
        }
        resume(sim, 1000);
        for (size_t k = 0; k < sim->truth.run_count; k++) {
            struct sim_run *run = &sim->truth.runs[k];
            const struct mr__run *live = mr__shard_find(sim->shard, run->id);
            if (run->status == MR__RUN_BLOCKED && live != NULL && live->status == MR__RUN_BLOCKED) {
                command_of(sim, run, MR__COMMAND_CONTINUE);
            }
        }
        sim_pump(sim);
        sim_poll(sim);
        if (sim->flying == NULL && due != INT64_MAX) {
            sim_advance(sim, MR__MAX(0, due - sim->monotonic_ms));
        }
    }
    sim_pump(sim);
    check(sim, true);
}

static void check_end(struct sim *sim)
{
    struct mr__shard_stats stats;
    struct mr__store_stats store;
    mr__shard_stats(sim->shard, &stats);
    if (stats.journal_last > stats.journal_first + 4) {
        sim_broken(sim, "no run is live, and the journal still has entries %llu to %llu",
                   (unsigned long long)stats.journal_first, (unsigned long long)stats.journal_last);
    }
    (void)sim->store->ops->stats(sim->store, &store);
    if (store.keys[MR__TABLE_LIVE] != 0) {
        sim_broken(sim, "no run is live, and there are %llu checkpoints",
                   (unsigned long long)store.keys[MR__TABLE_LIVE]);
    }
    if (sim->shard != NULL && mr__shard_state(sim->shard)->run_count != 0) {
        sim_broken(sim, "no run is live, and memory has %u",
                   mr__shard_state(sim->shard)->run_count);
    }
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        if (sim->truth.runs[i].promised && !sim->truth.runs[i].durable) {
            sim_broken(sim, "a run that was promised is gone");
        }
    }
    sim_exec_check_end(sim);
}

/* One history. Returns its trace. */
static uint64_t play(uint64_t seed, uint32_t *count)
{
    struct sim *sim = malloc(sizeof *sim);
    seed_now = seed;
    assert_non_null(sim);
    sim_init(sim, seed, count);
    sim->verbose = verbose;
    choose_knobs(sim);
    sim_open(sim);
    uint32_t steps = 100 + sim_below(sim, 300);
    for (; sim->step < steps; sim->step++) {
        step(sim);
    }
    sim->faults = sim->failing = false;
    drain(sim);
    for (int i = 0; i < 12; i++) { /* a few more, which let the journal be trimmed */
        submit(sim);
        sim_pump(sim);
        drain(sim);
    }
    check_end(sim);
    uint64_t trace = sim->trace;
    sim_finish(sim);
    free(sim);
    return trace;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

static void simulation__keeps_its_promises_through_any_history(void **state)
{
    uint64_t only = number_of("MILLRACE_SEED", 0);
    uint64_t seeds = number_of("MILLRACE_SEEDS", number_of("MILLRACE_TEST_SEEDS", SEEDS_DEFAULT));
    if (only != 0) {
        uint64_t trace = play(only, counters);
        (void)printf("seed %llu: trace %016llx\n", (unsigned long long)only,
                     (unsigned long long)trace);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        (void)play(seed, counters);
    }
    bool all = true;
    for (size_t i = 0; i < SIM_COUNTER_COUNT; i++) {
        if (show_counters || counters[i] == 0) {
            (void)fprintf(stderr, "%10u %s\n", counters[i], sim_counter_names[i]);
        }
        all &= counters[i] > 0;
    }
    assert_true(all || seeds < SEEDS_FOR_COUNTERS);
}

static void simulation__a_seed_is_one_history(void **state)
{
    uint32_t count[SIM_COUNTER_COUNT] = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = play(seed, count);
        assert_true(first == play(seed, count));
    }
}

/* An assertion of the code under test: the seed must be known, too. */
static void on_abort(int signal_number)
{
    char text[64];
    int len = snprintf(text, sizeof text, "simulation: aborted in seed %llu\n",
                       (unsigned long long)seed_now);
    (void)!write(STDERR_FILENO, text, (size_t)len);
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulation__a_seed_is_one_history),
        cmocka_unit_test(simulation__keeps_its_promises_through_any_history),
    };
    verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    show_counters = argc > 1 && strcmp(argv[1], "-c") == 0;
    (void)signal(SIGABRT, on_abort);
    return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
