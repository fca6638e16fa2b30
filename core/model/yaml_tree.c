/* SPDX-License-Identifier: MIT
 *
 * libyaml's events to a tree of nodes. Pure, any thread; nodes go to the caller's arena, all else
 * is freed at the end.
 *
 * The items of all containers that are still open lie on one stack; when one ends, its items go to
 * the arena at once, next to each other. No recursion: open containers are an array, as deep as the
 * limit. What an alias stands for is shared, never copied, and counted as if it were copied.
 */
#include "core/model/yaml_tree.h"

#include <stdlib.h>
#include <yaml.h>

#include "core/base/hash.h"
#include "core/model/yaml_text.h"

#define WIDTH_MAX       0xffffffu
#define LINEAR_KEYS_MAX 8u /* up to here comparing all keys is cheaper than a table */
#define CORE_TAG        "tag:yaml.org,2002:"
#define NO_ANCHOR       UINT32_MAX

/* A list or map whose end is not read yet. */
struct open {
    struct mr__yaml_node node;
    size_t first;      /* of its items on the stack */
    uint64_t expanded; /* nodes before it */
    unsigned height;   /* of what is in it */
    uint32_t anchor;
};

struct anchor {
    struct mr__yaml_node node;
    uint64_t expanded; /* how many nodes it stands for */
    unsigned height;
    bool complete;
};

struct reader {
    struct mr__yaml_text source;
    struct mr__arena *arena;
    struct mr__problems *problems;
    struct mr__yaml_node *stack;
    size_t count, cap;
    struct open open[MR__DAG_DEPTH_MAX];
    unsigned depth;
    struct anchor *anchors;
    uint32_t anchor_count, anchor_cap;
    struct mr__hash anchor_by_name;
    uint64_t written, expanded; /* nodes; expanded: as if aliases were copies */
    bool has_root;
};

static mr_status read_events(struct reader *r, yaml_parser_t *parser);
static mr_status read_event(struct reader *r, const yaml_event_t *event);
static mr_status add_syntax_problem(struct reader *r, const yaml_parser_t *parser);
static mr_status open_container(struct reader *r, const yaml_event_t *event);
static mr_status close_container(struct reader *r);
static mr_status close_map(struct reader *r, const struct open *open, struct mr__yaml_node *node);
static mr_status read_scalar(struct reader *r, const yaml_event_t *event);
static mr_status read_alias(struct reader *r, const yaml_event_t *event);

mr_status mr__yaml_read(const char *text, size_t len, struct mr__arena *arena,
                        struct mr__problems *problems, struct mr__yaml_node *ret_root)
{
    struct reader *r = mr__calloc(1, sizeof *r);
    if (r == NULL) {
        return MR_ENOMEM;
    }
    r->arena = arena;
    r->problems = problems;
    mr__hash_init(&r->anchor_by_name);
    mr_status status = mr__yaml_text_init(&r->source, text, len, problems);
    yaml_parser_t parser;
    if (status == MR_OK && !yaml_parser_initialize(&parser)) {
        status = MR_ENOMEM;
    } else if (status == MR_OK) {
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)r->source.text, r->source.len);
        status = read_events(r, &parser);
        yaml_parser_delete(&parser);
    }
    if (status == MR_OK) {
        *ret_root = r->stack[0];
    }
    mr__yaml_text_finish(&r->source);
    mr__hash_finish(&r->anchor_by_name);
    mr__free(r->anchors);
    mr__free(r->stack);
    mr__free(r);
    return status;
}

static struct mr__pos mark_pos(const struct reader *r, const yaml_mark_t *mark)
{
    uint32_t line = (uint32_t)mark->line, column = (uint32_t)mark->column;
    return (struct mr__pos){
        .line = line + 1, .column = mr__yaml_text_column(&r->source, line, column) + 1, .width = 1};
}

