/* SPDX-License-Identifier: MIT
 *
 * The shard's inputs and effects: what callers and the executor say becomes events, and what events
 * ask for is done when they are durable. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include <millrace/plugin.h>

#define LOG_DELAY_MS 100 /* output alone waits this long for a commit to go with */
#define TIMER_LOG    100 /* a kind of timer beside enum mr__timer_kind */

/* ---- life -------------------------------------------------------------------------------------- */

static struct mr__action_binding bind_action(void *user, const char *name)
{
    struct mr__executor *x = user;
    return x->ops->bind(x, name);
}

static void context_free(void *context)
{
    mr__arena_finish(&((struct mr__context *)context)->arena);
    free(context);
}

struct mr__shard *mr__shard_create(void)
{
    return calloc(1, sizeof(struct mr__shard));
}

static void scheduler_begin(struct mr__shard *sh)
{
    mr__scheduler_init(&sh->s, sh->opt.jobs);
    sh->s.on_finished = mr__archive_on_finished;
    sh->s.free_context = context_free;
    sh->s.user = sh;
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
    mr_status status = mr__recover(sh, reterr);
    if (status == MR_OK) {
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
    for (size_t i = 0; i < sh->keys.cap; i++) {
        if (sh->keys.rows[i].key != NULL) {
            free((void *)(uintptr_t)sh->keys.rows[i].number);
        }
    }
    mr__hash_finish(&sh->keys);
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
    for (size_t i = 0; i < sh->plan_count; i++) {
        mr__plan_unref(sh->plan_list[i]);
    }
    free(sh->plan_list);
    mr__hash_finish(&sh->plans);
    mr__timers_finish(&sh->timers);
    mr__batch_finish(&sh->filling);
    mr__batch_finish(&sh->flying);
    mr__batch_finish(&sh->after);
    mr__buf_finish(&sh->part);
    mr__buf_finish(&sh->owner_now);
    mr__buf_finish(&sh->owner_next);
    mr__arena_finish(&sh->scratch);
    free(sh->pending);
    free(sh->entry_bytes);
    free(sh->replies);
    free(sh->results);
    free(sh);
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

/* ---- plans ------------------------------------------------------------------------------------- */

#define PLANS_KEPT 64u /* unused plans beyond this many are freed */

static void plans_trim(struct mr__shard *sh)
{
    size_t unused = 0;
    for (size_t i = 0; i < sh->plan_count; i++) {
        unused += sh->plan_list[i]->refs == 1;
    }
    for (size_t i = 0; i < sh->plan_count && unused > PLANS_KEPT;) {
        struct mr__plan *plan = sh->plan_list[i];
        if (plan->refs > 1) {
            i++;
            continue;
        }
        (void)mr__hash_del(&sh->plans, plan->dag->version, MR__VERSION_BYTES);
        sh->plan_list[i] = sh->plan_list[--sh->plan_count];
        if (i < sh->plan_count) {
            const uint8_t *version = sh->plan_list[i]->dag->version;
            MR_ASSERT(mr__hash_put(&sh->plans, version, MR__VERSION_BYTES, i) == MR_OK);
        }
        mr__plan_unref(plan);
        unused--;
    }
}

struct mr__plan *mr__shard_plan(struct mr__shard *sh, const uint8_t *version)
{
    uint64_t i;
    return mr__hash_get(&sh->plans, version, MR__VERSION_BYTES, &i) ? sh->plan_list[i] : NULL;
}

mr_status mr__shard_plan_add(struct mr__shard *sh, struct mr__dag *dag, struct mr__plan **ret_plan)
{
    struct mr__plan *plan = mr__shard_plan(sh, dag->version);
    if (plan != NULL) {
        mr__dag_unref(dag);
        *ret_plan = plan;
        return MR_OK;
    }
    plans_trim(sh);
    if (sh->plan_count == sh->plan_cap) {
        size_t cap = sh->plan_cap == 0 ? 16 : sh->plan_cap * 2;
        struct mr__plan **list = realloc(sh->plan_list, cap * sizeof *list);
        if (list == NULL) {
            mr__dag_unref(dag);
            return MR_ENOMEM;
        }
        sh->plan_list = list;
        sh->plan_cap = cap;
    }
    mr_status status = mr__plan_create(dag, bind_action, sh->opt.executor, &plan);
    if (status != MR_OK) {
        mr__dag_unref(dag);
        return status;
    }
    status = mr__hash_put(&sh->plans, dag->version, MR__VERSION_BYTES, sh->plan_count);
    if (status != MR_OK) {
        mr__plan_unref(plan);
        return status;
    }
    sh->plan_list[sh->plan_count++] = plan;
    *ret_plan = plan;
    return MR_OK;
}

/* The definition goes to the store with the run that uses it. */
static void plan_store(struct mr__shard *sh, struct mr__plan *plan)
{
    const struct mr__dag *dag = plan->dag;
    if (plan->stored) {
        return;
    }
    struct mr__key key;
    struct mr__buf value;
    struct mr__definition definition = {
        .file = {dag->file, strlen(dag->file)},
        .default_id = {dag->id, strlen(dag->id)},
        .text = {dag->text, dag->text_len},
    };
    mr__buf_init(&value);
    mr__key_definition(&key, dag->id, dag->version);
    mr__definition_write(&value, &definition);
    mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
    sh->s.failed |= value.failed;
    mr__buf_finish(&value);
    plan->stored = true;
}

/* ---- rings ------------------------------------------------------------------------------------- */

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
    free(result->reason);
    free(result->output);
    sh->result_head = (sh->result_head + 1) & (sh->result_cap - 1);
    sh->result_count--;
}

/* Doubles a ring of `size`-byte elements, so that its oldest stands at 0. */
static bool ring_grow(void *ring_pointer, size_t *head, size_t count, size_t *cap, size_t size)
{
    char **ring = ring_pointer;
    size_t bigger = *cap == 0 ? 64 : *cap * 2;
    char *to = malloc(bigger * size);
    if (to == NULL) {
        return false;
    }
    size_t first = MR__MIN(count, *cap - *head);
    if (count > 0) {
        memcpy(to, *ring + *head * size, first * size);
        memcpy(to + first * size, *ring, (count - first) * size);
    }
    free(*ring);
    *ring = to;
    *head = 0;
    *cap = bigger;
    return true;
}

void mr__reply_push(struct mr__shard *sh, mr__done_fn done, void *user, const uint8_t *run_id,
                    bool is_submit)
{
    if (sh->reply_count == sh->reply_cap &&
        !ring_grow(&sh->replies, &sh->reply_head, sh->reply_count, &sh->reply_cap,
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

/* ---- what the executor says -------------------------------------------------------------------- */

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
        !ring_grow(&sh->results, &sh->result_head, sh->result_count, &sh->result_cap,
                   sizeof *sh->results)) {
        sh->s.failed = true;
        return NULL;
    }
    struct mr__result *result = mr__result_at(sh, sh->result_count++);
    memset(result, 0, sizeof *result);
    result->ref = *ref;
    result->wait_ms = -1;
    const struct mr__run *run = run_of(sh, ref);
    result->job = run != NULL && ref->task < run->plan->dag->task_count &&
                  mr__task_is_job(run, ref->task);
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

/* ---- what callers say -------------------------------------------------------------------------- */

static bool refuse(struct mr__shard *sh, mr__done_fn done, void *user)
{
    mr_error error;
    if (!sh->waiting && !sh->broken && !sh->closing && !sh->s.failed) {
        return false;
    }
    if (sh->closing) {
        (void)mr__error_set(&error, MR_ECLOSED, "the engine is closing");
    } else if (sh->s.failed) {
        (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
    } else {
        error = sh->trouble;
    }
    done(user, error.status, &error, NULL);
    return true;
}

static void fail_done(mr__done_fn done, void *user, const mr_error *error, const uint8_t *run_id)
{
    done(user, error->status, error, run_id);
}

mr_status mr__shard_key_add(struct mr__shard *sh, const struct mr__run *run)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, run->log.data, run->log.len);
    if (!mr__event_decode(&r, 0, &event)) {
        return MR_EFORMAT;
    }
    for (int token = 0; token < 2; token++) {
        struct mr__blob blob = token ? event.token : event.key;
        if (blob.len == 0) {
            continue;
        }
        struct mr__keyrow *row = malloc(sizeof *row + blob.len + 1);
        if (row == NULL) {
            return MR_ENOMEM;
        }
        memcpy(row->run_id, run->id, MR__RUN_ID_BYTES);
        row->len = (uint32_t)blob.len + 1;
        row->bytes[0] = token ? 't' : 'k';
        memcpy(row->bytes + 1, blob.data, blob.len);
        if (mr__hash_get(&sh->keys, row->bytes, row->len, NULL) ||
            mr__hash_put(&sh->keys, row->bytes, row->len, (uint64_t)(uintptr_t)row) != MR_OK) {
            free(row); /* the first run of a key keeps it */
        }
    }
    return MR_OK;
}

void mr__shard_key_remove(struct mr__shard *sh, const struct mr__run *run)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, run->log.data, run->log.len);
    if (!mr__event_decode(&r, 0, &event) || event.key.len + event.token.len == 0) {
        return;
    }
    for (int token = 0; token < 2; token++) {
        struct mr__blob blob = token ? event.token : event.key;
        uint64_t number;
        char *text = blob.len == 0 ? NULL : malloc(blob.len + 1);
        if (text == NULL) {
            continue;
        }
        text[0] = token ? 't' : 'k';
        memcpy(text + 1, blob.data, blob.len);
        if (mr__hash_get(&sh->keys, text, blob.len + 1, &number)) {
            struct mr__keyrow *row = (struct mr__keyrow *)(uintptr_t)number;
            if (memcmp(row->run_id, run->id, MR__RUN_ID_BYTES) == 0) {
                (void)mr__hash_del(&sh->keys, text, blob.len + 1);
                free(row);
            }
        }
        free(text);
    }
}

