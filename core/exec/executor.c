/* SPDX-License-Identifier: MIT
 *
 * The executor port over the real thing: which attempts there are, what has become of one, and the
 * way to the end. Loop thread. The life of one attempt is attempt.c's.
 */
#include <stdlib.h>

#include "core/exec/lua_task.h"
#include "core/exec/task_host.h"

#define KILL_WAIT_MS 2000 /* after KILL: a child that the kernel does not let go is left behind */

static void exec_before(struct mr__executor *port, const struct mr__attempt *attempt);
static void exec_start(struct mr__executor *port, const struct mr__attempt *attempt);
static void exec_after(struct mr__executor *port, const struct mr__attempt *attempt);
static mr_status exec_evaluate(struct mr__executor *port, struct mr__evaluation *evaluation);
static void exec_hook(struct mr__executor *port, const struct mr__hook_call *call);
static void exec_cancel(struct mr__executor *port, const struct mr__attempt_ref *ref,
                        uint32_t reason);
static void exec_forget(struct mr__executor *port, const struct mr__attempt_ref *ref);
static enum mr__fate exec_fate(struct mr__executor *port, const struct mr__attempt_ref *ref,
                               const struct mr__action_binding *binding);
static bool exec_lock_of(struct mr__executor *port, const struct mr__attempt_ref *ref,
                         struct mr__lock_waited *ret);
static void exec_settled(struct mr__executor *port);
static void exec_sweep(struct mr__executor *port, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                       size_t count, void (*cb)(void *user), void *user);
static struct mr__action_binding exec_bind(struct mr__executor *port, const char *action_name);
static void exec_shutdown(struct mr__executor *port, int64_t grace_ms, void (*cb)(void *user),
                          void *user);
static void exec_destroy(struct mr__executor *port);
static void on_async(uv_async_t *async);
static void free_core(struct mr__exec *x);
static mr_status make_pools(struct mr__exec *x, uint32_t jobs);
static void destroy_pools(struct mr__exec *x);
static mr_status make_conditions(struct mr__exec *x);

static struct mr__exec *exec_of(struct mr__executor *port)
{
    return MR__CONTAINER(port, struct mr__exec, port);
}

mr_status mr__exec_create(const struct mr__exec_options *options,
                          struct mr__executor **ret_executor, mr_error *reterr)
{
    static const struct mr__executor_ops ops = {.bind = exec_bind,
                                                .before = exec_before,
                                                .start = exec_start,
                                                .after = exec_after,
                                                .evaluate = exec_evaluate,
                                                .hook = exec_hook,
                                                .cancel = exec_cancel,
                                                .forget = exec_forget,
                                                .fate = exec_fate,
                                                .lock_of = exec_lock_of,
                                                .settled = exec_settled,
                                                .sweep = exec_sweep,
                                                .shutdown = exec_shutdown,
                                                .destroy = exec_destroy};
    uint32_t jobs = MR__MAX(1, MR__MIN(options->jobs, MR__JOBS_MAX));
    mr_status status = MR_ENOMEM;
    struct mr__exec *x = mr__calloc(1, sizeof *x);
    if (x == NULL) {
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    x->port.ops = &ops;
    x->loop = options->loop;
    x->foreign_loop = options->foreign_loop;
    x->shutdown_timer.data = x->hosts.timer.data = x;
    x->events = options->events;
    x->hook_ms = options->hook_ms > 0 ? options->hook_ms : MR__HOOK_MS_MAX;
    x->log = options->log;
    x->log_user = options->log_user;
    x->clock = options->clock;
    x->lock_due_ms = INT64_MAX;
    mr__locks_init(&x->locks, mr__task_lock_ended, x);
    mr__hash_init(&x->attempts);
    x->store = options->store == NULL ? NULL : mr__strdup(options->store);
    if ((options->store != NULL && x->store == NULL) ||
        mr__process_stack_init(&x->stack) != MR_OK || make_pools(x, jobs) != MR_OK ||
        mr__hosts_init(x, jobs, options->host_idle_ms) != MR_OK) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
        goto fail_parts;
    }
    if (x->store != NULL) {
        status = mr__child_table_open(&x->table, x->store, reterr);
        if (status != MR_OK) {
            goto fail_parts;
        }
        x->has_table = true;
    }
    status = make_conditions(x);
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
        goto fail_parts;
    }
    int failed = uv_async_init(x->loop, &x->async, on_async);
    if (failed != 0) {
        status = mr__error_set(reterr, MR_EIO, "cannot watch the mailbox: %s", uv_strerror(failed));
        goto fail_loop;
    }
    x->async.data = x;
    (void)uv_timer_init(x->loop, &x->shutdown_timer);
    x->shutdown_timer.data = x;
    (void)uv_timer_init(x->loop, &x->lock_timer);
    x->lock_timer.data = x;
    (void)uv_timer_init(x->loop, &x->hosts.timer);
    x->handles = 4;
    x->registry = mr__registry_ref(options->registry);
    *ret_executor = &x->port;
    return MR_OK;

