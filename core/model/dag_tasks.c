/* SPDX-License-Identifier: MIT
 *
 * A dag file's tasks: their keys, their actions with the short forms, and what they depend on by
 * id. The graph itself is dag_check.c's. Pure, as parse.c.
 */
#include "core/base/clock.h"
#include "core/model/parse.h"
#include "core/model/template.h"

#define TIMEOUT_SECONDS_MAX (INT64_C(36525) * 86400) /* 100 years */

enum {
    TASK_ID,
    TASK_NAME,
    TASK_DESC,
    TASK_DEPEND_ON,
    TASK_ACTION,
    TASK_ACTION_NAME,
    TASK_PARAMS,
    TASK_RUN,
    TASK_ENV,
    TASK_OUTPUT,
    TASK_WAIT,
    TASK_TIMEOUT,
    TASK_TIMEOUT_SECS,
    TASK_ON_LOST,
    TASK_LATER
};
static const struct mr__key task_keys[] = {
    [TASK_ID] = {.name = "id"},
    [TASK_NAME] = {.name = "name"},
    [TASK_DESC] = {.name = "desc"},
    [TASK_DEPEND_ON] = {.name = "dependOn"},
    [TASK_ACTION] = {.name = "action"},
    [TASK_ACTION_NAME] = {.name = "actionName"},
    [TASK_PARAMS] = {.name = "params"},
    [TASK_RUN] = {.name = "run"},
    [TASK_ENV] = {.name = "env"},
    [TASK_OUTPUT] = {.name = "output"},
    [TASK_WAIT] = {.name = "wait"},
    [TASK_TIMEOUT] = {.name = "timeout"},
    [TASK_TIMEOUT_SECS] = {.name = "timeoutSecs"},
    [TASK_ON_LOST] = {.name = "onLost"},
    [TASK_LATER] = {.name = "http", .later = true},
    {.name = "lua", .later = true},
    {.name = "retry", .later = true},
    {.name = "when", .later = true},
    {.name = "runIf", .later = true},
    {.name = "skipIf", .later = true},
    {.name = "blockIf", .later = true},
    {.name = "preCheck", .later = true},
    {.name = "preChecks", .later = true},
    {.name = "forEach", .later = true},
    {.name = "as", .later = true},
    {.name = "key", .later = true},
    {.name = "maxParallel", .later = true},
    {.name = "isolation", .later = true},
};

/* The dependencies of all tasks as they are read; parents are found once all ids are known. */
struct tasks {
    struct mr__dag_task *list;
    const struct mr__yaml_node **depend_on; /* of each task, or NULL */
    struct mr__dependency *dependencies;
    uint32_t dependency_count;
};

static void read_task(struct mr__parse *p, struct tasks *tasks, uint32_t number,
                      const struct mr__yaml_node *node);
static void resolve_dependencies(struct mr__parse *p, struct tasks *tasks, uint32_t count);

void mr__parse_tasks(struct mr__parse *p, const struct mr__found *found)
{
    const struct mr__yaml_node *node = found->value;
    struct mr__pos pos = {.line = 1, .column = 1};
    if (found->key != NULL) {
        pos = mr__yaml_pos(found->key);
    }
    if (node == NULL || mr__yaml_is_null(node) || (node->kind == MR__YAML_LIST && node->len == 0)) {
        mr__problem_add(p->problems, "E301", pos, NULL, "the dag has no tasks");
        return;
    }
    if (node->kind != MR__YAML_LIST) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "\"tasks\" must be a list of tasks");
        return;
    }
    if (node->len > MR__DAG_TASKS_MAX) {
        mr__problem_add(p->problems, "E302", pos, NULL,
                        "the dag has %u tasks; at most %u are allowed", node->len,
                        MR__DAG_TASKS_MAX);
        return;
    }
    struct tasks tasks = {.list = mr__parse_alloc(p, node->len * sizeof *tasks.list),
                          .depend_on =
                              mr__parse_alloc_scratch(p, node->len * sizeof *tasks.depend_on)};
    if (tasks.list == NULL || tasks.depend_on == NULL) {
        return;
    }
    for (uint32_t i = 0; i < node->len; i++) {
        read_task(p, &tasks, i, &node->u.items[i]);
    }
    p->dag->tasks = tasks.list;
    p->dag->task_count = node->len;
    resolve_dependencies(p, &tasks, node->len);
    if (!p->no_memory) {
        mr__parse_graph(p, tasks.list, tasks.dependencies, tasks.dependency_count, pos);
    }
}

