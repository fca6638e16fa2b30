/* SPDX-License-Identifier: MIT
 *
 * The executor of the simulation. Its table of attempts goes through all lives: so it knows when an
 * attempt is started a second time, or beside another one of its task, or before its start is
 * durable; and that each phase comes when it is due, once in a life. What an executor of the new
 * life may know is what the real one would: its own attempts, and the rows of the child table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

static const struct sim_action actions[] = {
    {.name = "loop", .flags = MR__ACTION_KNOWN, .at_once = 500},
    {.name = "wait", .flags = MR__ACTION_KNOWN, .waits = 850},
    {.name = "spawn", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true},
    {.name = "worker", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .shares = 200},
    {.name = "idem",
     .flags = MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_IDEMPOTENT,
     .rows = true},
    {.name = "fails", .flags = MR__ACTION_KNOWN, .fails = 500, .at_once = 300},
    {.name = "stubborn", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true, .stubborn = 800},
    {.name = "shares", .flags = MR__ACTION_KNOWN, .at_once = 200, .shares = 700},
    {.name = "phases",
     .flags = MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_BEFORE | MR__ACTION_AFTER,
     .rows = true,
     .fails = 100,
     .shares = 200},
    {.name = "before", .flags = MR__ACTION_KNOWN | MR__ACTION_BEFORE, .at_once = 400, .fails = 200},
    {.name = "after",
     .flags = MR__ACTION_KNOWN | MR__ACTION_AFTER | MR__ACTION_IDEMPOTENT,
     .at_once = 300,
     .fails = 100,
     .shares = 300},
};

static struct sim *sim_of(struct mr__executor *x)
{
    return MR__CONTAINER(x, struct sim, exec.port);
}

static bool same_task(const struct mr__attempt_ref *a, const struct mr__attempt_ref *b)
{
    return a->task == b->task && memcmp(a->run_id, b->run_id, MR__RUN_ID_BYTES) == 0;
}

static struct sim_attempt *find(struct sim *sim, const struct mr__attempt_ref *ref)
{
    for (size_t i = sim->exec.attempt_count; i > 0; i--) {
        struct sim_attempt *a = &sim->exec.attempts[i - 1];
        if (a->ref.attempt == ref->attempt && same_task(&a->ref, ref)) {
            return a;
        }
    }
    return NULL;
}

/* Into the trace. */
static void note(struct sim *sim, const struct sim_attempt *a, const char *what)
{
    const struct sim_run *run = sim_truth_find(sim, a->ref.run_id);
    sim_note(sim, "run %zu task %u attempt %u (%s): %s", (size_t)(run - sim->truth.runs),
             a->ref.task, a->ref.attempt, a->action->name, what);
}

static bool known_here(const struct sim *sim, const struct sim_attempt *a)
{
    return a != NULL && a->life == sim->life && !a->forgotten;
}

static bool is_kept(const struct sim_action *action)
{
    return (action->flags & (MR__ACTION_JOB | MR__ACTION_BEFORE | MR__ACTION_AFTER)) != 0;
}

struct mr__action_binding sim_exec_bind(struct mr__executor *x, const char *name)
{
    for (size_t i = 0; i < MR__COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return (struct mr__action_binding){.action = (const void *)&actions[i],
                                               .flags = actions[i].flags};
        }
    }
    return (struct mr__action_binding){0};
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* What `run` or the attempt leaves: an output, or of a failure details; sets of the share data. */
struct leaves {
    char output[512];
    struct mr__share_set sets[3];
    char text[3][32];
};

static void fill(struct sim *sim, const struct sim_attempt *a, struct mr__attempt_end *end,
                 struct leaves *leaves)
{
    bool failed = end->outcome == MR__OUTCOME_FAILED;
    if (failed) {
        end->reason = "exit 7";
    }
    if (a->phase == SIM_RUN && sim_chance(sim, 400)) {
        (void)snprintf(leaves->output, sizeof leaves->output, "{\"n\":%u,\"s\":\"%0*d\"}",
                       a->ref.attempt, failed ? 1 : (int)sim_below(sim, 400) + 1, 0);
        if (failed || end->outcome == MR__OUTCOME_SUCCESS) {
            end->output = leaves->output;
            end->output_len = strlen(leaves->output);
        }
    }
    if (sim_chance(sim, a->action->shares)) {
        end->set_count =
            sim_share_make(sim, a, true, MR__COUNT(leaves->sets), leaves->sets, leaves->text);
        end->sets = leaves->sets;
    }
}