struct mr__run *mr__shard_find_key(struct mr__shard *sh, struct mr__blob key, bool token)
{
    uint64_t number;
    struct mr__run *run = NULL;
    char *text = malloc(key.len + 1);
    if (text == NULL) {
        return NULL;
    }
    text[0] = token ? 't' : 'k';
    memcpy(text + 1, key.data, key.len);
    if (mr__hash_get(&sh->keys, text, key.len + 1, &number)) {
        run = mr__run_find(&sh->s, ((struct mr__keyrow *)(uintptr_t)number)->run_id);
    }
    free(text);
    return run;
}

static mr_status submit_check(struct mr__shard *sh, const struct mr__submit *submit,
                              struct mr__run **ret_other, mr_error *reterr)
{
    if (submit->plan->dag->stopped) {
        return mr__error_set(reterr, MR_ECONFLICT, "dag \"%s\" is stopped", submit->plan->dag->id);
    }
    if (submit->key.len > 0) {
        struct mr__run *other = mr__shard_find_key(sh, submit->key, false);
        if (other != NULL) {
            char id[MR__RUN_ID_TEXT_BYTES];
            mr__id_text(other->id, id);
            *ret_other = other;
            return mr__error_set(reterr, MR_ECONFLICT, "key \"%.*s\" is taken by run %s",
                                 (int)MR__MIN(submit->key.len, 200), submit->key.data, id);
        }
    }
    if (sh->opt.store->ops->nearly_full(sh->opt.store)) {
        return mr__error_set(reterr, MR_EFULL,
                             "the store is nearly full: what room is left is kept for runs that have "
                             "begun; free some space");
    }
    return MR_OK;
}

