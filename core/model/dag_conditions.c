/* SPDX-License-Identifier: MIT
 *
 * Whether a task of a dag file is run: preCheck as fastflow has it, and runIf, skipIf, blockIf in
 * Lua. Pure, as parse.c.
 */
#include "core/model/parse_task.h"

enum { CHECK_ACT, CHECK_CONDITIONS };
static const struct mr__key check_keys[] = {
    [CHECK_ACT] = {.name = "act",
                   .help = "what follows if all conditions hold: skip or block",
                   .schema = MR__SCHEMA_WORDS("\"skip\",\"block\"")},
    [CHECK_CONDITIONS] = {.name = "conditions",
                          .help = "all of them must hold",
                          .schema = "{\"type\":[\"array\",\"null\"],\"items\":" MR__SCHEMA_REF(
                              "condition") "}"},
};

enum { CONDITION_SOURCE, CONDITION_KEY, CONDITION_OP, CONDITION_VALUES, CONDITION_VALUE };
static const struct mr__key condition_keys[] = {
    [CONDITION_SOURCE] = {.name = "source",
                          .help = "where the key is looked up: vars or share-data",
                          .schema = MR__SCHEMA_WORDS("\"vars\",\"share-data\"")},
    [CONDITION_KEY] = {.name = "key",
                       .help = "the name there; where it is missing the condition is false",
                       .schema = MR__SCHEMA_REF("text")},
    [CONDITION_OP] = {.name = "op",
                      .help = "in, not-in, ==, !=, <, >, matches (a Lua pattern) or exists",
                      .schema = MR__SCHEMA_WORDS(
                          "\"in\",\"not-in\",\"==\",\"!=\",\"<\",\">\",\"matches\",\"exists\"")},
    [CONDITION_VALUES] = {.name = "values",
                          .help = "a list; all operators but in and not-in take one",
                          .schema = "{\"type\":\"array\"}"},
    [CONDITION_VALUE] = {.name = "value", .help = "short for values with one", .schema = "true"},
};

const struct mr__key_table mr__key_table_check = {
    "check", check_keys, MR__COUNT(check_keys),
    ",\"required\":[\"act\"],\"not\":{\"properties\":{\"act\":{\"type\":\"null\"}}}"};
const struct mr__key_table mr__key_table_condition = {
    "condition", condition_keys, MR__COUNT(condition_keys),
    ",\"required\":[\"source\",\"key\",\"op\"],\"not\":{\"required\":[\"value\",\"values\"]}"};

static const char *const op_words[] = {
    [MR__OP_IN] = "in",           [MR__OP_NOT_IN] = "not-in", [MR__OP_EQ] = "==",
    [MR__OP_NE] = "!=",           [MR__OP_LT] = "<",          [MR__OP_GT] = ">",
    [MR__OP_MATCHES] = "matches", [MR__OP_EXISTS] = "exists"};

/* ---- one condition ------------------------------------------------------------------------- */

static void read_values(struct mr__parse *p, struct mr__condition *condition,
                        const struct mr__found *found)
{
    const struct mr__yaml_node *list = found[CONDITION_VALUES].value;
    const struct mr__yaml_node *one = found[CONDITION_VALUE].value;
    condition->values = (mr_value){.type = MR_LIST};
    if (list != NULL && one != NULL) {
        mr__problem_add(p->problems, "E307", mr__yaml_pos(found[CONDITION_VALUE].key), NULL,
                        "a condition has \"values\" or \"value\", not both");
    } else if (list != NULL && list->kind != MR__YAML_LIST) {
        mr__parse_add_type_problem(p, &found[CONDITION_VALUES], "a list");
    } else if (list != NULL) {
        condition->values = mr__parse_value(p, list, false);
    } else if (one != NULL) {
        mr_value *value = mr__parse_alloc(p, sizeof *value);
        if (value != NULL) {
            *value = mr__parse_value(p, one, false);
            condition->values = (mr_value){.type = MR_LIST, .len = 1, .u.list = value};
        }
    }
}

