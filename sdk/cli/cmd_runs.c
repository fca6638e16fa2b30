/* SPDX-License-Identifier: MIT
 *
 * runs, ps, show, wait, watch: looking at runs.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/follow.h"
#include "sdk/cli/listing.h"
#include "sdk/cli/print.h"

#include <string.h>

#define VALUE_COLUMNS 200 /* of variables and the like in text; -o json has them whole */

/* ---- lists --------------------------------------------------------------------------------- */

static void add_tags(struct mr__text *request, const struct mr__list *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        size_t key_len = strcspn(tags->at[i], "=");
        const char *value = tags->at[i] + key_len + 1;
        mr__text_puts(request, i == 0 ? ",\"tags\":{" : ",");
        mr__text_json(request, tags->at[i], key_len);
        mr__text_puts(request, ":");
        mr__text_json(request, value, strlen(value));
    }
    mr__text_puts(request, tags->count > 0 ? "}" : "");
}

static void add_run_row(struct mr__table *table, struct mr__pick run)
{
    int64_t now_ms = mr__session_unix_ms();
    struct mr__text text = {0};
    (void)mr__pick_text(mr__pick_member(run, "id"), &text); /* absent: an empty cell */
    mr__table_cell(table, mr__print_short_id(mr__text_str(&text)));
    mr__table_cell_pick(table, mr__pick_member(run, "dag"));
    mr__table_cell_pick(table, mr__pick_member(run, "status"));
    mr__text_clear(&text);
    mr__print_ago(&text, mr__pick_time(mr__pick_member(run, "createdAt")), now_ms);
    mr__table_cell(table, mr__text_str(&text));
    mr__text_clear(&text);
    mr__print_took(&text, run, now_ms);
    mr__table_cell(table, mr__text_str(&text));
    mr__table_cell_pick(table, mr__pick_member(run, "reason"));
    mr__text_finish(&text);
}

static int list(struct mr__cli *cli, const char *op, int64_t limit)
{
    static const char *const heads[] = {"RUN", "DAG", "STATUS", "CREATED", "TOOK", "REASON", NULL};
    const struct mr__options *o = &cli->options;
    const struct mr__listing runs = {.heads = heads, .member = "run", .add_row = add_run_row};
    struct mr__text request = {0};
    mr__request_begin(&request, op);
    if (o->dag != NULL) {
        mr__request_string(&request, "dag", o->dag);
    }
    if (o->status != NULL) {
        mr__request_string(&request, "status", o->status);
    }
    if (o->since_ms >= 0) {
        mr__text_printf(&request, ",\"since\":%lld", (long long)o->since_ms);
    }
    if (limit >= 0) {
        mr__text_printf(&request, ",\"limit\":%lld", (long long)limit);
    }
    add_tags(&request, &o->tags);
    mr__text_puts(&request, "}");
    return mr__listing_print(cli, &request, &runs);
}

int mr__cmd_runs(struct mr__cli *cli)
{
    return list(cli, "runs", cli->options.limit);
}

int mr__cmd_ps(struct mr__cli *cli)
{
    return list(cli, "ps", cli->options.limit >= 0 ? cli->options.limit : 0);
}

/* ---- show ---------------------------------------------------------------------------------- */

/* "  vars      stage=dev n=3" */
static void add_map(struct mr__text *text, const char *name, struct mr__pick map)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    struct mr__text line = {0};
    mr__pick_begin(&each, map);
    while (each.object && mr__pick_next(&each, &key, &value) && line.len < VALUE_COLUMNS * 4) {
        mr__text_puts(&line, line.len > 0 ? " " : "");
        mr__pick_unescape(key, &line);
        mr__text_puts(&line, "=");
        if (!mr__pick_text(value, &line)) {
            mr__text_puts(&line, "null");
        }
    }
    if (line.len > 0) {
        mr__text_printf(text, "  %-8s  ", name);
        (void)mr__text_clean(text, line.at, line.len, VALUE_COLUMNS,
                             "~"); /* its width is not needed */
        mr__text_puts(text, "\n");
    }
    mr__text_finish(&line);
}

static void add_field(struct mr__text *text, const char *name, const char *value)
{
    if (value[0] != '\0') {
        mr__text_printf(text, "  %-8s  ", name);
        (void)mr__text_clean(text, value, strlen(value), SIZE_MAX, ""); /* likewise */
        mr__text_puts(text, "\n");
    }
}

