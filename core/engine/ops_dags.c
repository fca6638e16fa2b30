/* SPDX-License-Identifier: MIT
 *
 * The dags of the store: push, stop and start change them, dags and dag show them. Loop thread, but
 * where a job's function says otherwise.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/engine_impl.h"

/* ---- changing a row -----------------------------------------------------------------------------
 */

/* Writes the row as `pushed` says, to memory and towards the store. */
static mr_status change(struct mr__engine *engine, const char *id, const struct mr__pushed *pushed,
                        struct mr__plan *plan, mr__done_fn done, void *user, mr_error *reterr)
{
    struct mr__key key;
    struct mr__buf value;
    mr__buf_init(&value);
    mr__pushed_write(&value, pushed);
    mr_status status =
        value.failed
            ? MR_ENOMEM
            : mr__definitions_put(&engine->definitions, (struct mr__blob){id, strlen(id)}, pushed);
    if (status == MR_ELIMIT) {
        (void)mr__error_set(reterr, status, "the store has %u dags, which is the limit",
                            MR__DAGS_MAX);
    } else if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
    } else {
        mr__key_pushed(&key, id);
        mr__shard_put(engine->shard, &key, (struct mr__bytes){value.data, value.len}, plan, done,
                      user);
    }
    mr__buf_finish(&value);
    return status;
}

static bool blob_is(struct mr__blob blob, const char *text)
{
    return blob.len == strlen(text) &&
           memcmp(blob.data == NULL ? "" : blob.data, text, blob.len) == 0;
}

static struct mr__blob blob_of(const char *text)
{
    return text == NULL ? (struct mr__blob){NULL, 0} : (struct mr__blob){text, strlen(text)};
}

/* What a push makes of the row. `row`: as it was, or NULL. */
static struct mr__pushed pushed_of(struct mr__engine *engine, const struct mr__dag *dag,
                                   const char *file, const char *folder,
                                   const struct mr__dag_row *row, bool is_new)
{
    int64_t now_ms = engine->clock->wall_ms(engine->clock);
    struct mr__pushed pushed = {
        .stopped = dag->stopped,
        .text_stopped = dag->stopped,
        .pushed_ms = is_new || row == NULL ? now_ms : row->pushed.pushed_ms,
        .from_ms = is_new || row == NULL ? now_ms : row->pushed.from_ms,
        .task_count = dag->task_count,
        .file = blob_of(file),
        .folder = blob_of(folder),
        .cron = blob_of(dag->schedule.cron),
        .timezone = blob_of(dag->schedule.timezone),
        .overlap = dag->schedule.overlap,
        .catchup = dag->schedule.catchup,
    };
    memcpy(pushed.version, dag->version, MR__VERSION_BYTES);
    if (row != NULL && (!is_new || (!dag->stopped && !row->pushed.text_stopped))) {
        pushed.stopped = row->pushed.stopped; /* the text has nothing new to say about it */
    }
    return pushed;
}

mr_status mr__push(struct mr__engine *engine, struct mr__dag *dag, const char *file,
                   const char *folder, struct mr__push_result *ret_result, mr__done_fn done,
                   void *user, mr_error *reterr)
{
    struct mr__plan *plan;
    mr_status status = mr__shard_plan_add(engine->shard, dag, &plan);
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    dag = plan->dag;
    const struct mr__dag_row *row = mr__definitions_find(&engine->definitions, dag->id);
    bool is_new = row == NULL || memcmp(row->pushed.version, dag->version, MR__VERSION_BYTES) != 0;
    struct mr__pushed pushed = pushed_of(engine, dag, file, folder, row, is_new);
    ret_result->is_new = is_new;
    ret_result->stopped = pushed.stopped;
    memcpy(ret_result->version, dag->version, MR__VERSION_BYTES);
    (void)snprintf(ret_result->id, sizeof ret_result->id, "%s", dag->id); /* fits: checked */
    if (!is_new && blob_is(row->pushed.file, file) && blob_is(row->pushed.folder, folder)) {
        mr__shard_after(engine->shard, done, user); /* the change that made it so is on its way */
        return MR_OK;
    }
    if (mr__shard_full(engine->shard)) {
        return mr__error_set(reterr, MR_EFULL, "the store is nearly full; free some space");
    }
    return change(engine, dag->id, &pushed, plan, done, user, reterr);
}

