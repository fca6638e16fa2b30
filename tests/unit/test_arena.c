/* SPDX-License-Identifier: MIT
 *
 * Goal: an arena gives aligned, zeroed memory that does not overlap, and gives it back all at once.
 * Method: many sizes with a pattern written to each; the sanitizers watch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"

#include <cmocka.h> /* last: its macros take plain words */

static void arena__memory_is_zeroed_and_aligned(void **state)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    for (size_t bytes = 0; bytes < 3000; bytes++) {
        unsigned char *memory = mr__arena_alloc(&arena, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(memory[i], 0);
        }
        memset(memory, 0xff, bytes);
        /* Text in between leaves the next address odd. */
        assert_non_null(mr__arena_bytes(&arena, 1 + bytes % 7));
    }
    mr__arena_finish(&arena);
}

static void arena__pieces_do_not_overlap(void **state)
{
    enum { COUNT = 5000 };
    static unsigned char *pieces[COUNT];
    struct mr__arena arena;
    mr__arena_init(&arena);
    for (int i = 0; i < COUNT; i++) {
        pieces[i] = (unsigned char *)mr__arena_bytes(&arena, (size_t)i % 300 + 1);
        assert_non_null(pieces[i]);
        memset(pieces[i], i % 251, (size_t)i % 300 + 1);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j <= i % 300; j++) {
            assert_int_equal(pieces[i][j], i % 251);
        }
    }
    mr__arena_finish(&arena);
}

static void arena__gives_large_pieces(void **state)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    char *large = mr__arena_alloc(&arena, 10u << 20);
    assert_non_null(large);
    large[(10u << 20) - 1] = 'x';
    assert_true(arena.bytes >= 10u << 20);
    assert_non_null(mr__arena_alloc(&arena, 16));
    assert_null(mr__arena_bytes(&arena, SIZE_MAX / 2)); /* out of memory, without a wrap */
    assert_null(mr__arena_alloc(&arena, SIZE_MAX - 8));
    assert_non_null(mr__arena_alloc(&arena, 16)); /* and of use afterwards */
    mr__arena_finish(&arena);
}

/* The fuzzer's find: nothing, asked for where the last block had ended at an odd address. */
static void arena__nothing_at_the_end_of_an_odd_block_is_aligned(void **state)
{
    for (size_t odd = 1; odd < 64; odd++) {
        struct mr__arena arena;
        mr__arena_init(&arena);
        assert_non_null(mr__arena_bytes(&arena, 5000 + odd)); /* a block made for it */
        while (arena.next < arena.end) {
            void *nothing = mr__arena_alloc(&arena, 0);
            assert_non_null(nothing);
            assert_int_equal((uintptr_t)nothing % _Alignof(max_align_t), 0);
            if (arena.next < arena.end) {
                assert_non_null(mr__arena_bytes(&arena, 1));
            }
        }
        assert_int_equal((uintptr_t)mr__arena_alloc(&arena, 0) % _Alignof(max_align_t), 0);
        mr__arena_finish(&arena);
    }
}

static void arena__copies_and_prints_text(void **state)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    assert_string_equal(mr__arena_dup(&arena, "abcdef", 3), "abc");
    assert_string_equal(mr__arena_dup(&arena, NULL, 0), "");
    assert_string_equal(mr__arena_printf(&arena, "%d and %s", 3, "four"), "3 and four");
    char *long_text = mr__arena_printf(&arena, "%05000d", 7);
    assert_int_equal(strlen(long_text), 5000);
    mr__arena_finish(&arena);
}

static void arena__reset_keeps_one_block(void **state)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr__arena_reset(&arena); /* of an empty one */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10000; i++) {
            assert_non_null(mr__arena_alloc(&arena, 100));
        }
        mr__arena_reset(&arena);
        assert_true(arena.bytes <= 512u << 10);
    }
    unsigned char *memory = mr__arena_alloc(&arena, 100);
    assert_int_equal(memory[99], 0); /* zeroed, though it was used before */
    mr__arena_finish(&arena);
    assert_int_equal(arena.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena__memory_is_zeroed_and_aligned),
        cmocka_unit_test(arena__pieces_do_not_overlap),
        cmocka_unit_test(arena__gives_large_pieces),
        cmocka_unit_test(arena__nothing_at_the_end_of_an_odd_block_is_aligned),
        cmocka_unit_test(arena__copies_and_prints_text),
        cmocka_unit_test(arena__reset_keeps_one_block),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
