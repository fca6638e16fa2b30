/* SPDX-License-Identifier: MIT
 *
 * Goal: no bytes make the dag parser crash or say something impossible. Method: libFuzzer; a dag
 * that was made is walked, its variables filled and its templates rendered; problems are drawn as
 * JSON, each within the text.
 */
#include <stdlib.h>

#include "core/model/dag.h"

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

static void use_dag(struct mr__dag *dag)
{
    struct mr__arena arena;
    mr_value vars, params;
    mr_error error;
    mr__arena_init(&arena);
    check_graph(dag);
    if (mr__dag_vars(dag, NULL, &arena, &vars, &error) == MR_OK) {
        for (uint32_t i = 0; i < dag->task_count; i++) {
            mr_status status =
                mr__dag_render(dag, &dag->tasks[i].params, &vars, &arena, &params, &error);
            MR_ASSERT(status == MR_OK || status == MR_ELIMIT);
        }
    }
    mr__arena_finish(&arena);
    mr__dag_unref(dag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct mr__parse_options options = {.file = "fuzz.yaml"};
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
