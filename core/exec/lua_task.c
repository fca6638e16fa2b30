/* SPDX-License-Identifier: MIT
 *
 * The action `lua` and actions that are Lua files: a script in the worker's state, with the acting
 * tier over the host's calls. A worker.
 */
#include "core/exec/lua_task.h"

#include "core/base/clock.h"
#include "core/exec/pool.h"
#include "core/exec/task_host.h"

/* One call into Lua. */
struct calling {
    struct mr__task *t;
    struct mr__scope scope;        /* what the script sees: own sets over what is durable */
    const struct mr__scope *inner; /* the copy of the run's, for its tasks; or NULL */
    struct mr__buf json, key;      /* what the scope has shown last */
};

mr_status mr__lua_of_worker(struct mr__lua **ret_lua, mr_error *reterr)
{
    struct mr__lua **slot = (struct mr__lua **)mr__pool_local();
    MR_ASSERT(slot != NULL);
    mr_status status = *slot == NULL ? mr__lua_create(slot) : MR_OK;
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    *ret_lua = *slot;
    return MR_OK;
}

void mr__lua_end_local(void *local)
{
    mr__lua_destroy(local);
}

/* ---- what the script sees ---------------------------------------------------------------------
 */

static bool see_task(const struct mr__scope *scope, uint32_t task, struct mr__scope_task *ret_task)
{
    const struct mr__scope *inner = ((struct calling *)scope->user)->inner;
    return inner->task(inner, task, ret_task);
}

static bool see_share(const struct mr__scope *scope, const char *key, size_t len,
                      struct mr__blob *ret_json)
{
    struct calling *c = scope->user;
    mr__buf_reset(&c->json);
    bool there = mr__task_share_json(c->t, key, len, &c->json);
    *ret_json = (struct mr__blob){(const char *)c->json.data, c->json.len};
    return there;
}

static bool see_share_next(const struct mr__scope *scope, struct mr__blob after,
                           struct mr__blob *ret_key)
{
    struct calling *c = scope->user;
    mr__buf_reset(&c->key);
    bool there = mr__task_share_next(c->t, after, &c->key);
    *ret_key = (struct mr__blob){(const char *)c->key.data, c->key.len};
    return there;
}

/* ---- what it can do ---------------------------------------------------------------------------
 */

static struct mr__task *task_of(void *user)
{
    return ((struct calling *)user)->t;
}

static void act_trace(void *user, const char *line, size_t len)
{
    mr_trace(&task_of(user)->head, "%.*s", (int)MR__MIN(len, MR__TRACE_LINE_BYTES_MAX + 4), line);
}

static void act_log(void *user, uint32_t stream, const char *bytes, size_t len)
{
    mr_log(&task_of(user)->head, stream, bytes, len);
}

static mr_status act_share_set(void *user, const char *key, const char *json, size_t len,
                               mr_error *reterr)
{
    return mr__task_share_put(task_of(user), key, json, len, reterr);
}

static mr_status act_share_flush(void *user, mr_error *reterr)
{
    return mr__task_share_save(task_of(user), reterr);
}

static mr_status act_sleep(void *user, int64_t ms)
{
    return mr_sleep(&task_of(user)->head, ms);
}

static bool act_canceled(void *user)
{
    return mr_cancel_reason(&task_of(user)->head) != MR_NOT_CANCELED;
}

static void act_heartbeat(void *user)
{
    mr_heartbeat(&task_of(user)->head);
}

static void act_progress(void *user, double fraction, const char *note)
{
    mr_progress(&task_of(user)->head, fraction, note);
}

static mr_status act_lock(void *user, const char *name, int64_t wait_ms, int64_t ttl_ms,
                          int64_t *ret_fence, mr_error *reterr)
{
    struct mr__task *t = task_of(user);
    mr_lock_options options = MR_LOCK(.ttl_ms = ttl_ms, .wait_ms = wait_ms);
    uint64_t fence = 0;
    mr_status status = mr_lock(&t->head, name, &options, &fence);
    *ret_fence = (int64_t)fence;
    if (status == MR_EINVAL || status == MR_ELIMIT) { /* else the status says it */
        return mr__error_set(reterr, status, "%s", t->reason);
    }
    return status;
}

static mr_status act_unlock(void *user, const char *name)
{
    return mr_unlock(&task_of(user)->head, name);
}

static int64_t act_now_ms(void *user)
{
    struct mr__clock *clock = mr__clock_system();
    return clock->wall_ms(clock);
}

static mr_status act_value_set(void *user, const char *key, const char *json, size_t len)
{
    struct mr__members *values = &task_of(user)->values;
    if (json == NULL) {
        mr__members_del(values, key);
        return MR_OK;
    }
    return mr__members_set(values, key, json, len, MR__OUTPUT_BYTES_MAX);
}

static bool act_value(void *user, const char *key, struct mr__blob *ret_json)
{
    return mr__members_find(&task_of(user)->values, key, ret_json);
}