void mr__shard_submit(struct mr__shard *sh, const struct mr__submit *submit, mr__done_fn done,
                      void *user)
{
    mr_error error;
    struct mr__run *run = NULL;
    uint8_t id[MR__RUN_ID_BYTES];
    struct mr__submit with_id = *submit;
    if (refuse(sh, done, user)) {
        return;
    }
    mr_status status = submit_check(sh, submit, &run, &error);
    if (status != MR_OK) {
        fail_done(done, user, &error, run == NULL ? NULL : run->id);
        return;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__id_next(sh->opt.ids, sh->s.now_ms, id);
    with_id.id = id;
    plan_store(sh, submit->plan);
    status = mr__decide_submit(&sh->s, &with_id, &run);
    if (status != MR_OK) {
        (void)mr__error_set(&error, status, "%s",
                            status == MR_ELIMIT ? "too many unfinished runs (the limit is 4,000,000)"
                                                : mr_status_text(status));
        fail_done(done, user, &error, NULL);
        return;
    }
    mr__reply_push(sh, done, user, id, true);
    if (submit->key.len + submit->token.len > 0) {
        sh->s.failed |= mr__shard_key_add(sh, run) != MR_OK;
    }
    if (submit->key.len > 0) {
        struct mr__key key;
        mr__key_idempotency(&key, submit->key);
        mr__batch_put(&sh->filling, key.bytes, key.len, id, MR__RUN_ID_BYTES);
    }
}

/* ---- resume ------------------------------------------------------------------------------------ */

enum mr__resume_fate mr__shard_fate(void *user, const struct mr__run *run, uint32_t task)
{
    struct mr__shard *sh = user;
    struct mr__attempt_ref ref = {
        .task = task, .attempt = run->tasks[task].attempt, .hint = run->slot};
    memcpy(ref.run_id, run->id, MR__RUN_ID_BYTES);
    for (size_t i = 0; i < sh->result_count; i++) {
        const struct mr__result *result = mr__result_at(sh, i);
        if (result->ref.task == task && result->ref.attempt == ref.attempt &&
            memcmp(result->ref.run_id, run->id, MR__RUN_ID_BYTES) == 0) {
            return MR__RESUME_RUNNING; /* its end is kept, and is fed again */
        }
    }
    switch (sh->opt.executor->ops->fate(sh->opt.executor, &ref, &run->plan->bindings[task])) {
    case MR__FATE_RUNNING: return MR__RESUME_RUNNING;
    case MR__FATE_NOT_BEGUN: return MR__RESUME_NOT_BEGUN;
    default: return MR__RESUME_GONE;
    }
}

struct resume {
    struct mr__shard *sh;
    size_t count;
    uint8_t (*ids)[MR__RUN_ID_BYTES];
    enum mr__command command;
    bool has_command;
    mr__done_fn done;
    void *user;
};

/* A run that came back from the history goes on: live/ must have what the journal no longer has (its
 * first `len` bytes), before the event that reopens it. By its old status it is not to be found. */
static void put_revived(struct mr__shard *sh, const struct mr__run *run, size_t len, uint8_t status)
{
    struct mr__key key;
    struct mr__buf value;
    struct mr__live live = {
        .lsn = run->ckpt_lsn, .slot = run->slot, .log = {(const char *)run->log.data, len}};
    mr__buf_init(&value);
    mr__key_live(&key, MR__SHARD, run->id);
    mr__live_write(&value, &live);
    mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
    mr__key_by_status(&key, status, run->id);
    mr__batch_del(&sh->after, key.bytes, key.len);
    sh->s.failed |= value.failed;
    mr__buf_finish(&value);
}

static void command_now(struct mr__shard *sh, struct mr__run *run, enum mr__command command,
                        mr__done_fn done, void *user)
{
    mr_error error;
    mr_status status;
    bool revived = (run->flags & (MR__RUNFLAG_SETTLED | MR__RUNFLAG_ARCHIVED)) == MR__RUNFLAG_SETTLED;
    uint8_t status_before = run->status, id[MR__RUN_ID_BYTES];
    size_t len_before = run->log.len;
    if (command == MR__COMMAND_RETRY && (run->flags & MR__RUNFLAG_ARCHIVED) != 0) {
        /* Nothing keeps its journal any more: it comes back from the history, or not at all. */
        (void)mr__error_set(&error, MR_ECONFLICT,
                            "cannot retry: the run is just ending (%s); try again",
                            mr__run_status_name(run->status));
        fail_done(done, user, &error, run->id);
        return;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    switch (command) {
    case MR__COMMAND_CANCEL:
        status = mr__decide_cancel(&sh->s, run, MR__CANCEL_BY_USER, &error);
        break;
    case MR__COMMAND_RETRY: status = mr__decide_retry(&sh->s, run, &error); break;
    default: status = mr__decide_continue(&sh->s, run, &error); break;
    }
    if (status == MR_OK) {
        if (revived) {
            put_revived(sh, run, len_before, status_before);
        }
        mr__reply_push(sh, done, user, run->id, false);
        return;
    }
    memcpy(id, run->id, sizeof id);
    if (revived) { /* it stays in the history */
        mr__shard_key_remove(sh, run);
        mr__run_release(&sh->s, run);
    }
    fail_done(done, user, &error, id);
}

static void command_swept(struct mr__shard *sh, struct mr__run *run, const struct resume *resume)
{
    mr_error error;
    if (run != NULL) {
        command_now(sh, run, resume->command, resume->done, resume->user);
    } else { /* another command that came first has ended it */
        (void)mr__error_set(&error, MR_ENOTFOUND, "no such run");
        fail_done(resume->done, resume->user, &error, NULL);
    }
}

static void resume_swept(void *user)
{
    struct resume *resume = user;
    struct mr__shard *sh = resume->sh;
    bool refused = resume->has_command && refuse(sh, resume->done, resume->user);
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    for (size_t i = 0; i < resume->count && !refused; i++) {
        struct mr__run *run = mr__run_find(&sh->s, resume->ids[i]);
        bool cancel = resume->has_command && resume->command == MR__COMMAND_CANCEL;
        if (cancel) {
            command_swept(sh, run, resume); /* first: nothing may be started only to be canceled */
        }
        if (run != NULL) {
            mr__resume_run(&sh->s, run, mr__shard_fate, sh);
        }
        if (resume->has_command && !cancel) {
            command_swept(sh, run, resume);
        }
    }
    if (sh->inherited && sh->settled_seq == 0) {
        mr__shard_count_inherited(sh);
    }
    free(resume->ids);
    free(resume);
}

static mr_status resume_begin(struct mr__shard *sh, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                              const struct resume *like)
{
    struct resume *resume = malloc(sizeof *resume);
    uint8_t(*ids)[MR__RUN_ID_BYTES] = malloc(like->count * MR__RUN_ID_BYTES + 1);
    if (resume == NULL || ids == NULL) {
        free(resume);
        free(ids);
        return MR_ENOMEM;
    }
    *resume = *like;
    resume->ids = ids;
    memcpy(ids, run_ids, like->count * MR__RUN_ID_BYTES);
    for (size_t i = 0; i < like->count; i++) {
        struct mr__run *run = mr__run_find(&sh->s, ids[i]);
        if (run != NULL) {
            run->flags |= MR__RUNFLAG_RESUMING;
        }
    }
    sh->opt.executor->ops->sweep(sh->opt.executor, (const uint8_t(*)[MR__RUN_ID_BYTES])ids,
                                 like->count, resume_swept, resume);
    return MR_OK;
}

void mr__shard_resume(struct mr__shard *sh, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                      size_t count)
{
    struct resume resume = {.sh = sh, .count = count};
    if (resume_begin(sh, run_ids, &resume) != MR_OK) {
        sh->s.failed = true;
    }
}

void mr__shard_command(struct mr__shard *sh, const uint8_t *run_id, enum mr__command command,
                       mr__done_fn done, void *user)
{
    mr_error error;
    struct mr__run *run = mr__run_find(&sh->s, run_id);
    if (refuse(sh, done, user)) {
        return;
    }
    if (run == NULL) {
        (void)mr__error_set(&error, MR_ENOTFOUND, "no such run");
        fail_done(done, user, &error, NULL);
    } else if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
        command_now(sh, run, command, done, user);
    } else if (run->plan->missing > 0 && command != MR__COMMAND_CANCEL) {
        (void)mr__error_set(&error, MR_ENOTFOUND,
                            "an action of the run's dag \"%s\" is missing: no plugin has it",
                            run->plan->dag->id);
        fail_done(done, user, &error, run->id);
    } else {
        struct resume resume = {.sh = sh,
                                .count = 1,
                                .command = command,
                                .has_command = true,
                                .done = done,
                                .user = user};
        if (resume_begin(sh, (const uint8_t(*)[MR__RUN_ID_BYTES])run->id, &resume) != MR_OK) {
            (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
            fail_done(done, user, &error, run->id);
        }
    }
}

mr_status mr__shard_revive(struct mr__shard *sh, const uint8_t *run_id, struct mr__plan *plan,
                           struct mr__blob log, mr_error *reterr)
{
    uint32_t slot;
    struct mr__run *run;
    if (sh->waiting || sh->broken) {
        *reterr = sh->trouble;
        return sh->trouble.status;
    }
    mr_status status = mr__slot_take(&sh->s, &slot);
    if (status == MR_OK) {
        status = mr__run_create(&sh->s, slot, run_id, plan, &run);
    }
    if (status == MR_OK) {
        status = mr__replay(&sh->s, run, (const uint8_t *)log.data, log.len);
        if (status != MR_OK) {
            mr__run_release(&sh->s, run);
        }
    }
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "the run cannot be read back: %s",
                             mr_status_text(status));
    }
    run->has_checkpoint = true; /* with the command that reopens it */
    run->ckpt_lsn = sh->s.lsn - 1;
    run->flags &= (uint8_t)~MR__RUNFLAG_DORMANT;
    sh->s.dormant_count--;
    plan->stored = true;
    sh->s.failed |= mr__shard_key_add(sh, run) != MR_OK;
    return MR_OK;
}

