/* SPDX-License-Identifier: MIT
 *
 * A dag before anything runs: its graph, and what will become of its tasks as far as the variables
 * alone decide it. Pure but for the Lua that it evaluates; the thread of whoever calls.
 */
#ifndef MR__PREVIEW_H
#define MR__PREVIEW_H

#include "core/model/dag.h"

/* Adds "tasks":[...] as mr_plan has it (millrace/engine.h): layer by layer, in a layer in file
 * order. `vars`: every declared variable; NULL: the graph alone, nothing is evaluated. MR_ENOMEM,
 * else MR_OK: what cannot be evaluated is what will become of that task. */
mr_status mr__preview(const struct mr__dag *dag, const mr_value *vars, struct mr__buf *out);

#endif
