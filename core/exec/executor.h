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
#include "core/base/limits.h"
#include "core/base/value.h"
#include "core/model/action.h"
#include "core/model/scope.h"

struct mr__attempt_ref {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t task;    /* its number in the dag */
    uint32_t attempt; /* 1, 2, ... */
    uint64_t hint;    /* the engine's own (its slot): given back as it came, never trusted */
};

struct mr__share; /* core/exec/share.h */

/* An attempt to start. Everything is borrowed until start() returns, but what is said to be taken;
 * what is needed longer is copied. */
struct mr__attempt {
    struct mr__attempt_ref ref;
    const struct mr__action *action;
    const mr_value *params; /* rendered, not yet checked against the action's table */
    const mr_value *vars;   /* a map */
    const char *dag_id, *task_id, *folder;
    int64_t started_at_ms, deadline_ms; /* Unix time; deadline 0: none */
    struct mr__share *share;      /* of the run, as it is durable: a reference is made of it */
    struct mr__scope_copy *scope; /* **taken**: for an action with MR__ACTION_SCOPE; else NULL */
    uint32_t script;              /* of such an action: its Lua */
    bool retry;                   /* before(): it was `retrying`: retry_before comes first */
    int64_t heartbeat_ms; /* it is ended when its action is silent for so long; 0: it may be */
    uint64_t epoch;       /* of the owner, durable; greater than that of every earlier one */
    bool isolated;        /* in a host process, with these limits */
    struct mr__action_limits limits;
};

/* One set of the share data. Borrowed. */
struct mr__share_set {
    struct mr__blob key;
    struct mr__blob json; /* absent: the key is removed */
};

/* How an attempt, or one phase of it, ended. Borrowed until the call returns. */
struct mr__attempt_end {
    struct mr__attempt_ref ref;
    enum mr__outcome outcome;
    const char *reason; /* "exit 7", ...; "" for none */
    const char *output; /* JSON text, or NULL: none. Of a failure: a JSON map of details or NULL */
    size_t output_len;
    const struct mr__share_set *sets; /* what it set and did not flush, in order */
    size_t set_count;
};

/* Something to be evaluated on a worker, with the full budget: what took too long on the loop. */
struct mr__evaluation {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t task, attempt;
    uint32_t row;   /* its task of the dag: of a fan-out's child, that of its parent */
    bool judge;     /* retry.if; else prepare */
    unsigned flags; /* of mr__prepare */
    struct mr__scope_copy *scope; /* owned by it */
    struct mr__arena arena;       /* holds the result */
    struct mr__prepared prepared; /* the answer to a prepare */
    bool retry;                   /* the answer to a judge ... */
    mr_status status;             /* ... if this is MR_OK */
    mr_error error;
};

/* Hooks to be called one after the other, on a worker, with the acting tier of Lua. */
struct mr__hook_call {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t mask;                /* 1u << enum mr__hook, called in this order */
    struct mr__scope_copy *scope; /* **taken** */
    struct mr__share *share;      /* a reference is made of it */
};

/* Called on the loop thread; ended() may come from within start() or cancel(). */
struct mr__exec_events {
    void *user;
    /* before(): run_before is through, and start() is waited for. Else ended() comes. */
    void (*began)(void *user, const struct mr__attempt_ref *ref);
    /* `run` has ended well (outcome SUCCESS, output, sets), and run_after is to come: after() is
     * waited for. ended() then tells no output, and only what run_after has set. */
    void (*ending)(void *user, const struct mr__attempt_end *end);
    /* A flush: these sets are to be made durable now; `done` is called when they are, or with what
     * went wrong; perhaps from within, at most once, never after destroy(). What stands in them is
     * not told again with the attempt's end. */
    void (*share)(void *user, const struct mr__attempt_ref *ref, const struct mr__share_set *sets,
                  size_t count, void (*done)(void *arg, mr_status status), void *arg);
    /* evaluate()'s answer: what it was given. Is freed by whoever takes it:
     * mr__evaluation_destroy. */
    void (*evaluated)(void *user, struct mr__evaluation *evaluation);
    /* hook()'s end. A hook that failed has said so in a trace. */
    void (*hooked)(void *user, const uint8_t *run_id, uint32_t mask);
    void (*ended)(void *user, const struct mr__attempt_end *end);
    /* The attempt asked to be finished with success in `ms` (mr_finish_after): from now on it is
     * the engine's timer alone; the executor has forgotten it. */
    void (*waiting)(void *user, const struct mr__attempt_ref *ref, int64_t ms);
    void (*trace)(void *user, const struct mr__attempt_ref *ref, const char *line, size_t len);
    void (*log)(void *user, const struct mr__attempt_ref *ref, uint32_t stream, const char *bytes,
                size_t len);
    /* How far it is: the latest of what it said, every MR__PROGRESS_MS at most. `fraction` from 0
     * to 1, or NaN: not known; `note` is one line, or "". */
    void (*progress)(void *user, const struct mr__attempt_ref *ref, double fraction,
                     const char *note);
};

