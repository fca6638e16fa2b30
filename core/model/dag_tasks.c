/* SPDX-License-Identifier: MIT
 *
 * A dag file's tasks: their keys, and what they depend on by id. What a task runs, and whether, how
 * often and for what, is read by the files of parse_task.h; the graph is dag_check.c's. Pure, as
 * parse.c.
 */
#include "core/model/parse_task.h"

#define TIMEOUT_SECONDS_MAX (INT64_C(36525) * 86400) /* 100 years */
#define FASTFLOW_TIMEOUT_MS 30000                    /* --compat fastflow */

static const struct mr__key task_keys[MR__TASK_KEYS] = {
    [MR__TASK_ID] = {.name = "id",
                     .help = "what it is called; unique",
                     .schema = MR__SCHEMA_REF("id")},
    [MR__TASK_NAME] = {.name = "name", .help = "text for people", .schema = MR__SCHEMA_REF("text")},
    [MR__TASK_DESC] = {.name = "desc", .help = "text for people", .schema = MR__SCHEMA_REF("text")},
    [MR__TASK_DEPEND_ON] =
        {.name = "dependOn",
         .help = "an id or a list of ids that must be success or skipped before it begins",
         .schema = "{\"anyOf\":[" MR__SCHEMA_REF(
             "text") ",{\"type\":\"array\",\"items\":" MR__SCHEMA_REF("id") "}]}"},
    [MR__TASK_ACTION] = {.name = "action",
                         .help = "what it does: the name of an action (millrace actions lists "
                                 "them); without any it is a gate",
                         .schema = MR__SCHEMA_REF("id")},
    [MR__TASK_ACTION_NAME] = {.name = "actionName",
                              .help = "fastflow's name of action",
                              .schema = MR__SCHEMA_REF("id")},
    [MR__TASK_PARAMS] = {.name = "params",
                         .help = "the action's params; strings in them are templates",
                         .schema = "{\"type\":[\"object\",\"null\"]}"},
    [MR__TASK_RUN] = {.name = "run",
                      .help =
                          "a shell script, /bin/sh -ec; never templated: pass values through env",
                      .schema = MR__SCHEMA_REF("command")},
    [MR__TASK_ENV] =
        {.name = "env",
         .help = "environment variables of run, over the owner's; the values are templates",
         .schema = MR__SCHEMA_REF("environment")},
    [MR__TASK_OUTPUT] =
        {.name = "output",
         .help = "what becomes of run's stdout: text (default, its last 4 KiB), json or none",
         .schema = "{\"anyOf\":[" MR__SCHEMA_WORDS("\"text\",\"json\",\"none\"") "," MR__SCHEMA_REF(
             "template") "]}"},
    [MR__TASK_WAIT] = {.name = "wait",
                       .help = "succeeds after a while, such as 10s; it survives restarts",
                       .schema = "{\"anyOf\":[" MR__SCHEMA_REF("wait") "," MR__SCHEMA_REF(
                           "template") "]}"},
    [MR__TASK_HTTP] = {.name = "http",
                       .help = "an HTTP request: the params of the action http",
                       .schema = "{\"type\":\"object\"}"},
    [MR__TASK_LUA] = {.name = "lua",
                      .help = "a Lua script, sandboxed; what it returns is the output",
                      .schema = MR__SCHEMA_REF("command")},
    [MR__TASK_TIMEOUT] = {.name = "timeout",
                          .help = "of each attempt, such as 10m",
                          .schema = MR__SCHEMA_REF("duration")},
    [MR__TASK_TIMEOUT_SECS] = {.name = "timeoutSecs",
                               .help = "fastflow's timeout, in seconds",
                               .schema = "{\"type\":[\"integer\",\"null\"],\"minimum\":0}"},
    [MR__TASK_HEARTBEAT] = {.name = "heartbeat",
                            .help = "how long an attempt may give no sign of life, such as 30s: "
                                    "then it is ended as one that timed out",
                            .schema = MR__SCHEMA_REF("duration")},
    [MR__TASK_ON_LOST] = {.name = "onLost",
                          .help = "what follows when the engine stops while an attempt runs: "
                                  "retry, fail, or ask (blocked until continue)",
                          .schema = MR__SCHEMA_WORDS("\"retry\",\"fail\",\"ask\"")},
    [MR__TASK_RETRY] =
        {.name = "retry",
         .help = "further attempts after a failure: how many, or a map with delays and a condition",
         .schema = "{\"anyOf\":[{\"type\":[\"integer\",\"null\"],\"minimum\":0,"
                   "\"maximum\":1000000}," MR__SCHEMA_REF("retry") "]}"},
    [MR__TASK_WHEN] = {.name = "when",
                       .help = "success (default): all before it ended well; always: all have "
                               "ended or cannot begin; failed: likewise, and one failed",
                       .schema = MR__SCHEMA_WORDS("\"success\",\"always\",\"failed\"")},
    [MR__TASK_RUN_IF] = {.name = "runIf",
                         .help = "Lua: unless it is true the task is skipped",
                         .schema = MR__SCHEMA_REF("expression")},
    [MR__TASK_SKIP_IF] = {.name = "skipIf",
                          .help = "Lua: if it is true the task is skipped",
                          .schema = MR__SCHEMA_REF("expression")},
    [MR__TASK_BLOCK_IF] = {.name = "blockIf",
                           .help = "Lua: if it is true the task is blocked until millrace continue",
                           .schema = MR__SCHEMA_REF("expression")},
    [MR__TASK_PRE_CHECK] =
        {.name = "preCheck",
         .help = "fastflow's conditions: checks by name, of which the first that holds acts",
         .schema = MR__SCHEMA_REF("checks")},
    [MR__TASK_PRE_CHECKS] = {.name = "preChecks",
                             .help = "the same as preCheck",
                             .schema = MR__SCHEMA_REF("checks")},
    [MR__TASK_FOR_EACH_KEY] =
        {.name = "forEach",
         .help = "Lua, or one template, that gives a list: one task run for each item, id[key]",
         .schema = MR__SCHEMA_REF("command")},
    [MR__TASK_AS] = {.name = "as",
                     .help = "what the item of forEach is called; default: item",
                     .schema = MR__SCHEMA_REF("text")},
    [MR__TASK_KEY] = {.name = "key",
                      .help = "Lua: the key of an item's task run; default: its index from 0",
                      .schema = MR__SCHEMA_REF("expression")},
    [MR__TASK_MAX_PARALLEL] = {.name = "maxParallel",
                               .help = "how many task runs of forEach may be under way at once",
                               .schema = MR__SCHEMA_REF("count")},
    [MR__TASK_ISOLATION] =
        {.name = "isolation",
         .help = "process: the action's plugin runs in a process of its own; none: it does not",
         .schema = MR__SCHEMA_WORDS("\"none\",\"process\"")},
    [MR__TASK_LIMITS] = {.name = "limits",
                         .help = "what that process may use: {memory, cpu, files}",
                         .schema = MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("limits"))},
};
const struct mr__key_table mr__key_table_task = {
    "task", task_keys, MR__COUNT(task_keys),
    ",\"required\":[\"id\"],\"dependentRequired\":{\"env\":[\"run\"],\"output\":[\"run\"],"
    "\"as\":[\"forEach\"],\"key\":[\"forEach\"],\"maxParallel\":[\"forEach\"]}"
    ",\"allOf\":[" MR__SCHEMA_REF("oneAction") "," MR__SCHEMA_REF("actions") "]"};

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

