/* SPDX-License-Identifier: MIT
 *
 * What the files of the dag parser share: parse.c (the file's own keys, variables, tags) calls
 * dag_tasks.c (tasks; its helpers: parse_task.h), which calls dag_check.c (the graph), and
 * dag_hooks.c. All of them read keys and values with parse_value.c, templates with parse_template.c
 * and Lua with parse_script.c. Included by these and vars.c only.
 */
#ifndef MR__PARSE_H
#define MR__PARSE_H

#include "core/model/dag.h"
#include "core/model/nearest.h"
#include "core/model/schema.h"
#include "core/model/template.h"
#include "core/model/yaml_tree.h"

/* Where a script stands in the file. */
struct mr__script_place {
    const struct mr__yaml_node *node; /* the scalar that it is, or is a part of */
    const char *begin;                /* in the node's text; NULL: its text was made, not written */
    const char *item;                 /* what the fan-out's item is called in it, or NULL */
};

/* How far the last search for a place within a text went, so that many of one text cost one walk.
 */
struct mr__parse_cursor {
    const struct mr__yaml_node *node;
    const char *at;
    uint32_t line, column; /* of `at` in the file; column 0: not known */
};

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
    const char *item;        /* what the item of the task's fan-out is called, or NULL */
    uint8_t on_lost;         /* of the file: the tasks' default */
    bool no_memory;          /* sticky: looked at once, at the end */
    struct mr__parse_cursor cursor;
    uint32_t *lines; /* where each line of the file begins; made when first asked for */
    uint32_t line_count;
    struct mr__script *scripts; /* these grow; at the end they go to the dag */
    struct mr__script_place *places;
    struct mr__dag_template *templates;
    uint32_t script_count, script_cap, place_cap, template_count, template_cap;
};

/* ---- keys of a map (parse_value.c) ----------------------------------------------------------- */

/* A key that may stand in some place. */
struct mr__key {
    const char *name;
    const char *help;   /* one line for who writes the file; docs/dag-file.md says more */
    const char *schema; /* JSON Schema of its value, as core/model/schema.c has it */
};

/* The keys of one place, as the parser and the schema read them. */
struct mr__key_table {
    const char *name; /* in the schema's $defs */
    const struct mr__key *keys;
    size_t count;
    const char *more; /* further members of its schema, each with a ',' before it */
};
extern const struct mr__key_table mr__key_table_dag, mr__key_table_variable; /* parse.c */
extern const struct mr__key_table mr__key_table_task;                        /* dag_tasks.c */
extern const struct mr__key_table mr__key_table_check,
    mr__key_table_condition;                                                  /* dag_conditions.c */
extern const struct mr__key_table mr__key_table_retry;                        /* dag_retry.c */
extern const struct mr__key_table mr__key_table_limits;                       /* dag_isolation.c */
extern const struct mr__key_table mr__key_table_hook, mr__key_table_schedule; /* dag_hooks.c */

/* What was found of the keys of a place, by their place in its table. */
struct mr__found {
    const struct mr__yaml_node *key, *value; /* NULL: it is not there */
};

/* Where a key stands, for messages: "task" and its id, or "the dag" and NULL. */
struct mr__place {
    const char *what, *id;
};

/* Fills `ret_found` (one row for each of `keys`); unknown keys are problems. */
void mr__parse_keys(struct mr__parse *p, const struct mr__yaml_node *map,
                    const struct mr__key *keys, size_t count, struct mr__place place,
                    struct mr__found *ret_found);

/* ---- values (parse_value.c) ------------------------------------------------------------------ */

/* In each of these a key that is not there, or is null, gives the value that stands for nothing. */

/* Any scalar as it is written, in the dag's arena. */
const char *mr__parse_text(struct mr__parse *p, const struct mr__found *found);
/* The index of a word among `words`; `otherwise` if there is none. */
unsigned mr__parse_word(struct mr__parse *p, const struct mr__found *found,
                        const char *const *words, unsigned count, unsigned otherwise);
/* `min_ms` is 0 where no time at all is a duration too, else 1. */
int64_t mr__parse_duration(struct mr__parse *p, const struct mr__found *found, int64_t min_ms);
void mr__parse_add_duration_problem(struct mr__parse *p, const struct mr__found *found,
                                    int64_t min_ms);
int64_t mr__parse_integer(struct mr__parse *p, const struct mr__found *found, int64_t min,
                          int64_t max);
double mr__parse_number(struct mr__parse *p, const struct mr__found *found, double min, double max);
/* True if there is a value to read. */
bool mr__parse_is_given(const struct mr__found *found);
void mr__parse_add_type_problem(struct mr__parse *p, const struct mr__found *found,
                                const char *type);
