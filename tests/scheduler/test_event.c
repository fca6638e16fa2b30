/* SPDX-License-Identifier: MIT
 *
 * Goal: the codec of events gives back what it was given, byte for byte where it is written again,
 * and no bytes at all make it crash or give an event that is none. Method: random events in random
 * series, cut at every place and with every byte changed; for the fixed ones, the bytes themselves,
 * since they are on disks.
 */
#include "tests/scheduler/fixture.h"

static uint64_t seed_state;

static uint64_t rnd(void)
{
    uint64_t z = seed_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static char pool[4096];

static struct mr__blob random_blob(size_t max)
{
    size_t len = rnd() % 8 == 0 ? rnd() % max : rnd() % 12;
    return (struct mr__blob){pool + rnd() % (sizeof pool - len), len};
}

static int64_t random_time(void)
{
    switch (rnd() % 8) {
    case 0: return 0;
    case 1: return INT64_MAX;
    case 2: return -(int64_t)(rnd() % 100000);
    default: return (int64_t)(NOW + rnd() % 100000);
    }
}

static uint32_t random_task(void)
{
    return rnd() % 4 == 0 ? (uint32_t)(rnd() % MR__DAG_TASKS_MAX) : (uint32_t)(rnd() % 200);
}

static struct mr__event random_event(void)
{
    struct mr__event event = {.type = (uint8_t)(1 + rnd() % MR__EVENT_HOOKS_DONE),
                              .time_ms = random_time()};
    switch (event.type) {
    case MR__EVENT_RUN_CREATED:
        event.id = (const uint8_t *)pool + rnd() % 4000;
        event.version = (const uint8_t *)pool + rnd() % 4000;
        event.dag = random_blob(128);
        event.folder = random_blob(1000);
        event.vars = random_blob(2000);
        event.tags = random_blob(500);
        event.key = random_blob(256);
        event.token = random_blob(64);
        break;
    case MR__EVENT_SHARE_SET:
        event.key = random_blob(MR__SHARE_KEY_BYTES_MAX);
        event.task = random_task();
        break;
    case MR__EVENT_TASK_FANNED:
        event.count = (uint32_t)(rnd() % (MR__FAN_ITEMS_MAX + 1));
        event.task = random_task();
        break;
    case MR__EVENT_HOOKS_DUE:
        event.status = (uint8_t)(rnd() % MR__RUN_STATUSES); /* and: */
    /* fall through */
    case MR__EVENT_HOOKS_DONE: event.count = (uint32_t)(rnd() % (1u << MR__HOOKS)); break;
    case MR__EVENT_TASK_DELAYED:
    case MR__EVENT_ATTEMPT_WAITING:
        event.ms = (int64_t)(rnd() >> (rnd() % 63 + 1)); /* and: */
    /* fall through */
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_ATTEMPT_ENDING:
    case MR__EVENT_TASK_PREPARED:
    case MR__EVENT_TASK_DUE:
    case MR__EVENT_TASK_CANCELING:
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED: event.task = random_task(); break;
    case MR__EVENT_ATTEMPT_ENDED:
        event.outcome = (uint8_t)(rnd() % MR__OUTCOMES);
        event.status = (uint8_t)(rnd() % MR__TASK_STATUSES);
        event.task = random_task();
        break;
    case MR__EVENT_TASK_SET:
        event.status = (uint8_t)(rnd() % MR__TASK_STATUSES);
        event.outcome = (uint8_t)(rnd() % 2);
        event.task = random_task();
        break;
    case MR__EVENT_CANCEL_REQUESTED: event.outcome = (uint8_t)(rnd() % 2); break;
    case MR__EVENT_RUN_SETTLED: event.status = (uint8_t)(rnd() % MR__RUN_STATUSES); break;
    default: break;
    }
    if (rnd() % 3 == 0) {
        event.reason = random_blob(MR__REASON_BYTES_MAX);
    }
    if (rnd() % 3 == 0) {
        event.payload = random_blob(3000);
    }
    return event;
}

static void assert_blob(struct mr__blob a, struct mr__blob b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0) {
        assert_memory_equal(a.data, b.data, a.len);
    }
}

