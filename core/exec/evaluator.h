/* SPDX-License-Identifier: MIT
 *
 * The model's evaluator (model/scope.h) over a Lua state, which is made when first needed: a dag
 * without Lua makes none. One thread at a time: the loop has one with the small budget, a worker
 * makes one for each job with the full one.
 */
#ifndef MR__EVALUATOR_H
#define MR__EVALUATOR_H

#include "core/model/scope.h"
#include "lua/lua_host.h"

struct mr__lua_evaluator {
    struct mr__evaluator port; /* to be handed on; its `user` is this struct, which must not move */
    struct mr__lua **slot;     /* where the state is kept */
    struct mr__lua *own;
    const struct mr__lua_budget *budget;
    bool again; /* a budget that is spent means: once more, on a worker */
};

/* For the loop: with mr__lua_budget_loop and a state of its own. */
void mr__lua_evaluator_init_loop(struct mr__lua_evaluator *evaluator);
/* For a worker: with mr__lua_budget_worker and the state in `slot`, which is borrowed until finish,
 * and in which a new state is left. */
void mr__lua_evaluator_init_worker(struct mr__lua_evaluator *evaluator, struct mr__lua **slot);
void mr__lua_evaluator_finish(struct mr__lua_evaluator *evaluator);

#endif
