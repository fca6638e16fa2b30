/* SPDX-License-Identifier: MIT
 *
 * What is durable, read from the batches as they are written: the journal's events go to the rules
 * (sim_rules.c). And memory, held against it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/scheduler/ready.h"
#include "tests/simulation/sim.h"

/* ---- runs ----------------------------------------------------------------------------------- */

struct sim_run *sim_truth_find(struct sim *sim, const uint8_t *id)
{
    for (size_t i = sim->truth.run_count; i > 0; i--) {
        if (memcmp(sim->truth.runs[i - 1].id, id, MR__RUN_ID_BYTES) == 0) {
            return &sim->truth.runs[i - 1];
        }
    }
    return NULL;
}

struct sim_run *sim_truth_add(struct sim *sim, const uint8_t *id, struct mr__plan *plan)
{
    if (sim->truth.run_count == SIM_RUNS_MAX) {
        sim_broken(sim, "the simulation has too few runs");
    }
    struct sim_run *run = &sim->truth.runs[sim->truth.run_count++];
    memset(run, 0, sizeof *run);
    memcpy(run->id, id, MR__RUN_ID_BYTES);
    run->plan = plan;
    return run;
}

bool sim_truth_over(const struct sim_run *run)
{
    return run->durable && run->archived;
}

void sim_truth_name(const struct sim_run *run, uint32_t t, char *ret_name, size_t size)
{
    const char *id = sim_expect_row(run, t)->id;
    if (t < run->plan->dag->task_count) {
        (void)snprintf(ret_name, size, "%s", id);
    } else {
        (void)snprintf(ret_name, size, "%s[%u]", id, t - run->fans[run->tasks[t].fan].first);
    }
}

uint64_t sim_truth_mark(const struct mr__event *event)
{
    struct {
        int64_t time_ms;
        uint32_t type, task, status, outcome;
    } mark = {event->time_ms, event->type, event->task, event->status, event->outcome};
    return mr__hash64(&mark, sizeof mark);
}

static struct mr__action_binding bind(void *user, const char *name)
{
    return sim_exec_bind(NULL, name);
}

