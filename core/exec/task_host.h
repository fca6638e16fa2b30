/* SPDX-License-Identifier: MIT
 *
 * The executor from inside: its own struct and that of an attempt, shared by executor.c (the port),
 * attempt.c (an attempt's life), mailbox.c (what other threads leave), task_host.c, task_output.c,
 * task_share.c (what an action can call), lua_task.c (Lua on workers), evaluation.c and hooks.c
 * (what is no attempt) and survivors.c (children of an earlier engine).
 *
 * The loop thread owns everything here but what is marked otherwise. Other threads reach an attempt
 * only through its host calls, and leave messages with it under the executor's one mutex.
 */
#ifndef MR__TASK_HOST_H
#define MR__TASK_HOST_H

#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/exec/child_table.h"
#include "core/exec/exec.h"
#include "core/exec/hosts.h"
#include "core/exec/locks.h"
#include "core/exec/pool.h"
#include "core/exec/process.h"
#include "core/exec/share.h"
#include "core/exec/task_json.h"

struct mr__exec;
struct mr__sweep;

/* What the executor knows of an attempt: of one that is kept until forget(), of others until their
 * end. */
struct mr__entry {
    struct mr__child_key key; /* borrowed by mr__exec.attempts */
    uint32_t row;             /* in the child table, or MR__CHILD_NO_ROW */
    struct mr__task *task;    /* NULL: it has ended */
    struct mr__entry *next_free;
};

enum mr__task_state {
    MR__TASK_FREE = 0,  /* over: whoever still calls has a pointer that died */
    MR__TASK_RUNNING,   /* the loop is in its `run`, or before it */
    MR__TASK_QUEUED,    /* waits for a worker, or is with one */
    MR__TASK_PENDING,   /* answered MR_PENDING */
    MR__TASK_FINISHED,  /* mr_finish was called, or the worker is done: to be reported */
    MR__TASK_ABANDONED, /* the host has ended it, but the plugin may still call until its mr_finish
                         */
    MR__TASK_RESTING    /* between two phases: the engine was told, and calls again */
};

enum mr__phase { MR__PHASE_BEFORE = 0, MR__PHASE_RUN, MR__PHASE_AFTER };

enum mr__message_kind { MR__MESSAGE_LOG, MR__MESSAGE_TRACE, MR__MESSAGE_POST };

/* From another thread to the loop, about no attempt's log: mailbox.c. Whoever delivers it owns it.
 */
struct mr__letter {
    struct mr__letter *next;
    void (*deliver)(struct mr__exec *x, struct mr__letter *letter);
};

/* From another thread to the loop, in the name of one attempt. */
struct mr__message {
    struct mr__message *next;
    enum mr__message_kind kind;
    uint32_t stream;
    void (*cb)(mr_task *t, void *arg);
    void *arg;
    size_t len;
    char bytes[];
};

struct mr__task_timer {
    uv_timer_t timer;
    struct mr__exec *exec;
    struct mr__task *task; /* NULL: it ended first */
    struct mr__task_timer *next;
    void (*cb)(mr_task *t, void *arg);
    void *arg;
};

/* A map in the making, or with one member without a key any value: task_output.c. */
struct mr__members_row {
    char *key; /* NULL: the whole. **Owned** */
    struct mr__buf json;
};
struct mr__members {
    struct mr__members_row *rows;
    uint32_t count, cap;
    size_t bytes; /* of all JSON and keys */
};

struct mr__task {
    mr_task head; /* what the plugin sees; stays first */
    struct mr__exec *exec;
    _Atomic uint32_t state;
    _Atomic uint32_t cancel_reason;
    struct mr__attempt_ref ref;
    const struct mr__action *action;
    enum mr__phase phase;
    bool retry;                        /* retry_before comes first */
    struct mr__action_limits limits;   /* of its host process */
    struct mr__host *host;             /* in which it is: isolated.c; or NULL */
    bool host_lost;                    /* that has ended before it was done */
    const struct mr__attempt *attempt; /* borrowed while start() runs, then NULL */
    struct mr__entry *entry;
    mr_value params, vars;
    const char *reason; /* of a failure: `reason_memory`, which is in the arena; or NULL */
    char *reason_memory;
    size_t reason_room;
    void *data; /* the plugin's own */
    struct mr__members output, details;
    struct mr__buf log; /* not told yet: task_log.c */
    uint32_t log_stream;
    struct mr__members values;    /* private ones of a Lua file, across its phases */
    struct mr__scope_copy *scope; /* of the task's own Lua; **owned** */
    uint32_t script;
    struct mr__share *share;            /* a reference, made when first asked for; or NULL */
    struct mr__task_share *sets;        /* likewise: task_share.c */
    _Atomic(const mr_task_info *) info; /* made when first asked for; **owned** */
    int64_t wait_ms;                    /* of mr_finish_after, or -1 */
    struct mr__task *live_next, *live_previous; /* of those that began and have not ended */

