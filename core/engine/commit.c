/* SPDX-License-Identifier: MIT
 *
 * Towards the store: everything since the last hand-over becomes one commit, in an order that may
 * be cut anywhere. First what nobody looks at before the journal names it (definitions, history,
 * index, logs), then the journal entry, whose last part makes it valid, then what is true only
 * afterwards (checkpoints, deletions, trimming). A store with small limits gets it in several
 * writes; a crash between two of them leaves either nothing or all. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

static void fly(struct mr__shard *sh);
static void fly_on_commit(void *user, mr_status status, const mr_error *error);

/* Nothing is done for the first time before this owner's epoch is durable, also where a resume asks
 * for no event: what attempts get to tell them apart from earlier ones is made of it. */
bool mr__commit_wanted(const struct mr__shard *sh)
{
    bool waits_for_epoch = sh->owner_bump && sh->s.durable.head != sh->s.durable.tail;
    return sh->s.event_count > 0 || sh->want_commit || waits_for_epoch;
}

/* ---- the journal -------------------------------------------------------------------------------
 */

mr_status mr__commit_entry_bytes(struct mr__shard *sh, uint64_t lsn, size_t bytes)
{
    size_t count = (size_t)(lsn - sh->journal_first) + 1;
    if (count > sh->entry_cap) {
        size_t cap = sh->entry_cap == 0 ? 64 : sh->entry_cap * 2;
        uint32_t *ring = mr__malloc(cap * sizeof *ring);
        if (ring == NULL) {
            return MR_ENOMEM;
        }
        for (uint64_t l = sh->journal_first; l < lsn; l++) {
            ring[l & (cap - 1)] = sh->entry_bytes[l & (sh->entry_cap - 1)];
        }
        mr__free(sh->entry_bytes);
        sh->entry_bytes = ring;
        sh->entry_cap = cap;
    }
    sh->entry_bytes[lsn & (sh->entry_cap - 1)] = (uint32_t)MR__MIN(bytes, UINT32_MAX);
    sh->journal_bytes += bytes;
    return MR_OK;
}

/* Where a part of events may be cut: anywhere, since parts are joined before they are read. */
static void add_journal(struct mr__shard *sh)
{
    size_t part_max =
        MR__MIN((size_t)MR__JOURNAL_PART_BYTES_MAX, sh->opt.store->limits.value_max / 2 + 1);
    size_t at = 0, len = sh->s.events.len;
    struct mr__buf value;
    mr__buf_init(&value);
    for (uint16_t number = 0; at < len; number++) {
        struct mr__key key;
        size_t bytes = MR__MIN(part_max, len - at);
        struct mr__journal_part part = {
            .last = at + bytes == len,
            .event_count = sh->s.event_count,
            .events = {(const char *)sh->s.events.data + at, bytes},
        };
        MR_ASSERT(number < UINT16_MAX);
        mr__buf_reset(&value);
        mr__journal_part_write(&value, &part);
        mr__key_journal(&key, MR__SHARD, sh->s.lsn, number);
        mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
        sh->s.failed |= value.failed;
        at += bytes;
    }
    mr__buf_finish(&value);
    sh->s.failed |= mr__commit_entry_bytes(sh, sh->s.lsn, len) != MR_OK;
}

/* ---- checkpoints and trimming -------------------------------------------------------------------
 */

static void add_checkpoint(struct mr__shard *sh, struct mr__run *run, struct mr__buf *value)
{
    struct mr__key key;
    struct mr__live live = {
        /* A commit without events leaves its LSN to the next one, whose events are not in this. */
        .lsn = sh->lsn_flying != 0 ? sh->lsn_flying : sh->s.lsn - 1,
        .slot = run->slot,
        .log = {(const char *)run->log.data, run->log.len},
    };
    mr__buf_reset(value);
    mr__live_write(value, &live);
    mr__key_live(&key, MR__SHARD, run->id);
    mr__batch_put(&sh->after, key.bytes, key.len, value->data, value->len);
    sh->s.failed |= value->failed;
    run->has_checkpoint = true;
    run->ckpt_lsn = live.lsn;
    mr__run_checkpointed(&sh->s, run);
}

/* While the journal is too long, the runs that hold its oldest entries get checkpoints: some in
 * each commit, so that no commit is held up for long. */
static void add_checkpoints(struct mr__shard *sh)
{
    struct mr__buf value;
    size_t bytes = 0;
    mr__buf_init(&value);
    while (sh->journal_bytes > sh->opt.journal_bytes_keep && sh->s.ckpt_head != NULL &&
           bytes < MR__CHECKPOINT_BYTES_STEP && sh->s.ckpt_head->oldest_lsn < sh->s.lsn) {
        struct mr__run *run = sh->s.ckpt_head;
        bytes += run->log.len + 64;
        add_checkpoint(sh, run, &value);
    }
    mr__buf_finish(&value);
}

/* Entries older than every event that is in no checkpoint may go. */
static void add_trim(struct mr__shard *sh)
{
    struct mr__key from, to;
    uint64_t upto = sh->s.ckpt_head == NULL ? sh->s.lsn : sh->s.ckpt_head->oldest_lsn;
    upto = MR__MIN(upto, sh->lsn_durable); /* the last one stays: it says how far the journal got */
    upto = MR__MIN(upto, sh->journal_first + MR__TRIM_ENTRIES_STEP);
    if (upto <= sh->journal_first) {
        return;
    }
    mr__key_journal(&from, MR__SHARD, sh->journal_first, 0);
    mr__key_journal(&to, MR__SHARD, upto, 0);
    mr__batch_del_range(&sh->after, from.bytes, from.len, to.bytes, to.len);
    for (; sh->journal_first < upto; sh->journal_first++) {
        sh->journal_bytes -= sh->entry_bytes[sh->journal_first & (sh->entry_cap - 1)];
    }
}