static void assert_event(const struct mr__event *a, const struct mr__event *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->time_ms == b->time_ms);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->task, b->task);
    assert_true(a->ms == b->ms);
    assert_int_equal(a->count, b->count);
    assert_blob(a->reason, b->reason);
    assert_blob(a->payload, b->payload);
    assert_int_equal(a->payload.data == NULL, b->payload.data == NULL);
    assert_blob(a->key, b->key);
    if (a->type == MR__EVENT_RUN_CREATED) {
        assert_memory_equal(a->id, b->id, MR__RUN_ID_BYTES);
        assert_memory_equal(a->version, b->version, 16);
        assert_blob(a->dag, b->dag);
        assert_blob(a->folder, b->folder);
        assert_blob(a->vars, b->vars);
        assert_blob(a->tags, b->tags);
        assert_blob(a->token, b->token);
    }
}

static void event__random_series_come_back(void **state)
{
    enum { SERIES = 3000, EVENTS = 20 };
    for (uint64_t seed = 1; seed <= SERIES; seed++) {
        struct mr__event events[EVENTS], got;
        struct mr__buf buf, again;
        struct mr__reader r;
        int64_t last_ms = 0;
        seed_state = seed;
        mr__buf_init(&buf);
        mr__buf_init(&again);
        for (int i = 0; i < EVENTS; i++) {
            events[i] = random_event();
            mr__event_encode(&buf, &events[i], last_ms);
            last_ms = events[i].time_ms;
        }
        assert_false(buf.failed);
        mr__reader_init(&r, buf.data, buf.len);
        last_ms = 0;
        for (int i = 0; i < EVENTS; i++) {
            assert_true(mr__event_decode(&r, last_ms, &got));
            assert_event(&events[i], &got);
            mr__event_encode(&again, &got, last_ms);
            last_ms = got.time_ms;
        }
        assert_int_equal(mr__reader_left(&r), 0);
        assert_int_equal(again.len, buf.len);
        assert_memory_equal(again.data, buf.data, buf.len);
        mr__buf_finish(&buf);
        mr__buf_finish(&again);
    }
}

/* Whatever it is, it has only what an event may have. */
static void assert_well_formed(const struct mr__event *event, const uint8_t *bytes, size_t len)
{
    const struct mr__blob blobs[] = {event->reason, event->payload, event->dag, event->folder,
                                     event->vars,   event->tags,    event->key, event->token};
    assert_in_range(event->type, MR__EVENT_RUN_CREATED, MR__EVENT_HOOKS_DONE);
    assert_in_range(event->count, 0, MR__FAN_ITEMS_MAX);
    assert_in_range(event->status, 0, MR__TASK_STATUSES - 1);
    assert_in_range(event->outcome, 0, MR__OUTCOMES - 1);
    assert_true(event->ms >= 0);
    assert_string_not_equal(mr__event_name(event->type), "unknown");
    if (event->type == MR__EVENT_RUN_SETTLED || event->type == MR__EVENT_HOOKS_DUE) {
        (void)mr__run_status_name(event->status);
    } else {
        (void)mr__task_status_name(event->status);
    }
    for (size_t i = 0; i < MR__COUNT(blobs); i++) {
        if (blobs[i].data != NULL) {
            const uint8_t *at = (const uint8_t *)blobs[i].data;
            assert_true(at >= bytes && at + blobs[i].len <= bytes + len);
        }
    }
}

static bool decode_exactly(const uint8_t *bytes, size_t len, struct mr__event *ret_event)
{
    struct mr__reader r;
    /* At the end of a block of its own, so that a read too far is seen. */
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, bytes, len);
    mr__reader_init(&r, copy, len);
    bool ok = mr__event_decode(&r, NOW, ret_event);
    assert_int_equal(ok, !r.failed);
    assert_true(r.at <= r.end);
    if (ok) {
        assert_well_formed(ret_event, copy, len);
    }
    free(copy);
    return ok;
}

static void event__cut_short_is_refused(void **state)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct mr__buf buf;
        struct mr__event event, got;
        seed_state = seed;
        mr__buf_init(&buf);
        event = random_event();
        mr__event_encode(&buf, &event, NOW);
        for (size_t len = 0; len < buf.len; len += 1 + len / 64) {
            assert_false(decode_exactly(buf.data, len, &got));
        }
        assert_true(decode_exactly(buf.data, buf.len, &got));
        mr__buf_finish(&buf);
    }
}

