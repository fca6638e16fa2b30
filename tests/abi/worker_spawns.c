/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action on a worker would start processes.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "bad", .flags = MR_SPAWNS, .run = run);
MR_PLUGIN("bad", "1", &action);
