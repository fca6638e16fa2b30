/* SPDX-License-Identifier: MIT
 *
 * What test_isolation.py lets loose: a plugin that breaks what it can break, and one that says what
 * it sees, so that the test can compare it with what it sees in the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET 3 /* where the host process has the engine */

static volatile uint64_t burnt;

/* ---- what breaks ------------------------------------------------------------------------------
 */

static mr_status crash(mr_task *t)
{
    (void)t;
    (void)signal(SIGSEGV, SIG_DFL); /* A sanitizer may have taken it. */
    (void)raise(SIGSEGV);
    return MR_OK;
}

static mr_status abort_it(mr_task *t)
{
    (void)t;
    abort();
}

static mr_status leave(mr_task *t)
{
    (void)t;
    exit(3);
}

static mr_status burn(mr_task *t)
{
    while (t != NULL) {
        burnt++;
    }
    return MR_OK;
}

/* More of the processor than a limit of one second leaves. */
static mr_status work(mr_task *t)
{
    clock_t until = clock() + 5 * CLOCKS_PER_SEC / 2;
    while (clock() < until) {
        burnt++;
    }
    return t == NULL ? MR_EINVAL : MR_OK;
}

static mr_status close_all(mr_task *t)
{
    int i;
    for (i = 3; i < 64; i++) {
        (void)close(i);
    }
    mr_trace(t, "said to nobody");
    return MR_OK;
}

static mr_status garbage(mr_task *t)
{
    char bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    (void)send(SOCKET, bytes, sizeof bytes, MSG_NOSIGNAL);
    return mr_sleep(t, 60000);
}

/* The second END comes when nobody waits for one. */
static mr_status end_twice(mr_task *t)
{
    static const unsigned char end[] = {5, 0, 0, 0, 12, 0, 1, 0, 0};
    (void)send(SOCKET, end, sizeof end, MSG_NOSIGNAL);
    (void)send(SOCKET, end, sizeof end, MSG_NOSIGNAL);
    return mr_sleep(t, 60000);
}

static mr_status leak(mr_task *t)
{
    int i;
    for (i = 0; i < 40; i++) {
        (void)dup(0);
    }
    return MR_OK;
}

/* How much memory there is, in MiB; how many descriptors. */
static mr_status hog(mr_task *t)
{
    int count = 0;
    char *block;
    mr_value v = {MR_INT, 0, {0}};
    while (count < 4096 && (block = malloc(1u << 20)) != NULL) {
        memset(block, 1, 1u << 20);
        count++;
    }
    v.u.i = count;
    return mr_output(t, "count", &v);
}

static mr_status open_all(mr_task *t)
{
    int count = 0, fds[4096];
    mr_value v = {MR_INT, 0, {0}};
    while (count < 4096 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0) {
        count++;
    }
    v.u.i = count;
    while (count > 0) {
        (void)close(fds[--count]);
    }
    return mr_output(t, "count", &v);
}

static mr_status talk(mr_task *t)
{
    printf("printed\n");
    (void)!write(2, "written\n", 8);
    mr_log(t, MR_STDOUT, "logged\n", 7);
    mr_logf(t, MR_LOG_WARNING, "a warning");
    mr_trace(t, "traced\n%d", 1);
    return mr_fail(t, MR_EFAILED, "done talking");
}

/* A child of its own that outlives the process, unless the host's group is ended. */
static mr_status fork_it(mr_task *t)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/sleep", "sleep", "600", (char *)NULL);
        _exit(1);
    }
    mr_value v = {MR_INT, 0, {pid}};
    (void)mr_output(t, "child", &v);
    mr_trace(t, "child %d", (int)pid);
    return mr_sleep(t, 600000);
}

static mr_status nothing(mr_task *t)
{
    (void)t;
    return MR_OK;
}

/* A child, and output that nobody reads any more once the engine is gone. */
static mr_status chatter(mr_task *t)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/sleep", "sleep", "600", (char *)NULL);
        _exit(1);
    }
    mr_trace(t, "child %d", (int)pid);
    for (;;) {
        (void)!write(1, "still here\n", 11);
        (void)usleep(1000);
    }
}

