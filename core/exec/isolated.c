/* SPDX-License-Identifier: MIT
 *
 * Isolated attempts: START, what the action asks for, END, and the end of the process. Loop thread.
 *
 * What a host says is a plugin's word: each message is checked for whether it may come now, and
 * what it asks for goes through the same calls, with the same checks, as if the action ran here.
 */
#include "core/exec/isolated.h"

#include <signal.h>
#include <stdio.h>

#include "core/exec/task_host.h"

#define PROGRESS_UNITS 1e6

static mr_status isolated_phase(mr_task *task);
static void isolated_cancel(mr_task *task);
static mr_status send_start(struct mr__task *t, bool fresh);
static bool on_call(struct mr__task *t, const struct mr__wire *m);
static bool on_end(struct mr__task *t, const struct mr__wire *m, bool last);

/* ---- what stands for the action ---------------------------------------------------------------
 */

bool mr__isolated_make(const struct mr__action *action, mr_action *ret_table,
                       struct mr__action *ret_action)
{
    const mr_action *table = action->table;
    if (action->file == NULL || action->lua != NULL || (table->flags & MR_SPAWNS) != 0) {
        return false;
    }
    *ret_table = (mr_action){.size = sizeof *ret_table,
                             .param_size = table->param_size,
                             .where = MR_ON_LOOP,
                             .flags = table->flags,
                             .name = table->name,
                             .help = table->help,
                             .params = table->params,
                             .run = isolated_phase,
                             .cancel = isolated_cancel,
                             .run_before = table->run_before == NULL ? NULL : isolated_phase,
                             .run_after = table->run_after == NULL ? NULL : isolated_phase,
                             .retry_before = table->retry_before == NULL ? NULL : isolated_phase};
    *ret_action = *action;
    ret_action->table = ret_table;
    ret_action->inner = action;
    return true;
}

/* ---- a phase begins ---------------------------------------------------------------------------
 */

static mr_status isolated_phase(mr_task *task)
{
    struct mr__task *t = mr__task_of(task);
    bool fresh = t->host == NULL;
    mr_error error;
    if (t->host_lost) {
        return MR_EFAILED; /* The reason is set. */
    }
    mr_status status = fresh ? mr__host_take(t, &error) : MR_OK;
    if (status != MR_OK) {
        return mr__task_fail(t, status, "%s", error.message);
    }
    status = send_start(t, fresh);
    if (status != MR_OK) {
        return mr__task_fail(t, status, "its params and variables do not reach its process: %s",
                             mr_status_text(status));
    }
    return MR_PENDING;
}

static mr_status send_start(struct mr__task *t, bool fresh)
{
    struct mr__buf params = {0}, vars = {0};
    mr_status status = mr__task_snapshot(t);
    if (status != MR_OK) {
        return status;
    }
    const mr_task_info *info = mr_info(&t->head);
    struct mr__wire m = {.kind = MR__WIRE_START,
                         .number = {[MR__START_PHASE] = t->phase,
                                    [MR__START_RETRY] = t->retry,
                                    [MR__START_FRESH] = fresh,
                                    [MR__START_CPU_S] = t->limits.cpu_s,
                                    [MR__START_ATTEMPT] = info->attempt,
                                    [MR__START_STARTED_MS] = info->started_at_ms,
                                    [MR__START_DEADLINE_MS] = info->deadline_ms},
                         .text = {[MR__START_ACTION] = mr__wire_text(t->action->table->name),
                                  [MR__START_RUN] = mr__wire_text(info->run_id),
                                  [MR__START_DAG] = mr__wire_text(info->dag_id),
                                  [MR__START_TASK] = mr__wire_text(info->task_id),
                                  [MR__START_KEY] = mr__wire_text(info->idempotency_key),
                                  [MR__START_FOLDER] = mr__wire_text(info->folder),
                                  [MR__START_STORE] = mr__wire_text(info->store)}};
    if (fresh) {
        mr__value_print(&params, &t->params);
        mr__value_print(&vars, &t->vars);
        m.text[MR__START_PARAMS] = (struct mr__blob){(const char *)params.data, params.len};
        m.text[MR__START_VARS] = (struct mr__blob){(const char *)vars.data, vars.len};
        status = params.failed || vars.failed ? MR_ENOMEM : MR_OK;
    }
    if (status == MR_OK) {
        status = mr__host_send(t->host, &m);
    }
    t->host->busy = status == MR_OK;
    mr__buf_finish(&params);
    mr__buf_finish(&vars);
    return status;
}

