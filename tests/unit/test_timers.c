/* SPDX-License-Identifier: MIT
 *
 * Goal: timers come out in the order in which they are due, also after a purge, and a purge takes
 * out exactly what nobody waits for. Method: random pushes, pops and purges beside a sorted array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/engine/timers.h"

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool keep_even(void *user, const struct mr__timer *timer)
{
    (void)user;
    return timer->task % 2 == 0;
}

static void timers__come_out_in_order(void **unused)
{
    (void)unused;
    struct mr__timers timers = {0};
    int64_t now = 0;
    size_t expected = 0;
    for (int round = 0; round < 20000; round++) {
        struct mr__timer timer = {.due_ms = now + (int64_t)(next_random() % 1000),
                                  .task = (uint32_t)next_random()};
        assert_int_equal(mr__timers_push(&timers, &timer), MR_OK);
        expected++;
        if (next_random() % 8 == 0) {
            int64_t last = INT64_MIN;
            now += (int64_t)(next_random() % 200);
            while (mr__timers_pop(&timers, now, &timer)) {
                assert_true(timer.due_ms >= last && timer.due_ms <= now);
                last = timer.due_ms;
                expected--;
            }
            assert_true(mr__timers_next(&timers) > now);
        }
        assert_int_equal(timers.count, expected);
    }
    mr__timers_finish(&timers);
}

static void timers__a_purge_keeps_what_counts_and_the_order(void **unused)
{
    (void)unused;
    struct mr__timers timers = {0};
    struct mr__timer timer = {0};
    size_t even = 0;
    for (uint32_t i = 0; !mr__timers_full(&timers); i++) {
        timer.due_ms = (int64_t)(next_random() % 100000);
        timer.task = (uint32_t)next_random();
        even += timer.task % 2 == 0;
        assert_int_equal(mr__timers_push(&timers, &timer), MR_OK);
    }
    mr__timers_purge(&timers, keep_even, NULL);
    assert_int_equal(timers.count, even);
    assert_false(mr__timers_full(&timers));
    int64_t last = INT64_MIN;
    while (mr__timers_pop(&timers, INT64_MAX - 1, &timer)) {
        assert_true(timer.task % 2 == 0 && timer.due_ms >= last);
        last = timer.due_ms;
        even--;
    }
    assert_int_equal(even, 0);
    assert_int_equal(mr__timers_next(&timers), INT64_MAX);
    mr__timers_finish(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers__come_out_in_order),
        cmocka_unit_test(timers__a_purge_keeps_what_counts_and_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
