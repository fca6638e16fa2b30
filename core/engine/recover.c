/* SPDX-License-Identifier: MIT
 *
 * From the store to memory: checkpoints, then the journal behind them, then the end of the history
 * that is not indexed yet. The same code serves the start, and the shard that threw its memory away
 * after a commit that failed or whose outcome is not known. Loop thread; blocks while it reads.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

#define STEP_KEYS 64u /* read at once: a snapshot's callback must not use the snapshot */

struct recovery {
    struct mr__shard *sh;
    struct mr__snapshot *snapshot;
    mr_error *reterr;
    uint64_t indexed, last, entry_lsn;
    struct mr__buf entry; /* the parts of one entry, joined */
    uint32_t entry_events;
    uint16_t entry_parts;
    size_t entry_stored;
    bool leftover;
    uint8_t newest[MR__RUN_ID_BYTES];
};

/* ---- walking a range in steps
 * -------------------------------------------------------------------- */

struct step {
    struct mr__buf bytes;
    size_t at[STEP_KEYS][4]; /* key, key_len, value, value_len */
    size_t count;
};

static bool step_add(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct step *step = user;
    size_t *at = step->at[step->count++];
    at[0] = step->bytes.len;
    at[1] = key.len;
    mr__buf_bytes(&step->bytes, key.data, key.len);
    at[2] = step->bytes.len;
    at[3] = value.len;
    mr__buf_bytes(&step->bytes, value.data, value.len);
    return !step->bytes.failed && step->bytes.len < MR__STEP_BYTES;
}

typedef mr_status (*item_fn)(struct recovery *rec, struct mr__bytes key, struct mr__bytes value);

static mr_status walk(struct recovery *rec, struct mr__key from, const struct mr__key *to,
                      item_fn item)
{
    struct step *step = mr__calloc(1, sizeof *step);
    mr_status status = step == NULL ? MR_ENOMEM : MR_OK;
    for (bool more = true; status == MR_OK && more;) {
        step->count = 0;
        mr__buf_reset(&step->bytes);
        status = rec->snapshot->ops->range(rec->snapshot, (struct mr__bytes){from.bytes, from.len},
                                           (struct mr__bytes){to->bytes, to->len}, 0, STEP_KEYS,
                                           step_add, step);
        if (status == MR_OK && step->bytes.failed) {
            status = MR_ENOMEM;
        }
        more = step->count > 0;
        for (size_t i = 0; i < step->count && status == MR_OK; i++) {
            const size_t *at = step->at[i];
            struct mr__bytes key = {step->bytes.data + at[0], at[1]};
            status = item(rec, key, (struct mr__bytes){step->bytes.data + at[2], at[3]});
            memcpy(from.bytes, key.data, key.len); /* go on behind the last one */
            from.bytes[key.len] = 0;
            from.len = key.len + 1;
        }
    }
    if (step != NULL) {
        mr__buf_finish(&step->bytes);
        mr__free(step);
    }
    return status;
}

static mr_status walk_lsn(struct recovery *rec, uint8_t table, uint64_t first, item_fn item)
{
    struct mr__key from, to;
    mr__key_journal(&from, MR__SHARD, first, 0);
    mr__key_journal(&to, MR__SHARD, UINT64_MAX, UINT16_MAX);
    from.bytes[0] = to.bytes[0] = table;
    return walk(rec, from, &to, item);
}

/* ---- definitions
 * --------------------------------------------------------------------------------- */

mr_status mr__definition_parse(const struct mr__definition *definition, struct mr__dag **ret_dag,
                               mr_error *reterr)
{
    struct mr__problems problems;
    struct mr__arena arena;
    mr__problems_init(&problems);
    mr__arena_init(&arena);
    char *file = mr__arena_dup(&arena, definition->file.data, definition->file.len);
    char *id = mr__arena_dup(&arena, definition->default_id.data, definition->default_id.len);
    struct mr__parse_options options = {
        .file = file, .default_id = id, .compat = definition->compat};
    mr_status status = file == NULL || id == NULL
                           ? MR_ENOMEM
                           : mr__dag_parse(definition->text.data, definition->text.len, &options,
                                           &problems, ret_dag);
    if (status == MR_EDEFINITION) {
        (void)mr__error_set(reterr, status, "the stored text of dag \"%s\" does not parse: %s", id,
                            problems.count == 0 ? "" : problems.list[0].message);
    }
    mr__problems_finish(&problems);
    mr__arena_finish(&arena);
    return status;
}

