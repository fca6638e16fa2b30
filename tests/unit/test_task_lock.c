/* SPDX-License-Identifier: MIT
 *
 * Goal: locks as plugin.h promises them to an action: on a worker, on the loop, from other threads;
 * they go with the attempt's end; a wait ends with a cancel; what is misused is refused. Method: a
 * real executor on a loop, actions written here.
 */
#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/exec/task_host.h"
#include "exec_fixture.h"

static struct fixture *f;
static _Atomic uint32_t inside, overlaps, entered;
static _Atomic uint64_t last_fence;
static _Atomic bool open_gate;
static uint32_t called;
static mr_status told_status;
static uint64_t told_fence;
static mr_task *the_task;

static int set_up(void **state)
{
    inside = overlaps = entered = called = 0;
    last_fence = told_fence = 0;
    open_gate = false;
    the_task = NULL;
    f = fixture_make(16);
    return 0;
}

static int tear_down(void **state)
{
    open_gate = true;
    fixture_destroy(f);
    return 0;
}

static mr_lock_options options_of(int64_t ttl_ms, int64_t wait_ms)
{
    mr_lock_options options = MR_LOCK(.ttl_ms = ttl_ms, .wait_ms = wait_ms);
    return options;
}

/* ---- workers ----------------------------------------------------------------------------------
 */

/* Holds "x" until the gate is opened. */
static mr_status holder_run(mr_task *t)
{
    uint64_t fence = 0;
    mr_status status = mr_lock(t, "x", NULL, &fence);
    atomic_store(&last_fence, fence);
    atomic_fetch_add(&entered, 1);
    while (status == MR_OK && !atomic_load(&open_gate)) {
        status = mr_sleep(t, 1);
    }
    return status;
}
ACTION(holder, .where = MR_ON_WORKER, .run = holder_run);

static void wait_entered(uint32_t count)
{
    while (atomic_load(&entered) < count) {
        (void)usleep(1000);
    }
}

static mr_status asks_run(mr_task *t)
{
    mr_lock_options options = options_of(0, mr_param_int(t, "wait"));
    uint64_t fence = 0;
    mr_status status = mr_lock(t, "x", &options, &fence);
    mr_value v = {.type = MR_INT, .u.i = (int64_t)fence};
    return status == MR_OK ? mr_output(t, NULL, &v) : status;
}
static const mr_param asks_params[] = {{.name = "wait", .type = MR_INT, .default_json = "0"},
                                       {.name = NULL}};
ACTION(asks, .where = MR_ON_WORKER, .params = asks_params, .run = asks_run);

static void worker__is_refused_or_late_with_the_holders_name(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, NULL);
    fixture_start(f, &asks, 3, "{\"wait\":30}");
    assert_true(fixture_run(f, 2, 5000));
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_FAILED);
    assert_string_equal(fixture_end_of(f, 2)->reason,
                        "lock \"x\" is held by task task-1 of run 07070707");
    assert_string_equal(
        fixture_end_of(f, 3)->reason,
        "waited 30 ms for lock \"x\", which is held by task task-1 of run 07070707");
}

static void worker__gets_it_when_the_holders_attempt_ends(void **state)
{
    f->epoch = 3;
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, "{\"wait\":-1}");
    (void)usleep(20000);
    assert_int_equal(f->end_count, 0);
    open_gate = true;
    assert_true(fixture_run(f, 2, 5000));
    char expected[32];
    assert_true(last_fence == (UINT64_C(3) << 40) + 1);
    (void)snprintf(expected, sizeof expected, "%llu", (unsigned long long)last_fence + 1);
    assert_string_equal(fixture_end_of(f, 2)->output, expected);
}

/* Asleep it said nothing, and was ended for it. */
static void worker__that_waits_is_alive(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    f->heartbeat_ms = 100;
    fixture_start(f, &asks, 2, "{\"wait\":20000}");
    assert_false(fixture_run(f, 1, 350));
    open_gate = true;
    assert_true(fixture_run(f, 2, 20000));
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_SUCCESS);
}

