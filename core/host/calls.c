/* SPDX-License-Identifier: MIT
 *
 * What an action can call in a host process (millrace/plugin.h has the contract of each). What is
 * about this attempt alone is done here; what is the engine's business is asked of it, with the
 * same answers that an action in the engine gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/exec/task_json.h"
#include "core/host/host.h"

#define PROGRESS_UNITS 1e6

/* ---- memory, and what it is told --------------------------------------------------------------
 */

static void *host_alloc(mr_task *task, size_t bytes)
{
    return mr__arena_alloc(&mr__host_task_of(task)->arena, bytes);
}

static char *host_format(mr_task *task, const char *fmt, va_list args)
{
    return fmt == NULL ? NULL : mr__arena_vprintf(&mr__host_task_of(task)->arena, fmt, args);
}

static const mr_task_info *host_info(mr_task *task)
{
    return &mr__host_task_of(task)->info;
}

static const mr_value *host_param(mr_task *task, const char *name)
{
    return name == NULL ? NULL : mr_value_get(&mr__host_task_of(task)->params, name);
}

static const mr_value *host_vars(mr_task *task)
{
    return &mr__host_task_of(task)->vars;
}

static const mr_value *host_var(mr_task *task, const char *name)
{
    return name == NULL ? NULL : mr_value_get(&mr__host_task_of(task)->vars, name);
}

static void host_set_data(mr_task *task, void *data)
{
    mr__host_task_of(task)->data = data;
}

static void *host_data(mr_task *task)
{
    return mr__host_task_of(task)->data;
}

/* ---- what is only said ------------------------------------------------------------------------
 */

static bool is_over(struct mr__host_task *t)
{
    uint32_t state = atomic_load(&t->state);
    if (state == MR__HOST_OVER) {
        atomic_store(&t->channel->misused, true);
    }
    return state == MR__HOST_OVER || state == MR__HOST_FINISHED;
}

static void say(struct mr__host_task *t, enum mr__wire_kind kind, int64_t number, const char *bytes,
                size_t len)
{
    struct mr__wire m = {.kind = kind, .number = {number}, .text = {{bytes, len}}};
    if (!is_over(t)) {
        (void)mr__channel_send(t->channel, &m); /* Without memory it is lost, as in the engine. */
    }
}

static void say_text(struct mr__host_task *t, enum mr__wire_kind kind, int64_t number,
                     const char *fmt, va_list args)
{
    char text[MR__LOG_LINE_BYTES_MAX + 4]; /* The engine cuts it between characters. */
    int len = fmt == NULL ? -1 : vsnprintf(text, sizeof text, fmt, args);
    if (len >= 0) {
        say(t, kind, number, text, MR__MIN((size_t)len, sizeof text - 1));
    }
}

static void host_trace(mr_task *task, const char *fmt, va_list args)
{
    say_text(mr__host_task_of(task), MR__WIRE_TRACE, 0, fmt, args);
}

static void host_log_line(mr_task *task, uint32_t level, const char *fmt, va_list args)
{
    say_text(mr__host_task_of(task), MR__WIRE_LINE, MR__MIN(level, MR_LOG_DEBUG), fmt, args);
}

static void host_log(mr_task *task, uint32_t stream, const char *bytes, size_t len)
{
    if ((stream != MR_STDOUT && stream != MR_STDERR) || bytes == NULL) {
        return;
    }
    while (len > 0) {
        size_t part = MR__MIN(len, MR__LOG_CHUNK_BYTES_MAX);
        say(mr__host_task_of(task), MR__WIRE_LOG, stream, bytes, part);
        bytes += part;
        len -= part;
    }
}

static void host_progress(mr_task *task, double fraction, const char *note)
{
    bool known = fraction >= 0 && fraction <= 1;
    say(mr__host_task_of(task), MR__WIRE_PROGRESS,
        known ? (int64_t)(fraction * PROGRESS_UNITS) : -1, note,
        note == NULL ? 0 : strnlen(note, MR__PROGRESS_NOTE_BYTES + 4)); /* likewise */
}

static void host_heartbeat(mr_task *task)
{
    say(mr__host_task_of(task), MR__WIRE_HEARTBEAT, 0, NULL, 0);
}

/* ---- failure, cancel, sleep, finish -----------------------------------------------------------
 */

void mr__host_set_reason(struct mr__host_task *t, const char *fmt, va_list args)
{
    char text[MR__REASON_BYTES_MAX + 4]; /* likewise */
    int len = fmt == NULL ? -1 : vsnprintf(text, sizeof text, fmt, args);
    if (len < 0) {
        return; /* No text: what stands, or else that of the status. */
    }
    if (t->reason_memory == NULL) {
        t->reason_memory = mr__arena_alloc(&t->arena, sizeof text);
    }
    if (t->reason_memory != NULL) {
        memcpy(t->reason_memory, text, MR__MIN((size_t)len + 1, sizeof text));
    }
    t->reason = t->reason_memory;
}

