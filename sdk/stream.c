/* SPDX-License-Identifier: MIT
 *
 * Streams: mr_request, mr_request_cb, mr_stream_next, mr_stream_close, mr_call. See stream.h.
 *
 * The queue is bounded. A reader that is too slow gets what was queued, then MR_ELIMIT; what else
 * comes is dropped at no cost until the reader notices and the request is closed on the other side.
 */
#include "sdk/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "sdk/handle.h"

#define TOKEN_BYTES 16

/* What the handle must know of a request to carry it over from one owner to the next. An op that is
 * not here is sent once: it may be a command that only a later owner knows. */
static const struct op {
    const char *name;
    enum mr__stream_kind kind;
    bool starts, waits;
} ops[] = {
    {"submit", MR__STREAM_REPEAT, true, false}, /* its token makes the repeat the same run */
    {"rerun", MR__STREAM_REPEAT, true, false},  /* likewise */
    {"resume", MR__STREAM_REPEAT, false, false}, {"resolve", MR__STREAM_REPEAT, false, false},
    {"show", MR__STREAM_REPEAT, false, false},   {"wait", MR__STREAM_REPEAT, false, true},
    {"watch", MR__STREAM_RESTART, false, true},  {"events", MR__STREAM_REPEAT, false, false},
    {"logs", MR__STREAM_REPEAT, false, false},   {"ps", MR__STREAM_REPEAT, false, false},
    {"runs", MR__STREAM_REPEAT, false, false},   {"actions", MR__STREAM_REPEAT, false, false},
    {"stats", MR__STREAM_REPEAT, false, false},  {"check", MR__STREAM_REPEAT, false, false},
    {"ping", MR__STREAM_REPEAT, false, false},   {"cancel", MR__STREAM_ONCE, false, false},
    {"retry", MR__STREAM_ONCE, true, false},     {"continue", MR__STREAM_ONCE, true, false},
    {"pause", MR__STREAM_ONCE, false, false},    {"unpause", MR__STREAM_ONCE, true, false},
    {"why", MR__STREAM_REPEAT, false, false},    {"scheduleNext", MR__STREAM_REPEAT, false, false},
    {"push", MR__STREAM_REPEAT, false, false},   {"dags", MR__STREAM_REPEAT, false, false},
    {"dag", MR__STREAM_REPEAT, false, false},    {"stop", MR__STREAM_REPEAT, false, false},
    {"start", MR__STREAM_REPEAT, false, false},  {"serve", MR__STREAM_RESTART, false, false},
    {"prune", MR__STREAM_REPEAT, false, false}, /* what is gone is not removed twice */
};

static mr_status stream_set_text(mr_stream *stream, const char *json, mr_error *reterr);
static mr_status stream_set_op(mr_stream *stream, const mr_value *request);
static mr_status stream_write_text(mr_stream *stream, const char *json, size_t len, bool token);
static void stream_fail_locked(mr_stream *stream, const mr_error *error);
static mr_status stream_take(mr_stream *stream, int64_t timeout_ms, mr_error *reterr);
static bool deadline_after(int64_t timeout_ms, struct timespec *ret_at);

mr_status mr_request(mr_engine *engine, const char *request_json, mr_stream **ret_stream,
                     mr_error *reterr)
{
    return mr__request_attach(engine, request_json, false, ret_stream, reterr);
}