static void worker__that_waits_ends_with_a_cancel(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, "{\"wait\":-1}");
    (void)usleep(20000);
    fixture_cancel(f, 2, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].ref.task, 2);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
    open_gate = true;
    assert_true(fixture_run(f, 2, 5000));
    fixture_start(f, &asks, 3, NULL); /* it did not get it after all */
    assert_true(fixture_run(f, 3, 5000));
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_SUCCESS);
}

static void worker__that_waits_ends_with_a_shutdown(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, "{\"wait\":-1}");
    (void)usleep(20000);
} /* tear_down would hang */

static mr_status forgetful_run(mr_task *t)
{
    mr_lock_options options = options_of(40, 0);
    mr_status status = mr_lock(t, "x", &options, NULL);
    atomic_fetch_add(&entered, 1);
    while (!atomic_load(&open_gate)) {
        (void)mr_sleep(t, 1);
    }
    assert_int_equal(mr_lock_renew(t, "x", 0), MR_ECONFLICT);
    assert_int_equal(mr_unlock(t, "x"), MR_ECONFLICT);
    return status;
}
ACTION(forgetful, .where = MR_ON_WORKER, .run = forgetful_run);

static void time_over__wakes_a_worker_that_waits(void **state)
{
    fixture_start(f, &forgetful, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, "{\"wait\":-1}");
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].ref.task, 2);
    assert_string_not_equal(f->ends[0].output, "0");
    open_gate = true;
    assert_true(fixture_run(f, 2, 5000));
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_SUCCESS);
}

/* Many at once: never two inside, and the numbers only grow. */
static mr_status crowd_run(mr_task *t)
{
    mr_lock_options options = options_of(0, -1);
    uint64_t fence;
    for (int i = 0; i < 100; i++) {
        mr_status status = mr_lock(t, "crowd", &options, &fence);
        if (status != MR_OK) {
            return status;
        }
        uint32_t others = atomic_fetch_add(&inside, 1);
        uint64_t before = atomic_exchange(&last_fence, fence);
        atomic_fetch_add(&overlaps, others > 0 || before >= fence);
        atomic_fetch_sub(&inside, 1);
        if ((status = mr_unlock(t, "crowd")) != MR_OK) {
            return status;
        }
    }
    return MR_OK;
}
ACTION(crowd, .where = MR_ON_WORKER, .run = crowd_run);

static void workers__exclude_each_other(void **state)
{
    for (uint32_t i = 0; i < 16; i++) {
        fixture_start(f, &crowd, i, NULL);
    }
    assert_true(fixture_run(f, 16, 60000));
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(f->ends[i].outcome, MR__OUTCOME_SUCCESS);
    }
    assert_int_equal(overlaps, 0);
    assert_true(last_fence >= 1600);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    called++;
    told_status = status;
    told_fence = fence;
    if (arg != NULL) {
        (void)mr_finish(t, status);
    }
}

static mr_status loop_run(mr_task *t)
{
    static int yes;
    mr_lock_options options = options_of(0, mr_param_int(t, "wait"));
    mr_status status = mr_lock_then(t, "x", &options, on_lock, &yes);
    assert_int_equal(called, mr_param_int(t, "called")); /* not from within */
    the_task = t;
    return status == MR_OK ? MR_PENDING : status;
}
static const mr_param loop_params[] = {{.name = "wait", .type = MR_INT, .default_json = "-1"},
                                       {.name = "called", .type = MR_INT, .default_json = "0"},
                                       {.name = NULL}};
static void loop_cancel(mr_task *t)
{
}
ACTION(loop, .where = MR_ON_LOOP, .params = loop_params, .run = loop_run, .cancel = loop_cancel);
ACTION(loop_bare, .where = MR_ON_LOOP, .params = loop_params, .run = loop_run);

static void loop__is_called_back_later_also_when_it_is_free(void **state)
{
    fixture_start(f, &loop, 1, NULL);
    assert_int_equal(called, 0);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(called, 1);
    assert_int_equal(told_status, MR_OK);
    assert_true(told_fence > 0);
}

