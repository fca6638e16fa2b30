/* SPDX-License-Identifier: MIT
 *
 * What a task of a dag file runs: its action and params, and the short forms run, wait, http and
 * lua, which stand for both. Pure, as parse.c.
 */
#include "core/base/clock.h"
#include "core/model/parse_task.h"
#include "core/model/programs.h"

#define NO_ACTION MR__TASK_KEYS

static bool is_action(const struct mr__dag_task *task, const char *name)
{
    return task->action != NULL && strcmp(task->action, name) == 0;
}

/* The params of a task, member by member; `members` must have room for them. */
struct params {
    mr_member *members;
    struct mr__pos *pos;
    uint32_t len;
    uint32_t first_template;
};

static bool params_init(struct mr__parse *p, struct params *params, uint32_t room)
{
    *params = (struct params){.members = mr__parse_alloc(p, room * sizeof *params->members),
                              .pos = mr__parse_alloc(p, room * sizeof *params->pos),
                              .first_template = p->template_count};
    return params->members != NULL && params->pos != NULL;
}

static void params_add(struct mr__parse *p, struct params *params, const char *key,
                       const struct mr__yaml_node *key_node)
{
    params->members[params->len].key = key;
    params->members[params->len].value = mr__parse_value(p, key_node + 1, true);
    params->pos[params->len++] = mr__yaml_pos(key_node);
}

static void params_give(struct mr__parse *p, const struct params *params, struct mr__dag_task *task)
{
    task->params = (mr_value){.type = MR_MAP, .len = params->len, .u.map = params->members};
    task->param_pos = params->pos;
    task->first_template = params->first_template;
    task->template_count = p->template_count - params->first_template;
    if (task->template_count > 0) {
        task->flags |= MR__TASK_TEMPLATES;
    }
}

/* The text of a program; a scalar that is none, such as `run: true`, is meant as it is written. */
static void params_add_program(struct mr__parse *p, struct params *params,
                               const struct mr__yaml_node *key, const struct mr__program *program)
{
    struct mr__found found = {.key = key, .value = key + 1};
    params->members[params->len].key = program->param;
    params->pos[params->len] = mr__yaml_pos(key);
    const char *text = mr__parse_text(p, &found);
    if (text != NULL) {
        params->members[params->len].value = mr__value_str(text, found.value->len);
        mr__parse_check_program(p, found.value, program->param, program->through);
    }
    params->len++;
    if (text == NULL ? mr__yaml_is_null(found.value) : text[strspn(text, " \t\r\n")] == '\0') {
        mr__problem_add(p->problems, "E308", params->pos[params->len - 1], NULL, "\"%s\" needs %s",
                        program->param, program->needs);
    }
}

/* The Lua of a task, which is no template; `lua: true` too is meant as it is written. */
static void params_add_lua(struct mr__parse *p, struct params *params, struct mr__dag_task *task,
                           const struct mr__yaml_node *key)
{
    struct mr__found found = {.key = key, .value = key + 1};
    params->members[params->len].key = "lua";
    params->pos[params->len] = mr__yaml_pos(key);
    const char *text = mr__parse_text(p, &found);
    if (text == NULL ? mr__yaml_is_null(found.value) : text[strspn(text, " \t\r\n")] == '\0') {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(key), NULL, "\"lua\" needs a script");
    } else if (text != NULL) {
        struct mr__script_place place = {
            .node = found.value, .begin = found.value->u.text, .item = p->item};
        task->lua = mr__parse_add_script(p, place, found.value->len, MR__SCRIPT_CHUNK, text);
        params->members[params->len].value = mr__value_str(text, found.value->len);
    }
    params->len++;
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
    const struct mr__yaml_node *env = found[MR__TASK_ENV].key, *output = found[MR__TASK_OUTPUT].key;
    struct params params;
    if (!params_init(p, &params, 1u + (env != NULL) + (output != NULL))) {
        return;
    }
    params_add_program(p, &params, found[MR__TASK_RUN].key, mr__program_of(task->action));
    if (env != NULL) {
        check_env(p, env + 1);
        if (!mr__yaml_is_null(env + 1)) {
            params_add(p, &params, "env", env);
        }
    }
    if (output != NULL) {
        check_output(p, &found[MR__TASK_OUTPUT]);
        if (!mr__yaml_is_null(output + 1)) {
            params_add(p, &params, "output", output);
        }
    }
    params_give(p, &params, task);
}

static void read_wait(struct mr__parse *p, struct mr__dag_task *task,
                      const struct mr__yaml_node *key)
{
    const struct mr__yaml_node *value = key + 1;
    struct params params;
    if (!params_init(p, &params, 1)) {
        return;
    }
    params_add(p, &params, "for", key);
    params_give(p, &params, task);
    int64_t ms;
    bool good =
        value->kind == MR__YAML_SCALAR && ((task->flags & MR__TASK_TEMPLATES) != 0 ||
                                           mr__duration_parse(value->u.text, value->len, &ms));
    if (!good) {
        struct mr__found found = {.key = key, .value = value};
        mr__parse_add_duration_problem(p, &found, 0);
    }
}

