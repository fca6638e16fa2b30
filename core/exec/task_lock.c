/* SPDX-License-Identifier: MIT
 *
 * Locks as an attempt sees them: mr_lock and its like, over the executor's table (locks.h), which
 * its mutex guards. A worker waits asleep; on the loop a wait is a row here, whose end comes
 * through the mailbox. One timer of the loop wakes the table while somebody waits.
 *
 * An attempt lets go of its locks with its end. One that the host has ended while the plugin goes
 * on (it is abandoned) keeps what it holds until its mr_finish, or until the time of each lock is
 * over: it may still be writing.
 */
#include "core/exec/task_host.h"

#include <stdio.h>
#include <stdlib.h>

/* A wait of the loop's. */
struct mr__lock_call {
    struct mr__lock_wait wait; /* stays first */
    struct mr__lock_call *next;
    mr_lock_cb cb;
    void *arg;
};

/* What a call asks for, checked. */
struct asked {
    struct mr__lock_ask ask;
    int64_t wait_ms;
};

static int64_t now_ms(const struct mr__exec *x)
{
    return x->clock->monotonic_ms(x->clock);
}

static struct mr__task *task_of_owner(struct mr__lock_owner *owner)
{
    return MR__CONTAINER(owner, struct mr__task, locks);
}

/* Under the mutex, from within the table's calls. */
void mr__task_lock_ended(void *user, struct mr__lock_wait *wait)
{
    struct mr__task *t = task_of_owner(wait->owner);
    uint32_t state = atomic_load(&t->state);
    mr__signs_heard(t); /* Its time to give another begins now. */
    if (t->action->table->where == MR_ON_WORKER) {
        (void)pthread_cond_broadcast(&t->wake);
    } else if (!t->exec->closed && (state == MR__TASK_RUNNING || state == MR__TASK_PENDING)) {
        mr__attempt_wake_loop(t);
    }
}

/* Under the mutex, after a change: the loop's timer may have to be another. */
static void changed(struct mr__exec *x)
{
    if (!x->closed && mr__locks_next_ms(&x->locks) != x->lock_due_ms) {
        (void)uv_async_send(&x->async);
    }
}

/* ---- what is asked for ------------------------------------------------------------------------
 */

static mr_status check_name(struct mr__task *t, const char *name, struct mr__blob *ret_name)
{
    size_t len = name == NULL ? 0 : strnlen(name, MR__LOCK_NAME_BYTES_MAX + 1);
    if (len == 0 || len > MR__LOCK_NAME_BYTES_MAX || !mr__utf8_valid(name, len)) {
        return mr__task_fail(t, MR_EINVAL, "the name of a lock has 1 to %u bytes of UTF-8",
                             MR__LOCK_NAME_BYTES_MAX);
    }
    *ret_name = (struct mr__blob){name, len};
    return MR_OK;
}

static mr_status check(struct mr__task *t, const char *name, const mr_lock_options *options,
                       struct asked *ret)
{
    *ret = (struct asked){.ask = {.ttl_ms = MR__LOCK_TTL_MS}};
    mr_status status = check_name(t, name, &ret->ask.name);
    if (status != MR_OK) {
        return status;
    }
    if (options != NULL) {
        bool good = MR_HAS(mr_lock_options, options, wait_ms) && options->flags == 0 &&
                    options->ttl_ms >= 0 && options->ttl_ms <= MR__LOCK_TTL_MS_MAX &&
                    options->wait_ms >= -1;
        if (!good) {
            return mr__task_fail(t, MR_EINVAL,
                                 "a lock with options that are none: ttl_ms is at most %d, wait_ms "
                                 "at least -1",
                                 MR__LOCK_TTL_MS_MAX);
        }
        ret->ask.ttl_ms = options->ttl_ms == 0 ? MR__LOCK_TTL_MS : options->ttl_ms;
        ret->wait_ms = options->wait_ms;
    }
    if (t->wait_ms >= 0) {
        return mr__task_fail(t, MR_EINVAL, "a lock after mr_finish_after");
    }
    return MR_OK;
}

