/* SPDX-License-Identifier: MIT
 *
 * An action written as one Lua file, as the registry takes it: a plugin of one action, whose phases
 * are those of lua_task.c. On the opening thread.
 */
#ifndef MR__LUA_FILE_H
#define MR__LUA_FILE_H

#include <millrace/plugin.h>

#include "lua/lua_host.h"

/* Reads the text of `path` with `lua`. What is made lives in the arena, with copies of path and
 * text. MR_EABI with "PATH:LINE: message", or as for any plugin whose table is refused; MR_ENOMEM.
 */
mr_status mr__lua_file_read(struct mr__lua *lua, struct mr__arena *arena, const char *path,
                            const char *text, size_t len, const struct mr__lua_file **ret_file,
                            const mr_plugin **ret_plugin, mr_error *reterr);

#endif
