/* SPDX-License-Identifier: MIT
 *
 * Worker threads for actions that may block: at most a fixed number, started when they are needed,
 * asleep on a condition variable when they are not. All signals are blocked in them. Not libuv's
 * own pool, which is one for the whole process.
 */
#ifndef MR__POOL_H
#define MR__POOL_H

#include "core/base/base.h"

struct mr__pool;

/* A piece of work, inside a struct of the caller's. `run` is called on a worker; the job may be
 * freed or submitted anew from then on. */
struct mr__pool_job {
    struct mr__pool_job *next, *previous;
    void (*run)(struct mr__pool_job *job);
};

/* `end_local` (or NULL) is called at the end of a thread with what that has left in its slot. */
mr_status mr__pool_create(uint32_t threads_max, void (*end_local)(void *local),
                          struct mr__pool **ret_pool);

/* The slot of the worker that calls: one pointer of its own, NULL at first, for what is expensive
 * to make and belongs to one thread. NULL: the caller is no worker. */
void **mr__pool_local(void);

/* One thread submits. MR_ENOMEM or MR_EIO: no thread could be started, and none is there. */
mr_status mr__pool_submit(struct mr__pool *pool, struct mr__pool_job *job);

/* Takes back a job that no worker has begun. False: one has. */
bool mr__pool_remove(struct mr__pool *pool, struct mr__pool_job *job);

/* Ends the threads; jobs not begun are dropped. Waits for every thread but those that are at work,
 * which end by themselves when their job returns. NULL is allowed. */
void mr__pool_destroy(struct mr__pool *pool);

#endif
