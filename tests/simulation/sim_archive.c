/* SPDX-License-Identifier: MIT
 *
 * The index and the history, held against what is durable; and runs that come back from there.
 */
#include <stdlib.h>

#include "tests/simulation/sim.h"

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
    size_t by_dag_count, key_count, live_count;
};

static bool on_history(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct archive *archive = user;
    struct mr__part reader; /* a prune leaves gaps in it */
    struct mr__finished finished;
    uint64_t lsn;
    uint16_t part;
    if (mr__key_lsn(key, &lsn, &part) && lsn > archive->sim->truth.last_lsn) {
        return true; /* of a commit that did not come to its end; the next one removes it */
    }
    if (mr__part_open(value, "history", &reader, NULL) != MR_OK) {
        sim_broken(archive->sim, "a part of the history is damaged");
    }
    while (mr__part_next(&reader, &finished)) {
        archive->finished++;
    }
    if (reader.r.failed) {
        sim_broken(archive->sim, "a finished run in the history is damaged");
    }
    return true;
}

static bool on_index(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct archive *archive = user;
    uint8_t kind = ((const uint8_t *)key.data)[1];
    const uint8_t *id = mr__key_run_id(key);
    struct mr__place place;
    if (kind == 'k') { /* one that came before its run, which did not, stands for nothing */
        const struct sim_run *run = sim_truth_find(archive->sim, value.data);
        archive->key_count += run != NULL && run->durable;
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
    struct mr__part part;
    mr__key_history(&key, 0, place->lsn, place->part);
    return snapshot->ops->get(snapshot, key.bytes, key.len, &value) == MR_OK &&
           mr__part_open(value, "history", &part, NULL) == MR_OK &&
           mr__part_find(&part, place->offset, ret_finished);
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
    if (run->pruned) {
        if (place != NULL) {
            sim_broken(sim, "a run was removed, and is to be found by its id");
        }
        return;
    }
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
        whole += pending == NULL && !run->torn;
        in_part += run->torn;
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
        archive->by_dag_count + again + in_part < archive->by_id_count) {
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
    /* What is left of a run that was removed goes with the next prune. */
    if (archive->finished > ends || (archive->finished < ends && !sim->pruned)) {
        sim_broken(sim, "the history has %zu ends of runs instead of %zu", archive->finished, ends);
    }
    return MR_OK;
}

void sim_archive_check(struct sim *sim)
{
    struct archive *archive = calloc(1, sizeof *archive);
    archive->sim = sim;
    (void)sim->store->ops->read_now(sim->store, check_archive, archive);
    free(archive);
}

static mr_status check_empty(struct mr__snapshot *snapshot, void *user)
{
    struct archive *archive = user;
    archive->snapshot = snapshot;
    each_key(archive, MR__TABLE_HISTORY, on_history);
    each_key(archive, MR__TABLE_INDEX, on_index);
    if (archive->finished + archive->by_id_count + archive->by_status_count +
            archive->by_dag_count + archive->key_count >
        0) {
        sim_broken(archive->sim,
                   "all runs were removed, and there are %zu ends, %zu runs by id, %zu by status, "
                   "%zu by dag, %zu keys",
                   archive->finished, archive->by_id_count, archive->by_status_count,
                   archive->by_dag_count, archive->key_count);
    }
    return MR_OK;
}

void sim_archive_check_empty(struct sim *sim)
{
    struct archive *archive = calloc(1, sizeof *archive);
    archive->sim = sim;
    (void)sim->store->ops->read_now(sim->store, check_empty, archive);
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

bool sim_archive_history(struct sim *sim, const uint8_t *id, struct mr__buf *ret_log)
{
    struct lookup lookup = {.sim = sim, .id = id, .log = ret_log};
    mr__buf_init(ret_log);
    return sim->store->ops->read_now(sim->store, lookup_read, &lookup) == MR_OK;
}
