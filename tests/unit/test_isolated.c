/* SPDX-License-Identifier: MIT
 *
 * Goal: host processes are used again, never more than there may be, and gone when they are not
 * wanted; an attempt in one waits, ends and dies as it should at moments that a dag cannot choose.
 * Method: an executor alone, with the plugins of the end-to-end tests in real host processes.
 */
#include <signal.h>
#include <sys/types.h>

#include "core/exec/task_host.h"
#include "exec_fixture.h"

static struct fixture *f;

static const char *build_folder(void)
{
    const char *build = getenv("MILLRACE_TEST_BUILD");
    return build == NULL ? "build" : build;
}

static void open_with(uint32_t jobs, int64_t idle_ms)
{
    char text[1024];
    mr_error error;
    (void)snprintf(text, sizeof text, "%s/core/host/millrace-host", build_folder());
    assert_int_equal(setenv("MILLRACE_HOST", text, 1), 0);
    (void)snprintf(text, sizeof text, "%s/tests/e2e/native:%s/plugins/noop", build_folder(),
                   build_folder());
    f = fixture_make(jobs);
    if (mr__registry_create(text, NULL, NULL, &f->registry, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    fixture_close(f, 0);
    f->host_idle_ms = idle_ms;
    fixture_open(f, jobs);
}

static int set_up(void **state)
{
    open_with(4, 0);
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    return 0;
}

static struct mr__exec *exec_of_fixture(void)
{
    return MR__CONTAINER(f->x, struct mr__exec, port);
}

static const struct mr__action *apart(const char *name)
{
    const struct mr__action *action = fixture_action(f, name);
    assert_non_null(action->apart);
    return action->apart;
}

static const struct fixture_end *expect_end(uint32_t task, enum mr__outcome outcome)
{
    assert_true(fixture_run(f, f->end_count + (f->end_count == 0), 20000));
    for (int i = 0; i < 100; i++) {
        for (uint32_t j = 0; j < f->end_count; j++) {
            if (f->ends[j].ref.task == task) {
                if (f->ends[j].outcome != outcome) {
                    fail_msg("outcome %d: %s", f->ends[j].outcome, f->ends[j].reason);
                }
                return &f->ends[j];
            }
        }
        (void)fixture_run(f, f->end_count + 1, 200);
    }
    fail_msg("task %u has not ended", task);
    return NULL;
}

/* The member "pid" of a rude action's output. */
static int pid_of(const struct fixture_end *end)
{
    const char *at = strstr(end->output, "\"pid\":");
    assert_non_null(at);
    return atoi(at + 6);
}

static void wait_for_hosts(uint32_t count)
{
    for (int i = 0; i < 200 && exec_of_fixture()->hosts.count != count; i++) {
        (void)fixture_run(f, f->end_count + 1, 20);
    }
    assert_int_equal(exec_of_fixture()->hosts.count, count);
}

/* ---- the pool ---------------------------------------------------------------------------------
 */

static void hosts__are_used_again(void **state)
{
    fixture_start(f, apart("rude"), 1, NULL);
    int pid = pid_of(expect_end(1, MR__OUTCOME_SUCCESS));
    fixture_start(f, apart("rude"), 2, NULL);
    assert_int_equal(pid_of(expect_end(2, MR__OUTCOME_SUCCESS)), pid);
    assert_int_equal(exec_of_fixture()->hosts.count, 1);
    assert_int_equal(exec_of_fixture()->hosts.idle, 1);
}

static void hosts__serve_one_attempt_at_a_time(void **state)
{
    fixture_start(f, apart("rude"), 1, NULL);
    fixture_start(f, apart("rude"), 2, NULL);
    int first = pid_of(expect_end(1, MR__OUTCOME_SUCCESS));
    assert_int_not_equal(pid_of(expect_end(2, MR__OUTCOME_SUCCESS)), first);
    assert_int_equal(exec_of_fixture()->hosts.idle, 2);
}

static void hosts__of_another_plugin_make_room(void **state)
{
    fixture_destroy(f);
    open_with(1, 0);
    fixture_start(f, apart("rude"), 1, NULL);
    int pid = pid_of(expect_end(1, MR__OUTCOME_SUCCESS));
    fixture_start(f, apart("noop"), 2, NULL);
    (void)expect_end(2, MR__OUTCOME_SUCCESS);
    wait_for_hosts(1);
    assert_int_equal(exec_of_fixture()->hosts.idle, 1);
    fixture_start(f, apart("rude"), 3, NULL);
    assert_int_not_equal(pid_of(expect_end(3, MR__OUTCOME_SUCCESS)), pid);
}

static void hosts__go_when_nobody_needs_them(void **state)
{
    fixture_destroy(f);
    open_with(4, 50);
    fixture_start(f, apart("rude"), 1, NULL);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    wait_for_hosts(0);
    assert_int_equal(exec_of_fixture()->hosts.idle, 0);
}

/* One that dies while it waits is not given to anybody. */
static void hosts__that_died_are_not_used(void **state)
{
    fixture_start(f, apart("rude"), 1, NULL);
    assert_int_equal(kill(pid_of(expect_end(1, MR__OUTCOME_SUCCESS)), SIGKILL), 0);
    wait_for_hosts(0);
    assert_int_equal(exec_of_fixture()->hosts.idle, 0);
    fixture_start(f, apart("rude"), 2, NULL);
    (void)expect_end(2, MR__OUTCOME_SUCCESS);
}

/* What an attempt has left behind would be the next one's: its child, a thread that calls late. */
static void hosts__with_something_left_in_them_are_not_used(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"child\"}");
    const char *at = strstr(expect_end(1, MR__OUTCOME_SUCCESS)->output, "\"child\":");
    assert_non_null(at);
    wait_for_hosts(0);
    for (int i = 0; i < 200 && kill(atoi(at + 8), 0) == 0; i++) {
        (void)fixture_run(f, f->end_count + 1, 20);
    }
    assert_int_equal(kill(atoi(at + 8), 0), -1);
    fixture_start(f, apart("rude"), 2, "{\"do\":\"late\"}");
    (void)expect_end(2, MR__OUTCOME_SUCCESS);
    (void)fixture_run(f, f->end_count + 1, 400);
    assert_int_equal(exec_of_fixture()->hosts.idle, 1);
    fixture_start(f, apart("rude"), 3, NULL);
    (void)expect_end(3, MR__OUTCOME_SUCCESS);
    wait_for_hosts(0);
}

/* ---- an attempt -------------------------------------------------------------------------------
 */

static void isolated__is_in_the_child_table_while_it_runs(void **state)
{
    struct mr__attempt_ref ref = fixture_ref(1, 1, 1);
    struct mr__child_key key = {.task = 1 | MR__CHILD_HOST, .attempt = 1};
    uint32_t row;
    pid_t pid;
    uint64_t start;
    memcpy(key.run_id, ref.run_id, sizeof key.run_id);
    fixture_start(f, apart("rude"), 1, "{\"do\":\"burn\"}");
    struct mr__child_table *table = &exec_of_fixture()->table;
    assert_true(mr__child_table_find(table, &key, &row));
    assert_true(mr__child_table_child(table, row, &pid, &start));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason,
                        "plugin rude: killed by SIGKILL");
    assert_false(mr__child_table_find(table, &key, &row));
}

