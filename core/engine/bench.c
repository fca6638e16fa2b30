/* SPDX-License-Identifier: MIT
 *
 * The benchmark: on the engine's own loop, W runs of a chain of no-op tasks are kept in flight
 * until N have ended; beside it, in the same process, a bare store commits as many bytes in batches
 * as large. Then one run at a time, each followed by a bare commit: what a run costs when nothing
 * else happens. Loop thread, but mr__bench, which is called from outside.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "core/engine/engine_impl.h"

#define BARE_TASK_BYTES 64u
#define BARE_RUN_BYTES  600u
#define IDLE_RUNS       301u
#define RUNS_MAX        100000000

enum bench_phase { BENCH_LOAD, BENCH_BARE, BENCH_IDLE_RUN, BENCH_IDLE_COMMIT };

struct mr__bench {
    struct mr__request *request;
    struct mr__engine *engine;
    enum bench_phase phase;
    uint64_t runs, in_flight, tasks; /* tasks of one run */
    uint64_t started, ended;
    int64_t begin_ns;
    double seconds, bare_seconds;
    struct mr__plan *chain, *single;
    uint64_t commits_before, bytes_before, commits, bytes;

    struct mr__store *bare;
    struct mr__batch batch;
    uint64_t bare_commits, bare_left, bare_key;
    size_t bare_tasks, bare_runs; /* of one commit */

    double idle_run[IDLE_RUNS], idle_commit[IDLE_RUNS];
    uint32_t idle;
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void bench_free(struct mr__bench *bench)
{
    bench->engine->bench = NULL;
    mr__plan_unref(bench->chain);
    mr__plan_unref(bench->single);
    mr__batch_finish(&bench->batch);
    if (bench->bare != NULL) {
        bench->bare->ops->close(bench->bare);
    }
    mr__request_unref(bench->request);
    mr__free(bench);
}

static void bench_fail(struct mr__bench *bench, mr_status status, const char *what)
{
    mr__answer_fail(bench->request, status, "%s", what);
    bench_free(bench);
}

/* ---- the load
 * ------------------------------------------------------------------------------------ */

static void submitted(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__engine *engine = user;
    if (status != MR_OK && engine->bench != NULL) {
        bench_fail(engine->bench, status, error->message);
    }
}

static void submit_one(struct mr__bench *bench, struct mr__plan *plan)
{
    struct mr__submit submit = {
        .plan = plan, .folder = {"/", 1}, .vars = {"{}", 2}, .tags = {"{}", 2}};
    bench->started++;
    mr__shard_submit(bench->engine->shard, &submit, submitted, bench->engine);
}

static void bare_next(struct mr__bench *bench);

static void load_ended(struct mr__bench *bench)
{
    struct mr__shard_stats stats;
    uint64_t tasks = bench->runs * bench->tasks;
    bench->seconds = (double)(now_ns() - bench->begin_ns) / 1e9;
    mr__shard_stats(bench->engine->shard, &stats);
    bench->commits = stats.commits - bench->commits_before;
    bench->bytes = stats.bytes - bench->bytes_before;
    bench->phase = BENCH_BARE;
    bench->bare_commits = bench->bare_left = MR__MAX(bench->commits, 1);
    bench->bare_tasks = (size_t)(tasks / bench->bare_commits);
    bench->bare_runs = (size_t)(bench->runs / bench->bare_commits);
    bench->begin_ns = now_ns();
    bare_next(bench);
}

/* ---- the bare store
 * ------------------------------------------------------------------------------ */

static void bare_done(void *user, mr_status status, const mr_error *error)
{
    struct mr__bench *bench = user;
    if (status != MR_OK) {
        bench_fail(bench, status, error == NULL ? mr_status_text(status) : error->message);
    } else {
        bare_next(bench);
    }
}

/* As the engine writes: one value for the tasks, and the runs in parts. */
static void bare_commit(struct mr__bench *bench, size_t tasks, size_t runs)
{
    static const uint8_t zeros[MR__HISTORY_PART_BYTES];
    struct mr__key key;
    uint64_t lsn = ++bench->bare_key;
    size_t bytes = tasks * BARE_TASK_BYTES;
    mr__batch_reset(&bench->batch);
    mr__key_journal(&key, 0, lsn, 0);
    mr__batch_put(&bench->batch, key.bytes, key.len, zeros, 0);
    struct mr__op *op = &bench->batch.ops[0];
    while (bytes > 0 && !bench->batch.failed) {
        size_t more = MR__MIN(bytes, sizeof zeros);
        mr__buf_bytes(&bench->batch.bytes, zeros, more);
        op->value_len += more;
        bytes -= more;
    }
    bench->batch.failed |= bench->batch.bytes.failed;
    bytes = runs * BARE_RUN_BYTES;
    for (uint16_t part = 0; bytes > 0; part++) {
        size_t more = MR__MIN(bytes, sizeof zeros);
        mr__key_history(&key, 0, lsn, part);
        mr__batch_put(&bench->batch, key.bytes, key.len, zeros, more);
        bytes -= more;
    }
    if (bench->batch.failed) {
        bench_fail(bench, MR_ENOMEM, "out of memory");
        return;
    }
    bench->bare->ops->commit(bench->bare, &bench->batch, NULL, bare_done, bench);
}

