/* SPDX-License-Identifier: MIT
 *
 * The scheduler's state: every unfinished run, its tasks in a flat array, and what is ready to
 * start.
 *
 * Runs live in numbered slots, by which events, effects and timers name them; a slot is used again
 * once the end of its run is durable. A task's number is its place in the dag file. The state is
 * changed by apply.c alone; what is derived from events is equal after any replay, what is not
 * (marked "volatile") is set anew by resume.c.
 */
#ifndef MR__STATE_H
#define MR__STATE_H

#include "core/base/hash.h"
#include "core/model/action.h"
#include "core/model/dag.h"
#include "core/scheduler/event.h"

#define MR__NONE UINT32_MAX

/* A dag version as the scheduler needs it: shared by its runs. */
struct mr__plan {
    struct mr__dag *dag; /* one reference */
    uint32_t refs;
    uint32_t missing;                    /* tasks whose action no plugin has */
    struct mr__action_binding *bindings; /* by task */
    struct mr__task *initial;            /* the tasks of a run that has just been created */
    uint32_t *roots, root_count;
    bool stored; /* volatile: its text is in the store */
};

typedef struct mr__action_binding (*mr__bind_fn)(void *user, const char *action_name);

/* Takes the reference to `dag` on success. */
mr_status mr__plan_create(struct mr__dag *dag, mr__bind_fn bind, void *user,
                          struct mr__plan **ret_plan);
struct mr__plan *mr__plan_ref(struct mr__plan *plan);
void mr__plan_unref(struct mr__plan *plan);

/* mr__task.flags. Volatile ones are derived: replay does not make them, resume.c does. */
enum {
    MR__TASKFLAG_READY = 1u,       /* in one of the run's two ready lists */
    MR__TASKFLAG_PREPARING = 2u,   /* volatile: it is being prepared (MR__EFFECT_PREPARE) */
    MR__TASKFLAG_PREPARED = 4u,    /* it was, and run_before is to be called or being called */
    MR__TASKFLAG_WAITING = 8u,     /* running, and ended by the engine's own timer */
    MR__TASKFLAG_CANCELING = 16u,  /* volatile: the executor was told to end its attempt ... */
    MR__TASKFLAG_TIMED_OUT = 32u,  /* volatile: ... because its time was over */
    MR__TASKFLAG_CANCELED = 64u,   /* a user wants its attempt to end */
    MR__TASKFLAG_JUDGING = 128u,   /* retrying, and nobody knows yet whether it may be */
    MR__TASKFLAG_DELAYED = 256u,   /* retrying, when its delay is over */
    MR__TASKFLAG_AGAIN = 512u,     /* its next attempt follows by itself: conditions hold still */
    MR__TASKFLAG_FANNED = 1024u,   /* a fan-out whose list is known: its children are the work */
    MR__TASKFLAG_HELD = 2048u,     /* a fan-out's child that waits for room among its siblings */
    MR__TASKFLAG_DEAD = 4096u,     /* cannot begin any more: a task above it failed */
    MR__TASKFLAG_RESUMING = 8192u, /* volatile: begun before, and resume.c has yet to look at it */
    MR__TASKFLAG_OWN = 16384u /* volatile: read back, but its attempt was started by this engine */
};

struct mr__task {
    uint8_t status; /* enum mr__task_status */
    uint8_t lost;   /* lost attempts since the last manual retry */
    uint16_t flags;
    uint32_t attempt; /* attempts so far */
    /* parents that keep it from its turn: neither success nor skipped; for `when: always|failed`
     * those that have not ended and still can */
    uint32_t open;
    uint32_t next, prev; /* in a list, MR__NONE at its ends */
};

/* What most tasks never have; made for all tasks of a run when one of them needs it. */
struct mr__detail {
    uint32_t params_at; /* the event with its rendered params: where in the log + 1; 0: none */
    uint32_t ended_at;  /* the event with its reason and output, likewise */
    uint32_t retries;   /* attempts by policy since the last manual retry */
    uint32_t fan;       /* FANNED: its number in mr__run.fans */
    int64_t started_ms; /* the timeout of its attempt counts from here */
    int64_t due_ms, duration_ms; /* WAITING, DELAYED */
};

struct mr__list {
    uint32_t head, tail; /* task numbers; first in, first out */
};

