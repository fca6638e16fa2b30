/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: its table has flags that no version has.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "bad", .run = run);
static const mr_action *const actions[] = {&action, 0};
static const mr_plugin table = {
    MR_PLUGIN_MAGIC, MR_ABI_MAJOR, MR_ABI_MINOR, sizeof(mr_plugin), 1, "bad", "1", actions, 0};
MR_EXPORT const mr_plugin *mr_plugin_entry(void);
MR_EXPORT const mr_plugin *mr_plugin_entry(void)
{
    return &table;
}
