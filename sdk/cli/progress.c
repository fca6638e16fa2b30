/* SPDX-License-Identifier: MIT
 *
 * What is known of a run while it goes on: tasks by id and by status. How it looks:
 * progress_draw.c.
 */
#include "sdk/cli/progress.h"

#include <stdlib.h>
#include <string.h>

#define TASKS_MAX 4000000u /* more is no answer of an engine */

static const struct {
    const char *name, *color;
    bool ended;
} states[MR__STATE_COUNT] = {
    [MR__STATE_INIT] = {"init", "\033[2m", false},
    [MR__STATE_RUNNING] = {"running", "\033[36m", false},
    [MR__STATE_ENDING] = {"ending", "\033[36m", false},
    [MR__STATE_RETRYING] = {"retrying", "\033[33m", false},
    [MR__STATE_CONTINUE] = {"continue", "\033[36m", false},
    [MR__STATE_SUCCESS] = {"success", "\033[32m", true},
    [MR__STATE_FAILED] = {"failed", "\033[31m", true},
    [MR__STATE_CANCELED] = {"canceled", "\033[35m", true},
    [MR__STATE_SKIPPED] = {"skipped", "\033[2m", true},
    [MR__STATE_BLOCKED] = {"blocked", "\033[33m", false},
    [MR__STATE_SCHEDULED] = {"scheduled", "\033[2m", false},
    [MR__STATE_PAUSED] = {"paused", "\033[33m", false},
    [MR__STATE_UNKNOWN] = {"unknown", "", false},
};

static void take_task(struct mr__progress *p, struct mr__pick task);
static void take_deps(struct mr__progress *p, struct mr__pick task);
static uint32_t add_task(struct mr__progress *p, const char *id, size_t len);
static bool set_state(struct mr__progress *p, uint32_t task, enum mr__state state);
static void set_reason(struct mr__progress *p, uint32_t task, struct mr__pick reason);
static void set_mark(struct mr__progress *p, uint32_t task, struct mr__pick progress);

void mr__progress_init(struct mr__progress *p)
{
    memset(p, 0, sizeof *p);
    p->first = p->last = MR__NO_TASK;
    for (size_t i = 0; i < MR__STATE_COUNT; i++) {
        p->lists[i].first = p->lists[i].last = MR__NO_TASK;
        p->children[i] = p->lists[i];
    }
}

void mr__progress_finish(struct mr__progress *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        free(p->tasks[i].id);
        free(p->tasks[i].reason);
        free(p->tasks[i].mark);
    }
    free(p->tasks);
    free(p->deps);
    free(p->index);
    mr__text_finish(&p->dag);
    mr__text_finish(&p->run);
    mr__text_finish(&p->reason);
    mr__progress_init(p);
}

/* ---- statuses -----------------------------------------------------------------------------------
 */

enum mr__state mr__progress_state_of(struct mr__pick status)
{
    for (int i = 0; i < MR__STATE_UNKNOWN; i++) {
        if (mr__pick_equals(status, states[i].name)) {
            return (enum mr__state)i;
        }
    }
    return MR__STATE_UNKNOWN;
}

const char *mr__progress_state_name(enum mr__state state)
{
    return states[state].name;
}

const char *mr__progress_state_color(enum mr__state state)
{
    return states[state].color;
}

bool mr__progress_state_ended(enum mr__state state)
{
    return states[state].ended;
}

bool mr__progress_moves(const struct mr__progress *p)
{
    static const enum mr__state moving[] = {MR__STATE_RUNNING, MR__STATE_ENDING,
                                            MR__STATE_RETRYING};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof moving / sizeof moving[0]; i++) {
        count += p->lists[moving[i]].count + p->children[moving[i]].count;
    }
    return count > 0;
}

/* ---- whole documents ----------------------------------------------------------------------- */