/* The lock that an attempt waits for, and who holds it. */
struct mr__lock_waited {
    char name[MR__LOCK_NAME_BYTES_MAX + 1];
    uint8_t run_id[MR__RUN_ID_BYTES];
    char task[512];   /* its id, cut; "" where it is not known */
    int64_t since_ms; /* Unix time */
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

void mr__evaluation_destroy(struct mr__evaluation *evaluation);

/* The task number under which traces and logs of a run's hooks are reported. */
#define MR__HOOK_TASK (UINT32_MAX - 1)

struct mr__executor_ops {
    struct mr__action_binding (*bind)(struct mr__executor *x, const char *action_name);
    /* Calls retry_before (attempt->retry) and run_before, for an action with MR__ACTION_BEFORE:
     * answered by began() or ended(). Said again of an attempt that is there, it is answered
     * (again) when that is so far, and nothing is called twice by this engine. */
    void (*before)(struct mr__executor *x, const struct mr__attempt *attempt);
    /* Starts an attempt's `run`: of one that before() has made ready, or of a new one. Like after()
     * it is passed over for an attempt whose ended() was told meanwhile, and for one of an action
     * with MR__ACTION_BEFORE whose `run` was called by this engine; no other is said twice. */
    void (*start)(struct mr__executor *x, const struct mr__attempt *attempt);
    /* Calls run_after: of the attempt that said ending(), in its own memory, or after a restart of
     * a new one. Said again of one that is there, nothing is called twice. */
    void (*after)(struct mr__executor *x, const struct mr__attempt *attempt);
    /* Takes `evaluation`, and looks into its scope's dag until evaluated(), or shutdown's cb, has
     * come. MR_ELIMIT (MR__EVALUATIONS_MAX), MR_ENOMEM, MR_ECLOSED: not taken. */
    mr_status (*evaluate)(struct mr__executor *x, struct mr__evaluation *evaluation);
    /* Calls hooks, each at most MR__HOOK_MS_MAX long; hooked() follows, perhaps from within. The
     * dag is looked into until then, or until shutdown's cb. */
    void (*hook)(struct mr__executor *x, const struct mr__hook_call *call);
    /* Makes it end soon (reason: MR_BY_USER, ...); ended() follows unless it is unknown. */
    void (*cancel)(struct mr__executor *x, const struct mr__attempt_ref *ref, uint32_t reason);
    /* The end of this attempt is durable: what is known of it, and its row in the child table, may
     * go. To be called for every attempt that ended() has named, and for lost ones (one of an
     * action with neither MR__ACTION_JOB nor MR__ACTION_BEFORE is forgotten by itself). */
    void (*forget)(struct mr__executor *x, const struct mr__attempt_ref *ref);
    enum mr__fate (*fate)(struct mr__executor *x, const struct mr__attempt_ref *ref,
                          const struct mr__action_binding *binding);
    /* Whether the attempt waits for a lock, and for which: of several, the latest. May be NULL. */
    bool (*lock_of)(struct mr__executor *x, const struct mr__attempt_ref *ref,
                    struct mr__lock_waited *ret);
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