fail_loop:
    (void)pthread_cond_destroy(&x->stop);
    (void)pthread_cond_destroy(&x->room);
    (void)pthread_mutex_destroy(&x->mutex);
fail_parts:
    mr__child_table_close(&x->table);
    destroy_pools(x);
    mr__hosts_finish(x);
    mr__process_stack_finish(&x->stack);
    mr__free(x->store);
    mr__free(x);
    return status;
}

static mr_status make_pools(struct mr__exec *x, uint32_t jobs)
{
    mr_status status = mr__pool_create(jobs, mr__lua_end_local, &x->pool);
    if (status == MR_OK) {
        status = mr__pool_create(MR__EVALUATION_THREADS, mr__lua_end_local, &x->evaluators);
    }
    if (status == MR_OK) {
        status = mr__pool_create(MR__HOOK_THREADS, mr__lua_end_local, &x->hookers);
    }
    return status;
}

static void destroy_pools(struct mr__exec *x)
{
    mr__pool_destroy(x->pool);
    mr__pool_destroy(x->evaluators);
    mr__pool_destroy(x->hookers);
}

static mr_status make_conditions(struct mr__exec *x)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        return MR_ENOMEM;
    }
    bool made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&x->stop, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    if (made) { /* With default attributes neither can fail here. */
        (void)pthread_mutex_init(&x->mutex, NULL);
        (void)pthread_cond_init(&x->room, NULL);
    }
    return made ? MR_OK : MR_ENOMEM;
}

uint32_t mr__exec_survivors(struct mr__executor *port)
{
    return mr__survivors_count(exec_of(port));
}

static void exec_settled(struct mr__executor *port)
{
    struct mr__exec *x = exec_of(port);
    if (x->has_table) {
        mr__child_table_settle(&x->table);
    }
}

/* ---- attempts ---------------------------------------------------------------------------------
 */

static struct mr__child_key key_of(const struct mr__attempt_ref *ref)
{
    struct mr__child_key key = {.task = ref->task, .attempt = ref->attempt};
    memcpy(key.run_id, ref->run_id, sizeof key.run_id);
    return key;
}

static bool add_entries(struct mr__exec *x)
{
    void **blocks = mr__realloc(x->entry_blocks, (x->entry_block_count + 1) * sizeof *blocks);
    if (blocks == NULL) {
        return false;
    }
    x->entry_blocks = blocks;
    struct mr__entry *block = mr__calloc(MR__EXEC_ENTRIES_BLOCK, sizeof *block);
    if (block == NULL) {
        return false;
    }
    x->entry_blocks[x->entry_block_count++] = block;
    for (uint32_t i = 0; i < MR__EXEC_ENTRIES_BLOCK; i++) {
        block[i].next_free = x->free_entries;
        x->free_entries = &block[i];
    }
    return true;
}

struct mr__entry *mr__exec_entry_add(struct mr__exec *x, const struct mr__attempt_ref *ref)
{
    if (x->free_entries == NULL && !add_entries(x)) {
        return NULL;
    }
    struct mr__entry *entry = x->free_entries;
    size_t before = x->attempts.count;
    entry->key = key_of(ref);
    entry->row = MR__CHILD_NO_ROW;
    entry->task = NULL;
    if (mr__hash_put(&x->attempts, &entry->key, sizeof entry->key, (uintptr_t)entry) != MR_OK) {
        return NULL;
    }
    MR_ASSERT(x->attempts.count == before + 1); /* An attempt is never started again. */
    x->free_entries = entry->next_free;
    return entry;
}

