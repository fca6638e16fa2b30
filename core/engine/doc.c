/* SPDX-License-Identifier: MIT
 *
 * Documents from events. Pure; any thread.
 */
#include "core/engine/doc.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "core/scheduler/apply.h"

struct task_doc {
    int64_t started_ms, ended_ms;
    struct mr__blob reason, params, output;
};

/* ---- small pieces
 * -------------------------------------------------------------------------------- */

static void name(struct mr__buf *out, const char *text)
{
    mr__buf_text(out, ",\"");
    mr__buf_text(out, text);
    mr__buf_text(out, "\":");
}

static void str(struct mr__buf *out, const char *key, const char *text, size_t len)
{
    name(out, key);
    mr__json_str(out, text == NULL ? "" : text, len);
}

static void json_or(struct mr__buf *out, const char *key, struct mr__blob json, const char *other)
{
    name(out, key);
    if (json.len > 0) {
        mr__buf_bytes(out, json.data, json.len);
    } else {
        mr__buf_text(out, other);
    }
}

void mr__doc_time(struct mr__buf *out, const char *key, int64_t unix_ms)
{
    name(out, key);
    if (unix_ms == 0) {
        mr__buf_text(out, "null");
    } else {
        char text[MR__TIME_TEXT_BYTES];
        mr__time_text(unix_ms, text);
        mr__json_str(out, text, strlen(text));
    }
}

/* ---- headers
 * ------------------------------------------------------------------------------------- */

static void header_begin(struct mr__buf *out, const struct mr__event *created, uint8_t status,
                         struct mr__blob reason)
{
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(created->id, id);
    mr__buf_printf(out, "{\"id\":\"%s\"", id);
    str(out, "dag", created->dag.data, created->dag.len);
    name(out, "version");
    mr__buf_text(out, "\"");
    for (int i = 0; i < 16; i++) {
        mr__buf_printf(out, "%02x", created->version[i]);
    }
    mr__buf_text(out, "\"");
    const char *status_name = mr__run_status_name(status);
    str(out, "status", status_name, strlen(status_name));
    str(out, "reason", reason.data, reason.len);
    str(out, "trigger", "manually", 8);
}

static void header_end(struct mr__buf *out, const struct mr__doc_header *header)
{
    json_or(out, "tags", header->created->tags, "{}");
    mr__doc_time(out, "createdAt", header->created->time_ms);
    mr__doc_time(out, "startedAt", header->started_ms);
    mr__doc_time(out, "endedAt", header->ended_ms);
}

void mr__doc_header(struct mr__buf *out, const struct mr__doc_header *header)
{
    header_begin(out, header->created, header->status, header->reason);
    header_end(out, header);
    mr__buf_text(out, "}");
}

/* ---- the whole run
 * ------------------------------------------------------------------------------- */

static bool task_over(uint8_t status)
{
    return status == MR__TASK_SUCCESS || status == MR__TASK_FAILED || status == MR__TASK_CANCELED ||
           status == MR__TASK_SKIPPED;
}

/* What the event says of times, reasons and outputs, after it was applied. */
static void fold(const struct mr__run *run, const struct mr__event *event, struct task_doc *docs)
{
    struct task_doc *doc = &docs[event->task];
    switch (event->type) {
    case MR__EVENT_ATTEMPT_STARTED:
        *doc = (struct task_doc){.started_ms = event->time_ms, .params = event->payload};
        break;
    case MR__EVENT_ATTEMPT_ENDED:
        doc->reason = event->reason;
        doc->output = event->payload;
        doc->ended_ms = task_over(event->status) ? event->time_ms : 0;
        break;
    case MR__EVENT_TASK_SET:
        doc->reason = event->reason;
        if (task_over(event->status)) {
            doc->ended_ms = event->time_ms;
        }
        if (event->status == MR__TASK_SUCCESS) {
            doc->started_ms = event->time_ms;
        }
        break;
    case MR__EVENT_CANCEL_REQUESTED:
        for (uint32_t t = 0; t < run->plan->dag->task_count; t++) {
            if (run->tasks[t].status == MR__TASK_CANCELED && docs[t].ended_ms == 0) {
                docs[t].ended_ms = event->time_ms;
                docs[t].reason = (struct mr__blob){"canceled", 8};
            }
        }
        break;
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED: *doc = (struct task_doc){0}; break;
    default: break;
    }
}

