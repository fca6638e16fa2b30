/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: it needs a function that nobody has.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

mr_status nobody_has_this(mr_task *t);
static mr_status run_it(mr_task *t)
{
    return nobody_has_this(t) + run(t);
}

static const mr_action action = MR_ACTION(.name = "bad", .run = run_it);
MR_PLUGIN("bad", "1", &action);
