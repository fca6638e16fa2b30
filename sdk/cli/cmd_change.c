/* SPDX-License-Identifier: MIT
 *
 * cancel, retry, continue: a whole run at a time.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/follow.h"
#include "sdk/cli/print.h"

#include <string.h>

/* The run that the words name. Words for tasks are not of this release. */
static int find_run(struct mr__cli *cli, struct mr__text *id)
{
    const char *task = cli->options.words.count > 1 ? cli->options.words.at[1] : NULL;
    const char **ret_task = task == NULL ? &task : NULL;
    int code = mr__session_resolve(cli, id, ret_task);
    if (code == MR__EXIT_OK && task != NULL) {
        code = mr__print_error(cli, MR_ENOSYS, NULL,
                               "%s: single tasks (\"%s\") are not yet supported, and no run is "
                               "called so",
                               cli->options.command->name, task);
    }
    return code;
}

/* Sends `op`. With `goes_on` the run belongs to this process from now on. */
static int change(struct mr__cli *cli, const char *op, const char *id, bool goes_on,
                  struct mr__text *answer)
{
    struct mr__text request = {0};
    struct mr__failure failure;
    int code = MR__EXIT_OK;
    mr__request_begin(&request, op);
    mr__request_string(&request, "run", id);
    mr__text_puts(&request, goes_on ? ",\"attach\":true}" : "}");
    if (goes_on) {
        mr__session_own_begin(cli);
    }
    bool done = mr__session_try(cli, &request, answer, &failure);
    if (goes_on) {
        mr__session_own_add(cli, done ? id : NULL);
    }
    if (!done) {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&request);
    return code;
}

static int change_and_follow(struct mr__cli *cli, const char *op)
{
    struct mr__text id = {0};
    struct mr__text answer = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = find_run(cli, &id);
    }
    cli->logs_since_ms = mr__session_unix_ms(); /* what ran before was seen before */
    if (code == MR__EXIT_OK) {
        code = change(cli, op, id.at, true, &answer);
    }
    if (code == MR__EXIT_OK) {
        code = mr__follow_and_print(cli, id.at);
    }
    mr__text_finish(&id);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_retry(struct mr__cli *cli)
{
    return change_and_follow(cli, "retry");
}

int mr__cmd_continue(struct mr__cli *cli)
{
    return change_and_follow(cli, "continue");
}

int mr__cmd_cancel(struct mr__cli *cli)
{
    struct mr__text id = {0};
    struct mr__text answer = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = find_run(cli, &id);
    }
    if (code == MR__EXIT_OK) {
        code = change(cli, "cancel", id.at, false, &answer);
    }
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        struct mr__pick canceled = mr__pick_value(mr__text_str(&answer), answer.len);
        struct mr__pick status = mr__pick_member(canceled, "status");
        struct mr__text text = {0};
        mr__text_puts(&text, "{\"id\":");
        mr__text_json(&text, id.at, id.len);
        mr__text_puts(&text, ",\"status\":");
        mr__text_add(&text, status.at != NULL ? status.at : "null",
                     status.at != NULL ? status.len : 4);
        mr__text_puts(&text, "}\n");
        mr__print_out(cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
    } else if (code == MR__EXIT_OK && !cli->options.quiet) {
        mr__print_talk(cli, "run %s is canceled", mr__print_short_id(id.at));
    }
    mr__text_finish(&id);
    mr__text_finish(&answer);
    return code;
}
