/* SPDX-License-Identifier: MIT
 *
 * Goal: JSON goes in and out without loss, what is not JSON is refused with its place. Method:
 * tables of good and bad texts, doubles from a seeded generator there and back, limits at their
 * edge.
 */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/value.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__arena arena;

static int set_up(void **state)
{
    mr__arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    mr__arena_finish(&arena);
    return 0;
}

static mr_value parse(const char *json)
{
    mr_value value;
    mr_error error = {0};
    mr_status status = mr__value_parse(&arena, json, strlen(json), &value, &error);
    if (status != MR_OK) {
        fail_msg("%s: %s", json, error.message);
    }
    return value;
}

static void assert_prints(const mr_value *value, const char *json)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, value);
    assert_string_equal(mr__buf_cstr(&buf), json);
    mr__buf_finish(&buf);
}

static void value__prints_what_it_parsed(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"null", NULL},
        {"true", NULL},
        {"false", NULL},
        {"0", NULL},
        {"-0", "0"},
        {"9223372036854775807", NULL},
        {"-9223372036854775808", NULL},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"1.0", NULL},
        {"-1.5E+2", "-150.0"},
        {"1e21", "1e+21"},
        {"5e-324", "4.94065645841247e-324"},
        {"0.1", NULL},
        {" [ ] ", "[]"},
        {"{}", NULL},
        {"[1,[2,[3]],{\"a\":[]}]", NULL},
        {"{\"b\":1,\"a\":{\"\":null}}", NULL},
        {"\t{\r\n\"a\" : 1 , \"b\" : [ 1 , 2 ] }\n", "{\"a\":1,\"b\":[1,2]}"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20ac\"",
         "\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa4\xe2\x82\xac\""},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
        {"\"\\u0001\\u001f\x7f\"", "\"\\u0001\\u001f\\u007f\""},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        mr_value value = parse(cases[i].in);
        assert_prints(&value, cases[i].out == NULL ? cases[i].in : cases[i].out);
    }
}

static void value__refuses_what_is_not_json(void **state)
{
    static const struct {
        const char *json, *place;
    } cases[] = {
        {"", "column 1:"},
        {" ", "column 2:"},
        {"nul", "column 1:"},
        {"nulll", "column 5:"},
        {"1 2", "column 3:"},
        {"01", "column 1:"},
        {"-", "column 1:"},
        {"+1", "column 1:"},
        {".5", "column 1:"},
        {"1.", "column 1:"},
        {"1e", "column 1:"},
        {"1e999", "column 1:"},
        {"NaN", "column 1:"},
        {"[1,]", "column 4:"},
        {"[1", "column 3:"},
        {"[1 2]", "column 4:"},
        {"{", "column 2:"},
        {"{\"a\"}", "column 5:"},
        {"{\"a\":}", "column 6:"},
        {"{a:1}", "column 2:"},
        {"{\"a\":1,}", "column 8:"},
        {"\"a", "column 1:"},
        {"\"\\\"", "column 1:"},
        {"\"a\nb\"", "column 3:"},
        {"\"\\q\"", "column 2:"},
        {"\"\\u12g4\"", "column 2:"},
        {"\"\\u0000\"", "column 2:"},
        {"\"\\ud83d\"", "column 2:"},
        {"\"\\ude00\"", "column 2:"},
        {"'a'", "column 1:"},
        {"\"\xc3\xa4\" x", "column 5:"},
        {"[\n1,\n\n x]", "line 4, column 2:"},
        {"{\"a\":1,\"a\":2}", "column 8:"},
        {"\"\\ud83d\\u0041\"", "column 2:"},
        {"[1}", "column 3:"},
        {"\xef\xbb\xbf{}", "column 1:"},
        {"\"\\", "column 1:"},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        mr_value value;
        mr_error error = {0};
        mr_status status =
            mr__value_parse(&arena, cases[i].json, strlen(cases[i].json), &value, &error);
        if (status != MR_EINVAL || strstr(error.message, cases[i].place) == NULL) {
            fail_msg("%s: status %d, \"%s\"", cases[i].json, status, error.message);
        }
    }
    mr_value value;
    assert_int_equal(mr__value_parse(&arena, "\"\xff\"", 3, &value, NULL), MR_EINVAL);
    assert_int_equal(mr__value_parse(&arena, "\"\xed\xa0\x80\"", 5, &value, NULL), MR_EINVAL);
    assert_int_equal(mr__value_parse(&arena, "1\0", 2, &value, NULL), MR_EINVAL);
    assert_int_equal(mr__value_parse(&arena, "\"a\0b\"", 5, &value, NULL), MR_EINVAL);
}

