/* SPDX-License-Identifier: MIT
 *
 * One step of a prune. Reader thread.
 *
 * The history stands in the order in which runs ended. Without `keep` it is walked from its
 * beginning, up to the first part that is too young; with `keep` from its end, so that the last
 * runs of each dag are counted first. Only what is in the index is looked at: what is not yet is
 * read at recovery as it was written.
 */
#include "core/engine/prune_read.h"

#include <stdlib.h>

#include "core/base/value.h"
#include "core/engine/reads.h"

#define SHARD 0 /* embedded mode has one shard */

enum outcome {
    PART_TAKEN,
    PART_TOO_YOUNG,
    PART_LOGS_FIRST /* its runs have more output than goes with one step */
};

/* One step at work. */
struct walk {
    struct mr__snapshot *snapshot;
    struct mr__prune_step *step;
    struct mr__key key; /* of the part read last */
    bool found;
    size_t log_keys;                 /* of the runs that go */
    struct mr__key log_from, log_to; /* PART_LOGS_FIRST: what goes first */
    struct mr__arena arena;
};

mr_status mr__prune_step_init(struct mr__prune_step *step, const struct mr__prune_options *options)
{
    *step = (struct mr__prune_step){.options = *options};
    if (options->dag != NULL) {
        step->options.dag = mr__strdup(options->dag);
        return step->options.dag == NULL ? MR_ENOMEM : MR_OK;
    }
    return MR_OK;
}

void mr__prune_step_finish(struct mr__prune_step *step)
{
    while (step->all_counts != NULL) {
        struct mr__prune_count *count = step->all_counts;
        step->all_counts = count->next;
        mr__free(count);
    }
    mr__hash_finish(&step->counts);
    mr__free((void *)(uintptr_t)step->options.dag); /* a copy of ours */
    mr__free(step->parts);
    mr__free(step->runs);
    mr__free(step->counted);
    mr__buf_finish(&step->bytes);
    mr__batch_finish(&step->ops);
}

static void forget_counted(struct mr__prune_step *step, size_t from)
{
    while (step->counted_count > from) {
        step->counted[--step->counted_count]->seen--;
    }
}

void mr__prune_step_undo(struct mr__prune_step *step)
{
    forget_counted(step, 0);
    step->from = step->from_before;
    step->to = step->to_before;
    step->done = false;
    step->begun = step->from.len > 0; /* nothing was indexed then */
}

/* ---- lists that grow ---------------------------------------------------------------------------
 */

static bool grow(void *list_pointer, size_t count, size_t *cap, size_t size)
{
    void **list = list_pointer;
    if (count < *cap) {
        return true;
    }
    size_t bigger = *cap == 0 ? 64 : *cap * 2;
    void *moved = mr__realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *cap = bigger;
    return true;
}

static struct mr__prune_run *add_run(struct mr__prune_step *step)
{
    if (!grow(&step->runs, step->run_count, &step->run_cap, sizeof *step->runs)) {
        return NULL;
    }
    struct mr__prune_run *run = &step->runs[step->run_count++];
    *run = (struct mr__prune_run){.fate = MR__PRUNE_STAYS};
    return run;
}

/* Counts one more run of the dag; how many came before it, or UINT64_MAX: out of memory. */
static uint64_t count_run(struct mr__prune_step *step, struct mr__blob dag)
{
    uint64_t address;
    if (!mr__hash_get(&step->counts, dag.data, dag.len, &address)) {
        struct mr__prune_count *fresh = mr__calloc(1, sizeof *fresh + dag.len + 1);
        if (fresh == NULL) {
            return UINT64_MAX;
        }
        memcpy(fresh->dag, dag.data, dag.len);
        address = (uint64_t)(uintptr_t)fresh;
        if (mr__hash_put(&step->counts, fresh->dag, dag.len, address) != MR_OK) {
            mr__free(fresh);
            return UINT64_MAX;
        }
        fresh->next = step->all_counts;
        step->all_counts = fresh;
    }
    if (!grow(&step->counted, step->counted_count, &step->counted_cap, sizeof *step->counted)) {
        return UINT64_MAX;
    }
    struct mr__prune_count *count = (struct mr__prune_count *)(uintptr_t)address;
    step->counted[step->counted_count++] = count;
    return count->seen++;
}

/* ---- what goes with a run ----------------------------------------------------------------------
 */

struct log_walk {
    size_t count, limit;
    struct mr__key last;
};

