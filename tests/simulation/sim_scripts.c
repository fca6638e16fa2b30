/* SPDX-License-Identifier: MIT
 *
 * What is evaluated, and hooks. A script is a Lua text 'VERB NUMBER': odds (true so often per
 * mille), fails (it cannot be evaluated so often, else true), items (a list of up to so many),
 * lists (it cannot be evaluated so often, else a list of two). What it gives depends on the run,
 * the item and the attempt that failed, so that the rules know it, too; whether it takes too long
 * on the loop depends on nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

/* ---- values --------------------------------------------------------------------------------- */

static uint64_t luck_of(const struct mr__script *script, const char *run_id, struct mr__blob item,
                        uint32_t attempt)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%.*s|%s|%.*s|%u", (int)script->len, script->text, run_id,
                       (int)item.len, item.len == 0 ? "" : item.data, attempt);
    return mr__hash64(text, (size_t)len);
}

static enum sim_truth_value value_of(const struct mr__script *script, const char *run_id,
                                     struct mr__blob item, uint32_t attempt, uint32_t *ret_items)
{
    char verb[16] = "";
    unsigned number = 0;
    uint64_t luck = luck_of(script, run_id, item, attempt);
    if (sscanf(script->text, "'%15[a-z] %u", verb, &number) != 2) {
        abort(); /* a dag of sim_dags.c is wrong */
    }
    *ret_items = strcmp(verb, "items") == 0 ? (uint32_t)(luck % (number + 1)) : 0;
    if (strcmp(verb, "lists") == 0) {
        *ret_items = 2;
    }
    if (strcmp(verb, "fails") == 0 || strcmp(verb, "lists") == 0) {
        return luck % 1000 < number ? SIM_FAILS : SIM_TRUE;
    }
    return strcmp(verb, "odds") != 0 || luck % 1000 < number ? SIM_TRUE : SIM_FALSE;
}

enum sim_truth_value sim_script_value(const struct sim_run *run, uint32_t script,
                                      struct mr__blob item, uint32_t attempt)
{
    char id[MR__RUN_ID_TEXT_BYTES];
    uint32_t items;
    mr__id_text(run->id, id);
    return value_of(&run->plan->dag->scripts[script], id, item, attempt, &items);
}

/* ---- the evaluator -------------------------------------------------------------------------- */

static bool is_condition(const struct mr__dag *dag, uint32_t script, bool *ret_block)
{
    for (uint32_t t = 0; t < dag->task_count; t++) {
        const struct mr__dag_task *row = &dag->tasks[t];
        *ret_block = row->block_if == script;
        if (row->run_if == script || row->skip_if == script || *ret_block) {
            return true;
        }
    }
    return false;
}

static uint32_t task_of(const struct mr__dag *dag, uint32_t script)
{
    uint32_t t = 0;
    while (dag->tasks[t].run_if != script && dag->tasks[t].skip_if != script &&
           dag->tasks[t].block_if != script) {
        t++;
    }
    return t;
}

/* What the run's own log says of the task last: conditions are not evaluated before an attempt that
 * follows by itself, a block is passed once it was continued, and nothing is evaluated twice of
 * which the first answer was not thrown away. */
static void check_condition(struct sim *sim, const struct mr__scope *scope, uint32_t script,
                            bool block)
{
    uint8_t id[MR__RUN_ID_BYTES], last = 0;
    uint32_t t = task_of(scope->dag, script);
    struct mr__reader r;
    struct mr__event event;
    if (!mr__id_parse(scope->run.id, strlen(scope->run.id), id)) {
        sim_broken(sim, "a condition is evaluated of a run without an id");
    }
    const struct mr__run *run = mr__shard_find(sim->shard, id);
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, 0, &event)) {
        last = mr__event_of_task(event.type) && event.task == t && event.type != MR__EVENT_SHARE_SET
                   ? event.type
                   : last;
    }
    if (last == MR__EVENT_ATTEMPT_ENDED || last == MR__EVENT_TASK_DUE) {
        sim_broken(sim, "a condition is evaluated again before an attempt that follows by itself");
    }
    if (block && last == MR__EVENT_TASK_CONTINUED) {
        sim_broken(sim, "a block is evaluated though the task was continued");
    }
    struct sim_asked *asked = &sim->asked[script % MR__COUNT(sim->asked)];
    if (asked->log_len == run->log.len && asked->life == sim->life && asked->script == script &&
        memcmp(asked->run_id, id, sizeof id) == 0 && asked->rebuilds == sim->rebuilds) {
        sim_broken(sim, "a condition is evaluated twice for one attempt");
    }
    *asked = (struct sim_asked){
        .script = script, .life = sim->life, .log_len = run->log.len, .rebuilds = sim->rebuilds};
    memcpy(asked->run_id, id, sizeof id);
}

