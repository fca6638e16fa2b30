/* SPDX-License-Identifier: MIT
 *
 * What the executor says: the ends of attempts, kept until their events are durable, so that they
 * can be fed again; waits; output. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

#include <millrace/plugin.h>

#define RESULTS_SPARE 32u /* places that are there before they are needed */

static struct mr__run *run_of(struct mr__shard *sh, const struct mr__attempt_ref *ref)
{
    struct mr__run *run = mr__run_at(&sh->s, (uint32_t)ref->hint);
    if (run == NULL || memcmp(run->id, ref->run_id, MR__RUN_ID_BYTES) != 0) {
        run = mr__run_find(&sh->s, ref->run_id);
    }
    return run;
}

/* The size of what a result adds to its run. */
static size_t result_bytes(const struct mr__result *result)
{
    size_t bytes = result->outcome == MR__OUTCOME_SUCCESS ? result->output_len : 0;
    for (size_t i = 0; i < result->set_count; i++) {
        bytes += result->sets[i].key.len + result->sets[i].json.len;
    }
    return bytes;
}

/* Why a success cannot be kept as one; NULL: it can. */
static const char *refusal_of(const struct mr__run *run, const struct mr__result *result)
{
    if (result->lost) {
        return "out of memory: what the attempt gave could not be kept";
    }
    return run->output_bytes + result_bytes(result) > MR__OUTPUT_BYTES_MAX
               ? "the outputs and share data of the run are over the limit of 16 MiB"
               : NULL;
}

static void feed_ended(struct mr__shard *sh, struct mr__run *run, const struct mr__result *result,
                       const char *refusal)
{
    struct mr__ended ended = {
        .task = result->ref.task,
        .attempt = result->ref.attempt,
        .outcome = (enum mr__outcome)result->outcome,
        .reason = {result->reason, result->reason == NULL ? 0 : strlen(result->reason)},
        .output = {result->output, result->output_len},
    };
    if (refusal != NULL && ended.outcome == MR__OUTCOME_SUCCESS) {
        ended.outcome = MR__OUTCOME_FAILED;
        ended.output = (struct mr__blob){NULL, 0};
        ended.reason = (struct mr__blob){refusal, strlen(refusal)};
    }
    mr__logbook_ended(sh, run, ended.task);
    (void)mr__decide_ended(&sh->s, run, &ended);
}

/* Turns a kept result into events. What it points to stays its own. */
void mr__shard_feed(struct mr__shard *sh, struct mr__result *result)
{
    struct mr__run *run = run_of(sh, &result->ref);
    const struct mr__attempt_ref *ref = &result->ref;
    result->lsn = sh->s.lsn;
    result->shown = 0;
    result->status = MR_ECANCELED; /* whoever flushed is over, and so is what it set */
    if (run == NULL || (run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) != 0 ||
        !mr__attempt_is_current(run, ref->task, ref->attempt)) {
        return;
    }
    sh->s.now_ms = mr__shard_now(sh);
    if (result->set_count > 0 && mr__shard_context(sh, run) == NULL) {
        sh->s.failed = true; /* the run's table must be there before what is not durable is set */
        return;
    }
    const char *refusal = refusal_of(run, result);
    result->status = refusal == NULL ? MR_OK : MR_ELIMIT;
    for (size_t i = 0; i < result->set_count && refusal == NULL; i++) {
        mr__decide_share(&sh->s, run, ref->task, result->sets[i].key, result->sets[i].json);
    }
    switch (result->kind) {
    case MR__RESULT_WAITING:
        if (!mr__decide_waiting(&sh->s, run, ref->task, ref->attempt, result->wait_ms)) {
            result->lsn = sh->lsn_durable;
        }
        break;
    case MR__RESULT_ENDING:
        if (refusal != NULL) { /* it fails, and the executor need not wait for run_after any more */
            feed_ended(sh, run, result, refusal);
            sh->opt.executor->ops->cancel(sh->opt.executor, ref, MR_BY_USER);
        } else {
            (void)mr__decide_ending(&sh->s, run, ref->task, ref->attempt,
                                    (struct mr__blob){result->output, result->output_len});
        }
        break;
    case MR__RESULT_ENDED: feed_ended(sh, run, result, refusal); break;
    default: result->shown = sh->s.durable.tail; break; /* SHARE: its sets are all there is */
    }
}

