/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: the rows of its params are shorter than those of version 1.0.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_param params[] = {{.name = NULL}};
static const mr_action action = {.size = sizeof(mr_action),
                                 .param_size = offsetof(mr_param, help),
                                 .name = "bad",
                                 .params = params,
                                 .run = run};
MR_PLUGIN("bad", "1", &action);