static void isolated__dies_between_its_phases(void **state)
{
    fixture_before(f, apart("phases"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    assert_int_equal(kill(exec_of_fixture()->hosts.list->pid, SIGKILL), 0);
    wait_for_hosts(0);
    assert_int_equal(f->end_count, 0);
    fixture_start(f, apart("phases"), 1, NULL);
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason,
                        "plugin phases: killed by SIGKILL");
}

static void isolated__is_canceled_between_its_phases(void **state)
{
    fixture_before(f, apart("phases"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_cancel(f, 1, MR_BY_USER);
    (void)expect_end(1, MR__OUTCOME_CANCELED);
    assert_int_equal(exec_of_fixture()->hosts.idle, 1);
}

/* A worker waits until its flush is durable. */
static void isolated__waits_for_its_flush(void **state)
{
    f->flush_hold = true;
    fixture_start(f, apart("sharing"), 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    assert_string_equal(f->flush_sets, "flushed=\"kept\";old=;");
    assert_false(fixture_run(f, 1, 100));
    fixture_flushed(f, MR_OK);
    assert_string_equal(expect_end(1, MR__OUTCOME_SUCCESS)->sets,
                        "set={\"big\":9007199254740993};");
}

static void isolated__hears_of_a_flush_that_failed(void **state)
{
    f->flush_status = MR_EIO;
    fixture_start(f, apart("sharing"), 1, NULL);
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason,
                        "share data was not saved: input/output error");
}

static void isolated__gives_a_flush_up_when_canceled(void **state)
{
    f->flush_hold = true;
    fixture_start(f, apart("sharing"), 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    fixture_cancel(f, 1, MR_BY_TIMEOUT);
    (void)expect_end(1, MR__OUTCOME_TIMED_OUT);
    fixture_flushed(f, MR_OK); /* Nobody is left to be told. */
}

/* An answer of the engine's own limits, over the socket's buffers both ways. */
static void isolated__passes_large_values(void **state)
{
    size_t len = 3u << 20;
    char *params = malloc(len + 64);
    assert_non_null(params);
    size_t at = (size_t)sprintf(params, "{\"text\":\"");
    memset(params + at, 'x', len);
    (void)sprintf(params + at + len, "\",\"value\":[1]}");
    fixture_start(f, apart("tell"), 1, params);
    const struct fixture_end *end = expect_end(1, MR__OUTCOME_SUCCESS);
    const char *text = strstr(end->output, "\"text\":\"");
    assert_non_null(text);
    assert_memory_equal(text, params + 1, at - 1 + len);
    free(params);
}

/* What it logged was told with its end, or when there were 32 KiB of it; and cut at 1 KiB. */
static void isolated__tells_its_log_while_it_runs(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"say\"}");
    assert_true(fixture_run_until(f, &f->log_count, 1, 5000));
    assert_int_equal(f->log_total, 3001);
    assert_int_equal(f->end_count, 0);
}

static void isolated__that_waits_did_lose_its_log(void **state)
{
    fixture_start(f, apart("pend"), 1, "{\"by\":\"engine\"}");
    assert_true(fixture_run_until(f, &f->waiting_count, 1, 5000));
    assert_int_equal(f->log_total, 12);
}

/* The lock went with the attempt, while the task went on. */
static void isolated__does_not_wait_with_a_lock(void **state)
{
    fixture_start(f, apart("pend"), 1, "{\"by\":\"engine with a lock\"}");
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason,
                        "mr_finish_after with an output, unsaved share data or a lock");
}

/* It was told that it may wait, and failed with its end. */
static void isolated__is_refused_a_wait_with_an_output(void **state)
{
    fixture_start(f, apart("pend"), 1, "{\"by\":\"itself\"}");
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
}

/* In run_before and run_after a worker's lock that waits was refused. */
static void isolated__waits_for_a_lock_in_every_phase(void **state)
{
    fixture_before(f, apart("early"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_before(f, apart("early"), 2, false);
    assert_false(fixture_run_until(f, &f->began_count, 2, 100));
    fixture_start(f, apart("early"), 1, NULL);
    assert_true(fixture_run_until(f, &f->ending_count, 1, 5000));
    fixture_after(f, apart("early"), 1);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    assert_true(fixture_run_until(f, &f->began_count, 2, 5000));
}

/* Each answer took memory of the engine, until the attempt's end. */
static void isolated__calls_take_no_memory_of_the_engine(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"knock\"}");
    assert_true(fixture_run_until(f, &f->trace_count, 1, 20000));
    assert_string_equal(f->trace, "knocked");
    assert_in_range(exec_of_fixture()->live->arena.bytes, 1, 16384);
}

static void isolated__hears_of_a_broken_pipe(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"pipe\"}");
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
}

/* What it had printed was in its buffer. */
static void isolated__that_crashes_did_lose_what_it_had_printed(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"words\"}");
    (void)expect_end(1, MR__OUTCOME_FAILED);
    assert_int_equal(f->log_len, 11);
    assert_memory_equal(f->log, "last words\n", 11);
}

/* Its end waited for the lock of every stream. */
static void isolated__ends_while_a_thread_reads(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"listen\"}");
    assert_true(fixture_run(f, 1, 5000));
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
}

