/* SPDX-License-Identifier: MIT
 *
 * mr_schema: the JSON Schema of a dag file, with the actions that the plugins have;
 * mr_lua_annotations: the names that its Lua has. No state, any thread.
 */
#include "core/model/schema.h"

#include <millrace/engine.h>

#include "core/engine/engine.h"
#include "core/exec/registry.h"
#include "core/model/programs.h"
#include "lua/annotations.h"

/* The types of what may stand for a value of the type: text becomes one where it is one, or is a
 * template. */
static const char *types_of(uint32_t type)
{
    switch (type) {
    case MR_STRING: return "[\"string\",\"number\",\"boolean\",\"null\"]";
    case MR_INT:
    case MR_NUMBER: return "[\"number\",\"string\",\"null\"]";
    case MR_BOOL: return "[\"boolean\",\"string\",\"null\"]";
    case MR_LIST: return "[\"array\",\"string\",\"null\"]";
    case MR_MAP: return "[\"object\",\"string\",\"null\"]";
    default: return MR__SCHEMA_ANY_TYPE;
    }
}

/* The help, and the default in words: an editor would write a "default" into the file. */
static void write_help(struct mr__buf *out, const mr_param *row)
{
    struct mr__buf help;
    mr__buf_init(&help);
    mr__buf_text(&help, row->help != NULL ? row->help : "");
    if (row->default_json != NULL) {
        mr__buf_printf(&help, "%sdefault: %s", help.len > 0 ? "; " : "", row->default_json);
    }
    if (help.len > 0) {
        mr__buf_text(out, ",\"description\":");
        mr__json_str(out, (const char *)help.data, help.len);
    }
    out->failed = out->failed || help.failed;
    mr__buf_finish(&help);
}

/* Adds the schema of the action's params. True: some are required. */
static bool write_params(struct mr__buf *out, const mr_action *action)
{
    const struct mr__program *program = mr__program_of(action->name);
    const mr_param *row;
    bool needs = false;
    mr__buf_text(out, "{\"type\":[\"object\",\"null\"],\"properties\":{");
    for (uint32_t i = 0; (row = mr__params_row(action, i)) != NULL; i++) {
        mr__buf_text(out, i == 0 ? "" : ",");
        mr__json_str(out, row->name, strlen(row->name));
        mr__buf_printf(out, ":{\"type\":%s", types_of(row->type));
        if (program != NULL && strcmp(program->param, row->name) == 0) {
            mr__buf_text(out, ",\"pattern\":\"[^ \\t\\r\\n]\""); /* not empty */
        }
        write_help(out, row);
        mr__buf_text(out, "}");
    }
    mr__buf_text(out, "},\"additionalProperties\":false,\"required\":[");
    for (uint32_t i = 0; (row = mr__params_row(action, i)) != NULL; i++) {
        if ((row->flags & MR_REQUIRED) != 0) {
            mr__buf_text(out, needs ? "," : "");
            mr__json_str(out, row->name, strlen(row->name));
            needs = true;
        }
    }
    mr__buf_text(out, "]}");
    return needs;
}

/* A task that names the action has its params. */
static void write_action(struct mr__buf *out, const struct mr__action *action)
{
    static const char *const keys[] = {"action", "actionName"};
    mr__buf_text(out, ",{\"if\":{\"anyOf\":[");
    for (size_t i = 0; i < MR__COUNT(keys); i++) {
        mr__buf_printf(out, "%s{\"required\":[\"%s\"],\"properties\":{\"%s\":{\"const\":",
                       i == 0 ? "" : ",", keys[i], keys[i]);
        mr__json_str(out, action->name, strlen(action->name));
        mr__buf_text(out, "}}}");
    }
    mr__buf_text(out, "]},\"then\":{\"properties\":{\"params\":");
    bool needs = write_params(out, action->table);
    mr__buf_text(out, needs ? "},\"required\":[\"params\"]}}" : "}}}");
}

static void write_actions(struct mr__buf *out, const struct mr__registry *registry)
{
    const struct mr__action *http = mr__registry_find(registry, "http");
    size_t count = mr__registry_count(registry);
    struct mr__buf names;
    mr__buf_init(&names);
    for (size_t i = 0; i < count; i++) {
        const char *name = mr__registry_at(registry, i)->name;
        mr__buf_text(&names, i == 0 ? "" : ",");
        mr__json_str(&names, name, strlen(name));
    }
    const char *list = mr__buf_cstr(&names);
    out->failed = out->failed || list == NULL;
    mr__buf_text(out, "\"actions\":{\"allOf\":[{\"properties\":{\"action\":{\"enum\":[");
    mr__buf_text(out, list != NULL ? list : "");
    mr__buf_text(out, "]},\"actionName\":{\"enum\":[");
    mr__buf_text(out, list != NULL ? list : "");
    mr__buf_text(out, "]}}}");
    if (http != NULL) { /* The short form is there: it has its params. */
        mr__buf_text(out, ",{\"if\":{\"required\":[\"http\"]},\"then\":{\"properties\":{\"http\":");
        (void)write_params(out, http->table);
        mr__buf_text(out, "}}}");
    }
    for (size_t i = 0; i < count; i++) {
        write_action(out, mr__registry_at(registry, i));
    }
    mr__buf_text(out, "]}");
    mr__buf_finish(&names);
}

mr_status mr_schema(const char *plugins, char **ret_json, mr_error *reterr)
{
    mr_schema_options options = MR_SCHEMA(.plugins = plugins);
    return mr_schema_with(&options, ret_json, reterr);
}

mr_status mr_schema_with(const mr_schema_options *options, char **ret_json, mr_error *reterr)
{
    mr_schema_options known = {.size = sizeof known};
    if (options == NULL || options->size < sizeof(uint32_t) || ret_json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "options and a place for the schema must be given");
    }
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    struct mr__registry *registry = NULL;
    struct mr__buf out;
    mr__buf_init(&out);
    mr_status status =
        mr__registry_create_with(known.plugins, known.actions, NULL, NULL, &registry, reterr);
    if (status == MR_OK) {
        mr__buf_text(&out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
                           "\"title\":\"a dag of millrace " MR__VERSION_TEXT "\","
                           "\"$ref\":\"#/$defs/dag\",\"$defs\":{");
        mr__schema_defs(&out);
        mr__buf_text(&out, ",");
        write_actions(&out, registry);
        mr__buf_text(&out, "}}");
        if (mr__buf_cstr(&out) == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
    }
    mr__registry_destroy(registry);
    if (status == MR_OK) {
        *ret_json = (char *)out.data; /* for mr_free, as buf.h has it */
        mr__buf_init(&out);
    }
    mr__buf_finish(&out);
    return status;
}

mr_status mr_lua_annotations(char **ret_text, mr_error *reterr)
{
    struct mr__buf out;
    mr__buf_init(&out);
    mr__lua_annotations(&out);
    if (mr__buf_cstr(&out) == NULL) {
        mr__buf_finish(&out);
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    *ret_text = (char *)out.data; /* for mr_free, as buf.h has it */
    return MR_OK;
}
