/* SPDX-License-Identifier: MIT
 *
 * bench: the engine's speed on this machine, beside that of a bare store.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <string.h>

static void add_number(struct mr__text *options, const char *name, int64_t number)
{
    if (number > 0) {
        mr__text_printf(options, "%s\"%s\":%lld", options->len > 1 ? "," : "", name,
                        (long long)number);
    }
}

/* A number of the document as it is written, "?" where it lacks it. */
static void add_member(struct mr__text *text, const char *before, struct mr__pick bench,
                       const char *name)
{
    struct mr__pick value = mr__pick_member(bench, name);
    mr__text_puts(text, before);
    mr__text_add(text, value.at != NULL ? value.at : "?", value.at != NULL ? value.len : 1);
}

static void print_bench(struct mr__cli *cli, struct mr__pick bench)
{
    struct mr__text text = {0};
    add_member(&text, "", bench, "tasks");
    add_member(&text, " tasks of ", bench, "runs");
    add_member(&text, " runs, ", bench, "in_flight");
    add_member(&text, " in flight, in ", bench, "seconds");
    add_member(&text, " s\n\ntasks per second     ", bench, "tasks_per_second");
    add_member(&text, "\na bare store's limit ", bench, "limit_tasks_per_second");
    add_member(&text, "\nratio                ", bench, "ratio");
    add_member(&text, "\ncommits              ", bench, "commits");
    add_member(&text, "\nbytes per task       ", bench, "bytes_per_task");
    add_member(&text, "\nfsync                ", bench, "fsync");
    mr__text_puts(&text, "\n");
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}

int mr__cmd_bench(struct mr__cli *cli)
{
    const struct mr__options *o = &cli->options;
    struct mr__text store = {0};
    struct mr__text options = {0};
    char *json = NULL;
    mr_error error = {0};
    mr_status status = mr__session_store(cli, &store, &error);
    mr__text_puts(&options, "{");
    add_number(&options, "runs", o->bench_runs);
    add_number(&options, "in_flight", o->bench_in_flight);
    add_number(&options, "tasks", o->bench_tasks);
    mr__text_puts(&options, "}");
    if (status == MR_OK && !options.failed) {
        status = mr_bench(store.at, cli->plugins.len > 0 ? cli->plugins.at : NULL, options.at,
                          &json, &error);
    }
    struct mr__pick bench =
        json != NULL ? mr__pick_value(json, strlen(json)) : (struct mr__pick){NULL, 0};
    int code = MR__EXIT_OK;
    if (status != MR_OK || bench.at == NULL) {
        code = mr__print_error(cli, status != MR_OK ? status : MR_EFORMAT, NULL, "%s",
                               error.message[0] != '\0' ? error.message : mr_status_text(status));
    } else if (mr__print_is_json(cli)) {
        mr__print_document(cli, bench);
    } else {
        print_bench(cli, bench);
    }
    mr_free(json);
    mr__text_finish(&store);
    mr__text_finish(&options);
    return code;
}