static void value__reads_no_further_than_its_length(void **state)
{
    mr_value value;
    assert_int_equal(mr__value_parse(&arena, "12345", 3, &value, NULL), MR_OK);
    assert_int_equal(value.u.i, 123);
    assert_int_equal(mr__value_parse(&arena, "truex", 4, &value, NULL), MR_OK);
    assert_int_equal(mr__value_parse(&arena, "true", 3, &value, NULL), MR_EINVAL);
    assert_int_equal(mr__value_parse(&arena, "\"ab\"", 3, &value, NULL), MR_EINVAL);
}

static void nest(struct mr__buf *buf, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        mr__buf_text(buf, "[");
    }
    for (unsigned i = 0; i < depth; i++) {
        mr__buf_text(buf, "]");
    }
}

static void value__holds_the_limit_of_depth(void **state)
{
    struct mr__buf buf;
    mr_value value, outer, copy;
    mr__buf_init(&buf);
    nest(&buf, MR__JSON_DEPTH_MAX);
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_OK);
    assert_int_equal(mr__value_dup(&arena, &value, &copy), MR_OK);
    assert_true(mr__value_equal(&value, &copy));
    outer = (mr_value){.type = MR_LIST, .len = 1, .u.list = &value};
    assert_int_equal(mr__value_dup(&arena, &outer, &copy), MR_ELIMIT);

    mr__buf_reset(&buf);
    nest(&buf, MR__JSON_DEPTH_MAX + 1);
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_EINVAL);
    mr__buf_finish(&buf);
}

static void value__finds_repeated_keys_among_many(void **state)
{
    struct mr__buf buf;
    mr_value value;
    mr__buf_init(&buf);
    mr__buf_text(&buf, "{\"first\":0");
    for (int i = 0; i < 100000; i++) {
        mr__buf_printf(&buf, ",\"k%d\":%d", i, i);
    }
    size_t len = buf.len;
    mr__buf_text(&buf, "}");
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_OK);
    assert_int_equal(value.len, 100001);
    assert_string_equal(value.u.map[100000].key, "k99999");
    buf.len = len;
    mr__buf_text(&buf, ",\"k77\":1}");
    assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_EINVAL);
    mr__buf_finish(&buf);
}

static void value__doubles_come_back_the_same(void **state)
{
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    struct mr__buf buf;
    mr__buf_init(&buf);
    for (int i = 0; i < 50000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double number;
        memcpy(&number, &seed, sizeof number);
        if (!isfinite(number)) {
            continue;
        }
        mr_value value;
        mr__buf_reset(&buf);
        mr__json_number(&buf, number);
        assert_int_equal(mr__value_parse(&arena, (char *)buf.data, buf.len, &value, NULL), MR_OK);
        assert_int_equal(value.type, MR_NUMBER);
        assert_memory_equal(&value.u.d, &number, sizeof number);
        mr__arena_reset(&arena);
    }
    mr__buf_reset(&buf);
    mr__json_number(&buf, NAN);
    mr__json_number(&buf, -INFINITY);
    mr__json_number(&buf, 3);
    assert_string_equal(mr__buf_cstr(&buf), "nullnull3.0");
    mr__buf_finish(&buf);
}

static void value__does_not_care_for_the_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    const char *set = NULL;
    for (size_t i = 0; i < MR__COUNT(names) && set == NULL; i++) {
        set = setlocale(LC_NUMERIC, names[i]);
    }
    mr_value value = parse("1.5");
    assert_prints(&value, "1.5");
    (void)setlocale(LC_NUMERIC, "C");
    if (set == NULL) {
        skip(); /* no locale with a decimal comma is installed here */
    }
}

static void value__repairs_text_that_is_not_utf8(void **state)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__json_str(&buf, "a\xff\xc3(\xed\xa0\x80z\xf0\x9f\x98\0", 12);
    const char *u = "\xef\xbf\xbd";
    struct mr__buf expected;
    mr__buf_init(&expected);
    mr__buf_printf(&expected, "\"a%s%s(%s%s%sz%s%s%s%s\"", u, u, u, u, u, u, u, u, u);
    assert_string_equal(mr__buf_cstr(&buf), mr__buf_cstr(&expected));
    mr__buf_finish(&buf);
    mr__buf_finish(&expected);
}

static void value__compares_maps_in_any_order(void **state)
{
    mr_value a = parse("{\"x\":1,\"y\":[true,null]}"), b = parse("{\"y\":[true,null],\"x\":1}");
    mr_value c = parse("{\"x\":1,\"y\":[true,false]}"), d = parse("{\"x\":1.0,\"y\":[true,null]}");
    assert_true(mr__value_equal(&a, &b));
    assert_false(mr__value_equal(&a, &c));
    assert_false(mr__value_equal(&a, &d));
}