static void loop__waits_without_a_thread(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &loop, 2, NULL);
    fixture_start(f, &loop, 3, "{\"wait\":20}");
    fixture_start(f, &loop, 4, "{\"wait\":0}");
    assert_true(fixture_run_until(f, &called, 2, 5000));
    assert_string_equal(fixture_end_of(f, 4)->reason, "in use");
    assert_string_equal(fixture_end_of(f, 3)->reason, "timed out");
    open_gate = true;
    assert_true(fixture_run(f, 4, 5000));
    assert_int_equal(called, 3);
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_SUCCESS);
    assert_true(told_fence > last_fence);
}

static void loop__is_called_back_when_it_is_to_stop(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &loop, 2, NULL);
    fixture_cancel(f, 2, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(told_status, MR_ECANCELED);
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
}

static void loop__that_is_ended_by_the_host_waits_no_longer(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &loop_bare, 2, NULL);
    fixture_cancel(f, 2, MR_BY_USER);
    assert_int_equal(f->end_count, 1);
    open_gate = true;
    assert_true(fixture_run(f, 2, 5000));
    fixture_start(f, &asks, 3, NULL);
    assert_true(fixture_run(f, 3, 5000));
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(called, 0);
    assert_int_equal(mr_finish(the_task, MR_OK), MR_OK);
}

static mr_status keeps_run(mr_task *t)
{
    mr_lock_options options = options_of(500, 0);
    the_task = t;
    return mr_lock(t, "x", &options, NULL) == MR_OK ? MR_PENDING : MR_EFAILED;
}
ACTION(keeps, .where = MR_ON_LOOP, .run = keeps_run);

static void abandoned__keeps_its_lock_until_its_time_is_over(void **state)
{
    fixture_start(f, &keeps, 1, NULL);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_int_equal(f->end_count, 1);
    fixture_start(f, &asks, 2, NULL);
    assert_true(fixture_run(f, 2, 5000));
    assert_string_equal(fixture_end_of(f, 2)->reason,
                        "lock \"x\" is held by task task-1 of run 07070707");
    assert_int_equal(mr_lock_renew(the_task, "x", 0), MR_EINVAL);
    fixture_start(f, &asks, 3, "{\"wait\":-1}");
    assert_true(fixture_run(f, 3, 5000));
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(mr_finish(the_task, MR_OK), MR_OK);
}

static void abandoned__lets_go_with_its_finish(void **state)
{
    fixture_start(f, &keeps, 1, NULL);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_int_equal(mr_finish(the_task, MR_OK), MR_OK);
    fixture_start(f, &asks, 2, NULL);
    assert_true(fixture_run(f, 2, 5000));
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_SUCCESS);
}

static mr_status at_once_run(mr_task *t)
{
    mr_lock_options waits = options_of(0, -1);
    assert_int_equal(mr_lock(t, "y", &waits, NULL), MR_OK);
    assert_int_equal(mr_lock_then(t, "x", &waits, on_lock, NULL), MR_OK);
    assert_int_equal(mr_lock_then(t, "z", &waits, on_lock, NULL), MR_OK);
    return MR_OK;
}
ACTION(at_once, .where = MR_ON_LOOP, .run = at_once_run);

static void loop__that_ends_at_once_lets_go_and_is_not_called_back(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &at_once, 2, NULL);
    fixture_start(f, &at_once, 3, NULL);
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(fixture_end_of(f, 3)->outcome, MR__OUTCOME_SUCCESS);
    open_gate = true;
    assert_true(fixture_run(f, 3, 5000));
    assert_int_equal(called, 0);
}

/* ---- what is asked for, and from where --------------------------------------------------------
 */

static void *other_thread(void *arg)
{
    mr_task *t = arg;
    assert_int_equal(mr_lock_renew(t, "x", 100), MR_OK);
    assert_int_equal(mr_unlock(t, "x"), MR_OK);
    assert_int_equal(mr_unlock(t, "x"), MR_ECONFLICT);
    return NULL;
}

