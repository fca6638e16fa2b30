/* SPDX-License-Identifier: MIT
 *
 * graph: a dag as a tree in ASCII, for Graphviz, or for Mermaid. The same dag always gives the same
 * text.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/outline.h"
#include "sdk/cli/print.h"

#include <stdlib.h>
#include <string.h>

#define NONE      SIZE_MAX
#define DEPTH_MAX 48 /* of the tree's drawing: deeper ones say how deep */

/* The tree: each task under its last parent, the one in the deepest layer. */
struct node {
    size_t parent, first_child, last_child, next; /* numbers of tasks, or NONE */
    size_t depth;
    size_t anchor; /* of one that is deeper than is drawn: the last above it that is drawn */
};

static void draw_tree(struct mr__cli *cli, const struct mr__outline *outline, struct node *nodes);
static void draw_dot(struct mr__cli *cli, const struct mr__outline *outline);
static void draw_mermaid(struct mr__cli *cli, const struct mr__outline *outline);

int mr__cmd_graph(struct mr__cli *cli)
{
    struct mr__outline outline;
    struct node *nodes = NULL;
    int code = mr__outline_read(cli, true, &outline);
    if (code != MR__EXIT_OK) {
        mr__outline_finish(&outline);
        return code;
    }
    if (mr__print_is_json(cli)) {
        mr__print_document(cli, outline.document);
    } else if (cli->options.drawing == MR__DRAW_DOT) {
        draw_dot(cli, &outline);
    } else if (cli->options.drawing == MR__DRAW_MERMAID) {
        draw_mermaid(cli, &outline);
    } else if ((nodes = calloc(outline.count + 1, sizeof *nodes)) != NULL) {
        draw_tree(cli, &outline, nodes);
    } else {
        code = mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
    }
    free(nodes);
    mr__outline_finish(&outline);
    return code;
}

/* Prints what is drawn so far and forgets it. */
static void flush(struct mr__cli *cli, struct mr__text *text)
{
    mr__print_out(cli, mr__text_str(text), text->len);
    mr__text_clear(text);
}

/* ---- what is said of a task ---------------------------------------------------------------- */

/* Begins a walk over the tasks that one depends on. */
static void parents_begin(const struct mr__outline_task *task, struct mr__pick_each *each)
{
    mr__pick_begin(each, mr__pick_member(task->object, "dependOn"));
}

static const struct mr__outline_task *parents_next(const struct mr__outline *outline,
                                                   struct mr__pick_each *each)
{
    struct mr__pick key;
    struct mr__pick id;
    if (each->object || each->at == NULL || !mr__pick_next(each, &key, &id)) {
        return NULL;
    }
    return mr__outline_find(outline, id);
}

static bool has_when(const struct mr__outline_task *task)
{
    return !mr__pick_equals(mr__pick_member(task->object, "when"), "success");
}

static bool is_fan(const struct mr__outline_task *task)
{
    return mr__pick_is(mr__pick_member(task->object, "forEach"), "true");
}

static bool has_conditions(const struct mr__outline_task *task)
{
    return mr__pick_count(mr__pick_member(task->object, "conditions")) > 0;
}

/* "when: failed, forEach, skipIf"; nothing for most. */
static void add_marks(struct mr__text *text, const struct mr__outline_task *task)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick condition;
    bool first = true;
    if (has_when(task)) {
        mr__text_puts(text, "when: ");
        (void)mr__pick_text(mr__pick_member(task->object, "when"), text); /* it is there */
        first = false;
    }
    if (is_fan(task)) {
        mr__text_puts(text, first ? "forEach" : ", forEach");
        first = false;
    }
    mr__pick_begin(&each, mr__pick_member(task->object, "conditions"));
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &condition)) {
        mr__text_puts(text, first ? "" : ", ");
        (void)mr__pick_text(condition, text); /* likewise */
        first = false;
    }
}

/* ---- a tree -------------------------------------------------------------------------------- */

