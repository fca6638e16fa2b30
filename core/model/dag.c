/* SPDX-License-Identifier: MIT
 *
 * The life of a parsed dag, and finding its tasks by id. Any thread.
 */
#include "core/model/dag.h"

#include <stdlib.h>

const char *const mr__hook_names[MR__HOOKS] = {
    [MR__HOOK_BEFORE_RUN] = "beforeRun",     [MR__HOOK_BEFORE_SUCCESS] = "beforeSuccess",
    [MR__HOOK_BEFORE_FAIL] = "beforeFail",   [MR__HOOK_BEFORE_BLOCK] = "beforeBlock",
    [MR__HOOK_BEFORE_RETRY] = "beforeRetry", [MR__HOOK_BEFORE_CONTINUE] = "beforeContinue",
    [MR__HOOK_ON_SUCCESS] = "onSuccess",     [MR__HOOK_ON_FAILURE] = "onFailure",
    [MR__HOOK_ON_CANCEL] = "onCancel",       [MR__HOOK_ON_EXIT] = "onExit",
};

struct mr__dag *mr__dag_ref(struct mr__dag *dag)
{
    uint32_t before = dag->refs++; /* an atomic: any thread */
    MR_ASSERT(before > 0 && before < UINT32_MAX);
    return dag;
}

void mr__dag_unref(struct mr__dag *dag)
{
    if (dag == NULL) {
        return;
    }
    uint32_t left = --dag->refs;
    MR_ASSERT(left < UINT32_MAX);
    if (left == 0) {
        mr__hash_finish(&dag->task_by_id);
        mr__arena_finish(&dag->arena);
        mr__free(dag);
    }
}

int64_t mr__dag_find(const struct mr__dag *dag, const char *id, size_t len)
{
    uint64_t number;
    return mr__hash_get(&dag->task_by_id, id, len, &number) ? (int64_t)number : -1;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t mr__numbers_sort(uint32_t *numbers, size_t count)
{
    size_t kept = 0;
    if (count > 0) {
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || numbers[i] != numbers[kept - 1]) {
            numbers[kept++] = numbers[i];
        }
    }
    return kept;
}
