/* SPDX-License-Identifier: MIT
 *
 * What the actions have in common that run a shell script: its environment, and what its end means.
 * It is compiled into each plugin that uses it. Loop.
 */
#ifndef MR__PLUGIN_SHELL_H
#define MR__PLUGIN_SHELL_H

#include <millrace/plugin.h>

/* "NAME=value" of each member of the map `env` (anything else: none), ended by NULL, in the
 * attempt's memory: text as it is, null as nothing, anything else as JSON. `more`, such a text, or
 * NULL, stands last. MR_EINVAL with a reason, MR_ENOMEM. */
mr_status mr__shell_env(mr_task *t, const mr_value *env, const char *more,
                        const char *const **ret_env);

/* MR_OK for the exit 0; else a failure with its reason ("exit 7", "killed by SIGKILL") and detail.
 */
mr_status mr__shell_end(mr_task *t, int32_t exit_code, int32_t signal_number);

#endif
