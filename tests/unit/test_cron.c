/* SPDX-License-Identifier: MIT
 *
 * Goal: a schedule runs when cron.h says. Method: a table of expressions, good and bad; known
 * times; and around every change of the clock of many zones a comparison with an oracle, which goes
 * through all minutes one by one and matches them by code written beside each expression.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/model/cron.h"

#include <cmocka.h> /* last: its macros take plain words */

#define DAY_MS   INT64_C(86400000)
#define MINUTE_S 60

static struct mr__cron parsed(const char *text)
{
    struct mr__cron cron;
    mr_error error = {0};
    if (mr__cron_parse(text, strlen(text), &cron, &error) != MR_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return cron;
}

static struct mr__zone *loaded(const char *name)
{
    struct mr__zone *zone = NULL;
    mr_error error = {0};
    if (mr__zone_load(name, &zone, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    return zone;
}

/* ---- expressions -------------------------------------------------------------------------- */

static void cron__same_meaning(void **state)
{
    static const char *const pairs[][2] = {
        {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 jan ?"},
        {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * sun"},
        {"@daily", "0 0 0 * * *"},
        {"@midnight", "0 0 * * *"},
        {" @hourly ", "0 * * * *"},
        {"0 7 * * 1-5", "0 7 * * mon-fri"},
        {"0 7 * * MON-Fri", "0\t7 *  *  1,2,3,4,5 "},
        {"0 0 * * 7", "0 0 * * 0"},
        {"0 0 * * 5-7", "0 0 * * 0,5,6"},
        {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
        {"0 0 * * 0-7", "0 0 * * 0-6"},
        {"0 0 * * 7/2", "0 0 * * 0,2,4,6"},
        {"0 0 * * sun-sun", "0 0 * * 0"},
        {"0 0 * * 1/2", "0 0 * * 1,3,5"},
        {"*/15 * * * *", "0,15,30,45 * * * *"},
        {"5/15 0 * * *", "5,20,35,50 0 * * *"},
        {"10-40/10 0 * * *", "10,20,30,40 0 * * *"},
        {"0-59/20,7 0 * * *", "0,7,20,40 0 * * *"},
        {"0 0 1 feb,OCT *", "0 0 1 2,10 *"},
        {"0 0 1 feb-apr *", "0 0 1 2-4 *"},
        {"0 0 l * *", "0 0 L * *"},
        {"0 0-23 * * *", "0 * * * *"},
        {"0 0 * * */1", "0 0 * * *"},
        {"*/60 0 */31 */12 *", "0 0 1 1 *"},
        {"00 007 01 * *", "0 7 1 * *"},
        {"@every 90s", "@every 90000ms"},
    };
    for (size_t i = 0; i < MR__COUNT(pairs); i++) {
        struct mr__cron a = parsed(pairs[i][0]), b = parsed(pairs[i][1]);
        for (int64_t at = 0; at < 800 * DAY_MS;) { /* compared by what they do */
            int64_t next_a = -1, next_b = -1;
            bool found = mr__cron_next(&a, mr__zone_utc(), at, &next_a);
            assert_int_equal(found, mr__cron_next(&b, mr__zone_utc(), at, &next_b));
            if (next_a != next_b) {
                fail_msg("%s is not %s", pairs[i][0], pairs[i][1]);
            }
            assert_true(found);
            at = next_a + 3 * DAY_MS / 5;
        }
    }
}

static void cron__bad_expressions_say_why(void **state)
{
    static const char count[] = "; a cron expression has 5 (minute hour day-of-month month "
                                "day-of-week), or 6 with seconds in front";
    static const char shortcut[] =
        " is not one of @yearly, @monthly, @weekly, @daily, @hourly and @every DURATION, alone";
    static const char every[] = "@every needs one duration, a number and a unit: 90s, 5m, 2h or 1d";
    static const char zone[] = ": a time zone does not belong into the expression";
    static const struct {
        const char *text, *message, *more;
    } cases[] = {
        {"", "0 fields", count},
        {" \t ", "0 fields", count},
        {"*", "1 field", count},
        {"0 0 * *", "4 fields", count},
        {"0 0 0 * * * *", "7 fields", count},
        {"60 * * * *", "minute 60 is not in 0-59", ""},
        {"0 25 * * *", "hour 25 is not in 0-23", ""},
        {"0 0 0 * *", "day-of-month 0 is not in 1-31", ""},
        {"0 0 32 * *", "day-of-month 32 is not in 1-31", ""},
        {"0 0 * 13 *", "month 13 is not in 1-12", ""},
        {"0 0 * * 8", "day-of-week 8 is not in 0-7", ""},
        {"60 0 0 * * *", "second 60 is not in 0-59", ""},
        {"0 99999999999999999999 * * *", "hour 99999999999999999999 is not in 0-23", ""},
        {"0 1-24 * * *", "hour 24 is not in 0-23", ""},
        {"x * * * *", "minute \"x\" is not a number", ""},
        {"-1 * * * *", "minute \"\" is not a number", ""},
        {"1- * * * *", "minute \"\" is not a number", ""},
        {"1-2-3 * * * *", "minute \"2-3\" is not a number", ""},
        {", * * * *", "minute \"\" is not a number", ""},
        {"1,,2 * * * *", "minute \"\" is not a number", ""},
        {"1, * * * *", "minute \"\" is not a number", ""},
        {"1.5 * * * *", "minute \"1.5\" is not a number", ""},
        {"** * * * *", "minute \"**\" is not a number", ""},
        {"*-5 * * * *", "minute \"*\" is not a number", ""},
        {"0 0 L-3 * *", "day-of-month \"L\" is not a number", ""},
        {"0 0 15W * *", "day-of-month \"15W\" is not a number", ""},
        {"0 L * * *", "hour \"L\" is not a number", ""},
        {"0 0 * foo *", "month \"foo\" is not a number or a name from jan to dec", ""},
        {"0 0 * january *", "month \"january\" is not a number or a name from jan to dec", ""},
        {"0 0 * * jan", "day-of-week \"jan\" is not a number or a name from sun to sat", ""},
        {"0 0 * * 5#2", "day-of-week \"5#2\" is not a number or a name from sun to sat", ""},
        {"0 0 \033[31m\xff * *", "day-of-month \"?[31m?\" is not a number", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa * * * *",
         "minute \"aaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is not a number", ""},
        {"*/0 * * * *", "minute: the step \"0\" is not in 1-60", ""},
        {"*/61 * * * *", "minute: the step \"61\" is not in 1-60", ""},
        {"*/ * * * *", "minute: the step \"\" is not in 1-60", ""},
        {"*/5/5 * * * *", "minute: the step \"5/5\" is not in 1-60", ""},
        {"0 */25 * * *", "hour: the step \"25\" is not in 1-24", ""},
        {"0 0 * * */8", "day-of-week: the step \"8\" is not in 1-7", ""},
        {"0 22-2 * * *", "hour range 22-2 runs backwards", ""},
        {"0 0 * * sat-mon", "day-of-week range sat-mon runs backwards", ""},
        {"@reboot", "@reboot", shortcut},
        {"@Daily", "@Daily", shortcut},
        {"@", "@", shortcut},
        {"@daily 5", "@daily", shortcut},
        {"@every", every, ""},
        {"@every 5", every, ""},
        {"@every 1h 30m", every, ""},
        {"@every 1h30m", every, ""},
        {"@every 999ms", "@every needs a duration of at least 1s", ""},
        {"@every 0s", "@every needs a duration of at least 1s", ""},
        {"CRON_TZ=UTC 0 0 * * *", "CRON_TZ=UTC", zone},
        {"TZ=Europe/Paris 0 0 * * *", "TZ=Europe/Paris", zone},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__cron cron;
        mr_error error = {0};
        char expected[MR_ERROR_MESSAGE_BYTES];
        (void)snprintf(expected, sizeof expected, "%s%s", cases[i].message, cases[i].more);
        mr_status status = mr__cron_parse(cases[i].text, strlen(cases[i].text), &cron, &error);
        if (status != MR_EINVAL || strcmp(error.message, expected) != 0) {
            fail_msg("%s: %d \"%s\", not \"%s\"", cases[i].text, status, error.message, expected);
        }
        assert_int_equal(error.status, MR_EINVAL);
    }
}

static void cron__length_limit(void **state)
{
    char text[MR__CRON_BYTES_MAX + 1];
    struct mr__cron cron;
    memset(text, ' ', sizeof text);
    memcpy(text, "0 0 * * *", 9);
    assert_int_equal(mr__cron_parse(text, MR__CRON_BYTES_MAX, &cron, NULL), MR_OK);
    assert_int_equal(mr__cron_parse(text, MR__CRON_BYTES_MAX + 1, &cron, NULL), MR_ELIMIT);
    assert_int_equal(mr__cron_parse("0 0 * * *0", 9, &cron, NULL), MR_OK); /* no NUL is needed */
}

/* ---- known times -------------------------------------------------------------------------- */

/* "2026-11-24T02:08:09.123Z" */
static int64_t ms(const char *text)
{
    int year, month, day, hour, minute, second, millisecond = 0;
    assert_true(sscanf(text, "%d-%d-%dT%d:%d:%d.%d", &year, &month, &day, &hour, &minute, &second,
                       &millisecond) >= 6);
    int64_t days = mr__date_days(year, month, day);
    return ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + millisecond;
}

static const struct {
    const char *text, *zone, *after;
    const char *next[5]; /* NULL: no more are looked at; "": there is none */
} known[] = {
    {"0 7 * * 1-5",
     "Europe/Paris",
     "2026-11-27T05:59:59.999Z",
     {"2026-11-27T06:00:00Z", "2026-11-30T06:00:00Z", "2026-12-01T06:00:00Z"}},
    {"*/20 1-5/2 10 * * *",
     "UTC",
     "2026-01-01T00:00:00Z",
     {"2026-01-01T10:01:00Z", "2026-01-01T10:01:20Z", "2026-01-01T10:01:40Z",
      "2026-01-01T10:03:00Z", "2026-01-01T10:03:20Z"}},
    {"0 0 L * *",
     "UTC",
     "2027-12-31T00:00:00Z",
     {"2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"}},
    {"0 0 15,L 2 *",
     "UTC",
     "2026-12-31T00:00:00Z",
     {"2027-02-15T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-15T00:00:00Z"}},
    {"0 0 13 * 5",
     "UTC",
     "2026-11-01T00:00:00Z", /* either */
     {"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z",
      "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"}},
    {"0 0 13 * ?", "UTC", "2026-11-01T00:00:00Z", {"2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z"}},
    {"0 0 */10 * mon",
     "UTC",
     "2026-11-17T00:00:00Z", /* a step says something */
     {"2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z",
      "2026-12-01T00:00:00Z"}},
    {"0 0 29 2 *",
     "UTC",
     "2096-02-29T00:00:00Z", /* 2100 is no leap year */
     {"2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"}},
    {"0 0 29 2 *", "UTC", "1896-02-29T00:00:00Z", {"1904-02-29T00:00:00Z"}},
    {"0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", {""}},
    {"0 * 30 2 *", "Europe/Paris", "2026-01-01T00:00:00Z", {""}},
    {"0 0 31 4,6,9,11 *", "Europe/Paris", "2026-01-01T00:00:00Z", {""}},
    {"* * * * *",
     "UTC",
     "1969-12-31T23:58:59.999Z",
     {"1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"}},
    {"* * * * *", "UTC", "1969-12-31T23:59:00Z", {"1970-01-01T00:00:00Z"}},
    {"59 59 23 31 12 *", "UTC", "2026-12-31T23:59:59Z", {"2027-12-31T23:59:59Z"}},
    /* Forward: 02:00 becomes 03:00. */
    {"30 2 * * *",
     "Europe/Paris",
     "2026-03-28T00:00:00Z",
     {"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
    {"*/20 2-3 * * *",
     "Europe/Paris",
     "2026-03-29T00:00:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z", "2026-03-29T01:40:00Z",
      "2026-03-30T00:00:00Z"}},
    {"*/30 * * * *",
     "Europe/Paris",
     "2026-03-29T00:15:00Z",
     {"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
    {"0 */2 * * *",
     "Europe/Paris",
     "2026-03-28T22:30:00Z",
     {"2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"}},
    /* Back: 03:00 becomes 02:00. */
    {"30 2 * * *",
     "Europe/Paris",
     "2026-10-24T12:00:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
    {"30 1-3 * * *",
     "Europe/Paris",
     "2026-10-24T12:00:00Z",
     {"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"}},
    {"30 2 * * *", "Europe/Paris", "2026-10-25T01:10:00Z", {"2026-10-26T01:30:00Z"}},
    {"30 * * * *",
     "Europe/Paris",
     "2026-10-24T23:40:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
    {"0 */2 * * *",
     "Europe/Paris",
     "2026-10-24T23:00:00Z",
     {"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T03:00:00Z"}},
    /* Midnight itself is left out. */
    {"@daily",
     "America/Sao_Paulo",
     "2018-11-03T12:00:00Z",
     {"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
    {"@daily",
     "Africa/Cairo",
     "2027-04-29T12:00:00Z",
     {"2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z"}},
    /* A day is left out. */
    {"0 9 * * *",
     "Pacific/Apia",
     "2011-12-29T12:00:00Z",
     {"2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"}},
    {"0 * * * *",
     "Pacific/Apia",
     "2011-12-30T08:30:00Z",
     {"2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z"}},
    {"0 0 30 12 *",
     "Pacific/Apia",
     "2011-01-01T00:00:00Z",
     {"2011-12-30T10:00:00Z", "2012-12-29T10:00:00Z"}},
    {"@every 7m",
     "Europe/Paris",
     "1970-01-01T00:00:00Z",
     {"1970-01-01T00:07:00Z", "1970-01-01T00:14:00Z"}},
    {"@every 7m",
     "UTC",
     "1969-12-31T23:50:00Z",
     {"1969-12-31T23:53:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:07:00Z"}},
    {"@every 1500ms",
     "UTC",
     "1970-01-01T00:00:01.499Z",
     {"1970-01-01T00:00:01.500Z", "1970-01-01T00:00:03Z"}},
};

static void cron__known_times(void **state)
{
    for (size_t i = 0; i < MR__COUNT(known); i++) {
        struct mr__cron cron = parsed(known[i].text);
        struct mr__zone *zone = loaded(known[i].zone);
        int64_t at = ms(known[i].after), next = -1;
        for (size_t k = 0; k < MR__COUNT(known[i].next) && known[i].next[k] != NULL; k++) {
            bool found = mr__cron_next(&cron, zone, at, &next);
            char text[MR__TIME_TEXT_BYTES] = "none";
            if (found) {
                mr__time_text(next, text);
            }
            bool expected = known[i].next[k][0] != '\0';
            if (found != expected || (found && next != ms(known[i].next[k]))) {
                fail_msg("%s in %s: %s, not %s", known[i].text, known[i].zone, text,
                         known[i].next[k]);
            }
            at = next;
        }
        mr__zone_destroy(zone);
    }
}

static void cron__ends_of_time(void **state)
{
    struct mr__zone *zone = loaded("Europe/Paris");
    static const char *const texts[] = {"* * * * * *", "0 12 * * *", "0 0 29 2 *", "0 0 30 2 *",
                                        "@every 36525d"};
    static const int64_t moments[] = {INT64_MIN,
                                      INT64_MIN + 1,
                                      -1,
                                      INT64_C(-62167219200000),
                                      INT64_MAX,
                                      INT64_MAX - 1,
                                      253402300799999,
                                      INT64_C(253402300800000) - 3 * DAY_MS};
    for (size_t i = 0; i < MR__COUNT(texts); i++) {
        struct mr__cron cron = parsed(texts[i]);
        for (size_t k = 0; k < MR__COUNT(moments); k++) {
            int64_t next;
            if (mr__cron_next(&cron, zone, moments[k], &next)) {
                assert_true(next > moments[k]);
                assert_true(moments[k] < INT64_C(253402300799999));
            } else {
                assert_true(i == 3 || moments[k] > INT64_C(253402000000000));
            }
        }
    }
    mr__zone_destroy(zone);
}

/* ---- every change of the clock ------------------------------------------------------------ */

/* What a clock in the zone shows in one minute. */
struct shown {
    int64_t wall; /* seconds */
    int month, day, hour, minute, weekday;
};

static bool each_minute(const struct shown *c)
{
    return true;
}
static bool each_quarter(const struct shown *c)
{
    return c->minute % 15 == 0;
}
static bool each_two_hours(const struct shown *c)
{
    return c->minute == 7 && c->hour % 2 == 0;
}
static bool half_past(const struct shown *c)
{
    return c->minute == 30;
}
static bool at_midnight(const struct shown *c)
{
    return c->minute == 0 && c->hour == 0;
}
static bool at_one_thirty(const struct shown *c)
{
    return c->minute == 30 && c->hour == 1;
}
static bool at_two_ten(const struct shown *c)
{
    return c->minute == 10 && c->hour == 2;
}
static bool early_often(const struct shown *c)
{
    return c->minute % 10 == 5 && c->hour <= 4;
}
static bool sundays_or_first(const struct shown *c)
{
    return c->minute == 59 && (c->hour == 2 || c->hour == 23) && (c->weekday == 0 || c->day == 1);
}
static bool march_and_october(const struct shown *c)
{
    return c->minute % 30 == 0 && (c->month == 3 || c->month == 10) && c->hour >= 1 && c->hour <= 3;
}

static const struct {
    const char *text;
    bool follows_clock;
    bool (*matches)(const struct shown *c);
} schedules[] = {
    {"* * * * *", true, each_minute},
    {"*/15 * * * *", true, each_quarter},
    {"7 */2 * * *", true, each_two_hours},
    {"30 0-23 * * *", true, half_past},
    {"@daily", false, at_midnight},
    {"30 1 * * *", false, at_one_thirty},
    {"10 2 * * *", false, at_two_ten},
    {"5/10 0-4 * * *", false, early_often},
    {"59 2,23 1 * sun", false, sundays_or_first},
    {"0,30 1-3 * 3,10 *", false, march_and_october},
};

#define BEFORE_S (4 * 86400) /* the oracle begins so long before what is compared */
#define AROUND_S (2 * 86400)
#define MINUTES  ((BEFORE_S + 2 * AROUND_S) / MINUTE_S)

static struct shown shown_at(int64_t wall)
{
    int64_t days = wall / 86400 - (wall % 86400 < 0 ? 1 : 0);
    int second = (int)(wall - days * 86400);
    struct mr__date date = mr__date_of(days);
    return (struct shown){.wall = wall,
                          .month = date.month,
                          .day = date.day,
                          .hour = second / 3600,
                          .minute = second / 60 % 60,
                          .weekday = (int)(((days + 4) % 7 + 7) % 7)};
}

/* The oracle: does the schedule run at `now`? `seen` is the latest wall time of all minutes before.
 */
static bool runs(size_t which, const struct shown *now, int64_t seen)
{
    if (schedules[which].follows_clock) {
        return schedules[which].matches(now);
    }
    bool found = false;
    for (int64_t wall = seen + MINUTE_S; wall <= now->wall && !found; wall += MINUTE_S) {
        struct shown passed = wall == now->wall ? *now : shown_at(wall);
        found = schedules[which].matches(&passed);
    }
    return found;
}

/* All schedules from AROUND_S before `change` to AROUND_S after it. Returns how many runs it saw.
 */
static unsigned check_around(const char *name, const struct mr__zone *zone, int64_t change)
{
    static struct shown minutes[MINUTES];
    unsigned count = 0;
    int64_t begin = change - change % MINUTE_S - BEFORE_S - AROUND_S;
    for (int i = 0; i < MINUTES; i++) {
        int64_t at = begin + i * MINUTE_S;
        minutes[i] = shown_at(at + mr__zone_offset(zone, at));
    }
    for (size_t which = 0; which < MR__COUNT(schedules); which++) {
        struct mr__cron cron = parsed(schedules[which].text);
        int64_t seen = minutes[0].wall;
        int64_t expected = 0, last = (begin + BEFORE_S) * 1000 - 1;
        for (int i = 1; i < MINUTES; i++) {
            int64_t at_ms = (begin + i * MINUTE_S) * 1000;
            bool now = runs(which, &minutes[i], seen);
            seen = MR__MAX(seen, minutes[i].wall);
            if (!now || i * MINUTE_S < BEFORE_S) {
                continue;
            }
            /* From the last run on, from somewhere after it, and from the millisecond before. */
            const int64_t after[] = {last, last + (at_ms - last) / 3, at_ms - 1};
            for (size_t k = 0; k < MR__COUNT(after); k++) {
                if (!mr__cron_next(&cron, zone, after[k], &expected) || expected != at_ms) {
                    char wanted[MR__TIME_TEXT_BYTES], got[MR__TIME_TEXT_BYTES];
                    mr__time_text(at_ms, wanted);
                    mr__time_text(expected, got);
                    fail_msg("%s in %s: %s, not %s", schedules[which].text, name, got, wanted);
                }
            }
            last = at_ms;
            count++;
        }
        /* None comes too early after the last. */
        assert_true(!mr__cron_next(&cron, zone, last, &expected) ||
                    expected >= (begin + MINUTES * MINUTE_S) * 1000);
    }
    return count;
}

static void cron__agrees_with_an_oracle_around_every_change_of_the_clock(void **state)
{
    static const struct {
        const char *name;
        unsigned changes_min;
    } zones[] = {
        {"Europe/Paris", 120},
        {"America/New_York", 120},
        {"America/Sao_Paulo", 60},
        {"Australia/Lord_Howe", 110},
        {"Asia/Tehran", 60},
        {"Africa/Casablanca", 80},
        {"Pacific/Apia", 20},
        {"America/St_Johns", 120},
        {"Antarctica/Troll", 60},
        {"Europe/Dublin", 120},
        {"Asia/Gaza", 100},
        {"Asia/Kolkata", 0},
        {"UTC", 0},
    };
    const int64_t from = mr__date_days(1970, 1, 10) * 86400;
    const int64_t until = mr__date_days(2040, 1, 1) * 86400; /* the table ends in 2037 */
    for (size_t i = 0; i < MR__COUNT(zones); i++) {
        struct mr__zone *zone = loaded(zones[i].name);
        unsigned changes = 0, count = check_around(zones[i].name, zone, until);
        int32_t offset = mr__zone_offset(zone, from);
        for (int64_t at = from; at < until; at += 900) {
            int32_t next = mr__zone_offset(zone, at);
            if (next != offset) {
                count += check_around(zones[i].name, zone, at);
                changes++;
            }
            offset = next;
        }
        assert_true(changes >= zones[i].changes_min);
        assert_true(count > 6000 * (changes + 1)); /* most are those of each minute */
        mr__zone_destroy(zone);
    }
}

/* What the oracle is built on is said here once more, without it. */
static void cron__a_fixed_hour_runs_once_a_day_for_seventy_years(void **state)
{
    static const char *const names[] = {"Europe/Paris", "America/Sao_Paulo", "Australia/Lord_Howe",
                                        "Asia/Gaza",    "Africa/Casablanca", "Antarctica/Troll"};
    const int64_t days = mr__date_days(2060, 1, 1) - mr__date_days(1990, 1, 1);
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        struct mr__zone *zone = loaded(names[i]);
        for (int hour = 0; hour < 4; hour++) {
            char text[32];
            (void)snprintf(text, sizeof text, "15 %d * * *", hour);
            struct mr__cron cron = parsed(text);
            int64_t at = mr__date_days(1990, 1, 1) * DAY_MS - DAY_MS / 2, before = at;
            int64_t until = mr__date_days(2060, 1, 1) * DAY_MS - DAY_MS / 2, count = 0;
            while (mr__cron_next(&cron, zone, at, &at) && at <= until) {
                assert_true(count == 0 ||
                            (at - before >= 20 * DAY_MS / 24 && at - before <= 27 * DAY_MS / 24));
                before = at;
                count++;
            }
            assert_int_equal(count, days);
        }
        mr__zone_destroy(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cron__same_meaning),
        cmocka_unit_test(cron__bad_expressions_say_why),
        cmocka_unit_test(cron__length_limit),
        cmocka_unit_test(cron__known_times),
        cmocka_unit_test(cron__ends_of_time),
        cmocka_unit_test(cron__agrees_with_an_oracle_around_every_change_of_the_clock),
        cmocka_unit_test(cron__a_fixed_hour_runs_once_a_day_for_seventy_years),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
