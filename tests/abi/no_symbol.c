/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: it exports no mr_plugin_entry.
 */
#include <millrace/plugin.h>

MR_EXPORT int some_other_symbol(void);
MR_EXPORT int some_other_symbol(void)
{
    return 1;
}
