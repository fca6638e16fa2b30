/* SPDX-License-Identifier: MIT
 *
 * serve: an owner that stays. It goes on with the unfinished runs, keeps a folder of dags pushed,
 * and says on stderr what becomes of its files; with -o jsonl every answer is a line on stdout.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_SHOWN 8 /* the first characters of a version */

/* ---- what is said -------------------------------------------------------------------------- */

static void tell_pushed(struct mr__cli *cli, struct mr__pick pushed)
{
    struct mr__text text = {0};
    struct mr__text version = {0};
    if (mr__pick_is(mr__pick_member(pushed, "new"), "true")) {
        (void)mr__pick_text(mr__pick_member(pushed, "file"), &text); /* absent: empty, as below */
        mr__text_puts(&text, ": ");
        (void)mr__pick_text(mr__pick_member(pushed, "dag"), &text);
        (void)mr__pick_text(mr__pick_member(pushed, "version"), &version);
        mr__print_talk(cli, "%s, new version %.*s", mr__text_str(&text), VERSION_SHOWN,
                       mr__text_str(&version));
        mr__print_problems(cli, mr__pick_member(pushed, "warnings"));
    }
    mr__text_finish(&text);
    mr__text_finish(&version);
}

static void tell_problem(struct mr__cli *cli, struct mr__pick problem)
{
    struct mr__pick errors = mr__pick_member(problem, "errors");
    struct mr__text text = {0};
    if (mr__pick_count(errors) > 0) {
        mr__print_problems(cli, errors);
        (void)mr__pick_text(mr__pick_member(problem, "file"), &text); /* absent: empty */
        mr__print_talk(cli, "millrace: %s is not taken: what was pushed before stays",
                       mr__text_str(&text));
    } else {
        (void)mr__pick_text(mr__pick_member(problem, "message"), &text); /* absent: empty */
        mr__print_talk(cli, "millrace: %s", mr__text_str(&text));
    }
    mr__text_finish(&text);
}

static void tell_removed(struct mr__cli *cli, struct mr__pick removed)
{
    struct mr__text file = {0};
    struct mr__text dag = {0};
    (void)mr__pick_text(mr__pick_member(removed, "file"), &file); /* absent: empty, as below */
    (void)mr__pick_text(mr__pick_member(removed, "dag"), &dag);
    mr__print_talk(cli, "%s is gone: dag %s stays in the store", mr__text_str(&file),
                   mr__text_str(&dag));
    mr__text_finish(&file);
    mr__text_finish(&dag);
}

/* ---- the unfinished runs ------------------------------------------------------------------- */

/* Of runs whose dag cannot be read something was said when the store was opened. */
static void tell_missing(struct mr__cli *cli, struct mr__pick missing)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick item;
    struct mr__text run = {0};
    struct mr__text action = {0};
    mr__pick_begin(&each, missing);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &item)) {
        mr__text_clear(&run);
        mr__text_clear(&action);
        (void)mr__pick_text(mr__pick_member(item, "run"), &run); /* absent: empty, as below */
        (void)mr__pick_text(mr__pick_member(item, "action"), &action);
        mr__print_talk(cli, "millrace: run %s stays as it is: no plugin here has the action \"%s\"",
                       mr__text_str(&run), mr__text_str(&action));
    }
    mr__text_finish(&run);
    mr__text_finish(&action);
}

