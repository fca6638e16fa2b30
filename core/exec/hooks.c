/* SPDX-License-Identifier: MIT
 *
 * A run's hooks: pieces of Lua that are called one after the other on a worker, with the acting
 * tier, on threads that no action can hold. What goes wrong in one is traced and changes nothing.
 * Loop thread, but for work() and the acts.
 *
 * As with evaluations, a shutdown waits for what a worker has begun: it ends at the next look at
 * whether it is canceled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/exec/lua_task.h"
#include "core/exec/task_host.h"

struct mr__hook_job {
    struct mr__letter letter; /* stays first */
    struct mr__pool_job job;
    struct mr__exec *exec;
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t mask;
    struct mr__scope_copy *scope;
    struct mr__share *share;
    struct mr__buf json, key;             /* what the scope shows of the share data */
    int64_t due_ms;                       /* monotonic: when the hook that runs is out of time */
    _Atomic uint32_t lines;               /* on their way to the loop */
    struct mr__hook_job *next, *previous; /* loop */
};

/* A line of a trace or of a log, on its way. */
struct line {
    struct mr__letter letter; /* stays first */
    struct mr__hook_job *hook;
    uint32_t stream; /* 0: a trace */
    size_t len;
    char bytes[];
};

static struct mr__attempt_ref ref_of(const struct mr__hook_job *hook)
{
    struct mr__attempt_ref ref = {.task = MR__HOOK_TASK};
    memcpy(ref.run_id, hook->run_id, sizeof ref.run_id);
    return ref;
}

static void line_arrived(struct mr__exec *x, struct mr__letter *letter)
{
    struct line *line = (struct line *)letter;
    struct mr__attempt_ref ref = ref_of(line->hook);
    atomic_fetch_sub(&line->hook->lines, 1);
    if (!x->closing && line->stream == 0) {
        x->events.trace(x->events.user, &ref, line->bytes, line->len);
    } else if (!x->closing) {
        x->events.log(x->events.user, &ref, line->stream, line->bytes, line->len);
    }
    mr__free(line);
}

/* Beyond its bound a hook's lines are dropped: it cannot be made to wait for the loop, which waits
 * for it. */
static void send_line(struct mr__hook_job *hook, uint32_t stream, const char *bytes, size_t len)
{
    struct line *line = NULL;
    if (atomic_load(&hook->lines) < MR__HOOK_LINES_MAX) {
        line = mr__malloc(sizeof *line + len);
    }
    if (line == NULL) {
        return;
    }
    *line = (struct line){
        .letter = {.deliver = line_arrived}, .hook = hook, .stream = stream, .len = len};
    memcpy(line->bytes, bytes, len);
    atomic_fetch_add(&hook->lines, 1);
    bool posted = mr__exec_post(hook->exec, &line->letter);
    MR_ASSERT(posted); /* The end waits for what is scoped. */
}

/* ---- the acts: a worker -----------------------------------------------------------------------
 */

static void hook_trace(void *user, const char *text, size_t len)
{
    char line[MR__TRACE_LINE_BYTES_MAX];
    len = mr__task_trace_line(line, text, len);
    send_line(user, 0, line, len);
}

static void hook_log(void *user, uint32_t stream, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t part = MR__MIN(len, MR__LOG_CHUNK_BYTES_MAX);
        send_line(user, stream, bytes, part);
        bytes += part;
        len -= part;
    }
}

static bool hook_canceled(void *user)
{
    return atomic_load(&((struct mr__hook_job *)user)->exec->stopping);
}

static int64_t hook_now_ms(void *user)
{
    struct mr__clock *clock = mr__clock_system();
    return clock->wall_ms(clock);
}

/* At most until the hook is out of time. */
static mr_status hook_sleep(void *user, int64_t ms)
{
    struct mr__hook_job *hook = user;
    struct mr__exec *x = hook->exec;
    struct mr__clock *clock = mr__clock_system();
    int64_t left = MR__MAX(hook->due_ms - clock->monotonic_ms(clock), 0);
    struct timespec until = mr__task_time_after(MR__MIN(ms, left));
    int result = 0;
    (void)pthread_mutex_lock(&x->mutex);
    while (!atomic_load(&x->stopping) && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&x->stop, &x->mutex, &until);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return atomic_load(&x->stopping) ? MR_ECANCELED : ms > left ? MR_ETIMEDOUT : MR_OK;
}

static bool hook_share(const struct mr__scope *scope, const char *key, size_t len,
                       struct mr__blob *ret_json)
{
    struct mr__hook_job *hook = scope->user;
    mr__buf_reset(&hook->json);
    bool there = mr__share_get(hook->share, key, len, &hook->json);
    *ret_json = (struct mr__blob){(const char *)hook->json.data, hook->json.len};
    return there;
}

static bool hook_share_next(const struct mr__scope *scope, struct mr__blob after,
                            struct mr__blob *ret_key)
{
    struct mr__hook_job *hook = scope->user;
    mr__buf_reset(&hook->key);
    bool there = mr__share_next(hook->share, after, &hook->key);
    *ret_key = (struct mr__blob){(const char *)hook->key.data, hook->key.len};
    return there;
}

