/* SPDX-License-Identifier: MIT
 *
 * The executor of the simulation. Its table of attempts goes through all lives: so it knows when an
 * attempt is started a second time, or beside another one of its task, or before its start is
 * durable. What an executor of the new life may know is what the real one would: its own attempts,
 * and the rows of the child table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

struct sim_action {
    const char *name;
    uint32_t flags;
    bool rows;      /* it spawns: its attempts stand in the child table, and may survive a crash */
    uint32_t fails; /* per mille, beside the seed's own */
    uint32_t at_once, waits, stubborn;
};

static const struct sim_action actions[] = {
    {.name = "loop", .flags = MR__ACTION_KNOWN, .at_once = 500},
    {.name = "wait", .flags = MR__ACTION_KNOWN, .waits = 850},
    {.name = "spawn", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true},
    {.name = "worker", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB},
    {.name = "idem",
     .flags = MR__ACTION_KNOWN | MR__ACTION_JOB | MR__ACTION_IDEMPOTENT,
     .rows = true},
    {.name = "fails", .flags = MR__ACTION_KNOWN, .fails = 500, .at_once = 300},
    {.name = "stubborn", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true, .stubborn = 800},
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

static bool known_here(const struct sim *sim, const struct sim_attempt *a)
{
    return a != NULL && a->life == sim->life && !a->forgotten;
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

static void end(struct sim *sim, struct sim_attempt *a, enum mr__outcome outcome)
{
    char output[512];
    struct mr__attempt_end end = {.ref = a->ref, .outcome = outcome, .reason = ""};
    if (outcome == MR__OUTCOME_FAILED) {
        end.reason = "exit 7";
        sim_count(sim, SIM_attempt_failed);
    }
    if (outcome == MR__OUTCOME_TIMED_OUT) {
        sim_count(sim, SIM_attempt_timed_out);
    }
    if (outcome == MR__OUTCOME_SUCCESS && sim_chance(sim, 400)) {
        (void)snprintf(output, sizeof output, "{\"n\":%u,\"s\":\"%0*d\"}", a->ref.attempt,
                       (int)sim_below(sim, 400) + 1, 0);
        end.output = output;
        end.output_len = strlen(output);
    }
    a->alive = false;
    a->reported = true;
    a->forgotten = (a->action->flags & MR__ACTION_JOB) == 0; /* a job stays until forget() */
    sim_note(sim, "end task %u attempt %u: %d", a->ref.task, a->ref.attempt, (int)outcome);
    sim->exec.events.ended(sim->exec.events.user, &end);
}

static void end_by_itself(struct sim *sim, struct sim_attempt *a)
{
    if (a->cancel_reason == MR_BY_TIMEOUT) {
        end(sim, a, MR__OUTCOME_TIMED_OUT);
    } else if (a->cancel_reason != MR_NOT_CANCELED && !sim_chance(sim, 200)) {
        sim_count(sim, SIM_canceled_late);
        end(sim, a, MR__OUTCOME_CANCELED);
    } else {
        bool fails = sim_chance(sim, sim->knobs.attempt_fails) || sim_chance(sim, a->action->fails);
        end(sim, a, fails ? MR__OUTCOME_FAILED : MR__OUTCOME_SUCCESS);
    }
}

/* It asks to be ended by the engine: the executor is done with it. */
static void starts_to_wait(struct sim *sim, struct sim_attempt *a)
{
    int64_t ms = sim_below(sim, 4) == 0 ? (int64_t)sim_below(sim, 600000) : sim_below(sim, 3000);
    a->alive = false;
    a->forgotten = a->waits = true;
    a->row = false;
    sim_count(sim, SIM_waited);
    sim_note(sim, "waits task %u attempt %u: %lld ms", a->ref.task, a->ref.attempt, (long long)ms);
    sim->exec.events.waiting(sim->exec.events.user, &a->ref, ms);
}

/* ---- the port ------------------------------------------------------------------------------- */

static void check_start(struct sim *sim, const struct mr__attempt *attempt)
{
    const struct mr__attempt_ref *ref = &attempt->ref;
    const struct sim_run *run = sim_truth_find(sim, ref->run_id);
    if (find(sim, ref) != NULL) {
        sim_broken(sim, "task %u attempt %u is started a second time", ref->task, ref->attempt);
    }
    if (run == NULL || !run->durable || run->tasks[ref->task].attempt != ref->attempt ||
        run->tasks[ref->task].status != MR__TASK_RUNNING) {
        sim_broken(sim, "task %u attempt %u is started before that is durable", ref->task,
                   ref->attempt);
    }
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        const struct sim_attempt *a = &sim->exec.attempts[i];
        if (a->alive && same_task(&a->ref, ref)) {
            sim_broken(sim, "task %u attempt %u is started beside attempt %u", ref->task,
                       ref->attempt, a->ref.attempt);
        }
    }
}

static void exec_start(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct sim *sim = sim_of(x);
    const struct sim_action *action = (const void *)attempt->action;
    if (sim->dead || sim_maybe_dies(sim)) {
        return;
    }
    check_start(sim, attempt);
    if (sim->exec.attempt_count == SIM_ATTEMPTS_MAX) {
        sim_broken(sim, "the simulation has too few attempts");
    }
    struct sim_attempt *a = &sim->exec.attempts[sim->exec.attempt_count++];
    *a = (struct sim_attempt){.ref = attempt->ref,
                              .life = sim->life,
                              .action = action,
                              .alive = true,
                              .row = action->rows,
                              .due_ms = sim->monotonic_ms + 1 + sim_below(sim, 3000)};
    sim_note(sim, "start task %u attempt %u (%s)", a->ref.task, a->ref.attempt, action->name);
    if (sim_maybe_dies(sim)) {
        return;
    }
    if (sim_chance(sim, action->at_once)) {
        sim_count(sim, SIM_end_within_start);
        end_by_itself(sim, a);
    } else if (sim_chance(sim, action->waits)) {
        starts_to_wait(sim, a);
    }
}

static void exec_cancel(struct mr__executor *x, const struct mr__attempt_ref *ref, uint32_t reason)
{
    struct sim *sim = sim_of(x);
    struct sim_attempt *a = find(sim, ref);
    if (sim->dead || sim_maybe_dies(sim) || a == NULL || !a->alive || a->life != sim->life) {
        return;
    }
    sim_note(sim, "cancel task %u attempt %u: %u", ref->task, ref->attempt, reason);
    a->cancel_reason = a->cancel_reason == MR_NOT_CANCELED ? reason : a->cancel_reason;
    if (sim_chance(sim, a->action->stubborn)) {
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
    if (run == NULL || (run->tasks[ref->task].attempt == ref->attempt &&
                        run->tasks[ref->task].status == MR__TASK_RUNNING)) {
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
        if (run->tasks[a->ref.task].attempt == a->ref.attempt &&
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
                                                .start = exec_start,
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
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        bool survives = !power_cut && a->action->rows && sim_chance(sim, sim->knobs.survive);
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
    for (size_t i = 0; i < sim->exec.attempt_count; i++) {
        struct sim_attempt *a = &sim->exec.attempts[i];
        if (!a->alive || a->due_ms > sim->monotonic_ms) {
            continue;
        }
        if (a->life != sim->life) {
            a->alive = false;
        } else if (!sim->dead) {
            if (a->action->waits > 0 && a->cancel_reason == MR_NOT_CANCELED &&
                sim_chance(sim, 700)) {
                starts_to_wait(sim, a);
            } else {
                end_by_itself(sim, a);
            }
        }
    }
}

int64_t sim_exec_next_due(const struct sim *sim)
{
    int64_t due = INT64_MAX;
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
    if (sim->exec.attempt_count == 0) {
        return;
    }
    const struct sim_attempt *a =
        &sim->exec.attempts[sim_below(sim, (uint32_t)sim->exec.attempt_count)];
    if (!a->alive || a->life != sim->life) {
        return;
    }
    if (sim_chance(sim, 500)) {
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
        if (a->alive && a->life == sim->life) {
            sim_broken(sim, "task %u attempt %u runs on and on", a->ref.task, a->ref.attempt);
        }
        if (a->row || (a->life == sim->life && !a->forgotten && a->action->rows)) {
            sim_broken(sim, "task %u attempt %u is never forgotten", a->ref.task, a->ref.attempt);
        }
    }
}
