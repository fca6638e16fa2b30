/* SPDX-License-Identifier: MIT
 *
 * The templates of a dag file: what each {{...}} of a task's params stands for, found once, when
 * the file is read; render.c puts the values in. Pure.
 */
#include "core/model/lua_names.h"
#include "core/model/parse.h"

static bool is_item(const struct mr__parse *p, const char *text, size_t len)
{
    return p->item != NULL && strlen(p->item) == len && memcmp(p->item, text, len) == 0;
}

/* True for what can only be meant as a name: a word, perhaps with dashes. */
static bool is_word(const char *text, size_t len)
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

/* A word that is no name of a variable but an expression: `run`, `nil`, `item-1`. */
static bool is_expression(const struct mr__parse *p, const char *text, size_t len)
{
    const char *dash = memchr(text, '-', len);
    const struct mr__lua_global *global = mr__lua_global_find(text, len);
    return mr__lua_is_keyword(text, len) || (global != NULL && global->is_data) ||
           (dash != NULL && is_item(p, text, (size_t)(dash - text)));
}

bool mr__parse_is_var_name(const struct mr__parse *p, const char *text, size_t len)
{
    return is_word(text, len) && !is_expression(p, text, len);
}

void mr__parse_add_unknown_var(struct mr__parse *p, struct mr__pos pos, const char *name,
                               size_t len)
{
    struct mr__nearest nearest;
    char word[MR__ID_BYTES_MAX + 1];
    len = MR__MIN(len, MR__ID_BYTES_MAX);
    memcpy(word, name, len);
    word[len] = '\0';
    mr__nearest_init(&nearest, word, &p->nearest_budget);
    for (uint32_t i = 0; i < p->dag->var_count; i++) {
        mr__nearest_try(&nearest, p->dag->vars[i].name, i);
    }
    uint32_t before = p->problems->count;
    mr__problem_add(p->problems, "E402", pos, nearest.found, "no variable \"%s\" is declared",
                    word);
    if (nearest.found != NULL) {
        mr__parse_point_to(p, before, p->dag->vars[nearest.number].pos.line);
    }
}

/* What stands between `head` and `tail` of the body. */
static bool read_between(const struct mr__template *t, const char *head, const char *tail,
                         const char **ret_text, size_t *ret_len)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    if (t->body_len <= head_len + tail_len || memcmp(t->body, head, head_len) != 0 ||
        memcmp(t->body + t->body_len - tail_len, tail, tail_len) != 0) {
        return false;
    }
    *ret_text = t->body + head_len;
    *ret_len = t->body_len - head_len - tail_len;
    return memchr(*ret_text, ' ', *ret_len) == NULL;
}

bool mr__parse_go_var(const struct mr__template *t, const char **ret_name, size_t *ret_len)
{
    return read_between(t, ".vars.", ".Value", ret_name, ret_len);
}

bool mr__parse_go_share(const struct mr__template *t, const char **ret_key, size_t *ret_len)
{
    return read_between(t, ".shareData.", "", ret_key, ret_len);
}

static void set_text(struct mr__parse *p, struct mr__dag_template *row, uint8_t kind,
                     const char *text, size_t len)
{
    row->kind = kind;
    row->text = mr__arena_dup(&p->dag->arena, text, len);
    row->len = len;
    p->no_memory = p->no_memory || row->text == NULL;
}

