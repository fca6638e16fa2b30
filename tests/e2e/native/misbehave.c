/* SPDX-License-Identifier: MIT
 *
 * A plugin that misbehaves, in the way that its param says: test_misbehave.py watches what becomes
 * of it. Each way is a function; where a call is to be refused it demands that it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define HUGE_BYTES (17u << 20) /* over the limit of an output and of share data */

/* Leaves the attempt with what was not refused. */
#define NEED(t, condition)                                                              \
    do {                                                                                \
        if (!(condition)) {                                                             \
            return mr_fail(t, MR_EFAILED, "line %d: not so: %s", __LINE__, #condition); \
        }                                                                               \
    } while (0)

static void nothing(mr_task *t, void *arg)
{
    (void)t;
    (void)arg;
}

static void nothing_of_child(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    (void)exit_code;
    (void)signal_number;
    (void)mr_finish(t, MR_OK); /* refused where the test says so */
}

static mr_status spawn(mr_task *t)
{
    static const char *const argv[] = {"/bin/true", NULL};
    mr_process process = {.size = sizeof process, .argv = argv, .on_exit = nothing_of_child};
    return mr_spawn(t, &process);
}

static mr_status on_thread(mr_task *t, void *(*main)(void *))
{
    pthread_t thread;
    return pthread_create(&thread, NULL, main, t) == 0 && pthread_detach(thread) == 0
               ? MR_PENDING
               : mr_fail(t, MR_EFAILED, "no thread");
}

/* ---- ends -------------------------------------------------------------------------------------
 */

static void finish_twice_due(mr_task *t, void *arg)
{
    (void)arg;
    mr_status first = mr_finish(t, MR_OK), second = mr_finish(t, MR_EFAILED);
    if (first != MR_OK || second != MR_EINVAL) {
        abort();
    }
}

static mr_status finish_twice(mr_task *t)
{
    NEED(t, mr_timer(t, 1, finish_twice_due, NULL) == MR_OK);
    return MR_PENDING;
}

/* Of an attempt that is over: kept from one task to the next, as a plugin's bug would. */
static mr_task *dead;

static mr_status leave_a_pointer(mr_task *t)
{
    dead = t;
    NEED(t, mr_timer(t, 1, finish_twice_due, NULL) == MR_OK);
    return MR_PENDING;
}

static mr_status use_a_dead_pointer(mr_task *t)
{
    NEED(t, dead != NULL && mr_finish(dead, MR_OK) == MR_EINVAL);
    NEED(t, mr_post(dead, nothing, NULL) == MR_ECANCELED);
    NEED(t, mr_timer(dead, 1, nothing, NULL) == MR_EINVAL && spawn(dead) == MR_EINVAL);
    mr_trace(dead, "from the grave");
    mr_log(dead, MR_STDOUT, "from the grave\n", 15);
    return MR_OK;
}

static mr_status never_finish(mr_task *t)
{
    (void)t;
    return MR_PENDING;
}

static void *finish_late_main(void *arg)
{
    (void)usleep(500000);
    (void)mr_finish(arg, MR_OK); /* the host has ended it: this one frees its memory */
    return NULL;
}

static mr_status finish_late(mr_task *t)
{
    return on_thread(t, finish_late_main);
}

static mr_status answer_pending(mr_task *t)
{
    (void)t;
    return MR_PENDING;
}

static mr_status answer_positive(mr_task *t)
{
    (void)t;
    return 7;
}

static mr_status answer_unknown(mr_task *t)
{
    (void)t;
    return -1000;
}

static mr_status never_return(mr_task *t)
{
    while (mr_cancel_reason(t) <= MR_BY_SHUTDOWN) { /* whatever it is */
        (void)usleep(1000);
    }
    return MR_OK;
}

/* ---- the wrong thread, or moment --------------------------------------------------------------
 */

static void *foreign_main(void *arg)
{
    mr_task *t = arg;
    bool refused = mr_timer(t, 1, nothing, NULL) == MR_EINVAL && spawn(t) == MR_EINVAL &&
                   mr_sleep(t, 1) == MR_EINVAL && mr_finish_after(t, 1) == MR_EINVAL &&
                   mr_share_set_str(t, "key", "a") == MR_EINVAL && mr_share_flush(t) == MR_EINVAL;
    (void)mr_finish(t, refused ? MR_OK : MR_EUNKNOWN); /* that it ends is all */
    return NULL;
}

static mr_status foreign_thread(mr_task *t)
{
    return on_thread(t, foreign_main);
}

static mr_status wrong_calls_on_loop(mr_task *t)
{
    NEED(t, mr_sleep(t, 1) == MR_EINVAL);
    NEED(t, mr_timer(t, 1, NULL, NULL) == MR_EINVAL && mr_post(t, NULL, NULL) == MR_EINVAL);
    return MR_OK;
}

static mr_status wrong_calls_on_worker(mr_task *t)
{
    NEED(t, mr_timer(t, 1, nothing, NULL) == MR_EINVAL && mr_post(t, nothing, NULL) == MR_EINVAL);
    NEED(t, spawn(t) == MR_EINVAL && mr_finish(t, MR_OK) == MR_EINVAL);
    NEED(t, mr_finish_after(t, 1) == MR_EINVAL);
    return MR_OK;
}

static mr_status spawn_twice(mr_task *t)
{
    NEED(t, spawn(t) == MR_OK && spawn(t) == MR_EINVAL);
    return MR_PENDING;
}

static mr_status after_wrong(mr_task *t)
{
    NEED(t, mr_finish(t, MR_OK) == MR_EINVAL && mr_timer(t, 1, nothing, NULL) == MR_EINVAL);
    NEED(t, spawn(t) == MR_EINVAL && mr_output_str(t, "late", "a") == MR_EINVAL);
    return MR_OK;
}

/* ---- too much ---------------------------------------------------------------------------------
 */

static mr_status output_too_large(mr_task *t)
{
    char *text = mr_alloc(t, HUGE_BYTES + 1);
    NEED(t, text != NULL);
    memset(text, 'a', HUGE_BYTES);
    return mr_output_str(t, "text", text);
}

static mr_status share_too_large(mr_task *t)
{
    char *text = mr_alloc(t, HUGE_BYTES + 1);
    NEED(t, text != NULL);
    memset(text, 'a', HUGE_BYTES);
    return mr_share_set_str(t, "text", text);
}

static mr_status huge_alloc(mr_task *t)
{
    NEED(t, mr_alloc(t, SIZE_MAX) == NULL && mr_alloc(t, SIZE_MAX - 31) == NULL);
    NEED(t, mr_alloc(t, SIZE_MAX / 4) == NULL && mr_alloc(t, 100) != NULL);
    return MR_OK;
}

static mr_status trace_flood(mr_task *t)
{
    for (int i = 0; i < 100000; i++) {
        mr_trace(t, "line %d", i);
    }
    return MR_OK;
}

static mr_status log_flood(mr_task *t)
{
    for (int i = 0; i < 200000; i++) {
        mr_log(t, MR_STDOUT, "a line that says little\n", 24);
    }
    return MR_OK;
}

static mr_status timer_flood(mr_task *t)
{
    for (int i = 0; i < 64; i++) {
        NEED(t, mr_timer(t, 60000, nothing, NULL) == MR_OK);
    }
    NEED(t, mr_timer(t, 60000, nothing, NULL) == MR_ELIMIT);
    return MR_OK;
}

/* One more than the mailbox of an attempt holds, while the loop is not let to empty it. */
static mr_status post_flood(mr_task *t)
{
    for (int i = 0; i < 65536; i++) {
        NEED(t, mr_post(t, nothing, NULL) == MR_OK);
    }
    NEED(t, mr_post(t, nothing, NULL) == MR_ELIMIT);
    return MR_OK;
}

static void post_again(mr_task *t, void *arg)
{
    (void)mr_post(t, post_again, arg); /* for ever */
}

static mr_status post_for_ever(mr_task *t)
{
    NEED(t, mr_post(t, post_again, NULL) == MR_OK);
    return MR_PENDING;
}

/* ---- what is no value -------------------------------------------------------------------------
 */

static mr_status bad_json(mr_task *t)
{
    return mr_output_json(t, "a", "{\"open\":", 8);
}

static mr_status no_names(mr_task *t)
{
    mr_value v = {.type = MR_NULL};
    const char *volatile none = NULL; /* the compiler would see the literal in the formats */
    NEED(t, mr_param_get(t, NULL) == NULL && mr_var(t, NULL) == NULL);
    NEED(t, strcmp(mr_param_str(t, NULL), "") == 0 && mr_param_int(t, NULL) == 0);
    NEED(t, mr_output(t, "a", NULL) == MR_EINVAL && mr_output_str(t, "a", NULL) == MR_ENOMEM);
    NEED(t, mr_output_json(t, "a", NULL, 5) == MR_EINVAL);
    NEED(t, mr_detail(t, NULL, &v) == MR_EINVAL && mr_detail(t, "a", NULL) == MR_EINVAL);
    NEED(t, mr_share_get(t, NULL) == NULL && mr_share_set(t, NULL, &v) == MR_EINVAL);
    NEED(t, mr_share_set_json(t, "a", NULL, 5) == MR_EINVAL);
    NEED(t, mr_printf(t, none) == NULL);
    mr_log(t, MR_STDOUT, NULL, 5);
    mr_log(t, 7, "a\n", 2);
    mr_trace(t, none);
    return mr_fail(t, MR_EFAILED, none);
}

static mr_status no_child(mr_task *t)
{
    mr_process empty = {.size = sizeof empty};
    mr_process short_one = {.size = 8};
    NEED(t, mr_spawn(t, NULL) == MR_EINVAL && mr_spawn(t, &empty) == MR_EINVAL);
    NEED(t, mr_spawn(t, &short_one) == MR_EINVAL);
    return MR_OK;
}

static mr_status bad_values(mr_task *t)
{
    mr_value no_type = {.type = 99}, not_finite = {.type = MR_NUMBER},
             no_text = {.type = MR_STRING};
    mr_value itself = {.type = MR_LIST, .len = 1};
    not_finite.u.d = 1e308 * 10;
    itself.u.list = &itself;
    NEED(t, mr_output(t, "a", &no_type) == MR_EINVAL);
    NEED(t, mr_output(t, "a", &not_finite) == MR_EINVAL);
    NEED(t, mr_output(t, "a", &no_text) == MR_EINVAL);
    NEED(t, mr_output(t, "a", &itself) == MR_EINVAL);
    return MR_OK;
}

static mr_status bad_utf8(mr_task *t)
{
    NEED(t, mr_output_str(t, "a", "\xff\xfe") == MR_EINVAL);
    NEED(t, mr_output_str(t, "\xff", "a") == MR_EINVAL);
    NEED(t, mr_share_set_str(t, "\xc3(", "a") == MR_EINVAL);
    mr_trace(t, "trace \xff\x01 and %s", "\xed\xa0\x80");
    mr_log(t, MR_STDOUT, "log \xff\xfe\n", 7);
    return mr_fail(t, MR_EFAILED, "reason \xff\n\x1b[31m");
}

/* ---- the process of the engine ----------------------------------------------------------------
 */

static mr_status crash(mr_task *t)
{
    volatile int *volatile nowhere = NULL; /* a real one: raise() would wait, blocked */
    (void)t;
    *nowhere = 1;
    return MR_OK;
}

static mr_status leave_the_process(mr_task *t)
{
    (void)t;
    exit(3);
}

static mr_status leak_descriptors(mr_task *t)
{
    for (int i = 0; i < 100; i++) {
        NEED(t, open("/dev/null", O_RDONLY) >= 0); /* without O_CLOEXEC too */
    }
    return MR_OK;
}

static mr_status close_descriptors(mr_task *t)
{
    (void)t;
    for (int fd = 3; fd < 1024; fd++) {
        (void)close(fd);
    }
    return MR_OK;
}

static mr_status change_the_process(mr_task *t)
{
    NEED(t, chdir("/") == 0 && setenv("CHANGED", "yes", 1) == 0);
    NEED(t, signal(SIGTERM, SIG_IGN) != SIG_ERR && signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    return MR_OK;
}

static mr_status ignore_children(mr_task *t)
{
    NEED(t, signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    return MR_OK;
}

static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

static mr_status keep_own_lock(mr_task *t)
{
    NEED(t, pthread_mutex_trylock(&own_lock) == 0);
    return MR_OK;
}

static mr_status want_own_lock(mr_task *t)
{
    int result = pthread_mutex_trylock(&own_lock);
    return result == EBUSY ? mr_fail(t, MR_EFAILED, "the plugin's own lock is held") : MR_OK;
}

/* ---- which way --------------------------------------------------------------------------------
 */

static const struct way {
    const char *name;
    mr_status (*run)(mr_task *t);
} ways[] = {
    {"after-wrong", after_wrong},
    {"answer-pending", answer_pending},
    {"answer-positive", answer_positive},
    {"answer-unknown", answer_unknown},
    {"bad-json", bad_json},
    {"bad-utf8", bad_utf8},
    {"bad-values", bad_values},
    {"change-the-process", change_the_process},
    {"close-descriptors", close_descriptors},
    {"crash", crash},
    {"finish-late", finish_late},
    {"finish-twice", finish_twice},
    {"foreign-thread", foreign_thread},
    {"huge-alloc", huge_alloc},
    {"ignore-children", ignore_children},
    {"keep-own-lock", keep_own_lock},
    {"leak-descriptors", leak_descriptors},
    {"leave-a-pointer", leave_a_pointer},
    {"leave-the-process", leave_the_process},
    {"log-flood", log_flood},
    {"never-finish", never_finish},
    {"never-return", never_return},
    {"no-child", no_child},
    {"no-names", no_names},
    {"output-too-large", output_too_large},
    {"post-flood", post_flood},
    {"post-for-ever", post_for_ever},
    {"share-too-large", share_too_large},
    {"spawn-twice", spawn_twice},
    {"timer-flood", timer_flood},
    {"trace-flood", trace_flood},
    {"use-a-dead-pointer", use_a_dead_pointer},
    {"want-own-lock", want_own_lock},
    {"wrong-calls-on-loop", wrong_calls_on_loop},
    {"wrong-calls-on-worker", wrong_calls_on_worker},
};

static mr_status misbehave(mr_task *t, const char *param)
{
    const char *name = mr_param_str(t, param);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(ways[i].name, name) == 0) {
            return ways[i].run(t);
        }
    }
    return *name == 0 ? MR_OK : mr_fail(t, MR_EFAILED, "no such way: %s", name);
}

static mr_status run(mr_task *t)
{
    return misbehave(t, "how");
}

static mr_status before(mr_task *t)
{
    return misbehave(t, "before");
}

static mr_status after(mr_task *t)
{
    return misbehave(t, "after");
}

static const mr_param params[] = {
    {.name = "how", .type = MR_STRING, .default_json = "\"\""},
    {.name = "before", .type = MR_STRING, .default_json = "\"\""},
    {.name = "after", .type = MR_STRING, .default_json = "\"\""},
    {.name = NULL},
};
static const mr_action on_loop =
    MR_ACTION(.name = "bad-loop", .where = MR_ON_LOOP, .flags = MR_SPAWNS, .params = params,
              .run = run, .run_before = before, .run_after = after);
static const mr_action on_worker = MR_ACTION(.name = "bad-worker", .params = params, .run = run,
                                             .run_before = before, .run_after = after);
MR_PLUGIN("misbehave", "1", &on_loop, &on_worker);
