/* SPDX-License-Identifier: MIT
 *
 * The rows of schedules.h, kept like the table of definitions, and the timer. Loop thread.
 *
 * Rows are few and looked at seldom: they are walked for the next time, not kept in order.
 */
#include "core/engine/schedules_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FAR_MS    INT64_C(253402300800000) /* the year 10000, where cron ends, too */
#define ARM_TRIES 8 /* the clock may be set while the timer is; not so often */

static mr_status read_all(struct mr__schedules *schedules, mr_error *reterr);

/* ---- rows ---------------------------------------------------------------------------------------
 */

static struct mr__schedule_row *row_find(const struct mr__schedules *schedules, const char *id)
{
    uint64_t number;
    return mr__hash_get(&schedules->by_id, id, strlen(id), &number) ? schedules->rows[number]
                                                                    : NULL;
}

static struct mr__schedule_row *row_add(struct mr__schedules *schedules, struct mr__blob id)
{
    if (schedules->count == schedules->cap) {
        size_t cap = schedules->cap == 0 ? 16 : schedules->cap * 2;
        struct mr__schedule_row **rows =
            mr__realloc(schedules->rows, cap * sizeof(struct mr__schedule_row *));
        if (rows == NULL) {
            return NULL;
        }
        schedules->rows = rows;
        schedules->cap = cap;
    }
    struct mr__schedule_row *row = mr__calloc(1, sizeof *row + id.len + 1);
    if (row == NULL) {
        return NULL;
    }
    char *copy = (char *)(row + 1);
    memcpy(copy, id.data, id.len);
    row->id = copy;
    row->schedules = schedules;
    row->next_ms = row->retry_ms = INT64_MAX;
    if (mr__hash_put(&schedules->by_id, row->id, id.len, schedules->count) != MR_OK) {
        mr__free(row);
        return NULL;
    }
    schedules->rows[schedules->count++] = row;
    return row;
}

static void rows_drop(struct mr__schedules *schedules)
{
    mr__hash_finish(&schedules->by_id);
    mr__hash_init(&schedules->by_id);
    while (schedules->count > 0) {
        struct mr__schedule_row *row = schedules->rows[--schedules->count];
        if (row->start != NULL) {
            mr__schedule_start_orphan(row->start);
        }
        mr__free(row->runs);
        mr__free(row);
    }
}

/* What `dags` shows of it. */
static void show(const struct mr__schedule_row *row)
{
    struct mr__dag_row *shown = mr__definitions_find(&row->schedules->engine->definitions, row->id);
    if (shown != NULL) {
        const struct mr__schedule_mark *mark = &row->state.mark;
        shown->next_ms = row->next_ms == INT64_MAX ? 0 : row->next_ms;
        shown->waiting = mark->waiting_count;
        shown->skipped = mark->skipped;
        shown->skipped_ms = mark->skipped_ms;
    }
}

static void saved(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    /* What could not be stored is read anew with everything else. */
}

void mr__schedule_row_save(struct mr__schedule_row *row)
{
    struct mr__key key;
    struct mr__buf value;
    mr__buf_init(&value);
    mr__key_schedule(&key, row->id);
    mr__schedule_mark_write(&value, &row->state.mark);
    if (!value.failed) { /* else it is stored with the next decision */
        row->unsaved = false;
        mr__shard_put_after(row->schedules->engine->shard, &key,
                            (struct mr__bytes){value.data, value.len}, saved, NULL);
    }
    mr__buf_finish(&value);
    show(row);
}

