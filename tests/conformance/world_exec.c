/* SPDX-License-Identifier: MIT
 *
 * The world's executor. An attempt does nothing by itself: it begins, goes on and ends as the case
 * answers for it (world_exec_answer), but for the few actions that end at once. Its table goes
 * through all lives, so that it sees when an attempt's run is called a second time.
 *
 * Actions by what they have: see `actions`. `lua:` tasks and hooks are run by the real Lua host.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/exec/share.h"
#include "tests/conformance/world.h"

#include <cmocka.h>

enum { BEFORE = 1u, AFTER = 2u, RETRY = 4u }; /* phases beside run */

struct world_action {
    const char *name;
    uint32_t flags, phases;
    bool rows;        /* its attempts stand in the child table: one without a row never began */
    bool stubborn;    /* it does not listen to a cancel */
    const char *wait; /* it asks the engine to wait: the name of the param */
    bool echo;        /* it ends at once, and its params are its output */
    bool fails;       /* it fails at once: "exit 7" */
};

static const struct world_action actions[] = {
    {.name = "loop", .flags = MR__ACTION_KNOWN},
    {.name = "sh", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true},
    {.name = "job", .flags = MR__ACTION_KNOWN | MR__ACTION_JOB, .rows = true},
    {.name = "idem", .flags = MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT},
    {.name = "stubborn", .flags = MR__ACTION_KNOWN, .stubborn = true},
    {.name = "phases",
     .flags = MR__ACTION_KNOWN | MR__ACTION_BEFORE,
     .phases = BEFORE | AFTER | RETRY},
    {.name = "before", .flags = MR__ACTION_KNOWN | MR__ACTION_BEFORE, .phases = BEFORE},
    {.name = "after", .flags = MR__ACTION_KNOWN, .phases = AFTER},
    {.name = "cleans", .flags = MR__ACTION_KNOWN | MR__ACTION_BEFORE, .phases = RETRY},
    {.name = "wait", .flags = MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT, .wait = "for"},
    {.name = "ff-waiting",
     .flags = MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT,
     .wait = "waitingTime"},
    {.name = "echo", .flags = MR__ACTION_KNOWN, .echo = true},
    {.name = "fails", .flags = MR__ACTION_KNOWN, .fails = true},
    {.name = "lua", .flags = MR__ACTION_KNOWN | MR__ACTION_SCOPE},
};

static struct world *world_of(struct mr__executor *x)
{
    return MR__CONTAINER(x, struct world, port);
}

struct mr__action_binding world_exec_bind(void *user, const char *name)
{
    const struct world *w = user;
    for (size_t i = 0; i < MR__COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) == 0 &&
            (w->without == NULL || strcmp(name, w->without) != 0)) {
            return (struct mr__action_binding){
                .action = (const void *)&actions[i],
                .flags = actions[i].flags | (w->all_idempotent ? MR__ACTION_IDEMPOTENT : 0)};
        }
    }
    return (struct mr__action_binding){0};
}

static struct mr__action_binding exec_bind(struct mr__executor *x, const char *name)
{
    return world_exec_bind(world_of(x), name);
}

/* ---- attempts ------------------------------------------------------------------------------- */

static void called(struct world *w, const char *what, const struct world_attempt *a)
{
    mr__buf_printf(&w->calls, "%s %s %u\n", what, a->task, a->ref.attempt);
}

static struct world_attempt *find(struct world *w, const struct mr__attempt_ref *ref, bool any_life)
{
    for (size_t i = w->attempt_count; i > 0; i--) {
        struct world_attempt *a = &w->attempts[i - 1];
        if (a->ref.attempt == ref->attempt && a->ref.task == ref->task &&
            memcmp(a->ref.run_id, ref->run_id, MR__RUN_ID_BYTES) == 0 &&
            (any_life || a->life == w->life)) {
            return a;
        }
    }
    return NULL;
}

struct world_attempt *world_exec_find(struct world *w, const char *task)
{
    for (size_t i = w->attempt_count; i > 0; i--) {
        struct world_attempt *a = &w->attempts[i - 1];
        if (a->life == w->life && a->phase != WORLD_OVER && strcmp(a->task, task) == 0) {
            return a;
        }
    }
    return NULL;
}