static void wait_init(struct mr__lock_wait *wait, const struct asked *asked, int64_t now)
{
    int64_t ms = asked->wait_ms;
    bool for_ever = ms < 0 || ms > INT64_MAX - now;
    *wait = (struct mr__lock_wait){.timer = {.due_ms = for_ever ? INT64_MAX : now + ms},
                                   .ttl_ms = asked->ask.ttl_ms};
}

/* "task build of run 1a2b3c4d", or less where it is not known. Under the mutex. */
static void describe_holder(const struct mr__lock *lock, char *text, size_t size)
{
    const mr_task_info *info =
        lock == NULL ? NULL : atomic_load(&task_of_owner(lock->holder)->info);
    if (info == NULL) {
        (void)snprintf(text, size, "another attempt");
    } else {
        (void)snprintf(text, size, "task %.140s of run %s", info->task_id,
                       info->run_id + strlen(info->run_id) - 8);
    }
}

/* The reason for what a call answers; `holder`: who has it. */
static mr_status answer(struct mr__task *t, mr_status status, const struct asked *asked,
                        const char *holder)
{
    int len = (int)asked->ask.name.len;
    const char *name = asked->ask.name.data;
    switch (status) {
    case MR_EBUSY:
        return mr__task_fail(t, status, "lock \"%.*s\" is held by %s", len, name, holder);
    case MR_ETIMEDOUT:
        return mr__task_fail(t, status, "waited %lld ms for lock \"%.*s\", which is held by %s",
                             (long long)asked->wait_ms, len, name, holder);
    case MR_ELIMIT:
        return mr__task_fail(
            t, status,
            "lock \"%.*s\": more than %u locks of one attempt, or one taken more than %u times",
            len, name, MR__TASK_LOCKS_MAX, MR__LOCK_TAKEN_MAX);
    case MR_ENOMEM: return mr__task_fail(t, status, "%s", mr_status_text(status));
    default: return status;
    }
}

/* ---- taking -----------------------------------------------------------------------------------
 */

/* Worker, under the mutex: until it has it, or is to stop, or its time is over. */
static mr_status wait_asleep(struct mr__task *t, struct mr__lock_wait *wait)
{
    while (wait->lock != NULL && atomic_load(&t->cancel_reason) == MR_NOT_CANCELED) {
        (void)pthread_cond_wait(&t->wake, &t->exec->mutex);
    }
    if (wait->lock != NULL) {
        mr__locks_leave(&t->exec->locks, &t->locks); /* A worker waits for one at a time. */
    }
    return wait->status;
}

mr_status mr__task_lock(mr_task *task, const char *name, const mr_lock_options *options,
                        uint64_t *ret_fence)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    struct mr__lock_wait wait;
    struct asked asked;
    char holder[256] = "";
    uint64_t fence = 0;
    if (!mr__task_may_call(t, "mr_lock")) {
        return MR_EINVAL;
    }
    mr_status status = check(t, name, options, &asked);
    if (status != MR_OK) {
        return status;
    }
    t->asked_locks = true;
    if (asked.wait_ms != 0 && t->action->table->where == MR_ON_WORKER) {
        wait_init(&wait, &asked, now_ms(x));
        asked.ask.wait = &wait;
    }
    (void)pthread_mutex_lock(&x->mutex);
    status = x->closed ? MR_ECANCELED
                       : mr__locks_take(&x->locks, &t->locks, &asked.ask, now_ms(x), &fence);
    changed(x);
    if (status == MR_PENDING) {
        status = wait_asleep(t, &wait);
        fence = wait.fence;
        changed(x);
    }
    if (status == MR_EBUSY || status == MR_ETIMEDOUT) {
        describe_holder(mr__locks_find(&x->locks, asked.ask.name, now_ms(x)), holder,
                        sizeof holder);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (status == MR_OK && ret_fence != NULL) {
        *ret_fence = fence;
    }
    return answer(t, status, &asked, holder);
}

