/* SPDX-License-Identifier: MIT
 *
 * What is durable, read from the batches as they are written, by rules of its own: a few lines that
 * are slower and simpler than the scheduler's, and know nothing of it but the codec. And the checks
 * of memory, index and history against it.
 */
#include <stdlib.h>

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

/* ---- events --------------------------------------------------------------------------------- */

static bool is_good(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED;
}

static bool parents_are_good(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    for (uint32_t i = 0; i < dag->tasks[t].parent_count; i++) {
        if (!is_good(run->tasks[dag->parents[dag->tasks[t].first_parent + i]].status)) {
            return false;
        }
    }
    return true;
}

static bool may_begin(uint8_t status)
{
    return status == MR__TASK_INIT || status == MR__TASK_RETRYING || status == MR__TASK_CONTINUE;
}

void sim_truth_check_outcome(struct sim *sim, const struct sim_run *run)
{
    uint32_t count[MR__TASK_STATUSES] = {0};
    uint8_t want = MR__RUN_SUCCESS;
    for (uint32_t t = 0; t < run->plan->dag->task_count; t++) {
        const struct sim_task *task = &run->tasks[t];
        count[task->status]++;
        if (task->status == MR__TASK_RUNNING ||
            (may_begin(task->status) && parents_are_good(run, t))) {
            sim_broken(sim, "a run ends (%s) while its task %u is %s and could go on",
                       mr__run_status_name(run->status), t, mr__task_status_name(task->status));
        }
    }
    if (run->timed_out) {
        want = MR__RUN_FAILED;
    } else if (run->canceling) {
        want = MR__RUN_CANCELED;
    } else if (count[MR__TASK_FAILED] + count[MR__TASK_CANCELED] > 0) {
        want = MR__RUN_FAILED;
    } else if (count[MR__TASK_BLOCKED] > 0) {
        want = MR__RUN_BLOCKED;
    }
    if (run->status != want) {
        sim_broken(sim, "a run ends as %s instead of %s", mr__run_status_name(run->status),
                   mr__run_status_name(want));
    }
    if (want == MR__RUN_SUCCESS &&
        count[MR__TASK_SUCCESS] + count[MR__TASK_SKIPPED] != run->plan->dag->task_count) {
        sim_broken(sim, "a run succeeds while not all of its tasks did");
    }
}

static void settled(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    run->status = event->status;
    run->settles++;
    run->archived = event->status != MR__RUN_BLOCKED;
    run->ends += run->archived;
    sim_truth_check_outcome(sim, run);
    if (event->status == MR__RUN_BLOCKED) {
        sim_count(sim, SIM_run_blocked);
    } else if (event->status == MR__RUN_CANCELED) {
        sim_count(sim, SIM_run_canceled);
    } else if (run->timed_out) {
        sim_count(sim, SIM_run_timed_out);
    }
}

static void canceled(struct sim_run *run, const struct mr__event *event)
{
    run->canceling = true;
    run->timed_out = event->outcome == MR__CANCEL_BY_RUN_TIMEOUT;
    run->status = run->status == MR__RUN_BLOCKED ? MR__RUN_RUNNING : run->status;
    for (uint32_t t = 0; t < run->plan->dag->task_count; t++) {
        struct sim_task *task = &run->tasks[t];
        if (may_begin(task->status) || task->status == MR__TASK_BLOCKED) {
            task->status = MR__TASK_CANCELED;
        }
    }
}

static void ended(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    struct sim_task *task = &run->tasks[event->task];
    if (task->status != MR__TASK_RUNNING) {
        sim_broken(sim, "task %u ends while it is %s", event->task,
                   mr__task_status_name(task->status));
    }
    task->status = event->status;
    if (event->outcome == MR__OUTCOME_LOST) {
        sim_count(sim, SIM_attempt_lost);
        if (task->life == sim->life && sim->journal_bytes_keep == 0) {
            sim_broken(sim, "task %u is lost, and the engine that started it goes on", event->task);
        }
        if (++task->lost >= MR__LOST_MAX) {
            sim_count(sim, SIM_lost_three_times);
            if (event->status == MR__TASK_RETRYING || event->status == MR__TASK_BLOCKED) {
                sim_broken(sim, "task %u goes on after %u lost attempts", event->task, task->lost);
            }
        }
    }
}

