/* SPDX-License-Identifier: MIT
 *
 * A world for one shard in which everything comes from one seed: time, randomness, the store and
 * its faults, the executor, crashes. The shard's code is the real one.
 *
 * sim.c is the world, with what the shard says and answers. The executor's memory outlives the
 * engine as the child table and the surviving children do: sim_exec.c has its attempts,
 * sim_scripts.c what is evaluated and the hooks, sim_share.c the share data. sim_truth.c reads each
 * batch that is written, sim_rules.c and sim_expect.c keep by a second and simpler account what it
 * means: against it everything that the shard says or does is held; sim_archive.c does so with
 * index and history. sim_prune.c is who removes finished runs, sim_commands.c who submits and
 * commands, test_simulation.c the driver.
 *
 * A broken promise ends the seed at once: sim_broken prints the seed and the step.
 */
#ifndef MR__SIM_H
#define MR__SIM_H

#include <millrace/plugin.h>

#include "core/engine/shard.h"
#include "core/exec/share.h"

#define SIM_RUNS_MAX     128
#define SIM_TASKS_MAX    64 /* of a run, with the children of its fan-outs */
#define SIM_FANS_MAX     4
#define SIM_KEYS_MAX     4 /* of the share data: "k0", ... */
#define SIM_SETS_MAX     16384
#define SIM_FLUSHES_MAX  4096
#define SIM_FAR_MAX      256
#define SIM_HOOKS_MAX    128
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
    X(watched_to_the_end)       \
    X(before_called)            \
    X(before_called_again)      \
    X(before_asked_again)       \
    X(before_failed)            \
    X(began_told_again)         \
    X(canceled_before_its_run)  \
    X(retried_before)           \
    X(after_called)             \
    X(after_called_again)       \
    X(after_asked_again)        \
    X(after_failed)             \
    X(start_asked_again)        \
    X(params_rendered)          \
    X(retried_by_policy)        \
    X(retried_after_timeout)    \
    X(retry_refused)            \
    X(retry_unjudgeable)        \
    X(delayed)                  \
    X(delayed_exponentially)    \
    X(delayed_with_jitter)      \
    X(delay_through_lives)      \
    X(delay_canceled)           \
    X(evaluated_far)            \
    X(evaluation_refused)       \
    X(evaluation_late)          \
    X(evaluation_lost)          \
    X(skipped_by_check)         \
    X(blocked_by_check)         \
    X(skipped_by_share)         \
    X(blocked_by_share)         \
    X(share_changed_meanwhile)  \
    X(skipped_by_script)        \
    X(blocked_by_script)        \
    X(condition_failed)         \
    X(block_passed)             \
    X(fanned)                   \
    X(fanned_to_nothing)        \
    X(fan_held)                 \
    X(fan_failed)               \
    X(fan_canceled)             \
    X(fan_stuck)                \
    X(fan_retried)              \
    X(child_retried)            \
    X(child_canceled)           \
    X(child_lost)               \
    X(when_always_after_bad)    \
    X(when_failed_ran)          \
    X(when_failed_skipped)      \
    X(task_died)                \
    X(task_canceled)            \
    X(task_canceling)           \
    X(success_after_canceled)   \
    X(child_of_late_success)    \
    X(tasks_canceled)           \
    X(tasks_retried)            \
    X(tasks_continued)          \
    X(task_command_of_dormant)  \
    X(paused)                   \
    X(paused_dormant)           \
    X(paused_while_prepared)    \
    X(unpaused)                 \
    X(shared)                   \
    X(share_removed)            \
    X(flushed)                  \
    X(flush_closed)             \
    X(flush_lost)               \
    X(sets_lost)                \
    X(share_seen)               \
    X(hook_before)              \
    X(hook_at_end)              \
    X(hook_called_again)        \
    X(hook_within)              \
    X(hook_of_library)          \
    X(hook_canceled)            \
    X(submitted_with_kept)      \
    X(submitted_with_share)     \
    X(all_kept)                 \
    X(pruned)                   \
    X(pruned_beyond_keep)       \
    X(pruned_in_part)           \
    X(prune_failed)             \
    X(prune_cut_off)            \
    X(closed_in_order)

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
    bool prepared, waiting, judging, delayed, again, canceling; /* as in mr__task.flags */
    bool late;   /* a task above it succeeded after it was canceled: it is to be canceled */
    bool fanned; /* its children are those of `fan` */
    uint32_t attempt, lost, retries;
    uint32_t life;        /* in which its attempt was started */
    uint32_t taken;       /* TASK_RETRIED, TASK_CONTINUED, cancels: how often */
    uint32_t end_sets;    /* sets of its attempt's end that are durable; its end must be, too */
    uint32_t fan;         /* FANNED: its number; of a child: the number of the fan that it is of */
    int64_t since_ms, ms; /* WAITING, DELAYED: wall time, duration */
    uint32_t since_life;
};