void mr__progress_take_run(struct mr__progress *p, struct mr__pick run)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    struct mr__pick tasks = {NULL, 0};
    mr__pick_begin(&each, run);
    while (each.object && mr__pick_next(&each, &key, &value)) {
        if (key.len == 2 && memcmp(key.at, "id", 2) == 0) {
            mr__text_clear(&p->run);
            (void)mr__pick_text(value, &p->run); /* absent: empty */
        } else if (key.len == 3 && memcmp(key.at, "dag", 3) == 0) {
            mr__text_clear(&p->dag);
            (void)mr__pick_text(value, &p->dag); /* absent: empty */
        } else if (key.len == 6 && memcmp(key.at, "status", 6) == 0) {
            p->state = mr__progress_state_of(value);
        } else if (key.len == 6 && memcmp(key.at, "reason", 6) == 0) {
            mr__text_clear(&p->reason);
            (void)mr__pick_text(value, &p->reason); /* absent: empty */
        } else if (key.len == 9 && memcmp(key.at, "startedAt", 9) == 0) {
            p->started_ms = mr__pick_time(value);
        } else if (key.len == 7 && memcmp(key.at, "endedAt", 7) == 0) {
            p->ended_ms = mr__pick_time(value);
        } else if (key.len == 5 && memcmp(key.at, "tasks", 5) == 0) {
            tasks = value;
        }
    }
    mr__pick_begin(&each, tasks);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &value)) {
        take_task(p, value);
    }
    p->deps_count = 0; /* in a second pass, as a task may depend on one that stands below it */
    mr__pick_begin(&each, tasks);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &value)) {
        take_deps(p, value);
    }
}

static void take_task(struct mr__progress *p, struct mr__pick task)
{
    struct mr__text id = {0};
    if (mr__pick_text(mr__pick_member(task, "id"), &id) && id.len > 0) {
        uint32_t i = mr__progress_find(p, id.at, id.len);
        if (i == MR__NO_TASK) {
            i = add_task(p, id.at, id.len);
        }
        if (i != MR__NO_TASK) {
            struct mr__progress_task *t = &p->tasks[i];
            t->attempts = (uint32_t)mr__pick_int(mr__pick_member(task, "attempts"), 0);
            t->started_ms = mr__pick_time(mr__pick_member(task, "startedAt"));
            t->ended_ms = mr__pick_time(mr__pick_member(task, "endedAt"));
            t->due_ms = t->delay_ms = 0;
            set_reason(p, i, mr__pick_member(task, "reason"));
            set_mark(p, i, mr__pick_member(task, "progress"));
            (void)set_state(p, i, mr__progress_state_of(mr__pick_member(task, "status")));
        }
    }
    mr__text_finish(&id);
}

static bool add_dep(struct mr__progress *p, uint32_t dep)
{
    if (p->deps_count == p->deps_cap) {
        uint32_t cap = p->deps_cap == 0 ? 64 : p->deps_cap * 2;
        uint32_t *at = cap > p->deps_cap ? realloc(p->deps, cap * sizeof *at) : NULL;
        if (at == NULL) {
            p->failed = true;
            return false;
        }
        p->deps = at;
        p->deps_cap = cap;
    }
    p->deps[p->deps_count++] = dep;
    return true;
}

/* What a task that has not begun waits for. */
static void take_deps(struct mr__progress *p, struct mr__pick task)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    struct mr__text id = {0};
    uint32_t i = MR__NO_TASK;
    if (mr__pick_text(mr__pick_member(task, "id"), &id)) {
        i = mr__progress_find(p, mr__text_str(&id), id.len);
    }
    if (i != MR__NO_TASK && p->tasks[i].state == MR__STATE_INIT) {
        p->tasks[i].deps_at = p->deps_count;
        p->tasks[i].deps_count = 0;
        mr__pick_begin(&each, mr__pick_member(task, "dependOn"));
        while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &value)) {
            mr__text_clear(&id);
            (void)mr__pick_text(value, &id); /* absent: a name that no task has */
            uint32_t dep = mr__progress_find(p, mr__text_str(&id), id.len);
            if (dep != MR__NO_TASK && add_dep(p, dep)) {
                p->tasks[i].deps_count++;
            }
        }
    } else if (i != MR__NO_TASK) {
        p->tasks[i].deps_count = 0;
    }
    mr__text_finish(&id);
}

/* ---- events -------------------------------------------------------------------------------- */

/* The status after an event. Most say it; of some it is another one's, or none. */
static enum mr__state state_after(struct mr__pick event)
{
    static const struct {
        const char *name;
        enum mr__state state;
    } events[] = {
        {"runStarted", MR__STATE_RUNNING},   {"runPaused", MR__STATE_PAUSED},
        {"runUnpaused", MR__STATE_RUNNING},  {"attemptEnding", MR__STATE_ENDING},
        {"taskDelayed", MR__STATE_RETRYING}, {"shareSet", MR__STATE_UNKNOWN},
        {"hooksDue", MR__STATE_UNKNOWN}, /* it has the status that the run is to have then */
        {"hooksDone", MR__STATE_UNKNOWN},
    };
    struct mr__pick name = mr__pick_member(event, "event");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (mr__pick_equals(name, events[i].name)) {
            return events[i].state;
        }
    }
    return mr__progress_state_of(mr__pick_member(event, "status"));
}

