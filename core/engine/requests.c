/* SPDX-License-Identifier: MIT
 *
 * The life of a request: parsed, dispatched by its op, answered line by line, ended, closed. Also
 * what most ops begin with: finding the run that a name means, and reading that run in a job on the
 * store's reader thread. Loop thread, but where a job's function says otherwise.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/engine_impl.h"

struct op {
    const char *name;
    mr__op_fn begin;
    bool needs_run;
};
static const struct op *op_find(const char *name);

/* ---- answers
 * ------------------------------------------------------------------------------------- */

static void request_end(struct mr__request *request)
{
    request->ended = true;
    mr__follow_leave(request);
    mr__serve_leave(request);
    if (request->holds) {
        request->holds = false;
        request->engine->holding--;
        mr__engine_wake(request->engine);
    }
}

void mr__answer_text(struct mr__request *request, const char *json, size_t len, bool last)
{
    if (request->ended || request->closed) {
        return;
    }
    if (last) {
        request_end(request);
    }
    request->answer(request->user, json, len, last);
}

void mr__answer(struct mr__request *request, bool last)
{
    if (request->out.failed) {
        static const char failed[] =
            "{\"error\":{\"status\":-1,\"name\":\"out of memory\",\"message\":"
            "\"out of memory\"},\"end\":true}";
        mr__answer_text(request, failed, sizeof failed - 1, true);
        return;
    }
    mr__answer_text(request, (const char *)request->out.data, request->out.len, last);
}

void mr__answer_lines(struct mr__request *request, const struct mr__buf *lines)
{
    size_t at = 0;
    while (at < lines->len && !request->ended && !request->closed) {
        const char *line = (const char *)lines->data + at;
        const char *newline = memchr(line, '\n', lines->len - at);
        MR_ASSERT(newline != NULL);
        mr__answer_text(request, line, (size_t)(newline - line), false);
        at += (size_t)(newline - line) + 1;
    }
}

static void error_json(struct mr__buf *out, const mr_error *error, const char *suggestion)
{
    const char *name = mr_status_text(error->status);
    mr__buf_printf(out, "{\"error\":{\"status\":%d,\"name\":\"%s\",\"message\":", error->status,
                   name);
    mr__json_str(out, error->message, strlen(error->message));
    if (suggestion != NULL) {
        mr__buf_text(out, ",\"suggestion\":");
        mr__json_str(out, suggestion, strlen(suggestion));
    }
    mr__buf_text(out, "}");
}