/* Times that are skipped are told of at the first one, and counted when a run is made again. */
static void tell_skipped(struct mr__schedule_row *row, const struct mr__schedule_found *found)
{
    static const char *const reasons[] = {
        [MR__OVERLAP_SKIP] = "an earlier run is unfinished",
        [MR__OVERLAP_QUEUE] = "too many wait already",
        [MR__OVERLAP_REPLACE] = "a later one replaces it",
        [MR__OVERLAP_ALLOW] = "too many wait already",
    };
    struct mr__engine *engine = row->schedules->engine;
    const struct mr__schedule_mark *mark = &row->state.mark;
    char text[MR__TIME_TEXT_BYTES];
    if (found->skipped > 0 && row->skipped_told == 0) {
        row->skipped_told = mark->skipped;
        mr__time_text(mark->skipped_ms, text);
        mr__engine_log(engine, 1, "dag \"%s\": no run for the scheduled time %s: %s", row->id, text,
                       reasons[row->rule.overlap]);
    } else if (found->skipped == 0 && found->changed && row->skipped_told != 0) {
        uint64_t more = mark->skipped - row->skipped_told;
        row->skipped_told = 0;
        if (more > 0) {
            mr__engine_log(engine, 1, "dag \"%s\": no run for %llu further scheduled times",
                           row->id, (unsigned long long)more);
        }
    }
}

static void tell_missed(const struct mr__schedule_row *row, const struct mr__schedule_found *found)
{
    static const char *const ways[] = {
        [MR__CATCHUP_SKIP] = "the schedule goes on with the next one",
        [MR__CATCHUP_LATEST] = "the last of them is caught up with",
        [MR__CATCHUP_ALL] = "they are caught up with",
    };
    char text[MR__TIME_TEXT_BYTES];
    if (found->missed_ms != 0) {
        mr__time_text(found->missed_ms, text);
        mr__engine_log(row->schedules->engine, 1,
                       "dag \"%s\": scheduled times from %s on were missed: %s", row->id, text,
                       ways[row->rule.catchup]);
    }
}

static void tell_back(struct mr__schedule_row *row, int64_t now_ms)
{
    bool back = row->state.mark.decided_ms > now_ms;
    char text[MR__TIME_TEXT_BYTES];
    if (back && !row->told_back) {
        mr__time_text(row->state.mark.decided_ms, text);
        mr__engine_log(row->schedules->engine, 1,
                       "dag \"%s\": the clock was set back: its schedule goes on after %s", row->id,
                       text);
    }
    row->told_back = back;
}

void mr__schedule_row_look(struct mr__schedule_row *row)
{
    struct mr__schedules *schedules = row->schedules;
    struct mr__clock *clock = schedules->engine->clock;
    struct mr__schedule_found found;
    if (!row->active || row->rule.zone == NULL) {
        return;
    }
    struct mr__schedule_look look = {.now_ms = clock->wall_ms(clock),
                                     .busy = row->run_count > 0 || row->start != NULL};
    schedules->since_ms = MR__MIN(schedules->since_ms, look.now_ms); /* the clock was set back */
    look.since_ms = schedules->since_ms;
    tell_back(row, look.now_ms);
    mr__schedule_look(&row->rule, &row->state, &look, &found);
    row->next_ms = found.next_ms;
    row->unsaved |= found.changed;
    tell_missed(row, &found);
    tell_skipped(row, &found);
    mr__schedule_row_advance(row);
}

/* ---- runs ---------------------------------------------------------------------------------------
 */

static void canceled(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    /* A run that cannot be canceled is just ending. */
}

static void cancel_runs(struct mr__schedule_row *row)
{
    struct mr__command_of what = {.command = MR__COMMAND_CANCEL};
    for (size_t i = 0; i < row->run_count; i++) {
        mr__shard_command(row->schedules->engine->shard, row->runs[i], &what, canceled, NULL);
    }
}

void mr__schedule_row_advance(struct mr__schedule_row *row)
{
    int64_t time_ms;
    if (!row->active || row->rule.zone == NULL) {
        show(row);
        return;
    }
    if (mr__schedule_replaces(&row->rule, &row->state)) {
        cancel_runs(row);
    }
    if (row->start == NULL &&
        mr__schedule_ready(&row->rule, &row->state, row->run_count > 0, &time_ms)) {
        mr__schedule_start(row, time_ms); /* and the mark is stored with the run */
    } else if (row->unsaved && row->start == NULL) {
        mr__schedule_row_save(row);
    }
    show(row);
}

