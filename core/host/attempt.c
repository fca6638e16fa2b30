/* SPDX-License-Identifier: MIT
 *
 * An attempt's phases in a host process. Main thread.
 *
 * A worker's action is simply called. That of a loop may answer MR_PENDING: then this is its loop,
 * with the timers, posts and locks of the one attempt, until mr_finish or a cancel.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "core/host/host.h"

enum { PHASE_BEFORE = 0, PHASE_RUN, PHASE_AFTER };

static struct mr__host_task *make_task(struct mr__channel *channel,
                                       const struct mr__host_plugin *plugin,
                                       const struct mr__wire *start);
static void free_task(struct mr__host_task *t);
static mr_status call_phase(struct mr__host_task *t, bool *ret_spoilt);
static mr_status pend(struct mr__host_task *t, bool *ret_spoilt);
static void send_end(struct mr__host_task *t, struct mr__channel *channel,
                     const struct mr__host_plugin *plugin, mr_status status, bool spoilt);

/* What the attempt may use of the processor, over what this process has used; 0: any again. */
static void limit_cpu(int64_t seconds)
{
    static bool limited;
    struct timespec used;
    struct rlimit limit;
    if ((seconds > 0 || limited) && clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 &&
        getrlimit(RLIMIT_CPU, &limit) == 0) {
        rlim_t soft = (rlim_t)used.tv_sec + (used.tv_nsec > 0) + (rlim_t)seconds;
        limit.rlim_cur = seconds == 0                      ? limit.rlim_max
                         : limit.rlim_max == RLIM_INFINITY ? soft
                                                           : MR__MIN(soft, limit.rlim_max);
        limited = setrlimit(RLIMIT_CPU, &limit) == 0 && seconds > 0;
    }
}

void mr__host_phase(struct mr__channel *channel, const struct mr__host_plugin *plugin,
                    const struct mr__wire *start, struct mr__host_task **slot)
{
    bool spoilt = false;
    mr_status status = MR_OK;
    if (start->number[MR__START_FRESH] != 0) {
        limit_cpu(start->number[MR__START_CPU_S]);
        free_task(*slot);
        *slot = NULL;
        atomic_store(&channel->cancel_reason, MR_NOT_CANCELED);
        if (plugin->table != NULL) {
            *slot = make_task(channel, plugin, start);
        }
    }
    struct mr__host_task *t = *slot;
    if (t != NULL) {
        t->phase = (int)start->number[MR__START_PHASE];
        t->retry = start->number[MR__START_RETRY] != 0;
        t->info.started_at_ms = start->number[MR__START_STARTED_MS];
        t->info.deadline_ms = start->number[MR__START_DEADLINE_MS];
        atomic_store(&t->state, MR__HOST_RUNNING);
        status = call_phase(t, &spoilt);
    } else {
        status = plugin->table == NULL ? plugin->error.status : MR_ENOMEM;
    }
    send_end(t, channel, plugin, status, spoilt);
}

/* ---- an attempt's memory ----------------------------------------------------------------------
 */

static const mr_action *find_action(const mr_plugin *plugin, const char *name)
{
    for (const mr_action *const *at = plugin->actions; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0) {
            return *at;
        }
    }
    return NULL;
}

static bool fill_task(struct mr__host_task *t, const struct mr__wire *start)
{
    const char *texts[MR__START_PARAMS];
    for (int i = 0; i < MR__START_PARAMS; i++) {
        const struct mr__blob *text = &start->text[i];
        texts[i] = mr__arena_dup(&t->arena, text->data == NULL ? "" : text->data, text->len);
        if (texts[i] == NULL) {
            return false;
        }
    }
    t->info = (mr_task_info){.size = sizeof t->info,
                             .attempt = (uint32_t)start->number[MR__START_ATTEMPT],
                             .run_id = texts[MR__START_RUN],
                             .dag_id = texts[MR__START_DAG],
                             .task_id = texts[MR__START_TASK],
                             .idempotency_key = texts[MR__START_KEY],
                             .folder = texts[MR__START_FOLDER],
                             .store = texts[MR__START_STORE]};
    const struct mr__blob *params = &start->text[MR__START_PARAMS];
    const struct mr__blob *vars = &start->text[MR__START_VARS];
    return mr__value_parse(&t->arena, params->data, params->len, &t->params, NULL) == MR_OK &&
           mr__value_parse(&t->arena, vars->data, vars->len, &t->vars, NULL) == MR_OK;
}

