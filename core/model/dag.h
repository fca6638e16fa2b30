/* SPDX-License-Identifier: MIT
 *
 * A dag: what a dag file says, checked and compiled into flat arrays. Immutable once parsed; shared
 * by all runs of its version, and by copies of scopes on other threads; freed with its last
 * reference (any thread).
 *
 * Pure: text in, a dag or a list of problems out. Which actions exist is not known here: the engine
 * checks actions and params against its registry (core/exec/registry.h), with the positions kept
 * here.
 */
#ifndef MR__DAG_H
#define MR__DAG_H

#include "core/base/arena.h"
#include "core/base/hash.h"
#include "core/base/value.h"
#include "core/model/action.h"
#include "core/model/problems.h"

#define MR__VERSION_BYTES 16

enum mr__on_lost {
    MR__ON_LOST_DEFAULT = 0, /* retry if the action is idempotent, else fail */
    MR__ON_LOST_RETRY,
    MR__ON_LOST_FAIL,
    MR__ON_LOST_ASK
};

struct mr__var {
    const char *name;
    const char *desc; /* or NULL */
    uint32_t type;    /* MR_STRING, MR_INT, MR_NUMBER, MR_BOOL, MR_LIST, MR_MAP */
    bool required;
    bool has_default;
    mr_value default_value; /* of its type; "" or null without a default (contract.md) */
    mr_value allowed;       /* enum: a list of values of its type, or null */
    struct mr__pos pos;
};

/* Bits of mr__dag_task.flags. What a task asks for in its prepare effect, before it begins. */
enum {
    MR__TASK_TEMPLATES = 1u, /* its params hold {{...}}: they are rendered when an attempt starts */
    MR__TASK_CONDITIONS = 2u, /* preCheck, runIf, skipIf or blockIf */
    MR__TASK_FOR_EACH = 4u    /* one task run for each item of a list */
};

enum mr__when { MR__WHEN_SUCCESS = 0, MR__WHEN_ALWAYS, MR__WHEN_FAILED };

enum mr__script_kind {
    MR__SCRIPT_EXPRESSION =
        0,           /* gives one value; pure: conditions, templates, forEach, key, retry.if */
    MR__SCRIPT_CHUNK /* statements; may act: `lua:` tasks and hooks */
};

/* A piece of Lua as it stands in the file. Compiled once per version and thread (lua/lua_host.h).
 */
struct mr__script {
    const char *text; /* without {{ }}; NUL-terminated */
    size_t len;
    struct mr__pos pos;  /* of its first character: errors name FILE:LINE */
    uint8_t kind;        /* enum mr__script_kind */
    bool uses_all_tasks; /* it reads `tasks` in a way that does not name one */
    bool folded; /* its lines are not the file's ("a\nb"): errors name the line of `pos` alone */
    const uint32_t *uses; /* numbers of the tasks that it names (tasks.ID, tasks["ID"]) */
    uint32_t use_count;
};
#define MR__NO_SCRIPT UINT32_MAX

/* One {{...}} of a task's params. A task's templates stand in the order in which a walk of its
 * params (maps and lists in their order, each text from left to right) meets them. */
enum mr__template_kind {
    MR__TEMPLATE_VAR = 0, /* {{name}}, {{.vars.name.Value}}: number is the variable's */
    MR__TEMPLATE_ITEM,    /* the fan-out's item */
    MR__TEMPLATE_SHARE,   /* {{.shareData.key}}: text is the key; a missing one is an error */
    MR__TEMPLATE_TEXT,    /* {{'{{'}}: text is what it stands for */
    MR__TEMPLATE_AS_IS,   /* --compat fastflow: an unknown {{name}} stays as it is written */
    MR__TEMPLATE_SCRIPT   /* any Lua expression: number is the script's */
};
struct mr__dag_template {
    uint8_t kind;
    uint32_t number;
    uint32_t line; /* of the file, SHARE alone */
    const char *text;
    size_t len;
};

enum mr__check_source { MR__SOURCE_VARS = 0, MR__SOURCE_SHARE };
enum mr__check_op {
    MR__OP_IN = 0,
    MR__OP_NOT_IN,
    MR__OP_EQ,
    MR__OP_NE,
    MR__OP_LT,
    MR__OP_GT,
    MR__OP_MATCHES, /* a Lua pattern */
    MR__OP_EXISTS   /* values [true] (default) or [false] */
};
/* A condition of a preCheck: false where its key is missing, whatever the operator (but exists). */
struct mr__condition {
    uint8_t source, op;
    const char *key;
    mr_value values; /* a list */
    struct mr__pos pos;
};
struct mr__check {
    const char *name;
    bool block;                             /* act: block; else skip */
    const struct mr__condition *conditions; /* all must hold */
    uint32_t count;
    struct mr__pos pos;
};

