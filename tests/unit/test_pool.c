/* SPDX-License-Identifier: MIT
 *
 * Goal: the worker pool runs every job once, on at most its number of threads, started on demand,
 * with all signals blocked; a job can be taken back; the end waits for nobody who is stuck. Method:
 * real threads and counters.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/exec/pool.h"

#include <cmocka.h> /* last: its macros take plain words */

static _Atomic uint32_t done, at_once, most;
static _Atomic bool let_go, holding, blocked;

static void count_job(struct mr__pool_job *job)
{
    uint32_t now = atomic_fetch_add(&at_once, 1) + 1;
    uint32_t before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
    }
    (void)usleep(500);
    atomic_fetch_sub(&at_once, 1);
    atomic_fetch_add(&done, 1);
}

static void holding_job(struct mr__pool_job *job)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    atomic_store(&blocked, sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGCHLD) == 1);
    atomic_store(&holding, true);
    while (!atomic_load(&let_go)) {
        (void)usleep(500);
    }
    atomic_fetch_add(&done, 1);
}

static void wait_for(uint32_t count)
{
    for (int i = 0; i < 20000 && atomic_load(&done) < count; i++) {
        (void)usleep(500);
    }
    assert_int_equal(atomic_load(&done), count);
}

static void wait_for_holder(void)
{
    for (int i = 0; i < 20000 && !atomic_load(&holding); i++) {
        (void)usleep(500);
    }
    assert_true(atomic_load(&holding));
}

static int set_up(void **state)
{
    atomic_store(&done, 0);
    atomic_store(&at_once, 0);
    atomic_store(&most, 0);
    atomic_store(&let_go, false);
    atomic_store(&holding, false);
    return 0;
}

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

static void pool__runs_each_job_once_within_its_bound(void **state)
{
    static struct mr__pool_job jobs[2000];
    struct mr__pool *pool;
    assert_int_equal(mr__pool_create(3, NULL, &pool), MR_OK);
    for (size_t i = 0; i < MR__COUNT(jobs); i++) {
        jobs[i].run = count_job;
        assert_int_equal(mr__pool_submit(pool, &jobs[i]), MR_OK);
    }
    wait_for(MR__COUNT(jobs));
    assert_true(atomic_load(&most) <= 3);
    mr__pool_destroy(pool);
    assert_int_equal(atomic_load(&done), MR__COUNT(jobs));
}

static void pool__starts_threads_on_demand(void **state)
{
    struct mr__pool_job jobs[2] = {{.run = count_job}, {.run = count_job}};
    struct mr__pool *pool;
    uint32_t before = threads_now();
    assert_int_equal(mr__pool_create(100, NULL, &pool), MR_OK);
    assert_int_equal(threads_now(), before);
    for (uint32_t i = 1; i <= 20; i++) { /* One after the other: one thread is enough. */
        assert_int_equal(mr__pool_submit(pool, &jobs[0]), MR_OK);
        wait_for(i);
        (void)usleep(2000);
    }
    assert_int_equal(threads_now(), before + 1);
    mr__pool_destroy(pool);
    assert_int_equal(threads_now(), before);
    mr__pool_destroy(NULL);
}

static void pool__gives_back_what_has_not_begun(void **state)
{
    struct mr__pool_job jobs[3] = {{.run = holding_job}, {.run = count_job}, {.run = count_job}};
    struct mr__pool *pool;
    assert_int_equal(mr__pool_create(1, NULL, &pool), MR_OK);
    assert_int_equal(mr__pool_submit(pool, &jobs[0]), MR_OK);
    wait_for_holder();
    assert_int_equal(mr__pool_submit(pool, &jobs[1]), MR_OK);
    assert_int_equal(mr__pool_submit(pool, &jobs[2]), MR_OK);
    assert_false(mr__pool_remove(pool, &jobs[0]));
    assert_true(mr__pool_remove(pool, &jobs[1]));
    assert_false(mr__pool_remove(pool, &jobs[1]));
    atomic_store(&let_go, true);
    wait_for(2);
    assert_true(atomic_load(&blocked));
    mr__pool_destroy(pool);
}

static void pool__end_waits_for_nobody_who_is_stuck(void **state)
{
    struct mr__pool_job jobs[2] = {{.run = holding_job}, {.run = count_job}};
    struct mr__pool *pool;
    assert_int_equal(mr__pool_create(1, NULL, &pool), MR_OK);
    assert_int_equal(mr__pool_submit(pool, &jobs[0]), MR_OK);
    wait_for_holder();
    assert_int_equal(mr__pool_submit(pool, &jobs[1]), MR_OK);
    mr__pool_destroy(pool); /* returns, and drops the second job */
    assert_int_equal(atomic_load(&done), 0);
    atomic_store(&let_go, true);
    wait_for(1);
    (void)usleep(50000);
    assert_int_equal(atomic_load(&done), 1);
}

static _Atomic uint32_t made, ended;

static void local_job(struct mr__pool_job *job)
{
    void **slot = mr__pool_local();
    if (*slot == NULL) {
        *slot = malloc(1);
        atomic_fetch_add(&made, 1);
    }
    count_job(job);
}

static void end_local(void *local)
{
    free(local);
    atomic_fetch_add(&ended, 1);
}

static void pool__gives_each_thread_a_slot_of_its_own(void **state)
{
    static struct mr__pool_job jobs[100];
    struct mr__pool *pool;
    atomic_store(&made, 0);
    atomic_store(&ended, 0);
    assert_null(mr__pool_local());
    assert_int_equal(mr__pool_create(2, end_local, &pool), MR_OK);
    for (size_t i = 0; i < MR__COUNT(jobs); i++) {
        jobs[i].run = local_job;
        assert_int_equal(mr__pool_submit(pool, &jobs[i]), MR_OK);
    }
    wait_for(MR__COUNT(jobs));
    mr__pool_destroy(pool);
    for (int i = 0; i < 2000 && atomic_load(&ended) < atomic_load(&made); i++) {
        (void)usleep(500); /* A thread that was just at work ends by itself. */
    }
    assert_in_range(atomic_load(&made), 1, 2);
    assert_int_equal(atomic_load(&ended), atomic_load(&made));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pool__runs_each_job_once_within_its_bound),
        TEST(pool__starts_threads_on_demand),
        TEST(pool__gives_back_what_has_not_begun),
        TEST(pool__end_waits_for_nobody_who_is_stuck),
        TEST(pool__gives_each_thread_a_slot_of_its_own),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