mr_status mr__request_attach(mr_engine *engine, const char *request_json, bool attach,
                             mr_stream **ret_stream, mr_error *reterr)
{
    if (engine == NULL || request_json == NULL || ret_stream == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "an argument is NULL");
    }
    mr_stream *stream;
    mr_status status = mr__stream_create(request_json, attach, &stream, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = mr__handle_add(engine, stream);
    if (status != MR_OK) {
        mr__stream_destroy(stream);
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    *ret_stream = stream;
    return MR_OK;
}

mr_status mr_request_cb(mr_engine *engine, const char *request_json, mr_answer_cb cb, void *user,
                        mr_stream **ret_stream, mr_error *reterr)
{
    return mr__request_cb_attach(engine, request_json, false, cb, user, ret_stream, reterr);
}

mr_status mr__request_cb_attach(mr_engine *engine, const char *request_json, bool attach,
                                mr_answer_cb cb, void *user, mr_stream **ret_stream,
                                mr_error *reterr)
{
    if (engine == NULL || request_json == NULL || cb == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "an argument is NULL");
    }
    mr_stream *stream;
    mr_status status = mr__stream_create(request_json, attach, &stream, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__delivery *delivery = mr__handle_delivery(engine);
    mr_stream *before = ret_stream == NULL ? NULL : *ret_stream;
    stream->cb = cb;
    stream->user = user;
    stream->owned = ret_stream != NULL;
    atomic_store(&stream->delivery, delivery);
    if (ret_stream != NULL) {
        *ret_stream = stream; /* Now: from mr__handle_add on a callback may ask for it. */
    }
    status = mr__delivery_begin(delivery);
    if (status == MR_OK) {
        status = mr__handle_add(engine, stream);
    }
    if (status != MR_OK) {
        if (ret_stream != NULL) {
            *ret_stream = before;
        }
        mr__stream_destroy(stream);
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    return MR_OK;
}

mr_status mr_stream_next(mr_stream *stream, int64_t timeout_ms, const char **ret_json,
                         mr_error *reterr)
{
    if (stream == NULL || ret_json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "an argument is NULL");
    }
    if (stream->cb != NULL) {
        return mr__error_set(reterr, MR_EINVAL, "the answers of this stream come by callback");
    }
    mr_engine *engine = atomic_load(&stream->handle);
    mr_status status =
        timeout_ms == 0
            ? MR_OK
            : mr__handle_may_wait(engine, "mr_stream_next", "mr_request_cb, or no timeout", reterr);
    return status == MR_OK ? mr__stream_next(stream, timeout_ms, ret_json, reterr) : status;
}

mr_status mr__stream_next(mr_stream *stream, int64_t timeout_ms, const char **ret_json,
                          mr_error *reterr)
{
    mr__free(stream->current);
    stream->current = NULL;
    *ret_json = NULL;
    mr_status status = stream_take(stream, timeout_ms, reterr);
    if (status == MR_ELIMIT) {
        mr__handle_remove(stream); /* The other side need not go on. */
    }
    if (status != MR_OK) {
        return status;
    }
    *ret_json = stream->current->json;
    mr_error error;
    if (mr__answer_error(stream->current->json, stream->current->len, &error)) {
        return mr__error_set(reterr, error.status, "%s", error.message);
    }
    return MR_OK;
}

void mr_stream_close(mr_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    struct mr__delivery *delivery = atomic_load(&stream->delivery);
    mr__handle_remove(stream);
    if (delivery == NULL || mr__delivery_drop(delivery, stream)) {
        mr__stream_destroy(stream);
    }
}

mr_status mr_call(mr_engine *engine, const char *request_json, char **ret_json, mr_error *reterr)
{
    if (ret_json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "an argument is NULL");
    }
    mr_stream *stream;
    mr_status status = mr__handle_may_wait(engine, "mr_call", "mr_request_cb", reterr);
    if (status == MR_OK) {
        status = mr_request(engine, request_json, &stream, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    const char *json = NULL;
    status = mr_stream_next(stream, MR_FOREVER, &json, reterr);
    if (status == MR_OK) {
        *ret_json = mr__strdup(json);
        if (*ret_json == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
    }
    mr_stream_close(stream);
    return status;
}

/* ---- making one ---------------------------------------------------------------------------- */

mr_status mr__stream_create(const char *json, bool attach, mr_stream **ret_stream, mr_error *reterr)
{
    mr_stream *stream = mr__calloc(1, sizeof *stream);
    if (stream == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    stream->attach = attach;
    stream->last = &stream->first;
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        goto fail_stream;
    }
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&stream->arrived, &attributes) != 0) {
        goto fail_attributes;
    }
    if (pthread_mutex_init(&stream->lock, NULL) != 0) {
        goto fail_arrived;
    }
    (void)pthread_condattr_destroy(&attributes);
    mr_status status = stream_set_text(stream, json, reterr);
    if (status != MR_OK) {
        mr__stream_destroy(stream);
        return status;
    }
    *ret_stream = stream;
    return MR_OK;

fail_arrived:
    (void)pthread_cond_destroy(&stream->arrived);
fail_attributes:
    (void)pthread_condattr_destroy(&attributes);
fail_stream:
    mr__free(stream);
    return mr__error_set(reterr, MR_ENOMEM, "out of memory");
}

void mr__stream_destroy(mr_stream *stream)
{
    while (stream->first != NULL) {
        struct mr__line *line = stream->first;
        stream->first = line->next;
        mr__free(line);
    }
    mr__free(stream->current);
    mr__free(stream->text);
    mr__free(stream->run);
    (void)pthread_mutex_destroy(&stream->lock);
    (void)pthread_cond_destroy(&stream->arrived);
    mr__free(stream);
}

static mr_status stream_set_text(mr_stream *stream, const char *json, mr_error *reterr)
{
    size_t len = strlen(json);
    if (len > MR__REQUEST_BYTES_MAX - MR__REQUEST_HEAD_BYTES) {
        mr_error error;
        (void)mr__error_set(&error, MR_ELIMIT, "the request is larger than %u bytes",
                            MR__REQUEST_BYTES_MAX);
        mr__stream_fail(stream, &error);
        return MR_OK;
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value request = mr__value_null();
    mr_status status = mr__value_parse(&arena, json, len, &request, reterr);
    if (status != MR_OK) {
        status = status == MR_ENOMEM ? MR_ENOMEM : MR_EINVAL;
    } else if (request.type != MR_MAP) {
        status = mr__error_set(reterr, MR_EINVAL, "a request is a JSON object");
    } else if (mr_value_get(&request, "id") != NULL) {
        status = mr__error_set(reterr, MR_EINVAL, "\"id\" is the socket's own");
    } else {
        status = stream_set_op(stream, &request);
        if (status == MR_OK) {
            bool token = stream->starts && stream->kind == MR__STREAM_REPEAT &&
                         mr_value_get(&request, "token") == NULL;
            status = stream_write_text(stream, json, len, token);
        }
        if (status != MR_OK) {
            (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
        }
    }
    mr__arena_finish(&arena);
    return status;
}

static mr_status stream_set_op(mr_stream *stream, const mr_value *request)
{
    const char *name = mr_value_str(mr_value_get(request, "op"), "");
    stream->kind = MR__STREAM_ONCE;
    for (size_t i = 0; i < MR__COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) {
            stream->kind = ops[i].kind;
            stream->starts = ops[i].starts;
            stream->waits = ops[i].waits;
        }
    }
    /* `logs` with `follow` lasts as long as its run does. */
    if (strcmp(name, "logs") == 0 && mr_value_int(mr_value_get(request, "follow"), 0) != 0) {
        stream->waits = true;
    }
    if (mr_value_get(request, "attach") != NULL) {
        stream->attach = false; /* The caller has said it: not twice. */
    }
    const char *run = mr_value_str(mr_value_get(request, "run"), NULL);
    if (run != NULL) {
        stream->run = mr__strdup(run);
    }
    return run != NULL && stream->run == NULL ? MR_ENOMEM : MR_OK;
}

/* The request as one line, which ends in its brace: JSON has control characters only between its
 * words. A submit gets a token that nobody else has. */
static mr_status stream_write_text(mr_stream *stream, const char *json, size_t len, bool token)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    size_t at = strspn(json, " \t\r\n") + 1; /* after the brace */
    mr__buf_u8(&buf, '{');
    if (token) {
        uint8_t random[TOKEN_BYTES];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
            mr__buf_finish(&buf);
            return MR_EIO;
        }
        mr__buf_text(&buf, "\"token\":\"");
        for (size_t i = 0; i < sizeof random; i++) {
            mr__buf_printf(&buf, "%02x", random[i]);
        }
        mr__buf_text(&buf, "\",");
    }
    size_t body = buf.len;
    mr__buf_bytes(&buf, json + at, len - at);
    if (mr__buf_cstr(&buf) == NULL) {
        mr__buf_finish(&buf);
        return MR_ENOMEM;
    }
    for (size_t i = body; i < buf.len; i++) {
        if (buf.data[i] == '\n' || buf.data[i] == '\r' || buf.data[i] == '\t') {
            buf.data[i] = ' ';
        }
    }
    while (buf.data[buf.len - 1] == ' ') {
        buf.data[--buf.len] = '\0';
    }
    stream->text = (char *)buf.data; /* for mr_free, as buf.h has it */
    stream->text_len = buf.len;
    return MR_OK;
}