static mr_status read_events(struct reader *r, yaml_parser_t *parser)
{
    mr_status status = MR_OK;
    bool more = true;
    while (more && status == MR_OK) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return add_syntax_problem(r, parser);
        }
        more = event.type != YAML_STREAM_END_EVENT;
        status = read_event(r, &event);
        yaml_event_delete(&event);
    }
    if (status != MR_OK) {
        return status;
    }
    struct mr__pos top = {.line = 1, .column = 1};
    if (!r->has_root) {
        mr__problem_add(r->problems, "E001", top, NULL, "the file is empty");
        return MR_EDEFINITION;
    }
    if (r->expanded > MR__DAG_ALIAS_NODES_FREE &&
        r->expanded > r->written * MR__DAG_ALIAS_FACTOR_MAX) {
        mr__problem_add(r->problems, "E010", top, NULL,
                        "aliases make the file more than %u times as large as it is written",
                        MR__DAG_ALIAS_FACTOR_MAX);
        return MR_EDEFINITION;
    }
    return MR_OK;
}

static mr_status read_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->has_root) {
            mr__problem_add(r->problems, "E007", mark_pos(r, &event->start_mark), NULL,
                            "a second document begins here: a file holds one dag");
            return MR_EDEFINITION;
        }
        return MR_OK;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return open_container(r, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_container(r);
    case YAML_SCALAR_EVENT: return read_scalar(r, event);
    case YAML_ALIAS_EVENT: return read_alias(r, event);
    default: return MR_OK;
    }
}

/* libyaml's words for what a person wants to know; in the order in which they are looked for. */
static const struct {
    const char *problem; /* a part of libyaml's text */
    const char *message;
} syntax_words[] = {
    {"could not find expected ':'", "expected ':' after the key that begins here or above"},
    {"mapping values are not allowed", "':' is not allowed here: a quote is missing, or the "
                                       "indentation is wrong"},
    {"block sequence entries are not allowed", "a list item is not allowed here: check the "
                                               "indentation"},
    {"mapping keys are not allowed", "a key is not allowed here: check the indentation"},
    {"unknown escape character", "not an escape of double-quoted text (write \\\\ for a backslash, "
                                 "or use single quotes)"},
    {"hexdecimal number", "an escape with too few hexadecimal digits"},
    {"invalid Unicode character escape", "half of a surrogate pair, or no Unicode character"},
    {"found unexpected end of stream", "this quote is never closed"},
    {"found unexpected document indicator", "a document ends inside quoted text"},
    {"did not find expected key", "expected a key here: check the indentation, and quotes and "
                                  "brackets above"},
    {"expected '-' indicator", "expected a list item ('- ') here: check the indentation"},
    {"expected ',' or ']'", "expected ',' or ']': a bracket above is not closed"},
    {"expected ',' or '}'", "expected ',' or '}': a brace above is not closed"},
    {"expected node content", "expected a value here"},
    {"expected <document start>", "text after the end of the document"},
    {"expected alphabetic or numeric", "an anchor or alias needs a name of letters, digits, - "
                                       "and _ (to begin text with & or *, put it in quotes)"},
    {"expected comment or line break", "only a comment may follow here"},
    {"tag handle", "an unknown tag (to begin text with !, put it in quotes)"},
    {"while parsing a tag", "not a tag (to begin text with !, put it in quotes)"},
    {"incompatible YAML document", "this version of YAML is not known: 1.1 and 1.2 are"},
};

static const char *syntax_message(const char *problem)
{
    for (size_t i = 0; i < MR__COUNT(syntax_words); i++) {
        if (strstr(problem, syntax_words[i].problem) != NULL) {
            return syntax_words[i].message;
        }
    }
    return problem;
}

/* The byte of the text at a mark, whose index counts characters; 0 at its end. */
static char byte_at(const struct reader *r, const yaml_mark_t *mark)
{
    size_t index = 0;
    for (size_t i = 0; i < r->source.len; i++) {
        if (((unsigned char)r->source.text[i] & 0xc0) != 0x80 && index++ == mark->index) {
            return r->source.text[i];
        }
    }
    return '\0';
}

