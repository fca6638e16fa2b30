/* SPDX-License-Identifier: MIT
 *
 * A shard: the scheduler joined to its store, its executor and its clock. All of the engine's
 * promises are kept here, and nothing here knows libuv, sockets or JSON requests: the same code
 * runs in the simulation.
 *
 * What comes in becomes events (core/scheduler/decide.h); events go to the store in commits, one at
 * a time, each as large as what came up while the one before was written; effects and replies wait
 * until the commit that holds their events is durable. After a commit that failed or whose outcome
 * is unknown the shard throws its memory away, reads the store anew and resumes.
 *
 * Loop thread only. After any call, mr__shard_pump must be called before the loop waits.
 */
#ifndef MR__SHARD_H
#define MR__SHARD_H

#include "core/base/clock.h"
#include "core/engine/run_progress.h"
#include "core/exec/executor.h"
#include "core/scheduler/resume.h"
#include "core/store/records.h"

struct mr__shard;

/* What happened; called from within mr__shard_pump or the call that made it happen. */
struct mr__shard_events {
    void *user;
    /* A durable event of a run that is watched, and the attempt that it is about (0: none). */
    void (*notify)(void *user, struct mr__run *run, const struct mr__event *event,
                   uint32_t attempt);
    /* The run stands still, durably. It is gone from memory after this call unless it is blocked.
     */
    void (*settled)(void *user, struct mr__run *run);
    /* Hooks are due, before the dag's own are called. Only if shard_options.hooks has one. */
    void (*hooked)(void *user, const struct mr__scope_run *run, uint32_t mask);
    /* Output or a trace line of a watched run, as it comes. */
    void (*log)(void *user, struct mr__run *run, uint32_t task, const struct mr__log_chunk *chunk);
    /* What a watched run's attempt says of its progress. */
    void (*progress)(void *user, struct mr__run *run, const struct mr__run_progress *progress);
    /* Call mr__shard_timer at this monotonic time; INT64_MAX: not at all. Replaces the last one. */
    void (*arm)(void *user, int64_t due_ms);
    /* Memory was thrown away and read anew: set again which runs are watched. */
    void (*rebuilt)(void *user);
    /* No commit has succeeded for MR__STORE_RETRY_MAX_MS: the shard does nothing more. */
    void (*broken)(void *user, const mr_error *error);
    void (*say)(void *user, int32_t level, const char *line);
};

struct mr__shard_options {
    struct mr__store *store;               /* borrowed until destroy */
    struct mr__executor *executor;         /* borrowed until destroy */
    struct mr__clock *clock;               /* borrowed until destroy */
    struct mr__id_source *ids;             /* borrowed until destroy */
    const struct mr__evaluator *evaluator; /* of scripts, on the loop: borrowed until destroy */
    uint32_t jobs;
    uint32_t hooks; /* the library's own, beside the dags': 1u << enum mr__hook */
    struct mr__shard_events events;
    /* Checks a parsed dag against the actions that exist; may be NULL. */
    void (*check)(void *user, const struct mr__dag *dag, struct mr__problems *problems);
    void *check_user;
    uint64_t journal_bytes_keep; /* 0: MR__JOURNAL_BYTES_KEEP */
    uint32_t index_runs_pending; /* 0: MR__INDEX_RUNS_PENDING */
};

/* The outcome of something that had to become durable. `run_id` is of the run that it was about, or
 * NULL. Called exactly once: from pump or destroy, or where it is refused from within the call. */
typedef void (*mr__done_fn)(void *user, mr_status status, const mr_error *error,
                            const uint8_t *run_id);

/* A shard must exist before its executor, whose events it takes. */
struct mr__shard *mr__shard_create(void);
struct mr__exec_events mr__shard_exec_events(struct mr__shard *sh);
/* Reads the store, blocking. All runs are dormant. MR_EFORMAT, MR_ESTORE, MR_ENOMEM. */
mr_status mr__shard_open(struct mr__shard *sh, const struct mr__shard_options *options,
                         mr_error *reterr);