struct sim_fan {
    uint32_t task, first, count;
};

struct sim_run {
    uint8_t id[MR__RUN_ID_BYTES];
    bool promised; /* a submit was answered with it */
    bool refused;  /* a submit of it was answered by an error that says that nothing was written */
    bool durable;  /* its creation is */
    bool canceling, timed_out, archived, paused, began;
    uint8_t status;
    char x; /* its variable */
    uint32_t task_count, fan_count;
    struct sim_task tasks[SIM_TASKS_MAX];
    struct sim_fan fans[SIM_FANS_MAX];
    uint32_t hooks_due; /* masks */
    uint8_t hooks_status;
    uint32_t hooks_called;        /* by HOOKS_DONE */
    uint32_t hooks_calls;         /* of those that are due now, in all lives */
    uint32_t share[SIM_KEYS_MAX]; /* the number of the set that stands; 0: none */
    uint32_t kept, shared;        /* events of its submit */
    size_t seen; /* so much of its log was there when the conditions of this event were looked at */
    uint32_t must_end; /* a task whose attempt's end must be the run's next event, + 1; 0: none */
    struct mr__plan *plan; /* of the truth's own */
    struct mr__buf log;
    int64_t last_ms;
    uint64_t *events;                    /* a mark of each, in order */
    size_t event_count, event_cap, told; /* told: how far the watchers have been told, this life */
    bool told_all; /* they were there from the beginning of this life, and must be told of all */
    uint32_t settles, ends, reopened; /* ends: settles, but not as blocked */
    uint32_t pauses;                  /* and unpauses */
    uint32_t end_number;              /* the how manieth end of all was its last one */
    bool pruned, torn;                /* torn: some of its index entries are gone */
};

struct sim_truth {
    struct sim_run runs[SIM_RUNS_MAX];
    size_t run_count;
    struct sim_run *by_slot[4096];
    struct mr__buf entry; /* of the journal: the parts that are written so far */
    uint64_t entry_lsn, last_lsn;
    uint32_t ends; /* of all runs */
};

/* ---- the executor (sim_exec.c) -------------------------------------------------------------- */

struct sim_action {
    const char *name;
    uint32_t flags;
    bool rows;      /* it spawns: its attempts stand in the child table, and may survive a crash */
    bool after;     /* it has a run_after */
    uint32_t fails; /* per mille, beside the seed's own */
    uint32_t at_once, waits, stubborn;
    uint32_t shares; /* sets of the share data: per mille of its ends and of its steps */
};

/* An attempt's phases, and what lies between them. */
enum sim_phase { SIM_BEFORE, SIM_BEGAN, SIM_RUN, SIM_RAN, SIM_AFTERWARDS, SIM_OVER };

struct sim_attempt {
    struct mr__attempt_ref ref;
    uint32_t life;
    const struct sim_action *action;
    enum sim_phase phase;
    bool alive;     /* it does something, in this life or as a survivor */
    bool started;   /* its `run` was called, ever */
    bool reported;  /* its end was told */
    bool forgotten; /* the executor of this life knows it no more */
    bool row;       /* in the child table */
    bool waits;     /* for the engine's own timer */
    uint32_t cancel_reason;
    uint32_t afters;         /* calls of its run_after */
    uint64_t params;         /* a mark of its params */
    struct mr__share *share; /* of this life: one reference */
    int64_t due_ms;
};

/* An evaluation or a hook call that the executor has. */
struct sim_far {
    struct mr__evaluation *evaluation;
    size_t seen; /* so much of its run's log was there when it was asked for */
    int64_t due_ms;
};
/* What such an answer has become in memory: the event at `at` of its run's log. */
struct sim_answered {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t task;
    size_t at, seen;
};
struct sim_hooking {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t mask;
    int64_t due_ms;
};

/* A condition that was evaluated. */
struct sim_asked {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t script, life, rebuilds;
    size_t log_len;
};