static mr_status add_syntax_problem(struct reader *r, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return MR_ENOMEM;
    }
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    const yaml_mark_t *mark = &parser->problem_mark;
    /* The place that matters of an unclosed quote is its beginning. */
    if (strstr(problem, "unexpected end of stream") != NULL && parser->context != NULL) {
        mark = &parser->context_mark;
    }
    struct mr__pos pos = mark_pos(r, mark);
    if (strstr(problem, "Unicode character escape") != NULL ||
        strstr(problem, "hexdecimal") != NULL) {
        pos.column -= 2; /* libyaml stands behind the backslash and the letter */
        pos.width = 2;
    }
    char c = byte_at(r, mark);
    if (c == '\t' &&
        (strstr(problem, "tab") != NULL || strstr(problem, "start any token") != NULL)) {
        mr__problem_add(r->problems, "E006", pos, NULL, "a tab cannot indent: use spaces");
    } else if (strstr(problem, "start any token") != NULL) {
        mr__problem_add(r->problems, "E005", pos, NULL,
                        "a value cannot begin with '%c': put it in quotes", c);
    } else {
        mr__problem_add(r->problems, "E005", pos, NULL, "%s", syntax_message(problem));
    }
    return MR_EDEFINITION;
}

static struct mr__yaml_node make_node(const struct reader *r, const yaml_event_t *event,
                                      enum mr__yaml_kind kind)
{
    struct mr__pos begin = mark_pos(r, &event->start_mark), end = mark_pos(r, &event->end_mark);
    uint32_t width = 1;
    if (end.line == begin.line && end.column > begin.column && kind == MR__YAML_SCALAR) {
        width = MR__MIN(end.column - begin.column, WIDTH_MAX);
    }
    return (struct mr__yaml_node){
        .line = begin.line, .column = begin.column, .width = width, .kind = kind};
}

/* Puts a finished node where it belongs. */
static mr_status push(struct reader *r, const struct mr__yaml_node *node)
{
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 64 : r->cap * 2;
        struct mr__yaml_node *stack = mr__realloc(r->stack, cap * sizeof *stack);
        if (stack == NULL) {
            return MR_ENOMEM;
        }
        r->stack = stack;
        r->cap = cap;
    }
    r->stack[r->count++] = *node;
    r->has_root = true;
    return MR_OK;
}

/* A new anchor; a name may be given anew, and means the latest from then on. */
static mr_status add_anchor(struct reader *r, const yaml_char_t *name, uint32_t *ret_anchor)
{
    *ret_anchor = NO_ANCHOR;
    if (name == NULL) {
        return MR_OK;
    }
    if (r->anchor_count == r->anchor_cap) {
        uint32_t cap = r->anchor_cap == 0 ? 16 : r->anchor_cap * 2;
        struct anchor *anchors = mr__realloc(r->anchors, cap * sizeof *anchors);
        if (anchors == NULL) {
            return MR_ENOMEM;
        }
        r->anchors = anchors;
        r->anchor_cap = cap;
    }
    size_t len = strlen((const char *)name);
    const char *key = mr__arena_dup(r->arena, (const char *)name, len);
    if (key == NULL || mr__hash_put(&r->anchor_by_name, key, len, r->anchor_count) != MR_OK) {
        return MR_ENOMEM;
    }
    memset(&r->anchors[r->anchor_count], 0, sizeof *r->anchors);
    *ret_anchor = r->anchor_count++;
    return MR_OK;
}

static void complete_anchor(struct reader *r, uint32_t anchor, const struct mr__yaml_node *node,
                            uint64_t expanded, unsigned height)
{
    if (anchor != NO_ANCHOR) {
        r->anchors[anchor] = (struct anchor){
            .node = *node, .expanded = expanded, .height = height, .complete = true};
    }
}

/* False, and a problem, if what is `height` high does not fit into what is open. */
static bool fits_depth(struct reader *r, unsigned height, struct mr__pos pos)
{
    if (r->depth + height > MR__DAG_DEPTH_MAX) {
        mr__problem_add(r->problems, "E008", pos, NULL, "nested deeper than %u", MR__DAG_DEPTH_MAX);
        return false;
    }
    if (r->depth > 0 && r->open[r->depth - 1].height < height) {
        r->open[r->depth - 1].height = height;
    }
    return true;
}

static void check_container_tag(struct reader *r, const yaml_event_t *event, struct mr__pos pos)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    const char *tag =
        (const char *)(is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (tag != NULL && strcmp(tag, "!") != 0 &&
        strcmp(tag, is_map ? CORE_TAG "map" : CORE_TAG "seq") != 0) {
        mr__problem_add(r->problems, "E011", pos, NULL, "the tag \"%.100s\" is not supported here",
                        tag);
    }
}

