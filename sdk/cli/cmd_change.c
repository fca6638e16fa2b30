/* SPDX-License-Identifier: MIT
 *
 * cancel, retry, continue: of a whole run or of some of its tasks; pause, unpause; rerun.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/follow.h"
#include "sdk/cli/print.h"
#include "sdk/cli/start.h"

#include <string.h>

/* What the words name: a run, and tasks from the word `tasks` on. */
struct target {
    struct mr__text id;
    size_t tasks;
};

/* A verb of whole runs takes one word: it names a run, or it is wrong. */
static int find_target(struct mr__cli *cli, struct target *target)
{
    bool whole = cli->options.command->words_max == 1;
    int code = mr__session_open(cli, 0);
    target->tasks = cli->options.words.count;
    return code == MR__EXIT_OK
               ? mr__session_resolve(cli, &target->id, whole ? NULL : &target->tasks)
               : code;
}

static int add_tasks(struct mr__cli *cli, const struct target *target, struct mr__text *request)
{
    const struct mr__list *words = &cli->options.words;
    for (size_t i = target->tasks; i < words->count; i++) {
        if (!mr__text_is_utf8(words->at[i], strlen(words->at[i]))) {
            return mr__print_error(cli, MR_EINVAL, NULL, "the name of a task is not UTF-8");
        }
        mr__text_puts(request, i == target->tasks ? ",\"tasks\":[" : ",");
        mr__text_json(request, words->at[i], strlen(words->at[i]));
    }
    mr__text_puts(request, target->tasks < words->count ? "]" : "");
    return MR__EXIT_OK;
}

/* Sends the verb. With `goes_on` the run belongs to this process from now on. A cancel is waited
 * for by whoever owns the store: its children and hooks end with it. */
static int change(struct mr__cli *cli, const struct target *target, bool goes_on,
                  struct mr__text *answer)
{
    struct mr__text request = {0};
    struct mr__failure failure;
    const char *id = mr__text_str(&target->id);
    mr__request_begin(&request, cli->options.command->name);
    mr__request_string(&request, "run", id);
    int code = add_tasks(cli, target, &request);
    bool stays = goes_on || strcmp(cli->options.command->name, "cancel") == 0;
    mr__text_puts(&request, stays ? ",\"attach\":true}" : "}");
    if (code == MR__EXIT_OK && goes_on) {
        mr__session_own_begin(cli);
    }
    bool done = code == MR__EXIT_OK && mr__session_try(cli, &request, answer, &failure);
    if (code == MR__EXIT_OK && goes_on) {
        mr__session_own_add(cli, done ? id : NULL);
    }
    if (code == MR__EXIT_OK && !done) {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&request);
    return code;
}

/* ---- retry, continue, unpause -------------------------------------------------------------- */

static int change_and_follow(struct mr__cli *cli)
{
    struct target target = {0};
    struct mr__text answer = {0};
    int code = find_target(cli, &target);
    cli->logs_since_ms = mr__session_unix_ms(); /* what ran before was seen before */
    if (code == MR__EXIT_OK) {
        code = change(cli, &target, true, &answer);
    }
    if (code == MR__EXIT_OK) {
        code = mr__follow_and_print(cli, target.id.at);
    }
    mr__text_finish(&target.id);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_retry(struct mr__cli *cli)
{
    return change_and_follow(cli);
}

int mr__cmd_continue(struct mr__cli *cli)
{
    return change_and_follow(cli);
}

int mr__cmd_unpause(struct mr__cli *cli)
{
    return change_and_follow(cli);
}

/* ---- cancel, pause ------------------------------------------------------------------------- */

static void print_status(struct mr__cli *cli, const struct mr__text *id,
                         const struct mr__text *answer)
{
    struct mr__pick changed = mr__pick_value(mr__text_str(answer), answer->len);
    struct mr__pick status = mr__pick_member(changed, "status");
    struct mr__text text = {0};
    mr__text_puts(&text, "{\"id\":");
    mr__text_json(&text, mr__text_str(id), id->len);
    mr__text_puts(&text, ",\"status\":");
    mr__text_add(&text, status.at != NULL ? status.at : "null", status.at != NULL ? status.len : 4);
    mr__text_puts(&text, "}\n");
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}

/* "run 12345678 is canceled", "canceled in run 12345678: build, push", "run 12345678 is paused; let
 * it go on: millrace unpause 12345678" */
static void tell_change(struct mr__cli *cli, const struct target *target, bool paused)
{
    const struct mr__list *words = &cli->options.words;
    const char *id = mr__text_str(&target->id);
    struct mr__text text = {0};
    if (paused) {
        mr__text_printf(&text, "run %s is paused; let it go on:   ", mr__print_short_id(id));
        mr__print_command(cli, &text, "unpause", id, NULL);
    } else if (target->tasks == words->count) {
        mr__text_printf(&text, "run %s is canceled", mr__print_short_id(id));
    } else {
        mr__text_printf(&text, "canceled in run %s:", mr__print_short_id(id));
        for (size_t i = target->tasks; i < words->count; i++) {
            mr__text_puts(&text, i == target->tasks ? " " : ", ");
            mr__text_puts(&text, words->at[i]);
        }
    }
    mr__print_talk(cli, "%s", mr__text_str(&text));
    mr__text_finish(&text);
}

static int change_and_tell(struct mr__cli *cli, bool pauses)
{
    struct target target = {0};
    struct mr__text answer = {0};
    int code = find_target(cli, &target);
    if (code == MR__EXIT_OK) {
        code = change(cli, &target, false, &answer);
    }
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        print_status(cli, &target.id, &answer);
    } else if (code == MR__EXIT_OK && !cli->options.quiet) {
        tell_change(cli, &target, pauses);
    }
    mr__text_finish(&target.id);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_cancel(struct mr__cli *cli)
{
    return change_and_tell(cli, false);
}

int mr__cmd_pause(struct mr__cli *cli)
{
    return change_and_tell(cli, true);
}

/* ---- rerun --------------------------------------------------------------------------------- */

int mr__cmd_rerun(struct mr__cli *cli)
{
    struct mr__text old = {0};
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__text id = {0};
    struct mr__failure failure;
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = mr__session_resolve(cli, &old, NULL);
    }
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "rerun");
        mr__request_string(&request, "run", mr__text_str(&old));
        if (cli->options.from != NULL) {
            mr__request_string(&request, "from", cli->options.from);
        }
        mr__text_puts(&request, ",\"attach\":true}");
        code = mr__start_send(cli, &request, &answer, &id, &failure)
                   ? mr__start_stay(cli, &id, false)
                   : mr__print_failure(cli, &failure);
    }
    mr__text_finish(&old);
    mr__text_finish(&request);
    mr__text_finish(&answer);
    mr__text_finish(&id);
    return code;
}
