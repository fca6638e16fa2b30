/* SPDX-License-Identifier: MIT
 *
 * Its action starts processes and asks for one of its own. tests/abi: the loader must refuse it.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action =
    MR_ACTION(.name = "bad", .where = MR_ON_LOOP, .flags = MR_SPAWNS | MR_ISOLATED, .run = run);
MR_PLUGIN("isolated_spawns", "1.0.0", &action);