const char *world_exec_params(const struct world *w, const char *task)
{
    for (size_t i = w->attempt_count; i > 0; i--) {
        if (strcmp(w->attempts[i - 1].task, task) == 0) {
            return w->attempts[i - 1].params;
        }
    }
    return NULL;
}

static char *json_of(const mr_value *value)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, value);
    char *text = strndup((const char *)buf.data, buf.len);
    mr__buf_finish(&buf);
    return text;
}

static struct world_attempt *add(struct world *w, const struct mr__attempt *attempt,
                                 enum world_phase phase)
{
    for (size_t i = 0; i < w->attempt_count; i++) {
        const struct world_attempt *other = &w->attempts[i];
        if (other->life == w->life && other->phase != WORLD_OVER &&
            other->ref.task == attempt->ref.task &&
            memcmp(other->ref.run_id, attempt->ref.run_id, MR__RUN_ID_BYTES) == 0) {
            world_broken(w, "attempt %u of \"%s\" begins beside attempt %u", attempt->ref.attempt,
                         other->task, other->ref.attempt);
        }
    }
    if (w->attempt_count == WORLD_ATTEMPTS_MAX) {
        world_broken(w, "too many attempts in one case");
    }
    struct world_attempt *a = &w->attempts[w->attempt_count++];
    *a = (struct world_attempt){.ref = attempt->ref,
                                .life = w->life,
                                .action = (const void *)attempt->action,
                                .phase = phase,
                                .params = json_of(attempt->params)};
    (void)snprintf(a->task, sizeof a->task, "%s", attempt->task_id);
    return a;
}

/* `json`: the output or the details. */
static void end(struct world *w, struct world_attempt *a, enum mr__outcome outcome,
                const char *reason, const char *json, const struct mr__share_set *sets,
                size_t set_count)
{
    struct mr__attempt_end how = {.ref = a->ref,
                                  .outcome = outcome,
                                  .reason = reason == NULL ? "" : reason,
                                  .output = json,
                                  .output_len = json == NULL ? 0 : strlen(json),
                                  .sets = sets,
                                  .set_count = set_count};
    a->phase = WORLD_OVER;
    w->events.ended(w->events.user, &how);
}

/* ---- Lua ------------------------------------------------------------------------------------ */

/* A script at work: its scope shows the share data of the run and what it has set itself. */
struct acting {
    struct world *w;
    struct mr__share *share;
    const struct mr__scope *inner;
    const struct world_attempt *attempt; /* NULL: a hook */
    const uint8_t *run_id;
    struct mr__buf json, key;
    struct mr__share_set sets[32];
    size_t set_count;
};

static bool acting_task(const struct mr__scope *scope, uint32_t task,
                        struct mr__scope_task *ret_task)
{
    const struct mr__scope *inner = ((struct acting *)scope->user)->inner;
    return inner->task(inner, task, ret_task);
}

static bool acting_share(const struct mr__scope *scope, const char *key, size_t len,
                         struct mr__blob *ret_json)
{
    struct acting *acting = scope->user;
    for (size_t i = acting->set_count; i > 0; i--) {
        const struct mr__share_set *set = &acting->sets[i - 1];
        if (set->key.len == len && memcmp(set->key.data, key, len) == 0) {
            *ret_json = set->json;
            return set->json.data != NULL;
        }
    }
    mr__buf_reset(&acting->json);
    bool there = mr__share_get(acting->share, key, len, &acting->json);
    *ret_json = (struct mr__blob){(const char *)acting->json.data, acting->json.len};
    return there;
}

static bool acting_share_next(const struct mr__scope *scope, struct mr__blob after,
                              struct mr__blob *ret_key)
{
    struct acting *acting = scope->user;
    mr__buf_reset(&acting->key);
    bool there = mr__share_next(acting->share, after, &acting->key);
    *ret_key = (struct mr__blob){(const char *)acting->key.data, acting->key.len};
    return there;
}

