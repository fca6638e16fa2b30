/* SPDX-License-Identifier: MIT
 *
 * The shard's own fields, and what its files call of each other: shard.c (inputs and effects),
 * commit.c (towards the store), archive.c (finished runs and their index), logbook.c (output and
 * traces), recover.c (from the store). Nobody else includes this.
 */
#ifndef MR__SHARD_IMPL_H
#define MR__SHARD_IMPL_H

#include "core/engine/shard.h"
#include "core/engine/timers.h"

#define MR__SHARD 0 /* embedded mode has one shard */

/* What the executor said, kept until its events are durable. */
enum mr__result_kind {
    MR__RESULT_ENDED,
    MR__RESULT_ENDING,  /* `run` is through, run_after is to come */
    MR__RESULT_WAITING, /* mr_finish_after */
    MR__RESULT_SHARE    /* a flush of share data */
};
struct mr__result {
    struct mr__attempt_ref ref;
    uint64_t lsn;   /* of the commit that holds its events; 0: not fed yet */
    uint64_t shown; /* SHARE: where in s.durable the effects end that show its sets to attempts */
    int64_t wait_ms;
    uint8_t kind, outcome;
    bool kept;             /* the executor keeps its attempt until it is told to forget it */
    bool lost;             /* there was no memory for what the attempt gave: it has failed */
    char *reason, *output; /* owned, or NULL */
    size_t output_len;
    struct mr__share_set *sets; /* owned, with what they point to; or NULL */
    size_t set_count;
    void (*done)(void *arg, mr_status status); /* SHARE */
    void *arg;
    mr_status status; /* that it will be told */
};

/* Hooks that the executor is calling. */
struct mr__hooking {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t mask;
};

/* An evaluation that the executor has; `stale`: nobody waits for its answer any more. */
struct mr__far {
    struct mr__evaluation *evaluation;
    bool stale;
};

/* A reply that waits for an LSN. */
struct mr__reply {
    uint64_t seq; /* of the commit, by hand-over count: also commits without events have one */
    mr__done_fn done;
    void *user;
    uint8_t run_id[MR__RUN_ID_BYTES];
    bool has_run, is_submit;
};

/* What the shard knows of a run beyond the scheduler, made when first needed. */
struct mr__context {
    struct mr__arena arena;
    mr_value vars;
    const char *trigger;     /* "manually", "schedule", "rerun" */
    int64_t scheduled_ms;    /* the nominal time of a scheduled run, or 0 */
    struct mr__share *share; /* what its attempts read: as it is durable */
    char folder[];           /* with its final NUL */
};

/* The share data of a run, kept while memory is read anew: its attempts look at it. */
struct mr__kept_share {
    uint8_t run_id[MR__RUN_ID_BYTES];
    struct mr__share *share; /* one reference */
};

/* A key or token of a live run, or of a finished one that is not indexed yet. */
struct mr__keyrow {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t len;
    char bytes[]; /* the text */
};

/* A version whose stored text does not parse. */
struct mr__refused {
    struct mr__refused *next;
    uint8_t version[MR__VERSION_BYTES];
    char message[];
};

/* The log of one task run while attempts go on. */
struct mr__logbook {
    uint8_t key[MR__RUN_ID_BYTES + 4]; /* run id, task: the key in the table */
    uint32_t attempt, traces;
    bool dirty, ended, dropped;
    uint8_t stream;
    int64_t time_ms;
    struct mr__buf text; /* not yet in the batch */
    uint64_t stored_bytes;
    uint64_t *chunks; /* pairs {n, bytes} of what is stored of this attempt, oldest first */
    size_t chunk_head, chunk_count, chunk_cap;
    struct mr__logbook *next_dirty;
};

struct mr__shard {
    struct mr__shard_options opt;
    struct mr__scheduler s;
    struct mr__timers timers;
    struct mr__hash plans; /* version -> index */
    struct mr__plan **plan_list;
    size_t plan_count, plan_cap;
    struct mr__arena scratch;