/* A run's own event: its status, and with it the first and last moment. */
static struct mr__progress_change take_run_event(struct mr__progress *p, struct mr__pick event,
                                                 enum mr__state state, int64_t time_ms)
{
    struct mr__progress_change change = {MR__NO_TASK, false};
    struct mr__pick reason = mr__pick_member(event, "reason");
    bool of_run = !mr__pick_present(mr__pick_member(event, "task"));
    if (state == MR__STATE_UNKNOWN || p->state == state) {
        return change;
    }
    p->state = state;
    if (of_run && mr__pick_present(reason)) {
        mr__text_clear(&p->reason);
        (void)mr__pick_text(reason, &p->reason); /* is present */
    }
    if (state == MR__STATE_RUNNING && p->started_ms == 0) {
        p->started_ms = time_ms;
    }
    p->ended_ms = mr__progress_state_ended(state) ? time_ms : 0;
    change.known = true;
    return change;
}

/* Until when a task waits for its next attempt. */
static void take_due(struct mr__progress_task *t, struct mr__pick event, enum mr__state state,
                     int64_t time_ms)
{
    t->due_ms = state == MR__STATE_RETRYING ? mr__pick_time(mr__pick_member(event, "due")) : 0;
    t->delay_ms = t->due_ms > time_ms ? t->due_ms - time_ms : 0;
}

struct mr__progress_change mr__progress_take_event(struct mr__progress *p, struct mr__pick event)
{
    struct mr__progress_change change = {MR__NO_TASK, false};
    struct mr__pick task = mr__pick_member(event, "task");
    enum mr__state state = state_after(event);
    int64_t time_ms = mr__pick_time(mr__pick_member(event, "time"));
    struct mr__text id = {0};
    if (!mr__pick_text(task, &id)) {
        return take_run_event(p, event, state, time_ms);
    }
    uint32_t i = mr__progress_find(p, mr__text_str(&id), id.len);
    if (i == MR__NO_TASK) {
        i = add_task(p, mr__text_str(&id), id.len);
    }
    mr__text_finish(&id);
    if (i == MR__NO_TASK || state == MR__STATE_UNKNOWN) {
        return change; /* what is said of the task does not change how it stands */
    }
    if (p->state == MR__STATE_INIT || p->state == MR__STATE_SCHEDULED) {
        (void)take_run_event(p, event, MR__STATE_RUNNING,
                             time_ms); /* a task's change is told below */
    }
    struct mr__progress_task *t = &p->tasks[i];
    uint32_t attempt = (uint32_t)mr__pick_int(mr__pick_member(event, "attempt"), 0);
    bool again = attempt > t->attempts && state == MR__STATE_RUNNING;
    t->attempts = attempt > t->attempts ? attempt : t->attempts;
    if (state == MR__STATE_RUNNING && (again || t->started_ms == 0)) {
        t->started_ms = time_ms;
    }
    t->ended_ms = mr__progress_state_ended(state) ? time_ms : 0;
    take_due(t, event, state, time_ms);
    set_reason(p, i, mr__pick_member(event, "reason"));
    change.known = set_state(p, i, state) || again;
    change.task = i;
    if (change.known) {
        set_mark(p, i, (struct mr__pick){NULL, 0});
    }
    return change;
}

struct mr__progress_change mr__progress_take_mark(struct mr__progress *p, struct mr__pick progress)
{
    struct mr__progress_change change = {MR__NO_TASK, false};
    struct mr__text id = {0};
    if (mr__pick_text(mr__pick_member(progress, "task"), &id)) {
        change.task = mr__progress_find(p, mr__text_str(&id), id.len);
    }
    mr__text_finish(&id);
    if (change.task != MR__NO_TASK && p->tasks[change.task].state == MR__STATE_RUNNING) {
        set_mark(p, change.task, progress);
        change.known = true;
    }
    return change;
}

/* ---- tasks --------------------------------------------------------------------------------- */

static uint64_t hash_id(const char *id, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)id[i]) * UINT64_C(1099511628211);
    }
    return hash ^ hash >> 29;
}