void mr__shard_after(struct mr__shard *sh, mr__done_fn done, void *user)
{
    if (refuse(sh, done, user)) {
        return;
    }
    (void)mr__shard_log_mark(sh);
    if (mr__shard_quiet(sh)) {
        done(user, MR_OK, NULL, NULL);
        return;
    }
    mr__reply_push(sh, done, user, NULL, false);
    if (!mr__commit_wanted(sh)) {
        /* Only the commit under way matters: it is the one before the next hand-over. */
        mr__reply_at(sh, sh->reply_count - 1)->seq = sh->seq_filling - 1;
    }
}

uint64_t mr__shard_log_mark(struct mr__shard *sh)
{
    if (sh->dirty != NULL) {
        mr__logbook_hand_over(sh);
        sh->want_commit = true;
    }
    return sh->log_n;
}

/* ---- effects ----------------------------------------------------------------------------------- */

struct mr__context *mr__shard_context(struct mr__shard *sh, struct mr__run *run)
{
    struct mr__context *context = run->context;
    struct mr__reader r;
    struct mr__event event;
    if (context != NULL) {
        return context;
    }
    mr__reader_init(&r, run->log.data, run->log.len);
    context = calloc(1, sizeof *context);
    if (context == NULL || !mr__event_decode(&r, 0, &event)) {
        free(context);
        return NULL;
    }
    mr__arena_init(&context->arena);
    context->folder = mr__arena_dup(&context->arena, event.folder.data, event.folder.len);
    context->vars = (mr_value){.type = MR_MAP};
    bool ok = context->folder != NULL;
    if (ok && event.vars.len > 2) {
        ok = mr__value_parse(&context->arena, event.vars.data, event.vars.len, &context->vars,
                             NULL) == MR_OK;
    }
    if (!ok) {
        context_free(context);
        return NULL;
    }
    run->context = context;
    return context;
}

