/* SPDX-License-Identifier: MIT
 *
 * Named locks: which attempt holds which, until when, and who waits for it, in which order. A table
 * without a clock, a thread or a mutex of its own: time comes as an argument, in milliseconds that
 * never go back, and all calls are made under one mutex (the executor's). It owns its rows; owners
 * and waits are borrowed from whoever has them, until they are dropped or have ended.
 *
 * A lock whose time is over is noticed when somebody asks for it, or with mr__locks_expire where
 * somebody waits: mr__locks_next_ms says when that is due.
 */
#ifndef MR__LOCKS_H
#define MR__LOCKS_H

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "core/base/limits.h"

struct mr__lock_wait;

/* A moment in the table's heap. */
struct mr__lock_timer {
    int64_t due_ms;
    size_t at; /* its place, from 1; 0: it is not in the heap */
    bool of_wait;
};

/* A row: a lock that somebody holds. Others read it only. */
struct mr__lock {
    struct mr__lock_timer timer;        /* when it is lost; in the heap while somebody waits */
    struct mr__lock_owner *holder;      /* never NULL between two calls */
    struct mr__lock *next, *previous;   /* of the same holder */
    struct mr__lock_wait *first, *last; /* who waits */
    uint64_t fence;
    int64_t since_ms;
    uint32_t taken; /* how often its holder has taken it */
    uint32_t len;
    char name[]; /* with a final NUL */
};

/* Who takes locks. Begins as zeros; to be dropped before it goes. */
struct mr__lock_owner {
    struct mr__lock *held;
    struct mr__lock_wait *waits;
    uint32_t count; /* of both */
};

/* One that waits. Begins as zeros but for these two. */
struct mr__lock_wait {
    struct mr__lock_timer timer; /* due_ms: until when it waits; INT64_MAX: for ever */
    int64_t ttl_ms;
    struct mr__lock *lock; /* NULL: it does not wait (any more): `status` is true */
    struct mr__lock_owner *owner;
    struct mr__lock_wait *next, *previous; /* in the line */
    struct mr__lock_wait *owner_next, *owner_previous;
    mr_status status;
    uint64_t fence;
};

struct mr__locks {
    struct mr__hash rows; /* name -> struct mr__lock * */
    struct mr__lock_timer **heap;
    size_t heap_count, heap_cap;
    uint64_t fence; /* the last one */
    /* A wait has ended, from within a call: with MR_OK, MR_ETIMEDOUT, MR_ECANCELED. */
    void (*ended)(void *user, struct mr__lock_wait *wait);
    void *user;
};

void mr__locks_init(struct mr__locks *locks, void (*ended)(void *user, struct mr__lock_wait *wait),
                    void *user);
void mr__locks_finish(struct mr__locks *locks); /* every owner was dropped */

/* Fencing numbers are from now on above all those of smaller epochs. */
void mr__locks_epoch(struct mr__locks *locks, uint64_t epoch);

/* What is asked for. `wait` NULL: now or not at all. */
struct mr__lock_ask {
    struct mr__blob name;
    int64_t ttl_ms;
    struct mr__lock_wait *wait; /* its first two fields are set */
};
/* MR_OK: the owner holds it (once more), `ret_fence` is its number. MR_PENDING: `wait` stands in
 * line. MR_EBUSY: another holds it. MR_ELIMIT: the owner has too many, has taken this one too
 * often, or the table is full. MR_ENOMEM. */
mr_status mr__locks_take(struct mr__locks *locks, struct mr__lock_owner *owner,
                         const struct mr__lock_ask *ask, int64_t now_ms, uint64_t *ret_fence);
/* MR_ECONFLICT: it does not hold it, or not any more. */
mr_status mr__locks_renew(struct mr__locks *locks, struct mr__lock_owner *owner,
                          struct mr__blob name, int64_t ttl_ms, int64_t now_ms);
mr_status mr__locks_release(struct mr__locks *locks, struct mr__lock_owner *owner,
                            struct mr__blob name, int64_t now_ms);
/* The waits of this owner end with MR_ECANCELED. */
void mr__locks_leave(struct mr__locks *locks, struct mr__lock_owner *owner);
/* The same, and it holds nothing any more. */
void mr__locks_drop(struct mr__locks *locks, struct mr__lock_owner *owner, int64_t now_ms);

/* The row, or NULL: nobody holds it, and its time is not over. Until the next call. */
const struct mr__lock *mr__locks_find(const struct mr__locks *locks, struct mr__blob name,
                                      int64_t now_ms);

int64_t mr__locks_next_ms(const struct mr__locks *locks); /* INT64_MAX: never */
void mr__locks_expire(struct mr__locks *locks, int64_t now_ms);

#endif
