/* SPDX-License-Identifier: MIT
 *
 * What has become of a case against what it expects. Each function compares a map key by key, and
 * ends the comparison at the first thing that differs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/run_scope.h"
#include "tests/conformance/cases.h"

bool expect_text(const char *found, const char *expected)
{
    char wanted[1024];
    bool from = strncmp(expected, "...", 3) == 0;
    (void)snprintf(wanted, sizeof wanted, "%s", expected + (from ? 3 : 0));
    size_t len = strlen(wanted), found_len = strlen(found);
    bool on = len >= 3 && strcmp(wanted + len - 3, "...") == 0;
    if (on) {
        wanted[len -= 3] = '\0';
    }
    if (from && on) {
        return strstr(found, wanted) != NULL;
    }
    if (from) {
        return found_len >= len && strcmp(found + found_len - len, wanted) == 0;
    }
    return on ? strncmp(found, wanted, len) == 0 : strcmp(found, wanted) == 0;
}

MR__PRINTF(2, 3)
static bool differ(struct mr__buf *problem, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    mr__buf_text(problem, text);
    return false;
}

static bool same_text(struct mr__buf *problem, const char *what, const char *found,
                      const mr_value *expected)
{
    const char *wanted = mr_value_str(expected, NULL);
    if (wanted == NULL) {
        return differ(problem, "%s: a text is to be expected", what);
    }
    return expect_text(found, wanted) ||
           differ(problem, "%s is \"%s\", expected: \"%s\"", what, found, wanted);
}

/* A number in a list that a map has counts as the same as one that was printed. */
static bool same_value(struct mr__buf *problem, const char *what, struct mr__blob found,
                       const mr_value *expected)
{
    struct mr__arena arena;
    struct mr__buf wanted;
    mr_value value = {0};
    mr__arena_init(&arena);
    mr__buf_init(&wanted);
    mr__value_print(&wanted, expected);
    bool good = found.data == NULL
                    ? expected->type == MR_NULL
                    : mr__value_parse(&arena, found.data, found.len, &value, NULL) == MR_OK &&
                          mr__value_equal(&value, expected);
    if (!good) {
        (void)differ(problem, "%s is %.*s, expected: %s", what, (int)found.len,
                     found.data == NULL ? "" : found.data, mr__buf_cstr(&wanted));
    }
    mr__buf_finish(&wanted);
    mr__arena_finish(&arena);
    return good;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static bool expect_output(const struct mr__run *run, uint32_t t, const char *what,
                          const mr_value *expected, struct mr__buf *problem)
{
    struct mr__blob json = {NULL, 0};
    struct mr__buf gathered;
    mr__buf_init(&gathered);
    if (run->tasks[t].status == MR__TASK_SUCCESS &&
        (run->tasks[t].flags & MR__TASKFLAG_FANNED) != 0) {
        mr__run_gather(run, &run->fans[run->details[t].fan], &gathered);
        json = (struct mr__blob){(const char *)gathered.data, gathered.len};
    } else if (!mr__run_output(run, t, &json)) {
        json = (struct mr__blob){NULL, 0};
    }
    bool good = same_value(problem, what, json, expected);
    mr__buf_finish(&gathered);
    return good;
}

static bool expect_task(struct world *w, const struct mr__run *run, uint32_t t, const char *id,
                        const mr_member *key, bool crashes, struct mr__buf *problem)
{
    char what[256], reason[MR__REASON_BYTES_MAX + 1] = "";
    struct mr__event event = {0};
    (void)snprintf(what, sizeof what, "%s of \"%s\"", key->key, id);
    if (strcmp(key->key, "status") == 0) {
        return same_text(problem, what, mr__task_status_name(run->tasks[t].status), &key->value);
    }
    if (strcmp(key->key, "reason") == 0) {
        if (mr__run_task_event(run, t, &event)) {
            (void)snprintf(reason, sizeof reason, "%.*s", (int)event.reason.len,
                           event.reason.data == NULL ? "" : event.reason.data);
        }
        return same_text(problem, what, reason, &key->value);
    }
    if (strcmp(key->key, "attempts") == 0) {
        int64_t found = run->tasks[t].attempt, wanted = mr_value_int(&key->value, -1);
        bool good = found == wanted || (crashes && found == wanted + 1);
        return good || differ(problem, "%s are %d, expected: %d", what, (int)found, (int)wanted);
    }
    if (strcmp(key->key, "output") == 0) {
        return expect_output(run, t, what, &key->value, problem);
    }
    if (strcmp(key->key, "params") == 0) {
        const char *params = world_exec_params(w, id);
        return same_value(problem, what,
                          (struct mr__blob){params, params == NULL ? 0 : strlen(params)},
                          &key->value);
    }
    return differ(problem, "nobody knows what %s is", what);
}

static bool expect_tasks(struct world *w, const struct mr__run *run, const mr_value *expected,
                         bool crashes, struct mr__buf *problem)
{
    for (uint32_t i = 0; i < expected->len; i++) {
        const char *id = expected->u.map[i].key;
        mr_member word = {"status", expected->u.map[i].value};
        const mr_member *keys = &word;
        uint32_t count = 1;
        int64_t t = mr__run_task_find(run, id, strlen(id));
        if (t < 0) {
            return differ(problem, "there is no task \"%s\"", id);
        }
        if (word.value.type == MR_MAP) {
            keys = word.value.u.map;
            count = word.value.len;
        }
        for (uint32_t k = 0; k < count; k++) {
            if (!expect_task(w, run, (uint32_t)t, id, &keys[k], crashes, problem)) {
                return false;
            }
        }
    }
    return true;
}

/* The reason with which the run stood still for the last time. */
static bool expect_reason(const struct mr__run *run, const mr_value *expected,
                          struct mr__buf *problem)
{
    char reason[MR__REASON_BYTES_MAX + 1] = "";
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    mr__reader_init(&r, run->log.data, run->log.len);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, last_ms, &event)) {
        last_ms = event.time_ms;
        if (event.type == MR__EVENT_RUN_SETTLED) {
            (void)snprintf(reason, sizeof reason, "%.*s", (int)event.reason.len,
                           event.reason.data == NULL ? "" : event.reason.data);
        }
    }
    return same_text(problem, "reason of the run", reason, expected);
}

