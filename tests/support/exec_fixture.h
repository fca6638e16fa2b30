/* SPDX-License-Identifier: MIT
 *
 * An executor on a loop of its own, with events that are written down instead of an engine. Header
 * only, for the tests of core/exec. Include it before cmocka.h's tests use it; one fixture at a
 * time.
 */
#ifndef MR__EXEC_FIXTURE_H
#define MR__EXEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/exec/exec.h"
#include "core/exec/share.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

#define FIXTURE_TEXT_BYTES (16u << 20)

/* An action of the test's own. */
#define ACTION(variable, ...)                                                            \
    static const mr_action variable##_table = MR_ACTION(.name = #variable, __VA_ARGS__); \
    static const struct mr__action variable = {                                          \
        .table = &variable##_table, .name = #variable, .plugin = "test"}

struct fixture_end {
    struct mr__attempt_ref ref;
    enum mr__outcome outcome;
    char reason[1100];
    char *output;
    char sets[256]; /* "key=json;" of each */
};

struct fixture {
    uv_loop_t loop;
    struct mr__executor *x;
    char store[64];
    struct mr__registry *registry;
    struct fixture_end *ends;
    uint32_t end_count, end_cap;
    uint32_t began_count, ending_count;
    struct fixture_end ending; /* the latest */
    struct mr__share *share;   /* of every attempt */
    uint32_t flush_count;
    bool flush_hold; /* the commit is not done before fixture_flushed */
    mr_status flush_status;
    char flush_sets[256];
    void (*flush_done)(void *arg, mr_status status);
    void *flush_arg;
    uint32_t progress_count;
    double progress;
    char progress_note[MR__PROGRESS_NOTE_BYTES + 1];
    uint64_t epoch; /* of every attempt */
    int64_t heartbeat_ms;
    uint32_t waiting_count, trace_count, note_count, hooked_count, evaluated_count;
    uint32_t hooked_mask;
    struct mr__evaluation *evaluated; /* the latest; **owned** */
    int64_t hook_ms, host_idle_ms;
    int64_t waiting_ms;
    char trace[1100], note[300];
    char traces[8192]; /* each with its task: "1:text\n" */
    char *log;         /* of both streams */
    size_t log_len, log_total, log_at_first_trace;
    uint32_t log_count;
    bool forget; /* at each end, as the engine does */
    bool over;   /* shutdown's callback came */
    bool swept;
};

static inline void fixture_sets_text(char *text, size_t size, const struct mr__share_set *sets,
                                     size_t count)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%.*s=%.*s;", (int)sets[i].key.len,
                               sets[i].key.data, (int)sets[i].json.len,
                               sets[i].json.data == NULL ? "" : sets[i].json.data);
    }
}

static inline void fixture_end_copy(struct fixture_end *e, const struct mr__attempt_end *end)
{
    memset(e, 0, sizeof *e);
    e->ref = end->ref;
    e->outcome = end->outcome;
    (void)snprintf(e->reason, sizeof e->reason, "%s", end->reason);
    e->output = end->output == NULL ? NULL : strndup(end->output, end->output_len);
    fixture_sets_text(e->sets, sizeof e->sets, end->sets, end->set_count);
}

static inline void fixture_put(struct fixture *f, const struct mr__share_set *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mr__share_put(f->share, sets[i].key, sets[i].json), MR_OK);
    }
}

static inline void fixture_began(void *user, const struct mr__attempt_ref *ref)
{
    ((struct fixture *)user)->began_count++;
}

static inline void fixture_ending(void *user, const struct mr__attempt_end *end)
{
    struct fixture *f = user;
    f->ending_count++;
    free(f->ending.output);
    fixture_end_copy(&f->ending, end);
    fixture_put(f, end->sets, end->set_count);
}

static inline void fixture_share(void *user, const struct mr__attempt_ref *ref,
                                 const struct mr__share_set *sets, size_t count,
                                 void (*done)(void *arg, mr_status status), void *arg)
{
    struct fixture *f = user;
    f->flush_count++;
    fixture_sets_text(f->flush_sets, sizeof f->flush_sets, sets, count);
    if (f->flush_status == MR_OK) {
        fixture_put(f, sets, count);
    }
    if (f->flush_hold) {
        f->flush_done = done;
        f->flush_arg = arg;
    } else {
        done(arg, f->flush_status);
    }
}

static inline void fixture_ended(void *user, const struct mr__attempt_end *end)
{
    struct fixture *f = user;
    if (f->end_count == f->end_cap) {
        f->end_cap = f->end_cap == 0 ? 64 : f->end_cap * 2;
        f->ends = realloc(f->ends, f->end_cap * sizeof *f->ends);
        assert_non_null(f->ends);
    }
    fixture_end_copy(&f->ends[f->end_count++], end);
    fixture_put(f, end->sets, end->set_count);
    if (f->forget) {
        f->x->ops->forget(f->x, &end->ref);
    }
}

