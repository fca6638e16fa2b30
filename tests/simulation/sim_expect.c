/* SPDX-License-Identifier: MIT
 *
 * What is to be expected of a run as its durable events have left it: whose turn it is, what the
 * conditions say, how it must end, which hooks are called. Each answer looks at the whole graph
 * anew; nothing is counted along.
 */
#include <stdio.h>

#include "tests/simulation/sim_rules.h"

/* ---- looking at a run ----------------------------------------------------------------------- */

/* The task of the dag that says what `t` does. */
const struct mr__dag_task *sim_expect_row(const struct sim_run *run, uint32_t t)
{
    return &run->plan->dag->tasks[is_child(run, t) ? run->fans[run->tasks[t].fan].task : t];
}

bool sim_expect_begun(const struct sim_run *run, uint32_t t)
{
    const struct sim_task *task = &run->tasks[t];
    return task->prepared || task->status == MR__TASK_ENDING ||
           (task->status == MR__TASK_RUNNING && !task->fanned);
}

bool sim_expect_current(const struct sim_run *run, uint32_t t, uint32_t attempt)
{
    return sim_expect_begun(run, t) && run->tasks[t].attempt + run->tasks[t].prepared == attempt;
}

/* It can no longer begin: a task above it failed, was canceled, or cannot begin itself. */
bool sim_expect_dead(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__dag_task *row = &dag->tasks[t];
    bool dead = false;
    if (run->tasks[t].status != MR__TASK_INIT || row->when != MR__WHEN_SUCCESS) {
        return false;
    }
    for (uint32_t i = 0; i < row->parent_count && !dead; i++) {
        uint32_t parent = dag->parents[row->first_parent + i];
        dead = is_bad(run->tasks[parent].status) || sim_expect_dead(run, parent);
    }
    return dead;
}

/* Some task above it failed or was canceled. */
bool sim_expect_tainted(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    bool tainted = false;
    for (uint32_t i = 0; i < dag->tasks[t].parent_count && !tainted; i++) {
        uint32_t parent = dag->parents[dag->tasks[t].first_parent + i];
        tainted = is_bad(run->tasks[parent].status) || sim_expect_tainted(run, parent);
    }
    return tainted;
}

static bool parents_allow(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    if (is_child(run, t)) {
        return true;
    }
    const struct mr__dag_task *row = &dag->tasks[t];
    for (uint32_t i = 0; i < row->parent_count; i++) {
        uint32_t parent = dag->parents[row->first_parent + i];
        uint8_t status = run->tasks[parent].status;
        bool over = row->when == MR__WHEN_SUCCESS
                        ? is_good(status)
                        : is_good(status) || is_bad(status) || sim_expect_dead(run, parent);
        if (!over) {
            return false;
        }
    }
    return true;
}

static bool could_begin(const struct sim_run *run, uint32_t t)
{
    const struct sim_task *task = &run->tasks[t];
    return may_begin(task->status) && !task->judging && !task->delayed && !task->prepared &&
           parents_allow(run, t);
}

_Noreturn void sim_broken_task(struct sim *sim, const struct sim_run *run, uint32_t t,
                               const char *what)
{
    sim_broken(sim, "dag %s, task %u (%s): %s", run->plan->dag->id, t,
               mr__task_status_name(run->tasks[t].status), what);
}

/* ---- how a run ends ------------------------------------------------------------------------- */

/* Each run stands as its tasks demand: nothing could go on, and the status is contract.md's. */
void sim_expect_outcome(struct sim *sim, const struct sim_run *run, uint8_t status)
{
    uint32_t count[MR__TASK_STATUSES] = {0};
    uint8_t want = MR__RUN_SUCCESS;
    for (uint32_t t = 0; t < run->task_count; t++) {
        const struct sim_task *task = &run->tasks[t];
        bool goes_on =
            sim_expect_begun(run, t) || task->judging || task->delayed || could_begin(run, t);
        count[task->status]++;
        if (goes_on) {
            sim_broken_task(sim, run, t, "it could go on, and the run ends");
        }
        if (task->late) {
            sim_broken_task(sim, run, t, "it was to be canceled, and the run ends");
        }
        if (task->status == MR__TASK_RUNNING && status != MR__RUN_BLOCKED) {
            sim_broken_task(sim, run, t, "the run ends without it");
        }
    }
    if (run->timed_out) {
        want = MR__RUN_FAILED;
    } else if (run->canceling) {
        want = MR__RUN_CANCELED;
    } else if (count[MR__TASK_FAILED] + count[MR__TASK_CANCELED] > 0) {
        want = MR__RUN_FAILED;
    } else if (count[MR__TASK_BLOCKED] > 0) {
        want = MR__RUN_BLOCKED;
    }
    if (status != want) {
        sim_broken(sim, "a run ends as %s instead of %s", mr__run_status_name(status),
                   mr__run_status_name(want));
    }
    if (want == MR__RUN_SUCCESS &&
        count[MR__TASK_SUCCESS] + count[MR__TASK_SKIPPED] != run->task_count) {
        sim_broken(sim, "a run succeeds while not all of its tasks did");
    }
}