    /* towards the store (commit.c) */
    struct mr__batch filling, flying; /* operations beside the journal's own */
    struct mr__batch view;            /* the part of `flying` that the store has now */
    size_t fly_at;                    /* operations of `flying` that are durable */
    size_t fly_ops;                   /* operations in `view` */
    struct mr__batch after;           /* operations that must come after the journal: checkpoints,
                                       * then deletions */
    bool committing;
    uint64_t seq_filling, seq_durable; /* hand-overs */
    uint64_t lsn_flying;               /* 0: the batch has no events */
    uint64_t lsn_durable;
    uint64_t lsn_opened;                      /* the first one of this engine */
    uint64_t effects_flying, effects_durable; /* positions in s.durable */
    uint64_t epoch;
    struct mr__buf owner_now, owner_next; /* the value that guards (empty: none), and the new one */
    struct mr__key guard_key;
    struct mr__guard guard; /* of the write under way */
    bool owner_bump;        /* the next commit takes the epoch */
    bool want_commit;       /* there is something in `filling` that must not wait for events */

    /* the journal's length */
    uint64_t journal_first;
    uint32_t *entry_bytes; /* ring, by lsn - journal_first */
    size_t entry_cap;
    uint64_t journal_bytes;

    /* attempts of an earlier engine */
    bool inherited; /* some may be left, or their ends are not durable yet */
    uint64_t
        settled_seq; /* 0: some are left; else the hand-over that holds the last of their ends */

    /* trouble */
    bool waiting; /* a commit failed: rebuild at retry_at_ms */
    bool broken, closing;
    int64_t retry_at_ms, failing_since_ms;
    mr_error trouble;

    struct mr__reply *replies; /* ring */
    size_t reply_head, reply_count, reply_cap;
    struct mr__result *results; /* ring */
    size_t result_head, result_count, result_cap;

    /* under way in the executor, beside attempts */
    struct mr__hooking *hooking;
    size_t hooking_count, hooking_cap;
    struct mr__far *far;
    size_t far_count, far_cap;
    struct mr__kept_share *kept_shares; /* empty but while memory is read anew */
    size_t kept_count;

    /* one look at the clock does for several effects (mr__shard_now) */
    int64_t turn_ms;
    uint32_t turn_left; /* effects that may still use turn_ms; 0 outside the pump */
    bool pumping;

    /* finished runs (archive.c) */
    struct mr__buf part; /* the history part being filled: a record that has begun */
    uint16_t part_number;
    bool part_open;
    struct mr__pending *pending; /* ring, oldest first */
    size_t pending_head, pending_count, pending_cap, pending_flying;
    struct mr__hash pending_by_id; /* -> absolute position */
    uint64_t pending_base;         /* absolute position of the head */
    uint64_t index_upto;           /* absolute: those before are indexed without waiting */

    /* what cannot be read (unreadable.c) */
    struct mr__refused *refused; /* kept while memory is read anew */
    struct mr__unreadable *unreadable;
    struct mr__hash unreadable_by_id, unreadable_by_slot;

    struct mr__hash keys, tokens; /* text -> struct mr__keyrow * */
    struct mr__hash logbooks;
    struct mr__logbook *dirty;
    struct mr__hash progress; /* of attempts that run: run_progress.h */
    uint64_t log_n;           /* epoch << 40 | counter */
    bool log_timer;

    uint64_t commits, events, bytes;
};

/* ---- shard.c ---- */
void mr__shard_say(struct mr__shard *sh, int32_t level, const char *fmt, ...) MR__PRINTF(3, 4);
void mr__shard_arm(struct mr__shard *sh);
/* Unix time for an event or an attempt that begins. While the pump hands out effects it is looked
 * up for every MR__SHARD_TURN of them: an action that answers at once costs less than a look. */
int64_t mr__shard_now(struct mr__shard *sh);
#define MR__SHARD_TURN 32u
struct mr__context *mr__shard_context(struct mr__shard *sh, struct mr__run *run);
void mr__shard_feed(struct mr__shard *sh, struct mr__result *result);
enum mr__resume_fate mr__shard_fate(void *user, const struct mr__run *run, uint32_t task);
void mr__shard_forget_all(struct mr__shard *sh); /* empties what a rebuild reads anew */
struct mr__result *mr__result_at(struct mr__shard *sh, size_t i);
void mr__result_pop(struct mr__shard *sh);
struct mr__reply *mr__reply_at(struct mr__shard *sh, size_t i);
void mr__reply_push(struct mr__shard *sh, mr__done_fn done, void *user, const uint8_t *run_id,
                    bool is_submit);

