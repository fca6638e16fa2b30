/* SPDX-License-Identifier: MIT
 *
 * Goal: no bytes make the dag parser crash or say something impossible. Method: libFuzzer; a dag
 * that was made is walked, its variables filled and its templates rendered; problems are drawn as
 * JSON, each within the text.
 */
#include <stdlib.h>

#include "core/model/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parents and children are two views of one graph, in which every task can begin some time. */
static void check_graph(const struct mr__dag *dag)
{
    uint32_t *open = calloc(dag->task_count, sizeof *open);
    uint32_t *ready = calloc(dag->task_count, sizeof *ready);
    MR_ASSERT(open != NULL && ready != NULL);
    uint32_t count = 0, done = 0;
    for (uint32_t i = 0; i < dag->task_count; i++) {
        const struct mr__dag_task *task = &dag->tasks[i];
        MR_ASSERT(mr__dag_find(dag, task->id, strlen(task->id)) == (int64_t)i);
        open[i] = task->parent_count;
        if (open[i] == 0) {
            ready[count++] = i;
        }
    }
    while (done < count) {
        const struct mr__dag_task *task = &dag->tasks[ready[done++]];
        for (uint32_t j = 0; j < task->child_count; j++) {
            uint32_t child = dag->children[task->first_child + j];
            MR_ASSERT(child < dag->task_count && open[child] > 0);
            if (--open[child] == 0) {
                ready[count++] = child;
            }
        }
    }
    MR_ASSERT(count == dag->task_count);
    free(open);
    free(ready);
}

/* Each script knows its text and its place. */
static void check_scripts(const struct mr__dag *dag)
{
    for (uint32_t i = 0; i < dag->script_count; i++) {
        const struct mr__script *script = &dag->scripts[i];
        MR_ASSERT(strlen(script->text) == script->len);
        MR_ASSERT(script->pos.line >= 1 && script->pos.column >= 1);
        for (uint32_t j = 0; j < script->use_count; j++) {
            MR_ASSERT(script->uses[j] < dag->task_count);
            MR_ASSERT(j == 0 || script->uses[j] > script->uses[j - 1]);
        }
    }
}

static mr_status give_position(void *user, const struct mr__scope *scope, uint32_t script,
                               struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                               mr_error *reterr)
{
    (void)user;
    (void)arena;
    (void)ret_again;
    (void)reterr;
    MR_ASSERT(script < scope->dag->script_count);
    *ret_value = mr__value_int(scope->dag->scripts[script].pos.line);
    return MR_OK;
}

static bool give_share(const struct mr__scope *scope, const char *key, size_t len,
                       struct mr__blob *ret_json)
{
    (void)scope;
    MR_ASSERT(strlen(key) == len);
    *ret_json = (struct mr__blob){"{}", 2};
    return true;
}

static void use_dag(struct mr__dag *dag)
{
    struct mr__arena arena;
    mr_value vars, params;
    mr_error error;
    const uint32_t *uses;
    size_t use_count;
    bool all, again;
    const struct mr__evaluator evaluator = {.eval = give_position};
    mr__arena_init(&arena);
    check_graph(dag);
    check_scripts(dag);
    if (mr__dag_vars(dag, NULL, &arena, &vars, &error) == MR_OK) {
        const struct mr__scope scope = {.dag = dag,
                                        .vars = &vars,
                                        .item_name = "item",
                                        .item = {"[1]", 3},
                                        .share = give_share};
        for (uint32_t i = 0; i < dag->task_count; i++) {
            mr_status status = mr__render(&scope, i, &evaluator, &arena, &params, &again, &error);
            MR_ASSERT(status == MR_OK || status == MR_ELIMIT);
            MR_ASSERT(mr__scope_uses(dag, i, &arena, &uses, &use_count, &all) == MR_OK);
            MR_ASSERT(use_count == 0 || uses[use_count - 1] < dag->task_count);
        }
    }
    mr__arena_finish(&arena);
    mr__dag_unref(dag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct mr__parse_options options = {.file = "fuzz.yaml", .compat = size % 2 == 1};
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    mr__problems_init(&problems);
    mr_status status = mr__dag_parse(text, size, &options, &problems, &dag);
    MR_ASSERT(status == MR_OK || status == MR_EDEFINITION);
    MR_ASSERT((status == MR_OK) == (problems.error_count == 0));
    for (uint32_t i = 0; i < problems.count; i++) {
        MR_ASSERT(problems.list[i].pos.line >= 1 && problems.list[i].pos.line <= size + 1);
        MR_ASSERT(problems.list[i].pos.column >= 1 && problems.list[i].pos.column <= size + 1);
        MR_ASSERT(problems.list[i].message[0] != '\0');
    }
    struct mr__buf buf;
    struct mr__arena arena;
    mr_value value;
    mr__buf_init(&buf);
    mr__arena_init(&arena);
    mr__problems_json(&problems, options.file, text, size, &buf);
    MR_ASSERT(mr__value_parse(&arena, (const char *)buf.data, buf.len, &value, NULL) == MR_OK);
    mr__arena_finish(&arena);
    mr__buf_finish(&buf);
    if (status == MR_OK) {
        use_dag(dag);
    }
    mr__problems_finish(&problems);
    return 0;
}