/* MR_EDEFINITION: its text does not parse, which is no fault of the store's. */
static mr_status find_plan(struct recovery *rec, const char *dag_id, size_t dag_len,
                           const uint8_t *version, struct mr__plan **ret_plan)
{
    char id[MR__ID_BYTES_MAX + 1];
    struct mr__key key;
    struct mr__bytes value;
    struct mr__definition definition;
    struct mr__dag *dag;
    *ret_plan = mr__shard_plan(rec->sh, version);
    if (*ret_plan != NULL) {
        return MR_OK;
    }
    if (mr__shard_refused(rec->sh, version) != NULL) {
        return MR_EDEFINITION;
    }
    if (dag_len > MR__ID_BYTES_MAX) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "a run names a dag of %zu bytes", dag_len);
    }
    memcpy(id, dag_id, dag_len);
    id[dag_len] = '\0';
    mr__key_definition(&key, id, version);
    mr_status status = rec->snapshot->ops->get(rec->snapshot, key.bytes, key.len, &value);
    if (status == MR_ENOTFOUND) {
        return mr__error_set(rec->reterr, MR_EFORMAT,
                             "the text of dag \"%s\" is missing, which a run needs", id);
    }
    if (status == MR_OK) {
        status = mr__definition_read(value, &definition, rec->reterr);
    }
    if (status == MR_OK) {
        mr_error refusal = {0};
        status = mr__definition_parse(&definition, &dag, &refusal);
        if (status == MR_EDEFINITION) {
            mr__shard_refuse(rec->sh, version, refusal.message);
        }
    }
    if (status == MR_OK && memcmp(dag->version, version, MR__VERSION_BYTES) != 0) {
        mr__dag_unref(dag);
        status =
            mr__error_set(rec->reterr, MR_EFORMAT,
                          "the stored text of dag \"%s\" is not of the version that a run has", id);
    }
    if (status == MR_OK) {
        status = mr__shard_plan_add(rec->sh, dag, ret_plan);
    }
    if (status == MR_OK) {
        (*ret_plan)->stored = true;
    }
    return status;
}

static void seen(struct recovery *rec, const uint8_t *run_id)
{
    if (memcmp(run_id, rec->newest, MR__RUN_ID_BYTES) > 0) {
        memcpy(rec->newest, run_id, MR__RUN_ID_BYTES);
    }
}

/* A retry takes the entry by status of the run's end before away in the last write of its commit:
 * this makes good for a crash before that. `lsn`: what is indexed from there on stands. */
static mr_status drop_old_status(struct recovery *rec, const uint8_t *run_id, uint64_t lsn)
{
    static const uint8_t retried[] = {MR__RUN_FAILED, MR__RUN_CANCELED};
    struct mr__key key;
    struct mr__bytes value;
    struct mr__place place;
    mr__key_by_id(&key, run_id);
    mr_status status = rec->snapshot->ops->get(rec->snapshot, key.bytes, key.len, &value);
    if (status != MR_OK) {
        return status == MR_ENOTFOUND ? MR_OK : status;
    }
    for (size_t i = 0; i < sizeof retried && mr__place_read(value, &place) && place.lsn < lsn;
         i++) {
        mr__key_by_status(&key, retried[i], run_id);
        mr__batch_del(&rec->sh->filling, key.bytes, key.len);
    }
    return MR_OK;
}

/* ---- checkpoints
 * --------------------------------------------------------------------------------- */

