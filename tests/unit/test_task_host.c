/* SPDX-License-Identifier: MIT
 *
 * Goal: what plugin.h promises an action is kept: its memory, params and outputs, threads, timers
 * and posts, an end told exactly once, cancel, shutdown; and what a plugin does wrong is refused
 * and noted. Method: a real executor on a loop, actions written here, events written down.
 */
#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "exec_fixture.h"

static struct fixture *f;
static uint32_t calls[8];
static char keys[2][33];

static int set_up(void **state)
{
    memset(calls, 0, sizeof calls);
    f = fixture_make(2);
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    return 0;
}

/* ---- answers at once --------------------------------------------------------------------------
 */

static mr_status good_run(mr_task *t)
{
    return MR_OK;
}
ACTION(good, .where = MR_ON_LOOP, .run = good_run);

static mr_status bad_run(mr_task *t)
{
    return mr_fail(t, MR_EFAILED, "no %s today", "luck");
}
ACTION(bad, .where = MR_ON_LOOP, .run = bad_run);

static mr_status bare_run(mr_task *t)
{
    return MR_EBUSY;
}
ACTION(bare, .where = MR_ON_LOOP, .run = bare_run);

static mr_status odd_run(mr_task *t)
{
    return MR_END;
}
ACTION(odd, .where = MR_ON_LOOP, .run = odd_run);

static void answer__is_told_before_start_returns(void **state)
{
    fixture_start(f, &good, 1, NULL);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->ends[0].reason, "");
    assert_null(f->ends[0].output);
    assert_int_equal(f->ends[0].ref.hint, 1);
    fixture_start(f, &bad, 2, NULL);
    assert_int_equal(f->ends[1].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[1].reason, "no luck today");
    fixture_start(f, &bare, 3, NULL);
    assert_string_equal(f->ends[2].reason, "in use");
    fixture_start(f, &odd, 4, NULL);
    assert_int_equal(f->ends[3].outcome, MR__OUTCOME_FAILED);
    assert_string_equal(f->ends[3].reason, "the action answered 2");
}

/* ---- params, variables, info ------------------------------------------------------------------
 */

static mr_status asks_run(mr_task *t)
{
    const mr_task_info *info = mr_info(t);
    char *memory = mr_alloc(t, 100);
    assert_non_null(memory);
    assert_int_equal(memory[99], 0);
    assert_string_equal(info->dag_id, "dag");
    assert_int_equal(strlen(info->run_id), 36);
    assert_int_equal(strlen(info->idempotency_key), 32);
    assert_int_equal(info->attempt, 1);
    assert_int_equal(info->started_at_ms, 1000);
    assert_string_equal(info->store, f->store);
    assert_string_equal(info->folder, f->store);
    assert_null(mr_param_get(t, "none"));
    assert_null(mr_var(t, "none"));
    assert_string_equal(mr_value_str(mr_var(t, "stage"), ""), "dev");
    assert_int_equal(mr_output_str(t, "who", mr_param_str(t, "who")), MR_OK);
    mr_value n = {.type = MR_INT, .u.i = mr_param_int(t, "n")};
    assert_int_equal(mr_output(t, "n", &n), MR_OK);
    return mr_output_str(t, "id", info->task_id);
}
static const mr_param asks_params[] = {
    {.name = "who", .type = MR_STRING, .default_json = "\"world\""},
    {.name = "n", .type = MR_INT, .flags = MR_REQUIRED},
    {.name = NULL},
};
ACTION(asks, .where = MR_ON_LOOP, .params = asks_params, .run = asks_run);
ACTION(asks_worker, .where = MR_ON_WORKER, .params = asks_params, .run = asks_run);