void mr__shard_count_inherited(struct mr__shard *sh);
/* Doubles a ring of `size`-byte elements, so that its oldest stands at 0. */
/* Makes room for results that come while there is no memory. False: there is none now. */
bool mr__results_reserve(struct mr__shard *sh);
bool mr__ring_grow(void *ring_pointer, size_t *head, size_t count, size_t *cap, size_t size);

/* ---- shard_keys.c ---- */
mr_status mr__shard_key_add(struct mr__shard *sh, const struct mr__run *run);
mr_status mr__shard_keys_add(struct mr__shard *sh, const struct mr__event *created);
/* The run of this key or token (may be NULL) is in the index: it need not be known here any more.
 */
void mr__shard_key_drop(struct mr__shard *sh, bool token, const char *key, const uint8_t *run_id);
void mr__shard_keys_finish(struct mr__shard *sh);

/* ---- shard_plans.c ---- */
void mr__plan_store(struct mr__shard *sh, struct mr__plan *plan);

/* ---- shard_scripts.c ---- */
void mr__scripts_prepare(struct mr__shard *sh, struct mr__run *run, uint32_t task, unsigned flags);
void mr__scripts_judge(struct mr__shard *sh, struct mr__run *run, uint32_t task);
void mr__scripts_hook(struct mr__shard *sh, struct mr__run *run, uint32_t mask);
void mr__scripts_evaluated(void *user, struct mr__evaluation *evaluation);
void mr__scripts_hooked(void *user, const uint8_t *run_id, uint32_t mask);
/* What a `lua:` task sees of its run: **owned**; NULL: out of memory. */
struct mr__scope_copy *mr__scripts_scope_of(struct mr__shard *sh, struct mr__run *run,
                                            uint32_t task);

/* ---- shard_effects.c ---- */
void mr__context_free(void *context);
/* Before memory is thrown away, and after it was read anew, before anything is fed. */
void mr__shares_keep(struct mr__shard *sh);
void mr__shares_give_back(struct mr__shard *sh);
void mr__effects_now(struct mr__shard *sh, const struct mr__effect *effect);
void mr__effects_durable(struct mr__shard *sh, const struct mr__effect *effect);

/* ---- commit.c ---- */
bool mr__commit_wanted(const struct mr__shard *sh);
void mr__commit_hand_over(struct mr__shard *sh);
/* The journal in the store is entries first ... last, of these bytes each (recovery). */
mr_status mr__commit_entry_bytes(struct mr__shard *sh, uint64_t lsn, size_t bytes);

/* ---- archive.c ---- */
void mr__archive_on_finished(void *user, struct mr__run *run);
mr_status mr__archive_add_pending(struct mr__shard *sh, const struct mr__finished *finished,
                                  const struct mr__place *place, struct mr__plan *plan);
void mr__archive_hand_over(struct mr__shard *sh);
void mr__archive_durable(struct mr__shard *sh);
void mr__archive_reset(struct mr__shard *sh);

/* ---- logbook.c ---- */
void mr__logbook_add(struct mr__shard *sh, struct mr__run *run, const struct mr__attempt_ref *ref,
                     uint8_t stream, const char *bytes, size_t len);
void mr__logbook_ended(struct mr__shard *sh, const struct mr__run *run, uint32_t task);
void mr__logbook_hand_over(struct mr__shard *sh);
void mr__logbook_finish(struct mr__shard *sh);

/* ---- unreadable.c ---- */
struct mr__unreadable *mr__unreadable_at(const struct mr__shard *sh, uint32_t slot);
/* MR_ENOMEM, MR_EFORMAT (slot or id taken). */
mr_status mr__unreadable_add(struct mr__shard *sh, uint32_t slot, const struct mr__event *created,
                             struct mr__unreadable **ret_run);
/* Some more of its events. MR_ENOMEM, MR_EFORMAT. */
mr_status mr__unreadable_take(struct mr__unreadable *run, const uint8_t *events, size_t len);
/* Its end is durable: it goes, with its checkpoint. */
void mr__unreadable_drop(struct mr__shard *sh, struct mr__unreadable *run);
void mr__unreadable_reset(struct mr__shard *sh);
/* All was read, up to `lsn`: which slots are free; checkpoints, keys; `first`: a word about them.
 */
mr_status mr__unreadable_recovered(struct mr__shard *sh, uint64_t lsn, bool first);

/* ---- recover.c ---- */
mr_status mr__recover(struct mr__shard *sh, mr_error *reterr);
void mr__rebuild(struct mr__shard *sh);

#endif
