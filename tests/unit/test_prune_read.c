/* SPDX-License-Identifier: MIT
 *
 * Goal: a step of a prune finds exactly the runs that may go, with all keys of each, in bounded
 * portions, and one that was not carried out is found again the same. Method: a history in memory,
 * whose runs ended one a second, beside the list of what must come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/engine/prune_read.h"

#define PARTS         40u
#define RUNS_PER_PART 25u
#define RUNS          (PARTS * RUNS_PER_PART)

struct fixture {
    struct mr__mem_image *image;
    struct mr__store *store;
    struct mr__batch batch;
};

static void on_commit(void *user, mr_status status, const mr_error *error)
{
    assert_int_equal(status, MR_OK);
}

static void commit(struct fixture *f)
{
    static const struct mr__guard none = {{NULL, 0}, {NULL, 0}};
    f->store->ops->commit(f->store, &f->batch, &none, on_commit, NULL);
    f->store->ops->poll(f->store);
    mr__batch_reset(&f->batch);
}

static void run_id(uint32_t i, uint8_t id[MR__RUN_ID_BYTES])
{
    memset(id, 0, MR__RUN_ID_BYTES);
    id[0] = (uint8_t)(i >> 8);
    id[1] = (uint8_t)i;
}

/* Even runs are of dag "even", odd ones of "odd"; every tenth has failed. Run i ended in second i.
 */
static const char *dag_of(uint32_t i)
{
    return i % 2 == 0 ? "even" : "odd";
}

static uint8_t status_of(uint32_t i)
{
    return i % 10 == 0 ? MR__RUN_FAILED : MR__RUN_SUCCESS;
}

static void put_entries(struct fixture *f, uint32_t i, const struct mr__place *place)
{
    uint8_t id[MR__RUN_ID_BYTES], bytes[MR__PLACE_BYTES];
    struct mr__key key;
    run_id(i, id);
    mr__place_write(place, bytes);
    mr__key_by_id(&key, id);
    mr__batch_put(&f->batch, key.bytes, key.len, bytes, sizeof bytes);
}

static void put_part(struct fixture *f, uint32_t number)
{
    struct mr__buf value, log;
    struct mr__key key;
    mr__buf_init(&value);
    mr__buf_init(&log);
    size_t begin = mr__record_begin(&value);
    for (uint32_t i = number * RUNS_PER_PART; i < (number + 1) * RUNS_PER_PART; i++) {
        uint8_t id[MR__RUN_ID_BYTES], version[16] = {0};
        const char *dag = dag_of(i);
        run_id(i, id);
        struct mr__event created = {.type = MR__EVENT_RUN_CREATED,
                                    .time_ms = i,
                                    .id = id,
                                    .version = version,
                                    .dag = {dag, strlen(dag)},
                                    .tags = {"{\"k\":\"v\"}", 9},
                                    .key = {"key", i == 7 ? 3 : 0}};
        mr__buf_reset(&log);
        mr__event_encode(&log, &created, 0);
        struct mr__finished finished = {.status = status_of(i),
                                        .started_ms = i * 1000,
                                        .ended_ms = i * 1000,
                                        .log = {(const char *)log.data, log.len}};
        struct mr__place place = {.lsn = number + 1, .offset = (uint32_t)value.len};
        mr__finished_write(&value, &finished);
        put_entries(f, i, &place);
    }
    mr__record_end(&value, begin);
    mr__key_history(&key, 0, number + 1, 0);
    mr__batch_put(&f->batch, key.bytes, key.len, value.data, value.len);
    mr__buf_finish(&value);
    mr__buf_finish(&log);
}

/* `indexed`: the LSN up to which the index is complete; 0: there is none yet. */
static void begin(struct fixture *f, uint64_t indexed)
{
    struct mr__mem_options options = {.notify = NULL};
    struct mr__key key;
    uint8_t id[MR__RUN_ID_BYTES];
    f->image = mr__mem_image_create();
    assert_int_equal(mr__store_mem_open(f->image, &options, &f->store), MR_OK);
    mr__batch_init(&f->batch);
    for (uint32_t i = 0; i < PARTS; i++) {
        put_part(f, i);
    }
    run_id(7, id);
    mr__key_idempotency(&key, (struct mr__blob){"key", 3});
    mr__batch_put(&f->batch, key.bytes, key.len, id, sizeof id);
    if (indexed > 0) {
        struct mr__buf value;
        mr__buf_init(&value);
        size_t at = mr__record_begin(&value);
        mr__buf_u64le(&value, indexed);
        mr__record_end(&value, at);
        mr__key_indexed(&key, 0);
        mr__batch_put(&f->batch, key.bytes, key.len, value.data, value.len);
        mr__buf_finish(&value);
    }
    commit(f);
}

