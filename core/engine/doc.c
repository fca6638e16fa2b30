/* SPDX-License-Identifier: MIT
 *
 * Documents from events. Pure; any thread.
 */
#include "core/engine/doc.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "core/engine/past.h"
#include "core/engine/run_names.h"
#include "core/engine/run_scope.h"

struct task_doc {
    int64_t started_ms, ended_ms;
    struct mr__blob reason, params, output;
};

/* One for each task run; there are more of them once a fan-out's list is known. */
struct task_docs {
    struct task_doc *list;
    uint32_t count;
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

/* "schedule" of {"trigger":"schedule",...}; a run without an origin was started by hand. */
static void print_trigger(struct mr__buf *out, struct mr__blob origin)
{
    struct mr__arena arena;
    mr_value value;
    const char *trigger = "manually";
    mr__arena_init(&arena);
    if (origin.len > 0 && mr__value_parse(&arena, origin.data, origin.len, &value, NULL) == MR_OK) {
        trigger = mr_value_str(mr_value_get(&value, "trigger"), trigger);
    }
    str(out, "trigger", trigger, strlen(trigger));
    mr__arena_finish(&arena);
}

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
    print_trigger(out, created->payload);
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

/* Children of fan-outs that have come to be. */
static bool docs_grow(struct task_docs *docs, uint32_t count)
{
    if (count <= docs->count) {
        return true;
    }
    struct task_doc *list = mr__realloc(docs->list, count * sizeof *list);
    if (list == NULL) {
        return false;
    }
    memset(list + docs->count, 0, (count - docs->count) * sizeof *list);
    docs->list = list;
    docs->count = count;
    return true;
}

static void fold_canceled(const struct mr__run *run, const struct mr__event *event,
                          struct task_docs *docs)
{
    for (uint32_t t = 0; t < run->task_count; t++) {
        if (run->tasks[t].status == MR__TASK_CANCELED && docs->list[t].ended_ms == 0) {
            docs->list[t].ended_ms = event->time_ms;
            docs->list[t].reason = (struct mr__blob){"canceled", 8};
        }
    }
}

/* What the event says of times, reasons and outputs, after it was applied. */
static void fold(const struct mr__run *run, const struct mr__event *event, struct task_docs *docs)
{
    struct task_doc *doc = &docs->list[event->task];
    switch (event->type) {
    case MR__EVENT_TASK_PREPARED:
    case MR__EVENT_ATTEMPT_STARTED: {
        /* run_before has begun the attempt already, and has its params. */
        bool goes_on = event->type == MR__EVENT_ATTEMPT_STARTED && event->payload.data == NULL &&
                       doc->params.data != NULL && doc->ended_ms == 0;
        struct mr__blob params = goes_on ? doc->params : event->payload;
        int64_t started_ms = goes_on ? doc->started_ms : event->time_ms;
        *doc = (struct task_doc){.started_ms = started_ms, .params = params};
        break;
    }
    case MR__EVENT_TASK_FANNED: *doc = (struct task_doc){.started_ms = event->time_ms}; break;
    case MR__EVENT_ATTEMPT_ENDING: doc->output = event->payload; break;
    case MR__EVENT_ATTEMPT_ENDED:
        doc->reason = event->reason;
        if (event->status != MR__TASK_SUCCESS) {
            doc->output = (struct mr__blob){NULL, 0}; /* a failure's payload is details */
        } else if (event->payload.data != NULL) {
            doc->output = event->payload;
        }
        doc->ended_ms = task_over(event->status) ? event->time_ms : 0;
        break;
    case MR__EVENT_TASK_SET:
        doc->reason = event->reason;
        doc->output = event->payload;
        if (task_over(event->status)) {
            doc->ended_ms = event->time_ms;
        }
        if (event->status == MR__TASK_SUCCESS && doc->started_ms == 0) {
            doc->started_ms = event->time_ms;
        }
        break;
    case MR__EVENT_CANCEL_REQUESTED: fold_canceled(run, event, docs); break;
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED:
        *doc = (struct task_doc){
            .started_ms =
                (run->tasks[event->task].flags & MR__TASKFLAG_FANNED) != 0 ? doc->started_ms : 0};
        break;
    default: break;
    }
}

static void print_output(struct mr__buf *out, const struct mr__run *run, uint32_t t,
                         const struct task_doc *doc)
{
    const struct mr__task *task = &run->tasks[t];
    if ((task->flags & MR__TASKFLAG_FANNED) != 0 && task->status == MR__TASK_SUCCESS) {
        name(out, "output");
        mr__run_gather(run, &run->fans[run->details[t].fan], out);
    } else {
        bool shown = task->status == MR__TASK_SUCCESS || task->status == MR__TASK_SKIPPED;
        json_or(out, "output", shown ? doc->output : (struct mr__blob){NULL, 0}, "null");
    }
}

static void print_name(struct mr__buf *out, const struct mr__run *run, uint32_t t)
{
    struct mr__buf id;
    mr__buf_init(&id);
    mr__run_task_name(run, t, &id);
    out->failed |= id.failed;
    mr__json_str(out, (const char *)id.data, id.len);
    mr__buf_finish(&id);
}

static mr_status print_task(struct mr__buf *out, const struct mr__run *run, uint32_t t,
                            const struct task_doc *doc, const struct mr__doc_traces *traces)
{
    const struct mr__dag *dag = run->plan->dag;
    const struct mr__dag_task *task = mr__run_dag_task(run, t);
    const char *status = mr__task_status_name(run->tasks[t].status);
    mr_status result = MR_OK;
    mr__buf_text(out, t == 0 ? "{\"id\":" : ",{\"id\":");
    print_name(out, run, t);
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
    print_output(out, run, t, doc);
    mr__doc_time(out, "startedAt", doc->started_ms);
    mr__doc_time(out, "endedAt", doc->ended_ms);
    mr__buf_text(out, ",\"traces\":[");
    if (traces != NULL) {
        result = traces->each(traces->user, t, out);
    }
    mr__buf_text(out, "]");
    if (traces != NULL && traces->progress != NULL && run->tasks[t].status == MR__TASK_RUNNING) {
        traces->progress(traces->user, t, run->tasks[t].attempt, out);
    }
    mr__buf_text(out, "}");
    return result;
}

static void print_share(struct mr__buf *out, const struct mr__run *run)
{
    mr__buf_text(out, ",\"share\":{");
    for (uint32_t i = 0; i < run->share_count; i++) {
        const struct mr__share_row *row = run->share[i];
        struct mr__event event;
        if (mr__run_event(run, row->at, &event)) {
            mr__buf_text(out, i == 0 ? "" : ",");
            mr__json_str(out, row->key, row->key_len);
            mr__buf_u8(out, ':');
            mr__buf_bytes(out, event.payload.data, event.payload.len);
        }
    }
    mr__buf_u8(out, '}');
}

/* The tasks in file order, each fan-out followed by its children. */
static mr_status print_tasks(struct mr__buf *out, const struct mr__run *run,
                             const struct task_docs *docs, const struct mr__doc_traces *traces)
{
    mr_status status = MR_OK;
    for (uint32_t t = 0; t < run->plan->dag->task_count && status == MR_OK; t++) {
        status = print_task(out, run, t, &docs->list[t], traces);
        if ((run->tasks[t].flags & MR__TASKFLAG_FANNED) == 0) {
            continue;
        }
        const struct mr__fan *fan = &run->fans[run->details[t].fan];
        for (uint32_t i = 0; i < fan->count && status == MR_OK; i++) {
            uint32_t child = fan->first + i;
            status = print_task(out, run, child, &docs->list[child], traces);
        }
    }
    return status;
}

static mr_status print_run(struct mr__buf *out, const struct mr__run *run,
                           const struct mr__event *created, const struct mr__event *last,
                           const struct task_docs *docs, const struct mr__doc_traces *traces)
{
    bool stands = last->type == MR__EVENT_RUN_SETTLED;
    bool ended = stands && run->status != MR__RUN_BLOCKED;
    struct mr__doc_header header = {
        .created = created,
        .started_ms = run->began_ms,
        .ended_ms = ended ? run->last_ms : 0,
    };
    header_begin(out, created, run->status, stands ? last->reason : (struct mr__blob){"", 0});
    json_or(out, "vars", created->vars, "{}");
    print_share(out, run);
    header_end(out, &header);
    mr__buf_text(out, ",\"tasks\":[");
    mr_status status = print_tasks(out, run, docs, traces);
    mr__buf_text(out, "]}");
    return status == MR_OK && out->failed ? MR_ENOMEM : status;
}

mr_status mr__doc_run(struct mr__buf *out, struct mr__dag *dag, struct mr__blob log,
                      const struct mr__doc_traces *traces)
{
    struct mr__past past;
    struct mr__event event, last = {0};
    struct task_docs docs = {NULL, 0};
    mr_status status = mr__past_begin(&past, dag, log);
    if (status != MR_OK) {
        return status;
    }
    while ((status = mr__past_next(&past, &event)) == MR_OK) {
        last = event;
        if (!docs_grow(&docs, past.run->task_count)) {
            status = MR_ENOMEM;
            break;
        }
        fold(past.run, &event, &docs);
    }
    if (status == MR_ENOTFOUND) { /* no event is left */
        status = print_run(out, past.run, &past.created, &last, &docs, traces);
    }
    mr__past_finish(&past);
    mr__free(docs.list);
    return status;
}

/* ---- events
 * -------------------------------------------------------------------------------------- */

/* The status of the task, or of the run, after the event; NULL: it has no say in that. */
static const char *status_after(const struct mr__event *event)
{
    switch (event->type) {
    case MR__EVENT_RUN_CREATED: return "init";
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_ATTEMPT_WAITING:
    case MR__EVENT_TASK_FANNED: return "running";
    case MR__EVENT_ATTEMPT_ENDING: return "ending";
    case MR__EVENT_TASK_DELAYED:
    case MR__EVENT_TASK_DUE:
    case MR__EVENT_TASK_RETRIED: return "retrying";
    case MR__EVENT_TASK_CONTINUED: return "continue";
    case MR__EVENT_TASK_SET:
    case MR__EVENT_ATTEMPT_ENDED: return mr__task_status_name(event->status);
    case MR__EVENT_RUN_REOPENED:
    case MR__EVENT_RUN_UNPAUSED: return "running";
    case MR__EVENT_RUN_PAUSED: return "paused";
    case MR__EVENT_RUN_SETTLED: return mr__run_status_name(event->status);
    default: return NULL;
    }
}

static const char *shown_name(const struct mr__event *event)
{
    if (event->type == MR__EVENT_TASK_SET) {
        return event->status == MR__TASK_SKIPPED ? "taskSkipped" : "taskEnded";
    }
    if (event->type == MR__EVENT_RUN_SETTLED && event->status == MR__RUN_BLOCKED) {
        return "runBlocked";
    }
    return mr__event_name(event->type);
}

static void print_hooks(struct mr__buf *out, uint32_t mask)
{
    name(out, "hooks");
    mr__buf_u8(out, '[');
    for (uint32_t i = 0, n = 0; i < MR__HOOKS; i++) {
        if (mask & 1u << i) {
            mr__buf_printf(out, "%s\"%s\"", n++ == 0 ? "" : ",", mr__hook_names[i]);
        }
    }
    mr__buf_u8(out, ']');
}

void mr__doc_event(struct mr__buf *out, struct mr__blob task, const struct mr__event *event,
                   uint32_t attempt)
{
    char time[MR__TIME_TEXT_BYTES];
    const char *status = status_after(event);
    mr__time_text(event->time_ms, time);
    mr__buf_printf(out, "{\"time\":\"%s\",\"event\":\"%s\"", time, shown_name(event));
    if (mr__event_of_task(event->type)) {
        str(out, "task", task.data, task.len);
    }
    if (attempt > 0) {
        mr__buf_printf(out, ",\"attempt\":%u", attempt);
    }
    if (status != NULL) {
        str(out, "status", status, strlen(status));
    }
    if (event->type == MR__EVENT_ATTEMPT_WAITING || event->type == MR__EVENT_TASK_DELAYED) {
        mr__doc_time(out, "due", event->time_ms + event->ms);
    }
    if (event->type == MR__EVENT_TASK_FANNED) {
        mr__buf_printf(out, ",\"count\":%u", event->count);
    }
    if (event->type == MR__EVENT_SHARE_SET) {
        str(out, "key", event->key.data, event->key.len);
    }
    if (event->type == MR__EVENT_HOOKS_DUE || event->type == MR__EVENT_HOOKS_DONE) {
        print_hooks(out, event->count);
    }
    if (event->reason.len > 0) {
        str(out, "reason", event->reason.data, event->reason.len);
    }
    mr__buf_text(out, "}");
}

/* What is known of a log while its events are printed. */
struct telling {
    struct mr__run_names names;
    uint32_t *attempts, count; /* by task */
    struct mr__buf name, out;
};

static mr_status tell_event(struct telling *telling, const struct mr__event *event)
{
    mr_status status = mr__run_names_add(&telling->names, event);
    if (status != MR_OK) {
        return status;
    }
    if (telling->names.count > telling->count) {
        uint32_t count = telling->names.count;
        uint32_t *attempts = mr__realloc(telling->attempts, count * sizeof *attempts);
        if (attempts == NULL) {
            return MR_ENOMEM;
        }
        memset(attempts + telling->count, 0, (count - telling->count) * sizeof *attempts);
        telling->attempts = attempts;
        telling->count = count;
    }
    if (event->task >= telling->count) {
        return MR_EFORMAT;
    }
    telling->attempts[event->task] += event->type == MR__EVENT_ATTEMPT_STARTED;
    mr__buf_reset(&telling->name);
    mr__buf_reset(&telling->out);
    mr__run_names_print(&telling->names, event->task, &telling->name);
    mr__doc_event(&telling->out,
                  (struct mr__blob){(const char *)telling->name.data, telling->name.len}, event,
                  mr__event_of_attempt(event->type) ? telling->attempts[event->task] : 0);
    return telling->name.failed || telling->out.failed ? MR_ENOMEM : MR_OK;
}

mr_status mr__doc_events(const struct mr__dag *dag, struct mr__blob log,
                         void (*line)(void *user, const char *json, size_t len), void *user)
{
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    mr_status status = MR_OK;
    struct telling telling = {.attempts = NULL};
    mr__run_names_init(&telling.names, dag);
    mr__buf_init(&telling.name);
    mr__buf_init(&telling.out);
    mr__reader_init(&r, log.data, log.len);
    while (status == MR_OK && mr__reader_left(&r) > 0) {
        status = mr__event_decode(&r, last_ms, &event) ? tell_event(&telling, &event) : MR_EFORMAT;
        last_ms = event.time_ms;
        if (status == MR_OK) {
            line(user, (const char *)telling.out.data, telling.out.len);
        }
    }
    mr__run_names_finish(&telling.names);
    mr__buf_finish(&telling.name);
    mr__buf_finish(&telling.out);
    mr__free(telling.attempts);
    return status;
}