/* ---- one task ------------------------------------------------------------------------------ */

static const char *read_id(struct mr__parse *p, struct mr__dag_task *list, uint32_t number,
                           const struct mr__yaml_node *node)
{
    struct mr__found found = {NULL, NULL};
    for (uint32_t i = 0; i < node->len && found.key == NULL; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        if (strcmp(key->u.text, "id") == 0) {
            found = (struct mr__found){.key = key, .value = key + 1};
        }
    }
    if (found.value == NULL || mr__yaml_is_null(found.value)) {
        mr__problem_add(p->problems, "E108", mr__yaml_pos(found.key != NULL ? found.key : node),
                        NULL, "a task needs an \"id\"");
        return NULL;
    }
    struct mr__pos pos = mr__yaml_pos(found.value);
    const char *id = mr__parse_text(p, &found);
    list[number].pos = pos;
    if (id == NULL || !mr__parse_check_id(p, id, pos, "the task id")) {
        return NULL;
    }
    uint64_t first;
    if (mr__hash_get(&p->dag->task_by_id, id, found.value->len, &first)) {
        mr__problem_add(p->problems, "E303", pos, NULL,
                        "the task id \"%s\" stands here twice, first in line %u", id,
                        list[first].pos.line);
    } else if (mr__hash_put(&p->dag->task_by_id, id, found.value->len, number) != MR_OK) {
        p->no_memory = true;
    }
    return id;
}

static void read_action(struct mr__parse *p, struct mr__dag_task *task,
                        const struct mr__found *found, bool later);

static int64_t read_timeout(struct mr__parse *p, const struct mr__found *found)
{
    if (found[TASK_TIMEOUT].key != NULL && found[TASK_TIMEOUT_SECS].key != NULL) {
        mr__problem_add(p->problems, "E307", mr__yaml_pos(found[TASK_TIMEOUT_SECS].key), NULL,
                        "a task has \"timeout\" or \"timeoutSecs\", not both");
    }
    int64_t seconds = mr__parse_integer(p, &found[TASK_TIMEOUT_SECS], 0, TIMEOUT_SECONDS_MAX);
    int64_t ms = mr__parse_duration(p, &found[TASK_TIMEOUT]);
    return ms != 0 ? ms : seconds * 1000;
}

static void read_task(struct mr__parse *p, struct tasks *tasks, uint32_t number,
                      const struct mr__yaml_node *node)
{
    struct mr__dag_task *task = &tasks->list[number];
    struct mr__found found[MR__COUNT(task_keys)];
    task->pos = mr__yaml_pos(node);
    task->params = (mr_value){.type = MR_MAP};
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", task->pos, NULL, "a task must be a map");
        return;
    }
    task->id = read_id(p, tasks->list, number, node);
    struct mr__place place = {.what = task->id == NULL ? "a task" : "task", .id = task->id};
    bool later = mr__parse_keys(p, node, task_keys, MR__COUNT(task_keys), place, found);
    task->name = mr__parse_text(p, &found[TASK_NAME]);
    task->desc = mr__parse_text(p, &found[TASK_DESC]);
    task->timeout_ms = read_timeout(p, found);
    task->on_lost = (uint8_t)mr__parse_word(p, &found[TASK_ON_LOST], mr__parse_on_lost_words,
                                            MR__COUNT(mr__parse_on_lost_words), p->on_lost);
    read_action(p, task, found, later);
    if (found[TASK_DEPEND_ON].value != NULL && !mr__yaml_is_null(found[TASK_DEPEND_ON].value)) {
        tasks->depend_on[number] = found[TASK_DEPEND_ON].value;
    }
}

