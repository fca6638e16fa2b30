/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: the default of a param is not of its type.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_param params[] = {
    {.name = "n", .type = MR_INT, .default_json = "\"many\""},
    {.name = NULL},
};
static const mr_action action = MR_ACTION(.name = "bad", .params = params, .run = run);
MR_PLUGIN("bad", "1", &action);
