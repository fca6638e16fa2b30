/* SPDX-License-Identifier: MIT
 *
 * Goal: the table holds what was put and not deleted, whatever the order. Method: a model (a plain
 * array) beside it through 200,000 seeded operations; the digests against known ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/hash.h"

#include <cmocka.h> /* last: its macros take plain words */

enum { KEYS = 3000 };
static char keys[KEYS][16];

static void hash__agrees_with_a_model(void **state)
{
    static uint64_t numbers[KEYS];
    static bool present[KEYS];
    struct mr__hash table;
    uint64_t seed = 88172645463325252u;
    size_t count = 0;
    mr__hash_init(&table);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "key-%d", i);
    }
    for (int i = 0; i < 200000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        size_t key = seed % KEYS, len = strlen(keys[key]);
        uint64_t got = 0;
        switch ((seed >> 32) % 3) {
        case 0:
            assert_int_equal(mr__hash_put(&table, keys[key], len, seed), MR_OK);
            count += !present[key];
            present[key] = true;
            numbers[key] = seed;
            break;
        case 1:
            assert_int_equal(mr__hash_del(&table, keys[key], len), present[key]);
            count -= present[key];
            present[key] = false;
            break;
        default:
            assert_int_equal(mr__hash_get(&table, keys[key], len, &got), present[key]);
            assert_true(!present[key] || got == numbers[key]);
            break;
        }
        assert_int_equal(table.count, count);
    }
    mr__hash_finish(&table);
}

static void hash__keys_are_bytes(void **state)
{
    struct mr__hash table;
    uint64_t number;
    mr__hash_init(&table);
    assert_false(mr__hash_get(&table, "a", 1, &number)); /* of an empty one */
    assert_false(mr__hash_del(&table, "a", 1));
    assert_int_equal(mr__hash_put(&table, "a\0b", 3, 1), MR_OK);
    assert_int_equal(mr__hash_put(&table, "a\0c", 3, 2), MR_OK);
    assert_int_equal(mr__hash_put(&table, "", 0, 3), MR_OK);
    assert_true(mr__hash_get(&table, "a\0c", 3, &number) && number == 2);
    assert_true(mr__hash_get(&table, "a\0b", 3, &number) && number == 1);
    assert_true(mr__hash_get(&table, "x", 0, &number) && number == 3);
    assert_false(mr__hash_get(&table, "a", 1, &number));
    assert_int_equal(mr__hash_put(&table, "a\0c", 3, 4), MR_OK);
    assert_true(mr__hash_get(&table, "a\0c", 3, &number) && number == 4);
    assert_int_equal(table.count, 3);
    mr__hash_finish(&table);
}

static void hash__digests_never_change(void **state)
{
    /* They are on disk: a store that was written must be readable. The empty input's are XXH3's
     * own. */
    static const uint8_t empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                      0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    uint8_t digest[16];
    assert_true(mr__hash64("", 0) == UINT64_C(0x2d06800538d394c2));
    mr__hash128("", 0, digest);
    assert_memory_equal(digest, empty, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__agrees_with_a_model),
        cmocka_unit_test(hash__keys_are_bytes),
        cmocka_unit_test(hash__digests_never_change),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
