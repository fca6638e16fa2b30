/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: a param has a type that no version has.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_param params[] = {{.name = "n", .type = MR_MAP + 1}, {.name = NULL}};
static const mr_action action = MR_ACTION(.name = "bad", .params = params, .run = run);
MR_PLUGIN("bad", "1", &action);
