/* SPDX-License-Identifier: MIT
 *
 * Following a run: watch, wait and logs. One machine: what is stored first (the document, the log
 * up to a mark), then what comes live, held back until the stored part was sent, then the end. Loop
 * thread.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/names.h"
#include "core/engine/run_names.h"

enum follow_phase {
    PHASE_DOC,  /* a job prints the run as it is */
    PHASE_LOGS, /* jobs read the log, page by page */
    PHASE_LIVE
};

struct mr__follow {
    enum follow_phase phase;
    bool want_doc, want_events, want_logs, final_doc;
    const char *task; /* the only one whose log is wanted, or NULL */
    uint64_t mark;    /* log chunks up to this number come from the store, later ones live */
    struct mr__log_page page;
    struct mr__buf held; /* lines that came live before the stored part was sent */
    bool settled;        /* the run stands still: end when the stored part was sent */
    struct mr__buf settled_log;
    struct mr__plan *settled_plan;
};

static void next_phase(struct mr__request *request);
static void finish(struct mr__request *request);

/* ---- who watches whom
 * ---------------------------------------------------------------------------- */

static struct mr__watch *watch_of(struct mr__engine *engine, const uint8_t *run_id)
{
    uint64_t number;
    return mr__hash_get(&engine->watches, run_id, MR__RUN_ID_BYTES, &number)
               ? (struct mr__watch *)(uintptr_t)number
               : NULL;
}

static struct mr__watch *watch_make(struct mr__engine *engine, const uint8_t *run_id)
{
    struct mr__watch *watch = watch_of(engine, run_id);
    if (watch != NULL) {
        return watch;
    }
    watch = mr__calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    memcpy(watch->run_id, run_id, MR__RUN_ID_BYTES);
    if (mr__hash_put(&engine->watches, watch->run_id, MR__RUN_ID_BYTES,
                     (uint64_t)(uintptr_t)watch) != MR_OK) {
        mr__free(watch);
        return NULL;
    }
    return watch;
}

static void watch_drop(struct mr__engine *engine, struct mr__watch *watch)
{
    if (watch->first != NULL || watch->attached) {
        return;
    }
    struct mr__run *run = mr__shard_find(engine->shard, watch->run_id);
    if (run != NULL) {
        run->flags &= (uint8_t)~MR__RUNFLAG_WATCHED;
    }
    (void)mr__hash_del(&engine->watches, watch->run_id, MR__RUN_ID_BYTES);
    mr__free(watch);
}

static bool join(struct mr__request *request, struct mr__run *run)
{
    struct mr__watch *watch = watch_make(request->engine, run->id);
    if (watch == NULL) {
        return false;
    }
    request->watch = watch;
    request->watch_next = watch->first;
    watch->first = request;
    if (request->follow->want_events || request->follow->want_logs) {
        run->flags |= MR__RUNFLAG_WATCHED;
    }
    return true;
}

void mr__follow_leave(struct mr__request *request)
{
    struct mr__follow *follow = request->follow;
    if (request->watch != NULL) {
        struct mr__request **at = &request->watch->first;
        while (*at != request) {
            at = &(*at)->watch_next;
        }
        *at = request->watch_next;
        watch_drop(request->engine, request->watch);
        request->watch = NULL;
    }
    if (follow != NULL) {
        mr__buf_finish(&follow->held);
        mr__buf_finish(&follow->settled_log);
        mr__plan_unref(follow->settled_plan);
        mr__free(follow);
        request->follow = NULL;
    }
}

void mr__follow_attach(struct mr__engine *engine, const uint8_t *run_id)
{
    struct mr__watch *watch = watch_make(engine, run_id);
    if (watch != NULL && !watch->attached) {
        watch->attached = true;
        engine->holding++;
    }
} /* NOLINT(clang-analyzer-unix.Malloc): the table has the watch, as a number */

/* ---- stored part
 * --------------------------------------------------------------------------------- */

static void then_doc(struct mr__run_job *job)
{
    struct mr__request *request = job->request;
    struct mr__follow *follow = request->follow;
    /* It was not in memory, or stood still from the start: there is nothing to wait for. */
    bool standing = request->watch == NULL && !follow->settled;
    if (standing && !follow->want_logs) {
        mr__then_doc_last(job);
        return;
    }
    if (follow->want_doc) {
        mr__buf_text(&job->out, "}");
        if (job->out.failed) {
            mr__answer_fail(request, MR_ENOMEM, "out of memory");
            return;
        }
        mr__answer_text(request, (const char *)job->out.data, job->out.len, false);
    }
    next_phase(request);
}

static mr_status use_log_page(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    struct mr__run_names names;
    const char *only = job->page.only;
    mr_status status = mr__run_names_read(&names, job->dag, job->log);
    job->page.names = &names;
    job->page.only_task = only == NULL ? -1 : mr__run_names_find(&names, only, strlen(only));
    memcpy(job->page.run_id, job->run_id, MR__RUN_ID_BYTES);
    if (status == MR_OK && only != NULL && job->page.only_task < 0) {
        status = mr__names_check(job->dag, &only, 1, true, &job->error);
        if (status == MR_OK) { /* a fan-out that has no such child */
            status = mr__error_set(&job->error, MR_ENOTFOUND, "the run has no task \"%s\"", only);
        }
    }
    if (status == MR_OK) {
        status = mr__read_log_page(snapshot, &job->page);
    }
    mr__run_names_finish(&names);
    return status;
}

