/* SPDX-License-Identifier: MIT
 *
 * The action `http`: one request, its answer as output. Loop thread.
 *
 * The request is made from the params (http_request.c), carried by the client's thread
 * (http_client.c, http_transfer.c), and its answer is made the output (http_answer.c), all of it
 * from http_task.c. An attempt holds no thread, however many of them wait.
 */
#include "plugins/http/http_task.h"

static const mr_param http_params[] = {
    {.name = "url", .type = MR_STRING, .flags = MR_REQUIRED, .help = "http:// or https://"},
    {.name = "method", .type = MR_STRING, .help = "GET, or POST where there is a body"},
    {.name = "headers", .type = MR_MAP, .help = "request headers"},
    {.name = "query", .type = MR_MAP, .help = "added to the URL, encoded; a list repeats its key"},
    {.name = "json", .type = MR_NULL, .help = "the body: any value, sent as JSON"},
    {.name = "form", .type = MR_MAP, .help = "the body: an HTML form's fields"},
    {.name = "body", .type = MR_STRING, .help = "the body: text as it is"},
    {.name = "auth", .type = MR_MAP, .help = "{basic: {user, password}} or {bearer: token}"},
    {.name = "timeout",
     .type = MR_STRING,
     .default_json = "\"60s\"",
     .help = "for the whole request, redirects included"},
    {.name = "connectTimeout",
     .type = MR_STRING,
     .default_json = "\"10s\"",
     .help = "until a connection is there"},
    {.name = "redirects", .type = MR_INT, .default_json = "5", .help = "at most so many; 0: none"},
    {.name = "expect",
     .type = MR_NULL,
     .default_json = "\"2xx\"",
     .help = "statuses that are a success: [204, \"3xx\", \"400-404\"]"},
    {.name = "maxBytes",
     .type = MR_INT,
     .default_json = "4194304",
     .help = "of the answer's body; up to 16777216"},
    {.name = "output",
     .type = MR_STRING,
     .default_json = "\"auto\"",
     .help = "what the body becomes: auto (by its type), json, text, none"},
    {.name = "proxy", .type = MR_STRING, .help = "http://, https://, socks5:// or socks5h://"},
    {.name = "idempotencyKey",
     .type = MR_BOOL,
     .default_json = "true",
     .help = "send Idempotency-Key, except with GET and HEAD"},
    {.name = NULL},
};

#define PARAM_COUNT (sizeof http_params / sizeof http_params[0] - 1)

static mr_status http_run(mr_task *t)
{
    mr_member members[PARAM_COUNT];
    const mr_value params = {.type = MR_MAP, .len = PARAM_COUNT, .u.map = members};
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        members[i].key = http_params[i].name;
        members[i].value = *mr_param_get(t, http_params[i].name);
    }
    return mr__http_task_start(t, &params);
}

static const mr_action http =
    MR_ACTION(.name = "http", .help = "sends an HTTP request", .where = MR_ON_LOOP,
              .params = http_params, .run = http_run, .cancel = mr__http_task_cancel);
MR_PLUGIN("http", "0.1.0", &http);