/* Goes on with all that can go on. Returns an exit code; how many into `ret_count`. */
static int resume(struct mr__cli *cli, size_t *ret_count)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__failure failure;
    int code = MR__EXIT_OK;
    mr__request_begin(&request, "resume");
    mr__text_puts(&request, "}");
    if (mr__session_try(cli, &request, &answer, &failure)) {
        struct mr__pick resumed = mr__pick_value(mr__text_str(&answer), answer.len);
        *ret_count = mr__pick_count(mr__pick_member(resumed, "runs"));
        tell_missing(cli, mr__pick_member(resumed, "missing"));
    } else {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

static int tell_serving(struct mr__cli *cli, struct mr__pick serving)
{
    size_t runs = 0;
    struct mr__text path = {0};
    mr_error error;
    int code = resume(cli, &runs);
    if (code == MR__EXIT_OK && !cli->options.quiet) {
        int64_t dags = mr__pick_int(mr__pick_member(serving, "dags"), 0);
        (void)mr__session_store(cli, &path, &error); /* it was found when it was opened */
        mr__print_talk(cli, "millrace: serving %s: %lld dag%s, %zu unfinished run%s",
                       mr__text_str(&path), (long long)dags, dags == 1 ? "" : "s", runs,
                       runs == 1 ? "" : "s");
    }
    mr__text_finish(&path);
    return code;
}

/* ---- serving ------------------------------------------------------------------------------- */

/* Returns an exit code other than MR__EXIT_OK where it cannot go on. */
static int take_answer(struct mr__cli *cli, struct mr__pick answer)
{
    struct mr__pick serving = mr__pick_member(answer, "serving");
    struct mr__pick waiting = mr__pick_member(answer, "waiting");
    struct mr__pick pushed = mr__pick_member(answer, "pushed");
    struct mr__pick problem = mr__pick_member(answer, "problem");
    struct mr__pick removed = mr__pick_member(answer, "removed");
    struct mr__pick pruned = mr__pick_member(answer, "pruned");
    int code = MR__EXIT_OK;
    if (serving.at != NULL) {
        code = tell_serving(cli, serving);
    } else if (waiting.at != NULL && !cli->options.quiet) {
        mr__print_talk(cli, "millrace: process %lld holds the store: waiting until it leaves",
                       (long long)mr__pick_int(mr__pick_member(waiting, "pid"), 0));
    } else if (problem.at != NULL) {
        tell_problem(cli, problem);
    } else if (pushed.at != NULL && !cli->options.quiet) {
        tell_pushed(cli, pushed);
    } else if (removed.at != NULL && !cli->options.quiet) {
        tell_removed(cli, removed);
    } else if (pruned.at != NULL && !cli->options.quiet) {
        int64_t runs = mr__pick_int(mr__pick_member(pruned, "runs"), 0);
        mr__print_talk(cli, "%lld old run%s removed", (long long)runs, runs == 1 ? "" : "s");
    }
    if (cli->options.output == MR__OUTPUT_JSONL) { /* after what it says has become true */
        mr__print_document(cli, answer);
        (void)mr__print_flush(cli, MR__EXIT_OK); /* said at the end of the program */
    }
    return code;
}

static int tell_end(struct mr__cli *cli, enum mr__answer kind, const struct mr__failure *failure)
{
    bool late = kind == MR__ANSWER_LATE;
    bool interrupted = mr__session_is_interrupted(cli);
    if (!late && !interrupted && !mr__session_is_terminated(cli)) {
        return mr__print_failure(cli, failure);
    }
    if (!cli->options.quiet) {
        mr__print_talk(cli, "millrace: %s: unfinished runs stay resumable",
                       late          ? "timed out"
                       : interrupted ? "interrupted"
                                     : "terminated");
    }
    return late ? MR__EXIT_TIMEOUT : interrupted ? MR__EXIT_INTERRUPTED : MR__EXIT_TERMINATED;
}

/* The folder as it is named, from the root: a link that is swapped for another is looked up again.
 */
static int find_dags(struct mr__cli *cli, const char *dags, struct mr__text *path)
{
    struct stat info;
    if (stat(dags, &info) == 0 && !S_ISDIR(info.st_mode)) {
        return mr__print_error(cli, MR_ENOTFOUND, NULL, "%s: %s", dags, strerror(ENOTDIR));
    }
    char *real = realpath(dags, NULL);
    if (real == NULL) {
        return mr__print_error(cli, MR_ENOTFOUND, NULL, "%s: %s", dags, strerror(errno));
    }
    if (!mr__files_has_name(dags)) { /* "." */
        mr__text_puts(path, real);
    }
    free(real); /* realpath's own */
    return path->len > 0 ? MR__EXIT_OK : mr__files_absolute(cli, dags, path);
}

static int make_request(struct mr__cli *cli, struct mr__text *request)
{
    struct mr__text dags = {0};
    mr__request_begin(request, "serve");
    mr__text_printf(request, ",\"pid\":%lld", (long long)getpid());
    if (cli->options.dags != NULL) {
        int code = find_dags(cli, cli->options.dags, &dags);
        if (code == MR__EXIT_OK) {
            mr__request_string(request, "dags", mr__text_str(&dags));
        }
        mr__text_finish(&dags);
        if (code != MR__EXIT_OK) {
            return code;
        }
    }
    if (cli->options.older_ms >= 0) {
        mr__text_printf(request, ",\"retain\":%lld", (long long)cli->options.older_ms);
    }
    mr__text_puts(request, cli->options.compat ? ",\"compat\":true}" : "}");
    return MR__EXIT_OK;
}

int mr__cmd_serve(struct mr__cli *cli)
{
    struct mr__text request = {0};
    struct mr__failure failure;
    struct mr__pick answer;
    mr_stream *stream = NULL;
    enum mr__answer kind = MR__ANSWER_FAILED;
    int code = make_request(cli, &request);
    if (code == MR__EXIT_OK) {
        code = mr__session_open(cli, MR__OPEN_RESUME);
    }
    if (code == MR__EXIT_OK) {
        bool sent = mr__session_request(cli, &request, &stream, &failure);
        while (sent && code == MR__EXIT_OK &&
               (kind = mr__session_next(cli, stream, -1, &answer, &failure)) == MR__ANSWER) {
            code = take_answer(cli, answer);
        }
        code = code == MR__EXIT_OK ? tell_end(cli, kind, &failure) : code;
    }
    mr_stream_close(stream); /* only now: the failure is borrowed from it */
    mr__text_finish(&request);
    return code;
}