static void apply(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    struct sim_task *task = &run->tasks[event->task];
    if (run->archived && event->type != MR__EVENT_RUN_REOPENED) {
        sim_broken(sim, "a run that is over has an event: %s", mr__event_name(event->type));
    }
    switch (event->type) {
    case MR__EVENT_ATTEMPT_STARTED:
        if (!may_begin(task->status) || !parents_are_good(run, event->task)) {
            sim_broken(sim, "task %u starts while it is %s, or before its parents are done",
                       event->task, mr__task_status_name(task->status));
        }
        task->status = MR__TASK_RUNNING;
        task->attempt++;
        task->life = sim->life;
        run->status = MR__RUN_RUNNING;
        break;
    case MR__EVENT_ATTEMPT_ENDED: ended(sim, run, event); break;
    case MR__EVENT_TASK_SET:
        task->status = event->status;
        run->status = MR__RUN_RUNNING;
        break;
    case MR__EVENT_CANCEL_REQUESTED: canceled(run, event); break;
    case MR__EVENT_TASK_RETRIED:
        task->status = task->attempt > 0 ? MR__TASK_RETRYING : MR__TASK_INIT;
        task->lost = 0;
        run->reopened++;
        sim_count(sim, SIM_run_retried);
        break;
    case MR__EVENT_TASK_CONTINUED:
        task->status = MR__TASK_CONTINUE;
        run->reopened++;
        sim_count(sim, SIM_run_continued);
        break;
    case MR__EVENT_RUN_REOPENED:
        run->status = MR__RUN_RUNNING;
        run->canceling = run->timed_out = run->archived = false;
        break;
    case MR__EVENT_RUN_SETTLED: settled(sim, run, event); break;
    default: break;
    }
}

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
        mr__buf_bytes(&run->log, begin, (size_t)(r.at - begin));
        apply(sim, run, &event);
        remember(sim, run, &event);
        sim_note(sim, "durable: %s task %u status %u", mr__event_name(event.type), event.task,
                 event.status);
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
    for (uint32_t t = 0; t < copy->plan->dag->task_count; t++) {
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

void sim_truth_check_memory(struct sim *sim, bool quiet)
{
    const struct mr__scheduler *s = mr__shard_state(sim->shard);
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        check_run(sim, &sim->truth.runs[i], quiet);
    }
    for (uint32_t slot = 0; slot < s->runs_cap && quiet; slot++) {
        if (s->runs[slot] != NULL && sim_truth_find(sim, s->runs[slot]->id) == NULL) {
            sim_broken(sim, "a run is in memory that is not durable");
        }
    }
}

/* ---- index and history ---------------------------------------------------------------------- */

struct archive {
    struct sim *sim;
    struct mr__snapshot *snapshot;
    size_t finished; /* records in the history */
    uint8_t by_id[1024][MR__RUN_ID_BYTES];
    struct mr__place places[1024];
    size_t by_id_count;
    uint8_t statuses[1024];
    uint8_t by_status[1024][MR__RUN_ID_BYTES];
    struct mr__place status_places[1024];
    size_t by_status_count;
    size_t by_dag_count, live_count;
};

static bool on_history(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct archive *archive = user;
    struct mr__reader r;
    struct mr__finished finished;
    uint64_t lsn;
    uint16_t part;
    if (mr__key_lsn(key, &lsn, &part) && lsn > archive->sim->truth.last_lsn) {
        return true; /* of a commit that did not come to its end; the next one removes it */
    }
    if (mr__record_open(value, "history", &r, NULL) != MR_OK) {
        sim_broken(archive->sim, "a part of the history is damaged");
    }
    while (mr__reader_left(&r) > 0) {
        if (!mr__finished_read(&r, &finished)) {
            sim_broken(archive->sim, "a finished run in the history is damaged");
        }
        archive->finished++;
    }
    return true;
}

