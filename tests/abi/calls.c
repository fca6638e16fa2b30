/* SPDX-License-Identifier: MIT
 *
 * Every call of the header that it is built against, and every field of an action: built once with
 * the header of each released minor (v1_0, v1_1 ...), so that test_abi.py can run what was built
 * then on the engine of today. NUMBER and its text come from meson.build.
 */
#include <millrace/plugin.h>
#include <pthread.h>
#include <stdio.h>

#define TEXT(x)    TEXT_(x)
#define TEXT_(x)   #x
#define NAME(what) "calls-" TEXT(NUMBER) "-" what

/* Leaves the attempt with what failed. */
#define NEED(t, condition)                                                                    \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            return mr_fail(t, MR_EFAILED, "%s, line %d: %s", NAME(""), __LINE__, #condition); \
        }                                                                                     \
    } while (0)

static const mr_param params[] = {
    {.name = "who", .type = MR_STRING, .default_json = "\"world\"", .help = "text"},
    {.name = "n", .type = MR_INT, .default_json = "7", .help = "a number"},
    {.name = "must", .type = MR_LIST, .flags = MR_REQUIRED, .help = "a list"},
    {.name = NULL},
};

/* ---- on a worker ------------------------------------------------------------------------------
 */

#if MR_ABI_MINOR >= 1
static mr_status use_1_1(mr_task *t)
{
    mr_value yes = {.type = MR_BOOL, .u.i = 1};
    const mr_value *vars = mr_vars(t);
    NEED(t,
         vars != NULL && vars->type == MR_MAP && mr_value_get(vars, "stage") == mr_var(t, "stage"));
    NEED(t, mr_share_get(t, "no-such-key") == NULL);
    NEED(t, mr_share_set(t, "flag", &yes) == MR_OK);
    NEED(t, mr_share_set_str(t, "text", "a") == MR_OK);
    NEED(t, mr_share_set_json(t, "json", "[1]", 3) == MR_OK);
    NEED(t, mr_share_set_str(t, "gone", "a") == MR_OK && mr_share_set(t, "gone", NULL) == MR_OK);
    NEED(t, mr_share_flush(t) == MR_OK);
    NEED(t, strcmp(mr_share_next(t, NULL), "flag") == 0);
    NEED(t, strcmp(mr_share_next(t, "flag"), "json") == 0 && mr_share_next(t, "text") == NULL);
    NEED(t, mr_value_int(mr_share_get(t, "flag"), 0) == 1);
    return MR_OK;
}

/* The first attempt fails with what retry.if and the run's document are to show. */
static mr_status fail_with_details(mr_task *t)
{
    mr_value text = {.type = MR_STRING, .len = 3, .u.s = "why"};
    NEED(t, mr_detail(t, "kind", &text) == MR_OK && mr_detail_int(t, "code", 42) == MR_OK);
    return mr_fail(t, MR_EFAILED, "the first attempt of %s", mr_info(t)->task_id);
}
#else
static mr_status use_1_1(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static mr_status fail_with_details(mr_task *t)
{
    return mr_fail(t, MR_EFAILED, "the first attempt of %s", mr_info(t)->task_id);
}
#endif

#if MR_ABI_MINOR >= 2
/* Once as the only holder, twice over, and never as one who holds nothing. */
static mr_status use_1_2(mr_task *t)
{
    mr_lock_options options = MR_LOCK(.ttl_ms = 1000, .wait_ms = 1000);
    uint64_t first = 0, again = 0;
    mr_logf(t, MR_LOG_ERROR, "%s", "line");
    mr_logf(t, MR_LOG_DEBUG, "%s", "line");
    mr_progress(t, 0.5, "half");
    mr_heartbeat(t);
    NEED(t, mr_unlock(t, NAME("lock")) == MR_ECONFLICT);
    NEED(t, mr_lock(t, NAME("lock"), NULL, &first) == MR_OK && first > 0);
    NEED(t, mr_lock(t, NAME("lock"), &options, &again) == MR_OK && again == first);
    NEED(t, mr_lock_renew(t, NAME("lock"), 0) == MR_OK);
    NEED(t, mr_unlock(t, NAME("lock")) == MR_OK && mr_unlock(t, NAME("lock")) == MR_OK);
    NEED(t, mr_unlock(t, NAME("lock")) == MR_ECONFLICT);
    NEED(t, mr_lock_then(t, NAME("lock"), NULL, NULL, NULL) == MR_EINVAL); /* for the loop */
    return MR_OK;
}

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    (void)arg;
    (void)mr_finish(t, status == MR_OK && fence > 0 ? MR_OK : MR_EFAILED); /* it is pending */
}