static bool hook_task(const struct mr__scope *scope, uint32_t task, struct mr__scope_task *ret_task)
{
    const struct mr__scope *copy = &((struct mr__hook_job *)scope->user)->scope->scope;
    return copy->task(copy, task, ret_task);
}

/* ---- calling ----------------------------------------------------------------------------------
 */

static void call_hook(struct mr__hook_job *hook, const struct mr__scope *scope, uint32_t number)
{
    const struct mr__lua_acts acts = {.user = hook,
                                      .trace = hook_trace,
                                      .log = hook_log,
                                      .sleep = hook_sleep,
                                      .canceled = hook_canceled,
                                      .now_ms = hook_now_ms};
    struct mr__lua_budget budget = mr__lua_budget_acting;
    struct mr__clock *clock = mr__clock_system();
    struct mr__buf output = {0};
    struct mr__lua *lua;
    char line[MR_ERROR_MESSAGE_BYTES + 64];
    mr_error error;
    budget.ms = hook->exec->hook_ms;
    hook->due_ms = clock->monotonic_ms(clock) + budget.ms;
    mr_status status = mr__lua_of_worker(&lua, &error);
    if (status == MR_OK) {
        status =
            mr__lua_run(lua, scope, scope->dag->hooks[number], &acts, &budget, &output, &error);
    }
    if (status != MR_OK) {
        int len = snprintf(line, sizeof line, "hook %s failed: %s", mr__hook_names[number],
                           error.message);
        hook_trace(hook, line, MR__MIN((size_t)MR__MAX(len, 0), sizeof line - 1));
    }
    mr__buf_finish(&output);
}

static void work(struct mr__pool_job *job)
{
    struct mr__hook_job *hook = MR__CONTAINER(job, struct mr__hook_job, job);
    struct mr__scope scope = hook->scope->scope;
    if (hook->share != NULL) {
        scope.user = hook;
        scope.task = scope.task == NULL ? NULL : hook_task;
        scope.share = hook_share;
        scope.share_next = hook_share_next;
    }
    for (uint32_t i = 0; i < MR__HOOKS && !atomic_load(&hook->exec->stopping); i++) {
        if ((hook->mask & 1u << i) != 0 && scope.dag->hooks[i] != MR__NO_SCRIPT) {
            call_hook(hook, &scope, i);
        }
    }
    bool posted = mr__exec_post(hook->exec, &hook->letter);
    MR_ASSERT(posted);
}

static void hook_free(struct mr__hook_job *hook)
{
    mr__scope_copy_destroy(hook->scope);
    mr__share_unref(hook->share);
    mr__buf_finish(&hook->json);
    mr__buf_finish(&hook->key);
    mr__free(hook);
}

static void unlink_job(struct mr__hook_job *hook)
{
    struct mr__exec *x = hook->exec;
    if (hook->next != NULL) {
        hook->next->previous = hook->previous;
    }
    *(hook->previous == NULL ? &x->hooks : &hook->previous->next) = hook->next;
    x->scoped--;
}

/* Loop: all are through, and their lines have been delivered, as letters keep their order. */
static void over(struct mr__exec *x, struct mr__letter *letter)
{
    struct mr__hook_job *hook = (struct mr__hook_job *)letter;
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t mask = hook->mask;
    memcpy(run_id, hook->run_id, sizeof run_id);
    unlink_job(hook);
    hook_free(hook);
    if (!x->closing) {
        x->events.hooked(x->events.user, run_id, mask);
    }
}

/* They could not be called at all. */
static void refuse(struct mr__exec *x, const struct mr__hook_call *call)
{
    static const char line[] = "hooks could not be called: out of memory";
    struct mr__attempt_ref ref = {.task = MR__HOOK_TASK};
    memcpy(ref.run_id, call->run_id, sizeof ref.run_id);
    mr__scope_copy_destroy(call->scope);
    x->events.trace(x->events.user, &ref, line, sizeof line - 1);
    x->events.hooked(x->events.user, call->run_id, call->mask);
}

void mr__exec_hook(struct mr__exec *x, const struct mr__hook_call *call)
{
    if (x->closing) {
        mr__scope_copy_destroy(call->scope);
        return;
    }
    struct mr__hook_job *hook = mr__calloc(1, sizeof *hook);
    if (hook == NULL) {
        refuse(x, call);
        return;
    }
    hook->letter.deliver = over;
    hook->job.run = work;
    hook->exec = x;
    hook->mask = call->mask;
    hook->scope = call->scope;
    memcpy(hook->run_id, call->run_id, sizeof hook->run_id);
    hook->share = call->share == NULL ? NULL : mr__share_ref(call->share);
    if (mr__pool_submit(x->hookers, &hook->job) != MR_OK) {
        mr__share_unref(hook->share);
        mr__free(hook);
        refuse(x, call);
        return;
    }
    hook->next = x->hooks;
    if (x->hooks != NULL) {
        x->hooks->previous = hook;
    }
    x->hooks = hook;
    x->scoped++;
}

void mr__exec_hook_close(struct mr__exec *x)
{
    struct mr__hook_job *next;
    for (struct mr__hook_job *hook = x->hooks; hook != NULL; hook = next) {
        next = hook->next;
        if (mr__pool_remove(x->hookers, &hook->job)) {
            unlink_job(hook);
            hook_free(hook);
        }
    }
}
