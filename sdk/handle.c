/* SPDX-License-Identifier: MIT
 *
 * Handles: owning a store, being attached to its owner, and taking over from one that has gone. An
 * attached handle has one thread, which runs its connection.
 *
 *     mr_open -> OWNER      the lock is ours: the engine is in this process, until mr_close
 *     mr_open -> ATTACHED   somebody else has the lock: the engine is behind the socket
 *     ATTACHED -> SWITCHING the connection broke
 *     SWITCHING -> OWNER    the lock was free
 *     SWITCHING -> ATTACHED somebody else was faster
 *     SWITCHING -> BROKEN   no owner within the time, or an error: every request gets it
 *
 * Streams live through SWITCHING: each is asked again, except for commands that may have been done
 * (MR_EUNKNOWN). An owner that dies says nothing; one that leaves says "bye" and ends what is still
 * open with MR_ECLOSED, which is not passed on. What then goes on:
 *
 *   - who takes over from a dead owner resumes all unfinished runs (contract.md, "The program");
 *   - after a bye, or where somebody else has taken over (who may have had no reason to resume
 *     anything), a handle asks for its own alone: runs that it started and has not seen end, and
 *     those that its open streams wait for. An owner that was not stopped has left none of these.
 *
 * mr_close of a taker waits for what it resumed, then the engine for the runs of attached handles.
 *
 * `lock` guards what handle.h's callers share; the engine's loop thread never takes it. A stream's
 * own lock may be taken while it is held.
 */
#include "sdk/handle.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/value.h"
#include "core/engine/engine.h"
#include "sdk/client.h"
#include "sdk/folder.h"
#include "sdk/stream.h"

#define OPEN_WAIT_MS     10000 /* for an owner that holds the lock and does not listen yet */
#define SWITCH_WAIT_MS   60000 /* the same after a take-over: a large store takes its time */
#define ORPHAN_WAIT_MS   2000  /* for somebody else to take over, where this handle may not */
#define PAUSE_MAX_MS     200
#define SHUTDOWN_MS      10000
#define STARTED_RUNS_MAX 65536u /* of the runs that a handle started, those it remembers */

enum mode { OWNER, ATTACHED, SWITCHING, BROKEN };

/* Ids of runs as text, unordered. */
struct run_ids {
    char (*list)[MR_RUN_ID_BYTES];
    uint32_t count, cap, turn;
};

struct mr_engine {
    /* Set by mr_open, then fixed. */
    uint32_t jobs, read_only, shutdown_ms;
    char *plugins;
    void (*on_log)(int32_t level, const char *line, void *user);
    void (*on_hook)(const mr_hook *hook, void *user);
    uint32_t hooks;
    void *user;
    struct mr__wake wake;

    /* The opening thread's, then the handle's own while it runs, then the closing one's. */
    struct mr__folder folder;
    struct mr__registry *registry;
    struct run_ids resumed;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;
    /* Guarded by lock. */
    enum mode mode;
    bool stopped;
    mr_error broken;
    struct mr__engine *engine;
    struct mr__client *client;
    uint64_t next_id;
    mr_stream *first, *last; /* all streams, oldest first */
    struct mr__hash by_id;   /* stream id -> its address */
    struct run_ids started;
};

