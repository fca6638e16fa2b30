/* SPDX-License-Identifier: MIT
 *
 * validate, plugin check, actions, schema, version: what can be asked without a run.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"
#include "sdk/cli/trial.h"

#include <string.h>

#define TRIAL_MS 60000 /* of a plugin file, without --timeout */

/* ---- validate ------------------------------------------------------------------------------ */

struct verdict {
    struct mr__text errors;   /* objects, ',' between */
    struct mr__text warnings; /* likewise */
    struct mr__text files;    /* {"file","dag","tasks"} of those that are valid, likewise */
    size_t error_count;
    int code;
};

static void add_valid(struct mr__cli *cli, const char *name, struct mr__pick found,
                      struct verdict *verdict)
{
    struct mr__pick dag = mr__pick_member(found, "dag");
    struct mr__text text = {0};
    int64_t tasks = mr__pick_int(mr__pick_member(found, "tasks"), 0);
    if (mr__print_is_json(cli)) {
        mr__text_puts(&verdict->files, verdict->files.len > 0 ? ",{\"file\":" : "{\"file\":");
        mr__text_json(&verdict->files, name, strlen(name));
        mr__text_puts(&verdict->files, ",\"dag\":");
        mr__text_add(&verdict->files, dag.at != NULL ? dag.at : "null",
                     dag.at != NULL ? dag.len : 4);
        mr__text_printf(&verdict->files, ",\"tasks\":%lld}", (long long)tasks);
    } else if (!cli->options.quiet) {
        (void)mr__text_clean(&text, name, strlen(name), SIZE_MAX, ""); /* its width is not needed */
        mr__text_printf(&text, ": ok, %lld task%s\n", (long long)tasks, tasks == 1 ? "" : "s");
        mr__print_out(cli, mr__text_str(&text), text.len);
    }
    mr__text_finish(&text);
}

/* Takes what mr_validate said of one file. */
static void judge(struct mr__cli *cli, const char *name, mr_status status, const char *json,
                  const mr_error *error, struct verdict *verdict)
{
    struct mr__pick found =
        json != NULL ? mr__pick_value(json, strlen(json)) : (struct mr__pick){NULL, 0};
    struct mr__pick errors = mr__pick_member(found, "errors");
    struct mr__pick warnings = mr__pick_member(found, "warnings");
    bool is_json = mr__print_is_json(cli);
    size_t count = mr__pick_count(errors);
    if (!cli->options.quiet && !is_json) {
        mr__print_problems(cli, warnings);
    }
    mr__print_problem_objects(&verdict->warnings, warnings);
    if (status == MR_OK) {
        add_valid(cli, name, found, verdict);
        return;
    }
    const char *message = error->message[0] != '\0' ? error->message : mr_status_text(status);
    if (count > 0 && is_json) {
        mr__print_problem_objects(&verdict->errors, errors);
    } else if (count > 0) {
        mr__print_problems(cli, errors);
    } else if (is_json) {
        mr__text_puts(&verdict->errors, verdict->errors.len > 0 ? "," : "");
        mr__print_error_object(&verdict->errors, mr_status_text(status), message, NULL);
    } else {
        mr__print_talk(cli, "millrace: %s", message);
    }
    verdict->error_count += count > 0 ? count : 1;
    int code = mr__session_exit_of(status);
    verdict->code = verdict->code == MR__EXIT_DEFINITION ? verdict->code : code;
}

static void validate_file(struct mr__cli *cli, const char *path, struct verdict *verdict)
{
    const char *name = mr__files_name(path);
    struct mr__text file = {0};
    char *json = NULL;
    mr_error error = {0};
    mr_status status;
    const char *missing;
    int code = mr__files_read(cli, path, &missing, &file);
    if (code == MR__EXIT_NOT_FOUND) {
        status = MR_ENOTFOUND;
        (void)snprintf(error.message, sizeof error.message, "%s: %s", path, missing); /* cut */
    } else if (code != MR__EXIT_OK) {
        verdict->code = verdict->code == MR__EXIT_DEFINITION ? verdict->code : code;
        mr__text_finish(&file);
        return;
    } else {
        mr_validate_options how =
            MR_VALIDATE(.compat = cli->options.compat ? 1 : 0, .file = name,
                        .text = mr__text_str(&file), .text_len = file.len,
                        .plugins = cli->plugins.len > 0 ? cli->plugins.at : NULL);
        status = mr_validate_with(&how, &json, &error);
    }
    judge(cli, name, status, json, &error, verdict);
    mr_free(json);
    mr__text_finish(&file);
}