/* ---- hand-over ----------------------------------------------------------------------------------
 */

/* The new epoch stands in front of everything: the next write is guarded by it already. */
static void add_owner(struct mr__shard *sh)
{
    struct mr__key key;
    struct mr__batch rest = sh->filling;
    if (!sh->owner_bump) {
        return;
    }
    mr__buf_reset(&sh->owner_next);
    size_t begin = mr__record_begin(&sh->owner_next);
    mr__buf_u64le(&sh->owner_next, sh->epoch);
    mr__record_end(&sh->owner_next, begin);
    mr__key_owner(&key, MR__SHARD);
    mr__batch_init(&sh->filling);
    mr__batch_put(&sh->filling, key.bytes, key.len, sh->owner_next.data, sh->owner_next.len);
    mr__batch_append(&sh->filling, &rest, 0, rest.count);
    sh->s.failed |= sh->owner_next.failed || rest.failed;
    mr__batch_finish(&rest);
}

void mr__commit_hand_over(struct mr__shard *sh)
{
    MR_ASSERT(!sh->committing);
    add_owner(sh);
    mr__logbook_hand_over(sh);
    mr__archive_hand_over(sh);
    sh->lsn_flying = 0;
    if (sh->s.event_count > 0) {
        add_journal(sh);
        sh->lsn_flying = sh->s.lsn;
        sh->events += sh->s.event_count;
    }
    add_checkpoints(sh);
    add_trim(sh);
    mr__batch_append(&sh->filling, &sh->after, 0, sh->after.count);
    if (sh->filling.failed || sh->after.failed || sh->s.failed) {
        sh->s.failed = true; /* nothing was handed over: the pump reads the store anew */
        return;
    }
    struct mr__batch batch = sh->flying;
    sh->flying = sh->filling;
    sh->filling = batch;
    mr__batch_reset(&sh->filling);
    mr__batch_reset(&sh->after);
    mr__buf_reset(&sh->s.events);
    sh->s.event_count = 0;
    sh->s.lsn += sh->lsn_flying != 0;
    sh->effects_flying = sh->s.durable.tail;
    sh->seq_filling++;
    sh->bytes += sh->flying.bytes.len;
    sh->want_commit = false;
    sh->committing = true;
    sh->fly_at = 0;
    fly(sh);
}

/* Gives the store as many of the operations as it takes in one write. */
static void fly(struct mr__shard *sh)
{
    const struct mr__store_limits *limits = &sh->opt.store->limits;
    size_t bytes = 0, n = 0, left = sh->flying.count - sh->fly_at;
    for (; n < left; n++) {
        const struct mr__op *op = &sh->flying.ops[sh->fly_at + n];
        size_t more = op->key_len + op->value_len;
        if (n > 0 && ((limits->ops_max > 0 && n == limits->ops_max) ||
                      (limits->bytes_max > 0 && bytes + more > limits->bytes_max))) {
            break;
        }
        bytes += more;
    }
    sh->view = sh->flying;
    sh->view.ops += sh->fly_at;
    sh->view.count = sh->fly_ops = n;
    mr__key_owner(&sh->guard_key, MR__SHARD);
    sh->guard = (struct mr__guard){{sh->guard_key.bytes, sh->guard_key.len},
                                   {sh->owner_now.data, sh->owner_now.len}};
    if (sh->owner_now.len == 0) {
        sh->guard.key.len = 0; /* a new store: nobody owned it before */
    }
    sh->opt.store->ops->commit(sh->opt.store, &sh->view, &sh->guard, fly_on_commit, sh);
}

static void fly_failed(struct mr__shard *sh, mr_status status, const mr_error *error)
{
    int64_t now = sh->opt.clock->monotonic_ms(sh->opt.clock);
    sh->trouble = *error;
    sh->trouble.status = status;
    if (sh->failing_since_ms == 0) {
        sh->failing_since_ms = now;
        mr__shard_say(sh, status == MR_EUNKNOWN ? 1 : 0, "the store cannot be written: %s",
                      error->message);
    }
    if (status == MR_ECONFLICT || now - sh->failing_since_ms > MR__STORE_RETRY_MAX_MS) {
        sh->broken = true;
        sh->opt.events.broken(sh->opt.events.user, &sh->trouble);
        return;
    }
    sh->waiting = true;
    sh->retry_at_ms = status == MR_EUNKNOWN ? now : now + MR__STORE_RETRY_MS;
    mr__shard_arm(sh);
}

static void fly_on_commit(void *user, mr_status status, const mr_error *error)
{
    struct mr__shard *sh = user;
    if (status != MR_OK) {
        mr_error unknown;
        sh->committing = false;
        if (error == NULL) {
            (void)mr__error_set(&unknown, status, "%s", mr_status_text(status));
            error = &unknown;
        }
        fly_failed(sh, status, error);
        return;
    }
    if (sh->owner_bump) {
        /* The first write of a commit has the new epoch in it. */
        struct mr__buf next = sh->owner_next;
        sh->owner_next = sh->owner_now;
        sh->owner_now = next;
        sh->owner_bump = false;
    }
    sh->fly_at += sh->fly_ops;
    if (sh->fly_at < sh->flying.count) {
        fly(sh);
        return;
    }
    sh->committing = false;
    sh->commits++;
    if (sh->failing_since_ms != 0) {
        mr__shard_say(sh, 2, "the store can be written again");
        sh->failing_since_ms = 0;
    }
    sh->lsn_durable = MR__MAX(sh->lsn_durable, sh->lsn_flying);
    sh->seq_durable = sh->seq_filling - 1;
    sh->effects_durable = sh->effects_flying;
    mr__archive_durable(sh);
}
