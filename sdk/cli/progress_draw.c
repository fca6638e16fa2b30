/* SPDX-License-Identifier: MIT
 *
 * How a run looks while it goes on.
 *
 * If all its tasks find room they stand in the file's order, children behind their parent, so that
 * rows do not jump; else those that matter now: what failed, what is blocked, what runs, what comes
 * next, and the rest as counts. There, and of large fan-outs always, children are folded into their
 * parent but for those that failed or are blocked.
 */
#include "sdk/cli/progress.h"

#include <string.h>

#define ID_COLUMNS_MAX   32
#define TOOK_COLUMNS     7
#define STATUS_COLUMNS   8
#define CHILDREN_SHOWN   3
#define CHILDREN_SCANNED 64
#define RUN_ID_SHOWN     8

struct drawing {
    const struct mr__progress *p;
    const struct mr__view *view;
    struct mr__text *text;
    uint32_t left;   /* rows that may still be drawn */
    size_t id_width; /* of the column of ids */
    size_t width;    /* of the row that is being drawn, so far */
};

static void draw_head(struct drawing *d);
static void draw_all(struct drawing *d);
static void draw_folded(struct drawing *d);
static void draw_foot(struct drawing *d);
static void draw_task(struct drawing *d, uint32_t task);
static void draw_count(struct drawing *d, enum mr__state state, uint32_t count, bool more);

void mr__progress_tree(const struct mr__progress *p, const struct mr__view *view,
                       struct mr__text *text)
{
    struct drawing d = {.p = p, .view = view, .text = text, .left = view->rows};
    uint32_t frame_rows = view->last ? 1 : 2; /* head and foot */
    if (view->rows == 0 || view->columns < 4) {
        return;
    }
    draw_head(&d);
    d.left = view->rows > frame_rows ? view->rows - frame_rows : 0;
    if (p->rows <= d.left) {
        draw_all(&d);
    } else {
        draw_folded(&d);
    }
    if (!view->last && view->rows >= 2) {
        draw_foot(&d);
    }
}

/* ---- pieces of a row ----------------------------------------------------------------------------
 */

/* One column stays free: some terminals wrap when the last one is written. */
static size_t room(const struct drawing *d)
{
    size_t most = d->view->columns - 1;
    return d->width < most ? most - d->width : 0;
}

/* Adds a piece, cut at the edge, and blanks after it up to `columns` (0: none). */
static void put(struct drawing *d, const char *bytes, size_t len, size_t columns)
{
    size_t left = room(d);
    size_t most = columns > 0 && columns < left ? columns : left;
    if (most == 0) {
        return;
    }
    size_t used = mr__text_clean(d->text, bytes, len, most, d->view->utf8 ? "…" : "~");
    if (used < columns) {
        size_t fill = columns - used < left - used ? columns - used : left - used;
        mr__text_fill(d->text, ' ', fill);
        used += fill;
    }
    d->width += used;
}

static void put_string(struct drawing *d, const char *string)
{
    put(d, string, strlen(string), 0);
}

static void paint(struct drawing *d, const char *color)
{
    if (d->view->color) {
        mr__text_puts(d->text, color);
    }
}

static void begin_row(struct drawing *d)
{
    d->width = 0;
}

static void end_row(struct drawing *d)
{
    mr__text_puts(d->text, "\n");
    if (d->left > 0) {
        d->left--;
    }
}

static const char *symbol(const struct mr__view *view, enum mr__state state)
{
    static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const spinner_ascii[] = {"|", "/", "-", "\\"};
    switch (state) {
    case MR__STATE_SUCCESS: return view->utf8 ? "✓" : "+";
    case MR__STATE_FAILED: return view->utf8 ? "✗" : "x";
    case MR__STATE_CANCELED: return view->utf8 ? "■" : "#";
    case MR__STATE_SKIPPED: return view->utf8 ? "↷" : "-";
    case MR__STATE_BLOCKED:
    case MR__STATE_PAUSED: return view->utf8 ? "▪" : "!";
    case MR__STATE_RETRYING: return view->utf8 ? "↻" : "~";
    case MR__STATE_RUNNING:
    case MR__STATE_ENDING:
    case MR__STATE_CONTINUE:
        if (view->last) {
            return view->utf8 ? "▸" : ">";
        }
        return view->utf8 ? spinner[view->frame % 10] : spinner_ascii[view->frame % 4];
    default: return view->utf8 ? "·" : ".";
    }
}

