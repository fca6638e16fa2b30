/* SPDX-License-Identifier: MIT
 *
 * Finished runs: packed into history in the order in which they ended, in the commit that ends
 * them; their index entries wait in memory and go to the store in portions. After a crash the
 * entries that waited are made again from the end of the history (recover.c). Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

#define PORTION_RUNS 4096u /* whose entries go with one commit */

static void part_close(struct mr__shard *sh);

/* ---- history ------------------------------------------------------------------------------------
 */

static struct mr__blob settled_reason(const struct mr__run *run)
{
    struct mr__reader r;
    struct mr__event event = {0};
    int64_t last_ms = 0;
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, last_ms, &event)) {
        last_ms = event.time_ms;
    }
    return event.reason; /* the last event is the run's end */
}

void mr__archive_on_finished(void *user, struct mr__run *run)
{
    struct mr__shard *sh = user;
    struct mr__finished finished = {
        .status = run->status,
        .started_ms = run->began_ms,
        .ended_ms = run->last_ms,
        .log = {(const char *)run->log.data, run->log.len},
    };
    if (run->status != MR__RUN_SUCCESS) {
        finished.reason = settled_reason(run);
    }
    if (!sh->part_open) {
        (void)mr__record_begin(&sh->part);
        sh->part_open = true;
    }
    struct mr__place place = {
        .lsn = sh->s.lsn, .part = sh->part_number, .offset = (uint32_t)sh->part.len};
    mr__finished_write(&sh->part, &finished);
    sh->s.failed |= sh->part.failed;
    sh->s.failed |= mr__archive_add_pending(sh, &finished, &place, run->plan) != MR_OK;
    if (sh->part.len >= MR__HISTORY_PART_BYTES) {
        part_close(sh);
    }
    if (run->has_checkpoint) {
        struct mr__key key;
        mr__key_live(&key, MR__SHARD, run->id);
        mr__batch_del(&sh->after, key.bytes, key.len);
    }
    run->flags |= MR__RUNFLAG_ARCHIVED;
    mr__run_checkpointed(&sh->s, run); /* the history has it: nothing of it is needed any more */
}

static void part_close(struct mr__shard *sh)
{
    struct mr__key key;
    if (!sh->part_open) {
        return;
    }
    mr__record_end(&sh->part, 0);
    mr__key_history(&key, MR__SHARD, sh->s.lsn, sh->part_number++);
    mr__batch_put(&sh->filling, key.bytes, key.len, sh->part.data, sh->part.len);
    sh->s.failed |= sh->part.failed;
    mr__buf_reset(&sh->part);
    sh->part_open = false;
}

/* ---- the index ----------------------------------------------------------------------------------
 */

static struct mr__pending *pending_at(const struct mr__shard *sh, size_t i)
{
    return &sh->pending[(sh->pending_head + i) & (sh->pending_cap - 1)];
}

