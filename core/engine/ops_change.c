/* SPDX-License-Identifier: MIT
 *
 * Ops that change something: submit, resume, cancel, retry, continue. Loop thread, but where a
 * job's function says otherwise.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"
#include "core/model/yaml_tree.h"

#define NO_ERRORS "{\"errors\":[]"

/* ---- submit
 * -------------------------------------------------------------------------------------- */

struct submit {
    struct mr__request *request;
    const char *text, *file; /* in the request's arena */
    size_t text_len;
    uint8_t digest[16];      /* of text and file: the parsed texts are known by it */
    struct mr__plan *plan;   /* a reference, once it is known */
    struct mr__dag *dag;     /* parsed by the job */
    struct mr__buf problems; /* JSON of errors and warnings */
    bool bad;
    struct mr__blob key, token;
    bool found; /* a run of the index has the key, or one in memory the token */
    uint8_t found_id[MR__RUN_ID_BYTES];
};

static void submit_free(struct submit *submit)
{
    mr__request_unref(submit->request);
    mr__plan_unref(submit->plan);
    mr__dag_unref(submit->dag);
    mr__buf_finish(&submit->problems);
    free(submit);
}

static void answer_submitted(struct submit *submit, const uint8_t *run_id)
{
    struct mr__request *request = submit->request;
    char id[MR__RUN_ID_TEXT_BYTES];
    const char *dag = submit->plan == NULL ? "" : submit->plan->dag->id;
    mr__id_text(run_id, id);
    mr__buf_reset(&request->out);
    mr__buf_printf(&request->out, "{\"run\":\"%s\",\"dag\":", id);
    mr__json_str(&request->out, dag, strlen(dag));
    mr__buf_text(&request->out, ",\"file\":");
    mr__json_str(&request->out, submit->file, strlen(submit->file));
    if (submit->problems.len > sizeof NO_ERRORS) {
        /* Only warnings are left of the problems' object: the member behind its empty errors. */
        mr__buf_text(&request->out, ",");
        mr__buf_bytes(&request->out, submit->problems.data + sizeof NO_ERRORS,
                      submit->problems.len - sizeof NO_ERRORS - 1);
    }
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

static void submit_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct submit *submit = user;
    struct mr__engine *engine = submit->request->engine;
    if (status != MR_OK) {
        mr__answer_failed(submit->request, error);
    } else {
        if (mr_value_int(mr_value_get(&submit->request->json, "attach"), 0) != 0 &&
            mr__shard_find(engine->shard, run_id) != NULL) {
            mr__follow_attach(engine, run_id);
        }
        answer_submitted(submit, run_id);
    }
    submit_free(submit);
}

/* One map over another. */
static bool merge(struct mr__arena *arena, mr_value *into, const mr_value *over)
{
    if (over == NULL || over->type != MR_MAP || over->len == 0) {
        return true;
    }
    mr_member *members = mr__arena_alloc(arena, (into->len + over->len) * sizeof *members);
    if (members == NULL) {
        return false;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < into->len; i++) {
        if (mr_value_get(over, into->u.map[i].key) == NULL) {
            members[n++] = into->u.map[i];
        }
    }
    memcpy(members + n, over->u.map, over->len * sizeof *members);
    into->u.map = members;
    into->len = n + over->len;
    return true;
}