static void end(struct fixture *f)
{
    mr__batch_finish(&f->batch);
    f->store->ops->close(f->store);
    mr__mem_image_destroy(f->image);
}

static const struct mr__prune_options any = {.before_ms = INT64_MAX, .status = -1};

/* Walks to the end; `goes` says of each run whether it was found. Every step is undone and read
 * again first. Returns how many steps there were. */
static unsigned walk(struct fixture *f, const struct mr__prune_options *options, bool goes[RUNS])
{
    struct mr__prune_step step;
    unsigned steps = 0;
    memset(goes, 0, RUNS * sizeof goes[0]);
    assert_int_equal(mr__prune_step_init(&step, options), MR_OK);
    for (; !step.done; steps++) {
        assert_true(steps < 1000);
        assert_int_equal(f->store->ops->read_now(f->store, mr__prune_step_read, &step), MR_OK);
        size_t runs = step.run_count, parts = step.part_count, ops = step.ops.count;
        mr__prune_step_undo(&step);
        assert_int_equal(f->store->ops->read_now(f->store, mr__prune_step_read, &step), MR_OK);
        assert_int_equal(step.run_count, runs);
        assert_int_equal(step.part_count, parts);
        assert_int_equal(step.ops.count, ops);
        assert_true(runs < MR__PRUNE_RUNS_STEP + RUNS_PER_PART);
        for (size_t i = 0; i < step.run_count; i++) {
            uint32_t n = (uint32_t)step.runs[i].id[0] << 8 | step.runs[i].id[1];
            assert_false(goes[n]);
            goes[n] = step.runs[i].fate == MR__PRUNE_GOES;
        }
    }
    mr__prune_step_finish(&step);
    return steps;
}

/* ---- which runs --------------------------------------------------------------------------------
 */

static void step__finds_all_that_are_meant(void **state)
{
    struct fixture f;
    bool goes[RUNS];
    begin(&f, PARTS);
    assert_true(walk(&f, &any, goes) >= RUNS / (MR__PRUNE_RUNS_STEP + RUNS_PER_PART));
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_true(goes[i]);
    }
    struct mr__prune_options options = any;
    options.before_ms = 555 * 1000;
    options.dag = "odd";
    (void)walk(&f, &options, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i < 555 && i % 2 == 1);
    }
    options = any;
    options.status = MR__RUN_FAILED;
    options.dry_run = true;
    (void)walk(&f, &options, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i % 10 == 0);
    }
    end(&f);
}

static void step__keeps_the_last_of_each_dag(void **state)
{
    struct fixture f;
    bool goes[RUNS];
    struct mr__prune_options options = any;
    begin(&f, PARTS);
    options.keep = 300; /* more than a step looks at: counts outlive it */
    (void)walk(&f, &options, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i < RUNS - 600);
    }
    options.before_ms = 100 * 1000;
    (void)walk(&f, &options, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i < 100);
    }
    options = any;
    options.keep = 3;
    options.status = MR__RUN_FAILED; /* all of them are of dag "even" */
    (void)walk(&f, &options, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i % 10 == 0 && i < RUNS - 30);
    }
    end(&f);
}

static void step__leaves_what_is_not_in_the_index(void **state)
{
    struct fixture f;
    bool goes[RUNS];
    begin(&f, 10);
    (void)walk(&f, &any, goes);
    for (uint32_t i = 0; i < RUNS; i++) {
        assert_int_equal(goes[i], i < 10 * RUNS_PER_PART);
    }
    end(&f);
    begin(&f, 0);
    assert_int_equal(walk(&f, &any, goes), 1);
    assert_false(goes[0]);
    end(&f);
}

static void step__reads_little_when_all_is_young(void **state)
{
    struct fixture f;
    bool goes[RUNS];
    struct mr__prune_options options = any;
    begin(&f, PARTS);
    options.before_ms = 0;
    assert_int_equal(walk(&f, &options, goes), 1);
    end(&f);
}

/* ---- what goes with them -----------------------------------------------------------------------
 */

static bool deletes(const struct mr__prune_step *step, const struct mr__key *key)
{
    for (size_t i = 0; i < step->ops.count; i++) {
        const struct mr__op *op = &step->ops.ops[i];
        if (op->kind == MR__OP_DEL && op->key_len == key->len &&
            memcmp(step->ops.bytes.data + op->key, key->bytes, key->len) == 0) {
            return true;
        }
    }
    return false;
}