static mr_status last_words(mr_task *t)
{
    printf("last words\n");
    return crash(t);
}

static void *read_for_ever(void *arg)
{
    char line[16];
    (void)!fgets(line, sizeof line, arg);
    return NULL;
}

/* A thread that waits in a stream, whose lock it has. */
static mr_status listen_on(mr_task *t)
{
    int ends[2];
    pthread_t thread;
    FILE *in = pipe(ends) == 0 ? fdopen(ends[0], "r") : NULL;
    if (in == NULL || pthread_create(&thread, NULL, read_for_ever, in) != 0 ||
        pthread_detach(thread) != 0) {
        return MR_EFAILED;
    }
    return mr_sleep(t, 50);
}

/* One that its attempt leaves behind. */
static mr_status leave_child(mr_task *t)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/sleep", "sleep", "600", (char *)NULL);
        _exit(1);
    }
    mr_value v = {MR_INT, 0, {pid}};
    return mr_output(t, "child", &v);
}

static void *call_late(void *arg)
{
    (void)usleep(100000);
    mr_heartbeat(arg);
    return NULL;
}

static mr_status be_late(mr_task *t)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, call_late, t) == 0 && pthread_detach(thread) == 0
               ? MR_OK
               : MR_EFAILED;
}

static mr_status break_pipe(mr_task *t)
{
    int ends[2];
    if (pipe(ends) != 0 || close(ends[0]) != 0 || write(ends[1], "x", 1) >= 0 || errno != EPIPE) {
        return mr_fail(t, MR_EFAILED, "a pipe that does not break");
    }
    return close(ends[1]) == 0 ? MR_OK : MR_EFAILED;
}

/* Calls that go on for ever, those that fail and those that are answered later. */
static mr_status knock(mr_task *t)
{
    const mr_lock_options bad = MR_LOCK(.ttl_ms = INT64_MAX), good = MR_LOCK(.wait_ms = 1000);
    int i;
    for (i = 0; i < 2000; i++) {
        if (mr_lock(t, i % 2 == 0 ? "a" : "b", &bad, NULL) != MR_EINVAL ||
            mr_lock(t, "door", &good, NULL) != MR_OK || mr_unlock(t, "door") != MR_OK ||
            mr_share_flush(t) != MR_OK) {
            return MR_EFAILED;
        }
    }
    mr_trace(t, "knocked");
    return mr_sleep(t, 60000);
}

static mr_status look(mr_task *t)
{
    const mr_value *first = mr_share_get(t, "long");
    int i;
    for (i = 0; first != NULL && i < 2000; i++) {
        if (mr_share_get(t, "long") != first) {
            return MR_EFAILED;
        }
    }
    return first != NULL && first->len == 100000 ? MR_OK : MR_EFAILED;
}

static mr_status say_long(mr_task *t)
{
    mr_logf(t, MR_LOG_INFO, "%03000d", 7);
    mr_heartbeat(t);
    return mr_sleep(t, 60000);
}

static const struct {
    const char *name;
    mr_status (*act)(mr_task *t);
} acts[] = {
    {"crash", crash},     {"abort", abort_it},   {"exit", leave},        {"burn", burn},
    {"close", close_all}, {"garbage", garbage},  {"twice", end_twice},   {"leak", leak},
    {"hog", hog},         {"open", open_all},    {"talk", talk},         {"fork", fork_it},
    {"work", work},       {"nothing", nothing},  {"chatter", chatter},   {"words", last_words},
    {"look", look},       {"listen", listen_on}, {"child", leave_child}, {"late", be_late},
    {"pipe", break_pipe}, {"knock", knock},      {"say", say_long}};