static void end(struct sim *sim, struct sim_attempt *a, enum mr__outcome outcome)
{
    struct leaves leaves;
    struct mr__attempt_end end = {.ref = a->ref, .outcome = outcome, .reason = ""};
    fill(sim, a, &end, &leaves);
    if (outcome == MR__OUTCOME_FAILED) {
        sim_count(sim, a->phase == SIM_BEFORE       ? SIM_before_failed
                       : a->phase == SIM_AFTERWARDS ? SIM_after_failed
                                                    : SIM_attempt_failed);
    }
    if (outcome == MR__OUTCOME_TIMED_OUT) {
        sim_count(sim, SIM_attempt_timed_out);
    }
    if (!a->started && a->cancel_reason != MR_NOT_CANCELED) {
        sim_count(sim, SIM_canceled_before_its_run);
    }
    a->alive = false;
    a->reported = true;
    a->phase = SIM_OVER;
    a->forgotten = !is_kept(a->action); /* others stay until forget() */
    mr__share_unref(a->share);
    a->share = NULL;
    note(sim, a, end.outcome == MR__OUTCOME_SUCCESS ? "ends well" : "ends");
    sim->exec.events.ended(sim->exec.events.user, &end);
}

static enum mr__outcome canceled_outcome(const struct sim_attempt *a)
{
    return a->cancel_reason == MR_BY_TIMEOUT ? MR__OUTCOME_TIMED_OUT : MR__OUTCOME_CANCELED;
}

/* A phase has ended well, and another one is to come. */
static void rest(struct sim *sim, struct sim_attempt *a)
{
    struct leaves leaves;
    struct mr__attempt_end told = {.ref = a->ref, .outcome = MR__OUTCOME_SUCCESS, .reason = ""};
    a->alive = false;
    if (a->phase == SIM_BEFORE) {
        a->phase = SIM_BEGAN;
        note(sim, a, "began");
        sim->exec.events.began(sim->exec.events.user, &a->ref);
        return;
    }
    fill(sim, a, &told, &leaves);
    a->phase = SIM_RAN;
    note(sim, a, "is ending");
    sim->exec.events.ending(sim->exec.events.user, &told);
}

static void end_by_itself(struct sim *sim, struct sim_attempt *a)
{
    bool more = a->phase == SIM_BEFORE ||
                (a->phase == SIM_RUN && (a->action->flags & MR__ACTION_AFTER) != 0);
    if (a->cancel_reason == MR_BY_TIMEOUT) {
        end(sim, a, MR__OUTCOME_TIMED_OUT);
    } else if (a->cancel_reason != MR_NOT_CANCELED &&
               (a->phase == SIM_BEFORE || !sim_chance(sim, 200))) {
        sim_count(sim, SIM_canceled_late);
        end(sim, a, MR__OUTCOME_CANCELED);
    } else if (sim_chance(sim, sim->knobs.attempt_fails) || sim_chance(sim, a->action->fails)) {
        end(sim, a,
            a->cancel_reason == MR_NOT_CANCELED ? MR__OUTCOME_FAILED : MR__OUTCOME_CANCELED);
    } else if (more && a->cancel_reason == MR_NOT_CANCELED) {
        rest(sim, a);
    } else {
        end(sim, a, MR__OUTCOME_SUCCESS);
    }
}

/* It asks to be ended by the engine: the executor is done with it. */
static void starts_to_wait(struct sim *sim, struct sim_attempt *a)
{
    int64_t ms = sim_below(sim, 4) == 0 ? (int64_t)sim_below(sim, 600000) : sim_below(sim, 3000);
    a->alive = false;
    a->forgotten = a->waits = true;
    a->row = false;
    mr__share_unref(a->share);
    a->share = NULL;
    sim_count(sim, SIM_waited);
    note(sim, a, "waits");
    sim->exec.events.waiting(sim->exec.events.user, &a->ref, ms);
}

/* ---- phases --------------------------------------------------------------------------------- */

static void check_alone(struct sim *sim, const struct mr__attempt_ref *ref)
{
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *a = &sim->exec.attempts[i];
        if (a->alive && same_task(&a->ref, ref)) {
            sim_broken(sim, "task %u attempt %u is called beside attempt %u", ref->task,
                       ref->attempt, a->ref.attempt);
        }
    }
}

