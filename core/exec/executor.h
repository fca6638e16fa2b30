/* SPDX-License-Identifier: MIT
 *
 * The executor port: runs attempts of tasks and says how they ended.
 *
 * The engine (core/engine/shard.c) calls it, and it calls back through mr__exec_events, all on the
 * loop thread; worker threads and children are the executor's own business. The real one is
 * core/exec/executor.c; the simulation has another. An attempt is named by (run id, task, attempt),
 * never by a slot or a pointer, since the engine may throw its memory away and read the store anew
 * while attempts go on.
 */
#ifndef MR__EXECUTOR_H
#define MR__EXECUTOR_H

#include "core/base/buf.h"
#include "core/base/id.h"
#include "core/base/value.h"
#include "core/model/action.h"

struct mr__attempt_ref {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t task;    /* its number in the dag */
    uint32_t attempt; /* 1, 2, ... */
    uint64_t hint;    /* the engine's own (its slot): given back as it came, never trusted */
};

/* An attempt to start. Everything is borrowed until start() returns; what is needed longer is
 * copied. */
struct mr__attempt {
    struct mr__attempt_ref ref;
    const struct mr__action *action;
    const mr_value *params; /* rendered, not yet checked against the action's table */
    const mr_value *vars;   /* a map */
    const char *dag_id, *task_id, *folder;
    int64_t started_at_ms, deadline_ms; /* Unix time; deadline 0: none */
};

/* How an attempt ended. Borrowed until ended() returns. */
struct mr__attempt_end {
    struct mr__attempt_ref ref;
    enum mr__outcome outcome;
    const char *reason; /* "exit 7", ...; "" for none */
    const char *output; /* JSON text, or NULL: none */
    size_t output_len;
};

/* Called on the loop thread; ended() may come from within start() or cancel(). */
struct mr__exec_events {
    void *user;
    void (*ended)(void *user, const struct mr__attempt_end *end);
    /* The attempt asked to be finished with success in `ms` (mr_finish_after): from now on it is
     * the engine's timer alone; the executor has forgotten it. */
    void (*waiting)(void *user, const struct mr__attempt_ref *ref, int64_t ms);
    void (*trace)(void *user, const struct mr__attempt_ref *ref, const char *line, size_t len);
    void (*log)(void *user, const struct mr__attempt_ref *ref, uint32_t stream, const char *bytes,
                size_t len);
};

/* What has become of an attempt that the journal says was started. */
enum mr__fate {
    MR__FATE_RUNNING, /* it runs in this process now, or its end was reported and not yet forgotten
                       */
    MR__FATE_NOT_BEGUN, /* certainly never began (same boot, no entry in the child table) */
    MR__FATE_GONE       /* unknown or ended: it is lost */
};

struct mr__executor {
    const struct mr__executor_ops *ops;
};

struct mr__executor_ops {
    struct mr__action_binding (*bind)(struct mr__executor *x, const char *action_name);
    /* Starts an attempt, for the first time. */
    void (*start)(struct mr__executor *x, const struct mr__attempt *attempt);
    /* Makes it end soon (reason: MR_BY_USER, ...); ended() follows unless it is unknown. */
    void (*cancel)(struct mr__executor *x, const struct mr__attempt_ref *ref, uint32_t reason);
    /* The end of this attempt is durable: what is known of it, and its row in the child table, may
     * go. To be called for every attempt that ended() has named, and for lost ones. */
    void (*forget)(struct mr__executor *x, const struct mr__attempt_ref *ref);
    enum mr__fate (*fate)(struct mr__executor *x, const struct mr__attempt_ref *ref,
                          const struct mr__action_binding *binding);
    /* Every attempt that began before this executor was made is accounted for, durably. Until this
     * was said once since the machine was started, fate() answers GONE where it would answer
     * NOT_BEGUN: a missing row proves nothing. May be NULL. */
    void (*settled)(struct mr__executor *x);
    /* Ends the children of these runs that an earlier engine left behind, group by group, and calls
     * back (perhaps from within) when none is alive. Runs of this engine's own are not touched. */
    void (*sweep)(struct mr__executor *x, const uint8_t (*run_ids)[MR__RUN_ID_BYTES], size_t count,
                  void (*cb)(void *user), void *user);
    /* Ends all attempts (TERM, grace, KILL) for a shutdown, without events; then cb. */
    void (*shutdown)(struct mr__executor *x, int64_t grace_ms, void (*cb)(void *user), void *user);
    void (*destroy)(struct mr__executor *x); /* after shutdown's cb */
};

#endif
