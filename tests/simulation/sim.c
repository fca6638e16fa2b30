/* SPDX-License-Identifier: MIT
 *
 * The world: one seed's randomness, time, the store with its faults, and the lives of the engine.
 * A crash in the middle of a call is played by `dead`: from then on nothing that the shard does has
 * any effect, and when the call has returned the engine is thrown away.
 */
#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BEGIN_WALL_MS 1700000000000
#define TIME_MAX_MS   3600000 /* the longest of the dags' times */

const char *const sim_counter_names[SIM_COUNTER_COUNT] = {
#define SIM_COUNTER_NAME(name) #name,
    SIM_COUNTERS(SIM_COUNTER_NAME)
#undef SIM_COUNTER_NAME
};

/* ---- reports -------------------------------------------------------------------------------- */

void sim_broken(struct sim *sim, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr,
                  "simulation: seed %llu, step %u, life %u: ", (unsigned long long)sim->seed,
                  sim->step, sim->life);
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n  trace %016llx; again: MILLRACE_SEED=%llu, with all steps: and -v\n",
                  (unsigned long long)sim->trace, (unsigned long long)sim->seed);
    va_end(args);
    (void)fflush(NULL);
    _exit(1); /* what the world holds is not worth freeing now */
}

void sim_note(struct sim *sim, const char *fmt, ...)
{
    char line[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    sim->trace = sim->trace * 31 + mr__hash64(line, MR__MIN((size_t)len, sizeof line - 1));
    if (sim->verbose) {
        (void)fprintf(stderr, "%u.%u %lld %s\n", sim->life, sim->step, (long long)sim->monotonic_ms,
                      line);
    }
}

void sim_count(struct sim *sim, enum sim_counter counter)
{
    sim->counters[counter]++;
}

/* ---- randomness ----------------------------------------------------------------------------- */

uint64_t sim_random(struct sim *sim)
{
    uint64_t z = sim->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t sim_below(struct sim *sim, uint32_t n)
{
    return (uint32_t)(sim_random(sim) % n);
}

bool sim_chance(struct sim *sim, uint32_t per_mille)
{
    return sim_below(sim, 1000) < per_mille;
}

static void random_bytes(void *user, void *bytes, size_t len)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)sim_random(user);
    }
}

bool sim_maybe_dies(struct sim *sim)
{
    if (sim->faults && !sim->dead && sim_chance(sim, sim->knobs.within)) {
        sim->dead = true;
        sim_note(sim, "dies");
        sim_count(sim, SIM_crash_within);
    }
    return sim->dead;
}

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t clock_wall(struct mr__clock *clock)
{
    return MR__CONTAINER(clock, struct sim, clock)->wall_ms;
}

static int64_t clock_monotonic(struct mr__clock *clock)
{
    return MR__CONTAINER(clock, struct sim, clock)->monotonic_ms;
}

void sim_advance(struct sim *sim, int64_t ms)
{
    sim->monotonic_ms += ms;
    sim->wall_ms += ms;
    if (sim->faults && sim_chance(sim, sim->knobs.jump)) {
        bool ahead = sim_chance(sim, 500);
        sim->wall_ms += (ahead ? 1 : -1) * (int64_t)sim_below(sim, 7200000);
        sim_count(sim, ahead ? SIM_wall_jump_ahead : SIM_wall_jump_back);
    }
    sim_exec_run(sim);
    if (!sim->dead && sim->armed_ms <= sim->monotonic_ms) {
        mr__shard_timer(sim->shard);
    }
    sim_pump(sim);
}

int64_t sim_next_due(const struct sim *sim)
{
    return MR__MIN(sim_exec_next_due(sim), sim->armed_ms);
}

bool sim_untidy(const struct sim *sim)
{
    struct mr__shard_stats stats;
    mr__shard_stats(sim->shard, &stats);
    return stats.commits <= sim->commits_rebuilt;
}

/* ---- the store ------------------------------------------------------------------------------ */

static void late_drop(struct sim *sim)
{
    if (sim->late.present) {
        mr__batch_finish(&sim->late.batch);
        mr__buf_finish(&sim->late.key);
        mr__buf_finish(&sim->late.value);
        sim->late.present = false;
    }
}