static void params__are_completed_and_checked(void **state)
{
    fixture_start(f, &asks, 1, "{\"n\":\"12\"}");
    assert_string_equal(f->ends[0].reason, "");
    assert_string_equal(f->ends[0].output, "{\"who\":\"world\",\"n\":12,\"id\":\"task-1\"}");
    fixture_start(f, &asks, 2, "{}");
    assert_string_equal(f->ends[1].reason, "param \"n\" of action \"asks\" is missing");
    fixture_start(f, &asks, 3, "{\"n\":1,\"m\":2}");
    assert_string_equal(f->ends[2].reason, "unknown param \"m\" of action \"asks\"");
    fixture_start(f, &good, 4, "{\"n\":1}");
    assert_string_equal(f->ends[3].reason, "unknown param \"n\" of action \"good\"");
    fixture_start(f, &asks_worker, 5, "{\"n\":3,\"who\":7}");
    assert_true(fixture_run(f, 5, 5000));
    assert_string_equal(f->ends[4].output, "{\"who\":\"7\",\"n\":3,\"id\":\"task-5\"}");
}

/* All children of a fan-out had one key where the id of their task is as long as can be. */
static mr_status keyed_run(mr_task *t)
{
    const mr_task_info *info = mr_info(t);
    (void)snprintf(keys[calls[0]++], sizeof keys[0], "%s", info->idempotency_key);
    return MR_OK;
}
ACTION(keyed, .where = MR_ON_LOOP, .run = keyed_run);

static void key__sees_all_of_a_long_task_id(void **state)
{
    char ids[2][MR__ID_BYTES_MAX + 8];
    mr_value none = {.type = MR_MAP};
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%0*d[%u]", (int)MR__ID_BYTES_MAX, 0, i);
        struct mr__attempt attempt = {.ref = fixture_ref(1, i + 1, 1),
                                      .action = &keyed,
                                      .params = &none,
                                      .vars = &none,
                                      .dag_id = "dag",
                                      .task_id = ids[i],
                                      .folder = f->store};
        f->x->ops->start(f->x, &attempt);
    }
    assert_int_equal(calls[0], 2);
    assert_string_not_equal(keys[0], keys[1]);
}

/* ---- trace ------------------------------------------------------------------------------------
 */

static mr_status traces_run(mr_task *t)
{
    char long_text[3000];
    memset(long_text, 'a', sizeof long_text);
    memcpy(long_text + 1023, "\xc3\xa4", 2);
    mr_trace(t, "one\ntwo");
    assert_string_equal(f->trace, "one two");
    mr_trace(t, "%.2500s", long_text);
    assert_int_equal(strlen(f->trace), 1023); /* not in the middle of a character */
    return mr_fail(t, MR_EFAILED, "%.2500s", long_text);
}
ACTION(traces, .where = MR_ON_LOOP, .run = traces_run);

static void trace__is_one_bounded_line(void **state)
{
    fixture_start(f, &traces, 1, NULL);
    assert_int_equal(f->trace_count, 2);
    assert_int_equal(strlen(f->ends[0].reason), 1023);
}

/* ---- pending ----------------------------------------------------------------------------------
 */

static void later_due(mr_task *t, void *arg)
{
    (*(uint32_t *)arg)++;
    assert_string_equal(mr_info(t)->task_id, "task-1");
    assert_string_equal(mr_value_str(mr_var(t, "stage"), ""), "dev");
    assert_int_equal(mr_output_str(t, NULL, mr_data(t)), MR_OK);
    assert_int_equal(mr_finish(t, MR_OK), MR_OK);
}

static mr_status later_run(mr_task *t)
{
    mr_set_data(t, mr_printf(t, "%s", "kept"));
    assert_int_equal(mr_timer(t, 5, later_due, &calls[0]), MR_OK);
    assert_int_equal(mr_timer(t, 10000, later_due, &calls[1]), MR_OK);
    return MR_PENDING;
}

static void later_cancel(mr_task *t)
{
    assert_int_equal(mr_finish(t, MR_ECANCELED), MR_OK);
}
ACTION(later, .where = MR_ON_LOOP, .run = later_run, .cancel = later_cancel);

static void pending__ends_with_mr_finish(void **state)
{
    fixture_start(f, &later, 1, NULL);
    assert_int_equal(f->end_count, 0);
    assert_int_equal(fixture_fate(f, 1, 1, &later), MR__FATE_RUNNING);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->ends[0].output, "\"kept\"");
    assert_int_equal(calls[0], 1);
    assert_int_equal(calls[1], 0); /* The other timer went with the attempt. */
    assert_int_equal(fixture_fate(f, 1, 1, &later), MR__FATE_GONE);
}

