/* SPDX-License-Identifier: MIT
 *
 * schedule next: when a dag will run by itself.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"

#include <string.h>

#define COUNT_DEFAULT 5

static int make_request(struct mr__cli *cli, const char *word, struct mr__text *request)
{
    int64_t count = cli->options.count > 0 ? cli->options.count : COUNT_DEFAULT;
    struct mr__text file = {0};
    int code = MR__EXIT_OK;
    mr__request_begin(request, "scheduleNext");
    mr__text_printf(request, ",\"n\":%lld", (long long)count);
    if (mr__files_is_file(word)) {
        code = mr__files_read(cli, word, NULL, &file);
        if (code == MR__EXIT_OK && !mr__text_is_utf8(mr__text_str(&file), file.len)) {
            code =
                mr__print_error(cli, MR_EDEFINITION, NULL, "%s: a dag file is text in UTF-8", word);
        }
        mr__request_string(request, "file", mr__files_name(word));
        mr__text_puts(request, ",\"text\":");
        mr__text_json(request, mr__text_str(&file), file.len);
    } else if (mr__text_is_utf8(word, strlen(word))) {
        mr__request_string(request, "dag", word);
    } else {
        code = mr__print_error(cli, MR_EINVAL, NULL, "the name of the dag is not UTF-8");
    }
    mr__text_puts(request, "}");
    mr__text_finish(&file);
    return code;
}

/* The answer without what belongs to the request. */
static void print_object(struct mr__cli *cli, struct mr__pick answer)
{
    static const char *const names[] = {"dag", "cron", "timezone", "status", "next", "local"};
    struct mr__text text = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mr__pick value = mr__pick_member(answer, names[i]);
        mr__text_printf(&text, "%s\"%s\":", i == 0 ? "{" : ",", names[i]);
        mr__text_add(&text, value.at != NULL ? value.at : "null", value.at != NULL ? value.len : 4);
    }
    mr__text_puts(&text, "}");
    mr__print_document(cli, (struct mr__pick){mr__text_str(&text), text.len});
    mr__text_finish(&text);
}

/* "deploy: 0 7 * * 1-5  Europe/Paris" */
static void tell_schedule(struct mr__cli *cli, struct mr__pick answer)
{
    struct mr__text text = {0};
    (void)mr__pick_text(mr__pick_member(answer, "dag"), &text); /* absent: left out, as below */
    mr__text_puts(&text, ": ");
    (void)mr__pick_text(mr__pick_member(answer, "cron"), &text);
    mr__text_puts(&text, "  ");
    (void)mr__pick_text(mr__pick_member(answer, "timezone"), &text);
    if (mr__pick_equals(mr__pick_member(answer, "status"), "stopped")) {
        mr__text_puts(&text, "  (stopped: none of these runs will begin)");
    }
    mr__print_talk(cli, "%s", mr__text_str(&text));
    mr__text_finish(&text);
}

/* On stderr what the schedule is, on stdout a line for each time, in UTC and in its own zone:
 * "2026-01-31T07:00:00.000Z  2026-01-31T08:00:00+01:00  in 3h 05m" */
static void print_times(struct mr__cli *cli, struct mr__pick answer)
{
    int64_t now_ms = mr__session_unix_ms();
    struct mr__pick_each each, locals;
    struct mr__pick key, time, local;
    struct mr__text text = {0};
    if (!cli->options.quiet) {
        tell_schedule(cli, answer);
    }
    mr__pick_begin(&each, mr__pick_member(answer, "next"));
    mr__pick_begin(&locals, mr__pick_member(answer, "local"));
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &time)) {
        int64_t in_ms = mr__pick_time(time) - now_ms;
        (void)mr__pick_text(time, &text); /* null: an empty line, which does no harm */
        mr__text_puts(&text, "  ");
        if (!locals.object && locals.at != NULL && mr__pick_next(&locals, &key, &local)) {
            (void)mr__pick_text(local, &text); /* likewise */
            mr__text_puts(&text, "  ");
        }
        mr__text_puts(&text, "in ");
        mr__text_duration(&text, in_ms > 0 ? in_ms : 0);
        mr__text_puts(&text, "\n");
    }
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}

int mr__cmd_schedule_next(struct mr__cli *cli)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    int code = make_request(cli, cli->options.words.at[0], &request);
    if (code == MR__EXIT_OK) {
        code = mr__session_open(cli, 0);
    }
    if (code == MR__EXIT_OK) {
        code = mr__session_call(cli, &request, &answer);
    }
    struct mr__pick found = mr__pick_value(mr__text_str(&answer), answer.len);
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        print_object(cli, found);
    } else if (code == MR__EXIT_OK) {
        print_times(cli, found);
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}
