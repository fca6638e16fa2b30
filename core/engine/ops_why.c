/* SPDX-License-Identifier: MIT
 *
 * The op why: for a run or a task that does not move, the chain of what waits for what, in words
 * and as JSON. A live run is looked at on the loop, where slots and timers are known; a finished
 * one is rebuilt from its events. Loop thread, but where a job's function says otherwise.
 */
#include "core/engine/engine_impl.h"
#include "core/engine/names.h"
#include "core/engine/past.h"
#include "core/scheduler/why.h"

#define TASKS_TOLD 20u  /* of a whole run: the others are counted */
#define CHAIN_MAX  100u /* links that are told of one chain */

struct telling {
    const struct mr__scheduler *s;
    const struct mr__run *run;
    struct mr__executor *executor; /* NULL: the run is over */
    int64_t now_ms;
    struct mr__buf lines, waits; /* two lists of JSON */
};

static void tell_line(struct telling *t, const struct mr__buf *text)
{
    mr__buf_text(&t->lines, t->lines.len == 0 ? "" : ",");
    mr__json_str(&t->lines, (const char *)text->data, text->len);
    t->lines.failed |= text->failed;
}

static void add_name(struct telling *t, const char *key, uint32_t task)
{
    struct mr__buf name;
    mr__buf_init(&name);
    mr__run_task_name(t->run, task, &name);
    mr__buf_printf(&t->waits, "\"%s\":", key);
    mr__json_str(&t->waits, (const char *)name.data, name.len);
    t->waits.failed |= name.failed;
    mr__buf_finish(&name);
}

/* Whether the attempt, which runs, waits for a lock: only the executor knows. */
static bool ask_lock(const struct telling *t, uint32_t task, struct mr__lock_waited *ret)
{
    if (t->executor == NULL || t->executor->ops->lock_of == NULL) {
        return false;
    }
    struct mr__attempt_ref ref = {.task = task, .attempt = mr__run_attempt(t->run, task)};
    memcpy(ref.run_id, t->run->id, MR__RUN_ID_BYTES);
    return t->executor->ops->lock_of(t->executor, &ref, ret);
}

static void print_lock(const struct telling *t, uint32_t task, const struct mr__lock_waited *lock,
                       struct mr__buf *text)
{
    char since[MR__TIME_TEXT_BYTES], id[MR__RUN_ID_TEXT_BYTES];
    mr__time_text(lock->since_ms, since);
    mr__id_text(lock->run_id, id);
    mr__run_task_name(t->run, task, text);
    mr__buf_printf(text, " waits for lock \"%s\", held by task %s of run %s since %s", lock->name,
                   lock->task, id + MR__RUN_ID_TEXT_BYTES - 9, since);
}

/* "lock" in JSON: its name and who holds it. */
static void add_lock(struct telling *t, const struct mr__lock_waited *lock)
{
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(lock->run_id, id);
    mr__buf_text(&t->waits, ",\"lock\":{\"name\":");
    mr__json_str(&t->waits, lock->name, strlen(lock->name));
    mr__buf_printf(&t->waits, ",\"run\":\"%s\",\"task\":", id);
    mr__json_str(&t->waits, lock->task, strlen(lock->task));
    mr__doc_time(&t->waits, "since", lock->since_ms);
    mr__buf_text(&t->waits, "}");
}

/* One link; true if it leads on to another task, `*ret_next`. */
static bool tell_task(struct telling *t, uint32_t task, uint32_t *ret_next)
{
    struct mr__why why = mr__why_task(t->s, t->run, task);
    struct mr__lock_waited lock;
    bool leads =
        why.kind == MR__WHY_TASK || why.kind == MR__WHY_DEAD || why.kind == MR__WHY_CHILDREN;
    bool locked = why.kind == MR__WHY_ATTEMPT && ask_lock(t, task, &lock);
    struct mr__buf text;
    mr__buf_init(&text);
    if (locked) {
        print_lock(t, task, &lock, &text);
    } else {
        mr__why_print(t->s, t->run, task, &why, t->now_ms, &text);
    }
    tell_line(t, &text);
    mr__buf_finish(&text);
    mr__buf_text(&t->waits, t->waits.len == 0 ? "{" : ",{");
    add_name(t, "task", task);
    mr__buf_printf(&t->waits, ",\"status\":\"%s\",\"waitsFor\":\"%s\"",
                   mr__task_status_name(t->run->tasks[task].status),
                   locked ? "lock" : mr__why_word(why.kind));
    if (leads) {
        mr__buf_text(&t->waits, ",");
        add_name(t, "of", why.other);
    }
    if (why.kind == MR__WHY_TIMER || why.kind == MR__WHY_RETRY) {
        mr__doc_time(&t->waits, "until", why.due_ms);
    }
    if (locked) {
        add_lock(t, &lock);
    }
    mr__buf_text(&t->waits, "}");
    *ret_next = why.other;
    return leads;
}

/* From a task to what it waits for in the end. There are no cycles: a dag has none. */
static void tell_chain(struct telling *t, uint32_t task)
{
    for (uint32_t i = 0; i < CHAIN_MAX && tell_task(t, task, &task); i++) {
    }
}

/* The tasks of a run that have their turn and have not ended: all others wait for them. */
static void tell_tasks(struct telling *t)
{
    uint32_t told = 0, more = 0, next;
    struct mr__buf text;
    for (uint32_t task = 0; task < t->run->task_count; task++) {
        struct mr__why why = mr__why_task(t->s, t->run, task);
        bool leads = why.kind == MR__WHY_OVER || why.kind == MR__WHY_TASK ||
                     why.kind == MR__WHY_DEAD || why.kind == MR__WHY_CHILDREN;
        if (!leads && told < TASKS_TOLD) {
            (void)tell_task(t, task, &next);
            told++;
        } else {
            more += !leads;
        }
    }
    if (more > 0) {
        mr__buf_init(&text);
        mr__buf_printf(&text, "... and %u more tasks", more);
        tell_line(t, &text);
        mr__buf_finish(&text);
    }
}

