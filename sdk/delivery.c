/* SPDX-License-Identifier: MIT
 *
 * Calling callbacks: see delivery.h. Also mr_request_cb, which gives a stream its callback.
 */
#include "sdk/delivery.h"

#include <signal.h>

#include "sdk/handle.h"
#include "sdk/stream.h"

#define ANSWERS_PER_TURN 256u /* of one stream; then others have their turn, and the loop */

static mr_stream *pop_ready(struct mr__delivery *d);
static void tell(struct mr__delivery *d, mr_stream *stream);
static void tell_end(struct mr__delivery *d, mr_stream *stream, bool dropped, bool last);
static void unlink_ready(struct mr__delivery *d, mr_stream *stream);
static void *thread_main(void *arg);

mr_status mr__delivery_init(struct mr__delivery *d, void (*ring)(void *user), void *user)
{
    d->ring = ring;
    d->user = user;
    if (pthread_mutex_init(&d->lock, NULL) != 0) {
        return MR_ENOMEM;
    }
    if (pthread_cond_init(&d->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&d->lock);
        return MR_ENOMEM;
    }
    return MR_OK;
}

void mr__delivery_finish(struct mr__delivery *d)
{
    (void)pthread_mutex_lock(&d->lock);
    MR_ASSERT(d->current == NULL || pthread_equal(d->teller, pthread_self()) == 0);
    d->ending = true;
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (d->has_thread) {
        (void)pthread_join(d->thread, NULL);
    }
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
}

mr_status mr__delivery_begin(struct mr__delivery *d)
{
    sigset_t all, before;
    int result = 0;
    (void)pthread_mutex_lock(&d->lock);
    if (d->ring == NULL && !d->has_thread) {
        /* Signals are the program's business: none is delivered to a thread of the library. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        result = pthread_create(&d->thread, NULL, thread_main, d);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        d->has_thread = result == 0;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return result == 0 ? MR_OK : MR_ENOMEM;
}

void mr__delivery_add(struct mr__delivery *d, mr_stream *stream)
{
    (void)pthread_mutex_lock(&d->lock);
    bool added = !stream->ready && !stream->told;
    if (added) {
        stream->ready = true;
        stream->ready_next = NULL;
        *(d->last == NULL ? &d->first : &d->last->ready_next) = stream;
        d->last = stream;
        d->count++;
        (void)pthread_cond_broadcast(&d->changed);
    }
    (void)pthread_mutex_unlock(&d->lock);
    if (added && d->ring != NULL) {
        d->ring(d->user);
    }
}

bool mr__delivery_turn(struct mr__delivery *d)
{
    (void)pthread_mutex_lock(&d->lock);
    uint32_t left = d->count; /* Those that come later, and the rest of long ones: next time. */
    (void)pthread_mutex_unlock(&d->lock);
    mr_stream *stream;
    while (left-- > 0 && (stream = pop_ready(d)) != NULL) {
        tell(d, stream);
    }
    (void)pthread_mutex_lock(&d->lock);
    bool more = d->first != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return more;
}

bool mr__delivery_drop(struct mr__delivery *d, mr_stream *stream)
{
    bool dropped = true;
    (void)pthread_mutex_lock(&d->lock);
    unlink_ready(d, stream);
    if (d->current == stream && pthread_equal(d->teller, pthread_self()) != 0) {
        d->dropped = true;
        dropped = false;
    }
    while (dropped && d->current == stream) {
        (void)pthread_cond_wait(&d->changed, &d->lock);
        unlink_ready(d, stream); /* It may have had more to tell than fits into a turn. */
    }
    (void)pthread_mutex_unlock(&d->lock);
    return dropped;
}

static void unlink_ready(struct mr__delivery *d, mr_stream *stream)
{
    if (!stream->ready) {
        return;
    }
    mr_stream *before = NULL;
    for (mr_stream *at = d->first; at != stream; at = at->ready_next) {
        before = at;
    }
    *(before == NULL ? &d->first : &before->ready_next) = stream->ready_next;
    d->last = d->last == stream ? before : d->last;
    stream->ready = false;
    d->count--;
}

/* The first that has something to tell becomes the current one. */
static mr_stream *pop_ready(struct mr__delivery *d)
{
    (void)pthread_mutex_lock(&d->lock);
    mr_stream *stream = d->first;
    if (stream != NULL) {
        unlink_ready(d, stream);
        d->current = stream;
        d->teller = pthread_self();
        d->dropped = false;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return stream;
}

static void tell(struct mr__delivery *d, mr_stream *stream)
{
    bool dropped = false, last = false, more = true;
    for (uint32_t i = 0; i < ANSWERS_PER_TURN && more && !dropped && !last; i++) {
        mr_error error = {.status = MR_OK, .message = ""};
        const char *json = NULL;
        mr_status status = mr__stream_next(stream, 0, &json, &error);
        if (status == MR_ETIMEDOUT && json == NULL) {
            more = false; /* it has told all that there is */
            break;
        }
        mr_answer answer = {.size = sizeof answer,
                            .status = status,
                            .json = json,
                            .message = status < 0 ? error.message : ""};
        last = status != MR_OK;
        stream->cb(&answer, stream->user);
        (void)pthread_mutex_lock(&d->lock);
        dropped = d->dropped;
        (void)pthread_mutex_unlock(&d->lock);
    }
    if (more && !dropped && !last) {
        mr__delivery_add(d, stream);
    }
    tell_end(d, stream, dropped, last);
}

/* Lets go of the stream: of one that its callback has closed, of one that goes by itself. */
static void tell_end(struct mr__delivery *d, mr_stream *stream, bool dropped, bool last)
{
    bool destroy = dropped || (last && !stream->owned);
    if (last && destroy && !dropped) {
        mr__handle_remove(stream);
    }
    (void)pthread_mutex_lock(&d->lock);
    if (destroy || last) {
        unlink_ready(d, stream);
    }
    if (last) {
        stream->told = true;
        atomic_store(&stream->delivery, NULL); /* who closes it need not come here any more */
    }
    d->current = NULL;
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (destroy) {
        mr__stream_destroy(stream);
    }
}

static void *thread_main(void *arg)
{
    struct mr__delivery *d = arg;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->ending || d->first != NULL) {
        if (d->first == NULL) {
            (void)pthread_cond_wait(&d->changed, &d->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&d->lock);
        mr_stream *stream = pop_ready(d);
        if (stream != NULL) { /* it may have been closed meanwhile */
            tell(d, stream);
        }
        (void)pthread_mutex_lock(&d->lock);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return NULL;
}
