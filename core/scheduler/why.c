/* SPDX-License-Identifier: MIT
 *
 * Reasons. Pure; loop thread.
 */
#include "core/scheduler/why.h"

#include "core/base/clock.h"

const char *mr__why_word(enum mr__why_kind kind)
{
    static const char *const words[MR__WHY_KINDS] = {
#define WHY_WORD(name, word) word,
        MR__WHY_MAP(WHY_WORD)
#undef WHY_WORD
    };
    return words[kind];
}

/* The parent that keeps the task from its turn, or from ever having it. */
static struct mr__why why_parents(const struct mr__run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__dag_task *row = &dag->tasks[t];
    struct mr__why waits = {.kind = MR__WHY_TURN};
    for (uint32_t i = 0; i < row->parent_count; i++) {
        uint32_t parent = dag->parents[row->first_parent + i];
        enum mr__graph_state state = mr__graph_state(run, parent);
        if (state == MR__GRAPH_BAD && row->when == MR__WHEN_SUCCESS) {
            return (struct mr__why){.kind = MR__WHY_DEAD, .other = parent};
        }
        if (state == MR__GRAPH_OPEN && waits.kind != MR__WHY_TASK) {
            waits = (struct mr__why){.kind = MR__WHY_TASK, .other = parent};
        }
    }
    return waits;
}

static struct mr__why why_children(const struct mr__run *run, uint32_t t)
{
    const struct mr__fan *fan = &run->fans[run->details[t].fan];
    struct mr__why why = {.kind = MR__WHY_CHILDREN, .other = fan->first};
    for (uint32_t child = fan->first; child < fan->first + fan->count; child++) {
        const struct mr__task *task = &run->tasks[child];
        bool open = task->status != MR__TASK_SUCCESS && task->status != MR__TASK_FAILED &&
                    task->status != MR__TASK_CANCELED && task->status != MR__TASK_SKIPPED;
        if (open && (task->flags & MR__TASKFLAG_HELD) == 0) {
            why.other = child;
            break;
        }
    }
    return why;
}

/* A task whose turn has come, and that has not begun. */
static enum mr__why_kind why_ready(const struct mr__scheduler *s, const struct mr__run *run,
                                   uint32_t t)
{
    uint32_t max = run->plan->dag->max_parallel;
    if (max != 0 && mr__run_begun(run) >= max) {
        return MR__WHY_RUN_SLOT;
    }
    return mr__task_is_job(run, t) && s->jobs_used >= s->jobs_max ? MR__WHY_JOBS : MR__WHY_TURN;
}

/* What keeps the whole run from going on, if anything does. */
static enum mr__why_kind why_run(const struct mr__run *run, uint32_t t)
{
    const struct mr__action_binding *binding = mr__run_binding(run, t);
    if ((run->flags & MR__RUNFLAG_DORMANT) != 0) {
        bool known =
            mr__run_dag_task(run, t)->action == NULL || (binding->flags & MR__ACTION_KNOWN) != 0;
        return known ? MR__WHY_OWNER : MR__WHY_ACTION;
    }
    if (run->status == MR__RUN_PAUSED) {
        return MR__WHY_PAUSED;
    }
    return run->hooks_due != 0 ? MR__WHY_HOOKS : MR__WHY_TURN;
}

static struct mr__why why_begun(const struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    struct mr__why why = {.kind = MR__WHY_ATTEMPT};
    if (task->flags & (MR__TASKFLAG_CANCELING | MR__TASKFLAG_CANCELED)) {
        why.kind = MR__WHY_CANCEL;
    } else if (task->flags & MR__TASKFLAG_PREPARING) {
        why.kind = MR__WHY_PREPARE;
    } else if (task->flags & MR__TASKFLAG_PREPARED) {
        why.kind = MR__WHY_BEFORE;
    } else if (task->status == MR__TASK_ENDING) {
        why.kind = MR__WHY_AFTER;
    } else if (task->flags & MR__TASKFLAG_WAITING) {
        why = (struct mr__why){.kind = MR__WHY_TIMER, .due_ms = run->details[t].due_ms};
    }
    return why;
}

struct mr__why mr__why_task(const struct mr__scheduler *s, const struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    struct mr__why why = {.kind = MR__WHY_OVER};
    switch (task->status) {
    case MR__TASK_SUCCESS:
    case MR__TASK_FAILED:
    case MR__TASK_CANCELED:
    case MR__TASK_SKIPPED: return why;
    case MR__TASK_BLOCKED: why.kind = MR__WHY_CONTINUE; return why;
    default: break;
    }
    if (t < run->plan->dag->task_count && task->open > 0 && !mr__task_begun(task)) {
        return why_parents(run, t);
    }
    why.kind = why_run(run, t);
    if (why.kind == MR__WHY_OWNER || why.kind == MR__WHY_ACTION) {
        return why;
    }
    if ((task->flags & MR__TASKFLAG_FANNED) != 0) {
        return why_children(run, t);
    }
    if (mr__task_begun(task)) {
        return why_begun(run, t);
    }
    if (task->flags & MR__TASKFLAG_DELAYED) {
        return (struct mr__why){.kind = MR__WHY_RETRY, .due_ms = run->details[t].due_ms};
    }
    if (task->flags & MR__TASKFLAG_JUDGING) {
        why.kind = MR__WHY_JUDGE;
    } else if (why.kind == MR__WHY_TURN) {
        why.kind = (task->flags & MR__TASKFLAG_HELD) != 0 ? MR__WHY_FAN_SLOT : why_ready(s, run, t);
    }
    return why;
}