static void calling_init(struct calling *c, struct mr__task *t, struct mr__lua_acts *ret_acts)
{
    *c = (struct calling){.t = t};
    *ret_acts = (struct mr__lua_acts){.user = c,
                                      .trace = act_trace,
                                      .log = act_log,
                                      .share_set = act_share_set,
                                      .share_flush = act_share_flush,
                                      .sleep = act_sleep,
                                      .canceled = act_canceled,
                                      .heartbeat = act_heartbeat,
                                      .progress = act_progress,
                                      .lock = act_lock,
                                      .unlock = act_unlock,
                                      .now_ms = act_now_ms,
                                      .value_set = act_value_set,
                                      .value = act_value};
}

/* Its own sets of the share data over what is durable, whatever the scope was made of. */
static void show_share(struct calling *c)
{
    c->scope.user = c;
    c->scope.share = see_share;
    c->scope.share_next = see_share_next;
}

static void calling_finish(struct calling *c)
{
    mr__buf_finish(&c->json);
    mr__buf_finish(&c->key);
}

/* What `run` returned becomes the whole output. */
static mr_status finish_run(struct mr__task *t, mr_status status, const struct mr__buf *output,
                            const mr_error *error)
{
    if (status == MR_ECANCELED) {
        return status;
    }
    if (status != MR_OK) {
        return mr__task_fail(t, status, "%s", error->message);
    }
    return output->len == 0 ? MR_OK : mr__task_set_output(t, NULL, output);
}

/* ---- the action `lua` -------------------------------------------------------------------------
 */

static mr_status lua_run(mr_task *task)
{
    struct mr__task *t = mr__task_of(task);
    struct calling c;
    struct mr__lua_acts acts;
    struct mr__buf output = {0};
    struct mr__lua *lua;
    mr_error error;
    if (t->scope == NULL || t->script >= t->scope->scope.dag->script_count) {
        return mr__task_fail(t, MR_EINVAL, "the action \"lua\" has no script in this dag");
    }
    calling_init(&c, t, &acts);
    c.inner = &t->scope->scope;
    c.scope = *c.inner;
    c.scope.task = c.inner->task == NULL ? NULL : see_task;
    show_share(&c);
    mr_status status = mr__lua_of_worker(&lua, &error);
    if (status == MR_OK) {
        status =
            mr__lua_run(lua, &c.scope, t->script, &acts, &mr__lua_budget_acting, &output, &error);
    }
    status = finish_run(t, status, &output, &error);
    mr__buf_finish(&output);
    calling_finish(&c);
    return status;
}

static const mr_param lua_params[] = {
    {.name = "lua", .type = MR_STRING, .flags = MR_REQUIRED, .help = "the script"},
    {.name = NULL},
};
const mr_action mr__lua_action =
    MR_ACTION(.name = "lua", .help = "runs a Lua script, sandboxed, with share data",
              .where = MR_ON_WORKER, .params = lua_params, .run = lua_run);
static const mr_action *const lua_actions[] = {&mr__lua_action, NULL};
const mr_plugin mr__lua_plugin = {.magic = MR_PLUGIN_MAGIC,
                                  .abi_major = MR_ABI_MAJOR,
                                  .abi_minor = MR_ABI_MINOR,
                                  .size = sizeof(mr_plugin),
                                  .name = "millrace",
                                  .version = MR__LUA_PLUGIN_VERSION,
                                  .actions = lua_actions};

/* ---- actions that are Lua files ---------------------------------------------------------------
 */

static mr_status call_file(mr_task *task, enum mr__lua_phase phase)
{
    struct mr__task *t = mr__task_of(task);
    const mr_task_info *info = mr_info(task);
    struct calling c;
    struct mr__lua_acts acts;
    struct mr__buf output = {0};
    struct mr__lua *lua;
    mr_error error;
    const struct mr__lua_task about = {.id = info->task_id,
                                       .run = info->run_id,
                                       .dag = info->dag_id,
                                       .key = info->idempotency_key,
                                       .folder = info->folder,
                                       .attempt = info->attempt,
                                       .params = &t->params,
                                       .vars = &t->vars};
    calling_init(&c, t, &acts);
    c.scope.vars = &t->vars;
    c.scope.run = (struct mr__scope_run){.id = info->run_id,
                                         .dag = info->dag_id,
                                         .status = "running",
                                         .reason = "",
                                         .folder = info->folder};
    show_share(&c);
    mr_status status = mr__lua_of_worker(&lua, &error);
    if (status == MR_OK) {
        status = mr__lua_action_call(lua, t->action->lua, phase, &about, &c.scope, &acts,
                                     &mr__lua_budget_acting, &output, &error);
    }
    if (phase != MR__LUA_RUN) {
        mr__buf_reset(&output); /* What another phase returns means nothing. */
    }
    status = finish_run(t, status, &output, &error);
    mr__buf_finish(&output);
    calling_finish(&c);
    return status;
}

mr_status mr__lua_file_run(mr_task *task)
{
    return call_file(task, MR__LUA_RUN);
}

mr_status mr__lua_file_run_before(mr_task *task)
{
    return call_file(task, MR__LUA_RUN_BEFORE);
}

mr_status mr__lua_file_run_after(mr_task *task)
{
    return call_file(task, MR__LUA_RUN_AFTER);
}

mr_status mr__lua_file_retry_before(mr_task *task)
{
    return call_file(task, MR__LUA_RETRY_BEFORE);
}