/* One of the two is made: `*ret_run` is NULL where the run's dag does not parse. */
static mr_status create_run(struct recovery *rec, uint32_t slot, struct mr__blob log,
                            struct mr__run **ret_run, struct mr__unreadable **ret_unreadable)
{
    struct mr__reader r;
    struct mr__event created;
    struct mr__plan *plan;
    *ret_run = NULL;
    *ret_unreadable = NULL;
    mr__reader_init(&r, log.data, log.len);
    if (!mr__event_decode(&r, 0, &created) || created.type != MR__EVENT_RUN_CREATED) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "a run does not begin with its creation");
    }
    mr_status status = find_plan(rec, created.dag.data, created.dag.len, created.version, &plan);
    if (status == MR_OK) {
        status = mr__unreadable_at(rec->sh, slot) != NULL
                     ? MR_EFORMAT
                     : mr__run_create(&rec->sh->s, slot, created.id, plan, ret_run);
        seen(rec, created.id);
    } else if (status == MR_EDEFINITION) {
        status = mr__unreadable_add(rec->sh, slot, &created, ret_unreadable);
        seen(rec, created.id);
    }
    return status;
}

static mr_status read_live(struct recovery *rec, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__live live;
    struct mr__run *run;
    struct mr__unreadable *unreadable;
    mr_status status = mr__live_read(value, &live, rec->reterr);
    if (status == MR_OK) {
        status = create_run(rec, live.slot, live.log, &run, &unreadable);
    }
    if (status == MR_OK && run == NULL) {
        unreadable->has_checkpoint = true;
        unreadable->ckpt_lsn = live.lsn;
        return mr__unreadable_take(unreadable, (const uint8_t *)live.log.data, live.log.len);
    }
    if (status == MR_OK) {
        run->has_checkpoint = true;
        run->ckpt_lsn = live.lsn;
        status = mr__replay(&rec->sh->s, run, (const uint8_t *)live.log.data, live.log.len);
        if (status == MR_EFORMAT) {
            return mr__error_set(rec->reterr, status, "a checkpoint holds events that do not fit");
        }
    }
    return status;
}

/* ---- the journal
 * --------------------------------------------------------------------------------- */

/* Its end is durable, so its checkpoint goes before everything else that is written: the run may
 * have come back by then, with a new one. */
static void drop_finished(struct recovery *rec, struct mr__run *run)
{
    if (run->has_checkpoint) {
        struct mr__key key;
        mr__key_live(&key, MR__SHARD, run->id);
        mr__batch_del(&rec->sh->filling, key.bytes, key.len);
    }
    mr__run_release(&rec->sh->s, run);
}

/* One event of the journal, of a run whose dag does not parse: not replayed, but kept. */
static mr_status keep_event(struct recovery *rec, struct mr__unreadable *run, const uint8_t *begin,
                            size_t len)
{
    mr_status status = mr__unreadable_take(run, begin, len);
    run->dirty = true;
    if (status == MR_OK && run->settled) {
        mr__unreadable_drop(rec->sh, run);
    }
    return status;
}

/* One event of the journal, of the run in `slot`. What a checkpoint already holds is passed over,
 * and so is what is left of runs that ended: their history is elsewhere. */
static mr_status replay_event(struct recovery *rec, struct mr__reader *r, uint32_t slot)
{
    struct mr__scheduler *s = &rec->sh->s;
    struct mr__run *run = mr__run_at(s, slot);
    struct mr__unreadable *unreadable = mr__unreadable_at(rec->sh, slot);
    int64_t last_ms = run != NULL ? run->last_ms : unreadable != NULL ? unreadable->last_ms : 0;
    uint64_t ckpt_lsn = run != NULL ? run->ckpt_lsn : unreadable != NULL ? unreadable->ckpt_lsn : 0;
    const uint8_t *begin = r->at;
    struct mr__event event;
    bool created = mr__reader_left(r) > 0 && (*begin & 0x1f) == MR__EVENT_RUN_CREATED;
    mr_status status = MR_OK;
    if (!mr__event_decode(r, created ? 0 : last_ms, &event)) {
        return MR_EFORMAT;
    }
    size_t len = (size_t)(r->at - begin);
    if ((run != NULL || unreadable != NULL) && rec->entry_lsn <= ckpt_lsn) {
        return MR_OK;
    }
    if (created &&
        (mr__run_find(s, event.id) != NULL || mr__shard_unreadable(rec->sh, event.id) != NULL)) {
        return MR_OK; /* read back from the history since, into another slot */
    }
    if (created) {
        status =
            create_run(rec, slot, (struct mr__blob){(const char *)begin, len}, &run, &unreadable);
    } else if (run == NULL && unreadable == NULL) {
        return MR_OK;
    }
    if (status == MR_OK && run == NULL) {
        return keep_event(rec, unreadable, begin, len);
    }
    if (status == MR_OK) {
        status = mr__replay(s, run, begin, len);
    }
    if (status == MR_OK) {
        if (event.type == MR__EVENT_ATTEMPT_STARTED && rec->entry_lsn >= rec->sh->lsn_opened) {
            run->tasks[event.task].flags |= MR__TASKFLAG_OWN;
        }
        mr__run_touched(s, run, rec->entry_lsn);
        if (run->flags & MR__RUNFLAG_SETTLED) {
            drop_finished(rec, run);
        }
    }
    return status;
}

