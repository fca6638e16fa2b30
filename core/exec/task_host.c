/* SPDX-License-Identifier: MIT
 *
 * The host's calls: what an action can do (millrace/plugin.h has the contract of each). A call
 * comes from the thread that runs the action unless its comment there says "any thread"; what
 * belongs to another moment or thread than it may is refused with MR_EINVAL and noted in the log.
 */
#include "core/exec/task_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void set_reason(struct mr__task *t, const char *fmt, va_list args);

bool mr__task_on_loop(const struct mr__exec *x)
{
    uv_thread_t self = uv_thread_self();
    return x->loop_known && uv_thread_equal(&self, &x->loop_thread) != 0;
}

void mr__task_note(struct mr__exec *x, const char *fmt, ...)
{
    va_list args;
    char line[256];
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (mr__task_on_loop(x)) {
        if (x->log != NULL) {
            x->log(x->log_user, 1, line);
        }
        return;
    }
    char *copy = mr__strdup(line);
    (void)pthread_mutex_lock(&x->mutex);
    bool kept = copy != NULL && !x->closed && x->note_count < MR__EXEC_NOTES_MAX;
    if (kept) {
        x->notes[x->note_count++] = copy;
        (void)uv_async_send(&x->async);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (!kept) {
        mr__free(copy);
    }
}

mr_status mr__task_misused(struct mr__task *t, const char *call)
{
    static const char *const states[] = {"after the attempt's end",
                                         "before it answered MR_PENDING",
                                         "on a worker",
                                         "while it is pending",
                                         "after mr_finish",
                                         "after it was canceled",
                                         "between its phases"};
    uint32_t state = atomic_load(&t->state);
    mr__task_note(t->exec, "action \"%s\" called %s %s: refused", t->action->name, call,
                  states[MR__MIN(state, MR__COUNT(states) - 1)]);
    return MR_EINVAL;
}

bool mr__task_may_call(struct mr__task *t, const char *call)
{
    uint32_t state = atomic_load(&t->state);
    bool on_loop = mr__task_on_loop(t->exec);
    bool good = t->action->table->where == MR_ON_LOOP
                    ? on_loop && (state == MR__TASK_RUNNING || state == MR__TASK_PENDING)
                    : !on_loop && state == MR__TASK_QUEUED;
    if (!good) {
        (void)mr__task_misused(t, call);
    }
    return good;
}

size_t mr__task_cut(const char *bytes, size_t len, size_t max)
{
    if (len <= max) {
        return len;
    }
    size_t at = max;
    while (at > 0 && max - at < 4 && ((unsigned char)bytes[at] & 0xc0) == 0x80) {
        at--;
    }
    return ((unsigned char)bytes[at] & 0xc0) == 0x80 ? max : at;
}

/* ---- memory, and what it is told --------------------------------------------------------------
 */

static void *host_alloc(mr_task *task, size_t bytes)
{
    return mr__arena_alloc(&mr__task_of(task)->arena, bytes);
}

static char *host_format(mr_task *task, const char *fmt, va_list args)
{
    return fmt == NULL ? NULL : mr__arena_vprintf(&mr__task_of(task)->arena, fmt, args);
}

/* One block: the struct, then its texts. The idempotency key is a hash of the run's id and all of
 * the task's, which for a child of a fan-out is longer than any in a dag file; in hexadecimal: the
 * same for all attempts, fit for a header or a file name. */
static const mr_task_info *make_info(const struct mr__task *t)
{
    const struct mr__attempt *a = t->attempt;
    const char *folder = a->folder == NULL ? "" : a->folder;
    size_t dag_len = strlen(a->dag_id) + 1, task_len = strlen(a->task_id) + 1;
    size_t folder_len = strlen(folder) + 1;
    mr_task_info *info = mr__calloc(1, sizeof *info + MR__RUN_ID_TEXT_BYTES + 33 + dag_len +
                                           task_len + folder_len + MR__RUN_ID_BYTES);
    if (info == NULL) {
        return NULL;
    }
    char *run_id = (char *)(info + 1), *key = run_id + MR__RUN_ID_TEXT_BYTES, *dag_id = key + 33;
    char *hashed = dag_id + dag_len, *task_id = hashed + MR__RUN_ID_BYTES;
    char *copy = task_id + task_len;
    uint8_t digest[16];
    mr__id_text(t->ref.run_id, run_id);
    memcpy(dag_id, a->dag_id, dag_len);
    memcpy(hashed, t->ref.run_id, MR__RUN_ID_BYTES);
    memcpy(task_id, a->task_id, task_len);
    memcpy(copy, folder, folder_len);
    mr__hash128(hashed, MR__RUN_ID_BYTES + task_len - 1, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        key[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        key[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    *info = (mr_task_info){.size = sizeof *info,
                           .attempt = t->ref.attempt,
                           .run_id = run_id,
                           .dag_id = dag_id,
                           .task_id = task_id,
                           .idempotency_key = key,
                           .folder = copy,
                           .store = t->exec->store == NULL ? "" : t->exec->store,
                           .started_at_ms = a->started_at_ms,
                           .deadline_ms = a->deadline_ms};
    return info;
}

static const mr_task_info *host_info(mr_task *task)
{
    static const mr_task_info none = {.size = sizeof none,
                                      .run_id = "",
                                      .dag_id = "",
                                      .task_id = "",
                                      .idempotency_key = "",
                                      .folder = "",
                                      .store = ""};
    struct mr__task *t = mr__task_of(task);
    const mr_task_info *info = atomic_load_explicit(&t->info, memory_order_acquire);
    if (info != NULL) {
        return info;
    }
    (void)pthread_mutex_lock(&t->exec->mutex);
    info = atomic_load_explicit(&t->info, memory_order_acquire);
    if (info == NULL && t->attempt != NULL) {
        info = make_info(t);
        atomic_store_explicit(&t->info, info, memory_order_release);
    }
    (void)pthread_mutex_unlock(&t->exec->mutex);
    return info == NULL ? &none : info;
}

static mr_status copy_vars(struct mr__task *t)
{
    const mr_value *vars = t->attempt->vars;
    t->vars_copied = true;
    return vars == NULL || vars->len == 0 ? MR_OK : mr__value_dup(&t->arena, vars, &t->vars);
}

mr_status mr__task_snapshot(struct mr__task *t)
{
    (void)host_info(&t->head);
    if (atomic_load(&t->info) == NULL) {
        return MR_ENOMEM;
    }
    if (t->share == NULL && t->attempt != NULL && t->attempt->share != NULL) {
        t->share = mr__share_ref(t->attempt->share);
    }
    return t->vars_copied ? MR_OK : copy_vars(t);
}

void mr__task_set_times(struct mr__task *t, const struct mr__attempt *attempt)
{
    mr_task_info *info = (mr_task_info *)(uintptr_t)atomic_load(&t->info);
    info->started_at_ms = attempt->started_at_ms;
    info->deadline_ms = attempt->deadline_ms;
}

static const mr_value *host_param(mr_task *task, const char *name)
{
    return name == NULL ? NULL : mr_value_get(&mr__task_of(task)->params, name);
}

static const mr_value *host_vars(mr_task *task)
{
    struct mr__task *t = mr__task_of(task);
    bool there = t->vars_copied || t->attempt == NULL || copy_vars(t) == MR_OK;
    return there ? &t->vars : NULL;
}

static const mr_value *host_var(mr_task *task, const char *name)
{
    return name == NULL ? NULL : mr_value_get(host_vars(task), name);
}

/* ---- trace, log, failure ----------------------------------------------------------------------
 */

static struct mr__message *make_message(enum mr__message_kind kind, const char *bytes, size_t len)
{
    struct mr__message *message = mr__malloc(sizeof *message + len);
    if (message != NULL) {
        *message = (struct mr__message){.kind = kind, .len = len};
        if (len > 0) {
            memcpy(message->bytes, bytes, len);
        }
    }
    return message;
}

size_t mr__task_trace_line(char ret_line[MR__TRACE_LINE_BYTES_MAX], const char *text, size_t len)
{
    size_t bytes = mr__task_cut(text, len, MR__TRACE_LINE_BYTES_MAX);
    for (size_t i = 0; i < bytes; i++) {
        ret_line[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
    }
    return bytes;
}

static void host_trace(mr_task *task, const char *fmt, va_list args)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    char text[MR__TRACE_LINE_BYTES_MAX + 4], line[MR__TRACE_LINE_BYTES_MAX];
    int len = fmt == NULL ? -1 : vsnprintf(text, sizeof text, fmt, args);
    if (len < 0) {
        return;
    }
    size_t bytes = mr__task_trace_line(line, text, MR__MIN((size_t)len, sizeof text - 1));
    if (!mr__task_on_loop(x)) {
        struct mr__message *message = make_message(MR__MESSAGE_TRACE, line, bytes);
        if (message != NULL) {
            (void)mr__attempt_push(t, message);
        }
    } else if (!t->told && !x->closing) {
        mr__task_log_flush(t);
        x->events.trace(x->events.user, &t->ref, line, bytes);
    }
}

static void host_log(mr_task *task, uint32_t stream, const char *bytes, size_t len)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    if ((stream != MR_STDOUT && stream != MR_STDERR) || (bytes == NULL && len > 0)) {
        (void)mr__task_misused(t, "mr_log with an unknown stream or without bytes");
        return;
    }
    bool on_loop = mr__task_on_loop(x);
    while (len > 0) {
        size_t part = MR__MIN(len, MR__LOG_CHUNK_BYTES_MAX);
        if (!on_loop) {
            struct mr__message *message = make_message(MR__MESSAGE_LOG, bytes, part);
            if (message == NULL) {
                return;
            }
            message->stream = stream;
            if (mr__attempt_push(t, message) != MR_OK) {
                return;
            }
        } else if (!t->told && !x->closing) {
            mr__task_log_add(t, stream, bytes, part);
        }
        bytes += part;
        len -= part;
    }
}

static void host_log_line(mr_task *task, uint32_t level, const char *fmt, va_list args)
{
    static const char *const levels[] = {"error: ", "warning: ", "", "debug: "};
    char line[MR__LOG_LINE_BYTES_MAX + 4]; /* the level, the text, a newline */
    if (level >= MR__COUNT(levels)) {
        (void)mr__task_misused(mr__task_of(task), "mr_logf with an unknown level");
        return;
    }
    size_t at = strlen(levels[level]);
    memcpy(line, levels[level], at);
    int len = fmt == NULL ? -1 : vsnprintf(line + at, sizeof line - at, fmt, args);
    if (len < 0) {
        return;
    }
    size_t end = at + mr__task_cut(line + at, MR__MIN((size_t)len, sizeof line - at - 1),
                                   MR__LOG_LINE_BYTES_MAX - 1 - at);
    for (; at < end; at++) {
        line[at] = line[at] == '\n' || line[at] == '\r' ? ' ' : line[at];
    }
    line[end] = '\n';
    host_log(task, level <= MR_LOG_WARNING ? MR_STDERR : MR_STDOUT, line, end + 1);
}

/* All of an attempt share their memory: some calls are tried in a loop. */
static void set_reason(struct mr__task *t, const char *fmt, va_list args)
{
    char text[MR__REASON_BYTES_MAX + 4];
    int len = fmt == NULL ? -1 : vsnprintf(text, sizeof text, fmt, args);
    if (len < 0) {
        return; /* No text: what stands, or else that of the status. */
    }
    size_t bytes = mr__task_cut(text, MR__MIN((size_t)len, sizeof text - 1), MR__REASON_BYTES_MAX);
    if (bytes >= t->reason_room) {
        size_t room = MR__MAX(bytes + 1, 2 * t->reason_room);
        char *memory = mr__arena_alloc(&t->arena, room);
        if (memory == NULL) {
            t->reason = NULL;
            return;
        }
        t->reason_memory = memory;
        t->reason_room = room;
    }
    memcpy(t->reason_memory, text, bytes);
    t->reason_memory[bytes] = '\0';
    t->reason = t->reason_memory;
}

mr_status mr__task_fail(struct mr__task *t, mr_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_reason(t, fmt, args);
    va_end(args);
    return status;
}

static mr_status host_fail(mr_task *task, mr_status status, const char *fmt, va_list args)
{
    set_reason(mr__task_of(task), fmt, args);
    return status;
}

/* ---- cancel, sleep, finish --------------------------------------------------------------------
 */

static uint32_t host_cancel_reason(mr_task *task)
{
    return atomic_load(&mr__task_of(task)->cancel_reason);
}

struct timespec mr__task_time_after(int64_t ms)
{
    struct timespec until;
    ms = MR__MIN(MR__MAX(ms, 0), INT64_C(100) * 366 * 86400 * 1000);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

static mr_status host_sleep(mr_task *task, int64_t ms)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    if (atomic_load(&t->state) != MR__TASK_QUEUED || mr__task_on_loop(x)) {
        return mr__task_misused(t, "mr_sleep");
    }
    struct timespec until = mr__task_time_after(ms);
    int result = 0;
    (void)pthread_mutex_lock(&x->mutex);
    while (atomic_load(&t->cancel_reason) == MR_NOT_CANCELED && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&t->wake, &x->mutex, &until);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return atomic_load(&t->cancel_reason) == MR_NOT_CANCELED ? MR_OK : MR_ECANCELED;
}

/* Of an attempt that the host has ended already: its memory goes with this call. */
static mr_status finish_abandoned_and_unlock(struct mr__task *t, bool on_loop)
{
    struct mr__exec *x = t->exec;
    if (x->closed) {
        mr__attempt_free(t);
        mr__exec_foreign_less_and_unlock(x);
        return MR_OK;
    }
    atomic_store(&t->state, MR__TASK_FINISHED);
    t->finish_posted = !on_loop;
    if (!on_loop) {
        mr__attempt_wake_loop(t);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (on_loop) {
        mr__attempt_finished(t);
    }
    return MR_OK;
}

static mr_status host_finish(mr_task *task, mr_status status)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    bool on_loop = mr__task_on_loop(x);
    (void)pthread_mutex_lock(&x->mutex);
    uint32_t state = atomic_load(&t->state);
    if (state == MR__TASK_ABANDONED) {
        return finish_abandoned_and_unlock(t, on_loop);
    }
    bool allowed = state == MR__TASK_PENDING ||
                   (state == MR__TASK_RUNNING && t->action->table->where == MR_ON_LOOP &&
                    t->phase == MR__PHASE_RUN && t->wait_ms < 0);
    if (!allowed) {
        (void)pthread_mutex_unlock(&x->mutex);
        return mr__task_misused(t, "mr_finish");
    }
    atomic_store(&t->state, MR__TASK_FINISHED);
    t->finish_status = status;
    t->finish_posted = !on_loop;
    if (!on_loop) {
        mr__attempt_wake_loop(t);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (on_loop && state == MR__TASK_PENDING) {
        mr__attempt_finished(t); /* In `run`, its answer is waited for. */
        if (x->foreign_loop) {
            /* This may be a callback of the program's that comes after the engine's last look. */
            (void)uv_async_send(&x->async);
        }
    }
    return MR_OK;
}

static mr_status host_finish_after(mr_task *task, int64_t ms)
{
    struct mr__task *t = mr__task_of(task);
    if (!mr__task_on_loop(t->exec) || atomic_load(&t->state) != MR__TASK_RUNNING ||
        t->phase != MR__PHASE_RUN) {
        return mr__task_misused(t, "mr_finish_after");
    }
    if (ms < 0 || t->wait_ms >= 0 || t->output.count > 0 || t->process != NULL ||
        mr__task_share_unsaved(t) || mr__task_has_locks(t)) {
        return mr__task_fail(
            t, MR_EINVAL,
            "mr_finish_after twice, with a child, an output, unsaved share data or a lock, or "
            "below zero");
    }
    t->wait_ms = ms;
    return MR_OK;
}

/* ---- timers and posts -------------------------------------------------------------------------
 */

static void timer_on_closed(uv_handle_t *handle)
{
    struct mr__task_timer *timer = (struct mr__task_timer *)handle;
    struct mr__exec *x = timer->exec;
    mr__free(timer);
    x->handles--;
    mr__exec_less(x);
}

static void timer_on_due(uv_timer_t *handle)
{
    struct mr__task_timer *timer = (struct mr__task_timer *)handle;
    struct mr__task *t = timer->task;
    struct mr__task_timer **link = &t->timers;
    while (*link != timer) {
        link = &(*link)->next;
    }
    *link = timer->next;
    t->timer_count--;
    void (*cb)(mr_task * task, void *arg) = timer->cb;
    void *arg = timer->arg;
    uv_close((uv_handle_t *)handle, timer_on_closed);
    if (atomic_load(&t->state) == MR__TASK_PENDING) {
        mr__attempt_call_begin(t);
        cb(&t->head, arg);
        (void)mr__attempt_call_end(t);
    }
}

static mr_status host_timer(mr_task *task, int64_t ms, void (*cb)(mr_task *t, void *arg), void *arg)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    uint32_t state = atomic_load(&t->state);
    if (t->action->table->where != MR_ON_LOOP || !mr__task_on_loop(x) || cb == NULL ||
        t->phase != MR__PHASE_RUN || (state != MR__TASK_RUNNING && state != MR__TASK_PENDING)) {
        return mr__task_misused(t, "mr_timer");
    }
    if (t->timer_count == MR__TASK_TIMERS_MAX) {
        return MR_ELIMIT;
    }
    struct mr__task_timer *timer = mr__calloc(1, sizeof *timer);
    if (timer == NULL) {
        return MR_ENOMEM;
    }
    *timer = (struct mr__task_timer){.exec = x, .task = t, .next = t->timers, .cb = cb, .arg = arg};
    (void)uv_timer_init(x->loop, &timer->timer);
    (void)uv_timer_start(&timer->timer, timer_on_due, (uint64_t)MR__MAX(ms, 0), 0);
    t->timers = timer;
    t->timer_count++;
    x->handles++;
    return MR_OK;
}

void mr__task_close_timers(struct mr__task *t)
{
    while (t->timers != NULL) {
        struct mr__task_timer *timer = t->timers;
        t->timers = timer->next;
        timer->task = NULL;
        uv_close((uv_handle_t *)&timer->timer, timer_on_closed);
    }
    t->timer_count = 0;
}

static mr_status host_post(mr_task *task, void (*cb)(mr_task *t, void *arg), void *arg)
{
    struct mr__task *t = mr__task_of(task);
    if (cb == NULL || t->action->table->where != MR_ON_LOOP) {
        return mr__task_misused(t, "mr_post");
    }
    struct mr__message *message = make_message(MR__MESSAGE_POST, NULL, 0);
    if (message == NULL) {
        return MR_ENOMEM;
    }
    message->cb = cb;
    message->arg = arg;
    return mr__attempt_push(t, message);
}

/* ---- children ---------------------------------------------------------------------------------
 */

static bool list_is_good(const char *const *list, bool env)
{
    uint32_t count = 0;
    for (; list != NULL && list[count] != NULL; count++) {
        if (count == MR__PROCESS_ARGS_MAX ||
            (env && (list[count][0] == '=' || strchr(list[count], '=') == NULL))) {
            return false;
        }
    }
    return list == NULL || env || count > 0;
}

/* What every child knows; NULL: out of memory. */
static const char *const *own_env(struct mr__task *t)
{
    const mr_task_info *info = host_info(&t->head);
    const char **env = mr__arena_alloc(&t->arena, 6 * sizeof *env);
    if (env == NULL || info->run_id[0] == '\0') {
        return NULL;
    }
    env[0] = mr__arena_printf(&t->arena, "MILLRACE_RUN=%s", info->run_id);
    env[1] = mr__arena_printf(&t->arena, "MILLRACE_TASK=%s", info->task_id);
    env[2] = mr__arena_printf(&t->arena, "MILLRACE_ATTEMPT=%u", info->attempt);
    env[3] = mr__arena_printf(&t->arena, "MILLRACE_IDEMPOTENCY_KEY=%s", info->idempotency_key);
    env[4] = t->exec->store == NULL ? NULL
                                    : mr__arena_printf(&t->arena, "MILLRACE_STORE=%s", info->store);
    bool made = env[0] != NULL && env[1] != NULL && env[2] != NULL && env[3] != NULL &&
                (t->exec->store == NULL || env[4] != NULL);
    return made ? env : NULL;
}

static mr_status host_spawn(mr_task *task, const mr_process *process)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    uint32_t state = atomic_load(&t->state);
    if (!mr__task_on_loop(x) || (t->action->table->flags & MR_SPAWNS) == 0 ||
        t->phase != MR__PHASE_RUN || (state != MR__TASK_RUNNING && state != MR__TASK_PENDING) ||
        t->process != NULL || t->wait_ms >= 0) {
        return mr__task_misused(t, "mr_spawn");
    }
    if (process == NULL || !MR_HAS(mr_process, process, on_exit) || process->flags != 0 ||
        process->argv == NULL || process->on_exit == NULL || !list_is_good(process->argv, false) ||
        !list_is_good(process->env, true)) {
        return mr__task_fail(t, MR_EINVAL, "mr_spawn with arguments that are none");
    }
    if (atomic_load(&t->cancel_reason) != MR_NOT_CANCELED) {
        return MR_ECANCELED;
    }
    const char *const *env = own_env(t);
    if (env == NULL) {
        return mr__task_fail(t, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    const char *folder = process->folder == NULL ? host_info(task)->folder : process->folder;
    struct mr__process_start start = {.loop = x->loop,
                                      .stack = &x->stack,
                                      .table = x->has_table ? &x->table : NULL,
                                      .row = t->entry->row,
                                      .argv = process->argv,
                                      .env = {env, process->env},
                                      .folder = *folder == '\0' ? NULL : folder,
                                      .grace_ms = process->grace_ms == 0 ? MR__CHILD_GRACE_MS
                                                                         : process->grace_ms,
                                      .user = t,
                                      .on_output = mr__attempt_on_output,
                                      .on_exit = mr__attempt_on_exit,
                                      .open_count = &x->children,
                                      .on_closed = mr__exec_less,
                                      .closed_user = x};
    mr_error error;
    mr_status status = mr__process_start(&start, &t->process, &error);
    if (status != MR_OK) {
        return mr__task_fail(t, status, "%s", error.message);
    }
    t->on_output = process->on_output;
    t->on_exit = process->on_exit;
    return MR_OK;
}

static void host_set_data(mr_task *task, void *data)
{
    mr__task_of(task)->data = data;
}

static void *host_data(mr_task *task)
{
    return mr__task_of(task)->data;
}

const mr_host mr__task_host = {.size = sizeof(mr_host),
                               .abi_minor = MR_ABI_MINOR,
                               .alloc = host_alloc,
                               .format = host_format,
                               .info = host_info,
                               .param = host_param,
                               .var = host_var,
                               .output = mr__task_output,
                               .output_json = mr__task_output_json,
                               .trace = host_trace,
                               .log = host_log,
                               .fail = host_fail,
                               .cancel_reason = host_cancel_reason,
                               .sleep = host_sleep,
                               .finish = host_finish,
                               .finish_after = host_finish_after,
                               .timer = host_timer,
                               .post = host_post,
                               .spawn = host_spawn,
                               .set_data = host_set_data,
                               .data = host_data,
                               .vars = host_vars,
                               .detail = mr__task_detail,
                               .share_get = mr__task_share_get,
                               .share_next = mr__task_share_key,
                               .share_set = mr__task_share_set,
                               .share_set_json = mr__task_share_set_json,
                               .share_flush = mr__task_share_flush,
                               .log_line = host_log_line,
                               .progress = mr__task_progress,
                               .heartbeat = mr__task_heartbeat,
                               .lock = mr__task_lock,
                               .lock_then = mr__task_lock_then,
                               .lock_renew = mr__task_lock_renew,
                               .unlock = mr__task_unlock};
