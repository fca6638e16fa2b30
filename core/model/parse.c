/* SPDX-License-Identifier: MIT
 *
 * A dag file's own keys: id, vars, tags, and so on; the tasks are dag_tasks.c's, hooks and schedule
 * dag_hooks.c's. Pure: text in, a
 * dag or a list of problems out.
 *
 * The node tree and all else that only the parse needs lies in a scratch arena and is gone when
 * mr__dag_parse returns.
 */
#include "core/model/parse.h"

#include <stdlib.h>

#define PARSE_FORMAT \
    1u /* a part of every version: raise it when a text comes to mean another dag */
#define PARSE_COMPAT 0x80000000u /* the same text with --compat fastflow is another version */

enum { /* of keys that are equally near to a wrong one the first is suggested */
       DAG_TASKS,
       DAG_ID,
       DAG_NAME,
       DAG_DESC,
       DAG_STATUS,
       DAG_VARS,
       DAG_TAGS,
       DAG_TIMEOUT,
       DAG_MAX_PARALLEL,
       DAG_ON_LOST,
       DAG_ISOLATION,
       DAG_LIMITS,
       DAG_SCHEDULE,
       DAG_CRON,
       DAG_HOOKS
};
static const struct mr__key dag_keys[] = {
    [DAG_TASKS] = {.name = "tasks",
                   .help = "the tasks, in any order: what depends on what says dependOn",
                   .schema =
                       "{\"type\":\"array\",\"minItems\":1,\"items\":" MR__SCHEMA_REF("task") "}"},
    [DAG_ID] = {.name = "id",
                .help = "what the dag is called; default: the file's name without its ending",
                .schema = MR__SCHEMA_REF("idOrNull")},
    [DAG_NAME] = {.name = "name", .help = "text for people", .schema = MR__SCHEMA_REF("text")},
    [DAG_DESC] = {.name = "desc", .help = "text for people", .schema = MR__SCHEMA_REF("text")},
    [DAG_STATUS] = {.name = "status",
                    .help = "normal (default), or stopped: no run of it may begin",
                    .schema = MR__SCHEMA_WORDS("\"normal\",\"stopped\"")},
    [DAG_VARS] = {.name = "vars",
                  .help = "variables that a run may be given: -v NAME=VALUE",
                  .schema = MR__SCHEMA_REF("variables")},
    [DAG_TAGS] = {.name = "tags",
                  .help = "text that goes with each run: millrace runs --tag KEY=VALUE",
                  .schema = MR__SCHEMA_REF("tags")},
    [DAG_TIMEOUT] =
        {.name = "timeout",
         .help = "of the whole run, such as 2h; then it is failed, and what runs is canceled",
         .schema = MR__SCHEMA_REF("duration")},
    [DAG_MAX_PARALLEL] = {.name = "maxParallel",
                          .help = "how many tasks of the run may be under way at once, waits too",
                          .schema = MR__SCHEMA_REF("count")},
    [DAG_ON_LOST] = {.name = "onLost",
                     .help = "what follows when the engine stops while an attempt runs: retry, "
                             "fail, or ask (blocked until continue); the default of the tasks",
                     .schema = MR__SCHEMA_WORDS("\"retry\",\"fail\",\"ask\"")},
    [DAG_ISOLATION] = {.name = "isolation",
                       .help = "process: the plugins of its tasks run in processes of their own; "
                               "the default of the tasks",
                       .schema = MR__SCHEMA_WORDS("\"none\",\"process\"")},
    [DAG_LIMITS] =
        {.name = "limits",
         .help = "what those processes may use: {memory, cpu, files}; the default of the tasks",
         .schema = MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("limits"))},
    [DAG_SCHEDULE] = {.name = "schedule",
                      .help = "when runs begin by themselves, while millrace serve runs",
                      .schema = MR__SCHEMA_OR_NULL(MR__SCHEMA_REF("schedule"))},
    [DAG_CRON] = {.name = "cron",
                  .help = "short for schedule: {cron: ...}",
                  .schema = MR__SCHEMA_REF("text")},
    [DAG_HOOKS] = {.name = "hooks",
                   .help = "Lua at the turns of a run",
                   .schema = MR__SCHEMA_REF("hooks")},
};
const struct mr__key_table mr__key_table_dag = {
    "dag", dag_keys, MR__COUNT(dag_keys),
    ",\"required\":[\"tasks\"],\"patternProperties\":{\"^x-\":true}"
    ",\"not\":{\"required\":[\"cron\",\"schedule\"]}"};

