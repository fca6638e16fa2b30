/* SPDX-License-Identifier: MIT
 *
 * A small engine behind core/engine/engine.h, for tests of what stands around the real one:
 * handles, streams, the socket server. It runs a loop in a thread and the real server; it has no
 * store and no runs, only answers:
 *
 *   ping, echo      one answer                       fail       an error with a definition's errors
 *   events          "count" lines in one go          logs       "count" lines, one a millisecond
 *   watch           a run, then a line a millisecond without end; run "flood": thousands
 *   submit          an id, remembered in the folder by token; "delay_ms" first
 *   wait            ends once this engine was told to resume the run; run "done": at once; any wait
 *                   through the socket keeps the engine
 *   cancel, ...     one answer; run "slow": none     resume     what it was given, and it counts
 *   stats           how often what was asked
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/value.h"
#include "core/engine/engine.h"
#include "fake_engine.h"

#define FLOOD_LINES 5000u /* a millisecond */
#define RUNS_MAX    64u

struct mr__request {
    struct mr__request *next;
    struct mr__engine *engine;
    struct mr__arena arena;
    mr_value value;
    mr__answer_fn answer;
    void *user;
    char *json;
    size_t len;
    int64_t count, sent, due_ms;
    bool socket, done;
};

struct mr__engine {
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t timer;
    pthread_t thread;
    char path[4096];
    struct mr__server *server;
    struct mr__request *open; /* the loop's */
    uint32_t resumes, resumed_all, submits, commands;
    char resumed[RUNS_MAX][64];
    uint32_t resumed_count;
    int64_t resumed_ms;
    bool closing;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct mr__request *mailbox, *closing_request; /* guarded by lock */
    bool stop, drain, destroy, drained;
};

static void *fake_thread(void *arg);
static void fake_on_async(uv_async_t *async);
static void fake_on_timer(uv_timer_t *timer);
static void fake_begin(struct mr__request *r);
static void fake_step(struct mr__request *r, int64_t now);
static void fake_submit(struct mr__request *r);
static void fake_resume(struct mr__request *r);
static bool fake_is_resumed(const struct mr__engine *e, const char *run);
static void fake_remove(struct mr__engine *e, struct mr__request *r);
static void fake_close(struct mr__engine *e);

static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

mr_status mr__engine_create(const struct mr__engine_options *options,
                            struct mr__engine **ret_engine, mr_error *reterr)
{
    struct mr__engine *e = calloc(1, sizeof *e);
    MR_ASSERT(e != NULL && options->loop == NULL); /* It has only a loop of its own. */
    (void)snprintf(e->path, sizeof e->path, "%s", options->path);
    char refuse[5000];
    (void)snprintf(refuse, sizeof refuse, "%s/" FAKE_REFUSE, e->path);
    if (access(refuse, F_OK) == 0) {
        (void)close(options->listen_fd);
        free(e);
        return mr__error_set(reterr, MR_EFORMAT, "the fake engine refuses this store");
    }
    MR_ASSERT(uv_loop_init(&e->loop) == 0);
    MR_ASSERT(uv_async_init(&e->loop, &e->async, fake_on_async) == 0);
    MR_ASSERT(uv_timer_init(&e->loop, &e->timer) == 0);
    e->async.data = e->timer.data = e;
    MR_ASSERT(uv_timer_start(&e->timer, fake_on_timer, 1, 1) == 0);
    MR_ASSERT(pthread_mutex_init(&e->lock, NULL) == 0);
    MR_ASSERT(pthread_cond_init(&e->changed, NULL) == 0);
    if (options->listen_fd >= 0) {
        mr_status status = mr__server_create(e, &e->loop, options->listen_fd, &e->server, reterr);
        MR_ASSERT(status == MR_OK);
    }
    MR_ASSERT(pthread_create(&e->thread, NULL, fake_thread, e) == 0);
    *ret_engine = e;
    return MR_OK;
}

