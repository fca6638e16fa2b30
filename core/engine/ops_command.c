/* SPDX-License-Identifier: MIT
 *
 * What changes runs that exist: resume, cancel, retry, continue. Loop thread, but where a job's
 * function says otherwise.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"

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

void mr__op_resume(struct mr__request *request)
{
    bool attach = mr_value_int(mr_value_get(&request->json, "attach"), 0) != 0;
    struct mr__engine *engine = request->engine;
    struct mr__scheduler *s = mr__shard_state(engine->shard);
    struct mr__buf *out = &request->out, missing;
    uint8_t(*ids)[MR__RUN_ID_BYTES] = malloc(s->run_count * MR__RUN_ID_BYTES + 1);
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
    mr__buf_text(out, "],\"end\":true}");
    out->failed |= ids == NULL || missing.failed;
    if (count > 0 && ids != NULL) {
        mr__shard_resume(engine->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])ids, count);
    }
    free(ids);
    mr__buf_finish(&missing);
    mr__answer(request, true);
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */

static void command_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__request *request = user;
    struct mr__engine *engine = request->engine;
    struct mr__run *run = mr__shard_find(engine->shard, request->run_id);
    if (status != MR_OK) {
        mr__answer_failed(request, error);
    } else if (!request->closed && !request->ended) {
        char id[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(request->run_id, id);
        if (run != NULL && mr_value_int(mr_value_get(&request->json, "attach"), 0) != 0) {
            mr__follow_attach(engine, request->run_id);
        }
        mr__buf_reset(&request->out);
        mr__buf_printf(&request->out, "{\"run\":\"%s\",\"status\":\"%s\",\"end\":true}", id,
                       run == NULL ? "canceled" : mr__run_status_name(run->status));
        mr__answer(request, true);
    }
    mr__request_unref(request);
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

static void refuse_finished(struct mr__run_job *job, const char *verb)
{
    mr__answer_fail(job->request, MR_ECONFLICT, "cannot %s: the run is %s", verb,
                    mr__run_status_name(last_status(job->log)));
}

static void then_refuse_cancel(struct mr__run_job *job)
{
    refuse_finished(job, "cancel");
}

static void then_refuse_continue(struct mr__run_job *job)
{
    refuse_finished(job, "continue");
}

static void then_retry(struct mr__run_job *job)
{
    struct mr__request *request = job->request;
    struct mr__shard *shard = request->engine->shard;
    struct mr__plan *plan;
    mr_error error;
    uint8_t status = last_status(job->log);
    if (mr__shard_find(shard, request->run_id) == NULL) {
        if (status != MR__RUN_FAILED && status != MR__RUN_CANCELED) {
            refuse_finished(job, "retry");
            return;
        }
        mr_status result = MR_OK;
        if (job->plan != NULL) {
            plan = job->plan;
        } else {
            result = mr__shard_plan_add(shard, job->dag, &plan);
            job->dag = NULL;
        }
        if (result != MR_OK) {
            mr__answer_fail(request, result, "%s", mr_status_text(result));
            return;
        }
        if (plan->missing > 0) {
            mr__answer_fail(request, MR_ENOTFOUND,
                            "an action of the run's dag \"%s\" is missing: no plugin has it",
                            plan->dag->id);
            return;
        }
        if (mr__shard_revive(shard, request->run_id, plan, job->log, &error) != MR_OK) {
            mr__answer_failed(request, &error);
            return;
        }
    }
    mr__request_ref(request);
    mr__shard_command(shard, request->run_id, MR__COMMAND_RETRY, command_done, request);
}

static void command(struct mr__request *request, enum mr__command command,
                    void (*finished)(struct mr__run_job *job))
{
    struct mr__shard *shard = request->engine->shard;
    const mr_value *tasks = mr_value_get(&request->json, "tasks");
    const struct mr__run *run = mr__shard_find(shard, request->run_id);
    if (mr_value_int(mr_value_get(&request->json, "attach"), 0) != 0) {
        mr__request_hold(request);
    }
    if (tasks != NULL && tasks->len > 0) {
        mr__answer_fail(request, MR_ENOSYS, "single tasks are not yet supported");
    } else if (run == NULL || (run->flags & MR__RUNFLAG_SETTLED) != 0) {
        mr__run_job(request, use_nothing, finished);
    } else {
        mr__request_ref(request);
        mr__shard_command(shard, request->run_id, command, command_done, request);
    }
}

void mr__op_cancel(struct mr__request *request)
{
    command(request, MR__COMMAND_CANCEL, then_refuse_cancel);
}

void mr__op_retry(struct mr__request *request)
{
    command(request, MR__COMMAND_RETRY, then_retry);
}

void mr__op_continue(struct mr__request *request)
{
    command(request, MR__COMMAND_CONTINUE, then_refuse_continue);
}
