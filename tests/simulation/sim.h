/* SPDX-License-Identifier: MIT
 *
 * A world for one shard in which everything comes from one seed: time, randomness, the store and
 * its faults, the executor, crashes. The shard's code is the real one.
 *
 * sim.c is the world; sim_exec.c the executor, whose memory outlives the engine as the child table
 * and the surviving children do; sim_truth.c looks at each batch that is written and keeps, by a
 * second and simpler account, what is durable: against it everything that the shard says or does is
 * held. test_simulation.c is the driver.
 *
 * A broken promise ends the seed at once: sim_broken prints the seed and the step.
 */
#ifndef MR__SIM_H
#define MR__SIM_H

#include <millrace/plugin.h>

#include "core/engine/shard.h"

#define SIM_RUNS_MAX     128
#define SIM_TASKS_MAX    16
#define SIM_ATTEMPTS_MAX 4096
#define SIM_REQUESTS_MAX 2048
#define SIM_SWEEPS_MAX   64

/* X(name): each of these must have happened at least once when all seeds have been run. */
#define SIM_COUNTERS(X)         \
    X(crash_between)            \
    X(crash_within)             \
    X(power_cut)                \
    X(commit_waits)             \
    X(commit_failed)            \
    X(commit_full)              \
    X(commit_unknown_written)   \
    X(commit_unknown_unwritten) \
    X(commit_split)             \
    X(crash_in_split)           \
    X(late_write_refused)       \
    X(wall_jump_ahead)          \
    X(wall_jump_back)           \
    X(store_broken)             \
    X(store_nearly_full)        \
    X(rebuilt)                  \
    X(survivor)                 \
    X(survivor_killed)          \
    X(sweep_waits)              \
    X(fate_running)             \
    X(fate_not_begun)           \
    X(fate_gone)                \
    X(end_within_start)         \
    X(end_within_cancel)        \
    X(cancel_ignored)           \
    X(canceled_late)            \
    X(waited)                   \
    X(attempt_failed)           \
    X(attempt_timed_out)        \
    X(attempt_lost)             \
    X(lost_three_times)         \
    X(run_timed_out)            \
    X(run_canceled)             \
    X(run_blocked)              \
    X(run_continued)            \
    X(run_retried)              \
    X(run_revived)              \
    X(revived_elsewhere)        \
    X(retry_while_ending)       \
    X(resumed)                  \
    X(left_dormant)             \
    X(command_of_dormant)       \
    X(command_refused)          \
    X(submit_refused)           \
    X(key_conflict)             \
    X(checkpoint)               \
    X(journal_trimmed)          \
    X(journal_parts)            \
    X(indexed)                  \
    X(recovered_pending)        \
    X(watched_to_the_end)

enum sim_counter {
#define SIM_COUNTER_ENUM(name) SIM_##name,
    SIM_COUNTERS(SIM_COUNTER_ENUM)
#undef SIM_COUNTER_ENUM
        SIM_COUNTER_COUNT
};
extern const char *const sim_counter_names[SIM_COUNTER_COUNT];

/* ---- what is durable (sim_truth.c) ---------------------------------------------------------- */

struct sim_task {
    uint8_t status;
    uint32_t attempt, lost;
    uint32_t life; /* in which its attempt was started */
};

struct sim_run {
    uint8_t id[MR__RUN_ID_BYTES];
    bool promised; /* a submit was answered with it */
    bool refused;  /* a submit of it was answered by an error that says that nothing was written */
    bool durable;  /* its creation is */
    bool canceling, timed_out, archived;
    uint8_t status;
    struct sim_task tasks[SIM_TASKS_MAX];
    struct mr__plan *plan; /* of the truth's own */
    struct mr__buf log;
    int64_t last_ms;
    uint64_t *events;                    /* a mark of each, in order */
    size_t event_count, event_cap, told; /* told: how far the watchers have been told, this life */
    bool told_all; /* they were there from the beginning of this life, and must be told of all */
    uint32_t settles, ends, reopened; /* ends: settles, but not as blocked */
};

struct sim_truth {
    struct sim_run runs[SIM_RUNS_MAX];
    size_t run_count;
    struct sim_run *by_slot[4096];
    struct mr__buf entry; /* of the journal: the parts that are written so far */
    uint64_t entry_lsn, last_lsn;
};

/* ---- the executor (sim_exec.c) -------------------------------------------------------------- */

struct sim_action;

struct sim_attempt {
    struct mr__attempt_ref ref;
    uint32_t life;
    const struct sim_action *action;
    bool alive;     /* it does something, in this life or as a survivor */
    bool reported;  /* its end was told */
    bool forgotten; /* the executor of this life knows it no more */
    bool row;       /* in the child table */
    bool waits;     /* for the engine's own timer */
    uint32_t cancel_reason;
    int64_t due_ms;
};

struct sim_sweep {
    uint8_t (*ids)[MR__RUN_ID_BYTES];
    size_t count;
    int64_t due_ms;
    void (*cb)(void *user);
    void *user;
};

struct sim_exec {
    struct mr__executor port;
    struct mr__exec_events events;
    struct sim_attempt attempts[SIM_ATTEMPTS_MAX];
    size_t attempt_count;
    struct sim_sweep sweeps[SIM_SWEEPS_MAX];
    size_t sweep_count;
    bool table_settled; /* an attempt without a row never began */
};