/* "  ✓ success   " */
static void put_status(struct drawing *d, enum mr__state state)
{
    const char *name = mr__progress_state_name(state);
    put_string(d, "  ");
    paint(d, mr__progress_state_color(state));
    put_string(d, symbol(d->view, state));
    put_string(d, " ");
    put(d, name, strlen(name), STATUS_COLUMNS);
    if (mr__progress_state_color(state)[0] != '\0') {
        paint(d, "\033[0m");
    }
    put_string(d, "  ");
}

static void add_took(struct mr__text *text, int64_t started_ms, int64_t ended_ms, int64_t now_ms)
{
    if (started_ms != 0) {
        mr__text_duration(text, (ended_ms != 0 ? ended_ms : now_ms) - started_ms);
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void put_run_id(struct drawing *d)
{
    const struct mr__text *run = &d->p->run;
    size_t from = run->len > RUN_ID_SHOWN ? run->len - RUN_ID_SHOWN : 0;
    put_string(d, "run ");
    put(d, mr__text_str(run) + from, run->len - from, 0);
}

static void draw_head(struct drawing *d)
{
    const struct mr__progress *p = d->p;
    struct mr__text took = {0};
    begin_row(d);
    paint(d, "\033[1m");
    put(d, mr__text_str(&p->dag), p->dag.len, 0);
    paint(d, "\033[0m");
    put_string(d, "  ");
    put_run_id(d);
    put_string(d, "  ");
    paint(d, mr__progress_state_color(p->state));
    put_string(d, mr__progress_state_name(p->state));
    paint(d, "\033[0m");
    add_took(&took, p->started_ms, p->ended_ms, d->view->now_ms);
    if (took.len > 0) {
        put_string(d, "  ");
        put_string(d, mr__text_str(&took));
    }
    mr__text_finish(&took);
    end_row(d);
}

/* The column of ids is as wide as the widest of those shown, within reason. */
static void measure(struct drawing *d, uint32_t task)
{
    const struct mr__progress_task *t = &d->p->tasks[task];
    size_t most = d->view->columns / 3 > ID_COLUMNS_MAX ? ID_COLUMNS_MAX : d->view->columns / 3;
    size_t width = mr__text_width(t->id, t->id_len);
    width = width > most ? most : width;
    d->id_width = width > d->id_width ? width : d->id_width;
}

/* Of a large fan-out only those that failed or are blocked: they are few, as all rows fit. */
static void visit_children(struct drawing *d, uint32_t parent,
                           void (*visit)(struct drawing *d, uint32_t task))
{
    static const enum mr__state states[] = {MR__STATE_FAILED, MR__STATE_BLOCKED};
    const struct mr__progress *p = d->p;
    if (p->tasks[parent].children <= MR__PROGRESS_CHILDREN_SHOWN) {
        for (uint32_t i = p->tasks[parent].first_child; i != MR__NO_TASK; i = p->tasks[i].next) {
            visit(d, i);
        }
        return;
    }
    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
        for (uint32_t i = p->lists[states[s]].first; i != MR__NO_TASK; i = p->tasks[i].after) {
            if (p->tasks[i].parent == parent) {
                visit(d, i);
            }
        }
    }
}

static void visit_all(struct drawing *d, void (*visit)(struct drawing *d, uint32_t task))
{
    for (uint32_t i = d->p->first; i != MR__NO_TASK; i = d->p->tasks[i].next) {
        visit(d, i);
        visit_children(d, i, visit);
    }
}

static void draw_all(struct drawing *d)
{
    visit_all(d, measure);
    visit_all(d, draw_task);
}

/* Draws a list, leaving `keep` rows. Returns how many found no room. */
static uint32_t draw_list(struct drawing *d, enum mr__state state, uint32_t keep)
{
    const struct mr__progress *p = d->p;
    uint32_t drawn = 0;
    for (uint32_t i = p->lists[state].first; i != MR__NO_TASK && d->left > keep;
         i = p->tasks[i].after) {
        draw_task(d, i);
        drawn++;
    }
    return p->lists[state].count - drawn;
}

static void draw_folded(struct drawing *d)
{
    static const enum mr__state shown[] = {MR__STATE_FAILED, MR__STATE_BLOCKED,  MR__STATE_RUNNING,
                                           MR__STATE_ENDING, MR__STATE_RETRYING, MR__STATE_CONTINUE,
                                           MR__STATE_INIT};
    static const enum mr__state counted[] = {MR__STATE_SUCCESS, MR__STATE_SKIPPED,
                                             MR__STATE_CANCELED};
    const struct mr__progress *p = d->p;
    uint32_t counts = 0;
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
        counts += p->lists[counted[i]].count > 0 ? 1 : 0;
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        uint32_t task = p->lists[shown[i]].first;
        for (uint32_t n = 0; task != MR__NO_TASK && n < d->left; n++, task = p->tasks[task].after) {
            measure(d, task);
        }
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        uint32_t later = 0; /* lists after this one that need a row for their count */
        for (size_t j = i; j < sizeof shown / sizeof shown[0]; j++) {
            later += p->lists[shown[j]].count > 0 ? 1 : 0;
        }
        uint32_t hidden = draw_list(d, shown[i], counts + later);
        if (hidden > 0 && d->left > 0) {
            draw_count(d, shown[i], hidden, hidden < p->lists[shown[i]].count);
        }
    }
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
        uint32_t count = p->lists[counted[i]].count;
        if (count > 0 && d->left > 0) {
            draw_count(d, counted[i], count, false);
        }
    }
}

