/* SPDX-License-Identifier: MIT
 *
 * What the executor says: the ends of attempts, kept until their events are durable, so that they
 * can be fed again; waits; output. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

static struct mr__run *run_of(struct mr__shard *sh, const struct mr__attempt_ref *ref)
{
    struct mr__run *run = mr__run_at(&sh->s, (uint32_t)ref->hint);
    if (run == NULL || memcmp(run->id, ref->run_id, MR__RUN_ID_BYTES) != 0) {
        run = mr__run_find(&sh->s, ref->run_id);
    }
    return run;
}

/* Turns a kept result into events. Its reason and output stay its own. */
void mr__shard_feed(struct mr__shard *sh, struct mr__result *result)
{
    struct mr__run *run = run_of(sh, &result->ref);
    result->lsn = sh->s.lsn;
    if (run == NULL || (run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_SETTLED)) != 0) {
        return;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    if (result->wait_ms >= 0) {
        if (!mr__decide_waiting(&sh->s, run, result->ref.task, result->ref.attempt,
                                result->wait_ms)) {
            result->lsn = sh->lsn_durable;
        }
        return;
    }
    struct mr__ended ended = {
        .task = result->ref.task,
        .attempt = result->ref.attempt,
        .outcome = (enum mr__outcome)result->outcome,
        .reason = {result->reason, result->reason == NULL ? 0 : strlen(result->reason)},
        .output = {result->output, result->output_len},
    };
    if (ended.outcome == MR__OUTCOME_SUCCESS &&
        run->output_bytes + ended.output.len > MR__OUTPUT_BYTES_MAX) {
        static const char over[] = "the outputs of the run are over the limit of 16 MiB";
        ended.outcome = MR__OUTCOME_FAILED;
        ended.reason = (struct mr__blob){over, sizeof over - 1};
    }
    mr__logbook_ended(sh, run, ended.task);
    (void)mr__decide_ended(&sh->s, run, &ended);
}

static struct mr__result *result_push(struct mr__shard *sh, const struct mr__attempt_ref *ref)
{
    if (sh->result_count == sh->result_cap &&
        !mr__ring_grow(&sh->results, &sh->result_head, sh->result_count, &sh->result_cap,
                       sizeof *sh->results)) {
        sh->s.failed = true;
        return NULL;
    }
    struct mr__result *result = mr__result_at(sh, sh->result_count++);
    memset(result, 0, sizeof *result);
    result->ref = *ref;
    result->wait_ms = -1;
    const struct mr__run *run = run_of(sh, ref);
    result->job =
        run != NULL && ref->task < run->plan->dag->task_count && mr__task_is_job(run, ref->task);
    return result;
}

static void on_ended(void *user, const struct mr__attempt_end *end)
{
    struct mr__shard *sh = user;
    struct mr__result *result = result_push(sh, &end->ref);
    if (result == NULL) {
        return;
    }
    result->outcome = (uint8_t)end->outcome;
    if (end->reason != NULL && end->reason[0] != '\0') {
        result->reason = strdup(end->reason);
        sh->s.failed |= result->reason == NULL;
    }
    if (end->output != NULL) {
        result->output = malloc(end->output_len + 1);
        if (result->output == NULL) {
            sh->s.failed = true;
        } else {
            memcpy(result->output, end->output, end->output_len);
            result->output_len = end->output_len;
        }
    }
    if (!sh->waiting && !sh->broken && !sh->s.failed) {
        mr__shard_feed(sh, result);
    }
}

static void on_waiting(void *user, const struct mr__attempt_ref *ref, int64_t ms)
{
    struct mr__shard *sh = user;
    struct mr__result *result = result_push(sh, ref);
    if (result == NULL) {
        return;
    }
    result->wait_ms = ms;
    if (!sh->waiting && !sh->broken && !sh->s.failed) {
        mr__shard_feed(sh, result);
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

struct mr__exec_events mr__shard_exec_events(struct mr__shard *sh)
{
    return (struct mr__exec_events){
        .user = sh, .ended = on_ended, .waiting = on_waiting, .trace = on_trace, .log = on_log};
}