void mr__exec_entry_del(struct mr__exec *x, struct mr__entry *entry)
{
    (void)mr__hash_del(&x->attempts, &entry->key, sizeof entry->key);
    if (entry->row != MR__CHILD_NO_ROW) {
        mr__child_table_free(&x->table, entry->row);
    }
    entry->next_free = x->free_entries;
    x->free_entries = entry;
}

static struct mr__entry *find(const struct mr__exec *x, const struct mr__attempt_ref *ref)
{
    struct mr__child_key key = key_of(ref);
    uint64_t entry;
    return mr__hash_get(&x->attempts, &key, sizeof key, &entry)
               ? (struct mr__entry *)(uintptr_t)entry
               : NULL;
}

static struct mr__action_binding exec_bind(struct mr__executor *port, const char *action_name)
{
    const struct mr__action *action = mr__registry_find(exec_of(port)->registry, action_name);
    struct mr__action_binding binding = {.action = action};
    binding.flags = action == NULL ? 0 : mr__action_flags(action);
    return binding;
}

/* An attempt whose end was told, and not forgotten, is over: what comes late is passed over. */
static void begin(struct mr__exec *x, const struct mr__attempt *attempt, enum mr__phase phase)
{
    struct mr__entry *entry = NULL;
    struct mr__attempt apart;
    if (attempt->isolated) {
        apart = *attempt;
        apart.action = attempt->action->apart;
        attempt = &apart;
    }
    if (!x->loop_known) {
        x->loop_thread = uv_thread_self();
        x->loop_known = true;
    }
    if (x->closing) {
        mr__scope_copy_destroy(attempt->scope);
        return;
    }
    if (attempt->epoch > x->epoch) {
        x->epoch = attempt->epoch;
        (void)pthread_mutex_lock(&x->mutex);
        mr__locks_epoch(&x->locks, x->epoch);
        (void)pthread_mutex_unlock(&x->mutex);
    }
    if (phase != MR__PHASE_RUN || mr__action_has_before(attempt->action)) {
        entry = find(x, &attempt->ref);
    }
    if (entry == NULL) {
        mr__attempt_start(x, attempt, phase);
        return;
    }
    mr__scope_copy_destroy(attempt->scope); /* It has one, or needs none any more. */
    if (entry->task != NULL) {
        mr__attempt_continue(entry->task, attempt, phase);
    }
}

static void exec_before(struct mr__executor *port, const struct mr__attempt *attempt)
{
    begin(exec_of(port), attempt, MR__PHASE_BEFORE);
}

static void exec_start(struct mr__executor *port, const struct mr__attempt *attempt)
{
    begin(exec_of(port), attempt, MR__PHASE_RUN);
}

static void exec_after(struct mr__executor *port, const struct mr__attempt *attempt)
{
    begin(exec_of(port), attempt, MR__PHASE_AFTER);
}

static mr_status exec_evaluate(struct mr__executor *port, struct mr__evaluation *evaluation)
{
    return mr__exec_evaluate(exec_of(port), evaluation);
}

static void exec_hook(struct mr__executor *port, const struct mr__hook_call *call)
{
    mr__exec_hook(exec_of(port), call);
}

static void exec_cancel(struct mr__executor *port, const struct mr__attempt_ref *ref,
                        uint32_t reason)
{
    struct mr__entry *entry = find(exec_of(port), ref);
    if (entry != NULL && entry->task != NULL) {
        mr__attempt_cancel(entry->task, reason);
    }
}

static void exec_forget(struct mr__executor *port, const struct mr__attempt_ref *ref)
{
    struct mr__exec *x = exec_of(port);
    struct mr__entry *entry = find(x, ref);
    struct mr__child_key key = key_of(ref);
    uint32_t row;
    if (entry != NULL) {
        if (entry->task == NULL) {
            mr__exec_entry_del(x, entry);
        }
    } else if (x->has_table && mr__child_table_find(&x->table, &key, &row)) {
        mr__child_table_free(&x->table, row);
    }
}