static bool on_index(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct archive *archive = user;
    uint8_t kind = ((const uint8_t *)key.data)[1];
    const uint8_t *id = mr__key_run_id(key);
    struct mr__place place;
    if (kind == 'k') {
        return true;
    }
    if (id == NULL || !mr__place_read(value, &place)) {
        sim_broken(archive->sim, "an index entry is none");
    }
    if (kind == 'i') {
        memcpy(archive->by_id[archive->by_id_count], id, MR__RUN_ID_BYTES);
        archive->places[archive->by_id_count++] = place;
    } else if (kind == 's') {
        archive->statuses[archive->by_status_count] = ((const uint8_t *)key.data)[2];
        memcpy(archive->by_status[archive->by_status_count], id, MR__RUN_ID_BYTES);
        archive->status_places[archive->by_status_count++] = place;
    }
    archive->by_dag_count += kind == 'd';
    return true;
}

static bool on_live(void *user, struct mr__bytes key, struct mr__bytes value)
{
    ((struct archive *)user)->live_count++;
    return true;
}

static void each_key(struct archive *archive, uint8_t table, mr__range_cb cb)
{
    uint8_t from = table, to = table + 1;
    (void)archive->snapshot->ops->range(archive->snapshot, (struct mr__bytes){&from, 1},
                                        (struct mr__bytes){&to, 1}, 0, 0, cb, archive);
}

static const struct mr__place *place_by_id(const struct archive *archive, const uint8_t *id)
{
    for (size_t i = 0; i < archive->by_id_count; i++) {
        if (memcmp(archive->by_id[i], id, MR__RUN_ID_BYTES) == 0) {
            return &archive->places[i];
        }
    }
    return NULL;
}

static bool read_finished(struct mr__snapshot *snapshot, const struct mr__place *place,
                          struct mr__finished *ret_finished)
{
    struct mr__key key;
    struct mr__bytes value;
    struct mr__reader r;
    mr__key_history(&key, 0, place->lsn, place->part);
    if (snapshot->ops->get(snapshot, key.bytes, key.len, &value) != MR_OK ||
        mr__record_open(value, "history", &r, NULL) != MR_OK || place->offset >= value.len) {
        return false;
    }
    r.at = (const uint8_t *)value.data + place->offset;
    return mr__finished_read(&r, ret_finished);
}

static void check_finished(struct archive *archive, const struct sim_run *run)
{
    struct sim *sim = archive->sim;
    struct mr__finished finished;
    const struct mr__pending *pending = mr__shard_pending_find(sim->shard, run->id);
    const struct mr__place *place = place_by_id(archive, run->id);
    if (pending != NULL && place != NULL && place->lsn > pending->place.lsn) {
        sim_broken(sim, "a finished run waits to go to the index, which has a later end of it");
    }
    place = pending != NULL ? &pending->place : place;
    if (place == NULL) {
        sim_broken(sim, "a finished run is neither in the index nor waits to go there");
    }
    if (!read_finished(archive->snapshot, place, &finished)) {
        sim_broken(sim, "a finished run is not where the index says");
    }
    if (finished.status != run->status || finished.log.len != run->log.len ||
        memcmp(finished.log.data, run->log.data, run->log.len) != 0) {
        sim_broken(sim, "a finished run is not in the history as it was");
    }
}

static bool same_place(const struct mr__place *a, const struct mr__place *b)
{
    return a->lsn == b->lsn && a->part == b->part && a->offset == b->offset;
}

/* Found by status is exactly what is in the index and stands so. After a crash in the middle of a
 * portion it may be there in part, and goes there again. */
