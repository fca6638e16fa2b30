/* SPDX-License-Identifier: MIT
 *
 * Handles: owning a store, being attached to its owner, and taking over from one that has gone. An
 * attached handle has one thread, which runs its connection.
 *
 *     mr_open -> OWNER      the lock is ours: the engine is in this process, until mr_close
 *     mr_open -> ATTACHED   somebody else has the lock: the engine is behind the socket
 *     ATTACHED -> SWITCHING the connection broke: handle_switch.c
 *     SWITCHING -> OWNER    the lock was free
 *     SWITCHING -> ATTACHED somebody else was faster
 *     SWITCHING -> BROKEN   no owner within the time, or an error: every request gets it
 *
 * mr_close of a taker waits for what it resumed, then the engine for the runs of attached handles.
 */
#include <errno.h>
#include <inttypes.h>
#include <millrace/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "sdk/handle_impl.h"

#define OPEN_WAIT_MS 10000 /* for an owner that holds the lock and does not listen yet */
#define PAUSE_MAX_MS 200
#define SHUTDOWN_MS  10000

static mr_status handle_create(const mr_options *options, mr_engine **ret_engine, mr_error *reterr);
static mr_status make_sync(mr_engine *h, mr_error *reterr);
static void close_waiting(mr_engine *h);
static mr_status establish_once(mr_engine *h, int64_t wait_ms, int64_t *ret_pid, mr_error *reterr);
static mr_status become_owner(mr_engine *h, mr_error *reterr);
static void registry_log(void *user, int32_t level, const char *line);
static void engine_log(int32_t level, const char *line, void *user);
static void tell_line(mr_engine *h, int32_t level, const char *line);
static void call_hook(void *user, enum mr__hook hook, const struct mr__scope_run *run);
static void close_request(mr_engine *h, struct mr__engine *engine, struct mr__request *request);
static void send_to_engine(mr_engine *h, mr_stream *stream, mr_error *ret_error);
static void unsent_remove(mr_engine *h, mr_stream *stream);
static void stream_unlink(mr_engine *h, mr_stream *stream);
static void wait_for_resumed(mr_engine *h);

/* ---- opening and closing ------------------------------------------------------------------- */

mr_status mr_open(const mr_options *options, mr_engine **ret_engine, mr_error *reterr)
{
    if (options == NULL || ret_engine == NULL || options->size < sizeof(uint32_t)) {
        return mr__error_set(reterr, MR_EINVAL, "options and engine must be given");
    }
    mr_engine *h = NULL;
    mr_options known = {.size = sizeof known};
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    mr_status status = handle_create(&known, &h, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = mr__folder_open(known.store, known.read_only == 0, &h->folder, reterr);
    if (status != MR_OK) {
        goto fail_handle;
    }
    if (known.loop != NULL) {
        status = mr__loop_create(h, known.loop, &h->loop, reterr);
    }
    if (status == MR_OK) {
        status = mr__handle_establish(h, OPEN_WAIT_MS, 0, reterr);
    }
    if (status != MR_OK) {
        goto fail_handle;
    }
    if (h->engine != NULL) {
        h->mode = OWNER;
    } else {
        h->mode = ATTACHED;
        status = mr__switch_start(h, reterr);
        if (status != MR_OK) {
            goto fail_handle;
        }
    }
    *ret_engine = h;
    return MR_OK;

fail_handle:
    mr__loop_abandon(h->loop);
    mr__delivery_finish(&h->delivery);
    mr__handle_destroy(h);
    return status;
}

/* Of mr_close on another thread than the loop's, which waits for it. */
struct closing {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
};

static void closing_on_over(void *user)
{
    struct closing *closing = user;
    (void)pthread_mutex_lock(&closing->lock);
    closing->is_over = true;
    (void)pthread_cond_signal(&closing->over);
    (void)pthread_mutex_unlock(&closing->lock);
}

void mr_close(mr_engine *h)
{
    if (h == NULL) {
        return;
    }
    if (h->loop == NULL) {
        close_waiting(h);
    } else if (mr__loop_is_here(h)) {
        mr__loop_close(h->loop, NULL, NULL);
    } else {
        struct closing closing = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .over = PTHREAD_COND_INITIALIZER};
        mr__loop_close(h->loop, closing_on_over, &closing);
        (void)pthread_mutex_lock(&closing.lock);
        while (!closing.is_over) {
            (void)pthread_cond_wait(&closing.over, &closing.lock);
        }
        (void)pthread_mutex_unlock(&closing.lock);
    }
}

