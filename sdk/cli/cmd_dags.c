/* SPDX-License-Identifier: MIT
 *
 * push, dags, stop, start: the dags of the store.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/files.h"
#include "sdk/cli/listing.h"
#include "sdk/cli/print.h"

#include <string.h>

#define VERSION_SHOWN 8 /* the first characters of a version */

static void add_or_null(struct mr__text *text, struct mr__pick value)
{
    mr__text_add(text, value.at != NULL ? value.at : "null", value.at != NULL ? value.len : 4);
}

/* ---- push ---------------------------------------------------------------------------------- */

/* What is said of all files together with -o json. */
struct pushes {
    struct mr__text errors;   /* objects, ',' between */
    struct mr__text warnings; /* likewise */
    struct mr__text dags;     /* likewise */
    int code;
};

static void take_failure(struct mr__cli *cli, const struct mr__failure *failure,
                         struct pushes *pushes)
{
    int code = mr__session_exit_of(failure->status);
    if (mr__print_is_json(cli)) {
        mr__print_failure_objects(&pushes->errors, failure);
    } else {
        code = mr__print_failure(cli, failure);
    }
    pushes->code = pushes->code == MR__EXIT_DEFINITION ? pushes->code : code;
}

static void take_pushed(struct mr__cli *cli, const char *name, struct mr__pick pushed,
                        struct pushes *pushes)
{
    static const char *const members[] = {"dag", "version", "new", "status"};
    struct mr__pick warnings = mr__pick_member(pushed, "warnings");
    struct mr__text text = {0};
    struct mr__text version = {0};
    mr__print_problem_objects(&pushes->warnings, warnings);
    if (mr__print_is_json(cli)) {
        mr__text_puts(&pushes->dags, pushes->dags.len > 0 ? ",{\"file\":" : "{\"file\":");
        mr__text_json(&pushes->dags, name, strlen(name));
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            mr__text_printf(&pushes->dags, ",\"%s\":", members[i]);
            add_or_null(&pushes->dags, mr__pick_member(pushed, members[i]));
        }
        mr__text_puts(&pushes->dags, "}");
    } else if (!cli->options.quiet) {
        bool is_new = mr__pick_is(mr__pick_member(pushed, "new"), "true");
        bool stopped = mr__pick_equals(mr__pick_member(pushed, "status"), "stopped");
        mr__print_problems(cli, warnings);
        (void)mr__pick_text(mr__pick_member(pushed, "version"), &version); /* absent: empty */
        mr__text_puts(&text, name);
        mr__text_puts(&text, ": ");
        (void)mr__pick_text(mr__pick_member(pushed, "dag"), &text); /* likewise */
        mr__text_printf(&text, ", %s %.*s%s\n", is_new ? "new version" : "unchanged, version",
                        VERSION_SHOWN, mr__text_str(&version), stopped ? ", stopped" : "");
        mr__print_out(cli, mr__text_str(&text), text.len);
    }
    mr__text_finish(&text);
    mr__text_finish(&version);
}

/* The request for a file; false: `failure` says why there is none, or the code is set. */
static bool make_push(struct mr__cli *cli, const char *path, struct mr__text *request,
                      struct mr__text *answer, struct pushes *pushes)
{
    struct mr__text file = {0};
    struct mr__text folder = {0};
    struct mr__failure failure = {0};
    bool made = false;
    const char *missing;
    int code = mr__files_read(cli, path, &missing, &file);
    if (code == MR__EXIT_NOT_FOUND) {
        failure.status = MR_ENOTFOUND;
        (void)snprintf(failure.error.message, sizeof failure.error.message, "%s: %s", path,
                       missing); /* cut if too long */
        take_failure(cli, &failure, pushes);
    } else if (code == MR__EXIT_OK && !mr__files_sendable(cli, path, &file, answer, &failure)) {
        take_failure(cli, &failure, pushes);
    } else {
        code = code == MR__EXIT_OK ? mr__files_folder(cli, path, &folder) : code;
        pushes->code = code != MR__EXIT_OK ? code : pushes->code;
        made = code == MR__EXIT_OK;
    }
    if (made) {
        mr__request_begin(request, "push");
        mr__request_string(request, "file", mr__files_name(path));
        mr__request_string(request, "folder", mr__text_str(&folder));
        mr__text_puts(request, cli->options.compat ? ",\"compat\":true,\"text\":" : ",\"text\":");
        mr__text_json(request, mr__text_str(&file), file.len);
        mr__text_puts(request, "}");
    }
    mr__text_finish(&file);
    mr__text_finish(&folder);
    return made;
}

static void push_file(struct mr__cli *cli, const char *path, struct pushes *pushes)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__failure failure;
    if (make_push(cli, path, &request, &answer, pushes)) {
        if (mr__session_try(cli, &request, &answer, &failure)) {
            take_pushed(cli, mr__files_name(path),
                        mr__pick_value(mr__text_str(&answer), answer.len), pushes);
        } else {
            take_failure(cli, &failure, pushes);
        }
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
}