static char *copy_bytes(char **at, struct mr__blob blob)
{
    char *copy = *at;
    memcpy(copy, blob.data, blob.len);
    *at += blob.len;
    return copy;
}

/* One block: the rows, then the bytes that they point to. */
static bool copy_sets(struct mr__result *result, const struct mr__share_set *sets, size_t count)
{
    size_t bytes = count * sizeof *sets;
    for (size_t i = 0; i < count; i++) {
        bytes += sets[i].key.len + sets[i].json.len;
    }
    if (count == 0) {
        return true;
    }
    result->sets = mr__malloc(bytes);
    if (result->sets == NULL) {
        return false;
    }
    char *at = (char *)(result->sets + count);
    for (size_t i = 0; i < count; i++) {
        result->sets[i] = sets[i];
        result->sets[i].key.data = copy_bytes(&at, sets[i].key);
        if (sets[i].json.data != NULL) {
            result->sets[i].json.data = copy_bytes(&at, sets[i].json);
        }
    }
    result->set_count = count;
    return true;
}

bool mr__results_reserve(struct mr__shard *sh)
{
    return sh->result_cap - sh->result_count > RESULTS_SPARE ||
           mr__ring_grow(&sh->results, &sh->result_head, sh->result_count, &sh->result_cap,
                         sizeof *sh->results);
}

static struct mr__result *result_push(struct mr__shard *sh, const struct mr__attempt_ref *ref,
                                      enum mr__result_kind kind)
{
    const uint32_t kept = MR__ACTION_JOB | MR__ACTION_BEFORE | MR__ACTION_AFTER;
    /* Whoever has told its end does not tell it again: there is room before it is needed. */
    if (!mr__results_reserve(sh) && sh->result_count == sh->result_cap) {
        sh->s.failed = true;
        return NULL;
    }
    struct mr__result *result = mr__result_at(sh, sh->result_count++);
    memset(result, 0, sizeof *result);
    result->ref = *ref;
    result->kind = (uint8_t)kind;
    const struct mr__run *run = run_of(sh, ref);
    result->kept = run != NULL && ref->task < run->task_count &&
                   (mr__run_binding(run, ref->task)->flags & kept) != 0 &&
                   (kind == MR__RESULT_ENDED || kind == MR__RESULT_WAITING);
    return result;
}

static void feed_now(struct mr__shard *sh, struct mr__result *result)
{
    if (!sh->waiting && !sh->broken && !sh->s.failed) {
        mr__shard_feed(sh, result);
    }
}

/* Copies what an end says. What has no memory is lost with all the rest: half of it would be
 * another end than the attempt's. */
static void take_end(struct mr__result *result, const struct mr__attempt_end *end)
{
    result->outcome = (uint8_t)end->outcome;
    if (end->reason != NULL && end->reason[0] != '\0') {
        result->reason = mr__strdup(end->reason); /* A failure without its reason is still one. */
    }
    if (end->output != NULL) {
        result->output = mr__malloc(end->output_len + 1);
        if (result->output == NULL) {
            result->lost = true;
        } else {
            memcpy(result->output, end->output, end->output_len);
            result->output_len = end->output_len;
        }
    }
    result->lost |= !copy_sets(result, end->sets, end->set_count);
}

static void on_ended(void *user, const struct mr__attempt_end *end)
{
    struct mr__shard *sh = user;
    mr__run_progress_del(&sh->progress, &end->ref);
    struct mr__result *result = result_push(sh, &end->ref, MR__RESULT_ENDED);
    if (result != NULL) {
        take_end(result, end);
        feed_now(sh, result);
    }
}