mr_status mr__host_fail(struct mr__host_task *t, mr_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mr__host_set_reason(t, fmt, args);
    va_end(args);
    return status;
}

static mr_status host_fail(mr_task *task, mr_status status, const char *fmt, va_list args)
{
    mr__host_set_reason(mr__host_task_of(task), fmt, args);
    return status;
}

static uint32_t host_cancel_reason(mr_task *task)
{
    struct mr__channel *c = mr__host_task_of(task)->channel;
    if (atomic_load(&c->cancel_reason) == MR_NOT_CANCELED) {
        mr__channel_look(c);
    }
    return atomic_load(&c->cancel_reason);
}

int64_t mr__host_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static mr_status host_sleep(mr_task *task, int64_t ms)
{
    struct mr__host_task *t = mr__host_task_of(task);
    int64_t until = mr__host_now_ms() + MR__MIN(MR__MAX(ms, 0), INT64_MAX / 2);
    if (t->action->where != MR_ON_WORKER || atomic_load(&t->state) != MR__HOST_RUNNING) {
        return MR_EINVAL;
    }
    while (host_cancel_reason(task) == MR_NOT_CANCELED) {
        int64_t left = until - mr__host_now_ms();
        if (left <= 0) {
            return MR_OK;
        }
        (void)mr__channel_wait(t->channel, left);
    }
    return MR_ECANCELED;
}

static bool may_pend(const struct mr__host_task *t, uint32_t state)
{
    return t->action->where == MR_ON_LOOP && t->phase == 1 && t->wait_ms < 0 &&
           (state == MR__HOST_RUNNING || state == MR__HOST_PENDING);
}