static void check_by_status(const struct archive *archive)
{
    struct sim *sim = archive->sim;
    size_t whole = 0, in_part = 0, again = 0;
    for (size_t i = 0; i < archive->by_id_count; i++) {
        const struct sim_run *run = sim_truth_find(sim, archive->by_id[i]);
        const struct mr__pending *pending = mr__shard_pending_find(sim->shard, archive->by_id[i]);
        again += pending != NULL;
        if (run == NULL || !run->archived) {
            continue;
        }
        whole += pending == NULL;
        in_part += pending != NULL && same_place(&pending->place, &archive->places[i]);
    }
    for (size_t i = 0; i < archive->by_status_count; i++) {
        const struct sim_run *run = sim_truth_find(sim, archive->by_status[i]);
        const struct mr__pending *pending =
            mr__shard_pending_find(sim->shard, archive->by_status[i]);
        const struct mr__place *place = place_by_id(archive, archive->by_status[i]);
        if (run == NULL || !run->archived || run->status != archive->statuses[i] || place == NULL ||
            !same_place(place, &archive->status_places[i]) ||
            (pending != NULL && !same_place(place, &pending->place))) {
            sim_broken(sim, "the index finds a run by a status (%s) that it has no more",
                       mr__run_status_name(archive->statuses[i]));
        }
    }
    if (archive->by_status_count < whole || archive->by_status_count > whole + in_part ||
        archive->by_dag_count > archive->by_id_count ||
        archive->by_dag_count + again < archive->by_id_count) {
        sim_broken(sim, "the index has %zu runs by id, %zu by dag, %zu by status instead of %zu",
                   archive->by_id_count, archive->by_dag_count, archive->by_status_count, whole);
    }
}

static mr_status check_archive(struct mr__snapshot *snapshot, void *user)
{
    struct archive *archive = user;
    struct sim *sim = archive->sim;
    size_t ends = 0;
    archive->snapshot = snapshot;
    each_key(archive, MR__TABLE_HISTORY, on_history);
    each_key(archive, MR__TABLE_INDEX, on_index);
    each_key(archive, MR__TABLE_LIVE, on_live);
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        const struct sim_run *run = &sim->truth.runs[i];
        if (sim_truth_over(run)) {
            check_finished(archive, run);
        }
        ends += run->ends;
    }
    if (!sim_untidy(sim)) {
        check_by_status(archive);
    }
    if (archive->finished != ends) {
        sim_broken(sim, "the history has %zu ends of runs instead of %zu", archive->finished, ends);
    }
    return MR_OK;
}

void sim_truth_check_archive(struct sim *sim)
{
    struct archive *archive = calloc(1, sizeof *archive);
    archive->sim = sim;
    (void)sim->store->ops->read_now(sim->store, check_archive, archive);
    free(archive);
}

/* ---- back from the history ------------------------------------------------------------------ */

struct lookup {
    struct sim *sim;
    const uint8_t *id;
    struct mr__buf *log;
};

static mr_status lookup_read(struct mr__snapshot *snapshot, void *user)
{
    struct lookup *lookup = user;
    const struct mr__pending *pending = mr__shard_pending_find(lookup->sim->shard, lookup->id);
    struct mr__key key;
    struct mr__bytes value;
    struct mr__place place;
    struct mr__finished finished;
    if (pending != NULL) {
        place = pending->place;
    } else {
        mr__key_by_id(&key, lookup->id);
        mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
        if (status != MR_OK || !mr__place_read(value, &place)) {
            return MR_ENOTFOUND;
        }
    }
    if (!read_finished(snapshot, &place, &finished)) {
        sim_broken(lookup->sim, "a finished run is not where the index says");
    }
    mr__buf_bytes(lookup->log, finished.log.data, finished.log.len);
    return MR_OK;
}

bool sim_truth_history(struct sim *sim, const uint8_t *id, struct mr__buf *ret_log)
{
    struct lookup lookup = {.sim = sim, .id = id, .log = ret_log};
    mr__buf_init(ret_log);
    return sim->store->ops->read_now(sim->store, lookup_read, &lookup) == MR_OK;
}
