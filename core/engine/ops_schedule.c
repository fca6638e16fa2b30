/* SPDX-License-Identifier: MIT
 *
 * scheduleNext: when a dag of the store, or a text, would run by itself. Loop thread; the text and
 * the time zone are read in a job.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/model/cron.h"

#define NEXT_DEFAULT 5

struct next_job {
    struct mr__request *request;
    const char *text, *file; /* in the request's arena; text NULL: a dag of the store */
    size_t text_len;
    struct mr__checked checked;
    struct mr__arena arena;
    const char *dag, *cron, *timezone; /* cron NULL: it has no schedule; timezone NULL: UTC */
    bool stopped;
    int64_t from_ms, count;
    struct mr__buf out;
    mr_error error;
};

static void job_free(struct next_job *job)
{
    mr__request_unref(job->request);
    mr__checked_finish(&job->checked);
    mr__arena_finish(&job->arena);
    mr__buf_finish(&job->out);
    mr__free(job);
}

static void job_done(void *user, mr_status status)
{
    struct next_job *job = user;
    struct mr__request *request = job->request;
    if (request->closed || request->ended) {
        /* nobody waits for it any more */
    } else if (status == MR_OK && job->checked.bad) {
        mr__answer_bad(request, job->file, &job->checked);
    } else if (status != MR_OK) {
        mr__answer_fail(request, status, "%s",
                        job->error.status == status ? job->error.message : mr_status_text(status));
    } else {
        mr__answer_text(request, (const char *)job->out.data, job->out.len, true);
    }
    job_free(job);
}

/* "2026-01-31T08:00:00+01:00" */
static void add_local(struct mr__buf *out, const struct mr__zone *zone, int64_t time_ms)
{
    char text[MR__TIME_TEXT_BYTES];
    int32_t offset = mr__zone_offset(zone, time_ms >= 0 ? time_ms / 1000 : (time_ms - 999) / 1000);
    int32_t minutes = (offset < 0 ? -offset : offset) / 60;
    mr__time_text(time_ms + (int64_t)offset * 1000, text);
    char *seconds_end = strrchr(text, '.');
    *(seconds_end == NULL ? text : seconds_end) = '\0'; /* it always has one */
    mr__buf_printf(out, "\"%s%c%02d:%02d\"", text, offset < 0 ? '-' : '+', (int)minutes / 60,
                   (int)minutes % 60);
}

static void add_answer(struct next_job *job, const struct mr__cron *cron,
                       const struct mr__zone *zone)
{
    struct mr__buf *out = &job->out, local;
    const char *timezone = job->timezone == NULL ? "UTC" : job->timezone;
    int64_t at_ms = job->from_ms;
    mr__buf_init(&local);
    mr__buf_text(out, "{\"dag\":");
    mr__json_str(out, job->dag, strlen(job->dag));
    mr__buf_text(out, ",\"cron\":");
    mr__json_str(out, job->cron, strlen(job->cron));
    mr__buf_text(out, ",\"timezone\":");
    mr__json_str(out, timezone, strlen(timezone));
    mr__buf_printf(out, ",\"status\":\"%s\",\"next\":[", job->stopped ? "stopped" : "normal");
    for (int64_t i = 0; i < job->count && mr__cron_next(cron, zone, at_ms, &at_ms); i++) {
        char text[MR__TIME_TEXT_BYTES];
        mr__time_text(at_ms, text);
        mr__buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", text);
        mr__buf_text(&local, i == 0 ? "" : ",");
        add_local(&local, zone, at_ms);
    }
    mr__buf_text(out, "],\"local\":[");
    mr__buf_bytes(out, local.data, local.len);
    mr__buf_text(out, "],\"end\":true}");
    out->failed |= local.failed;
    mr__buf_finish(&local);
}

/* Reader thread. */
static mr_status job_read(struct mr__snapshot *snapshot, void *user)
{
    struct next_job *job = user;
    struct mr__zone *zone = NULL;
    struct mr__cron cron;
    mr_status status = MR_OK;
    if (job->text != NULL) {
        struct mr__parse_options options = {.file = job->file};
        status = mr__definition_check(job->request->engine->opt.registry, job->text, job->text_len,
                                      &options, &job->checked);
        if (status != MR_OK || job->checked.bad) {
            return status;
        }
        const struct mr__dag *dag = job->checked.dag;
        job->dag = dag->id;
        job->cron = dag->schedule.cron;
        job->timezone = dag->schedule.timezone;
        job->stopped = dag->stopped;
    }
    if (job->cron == NULL) {
        return mr__error_set(&job->error, MR_ENOTFOUND, "dag \"%s\" has no schedule", job->dag);
    }
    status = mr__cron_parse(job->cron, strlen(job->cron), &cron, &job->error);
    if (status == MR_OK) {
        status = mr__zone_load(job->timezone == NULL ? "UTC" : job->timezone, &zone, &job->error);
    }
    if (status == MR_OK) {
        add_answer(job, &cron, zone);
        status = job->out.failed ? MR_ENOMEM : MR_OK;
    }
    mr__zone_destroy(zone);
    return status;
}

/* Copies what is known of the dag that the request names. False: it was answered. */
static bool take_dag(struct next_job *job)
{
    const struct mr__dag_row *row = mr__request_dag(job->request);
    if (row == NULL) {
        return false;
    }
    const struct mr__blob *cron = &row->pushed.cron, *timezone = &row->pushed.timezone;
    job->dag = mr__arena_dup(&job->arena, row->id, strlen(row->id));
    job->stopped = row->pushed.stopped;
    bool ok = job->dag != NULL;
    if (cron->len > 0) {
        job->cron = mr__arena_dup(&job->arena, cron->data, cron->len);
        ok = ok && job->cron != NULL;
    }
    if (timezone->len > 0) {
        job->timezone = mr__arena_dup(&job->arena, timezone->data, timezone->len);
        ok = ok && job->timezone != NULL;
    }
    if (!ok) {
        mr__answer_fail(job->request, MR_ENOMEM, "out of memory");
    }
    return ok;
}

static bool take_request(struct next_job *job)
{
    struct mr__request *request = job->request;
    struct mr__clock *clock = request->engine->clock;
    const mr_value *text = mr_value_get(&request->json, "text");
    job->count = mr_value_int(mr_value_get(&request->json, "n"), NEXT_DEFAULT);
    job->from_ms = mr_value_int(mr_value_get(&request->json, "from"), clock->wall_ms(clock));
    if (job->count < 1 || job->count > MR__SCHEDULE_NEXT_MAX) {
        mr__answer_fail(request, MR_EINVAL, "\"n\" must be 1 to %u", MR__SCHEDULE_NEXT_MAX);
        return false;
    }
    if (text == NULL || text->type != MR_STRING) {
        return take_dag(job);
    }
    job->text = text->u.s;
    job->text_len = text->len;
    job->file = mr__field_str(request, "file");
    job->file = job->file == NULL ? "-" : job->file;
    return true;
}

void mr__op_schedule_next(struct mr__request *request)
{
    struct next_job *job = mr__calloc(1, sizeof *job);
    if (job == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    job->request = request;
    mr__arena_init(&job->arena);
    mr__request_ref(request);
    if (!take_request(job)) {
        job_free(job);
        return;
    }
    mr_status status = mr__engine_read(request->engine, job_read, job_done, job);
    if (status != MR_OK) {
        job_done(job, status);
    }
}
