/* SPDX-License-Identifier: MIT
 *
 * What sim_rules.c (what events mean) and sim_expect.c (what the graph, the conditions and the
 * hooks demand) share. Nobody else includes this.
 */
#ifndef MR__SIM_RULES_H
#define MR__SIM_RULES_H

#include "tests/simulation/sim.h"

#define HOOK(name) (1u << MR__HOOK_##name)

static inline bool is_child(const struct sim_run *run, uint32_t t)
{
    return t >= run->plan->dag->task_count;
}

static inline bool is_good(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED;
}

static inline bool is_bad(uint8_t status)
{
    return status == MR__TASK_FAILED || status == MR__TASK_CANCELED;
}

static inline bool may_begin(uint8_t status)
{
    return status == MR__TASK_INIT || status == MR__TASK_RETRYING || status == MR__TASK_CONTINUE;
}

/* Somebody wants its attempt to end. */
static inline bool is_unwanted(const struct sim_run *run, uint32_t t)
{
    return run->canceling || run->tasks[t].canceling;
}

/* It can no longer begin: a task above it failed, was canceled, or cannot begin itself. */
bool sim_expect_dead(const struct sim_run *run, uint32_t t);
/* Some task above it failed or was canceled. */
bool sim_expect_tainted(const struct sim_run *run, uint32_t t);
/* `when: failed`, and nothing above it did. */
bool sim_expect_skipped(const struct sim_run *run, uint32_t t);
/* Each run stands as its tasks demand: nothing could go on, and the status is contract.md's. */
void sim_expect_outcome(struct sim *sim, const struct sim_run *run, uint8_t status);
/* The hooks that are there among `mask`; of those of an end. */
uint32_t sim_expect_hooks(const struct sim *sim, const struct sim_run *run, uint32_t mask);
uint32_t sim_expect_hooks_at_end(const struct sim *sim, const struct sim_run *run, uint8_t status);
/* It may begin now: it is its turn, there is room, and nothing holds it up. */
void sim_expect_turn(struct sim *sim, const struct sim_run *run, uint32_t t);
/* What its conditions, its list and its templates say, where `seen` bytes of the run's log were
 * there when they were looked at. `*ret_check`: the check that says so, or NULL. */
enum mr__verdict sim_expect_verdict(const struct sim_run *run, uint32_t t, size_t seen,
                                    const struct mr__check **ret_check);
/* The item of a fan-out's child as JSON, in `text`; absent for any other. */
struct mr__blob sim_expect_item(const struct sim_run *run, uint32_t t, char text[16]);

_Noreturn void sim_broken_task(struct sim *sim, const struct sim_run *run, uint32_t t,
                               const char *what);

#endif