/* What is durable of the task that is called, and that what it is called with is right. */
/* What an attempt gets to tell its owner from earlier ones is greater than what theirs have got. */
static void check_epoch(struct sim *sim, uint64_t epoch)
{
    struct sim_exec *exec = &sim->exec;
    if (exec->epoch_life != sim->life) {
        exec->epoch_life = sim->life;
        exec->epoch_earlier = exec->epoch_max;
    }
    if (epoch <= exec->epoch_earlier) {
        sim_broken(sim, "an attempt gets the epoch %llu, as one of an earlier owner has",
                   (unsigned long long)epoch);
    }
    exec->epoch_max = MR__MAX(exec->epoch_max, epoch);
}

static const struct sim_run *check_call(struct sim *sim, const struct mr__attempt *attempt)
{
    const struct mr__attempt_ref *ref = &attempt->ref;
    const struct sim_run *run = sim_truth_find(sim, ref->run_id);
    char name[64];
    if (run == NULL || !run->durable || ref->task >= run->task_count) {
        sim_broken(sim, "task %u is called before it is durable", ref->task);
    }
    sim_truth_name(run, ref->task, name, sizeof name);
    if (strcmp(name, attempt->task_id) != 0) {
        sim_broken(sim, "task %s is called %s", name, attempt->task_id);
    }
    sim_share_check(sim, run, attempt->share, false);
    check_epoch(sim, attempt->epoch);
    return run;
}

static uint64_t mark_of(const mr_value *params)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, params);
    uint64_t mark = mr__hash64(buf.data, buf.len);
    mr__buf_finish(&buf);
    return mark;
}

/* The attempt of an earlier life, or a new one. */
static struct sim_attempt *enter(struct sim *sim, const struct mr__attempt *attempt,
                                 enum sim_phase phase)
{
    static const char *const phases[] = {
        [SIM_BEFORE] = "before", [SIM_RUN] = "run", [SIM_AFTERWARDS] = "after"};
    struct sim_attempt *a = find(sim, &attempt->ref);
    check_alone(sim, &attempt->ref);
    if (a == NULL && sim->exec.attempt_count == SIM_ATTEMPTS_MAX) {
        sim_broken(sim, "the simulation has too few attempts");
    }
    if (a == NULL) {
        a = &sim->exec.attempts[sim->exec.attempt_count++];
        *a = (struct sim_attempt){.ref = attempt->ref,
                                  .action = (const void *)attempt->action,
                                  .params = mark_of(attempt->params)};
    }
    if (a->params != mark_of(attempt->params)) {
        sim_broken(sim, "task %u attempt %u has other params in another phase", a->ref.task,
                   a->ref.attempt);
    }
    if (a->life != sim->life) {
        a->life = sim->life;
        a->reported = a->forgotten = false;
        a->cancel_reason = MR_NOT_CANCELED;
        a->share = mr__share_ref(attempt->share);
    }
    a->phase = phase;
    a->alive = true;
    a->due_ms = sim->monotonic_ms + 1 + sim_below(sim, 3000);
    note(sim, a, phases[phase]);
    return a;
}

/* It was told to end before it came here: it is over, and what comes late is passed over. */
static bool is_passed_over(const struct sim *sim, const struct sim_attempt *a)
{
    return known_here(sim, a) && a->phase == SIM_OVER;
}

static void exec_before(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct sim *sim = sim_of(x);
    const struct mr__attempt_ref *ref = &attempt->ref;
    struct sim_attempt *a = find(sim, ref);
    if (sim->dead || sim_maybe_dies(sim) || is_passed_over(sim, a)) {
        return;
    }
    const struct sim_run *run = check_call(sim, attempt);
    const struct sim_task *task = &run->tasks[ref->task];
    if (!task->prepared || task->attempt + 1 != ref->attempt || (a != NULL && a->started)) {
        sim_broken(sim, "task %u attempt %u: what comes before is called, and that is not its turn",
                   ref->task, ref->attempt);
    }
    if (attempt->retry != (task->status == MR__TASK_RETRYING)) {
        sim_broken(sim, "task %u attempt %u is said to be retried, or not", ref->task,
                   ref->attempt);
    }
    if (known_here(sim, a)) {
        sim_count(sim, SIM_before_asked_again);
        if (a->phase == SIM_BEGAN) {
            sim_count(sim, SIM_began_told_again);
            sim->exec.events.began(sim->exec.events.user, &a->ref);
        }
        return;
    }
    sim_count(sim, a == NULL ? SIM_before_called : SIM_before_called_again);
    if (attempt->retry) {
        sim_count(sim, SIM_retried_before);
    }
    a = enter(sim, attempt, SIM_BEFORE);
    if (sim_maybe_dies(sim)) {
        return;
    }
    if (sim_chance(sim, a->action->at_once)) {
        end_by_itself(sim, a);
    }
}