    /* children and timers */
    struct mr__process *process; /* or NULL */
    void (*on_output)(mr_task *t, uint32_t stream, const char *bytes, size_t len);
    void (*on_exit)(mr_task *t, int32_t exit_code, int32_t signal_number);
    struct mr__task_timer *timers;
    uint32_t timer_count;

    /* signs of life (signs.c) */
    int64_t heartbeat_ms;     /* without one for so long it is ended; 0: none is asked for */
    _Atomic int64_t heard_ms; /* when the last one came: monotonic */
    bool silent;              /* it was ended for want of one */
    struct mr__signs *signs;  /* the loop's timer; or NULL */

    struct mr__lock_call *lock_calls; /* loop: of mr_lock_then, oldest first (task_lock.c) */
    bool asked_locks;                 /* its action's thread: perhaps it has some */
    struct mr__answer_later *answers; /* in the arena, to be used again (isolated.c) */

    uint32_t calls; /* of the plugin under way on the loop: it is not recycled before */
    bool released;  /* over, but for `calls` */
    bool vars_copied;
    bool live;          /* in mr__exec.live, or later in its list of abandoned ones */
    bool shared;        /* other threads may know it */
    bool cancel_called; /* the plugin's cancel */
    bool told;          /* the engine knows its end, or that it waits */
    bool abandoned;     /* in mr__exec.abandoned */
    bool told_shutdown;

    /* under the executor's mutex */
    struct mr__lock_owner locks;
    struct mr__task_progress *progress; /* NULL: it has told none; **owned** */
    struct mr__message *first, *last;
    struct mr__task *queue_next; /* in the mailbox */
    size_t queued_bytes;
    uint32_t queued_count;
    _Atomic bool queued; /* in the mailbox */
    bool finish_posted;  /* by another thread */
    mr_status finish_status;
    pthread_cond_t wake; /* of a worker asleep in mr_sleep, mr_lock; only if has_wake */
    bool has_wake;

    struct mr__pool_job job;
    struct mr__arena arena; /* last: it outlives the zeroing of the rest */
};

#define MR__TASK_QUARANTINE \
    256u /* ended attempts whose memory is kept, so that late calls are seen */
#define MR__TASK_TIMERS_MAX   64u
#define MR__TASK_MESSAGES_MAX 65536u
#define MR__TASK_MAILBOX_BYTES                                         \
    (1u << 20) /* of one attempt: a worker waits, others lose the rest \
                */
#define MR__EXEC_ENTRIES_BLOCK 512u
#define MR__EXEC_NOTES_MAX     16u

struct mr__exec {
    struct mr__executor port; /* stays first */
    uv_loop_t *loop;
    bool foreign_loop;
    struct mr__registry *registry; /* a reference: workers that were left behind look at actions */
    struct mr__exec_events events;
    mr__registry_log log;
    void *log_user;
    char *store; /* or NULL */
    struct mr__child_table table;
    bool has_table;
    bool loop_known;
    uv_thread_t loop_thread;
    struct mr__process_stack stack;
    struct mr__pool *pool;
    struct mr__pool *evaluators,
        *hookers; /* of evaluation.c, of hooks.c: no action holds them up */
    struct mr__evaluation_job *evaluations; /* not answered yet */
    uint32_t evaluation_count;
    struct mr__hook_job *hooks; /* likewise */
    int64_t hook_ms;
    uint32_t scoped; /* attempts, evaluations and hooks that look into a dag: the end waits */