/* Keeps the write under way: it is lost for now, but may come yet. */
static void late_keep(struct sim *sim)
{
    const struct mr__batch *from = sim->flying;
    const struct mr__guard *guard = sim->flying_guard;
    if (from == NULL || guard->key.len == 0) {
        return;
    }
    late_drop(sim);
    mr__batch_init(&sim->late.batch);
    mr__buf_init(&sim->late.key);
    mr__buf_init(&sim->late.value);
    for (size_t i = 0; i < from->count; i++) {
        const struct mr__op *op = &from->ops[i];
        const uint8_t *key = from->bytes.data + op->key, *value = from->bytes.data + op->value;
        switch (op->kind) {
        case MR__OP_PUT:
            mr__batch_put(&sim->late.batch, key, op->key_len, value, op->value_len);
            break;
        case MR__OP_DEL: mr__batch_del(&sim->late.batch, key, op->key_len); break;
        default: mr__batch_del_range(&sim->late.batch, key, op->key_len, value, op->value_len);
        }
    }
    mr__buf_bytes(&sim->late.key, guard->key.data, guard->key.len);
    mr__buf_bytes(&sim->late.value, guard->value.data, guard->value.len);
    sim->late.present = true;
    sim->wrote = false;
}

static void late_on_commit(void *user, mr_status status, const mr_error *error)
{
    *(mr_status *)user = status;
}

/* The owner of now has written: whatever an earlier one sent must not be taken any more. */
static void late_comes(struct sim *sim)
{
    struct mr__store *store;
    mr_status status = MR_EUNKNOWN;
    struct mr__guard guard = {{sim->late.key.data, sim->late.key.len},
                              {sim->late.value.data, sim->late.value.len}};
    if (mr__store_mem_open(sim->image, NULL, &store) != MR_OK) {
        abort();
    }
    store->ops->commit(store, &sim->late.batch, &guard, late_on_commit, &status);
    store->ops->poll(store);
    store->ops->close(store);
    if (status != MR_ECONFLICT) {
        sim_broken(sim, "a write of an earlier owner is taken");
    }
    sim_count(sim, SIM_late_write_refused);
    late_drop(sim);
}

static enum mr__mem_verdict written(struct sim *sim, enum mr__mem_verdict verdict)
{
    sim_note(sim, "write of %zu", sim->flying->count);
    if (sim->wrote_ever && sim->flying_guard->key.len == 0) {
        sim_broken(sim, "a write is not guarded by the owner's epoch");
    }
    sim->wrote_ever = true;
    sim->wrote = true;
    sim_truth_write(sim, sim->flying);
    sim->flying = NULL;
    return verdict;
}

static enum mr__mem_verdict verdict_of(void *user, const struct mr__batch *batch)
{
    struct sim *sim = user;
    const struct sim_knobs *knobs = &sim->knobs;
    if (sim->dead || sim_maybe_dies(sim)) {
        return MR__MEM_WAIT;
    }
    if (!sim->faults) {
        return written(sim, MR__MEM_OK);
    }
    if (sim_chance(sim, knobs->wait)) {
        sim_count(sim, SIM_commit_waits);
        return MR__MEM_WAIT;
    }
    if (sim->failing || sim_chance(sim, knobs->fail)) {
        bool full = sim_chance(sim, 300);
        sim_count(sim, full ? SIM_commit_full : SIM_commit_failed);
        sim_note(sim, "a write fails");
        sim->flying = NULL;
        return full ? MR__MEM_FULL : MR__MEM_FAIL;
    }
    if (sim_chance(sim, knobs->unknown)) {
        if (sim_chance(sim, 500)) {
            sim_count(sim, SIM_commit_unknown_written);
            return written(sim, MR__MEM_UNKNOWN_WRITTEN);
        }
        sim_count(sim, SIM_commit_unknown_unwritten);
        sim_note(sim, "a write is lost");
        late_keep(sim);
        sim->flying = NULL;
        return MR__MEM_UNKNOWN_UNWRITTEN;
    }
    return written(sim, MR__MEM_OK);
}

static struct sim *sim_of_store(struct mr__store *store)
{
    return MR__CONTAINER(store->ops, struct sim, ops);
}

static void store_commit(struct mr__store *store, const struct mr__batch *batch,
                         const struct mr__guard *guard, mr__commit_cb cb, void *user)
{
    struct sim *sim = sim_of_store(store);
    if (sim->polling) {
        sim_count(sim, SIM_commit_split);
    }
    sim->flying = batch;
    sim->flying_guard = guard;
    sim->mem_ops->commit(store, batch, guard, cb, user);
}

