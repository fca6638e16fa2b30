/* SPDX-License-Identifier: MIT
 *
 * The shard's life, its pump, and its timers. The pump is where everything meets: effects that are
 * due, replies whose commit is durable, the next hand-over. Loop thread.
 */
#include "core/engine/shard_impl.h"
#include "core/exec/share.h"

#include <stdio.h>
#include <stdlib.h>

#define LOG_DELAY_MS 100 /* output alone waits this long for a commit to go with */
#define TIMER_LOG    100 /* a kind of timer beside enum mr__timer_kind */

/* ---- life --------------------------------------------------------------------------------------
 */

struct mr__shard *mr__shard_create(void)
{
    return mr__calloc(1, sizeof(struct mr__shard));
}

static void scheduler_begin(struct mr__shard *sh)
{
    mr__scheduler_init(&sh->s, sh->opt.jobs);
    sh->s.on_finished = mr__archive_on_finished;
    sh->s.free_context = mr__context_free;
    sh->s.user = sh;
    sh->s.hooks = sh->opt.hooks;
}

mr_status mr__shard_open(struct mr__shard *sh, const struct mr__shard_options *options,
                         mr_error *reterr)
{
    sh->opt = *options;
    if (sh->opt.journal_bytes_keep == 0) {
        sh->opt.journal_bytes_keep = MR__JOURNAL_BYTES_KEEP;
    }
    if (sh->opt.index_runs_pending == 0) {
        sh->opt.index_runs_pending = MR__INDEX_RUNS_PENDING;
    }
    scheduler_begin(sh);
    mr__arena_init(&sh->scratch);
    mr__batch_init(&sh->filling);
    mr__batch_init(&sh->flying);
    mr__batch_init(&sh->after);
    sh->inherited = true;
    sh->seq_filling = 1; /* 0 is what is durable */
    sh->lsn_opened = UINT64_MAX;
    mr_status status = mr__results_reserve(sh) ? mr__recover(sh, reterr)
                                               : mr__error_set(reterr, MR_ENOMEM, "out of memory");
    if (status == MR_OK) {
        sh->lsn_opened = sh->s.lsn;
        mr__shard_count_inherited(sh);
    }
    return status;
}

/* Looks whether a dormant run still has an attempt of an earlier engine. */
void mr__shard_count_inherited(struct mr__shard *sh)
{
    for (uint32_t slot = 0; slot < sh->s.runs_cap; slot++) {
        const struct mr__run *run = sh->s.runs[slot];
        if (run != NULL && (run->flags & MR__RUNFLAG_DORMANT) != 0 && mr__run_begun(run) > 0) {
            return;
        }
    }
    sh->settled_seq = sh->seq_filling;
}

/* The executor may forget what it inherited once the ends of all of it are durable. */
static void inherited_durable(struct mr__shard *sh)
{
    if (!sh->inherited || sh->settled_seq == 0 ||
        (sh->settled_seq > sh->seq_durable && !mr__shard_quiet(sh))) {
        return;
    }
    sh->inherited = false;
    if (sh->opt.executor->ops->settled != NULL) {
        sh->opt.executor->ops->settled(sh->opt.executor);
    }
}

/* Empties everything that is read anew from the store. */
void mr__shard_forget_all(struct mr__shard *sh)
{
    mr__scheduler_finish(&sh->s);
    scheduler_begin(sh);
    sh->timers.count = 0;
    sh->log_timer = false;
    mr__archive_reset(sh);
    mr__shard_keys_finish(sh);
    mr__unreadable_reset(sh);
    for (size_t i = 0; i < sh->plan_count; i++) {
        sh->plan_list[i]->stored = false;
    }
    sh->effects_durable = sh->effects_flying = 0;
}

void mr__shard_destroy(struct mr__shard *sh)
{
    if (sh == NULL) {
        return;
    }
    sh->closing = true;
    mr_error error;
    (void)mr__error_set(&error, MR_ECLOSED, "the engine is closing");
    while (sh->reply_count > 0) {
        struct mr__reply reply = *mr__reply_at(sh, 0);
        sh->reply_head = (sh->reply_head + 1) & (sh->reply_cap - 1);
        sh->reply_count--;
        reply.done(reply.user, MR_ECLOSED, &error, reply.has_run ? reply.run_id : NULL);
    }
    mr__shard_forget_all(sh);
    mr__scheduler_finish(&sh->s);
    while (sh->result_count > 0) {
        mr__result_pop(sh);
    }
    mr__logbook_finish(sh);
    mr__run_progress_finish(&sh->progress);
    for (size_t i = 0; i < sh->plan_count; i++) {
        mr__plan_unref(sh->plan_list[i]);
    }
    mr__free(sh->plan_list);
    mr__hash_finish(&sh->plans);
    mr__timers_finish(&sh->timers);
    mr__batch_finish(&sh->filling);
    mr__batch_finish(&sh->flying);
    mr__batch_finish(&sh->after);
    mr__buf_finish(&sh->part);
    mr__buf_finish(&sh->owner_now);
    mr__buf_finish(&sh->owner_next);
    mr__arena_finish(&sh->scratch);
    mr__free(sh->pending);
    mr__free(sh->entry_bytes);
    mr__free(sh->replies);
    mr__free(sh->results);
    mr__free(sh->hooking);
    mr__free(sh->far);
    while (sh->kept_count > 0) {
        mr__share_unref(sh->kept_shares[--sh->kept_count].share);
    }
    mr__free(sh->kept_shares);
    while (sh->refused != NULL) {
        struct mr__refused *refused = sh->refused;
        sh->refused = refused->next;
        mr__free(refused);
    }
    mr__free(sh);
}

