/* SPDX-License-Identifier: MIT
 *
 * submit: a text, or a dag of the store, becomes a run. It is parsed and checked in a reading job,
 * unless it was parsed lately, then the run's variables are completed and the shard gets it.
 *
 * rerun: the same with the dag version, variables, tags and folder of another run, which a reading
 * job looks up. Loop thread, but where a job's function says otherwise.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"

struct submit {
    struct mr__request *request;
    const char *text, *file, *folder; /* in the request's arena */
    size_t text_len;
    bool compat;                /* to be parsed by fastflow's rules */
    uint8_t digest[16];         /* of what is parsed: the parsed texts are known by it */
    const char *dag;            /* of the store, in the request's arena; NULL: `text` is it */
    uint8_t version[16];        /* of that dag */
    struct mr__plan *plan;      /* a reference, once it is known */
    struct mr__checked checked; /* by the job */
    mr_error error;             /* of the job */
    struct mr__blob key, token;
    struct mr__blob origin;
    mr_value old_vars, old_tags;     /* rerun: maps of the old run, else null */
    struct mr__kept_set own_kept;    /* submit with `only` */
    const struct mr__kept_set *kept; /* that, or the one of rerun's job */
    bool found; /* a run of the index has the key, or one in memory the token */
    uint8_t found_id[MR__RUN_ID_BYTES];
};

static void submit_free(struct submit *submit)
{
    mr__request_unref(submit->request);
    mr__plan_unref(submit->plan);
    mr__checked_finish(&submit->checked);
    mr__kept_finish(&submit->own_kept);
    mr__free(submit);
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
    mr__add_warnings(&request->out, &submit->checked);
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
        if (mr__field_true(submit->request, "attach") &&
            mr__shard_find(engine->shard, run_id) != NULL) {
            mr__follow_attach(engine, run_id);
        }
        answer_submitted(submit, run_id);
    }
    submit_free(submit);
}