/* ---- the queue ----------------------------------------------------------------------------- */

/* Under the lock: whoever takes answers has something to look at. */
static void arrived(mr_stream *stream)
{
    struct mr__delivery *delivery = atomic_load(&stream->delivery);
    (void)pthread_cond_signal(&stream->arrived);
    if (delivery != NULL) {
        mr__delivery_add(delivery, stream);
    }
}

bool mr__stream_push(mr_stream *stream, const char *json, size_t len, bool last)
{
    bool pushed = true;
    mr_error error = {.status = MR_OK};
    (void)pthread_mutex_lock(&stream->lock);
    if (stream->ended) {
        goto unlock;
    }
    if (stream->skip > 0 && !last) {
        stream->skip--;
        goto unlock;
    }
    struct mr__line *line = NULL;
    if (stream->count >= MR__STREAM_LINES_MAX) {
        (void)mr__error_set(&error, MR_ELIMIT,
                            "more than %u answers wait to be read: the stream was cut off",
                            MR__STREAM_LINES_MAX);
    } else {
        line = mr__malloc(sizeof *line + len + 1);
    }
    if (line == NULL) {
        if (error.status == MR_OK) {
            (void)mr__error_set(&error, MR_ENOMEM, "out of memory");
        }
        stream_fail_locked(stream, &error);
        pushed = false;
        goto unlock;
    }
    line->next = NULL;
    line->len = len;
    memcpy(line->json, json, len);
    line->json[len] = '\0';
    *stream->last = line;
    stream->last = &line->next;
    stream->count++;
    stream->received++;
    stream->ended = last;
    arrived(stream);
unlock:
    (void)pthread_mutex_unlock(&stream->lock);
    return pushed;
}