static void isolated_cancel(mr_task *task)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    int64_t grace_ms = MR__CHILD_GRACE_MS;
    struct mr__wire m = {.kind = MR__WIRE_CANCEL,
                         .number = {(int64_t)atomic_load(&t->cancel_reason)}};
    if (t->host == NULL) {
        return;
    }
    if (x->closing) {
        int64_t left = x->shutdown_due_ms - (int64_t)uv_now(x->loop);
        grace_ms = MR__MIN(grace_ms, MR__MAX(left, 0));
    }
    (void)mr__host_send(t->host, &m); /* One that does not read is ended. */
    mr__host_end(t->host, "did not end when it was to", grace_ms);
}

/* ---- what it says -----------------------------------------------------------------------------
 */

MR__PRINTF(2, 3) static void say_trace(struct mr__task *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->head.host->trace(&t->head, fmt, args);
    va_end(args);
}

MR__PRINTF(3, 4)
static void say_line(struct mr__task *t, uint32_t level, const char *fmt, ...)
{
    const mr_host *calls = t->head.host;
    va_list args;
    va_start(args, fmt);
    if (calls->log_line != NULL) {
        calls->log_line(&t->head, level, fmt, args);
    } else {
        calls->trace(&t->head, fmt, args);
    }
    va_end(args);
}

static bool on_log(struct mr__task *t, const struct mr__wire *m)
{
    if (m->text[0].data == NULL || (m->number[0] != MR_STDOUT && m->number[0] != MR_STDERR)) {
        return false;
    }
    mr_log(&t->head, (uint32_t)m->number[0], m->text[0].data, m->text[0].len);
    return true;
}

static void on_progress(struct mr__task *t, const struct mr__wire *m)
{
    const mr_host *calls = t->head.host;
    if (calls->progress != NULL) {
        calls->progress(&t->head, (double)m->number[0] / PROGRESS_UNITS, m->text[0].data);
    }
}

bool mr__isolated_on_message(struct mr__task *t, const struct mr__wire *m, bool last)
{
    if (!t->host->busy || atomic_load(&t->state) != MR__TASK_PENDING) {
        return false;
    }
    switch (m->kind) {
    case MR__WIRE_TRACE:
        if (m->text[0].data == NULL) {
            return false;
        }
        say_trace(t, "%s", m->text[0].data);
        return true;
    case MR__WIRE_LOG: return on_log(t, m);
    case MR__WIRE_LINE:
        if (m->text[0].data == NULL || m->number[0] < MR_LOG_ERROR || m->number[0] > MR_LOG_DEBUG) {
            return false;
        }
        say_line(t, (uint32_t)m->number[0], "%s", m->text[0].data);
        return true;
    case MR__WIRE_PROGRESS: on_progress(t, m); return true;
    case MR__WIRE_HEARTBEAT:
        if (t->head.host->heartbeat != NULL) {
            t->head.host->heartbeat(&t->head);
        }
        return true;
    case MR__WIRE_CALL: return on_call(t, m);
    case MR__WIRE_END: return on_end(t, m, last);
    default: return false;
    }
}

/* ---- what it asks for -------------------------------------------------------------------------
 */

/* The answer to one call, and what a later callback needs to give it. */
struct answer {
    struct mr__task *task;
    int64_t number; /* of the call */
    mr_status status;
    uint64_t fence;
    struct mr__blob value;
};

/* One that comes later: in the attempt's arena, and in its list when it is not needed. */
struct mr__answer_later {
    struct answer answer; /* stays first */
    struct mr__answer_later *next;
};

static void send_answer(const struct answer *answer)
{
    struct mr__task *t = answer->task;
    struct mr__wire m = {.kind = MR__WIRE_ANSWER,
                         .number = {answer->number, answer->status, (int64_t)answer->fence},
                         .text = {answer->value}};
    if (t->host == NULL || !t->host->busy) {
        return; /* It has ended in between. */
    }
    if (answer->status < 0) {
        m.text[1] = mr__wire_text(t->reason);
    }
    if (mr__host_send(t->host, &m) != MR_OK) {
        mr__host_end(t->host, "does not listen", 0);
    }
}

static mr_status call_detail(struct mr__task *t, const struct mr__wire *m)
{
    struct mr__arena arena;
    mr_value value;
    mr__arena_init(&arena);
    mr_status status = mr__value_parse(&arena, m->text[1].data, m->text[1].len, &value, NULL);
    if (status == MR_OK) {
        status = t->head.host->detail(&t->head, m->text[0].data, &value);
    }
    mr__arena_finish(&arena);
    return status;
}

static mr_status call_set(struct mr__task *t, const struct mr__wire *m)
{
    const mr_host *calls = t->head.host;
    return m->text[1].data == NULL
               ? calls->share_set(&t->head, m->text[0].data, NULL)
               : calls->share_set_json(&t->head, m->text[0].data, m->text[1].data, m->text[1].len);
}