static mr_status handle_create(const mr_options *options, mr_engine **ret_engine, mr_error *reterr);
static void handle_destroy(mr_engine *h);
static void handle_log(mr_engine *h, int32_t level, const char *fmt, ...) MR__PRINTF(3, 4);
static mr_status thread_start(mr_engine *h, mr_error *reterr);
static void *thread_main(void *arg);
static mr_status establish(mr_engine *h, int64_t wait_ms, int64_t orphan_ms, mr_error *reterr);
static mr_status establish_once(mr_engine *h, int64_t wait_ms, int64_t *ret_pid, mr_error *reterr);
static mr_status become_owner(mr_engine *h, mr_error *reterr);
static void registry_log(void *user, int32_t level, const char *line);
static void call_hook(void *user, enum mr__hook hook, const struct mr__scope_run *run);
static void attached_on_line(void *user, uint64_t id, const char *json, size_t len);
static void attached_note_end(mr_engine *h, const mr_stream *stream, const char *json, size_t len);
static void switch_begin(mr_engine *h, bool ended);
static void switch_end(mr_engine *h, bool died, mr_stream **ret_resume);
static void switch_fail(mr_engine *h, const mr_error *error);
static void switch_resume_attached(mr_engine *h);
static mr_stream *switch_resume_owner(mr_engine *h, bool all);
static bool write_own_runs(mr_engine *h, struct mr__buf *buf);
static void take_resumed(mr_engine *h, mr_stream *resume);
static void stream_send(mr_engine *h, mr_stream *stream);
static void stream_link(mr_engine *h, mr_stream *stream);
static void stream_unlink(mr_engine *h, mr_stream *stream);
static void wait_for_resumed(mr_engine *h);
static void close_streams(mr_engine *h);
static bool run_ids_add(struct run_ids *ids, const char *id, uint32_t max);
static void run_ids_del(struct run_ids *ids, const char *id);

/* ---- opening and closing ------------------------------------------------------------------- */

mr_status mr_open(const mr_options *options, mr_engine **ret_engine, mr_error *reterr)
{
    if (options == NULL || ret_engine == NULL || options->size < sizeof(uint32_t)) {
        return mr__error_set(reterr, MR_EINVAL, "options and engine must be given");
    }
    mr_engine *h = NULL;
    mr_options known = {.size = sizeof known};
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    mr_status status = handle_create(&known, &h, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = mr__folder_open(known.store, known.read_only == 0, &h->folder, reterr);
    if (status != MR_OK) {
        goto fail_handle;
    }
    status = establish(h, OPEN_WAIT_MS, 0, reterr);
    if (status != MR_OK) {
        goto fail_handle;
    }
    if (h->engine != NULL) {
        h->mode = OWNER;
    } else {
        h->mode = ATTACHED;
        status = thread_start(h, reterr);
        if (status != MR_OK) {
            goto fail_handle;
        }
    }
    *ret_engine = h;
    return MR_OK;

fail_handle:
    handle_destroy(h);
    return status;
}

void mr_close(mr_engine *h)
{
    if (h == NULL) {
        return;
    }
    if (h->has_thread) {
        /* A taker's thread ends by itself. */
        (void)pthread_mutex_lock(&h->lock);
        if (h->mode != OWNER) {
            mr__wake_stop(&h->wake);
        }
        (void)pthread_mutex_unlock(&h->lock);
        (void)pthread_join(h->thread, NULL);
        h->has_thread = false;
    }
    if (h->engine != NULL) {
        wait_for_resumed(h);
        close_streams(h);
        (void)pthread_mutex_lock(&h->lock);
        bool drain = !h->stopped;
        (void)pthread_mutex_unlock(&h->lock);
        struct mr__engine *engine = h->engine;
        mr__engine_end(engine, drain); /* mr_stop may still end its waiting */
        (void)pthread_mutex_lock(&h->lock);
        h->engine = NULL; /* From here on mr_stop finds none. */
        (void)pthread_mutex_unlock(&h->lock);
        mr__engine_free(engine);
    } else {
        close_streams(h);
    }
    handle_destroy(h);
}

void mr_stop(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->stopped = true;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        mr__stream_stop(stream);
    }
    if (h->engine != NULL) {
        mr__engine_stop(h->engine);
    }
    mr__wake_stop(&h->wake);
    (void)pthread_mutex_unlock(&h->lock);
}

uint32_t mr_is_owner(mr_engine *h)
{
    (void)pthread_mutex_lock(&h->lock);
    uint32_t owner = h->mode == OWNER ? 1 : 0;
    (void)pthread_mutex_unlock(&h->lock);
    return owner;
}

