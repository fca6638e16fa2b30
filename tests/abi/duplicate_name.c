/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: two of its actions have one name.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action one = MR_ACTION(.name = "twice", .run = run);
static const mr_action two = MR_ACTION(.name = "twice", .run = run);
MR_PLUGIN("bad", "1", &one, &two);
