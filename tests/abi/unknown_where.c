/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action runs where no version knows.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "bad", .where = MR_ON_LOOP + 1, .run = run);
MR_PLUGIN("bad", "1", &action);
