/* SPDX-License-Identifier: MIT
 *
 * A nominal time becomes a run of the dag's current version with its default variables: the text
 * and the key are looked up in a reading job, then the run and the mark go to the shard together.
 * Loop thread, but for the job's function.
 */
#include "core/engine/schedules_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES (MR__ID_BYTES_MAX + 40)
#define RETRY_MS  5000

struct mr__schedule_start {
    struct mr__schedule_row *row; /* NULL: nobody waits for it any more */
    struct mr__engine *engine;
    int64_t time_ms;
    char key[KEY_BYTES], dag[MR__ID_BYTES_MAX + 1];
    uint8_t version[MR__VERSION_BYTES];
    struct mr__plan *plan;  /* a reference, once it is known */
    struct mr__dag *parsed; /* by the job */
    bool found;             /* by the job: a run has the key */
    mr_error error;         /* of the job */
    bool submitting, told;  /* the shard's answer came while it was asked */
};

static void start_free(struct mr__schedule_start *start)
{
    mr__plan_unref(start->plan);
    mr__dag_unref(start->parsed);
    mr__free(start);
}

void mr__schedule_start_orphan(struct mr__schedule_start *start)
{
    start->row = NULL;
}

/* Over: the row may go on. */
static void start_end(struct mr__schedule_start *start)
{
    struct mr__schedule_row *row = start->row;
    start_free(start);
    if (row != NULL) {
        row->start = NULL;
        mr__schedule_row_advance(row);
    }
}

/* Whether a failure is of the store or of the moment: then the time stays in the mark, and is tried
 * again. */
static bool is_passing(mr_status status)
{
    return status == MR_ESTORE || status == MR_EUNKNOWN || status == MR_ECLOSED ||
           status == MR_ENOMEM || status == MR_EIO || status == MR_EFULL || status == MR_ELIMIT;
}

static void retry_later(struct mr__schedule_row *row)
{
    struct mr__clock *clock = row->schedules->engine->clock;
    row->retry_ms = clock->wall_ms(clock) + RETRY_MS;
    mr__schedules_arm(row->schedules);
}

static void start_failed(struct mr__schedule_start *start, mr_status status, const char *message)
{
    struct mr__schedule_row *row = start->row;
    char text[MR__TIME_TEXT_BYTES];
    bool passing = is_passing(status);
    mr__time_text(start->time_ms, text);
    if (status != MR_ECLOSED) {
        mr__engine_log(start->engine, 1, "dag \"%s\": no run for the scheduled time %s%s: %s",
                       start->dag, text, passing ? " yet" : "", message);
    }
    if (passing) {
        row->start = NULL;
        start_free(start);
        retry_later(row);
        return;
    }
    if (status == MR_ECONFLICT) {
        mr__schedule_begun(&row->state); /* it has one */
    } else {
        mr__schedule_refused(&row->state);
    }
    row->unsaved = true;
    start_end(start);
}

/* ---- the submit ---------------------------------------------------------------------------------
 */

static void submit_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__schedule_start *start = user;
    struct mr__schedule_row *row = start->row;
    if (start->submitting) { /* refused at once */
        start->told = true;
        start->error = *error;
        return;
    }
    if (row == NULL) {
        start_free(start);
        return;
    }
    if (status != MR_OK) { /* everything is read anew, this row too */
        row->start = NULL;
        start_free(start);
        return;
    }
    const struct mr__run *run = mr__shard_find(start->engine->shard, run_id);
    if (run != NULL) {
        mr__schedules_see(start->engine, run);
    }
    start_end(start);
}

static mr_status fill_vars(const struct mr__dag *dag, struct mr__buf *vars, mr_error *reterr)
{
    mr_value none = {.type = MR_MAP}, complete;
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_status status = mr__dag_vars(dag, &none, &arena, &complete, reterr);
    if (status == MR_OK) {
        mr__value_print(vars, &complete);
    }
    mr__arena_finish(&arena);
    return status == MR_OK || status == MR_ENOMEM ? status : MR_EINVAL; /* the dag is to blame */
}

