/* SPDX-License-Identifier: MIT
 *
 * The window into a run. Loop thread.
 */
#include "core/engine/run_scope.h"

bool mr__run_output(const struct mr__run *run, uint32_t t, struct mr__blob *ret_json)
{
    struct mr__event event;
    if (run->tasks[t].status != MR__TASK_SUCCESS || !mr__run_task_event(run, t, &event) ||
        event.payload.data == NULL) {
        return false;
    }
    *ret_json = event.payload;
    return true;
}

void mr__run_gather(const struct mr__run *run, const struct mr__fan *fan, struct mr__buf *json)
{
    mr__buf_u8(json, '[');
    for (uint32_t i = 0; i < fan->count; i++) {
        struct mr__blob output;
        mr__buf_text(json, i == 0 ? "" : ",");
        if (mr__run_output(run, fan->first + i, &output)) {
            mr__buf_bytes(json, output.data, output.len);
        } else {
            mr__buf_text(json, "null");
        }
    }
    mr__buf_u8(json, ']');
}

static bool scope_task(const struct mr__scope *scope, uint32_t task,
                       struct mr__scope_task *ret_task)
{
    struct mr__run_scope *rs = scope->user;
    const struct mr__run *run = rs->run;
    *ret_task = (struct mr__scope_task){.status = mr__task_status_name(run->tasks[task].status)};
    if (mr__run_task_event(run, task, &rs->event)) {
        ret_task->reason = rs->event.reason;
    }
    bool fanned = (run->tasks[task].flags & MR__TASKFLAG_FANNED) != 0;
    if (!fanned) {
        (void)mr__run_output(run, task, &ret_task->output); /* absent: it has none */
    } else if (run->tasks[task].status == MR__TASK_SUCCESS) {
        mr__buf_reset(&rs->gathered);
        mr__run_gather(run, &run->fans[run->details[task].fan], &rs->gathered);
        ret_task->output = (struct mr__blob){(const char *)rs->gathered.data, rs->gathered.len};
    }
    return !rs->gathered.failed;
}

static bool scope_share(const struct mr__scope *scope, const char *key, size_t len,
                        struct mr__blob *ret_json)
{
    const struct mr__run_scope *rs = scope->user;
    return mr__run_share(rs->run, key, len, ret_json);
}

static bool scope_share_next(const struct mr__scope *scope, struct mr__blob after,
                             struct mr__blob *ret_key)
{
    const struct mr__run_scope *rs = scope->user;
    bool found = false;
    uint32_t i = 0;
    if (after.data != NULL) {
        i = mr__run_share_at(rs->run, after.data, after.len, &found);
        i += found;
    }
    if (i >= rs->run->share_count) {
        return false;
    }
    *ret_key = (struct mr__blob){rs->run->share[i]->key, rs->run->share[i]->key_len};
    return true;
}

void mr__run_scope_init(struct mr__run_scope *rs, const struct mr__run *run, const mr_value *vars,
                        const char *folder, const char *trigger, int64_t scheduled_ms)
{
    struct mr__event due;
    *rs = (struct mr__run_scope){.run = run};
    mr__id_text(run->id, rs->id);
    uint8_t status = run->status;
    if (mr__run_closing(run) && mr__run_event(run, run->hooks_at, &due)) {
        size_t len = MR__MIN(due.reason.len, MR__REASON_BYTES_MAX);
        memcpy(rs->reason, len == 0 ? "" : due.reason.data, len);
        status = run->hooks_status; /* what it will be after its hooks is what they are about */
    }
    rs->scope = (struct mr__scope){
        .dag = run->plan->dag,
        .vars = vars,
        .run = {.id = rs->id,
                .dag = run->plan->dag->id,
                .status = mr__run_status_name(status),
                .reason = rs->reason,
                .folder = folder,
                .trigger = trigger,
                .created_ms = run->created_ms,
                .started_ms = run->began_ms,
                .scheduled_ms = scheduled_ms},
        .user = rs,
        .task = scope_task,
        .share = scope_share,
        .share_next = scope_share_next,
    };
    mr__buf_init(&rs->gathered);
}

void mr__run_scope_item(struct mr__run_scope *rs, uint32_t task)
{
    struct mr__blob key;
    if (task >= rs->run->plan->dag->task_count) {
        rs->scope.item_name = mr__run_dag_task(rs->run, task)->as;
        mr__run_item(rs->run, task, &key, &rs->scope.item);
    }
}

void mr__run_scope_error(struct mr__run_scope *rs, uint32_t task)
{
    struct mr__event event;
    rs->scope.has_error = true;
    rs->scope.error_attempt = rs->run->tasks[task].attempt;
    if (mr__run_task_event(rs->run, task, &event)) {
        rs->scope.error_reason = event.reason;
        rs->scope.error_detail = event.payload;
    }
}

void mr__run_scope_finish(struct mr__run_scope *rs)
{
    mr__buf_finish(&rs->gathered);
}
