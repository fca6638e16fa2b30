/* SPDX-License-Identifier: MIT
 *
 * Goal: the memory of the state: plans, slots that are used again, the ring of effects over its
 * growth, the list by oldest LSN, and a replay that takes no illegal event. Method: small cases by
 * hand, each list against a plain model of itself.
 */
#include "tests/scheduler/fixture.h"

static struct mr__run *add_run(struct mr__scheduler *s, struct mr__plan *plan, uint32_t n)
{
    uint8_t id[MR__RUN_ID_BYTES] = {0};
    uint32_t slot;
    struct mr__run *run;
    memcpy(id, &n, sizeof n);
    assert_int_equal(mr__slot_take(s, &slot), MR_OK);
    assert_int_equal(mr__run_create(s, slot, id, plan, &run), MR_OK);
    return run;
}

static void state__plans_bind_actions_and_count_what_is_missing(void **state)
{
    struct mr__plan *plan = fixture_plan("tasks:\n"
                                         "  - {id: a, action: job}\n"
                                         "  - {id: b, action: gone, dependOn: [a]}\n"
                                         "  - {id: c, dependOn: [a, b]}\n"
                                         "  - {id: d, action: loop}\n");
    assert_int_equal(plan->missing, 1);
    assert_int_equal(plan->root_count, 2);
    assert_int_equal(plan->roots[0], 0);
    assert_int_equal(plan->roots[1], 3);
    assert_int_equal(plan->initial[2].open, 2);
    assert_int_equal(plan->bindings[0].flags, MR__ACTION_KNOWN | MR__ACTION_JOB);
    assert_int_equal(plan->bindings[2].flags, 0);
    assert_ptr_equal(mr__plan_ref(plan), plan);
    mr__plan_unref(plan);
    mr__plan_unref(plan);
    mr__plan_unref(NULL);
}

static void state__slots_are_used_again(void **state)
{
    enum { RUNS = 1000 };
    struct mr__scheduler s;
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: loop}\n");
    static struct mr__run *runs[RUNS];
    static bool taken[4 * RUNS];
    mr__scheduler_init(&s, 1);
    for (uint32_t i = 0; i < RUNS; i++) {
        runs[i] = add_run(&s, plan, i);
        assert_false(taken[runs[i]->slot]);
        taken[runs[i]->slot] = true;
        assert_int_equal(runs[i]->slot, i); /* the lowest first: arrays stay short */
        assert_ptr_equal(mr__run_at(&s, i), runs[i]);
    }
    assert_int_equal(s.run_count, RUNS);
    uint32_t gen = runs[7]->gen, cap = s.runs_cap;
    for (uint32_t i = 0; i < RUNS; i += 2) {
        mr__run_release(&s, runs[i]);
    }
    assert_null(mr__run_at(&s, 0));
    for (uint32_t i = 0; i < RUNS; i += 2) {
        runs[i] = add_run(&s, plan, i + RUNS);
        assert_true(runs[i]->slot % 2 == 0 && runs[i]->slot < RUNS);
        assert_true(runs[i]->gen > gen);
    }
    assert_int_equal(s.runs_cap, cap);
    assert_int_equal(plan->refs, RUNS + 1);
    mr__scheduler_finish(&s);
    assert_int_equal(plan->refs, 1);
    mr__plan_unref(plan);
}

static void state__a_slot_or_id_that_is_taken_is_refused(void **state)
{
    struct mr__scheduler s;
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: loop}\n");
    struct mr__run *run, *other;
    uint8_t id[MR__RUN_ID_BYTES] = {9};
    mr__scheduler_init(&s, 1);
    run = add_run(&s, plan, 1);
    assert_int_equal(mr__run_create(&s, run->slot, id, plan, &other), MR_EFORMAT);
    assert_int_equal(mr__run_create(&s, run->slot + 1, run->id, plan, &other), MR_EFORMAT);
    assert_int_equal(mr__run_create(&s, MR__RUNS_LIVE_MAX, id, plan, &other), MR_ELIMIT);
    assert_int_equal(mr__run_create(&s, 5000, id, plan, &other), MR_OK);
    assert_ptr_equal(mr__run_find(&s, id), other);
    id[0] = 10;
    assert_null(mr__run_find(&s, id));
    assert_null(mr__run_at(&s, 1u << 30));
    mr__scheduler_finish(&s);
    mr__plan_unref(plan);
}