static mr_status open_container(struct reader *r, const yaml_event_t *event)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    struct mr__yaml_node node = make_node(r, event, is_map ? MR__YAML_MAP : MR__YAML_LIST);
    if (!fits_depth(r, 1, mr__yaml_pos(&node))) {
        return MR_EDEFINITION;
    }
    check_container_tag(r, event, mr__yaml_pos(&node));
    struct open *open = &r->open[r->depth++];
    *open = (struct open){.node = node, .first = r->count, .expanded = r->expanded};
    r->written++;
    r->expanded++;
    return add_anchor(r,
                      is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                      &open->anchor);
}

static mr_status close_container(struct reader *r)
{
    const struct open open = r->open[--r->depth];
    struct mr__yaml_node node = open.node;
    size_t count = r->count - open.first;
    mr_status status = MR_OK;
    if (node.kind == MR__YAML_MAP) {
        status = close_map(r, &open, &node);
    } else {
        struct mr__yaml_node *items = mr__arena_alloc(r->arena, count * sizeof *items);
        if (items == NULL) {
            return MR_ENOMEM;
        }
        if (count > 0) {
            memcpy(items, r->stack + open.first, count * sizeof *items);
        }
        node.u.items = items;
        node.len = (uint32_t)count;
    }
    if (status != MR_OK) {
        return status;
    }
    r->count = open.first;
    unsigned height = open.height + 1;
    if (r->depth > 0 && r->open[r->depth - 1].height < height) {
        r->open[r->depth - 1].height = height;
    }
    complete_anchor(r, open.anchor, &node, r->expanded - open.expanded, height);
    return push(r, &node);
}

/* ---- maps ---------------------------------------------------------------------------------- */

/* The pairs of a map under way. */
struct pairs {
    struct mr__yaml_node *items;
    uint32_t len;
    struct mr__hash by_key; /* filled once there are many */
};

static mr_status pairs_find(struct pairs *pairs, const struct mr__yaml_node *key,
                            const struct mr__yaml_node **ret_key)
{
    *ret_key = NULL;
    if (pairs->len <= LINEAR_KEYS_MAX) {
        for (uint32_t i = 0; i < pairs->len && *ret_key == NULL; i++) {
            const struct mr__yaml_node *other = &pairs->items[2 * i];
            *ret_key = strcmp(other->u.text, key->u.text) == 0 ? other : NULL;
        }
        return MR_OK;
    }
    for (uint32_t i = (uint32_t)pairs->by_key.count; i < pairs->len; i++) {
        const struct mr__yaml_node *other = &pairs->items[2 * i];
        if (mr__hash_put(&pairs->by_key, other->u.text, other->len, i) != MR_OK) {
            return MR_ENOMEM;
        }
    }
    uint64_t at;
    if (mr__hash_get(&pairs->by_key, key->u.text, key->len, &at)) {
        *ret_key = &pairs->items[2 * at];
    }
    return MR_OK;
}

static void pairs_add(struct pairs *pairs, const struct mr__yaml_node *pair)
{
    pairs->items[2 * pairs->len] = pair[0];
    pairs->items[2 * pairs->len + 1] = pair[1];
    pairs->len++;
}

static bool is_merge(const struct mr__yaml_node *key)
{
    return key->kind == MR__YAML_SCALAR && key->plain && strcmp(key->u.text, "<<") == 0;
}

/* The maps that a merge names: one, or those of a list. NULL: it names something else. */
static const struct mr__yaml_node *merge_sources(const struct mr__yaml_node *value,
                                                 uint32_t *ret_count)
{
    *ret_count = 1;
    if (value->kind == MR__YAML_MAP) {
        return value;
    }
    bool all_maps = value->kind == MR__YAML_LIST;
    for (uint32_t i = 0; all_maps && i < value->len; i++) {
        all_maps = value->u.items[i].kind == MR__YAML_MAP;
    }
    *ret_count = value->len;
    return all_maps ? value->u.items : NULL;
}