void mr__answer_failed(struct mr__request *request, const mr_error *error)
{
    mr__buf_reset(&request->out);
    error_json(&request->out, error, NULL);
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

void mr__answer_fail(struct mr__request *request, mr_status status, const char *fmt, ...)
{
    mr_error error;
    va_list args;
    va_start(args, fmt);
    (void)mr__error_setv(&error, status, fmt, args);
    va_end(args);
    mr__answer_failed(request, &error);
}

void mr__answer_fail_near(struct mr__request *request, mr_status status, const char *suggestion,
                          const char *fmt, ...)
{
    mr_error error;
    va_list args;
    va_start(args, fmt);
    (void)mr__error_setv(&error, status, fmt, args);
    va_end(args);
    mr__buf_reset(&request->out);
    error_json(&request->out, &error, suggestion);
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

void mr__request_ref(struct mr__request *request)
{
    request->refs++;
}

void mr__request_unref(struct mr__request *request)
{
    MR_ASSERT(request->refs > 0);
    if (--request->refs > 0) {
        return;
    }
    struct mr__engine *engine = request->engine;
    *(request->prev == NULL ? &engine->requests : &request->prev->next) = request->next;
    if (request->next != NULL) {
        request->next->prev = request->prev;
    }
    mr__follow_leave(request);
    mr__arena_finish(&request->arena);
    mr__buf_finish(&request->out);
    mr__free(request);
}

void mr__request_hold(struct mr__request *request)
{
    if (!request->holds && !request->ended) {
        request->holds = true;
        request->engine->holding++;
    }
}

const char *mr__field_str(const struct mr__request *request, const char *name)
{
    const char *text = mr_value_str(mr_value_get(&request->json, name), NULL);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

bool mr__field_true(const struct mr__request *request, const char *name)
{
    return mr_value_int(mr_value_get(&request->json, name), 0) != 0;
}

mr_status mr__field_list(struct mr__request *request, const char *name,
                         const char *const **ret_list, size_t *ret_count, mr_error *reterr)
{
    const mr_value *value = mr_value_get(&request->json, name);
    *ret_list = NULL;
    *ret_count = 0;
    if (value == NULL || value->type == MR_NULL) {
        return MR_OK;
    }
    const char **list = value->type != MR_LIST
                            ? NULL
                            : mr__arena_alloc(&request->arena, value->len * sizeof *list + 1);
    if (value->type == MR_LIST && list == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; list != NULL && i < value->len; i++) {
        list[i] = mr_value_str(&value->u.list[i], NULL);
        list = list[i] == NULL ? NULL : list;
    }
    if (list == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "\"%s\" must be a list of texts", name);
    }
    *ret_list = list;
    *ret_count = value->len;
    return MR_OK;
}

static void dispatch(struct mr__request *request, const char *json, size_t len)
{
    mr_error error;
    struct mr__engine *engine = request->engine;
    if (engine->broken.status != MR_OK) {
        mr__answer_failed(request, &engine->broken);
        return;
    }
    if (mr__value_parse(&request->arena, json, len, &request->json, &error) != MR_OK) {
        mr__answer_fail(request, MR_EINVAL, "the request is no JSON: %s", error.message);
        return;
    }
    const char *name = mr__field_str(request, "op");
    if (name == NULL) {
        mr__answer_fail(request, MR_EINVAL, "the request has no \"op\"");
        return;
    }
    const struct op *op = op_find(name);
    if (op == NULL) {
        mr__answer_fail(request, MR_EINVAL, "unknown op \"%s\"", name);
    } else if (op->needs_run) {
        mr__resolve(request, op->begin);
    } else {
        op->begin(request);
    }
}

mr_status mr__engine_request_on_loop(struct mr__engine *engine, const char *json, size_t len,
                                     mr__answer_fn answer, void *user,
                                     struct mr__request **ret_request)
{
    struct mr__request *request = engine->shutting ? NULL : mr__calloc(1, sizeof *request);
    if (request == NULL) {
        return engine->shutting ? MR_ECLOSED : MR_ENOMEM;
    }
    request->engine = engine;
    request->answer = answer;
    request->user = user;
    request->refs = 2; /* the caller's, until it closes, and ours until this returns */
    request->next = engine->requests;
    if (request->next != NULL) {
        request->next->prev = request;
    }
    engine->requests = request;
    mr__arena_init(&request->arena);
    mr__buf_init(&request->out);
    *ret_request = request;
    dispatch(request, json, len);
    mr__request_unref(request);
    return MR_OK;
}

void mr__engine_close_request_on_loop(struct mr__engine *engine, struct mr__request *request)
{
    MR_ASSERT(!request->closed);
    request->closed = true;
    if (!request->ended) {
        request_end(request);
    }
    mr__request_unref(request);
}

/* ---- run names
 * ----------------------------------------------------------------------------------- */

struct resolve {
    struct mr__request *request;
    char ref[MR__RUN_ID_TEXT_BYTES]; /* "" : the latest */
    size_t ref_len;
    uint8_t newest[MR__RUN_ID_BYTES];
    bool any;
    uint8_t found[8][MR__RUN_ID_BYTES]; /* distinct matches; more than these are only counted */
    uint32_t count;
};

static void resolve_see(struct resolve *resolve, const uint8_t *id)
{
    char text[MR__RUN_ID_TEXT_BYTES];
    if (!resolve->any || memcmp(id, resolve->newest, MR__RUN_ID_BYTES) > 0) {
        memcpy(resolve->newest, id, MR__RUN_ID_BYTES);
        resolve->any = true;
    }
    if (resolve->ref_len == 0) {
        return;
    }
    mr__id_text(id, text);
    size_t len = strlen(text);
    if (memcmp(text, resolve->ref, resolve->ref_len) != 0 &&
        memcmp(text + len - resolve->ref_len, resolve->ref, resolve->ref_len) != 0) {
        return;
    }
    for (uint32_t i = 0; i < MR__MIN(resolve->count, (uint32_t)MR__COUNT(resolve->found)); i++) {
        if (memcmp(resolve->found[i], id, MR__RUN_ID_BYTES) == 0) {
            return;
        }
    }
    if (resolve->count < MR__COUNT(resolve->found)) {
        memcpy(resolve->found[resolve->count], id, MR__RUN_ID_BYTES);
    }
    resolve->count++;
}

static bool resolve_key(void *user, struct mr__bytes key, struct mr__bytes value)
{
    const uint8_t *id = mr__key_run_id(key);
    if (id != NULL) {
        resolve_see(user, id);
    }
    return true;
}

static mr_status resolve_read(struct mr__snapshot *snapshot, void *user)
{
    struct resolve *resolve = user;
    static const uint8_t from[] = {MR__TABLE_INDEX, 'i'}, to[] = {MR__TABLE_INDEX, 'i' + 1};
    return snapshot->ops->range(snapshot, (struct mr__bytes){from, sizeof from},
                                (struct mr__bytes){to, sizeof to}, MR__RANGE_REVERSE,
                                resolve->ref_len == 0 ? 1 : MR__REF_RUNS, resolve_key, resolve);
}

static void resolve_ambiguous(struct mr__request *request, const struct resolve *resolve)
{
    mr_error error;
    (void)mr__error_set(&error, MR_EINVAL, "\"%s\" names %u runs; give more of the id",
                        resolve->ref, resolve->count);
    mr__buf_reset(&request->out);
    error_json(&request->out, &error, NULL);
    mr__buf_text(&request->out, ",\"candidates\":[");
    for (uint32_t i = 0; i < MR__MIN(resolve->count, (uint32_t)MR__COUNT(resolve->found)); i++) {
        char text[MR__RUN_ID_TEXT_BYTES];
        mr__id_text(resolve->found[i], text);
        mr__buf_printf(&request->out, "%s\"%s\"", i == 0 ? "" : ",", text);
    }
    mr__buf_text(&request->out, "],\"end\":true}");
    mr__answer(request, true);
}

static void resolve_done(void *user, mr_status status)
{
    struct resolve *resolve = user;
    struct mr__request *request = resolve->request;
    if (request->closed || request->ended) {
        /* nobody waits for it any more */
    } else if (status != MR_OK) {
        mr__answer_fail(request, status, "the store cannot be read: %s", mr_status_text(status));
    } else if (resolve->ref_len == 0 && !resolve->any) {
        mr__answer_fail(request, MR_ENOTFOUND, "there is no run yet");
    } else if (resolve->ref_len > 0 && resolve->count == 0) {
        mr__answer_fail(request, MR_ENOTFOUND, "no run \"%s\"", resolve->ref);
    } else if (resolve->count > 1) {
        resolve_ambiguous(request, resolve);
    } else {
        memcpy(request->run_id, resolve->ref_len == 0 ? resolve->newest : resolve->found[0],
               MR__RUN_ID_BYTES);
        request->then(request);
    }
    mr__request_unref(request);
    mr__free(resolve);
}

static bool ref_chars_ok(const char *ref, size_t len)
{
    return strspn(ref, "0123456789abcdefABCDEF-") == len;
}

void mr__resolve(struct mr__request *request, mr__op_fn then)
{
    struct mr__engine *engine = request->engine;
    struct mr__scheduler *s = mr__shard_state(engine->shard);
    const char *ref = mr__field_str(request, "run");
    size_t len = ref == NULL || strcmp(ref, "-") == 0 ? 0 : strlen(ref);
    request->then = then;
    if (len > 0 && mr__id_parse(ref, len, request->run_id)) {
        then(request);
        return;
    }
    if (len > 0 &&
        (len < MR__REF_CHARS_MIN || len >= MR__RUN_ID_TEXT_BYTES || !ref_chars_ok(ref, len))) {
        mr__answer_fail(request, MR_ENOTFOUND, "no run \"%s\"", ref);
        return;
    }
    struct resolve *resolve = mr__calloc(1, sizeof *resolve);
    if (resolve == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    resolve->request = request;
    resolve->ref_len = len;
    for (size_t i = 0; i < len; i++) {
        resolve->ref[i] = ref[i] >= 'A' && ref[i] <= 'F' ? (char)(ref[i] + 32) : ref[i];
    }
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        if (s->runs[slot] != NULL) {
            resolve_see(resolve, s->runs[slot]->id);
        }
    }
    for (const struct mr__unreadable *run = mr__shard_unreadables(engine->shard); run != NULL;
         run = run->next) {
        resolve_see(resolve, run->id);
    }
    const struct mr__pending *pending;
    for (size_t i = 0; (pending = mr__shard_pending(engine->shard, i)) != NULL; i++) {
        resolve_see(resolve, pending->id);
    }
    mr__request_ref(request);
    mr_status status = mr__engine_read(engine, resolve_read, resolve_done, resolve);
    if (status != MR_OK) {
        resolve_done(resolve, status);
    }
}

/* ---- reading jobs
 * -------------------------------------------------------------------------------- */

static void job_free(struct mr__run_job *job)
{
    mr__request_unref(job->request);
    if (job->plan != NULL) {
        mr__plan_unref(job->plan);
    } else {
        mr__dag_unref(job->dag);
    }
    mr__buf_finish(&job->log_copy);
    mr__buf_finish(&job->out);
    mr__buf_finish(&job->page.lines);
    mr__kept_finish(&job->kept);
    mr__free(job->progress);
    mr__free(job);
}

static void job_done(void *user, mr_status status)
{
    struct mr__run_job *job = user;
    if (job->request->closed || job->request->ended) {
        /* nobody waits for it any more */
    } else if (status == MR_ENOTFOUND && job->error.status == MR_OK) {
        mr__answer_fail(job->request, status, "no such run");
    } else if (status != MR_OK) {
        if (job->error.status == MR_OK) {
            (void)mr__error_set(&job->error, status, "the run cannot be read: %s",
                                mr_status_text(status));
        }
        mr__answer_failed(job->request, &job->error);
    } else {
        job->then(job);
    }
    job_free(job);
}

/* Reader thread. */
static mr_status job_read(struct mr__snapshot *snapshot, void *user)
{
    struct mr__run_job *job = user;
    struct mr__finished finished;
    struct mr__event created;
    mr_status status = MR_OK;
    if (job->log.data == NULL) {
        if (!job->have_place) {
            status = mr__read_place(snapshot, job->run_id, &job->place);
        }
        if (status == MR_OK) {
            status =
                mr__read_finished(snapshot, &job->place, &job->log_copy, &finished, &job->error);
        }
        if (status == MR_OK) {
            job->log = finished.log;
        }
    }
    if (status == MR_OK && job->dag == NULL) {
        status = mr__read_created(job->log, &created)
                     ? mr__read_dag(snapshot, &created, &job->dag, &job->error)
                     : MR_EFORMAT;
    }
    return status == MR_OK ? job->use(snapshot, job) : status;
}

static void job_begin(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct mr__run_job *job = user;
    if (status == MR_OK) {
        status = mr__engine_read(job->request->engine, job_read, job_done, job);
    } else if (error != NULL) {
        job->error = *error;
    }
    if (status != MR_OK) {
        job_done(job, status);
    }
}

struct mr__run_job *mr__run_job_make(struct mr__request *request, struct mr__run *run,
                                     mr_status (*use)(struct mr__snapshot *snapshot,
                                                      struct mr__run_job *job),
                                     void (*then)(struct mr__run_job *job))
{
    struct mr__run_job *job = mr__calloc(1, sizeof *job);
    if (job == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return NULL;
    }
    job->request = request;
    job->use = use;
    job->then = then;
    memcpy(job->run_id, request->run_id, MR__RUN_ID_BYTES);
    mr__request_ref(request);
    const struct mr__unreadable *unreadable =
        run == NULL ? mr__shard_unreadable(request->engine->shard, request->run_id) : NULL;
    if (run == NULL && unreadable == NULL) {
        const struct mr__pending *pending =
            mr__shard_pending_find(request->engine->shard, request->run_id);
        if (pending != NULL) {
            job->have_place = true;
            job->place = pending->place;
        }
        return job;
    }
    const struct mr__buf *log = run != NULL ? &run->log : &unreadable->log;
    mr__buf_bytes(&job->log_copy, log->data, log->len);
    job->log = (struct mr__blob){(const char *)job->log_copy.data, job->log_copy.len};
    if (run != NULL) { /* else its dag is read from the store, and what the parser says is said */
        job->plan = mr__plan_ref(run->plan);
        job->dag = run->plan->dag;
        job->progress = mr__run_progress_list(mr__shard_progress(request->engine->shard), run->id,
                                              &job->progress_count);
    }
    if (job->log_copy.failed) {
        job_done(job, MR_ENOMEM);
        return NULL;
    }
    return job;
}

void mr__run_job_start(struct mr__run_job *job)
{
    mr__shard_after(job->request->engine->shard, job_begin, job);
}

void mr__run_job_with(struct mr__request *request, struct mr__run *run,
                      mr_status (*use)(struct mr__snapshot *snapshot, struct mr__run_job *job),
                      void (*then)(struct mr__run_job *job))
{
    struct mr__run_job *job = mr__run_job_make(request, run, use, then);
    if (job != NULL) {
        mr__run_job_start(job);
    }
}

void mr__run_job(struct mr__request *request,
                 mr_status (*use)(struct mr__snapshot *snapshot, struct mr__run_job *job),
                 void (*then)(struct mr__run_job *job))
{
    struct mr__run *run = mr__shard_find(request->engine->shard, request->run_id);
    mr__run_job_with(request, run, use, then);
}

struct mr__plan *mr__run_job_plan(struct mr__run_job *job)
{
    struct mr__plan *plan = job->plan;
    if (plan == NULL) {
        mr_status status = mr__shard_plan_add(job->request->engine->shard, job->dag, &plan);
        job->dag = NULL; /* taken */
        if (status != MR_OK) {
            mr__answer_fail(job->request, status, "%s", mr_status_text(status));
            return NULL;
        }
    }
    if (plan->missing > 0) {
        mr__answer_fail(job->request, MR_ENOTFOUND,
                        "an action of the run's dag \"%s\" is missing: no plugin has it",
                        plan->dag->id);
        return NULL;
    }
    return plan;
}

/* ---- small ops
 * ----------------------------------------------------------------------------------- */

/* Reader thread: {"run":RUN */
mr_status mr__use_doc(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    struct mr__read_traces traces = {
        .snapshot = snapshot, .progress = job->progress, .progress_count = job->progress_count};
    struct mr__doc_traces each = mr__read_traces(&traces);
    memcpy(traces.run_id, job->run_id, MR__RUN_ID_BYTES);
    mr__buf_text(&job->out, "{\"run\":");
    return mr__doc_run(&job->out, job->dag, job->log, &each);
}

void mr__then_doc_last(struct mr__run_job *job)
{
    mr__buf_text(&job->out, ",\"end\":true}");
    if (job->out.failed) {
        mr__answer_fail(job->request, MR_ENOMEM, "out of memory");
    } else {
        mr__answer_text(job->request, (const char *)job->out.data, job->out.len, true);
    }
}

void mr__op_show(struct mr__request *request)
{
    mr__run_job(request, mr__use_doc, mr__then_doc_last);
}

static void add_event_line(void *user, const char *json, size_t len)
{
    struct mr__buf *out = user;
    mr__buf_text(out, "{\"event\":");
    mr__buf_bytes(out, json, len);
    mr__buf_text(out, "}\n");
}

static mr_status use_events(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    mr_status status = mr__doc_events(job->dag, job->log, add_event_line, &job->out);
    return status == MR_OK && job->out.failed ? MR_ENOMEM : status;
}

static void then_events(struct mr__run_job *job)
{
    mr__answer_lines(job->request, &job->out);
    mr__answer_text(job->request, "{\"end\":true}", 12, true);
}

void mr__op_events(struct mr__request *request)
{
    mr__run_job(request, use_events, then_events);
}

static void op_resolve(struct mr__request *request)
{
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(request->run_id, id);
    mr__buf_reset(&request->out);
    mr__buf_printf(&request->out, "{\"run\":\"%s\",\"end\":true}", id);
    mr__answer(request, true);
}

static void op_actions(struct mr__request *request)
{
    const char *name = mr__field_str(request, "name");
    if (name != NULL && mr__registry_find(request->engine->opt.registry, name) == NULL) {
        mr__answer_fail(request, MR_ENOTFOUND, "no action \"%s\"", name);
        return;
    }
    mr__buf_reset(&request->out);
    mr__registry_json(request->engine->opt.registry, name, &request->out);
    if (request->out.len > 0) {
        request->out.len--; /* the closing brace */
    }
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

/* Unfinished runs that `resume` would go on with. */
static uint32_t count_dormant(const struct mr__scheduler *s)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < s->runs_cap && s->dormant_count > 0; slot++) {
        const struct mr__run *run = s->runs[slot];
        count += run != NULL && (run->flags & MR__RUNFLAG_DORMANT) != 0 &&
                 (run->flags & MR__RUNFLAG_SETTLED) == 0 && run->status != MR__RUN_BLOCKED &&
                 run->status != MR__RUN_PAUSED;
    }
    return count;
}

static void op_ping(struct mr__request *request)
{
    const struct mr__scheduler *s = mr__shard_state(request->engine->shard);
    mr__buf_reset(&request->out);
    mr__buf_printf(&request->out,
                   "{\"pid\":%d,\"version\":\"" MR__VERSION
                   "\",\"runs\":%u,\"dormant\":%u,\"children\":%u,\"end\":true}",
                   (int)uv_os_getpid(), s->run_count, count_dormant(s),
                   mr__exec_survivors(request->engine->executor));
    mr__answer(request, true);
}

static const struct op ops[] = {
    {"submit", mr__op_submit, false},
    {"rerun", mr__op_rerun, true},
    {"resume", mr__op_resume, false},
    {"resolve", op_resolve, true},
    {"show", mr__op_show, true},
    {"wait", mr__op_wait, true},
    {"watch", mr__op_watch, true},
    {"why", mr__op_why, true},
    {"events", mr__op_events, true},
    {"logs", mr__op_logs, true},
    {"ps", mr__op_ps, false},
    {"runs", mr__op_runs, false},
    {"cancel", mr__op_command, true},
    {"retry", mr__op_command, true},
    {"continue", mr__op_command, true},
    {"pause", mr__op_command, true},
    {"unpause", mr__op_command, true},
    {"actions", op_actions, false},
    {"stats", mr__op_stats, false},
    {"check", mr__op_check, false},
    {"backup", mr__op_backup, false},
    {"push", mr__op_push, false},
    {"dags", mr__op_dags, false},
    {"dag", mr__op_dag, false},
    {"stop", mr__op_stop, false},
    {"start", mr__op_start, false},
    {"scheduleNext", mr__op_schedule_next, false},
    {"serve", mr__op_serve, false},
    {"prune", mr__op_prune, false},
    {"ping", op_ping, false},
    {"bench", mr__op_bench, false},
    {NULL, NULL, false},
};

static const struct op *op_find(const char *name)
{
    const struct op *op = ops;
    while (op->name != NULL && strcmp(op->name, name) != 0) {
        op++;
    }
    return op->name == NULL ? NULL : op;
}
