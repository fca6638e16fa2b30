/* SPDX-License-Identifier: MIT
 *
 * why: what a task waits for, from the state alone. Every state in which something waits has its
 * kind here, by construction: mr__why_task has an answer for each. Pure; loop thread.
 */
#ifndef MR__WHY_H
#define MR__WHY_H

#include "core/scheduler/ready.h"

/* X(name, word): what a task waits for; the word stands in JSON. */
#define MR__WHY_MAP(X)                                                                            \
    X(OVER, "nothing")       /* it has ended */                                                   \
    X(TASK, "task")          /* `other` is before it */                                           \
    X(DEAD, "nothing")       /* `other`, before it, failed: it cannot begin */                    \
    X(ATTEMPT, "attempt")    /* its attempt, which runs */                                        \
    X(CANCEL, "cancel")      /* its attempt, which was told to end */                             \
    X(TIMER, "timer")        /* a wait, until due_ms */                                           \
    X(RETRY, "retry")        /* its next attempt, at due_ms */                                    \
    X(JUDGE, "filter")       /* its retry.if, which is being evaluated */                         \
    X(PREPARE, "conditions") /* its conditions and templates, which are being evaluated */        \
    X(BEFORE, "run_before")  /* the phase before its attempt */                                   \
    X(AFTER, "run_after")    /* the phase after it */                                             \
    X(CHILDREN, "children")  /* the children of the fan-out; `other` is one that has not ended */ \
    X(CONTINUE, "continue")  /* somebody who says continue: it is blocked */                      \
    X(FAN_SLOT, "maxParallel of the fan-out")                                                     \
    X(RUN_SLOT, "maxParallel of the run")                                                         \
    X(JOBS, "jobs limit")                                                                         \
    X(PAUSED, "unpause")                                                                          \
    X(HOOKS, "hooks")                                                                             \
    X(OWNER, "an owner that goes on with the run")                                                \
    X(ACTION, "an action that no plugin has")                                                     \
    X(TURN, "its turn") /* it begins with the next step of the loop */

enum mr__why_kind {
#define MR__WHY_ENUM(name, word) MR__WHY_##name,
    MR__WHY_MAP(MR__WHY_ENUM)
#undef MR__WHY_ENUM
        MR__WHY_KINDS
};

struct mr__why {
    enum mr__why_kind kind;
    uint32_t other; /* TASK, DEAD, CHILDREN */
    int64_t due_ms; /* TIMER, RETRY: Unix time */
};

const char *mr__why_word(enum mr__why_kind kind); /* static */
struct mr__why mr__why_task(const struct mr__scheduler *s, const struct mr__run *run, uint32_t t);
/* One line for a person: "b waits for task a", without a full stop. */
void mr__why_print(const struct mr__scheduler *s, const struct mr__run *run, uint32_t t,
                   const struct mr__why *why, int64_t now_ms, struct mr__buf *out);

#endif