static const char *status_name(bool stopped)
{
    return stopped ? "stopped" : "normal";
}

static void add_id(struct mr__buf *out, const char *name, const char *id, const uint8_t *version)
{
    mr__buf_printf(out, "{\"%s\":", name);
    mr__json_str(out, id, strlen(id));
    mr__buf_text(out, ",\"version\":\"");
    for (size_t i = 0; i < MR__VERSION_BYTES; i++) {
        mr__buf_printf(out, "%02x", version[i]);
    }
    mr__buf_text(out, "\"");
}

void mr__add_pushed(struct mr__buf *out, const struct mr__push_result *result)
{
    add_id(out, "dag", result->id, result->version);
    mr__buf_printf(out, ",\"new\":%s,\"status\":\"%s\"", result->is_new ? "true" : "false",
                   status_name(result->stopped));
}

/* ---- push ---------------------------------------------------------------------------------------
 */

struct push {
    struct mr__request *request;
    const char *text, *file, *folder; /* in the request's arena */
    size_t text_len;
    struct mr__checked checked;
    struct mr__push_result result;
};

static void push_free(struct push *push)
{
    mr__checked_finish(&push->checked);
    mr__request_unref(push->request);
    mr__free(push);
}

static void push_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct push *push = user;
    struct mr__request *request = push->request;
    if (status != MR_OK) {
        mr__answer_failed(request, error);
    } else {
        mr__buf_reset(&request->out);
        mr__add_pushed(&request->out, &push->result);
        mr__add_warnings(&request->out, &push->checked);
        mr__buf_text(&request->out, ",\"end\":true}");
        mr__answer(request, true);
    }
    push_free(push);
}

static void push_parsed(void *user, mr_status status)
{
    struct push *push = user;
    struct mr__request *request = push->request;
    mr_error error;
    if (request->closed || request->ended) {
        push_free(push); /* nobody waits for it any more */
        return;
    }
    if (status == MR_OK && push->checked.bad) {
        mr__answer_bad(request, push->file, &push->checked);
        push_free(push);
        return;
    }
    if (status == MR_OK) {
        struct mr__dag *dag = push->checked.dag;
        push->checked.dag = NULL;
        status = mr__push(request->engine, dag, push->file, push->folder, &push->result, push_done,
                          push, &error);
        if (status != MR_OK) {
            mr__answer_failed(request, &error);
            push_free(push);
        }
        return;
    }
    mr__answer_fail(request, status, "%s", mr_status_text(status));
    push_free(push);
}

/* Reader thread. */
static mr_status push_read(struct mr__snapshot *snapshot, void *user)
{
    struct push *push = user;
    const struct mr__request *request = push->request;
    struct mr__parse_options options = {.file = push->file,
                                        .compat = mr__field_true(request, "compat")};
    return mr__definition_check(request->engine->opt.registry, push->text, push->text_len, &options,
                                &push->checked);
}

void mr__op_push(struct mr__request *request)
{
    const mr_value *text = mr_value_get(&request->json, "text");
    struct push *push = mr__calloc(1, sizeof *push);
    if (push == NULL || text == NULL || text->type != MR_STRING) {
        mr__answer_fail(request, push == NULL ? MR_ENOMEM : MR_EINVAL,
                        push == NULL ? "out of memory" : "a push needs \"text\"");
        mr__free(push);
        return;
    }
    push->request = request;
    push->text = text->u.s;
    push->text_len = text->len;
    push->file = mr__field_str(request, "file");
    push->file = push->file == NULL ? "-" : push->file;
    push->folder = mr__field_str(request, "folder");
    push->folder = push->folder == NULL ? "/" : push->folder;
    mr__request_ref(request);
    mr_status status = mr__engine_read(request->engine, push_read, push_parsed, push);
    if (status != MR_OK) {
        push_parsed(push, status);
    }
}

