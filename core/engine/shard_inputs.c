/* SPDX-License-Identifier: MIT
 *
 * What callers say: submits, commands, going on with dormant runs, waiting until all is durable.
 * Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

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

static mr_status submit_check(struct mr__shard *sh, const struct mr__submit *submit,
                              const uint8_t **ret_other, mr_error *reterr)
{
    const uint8_t *other =
        submit->key.len == 0 ? NULL : mr__shard_key_owner(sh, submit->key, false);
    if (other != NULL) {
        char id[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(other, id);
        *ret_other = other;
        return mr__error_set(reterr, MR_ECONFLICT, "key \"%.*s\" is taken by run %s",
                             (int)MR__MIN(submit->key.len, 200), submit->key.data, id);
    }
    if (sh->opt.store->ops->nearly_full(sh->opt.store)) {
        return mr__error_set(
            reterr, MR_EFULL,
            "the store is nearly full: what room is left is kept for runs that have "
            "begun; free some space");
    }
    return MR_OK;
}

void mr__shard_submit(struct mr__shard *sh, const struct mr__submit *submit, mr__done_fn done,
                      void *user)
{
    mr_error error;
    struct mr__run *run;
    const uint8_t *other = NULL;
    uint8_t id[MR__RUN_ID_BYTES];
    struct mr__submit with_id = *submit;
    if (refuse(sh, done, user)) {
        return;
    }
    mr_status status = submit_check(sh, submit, &other, &error);
    if (status != MR_OK) {
        fail_done(done, user, &error, other);
        return;
    }
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    mr__id_next(sh->opt.ids, sh->s.now_ms, id);
    with_id.id = id;
    mr__plan_store(sh, submit->plan);
    status = mr__decide_submit(&sh->s, &with_id, &run);
    if (status != MR_OK) {
        (void)mr__error_set(&error, status, "%s",
                            status == MR_ELIMIT
                                ? "too many unfinished runs (the limit is 4,000,000)"
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
    switch (sh->opt.executor->ops->fate(sh->opt.executor, &ref, mr__run_binding(run, task))) {
    case MR__FATE_RUNNING: return MR__RESUME_RUNNING;
    case MR__FATE_NOT_BEGUN: return MR__RESUME_NOT_BEGUN;
    default:
        /* The executor knows of all that this engine has begun: the commit that started it became
         * durable, and nobody said so before memory was read anew. */
        return (run->tasks[task].flags & MR__TASKFLAG_OWN) != 0 ? MR__RESUME_NOT_BEGUN
                                                                : MR__RESUME_GONE;
    }
}

struct resume {
    struct mr__shard *sh;
    size_t count;
    uint8_t (*ids)[MR__RUN_ID_BYTES];
    struct mr__command_of what; /* its names are owned */
    bool has_command;
    mr__done_fn done;
    void *user;
};

/* A run that came back from the history goes on: live/ must have what the journal no longer has
 * (its first `len` bytes), before the event that reopens it. By its old status it is not to be
 * found. */
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

/* The numbers of the tasks that are named, in the scratch arena. Every unknown one is in the
 * message. */
static mr_status find_tasks(struct mr__shard *sh, const struct mr__run *run,
                            const struct mr__command_of *what, uint32_t **ret_tasks,
                            mr_error *reterr)
{
    struct mr__buf unknown;
    mr__buf_init(&unknown);
    mr__arena_reset(&sh->scratch);
    uint32_t *tasks = mr__arena_alloc(&sh->scratch, (what->task_count + 1) * sizeof *tasks);
    mr_status status = tasks == NULL ? MR_ENOMEM : MR_OK;
    for (size_t i = 0; i < what->task_count && status == MR_OK; i++) {
        int64_t t = mr__run_task_find(run, what->tasks[i], strlen(what->tasks[i]));
        if (t < 0) {
            mr__buf_printf(&unknown, "%s\"%.140s\"", unknown.len == 0 ? "" : ", ", what->tasks[i]);
        }
        tasks[i] = (uint32_t)MR__MAX(t, 0);
    }
    const char *names = mr__buf_cstr(&unknown);
    if (status == MR_OK && names == NULL) {
        status = MR_ENOMEM;
    }
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "out of memory");
    } else if (unknown.len > 0) {
        status = mr__error_set(reterr, MR_ENOTFOUND, "the run has no task %.400s", names);
    }
    mr__buf_finish(&unknown);
    *ret_tasks = tasks;
    return status;
}

static mr_status decide_command(struct mr__shard *sh, struct mr__run *run,
                                const struct mr__command_of *what, mr_error *reterr)
{
    struct mr__scheduler *s = &sh->s;
    uint32_t *tasks;
    size_t count = what->task_count;
    mr_status status = find_tasks(sh, run, what, &tasks, reterr);
    if (status != MR_OK) {
        return status;
    }
    s->now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    switch (what->command) {
    case MR__COMMAND_CANCEL:
        return count == 0 ? mr__decide_cancel(s, run, MR__CANCEL_BY_USER, reterr)
                          : mr__decide_cancel_tasks(s, run, tasks, count, reterr);
    case MR__COMMAND_RETRY: return mr__decide_retry(s, run, tasks, count, reterr);
    case MR__COMMAND_CONTINUE: return mr__decide_continue(s, run, tasks, count, reterr);
    case MR__COMMAND_PAUSE: return mr__decide_pause(s, run, reterr);
    default: return mr__decide_unpause(s, run, reterr);
    }
}