static mr_status early_run(mr_task *t)
{
    assert_int_equal(mr_finish(t, MR_EFAILED), MR_OK);
    assert_int_equal(mr_finish(t, MR_OK), MR_EINVAL);
    return MR_PENDING;
}
ACTION(early, .where = MR_ON_LOOP, .run = early_run);

static mr_task *kept;

static mr_status keeps_run(mr_task *t)
{
    kept = t;
    return MR_PENDING;
}
ACTION(keeps, .where = MR_ON_LOOP, .run = keeps_run);

static void finish__twice_is_refused_and_noted(void **state)
{
    fixture_start(f, &early, 1, NULL);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_int_equal(f->note_count, 1);
    assert_string_equal(f->note, "action \"early\" called mr_finish after mr_finish: refused");
    fixture_start(f, &keeps, 2, NULL);
    assert_int_equal(mr_finish(kept, MR_OK), MR_OK);
    assert_int_equal(mr_finish(kept, MR_OK), MR_EINVAL);
    assert_string_equal(f->note,
                        "action \"keeps\" called mr_finish after the attempt's end: refused");
    assert_int_equal(mr_timer(kept, 0, later_due, NULL), MR_EINVAL);
    assert_int_equal(mr_post(kept, later_due, NULL), MR_ECANCELED);
    assert_int_equal(f->end_count, 2);
}

static mr_status waits_run(mr_task *t)
{
    assert_int_equal(mr_finish_after(t, -1), MR_EINVAL);
    assert_int_equal(mr_finish_after(t, 1234), MR_OK);
    assert_int_equal(mr_finish_after(t, 1), MR_EINVAL);
    assert_int_equal(mr_finish(t, MR_OK), MR_EINVAL);
    return MR_PENDING;
}
ACTION(waits, .where = MR_ON_LOOP, .run = waits_run);

static void finish_after__leaves_nothing_behind(void **state)
{
    fixture_start(f, &waits, 1, NULL);
    assert_int_equal(f->end_count, 0);
    assert_int_equal(f->waiting_count, 1);
    assert_int_equal(f->waiting_ms, 1234);
    assert_int_equal(fixture_fate(f, 1, 1, &waits), MR__FATE_GONE);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_int_equal(f->end_count, 0);
}

static void keep_many(mr_task *t, void *arg)
{
    assert_int_equal(mr_finish(t, MR_OK), MR_OK);
}

static mr_status many_run(mr_task *t)
{
    return mr_timer(t, 200, keep_many, NULL) == MR_OK ? MR_PENDING : MR_ENOMEM;
}
ACTION(many, .where = MR_ON_LOOP, .run = many_run);

static uint32_t threads_now(void)
{
    char line[256];
    uint32_t threads = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "Threads: %u", &threads);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return threads;
}

static void pending__a_hundred_thousand_hold_no_thread(void **state)
{
    uint32_t before = threads_now();
    for (uint32_t i = 0; i < 100000; i++) {
        fixture_start(f, &many, i, NULL);
    }
    assert_int_equal(threads_now(), before);
    assert_true(fixture_run(f, 100000, 60000));
    assert_int_equal(f->end_count, 100000);
}

/* ---- other threads ----------------------------------------------------------------------------
 */

static void *other_thread(void *arg)
{
    mr_task *t = arg;
    mr_trace(t, "from %s", mr_info(t)->task_id);
    mr_log(t, MR_STDERR, "bytes", 5);
    assert_int_equal(mr_cancel_reason(t), MR_NOT_CANCELED);
    assert_int_equal(mr_finish(t, MR_OK), MR_OK);
    return NULL;
}

static mr_status other_run(mr_task *t)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, other_thread, t) != 0) {
        return MR_EIO;
    }
    (void)pthread_detach(thread);
    return MR_PENDING;
}
ACTION(other, .where = MR_ON_LOOP, .run = other_run);

static void thread__finishes_even_before_run_has_answered(void **state)
{
    for (uint32_t i = 0; i < 500; i++) {
        fixture_start(f, &other, i, NULL);
    }
    assert_true(fixture_run(f, 500, 20000));
    assert_int_equal(f->trace_count, 500);
    assert_int_equal(f->log_total, 2500);
    for (uint32_t i = 0; i < 500; i++) {
        assert_int_equal(f->ends[i].outcome, MR__OUTCOME_SUCCESS);
    }
}