static bool store_nearly_full(struct mr__store *store)
{
    struct sim *sim = sim_of_store(store);
    bool full = sim->faults && sim_chance(sim, sim->knobs.full);
    if (full) {
        sim_count(sim, SIM_store_nearly_full);
    }
    return full;
}

void sim_poll(struct sim *sim)
{
    struct mr__store_limits told = sim->store->limits;
    /* The shard is told small numbers, so that entries come in parts; what cannot be divided is
     * taken all the same. */
    sim->store->limits.value_max = sim->store->limits.bytes_max = SIZE_MAX;
    sim->polling = true;
    sim->store->ops->poll(sim->store);
    sim->polling = false;
    sim->store->limits = told;
    sim_pump(sim);
    if (sim->late.present && sim->wrote) {
        late_comes(sim);
    }
}

/* ---- what the shard says -------------------------------------------------------------------- */

static void on_notify(void *user, struct mr__run *run, const struct mr__event *event,
                      uint32_t attempt)
{
    struct sim *sim = user;
    struct sim_run *truth = sim_truth_find(sim, run->id);
    uint64_t mark = sim_truth_mark(event);
    if (sim->dead || sim_maybe_dies(sim)) {
        return;
    }
    for (size_t i = truth == NULL ? 0 : truth->told; truth != NULL && i < truth->event_count; i++) {
        if (truth->events[i] == mark) {
            truth->told = i + 1;
            return;
        }
    }
    sim_broken(sim, "a watcher is told of an event (%s) that is not durable, or twice",
               mr__event_name(event->type));
}

static void on_settled(void *user, struct mr__run *run)
{
    struct sim *sim = user;
    struct sim_run *truth = sim_truth_find(sim, run->id);
    if (sim->dead || sim_maybe_dies(sim)) {
        return;
    }
    if (truth == NULL || truth->settles == 0) {
        sim_broken(sim, "the end of a run is told before it is durable");
    }
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0 && truth->told_all) {
        if (truth->told != truth->event_count) {
            sim_broken(sim, "the watchers of a run were not told of all its events");
        }
        sim_count(sim, SIM_watched_to_the_end);
        truth->told_all = false;
    }
    if ((run->flags & MR__RUNFLAG_SETTLED) != 0 &&
        (!truth->archived || truth->status != run->status || truth->log.len != run->log.len)) {
        sim_broken(sim, "the end of a run is told, and it is another one than is durable");
    }
}

static void watch_all(struct sim *sim)
{
    struct mr__scheduler *s = mr__shard_state(sim->shard);
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        if (s->runs[slot] != NULL) {
            s->runs[slot]->flags |= MR__RUNFLAG_WATCHED;
        }
    }
}

static void on_log(void *user, struct mr__run *run, uint32_t task,
                   const struct mr__log_chunk *chunk)
{
}

static void on_arm(void *user, int64_t due_ms)
{
    struct sim *sim = user;
    /* What is left of a time is never more than all of it, however the clock has jumped. */
    if (due_ms != INT64_MAX && due_ms - sim->monotonic_ms > TIME_MAX_MS) {
        sim_broken(sim, "a timer is armed for longer than anything takes");
    }
    sim->armed_ms = due_ms;
}

static void on_rebuilt(void *user)
{
    struct sim *sim = user;
    if (!sim->dead) {
        sim_note(sim, "rebuilt");
        struct mr__shard_stats stats;
        mr__shard_stats(sim->shard, &stats);
        sim->commits_rebuilt = stats.commits;
        sim_count(sim, SIM_rebuilt);
        sim->rebuilds++;
        sim_scripts_rebuilt(sim);
        sim->reading = true;
        sim_truth_check_memory(sim, true);
        sim->reading = false;
        watch_all(sim);
        for (size_t i = 0; i < sim->truth.run_count; i++) {
            sim->truth.runs[i].told_all = false; /* what a lost answer was about is not told */
        }
    }
}

static void on_broken(void *user, const mr_error *error)
{
    struct sim *sim = user;
    if (sim->dead) {
        return;
    }
    sim_note(sim, "broken: %s", error->message);
    if (error->status == MR_ECONFLICT || error->status == MR_EFORMAT ||
        error->status == MR_ELIMIT) {
        sim_broken(sim, "the shard gives up: %s", error->message);
    }
    sim_count(sim, SIM_store_broken);
    sim->broken = true;
}