static void then_log_page(struct mr__run_job *job);

static void read_page(struct mr__request *request)
{
    struct mr__follow *follow = request->follow;
    struct mr__run_job *job =
        mr__run_job_make(request, mr__shard_find(request->engine->shard, request->run_id),
                         use_log_page, then_log_page);
    if (job != NULL) {
        job->page = follow->page;
        job->page.upto = follow->mark;
        job->page.since_ms = mr_value_int(mr_value_get(&request->json, "since"), 0);
        job->page.only = follow->task; /* in the request's arena, which outlives the job */
        mr__run_job_start(job);
    }
}

static void then_log_page(struct mr__run_job *job)
{
    struct mr__request *request = job->request;
    struct mr__follow *follow = request->follow;
    mr__answer_lines(request, &job->page.lines);
    if (request->ended || request->closed) {
        return;
    }
    follow->page = job->page;
    follow->page.names = NULL;
    mr__buf_init(&follow->page.lines); /* the job's own goes with it */
    if (job->page.done) {
        next_phase(request);
    } else {
        read_page(request);
    }
}

static void next_phase(struct mr__request *request)
{
    struct mr__follow *follow = request->follow;
    if (follow->phase == PHASE_DOC && follow->want_logs) {
        follow->phase = PHASE_LOGS;
        read_page(request);
        return;
    }
    follow->phase = PHASE_LIVE;
    mr__answer_lines(request, &follow->held);
    if (request->ended || request->closed) {
        return;
    }
    mr__buf_reset(&follow->held);
    if (follow->settled || request->watch == NULL) {
        finish(request);
    }
}

/* ---- the end
 * ------------------------------------------------------------------------------------- */

static void finish(struct mr__request *request)
{
    struct mr__follow *follow = request->follow;
    if (!follow->final_doc) {
        mr__answer_text(request, "{\"end\":true}", 12, true);
    } else if (follow->settled_plan != NULL) {
        struct mr__run like = {.plan = follow->settled_plan, .log = follow->settled_log};
        mr__run_job_with(request, &like, mr__use_doc, mr__then_doc_last);
    } else {
        mr__run_job(request, mr__use_doc, mr__then_doc_last);
    }
}

void mr__follow_settled(struct mr__engine *engine, struct mr__run *run)
{
    struct mr__watch *watch = watch_of(engine, run->id);
    if (watch == NULL) {
        return;
    }
    if (watch->attached) {
        watch->attached = false;
        engine->holding--;
        mr__engine_wake(engine);
    }
    while (watch->first != NULL) {
        struct mr__request *request = watch->first;
        struct mr__follow *follow = request->follow;
        watch->first = request->watch_next;
        request->watch = NULL;
        follow->settled = true;
        follow->settled_plan = mr__plan_ref(run->plan);
        mr__buf_bytes(&follow->settled_log, run->log.data, run->log.len);
        if (follow->settled_log.failed) {
            mr__answer_fail(request, MR_ENOMEM, "out of memory");
        } else if (follow->phase == PHASE_LIVE) {
            finish(request);
        }
    }
    watch_drop(engine, watch);
}

/* ---- live part
 * ----------------------------------------------------------------------------------- */

static void live_line(struct mr__request *request, const char *json, size_t len)
{
    struct mr__follow *follow = request->follow;
    if (follow->phase == PHASE_LIVE) {
        mr__answer_text(request, json, len, false);
        return;
    }
    mr__buf_bytes(&follow->held, json, len);
    mr__buf_text(&follow->held, "\n");
    if (follow->held.failed) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
    }
}

/* Gives the line to who wants events, and finishes it. */
static void tell_watchers(struct mr__watch *watch, struct mr__buf *line)
{
    struct mr__request *next, *request = watch == NULL ? NULL : watch->first;
    for (; request != NULL && !line->failed; request = next) {
        next = request->watch_next;
        if (request->follow->want_events) {
            live_line(request, (const char *)line->data, line->len);
        }
    }
    mr__buf_finish(line);
}

void mr__follow_notify(struct mr__engine *engine, struct mr__run *run,
                       const struct mr__event *event, uint32_t attempt)
{
    struct mr__watch *watch = watch_of(engine, run->id);
    struct mr__buf out, name;
    mr__buf_init(&out);
    mr__buf_init(&name);
    mr__run_task_name(run, event->task, &name);
    mr__buf_text(&out, "{\"event\":");
    mr__doc_event(&out, (struct mr__blob){(const char *)name.data, name.len}, event, attempt);
    mr__buf_text(&out, "}");
    out.failed |= name.failed;
    mr__buf_finish(&name);
    tell_watchers(watch, &out);
}