/* ---- actions ------------------------------------------------------------------------------- */

/* The params of a short form, member by member; `params` must have room for them. */
struct params {
    mr_member *members;
    struct mr__pos *pos;
    uint32_t len;
    bool templates;
};

static bool params_init(struct mr__parse *p, struct params *params, uint32_t room)
{
    *params = (struct params){.members = mr__parse_alloc(p, room * sizeof *params->members),
                              .pos = mr__parse_alloc(p, room * sizeof *params->pos)};
    return params->members != NULL && params->pos != NULL;
}

static void params_add(struct mr__parse *p, struct params *params, const char *key,
                       const struct mr__yaml_node *key_node, bool templated)
{
    params->members[params->len].key = key;
    params->members[params->len].value =
        mr__parse_value(p, key_node + 1, templated ? &params->templates : NULL);
    params->pos[params->len++] = mr__yaml_pos(key_node);
}

static void params_give(const struct params *params, struct mr__dag_task *task)
{
    task->params = (mr_value){.type = MR_MAP, .len = params->len, .u.map = params->members};
    task->param_pos = params->pos;
    if (params->templates) {
        task->flags |= MR__TASK_TEMPLATES;
    }
}

/* The text of a `run`; a scalar that is none, such as `run: true`, is meant as it is written. */
static void params_add_run(struct mr__parse *p, struct params *params,
                           const struct mr__yaml_node *key)
{
    struct mr__found found = {.key = key, .value = key + 1};
    params->members[params->len].key = "run";
    params->pos[params->len] = mr__yaml_pos(key);
    const char *text = mr__parse_text(p, &found);
    if (text != NULL) {
        params->members[params->len].value = mr__value_str(text, found.value->len);
        mr__parse_check_shell(p, found.value);
    }
    params->len++;
    if (text == NULL ? mr__yaml_is_null(found.value) : text[strspn(text, " \t\r\n")] == '\0') {
        mr__problem_add(p->problems, "E308", params->pos[params->len - 1], NULL,
                        "\"run\" needs a command");
    }
}

static void check_env(struct mr__parse *p, const struct mr__yaml_node *node)
{
    if (node->kind != MR__YAML_MAP && !mr__yaml_is_null(node)) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "\"env\" must be a map of names and values");
    }
    for (uint32_t i = 0; node->kind == MR__YAML_MAP && i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        if (key->len == 0 || strchr(key->u.text, '=') != NULL) {
            mr__problem_add(p->problems, "E309", mr__yaml_pos(key), NULL,
                            "\"%.140s\" cannot be the name of an environment variable",
                            key->u.text);
        }
    }
}

static void check_output(struct mr__parse *p, const struct mr__found *found)
{
    static const char *const words[] = {"text", "json", "none"};
    struct mr__template t;
    const struct mr__yaml_node *node = found->value;
    if (node->kind == MR__YAML_SCALAR &&
        mr__template_next(node->u.text, node->u.text + node->len, &t) != MR__TEMPLATE_NONE) {
        return;
    }
    (void)mr__parse_word(p, found, words, MR__COUNT(words), 0);
}

static void read_sh(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found)
{
    const struct mr__yaml_node *env = found[TASK_ENV].key, *output = found[TASK_OUTPUT].key;
    struct params params;
    if (!params_init(p, &params, 1u + (env != NULL) + (output != NULL))) {
        return;
    }
    params_add_run(p, &params, found[TASK_RUN].key);
    if (env != NULL) {
        check_env(p, env + 1);
        if (!mr__yaml_is_null(env + 1)) {
            params_add(p, &params, "env", env, true);
        }
    }
    if (output != NULL) {
        check_output(p, &found[TASK_OUTPUT]);
        if (!mr__yaml_is_null(output + 1)) {
            params_add(p, &params, "output", output, true);
        }
    }
    params_give(&params, task);
}

