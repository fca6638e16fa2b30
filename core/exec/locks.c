/* SPDX-License-Identifier: MIT
 *
 * The table of locks. Any thread, under the mutex of whoever has the table.
 *
 * A row is there only while somebody holds the lock, so that one who comes when there is none never
 * passes another who waits. The heap holds the moments at which something happens by itself: the
 * end of a lock for which somebody waits, and the end of a wait that has one.
 */
#include "core/exec/locks.h"

#include <stdlib.h>

/* As numbers of log chunks: room for 2^24 epochs, and 2^40 locks taken in each. */
#define EPOCH_SHIFT 40

static void pass_on(struct mr__locks *locks, struct mr__lock *lock, int64_t now_ms);

void mr__locks_init(struct mr__locks *locks, void (*ended)(void *user, struct mr__lock_wait *wait),
                    void *user)
{
    *locks = (struct mr__locks){.ended = ended, .user = user};
    mr__hash_init(&locks->rows);
}

void mr__locks_finish(struct mr__locks *locks)
{
    MR_ASSERT(locks->rows.count == 0);
    mr__hash_finish(&locks->rows);
    mr__free(locks->heap);
    locks->heap = NULL;
}

void mr__locks_epoch(struct mr__locks *locks, uint64_t epoch)
{
    locks->fence = MR__MAX(locks->fence, epoch << EPOCH_SHIFT);
}

static int64_t time_after(int64_t now_ms, int64_t ms)
{
    return ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
}

/* ---- the heap ---------------------------------------------------------------------------------
 */

static void heap_put(struct mr__locks *locks, size_t at, struct mr__lock_timer *timer)
{
    locks->heap[at - 1] = timer;
    timer->at = at;
}

/* Moves a timer, which stands at `at` or is to, to where it belongs. */
static void heap_sift(struct mr__locks *locks, size_t at, struct mr__lock_timer *timer)
{
    for (; at > 1 && locks->heap[at / 2 - 1]->due_ms > timer->due_ms; at /= 2) {
        heap_put(locks, at, locks->heap[at / 2 - 1]);
    }
    for (size_t child; (child = 2 * at) <= locks->heap_count; at = child) {
        if (child < locks->heap_count &&
            locks->heap[child]->due_ms < locks->heap[child - 1]->due_ms) {
            child++;
        }
        if (locks->heap[child - 1]->due_ms >= timer->due_ms) {
            break;
        }
        heap_put(locks, at, locks->heap[child - 1]);
    }
    heap_put(locks, at, timer);
}

/* Room for one wait and for the lock that it waits for. */
static bool heap_reserve(struct mr__locks *locks)
{
    if (locks->heap_count + 2 > locks->heap_cap) {
        size_t cap = locks->heap_cap == 0 ? 16 : locks->heap_cap * 2;
        struct mr__lock_timer **heap = mr__realloc(locks->heap, cap * sizeof(*heap));
        if (heap == NULL) {
            return false;
        }
        locks->heap = heap;
        locks->heap_cap = cap;
    }
    return true;
}

static void heap_add(struct mr__locks *locks, struct mr__lock_timer *timer)
{
    if (timer->at == 0 && timer->due_ms != INT64_MAX) {
        MR_ASSERT(locks->heap_count < locks->heap_cap);
        locks->heap_count++;
        heap_sift(locks, locks->heap_count, timer);
    }
}

static void heap_del(struct mr__locks *locks, struct mr__lock_timer *timer)
{
    size_t at = timer->at;
    if (at == 0) {
        return;
    }
    struct mr__lock_timer *last = locks->heap[--locks->heap_count];
    timer->at = 0;
    if (last != timer) {
        heap_sift(locks, at, last);
    }
}

/* ---- who holds --------------------------------------------------------------------------------
 */

static struct mr__lock *find(const struct mr__locks *locks, struct mr__blob name)
{
    uint64_t number;
    return mr__hash_get(&locks->rows, name.data, name.len, &number)
               ? (struct mr__lock *)(uintptr_t)number
               : NULL;
}

static uint64_t hold(struct mr__locks *locks, struct mr__lock *lock, struct mr__lock_owner *owner,
                     int64_t ttl_ms, int64_t now_ms)
{
    lock->holder = owner;
    lock->taken = 1;
    lock->fence = ++locks->fence;
    lock->since_ms = now_ms;
    lock->timer.due_ms = time_after(now_ms, ttl_ms);
    lock->previous = NULL;
    lock->next = owner->held;
    if (owner->held != NULL) {
        owner->held->previous = lock;
    }
    owner->held = lock;
    owner->count++;
    return lock->fence;
}

