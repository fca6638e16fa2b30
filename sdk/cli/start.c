/* SPDX-License-Identifier: MIT
 *
 * Begins a run and stays with it.
 */
#include "sdk/cli/start.h"
#include "sdk/cli/follow.h"
#include "sdk/cli/print.h"

#include <string.h>

bool mr__start_send(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer,
                    struct mr__text *id, struct mr__failure *failure)
{
    mr__session_own_begin(cli);
    bool accepted = mr__session_try(cli, request, answer, failure);
    struct mr__pick submitted = mr__pick_value(mr__text_str(answer), answer->len);
    if (accepted) {
        (void)mr__pick_text(mr__pick_member(submitted, "run"), id); /* absent: empty, see below */
    }
    mr__session_own_add(cli, id->len > 0 ? id->at : NULL);
    if (accepted && id->len == 0) {
        memset(failure, 0, sizeof *failure);
        failure->status = failure->error.status = MR_EFORMAT;
        (void)snprintf(failure->error.message, sizeof failure->error.message,
                       "the store's owner named no run"); /* fits */
        return false;
    }
    if (accepted && !cli->options.quiet) {
        mr__print_problems(cli, mr__pick_member(submitted, "warnings"));
    }
    return accepted;
}

int mr__start_stay(struct mr__cli *cli, struct mr__text *id, bool detach)
{
    bool json = mr__print_is_json(cli);
    if (json && detach) {
        struct mr__text answer = {0};
        mr__text_puts(&answer, "{\"id\":");
        mr__text_json(&answer, mr__text_str(id), id->len);
        mr__text_puts(&answer, "}\n");
        mr__print_out(cli, mr__text_str(&answer), answer.len);
        mr__text_finish(&answer);
    } else if (!json) {
        mr__print_out(cli, mr__text_str(id), id->len);
        mr__print_out(cli, "\n", 1);
    }
    if (!json || detach) {
        (void)mr__print_flush(cli, MR__EXIT_OK); /* told at the end; the run goes on all the same */
    }
    return detach ? MR__EXIT_OK : mr__follow_and_print(cli, mr__text_str(id));
}