/* ---- stop and start -----------------------------------------------------------------------------
 */

static void set_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__request *request = user;
    if (status != MR_OK) {
        mr__answer_failed(request, error);
    } else {
        const char *id = mr__field_str(request, "dag");
        bool stops = strcmp(mr__field_str(request, "op"), "stop") == 0;
        mr__buf_reset(&request->out);
        mr__buf_text(&request->out, "{\"dag\":");
        mr__json_str(&request->out, id, strlen(id));
        mr__buf_printf(&request->out, ",\"status\":\"%s\",\"end\":true}", status_name(stops));
        mr__answer(request, true);
    }
    mr__request_unref(request);
}

static void set_stopped(struct mr__request *request, bool stopped)
{
    struct mr__engine *engine = request->engine;
    mr_error error;
    const struct mr__dag_row *row = mr__request_dag(request);
    if (row == NULL) {
        return;
    }
    mr__request_ref(request);
    if (row->pushed.stopped == stopped) {
        mr__shard_after(engine->shard, set_done, request);
        return;
    }
    struct mr__pushed pushed = row->pushed;
    char id[MR__ID_BYTES_MAX + 1];
    (void)snprintf(id, sizeof id, "%s", row->id); /* the row goes when it is put again */
    pushed.stopped = stopped;
    if (!stopped) { /* the times of its schedule that passed by are gone */
        pushed.from_ms = engine->clock->wall_ms(engine->clock);
    }
    if (change(engine, id, &pushed, NULL, set_done, request, &error) != MR_OK) {
        mr__answer_failed(request, &error);
        mr__request_unref(request);
    }
}

void mr__op_stop(struct mr__request *request)
{
    set_stopped(request, true);
}

void mr__op_start(struct mr__request *request)
{
    set_stopped(request, false);
}

/* ---- dags and dag -------------------------------------------------------------------------------
 */

static void add_blob(struct mr__buf *out, const char *name, struct mr__blob blob)
{
    mr__buf_printf(out, ",\"%s\":", name);
    if (blob.len > 0) {
        mr__json_str(out, blob.data, blob.len);
    } else {
        mr__buf_text(out, "null");
    }
}

static void add_problem(struct mr__buf *out, const char *problem)
{
    add_blob(out, "problem", blob_of(problem));
}

/* {"id":...} without the closing brace. */
static void add_row(struct mr__buf *out, const struct mr__engine *engine,
                    const struct mr__dag_row *row)
{
    const struct mr__pushed *pushed = &row->pushed;
    const char *refused = mr__shard_refused(engine->shard, pushed->version);
    add_id(out, "id", row->id, pushed->version);
    mr__buf_printf(out, ",\"status\":\"%s\"", status_name(pushed->stopped));
    add_blob(out, "file", pushed->file);
    add_blob(out, "folder", pushed->folder);
    add_blob(out, "cron", pushed->cron);
    add_blob(out, "timezone", pushed->timezone);
    mr__doc_time(out, "next", row->next_ms);
    mr__buf_printf(out, ",\"waiting\":%u,\"skipped\":%llu", row->waiting,
                   (unsigned long long)row->skipped);
    mr__doc_time(out, "skippedAt", row->skipped_ms);
    mr__buf_printf(out, ",\"tasks\":%u", pushed->task_count);
    mr__doc_time(out, "pushedAt", pushed->pushed_ms);
    add_problem(out, refused != NULL ? refused
                     : pushed->file.len == 0
                         ? NULL
                         : mr__definitions_problem(&engine->definitions, pushed->file.data));
}