/* The values that are given: the old run's, --vars FILE, then vars, then -v. */
static mr_status given_vars(struct submit *submit, mr_value *ret_given, mr_error *reterr)
{
    struct mr__request *request = submit->request;
    const mr_value *file = mr_value_get(&request->json, "vars_file");
    const char *text = mr_value_str(mr_value_get(file, "text"), NULL);
    mr_value from_file = {.type = MR_MAP};
    *ret_given = (mr_value){.type = MR_MAP};
    if (text != NULL) {
        const char *name = mr_value_str(mr_value_get(file, "name"), "--vars");
        mr_status status = mr__vars_read(name, text, mr_value_get(file, "text")->len,
                                         &request->arena, &from_file, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    const mr_value *const layers[] = {&submit->old_vars, &from_file,
                                      mr_value_get(&request->json, "vars"),
                                      mr_value_get(&request->json, "vars_text")};
    for (size_t i = 0; i < MR__COUNT(layers); i++) {
        if (mr__value_merge(&request->arena, ret_given, layers[i]) != MR_OK) {
            return mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
    }
    return MR_OK;
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
    if (mr__value_merge(&request->arena, &tags, &submit->old_tags) != MR_OK ||
        mr__value_merge(&request->arena, &tags, given) != MR_OK) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    mr__value_print(json, &tags);
    if (json->len > MR__TAGS_BYTES_MAX) {
        return mr__error_set(reterr, MR_EINVAL, "the tags are over the limit of 16 KiB");
    }
    return MR_OK;
}

/* The tasks that are not asked for. */
static mr_status only_of(struct submit *submit, mr_error *reterr)
{
    const char *const *ids;
    size_t count;
    mr_status status = mr__field_list(submit->request, "only", &ids, &count, reterr);
    if (status == MR_OK && count > 0) {
        status = mr__kept_only(submit->plan->dag, ids, count, &submit->own_kept, reterr);
    }
    return status;
}

static mr_status submit_fill(struct submit *submit, struct mr__submit *fill, struct mr__buf *vars,
                             struct mr__buf *tags, mr_error *reterr)
{
    struct mr__request *request = submit->request;
    mr_value given, complete;
    mr_status status = given_vars(submit, &given, reterr);
    if (status == MR_OK) {
        status = mr__dag_vars(submit->plan->dag, &given, &request->arena, &complete, reterr);
    }
    if (status == MR_OK) {
        mr__value_print(vars, &complete);
        status = tags_of(submit, tags, reterr);
    }
    if (status == MR_OK && submit->kept == &submit->own_kept) {
        status = only_of(submit, reterr);
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
    *fill = (struct mr__submit){
        .plan = submit->plan,
        .folder = {submit->folder, strlen(submit->folder)},
        .vars = {(const char *)vars->data, vars->len},
        .tags = {(const char *)tags->data, tags->len},
        .key = submit->key,
        .token = submit->token,
        .origin = submit->origin,
        .kept = submit->kept->list,
        .kept_count = submit->kept->count,
        .share = submit->kept->share,
        .share_count = submit->kept->share_count,
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

/* Whether a run of the dag may begin. What stop and start said of a pushed dag counts; of a text
 * that is not its current version, also what that says itself. */
static mr_status submit_allowed(const struct submit *submit, mr_error *reterr)
{
    const struct mr__dag *dag = submit->plan->dag;
    const struct mr__dag_row *row =
        mr__definitions_find(&submit->request->engine->definitions, dag->id);
    bool current = row != NULL && memcmp(row->pushed.version, dag->version, MR__VERSION_BYTES) == 0;
    bool of_text = submit->dag == NULL && !current && dag->stopped;
    if (of_text || (row != NULL && row->pushed.stopped)) {
        return mr__error_set(reterr, MR_ECONFLICT, "dag \"%s\" is stopped", dag->id);
    }
    if (submit->plan->missing > 0) {
        return mr__error_set(reterr, MR_ENOTFOUND,
                             "an action of dag \"%s\" is missing: no plugin has it", dag->id);
    }
    return MR_OK;
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
    } else if (submit_allowed(submit, &error) != MR_OK ||
               submit_fill(submit, &fill, &vars, &tags, &error) != MR_OK) {
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
    mr_status status = mr__read_key(snapshot, submit->key, submit->found_id);
    submit->found = status == MR_OK;
    return status == MR_ENOTFOUND ? MR_OK : status;
}

/* The text of a dag of the store, which was checked when it was pushed. */
static mr_status read_stored(struct mr__snapshot *snapshot, struct submit *submit)
{
    struct mr__key key;
    struct mr__bytes value;
    struct mr__definition definition;
    mr__key_definition(&key, submit->dag, submit->version);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status == MR_ENOTFOUND) {
        return mr__error_set(&submit->error, status, "dag \"%s\" has no such version", submit->dag);
    }
    if (status == MR_OK) {
        status = mr__definition_read(value, &definition, &submit->error);
    }
    return status == MR_OK ? mr__definition_parse(&definition, &submit->checked.dag, &submit->error)
                           : status;
}

/* Reader thread. */
static mr_status submit_read(struct mr__snapshot *snapshot, void *user)
{
    struct submit *submit = user;
    struct mr__parse_options options = {.file = submit->file, .compat = submit->compat};
    mr_status status = MR_OK;
    if (submit->key.len > 0) {
        status = find_key(snapshot, submit);
    }
    if (status != MR_OK || submit->plan != NULL) {
        return status;
    }
    if (submit->dag != NULL) {
        return read_stored(snapshot, submit);
    }
    return mr__definition_check(submit->request->engine->opt.registry, submit->text,
                                submit->text_len, &options, &submit->checked);
}

/* Keeps what the job has parsed, for this submit and those to come. */
static mr_status submit_keep(struct submit *submit)
{
    struct mr__engine *engine = submit->request->engine;
    struct mr__plan *plan;
    mr_status status = mr__shard_plan_add(engine->shard, submit->checked.dag, &plan);
    submit->checked.dag = NULL;
    if (status != MR_OK) {
        return status;
    }
    submit->plan = mr__plan_ref(plan);
    if (submit->dag == NULL) {
        uint32_t at = engine->parsed_next++ % MR__COUNT(engine->parsed);
        memcpy(engine->parsed[at].text, submit->digest, 16);
        memcpy(engine->parsed[at].version, plan->dag->version, 16);
    } else {
        plan->stored = true;
    }
    return MR_OK;
}

static void submit_parsed(void *user, mr_status status)
{
    struct submit *submit = user;
    struct mr__request *request = submit->request;
    char id[MR__RUN_ID_TEXT_BYTES];
    if (request->closed || request->ended) {
        submit_free(submit);
        return;
    }
    if (status == MR_OK && submit->checked.bad) {
        mr__answer_bad(request, submit->file, &submit->checked);
        submit_free(submit);
        return;
    }
    if (status == MR_OK && submit->checked.dag != NULL) {
        status = submit_keep(submit);
    }
    if (status == MR_EDEFINITION && submit->dag != NULL) { /* `dags` says so from now on */
        mr__shard_refuse(request->engine->shard, submit->version, submit->error.message);
    }
    if (status != MR_OK) {
        mr__answer_fail(request, status, "%s",
                        submit->error.status == status ? submit->error.message
                                                       : mr_status_text(status));
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

static struct submit *submit_create(struct mr__request *request)
{
    struct submit *submit = mr__calloc(1, sizeof *submit);
    if (submit == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return NULL;
    }
    submit->request = request;
    submit->token = field_blob(request, "token");
    submit->kept = &submit->own_kept;
    mr__request_ref(request);
    return submit;
}

/* What is to be run: a text. */
static bool take_text(struct submit *submit)
{
    struct mr__request *request = submit->request;
    struct mr__blob text = field_blob(request, "text");
    uint8_t digests[33];
    if (text.data == NULL) {
        mr__answer_fail(request, MR_EINVAL, "a submit needs \"text\" or \"dag\"");
        return false;
    }
    submit->text = text.data;
    submit->text_len = text.len;
    submit->file = mr__field_str(request, "file");
    submit->file = submit->file == NULL ? "-" : submit->file;
    submit->folder = mr__field_str(request, "folder");
    submit->folder = submit->folder == NULL ? "/" : submit->folder;
    submit->compat = mr__field_true(request, "compat");
    mr__hash128(submit->text, submit->text_len, digests);
    mr__hash128(submit->file, strlen(submit->file), digests + 16);
    digests[32] = submit->compat;
    mr__hash128(digests, sizeof digests, submit->digest);
    find_parsed(submit);
    return true;
}

static bool read_version(const char *text, uint8_t ret_version[MR__VERSION_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * MR__VERSION_BYTES || strspn(text, digits) != 2 * MR__VERSION_BYTES) {
        return false;
    }
    for (size_t i = 0; i < MR__VERSION_BYTES; i++) {
        ret_version[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) * 16 +
                                   (strchr(digits, text[2 * i + 1]) - digits));
    }
    return true;
}

/* What is to be run: a dag of the store, its current version or the one that is named, in its
 * file's folder. */
static bool take_dag(struct submit *submit)
{
    struct mr__request *request = submit->request;
    const struct mr__dag_row *row = mr__request_dag(request);
    const char *version = mr__field_str(request, "version");
    const char *folder = mr__field_str(request, "folder");
    if (row == NULL) {
        return false;
    }
    memcpy(submit->version, row->pushed.version, MR__VERSION_BYTES);
    if (version != NULL && !read_version(version, submit->version)) {
        mr__answer_fail(request, MR_ENOTFOUND, "dag \"%s\" has no version \"%s\"", row->id,
                        version);
        return false;
    }
    const struct mr__blob *file = &row->pushed.file, *own = &row->pushed.folder;
    submit->dag = mr__field_str(request, "dag");
    submit->file = mr__arena_dup(&request->arena, file->len > 0 ? file->data : "-",
                                 file->len > 0 ? file->len : 1);
    submit->folder = folder != NULL ? folder
                                    : mr__arena_dup(&request->arena, own->len > 0 ? own->data : "/",
                                                    own->len > 0 ? own->len : 1);
    if (submit->file == NULL || submit->folder == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return false;
    }
    struct mr__plan *plan = mr__shard_plan(request->engine->shard, submit->version);
    submit->plan = plan == NULL ? NULL : mr__plan_ref(plan);
    return true;
}

void mr__op_submit(struct mr__request *request)
{
    struct submit *submit = submit_create(request);
    if (submit == NULL) {
        return;
    }
    submit->key = field_blob(request, "key");
    if (mr__field_true(request, "attach")) {
        mr__request_hold(request); /* from now on, not only once there is a run to stay for */
    }
    bool dag = mr_value_get(&request->json, "dag") != NULL;
    if (!(dag ? take_dag(submit) : take_text(submit))) {
        submit_free(submit);
    } else if (submit->plan != NULL && submit->key.len == 0) {
        submit_go(submit);
    } else if (submit->key.len > 0 || dag) {
        /* What the job looks for must be in the store by then. */
        mr__shard_after(request->engine->shard, submit_job, submit);
    } else {
        submit_job(submit, MR_OK, NULL, NULL);
    }
}

/* ---- rerun --------------------------------------------------------------------------------- */

/* Reader thread. */
static mr_status use_rerun(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    const char *from = mr__field_str(job->request, "from");
    return from == NULL ? MR_OK : mr__kept_from(job->dag, job->log, from, &job->kept, &job->error);
}

/* A map of the old run, without what is null: such a variable had no value, and gets none. */
static mr_status old_map(struct mr__request *request, struct mr__blob json, mr_value *ret_map,
                         mr_error *reterr)
{
    mr_status status = json.len == 0
                           ? MR_OK
                           : mr__value_parse(&request->arena, json.data, json.len, ret_map, reterr);
    if (status != MR_OK || ret_map->type != MR_MAP) {
        return status;
    }
    mr_member *members = mr__arena_alloc(&request->arena, ret_map->len * sizeof *members + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; members != NULL && i < ret_map->len; i++) {
        if (ret_map->u.map[i].value.type != MR_NULL) {
            members[n++] = ret_map->u.map[i];
        }
    }
    ret_map->u.map = members;
    ret_map->len = n;
    return members == NULL ? mr__error_set(reterr, MR_ENOMEM, "out of memory") : MR_OK;
}

/* Fills in what a rerun has of the old run. */
static mr_status submit_like(struct submit *submit, const struct mr__event *created,
                             mr_error *reterr)
{
    struct mr__request *request = submit->request;
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(created->id, id);
    submit->folder = mr__arena_dup(&request->arena, created->folder.data, created->folder.len);
    char *origin = mr__arena_printf(&request->arena, "{\"trigger\":\"rerun\",\"of\":\"%s\"}", id);
    if (origin == NULL || submit->folder == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    submit->origin = (struct mr__blob){origin, strlen(origin)};
    submit->file = submit->plan->dag->file == NULL ? "-" : submit->plan->dag->file;
    mr_status status = old_map(request, created->vars, &submit->old_vars, reterr);
    return status == MR_OK ? old_map(request, created->tags, &submit->old_tags, reterr) : status;
}

static void then_rerun(struct mr__run_job *job)
{
    struct mr__event created;
    mr_error error;
    struct mr__plan *plan = mr__run_job_plan(job);
    struct submit *submit = plan == NULL ? NULL : submit_create(job->request);
    if (submit == NULL) {
        return;
    }
    submit->plan = mr__plan_ref(plan);
    submit->kept = &job->kept; /* the shard copies all of it before the job is freed */
    MR_ASSERT(mr__read_created(job->log, &created)); /* the job has found the dag by it */
    if (submit_like(submit, &created, &error) != MR_OK) {
        mr__answer_failed(job->request, &error);
        submit_free(submit);
        return;
    }
    submit_go(submit);
}

void mr__op_rerun(struct mr__request *request)
{
    if (mr__field_true(request, "attach")) {
        mr__request_hold(request);
    }
    mr__run_job(request, use_rerun, then_rerun);
}
