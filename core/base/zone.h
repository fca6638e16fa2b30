/* SPDX-License-Identifier: MIT
 *
 * Time zones: which offset from UTC holds at which moment, read from the system's tz database (TZif
 * files, RFC 9636). The C library's own reader is not used: its zone is the whole process's (TZ,
 * tzset), which is somebody else's.
 *
 * A zone is immutable: any thread. A *wall time* is what a clock in the zone shows, as the number
 * of seconds that a clock in UTC showing the same would have: Unix time plus offset. Some wall
 * times do not exist (the clock goes forward), some exist twice (it goes back).
 */
#ifndef MR__ZONE_H
#define MR__ZONE_H

#include "core/base/base.h"

struct mr__zone;

/* No offset is further from UTC: the east has less than 26 hours, the west less than 25. */
#define MR__ZONE_OFFSET_MAX (26 * 3600)

const struct mr__zone *mr__zone_utc(void); /* static */

/* Reads a file of tzdata: from $TZDIR, or /usr/share/zoneinfo where that is not set. "UTC" needs no
 * file. `ret_zone` is **owned**: mr__zone_destroy. MR_EINVAL: no such name can be; MR_ENOTFOUND: no
 * such zone (or no tzdata) is installed; MR_EFORMAT, MR_ELIMIT, MR_EIO, MR_EPERM: its file is not
 * readable; MR_ENOMEM. It waits for the disk. */
mr_status mr__zone_load(const char *name, struct mr__zone **ret_zone, mr_error *reterr);

/* The same for the bytes of a TZif file, versions 1 to 4. Files that count leap seconds
 * ("right/...") are refused: Unix time does not. */
mr_status mr__zone_parse(const uint8_t *bytes, size_t len, struct mr__zone **ret_zone,
                         mr_error *reterr);

void mr__zone_destroy(struct mr__zone *zone); /* NULL is allowed */

/* A stretch of time with one offset: begin <= t < end. */
struct mr__zone_span {
    int64_t begin, end; /* Unix seconds; INT64_MIN and INT64_MAX: no such end */
    int32_t offset;     /* seconds east of UTC */
};

/* The span in which `unix_s` lies. A neighbour may have the same offset. Moments more than 2^59
 * seconds from 1970 are taken for that last one. */
struct mr__zone_span mr__zone_span(const struct mr__zone *zone, int64_t unix_s);

int32_t mr__zone_offset(const struct mr__zone *zone, int64_t unix_s);

#endif
