/* SPDX-License-Identifier: MIT
 *
 * why: what a run or a task waits for, or how it came to stand where it stands.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <string.h>

/* The engine's sentences, one a line; what led to a line stands indented below it already. */
static void print_lines(struct mr__cli *cli, struct mr__pick lines)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick line;
    struct mr__text raw = {0};
    struct mr__text text = {0};
    mr__pick_begin(&each, lines);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &line)) {
        mr__text_clear(&raw);
        (void)mr__pick_text(line, &raw); /* null: an empty line, which does no harm */
        (void)mr__text_clean(&text, mr__text_str(&raw), raw.len, SIZE_MAX, ""); /* all of it */
        mr__text_puts(&text, "\n");
    }
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&raw);
    mr__text_finish(&text);
}

static int ask(struct mr__cli *cli, const struct mr__text *id, const char *task)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    mr__request_begin(&request, "why");
    mr__request_string(&request, "run", mr__text_str(id));
    if (task != NULL) {
        mr__request_string(&request, "task", task);
    }
    mr__text_puts(&request, "}");
    int code = mr__session_call(cli, &request, &answer);
    struct mr__pick all = mr__pick_value(mr__text_str(&answer), answer.len);
    struct mr__pick why = mr__pick_member(all, "why");
    if (code == MR__EXIT_OK && mr__print_is_json(cli)) {
        mr__print_document(cli, why);
    } else if (code == MR__EXIT_OK) {
        struct mr__pick lines = mr__pick_member(why, "lines");
        print_lines(cli, lines.at != NULL ? lines : mr__pick_member(all, "lines"));
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_why(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    struct mr__text id = {0};
    size_t tasks = 1;
    int code = mr__session_open(cli, 0);
    if (code == MR__EXIT_OK) { /* of two words the first is a run */
        code = mr__session_resolve(cli, &id, words->count < 2 ? &tasks : NULL);
    }
    if (code == MR__EXIT_OK) {
        code = ask(cli, &id, tasks < words->count ? words->at[tasks] : NULL);
    }
    mr__text_finish(&id);
    return code;
}