static bool see_log(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct log_walk *log = user;
    log->count++;
    memcpy(log->last.bytes, key.data, key.len);
    log->last.len = key.len;
    return log->count < log->limit;
}

/* Adds the deletion of the run's output. False: it is too much for this step, and log_from and
 * log_to say what may go of it. */
static mr_status delete_logs(struct walk *walk, const uint8_t *id, bool *ret_fits)
{
    struct log_walk log = {.limit = MR__PRUNE_LOG_KEYS_STEP - walk->log_keys + 1};
    struct mr__key from, to;
    mr__key_log(&from, id, MR__LOG_TRACE, 0, 0);
    from.len = 1 + MR__RUN_ID_BYTES;
    to = from;
    mr__key_after(&to);
    mr_status status = walk->snapshot->ops->range(
        walk->snapshot, (struct mr__bytes){from.bytes, from.len},
        (struct mr__bytes){to.bytes, to.len}, 0, log.limit, see_log, &log);
    *ret_fits = log.count < log.limit;
    if (*ret_fits) {
        walk->log_keys += log.count;
        if (log.count > 0) {
            mr__batch_del_range(&walk->step->ops, from.bytes, from.len, to.bytes, to.len);
        }
    } else {
        walk->log_from = from;
        walk->log_to = log.last;
        walk->log_to.bytes[walk->log_to.len++] = 0; /* the last one too */
    }
    return status;
}

static void delete_tags(struct walk *walk, const struct mr__event *created)
{
    struct mr__key key;
    mr_value tags;
    mr__arena_reset(&walk->arena);
    if (created->tags.len < 3 ||
        mr__value_parse(&walk->arena, created->tags.data, created->tags.len, &tags, NULL) !=
            MR_OK ||
        tags.type != MR_MAP) {
        return;
    }
    for (uint32_t i = 0; i < tags.len; i++) {
        mr__key_by_tag(&key, tags.u.map[i].key, mr_value_str(&tags.u.map[i].value, ""),
                       created->id);
        mr__batch_del(&walk->step->ops, key.bytes, key.len);
    }
}

/* The idempotency key is free again, unless another run has it by now. */
static mr_status delete_key(struct walk *walk, const struct mr__event *created)
{
    struct mr__key key;
    struct mr__bytes value;
    if (created->key.len == 0) {
        return MR_OK;
    }
    mr__key_idempotency(&key, created->key);
    mr_status status = walk->snapshot->ops->get(walk->snapshot, key.bytes, key.len, &value);
    if (status == MR_OK && value.len == MR__RUN_ID_BYTES &&
        memcmp(value.data, created->id, MR__RUN_ID_BYTES) == 0) {
        mr__batch_del(&walk->step->ops, key.bytes, key.len);
    }
    return status == MR_ENOTFOUND ? MR_OK : status;
}

/* Everything of a run but its place in the history. The entry by id is the last: as long as it
 * stands, the next prune finds the rest. */
static mr_status delete_run(struct walk *walk, struct mr__prune_run *run,
                            const struct mr__finished *finished, const struct mr__event *created,
                            bool *ret_fits)
{
    char dag[MR__ID_BYTES_MAX + 1];
    struct mr__key key;
    struct mr__batch *ops = &walk->step->ops;
    run->op_first = ops->count;
    mr_status status = delete_logs(walk, created->id, ret_fits);
    if (status != MR_OK || !*ret_fits) {
        return status;
    }
    delete_tags(walk, created);
    mr__key_by_status(&key, finished->status, created->id);
    mr__batch_del(ops, key.bytes, key.len);
    memcpy(dag, created->dag.data, created->dag.len);
    dag[created->dag.len] = '\0';
    mr__key_by_dag(&key, dag, created->id);
    mr__batch_del(ops, key.bytes, key.len);
    status = delete_key(walk, created);
    mr__key_by_id(&key, created->id);
    mr__batch_del(ops, key.bytes, key.len);
    run->op_count = ops->count - run->op_first;
    return status;
}

/* ---- a run, a part -----------------------------------------------------------------------------
 */

static bool is_meant(const struct mr__prune_options *options, const struct mr__finished *finished,
                     const struct mr__event *created)
{
    return (options->status < 0 || finished->status == options->status) &&
           (options->dag == NULL ||
            (created->dag.len == strlen(options->dag) &&
             memcmp(created->dag.data, options->dag, created->dag.len) == 0));
}