enum { VAR_DESC, VAR_DEFAULT, VAR_TYPE, VAR_REQUIRED, VAR_ENUM };
static const struct mr__key var_keys[] = {
    [VAR_DESC] = {.name = "desc", .help = "text for people", .schema = MR__SCHEMA_REF("text")},
    [VAR_DEFAULT] = {.name = "defaultValue",
                     .help = "of the type; without it the value is \"\" (string) or null",
                     .schema = "true"},
    [VAR_TYPE] = {.name = "type",
                  .help = "string (default), int, number, bool, list or map",
                  .schema =
                      MR__SCHEMA_WORDS("\"string\",\"int\",\"number\",\"bool\",\"list\",\"map\"")},
    [VAR_REQUIRED] = {.name = "required",
                      .help = "true: a run must give a value",
                      .schema = "{\"type\":[\"boolean\",\"null\"]}"},
    [VAR_ENUM] = {.name = "enum",
                  .help = "the values that are allowed",
                  .schema = "{\"type\":\"array\",\"minItems\":1}"},
};

const struct mr__key_table mr__key_table_variable = {"variable", var_keys, MR__COUNT(var_keys), ""};

const char *const mr__parse_on_lost_words[4] = {NULL, "retry", "fail", "ask"};

static void read_file(struct mr__parse *p, const struct mr__yaml_node *root,
                      const struct mr__parse_options *options);
static void read_id(struct mr__parse *p, const struct mr__found *found,
                    const struct mr__parse_options *options);
static void read_vars(struct mr__parse *p, const struct mr__found *found);
static void read_tags(struct mr__parse *p, const struct mr__found *found);
static void keep_templates(struct mr__parse *p);
static mr_status finish_dag(struct mr__dag *dag, const char *text, size_t len);

mr_status mr__dag_parse(const char *text, size_t len, const struct mr__parse_options *options,
                        struct mr__problems *problems, struct mr__dag **ret_dag)
{
    static const struct mr__parse_options none;
    options = options == NULL ? &none : options;
    if (options->ret_broken != NULL) {
        *options->ret_broken = NULL;
    }
    struct mr__dag *dag = mr__calloc(1, sizeof *dag);
    if (dag == NULL) {
        return MR_ENOMEM;
    }
    dag->refs = 1;
    dag->compat = options->compat;
    mr__arena_init(&dag->arena);
    mr__hash_init(&dag->task_by_id);
    struct mr__parse p = {.dag = dag,
                          .problems = problems,
                          .text = text,
                          .text_len = len,
                          .nearest_budget = MR__NEAREST_BUDGET};
    mr__arena_init(&p.scratch);
    mr__hash_init(&p.var_by_name);
    uint32_t errors_before = problems->error_count;

    struct mr__yaml_node root;
    mr_status status = mr__yaml_read(text, len, &p.scratch, problems, &root);
    if (status == MR_OK) {
        read_file(&p, &root, options);
        status = p.no_memory                             ? MR_ENOMEM
                 : problems->error_count > errors_before ? MR_EDEFINITION
                                                         : finish_dag(dag, text, len);
    }
    if (problems->failed) {
        status = MR_ENOMEM;
    }
    mr__free(p.scripts);
    mr__free(p.places);
    mr__free(p.templates);
    mr__hash_finish(&p.var_by_name);
    mr__arena_finish(&p.scratch);
    mr__problems_sort(problems);
    bool wants_broken = options->ret_broken != NULL;
    if (status == MR_OK) {
        *ret_dag = dag;
    } else if (status == MR_EDEFINITION && wants_broken) {
        dag->text = mr__arena_dup(&dag->arena, text, len);
        dag->text_len = dag->text == NULL ? 0 : len;
        *options->ret_broken = dag;
    } else {
        mr__dag_unref(dag);
    }
    return status;
}