static mr_status eval(void *user, const struct mr__scope *scope, uint32_t script,
                      struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                      mr_error *reterr)
{
    struct sim *sim = user;
    bool block;
    uint32_t items;
    if (!sim->dead && !sim->far && is_condition(scope->dag, script, &block)) {
        check_condition(sim, scope, script, block);
    }
    if (scope->has_error && scope->error_reason.len == 0) {
        sim_broken(sim, "a filter is asked about a failure that it cannot see");
    }
    if (!sim->far && sim_chance(sim, sim->knobs.far)) {
        *ret_again = true;
        return MR_ELIMIT;
    }
    enum sim_truth_value value = value_of(&scope->dag->scripts[script], scope->run.id, scope->item,
                                          scope->has_error ? scope->error_attempt : 0, &items);
    if (value == SIM_FAILS) {
        return mr__error_set(reterr, MR_EFAILED, "sim.yaml:1: it fails");
    }
    *ret_value = mr__value_bool(value == SIM_TRUE);
    const char *text = scope->dag->scripts[script].text;
    if (strncmp(text, "'items", 6) == 0 || strncmp(text, "'lists", 6) == 0) {
        mr_value *list = mr__arena_alloc(arena, (items + 1) * sizeof *list);
        for (uint32_t i = 0; i < items; i++) {
            list[i] = mr__value_int(i);
        }
        *ret_value = (mr_value){.type = MR_LIST, .len = items, .u.list = list};
    }
    return MR_OK;
}

/* The pattern of a preCheck on share data, whose values are numbers: the even ones. */
static mr_status matches(void *user, const char *text, size_t len, const char *pattern,
                         size_t pattern_len, bool *ret_matches, mr_error *reterr)
{
    if (pattern_len != 8 || memcmp(pattern, "[02468]$", 8) != 0 || len == 0) {
        sim_broken(user, "a pattern is matched that no dag has, or nothing against one");
    }
    *ret_matches = (text[len - 1] - '0') % 2 == 0;
    return MR_OK;
}

void sim_scripts_init(struct sim *sim)
{
    sim->evaluator = (struct mr__evaluator){.user = sim, .eval = eval, .matches = matches};
}

/* ---- far ------------------------------------------------------------------------------------ */

mr_status sim_scripts_evaluate(struct mr__executor *x, struct mr__evaluation *evaluation)
{
    struct sim *sim = MR__CONTAINER(x, struct sim, exec.port);
    if (sim->exec.far_count == SIM_FAR_MAX || sim_chance(sim, 30)) {
        sim_count(sim, SIM_evaluation_refused);
        return MR_ELIMIT;
    }
    const struct mr__run *run = mr__shard_find(sim->shard, evaluation->run_id);
    sim->exec.far[sim->exec.far_count++] =
        (struct sim_far){.evaluation = evaluation,
                         .seen = run->log.len,
                         .due_ms = sim->monotonic_ms + sim_below(sim, 1500)};
    sim_count(sim, SIM_evaluated_far);
    return MR_OK;
}

static void evaluate(struct sim *sim, struct mr__evaluation *evaluation)
{
    const struct mr__scope *scope = &evaluation->scope->scope;
    bool again;
    sim->far = true;
    if (evaluation->judge) {
        evaluation->status = mr__judge(scope, evaluation->row, &sim->evaluator, &evaluation->arena,
                                       &evaluation->retry, &again, &evaluation->error);
    } else {
        evaluation->status = mr__prepare(scope, evaluation->row, evaluation->flags, &sim->evaluator,
                                         &evaluation->arena, &evaluation->prepared);
    }
    sim->far = false;
}

/* The answer is of no use any more, by the state in memory. */
static bool is_late(struct sim *sim, const struct mr__evaluation *evaluation)
{
    const struct mr__run *run = mr__shard_find(sim->shard, evaluation->run_id);
    return run == NULL || run->tasks[evaluation->task].attempt != evaluation->attempt ||
           (run->tasks[evaluation->task].flags & (MR__TASKFLAG_PREPARING | MR__TASKFLAG_JUDGING)) ==
               0;
}

/* Tells the shard, and notes what has come of it. */
static void answer(struct sim *sim, const struct sim_far *far)
{
    struct sim_answered answered = {.task = far->evaluation->task, .seen = far->seen};
    memcpy(answered.run_id, far->evaluation->run_id, MR__RUN_ID_BYTES);
    const struct mr__run *run = mr__shard_find(sim->shard, answered.run_id);
    answered.at = run == NULL ? 0 : run->log.len;
    sim->exec.events.evaluated(sim->exec.events.user, far->evaluation);
    run = sim->dead ? NULL : mr__shard_find(sim->shard, answered.run_id);
    if (run != NULL && run->log.len > answered.at) {
        sim->exec.answered[sim->exec.answered_count++ % SIM_FAR_MAX] = answered;
    }
}

size_t sim_scripts_seen(const struct sim *sim, const struct sim_run *run,
                        const struct mr__event *event, size_t at)
{
    for (size_t i = 0; i < MR__MIN(sim->exec.answered_count, SIM_FAR_MAX); i++) {
        const struct sim_answered *answered = &sim->exec.answered[i];
        if (answered->at == at && answered->task == event->task &&
            memcmp(answered->run_id, run->id, MR__RUN_ID_BYTES) == 0) {
            return answered->seen;
        }
    }
    return at; /* on the loop: it was decided at once */
}