static struct mr__plan *plan_of_version(const uint8_t *version)
{
    static struct mr__plan *plans[64];
    for (size_t i = 0; i < sim_dag_count; i++) {
        if (plans[i] == NULL && mr__plan_create(sim_dag_parse(i), bind, NULL, &plans[i]) != MR_OK) {
            abort();
        }
        if (memcmp(plans[i]->dag->version, version, MR__VERSION_BYTES) == 0) {
            return plans[i];
        }
    }
    return NULL;
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct sim_run *created(struct sim *sim, const struct mr__event *event)
{
    struct sim_run *run = sim_truth_find(sim, event->id);
    struct mr__plan *plan = plan_of_version(event->version);
    if (plan == NULL) {
        sim_broken(sim, "a run is created of a version that nobody submitted");
    }
    if (run != NULL) {
        sim_broken(sim, "a run is created %s",
                   run->durable ? "twice" : "though its submit was answered with an error");
    }
    run = sim_truth_add(sim, event->id, plan);
    run->durable = true;
    run->task_count = plan->dag->task_count;
    return run;
}

static void remember(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    if (run->event_count == run->event_cap) {
        run->event_cap = run->event_cap == 0 ? 32 : run->event_cap * 2;
        run->events = realloc(run->events, run->event_cap * sizeof *run->events);
    }
    run->events[run->event_count++] = sim_truth_mark(event);
    run->last_ms = event->time_ms;
}

/* ---- batches -------------------------------------------------------------------------------- */

static void read_entry(struct sim *sim, uint32_t event_count)
{
    struct sim_truth *truth = &sim->truth;
    struct mr__reader r;
    mr__reader_init(&r, truth->entry.data, truth->entry.len);
    while (mr__reader_left(&r) > 0) {
        struct mr__event event;
        uint64_t slot = mr__read_varint(&r);
        const uint8_t *begin = r.at;
        bool is_created = (*begin & 0x1f) == MR__EVENT_RUN_CREATED;
        struct sim_run *run = slot < MR__COUNT(truth->by_slot) ? truth->by_slot[slot] : NULL;
        if (!is_created && run == NULL) {
            sim_broken(sim, "an event is written for a slot that no run has");
        }
        if (!mr__event_decode(&r, is_created ? 0 : run->last_ms, &event)) {
            sim_broken(sim, "an event is written that cannot be read");
        }
        if (is_created) {
            run = truth->by_slot[slot] = created(sim, &event);
        }
        run->seen = sim_scripts_seen(sim, run, &event, run->log.len);
        mr__buf_bytes(&run->log, begin, (size_t)(r.at - begin));
        sim_rules_apply(sim, run, &event);
        remember(sim, run, &event);
        sim_note(sim, "durable: run %zu: %s task %u status %u", (size_t)(run - truth->runs),
                 mr__event_name(event.type), event.task, event.status);
        event_count--;
    }
    if (event_count != 0) {
        sim_broken(sim, "a journal entry has another number of events than it says");
    }
}

static void write_journal(struct sim *sim, struct mr__bytes key, struct mr__bytes value)
{
    struct sim_truth *truth = &sim->truth;
    struct mr__journal_part part;
    uint64_t lsn;
    uint16_t number;
    if (!mr__key_lsn(key, &lsn, &number) || mr__journal_part_read(value, &part, NULL) != MR_OK) {
        sim_broken(sim, "a journal entry is written that cannot be read");
    }
    if (lsn != truth->last_lsn + 1) {
        sim_broken(sim, "journal entry %llu is written after %llu", (unsigned long long)lsn,
                   (unsigned long long)truth->last_lsn);
    }
    if (number == 0) {
        mr__buf_reset(&truth->entry);
    } else {
        sim_count(sim, SIM_journal_parts);
    }
    mr__buf_bytes(&truth->entry, part.events.data, part.events.len);
    if (part.last) {
        truth->last_lsn = lsn;
        read_entry(sim, part.event_count);
        mr__buf_reset(&truth->entry);
    }
}

static void write_live(struct sim *sim, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__live live;
    struct sim_run *run = sim_truth_find(sim, (const uint8_t *)key.data + 3);
    if (run == NULL || mr__live_read(value, &live, NULL) != MR_OK) {
        sim_broken(sim, "a checkpoint is written of no run, or cannot be read");
    }
    if (live.log.len != run->log.len || memcmp(live.log.data, run->log.data, live.log.len) != 0) {
        sim_broken(sim, "a checkpoint is written that is not what the journal has by then");
    }
    if (live.lsn > sim->truth.last_lsn) {
        sim_broken(sim, "a checkpoint says that it holds entry %llu, which is to come",
                   (unsigned long long)live.lsn);
    }
    sim_count(sim, SIM_checkpoint);
    if (run->archived && sim->truth.by_slot[live.slot] != run) {
        sim_count(sim, SIM_revived_elsewhere);
    }
    sim->truth.by_slot[live.slot] = run;
}

/* Entries go when a run is removed, the one by id as the last; and by status when it is retried. */
static void delete_index(struct sim *sim, struct mr__bytes key)
{
    const uint8_t *id = mr__key_run_id(key);
    uint8_t kind = ((const uint8_t *)key.data)[1];
    struct sim_run *run = id == NULL || kind == 'k' ? NULL : sim_truth_find(sim, id);
    if (run != NULL && kind == 'i') {
        sim_prune_durable(sim, run);
    } else if (run != NULL && kind == 's') {
        run->torn = run->archived && !run->pruned;
    }
}

void sim_truth_write(struct sim *sim, const struct mr__batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct mr__op *op = &batch->ops[i];
        struct mr__bytes key = {batch->bytes.data + op->key, op->key_len};
        struct mr__bytes value = {batch->bytes.data + op->value, op->value_len};
        uint8_t table = *(const uint8_t *)key.data;
        if (op->kind == MR__OP_DEL_RANGE && table == MR__TABLE_JOURNAL) {
            uint64_t from;
            uint16_t part;
            if (mr__key_lsn(key, &from, &part) && from <= sim->truth.last_lsn) {
                sim_count(sim, SIM_journal_trimmed);
            }
        }
        if (op->kind == MR__OP_DEL && table == MR__TABLE_INDEX) {
            delete_index(sim, key);
        }
        if (op->kind == MR__OP_PUT && table == MR__TABLE_INDEX) {
            sim_count(sim, SIM_indexed);
        } else if (op->kind == MR__OP_PUT && table == MR__TABLE_JOURNAL) {
            write_journal(sim, key, value);
        } else if (op->kind == MR__OP_PUT && table == MR__TABLE_LIVE) {
            write_live(sim, key, value);
        }
    }
}

void sim_truth_crash(struct sim *sim)
{
    if (sim->truth.entry.len > 0) {
        sim_count(sim, SIM_crash_in_split);
    }
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        if (sim->truth.runs[i].torn) {
            sim_count(sim, SIM_pruned_in_part);
        }
    }
    mr__buf_reset(&sim->truth.entry);
}

