/* SPDX-License-Identifier: MIT
 *
 * Loading plugins: a folder's .so files, each checked before anything in it is called. On the
 * opening thread. Loaded objects stay for the life of the process.
 */
#ifndef MR__PLUGIN_LOAD_H
#define MR__PLUGIN_LOAD_H

#include <millrace/plugin.h>

#include "core/base/base.h"

/* Called for each file of the folder, by name: with its checked table, or with NULL and why it was
 * refused. A status other than MR_OK ends the folder and is returned. `file` is borrowed. */
typedef mr_status (*mr__plugin_found)(void *user, const char *file, const mr_plugin *plugin,
                                      const mr_error *refusal);

/* MR_ENOTFOUND: no such folder; MR_EPERM: others may write to it. */
mr_status mr__plugin_load_folder(const char *folder, mr__plugin_found found, void *user,
                                 mr_error *reterr);

/* What plugin.h demands of a table; `file` is for the message. MR_EABI. */
mr_status mr__plugin_check(const char *file, const mr_plugin *plugin, mr_error *reterr);

#endif