static void read_wait(struct mr__parse *p, struct mr__dag_task *task,
                      const struct mr__yaml_node *key)
{
    const struct mr__yaml_node *value = key + 1;
    struct params params;
    if (!params_init(p, &params, 1)) {
        return;
    }
    params_add(p, &params, "for", key, true);
    params_give(&params, task);
    int64_t ms;
    bool good =
        value->kind == MR__YAML_SCALAR && ((task->flags & MR__TASK_TEMPLATES) != 0 ||
                                           mr__duration_parse(value->u.text, value->len, &ms));
    if (!good) {
        struct mr__found found = {.key = key, .value = value};
        mr__parse_add_duration_problem(p, &found);
    }
}

static void read_params(struct mr__parse *p, struct mr__dag_task *task,
                        const struct mr__yaml_node *node)
{
    if (mr__yaml_is_null(node)) {
        return;
    }
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL, "\"params\" must be a map");
        return;
    }
    struct params params;
    bool is_sh = task->action != NULL && strcmp(task->action, "sh") == 0;
    if (!params_init(p, &params, node->len)) {
        return;
    }
    for (uint32_t i = 0; i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        if (is_sh && strcmp(key->u.text, "run") == 0) {
            params_add_run(p, &params, key);
            continue;
        }
        char *name = mr__arena_dup(&p->dag->arena, key->u.text, key->len);
        p->no_memory = p->no_memory || name == NULL;
        params_add(p, &params, name, key, true);
    }
    params_give(&params, task);
}

/* Tasks share their actions' names where neighbours have the same one. */
static const char *read_action_name(struct mr__parse *p, struct mr__dag_task *task,
                                    const struct mr__found *found)
{
    task->action_pos = mr__yaml_pos(found->value);
    if (mr__yaml_is_null(found->value)) {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(found->key), NULL,
                        "\"%s\" needs the name of an action", found->key->u.text);
        return NULL;
    }
    const struct mr__yaml_node *node = found->value;
    if (node->kind == MR__YAML_SCALAR && p->last_action != NULL &&
        strcmp(p->last_action, node->u.text) == 0) {
        return p->last_action;
    }
    const char *name = mr__parse_text(p, found);
    if (name == NULL || !mr__parse_check_id(p, name, task->action_pos, "the action's name")) {
        return NULL;
    }
    p->last_action = name;
    return name;
}

/* Which of the keys that name an action is there; of several the first counts, in file order. */
static unsigned choose_action(struct mr__parse *p, const struct mr__found *found)
{
    static const unsigned keys[] = {TASK_ACTION, TASK_ACTION_NAME, TASK_RUN, TASK_WAIT};
    unsigned chosen = TASK_LATER;
    for (size_t i = 0; i < MR__COUNT(keys); i++) {
        const struct mr__yaml_node *key = found[keys[i]].key;
        if (key == NULL) {
            continue;
        }
        if (chosen == TASK_LATER) {
            chosen = keys[i];
            continue;
        }
        const struct mr__yaml_node *other = found[chosen].key;
        bool second = key > other; /* the keys of one map lie in file order */
        mr__problem_add(p->problems, "E304", mr__yaml_pos(second ? key : other), NULL,
                        "a task has one action, this one has \"%s\" and \"%s\"",
                        second ? other->u.text : key->u.text, second ? key->u.text : other->u.text);
    }
    return chosen;
}

/* `env` and `output` are sh's alone. */
static void check_sh_keys(struct mr__parse *p, const struct mr__dag_task *task,
                          const struct mr__found *found)
{
    static const unsigned sh_keys[] = {TASK_ENV, TASK_OUTPUT};
    bool is_sh = task->action != NULL && strcmp(task->action, "sh") == 0;
    for (size_t i = 0; i < MR__COUNT(sh_keys); i++) {
        const struct mr__yaml_node *key = found[sh_keys[i]].key;
        if (key != NULL) {
            mr__problem_add(p->problems, "E305", mr__yaml_pos(key), NULL,
                            "\"%s\" belongs to \"run\", which this task does not have%s",
                            key->u.text, is_sh ? ": put it into \"params\"" : "");
        }
    }
}