/* Hangs every task under its last parent. The row behind the last is the root. */
static void grow_tree(const struct mr__outline *outline, struct node *nodes)
{
    for (size_t i = 0; i <= outline->count; i++) {
        nodes[i] = (struct node){outline->count, NONE, NONE, NONE, 0, NONE};
    }
    for (size_t i = 0; i < outline->count; i++) {
        struct mr__pick_each each;
        const struct mr__outline_task *parent;
        size_t last = outline->count;
        parents_begin(&outline->tasks[i], &each);
        while ((parent = parents_next(outline, &each)) != NULL) {
            bool deeper =
                last == outline->count ||
                mr__pick_int(mr__pick_member(parent->object, "layer"), 0) >
                    mr__pick_int(mr__pick_member(outline->tasks[last].object, "layer"), 0);
            last = deeper ? parent->number : last;
        }
        struct node *above = &nodes[last];
        nodes[i].parent = last;
        nodes[i].depth = last == outline->count ? 0 : above->depth + 1;
        if (nodes[i].depth >= DEPTH_MAX) {
            nodes[i].anchor = nodes[i].depth == DEPTH_MAX ? above->parent : above->anchor;
        }
        if (above->first_child == NONE) {
            above->first_child = i;
        } else {
            nodes[above->last_child].next = i;
        }
        above->last_child = i;
    }
}

/* The lines on the left of a task: "|  `- ". */
static void add_branches(struct mr__text *text, const struct node *nodes, size_t number)
{
    bool last[DEPTH_MAX];
    size_t depth = nodes[number].depth;
    size_t shown = depth < DEPTH_MAX ? depth : DEPTH_MAX - 1;
    size_t at = depth > shown ? nodes[number].anchor : nodes[number].parent;
    last[shown] = nodes[number].next == NONE;
    for (size_t i = shown; i-- > 0; at = nodes[at].parent) {
        last[i] = nodes[at].next == NONE;
    }
    for (size_t i = 0; i < shown; i++) {
        mr__text_puts(text, last[i] ? "   " : "|  ");
    }
    mr__text_puts(text, last[shown] ? "`- " : "+- ");
    if (depth > shown) {
        mr__text_printf(text, "(%zu) ", depth + 1);
    }
}

static void draw_task(const struct mr__outline *outline, const struct node *nodes, size_t number,
                      struct mr__text *text)
{
    const struct mr__outline_task *task = &outline->tasks[number];
    const struct mr__outline_task *parent;
    struct mr__text marks = {0};
    struct mr__pick_each each;
    bool first = true;
    add_branches(text, nodes, number);
    (void)mr__pick_text(task->id, text); /* it is there */
    mr__text_puts(text, "  ");
    if (!mr__pick_present(mr__pick_member(task->object, "action"))) {
        mr__text_puts(text, "-");
    } else {
        (void)mr__pick_text(mr__pick_member(task->object, "action"), text); /* likewise */
    }
    add_marks(&marks, task);
    if (marks.len > 0) {
        mr__text_printf(text, "  [%s]", marks.at);
    }
    parents_begin(task, &each);
    while ((parent = parents_next(outline, &each)) != NULL) {
        if (parent->number != nodes[number].parent) {
            mr__text_puts(text, first ? "  <- also after " : ", ");
            (void)mr__pick_text(parent->id, text); /* likewise */
            first = false;
        }
    }
    mr__text_puts(text, "\n");
    mr__text_finish(&marks);
}

static void draw_tree(struct mr__cli *cli, const struct mr__outline *outline, struct node *nodes)
{
    struct mr__text text = {0};
    grow_tree(outline, nodes);
    (void)mr__pick_text(mr__pick_member(outline->document, "dag"), &text); /* it is there */
    mr__text_puts(&text, "\n");
    size_t at = nodes[outline->count].first_child;
    while (at != NONE && at != outline->count) {
        draw_task(outline, nodes, at, &text);
        flush(cli, &text);
        if (nodes[at].first_child != NONE) {
            at = nodes[at].first_child;
            continue;
        }
        while (at != outline->count && nodes[at].next == NONE) {
            at = nodes[at].parent;
        }
        at = at != outline->count ? nodes[at].next : at;
    }
    mr__text_finish(&text);
}

/* ---- dot and mermaid ----------------------------------------------------------------------- */

/* A text within quotes, as the format wants what it would take for its own. */
static void add_escaped(struct mr__text *text, const char *string, bool mermaid)
{
    for (; *string != '\0'; string++) {
        bool special =
            mermaid ? strchr("\"#<>&", *string) != NULL : strchr("\"\\", *string) != NULL;
        if (special && mermaid) {
            mr__text_printf(text, "#%d;", *string);
        } else {
            mr__text_puts(text, special ? "\\" : "");
            mr__text_add(text, string, 1);
        }
    }
}

