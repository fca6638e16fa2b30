/* SPDX-License-Identifier: MIT
 *
 * Goal: a batch holds what was added, in order, in memory that is kept for the next one, and one
 * that ran out of memory says so for good. Method: batches are read back through their own fields;
 * the code is included here with an allocator that fails on demand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base.h"

#include <cmocka.h>

static size_t allocations_left = SIZE_MAX; /* the one after these fails */

static void *failing_realloc(void *old, size_t bytes)
{
    return allocations_left-- == 0 ? NULL : realloc(old, bytes);
}

#define mr__realloc failing_realloc
#include "core/base/buf.c"
#include "core/store/batch.c"
#undef mr__realloc

static const struct mr__store_limits no_limits = {SIZE_MAX, SIZE_MAX, SIZE_MAX};

static void expect_op(const struct mr__batch *batch, size_t i, uint32_t kind, const char *key,
                      const char *value)
{
    const struct mr__op *op = &batch->ops[i];
    assert_true(i < batch->count);
    assert_int_equal(op->kind, kind);
    assert_int_equal(op->key_len, strlen(key));
    assert_memory_equal(batch->bytes.data + op->key, key, op->key_len);
    assert_int_equal(op->value_len, strlen(value));
    assert_memory_equal(batch->bytes.data + op->value, value, op->value_len);
}

static void batch__holds_operations_in_order(void **state)
{
    struct mr__batch batch;
    mr__batch_init(&batch);
    mr__batch_put(&batch, "c1", 2, "one", 3);
    mr__batch_del(&batch, "c2", 2);
    mr__batch_del_range(&batch, "h", 1, "i", 1);
    mr__batch_put(&batch, "c1", 2, NULL, 0);
    assert_int_equal(batch.count, 4);
    expect_op(&batch, 0, MR__OP_PUT, "c1", "one");
    expect_op(&batch, 1, MR__OP_DEL, "c2", "");
    expect_op(&batch, 2, MR__OP_DEL_RANGE, "h", "i");
    expect_op(&batch, 3, MR__OP_PUT, "c1", "");
    assert_int_equal(mr__batch_check(&batch, &no_limits, NULL), MR_OK);
    mr__batch_finish(&batch);
    mr__batch_finish(&batch); /* once more does no harm */
}

static void batch__appends_a_part_of_another(void **state)
{
    struct mr__batch to, from;
    mr__batch_init(&to);
    mr__batch_init(&from);
    mr__batch_put(&to, "c1", 2, "one", 3);
    mr__batch_put(&from, "c2", 2, "not this", 8);
    mr__batch_del(&from, "c3", 2);
    mr__batch_del_range(&from, "h", 1, "i", 1);
    mr__batch_put(&from, "c4", 2, "nor this", 8);
    mr__batch_append(&to, &from, 1, 2);
    mr__batch_append(&to, &from, 4, 0);
    assert_int_equal(to.count, 3);
    expect_op(&to, 0, MR__OP_PUT, "c1", "one");
    expect_op(&to, 1, MR__OP_DEL, "c3", "");
    expect_op(&to, 2, MR__OP_DEL_RANGE, "h", "i");
    assert_false(to.failed);
    from.failed = true;
    mr__batch_append(&to, &from, 0, 0);
    assert_true(to.failed);
    mr__batch_finish(&to);
    mr__batch_finish(&from);
}

static void batch__grows_and_is_reused_without_allocating(void **state)
{
    struct mr__batch batch;
    char key[16];
    mr__batch_init(&batch);
    for (unsigned round = 0; round < 3; round++) {
        allocations_left = round == 0 ? SIZE_MAX : 0;
        mr__batch_reset(&batch);
        assert_int_equal(batch.count, 0);
        for (unsigned i = 0; i < 10000; i++) {
            int len = snprintf(key, sizeof key, "x%u", i);
            mr__batch_put(&batch, key, (size_t)len, &i, sizeof i);
        }
        assert_false(batch.failed);
        assert_int_equal(batch.count, 10000);
        for (unsigned i = 0; i < 10000; i += 777) {
            (void)snprintf(key, sizeof key, "x%u", i);
            assert_int_equal(batch.ops[i].key_len, strlen(key));
            assert_memory_equal(batch.bytes.data + batch.ops[i].key, key, strlen(key));
            assert_memory_equal(batch.bytes.data + batch.ops[i].value, &i, sizeof i);
        }
    }
    allocations_left = SIZE_MAX;
    mr__batch_finish(&batch);
}

static void batch__out_of_memory_stays_until_reset(void **state)
{
    for (size_t n = 0;; n++) {
        struct mr__batch batch;
        mr_error error;
        mr__batch_init(&batch);
        allocations_left = n;
        for (unsigned i = 0; i < 100; i++) {
            mr__batch_put(&batch, "c1", 2, "0123456789", 10);
        }
        bool reached = allocations_left > n; /* it went below zero */
        allocations_left = SIZE_MAX;
        assert_int_equal(batch.failed, reached);
        if (!reached) {
            assert_true(n > 4);
            mr__batch_finish(&batch);
            return;
        }
        size_t count = batch.count;
        mr__batch_del(&batch, "c2", 2);
        assert_int_equal(batch.count, count);
        assert_int_equal(mr__batch_check(&batch, &no_limits, &error), MR_ENOMEM);
        mr__batch_reset(&batch);
        mr__batch_put(&batch, "c1", 2, "x", 1);
        assert_int_equal(mr__batch_check(&batch, &no_limits, &error), MR_OK);
        expect_op(&batch, 0, MR__OP_PUT, "c1", "x");
        mr__batch_finish(&batch);
    }
}

static void batch__check_stands_at_each_limit(void **state)
{
    struct mr__batch batch;
    mr_error error;
    mr__batch_init(&batch);
    mr__batch_put(&batch, "c1", 2, "0123456789", 10);
    mr__batch_del(&batch, "c2", 2);
    static const struct {
        struct mr__store_limits limits;
        mr_status expected;
    } rows[] = {
        {{2, 14, 10}, MR_OK},
        {{1, 14, 10}, MR_ELIMIT},
        {{2, 13, 10}, MR_ELIMIT},
        {{2, 14, 9}, MR_ELIMIT},
    };
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        assert_int_equal(mr__batch_check(&batch, &rows[i].limits, &error), rows[i].expected);
    }
    mr__batch_finish(&batch);
}

static void batch__check_knows_the_tables(void **state)
{
    unsigned known = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        struct mr__batch batch;
        uint8_t key = (uint8_t)byte;
        mr__batch_init(&batch);
        mr__batch_del_range(&batch, &key, 1, &key, 1); /* bounds, not keys */
        mr__batch_put(&batch, &key, 1, "", 0);
        mr_status status = mr__batch_check(&batch, &no_limits, NULL);
        assert_int_equal(status, mr__table_known(key) ? MR_OK : MR_EINVAL);
        known += status == MR_OK;
        mr__batch_finish(&batch);
    }
    assert_int_equal(known, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch__holds_operations_in_order),
        cmocka_unit_test(batch__appends_a_part_of_another),
        cmocka_unit_test(batch__grows_and_is_reused_without_allocating),
        cmocka_unit_test(batch__out_of_memory_stays_until_reset),
        cmocka_unit_test(batch__check_stands_at_each_limit),
        cmocka_unit_test(batch__check_knows_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