static int64_t read_timeout(struct mr__parse *p, const struct mr__found *found)
{
    if (found[MR__TASK_TIMEOUT].key != NULL && found[MR__TASK_TIMEOUT_SECS].key != NULL) {
        mr__problem_add(p->problems, "E307", mr__yaml_pos(found[MR__TASK_TIMEOUT_SECS].key), NULL,
                        "a task has \"timeout\" or \"timeoutSecs\", not both");
    }
    int64_t seconds = mr__parse_integer(p, &found[MR__TASK_TIMEOUT_SECS], 0, TIMEOUT_SECONDS_MAX);
    int64_t ms = mr__parse_duration(p, &found[MR__TASK_TIMEOUT], 1);
    return ms != 0 ? ms : seconds * 1000;
}

static void init_task(struct mr__dag_task *task, struct mr__pos pos)
{
    task->pos = pos;
    task->params = (mr_value){.type = MR_MAP};
    task->retry.filter = MR__NO_SCRIPT;
    task->run_if = task->skip_if = task->block_if = MR__NO_SCRIPT;
    task->for_each = task->key = task->lua = MR__NO_SCRIPT;
}

static bool is_wait(const struct mr__dag_task *task)
{
    return task->action != NULL &&
           (strcmp(task->action, "wait") == 0 || strcmp(task->action, "ff-waiting") == 0);
}