/* Files with a problem from which no dag was ever taken: they are in nobody's row. */
static void add_strangers(struct mr__buf *lines, const struct mr__definitions *definitions)
{
    for (const struct mr__file_problem *p = definitions->problems; p != NULL; p = p->next) {
        bool known = false;
        for (size_t i = 0; i < definitions->count && !known; i++) {
            known = blob_is(definitions->rows[i]->pushed.file, p->file);
        }
        if (!known) {
            mr__buf_text(lines, "{\"dag\":{\"id\":null,\"version\":null,\"status\":null");
            add_blob(lines, "file", blob_of(p->file));
            mr__buf_text(lines, ",\"folder\":null,\"cron\":null,\"timezone\":null,\"next\":null,"
                                "\"waiting\":0,\"skipped\":0,\"skippedAt\":null,"
                                "\"tasks\":0,\"pushedAt\":null");
            add_problem(lines, p->message);
            mr__buf_text(lines, "}}\n");
        }
    }
}

struct dag_list {
    struct mr__request *request;
    struct mr__buf lines;
};

static void list_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct dag_list *list = user;
    if (status != MR_OK) {
        mr__answer_failed(list->request, error);
    } else if (list->lines.failed) {
        mr__answer_fail(list->request, MR_ENOMEM, "out of memory");
    } else {
        mr__answer_lines(list->request, &list->lines);
        mr__answer_text(list->request, "{\"end\":true}", 12, true);
    }
    mr__request_unref(list->request);
    mr__buf_finish(&list->lines);
    mr__free(list);
}

void mr__op_dags(struct mr__request *request)
{
    const struct mr__definitions *definitions = &request->engine->definitions;
    struct dag_list *list = mr__calloc(1, sizeof *list);
    if (list == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    list->request = request;
    mr__request_ref(request);
    const struct mr__dag_row *row;
    for (size_t i = 0; (row = mr__definitions_at(definitions, i)) != NULL; i++) {
        mr__buf_text(&list->lines, "{\"dag\":");
        add_row(&list->lines, request->engine, row);
        mr__buf_text(&list->lines, "}}\n");
    }
    add_strangers(&list->lines, definitions);
    mr__shard_after(request->engine->shard, list_done, list); /* what it says is durable then */
}

struct dag_job {
    struct mr__request *request;
    struct mr__key key; /* of the text */
    struct mr__buf out;
    mr_error error;
};

static void dag_done(void *user, mr_status status)
{
    struct dag_job *job = user;
    if (status != MR_OK) {
        mr__answer_fail(job->request, status, "the dag's text cannot be read: %s",
                        job->error.status == status ? job->error.message : mr_status_text(status));
    } else {
        mr__answer_text(job->request, (const char *)job->out.data, job->out.len, true);
    }
    mr__request_unref(job->request);
    mr__buf_finish(&job->out);
    mr__free(job);
}

/* Reader thread. */
static mr_status dag_read(struct mr__snapshot *snapshot, void *user)
{
    struct dag_job *job = user;
    struct mr__bytes value;
    struct mr__definition definition;
    mr_status status = snapshot->ops->get(snapshot, job->key.bytes, job->key.len, &value);
    if (status == MR_OK) {
        status = mr__definition_read(value, &definition, &job->error);
    }
    if (status == MR_OK) {
        mr__buf_text(&job->out, ",\"text\":");
        mr__json_str(&job->out, definition.text.data, definition.text.len);
        mr__buf_text(&job->out, "},\"end\":true}");
        status = job->out.failed ? MR_ENOMEM : MR_OK;
    }
    return status;
}

static void dag_begin(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct dag_job *job = user;
    if (status == MR_OK) {
        status = mr__engine_read(job->request->engine, dag_read, dag_done, job);
    }
    if (status != MR_OK) {
        dag_done(job, status);
    }
}

void mr__op_dag(struct mr__request *request)
{
    struct mr__engine *engine = request->engine;
    const struct mr__dag_row *row = mr__request_dag(request);
    struct dag_job *job = row == NULL ? NULL : mr__calloc(1, sizeof *job);
    if (job == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory"); /* unless it was answered */
        return;
    }
    job->request = request;
    mr__request_ref(request);
    mr__buf_text(&job->out, "{\"dag\":");
    add_row(&job->out, engine, row);
    mr__key_definition(&job->key, row->id, row->pushed.version);
    mr__shard_after(engine->shard, dag_begin, job);
}
