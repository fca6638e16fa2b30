/* SPDX-License-Identifier: MIT
 *
 * The registry: the actions of all plugins, by name. Filled by the opening thread, then read-only.
 * It owns its rows, and the tables and texts of Lua files; what rows point to in plugins is static.
 */
#include "core/exec/registry.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/exec/check_scripts.h"
#include "core/exec/isolated.h"
#include "core/exec/lua_file.h"
#include "core/exec/lua_task.h"
#include "core/exec/plugin_load.h"
#include "core/model/nearest.h"

#ifndef MR__PLUGIN_DIR
#define MR__PLUGIN_DIR "/usr/local/lib/millrace"
#endif

#define ACTIONS_MAX 65536u

#define PROGRAM "the program" /* whose actions they are that came with the options */

struct mr__registry {
    atomic_uint refs;
    struct mr__arena arena;      /* names and files */
    struct mr__action **actions; /* each from the arena; sorted by name once all are there */
    uint32_t count, cap;
    struct mr__hash by_name;
};

struct loading {
    struct mr__registry *registry;
    mr__registry_log log;
    void *user;
    bool named; /* a folder that somebody named: what is wrong there is an error */
    mr_error *reterr;
    struct mr__lua *lua; /* to read Lua files with; made when the first is met */
};

static mr_status load_program(struct loading *loading, const mr_action *const *actions);
static mr_status load_named(struct loading *loading, const char *folders);
static mr_status load_installed(struct loading *loading);
static mr_status on_found(void *user, const char *file, const mr_plugin *plugin,
                          const mr_error *refusal);
static mr_status on_found_lua(void *user, const char *file, const char *text, size_t len);
static mr_status add_plugin(struct loading *loading, const char *file, const mr_plugin *plugin,
                            const struct mr__lua_file *lua, mr_error *reterr);
static int by_name(const void *a, const void *b);

/* Where actions come from beside the installed folder; each may be NULL. */
struct sources {
    const mr_action *const *actions;
    const char *folders, *file;
};

static mr_status create(const struct sources *sources, mr__registry_log log, void *user,
                        struct mr__registry **ret_registry, mr_error *reterr)
{
    struct mr__registry *registry = mr__calloc(1, sizeof *registry);
    if (registry == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    atomic_init(&registry->refs, 1);
    mr__arena_init(&registry->arena);
    mr__hash_init(&registry->by_name);
    struct loading loading = {.registry = registry, .log = log, .user = user, .reterr = reterr};
    mr_status status = add_plugin(&loading, NULL, &mr__lua_plugin, NULL, reterr);
    if (status == MR_OK && sources->actions != NULL) {
        status = load_program(&loading, sources->actions);
    }
    if (status == MR_OK && sources->folders != NULL) {
        status = load_named(&loading, sources->folders);
    }
    if (status == MR_OK && sources->file != NULL) {
        loading.named = true;
        status = mr__plugin_load_file(sources->file, on_found, on_found_lua, &loading, reterr);
    }
    if (status == MR_OK) {
        status = load_installed(&loading);
    }
    mr__lua_destroy(loading.lua);
    if (status != MR_OK) {
        mr__registry_destroy(registry);
        return status;
    }
    if (registry->count > 1) {
        qsort(registry->actions, registry->count, sizeof(struct mr__action *), by_name);
    }
    *ret_registry = registry;
    return MR_OK;
}

mr_status mr__registry_create(const char *folders, mr__registry_log log, void *user,
                              struct mr__registry **ret_registry, mr_error *reterr)
{
    struct sources sources = {.folders = folders};
    return create(&sources, log, user, ret_registry, reterr);
}

mr_status mr__registry_create_with(const char *folders, const mr_action *const *actions,
                                   mr__registry_log log, void *user,
                                   struct mr__registry **ret_registry, mr_error *reterr)
{
    struct sources sources = {.folders = folders, .actions = actions};
    return create(&sources, log, user, ret_registry, reterr);
}

mr_status mr__registry_create_of(const char *file, struct mr__registry **ret_registry,
                                 mr_error *reterr)
{
    struct sources sources = {.file = file};
    return create(&sources, NULL, NULL, ret_registry, reterr);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct mr__action *const *)a)->name, (*(struct mr__action *const *)b)->name);
}