static void state__slots_after_a_replay(void **state)
{
    struct mr__scheduler s;
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: loop}\n");
    struct mr__run *run;
    bool taken[128] = {false};
    uint32_t slot;
    mr__scheduler_init(&s, 1);
    for (uint8_t i = 0; i < 40; i++) {
        uint8_t id[MR__RUN_ID_BYTES] = {i};
        assert_int_equal(mr__run_create(&s, 2u * i, id, plan, &run), MR_OK);
        taken[2 * i] = true;
    }
    assert_int_equal(mr__slots_rebuild(&s), MR_OK);
    for (int i = 0; i < 128 - 40; i++) {
        assert_int_equal(mr__slot_take(&s, &slot), MR_OK);
        assert_in_range(slot, 0, 127);
        assert_false(taken[slot]);
        taken[slot] = true;
    }
    mr__scheduler_finish(&s);
    mr__plan_unref(plan);
}

static void state__effects_keep_their_order_while_the_ring_grows(void **state)
{
    struct mr__scheduler s;
    struct mr__effect effect;
    uint32_t in = 0, out = 0;
    mr__scheduler_init(&s, 1);
    assert_false(mr__effect_pop(&s.now, &effect));
    for (uint32_t round = 1; round < 2000; round++) {
        for (uint32_t i = 0; i < round % 37; i++, in++) {
            mr__effect_push(&s, &s.now, MR__EFFECT_START, in, in + 1, in + 2);
        }
        for (uint32_t i = 0; i < round % 23 && mr__effect_pop(&s.now, &effect); i++, out++) {
            assert_int_equal(effect.kind, MR__EFFECT_START);
            assert_int_equal(effect.slot, out);
            assert_int_equal(effect.task, out + 1);
            assert_int_equal(effect.arg, out + 2);
        }
    }
    while (mr__effect_pop(&s.now, &effect)) {
        assert_int_equal(effect.slot, out++);
    }
    assert_int_equal(in, out);
    assert_true(s.now.cap >= 4096 && s.durable.cap == 0);
    mr__scheduler_finish(&s);
}

static void check_oldest(const struct mr__scheduler *s, const struct mr__run *const *want,
                         size_t count)
{
    const struct mr__run *before = NULL, *run = s->ckpt_head;
    for (size_t i = 0; i < count; i++, before = run, run = run->ckpt_next) {
        assert_ptr_equal(run, want[i]);
        assert_ptr_equal(run->ckpt_prev, before);
    }
    assert_null(run);
    assert_ptr_equal(s->ckpt_tail, before);
}

static void state__the_list_by_oldest_lsn(void **state)
{
    struct mr__scheduler s;
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: loop}\n");
    mr__scheduler_init(&s, 1);
    struct mr__run *a = add_run(&s, plan, 1), *b = add_run(&s, plan, 2), *c = add_run(&s, plan, 3);
    mr__run_touched(&s, b, 5);
    mr__run_touched(&s, a, 6);
    mr__run_touched(&s, c, 6);
    mr__run_touched(&s, b, 9); /* its oldest stays */
    assert_int_equal(b->oldest_lsn, 5);
    check_oldest(&s, (const struct mr__run *[]){b, a, c}, 3);
    mr__run_checkpointed(&s, a);
    mr__run_checkpointed(&s, a);
    check_oldest(&s, (const struct mr__run *[]){b, c}, 2);
    mr__run_touched(&s, a, 10);
    check_oldest(&s, (const struct mr__run *[]){b, c, a}, 3);
    mr__run_release(&s, b);
    check_oldest(&s, (const struct mr__run *[]){c, a}, 2);
    mr__run_release(&s, a);
    mr__run_checkpointed(&s, c);
    check_oldest(&s, NULL, 0);
    mr__scheduler_finish(&s);
    mr__plan_unref(plan);
}