static mr_status strict_run(mr_task *t)
{
    char name[MR__LOCK_NAME_BYTES_MAX + 2];
    mr_lock_options good = options_of(MR__LOCK_TTL_MS_MAX, 0), bad = good;
    pthread_t thread;
    memset(name, 'n', sizeof name);
    name[MR__LOCK_NAME_BYTES_MAX] = '\0';
    assert_int_equal(mr_lock(t, name, &good, NULL), MR_OK);
    name[MR__LOCK_NAME_BYTES_MAX] = 'n';
    name[MR__LOCK_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(mr_lock(t, name, NULL, NULL), MR_EINVAL);
    assert_int_equal(mr_lock(t, "", NULL, NULL), MR_EINVAL);
    assert_int_equal(mr_lock(t, NULL, NULL, NULL), MR_EINVAL);
    assert_int_equal(mr_lock(t, "\xff", NULL, NULL), MR_EINVAL);
    bad.ttl_ms = MR__LOCK_TTL_MS_MAX + 1;
    assert_int_equal(mr_lock(t, "x", &bad, NULL), MR_EINVAL);
    bad = options_of(-1, 0);
    assert_int_equal(mr_lock(t, "x", &bad, NULL), MR_EINVAL);
    bad = options_of(0, -2);
    assert_int_equal(mr_lock(t, "x", &bad, NULL), MR_EINVAL);
    bad = good;
    bad.flags = 1;
    assert_int_equal(mr_lock(t, "x", &bad, NULL), MR_EINVAL);
    bad = good;
    bad.size = 8;
    assert_int_equal(mr_lock(t, "x", &bad, NULL), MR_EINVAL);
    assert_int_equal(mr_lock_then(t, "x", NULL, on_lock, NULL), MR_EINVAL); /* a worker */
    assert_int_equal(mr_lock_renew(t, "x", -1), MR_EINVAL);
    assert_int_equal(mr_lock_renew(t, "x", MR__LOCK_TTL_MS_MAX + 1), MR_EINVAL);
    assert_int_equal(mr_unlock(t, NULL), MR_EINVAL);
    assert_int_equal(mr_lock(t, "x", NULL, NULL), MR_OK);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, t), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return MR_OK;
}
ACTION(strict, .where = MR_ON_WORKER, .run = strict_run);

static void arguments__that_are_none_are_refused(void **state)
{
    fixture_start(f, &strict, 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_true(f->note_count > 0);
}

static mr_status timed_run(mr_task *t)
{
    if (mr_lock(t, "x", NULL, NULL) != MR_OK) {
        return MR_EFAILED;
    }
    assert_int_equal(mr_finish_after(t, 5), MR_EINVAL); /* nobody would be there to hold it */
    assert_int_equal(mr_unlock(t, "x"), MR_OK);
    assert_int_equal(mr_finish_after(t, 5), MR_OK);
    assert_int_equal(mr_lock(t, "x", NULL, NULL), MR_EINVAL);
    return MR_PENDING;
}
ACTION(timed, .where = MR_ON_LOOP, .run = timed_run);

static void lock__does_not_go_with_finish_after(void **state)
{
    fixture_start(f, &timed, 1, NULL);
    assert_int_equal(f->waiting_count, 1);
}

static _Atomic bool taken, lost;

/* Its lock goes while the loop is in it, by the hand of a worker. */
static mr_status loser_run(mr_task *t)
{
    const mr_lock_options options = MR_LOCK(.ttl_ms = 1);
    assert_int_equal(mr_lock(t, "x", &options, NULL), MR_OK);
    atomic_store_explicit(&taken, true, memory_order_relaxed);
    while (!atomic_load_explicit(&lost, memory_order_relaxed)) {
        (void)usleep(1000);
    }
    return MR_OK;
}
ACTION(loser, .where = MR_ON_LOOP, .run = loser_run);

static mr_status finder_run(mr_task *t)
{
    while (!atomic_load_explicit(&taken, memory_order_relaxed) ||
           mr_lock(t, "x", NULL, NULL) != MR_OK) {
        (void)usleep(1000);
    }
    atomic_store_explicit(&lost, true, memory_order_relaxed);
    return MR_OK;
}
ACTION(finder, .where = MR_ON_WORKER, .run = finder_run);

/* That the lock was lost was looked at without the mutex. */
static void lock__that_was_lost_meanwhile(void **state)
{
    fixture_start(f, &finder, 1, NULL);
    fixture_start(f, &loser, 2, NULL);
    assert_true(fixture_run(f, 2, 20000));
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_SUCCESS);
}