static void kill_host_of(uint32_t task)
{
    struct mr__host *host = exec_of_fixture()->hosts.list;
    while (host != NULL && (host->task == NULL || host->task->ref.task != task)) {
        host = host->next;
    }
    assert_non_null(host);
    assert_int_equal(kill(host->pid, SIGKILL), 0);
}

static void isolated__dies_while_its_flush_is_under_way(void **state)
{
    f->flush_hold = true;
    fixture_start(f, apart("sharing"), 1, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    kill_host_of(1);
    (void)expect_end(1, MR__OUTCOME_FAILED);
    fixture_flushed(f, MR_OK);
}

static void isolated__dies_while_it_waits_for_a_lock(void **state)
{
    fixture_before(f, apart("early"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_before(f, apart("early"), 2, false);
    assert_false(fixture_run_until(f, &f->began_count, 2, 100));
    kill_host_of(2);
    (void)expect_end(2, MR__OUTCOME_FAILED);
    kill_host_of(1);
    fixture_before(f, apart("early"), 3, false);
    wait_for_hosts(2);
    fixture_start(f, apart("early"), 1, NULL);
    (void)expect_end(1, MR__OUTCOME_FAILED);
    assert_true(fixture_run_until(f, &f->began_count, 2, 5000));
}

/* ---- calls of 1.2, of an engine that the test plays -------------------------------------------
 */

static struct {
    mr_host calls;
    char said[512];
    mr_lock_cb cb;
    void *arg;
    mr_task *task;
} engine;

MR__PRINTF(1, 2) static void engine_said(const char *fmt, ...)
{
    size_t len = strlen(engine.said);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(engine.said + len, sizeof engine.said - len, fmt, args);
    va_end(args);
}

static mr_status engine_lock_then(mr_task *t, const char *name, const mr_lock_options *options,
                                  mr_lock_cb cb, void *arg)
{
    engine_said("lock %s %d %d;", name, (int)options->ttl_ms, (int)options->wait_ms);
    engine.cb = cb;
    engine.arg = arg;
    engine.task = t;
    return MR_OK;
}

static mr_status engine_lock_renew(mr_task *t, const char *name, int64_t ttl_ms)
{
    engine_said("renew %s %d;", name, (int)ttl_ms);
    return MR_ECONFLICT;
}

static mr_status engine_unlock(mr_task *t, const char *name)
{
    engine_said("unlock %s;", name);
    return MR_OK;
}

static void engine_progress(mr_task *t, double fraction, const char *note)
{
    engine_said("progress %.2f %s;", fraction, note == NULL ? "-" : note);
}

static void engine_heartbeat(mr_task *t)
{
    engine_said("beat;");
}

static void engine_log_line(mr_task *t, uint32_t level, const char *fmt, va_list args)
{
    char text[64];
    (void)vsnprintf(text, sizeof text, fmt, args);
    engine_said("%u %s;", level, text);
}

/* Before the loop has looked at what the host says. */
static void play_engine(bool whole)
{
    memset(&engine, 0, sizeof engine);
    engine.calls = mr__task_host;
    engine.calls.lock_then = whole ? engine_lock_then : NULL;
    engine.calls.lock_renew = whole ? engine_lock_renew : NULL;
    engine.calls.unlock = whole ? engine_unlock : NULL;
    engine.calls.progress = whole ? engine_progress : NULL;
    engine.calls.heartbeat = whole ? engine_heartbeat : NULL;
    engine.calls.log_line = whole ? engine_log_line : NULL;
    exec_of_fixture()->live->head.host = &engine.calls;
}

static void run_until_locked(void)
{
    for (int i = 0; i < 500 && engine.cb == NULL; i++) {
        (void)fixture_run(f, 1, 10);
    }
    assert_non_null(engine.cb);
}

static void isolated__hands_on_what_came_with_1_2(void **state)
{
    fixture_start(f, apart("locks"), 1, NULL);
    play_engine(true);
    run_until_locked();
    assert_int_equal(f->end_count, 0);
    engine.cb(engine.task, MR_OK, 42, engine.arg);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    assert_string_equal(engine.said, "lock door 1000 -1;renew door 5;unlock door;"
                                     "progress 0.25 a quarter;progress -0.00 -;beat;0 bad;");
    assert_string_equal(f->traces, "1:0 42 -6 0\n");
}

static void isolated__tells_of_a_lock_that_was_waited_for(void **state)
{
    fixture_start(f, apart("locks-later"), 1, NULL);
    play_engine(true);
    run_until_locked();
    assert_false(fixture_run(f, 1, 50));
    engine.cb(engine.task, MR_OK, 7, engine.arg);
    (void)expect_end(1, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->traces, "1:held 0 7 then\n");
}

static void isolated__does_without_where_the_engine_is_older(void **state)
{
    fixture_start(f, apart("locks"), 1, NULL);
    play_engine(false);
    assert_string_equal(expect_end(1, MR__OUTCOME_FAILED)->reason, mr_status_text(MR_ENOSYS));
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "1:%d 0 %d %d\n1:bad\n", MR_ENOSYS, MR_ENOSYS, MR_ENOSYS);
    assert_string_equal(f->traces, wanted);
}

/* ---- the end of the engine --------------------------------------------------------------------
 */

static void shutdown__ends_the_deaf_after_its_grace(void **state)
{
    fixture_start(f, apart("rude"), 1, "{\"do\":\"burn\"}");
    fixture_start(f, apart("rude"), 2, NULL);
    (void)expect_end(2, MR__OUTCOME_SUCCESS);
    fixture_close(f, 50);
    assert_int_equal(f->end_count, 1);
    fixture_open(f, 4);
}

static void shutdown__with_an_attempt_between_phases(void **state)
{
    fixture_before(f, apart("phases"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_close(f, 1000);
    fixture_open(f, 4);
}

static void shutdown__with_an_attempt_that_has_just_begun(void **state)
{
    fixture_start(f, apart("rude"), 1, NULL);
    fixture_close(f, 1000);
    assert_int_equal(f->end_count, 0);
    fixture_open(f, 4);
}

static void shutdown__with_a_flush_and_a_lock_waited_for(void **state)
{
    f->flush_hold = true;
    fixture_before(f, apart("early"), 1, false);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_before(f, apart("early"), 2, false);
    fixture_start(f, apart("sharing"), 3, NULL);
    assert_true(fixture_run_until(f, &f->flush_count, 1, 5000));
    assert_false(fixture_run_until(f, &f->began_count, 2, 100));
    fixture_close(f, 1000);
    f->flush_hold = false;
    fixture_open(f, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosts__are_used_again),
        TEST(hosts__serve_one_attempt_at_a_time),
        TEST(hosts__of_another_plugin_make_room),
        TEST(hosts__go_when_nobody_needs_them),
        TEST(hosts__that_died_are_not_used),
        TEST(hosts__with_something_left_in_them_are_not_used),
        TEST(isolated__is_in_the_child_table_while_it_runs),
        TEST(isolated__dies_between_its_phases),
        TEST(isolated__is_canceled_between_its_phases),
        TEST(isolated__waits_for_its_flush),
        TEST(isolated__hears_of_a_flush_that_failed),
        TEST(isolated__gives_a_flush_up_when_canceled),
        TEST(isolated__passes_large_values),
        TEST(isolated__tells_its_log_while_it_runs),
        TEST(isolated__that_waits_did_lose_its_log),
        TEST(isolated__does_not_wait_with_a_lock),
        TEST(isolated__is_refused_a_wait_with_an_output),
        TEST(isolated__waits_for_a_lock_in_every_phase),
        TEST(isolated__calls_take_no_memory_of_the_engine),
        TEST(isolated__hears_of_a_broken_pipe),
        TEST(isolated__that_crashes_did_lose_what_it_had_printed),
        TEST(isolated__ends_while_a_thread_reads),
        TEST(isolated__dies_while_its_flush_is_under_way),
        TEST(isolated__dies_while_it_waits_for_a_lock),
        TEST(isolated__hands_on_what_came_with_1_2),
        TEST(isolated__tells_of_a_lock_that_was_waited_for),
        TEST(isolated__does_without_where_the_engine_is_older),
        TEST(shutdown__ends_the_deaf_after_its_grace),
        TEST(shutdown__with_an_attempt_between_phases),
        TEST(shutdown__with_an_attempt_that_has_just_begun),
        TEST(shutdown__with_a_flush_and_a_lock_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
