/* SPDX-License-Identifier: MIT
 *
 * A world for the conformance cases: a real shard, the real Lua host, a store of either kind; time,
 * the executor and crashes are the world's. Unlike in tests/simulation nothing is random: attempts
 * go on when the case says so, time moves when the case says so, and the engine dies at the one
 * commit that it is told to die at.
 *
 * world.c is the store and the lives of the engine; world_exec.c the executor with its actions.
 * A broken promise of either ends the test with world_broken.
 */
#ifndef MR__CONFORMANCE_WORLD_H
#define MR__CONFORMANCE_WORLD_H

#include <millrace/plugin.h>
#include <semaphore.h>

#include "core/engine/shard.h"
#include "core/exec/evaluator.h"

#define WORLD_RUNS_MAX     4
#define WORLD_ATTEMPTS_MAX 1024
#define WORLD_ANSWERS_MAX  128
#define WORLD_NAME_BYTES   160

/* How far an attempt is, or is to go. */
enum world_phase {
    WORLD_IN_BEFORE = 0, /* in retry_before or run_before */
    WORLD_READY,         /* these are through: start() is waited for */
    WORLD_IN_RUN,
    WORLD_RUN_DONE, /* run is through: after() is waited for */
    WORLD_IN_AFTER, /* in run_after */
    WORLD_OVER
};

/* What the case says of a task's attempt. Texts are the case's, and outlive the world. */
struct world_answer {
    char task[WORLD_NAME_BYTES];
    uint32_t attempt;       /* of which it was said */
    bool carried;           /* a crash lost what came of it: the next attempt does the same */
    enum world_phase until; /* WORLD_IN_RUN, WORLD_IN_AFTER, WORLD_OVER */
    enum world_phase fails_in;
    enum mr__outcome outcome;
    const char *reason, *json; /* json: the output, of a failure its details; or NULL */
    const mr_value *sets;      /* a map: share data that comes with its end; or NULL */
};

struct world_action;

struct world_attempt {
    struct mr__attempt_ref ref;
    char task[WORLD_NAME_BYTES];
    uint32_t life; /* of the engine, in which it began */
    const struct world_action *action;
    enum world_phase phase;
    bool passes; /* there is nothing to call before it: it goes on by itself */
    bool ran;    /* its run was called */
    bool forgotten;
    const char *params; /* as JSON: **owned** */
    const char *output; /* of one that ends at once, as JSON, or NULL: **owned** */
};

struct world_run {
    uint8_t id[MR__RUN_ID_BYTES];
    bool known;
    struct mr__plan *plan; /* the world's own */
};

/* At which commit the engine dies. */
struct world_crash {
    uint64_t at; /* 0: at none */
    bool before; /* before it is written; else right after, when nobody has been told */
};

struct world {
    char context[512];  /* what is being done: begins each message */
    const char *folder; /* of the LMDB store; NULL: the store is in memory */
    struct mr__mem_image *image;
    struct mr__store *store;
    struct mr__store_ops ops; /* the store's own, but for commit and poll */
    const struct mr__store_ops *store_ops;
    sem_t bell;     /* rung by the store */
    bool flying;    /* a commit is under way */
    bool failing;   /* commits fail */
    bool unknown;   /* the next commit is written, and nobody knows it */
    mr_status fake; /* the answer to a commit that never reached the store */
    mr__commit_cb commit_cb;
    void *commit_user;
    uint64_t commits; /* begun in all lives */
    struct world_crash crash;
    uint64_t journal_bytes_keep; /* of the lives to come; 0: as usual */
    bool dead;                   /* the engine has died, and is about to be thrown away */
    bool crashed;                /* it has died at a commit, once */

    struct mr__clock clock;
    int64_t monotonic_ms, armed_ms;
    struct mr__id_source ids;
    uint64_t random;

    uint32_t life;
    struct mr__shard *shard;
    bool broken; /* it has given up its store */
    mr_error trouble;
    struct mr__scheduler past; /* holds a finished run that was read back */
    struct mr__buf log;        /* its events */
    struct world_run runs[WORLD_RUNS_MAX];
    size_t run_count;

    bool answered; /* the last request */
    mr_status status;
    mr_error error;

    struct mr__executor port;
    struct mr__exec_events events;
    struct mr__lua_evaluator evaluator; /* the loop's */
    struct mr__lua *lua;                /* the workers' */
    struct world_attempt attempts[WORLD_ATTEMPTS_MAX];
    size_t attempt_count;
    struct world_answer answers[WORLD_ANSWERS_MAX];
    size_t answer_count;
    struct mr__evaluation *evaluations[64];
    size_t evaluation_count;
    struct mr__buf calls; /* a line each: "run build 1" */
    bool all_idempotent;  /* whatever the actions say */
    const char *without;  /* an action that is not installed any more, or NULL */
    bool set_done;        /* the last flush of share data was answered ... */
    mr_status set_status; /* ... by this */
};

_Noreturn MR__PRINTF(2, 3) void world_broken(const struct world *w, const char *fmt, ...);

/* `folder` is borrowed, or NULL. */
void world_init(struct world *w, const char *folder, struct world_crash crash);
void world_finish(struct world *w);
/* Until nothing goes on by itself at this time. Through a crash, too. */
void world_settle(struct world *w);
void world_advance(struct world *w, int64_t ms);
/* The engine is killed here and now, and a new one goes on with every run. */
void world_crash(struct world *w);

/* Makes a run of a dag, of which it takes the reference. The answer is returned. */
mr_status world_submit(struct world *w, struct mr__dag *dag, struct mr__blob vars);
mr_status world_command(struct world *w, size_t run, const struct mr__command_of *what);
/* Another owner takes the store. */
void world_take_over(struct world *w, struct mr__dag *dag);
/* The run as it is: live, or read back from the history. Borrowed until the next call. */
const struct mr__run *world_look(struct world *w, size_t run);
/* The status under which the lists of finished runs have it; -1: they do not. */
int world_listed(struct world *w, size_t run);
/* The lines that a task has traced, one a line: added to `lines`. */
void world_traces(struct world *w, size_t run, uint32_t task, struct mr__buf *lines);

/* The executor (world_exec.c). */
void world_exec_init(struct world *w);
void world_exec_finish(struct world *w);
void world_exec_crash(struct world *w);
/* Which answers are to hold again, if what came of some may be lost: called when the new engine has
 * read the store. */
void world_exec_carry(struct world *w, bool lost);
/* Does what there is to do; false: nothing. */
bool world_exec_go(struct world *w);
struct mr__action_binding world_exec_bind(void *user, const char *name);
/* The attempt of that task that is under way, or NULL. */
struct world_attempt *world_exec_find(struct world *w, const char *task);
/* The params of its last attempt, as JSON; NULL: it had none. */
const char *world_exec_params(const struct world *w, const char *task);
void world_exec_answer(struct world *w, const struct world_answer *answer);
/* It sets a key of the share data at once. */
mr_status world_exec_set(struct world *w, const char *task, const char *key, const char *json);
/* Nothing runs any more. */
void world_exec_check_idle(const struct world *w);

#endif