/* The task's id, action and marks, a line each. */
static void add_label(struct mr__text *text, const struct mr__outline_task *task, bool mermaid)
{
    struct mr__text part = {0};
    const char *newline = mermaid ? "<br/>" : "\\n";
    (void)mr__pick_text(task->id, &part); /* it is there */
    add_escaped(text, mr__text_str(&part), mermaid);
    mr__text_clear(&part);
    if (mr__pick_present(mr__pick_member(task->object, "action"))) {
        (void)mr__pick_text(mr__pick_member(task->object, "action"), &part); /* likewise */
        mr__text_puts(text, newline);
        add_escaped(text, mr__text_str(&part), mermaid);
        mr__text_clear(&part);
    }
    add_marks(&part, task);
    if (part.len > 0) {
        mr__text_puts(text, newline);
        add_escaped(text, part.at, mermaid);
    }
    mr__text_finish(&part);
}

/* All edges, "n1 -> n2" each. */
static void draw_edges(struct mr__cli *cli, const struct mr__outline *outline, const char *arrow,
                       const char *end)
{
    struct mr__text text = {0};
    for (size_t i = 0; i < outline->count; i++) {
        const struct mr__outline_task *parent;
        struct mr__pick_each each;
        parents_begin(&outline->tasks[i], &each);
        while ((parent = parents_next(outline, &each)) != NULL) {
            mr__text_printf(&text, "  n%zu %s n%zu%s\n", parent->number, arrow, i, end);
        }
        flush(cli, &text);
    }
    mr__text_finish(&text);
}

/* A box; a fan-out has two lines around it, conditions or `when` a dashed one, a gate is round. */
static void draw_dot(struct mr__cli *cli, const struct mr__outline *outline)
{
    struct mr__text text = {0};
    struct mr__text id = {0};
    (void)mr__pick_text(mr__pick_member(outline->document, "dag"), &id); /* it is there */
    mr__text_puts(&text, "digraph \"");
    add_escaped(&text, mr__text_str(&id), false);
    mr__text_puts(&text, "\" {\n  node [shape=box];\n");
    for (size_t i = 0; i < outline->count; i++) {
        const struct mr__outline_task *task = &outline->tasks[i];
        mr__text_printf(&text, "  n%zu [label=\"", i);
        add_label(&text, task, false);
        mr__text_puts(&text, "\"");
        mr__text_puts(&text, mr__pick_present(mr__pick_member(task->object, "action"))
                                 ? ""
                                 : ", shape=ellipse");
        mr__text_puts(&text, is_fan(task) ? ", peripheries=2" : "");
        mr__text_puts(&text, has_when(task) || has_conditions(task) ? ", style=dashed" : "");
        mr__text_puts(&text, "];\n");
        flush(cli, &text);
    }
    draw_edges(cli, outline, "->", ";");
    mr__print_out(cli, "}\n", 2);
    mr__text_finish(&text);
    mr__text_finish(&id);
}

/* The same shapes as far as Mermaid has them: conditions or `when` give a hexagon. */
static void draw_mermaid(struct mr__cli *cli, const struct mr__outline *outline)
{
    static const char *const shapes[][2] = {{"[", "]"}, {"[[", "]]"}, {"{{", "}}"}, {"([", "])"}};
    struct mr__text text = {0};
    mr__text_puts(&text, "flowchart TD\n");
    for (size_t i = 0; i < outline->count; i++) {
        const struct mr__outline_task *task = &outline->tasks[i];
        size_t shape = is_fan(task)                                                 ? 1
                       : has_when(task) || has_conditions(task)                     ? 2
                       : !mr__pick_present(mr__pick_member(task->object, "action")) ? 3
                                                                                    : 0;
        mr__text_printf(&text, "  n%zu%s\"", i, shapes[shape][0]);
        add_label(&text, task, true);
        mr__text_printf(&text, "\"%s\n", shapes[shape][1]);
        flush(cli, &text);
    }
    draw_edges(cli, outline, "-->", "");
    mr__text_finish(&text);
}