/* Whether there are as many values as the operator takes, and of its kind. */
static void check_values(struct mr__parse *p, const struct mr__condition *condition,
                         const struct mr__found *found)
{
    bool given = found[CONDITION_VALUES].key != NULL || found[CONDITION_VALUE].key != NULL;
    const char *op = op_words[condition->op];
    const mr_value *values = &condition->values;
    const char *wrong = NULL;
    if (condition->op == MR__OP_EXISTS) {
        if (values->len > 1 || (values->len == 1 && values->u.list[0].type != MR_BOOL)) {
            wrong = "true or false";
        }
    } else if (!given) {
        mr__problem_add(p->problems, "E331", condition->pos, NULL,
                        "a condition with \"%s\" needs \"values\"", op);
    } else if (condition->op != MR__OP_IN && condition->op != MR__OP_NOT_IN && values->len != 1) {
        wrong = "one value";
    } else if (condition->op == MR__OP_MATCHES && values->u.list[0].type != MR_STRING) {
        wrong = "a Lua pattern, which is text";
    }
    if (wrong != NULL) {
        mr__problem_add(p->problems, "E332", condition->pos, NULL, "\"%s\" takes %s", op, wrong);
    }
}

static void check_variable(struct mr__parse *p, const struct mr__condition *condition,
                           struct mr__pos pos)
{
    uint64_t number;
    if (condition->source != MR__SOURCE_VARS ||
        mr__hash_get(&p->var_by_name, condition->key, strlen(condition->key), &number)) {
        return;
    }
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, condition->key, &p->nearest_budget);
    for (uint32_t i = 0; i < p->dag->var_count; i++) {
        mr__nearest_try(&nearest, p->dag->vars[i].name, i);
    }
    uint32_t before = p->problems->count;
    mr__problem_add(p->problems, "W334", pos, nearest.found,
                    "no variable \"%.140s\" is declared: this condition is never true",
                    condition->key);
    if (nearest.found != NULL) {
        mr__parse_point_to(p, before, p->dag->vars[nearest.number].pos.line);
    }
}

static void read_condition(struct mr__parse *p, struct mr__condition *condition,
                           const struct mr__yaml_node *node)
{
    static const char *const sources[] = {"vars", "share-data"};
    static const unsigned needed[] = {CONDITION_SOURCE, CONDITION_KEY, CONDITION_OP};
    struct mr__found found[MR__COUNT(condition_keys)];
    condition->pos = mr__yaml_pos(node);
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", condition->pos, NULL, "a condition must be a map");
        return;
    }
    mr__parse_keys(p, node, condition_keys, MR__COUNT(condition_keys),
                   (struct mr__place){.what = "a condition"}, found);
    bool complete = true;
    for (size_t i = 0; i < MR__COUNT(needed); i++) {
        if (!mr__parse_is_given(&found[needed[i]])) {
            mr__problem_add(p->problems, "E331", condition->pos, NULL, "a condition needs \"%s\"",
                            condition_keys[needed[i]].name);
            complete = false;
        }
    }
    uint32_t errors_before = p->problems->error_count;
    condition->source = (uint8_t)mr__parse_word(p, &found[CONDITION_SOURCE], sources,
                                                MR__COUNT(sources), MR__SOURCE_VARS);
    condition->op =
        (uint8_t)mr__parse_word(p, &found[CONDITION_OP], op_words, MR__COUNT(op_words), MR__OP_IN);
    condition->key = mr__parse_text(p, &found[CONDITION_KEY]);
    read_values(p, condition, found);
    if (complete && condition->key != NULL && p->problems->error_count == errors_before) {
        check_values(p, condition, found);
        check_variable(p, condition, mr__yaml_pos(found[CONDITION_KEY].value));
    }
}

/* ---- checks -------------------------------------------------------------------------------- */

