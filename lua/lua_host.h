/* SPDX-License-Identifier: MIT
 *
 * The Lua host: one Lua 5.4 state, closed off from everything, in which the scripts of dag files
 * are compiled once and run within a budget.
 *
 * Two tiers. Pure: expressions (conditions, templates, forEach, retry.if), which see a scope and
 * nothing else: no I/O, clock or randomness. Acting: chunks (`lua:` tasks, hooks) and actions
 * written as Lua files, which also have the calls of struct mr__lua_acts. In both, `pairs` and
 * `next` go in key order and no address is ever shown, so that what runs twice does the same twice.
 *
 * A state belongs to one thread at a time: the loop has one, and each worker that runs Lua. Nothing
 * is left in it from one call to the next but compiled chunks.
 *
 * Budgets: instructions are counted, memory is the state's allocator's, time is looked at by the
 * hook; loops in C that no hook sees (patterns, sorting, table moves, repeats) count their steps.
 * Once a budget is spent no pcall catches it.
 */
#ifndef MR__LUA_HOST_H
#define MR__LUA_HOST_H

#include "core/model/scope.h"

struct mr__lua;

struct mr__lua_budget {
    uint64_t instructions; /* or steps in C that cost as much; 0: no limit */
    int64_t ms;            /* that the thread really ran: waiting does not count; 0: no limit */
    size_t memory_bytes;   /* above what the state has; one text: an eighth of it */
    size_t output_bytes;   /* of the result as JSON */
};
extern const struct mr__lua_budget mr__lua_budget_loop; /* about 1 ms */
/* The full one of the pure tier: stopped within 100 ms, with all that it takes to clean up. */
extern const struct mr__lua_budget mr__lua_budget_worker;
extern const struct mr__lua_budget
    mr__lua_budget_acting; /* no instruction limit: timeout, cancel */

mr_status mr__lua_create(struct mr__lua **ret_lua);
void mr__lua_destroy(struct mr__lua *lua); /* NULL is allowed */

/* Compiles a script and forgets it: what is wrong with it, as "LINE: message" with the dag file's
 * own line in reterr->message, and that line in `*ret_line`. MR_OK, MR_EINVAL, MR_ENOMEM. */
mr_status mr__lua_compile_check(struct mr__lua *lua, const struct mr__script *script,
                                uint32_t *ret_line, mr_error *reterr);

/* Whether some expressions that mr__lua_compile_joins says yes of, `count` at most
 * MR__LUA_JOINED_MAX, all compile: at a fraction of what each costs alone. Which one does not, and
 * why, is then for mr__lua_compile_check to say. */
bool mr__lua_compile_joins(const struct mr__script *script);
bool mr__lua_compile_check_all(struct mr__lua *lua, const struct mr__script *const *scripts,
                               size_t count);

/* Evaluates expression `script` of scope->dag. The result is in the arena. MR_OK; MR_ELIMIT where
 * the budget was spent; MR_EINVAL where it failed: "FILE:LINE: message". MR_ENOMEM. */
mr_status mr__lua_eval(struct mr__lua *lua, const struct mr__scope *scope, uint32_t script,
                       const struct mr__lua_budget *budget, struct mr__arena *arena,
                       mr_value *ret_value, mr_error *reterr);

/* string.find with a step counter; false on MR_EINVAL (a malformed pattern), MR_ELIMIT. */
mr_status mr__lua_matches(struct mr__lua *lua, const char *text, size_t len, const char *pattern,
                          size_t pattern_len, bool *ret_matches, mr_error *reterr);

/* What acting scripts can do. Called on the thread that runs the script. A pointer that is NULL is
 * a call that the script does not have. */