static bool get_share(struct mr__task *t, const struct mr__wire *m, struct mr__buf *ret_text)
{
    return m->number[1] == MR__CALL_SHARE_GET
               ? mr__task_share_json(t, m->text[0].data, m->text[0].len, ret_text)
               : mr__task_share_next(t, m->text[0], ret_text);
}

/* To be given back with not_later; NULL: out of memory. */
static struct answer *later(const struct answer *answer)
{
    struct mr__task *t = answer->task;
    struct mr__answer_later *place = t->answers;
    if (place != NULL) {
        t->answers = place->next;
    } else {
        place = mr__arena_alloc(&t->arena, sizeof *place);
    }
    if (place == NULL) {
        return NULL;
    }
    place->answer = *answer;
    return &place->answer;
}

static void not_later(struct answer *answer)
{
    struct mr__answer_later *place = (struct mr__answer_later *)answer;
    place->next = answer->task->answers;
    answer->task->answers = place;
}

static void flush_on_done(void *arg, mr_status status)
{
    struct answer *answer = arg;
    answer->status = status;
    answer->task->reason = NULL;
    if (status != MR_OK) {
        (void)mr__task_fail(answer->task, status, "share data was not saved: %s",
                            mr_status_text(status));
    }
    send_answer(answer);
    not_later(answer);
}

