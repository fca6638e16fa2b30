/* SPDX-License-Identifier: MIT
 *
 * The loop: a thread with a libuv loop that joins shard, executor, store, socket and requests. It
 * sleeps until something happens: a letter from another thread, a commit, a child, a timer that is
 * due. Everything stateful is touched on this thread alone. Loop and thread are the engine's own,
 * or those of the program that embeds it; then nothing here waits for the loop to turn.
 */
#include "core/engine/engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/engine/engine_impl.h"
#include "core/engine/schedules.h"

/* A letter to the loop. */
struct mr__mail {
    struct mr__mail *next;
    enum { MAIL_REQUEST, MAIL_CLOSE } kind;
    struct mr__request **ret_request; /* MAIL_REQUEST: filled before `done` */
    struct mr__request *request;      /* MAIL_CLOSE */
    char *json;
    size_t len;
    mr__answer_fn answer;
    void *user;
    mr_status status;
    bool done; /* under the lock: the sender waits for it */
};

static void *loop_main(void *user);
static void loop_over(struct mr__engine *engine);
static void shut_begin(struct mr__engine *engine);
static void shut_end(struct mr__engine *engine);
static void close_store(struct mr__engine *engine);

void mr__engine_log(struct mr__engine *engine, int32_t level, const char *fmt, ...)
{
    char line[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (engine->opt.on_log != NULL) {
        engine->opt.on_log(level, line, engine->opt.user);
    }
}

void mr__engine_wake(struct mr__engine *engine)
{
    (void)uv_async_send(&engine->async); /* fails only for a closed handle: nobody is there */
}

/* A reading job that the store has. */
struct reading {
    struct mr__engine *engine;
    mr__read_fn fn;
    mr__read_cb cb;
    void *user;
};

/* Reader thread. */
static mr_status read_run(struct mr__snapshot *snapshot, void *user)
{
    struct reading *reading = user;
    return reading->fn(snapshot, reading->user);
}

static void read_done(void *user, mr_status status)
{
    struct reading reading = *(struct reading *)user;
    mr__free(user);
    reading.engine->reads--;
    reading.cb(reading.user, status);
}

mr_status mr__engine_read(struct mr__engine *engine, mr__read_fn fn, mr__read_cb cb, void *user)
{
    struct reading *reading = engine->shutting ? NULL : mr__malloc(sizeof *reading);
    if (reading == NULL) {
        return engine->shutting ? MR_ECLOSED : MR_ENOMEM;
    }
    *reading = (struct reading){.engine = engine, .fn = fn, .cb = cb, .user = user};
    mr_status status = engine->store->ops->read(engine->store, read_run, read_done, reading);
    if (status != MR_OK) {
        mr__free(reading);
        return status;
    }
    engine->reads++;
    return MR_OK;
}

/* ---- what the shard says
 * ------------------------------------------------------------------------- */

static void on_notify(void *user, struct mr__run *run, const struct mr__event *event,
                      uint32_t attempt)
{
    mr__follow_notify(user, run, event, attempt);
}

static void on_settled(void *user, struct mr__run *run)
{
    struct mr__engine *engine = user;
    if (engine->bench != NULL) {
        mr__bench_settled(engine->bench, run);
    }
    mr__follow_settled(engine, run);
    mr__schedules_settled(engine, run);
}

static void on_hooked(void *user, const struct mr__scope_run *run, uint32_t mask)
{
    struct mr__engine *engine = user;
    for (uint32_t hook = 0; hook < MR__HOOKS; hook++) {
        if ((mask & 1u << hook) != 0) {
            engine->opt.on_hook(engine->opt.hook_user, (enum mr__hook)hook, run);
        }
    }
}

static void on_log_chunk(void *user, struct mr__run *run, uint32_t task,
                         const struct mr__log_chunk *chunk)
{
    mr__follow_log(user, run, task, chunk);
}

static void on_progress(void *user, struct mr__run *run, const struct mr__run_progress *progress)
{
    mr__follow_progress(user, run, progress);
}

static void on_rebuilt(void *user)
{
    struct mr__engine *engine = user;
    mr_error error;
    if (mr__definitions_read(&engine->definitions, engine->store, &error) != MR_OK) {
        mr__engine_log(engine, 0, "%s", error.message);
    }
    mr__follow_rebuilt(engine);
}

static void on_timer(uv_timer_t *timer)
{
    struct mr__engine *engine = timer->data;
    engine->armed_ms = INT64_MAX;
    if (!engine->failed) {
        mr__shard_timer(engine->shard);
    }
}

static void on_arm(void *user, int64_t due_ms)
{
    struct mr__engine *engine = user;
    if (due_ms == engine->armed_ms || engine->shutting) {
        return;
    }
    engine->armed_ms = due_ms;
    if (due_ms == INT64_MAX) {
        (void)uv_timer_stop(&engine->timer);
        return;
    }
    int64_t left = due_ms - engine->clock->monotonic_ms(engine->clock);
    uv_update_time(engine->loop);
    /* One more millisecond: libuv counts whole ones, and firing early would spin. */
    (void)uv_timer_start(&engine->timer, on_timer, (uint64_t)MR__MAX(left, 0) + (left > 0), 0);
}

static void on_broken(void *user, const mr_error *error)
{
    struct mr__engine *engine = user;
    struct mr__request *next;
    engine->broken = *error;
    mr__engine_log(engine, 0, "the store cannot be used any more: %s", error->message);
    for (struct mr__request *request = engine->requests; request != NULL; request = next) {
        mr__request_ref(request);
        mr__answer_failed(request, error);
        next = request->next;
        mr__request_unref(request);
    }
    mr__engine_wake(engine);
}

static void on_say(void *user, int32_t level, const char *line)
{
    mr__engine_log(user, level, "%s", line);
}

/* ---- letters
 * ------------------------------------------------------------------------------------- */

static void mail_take(struct mr__engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    struct mr__mail *mail = engine->mail;
    engine->mail = NULL;
    engine->mail_tail = &engine->mail;
    (void)pthread_mutex_unlock(&engine->lock);
    while (mail != NULL) {
        struct mr__mail *next = mail->next;
        if (mail->kind == MAIL_REQUEST) {
            /* The sender may be answered before it knows its request: it waits for neither. */
            mail->status = mr__engine_request_on_loop(engine, mail->json, mail->len, mail->answer,
                                                      mail->user, mail->ret_request);
        } else {
            mr__engine_close_request_on_loop(engine, mail->request);
        }
        (void)pthread_mutex_lock(&engine->lock);
        mail->done = true;
        (void)pthread_cond_broadcast(&engine->done);
        (void)pthread_mutex_unlock(&engine->lock);
        mail = next;
    }
}

/* Sends a letter and waits until the loop has read it. */
static mr_status mail_send(struct mr__engine *engine, struct mr__mail *mail)
{
    (void)pthread_mutex_lock(&engine->lock);
    if (engine->stopped || (engine->closed_for_requests && mail->kind == MAIL_REQUEST)) {
        (void)pthread_mutex_unlock(&engine->lock);
        return MR_ECLOSED;
    }
    *engine->mail_tail = mail;
    engine->mail_tail = &mail->next;
    mr__engine_wake(engine);
    while (!mail->done) {
        (void)pthread_cond_wait(&engine->done, &engine->lock);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return mail->status;
}

mr_status mr__engine_request(struct mr__engine *engine, const char *json, size_t len,
                             mr__answer_fn answer, void *user, struct mr__request **ret_request)
{
    struct mr__mail mail = {.kind = MAIL_REQUEST,
                            .ret_request = ret_request,
                            .json = (char *)(uintptr_t)json, /* only read */
                            .len = len,
                            .answer = answer,
                            .user = user};
    return mail_send(engine, &mail);
}

void mr__engine_close_request(struct mr__engine *engine, struct mr__request *request)
{
    struct mr__mail mail = {.kind = MAIL_CLOSE, .request = request};
    (void)mail_send(engine, &mail); /* MR_ECLOSED: the loop is over, and the request with it */
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

static void on_async(uv_async_t *async)
{
    struct mr__engine *engine = async->data;
    if (engine->store != NULL) {
        engine->store->ops->poll(engine->store);
    }
    if (engine->bench != NULL) {
        mr__bench_poll(engine->bench);
    }
    mail_take(engine);
    (void)pthread_mutex_lock(&engine->lock);
    bool end = engine->stopping || (engine->draining && engine->holding == 0);
    end |= engine->draining && engine->broken.status != MR_OK;
    engine->closed_for_requests |= end;
    (void)pthread_mutex_unlock(&engine->lock);
    if (end && !engine->shutting) {
        shut_begin(engine);
    } else if (engine->shutting && engine->handles > 0 &&
               uv_is_closing((uv_handle_t *)&engine->async) == 0) {
        shut_end(engine);
    }
}

/* Before the loop sleeps: everything that can be done is done. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct mr__engine *engine = prepare->data;
    if (!engine->shutting) {
        mr__shard_pump(engine->shard);
    }
}

static void on_store_notify(void *user)
{
    mr__engine_wake(user);
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void handle_closed(uv_handle_t *handle)
{
    struct mr__engine *engine = handle->data;
    if (--engine->handles > 0 || engine->loop == &engine->own_loop) {
        return;
    }
    loop_over(engine);
    (void)pthread_mutex_lock(&engine->lock);
    bool tell = engine->draining;
    (void)pthread_mutex_unlock(&engine->lock);
    if (engine->failed) {
        mr__engine_free(engine);
    } else if (tell) {
        engine->opt.on_over(engine->opt.over_user);
    }
}

/* No letter comes any more; those that came are read. */
static void loop_over(struct mr__engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->stopped = true;
    (void)pthread_mutex_unlock(&engine->lock);
    mail_take(engine);
}

/* The last step, once nobody can call back any more. */
static void shut_end(struct mr__engine *engine)
{
    if (!engine->executor_down || engine->reads > 0) {
        return; /* on_async comes here again */
    }
    uv_close((uv_handle_t *)&engine->async, handle_closed);
    uv_close((uv_handle_t *)&engine->prepare, handle_closed);
    uv_close((uv_handle_t *)&engine->timer, handle_closed);
}

static void shut_executor_done(void *user)
{
    struct mr__engine *engine = user;
    engine->executor_down = true;
    shut_end(engine);
}

static void shut_server_done(void *user)
{
    struct mr__engine *engine = user;
    engine->server = NULL;
    if (engine->shard != NULL) {
        mr__shard_close(engine->shard);
    }
    if (engine->executor != NULL) {
        engine->executor->ops->shutdown(engine->executor, engine->opt.shutdown_ms,
                                        shut_executor_done, engine);
    } else { /* mr__engine_create did not come so far */
        shut_executor_done(engine);
    }
}

static void shut_begin(struct mr__engine *engine)
{
    struct mr__request *next;
    mr_error closing;
    engine->shutting = true;
    (void)mr__error_set(&closing, MR_ECLOSED, "the engine is closing");
    for (struct mr__request *request = engine->requests; request != NULL; request = next) {
        mr__request_ref(request);
        mr__answer_failed(request, &closing);
        next = request->next;
        mr__request_unref(request);
    }
    if (engine->server != NULL) {
        mr__server_close(engine->server, shut_server_done, engine);
    } else {
        shut_server_done(engine);
    }
}

static void *loop_main(void *user)
{
    struct mr__engine *engine = user;
    sigset_t all;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL); /* signals are the host program's */
    (void)uv_run(engine->loop, UV_RUN_DEFAULT);
    loop_over(engine);
    return NULL;
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void random_bytes(void *user, void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        MR_ASSERT(got > 0); /* cannot fail for a few bytes after boot */
        at += got;
        len -= (size_t)got;
    }
}

static mr_status open_loop(struct mr__engine *engine, mr_error *reterr)
{
    bool own = engine->opt.loop == NULL;
    engine->loop = own ? &engine->own_loop : engine->opt.loop;
    int rc = own ? uv_loop_init(engine->loop) : 0;
    if (rc != 0) {
        return mr__error_set(reterr, mr__status_from_errno(-rc), "the loop cannot be made: %s",
                             uv_strerror(rc));
    }
    rc = uv_async_init(engine->loop, &engine->async, on_async);
    if (rc != 0) {
        if (own) {
            (void)uv_loop_close(engine->loop); /* it has no handle */
        }
        return mr__error_set(reterr, mr__status_from_errno(-rc), "the loop cannot be woken: %s",
                             uv_strerror(rc));
    }
    (void)uv_prepare_init(engine->loop, &engine->prepare); /* these two cannot fail */
    (void)uv_timer_init(engine->loop, &engine->timer);
    engine->async.data = engine->prepare.data = engine->timer.data = engine;
    engine->handles = 3;
    engine->armed_ms = INT64_MAX;
    return MR_OK;
}

static uint32_t default_jobs(void)
{
    return MR__MIN(uv_available_parallelism() * MR__JOBS_PER_CORE, MR__JOBS_MAX);
}

static mr_status open_parts(struct mr__engine *engine, mr_error *reterr)
{
    const struct mr__engine_options *opt = &engine->opt;
    mr_status status =
        mr__store_lmdb_open(engine->path, on_store_notify, engine, &engine->store, reterr);
    if (status != MR_OK) {
        return status;
    }
    engine->shard = mr__shard_create();
    if (engine->shard == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    struct mr__exec_options exec = {
        .loop = engine->loop,
        .foreign_loop = opt->loop != NULL,
        .registry = opt->registry,
        .store = engine->path,
        .jobs = opt->jobs == 0 ? default_jobs() : MR__MIN(opt->jobs, MR__JOBS_MAX),
        .clock = engine->clock,
        .events = mr__shard_exec_events(engine->shard),
        .log = on_say,
        .log_user = engine,
    };
    status = mr__exec_create(&exec, &engine->executor, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__shard_options shard = {
        .store = engine->store,
        .executor = engine->executor,
        .clock = engine->clock,
        .ids = &engine->ids,
        .evaluator = &engine->evaluator.port,
        .jobs = exec.jobs,
        .hooks = opt->on_hook == NULL ? 0 : opt->hooks & ((1u << MR__HOOKS) - 1),
        .events = {.user = engine,
                   .notify = on_notify,
                   .settled = on_settled,
                   .hooked = on_hooked,
                   .log = on_log_chunk,
                   .progress = on_progress,
                   .arm = on_arm,
                   .rebuilt = on_rebuilt,
                   .broken = on_broken,
                   .say = on_say},
    };
    status = mr__shard_open(engine->shard, &shard, reterr);
    if (status == MR_OK) {
        status = mr__definitions_read(&engine->definitions, engine->store, reterr);
    }
    if (status == MR_OK && opt->listen_fd >= 0) {
        status = mr__server_create(engine, engine->loop, opt->listen_fd, &engine->server, reterr);
        engine->opt.listen_fd = -1;
    }
    /* Started last, so libuv calls it first: what the pump answers, the server writes in this turn.
     */
    (void)uv_prepare_start(&engine->prepare, on_prepare);
    return status;
}

void mr__engine_free(struct mr__engine *engine)
{
    if (engine == NULL) {
        return;
    }
    MR_ASSERT(engine->handles == 0);
    if (engine->executor != NULL) {
        engine->executor->ops->destroy(engine->executor);
    }
    close_store(engine);
    if (engine->loop == &engine->own_loop) {
        (void)uv_loop_close(engine->loop);
    }
    mr__shard_destroy(engine->shard);
    mr__lua_evaluator_finish(&engine->evaluator);
    while (engine->requests != NULL) {
        engine->requests->refs = 1; /* whoever had it: the loop is over */
        mr__request_unref(engine->requests);
    }
    for (size_t i = 0; i < engine->watches.cap; i++) {
        if (engine->watches.rows[i].key != NULL) {
            mr__free((void *)(uintptr_t)engine->watches.rows[i].number);
        }
    }
    mr__hash_finish(&engine->watches);
    mr__definitions_finish(&engine->definitions);
    (void)pthread_mutex_destroy(&engine->lock);
    (void)pthread_cond_destroy(&engine->done);
    mr__free(engine->path);
    mr__free(engine);
}

/* Its threads wake the loop: before that goes. */
static void close_store(struct mr__engine *engine)
{
    if (engine->store != NULL) {
        engine->store->ops->close(engine->store);
        engine->store = NULL;
    }
}

/* Undoes an engine that has a loop and maybe some of the rest. On a caller's loop what it has there
 * is still to be closed: the memory follows by itself. */
static void fail_engine(struct mr__engine *engine)
{
    engine->opt.on_log = NULL; /* Nobody knows this engine. */
    engine->failed = true;
    close_store(engine); /* Somebody else may want it at once. */
    if (engine->opt.listen_fd >= 0) {
        (void)close(engine->opt.listen_fd); /* Nothing was written. */
    }
    shut_begin(engine);
    if (engine->loop == &engine->own_loop) {
        (void)uv_run(engine->loop, UV_RUN_DEFAULT);
        mr__engine_free(engine);
    }
}

static struct mr__engine *make_engine(const struct mr__engine_options *options)
{
    struct mr__engine *engine = mr__calloc(1, sizeof *engine);
    if (engine == NULL) {
        return NULL;
    }
    engine->opt = *options;
    if (engine->opt.shutdown_ms <= 0) {
        engine->opt.shutdown_ms = 10000;
    }
    engine->path = mr__strdup(options->path);
    engine->opt.path = engine->path;
    engine->clock = mr__clock_system();
    mr__lua_evaluator_init_loop(&engine->evaluator);
    engine->mail_tail = &engine->mail;
    mr__id_source_init(&engine->ids, 0);
    engine->ids.random = random_bytes;
    if (engine->path == NULL || pthread_mutex_init(&engine->lock, NULL) != 0) {
        mr__free(engine->path);
        mr__free(engine);
        return NULL;
    }
    (void)pthread_cond_init(&engine->done, NULL);
    return engine;
}

mr_status mr__engine_create(const struct mr__engine_options *options,
                            struct mr__engine **ret_engine, mr_error *reterr)
{
    struct mr__engine *engine = make_engine(options);
    mr_status status = engine == NULL ? mr__error_set(reterr, MR_ENOMEM, "out of memory")
                                      : open_loop(engine, reterr);
    if (status != MR_OK) {
        if (options->listen_fd >= 0) {
            (void)close(options->listen_fd); /* Nothing was written. */
        }
        if (engine != NULL) {
            engine->loop = NULL; /* there is none */
            mr__engine_free(engine);
        }
        return status;
    }
    status = open_parts(engine, reterr);
    if (status == MR_OK && engine->loop == &engine->own_loop &&
        pthread_create(&engine->thread, NULL, loop_main, engine) != 0) {
        status = mr__error_set(reterr, MR_ENOMEM, "the engine's thread cannot be made");
    }
    if (status != MR_OK) {
        fail_engine(engine);
        return status;
    }
    *ret_engine = engine;
    return MR_OK;
}

void mr__engine_stop(struct mr__engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    if (!engine->stopped) {
        engine->stopping = true;
        mr__engine_wake(engine);
    }
    (void)pthread_mutex_unlock(&engine->lock);
}

void mr__engine_end(struct mr__engine *engine, bool drain)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->draining = true;
    engine->stopping |= !drain;
    bool over = engine->stopped; /* on a caller's loop: mr__engine_stop has brought it there */
    if (!over) {
        mr__engine_wake(engine);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    if (engine->loop == &engine->own_loop) {
        (void)pthread_join(engine->thread, NULL);
    } else if (over) {
        engine->opt.on_over(engine->opt.over_user);
    }
}
