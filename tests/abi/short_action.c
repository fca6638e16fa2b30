/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action's table ends before its run.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = {
    .size = offsetof(mr_action, run), .param_size = sizeof(mr_param), .name = "bad", .run = run};
MR_PLUGIN("bad", "1", &action);