static bool pending_grow(struct mr__shard *sh)
{
    size_t cap = sh->pending_cap == 0 ? 64 : sh->pending_cap * 2;
    struct mr__pending *ring = mr__malloc(cap * sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    mr__hash_finish(&sh->pending_by_id);
    for (size_t i = 0; i < sh->pending_count; i++) {
        ring[i] = *pending_at(sh, i);
    }
    mr__free(sh->pending);
    sh->pending = ring;
    sh->pending_cap = cap;
    sh->pending_head = 0;
    for (size_t i = 0; i < sh->pending_count; i++) { /* the table borrows the ids */
        if (mr__hash_put(&sh->pending_by_id, ring[i].id, MR__RUN_ID_BYTES, sh->pending_base + i) !=
            MR_OK) {
            return false;
        }
    }
    return true;
}

static bool copy_text(char **ret_text, struct mr__blob blob, size_t len_min)
{
    if (blob.len >= len_min) {
        *ret_text = mr__strndup(blob.data, blob.len);
        return *ret_text != NULL;
    }
    return true;
}

static void free_texts(struct mr__pending *pending)
{
    mr__free(pending->dag);
    mr__free(pending->tags);
    mr__free(pending->key);
    mr__free(pending->token);
}

mr_status mr__archive_add_pending(struct mr__shard *sh, const struct mr__finished *finished,
                                  const struct mr__place *place, struct mr__plan *plan)
{
    struct mr__reader r;
    struct mr__event created;
    mr__reader_init(&r, finished->log.data, finished->log.len);
    if (!mr__event_decode(&r, 0, &created) || created.type != MR__EVENT_RUN_CREATED) {
        return MR_EFORMAT;
    }
    if (sh->pending_count == sh->pending_cap && !pending_grow(sh)) {
        return MR_ENOMEM;
    }
    struct mr__pending *pending = pending_at(sh, sh->pending_count);
    *pending = (struct mr__pending){.place = *place, .status = finished->status, .plan = plan};
    memcpy(pending->id, created.id, MR__RUN_ID_BYTES);
    bool copied = (plan != NULL || copy_text(&pending->dag, created.dag, 0)) &&
                  copy_text(&pending->tags, created.tags, 3) &&
                  copy_text(&pending->key, created.key, 1) &&
                  copy_text(&pending->token, created.token, 1);
    mr_status status = copied ? mr__shard_keys_add(sh, &created) : MR_ENOMEM;
    if (status == MR_OK) {
        status = mr__hash_put(&sh->pending_by_id, pending->id, MR__RUN_ID_BYTES,
                              sh->pending_base + sh->pending_count);
    }
    if (status != MR_OK) {
        free_texts(pending);
        return status;
    }
    if (plan != NULL) {
        mr__plan_ref(plan);
    }
    sh->pending_count++;
    return MR_OK;
}

static void put_entry(struct mr__shard *sh, const struct mr__key *key,
                      const struct mr__pending *pending)
{
    uint8_t place[MR__PLACE_BYTES];
    mr__place_write(&pending->place, place);
    mr__batch_put(&sh->filling, key->bytes, key->len, place, sizeof place);
}

static void put_tags(struct mr__shard *sh, const struct mr__pending *pending)
{
    struct mr__key key;
    mr_value tags;
    mr__arena_reset(&sh->scratch);
    if (mr__value_parse(&sh->scratch, pending->tags, strlen(pending->tags), &tags, NULL) != MR_OK ||
        tags.type != MR_MAP) {
        return;
    }
    for (uint32_t i = 0; i < tags.len; i++) {
        mr__key_by_tag(&key, tags.u.map[i].key, mr_value_str(&tags.u.map[i].value, ""),
                       pending->id);
        put_entry(sh, &key, pending);
    }
}

/* One entry by status for each finished run. A run that was retried since has ended again (a later
 * one in the ring counts) or goes on: then what its old end says may be found only until the
 * journal has the retry. The entries of other kinds are overwritten by those of the new end. */
static void put_by_status(struct mr__shard *sh, size_t i, size_t portion)
{
    struct mr__key key;
    const struct mr__pending *pending = pending_at(sh, i);
    const struct mr__run *run = mr__run_find(&sh->s, pending->id);
    uint64_t where = sh->pending_base + i;
    (void)mr__hash_get(&sh->pending_by_id, pending->id, MR__RUN_ID_BYTES, &where);
    size_t latest = (size_t)(where - sh->pending_base);
    if (latest != i && latest < portion) {
        return;
    }
    mr__key_by_status(&key, pending->status, pending->id);
    put_entry(sh, &key, pending);
    if (latest != i || (run != NULL && (run->flags & MR__RUNFLAG_ARCHIVED) == 0)) {
        mr__batch_del(&sh->after, key.bytes, key.len);
    }
}

/* Adds the entries of the oldest runs that wait, kind by kind: within one kind ids come nearly in
 * order, so that few pages of the store are touched. */
static void index_portion(struct mr__shard *sh)
{
    struct mr__key key;
    size_t n = MR__MIN(sh->pending_count,
                       MR__MIN((size_t)PORTION_RUNS, (size_t)sh->opt.index_runs_pending));
    /* Only whole commits that are durable, so that one LSN says how far the index is. */
    while (n > 0 && (pending_at(sh, n - 1)->place.lsn > sh->lsn_durable ||
                     (n < sh->pending_count &&
                      pending_at(sh, n)->place.lsn == pending_at(sh, n - 1)->place.lsn))) {
        n--;
    }
    if (n == 0) {
        /* One commit ended more runs than a portion holds: all of them, then. */
        while (n < sh->pending_count && pending_at(sh, n)->place.lsn <= sh->lsn_durable &&
               pending_at(sh, n)->place.lsn == pending_at(sh, 0)->place.lsn) {
            n++;
        }
    }
    for (size_t i = 0; i < n; i++) {
        mr__key_by_id(&key, pending_at(sh, i)->id);
        put_entry(sh, &key, pending_at(sh, i));
    }
    for (size_t i = 0; i < n; i++) {
        mr__key_by_dag(&key, mr__pending_dag(pending_at(sh, i)), pending_at(sh, i)->id);
        put_entry(sh, &key, pending_at(sh, i));
    }
    for (size_t i = 0; i < n; i++) {
        const struct mr__pending *pending = pending_at(sh, i);
        put_by_status(sh, i, n);
        if (pending->tags != NULL) {
            put_tags(sh, pending);
        }
    }
    if (n > 0) {
        struct mr__buf value;
        mr__buf_init(&value);
        size_t begin = mr__record_begin(&value);
        mr__buf_u64le(&value, pending_at(sh, n - 1)->place.lsn);
        mr__record_end(&value, begin);
        mr__key_indexed(&key, MR__SHARD);
        mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
        sh->s.failed |= value.failed;
        mr__buf_finish(&value);
    }
    sh->pending_flying = n;
}

/* ---- with commits
 * -------------------------------------------------------------------------------- */

void mr__archive_hand_over(struct mr__shard *sh)
{
    part_close(sh);
    sh->part_number = 0;
    if (sh->pending_count >= sh->opt.index_runs_pending || sh->pending_base < sh->index_upto) {
        index_portion(sh);
    }
}

bool mr__shard_index(struct mr__shard *sh, uint64_t *upto, mr__done_fn done, void *user)
{
    *upto = *upto != 0 ? *upto : sh->pending_base + sh->pending_count;
    if (sh->pending_base >= *upto) {
        return false;
    }
    sh->index_upto = MR__MAX(sh->index_upto, *upto);
    sh->want_commit = true;
    mr__shard_after(sh, done, user);
    return true;
}

uint64_t mr__shard_indexed(const struct mr__shard *sh)
{
    return sh->pending_base;
}

void mr__shard_prune(struct mr__shard *sh, const struct mr__batch *batch, mr__done_fn done,
                     void *user)
{
    mr__batch_append(&sh->filling, batch, 0, batch->count);
    sh->want_commit = true;
    /* Where this refuses, the batch is not handed over any more either. */
    mr__shard_after(sh, done, user);
}

static void pending_pop(struct mr__shard *sh)
{
    struct mr__pending *pending = pending_at(sh, 0);
    uint64_t where;
    /* A run that was retried and has ended again stands in the ring twice: the later one counts. */
    if (mr__hash_get(&sh->pending_by_id, pending->id, MR__RUN_ID_BYTES, &where) &&
        where == sh->pending_base) {
        (void)mr__hash_del(&sh->pending_by_id, pending->id, MR__RUN_ID_BYTES);
    }
    mr__shard_key_drop(sh, false, pending->key, pending->id);
    mr__shard_key_drop(sh, true, pending->token, pending->id);
    free_texts(pending);
    mr__plan_unref(pending->plan);
    sh->pending_head = (sh->pending_head + 1) & (sh->pending_cap - 1);
    sh->pending_count--;
    sh->pending_base++;
}

void mr__archive_durable(struct mr__shard *sh)
{
    for (; sh->pending_flying > 0; sh->pending_flying--) {
        pending_pop(sh);
    }
}

void mr__archive_reset(struct mr__shard *sh)
{
    while (sh->pending_count > 0) {
        pending_pop(sh);
    }
    sh->pending_flying = 0;
    mr__hash_finish(&sh->pending_by_id);
    mr__buf_reset(&sh->part);
    sh->part_open = false;
    sh->part_number = 0;
}

const struct mr__pending *mr__shard_pending(const struct mr__shard *sh, size_t i)
{
    return i < sh->pending_count ? pending_at(sh, i) : NULL;
}

const struct mr__pending *mr__shard_pending_find(const struct mr__shard *sh, const uint8_t *run_id)
{
    uint64_t where;
    return mr__hash_get(&sh->pending_by_id, run_id, MR__RUN_ID_BYTES, &where)
               ? pending_at(sh, (size_t)(where - sh->pending_base))
               : NULL;
}