int mr__cmd_validate(struct mr__cli *cli)
{
    struct verdict verdict = {.code = MR__EXIT_OK};
    for (size_t i = 0; i < cli->options.words.count; i++) {
        validate_file(cli, cli->options.words.at[i], &verdict);
    }
    if (mr__print_is_json(cli)) {
        struct mr__text text = {0};
        mr__text_printf(&text, "{\"errors\":[%s],\"warnings\":[%s],\"files\":[%s]}\n",
                        mr__text_str(&verdict.errors), mr__text_str(&verdict.warnings),
                        mr__text_str(&verdict.files));
        mr__print_out(cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
    } else if (verdict.error_count > 1) {
        mr__print_talk(cli, "%zu errors", verdict.error_count);
    }
    mr__text_finish(&verdict.errors);
    mr__text_finish(&verdict.warnings);
    mr__text_finish(&verdict.files);
    return verdict.code;
}

/* ---- actions and plugins ------------------------------------------------------------------- */

/* One action with its params. */
static void print_action(struct mr__cli *cli, struct mr__pick action)
{
    static const char *const heads[] = {"PARAM", "TYPE", "DEFAULT", "HELP", NULL};
    struct mr__table table;
    struct mr__text text = {0};
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick param;
    (void)mr__pick_text(mr__pick_member(action, "name"), &text); /* absent: empty, as all below */
    mr__text_puts(&text, "  (plugin ");
    (void)mr__pick_text(mr__pick_member(action, "plugin"), &text);
    size_t before = text.len;
    mr__text_puts(&text, " ");
    if (!mr__pick_text(mr__pick_member(action, "version"), &text) || text.len == before + 1) {
        text.len = before; /* a Lua file has none */
    }
    mr__text_puts(&text, mr__pick_is(mr__pick_member(action, "isolated"), "true")
                             ? ", in a process of its own)\n"
                             : ")\n");
    if (mr__pick_text(mr__pick_member(action, "help"), &text)) {
        mr__text_puts(&text, "\n");
    }
    mr__table_init(&table, heads);
    mr__pick_begin(&each, mr__pick_member(action, "params"));
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &param)) {
        struct mr__pick otherwise = mr__pick_member(param, "default");
        struct mr__text cell = {0};
        mr__table_cell_pick(&table, mr__pick_member(param, "name"));
        mr__table_cell_pick(&table, mr__pick_member(param, "type"));
        if (mr__pick_is(mr__pick_member(param, "required"), "true")) {
            mr__text_puts(&cell, "required");
        } else if (mr__pick_present(otherwise)) {
            mr__text_add(&cell, otherwise.at, otherwise.len);
        }
        mr__table_cell(&table, mr__text_str(&cell));
        mr__table_cell_pick(&table, mr__pick_member(param, "help"));
        mr__text_finish(&cell);
    }
    mr__print_out(cli, mr__text_str(&text), text.len);
    if (table.cell_count > 0) {
        mr__print_out(cli, "\n", 1);
        mr__table_print(cli, &table);
    }
    mr__table_finish(&table);
    mr__text_finish(&text);
}

static void print_actions(struct mr__cli *cli, struct mr__pick actions)
{
    static const char *const heads[] = {"ACTION", "PLUGIN", "HELP", NULL};
    struct mr__table table;
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick action;
    mr__table_init(&table, heads);
    mr__pick_begin(&each, actions);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &action)) {
        mr__table_cell_pick(&table, mr__pick_member(action, "name"));
        mr__table_cell_pick(&table, mr__pick_member(action, "plugin"));
        mr__table_cell_pick(&table, mr__pick_member(action, "help"));
    }
    mr__table_print(cli, &table);
    mr__table_finish(&table);
}