/* Before the executor is shut down: whoever waits in it for the store is told MR_ECLOSED. */
void mr__shard_close(struct mr__shard *sh);
/* Calls what still waits for a commit with MR_ECLOSED. The store must not be in a commit's
 * callback. */
void mr__shard_destroy(struct mr__shard *sh);

void mr__shard_pump(struct mr__shard *sh);
void mr__shard_timer(struct mr__shard *sh);
/* True if nothing is under way towards the store: no events, no commit. */
bool mr__shard_quiet(const struct mr__shard *sh);

/* ---- definitions ------------------------------------------------------------------------------
 */

/* The plan of a dag version if it is in memory, **borrowed until the loop turns**, or NULL. */
struct mr__plan *mr__shard_plan(struct mr__shard *sh, const uint8_t *version);
/* Makes a plan of a dag; takes the reference to `dag` also on failure. */
mr_status mr__shard_plan_add(struct mr__shard *sh, struct mr__dag *dag, struct mr__plan **ret_plan);
/* Parses a definition as it stands in the store. MR_EDEFINITION: it does not parse, with a message
 * that names the dag. */
mr_status mr__definition_parse(const struct mr__definition *definition, struct mr__dag **ret_dag,
                               mr_error *reterr);

/* What the parser says of a version's stored text that it was found to refuse, or NULL. */
const char *mr__shard_refused(const struct mr__shard *sh, const uint8_t *version);
void mr__shard_refuse(struct mr__shard *sh, const uint8_t *version, const char *message);

/* An unfinished run of such a version: it stays in the store as it stands, and nobody can go on
 * with it. */
struct mr__unreadable {
    struct mr__unreadable *next, **back; /* back: what points to it */
    uint8_t id[MR__RUN_ID_BYTES], version[MR__VERSION_BYTES];
    char dag[MR__ID_BYTES_MAX + 1];
    uint32_t slot;      /* which nobody else gets */
    struct mr__buf log; /* its events */
    int64_t last_ms;
    uint64_t ckpt_lsn;
    bool has_checkpoint;
    bool dirty;   /* there are events behind its checkpoint */
    bool settled; /* by its events it has ended */
};
/* All of them, linked, or NULL; the one with this id, or NULL. Borrowed until the loop turns. */
const struct mr__unreadable *mr__shard_unreadables(const struct mr__shard *sh);
const struct mr__unreadable *mr__shard_unreadable(const struct mr__shard *sh,
                                                  const uint8_t *run_id);

/* Puts a record of a definition into the next commit, behind the text of `plan` (NULL: no text).
 * What was put when `done` gets an error is forgotten: a rebuild follows, or the end. */
void mr__shard_put(struct mr__shard *sh, const struct mr__key *key, struct mr__bytes value,
                   struct mr__plan *plan, mr__done_fn done, void *user);
/* The same for a record that is true only once the events before it are: a commit that is cut
 * between the two has the events without the record. */
void mr__shard_put_after(struct mr__shard *sh, const struct mr__key *key, struct mr__bytes value,
                         mr__done_fn done, void *user);

/* ---- inputs -----------------------------------------------------------------------------------
 */

/* Makes a run. `submit->id` is not looked at: the shard makes it. `done` may get MR_EFULL,
 * MR_ELIMIT, MR_ESTORE, MR_ECONFLICT (the key; run_id is the first run's). */
void mr__shard_submit(struct mr__shard *sh, const struct mr__submit *submit, mr__done_fn done,
                      void *user);

enum mr__command {
    MR__COMMAND_CANCEL,
    MR__COMMAND_RETRY,
    MR__COMMAND_CONTINUE,
    MR__COMMAND_PAUSE,
    MR__COMMAND_UNPAUSE
};
struct mr__command_of {
    enum mr__command command;
    const char *const *tasks; /* ids, a fan-out's child as "id[key]"; copied */
    size_t task_count;        /* 0: the whole run */
};
/* A command for a run in memory; a dormant one is resumed first. `done` may get MR_ENOTFOUND (every
 * unknown task is named), MR_ECONFLICT (the state is named). */