static mr_status replay_entry(struct recovery *rec)
{
    struct mr__reader r;
    uint32_t count = 0;
    mr__reader_init(&r, rec->entry.data, rec->entry.len);
    for (; mr__reader_left(&r) > 0; count++) {
        uint64_t slot = mr__read_varint(&r);
        mr_status status = slot > MR__RUNS_LIVE_MAX || r.failed
                               ? MR_EFORMAT
                               : replay_event(rec, &r, (uint32_t)slot);
        if (status == MR_EFORMAT) {
            if (rec->reterr != NULL && rec->reterr->status != MR_OK) {
                return status; /* said already, and better */
            }
            return mr__error_set(rec->reterr, status,
                                 "journal entry %llu: event %u does not fit what came before it",
                                 (unsigned long long)rec->entry_lsn, count + 1);
        }
        if (status != MR_OK) {
            return status;
        }
    }
    if (count != rec->entry_events) {
        return mr__error_set(rec->reterr, MR_EFORMAT,
                             "journal entry %llu has %u events instead of %u",
                             (unsigned long long)rec->entry_lsn, count, rec->entry_events);
    }
    return mr__commit_entry_bytes(rec->sh, rec->entry_lsn, rec->entry.len);
}

static mr_status read_journal(struct recovery *rec, struct mr__bytes key, struct mr__bytes value)
{
    uint64_t lsn;
    uint16_t number;
    struct mr__journal_part part;
    mr_status status = mr__journal_part_read(value, &part, rec->reterr);
    if (status != MR_OK) {
        return status;
    }
    if (!mr__key_lsn(key, &lsn, &number)) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "the journal has a key that is none");
    }
    if (rec->last != 0 && lsn != rec->last + 1) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "the journal has a gap: %llu follows %llu",
                             (unsigned long long)lsn, (unsigned long long)rec->last);
    }
    if (number != rec->entry_parts || (number > 0 && lsn != rec->entry_lsn)) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "journal entry %llu: part %u is missing",
                             (unsigned long long)lsn, rec->entry_parts);
    }
    if (rec->last == 0 && number == 0) {
        rec->sh->journal_first = lsn;
    }
    rec->entry_lsn = lsn;
    rec->entry_parts++;
    mr__buf_bytes(&rec->entry, part.events.data, part.events.len);
    rec->entry_events = part.event_count;
    if (rec->entry.failed) {
        return MR_ENOMEM;
    }
    if (!part.last) {
        return MR_OK;
    }
    status = replay_entry(rec);
    rec->last = lsn;
    rec->entry_parts = 0;
    mr__buf_reset(&rec->entry);
    return status;
}

/* ---- the end of the history
 * ---------------------------------------------------------------------- */

