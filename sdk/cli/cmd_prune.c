/* SPDX-License-Identifier: MIT
 *
 * prune: removes finished runs.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

static void add_number(struct mr__text *request, const char *name, int64_t number)
{
    if (number >= 0) {
        mr__text_printf(request, ",\"%s\":%lld", name, (long long)number);
    }
}

static void add_text(struct mr__text *request, const char *name, const char *text)
{
    if (text != NULL) {
        mr__request_string(request, name, text);
    }
}

int mr__cmd_prune(struct mr__cli *cli)
{
    const struct mr__options *o = &cli->options;
    struct mr__text request = {0};
    struct mr__text answer = {0};
    if (o->older_ms < 0 && o->keep < 0 && o->dag == NULL && o->status == NULL) {
        return mr__print_error(cli, MR_EINVAL, NULL,
                               "prune: which runs? (--older, --keep, --dag or --status)");
    }
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "prune");
        add_number(&request, "older", o->older_ms);
        add_number(&request, "keep", o->keep);
        add_text(&request, "dag", o->dag);
        add_text(&request, "status", o->status);
        mr__text_puts(&request, o->dry_run ? ",\"dryRun\":true}" : "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK) {
        struct mr__pick pruned =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "prune");
        int64_t runs = mr__pick_int(mr__pick_member(pruned, "runs"), 0);
        struct mr__text text = {0};
        if (mr__print_is_json(cli)) {
            mr__print_document(cli, pruned);
        } else {
            mr__text_printf(&text, "%lld run%s %s\n", (long long)runs, runs == 1 ? "" : "s",
                            o->dry_run ? "would be removed" : "removed");
            mr__print_out(cli, mr__text_str(&text), text.len);
        }
        mr__text_finish(&text);
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}