static void on_say(void *user, int32_t level, const char *line)
{
    sim_note(user, "says: %s", line);
}

/* ---- requests ------------------------------------------------------------------------------- */

struct sim_request *sim_request(struct sim *sim, enum sim_request_kind kind, struct sim_run *run)
{
    size_t at = 0;
    while (at < sim->request_count && !sim->requests[at].answered) {
        at++;
    }
    if (at == SIM_REQUESTS_MAX) {
        sim_broken(sim, "the simulation has too few requests");
    }
    sim->request_count = MR__MAX(sim->request_count, at + 1);
    struct sim_request *request = &sim->requests[at];
    *request = (struct sim_request){.sim = sim, .kind = kind, .life = sim->life, .run = run};
    if (run != NULL) {
        const struct mr__run *live = mr__shard_find(sim->shard, run->id);
        request->settles = run->settles;
        request->reopened = run->reopened;
        request->pauses = run->pauses;
        request->said = kind == SIM_PAUSE && run->paused;
        request->log_len = live == NULL ? run->log.len : live->log.len;
    }
    return request;
}

static void submit_done(struct sim *sim, const struct sim_request *request, mr_status status,
                        const uint8_t *run_id)
{
    struct sim_run *run = run_id == NULL ? NULL : sim_truth_find(sim, run_id);
    if (status == MR_OK) {
        if (run == NULL || !run->durable) {
            sim_broken(sim, "a submit is answered before its run is durable");
        }
        if (run->kept != request->kept || run->shared != request->shared) {
            sim_broken(sim, "a run does not have what it was submitted with");
        }
        run->promised = true;
        return;
    }
    if (status == MR_ECONFLICT) {
        sim_count(sim, SIM_key_conflict);
        return;
    }
    sim_count(sim, SIM_submit_refused);
    if (status == MR_EUNKNOWN || status == MR_ECLOSED || run_id == NULL) {
        return; /* nobody said that it was not written */
    }
    if (run != NULL) {
        sim_broken(sim, "a submit is answered with an error (%s), and its run is durable",
                   mr_status_text(status));
    }
    sim_truth_add(sim, run_id, NULL)->refused = true;
}

static void command_done(struct sim *sim, const struct sim_request *request, mr_status status)
{
    const struct sim_run *run = request->run;
    if (status != MR_OK) {
        sim_count(sim, SIM_command_refused);
        return;
    }
    bool changed = run->settles > request->settles || run->reopened > request->reopened;
    bool one = request->task != 0;
    const struct sim_task *task = one ? &run->tasks[request->task - 1] : NULL;
    switch (request->kind) {
    case SIM_CANCEL:
        if (!run->canceling && !changed && !one) {
            sim_broken(sim, "a cancel is answered before it is durable");
        }
        if (one && task->taken == request->taken && !request->said && !changed) {
            sim_broken(sim, "a cancel of a task is answered before it is durable");
        }
        break;
    case SIM_RETRY:
    case SIM_CONTINUE:
        if (run->reopened == request->reopened) {
            sim_broken(sim, "a retry or continue is answered before it is durable");
        }
        if (one && task->taken == request->taken && !task->fanned) {
            sim_broken(sim, "a retry or continue of a task is answered before it is durable");
        }
        break;
    case SIM_PAUSE:
    case SIM_UNPAUSE:
        if (run->pauses == request->pauses && !request->said) {
            sim_broken(sim, "a pause or unpause is answered before it is durable");
        }
        break;
    default:
        if (run->log.len < request->log_len) {
            sim_broken(sim, "what went before is said to be durable, and is not");
        }
        break;
    }
}

void sim_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct sim_request *request = user;
    struct sim *sim = request->sim;
    if (request->answered) {
        sim_broken(sim, "a request is answered twice");
    }
    request->answered = true;
    if (status != MR_OK && (error == NULL || error->status != status || error->message[0] == 0)) {
        sim_broken(sim, "a request is answered by an error that says nothing");
    }
    if (sim->dead || sim_maybe_dies(sim)) {
        return;
    }
    sim_note(sim, "answer to %d: %d", (int)request->kind, status);
    if (request->kind == SIM_SUBMIT) {
        submit_done(sim, request, status, run_id);
    } else {
        command_done(sim, request, status);
    }
}

/* ---- lives ----------------------------------------------------------------------------------- */