/* Takes it from its holder: the next one has it, or nobody. */
static void let_go(struct mr__locks *locks, struct mr__lock *lock, int64_t now_ms)
{
    struct mr__lock_owner *owner = lock->holder;
    if (lock->next != NULL) {
        lock->next->previous = lock->previous;
    }
    *(lock->previous == NULL ? &owner->held : &lock->previous->next) = lock->next;
    owner->count--;
    heap_del(locks, &lock->timer);
    pass_on(locks, lock, now_ms);
}

/* The row as it is now: one whose time is over has gone on to the next. */
static struct mr__lock *find_now(struct mr__locks *locks, struct mr__blob name, int64_t now_ms)
{
    struct mr__lock *lock = find(locks, name);
    if (lock != NULL && lock->timer.due_ms <= now_ms) {
        let_go(locks, lock, now_ms);
        lock = find(locks, name);
    }
    return lock;
}

const struct mr__lock *mr__locks_find(const struct mr__locks *locks, struct mr__blob name,
                                      int64_t now_ms)
{
    const struct mr__lock *lock = find(locks, name);
    return lock != NULL && lock->timer.due_ms > now_ms ? lock : NULL;
}

static void renew(struct mr__locks *locks, struct mr__lock *lock, int64_t due_ms)
{
    lock->timer.due_ms = due_ms;
    if (lock->timer.at != 0) {
        heap_sift(locks, lock->timer.at, &lock->timer);
    }
}

/* ---- who waits --------------------------------------------------------------------------------
 */

static void wait_begin(struct mr__locks *locks, struct mr__lock *lock, struct mr__lock_owner *owner,
                       struct mr__lock_wait *wait)
{
    wait->lock = lock;
    wait->owner = owner;
    wait->timer.of_wait = true;
    wait->next = NULL;
    wait->previous = lock->last;
    *(lock->last == NULL ? &lock->first : &lock->last->next) = wait;
    lock->last = wait;
    wait->owner_previous = NULL;
    wait->owner_next = owner->waits;
    if (owner->waits != NULL) {
        owner->waits->owner_previous = wait;
    }
    owner->waits = wait;
    owner->count++;
    heap_add(locks, &wait->timer);
    heap_add(locks, &lock->timer);
}

/* Out of the line. */
static void wait_end(struct mr__locks *locks, struct mr__lock_wait *wait)
{
    struct mr__lock *lock = wait->lock;
    *(wait->previous == NULL ? &lock->first : &wait->previous->next) = wait->next;
    *(wait->next == NULL ? &lock->last : &wait->next->previous) = wait->previous;
    *(wait->owner_previous == NULL ? &wait->owner->waits : &wait->owner_previous->owner_next) =
        wait->owner_next;
    if (wait->owner_next != NULL) {
        wait->owner_next->owner_previous = wait->owner_previous;
    }
    wait->owner->count--;
    wait->lock = NULL;
    heap_del(locks, &wait->timer);
    if (lock->first == NULL) {
        heap_del(locks, &lock->timer);
    }
}

static void wait_told(struct mr__locks *locks, struct mr__lock_wait *wait, mr_status status,
                      uint64_t fence)
{
    wait->status = status;
    wait->fence = fence;
    locks->ended(locks->user, wait);
}

