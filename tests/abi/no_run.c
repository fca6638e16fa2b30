/* SPDX-License-Identifier: MIT
 *
 * A plugin that the host must refuse: an action without run.
 */
#include <millrace/plugin.h>

static const mr_action action = MR_ACTION(.name = "bad");
MR_PLUGIN("bad", "1", &action);