/* A fan-out whose list is known. Its children are tasks behind those of the dag. */
struct mr__fan {
    uint32_t task;         /* of the dag */
    uint32_t first, count; /* the children's numbers */
    uint32_t active;       /* children that are ready or begun: what its maxParallel counts */
    uint32_t ended, bad;   /* children that ended; that failed or were canceled */
    struct mr__list held;  /* children that are ready but for room */
    uint32_t *item_at;     /* by child: where in the log its key stands (a blob), then its JSON */
};

/* A key of the share data. */
struct mr__share_row {
    uint32_t at; /* where in the log its last SHARE_SET stands */
    uint32_t key_len;
    char key[];
};

/* mr__run.flags */
enum {
    MR__RUNFLAG_CANCELING = 1u,
    MR__RUNFLAG_TIMED_OUT = 2u,   /* canceling because the run's time was over */
    MR__RUNFLAG_DORMANT = 4u,     /* volatile: unfinished, and nobody goes on with it */
    MR__RUNFLAG_WATCHED = 8u,     /* volatile: each event gives a NOTIFY effect */
    MR__RUNFLAG_JOB_QUEUED = 16u, /* volatile: in the queue of runs that wait for a --jobs slot */
    MR__RUNFLAG_SETTLED = 32u,  /* over: only the effects that wait for durability still know it */
    MR__RUNFLAG_ARCHIVED = 64u, /* volatile: the history has it, from the same commit on */
    MR__RUNFLAG_RESUMING = 128u /* volatile: dormant, and about to be gone on with */
};

struct mr__run {
    uint8_t id[MR__RUN_ID_BYTES];
    struct mr__plan *plan;
    uint32_t slot;
    uint32_t gen;   /* volatile: different for each run that a slot has held */
    uint8_t status; /* enum mr__run_status */
    uint8_t flags;
    uint32_t count[MR__TASK_STATUSES]; /* tasks by status */
    uint32_t task_count;               /* the dag's, and the children of its fan-outs */
    uint32_t ready_count;
    uint32_t preparing_count;              /* PREPARING or PREPARED */
    uint32_t delayed_count;                /* JUDGING or DELAYED */
    uint32_t fan_open;                     /* fan-outs whose children have not all ended */
    struct mr__list ready_free, ready_job; /* actions that need no --jobs slot, and those that do */
    int64_t created_ms, last_ms;
    int64_t began_ms;      /* its first task did; 0: none has */
    int64_t timed_from_ms; /* the run's timeout counts from here: created, or reopened */
    uint64_t output_bytes; /* of all outputs and the share data */
    uint32_t event_at;     /* volatile: where in the log the event being applied stands */
    uint32_t hooks_due; /* 1u << enum mr__hook of those that are to be called before it goes on */
    uint8_t
        hooks_status;  /* enum mr__run_status that it is to have after them; running: it goes on */
    uint32_t hooks_at; /* where in the log HOOKS_DUE stands */
    uint32_t *bad; /* by task of the dag, where it has a `when`: parents that failed, were canceled
                    * or cannot begin; behind it as much room to work */
    struct mr__detail *details; /* by task, or NULL */
    struct mr__fan *fans;       /* in the order of their children */
    uint32_t fan_count;
    struct mr__share_row **share; /* sorted by key */
    uint32_t share_count, share_cap;

    struct mr__buf log; /* its events: event.h */

    uint64_t oldest_lsn; /* volatile: of its oldest event that is in no checkpoint; 0: none */
    struct mr__run *ckpt_prev, *ckpt_next; /* volatile: the list by oldest_lsn */
    struct mr__run *job_next;              /* volatile: the queue for --jobs slots */
    bool has_checkpoint;                   /* volatile: live/ has a record of it ... */
    uint64_t ckpt_lsn;                     /* volatile: ... with its events up to this LSN */
    void *context; /* volatile: the shard's own, freed by mr__scheduler.free_context */

    struct mr__task *tasks; /* `own`, or more room elsewhere once there are children */
    struct mr__task own[];
};