/* No task waits, and yet the run is not over: its last hooks are to be called. */
static void tell_hooks(struct telling *t)
{
    bool dormant = (t->run->flags & MR__RUNFLAG_DORMANT) != 0;
    enum mr__why_kind kind = dormant ? MR__WHY_OWNER : MR__WHY_HOOKS;
    mr__buf_printf(&t->waits, "{\"task\":null,\"status\":\"%s\",\"waitsFor\":\"%s\"}",
                   mr__run_status_name(t->run->status), mr__why_word(kind));
}

static void tell_run(struct telling *t, struct mr__blob reason)
{
    struct mr__buf text;
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(t->run->id, id);
    mr__buf_init(&text);
    mr__buf_printf(&text, "run %s is %s", id + MR__RUN_ID_TEXT_BYTES - 9,
                   mr__run_status_name(t->run->status));
    if (reason.len > 0) {
        mr__buf_text(&text, ": ");
        mr__buf_bytes(&text, reason.data, reason.len);
    }
    tell_line(t, &text);
    if (t->run->hooks_due != 0) {
        bool dormant = (t->run->flags & MR__RUNFLAG_DORMANT) != 0;
        mr__buf_reset(&text);
        mr__buf_printf(&text, "hooks%s are %s:", mr__run_closing(t->run) ? " of its end" : "",
                       dormant ? "to be called once it goes on (`millrace run --resume`)"
                               : "being called");
        for (uint32_t i = 0; i < MR__HOOKS; i++) {
            if ((t->run->hooks_due & 1u << i) != 0) {
                mr__buf_printf(&text, " %s", mr__hook_names[i]);
            }
        }
        tell_line(t, &text);
    }
    mr__buf_finish(&text);
}

/* The whole answer, but for its last brace. */
static mr_status tell(struct telling *t, struct mr__blob reason, const char *task,
                      struct mr__buf *out, mr_error *reterr)
{
    char id[MR__RUN_ID_TEXT_BYTES];
    int64_t number = task == NULL ? -1 : mr__run_task_find(t->run, task, strlen(task));
    if (task != NULL && number < 0) {
        mr_status status = mr__names_check(t->run->plan->dag, &task, 1, true, reterr);
        return status != MR_OK
                   ? status
                   : mr__error_set(reterr, MR_ENOTFOUND, "the run has no task \"%s\"", task);
    }
    mr__buf_init(&t->lines);
    mr__buf_init(&t->waits);
    if (number >= 0) {
        tell_chain(t, (uint32_t)number);
    } else {
        tell_run(t, reason);
        tell_tasks(t);
        if (t->waits.len == 0 && t->run->hooks_due != 0) {
            tell_hooks(t);
        }
    }
    mr__id_text(t->run->id, id);
    mr__buf_printf(out, "{\"why\":{\"run\":\"%s\",\"status\":\"%s\",\"lines\":[", id,
                   mr__run_status_name(t->run->status));
    mr__buf_bytes(out, t->lines.data, t->lines.len);
    mr__buf_text(out, "],\"waits\":[");
    mr__buf_bytes(out, t->waits.data, t->waits.len);
    mr__buf_text(out, "]}");
    out->failed |= t->lines.failed || t->waits.failed;
    mr__buf_finish(&t->lines);
    mr__buf_finish(&t->waits);
    return MR_OK;
}

/* ---- a run that is over ------------------------------------------------------------------------
 */

/* Reader thread. */
static mr_status use_why(struct mr__snapshot *snapshot, struct mr__run_job *job)
{
    struct mr__past past;
    struct mr__event event, last = {0};
    mr_status status = mr__past_begin(&past, job->dag, job->log);
    if (status != MR_OK) {
        return status;
    }
    while ((status = mr__past_next(&past, &event)) == MR_OK) {
        last = event;
    }
    if (status == MR_ENOTFOUND) { /* no event is left */
        struct telling t = {.s = &past.scheduler, .run = past.run, .now_ms = past.run->last_ms};
        past.run->flags &= (uint8_t)~MR__RUNFLAG_DORMANT; /* nobody is to go on with it */
        status = tell(&t, last.reason, mr__field_str(job->request, "task"), &job->out, &job->error);
    }
    mr__past_finish(&past);
    return status;
}

/* ---- the op ------------------------------------------------------------------------------------
 */

void mr__op_why(struct mr__request *request)
{
    struct mr__engine *engine = request->engine;
    const struct mr__run *run = mr__shard_find(engine->shard, request->run_id);
    mr_error error;
    if (run == NULL || (run->flags & MR__RUNFLAG_SETTLED) != 0) {
        mr__run_job(request, use_why, mr__then_doc_last);
        return;
    }
    struct telling t = {.s = mr__shard_state(engine->shard),
                        .run = run,
                        .executor = engine->executor,
                        .now_ms = engine->clock->wall_ms(engine->clock)};
    mr__buf_reset(&request->out);
    if (tell(&t, (struct mr__blob){NULL, 0}, mr__field_str(request, "task"), &request->out,
             &error) != MR_OK) {
        mr__answer_failed(request, &error);
        return;
    }
    mr__buf_text(&request->out, ",\"end\":true}");
    mr__answer(request, true);
}
