/* SPDX-License-Identifier: MIT
 *
 * The Lua of a dag file: each piece is numbered as it is met; once all ids are known its names are
 * checked and the tasks that it names are written down. Pure. Whether it is Lua at all is the
 * compiler's to say (lua/), which has the positions from here.
 */
#include <stdio.h>

#include "core/model/lua_names.h"
#include "core/model/parse.h"

static uint32_t keep_script(struct mr__parse *p, const struct mr__script *script,
                            const struct mr__script_place *place)
{
    struct mr__script *scripts =
        mr__parse_grow(p, p->scripts, p->script_count, &p->script_cap, sizeof *scripts);
    p->scripts = scripts == NULL ? p->scripts : scripts;
    struct mr__script_place *places =
        mr__parse_grow(p, p->places, p->script_count, &p->place_cap, sizeof *places);
    p->places = places == NULL ? p->places : places;
    if (scripts == NULL || places == NULL) {
        return MR__NO_SCRIPT;
    }
    scripts[p->script_count] = *script;
    places[p->script_count] = *place;
    return p->script_count++;
}

uint32_t mr__parse_add_script(struct mr__parse *p, struct mr__script_place place, size_t len,
                              enum mr__script_kind kind, const char *text)
{
    struct mr__pos pos = mr__yaml_pos(place.node);
    if (place.begin != NULL) {
        pos = mr__parse_pos(p, place.node, place.begin, place.begin + len);
    }
    if (len > MR__SCRIPT_BYTES_MAX) {
        mr__problem_add(p->problems, "E604", pos, NULL,
                        "this Lua has %zu bytes; at most %u KiB are allowed", len,
                        MR__SCRIPT_BYTES_MAX >> 10);
        return MR__NO_SCRIPT;
    }
    if (text == NULL) {
        text = mr__arena_dup(&p->dag->arena, place.begin, len);
        p->no_memory = p->no_memory || text == NULL;
    }
    struct mr__script script = {.text = text,
                                .len = len,
                                .pos = pos,
                                .kind = (uint8_t)kind,
                                .folded = place.node->layout == MR__YAML_OTHER};
    return keep_script(p, &script, &place);
}

uint32_t mr__parse_script(struct mr__parse *p, const struct mr__found *found,
                          enum mr__script_kind kind, const char *item)
{
    if (!mr__parse_is_given(found)) {
        return MR__NO_SCRIPT;
    }
    const struct mr__yaml_node *node = found->value;
    if (node->kind != MR__YAML_SCALAR) {
        mr__parse_add_type_problem(p, found, kind == MR__SCRIPT_CHUNK ? "Lua" : "a Lua expression");
        return MR__NO_SCRIPT;
    }
    if (node->u.text[strspn(node->u.text, " \t\r\n")] == '\0') {
        mr__problem_add(p->problems, "E308", mr__yaml_pos(found->key), NULL,
                        "\"%s\" needs a Lua expression", found->key->u.text);
        return MR__NO_SCRIPT;
    }
    struct mr__script_place place = {.node = node, .begin = node->u.text, .item = item};
    return mr__parse_add_script(p, place, node->len, kind, NULL);
}

/* ---- names --------------------------------------------------------------------------------- */

/* The name is the beginning of a longer one, with dashes, that is known: how long that is, or 0. */
static size_t dashed_len(const struct mr__hash *known, const struct mr__lua_name *name,
                         const char *end)
{
    size_t len = name->len;
    uint64_t number;
    while (name->text + len < end && (name->text[len] == '-' || name->text[len] == '_' ||
                                      mr__lua_is_name((char[]){'a', name->text[len]}, 2))) {
        len++;
    }
    return len > name->len && mr__hash_get(known, name->text, len, &number) ? len : 0;
}

/* Where a name goes on with a dash, which Lua takes as minus, and the longer one is known: a
 * problem that says so, and the end of the longer name; else NULL. */
static const char *add_dashed_problem(struct mr__parse *p, const struct mr__script_place *place,
                                      const struct mr__lua_name *name, const char *end)
{
    bool is_task = name->kind == MR__LUA_TASK;
    const char *table = is_task ? "tasks" : "vars";
    size_t len = dashed_len(is_task ? &p->dag->task_by_id : &p->var_by_name, name, end);
    if (len == 0 || len > MR__ID_BYTES_MAX) {
        return NULL;
    }
    char suggestion[MR__ID_BYTES_MAX + 16];
    (void)snprintf(suggestion, sizeof suggestion, "%s[\"%.*s\"]", table, (int)len, name->text);
    mr__problem_add(p->problems, is_task ? "E603" : "E402",
                    mr__parse_pos(p, place->node, name->text, name->text + len), suggestion,
                    "Lua reads the dash in \"%s.%.*s\" as minus", table, (int)len, name->text);
    return name->text + len;
}

static void add_unknown_task(struct mr__parse *p, struct mr__pos pos, const char *id)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, id, &p->nearest_budget);
    for (uint32_t i = 0; i < p->dag->task_count; i++) {
        if (p->dag->tasks[i].id != NULL) {
            mr__nearest_try(&nearest, p->dag->tasks[i].id, i);
        }
    }
    uint32_t before = p->problems->count;
    mr__problem_add(p->problems, "E603", pos, nearest.found, "no task \"%s\" in this dag", id);
    if (nearest.found != NULL) {
        mr__parse_point_to(p, before, p->dag->tasks[nearest.number].pos.line);
    }
}