/* A list: an array with -o json, one a line with -o jsonl. */
static void print_list(struct mr__cli *cli, struct mr__pick items)
{
    struct mr__documents documents = {.cli = cli};
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick item;
    mr__pick_begin(&each, items);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &item)) {
        mr__documents_add(&documents, item);
    }
    mr__documents_end(&documents);
}

int mr__cmd_actions(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    struct mr__text request = {0};
    struct mr__text answer = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "actions");
        if (words->count > 0) {
            mr__request_string(&request, "name", words->at[0]);
        }
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK) {
        struct mr__pick actions =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "actions");
        struct mr__pick_each each;
        struct mr__pick key;
        struct mr__pick first = {NULL, 0};
        mr__pick_begin(&each, actions);
        bool found = !each.object && each.at != NULL && mr__pick_next(&each, &key, &first);
        if (words->count > 0 && !found) {
            code = mr__print_error(cli, MR_ENOTFOUND, NULL, "no action \"%s\"", words->at[0]);
        } else if (mr__print_is_json(cli)) {
            print_list(cli, actions);
        } else if (words->count > 0) {
            print_action(cli, first);
        } else {
            print_actions(cli, actions);
        }
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

/* The file is tried in a child process, so that no plugin can take this one along. */
int mr__cmd_plugin_check(struct mr__cli *cli)
{
    const char *file = cli->options.words.at[0];
    struct mr__trial trial;
    int64_t left_ms = mr__session_take_deadline(cli);
    mr__trial_run(file, left_ms < 0 ? TRIAL_MS : left_ms, &trial);
    int code = MR__EXIT_OK;
    struct mr__pick plugin = mr__pick_value(mr__text_str(&trial.json), trial.json.len);
    if (trial.status != MR_OK) {
        code = mr__print_error(cli, trial.status, NULL, "%s",
                               trial.error.message[0] != '\0' ? trial.error.message
                                                              : mr_status_text(trial.status));
    } else if (mr__print_is_json(cli)) {
        mr__print_document(cli, plugin);
    } else {
        struct mr__text text = {0};
        mr__text_puts(&text, file);
        mr__text_puts(&text, trial.tested ? ": ok, self-test passed\n" : ": ok\n");
        mr__print_out(cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
        if (mr__pick_count(mr__pick_member(plugin, "actions")) > 0) {
            print_actions(cli, mr__pick_member(plugin, "actions"));
        }
    }
    mr__trial_finish(&trial);
    return code;
}

/* ---- schema -------------------------------------------------------------------------------- */

static int print_annotations(struct mr__cli *cli)
{
    char *text = NULL;
    mr_error error = {0};
    mr_status status = mr_lua_annotations(&text, &error);
    if (status != MR_OK) {
        return mr__print_error(cli, status, NULL, "%s", error.message);
    }
    mr__print_out(cli, text, strlen(text));
    mr_free(text);
    return MR__EXIT_OK;
}

int mr__cmd_schema(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    if (words->count > 0 && strcmp(words->at[0], "lua") == 0) {
        return print_annotations(cli);
    }
    if (words->count > 0) {
        return mr__print_error(cli, MR_EINVAL, "lua", "there is no schema of \"%s\"", words->at[0]);
    }
    char *json = NULL;
    mr_error error = {0};
    mr_status status = mr_schema(cli->plugins.len > 0 ? cli->plugins.at : NULL, &json, &error);
    if (status != MR_OK) {
        return mr__print_error(cli, status, NULL, "%s",
                               error.message[0] != '\0' ? error.message : mr_status_text(status));
    }
    mr__print_document(cli, mr__pick_value(json, strlen(json)));
    mr_free(json);
    return MR__EXIT_OK;
}

/* ---- version ------------------------------------------------------------------------------- */

int mr__cmd_version(struct mr__cli *cli)
{
    struct mr__text text = {0};
    mr__text_printf(&text, mr__print_is_json(cli) ? "{\"version\":\"%s\"}\n" : "millrace %s\n",
                    mr_version());
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
    return MR__EXIT_OK;
}