static void state__a_run_that_waits_for_jobs_can_be_released(void **state)
{
    struct hand *h = hand_create(1);
    struct mr__plan *plan = fixture_plan("tasks:\n  - {id: a, action: job}\n");
    struct mr__run *runs[5];
    for (size_t i = 0; i < MR__COUNT(runs); i++) {
        runs[i] = hand_submit(h, plan);
    }
    mr__run_release(&h->s, runs[2]); /* in the middle of the queue, */
    mr__run_release(&h->s, runs[4]); /* its tail, */
    mr__run_release(&h->s, runs[1]); /* its head */
    check_scheduler(&h->s);
    hand_ok(h, runs[0], "a");
    assert_int_equal(runs[3]->status, MR__RUN_RUNNING);
    assert_null(h->s.job_head);
    assert_null(h->s.job_tail);
    hand_destroy(h);
    mr__plan_unref(plan);
}

/* ---- replay --------------------------------------------------------------------------------- */

static struct mr__run *fresh(struct mr__scheduler *s, struct mr__plan *plan)
{
    static uint32_t n;
    struct mr__buf log;
    struct mr__run *run = add_run(s, plan, ++n);
    struct mr__event created = {.type = MR__EVENT_RUN_CREATED,
                                .time_ms = NOW,
                                .id = run->id,
                                .version = plan->dag->version};
    mr__buf_init(&log);
    mr__event_encode(&log, &created, 0);
    assert_int_equal(mr__replay(s, run, log.data, log.len), MR_OK);
    mr__buf_finish(&log);
    return run;
}

static mr_status replay_one(struct mr__scheduler *s, struct mr__run *run, struct mr__event event)
{
    struct mr__buf log;
    mr__buf_init(&log);
    event.time_ms = NOW;
    mr__event_encode(&log, &event, run->last_ms);
    mr_status status = mr__replay(s, run, log.data, log.len);
    mr__buf_finish(&log);
    (void)check_run(run);
    return status;
}

static void state__illegal_events_are_refused_and_change_nothing(void **state)
{
    static const uint8_t an_id[MR__RUN_ID_BYTES];
    const struct mr__event illegal[] = {
        {.type = MR__EVENT_RUN_CREATED, .id = an_id, .version = an_id}, /* twice */
        {.type = MR__EVENT_ATTEMPT_STARTED, .task = 1}, /* its parent has not ended */
        {.type = MR__EVENT_ATTEMPT_STARTED, .task = 2}, /* there is none */
        {.type = MR__EVENT_ATTEMPT_WAITING, .task = 0},
        {.type = MR__EVENT_ATTEMPT_ENDED, .task = 0, .status = MR__TASK_SUCCESS},
        {.type = MR__EVENT_TASK_SET, .task = 0, .status = MR__TASK_RUNNING},
        {.type = MR__EVENT_TASK_SET, .task = 0, .status = MR__TASK_RETRYING},
        {.type = MR__EVENT_TASK_SET, .task = 0, .status = MR__TASK_INIT},
        {.type = MR__EVENT_TASK_RETRIED, .task = 0},
        {.type = MR__EVENT_TASK_CONTINUED, .task = 0},
        {.type = MR__EVENT_RUN_REOPENED},
        {.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_SUCCESS}, /* its task is ready */
        {.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_SCHEDULED},
        {.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_INIT},
    };
    struct mr__scheduler s;
    struct mr__plan *plan = fixture_plan("tasks:\n"
                                         "  - {id: a, action: loop}\n"
                                         "  - {id: b, action: loop, dependOn: [a]}\n");
    mr__scheduler_init(&s, 1);
    for (size_t i = 0; i < MR__COUNT(illegal); i++) {
        struct mr__run *run = fresh(&s, plan);
        struct mr__task before[2];
        memcpy(before, run->tasks, sizeof before);
        assert_int_equal(replay_one(&s, run, illegal[i]), MR_EFORMAT);
        assert_memory_equal(before, run->tasks, sizeof before);
        assert_int_equal(run->status, MR__RUN_INIT);
    }
    /* It does not begin with its creation. */
    assert_int_equal(mr__replay(&s, add_run(&s, plan, 5000), (const uint8_t *)"\x06\x00\x00", 3),
                     MR_EFORMAT);
    assert_int_equal(mr__replay(&s, fresh(&s, plan), (const uint8_t *)"\x1f\x00", 2), MR_EFORMAT);
    mr__scheduler_finish(&s);
    mr__plan_unref(plan);
}

