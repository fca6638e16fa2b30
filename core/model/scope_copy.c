/* SPDX-License-Identifier: MIT
 *
 * Scopes that own what they show, for a worker; and which tasks one must hold. Made on the thread
 * of the scope that is copied, used and freed on any one other.
 */
#include <stdlib.h>

#include "core/model/scope.h"

static bool copy_run(struct mr__scope_copy *copy, const struct mr__scope *scope);
static bool copy_tasks(struct mr__scope_copy *copy, const struct mr__scope *scope,
                       const uint32_t *uses, size_t use_count);
static bool copy_share(struct mr__scope_copy *copy, const struct mr__scope *scope);
static bool find_task(const struct mr__scope *scope, uint32_t task,
                      struct mr__scope_task *ret_task);
static bool find_share(const struct mr__scope *scope, const char *key, size_t len,
                       struct mr__blob *ret_json);
static bool find_share_next(const struct mr__scope *scope, struct mr__blob after,
                            struct mr__blob *ret_key);

struct mr__scope_copy *mr__scope_copy_create(const struct mr__scope *scope, const uint32_t *uses,
                                             size_t use_count, unsigned flags)
{
    struct mr__scope_copy *copy = mr__calloc(1, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    mr__arena_init(&copy->arena);
    copy->scope = (struct mr__scope){.dag = mr__dag_ref((struct mr__dag *)(uintptr_t)scope->dag),
                                     .has_error = scope->has_error,
                                     .error_attempt = scope->error_attempt,
                                     .user = copy,
                                     .task = find_task,
                                     .share = find_share,
                                     .share_next = find_share_next};
    bool all = (flags & MR__COPY_ALL_TASKS) != 0;
    if (!copy_run(copy, scope) ||
        !copy_tasks(copy, scope, all ? NULL : uses, all ? scope->dag->task_count : use_count) ||
        ((flags & MR__COPY_SHARE) != 0 && !copy_share(copy, scope))) {
        mr__scope_copy_destroy(copy);
        return NULL;
    }
    return copy;
}

void mr__scope_copy_destroy(struct mr__scope_copy *copy)
{
    if (copy != NULL) {
        mr__dag_unref((struct mr__dag *)(uintptr_t)copy->scope.dag);
        mr__arena_finish(&copy->arena);
        mr__free(copy);
    }
}

/* ---- copying ------------------------------------------------------------------------------- */

static bool copy_text(struct mr__scope_copy *copy, const char *text, const char **ret_text)
{
    *ret_text = text == NULL ? NULL : mr__arena_dup(&copy->arena, text, strlen(text));
    return text == NULL || *ret_text != NULL;
}

static bool copy_blob(struct mr__scope_copy *copy, struct mr__blob blob, struct mr__blob *ret_blob)
{
    *ret_blob = (struct mr__blob){NULL, 0};
    if (blob.data == NULL) {
        return true;
    }
    ret_blob->data = mr__arena_dup(&copy->arena, blob.data, blob.len);
    ret_blob->len = blob.len;
    return ret_blob->data != NULL;
}

/* All but the tasks and the share data. */
static bool copy_run(struct mr__scope_copy *copy, const struct mr__scope *scope)
{
    const struct mr__scope_run *from = &scope->run;
    struct mr__scope_run *to = &copy->scope.run;
    mr_value *vars = mr__arena_alloc(&copy->arena, sizeof *vars);
    *to = *from;
    copy->scope.vars = vars;
    return vars != NULL && mr__value_dup(&copy->arena, scope->vars, vars) == MR_OK &&
           copy_text(copy, from->id, &to->id) && copy_text(copy, from->dag, &to->dag) &&
           copy_text(copy, from->status, &to->status) &&
           copy_text(copy, from->reason, &to->reason) &&
           copy_text(copy, from->folder, &to->folder) &&
           copy_text(copy, from->trigger, &to->trigger) &&
           copy_text(copy, scope->item_name, &copy->scope.item_name) &&
           copy_blob(copy, scope->item, &copy->scope.item) &&
           copy_blob(copy, scope->error_reason, &copy->scope.error_reason) &&
           copy_blob(copy, scope->error_detail, &copy->scope.error_detail);
}

static bool copy_task(struct mr__scope_copy *copy, const struct mr__scope *scope, uint32_t number,
                      struct mr__scope_task *to)
{
    struct mr__scope_task from;
    if (!scope->task(scope, number, &from)) {
        return true; /* it stays without a status: not in this scope either */
    }
    return copy_text(copy, from.status, &to->status) && copy_blob(copy, from.reason, &to->reason) &&
           copy_blob(copy, from.output, &to->output);
}

/* `uses` NULL: the first `count` tasks, which are all. */
static bool copy_tasks(struct mr__scope_copy *copy, const struct mr__scope *scope,
                       const uint32_t *uses, size_t count)
{
    if (uses != NULL) {
        copy->numbers = mr__arena_alloc(&copy->arena, count * sizeof *uses);
        if (copy->numbers == NULL) {
            return false;
        }
        if (count > 0) {
            memcpy(copy->numbers, uses, count * sizeof *uses);
        }
        count = mr__numbers_sort(copy->numbers, count);
    }
    copy->tasks = mr__arena_alloc(&copy->arena, count * sizeof *copy->tasks);
    copy->task_count = count;
    bool good = copy->tasks != NULL;
    for (size_t i = 0; good && i < count; i++) {
        uint32_t number = copy->numbers == NULL ? (uint32_t)i : copy->numbers[i];
        good = copy_task(copy, scope, number, &copy->tasks[i]);
    }
    return good;
}

static bool copy_share(struct mr__scope_copy *copy, const struct mr__scope *scope)
{
    struct mr__blob key = {NULL, 0}, next, json;
    size_t count = 0;
    for (; scope->share_next(scope, key, &next); key = next) {
        count++;
    }
    copy->share = mr__arena_alloc(&copy->arena, count * 2 * sizeof *copy->share);
    if (copy->share == NULL) {
        return false;
    }
    key = (struct mr__blob){NULL, 0};
    while (copy->share_count < count && scope->share_next(scope, key, &next)) {
        struct mr__blob *pair = &copy->share[2 * copy->share_count];
        if (!copy_blob(copy, next, &pair[0])) {
            return false;
        }
        key = pair[0];
        if (scope->share(scope, key.data, key.len, &json)) {
            if (!copy_blob(copy, json, &pair[1])) {
                return false;
            }
            copy->share_count++;
        }
    }
    return true;
}

/* ---- looking things up --------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool find_task(const struct mr__scope *scope, uint32_t task, struct mr__scope_task *ret_task)
{
    const struct mr__scope_copy *copy = scope->user;
    size_t at = task;
    if (copy->numbers != NULL) {
        const uint32_t *found =
            bsearch(&task, copy->numbers, copy->task_count, sizeof task, compare_numbers);
        at = found == NULL ? copy->task_count : (size_t)(found - copy->numbers);
    }
    if (at >= copy->task_count || copy->tasks[at].status == NULL) {
        return false;
    }
    *ret_task = copy->tasks[at];
    return true;
}

static int compare_blobs(struct mr__blob a, struct mr__blob b)
{
    size_t len = MR__MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The first pair whose key is not less than `key`. */
static size_t lower_bound(const struct mr__scope_copy *copy, struct mr__blob key)
{
    size_t low = 0, high = copy->share_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_blobs(copy->share[2 * middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool find_share(const struct mr__scope *scope, const char *key, size_t len,
                       struct mr__blob *ret_json)
{
    const struct mr__scope_copy *copy = scope->user;
    struct mr__blob wanted = {key, len};
    size_t at = lower_bound(copy, wanted);
    if (at == copy->share_count || compare_blobs(copy->share[2 * at], wanted) != 0) {
        return false;
    }
    *ret_json = copy->share[2 * at + 1];
    return true;
}

static bool find_share_next(const struct mr__scope *scope, struct mr__blob after,
                            struct mr__blob *ret_key)
{
    const struct mr__scope_copy *copy = scope->user;
    size_t at = after.data == NULL ? 0 : lower_bound(copy, after);
    if (after.data != NULL && at < copy->share_count &&
        compare_blobs(copy->share[2 * at], after) == 0) {
        at++;
    }
    if (at == copy->share_count) {
        return false;
    }
    *ret_key = copy->share[2 * at];
    return true;
}

/* ---- what a task's scripts look at ---------------------------------------------------------- */

struct uses {
    uint32_t *list; /* NULL: they are only counted */
    size_t count;
    bool all;
};

static void add_uses(struct uses *uses, const struct mr__dag *dag, uint32_t script)
{
    if (script == MR__NO_SCRIPT) {
        return;
    }
    const struct mr__script *row = &dag->scripts[script];
    uses->all = uses->all || row->uses_all_tasks;
    for (uint32_t i = 0; i < row->use_count; i++) {
        if (uses->list != NULL) {
            uses->list[uses->count] = row->uses[i];
        }
        uses->count++;
    }
}

static void add_task_uses(struct uses *uses, const struct mr__dag *dag, uint32_t task)
{
    const struct mr__dag_task *row = &dag->tasks[task];
    const uint32_t scripts[] = {row->run_if, row->skip_if,      row->block_if, row->for_each,
                                row->key,    row->retry.filter, row->lua};
    for (size_t i = 0; i < MR__COUNT(scripts); i++) {
        add_uses(uses, dag, scripts[i]);
    }
    for (uint32_t i = 0; i < row->template_count; i++) {
        const struct mr__dag_template *t = &dag->templates[row->first_template + i];
        if (t->kind == MR__TEMPLATE_SCRIPT) {
            add_uses(uses, dag, t->number);
        }
    }
}

mr_status mr__scope_uses(const struct mr__dag *dag, uint32_t task, struct mr__arena *arena,
                         const uint32_t **ret_uses, size_t *ret_count, bool *ret_all)
{
    struct uses uses = {.list = NULL};
    add_task_uses(&uses, dag, task);
    uint32_t *list = mr__arena_alloc(arena, uses.count * sizeof *list);
    if (list == NULL) {
        return MR_ENOMEM;
    }
    uses.list = list;
    uses.count = 0;
    add_task_uses(&uses, dag, task);
    *ret_uses = list;
    *ret_count = mr__numbers_sort(list, uses.count);
    *ret_all = uses.all;
    return MR_OK;
}