void mr__shard_command(struct mr__shard *sh, const uint8_t *run_id,
                       const struct mr__command_of *what, mr__done_fn done, void *user);

/* Brings a finished run back from history into memory, so that it can be retried or continued:
 * `log` is its events, `plan` is of its version. mr__shard_command must follow at once: if that is
 * refused, the run is gone from memory again. */
mr_status mr__shard_revive(struct mr__shard *sh, const uint8_t *run_id, struct mr__plan *plan,
                           struct mr__blob log, mr_error *reterr);

/* Goes on with these dormant runs: kills what is left of their children, then resumes each. */
void mr__shard_resume(struct mr__shard *sh, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                      size_t count);

/* Calls back when everything that the shard has said or stored up to now is durable. */
void mr__shard_after(struct mr__shard *sh, mr__done_fn done, void *user);

/* All output so far is on its way to the store; chunks that come later have higher numbers. */
uint64_t mr__shard_log_mark(struct mr__shard *sh);

/* ---- reading (loop thread) --------------------------------------------------------------------
 */

struct mr__scheduler *mr__shard_state(struct mr__shard *sh);
struct mr__run *mr__shard_find(struct mr__shard *sh, const uint8_t *run_id);
/* The live run that was submitted with this token or key, or NULL. */
struct mr__run *mr__shard_find_key(struct mr__shard *sh, struct mr__blob key, bool token);
/* The run, live or finished and not indexed yet, with this key or token: its id, **borrowed until
 * the loop turns**, or NULL. Keys of older runs stand in the store's index; tokens are forgotten
 * then. */
const uint8_t *mr__shard_key_owner(struct mr__shard *sh, struct mr__blob key, bool token);
bool mr__shard_full(struct mr__shard *sh);
/* What attempts have said of their progress: rows of run_progress.h. */
const struct mr__hash *mr__shard_progress(const struct mr__shard *sh);

/* A finished run whose index entries are not in the store yet. */
struct mr__pending {
    uint8_t id[MR__RUN_ID_BYTES];
    struct mr__place place;
    uint8_t status;
    struct mr__plan *plan;    /* one reference; NULL: its dag's text does not parse */
    char *dag;                /* then: the dag's id; owned */
    char *tags, *key, *token; /* tags as JSON; NULL: none; owned */
};
static inline const char *mr__pending_dag(const struct mr__pending *pending)
{
    return pending->plan == NULL ? pending->dag : pending->plan->dag->id;
}
/* The i-th of them, oldest first, or NULL. */
const struct mr__pending *mr__shard_pending(const struct mr__shard *sh, size_t i);
const struct mr__pending *mr__shard_pending_find(const struct mr__shard *sh, const uint8_t *run_id);

/* ---- finished runs ----------------------------------------------------------------------------
 */

/* Lets index entries that wait go with the next commit, a portion of them, until those have gone
 * that waited when this was called with 0 in `upto`. True: `done` is called when a portion is
 * durable, call again then. False: all have gone. */
bool mr__shard_index(struct mr__shard *sh, uint64_t *upto, mr__done_fn done, void *user);
/* Grows with every portion that is durable: what was read of the index before may be old. */
uint64_t mr__shard_indexed(const struct mr__shard *sh);
/* Hands over deletions of finished runs that are in the index: prune.c. */
void mr__shard_prune(struct mr__shard *sh, const struct mr__batch *batch, mr__done_fn done,
                     void *user);

struct mr__shard_stats {
    uint64_t journal_first, journal_last, journal_bytes;
    uint64_t commits, events, bytes; /* since it was opened */
    size_t index_pending;
};
void mr__shard_stats(const struct mr__shard *sh, struct mr__shard_stats *ret_stats);

#endif
