/* SPDX-License-Identifier: MIT
 *
 * A binary heap. Loop thread.
 */
#include "core/engine/timers.h"

#include <stdlib.h>

#define PURGE_MIN 4096u

void mr__timers_finish(struct mr__timers *timers)
{
    mr__free(timers->heap);
    memset(timers, 0, sizeof *timers);
}

mr_status mr__timers_push(struct mr__timers *timers, const struct mr__timer *timer)
{
    if (timers->count == timers->cap) {
        size_t cap = timers->cap == 0 ? 64 : timers->cap * 2;
        struct mr__timer *heap = mr__realloc(timers->heap, cap * sizeof *heap);
        if (heap == NULL) {
            return MR_ENOMEM;
        }
        timers->heap = heap;
        timers->cap = cap;
    }
    size_t i = timers->count++;
    for (; i > 0 && timers->heap[(i - 1) / 2].due_ms > timer->due_ms; i = (i - 1) / 2) {
        timers->heap[i] = timers->heap[(i - 1) / 2];
    }
    timers->heap[i] = *timer;
    return MR_OK;
}

/* Puts the timer where it belongs at or below `i`, whose place is free. */
static void sink(struct mr__timers *timers, size_t i, struct mr__timer timer)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            timers->heap[child + 1].due_ms < timers->heap[child].due_ms) {
            child++;
        }
        if (timers->heap[child].due_ms >= timer.due_ms) {
            break;
        }
        timers->heap[i] = timers->heap[child];
        i = child;
    }
    timers->heap[i] = timer;
}

bool mr__timers_pop(struct mr__timers *timers, int64_t now_ms, struct mr__timer *ret_timer)
{
    if (timers->count == 0 || timers->heap[0].due_ms > now_ms) {
        return false;
    }
    *ret_timer = timers->heap[0];
    struct mr__timer last = timers->heap[--timers->count];
    if (timers->count > 0) {
        sink(timers, 0, last);
    }
    return true;
}

bool mr__timers_full(const struct mr__timers *timers)
{
    return timers->count >= MR__MAX(timers->purge_at, PURGE_MIN);
}

void mr__timers_purge(struct mr__timers *timers,
                      bool (*keep)(void *user, const struct mr__timer *timer), void *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < timers->count; i++) {
        if (keep(user, &timers->heap[i])) {
            timers->heap[kept++] = timers->heap[i];
        }
    }
    timers->count = kept;
    timers->purge_at = 2 * kept;
    for (size_t i = kept / 2; i > 0; i--) {
        sink(timers, i - 1, timers->heap[i - 1]);
    }
}

int64_t mr__timers_next(const struct mr__timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->heap[0].due_ms;
}
