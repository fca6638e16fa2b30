/* SPDX-License-Identifier: MIT
 *
 * Goal: the table of locks keeps its rules: one holder, those who wait in their order, time that
 * runs out, numbers that grow, limits. Method: time is an argument; and random calls against a
 * model that is a plain list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exec/locks.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__locks locks;
static struct mr__lock_owner a, b, c;
static uint32_t ended_count;
static struct mr__lock_wait *ended[8];

static void on_ended(void *user, struct mr__lock_wait *wait)
{
    assert_ptr_equal(user, &locks);
    ended[ended_count++ % MR__COUNT(ended)] = wait;
}

static int set_up(void **state)
{
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    memset(&c, 0, sizeof c);
    ended_count = 0;
    mr__locks_init(&locks, on_ended, &locks);
    return 0;
}

static int tear_down(void **state)
{
    mr__locks_drop(&locks, &a, 0);
    mr__locks_drop(&locks, &b, 0);
    mr__locks_drop(&locks, &c, 0);
    mr__locks_finish(&locks);
    return 0;
}

static struct mr__blob text(const char *name)
{
    return (struct mr__blob){name, strlen(name)};
}

/* For 1000 ms; waits if `wait` is not NULL, until `until_ms`. */
static mr_status take(struct mr__lock_owner *owner, const char *name, int64_t now_ms,
                      struct mr__lock_wait *wait, int64_t until_ms, uint64_t *ret_fence)
{
    uint64_t fence = 0;
    struct mr__lock_ask ask = {.name = text(name), .ttl_ms = 1000, .wait = wait};
    if (wait != NULL) {
        *wait = (struct mr__lock_wait){.timer = {.due_ms = until_ms}, .ttl_ms = 1000};
    }
    mr_status status = mr__locks_take(&locks, owner, &ask, now_ms, &fence);
    if (ret_fence != NULL) {
        *ret_fence = fence;
    }
    return status;
}

static mr_status unlock(struct mr__lock_owner *owner, const char *name, int64_t now_ms)
{
    return mr__locks_release(&locks, owner, text(name), now_ms);
}

