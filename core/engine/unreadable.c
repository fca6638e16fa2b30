/* SPDX-License-Identifier: MIT
 *
 * Unfinished runs whose dag's text this program's parser refuses: it is a later one, or an earlier,
 * than that which took the text. Without the dag a run's events mean nothing, so that they are kept
 * as they are, with the run's slot, until somebody comes who can read them. Made by recover.c
 * alone. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

/* ---- texts that do not parse -------------------------------------------------------------------
 */

const char *mr__shard_refused(const struct mr__shard *sh, const uint8_t *version)
{
    const struct mr__refused *refused = sh->refused;
    while (refused != NULL && memcmp(refused->version, version, MR__VERSION_BYTES) != 0) {
        refused = refused->next;
    }
    return refused == NULL ? NULL : refused->message;
}

void mr__shard_refuse(struct mr__shard *sh, const uint8_t *version, const char *message)
{
    size_t len = strlen(message);
    if (mr__shard_refused(sh, version) != NULL) {
        return;
    }
    struct mr__refused *refused = mr__malloc(sizeof *refused + len + 1);
    if (refused != NULL) { /* else it is found out once more */
        memcpy(refused->version, version, MR__VERSION_BYTES);
        memcpy(refused->message, message, len + 1);
        refused->next = sh->refused;
        sh->refused = refused;
    }
}

/* ---- their runs --------------------------------------------------------------------------------
 */

static struct mr__unreadable *find(const struct mr__hash *table, const void *key, size_t len)
{
    uint64_t at;
    return mr__hash_get(table, key, len, &at) ? (struct mr__unreadable *)(uintptr_t)at : NULL;
}

struct mr__unreadable *mr__unreadable_at(const struct mr__shard *sh, uint32_t slot)
{
    return find(&sh->unreadable_by_slot, &slot, sizeof slot);
}

const struct mr__unreadable *mr__shard_unreadable(const struct mr__shard *sh, const uint8_t *run_id)
{
    return find(&sh->unreadable_by_id, run_id, MR__RUN_ID_BYTES);
}

const struct mr__unreadable *mr__shard_unreadables(const struct mr__shard *sh)
{
    return sh->unreadable;
}

static void unlink_one(struct mr__shard *sh, struct mr__unreadable *run)
{
    *run->back = run->next;
    if (run->next != NULL) {
        run->next->back = run->back;
    }
    (void)mr__hash_del(&sh->unreadable_by_id, run->id, MR__RUN_ID_BYTES);
    (void)mr__hash_del(&sh->unreadable_by_slot, &run->slot, sizeof run->slot);
    mr__buf_finish(&run->log);
    mr__free(run);
}

mr_status mr__unreadable_add(struct mr__shard *sh, uint32_t slot, const struct mr__event *created,
                             struct mr__unreadable **ret_run)
{
    if (mr__unreadable_at(sh, slot) != NULL || mr__run_at(&sh->s, slot) != NULL ||
        mr__shard_unreadable(sh, created->id) != NULL) {
        return MR_EFORMAT;
    }
    struct mr__unreadable *run = mr__calloc(1, sizeof *run);
    if (run == NULL) {
        return MR_ENOMEM;
    }
    memcpy(run->id, created->id, MR__RUN_ID_BYTES);
    memcpy(run->version, created->version, MR__VERSION_BYTES);
    memcpy(run->dag, created->dag.data, created->dag.len); /* of a length that was looked at */
    run->slot = slot;
    mr__buf_init(&run->log);
    run->next = sh->unreadable;
    run->back = &sh->unreadable;
    if (run->next != NULL) {
        run->next->back = &run->next;
    }
    sh->unreadable = run;
    uint64_t at = (uint64_t)(uintptr_t)run;
    mr_status status = mr__hash_put(&sh->unreadable_by_id, run->id, MR__RUN_ID_BYTES, at);
    if (status == MR_OK) {
        status = mr__hash_put(&sh->unreadable_by_slot, &run->slot, sizeof run->slot, at);
    }
    if (status != MR_OK) {
        unlink_one(sh, run);
        return status;
    }
    *ret_run = run;
    return MR_OK;
}