/* Does it, in the attempts up to `until`. */
static mr_status rude_run(mr_task *t)
{
    static int64_t calls;
    const char *what = mr_param_str(t, "do");
    mr_value v = {MR_INT, 0, {0}};
    size_t i;
    v.u.i = getpid();
    (void)mr_output(t, "pid", &v);
    v.u.i = ++calls;
    (void)mr_output(t, "calls", &v);
    for (i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, what) == 0 && mr_info(t)->attempt <= mr_param_int(t, "until")) {
            return acts[i].act(t);
        }
    }
    return MR_OK;
}

/* ---- what it sees -----------------------------------------------------------------------------
 */

static mr_status tell_run(mr_task *t)
{
    const mr_task_info *info = mr_info(t);
    const mr_value *missing = mr_param_get(t, "none");
    mr_status status = mr_output(t, "value", mr_param_get(t, "value"));
    if (status == MR_OK) {
        status = mr_output(t, "vars", mr_vars(t));
    }
    if (status == MR_OK && mr_var(t, "n") != NULL) {
        status = mr_output(t, "var", mr_var(t, "n"));
    }
    if (status != MR_OK) {
        return status;
    }
    status = mr_output_json(t, "bad", "{", 1);
    mr_trace(t, "bad JSON: %s", mr_status_text(status));
    status = mr_output(t, "bad", missing);
    mr_trace(t, "no value: %s", mr_status_text(status));
    status = mr_share_set_str(t, "", "x");
    mr_trace(t, "no key: %s", mr_status_text(status));
    mr_trace(t, "%s %s %u %zu %s %s", info->dag_id, info->run_id, info->attempt,
             strlen(info->idempotency_key), info->folder, info->store);
    mr_trace(t, "started %d, deadline after %d s", info->started_at_ms > 0,
             (int)((info->deadline_ms - info->started_at_ms + 500) / 1000));
    (void)mr_output_str(t, "text", mr_printf(t, "%s-%d", mr_param_str(t, "text"), 7));
    return MR_OK;
}

/* ---- a loop action ----------------------------------------------------------------------------
 */

static void finish_it(mr_task *t, void *arg)
{
    (void)mr_output_str(t, "by", arg);
    (void)mr_finish(t, MR_OK);
}

static void *post_there(void *arg)
{
    mr_task *t = arg;
    mr_trace(t, "from a thread");
    (void)mr_post(t, finish_it, (void *)(uintptr_t) "post");
    return NULL;
}

static void *finish_there(void *arg)
{
    (void)mr_finish(arg, MR_ECONFLICT);
    return NULL;
}

static mr_status pend_run(mr_task *t)
{
    const char *by = mr_param_str(t, "by");
    pthread_t thread;
    if (strcmp(by, "engine") == 0) {
        mr_log(t, MR_STDOUT, "said before\n", 12);
        return mr_finish_after(t, 5) == MR_OK ? MR_PENDING : MR_EFAILED;
    }
    if (strcmp(by, "itself") == 0) { /* since it has something to say */
        mr_status early = mr_share_set_str(t, "k", "v");
        mr_status refused = mr_finish_after(t, 5), saved = mr_share_flush(t);
        mr_status output = mr_output_str(t, "by", by), again = mr_finish_after(t, 5);
        (void)mr_finish(t, early == MR_OK && saved == MR_OK && output == MR_OK &&
                                   refused == MR_EINVAL && again == MR_EINVAL
                               ? MR_OK
                               : MR_EFAILED);
        return MR_PENDING;
    }
    if (strcmp(by, "engine with a lock") == 0) {
        (void)mr_lock(t, "door", NULL, NULL);
        return mr_finish_after(t, 5) == MR_OK ? MR_PENDING : MR_EFAILED;
    }
    if (strcmp(by, "timer") == 0) {
        (void)mr_timer(t, 50, finish_it, (void *)(uintptr_t) "timer");
    } else if (strcmp(by, "post") == 0 || strcmp(by, "thread") == 0) {
        if (pthread_create(&thread, NULL, *by == 'p' ? post_there : finish_there, t) != 0 ||
            pthread_detach(thread) != 0) {
            return MR_EFAILED;
        }
    } else if (strcmp(by, "self") == 0) {
        (void)mr_finish(t, MR_OK);
    }
    mr_trace(t, "pending");
    return MR_PENDING;
}