static mr_status lock_on_loop(mr_task *t)
{
    mr_lock_options options = MR_LOCK(.wait_ms = -1);
    mr_status status = mr_lock_then(t, NAME("lock"), &options, on_lock, NULL);
    return status == MR_OK ? MR_PENDING : status;
}
#else
static mr_status use_1_2(mr_task *t)
{
    (void)t;
    return MR_OK;
}

static mr_status lock_on_loop(mr_task *t)
{
    (void)t;
    return MR_OK;
}
#endif

static mr_status before(mr_task *t)
{
    NEED(t, mr_data(t) == NULL || strcmp((const char *)mr_data(t), "retry") == 0);
    mr_set_data(t, mr_printf(t, "%s", mr_data(t) == NULL ? "before" : "retry, before"));
    return MR_OK;
}

static mr_status retry_before(mr_task *t)
{
    mr_set_data(t, mr_printf(t, "%s", "retry"));
    return MR_OK;
}

static mr_status work(mr_task *t)
{
    const mr_task_info *info = mr_info(t);
    const mr_value *must = mr_param_get(t, "must");
    mr_value number = {.type = MR_NUMBER, .u.d = 0.5};
    char *memory = mr_alloc(t, 100);
    NEED(t, MR_HAS(mr_host, t->host, data) && MR_HAS(mr_task_info, info, deadline_ms));
    NEED(t, memory != NULL && memory[0] == 0 && memory[99] == 0);
    NEED(t, info->run_id[0] != 0 && strcmp(info->dag_id, "calls") == 0 && info->store[0] == '/');
    NEED(t, strlen(info->idempotency_key) == 32 && info->folder[0] == '/');
    NEED(t, info->started_at_ms > 0 && info->deadline_ms > info->started_at_ms);
    NEED(t, strcmp(mr_param_str(t, "who"), "world") == 0 && mr_param_int(t, "n") == 7);
    NEED(t, must != NULL && must->type == MR_LIST && must->len == 2);
    NEED(t, mr_param_get(t, "none") == NULL && mr_var(t, "none") == NULL);
    NEED(t, strcmp(mr_value_str(mr_var(t, "stage"), ""), "dev") == 0);
    NEED(t, mr_cancel_reason(t) == MR_NOT_CANCELED && mr_sleep(t, 1) == MR_OK);
    mr_trace(t, "attempt %u", info->attempt);
    mr_log(t, MR_STDOUT, "out\n", 4);
    mr_log(t, MR_STDERR, "err\n", 4);
    if (info->attempt == 1) {
        return fail_with_details(t);
    }
    NEED(t, mr_output(t, "number", &number) == MR_OK);
    NEED(t, mr_output_str(t, "data", (const char *)mr_data(t)) == MR_OK);
    NEED(t, mr_output_json(t, "json", "{\"a\":[1,null]}", 14) == MR_OK);
    mr_status status = use_1_1(t);
    return status == MR_OK ? use_1_2(t) : status;
}

static mr_status after(mr_task *t)
{
    mr_trace(t, "after %s", (const char *)mr_data(t));
    return MR_OK;
}

static const mr_action worker =
    MR_ACTION(.name = NAME("worker"), .help = "on a worker", .flags = MR_IDEMPOTENT,
              .params = params, .run = work, .run_before = before, .run_after = after,
              .retry_before = retry_before);