/* The same reason again took memory each time. */
static mr_status tries_run(mr_task *t)
{
    struct mr__task *task = mr__task_of(t);
    assert_int_equal(mr_lock(t, "x", NULL, NULL), MR_EBUSY);
    size_t bytes = task->arena.bytes;
    const char *reason = task->reason;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(mr_lock(t, "x", NULL, NULL), MR_EBUSY);
    }
    assert_int_equal(task->arena.bytes, bytes);
    assert_ptr_equal(task->reason, reason);
    return MR_OK;
}
ACTION(tries, .where = MR_ON_WORKER, .run = tries_run);

static void trying_in_a_loop__takes_no_memory(void **state)
{
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &tries, 2, NULL);
    assert_true(fixture_run(f, 1, 20000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
}

static void lock_of__names_the_lock_and_its_holder(void **state)
{
    struct mr__lock_waited waited;
    struct mr__attempt_ref one = fixture_ref(1, 1, 1), two = fixture_ref(1, 2, 1);
    fixture_start(f, &holder, 1, NULL);
    wait_entered(1);
    fixture_start(f, &asks, 2, "{\"wait\":-1}");
    while (!f->x->ops->lock_of(f->x, &two, &waited)) {
        (void)usleep(1000);
    }
    assert_string_equal(waited.name, "x");
    assert_string_equal(waited.task, "task-1");
    assert_memory_equal(waited.run_id, one.run_id, MR__RUN_ID_BYTES);
    int64_t now = mr__clock_system()->wall_ms(mr__clock_system());
    assert_true(waited.since_ms <= now && waited.since_ms > now - 60000);
    assert_false(f->x->ops->lock_of(f->x, &one, &waited));
    one.task = 9;
    assert_false(f->x->ops->lock_of(f->x, &one, &waited));
}

/* ---- an older host ----------------------------------------------------------------------------
 */

static uint32_t traced;

static void count_trace(mr_task *t, const char *fmt, va_list args)
{
    traced++;
}

static void wrappers__do_without_what_an_older_host_lacks(void **state)
{
    mr_host host = mr__task_host;
    mr_task task = {.host = &host};
    uint64_t fence = 7;
    host.size = offsetof(mr_host, log_line); /* 1.1 */
    host.trace = count_trace;
    assert_int_equal(mr_lock(&task, "x", NULL, &fence), MR_ENOSYS);
    assert_int_equal(mr_lock_then(&task, "x", NULL, on_lock, NULL), MR_ENOSYS);
    assert_int_equal(mr_lock_renew(&task, "x", 0), MR_ENOSYS);
    assert_int_equal(mr_unlock(&task, "x"), MR_ENOSYS);
    mr_heartbeat(&task);
    mr_progress(&task, 0.5, "x");
    mr_logf(&task, MR_LOG_ERROR, "x");
    assert_int_equal(traced, 1);
    assert_int_equal(fence, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(worker__is_refused_or_late_with_the_holders_name),
        TEST(worker__gets_it_when_the_holders_attempt_ends),
        TEST(worker__that_waits_is_alive),
        TEST(worker__that_waits_ends_with_a_cancel),
        TEST(worker__that_waits_ends_with_a_shutdown),
        TEST(time_over__wakes_a_worker_that_waits),
        TEST(workers__exclude_each_other),
        TEST(loop__is_called_back_later_also_when_it_is_free),
        TEST(loop__waits_without_a_thread),
        TEST(loop__is_called_back_when_it_is_to_stop),
        TEST(loop__that_is_ended_by_the_host_waits_no_longer),
        TEST(abandoned__keeps_its_lock_until_its_time_is_over),
        TEST(abandoned__lets_go_with_its_finish),
        TEST(loop__that_ends_at_once_lets_go_and_is_not_called_back),
        TEST(arguments__that_are_none_are_refused),
        TEST(lock__does_not_go_with_finish_after),
        TEST(lock__that_was_lost_meanwhile),
        TEST(trying_in_a_loop__takes_no_memory),
        TEST(lock_of__names_the_lock_and_its_holder),
        TEST(wrappers__do_without_what_an_older_host_lacks),
    };
    return cmocka_run_group_tests_name("task_lock", tests, NULL, NULL);
}
