/* SPDX-License-Identifier: MIT
 *
 * What conditions, templates and scripts see of a run; and what is made of it: prepare.c (checks
 * and conditions, the list of a fan-out) and render.c (params). Pure; the thread of whoever calls.
 *
 * A scope is a window, not a copy: on the loop it looks into the run itself; for a worker
 * core/engine makes one that owns copies of what the script uses.
 */
#ifndef MR__SCOPE_H
#define MR__SCOPE_H

#include "core/model/dag.h"

/* A task as a script sees it. Borrowed until the next call on the same scope. */
struct mr__scope_task {
    const char *status;     /* "init", ... */
    struct mr__blob reason; /* text */
    struct mr__blob output; /* JSON; absent: none */
};

struct mr__scope_run { /* `run` in Lua: borrowed texts */
    const char *id, *dag, *status, *reason, *folder, *trigger;
    int64_t created_ms, started_ms;
    int64_t scheduled_ms; /* the nominal time of a scheduled run; 0: none */
};

struct mr__scope {
    const struct mr__dag *dag;
    const mr_value *vars; /* a map with every declared variable */
    struct mr__scope_run run;
    const char *item_name; /* NULL: there is no item */
    struct mr__blob item;  /* JSON */
    bool has_error;        /* retry.if: `error` */
    struct mr__blob error_reason;
    uint32_t error_attempt;
    struct mr__blob error_detail; /* a JSON map: exit, status, ...; or absent */

    void *user;
    /* The task number `task` of the dag. False: it is not in this scope (a copy without it). */
    bool (*task)(const struct mr__scope *scope, uint32_t task, struct mr__scope_task *ret_task);
    /* The value of a key of the share data as JSON; false: there is none. */
    bool (*share)(const struct mr__scope *scope, const char *key, size_t len,
                  struct mr__blob *ret_json);
    /* The first key that is greater, in byte order, than `after` (absent: the first of all). */
    bool (*share_next)(const struct mr__scope *scope, struct mr__blob after,
                       struct mr__blob *ret_key);
};

/* Evaluates an expression: implemented by lua/, and by what the tests put in its place. MR_OK;
 * MR_ELIMIT with `*ret_again`: the small budget of the loop was spent, so that it is to be done
 * once more elsewhere; any other status: it failed, with FILE:LINE in the message. */
struct mr__evaluator {
    void *user;
    mr_status (*eval)(void *user, const struct mr__scope *scope, uint32_t script,
                      struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                      mr_error *reterr);
    /* A Lua pattern, for preCheck's `matches`. */
    mr_status (*matches)(void *user, const char *text, size_t len, const char *pattern,
                         size_t pattern_len, bool *ret_matches, mr_error *reterr);
};

/* As `evaluator->eval`; without an evaluator it fails. `*ret_again` is set in any case. */
mr_status mr__evaluate(const struct mr__evaluator *evaluator, const struct mr__scope *scope,
                       uint32_t script, struct mr__arena *arena, mr_value *ret_value,
                       bool *ret_again, mr_error *reterr);

enum mr__verdict {
    MR__VERDICT_GO = 0,
    MR__VERDICT_SKIP,
    MR__VERDICT_BLOCK,
    MR__VERDICT_FAIL,
    MR__VERDICT_FAN,  /* the task is to be made once for each item */
    MR__VERDICT_AGAIN /* the evaluator said so: nothing was decided */
};

/* The answer to a prepare effect. */
struct mr__prepared {
    enum mr__verdict verdict;
    mr_value params;      /* GO: rendered; of type MR_NULL where the task has no templates */
    struct mr__buf items; /* FAN: for each item a blob key, a blob JSON (mr__buf_blob): **owned** */
    uint32_t item_count;
    char reason[MR_ERROR_MESSAGE_BYTES]; /* SKIP, BLOCK, FAIL */
};

enum {
    MR__PREPARE_NO_CONDITIONS = 1u, /* an automatic attempt, or a fan-out's child */
    MR__PREPARE_CONTINUED = 2u,     /* a block check and blockIf are passed by */
    MR__PREPARE_CHILD = 4u,     /* of a fan-out: its list is made already; the item is in scope */
    MR__PREPARE_CONDITIONS = 8u /* they alone: neither a list nor params are made */
};

/* Everything that is to be evaluated before `task` begins, in contract.md's order: preCheck, runIf,
 * skipIf, blockIf, forEach with key, templates. `ret_prepared->items` must be finished by the
 * caller. MR_ENOMEM, else MR_OK: what went wrong is the verdict FAIL. */
mr_status mr__prepare(const struct mr__scope *scope, uint32_t task, unsigned flags,
                      const struct mr__evaluator *evaluator, struct mr__arena *arena,
                      struct mr__prepared *ret_prepared);

/* The params of `task` with every template replaced (contract.md: one that is the whole string
 * keeps its type; a value is never expanded twice). MR_EINVAL for what cannot be evaluated,
 * MR_ELIMIT for a result that is too deep or too large; `*ret_again` as the evaluator's. What has
 * no template is borrowed from the dag, what is put in whole from the arena. */
mr_status mr__render(const struct mr__scope *scope, uint32_t task,
                     const struct mr__evaluator *evaluator, struct mr__arena *arena,
                     mr_value *ret_params, bool *ret_again, mr_error *reterr);

/* Whether the attempt's failure is one that retry.if lets pass; without a filter: yes. */
mr_status mr__judge(const struct mr__scope *scope, uint32_t task,
                    const struct mr__evaluator *evaluator, struct mr__arena *arena, bool *ret_retry,
                    bool *ret_again, mr_error *reterr);

/* ---- copies -----------------------------------------------------------------------------------
 */

/* A scope that owns all it shows, for another thread: the variables, the item, the error, the tasks
 * that were asked for, and the share data unless that is looked up elsewhere. It holds a
 * reference to the dag. */
struct mr__scope_copy {
    struct mr__scope scope; /* stays first; its `user` is the copy itself */
    struct mr__arena arena;
    uint32_t *numbers; /* of the tasks that are in it, ascending; NULL: all, by number */
    struct mr__scope_task *tasks;
    size_t task_count;
    struct mr__blob *share; /* pairs {key, JSON}, sorted by key */
    size_t share_count;
};
enum { MR__COPY_SHARE = 1u, MR__COPY_ALL_TASKS = 2u };
/* `uses` are numbers of tasks. NULL: out of memory. **Owned**: mr__scope_copy_destroy. */
struct mr__scope_copy *mr__scope_copy_create(const struct mr__scope *scope, const uint32_t *uses,
                                             size_t use_count, unsigned flags);
void mr__scope_copy_destroy(struct mr__scope_copy *copy); /* NULL is allowed */
/* The tasks that evaluating `task` may look at: the union over its scripts, in the arena. True in
 * `*ret_all`: any. */
mr_status mr__scope_uses(const struct mr__dag *dag, uint32_t task, struct mr__arena *arena,
                         const uint32_t **ret_uses, size_t *ret_count, bool *ret_all);

#endif
