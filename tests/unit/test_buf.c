/* SPDX-License-Identifier: MIT
 *
 * Goal: what is written to a buffer is read back, in the byte order that stores rely on, and a
 * reader never goes past its end. Method: numbers at every edge there and back, then every
 * shortened text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

#include <cmocka.h> /* last: its macros take plain words */

static void buf__numbers_come_back(void **state)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    for (int bit = 0; bit < 64; bit++) {
        for (int off = -1; off <= 1; off++) {
            mr__buf_varint(&buf, (UINT64_C(1) << bit) + (uint64_t)(int64_t)off);
            mr__buf_zigzag(&buf, (int64_t)((UINT64_C(1) << bit) + (uint64_t)(int64_t)off));
        }
    }
    mr__buf_zigzag(&buf, INT64_MIN);
    struct mr__reader r;
    mr__reader_init(&r, buf.data, buf.len);
    for (int bit = 0; bit < 64; bit++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t number = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
            assert_true(mr__read_varint(&r) == number);
            assert_true(mr__read_zigzag(&r) == (int64_t)number);
        }
    }
    assert_true(mr__read_zigzag(&r) == INT64_MIN);
    assert_false(r.failed);
    assert_int_equal(mr__reader_left(&r), 0);
    mr__buf_finish(&buf);
}

static void buf__fixed_numbers_have_their_order(void **state)
{
    static const uint8_t expected[] = {4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 1, 2,
                                       1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct mr__buf buf;
    struct mr__reader r;
    mr__buf_init(&buf);
    mr__buf_u32le(&buf, 0x01020304);
    mr__buf_u64le(&buf, UINT64_C(0x0102030405060708));
    mr__buf_u16be(&buf, 0x0102);
    mr__buf_u32be(&buf, 0x01020304);
    mr__buf_u64be(&buf, UINT64_C(0x0102030405060708));
    mr__buf_u8(&buf, 9);
    assert_int_equal(buf.len, sizeof expected);
    assert_memory_equal(buf.data, expected, sizeof expected);
    mr__reader_init(&r, buf.data, buf.len);
    assert_int_equal(mr__read_u32le(&r), 0x01020304);
    assert_true(mr__read_u64le(&r) == UINT64_C(0x0102030405060708));
    assert_int_equal(mr__read_u16be(&r), 0x0102);
    assert_int_equal(mr__read_u32be(&r), 0x01020304);
    assert_true(mr__read_u64be(&r) == UINT64_C(0x0102030405060708));
    assert_int_equal(mr__read_u8(&r), 9);
    assert_false(r.failed);
    mr__buf_finish(&buf);
}

static void buf__a_varint_has_the_shortest_form(void **state)
{
    uint8_t bytes[MR__VARINT_BYTES_MAX];
    assert_int_equal(mr__varint_put(bytes, 0) - bytes, 1);
    assert_int_equal(mr__varint_put(bytes, 127) - bytes, 1);
    assert_int_equal(mr__varint_put(bytes, 128) - bytes, 2);
    assert_int_equal(mr__varint_put(bytes, UINT64_MAX) - bytes, MR__VARINT_BYTES_MAX);
}

static void buf__a_reader_stops_at_the_end(void **state)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_varint(&buf, UINT64_MAX);
    mr__buf_blob(&buf, "hello", 5);
    mr__buf_u32be(&buf, 7);
    for (size_t len = 0; len < buf.len; len++) {
        struct mr__reader r;
        size_t blob_len;
        mr__reader_init(&r, buf.data, len);
        (void)mr__read_varint(&r); /* only the end of the row of reads counts */
        const uint8_t *blob = mr__read_blob(&r, &blob_len);
        assert_true(blob == NULL ? blob_len == 0 : blob_len == 5);
        assert_int_equal(mr__read_u32be(&r), 0);
        assert_true(r.failed);
        assert_null(mr__read_bytes(&r, 0)); /* it stays failed */
    }
    mr__buf_finish(&buf);
}

static void buf__a_reader_refuses_overlong_numbers(void **state)
{
    static const uint8_t eleven[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct mr__reader r;
    mr__reader_init(&r, eleven, sizeof eleven);
    assert_int_equal(mr__read_varint(&r), 0);
    assert_true(r.failed);
    mr__reader_init(&r, too_large, sizeof too_large);
    assert_int_equal(mr__read_varint(&r), 0);
    assert_true(r.failed);
}

static void buf__a_blob_longer_than_the_text_is_refused(void **state)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'};
    struct mr__reader r;
    size_t len;
    mr__reader_init(&r, bytes, sizeof bytes);
    assert_null(mr__read_blob(&r, &len));
    assert_true(r.failed);
}

static void buf__text_grows_and_ends_in_nul(void **state)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    assert_string_equal(mr__buf_cstr(&buf), "");
    for (int i = 0; i < 1000; i++) {
        mr__buf_printf(&buf, "%03d", i);
    }
    mr__buf_text(&buf, "end");
    assert_int_equal(buf.len, 3003);
    assert_string_equal(mr__buf_cstr(&buf) + 2997, "999end");
    mr__buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_true(buf.cap >= 3003);
    mr__buf_finish(&buf);
}

static void buf__a_failed_one_stays_failed_until_reset(void **state)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_text(&buf, "abc");
    assert_false(mr__buf_reserve(&buf, SIZE_MAX / 2));
    assert_true(buf.failed);
    mr__buf_text(&buf, "def");
    assert_int_equal(buf.len, 3);
    assert_null(mr__buf_cstr(&buf));
    mr__buf_reset(&buf);
    mr__buf_text(&buf, "ghi");
    assert_string_equal(mr__buf_cstr(&buf), "ghi");
    mr__buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__numbers_come_back),
        cmocka_unit_test(buf__fixed_numbers_have_their_order),
        cmocka_unit_test(buf__a_varint_has_the_shortest_form),
        cmocka_unit_test(buf__a_reader_stops_at_the_end),
        cmocka_unit_test(buf__a_reader_refuses_overlong_numbers),
        cmocka_unit_test(buf__a_blob_longer_than_the_text_is_refused),
        cmocka_unit_test(buf__text_grows_and_ends_in_nul),
        cmocka_unit_test(buf__a_failed_one_stays_failed_until_reset),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