static void on_ending(void *user, const struct mr__attempt_end *end)
{
    struct mr__shard *sh = user;
    struct mr__result *result = result_push(sh, &end->ref, MR__RESULT_ENDING);
    if (result != NULL) {
        take_end(result, end);
        feed_now(sh, result);
    }
}

static void on_waiting(void *user, const struct mr__attempt_ref *ref, int64_t ms)
{
    struct mr__shard *sh = user;
    mr__run_progress_del(&sh->progress, ref);
    struct mr__result *result = result_push(sh, ref, MR__RESULT_WAITING);
    if (result != NULL) {
        result->wait_ms = ms;
        feed_now(sh, result);
    }
}

/* Nothing is kept of it: where it is lost, resume asks again. */
static void on_began(void *user, const struct mr__attempt_ref *ref)
{
    struct mr__shard *sh = user;
    struct mr__run *run = run_of(sh, ref);
    if (run == NULL || sh->waiting || sh->broken || sh->s.failed ||
        (run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) != 0) {
        return;
    }
    sh->s.now_ms = mr__shard_now(sh);
    (void)mr__decide_began(&sh->s, run, ref->task, ref->attempt);
}

static void on_share(void *user, const struct mr__attempt_ref *ref,
                     const struct mr__share_set *sets, size_t count,
                     void (*done)(void *arg, mr_status status), void *arg)
{
    struct mr__shard *sh = user;
    struct mr__result *result =
        sh->closing || sh->broken ? NULL : result_push(sh, ref, MR__RESULT_SHARE);
    if (result == NULL) {
        done(arg, sh->closing || sh->broken ? MR_ECLOSED : MR_ENOMEM);
        return;
    }
    if (!copy_sets(result, sets, count)) {
        sh->result_count--; /* It is the last, and has nothing yet. */
        done(arg, MR_ENOMEM);
        return;
    }
    result->done = done;
    result->arg = arg;
    feed_now(sh, result);
}

void mr__shard_close(struct mr__shard *sh)
{
    sh->closing = true;
    for (size_t i = 0; i < sh->result_count; i++) {
        struct mr__result *result = mr__result_at(sh, i);
        if (result->kind == MR__RESULT_SHARE && result->done != NULL) {
            result->done(result->arg, MR_ECLOSED);
            result->done = NULL;
        }
    }
}

static void on_trace(void *user, const struct mr__attempt_ref *ref, const char *line, size_t len)
{
    struct mr__shard *sh = user;
    struct mr__run *run = run_of(sh, ref);
    if (run != NULL) {
        mr__logbook_add(sh, run, ref, MR__STREAM_TRACE, line, len);
    }
}

static void on_log(void *user, const struct mr__attempt_ref *ref, uint32_t stream,
                   const char *bytes, size_t len)
{
    struct mr__shard *sh = user;
    struct mr__run *run = run_of(sh, ref);
    if (run != NULL) {
        mr__logbook_add(sh, run, ref, (uint8_t)stream, bytes, len);
    }
}

static void on_progress(void *user, const struct mr__attempt_ref *ref, double fraction,
                        const char *note)
{
    struct mr__shard *sh = user;
    const struct mr__run_progress *progress =
        mr__run_progress_put(&sh->progress, ref, fraction, note);
    struct mr__run *run = run_of(sh, ref);
    if (progress != NULL && run != NULL && (run->flags & MR__RUNFLAG_WATCHED) != 0) {
        sh->opt.events.progress(sh->opt.events.user, run, progress);
    }
}

struct mr__exec_events mr__shard_exec_events(struct mr__shard *sh)
{
    return (struct mr__exec_events){.user = sh,
                                    .began = on_began,
                                    .ending = on_ending,
                                    .share = on_share,
                                    .evaluated = mr__scripts_evaluated,
                                    .hooked = mr__scripts_hooked,
                                    .ended = on_ended,
                                    .waiting = on_waiting,
                                    .trace = on_trace,
                                    .log = on_log,
                                    .progress = on_progress};
}
