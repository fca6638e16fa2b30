/* SPDX-License-Identifier: MIT
 *
 * serve: keeps the owner, a folder of dags pushed, schedules running and the history short, until
 * the request is closed. Loop thread.
 *
 * It is the owner's own process that serves: a request that came from another one through the
 * socket waits, and is asked anew there once that process has become the owner (sdk/handle.c).
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/prune.h"
#include "core/engine/schedules.h"
#include "core/engine/served.h"

/* How often old runs are looked for: a part of their age, within these. */
#define RETAIN_PART        10
#define RETAIN_STEP_MS_MIN 1000
#define RETAIN_STEP_MS_MAX (60 * 60 * 1000)

struct mr__serve {
    struct mr__request *request;
    struct mr__served *served;   /* NULL: no folder */
    struct retention *retention; /* NULL: nothing is removed */
};

/* Lives until the loop knows nothing of it, which may be after the serve. */
struct retention {
    uv_timer_t timer;
    struct mr__engine *engine;
    struct mr__serve *serve; /* NULL: it has ended */
    int64_t age_ms;
    bool pruning, closed; /* closed: the timer is */
};

static void say_serving(struct mr__request *request)
{
    mr__buf_reset(&request->out);
    mr__buf_printf(&request->out, "{\"serving\":{\"pid\":%d,\"dags\":%zu}}", (int)uv_os_getpid(),
                   request->engine->definitions.count);
    mr__answer(request, false);
}

static void on_line(void *user, const char *json, size_t len)
{
    struct mr__serve *serve = user;
    mr__answer_text(serve->request, json, len, false);
}

/* Schedules begin only now: what missed its time is run in the version that the folder says. */
static void serve_ready(struct mr__serve *serve)
{
    mr_error error;
    if (mr__schedules_open(serve->request->engine, &error) != MR_OK) {
        mr__answer_failed(serve->request, &error);
    } else {
        say_serving(serve->request);
    }
}

static void on_settled(void *user)
{
    serve_ready(user);
}

/* ---- retention ---------------------------------------------------------------------------------
 */

static void retention_free(struct retention *retention)
{
    if (retention->closed && !retention->pruning) {
        mr__free(retention);
    }
}

static void retention_on_closed(uv_handle_t *handle)
{
    struct retention *retention = handle->data;
    retention->closed = true;
    retention_free(retention);
}

static void retention_pruned(void *user, mr_status status, const mr_error *error, uint64_t runs)
{
    struct retention *retention = user;
    retention->pruning = false;
    if (retention->serve != NULL && runs > 0) {
        struct mr__request *request = retention->serve->request;
        mr__buf_reset(&request->out);
        mr__buf_printf(&request->out, "{\"pruned\":{\"runs\":%llu}}", (unsigned long long)runs);
        mr__answer(request, false);
    }
    if (retention->serve != NULL && status != MR_OK) {
        mr__engine_log(retention->engine, 1, "old runs are not removed: %s", error->message);
    }
    retention_free(retention);
}

static void retention_on_timer(uv_timer_t *timer)
{
    struct retention *retention = timer->data;
    struct mr__clock *clock = retention->engine->clock;
    struct mr__prune_options options = {.before_ms = clock->wall_ms(clock) - retention->age_ms,
                                        .status = -1};
    if (!retention->pruning) {
        retention->pruning = true;
        mr__prune(retention->engine, &options, retention_pruned, retention);
    }
}

static bool retention_begin(struct mr__serve *serve, int64_t age_ms)
{
    struct mr__engine *engine = serve->request->engine;
    struct retention *retention = mr__calloc(1, sizeof *retention);
    int64_t step_ms =
        MR__MIN(MR__MAX(age_ms / RETAIN_PART, RETAIN_STEP_MS_MIN), RETAIN_STEP_MS_MAX);
    if (retention == NULL) {
        return false;
    }
    retention->engine = engine;
    retention->serve = serve;
    retention->age_ms = age_ms;
    (void)uv_timer_init(engine->loop, &retention->timer); /* cannot fail */
    retention->timer.data = retention;
    (void)uv_timer_start(&retention->timer, retention_on_timer, 0, (uint64_t)step_ms);
    serve->retention = retention;
    return true;
}

/* ---- serving -----------------------------------------------------------------------------------
 */

void mr__serve_leave(struct mr__request *request)
{
    struct mr__serve *serve = request->serve;
    if (serve == NULL) {
        return;
    }
    request->serve = NULL;
    request->engine->serve = NULL;
    mr__schedules_close(request->engine);
    if (serve->served != NULL) {
        mr__served_close(serve->served);
    }
    if (serve->retention != NULL) {
        serve->retention->serve = NULL;
        uv_close((uv_handle_t *)&serve->retention->timer, retention_on_closed);
    }
    mr__free(serve);
}

static void serve_begin(struct mr__request *request)
{
    struct mr__engine *engine = request->engine;
    const char *dags = mr__field_str(request, "dags");
    bool compat = mr__field_true(request, "compat");
    int64_t retain_ms = mr_value_int(mr_value_get(&request->json, "retain"), -1);
    struct mr__serve *serve = mr__calloc(1, sizeof *serve);
    if (serve == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    serve->request = request;
    request->serve = engine->serve = serve;
    mr__request_hold(request);
    if (retain_ms >= 0 && !retention_begin(serve, retain_ms)) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    if (dags == NULL) {
        serve_ready(serve);
        return;
    }
    struct mr__served_events events = {.user = serve, .line = on_line, .settled = on_settled};
    if (mr__served_create(engine, dags, compat, &events, &serve->served) != MR_OK) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
    }
}

void mr__op_serve(struct mr__request *request)
{
    const char *dags = mr__field_str(request, "dags");
    int64_t own = uv_os_getpid();
    if (mr_value_int(mr_value_get(&request->json, "pid"), own) != own) {
        mr__buf_reset(&request->out);
        mr__buf_printf(&request->out, "{\"waiting\":{\"pid\":%d}}", (int)own);
        mr__answer(request, false);
    } else if (request->engine->serve != NULL) {
        mr__answer_fail(request, MR_ECONFLICT, "this process serves already");
    } else if (dags != NULL && dags[0] != '/') {
        mr__answer_fail(request, MR_EINVAL, "\"dags\" must be an absolute path");
    } else {
        serve_begin(request);
    }
}