bool mr__schedule_row_add_run(struct mr__schedule_row *row, const uint8_t *run_id)
{
    if (row->run_count == row->run_cap) {
        size_t cap = row->run_cap == 0 ? 4 : row->run_cap * 2;
        uint8_t(*runs)[MR__RUN_ID_BYTES] = mr__realloc(row->runs, cap * MR__RUN_ID_BYTES);
        if (runs == NULL) {
            return false;
        }
        row->runs = runs;
        row->run_cap = cap;
    }
    memcpy(row->runs[row->run_count++], run_id, MR__RUN_ID_BYTES);
    return true;
}

static size_t run_place(const struct mr__schedule_row *row, const uint8_t *run_id)
{
    size_t i = 0;
    while (i < row->run_count && memcmp(row->runs[i], run_id, MR__RUN_ID_BYTES) != 0) {
        i++;
    }
    return i;
}

static bool is_scheduled(const struct mr__run *run)
{
    static const char begin[] = MR__SCHEDULE_ORIGIN;
    struct mr__event created;
    return mr__read_created((struct mr__blob){(const char *)run->log.data, run->log.len},
                            &created) &&
           created.payload.len >= sizeof begin &&
           memcmp(created.payload.data, begin, sizeof begin - 1) == 0;
}

void mr__schedules_settled(struct mr__engine *engine, const struct mr__run *run)
{
    struct mr__schedule_row *row =
        engine->schedules == NULL ? NULL : row_find(engine->schedules, run->plan->dag->id);
    size_t at = row == NULL ? 0 : run_place(row, run->id);
    if (row == NULL || at == row->run_count || run->status == MR__RUN_BLOCKED) {
        return;
    }
    memcpy(row->runs[at], row->runs[--row->run_count], MR__RUN_ID_BYTES);
    mr__schedule_row_advance(row);
}

void mr__schedules_see(struct mr__engine *engine, const struct mr__run *run)
{
    struct mr__schedule_row *row =
        engine->schedules == NULL ? NULL : row_find(engine->schedules, run->plan->dag->id);
    bool ended = run->status == MR__RUN_SUCCESS || run->status == MR__RUN_FAILED ||
                 run->status == MR__RUN_CANCELED;
    if (row != NULL && !ended && run_place(row, run->id) == row->run_count && is_scheduled(run) &&
        !mr__schedule_row_add_run(row, run->id)) {
        mr__engine_log(engine, 1, "out of memory: a run of dag \"%s\" does not hold up later ones",
                       row->id);
    }
}

/* ---- following the definitions ------------------------------------------------------------------
 */

static void row_set(struct mr__schedule_row *row, const struct mr__pushed *pushed)
{
    mr_error error;
    const char *timezone = pushed->timezone.len == 0 ? "" : pushed->timezone.data;
    if (row->pushed_from_ms != pushed->from_ms) {
        row->pushed_from_ms = row->state.from_ms = pushed->from_ms;
    }
    row->rule.overlap = pushed->overlap;
    row->rule.catchup = pushed->catchup;
    row->next_ms = INT64_MAX;
    row->active = !pushed->stopped && pushed->cron.len > 0;
    if (row->active &&
        mr__cron_parse(pushed->cron.data, pushed->cron.len, &row->rule.cron, &error) != MR_OK) {
        mr__engine_log(row->schedules->engine, 1, "the schedule of dag \"%s\" does nothing: %s",
                       row->id, error.message);
        row->active = false;
    }
    if (row->active) {
        mr__schedule_zone_want(row, timezone);
    } else if (mr__schedule_drop(&row->state)) {
        mr__schedule_row_save(row);
    }
    show(row);
}