static void posted(mr_task *t, void *arg)
{
    calls[0]++;
    if (arg != NULL) {
        assert_int_equal(mr_finish(t, MR_OK), MR_OK);
        assert_true(mr_post(t, posted, NULL) != MR_OK);
    }
}

static void *posting_thread(void *arg)
{
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(mr_post(arg, posted, NULL), MR_OK);
    }
    assert_int_equal(mr_post(arg, posted, arg), MR_OK);
    return NULL;
}

static pthread_t poster;

static mr_status posts_run(mr_task *t)
{
    return pthread_create(&poster, NULL, posting_thread, t) == 0 ? MR_PENDING : MR_EIO;
}
ACTION(posts, .where = MR_ON_LOOP, .run = posts_run);

static void post__calls_on_the_loop_in_order(void **state)
{
    fixture_start(f, &posts, 1, NULL);
    assert_true(fixture_run(f, 1, 20000));
    assert_int_equal(calls[0], 1001);
    (void)pthread_join(poster, NULL);
}

/* ---- workers ----------------------------------------------------------------------------------
 */

static _Atomic uint32_t begun;
static _Atomic bool let_go;

static mr_status sleeps_run(mr_task *t)
{
    atomic_fetch_add(&begun, 1);
    mr_status status = mr_sleep(t, mr_param_int(t, "ms"));
    return status == MR_ECANCELED ? mr_fail(t, status, "woken by %u", mr_cancel_reason(t)) : status;
}
static const mr_param sleeps_params[] = {{.name = "ms", .type = MR_INT, .default_json = "60000"},
                                         {.name = NULL}};
ACTION(sleeps, .where = MR_ON_WORKER, .params = sleeps_params, .run = sleeps_run);

static mr_status stuck_run(mr_task *t)
{
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&let_go)) {
        (void)usleep(1000);
        mr_trace(t, "still here");
        mr_log(t, MR_STDOUT, "x", 1);
    }
    return mr_output_str(t, NULL, mr_info(t)->task_id);
}
ACTION(stuck, .where = MR_ON_WORKER, .run = stuck_run);

static mr_status talks_run(mr_task *t)
{
    static char bytes[100000];
    memset(bytes, 'y', sizeof bytes);
    for (uint32_t i = 0; i < 80; i++) {
        mr_log(t, MR_STDOUT, bytes, sizeof bytes);
    }
    return MR_OK;
}
ACTION(talks, .where = MR_ON_WORKER, .run = talks_run);

static mr_status confused_run(mr_task *t)
{
    assert_int_equal(mr_finish(t, MR_OK), MR_EINVAL);
    assert_int_equal(mr_finish_after(t, 5), MR_EINVAL);
    assert_int_equal(mr_post(t, posted, NULL), MR_EINVAL);
    assert_int_equal(mr_timer(t, 5, posted, NULL), MR_EINVAL);
    return MR_PENDING;
}
ACTION(confused, .where = MR_ON_WORKER, .run = confused_run);

static void wait_for_begun(uint32_t count)
{
    for (uint32_t i = 0; i < 5000 && atomic_load(&begun) < count; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(atomic_load(&begun), count);
}

static void worker__log_of_any_size_arrives_before_the_end(void **state)
{
    fixture_start(f, &talks, 1, NULL);
    assert_true(fixture_run(f, 1, 20000));
    assert_int_equal(f->log_total, 8000000);
}

static void worker__calls_of_the_loop_are_refused(void **state)
{
    fixture_start(f, &confused, 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(f->ends[0].reason, "the action answered 1 on a worker thread");
    assert_int_equal(f->note_count, 4);
}

static void worker__cancel_wakes_a_sleep_and_takes_back_what_waits(void **state)
{
    atomic_store(&begun, 0);
    fixture_start(f, &sleeps, 1, NULL);
    fixture_start(f, &sleeps, 2, NULL);
    fixture_start(f, &sleeps, 3, NULL); /* Two workers: it waits. */
    wait_for_begun(2);
    fixture_cancel(f, 3, MR_BY_USER);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_CANCELED);
    fixture_cancel(f, 1, MR_BY_TIMEOUT);
    fixture_cancel(f, 2, MR_BY_USER);
    fixture_cancel(f, 2, MR_BY_TIMEOUT); /* The first one holds. */
    assert_true(fixture_run(f, 3, 5000));
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_TIMED_OUT);
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_CANCELED);
    assert_string_equal(fixture_end_of(f, 2)->reason, "");
    assert_int_equal(atomic_load(&begun), 2);
}