void mr__follow_progress(struct mr__engine *engine, struct mr__run *run,
                         const struct mr__run_progress *progress)
{
    struct mr__watch *watch = watch_of(engine, run->id);
    struct mr__buf out, name;
    if (progress->task >= run->task_count) {
        return;
    }
    mr__buf_init(&out);
    mr__buf_init(&name);
    mr__run_task_name(run, progress->task, &name);
    mr__buf_text(&out, "{\"progress\":{\"task\":");
    mr__json_str(&out, (const char *)name.data, name.len);
    mr__buf_printf(&out, ",\"attempt\":%u,", progress->attempt);
    mr__run_progress_print(&out, progress);
    mr__buf_text(&out, "}}");
    out.failed |= name.failed;
    mr__buf_finish(&name);
    tell_watchers(watch, &out);
}

void mr__follow_log(struct mr__engine *engine, struct mr__run *run, uint32_t task,
                    const struct mr__log_chunk *chunk)
{
    struct mr__watch *watch = watch_of(engine, run->id);
    struct mr__request *next, *request = watch == NULL ? NULL : watch->first;
    struct mr__buf out, name;
    bool is_hook = task >= run->task_count;
    const char *row_id = is_hook ? "" : mr__run_dag_task(run, task)->id;
    mr__buf_init(&out);
    mr__buf_init(&name);
    if (!is_hook) {
        mr__run_task_name(run, task, &name);
    }
    const char *id = mr__buf_cstr(&name);
    mr__log_json(&out, (struct mr__blob){id, name.len}, chunk);
    out.failed |= id == NULL;
    for (; request != NULL && !out.failed; request = next) {
        next = request->watch_next;
        const char *only = request->follow->task;
        if (request->follow->want_logs &&
            (only == NULL || strcmp(only, id) == 0 || strcmp(only, row_id) == 0)) {
            live_line(request, (const char *)out.data, out.len);
        }
    }
    mr__buf_finish(&name);
    mr__buf_finish(&out);
}

void mr__follow_rebuilt(struct mr__engine *engine)
{
    for (size_t i = 0; i < engine->watches.cap; i++) {
        if (engine->watches.rows[i].key == NULL) {
            continue;
        }
        struct mr__watch *watch = (struct mr__watch *)(uintptr_t)engine->watches.rows[i].number;
        struct mr__run *run = mr__shard_find(engine->shard, watch->run_id);
        if (run != NULL && watch->first != NULL) {
            run->flags |= MR__RUNFLAG_WATCHED;
        }
    }
}

/* ---- ops
 * ----------------------------------------------------------------------------------------- */

static bool stands_still(const struct mr__run *run)
{
    return (run->flags & MR__RUNFLAG_SETTLED) != 0 || run->status == MR__RUN_BLOCKED ||
           (run->status == MR__RUN_PAUSED && (run->flags & MR__RUNFLAG_DORMANT) != 0);
}

static void follow(struct mr__request *request, struct mr__follow how, bool wait)
{
    struct mr__engine *engine = request->engine;
    struct mr__run *run = mr__shard_find(engine->shard, request->run_id);
    struct mr__follow *follow = mr__malloc(sizeof *follow);
    if (follow == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    *follow = how;
    mr__buf_init(&follow->held);
    mr__buf_init(&follow->settled_log);
    request->follow = follow;
    follow->mark = mr__shard_log_mark(engine->shard);
    if (wait && run != NULL && !stands_still(run) &&
        (run->flags & (MR__RUNFLAG_DORMANT | MR__RUNFLAG_RESUMING)) == MR__RUNFLAG_DORMANT) {
        mr__answer_fail(
            request, MR_ECONFLICT,
            "nobody goes on with this run: it is %s, and its engine is gone; `millrace run "
            "--resume` goes on with it",
            mr__run_status_name(run->status));
        return;
    }
    if (wait && run != NULL && (!stands_still(run) || (run->flags & MR__RUNFLAG_SETTLED) != 0)) {
        if (!join(request, run)) {
            mr__answer_fail(request, MR_ENOMEM, "out of memory");
            return;
        }
        mr__request_hold(request);
    }
    if (follow->want_doc || request->watch == NULL) {
        if (request->watch == NULL && !follow->final_doc) {
            next_phase(request); /* logs of a run that stands still: no document */
        } else {
            mr__run_job(request, mr__use_doc, then_doc);
        }
    } else {
        next_phase(request);
    }
}

void mr__op_watch(struct mr__request *request)
{
    bool logs = mr_value_int(mr_value_get(&request->json, "logs"), 0) != 0;
    follow(request,
           (struct mr__follow){
               .want_doc = true, .want_events = true, .want_logs = logs, .final_doc = true},
           true);
}

void mr__op_wait(struct mr__request *request)
{
    follow(request, (struct mr__follow){.final_doc = true}, true);
}

void mr__op_logs(struct mr__request *request)
{
    bool wait = mr_value_int(mr_value_get(&request->json, "follow"), 0) != 0;
    follow(request, (struct mr__follow){.want_logs = true, .task = mr__field_str(request, "task")},
           wait);
}