static void event__damaged_bytes_never_give_a_broken_event(void **state)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct mr__buf buf;
        struct mr__event event, got;
        seed_state = seed;
        mr__buf_init(&buf);
        event = random_event();
        mr__event_encode(&buf, &event, NOW);
        for (size_t i = 0; i < MR__MIN(buf.len, 200); i++) {
            uint8_t before = buf.data[i];
            for (int k = 0; k < 8; k++) {
                buf.data[i] = k < 2 ? (uint8_t)(k * 0xff) : (uint8_t)rnd();
                (void)decode_exactly(buf.data, buf.len, &got);
            }
            buf.data[i] = before;
        }
        mr__buf_finish(&buf);
    }
}

static void event__noise_never_gives_a_broken_event(void **state)
{
    uint8_t bytes[64];
    struct mr__event got;
    for (uint64_t seed = 1; seed <= 50000; seed++) {
        seed_state = seed;
        size_t len = rnd() % sizeof bytes;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = rnd() % 2 ? (uint8_t)(rnd() % 16) : (uint8_t)rnd();
        }
        (void)decode_exactly(bytes, len, &got);
    }
}

static void event__unknown_types_and_values_are_refused(void **state)
{
    struct mr__event got;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t bytes[] = {(uint8_t)type, 0, 0, 0, 0, 0};
        bool known =
            (type & 0x1f) >= 2 && (type & 0x1f) <= MR__EVENT_HOOKS_DONE && (type & 0x80) == 0;
        if ((type & 0x1f) != MR__EVENT_RUN_CREATED) {
            assert_int_equal(decode_exactly(bytes, sizeof bytes, &got), known);
        }
    }
    const uint8_t outcome[] = {MR__EVENT_ATTEMPT_ENDED, 0, 0, MR__OUTCOMES << 4 | MR__TASK_FAILED};
    assert_false(decode_exactly(outcome, sizeof outcome, &got));
    const uint8_t status[] = {MR__EVENT_ATTEMPT_ENDED, 0, 0, MR__TASK_STATUSES};
    assert_false(decode_exactly(status, sizeof status, &got));
    const uint8_t why[] = {MR__EVENT_CANCEL_REQUESTED, 0, 2};
    assert_false(decode_exactly(why, sizeof why, &got));
    const uint8_t run[] = {MR__EVENT_RUN_SETTLED, 0, MR__RUN_STATUSES};
    assert_false(decode_exactly(run, sizeof run, &got));
    /* 2^63 ms: below zero as a number of 64 bits */
    const uint8_t ms[] = {MR__EVENT_ATTEMPT_WAITING,
                          0,
                          0,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x80,
                          0x01};
    assert_false(decode_exactly(ms, sizeof ms, &got));
    /* a task number that no dag can have */
    const uint8_t task[] = {MR__EVENT_TASK_RETRIED, 0, 0xff, 0xff, 0xff, 0xff, 0x0f};
    assert_false(decode_exactly(task, sizeof task, &got));
    /* more items, and other hooks, than there can be */
    const uint8_t items[] = {MR__EVENT_TASK_FANNED, 0, 0, 0xff, 0xff, 0xff, 0x01};
    assert_false(decode_exactly(items, sizeof items, &got));
    const uint8_t hooks[] = {MR__EVENT_HOOKS_DONE, 0, 0x80, 0x08};
    assert_false(decode_exactly(hooks, sizeof hooks, &got));
    const uint8_t kept[] = {MR__EVENT_TASK_SET, 0, 0, 2 << 4 | MR__TASK_SUCCESS};
    assert_false(decode_exactly(kept, sizeof kept, &got));
}