    struct mr__hash attempts; /* key -> struct mr__entry * */
    struct mr__entry *free_entries;
    void **entry_blocks;
    uint32_t entry_block_count;
    struct mr__task *live;                            /* a list through live_next */
    struct mr__task *spare;                           /* one that no other thread has seen */
    struct mr__task *quarantine[MR__TASK_QUARANTINE]; /* a ring, oldest at quarantine_at */
    uint32_t quarantine_at;
    struct mr__task *abandoned; /* a list through live_next */

    struct mr__flush *flushes; /* that the engine has not answered yet */
    struct mr__clock *clock;
    uint64_t epoch; /* the greatest that an attempt came with */

    struct mr__hosts hosts;

    uv_async_t async;
    uv_timer_t shutdown_timer;
    uv_timer_t lock_timer;
    uint32_t handles; /* that the loop still knows: these, the hosts', timers of attempts, sweeps */
    uint32_t children; /* likewise, of whole children */
    struct mr__sweep *sweeps;

    bool closing;          /* shutdown has begun: no more events */
    bool killing;          /* its grace is over */
    bool overdue;          /* and the time that a killed child has */
    _Atomic bool stopping; /* `closing` for hooks, with `stop` */
    bool finishing;        /* every handle is being closed */
    bool closed;           /* under the mutex: the mailbox is gone */
    void (*shutdown_cb)(void *user);
    void *shutdown_user;
    int64_t shutdown_due_ms; /* loop time */

    pthread_mutex_t mutex;
    pthread_cond_t room; /* in the mailbox, for workers */
    pthread_cond_t stop; /* for hooks that sleep; monotonic */
    struct mr__locks locks;
    int64_t lock_due_ms; /* what lock_timer is set to; INT64_MAX: it is not */
    struct mr__task *queue_first, *queue_last;
    struct mr__letter *letter_first, *letter_last;
    char *notes[MR__EXEC_NOTES_MAX]; /* for the log, from other threads */
    uint32_t note_count;
    uint32_t foreign; /* attempts that outlive the shutdown, in somebody's hands */
    bool destroyed;
};

/* ---- attempt.c --------------------------------------------------------------------------------
 */

/* Of one that is not known here: begins with `phase`. */
void mr__attempt_start(struct mr__exec *x, const struct mr__attempt *attempt, enum mr__phase phase);
/* Of one that is: goes on with `phase` if it rests before it. */
void mr__attempt_continue(struct mr__task *t, const struct mr__attempt *attempt,
                          enum mr__phase phase);
void mr__attempt_cancel(struct mr__task *t, uint32_t reason);
/* Takes it from the engine's view though its action goes on: for the end of a shutdown. */
void mr__attempt_abandon(struct mr__task *t);
/* Of a pending one: it waits from now on, as by mr_finish_after, for what has no outputs or sets.
 */
mr_status mr__attempt_wait(struct mr__task *t, int64_t ms);
/* mr_finish was called on the loop, or its message has arrived. */
void mr__attempt_finished(struct mr__task *t);
/* Around each call of the plugin on the loop. call_end is false if the attempt is over. */
void mr__attempt_call_begin(struct mr__task *t);
bool mr__attempt_call_end(struct mr__task *t);
/* The child of this attempt has ended. */
void mr__attempt_on_exit(void *user, int32_t exit_code, int32_t signal_number);
void mr__attempt_on_output(void *user, uint32_t stream, const char *bytes, size_t len);
/* Frees one that is in nobody's hands any more. */
void mr__attempt_free(struct mr__task *t);

/* ---- mailbox.c --------------------------------------------------------------------------------
 */

/* Loop: what other threads have left. */
void mr__attempt_drain(struct mr__exec *x);
/* Any thread; takes `message` (also on failure). */
mr_status mr__attempt_push(struct mr__task *t, struct mr__message *message);
/* Under the mutex: puts the attempt into the mailbox and wakes the loop. */
void mr__attempt_wake_loop(struct mr__task *t);
/* Any thread: the loop will deliver it. False, and it is still the caller's: it is too late. */
bool mr__exec_post(struct mr__exec *x, struct mr__letter *letter);
void mr__exec_drain_letters(struct mr__exec *x); /* loop */
/* Before an attempt's end is told: what was logged comes first, posts come no more; out of the
 * mailbox. */