static void read_lua(struct mr__parse *p, struct mr__dag_task *task,
                     const struct mr__yaml_node *key)
{
    struct params params;
    if (params_init(p, &params, 1)) {
        params_add_lua(p, &params, task, key);
        params_give(p, &params, task);
    }
}

/* A map of params; `key` is what it stands under. */
static void read_params(struct mr__parse *p, struct mr__dag_task *task,
                        const struct mr__yaml_node *key)
{
    const struct mr__yaml_node *node = key + 1;
    if (mr__yaml_is_null(node)) {
        return;
    }
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL, "\"%s\" must be a map",
                        key->u.text);
        return;
    }
    struct params params;
    const struct mr__program *program = mr__program_of(task->action);
    if (!params_init(p, &params, node->len)) {
        return;
    }
    for (uint32_t i = 0; i < node->len; i++) {
        const struct mr__yaml_node *param = &node->u.items[2 * i];
        if (program != NULL && strcmp(param->u.text, program->param) == 0) {
            if (program->through == NULL) {
                params_add_lua(p, &params, task, param);
            } else {
                params_add_program(p, &params, param, program);
            }
            continue;
        }
        char *name = mr__arena_dup(&p->dag->arena, param->u.text, param->len);
        p->no_memory = p->no_memory || name == NULL;
        params_add(p, &params, name, param);
    }
    params_give(p, &params, task);
}

static void read_http(struct mr__parse *p, struct mr__dag_task *task,
                      const struct mr__yaml_node *key)
{
    if (mr__yaml_is_null(key + 1)) {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(key), NULL,
                        "\"http\" needs params, such as {url: ...}");
        return;
    }
    read_params(p, task, key);
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
    static const unsigned keys[] = {MR__TASK_ACTION, MR__TASK_ACTION_NAME, MR__TASK_RUN,
                                    MR__TASK_WAIT,   MR__TASK_HTTP,        MR__TASK_LUA};
    unsigned chosen = NO_ACTION;
    for (size_t i = 0; i < MR__COUNT(keys); i++) {
        const struct mr__yaml_node *key = found[keys[i]].key;
        if (key == NULL) {
            continue;
        }
        if (chosen == NO_ACTION) {
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
    static const unsigned sh_keys[] = {MR__TASK_ENV, MR__TASK_OUTPUT};
    bool is_sh = is_action(task, "sh");
    for (size_t i = 0; i < MR__COUNT(sh_keys); i++) {
        const struct mr__yaml_node *key = found[sh_keys[i]].key;
        if (key != NULL) {
            mr__problem_add(p->problems, "E305", mr__yaml_pos(key), NULL,
                            "\"%s\" belongs to \"run\", which this task does not have%s",
                            key->u.text, is_sh ? ": put it into \"params\"" : "");
        }
    }
}

/* The action that a short form stands for, or NULL. */
static const char *short_form_action(unsigned key)
{
    switch (key) {
    case MR__TASK_RUN: return "sh";
    case MR__TASK_WAIT: return "wait";
    case MR__TASK_HTTP: return "http";
    case MR__TASK_LUA: return "lua";
    default: return NULL;
    }
}

static void check_params_key(struct mr__parse *p, const struct mr__found *found, unsigned chosen)
{
    const struct mr__yaml_node *params = found[MR__TASK_PARAMS].key;
    if (params != NULL && chosen == NO_ACTION) {
        mr__problem_add(p->problems, "E306", mr__yaml_pos(params), NULL,
                        "\"params\" needs an \"action\"");
    } else if (params != NULL && short_form_action(chosen) != NULL) {
        mr__problem_add(p->problems, "E306", mr__yaml_pos(params), NULL,
                        "\"params\" cannot stand beside \"%s\", which has its own",
                        found[chosen].key->u.text);
    }
}

void mr__parse_action(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found)
{
    unsigned chosen = choose_action(p, found);
    const struct mr__yaml_node *params = found[MR__TASK_PARAMS].key;
    task->action = short_form_action(chosen);
    if (task->action != NULL) {
        task->action_pos = mr__yaml_pos(found[chosen].value);
    } else if (chosen != NO_ACTION) {
        task->action = read_action_name(p, task, &found[chosen]);
    }
    check_params_key(p, found, chosen);
    switch (chosen) {
    case MR__TASK_RUN: read_sh(p, task, found); return;
    case MR__TASK_WAIT: read_wait(p, task, found[chosen].key); break;
    case MR__TASK_LUA: read_lua(p, task, found[chosen].key); break;
    case MR__TASK_HTTP: read_http(p, task, found[chosen].key); break;
    default:
        if (params != NULL) {
            read_params(p, task, params);
        }
    }
    check_sh_keys(p, task, found);
}
