/* SPDX-License-Identifier: MIT
 *
 * What the files of the dag parser share: parse.c (the file's own keys, variables, tags) calls
 * dag_tasks.c (tasks), which calls dag_check.c (the graph). Included by these and vars.c only.
 */
#ifndef MR__PARSE_H
#define MR__PARSE_H

#include "core/model/dag.h"
#include "core/model/nearest.h"
#include "core/model/yaml_tree.h"

/* One dag file on its way to a dag. */
struct mr__parse {
    struct mr__dag *dag; /* all that stays goes to its arena */
    struct mr__problems *problems;
    const char *text; /* of the file */
    size_t text_len;
    struct mr__arena scratch; /* nodes, and what is needed for this parse only */
    struct mr__hash var_by_name;
    uint64_t nearest_budget;
    const char *last_action; /* of the task before, or NULL: shared by tasks that have the same */
    uint8_t on_lost;         /* of the file: the tasks' default */
    bool no_memory;          /* sticky: looked at once, at the end */
};

/* ---- keys of a map (parse.c) ---------------------------------------------------------------- */

/* A key that may stand in some place. */
struct mr__key {
    const char *name;
    bool later; /* comes in a later release: an error of its own */
};

/* What was found of the keys of a place, by their place in its table. */
struct mr__found {
    const struct mr__yaml_node *key, *value; /* NULL: it is not there */
};

/* Where a key stands, for messages: "task" and its id, or "the dag" and NULL. */
struct mr__place {
    const char *what, *id;
};

/* Fills `ret_found` (one row for each of `keys`); unknown and later keys are problems. True: a
 * later key is there, so that what seems to be missing may not be. */
bool mr__parse_keys(struct mr__parse *p, const struct mr__yaml_node *map,
                    const struct mr__key *keys, size_t count, struct mr__place place,
                    struct mr__found *ret_found);

/* ---- values (parse.c) ----------------------------------------------------------------------- */

/* In each of these a key that is not there, or is null, gives the value that stands for nothing. */

/* Any scalar as it is written, in the dag's arena. */
const char *mr__parse_text(struct mr__parse *p, const struct mr__found *found);
/* The index of a word among `words`; `otherwise` if there is none. */
unsigned mr__parse_word(struct mr__parse *p, const struct mr__found *found,
                        const char *const *words, unsigned count, unsigned otherwise);
int64_t mr__parse_duration(struct mr__parse *p, const struct mr__found *found);
void mr__parse_add_duration_problem(struct mr__parse *p, const struct mr__found *found);
int64_t mr__parse_integer(struct mr__parse *p, const struct mr__found *found, int64_t min,
                          int64_t max);
/* True if it is an id; a problem otherwise. */
bool mr__parse_check_id(struct mr__parse *p, const char *id, struct mr__pos pos, const char *what);
/* A whole node as a value in the dag's arena. Templates in its text are checked, and noted in
 * `*ret_templates`, unless that is NULL. */
mr_value mr__parse_value(struct mr__parse *p, const struct mr__yaml_node *node,
                         bool *ret_templates);
/* A problem for each template in a `run:` that names something of the run. */
void mr__parse_check_shell(struct mr__parse *p, const struct mr__yaml_node *node);

void *mr__parse_alloc(struct mr__parse *p, size_t bytes);         /* in the dag */
void *mr__parse_alloc_scratch(struct mr__parse *p, size_t bytes); /* until the parse ends */

/* The problem that was added when there were `count_before`, if it was kept, suggests a word that
 * stands in `line`. */
void mr__parse_point_to(struct mr__parse *p, uint32_t count_before, uint32_t line);

extern const char *const mr__parse_on_lost_words[4]; /* by enum mr__on_lost, from 1 */

/* ---- the other files ------------------------------------------------------------------------ */

/* One entry of a dependOn. */
struct mr__dependency {
    uint32_t task, parent;
    struct mr__pos pos;
};

void mr__parse_tasks(struct mr__parse *p, const struct mr__found *tasks); /* dag_tasks.c */
/* Checks the graph and writes parents and children. `dependencies` are in task order. */
void mr__parse_graph(struct mr__parse *p, struct mr__dag_task *tasks,
                     const struct mr__dependency *dependencies, uint32_t count,
                     struct mr__pos tasks_pos); /* dag_check.c */

/* A value as one of a declared type, copied: text is read, an integer may be a number, and any
 * scalar text. False: it is none (or out of memory). vars.c */
bool mr__var_coerce(struct mr__arena *arena, const mr_value *value, uint32_t type,
                    mr_value *ret_value);
/* Whether the variable's enum allows a value of its type. vars.c */
bool mr__var_allows(const struct mr__var *var, const mr_value *value);

#endif
