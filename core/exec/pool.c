/* SPDX-License-Identifier: MIT
 *
 * The worker pool: one queue, one mutex, one condition variable. The pool's memory belongs to its
 * owner and to each of its threads; the last of them frees it, so that a job which never returns
 * can be left behind.
 */
#include "core/exec/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct worker {
    struct mr__pool *pool;
    pthread_t thread;
    bool busy;   /* in a job */
    void *local; /* its slot */
};

static _Thread_local struct worker *self; /* of the calling thread, if it is one */

struct mr__pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct mr__pool_job queue; /* its head: a ring */
    uint32_t waiting;          /* jobs in the queue */
    uint32_t idle;             /* workers asleep */
    uint32_t count, max;
    uint32_t refs;
    bool closing;
    void (*end_local)(void *local);
    struct worker workers[];
};

static void *work(void *arg);

mr_status mr__pool_create(uint32_t threads_max, void (*end_local)(void *local),
                          struct mr__pool **ret_pool)
{
    struct mr__pool *pool = mr__calloc(1, sizeof *pool + threads_max * sizeof pool->workers[0]);
    if (pool == NULL) {
        return MR_ENOMEM;
    }
    pool->max = threads_max;
    pool->refs = 1;
    pool->end_local = end_local;
    pool->queue.next = pool->queue.previous = &pool->queue;
    if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
        goto fail_pool;
    }
    if (pthread_cond_init(&pool->work, NULL) != 0) {
        goto fail_mutex;
    }
    *ret_pool = pool;
    return MR_OK;

fail_mutex:
    (void)pthread_mutex_destroy(&pool->mutex);
fail_pool:
    mr__free(pool);
    return MR_ENOMEM;
}

/* Under the mutex, which is what the new thread waits for first. */
static int start_worker(struct mr__pool *pool)
{
    struct worker *worker = &pool->workers[pool->count];
    sigset_t all, before;
    worker->pool = pool;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, work, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0) {
        (void)pthread_setname_np(worker->thread, "millrace-work");
        pool->count++;
        pool->refs++;
    }
    return failed;
}

static void unlink_job(struct mr__pool *pool, struct mr__pool_job *job)
{
    job->previous->next = job->next;
    job->next->previous = job->previous;
    job->next = job->previous = NULL;
    pool->waiting--;
}

mr_status mr__pool_submit(struct mr__pool *pool, struct mr__pool_job *job)
{
    int failed = 0;
    (void)pthread_mutex_lock(&pool->mutex);
    if (pool->waiting >= pool->idle && pool->count < pool->max) {
        failed = start_worker(pool);
    }
    if (failed == 0 || pool->count > 0) {
        failed = 0;
        job->next = &pool->queue;
        job->previous = pool->queue.previous;
        job->previous->next = job;
        pool->queue.previous = job;
        pool->waiting++;
        (void)pthread_cond_signal(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return failed == 0 ? MR_OK : failed == ENOMEM ? MR_ENOMEM : MR_EIO;
}

bool mr__pool_remove(struct mr__pool *pool, struct mr__pool_job *job)
{
    (void)pthread_mutex_lock(&pool->mutex);
    bool queued = job->next != NULL;
    if (queued) {
        unlink_job(pool, job);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return queued;
}

/* Gives the mutex back, and frees the pool if nobody holds it any more. */
static void unref_and_unlock(struct mr__pool *pool)
{
    bool last = --pool->refs == 0;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (last) {
        (void)pthread_cond_destroy(&pool->work);
        (void)pthread_mutex_destroy(&pool->mutex);
        mr__free(pool);
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct mr__pool *pool = worker->pool;
    self = worker;
    (void)pthread_mutex_lock(&pool->mutex);
    while (!pool->closing) {
        struct mr__pool_job *job = pool->queue.next;
        if (job == &pool->queue) {
            pool->idle++;
            (void)pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
            continue;
        }
        unlink_job(pool, job);
        worker->busy = true;
        (void)pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        (void)pthread_mutex_lock(&pool->mutex);
        worker->busy = false;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    if (worker->local != NULL && pool->end_local != NULL) {
        pool->end_local(worker->local);
    }
    (void)pthread_mutex_lock(&pool->mutex);
    unref_and_unlock(pool);
    return NULL;
}

void **mr__pool_local(void)
{
    return self == NULL ? NULL : &self->local;
}

void mr__pool_destroy(struct mr__pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    while (pool->queue.next != &pool->queue) {
        unlink_job(pool, pool->queue.next);
    }
    (void)pthread_cond_broadcast(&pool->work);
    for (uint32_t i = 0; i < pool->count; i++) {
        pthread_t thread = pool->workers[i].thread;
        if (pool->workers[i].busy) {
            (void)pthread_detach(thread);
        } else {
            (void)pthread_mutex_unlock(&pool->mutex);
            (void)pthread_join(thread, NULL);
            (void)pthread_mutex_lock(&pool->mutex);
        }
    }
    unref_and_unlock(pool);
}
