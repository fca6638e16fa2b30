/* SPDX-License-Identifier: MIT
 *
 * Whether the Lua of a dag is Lua: every script is compiled, and what is wrong is shown at the dag
 * file's own line. Any thread.
 */
#ifndef MR__CHECK_SCRIPTS_H
#define MR__CHECK_SCRIPTS_H

#include "core/model/dag.h"

/* Adds an E605 for each script that cannot be compiled. A dag without scripts costs nothing. */
void mr__scripts_check(const struct mr__dag *dag, struct mr__problems *problems);

#endif
