/* SPDX-License-Identifier: MIT
 *
 * The engine's own fields and requests, for core/engine's files: engine.c (the loop), requests.c
 * (their life, run names, reading jobs), ops_*.c (one function per op), bench.c.
 */
#ifndef MR__ENGINE_IMPL_H
#define MR__ENGINE_IMPL_H

#include <pthread.h>
#include <uv.h>

#include "core/base/clock.h"
#include "core/engine/definitions.h"
#include "core/engine/engine.h"
#include "core/engine/kept.h"
#include "core/engine/reads.h"
#include "core/engine/shard.h"
#include "core/exec/evaluator.h"
#include "core/exec/exec.h"

struct mr__engine {
    struct mr__engine_options opt;
    char *path;
    struct mr__clock *clock;
    struct mr__id_source ids;
    struct mr__store *store;
    struct mr__executor *executor;
    struct mr__lua_evaluator evaluator; /* of scripts, on the loop */
    struct mr__shard *shard;
    struct mr__server *server;
    struct mr__definitions definitions;
    struct mr__serve *serve;         /* the one request that serves, or NULL */
    struct mr__schedules *schedules; /* while it does, or NULL */

    uv_loop_t *loop;    /* own_loop, or the caller's */
    uv_loop_t own_loop; /* has a thread of its own */
    pthread_t thread;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_timer_t timer;
    int64_t armed_ms;
    int handles; /* open ones of ours */

    pthread_mutex_t lock; /* guards mail and stop flags */
    pthread_cond_t done;
    struct mr__mail *mail, **mail_tail;
    bool draining, stopping, stopped, closed_for_requests;
    bool shutting; /* the loop is ending things */
    bool failed;   /* mr__engine_create did: nobody is told, and the end frees it */
    bool executor_down;
    uint32_t reads; /* jobs that the store's reader thread has: their callbacks are waited for */
    mr_error broken;

    struct mr__request *requests; /* all, linked */
    struct mr__hash watches;      /* run id -> struct mr__watch * */
    struct mr__bench *bench;      /* bench.c, while it measures */
    uint32_t holding;             /* requests that keep the owner */
    /* Texts that were parsed lately: their hash, and the version that came out. */
    struct {
        uint8_t text[16], version[16];
    } parsed[64];
    uint32_t parsed_next;
};

/* Who wants to know of a run. */
struct mr__watch {
    uint8_t run_id[MR__RUN_ID_BYTES];
    struct mr__request *first;
    bool attached; /* the owner stays until the run stands still */
};

struct mr__request;
typedef void (*mr__op_fn)(struct mr__request *request);

struct mr__request {
    struct mr__engine *engine;
    struct mr__request *prev, *next;
    mr__answer_fn answer;
    void *user;
    struct mr__arena arena;
    mr_value json; /* the request, in the arena */
    struct mr__buf out;
    bool ended, closed;
    uint32_t refs; /* jobs and callbacks that still name it */
    bool holds;    /* counted in engine->holding */
    uint8_t run_id[MR__RUN_ID_BYTES];
    mr__op_fn then; /* after the run's name was resolved */

    /* following a run: ops_follow.c */
    struct mr__watch *watch;
    struct mr__request *watch_next;
    struct mr__follow *follow;

    struct mr__serve *serve; /* ops_serve.c; NULL: it is none that serves */
};

#define MR__VERSION "0.1.0"

/* ---- requests.c ---- */
/* One answer line: what `out` holds. Nothing is sent once the request ended or was closed. */
void mr__answer(struct mr__request *request, bool last);
void mr__answer_text(struct mr__request *request, const char *json, size_t len, bool last);
/* One answer for each line, none of them the last; stops when the request ends on the way. */
void mr__answer_lines(struct mr__request *request, const struct mr__buf *lines);
void mr__answer_failed(struct mr__request *request, const mr_error *error);
MR__PRINTF(3, 4)
void mr__answer_fail(struct mr__request *request, mr_status status, const char *fmt, ...);
/* The same with the nearest known word, or NULL. */
MR__PRINTF(4, 5)
void mr__answer_fail_near(struct mr__request *request, mr_status status, const char *suggestion,
                          const char *fmt, ...);