/* A template that names nothing of the dag itself: Lua, or a problem. */
static void resolve_rest(struct mr__parse *p, const struct mr__yaml_node *node,
                         const struct mr__template *t, struct mr__dag_template *row)
{
    const char *name;
    size_t len;
    bool is_name = mr__parse_is_var_name(p, t->body, t->body_len);
    if (is_name && p->dag->compat) {
        set_text(p, row, MR__TEMPLATE_AS_IS, t->begin, (size_t)(t->end - t->begin));
    } else if (is_name) {
        mr__parse_add_unknown_var(p, mr__parse_pos(p, node, t->begin, t->end), t->body,
                                  t->body_len);
    } else if (mr__parse_go_var(t, &name, &len)) {
        mr__parse_add_unknown_var(p, mr__parse_pos(p, node, t->begin, t->end), name, len);
    } else if (t->body_len == 0) {
        mr__problem_add(p->problems, "E402", mr__parse_pos(p, node, t->begin, t->end), NULL,
                        "a template must name a variable");
    } else if (t->body[0] == '.' && (t->body_len == 1 || t->body[1] < '0' || t->body[1] > '9')) {
        mr__problem_add(p->problems, "E405", mr__parse_pos(p, node, t->begin, t->end), NULL,
                        "of Go's templates there are {{.vars.NAME.Value}} and {{.shareData.KEY}}; "
                        "all else is Lua");
    } else {
        struct mr__script_place place = {.node = node, .begin = t->body, .item = p->item};
        row->kind = MR__TEMPLATE_SCRIPT;
        row->number = mr__parse_add_script(p, place, t->body_len, MR__SCRIPT_EXPRESSION, NULL);
    }
}

static void add_template(struct mr__parse *p, const struct mr__yaml_node *node,
                         const struct mr__template *t)
{
    struct mr__dag_template *list =
        mr__parse_grow(p, p->templates, p->template_count, &p->template_cap, sizeof *list);
    if (list == NULL) {
        return;
    }
    p->templates = list;
    struct mr__dag_template row = {.kind = MR__TEMPLATE_VAR};
    const char *text;
    size_t len;
    uint64_t var;
    if (is_item(p, t->body, t->body_len)) {
        row.kind = MR__TEMPLATE_ITEM;
    } else if (mr__hash_get(&p->var_by_name, t->body, t->body_len, &var) ||
               (mr__parse_go_var(t, &text, &len) &&
                mr__hash_get(&p->var_by_name, text, len, &var))) {
        row.number = (uint32_t)var;
    } else if (mr__parse_go_share(t, &text, &len)) {
        set_text(p, &row, MR__TEMPLATE_SHARE, text, len);
        row.line = mr__parse_pos(p, node, t->begin, t->end).line;
    } else if (mr__template_literal(t, &text, &len)) {
        set_text(p, &row, MR__TEMPLATE_TEXT, text, len);
    } else {
        resolve_rest(p, node, t, &row);
    }
    p->templates[p->template_count++] = row;
}

void mr__parse_templates(struct mr__parse *p, const struct mr__yaml_node *node)
{
    const char *at = node->u.text, *end = at + node->len;
    struct mr__template t;
    enum mr__template_found found = mr__template_next(at, end, &t);
    for (; found == MR__TEMPLATE_FOUND; found = mr__template_next(t.end, end, &t)) {
        add_template(p, node, &t);
    }
    if (found == MR__TEMPLATE_OPEN) {
        mr__problem_add(p->problems, "E401", mr__parse_pos(p, node, t.begin, t.begin + 2), NULL,
                        "this {{ has no }} (write {{'{{'}} for the braces themselves)");
    }
}

void mr__parse_check_program(struct mr__parse *p, const struct mr__yaml_node *node,
                             const char *param, const char *through)
{
    const char *at = node->u.text, *end = at + node->len;
    struct mr__template t;
    uint64_t var;
    for (; mr__template_next_in_shell(at, end, &t); at = t.end) {
        if (mr__hash_get(&p->var_by_name, t.body, t.body_len, &var) ||
            mr__template_names_run(&t, p->item)) {
            mr__problem_add(p->problems, "E404", mr__parse_pos(p, node, t.begin, t.end), NULL,
                            "\"%s\" has no templates: pass \"%.*s\" through \"%s\"", param,
                            (int)MR__MIN(t.end - t.begin, 100), t.begin, through);
        }
    }
}