void mr__attempt_flush(struct mr__task *t);

/* ---- task_host.c ------------------------------------------------------------------------------
 */

extern const mr_host mr__task_host;

bool mr__task_on_loop(const struct mr__exec *x);
/* mr_fail for the host itself. */
MR__PRINTF(3, 4)
mr_status mr__task_fail(struct mr__task *t, mr_status status, const char *fmt, ...);
/* A line for the engine's log. Any thread. */
MR__PRINTF(2, 3) void mr__task_note(struct mr__exec *x, const char *fmt, ...);
/* Makes mr_task_info and copies the variables, before what they are made from is gone. */
mr_status mr__task_snapshot(struct mr__task *t);
/* A text as one line of a trace, cut at MR__TRACE_LINE_BYTES_MAX; returns its length. */
size_t mr__task_trace_line(char ret_line[MR__TRACE_LINE_BYTES_MAX], const char *text, size_t len);
/* The monotonic clock's time in `ms` from now. */
struct timespec mr__task_time_after(int64_t ms);
/* The time of the phase that begins, into what mr_info has shown already. */
void mr__task_set_times(struct mr__task *t, const struct mr__attempt *attempt);
void mr__task_close_timers(struct mr__task *t);
/* Notes that a call came at the wrong moment: MR_EINVAL. */
mr_status mr__task_misused(struct mr__task *t, const char *call);
/* Whether this is the thread that runs the action, while it does; else it is noted. */
bool mr__task_may_call(struct mr__task *t, const char *call);
/* How much of `len` bytes fits into `max` without cutting a character. */
size_t mr__task_cut(const char *bytes, size_t len, size_t max);

static inline struct mr__task *mr__task_of(mr_task *t)
{
    return (struct mr__task *)t;
}

/* ---- task_log.c: loop -------------------------------------------------------------------------
 */

void mr__task_log_add(struct mr__task *t, uint32_t stream, const char *bytes, size_t len);
void mr__task_log_tell(struct mr__task *t);

/* Before anything else of the attempt is told, and at the end of a call or turn. */
static inline void mr__task_log_flush(struct mr__task *t)
{
    if (t->log.len > 0) {
        mr__task_log_tell(t);
    }
}

/* ---- task_output.c ----------------------------------------------------------------------------
 */

mr_status mr__task_output(mr_task *task, const char *key, const mr_value *value);
mr_status mr__task_output_json(mr_task *task, const char *key, const char *json, size_t len);
mr_status mr__task_detail(mr_task *task, const char *key, const mr_value *value);
/* As mr__task_output, of JSON that is compact. */
mr_status mr__task_set_output(struct mr__task *t, const char *key, const struct mr__buf *json);

/* Sets a member, or with key NULL the whole: they replace each other. MR_ELIMIT over `bytes_max`
 * and MR_ENOMEM leave it without the member. */
mr_status mr__members_set(struct mr__members *members, const char *key, const void *json,
                          size_t len, size_t bytes_max);
bool mr__members_find(const struct mr__members *members, const char *key,
                      struct mr__blob *ret_json);
void mr__members_del(struct mr__members *members, const char *key);
/* Of one that is not empty. A whole is moved to `buf`. False: out of memory. */
bool mr__members_json(struct mr__members *members, struct mr__buf *buf);
void mr__members_finish(struct mr__members *members);

/* ---- task_share.c -----------------------------------------------------------------------------
 */

const mr_value *mr__task_share_get(mr_task *task, const char *key);
const char *mr__task_share_key(mr_task *task, const char *after);
mr_status mr__task_share_set(mr_task *task, const char *key, const mr_value *value);
mr_status mr__task_share_set_json(mr_task *task, const char *key, const char *json, size_t len);
mr_status mr__task_share_flush(mr_task *task);

/* The same for the host itself. JSON or key go into the buffer, which is empty; false: there is
 * none. */
bool mr__task_share_json(struct mr__task *t, const char *key, size_t len, struct mr__buf *ret_json);
bool mr__task_share_next(struct mr__task *t, struct mr__blob after, struct mr__buf *ret_key);
/* `json` is compact; NULL removes the key. MR_EINVAL, MR_ELIMIT, MR_ENOMEM. */
mr_status mr__task_share_put(struct mr__task *t, const char *key, const char *json, size_t len,
                             mr_error *reterr);
