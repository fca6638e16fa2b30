/* SPDX-License-Identifier: MIT
 *
 * A plugin that was built against the header of version 1.0, with phases: the host must take it for
 * as long as the major version is 1.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    return mr_output_str(t, "data", (const char *)mr_data(t));
}

static mr_status run_before(mr_task *t)
{
    mr_set_data(t, mr_printf(t, "%s", "kept"));
    return MR_OK;
}

static mr_status run_after(mr_task *t)
{
    mr_trace(t, "after %s", (const char *)mr_data(t));
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "minor-0", .where = MR_ON_LOOP, .run = run,
                                          .run_before = run_before, .run_after = run_after);
MR_PLUGIN("minor-0", "1", &action);
