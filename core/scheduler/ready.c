/* SPDX-License-Identifier: MIT
 *
 * Ready lists, room, and who goes on below a task. Pure; loop thread. No walk recurses.
 */
#include "core/scheduler/ready.h"

#include <stdlib.h>

/* ---- lists ------------------------------------------------------------------------------------
 */

static struct mr__list *ready_list(struct mr__run *run, uint32_t t)
{
    return mr__task_is_job(run, t) ? &run->ready_job : &run->ready_free;
}

static void list_add(struct mr__run *run, struct mr__list *list, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    task->next = MR__NONE;
    task->prev = list->tail;
    *(list->tail == MR__NONE ? &list->head : &run->tasks[list->tail].next) = t;
    list->tail = t;
}

static void list_del(struct mr__run *run, struct mr__list *list, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    *(task->prev == MR__NONE ? &list->head : &run->tasks[task->prev].next) = task->next;
    *(task->next == MR__NONE ? &list->tail : &run->tasks[task->next].prev) = task->prev;
    task->next = task->prev = MR__NONE;
}

static void ready_put(struct mr__run *run, uint32_t t)
{
    run->tasks[t].flags |= MR__TASKFLAG_READY;
    list_add(run, ready_list(run, t), t);
    run->ready_count++;
}

void mr__ready_add(struct mr__run *run, uint32_t t)
{
    struct mr__fan *fan = mr__run_fan(run, t);
    MR_ASSERT((run->tasks[t].flags & (MR__TASKFLAG_READY | MR__TASKFLAG_HELD)) == 0);
    if (fan == NULL) {
        ready_put(run, t);
        return;
    }
    run->tasks[t].flags |= MR__TASKFLAG_HELD;
    list_add(run, &fan->held, t);
    mr__ready_room(run, fan);
}

void mr__ready_room(struct mr__run *run, struct mr__fan *fan)
{
    uint32_t max = run->plan->dag->tasks[fan->task].max_parallel;
    while (fan->held.head != MR__NONE && (max == 0 || fan->active < max)) {
        uint32_t t = fan->held.head;
        list_del(run, &fan->held, t);
        run->tasks[t].flags &= (uint16_t)~MR__TASKFLAG_HELD;
        fan->active++;
        ready_put(run, t);
    }
}

void mr__ready_remove(struct mr__run *run, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    if (task->flags & MR__TASKFLAG_READY) {
        list_del(run, ready_list(run, t), t);
        run->ready_count--;
    } else if (task->flags & MR__TASKFLAG_HELD) {
        list_del(run, &mr__run_fan(run, t)->held, t);
    }
    task->flags &= (uint16_t) ~(MR__TASKFLAG_READY | MR__TASKFLAG_HELD);
}

void mr__preparing_stop(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    if ((task->flags & MR__TASKFLAG_PREPARING) == 0) {
        return;
    }
    task->flags &= (uint16_t)~MR__TASKFLAG_PREPARING;
    run->preparing_count--;
    if ((run->flags & MR__RUNFLAG_DORMANT) == 0 && mr__task_is_job(run, t)) {
        s->jobs_used--;
    }
}

void mr__ready_back(struct mr__scheduler *s, struct mr__run *run, uint32_t t)
{
    mr__preparing_stop(s, run, t);
    ready_put(run, t);
}

/* ---- the graph --------------------------------------------------------------------------------
 */

/* It begins when nothing above it is open any more. */
static bool may_begin(const struct mr__task *task)
{
    bool waits =
        (task->flags & (MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED | MR__TASKFLAG_PREPARED)) != 0;
    return !waits && (task->status == MR__TASK_INIT || task->status == MR__TASK_RETRYING ||
                      task->status == MR__TASK_CONTINUE);
}

static void open_less(struct mr__run *run, uint32_t child)
{
    struct mr__task *task = &run->tasks[child];
    MR_ASSERT(task->open > 0);
    if (--task->open == 0 && may_begin(task)) {
        mr__ready_add(run, child);
    }
}