enum mr__backoff { MR__BACKOFF_FIXED = 0, MR__BACKOFF_EXPONENTIAL };
struct mr__retry {
    int64_t delay_ms, max_delay_ms; /* max 0: none */
    uint32_t max;                   /* further attempts after the first; 0: no policy */
    uint32_t filter;                /* `if`: a script, or MR__NO_SCRIPT */
    float jitter; /* 0 to 1: each delay is taken from [delay * (1 - jitter), delay] */
    uint8_t backoff;
};

/* hooks: by what they are called for. */
enum mr__hook {
    MR__HOOK_BEFORE_RUN = 0,
    MR__HOOK_BEFORE_SUCCESS,
    MR__HOOK_BEFORE_FAIL,
    MR__HOOK_BEFORE_BLOCK,
    MR__HOOK_BEFORE_RETRY,
    MR__HOOK_BEFORE_CONTINUE,
    MR__HOOK_ON_SUCCESS,
    MR__HOOK_ON_FAILURE,
    MR__HOOK_ON_CANCEL,
    MR__HOOK_ON_EXIT,
    MR__HOOKS
};
extern const char *const mr__hook_names[MR__HOOKS]; /* "beforeRun", ... */

enum mr__overlap {
    MR__OVERLAP_SKIP = 0,
    MR__OVERLAP_QUEUE,
    MR__OVERLAP_REPLACE,
    MR__OVERLAP_ALLOW
};
enum mr__catchup { MR__CATCHUP_SKIP = 0, MR__CATCHUP_LATEST, MR__CATCHUP_ALL };
struct mr__schedule {
    const char *cron;     /* NULL: none. Checked by the parser (core/model/cron.h) */
    const char *timezone; /* an IANA name; NULL: UTC. Whether it exists, the engine checks */
    uint8_t overlap, catchup;
    struct mr__pos pos, timezone_pos;
};

enum mr__isolation_word { MR__ISOLATION_AS_ASKED = 0, MR__ISOLATION_NONE, MR__ISOLATION_PROCESS };
/* `isolation` and `limits` of a task, with what the dag's say. */
struct mr__isolation {
    uint8_t word;         /* enum mr__isolation_word; as asked: by the action itself */
    bool own, own_limits; /* it is the task's own word, these are its own limits */
    struct mr__action_limits limits;
    struct mr__pos pos, limits_pos;
};
/* Whether an action with these flags (MR__ACTION_...) runs in a process of its own. */
static inline bool mr__isolation_applies(const struct mr__isolation *isolation, uint32_t flags)
{
    unsigned word = isolation == NULL ? MR__ISOLATION_AS_ASKED : isolation->word;
    bool asked = word == MR__ISOLATION_AS_ASKED && (flags & MR__ACTION_ISOLATED) != 0;
    return (flags & MR__ACTION_APART) != 0 && (word == MR__ISOLATION_PROCESS || asked);
}

struct mr__dag_task {
    const char *id;
    const char *name, *desc;         /* or NULL */
    const char *action;              /* NULL: a gate, which does nothing and succeeds */
    mr_value params;                 /* a map; templates unrendered; empty for a gate */
    const struct mr__pos *param_pos; /* of each member of `params`: its key */
    struct mr__pos pos;              /* of its id, or of the task where it has none */
    struct mr__pos action_pos; /* of the value that names the action, or of run:, wait:, ... */
    int64_t timeout_ms;        /* of each attempt; 0: none */
    int64_t heartbeat_ms;      /* an attempt that is silent for so long is ended; 0: it may be */
    uint32_t first_parent, parent_count; /* in mr__dag.parents */
    uint32_t first_child, child_count;   /* in mr__dag.children */
    uint8_t on_lost;                     /* enum mr__on_lost; the dag's default is already in it */
    uint8_t flags;
    uint8_t when; /* enum mr__when */
    struct mr__retry retry;
    const struct mr__check *checks; /* preCheck, file order */
    uint32_t check_count;
    uint32_t run_if, skip_if, block_if;      /* scripts, or MR__NO_SCRIPT */
    uint32_t for_each, key;                  /* scripts, or MR__NO_SCRIPT */
    const char *as;                          /* what an item is called: "item" */
    uint32_t max_parallel;                   /* of a fan-out's children; 0: no limit */
    uint32_t first_template, template_count; /* in mr__dag.templates */
    uint32_t lua; /* a `lua:` task's script (its param "lua"), or MR__NO_SCRIPT */
    const struct mr__isolation *isolation; /* NULL: as the action asks, without limits */
};

