/* SPDX-License-Identifier: MIT
 *
 * serve: keeps the owner, and a folder of dags pushed, until the request is closed. Loop thread.
 *
 * It is the owner's own process that serves: a request that came from another one through the
 * socket waits, and is asked anew there once that process has become the owner (sdk/handle.c).
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/served.h"

struct mr__serve {
    struct mr__request *request;
    struct mr__served *served; /* NULL: no folder */
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

static void on_settled(void *user)
{
    struct mr__serve *serve = user;
    say_serving(serve->request);
}

void mr__serve_leave(struct mr__request *request)
{
    struct mr__serve *serve = request->serve;
    if (serve == NULL) {
        return;
    }
    request->serve = NULL;
    request->engine->serve = NULL;
    if (serve->served != NULL) {
        mr__served_close(serve->served);
    }
    free(serve);
}

static void serve_begin(struct mr__request *request)
{
    struct mr__engine *engine = request->engine;
    const char *dags = mr__field_str(request, "dags");
    bool compat = mr_value_int(mr_value_get(&request->json, "compat"), 0) != 0;
    struct mr__serve *serve = calloc(1, sizeof *serve);
    if (serve == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    serve->request = request;
    request->serve = engine->serve = serve;
    mr__request_hold(request);
    if (dags == NULL) {
        say_serving(request);
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
