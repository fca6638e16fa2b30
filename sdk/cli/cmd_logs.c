/* SPDX-License-Identifier: MIT
 *
 * logs, events: what a run's tasks wrote, and what happened to them.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/lines.h"
#include "sdk/cli/print.h"

#include <string.h>

struct printer {
    struct mr__cli *cli;
    bool prefixed;    /* with the name of the task */
    int64_t first_ms; /* time of the first event */
    struct mr__lines lines;
    struct mr__documents documents;
    void (*print)(struct printer *printer, struct mr__pick answer);
};

static void on_line(void *user, const char *task, const char *text, size_t len)
{
    struct printer *p = user;
    if (p->prefixed) {
        mr__print_out(p->cli, task, strlen(task));
        mr__print_out(p->cli, "| ", 2);
    }
    mr__print_out(p->cli, text, len);
    mr__print_out(p->cli, "\n", 1);
}

/* Prints every answer to a request until the last one, or until nobody reads them any more. */
static int print_all(struct printer *p, const struct mr__text *request)
{
    struct mr__cli *cli = p->cli;
    struct mr__failure failure;
    struct mr__pick answer;
    mr_stream *stream = NULL;
    enum mr__answer kind = MR__ANSWER_FAILED;
    int code = MR__EXIT_OK;
    p->documents.cli = cli;
    p->lines.line = on_line;
    p->lines.user = p;
    if (mr__session_request(cli, request, &stream, &failure)) {
        while ((kind = mr__session_next(cli, stream, -1, &answer, &failure)) == MR__ANSWER) {
            p->print(p, answer);
            if (cli->options.follow) {
                (void)mr__print_flush(cli, MR__EXIT_OK); /* told at the end of the program */
            }
            if (mr__print_closed(cli)) {
                break;
            }
        }
    }
    bool failed = kind == MR__ANSWER_FAILED || kind == MR__ANSWER_LATE;
    mr__lines_flush(&p->lines, NULL);
    mr__lines_finish(&p->lines);
    if (mr__print_is_json(cli) && (!failed || p->documents.count > 0)) {
        mr__documents_end(&p->documents);
    }
    if (failed && mr__session_is_interrupted(cli)) {
        code = MR__EXIT_INTERRUPTED; /* the way to leave logs -f: nothing to explain */
    } else if (failed) {
        code = mr__print_failure(cli, &failure);
    }
    mr_stream_close(stream); /* only now: the failure is borrowed from it */
    return code;
}

/* ---- logs ---------------------------------------------------------------------------------- */

static void print_log(struct printer *p, struct mr__pick answer)
{
    struct mr__pick log = mr__pick_member(answer, "log");
    if (log.at == NULL) {
        return;
    }
    if (mr__print_is_json(p->cli)) {
        mr__documents_add(&p->documents, log);
    } else {
        mr__lines_take(&p->lines, log);
    }
}

int mr__cmd_logs(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    struct printer printer = {.cli = cli, .print = print_log};
    struct mr__text id = {0};
    struct mr__text request = {0};
    size_t tasks = 1;
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) { /* of two words the first is a run */
        code = mr__session_resolve(cli, &id, words->count < 2 ? &tasks : NULL);
    }
    if (code == MR__EXIT_OK) {
        const char *task = tasks < words->count ? words->at[tasks] : NULL;
        printer.prefixed = task == NULL;
        mr__request_begin(&request, "logs");
        mr__request_string(&request, "run", id.at);
        if (task != NULL) {
            mr__request_string(&request, "task", task);
        }
        /* If we are the owner nobody goes on with any run: following one would never end. */
        bool follow = cli->options.follow && !mr__session_is_owner(cli);
        mr__text_puts(&request, follow ? ",\"follow\":true}" : "}");
        code = print_all(&printer, &request);
    }
    mr__text_finish(&id);
    mr__text_finish(&request);
    return code;
}

/* ---- events -------------------------------------------------------------------------------- */

/* "+    0.012s  attemptEnded    build  success  attempt 2  exit 7" */
static void print_event(struct printer *p, struct mr__pick answer)
{
    struct mr__pick event = mr__pick_member(answer, "event");
    int64_t time_ms = mr__pick_time(mr__pick_member(event, "time"));
    struct mr__text name = {0};
    struct mr__text line = {0};
    if (event.at == NULL) {
        return;
    }
    if (mr__print_is_json(p->cli)) {
        mr__documents_add(&p->documents, event);
        return;
    }
    p->first_ms = p->first_ms == 0 ? time_ms : p->first_ms;
    (void)mr__pick_text(mr__pick_member(event, "event"), &name); /* absent: empty */
    mr__text_printf(&line, "+%9.3fs  %-16s", (double)(time_ms - p->first_ms) / 1000,
                    mr__text_str(&name));
    static const struct {
        const char *name, *before;
    } members[] = {{"task", "  "},   {"key", "  "},     {"count", "  items "},
                   {"status", "  "}, {"due", "  due "}, {"attempt", "  attempt "},
                   {"reason", "  "}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        mr__text_clear(&name);
        if (mr__pick_text(mr__pick_member(event, members[i].name), &name) && name.len > 0) {
            mr__text_puts(&line, members[i].before);
            (void)mr__text_clean(&line, name.at, name.len, SIZE_MAX,
                                 ""); /* its width is not needed */
        }
    }
    mr__text_puts(&line, "\n");
    mr__print_out(p->cli, mr__text_str(&line), line.len);
    mr__text_finish(&name);
    mr__text_finish(&line);
}

int mr__cmd_events(struct mr__cli *cli)
{
    struct printer printer = {.cli = cli, .print = print_event};
    struct mr__text id = {0};
    struct mr__text request = {0};
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) {
        code = mr__session_resolve(cli, &id, NULL);
    }
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "events");
        mr__request_string(&request, "run", id.at);
        mr__text_puts(&request, "}");
        code = print_all(&printer, &request);
    }
    mr__text_finish(&id);
    mr__text_finish(&request);
    return code;
}
