/* SPDX-License-Identifier: MIT
 *
 * What a new run need not do. What another run has done is rebuilt from its events.
 */
#include "core/engine/kept.h"

#include <stdlib.h>

#include "core/engine/names.h"
#include "core/engine/past.h"
#include "core/engine/run_scope.h"

#define NOT_ASKED_FOR "not among --only"
#define ID_SHOWN      8u /* the last characters of a run's id */

enum { ABOVE = 1, BELOW = 2 }; /* where a task stands, seen from another one */

void mr__kept_finish(struct mr__kept_set *set)
{
    if (set != NULL) {
        mr__free(set->list);
        mr__free(set->share);
        mr__arena_finish(&set->arena);
        *set = (struct mr__kept_set){0};
    }
}

/* ---- --only -------------------------------------------------------------------------------- */

mr_status mr__kept_only(const struct mr__dag *dag, const char *const *ids, size_t count,
                        struct mr__kept_set *ret_set, mr_error *reterr)
{
    mr_status status = mr__names_check(dag, ids, count, false, reterr);
    if (status != MR_OK) {
        return status;
    }
    bool *wanted = mr__calloc(dag->task_count, sizeof *wanted);
    ret_set->list = mr__calloc(dag->task_count, sizeof *ret_set->list);
    if (wanted == NULL || ret_set->list == NULL) {
        mr__free(wanted);
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        wanted[mr__dag_find(dag, ids[i], strlen(ids[i]))] = true;
    }
    for (uint32_t t = 0; t < dag->task_count; t++) {
        if (!wanted[t]) {
            ret_set->list[ret_set->count++] = (struct mr__kept){
                .task = t,
                .status = MR__TASK_SKIPPED,
                .reason = {NOT_ASKED_FOR, sizeof NOT_ASKED_FOR - 1},
            };
        }
    }
    mr__free(wanted);
    return MR_OK;
}

/* ---- rerun --from -------------------------------------------------------------------------- */

static bool ended_well(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED;
}

/* Marks all tasks on one side of `from`. `stack` has room for every task: each is on it once. */
static void mark(const struct mr__dag *dag, uint32_t from, uint8_t side, uint8_t *marks,
                 uint32_t *stack)
{
    uint32_t count = 0;
    stack[count++] = from;
    while (count > 0) {
        const struct mr__dag_task *task = &dag->tasks[stack[--count]];
        bool above = side == ABOVE;
        uint32_t first = above ? task->first_parent : task->first_child;
        uint32_t next = above ? task->parent_count : task->child_count;
        for (uint32_t i = 0; i < next; i++) {
            uint32_t t = above ? dag->parents[first + i] : dag->children[first + i];
            if ((marks[t] & side) == 0) {
                marks[t] |= side;
                stack[count++] = t;
            }
        }
    }
}

static bool copy(struct mr__kept_set *set, struct mr__blob from, struct mr__blob *ret_to)
{
    *ret_to = (struct mr__blob){mr__arena_dup(&set->arena, from.data, from.len), from.len};
    return ret_to->data != NULL;
}

/* The output of a task that ended well; a fan-out's is gathered. */
static bool copy_output(const struct mr__run *run, uint32_t t, struct mr__kept_set *set,
                        struct mr__blob *ret_output)
{
    struct mr__blob json;
    struct mr__buf gathered;
    if ((run->tasks[t].flags & MR__TASKFLAG_FANNED) == 0) {
        return !mr__run_output(run, t, &json) || copy(set, json, ret_output);
    }
    mr__buf_init(&gathered);
    mr__run_gather(run, &run->fans[run->details[t].fan], &gathered);
    bool good = !gathered.failed &&
                copy(set, (struct mr__blob){(const char *)gathered.data, gathered.len}, ret_output);
    mr__buf_finish(&gathered);
    return good;
}

static bool copy_share(const struct mr__run *run, struct mr__kept_set *set)
{
    set->share = mr__calloc(2 * run->share_count + 1, sizeof *set->share);
    for (uint32_t i = 0; set->share != NULL && i < run->share_count; i++) {
        const struct mr__share_row *row = run->share[i];
        struct mr__event event;
        if (!mr__run_event(run, row->at, &event) ||
            !copy(set, (struct mr__blob){row->key, row->key_len}, &set->share[2 * i]) ||
            !copy(set, event.payload, &set->share[2 * i + 1])) {
            return false;
        }
        set->share_count++;
    }
    return set->share != NULL;
}

/* Keeps what is neither `from` nor below it; `marks` says where each task stands. */
static mr_status keep(const struct mr__run *run, uint32_t from, const uint8_t *marks,
                      struct mr__kept_set *set, mr_error *reterr)
{
    const struct mr__dag *dag = run->plan->dag;
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(run->id, id);
    const char *reason =
        mr__arena_printf(&set->arena, "kept from run %s", id + strlen(id) - ID_SHOWN);
    bool good = reason != NULL && copy_share(run, set);
    for (uint32_t t = 0; t < dag->task_count && good; t++) {
        uint8_t had = run->tasks[t].status;
        if ((marks[t] & ABOVE) != 0 && !ended_well(had)) {
            return mr__error_set(reterr, MR_ECONFLICT,
                                 "cannot rerun from \"%s\": task \"%s\" above it is %s in run %s",
                                 dag->tasks[from].id, dag->tasks[t].id, mr__task_status_name(had),
                                 id);
        }
        if (t != from && (marks[t] & BELOW) == 0 && ended_well(had)) {
            struct mr__kept *kept = &set->list[set->count++];
            *kept = (struct mr__kept){.task = t, .status = had, .reason = {reason, strlen(reason)}};
            good = copy_output(run, t, set, &kept->output);
        }
    }
    return good ? MR_OK : mr__error_set(reterr, MR_ENOMEM, "out of memory");
}

mr_status mr__kept_from(struct mr__dag *dag, struct mr__blob log, const char *from,
                        struct mr__kept_set *ret_set, mr_error *reterr)
{
    struct mr__past past;
    mr_status status = mr__names_check(dag, &from, 1, false, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = mr__past_open(&past, dag, log);
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "the run cannot be read back: %s",
                             mr_status_text(status));
    }
    uint32_t task = (uint32_t)mr__dag_find(dag, from, strlen(from));
    uint8_t *marks = mr__calloc(dag->task_count, sizeof *marks);
    uint32_t *stack = mr__malloc(dag->task_count * sizeof *stack);
    ret_set->list = mr__calloc(dag->task_count, sizeof *ret_set->list);
    if (marks == NULL || stack == NULL || ret_set->list == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    } else {
        mark(dag, task, ABOVE, marks, stack);
        mark(dag, task, BELOW, marks, stack);
        status = keep(past.run, task, marks, ret_set, reterr);
    }
    mr__free(marks);
    mr__free(stack);
    mr__past_finish(&past);
    return status;
}
