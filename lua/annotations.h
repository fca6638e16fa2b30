/* SPDX-License-Identifier: MIT
 *
 * The names that scripts have, for editors.
 */
#ifndef MR__LUA_ANNOTATIONS_H
#define MR__LUA_ANNOTATIONS_H

#include "core/base/buf.h"

/* Adds a file of annotations (LuaLS, ---@meta) with every name that scripts have. Any thread. */
void mr__lua_annotations(struct mr__buf *out);

#endif
