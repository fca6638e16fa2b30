/* SPDX-License-Identifier: MIT
 *
 * Goal: the text that plugins put together is JSON, UTF-8 and percent encoding as they should be.
 * Method: tables; the JSON of plugins/text.c is read back by the host's reader and printed by its
 * printer, which must give the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/value.h"
#include "plugins/text.h"

#include <cmocka.h> /* last: its macros take plain words */

static void json__as_the_host_writes_it(void **state)
{
    static const char *const documents[] = {
        "null",
        "true",
        "-9223372036854775808",
        "9007199254740993",
        "0.1",
        "1.0",
        "1e+300",
        "5e-324",
        "\"\"",
        "\"a\\\"b\\\\c\\n\\t\\u0001/\xc3\xa4\xf0\x9f\x98\x80\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":[],\"b\":{\"c\":null}}],\"x\"]",
    };
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        struct mr__arena arena;
        struct mr__text ours = {0};
        struct mr__buf theirs = {0};
        mr_value value, again;
        mr__arena_init(&arena);
        assert_int_equal(mr__value_parse(&arena, documents[i], strlen(documents[i]), &value, NULL),
                         MR_OK);
        mr__text_json(&ours, &value);
        assert_false(ours.failed);
        assert_int_equal(mr__value_parse(&arena, ours.bytes, ours.len, &again, NULL), MR_OK);
        mr__value_print(&theirs, &again);
        struct mr__buf wanted = {0};
        mr__value_print(&wanted, &value);
        assert_int_equal(theirs.len, wanted.len);
        assert_memory_equal(theirs.data, wanted.data, wanted.len);
        mr__buf_finish(&theirs);
        mr__buf_finish(&wanted);
        mr__text_finish(&ours);
        mr__arena_finish(&arena);
    }
}

static void utf8__what_is_none_is_replaced(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *wanted;
    } rows[] = {
        {"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 17,
         "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"\xff\xfe", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3", 1, "\xef\xbf\xbd"},
        {"\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr__text text = {0};
        mr__text_utf8(&text, rows[i].bytes, rows[i].len);
        assert_string_equal(text.bytes, rows[i].wanted);
        mr__text_finish(&text);
    }
}

static void percent__all_but_the_plain(void **state)
{
    struct mr__text text = {0};
    mr__text_percent(&text, "aZ09-._~ /?&=+%\xc3\xa4\0", 18);
    assert_string_equal(text.bytes, "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A4%00");
    mr__text_finish(&text);
}

static void plain__text_as_it_is_null_as_nothing(void **state)
{
    const mr_value null = {.type = MR_NULL}, number = {.type = MR_INT, .u.i = 5};
    const mr_value string = {.type = MR_STRING, .len = 3, .u.s = "a\"b"};
    struct mr__text text = {0};
    mr__text_plain(&text, &null);
    assert_null(text.bytes);
    mr__text_plain(&text, &string);
    mr__text_plain(&text, &number);
    assert_string_equal(text.bytes, "a\"b5");
    mr__text_finish(&text);
}

static void plugin_text__reads_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"0s", 0},
                {"300ms", 300},
                {"10s", 10000},
                {"5m", 300000},
                {"2h", 7200000},
                {"1d", 86400000},
                {"36525d", INT64_C(36525) * 86400000},
                {"007s", 7000}};
    static const char *const none[] = {
        "", "s", "10", "10 s", "-1s", "1.5s", "1S", "1s ", "1w", "36526d", "99999999999999999999s"};
    int64_t ms;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(mr__text_duration(rows[i].text, &ms));
        assert_int_equal(ms, rows[i].ms);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(mr__text_duration(none[i], &ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugin_text__reads_durations),
        cmocka_unit_test(json__as_the_host_writes_it),
        cmocka_unit_test(utf8__what_is_none_is_replaced),
        cmocka_unit_test(percent__all_but_the_plain),
        cmocka_unit_test(plain__text_as_it_is_null_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