static void draw_count(struct drawing *d, enum mr__state state, uint32_t count, bool more)
{
    struct mr__text note = {0};
    mr__text_printf(&note, "%u %s%s", count, more ? "more task" : "task", count == 1 ? "" : "s");
    begin_row(d);
    put_status(d, state);
    put_string(d, mr__text_str(&note));
    end_row(d);
    mr__text_finish(&note);
}

/* "27/40 done, 1 failed  web-28, web-29, web-30" */
static void add_children(const struct drawing *d, uint32_t task, struct mr__text *note)
{
    const struct mr__progress *p = d->p;
    const struct mr__progress_task *parent = &p->tasks[task];
    uint32_t shown = 0;
    mr__text_printf(note, "%u/%u done", parent->children_ended, parent->children);
    if (parent->children_failed > 0) {
        mr__text_printf(note, ", %u failed", parent->children_failed);
    }
    if (parent->children_blocked > 0) {
        mr__text_printf(note, ", %u blocked", parent->children_blocked);
    }
    if (mr__progress_state_ended((enum mr__state)parent->state)) {
        return;
    }
    uint32_t i = p->children[MR__STATE_RUNNING].first;
    for (uint32_t n = 0; i != MR__NO_TASK && n < CHILDREN_SCANNED && shown < CHILDREN_SHOWN; n++) {
        const struct mr__progress_task *t = &p->tasks[i];
        if (t->parent == task && t->id_len > parent->id_len + 2) {
            mr__text_puts(note, shown == 0 ? "  " : ", ");
            mr__text_add(note, t->id + parent->id_len + 1, t->id_len - parent->id_len - 2);
            shown++;
        }
        i = t->after;
    }
}

/* What a row says beside its time: how it failed, what it waits for, which attempt it is. */
static void add_note(const struct drawing *d, uint32_t task, struct mr__text *note)
{
    const struct mr__progress *p = d->p;
    const struct mr__progress_task *t = &p->tasks[task];
    if (t->children > 0) {
        add_children(d, task, note);
    }
    if (t->attempts > 1) {
        mr__text_printf(note, "%sattempt %u", note->len > 0 ? "  " : "", t->attempts);
    }
    if (t->mark != NULL) {
        mr__text_puts(note, note->len > 0 ? "  " : "");
        mr__text_puts(note, t->mark);
    }
    if (t->due_ms > d->view->now_ms) {
        mr__text_puts(note, note->len > 0 ? "  next in " : "next in ");
        mr__text_duration(note, t->due_ms - d->view->now_ms);
    }
    if (t->reason != NULL) {
        mr__text_puts(note, note->len > 0 ? "  " : "");
        mr__text_puts(note, t->reason);
    }
    if (t->state != MR__STATE_INIT || d->view->last) {
        return;
    }
    for (uint32_t i = 0; i < t->deps_count; i++) {
        const struct mr__progress_task *dep = &p->tasks[p->deps[t->deps_at + i]];
        if (!mr__progress_state_ended((enum mr__state)dep->state)) {
            mr__text_puts(note, note->len > 0 ? "  after " : "after ");
            mr__text_puts(note, dep->id);
            return;
        }
    }
}