static void do_prepare(struct mr__shard *sh, struct mr__run *run, uint32_t task)
{
    mr_error error = {0};
    mr_value params;
    struct mr__buf json;
    struct mr__context *context = mr__shard_context(sh, run);
    const struct mr__dag *dag = run->plan->dag;
    mr__arena_reset(&sh->scratch);
    if (context == NULL) {
        sh->s.failed = true;
        return;
    }
    mr_status status = mr__dag_render(dag, &dag->tasks[task].params, &context->vars, &sh->scratch,
                                      &params, &error);
    mr__buf_init(&json);
    struct mr__blob reason = {error.message, 0};
    if (status == MR_OK) {
        mr__value_print(&json, &params);
        sh->s.failed |= json.failed;
    } else {
        reason.len = strlen(error.message);
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__decide_prepared(&sh->s, run, task,
                        (struct mr__blob){json.data == NULL ? "" : (char *)json.data, json.len},
                        reason);
    mr__buf_finish(&json);
}

static void push_timer(struct mr__shard *sh, const struct mr__run *run, uint32_t kind,
                       const struct mr__effect *effect, int64_t due_wall_ms, int64_t duration_ms)
{
    int64_t left = due_wall_ms - sh->opt.clock->wall_ms(sh->opt.clock);
    left = MR__MAX(0, MR__MIN(left, MR__MIN(duration_ms, INT64_MAX / 2)));
    struct mr__timer timer = {
        .due_ms = sh->opt.clock->monotonic_ms(sh->opt.clock) + left,
        .slot = run->slot,
        .gen = run->gen,
        .task = effect->task,
        .attempt = kind == MR__TIMER_RUN ? (uint32_t)run->timed_from_ms : effect->arg,
        .kind = kind,
    };
    sh->s.failed |= mr__timers_push(&sh->timers, &timer) != MR_OK;
    mr__shard_arm(sh);
}

static void do_now(struct mr__shard *sh, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&sh->s, effect->slot);
    uint32_t t = effect->task;
    if (run == NULL) {
        return;
    }
    const struct mr__dag *dag = run->plan->dag;
    switch (effect->kind) {
    case MR__EFFECT_PREPARE: do_prepare(sh, run, t); break;
    case MR__EFFECT_WAIT:
        if (run->tasks[t].flags & MR__TASKFLAG_WAITING) {
            push_timer(sh, run, MR__TIMER_WAIT, effect, run->wait_ms[2 * t],
                       run->wait_ms[2 * t + 1]);
        }
        break;
    case MR__EFFECT_DEADLINE:
        push_timer(sh, run, MR__TIMER_DEADLINE, effect,
                   run->started_ms[t] + dag->tasks[t].timeout_ms, dag->tasks[t].timeout_ms);
        break;
    default:
        push_timer(sh, run, MR__TIMER_RUN, effect, run->timed_from_ms + dag->timeout_ms,
                   dag->timeout_ms);
        break;
    }
}