/* Nothing is decided here for want of memory: the schedule stands still until the next change. */
static void row_follow(struct mr__schedules *schedules, const struct mr__dag_row *definition)
{
    struct mr__schedule_row *row = row_find(schedules, definition->id);
    if (row == NULL && definition->pushed.cron.len > 0) {
        row = row_add(schedules, (struct mr__blob){definition->id, strlen(definition->id)});
        if (row == NULL) {
            mr__engine_log(schedules->engine, 1,
                           "the schedule of dag \"%s\" does nothing: out of memory",
                           definition->id);
        }
    }
    if (row != NULL) {
        row_set(row, &definition->pushed);
    }
}

static void on_changed(void *user, const struct mr__dag_row *definition)
{
    struct mr__schedules *schedules = user;
    mr_error error = {0};
    if (definition != NULL) {
        row_follow(schedules, definition);
    } else if (read_all(schedules, &error) != MR_OK) {
        mr__engine_log(schedules->engine, 0, "schedules do nothing until the next start: %s",
                       error.message);
        rows_drop(schedules);
    }
    mr__schedules_arm(schedules);
}

/* ---- reading the store --------------------------------------------------------------------------
 */

struct reading {
    struct mr__schedules *schedules;
    mr_status status;
    mr_error *reterr;
};

static bool read_mark(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct reading *reading = user;
    struct mr__blob id;
    struct mr__schedule_row *row = NULL;
    if (!mr__key_schedule_id(key, &id)) {
        reading->status =
            mr__error_set(reading->reterr, MR_EFORMAT, "the store has a key of no dag");
        return false;
    }
    row = row_add(reading->schedules, id);
    reading->status = row == NULL
                          ? mr__error_set(reading->reterr, MR_ENOMEM, "out of memory")
                          : mr__schedule_mark_read(value, &row->state.mark, reading->reterr);
    return reading->status == MR_OK;
}

static mr_status read_marks(struct mr__snapshot *snapshot, void *user)
{
    static const uint8_t from[] = {MR__TABLE_CONFIG, 's'}, to[] = {MR__TABLE_CONFIG, 's' + 1};
    struct reading *reading = user;
    mr_status status =
        snapshot->ops->range(snapshot, (struct mr__bytes){from, sizeof from},
                             (struct mr__bytes){to, sizeof to}, 0, 0, read_mark, reading);
    return reading->status != MR_OK ? reading->status : status;
}

/* Marks first, then the runs that are unfinished, and only then what is to be done now. */
static mr_status read_all(struct mr__schedules *schedules, mr_error *reterr)
{
    struct mr__engine *engine = schedules->engine;
    struct mr__scheduler *s = mr__shard_state(engine->shard);
    struct reading reading = {.schedules = schedules, .reterr = reterr};
    const struct mr__dag_row *definition;
    rows_drop(schedules);
    mr_status status = engine->store->ops->read_now(engine->store, read_marks, &reading);
    if (status != MR_OK) {
        return reading.status != MR_OK
                   ? status
                   : mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        if (s->runs[slot] != NULL) {
            mr__schedules_see(engine, s->runs[slot]);
        }
    }
    for (size_t i = 0; (definition = mr__definitions_at(&engine->definitions, i)) != NULL; i++) {
        row_follow(schedules, definition);
    }
    return MR_OK;
}

/* ---- the timer ----------------------------------------------------------------------------------
 */

/* All of them: the clock was set. Else those whose time has come. */
static void look_at_rows(struct mr__schedules *schedules, bool all)
{
    struct mr__clock *clock = schedules->engine->clock;
    int64_t now_ms = clock->wall_ms(clock);
    for (size_t i = 0; i < schedules->count; i++) {
        struct mr__schedule_row *row = schedules->rows[i];
        if (all || row->next_ms <= now_ms || row->retry_ms <= now_ms) {
            row->retry_ms = INT64_MAX;
            mr__schedule_row_look(row);
        }
    }
}

