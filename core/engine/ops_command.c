/* SPDX-License-Identifier: MIT
 *
 * What changes runs that exist: resume, cancel, retry, continue, pause, unpause. Loop thread, but
 * where a job's function says otherwise.
 *
 * Commands for one run are done in the order in which they came: those for a run in memory at once,
 * those for a finished one after a reading job each, and jobs end in their order.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/engine/names.h"
#include "core/engine/schedules.h"

/* ---- resume
 * -------------------------------------------------------------------------------------- */

static void add_missing(struct mr__buf *out, const struct mr__run *run, const char *id, bool first)
{
    const struct mr__plan *plan = run->plan;
    uint32_t t = 0;
    while (plan->dag->tasks[t].action == NULL ||
           (plan->bindings[t].flags & MR__ACTION_KNOWN) != 0) {
        t++;
    }
    const struct mr__dag_task *task = &plan->dag->tasks[t];
    mr__buf_printf(out, "%s{\"run\":\"%s\",\"task\":", first ? "" : ",", id);
    mr__json_str(out, task->id, strlen(task->id));
    mr__buf_text(out, ",\"action\":");
    mr__json_str(out, task->action, strlen(task->action));
    mr__buf_text(out, "}");
}

/* Whether the request means this run: it names some, or means all. */
static bool resume_means(const struct mr__request *request, const char *id)
{
    const mr_value *runs = mr_value_get(&request->json, "runs");
    bool found = runs == NULL || runs->type != MR_LIST;
    for (uint32_t i = 0; !found && i < runs->len; i++) {
        found = strcmp(mr_value_str(&runs->u.list[i], ""), id) == 0;
    }
    return found;
}

/* Runs whose dag's text does not parse: nobody can go on with them. */
static void add_unreadable(struct mr__buf *out, const struct mr__request *request)
{
    const struct mr__shard *shard = request->engine->shard;
    bool first = true;
    mr__buf_text(out, "],\"unreadable\":[");
    for (const struct mr__unreadable *run = mr__shard_unreadables(shard); run != NULL;
         run = run->next) {
        const char *why = mr__shard_refused(shard, run->version);
        char id[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(run->id, id);
        if (resume_means(request, id)) {
            mr__buf_printf(out, "%s{\"run\":\"%s\",\"dag\":", first ? "" : ",", id);
            mr__json_str(out, run->dag, strlen(run->dag));
            mr__buf_text(out, ",\"message\":");
            mr__json_str(out, why == NULL ? "" : why, why == NULL ? 0 : strlen(why));
            mr__buf_text(out, "}");
            first = false;
        }
    }
}

void mr__op_resume(struct mr__request *request)
{
    bool attach = mr__field_true(request, "attach");
    struct mr__engine *engine = request->engine;
    struct mr__scheduler *s = mr__shard_state(engine->shard);
    struct mr__buf *out = &request->out, missing;
    uint8_t(*ids)[MR__RUN_ID_BYTES] = mr__malloc(s->run_count * MR__RUN_ID_BYTES + 1);
    size_t count = 0, listed = 0;
    mr__buf_init(&missing);
    mr__buf_reset(out);
    mr__buf_text(out, "{\"runs\":[");
    for (uint32_t slot = 0; ids != NULL && slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        char id[MR__RUN_ID_TEXT_BYTES];
        if (run == NULL || run->status == MR__RUN_BLOCKED || run->status == MR__RUN_PAUSED ||
            (run->flags & MR__RUNFLAG_SETTLED) != 0) {
            continue;
        }
        mr__id_text(run->id, id);
        if (!resume_means(request, id)) {
            continue;
        }
        if ((run->flags & MR__RUNFLAG_DORMANT) != 0 && run->plan->missing > 0) {
            add_missing(&missing, run, id, missing.len == 0);
            continue;
        }
        if ((run->flags & MR__RUNFLAG_DORMANT) != 0) {
            memcpy(ids[count++], run->id, MR__RUN_ID_BYTES);
        }
        if (attach) {
            mr__follow_attach(engine, run->id);
        }
        mr__buf_printf(out, "%s\"%s\"", listed++ == 0 ? "" : ",", id);
    }
    mr__buf_text(out, "],\"missing\":[");
    mr__buf_bytes(out, missing.data, missing.len);
    add_unreadable(out, request);
    mr__buf_text(out, "],\"end\":true}");
    out->failed |= ids == NULL || missing.failed;
    if (count > 0 && ids != NULL) {
        mr__shard_resume(engine->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])ids, count);
    }
    mr__free(ids);
    mr__buf_finish(&missing);
    mr__answer(request, true);
}

/* ---- commands ------------------------------------------------------------------------------ */

static const char *const verbs[] = {
    [MR__COMMAND_CANCEL] = "cancel",     [MR__COMMAND_RETRY] = "retry",
    [MR__COMMAND_CONTINUE] = "continue", [MR__COMMAND_PAUSE] = "pause",
    [MR__COMMAND_UNPAUSE] = "unpause",
};