void sim_truth_finish(struct sim *sim)
{
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        mr__buf_finish(&sim->truth.runs[i].log);
        free(sim->truth.runs[i].events);
    }
    mr__buf_finish(&sim->truth.entry);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void check_digest(struct sim *sim, const struct mr__run *run, const struct sim_run *truth)
{
    struct mr__scheduler other;
    struct mr__run *copy;
    mr__scheduler_init(&other, 1);
    if (mr__run_create(&other, 0, truth->id, truth->plan, &copy) != MR_OK ||
        mr__replay(&other, copy, truth->log.data, truth->log.len) != MR_OK) {
        sim_broken(sim, "what is durable of a run does not replay");
    }
    if (mr__run_digest(copy) != mr__run_digest(run)) {
        sim_broken(sim, "a run in memory is in another state than its events say");
    }
    if (copy->task_count != truth->task_count) {
        sim_broken(sim, "a run has %u tasks after a replay instead of %u", copy->task_count,
                   truth->task_count);
    }
    for (uint32_t t = 0; t < copy->task_count; t++) {
        if (copy->tasks[t].status != truth->tasks[t].status ||
            copy->tasks[t].attempt != truth->tasks[t].attempt) {
            sim_broken(sim, "task %u is %s after a replay instead of %s", t,
                       mr__task_status_name(copy->tasks[t].status),
                       mr__task_status_name(truth->tasks[t].status));
        }
    }
    mr__scheduler_finish(&other);
}

static void check_key(struct sim *sim, const struct mr__run *run)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, run->log.data, run->log.len);
    if (!mr__event_decode(&r, 0, &event)) {
        sim_broken(sim, "a run in memory does not begin with its creation");
    }
    if (event.key.len > 0 && mr__shard_find_key(sim->shard, event.key, false) != run) {
        sim_broken(sim, "a run is not found by its key");
    }
    if (event.token.len > 0 && mr__shard_find_key(sim->shard, event.token, true) != run) {
        sim_broken(sim, "a run is not found by its token");
    }
}

static void check_run(struct sim *sim, const struct sim_run *truth, bool quiet)
{
    const struct mr__run *run = mr__shard_find(sim->shard, truth->id);
    if (!truth->durable) {
        if (run != NULL && quiet) {
            sim_broken(sim, "a run is in memory whose submit was answered with an error");
        }
        return;
    }
    if (run == NULL) {
        if (!sim_truth_over(truth)) {
            sim_broken(sim, "an unfinished run is not in memory");
        }
        return;
    }
    if (run->log.len < truth->log.len ||
        memcmp(run->log.data, truth->log.data, truth->log.len) != 0) {
        sim_broken(sim, "a run in memory lacks events that are durable");
    }
    if (quiet && run->log.len > truth->log.len) {
        sim_broken(sim, "a run in memory has events that are not durable, and nobody writes them");
    }
    if (quiet) {
        check_digest(sim, run, truth);
        if (truth->ends == 0) {
            check_key(sim, run); /* of one that ended before, the index knows it */
        }
    }
}

/* Each job that is begun holds one slot, and nobody else does. */
static void check_jobs(struct sim *sim)
{
    const struct mr__scheduler *s = mr__shard_state(sim->shard);
    uint32_t jobs = 0;
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        bool active = run != NULL && (run->flags & MR__RUNFLAG_DORMANT) == 0;
        for (uint32_t t = 0; active && t < run->task_count; t++) {
            jobs += mr__task_is_job(run, t) && mr__task_begun(&run->tasks[t]);
        }
    }
    if (jobs != s->jobs_used) {
        sim_broken(sim, "%u slots of --jobs are taken, and %u jobs are begun", s->jobs_used, jobs);
    }
}

void sim_truth_check_memory(struct sim *sim, bool quiet)
{
    const struct mr__scheduler *s = mr__shard_state(sim->shard);
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        check_run(sim, &sim->truth.runs[i], quiet);
    }
    check_jobs(sim);
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *a = &sim->exec.attempts[i];
        if (a->share != NULL && a->life == sim->life) {
            sim_share_check(sim, sim_truth_find(sim, a->ref.run_id), a->share,
                            quiet && !sim->reading);
        }
    }
    for (uint32_t slot = 0; slot < s->runs_cap && quiet; slot++) {
        if (s->runs[slot] != NULL && sim_truth_find(sim, s->runs[slot]->id) == NULL) {
            sim_broken(sim, "a run is in memory that is not durable");
        }
    }
}
