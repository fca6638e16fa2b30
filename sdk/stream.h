/* SPDX-License-Identifier: MIT
 *
 * A stream: one request and the queue of its answers, the same for an owner and an attached handle.
 *
 * Answers are pushed by the engine's loop thread or the handle's own thread and taken by the
 * caller's; `lock` guards what they share. Where the stream stands in its handle is guarded by the
 * handle's lock, which is never taken while `lock` is held.
 */
#ifndef MR__STREAM_H
#define MR__STREAM_H

#include <millrace/engine.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/base.h"
#include "core/engine/engine.h"
#include "sdk/delivery.h"

/* What becomes of a request that was sent to an owner which then ended. */
enum mr__stream_kind {
    MR__STREAM_REPEAT,  /* asked again; answers that came already are left out */
    MR__STREAM_RESTART, /* asked again; it begins anew with the present state */
    MR__STREAM_ONCE     /* doing it twice is not the same: MR_EUNKNOWN */
};

struct mr__line {
    struct mr__line *next;
    size_t len;
    char json[]; /* with a final NUL */
};

struct mr_stream {
    /* Guarded by the handle's lock. */
    _Atomic(struct mr_engine *) handle; /* NULL: no longer known to it */
    struct mr_stream *prev, *next;
    struct mr__request *request; /* an owner's: to be closed once */
    uint64_t id;                 /* of the request on the socket */
    bool sent;
    bool unsent; /* the caller's loop has yet to send it; then unsent_next is the one after */
    struct mr_stream *unsent_next;
    bool busy; /* its request is being sent or closed: it stays where it is */

    /* Set once, before anybody else knows the stream. */
    char *text; /* the request: one line, beginning with its brace */
    size_t text_len;
    char *run; /* its "run", or NULL */
    enum mr__stream_kind kind;
    bool starts; /* its answer names a run that goes on because of it */
    bool attach; /* the socket's request says "attach" */
    bool waits;  /* it ends when its run stands still */

    pthread_mutex_t lock;
    pthread_cond_t arrived;
    /* Guarded by lock. */
    struct mr__line *first, **last;
    uint32_t count;
    uint64_t received, skip; /* answers so far; how many of those that come are known already */
    bool ended;              /* nothing is to come */
    bool stopped;            /* the handle was stopped or closed */
    mr_error failed;         /* given after the lines; status 0: none */

    struct mr__line *current; /* the caller's thread alone */

    /* Answers by callback; `cb` NULL: they are taken with mr_stream_next. */
    mr_answer_cb cb;
    void *user;
    bool owned; /* the caller closes it; else it goes after its last answer */
    _Atomic(struct mr__delivery *) delivery; /* NULL: it has told its last answer, or has no cb */
    /* Guarded by the delivery's lock. */
    mr_stream *ready_next;
    bool ready, told;
};

/* Checks a request and makes its stream, known to nobody yet. MR_EINVAL: no JSON object. A request
 * that cannot be sent gives a stream that has failed. */
mr_status mr__stream_create(const char *json, bool attach, mr_stream **ret_stream,
                            mr_error *reterr);
void mr__stream_destroy(mr_stream *stream);

/* Adds an answer. False: this one was too many or there was no memory, and the stream has failed.
 */
bool mr__stream_push(mr_stream *stream, const char *json, size_t len, bool last);
/* Ends a stream with an error, unless it has ended. */
void mr__stream_fail(mr_stream *stream, const mr_error *error);
/* The caller gets MR_ECLOSED, now and later. */
void mr__stream_stop(mr_stream *stream);
bool mr__stream_has_ended(mr_stream *stream);
/* mr_stream_next, whoever takes the answers. */
mr_status mr__stream_next(mr_stream *stream, int64_t timeout_ms, const char **ret_json,
                          mr_error *reterr);
/* The request is about to be sent again. */
void mr__stream_again(mr_stream *stream);

/* mr_request, where `attach` makes an owner stay that the request goes to through the socket. */
mr_status mr__request_attach(mr_engine *engine, const char *request_json, bool attach,
                             mr_stream **ret_stream, mr_error *reterr);

/* mr_request_cb, likewise. */
mr_status mr__request_cb_attach(mr_engine *engine, const char *request_json, bool attach,
                                mr_answer_cb cb, void *user, mr_stream **ret_stream,
                                mr_error *reterr);

/* If `json` is an error answer: its status and message, with the place where it has one. */
bool mr__answer_error(const char *json, size_t len, mr_error *ret_error);

#endif