/* The values that the caller gave: --vars FILE, then vars, then -v. */
static mr_status given_vars(struct mr__request *request, mr_value *ret_given, mr_error *reterr)
{
    const mr_value *file = mr_value_get(&request->json, "vars_file");
    const char *text = mr_value_str(mr_value_get(file, "text"), NULL);
    struct mr__problems problems;
    mr_value from_file;
    mr_status status = MR_OK;
    *ret_given = (mr_value){.type = MR_MAP};
    if (text != NULL) {
        mr__problems_init(&problems);
        status = mr__yaml_value(text, mr_value_get(file, "text")->len, &request->arena, &problems,
                                &from_file);
        const char *name = mr_value_str(mr_value_get(file, "name"), "--vars");
        if (problems.error_count > 0 || (status == MR_OK && from_file.type != MR_MAP)) {
            struct mr__pos pos = {1, 1, 0};
            const char *message = "it must be a map of variables";
            if (problems.error_count > 0) {
                pos = problems.list[0].pos;
                message = problems.list[0].message;
            }
            status = mr__error_set(reterr, MR_EINVAL, "%s:%u:%u: %s", name, pos.line, pos.column,
                                   message);
        }
        mr__problems_finish(&problems);
        if (status == MR_OK && !merge(&request->arena, ret_given, &from_file)) {
            status = MR_ENOMEM;
        }
    }
    if (status == MR_OK &&
        (!merge(&request->arena, ret_given, mr_value_get(&request->json, "vars")) ||
         !merge(&request->arena, ret_given, mr_value_get(&request->json, "vars_text")))) {
        status = MR_ENOMEM;
    }
    if (status == MR_ENOMEM) {
        (void)mr__error_set(reterr, status, "out of memory");
    }
    return status;
}

static mr_status tags_of(struct submit *submit, struct mr__buf *json, mr_error *reterr)
{
    struct mr__request *request = submit->request;
    mr_value tags = submit->plan->dag->tags;
    const mr_value *given = mr_value_get(&request->json, "tags");
    tags.type = MR_MAP;
    for (uint32_t i = 0; given != NULL && given->type == MR_MAP && i < given->len; i++) {
        if (given->u.map[i].value.type != MR_STRING) {
            return mr__error_set(reterr, MR_EINVAL, "tag \"%s\" is not text", given->u.map[i].key);
        }
    }
    if (!merge(&request->arena, &tags, given)) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    mr__value_print(json, &tags);
    if (json->len > MR__TAGS_BYTES_MAX) {
        return mr__error_set(reterr, MR_EINVAL, "the tags are over the limit of 16 KiB");
    }
    return MR_OK;
}

static mr_status submit_fill(struct submit *submit, struct mr__submit *fill, struct mr__buf *vars,
                             struct mr__buf *tags, mr_error *reterr)
{
    struct mr__request *request = submit->request;
    mr_value given, complete;
    mr_status status = given_vars(request, &given, reterr);
    if (status == MR_OK) {
        status = mr__dag_vars(submit->plan->dag, &given, &request->arena, &complete, reterr);
    }
    if (status == MR_OK) {
        mr__value_print(vars, &complete);
        status = tags_of(submit, tags, reterr);
    }
    if (status == MR_OK && vars->len > MR__VARS_BYTES_MAX) {
        status = mr__error_set(reterr, MR_EINVAL, "the variables are over the limit of 1 MiB");
    }
    if (status == MR_OK && submit->key.len > MR__KEY_BYTES_MAX) {
        status = mr__error_set(reterr, MR_EINVAL, "the key is over the limit of %u bytes",
                               MR__KEY_BYTES_MAX);
    }
    if (status == MR_OK && (vars->failed || tags->failed)) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    const char *folder = mr__field_str(request, "folder");
    folder = folder == NULL ? "/" : folder;
    *fill = (struct mr__submit){
        .plan = submit->plan,
        .folder = {folder, strlen(folder)},
        .vars = {(const char *)vars->data, vars->len},
        .tags = {(const char *)tags->data, tags->len},
        .key = submit->key,
        .token = submit->token,
    };
    return status;
}

static void submit_repeated(void *user, mr_status status, const mr_error *error,
                            const uint8_t *run_id)
{
    struct submit *submit = user;
    submit_done(submit, status, error, submit->found_id);
}

/* A submit that its owner accepted but did not live to answer is repeated to the next one: its run
 * is there, and whoever asks for it wants it to go on. */