/* These bytes are on disks: if this fails, MR__EVENT_FORMAT must change. */
static void event__bytes_are_these(void **state)
{
    static const uint8_t want[] = {
        0x02, 0x02, 0x07,                                    /* started, 1 ms, task 7 */
        0x43, 0x01, 0x00, 0x64, 0x02, '{',  '}',             /* waiting, -1 ms, 100 ms, payload */
        0x24, 0x00, 0xac, 0x02, 0x16, 0x03, 'n',  'o',  '!', /* ended 300: failed, reason */
        0x05, 0x00, 0x01, 0x05,                              /* set 1: success */
        0x06, 0x00, 0x01,                                    /* cancel, by the run's timeout */
        0x07, 0x00, 0x02, 0x08, 0x00, 0x03, 0x09, 0x00,      /* retried, continued, reopened */
        0x0a, 0x00, 0x05,                                    /* ended: canceled */
        0x4b, 0x00, 0x01, 0x02, '{',  '}',                   /* prepared 1, params */
        0x4c, 0x00, 0x01, 0x01, '7',                         /* ending 1, output */
        0x0d, 0x00, 0x01, 0xe8, 0x07, 0x0e, 0x00, 0x01,      /* delayed by 1000 ms, due */
        0x0f, 0x00, 0x01,                                    /* canceling 1 */
        0x50, 0x00, 0x01, 0x01, 0x04, 0x01, '0',  0x01, '9', /* fanned 1: one item */
        0x51, 0x00, 0x01, 0x01, 'k',  0x01, '3',             /* share: k = 3 */
        0x12, 0x00, 0x13, 0x00,                              /* paused, unpaused */
        0x14, 0x00, 0x80, 0x04, 0x03, 0x15, 0x00, 0x01,      /* hooks due for success, done */
    };
    const struct mr__event events[] = {
        {.type = MR__EVENT_ATTEMPT_STARTED, .time_ms = 1, .task = 7},
        {.type = MR__EVENT_ATTEMPT_WAITING, .time_ms = 0, .ms = 100, .payload = {"{}", 2}},
        {.type = MR__EVENT_ATTEMPT_ENDED,
         .task = 300,
         .outcome = MR__OUTCOME_FAILED,
         .status = MR__TASK_FAILED,
         .reason = {"no!", 3}},
        {.type = MR__EVENT_TASK_SET, .task = 1, .status = MR__TASK_SUCCESS},
        {.type = MR__EVENT_CANCEL_REQUESTED, .outcome = MR__CANCEL_BY_RUN_TIMEOUT},
        {.type = MR__EVENT_TASK_RETRIED, .task = 2},
        {.type = MR__EVENT_TASK_CONTINUED, .task = 3},
        {.type = MR__EVENT_RUN_REOPENED},
        {.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_CANCELED},
        {.type = MR__EVENT_TASK_PREPARED, .task = 1, .payload = {"{}", 2}},
        {.type = MR__EVENT_ATTEMPT_ENDING, .task = 1, .payload = {"7", 1}},
        {.type = MR__EVENT_TASK_DELAYED, .task = 1, .ms = 1000},
        {.type = MR__EVENT_TASK_DUE, .task = 1},
        {.type = MR__EVENT_TASK_CANCELING, .task = 1},
        {.type = MR__EVENT_TASK_FANNED,
         .task = 1,
         .count = 1,
         .payload = {"\1"
                     "0\1"
                     "9",
                     4}},
        {.type = MR__EVENT_SHARE_SET, .task = 1, .key = {"k", 1}, .payload = {"3", 1}},
        {.type = MR__EVENT_RUN_PAUSED},
        {.type = MR__EVENT_RUN_UNPAUSED},
        {.type = MR__EVENT_HOOKS_DUE, .count = 1u << MR__HOOK_ON_EXIT, .status = MR__RUN_SUCCESS},
        {.type = MR__EVENT_HOOKS_DONE, .count = 1},
    };
    struct mr__buf buf;
    int64_t last_ms = 0;
    mr__buf_init(&buf);
    for (size_t i = 0; i < MR__COUNT(events); i++) {
        mr__event_encode(&buf, &events[i], last_ms);
        last_ms = events[i].time_ms;
    }
    assert_int_equal(buf.len, sizeof want);
    assert_memory_equal(buf.data, want, sizeof want);
    mr__buf_finish(&buf);
}

static void event__statuses_have_names(void **state)
{
    for (uint8_t status = 0; status < MR__RUN_STATUSES; status++) {
        assert_int_equal(mr__run_status_find(mr__run_status_name(status)), status);
    }
    assert_int_equal(mr__run_status_find("succes"), -1);
    assert_string_equal(mr__task_status_name(MR__TASK_BLOCKED), "blocked");
    assert_string_equal(mr__event_name(0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event__random_series_come_back),
        cmocka_unit_test(event__cut_short_is_refused),
        cmocka_unit_test(event__damaged_bytes_never_give_a_broken_event),
        cmocka_unit_test(event__noise_never_gives_a_broken_event),
        cmocka_unit_test(event__unknown_types_and_values_are_refused),
        cmocka_unit_test(event__bytes_are_these),
        cmocka_unit_test(event__statuses_have_names),
    };
    for (size_t i = 0; i < sizeof pool; i++) {
        pool[i] = (char)(i * 7 + i / 256);
    }
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