uint32_t mr__progress_find(const struct mr__progress *p, const char *id, size_t len)
{
    if (p->index_cap == 0) {
        return MR__NO_TASK;
    }
    uint32_t mask = p->index_cap - 1;
    for (uint32_t i = (uint32_t)hash_id(id, len) & mask; p->index[i] != 0; i = (i + 1) & mask) {
        const struct mr__progress_task *t = &p->tasks[p->index[i] - 1];
        if (t->id_len == len && memcmp(t->id, id, len) == 0) {
            return p->index[i] - 1;
        }
    }
    return MR__NO_TASK;
}

static void index_put(uint32_t *index, uint32_t cap, const struct mr__progress_task *t,
                      uint32_t task)
{
    uint32_t i = (uint32_t)hash_id(t->id, t->id_len) & (cap - 1);
    while (index[i] != 0) {
        i = (i + 1) & (cap - 1);
    }
    index[i] = task + 1;
}

static bool make_room(struct mr__progress *p)
{
    if (p->count == p->cap) {
        uint32_t cap = p->cap == 0 ? 32 : p->cap * 2;
        struct mr__progress_task *tasks =
            p->count < TASKS_MAX ? realloc(p->tasks, cap * sizeof *tasks) : NULL;
        if (tasks == NULL) {
            return false;
        }
        p->tasks = tasks;
        p->cap = cap;
    }
    if ((p->count + 1) * 2 > p->index_cap) {
        uint32_t cap = p->index_cap == 0 ? 64 : p->index_cap * 2;
        uint32_t *index = calloc(cap, sizeof *index);
        if (index == NULL) {
            return false;
        }
        for (uint32_t i = 0; i < p->count; i++) {
            index_put(index, cap, &p->tasks[i], i);
        }
        free(p->index);
        p->index = index;
        p->index_cap = cap;
    }
    return true;
}

/* Whether it stands for itself, though it may be a child. */
static bool stands_out(enum mr__state state)
{
    return state == MR__STATE_FAILED || state == MR__STATE_BLOCKED;
}

static struct mr__progress_list *list_of(struct mr__progress *p, const struct mr__progress_task *t)
{
    bool child = t->parent != MR__NO_TASK && !stands_out((enum mr__state)t->state);
    return child ? &p->children[t->state] : &p->lists[t->state];
}

static void list_append(struct mr__progress *p, uint32_t task)
{
    struct mr__progress_task *t = &p->tasks[task];
    struct mr__progress_list *list = list_of(p, t);
    t->before = list->last;
    t->after = MR__NO_TASK;
    if (list->last != MR__NO_TASK) {
        p->tasks[list->last].after = task;
    } else {
        list->first = task;
    }
    list->last = task;
    list->count++;
}

static void list_remove(struct mr__progress *p, uint32_t task)
{
    struct mr__progress_task *t = &p->tasks[task];
    struct mr__progress_list *list = list_of(p, t);
    if (t->before != MR__NO_TASK) {
        p->tasks[t->before].after = t->after;
    } else {
        list->first = t->after;
    }
    if (t->after != MR__NO_TASK) {
        p->tasks[t->after].before = t->before;
    } else {
        list->last = t->before;
    }
    list->count--;
}

/* A fan-out's child is named PARENT[KEY]; its parent stands before it. */
static uint32_t find_parent(const struct mr__progress *p, const char *id, size_t len)
{
    const char *bracket = len > 0 && id[len - 1] == ']' ? memchr(id, '[', len) : NULL;
    return bracket != NULL ? mr__progress_find(p, id, (size_t)(bracket - id)) : MR__NO_TASK;
}

/* The rows that a fan-out's children need if there is room for all. */
static uint32_t rows_of_children(const struct mr__progress_task *parent)
{
    return parent->children <= MR__PROGRESS_CHILDREN_SHOWN
               ? parent->children
               : parent->children_failed + parent->children_blocked;
}

/* Puts a new task behind the last one, a child behind its parent's last child. */
static void place(struct mr__progress *p, uint32_t task)
{
    struct mr__progress_task *t = &p->tasks[task];
    struct mr__progress_task *parent = t->parent != MR__NO_TASK ? &p->tasks[t->parent] : NULL;
    uint32_t *first = parent != NULL ? &parent->first_child : &p->first;
    uint32_t *last = parent != NULL ? &parent->last_child : &p->last;
    if (*last != MR__NO_TASK) {
        p->tasks[*last].next = task;
    } else {
        *first = task;
    }
    *last = task;
    if (parent == NULL) {
        p->rows++;
        return;
    }
    p->rows -= rows_of_children(parent);
    parent->children++;
    p->rows += rows_of_children(parent);
}