static void worker__at_most_jobs_run_at_once(void **state)
{
    atomic_store(&begun, 0);
    for (uint32_t i = 0; i < 10; i++) {
        fixture_start(f, &sleeps, i, "{\"ms\":20}");
    }
    (void)usleep(10000);
    assert_true(atomic_load(&begun) <= 2);
    assert_true(fixture_run(f, 10, 5000));
    assert_int_equal(atomic_load(&begun), 10);
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

static void canceled_cancel(mr_task *t)
{
    calls[2]++;
    assert_int_equal(mr_cancel_reason(t), MR_BY_USER);
    assert_int_equal(mr_finish(t, calls[3] != 0 ? MR_OK : MR_ECANCELED), MR_OK);
}
ACTION(cancels, .where = MR_ON_LOOP, .run = keeps_run, .cancel = canceled_cancel);

static void cancel__asks_the_action_once(void **state)
{
    fixture_start(f, &cancels, 1, NULL);
    fixture_cancel(f, 1, MR_BY_USER);
    fixture_cancel(f, 1, MR_BY_USER);
    fixture_cancel(f, 99, MR_BY_USER); /* unknown: nothing */
    assert_int_equal(calls[2], 1);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
    calls[3] = 1;
    fixture_start(f, &cancels, 2, NULL);
    fixture_cancel(f, 2, MR_BY_USER);
    assert_int_equal(f->ends[1].outcome, MR__OUTCOME_SUCCESS); /* It succeeded all the same. */
}

static void cancel__without_a_callback_the_host_ends_it_and_later_calls_do_no_harm(void **state)
{
    fixture_start(f, &keeps, 1, NULL);
    mr_task *t = kept;
    fixture_cancel(f, 1, MR_BY_TIMEOUT);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_TIMED_OUT);
    mr_trace(t, "late");
    mr_log(t, MR_STDOUT, "late", 4);
    assert_string_equal(mr_info(t)->task_id, "task-1");
    assert_int_equal(mr_post(t, posted, NULL), MR_ECANCELED);
    assert_int_equal(f->trace_count + f->log_total, 0);
    assert_int_equal(mr_finish(t, MR_OK), MR_OK);
    assert_int_equal(f->end_count, 1);
}

static void *late_thread(void *arg)
{
    (void)usleep(20000);
    mr_trace(arg, "late");
    (void)mr_finish(arg, MR_OK);
    return NULL;
}

static void cancel__without_a_callback_a_thread_may_finish_later(void **state)
{
    pthread_t thread;
    fixture_start(f, &keeps, 1, NULL);
    assert_int_equal(pthread_create(&thread, NULL, late_thread, kept), 0);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
    (void)pthread_join(thread, NULL);
    (void)fixture_run(f, 2, 20);
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->trace_count, 0);
}

/* ---- fate, shutdown ---------------------------------------------------------------------------
 */

static void fate__of_an_ended_job_is_running_until_it_is_forgotten(void **state)
{
    f->forget = false;
    fixture_start(f, &sleeps, 1, "{\"ms\":1}");
    assert_int_equal(fixture_fate(f, 1, 1, &sleeps), MR__FATE_RUNNING);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(fixture_fate(f, 1, 1, &sleeps), MR__FATE_RUNNING);
    struct mr__attempt_ref ref = fixture_ref(1, 1, 1);
    f->x->ops->forget(f->x, &ref);
    assert_int_equal(fixture_fate(f, 1, 1, &sleeps), MR__FATE_GONE);
    f->x->ops->forget(f->x, &ref);    /* unknown: nothing */
    fixture_start(f, &good, 2, NULL); /* no job: its end is the engine's */
    assert_int_equal(fixture_fate(f, 1, 2, &good), MR__FATE_GONE);
}