static enum mr__fate exec_fate(struct mr__executor *port, const struct mr__attempt_ref *ref,
                               const struct mr__action_binding *binding)
{
    struct mr__exec *x = exec_of(port);
    struct mr__child_key key = key_of(ref);
    uint32_t row;
    if (find(x, ref) != NULL) {
        return MR__FATE_RUNNING;
    }
    bool has_rows = binding != NULL && binding->action != NULL &&
                    (binding->action->table->flags & MR_SPAWNS) != 0;
    if (has_rows && x->has_table && mr__child_table_settled(&x->table) &&
        !mr__child_table_find(&x->table, &key, &row)) {
        return MR__FATE_NOT_BEGUN;
    }
    return MR__FATE_GONE;
}

static bool exec_lock_of(struct mr__executor *port, const struct mr__attempt_ref *ref,
                         struct mr__lock_waited *ret)
{
    const struct mr__entry *entry = find(exec_of(port), ref);
    return entry != NULL && entry->task != NULL && mr__task_lock_of(entry->task, ret);
}

static void exec_sweep(struct mr__executor *port, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                       size_t count, void (*cb)(void *user), void *user)
{
    mr__survivors_sweep(exec_of(port), run_ids, count, cb, user);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void check_shutdown(struct mr__exec *x);
static void finish_handles(struct mr__exec *x);
static void on_shutdown_timer(uv_timer_t *timer);

static void on_async(uv_async_t *async)
{
    struct mr__exec *x = async->data;
    mr__attempt_drain(x);
    mr__exec_locks_arm(x);
    check_shutdown(x);
}

static void exec_shutdown(struct mr__executor *port, int64_t grace_ms, void (*cb)(void *user),
                          void *user)
{
    struct mr__exec *x = exec_of(port);
    MR_ASSERT(!x->closing);
    if (!x->loop_known) {
        x->loop_thread = uv_thread_self();
        x->loop_known = true;
    }
    x->closing = true;
    x->shutdown_cb = cb;
    x->shutdown_user = user;
    grace_ms = MR__MAX(grace_ms, 0);
    uv_update_time(x->loop);
    x->shutdown_due_ms = (int64_t)uv_now(x->loop) + grace_ms;
    mr__survivors_close(x);
    mr__hosts_close(x);
    mr__exec_evaluate_close(x);
    mr__exec_hook_close(x);
    (void)pthread_mutex_lock(&x->mutex);
    atomic_store(&x->stopping, true);
    (void)pthread_cond_broadcast(&x->stop);
    (void)pthread_mutex_unlock(&x->mutex);
    /* An end may take others with it, and their links: so again until all have been told. */
    for (bool again = true; again;) {
        again = false;
        struct mr__task *t = x->live;
        while (t != NULL) {
            struct mr__task *next = t->live_next;
            if (next != NULL) {
                mr__attempt_call_begin(next);
            }
            if (!t->told_shutdown) {
                again = true;
                t->told_shutdown = true;
                mr__attempt_cancel(t, MR_BY_SHUTDOWN);
            }
            if (next != NULL && !mr__attempt_call_end(next)) {
                break;
            }
            t = next;
        }
    }
    (void)uv_timer_start(&x->shutdown_timer, on_shutdown_timer, (uint64_t)grace_ms, 0);
    check_shutdown(x);
}

static void on_shutdown_timer(uv_timer_t *timer)
{
    struct mr__exec *x = timer->data;
    if (x->killing || x->children == 0) {
        x->killing = x->overdue = true;
        check_shutdown(x);
        return;
    }
    x->killing = true;
    for (struct mr__task *t = x->live; t != NULL; t = t->live_next) {
        if (t->process != NULL) {
            mr__process_end(t->process, 0);
        }
    }
    mr__hosts_kill(x);
    (void)uv_timer_start(&x->shutdown_timer, on_shutdown_timer, KILL_WAIT_MS, 0);
}

/* All attempts are over, or after the grace at least all children; and in any case whatever looks
 * into a dag, which may go from then on. Lua ends soon once it is told. */
static void check_shutdown(struct mr__exec *x)
{
    bool over = x->children == 0 && (x->live == NULL || x->killing);
    if (x->closing && !x->finishing && x->scoped == 0 && (over || x->overdue)) {
        finish_handles(x);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mr__exec *x = handle->data;
    x->handles--;
    mr__exec_less(x);
}

/* Those that are left are in the hands of a worker, or of a plugin's own thread. */
static void leave(struct mr__exec *x, struct mr__task *list)
{
    struct mr__task *next;
    for (struct mr__task *t = list; t != NULL; t = next) {
        next = t->live_next;
        mr__task_close_timers(t);
        mr__signs_end(t);
        mr__task_locks_drop(t);
        if (t->process != NULL) {
            mr__process_forget(t->process);
            t->process = NULL;
        }
        if (t->entry != NULL) {
            t->entry->task = NULL;
            t->entry = NULL;
        }
        t->told = true;
        (void)pthread_mutex_lock(&x->mutex);
        uint32_t state = atomic_load(&t->state); /* An isolated one is in nobody's hands here. */
        bool held = state != MR__TASK_FINISHED && t->action->inner == NULL;
        if (held) {
            x->foreign++;
            atomic_store(&t->state, state == MR__TASK_PENDING ? MR__TASK_ABANDONED : state);
        }
        (void)pthread_mutex_unlock(&x->mutex);
        if (!held) {
            mr__attempt_free(t);
        }
    }
}

static void finish_handles(struct mr__exec *x)
{
    mr__attempt_drain(x);
    x->finishing = true;
    (void)pthread_mutex_lock(&x->mutex);
    x->closed = true;
    x->queue_first = x->queue_last = NULL;
    (void)pthread_cond_broadcast(&x->room);
    (void)pthread_mutex_unlock(&x->mutex);
    mr__hosts_leave(x);
    leave(x, x->live);
    leave(x, x->abandoned);
    x->live = x->abandoned = NULL;
    uv_close((uv_handle_t *)&x->async, on_handle_closed);
    uv_close((uv_handle_t *)&x->shutdown_timer, on_handle_closed);
    uv_close((uv_handle_t *)&x->lock_timer, on_handle_closed);
    uv_close((uv_handle_t *)&x->hosts.timer, on_handle_closed);
}

void mr__exec_less(void *user)
{
    struct mr__exec *x = user;
    if (!x->finishing) {
        check_shutdown(x);
    } else if (x->handles == 0 && x->children == 0) {
        x->shutdown_cb(x->shutdown_user);
    }
}

static void exec_destroy(struct mr__executor *port)
{
    struct mr__exec *x = exec_of(port);
    MR_ASSERT(x->finishing && x->handles == 0);
    destroy_pools(x);
    mr__exec_drain_letters(x); /* of workers that were left behind */
    mr__exec_drop_flushes(x);
    mr__hosts_finish(x);
    mr__child_table_close(&x->table);
    mr__process_stack_finish(&x->stack);
    mr__hash_finish(&x->attempts);
    for (uint32_t i = 0; i < x->entry_block_count; i++) {
        mr__free(x->entry_blocks[i]);
    }
    mr__free(x->entry_blocks);
    if (x->spare != NULL) {
        mr__attempt_free(x->spare);
    }
    for (uint32_t i = 0; i < MR__TASK_QUARANTINE; i++) {
        mr__free(x->quarantine[i]);
    }
    (void)pthread_mutex_lock(&x->mutex);
    while (x->note_count > 0) {
        mr__free(x->notes[--x->note_count]);
    }
    x->destroyed = true;
    bool last = x->foreign == 0;
    (void)pthread_mutex_unlock(&x->mutex);
    if (last) {
        free_core(x);
    }
}

void mr__exec_foreign_less_and_unlock(struct mr__exec *x)
{
    bool last = --x->foreign == 0 && x->destroyed;
    (void)pthread_mutex_unlock(&x->mutex);
    if (last) {
        free_core(x);
    }
}

static void free_core(struct mr__exec *x)
{
    (void)pthread_cond_destroy(&x->stop);
    (void)pthread_cond_destroy(&x->room);
    (void)pthread_mutex_destroy(&x->mutex);
    mr__locks_finish(&x->locks);
    mr__registry_destroy(x->registry);
    mr__free(x->store);
    mr__free(x);
}
