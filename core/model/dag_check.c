/* SPDX-License-Identifier: MIT
 *
 * The graph of a dag: repeated and self-dependencies, cycles, a task to begin with; then parents
 * and children in flat arrays. Pure. Every walk is linear in tasks and dependencies, and none
 * recurses.
 */
#include <stdlib.h>

#include "core/model/parse.h"

#define NOT_SEEN          0u
#define CYCLE_TASKS_SHOWN 10u

/* The work space of the search for cycles: Tarjan's strongly connected components. */
struct search {
    const struct mr__dag_task *tasks;
    const uint32_t *parents;
    uint32_t *order;     /* when a task was first met, from 1; NOT_SEEN */
    uint32_t *low;       /* the earliest task that is reached from it and still on the stack */
    uint32_t *component; /* 0: not in one yet */
    uint32_t *stack;     /* tasks that are in no component yet */
    uint32_t *path;      /* the walk from its beginning to here */
    uint32_t *next;      /* of each task on the path: the parent to look at next */
    uint32_t stack_len, path_len, met, components;
};

static void write_parents(struct mr__parse *p, struct mr__dag_task *tasks,
                          const struct mr__dependency *dependencies, uint32_t count,
                          uint32_t *parents, struct mr__pos *parent_pos);
static void find_cycles(struct mr__parse *p, struct search *s, const struct mr__pos *parent_pos);
static void write_children(struct mr__parse *p, struct mr__dag_task *tasks, const uint32_t *parents,
                           uint32_t count);

void mr__parse_graph(struct mr__parse *p, struct mr__dag_task *tasks,
                     const struct mr__dependency *dependencies, uint32_t count,
                     struct mr__pos tasks_pos)
{
    uint32_t task_count = p->dag->task_count;
    uint32_t *parents = mr__parse_alloc(p, count * sizeof *parents);
    struct mr__pos *parent_pos = mr__parse_alloc_scratch(p, count * sizeof *parent_pos);
    uint32_t *space = mr__parse_alloc_scratch(p, (size_t)task_count * 6 * sizeof *space);
    if (parents == NULL || parent_pos == NULL || space == NULL) {
        return;
    }
    write_parents(p, tasks, dependencies, count, parents, parent_pos);
    struct search search = {.tasks = tasks,
                            .parents = parents,
                            .order = space,
                            .low = space + task_count,
                            .component = space + (size_t)task_count * 2,
                            .stack = space + (size_t)task_count * 3,
                            .path = space + (size_t)task_count * 4,
                            .next = space + (size_t)task_count * 5};
    find_cycles(p, &search, parent_pos);

    bool has_start = false;
    for (uint32_t i = 0; i < task_count && !has_start; i++) {
        has_start = tasks[i].parent_count == 0;
    }
    if (!has_start) {
        mr__problem_add(p->problems, "E314", tasks_pos, NULL,
                        "no task can begin: each one depends on another");
    }
    write_children(p, tasks, parents, count);
}

/* The parents of each task, each once. Those of self-dependencies and repeats are left out. */
static void write_parents(struct mr__parse *p, struct mr__dag_task *tasks,
                          const struct mr__dependency *dependencies, uint32_t count,
                          uint32_t *parents, struct mr__pos *parent_pos)
{
    uint32_t task_count = p->dag->task_count, written = 0, next = 0;
    /* The latest task that named each one as its parent, from 1. */
    uint32_t *named_by = mr__parse_alloc_scratch(p, task_count * sizeof *named_by);
    if (named_by == NULL) {
        return;
    }
    for (uint32_t i = 0; i < task_count; i++) {
        tasks[i].first_parent = written;
        for (; next < count && dependencies[next].task == i; next++) {
            const struct mr__dependency *dependency = &dependencies[next];
            const char *id = tasks[dependency->parent].id;
            if (dependency->parent == i) {
                mr__problem_add(p->problems, "E312", dependency->pos, NULL,
                                "task \"%s\" depends on itself", id);
            } else if (named_by[dependency->parent] == i + 1) {
                mr__problem_add(p->problems, "W315", dependency->pos, NULL,
                                "task \"%s\" depends on \"%s\" twice", tasks[i].id, id);
            } else {
                named_by[dependency->parent] = i + 1;
                parents[written] = dependency->parent;
                parent_pos[written++] = dependency->pos;
            }
        }
        tasks[i].parent_count = written - tasks[i].first_parent;
    }
    p->dag->parents = parents;
}

/* ---- cycles -------------------------------------------------------------------------------- */

static void enter(struct search *s, uint32_t task)
{
    s->order[task] = s->low[task] = ++s->met;
    s->stack[s->stack_len++] = task;
    s->path[s->path_len++] = task;
    s->next[task] = 0;
}