/* `check` has its name and place already. */
static void read_check(struct mr__parse *p, struct mr__check *check,
                       const struct mr__yaml_node *node)
{
    static const char *const acts[] = {"skip", "block"};
    struct mr__found found[MR__COUNT(check_keys)];
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "check \"%.140s\" must be a map with \"act\" and \"conditions\"",
                        check->name);
        return;
    }
    mr__parse_keys(p, node, check_keys, MR__COUNT(check_keys),
                   (struct mr__place){.what = "check", .id = check->name}, found);
    if (!mr__parse_is_given(&found[CHECK_ACT])) {
        mr__problem_add(p->problems, "E331", check->pos, NULL,
                        "check \"%.140s\" needs \"act\": skip or block", check->name);
    }
    check->block = mr__parse_word(p, &found[CHECK_ACT], acts, MR__COUNT(acts), 0) == 1;
    const struct mr__yaml_node *list = found[CHECK_CONDITIONS].value;
    if (!mr__parse_is_given(&found[CHECK_CONDITIONS]) ||
        (list->kind == MR__YAML_LIST && list->len == 0)) {
        mr__problem_add(p->problems, "W333", check->pos, NULL,
                        "check \"%.140s\" has no conditions: it always acts", check->name);
        return;
    }
    if (list->kind != MR__YAML_LIST) {
        mr__parse_add_type_problem(p, &found[CHECK_CONDITIONS], "a list of conditions");
        return;
    }
    struct mr__condition *conditions = mr__parse_alloc(p, list->len * sizeof *conditions);
    for (uint32_t i = 0; conditions != NULL && i < list->len; i++) {
        read_condition(p, &conditions[i], &list->u.items[i]);
    }
    check->conditions = conditions;
    check->count = conditions == NULL ? 0 : list->len;
}

/* A map of checks by name; or, as fastflow's own README has it, a list, whose checks are called by
 * their place. */
static void read_checks(struct mr__parse *p, struct mr__dag_task *task,
                        const struct mr__found *found)
{
    const struct mr__yaml_node *node = found->value;
    if (!mr__parse_is_given(found)) {
        return;
    }
    if (node->kind == MR__YAML_SCALAR) {
        mr__parse_add_type_problem(p, found, "a map of checks");
        return;
    }
    struct mr__check *checks = mr__parse_alloc(p, node->len * sizeof *checks);
    for (uint32_t i = 0; checks != NULL && i < node->len; i++) {
        bool named = node->kind == MR__YAML_MAP;
        const struct mr__yaml_node *item = &node->u.items[named ? 2 * i : i];
        checks[i].pos = mr__yaml_pos(item);
        checks[i].name = named ? mr__arena_dup(&p->dag->arena, item->u.text, item->len)
                               : mr__arena_printf(&p->dag->arena, "%u", i);
        if (checks[i].name == NULL) {
            p->no_memory = true;
            return;
        }
        read_check(p, &checks[i], named ? item + 1 : item);
    }
    task->checks = checks;
    task->check_count = checks == NULL ? 0 : node->len;
}

void mr__parse_conditions(struct mr__parse *p, struct mr__dag_task *task,
                          const struct mr__found *found)
{
    const struct mr__found *one = &found[MR__TASK_PRE_CHECK], *many = &found[MR__TASK_PRE_CHECKS];
    if (one->key != NULL && many->key != NULL) {
        bool second = many->key > one->key;
        mr__problem_add(p->problems, "E307", mr__yaml_pos(second ? many->key : one->key), NULL,
                        "a task has \"preCheck\" or \"preChecks\", not both");
    }
    read_checks(p, task, one->key != NULL ? one : many);
    /* A fan-out's conditions are of the task itself: no item is there yet. */
    task->run_if = mr__parse_script(p, &found[MR__TASK_RUN_IF], MR__SCRIPT_EXPRESSION, NULL);
    task->skip_if = mr__parse_script(p, &found[MR__TASK_SKIP_IF], MR__SCRIPT_EXPRESSION, NULL);
    task->block_if = mr__parse_script(p, &found[MR__TASK_BLOCK_IF], MR__SCRIPT_EXPRESSION, NULL);
    if (task->check_count > 0 || task->run_if != MR__NO_SCRIPT || task->skip_if != MR__NO_SCRIPT ||
        task->block_if != MR__NO_SCRIPT) {
        task->flags |= MR__TASK_CONDITIONS;
    }
}
