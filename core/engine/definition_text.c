/* SPDX-License-Identifier: MIT
 *
 * A dag's text on its way in, for submit, push and served folders: parsed, checked against the
 * actions, its problems as JSON; and the answers that say them. The check runs on any thread, the
 * rest on the loop.
 */
#include <stdio.h>

#include "core/engine/engine_impl.h"
#include "core/engine/schedule_check.h"

#define NO_ERRORS "{\"errors\":[]"

void mr__checked_finish(struct mr__checked *checked)
{
    mr__dag_unref(checked->dag);
    mr__buf_finish(&checked->problems);
    *checked = (struct mr__checked){.dag = NULL};
}

/* The first error, warnings passed over. */
static void note_first(const struct mr__problems *problems, struct mr__checked *checked)
{
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mr__problem *problem = &problems->list[i];
        if (!problem->warning) {
            checked->first = problem->pos;
            (void)snprintf(checked->message, sizeof checked->message, "%s",
                           problem->message); /* a longer one is cut */
            return;
        }
    }
}

mr_status mr__definition_check(const struct mr__registry *registry, const char *text, size_t len,
                               const struct mr__parse_options *options,
                               struct mr__checked *ret_checked)
{
    struct mr__problems problems;
    struct mr__dag *broken;
    struct mr__parse_options with_broken = *options;
    with_broken.ret_broken = &broken;
    mr__problems_init(&problems);
    mr_status status = mr__dag_parse(text, len, &with_broken, &problems, &ret_checked->dag);
    if (status == MR_OK || broken != NULL) {
        const struct mr__dag *parsed = broken != NULL ? broken : ret_checked->dag;
        mr__registry_check(registry, parsed, &problems);
        mr__schedule_check(parsed, &problems);
    }
    mr__dag_unref(broken);
    if (status == MR_EDEFINITION || problems.error_count > 0) {
        ret_checked->bad = true;
        status = MR_OK;
    }
    if (problems.count > 0) {
        mr__problems_sort(&problems);
        mr__problems_json(&problems, options->file, text, len, &ret_checked->problems);
    }
    if (ret_checked->bad) {
        note_first(&problems, ret_checked);
    }
    status = problems.failed || ret_checked->problems.failed ? MR_ENOMEM : status;
    mr__problems_finish(&problems);
    return status;
}

void mr__add_warnings(struct mr__buf *out, const struct mr__checked *checked)
{
    if (checked->problems.len > sizeof NO_ERRORS) {
        /* Only warnings are left of the problems' object: the member behind its empty errors. */
        mr__buf_text(out, ",");
        mr__buf_bytes(out, checked->problems.data + sizeof NO_ERRORS,
                      checked->problems.len - sizeof NO_ERRORS - 1);
    }
}

void mr__answer_bad(struct mr__request *request, const char *file,
                    const struct mr__checked *checked)
{
    mr__buf_reset(&request->out);
    mr__buf_printf(
        &request->out,
        "{\"error\":{\"status\":%d,\"name\":\"invalid definition\",\"message\":", MR_EDEFINITION);
    mr__json_str(&request->out, file, strlen(file));
    mr__buf_text(&request->out, "},");
    /* The problems are an object: its members go into this one. */
    mr__buf_bytes(&request->out, checked->problems.data + 1, checked->problems.len - 2);
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

const struct mr__dag_row *mr__request_dag(struct mr__request *request)
{
    const struct mr__definitions *definitions = &request->engine->definitions;
    const char *id = mr__field_str(request, "dag");
    if (id == NULL) {
        mr__answer_fail(request, MR_EINVAL, "which \"dag\"?");
        return NULL;
    }
    const struct mr__dag_row *row = mr__definitions_find(definitions, id);
    if (row == NULL) {
        mr__answer_fail_near(request, MR_ENOTFOUND, mr__definitions_nearest(definitions, id),
                             "no dag \"%s\" in the store", id);
    }
    return row;
}