mr_status mr_close_async(mr_engine *h, void (*cb)(void *user), void *user, mr_error *reterr)
{
    if (h == NULL || h->loop == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "only a handle with a loop can be closed so");
    }
    mr__loop_close(h->loop, cb, user);
    return MR_OK;
}

static void close_waiting(mr_engine *h)
{
    if (h->has_thread) {
        /* A taker's thread ends by itself. */
        (void)pthread_mutex_lock(&h->lock);
        if (h->mode != OWNER) {
            mr__wake_stop(&h->wake);
        }
        (void)pthread_mutex_unlock(&h->lock);
        (void)pthread_join(h->thread, NULL);
        h->has_thread = false;
    }
    if (h->engine != NULL) {
        wait_for_resumed(h);
    }
    mr__handle_close_streams(h);
    mr__delivery_finish(&h->delivery);
    (void)pthread_mutex_lock(&h->lock);
    bool drain = !h->stopped;
    struct mr__engine *engine = h->engine;
    (void)pthread_mutex_unlock(&h->lock);
    if (engine != NULL) {
        mr__engine_end(engine, drain); /* mr_stop may still end its waiting */
        (void)pthread_mutex_lock(&h->lock);
        h->engine = NULL; /* From here on mr_stop finds none. */
        (void)pthread_mutex_unlock(&h->lock);
        mr__engine_free(engine);
    }
    mr__handle_destroy(h);
}

void mr_stop(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->stopped = true;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        mr__stream_stop(stream);
    }
    if (h->engine != NULL) {
        mr__engine_stop(h->engine);
    }
    mr__wake_stop(&h->wake);
    (void)pthread_mutex_unlock(&h->lock);
}

uint32_t mr_is_owner(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    uint32_t owner = h->mode == OWNER ? 1 : 0;
    (void)pthread_mutex_unlock(&h->lock);
    return owner;
}