static void pend_cancel(mr_task *t)
{
    mr_trace(t, "canceled for reason %u", mr_cancel_reason(t));
    (void)mr_finish(t, MR_ECANCELED);
}

/* ---- what came with 1.2: test_isolated.c plays the engine -------------------------------------
 */

static mr_status locks_run(mr_task *t)
{
    const mr_lock_options options = MR_LOCK(.ttl_ms = 1000, .wait_ms = -1);
    uint64_t fence = 0;
    mr_status held = mr_lock(t, "door", &options, &fence);
    mr_status renewed = mr_lock_renew(t, "door", 5);
    mr_status let_go = mr_unlock(t, "door");
    mr_trace(t, "%d %d %d %d", held, (int)fence, renewed, let_go);
    mr_progress(t, 0.25, "a quarter");
    mr_progress(t, -3, NULL);
    mr_heartbeat(t);
    mr_logf(t, MR_LOG_ERROR, "%s", "bad");
    return held;
}

static void on_held(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    mr_trace(t, "held %d %d %s", status, (int)fence, (const char *)arg);
    (void)mr_finish(t, MR_OK);
}

static mr_status locks_then(mr_task *t)
{
    mr_status status = mr_lock_then(t, "door", NULL, on_held, (void *)(uintptr_t) "then");
    return status == MR_OK ? MR_PENDING : status;
}

/* ---- phases that do something -----------------------------------------------------------------
 */

static mr_status early_phase(mr_task *t)
{
    const mr_lock_options options = MR_LOCK(.wait_ms = 20000);
    clock_t until = clock() + CLOCKS_PER_SEC * 6 / 5;
    while (strcmp(mr_param_str(t, "do"), "work") == 0 && clock() < until) {
        burnt++;
    }
    return mr_lock(t, "early", &options, NULL);
}

static const mr_param rude_params[] = {
    {.name = "do", .type = MR_STRING, .default_json = "\"nothing\"", .help = "what it breaks"},
    {.name = "until", .type = MR_INT, .default_json = "1000", .help = "the last such attempt"},
    {.name = NULL},
};
static const mr_param tell_params[] = {
    {.name = "value", .help = "anything"},
    {.name = "text", .type = MR_STRING, .default_json = "\"\"", .help = "text"},
    {.name = NULL},
};
static const mr_param pend_params[] = {
    {.name = "by", .type = MR_STRING, .default_json = "\"\"", .help = "what ends it"},
    {.name = NULL},
};
static const mr_action rude = MR_ACTION(.name = "rude", .params = rude_params, .run = rude_run);
static const mr_action shy =
    MR_ACTION(.name = "shy", .params = rude_params, .run = rude_run, .flags = MR_ISOLATED);
static const mr_action idle = MR_ACTION(.name = "idle", .run = nothing); /* bench/isolation.py */
static const mr_action tell = MR_ACTION(.name = "tell", .params = tell_params, .run = tell_run);
static const mr_action pend = MR_ACTION(.name = "pend", .where = MR_ON_LOOP, .params = pend_params,
                                        .run = pend_run, .cancel = pend_cancel);
static const mr_action stuck =
    MR_ACTION(.name = "stuck", .where = MR_ON_LOOP, .params = pend_params, .run = pend_run);
static const mr_action locks = MR_ACTION(.name = "locks", .run = locks_run);
static const mr_action early =
    MR_ACTION(.name = "early", .params = rude_params, .run_before = early_phase, .run = early_phase,
              .run_after = early_phase);
static const mr_action later =
    MR_ACTION(.name = "locks-later", .where = MR_ON_LOOP, .run = locks_then);
MR_PLUGIN("rude", "1.0.0", &locks, &later, &early, &rude, &shy, &idle, &tell, &pend, &stuck);
