/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: its entry returns nothing.
 */
#include <millrace/plugin.h>

MR_EXPORT const mr_plugin *mr_plugin_entry(void);
MR_EXPORT const mr_plugin *mr_plugin_entry(void)
{
    return NULL;
}
