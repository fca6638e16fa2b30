/* SPDX-License-Identifier: MIT
 *
 * Who prunes, at any time: prune.c is the real one, on an engine of which there is nothing but the
 * shard. Its reading jobs are played here: what was read may be old by the time it is answered. The
 * account of it: nobody's run goes but one that is over, that was meant, and of which enough are
 * kept.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/prune.h"
#include "tests/simulation/sim.h"

enum reading { NO_READING, READING_ASKED, READING_DONE };

struct sim_prune {
    struct mr__engine engine;
    struct sim *sim;
    struct mr__prune_options options;
    bool running;
    uint64_t gone; /* durably, since it began */
    enum reading reading;
    mr__read_fn fn;
    mr__read_cb cb;
    void *user;
    mr_status status;
};

/* prune.c's way to the store. */
mr_status mr__engine_read(struct mr__engine *engine, mr__read_fn fn, mr__read_cb cb, void *user)
{
    struct sim_prune *prune = MR__CONTAINER(engine, struct sim_prune, engine);
    if (prune->reading != NO_READING) {
        sim_broken(prune->sim, "a prune reads two things at once");
    }
    prune->reading = READING_ASKED;
    prune->fn = fn;
    prune->cb = cb;
    prune->user = user;
    return MR_OK;
}

void sim_prune_init(struct sim *sim)
{
    sim->prune = calloc(1, sizeof *sim->prune);
    sim->prune->sim = sim;
}

void sim_prune_finish(struct sim *sim)
{
    free(sim->prune);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void on_done(void *user, mr_status status, const mr_error *error, uint64_t runs)
{
    struct sim_prune *prune = user;
    struct sim *sim = prune->sim;
    if (!prune->running) {
        sim_broken(sim, "a prune is answered twice");
    }
    prune->running = false;
    if (sim->dead) {
        return;
    }
    sim_note(sim, "prune: %d, %llu runs", status, (unsigned long long)runs);
    if (status != MR_OK) {
        sim_count(sim, SIM_prune_failed);
    } else if (runs != prune->gone && !prune->options.dry_run) {
        sim_broken(sim, "a prune says that %llu runs went, and durably %llu did",
                   (unsigned long long)runs, (unsigned long long)prune->gone);
    }
}

static void begin(struct sim *sim, const struct mr__prune_options *options)
{
    struct sim_prune *prune = sim->prune;
    prune->engine.shard = sim->shard;
    prune->options = *options;
    prune->running = true;
    prune->gone = 0;
    sim->pruned = true;
    sim_note(sim, "prune");
    mr__prune(&prune->engine, options, on_done, prune);
}

void sim_prune(struct sim *sim)
{
    struct mr__prune_options options = {.before_ms = INT64_MAX, .status = -1};
    if (sim->prune->running) {
        return;
    }
    if (sim_chance(sim, 400)) {
        options.before_ms = sim->wall_ms - (int64_t)sim_below(sim, 60000);
    }
    if (sim_chance(sim, 500)) {
        options.keep = 1 + sim_below(sim, 3);
    }
    if (sim_chance(sim, 200) && sim->truth.run_count > 0) {
        const struct sim_run *run =
            &sim->truth.runs[sim_below(sim, (uint32_t)sim->truth.run_count)];
        options.dag = run->plan == NULL ? NULL : run->plan->dag->id;
    }
    if (sim_chance(sim, 200)) {
        options.status = (int)sim_below(sim, MR__RUN_STATUSES);
    }
    options.dry_run = sim_chance(sim, 100);
    begin(sim, &options);
}

void sim_prune_all(struct sim *sim)
{
    const struct mr__prune_options options = {.before_ms = INT64_MAX, .status = -1};
    begin(sim, &options);
}

bool sim_prune_is_running(const struct sim *sim)
{
    return sim->prune->running;
}

/* ---- reading -------------------------------------------------------------------------------- */

void sim_prune_go(struct sim *sim)
{
    struct sim_prune *prune = sim->prune;
    if (prune->reading == READING_ASKED) {
        prune->status = sim->store->ops->read_now(sim->store, prune->fn, prune->user);
        prune->reading = READING_DONE;
    } else if (prune->reading == READING_DONE) {
        prune->reading = NO_READING;
        prune->cb(prune->user, prune->status);
    }
}

void sim_prune_crash(struct sim *sim)
{
    struct sim_prune *prune = sim->prune;
    if (prune->running) {
        sim_count(sim, SIM_prune_cut_off);
    }
    if (prune->reading != NO_READING) {
        prune->reading = NO_READING;
        prune->cb(prune->user, MR_ECLOSED);
    }
}

/* ---- what is durable ------------------------------------------------------------------------ */

/* How many runs of its dag that are counted have ended after it. */
static uint64_t count_later(const struct sim *sim, const struct sim_run *run)
{
    const struct mr__prune_options *options = &sim->prune->options;
    uint64_t count = 0;
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        const struct sim_run *other = &sim->truth.runs[i];
        bool later = other->plan == run->plan && other->end_number > run->end_number;
        /* One that was retried meanwhile was counted as it was before. */
        bool counted = options->status < 0 || other->status == options->status ||
                       !other->archived || other->ends > 1;
        count += later && counted && !other->pruned;
    }
    return count;
}

void sim_prune_durable(struct sim *sim, struct sim_run *run)
{
    struct sim_prune *prune = sim->prune;
    const struct mr__prune_options *options = &prune->options;
    if (!prune->running || options->dry_run) {
        sim_broken(sim, "a run is removed, and nobody prunes");
    }
    if (!run->archived || run->pruned) {
        sim_broken(sim, "a run is removed that is not over, or twice");
    }
    if ((options->dag != NULL && strcmp(run->plan->dag->id, options->dag) != 0) ||
        (options->status >= 0 && run->status != options->status) ||
        run->last_ms >= options->before_ms) {
        sim_broken(sim, "a run is removed that was not meant");
    }
    if (count_later(sim, run) < options->keep) {
        sim_broken(sim, "a run is removed, and %llu of its dag are to be kept",
                   (unsigned long long)options->keep);
    }
    run->pruned = true;
    run->torn = false;
    prune->gone++;
    sim_count(sim, options->keep > 0 ? SIM_pruned_beyond_keep : SIM_pruned);
}