/* What the engine is to do; `kind` says which fields count. */
enum mr__effect_kind {
    /* to be done at once: */
    MR__EFFECT_PREPARE,   /* evaluate what comes before task begins (arg: mr__prepare's flags);
                           * answer with mr__decide_prepared */
    MR__EFFECT_JUDGE,     /* evaluate task's retry.if; answer with mr__decide_judged */
    MR__EFFECT_WAIT,      /* arm the timer that ends task's attempt (arg) */
    MR__EFFECT_DELAY,     /* arm the timer after which task's next attempt may begin (arg: the
                           * attempt before) */
    MR__EFFECT_DEADLINE,  /* arm the timer of the timeout of task's attempt (arg) */
    MR__EFFECT_RUN_TIMER, /* arm the timer of the run's timeout */
    /* to be done when the events before it are durable: */
    MR__EFFECT_BEFORE,  /* call run_before of task's attempt (arg); answer: mr__decide_began */
    MR__EFFECT_START,   /* start task's attempt (arg) */
    MR__EFFECT_AFTER,   /* call run_after of task's attempt (arg) */
    MR__EFFECT_SHARE,   /* the share data has changed: the event at `arg` in the run's log */
    MR__EFFECT_HOOK,    /* call the hooks of the mask `arg`; answer with mr__decide_hooked */
    MR__EFFECT_CANCEL,  /* end task's attempt; arg: MR_BY_USER or MR_BY_TIMEOUT */
    MR__EFFECT_FORGET,  /* task's attempt (arg) is lost: the executor need not know it any more */
    MR__EFFECT_NOTIFY,  /* tell the watchers of the event at `arg` in the run's log */
    MR__EFFECT_SETTLED, /* tell who waits; the slot is free afterwards unless the run is blocked */
    MR__EFFECT_KINDS
};
struct mr__effect {
    uint16_t kind;
    uint16_t attempt; /* NOTIFY: of the task */
    uint32_t slot;
    uint32_t task; /* NOTIFY: ms since the run was created; SETTLED: length of the run's log */
    uint32_t arg;  /* SETTLED: status of the run */
};
struct mr__effects { /* a ring */
    struct mr__effect *ring;
    uint64_t head, tail; /* counted, not wrapped: tail - head are in it */
    size_t cap;          /* 0 or a power of two */
};

struct mr__scheduler {
    struct mr__run **runs; /* by slot; NULL: free */
    uint32_t runs_cap;
    uint32_t *free_slots, free_count, free_cap;
    struct mr__hash by_id;
    uint32_t run_count, dormant_count, gen;
    uint32_t jobs_max, jobs_used; /* volatile */
    uint32_t hooks; /* volatile: the library's own, beside the dags': 1u << enum mr__hook */
    struct mr__run *job_head, *job_tail;
    struct mr__run *ckpt_head, *ckpt_tail;

    /* Where decide writes. The engine empties them. */
    struct mr__buf events; /* for the journal: varint slot, event, ... */
    uint32_t event_count;
    struct mr__effects now, durable;
    uint64_t lsn;   /* of the commit that `events` will be */
    int64_t now_ms; /* of the current input */
    bool failed;    /* out of memory in the middle: the state must be thrown away */

    /* Called right after RUN_SETTLED with an ended run (not a blocked one): its log is complete. */
    void (*on_finished)(void *user, struct mr__run *run);
    void (*free_context)(void *context);
    void *user;
};

void mr__scheduler_init(struct mr__scheduler *s, uint32_t jobs_max);
void mr__scheduler_finish(struct mr__scheduler *s);

/* Makes the run for a RUN_CREATED event in `slot`, dormant, with no event applied. Takes a
 * reference to the plan. MR_ENOMEM, MR_EFORMAT (slot or id taken). */
mr_status mr__run_create(struct mr__scheduler *s, uint32_t slot, const uint8_t *id,
                         struct mr__plan *plan, struct mr__run **ret_run);
void mr__run_release(struct mr__scheduler *s,
                     struct mr__run *run); /* frees the slot and all of it */
struct mr__run *mr__run_find(const struct mr__scheduler *s, const uint8_t *id);
static inline struct mr__run *mr__run_at(const struct mr__scheduler *s, uint32_t slot)
{
    return slot < s->runs_cap ? s->runs[slot] : NULL;
}
/* A slot that no run has. MR_ENOMEM, MR_ELIMIT. */
mr_status mr__slot_take(struct mr__scheduler *s, uint32_t *ret_slot);
/* Makes the table of runs so large that it has this slot. MR_ENOMEM, MR_ELIMIT. */
mr_status mr__slots_reach(struct mr__scheduler *s, uint32_t slot);
/* After a replay: which slots are free. */
mr_status mr__slots_rebuild(struct mr__scheduler *s);

