/* SPDX-License-Identifier: MIT
 *
 * The handle's own fields, for its three files: handle.c (opening, owning, closing, streams),
 * handle_switch.c (the thread of an attached handle, from one owner to the next), handle_loop.c
 * (life on the caller's loop).
 *
 * `lock` guards what handle.h's callers share; a loop thread of the engine's own never takes it. A
 * stream's own lock, and then the delivery's, may be taken while it is held.
 */
#ifndef MR__HANDLE_IMPL_H
#define MR__HANDLE_IMPL_H

#include <pthread.h>

#include "core/base/hash.h"
#include "core/engine/engine.h"
#include "sdk/client.h"
#include "sdk/delivery.h"
#include "sdk/folder.h"
#include "sdk/handle.h"
#include "sdk/stream.h"

enum mode { OWNER, ATTACHED, SWITCHING, BROKEN };

/* Ids of runs as text, unordered. */
struct run_ids {
    char (*list)[MR_RUN_ID_BYTES];
    uint32_t count, cap, turn;
};

struct mr__loop;

struct mr_engine {
    /* Set by mr_open, then fixed. */
    uint32_t jobs, read_only, shutdown_ms;
    char *plugins;
    const mr_action *const *actions;
    void (*on_log)(int32_t level, const char *line, void *user);
    void (*on_hook)(const mr_hook *hook, void *user);
    uint32_t hooks;
    void *user;
    struct mr__wake wake;
    struct mr__loop *loop; /* of the caller, or NULL */

    /* The opening thread's, then the handle's own while it runs, then the closing one's. */
    struct mr__folder folder;
    struct mr__registry *registry;
    struct run_ids resumed;
    pthread_t thread;
    bool has_thread;

    struct mr__delivery delivery;
    pthread_mutex_t log_lock; /* without a loop on_log is called under it, and takes no other */

    pthread_mutex_t lock;
    pthread_cond_t freed; /* a stream is no longer busy */
    /* Guarded by lock. */
    enum mode mode;
    bool stopped;
    bool closing; /* no request is taken any more */
    mr_error broken;
    struct mr__engine *engine;
    struct mr__client *client;
    uint64_t next_id;
    mr_stream *first, *last;         /* all streams, oldest first */
    mr_stream *unsent, **unsent_end; /* of them: those that the caller's loop has yet to send */
    struct mr__hash by_id;           /* stream id -> its address */
    struct run_ids started;
};

/* ---- handle.c ---- */
/* Leaves either h->engine or h->client set. Called without the lock by the one thread that may.
 * `orphan_ms`: how long a read-only handle gives others to become the owner. */
mr_status mr__handle_establish(mr_engine *h, int64_t wait_ms, int64_t orphan_ms, mr_error *reterr);
/* Under the lock: sends the request the way that is open now; SWITCHING sends it at its end. */
void mr__handle_send(mr_engine *h, mr_stream *stream);
/* Under the lock: the stream is one of the handle's, sent or not. */
void mr__handle_link(mr_engine *h, mr_stream *stream);
/* Streams that the caller has not closed stay its own, and closed. No request is taken any more. */
void mr__handle_close_streams(mr_engine *h);
/* The thread has ended, the engine is freed, nothing is told any more. */
void mr__handle_destroy(mr_engine *h);
void mr__handle_log(mr_engine *h, int32_t level, const char *fmt, ...) MR__PRINTF(3, 4);

/* ---- handle_switch.c ---- */
/* Starts the thread of an attached handle. MR_ENOMEM. */
mr_status mr__switch_start(mr_engine *h, mr_error *reterr);

/* ---- handle_loop.c ---- */
/* Loop's thread: the handle is to live on `uv_loop`. */
mr_status mr__loop_create(mr_engine *h, void *uv_loop, struct mr__loop **ret_loop,
                          mr_error *reterr);
/* Loop's thread: the handle was not opened. NULL is allowed. */
void mr__loop_abandon(struct mr__loop *loop);
/* True on the thread of the handle's loop; false where it has none. */
bool mr__loop_is_here(const mr_engine *h);
/* Any thread: there is something for the loop to send or to tell. */
void mr__loop_ring(void *loop);
/* Any thread: on_log gets the line when the loop turns next. */
void mr__loop_say(struct mr__loop *loop, int32_t level, const char *line);
/* What the engine is to know of the loop. */
void mr__loop_options(struct mr__loop *loop, struct mr__engine_options *options);
/* Makes the engine on the loop's thread and waits for that, where this is another one. */
mr_status mr__loop_make_engine(struct mr__loop *loop, const struct mr__engine_options *options,
                               struct mr__engine **ret_engine, mr_error *reterr);
/* The thread of mr__switch_start is about to end. Any thread. */
void mr__loop_thread_over(struct mr__loop *loop);
/* Any thread, once: begins to close. */
void mr__loop_close(struct mr__loop *loop, void (*cb)(void *user), void *user);

#endif