uint32_t sim_expect_hooks(const struct sim *sim, const struct sim_run *run, uint32_t mask)
{
    return mask & (run->plan->dag->hook_mask | sim->hooks);
}

uint32_t sim_expect_hooks_at_end(const struct sim *sim, const struct sim_run *run, uint8_t status)
{
    static const uint32_t masks[MR__RUN_STATUSES] = {
        [MR__RUN_SUCCESS] = HOOK(BEFORE_SUCCESS) | HOOK(ON_SUCCESS) | HOOK(ON_EXIT),
        [MR__RUN_FAILED] = HOOK(BEFORE_FAIL) | HOOK(ON_FAILURE) | HOOK(ON_EXIT),
        [MR__RUN_CANCELED] = HOOK(ON_CANCEL) | HOOK(ON_EXIT),
        [MR__RUN_BLOCKED] = HOOK(BEFORE_BLOCK)};
    return sim_expect_hooks(sim, run, masks[status]);
}

/* ---- before a task begins ------------------------------------------------------------------- */

static void check_room(struct sim *sim, const struct sim_run *run, uint32_t t)
{
    uint32_t begun = 0, siblings = 0, held = 0;
    const struct mr__dag *dag = run->plan->dag;
    uint32_t max = is_child(run, t) ? sim_expect_row(run, t)->max_parallel : 0;
    for (uint32_t other = 0; other < run->task_count; other++) {
        bool is_sibling =
            is_child(run, t) && is_child(run, other) && run->tasks[other].fan == run->tasks[t].fan;
        begun += sim_expect_begun(run, other);
        siblings += is_sibling && sim_expect_begun(run, other);
        held += is_sibling && other != t && could_begin(run, other);
    }
    if (dag->max_parallel > 0 && begun >= dag->max_parallel) {
        sim_broken_task(sim, run, t, "it begins beyond the run's maxParallel");
    }
    if (max > 0 && siblings >= max) {
        sim_broken_task(sim, run, t, "it begins beyond its fan-out's maxParallel");
    }
    if (max > 0 && siblings + 1 == max && held > 0) {
        sim_count(sim, SIM_fan_held);
    }
}

void sim_expect_turn(struct sim *sim, const struct sim_run *run, uint32_t t)
{
    uint32_t before_run = sim_expect_hooks(sim, run, HOOK(BEFORE_RUN));
    if (run->paused) {
        sim_broken_task(sim, run, t, "it begins while its run is paused");
    }
    if (run->hooks_due != 0 || (before_run & ~run->hooks_called) != 0) {
        sim_broken_task(sim, run, t, "it begins before the hooks that come before it are called");
    }
    if (run->canceling) {
        sim_broken_task(sim, run, t, "it begins after its run was canceled");
    }
    if (!could_begin(run, t)) {
        sim_broken_task(sim, run, t, "it begins, and that is not its turn");
    }
    if (run->tasks[t].late) {
        sim_broken_task(sim, run, t, "it begins below a task that succeeded after it was canceled");
    }
    check_room(sim, run, t);
}

struct mr__blob sim_expect_item(const struct sim_run *run, uint32_t t, char text[16])
{
    if (!is_child(run, t)) {
        return (struct mr__blob){NULL, 0};
    }
    (void)snprintf(text, 16, "%u", t - run->fans[run->tasks[t].fan].first);
    return (struct mr__blob){text, strlen(text)};
}