/* ---- in words ---------------------------------------------------------------------------------
 */

static void print_due(struct mr__buf *out, int64_t due_ms, int64_t now_ms)
{
    char at[MR__TIME_TEXT_BYTES], left[MR__TIME_TEXT_BYTES];
    int64_t left_ms = MR__MAX(due_ms - now_ms, 0);
    mr__time_text(due_ms, at);
    mr__duration_text(left_ms < 10000 ? left_ms : left_ms / 1000 * 1000, left);
    mr__buf_printf(out, "%s (in %s)", at, left);
}

static void print_reason(const struct mr__run *run, uint32_t t, struct mr__buf *out)
{
    struct mr__event event;
    if (mr__run_task_event(run, t, &event) && event.reason.len > 0) {
        mr__buf_text(out, ": ");
        mr__buf_bytes(out, event.reason.data, event.reason.len);
    }
}

void mr__why_print(const struct mr__scheduler *s, const struct mr__run *run, uint32_t t,
                   const struct mr__why *why, int64_t now_ms, struct mr__buf *out)
{
    const struct mr__task *task = &run->tasks[t];
    mr__run_task_name(run, t, out);
    switch (why->kind) {
    case MR__WHY_OVER:
        mr__buf_printf(out, " waits for nothing: it is %s", mr__task_status_name(task->status));
        print_reason(run, t, out);
        break;
    case MR__WHY_TASK:
        mr__buf_text(out, " waits for task ");
        mr__run_task_name(run, why->other, out);
        break;
    case MR__WHY_DEAD:
        mr__buf_text(out, " cannot begin: before it, ");
        mr__run_task_name(run, why->other, out);
        mr__buf_printf(out, " is %s",
                       (run->tasks[why->other].flags & MR__TASKFLAG_DEAD) != 0
                           ? "kept from beginning too"
                           : mr__task_status_name(run->tasks[why->other].status));
        break;
    case MR__WHY_ATTEMPT: mr__buf_printf(out, " runs: attempt %u", task->attempt); break;
    case MR__WHY_CANCEL:
        mr__buf_printf(out, " was told to end, and attempt %u has not ended yet",
                       mr__run_attempt(run, t));
        break;
    case MR__WHY_TIMER:
        mr__buf_text(out, " waits until ");
        print_due(out, why->due_ms, now_ms);
        break;
    case MR__WHY_RETRY:
        mr__buf_printf(out, " waits for attempt %u at ", task->attempt + 1);
        print_due(out, why->due_ms, now_ms);
        print_reason(run, t, out);
        break;
    case MR__WHY_JUDGE: mr__buf_text(out, ": its retry.if is being evaluated"); break;
    case MR__WHY_PREPARE:
        mr__buf_text(out, ": its conditions and templates are being evaluated");
        break;
    case MR__WHY_BEFORE: mr__buf_text(out, ": run_before is being called"); break;
    case MR__WHY_AFTER: mr__buf_text(out, ": run_after is being called"); break;
    case MR__WHY_CHILDREN: {
        const struct mr__fan *fan = &run->fans[run->details[t].fan];
        mr__buf_printf(out, " waits for its children: %u of %u have ended; next is ", fan->ended,
                       fan->count);
        mr__run_task_name(run, why->other, out);
        break;
    }
    case MR__WHY_CONTINUE:
        mr__buf_text(out, " is blocked and waits for `continue`");
        print_reason(run, t, out);
        break;
    case MR__WHY_FAN_SLOT:
        mr__buf_printf(out, " waits for a slot: maxParallel of the fan-out is %u",
                       mr__run_dag_task(run, t)->max_parallel);
        break;
    case MR__WHY_RUN_SLOT:
        mr__buf_printf(out, " waits for a slot: maxParallel of the run is %u",
                       run->plan->dag->max_parallel);
        break;
    case MR__WHY_JOBS:
        mr__buf_printf(out, " waits for a slot: %u of %u jobs run (--jobs)", s->jobs_used,
                       s->jobs_max);
        break;
    case MR__WHY_PAUSED: mr__buf_text(out, " waits: the run is paused (`unpause`)"); break;
    case MR__WHY_HOOKS: mr__buf_text(out, " waits for hooks that are being called"); break;
    case MR__WHY_OWNER:
        mr__buf_text(out, " waits: nobody goes on with the run (`millrace run --resume`)");
        break;
    case MR__WHY_ACTION:
        mr__buf_printf(out, " waits: no plugin has its action \"%s\"",
                       mr__run_dag_task(run, t)->action);
        break;
    default: mr__buf_text(out, " begins with the next step"); break;
    }
}
