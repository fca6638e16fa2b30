/* SPDX-License-Identifier: MIT
 *
 * What test_actions.py watches: actions that write each call of one of their phases into the file
 * `calls` of the run's folder, as "PHASE ATTEMPT DATA", and do in it what their params say. A
 * phase that is to stay writes first, so that a test can kill the engine in the middle of it.
 */
#include <fcntl.h>
#include <millrace/plugin.h>
#include <stdio.h>
#include <unistd.h>

/* DATA: what an earlier phase of this attempt has left in memory, "-" if nothing. */
static void note_call(mr_task *t, const char *phase)
{
    const char *data = mr_data(t), *path = mr_printf(t, "%s/calls", mr_info(t)->folder);
    const char *line =
        mr_printf(t, "%s %u %s\n", phase, mr_info(t)->attempt, data != NULL ? data : "-");
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0 || write(file, line, strlen(line)) != (ssize_t)strlen(line)) {
        mr_trace(t, "cannot write %s", path);
    }
    close(file);
    mr_set_data(t, mr_printf(t, "%s", phase));
}

static int exists(mr_task *t, const char *name)
{
    return access(mr_printf(t, "%s/%s", mr_info(t)->folder, name), F_OK) == 0;
}

/* `fail` names a phase that fails unless the file `good` is there; `stay` one that does not return
 * before the file `go` is. */
static mr_status act(mr_task *t, const char *phase)
{
    note_call(t, phase);
    while (strcmp(mr_param_str(t, "stay"), phase) == 0 && !exists(t, "go")) {
        if (mr_sleep(t, 20) != MR_OK) {
            return MR_ECANCELED;
        }
    }
    if (strcmp(mr_param_str(t, "fail"), phase) == 0 && !exists(t, "good")) {
        return mr_fail(t, MR_EFAILED, "no luck in %s", phase);
    }
    return MR_OK;
}

static mr_status run_before(mr_task *t)
{
    return act(t, "run_before");
}

static mr_status run_phases(mr_task *t)
{
    mr_status status = act(t, "run");
    return status == MR_OK ? mr_output_str(t, "from", "run") : status;
}

static mr_status run_after(mr_task *t)
{
    return act(t, "run_after");
}

static mr_status retry_before(mr_task *t)
{
    return act(t, "retry_before");
}

/* Sets and removes share data; flushes if it is to, and stays as above. */
static mr_status run_share(mr_task *t)
{
    const char *key = mr_share_next(t, NULL);
    mr_status status = mr_share_set_str(t, "flushed", "kept");
    if (status == MR_OK) {
        status = mr_share_set(t, "old", NULL);
    }
    if (status == MR_OK) {
        status = mr_share_flush(t);
    }
    if (status == MR_OK) {
        status = mr_share_set_json(t, "set", "{\"big\":9007199254740993}", 24);
    }
    if (status != MR_OK) {
        return status;
    }
    mr_trace(t, "first key %s, old %s, flushed %s, set %s", key != NULL ? key : "-",
             mr_share_get(t, "old") != NULL ? "there" : "gone",
             mr_value_str(mr_share_get(t, "flushed"), "gone"),
             mr_share_get(t, "set") != NULL ? "there" : "gone");
    return act(t, "run");
}

static const mr_param params[] = {
    {.name = "stay", .type = MR_STRING, .default_json = "\"\"", .help = "the phase that stays"},
    {.name = "fail", .type = MR_STRING, .default_json = "\"\"", .help = "the phase that fails"},
    {.name = NULL},
};
static const mr_action phases =
    MR_ACTION(.name = "phases", .params = params, .run = run_phases, .run_before = run_before,
              .run_after = run_after, .retry_before = retry_before);
static const mr_action sharing = MR_ACTION(.name = "sharing", .params = params, .run = run_share);
MR_PLUGIN("phases", "1.0.0", &phases, &sharing);
