/* SPDX-License-Identifier: MIT
 *
 * The dag parser's readers for keys and values: text, words, durations, numbers, templates. Pure;
 * problems go to the parse's list, what stays to the dag's arena.
 */
#include "core/base/clock.h"
#include "core/model/parse.h"
#include "core/model/template.h"

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
        if (!keys[i].later) {
            mr__nearest_try(&nearest, keys[i].name, i);
        }
    }
    if (place.id != NULL) {
        mr__problem_add(p->problems, "E102", mr__yaml_pos(key), nearest.found,
                        "unknown key \"%.140s\" in %s \"%s\"", key->u.text, place.what, place.id);
    } else {
        mr__problem_add(p->problems, "E102", mr__yaml_pos(key), nearest.found,
                        "unknown key \"%.140s\" in %s", key->u.text, place.what);
    }
}

bool mr__parse_keys(struct mr__parse *p, const struct mr__yaml_node *map,
                    const struct mr__key *keys, size_t count, struct mr__place place,
                    struct mr__found *ret_found)
{
    bool any_later = false;
    memset(ret_found, 0, count * sizeof *ret_found);
    for (uint32_t i = 0; i < map->len; i++) {
        const struct mr__yaml_node *key = &map->u.items[2 * i];
        size_t at = 0;
        while (at < count && strcmp(keys[at].name, key->u.text) != 0) {
            at++;
        }
        if (at == count) {
            add_unknown_key(p, key, keys, count, place);
        } else if (keys[at].later) {
            any_later = true;
            mr__problem_add(p->problems, "E103", mr__yaml_pos(key), NULL,
                            "\"%s\" is not yet supported by this version", keys[at].name);
        } else {
            ret_found[at] = (struct mr__found){.key = key, .value = key + 1};
        }
    }
    return any_later;
}

/* ---- scalars ------------------------------------------------------------------------------- */

/* True if there is a value to read. */
static bool is_given(const struct mr__found *found)
{
    return found->value != NULL && !mr__yaml_is_null(found->value);
}

static void add_type_problem(struct mr__parse *p, const struct mr__found *found, const char *type)
{
    mr__problem_add(p->problems, "E104", mr__yaml_pos(found->value), NULL, "\"%s\" must be %s",
                    found->key->u.text, type);
}

const char *mr__parse_text(struct mr__parse *p, const struct mr__found *found)
{
    if (!is_given(found)) {
        return NULL;
    }
    if (found->value->kind != MR__YAML_SCALAR) {
        add_type_problem(p, found, "text");
        return NULL;
    }
    const char *text = mr__arena_dup(&p->dag->arena, found->value->u.text, found->value->len);
    p->no_memory = p->no_memory || text == NULL;
    return text;
}

