/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action whose name holds a blank.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "two words", .run = run);
MR_PLUGIN("bad", "1", &action);
