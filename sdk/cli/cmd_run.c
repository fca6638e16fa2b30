/* SPDX-License-Identifier: MIT
 *
 * run: submits a dag file, or a dag of the store, and stays with its run; run --resume: goes on
 * with what is unfinished.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/follow.h"
#include "sdk/cli/print.h"
#include "sdk/cli/submit.h"

static int resume_all(struct mr__cli *cli);

int mr__cmd_run(struct mr__cli *cli)
{
    const struct mr__options *o = &cli->options;
    if (o->resume) {
        if (o->words.count > 0 || o->vars.count > 0 || o->vars_file != NULL || o->tags.count > 0 ||
            o->key != NULL || o->detach || o->only.count > 0 || o->compat) {
            return mr__print_error(cli, MR_EINVAL, NULL,
                                   "run --resume goes on with what is unfinished: it takes no FILE "
                                   "and nothing that belongs to a new run");
        }
        return resume_all(cli);
    }
    if (o->words.count == 0) {
        return mr__print_error(cli, MR_EINVAL, NULL, "run: which FILE or DAG? (or - or --resume)");
    }
    if (o->words.count > 1 && o->only.count == 0) {
        return mr__print_error(cli, MR_EINVAL, NULL, "run: \"%s\" is too much: millrace run %s",
                               o->words.at[1], o->command->synopsis);
    }
    return mr__submit_word(cli);
}

/* ---- run --resume -------------------------------------------------------------------------- */

/* How bad an exit code is: the worst of all runs counts. A run that nobody could go on with is
 * worst. */
static int badness(int code)
{
    switch (code) {
    case MR__EXIT_OK: return 0;
    case MR__EXIT_BLOCKED: return 1;
    case MR__EXIT_FAILED: return 2;
    case MR__EXIT_NOT_FOUND:
    case MR__EXIT_DEFINITION: return 3;
    default: return 4; /* it could not be seen to the end */
    }
}

/* "run ID stays as it is: ...": its action is missing, or its dag cannot be read. */
static mr_status add_why(struct mr__text *text, struct mr__pick item)
{
    struct mr__pick message = mr__pick_member(item, "message");
    mr__text_clear(text);
    mr__text_puts(text, "run ");
    (void)mr__pick_text(mr__pick_member(item, "run"), text); /* absent: left out, as below */
    mr__text_puts(text, " stays as it is: ");
    if (message.at != NULL) {
        (void)mr__pick_text(message, text);
        return MR_EDEFINITION;
    }
    mr__text_puts(text, "task ");
    (void)mr__pick_text(mr__pick_member(item, "task"), text);
    mr__text_puts(text, " needs the action \"");
    (void)mr__pick_text(mr__pick_member(item, "action"), text);
    mr__text_puts(text, "\", which no plugin here has");
    return MR_ENOTFOUND;
}

/* Names the runs that nobody can go on with, for whatever reason. */
static int tell_left(struct mr__cli *cli, struct mr__pick left, bool alone)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick item;
    struct mr__text text = {0};
    struct mr__text objects = {0};
    int code = MR__EXIT_OK;
    mr__pick_begin(&each, left);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &item)) {
        mr_status status = add_why(&text, item);
        if (alone && mr__print_is_json(cli)) {
            mr__text_puts(&objects, objects.len > 0 ? "," : "");
            mr__print_error_object(&objects, mr_status_text(status), mr__text_str(&text), NULL);
        } else {
            mr__print_talk(cli, "millrace: %s", mr__text_str(&text));
        }
        code = mr__session_exit_of(status);
    }
    if (objects.len > 0) {
        mr__print_out(cli, "{\"errors\":[", 11);
        mr__print_out(cli, objects.at, objects.len);
        mr__print_out(cli, "]}\n", 3);
    }
    mr__text_finish(&text);
    mr__text_finish(&objects);
    return code;
}