/* A worker waits until it is durable; on the loop it soon will be. True: the answer comes later. */
static bool call_flush(struct mr__task *t, struct answer *answer)
{
    mr_error error = {.status = MR_ENOMEM};
    if (t->action->inner->table->where == MR_ON_LOOP) {
        answer->status = t->head.host->share_flush(&t->head);
        return false;
    }
    struct answer *copy = later(answer);
    (void)mr__error_set(&error, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    answer->status =
        copy == NULL ? MR_ENOMEM : mr__task_share_save_then(t, flush_on_done, copy, &error);
    if (answer->status != MR_OK) {
        (void)mr__task_fail(t, answer->status, "%s", error.message);
        if (copy != NULL) {
            not_later(copy);
        }
    }
    return answer->status == MR_OK;
}

static void lock_on_held(mr_task *task, mr_status status, uint64_t fence, void *arg)
{
    struct answer *answer = arg;
    answer->status = status;
    answer->fence = fence;
    send_answer(answer);
    not_later(answer);
}

/* mr_lock_then's: the call itself was answered at once. */
static void lock_then_on_held(mr_task *task, mr_status status, uint64_t fence, void *arg)
{
    struct answer *answer = arg;
    struct mr__task *t = answer->task;
    struct mr__wire m = {.kind = MR__WIRE_LOCKED,
                         .number = {answer->number, status, (int64_t)fence}};
    if (t->host != NULL && t->host->busy && mr__host_send(t->host, &m) != MR_OK) {
        mr__host_end(t->host, "does not listen", 0);
    }
    not_later(answer);
}

/* True: the answer comes later. */
static bool call_lock(struct mr__task *t, const struct mr__wire *m, struct answer *answer)
{
    const mr_host *calls = t->head.host;
    bool then = m->number[1] == MR__CALL_LOCK_THEN;
    bool waits = t->action->inner->table->where == MR_ON_WORKER && m->number[3] != 0;
    mr_lock_options options = MR_LOCK(.ttl_ms = m->number[2], .wait_ms = m->number[3]);
    const char *name = m->text[0].data;
    if (!then && !waits) {
        answer->status =
            calls->lock == NULL ? MR_ENOSYS : calls->lock(&t->head, name, &options, &answer->fence);
        return false;
    }
    struct answer *copy = calls->lock_then == NULL ? NULL : later(answer);
    if (copy == NULL) {
        answer->status = calls->lock_then == NULL ? MR_ENOSYS : MR_ENOMEM;
        return false;
    }
    answer->status =
        calls->lock_then(&t->head, name, &options, then ? lock_then_on_held : lock_on_held, copy);
    if (answer->status != MR_OK) {
        not_later(copy);
    }
    return !then && answer->status == MR_OK;
}

static mr_status call_held(struct mr__task *t, const struct mr__wire *m)
{
    const mr_host *calls = t->head.host;
    if (m->number[1] == MR__CALL_UNLOCK) {
        return calls->unlock == NULL ? MR_ENOSYS : calls->unlock(&t->head, m->text[0].data);
    }
    return calls->lock_renew == NULL ? MR_ENOSYS
                                     : calls->lock_renew(&t->head, m->text[0].data, m->number[2]);
}

/* Whether what the call needs is there. */
static bool call_is_whole(const struct mr__wire *m)
{
    switch (m->number[1]) {
    case MR__CALL_OUTPUT: return m->text[1].data != NULL;
    case MR__CALL_DETAIL: return m->text[0].data != NULL && m->text[1].data != NULL;
    case MR__CALL_SHARE_NEXT:
    case MR__CALL_SHARE_FLUSH: return true;
    default: return m->text[0].data != NULL && m->number[1] >= 0 && m->number[1] < MR__CALLS;
    }
}

static bool on_call(struct mr__task *t, const struct mr__wire *m)
{
    struct answer answer = {.task = t, .number = m->number[0]};
    struct mr__buf text = {0};
    bool waits = false;
    if (!call_is_whole(m)) {
        return false;
    }
    t->reason = NULL;
    switch ((enum mr__wire_call)m->number[1]) {
    case MR__CALL_OUTPUT:
        answer.status = mr_output_json(&t->head, m->text[0].data, m->text[1].data, m->text[1].len);
        break;
    case MR__CALL_DETAIL: answer.status = call_detail(t, m); break;
    case MR__CALL_SHARE_GET:
    case MR__CALL_SHARE_NEXT:
        if (get_share(t, m, &text)) {
            answer.value = (struct mr__blob){(const char *)text.data, text.len};
        }
        break;
    case MR__CALL_SHARE_SET: answer.status = call_set(t, m); break;
    case MR__CALL_SHARE_FLUSH: waits = call_flush(t, &answer); break;
    case MR__CALL_LOCK:
    case MR__CALL_LOCK_THEN: waits = call_lock(t, m, &answer); break;
    default: answer.status = call_held(t, m); break;
    }
    if (!waits) {
        send_answer(&answer);
    }
    mr__buf_finish(&text);
    return true;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static bool on_end(struct mr__task *t, const struct mr__wire *m, bool last)
{
    struct mr__host *host = t->host;
    int64_t status = m->number[0], wait_ms = m->number[1];
    if (status > 0 || status < INT32_MIN || (wait_ms >= 0 && status != MR_OK)) {
        return false;
    }
    if (host->process != NULL) {
        mr__process_drain(host->process); /* What it printed comes before its end. */
    }
    host->busy = false;
    host->spoilt = host->spoilt || m->number[2] != 0 || !last;
    t->reason = NULL;
    if (wait_ms >= 0) {
        status = mr__attempt_wait(t, wait_ms);
        if (status == MR_OK) {
            return true;
        }
    } else if (m->text[0].data != NULL) {
        (void)mr__task_fail(t, (mr_status)status, "%s", m->text[0].data);
    }
    (void)mr_finish(&t->head, (mr_status)status); /* It is pending: it is taken. */
    return true;
}

/* Says of what it died: of our KILL, why that was sent. */
static void set_reason(struct mr__task *t, int32_t exit_code, int32_t signal_number,
                       const char *why)
{
    const char *plugin = t->action->plugin, *name = sigabbrev_np(signal_number);
    if (signal_number == SIGKILL && why != NULL) {
        (void)mr__task_fail(t, MR_EFAILED, "plugin %s: its process %s", plugin, why);
    } else if (exit_code == MR__WIRE_EXIT_CLOSED) {
        (void)mr__task_fail(t, MR_EFAILED, "plugin %s: its process " MR__HOST_CLOSED, plugin);
    } else if (signal_number == SIGXCPU && t->limits.cpu_s > 0) {
        (void)mr__task_fail(t, MR_EFAILED,
                            "plugin %s: killed by SIGXCPU: more than limits.cpu, %us", plugin,
                            t->limits.cpu_s);
    } else if (name != NULL) {
        (void)mr__task_fail(t, MR_EFAILED, "plugin %s: killed by SIG%s", plugin, name);
    } else if (signal_number != 0) {
        (void)mr__task_fail(t, MR_EFAILED, "plugin %s: killed by signal %d", plugin, signal_number);
    } else if (exit_code >= 0) {
        (void)mr__task_fail(t, MR_EFAILED, "plugin %s: its process ended with exit %d", plugin,
                            exit_code);
    } else {
        (void)mr__task_fail(t, MR_EFAILED,
                            "plugin %s: its process's status was taken by the program that runs "
                            "millrace",
                            plugin);
    }
    (void)mr_detail_int(&t->head, signal_number != 0 ? "signal" : "exit",
                        signal_number != 0 ? signal_number : exit_code);
}

void mr__isolated_on_ended(struct mr__task *t, int32_t exit_code, int32_t signal_number,
                           const char *why)
{
    set_reason(t, exit_code, signal_number, why);
    t->host_lost = true;
    if (atomic_load(&t->state) == MR__TASK_PENDING) {
        (void)mr_finish(&t->head, MR_EFAILED);
    }
}