/* Whoever keeps a pointer to a request across a callback takes a reference. */
void mr__request_ref(struct mr__request *request);
void mr__request_unref(struct mr__request *request);
void mr__request_hold(struct mr__request *request); /* keeps the owner until the request ends */
const char *mr__field_str(const struct mr__request *request, const char *name);
bool mr__field_true(const struct mr__request *request, const char *name);
/* A field that is a list of texts, **borrowed** from the request; absent: none. MR_EINVAL,
 * MR_ENOMEM. */
mr_status mr__field_list(struct mr__request *request, const char *name,
                         const char *const **ret_list, size_t *ret_count, mr_error *reterr);
/* Finds the run that `run` names, then calls `then`, or answers that there is none. */
void mr__resolve(struct mr__request *request, mr__op_fn then);

/* A reading job for one run: its events and its dag, wherever they are. */
struct mr__run_job {
    struct mr__request *request;
    uint8_t run_id[MR__RUN_ID_BYTES];
    struct mr__plan *plan; /* a reference, where the run was in memory */
    struct mr__dag *dag;   /* the plan's, or owned */
    struct mr__buf log_copy;
    struct mr__blob log;
    bool have_place;
    struct mr__place place;
    struct mr__buf out;
    mr_status status;
    mr_error error;
    struct mr__log_page page;
    struct mr__kept_set kept;          /* rerun */
    struct mr__run_progress *progress; /* of a run in memory; owned */
    size_t progress_count;
    /* Reader thread: uses log and dag. */
    mr_status (*use)(struct mr__snapshot *snapshot, struct mr__run_job *job);
    /* Loop thread, at the end; the job is freed afterwards. Not called for a closed request. */
    void (*then)(struct mr__run_job *job);
};
/* Starts a job for request->run_id, after all that it may see is durable. */
void mr__run_job(struct mr__request *request,
                 mr_status (*use)(struct mr__snapshot *snapshot, struct mr__run_job *job),
                 void (*then)(struct mr__run_job *job));
/* The same with a log and plan at hand. */
void mr__run_job_with(struct mr__request *request, struct mr__run *run,
                      mr_status (*use)(struct mr__snapshot *snapshot, struct mr__run_job *job),
                      void (*then)(struct mr__run_job *job));
/* The same in two steps, so that fields can be set between; NULL: the request was answered. */
struct mr__run_job *mr__run_job_make(struct mr__request *request, struct mr__run *run,
                                     mr_status (*use)(struct mr__snapshot *snapshot,
                                                      struct mr__run_job *job),
                                     void (*then)(struct mr__run_job *job));
void mr__run_job_start(struct mr__run_job *job);
/* Loop thread: the run's plan, all of whose actions exist, **borrowed until the loop turns**. NULL:
 * the request was answered. */
struct mr__plan *mr__run_job_plan(struct mr__run_job *job);
mr_status mr__use_doc(struct mr__snapshot *snapshot, struct mr__run_job *job);
void mr__then_doc_last(struct mr__run_job *job);

/* ---- definition_text.c ---- */
/* A text that was parsed and checked. */
struct mr__checked {
    struct mr__dag *dag; /* one reference; NULL if it is bad */
    bool bad;
    struct mr__buf problems; /* JSON of errors and warnings; empty: none */
    struct mr__pos first;    /* where the first error is, and what it says */
    char message[MR_ERROR_MESSAGE_BYTES];
};
void mr__checked_finish(struct mr__checked *checked);
/* Any thread. MR_OK also for a bad text; MR_ENOMEM. `ret_checked` begins as zeros. */
mr_status mr__definition_check(const struct mr__registry *registry, const char *text, size_t len,
                               const struct mr__parse_options *options,
                               struct mr__checked *ret_checked);