static void shutdown__ends_all_without_events(void **state)
{
    atomic_store(&begun, 0);
    fixture_start(f, &sleeps, 1, NULL);
    fixture_start(f, &sleeps, 2, NULL);
    fixture_start(f, &sleeps, 3, NULL);
    fixture_start(f, &later, 1001, NULL);
    wait_for_begun(2);
    uint64_t before = uv_hrtime();
    fixture_close(f, 10000);
    assert_true(uv_hrtime() - before < UINT64_C(5000000000));
    assert_int_equal(f->end_count, 0);
    fixture_open(f, 2);
}

static void shutdown__does_not_wait_for_a_stuck_worker(void **state)
{
    atomic_store(&begun, 0);
    atomic_store(&let_go, false);
    fixture_start(f, &stuck, 1, NULL);
    wait_for_begun(1);
    fixture_close(f, 50);
    assert_int_equal(f->end_count, 0);
    (void)usleep(20000); /* It still calls a host that is gone. */
    atomic_store(&let_go, true);
    (void)usleep(50000);
    fixture_open(f, 2);
}

static void shutdown__does_not_wait_for_a_stuck_thread_of_a_plugin(void **state)
{
    pthread_t thread;
    fixture_start(f, &keeps, 1, NULL);
    assert_int_equal(pthread_create(&thread, NULL, late_thread, kept), 0);
    fixture_close(f, 0);
    (void)pthread_join(thread, NULL);
    fixture_open(f, 2);
}

static void count_end(void *user, const struct mr__attempt_end *end)
{
    ++*(uint32_t *)user;
}

/* No bound is tested: the figure is for the reader. */
static void cost__of_a_loop_action_that_answers_at_once(void **state)
{
    struct mr__attempt attempt = {
        .ref = fixture_ref(1, 0, 1), .action = &good, .dag_id = "d", .task_id = "t", .folder = "/"};
    uint32_t count = 500000, ends = 0;
    struct mr__exec_options options = {
        .loop = &f->loop, .jobs = 1, .events = {.user = &ends, .ended = count_end}};
    struct fixture other_fixture = {.over = false};
    struct mr__executor *x;
    assert_int_equal(mr__exec_create(&options, &x, NULL), MR_OK);
    uint64_t before = uv_hrtime();
    for (uint32_t i = 0; i < count; i++) {
        attempt.ref.task = i;
        x->ops->start(x, &attempt);
    }
    print_message("[   note   ] %.0f ns an attempt, with its end\n",
                  (double)(uv_hrtime() - before) / count);
    assert_int_equal(ends, count);
    x->ops->shutdown(x, 0, fixture_on_over, &other_fixture);
    while (!other_fixture.over) {
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    x->ops->destroy(x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answer__is_told_before_start_returns),
        TEST(params__are_completed_and_checked),
        TEST(key__sees_all_of_a_long_task_id),
        TEST(trace__is_one_bounded_line),
        TEST(pending__ends_with_mr_finish),
        TEST(finish__twice_is_refused_and_noted),
        TEST(finish_after__leaves_nothing_behind),
        TEST(pending__a_hundred_thousand_hold_no_thread),
        TEST(thread__finishes_even_before_run_has_answered),
        TEST(post__calls_on_the_loop_in_order),
        TEST(worker__log_of_any_size_arrives_before_the_end),
        TEST(worker__calls_of_the_loop_are_refused),
        TEST(worker__cancel_wakes_a_sleep_and_takes_back_what_waits),
        TEST(worker__at_most_jobs_run_at_once),
        TEST(cancel__asks_the_action_once),
        TEST(cancel__without_a_callback_the_host_ends_it_and_later_calls_do_no_harm),
        TEST(cancel__without_a_callback_a_thread_may_finish_later),
        TEST(fate__of_an_ended_job_is_running_until_it_is_forgotten),
        TEST(shutdown__ends_all_without_events),
        TEST(shutdown__does_not_wait_for_a_stuck_worker),
        TEST(shutdown__does_not_wait_for_a_stuck_thread_of_a_plugin),
        TEST(cost__of_a_loop_action_that_answers_at_once),
    };
    return cmocka_run_group_tests_name("task_host", tests, NULL, NULL);
}