static inline void fixture_waiting(void *user, const struct mr__attempt_ref *ref, int64_t ms)
{
    struct fixture *f = user;
    f->waiting_count++;
    f->waiting_ms = ms;
}

static inline void fixture_evaluated(void *user, struct mr__evaluation *evaluation)
{
    struct fixture *f = user;
    mr__evaluation_destroy(f->evaluated);
    f->evaluated = evaluation;
    f->evaluated_count++;
}

static inline void fixture_hooked(void *user, const uint8_t *run_id, uint32_t mask)
{
    struct fixture *f = user;
    f->hooked_count++;
    f->hooked_mask = mask;
}

static inline void fixture_trace(void *user, const struct mr__attempt_ref *ref, const char *line,
                                 size_t len)
{
    struct fixture *f = user;
    f->log_at_first_trace = f->trace_count++ == 0 ? f->log_total : f->log_at_first_trace;
    (void)snprintf(f->trace, sizeof f->trace, "%.*s", (int)len, line);
    size_t at = strlen(f->traces);
    (void)snprintf(f->traces + at, sizeof f->traces - at, "%d:%.*s\n",
                   ref->task == MR__HOOK_TASK ? -1 : (int)ref->task, (int)len, line);
}

static inline void fixture_log(void *user, const struct mr__attempt_ref *ref, uint32_t stream,
                               const char *bytes, size_t len)
{
    struct fixture *f = user;
    assert_true(stream == MR_STDOUT || stream == MR_STDERR);
    assert_true(len > 0 && len <= MR__LOG_CHUNK_BYTES_MAX);
    size_t room = FIXTURE_TEXT_BYTES - f->log_len;
    memcpy(f->log + f->log_len, bytes, len < room ? len : room);
    f->log_len += len < room ? len : room;
    f->log_total += len;
    f->log_count++;
}

static inline void fixture_progress(void *user, const struct mr__attempt_ref *ref, double fraction,
                                    const char *note)
{
    struct fixture *f = user;
    f->progress_count++;
    f->progress = fraction;
    (void)snprintf(f->progress_note, sizeof f->progress_note, "%s", note);
}

static inline void fixture_note(void *user, int32_t level, const char *line)
{
    struct fixture *f = user;
    f->note_count++;
    (void)snprintf(f->note, sizeof f->note, "%s", line);
}

