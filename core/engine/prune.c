/* SPDX-License-Identifier: MIT
 *
 * Pruning, as the loop sees it: first the index entries that wait go to the store, then step after
 * step is read, judged once more and handed over. See prune.h. Loop thread.
 */
#include "core/engine/prune.h"

#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/prune_read.h"

struct prune {
    struct mr__engine *engine;
    mr__prune_fn done;
    void *user;
    uint64_t runs;
    uint64_t index_upto; /* what waits for the index when this begins goes there first */
    uint64_t indexed;    /* of the index when the step's job began */
    struct mr__prune_step step;
    struct mr__batch batch;
};

static void index_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id);
static void step_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id);
static void step_done(void *user, mr_status status);

static void finish(struct prune *prune, mr_status status, const mr_error *error)
{
    mr_error plain;
    if (status != MR_OK && error == NULL) {
        (void)mr__error_set(&plain, status, "%s",
                            prune->step.error.status == status ? prune->step.error.message
                                                               : mr_status_text(status));
        error = &plain;
    }
    prune->done(prune->user, status, error, prune->runs);
    mr__prune_step_finish(&prune->step);
    mr__batch_finish(&prune->batch);
    mr__free(prune);
}

void mr__prune(struct mr__engine *engine, const struct mr__prune_options *options,
               mr__prune_fn done, void *user)
{
    struct prune *prune = mr__calloc(1, sizeof *prune);
    if (prune == NULL) {
        mr_error error;
        (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
        done(user, MR_ENOMEM, &error, 0);
        return;
    }
    prune->engine = engine;
    prune->done = done;
    prune->user = user;
    if (mr__prune_step_init(&prune->step, options) != MR_OK) {
        finish(prune, MR_ENOMEM, NULL);
        return;
    }
    mr__shard_after(engine->shard, index_next, prune); /* a run that has ended has ended durably */
}

static void index_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct prune *prune = user;
    if (status != MR_OK) {
        finish(prune, status, error);
    } else if (!mr__shard_index(prune->engine->shard, &prune->index_upto, index_next, prune)) {
        step_next(prune, MR_OK, NULL, NULL);
    }
}

static void step_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct prune *prune = user;
    if (status == MR_OK && prune->step.done) {
        finish(prune, MR_OK, NULL);
        return;
    }
    if (status == MR_OK) {
        prune->indexed = mr__shard_indexed(prune->engine->shard);
        status = mr__engine_read(prune->engine, mr__prune_step_read, step_done, &prune->step);
    }
    if (status != MR_OK) {
        finish(prune, status, error);
    }
}

/* ---- carrying out a step -----------------------------------------------------------------------
 */

/* A run that was retried since, or has ended again and is not in the index with its new place. */
static bool is_back(const struct prune *prune, const uint8_t *run_id)
{
    return mr__shard_find(prune->engine->shard, run_id) != NULL ||
           mr__shard_pending_find(prune->engine->shard, run_id) != NULL;
}

/* The part without the runs that go; without any it goes itself. */
static void put_part(struct prune *prune, const struct mr__prune_part *part)
{
    struct mr__prune_step *step = &prune->step;
    struct mr__buf value;
    uint32_t at;
    size_t kept = 0;
    mr__buf_init(&value);
    size_t begin = mr__part_keep_begin(&value, &at);
    for (size_t i = 0; i < part->run_count; i++) {
        const struct mr__prune_run *run = &step->runs[part->run_first + i];
        if (run->fate == MR__PRUNE_STAYS) {
            struct mr__blob bytes = {(const char *)step->bytes.data + run->at, run->len};
            mr__part_keep(&value, &at, run->offset, bytes);
            kept++;
        }
    }
    mr__record_end(&value, begin);
    if (kept == 0) {
        mr__batch_del(&prune->batch, part->key.bytes, part->key.len);
    } else {
        mr__batch_put(&prune->batch, part->key.bytes, part->key.len, value.data, value.len);
        prune->batch.failed |= value.failed;
    }
    mr__buf_finish(&value);
}

/* Fills the batch: what belongs to the runs first, then the parts. */
static void fill(struct prune *prune)
{
    struct mr__prune_step *step = &prune->step;
    mr__batch_reset(&prune->batch);
    if (step->part_count == 0) { /* output alone */
        mr__batch_append(&prune->batch, &step->ops, 0, step->ops.count);
    }
    for (size_t i = 0; i < step->run_count; i++) {
        struct mr__prune_run *run = &step->runs[i];
        if (run->fate == MR__PRUNE_GOES && is_back(prune, run->id)) {
            run->fate = MR__PRUNE_STAYS;
        } else if (run->fate == MR__PRUNE_GOES) {
            mr__batch_append(&prune->batch, &step->ops, run->op_first, run->op_count);
            prune->runs++;
        }
    }
    for (size_t i = 0; i < step->part_count && !step->options.dry_run; i++) {
        if (step->parts[i].changes) {
            put_part(prune, &step->parts[i]);
        }
    }
}

static void step_done(void *user, mr_status status)
{
    struct prune *prune = MR__CONTAINER(user, struct prune, step);
    if (status == MR_OK && prune->indexed != mr__shard_indexed(prune->engine->shard)) {
        /* A run may have got another place in the index since: once more. */
        mr__prune_step_undo(&prune->step);
        step_next(prune, MR_OK, NULL, NULL);
        return;
    }
    if (status == MR_OK) {
        fill(prune);
        status = prune->batch.failed ? MR_ENOMEM : MR_OK;
    }
    if (status != MR_OK) {
        finish(prune, status, NULL);
    } else if (prune->batch.count > 0) {
        mr__shard_prune(prune->engine->shard, &prune->batch, step_next, prune);
    } else {
        step_next(prune, MR_OK, NULL, NULL);
    }
}
