/* SPDX-License-Identifier: MIT
 *
 * The evaluator over a Lua state. The thread that the state belongs to.
 */
#include "core/exec/evaluator.h"

static mr_status eval(void *user, const struct mr__scope *scope, uint32_t script,
                      struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                      mr_error *reterr);
static mr_status matches(void *user, const char *text, size_t len, const char *pattern,
                         size_t pattern_len, bool *ret_matches, mr_error *reterr);

static void init(struct mr__lua_evaluator *evaluator, const struct mr__lua_budget *budget)
{
    *evaluator = (struct mr__lua_evaluator){
        .port = {.user = evaluator, .eval = eval, .matches = matches}, .budget = budget};
}

void mr__lua_evaluator_init_loop(struct mr__lua_evaluator *evaluator)
{
    init(evaluator, &mr__lua_budget_loop);
    evaluator->slot = &evaluator->own;
    evaluator->again = true;
}

void mr__lua_evaluator_init_worker(struct mr__lua_evaluator *evaluator, struct mr__lua **slot)
{
    init(evaluator, &mr__lua_budget_worker);
    evaluator->slot = slot;
}

void mr__lua_evaluator_finish(struct mr__lua_evaluator *evaluator)
{
    mr__lua_destroy(evaluator->own);
    evaluator->own = NULL;
}

static mr_status need_state(struct mr__lua_evaluator *evaluator, mr_error *reterr)
{
    mr_status status = *evaluator->slot == NULL ? mr__lua_create(evaluator->slot) : MR_OK;
    return status == MR_OK ? MR_OK : mr__error_set(reterr, status, "%s", mr_status_text(status));
}

static mr_status eval(void *user, const struct mr__scope *scope, uint32_t script,
                      struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                      mr_error *reterr)
{
    struct mr__lua_evaluator *evaluator = user;
    *ret_again = false;
    mr_status status = need_state(evaluator, reterr);
    if (status == MR_OK) {
        status = mr__lua_eval(*evaluator->slot, scope, script, evaluator->budget, arena, ret_value,
                              reterr);
        *ret_again = status == MR_ELIMIT && evaluator->again;
    }
    return status;
}

static mr_status matches(void *user, const char *text, size_t len, const char *pattern,
                         size_t pattern_len, bool *ret_matches, mr_error *reterr)
{
    struct mr__lua_evaluator *evaluator = user;
    mr_status status = need_state(evaluator, reterr);
    return status != MR_OK ? status
                           : mr__lua_matches(*evaluator->slot, text, len, pattern, pattern_len,
                                             ret_matches, reterr);
}
