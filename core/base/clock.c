/* SPDX-License-Identifier: MIT
 *
 * The machine's clocks, time as text, durations. Pure but for the two clock calls; any thread.
 * Dates are computed here and not by the C library, which would look at TZ and take a lock.
 */
#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

#define DAY_MS             INT64_C(86400000)
#define DURATION_MS_MAX    (INT64_C(36525) * DAY_MS) /* 100 years */
#define YEAR_9999_LAST_DAY INT64_C(2932896)
#define YEAR_0_FIRST_DAY   INT64_C(-719528)

static int64_t read_clock_ms(clockid_t which)
{
    struct timespec now;
    int rc = clock_gettime(which, &now);
    MR_ASSERT(rc == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(struct mr__clock *clock)
{
    return read_clock_ms(CLOCK_REALTIME);
}

static int64_t system_monotonic_ms(struct mr__clock *clock)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

struct mr__clock *mr__clock_system(void)
{
    static struct mr__clock system = {system_wall_ms, system_monotonic_ms};
    return &system;
}

/* Years begin in March here, so that the leap day is the last day of a year: day 0 is 0000-03-01.
 * 400 years are a cycle of 146,097 days. */
#define DAYS_TO_MARCH_0 INT64_C(719468)
#define CYCLE_DAYS      INT64_C(146097)

int64_t mr__date_days(int64_t year, int month, int day)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t cycle = (march_year < 0 ? march_year - 399 : march_year) / 400;
    int64_t year_of_cycle = march_year - cycle * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return cycle * CYCLE_DAYS + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 +
           of_year - DAYS_TO_MARCH_0;
}

struct mr__date mr__date_of(int64_t days)
{
    int64_t day = days + DAYS_TO_MARCH_0;
    int64_t cycle = (day < 0 ? day - (CYCLE_DAYS - 1) : day) / CYCLE_DAYS;
    int64_t of_cycle = day - cycle * CYCLE_DAYS;
    int64_t year_of_cycle =
        (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    int64_t of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t march_month = (5 * of_year + 2) / 153;
    struct mr__date date;
    date.day = (int)(of_year - (153 * march_month + 2) / 5 + 1);
    date.month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    date.year = cycle * 400 + year_of_cycle + (date.month <= 2 ? 1 : 0);
    return date;
}

int mr__date_month_days(int64_t year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 ? (leap ? 29 : 28) : 30 + (month + month / 8) % 2;
}

void mr__time_text(int64_t unix_ms, char ret_text[MR__TIME_TEXT_BYTES])
{
    int64_t days = unix_ms / DAY_MS, ms = unix_ms % DAY_MS;
    if (ms < 0) {
        ms += DAY_MS;
        days--;
    }
    /* RFC 3339 has years of four digits: what lies outside becomes the nearest moment inside. */
    if (days > YEAR_9999_LAST_DAY) {
        days = YEAR_9999_LAST_DAY;
        ms = DAY_MS - 1;
    } else if (days < YEAR_0_FIRST_DAY) {
        days = YEAR_0_FIRST_DAY;
        ms = 0;
    }
    struct mr__date date = mr__date_of(days);
    char text[96]; /* as large as the compiler, which does not know the ranges, can think of */
    int second = (int)(ms / 1000);
    int len = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)date.year,
                       date.month, date.day, second / 3600, second / 60 % 60, second % 60,
                       (int)(ms % 1000));
    MR_ASSERT(len == 24);
    memcpy(ret_text, text, 25);
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"d", DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

bool mr__duration_parse(const char *text, size_t len, int64_t *ret_ms)
{
    size_t digits = 0;
    int64_t number = 0;
    while (digits < len && text[digits] >= '0' && text[digits] <= '9') {
        number = number * 10 + (text[digits] - '0');
        if (number > DURATION_MS_MAX) {
            return false;
        }
        digits++;
    }
    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < MR__COUNT(units); i++) {
        size_t unit_len = strlen(units[i].name);
        if (len - digits == unit_len && memcmp(text + digits, units[i].name, unit_len) == 0) {
            if (number > DURATION_MS_MAX / units[i].ms) {
                return false;
            }
            *ret_ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

void mr__duration_text(int64_t ms, char ret_text[MR__TIME_TEXT_BYTES])
{
    if (ms == 0) {
        (void)snprintf(ret_text, MR__TIME_TEXT_BYTES, "0s");
        return;
    }
    size_t i = 0;
    while (ms % units[i].ms != 0) {
        i++;
    }
    (void)snprintf(ret_text, MR__TIME_TEXT_BYTES, "%lld%s", (long long)(ms / units[i].ms),
                   units[i].name);
}