mr_status mr__task_share_save(struct mr__task *t, mr_error *reterr); /* the flush */
/* Loop: the flush; `done` is told how it went, perhaps from within, unless the attempt ends first.
 * An error that is returned is told to nobody. */
mr_status mr__task_share_save_then(struct mr__task *t, void (*done)(void *arg, mr_status status),
                                   void *arg, mr_error *reterr);

/* Loop. Whether something is set and not flushed. */
bool mr__task_share_unsaved(const struct mr__task *t);
/* Takes what is: **owned** are a list, which names texts in the table, and a reference to it. Both
 * are left as they are if there is nothing. MR_ENOMEM. */
mr_status mr__task_share_take(struct mr__task *t, struct mr__share **ret_table,
                              struct mr__share_set **ret_sets, size_t *ret_count);
void mr__task_share_finish(struct mr__task *t);
void mr__exec_drop_flushes(struct mr__exec *x);

/* ---- task_lock.c ------------------------------------------------------------------------------
 */

mr_status mr__task_lock(mr_task *task, const char *name, const mr_lock_options *options,
                        uint64_t *ret_fence);
mr_status mr__task_lock_then(mr_task *task, const char *name, const mr_lock_options *options,
                             mr_lock_cb cb, void *arg);
mr_status mr__task_lock_renew(mr_task *task, const char *name, int64_t ttl_ms);
mr_status mr__task_unlock(mr_task *task, const char *name);
void mr__task_lock_ended(void *user, struct mr__lock_wait *wait); /* of the executor's table */

/* Loop. Calls back those of the attempt whose wait has ended. */
void mr__task_locks_tell(struct mr__task *t);
/* Its waits end, as canceled. */
void mr__task_locks_leave(struct mr__task *t);
/* The same, and it lets go of what it holds; nobody is called back. Its state says that it is over.
 */
void mr__task_locks_drop(struct mr__task *t);
bool mr__task_lock_of(struct mr__task *t, struct mr__lock_waited *ret);
/* Loop: whether it holds a lock, or waits for one. */
bool mr__task_has_locks(struct mr__task *t);
bool mr__task_waits_for_lock(struct mr__task *t); /* any thread */
/* Sets the timer to the next moment at which the table has something to do. */
void mr__exec_locks_arm(struct mr__exec *x);

/* ---- signs.c ----------------------------------------------------------------------------------
 */

void mr__task_heartbeat(mr_task *task);
void mr__task_progress(mr_task *task, double fraction, const char *note);

/* Loop. A phase of it goes on from now: heartbeats are waited for. MR_ENOMEM. */
mr_status mr__signs_begin(struct mr__task *t);
void mr__signs_heard(struct mr__task *t); /* any thread */
/* Tells the engine of progress that is new, now or soon. */
void mr__signs_tell(struct mr__task *t);
void mr__signs_end(struct mr__task *t);

/* ---- executor.c -------------------------------------------------------------------------------
 */

struct mr__entry *mr__exec_entry_add(struct mr__exec *x, const struct mr__attempt_ref *ref);
void mr__exec_entry_del(struct mr__exec *x, struct mr__entry *entry);
/* One handle or child less: the shutdown may be complete. */
void mr__exec_less(void *user);
/* Under the mutex, which is released: one attempt in somebody's hands less. */
void mr__exec_foreign_less_and_unlock(struct mr__exec *x);

/* ---- evaluation.c, hooks.c: loop --------------------------------------------------------------
 */

mr_status mr__exec_evaluate(struct mr__exec *x, struct mr__evaluation *evaluation);
void mr__exec_hook(struct mr__exec *x, const struct mr__hook_call *call);
/* Takes back what no worker has begun. */
void mr__exec_evaluate_close(struct mr__exec *x);
void mr__exec_hook_close(struct mr__exec *x);

/* ---- survivors.c ------------------------------------------------------------------------------
 */

uint32_t mr__survivors_count(struct mr__exec *x);
void mr__survivors_sweep(struct mr__exec *x, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                         size_t count, void (*cb)(void *user), void *user);
/* Stops waiting; the callbacks do not come. */
void mr__survivors_close(struct mr__exec *x);

#endif