static inline void fixture_open(struct fixture *f, uint32_t jobs)
{
    struct mr__exec_options options = {.loop = &f->loop,
                                       .registry = f->registry,
                                       .store = f->store,
                                       .jobs = jobs,
                                       .clock = mr__clock_system(),
                                       .hook_ms = f->hook_ms,
                                       .host_idle_ms = f->host_idle_ms,
                                       .events = {.user = f,
                                                  .began = fixture_began,
                                                  .ending = fixture_ending,
                                                  .share = fixture_share,
                                                  .evaluated = fixture_evaluated,
                                                  .hooked = fixture_hooked,
                                                  .ended = fixture_ended,
                                                  .waiting = fixture_waiting,
                                                  .trace = fixture_trace,
                                                  .log = fixture_log,
                                                  .progress = fixture_progress},
                                       .log = fixture_note,
                                       .log_user = f};
    mr_error error = {0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    if (mr__exec_create(&options, &f->x, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    f->over = false;
}

static inline struct fixture *fixture_make(uint32_t jobs)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->log = malloc(FIXTURE_TEXT_BYTES);
    assert_non_null(f->log);
    temp_store_make(f->store);
    f->share = mr__share_create();
    assert_non_null(f->share);
    f->forget = true;
    fixture_open(f, jobs);
    return f;
}

static inline void fixture_on_over(void *user)
{
    ((struct fixture *)user)->over = true;
}

/* Ends the executor and its loop, which must be left without any handle. */
static inline void fixture_close(struct fixture *f, int64_t grace_ms)
{
    f->x->ops->shutdown(f->x, grace_ms, fixture_on_over, f);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->over);
    f->x->ops->destroy(f->x);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static inline void fixture_free(struct fixture *f)
{
    for (uint32_t i = 0; i < f->end_count; i++) {
        free(f->ends[i].output);
    }
    free(f->ends);
    free(f->ending.output);
    mr__share_unref(f->share);
    mr__evaluation_destroy(f->evaluated);
    free(f->log);
    mr__registry_destroy(f->registry);
    temp_store_remove(f->store);
    free(f);
}

static inline void fixture_destroy(struct fixture *f)
{
    fixture_close(f, 1000);
    fixture_free(f);
}

static inline struct mr__attempt_ref fixture_ref(uint32_t run, uint32_t task, uint32_t attempt)
{
    struct mr__attempt_ref ref = {.task = task, .attempt = attempt, .hint = run};
    memset(ref.run_id, 7, sizeof ref.run_id);
    memcpy(ref.run_id, &run, sizeof run);
    return ref;
}

typedef void (*fixture_op)(struct mr__executor *x, const struct mr__attempt *attempt);

/* before, start or after of attempt 1 of the task with this number. `params` is JSON, or NULL: {}.
 */
static inline void fixture_call(struct fixture *f, fixture_op op, const struct mr__action *action,
                                uint32_t task, const char *params, bool retry)
{
    struct mr__arena arena;
    mr_value value, vars;
    mr_error error = {0};
    mr__arena_init(&arena);
    if (mr__value_parse(&arena, params == NULL ? "{}" : params, params == NULL ? 2 : strlen(params),
                        &value, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(mr__value_parse(&arena, "{\"stage\":\"dev\"}", 15, &vars, NULL), MR_OK);
    char id[32];
    (void)snprintf(id, sizeof id, "task-%u", task);
    struct mr__attempt attempt = {.ref = fixture_ref(1, task, 1),
                                  .action = action,
                                  .params = &value,
                                  .vars = &vars,
                                  .dag_id = "dag",
                                  .task_id = id,
                                  .folder = f->store,
                                  .started_at_ms = 1000,
                                  .deadline_ms = 0,
                                  .share = f->share,
                                  .retry = retry,
                                  .epoch = f->epoch,
                                  .heartbeat_ms = f->heartbeat_ms};
    op(f->x, &attempt);
    memset(id, 'x', sizeof id); /* What was borrowed is gone. */
    mr__arena_finish(&arena);
}

static inline void fixture_before(struct fixture *f, const struct mr__action *action, uint32_t task,
                                  bool retry)
{
    fixture_call(f, f->x->ops->before, action, task, NULL, retry);
}

static inline void fixture_start(struct fixture *f, const struct mr__action *action, uint32_t task,
                                 const char *params)
{
    fixture_call(f, f->x->ops->start, action, task, params, false);
}

static inline void fixture_after(struct fixture *f, const struct mr__action *action, uint32_t task)
{
    fixture_call(f, f->x->ops->after, action, task, NULL, false);
}

/* The commit of the flush that was held is done. */
static inline void fixture_flushed(struct fixture *f, mr_status status)
{
    assert_non_null(f->flush_done);
    f->flush_done(f->flush_arg, status);
    f->flush_done = NULL;
}

static inline void fixture_on_timeout(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static inline void fixture_on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Runs the loop until a count has got so far, at most so long. */
static inline bool fixture_run_until(struct fixture *f, const uint32_t *count, uint32_t wanted,
                                     uint64_t ms)
{
    bool late = false;
    uv_timer_t *timer = malloc(sizeof *timer);
    assert_non_null(timer);
    (void)uv_timer_init(&f->loop, timer);
    timer->data = &late;
    uv_update_time(&f->loop);
    (void)uv_timer_start(timer, fixture_on_timeout, ms, 0);
    while (*count < wanted && !late) {
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)timer, fixture_on_closed);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    return *count >= wanted;
}

/* Runs the loop until so many attempts have ended, at most so long. */
static inline bool fixture_run(struct fixture *f, uint32_t ends, uint64_t ms)
{
    return fixture_run_until(f, &f->end_count, ends, ms);
}

static inline const struct fixture_end *fixture_end_of(const struct fixture *f, uint32_t task)
{
    for (uint32_t i = 0; i < f->end_count; i++) {
        if (f->ends[i].ref.task == task) {
            return &f->ends[i];
        }
    }
    fail_msg("task %u has not ended", task);
    return NULL;
}

static inline void fixture_cancel(struct fixture *f, uint32_t task, uint32_t reason)
{
    struct mr__attempt_ref ref = fixture_ref(1, task, 1);
    f->x->ops->cancel(f->x, &ref, reason);
}

static inline enum mr__fate fixture_fate(struct fixture *f, uint32_t run, uint32_t task,
                                         const struct mr__action *action)
{
    struct mr__attempt_ref ref = fixture_ref(run, task, 1);
    struct mr__action_binding binding = {.action = action, .flags = MR__ACTION_KNOWN};
    return f->x->ops->fate(f->x, &ref, &binding);
}

/* The plugins of the build: MILLRACE_TEST_BUILD/plugins. */
static inline void fixture_load_plugins(struct fixture *f)
{
    const char *build = getenv("MILLRACE_TEST_BUILD");
    char folders[1024];
    mr_error error = {0};
    (void)snprintf(folders, sizeof folders, "%s/plugins/noop:%s/plugins/sh:%s/plugins/wait",
                   build == NULL ? "build" : build, build == NULL ? "build" : build,
                   build == NULL ? "build" : build);
    if (mr__registry_create(folders, NULL, NULL, &f->registry, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
}

static inline const struct mr__action *fixture_action(const struct fixture *f, const char *name)
{
    const struct mr__action *action = mr__registry_find(f->registry, name);
    assert_non_null(action);
    return action;
}

#endif