static void submit_go_on(struct mr__engine *engine, const uint8_t *run_id)
{
    const struct mr__run *run = mr__shard_find(engine->shard, run_id);
    if (run != NULL && (run->flags & MR__RUNFLAG_DORMANT) != 0) {
        mr__shard_resume(engine->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])run_id, 1);
    }
}

static void submit_go(struct submit *submit)
{
    mr_error error;
    struct mr__submit fill;
    struct mr__buf vars, tags;
    struct mr__engine *engine = submit->request->engine;
    mr__buf_init(&vars);
    mr__buf_init(&tags);
    const uint8_t *first =
        submit->token.len == 0 ? NULL : mr__shard_key_owner(engine->shard, submit->token, true);
    if (first != NULL) {
        /* The same submit again: its answer waits until the first one is durable. */
        memcpy(submit->found_id, first, MR__RUN_ID_BYTES);
        submit_go_on(engine, submit->found_id);
        mr__shard_after(engine->shard, submit_repeated, submit);
    } else if (submit_fill(submit, &fill, &vars, &tags, &error) != MR_OK) {
        mr__answer_failed(submit->request, &error);
        submit_free(submit);
    } else {
        mr__shard_submit(engine->shard, &fill, submit_done, submit);
    }
    mr__buf_finish(&vars);
    mr__buf_finish(&tags);
}

static mr_status find_key(struct mr__snapshot *snapshot, struct submit *submit)
{
    struct mr__key key;
    struct mr__bytes value;
    struct mr__place place;
    mr__key_idempotency(&key, submit->key);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status == MR_ENOTFOUND || value.len != MR__RUN_ID_BYTES) {
        return status == MR_ENOTFOUND ? MR_OK : status;
    }
    memcpy(submit->found_id, value.data, MR__RUN_ID_BYTES);
    /* A key whose run never became durable counts for nothing. */
    submit->found = mr__read_place(snapshot, submit->found_id, &place) == MR_OK;
    return MR_OK;
}

/* Reader thread. */
static mr_status submit_read(struct mr__snapshot *snapshot, void *user)
{
    struct submit *submit = user;
    struct mr__problems problems;
    struct mr__parse_options options = {.file = submit->file};
    mr_status status = MR_OK;
    if (submit->key.len > 0) {
        status = find_key(snapshot, submit);
    }
    if (status != MR_OK || submit->plan != NULL) {
        return status;
    }
    mr__problems_init(&problems);
    status = mr__dag_parse(submit->text, submit->text_len, &options, &problems, &submit->dag);
    if (status == MR_OK) {
        mr__registry_check(submit->request->engine->opt.registry, submit->dag, &problems);
    }
    if (status == MR_EDEFINITION || problems.error_count > 0) {
        submit->bad = true;
        status = MR_OK;
    }
    if (problems.count > 0) {
        mr__problems_sort(&problems);
        mr__problems_json(&problems, submit->file, submit->text, submit->text_len,
                          &submit->problems);
    }
    status = problems.failed || submit->problems.failed ? MR_ENOMEM : status;
    mr__problems_finish(&problems);
    return status;
}

static void answer_bad(struct submit *submit)
{
    struct mr__request *request = submit->request;
    mr__buf_reset(&request->out);
    mr__buf_printf(
        &request->out,
        "{\"error\":{\"status\":%d,\"name\":\"invalid definition\",\"message\":", MR_EDEFINITION);
    mr__json_str(&request->out, submit->file, strlen(submit->file));
    mr__buf_text(&request->out, "},");
    /* The problems are an object: its members go into this one. */
    mr__buf_bytes(&request->out, submit->problems.data + 1, submit->problems.len - 2);
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}