/* Keeps the text and names the version: what can change the meaning of a dag is in its hash. */
static mr_status finish_dag(struct mr__dag *dag, const char *text, size_t len)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_u32le(&buf, PARSE_FORMAT | (dag->compat ? PARSE_COMPAT : 0));
    mr__buf_blob(&buf, dag->id, strlen(dag->id));
    mr__buf_bytes(&buf, text, len);
    bool failed = buf.failed;
    if (!failed) {
        mr__hash128(buf.data, buf.len, dag->version);
        dag->text = mr__arena_dup(&dag->arena, text, len);
        dag->text_len = len;
        failed = dag->text == NULL;
    }
    mr__buf_finish(&buf);
    return failed ? MR_ENOMEM : MR_OK;
}

static void read_file(struct mr__parse *p, const struct mr__yaml_node *root,
                      const struct mr__parse_options *options)
{
    static const char *const statuses[] = {"normal", "stopped"};
    struct mr__dag *dag = p->dag;
    if (mr__yaml_is_null(root)) {
        mr__problem_add(p->problems, "E001", mr__yaml_pos(root), NULL, "the file is empty");
        return;
    }
    if (root->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(root), NULL,
                        "a dag file must be a map with the key \"tasks\"");
        return;
    }
    /* `x-` keys are the user's own, for anchors and for other programs. */
    struct mr__yaml_node map = *root;
    struct mr__yaml_node *items = mr__parse_alloc_scratch(p, (size_t)root->len * 2 * sizeof *items);
    if (items == NULL) {
        return;
    }
    map.u.items = items;
    map.len = 0;
    for (uint32_t i = 0; i < root->len; i++) {
        const struct mr__yaml_node *key = &root->u.items[2 * i];
        if (strncmp(key->u.text, "x-", 2) != 0) {
            memcpy(&items[2 * map.len++], key, 2 * sizeof *key);
        }
    }
    struct mr__found found[MR__COUNT(dag_keys)];
    mr__parse_keys(p, &map, dag_keys, MR__COUNT(dag_keys), (struct mr__place){.what = "the dag"},
                   found);
    read_id(p, &found[DAG_ID], options);
    dag->name = mr__parse_text(p, &found[DAG_NAME]);
    dag->desc = mr__parse_text(p, &found[DAG_DESC]);
    dag->stopped = mr__parse_word(p, &found[DAG_STATUS], statuses, MR__COUNT(statuses), 0) == 1;
    dag->timeout_ms = mr__parse_duration(p, &found[DAG_TIMEOUT], 1);
    dag->max_parallel =
        (uint32_t)mr__parse_integer(p, &found[DAG_MAX_PARALLEL], 1, MR__DAG_TASKS_MAX);
    p->on_lost = (uint8_t)mr__parse_word(p, &found[DAG_ON_LOST], mr__parse_on_lost_words,
                                         MR__COUNT(mr__parse_on_lost_words), MR__ON_LOST_DEFAULT);
    dag->isolation = mr__parse_isolation(p, NULL, &found[DAG_ISOLATION], &found[DAG_LIMITS]);
    read_vars(p, &found[DAG_VARS]);
    read_tags(p, &found[DAG_TAGS]);
    mr__parse_schedule(p, &found[DAG_CRON], &found[DAG_SCHEDULE]);
    mr__parse_tasks(p, &found[DAG_TASKS]);
    mr__parse_hooks(p, &found[DAG_HOOKS]);
    mr__parse_finish_scripts(p);
    keep_templates(p);
}

static void keep_templates(struct mr__parse *p)
{
    if (p->template_count == 0) {
        return;
    }
    struct mr__dag_template *list = mr__parse_alloc(p, p->template_count * sizeof *list);
    if (list != NULL) {
        memcpy(list, p->templates, p->template_count * sizeof *list);
        p->dag->templates = list;
        p->dag->template_count = p->template_count;
    }
}

/* The file's name without folders and ending; standard input has a name of its own. */
static const char *id_of_file(struct mr__parse *p, const char *file)
{
    if (file == NULL || strcmp(file, "-") == 0) {
        return "stdin";
    }
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    const char *dot = strrchr(name, '.');
    size_t len = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    char *id = mr__arena_dup(&p->dag->arena, name, len);
    p->no_memory = p->no_memory || id == NULL;
    return id;
}

static const char *keep(struct mr__parse *p, const char *text)
{
    const char *copy = mr__arena_dup(&p->dag->arena, text, strlen(text));
    p->no_memory = p->no_memory || copy == NULL;
    return copy;
}

