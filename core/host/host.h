/* SPDX-License-Identifier: MIT
 *
 * A host process from inside: one plugin, one attempt at a time, one socket to the engine.
 *
 * main.c loads the plugin and waits for attempts; attempt.c runs their phases; calls.c has what an
 * action can call; channel.c is the socket. The main thread runs the action. Threads of the
 * plugin's own may make the calls that plugin.h allows on any thread. Nothing here survives the
 * end of the socket: without an engine there is nothing to do.
 */
#ifndef MR__HOST_H
#define MR__HOST_H

#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/hash.h"
#include "core/base/value.h"
#include "core/exec/wire.h"
#include "core/host/channel.h"

#define MR__HOST_ENDED 16u /* ended attempts whose memory is kept, so that late calls are seen */

enum mr__host_state {
    MR__HOST_OVER = 0, /* ended: whoever still calls has a pointer that died */
    MR__HOST_RUNNING,  /* the main thread is in one of its phases */
    MR__HOST_PENDING,  /* a loop action answered MR_PENDING */
    MR__HOST_FINISHED  /* mr_finish was called */
};

struct mr__host_timer {
    int64_t due_ms; /* monotonic; -1: free */
    void (*cb)(mr_task *t, void *arg);
    void *arg;
};

struct mr__host_post {
    struct mr__host_post *next;
    void (*cb)(mr_task *t, void *arg);
    void *arg;
};

/* A lock that mr_lock_then waits for. */
struct mr__host_lock {
    struct mr__host_lock *next;
    int64_t number; /* of the call */
    mr_lock_cb cb;
    void *arg;
};

struct mr__host_task {
    mr_task head; /* what the plugin sees; stays first */
    struct mr__channel *channel;
    const mr_action *action;
    int phase; /* enum mr__phase of the engine */
    bool retry;
    _Atomic uint32_t state; /* enum mr__host_state */
    mr_task_info info;
    mr_value params, vars;
    struct mr__arena arena; /* the main thread's */
    const char *reason;     /* of a failure: `reason_memory`, which is in the arena; or NULL */
    char *reason_memory;    /* of MR__REASON_BYTES_MAX + 4; or NULL */
    void *data;             /* the plugin's own */
    int64_t wait_ms;        /* of mr_finish_after, or -1 */
    bool has_output;        /* it has set one */
    bool unsaved;           /* share data that it has set and not flushed */
    bool cancel_called;
    struct mr__host_timer timers[MR__HOST_TIMERS_MAX];
    struct mr__host_lock *locks; /* in the arena */
    struct mr__hash seen;        /* of mr__task_see, all in the arena */
    pthread_mutex_t mutex;       /* over the rest */
    mr_status finish_status;
    struct mr__host_post *first, *last;
};

static inline struct mr__host_task *mr__host_task_of(mr_task *t)
{
    return (struct mr__host_task *)t;
}

extern const mr_host mr__host_calls; /* calls.c */

struct mr__host_plugin {
    const mr_plugin *table; /* NULL: it was refused */
    mr_error error;         /* why */
    int lowest;             /* the lowest descriptor that was free when it was loaded */
};

/* A phase, from START to END. `slot` holds the attempt from its first phase to the next attempt. */
void mr__host_phase(struct mr__channel *channel, const struct mr__host_plugin *plugin,
                    const struct mr__wire *start, struct mr__host_task **slot);
/* The reason of a failure; all of an attempt share their memory. */
void mr__host_set_reason(struct mr__host_task *t, const char *fmt, va_list args);
MR__PRINTF(3, 4)
mr_status mr__host_fail(struct mr__host_task *t, mr_status status, const char *fmt, ...);
int64_t mr__host_now_ms(void);

#endif