/* `later`: the task has a key of a later release, which may be its action. */
static void read_action(struct mr__parse *p, struct mr__dag_task *task,
                        const struct mr__found *found, bool later)
{
    unsigned chosen = choose_action(p, found);
    const struct mr__yaml_node *params = found[TASK_PARAMS].key;
    bool short_form = chosen == TASK_RUN || chosen == TASK_WAIT;
    if (short_form) {
        task->action = chosen == TASK_RUN ? "sh" : "wait";
        task->action_pos = mr__yaml_pos(found[chosen].value);
    } else if (chosen != TASK_LATER) {
        task->action = read_action_name(p, task, &found[chosen]);
    }
    if (params != NULL && short_form) {
        mr__problem_add(p->problems, "E306", mr__yaml_pos(params), NULL,
                        "\"params\" cannot stand beside \"%s\", which has its own",
                        found[chosen].key->u.text);
    } else if (params != NULL && chosen == TASK_LATER && !later) {
        mr__problem_add(p->problems, "E306", mr__yaml_pos(params), NULL,
                        "\"params\" needs an \"action\"");
    }
    if (chosen == TASK_RUN) {
        read_sh(p, task, found);
        return;
    }
    if (chosen == TASK_WAIT) {
        read_wait(p, task, found[TASK_WAIT].key);
    } else if (params != NULL) {
        read_params(p, task, params + 1);
    }
    if (!later) {
        check_sh_keys(p, task, found);
    }
}

/* ---- dependencies -------------------------------------------------------------------------- */

static void add_unknown_task(struct mr__parse *p, const struct tasks *tasks, uint32_t count,
                             const struct mr__yaml_node *node)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, node->u.text, &p->nearest_budget);
    /* Beyond what is kept of a file's problems nobody will read the suggestion. */
    bool shown = p->problems->error_count < MR__DAG_ERRORS_MAX;
    for (uint32_t i = 0; shown && i < count; i++) {
        if (tasks->list[i].id != NULL) {
            mr__nearest_try(&nearest, tasks->list[i].id, i);
        }
    }
    uint32_t before = p->problems->count;
    mr__problem_add(p->problems, "E311", mr__yaml_pos(node), nearest.found,
                    "no task \"%.140s\" in this dag", node->u.text);
    if (nearest.found != NULL) {
        mr__parse_point_to(p, before, tasks->list[nearest.number].pos.line);
    }
}

static void resolve_one(struct mr__parse *p, struct tasks *tasks, uint32_t count, uint32_t task,
                        const struct mr__yaml_node *node)
{
    uint64_t parent;
    if (node->kind != MR__YAML_SCALAR || mr__yaml_is_null(node)) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "\"dependOn\" must be a task's id or a list of them");
        return;
    }
    if (!mr__hash_get(&p->dag->task_by_id, node->u.text, node->len, &parent)) {
        add_unknown_task(p, tasks, count, node);
        return;
    }
    tasks->dependencies[tasks->dependency_count++] = (struct mr__dependency){
        .task = task, .parent = (uint32_t)parent, .pos = mr__yaml_pos(node)};
}

static void resolve_dependencies(struct mr__parse *p, struct tasks *tasks, uint32_t count)
{
    size_t room = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct mr__yaml_node *node = tasks->depend_on[i];
        room += node == NULL ? 0 : node->kind == MR__YAML_LIST ? node->len : 1;
    }
    if (room > UINT32_MAX) {
        p->no_memory = true;
        return;
    }
    tasks->dependencies = mr__parse_alloc_scratch(p, room * sizeof *tasks->dependencies);
    for (uint32_t i = 0; tasks->dependencies != NULL && i < count; i++) {
        const struct mr__yaml_node *node = tasks->depend_on[i];
        if (node == NULL) {
            continue;
        }
        if (node->kind != MR__YAML_LIST) {
            resolve_one(p, tasks, count, i, node);
            continue;
        }
        for (uint32_t j = 0; j < node->len; j++) {
            resolve_one(p, tasks, count, i, &node->u.items[j]);
        }
    }
}