static bool expect_share(const struct mr__run *run, const mr_value *expected,
                         struct mr__buf *problem)
{
    for (uint32_t i = 0; i < expected->len; i++) {
        const char *key = expected->u.map[i].key;
        struct mr__blob json = {NULL, 0};
        (void)mr__run_share(run, key, strlen(key), &json);
        if (!same_value(problem, key, json, &expected->u.map[i].value)) {
            return false;
        }
    }
    return true;
}

/* Lines against a list of texts. */
static bool expect_lines(struct mr__buf *lines, const char *what, const mr_value *expected,
                         struct mr__buf *problem)
{
    const char *at = lines->len == 0 ? "" : mr__buf_cstr(lines);
    for (uint32_t i = 0; i < expected->len; i++) {
        char line[1024];
        size_t len = strcspn(at, "\n");
        const char *wanted = mr_value_str(&expected->u.list[i], "?");
        (void)snprintf(line, sizeof line, "%.*s", (int)len, at);
        if (*at == '\0' || !expect_text(line, wanted)) {
            return differ(problem, "%s: line %u is \"%s\", expected: \"%s\"", what, i + 1, line,
                          wanted);
        }
        at += len + 1;
    }
    return *at == '\0' || differ(problem, "%s: there is more: %s", what, at);
}

bool expect_calls(struct world *w, const mr_value *expected, struct mr__buf *problem)
{
    return expect_lines(&w->calls, "calls", expected, problem);
}