struct mr__dag {
    struct mr__arena arena; /* holds everything below, and the text */
    _Atomic uint32_t refs;
    uint32_t task_count;
    const char *id;
    const char *name, *desc;            /* or NULL */
    uint8_t version[MR__VERSION_BYTES]; /* hash of the text, the id and the options of the parse */
    const char *text;                   /* NUL-terminated */
    size_t text_len;
    const char *file;      /* as it was named to the parser */
    bool stopped;          /* status: stopped */
    int64_t timeout_ms;    /* of the whole run; 0: none */
    uint32_t max_parallel; /* 0: no limit */
    uint32_t var_count;
    const struct mr__var *vars;       /* file order */
    mr_value tags;                    /* a map of text */
    const struct mr__dag_task *tasks; /* file order: the index is the task's number everywhere */
    const uint32_t *parents, *children;
    const struct mr__script *scripts; /* every piece of Lua, in the order in which it was met */
    uint32_t script_count;
    const struct mr__dag_template *templates;
    uint32_t template_count;
    uint32_t hooks[MR__HOOKS]; /* scripts, or MR__NO_SCRIPT */
    uint32_t hook_mask;        /* of those that are there: 1u << enum mr__hook */
    struct mr__schedule schedule;
    const struct mr__isolation *isolation; /* the default of tasks that name an action; or NULL */
    bool has_when;                         /* some task has a `when` other than success */
    bool compat;                           /* parsed with --compat fastflow */
    struct mr__hash task_by_id;
};

struct mr__parse_options {
    const char *file;       /* for positions, and for the default id; "-" or NULL: stdin */
    const char *default_id; /* or NULL: the file's name without its ending */
    bool compat; /* --compat fastflow: unknown keys are warnings, unknown {{name}} stay, and every
                  * task but waits has a timeout of 30 s where it says none. Part of the version */
    /* Not NULL: gets the dag of a text with errors, or NULL, so that what its tasks and scripts
     * have wrong besides is found too; **owned**: mr__dag_unref. It is good for nothing else. */
    struct mr__dag **ret_broken;
};

/* Parses and checks a whole dag file: all its problems are added to `problems` (its limit
 * permitting). MR_OK: `ret_dag` has one reference, **owned**: mr__dag_unref; warnings may have been
 * added. MR_EDEFINITION: at least one error was added. MR_ENOMEM. */
mr_status mr__dag_parse(const char *text, size_t len, const struct mr__parse_options *options,
                        struct mr__problems *problems, struct mr__dag **ret_dag);

struct mr__dag *mr__dag_ref(struct mr__dag *dag);
void mr__dag_unref(struct mr__dag *dag); /* NULL is allowed */

/* The number of the task `id`, or -1. */
int64_t mr__dag_find(const struct mr__dag *dag, const char *id, size_t len);

/* Sorts numbers of tasks and drops repeats; how many are left. */
size_t mr__numbers_sort(uint32_t *numbers, size_t count);

/* The variables of a run: a map in declaration order with every declared variable, from `given` (a
 * map, or null; strings become the declared type) over the defaults. MR_EINVAL: undeclared (with a
 * suggestion), not of its type or enum, required and missing; all such problems in one message.
 * MR_ELIMIT: more than MR__VARS_BYTES_MAX. Names and defaults are borrowed from the dag. */
mr_status mr__dag_vars(const struct mr__dag *dag, const mr_value *given, struct mr__arena *arena,
                       mr_value *ret_vars, mr_error *reterr);

/* Variables from a file, as `--vars` reads it: YAML or JSON text that is a map. MR_EINVAL with
 * NAME:LINE:COL in the message, MR_ENOMEM. */
mr_status mr__vars_read(const char *name, const char *text, size_t len, struct mr__arena *arena,
                        mr_value *ret_given, mr_error *reterr);

#endif
