/* SPDX-License-Identifier: MIT
 *
 * Lua on workers: the action `lua`, which runs a task's own script; actions that are Lua files; and
 * the state that each worker has for them.
 */
#ifndef MR__LUA_TASK_H
#define MR__LUA_TASK_H

#include <millrace/plugin.h>

#include "lua/lua_host.h"

extern const mr_plugin mr__lua_plugin; /* the built-in one: its only action is `lua` */
extern const mr_action mr__lua_action;

/* The phases of an action that is a Lua file (struct mr__action.lua names it). */
mr_status mr__lua_file_run(mr_task *task);
mr_status mr__lua_file_run_before(mr_task *task);
mr_status mr__lua_file_run_after(mr_task *task);
mr_status mr__lua_file_retry_before(mr_task *task);

/* The Lua state of the calling worker, made when first asked for. */
mr_status mr__lua_of_worker(struct mr__lua **ret_lua, mr_error *reterr);
void mr__lua_end_local(void *local); /* for mr__pool_create */

#endif