/* Waits for one of several runs; they go on side by side. `ret_seen`: it was seen to its end. */
static int wait_for(struct mr__cli *cli, const char *id, struct mr__documents *documents,
                    bool *ret_seen)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__failure failure;
    int code;
    mr__request_begin(&request, "wait");
    mr__request_string(&request, "run", id);
    mr__text_puts(&request, "}");
    bool ended = mr__session_try(cli, &request, &answer, &failure);
    bool late = !ended && failure.status == MR_ETIMEDOUT;
    if (late && mr__session_time_out(cli)) {
        mr__print_talk(cli, "millrace: timed out: canceling");
        ended = mr__session_try(cli, &request, &answer, &failure);
    }
    struct mr__pick run =
        mr__pick_member(mr__pick_value(mr__text_str(&answer), ended ? answer.len : 0), "run");
    *ret_seen = run.at != NULL;
    if (run.at != NULL) {
        code = late ? MR__EXIT_TIMEOUT : mr__session_exit_of_run(run);
        mr__follow_tell(cli, run);
        if (mr__print_is_json(cli)) {
            mr__documents_add(documents, run);
            (void)mr__print_flush(cli, MR__EXIT_OK); /* told at the end */
        }
    } else {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

/* `runs`: a list of ids, at least two. */
static int wait_for_all(struct mr__cli *cli, struct mr__pick runs)
{
    struct mr__documents documents = {.cli = cli};
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick run;
    struct mr__text id = {0};
    int worst = MR__EXIT_OK;
    bool seen = true;
    mr__pick_begin(&each, runs);
    while (seen && mr__pick_next(&each, &key, &run)) {
        mr__text_clear(&id);
        (void)mr__pick_text(run, &id); /* null: a name that no run has */
        int code = wait_for(cli, mr__text_str(&id), &documents, &seen);
        worst = badness(code) > badness(worst) ? code : worst;
    }
    if (mr__print_is_json(cli) && documents.count > 0) {
        mr__documents_end(&documents);
    }
    mr__text_finish(&id);
    return worst;
}

static void own_all(struct mr__cli *cli, struct mr__pick runs)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick run;
    struct mr__text id = {0};
    mr__pick_begin(&each, runs);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &run)) {
        mr__text_clear(&id);
        if (mr__pick_text(run, &id) && !id.failed) {
            mr__session_own_add(cli, id.at);
        }
    }
    mr__session_own_add(cli, NULL);
    mr__text_finish(&id);
}

static int resume_all(struct mr__cli *cli)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__text id = {0};
    struct mr__failure failure;
    int code = mr__session_open(cli, MR__OPEN_RESUME);
    if (code != MR__EXIT_OK) {
        return code;
    }
    mr__request_begin(&request, "resume");
    mr__text_puts(&request, ",\"attach\":true}");
    mr__session_own_begin(cli);
    bool resumed = mr__session_try(cli, &request, &answer, &failure);
    struct mr__pick all = mr__pick_value(mr__text_str(&answer), resumed ? answer.len : 0);
    struct mr__pick runs = mr__pick_member(all, "runs");
    own_all(cli, runs);
    size_t count = mr__pick_count(runs);
    if (!resumed) {
        code = mr__print_failure(cli, &failure);
        goto finish;
    }
    int left = tell_left(cli, mr__pick_member(all, "missing"), count == 0);
    int unreadable =
        tell_left(cli, mr__pick_member(all, "unreadable"), count == 0 && left == MR__EXIT_OK);
    left = left == MR__EXIT_OK ? unreadable : left;
    if (count == 0 && left == MR__EXIT_OK) {
        if (!cli->options.quiet) {
            mr__print_talk(cli, "millrace: no unfinished run");
        }
        if (cli->options.output == MR__OUTPUT_JSON) {
            mr__print_out(cli, "[]\n", 3);
        }
    } else if (count == 1) {
        struct mr__pick_each each;
        struct mr__pick key;
        struct mr__pick run = {NULL, 0};
        mr__pick_begin(&each, runs);
        (void)mr__pick_next(&each, &key, &run); /* there is one */
        (void)mr__pick_text(run, &id);          /* null: a name that no run has */
        code = mr__follow_and_print(cli, mr__text_str(&id));
    } else if (count > 1) {
        if (!cli->options.quiet) {
            mr__print_talk(cli, "millrace: going on with %zu runs", count);
        }
        code = wait_for_all(cli, runs);
    }
    code = badness(left) > badness(code) ? left : code;
finish:
    mr__text_finish(&request);
    mr__text_finish(&answer);
    mr__text_finish(&id);
    return code;
}
