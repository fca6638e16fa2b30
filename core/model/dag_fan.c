/* SPDX-License-Identifier: MIT
 *
 * A task of a dag file that is made once for each item of a list: forEach, as, key, maxParallel.
 * Pure, as parse.c.
 */
#include "core/model/lua_names.h"
#include "core/model/parse_task.h"

/* `TABLE["NAME"]`: the Lua for a name that may hold anything. */
static uint32_t add_member_script(struct mr__parse *p, const struct mr__yaml_node *node,
                                  const char *table, const char *name, size_t len)
{
    struct mr__buf lua;
    mr__buf_init(&lua);
    mr__buf_printf(&lua, "%s[\"", table);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            mr__buf_printf(&lua, "\\%03u", c);
        } else {
            mr__buf_u8(&lua, c);
        }
    }
    mr__buf_text(&lua, "\"]");
    const char *text =
        lua.failed ? NULL : mr__arena_dup(&p->dag->arena, (const char *)lua.data, lua.len);
    size_t text_len = lua.len;
    mr__buf_finish(&lua);
    if (text == NULL) {
        p->no_memory = true;
        return MR__NO_SCRIPT;
    }
    struct mr__script_place place = {.node = node};
    return mr__parse_add_script(p, place, text_len, MR__SCRIPT_EXPRESSION, text);
}

/* The list of one whole template: a variable, a key of the share data, or Lua. */
static uint32_t add_template_script(struct mr__parse *p, const struct mr__yaml_node *node,
                                    const struct mr__template *t)
{
    const char *name = t->body;
    size_t len = t->body_len;
    uint64_t var;
    if (mr__parse_go_share(t, &name, &len)) {
        return add_member_script(p, node, "share", name, len);
    }
    bool go_var = mr__parse_go_var(t, &name, &len);
    if (mr__hash_get(&p->var_by_name, name, len, &var)) {
        return add_member_script(p, node, "vars", name, len);
    }
    if (go_var || mr__parse_is_var_name(p, name, len)) {
        mr__parse_add_unknown_var(p, mr__parse_pos(p, node, t->begin, t->end), name, len);
        return MR__NO_SCRIPT;
    }
    struct mr__script_place place = {.node = node, .begin = t->body};
    return mr__parse_add_script(p, place, t->body_len, MR__SCRIPT_EXPRESSION, NULL);
}

static uint32_t read_list(struct mr__parse *p, const struct mr__found *found)
{
    const struct mr__yaml_node *node = found->value;
    struct mr__template t;
    if (node->kind == MR__YAML_SCALAR) {
        const char *at = node->u.text, *end = at + node->len;
        at += strspn(at, " \t\r\n");
        while (end > at && strchr(" \t\r\n", end[-1]) != NULL) {
            end--;
        }
        if (mr__template_next(at, end, &t) == MR__TEMPLATE_FOUND && t.begin == at && t.end == end &&
            t.body_len > 0) {
            return add_template_script(p, node, &t);
        }
    }
    return mr__parse_script(p, found, MR__SCRIPT_EXPRESSION, NULL);
}

static const char *read_as(struct mr__parse *p, const struct mr__found *found)
{
    const char *as = mr__parse_text(p, found);
    if (as == NULL) {
        return "item";
    }
    size_t len = strlen(as);
    if (mr__lua_is_name(as, len) && len <= MR__ID_BYTES_MAX &&
        mr__lua_global_find(as, len) == NULL) {
        return as;
    }
    mr__problem_add(p->problems, "E322", mr__yaml_pos(found->value), NULL,
                    "\"%.140s\" cannot be what an item is called: letters, digits and _, and no "
                    "word that Lua knows",
                    as);
    return "item";
}

void mr__parse_fan(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found)
{
    static const unsigned others[] = {MR__TASK_AS, MR__TASK_KEY, MR__TASK_MAX_PARALLEL};
    const struct mr__found *list = &found[MR__TASK_FOR_EACH_KEY];
    if (list->key == NULL) {
        for (size_t i = 0; i < MR__COUNT(others); i++) {
            const struct mr__yaml_node *key = found[others[i]].key;
            if (key != NULL) {
                mr__problem_add(p->problems, "E321", mr__yaml_pos(key), NULL,
                                "\"%s\" needs \"forEach\"", key->u.text);
            }
        }
        return;
    }
    task->as = read_as(p, &found[MR__TASK_AS]);
    p->item = task->as;
    if (mr__yaml_is_null(list->value)) {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(list->key), NULL,
                        "\"forEach\" needs a Lua expression");
    } else {
        task->for_each = read_list(p, list);
    }
    task->key = mr__parse_script(p, &found[MR__TASK_KEY], MR__SCRIPT_EXPRESSION, task->as);
    task->max_parallel =
        (uint32_t)mr__parse_integer(p, &found[MR__TASK_MAX_PARALLEL], 1, MR__DAG_TASKS_MAX);
    task->flags |= MR__TASK_FOR_EACH;
}
