/* SPDX-License-Identifier: MIT
 *
 * START HERE: every durable fact that the scheduler knows, and how it is written in bytes.
 *
 * The same bytes stand in three places: in the journal (behind the number of the run's slot), in
 * the run's own log in memory and in checkpoints, and in the history of finished runs. Applying a
 * run's log from its first event on rebuilds the run (apply.c); nothing else is stored about it.
 *
 * Bytes of an event: type | fields << 5, zigzag ms since the run's event before, then per type as
 * listed at struct mr__event, each blob as varint length and bytes. The codec has the format number
 * MR__EVENT_FORMAT, which stands in front of every journal entry, checkpoint and finished run.
 */
#ifndef MR__EVENT_H
#define MR__EVENT_H

#include "core/base/buf.h"
#include "core/base/id.h"

#define MR__EVENT_FORMAT 1

/* X(name, number, shown). Numbers are on disk: never changed, never used again. */
#define MR__EVENT_MAP(X)                                                                           \
    X(RUN_CREATED, 1, "runCreated")         /* id, version, dag, folder, vars, tags, key, token */ \
    X(ATTEMPT_STARTED, 2, "attemptStarted") /* task, params where templates changed them */        \
    X(ATTEMPT_WAITING, 3, "attemptWaiting") /* task, ms: it ends with success by itself then */    \
    X(ATTEMPT_ENDED, 4, "attemptEnded")     /* task, outcome, status, reason, output */            \
    X(TASK_SET, 5, "taskSet")               /* task, status, reason: no attempt had part in it */  \
    X(CANCEL_REQUESTED, 6, "cancelRequested") /* of the run, and why */                            \
    X(TASK_RETRIED, 7, "taskRetried")         /* task: failed or canceled -> retrying or init */   \
    X(TASK_CONTINUED, 8, "taskContinued")     /* task: blocked -> continue */                      \
    X(RUN_REOPENED, 9, "runReopened")         /* the run stood still and goes on */                \
    X(RUN_SETTLED, 10, "runEnded")            /* status, reason: the run stands still */           \
    X(TASK_PREPARED, 11, "taskPrepared")      /* task, params: run_before is to be called */       \
    X(ATTEMPT_ENDING, 12, "attemptEnding")    /* task, output: run is through, run_after is not */ \
    X(TASK_DELAYED, 13, "taskDelayed")        /* task, ms: until its next attempt may begin */     \
    X(TASK_DUE, 14, "taskDue")                /* task: that time is over */                        \
    X(TASK_CANCELING, 15, "taskCanceling")    /* task: its attempt is to end, by a user's wish */  \
    X(TASK_FANNED, 16, "taskFanned")          /* task, count, items: for each its key and JSON */  \
    X(SHARE_SET, 17, "shareSet")              /* task, key; payload: JSON, absent: removed */      \
    X(RUN_PAUSED, 18, "runPaused")            /* nothing begins from now on */                     \
    X(RUN_UNPAUSED, 19, "runUnpaused")        /* it does again */                                  \
    X(HOOKS_DUE, 20, "hooksDue")              /* mask; to end: status, reason that it will have */ \
    X(HOOKS_DONE, 21, "hooksDone")            /* those have been called */

enum mr__event_type {
#define MR__EVENT_ENUM(name, number, shown) MR__EVENT_##name = number,
    MR__EVENT_MAP(MR__EVENT_ENUM)
#undef MR__EVENT_ENUM
};

enum mr__task_status {
    MR__TASK_INIT = 0,
    MR__TASK_RUNNING,
    MR__TASK_ENDING,
    MR__TASK_RETRYING,
    MR__TASK_CONTINUE,
    MR__TASK_SUCCESS,
    MR__TASK_FAILED,
    MR__TASK_CANCELED,
    MR__TASK_SKIPPED,
    MR__TASK_BLOCKED,
    MR__TASK_STATUSES
};

enum mr__run_status {
    MR__RUN_INIT = 0,
    MR__RUN_SCHEDULED, /* cluster: waits for a node */
    MR__RUN_RUNNING,
    MR__RUN_SUCCESS,
    MR__RUN_FAILED,
    MR__RUN_CANCELED,
    MR__RUN_BLOCKED,
    MR__RUN_PAUSED,
    MR__RUN_STATUSES
};

const char *mr__task_status_name(uint8_t status); /* static */
const char *mr__run_status_name(uint8_t status);
const char *mr__event_name(uint8_t type);
int mr__run_status_find(const char *name); /* -1: none */
bool mr__event_of_attempt(uint8_t type);   /* it is about the task's attempt at that time */
bool mr__event_of_task(uint8_t type);      /* `task` counts */

enum mr__cancel_why { MR__CANCEL_BY_USER = 0, MR__CANCEL_BY_RUN_TIMEOUT };

/* One event. Blobs are borrowed: when decoded, from the bytes it was decoded from. */
struct mr__event {
    uint8_t type;
    uint8_t status; /* ATTEMPT_ENDED, TASK_SET: of the task; RUN_SETTLED, HOOKS_DUE: of the run */
    /* ATTEMPT_ENDED: enum mr__outcome; CANCEL_REQUESTED: enum mr__cancel_why; TASK_SET: 1 for a
     * task that is settled from the beginning (kept from another run, or not asked for) */
    uint8_t outcome;
    uint32_t task;
    uint32_t count;         /* TASK_FANNED: items; HOOKS_DUE: 1u << enum mr__hook of each */
    int64_t time_ms;        /* Unix time */
    int64_t ms;             /* ATTEMPT_WAITING, TASK_DELAYED */
    struct mr__blob reason; /* absent: "" */
    /* JSON text: RUN_CREATED: where it came from (absent: by hand); ATTEMPT_STARTED, TASK_PREPARED:
     * params; ATTEMPT_ENDING, ATTEMPT_ENDED, TASK_SET: output, of a failed attempt details;
     * SHARE_SET: the value. TASK_FANNED: blobs, a key and JSON for each item */
    struct mr__blob payload;
    const uint8_t *id; /* RUN_CREATED: 16 bytes each */
    const uint8_t *version;
    /* RUN_CREATED; vars, tags: JSON. SHARE_SET: key */
    struct mr__blob dag, folder, vars, tags, key, token;
};

/* Appends the event. `last_ms` is the time of the run's event before it (0 for the first). */
void mr__event_encode(struct mr__buf *buf, const struct mr__event *event, int64_t last_ms);

/* Reads one event. False: the bytes are no event (r->failed is set). Statuses, outcomes and lengths
 * are checked here; whether the task exists is apply's business. */
bool mr__event_decode(struct mr__reader *r, int64_t last_ms, struct mr__event *ret_event);

#endif
