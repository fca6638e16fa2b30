/* SPDX-License-Identifier: MIT
 *
 * plan: what a run would do. Runs nothing and stores nothing.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/outline.h"
#include "sdk/cli/print.h"

/* What mr_plan calls it, what it is called here (NULL: its reason says it), and when counted. */
static const struct {
    const char *plan, *text, *counted;
} fates[] = {
    {"run", "runs", "run"},
    {"skip", NULL, "skipped"},
    {"block", NULL, "blocked"},
    {"fail", "fails", "fail"},
    {"wait", "waits", "wait"},
    {"never", "never begins", "never begin"},
    {"undecided", "decided when it runs", "decided when it runs"},
};
#define FATES (sizeof fates / sizeof fates[0])

static size_t fate_of(const struct mr__outline_task *task)
{
    size_t fate = 0;
    struct mr__pick plan = mr__pick_member(task->object, "plan");
    while (fate + 1 < FATES && !mr__pick_equals(plan, fates[fate].plan)) {
        fate++;
    }
    return fate;
}

/* "build, fetch" of ["build","fetch"]. */
static void add_list(struct mr__text *text, struct mr__pick list)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick item;
    bool first = true;
    mr__pick_begin(&each, list);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &item)) {
        mr__text_puts(text, first ? "" : ", ");
        (void)mr__pick_text(item, text); /* null: a name that no task has */
        first = false;
    }
}

static void add_row(struct mr__table *table, const struct mr__outline_task *task)
{
    struct mr__text cell = {0};
    struct mr__pick items = mr__pick_member(task->object, "items");
    struct mr__pick reason = mr__pick_member(task->object, "reason");
    mr__text_printf(&cell, "%lld",
                    (long long)mr__pick_int(mr__pick_member(task->object, "layer"), 0) + 1);
    mr__table_cell(table, mr__text_str(&cell));
    mr__table_cell_pick(table, task->id);
    mr__table_cell_pick(table, mr__pick_member(task->object, "action"));
    mr__text_clear(&cell);
    add_list(&cell, mr__pick_member(task->object, "dependOn"));
    mr__table_cell(table, mr__text_str(&cell));
    mr__text_clear(&cell);
    const char *text = fates[fate_of(task)].text;
    mr__text_puts(&cell, text != NULL ? text : "");
    if (mr__pick_present(items)) {
        mr__text_printf(&cell, ", for each of %lld", (long long)mr__pick_int(items, 0));
    } else if (mr__pick_is(mr__pick_member(task->object, "forEach"), "true")) {
        mr__text_puts(&cell, ", for each");
    }
    if (reason.len > 2) { /* more than its quotes */
        mr__text_puts(&cell, text != NULL ? ": " : "");
        (void)mr__pick_text(reason, &cell); /* it is there */
    }
    mr__table_cell(table, mr__text_str(&cell));
    mr__text_finish(&cell);
}

/* "5 tasks: 3 run, 2 skipped", to stderr. */
static void tell_counts(struct mr__cli *cli, const struct mr__outline *outline)
{
    size_t counts[FATES] = {0};
    struct mr__text text = {0};
    bool first = true;
    for (size_t i = 0; i < outline->count; i++) {
        counts[fate_of(&outline->tasks[i])]++;
    }
    mr__text_printf(&text, "%zu task%s: ", outline->count, outline->count == 1 ? "" : "s");
    for (size_t i = 0; i < FATES; i++) {
        if (counts[i] > 0) {
            mr__text_printf(&text, "%s%zu %s", first ? "" : ", ", counts[i], fates[i].counted);
            first = false;
        }
    }
    mr__print_talk(cli, "%s", mr__text_str(&text));
    mr__text_finish(&text);
}

int mr__cmd_plan(struct mr__cli *cli)
{
    static const char *const heads[] = {"STEP", "TASK", "ACTION", "AFTER", "PLAN", NULL};
    struct mr__outline outline;
    int code = mr__outline_read(cli, false, &outline);
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        mr__print_document(cli, outline.document);
    } else if (code == MR__EXIT_OK) {
        struct mr__table table;
        mr__table_init(&table, heads);
        for (size_t i = 0; i < outline.count; i++) {
            add_row(&table, &outline.tasks[i]);
        }
        mr__table_print(cli, &table);
        mr__table_finish(&table);
        if (!cli->options.quiet) {
            tell_counts(cli, &outline);
        }
    }
    mr__outline_finish(&outline);
    return code;
}
