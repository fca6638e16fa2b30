/* SPDX-License-Identifier: MIT
 *
 * What a new run need not do. What another run has done is read from its events: they are replayed
 * for the statuses, and folded for outputs and share data.
 */
#include "core/engine/kept.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/hash.h"
#include "core/engine/names.h"

#define NOT_ASKED_FOR "not among --only"
#define ID_SHOWN      8u /* the last characters of a run's id */
#define REASON_BYTES  32u

enum { ABOVE = 1, BELOW = 2 }; /* where a task stands, seen from another one */

struct past {
    struct mr__run *run;
    struct mr__blob *outputs; /* by task of the dag */
    struct mr__kept_set *set; /* gets the share data */
    struct mr__hash share_at; /* key -> its pair */
    size_t share_cap;
};

void mr__kept_finish(struct mr__kept_set *set)
{
    if (set != NULL) {
        free(set->list);
        free(set->share);
        free(set->reason);
        *set = (struct mr__kept_set){0};
    }
}

/* ---- --only -------------------------------------------------------------------------------- */

mr_status mr__kept_only(const struct mr__dag *dag, const char *const *ids, size_t count,
                        struct mr__kept_set *ret_set, mr_error *reterr)
{
    mr_status status = mr__names_check(dag, ids, count, false, reterr);
    if (status != MR_OK) {
        return status;
    }
    bool *wanted = calloc(dag->task_count, sizeof *wanted);
    ret_set->list = calloc(dag->task_count, sizeof *ret_set->list);
    if (wanted == NULL || ret_set->list == NULL) {
        free(wanted);
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        wanted[mr__dag_find(dag, ids[i], strlen(ids[i]))] = true;
    }
    for (uint32_t t = 0; t < dag->task_count; t++) {
        if (!wanted[t]) {
            ret_set->list[ret_set->count++] = (struct mr__kept){
                .task = t,
                .status = MR__TASK_SKIPPED,
                .reason = {NOT_ASKED_FOR, sizeof NOT_ASKED_FOR - 1},
            };
        }
    }
    free(wanted);
    return MR_OK;
}

/* ---- what became of a run ------------------------------------------------------------------ */

static bool share_put(struct past *past, struct mr__blob key, struct mr__blob json, uint64_t at)
{
    struct mr__kept_set *set = past->set;
    if (at == past->share_cap) {
        size_t cap = past->share_cap == 0 ? 16 : 2 * past->share_cap;
        struct mr__blob *share = realloc(set->share, 2 * cap * sizeof *share);
        if (share == NULL) {
            return false;
        }
        set->share = share;
        past->share_cap = cap;
    }
    set->share[2 * at] = key;
    set->share[2 * at + 1] = json;
    return mr__hash_put(&past->share_at, key.data, key.len, at) == MR_OK;
}

/* Sets a key, or removes it: the last pair then takes its place. */
static bool share_event(struct past *past, const struct mr__event *event)
{
    struct mr__kept_set *set = past->set;
    uint64_t at = set->share_count;
    bool found = mr__hash_get(&past->share_at, event->key.data, event->key.len, &at);
    if (event->payload.data != NULL) {
        set->share_count += found ? 0 : 1;
        return share_put(past, event->key, event->payload, at);
    }
    if (!found) {
        return true;
    }
    (void)mr__hash_del(&past->share_at, event->key.data, event->key.len); /* it is in there */
    const struct mr__blob *last = &set->share[2 * --set->share_count];
    return at == set->share_count || share_put(past, last[0], last[1], at);
}

/* Outputs and share data, after the event was applied. */
static bool fold(struct past *past, const struct mr__event *event)
{
    bool of_dag = event->task < past->run->plan->dag->task_count; /* else of a fan-out's child */
    struct mr__blob *output = of_dag ? &past->outputs[event->task] : NULL;
    switch (event->type) {
    case MR__EVENT_SHARE_SET: return share_event(past, event);
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED:
        if (of_dag) {
            *output = (struct mr__blob){NULL, 0};
        }
        return true;
    case MR__EVENT_ATTEMPT_ENDING:
    case MR__EVENT_ATTEMPT_ENDED:
    case MR__EVENT_TASK_SET:
        if (of_dag && event->payload.data != NULL) { /* else that of ATTEMPT_ENDING stands */
            *output = event->payload;
        }
        return true;
    default: return true;
    }
}

static mr_status past_replay(struct mr__scheduler *s, struct past *past, struct mr__blob log)
{
    struct mr__reader r;
    struct mr__event event;
    mr__reader_init(&r, log.data, log.len);
    while (mr__reader_left(&r) > 0) {
        const uint8_t *begin = r.at;
        if (!mr__event_decode(&r, past->run->last_ms, &event)) {
            return MR_EFORMAT;
        }
        mr_status status = mr__replay(s, past->run, begin, (size_t)(r.at - begin));
        if (status != MR_OK) {
            return status;
        }
        if (!fold(past, &event)) {
            return MR_ENOMEM;
        }
    }
    return MR_OK;
}

