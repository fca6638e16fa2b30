/* SPDX-License-Identifier: MIT
 *
 * Time as a port: the engine asks, it never looks at the machine's clocks itself, so that the
 * simulation can own time. Also the calendar, Unix milliseconds to RFC 3339 text, and durations.
 */
#ifndef MR__CLOCK_H
#define MR__CLOCK_H

#include "core/base/base.h"

struct mr__clock {
    int64_t (*wall_ms)(struct mr__clock *clock);      /* Unix time */
    int64_t (*monotonic_ms)(struct mr__clock *clock); /* since some fixed moment of this life */
};

struct mr__clock *mr__clock_system(void); /* static */

#define MR__DAY_S 86400

struct mr__date {
    int64_t year;
    int month, day; /* from 1 */
};
/* Days since 1970-01-01 of the Gregorian calendar, which reaches back before its invention. */
int64_t mr__date_days(int64_t year, int month, int day);
struct mr__date mr__date_of(int64_t days); /* the reverse */
int mr__date_month_days(int64_t year, int month);

#define MR__TIME_TEXT_BYTES 32
/* "2026-11-24T02:08:09.123Z" */
void mr__time_text(int64_t unix_ms, char ret_text[MR__TIME_TEXT_BYTES]);

/* "300ms", "10s", "5m", "2h", "1d"; one number, one unit, at most 100 years. False: it is none. */
bool mr__duration_parse(const char *text, size_t len, int64_t *ret_ms);
/* The shortest such text: 90000 -> "90s". */
void mr__duration_text(int64_t ms, char ret_text[MR__TIME_TEXT_BYTES]);

#endif
