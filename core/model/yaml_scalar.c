/* SPDX-License-Identifier: MIT
 *
 * What a plain scalar means: the core schema of YAML 1.2 (so `no` and `1_000` are text), and nodes
 * as values. Pure, any thread.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "core/model/yaml_tree.h"

struct mr__pos mr__yaml_pos(const struct mr__yaml_node *node)
{
    return (struct mr__pos){.line = node->line, .column = node->column, .width = node->width};
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_null_text(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return is_one_of(text, words, MR__COUNT(words));
}

bool mr__yaml_is_null(const struct mr__yaml_node *node)
{
    return node->kind == MR__YAML_SCALAR && node->plain && is_null_text(node->u.text);
}

static bool is_bool_text(const char *text, bool *ret_true)
{
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    *ret_true = is_one_of(text, yes, MR__COUNT(yes));
    return *ret_true || is_one_of(text, no, MR__COUNT(no));
}

static bool is_special_float(const char *text)
{
    static const char *const words[] = {"inf", "Inf", "INF"};
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};
    const char *after_sign = text + (*text == '-' || *text == '+' ? 1 : 0);
    return (*after_sign == '.' && is_one_of(after_sign + 1, words, MR__COUNT(words))) ||
           is_one_of(text, nans, MR__COUNT(nans));
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+; gives the base, or 0: none of them. */
static int integer_base(const char *text)
{
    const char *digits = "0123456789";
    int base = 10;
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        base = text[1] == 'o' ? 8 : 16;
        digits = base == 8 ? "01234567" : "0123456789abcdefABCDEF";
        text += 2;
    } else if (*text == '-' || *text == '+') {
        text++;
    }
    return *text != '\0' && text[strspn(text, digits)] == '\0' ? base : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float_text(const char *text)
{
    static const char digits[] = "0123456789";
    const char *at = text + (*text == '-' || *text == '+' ? 1 : 0);
    size_t whole = strspn(at, digits), part = 0;
    at += whole;
    if (*at == '.') {
        at++;
        part = strspn(at, digits);
        at += part;
    }
    if (whole == 0 && part == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        at += at[1] == '-' || at[1] == '+' ? 2 : 1;
        size_t power = strspn(at, digits);
        if (power == 0) {
            return false;
        }
        at += power;
    }
    return *at == '\0';
}

static const char *read_number(const char *text, bool as_float, mr_value *ret_value)
{
    int base = integer_base(text);
    if (base != 0 && !(as_float && base == 10)) {
        errno = 0;
        long long number = strtoll(base == 10 ? text : text + 2, NULL, base);
        if (errno != 0) {
            return "an integer has at most 64 bits (in quotes it is text)";
        }
        *ret_value = as_float ? mr__value_number((double)number) : mr__value_int(number);
        return NULL;
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) {
        return "out of memory";
    }
    double number = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(number)) {
        return "a number that is too large";
    }
    *ret_value = mr__value_number(number);
    return NULL;
}

const char *mr__yaml_scalar(const struct mr__yaml_node *node, mr_value *ret_value)
{
    const char *text = node->u.text;
    bool truth;
    /* Most text is told by its first character. */
    if (!node->plain || (text[0] != '\0' && strchr("~nNtTfF+-.0123456789", text[0]) == NULL)) {
        *ret_value = mr__value_str(text, node->len);
    } else if (is_null_text(text)) {
        *ret_value = mr__value_null();
    } else if (is_bool_text(text, &truth)) {
        *ret_value = mr__value_bool(truth);
    } else if (is_special_float(text)) {
        return "infinity and NaN are no values here (in quotes it is text)";
    } else if (integer_base(text) != 0 || is_float_text(text)) {
        return read_number(text, node->is_float, ret_value);
    } else {
        *ret_value = mr__value_str(text, node->len);
    }
    return NULL;
}

static mr_status node_value(const struct mr__yaml_node *node, struct mr__arena *arena,
                            struct mr__problems *problems, mr_value *ret_value)
{
    mr_status status = MR_OK;
    *ret_value = mr__value_null();
    if (node->kind == MR__YAML_SCALAR) {
        const char *wrong = mr__yaml_scalar(node, ret_value);
        if (wrong != NULL) {
            mr__problem_add(problems, "E012", mr__yaml_pos(node), NULL, "%s", wrong);
        }
    } else if (node->kind == MR__YAML_LIST) {
        mr_value *list = mr__arena_alloc(arena, node->len * sizeof *list);
        if (list == NULL) {
            return MR_ENOMEM;
        }
        for (uint32_t i = 0; i < node->len && status == MR_OK; i++) {
            status = node_value(&node->u.items[i], arena, problems, &list[i]);
        }
        *ret_value = (mr_value){.type = MR_LIST, .len = node->len, .u.list = list};
    } else {
        mr_member *map = mr__arena_alloc(arena, node->len * sizeof *map);
        if (map == NULL) {
            return MR_ENOMEM;
        }
        for (uint32_t i = 0; i < node->len && status == MR_OK; i++) {
            map[i].key = node->u.items[2 * i].u.text;
            status = node_value(&node->u.items[2 * i + 1], arena, problems, &map[i].value);
        }
        *ret_value = (mr_value){.type = MR_MAP, .len = node->len, .u.map = map};
    }
    return status;
}

mr_status mr__yaml_value(const char *text, size_t len, struct mr__arena *arena,
                         struct mr__problems *problems, mr_value *ret_value)
{
    struct mr__yaml_node root;
    uint32_t errors_before = problems->error_count;
    mr_value value;
    mr_status status = mr__yaml_read(text, len, arena, problems, &root);
    if (status == MR_OK) {
        status = node_value(&root, arena, problems, &value);
    }
    if (status == MR_OK && problems->failed) {
        status = MR_ENOMEM;
    }
    if (status == MR_OK && problems->error_count > errors_before) {
        status = MR_EDEFINITION;
    }
    if (status == MR_OK) {
        *ret_value = value;
    }
    return status;
}