/* NULL: out of memory. */
static struct mr__host_task *make_task(struct mr__channel *channel,
                                       const struct mr__host_plugin *plugin,
                                       const struct mr__wire *start)
{
    struct mr__host_task *t = mr__calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&t->mutex, NULL);
    mr__arena_init(&t->arena);
    mr__hash_init(&t->seen);
    t->head.host = &mr__host_calls;
    t->channel = channel;
    t->action = find_action(plugin->table, start->text[MR__START_ACTION].data);
    t->wait_ms = -1;
    for (uint32_t i = 0; i < MR__HOST_TIMERS_MAX; i++) {
        t->timers[i].due_ms = -1;
    }
    if (!fill_task(t, start)) {
        free_task(t);
        return NULL;
    }
    return t;
}

static void drop_posts(struct mr__host_task *t)
{
    (void)pthread_mutex_lock(&t->mutex);
    struct mr__host_post *post = t->first;
    t->first = t->last = NULL;
    (void)pthread_mutex_unlock(&t->mutex);
    while (post != NULL) {
        struct mr__host_post *next = post->next;
        mr__free(post);
        post = next;
    }
}

/* Its struct rests for a while, so that a thread which calls too late is refused. */
static void free_task(struct mr__host_task *t)
{
    static struct mr__host_task *ended[MR__HOST_ENDED];
    static unsigned at;
    if (t == NULL) {
        return;
    }
    atomic_store(&t->state, MR__HOST_OVER);
    drop_posts(t);
    mr__hash_finish(&t->seen);
    mr__arena_finish(&t->arena);
    mr__free(ended[at]);
    ended[at] = t;
    at = (at + 1) % MR__HOST_ENDED;
}

/* ---- phases -----------------------------------------------------------------------------------
 */

static mr_status short_phase(struct mr__host_task *t, const char *name,
                             mr_status (*phase)(mr_task *t))
{
    mr_status status = phase == NULL ? MR_OK : phase(&t->head);
    if (status == MR_PENDING) {
        return mr__host_fail(t, MR_EFAILED, "%s answered MR_PENDING, as only run may", name);
    }
    return status <= 0 ? status : mr__host_fail(t, MR_EFAILED, "%s answered %d", name, status);
}

static mr_status run(struct mr__host_task *t, bool *ret_spoilt)
{
    mr_status status = t->action->run(&t->head);
    if (status == MR_PENDING && t->action->where == MR_ON_LOOP) {
        return t->wait_ms >= 0 ? MR_OK : pend(t, ret_spoilt);
    }
    t->wait_ms = -1;
    if (status > 0) {
        return mr__host_fail(t, MR_EFAILED,
                             t->action->where == MR_ON_LOOP
                                 ? "the action answered %d"
                                 : "the action answered %d on a worker thread",
                             status);
    }
    return status;
}

static mr_status call_phase(struct mr__host_task *t, bool *ret_spoilt)
{
    mr_status status = MR_OK;
    if (t->action == NULL) {
        return mr__host_fail(t, MR_EABI, "the plugin's file has no such action any more");
    }
    switch (t->phase) {
    case PHASE_BEFORE:
        if (t->retry) {
            status = short_phase(t, "retry_before", t->action->retry_before);
        }
        return status != MR_OK ? status : short_phase(t, "run_before", t->action->run_before);
    case PHASE_RUN: return run(t, ret_spoilt);
    default: return short_phase(t, "run_after", t->action->run_after);
    }
}

/* ---- a pending action's loop ------------------------------------------------------------------
 */

static bool is_pending(struct mr__host_task *t)
{
    return atomic_load(&t->state) == MR__HOST_PENDING;
}

static void run_posts(struct mr__host_task *t)
{
    (void)pthread_mutex_lock(&t->mutex);
    struct mr__host_post *post = t->first;
    t->first = t->last = NULL;
    (void)pthread_mutex_unlock(&t->mutex);
    while (post != NULL) {
        struct mr__host_post *next = post->next;
        if (is_pending(t)) {
            post->cb(&t->head, post->arg);
        }
        mr__free(post);
        post = next;
    }
}

