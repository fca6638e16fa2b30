/* SPDX-License-Identifier: MIT
 *
 * Isolated attempts: the engine's side of an action that runs in a host process. Loop thread.
 *
 * To the executor such an attempt is one of a loop action that stands for the plugin's (its
 * mr__action.inner), whose phases answer MR_PENDING: they send START, serve what the action asks
 * for with the calls that the attempt has (t->head.host), and finish when END comes or the process
 * has ended.
 */
#ifndef MR__ISOLATED_H
#define MR__ISOLATED_H

#include "core/exec/registry.h"
#include "core/exec/wire.h"

struct mr__task;

/* Fills in what stands for a plugin's action. False: it cannot run apart (registry.h says which).
 */
bool mr__isolated_make(const struct mr__action *action, mr_action *ret_table,
                       struct mr__action *ret_action);

/* hosts.c: what a host sent. False: it was nothing that may come now. */
bool mr__isolated_on_message(struct mr__task *t, const struct mr__wire *message, bool last);
/* hosts.c: the process has ended, and t->host is gone. */
void mr__isolated_on_ended(struct mr__task *t, int32_t exit_code, int32_t signal_number,
                           const char *why);

#endif