/* What has no action, or one that gives no sign of life: a wait is the engine's timer, and http has
 * timeouts of its own. */
static void check_heartbeat(struct mr__parse *p, const struct mr__dag_task *task,
                            const struct mr__found *found)
{
    const char *action = task->action == NULL ? "gate" : is_wait(task) ? "wait" : "request of http";
    if (found->key != NULL &&
        (task->action == NULL || is_wait(task) || strcmp(task->action, "http") == 0)) {
        mr__problem_add(p->problems, "E325", mr__yaml_pos(found->key), NULL,
                        "a %s has no \"heartbeat\"", action);
    }
}

static void read_task(struct mr__parse *p, struct tasks *tasks, uint32_t number,
                      const struct mr__yaml_node *node)
{
    static const char *const when_words[] = {"success", "always", "failed"};
    struct mr__dag_task *task = &tasks->list[number];
    struct mr__found found[MR__TASK_KEYS];
    init_task(task, mr__yaml_pos(node));
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", task->pos, NULL, "a task must be a map");
        return;
    }
    task->id = read_id(p, tasks->list, number, node);
    struct mr__place place = {.what = task->id == NULL ? "a task" : "task", .id = task->id};
    mr__parse_keys(p, node, task_keys, MR__TASK_KEYS, place, found);
    task->name = mr__parse_text(p, &found[MR__TASK_NAME]);
    task->desc = mr__parse_text(p, &found[MR__TASK_DESC]);
    task->timeout_ms = read_timeout(p, found);
    task->heartbeat_ms = mr__parse_duration(p, &found[MR__TASK_HEARTBEAT], 1);
    task->on_lost = (uint8_t)mr__parse_word(p, &found[MR__TASK_ON_LOST], mr__parse_on_lost_words,
                                            MR__COUNT(mr__parse_on_lost_words), p->on_lost);
    task->when = (uint8_t)mr__parse_word(p, &found[MR__TASK_WHEN], when_words,
                                         MR__COUNT(when_words), MR__WHEN_SUCCESS);
    p->dag->has_when = p->dag->has_when || task->when != MR__WHEN_SUCCESS;
    p->item = NULL;
    mr__parse_fan(p, task, found);
    uint32_t errors = p->problems->error_count;
    mr__parse_action(p, task, found);
    if (p->problems->error_count == errors) {
        check_heartbeat(p, task, &found[MR__TASK_HEARTBEAT]);
    }
    mr__parse_task_isolation(p, task, found);
    mr__parse_conditions(p, task, found);
    mr__parse_retry(p, task, found);
    p->item = NULL;
    if (p->dag->compat && task->timeout_ms == 0 && !is_wait(task)) {
        task->timeout_ms = FASTFLOW_TIMEOUT_MS;
    }
    if (found[MR__TASK_DEPEND_ON].value != NULL &&
        !mr__yaml_is_null(found[MR__TASK_DEPEND_ON].value)) {
        tasks->depend_on[number] = found[MR__TASK_DEPEND_ON].value;
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