/* Calls what is due; how long to wait for the next one, -1: there is none. */
static int64_t run_timers(struct mr__host_task *t)
{
    int64_t next = -1, now = mr__host_now_ms();
    for (uint32_t i = 0; i < MR__HOST_TIMERS_MAX && is_pending(t); i++) {
        struct mr__host_timer timer = t->timers[i];
        if (timer.due_ms >= 0 && timer.due_ms <= now) {
            t->timers[i].due_ms = -1;
            timer.cb(&t->head, timer.arg);
        }
    }
    for (uint32_t i = 0; i < MR__HOST_TIMERS_MAX; i++) {
        int64_t due_ms = t->timers[i].due_ms;
        if (due_ms >= 0 && (next < 0 || due_ms - now < next)) {
            next = MR__MAX(due_ms - now, 0);
        }
    }
    return next;
}

static void take_lock(struct mr__host_task *t, const struct mr__wire *m)
{
    struct mr__host_lock **link = &t->locks;
    while (*link != NULL && (*link)->number != m->number[0]) {
        link = &(*link)->next;
    }
    struct mr__host_lock *lock = *link;
    if (lock != NULL) {
        *link = lock->next;
        if (is_pending(t)) {
            lock->cb(&t->head, (mr_status)m->number[1], (uint64_t)m->number[2], lock->arg);
        }
    }
}

static void take_letters(struct mr__host_task *t)
{
    struct mr__letter_in *letter;
    while ((letter = mr__channel_take(t->channel)) != NULL) {
        if (letter->message.kind == MR__WIRE_LOCKED) {
            take_lock(t, &letter->message);
        }
        mr__free(letter);
    }
}

/* As in the engine: without a `cancel` it ends at once, and what the plugin still does of it makes
 * this process one that is not used again. */
static bool end_by_cancel(struct mr__host_task *t)
{
    if (t->cancel_called || atomic_load(&t->channel->cancel_reason) == MR_NOT_CANCELED) {
        return false;
    }
    t->cancel_called = true;
    if (t->action->cancel == NULL) {
        return true;
    }
    t->action->cancel(&t->head);
    return false;
}

static mr_status pend(struct mr__host_task *t, bool *ret_spoilt)
{
    (void)pthread_mutex_lock(&t->mutex);
    if (atomic_load(&t->state) == MR__HOST_RUNNING) { /* else it has finished in between */
        atomic_store(&t->state, MR__HOST_PENDING);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    while (is_pending(t)) {
        if (end_by_cancel(t)) {
            *ret_spoilt = true;
            return MR_ECANCELED;
        }
        run_posts(t);
        take_letters(t);
        int64_t ms = run_timers(t);
        if (is_pending(t)) {
            (void)mr__channel_wait(t->channel, ms);
        }
    }
    mr_status status = t->finish_status;
    return status <= 0 ? status
                       : mr__host_fail(t, MR_EFAILED, "the action finished with %d", status);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Whether the plugin leaves descriptors open with each attempt: new ones get the lowest numbers. */
static bool leaks(const struct mr__host_plugin *plugin)
{
    return fcntl(plugin->lowest + (int)MR__HOST_LEAK_MAX, F_GETFD) >= 0;
}

/* Whether the plugin has left a child behind: it would speak and count for the next attempt. */
static bool has_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void send_end(struct mr__host_task *t, struct mr__channel *channel,
                     const struct mr__host_plugin *plugin, mr_status status, bool spoilt)
{
    const char *reason = t != NULL               ? t->reason
                         : plugin->table == NULL ? plugin->error.message
                                                 : NULL;
    int64_t wait_ms = t != NULL && status == MR_OK ? t->wait_ms : -1;
    if (t != NULL) {
        atomic_store(&t->state, MR__HOST_OVER);
        drop_posts(t);
    }
    spoilt = spoilt || plugin->table == NULL || leaks(plugin) || has_child() ||
             atomic_load(&channel->misused);
    struct mr__wire m = {
        .kind = MR__WIRE_END, .number = {status, wait_ms, spoilt}, .text = {mr__wire_text(reason)}};
    /* What it printed comes before its end. Other streams are the plugin's: a thread of its own
     * that waits in one would have its lock. */
    (void)fflush(stdout);
    (void)fflush(stderr);
    if (mr__channel_send(channel, &m) != MR_OK) {
        mr__channel_die();
    }
}