/* ---- rerun --from -------------------------------------------------------------------------- */

static bool ended_well(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_SKIPPED;
}

/* Marks all tasks on one side of `from`. `stack` has room for every task: each is on it once. */
static void mark(const struct mr__dag *dag, uint32_t from, uint8_t side, uint8_t *marks,
                 uint32_t *stack)
{
    uint32_t count = 0;
    stack[count++] = from;
    while (count > 0) {
        const struct mr__dag_task *task = &dag->tasks[stack[--count]];
        bool above = side == ABOVE;
        uint32_t first = above ? task->first_parent : task->first_child;
        uint32_t next = above ? task->parent_count : task->child_count;
        for (uint32_t i = 0; i < next; i++) {
            uint32_t t = above ? dag->parents[first + i] : dag->children[first + i];
            if ((marks[t] & side) == 0) {
                marks[t] |= side;
                stack[count++] = t;
            }
        }
    }
}

static mr_status choose(const struct past *past, uint32_t from, mr_error *reterr)
{
    const struct mr__run *run = past->run;
    const struct mr__dag *dag = run->plan->dag;
    struct mr__kept_set *set = past->set;
    char id[MR__RUN_ID_TEXT_BYTES];
    mr_status status = MR_OK;
    uint8_t *marks = calloc(dag->task_count, sizeof *marks);
    uint32_t *stack = malloc(dag->task_count * sizeof *stack);
    set->list = calloc(dag->task_count, sizeof *set->list);
    set->reason = malloc(REASON_BYTES);
    if (marks == NULL || stack == NULL || set->list == NULL || set->reason == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto finish;
    }
    mark(dag, from, ABOVE, marks, stack);
    mark(dag, from, BELOW, marks, stack);
    mr__id_text(run->id, id);
    (void)snprintf(set->reason, REASON_BYTES, "kept from run %s",
                   id + strlen(id) - ID_SHOWN); /* fits */
    for (uint32_t t = 0; t < dag->task_count; t++) {
        uint8_t had = run->tasks[t].status;
        if ((marks[t] & ABOVE) != 0 && !ended_well(had)) {
            status =
                mr__error_set(reterr, MR_ECONFLICT,
                              "cannot rerun from \"%s\": task \"%s\" above it is %s in run %s",
                              dag->tasks[from].id, dag->tasks[t].id, mr__task_status_name(had), id);
            goto finish;
        }
        if (t != from && (marks[t] & BELOW) == 0 && ended_well(had)) {
            set->list[set->count++] = (struct mr__kept){
                .task = t,
                .status = had,
                .reason = {set->reason, strlen(set->reason)},
                .output = past->outputs[t],
            };
        }
    }
finish:
    free(marks);
    free(stack);
    return status;
}

static struct mr__action_binding bind_nothing(void *user, const char *action)
{
    return (struct mr__action_binding){0};
}

mr_status mr__kept_from(struct mr__dag *dag, struct mr__blob log, const char *from,
                        struct mr__kept_set *ret_set, mr_error *reterr)
{
    struct mr__scheduler s;
    struct mr__plan *plan = NULL;
    struct mr__event created;
    struct mr__reader r;
    struct past past = {.set = ret_set};
    mr_status status = mr__names_check(dag, &from, 1, false, reterr);
    if (status != MR_OK) {
        return status;
    }
    mr__reader_init(&r, log.data, log.len);
    if (!mr__event_decode(&r, 0, &created) || created.type != MR__EVENT_RUN_CREATED) {
        return mr__error_set(reterr, MR_EFORMAT, "the run's events are damaged");
    }
    mr__scheduler_init(&s, 1);
    mr__hash_init(&past.share_at);
    past.outputs = calloc(dag->task_count, sizeof *past.outputs);
    status = past.outputs == NULL ? MR_ENOMEM : mr__plan_create(dag, bind_nothing, NULL, &plan);
    if (status == MR_OK) {
        status = mr__run_create(&s, 0, created.id, plan, &past.run);
    }
    if (status == MR_OK) {
        status = past_replay(&s, &past, log);
    }
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "the run cannot be read back: %s",
                            mr_status_text(status));
    } else {
        status = choose(&past, (uint32_t)mr__dag_find(dag, from, strlen(from)), reterr);
    }
    mr__scheduler_finish(&s);
    if (plan != NULL) {
        plan->dag = NULL; /* it was only lent: its references are counted on the loop alone */
        mr__plan_unref(plan);
    }
    mr__hash_finish(&past.share_at);
    free(past.outputs);
    return status;
}