static mr_status print_task(struct mr__buf *out, const struct mr__run *run, uint32_t t,
                            const struct task_doc *doc, const struct mr__doc_traces *traces)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__dag_task *task = &dag->tasks[t];
    const char *status = mr__task_status_name(run->tasks[t].status);
    mr_status result = MR_OK;
    mr__buf_text(out, t == 0 ? "{\"id\":" : ",{\"id\":");
    mr__json_str(out, task->id, strlen(task->id));
    if (task->action == NULL) {
        mr__buf_text(out, ",\"action\":null");
    } else {
        str(out, "action", task->action, strlen(task->action));
    }
    str(out, "status", status, strlen(status));
    str(out, "reason", doc->reason.data, doc->reason.len);
    mr__buf_printf(out, ",\"attempts\":%u,\"dependOn\":[", run->tasks[t].attempt);
    for (uint32_t i = 0; i < task->parent_count; i++) {
        const char *parent = dag->tasks[dag->parents[task->first_parent + i]].id;
        mr__buf_text(out, i == 0 ? "" : ",");
        mr__json_str(out, parent, strlen(parent));
    }
    mr__buf_text(out, "]");
    if (doc->params.len > 0) {
        json_or(out, "params", doc->params, "{}");
    } else {
        name(out, "params");
        if (task->params.type == MR_MAP) {
            mr__value_print(out, &task->params);
        } else {
            mr__buf_text(out, "{}");
        }
    }
    json_or(out, "output", doc->output, "null");
    mr__doc_time(out, "startedAt", doc->started_ms);
    mr__doc_time(out, "endedAt", doc->ended_ms);
    mr__buf_text(out, ",\"traces\":[");
    if (traces != NULL) {
        result = traces->each(traces->user, t, out);
    }
    mr__buf_text(out, "]}");
    return result;
}

static mr_status replay(struct mr__scheduler *s, struct mr__run *run, struct mr__blob log,
                        struct task_doc *docs, struct mr__event *ret_last)
{
    struct mr__reader r;
    mr__reader_init(&r, log.data, log.len);
    while (mr__reader_left(&r) > 0) {
        const uint8_t *begin = r.at;
        if (!mr__event_decode(&r, run->last_ms, ret_last)) {
            return MR_EFORMAT;
        }
        mr_status status = mr__replay(s, run, begin, (size_t)(r.at - begin));
        if (status != MR_OK) {
            return status;
        }
        fold(run, ret_last, docs);
    }
    return MR_OK;
}

static mr_status print_run(struct mr__buf *out, const struct mr__run *run,
                           const struct mr__event *created, const struct mr__event *last,
                           const struct task_doc *docs, const struct mr__doc_traces *traces)
{
    bool stands = last->type == MR__EVENT_RUN_SETTLED;
    bool ended = stands && run->status != MR__RUN_BLOCKED;
    mr_status status = MR_OK;
    struct mr__doc_header header = {
        .created = created,
        .started_ms = run->began_ms,
        .ended_ms = ended ? run->last_ms : 0,
    };
    header_begin(out, created, run->status, stands ? last->reason : (struct mr__blob){"", 0});
    json_or(out, "vars", created->vars, "{}");
    mr__buf_text(out, ",\"share\":{}");
    header_end(out, &header);
    mr__buf_text(out, ",\"tasks\":[");
    for (uint32_t t = 0; t < run->plan->dag->task_count && status == MR_OK; t++) {
        status = print_task(out, run, t, &docs[t], traces);
    }
    mr__buf_text(out, "]}");
    return status == MR_OK && out->failed ? MR_ENOMEM : status;
}

static struct mr__action_binding bind_nothing(void *user, const char *action)
{
    return (struct mr__action_binding){0};
}