static void add_head(struct mr__cli *cli, struct mr__text *text, struct mr__pick run)
{
    int64_t now_ms = mr__session_unix_ms();
    struct mr__text value = {0};
    enum mr__state state = mr__progress_state_of(mr__pick_member(run, "status"));
    const char *color = cli->color_out ? mr__progress_state_color(state) : "";
    (void)mr__pick_text(mr__pick_member(run, "dag"), &value); /* absent: empty, as all below */
    (void)mr__text_clean(text, mr__text_str(&value), value.len, SIZE_MAX, ""); /* likewise */
    mr__text_clear(&value);
    (void)mr__pick_text(mr__pick_member(run, "id"), &value);
    mr__text_puts(text, "  run ");
    (void)mr__text_clean(text, mr__text_str(&value), value.len, SIZE_MAX, ""); /* likewise */
    mr__text_printf(text, "  %s%s%s\n", color, mr__progress_state_name(state),
                    color[0] != '\0' ? "\033[0m" : "");
    mr__text_clear(&value);
    (void)mr__pick_text(mr__pick_member(run, "reason"), &value);
    add_field(text, "reason", mr__text_str(&value));
    mr__text_clear(&value);
    mr__print_ago(&value, mr__pick_time(mr__pick_member(run, "createdAt")), now_ms);
    add_field(text, "created", mr__text_str(&value));
    mr__text_clear(&value);
    mr__print_took(&value, run, now_ms);
    add_field(text, "took", mr__text_str(&value));
    mr__text_finish(&value);
    add_map(text, "tags", mr__pick_member(run, "tags"));
    add_map(text, "vars", mr__pick_member(run, "vars"));
    add_map(text, "share", mr__pick_member(run, "share"));
}

static void print_tasks(struct mr__cli *cli, struct mr__pick tasks)
{
    static const char *const heads[] = {"TASK", "ACTION", "STATUS", "ATTEMPTS",
                                        "TOOK", "REASON", NULL};
    int64_t now_ms = mr__session_unix_ms();
    struct mr__table table;
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick task;
    struct mr__text took = {0};
    struct mr__text why = {0};
    mr__table_init(&table, heads);
    mr__pick_begin(&each, tasks);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &task)) {
        mr__table_cell_pick(&table, mr__pick_member(task, "id"));
        mr__table_cell_pick(&table, mr__pick_member(task, "action"));
        mr__table_cell_pick(&table, mr__pick_member(task, "status"));
        mr__table_cell_pick(&table, mr__pick_member(task, "attempts"));
        mr__text_clear(&took);
        mr__print_took(&took, task, now_ms);
        mr__table_cell(&table, mr__text_str(&took));
        mr__text_clear(&why);
        (void)mr__pick_text(mr__pick_member(task, "reason"), &why); /* absent: empty */
        mr__progress_mark(mr__pick_member(task, "progress"), &why); /* of one that runs */
        mr__table_cell(&table, mr__text_str(&why));
        if (table.cell_count >= MR__ROWS_AT_ONCE * table.columns) {
            mr__table_print(cli, &table);
        }
    }
    if (table.cell_count > 0) {
        mr__table_print(cli, &table);
    }
    mr__text_finish(&took);
    mr__text_finish(&why);
    mr__table_finish(&table);
}

/* Asks `op` about the run that the command line names. `ret_run` points into `answer`. */
static int ask_for_run(struct mr__cli *cli, const char *op, struct mr__text *answer,
                       struct mr__pick *ret_run)
{
    struct mr__text id = {0};
    struct mr__text request = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = mr__session_resolve(cli, &id, NULL);
    }
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, op);
        mr__request_string(&request, "run", id.at);
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, answer);
    }
    if (code == MR__EXIT_OK) {
        *ret_run = mr__pick_member(mr__pick_value(mr__text_str(answer), answer->len), "run");
        if (ret_run->at == NULL) {
            code = mr__print_error(cli, MR_EFORMAT, NULL, "the store's owner showed no run");
        }
    }
    mr__text_finish(&id);
    mr__text_finish(&request);
    return code;
}

int mr__cmd_show(struct mr__cli *cli)
{
    struct mr__text answer = {0};
    struct mr__text text = {0};
    struct mr__pick run = {0};
    int code = ask_for_run(cli, "show", &answer, &run);
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        mr__print_document(cli, run);
    } else if (code == MR__EXIT_OK) {
        add_head(cli, &text, run);
        mr__text_puts(&text, "\n");
        mr__print_out(cli, text.at, text.len);
        print_tasks(cli, mr__pick_member(run, "tasks"));
    }
    mr__text_finish(&text);
    mr__text_finish(&answer);
    return code;
}

/* ---- wait and watch ------------------------------------------------------------------------ */

int mr__cmd_watch(struct mr__cli *cli)
{
    struct mr__text id = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = mr__session_resolve(cli, &id, NULL);
    }
    if (code == MR__EXIT_OK) {
        code = mr__follow_and_print(cli, id.at);
    }
    mr__text_finish(&id);
    return code;
}

int mr__cmd_wait(struct mr__cli *cli)
{
    struct mr__text answer = {0};
    struct mr__pick run = {0};
    int code = ask_for_run(cli, "wait", &answer, &run);
    if (code == MR__EXIT_OK) {
        code = mr__session_exit_of_run(run);
        if (mr__print_is_json(cli)) {
            mr__print_document(cli, run);
        } else {
            mr__follow_tell(cli, run);
        }
    }
    mr__text_finish(&answer);
    return code;
}