static bool expect_traces(struct world *w, size_t which, const mr_value *expected,
                          struct mr__buf *problem)
{
    bool good = true;
    for (uint32_t i = 0; i < expected->len && good; i++) {
        const char *id = expected->u.map[i].key;
        struct mr__buf lines;
        int64_t t = mr__run_task_find(world_look(w, which), id, strlen(id));
        mr__buf_init(&lines);
        world_traces(w, which, t < 0 ? MR__HOOK_TASK : (uint32_t)t, &lines);
        good = expect_lines(&lines, id, &expected->u.map[i].value, problem);
        mr__buf_finish(&lines);
    }
    return good;
}

/* One key of an expectation. */
static bool expect_key(struct world *w, size_t which, const mr_member *key, bool crashes,
                       struct mr__buf *problem)
{
    const mr_value *value = &key->value;
    if (strcmp(key->key, "of") == 0) {
        return true;
    }
    if (strcmp(key->key, "broken") == 0) {
        return same_text(problem, "the trouble", w->broken ? w->trouble.message : "", value);
    }
    if (strcmp(key->key, "elapsedMs") == 0) {
        int64_t wanted = mr_value_int(value, -1);
        return w->monotonic_ms == wanted || differ(problem, "%d ms have passed, expected: %d",
                                                   (int)w->monotonic_ms, (int)wanted);
    }
    if (strcmp(key->key, "calls") == 0) {
        return crashes || expect_calls(w, value, problem);
    }
    if (strcmp(key->key, "traces") == 0) {
        return crashes || expect_traces(w, which, value, problem);
    }
    const struct mr__run *run = world_look(w, which);
    if (strcmp(key->key, "run") == 0) {
        return same_text(problem, "status of the run", mr__run_status_name(run->status), value);
    }
    if (strcmp(key->key, "listed") == 0) {
        int status = world_listed(w, which);
        return same_text(problem, "the status that it is listed with",
                         status < 0 ? "none" : mr__run_status_name((uint8_t)status), value);
    }
    if (strcmp(key->key, "reason") == 0) {
        return expect_reason(run, value, problem);
    }
    if (strcmp(key->key, "tasks") == 0) {
        return expect_tasks(w, run, value, crashes, problem);
    }
    if (strcmp(key->key, "share") == 0) {
        return expect_share(run, value, problem);
    }
    return differ(problem, "nobody knows how to expect \"%s\"", key->key);
}

bool expect_state(struct world *w, const mr_value *expected, bool crashes, struct mr__buf *problem)
{
    size_t which = (size_t)mr_value_int(mr_value_get(expected, "of"), 0);
    if (expected->type != MR_MAP || which >= w->run_count) {
        return differ(problem, "an expectation is to be a map, of a run that there is");
    }
    for (uint32_t i = 0; i < expected->len; i++) {
        if (!expect_key(w, which, &expected->u.map[i], crashes, problem)) {
            return false;
        }
    }
    return true;
}

/* ---- what the parser says ------------------------------------------------------------------- */