static mr_status act_share_set(void *user, const char *key, const char *json, size_t len,
                               mr_error *reterr)
{
    struct acting *acting = user;
    if (acting->set_count == MR__COUNT(acting->sets)) {
        return mr__error_set(reterr, MR_ELIMIT, "too many sets in one script");
    }
    char *copy = json == NULL ? NULL : strndup(json, len);
    acting->sets[acting->set_count++] =
        (struct mr__share_set){{strdup(key), strlen(key)}, {copy, copy == NULL ? 0 : len}};
    return MR_OK;
}

static void act_trace(void *user, const char *line, size_t len)
{
    struct acting *acting = user;
    struct world *w = acting->w;
    struct mr__attempt_ref ref = {.task = MR__HOOK_TASK};
    if (acting->attempt != NULL) {
        ref = acting->attempt->ref;
    } else {
        memcpy(ref.run_id, acting->run_id, MR__RUN_ID_BYTES);
        mr__buf_printf(&w->calls, "trace %.*s\n", (int)len, line);
    }
    w->events.trace(w->events.user, &ref, line, len);
}

static void act_log(void *user, uint32_t stream, const char *bytes, size_t len)
{
}

static mr_status run_script(struct acting *acting, uint32_t script, struct mr__buf *output,
                            mr_error *reterr)
{
    struct mr__scope scope = *acting->inner;
    struct mr__lua_acts acts = {.user = acting, .trace = act_trace, .log = act_log};
    scope.user = acting;
    scope.task = acting_task;
    scope.share = acting_share;
    scope.share_next = acting_share_next;
    if (acting->attempt != NULL) {
        acts.share_set = act_share_set;
    }
    return mr__lua_run(acting->w->lua, &scope, script, &acts, &mr__lua_budget_acting, output,
                       reterr);
}

static void acting_finish(struct acting *acting)
{
    for (size_t i = 0; i < acting->set_count; i++) {
        free((char *)(uintptr_t)acting->sets[i].key.data);
        free((char *)(uintptr_t)acting->sets[i].json.data);
    }
    mr__buf_finish(&acting->json);
    mr__buf_finish(&acting->key);
}

static void run_lua(struct world *w, struct world_attempt *a, const struct mr__attempt *attempt)
{
    struct mr__buf output;
    mr_error error = {0};
    struct acting acting = {
        .w = w, .share = attempt->share, .inner = &attempt->scope->scope, .attempt = a};
    mr__buf_init(&output);
    mr_status status = run_script(&acting, attempt->script, &output, &error);
    if (status == MR_OK) {
        end(w, a, MR__OUTCOME_SUCCESS, NULL, output.len == 0 ? NULL : mr__buf_cstr(&output),
            acting.sets, acting.set_count);
    } else {
        end(w, a, MR__OUTCOME_FAILED, error.message, NULL, acting.sets, acting.set_count);
    }
    acting_finish(&acting);
    mr__buf_finish(&output);
}

/* ---- the port ------------------------------------------------------------------------------- */

static void exec_before(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct world *w = world_of(x);
    const struct world_action *action = (const void *)attempt->action;
    if (w->dead) {
        return;
    }
    struct world_attempt *a = find(w, &attempt->ref, false);
    if (a != NULL) {
        if (a->phase == WORLD_READY) {
            a->phase = WORLD_IN_BEFORE; /* it is said again */
            a->passes = true;
        }
        return;
    }
    bool cleans = attempt->retry && (action->phases & RETRY) != 0;
    a = add(w, attempt, WORLD_IN_BEFORE);
    a->passes = !cleans && (action->phases & BEFORE) == 0;
    if (cleans) {
        called(w, "retry_before", a);
    }
    if ((action->phases & BEFORE) != 0) {
        called(w, "before", a);
    }
}

static void start_waiting(struct world *w, struct world_attempt *a, const mr_value *params)
{
    int64_t ms;
    const char *text = mr_value_str(mr_value_get(params, a->action->wait), "");
    if (!mr__duration_parse(text, strlen(text), &ms)) {
        end(w, a, MR__OUTCOME_FAILED, "no duration", NULL, NULL, 0);
        return;
    }
    a->phase = WORLD_OVER;
    a->forgotten = true;
    w->events.waiting(w->events.user, &a->ref, ms);
}

