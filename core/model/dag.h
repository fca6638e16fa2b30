/* SPDX-License-Identifier: MIT
 *
 * A dag: what a dag file says, checked and compiled into flat arrays. Immutable once parsed; shared
 * by all runs of its version; freed with its last reference (one thread counts: the loop).
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

/* Bits of mr__dag_task.flags. */
enum {
    MR__TASK_TEMPLATES = 1u /* its params hold {{...}}: they are rendered when an attempt starts */
};

struct mr__dag_task {
    const char *id;
    const char *name, *desc;         /* or NULL */
    const char *action;              /* NULL: a gate, which does nothing and succeeds */
    mr_value params;                 /* a map; templates unrendered; empty for a gate */
    const struct mr__pos *param_pos; /* of each member of `params`: its key */
    struct mr__pos pos;              /* of its id, or of the task where it has none */
    struct mr__pos action_pos; /* of the value that names the action, or of run:, wait:, ... */
    int64_t timeout_ms;        /* of each attempt; 0: none */
    uint32_t first_parent, parent_count; /* in mr__dag.parents */
    uint32_t first_child, child_count;   /* in mr__dag.children */
    uint8_t on_lost;                     /* enum mr__on_lost; the dag's default is already in it */
    uint8_t flags;
};

struct mr__dag {
    struct mr__arena arena; /* holds everything below, and the text */
    uint32_t refs;
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
    struct mr__hash task_by_id;
};

struct mr__parse_options {
    const char *file;       /* for positions, and for the default id; "-" or NULL: stdin */
    const char *default_id; /* or NULL: the file's name without its ending */
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

/* The variables of a run: a map in declaration order with every declared variable, from `given` (a
 * map, or null; strings become the declared type) over the defaults. MR_EINVAL: undeclared (with a
 * suggestion), not of its type or enum, required and missing; all such problems in one message.
 * MR_ELIMIT: more than MR__VARS_BYTES_MAX. Names and defaults are borrowed from the dag. */
mr_status mr__dag_vars(const struct mr__dag *dag, const mr_value *given, struct mr__arena *arena,
                       mr_value *ret_vars, mr_error *reterr);

/* `params`, which are those of a task of the dag (&dag->tasks[i].params: sh's `run` is left as it
 * is), with every template replaced (contract.md: one that is the whole string keeps its type; a
 * value is never expanded twice). `vars` is what mr__dag_vars gave. MR_EINVAL for an unknown name,
 * MR_ELIMIT for a result that is too deep or too large. What has no template is borrowed from the
 * dag, what is put in whole from `vars`. */
mr_status mr__dag_render(const struct mr__dag *dag, const mr_value *params, const mr_value *vars,
                         struct mr__arena *arena, mr_value *ret_params, mr_error *reterr);

#endif