unsigned mr__parse_word(struct mr__parse *p, const struct mr__found *found,
                        const char *const *words, unsigned count, unsigned otherwise)
{
    if (!is_given(found)) {
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

void mr__parse_add_duration_problem(struct mr__parse *p, const struct mr__found *found)
{
    const struct mr__yaml_node *value = found->value;
    bool is_text = value->kind == MR__YAML_SCALAR;
    mr__problem_add(p->problems, "E106", mr__yaml_pos(value), NULL,
                    "\"%s\" must be a duration above 0 and up to 100 years with a unit, such as "
                    "300ms, 10s, 5m, 2h or 1d, not %s%.140s%s",
                    found->key->u.text, is_text ? "\"" : "a ",
                    is_text                        ? value->u.text
                    : value->kind == MR__YAML_LIST ? "list"
                                                   : "map",
                    is_text ? "\"" : "");
}

int64_t mr__parse_duration(struct mr__parse *p, const struct mr__found *found)
{
    if (!is_given(found)) {
        return 0;
    }
    int64_t ms = 0;
    if (found->value->kind == MR__YAML_SCALAR &&
        mr__duration_parse(found->value->u.text, found->value->len, &ms) && ms > 0) {
        return ms;
    }
    mr__parse_add_duration_problem(p, found);
    return 0;
}

int64_t mr__parse_integer(struct mr__parse *p, const struct mr__found *found, int64_t min,
                          int64_t max)
{
    if (!is_given(found)) {
        return 0;
    }
    mr_value value = {.type = MR_LIST};
    if (found->value->kind == MR__YAML_SCALAR && mr__yaml_scalar(found->value, &value) != NULL) {
        value.type = MR_NUMBER;
    }
    if (value.type != MR_INT && value.type != MR_NUMBER) {
        add_type_problem(p, found, "an integer");
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

/* ---- templates ----------------------------------------------------------------------------- */

static size_t count_chars(const char *text, size_t len)
{
    size_t chars = 0;
    for (size_t i = 0; i < len; i++) {
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return chars;
}

/* The beginning of a line of the file, and its length; NULL past the end. */
static const char *find_line(const struct mr__parse *p, uint32_t line, size_t *ret_len)
{
    const char *at = p->text, *end = at + p->text_len, *newline = NULL;
    for (; line > 1; line--) {
        newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL) {
            return NULL;
        }
        at = newline + 1;
    }
    newline = memchr(at, '\n', (size_t)(end - at));
    *ret_len = (size_t)((newline == NULL ? end : newline) - at);
    return at;
}

/* The place of `at` in a block, if its line is found in the file behind its indentation. */
static bool block_pos(const struct mr__parse *p, const struct mr__yaml_node *node, const char *at,
                      struct mr__pos *pos)
{
    const char *begin = at, *text_end = node->u.text + node->len;
    uint32_t line = node->line + 1;
    for (const char *c = node->u.text; c < at; c++) {
        line += *c == '\n';
    }
    while (begin > node->u.text && begin[-1] != '\n') {
        begin--;
    }
    const char *newline = memchr(at, '\n', (size_t)(text_end - at));
    size_t len = (size_t)((newline == NULL ? text_end : newline) - begin), source_len = 0;
    const char *source = find_line(p, line, &source_len);
    const char *found = source == NULL ? NULL : memmem(source, source_len, begin, len);
    if (found == NULL) {
        return false;
    }
    pos->line = line;
    pos->column = (uint32_t)(count_chars(source, (size_t)(found - source)) +
                             count_chars(begin, (size_t)(at - begin)) + 1);
    return true;
}

/* The place of a template: exact where the text stands in the file as it is, else its scalar's. */
static struct mr__pos template_pos(const struct mr__parse *p, const struct mr__yaml_node *node,
                                   const struct mr__template *t, const char *end)
{
    struct mr__pos pos = mr__yaml_pos(node);
    bool shown = p->problems->error_count < MR__DAG_ERRORS_MAX;
    if (node->layout == MR__YAML_AS_IS) {
        pos.column += node->plain ? 0 : 1;
        pos.column += (uint32_t)count_chars(node->u.text, (size_t)(t->begin - node->u.text));
    } else if (node->layout != MR__YAML_BLOCK || !shown || !block_pos(p, node, t->begin, &pos)) {
        return pos;
    }
    const char *newline = memchr(t->begin, '\n', (size_t)(end - t->begin));
    end = newline == NULL ? end : newline;
    pos.width = (uint32_t)count_chars(t->begin, (size_t)(end - t->begin));
    return pos;
}

static bool is_declared(const struct mr__parse *p, const struct mr__template *t)
{
    uint64_t at;
    return mr__hash_get(&p->var_by_name, t->body, t->body_len, &at);
}

/* True for what can only be meant as a name: a word, perhaps with dashes. */
static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (unsigned char)c >= 0x80;
        if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || c == '-'))) {
            return false;
        }
    }
    return len > 0;
}