static void exec_start(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct world *w = world_of(x);
    if (!w->dead) {
        struct world_attempt *a = find(w, &attempt->ref, false);
        const struct world_attempt *earlier = find(w, &attempt->ref, true);
        if (earlier != NULL && earlier->ran) {
            world_broken(w, "run of attempt %u of \"%s\" is called a second time",
                         attempt->ref.attempt, attempt->task_id);
        }
        a = a == NULL ? add(w, attempt, WORLD_IN_RUN) : a;
        a->phase = WORLD_IN_RUN;
        a->ran = true;
        called(w, "run", a);
        if (a->action->wait != NULL) {
            start_waiting(w, a, attempt->params);
        } else if (a->action->echo) {
            end(w, a, MR__OUTCOME_SUCCESS, NULL, a->params, NULL, 0);
        } else if (a->action->fails) {
            end(w, a, MR__OUTCOME_FAILED, "exit 7", "{\"exit\":7}", NULL, 0);
        } else if ((a->action->flags & MR__ACTION_SCOPE) != 0) {
            run_lua(w, a, attempt);
        }
    }
    mr__scope_copy_destroy(attempt->scope);
}

static void exec_after(struct mr__executor *x, const struct mr__attempt *attempt)
{
    struct world *w = world_of(x);
    if (w->dead) {
        return;
    }
    struct world_attempt *a = find(w, &attempt->ref, false);
    if (a == NULL) {
        a = add(w, attempt, WORLD_RUN_DONE);
    }
    if (a->phase == WORLD_RUN_DONE) {
        a->phase = WORLD_IN_AFTER;
        called(w, "after", a);
    }
}

static mr_status exec_evaluate(struct mr__executor *x, struct mr__evaluation *evaluation)
{
    struct world *w = world_of(x);
    if (w->evaluation_count == MR__COUNT(w->evaluations)) {
        return MR_ELIMIT;
    }
    w->evaluations[w->evaluation_count++] = evaluation;
    return MR_OK;
}

static void evaluate(struct world *w, struct mr__evaluation *e)
{
    struct mr__lua_evaluator far;
    bool again; /* never, with a worker's budget */
    mr__lua_evaluator_init_worker(&far, &w->lua);
    if (e->judge) {
        e->status =
            mr__judge(&e->scope->scope, e->row, &far.port, &e->arena, &e->retry, &again, &e->error);
    } else {
        e->status =
            mr__prepare(&e->scope->scope, e->row, e->flags, &far.port, &e->arena, &e->prepared);
    }
    mr__lua_evaluator_finish(&far);
    w->events.evaluated(w->events.user, e);
}

static void exec_hook(struct mr__executor *x, const struct mr__hook_call *call)
{
    struct world *w = world_of(x);
    const struct mr__scope *scope = &call->scope->scope;
    for (uint32_t hook = 0; hook < MR__HOOKS && !w->dead; hook++) {
        struct mr__buf output;
        mr_error error = {0};
        struct acting acting = {
            .w = w, .share = call->share, .inner = scope, .run_id = call->run_id};
        if ((call->mask & 1u << hook) == 0) {
            continue;
        }
        mr__buf_init(&output);
        mr__buf_printf(&w->calls, "hook %s\n", mr__hook_names[hook]);
        if (run_script(&acting, scope->dag->hooks[hook], &output, &error) != MR_OK) {
            mr__buf_printf(&w->calls, "error %s\n", error.message);
        }
        acting_finish(&acting);
        mr__buf_finish(&output);
    }
    mr__scope_copy_destroy(call->scope);
    if (!w->dead) {
        w->events.hooked(w->events.user, call->run_id, call->mask);
    }
}

static void exec_cancel(struct mr__executor *x, const struct mr__attempt_ref *ref, uint32_t reason)
{
    struct world *w = world_of(x);
    struct world_attempt *a = find(w, ref, false);
    if (w->dead || a == NULL || a->phase == WORLD_OVER) {
        return;
    }
    called(w, reason == MR_BY_TIMEOUT ? "timeout" : "cancel", a);
    if (!a->action->stubborn) {
        end(w, a, reason == MR_BY_TIMEOUT ? MR__OUTCOME_TIMED_OUT : MR__OUTCOME_CANCELED, NULL,
            NULL, NULL, 0);
    }
}