static void read_id(struct mr__parse *p, const struct mr__found *found,
                    const struct mr__parse_options *options)
{
    struct mr__pos top = {.line = 1, .column = 1};
    const char *file = options->file;
    p->dag->file = keep(p, file == NULL ? "-" : file);
    p->dag->id = mr__parse_text(p, found);
    if (p->dag->id != NULL) {
        (void)mr__parse_check_id(p, p->dag->id, mr__yaml_pos(found->value), "the dag id");
        return;
    }
    if (options->default_id != NULL) {
        p->dag->id = keep(p, options->default_id);
    } else {
        p->dag->id = id_of_file(p, file);
    }
    if (p->dag->id != NULL && !mr__id_valid(p->dag->id, strlen(p->dag->id))) {
        mr__problem_add(p->problems, "E109", top, NULL,
                        "the file's name \"%.140s\" cannot be the dag's id: give it one with "
                        "\"id\"",
                        p->dag->id);
    }
}

/* ---- variables ----------------------------------------------------------------------------- */

static bool check_var_name(struct mr__parse *p, const struct mr__yaml_node *key)
{
    if (mr__id_valid(key->u.text, key->len) && strpbrk(key->u.text, "{}='\"") == NULL) {
        return true;
    }
    mr__problem_add(p->problems, "E501", mr__yaml_pos(key), NULL,
                    "\"%.140s\" cannot be a variable's name: 1 to %u bytes without blanks, quotes, "
                    "control characters or any of [ ] { } / , =",
                    key->u.text, MR__ID_BYTES_MAX);
    return false;
}

static uint32_t read_var_type(struct mr__parse *p, const struct mr__found *found)
{
    static const char *const names[] = {"string", "int", "number", "bool", "list", "map"};
    static const uint32_t types[] = {MR_STRING, MR_INT, MR_NUMBER, MR_BOOL, MR_LIST, MR_MAP};
    return types[mr__parse_word(p, found, names, MR__COUNT(names), 0)];
}

/* A value of the file as one of the variable's type; false, and a problem, if it is none. */
static bool read_typed(struct mr__parse *p, const struct mr__yaml_node *node,
                       const struct mr__var *var, mr_value *ret_value)
{
    mr_value value;
    uint32_t errors_before = p->problems->error_count;
    if (node->kind == MR__YAML_SCALAR && var->type == MR_STRING) {
        value = mr__value_str(node->u.text, node->len); /* as it is written: 1.10 stays 1.10 */
    } else {
        value = mr__parse_value(p, node, false);
    }
    if (p->problems->error_count > errors_before || p->no_memory) {
        return false;
    }
    if (mr__var_coerce(&p->dag->arena, &value, var->type, ret_value)) {
        return true;
    }
    mr__problem_add(p->problems, "E502", mr__yaml_pos(node), NULL,
                    "this is no value of type %s, which variable \"%s\" has",
                    mr__value_type_name(var->type), var->name);
    return false;
}

static void read_enum(struct mr__parse *p, const struct mr__found *found, struct mr__var *var)
{
    const struct mr__yaml_node *node = found->value;
    if (node == NULL) {
        return;
    }
    if (node->kind != MR__YAML_LIST || node->len == 0) {
        mr__problem_add(p->problems, "E503", mr__yaml_pos(node), NULL,
                        "\"enum\" must be a list with at least one value");
        return;
    }
    mr_value *list = mr__parse_alloc(p, node->len * sizeof *list);
    bool good = list != NULL;
    for (uint32_t i = 0; list != NULL && i < node->len; i++) {
        good = read_typed(p, &node->u.items[i], var, &list[i]) && good;
    }
    if (good) {
        var->allowed = (mr_value){.type = MR_LIST, .len = node->len, .u.list = list};
    }
}

static void read_required(struct mr__parse *p, const struct mr__found *found, struct mr__var *var)
{
    mr_value value = mr__value_null();
    if (found->value == NULL) {
        return;
    }
    if (found->value->kind != MR__YAML_SCALAR || mr__yaml_scalar(found->value, &value) != NULL ||
        (value.type != MR_BOOL && value.type != MR_NULL)) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(found->value), NULL,
                        "\"required\" must be true or false");
        return;
    }
    var->required = value.type == MR_BOOL && value.u.i != 0;
}

