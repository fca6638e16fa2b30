/* SPDX-License-Identifier: MIT
 *
 * The action `wait`: succeeds after a while. And `ff-waiting`, the same under fastflow's name.
 * Loop.
 *
 * The waiting itself is the engine's (mr_finish_after): it is durable, survives restarts and holds
 * neither a thread nor memory of ours.
 */
#include <millrace/plugin.h>

#include "plugins/text.h"

static mr_status wait_for(mr_task *t, const char *param)
{
    const char *text = mr_param_str(t, param);
    int64_t ms;
    mr_status status;
    if (!mr__text_duration(text, &ms)) {
        return mr_fail(t, MR_EINVAL,
                       "%s: \"%.64s\" is no duration such as 300ms, 10s, 5m, 2h or 1d", param,
                       text);
    }
    status = mr_finish_after(t, ms);
    return status == MR_OK ? MR_PENDING : status;
}

static mr_status wait_run(mr_task *t)
{
    return wait_for(t, "for");
}

static mr_status ff_waiting_run(mr_task *t)
{
    return wait_for(t, "waitingTime");
}

static const mr_param wait_params[] = {
    {.name = "for",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "how long: 300ms, 10s, 5m, 2h, 1d"},
    {.name = NULL},
};

static const mr_param ff_waiting_params[] = {
    {.name = "waitingTime",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "how long: 300ms, 10s, 5m, 2h, 1d"},
    {.name = NULL},
};

static const mr_action wait_action =
    MR_ACTION(.name = "wait", .help = "succeeds after a while", .where = MR_ON_LOOP,
              .flags = MR_IDEMPOTENT, .params = wait_params, .run = wait_run);
static const mr_action ff_waiting_action =
    MR_ACTION(.name = "ff-waiting", .help = "wait under fastflow's name", .where = MR_ON_LOOP,
              .flags = MR_IDEMPOTENT, .params = ff_waiting_params, .run = ff_waiting_run);
MR_PLUGIN("wait", "0.1.0", &wait_action, &ff_waiting_action);