/* A run that was retried has a checkpoint until it has ended again, whether it is in memory or not.
 */
static mr_status has_checkpoint(struct walk *walk, const uint8_t *id, bool *ret_has)
{
    struct mr__key key;
    struct mr__bytes value;
    mr__key_live(&key, SHARD, id);
    mr_status status = walk->snapshot->ops->get(walk->snapshot, key.bytes, key.len, &value);
    *ret_has = status == MR_OK;
    return status == MR_ENOTFOUND ? MR_OK : status;
}

/* Decides what becomes of a run. */
static mr_status judge(struct walk *walk, struct mr__prune_run *run, const struct mr__place *place,
                       bool *ret_fits)
{
    struct mr__prune_step *step = walk->step;
    const struct mr__prune_options *options = &step->options;
    struct mr__reader r;
    struct mr__finished finished;
    struct mr__event created;
    struct mr__place current;
    mr__reader_init(&r, step->bytes.data + run->at, run->len);
    if (!mr__finished_read(&r, &finished) || !mr__read_created(finished.log, &created) ||
        created.dag.len > MR__ID_BYTES_MAX) {
        return mr__error_set(&step->error, MR_EFORMAT, "a finished run in the history is damaged");
    }
    memcpy(run->id, created.id, MR__RUN_ID_BYTES);
    mr_status status = mr__read_place(walk->snapshot, created.id, &current);
    if (status == MR_ENOTFOUND ||
        (status == MR_OK && (current.lsn != place->lsn || current.part != place->part ||
                             current.offset != place->offset))) {
        run->fate = MR__PRUNE_LEFT_OVER;
        return MR_OK;
    }
    if (status != MR_OK || !is_meant(options, &finished, &created)) {
        return status;
    }
    uint64_t before = options->keep == 0 ? 0 : count_run(step, created.dag);
    if (before == UINT64_MAX) {
        return MR_ENOMEM;
    }
    bool stays = before < options->keep || finished.ended_ms >= options->before_ms;
    status = stays ? MR_OK : has_checkpoint(walk, created.id, &stays);
    if (status != MR_OK || stays) {
        return status;
    }
    run->fate = MR__PRUNE_GOES;
    return options->dry_run ? MR_OK : delete_run(walk, run, &finished, &created, ret_fits);
}

/* Lists the runs of the part whose record stands in the step's bytes from `at` on. */
static mr_status list_runs(struct walk *walk, size_t at, struct mr__prune_part *part,
                           bool *ret_too_young)
{
    struct mr__prune_step *step = walk->step;
    struct mr__part reader;
    struct mr__finished finished;
    struct mr__bytes value = {step->bytes.data + at, step->bytes.len - at};
    mr_status status = mr__part_open(value, "a part of the history", &reader, &step->error);
    *ret_too_young = false;
    part->run_first = step->run_count;
    while (status == MR_OK && mr__part_next(&reader, &finished)) {
        if (step->options.keep == 0 && step->run_count == part->run_first) {
            *ret_too_young = finished.ended_ms >= step->options.before_ms;
        }
        struct mr__prune_run *run = add_run(step);
        if (run == NULL) {
            return MR_ENOMEM;
        }
        run->offset = reader.run_offset;
        run->at = (size_t)((const uint8_t *)reader.run.data - step->bytes.data);
        run->len = reader.run.len;
    }
    if (status == MR_OK && reader.r.failed) {
        status =
            mr__error_set(&step->error, MR_EFORMAT, "a finished run in the history is damaged");
    }
    part->run_count = step->run_count - part->run_first;
    return status;
}