/* The params that templates made, as they stand in the event. */
static bool rendered_params(struct mr__shard *sh, struct mr__run *run, uint32_t t, mr_value *ret)
{
    struct mr__reader r;
    struct mr__event event;
    uint32_t at = run->params_at[t] - 1;
    mr__reader_init(&r, run->log.data + at, run->log.len - at);
    mr__arena_reset(&sh->scratch);
    return mr__event_decode(&r, 0, &event) && event.payload.data != NULL &&
           mr__value_parse(&sh->scratch, event.payload.data, event.payload.len, ret, NULL) == MR_OK;
}

static void do_start(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    uint32_t t = effect->task;
    const struct mr__dag_task *task = &run->plan->dag->tasks[t];
    struct mr__context *context = mr__shard_context(sh, run);
    mr_value params;
    if (run->tasks[t].attempt != effect->arg || run->tasks[t].status != MR__TASK_RUNNING) {
        return;
    }
    struct mr__attempt attempt = {
        .ref = {.task = t, .attempt = effect->arg, .hint = run->slot},
        .action = run->plan->bindings[t].action,
        .params = &task->params,
        .dag_id = run->plan->dag->id,
        .task_id = task->id,
    };
    if (context == NULL || (run->params_at != NULL && run->params_at[t] != 0 &&
                            !rendered_params(sh, run, t, &params))) {
        sh->s.failed = true;
        return;
    }
    if (run->params_at != NULL && run->params_at[t] != 0) {
        attempt.params = &params;
    }
    attempt.vars = &context->vars;
    attempt.folder = context->folder;
    attempt.started_at_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    if (task->timeout_ms > 0) {
        attempt.deadline_ms = run->started_ms[t] + task->timeout_ms;
    }
    memcpy(attempt.ref.run_id, run->id, MR__RUN_ID_BYTES);
    sh->opt.executor->ops->start(sh->opt.executor, &attempt);
}

