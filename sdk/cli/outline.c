/* SPDX-License-Identifier: MIT
 *
 * A dag before anything runs.
 */
#include "sdk/cli/outline.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"

#include <stdlib.h>
#include <string.h>

/* The text of a dag of the store into `text`, what its file was called into `name`. */
static int read_stored(struct mr__cli *cli, const char *dag, struct mr__text *text,
                       struct mr__text *name)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    int code = mr__text_is_utf8(dag, strlen(dag))
                   ? mr__session_open(cli, 0)
                   : mr__print_error(cli, MR_EINVAL, NULL, "the name of the dag is not UTF-8");
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "dag");
        mr__request_string(&request, "dag", dag);
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK) {
        struct mr__pick found =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "dag");
        if (!mr__pick_text(mr__pick_member(found, "text"), text)) {
            code = mr__print_error(cli, MR_EFORMAT, NULL, "the store's owner gave no text");
        }
        (void)mr__pick_text(mr__pick_member(found, "file"), name); /* absent: empty */
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

static int compare(const void *a, const void *b)
{
    const struct mr__outline_task *x = *(const struct mr__outline_task *const *)a;
    const struct mr__outline_task *y = *(const struct mr__outline_task *const *)b;
    int order = memcmp(x->id.at, y->id.at, x->id.len < y->id.len ? x->id.len : y->id.len);
    return order != 0 ? order : (x->id.len > y->id.len) - (x->id.len < y->id.len);
}

/* Lists the tasks of the document. False: out of memory. */
static bool list_tasks(struct mr__outline *outline)
{
    struct mr__pick tasks = mr__pick_member(outline->document, "tasks");
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick task;
    size_t count = mr__pick_count(tasks);
    outline->tasks = calloc(count > 0 ? count : 1, sizeof *outline->tasks);
    outline->by_id = calloc(count > 0 ? count : 1, sizeof *outline->by_id);
    if (outline->tasks == NULL || outline->by_id == NULL) {
        return false;
    }
    mr__pick_begin(&each, tasks);
    while (outline->count < count && mr__pick_next(&each, &key, &task)) {
        struct mr__outline_task *row = &outline->tasks[outline->count];
        *row = (struct mr__outline_task){task, mr__pick_member(task, "id"), outline->count};
        outline->by_id[outline->count++] = row;
    }
    qsort((void *)outline->by_id, outline->count, sizeof *outline->by_id, compare);
    return true;
}

/* Asks the library about a text. */
static int plan_text(struct mr__cli *cli, bool graph, const char *name, const struct mr__text *text,
                     struct mr__outline *outline)
{
    const struct mr__options *o = &cli->options;
    struct mr__text vars = {0};
    struct mr__text answer = {0};
    struct mr__failure failure = {0};
    int code = MR__EXIT_OK;
    if (!graph) {
        mr__request_pairs(&vars, &o->vars);
    }
    const char *vars_file =
        o->vars_file != NULL && strcmp(o->vars_file, "-") == 0 ? "/dev/stdin" : o->vars_file;
    mr_plan_options how =
        MR_PLAN(.compat = o->compat ? 1 : 0, .file = name, .text = mr__text_str(text),
                .text_len = text->len, .plugins = cli->plugins.len > 0 ? cli->plugins.at : NULL,
                .vars_json = graph ? NULL : mr__text_str(&vars), .vars_file = vars_file,
                .graph = graph ? 1 : 0);
    failure.status = vars.failed ? MR_ENOMEM : mr_plan(&how, &outline->json, &failure.error);
    if (failure.status == MR_OK) {
        outline->document = mr__pick_value(outline->json, strlen(outline->json));
        if (!list_tasks(outline)) {
            code = mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
        } else if (!o->quiet && !mr__print_is_json(cli)) {
            mr__print_problems(cli, mr__pick_member(outline->document, "warnings"));
        }
    } else {
        if (failure.status == MR_EDEFINITION && outline->json != NULL) {
            mr__text_printf(&answer, "{\"error\":%s}", outline->json);
            failure.json = mr__text_str(&answer);
        }
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&vars);
    mr__text_finish(&answer);
    return code;
}

int mr__outline_read(struct mr__cli *cli, bool graph, struct mr__outline *ret_outline)
{
    const char *word = cli->options.words.at[0];
    struct mr__text text = {0};
    struct mr__text name = {0};
    int code;
    memset(ret_outline, 0, sizeof *ret_outline);
    if (mr__files_is_file(word)) {
        mr__text_puts(&name, mr__files_name(word));
        code = mr__files_read(cli, word, NULL, &text);
    } else {
        code = read_stored(cli, word, &text, &name);
    }
    if (code == MR__EXIT_OK) {
        code = plan_text(cli, graph, name.len > 0 ? name.at : word, &text, ret_outline);
    }
    mr__text_finish(&text);
    mr__text_finish(&name);
    return code;
}

void mr__outline_finish(struct mr__outline *outline)
{
    mr_free(outline->json);
    free(outline->tasks);
    free((void *)outline->by_id);
    memset(outline, 0, sizeof *outline);
}

const struct mr__outline_task *mr__outline_find(const struct mr__outline *outline,
                                                struct mr__pick id)
{
    struct mr__outline_task wanted = {.id = id};
    const struct mr__outline_task *key = &wanted;
    const struct mr__outline_task **found =
        bsearch((const void *)&key, (const void *)outline->by_id, outline->count,
                sizeof *outline->by_id, compare);
    return found != NULL ? *found : NULL;
}
