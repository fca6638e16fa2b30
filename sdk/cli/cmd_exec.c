/* SPDX-License-Identifier: MIT
 *
 * exec: a durable run of one command. Its dag is made here, with one task that is the command: each
 * word is quoted for the shell, and the whole for YAML, so that the command gets the words as they
 * were typed.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"
#include "sdk/cli/submit.h"

#include <string.h>

#define WHO "exec" /* the dag's id, and the task's */

/* Adds a word in single quotes. Between two braces the quotes are closed and opened again: "{{" in
 * a `run:` could be taken for a template. */
static void add_word(struct mr__text *text, const char *word)
{
    mr__text_puts(text, "'");
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'') {
            mr__text_puts(text, "'\\''");
        } else {
            mr__text_puts(text, at[0] == '{' && at > word && at[-1] == '{' ? "''" : "");
            mr__text_add(text, at, 1);
        }
    }
    mr__text_puts(text, "'");
}

/* Adds a double-quoted YAML scalar. What no dag file may hold as it is, is escaped. */
static void add_scalar(struct mr__text *text, const struct mr__text *scalar)
{
    size_t len;
    mr__text_puts(text, "\"");
    for (size_t at = 0; at < scalar->len; at += len) {
        uint32_t c = mr__text_decode(scalar->at + at, scalar->len - at, &len);
        bool hidden = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
                      c == 0xfeff || (c & 0xfffe) == 0xfffe;
        if (hidden) {
            mr__text_printf(text, "\\U%08x", (unsigned)c);
        } else {
            mr__text_puts(text, c == '"' || c == '\\' ? "\\" : "");
            mr__text_add(text, scalar->at + at, len);
        }
    }
    mr__text_puts(text, "\"");
}

int mr__cmd_exec(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    struct mr__text run = {0};
    struct mr__text dag = {0};
    int code;
    /* The shell becomes the command: what ends it, and how, is what ended the command. */
    mr__text_puts(&run, "exec");
    for (size_t i = 0; i < words->count; i++) {
        mr__text_puts(&run, " ");
        add_word(&run, words->at[i]);
    }
    mr__text_puts(&dag, "{id: " WHO ", tasks: [{id: " WHO ", run: ");
    add_scalar(&dag, &run);
    mr__text_puts(&dag, "}]}\n");
    if (run.failed || dag.failed) {
        code = mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
    } else if (words->at[0][0] == '\0' || words->at[0][0] == '-') {
        code = mr__print_error(cli, MR_EINVAL, NULL, "exec: \"%s\" is no command", words->at[0]);
    } else if (!mr__text_is_utf8(run.at, run.len)) {
        code = mr__print_error(cli, MR_EINVAL, NULL, "exec: the command is not UTF-8");
    } else {
        code = mr__submit_text(cli, WHO, &dag);
    }
    mr__text_finish(&run);
    mr__text_finish(&dag);
    return code;
}
