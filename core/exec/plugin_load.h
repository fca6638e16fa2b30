/* SPDX-License-Identifier: MIT
 *
 * Loading plugins: a folder's .so files or one, each checked before anything in it is called, and
 * the texts of its .lua files. On the opening thread. Loaded objects stay for the life of the
 * process.
 */
#ifndef MR__PLUGIN_LOAD_H
#define MR__PLUGIN_LOAD_H

#include <millrace/plugin.h>

#include "core/base/base.h"

/* Called for each file of the folder, by name: with its checked table, or with NULL and why it was
 * refused. A status other than MR_OK ends the folder and is returned. `file` is borrowed. */
typedef mr_status (*mr__plugin_found)(void *user, const char *file, const mr_plugin *plugin,
                                      const mr_error *refusal);

/* Called for each .lua file, of at most MR__SCRIPT_BYTES_MAX. All borrowed. One that was
 * refused is told to mr__plugin_found. */
typedef mr_status (*mr__plugin_found_lua)(void *user, const char *file, const char *text,
                                          size_t len);

/* MR_ENOTFOUND: no such folder; MR_EPERM: others may write to it. `found_lua` NULL: .lua files are
 * not looked at. */
mr_status mr__plugin_load_folder(const char *folder, mr__plugin_found found,
                                 mr__plugin_found_lua found_lua, void *user, mr_error *reterr);

/* One file alone, as if its folder had been named: Lua if its name says so, else a shared object.
 * What is wrong with it is told to `found`. */
mr_status mr__plugin_load_file(const char *file, mr__plugin_found found,
                               mr__plugin_found_lua found_lua, void *user, mr_error *reterr);
/* One shared object, checked as those of a folder: its table, which is static. */
mr_status mr__plugin_load_object(const char *file, const mr_plugin **ret_plugin, mr_error *reterr);

/* What plugin.h demands of a table; `file` is for the message. MR_EABI. */
mr_status mr__plugin_check(const char *file, const mr_plugin *plugin, mr_error *reterr);

#endif
