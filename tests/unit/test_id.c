/* SPDX-License-Identifier: MIT
 *
 * Goal: run ids are UUIDv7, strictly increasing whatever the clock does, with the shard in its
 * place. Method: a clock that stands, jumps ahead and goes back; known bits; text there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/id.h"

#include <cmocka.h> /* last: its macros take plain words */

static void fill_with_ones(void *user, void *bytes, size_t len)
{
    memset(bytes, 0xff, len);
}

static void id__has_the_layout_of_uuidv7(void **state)
{
    struct mr__id_source source;
    uint8_t id[MR__RUN_ID_BYTES];
    char text[MR__RUN_ID_TEXT_BYTES];
    mr__id_source_init(&source, 0x2a5);
    source.random = fill_with_ones;
    mr__id_next(&source, INT64_C(0x0123456789ab), id);
    mr__id_text(id, text);
    /* variant 10, shard 10 1010 0101, then 52 bits of one */
    assert_string_equal(text, "01234567-89ab-7000-aa5f-ffffffffffff");
    mr__id_next(&source, INT64_C(0x0123456789ab), id);
    mr__id_text(id, text);
    assert_string_equal(text, "01234567-89ab-7001-aa5f-ffffffffffff");
}

static void id__increases_whatever_the_clock_does(void **state)
{
    struct mr__id_source source;
    uint8_t before[MR__RUN_ID_BYTES] = {0}, id[MR__RUN_ID_BYTES];
    int64_t now = INT64_C(1795486089123);
    mr__id_source_init(&source, 3);
    for (int i = 0; i < 20000; i++) { /* more than a millisecond has room for */
        now += i == 10000 ? -3600000 : i == 15000 ? 7200000 : 0;
        mr__id_next(&source, i == 17000 ? -5 : now, id);
        assert_true(memcmp(before, id, sizeof id) < 0);
        assert_int_equal(id[6] >> 4, 7);
        assert_int_equal(id[8] >> 6, 2);
        assert_int_equal((id[8] & 0x3f) << 4 | id[9] >> 4, 3);
        memcpy(before, id, sizeof id);
    }
}

static void id__goes_on_behind_what_it_has_seen(void **state)
{
    struct mr__id_source old, new;
    uint8_t seen[MR__RUN_ID_BYTES], id[MR__RUN_ID_BYTES];
    mr__id_source_init(&old, 0);
    mr__id_source_init(&new, 0);
    for (int i = 0; i < 5000; i++) {
        mr__id_next(&old, 2000000, seen);
    }
    mr__id_seen(&new, seen);
    mr__id_next(&new, 1000, id);
    assert_true(memcmp(seen, id, sizeof id) < 0);
    mr__id_seen(&new, (const uint8_t[MR__RUN_ID_BYTES]){0}); /* an old one changes nothing */
    memcpy(seen, id, sizeof id);
    mr__id_next(&new, 1000, id);
    assert_true(memcmp(seen, id, sizeof id) < 0);
}

static void id__differs_between_sources(void **state)
{
    struct mr__id_source a, b;
    uint8_t one[MR__RUN_ID_BYTES], two[MR__RUN_ID_BYTES];
    mr__id_source_init(&a, 0);
    mr__id_source_init(&b, 0);
    mr__id_next(&a, 1000, one);
    mr__id_next(&b, 1000, two);
    assert_memory_equal(one, two, 9);
    assert_memory_not_equal(one, two, MR__RUN_ID_BYTES);
}

static void id__reads_its_text(void **state)
{
    static const char *const wrong[] = {"",
                                        "019abcde-f012-7345-8678-9abcdef0123",
                                        "019abcde-f012-7345-8678-9abcdef012345",
                                        "019abcdef012-7345-8678-9abcdef012345-",
                                        "019abcde-f012-7345-8678-9abcdef0123g",
                                        "019abcde_f012-7345-8678-9abcdef01234",
                                        "019abcde-f012-7345-8678 9abcdef01234"};
    static const char good[] = "019abcde-f012-7345-8678-9abcdef01234";
    uint8_t id[MR__RUN_ID_BYTES], again[MR__RUN_ID_BYTES];
    char text[MR__RUN_ID_TEXT_BYTES];
    assert_true(mr__id_parse(good, strlen(good), id));
    mr__id_text(id, text);
    assert_string_equal(text, good);
    assert_true(mr__id_parse("019ABCDE-F012-7345-8678-9ABCDEF01234", strlen(good), again));
    assert_memory_equal(id, again, sizeof id);
    for (size_t i = 0; i < MR__COUNT(wrong); i++) {
        assert_false(mr__id_parse(wrong[i], strlen(wrong[i]), again));
    }
    assert_memory_equal(id, again, sizeof id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id__has_the_layout_of_uuidv7),
        cmocka_unit_test(id__increases_whatever_the_clock_does),
        cmocka_unit_test(id__goes_on_behind_what_it_has_seen),
        cmocka_unit_test(id__differs_between_sources),
        cmocka_unit_test(id__reads_its_text),
    };
    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
