/* SPDX-License-Identifier: MIT
 *
 * What `plugin new` writes, a table of files for each language.
 */
#ifndef MR__PLUGIN_FILES_H
#define MR__PLUGIN_FILES_H

#include "sdk/cli/options.h"

/* A file of a new folder: its name and its text, in both of which '@' stands for the plugin's name.
 */
struct mr__plugin_file {
    const char *name, *text;
};

/* Ended by a row without a name. Static. */
const struct mr__plugin_file *mr__plugin_files(enum mr__lang lang);

#endif
