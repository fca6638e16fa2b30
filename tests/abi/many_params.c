/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action has one param more than the 1,024 that are allowed.
 */
#include <millrace/plugin.h>
#include <stdio.h>

#define COUNT 1025

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static char names[COUNT][8];
static mr_param params[COUNT + 1];
static const mr_action action = MR_ACTION(.name = "bad", .params = params, .run = run);
static const mr_action *const actions[] = {&action, 0};
static const mr_plugin plugin = {
    MR_PLUGIN_MAGIC, MR_ABI_MAJOR, MR_ABI_MINOR, sizeof(mr_plugin), 0, "bad", "1", actions, 0};
MR_EXPORT const mr_plugin *mr_plugin_entry(void);
MR_EXPORT const mr_plugin *mr_plugin_entry(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "p%u", i);
        params[i].name = names[i];
    }
    return &plugin;
}