static mr_status host_finish(mr_task *task, mr_status status)
{
    struct mr__host_task *t = mr__host_task_of(task);
    (void)pthread_mutex_lock(&t->mutex);
    bool good = may_pend(t, atomic_load(&t->state));
    if (good) {
        t->finish_status = status;
        atomic_store(&t->state, MR__HOST_FINISHED);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    if (good) {
        mr__channel_wake(t->channel);
    }
    return good ? MR_OK : MR_EINVAL;
}

static mr_status host_finish_after(mr_task *task, int64_t ms)
{
    struct mr__host_task *t = mr__host_task_of(task);
    if (!may_pend(t, atomic_load(&t->state)) || atomic_load(&t->state) != MR__HOST_RUNNING) {
        return MR_EINVAL;
    }
    if (ms < 0 || t->has_output || t->unsaved) {
        return mr__host_fail(t, MR_EINVAL,
                             "mr_finish_after with an output or unsaved share data, or below zero");
    }
    t->wait_ms = ms;
    return MR_OK;
}

static mr_status host_timer(mr_task *task, int64_t ms, void (*cb)(mr_task *t, void *arg), void *arg)
{
    struct mr__host_task *t = mr__host_task_of(task);
    if (cb == NULL || !may_pend(t, atomic_load(&t->state))) {
        return MR_EINVAL;
    }
    for (uint32_t i = 0; i < MR__HOST_TIMERS_MAX; i++) {
        if (t->timers[i].due_ms < 0) {
            int64_t due_ms = mr__host_now_ms() + MR__MIN(MR__MAX(ms, 0), INT64_MAX / 2);
            t->timers[i] = (struct mr__host_timer){.due_ms = due_ms, .cb = cb, .arg = arg};
            return MR_OK;
        }
    }
    return MR_ELIMIT;
}

/* Takes `post` where one may come; else false. */
static bool push_post(struct mr__host_task *t, struct mr__host_post *post)
{
    (void)pthread_mutex_lock(&t->mutex);
    bool good = may_pend(t, atomic_load(&t->state));
    if (good) {
        *(t->last == NULL ? &t->first : &t->last->next) = post;
        t->last = post;
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return good;
}

static mr_status host_post(mr_task *task, void (*cb)(mr_task *t, void *arg), void *arg)
{
    struct mr__host_task *t = mr__host_task_of(task);
    struct mr__host_post *post = cb == NULL ? NULL : mr__malloc(sizeof *post);
    if (post == NULL) {
        return cb == NULL ? MR_EINVAL : MR_ENOMEM;
    }
    *post = (struct mr__host_post){.cb = cb, .arg = arg};
    if (!push_post(t, post)) {
        mr__free(post);
        return MR_ECANCELED;
    }
    mr__channel_wake(t->channel);
    return MR_OK;
}

static mr_status host_spawn(mr_task *task, const mr_process *process)
{
    return mr__host_fail(mr__host_task_of(task), MR_EINVAL,
                         "mr_spawn is not for an action that runs in a process of its own");
}

/* ---- what is asked of the engine --------------------------------------------------------------
 */

/* On the main thread the reason that came with the answer is the attempt's, as by mr_fail. */
static mr_status ask(struct mr__host_task *t, struct mr__wire *m, bool main_thread,
                     struct mr__answer *ret_answer)
{
    m->kind = MR__WIRE_CALL;
    if (is_over(t)) {
        memset(ret_answer, 0, sizeof *ret_answer);
        ret_answer->status = MR_EINVAL;
        return MR_EINVAL;
    }
    bool gives_up = t->action->where == MR_ON_WORKER &&
                    (m->number[1] == MR__CALL_SHARE_FLUSH || m->number[1] == MR__CALL_LOCK);
    mr__channel_call(t->channel, m, gives_up, ret_answer);
    if (main_thread && ret_answer->has_reason) {
        (void)mr__host_fail(t, ret_answer->status, "%.*s", (int)ret_answer->reason.len,
                            (const char *)ret_answer->reason.data);
    }
    return ret_answer->status;
}

static mr_status ask_status(struct mr__host_task *t, struct mr__wire *m, bool main_thread)
{
    struct mr__answer answer;
    mr_status status = ask(t, m, main_thread, &answer);
    mr__answer_finish(&answer);
    return status;
}

/* A call with a key and JSON. */
static mr_status give(struct mr__host_task *t, enum mr__wire_call call, const char *key,
                      const char *json, size_t len)
{
    struct mr__wire m = {.number = {0, call}, .text = {mr__wire_text(key), {json, len}}};
    if (len > MR__OUTPUT_BYTES_MAX) {
        return mr__host_fail(t, MR_ELIMIT, "%s of more than %u bytes",
                             call == MR__CALL_OUTPUT ? "output" : "share data",
                             MR__OUTPUT_BYTES_MAX);
    }
    mr_status status = ask_status(t, &m, true);
    if (status == MR_OK) {
        t->has_output = t->has_output || call == MR__CALL_OUTPUT;
        t->unsaved = call == MR__CALL_SHARE_SET || (t->unsaved && call != MR__CALL_SHARE_FLUSH);
    }
    return status;
}

static mr_status give_value(struct mr__host_task *t, enum mr__wire_call call, const char *what,
                            const char *key, const mr_value *value)
{
    struct mr__buf json = {0};
    mr_error error;
    mr_status status = mr__task_json(&json, value, &error);
    status = status == MR_OK ? give(t, call, key, (const char *)json.data, json.len)
                             : mr__host_fail(t, status, "%s: %s", what, error.message);
    mr__buf_finish(&json);
    return status;
}

static mr_status host_output(mr_task *task, const char *key, const mr_value *value)
{
    return give_value(mr__host_task_of(task), MR__CALL_OUTPUT, "output", key, value);
}

static mr_status host_output_json(mr_task *task, const char *key, const char *json, size_t len)
{
    return give(mr__host_task_of(task), MR__CALL_OUTPUT, key, len == 0 ? "" : json, len);
}

static mr_status host_detail(mr_task *task, const char *key, const mr_value *value)
{
    struct mr__buf json = {0};
    mr_status status = key == NULL ? MR_EINVAL : mr__task_json(&json, value, NULL);
    if (status == MR_OK) {
        status = json.len > MR__DETAIL_BYTES_MAX ? MR_ELIMIT
                                                 : give(mr__host_task_of(task), MR__CALL_DETAIL,
                                                        key, (const char *)json.data, json.len);
    }
    mr__buf_finish(&json);
    return status;
}

static const mr_value *host_share_get(mr_task *task, const char *key)
{
    struct mr__host_task *t = mr__host_task_of(task);
    struct mr__wire m = {.number = {0, MR__CALL_SHARE_GET}, .text = {mr__wire_text(key)}};
    struct mr__answer answer;
    const mr_value *value = NULL;
    if (key == NULL) {
        return NULL;
    }
    if (ask(t, &m, true, &answer) == MR_OK && answer.has_value) {
        value = mr__task_see(&t->seen, &t->arena, key, &answer.value);
    }
    mr__answer_finish(&answer);
    return value;
}

static const char *host_share_next(mr_task *task, const char *after)
{
    struct mr__host_task *t = mr__host_task_of(task);
    struct mr__wire m = {.number = {0, MR__CALL_SHARE_NEXT}, .text = {mr__wire_text(after)}};
    struct mr__answer answer;
    const char *key = NULL;
    if (ask(t, &m, true, &answer) == MR_OK && answer.has_value) {
        key = mr__arena_dup(&t->arena, (const char *)answer.value.data, answer.value.len);
    }
    mr__answer_finish(&answer);
    return key;
}

static mr_status host_share_set(mr_task *task, const char *key, const mr_value *value)
{
    struct mr__host_task *t = mr__host_task_of(task);
    key = key == NULL ? "" : key; /* refused by the engine */
    return value == NULL ? give(t, MR__CALL_SHARE_SET, key, NULL, 0)
                         : give_value(t, MR__CALL_SHARE_SET, "share data", key, value);
}

static mr_status host_share_set_json(mr_task *task, const char *key, const char *json, size_t len)
{
    return give(mr__host_task_of(task), MR__CALL_SHARE_SET, key == NULL ? "" : key,
                len == 0 ? "" : json, len);
}

static mr_status host_share_flush(mr_task *task)
{
    return give(mr__host_task_of(task), MR__CALL_SHARE_FLUSH, NULL, NULL, 0);
}

/* ---- locks ------------------------------------------------------------------------------------
 */

static bool options_are_good(const mr_lock_options *options)
{
    return options == NULL || (MR_HAS(mr_lock_options, options, wait_ms) && options->flags == 0);
}

static mr_status host_lock(mr_task *task, const char *name, const mr_lock_options *options,
                           uint64_t *ret_fence)
{
    struct mr__host_task *t = mr__host_task_of(task);
    struct mr__wire m = {.number = {0, MR__CALL_LOCK}, .text = {mr__wire_text(name)}};
    struct mr__answer answer;
    if (name == NULL || !options_are_good(options)) {
        return mr__host_fail(t, MR_EINVAL, "mr_lock with arguments that are none");
    }
    m.number[2] = options == NULL ? 0 : options->ttl_ms;
    m.number[3] = options == NULL ? 0 : options->wait_ms;
    mr_status status = ask(t, &m, true, &answer);
    if (status == MR_OK && ret_fence != NULL) {
        *ret_fence = answer.fence;
    }
    mr__answer_finish(&answer);
    return status;
}

static mr_status host_lock_then(mr_task *task, const char *name, const mr_lock_options *options,
                                mr_lock_cb cb, void *arg)
{
    struct mr__host_task *t = mr__host_task_of(task);
    struct mr__wire m = {.number = {0, MR__CALL_LOCK_THEN}, .text = {mr__wire_text(name)}};
    if (name == NULL || cb == NULL || !options_are_good(options) ||
        !may_pend(t, atomic_load(&t->state))) {
        return mr__host_fail(t, MR_EINVAL, "mr_lock_then with arguments that are none");
    }
    struct mr__host_lock *lock = mr__arena_alloc(&t->arena, sizeof *lock);
    if (lock == NULL) {
        return MR_ENOMEM;
    }
    m.number[2] = options == NULL ? 0 : options->ttl_ms;
    m.number[3] = options == NULL ? 0 : options->wait_ms;
    mr_status status = ask_status(t, &m, true);
    if (status == MR_OK) {
        *lock =
            (struct mr__host_lock){.next = t->locks, .number = m.number[0], .cb = cb, .arg = arg};
        t->locks = lock;
    }
    return status;
}

static mr_status host_lock_renew(mr_task *task, const char *name, int64_t ttl_ms)
{
    struct mr__wire m = {.number = {0, MR__CALL_LOCK_RENEW, ttl_ms}, .text = {mr__wire_text(name)}};
    return name == NULL ? MR_EINVAL : ask_status(mr__host_task_of(task), &m, false);
}

static mr_status host_unlock(mr_task *task, const char *name)
{
    struct mr__wire m = {.number = {0, MR__CALL_UNLOCK}, .text = {mr__wire_text(name)}};
    return name == NULL ? MR_EINVAL : ask_status(mr__host_task_of(task), &m, false);
}

const mr_host mr__host_calls = {.size = sizeof(mr_host),
                                .abi_minor = MR_ABI_MINOR,
                                .alloc = host_alloc,
                                .format = host_format,
                                .info = host_info,
                                .param = host_param,
                                .var = host_var,
                                .output = host_output,
                                .output_json = host_output_json,
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
                                .detail = host_detail,
                                .share_get = host_share_get,
                                .share_next = host_share_next,
                                .share_set = host_share_set,
                                .share_set_json = host_share_set_json,
                                .share_flush = host_share_flush,
                                .log_line = host_log_line,
                                .progress = host_progress,
                                .heartbeat = host_heartbeat,
                                .lock = host_lock,
                                .lock_then = host_lock_then,
                                .lock_renew = host_lock_renew,
                                .unlock = host_unlock};
