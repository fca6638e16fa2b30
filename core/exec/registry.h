/* SPDX-License-Identifier: MIT
 *
 * The registry: which actions exist, from which plugin, and whether a dag's tasks fit them.
 * Loaded once at start, on the opening thread; read-only afterwards, from any thread.
 */
#ifndef MR__REGISTRY_H
#define MR__REGISTRY_H

#include <millrace/plugin.h>

#include "core/base/value.h"
#include "core/model/dag.h"

struct mr__lua_file;

struct mr__action {
    const mr_action *table; /* the plugin's: static; of a Lua file: the registry's */
    const char *name;       /* aliases: the alias */
    const char *plugin, *plugin_version;
    const mr_plugin *of;            /* the plugin's table; static, or the registry's; NULL: none */
    const char *file;               /* NULL: built in, or of the program that embeds */
    const struct mr__lua_file *lua; /* of an action that is a Lua file; else NULL */
    /* What stands for it where it runs in a host process (isolated.h), or NULL: it cannot. It can
     * if it is of a shared object, and starts no children (which are processes already). */
    const struct mr__action *apart;
    const struct mr__action *inner; /* of such a stand-in: the action itself; else NULL */
};

struct mr__registry;

typedef void (*mr__registry_log)(void *user, int32_t level, const char *line);

/* The built-in action `lua`, and every .so and .lua (an action as one Lua file) in each folder of
 * `folders` (':' between; may be NULL) and in the installed folder (MR__PLUGIN_DIR at build time;
 * none if it is not there). A refused plugin of a named folder is MR_EABI or MR_EPERM; of the
 * installed one a line in the log. */
mr_status mr__registry_create(const char *folders, mr__registry_log log, void *user,
                              struct mr__registry **ret_registry, mr_error *reterr);
/* The same with one plugin file in the place of the folders: what is wrong with it is an error. */
mr_status mr__registry_create_of(const char *file, struct mr__registry **ret_registry,
                                 mr_error *reterr);
/* The same with actions of the program that embeds: an array ended by NULL, borrowed until the
 * registry is destroyed. They are checked as a plugin's: MR_EABI. */
mr_status mr__registry_create_with(const char *folders, const mr_action *const *actions,
                                   mr__registry_log log, void *user,
                                   struct mr__registry **ret_registry, mr_error *reterr);
/* One more of those who call mr__registry_destroy, on any thread. NULL is allowed. */
struct mr__registry *mr__registry_ref(struct mr__registry *registry);
/* With the last of them it goes; plugins stay loaded. NULL is allowed. */
void mr__registry_destroy(struct mr__registry *registry);

const struct mr__action *mr__registry_find(const struct mr__registry *registry, const char *name);
size_t mr__registry_count(const struct mr__registry *registry);
const struct mr__action *mr__registry_at(const struct mr__registry *registry,
                                         size_t i); /* by name */

/* MR__ACTION_... of an action, as a binding has them. */
uint32_t mr__action_flags(const struct mr__action *action);
/* Two of them, which each attempt asks for: whether it holds one of --jobs slots (MR__ACTION_JOB),
 * and whether a phase comes before `run` (MR__ACTION_BEFORE). */
static inline bool mr__action_is_job(const struct mr__action *action)
{
    return action->table->where == MR_ON_WORKER || (action->table->flags & MR_SPAWNS) != 0 ||
           action->inner != NULL;
}
static inline bool mr__action_has_before(const struct mr__action *action)
{
    return action->table->run_before != NULL || action->table->retry_before != NULL;
}

/* Adds to `problems` every task of `dag` whose action is unknown (with a suggestion) or cannot run
 * where the task wants it, or whose params do not fit: unknown name, wrong type, required and
 * missing (templated values are not checked); and every script that is no Lua. With errors in
 * `problems` already, `dag` may be the parser's ret_broken: the params of tasks in which one stands
 * are passed over. */
void mr__registry_check(const struct mr__registry *registry, const struct mr__dag *dag,
                        struct mr__problems *problems);

/* Checks and completes params for one attempt, decoding weakly ("100" -> 100). MR_EINVAL. */
mr_status mr__params_complete(const mr_action *action, const mr_value *params,
                              struct mr__arena *arena, mr_value *ret_params, mr_error *reterr);

/* A row of the action's params, NULL past the last. */
const mr_param *mr__params_row(const mr_action *action, uint32_t i);
/* Decodes a value weakly to a param's type: text that is a number or bool, a whole number for an
 * integer, a scalar for text, JSON text for a list or map. False: it does not fit. */
bool mr__params_fit(struct mr__arena *arena, const mr_value *value, uint32_t type,
                    mr_value *ret_value);

/* {"actions":[{"name","plugin","version","file","help","where","idempotent","params":[...]}]}, of
 * one name or all (NULL). */
void mr__registry_json(const struct mr__registry *registry, const char *name, struct mr__buf *buf);

#endif
