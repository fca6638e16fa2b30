/* SPDX-License-Identifier: MIT
 *
 * The action `with-lock`: a shell script that runs while a named lock is held, so that no other
 * task of the store runs under it meanwhile. Loop; the child is the host's (mr_spawn).
 *
 * It waits without a thread. While the child runs a timer renews the lock, long before its time is
 * over; the host lets it go with the attempt's end. If it was lost after all, since the loop stood
 * still for so long, the child is killed: somebody else may have the lock.
 */
#include <millrace/plugin.h>

#include "plugins/shell.h"
#include "plugins/text.h"

#define TTL_MS_MIN 100 /* it is renewed three times within it */

struct held {
    const char *name;
    int64_t ttl_ms;
    bool runs; /* the child */
};

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg);
static void on_renewal(mr_task *t, void *arg);
static void on_exit_of_shell(mr_task *t, int32_t exit_code, int32_t signal_number);

/* A param that is a duration; null: it stays as it is. */
static mr_status read_duration(mr_task *t, const char *param, int64_t *ms)
{
    const mr_value *value = mr_param_get(t, param);
    if (value->type == MR_NULL || mr__text_duration(mr_value_str(value, ""), ms)) {
        return MR_OK;
    }
    return mr_fail(t, MR_EINVAL, "%s: \"%.64s\" is no duration such as 300ms, 10s, 5m, 2h or 1d",
                   param, mr_value_str(value, ""));
}

static mr_status with_lock_run(mr_task *t)
{
    struct held *held = mr_alloc(t, sizeof *held);
    mr_lock_options options = MR_LOCK(.wait_ms = -1);
    if (held == NULL) {
        return MR_ENOMEM;
    }
    held->name = mr_param_str(t, "name");
    mr_status status = read_duration(t, "wait", &options.wait_ms);
    if (status == MR_OK) {
        status = read_duration(t, "ttl", &held->ttl_ms);
    }
    if (status == MR_OK && held->ttl_ms < TTL_MS_MIN) {
        status =
            mr_fail(t, MR_EINVAL, "ttl: a lock that is renewed needs at least %dms", TTL_MS_MIN);
    }
    if (status != MR_OK) {
        return status;
    }
    options.ttl_ms = held->ttl_ms;
    mr_set_data(t, held);
    status = mr_lock_then(t, held->name, &options, on_lock, held);
    return status == MR_OK ? MR_PENDING : status;
}

static mr_status start_child(mr_task *t, struct held *held, uint64_t fence)
{
    const char *argv[] = {"/bin/sh", "-ec", mr_param_str(t, "run"), NULL};
    const char *more = mr_printf(t, "MILLRACE_FENCE=%llu", (unsigned long long)fence);
    mr_process process = {.size = sizeof process, .argv = argv, .on_exit = on_exit_of_shell};
    if (more == NULL) {
        return MR_ENOMEM;
    }
    mr_status status = mr__shell_env(t, mr_param_get(t, "env"), more, &process.env);
    if (status == MR_OK) {
        status = mr_timer(t, held->ttl_ms / 3, on_renewal, held);
    }
    if (status == MR_OK) {
        status = mr_spawn(t, &process);
    }
    held->runs = status == MR_OK;
    return status;
}

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    struct held *held = arg;
    if (status == MR_OK) {
        status = start_child(t, held, fence);
    } else if (status == MR_EBUSY || status == MR_ETIMEDOUT) {
        status = mr_fail(t, status, "lock \"%s\" is held by another task%s%s", held->name,
                         status == MR_EBUSY ? "" : ", still after ",
                         status == MR_EBUSY ? "" : mr_param_str(t, "wait"));
    }
    if (status != MR_OK) {
        (void)mr_finish(t, status);
    }
}

static void on_renewal(mr_task *t, void *arg)
{
    struct held *held = arg;
    mr_status status = mr_lock_renew(t, held->name, held->ttl_ms);
    if (status == MR_OK) {
        status = mr_timer(t, held->ttl_ms / 3, on_renewal, held);
    }
    if (status != MR_OK) { /* The host kills the child. */
        (void)mr_finish(
            t, mr_fail(t, status, "lock \"%s\" was lost: %s", held->name, mr_status_text(status)));
    }
}

static void on_exit_of_shell(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    (void)mr_finish(t, mr__shell_end(t, exit_code, signal_number));
}

/* A child is ended by the host. */
static void with_lock_cancel(mr_task *t)
{
    const struct held *held = mr_data(t);
    if (!held->runs) {
        (void)mr_finish(t, MR_ECANCELED);
    }
}

static const mr_param params[] = {
    {.name = "name", .type = MR_STRING, .flags = MR_REQUIRED, .help = "the lock's name"},
    {.name = "run",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "the script, for /bin/sh -ec; never templated"},
    {.name = "env", .type = MR_MAP, .help = "variables over the owner's environment"},
    {.name = "wait",
     .type = MR_STRING,
     .help = "how long to wait for it: 0s, 10s, 5m; null: until the task is to end"},
    {.name = "ttl",
     .type = MR_STRING,
     .default_json = "\"30s\"",
     .help = "it is lost unless it is renewed within this time"},
    {.name = NULL},
};

static const mr_action with_lock =
    MR_ACTION(.name = "with-lock", .help = "runs a shell script while a lock is held",
              .where = MR_ON_LOOP, .flags = MR_SPAWNS, .params = params, .run = with_lock_run,
              .cancel = with_lock_cancel);
MR_PLUGIN("lock", "0.2.0", &with_lock);
