/* SPDX-License-Identifier: MIT
 *
 * The action `noop`: does nothing and succeeds, on the loop. The smallest plugin there can be, and
 * what benchmarks run. It takes no params, so that a task which gives it some is refused.
 */
#include <millrace/plugin.h>

static mr_status noop_run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action noop =
    MR_ACTION(.name = "noop", .help = "does nothing and succeeds", .where = MR_ON_LOOP,
              .flags = MR_IDEMPOTENT, .run = noop_run);
MR_PLUGIN("noop", "0.1.0", &noop);
