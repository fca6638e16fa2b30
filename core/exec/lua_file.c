/* SPDX-License-Identifier: MIT
 *
 * From a Lua file's text to an action's table. What the file says of itself is checked as that of
 * any plugin is. On the opening thread.
 */
#include "core/exec/lua_file.h"

#include "core/base/hash.h"
#include "core/exec/lua_task.h"
#include "core/exec/plugin_load.h"
#include "core/model/lua_names.h"
#include "core/model/nearest.h"

struct built {
    struct mr__lua_file file;
    mr_action action;
    const mr_action *list[2];
    mr_plugin plugin;
};

static bool make_params(struct mr__arena *arena, const struct mr__lua_action *read,
                        mr_action *action)
{
    mr_param *rows = mr__arena_alloc(arena, (read->param_count + 1) * sizeof *rows);
    for (uint32_t i = 0; rows != NULL && i < read->param_count; i++) {
        const struct mr__lua_param *param = &read->params[i];
        rows[i] = (mr_param){.name = param->name,
                             .type = param->type,
                             .flags = param->required ? MR_REQUIRED : 0,
                             .default_json = param->default_json,
                             .help = param->help};
    }
    action->params = rows;
    return rows != NULL;
}

static mr_status build(struct mr__arena *arena, const struct mr__lua_action *read,
                       struct built *built)
{
    unsigned phases = read->phases;
    built->action = (mr_action)MR_ACTION(
            .name = read->name, .help = read->help, .where = MR_ON_WORKER,
            .flags = read->idempotent ? MR_IDEMPOTENT : 0, .run = mr__lua_file_run,
            .run_before = (phases & MR__LUA_HAS_RUN_BEFORE) != 0 ? mr__lua_file_run_before : NULL,
            .run_after = (phases & MR__LUA_HAS_RUN_AFTER) != 0 ? mr__lua_file_run_after : NULL,
            .retry_before =
                (phases & MR__LUA_HAS_RETRY_BEFORE) != 0 ? mr__lua_file_retry_before : NULL);
    built->list[0] = &built->action;
    built->plugin = (mr_plugin){.magic = MR_PLUGIN_MAGIC,
                                .abi_major = MR_ABI_MAJOR,
                                .abi_minor = MR_ABI_MINOR,
                                .size = sizeof(mr_plugin),
                                .name = read->name,
                                .version = "",
                                .actions = built->list};
    return make_params(arena, read, &built->action) ? MR_OK : MR_ENOMEM;
}

static uint32_t line_of(const char *text, const char *at)
{
    uint32_t line = 1;
    for (; text < at; text++) {
        line += *text == '\n' ? 1 : 0;
    }
    return line;
}

static mr_status refuse_name(const struct mr__lua_file *file, const struct mr__lua_name *name,
                             mr_error *reterr)
{
    char word[64];
    size_t len = MR__MIN(name->len, sizeof word - 1);
    memcpy(word, name->text, len);
    word[len] = '\0';
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, word, NULL);
    for (size_t i = 0; i < mr__lua_global_count; i++) {
        mr__nearest_try(&nearest, mr__lua_globals[i].name, 0);
    }
    const char *found = nearest.found;
    return mr__error_set(reterr, MR_EABI, "%s:%u: unknown name \"%s\"%s%s%s", file->path,
                         line_of(file->text, name->text), word,
                         found != NULL ? ", did you mean \"" : "", found != NULL ? found : "",
                         found != NULL ? "\"?" : "");
}

/* What the functions name is seen before one of them is called, in an attempt that would fail of
 * it. A global of the file's own is one that it sets anywhere. */
static mr_status check_names(const struct mr__lua_file *file, mr_error *reterr)
{
    struct mr__lua_names names;
    struct mr__hash set;
    uint64_t unused;
    mr__lua_names_init(&names);
    mr__hash_init(&set);
    mr_status status = mr__lua_names_read(&names, file->text, file->len);
    for (size_t i = 0; i < names.count && status == MR_OK; i++) {
        if (names.list[i].may_set) {
            status = mr__hash_put(&set, names.list[i].text, names.list[i].len, 1);
        }
    }
    if (status != MR_OK) {
        status = mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    for (size_t i = 0; i < names.count && status == MR_OK; i++) {
        const struct mr__lua_name *name = &names.list[i];
        if (name->kind == MR__LUA_FREE && mr__lua_global_find(name->text, name->len) == NULL &&
            !mr__hash_get(&set, name->text, name->len, &unused)) {
            status = refuse_name(file, name, reterr);
        }
    }
    mr__hash_finish(&set);
    mr__lua_names_finish(&names);
    return status;
}

mr_status mr__lua_file_read(struct mr__lua *lua, struct mr__arena *arena, const char *path,
                            const char *text, size_t len, const struct mr__lua_file **ret_file,
                            const mr_plugin **ret_plugin, mr_error *reterr)
{
    struct built *built = mr__arena_alloc(arena, sizeof *built);
    char *path_copy = mr__arena_dup(arena, path, strlen(path));
    char *text_copy = mr__arena_dup(arena, text, len);
    struct mr__lua_action read;
    mr_error error;
    if (built == NULL || path_copy == NULL || text_copy == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    built->file = (struct mr__lua_file){.path = path_copy, .text = text_copy, .len = len};
    mr__hash128(text, len, built->file.digest);
    mr_status status = mr__lua_action_read(lua, &built->file, arena, &read, &error);
    if (status != MR_OK) {
        status = status == MR_ENOMEM ? status : MR_EABI;
        return mr__error_set(reterr, status, "%s", error.message);
    }
    status = check_names(&built->file, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = build(arena, &read, built);
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    status = mr__plugin_check(path, &built->plugin, reterr);
    if (status == MR_OK) {
        *ret_file = &built->file;
        *ret_plugin = &built->plugin;
    }
    return status;
}