static void exec_forget(struct mr__executor *x, const struct mr__attempt_ref *ref)
{
    struct world *w = world_of(x);
    struct world_attempt *a = find(w, ref, true);
    if (!w->dead && a != NULL) {
        if (a->life == w->life && a->phase != WORLD_OVER) {
            world_broken(w, "attempt %u of \"%s\" is forgotten while it runs", ref->attempt,
                         a->task);
        }
        a->forgotten = true;
    }
}

static enum mr__fate exec_fate(struct mr__executor *x, const struct mr__attempt_ref *ref,
                               const struct mr__action_binding *binding)
{
    struct world *w = world_of(x);
    const struct world_action *action = (const void *)binding->action;
    const struct world_attempt *a = find(w, ref, false);
    if (a != NULL && !a->forgotten) {
        return MR__FATE_RUNNING;
    }
    bool rows = action != NULL && action->rows;
    return rows && find(w, ref, true) == NULL ? MR__FATE_NOT_BEGUN : MR__FATE_GONE;
}

static void exec_sweep(struct mr__executor *x, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                       size_t count, void (*cb)(void *user), void *user)
{
    cb(user); /* nothing survives the world's crashes */
}

/* ---- the world's side ----------------------------------------------------------------------- */

void world_exec_init(struct world *w)
{
    static const struct mr__executor_ops ops = {.bind = exec_bind,
                                                .before = exec_before,
                                                .start = exec_start,
                                                .after = exec_after,
                                                .evaluate = exec_evaluate,
                                                .hook = exec_hook,
                                                .cancel = exec_cancel,
                                                .forget = exec_forget,
                                                .fate = exec_fate,
                                                .sweep = exec_sweep};
    w->port.ops = &ops;
    mr__lua_evaluator_init_loop(&w->evaluator);
    mr__buf_init(&w->calls);
    if (mr__lua_create(&w->lua) != MR_OK) {
        abort();
    }
}

void world_exec_finish(struct world *w)
{
    for (size_t i = 0; i < w->attempt_count; i++) {
        free((char *)(uintptr_t)w->attempts[i].params);
    }
    mr__buf_finish(&w->calls);
    mr__lua_evaluator_finish(&w->evaluator);
    mr__lua_destroy(w->lua);
}

void world_exec_crash(struct world *w)
{
    for (size_t i = 0; i < w->evaluation_count; i++) {
        mr__evaluation_destroy(w->evaluations[i]);
    }
    w->evaluation_count = 0;
}

static bool is_current(struct world *w, const struct world_answer *answer)
{
    for (size_t i = 0; i < w->run_count; i++) {
        struct mr__run *run = mr__shard_find(w->shard, w->runs[i].id);
        int64_t t = run == NULL ? -1 : mr__run_task_find(run, answer->task, strlen(answer->task));
        if (t >= 0 && mr__attempt_is_current(run, (uint32_t)t, answer->attempt)) {
            return true;
        }
    }
    return false;
}

void world_exec_carry(struct world *w, bool lost)
{
    for (size_t i = 0; i < w->answer_count; i++) {
        bool last = true;
        for (size_t k = i + 1; k < w->answer_count; k++) {
            last &= strcmp(w->answers[k].task, w->answers[i].task) != 0;
        }
        w->answers[i].carried = lost && last && is_current(w, &w->answers[i]);
    }
}

void world_exec_answer(struct world *w, const struct world_answer *answer)
{
    if (w->answer_count == WORLD_ANSWERS_MAX) {
        world_broken(w, "too many answers in one case");
    }
    w->answers[w->answer_count++] = *answer;
}

/* What the case has said of the attempt, or NULL. */
static struct world_answer *answer_for(struct world *w, const struct world_attempt *a)
{
    for (size_t i = w->answer_count; i > 0; i--) {
        struct world_answer *answer = &w->answers[i - 1];
        if (strcmp(answer->task, a->task) != 0) {
            continue;
        }
        if (answer->carried) {
            answer->attempt = a->ref.attempt;
            answer->carried = false;
        }
        if (answer->attempt == a->ref.attempt) {
            return answer;
        }
    }
    return NULL;
}

