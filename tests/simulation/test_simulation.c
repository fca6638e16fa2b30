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
#define SEEDS_DEFAULT 1500
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
    knobs->far = sim_chance(sim, 300) ? 0 : sim_below(sim, 500);
    knobs->full = sim_chance(sim, 700) ? 0 : sim_below(sim, 100);
    sim->jobs = 1 + sim_below(sim, 8);
    sim->hooks = sim_chance(sim, 700) ? 0 : sim_below(sim, 1u << MR__HOOKS);
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
        sim_archive_check(sim);
        check_journal(sim);
    }
}

/* ---- histories ------------------------------------------------------------------------------ */

static void step(struct sim *sim)
{
    uint32_t choice = sim_below(sim, 100);
    int64_t due = sim_next_due(sim);
    if (sim_chance(sim, sim->knobs.crash)) {
        if (sim_chance(sim, 200)) {
            sim_close(sim);
        } else {
            sim_count(sim, SIM_crash_between);
            sim_crash(sim, sim_chance(sim, 150));
        }
        sim_open(sim);
    } else if (choice < 30) {
        sim_poll(sim);
    } else if (choice < 48 && due != INT64_MAX) {
        sim_advance(sim, MR__MAX(0, due - sim->monotonic_ms) + (int64_t)sim_below(sim, 40));
    } else if (choice < 55) {
        sim_advance(sim, (int64_t)sim_below(sim, 1500));
    } else if (choice < 67) {
        sim_submit(sim, RUNS_MAX);
    } else if (choice < 80) {
        sim_command(sim);
    } else if (choice < 85) {
        sim_resume(sim, sim_below(sim, 1001));
    } else if (choice < 92) {
        sim_exec_talk(sim);
    } else if (choice < 95) {
        sim_after(sim);
    } else if (choice < 96 && sim->knobs.fail > 0) {
        sim->failing = !sim->failing && sim_chance(sim, 100);
    } else if (choice == 99) {
        sim_prune(sim);
    }
    if (sim_chance(sim, 400)) {
        sim_prune_go(sim);
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

static void say_what_hangs(struct sim *sim)
{
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        const struct sim_run *run = &sim->truth.runs[i];
        if (!run->durable || sim_truth_over(run)) {
            continue;
        }
        for (uint32_t t = 0; t < run->task_count; t++) {
            const struct sim_task *task = &run->tasks[t];
            sim_note(sim, "run %zu task %u: %s%s%s%s", i, t, mr__task_status_name(task->status),
                     task->prepared ? " prepared" : "", task->judging ? " judging" : "",
                     task->delayed ? " delayed" : "");
        }
        sim_broken(sim, "run %zu (dag %s, %s) does not come to its end; hooks due: %x", i,
                   run->plan->dag->id, mr__run_status_name(run->status), run->hooks_due);
    }
    sim_broken(sim, "the shard does not come to rest");
}

/* Nothing goes wrong any more: everything must come to its end. */
static void drain(struct sim *sim)
{
    for (uint32_t i = 0; !all_over(sim) || sim_prune_is_running(sim); i++, sim->step++) {
        int64_t due = sim_next_due(sim);
        if (i == DRAIN_STEPS_MAX) {
            say_what_hangs(sim);
        }
        sim_resume(sim, 1000);
        for (size_t k = 0; k < sim->truth.run_count; k++) {
            struct sim_run *run = &sim->truth.runs[k];
            const struct mr__run *live = mr__shard_find(sim->shard, run->id);
            if (live != NULL && run->status == MR__RUN_BLOCKED && live->status == MR__RUN_BLOCKED) {
                sim_command_of(sim, run, MR__COMMAND_CONTINUE);
            } else if (live != NULL && run->paused && live->status == MR__RUN_PAUSED) {
                sim_command_of(sim, run, MR__COMMAND_UNPAUSE);
            }
        }
        sim_prune_go(sim);
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
        sim_submit(sim, SIM_RUNS_MAX);
        sim_pump(sim);
        drain(sim);
    }
    check_end(sim);
    sim_prune_all(sim);
    sim_pump(sim);
    drain(sim);
    sim_archive_check_empty(sim);
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
