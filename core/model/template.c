/* SPDX-License-Identifier: MIT
 *
 * The template scanner. Pure, any thread; each call reads its text once.
 */
#include "core/model/template.h"

static const char *find_open(const char *at, const char *end)
{
    while (end - at >= 2) {
        const char *brace = memchr(at, '{', (size_t)(end - at) - 1);
        if (brace == NULL) {
            return NULL;
        }
        if (brace[1] == '{') {
            return brace;
        }
        at = brace + 1;
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void set_body(struct mr__template *t, const char *begin, const char *end)
{
    while (begin < end && is_blank(*begin)) {
        begin++;
    }
    while (begin < end && is_blank(end[-1])) {
        end--;
    }
    t->body = begin;
    t->body_len = (size_t)(end - begin);
}

/* Behind the quoted string that begins at `at`; `end` if it is never closed. */
static const char *skip_quoted(const char *at, const char *end)
{
    char quote = *at++;
    while (at < end && *at != quote) {
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    }
    return at < end ? at + 1 : end;
}

/* Behind the long string [[...]] or [=[...]=] that begins at `at`; `at` + 1 if none does. */
static const char *skip_long(const char *at, const char *end)
{
    const char *p = at + 1;
    while (p < end && *p == '=') {
        p++;
    }
    if (p == end || *p != '[') {
        return at + 1;
    }
    size_t level = (size_t)(p - at) - 1;
    for (p++; p < end; p++) {
        if (*p != ']') {
            continue;
        }
        size_t equals = 0;
        while (p + 1 + equals < end && p[1 + equals] == '=' && equals < level) {
            equals++;
        }
        if (equals == level && p + 1 + equals < end && p[1 + equals] == ']') {
            return p + 2 + level;
        }
    }
    return end;
}

enum mr__template_found mr__template_next(const char *at, const char *end,
                                          struct mr__template *ret_template)
{
    const char *begin = find_open(at, end);
    if (begin == NULL) {
        return MR__TEMPLATE_NONE;
    }
    ret_template->begin = begin;
    size_t braces = 0;
    for (const char *p = begin + 2; p < end;) {
        if (*p == '\'' || *p == '"') {
            p = skip_quoted(p, end);
        } else if (*p == '[') {
            p = skip_long(p, end);
        } else if (*p == '}' && braces == 0 && end - p >= 2 && p[1] == '}') {
            ret_template->end = p + 2;
            set_body(ret_template, begin + 2, p);
            return MR__TEMPLATE_FOUND;
        } else {
            if (*p == '{') {
                braces++;
            } else if (*p == '}' && braces > 0) {
                braces--;
            }
            p++;
        }
    }
    return MR__TEMPLATE_OPEN;
}

bool mr__template_literal(const struct mr__template *t, const char **ret_text, size_t *ret_len)
{
    if (t->body_len < 2 || (t->body[0] != '\'' && t->body[0] != '"')) {
        return false;
    }
    const char *text = t->body + 1;
    size_t len = t->body_len - 2;
    if (t->body[t->body_len - 1] != t->body[0] || memchr(text, t->body[0], len) != NULL ||
        memchr(text, '\\', len) != NULL || memchr(text, '\n', len) != NULL) {
        return false;
    }
    *ret_text = text;
    *ret_len = len;
    return true;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Whether the word at `p`, which begins one, names something of the run. A dot before it makes it a
 * field, of a Go template mostly, but for fastflow's two. */
static bool is_run_word(const struct mr__template *t, const char *p, size_t len, const char *item)
{
    const char *const words[] = {"vars", "share", "tasks", "run", item == NULL ? "" : item};
    static const char *const fields[] = {"vars", "shareData"};
    const char *end = t->body + t->body_len;
    bool field = p > t->body && p[-1] == '.';
    const char *after = p + len;
    if (field) {
        bool first = p - 1 == t->body || !(is_word_char(p[-2]) || p[-2] == ')' || p[-2] == ']');
        for (size_t i = 0; first && i < MR__COUNT(fields); i++) {
            if (strlen(fields[i]) == len && memcmp(p, fields[i], len) == 0) {
                return true;
            }
        }
        return false;
    }
    bool indexed = after < end && (*after == '.' || *after == '[');
    for (size_t i = 0; i < MR__COUNT(words); i++) {
        if (strlen(words[i]) == len && memcmp(p, words[i], len) == 0) {
            return indexed || len == t->body_len;
        }
    }
    return false;
}

bool mr__template_names_run(const struct mr__template *t, const char *item)
{
    const char *end = t->body + t->body_len;
    for (const char *p = t->body; p < end;) {
        if (*p == '\'' || *p == '"') {
            p = skip_quoted(p, end);
        } else if (!is_word_char(*p)) {
            p++;
        } else {
            size_t len = 0;
            while (p + len < end && is_word_char(p[len])) {
                len++;
            }
            bool go_variable = p > t->body && p[-1] == '$';
            if (!go_variable && is_run_word(t, p, len, item)) {
                return true;
            }
            p += len;
        }
    }
    return false;
}

bool mr__template_next_in_shell(const char *at, const char *end, struct mr__template *ret_template)
{
    const char *begin = find_open(at, end);
    for (const char *p = begin == NULL ? end : begin + 2; end - p >= 2; p++) {
        if (p[0] == '}' && p[1] == '}') {
            ret_template->begin = begin;
            ret_template->end = p + 2;
            set_body(ret_template, begin + 2, p);
            return true;
        }
    }
    return false;
}
