/* SPDX-License-Identifier: MIT
 *
 * Whose turn it is: the ready lists of a run, the room among a fan-out's children, and what the end
 * of a task means for those below it. All of it follows from the events and is kept up to date as
 * they are applied; only apply.c changes it, and decide.c reads it. Pure; loop thread.
 *
 * A task without `when` waits until all its parents are success or skipped; it is dead once one of
 * them failed, was canceled or is dead itself. A task with `when: always` or `failed` waits until
 * each parent has ended or is dead. Where no task of the dag has a `when` nobody needs to know who
 * is dead, and only the first rule is kept.
 */
#ifndef MR__READY_H
#define MR__READY_H

#include "core/scheduler/state.h"

/* What a task is for those below it. */
enum mr__graph_state { MR__GRAPH_OPEN = 0, MR__GRAPH_GOOD, MR__GRAPH_BAD };
static inline enum mr__graph_state mr__graph_state(const struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    switch (task->status) {
    case MR__TASK_SUCCESS:
    case MR__TASK_SKIPPED: return MR__GRAPH_GOOD;
    case MR__TASK_FAILED:
    case MR__TASK_CANCELED: return MR__GRAPH_BAD;
    default: return (task->flags & MR__TASKFLAG_DEAD) != 0 ? MR__GRAPH_BAD : MR__GRAPH_OPEN;
    }
}
/* Where no task of the dag has a `when`: `t`, a task of the dag, is success or skipped from now on.
 */
void mr__graph_good(struct mr__run *run, uint32_t t);
/* Where one has: after a change of the status of `t`, which was `was` before: opens its children,
 * or closes them again. */
void mr__graph_changed(struct mr__scheduler *s, struct mr__run *run, uint32_t t,
                       enum mr__graph_state was);
/* Whether any task above `t` failed or was canceled. False in `*ret_ok`: out of memory. */
bool mr__graph_tainted(const struct mr__run *run, uint32_t t, bool *ret_ok);

/* Its turn has come: into a ready list, or for a fan-out's child without room into its list. */
void mr__ready_add(struct mr__run *run, uint32_t t);
/* Its preparation came to nothing: back into the ready list, with the room that it had. */
void mr__ready_back(struct mr__scheduler *s, struct mr__run *run, uint32_t t);
/* Out of the list that it is in, if it is in one. */
void mr__ready_remove(struct mr__run *run, uint32_t t);
/* Moves children that were held into a ready list while their fan-out has room. */
void mr__ready_room(struct mr__run *run, struct mr__fan *fan);

/* It has begun and not ended: it holds a slot of maxParallel, and of --jobs where it is a job. */
static inline bool mr__task_begun(const struct mr__task *task)
{
    bool runs = task->status == MR__TASK_RUNNING || task->status == MR__TASK_ENDING;
    return (runs && (task->flags & MR__TASKFLAG_FANNED) == 0) ||
           (task->flags & (MR__TASKFLAG_PREPARING | MR__TASKFLAG_PREPARED)) != 0;
}
static inline bool mr__task_is_job(const struct mr__run *run, uint32_t t)
{
    return (mr__run_binding(run, t)->flags & MR__ACTION_JOB) != 0;
}

/* Whether this attempt of a task is under way, in whatever phase. */
static inline bool mr__attempt_is_current(const struct mr__run *run, uint32_t t, uint32_t attempt)
{
    return t < run->task_count && mr__run_attempt(run, t) == attempt &&
           (run->tasks[t].flags & MR__TASKFLAG_PREPARING) == 0 && mr__task_begun(&run->tasks[t]);
}

/* Its preparation, if one is under way, counts no more. */
void mr__preparing_stop(struct mr__scheduler *s, struct mr__run *run, uint32_t t);

#endif