/* A parent that had ended goes on: what has not begun waits for it again. */
static void open_more(struct mr__scheduler *s, struct mr__run *run, uint32_t child)
{
    run->tasks[child].open++;
    mr__ready_remove(run, child);
    mr__preparing_stop(s, run, child);
}

/* Sets the mark of a task that cannot begin; true if that is news for those below it. */
static bool dead_changed(struct mr__run *run, uint32_t t)
{
    struct mr__task *task = &run->tasks[t];
    bool is_dead = (task->flags & MR__TASKFLAG_DEAD) != 0;
    bool dies = task->status == MR__TASK_INIT && run->bad[t] > 0 &&
                run->plan->dag->tasks[t].when == MR__WHEN_SUCCESS;
    if (dies != is_dead) {
        task->flags ^= MR__TASKFLAG_DEAD;
    }
    return dies != is_dead;
}

/* Tells the children of one task. Those that die or come to life are added to `work`. */
static uint32_t tell_children(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                              enum mr__graph_state was, enum mr__graph_state is, uint32_t *work,
                              uint32_t count)
{
    const struct mr__dag *dag = run->plan->dag;
    const uint32_t *children = dag->children + dag->tasks[t].first_child;
    for (uint32_t i = 0; i < dag->tasks[t].child_count; i++) {
        uint32_t child = children[i];
        run->bad[child] += (uint32_t)(is == MR__GRAPH_BAD) - (uint32_t)(was == MR__GRAPH_BAD);
        if (dag->tasks[child].when == MR__WHEN_SUCCESS) {
            if (is == MR__GRAPH_GOOD && was != MR__GRAPH_GOOD) {
                open_less(run, child);
            }
            if (dead_changed(run, child)) {
                work[count++] = child;
            }
        } else if (is == MR__GRAPH_OPEN) {
            open_more(s, run, child);
        } else if (was == MR__GRAPH_OPEN) {
            open_less(run, child);
        }
    }
    return count;
}

void mr__graph_good(struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const uint32_t *child = dag->children + dag->tasks[t].first_child;
    for (uint32_t i = 0; i < dag->tasks[t].child_count; i++) {
        open_less(run, child[i]);
    }
}

void mr__graph_changed(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                       enum mr__graph_state was)
{
    (void)dead_changed(run, t);
    enum mr__graph_state is = mr__graph_state(run, t);
    if (is == was) {
        return;
    }
    /* Each task dies, or comes to life, once at the most: there is room for all. */
    uint32_t *work = run->bad + run->plan->dag->task_count;
    uint32_t count = tell_children(s, run, t, was, is, work, 0);
    for (uint32_t i = 0; i < count; i++) {
        is = mr__graph_state(run, work[i]);
        was = is == MR__GRAPH_BAD ? MR__GRAPH_OPEN : MR__GRAPH_BAD;
        count = tell_children(s, run, work[i], was, is, work, count);
    }
}

bool mr__graph_tainted(const struct mr__run *run, uint32_t t, bool *ret_ok)
{
    const struct mr__dag *dag = run->plan->dag;
    uint32_t count = 0;
    *ret_ok = true;
    if (run->count[MR__TASK_FAILED] + run->count[MR__TASK_CANCELED] == 0) {
        return false;
    }
    if (run->bad[t] > 0) {
        return true;
    }
    uint32_t *work = mr__malloc(dag->task_count * sizeof *work);
    bool *seen = mr__calloc(dag->task_count, sizeof *seen), found = false;
    *ret_ok = work != NULL && seen != NULL;
    if (*ret_ok) {
        work[count++] = t;
    }
    for (uint32_t i = 0; i < count && !found; i++) {
        const struct mr__dag_task *row = &dag->tasks[work[i]];
        found = run->bad[work[i]] > 0;
        for (uint32_t j = 0; j < row->parent_count; j++) {
            uint32_t parent = dag->parents[row->first_parent + j];
            if (!seen[parent]) {
                seen[parent] = true;
                work[count++] = parent;
            }
        }
    }
    mr__free(work);
    mr__free(seen);
    return found;
}