/* The first in line has it, as often as it has asked: it would wait for itself else. */
static void pass_on(struct mr__locks *locks, struct mr__lock *lock, int64_t now_ms)
{
    struct mr__lock_wait *next, *wait = lock->first;
    if (wait == NULL) {
        (void)mr__hash_del(&locks->rows, lock->name, lock->len);
        mr__free(lock);
        return;
    }
    struct mr__lock_owner *owner = wait->owner;
    wait_end(locks, wait);
    uint64_t fence = hold(locks, lock, owner, wait->ttl_ms, now_ms);
    wait_told(locks, wait, MR_OK, fence);
    for (wait = owner->waits; wait != NULL; wait = next) {
        next = wait->owner_next;
        if (wait->lock == lock) {
            wait_end(locks, wait);
            lock->taken++;
            lock->timer.due_ms = MR__MAX(lock->timer.due_ms, time_after(now_ms, wait->ttl_ms));
            wait_told(locks, wait, MR_OK, fence);
        }
    }
    if (lock->first != NULL) {
        heap_add(locks, &lock->timer);
    }
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static mr_status make(struct mr__locks *locks, struct mr__lock_owner *owner,
                      const struct mr__lock_ask *ask, int64_t now_ms, uint64_t *ret_fence)
{
    struct mr__blob name = ask->name;
    if (locks->rows.count >= MR__LOCKS_MAX) {
        return MR_ELIMIT;
    }
    struct mr__lock *lock = mr__calloc(1, sizeof *lock + name.len + 1);
    if (lock == NULL) {
        return MR_ENOMEM;
    }
    memcpy(lock->name, name.data, name.len);
    lock->len = (uint32_t)name.len;
    if (mr__hash_put(&locks->rows, lock->name, lock->len, (uintptr_t)lock) != MR_OK) {
        mr__free(lock);
        return MR_ENOMEM;
    }
    *ret_fence = hold(locks, lock, owner, ask->ttl_ms, now_ms);
    return MR_OK;
}

mr_status mr__locks_take(struct mr__locks *locks, struct mr__lock_owner *owner,
                         const struct mr__lock_ask *ask, int64_t now_ms, uint64_t *ret_fence)
{
    struct mr__lock *lock = find_now(locks, ask->name, now_ms);
    if (lock != NULL && lock->holder == owner) {
        if (lock->taken >= MR__LOCK_TAKEN_MAX) {
            return MR_ELIMIT;
        }
        lock->taken++;
        renew(locks, lock, MR__MAX(lock->timer.due_ms, time_after(now_ms, ask->ttl_ms)));
        *ret_fence = lock->fence;
        return MR_OK;
    }
    if (lock != NULL && ask->wait == NULL) {
        return MR_EBUSY;
    }
    if (owner->count >= MR__TASK_LOCKS_MAX) {
        return MR_ELIMIT;
    }
    if (lock == NULL) {
        return make(locks, owner, ask, now_ms, ret_fence);
    }
    if (!heap_reserve(locks)) {
        return MR_ENOMEM;
    }
    wait_begin(locks, lock, owner, ask->wait);
    return MR_PENDING;
}

mr_status mr__locks_renew(struct mr__locks *locks, struct mr__lock_owner *owner,
                          struct mr__blob name, int64_t ttl_ms, int64_t now_ms)
{
    struct mr__lock *lock = find_now(locks, name, now_ms);
    if (lock == NULL || lock->holder != owner) {
        return MR_ECONFLICT;
    }
    renew(locks, lock, time_after(now_ms, ttl_ms));
    return MR_OK;
}

mr_status mr__locks_release(struct mr__locks *locks, struct mr__lock_owner *owner,
                            struct mr__blob name, int64_t now_ms)
{
    struct mr__lock *lock = find_now(locks, name, now_ms);
    if (lock == NULL || lock->holder != owner) {
        return MR_ECONFLICT;
    }
    if (--lock->taken == 0) {
        let_go(locks, lock, now_ms);
    }
    return MR_OK;
}

void mr__locks_leave(struct mr__locks *locks, struct mr__lock_owner *owner)
{
    while (owner->waits != NULL) {
        struct mr__lock_wait *wait = owner->waits;
        wait_end(locks, wait);
        wait_told(locks, wait, MR_ECANCELED, 0);
    }
}

void mr__locks_drop(struct mr__locks *locks, struct mr__lock_owner *owner, int64_t now_ms)
{
    mr__locks_leave(locks, owner);
    while (owner->held != NULL) {
        let_go(locks, owner->held, now_ms);
    }
}

/* ---- time -------------------------------------------------------------------------------------
 */

int64_t mr__locks_next_ms(const struct mr__locks *locks)
{
    return locks->heap_count == 0 ? INT64_MAX : locks->heap[0]->due_ms;
}

void mr__locks_expire(struct mr__locks *locks, int64_t now_ms)
{
    while (mr__locks_next_ms(locks) <= now_ms) {
        struct mr__lock_timer *timer = locks->heap[0];
        if (timer->of_wait) {
            struct mr__lock_wait *wait = MR__CONTAINER(timer, struct mr__lock_wait, timer);
            wait_end(locks, wait);
            wait_told(locks, wait, MR_ETIMEDOUT, 0);
        } else {
            let_go(locks, MR__CONTAINER(timer, struct mr__lock, timer), now_ms);
        }
    }
}