/* One set of the share data. Its number is its value: so each can be told from all others. */
struct sim_set {
    struct sim_run *run;
    uint32_t key, task, attempt;
    bool of_end, removes, given, durable, lost; /* given: by a submit; lost: in a crash */
};
struct sim_flush {
    struct sim *sim;
    uint32_t first, count; /* its sets */
    uint32_t life;
    bool answered;
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
    bool table_settled;                /* an attempt without a row never began */
    uint64_t epoch_max, epoch_earlier; /* of all owners; of those before the life `epoch_life` */
    uint32_t epoch_life;
    struct sim_far far[SIM_FAR_MAX];
    size_t far_count;
    struct sim_answered answered[SIM_FAR_MAX]; /* the latest */
    size_t answered_count;
    struct sim_hooking hooking[SIM_HOOKS_MAX];
    size_t hooking_count;
    struct sim_set sets[SIM_SETS_MAX]; /* number 0 is none */
    uint32_t set_count;
    struct sim_flush flushes[SIM_FLUSHES_MAX];
    size_t flush_count;
};

/* ---- the world (sim.c) ---------------------------------------------------------------------- */

enum sim_request_kind {
    SIM_CANCEL = MR__COMMAND_CANCEL,
    SIM_RETRY = MR__COMMAND_RETRY,
    SIM_CONTINUE = MR__COMMAND_CONTINUE,
    SIM_PAUSE = MR__COMMAND_PAUSE,
    SIM_UNPAUSE = MR__COMMAND_UNPAUSE,
    SIM_SUBMIT,
    SIM_AFTER
};

struct sim;
struct sim_prune;

struct sim_request {
    struct sim *sim;
    enum sim_request_kind kind;
    uint32_t life;
    struct sim_run *run;
    uint32_t settles, reopened, pauses; /* of the run, when it was made */
    size_t log_len;
    uint32_t task, taken;  /* of a command for one task: its number + 1; 0: of the run */
    uint32_t kept, shared; /* of a submit */
    bool said;             /* it was so already: the task was to be canceled, the run paused */
    bool answered;
};

/* A write that the store took, that nobody got an answer to, and that may come to it late. */
struct sim_late {
    struct mr__batch batch;
    struct mr__buf key, value;
    bool present;
};

struct sim_knobs { /* per mille of the occasions; by seed */
    uint32_t crash, within, wait, fail, unknown, jump, attempt_fails, survive, full, far;
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
    uint32_t index_runs_pending, jobs, hooks;
    struct mr__evaluator evaluator;
    struct sim_asked asked[64];
    uint32_t rebuilds;
    bool reading; /* memory is being read anew: effects are to come */
    bool far;     /* an evaluation on a worker is under way: nothing takes too long */

