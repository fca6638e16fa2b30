/* SPDX-License-Identifier: MIT
 *
 * Goal: an answer's head becomes the map that docs/http.md tells of, and neither head nor body
 * grows beyond its limit. Method: lines as a server may send them; JSON out. What needs a task is
 * tested through the program (tests/e2e/test_http.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/http/http_answer.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__http_answer answer;
static struct mr__text json;

static int tear_down(void **state)
{
    mr__http_answer_finish(&answer);
    mr__text_finish(&json);
    return 0;
}

static void add(const char *line)
{
    mr_error error = {0};
    assert_int_equal(mr__http_answer_line(&answer, line, strlen(line), &error), MR_OK);
}

static const char *headers(void)
{
    mr__text_finish(&json);
    mr__http_answer_headers(&answer, &json);
    assert_false(json.failed);
    return json.bytes;
}

static void head__as_json(void **state)
{
    assert_string_equal(headers(), "{}");
    add("HTTP/1.1 103 Early Hints\r\n");
    add("X-Early: 1\r\n");
    add("\r\n");
    add("HTTP/1.1 200 OK\r\n");
    add("Content-Type:  text/plain; x=\"y\" \t\r\n");
    add("no colon\r\n");
    add(": no name\r\n");
    add("X-Two: a\r\n");
    add("set-cookie: a=1\r\n");
    add("x-two: b\n");
    add("X-Empty:\r\n");
    add("X-Bytes: caf\xe9\r\n");
    add("Set-Cookie: b=2\r\n");
    add("\r\n");
    assert_string_equal(headers(),
                        "{\"content-type\":\"text/plain; x=\\\"y\\\"\",\"x-two\":\"a, b\","
                        "\"set-cookie\":[\"a=1\",\"b=2\"],\"x-empty\":\"\","
                        "\"x-bytes\":\"caf\xef\xbf\xbd\"}");
}

static void head__trailers_are_let_go(void **state)
{
    mr_error error = {0};
    add("HTTP/1.1 200 OK\r\n");
    add("A: 1\r\n");
    assert_int_equal(mr__http_answer_part(&answer, "x", 1, 10, &error), MR_OK);
    add("B: 2\r\n");
    assert_string_equal(headers(), "{\"a\":\"1\"}");
}

static void head__at_its_limits_and_one_past_them(void **state)
{
    static char line[MR__HTTP_HEAD_BYTES_MAX + 1];
    mr_error error = {0};
    memset(line, 'x', sizeof line);
    assert_int_equal(mr__http_answer_line(&answer, line, sizeof line - 1, &error), MR_OK);
    assert_int_equal(mr__http_answer_line(&answer, line, 1, &error), MR_ELIMIT);
    assert_non_null(strstr(error.message, "headers"));
    mr__http_answer_finish(&answer);
    for (unsigned i = 0; i < MR__HTTP_HEAD_LINES_MAX; i++) {
        add("A: b\r\n");
    }
    assert_int_equal(mr__http_answer_line(&answer, "A: b", 4, &error), MR_ELIMIT);
}

static void body__at_its_limit_and_one_past_it(void **state)
{
    mr_error error = {0};
    assert_int_equal(mr__http_answer_part(&answer, "12345", 5, 8, &error), MR_OK);
    assert_int_equal(mr__http_answer_part(&answer, "678", 3, 8, &error), MR_OK);
    assert_int_equal(mr__http_answer_part(&answer, "", 0, 8, &error), MR_OK);
    assert_int_equal(mr__http_answer_part(&answer, "9", 1, 8, &error), MR_ELIMIT);
    assert_string_equal(answer.body.bytes, "12345678");
    assert_non_null(strstr(error.message, "more than 8 bytes"));
}

static void body__json_by_its_type(void **state)
{
    static const struct {
        const char *line;
        bool is_json;
    } rows[] = {
        {"Content-Type: application/json\r\n", true},
        {"content-type: Application/JSON; charset=utf-8\r\n", true},
        {"content-type: application/problem+json\r\n", true},
        {"content-type: text/json\r\n", true},
        {"content-type: application/jsonp\r\n", false},
        {"content-type: text/plain\r\n", false},
        {"content-type:\r\n", false},
        {"X-Type: application/json\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mr__http_answer_finish(&answer);
        add(rows[i].line);
        if (mr__http_answer_is_json(&answer) != rows[i].is_json) {
            fail_msg("%s", rows[i].line);
        }
    }
}

static void body__for_the_log_has_no_controls(void **state)
{
    static const char body[] = "a\x1b[2J\r\n\tb\x7f\xc2\x9b\xc3\xa4\xff\xc2";
    mr_error error = {0};
    mr__text_finish(&json);
    assert_int_equal(mr__http_answer_part(&answer, body, sizeof body - 1, 100, &error), MR_OK);
    mr__http_answer_readable(&answer, &json);
    assert_string_equal(json.bytes, "a?[2J?\n\tb???\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(head__as_json, tear_down),
        cmocka_unit_test_teardown(head__trailers_are_let_go, tear_down),
        cmocka_unit_test_teardown(head__at_its_limits_and_one_past_them, tear_down),
        cmocka_unit_test_teardown(body__at_its_limit_and_one_past_it, tear_down),
        cmocka_unit_test_teardown(body__json_by_its_type, tear_down),
        cmocka_unit_test_teardown(body__for_the_log_has_no_controls, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