static void start_submit(struct mr__schedule_start *start)
{
    struct mr__schedule_row *row = start->row;
    const struct mr__dag *dag = start->plan->dag;
    const struct mr__dag_row *definition =
        mr__definitions_find(&start->engine->definitions, start->dag);
    struct mr__buf vars, tags;
    char origin[sizeof MR__SCHEDULE_ORIGIN + 24];
    mr_value tag_map = dag->tags;
    mr__buf_init(&vars);
    mr__buf_init(&tags);
    tag_map.type = MR_MAP;
    mr__value_print(&tags, &tag_map);
    (void)snprintf(origin, sizeof origin, MR__SCHEDULE_ORIGIN "%lld}",
                   (long long)start->time_ms); /* fits */
    mr_status status = fill_vars(dag, &vars, &start->error);
    if (status == MR_OK && (vars.failed || tags.failed)) {
        status = mr__error_set(&start->error, MR_ENOMEM, "out of memory");
    }
    if (status == MR_OK) {
        struct mr__blob folder = definition == NULL || definition->pushed.folder.len == 0
                                     ? (struct mr__blob){"/", 1}
                                     : definition->pushed.folder;
        struct mr__submit submit = {
            .plan = start->plan,
            .folder = folder,
            .vars = {(const char *)vars.data, vars.len},
            .tags = {(const char *)tags.data, tags.len},
            .key = {start->key, strlen(start->key)},
            .origin = {origin, strlen(origin)},
        };
        start->submitting = true;
        mr__shard_submit(start->engine->shard, &submit, submit_done, start);
        start->submitting = false;
        status = start->told ? start->error.status : MR_OK;
    }
    mr__buf_finish(&vars);
    mr__buf_finish(&tags);
    if (status != MR_OK) {
        start_failed(start, status, start->error.message);
        return;
    }
    mr__schedule_begun(&row->state);
    mr__schedule_row_save(row); /* in the same commit as the run */
}

/* ---- the job ------------------------------------------------------------------------------------
 */

/* Reader thread. */
static mr_status start_read(struct mr__snapshot *snapshot, void *user)
{
    struct mr__schedule_start *start = user;
    uint8_t other[MR__RUN_ID_BYTES];
    struct mr__event version = {.dag = {start->dag, strlen(start->dag)}, .version = start->version};
    struct mr__blob key = {start->key, strlen(start->key)};
    mr_status status = mr__read_key(snapshot, key, other);
    start->found = status == MR_OK;
    if (status != MR_ENOTFOUND || start->plan != NULL) {
        return status == MR_ENOTFOUND ? MR_OK : status;
    }
    return mr__read_dag(snapshot, &version, &start->parsed, &start->error);
}

static void start_read_done(void *user, mr_status status)
{
    struct mr__schedule_start *start = user;
    struct mr__schedule_row *row = start->row;
    const struct mr__schedule_mark *mark = row == NULL ? NULL : &row->state.mark;
    if (mark == NULL || !row->active || mark->waiting_count == 0 ||
        mark->waiting[0] != start->time_ms) {
        start_end(start); /* replaced by a later one, or its dag was stopped */
        return;
    }
    if (status == MR_OK && start->parsed != NULL) {
        struct mr__plan *plan;
        status = mr__shard_plan_add(start->engine->shard, start->parsed, &plan);
        start->parsed = NULL; /* taken */
        if (status == MR_OK) {
            plan->stored = true;
            start->plan = mr__plan_ref(plan);
        }
    }
    if (status == MR_EDEFINITION) {
        mr__shard_refuse(start->engine->shard, start->version, start->error.message);
    }
    if (status != MR_OK) {
        start_failed(start, status,
                     start->error.status == status ? start->error.message : mr_status_text(status));
    } else if (start->found) {
        start_failed(start, MR_ECONFLICT, "it has one already");
    } else if (start->plan->missing > 0) {
        start_failed(start, MR_ENOTFOUND, "an action is missing: no plugin has it");
    } else {
        start_submit(start);
    }
}

/* What the job looks for is in the store by now. */
static void start_job(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__schedule_start *start = user;
    if (status == MR_OK) {
        status = mr__engine_read(start->engine, start_read, start_read_done, start);
    } else {
        start->error = *error;
    }
    if (status != MR_OK) {
        start_read_done(start, status);
    }
}

void mr__schedule_start(struct mr__schedule_row *row, int64_t time_ms)
{
    struct mr__engine *engine = row->schedules->engine;
    const struct mr__dag_row *definition = mr__definitions_find(&engine->definitions, row->id);
    struct mr__schedule_start *start = mr__calloc(1, sizeof *start);
    if (start == NULL || definition == NULL) {
        mr__free(start);
        retry_later(row);
        return;
    }
    start->row = row;
    start->engine = engine;
    start->time_ms = time_ms;
    (void)snprintf(start->dag, sizeof start->dag, "%s", row->id); /* fits, as the key does */
    (void)snprintf(start->key, sizeof start->key, "schedule:%s:%lld", row->id, (long long)time_ms);
    memcpy(start->version, definition->pushed.version, MR__VERSION_BYTES);
    struct mr__plan *plan = mr__shard_plan(engine->shard, start->version);
    start->plan = plan == NULL ? NULL : mr__plan_ref(plan);
    row->start = start;
    mr__shard_after(engine->shard, start_job, start);
}