    struct mr__shard *shard;
    uint64_t commits_rebuilt; /* of the shard, when its memory was read anew */
    bool dead;                /* crashed in the middle of a call: nothing counts any more */
    bool faults;              /* off: all goes well from now on */
    bool broken, closing, failing;
    struct sim_knobs knobs;
    struct sim_truth truth;
    struct sim_exec exec;
    struct sim_prune *prune;
    bool pruned; /* somebody has begun to prune, ever */
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
void sim_close(struct sim *sim);
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
void sim_exec_talk(struct sim *sim); /* some attempt writes a line, or share data */
void sim_exec_check_end(struct sim *sim);
struct mr__action_binding sim_exec_bind(struct mr__executor *x, const char *name);

/* ---- scripts and hooks (sim_scripts.c) ------------------------------------------------------ */

/* Scripts are Lua texts, 'VERB NUMBER', and what they give depends on the run, the item and the
 * attempt that failed alone. */
enum sim_truth_value { SIM_FALSE = 0, SIM_TRUE, SIM_FAILS };
enum sim_truth_value sim_script_value(const struct sim_run *run, uint32_t script,
                                      struct mr__blob item, uint32_t attempt);
void sim_scripts_init(struct sim *sim);
mr_status sim_scripts_evaluate(struct mr__executor *x, struct mr__evaluation *evaluation);
void sim_scripts_hook(struct mr__executor *x, const struct mr__hook_call *call);
void sim_scripts_library(void *user, const struct mr__scope_run *run, uint32_t mask);
void sim_scripts_run(struct sim *sim);
/* How much of its run's log was there when the conditions were looked at that decided this event,
 * which stands at `at`. */
size_t sim_scripts_seen(const struct sim *sim, const struct sim_run *run,
                        const struct mr__event *event, size_t at);
/* Memory is read anew: what was decided there and is not durable is gone. */
void sim_scripts_rebuilt(struct sim *sim);
int64_t sim_scripts_next_due(const struct sim *sim);
void sim_scripts_crash(struct sim *sim);

/* ---- share data (sim_share.c) --------------------------------------------------------------- */

/* Makes up to `max` sets for an attempt: rows in `sets`, texts in `text` (32 bytes each). */
size_t sim_share_make(struct sim *sim, const struct sim_attempt *a, bool of_end, size_t max,
                      struct mr__share_set *sets, char (*text)[32]);
void sim_share_flush(struct sim *sim, const struct sim_attempt *a);
void sim_share_crash(struct sim *sim);
/* In order: who waits is told. */
void sim_share_closed(struct sim *sim);
/* A pair of key and number, as a submit gives them. */
uint32_t sim_share_given(struct sim *sim, uint32_t key);
void sim_share_durable(struct sim *sim, struct sim_run *run, const struct mr__event *event);
/* The number that a key had when so much of the run's log was there; 0: none. */
uint32_t sim_share_at(const struct sim_run *run, const char *key, size_t seen);
/* The table holds nothing that is not durable; `exact`: and all that is. */
void sim_share_check(struct sim *sim, const struct sim_run *run, struct mr__share *share,
                     bool exact);

/* ---- the account of what is durable --------------------------------------------------------- */

/* sim_truth.c */
void sim_truth_write(struct sim *sim, const struct mr__batch *batch);
void sim_truth_crash(struct sim *sim);
void sim_truth_finish(struct sim *sim);
struct sim_run *sim_truth_find(struct sim *sim, const uint8_t *id);
struct sim_run *sim_truth_add(struct sim *sim, const uint8_t *id, struct mr__plan *plan);
uint64_t sim_truth_mark(const struct mr__event *event);
bool sim_truth_over(const struct sim_run *run); /* it stands still and is not blocked */
/* The shard's memory is what is durable, and perhaps more; `quiet`: and nothing more. */
void sim_truth_check_memory(struct sim *sim, bool quiet);
void sim_truth_name(const struct sim_run *run, uint32_t t, char *ret_name, size_t size);

/* sim_rules.c */
void sim_rules_apply(struct sim *sim, struct sim_run *run, const struct mr__event *event);

/* sim_expect.c */
/* The task of the dag that says what task `t` does. */
const struct mr__dag_task *sim_expect_row(const struct sim_run *run, uint32_t t);
bool sim_expect_begun(const struct sim_run *run, uint32_t t);
/* This attempt of it is under way, in whatever phase. */
bool sim_expect_current(const struct sim_run *run, uint32_t t, uint32_t attempt);

/* sim_archive.c */
/* Pending, index and history hold every finished run once, as it was. */
void sim_archive_check(struct sim *sim);
/* The events of a finished run, from the history: **owned**, mr__buf_finish. */
bool sim_archive_history(struct sim *sim, const uint8_t *id, struct mr__buf *ret_log);

/* Nothing of any run is left, in history or index. */
void sim_archive_check_empty(struct sim *sim);

/* ---- who prunes (sim_prune.c) --------------------------------------------------------------- */

void sim_prune_init(struct sim *sim);
void sim_prune_finish(struct sim *sim);
void sim_prune(struct sim *sim); /* some runs, unless a prune is under way */
void sim_prune_all(struct sim *sim);
void sim_prune_go(struct sim *sim); /* what it reads is read, or what was read is answered */
bool sim_prune_is_running(const struct sim *sim);
void sim_prune_crash(struct sim *sim);
/* The run's last entry in the index is gone. */
void sim_prune_durable(struct sim *sim, struct sim_run *run);

/* ---- who asks (sim_commands.c) -------------------------------------------------------------- */

void sim_submit(struct sim *sim, uint32_t runs_max);
void sim_command(struct sim *sim); /* some command for some run, or some of its tasks */
void sim_command_of(struct sim *sim, struct sim_run *run, enum mr__command command);
void sim_resume(struct sim *sim, uint32_t per_mille); /* some of the dormant runs, or all */
void sim_after(struct sim *sim);

/* ---- dags (sim_dags.c) ---------------------------------------------------------------------- */

extern const char *const sim_dags[];
extern const size_t sim_dag_count;
struct mr__dag *sim_dag_parse(size_t i);

#endif