static void idle_begin(struct mr__bench *bench)
{
    bench->begin_ns = now_ns();
    bench->phase = BENCH_IDLE_RUN;
    submit_one(bench, bench->single);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void answer(struct mr__bench *bench)
{
    struct mr__buf *out = &bench->request->out;
    uint64_t tasks = bench->runs * bench->tasks;
    double rate = (double)tasks / bench->seconds, limit = (double)tasks / bench->bare_seconds;
    qsort(bench->idle_run, IDLE_RUNS, sizeof(double), by_size);
    qsort(bench->idle_commit, IDLE_RUNS, sizeof(double), by_size);
    double run = bench->idle_run[IDLE_RUNS / 2], commit = bench->idle_commit[IDLE_RUNS / 2];
    mr__buf_reset(out);
    mr__buf_printf(out, "{\"shape\":\"chain\",\"runs\":%llu,\"in_flight\":%llu,\"tasks\":%llu",
                   (unsigned long long)bench->runs, (unsigned long long)bench->in_flight,
                   (unsigned long long)tasks);
    mr__buf_printf(out, ",\"seconds\":%.3f,\"tasks_per_second\":%.0f,\"commits\":%llu",
                   bench->seconds, rate, (unsigned long long)bench->commits);
    mr__buf_printf(out, ",\"bytes_per_task\":%.1f,\"fsync\":true,\"limit_tasks_per_second\":%.0f",
                   (double)bench->bytes / (double)tasks, limit);
    mr__buf_printf(out, ",\"ratio\":%.3f", rate / limit);
    mr__buf_printf(out,
                   ",\"idle_run_ms_p50\":%.3f,\"bare_commit_ms_p50\":%.3f,"
                   "\"idle_run_in_commits\":%.2f,\"end\":true}",
                   run, commit, run / commit);
    mr__answer(bench->request, true);
    bench_free(bench);
}

static void bare_next(struct mr__bench *bench)
{
    if (bench->phase == BENCH_IDLE_COMMIT) {
        bench->idle_commit[bench->idle++] = (double)(now_ns() - bench->begin_ns) / 1e6;
        if (bench->idle == IDLE_RUNS) {
            answer(bench);
        } else {
            idle_begin(bench);
        }
        return;
    }
    if (bench->bare_left-- > 0) {
        bare_commit(bench, bench->bare_tasks, bench->bare_runs);
        return;
    }
    bench->bare_seconds = (double)(now_ns() - bench->begin_ns) / 1e9;
    idle_begin(bench);
}

/* ---- from the engine
 * ----------------------------------------------------------------------------- */

void mr__bench_poll(struct mr__bench *bench)
{
    bench->bare->ops->poll(bench->bare);
}

void mr__bench_settled(struct mr__bench *bench, struct mr__run *run)
{
    if (run->status != MR__RUN_SUCCESS) {
        bench_fail(bench, MR_EFAILED, "a run of the benchmark did not succeed");
        return;
    }
    bench->ended++;
    if (bench->phase == BENCH_IDLE_RUN) {
        bench->idle_run[bench->idle] = (double)(now_ns() - bench->begin_ns) / 1e6;
        bench->phase = BENCH_IDLE_COMMIT;
        bench->begin_ns = now_ns();
        bare_commit(bench, 1, 1);
    } else if (bench->started < bench->runs) {
        submit_one(bench, bench->chain);
    } else if (bench->ended == bench->runs) {
        load_ended(bench);
    }
}

static mr_status make_plan(struct mr__bench *bench, uint64_t tasks, struct mr__plan **ret_plan)
{
    struct mr__buf text;
    struct mr__problems problems;
    struct mr__dag *dag;
    struct mr__plan *plan;
    struct mr__parse_options options = {.file = "bench.yaml"};
    mr__buf_init(&text);
    mr__problems_init(&problems);
    mr__buf_printf(&text, "id: bench-%llu\ntasks:\n", (unsigned long long)tasks);
    for (uint64_t i = 0; i < tasks; i++) {
        mr__buf_printf(&text, "  - {id: t%llu, action: noop", (unsigned long long)i);
        if (i > 0) {
            mr__buf_printf(&text, ", dependOn: [t%llu]", (unsigned long long)i - 1);
        }
        mr__buf_text(&text, "}\n");
    }
    mr_status status =
        text.failed ? MR_ENOMEM
                    : mr__dag_parse((const char *)text.data, text.len, &options, &problems, &dag);
    if (status == MR_OK) {
        status = mr__shard_plan_add(bench->engine->shard, dag, &plan);
    }
    if (status == MR_OK) {
        *ret_plan = mr__plan_ref(plan);
        status = plan->missing > 0 ? MR_ENOTFOUND : MR_OK;
    }
    mr__problems_finish(&problems);
    mr__buf_finish(&text);
    return status;
}

static void bare_notify(void *user)
{
    mr__engine_wake(user);
}

static uint64_t option(const struct mr__request *request, const char *name, int64_t otherwise,
                       int64_t max)
{
    int64_t value = mr_value_int(mr_value_get(&request->json, name), otherwise);
    return (uint64_t)MR__MIN(MR__MAX(value, 1), max);
}

void mr__op_bench(struct mr__request *request)
{
    struct mr__engine *engine = request->engine;
    struct mr__shard_stats stats;
    mr_error error = {0};
    char path[4096];
    struct mr__bench *bench = engine->opt.bench ? mr__calloc(1, sizeof *bench) : NULL;
    if (bench == NULL) {
        mr__answer_fail(request, MR_EPERM, "this engine is not for measuring");
        return;
    }
    bench->request = request;
    bench->engine = engine;
    bench->runs = option(request, "runs", 100000, RUNS_MAX);
    bench->in_flight = option(request, "in_flight", 10000, 1000000);
    bench->tasks = option(request, "tasks", 10, 1000);
    mr__request_ref(request);
    engine->bench = bench;
    mr__batch_init(&bench->batch);
    (void)snprintf(path, sizeof path, "%s/bare", engine->path);
    mr_status status = mkdir(path, 0700) == 0 ? MR_OK : MR_ESTORE;
    if (status == MR_OK) {
        status = mr__store_lmdb_open(path, bare_notify, engine, &bench->bare, &error);
    }
    if (status == MR_OK) {
        status = make_plan(bench, bench->tasks, &bench->chain);
    }
    if (status == MR_OK) {
        status = make_plan(bench, 1, &bench->single);
    }
    if (status != MR_OK) {
        bench_fail(bench, status,
                   status == MR_ENOTFOUND     ? "the plugin with the action \"noop\" was not found"
                   : error.message[0] != '\0' ? error.message
                                              : mr_status_text(status));
        return;
    }
    mr__shard_stats(engine->shard, &stats);
    bench->commits_before = stats.commits;
    bench->bytes_before = stats.bytes;
    bench->begin_ns = now_ns();
    for (uint64_t i = MR__MIN(bench->in_flight, bench->runs); i > 0 && engine->bench != NULL; i--) {
        submit_one(bench, bench->chain);
    }
}

/* ---- from outside
 * -------------------------------------------------------------------------------- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct mr__buf *out;
    bool ended;
};

static void on_answer(void *user, const char *json, size_t len, bool last)
{
    struct waiting *waiting = user;
    (void)pthread_mutex_lock(&waiting->lock);
    mr__buf_bytes(waiting->out, json, len);
    waiting->ended = last;
    (void)pthread_cond_signal(&waiting->done);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static mr_status wait_for_answer(struct mr__engine *engine, const char *json,
                                 struct waiting *waiting)
{
    struct mr__request *request;
    mr_status status = mr__engine_request(engine, json, strlen(json), on_answer, waiting, &request);
    if (status != MR_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&waiting->lock);
    while (!waiting->ended) {
        (void)pthread_cond_wait(&waiting->done, &waiting->lock);
    }
    (void)pthread_mutex_unlock(&waiting->lock);
    mr__engine_close_request(engine, request);
    return MR_OK;
}

mr_status mr__bench(const char *path, struct mr__registry *registry, const char *options_json,
                    struct mr__buf *out, mr_error *reterr)
{
    struct mr__engine *engine;
    struct waiting waiting = {.out = out};
    struct mr__engine_options options = {
        .path = path, .registry = registry, .jobs = 1, .bench = true, .listen_fd = -1};
    struct mr__buf json;
    mr_status status = mr__engine_create(&options, &engine, reterr);
    if (status != MR_OK) {
        return status;
    }
    mr__buf_init(&json);
    mr__buf_text(&json, "{\"op\":\"bench\"");
    if (options_json != NULL && strchr(options_json, ':') != NULL) {
        mr__buf_text(&json, ",");
        mr__buf_text(&json, strchr(options_json, '{') + 1); /* brings the closing brace */
    } else {
        mr__buf_text(&json, "}");
    }
    (void)pthread_mutex_init(&waiting.lock, NULL);
    (void)pthread_cond_init(&waiting.done, NULL);
    status = mr__buf_cstr(&json) == NULL
                 ? MR_ENOMEM
                 : wait_for_answer(engine, (const char *)json.data, &waiting);
    mr__engine_end(engine, false);
    mr__engine_free(engine);
    (void)pthread_mutex_destroy(&waiting.lock);
    (void)pthread_cond_destroy(&waiting.done);
    mr__buf_finish(&json);
    return status;
}
