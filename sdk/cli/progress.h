/* SPDX-License-Identifier: MIT
 *
 * What is known of a run while it goes on, and how it looks: as a tree of at most so many rows, or
 * as one line for each change.
 *
 * Pure: answers of the request `watch` go in, text comes out; no clock, no terminal. Tasks hang in
 * one list for each status, so that a run of a million tasks is drawn in the time of a screenful. A
 * fan-out's children (`id[key]`) come up while it goes on, and hang in lists of their own but for
 * those that need a person: failed and blocked ones.
 */
#ifndef MR__PROGRESS_H
#define MR__PROGRESS_H

#include "sdk/cli/pick.h"
#include "sdk/cli/text.h"

#define MR__NO_TASK UINT32_MAX

/* A fan-out with more children than this has no row for each, however much room there is. */
#define MR__PROGRESS_CHILDREN_SHOWN 20

enum mr__state {
    MR__STATE_INIT,
    MR__STATE_RUNNING,
    MR__STATE_ENDING,
    MR__STATE_RETRYING,
    MR__STATE_CONTINUE,
    MR__STATE_SUCCESS,
    MR__STATE_FAILED,
    MR__STATE_CANCELED,
    MR__STATE_SKIPPED,
    MR__STATE_BLOCKED,
    MR__STATE_SCHEDULED, /* of runs alone, as the next one */
    MR__STATE_PAUSED,
    MR__STATE_UNKNOWN,
    MR__STATE_COUNT
};

struct mr__progress_task {
    char *id;
    char *reason; /* or NULL */
    char *mark;   /* how far it is: "50 % halfway"; or NULL */
    uint32_t id_len;
    uint32_t parent; /* of a fan-out's child, else MR__NO_TASK */
    uint32_t children, children_ended, children_failed, children_blocked;
    uint32_t first_child, last_child;
    uint32_t next;                /* the next child of its parent, or the next task of the file */
    uint32_t deps_at, deps_count; /* in mr__progress.deps */
    uint32_t attempts;
    uint32_t before, after;       /* in the list of its status */
    int64_t started_ms, ended_ms; /* Unix time; 0: not yet */
    int64_t due_ms, delay_ms;     /* retrying: when the next attempt may begin, and after what time
                                   * that is; 0: not known */
    int64_t marked_ms;            /* for whoever tells of marks: when one was told last */
    uint8_t state;
};

struct mr__progress_list {
    uint32_t first, last, count;
};

struct mr__progress {
    struct mr__text dag, run, reason;
    enum mr__state state;
    int64_t started_ms, ended_ms;
    struct mr__progress_task *tasks;
    uint32_t count, cap;
    uint32_t *deps;
    uint32_t deps_count, deps_cap;
    uint32_t *index; /* hash table of task + 1 */
    uint32_t index_cap;
    uint32_t first, last;                               /* of the file's tasks */
    struct mr__progress_list lists[MR__STATE_COUNT];    /* tasks that stand for themselves */
    struct mr__progress_list children[MR__STATE_COUNT]; /* children that their parent tells of */
    uint32_t rows; /* that all of them need, large fan-outs told by their parent */
    uint32_t ended_count;
    bool failed; /* out of memory: what is shown may be incomplete */
};

void mr__progress_init(struct mr__progress *p);
void mr__progress_finish(struct mr__progress *p);

/* A change that is worth a line, in the order in which they came. */
struct mr__progress_change {
    uint32_t task; /* MR__NO_TASK: the run itself */
    bool known;    /* false: nothing changed */
};

/* Takes a whole RUN document: the first one, or a later one after which all stands as it says. */
void mr__progress_take_run(struct mr__progress *p, struct mr__pick run);
/* Takes one EVENT. */
struct mr__progress_change mr__progress_take_event(struct mr__progress *p, struct mr__pick event);

/* Takes one PROGRESS: of which task, if it runs. */
struct mr__progress_change mr__progress_take_mark(struct mr__progress *p, struct mr__pick progress);

/* Adds what a PROGRESS says: "50 % halfway"; nothing of one that is absent. */
void mr__progress_mark(struct mr__pick progress, struct mr__text *text);

uint32_t mr__progress_find(const struct mr__progress *p, const char *id, size_t len);
enum mr__state mr__progress_state_of(struct mr__pick status);
const char *mr__progress_state_name(enum mr__state state);
/* The colour of a status: "\033[32m", or "" for one without. Static. */
const char *mr__progress_state_color(enum mr__state state);
bool mr__progress_state_ended(enum mr__state state);

struct mr__view {
    uint32_t rows, columns;
    int64_t now_ms; /* Unix time */
    uint32_t frame; /* counts drawings: the spinner */
    bool utf8, color;
    bool last;        /* the run stands still: no spinner, no footer */
    const char *foot; /* what Ctrl-C does, or NULL */
};

/* Adds the tree, at most view->rows lines of at most view->columns - 1 columns. */
void mr__progress_tree(const struct mr__progress *p, const struct mr__view *view,
                       struct mr__text *text);
/* Whether the tree changes with time alone: something runs. */
bool mr__progress_moves(const struct mr__progress *p);

/* Adds the line of one task as it stands now ("success   build   1.2s"), or of the run. */
void mr__progress_line(const struct mr__progress *p, uint32_t task, bool color,
                       struct mr__text *text);

#endif