static void draw_task(struct drawing *d, uint32_t task)
{
    const struct mr__progress_task *t = &d->p->tasks[task];
    struct mr__text took = {0};
    struct mr__text note = {0};
    add_note(d, task, &note);
    if (t->state != MR__STATE_INIT) {
        add_took(&took, t->started_ms, t->ended_ms, d->view->now_ms);
    }
    begin_row(d);
    put_status(d, (enum mr__state)t->state);
    put(d, t->id, t->id_len, took.len > 0 || note.len > 0 ? d->id_width : 0);
    if (took.len > 0 || note.len > 0) {
        size_t pad = took.len < TOOK_COLUMNS ? TOOK_COLUMNS - took.len : 0;
        put(d, " ", 1, pad + 2);
        put_string(d, mr__text_str(&took));
    }
    if (note.len > 0) {
        put_string(d, "  ");
        put(d, mr__text_str(&note), note.len, 0);
    }
    end_row(d);
    mr__text_finish(&took);
    mr__text_finish(&note);
}

static void draw_foot(struct drawing *d)
{
    struct mr__text foot = {0};
    mr__text_printf(&foot, "  %u/%u", d->p->ended_count, d->p->count);
    if (d->view->foot != NULL) {
        mr__text_puts(&foot, d->view->utf8 ? " · " : " - ");
        mr__text_puts(&foot, d->view->foot);
    }
    begin_row(d);
    paint(d, "\033[2m");
    put(d, mr__text_str(&foot), foot.len, 0);
    paint(d, "\033[0m");
    end_row(d);
    mr__text_finish(&foot);
}

/* ---- lines --------------------------------------------------------------------------------- */

/* "success   build   1.2s" */
static void add_task_line(const struct mr__progress_task *t, struct mr__text *text)
{
    (void)mr__text_clean(text, t->id, t->id_len, SIZE_MAX, ""); /* its width is not needed */
    if (t->attempts > 1) {
        mr__text_printf(text, "  attempt %u", t->attempts);
    }
    if (t->ended_ms != 0 && t->started_ms != 0) {
        mr__text_puts(text, "  ");
        mr__text_duration(text, t->ended_ms - t->started_ms);
    }
    if (t->mark != NULL) {
        mr__text_puts(text, "  ");
        (void)mr__text_clean(text, t->mark, strlen(t->mark), SIZE_MAX, ""); /* likewise */
    }
    if (t->delay_ms > 0) {
        mr__text_puts(text, "  next in ");
        mr__text_duration(text, t->delay_ms);
    }
    if (t->reason != NULL) {
        mr__text_puts(text, "  ");
        (void)mr__text_clean(text, t->reason, strlen(t->reason), SIZE_MAX, ""); /* likewise */
    }
}

void mr__progress_line(const struct mr__progress *p, uint32_t task, bool color,
                       struct mr__text *text)
{
    enum mr__state state = task == MR__NO_TASK ? p->state : (enum mr__state)p->tasks[task].state;
    const char *name = mr__progress_state_name(state);
    const char *paint_with = color ? mr__progress_state_color(state) : "";
    mr__text_puts(text, paint_with);
    mr__text_puts(text, name);
    mr__text_puts(text, paint_with[0] != '\0' ? "\033[0m" : "");
    size_t len = strlen(name);
    mr__text_fill(text, ' ', (len < STATUS_COLUMNS ? STATUS_COLUMNS - len : 0) + 2);
    if (task != MR__NO_TASK) {
        add_task_line(&p->tasks[task], text);
    } else {
        size_t from = p->run.len > RUN_ID_SHOWN ? p->run.len - RUN_ID_SHOWN : 0;
        (void)mr__text_clean(text, mr__text_str(&p->dag), p->dag.len, SIZE_MAX, ""); /* likewise */
        mr__text_puts(text, "  run ");
        (void)mr__text_clean(text, mr__text_str(&p->run) + from, p->run.len - from, SIZE_MAX, "");
        if (p->ended_ms != 0 && p->started_ms != 0) {
            mr__text_puts(text, "  ");
            mr__text_duration(text, p->ended_ms - p->started_ms);
        }
    }
    mr__text_puts(text, "\n");
}