static mr_status add_own_pair(struct reader *r, struct pairs *pairs,
                              const struct mr__yaml_node *pair)
{
    if (pair[0].kind != MR__YAML_SCALAR) {
        mr__problem_add(r->problems, "E110", mr__yaml_pos(&pair[0]), NULL,
                        "a key is text, not a list or map");
        return MR_OK;
    }
    const struct mr__yaml_node *first;
    mr_status status = pairs_find(pairs, &pair[0], &first);
    if (status == MR_OK && first != NULL) {
        mr__problem_add(r->problems, "E101", mr__yaml_pos(&pair[0]), NULL,
                        "the key \"%.140s\" stands here twice, first in line %u", pair[0].u.text,
                        first->line);
    } else if (status == MR_OK) {
        pairs_add(pairs, pair);
    }
    return status;
}

static mr_status add_merged_pairs(struct pairs *pairs, const struct mr__yaml_node *value)
{
    uint32_t count;
    const struct mr__yaml_node *sources = merge_sources(value, &count);
    for (uint32_t i = 0; sources != NULL && i < count; i++) {
        for (uint32_t j = 0; j < sources[i].len; j++) {
            const struct mr__yaml_node *pair = &sources[i].u.items[2 * j], *first;
            if (pairs_find(pairs, &pair[0], &first) != MR_OK) {
                return MR_ENOMEM;
            }
            if (first == NULL) {
                pairs_add(pairs, pair);
            }
        }
    }
    return MR_OK;
}

/* How many pairs there may be at most; a merge of something that is no map is a problem. */
static size_t count_pairs(struct reader *r, const struct mr__yaml_node *items, size_t count)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mr__yaml_node *pair = &items[2 * i];
        if (!is_merge(&pair[0])) {
            room++;
            continue;
        }
        uint32_t source_count;
        const struct mr__yaml_node *sources = merge_sources(&pair[1], &source_count);
        if (sources == NULL) {
            mr__problem_add(r->problems, "E013", mr__yaml_pos(&pair[1]), NULL,
                            "<< merges a map or a list of maps");
            continue;
        }
        for (uint32_t j = 0; j < source_count; j++) {
            room += sources[j].len;
        }
    }
    return room;
}

/* Its own pairs in their order, then what is merged in: of equal keys the own one, else the first.
 */
static mr_status close_map(struct reader *r, const struct open *open, struct mr__yaml_node *node)
{
    const struct mr__yaml_node *items = r->count == open->first ? NULL : &r->stack[open->first];
    size_t count = (r->count - open->first) / 2;
    struct pairs pairs = {.len = 0};
    mr__hash_init(&pairs.by_key);
    pairs.items = mr__arena_alloc(r->arena, count_pairs(r, items, count) * 2 * sizeof *items);
    mr_status status = pairs.items == NULL ? MR_ENOMEM : MR_OK;
    for (size_t i = 0; i < count && status == MR_OK; i++) {
        if (!is_merge(&items[2 * i])) {
            status = add_own_pair(r, &pairs, &items[2 * i]);
        }
    }
    for (size_t i = 0; i < count && status == MR_OK; i++) {
        if (is_merge(&items[2 * i])) {
            status = add_merged_pairs(&pairs, &items[2 * i + 1]);
        }
    }
    mr__hash_finish(&pairs.by_key);
    node->u.items = pairs.items;
    node->len = pairs.len;
    return status;
}

/* ---- scalars and aliases ------------------------------------------------------------------- */

/* Whether a scalar is of the type that its tag says. */
static bool fits_tag(const struct mr__yaml_node *node, const char *type)
{
    mr_value value;
    if (mr__yaml_scalar(node, &value) != NULL) {
        return true; /* it has a problem that is told where it is read */
    }
    return (value.type == MR_NULL && strcmp(type, "null") == 0) ||
           (value.type == MR_BOOL && strcmp(type, "bool") == 0) ||
           (value.type == MR_INT && strcmp(type, "int") == 0) ||
           (value.type == MR_NUMBER && strcmp(type, "float") == 0);
}