static mr_status read_history(struct recovery *rec, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__part part;
    struct mr__finished finished;
    struct mr__place place;
    if (!mr__key_lsn(key, &place.lsn, &place.part)) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "the history has a key that is none");
    }
    if (place.lsn > rec->last) {
        rec->leftover = true; /* of a commit that did not come to its end */
        return MR_OK;
    }
    mr_status status = mr__part_open(value, "a part of the history", &part, rec->reterr);
    while (status == MR_OK && mr__part_next(&part, &finished)) {
        struct mr__event created;
        struct mr__plan *plan;
        struct mr__reader log;
        place.offset = part.run_offset;
        mr__reader_init(&log, finished.log.data, finished.log.len);
        if (!mr__event_decode(&log, 0, &created) || created.type != MR__EVENT_RUN_CREATED) {
            part.r.failed = true;
            break;
        }
        seen(rec, created.id);
        status = find_plan(rec, created.dag.data, created.dag.len, created.version, &plan);
        if (status == MR_OK || status == MR_EDEFINITION) { /* plan: NULL where it does not parse */
            status = mr__archive_add_pending(rec->sh, &finished, &place, plan);
        }
        if (status == MR_OK) {
            status = drop_old_status(rec, created.id, place.lsn);
        }
    }
    if (status == MR_OK && part.r.failed) {
        return mr__error_set(rec->reterr, MR_EFORMAT, "a finished run in the history is damaged");
    }
    return status;
}

/* ---- all of it
 * ----------------------------------------------------------------------------------- */

static mr_status read_number(struct recovery *rec, const struct mr__key *key, const char *what,
                             uint64_t *ret_number, struct mr__buf *ret_bytes)
{
    struct mr__bytes value;
    struct mr__reader r;
    mr_status status = rec->snapshot->ops->get(rec->snapshot, key->bytes, key->len, &value);
    *ret_number = 0;
    if (status == MR_ENOTFOUND) {
        return MR_OK;
    }
    if (status == MR_OK && ret_bytes != NULL) {
        mr__buf_bytes(ret_bytes, value.data, value.len);
        status = ret_bytes->failed ? MR_ENOMEM : MR_OK;
    }
    if (status == MR_OK) {
        status = mr__record_open(value, what, &r, rec->reterr);
    }
    if (status == MR_OK) {
        *ret_number = mr__read_u64le(&r);
    }
    return status;
}

static bool first_run_id(void *user, struct mr__bytes key, struct mr__bytes value)
{
    const uint8_t *id = mr__key_run_id(key);
    if (id != NULL) {
        seen(user, id);
    }
    return false;
}

/* The newest finished run in the index: no id at or below it may be given again. */
static mr_status read_newest(struct recovery *rec)
{
    static const uint8_t from[] = {MR__TABLE_INDEX, 'i'}, to[] = {MR__TABLE_INDEX, 'i' + 1};
    return rec->snapshot->ops->range(rec->snapshot, (struct mr__bytes){from, sizeof from},
                                     (struct mr__bytes){to, sizeof to}, MR__RANGE_REVERSE, 1,
                                     first_run_id, rec);
}

/* Runs that came back from the history, and are unfinished: they have a checkpoint. */
static mr_status drop_old_statuses(struct recovery *rec)
{
    const struct mr__scheduler *s = &rec->sh->s;
    mr_status status = MR_OK;
    for (uint32_t slot = 0; slot < s->runs_cap && status == MR_OK; slot++) {
        const struct mr__run *run = s->runs[slot];
        if (run != NULL && run->has_checkpoint && (run->flags & MR__RUNFLAG_SETTLED) == 0) {
            status = drop_old_status(rec, run->id, UINT64_MAX);
        }
    }
    for (const struct mr__unreadable *run = mr__shard_unreadables(rec->sh);
         run != NULL && status == MR_OK; run = run->next) {
        if (run->has_checkpoint && !run->settled) {
            status = drop_old_status(rec, run->id, UINT64_MAX);
        }
    }
    return status;
}