/* "a -> b -> a": each waits for the next. `cycle` has `len` tasks and begins at `begin`. */
static void print_cycle(const struct search *s, const uint32_t *cycle, uint32_t len, uint32_t begin,
                        struct mr__buf *buf)
{
    mr__buf_text(buf, s->tasks[cycle[begin]].id);
    for (uint32_t i = 1; i <= len; i++) {
        if (i == CYCLE_TASKS_SHOWN && len > CYCLE_TASKS_SHOWN) {
            mr__buf_printf(buf, " -> ... (%u more)", len - i);
            i = len;
        }
        mr__buf_printf(buf, " -> %s", s->tasks[cycle[(begin + i) % len]].id);
    }
}

/* One cycle of the component of `task`, all of whose tasks have left the path. */
static void add_cycle(struct mr__parse *p, struct search *s, uint32_t task,
                      const struct mr__pos *parent_pos)
{
    /* Going to a parent of the same component, again and again, ends in a cycle. The way is written
     * behind the path, where there is room for every task that is not on it; `next`, which is used
     * up, marks who is on the way. */
    uint32_t *way = s->path + s->path_len;
    uint32_t len = 0, at = task;
    while (s->next[at] != UINT32_MAX) {
        s->next[at] = UINT32_MAX;
        way[len++] = at;
        uint32_t i = s->tasks[at].first_parent;
        while (s->component[s->parents[i]] != s->component[task]) {
            i++;
        }
        at = s->parents[i];
    }
    while (*way != at) {
        way++;
        len--;
    }
    uint32_t begin = 0; /* with the task that stands first in the file */
    for (uint32_t i = 1; i < len; i++) {
        begin = way[i] < way[begin] ? i : begin;
    }
    uint32_t place = s->tasks[way[begin]].first_parent;
    while (s->parents[place] != way[(begin + 1) % len]) {
        place++;
    }
    struct mr__buf text;
    mr__buf_init(&text);
    print_cycle(s, way, len, begin, &text);
    const char *words = mr__buf_cstr(&text);
    p->no_memory = p->no_memory || words == NULL;
    mr__problem_add(p->problems, "E313", parent_pos[place], NULL, "tasks wait for each other: %s",
                    words == NULL ? "" : words);
    mr__buf_finish(&text);
}

/* All of the stack from `task` on is one component: a cycle if it is more than one task. */
static void leave_component(struct mr__parse *p, struct search *s, uint32_t task,
                            const struct mr__pos *parent_pos)
{
    uint32_t size = 0, member;
    s->components++;
    do {
        member = s->stack[--s->stack_len];
        s->component[member] = s->components;
        size++;
    } while (member != task);
    if (size > 1) {
        add_cycle(p, s, task, parent_pos);
    }
}

static void find_cycles(struct mr__parse *p, struct search *s, const struct mr__pos *parent_pos)
{
    for (uint32_t root = 0; root < p->dag->task_count; root++) {
        if (s->order[root] != NOT_SEEN) {
            continue;
        }
        enter(s, root);
        while (s->path_len > 0) {
            uint32_t task = s->path[s->path_len - 1];
            const struct mr__dag_task *row = &s->tasks[task];
            if (s->next[task] < row->parent_count) {
                uint32_t parent = s->parents[row->first_parent + s->next[task]++];
                if (s->order[parent] == NOT_SEEN) {
                    enter(s, parent);
                } else if (s->component[parent] == 0) {
                    s->low[task] = MR__MIN(s->low[task], s->order[parent]);
                }
                continue;
            }
            s->path_len--;
            if (s->low[task] == s->order[task]) {
                leave_component(p, s, task, parent_pos);
            }
            if (s->path_len > 0) {
                uint32_t child = s->path[s->path_len - 1];
                s->low[child] = MR__MIN(s->low[child], s->low[task]);
            }
        }
    }
}

/* ---- children ------------------------------------------------------------------------------ */

static void write_children(struct mr__parse *p, struct mr__dag_task *tasks, const uint32_t *parents,
                           uint32_t count)
{
    uint32_t task_count = p->dag->task_count, first = 0;
    uint32_t *children = mr__parse_alloc(p, count * sizeof *children);
    if (children == NULL) {
        return;
    }
    for (uint32_t i = 0; i < task_count; i++) {
        for (uint32_t j = 0; j < tasks[i].parent_count; j++) {
            tasks[parents[tasks[i].first_parent + j]].child_count++;
        }
    }
    for (uint32_t i = 0; i < task_count; i++) {
        tasks[i].first_child = first;
        first += tasks[i].child_count;
        tasks[i].child_count = 0; /* counted again as they are written */
    }
    for (uint32_t i = 0; i < task_count; i++) {
        for (uint32_t j = 0; j < tasks[i].parent_count; j++) {
            struct mr__dag_task *parent = &tasks[parents[tasks[i].first_parent + j]];
            children[parent->first_child + parent->child_count++] = i;
        }
    }
    p->dag->children = children;
}