/* True if it is an id; a problem otherwise. */
bool mr__parse_check_id(struct mr__parse *p, const char *id, struct mr__pos pos, const char *what);
/* A whole node as a value in the dag's arena. `templated`: the templates in its text are checked,
 * and added to the dag's. */
mr_value mr__parse_value(struct mr__parse *p, const struct mr__yaml_node *node, bool templated);

void *mr__parse_alloc(struct mr__parse *p, size_t bytes);         /* in the dag */
void *mr__parse_alloc_scratch(struct mr__parse *p, size_t bytes); /* until the parse ends */
/* A list of `count` rows with room for one more: the old one or a larger copy. NULL: out of memory,
 * the old one stays. Freed with free. */
void *mr__parse_grow(struct mr__parse *p, void *list, uint32_t count, uint32_t *cap,
                     size_t row_bytes);

/* The problem that was added when there were `count_before`, if it was kept, suggests a word that
 * stands in `line`. */
void mr__parse_point_to(struct mr__parse *p, uint32_t count_before, uint32_t line);
/* The nearest declared variable to a word, and a problem "E402" that says there is none of it. */
void mr__parse_add_unknown_var(struct mr__parse *p, struct mr__pos pos, const char *name,
                               size_t len);

/* ---- places within a text (parse_pos.c) ------------------------------------------------------ */

/* The place of what lies from `at` to `end` in a scalar's text, as wide as its first line: exact
 * where the text stands in the file as it is, else the scalar's own. */
struct mr__pos mr__parse_pos(struct mr__parse *p, const struct mr__yaml_node *node, const char *at,
                             const char *end);

/* ---- templates (parse_template.c) ------------------------------------------------------------ */

/* Checks the templates of a text and adds them to the dag's, in their order. */
void mr__parse_templates(struct mr__parse *p, const struct mr__yaml_node *node);
/* A problem for each template in a program, such as a `run:`, that names something of the run; its
 * value is to go through another param. */
void mr__parse_check_program(struct mr__parse *p, const struct mr__yaml_node *node,
                             const char *param, const char *through);
/* True for what can only be meant as the name of a variable, declared or not. */
bool mr__parse_is_var_name(const struct mr__parse *p, const char *text, size_t len);
/* True for {{.vars.NAME.Value}} and {{.shareData.KEY}}: where NAME or KEY stands. */
bool mr__parse_go_var(const struct mr__template *t, const char **ret_name, size_t *ret_len);
bool mr__parse_go_share(const struct mr__template *t, const char **ret_key, size_t *ret_len);

/* ---- Lua (parse_script.c) -------------------------------------------------------------------- */

/* Adds a script of `len` bytes that stands at `place`; its number, or MR__NO_SCRIPT. `text` is the
 * same text in the dag's arena, or NULL: it is copied. */
uint32_t mr__parse_add_script(struct mr__parse *p, struct mr__script_place place, size_t len,
                              enum mr__script_kind kind, const char *text);
/* A key's whole value, as it is written, as a script. */
uint32_t mr__parse_script(struct mr__parse *p, const struct mr__found *found,
                          enum mr__script_kind kind, const char *item);
/* Once all tasks are read: checks the names in every script and gives the scripts to the dag. */
void mr__parse_finish_scripts(struct mr__parse *p);

/* ---- the other files ------------------------------------------------------------------------- */

extern const char *const mr__parse_on_lost_words[4]; /* by enum mr__on_lost, from 1 */

/* One entry of a dependOn. */
struct mr__dependency {
    uint32_t task, parent;
    struct mr__pos pos;
};

void mr__parse_tasks(struct mr__parse *p, const struct mr__found *tasks); /* dag_tasks.c */
/* Checks the graph and writes parents and children. `dependencies` are in task order. */
void mr__parse_graph(struct mr__parse *p, struct mr__dag_task *tasks,
                     const struct mr__dependency *dependencies, uint32_t count,
                     struct mr__pos tasks_pos);                           /* dag_check.c */
void mr__parse_hooks(struct mr__parse *p, const struct mr__found *hooks); /* dag_hooks.c */
/* Over what is inherited, or NULL: nothing is given, nor inherited. dag_isolation.c */
const struct mr__isolation *mr__parse_isolation(struct mr__parse *p,
                                                const struct mr__isolation *inherited,
                                                const struct mr__found *isolation,
                                                const struct mr__found *limits);
void mr__parse_schedule(struct mr__parse *p, const struct mr__found *cron,
                        const struct mr__found *schedule); /* dag_hooks.c */

/* A value as one of a declared type, copied: text is read, an integer may be a number, and any
 * scalar text. False: it is none (or out of memory). vars.c */
bool mr__var_coerce(struct mr__arena *arena, const mr_value *value, uint32_t type,
                    mr_value *ret_value);
/* Whether the variable's enum allows a value of its type. vars.c */
bool mr__var_allows(const struct mr__var *var, const mr_value *value);

#endif