static mr_status read_all(struct mr__snapshot *snapshot, void *user)
{
    struct recovery *rec = user;
    struct mr__shard *sh = rec->sh;
    struct mr__key key, after;
    rec->snapshot = snapshot;
    mr__buf_reset(&sh->owner_now);
    mr__key_owner(&key, MR__SHARD);
    mr_status status = read_number(rec, &key, "the owner's record", &sh->epoch, &sh->owner_now);
    if (status == MR_OK) {
        mr__key_indexed(&key, MR__SHARD);
        status = read_number(rec, &key, "the index's record", &rec->indexed, NULL);
    }
    if (status == MR_OK) {
        static const uint8_t zero[MR__RUN_ID_BYTES];
        mr__key_live(&key, MR__SHARD, zero);
        after = key;
        after.len -= MR__RUN_ID_BYTES;
        mr__key_after(&after);
        status = walk(rec, key, &after, read_live);
    }
    if (status == MR_OK) {
        status = walk_lsn(rec, MR__TABLE_JOURNAL, 0, read_journal);
    }
    if (status == MR_OK) {
        /* The journal may have been trimmed to nothing: the index never runs ahead of it. */
        rec->last = MR__MAX(rec->last, rec->indexed);
        status = walk_lsn(rec, MR__TABLE_HISTORY, rec->indexed + 1, read_history);
    }
    if (status == MR_OK) {
        status = drop_old_statuses(rec);
    }
    return status == MR_OK ? read_newest(rec) : status;
}

/* Removes what a commit left that did not come to its end. */
static void drop_leftovers(struct recovery *rec)
{
    static const uint8_t tables[] = {MR__TABLE_JOURNAL, MR__TABLE_HISTORY};
    if (!rec->leftover && rec->entry_parts == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof tables; i++) {
        struct mr__key from, to;
        mr__key_journal(&from, MR__SHARD, rec->last + 1, 0);
        mr__key_journal(&to, MR__SHARD, UINT64_MAX, UINT16_MAX);
        from.bytes[0] = to.bytes[0] = tables[i];
        mr__batch_del_range(&rec->sh->filling, from.bytes, from.len, to.bytes, to.len);
    }
}

/* A run that was brought back for a retry which did not become durable: it is finished after all.
 */
static void drop_revived(struct recovery *rec)
{
    struct mr__scheduler *s = &rec->sh->s;
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        struct mr__run *run = s->runs[slot];
        if (run != NULL && (run->flags & MR__RUNFLAG_SETTLED) != 0) {
            drop_finished(rec, run);
        }
    }
}

mr_status mr__recover(struct mr__shard *sh, mr_error *reterr)
{
    mr_error local = {0};
    struct recovery rec = {.sh = sh, .reterr = &local};
    sh->journal_first = 1;
    sh->journal_bytes = 0;
    mr__buf_init(&rec.entry);
    mr_status status = sh->opt.store->ops->read_now(sh->opt.store, read_all, &rec);
    mr__buf_finish(&rec.entry);
    if (status == MR_OK) {
        drop_leftovers(&rec);
        drop_revived(&rec);
        status = mr__unreadable_recovered(sh, rec.last, sh->lsn_opened == UINT64_MAX);
    }
    for (uint32_t slot = 0; slot < sh->s.runs_cap && status == MR_OK; slot++) {
        if (sh->s.runs[slot] != NULL) {
            status = mr__shard_key_add(sh, sh->s.runs[slot]);
        }
    }
    if (status == MR_OK && (sh->s.failed || sh->filling.failed || sh->after.failed)) {
        status = MR_ENOMEM;
    }
    if (status != MR_OK) {
        if (reterr != NULL) {
            *reterr = local;
        }
        return local.status == status
                   ? status
                   : mr__error_set(reterr, status, "the store cannot be read: %s",
                                   mr_status_text(status));
    }
    sh->lsn_durable = rec.last;
    sh->s.lsn = rec.last + 1;
    if (sh->journal_bytes == 0) {
        sh->journal_first = sh->s.lsn;
    }
    sh->epoch++;
    sh->owner_bump = true;
    sh->log_n = sh->epoch << 40;
    mr__id_seen(sh->opt.ids, rec.newest);
    return MR_OK;
}

/* ---- rebuild
 * ------------------------------------------------------------------------------------- */