static void check_start(struct sim *sim, const struct sim_run *run, const struct sim_attempt *a,
                        const struct mr__attempt *attempt)
{
    const struct mr__attempt_ref *ref = &attempt->ref;
    const struct sim_task *task = &run->tasks[ref->task];
    const struct sim_action *action = (const void *)attempt->action;
    if (a != NULL && a->started) {
        sim_broken(sim, "task %u attempt %u is started a second time", ref->task, ref->attempt);
    }
    if (task->attempt != ref->attempt || task->status != MR__TASK_RUNNING) {
        sim_broken(sim, "task %u attempt %u is started before that is durable", ref->task,
                   ref->attempt);
    }
    if ((action->flags & MR__ACTION_BEFORE) != 0 &&
        (a == NULL || (a->life == sim->life && a->phase != SIM_BEGAN))) {
        sim_broken(sim, "task %u attempt %u is started without what comes before", ref->task,
                   ref->attempt);
    }
}

static void exec_start(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct sim *sim = sim_of(x);
    struct sim_attempt *a = find(sim, &attempt->ref);
    if (sim->dead || sim_maybe_dies(sim) || is_passed_over(sim, a)) {
        return;
    }
    if (known_here(sim, a) && a->started && (a->action->flags & MR__ACTION_BEFORE) != 0) {
        sim_count(sim, SIM_start_asked_again);
        return;
    }
    check_start(sim, check_call(sim, attempt), a, attempt);
    a = enter(sim, attempt, SIM_RUN);
    a->started = true;
    a->row = a->action->rows;
    if (attempt->params->type == MR_MAP && attempt->params->len > 0) {
        sim_count(sim, SIM_params_rendered);
    }
    if (sim_maybe_dies(sim)) {
        return;
    }
    if (sim_chance(sim, a->action->at_once)) {
        sim_count(sim, SIM_end_within_start);
        end_by_itself(sim, a);
    } else if (sim_chance(sim, a->action->waits)) {
        starts_to_wait(sim, a);
    }
}

static void exec_after(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct sim *sim = sim_of(x);
    const struct mr__attempt_ref *ref = &attempt->ref;
    struct sim_attempt *a = find(sim, ref);
    if (sim->dead || sim_maybe_dies(sim) || is_passed_over(sim, a)) {
        return;
    }
    const struct sim_run *run = check_call(sim, attempt);
    if (run->tasks[ref->task].status != MR__TASK_ENDING ||
        run->tasks[ref->task].attempt != ref->attempt || a == NULL || !a->started) {
        sim_broken(sim, "task %u attempt %u: what comes after is called, and that is not durable",
                   ref->task, ref->attempt);
    }
    if (known_here(sim, a) && a->phase == SIM_AFTERWARDS) {
        sim_count(sim, SIM_after_asked_again);
        return;
    }
    if (known_here(sim, a) && a->phase != SIM_RAN) {
        sim_broken(sim, "task %u attempt %u: what comes after is called in phase %d", ref->task,
                   ref->attempt, (int)a->phase);
    }
    sim_count(sim, a->afters++ == 0 ? SIM_after_called : SIM_after_called_again);
    a = enter(sim, attempt, SIM_AFTERWARDS);
    if (sim_maybe_dies(sim)) {
        return;
    }
    if (sim_chance(sim, a->action->at_once)) {
        end_by_itself(sim, a);
    }
}

static void exec_cancel(struct mr__executor *x, const struct mr__attempt_ref *ref, uint32_t reason)
{
    struct sim *sim = sim_of(x);
    struct sim_attempt *a = find(sim, ref);
    if (sim->dead || sim_maybe_dies(sim) || !known_here(sim, a) || a->phase == SIM_OVER) {
        return;
    }
    note(sim, a, reason == MR_BY_TIMEOUT ? "its time is over" : "is canceled");
    a->cancel_reason = a->cancel_reason == MR_NOT_CANCELED ? reason : a->cancel_reason;
    if (!a->alive) {
        end(sim, a, canceled_outcome(a)); /* it rests between its phases */
    } else if (sim_chance(sim, a->action->stubborn)) {
        sim_count(sim, SIM_cancel_ignored);
    } else if (sim_chance(sim, 500)) {
        sim_count(sim, SIM_end_within_cancel);
        end_by_itself(sim, a);
    } else {
        a->due_ms = MR__MIN(a->due_ms, sim->monotonic_ms + 1 + sim_below(sim, 500));
    }
}