mr_status mr__task_lock_then(mr_task *task, const char *name, const mr_lock_options *options,
                             mr_lock_cb cb, void *arg)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    struct asked asked;
    uint64_t fence = 0;
    bool pends = t->phase == MR__PHASE_RUN || t->action->inner != NULL; /* isolated.c's always do */
    if (t->action->table->where != MR_ON_LOOP || !pends || cb == NULL) {
        return mr__task_misused(t, "mr_lock_then");
    }
    if (!mr__task_may_call(t, "mr_lock_then")) {
        return MR_EINVAL;
    }
    mr_status status = check(t, name, options, &asked);
    if (status != MR_OK) {
        return status;
    }
    if (atomic_load(&t->cancel_reason) != MR_NOT_CANCELED) {
        return MR_ECANCELED;
    }
    struct mr__lock_call *call = mr__calloc(1, sizeof *call);
    if (call == NULL) {
        return answer(t, MR_ENOMEM, &asked, "");
    }
    t->asked_locks = true;
    call->cb = cb;
    call->arg = arg;
    wait_init(&call->wait, &asked, now_ms(x));
    call->wait.owner = &t->locks;
    asked.ask.wait = asked.wait_ms == 0 ? NULL : &call->wait;
    (void)pthread_mutex_lock(&x->mutex);
    status = mr__locks_take(&x->locks, &t->locks, &asked.ask, now_ms(x), &fence);
    bool taken = status == MR_OK || status == MR_PENDING || status == MR_EBUSY;
    if (status == MR_OK || status == MR_EBUSY) { /* Told later, as one that has waited. */
        call->wait.status = status;
        call->wait.fence = fence;
        mr__attempt_wake_loop(t);
    }
    changed(x);
    (void)pthread_mutex_unlock(&x->mutex);
    if (!taken) {
        mr__free(call);
        return answer(t, status, &asked, "");
    }
    struct mr__lock_call **last = &t->lock_calls;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = call;
    return MR_OK;
}

/* The oldest call whose wait has ended, out of the list. **Owned**: free. */
static struct mr__lock_call *pop_ended(struct mr__task *t)
{
    struct mr__lock_call **link = &t->lock_calls, *call;
    (void)pthread_mutex_lock(&t->exec->mutex);
    while (*link != NULL && (*link)->wait.lock != NULL) {
        link = &(*link)->next;
    }
    call = *link;
    if (call != NULL) {
        *link = call->next;
    }
    (void)pthread_mutex_unlock(&t->exec->mutex);
    return call;
}

void mr__task_locks_tell(struct mr__task *t)
{
    struct mr__lock_call *call;
    while (t->lock_calls != NULL && atomic_load(&t->state) == MR__TASK_PENDING &&
           (call = pop_ended(t)) != NULL) {
        call->cb(&t->head, call->wait.status, call->wait.fence, call->arg);
        mr__free(call);
    }
}

/* ---- keeping, letting go ----------------------------------------------------------------------
 */

/* Any thread: whether the attempt runs. Under the mutex. */
static bool runs(const struct mr__task *t)
{
    uint32_t state = atomic_load(&t->state);
    return !t->exec->closed &&
           (state == MR__TASK_RUNNING || state == MR__TASK_QUEUED || state == MR__TASK_PENDING);
}

/* Both are for any thread, where no reason may be set: the status says it all. */
static mr_status change(mr_task *task, const char *name, const char *call, int64_t ttl_ms)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    struct mr__blob blob = {name, name == NULL ? 0 : strnlen(name, MR__LOCK_NAME_BYTES_MAX + 1)};
    if (blob.len == 0 || ttl_ms > MR__LOCK_TTL_MS_MAX) {
        return MR_EINVAL;
    }
    (void)pthread_mutex_lock(&x->mutex);
    bool good = runs(t);
    mr_status status = !good ? MR_EINVAL
                       : ttl_ms < 0
                           ? mr__locks_release(&x->locks, &t->locks, blob, now_ms(x))
                           : mr__locks_renew(&x->locks, &t->locks, blob, ttl_ms, now_ms(x));
    changed(x);
    (void)pthread_mutex_unlock(&x->mutex);
    return good ? status : mr__task_misused(t, call);
}