/* Output that was on its way goes with the next commit. */
static void keep_logs(struct mr__shard *sh, const struct mr__batch *lost, struct mr__batch *kept)
{
    for (size_t i = 0; i < lost->count; i++) {
        const struct mr__op *op = &lost->ops[i];
        const uint8_t *key = lost->bytes.data + op->key;
        if (op->kind == MR__OP_PUT && key[0] == MR__TABLE_LOG) {
            mr__batch_put(kept, key, op->key_len, lost->bytes.data + op->value, op->value_len);
            sh->want_commit = true;
        }
    }
}

static void answer_replies(struct mr__shard *sh, const mr_error *trouble)
{
    size_t count = sh->reply_count;
    for (size_t i = 0; i < count; i++) {
        struct mr__reply reply = *mr__reply_at(sh, 0);
        sh->reply_head = (sh->reply_head + 1) & (sh->reply_cap - 1);
        sh->reply_count--;
        if (reply.is_submit && (mr__run_find(&sh->s, reply.run_id) != NULL ||
                                mr__shard_pending_find(sh, reply.run_id) != NULL)) {
            reply.done(reply.user, MR_OK, NULL, reply.run_id);
        } else {
            reply.done(reply.user, trouble->status, trouble, reply.has_run ? reply.run_id : NULL);
        }
    }
}

static void give_up(struct mr__shard *sh, const mr_error *error)
{
    sh->trouble = *error;
    sh->broken = true;
    answer_replies(sh, error);
    sh->opt.events.broken(sh->opt.events.user, &sh->trouble);
}

/* Which runs were being gone on with. */
static uint8_t (*active_ids(struct mr__shard *sh, size_t *ret_count))[MR__RUN_ID_BYTES]
{
    uint8_t(*ids)[MR__RUN_ID_BYTES] = mr__malloc(sh->s.run_count * MR__RUN_ID_BYTES + 1);
    *ret_count = 0;
    for (uint32_t slot = 0; ids != NULL && slot < sh->s.runs_cap; slot++) {
        const struct mr__run *run = sh->s.runs[slot];
        if (run != NULL && (run->flags & MR__RUNFLAG_DORMANT) == 0) {
            memcpy(ids[(*ret_count)++], run->id, MR__RUN_ID_BYTES);
        }
    }
    return ids;
}

void mr__rebuild(struct mr__shard *sh)
{
    mr_error error = {0};
    size_t count;
    struct mr__batch kept;
    uint8_t(*ids)[MR__RUN_ID_BYTES] = active_ids(sh, &count);
    MR_ASSERT(!sh->committing);
    sh->waiting = false;
    if (ids == NULL) {
        (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
        give_up(sh, &error);
        return;
    }
    mr__batch_init(&kept);
    keep_logs(sh, &sh->flying, &kept);
    keep_logs(sh, &sh->filling, &kept);
    mr__batch_finish(&sh->filling);
    sh->filling = kept;
    mr__batch_reset(&sh->flying);
    mr__batch_reset(&sh->after);
    sh->filling.failed = sh->flying.failed = sh->after.failed = false;
    mr__shares_keep(sh);
    mr__shard_forget_all(sh);
    sh->seq_filling++;
    sh->settled_seq = 0; /* ends that were on their way are decided anew */
    if (mr__recover(sh, &error) != MR_OK) {
        mr__free(ids);
        give_up(sh, &error);
        return;
    }
    mr__shares_give_back(sh);
    answer_replies(sh, &sh->trouble);
    sh->opt.events.rebuilt(sh->opt.events.user);
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    for (size_t i = 0; i < count; i++) {
        struct mr__run *run = mr__run_find(&sh->s, ids[i]);
        if (run != NULL) {
            mr__resume_run(&sh->s, run, mr__shard_fate, sh);
        }
    }
    mr__free(ids);
    mr__shard_count_inherited(sh);
    for (size_t i = 0; i < sh->result_count && !sh->s.failed; i++) {
        struct mr__result *result = mr__result_at(sh, i);
        if (result->lsn == 0 || result->lsn > sh->lsn_durable) { /* else it was written after all */
            mr__shard_feed(sh, result);
        }
    }
}