void mr__add_warnings(struct mr__buf *out, const struct mr__checked *checked); /* ,"warnings":.. */
void mr__answer_bad(struct mr__request *request, const char *file,
                    const struct mr__checked *checked);
/* The row of the dag that the request names. NULL: it was answered that there is none. */
const struct mr__dag_row *mr__request_dag(struct mr__request *request);

/* ---- ops_dags.c ---- */
struct mr__push_result {
    char id[MR__ID_BYTES_MAX + 1];
    uint8_t version[MR__VERSION_BYTES];
    bool is_new, stopped;
};
/* Makes a checked dag the current version of its id, where that changes anything. Takes the
 * reference to `dag`. MR_OK: `done` is called once that is durable, maybe from within; `ret_result`
 * is filled before. Else refused, and `done` is not called. */
mr_status mr__push(struct mr__engine *engine, struct mr__dag *dag, const char *file,
                   const char *folder, struct mr__push_result *ret_result, mr__done_fn done,
                   void *user, mr_error *reterr);
/* {"dag":ID,"version":...,"new":...,"status":... without the closing brace. */
void mr__add_pushed(struct mr__buf *out, const struct mr__push_result *result);

/* ---- the ops ---- */
void mr__op_show(struct mr__request *request);
void mr__op_events(struct mr__request *request);
void mr__op_why(struct mr__request *request);
void mr__op_watch(struct mr__request *request);
void mr__op_wait(struct mr__request *request);
void mr__op_logs(struct mr__request *request);
void mr__op_ps(struct mr__request *request);
void mr__op_runs(struct mr__request *request);
void mr__op_submit(struct mr__request *request);
void mr__op_rerun(struct mr__request *request);
void mr__op_resume(struct mr__request *request);
void mr__op_command(struct mr__request *request); /* cancel, retry, continue, pause, unpause */
void mr__op_stats(struct mr__request *request);
void mr__op_backup(struct mr__request *request);
void mr__op_check(struct mr__request *request);
void mr__op_push(struct mr__request *request);
void mr__op_dags(struct mr__request *request);
void mr__op_dag(struct mr__request *request);
void mr__op_stop(struct mr__request *request);
void mr__op_start(struct mr__request *request);
void mr__op_schedule_next(struct mr__request *request);
void mr__op_serve(struct mr__request *request);
void mr__op_prune(struct mr__request *request);

/* ---- ops_follow.c: from the shard ---- */
void mr__follow_notify(struct mr__engine *engine, struct mr__run *run,
                       const struct mr__event *event, uint32_t attempt);
void mr__follow_log(struct mr__engine *engine, struct mr__run *run, uint32_t task,
                    const struct mr__log_chunk *chunk);
void mr__follow_progress(struct mr__engine *engine, struct mr__run *run,
                         const struct mr__run_progress *progress);
void mr__follow_settled(struct mr__engine *engine, struct mr__run *run);
void mr__follow_rebuilt(struct mr__engine *engine);
void mr__follow_leave(struct mr__request *request);
/* Holds the owner and answers nothing: for attach. */
void mr__follow_attach(struct mr__engine *engine, const uint8_t *run_id);

/* ---- ops_serve.c ---- */
void mr__serve_leave(struct mr__request *request); /* it has ended */

/* ---- bench.c ---- */
void mr__op_bench(struct mr__request *request);
void mr__bench_settled(struct mr__bench *bench, struct mr__run *run);
void mr__bench_poll(struct mr__bench *bench);

/* ---- engine.c ---- */
/* The store's read, whose callback the engine waits for before it ends. MR_ECLOSED, MR_ELIMIT, ...
 */
mr_status mr__engine_read(struct mr__engine *engine, mr__read_fn fn, mr__read_cb cb, void *user);
void mr__engine_wake(struct mr__engine *engine); /* any thread */
void mr__engine_log(struct mr__engine *engine, int32_t level, const char *fmt, ...)
    MR__PRINTF(3, 4);

#endif