static void lock__has_one_holder(void **state)
{
    uint64_t first, second;
    assert_int_equal(take(&a, "x", 0, NULL, 0, &first), MR_OK);
    assert_int_equal(take(&b, "x", 0, NULL, 0, NULL), MR_EBUSY);
    assert_int_equal(take(&b, "y", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(unlock(&b, "x", 0), MR_ECONFLICT);
    assert_int_equal(unlock(&a, "x", 0), MR_OK);
    assert_int_equal(unlock(&a, "x", 0), MR_ECONFLICT);
    assert_int_equal(take(&b, "x", 0, NULL, 0, &second), MR_OK);
    assert_true(second > first);
    assert_int_equal(a.count, 0);
    assert_int_equal(b.count, 2);
}

static void lock__is_let_go_as_often_as_it_was_taken(void **state)
{
    uint64_t first, again;
    assert_int_equal(take(&a, "x", 0, NULL, 0, &first), MR_OK);
    assert_int_equal(take(&a, "x", 500, NULL, 0, &again), MR_OK);
    assert_true(first == again);
    assert_int_equal(a.count, 1);
    assert_int_equal(unlock(&a, "x", 500), MR_OK);
    assert_int_equal(take(&b, "x", 1400, NULL, 0, NULL), MR_EBUSY); /* taking renewed it */
    assert_int_equal(unlock(&a, "x", 1400), MR_OK);
    assert_int_equal(take(&b, "x", 1400, NULL, 0, NULL), MR_OK);
}

static void waiting__is_in_the_order_of_coming(void **state)
{
    struct mr__lock_wait first, second;
    assert_int_equal(take(&a, "x", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(take(&b, "x", 1, &first, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(take(&c, "x", 2, &second, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(ended_count, 0);
    assert_int_equal(unlock(&a, "x", 3), MR_OK);
    assert_int_equal(ended_count, 1);
    assert_ptr_equal(ended[0], &first);
    assert_int_equal(first.status, MR_OK);
    assert_null(first.lock);
    assert_int_equal(take(&a, "x", 3, NULL, 0, NULL), MR_EBUSY); /* nobody passes the second */
    mr__locks_drop(&locks, &b, 4);
    assert_ptr_equal(ended[1], &second);
    assert_true(second.fence > first.fence);
    assert_ptr_equal(mr__locks_find(&locks, text("x"), 4)->holder, &c);
}

static void waiting__twice_for_the_same_lock_is_not_for_oneself(void **state)
{
    struct mr__lock_wait first, second, third;
    assert_int_equal(take(&a, "x", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(take(&b, "x", 0, &first, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(take(&c, "x", 0, &third, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(take(&b, "x", 0, &second, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(unlock(&a, "x", 0), MR_OK);
    assert_int_equal(ended_count, 2);
    assert_true(first.fence == second.fence);
    assert_int_equal(b.count, 1);
    assert_int_equal(unlock(&b, "x", 0), MR_OK);
    assert_int_equal(ended_count, 2);
    assert_int_equal(unlock(&b, "x", 0), MR_OK);
    assert_ptr_equal(ended[2], &third);
}

static void waiting__ends_with_its_time_or_when_left(void **state)
{
    struct mr__lock_wait late, left;
    assert_int_equal(take(&a, "x", 0, NULL, 0, NULL), MR_OK);
    assert_true(mr__locks_next_ms(&locks) == INT64_MAX); /* nobody waits: nothing is due */
    assert_int_equal(take(&b, "x", 0, &late, 300, NULL), MR_PENDING);
    assert_int_equal(take(&c, "x", 0, &left, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(mr__locks_next_ms(&locks), 300);
    mr__locks_expire(&locks, 299);
    assert_int_equal(ended_count, 0);
    mr__locks_expire(&locks, 300);
    assert_int_equal(ended_count, 1);
    assert_int_equal(late.status, MR_ETIMEDOUT);
    assert_int_equal(mr__locks_next_ms(&locks), 1000); /* the holder's time, for the other */
    mr__locks_leave(&locks, &c);
    assert_int_equal(left.status, MR_ECANCELED);
    assert_true(mr__locks_next_ms(&locks) == INT64_MAX);
    assert_int_equal(b.count + c.count, 0);
}

static void time_over__gives_it_to_the_next_with_a_greater_number(void **state)
{
    struct mr__lock_wait wait;
    uint64_t first;
    assert_int_equal(take(&a, "x", 0, NULL, 0, &first), MR_OK);
    assert_int_equal(take(&b, "x", 0, &wait, INT64_MAX, NULL), MR_PENDING);
    mr__locks_expire(&locks, 999);
    assert_int_equal(ended_count, 0);
    mr__locks_expire(&locks, 1000);
    assert_int_equal(wait.status, MR_OK);
    assert_true(wait.fence > first);
    assert_int_equal(a.count, 0);
    assert_int_equal(mr__locks_renew(&locks, &a, text("x"), 1000, 1000), MR_ECONFLICT);
    assert_int_equal(unlock(&a, "x", 1000), MR_ECONFLICT);
}

static void time_over__is_noticed_by_whoever_asks(void **state)
{
    uint64_t first, second;
    assert_int_equal(take(&a, "x", 0, NULL, 0, &first), MR_OK);
    assert_non_null(mr__locks_find(&locks, text("x"), 999));
    assert_null(mr__locks_find(&locks, text("x"), 1000));
    assert_int_equal(take(&b, "x", 999, NULL, 0, NULL), MR_EBUSY);
    assert_int_equal(take(&b, "x", 1000, NULL, 0, &second), MR_OK);
    assert_true(second > first);
    assert_int_equal(take(&a, "y", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(mr__locks_renew(&locks, &a, text("y"), 1000, 1000), MR_ECONFLICT);
    assert_int_equal(a.count, 0);
}

static void renewal__moves_the_end(void **state)
{
    struct mr__lock_wait wait;
    assert_int_equal(take(&a, "x", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(take(&b, "x", 0, &wait, INT64_MAX, NULL), MR_PENDING);
    assert_int_equal(mr__locks_renew(&locks, &a, text("x"), 5000, 900), MR_OK);
    assert_int_equal(mr__locks_next_ms(&locks), 5900);
    assert_int_equal(mr__locks_renew(&locks, &a, text("x"), 10, 900), MR_OK); /* also nearer */
    assert_int_equal(mr__locks_next_ms(&locks), 910);
    mr__locks_expire(&locks, 910);
    assert_int_equal(wait.status, MR_OK);
    assert_int_equal(mr__locks_renew(&locks, &b, text("none"), 10, 910), MR_ECONFLICT);
}

static void fence__is_above_that_of_every_earlier_epoch(void **state)
{
    uint64_t first, second, third;
    mr__locks_epoch(&locks, 7);
    assert_int_equal(take(&a, "x", 0, NULL, 0, &first), MR_OK);
    assert_int_equal(take(&a, "y", 0, NULL, 0, &second), MR_OK);
    mr__locks_drop(&locks, &a, 0);
    mr__locks_finish(&locks);
    mr__locks_init(&locks, on_ended, &locks); /* another engine */
    mr__locks_epoch(&locks, 8);
    mr__locks_epoch(&locks, 7); /* never back */
    assert_int_equal(take(&a, "x", 0, NULL, 0, &third), MR_OK);
    assert_true(first < second && second < third);
    assert_true(third > UINT64_C(8) << 40);
}

static void limits__of_an_owner(void **state)
{
    char name[16];
    struct mr__lock_wait wait;
    assert_int_equal(take(&b, "busy", 0, NULL, 0, NULL), MR_OK);
    for (uint32_t i = 0; i < MR__TASK_LOCKS_MAX - 1; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_int_equal(take(&a, name, 0, NULL, 0, NULL), MR_OK);
    }
    assert_int_equal(take(&a, "busy", 0, &wait, INT64_MAX, NULL), MR_PENDING); /* counts too */
    assert_int_equal(take(&a, "more", 0, NULL, 0, NULL), MR_ELIMIT);
    assert_int_equal(take(&a, "0", 0, NULL, 0, NULL), MR_OK); /* one that it has */
    mr__locks_leave(&locks, &a);
    assert_int_equal(take(&a, "more", 0, NULL, 0, NULL), MR_OK);
    assert_int_equal(take(&a, "busy", 0, &wait, INT64_MAX, NULL), MR_ELIMIT);
    for (uint32_t i = 2; i < MR__LOCK_TAKEN_MAX; i++) {
        assert_int_equal(take(&a, "0", 0, NULL, 0, NULL), MR_OK);
    }
    assert_int_equal(take(&a, "0", 0, NULL, 0, NULL), MR_ELIMIT);
}

static void limits__of_the_table(void **state)
{
    uint32_t count = MR__LOCKS_MAX / MR__TASK_LOCKS_MAX;
    struct mr__lock_owner *owners = calloc(count, sizeof *owners);
    char name[16];
    assert_non_null(owners);
    for (uint32_t i = 0; i < MR__LOCKS_MAX; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_int_equal(take(&owners[i / MR__TASK_LOCKS_MAX], name, 0, NULL, 0, NULL), MR_OK);
    }
    assert_int_equal(take(&a, "more", 0, NULL, 0, NULL), MR_ELIMIT);
    mr__locks_drop(&locks, &owners[0], 0);
    assert_int_equal(take(&a, "more", 0, NULL, 0, NULL), MR_OK);
    for (uint32_t i = 1; i < count; i++) {
        mr__locks_drop(&locks, &owners[i], 0);
    }
    free(owners);
}

/* ---- against a model --------------------------------------------------------------------------
 */

#define OWNERS 5
#define NAMES  3

/* One that holds the lock (the first of its line) or waits for it. */
struct model_row {
    uint32_t owner, taken;
    int64_t due_ms, until_ms;
    struct mr__lock_wait *wait; /* NULL: it holds it */
};
struct model {
    struct model_row line[OWNERS];
    uint32_t count;
};

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static void model_remove(struct model *m, uint32_t at, int64_t now_ms)
{
    memmove(&m->line[at], &m->line[at + 1], (m->count - at - 1) * sizeof m->line[0]);
    m->count--;
    if (at == 0 && m->count > 0) {
        m->line[0].wait = NULL;
        m->line[0].due_ms = now_ms + 1000;
    }
}

/* What is due, in the order of its time. */
static void model_expire(struct model *m, int64_t now_ms)
{
    for (bool again = true; again;) {
        int64_t first = INT64_MAX;
        uint32_t at = 0;
        for (uint32_t i = 0; i < m->count; i++) {
            int64_t due = i == 0 ? m->line[0].due_ms : m->line[i].until_ms;
            if (due < first) {
                first = due;
                at = i;
            }
        }
        again = first <= now_ms;
        if (again) {
            model_remove(m, at, now_ms);
        }
    }
}

static void random__calls_do_what_a_list_does(void **state)
{
    static const char *const names[NAMES] = {"x", "y", "z"};
    static struct mr__lock_owner owners[OWNERS];
    static struct mr__lock_wait waits[OWNERS][NAMES];
    struct model models[NAMES] = {0};
    int64_t now = 0;
    random_state = 20261125;
    print_message("[   note   ] seed %u\n", 20261125u);
    memset(owners, 0, sizeof owners);
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t o = random_below(OWNERS), n = random_below(NAMES), at = 0;
        struct model *m = &models[n];
        now += 100 * random_below(4) + 1; /* no two moments are the same */
        mr__locks_expire(&locks, now);
        for (uint32_t i = 0; i < NAMES; i++) {
            /* Without anybody who waits it is over when somebody asks. */
            if (models[i].count > 1 || i == n) {
                model_expire(&models[i], now);
            }
        }
        while (at < m->count && m->line[at].owner != o) {
            at++;
        }
        bool there = at < m->count, holds = there && at == 0;
        uint32_t what = random_below(8);
        if (what < 4 && (!there || holds)) {
            int64_t until = random_below(2) == 0 ? INT64_MAX : now + 100 * random_below(20) + 50;
            mr_status status = take(&owners[o], names[n], now, &waits[o][n], until, NULL);
            assert_int_equal(status, holds || m->count == 0 ? MR_OK : MR_PENDING);
            if (holds) {
                m->line[0].taken++;
                m->line[0].due_ms = MR__MAX(m->line[0].due_ms, now + 1000);
            } else {
                m->line[m->count] = (struct model_row){.owner = o,
                                                       .taken = 1,
                                                       .due_ms = now + 1000,
                                                       .until_ms = until,
                                                       .wait = m->count == 0 ? NULL : &waits[o][n]};
                m->count++;
            }
        } else if (what < 6) {
            assert_int_equal(unlock(&owners[o], names[n], now), holds ? MR_OK : MR_ECONFLICT);
            if (holds && --m->line[0].taken == 0) {
                model_remove(m, 0, now);
            }
        } else if (what == 6) {
            assert_int_equal(mr__locks_renew(&locks, &owners[o], text(names[n]), 700, now),
                             holds ? MR_OK : MR_ECONFLICT);
            if (holds) {
                m->line[0].due_ms = now + 700;
            }
        }
        const struct mr__lock *row = mr__locks_find(&locks, text(names[n]), now);
        assert_int_equal(row != NULL, m->count > 0);
        if (row != NULL) {
            const struct mr__lock_wait *wait = row->first;
            assert_ptr_equal(row->holder, &owners[m->line[0].owner]);
            assert_int_equal(row->timer.due_ms, m->line[0].due_ms);
            for (uint32_t i = 1; i < m->count; i++, wait = wait->next) {
                assert_ptr_equal(wait, m->line[i].wait);
            }
            assert_null(wait);
        }
    }
    for (uint32_t i = 0; i < OWNERS; i++) {
        mr__locks_drop(&locks, &owners[i], now);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lock__has_one_holder),
        TEST(lock__is_let_go_as_often_as_it_was_taken),
        TEST(waiting__is_in_the_order_of_coming),
        TEST(waiting__twice_for_the_same_lock_is_not_for_oneself),
        TEST(waiting__ends_with_its_time_or_when_left),
        TEST(time_over__gives_it_to_the_next_with_a_greater_number),
        TEST(time_over__is_noticed_by_whoever_asks),
        TEST(renewal__moves_the_end),
        TEST(fence__is_above_that_of_every_earlier_epoch),
        TEST(limits__of_an_owner),
        TEST(limits__of_the_table),
        TEST(random__calls_do_what_a_list_does),
    };
    return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