static void apply_tag(struct reader *r, struct mr__yaml_node *node, const char *tag)
{
    size_t core_len = strlen(CORE_TAG);
    const char *type = strncmp(tag, CORE_TAG, core_len) == 0 ? tag + core_len : "";
    node->plain = 0;
    if (strcmp(tag, "!") == 0 || strcmp(type, "str") == 0) {
        return;
    }
    if (strcmp(type, "null") != 0 && strcmp(type, "bool") != 0 && strcmp(type, "int") != 0 &&
        strcmp(type, "float") != 0) {
        mr__problem_add(r->problems, "E011", mr__yaml_pos(node), NULL,
                        "the tag \"%.100s\" is not supported here", tag);
        return;
    }
    node->plain = 1;
    node->is_float = strcmp(type, "float") == 0;
    if (!fits_tag(node, type)) {
        mr__problem_add(r->problems, "E011", mr__yaml_pos(node), NULL, "\"%.140s\" is not a !!%s",
                        node->u.text, type);
    }
}

static enum mr__yaml_layout layout_of(const yaml_event_t *event, uint32_t width)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length, chars = 0;
    yaml_scalar_style_t style = event->data.scalar.style;
    if (style == YAML_LITERAL_SCALAR_STYLE) {
        return MR__YAML_BLOCK;
    }
    for (size_t i = 0; i < len; i++) {
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    /* An escape is longer than what it stands for, and so are a tag and an anchor before the text.
     */
    chars += style == YAML_PLAIN_SCALAR_STYLE ? 0 : 2;
    return chars == width ? MR__YAML_AS_IS : MR__YAML_OTHER;
}

static mr_status read_scalar(struct reader *r, const yaml_event_t *event)
{
    struct mr__yaml_node node = make_node(r, event, MR__YAML_SCALAR);
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len) != NULL) {
        mr__problem_add(r->problems, "E004", mr__yaml_pos(&node), NULL, "text may not hold NUL");
        len = strlen(text);
    }
    node.u.text = mr__arena_dup(r->arena, text, len);
    node.len = (uint32_t)len;
    node.plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node.layout = layout_of(event, node.width);
    uint32_t anchor;
    if (node.u.text == NULL || add_anchor(r, event->data.scalar.anchor, &anchor) != MR_OK) {
        return MR_ENOMEM;
    }
    if (event->data.scalar.tag != NULL) {
        apply_tag(r, &node, (const char *)event->data.scalar.tag);
    }
    r->written++;
    r->expanded++;
    complete_anchor(r, anchor, &node, 1, 0);
    return push(r, &node);
}

static mr_status read_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct mr__yaml_node node = make_node(r, event, MR__YAML_SCALAR);
    struct mr__pos pos = mr__yaml_pos(&node);
    uint64_t at;
    if (!mr__hash_get(&r->anchor_by_name, name, strlen(name), &at)) {
        mr__problem_add(r->problems, "E009", pos, NULL, "no anchor &%.100s stands above", name);
        at = NO_ANCHOR;
    } else if (!r->anchors[at].complete) {
        mr__problem_add(r->problems, "E009", pos, NULL,
                        "the alias *%.100s stands for what it is in", name);
        at = NO_ANCHOR;
    }
    r->written++;
    if (at == NO_ANCHOR) {
        node.u.text = "";
        node.plain = 1;
        r->expanded++;
        return push(r, &node);
    }
    const struct anchor *anchor = &r->anchors[at];
    if (!fits_depth(r, anchor->height, pos)) {
        return MR_EDEFINITION;
    }
    node = anchor->node;
    node.line = pos.line;
    node.column = pos.column;
    node.width = pos.width;
    node.layout = MR__YAML_OTHER;
    r->expanded += anchor->expanded;
    /* A file has at most one node a byte: what is beyond this can only be too much at the end. */
    if (r->expanded > MR__DAG_ALIAS_NODES_FREE &&
        r->expanded > (uint64_t)(r->source.len + 1) * MR__DAG_ALIAS_FACTOR_MAX) {
        mr__problem_add(r->problems, "E010", pos, NULL,
                        "aliases make the file more than %u times as large as it is written",
                        MR__DAG_ALIAS_FACTOR_MAX);
        return MR_EDEFINITION;
    }
    return push(r, &node);
}