static mr_status handle_create(const mr_options *options, mr_engine **ret_engine, mr_error *reterr)
{
    mr_engine *h = mr__calloc(1, sizeof *h);
    if (h == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    h->folder.dir_fd = h->folder.lock_fd = -1;
    h->jobs = options->jobs;
    h->read_only = options->read_only;
    h->shutdown_ms = options->shutdown_ms != 0 ? options->shutdown_ms : SHUTDOWN_MS;
    h->on_log = options->on_log;
    h->user = options->user;
    h->actions = options->actions;
    h->on_hook = options->on_hook;
    h->hooks = options->hooks;
    h->mode = SWITCHING;
    h->unsent_end = &h->unsent;
    h->next_id = 1; /* 0 is the handle's own: its answers are nobody's */
    mr__hash_init(&h->by_id);
    mr_status status = mr__wake_init(&h->wake, reterr);
    if (status != MR_OK) {
        goto fail_handle;
    }
    if (options->plugins != NULL && (h->plugins = mr__strdup(options->plugins)) == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto fail_wake;
    }
    status = make_sync(h, reterr);
    if (status != MR_OK) {
        goto fail_plugins;
    }
    *ret_engine = h;
    return MR_OK;

fail_plugins:
    mr__free(h->plugins);
fail_wake:
    mr__wake_finish(&h->wake);
fail_handle:
    mr__free(h);
    return status;
}

static mr_status make_sync(mr_engine *h, mr_error *reterr)
{
    if (pthread_mutex_init(&h->lock, NULL) != 0) {
        goto fail;
    }
    if (pthread_cond_init(&h->freed, NULL) != 0) {
        goto fail_lock;
    }
    if (pthread_mutex_init(&h->log_lock, NULL) != 0) {
        goto fail_freed;
    }
    if (mr__delivery_init(&h->delivery, NULL, NULL) != MR_OK) {
        goto fail_log_lock;
    }
    return MR_OK;

fail_log_lock:
    (void)pthread_mutex_destroy(&h->log_lock);
fail_freed:
    (void)pthread_cond_destroy(&h->freed);
fail_lock:
    (void)pthread_mutex_destroy(&h->lock);
fail:
    return mr__error_set(reterr, MR_ENOMEM, "out of memory");
}

void mr__handle_destroy(mr_engine *h)
{
    mr__client_destroy(h->client);
    mr__registry_destroy(h->registry);
    mr__folder_close(&h->folder);
    mr__hash_finish(&h->by_id);
    mr__wake_finish(&h->wake);
    (void)pthread_mutex_destroy(&h->log_lock);
    (void)pthread_cond_destroy(&h->freed);
    (void)pthread_mutex_destroy(&h->lock);
    mr__free(h->started.list);
    mr__free(h->resumed.list);
    mr__free(h->plugins);
    mr__free(h);
}

void mr__handle_log(mr_engine *h, int32_t level, const char *fmt, ...)
{
    if (h->on_log == NULL) {
        return;
    }
    char line[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    tell_line(h, level, line);
}

/* Of the engine, of the handle's own thread, of mr_open: on_log is called by one at a time, and on
 * a caller's loop by that one alone. */
static void tell_line(mr_engine *h, int32_t level, const char *line)
{
    if (h->on_log == NULL) {
        return;
    }
    if (h->loop == NULL) {
        (void)pthread_mutex_lock(&h->log_lock);
        h->on_log(level, line, h->user);
        (void)pthread_mutex_unlock(&h->log_lock);
    } else if (mr__loop_is_here(h)) {
        h->on_log(level, line, h->user); /* It may send requests. */
    } else {
        mr__loop_say(h->loop, level, line);
    }
}

/* ---- finding or becoming the owner --------------------------------------------------------- */

mr_status mr__handle_establish(mr_engine *h, int64_t wait_ms, int64_t orphan_ms, mr_error *reterr)
{
    struct mr__clock *clock = mr__clock_system();
    int64_t begun = clock->monotonic_ms(clock), pid = 0;
    for (int64_t pause = 1;; pause = MR__MIN(pause * 2, PAUSE_MAX_MS)) {
        if (atomic_load(&h->wake.stop)) {
            return mr__error_set(reterr, MR_ECLOSED, "the handle was closed");
        }
        int64_t past = clock->monotonic_ms(clock) - begun, left = wait_ms - past;
        mr_status status = establish_once(h, MR__MAX(left, 1), &pid, reterr);
        bool again = status == MR_EBUSY || (status == MR_ENOTFOUND && past < orphan_ms);
        if (!again && status != MR_ETIMEDOUT) {
            return status;
        }
        if (status == MR_ETIMEDOUT || left <= 0) {
            return mr__error_set(reterr, MR_ESTORE,
                                 "process %" PRId64 " holds the store %s but does not answer", pid,
                                 h->folder.path);
        }
        (void)mr__wake_sleep(&h->wake, pause);
    }
}

/* One try. MR_EBUSY: the owner is only just coming or going. MR_ETIMEDOUT: it says nothing. */
static mr_status establish_once(mr_engine *h, int64_t wait_ms, int64_t *ret_pid, mr_error *reterr)
{
    mr_status status;
    if (h->read_only != 0) {
        status = mr__folder_probe(&h->folder, ret_pid, reterr);
        if (status == MR_OK) {
            return mr__error_set(reterr, MR_ENOTFOUND, "nobody holds the store %s", h->folder.path);
        }
    } else {
        status = mr__folder_lock(&h->folder, ret_pid, reterr);
        if (status == MR_OK) {
            status = become_owner(h, reterr);
            if (status != MR_OK) {
                mr__folder_unlock(&h->folder);
            }
            return status == MR_EBUSY ? MR_ESTORE : status;
        }
    }
    if (status != MR_EBUSY) {
        return status;
    }
    struct mr__client *client;
    status = mr__client_create(&h->folder, &h->wake, wait_ms, &client, reterr);
    if (status == MR_OK) {
        (void)pthread_mutex_lock(&h->lock);
        h->client = client;
        (void)pthread_mutex_unlock(&h->lock);
    }
    return status;
}

/* The lock is ours. The socket is there before the store is read, so that others wait for its first
 * line instead of trying again and again. */
static mr_status become_owner(mr_engine *h, mr_error *reterr)
{
    mr_status status;
    if (h->registry == NULL) {
        status =
            mr__registry_create_with(h->plugins, h->actions, registry_log, h, &h->registry, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    int listen_fd;
    status = mr__folder_listen(&h->folder, &listen_fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__engine_options options = {.path = h->folder.path,
                                         .registry = h->registry,
                                         .jobs = h->jobs,
                                         .shutdown_ms = h->shutdown_ms,
                                         .listen_fd = listen_fd,
                                         .on_log = engine_log,
                                         .hooks = h->hooks,
                                         .on_hook = h->on_hook == NULL ? NULL : call_hook,
                                         .hook_user = h,
                                         .user = h};
    struct mr__engine *engine;
    if (h->loop != NULL) {
        mr__loop_options(h->loop, &options);
        status = mr__loop_make_engine(h->loop, &options, &engine, reterr);
    } else {
        status = mr__engine_create(&options, &engine, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&h->lock);
    h->engine = engine;
    if (h->stopped) {
        mr__engine_stop(engine); /* mr_stop came while there was none to stop. */
    }
    (void)pthread_mutex_unlock(&h->lock);
    return MR_OK;
}

static void registry_log(void *user, int32_t level, const char *line)
{
    tell_line(user, level, line);
}

static void engine_log(int32_t level, const char *line, void *user)
{
    tell_line(user, level, line);
}

static void call_hook(void *user, enum mr__hook hook, const struct mr__scope_run *run)
{
    mr_engine *h = user;
    mr_hook told = {.size = sizeof told,
                    .hook = 1u << hook,
                    .run_id = run->id,
                    .dag_id = run->dag,
                    .status = run->status,
                    .reason = run->reason == NULL ? "" : run->reason};
    h->on_hook(&told, h->user);
}

/* ---- streams ------------------------------------------------------------------------------- */

mr_status mr__handle_add(mr_engine *h, mr_stream *stream)
{
    (void)pthread_mutex_lock(&h->lock);
    stream->id = h->next_id++;
    mr_status status = h->closing ? MR_ECLOSED
                                  : mr__hash_put(&h->by_id, &stream->id, sizeof stream->id,
                                                 (uint64_t)(uintptr_t)stream);
    if (status == MR_OK) {
        mr__handle_link(h, stream);
        mr__handle_send(h, stream);
        struct mr__delivery *delivery = atomic_load(&stream->delivery);
        if (delivery != NULL && stream->text == NULL) {
            mr__delivery_add(delivery, stream); /* It had failed before anybody could be told. */
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    return status;
}

void mr__handle_remove(mr_stream *stream)
{
    mr_engine *h = atomic_load(&stream->handle);
    if (h == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&h->lock);
    while (stream->busy) {
        (void)pthread_cond_wait(&h->freed, &h->lock);
    }
    if (atomic_load(&stream->handle) == NULL) { /* mr_close was faster */
        (void)pthread_mutex_unlock(&h->lock);
        return;
    }
    struct mr__engine *engine = h->engine;
    struct mr__request *request = stream->request;
    stream->request = NULL;
    if (h->mode == ATTACHED && stream->sent && !mr__stream_has_ended(stream)) {
        char line[MR__REQUEST_HEAD_BYTES];
        int len = snprintf(line, sizeof line, "{\"op\":\"close\",\"of\":%" PRIu64 "}", stream->id);
        (void)mr__client_send(h->client, line, (size_t)len, "", 0); /* Only to save work. */
    }
    stream_unlink(h, stream);
    (void)pthread_mutex_unlock(&h->lock);
    close_request(h, engine, request);
}

/* May wait for the loop: not under the lock. */
static void close_request(mr_engine *h, struct mr__engine *engine, struct mr__request *request)
{
    if (request == NULL) {
        return;
    }
    if (mr__loop_is_here(h)) {
        mr__engine_close_request_on_loop(engine, request);
    } else {
        mr__engine_close_request(engine, request);
    }
}

mr_status mr__handle_may_wait(mr_engine *h, const char *call, const char *instead, mr_error *reterr)
{
    if (h != NULL && mr__loop_is_here(h)) {
        return mr__error_set(reterr, MR_EINVAL,
                             "%s would wait for the loop of this very thread: use %s", call,
                             instead);
    }
    return MR_OK;
}

struct mr__delivery *mr__handle_delivery(mr_engine *h)
{
    return &h->delivery;
}

static void owner_on_answer(void *user, const char *json, size_t len, bool last)
{
    (void)mr__stream_push(user, json, len, last); /* A failed stream takes no more. */
}

void mr__handle_send(mr_engine *h, mr_stream *stream)
{
    if (h->stopped) {
        mr__stream_stop(stream);
        return;
    }
    if (stream->text == NULL || h->mode == SWITCHING) {
        return;
    }
    mr_error error = h->broken;
    if (h->mode == OWNER) {
        send_to_engine(h, stream, &error);
    } else if (h->mode == ATTACHED) {
        char head[MR__REQUEST_HEAD_BYTES];
        bool more = stream->text_len > strspn(stream->text + 1, " ") + 2;
        int len = snprintf(head, sizeof head, "{\"id\":%" PRIu64 "%s%s", stream->id,
                           stream->attach ? ",\"attach\":true" : "", more ? "," : "");
        stream->sent = true;
        bool queued =
            mr__client_send(h->client, head, (size_t)len, stream->text + 1, stream->text_len - 1);
        (void)mr__error_set(&error, queued ? MR_OK : MR_ENOMEM, "out of memory");
    }
    if (error.status != MR_OK) {
        mr__stream_fail(stream, &error);
    }
}

/* A caller's loop sends by itself when it turns next: here it may be in the middle of anything, and
 * nobody who holds the lock may wait for it. */
static void send_to_engine(mr_engine *h, mr_stream *stream, mr_error *ret_error)
{
    mr_status status = MR_OK;
    if (h->loop == NULL) {
        status = mr__engine_request(h->engine, stream->text, stream->text_len, owner_on_answer,
                                    stream, &stream->request);
    } else if (!stream->unsent) {
        stream->unsent = true;
        stream->unsent_next = NULL;
        *h->unsent_end = stream;
        h->unsent_end = &stream->unsent_next;
        mr__loop_ring(h->loop);
    }
    (void)mr__error_set(ret_error, status, "%s", mr_status_text(status));
}

/* The engine is not called under the lock: on_log, which it may call, may send a request. */
void mr__handle_send_rest(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    while (h->unsent != NULL) {
        mr_stream *stream = h->unsent;
        struct mr__engine *engine = h->engine;
        struct mr__request *request = NULL;
        unsent_remove(h, stream);
        stream->busy = true;
        (void)pthread_mutex_unlock(&h->lock);
        mr_status status = mr__engine_request_on_loop(engine, stream->text, stream->text_len,
                                                      owner_on_answer, stream, &request);
        (void)pthread_mutex_lock(&h->lock);
        stream->request = request;
        stream->busy = false;
        (void)pthread_cond_broadcast(&h->freed);
        if (status != MR_OK) {
            mr_error error;
            (void)mr__error_set(&error, status, "%s", mr_status_text(status));
            mr__stream_fail(stream, &error);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
}

/* In the order in which they were to be sent: a wait comes after the resume that it needs. */
static void unsent_remove(mr_engine *h, mr_stream *stream)
{
    mr_stream **at = &h->unsent;
    while (*at != stream) {
        at = &(*at)->unsent_next;
    }
    *at = stream->unsent_next;
    if (h->unsent_end == &stream->unsent_next) {
        h->unsent_end = at;
    }
    stream->unsent = false;
}

void mr__handle_link(mr_engine *h, mr_stream *stream)
{
    atomic_store(&stream->handle, h);
    stream->prev = h->last;
    stream->next = NULL;
    if (h->last != NULL) {
        h->last->next = stream;
    } else {
        h->first = stream;
    }
    h->last = stream;
}

static void stream_unlink(mr_engine *h, mr_stream *stream)
{
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        h->first = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    } else {
        h->last = stream->prev;
    }
    (void)mr__hash_del(&h->by_id, &stream->id, sizeof stream->id);
    stream->prev = stream->next = NULL;
    if (stream->unsent) {
        unsent_remove(h, stream);
    }
    atomic_store(&stream->handle, NULL); /* Last: who sees it does not take the lock. */
}

/* ---- closing ------------------------------------------------------------------------------- */

/* A taker goes on with runs that nobody else would: it stays until they stand still. One after the
 * other is as long as all at once, and costs one request. */
static void wait_for_resumed(mr_engine *h)
{
    for (uint32_t i = 0; i < h->resumed.count; i++) {
        const char *name;
        mr_status status = mr_wait(h, h->resumed.list[i], MR_FOREVER, &name, NULL);
        if (status == MR_ECLOSED) {
            return;
        }
    }
}

/* The engine lets go of a stream before that is told of its end, and may be gone. */
void mr__handle_close_streams(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->closing = true;
    while (h->first != NULL) {
        mr_stream *stream = h->first;
        struct mr__request *request = stream->request;
        struct mr__engine *engine = h->engine;
        stream->request = NULL;
        if (request != NULL) {
            stream->busy = true;
            (void)pthread_mutex_unlock(&h->lock);
            close_request(h, engine, request);
            (void)pthread_mutex_lock(&h->lock);
            stream->busy = false;
            (void)pthread_cond_broadcast(&h->freed);
        }
        mr__stream_stop(stream);
        stream_unlink(h, stream);
    }
    (void)pthread_mutex_unlock(&h->lock);
}