struct mr__registry *mr__registry_ref(struct mr__registry *registry)
{
    if (registry != NULL) {
        atomic_fetch_add(&registry->refs, 1);
    }
    return registry;
}

void mr__registry_destroy(struct mr__registry *registry)
{
    if (registry != NULL && atomic_fetch_sub(&registry->refs, 1) == 1) {
        mr__hash_finish(&registry->by_name);
        mr__arena_finish(&registry->arena);
        mr__free(registry->actions);
        mr__free(registry);
    }
}

/* They come as a plugin would that this very program was built with. */
static mr_status load_program(struct loading *loading, const mr_action *const *actions)
{
    mr_plugin *plugin = mr__arena_alloc(&loading->registry->arena, sizeof *plugin);
    if (plugin == NULL) {
        return mr__error_set(loading->reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    *plugin = (mr_plugin){.magic = MR_PLUGIN_MAGIC,
                          .abi_major = MR_ABI_MAJOR,
                          .abi_minor = MR_ABI_MINOR,
                          .size = sizeof *plugin,
                          .name = PROGRAM,
                          .version = "",
                          .actions = actions};
    mr_status status = mr__plugin_check(PROGRAM, plugin, loading->reterr);
    for (uint32_t i = 0; status == MR_OK && actions[i] != NULL; i++) {
        if ((actions[i]->flags & MR_ISOLATED) != 0) { /* A host process has no code of it. */
            status =
                mr__error_set(loading->reterr, MR_EABI,
                              PROGRAM ": action \"%s\" cannot be isolated: put it into a plugin",
                              actions[i]->name);
        }
    }
    return status == MR_OK ? add_plugin(loading, NULL, plugin, NULL, loading->reterr) : status;
}

static mr_status load_named(struct loading *loading, const char *folders)
{
    mr_status status = MR_OK;
    loading->named = true;
    while (status == MR_OK && *folders != '\0') {
        size_t len = strcspn(folders, ":");
        char *folder = mr__strndup(folders, len);
        if (folder == NULL) {
            status = mr__error_set(loading->reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
        } else if (len > 0) {
            status =
                mr__plugin_load_folder(folder, on_found, on_found_lua, loading, loading->reterr);
        }
        mr__free(folder);
        folders += len + (folders[len] == ':');
    }
    return status;
}

/* No folder there is no error: a build tree's program has none. */
static mr_status load_installed(struct loading *loading)
{
    mr_error error;
    loading->named = false;
    mr_status status =
        mr__plugin_load_folder(MR__PLUGIN_DIR, on_found, on_found_lua, loading, &error);
    if (status == MR_ENOMEM) {
        return mr__error_set(loading->reterr, status, "%s", error.message);
    }
    if (status != MR_OK && status != MR_ENOTFOUND && loading->log != NULL) {
        loading->log(loading->user, 1, error.message);
    }
    return MR_OK;
}

/* What is wrong in a folder that somebody named ends the loading; else it is a line in the log. */
static mr_status found(struct loading *loading, const mr_error *error)
{
    if (error->status == MR_OK) {
        return MR_OK;
    }
    if (loading->named || error->status == MR_ENOMEM) {
        return mr__error_set(loading->reterr, error->status, "%s", error->message);
    }
    if (loading->log != NULL) {
        loading->log(loading->user, 1, error->message);
    }
    return MR_OK;
}

static mr_status on_found(void *user, const char *file, const mr_plugin *plugin,
                          const mr_error *refusal)
{
    struct loading *loading = user;
    mr_error error = {.status = MR_OK};
    if (plugin == NULL) {
        error = *refusal;
    } else {
        (void)add_plugin(loading, file, plugin, NULL, &error);
    }
    return found(loading, &error);
}

static mr_status on_found_lua(void *user, const char *file, const char *text, size_t len)
{
    struct loading *loading = user;
    const struct mr__lua_file *lua;
    const mr_plugin *plugin;
    mr_error error = {.status = MR_OK};
    mr_status status = loading->lua == NULL ? mr__lua_create(&loading->lua) : MR_OK;
    if (status != MR_OK) {
        (void)mr__error_set(&error, status, "%s", mr_status_text(status));
    } else if (mr__lua_file_read(loading->lua, &loading->registry->arena, file, text, len, &lua,
                                 &plugin, &error) == MR_OK) {
        (void)add_plugin(loading, file, plugin, lua, &error);
    }
    return found(loading, &error);
}

/* True if this very plugin (its static table, or its text) has been met already: a second link to
 * one file. */
static bool is_loaded(const struct mr__registry *registry, const mr_plugin *plugin,
                      const struct mr__lua_file *lua)
{
    const mr_action *first = plugin->actions[0];
    uint64_t at;
    if (first == NULL) {
        return true;
    }
    if (!mr__hash_get(&registry->by_name, first->name, strlen(first->name), &at)) {
        return false;
    }
    const struct mr__action *action = registry->actions[at];
    return action->table == first ||
           (lua != NULL && action->lua != NULL &&
            memcmp(lua->digest, action->lua->digest, sizeof lua->digest) == 0);
}

/* What stands for the action in a host process, where it can run in one. */
static mr_status add_apart(struct mr__registry *registry, struct mr__action *action)
{
    mr_action *table = mr__arena_alloc(&registry->arena, sizeof *table);
    struct mr__action *apart = mr__arena_alloc(&registry->arena, sizeof *apart);
    if (table == NULL || apart == NULL) {
        return MR_ENOMEM;
    }
    if (!mr__isolated_make(action, table, apart)) {
        return MR_OK;
    }
    char real[PATH_MAX];
    if (realpath(action->file, real) != NULL) { /* The host may begin in another folder. */
        apart->file = mr__arena_dup(&registry->arena, real, strlen(real));
    }
    action->apart = apart;
    return apart->file == NULL ? MR_ENOMEM : MR_OK;
}

static mr_status add_action(struct mr__registry *registry, const char *file,
                            const mr_plugin *plugin, const struct mr__lua_file *lua,
                            const mr_action *table)
{
    if (registry->count == registry->cap) {
        uint32_t cap = registry->cap == 0 ? 16 : registry->cap * 2;
        struct mr__action **actions =
            mr__realloc(registry->actions, cap * sizeof(struct mr__action *));
        if (actions == NULL) {
            return MR_ENOMEM;
        }
        registry->actions = actions;
        registry->cap = cap;
    }
    struct mr__action *action = mr__arena_alloc(&registry->arena, sizeof *action);
    const char *copy = file == NULL ? NULL : mr__arena_dup(&registry->arena, file, strlen(file));
    if (action == NULL || (file != NULL && copy == NULL)) {
        return MR_ENOMEM;
    }
    *action = (struct mr__action){.table = table,
                                  .name = table->name,
                                  .plugin = plugin->name,
                                  .plugin_version = plugin->version,
                                  .of = plugin,
                                  .file = copy,
                                  .lua = lua};
    mr_status status = add_apart(registry, action);
    if (status == MR_OK) {
        status =
            mr__hash_put(&registry->by_name, table->name, strlen(table->name), registry->count);
    }
    if (status == MR_OK) {
        registry->actions[registry->count++] = action;
    }
    return status;
}

static const char *owner_of(const struct mr__action *action)
{
    if (action->file != NULL) {
        return action->file;
    }
    return strcmp(action->plugin, PROGRAM) == 0 ? PROGRAM : "millrace itself";
}

static mr_status add_plugin(struct loading *loading, const char *file, const mr_plugin *plugin,
                            const struct mr__lua_file *lua, mr_error *reterr)
{
    struct mr__registry *registry = loading->registry;
    if (is_loaded(registry, plugin, lua)) {
        return MR_OK;
    }
    for (const mr_action *const *at = plugin->actions; *at != NULL; at++) {
        uint64_t other;
        if (mr__hash_get(&registry->by_name, (*at)->name, strlen((*at)->name), &other)) {
            return mr__error_set(reterr, MR_EABI, "%s: action \"%s\" is already that of %s",
                                 file == NULL ? PROGRAM : file, (*at)->name,
                                 owner_of(registry->actions[other]));
        }
    }
    for (const mr_action *const *at = plugin->actions; *at != NULL; at++) {
        if (registry->count == ACTIONS_MAX) {
            return mr__error_set(reterr, MR_ELIMIT, "%s: more than %u actions",
                                 file == NULL ? PROGRAM : file, ACTIONS_MAX);
        }
        mr_status status = add_action(registry, file, plugin, lua, *at);
        if (status != MR_OK) {
            return mr__error_set(reterr, status, "%s", mr_status_text(status));
        }
    }
    return MR_OK;
}

const struct mr__action *mr__registry_find(const struct mr__registry *registry, const char *name)
{
    size_t low = 0, high = registry->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, registry->actions[middle]->name);
        if (order == 0) {
            return registry->actions[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

uint32_t mr__action_flags(const struct mr__action *action)
{
    const mr_action *table = action->table;
    return MR__ACTION_KNOWN | ((table->flags & MR_IDEMPOTENT) != 0 ? MR__ACTION_IDEMPOTENT : 0) |
           (mr__action_is_job(action) ? MR__ACTION_JOB : 0) |
           (mr__action_has_before(action) ? MR__ACTION_BEFORE : 0) |
           (table->run_after != NULL ? MR__ACTION_AFTER : 0) |
           (table == &mr__lua_action ? MR__ACTION_SCOPE : 0) |
           (action->apart != NULL ? MR__ACTION_APART : 0) |
           ((table->flags & MR_ISOLATED) != 0 ? MR__ACTION_ISOLATED : 0);
}

size_t mr__registry_count(const struct mr__registry *registry)
{
    return registry->count;
}

const struct mr__action *mr__registry_at(const struct mr__registry *registry, size_t i)
{
    return i < registry->count ? registry->actions[i] : NULL;
}

/* ---- a dag against the registry ---------------------------------------------------------------
 */

struct checking {
    const struct mr__registry *registry;
    struct mr__problems *problems;
    struct mr__arena scratch;
    uint64_t budget;   /* of suggestions */
    uint32_t isolated; /* tasks that are, or may be */
};

static void check_params(struct checking *checking, const struct mr__dag_task *task,
                         const mr_action *action);
static void check_isolation(struct checking *checking, const struct mr__dag *dag,
                            const struct mr__dag_task *task, const struct mr__action *action);

/* Whether one of the problems stands in the task: its params may then be half read. */
static bool has_error(const struct mr__dag *dag, uint32_t task, const struct mr__problem *problems,
                      uint32_t count)
{
    uint32_t first = dag->tasks[task].pos.line, next = UINT32_MAX;
    if (task + 1 < dag->task_count) {
        next = dag->tasks[task + 1].pos.line;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t line = problems[i].pos.line;
        if (!problems[i].warning && (line == first || (line > first && line < next))) {
            return true;
        }
    }
    return false;
}

void mr__registry_check(const struct mr__registry *registry, const struct mr__dag *dag,
                        struct mr__problems *problems)
{
    struct checking checking = {
        .registry = registry, .problems = problems, .budget = MR__NEAREST_BUDGET};
    uint32_t known = problems->count;
    mr__arena_init(&checking.scratch);
    for (uint32_t i = 0; i < dag->task_count; i++) {
        const struct mr__dag_task *task = &dag->tasks[i];
        if (task->action == NULL || task->id == NULL) {
            continue;
        }
        const struct mr__action *action = mr__registry_find(registry, task->action);
        if (action != NULL) {
            if (!has_error(dag, i, problems->list, known)) {
                check_params(&checking, task, action->table);
            }
            mr__arena_reset(&checking.scratch);
            check_isolation(&checking, dag, task, action);
            continue;
        }
        checking.isolated++;
        struct mr__nearest nearest;
        mr__nearest_init(&nearest, task->action, &checking.budget);
        for (uint32_t j = 0; j < registry->count; j++) {
            mr__nearest_try(&nearest, registry->actions[j]->name, j);
        }
        mr__problem_add(problems, "E201", task->action_pos, nearest.found,
                        "unknown action \"%s\" in task \"%s\"", task->action, task->id);
    }
    if (dag->isolation != NULL && dag->isolation->own_limits && checking.isolated == 0) {
        mr__problem_add(problems, "E206", dag->isolation->limits_pos, NULL,
                        "\"limits\" are those of a process: no task here has "
                        "\"isolation: process\"");
    }
    mr__arena_finish(&checking.scratch);
    mr__scripts_check(dag, problems);
}

static const char *why_not_apart(const struct mr__action *action)
{
    return action->lua != NULL                    ? "it is written in Lua"
           : strcmp(action->plugin, PROGRAM) == 0 ? "it is the program's own"
           : action->file == NULL                 ? "it is millrace's own"
                                                  : "it starts processes itself";
}

/* Only what the task says itself can be wrong: the dag's default passes by what cannot be isolated.
 */
static void check_isolation(struct checking *checking, const struct mr__dag *dag,
                            const struct mr__dag_task *task, const struct mr__action *action)
{
    const struct mr__isolation *isolation = task->isolation;
    bool isolated = mr__isolation_applies(isolation, mr__action_flags(action));
    checking->isolated += isolated;
    if (isolated || isolation == NULL || isolation == dag->isolation) {
        return;
    }
    if (isolation->own && isolation->word == MR__ISOLATION_PROCESS) {
        mr__problem_add(checking->problems, "E205", isolation->pos, NULL,
                        "action \"%s\" of task \"%s\" cannot be isolated: %s", action->name,
                        task->id, why_not_apart(action));
    } else if (isolation->own_limits) {
        mr__problem_add(checking->problems, "E206", isolation->limits_pos, NULL,
                        "\"limits\" are those of a process: task \"%s\" needs "
                        "\"isolation: process\"",
                        task->id);
    }
}

static void check_unknown(struct checking *checking, const struct mr__dag_task *task,
                          const mr_action *action, uint32_t member)
{
    const char *key = task->params.u.map[member].key;
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, key, &checking->budget);
    for (uint32_t i = 0; mr__params_row(action, i) != NULL; i++) {
        mr__nearest_try(&nearest, mr__params_row(action, i)->name, i);
    }
    mr__problem_add(checking->problems, "E202", task->param_pos[member], nearest.found,
                    "unknown param \"%.128s\" of action \"%s\" in task \"%s\"", key, action->name,
                    task->id);
}

static void check_params(struct checking *checking, const struct mr__dag_task *task,
                         const mr_action *action)
{
    const mr_value *params = &task->params;
    for (uint32_t i = 0; params->type == MR_MAP && i < params->len; i++) {
        const mr_member *member = &params->u.map[i];
        const mr_param *row = NULL;
        for (uint32_t j = 0; (row = mr__params_row(action, j)) != NULL; j++) {
            if (strcmp(row->name, member->key) == 0) {
                break;
            }
        }
        mr_value fitted;
        bool templated = member->value.type == MR_STRING && row != NULL && row->type != MR_STRING &&
                         strstr(member->value.u.s, "{{") != NULL;
        if (row == NULL) {
            check_unknown(checking, task, action, i);
        } else if (!templated &&
                   !mr__params_fit(&checking->scratch, &member->value, row->type, &fitted)) {
            mr__problem_add(checking->problems, "E203", task->param_pos[i], NULL,
                            "param \"%s\" of action \"%s\" in task \"%s\" must be %s, not %s",
                            row->name, action->name, task->id, mr__value_type_name(row->type),
                            mr__value_type_name(member->value.type));
        }
    }
    const mr_param *row;
    for (uint32_t j = 0; (row = mr__params_row(action, j)) != NULL; j++) {
        const mr_value *given = mr_value_get(params, row->name);
        if ((row->flags & MR_REQUIRED) != 0 && (given == NULL || given->type == MR_NULL)) {
            mr__problem_add(checking->problems, "E204", task->action_pos, NULL,
                            "param \"%s\" of action \"%s\" is missing in task \"%s\"", row->name,
                            action->name, task->id);
        }
    }
}

/* ---- for `millrace actions` -------------------------------------------------------------------
 */

static void json_text(struct mr__buf *buf, const char *key, const char *text)
{
    mr__buf_printf(buf, "\"%s\":", key);
    if (text == NULL) {
        mr__buf_text(buf, "null");
    } else {
        mr__json_str(buf, text, strlen(text));
    }
    mr__buf_u8(buf, ',');
}

/* The default as one line of JSON: the plugin wrote it with blanks of its own. */
static void json_default(struct mr__buf *buf, const char *text)
{
    struct mr__arena arena;
    mr_value value;
    mr__arena_init(&arena);
    if (text == NULL || mr__value_parse(&arena, text, strlen(text), &value, NULL) != MR_OK) {
        value = mr__value_null();
    }
    mr__value_print(buf, &value);
    mr__arena_finish(&arena);
}

static void json_action(struct mr__buf *buf, const struct mr__action *action)
{
    const mr_action *table = action->table;
    const mr_param *row;
    mr__buf_u8(buf, '{');
    json_text(buf, "name", action->name);
    json_text(buf, "plugin", action->plugin);
    json_text(buf, "version", action->plugin_version);
    json_text(buf, "file", action->file);
    json_text(buf, "help", table->help);
    json_text(buf, "where", table->where == MR_ON_LOOP ? "loop" : "worker");
    mr__buf_printf(buf, "\"idempotent\":%s,\"isolated\":%s,\"params\":[",
                   (table->flags & MR_IDEMPOTENT) != 0 ? "true" : "false",
                   (table->flags & MR_ISOLATED) != 0 ? "true" : "false");
    for (uint32_t i = 0; (row = mr__params_row(table, i)) != NULL; i++) {
        mr__buf_text(buf, i == 0 ? "{" : ",{");
        json_text(buf, "name", row->name);
        json_text(buf, "type", row->type == MR_NULL ? "any" : mr__value_type_name(row->type));
        mr__buf_printf(buf, "\"required\":%s,", (row->flags & MR_REQUIRED) != 0 ? "true" : "false");
        json_text(buf, "help", row->help);
        mr__buf_text(buf, "\"default\":");
        json_default(buf, (row->flags & MR_REQUIRED) != 0 ? NULL : row->default_json);
        mr__buf_u8(buf, '}');
    }
    mr__buf_text(buf, "]}");
}

void mr__registry_json(const struct mr__registry *registry, const char *name, struct mr__buf *buf)
{
    bool first = true;
    mr__buf_text(buf, "{\"actions\":[");
    for (uint32_t i = 0; i < registry->count; i++) {
        if (name == NULL || strcmp(name, registry->actions[i]->name) == 0) {
            mr__buf_text(buf, first ? "" : ",");
            json_action(buf, registry->actions[i]);
            first = false;
        }
    }
    mr__buf_text(buf, "]}");
}
