/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: its head has another magic.
 */
#include <millrace/plugin.h>

static mr_status run(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static const mr_action action = MR_ACTION(.name = "bad", .run = run);
static const mr_action *const actions[] = {&action, 0};
static const mr_plugin table = {0x12345678u, MR_ABI_MAJOR, MR_ABI_MINOR, sizeof(mr_plugin),
                                0,           "bad",        "1",          actions};
MR_EXPORT const mr_plugin *mr_plugin_entry(void);
MR_EXPORT const mr_plugin *mr_plugin_entry(void)
{
    return &table;
}