static void do_notify(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, run->log.data + effect->arg, run->log.len - effect->arg);
    if ((run->flags & MR__RUNFLAG_WATCHED) != 0 && mr__event_decode(&r, 0, &event)) {
        event.time_ms = run->created_ms + effect->task;
        sh->opt.events.notify(sh->opt.events.user, run, &event, effect->attempt);
    }
}

static void do_settled(struct mr__shard *sh, struct mr__run *run, const struct mr__effect *effect)
{
    if (run->log.len != effect->task) {
        return; /* it was blocked and goes on already: what it is now is not durable */
    }
    if (sh->opt.events.settled != NULL) {
        sh->opt.events.settled(sh->opt.events.user, run);
    }
    if (run->flags & MR__RUNFLAG_SETTLED) {
        mr__shard_key_remove(sh, run);
        mr__run_release(&sh->s, run);
    }
}

static void do_durable(struct mr__shard *sh, const struct mr__effect *effect)
{
    struct mr__run *run = mr__run_at(&sh->s, effect->slot);
    if (run == NULL) {
        return;
    }
    struct mr__attempt_ref ref = {.task = effect->task, .hint = run->slot};
    memcpy(ref.run_id, run->id, MR__RUN_ID_BYTES);
    switch (effect->kind) {
    case MR__EFFECT_START: do_start(sh, run, effect); break;
    case MR__EFFECT_CANCEL:
        ref.attempt = run->tasks[effect->task].attempt;
        sh->opt.executor->ops->cancel(sh->opt.executor, &ref, effect->arg);
        break;
    case MR__EFFECT_FORGET:
        ref.attempt = effect->arg;
        sh->opt.executor->ops->forget(sh->opt.executor, &ref);
        break;
    case MR__EFFECT_NOTIFY: do_notify(sh, run, effect); break;
    default: do_settled(sh, run, effect); break;
    }
}

