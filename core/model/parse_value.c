/* SPDX-License-Identifier: MIT
 *
 * The dag parser's readers for keys and values: text, words, durations, numbers, whole values.
 * Pure; problems go to the parse's list, what stays to the dag's arena.
 */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/model/parse.h"

void *mr__parse_alloc(struct mr__parse *p, size_t bytes)
{
    void *memory = mr__arena_alloc(&p->dag->arena, bytes);
    p->no_memory = p->no_memory || memory == NULL;
    return memory;
}

void *mr__parse_alloc_scratch(struct mr__parse *p, size_t bytes)
{
    void *memory = mr__arena_alloc(&p->scratch, bytes);
    p->no_memory = p->no_memory || memory == NULL;
    return memory;
}

void *mr__parse_grow(struct mr__parse *p, void *list, uint32_t count, uint32_t *cap,
                     size_t row_bytes)
{
    if (count < *cap) {
        return list;
    }
    uint32_t more = *cap == 0 ? 16 : *cap * 2;
    void *larger = more > *cap ? mr__realloc(list, more * row_bytes) : NULL;
    if (larger == NULL) {
        p->no_memory = true;
        return NULL;
    }
    *cap = more;
    return larger;
}

void mr__parse_point_to(struct mr__parse *p, uint32_t count_before, uint32_t line)
{
    if (p->problems->count > count_before) {
        p->problems->list[count_before].suggestion_line = line;
    }
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void add_unknown_key(struct mr__parse *p, const struct mr__yaml_node *key,
                            const struct mr__key *keys, size_t count, struct mr__place place)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, key->u.text, &p->nearest_budget);
    for (size_t i = 0; i < count; i++) {
        mr__nearest_try(&nearest, keys[i].name, i);
    }
    const char *code = p->dag->compat ? "W102" : "E102"; /* fastflow passes them by */
    if (place.id != NULL) {
        mr__problem_add(p->problems, code, mr__yaml_pos(key), nearest.found,
                        "unknown key \"%.140s\" in %s \"%s\"", key->u.text, place.what, place.id);
    } else {
        mr__problem_add(p->problems, code, mr__yaml_pos(key), nearest.found,
                        "unknown key \"%.140s\" in %s", key->u.text, place.what);
    }
}

void mr__parse_keys(struct mr__parse *p, const struct mr__yaml_node *map,
                    const struct mr__key *keys, size_t count, struct mr__place place,
                    struct mr__found *ret_found)
{
    memset(ret_found, 0, count * sizeof *ret_found);
    for (uint32_t i = 0; i < map->len; i++) {
        const struct mr__yaml_node *key = &map->u.items[2 * i];
        size_t at = 0;
        while (at < count && strcmp(keys[at].name, key->u.text) != 0) {
            at++;
        }
        if (at == count) {
            add_unknown_key(p, key, keys, count, place);
        } else {
            ret_found[at] = (struct mr__found){.key = key, .value = key + 1};
        }
    }
}

/* ---- scalars ------------------------------------------------------------------------------- */

bool mr__parse_is_given(const struct mr__found *found)
{
    return found->value != NULL && !mr__yaml_is_null(found->value);
}

void mr__parse_add_type_problem(struct mr__parse *p, const struct mr__found *found,
                                const char *type)
{
    mr__problem_add(p->problems, "E104", mr__yaml_pos(found->value), NULL, "\"%s\" must be %s",
                    found->key->u.text, type);
}

const char *mr__parse_text(struct mr__parse *p, const struct mr__found *found)
{
    if (!mr__parse_is_given(found)) {
        return NULL;
    }
    if (found->value->kind != MR__YAML_SCALAR) {
        mr__parse_add_type_problem(p, found, "text");
        return NULL;
    }
    const char *text = mr__arena_dup(&p->dag->arena, found->value->u.text, found->value->len);
    p->no_memory = p->no_memory || text == NULL;
    return text;
}

unsigned mr__parse_word(struct mr__parse *p, const struct mr__found *found,
                        const char *const *words, unsigned count, unsigned otherwise)
{
    if (!mr__parse_is_given(found)) {
        return otherwise;
    }
    const char *text = found->value->kind == MR__YAML_SCALAR ? found->value->u.text : "";
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, text, &p->nearest_budget);
    struct mr__buf all;
    mr__buf_init(&all);
    for (unsigned i = 0; i < count; i++) {
        if (words[i] == NULL) {
            continue;
        }
        if (strcmp(words[i], text) == 0) {
            mr__buf_finish(&all);
            return i;
        }
        mr__buf_text(&all, all.len == 0 ? "" : ", ");
        mr__buf_text(&all, words[i]);
        mr__nearest_try(&nearest, words[i], i);
    }
    const char *list = mr__buf_cstr(&all);
    mr__problem_add(p->problems, "E105", mr__yaml_pos(found->value), nearest.found,
                    "\"%s\" must be one of %s, not \"%.140s\"", found->key->u.text,
                    list == NULL ? "" : list, text);
    p->no_memory = p->no_memory || list == NULL;
    mr__buf_finish(&all);
    return otherwise;
}