static void *fake_thread(void *arg)
{
    struct mr__engine *e = arg;
    (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    return NULL;
}

static struct mr__request *request_create(struct mr__engine *e, const char *json, size_t len,
                                          mr__answer_fn answer, void *user, bool socket)
{
    struct mr__request *r = calloc(1, sizeof *r);
    MR_ASSERT(r != NULL);
    r->engine = e;
    r->answer = answer;
    r->user = user;
    r->socket = socket;
    r->json = malloc(len + 1);
    MR_ASSERT(r->json != NULL);
    memcpy(r->json, json, len);
    r->json[len] = '\0';
    r->len = len;
    mr__arena_init(&r->arena);
    return r;
}

static void request_destroy(struct mr__request *r)
{
    mr__arena_finish(&r->arena);
    free(r->json);
    free(r);
}

mr_status mr__engine_request(struct mr__engine *e, const char *json, size_t len,
                             mr__answer_fn answer, void *user, struct mr__request **ret_request)
{
    (void)pthread_mutex_lock(&e->lock);
    if (e->destroy) {
        (void)pthread_mutex_unlock(&e->lock);
        return MR_ECLOSED;
    }
    struct mr__request *r = request_create(e, json, len, answer, user, false);
    struct mr__request **end = &e->mailbox;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = r;
    *ret_request = r;
    (void)uv_async_send(&e->async);
    (void)pthread_mutex_unlock(&e->lock);
    return MR_OK;
}

void mr__engine_close_request(struct mr__engine *e, struct mr__request *request)
{
    (void)pthread_mutex_lock(&e->lock);
    while (e->closing_request != NULL) {
        (void)pthread_cond_wait(&e->changed, &e->lock);
    }
    e->closing_request = request;
    (void)uv_async_send(&e->async);
    while (e->closing_request == request) {
        (void)pthread_cond_wait(&e->changed, &e->lock);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

mr_status mr__engine_request_on_loop(struct mr__engine *e, const char *json, size_t len,
                                     mr__answer_fn answer, void *user,
                                     struct mr__request **ret_request)
{
    if (e->closing) {
        return MR_ECLOSED;
    }
    struct mr__request *r = request_create(e, json, len, answer, user, true);
    r->next = e->open;
    e->open = r;
    *ret_request = r;
    fake_begin(r);
    return MR_OK;
}

void mr__engine_close_request_on_loop(struct mr__engine *e, struct mr__request *request)
{
    fake_remove(e, request);
    request_destroy(request);
}

void mr__engine_stop(struct mr__engine *e)
{
    (void)pthread_mutex_lock(&e->lock);
    e->stop = true;
    (void)uv_async_send(&e->async);
    (void)pthread_mutex_unlock(&e->lock);
}

void mr__engine_end(struct mr__engine *e, bool drain)
{
    (void)pthread_mutex_lock(&e->lock);
    e->destroy = true;
    e->drain = drain;
    (void)uv_async_send(&e->async);
    (void)pthread_mutex_unlock(&e->lock);
    (void)pthread_join(e->thread, NULL);
}

void mr__engine_free(struct mr__engine *e)
{
    if (e == NULL) {
        return;
    }
    MR_ASSERT(uv_loop_close(&e->loop) == 0);
    MR_ASSERT(e->open == NULL && e->mailbox == NULL); /* Each request was closed, once. */
    (void)pthread_mutex_destroy(&e->lock);
    (void)pthread_cond_destroy(&e->changed);
    free(e);
}

/* ---- on the loop --------------------------------------------------------------------------- */

static void fake_on_async(uv_async_t *async)
{
    struct mr__engine *e = async->data;
    (void)pthread_mutex_lock(&e->lock);
    struct mr__request *list = e->mailbox;
    e->mailbox = NULL;
    (void)pthread_mutex_unlock(&e->lock);
    while (list != NULL) {
        struct mr__request *r = list;
        list = r->next;
        r->next = e->open;
        e->open = r;
        fake_begin(r);
    }
    (void)pthread_mutex_lock(&e->lock);
    struct mr__request *close = e->closing_request;
    (void)pthread_mutex_unlock(&e->lock);
    if (close != NULL) {
        fake_remove(e, close);
        request_destroy(close);
        (void)pthread_mutex_lock(&e->lock);
        e->closing_request = NULL;
        (void)pthread_cond_broadcast(&e->changed);
        (void)pthread_mutex_unlock(&e->lock);
    }
}

static void fake_on_timer(uv_timer_t *timer)
{
    struct mr__engine *e = timer->data;
    int64_t now = now_ms();
    bool kept = false;
    for (struct mr__request *r = e->open, *next; r != NULL; r = next) {
        next = r->next;
        fake_step(r, now);
        const char *op = mr_value_str(mr_value_get(&r->value, "op"), "");
        kept = kept || (r->socket && !r->done && strcmp(op, "wait") == 0);
    }
    (void)pthread_mutex_lock(&e->lock);
    bool close = e->destroy && (!e->drain || e->stop || !kept);
    (void)pthread_mutex_unlock(&e->lock);
    if (close && !e->closing) {
        fake_close(e);
    }
}

static void fake_on_server_closed(void *user)
{
    struct mr__engine *e = user;
    uv_close((uv_handle_t *)&e->async, NULL);
    uv_close((uv_handle_t *)&e->timer, NULL);
}

static void answer(struct mr__request *r, bool last, const char *fmt, ...) MR__PRINTF(3, 4);
static void answer(struct mr__request *r, bool last, const char *fmt, ...)
{
    char line[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    MR_ASSERT(len > 0 && (size_t)len < sizeof line);
    r->done = last;
    r->answer(r->user, line, (size_t)len, last);
}

static void fake_close(struct mr__engine *e)
{
    e->closing = true;
    for (struct mr__request *r = e->open; r != NULL; r = r->next) {
        if (!r->done && !r->socket) {
            answer(r, true,
                   "{\"error\":{\"status\":-17,\"name\":\"closed\",\"message\":\"closed\"},"
                   "\"end\":true}");
        }
    }
    if (e->server != NULL) {
        mr__server_close(e->server, fake_on_server_closed, e);
    } else {
        fake_on_server_closed(e);
    }
}

static void fake_begin(struct mr__request *r)
{
    struct mr__engine *e = r->engine;
    mr_error error;
    r->value = mr__value_null();
    if (mr__value_parse(&r->arena, r->json, r->len, &r->value, &error) != MR_OK) {
        answer(r, true,
               "{\"error\":{\"status\":-2,\"name\":\"invalid\",\"message\":\"bad JSON\"},"
               "\"end\":true}");
        return;
    }
    const char *op = mr_value_str(mr_value_get(&r->value, "op"), "");
    const char *run = mr_value_str(mr_value_get(&r->value, "run"), "-");
    r->count = mr_value_int(mr_value_get(&r->value, "count"), 0);
    r->due_ms = now_ms() + mr_value_int(mr_value_get(&r->value, "delay_ms"), 0);
    if (strcmp(op, "ping") == 0) {
        answer(r, true, "{\"pid\":%d,\"version\":\"fake\",\"runs\":0,\"dormant\":0,\"end\":true}",
               (int)getpid());
    } else if (strcmp(op, "echo") == 0) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "{\"echo\":");
        const mr_value *text = mr_value_get(&r->value, "text");
        mr_value null = mr__value_null();
        mr__value_print(&buf, text != NULL ? text : &null);
        mr__buf_printf(&buf, ",\"attach\":%d",
                       (int)mr_value_int(mr_value_get(&r->value, "attach"), 0));
        mr__buf_text(&buf, ",\"end\":true}");
        r->done = true;
        r->answer(r->user, (char *)buf.data, buf.len, true);
        mr__buf_finish(&buf);
    } else if (strcmp(op, "fail") == 0) {
        answer(r, true,
               "{\"error\":{\"status\":-3,\"name\":\"invalid definition\",\"message\":\"bad\","
               "\"errors\":[{\"file\":\"x.yaml\",\"line\":3,\"column\":5,\"code\":\"E102\","
               "\"message\":\"unknown key\",\"suggestion\":null}]},\"end\":true}");
    } else if (strcmp(op, "events") == 0) {
        for (; r->sent < r->count; r->sent++) {
            answer(r, false, "{\"event\":{\"lsn\":%" PRId64 "}}", r->sent);
        }
        answer(r, true, "{\"end\":true}");
    } else if (strcmp(op, "watch") == 0) {
        answer(r, false, "{\"run\":{\"id\":\"%s\",\"status\":\"running\",\"pid\":%d}}", run,
               (int)getpid());
    } else if (strcmp(op, "resume") == 0) {
        fake_resume(r);
    } else if (strcmp(op, "stats") == 0) {
        answer(r, true,
               "{\"stats\":{\"resumes\":%u,\"resumedAll\":%u,\"submits\":%u,\"commands\":%u,"
               "\"clients\":%u},\"end\":true}",
               e->resumes, e->resumed_all, e->submits, e->commands,
               e->server != NULL ? mr__server_clients(e->server) : 0);
    } else if (strcmp(op, "cancel") == 0 || strcmp(op, "retry") == 0 ||
               strcmp(op, "continue") == 0 || strcmp(op, "pause") == 0 ||
               strcmp(op, "unpause") == 0) {
        e->commands++;
        if (strcmp(run, "slow") != 0) {
            answer(r, true, "{\"run\":\"%s\",\"status\":\"canceled\",\"end\":true}", run);
        }
    } else if (strcmp(op, "submit") != 0 && strcmp(op, "rerun") != 0 && strcmp(op, "wait") != 0 &&
               strcmp(op, "logs") != 0) {
        answer(r, true,
               "{\"error\":{\"status\":-2,\"name\":\"invalid argument\","
               "\"message\":\"unknown op\"},\"end\":true}");
    }
    fake_step(r, now_ms());
}

static void fake_step(struct mr__request *r, int64_t now)
{
    const char *op = mr_value_str(mr_value_get(&r->value, "op"), "");
    const char *run = mr_value_str(mr_value_get(&r->value, "run"), "-");
    if (r->done) {
        return;
    }
    if ((strcmp(op, "submit") == 0 || strcmp(op, "rerun") == 0) && now >= r->due_ms) {
        fake_submit(r);
    } else if (strcmp(op, "wait") == 0 &&
               (strcmp(run, "done") == 0 || fake_is_resumed(r->engine, run))) {
        answer(r, true, "{\"run\":{\"id\":\"%s\",\"status\":\"success\"},\"end\":true}", run);
    } else if (strcmp(op, "logs") == 0) {
        if (r->sent < r->count) {
            answer(r, false, "{\"log\":{\"n\":%" PRId64 "}}", r->sent++);
        } else {
            answer(r, true, "{\"end\":true}");
        }
    } else if (strcmp(op, "watch") == 0) {
        uint32_t lines = strcmp(run, "flood") == 0 ? FLOOD_LINES : 1;
        for (uint32_t i = 0; i < lines; i++) {
            answer(r, false, "{\"event\":{\"lsn\":%" PRId64 ",\"reason\":\"%s\"}}", r->sent++,
                   mr_value_str(mr_value_get(&r->value, "pad"), ""));
        }
    }
}

/* Tokens are files, so that they outlive this engine as they outlive the real one. */
static void fake_submit(struct mr__request *r)
{
    struct mr__engine *e = r->engine;
    const char *token = mr_value_str(mr_value_get(&r->value, "token"), "none");
    char path[5000], id[64] = "";
    (void)snprintf(path, sizeof path, "%s/fake-token-%s", e->path, token);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        MR_ASSERT(fscanf(file, "%63s", id) == 1);
        (void)fclose(file);
    } else {
        e->submits++;
        (void)snprintf(id, sizeof id, "00000000-0000-7000-8000-%08x%04x", (unsigned)getpid(),
                       e->submits & 0xffff);
        file = fopen(path, "we");
        MR_ASSERT(file != NULL && fputs(id, file) >= 0);
        (void)fclose(file);
    }
    /* With "mute" the first engine has done it and does not say so. */
    if (mr_value_get(&r->value, "mute") != NULL && e->resumes == 0) {
        r->due_ms = INT64_MAX;
        return;
    }
    answer(r, true, "{\"run\":\"%s\",\"dag\":\"fake\",\"file\":null,\"warnings\":[],\"end\":true}",
           id);
}

static void fake_resume(struct mr__request *r)
{
    struct mr__engine *e = r->engine;
    const mr_value *runs = mr_value_get(&r->value, "runs");
    e->resumes++;
    if (runs == NULL) {
        e->resumed_all++;
        e->resumed_ms = now_ms();
        answer(r, true,
               "{\"runs\":[\"" FAKE_RESUMED_RUN "\"],\"missing\":[{"
               "\"run\":\"r\",\"task\":\"t\",\"action\":\"a\"}],\"end\":true}");
        return;
    }
    for (uint32_t i = 0; i < runs->len; i++) {
        if (e->resumed_count < RUNS_MAX) {
            (void)snprintf(e->resumed[e->resumed_count++], sizeof e->resumed[0], "%s",
                           mr_value_str(&runs->u.list[i], ""));
        }
    }
    answer(r, true, "{\"runs\":[],\"missing\":[],\"end\":true}");
}

static bool fake_is_resumed(const struct mr__engine *e, const char *run)
{
    if (strcmp(run, FAKE_RESUMED_RUN) == 0) {
        return e->resumed_all > 0 && now_ms() >= e->resumed_ms + FAKE_RESUMED_MS;
    }
    for (uint32_t i = 0; i < e->resumed_count; i++) {
        if (strcmp(e->resumed[i], run) == 0) {
            return true;
        }
    }
    return e->resumed_all > 0;
}

static void fake_remove(struct mr__engine *e, struct mr__request *r)
{
    struct mr__request **at = &e->open;
    while (*at != NULL && *at != r) {
        at = &(*at)->next;
    }
    MR_ASSERT(*at == r);
    *at = r->next;
}
