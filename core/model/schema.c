/* SPDX-License-Identifier: MIT
 *
 * The JSON Schema of a dag file.
 */
#include "core/model/schema.h"

#include "core/model/parse.h"

static const struct mr__key_table *const tables[] = {
    &mr__key_table_dag,   &mr__key_table_variable,  &mr__key_table_task,
    &mr__key_table_check, &mr__key_table_condition, &mr__key_table_retry,
    &mr__key_table_hook,  &mr__key_table_schedule,  &mr__key_table_limits};

/* The kinds of values that several keys have. Any scalar of YAML is text as it is written; null is
 * as good as no key. */
static const struct {
    const char *name, *schema;
} kinds[] = {
    {"text", "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]}"},
    {"command",
     "{\"type\":[\"string\",\"number\",\"boolean\"],\"pattern\":\"[^ \\\\t\\\\r\\\\n]\"}"},
    {"expression",
     "{\"type\":[\"string\",\"number\",\"boolean\",\"null\"],\"pattern\":\"[^ \\\\t\\\\r\\\\n]\"}"},
    {"id", "{\"type\":[\"string\",\"number\",\"boolean\"],\"pattern\":"
           "\"^[^\\\\[\\\\]/,\\\\u0000-\\\\u0020\\\\u007f-\\\\u00a0\\\\u3000]{1,128}$\"}"},
    {"idOrNull", MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("id"))},
    {"duration", "{\"type\":[\"string\",\"null\"],\"pattern\":\"^0*[1-9][0-9]*(ms|s|m|h|d)$\"}"},
    {"wait", "{\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$\"}"},
    {"template", "{\"type\":\"string\",\"pattern\":\"\\\\{\\\\{\"}"},
    {"count", "{\"type\":[\"integer\",\"null\"],\"minimum\":1,\"maximum\":1000000}"},
    {"variables",
     "{\"type\":[\"object\",\"null\"],\"propertyNames\":{\"pattern\":"
     "\"^[^\\\\s\\\"'\\\\[\\\\]{}/,=]{1,128}$\"},\"additionalProperties\":" MR__SCHEMA_OR_NULL(
         MR__SCHEMA_REF("variable")) "}"},
    {"tags", "{\"type\":[\"object\",\"null\"],\"propertyNames\":{\"pattern\":\"^[^=]+$\"},"
             "\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\"]}}"},
    {"environment", "{\"type\":[\"object\",\"null\"],\"propertyNames\":{\"pattern\":\"^[^=]+$\"}}"},
    {"checks", "{\"type\":[\"object\",\"array\",\"null\"],\"additionalProperties\":" MR__SCHEMA_REF(
                   "check") ",\"items\":" MR__SCHEMA_REF("check") "}"},
};

/* "name":{what it is and what it may be}; editors show the help. A schema that is no object: true.
 */
static void write_key(struct mr__buf *out, const char *name, const char *help, const char *schema)
{
    mr__buf_printf(out, "\"%s\":{\"description\":", name);
    mr__json_str(out, help, strlen(help));
    if (*schema == '{') {
        mr__buf_printf(out, ",%s", schema + 1);
    } else {
        mr__buf_text(out, ",\"type\":" MR__SCHEMA_ANY_TYPE "}");
    }
}

static void write_table(struct mr__buf *out, const struct mr__key_table *table)
{
    mr__buf_printf(out, "\"%s\":{\"type\":\"object\",\"properties\":{", table->name);
    for (size_t i = 0; i < table->count; i++) {
        MR_ASSERT(table->keys[i].schema != NULL && table->keys[i].help != NULL);
        mr__buf_text(out, i == 0 ? "" : ",");
        write_key(out, table->keys[i].name, table->keys[i].help, table->keys[i].schema);
    }
    mr__buf_printf(out, "},\"additionalProperties\":false%s}", table->more);
}

static const char *const hook_helps[MR__HOOKS] = {
    [MR__HOOK_BEFORE_RUN] = "when the run was accepted and nothing has begun",
    [MR__HOOK_BEFORE_SUCCESS] = "when nothing is left to do, before it ends as success",
    [MR__HOOK_BEFORE_FAIL] = "when nothing is left to do, before it ends as failed",
    [MR__HOOK_BEFORE_BLOCK] = "before it stands still as blocked",
    [MR__HOOK_BEFORE_RETRY] = "after millrace retry, before anything begins again",
    [MR__HOOK_BEFORE_CONTINUE] = "after millrace continue, before anything goes on",
    [MR__HOOK_ON_SUCCESS] = "when it ends as success, behind beforeSuccess",
    [MR__HOOK_ON_FAILURE] = "when it ends as failed, behind beforeFail",
    [MR__HOOK_ON_CANCEL] = "when it ends as canceled",
    [MR__HOOK_ON_EXIT] = "at every end, last",
};

static void write_hooks(struct mr__buf *out)
{
    mr__buf_text(out, "\"hooks\":{\"type\":[\"object\",\"null\"],\"properties\":{");
    for (size_t i = 0; i < MR__HOOKS; i++) {
        mr__buf_text(out, i == 0 ? "" : ",");
        write_key(out, mr__hook_names[i], hook_helps[i],
                  MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("hook")));
    }
    mr__buf_text(out, "},\"additionalProperties\":false}");
}

/* Of the keys that name an action there is one at most; params stand beside an action's name. */
static void write_one_action(struct mr__buf *out)
{
    static const char *const keys[] = {"action", "actionName", "run", "wait", "http", "lua"};
    mr__buf_text(out,
                 "\"oneAction\":{\"allOf\":[{\"not\":{\"required\":[\"preCheck\",\"preChecks\"]}}"
                 ",{\"not\":{\"required\":[\"timeout\",\"timeoutSecs\"]}}"
                 ",{\"if\":{\"required\":[\"params\"]},\"then\":{\"anyOf\":[{\"required\":"
                 "[\"action\"]},{\"required\":[\"actionName\"]}]}}");
    for (size_t i = 0; i < MR__COUNT(keys); i++) {
        for (size_t j = i + 1; j < MR__COUNT(keys); j++) {
            mr__buf_printf(out, ",{\"not\":{\"required\":[\"%s\",\"%s\"]}}", keys[i], keys[j]);
        }
    }
    mr__buf_text(out, "]}");
}

void mr__schema_defs(struct mr__buf *out)
{
    for (size_t i = 0; i < MR__COUNT(tables); i++) {
        write_table(out, tables[i]);
        mr__buf_text(out, ",");
    }
    for (size_t i = 0; i < MR__COUNT(kinds); i++) {
        mr__buf_printf(out, "\"%s\":%s,", kinds[i].name, kinds[i].schema);
    }
    write_hooks(out);
    mr__buf_text(out, ",");
    write_one_action(out);
}