static bool is_lua_root(const char *text)
{
    static const char *const words[] = {"vars", "share", "tasks", "run"};
    for (size_t i = 0; i < MR__COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A template that is no declared variable: an unknown name, or one of the later spellings. */
static void add_template_problem(struct mr__parse *p, const struct mr__yaml_node *node,
                                 const struct mr__template *t)
{
    struct mr__pos pos = template_pos(p, node, t, t->end);
    char name[MR__ID_BYTES_MAX + 1];
    size_t len = MR__MIN(t->body_len, MR__ID_BYTES_MAX);
    memcpy(name, t->body, len);
    name[len] = '\0';
    if (len == 0) {
        mr__problem_add(p->problems, "E402", pos, NULL, "a template must name a variable");
        return;
    }
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, name, &p->nearest_budget);
    for (uint32_t i = 0; i < p->dag->var_count; i++) {
        mr__nearest_try(&nearest, p->dag->vars[i].name, i);
    }
    if (is_name(name, len) && !is_lua_root(name)) {
        uint32_t count = p->problems->count;
        mr__problem_add(p->problems, "E402", pos, nearest.found, "no variable \"%s\" is declared",
                        name);
        if (nearest.found != NULL) {
            mr__parse_point_to(p, count, p->dag->vars[nearest.number].pos.line);
        }
        return;
    }
    mr__problem_add(p->problems, "E403", pos, nearest.found,
                    "\"{{%s}}\": templates other than {{name}} of a declared variable are not yet "
                    "supported by this version",
                    name);
}

static void check_templates(struct mr__parse *p, const struct mr__yaml_node *node,
                            bool *ret_templates)
{
    const char *at = node->u.text, *end = at + node->len;
    struct mr__template t;
    const char *literal;
    size_t literal_len;
    enum mr__template_found found = mr__template_next(at, end, &t);
    for (; found == MR__TEMPLATE_FOUND; found = mr__template_next(t.end, end, &t)) {
        *ret_templates = true;
        if (!is_declared(p, &t) && !mr__template_literal(&t, &literal, &literal_len)) {
            add_template_problem(p, node, &t);
        }
    }
    if (found == MR__TEMPLATE_OPEN) {
        mr__problem_add(p->problems, "E401", template_pos(p, node, &t, t.begin + 2), NULL,
                        "this {{ has no }} (write {{'{{'}} for the braces themselves)");
    }
}

void mr__parse_check_shell(struct mr__parse *p, const struct mr__yaml_node *node)
{
    const char *at = node->u.text, *end = at + node->len;
    struct mr__template t;
    for (; mr__template_next_in_shell(at, end, &t); at = t.end) {
        if (is_declared(p, &t) || mr__template_names_run(&t)) {
            mr__problem_add(p->problems, "E404", template_pos(p, node, &t, t.end), NULL,
                            "\"run\" has no templates: pass \"%.*s\" through \"env\"",
                            (int)MR__MIN(t.end - t.begin, 100), t.begin);
        }
    }
}

/* ---- any value ----------------------------------------------------------------------------- */

static mr_value scalar_value(struct mr__parse *p, const struct mr__yaml_node *node,
                             bool *ret_templates)
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
    if (ret_templates != NULL) {
        check_templates(p, node, ret_templates);
    }
    const char *text = mr__arena_dup(&p->dag->arena, value.u.s, value.len);
    p->no_memory = p->no_memory || text == NULL;
    return text == NULL ? mr__value_null() : mr__value_str(text, value.len);
}

mr_value mr__parse_value(struct mr__parse *p, const struct mr__yaml_node *node, bool *ret_templates)
{
    if (node->kind == MR__YAML_SCALAR) {
        return scalar_value(p, node, ret_templates);
    }
    if (node->kind == MR__YAML_LIST) {
        mr_value *list = mr__parse_alloc(p, node->len * sizeof *list);
        for (uint32_t i = 0; list != NULL && i < node->len; i++) {
            list[i] = mr__parse_value(p, &node->u.items[i], ret_templates);
        }
        return list == NULL ? mr__value_null()
                            : (mr_value){.type = MR_LIST, .len = node->len, .u.list = list};
    }
    mr_member *map = mr__parse_alloc(p, node->len * sizeof *map);
    for (uint32_t i = 0; map != NULL && i < node->len; i++) {
        const struct mr__yaml_node *key = &node->u.items[2 * i];
        map[i].key = mr__arena_dup(&p->dag->arena, key->u.text, key->len);
        p->no_memory = p->no_memory || map[i].key == NULL;
        map[i].value = mr__parse_value(p, key + 1, ret_templates);
    }
    return map == NULL ? mr__value_null()
                       : (mr_value){.type = MR_MAP, .len = node->len, .u.map = map};
}