/* What comes with an end: share data as sets. Freed with free_sets. */
static size_t make_sets(const mr_value *from, struct mr__share_set sets[16])
{
    size_t count = 0;
    for (; from != NULL && count < from->len && count < 16; count++) {
        const mr_member *member = &from->u.map[count];
        char *json = json_of(&member->value);
        sets[count] =
            (struct mr__share_set){{member->key, strlen(member->key)}, {json, strlen(json)}};
    }
    return count;
}

static void free_sets(const struct mr__share_set *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)sets[i].json.data);
    }
}

/* Run is through, and run_after is to come. */
static void tell_ending(struct world *w, struct world_attempt *a, const struct world_answer *answer)
{
    struct mr__share_set sets[16];
    size_t count = make_sets(answer->sets, sets);
    struct mr__attempt_end how = {.ref = a->ref,
                                  .reason = "",
                                  .output = answer->json,
                                  .output_len = answer->json == NULL ? 0 : strlen(answer->json),
                                  .sets = sets,
                                  .set_count = count};
    a->phase = WORLD_RUN_DONE;
    w->events.ending(w->events.user, &how);
    free_sets(sets, count);
}

static void tell_end(struct world *w, struct world_attempt *a, const struct world_answer *answer)
{
    struct mr__share_set sets[16];
    bool after = a->phase == WORLD_IN_AFTER && answer->outcome == MR__OUTCOME_SUCCESS;
    size_t count = after ? 0 : make_sets(answer->sets, sets);
    end(w, a, answer->outcome, answer->reason, after ? NULL : answer->json, sets, count);
    free_sets(sets, count);
}

/* One step of an attempt; false: it waits for something. */
static bool go(struct world *w, struct world_attempt *a)
{
    const struct world_answer *answer = answer_for(w, a);
    bool fails = answer != NULL && answer->outcome != MR__OUTCOME_SUCCESS;
    if (a->phase == WORLD_IN_BEFORE &&
        (a->passes || (answer != NULL && !(fails && answer->fails_in == WORLD_IN_BEFORE)))) {
        a->phase = WORLD_READY;
        a->passes = false;
        w->events.began(w->events.user, &a->ref);
        return true;
    }
    if (answer == NULL || answer->until <= a->phase || a->phase == WORLD_READY ||
        a->phase == WORLD_RUN_DONE) {
        return false;
    }
    if (a->phase == WORLD_IN_RUN && (a->action->phases & AFTER) != 0 &&
        !(fails && answer->fails_in <= WORLD_IN_RUN)) {
        tell_ending(w, a, answer);
    } else {
        tell_end(w, a, answer);
    }
    return true;
}

bool world_exec_go(struct world *w)
{
    bool moved = w->evaluation_count > 0;
    while (w->evaluation_count > 0) {
        evaluate(w, w->evaluations[--w->evaluation_count]);
    }
    for (size_t i = 0; i < w->attempt_count; i++) {
        struct world_attempt *a = &w->attempts[i];
        if (a->life == w->life && a->phase != WORLD_OVER) {
            moved |= go(w, a);
        }
    }
    return moved;
}

static void on_set(void *arg, mr_status status)
{
    struct world *w = arg;
    w->set_done = true;
    w->set_status = status;
}

mr_status world_exec_set(struct world *w, const char *task, const char *key, const char *json)
{
    const struct world_attempt *a = world_exec_find(w, task);
    struct mr__share_set set = {{key, strlen(key)}, {json, strlen(json)}};
    if (a == NULL) {
        return MR_ENOTFOUND;
    }
    w->set_done = false;
    w->events.share(w->events.user, &a->ref, &set, 1, on_set, w);
    return MR_OK;
}

void world_exec_check_idle(const struct world *w)
{
    for (size_t i = 0; i < w->attempt_count; i++) {
        const struct world_attempt *a = &w->attempts[i];
        if (a->life == w->life && a->phase != WORLD_OVER) {
            world_broken(w, "the runs are over, and attempt %u of \"%s\" still runs",
                         a->ref.attempt, a->task);
        }
    }
}