/* ---- the world (sim.c) ---------------------------------------------------------------------- */

enum sim_request_kind { SIM_SUBMIT, SIM_CANCEL, SIM_RETRY, SIM_CONTINUE, SIM_AFTER };

struct sim;

struct sim_request {
    struct sim *sim;
    enum sim_request_kind kind;
    uint32_t life;
    struct sim_run *run;
    uint32_t settles, reopened; /* of the run, when it was made */
    size_t log_len;
    bool answered;
};

/* A write that the store took, that nobody got an answer to, and that may come to it late. */
struct sim_late {
    struct mr__batch batch;
    struct mr__buf key, value;
    bool present;
};

struct sim_knobs { /* per mille of the occasions; by seed */
    uint32_t crash, within, wait, fail, unknown, jump, ends_at_once, attempt_fails, survive, full;
};

struct sim {
    uint64_t seed, random, trace;
    uint32_t step, life;
    bool verbose;
    uint32_t *counters;

    struct mr__clock clock;
    int64_t monotonic_ms, wall_ms, armed_ms;
    struct mr__id_source ids;

    struct mr__mem_image *image;
    struct mr__store *store;
    struct mr__store_ops ops; /* the memory store's, but for commit and nearly_full */
    const struct mr__store_ops *mem_ops;
    const struct mr__batch *flying;
    const struct mr__guard *flying_guard;
    bool polling;
    struct sim_late late;
    bool wrote, wrote_ever; /* wrote: since the late write was kept */
    struct mr__store_limits limits;
    uint64_t journal_bytes_keep;
    uint32_t index_runs_pending, jobs;

    struct mr__shard *shard;
    uint64_t commits_rebuilt; /* of the shard, when its memory was read anew */
    bool dead;                /* crashed in the middle of a call: nothing counts any more */
    bool faults;              /* off: all goes well from now on */
    bool broken, closing, failing;
    struct sim_knobs knobs;
    struct sim_truth truth;
    struct sim_exec exec;
    struct sim_request requests[SIM_REQUESTS_MAX];
    size_t request_count;
};

_Noreturn MR__PRINTF(2, 3) void sim_broken(struct sim *sim, const char *fmt, ...);
MR__PRINTF(2, 3) void sim_note(struct sim *sim, const char *fmt, ...); /* into the trace */
uint64_t sim_random(struct sim *sim);
uint32_t sim_below(struct sim *sim, uint32_t n);
bool sim_chance(struct sim *sim, uint32_t per_mille);
void sim_count(struct sim *sim, enum sim_counter counter);
/* In the middle of something: perhaps everything ends here. */
bool sim_maybe_dies(struct sim *sim);

void sim_init(struct sim *sim, uint64_t seed, uint32_t *counters);
void sim_finish(struct sim *sim);
void sim_open(struct sim *sim); /* a new life */
void sim_crash(struct sim *sim, bool power_cut);
void sim_pump(struct sim *sim); /* and a crash, if one came in the middle */
void sim_poll(struct sim *sim);
void sim_advance(struct sim *sim, int64_t ms);
/* Nothing was written since memory was read (anew): what a crash left is not yet tidied up. */
bool sim_untidy(const struct sim *sim);
int64_t sim_next_due(const struct sim *sim); /* INT64_MAX: nothing will happen by itself */
struct sim_request *sim_request(struct sim *sim, enum sim_request_kind kind, struct sim_run *run);
void sim_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id);

void sim_exec_init(struct sim *sim);
void sim_exec_crash(struct sim *sim, bool power_cut);
void sim_exec_run(struct sim *sim); /* what is due */
int64_t sim_exec_next_due(const struct sim *sim);
void sim_exec_talk(struct sim *sim); /* some attempt writes a line */
void sim_exec_check_end(struct sim *sim);
struct mr__action_binding sim_exec_bind(struct mr__executor *x, const char *name);

void sim_truth_write(struct sim *sim, const struct mr__batch *batch);
void sim_truth_crash(struct sim *sim);
void sim_truth_finish(struct sim *sim);
struct sim_run *sim_truth_find(struct sim *sim, const uint8_t *id);
struct sim_run *sim_truth_add(struct sim *sim, const uint8_t *id, struct mr__plan *plan);
uint64_t sim_truth_mark(const struct mr__event *event);
bool sim_truth_over(const struct sim_run *run); /* it stands still and is not blocked */
/* The shard's memory is what is durable, and perhaps more; `quiet`: and nothing more. */
void sim_truth_check_memory(struct sim *sim, bool quiet);
/* Pending, index and history hold every finished run once, as it was. */
void sim_truth_check_archive(struct sim *sim);
/* Each run stands as its tasks demand. */
void sim_truth_check_outcome(struct sim *sim, const struct sim_run *run);
/* The events of a finished run, from the history: **owned**, mr__buf_finish. */
bool sim_truth_history(struct sim *sim, const uint8_t *id, struct mr__buf *ret_log);

/* ---- dags (sim_dags.c) ---------------------------------------------------------------------- */

extern const char *const sim_dags[];
extern const size_t sim_dag_count;
struct mr__dag *sim_dag_parse(size_t i);

#endif