static void state__after_the_end_only_a_reopening_is_legal(void **state)
{
    struct hand *h = hand_create(1);
    struct mr__run *run = hand_run(h, "tasks:\n  - {id: a, action: loop}\n");
    hand_fail(h, run, "a", "no");
    for (uint8_t type = MR__EVENT_ATTEMPT_STARTED; type <= MR__EVENT_RUN_SETTLED; type++) {
        struct mr__event event = {.type = type, .status = MR__TASK_SUCCESS};
        uint8_t before = run->status;
        mr_status status = replay_one(&h->s, run, event);
        assert_int_equal(status, type == MR__EVENT_RUN_REOPENED ? MR_OK : MR_EFORMAT);
        assert_true(type >= MR__EVENT_RUN_REOPENED || run->status == before);
        if (status == MR_OK) {
            break;
        }
    }
    assert_int_equal(run->status, MR__RUN_RUNNING);
    mr__scheduler_finish(&h->s);
    free(h);
}

static uint64_t noise_state;

static uint32_t noise(uint32_t n)
{
    noise_state = noise_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(noise_state >> 33) % n;
}

/* A journal is checked by sums, but a bug may write one that is none: what is accepted of it must
 * leave the state whole. */
static void state__any_series_of_events_leaves_the_state_whole(void **state)
{
    struct mr__plan *plan = fixture_plan("tasks:\n"
                                         "  - {id: a, action: loop}\n"
                                         "  - {id: b, action: job}\n"
                                         "  - {id: c, action: job, dependOn: [a, b]}\n"
                                         "  - {id: d, dependOn: [c]}\n"
                                         "  - {id: e, action: loop, dependOn: [a]}\n");
    uint32_t accepted = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct mr__scheduler s;
        mr__scheduler_init(&s, 1);
        struct mr__run *run = fresh(&s, plan);
        noise_state = seed;
        for (int i = 0; i < 60; i++) {
            size_t len = run->log.len;
            struct mr__event event = {
                .type = (uint8_t)(2 + noise(9)), .task = noise(6), .outcome = (uint8_t)noise(2)};
            event.status = (uint8_t)noise(event.type == MR__EVENT_RUN_SETTLED ? MR__RUN_STATUSES
                                                                              : MR__TASK_STATUSES);
            event.ms = noise(1000);
            if (replay_one(&s, run, event) == MR_OK) {
                accepted++;
            } else {
                run->log.len = len;
            }
        }
        mr__scheduler_finish(&s);
    }
    assert_true(accepted > 10000);
    mr__plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state__plans_bind_actions_and_count_what_is_missing),
        cmocka_unit_test(state__slots_are_used_again),
        cmocka_unit_test(state__a_slot_or_id_that_is_taken_is_refused),
        cmocka_unit_test(state__slots_after_a_replay),
        cmocka_unit_test(state__effects_keep_their_order_while_the_ring_grows),
        cmocka_unit_test(state__the_list_by_oldest_lsn),
        cmocka_unit_test(state__a_run_that_waits_for_jobs_can_be_released),
        cmocka_unit_test(state__illegal_events_are_refused_and_change_nothing),
        cmocka_unit_test(state__after_the_end_only_a_reopening_is_legal),
        cmocka_unit_test(state__any_series_of_events_leaves_the_state_whole),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