static void read_var(struct mr__parse *p, const struct mr__yaml_node *key, struct mr__var *var)
{
    const struct mr__yaml_node *value = key + 1;
    struct mr__found found[MR__COUNT(var_keys)] = {{NULL, NULL}};
    var->name = keep(p, key->u.text);
    var->pos = mr__yaml_pos(key);
    var->type = MR_STRING;
    var->default_value = mr__value_str("", 0);
    if (value->kind == MR__YAML_MAP) {
        mr__parse_keys(p, value, var_keys, MR__COUNT(var_keys),
                       (struct mr__place){.what = "variable", .id = key->u.text}, found);
    } else if (!mr__yaml_is_null(value)) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(value), NULL,
                        "variable \"%.140s\" must be a map, such as {defaultValue: ...}",
                        key->u.text);
        return;
    }
    var->desc = mr__parse_text(p, &found[VAR_DESC]);
    var->type = read_var_type(p, &found[VAR_TYPE]);
    if (var->type != MR_STRING) {
        var->default_value = mr__value_null();
    }
    read_required(p, &found[VAR_REQUIRED], var);
    read_enum(p, &found[VAR_ENUM], var);
    const struct mr__yaml_node *given = found[VAR_DEFAULT].value;
    if (given == NULL || mr__yaml_is_null(given) ||
        !read_typed(p, given, var, &var->default_value)) {
        return;
    }
    var->has_default = true;
    if (!mr__var_allows(var, &var->default_value)) {
        mr__problem_add(p->problems, "E504", mr__yaml_pos(given), NULL,
                        "the default of variable \"%s\" is not one of its \"enum\"", var->name);
    }
}

static void read_vars(struct mr__parse *p, const struct mr__found *found)
{
    const struct mr__yaml_node *node = found->value;
    if (node == NULL || mr__yaml_is_null(node)) {
        return;
    }
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "\"vars\" must be a map of variables");
        return;
    }
    struct mr__var *vars = mr__parse_alloc(p, node->len * sizeof *vars);
    uint32_t count = 0;
    for (uint32_t i = 0; vars != NULL && i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        if (!check_var_name(p, key)) {
            continue;
        }
        read_var(p, key, &vars[count]);
        if (vars[count].name == NULL ||
            mr__hash_put(&p->var_by_name, vars[count].name, key->len, count) != MR_OK) {
            p->no_memory = true;
            return;
        }
        count++;
    }
    p->dag->vars = vars;
    p->dag->var_count = count;
}

/* ---- tags ---------------------------------------------------------------------------------- */

static void read_tags(struct mr__parse *p, const struct mr__found *found)
{
    const struct mr__yaml_node *node = found->value;
    p->dag->tags = (mr_value){.type = MR_MAP};
    if (node == NULL || mr__yaml_is_null(node)) {
        return;
    }
    if (node->kind != MR__YAML_MAP) {
        mr__problem_add(p->problems, "E104", mr__yaml_pos(node), NULL,
                        "\"tags\" must be a map of text");
        return;
    }
    mr_member *tags = mr__parse_alloc(p, node->len * sizeof *tags);
    size_t bytes = 0;
    for (uint32_t i = 0; tags != NULL && i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i], *value = key + 1;
        if (key->len == 0 || strchr(key->u.text, '=') != NULL) {
            mr__problem_add(p->problems, "E505", mr__yaml_pos(key), NULL,
                            "a tag's name is not empty and has no '='");
        }
        if (value->kind != MR__YAML_SCALAR || mr__yaml_is_null(value)) {
            mr__problem_add(p->problems, "E104", mr__yaml_pos(value), NULL,
                            "tag \"%.140s\" must be text", key->u.text);
            continue;
        }
        tags[i].key = keep(p, key->u.text);
        const char *text = keep(p, value->u.text);
        tags[i].value = text == NULL ? mr__value_null() : mr__value_str(text, value->len);
        bytes += key->len + value->len;
    }
    if (bytes > MR__TAGS_BYTES_MAX) {
        mr__problem_add(p->problems, "E505", mr__yaml_pos(node), NULL,
                        "the tags have %zu bytes; at most %u are allowed", bytes,
                        MR__TAGS_BYTES_MAX);
    }
    p->dag->tags = (mr_value){.type = MR_MAP, .len = node->len, .u.map = tags};
}