mr_status mr__unreadable_take(struct mr__unreadable *run, const uint8_t *events, size_t len)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, events, len);
    while (mr__reader_left(&r) > 0) {
        if (!mr__event_decode(&r, run->last_ms, &event)) {
            return MR_EFORMAT;
        }
        run->last_ms = event.time_ms;
        if (event.type == MR__EVENT_RUN_SETTLED) {
            run->settled = event.status != MR__RUN_BLOCKED;
        } else if (event.type == MR__EVENT_RUN_REOPENED) {
            run->settled = false;
        }
    }
    mr__buf_bytes(&run->log, events, len);
    return run->log.failed ? MR_ENOMEM : MR_OK;
}

void mr__unreadable_drop(struct mr__shard *sh, struct mr__unreadable *run)
{
    if (run->has_checkpoint) {
        struct mr__key key;
        mr__key_live(&key, MR__SHARD, run->id);
        mr__batch_del(&sh->filling, key.bytes, key.len);
    }
    unlink_one(sh, run);
}

void mr__unreadable_reset(struct mr__shard *sh)
{
    while (sh->unreadable != NULL) {
        unlink_one(sh, sh->unreadable);
    }
    mr__hash_finish(&sh->unreadable_by_id);
    mr__hash_finish(&sh->unreadable_by_slot);
}

/* ---- after a recovery --------------------------------------------------------------------------
 */

/* The journal is shortened as if they were not there: what it has of them goes to a checkpoint
 * first. */
static void put_checkpoint(struct mr__shard *sh, const struct mr__unreadable *run, uint64_t lsn)
{
    struct mr__key key;
    struct mr__buf value;
    struct mr__live live = {
        .lsn = lsn, .slot = run->slot, .log = {(const char *)run->log.data, run->log.len}};
    mr__buf_init(&value);
    mr__live_write(&value, &live);
    mr__key_live(&key, MR__SHARD, run->id);
    mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
    sh->s.failed |= value.failed;
    mr__buf_finish(&value);
}

/* Nobody else gets their slots: events in the journal name them. */
static void keep_slots(struct mr__shard *sh)
{
    struct mr__scheduler *s = &sh->s;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->free_count; i++) {
        if (mr__unreadable_at(sh, s->free_slots[i]) == NULL) {
            s->free_slots[count++] = s->free_slots[i];
        }
    }
    s->free_count = count;
}

static void tell(struct mr__shard *sh, const struct mr__refused *refused)
{
    const struct mr__unreadable *one = NULL;
    unsigned count = 0;
    for (const struct mr__unreadable *run = sh->unreadable; run != NULL; run = run->next) {
        if (memcmp(run->version, refused->version, MR__VERSION_BYTES) == 0) {
            one = run;
            count++;
        }
    }
    if (one != NULL) {
        char id[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(one->id, id);
        mr__shard_say(sh, 1, "%s; %u unfinished run%s of it stay%s as %s (run %s)",
                      refused->message, count, count == 1 ? "" : "s", count == 1 ? "s" : "",
                      count == 1 ? "it is" : "they are", id);
    }
}

mr_status mr__unreadable_recovered(struct mr__shard *sh, uint64_t lsn, bool first)
{
    mr_status status = MR_OK;
    struct mr__unreadable *next;
    for (struct mr__unreadable *run = sh->unreadable; run != NULL; run = next) {
        next = run->next;
        if (run->settled) { /* it was brought back for a retry that did not become durable */
            mr__unreadable_drop(sh, run);
        } else if (run->dirty) {
            put_checkpoint(sh, run, lsn);
        }
    }
    for (const struct mr__unreadable *run = sh->unreadable; run != NULL && status == MR_OK;
         run = run->next) {
        struct mr__reader r;
        struct mr__event created;
        mr__reader_init(&r, run->log.data, run->log.len);
        (void)mr__event_decode(&r, 0, &created); /* it was, to get here */
        status = mr__shard_keys_add(sh, &created);
        if (status == MR_OK) {
            status = mr__slots_reach(&sh->s, run->slot);
        }
    }
    if (status == MR_OK) {
        status = mr__slots_rebuild(&sh->s);
    }
    keep_slots(sh);
    for (const struct mr__refused *refused = sh->refused; refused != NULL && first;
         refused = refused->next) {
        tell(sh, refused);
    }
    return status;
}
