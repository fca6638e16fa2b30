/* SPDX-License-Identifier: MIT
 *
 * A request as the work of a task; see http_task.h.
 */
#include "plugins/http/http_task.h"

#include "plugins/http/http_client.h"

static void on_end(mr_task *t, void *arg);

mr_status mr__http_task_start(mr_task *t, const mr_value *params)
{
    struct mr__http_request request;
    mr_error error = {.status = MR_OK};
    struct mr__http_call *call = mr_alloc(t, sizeof *call);
    if (call == NULL) {
        return MR_ENOMEM;
    }
    mr_status status = mr__http_request_make(params, mr_info(t)->idempotency_key, &request, &error);
    if (status != MR_OK) {
        mr__http_request_finish(&request);
        return mr_fail(t, status, "%s", error.message);
    }
    call->task = t;
    call->on_end = on_end;
    mr_set_data(t, call);
    status = mr__http_client_start(call, &request, &error);
    return status == MR_OK ? MR_PENDING : mr_fail(t, status, "%s", error.message);
}

/* What retry.if can ask for. An older host does without. */
static void tell_details(mr_task *t, const struct mr__http_answer *answer)
{
    if (answer->status > 0) {
        (void)mr_detail_int(t, "status", answer->status);
    }
    if (answer->retry_after_s > 0) {
        (void)mr_detail_int(t, "retryAfter", answer->retry_after_s);
    }
}

static void on_end(mr_task *t, void *arg)
{
    struct mr__http_call *call = arg;
    struct mr__http_transfer *transfer = mr__http_client_take(call);
    mr_status status = transfer->failure.status;
    tell_details(t, &transfer->answer);
    status = status != MR_OK ? mr_fail(t, status, "%s", transfer->failure.message)
                             : mr__http_answer_give(t, &transfer->answer, &transfer->request);
    mr__http_transfer_unref(transfer);
    (void)mr_finish(t, status);
}

void mr__http_task_cancel(mr_task *t)
{
    if (mr__http_client_cancel(mr_data(t))) {
        (void)mr_finish(t, MR_ECANCELED);
    }
}