/* ---- pump and timers --------------------------------------------------------------------------- */

static void results_durable(struct mr__shard *sh)
{
    while (sh->result_count > 0) {
        const struct mr__result *result = mr__result_at(sh, 0);
        if (result->lsn == 0 || result->lsn > sh->lsn_durable) {
            return;
        }
        if (result->job) {
            sh->opt.executor->ops->forget(sh->opt.executor, &result->ref);
        }
        mr__result_pop(sh);
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

bool mr__shard_quiet(const struct mr__shard *sh)
{
    return !sh->committing && !sh->waiting && !mr__commit_wanted(sh);
}

void mr__shard_pump(struct mr__shard *sh)
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
        if (!sh->committing && sh->s.event_count == 0) {
            sh->effects_durable = sh->s.durable.tail; /* nothing that they could wait for */
        }
        results_durable(sh);
        replies_durable(sh);
        inherited_durable(sh);
        while (mr__effect_pop(&sh->s.now, &effect)) {
            do_now(sh, &effect);
            worked = true;
        }
        while (sh->s.durable.head < sh->effects_durable && !sh->s.failed &&
               (sh->committing || sh->s.events.len < MR__COMMIT_BYTES_MAX) &&
               mr__effect_pop(&sh->s.durable, &effect)) {
            do_durable(sh, &effect);
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

/* ---- reading ----------------------------------------------------------------------------------- */

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