void sim_init(struct sim *sim, uint64_t seed, uint32_t *counters)
{
    memset(sim, 0, sizeof *sim);
    sim->seed = sim->random = seed;
    sim->counters = counters;
    sim->clock = (struct mr__clock){clock_wall, clock_monotonic};
    sim->wall_ms = BEGIN_WALL_MS;
    sim->monotonic_ms = 1000;
    sim->faults = true;
    sim->image = mr__mem_image_create();
    mr__buf_init(&sim->truth.entry);
    sim_exec_init(sim);
    sim_scripts_init(sim);
    sim_prune_init(sim);
}

void sim_open(struct sim *sim)
{
    mr_error error = {0};
    struct mr__mem_options options = {.verdict = verdict_of, .user = sim, .limits = sim->limits};
    sim->life++;
    sim->dead = sim->broken = sim->failing = false;
    sim->armed_ms = INT64_MAX;
    sim->commits_rebuilt = 0;
    mr__id_source_init(&sim->ids, 0);
    sim->ids.random = random_bytes;
    sim->ids.user = sim;
    if (mr__store_mem_open(sim->image, &options, &sim->store) != MR_OK) {
        abort();
    }
    sim->mem_ops = sim->store->ops;
    sim->ops = *sim->mem_ops;
    sim->ops.commit = store_commit;
    sim->ops.nearly_full = store_nearly_full;
    sim->store->ops = &sim->ops;
    sim->shard = mr__shard_create();
    sim->exec.events = mr__shard_exec_events(sim->shard);
    struct mr__shard_options shard = {
        .store = sim->store,
        .executor = &sim->exec.port,
        .clock = &sim->clock,
        .ids = &sim->ids,
        .evaluator = &sim->evaluator,
        .jobs = sim->jobs,
        .hooks = sim->hooks,
        .journal_bytes_keep = sim->journal_bytes_keep,
        .index_runs_pending = sim->index_runs_pending,
        .events = {.user = sim,
                   .notify = on_notify,
                   .settled = on_settled,
                   .hooked = sim_scripts_library,
                   .log = on_log,
                   .arm = on_arm,
                   .rebuilt = on_rebuilt,
                   .broken = on_broken,
                   .say = on_say},
    };
    sim_note(sim, "opens");
    if (mr__shard_open(sim->shard, &shard, &error) != MR_OK) {
        sim_broken(sim, "the store cannot be opened: %s", error.message);
    }
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        sim->truth.runs[i].told = sim->truth.runs[i].event_count;
        sim->truth.runs[i].told_all = !sim_truth_over(&sim->truth.runs[i]);
    }
    if (mr__shard_pending(sim->shard, 0) != NULL) {
        sim_count(sim, SIM_recovered_pending);
    }
    sim_truth_check_memory(sim, true);
    watch_all(sim);
}

/* The engine is closed in order, as before its executor is shut down. */
void sim_close(struct sim *sim)
{
    mr__shard_close(sim->shard);
    sim_share_closed(sim);
    sim_count(sim, SIM_closed_in_order);
    sim_crash(sim, false);
}

/* All is gone but the store, the child table and children that survive. */
void sim_crash(struct sim *sim, bool power_cut)
{
    sim_note(sim, "crash");
    if (power_cut) {
        sim_count(sim, SIM_power_cut);
    }
    sim->dead = true;
    late_keep(sim);
    sim->flying = NULL;
    sim_exec_crash(sim, power_cut);
    sim_prune_crash(sim);
    mr__shard_destroy(sim->shard);
    if (sim_prune_is_running(sim)) {
        sim_broken(sim, "a prune is never answered");
    }
    sim->store->ops->close(sim->store);
    sim->shard = NULL;
    sim_truth_crash(sim);
    for (size_t i = 0; i < sim->request_count; i++) {
        if (!sim->requests[i].answered) {
            sim_broken(sim, "a request is never answered");
        }
    }
    sim->request_count = 0;
}

void sim_pump(struct sim *sim)
{
    if (!sim->dead) {
        mr__shard_pump(sim->shard);
    }
    if (sim->dead || sim->broken) {
        sim_crash(sim, false);
        sim_open(sim);
        mr__shard_pump(sim->shard);
    }
}

void sim_finish(struct sim *sim)
{
    sim_exec_crash(sim, true);
    mr__shard_destroy(sim->shard);
    sim->store->ops->close(sim->store);
    sim_prune_finish(sim);
    late_drop(sim);
    sim_truth_finish(sim);
    mr__mem_image_destroy(sim->image);
}