struct mr__lua_acts {
    void *user;
    void (*trace)(void *user, const char *line, size_t len);
    void (*log)(void *user, uint32_t stream, const char *bytes, size_t len); /* print */
    /* share.key = value; json absent: removes it. */
    mr_status (*share_set)(void *user, const char *key, const char *json, size_t len,
                           mr_error *reterr);
    mr_status (*share_flush)(void *user, mr_error *reterr); /* returns when it is durable */
    mr_status (*sleep)(void *user, int64_t ms);             /* MR_ECANCELED */
    bool (*canceled)(void *user);                           /* looked at by the hook too */
    void (*heartbeat)(void *user);
    void (*progress)(void *user, double fraction, const char *note); /* NaN, NULL: none */
    /* As mr_lock: wait_ms -1: until it is to stop; ttl_ms 0: the default. MR_EBUSY, MR_ETIMEDOUT:
     * another has it. */
    mr_status (*lock)(void *user, const char *name, int64_t wait_ms, int64_t ttl_ms,
                      int64_t *ret_fence, mr_error *reterr);
    mr_status (*unlock)(void *user, const char *name); /* MR_ECONFLICT: it is not held */
    int64_t (*now_ms)(void *user);                     /* Unix time */
    /* Private values of the attempt, across its phases: JSON. */
    mr_status (*value_set)(void *user, const char *key, const char *json, size_t len);
    bool (*value)(void *user, const char *key, struct mr__blob *ret_json);
};

/* Runs a chunk (MR__SCRIPT_CHUNK) of scope->dag. Its return value as JSON is added to `output`
 * (nothing returned: nothing added). MR_OK; MR_EFAILED: it called fail(reason) or error(), the
 * reason in the message (for an error "FILE:LINE: message"); MR_ELIMIT, MR_ECANCELED, MR_ENOMEM. */
mr_status mr__lua_run(struct mr__lua *lua, const struct mr__scope *scope, uint32_t script,
                      const struct mr__lua_acts *acts, const struct mr__lua_budget *budget,
                      struct mr__buf *output, mr_error *reterr);

/* ---- actions written as one Lua file --------------------------------------------------------- */

/* A file that returns a table {name, help, idempotent, params = {{name, type, default, required,
 * help}, ...}, run = function(task) ... end, run_before, run_after, retry_before}: `task` has id,
 * run, dag, attempt, key (the idempotency key), folder, params, vars, share, value, and the calls
 * of the acting tier. `params` may also map names to such tables; they then stand sorted by name.
 * The file is run anew for each phase, in a fresh environment. */
struct mr__lua_file {
    const char *path; /* for messages */
    const char *text;
    size_t len;
    uint8_t digest[16]; /* of the text: how a state knows what it has compiled */
};

enum { MR__LUA_HAS_RUN_BEFORE = 1u, MR__LUA_HAS_RUN_AFTER = 2u, MR__LUA_HAS_RETRY_BEFORE = 4u };

struct mr__lua_param {
    const char *name, *default_json, *help; /* NULL where there is none */
    uint32_t type;                          /* MR_STRING ...; MR_NULL: any */
    bool required;
};
struct mr__lua_action {
    const char *name, *help; /* in the arena */
    const struct mr__lua_param *params;
    uint32_t param_count;
    unsigned phases; /* MR__LUA_HAS_... */
    bool idempotent;
};
/* Runs the file once to learn what it returns. MR_EINVAL with "PATH:LINE: message". */
mr_status mr__lua_action_read(struct mr__lua *lua, const struct mr__lua_file *file,
                              struct mr__arena *arena, struct mr__lua_action *ret_action,
                              mr_error *reterr);

enum mr__lua_phase { MR__LUA_RUN = 0, MR__LUA_RUN_BEFORE, MR__LUA_RUN_AFTER, MR__LUA_RETRY_BEFORE };
struct mr__lua_task { /* what `task` tells; borrowed */
    const char *id, *run, *dag, *key, *folder;
    uint32_t attempt;
    const mr_value *params, *vars;
};
/* Calls one phase. `scope` gives share, vars and run and may lack tasks. As mr__lua_run. */
mr_status mr__lua_action_call(struct mr__lua *lua, const struct mr__lua_file *file,
                              enum mr__lua_phase phase, const struct mr__lua_task *task,
                              const struct mr__scope *scope, const struct mr__lua_acts *acts,
                              const struct mr__lua_budget *budget, struct mr__buf *output,
                              mr_error *reterr);

#endif