/* The part that was read last. */
static mr_status take_part(struct walk *walk, size_t at, enum outcome *ret_outcome)
{
    struct mr__prune_step *step = walk->step;
    bool too_young, fits = true;
    struct mr__place place;
    if (!grow(&step->parts, step->part_count, &step->part_cap, sizeof *step->parts)) {
        return MR_ENOMEM;
    }
    struct mr__prune_part *part = &step->parts[step->part_count];
    *part = (struct mr__prune_part){.key = walk->key};
    size_t counted = step->counted_count, ops = step->ops.count;
    mr_status status = list_runs(walk, at, part, &too_young);
    if (status == MR_OK &&
        !mr__key_lsn((struct mr__bytes){walk->key.bytes, walk->key.len}, &place.lsn, &place.part)) {
        status = mr__error_set(&step->error, MR_EFORMAT, "the history has a key that is none");
    }
    for (size_t i = 0; i < part->run_count && status == MR_OK && fits && !too_young; i++) {
        /* With `keep` the one that ended last comes first. */
        size_t n = step->options.keep == 0 ? i : part->run_count - 1 - i;
        struct mr__prune_run *run = &step->runs[part->run_first + n];
        place.offset = run->offset;
        status = judge(walk, run, &place, &fits);
        part->changes |= run->fate != MR__PRUNE_STAYS;
    }
    *ret_outcome = too_young ? PART_TOO_YOUNG : fits ? PART_TAKEN : PART_LOGS_FIRST;
    if (*ret_outcome == PART_TAKEN) {
        step->part_count++;
    } else {
        step->run_count = part->run_first;
        step->ops.count = ops;
        forget_counted(step, counted);
    }
    return status;
}

/* ---- the walk ----------------------------------------------------------------------------------
 */

static bool copy_part(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct walk *walk = user;
    memcpy(walk->key.bytes, key.data, key.len);
    walk->key.len = key.len;
    walk->found = true;
    mr__buf_bytes(&walk->step->bytes, value.data, value.len);
    return false;
}

/* From the beginning of the history to the end of what is indexed. */
static mr_status begin(struct walk *walk)
{
    struct mr__prune_step *step = walk->step;
    struct mr__key key;
    struct mr__bytes value;
    struct mr__reader r;
    mr__key_indexed(&key, SHARD);
    mr_status status = walk->snapshot->ops->get(walk->snapshot, key.bytes, key.len, &value);
    step->begun = true;
    if (status == MR_ENOTFOUND) {
        step->done = true;
        return MR_OK;
    }
    if (status == MR_OK) {
        status = mr__record_open(value, "the index's record", &r, &step->error);
    }
    if (status == MR_OK) {
        mr__key_history(&step->from, SHARD, 0, 0);
        mr__key_history(&step->to, SHARD, mr__read_u64le(&r) + 1, 0);
    }
    return status;
}

static mr_status next_part(struct walk *walk)
{
    struct mr__prune_step *step = walk->step;
    size_t at = step->bytes.len;
    enum outcome outcome;
    bool backwards = step->options.keep > 0;
    walk->found = false;
    mr_status status = walk->snapshot->ops->range(
        walk->snapshot, (struct mr__bytes){step->from.bytes, step->from.len},
        (struct mr__bytes){step->to.bytes, step->to.len}, backwards ? MR__RANGE_REVERSE : 0, 1,
        copy_part, walk);
    if (status != MR_OK || !walk->found) {
        step->done = status == MR_OK;
        return status;
    }
    if (step->bytes.failed) {
        return MR_ENOMEM;
    }
    status = take_part(walk, at, &outcome);
    if (status != MR_OK) {
        return status;
    }
    if (outcome == PART_TOO_YOUNG) {
        step->done = true;
    } else if (outcome == PART_TAKEN && backwards) {
        step->to = walk->key;
    } else if (outcome == PART_TAKEN) {
        step->from = walk->key;
        step->from.bytes[step->from.len++] = 0;
    } else if (step->part_count == 0) { /* it comes again, with less of it */
        mr__batch_del_range(&step->ops, walk->log_from.bytes, walk->log_from.len,
                            walk->log_to.bytes, walk->log_to.len);
    }
    walk->found = outcome == PART_TAKEN;
    return MR_OK;
}

mr_status mr__prune_step_read(struct mr__snapshot *snapshot, void *user)
{
    struct mr__prune_step *step = user;
    struct walk walk = {.snapshot = snapshot, .step = step, .found = true};
    mr_status status = MR_OK;
    step->part_count = step->run_count = step->counted_count = 0;
    mr__buf_reset(&step->bytes);
    mr__batch_reset(&step->ops);
    mr__arena_init(&walk.arena);
    if (!step->begun) {
        status = begin(&walk);
    }
    step->from_before = step->from;
    step->to_before = step->to;
    while (status == MR_OK && !step->done && walk.found && step->run_count < MR__PRUNE_RUNS_STEP &&
           step->bytes.len < MR__PRUNE_BYTES_STEP) {
        status = next_part(&walk);
    }
    mr__arena_finish(&walk.arena);
    return status == MR_OK && step->ops.failed ? MR_ENOMEM : status;
}