static void exec_forget(struct mr__executor *x, const struct mr__attempt_ref *ref)
{
    struct sim *sim = sim_of(x);
    struct sim_attempt *a = find(sim, ref);
    const struct sim_run *run = sim_truth_find(sim, ref->run_id);
    if (sim->dead || a == NULL) {
        return;
    }
    note(sim, a, "is forgotten");
    if (run == NULL || sim_expect_current(run, ref->task, ref->attempt)) {
        sim_broken(sim, "task %u attempt %u is forgotten before its end is durable", ref->task,
                   ref->attempt);
    }
    if (a->alive) {
        sim_broken(sim, "task %u attempt %u is forgotten while it runs", ref->task, ref->attempt);
    }
    a->forgotten = true;
    a->row = false;
}

static enum mr__fate exec_fate(struct mr__executor *x, const struct mr__attempt_ref *ref,
                               const struct mr__action_binding *binding)
{
    struct sim *sim = sim_of(x);
    const struct sim_attempt *a = find(sim, ref);
    const struct sim_action *action = (const void *)binding->action;
    if (sim->dead) {
        return MR__FATE_GONE;
    }
    if (action == NULL || (a != NULL && action != a->action)) {
        sim_broken(sim, "the fate of an attempt is asked for by another action's name");
    }
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *other = &sim->exec.attempts[i];
        if (other->alive && other->life != sim->life &&
            memcmp(other->ref.run_id, ref->run_id, MR__RUN_ID_BYTES) == 0) {
            sim_broken(sim, "a run is gone on with before its children were swept");
        }
    }
    if (known_here(sim, a)) {
        sim_count(sim, SIM_fate_running);
        return MR__FATE_RUNNING;
    }
    if (action->rows && sim->exec.table_settled && (a == NULL || !a->row)) {
        sim_count(sim, SIM_fate_not_begun);
        return MR__FATE_NOT_BEGUN;
    }
    sim_count(sim, SIM_fate_gone);
    return MR__FATE_GONE;
}

/* Every attempt of an earlier life is accounted for: their rows go, and what has none never began.
 */
static void exec_settled(struct mr__executor *x)
{
    struct sim *sim = sim_of(x);
    if (sim->dead) {
        return;
    }
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        const struct sim_run *run = sim_truth_find(sim, a->ref.run_id);
        if (a->life == sim->life) {
            continue;
        }
        if (a->started && run->tasks[a->ref.task].attempt == a->ref.attempt &&
            run->tasks[a->ref.task].status == MR__TASK_RUNNING && !a->waits) {
            sim_broken(sim, "all is said to be accounted for, but task %u attempt %u is not",
                       a->ref.task, a->ref.attempt);
        }
        a->row = false;
    }
    sim->exec.table_settled = true;
}

/* ---- children that were left behind --------------------------------------------------------- */

static void sweep_now(struct sim *sim, const uint8_t (*ids)[MR__RUN_ID_BYTES], size_t count)
{
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        for (size_t k = 0; k < count && a->alive && a->life != sim->life; k++) {
            if (memcmp(a->ref.run_id, ids[k], MR__RUN_ID_BYTES) == 0) {
                a->alive = false;
                sim_count(sim, SIM_survivor_killed);
            }
        }
    }
}

static void exec_sweep(struct mr__executor *x, const uint8_t (*ids)[MR__RUN_ID_BYTES], size_t count,
                       void (*cb)(void *user), void *user)
{
    struct sim *sim = sim_of(x);
    if (sim->exec.sweep_count == SIM_SWEEPS_MAX || sim_chance(sim, 500)) {
        sweep_now(sim, ids, count);
        cb(user);
        return;
    }
    struct sim_sweep *sweep = &sim->exec.sweeps[sim->exec.sweep_count++];
    *sweep = (struct sim_sweep){.ids = calloc(count, MR__RUN_ID_BYTES),
                                .count = count,
                                .due_ms = sim->monotonic_ms + sim_below(sim, 2000),
                                .cb = cb,
                                .user = user};
    memcpy(sweep->ids, ids, count * MR__RUN_ID_BYTES);
    sim_count(sim, SIM_sweep_waits);
}