/* Of a variable: it is the digit. Of share data: the key had a number, or none, or an even one. */
static bool holds(const struct sim_run *run, const struct mr__condition *condition, size_t seen)
{
    if (condition->source == MR__SOURCE_VARS) {
        return condition->values.u.list[0].u.s[0] == run->x;
    }
    uint32_t number = sim_share_at(run, condition->key, seen);
    if (condition->op == MR__OP_EXISTS) {
        return (number != 0) == (condition->values.len == 0 || condition->values.u.list[0].u.i);
    }
    return number != 0 && number % 2 == 0;
}

static bool all_hold(const struct sim_run *run, const struct mr__check *check, size_t seen)
{
    bool all = true;
    for (uint32_t i = 0; i < check->count; i++) {
        all &= holds(run, &check->conditions[i], seen);
    }
    return all;
}

/* preCheck, in file order: the first one that acts, or NULL. */
static const struct mr__check *expect_check(const struct sim_run *run, uint32_t t, size_t seen)
{
    const struct mr__dag_task *row = sim_expect_row(run, t);
    bool continued = run->tasks[t].status == MR__TASK_CONTINUE;
    for (uint32_t i = 0; i < row->check_count; i++) {
        const struct mr__check *check = &row->checks[i];
        if (!(check->block && continued) && all_hold(run, check, seen)) {
            return check;
        }
    }
    return NULL;
}

static enum mr__verdict expect_conditions(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag_task *row = sim_expect_row(run, t);
    bool continued = run->tasks[t].status == MR__TASK_CONTINUE;
    const struct mr__blob none = {NULL, 0};
    const struct {
        uint32_t script;
        enum sim_truth_value acts_if;
        enum mr__verdict verdict;
    } conditions[] = {{row->run_if, SIM_FALSE, MR__VERDICT_SKIP},
                      {row->skip_if, SIM_TRUE, MR__VERDICT_SKIP},
                      {continued ? MR__NO_SCRIPT : row->block_if, SIM_TRUE, MR__VERDICT_BLOCK}};
    for (size_t i = 0; i < MR__COUNT(conditions); i++) {
        enum sim_truth_value value = conditions[i].script == MR__NO_SCRIPT
                                         ? !conditions[i].acts_if
                                         : sim_script_value(run, conditions[i].script, none, 0);
        if (value == SIM_FAILS || value == conditions[i].acts_if) {
            return value == SIM_FAILS ? MR__VERDICT_FAIL : conditions[i].verdict;
        }
    }
    return MR__VERDICT_GO;
}

/* Its list, or its templates. */
static enum mr__verdict expect_params(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__dag_task *row = sim_expect_row(run, t);
    char text[16];
    struct mr__blob item = sim_expect_item(run, t, text);
    if (row->for_each != MR__NO_SCRIPT && !is_child(run, t)) {
        bool fails = sim_script_value(run, row->for_each, item, 0) == SIM_FAILS;
        return fails ? MR__VERDICT_FAIL : MR__VERDICT_FAN;
    }
    for (uint32_t i = 0; i < row->template_count; i++) {
        const struct mr__dag_template *template = &dag->templates[row->first_template + i];
        if (template->kind == MR__TEMPLATE_SCRIPT &&
            sim_script_value(run, template->number, item, 0) == SIM_FAILS) {
            return MR__VERDICT_FAIL;
        }
    }
    return MR__VERDICT_GO;
}

enum mr__verdict sim_expect_verdict(const struct sim_run *run, uint32_t t, size_t seen,
                                    const struct mr__check **ret_check)
{
    enum mr__verdict verdict = MR__VERDICT_GO;
    *ret_check = NULL;
    if (!is_child(run, t) && !run->tasks[t].again) {
        *ret_check = expect_check(run, t, seen);
        verdict = *ret_check == NULL    ? expect_conditions(run, t)
                  : (*ret_check)->block ? MR__VERDICT_BLOCK
                                        : MR__VERDICT_SKIP;
    }
    return verdict == MR__VERDICT_GO ? expect_params(run, t) : verdict;
}

bool sim_expect_skipped(const struct sim_run *run, uint32_t t)
{
    return !is_child(run, t) && run->plan->dag->tasks[t].when == MR__WHEN_FAILED &&
           run->tasks[t].status == MR__TASK_INIT && !sim_expect_tainted(run, t);
}
