/* SPDX-License-Identifier: MIT
 *
 * A handle on the loop of the program that embeds: one async handle there, by which everybody asks
 * the loop's thread for what only that may do. It sends requests to the engine, calls callbacks,
 * makes the engine of a handle that takes over, and closes:
 *
 *     THREAD   the thread of an attached handle is told to end, and waited for
 *     RESUMED  a taker's runs, one after the other, until they stand still
 *     STREAMS  open streams get their end, and their callbacks are called
 *     ENGINE   the engine leaves the loop
 *     HANDLE   all is freed; the async handle goes last
 *
 * Nothing here waits for the loop to turn but mr__loop_make_engine, on another thread. `lock`
 * guards what others ask for; no other lock is taken while it is held.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "sdk/handle_impl.h"

#define LINES_MAX 1024u /* that wait for on_log; further ones are only counted */

enum closing { OPEN, THREAD, RESUMED, STREAMS, ENGINE, HANDLE };

/* A line of another thread for on_log. */
struct line {
    struct line *next;
    int32_t level;
    char text[];
};

struct mr__loop {
    uv_loop_t *uv; /* borrowed */
    uv_async_t async;
    pthread_t thread; /* the loop's */
    mr_engine *h;

    pthread_mutex_t lock;
    pthread_cond_t made;
    /* Guarded by lock. */
    const struct mr__engine_options *wanted; /* an engine to make; NULL: none */
    struct mr__engine *engine;               /* made */
    mr_status status;
    mr_error error;
    struct line *first_line, **last_line;
    uint32_t lines, lost_lines;
    bool close_asked, thread_over;
    void (*closed_cb)(void *user);
    void *closed_user;

    /* The loop's thread alone. */
    enum closing closing;
    uint32_t resumed; /* runs that have been waited for */
    bool waiting;     /* for one of them, or for the engine */
    bool engine_over;
};

static void loop_on_async(uv_async_t *async);
static void loop_say_lines(struct mr__loop *loop);
static void loop_make(struct mr__loop *loop);
static void close_step(struct mr__loop *loop);
static bool close_thread(struct mr__loop *loop);
static bool close_resumed(struct mr__loop *loop);
static void close_resumed_on_answer(const mr_answer *answer, void *user);
static bool close_engine(struct mr__loop *loop);
static void close_engine_on_over(void *user);
static void close_handle(struct mr__loop *loop);
static void close_handle_on_closed(uv_handle_t *handle);
static void loop_destroy(struct mr__loop *loop);