/* The command that a request asks for. */
static enum mr__command command_of(const struct mr__request *request)
{
    const char *op = mr__field_str(request, "op");
    size_t command = 0;
    while (strcmp(verbs[command], op) != 0) {
        command++; /* the op was dispatched by this very name */
    }
    return (enum mr__command)command;
}

/* The status of a run after a command: if it has ended by it, it may be gone from memory. */
static const char *status_now(struct mr__shard *shard, const uint8_t *run_id)
{
    const struct mr__run *run = mr__shard_find(shard, run_id);
    const struct mr__pending *pending = mr__shard_pending_find(shard, run_id);
    if (run != NULL) {
        return mr__run_status_name(run->status);
    }
    return pending == NULL ? "canceled" : mr__run_status_name(pending->status);
}

static void command_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__request *request = user;
    struct mr__engine *engine = request->engine;
    const struct mr__run *run = mr__shard_find(engine->shard, request->run_id);
    if (status == MR_OK && run != NULL) {
        mr__schedules_see(engine, run); /* a retried one is unfinished again */
    }
    if (status != MR_OK) {
        mr__answer_failed(request, error);
    } else if (!request->closed && !request->ended) {
        char id[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(request->run_id, id);
        if (run != NULL && mr__field_true(request, "attach")) {
            mr__follow_attach(engine, request->run_id);
        }
        mr__buf_reset(&request->out);
        mr__buf_printf(&request->out, "{\"run\":\"%s\",\"status\":\"%s\",\"end\":true}", id,
                       status_now(engine->shard, request->run_id));
        mr__answer(request, true);
    }
    mr__request_unref(request);
}

/* What the request asks for, of a run of this dag. False: it was answered. */
static bool command_read(struct mr__request *request, const struct mr__dag *dag,
                         struct mr__command_of *ret_what)
{
    mr_error error;
    mr_status status = MR_OK;
    *ret_what = (struct mr__command_of){.command = command_of(request)};
    if (ret_what->command < MR__COMMAND_PAUSE) { /* these two are of the whole run */
        status = mr__field_list(request, "tasks", &ret_what->tasks, &ret_what->task_count, &error);
    }
    if (status == MR_OK) {
        status = mr__names_check(dag, ret_what->tasks, ret_what->task_count, true, &error);
    }
    if (status != MR_OK) {
        mr__answer_failed(request, &error);
    }
    return status == MR_OK;
}

/* The run is in memory. */
static void command_give(struct mr__request *request, const struct mr__command_of *what)
{
    mr__request_ref(request);
    mr__shard_command(request->engine->shard, request->run_id, what, command_done, request);
}

static mr_status use_nothing(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    return MR_OK;
}

/* The status that the run's last event gave it. */
static uint8_t last_status(struct mr__blob log)
{
    struct mr__reader r;
    struct mr__event event = {0};
    int64_t last_ms = 0;
    mr__reader_init(&r, log.data, log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, last_ms, &event)) {
        last_ms = event.time_ms;
    }
    return event.type == MR__EVENT_RUN_SETTLED ? event.status : MR__RUN_RUNNING;
}

/* A finished run can be retried, if it ended badly, and continued, if it failed beside blocked
 * tasks; nothing else. */
static void then_command(struct mr__run_job *job)
{
    struct mr__request *request = job->request;
    struct mr__shard *shard = request->engine->shard;
    uint8_t status = last_status(job->log);
    struct mr__command_of what;
    mr_error error;
    if (!command_read(request, job->dag, &what)) {
        return;
    }
    if (mr__shard_find(shard, request->run_id) != NULL) {
        command_give(request, &what); /* an earlier retry has brought it back meanwhile */
        return;
    }
    bool reopens = (what.command == MR__COMMAND_RETRY && status == MR__RUN_CANCELED) ||
                   (what.command == MR__COMMAND_RETRY && status == MR__RUN_FAILED) ||
                   (what.command == MR__COMMAND_CONTINUE && status == MR__RUN_FAILED);
    if (!reopens) {
        mr__answer_fail(request, MR_ECONFLICT, "cannot %s: the run is %s", verbs[what.command],
                        mr__run_status_name(status));
        return;
    }
    struct mr__plan *plan = mr__run_job_plan(job);
    if (plan == NULL) {
        return;
    }
    if (mr__shard_revive(shard, request->run_id, plan, job->log, &error) == MR_OK) {
        command_give(request, &what);
    } else {
        mr__answer_failed(request, &error);
    }
}

void mr__op_command(struct mr__request *request)
{
    const struct mr__run *run = mr__shard_find(request->engine->shard, request->run_id);
    struct mr__command_of what;
    if (mr__field_true(request, "attach")) {
        mr__request_hold(request);
    }
    if (run == NULL || (run->flags & MR__RUNFLAG_SETTLED) != 0) {
        mr__run_job(request, use_nothing, then_command);
    } else if (command_read(request, run->plan->dag, &what)) {
        command_give(request, &what);
    }
}
