/* SPDX-License-Identifier: MIT
 *
 * A good plugin by itself; beside wide_rows it must be refused, since the action is that one's.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "wide", .run = run);
MR_PLUGIN("same", "1.0.0", &action);