void mr__effect_push(struct mr__scheduler *s, struct mr__effects *ring, enum mr__effect_kind kind,
                     uint32_t slot, uint32_t task, uint32_t arg);
/* A NOTIFY effect for the event at `at` in the run's log. */
void mr__effect_notify(struct mr__scheduler *s, const struct mr__run *run,
                       const struct mr__event *event, size_t at);
bool mr__effect_pop(struct mr__effects *ring, struct mr__effect *ret_effect);

/* A checkpoint holds every event of the run up to now: it leaves the list by oldest_lsn. */
void mr__run_checkpointed(struct mr__scheduler *s, struct mr__run *run);
/* The run has an event of commit `lsn` that is in no checkpoint. */
void mr__run_touched(struct mr__scheduler *s, struct mr__run *run, uint64_t lsn);

/* Begun and not ended: what maxParallel counts. A fan-out itself does not: its children do. */
static inline uint32_t mr__run_begun(const struct mr__run *run)
{
    return run->count[MR__TASK_RUNNING] + run->count[MR__TASK_ENDING] + run->preparing_count -
           run->fan_open;
}

/* Its last hooks are being called: how it will stand is decided. */
static inline bool mr__run_closing(const struct mr__run *run)
{
    return run->hooks_due != 0 && run->hooks_status != MR__RUN_RUNNING;
}

/* The fan-out that a task is a child of, or NULL. */
struct mr__fan *mr__run_fan_find(const struct mr__run *run, uint32_t t);
static inline struct mr__fan *mr__run_fan(const struct mr__run *run, uint32_t t)
{
    return t < run->plan->dag->task_count ? NULL : mr__run_fan_find(run, t);
}
/* The task of the dag that says what task `t` does: itself, or the fan-out that it is a child of.
 */
static inline uint32_t mr__run_row(const struct mr__run *run, uint32_t t)
{
    return t < run->plan->dag->task_count ? t : mr__run_fan(run, t)->task;
}
static inline const struct mr__dag_task *mr__run_dag_task(const struct mr__run *run, uint32_t t)
{
    return &run->plan->dag->tasks[mr__run_row(run, t)];
}
static inline const struct mr__action_binding *mr__run_binding(const struct mr__run *run,
                                                               uint32_t t)
{
    return &run->plan->bindings[mr__run_row(run, t)];
}
/* The details of a task, or NULL: it has none yet. */
static inline struct mr__detail *mr__run_detail(const struct mr__run *run, uint32_t t)
{
    return run->details == NULL ? NULL : &run->details[t];
}
/* The same, made. NULL: out of memory. */
struct mr__detail *mr__run_detail_make(struct mr__run *run, uint32_t t);

/* The attempt that is under way, or about to be: what the executor knows it by. */
static inline uint32_t mr__run_attempt(const struct mr__run *run, uint32_t t)
{
    return run->tasks[t].attempt + ((run->tasks[t].flags & MR__TASKFLAG_PREPARED) != 0);
}

/* Adds "id" or "id[key]". */
void mr__run_task_name(const struct mr__run *run, uint32_t t, struct mr__buf *name);
/* The task of that name, or -1. */
int64_t mr__run_task_find(const struct mr__run *run, const char *name, size_t len);
/* A child's key and item (JSON), in the log. */
void mr__run_item(const struct mr__run *run, uint32_t t, struct mr__blob *ret_key,
                  struct mr__blob *ret_json);
/* The event at `at` in the log; its time is not known. */
bool mr__run_event(const struct mr__run *run, uint32_t at, struct mr__event *ret_event);
/* The last event that gave a task its reason or output; false: none did. */
bool mr__run_task_event(const struct mr__run *run, uint32_t t, struct mr__event *ret_event);
/* The value of a key of the share data, as JSON in the log. */
bool mr__run_share(const struct mr__run *run, const char *key, size_t len,
                   struct mr__blob *ret_json);
/* Where in mr__run.share the key is, or would be. */
uint32_t mr__run_share_at(const struct mr__run *run, const char *key, size_t len, bool *ret_found);

/* A digest of all that replay must rebuild, for tests: equal states have equal digests. */
uint64_t mr__run_digest(const struct mr__run *run);

#endif