static void sweep_done(struct sim *sim, size_t i)
{
    struct sim_sweep sweep = sim->exec.sweeps[i];
    sim->exec.sweeps[i] = sim->exec.sweeps[--sim->exec.sweep_count];
    if (!sim->dead) {
        sweep_now(sim, (const uint8_t(*)[MR__RUN_ID_BYTES])sweep.ids, sweep.count);
    }
    sweep.cb(sweep.user);
    free(sweep.ids);
}

/* ---- the world's side ----------------------------------------------------------------------- */

void sim_exec_init(struct sim *sim)
{
    static const struct mr__executor_ops ops = {.bind = sim_exec_bind,
                                                .before = exec_before,
                                                .start = exec_start,
                                                .after = exec_after,
                                                .evaluate = sim_scripts_evaluate,
                                                .hook = sim_scripts_hook,
                                                .cancel = exec_cancel,
                                                .forget = exec_forget,
                                                .fate = exec_fate,
                                                .settled = exec_settled,
                                                .sweep = exec_sweep};
    sim->exec.port.ops = &ops;
    sim->exec.table_settled = true;
}

/* The engine is gone; what it had on worker threads and on its loop, too. Called while the shard
 * still exists, since what it had asked for is answered, to nobody. */
void sim_exec_crash(struct sim *sim, bool power_cut)
{
    while (sim->exec.sweep_count > 0) {
        sweep_done(sim, 0);
    }
    sim_scripts_crash(sim);
    sim_share_crash(sim);
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        mr__share_unref(a->share);
        a->share = NULL;
        bool survives = !power_cut && a->row && sim_chance(sim, sim->knobs.survive);
        if (a->alive && !survives) {
            a->alive = false;
        } else if (a->alive && a->life == sim->life) {
            sim_count(sim, SIM_survivor);
            a->due_ms = sim->monotonic_ms + sim_below(sim, 20000);
        }
        if (power_cut) {
            a->row = false;
        }
    }
    sim->exec.table_settled &= !power_cut;
}

void sim_exec_run(struct sim *sim)
{
    for (size_t i = 0; i < sim->exec.sweep_count;) {
        if (sim->exec.sweeps[i].due_ms <= sim->monotonic_ms) {
            sweep_done(sim, i);
        } else {
            i++;
        }
    }
    sim_scripts_run(sim);
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        if (!a->alive || a->due_ms > sim->monotonic_ms) {
            continue;
        }
        if (a->life != sim->life) {
            a->alive = false;
        } else if (!sim->dead) {
            if (a->phase == SIM_RUN && a->action->waits > 0 &&
                a->cancel_reason == MR_NOT_CANCELED && sim_chance(sim, 700)) {
                starts_to_wait(sim, a);
            } else {
                end_by_itself(sim, a);
            }
        }
    }
}

int64_t sim_exec_next_due(const struct sim *sim)
{
    int64_t due = sim_scripts_next_due(sim);
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *a = &sim->exec.attempts[i];
        due = a->alive ? MR__MIN(due, a->due_ms) : due;
    }
    for (size_t i = 0; i < sim->exec.sweep_count; i++) {
        due = MR__MIN(due, sim->exec.sweeps[i].due_ms);
    }
    return due;
}

void sim_exec_talk(struct sim *sim)
{
    static const char line[] = "a line\n";
    const struct sim_attempt *a = NULL;
    size_t count = sim->exec.attempt_count, first = count == 0 ? 0 : sim_random(sim) % count;
    for (size_t i = 0; i < count && a == NULL; i++) {
        const struct sim_attempt *it = &sim->exec.attempts[(first + i) % count];
        a = it->alive && it->life == sim->life ? it : NULL;
    }
    if (a == NULL) {
        return;
    }
    if (sim_chance(sim, a->action->shares)) {
        sim_share_flush(sim, a);
    } else if (sim_chance(sim, 500)) {
        sim->exec.events.trace(sim->exec.events.user, &a->ref, line, sizeof line - 2);
    } else {
        sim->exec.events.log(sim->exec.events.user, &a->ref, 1, line, sizeof line - 1);
    }
}

/* All runs stand still: nothing runs, and nothing is kept of what has ended. */
void sim_exec_check_end(struct sim *sim)
{
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *a = &sim->exec.attempts[i];
        if (a->life == sim->life && a->phase != SIM_OVER && !a->waits) {
            sim_broken(sim, "task %u attempt %u runs on and on", a->ref.task, a->ref.attempt);
        }
        if (a->row || (a->life == sim->life && !a->forgotten)) {
            sim_broken(sim, "task %u attempt %u is never forgotten", a->ref.task, a->ref.attempt);
        }
    }
}