mr_status mr__task_lock_renew(mr_task *task, const char *name, int64_t ttl_ms)
{
    if (ttl_ms < 0) {
        return MR_EINVAL;
    }
    return change(task, name, "mr_lock_renew", ttl_ms == 0 ? MR__LOCK_TTL_MS : ttl_ms);
}

mr_status mr__task_unlock(mr_task *task, const char *name)
{
    return change(task, name, "mr_unlock", -1);
}

void mr__task_locks_leave(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    if (t->lock_calls == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&x->mutex);
    mr__locks_leave(&x->locks, &t->locks);
    changed(x);
    (void)pthread_mutex_unlock(&x->mutex);
}

void mr__task_locks_drop(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    mr__locks_drop(&x->locks, &t->locks, now_ms(x));
    changed(x);
    (void)pthread_mutex_unlock(&x->mutex);
    while (t->lock_calls != NULL) {
        struct mr__lock_call *call = t->lock_calls;
        t->lock_calls = call->next;
        mr__free(call);
    }
}

/* ---- the loop's timer, and what can be asked --------------------------------------------------
 */

static void on_due(uv_timer_t *timer)
{
    struct mr__exec *x = timer->data;
    (void)pthread_mutex_lock(&x->mutex);
    x->lock_due_ms = INT64_MAX;
    mr__locks_expire(&x->locks, now_ms(x));
    (void)pthread_mutex_unlock(&x->mutex);
    mr__exec_locks_arm(x);
}

void mr__exec_locks_arm(struct mr__exec *x)
{
    (void)pthread_mutex_lock(&x->mutex);
    int64_t due_ms = mr__locks_next_ms(&x->locks);
    bool same = due_ms == x->lock_due_ms || x->closed;
    x->lock_due_ms = due_ms;
    (void)pthread_mutex_unlock(&x->mutex);
    if (same) {
        return;
    }
    (void)uv_timer_stop(&x->lock_timer);
    if (due_ms != INT64_MAX) {
        int64_t left = MR__MAX(due_ms - now_ms(x), 0);
        uv_update_time(x->loop);
        /* One more millisecond: libuv counts whole ones, and firing early would spin. */
        (void)uv_timer_start(&x->lock_timer, on_due, (uint64_t)left + (left > 0), 0);
    }
}

/* The time of a lock may be over at any moment, which another thread then notices. */
bool mr__task_has_locks(struct mr__task *t)
{
    if (!t->asked_locks) {
        return false;
    }
    (void)pthread_mutex_lock(&t->exec->mutex);
    bool has = t->locks.count > 0;
    (void)pthread_mutex_unlock(&t->exec->mutex);
    return has;
}

bool mr__task_waits_for_lock(struct mr__task *t)
{
    (void)pthread_mutex_lock(&t->exec->mutex);
    bool waits = t->locks.waits != NULL;
    (void)pthread_mutex_unlock(&t->exec->mutex);
    return waits;
}

bool mr__task_lock_of(struct mr__task *t, struct mr__lock_waited *ret)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    const struct mr__lock_wait *wait = t->locks.waits;
    if (wait != NULL) {
        const struct mr__task *holder = task_of_owner(wait->lock->holder);
        const mr_task_info *info = atomic_load(&holder->info);
        (void)snprintf(ret->name, sizeof ret->name, "%s", wait->lock->name);
        (void)snprintf(ret->task, sizeof ret->task, "%s", info == NULL ? "" : info->task_id);
        memcpy(ret->run_id, holder->ref.run_id, MR__RUN_ID_BYTES);
        ret->since_ms = x->clock->wall_ms(x->clock) - (now_ms(x) - wait->lock->since_ms);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return wait != NULL;
}
