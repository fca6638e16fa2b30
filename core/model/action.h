/* SPDX-License-Identifier: MIT
 *
 * What an action is to the scheduler, and how attempts end: the words that the scheduler and the
 * executor share.
 */
#ifndef MR__ACTION_H
#define MR__ACTION_H

#include "core/base/base.h"

enum {
    MR__ACTION_KNOWN = 1u,
    MR__ACTION_IDEMPOTENT = 2u,
    MR__ACTION_JOB = 4u,    /* holds one of --jobs slots while an attempt runs */
    MR__ACTION_BEFORE = 8u, /* has run_before or retry_before: they come before "attempt started" */
    MR__ACTION_SCOPE = 16u, /* runs the task's own Lua: its attempts get a scope (model/scope.h) */
    MR__ACTION_AFTER = 32u, /* has run_after */
    MR__ACTION_APART = 64u, /* can run in a host process */
    /* does run there: of a binding's action, it asks for it; of a plan's task, it does */
    MR__ACTION_ISOLATED = 128u
};

/* What the host process of an isolated attempt may use; 0: no limit. */
struct mr__action_limits {
    uint64_t memory_bytes; /* of address space */
    uint32_t cpu_s;        /* of an attempt */
    uint32_t files;        /* open descriptors */
};

struct mr__action; /* core/exec/registry.h */
struct mr__action_binding {
    const struct mr__action *action; /* NULL for a gate or a missing action */
    uint32_t flags;
};

enum mr__outcome {
    MR__OUTCOME_SUCCESS = 0,
    MR__OUTCOME_FAILED,
    MR__OUTCOME_CANCELED, /* ended after, and because of, a cancel */
    MR__OUTCOME_TIMED_OUT,
    MR__OUTCOME_LOST,
    MR__OUTCOMES
};

#endif