static bool expect_problem(const struct mr__problem *found, const mr_value *expected,
                           struct mr__buf *problem)
{
    char what[64];
    (void)snprintf(what, sizeof what, "message of %s in line %u", found->code, found->pos.line);
    for (uint32_t i = 0; i < expected->len; i++) {
        const mr_member *key = &expected->u.map[i];
        bool good = true;
        if (strcmp(key->key, "code") == 0) {
            good = same_text(problem, "the code", found->code, &key->value);
        } else if (strcmp(key->key, "line") == 0) {
            good = found->pos.line == (uint32_t)mr_value_int(&key->value, 0) ||
                   differ(problem, "%s stands in line %u", found->code, found->pos.line);
        } else if (strcmp(key->key, "message") == 0) {
            good = same_text(problem, what, found->message, &key->value);
        } else if (strcmp(key->key, "suggestion") == 0) {
            good = same_text(problem, "the suggestion",
                             found->suggestion == NULL ? "" : found->suggestion, &key->value);
        } else {
            good = differ(problem, "nobody knows what \"%s\" of a problem is", key->key);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

bool expect_problems(const struct mr__problems *problems, bool warnings, const mr_value *expected,
                     struct mr__buf *problem)
{
    uint32_t count = expected == NULL ? 0 : expected->len, seen = 0;
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mr__problem *found = &problems->list[i];
        if (found->warning != warnings) {
            continue;
        }
        if (seen == count) {
            return differ(problem, "line %u: %s: %s", found->pos.line, found->code, found->message);
        }
        if (!expect_problem(found, &expected->u.list[seen++], problem)) {
            return false;
        }
    }
    return seen == count || differ(problem, "%u problems were found, expected: %u", seen, count);
}

/* Each of these is a text: a number in decimal. */
static bool expect_fact(const char *what, const char *text, int64_t number,
                        const mr_value *expected, struct mr__buf *problem)
{
    char digits[32];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)number);
    if (expected->type == MR_INT || expected->type == MR_BOOL) {
        return number == expected->u.i ||
               differ(problem, "%s is %s, expected: %lld", what, digits, (long long)expected->u.i);
    }
    return same_text(problem, what, text == NULL ? "" : text, expected);
}

static bool expect_model_task(const struct mr__dag *dag, const struct mr__dag_task *task,
                              const mr_value *expected, struct mr__buf *problem)
{
    bool good = true;
    for (uint32_t i = 0; i < expected->len && good; i++) {
        const mr_member *key = &expected->u.map[i];
        const mr_value *value = &key->value;
        if (strcmp(key->key, "name") == 0) {
            good = expect_fact("name", task->name, 0, value, problem);
        } else if (strcmp(key->key, "desc") == 0) {
            good = expect_fact("desc", task->desc, 0, value, problem);
        } else if (strcmp(key->key, "action") == 0) {
            good = expect_fact("action", task->action, 0, value, problem);
        } else if (strcmp(key->key, "timeoutMs") == 0) {
            good = expect_fact("timeoutMs", NULL, task->timeout_ms, value, problem);
        } else if (strcmp(key->key, "parents") == 0) {
            good = expect_fact("parents", NULL, task->parent_count, value, problem);
        } else {
            good = differ(problem, "nobody knows what \"%s\" of a task is", key->key);
        }
    }
    return good;
}

bool expect_model(const struct mr__dag *dag, const mr_value *expected, struct mr__buf *problem)
{
    bool good = true;
    for (uint32_t i = 0; i < expected->len && good; i++) {
        const mr_member *key = &expected->u.map[i];
        const mr_value *value = &key->value;
        if (strcmp(key->key, "id") == 0) {
            good = expect_fact("id", dag->id, 0, value, problem);
        } else if (strcmp(key->key, "name") == 0) {
            good = expect_fact("name", dag->name, 0, value, problem);
        } else if (strcmp(key->key, "desc") == 0) {
            good = expect_fact("desc", dag->desc, 0, value, problem);
        } else if (strcmp(key->key, "cron") == 0) {
            good = expect_fact("cron", dag->schedule.cron, 0, value, problem);
        } else if (strcmp(key->key, "stopped") == 0) {
            good = expect_fact("stopped", NULL, dag->stopped, value, problem);
        } else if (strcmp(key->key, "taskCount") == 0) {
            good = expect_fact("taskCount", NULL, dag->task_count, value, problem);
        } else if (strcmp(key->key, "tasks") == 0) {
            for (uint32_t k = 0; k < value->len && good; k++) {
                const char *id = value->u.map[k].key;
                int64_t t = mr__dag_find(dag, id, strlen(id));
                good =
                    t < 0 ? differ(problem, "there is no task \"%s\"", id)
                          : expect_model_task(dag, &dag->tasks[t], &value->u.map[k].value, problem);
            }
        } else {
            good = differ(problem, "nobody knows what \"%s\" of a dag is", key->key);
        }
    }
    return good;
}