void mr__stream_fail(mr_stream *stream, const mr_error *error)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream_fail_locked(stream, error);
    (void)pthread_mutex_unlock(&stream->lock);
}

static void stream_fail_locked(mr_stream *stream, const mr_error *error)
{
    if (!stream->ended) {
        stream->ended = true;
        stream->failed = *error;
        arrived(stream);
    }
}

void mr__stream_stop(mr_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->stopped = true;
    stream->ended = true;
    arrived(stream);
    (void)pthread_mutex_unlock(&stream->lock);
}

bool mr__stream_has_ended(mr_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool ended = stream->ended;
    (void)pthread_mutex_unlock(&stream->lock);
    return ended;
}

void mr__stream_again(mr_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->skip = stream->kind == MR__STREAM_REPEAT ? stream->received : 0;
    (void)pthread_mutex_unlock(&stream->lock);
}

/* Waits for a line and makes it the current one. */
static mr_status stream_take(mr_stream *stream, int64_t timeout_ms, mr_error *reterr)
{
    struct timespec at;
    bool bounded = deadline_after(timeout_ms, &at);
    mr_status status = MR_OK;
    (void)pthread_mutex_lock(&stream->lock);
    while (!stream->stopped && !stream->ended && stream->first == NULL && status == MR_OK) {
        int result = bounded ? pthread_cond_timedwait(&stream->arrived, &stream->lock, &at)
                             : pthread_cond_wait(&stream->arrived, &stream->lock);
        if (result == ETIMEDOUT) {
            status = MR_ETIMEDOUT;
        }
    }
    if (stream->stopped) {
        status = mr__error_set(reterr, MR_ECLOSED, "the handle was closed");
    } else if (stream->first != NULL) {
        stream->current = stream->first;
        stream->first = stream->current->next;
        if (stream->first == NULL) {
            stream->last = &stream->first;
        }
        stream->count--;
        status = MR_OK;
    } else if (stream->failed.status != MR_OK) {
        status = mr__error_set(reterr, stream->failed.status, "%s", stream->failed.message);
        stream->failed.status = MR_OK;
    } else if (stream->ended) {
        status = MR_END;
    } else {
        status = mr__error_set(reterr, MR_ETIMEDOUT, "no answer yet");
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return status;
}

/* False: never. Counted from now on the clock that nobody sets. */
static bool deadline_after(int64_t timeout_ms, struct timespec *ret_at)
{
    const int64_t ms_max = INT64_C(1000) * 3600 * 24 * 365 * 100;
    if (timeout_ms < 0 || timeout_ms > ms_max) {
        return false;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, ret_at); /* It cannot fail on Linux. */
    ret_at->tv_sec += (time_t)(timeout_ms / 1000);
    ret_at->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (ret_at->tv_nsec >= 1000000000) {
        ret_at->tv_sec++;
        ret_at->tv_nsec -= 1000000000;
    }
    return true;
}

/* ---- errors -------------------------------------------------------------------------------- */

bool mr__answer_error(const char *json, size_t len, mr_error *ret_error)
{
    static const char head[] = "{\"error\":";
    if (len < sizeof head - 1 || memcmp(json, head, sizeof head - 1) != 0) {
        return false;
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value answer = mr__value_null();
    (void)mr__value_parse(&arena, json, len, &answer, NULL); /* It stays null: the default below. */
    const mr_value *error = mr_value_get(&answer, "error");
    mr_status status = (mr_status)mr_value_int(mr_value_get(error, "status"), MR_EIO);
    status = status < 0 ? status : MR_EIO;
    const mr_value *list = mr_value_get(error, "errors");
    list = list != NULL ? list : mr_value_get(&answer, "errors");
    const mr_value *first =
        list != NULL && list->type == MR_LIST && list->len > 0 ? list->u.list : NULL;
    int64_t line = mr_value_int(mr_value_get(first, "line"), 0);
    if (line > 0) {
        (void)mr__error_set(ret_error, status, "%s:%lld:%lld: error[%s]: %s",
                            mr_value_str(mr_value_get(first, "file"), "-"), (long long)line,
                            (long long)mr_value_int(mr_value_get(first, "column"), 1),
                            mr_value_str(mr_value_get(first, "code"), "E"),
                            mr_value_str(mr_value_get(first, "message"), ""));
    } else {
        (void)mr__error_set(ret_error, status, "%s",
                            mr_value_str(mr_value_get(error, "message"), mr_status_text(status)));
    }
    mr__arena_finish(&arena);
    return true;
}