/* Adds a task in the status init. MR__NO_TASK: out of memory. */
static uint32_t add_task(struct mr__progress *p, const char *id, size_t len)
{
    char *copy = len < UINT32_MAX ? malloc(len + 1) : NULL;
    if (copy == NULL || !make_room(p)) {
        free(copy);
        p->failed = true;
        return MR__NO_TASK;
    }
    memcpy(copy, id, len);
    copy[len] = '\0';
    uint32_t task = p->count++;
    struct mr__progress_task *t = &p->tasks[task];
    memset(t, 0, sizeof *t);
    t->id = copy;
    t->id_len = (uint32_t)len;
    t->parent = find_parent(p, id, len);
    t->first_child = t->last_child = t->next = MR__NO_TASK;
    place(p, task);
    index_put(p->index, p->index_cap, t, task);
    list_append(p, task);
    return task;
}

/* True if it was another one. */
static bool set_state(struct mr__progress *p, uint32_t task, enum mr__state state)
{
    struct mr__progress_task *t = &p->tasks[task];
    if (t->state == state) {
        return false;
    }
    enum mr__state before = (enum mr__state)t->state;
    uint32_t ended = (states[state].ended ? 1u : 0u) - (states[before].ended ? 1u : 0u);
    list_remove(p, task);
    t->state = (uint8_t)state;
    list_append(p, task);
    p->ended_count += ended;
    if (t->parent != MR__NO_TASK) {
        struct mr__progress_task *parent = &p->tasks[t->parent];
        p->rows -= rows_of_children(parent);
        parent->children_ended += ended;
        parent->children_failed += (state == MR__STATE_FAILED) - (before == MR__STATE_FAILED);
        parent->children_blocked += (state == MR__STATE_BLOCKED) - (before == MR__STATE_BLOCKED);
        p->rows += rows_of_children(parent);
    }
    return true;
}

static void set_reason(struct mr__progress *p, uint32_t task, struct mr__pick reason)
{
    struct mr__text text = {0};
    free(p->tasks[task].reason);
    p->tasks[task].reason = NULL;
    if (mr__pick_text(reason, &text) && text.len > 0) {
        p->tasks[task].reason = text.at;
    } else {
        mr__text_finish(&text);
    }
    p->failed = p->failed || text.failed;
}

/* Of a number from 0 to 1 as it is written; -1: it is none. */
static int percent_of(struct mr__pick fraction)
{
    int percent = 0;
    if (fraction.len == 0 || (fraction.at[0] != '0' && fraction.at[0] != '1')) {
        return -1;
    }
    if (memchr(fraction.at, 'e', fraction.len) != NULL) {
        return 0; /* a very small one */
    }
    for (size_t i = 0, digits = 0; digits < 3; i++) {
        bool there = i < fraction.len;
        if (there && fraction.at[i] == '.') {
            continue;
        }
        bool digit = there && fraction.at[i] >= '0' && fraction.at[i] <= '9';
        percent = percent * 10 + (digit ? fraction.at[i] - '0' : 0);
        digits++;
    }
    return percent;
}

void mr__progress_mark(struct mr__pick progress, struct mr__text *text)
{
    struct mr__text note = {0};
    int percent = percent_of(mr__pick_member(progress, "fraction"));
    (void)mr__pick_text(mr__pick_member(progress, "note"), &note); /* absent: empty */
    if (percent >= 0) {
        mr__text_printf(text, "%d %%%s", percent, note.len > 0 ? " " : "");
    }
    mr__text_add(text, mr__text_str(&note), note.len);
    mr__text_finish(&note);
}

static void set_mark(struct mr__progress *p, uint32_t task, struct mr__pick progress)
{
    struct mr__text mark = {0};
    free(p->tasks[task].mark);
    p->tasks[task].mark = NULL;
    mr__progress_mark(progress, &mark);
    p->failed = p->failed || mark.failed;
    if (mark.len > 0) {
        p->tasks[task].mark = mark.at;
    } else {
        mr__text_finish(&mark);
    }
}