mr_status mr__doc_run(struct mr__buf *out, struct mr__dag *dag, struct mr__blob log,
                      const struct mr__doc_traces *traces)
{
    struct mr__scheduler s;
    struct mr__plan *plan = NULL;
    struct mr__run *run;
    struct mr__event created, last = {0};
    struct mr__reader r;
    mr__reader_init(&r, log.data, log.len);
    if (!mr__event_decode(&r, 0, &created) || created.type != MR__EVENT_RUN_CREATED) {
        return MR_EFORMAT;
    }
    struct task_doc *docs = calloc(dag->task_count, sizeof *docs);
    mr_status status = docs == NULL ? MR_ENOMEM : mr__plan_create(dag, bind_nothing, NULL, &plan);
    mr__scheduler_init(&s, 1);
    if (status == MR_OK) {
        status = mr__run_create(&s, 0, created.id, plan, &run);
    }
    if (status == MR_OK) {
        status = replay(&s, run, log, docs, &last);
    }
    if (status == MR_OK) {
        status = print_run(out, run, &created, &last, docs, traces);
    }
    mr__scheduler_finish(&s);
    if (plan != NULL) {
        plan->dag = NULL; /* it was only lent: its references are counted on the loop alone */
        mr__plan_unref(plan);
    }
    free(docs);
    return status;
}

/* ---- events
 * -------------------------------------------------------------------------------------- */

void mr__doc_event(struct mr__buf *out, const struct mr__dag *dag, const struct mr__event *event,
                   uint32_t attempt)
{
    char time[MR__TIME_TEXT_BYTES];
    const char *status = NULL, *shown = mr__event_name(event->type);
    bool of_task = false;
    switch (event->type) {
    case MR__EVENT_RUN_CREATED: status = "init"; break;
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_ATTEMPT_WAITING:
        of_task = true;
        status = "running";
        break;
    case MR__EVENT_TASK_SET:
        shown = event->status == MR__TASK_SKIPPED ? "taskSkipped" : "taskEnded";
        /* fall through */
    case MR__EVENT_ATTEMPT_ENDED:
        of_task = true;
        status = mr__task_status_name(event->status);
        break;
    case MR__EVENT_TASK_RETRIED:
        of_task = true;
        status = "retrying";
        break;
    case MR__EVENT_TASK_CONTINUED:
        of_task = true;
        status = "continue";
        break;
    case MR__EVENT_RUN_REOPENED: status = "running"; break;
    case MR__EVENT_RUN_SETTLED:
        status = mr__run_status_name(event->status);
        shown = event->status == MR__RUN_BLOCKED ? "runBlocked" : shown;
        break;
    default: break;
    }
    mr__time_text(event->time_ms, time);
    mr__buf_printf(out, "{\"time\":\"%s\",\"event\":\"%s\"", time, shown);
    if (of_task && event->task < dag->task_count) {
        str(out, "task", dag->tasks[event->task].id, strlen(dag->tasks[event->task].id));
    }
    if (attempt > 0) {
        mr__buf_printf(out, ",\"attempt\":%u", attempt);
    }
    if (status != NULL) {
        str(out, "status", status, strlen(status));
    }
    if (event->type == MR__EVENT_ATTEMPT_WAITING) {
        mr__doc_time(out, "due", event->time_ms + event->ms);
    }
    if (event->reason.len > 0) {
        str(out, "reason", event->reason.data, event->reason.len);
    }
    mr__buf_text(out, "}");
}

mr_status mr__doc_events(const struct mr__dag *dag, struct mr__blob log,
                         void (*line)(void *user, const char *json, size_t len), void *user)
{
    struct mr__reader r;
    struct mr__event event;
    struct mr__buf out;
    int64_t last_ms = 0;
    uint32_t *attempts = calloc(dag->task_count, sizeof *attempts);
    mr_status status = attempts == NULL ? MR_ENOMEM : MR_OK;
    mr__buf_init(&out);
    mr__reader_init(&r, log.data, log.len);
    while (status == MR_OK && mr__reader_left(&r) > 0) {
        if (!mr__event_decode(&r, last_ms, &event) || event.task >= dag->task_count) {
            status = MR_EFORMAT;
            break;
        }
        last_ms = event.time_ms;
        uint32_t attempt = 0;
        if (event.type == MR__EVENT_ATTEMPT_STARTED) {
            attempt = ++attempts[event.task];
        } else if (event.type == MR__EVENT_ATTEMPT_WAITING ||
                   event.type == MR__EVENT_ATTEMPT_ENDED) {
            attempt = attempts[event.task];
        }
        mr__buf_reset(&out);
        mr__doc_event(&out, dag, &event, attempt);
        if (out.failed) {
            status = MR_ENOMEM;
        } else {
            line(user, (const char *)out.data, out.len);
        }
    }
    mr__buf_finish(&out);
    free(attempts);
    return status;
}
