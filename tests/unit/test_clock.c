/* SPDX-License-Identifier: MIT
 *
 * Goal: times and durations are written and read as contract.md says. Method: tables, a comparison
 * of many days with the C library's calendar, and durations there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"

#include <cmocka.h> /* last: its macros take plain words */

static void clock__writes_rfc3339(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {INT64_C(1795486089123), "2026-11-24T02:08:09.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
        {INT64_C(253402300800000), "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        char text[MR__TIME_TEXT_BYTES];
        mr__time_text(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void clock__agrees_with_the_calendar(void **state)
{
    /* A prime step, so that all days of the year and hours of the day are met. */
    for (int64_t s = INT64_C(-62135596800); s < INT64_C(253402300800); s += 86400 * 3 + 4567) {
        char text[MR__TIME_TEXT_BYTES], expected[64];
        time_t seconds = (time_t)s;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.007Z",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
        mr__time_text(s * 1000 + 7, text);
        assert_string_equal(text, expected);
    }
}

static void clock__dates_there_and_back(void **state)
{
    int64_t year = -1001;
    int month = 12, day = 31;
    int64_t begin = mr__date_days(-1000, 1, 1), end = mr__date_days(3001, 1, 1);
    assert_int_equal(mr__date_days(1970, 1, 1), 0);
    assert_int_equal(end - begin, 4001 * 365 + 970); /* leap years */
    for (int64_t days = begin; days < end; days++) { /* from one day to the next */
        day = day == mr__date_month_days(year, month) ? 1 : day + 1;
        month = day > 1 ? month : month % 12 + 1;
        year += day == 1 && month == 1 ? 1 : 0;
        struct mr__date date = mr__date_of(days);
        assert_true(date.year == year && date.month == month && date.day == day);
        assert_int_equal(mr__date_days(year, month, day), days);
    }
    assert_int_equal(mr__date_month_days(1900, 2), 28);
    assert_int_equal(mr__date_month_days(2000, 2), 29);
    assert_int_equal(mr__date_month_days(2026, 2), 28);
}

static void clock__parses_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: it is none */
    } cases[] = {
        {"300ms", 300},
        {"10s", 10000},
        {"5m", 300000},
        {"2h", 7200000},
        {"1d", 86400000},
        {"0s", 0},
        {"007s", 7000},
        {"", -1},
        {"10", -1},
        {"s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1.5h", -1},
        {"1h30m", -1},
        {"10 s", -1},
        {" 10s", -1},
        {"10s ", -1},
        {"10S", -1},
        {"1w", -1},
        {"10mss", -1},
        {"36525d", INT64_C(3155760000000)},
        {"36526d", -1},
        {"3155760000000ms", INT64_C(3155760000000)},
        {"3155760000001ms", -1},
        {"99999999999999999999s", -1},
        {"9223372036854775807ms", -1},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        int64_t ms = -1;
        bool good = mr__duration_parse(cases[i].text, strlen(cases[i].text), &ms);
        assert_int_equal(good, cases[i].ms >= 0);
        assert_int_equal(ms, cases[i].ms);
    }
    int64_t ms;
    assert_true(mr__duration_parse("10ms", 3, &ms) && ms == 600000); /* by its length: "10m" */
}

static void clock__writes_durations(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0s"},        {1, "1ms"},        {1500, "1500ms"},
                 {90000, "90s"},   {60000, "1m"},     {7200000, "2h"},
                 {86400000, "1d"}, {90000000, "25h"}, {-5000, "-5s"}};
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        char text[MR__TIME_TEXT_BYTES];
        int64_t ms = 0;
        mr__duration_text(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        if (cases[i].ms >= 0) {
            assert_true(mr__duration_parse(text, strlen(text), &ms));
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

static void clock__system_clocks_go_on(void **state)
{
    struct mr__clock *clock = mr__clock_system();
    int64_t wall = clock->wall_ms(clock), monotonic = clock->monotonic_ms(clock);
    assert_true(wall > INT64_C(1600000000000));
    assert_true(clock->monotonic_ms(clock) >= monotonic);
    assert_ptr_equal(clock, mr__clock_system());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock__writes_rfc3339),
        cmocka_unit_test(clock__agrees_with_the_calendar),
        cmocka_unit_test(clock__dates_there_and_back),
        cmocka_unit_test(clock__parses_durations),
        cmocka_unit_test(clock__writes_durations),
        cmocka_unit_test(clock__system_clocks_go_on),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
