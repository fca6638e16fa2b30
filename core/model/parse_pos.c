/* SPDX-License-Identifier: MIT
 *
 * From a place in the text of a scalar to its place in the file. Pure.
 *
 * A walk through one text from its beginning to its end costs one look at each of its bytes,
 * however many places are asked for on the way: the parse keeps a cursor, and a table of the file's
 * lines.
 */
#include "core/model/parse.h"

static uint32_t count_chars(const char *text, size_t len)
{
    uint32_t chars = 0;
    for (size_t i = 0; i < len; i++) {
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return chars;
}

/* Behind the line break at `at`, or the end. */
static const char *next_line(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    bool two = end - at > 1 && at[0] == '\r' && at[1] == '\n';
    return at == end ? end : at + (two ? 2 : 1);
}

static bool make_lines(struct mr__parse *p)
{
    const char *end = p->text + p->text_len;
    uint32_t count = 0;
    for (const char *at = p->text; at < end; at = next_line(at, end)) {
        count++;
    }
    p->lines = mr__parse_alloc_scratch(p, (size_t)count * sizeof *p->lines);
    if (p->lines == NULL) {
        return false;
    }
    for (const char *at = p->text; at < end; at = next_line(at, end)) {
        p->lines[p->line_count++] = (uint32_t)(at - p->text);
    }
    return true;
}

/* A line of the file, from 1, without its break; NULL: there is none. */
static const char *find_line(struct mr__parse *p, uint32_t line, size_t *ret_len)
{
    if ((p->lines == NULL && !make_lines(p)) || line > p->line_count) {
        return NULL;
    }
    const char *begin = p->text + p->lines[line - 1], *at = begin;
    const char *end = p->text + (line < p->line_count ? p->lines[line] : p->text_len);
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    *ret_len = (size_t)(at - begin);
    return begin;
}

/* The cursor stands at the beginning of a line of a block: where it begins in the file, behind its
 * indentation. */
static void enter_line(struct mr__parse *p, struct mr__parse_cursor *c)
{
    const char *end = c->node->u.text + c->node->len;
    const char *newline = memchr(c->at, '\n', (size_t)(end - c->at));
    size_t len = (size_t)((newline == NULL ? end : newline) - c->at), source_len = 0;
    const char *source = find_line(p, c->line, &source_len);
    c->column = 0;
    if (source != NULL && source_len >= len &&
        memcmp(source + (source_len - len), c->at, len) == 0) {
        c->column = count_chars(source, source_len - len) + 1;
    }
}

static void enter_text(struct mr__parse *p, struct mr__parse_cursor *c,
                       const struct mr__yaml_node *node)
{
    *c = (struct mr__parse_cursor){
        .node = node, .at = node->u.text, .line = node->line, .column = node->column};
    if (node->layout == MR__YAML_BLOCK) {
        c->line++;
        enter_line(p, c);
    } else {
        c->column += node->plain ? 0 : 1;
    }
}

struct mr__pos mr__parse_pos(struct mr__parse *p, const struct mr__yaml_node *node, const char *at,
                             const char *end)
{
    struct mr__pos pos = mr__yaml_pos(node);
    struct mr__parse_cursor *c = &p->cursor;
    if (node->layout == MR__YAML_OTHER) {
        return pos;
    }
    if (c->node != node || at < c->at) {
        enter_text(p, c, node);
    }
    while (c->at < at) {
        char passed = *c->at++;
        if (passed == '\n') {
            c->line++;
            enter_line(p, c);
        } else if (c->column > 0) {
            c->column += ((unsigned char)passed & 0xc0) != 0x80;
        }
    }
    if (c->column == 0) {
        return pos;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    end = newline == NULL ? end : newline;
    return (struct mr__pos){
        .line = c->line, .column = c->column, .width = count_chars(at, (size_t)(end - at))};
}