static mr_status handle_create(const mr_options *options, mr_engine **ret_engine, mr_error *reterr)
{
    mr_engine *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    h->folder.dir_fd = h->folder.lock_fd = -1;
    h->jobs = options->jobs;
    h->read_only = options->read_only;
    h->shutdown_ms = options->shutdown_ms != 0 ? options->shutdown_ms : SHUTDOWN_MS;
    h->on_log = options->on_log;
    h->user = options->user;
    h->on_hook = options->on_hook;
    h->hooks = options->hooks;
    h->mode = SWITCHING;
    h->next_id = 1; /* 0 is the handle's own: its answers are nobody's */
    mr__hash_init(&h->by_id);
    mr_status status = mr__wake_init(&h->wake, reterr);
    if (status != MR_OK) {
        goto fail_handle;
    }
    if (pthread_mutex_init(&h->lock, NULL) != 0) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto fail_wake;
    }
    if (options->plugins != NULL && (h->plugins = strdup(options->plugins)) == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto fail_lock;
    }
    *ret_engine = h;
    return MR_OK;

fail_lock:
    (void)pthread_mutex_destroy(&h->lock);
fail_wake:
    mr__wake_finish(&h->wake);
fail_handle:
    free(h);
    return status;
}

/* The thread has ended and the engine is destroyed. */
static void handle_destroy(mr_engine *h)
{
    if (h->engine != NULL) {
        mr__engine_end(h->engine, false); /* mr_open failed after it was made */
        mr__engine_free(h->engine);
    }
    mr__client_destroy(h->client);
    mr__registry_destroy(h->registry);
    mr__folder_close(&h->folder);
    mr__hash_finish(&h->by_id);
    mr__wake_finish(&h->wake);
    (void)pthread_mutex_destroy(&h->lock);
    free(h->started.list);
    free(h->resumed.list);
    free(h->plugins);
    free(h);
}