/* False: the clock was set since the last time, which nothing else tells any more. */
static bool arm_at(struct mr__schedules *schedules, int64_t next_ms)
{
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(next_ms / 1000), .tv_nsec = next_ms % 1000 * 1000000}};
    bool armed = timerfd_settime(schedules->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                                 &at, NULL) == 0;
    if (!armed && errno != ECANCELED) {
        mr__engine_log(schedules->engine, 0, "the schedules' timer cannot be set: %s",
                       strerror(errno));
        return true;
    }
    return armed;
}

/* It is armed even where no row has a next time, so that a clock being set is noticed. */
void mr__schedules_arm(struct mr__schedules *schedules)
{
    for (int i = 0; i < ARM_TRIES; i++) {
        int64_t next_ms = FAR_MS;
        for (size_t r = 0; r < schedules->count; r++) {
            const struct mr__schedule_row *row = schedules->rows[r];
            next_ms = MR__MIN(next_ms, MR__MIN(row->next_ms, row->retry_ms));
        }
        if (arm_at(schedules, next_ms)) {
            return;
        }
        look_at_rows(schedules, true);
    }
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct mr__schedules *schedules = poll->data;
    uint64_t times;
    bool set = read(schedules->timer_fd, &times, sizeof times) < 0 && errno == ECANCELED;
    look_at_rows(schedules, set);
    mr__schedules_arm(schedules);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

void mr__schedules_free(struct mr__schedules *schedules)
{
    if (schedules->closed && schedules->poll_closed && schedules->zone_jobs == 0) {
        mr__schedule_zones_finish(schedules);
        mr__free(schedules);
    }
}

static void poll_on_closed(uv_handle_t *handle)
{
    struct mr__schedules *schedules = handle->data;
    schedules->poll_closed = true;
    mr__schedules_free(schedules);
}

static mr_status open_timer(struct mr__schedules *schedules, mr_error *reterr)
{
    schedules->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    int rc = schedules->timer_fd < 0
                 ? -errno
                 : uv_poll_init(schedules->engine->loop, &schedules->poll, schedules->timer_fd);
    if (rc != 0) {
        if (schedules->timer_fd >= 0) {
            (void)close(schedules->timer_fd);
        }
        return mr__error_set(reterr, mr__status_from_errno(-rc),
                             "the schedules' timer cannot be made: %s", uv_strerror(rc));
    }
    schedules->poll.data = schedules;
    (void)uv_poll_start(&schedules->poll, UV_READABLE, on_timer); /* a fresh handle: cannot fail */
    return MR_OK;
}

mr_status mr__schedules_open(struct mr__engine *engine, mr_error *reterr)
{
    struct mr__schedules *schedules = mr__calloc(1, sizeof *schedules);
    if (schedules == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    schedules->engine = engine;
    schedules->since_ms = engine->clock->wall_ms(engine->clock);
    mr_status status = open_timer(schedules, reterr);
    if (status != MR_OK) {
        mr__free(schedules);
        return status;
    }
    engine->schedules = schedules;
    engine->definitions.changed = on_changed;
    engine->definitions.user = schedules;
    status = read_all(schedules, reterr);
    if (status != MR_OK) {
        mr__schedules_close(engine);
        return status;
    }
    mr__schedules_arm(schedules);
    return MR_OK;
}

void mr__schedules_close(struct mr__engine *engine)
{
    struct mr__schedules *schedules = engine->schedules;
    if (schedules == NULL) {
        return;
    }
    engine->schedules = NULL;
    engine->definitions.changed = NULL;
    for (size_t i = 0; i < schedules->count; i++) { /* nobody decides any more */
        schedules->rows[i]->active = false;
        schedules->rows[i]->next_ms = INT64_MAX;
        show(schedules->rows[i]);
    }
    rows_drop(schedules);
    mr__free(schedules->rows);
    schedules->closed = true;
    (void)uv_poll_stop(&schedules->poll);
    uv_close((uv_handle_t *)&schedules->poll, poll_on_closed);
    (void)close(schedules->timer_fd);
}