/* ---- on the loop: a timer, a thread that posts, a child ---------------------------------------
 */

struct chain {
    pthread_t thread;
    mr_task *task;
    char said[64];
    size_t len;
};

static void on_output(mr_task *t, uint32_t stream, const char *bytes, size_t len)
{
    struct chain *chain = mr_data(t);
    if (stream == MR_STDOUT && chain->len + len < sizeof chain->said) {
        memcpy(chain->said + chain->len, bytes, len);
        chain->len += len;
    }
}

static void on_exit_of_child(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    struct chain *chain = mr_data(t);
    mr_status status = mr_output_str(t, "said", mr_printf(t, "%.*s", (int)chain->len, chain->said));
    if (status == MR_OK && (exit_code != 0 || signal_number != 0)) {
        status = mr_fail(t, MR_EFAILED, "exit %d, signal %d", exit_code, signal_number);
    }
    (void)mr_finish(t, status); /* it is pending */
}

static void on_posted(mr_task *t, void *arg)
{
    static const char *const argv[] = {"/bin/sh", "-c", "printf '%s in %s' \"$WORD\" \"$PWD\"",
                                       NULL};
    static const char *const env[] = {"WORD=said", NULL};
    struct chain *chain = arg;
    mr_process process = {.size = sizeof process,
                          .argv = argv,
                          .env = env,
                          .folder = "/",
                          .grace_ms = 100,
                          .on_output = on_output,
                          .on_exit = on_exit_of_child};
    (void)pthread_join(chain->thread, NULL); /* it has posted */
    if (mr_spawn(t, &process) != MR_OK) {
        (void)mr_finish(t, MR_EFAILED); /* with mr_spawn's reason */
    }
}

static void *post_main(void *arg)
{
    struct chain *chain = arg;
    (void)mr_post(chain->task, on_posted, chain); /* nothing else ends the attempt: the test sees */
    return NULL;
}

static void on_timer(mr_task *t, void *arg)
{
    struct chain *chain = arg;
    if (pthread_create(&chain->thread, NULL, post_main, chain) != 0) {
        (void)mr_finish(t, mr_fail(t, MR_EFAILED, "no thread"));
    }
}

static mr_status start(mr_task *t)
{
    struct chain *chain = mr_alloc(t, sizeof *chain);
    NEED(t, chain != NULL);
    chain->task = t;
    mr_set_data(t, chain);
    NEED(t, mr_timer(t, 1, on_timer, chain) == MR_OK);
    return MR_PENDING;
}

static const mr_action loop =
    MR_ACTION(.name = NAME("loop"), .where = MR_ON_LOOP, .flags = MR_SPAWNS, .run = start);

/* ---- on the loop: a wait that survives restarts, and one that is canceled ---------------------
 */

static mr_status wait_a_moment(mr_task *t)
{
    mr_status status = mr_finish_after(t, 10);
    return status == MR_OK ? MR_PENDING : status;
}

static const mr_action moment =
    MR_ACTION(.name = NAME("wait"), .where = MR_ON_LOOP, .run = wait_a_moment);

static mr_status stay(mr_task *t)
{
    (void)t;
    return MR_PENDING;
}

static void stop_staying(mr_task *t)
{
    mr_trace(t, "canceled because of %u", mr_cancel_reason(t));
    (void)mr_finish(t, MR_ECANCELED); /* it is pending */
}

static const mr_action stays =
    MR_ACTION(.name = NAME("stay"), .where = MR_ON_LOOP, .run = stay, .cancel = stop_staying);

/* A lock that is waited for, where there are locks. */
static const mr_action locks =
    MR_ACTION(.name = NAME("lock"), .where = MR_ON_LOOP, .run = lock_on_loop);

MR_PLUGIN(NAME("plugin"), "1", &worker, &loop, &moment, &stays, &locks);
