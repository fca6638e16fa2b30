/* SPDX-License-Identifier: MIT
 *
 * Delivery: the answers of streams that have a callback, taken from their queues and told one after
 * the other, on the thread of the caller's loop or on one of the handle's own. No part of the
 * engine is on the stack then, so that a callback may call what its thread may.
 *
 * `lock` guards what stands here; it is taken while a stream's own lock is held, and no lock is
 * held while a callback is called.
 */
#ifndef MR__DELIVERY_H
#define MR__DELIVERY_H

#include <millrace/engine.h>
#include <pthread.h>

#include "core/base/base.h"

struct mr__delivery {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*ring)(void *user); /* on a caller's loop: asks for mr__delivery_turn. Any thread */
    void *user;

    /* Guarded by lock. */
    mr_stream *first, *last; /* those that have something to tell */
    uint32_t count;          /* of them */
    mr_stream *current;      /* whose callback is called */
    pthread_t teller;        /* by this thread */
    bool dropped;            /* the callback has closed its own stream */
    pthread_t thread;
    bool has_thread, ending;
};

/* `ring` NULL: a thread of its own, once there is something to tell. */
mr_status mr__delivery_init(struct mr__delivery *delivery, void (*ring)(void *user), void *user);
/* Tells what is left, if there is a thread for it, and ends that. */
void mr__delivery_finish(struct mr__delivery *delivery);

/* Before a stream gets a callback. MR_ENOMEM: there is no thread for it. */
mr_status mr__delivery_begin(struct mr__delivery *delivery);
/* The stream has something to tell. */
void mr__delivery_add(struct mr__delivery *delivery, mr_stream *stream);
/* The loop's thread: tells what there is, within bounds. True: something is left. */
bool mr__delivery_turn(struct mr__delivery *delivery);
/* Nobody is told of the stream any more once this has returned. False: its own callback has called
 * this, and the stream is destroyed after that has returned. */
bool mr__delivery_drop(struct mr__delivery *delivery, mr_stream *stream);

#endif