void sim_scripts_rebuilt(struct sim *sim)
{
    sim->exec.answered_count = 0;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static struct sim_run *check_hook(struct sim *sim, const uint8_t *run_id, uint32_t mask)
{
    struct sim_run *run = sim_truth_find(sim, run_id);
    if (run == NULL || mask == 0 || (run->hooks_due & mask) != mask) {
        sim_broken(sim, "hooks %x are called, and due (durably) are %x", mask,
                   run == NULL ? 0 : run->hooks_due);
    }
    if (run->hooks_calls > 0) {
        sim_count(sim, SIM_hook_called_again);
    }
    return run;
}

static void hooked(struct sim *sim, const uint8_t *run_id, uint32_t mask)
{
    struct sim_run *run = sim_truth_find(sim, run_id);
    sim_note(sim, "hooks %x called", mask);
    run->hooks_calls += (run->hooks_due & mask) == mask;
    sim->exec.events.hooked(sim->exec.events.user, run_id, mask);
}

void sim_scripts_hook(struct mr__executor *x, const struct mr__hook_call *call)
{
    struct sim *sim = MR__CONTAINER(x, struct sim, exec.port);
    struct mr__scope_copy *scope = call->scope;
    if (!sim->dead && !sim_maybe_dies(sim)) {
        const struct sim_run *run = check_hook(sim, call->run_id, call->mask);
        if ((call->mask & ~run->plan->dag->hook_mask) != 0) {
            sim_broken(sim, "a hook is called that the dag does not have");
        }
        for (size_t i = 0; i < sim->exec.hooking_count; i++) {
            if (memcmp(sim->exec.hooking[i].run_id, call->run_id, MR__RUN_ID_BYTES) == 0) {
                sim_broken(sim, "hooks of a run are called beside others of it");
            }
        }
        sim_share_check(sim, run, call->share, false);
        if (sim->exec.hooking_count == SIM_HOOKS_MAX || sim_chance(sim, 300)) {
            sim_count(sim, SIM_hook_within);
            hooked(sim, call->run_id, call->mask);
        } else {
            struct sim_hooking *hooking = &sim->exec.hooking[sim->exec.hooking_count++];
            *hooking = (struct sim_hooking){.mask = call->mask,
                                            .due_ms = sim->monotonic_ms + sim_below(sim, 2000)};
            memcpy(hooking->run_id, call->run_id, MR__RUN_ID_BYTES);
        }
    }
    mr__scope_copy_destroy(scope);
}

/* The library's own. Where the dag has none of those that are due, nobody else is called. */
void sim_scripts_library(void *user, const struct mr__scope_run *run, uint32_t mask)
{
    struct sim *sim = user;
    if (sim->dead || sim_maybe_dies(sim)) {
        return;
    }
    uint8_t id[MR__RUN_ID_BYTES];
    if (!mr__id_parse(run->id, strlen(run->id), id)) {
        sim_broken(sim, "a hook of the library is told an id that is none: %s", run->id);
    }
    struct sim_run *truth = check_hook(sim, id, mask);
    if ((mask & ~sim->hooks) != 0) {
        sim_broken(sim, "a hook of the library is called that it does not have");
    }
    truth->hooks_calls += (truth->hooks_due & truth->plan->dag->hook_mask) == 0;
    sim_count(sim, SIM_hook_of_library);
}

/* ---- the world's side ----------------------------------------------------------------------- */

void sim_scripts_run(struct sim *sim)
{
    for (size_t i = 0; i < sim->exec.far_count && !sim->dead;) {
        struct sim_far far = sim->exec.far[i];
        if (far.due_ms > sim->monotonic_ms) {
            i++;
            continue;
        }
        sim->exec.far[i] = sim->exec.far[--sim->exec.far_count];
        evaluate(sim, far.evaluation);
        if (is_late(sim, far.evaluation)) {
            sim_count(sim, SIM_evaluation_late);
        }
        answer(sim, &far);
    }
    for (size_t i = 0; i < sim->exec.hooking_count && !sim->dead;) {
        struct sim_hooking hooking = sim->exec.hooking[i];
        if (hooking.due_ms > sim->monotonic_ms) {
            i++;
            continue;
        }
        sim->exec.hooking[i] = sim->exec.hooking[--sim->exec.hooking_count];
        hooked(sim, hooking.run_id, hooking.mask);
    }
}

int64_t sim_scripts_next_due(const struct sim *sim)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < sim->exec.far_count; i++) {
        due = MR__MIN(due, sim->exec.far[i].due_ms);
    }
    for (size_t i = 0; i < sim->exec.hooking_count; i++) {
        due = MR__MIN(due, sim->exec.hooking[i].due_ms);
    }
    return due;
}

void sim_scripts_crash(struct sim *sim)
{
    while (sim->exec.far_count > 0) {
        mr__evaluation_destroy(sim->exec.far[--sim->exec.far_count].evaluation);
        sim_count(sim, SIM_evaluation_lost);
    }
    sim->exec.hooking_count = 0;
    sim->exec.answered_count = 0;
}
