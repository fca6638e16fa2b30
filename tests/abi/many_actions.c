/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: it has one action more than the 1,024 that are allowed.
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
static mr_action table[COUNT];
static const mr_action *actions[COUNT + 1];
static const mr_plugin plugin = {
    MR_PLUGIN_MAGIC, MR_ABI_MAJOR, MR_ABI_MINOR, sizeof(mr_plugin), 0, "bad", "1", actions, 0};
MR_EXPORT const mr_plugin *mr_plugin_entry(void);
MR_EXPORT const mr_plugin *mr_plugin_entry(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "a%u", i);
        table[i] = (mr_action)MR_ACTION(.name = names[i], .run = run);
        actions[i] = &table[i];
    }
    return &plugin;
}