static void command_now(struct mr__shard *sh, struct mr__run *run,
                        const struct mr__command_of *what, mr__done_fn done, void *user)
{
    mr_error error;
    bool revived =
        (run->flags & (MR__RUNFLAG_SETTLED | MR__RUNFLAG_ARCHIVED)) == MR__RUNFLAG_SETTLED;
    uint8_t status_before = run->status, id[MR__RUN_ID_BYTES];
    size_t len_before = run->log.len;
    bool reopens = what->command == MR__COMMAND_RETRY || what->command == MR__COMMAND_CONTINUE;
    if (reopens && (run->flags & MR__RUNFLAG_ARCHIVED) != 0) {
        /* Nothing keeps its journal any more: it comes back from the history, or not at all. */
        (void)mr__error_set(&error, MR_ECONFLICT,
                            "cannot %s: the run is just ending (%s); try again",
                            what->command == MR__COMMAND_RETRY ? "retry" : "continue",
                            mr__run_status_name(run->status));
        fail_done(done, user, &error, run->id);
        return;
    }
    mr_status status = decide_command(sh, run, what, &error);
    if (status == MR_OK) {
        if (revived) {
            put_revived(sh, run, len_before, status_before);
        }
        mr__reply_push(sh, done, user, run->id, false);
        return;
    }
    memcpy(id, run->id, sizeof id);
    if (revived) { /* it stays in the history */
        mr__run_release(&sh->s, run);
    }
    fail_done(done, user, &error, id);
}

static void command_swept(struct mr__shard *sh, struct mr__run *run, const struct resume *resume)
{
    mr_error error;
    if (run != NULL) {
        command_now(sh, run, &resume->what, resume->done, resume->user);
    } else { /* another command that came first has ended it */
        (void)mr__error_set(&error, MR_ENOTFOUND, "no such run");
        fail_done(resume->done, resume->user, &error, NULL);
    }
}

/* Names of its own, in one block. */
static bool copy_names(const struct mr__command_of *what, const char *const **ret_names)
{
    size_t bytes = what->task_count * sizeof(char *);
    for (size_t i = 0; i < what->task_count; i++) {
        bytes += strlen(what->tasks[i]) + 1;
    }
    char **names = mr__malloc(bytes + 1);
    if (names == NULL) {
        return false;
    }
    char *at = (char *)(names + what->task_count);
    for (size_t i = 0; i < what->task_count; i++) {
        size_t len = strlen(what->tasks[i]) + 1;
        names[i] = memcpy(at, what->tasks[i], len);
        at += len;
    }
    *ret_names = (const char *const *)names;
    return true;
}

static void resume_swept(void *user)
{
    struct resume *resume = user;
    struct mr__shard *sh = resume->sh;
    bool refused = resume->has_command && refuse(sh, resume->done, resume->user);
    sh->s.now_ms = sh->opt.clock->wall_ms(sh->opt.clock);
    for (size_t i = 0; i < resume->count && !refused; i++) {
        struct mr__run *run = mr__run_find(&sh->s, resume->ids[i]);
        bool first = resume->has_command && (resume->what.command == MR__COMMAND_CANCEL ||
                                             resume->what.command == MR__COMMAND_PAUSE);
        if (first) { /* nothing may be started only to be ended, or for a moment */
            command_swept(sh, run, resume);
            run = mr__run_find(&sh->s, resume->ids[i]);
        }
        if (run != NULL) {
            mr__resume_run(&sh->s, run, mr__shard_fate, sh);
        }
        if (resume->has_command && !first) {
            command_swept(sh, run, resume);
        }
    }
    if (sh->inherited && sh->settled_seq == 0) {
        mr__shard_count_inherited(sh);
    }
    mr__free(resume->ids);
    mr__free((void *)(uintptr_t)resume->what.tasks);
    mr__free(resume);
}

static mr_status resume_begin(struct mr__shard *sh, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                              const struct resume *like)
{
    struct resume *resume = mr__malloc(sizeof *resume);
    uint8_t(*ids)[MR__RUN_ID_BYTES] = mr__malloc(like->count * MR__RUN_ID_BYTES + 1);
    const char *const *names = NULL;
    if (resume == NULL || ids == NULL || !copy_names(&like->what, &names)) {
        mr__free(resume);
        mr__free(ids);
        return MR_ENOMEM;
    }
    *resume = *like;
    resume->what.tasks = names;
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

void mr__shard_command(struct mr__shard *sh, const uint8_t *run_id,
                       const struct mr__command_of *what, mr__done_fn done, void *user)
{
    mr_error error;
    struct mr__run *run = mr__run_find(&sh->s, run_id);
    if (refuse(sh, done, user)) {
        return;
    }
    const struct mr__unreadable *unreadable = mr__shard_unreadable(sh, run_id);
    if (unreadable != NULL) {
        const char *why = mr__shard_refused(sh, unreadable->version);
        (void)mr__error_set(&error, MR_EDEFINITION, "the run stays as it is: %s",
                            why == NULL ? "its dag does not parse" : why);
        fail_done(done, user, &error, NULL);
    } else if (run == NULL) {
        (void)mr__error_set(&error, MR_ENOTFOUND, "no such run");
        fail_done(done, user, &error, NULL);
    } else if ((run->flags & MR__RUNFLAG_DORMANT) == 0) {
        command_now(sh, run, what, done, user);
    } else if (run->plan->missing > 0 && what->command != MR__COMMAND_CANCEL &&
               what->command != MR__COMMAND_PAUSE) {
        (void)mr__error_set(&error, MR_ENOTFOUND,
                            "an action of the run's dag \"%s\" is missing: no plugin has it",
                            run->plan->dag->id);
        fail_done(done, user, &error, run->id);
    } else {
        struct resume resume = {
            .sh = sh, .count = 1, .what = *what, .has_command = true, .done = done, .user = user};
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