mr_status mr__loop_create(mr_engine *h, void *uv_loop, struct mr__loop **ret_loop, mr_error *reterr)
{
    struct mr__loop *loop = mr__calloc(1, sizeof *loop);
    if (loop == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    loop->uv = uv_loop;
    loop->thread = pthread_self();
    loop->last_line = &loop->first_line;
    loop->h = h;
    if (pthread_mutex_init(&loop->lock, NULL) != 0) {
        goto fail_loop;
    }
    if (pthread_cond_init(&loop->made, NULL) != 0) {
        goto fail_lock;
    }
    int failed = uv_async_init(loop->uv, &loop->async, loop_on_async);
    if (failed != 0) {
        loop_destroy(loop);
        return mr__error_set(reterr, mr__status_from_errno(-failed), "the loop cannot be woken: %s",
                             uv_strerror(failed));
    }
    loop->async.data = loop;
    h->delivery.ring = mr__loop_ring;
    h->delivery.user = loop;
    *ret_loop = loop;
    return MR_OK;

fail_lock:
    (void)pthread_mutex_destroy(&loop->lock);
fail_loop:
    mr__free(loop);
    return mr__error_set(reterr, MR_ENOMEM, "out of memory");
}

void mr__loop_abandon(struct mr__loop *loop)
{
    if (loop != NULL) {
        loop->h = NULL;
        uv_close((uv_handle_t *)&loop->async, close_handle_on_closed);
    }
}

static void loop_destroy(struct mr__loop *loop)
{
    while (loop->first_line != NULL) { /* of a handle that was not opened */
        struct line *line = loop->first_line;
        loop->first_line = line->next;
        mr__free(line);
    }
    (void)pthread_cond_destroy(&loop->made);
    (void)pthread_mutex_destroy(&loop->lock);
    mr__free(loop);
}

bool mr__loop_is_here(const mr_engine *h)
{
    return h->loop != NULL && pthread_equal(pthread_self(), h->loop->thread) != 0;
}

void mr__loop_ring(void *user)
{
    struct mr__loop *loop = user;
    (void)uv_async_send(&loop->async); /* It fails for a closed handle alone: nobody is there. */
}

void mr__loop_say(struct mr__loop *loop, int32_t level, const char *text)
{
    size_t len = strlen(text);
    struct line *line = mr__malloc(sizeof *line + len + 1);
    (void)pthread_mutex_lock(&loop->lock);
    if (line == NULL || loop->lines == LINES_MAX) {
        mr__free(line);
        loop->lost_lines++;
    } else {
        line->next = NULL;
        line->level = level;
        memcpy(line->text, text, len + 1);
        *loop->last_line = line;
        loop->last_line = &line->next;
        loop->lines++;
    }
    mr__loop_ring(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

void mr__loop_options(struct mr__loop *loop, struct mr__engine_options *options)
{
    options->loop = loop->uv;
    options->on_over = close_engine_on_over;
    options->over_user = loop;
}

mr_status mr__loop_make_engine(struct mr__loop *loop, const struct mr__engine_options *options,
                               struct mr__engine **ret_engine, mr_error *reterr)
{
    if (mr__loop_is_here(loop->h)) {
        return mr__engine_create(options, ret_engine, reterr);
    }
    (void)pthread_mutex_lock(&loop->lock);
    loop->wanted = options;
    mr__loop_ring(loop);
    while (loop->wanted != NULL) {
        (void)pthread_cond_wait(&loop->made, &loop->lock);
    }
    mr_status status = loop->status;
    if (status == MR_OK) {
        *ret_engine = loop->engine;
    } else {
        (void)mr__error_set(reterr, status, "%s", loop->error.message);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return status;
}

void mr__loop_thread_over(struct mr__loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    loop->thread_over = true;
    mr__loop_ring(loop); /* Under the lock: the loop may go as soon as it is known. */
    (void)pthread_mutex_unlock(&loop->lock);
}

void mr__loop_close(struct mr__loop *loop, void (*cb)(void *user), void *user)
{
    (void)pthread_mutex_lock(&loop->lock);
    MR_ASSERT(!loop->close_asked);
    loop->close_asked = true;
    loop->closed_cb = cb;
    loop->closed_user = user;
    mr__loop_ring(loop); /* likewise */
    (void)pthread_mutex_unlock(&loop->lock);
}

/* ---- on the loop's thread ------------------------------------------------------------------- */

static void loop_on_async(uv_async_t *async)
{
    struct mr__loop *loop = async->data;
    if (loop->h == NULL) {
        return; /* it is closing */
    }
    loop_say_lines(loop);
    loop_make(loop);
    mr__handle_send_rest(loop->h);
    if (mr__delivery_turn(&loop->h->delivery)) {
        mr__loop_ring(loop);
    }
    close_step(loop);
}

static void loop_say_lines(struct mr__loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    struct line *line = loop->first_line;
    uint32_t lost = loop->lost_lines;
    loop->first_line = NULL;
    loop->last_line = &loop->first_line;
    loop->lines = loop->lost_lines = 0;
    (void)pthread_mutex_unlock(&loop->lock);
    while (line != NULL) {
        struct line *next = line->next;
        mr__handle_log(loop->h, line->level, "%s", line->text);
        mr__free(line);
        line = next;
    }
    if (lost > 0) {
        mr__handle_log(loop->h, 1, "%u more lines could not be kept", lost);
    }
}

/* The engine of a handle that takes over. Its thread waits. */
static void loop_make(struct mr__loop *loop)
{
    struct mr__engine *engine = NULL;
    mr_error error = {.message = ""};
    mr_status status;
    (void)pthread_mutex_lock(&loop->lock);
    const struct mr__engine_options *wanted = loop->wanted;
    bool closing = loop->close_asked;
    (void)pthread_mutex_unlock(&loop->lock);
    if (wanted == NULL) {
        return;
    }
    if (closing) {
        (void)close(wanted->listen_fd); /* Nothing was written. */
        status = mr__error_set(&error, MR_ECLOSED, "the handle was closed");
    } else {
        status = mr__engine_create(wanted, &engine, &error);
    }
    (void)pthread_mutex_lock(&loop->lock);
    loop->engine = engine;
    loop->status = status;
    loop->error = error;
    loop->wanted = NULL;
    (void)pthread_cond_signal(&loop->made);
    (void)pthread_mutex_unlock(&loop->lock);
}

/* ---- closing -------------------------------------------------------------------------------- */

/* Goes on as far as it can. */
static void close_step(struct mr__loop *loop)
{
    if (loop->closing == OPEN) {
        (void)pthread_mutex_lock(&loop->lock);
        loop->closing = loop->close_asked ? THREAD : OPEN;
        (void)pthread_mutex_unlock(&loop->lock);
        if (loop->closing == OPEN) {
            return;
        }
    }
    if (loop->closing == THREAD && close_thread(loop)) {
        loop->closing = RESUMED;
    }
    if (loop->closing == RESUMED && close_resumed(loop)) {
        mr__handle_close_streams(loop->h);
        loop->closing = STREAMS;
    }
    if (loop->closing == STREAMS) {
        while (mr__delivery_turn(&loop->h->delivery)) {
            /* Each has an end now, so that this has one. */
        }
        loop->closing = ENGINE;
    }
    if (loop->closing == ENGINE && close_engine(loop)) {
        loop->closing = HANDLE;
        close_handle(loop);
    }
}

/* True: there is no thread any more. A taker's ends by itself. */
static bool close_thread(struct mr__loop *loop)
{
    mr_engine *h = loop->h;
    if (!h->has_thread) {
        return true;
    }
    (void)pthread_mutex_lock(&h->lock);
    if (h->mode != OWNER) {
        mr__wake_stop(&h->wake);
    }
    (void)pthread_mutex_unlock(&h->lock);
    (void)pthread_mutex_lock(&loop->lock);
    bool over = loop->thread_over;
    (void)pthread_mutex_unlock(&loop->lock);
    if (over) {
        (void)pthread_join(h->thread, NULL); /* It has nothing left to do. */
        loop_say_lines(loop);
        h->has_thread = false;
    }
    return over;
}

/* True: no run is waited for any more. */
static bool close_resumed(struct mr__loop *loop)
{
    mr_engine *h = loop->h;
    while (!loop->waiting && h->engine != NULL && loop->resumed < h->resumed.count) {
        char request[96];
        (void)snprintf(request, sizeof request, "{\"op\":\"wait\",\"run\":\"%s\"}",
                       h->resumed.list[loop->resumed++]);
        loop->waiting =
            mr_request_cb(h, request, close_resumed_on_answer, loop, NULL, NULL) == MR_OK;
    }
    return !loop->waiting;
}

static void close_resumed_on_answer(const mr_answer *answer, void *user)
{
    struct mr__loop *loop = user;
    if (answer->status == MR_OK) {
        return;
    }
    if (answer->status == MR_ECLOSED) {
        loop->resumed = loop->h->resumed.count; /* mr_stop: no other is waited for */
    }
    loop->waiting = false;
    mr__loop_ring(loop);
}

/* True: there is no engine any more. */
static bool close_engine(struct mr__loop *loop)
{
    mr_engine *h = loop->h;
    (void)pthread_mutex_lock(&h->lock);
    struct mr__engine *engine = h->engine;
    bool drain = !h->stopped;
    (void)pthread_mutex_unlock(&h->lock);
    if (engine == NULL) {
        return true;
    }
    if (!loop->waiting) {
        loop->waiting = true;
        mr__engine_end(engine, drain); /* It may be over at once, and tells. */
    }
    if (!loop->engine_over) {
        return false;
    }
    (void)pthread_mutex_lock(&h->lock);
    h->engine = NULL; /* From here on mr_stop finds none. */
    (void)pthread_mutex_unlock(&h->lock);
    mr__engine_free(engine);
    return true;
}

static void close_engine_on_over(void *user)
{
    struct mr__loop *loop = user;
    loop->engine_over = true;
    mr__loop_ring(loop);
}

static void close_handle(struct mr__loop *loop)
{
    mr_engine *h = loop->h;
    loop->h = NULL;
    mr__delivery_finish(&h->delivery);
    mr__handle_destroy(h);
    uv_close((uv_handle_t *)&loop->async, close_handle_on_closed);
}

static void close_handle_on_closed(uv_handle_t *handle)
{
    struct mr__loop *loop = handle->data;
    void (*cb)(void *user) = loop->closed_cb;
    void *user = loop->closed_user;
    loop_destroy(loop);
    if (cb != NULL) {
        cb(user);
    }
}