static void submit_parsed(void *user, mr_status status)
{
    struct submit *submit = user;
    struct mr__request *request = submit->request;
    struct mr__engine *engine = request->engine;
    struct mr__plan *plan;
    char id[MR__RUN_ID_TEXT_BYTES];
    if (request->closed || request->ended) {
        submit_free(submit);
        return;
    }
    if (status == MR_OK && submit->bad) {
        answer_bad(submit);
        submit_free(submit);
        return;
    }
    if (status == MR_OK && submit->dag != NULL) {
        status = mr__shard_plan_add(engine->shard, submit->dag, &plan);
        submit->dag = NULL;
        if (status == MR_OK) {
            uint32_t at = engine->parsed_next++ % MR__COUNT(engine->parsed);
            memcpy(engine->parsed[at].text, submit->digest, 16);
            memcpy(engine->parsed[at].version, plan->dag->version, 16);
            submit->plan = mr__plan_ref(plan);
        }
    }
    if (status != MR_OK) {
        mr__answer_fail(request, status, "%s", mr_status_text(status));
        submit_free(submit);
    } else if (submit->found) {
        mr__id_text(submit->found_id, id);
        mr__answer_fail(request, MR_ECONFLICT, "key \"%.*s\" is taken by run %s",
                        (int)MR__MIN(submit->key.len, 200), submit->key.data, id);
        submit_free(submit);
    } else {
        submit_go(submit);
    }
}

static void submit_job(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct submit *submit = user;
    if (status == MR_OK) {
        status = mr__engine_read(submit->request->engine, submit_read, submit_parsed, submit);
    }
    if (status != MR_OK) {
        if (error != NULL) {
            mr__answer_failed(submit->request, error);
        } else {
            mr__answer_fail(submit->request, status, "%s", mr_status_text(status));
        }
        submit_free(submit);
    }
}

static void find_parsed(struct submit *submit)
{
    struct mr__engine *engine = submit->request->engine;
    for (size_t i = 0; i < MR__COUNT(engine->parsed); i++) {
        if (memcmp(engine->parsed[i].text, submit->digest, 16) == 0) {
            struct mr__plan *plan = mr__shard_plan(engine->shard, engine->parsed[i].version);
            submit->plan = plan == NULL ? NULL : mr__plan_ref(plan);
            return;
        }
    }
}

static struct mr__blob field_blob(const struct mr__request *request, const char *name)
{
    const mr_value *value = mr_value_get(&request->json, name);
    return value != NULL && value->type == MR_STRING ? (struct mr__blob){value->u.s, value->len}
                                                     : (struct mr__blob){NULL, 0};
}

void mr__op_submit(struct mr__request *request)
{
    uint8_t digests[32];
    struct mr__blob text = field_blob(request, "text");
    struct submit *submit = calloc(1, sizeof *submit);
    if (submit == NULL || text.data == NULL) {
        free(submit);
        mr__answer_fail(request, submit == NULL ? MR_ENOMEM : MR_EINVAL,
                        submit == NULL ? "out of memory" : "a submit needs \"text\"");
        return;
    }
    submit->request = request;
    submit->text = text.data;
    submit->text_len = text.len;
    submit->file = mr__field_str(request, "file");
    submit->file = submit->file == NULL ? "-" : submit->file;
    submit->key = field_blob(request, "key");
    submit->token = field_blob(request, "token");
    mr__hash128(submit->text, submit->text_len, digests);
    mr__hash128(submit->file, strlen(submit->file), digests + 16);
    mr__hash128(digests, sizeof digests, submit->digest);
    mr__request_ref(request);
    if (mr_value_int(mr_value_get(&request->json, "attach"), 0) != 0) {
        mr__request_hold(request); /* from now on, not only once there is a run to stay for */
    }
    find_parsed(submit);
    if (submit->plan != NULL && submit->key.len == 0) {
        submit_go(submit);
    } else if (submit->key.len > 0) {
        mr__shard_after(request->engine->shard, submit_job, submit);
    } else {
        submit_job(submit, MR_OK, NULL, NULL);
    }
}

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
    struct mr__command_of what = {.command = MR__COMMAND_RETRY};
    mr__shard_command(shard, request->run_id, &what, command_done, request);
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
        struct mr__command_of what = {.command = command};
        mr__shard_command(shard, request->run_id, &what, command_done, request);
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