int mr__cmd_push(struct mr__cli *cli)
{
    struct pushes pushes = {.code = mr__session_open(cli, 0)};
    if (pushes.code != MR__EXIT_OK) {
        return pushes.code;
    }
    for (size_t i = 0; i < cli->options.words.count && !mr__session_is_terminated(cli); i++) {
        push_file(cli, cli->options.words.at[i], &pushes);
    }
    if (mr__print_is_json(cli)) {
        struct mr__text text = {0};
        mr__text_printf(&text, "{\"errors\":[%s],\"warnings\":[%s],\"dags\":[%s]}\n",
                        mr__text_str(&pushes.errors), mr__text_str(&pushes.warnings),
                        mr__text_str(&pushes.dags));
        mr__print_out(cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
    }
    mr__text_finish(&pushes.errors);
    mr__text_finish(&pushes.warnings);
    mr__text_finish(&pushes.dags);
    return pushes.code;
}

/* ---- dags ---------------------------------------------------------------------------------- */

static void add_time(struct mr__table *table, struct mr__pick time)
{
    struct mr__text text = {0};
    mr__print_ago(&text, mr__pick_time(time), mr__session_unix_ms());
    mr__table_cell(table, mr__text_str(&text));
    mr__text_finish(&text);
}

/* "0 7 * * 1-5 Europe/Paris" */
static void add_schedule(struct mr__table *table, struct mr__pick dag)
{
    struct mr__text text = {0};
    struct mr__pick zone = mr__pick_member(dag, "timezone");
    if (mr__pick_present(mr__pick_member(dag, "cron"))) {
        (void)mr__pick_text(mr__pick_member(dag, "cron"), &text); /* it is there */
        if (mr__pick_present(zone)) {
            mr__text_puts(&text, " ");
            (void)mr__pick_text(zone, &text); /* likewise */
        }
    }
    mr__table_cell(table, mr__text_str(&text));
    mr__text_finish(&text);
}

/* "in 9h 00m"; what nobody runs has no next time. */
static void add_next(struct mr__table *table, struct mr__pick time)
{
    struct mr__text text = {0};
    if (mr__pick_present(time)) {
        int64_t in_ms = mr__pick_time(time) - mr__session_unix_ms();
        mr__text_puts(&text, "in ");
        mr__text_duration(&text, in_ms > 0 ? in_ms : 0);
    }
    mr__table_cell(table, mr__text_str(&text));
    mr__text_finish(&text);
}

static void add_text(struct mr__table *table, struct mr__pick value)
{
    if (mr__pick_present(value)) {
        mr__table_cell_pick(table, value);
    } else {
        mr__table_cell(table, "-");
    }
}

static void add_dag(struct mr__table *table, struct mr__pick dag)
{
    struct mr__text version = {0};
    if (mr__pick_present(mr__pick_member(dag, "version"))) {
        (void)mr__pick_text(mr__pick_member(dag, "version"), &version); /* it is there */
    }
    if (version.len > VERSION_SHOWN) {
        version.at[VERSION_SHOWN] = '\0';
    }
    add_text(table, mr__pick_member(dag, "id"));
    add_text(table, mr__pick_member(dag, "status"));
    mr__table_cell(table, mr__text_str(&version));
    mr__table_cell_pick(table, mr__pick_member(dag, "tasks"));
    add_schedule(table, dag);
    add_next(table, mr__pick_member(dag, "next"));
    add_time(table, mr__pick_member(dag, "pushedAt"));
    mr__table_cell_pick(table, mr__pick_member(dag, "file"));
    if (mr__pick_present(mr__pick_member(dag, "problem"))) {
        mr__table_cell_pick(table, mr__pick_member(dag, "problem"));
    } else {
        mr__table_cell(table, "");
    }
    mr__text_finish(&version);
}

int mr__cmd_dags(struct mr__cli *cli)
{
    static const char *const heads[] = {"DAG",  "STATUS", "VERSION", "TASKS",   "SCHEDULE",
                                        "NEXT", "PUSHED", "FILE",    "PROBLEM", NULL};
    const struct mr__listing dags = {.heads = heads, .member = "dag", .add_row = add_dag};
    struct mr__text request = {0};
    mr__request_begin(&request, "dags");
    mr__text_puts(&request, "}");
    return mr__listing_print(cli, &request, &dags);
}

/* ---- stop and start ------------------------------------------------------------------------ */

static int set_status(struct mr__cli *cli, const char *op)
{
    const char *dag = cli->options.words.at[0];
    struct mr__text request = {0};
    struct mr__text answer = {0};
    if (dag[0] == '\0' || !mr__text_is_utf8(dag, strlen(dag))) {
        return mr__print_error(cli, MR_EINVAL, NULL, "%s: the name of the dag is not UTF-8", op);
    }
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, op);
        mr__request_string(&request, "dag", dag);
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        struct mr__pick status =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "status");
        struct mr__text text = {0};
        mr__text_puts(&text, "{\"id\":");
        mr__text_json(&text, dag, strlen(dag));
        mr__text_puts(&text, ",\"status\":");
        add_or_null(&text, status);
        mr__text_puts(&text, "}\n");
        mr__print_out(cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
    } else if (code == MR__EXIT_OK && !cli->options.quiet) {
        mr__print_talk(cli, "dag %s %s", dag,
                       strcmp(op, "stop") == 0 ? "is stopped" : "can be run again");
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_stop(struct mr__cli *cli)
{
    return set_status(cli, "stop");
}

int mr__cmd_start(struct mr__cli *cli)
{
    return set_status(cli, "start");
}