static void value__copies_share_nothing(void **state)
{
    struct mr__arena other;
    mr__arena_init(&other);
    mr_value copy, value;
    assert_int_equal(mr__value_parse(&other, "{\"a\":[\"b\",{\"c\":\"d\"}]}", 21, &value, NULL),
                     MR_OK);
    assert_int_equal(mr__value_dup(&arena, &value, &copy), MR_OK);
    mr__arena_finish(&other);
    assert_prints(&copy, "{\"a\":[\"b\",{\"c\":\"d\"}]}");
}

static void value__becomes_text_within_text(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {{"null", ""},
                 {"true", "true"},
                 {"3", "3"},
                 {"1.5", "1.5"},
                 {"\"a\"", "a"},
                 {"[1,2]", "[1,2]"},
                 {"{\"a\":\"b\"}", "{\"a\":\"b\"}"}};
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr_value value = parse(cases[i].json);
        mr__value_text(&buf, &value);
        assert_string_equal(mr__buf_cstr(&buf), cases[i].text);
        mr__buf_finish(&buf);
    }
}

static void value__reads_text_as_a_type(void **state)
{
    static const struct {
        const char *text;
        uint32_t type;
        const char *json; /* NULL: it is none */
    } cases[] = {
        {"a b", MR_STRING, "\"a b\""},
        {"", MR_STRING, "\"\""},
        {"3", MR_STRING, "\"3\""},
        {"3", MR_INT, "3"},
        {"-3", MR_INT, "-3"},
        {"3.0", MR_INT, NULL},
        {"x", MR_INT, NULL},
        {"", MR_INT, NULL},
        {" 3", MR_INT, NULL},
        {"3 ", MR_INT, NULL},
        {"9223372036854775808", MR_INT, NULL},
        {"3", MR_NUMBER, "3.0"},
        {"1e3", MR_NUMBER, "1000.0"},
        {"1,5", MR_NUMBER, NULL},
        {"true", MR_BOOL, "true"},
        {"false", MR_BOOL, "false"},
        {"yes", MR_BOOL, NULL},
        {"1", MR_BOOL, NULL},
        {"[1, \"a\"]", MR_LIST, "[1,\"a\"]"},
        {" [] ", MR_LIST, "[]"},
        {"a", MR_LIST, NULL},
        {"{}", MR_LIST, NULL},
        {"{\"a\":1}", MR_MAP, "{\"a\":1}"},
        {"[]", MR_MAP, NULL},
        {"null", MR_MAP, NULL},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        mr_value value;
        bool good = mr__value_from_text(&arena, cases[i].text, strlen(cases[i].text), cases[i].type,
                                        &value);
        assert_int_equal(good, cases[i].json != NULL);
        if (good) {
            assert_prints(&value, cases[i].json);
        }
    }
}

static void value__names_its_types(void **state)
{
    assert_string_equal(mr__value_type_name(MR_NULL), "null");
    assert_string_equal(mr__value_type_name(MR_MAP), "map");
    assert_string_equal(mr__value_type_name(7), "unknown");
}

static void value__merges_maps(void **state)
{
    mr_value into, over;
    assert_int_equal(mr__value_parse(&arena, "{\"a\":1,\"b\":2}", 13, &into, NULL), MR_OK);
    assert_int_equal(mr__value_parse(&arena, "{\"b\":[3],\"c\":4}", 15, &over, NULL), MR_OK);
    assert_int_equal(mr__value_merge(&arena, &into, &over), MR_OK);
    assert_prints(&into, "{\"a\":1,\"b\":[3],\"c\":4}");
    assert_int_equal(mr__value_merge(&arena, &into, NULL), MR_OK);
    over = mr__value_int(7);
    assert_int_equal(mr__value_merge(&arena, &into, &over), MR_OK);
    assert_prints(&into, "{\"a\":1,\"b\":[3],\"c\":4}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value__prints_what_it_parsed),
        cmocka_unit_test(value__refuses_what_is_not_json),
        cmocka_unit_test(value__reads_no_further_than_its_length),
        cmocka_unit_test(value__holds_the_limit_of_depth),
        cmocka_unit_test(value__finds_repeated_keys_among_many),
        cmocka_unit_test(value__doubles_come_back_the_same),
        cmocka_unit_test(value__does_not_care_for_the_locale),
        cmocka_unit_test(value__repairs_text_that_is_not_utf8),
        cmocka_unit_test(value__compares_maps_in_any_order),
        cmocka_unit_test(value__copies_share_nothing),
        cmocka_unit_test(value__merges_maps),
        cmocka_unit_test(value__becomes_text_within_text),
        cmocka_unit_test(value__reads_text_as_a_type),
        cmocka_unit_test(value__names_its_types),
    };
    return cmocka_run_group_tests_name("value", tests, set_up, tear_down);
}