static void add_unknown_name(struct mr__parse *p, struct mr__pos pos, const char *name,
                             const char *item)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, name, &p->nearest_budget);
    for (size_t i = 0; i < mr__lua_global_count; i++) {
        mr__nearest_try(&nearest, mr__lua_globals[i].name, 0);
    }
    if (item != NULL) {
        mr__nearest_try(&nearest, item, 0);
    }
    mr__problem_add(p->problems, "E601", pos, nearest.found, "Lua knows no \"%s\" here", name);
}

/* A name that the script does not declare. */
static void check_free(struct mr__parse *p, const struct mr__script *script, const char *item,
                       struct mr__pos pos, const char *name)
{
    size_t len = strlen(name);
    uint64_t var;
    const struct mr__lua_global *global = mr__lua_global_find(name, len);
    if (global != NULL && global->acts && script->kind == MR__SCRIPT_EXPRESSION) {
        mr__problem_add(p->problems, "E601", pos, NULL,
                        "\"%s\" acts: it is for \"lua\" and hooks, not for expressions", name);
    } else if (global == NULL && mr__hash_get(&p->var_by_name, name, len, &var)) {
        char suggestion[MR__ID_BYTES_MAX + 8];
        (void)snprintf(suggestion, sizeof suggestion, "vars.%s", name);
        mr__problem_add(p->problems, "E602", pos, suggestion,
                        "\"%s\" is a variable, which Lua finds in \"vars\"", name);
    } else if (global == NULL) {
        add_unknown_name(p, pos, name, item);
    }
}

/* Names of known things are the common case: no place is looked for, nothing is copied. */
static bool is_known(const struct mr__parse *p, const struct mr__script *script, const char *item,
                     const struct mr__lua_name *name)
{
    uint64_t number;
    const struct mr__lua_global *global;
    switch (name->kind) {
    case MR__LUA_VAR: return mr__hash_get(&p->var_by_name, name->text, name->len, &number);
    case MR__LUA_TASK: return mr__hash_get(&p->dag->task_by_id, name->text, name->len, &number);
    case MR__LUA_FREE:
        if (item != NULL && strlen(item) == name->len && memcmp(item, name->text, name->len) == 0) {
            return true;
        }
        global = mr__lua_global_find(name->text, name->len);
        return global != NULL && !(global->acts && script->kind == MR__SCRIPT_EXPRESSION);
    default: return true;
    }
}

/* Where the names that still say something begin. */
static const char *check_name(struct mr__parse *p, const struct mr__script *script,
                              const struct mr__script_place *place, const struct mr__lua_name *name)
{
    if (is_known(p, script, place->item, name)) {
        return name->text;
    }
    if (p->problems->error_count >= MR__DAG_ERRORS_MAX) { /* only counted: no place is needed */
        mr__problem_add(p->problems, "E601", script->pos, NULL, "an unknown name");
        return name->text;
    }
    const char *behind = NULL;
    if (name->kind != MR__LUA_FREE) {
        behind = add_dashed_problem(p, place, name, place->begin + script->len);
    }
    if (behind != NULL) {
        return behind;
    }
    struct mr__pos pos = mr__parse_pos(p, place->node, name->text, name->text + name->len);
    char text[MR__ID_BYTES_MAX + 1];
    size_t len = MR__MIN(name->len, MR__ID_BYTES_MAX);
    memcpy(text, name->text, len);
    text[len] = '\0';
    if (name->kind == MR__LUA_VAR) {
        mr__parse_add_unknown_var(p, pos, text, len);
    } else if (name->kind == MR__LUA_TASK) {
        add_unknown_task(p, pos, text);
    } else {
        check_free(p, script, place->item, pos, text);
    }
    return name->text;
}

/* ---- the tasks that a script names --------------------------------------------------------- */

static void write_uses(struct mr__parse *p, struct mr__script *script,
                       const struct mr__lua_names *names)
{
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        count += names->list[i].kind == MR__LUA_TASK;
        script->uses_all_tasks = script->uses_all_tasks || names->list[i].kind == MR__LUA_TASKS;
    }
    uint32_t *uses = count == 0 ? NULL : mr__parse_alloc(p, count * sizeof *uses);
    if (uses == NULL) {
        return;
    }
    count = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct mr__lua_name *name = &names->list[i];
        uint64_t number;
        if (name->kind == MR__LUA_TASK &&
            mr__hash_get(&p->dag->task_by_id, name->text, name->len, &number)) {
            uses[count++] = (uint32_t)number;
        }
    }
    script->uses = uses;
    script->use_count = (uint32_t)mr__numbers_sort(uses, count);
}

void mr__parse_finish_scripts(struct mr__parse *p)
{
    struct mr__lua_names names;
    mr__lua_names_init(&names);
    for (uint32_t i = 0; i < p->script_count && !p->no_memory; i++) {
        const struct mr__script_place *place = &p->places[i];
        struct mr__script *script = &p->scripts[i];
        if (place->begin == NULL) {
            continue;
        }
        /* The names are read where the text stands in its node, so that they know their places. */
        p->no_memory = mr__lua_names_read(&names, place->begin, script->len) != MR_OK;
        const char *from = place->begin;
        for (size_t j = 0; j < names.count && !p->no_memory; j++) {
            if (names.list[j].text >= from) {
                from = check_name(p, script, place, &names.list[j]);
            }
        }
        write_uses(p, script, &names);
    }
    mr__lua_names_finish(&names);
    struct mr__script *scripts = mr__parse_alloc(p, p->script_count * sizeof *scripts);
    if (scripts != NULL && p->script_count > 0) {
        memcpy(scripts, p->scripts, p->script_count * sizeof *scripts);
        p->dag->scripts = scripts;
        p->dag->script_count = p->script_count;
    }
}