static void handle_log(mr_engine *h, int32_t level, const char *fmt, ...)
{
    if (h->on_log == NULL) {
        return;
    }
    char line[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    h->on_log(level, line, h->user);
}

/* ---- finding or becoming the owner --------------------------------------------------------- */

/* Leaves either h->engine or h->client set. Called without the lock by the one thread that may.
 * `orphan_ms`: how long a read-only handle gives others to become the owner. */
static mr_status establish(mr_engine *h, int64_t wait_ms, int64_t orphan_ms, mr_error *reterr)
{
    struct mr__clock *clock = mr__clock_system();
    int64_t begun = clock->monotonic_ms(clock), pid = 0;
    for (int64_t pause = 1;; pause = MR__MIN(pause * 2, PAUSE_MAX_MS)) {
        if (atomic_load(&h->wake.stop)) {
            return mr__error_set(reterr, MR_ECLOSED, "the handle was closed");
        }
        int64_t past = clock->monotonic_ms(clock) - begun, left = wait_ms - past;
        mr_status status = establish_once(h, MR__MAX(left, 1), &pid, reterr);
        bool again = status == MR_EBUSY || (status == MR_ENOTFOUND && past < orphan_ms);
        if (!again && status != MR_ETIMEDOUT) {
            return status;
        }
        if (status == MR_ETIMEDOUT || left <= 0) {
            return mr__error_set(reterr, MR_ESTORE,
                                 "process %" PRId64 " holds the store %s but does not answer", pid,
                                 h->folder.path);
        }
        (void)mr__wake_sleep(&h->wake, pause);
    }
}

/* One try. MR_EBUSY: the owner is only just coming or going. MR_ETIMEDOUT: it says nothing. */
static mr_status establish_once(mr_engine *h, int64_t wait_ms, int64_t *ret_pid, mr_error *reterr)
{
    mr_status status;
    if (h->read_only != 0) {
        status = mr__folder_probe(&h->folder, ret_pid, reterr);
        if (status == MR_OK) {
            return mr__error_set(reterr, MR_ENOTFOUND, "nobody holds the store %s", h->folder.path);
        }
    } else {
        status = mr__folder_lock(&h->folder, ret_pid, reterr);
        if (status == MR_OK) {
            status = become_owner(h, reterr);
            if (status != MR_OK) {
                mr__folder_unlock(&h->folder);
            }
            return status == MR_EBUSY ? MR_ESTORE : status;
        }
    }
    if (status != MR_EBUSY) {
        return status;
    }
    struct mr__client *client;
    status = mr__client_create(&h->folder, &h->wake, wait_ms, &client, reterr);
    if (status == MR_OK) {
        (void)pthread_mutex_lock(&h->lock);
        h->client = client;
        (void)pthread_mutex_unlock(&h->lock);
    }
    return status;
}

/* The lock is ours. The socket is there before the store is read, so that others wait for its first
 * line instead of trying again and again. */
static mr_status become_owner(mr_engine *h, mr_error *reterr)
{
    mr_status status;
    if (h->registry == NULL) {
        status = mr__registry_create(h->plugins, registry_log, h, &h->registry, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    int listen_fd;
    status = mr__folder_listen(&h->folder, &listen_fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__engine_options options = {.path = h->folder.path,
                                         .registry = h->registry,
                                         .jobs = h->jobs,
                                         .shutdown_ms = h->shutdown_ms,
                                         .listen_fd = listen_fd,
                                         .on_log = h->on_log,
                                         .hooks = h->hooks,
                                         .on_hook = h->on_hook == NULL ? NULL : call_hook,
                                         .hook_user = h,
                                         .user = h->user};
    struct mr__engine *engine;
    status = mr__engine_create(&options, &engine, reterr);
    if (status != MR_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&h->lock);
    h->engine = engine;
    if (h->stopped) {
        mr__engine_stop(engine); /* mr_stop came while there was none to stop. */
    }
    (void)pthread_mutex_unlock(&h->lock);
    return MR_OK;
}

static void call_hook(void *user, enum mr__hook hook, const struct mr__scope_run *run)
{
    mr_engine *h = user;
    mr_hook told = {.size = sizeof told,
                    .hook = 1u << hook,
                    .run_id = run->id,
                    .dag_id = run->dag,
                    .status = run->status,
                    .reason = run->reason == NULL ? "" : run->reason};
    h->on_hook(&told, h->user);
}

static void registry_log(void *user, int32_t level, const char *line)
{
    handle_log(user, level, "%s", line);
}

/* ---- the thread of an attached handle ------------------------------------------------------ */

/* Signals are the program's business: none is ever delivered to a thread of the library. */
static mr_status thread_start(mr_engine *h, mr_error *reterr)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (result == 0) {
        result = pthread_create(&h->thread, NULL, thread_main, h);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* It has just worked. */
    }
    if (result != 0) {
        return mr__error_set(reterr, MR_ENOMEM, "cannot start a thread: %s", strerror(result));
    }
    h->has_thread = true;
    return MR_OK;
}

static void *thread_main(void *arg)
{
    mr_engine *h = arg;
    for (;;) {
        /* This thread alone changes h->client, so that it may look at it without the lock. */
        enum mr__client_end end = mr__client_run(h->client, attached_on_line, h);
        mr_error error;
        int64_t pid = mr__client_pid(h->client);
        switch_begin(h, end != MR__CLIENT_STOPPED);
        if (end == MR__CLIENT_STOPPED) {
            (void)mr__error_set(&error, MR_ECLOSED, "the handle was closed");
            switch_fail(h, &error);
            return NULL;
        }
        if (establish(h, SWITCH_WAIT_MS, ORPHAN_WAIT_MS, &error) != MR_OK) {
            switch_fail(h, &error);
            return NULL;
        }
        mr_stream *resume = NULL;
        switch_end(h, end == MR__CLIENT_DIED, &resume);
        if (h->client == NULL) {
            handle_log(h, 2, "the store's owner, process %" PRId64 ", %s: this one has taken over",
                       pid, end == MR__CLIENT_DIED ? "died" : "left");
            take_resumed(h, resume);
            return NULL;
        }
    }
}

static void attached_on_line(void *user, uint64_t id, const char *json, size_t len)
{
    mr_engine *h = user;
    (void)pthread_mutex_lock(&h->lock);
    uint64_t address;
    mr_error error;
    bool last = mr__answer_is_last(json, len);
    if (!mr__hash_get(&h->by_id, &id, sizeof id, &address)) {
        goto unlock; /* The caller closed it while this was on its way. */
    }
    mr_stream *stream = (mr_stream *)(uintptr_t)address;
    if (last && mr__answer_error(json, len, &error)) {
        if (error.status == MR_ECLOSED) {
            goto unlock; /* The owner leaves: the next one is asked. */
        }
    } else if (last) {
        attached_note_end(h, stream, json, len);
    }
    if (!mr__stream_push(stream, json, len, last) && !last) {
        char line[MR__REQUEST_HEAD_BYTES];
        int line_len = snprintf(line, sizeof line, "{\"op\":\"close\",\"of\":%" PRIu64 "}", id);
        (void)mr__client_send(h->client, line, (size_t)line_len, "", 0); /* Only to save work. */
    }
unlock:
    (void)pthread_mutex_unlock(&h->lock);
}

/* Remembers which runs go on because of this handle, and forgets them when they stand still. */
static void attached_note_end(mr_engine *h, const mr_stream *stream, const char *json, size_t len)
{
    if (stream->waits && stream->run != NULL) {
        run_ids_del(&h->started, stream->run);
    }
    if (!stream->starts) {
        return;
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value answer = mr__value_null();
    (void)mr__value_parse(&arena, json, len, &answer, NULL); /* It stays null: no run. */
    const char *run = mr_value_str(mr_value_get(&answer, "run"), NULL);
    if (run != NULL && !run_ids_add(&h->started, run, STARTED_RUNS_MAX)) {
        handle_log(h, 1, "out of memory: run %s may not go on if the store's owner stops", run);
    }
    mr__arena_finish(&arena);
}

/* ---- from one owner to the next ------------------------------------------------------------ */

/* Closes the connection. `ended`: by the owner, so that what it was asked to do may be done or not.
 */
static void switch_begin(mr_engine *h, bool ended)
{
    (void)pthread_mutex_lock(&h->lock);
    struct mr__client *client = h->client;
    h->client = NULL;
    h->mode = SWITCHING;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (ended && stream->kind == MR__STREAM_ONCE && stream->sent) {
            mr_error error;
            (void)mr__error_set(&error, MR_EUNKNOWN,
                                "the store's owner ended before it answered: whether this was done "
                                "is unknown; look with show");
            mr__stream_fail(stream, &error);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    mr__client_destroy(client);
}

/* There is an owner again: asks it everything that is open, after what makes the runs go on. */
static void switch_end(mr_engine *h, bool died, mr_stream **ret_resume)
{
    (void)pthread_mutex_lock(&h->lock);
    h->mode = h->engine != NULL ? OWNER : ATTACHED;
    if (h->mode == OWNER) {
        *ret_resume = switch_resume_owner(h, died);
    } else {
        switch_resume_attached(h);
    }
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (stream != *ret_resume && !mr__stream_has_ended(stream)) {
            mr__stream_again(stream);
            stream_send(h, stream);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static void switch_fail(mr_engine *h, const mr_error *error)
{
    (void)pthread_mutex_lock(&h->lock);
    h->mode = BROKEN;
    h->broken = *error;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        mr__stream_fail(stream, error);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static void switch_resume_attached(mr_engine *h)
{
    static const char head[] = "{\"id\":0,\"op\":\"resume\",\"attach\":true,\"runs\":[",
                      end[] = "]}";
    struct mr__buf buf;
    mr__buf_init(&buf);
    bool any = write_own_runs(h, &buf);
    mr__buf_text(&buf, end);
    if (any && (buf.failed || !mr__client_send(h->client, head, sizeof head - 1,
                                               (const char *)buf.data, buf.len))) {
        handle_log(h, 1, "out of memory: the runs of this process may not go on");
    }
    mr__buf_finish(&buf);
}

/* The stream of the request that was sent, or NULL. */
static mr_stream *switch_resume_owner(mr_engine *h, bool all)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_text(&buf, "{\"op\":\"resume\"");
    bool any = all;
    if (!all) {
        mr__buf_text(&buf, ",\"runs\":[");
        any = write_own_runs(h, &buf);
        mr__buf_text(&buf, "]");
    }
    mr__buf_text(&buf, "}");
    const char *json = mr__buf_cstr(&buf);
    mr_stream *resume = NULL;
    if (any && (json == NULL || mr__stream_create(json, false, &resume, NULL) != MR_OK)) {
        handle_log(h, 0, "out of memory: the unfinished runs do not go on");
    }
    if (resume != NULL) {
        stream_link(h, resume);
        stream_send(h, resume);
    }
    mr__buf_finish(&buf);
    return resume;
}

/* "id","id",... of the runs that this handle has reason to wait for. False: there are none. */
static bool write_own_runs(mr_engine *h, struct mr__buf *buf)
{
    bool any = false;
    for (uint32_t i = 0; i < h->started.count; i++) {
        mr__buf_text(buf, any ? ",\"" : "\"");
        mr__buf_text(buf, h->started.list[i]);
        mr__buf_text(buf, "\"");
        any = true;
    }
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (stream->waits && !mr__stream_has_ended(stream)) {
            const char *run = stream->run != NULL ? stream->run : "-";
            mr__buf_text(buf, any ? "," : "");
            mr__json_str(buf, run, strlen(run));
            any = true;
        }
    }
    return any;
}

/* Reads which runs go on, for mr_close, and names those that cannot. */
static void take_resumed(mr_engine *h, mr_stream *resume)
{
    if (resume == NULL) {
        return;
    }
    const char *json = NULL;
    mr_error error;
    mr_status status = mr_stream_next(resume, MR_FOREVER, &json, &error);
    if (status != MR_OK && status != MR_ECLOSED) {
        handle_log(h, 0, "the unfinished runs do not go on: %s", error.message);
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value answer = mr__value_null();
    if (status == MR_OK) {
        (void)mr__value_parse(&arena, json, strlen(json), &answer, NULL); /* It stays null. */
    }
    const mr_value *runs = mr_value_get(&answer, "runs");
    for (uint32_t i = 0; runs != NULL && runs->type == MR_LIST && i < runs->len; i++) {
        const char *run = mr_value_str(&runs->u.list[i], "");
        if (!run_ids_add(&h->resumed, run, UINT32_MAX)) {
            handle_log(h, 1, "out of memory: run %s is not waited for", run);
        }
    }
    const mr_value *missing = mr_value_get(&answer, "missing");
    for (uint32_t i = 0; missing != NULL && missing->type == MR_LIST && i < missing->len; i++) {
        const mr_value *row = &missing->u.list[i];
        handle_log(h, 1, "run %s does not go on: task %s has action %s, which is not here",
                   mr_value_str(mr_value_get(row, "run"), "?"),
                   mr_value_str(mr_value_get(row, "task"), "?"),
                   mr_value_str(mr_value_get(row, "action"), "?"));
    }
    mr__arena_finish(&arena);
    mr_stream_close(resume);
}

/* ---- streams ------------------------------------------------------------------------------- */

mr_status mr__handle_add(mr_engine *h, mr_stream *stream)
{
    (void)pthread_mutex_lock(&h->lock);
    stream->id = h->next_id++;
    mr_status status =
        mr__hash_put(&h->by_id, &stream->id, sizeof stream->id, (uint64_t)(uintptr_t)stream);
    if (status == MR_OK) {
        stream_link(h, stream);
        stream_send(h, stream);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return status;
}

void mr__handle_remove(mr_stream *stream)
{
    mr_engine *h = stream->handle;
    if (h == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&h->lock);
    stream_unlink(h, stream);
    struct mr__engine *engine = h->engine;
    struct mr__request *request = stream->request;
    stream->request = NULL;
    if (h->mode == ATTACHED && stream->sent && !mr__stream_has_ended(stream)) {
        char line[MR__REQUEST_HEAD_BYTES];
        int len = snprintf(line, sizeof line, "{\"op\":\"close\",\"of\":%" PRIu64 "}", stream->id);
        (void)mr__client_send(h->client, line, (size_t)len, "", 0); /* Only to save work. */
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (request != NULL) {
        mr__engine_close_request(engine, request); /* May wait for the loop: not under the lock. */
    }
}

static void owner_on_answer(void *user, const char *json, size_t len, bool last)
{
    (void)mr__stream_push(user, json, len, last); /* A failed stream takes no more. */
}

/* Sends the request the way that is open now; SWITCHING sends it at its end. */
static void stream_send(mr_engine *h, mr_stream *stream)
{
    if (h->stopped) {
        mr__stream_stop(stream);
        return;
    }
    if (stream->text == NULL || h->mode == SWITCHING) {
        return;
    }
    mr_error error = h->broken;
    if (h->mode == OWNER) {
        mr_status status = mr__engine_request(h->engine, stream->text, stream->text_len,
                                              owner_on_answer, stream, &stream->request);
        (void)mr__error_set(&error, status, "%s", mr_status_text(status));
    } else if (h->mode == ATTACHED) {
        char head[MR__REQUEST_HEAD_BYTES];
        bool more = stream->text_len > strspn(stream->text + 1, " ") + 2;
        int len = snprintf(head, sizeof head, "{\"id\":%" PRIu64 "%s%s", stream->id,
                           stream->attach ? ",\"attach\":true" : "", more ? "," : "");
        stream->sent = true;
        bool queued =
            mr__client_send(h->client, head, (size_t)len, stream->text + 1, stream->text_len - 1);
        (void)mr__error_set(&error, queued ? MR_OK : MR_ENOMEM, "out of memory");
    }
    if (error.status != MR_OK) {
        mr__stream_fail(stream, &error);
    }
}

static void stream_link(mr_engine *h, mr_stream *stream)
{
    stream->handle = h;
    stream->prev = h->last;
    stream->next = NULL;
    if (h->last != NULL) {
        h->last->next = stream;
    } else {
        h->first = stream;
    }
    h->last = stream;
}

static void stream_unlink(mr_engine *h, mr_stream *stream)
{
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        h->first = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    } else {
        h->last = stream->prev;
    }
    (void)mr__hash_del(&h->by_id, &stream->id, sizeof stream->id);
    stream->prev = stream->next = NULL;
    stream->handle = NULL;
}

/* ---- closing ------------------------------------------------------------------------------- */

/* A taker goes on with runs that nobody else would: it stays until they stand still. One after the
 * other is as long as all at once, and costs one request. */
static void wait_for_resumed(mr_engine *h)
{
    for (uint32_t i = 0; i < h->resumed.count; i++) {
        const char *name;
        mr_status status = mr_wait(h, h->resumed.list[i], MR_FOREVER, &name, NULL);
        if (status == MR_ECLOSED) {
            return;
        }
    }
}

/* Streams that the caller has not closed stay its own, and closed. */
static void close_streams(mr_engine *h)
{
    while (h->first != NULL) {
        mr_stream *stream = h->first;
        mr__handle_remove(stream);
        mr__stream_stop(stream);
    }
}

/* ---- run ids ------------------------------------------------------------------------------- */

/* False: out of memory. With `max` ids in it one of the older ones gives way. */
static bool run_ids_add(struct run_ids *ids, const char *id, uint32_t max)
{
    uint32_t at = ids->count;
    if (ids->count >= max) {
        at = ids->turn++ % max;
    } else if (ids->count == ids->cap) {
        uint32_t cap = ids->cap == 0 ? 16 : ids->cap * 2;
        void *list = cap < ids->cap ? NULL : realloc(ids->list, cap * sizeof *ids->list);
        if (list == NULL) {
            return false;
        }
        ids->list = list;
        ids->cap = cap;
    }
    (void)snprintf(ids->list[at], sizeof ids->list[at], "%s", id);
    ids->count = MR__MAX(ids->count, at + 1);
    return true;
}

static void run_ids_del(struct run_ids *ids, const char *id)
{
    for (uint32_t i = 0; i < ids->count; i++) {
        if (strcmp(ids->list[i], id) == 0) {
            memcpy(ids->list[i], ids->list[--ids->count], sizeof ids->list[i]);
            return;
        }
    }
}