void mr__shard_say(struct mr__shard *sh, int32_t level, const char *fmt, ...)
{
    char line[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (sh->opt.events.say != NULL) {
        sh->opt.events.say(sh->opt.events.user, level, line);
    }
}

/* ---- rings -------------------------------------------------------------------------------------
 */

struct mr__reply *mr__reply_at(struct mr__shard *sh, size_t i)
{
    return &sh->replies[(sh->reply_head + i) & (sh->reply_cap - 1)];
}

struct mr__result *mr__result_at(struct mr__shard *sh, size_t i)
{
    return &sh->results[(sh->result_head + i) & (sh->result_cap - 1)];
}

void mr__result_pop(struct mr__shard *sh)
{
    struct mr__result *result = mr__result_at(sh, 0);
    mr__free(result->reason);
    mr__free(result->output);
    mr__free(result->sets);
    sh->result_head = (sh->result_head + 1) & (sh->result_cap - 1);
    sh->result_count--;
}

bool mr__ring_grow(void *ring_pointer, size_t *head, size_t count, size_t *cap, size_t size)
{
    char **ring = ring_pointer;
    size_t bigger = *cap == 0 ? 64 : *cap * 2;
    char *to = mr__malloc(bigger * size);
    if (to == NULL) {
        return false;
    }
    size_t first = MR__MIN(count, *cap - *head);
    if (count > 0) {
        memcpy(to, *ring + *head * size, first * size);
        memcpy(to + first * size, *ring, (count - first) * size);
    }
    mr__free(*ring);
    *ring = to;
    *head = 0;
    *cap = bigger;
    return true;
}

void mr__reply_push(struct mr__shard *sh, mr__done_fn done, void *user, const uint8_t *run_id,
                    bool is_submit)
{
    if (sh->reply_count == sh->reply_cap &&
        !mr__ring_grow(&sh->replies, &sh->reply_head, sh->reply_count, &sh->reply_cap,
                       sizeof *sh->replies)) {
        mr_error error;
        (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
        done(user, MR_ENOMEM, &error, NULL);
        return;
    }
    struct mr__reply *reply = mr__reply_at(sh, sh->reply_count++);
    *reply = (struct mr__reply){
        .seq = sh->seq_filling, .done = done, .user = user, .is_submit = is_submit};
    if (run_id != NULL) {
        reply->has_run = true;
        memcpy(reply->run_id, run_id, MR__RUN_ID_BYTES);
    }
}

/* ---- pump and timers ---------------------------------------------------------------------------
 */

/* A flush is answered once its attempt can read what it has set where all others do, too. */
static void results_durable(struct mr__shard *sh)
{
    while (sh->result_count > 0) {
        const struct mr__result *result = mr__result_at(sh, 0);
        if (result->lsn == 0 || result->lsn > sh->lsn_durable ||
            result->shown > sh->s.durable.head) {
            return;
        }
        struct mr__result told = *result;
        if (told.kept) {
            sh->opt.executor->ops->forget(sh->opt.executor, &told.ref);
        }
        mr__result_pop(sh);
        if (told.done != NULL) {
            told.done(told.arg, told.status);
        }
    }
}

static void replies_durable(struct mr__shard *sh)
{
    /* A reply about something that made no event waits for nothing once all is quiet. */
    while (sh->reply_count > 0 &&
           (mr__reply_at(sh, 0)->seq <= sh->seq_durable || mr__shard_quiet(sh))) {
        struct mr__reply reply = *mr__reply_at(sh, 0);
        sh->reply_head = (sh->reply_head + 1) & (sh->reply_cap - 1);
        sh->reply_count--;
        reply.done(reply.user, MR_OK, NULL, reply.has_run ? reply.run_id : NULL);
    }
}

int64_t mr__shard_now(struct mr__shard *sh)
{
    if (sh->turn_left == 0) {
        sh->turn_ms = sh->opt.clock->wall_ms(sh->opt.clock);
        sh->turn_left = sh->pumping ? MR__SHARD_TURN : 0;
    }
    return sh->turn_ms;
}

bool mr__shard_quiet(const struct mr__shard *sh)
{
    return !sh->committing && !sh->waiting && !mr__commit_wanted(sh);
}

static void pump(struct mr__shard *sh)
{
    struct mr__effect effect;
    while (!sh->waiting && !sh->broken) {
        bool worked = false;
        if (sh->s.failed) {
            if (sh->committing) {
                return; /* the batch is the store's until it answers */
            }
            (void)mr__error_set(&sh->trouble, MR_ENOMEM, "out of memory");
            mr__rebuild(sh);
            continue;
        }
        if (!sh->committing && sh->s.event_count == 0 && !sh->owner_bump) {
            sh->effects_durable = sh->s.durable.tail; /* nothing that they could wait for */
        }
        results_durable(sh);
        replies_durable(sh);
        inherited_durable(sh);
        while (mr__effect_pop(&sh->s.now, &effect)) {
            mr__effects_now(sh, &effect);
            worked = true;
        }
        while (sh->s.durable.head < sh->effects_durable && !sh->s.failed &&
               (sh->committing || sh->s.events.len < MR__HAND_OVER_BYTES) &&
               mr__effect_pop(&sh->s.durable, &effect)) {
            mr__effects_durable(sh, &effect);
            sh->turn_left -= sh->turn_left > 0;
            worked = true;
            if (sh->waiting || sh->broken) {
                return;
            }
        }
        if (sh->s.failed || sh->s.now.head != sh->s.now.tail) {
            continue;
        }
        if (!sh->committing && mr__commit_wanted(sh)) {
            mr__commit_hand_over(sh);
            continue;
        }
        if (!worked) {
            break;
        }
    }
}

void mr__shard_pump(struct mr__shard *sh)
{
    sh->pumping = true;
    pump(sh);
    sh->pumping = false;
    sh->turn_left = 0;
    mr__shard_arm(sh);
}

/* Tells the loop when to call mr__shard_timer. */
void mr__shard_arm(struct mr__shard *sh)
{
    int64_t due = sh->waiting ? sh->retry_at_ms : mr__timers_next(&sh->timers);
    if (sh->opt.events.arm != NULL) {
        sh->opt.events.arm(sh->opt.events.user, sh->broken ? INT64_MAX : due);
    }
    if (sh->dirty != NULL && !sh->log_timer) {
        struct mr__timer timer = {
            .due_ms = sh->opt.clock->monotonic_ms(sh->opt.clock) + LOG_DELAY_MS, .kind = TIMER_LOG};
        sh->log_timer = mr__timers_push(&sh->timers, &timer) == MR_OK;
        if (sh->log_timer && !sh->waiting) {
            sh->opt.events.arm(sh->opt.events.user, mr__timers_next(&sh->timers));
        }
    }
}

void mr__shard_timer(struct mr__shard *sh)
{
    struct mr__timer timer;
    int64_t now = sh->opt.clock->monotonic_ms(sh->opt.clock);
    if (sh->waiting && now >= sh->retry_at_ms) {
        mr__rebuild(sh);
    }
    while (!sh->waiting && !sh->broken && mr__timers_pop(&sh->timers, now, &timer)) {
        if (timer.kind == TIMER_LOG) {
            sh->log_timer = false;
            mr__logbook_hand_over(sh);
            sh->want_commit = true;
            continue;
        }
        struct mr__run *run = mr__run_at(&sh->s, timer.slot);
        if (run == NULL || run->gen != timer.gen) {
            continue;
        }
        sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
        if (timer.kind == MR__TIMER_RUN && timer.attempt != (uint32_t)run->timed_from_ms) {
            continue; /* of before it was reopened */
        }
        mr__decide_timer(&sh->s, run, (enum mr__timer_kind)timer.kind, timer.task, timer.attempt);
    }
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct mr__scheduler *mr__shard_state(struct mr__shard *sh)
{
    return &sh->s;
}

struct mr__run *mr__shard_find(struct mr__shard *sh, const uint8_t *run_id)
{
    return mr__run_find(&sh->s, run_id);
}

bool mr__shard_full(struct mr__shard *sh)
{
    return sh->opt.store->ops->nearly_full(sh->opt.store);
}

const struct mr__hash *mr__shard_progress(const struct mr__shard *sh)
{
    return &sh->progress;
}

void mr__shard_stats(const struct mr__shard *sh, struct mr__shard_stats *ret_stats)
{
    *ret_stats = (struct mr__shard_stats){
        .journal_first = sh->journal_first,
        .journal_last = sh->lsn_durable,
        .journal_bytes = sh->journal_bytes,
        .commits = sh->commits,
        .events = sh->events,
        .bytes = sh->bytes,
        .index_pending = sh->pending_count,
    };
}