static void step__takes_every_key_of_a_run(void **state)
{
    struct fixture f;
    struct mr__prune_step step;
    struct mr__key key;
    uint8_t id[MR__RUN_ID_BYTES];
    begin(&f, PARTS);
    assert_int_equal(mr__prune_step_init(&step, &any), MR_OK);
    assert_int_equal(f.store->ops->read_now(f.store, mr__prune_step_read, &step), MR_OK);
    run_id(7, id);
    mr__key_by_id(&key, id);
    assert_true(deletes(&step, &key));
    mr__key_by_dag(&key, "odd", id);
    assert_true(deletes(&step, &key));
    mr__key_by_status(&key, MR__RUN_SUCCESS, id);
    assert_true(deletes(&step, &key));
    mr__key_by_tag(&key, "k", "v", id);
    assert_true(deletes(&step, &key));
    mr__key_idempotency(&key, (struct mr__blob){"key", 3});
    assert_true(deletes(&step, &key));
    mr__prune_step_finish(&step);

    /* A key that another run has by now is not the old one's any more. */
    run_id(8, id);
    mr__batch_put(&f.batch, key.bytes, key.len, id, sizeof id);
    commit(&f);
    assert_int_equal(mr__prune_step_init(&step, &any), MR_OK);
    assert_int_equal(f.store->ops->read_now(f.store, mr__prune_step_read, &step), MR_OK);
    assert_false(deletes(&step, &key));
    mr__prune_step_finish(&step);
    end(&f);
}

static void step__knows_what_is_left_over_and_what_is_back(void **state)
{
    struct fixture f;
    struct mr__prune_step step;
    struct mr__key key;
    struct mr__place elsewhere = {.lsn = PARTS, .offset = 1};
    uint8_t id[MR__RUN_ID_BYTES];
    begin(&f, PARTS);
    put_entries(&f, 3, &elsewhere); /* it was retried and has ended again */
    run_id(4, id);
    mr__key_by_id(&key, id);
    mr__batch_del(&f.batch, key.bytes, key.len);
    run_id(5, id);
    mr__key_live(&key, 0, id); /* it was retried, and goes on */
    mr__batch_put(&f.batch, key.bytes, key.len, "x", 1);
    commit(&f);
    assert_int_equal(mr__prune_step_init(&step, &any), MR_OK);
    assert_int_equal(f.store->ops->read_now(f.store, mr__prune_step_read, &step), MR_OK);
    assert_int_equal(step.runs[2].fate, MR__PRUNE_GOES);
    assert_int_equal(step.runs[5].fate, MR__PRUNE_STAYS);
    assert_int_equal(step.runs[3].fate, MR__PRUNE_LEFT_OVER);
    assert_int_equal(step.runs[4].fate, MR__PRUNE_LEFT_OVER);
    assert_int_equal(step.runs[4].op_count, 0);
    mr__prune_step_finish(&step);
    end(&f);
}

/* Applies deletions of ranges, and forgets the rest. */
static void apply_ranges(struct fixture *f, const struct mr__prune_step *step)
{
    for (size_t i = 0; i < step->ops.count; i++) {
        if (step->ops.ops[i].kind == MR__OP_DEL_RANGE) {
            mr__batch_append(&f->batch, &step->ops, i, 1);
        }
    }
    commit(f);
}

static void step__takes_much_output_first(void **state)
{
    struct fixture f;
    struct mr__prune_step step;
    struct mr__key key;
    uint8_t id[MR__RUN_ID_BYTES];
    unsigned alone = 0;
    begin(&f, PARTS);
    run_id(30, id); /* of the second part */
    for (uint64_t n = 0; n < 5 * MR__PRUNE_LOG_KEYS_STEP / 2; n++) {
        mr__key_log(&key, id, MR__LOG_OUTPUT, 0, n);
        mr__batch_put(&f.batch, key.bytes, key.len, "x", 1);
    }
    commit(&f);
    assert_int_equal(mr__prune_step_init(&step, &any), MR_OK);
    assert_int_equal(f.store->ops->read_now(f.store, mr__prune_step_read, &step), MR_OK);
    assert_int_equal(step.part_count, 1); /* up to the one before it */
    for (;;) {
        assert_int_equal(f.store->ops->read_now(f.store, mr__prune_step_read, &step), MR_OK);
        if (step.part_count > 0) {
            break;
        }
        assert_int_equal(step.ops.count, 1);
        assert_int_equal(step.run_count, 0);
        apply_ranges(&f, &step);
        alone++;
    }
    assert_int_equal(alone, 2);
    assert_int_equal(step.runs[5].id[1], 30);
    assert_int_equal(step.runs[5].fate, MR__PRUNE_GOES);
    mr__prune_step_finish(&step);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__finds_all_that_are_meant),
        cmocka_unit_test(step__keeps_the_last_of_each_dag),
        cmocka_unit_test(step__leaves_what_is_not_in_the_index),
        cmocka_unit_test(step__reads_little_when_all_is_young),
        cmocka_unit_test(step__takes_every_key_of_a_run),
        cmocka_unit_test(step__knows_what_is_left_over_and_what_is_back),
        cmocka_unit_test(step__takes_much_output_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