void mr__parse_add_duration_problem(struct mr__parse *p, const struct mr__found *found,
                                    int64_t min_ms)
{
    const struct mr__yaml_node *value = found->value;
    bool is_text = value->kind == MR__YAML_SCALAR;
    mr__problem_add(p->problems, "E106", mr__yaml_pos(value), NULL,
                    "\"%s\" must be a duration %s up to 100 years with a unit, such as "
                    "300ms, 10s, 5m, 2h or 1d, not %s%.140s%s",
                    found->key->u.text, min_ms > 0 ? "above 0 and" : "of", is_text ? "\"" : "a ",
                    is_text                        ? value->u.text
                    : value->kind == MR__YAML_LIST ? "list"
                                                   : "map",
                    is_text ? "\"" : "");
}

int64_t mr__parse_duration(struct mr__parse *p, const struct mr__found *found, int64_t min_ms)
{
    if (!mr__parse_is_given(found)) {
        return 0;
    }
    int64_t ms = 0;
    if (found->value->kind == MR__YAML_SCALAR &&
        mr__duration_parse(found->value->u.text, found->value->len, &ms) && ms >= min_ms) {
        return ms;
    }
    mr__parse_add_duration_problem(p, found, min_ms);
    return 0;
}

int64_t mr__parse_integer(struct mr__parse *p, const struct mr__found *found, int64_t min,
                          int64_t max)
{
    if (!mr__parse_is_given(found)) {
        return 0;
    }
    mr_value value = {.type = MR_LIST};
    if (found->value->kind == MR__YAML_SCALAR && mr__yaml_scalar(found->value, &value) != NULL) {
        value.type = MR_NUMBER;
    }
    if (value.type != MR_INT && value.type != MR_NUMBER) {
        mr__parse_add_type_problem(p, found, "an integer");
        return 0;
    }
    if (value.type == MR_NUMBER || value.u.i < min || value.u.i > max) {
        mr__problem_add(p->problems, "E107", mr__yaml_pos(found->value), NULL,
                        "\"%s\" must be an integer from %lld to %lld", found->key->u.text,
                        (long long)min, (long long)max);
        return 0;
    }
    return value.u.i;
}

double mr__parse_number(struct mr__parse *p, const struct mr__found *found, double min, double max)
{
    mr_value value = mr__value_null();
    if (!mr__parse_is_given(found)) {
        return 0;
    }
    bool good = found->value->kind == MR__YAML_SCALAR &&
                mr__yaml_scalar(found->value, &value) == NULL &&
                (value.type == MR_INT || value.type == MR_NUMBER);
    double number = value.type == MR_INT ? (double)value.u.i : value.u.d;
    if (!good) {
        mr__parse_add_type_problem(p, found, "a number");
        return 0;
    }
    if (number < min || number > max) {
        mr__problem_add(p->problems, "E107", mr__yaml_pos(found->value), NULL,
                        "\"%s\" must be a number from %g to %g", found->key->u.text, min, max);
        return 0;
    }
    return number;
}

bool mr__parse_check_id(struct mr__parse *p, const char *id, struct mr__pos pos, const char *what)
{
    size_t len = strlen(id);
    if (mr__id_valid(id, len)) {
        return true;
    }
    if (len > MR__ID_BYTES_MAX) {
        mr__problem_add(p->problems, "E109", pos, NULL, "%s has %zu bytes; at most %u are allowed",
                        what, len, MR__ID_BYTES_MAX);
    } else {
        mr__problem_add(p->problems, "E109", pos, NULL,
                        "%s \"%s\" is not allowed: 1 to %u bytes without [ ] / , blanks or control "
                        "characters",
                        what, id, MR__ID_BYTES_MAX);
    }
    return false;
}

/* ---- any value ----------------------------------------------------------------------------- */

static mr_value scalar_value(struct mr__parse *p, const struct mr__yaml_node *node, bool templated)
{
    mr_value value = mr__value_null();
    const char *wrong = mr__yaml_scalar(node, &value);
    if (wrong != NULL) {
        mr__problem_add(p->problems, "E012", mr__yaml_pos(node), NULL, "%s", wrong);
        return mr__value_null();
    }
    if (value.type != MR_STRING) {
        return value;
    }
    if (templated) {
        mr__parse_templates(p, node);
    }
    const char *text = mr__arena_dup(&p->dag->arena, value.u.s, value.len);
    p->no_memory = p->no_memory || text == NULL;
    return text == NULL ? mr__value_null() : mr__value_str(text, value.len);
}

mr_value mr__parse_value(struct mr__parse *p, const struct mr__yaml_node *node, bool templated)
{
    if (node->kind == MR__YAML_SCALAR) {
        return scalar_value(p, node, templated);
    }
    if (node->kind == MR__YAML_LIST) {
        mr_value *list = mr__parse_alloc(p, node->len * sizeof *list);
        for (uint32_t i = 0; list != NULL && i < node->len; i++) {
            list[i] = mr__parse_value(p, &node->u.items[i], templated);
        }
        return list == NULL ? mr__value_null()
                            : (mr_value){.type = MR_LIST, .len = node->len, .u.list = list};
    }
    mr_member *map = mr__parse_alloc(p, node->len * sizeof *map);
    for (uint32_t i = 0; map != NULL && i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        map[i].key = mr__arena_dup(&p->dag->arena, key->u.text, key->len);
        p->no_memory = p->no_memory || map[i].key == NULL;
        map[i].value = mr__parse_value(p, key + 1, templated);
    }
    return map == NULL ? mr__value_null()
                       : (mr_value){.type = MR_MAP, .len = node->len, .u.map = map};
}
