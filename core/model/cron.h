/* SPDX-License-Identifier: MIT
 *
 * Cron expressions: text to bit sets, and the next time of a schedule in a time zone. Pure.
 *
 * Five fields, minute hour day-of-month month day-of-week, or six with seconds in front (as many
 * users of Go know them). A field is a list, `1,15`, of: `*` or `?` (all), a number, a name (jan to
 * dec, sun to sat), a range `1-5`; each with a step behind it if wanted, `10-40/5` (`5/15`: from 5
 * on). 0 and 7 are Sunday; `L` is the last day of the month. Or the whole is one of @yearly,
 * @annually,
 * @monthly, @weekly, @daily, @midnight, @hourly, and `@every 5m`, whose times are the multiples of
 * the duration since 1970 (UTC), so that a restart moves none of them.
 *
 * Days: where both day fields say something, a day matches that either of them names, as in Vixie
 * cron. A field says nothing if it has a `*` or `?` without a step.
 *
 * When clocks change. A schedule *follows the clock* if its hour field has a `*` or `?` (a step may
 * follow) or names all 24 hours; else its hours are fixed.
 *  - Forward, wall times that do not exist: a schedule that follows the clock has no run there. One
 *    with fixed hours has one run for all of them, at the first moment after the gap, which may be
 *    that of its next wall time, too.
 *  - Back, wall times that exist twice: a schedule that follows the clock runs at both (every 15
 *    minutes stays every 15 minutes), one with fixed hours at the first of the two.
 * So fixed hours are never left out and never doubled: 02:30 each day is one run a day. Where a
 * zone leaves out a whole day (Pacific/Apia, 30 December 2011), its runs are the one after the gap.
 */
#ifndef MR__CRON_H
#define MR__CRON_H

#include "core/base/zone.h"

struct mr__cron {
    uint64_t seconds, minutes; /* bit n: the number n is in it */
    uint32_t hours, days, months;
    uint32_t weekdays; /* bit 0: Sunday */
    bool last_day;     /* of the month, beside `days` */
    bool any_day, any_weekday;
    bool follows_clock;
    int64_t every_ms; /* of @every; 0: the fields count */
};

/* MR_EINVAL: `text` is no cron expression; the message names the field and what it may hold, as
 * "hour 25 is not in 0-23". MR_ELIMIT: more than MR__CRON_BYTES_MAX. */
mr_status mr__cron_parse(const char *text, size_t len, struct mr__cron *ret_cron, mr_error *reterr);

/* The first time strictly after `after_ms` (Unix time), a whole second but for @every. False: there
 * is none within MR__CRON_YEARS_MAX years (30 February), or before the year 10000. */
bool mr__cron_next(const struct mr__cron *cron, const struct mr__zone *zone, int64_t after_ms,
                   int64_t *ret_ms);

#endif
