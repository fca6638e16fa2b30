/* SPDX-License-Identifier: MIT
 *
 * Reads TZif: a table of moments at which the offset changes, and a POSIX TZ string (the footer)
 * with the rule that holds after the last of them. Nothing of a file is believed: every count and
 * index is checked against its bytes, and a lookup is a binary search or ten dates.
 *
 * No globals but the static UTC; mr__zone_load is the only function that touches the system.
 */
#include "core/base/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"

#define FOLDER      "/usr/share/zoneinfo"
#define MOMENT_MAX  (INT64_C(1) << 59) /* TZif allows no transition further from 1970 */
#define TYPES_MAX   256u
#define WEST_MAX    (25 * 3600)
#define RULE_H_MAX  167 /* hours in the time of day of a change: a week back or ahead */
#define RULE_NAMES  3   /* letters that a zone's abbreviation has at least */
#define BLOCK_BYTES 44u

/* A day of each year on which the clock changes: the three forms of POSIX. */
struct change {
    char form; /* 'J': day 1 to 365, never 29 February; '0': day 0 to 365; 'M': month, week, weekday
                */
    int day, month, week;
    int32_t time_s; /* of the wall clock as it is before the change */
};

struct mr__zone {
    uint32_t count;
    int32_t first_offset; /* before all transitions */
    int64_t *times;       /* ascending; `offsets` has the one that begins there */
    int32_t *offsets;
    bool has_rule, has_dst;
    int32_t standard, dst; /* offsets of the rule */
    struct change to_dst, to_standard;
};

static mr_status read_file(int fd, const char *name, struct mr__zone **ret_zone, mr_error *reterr);
static bool read_rule(const char *text, size_t len, struct mr__zone *zone);
static int64_t change_moment(const struct change *change, int64_t year, int32_t offset);

const struct mr__zone *mr__zone_utc(void)
{
    static const struct mr__zone utc = {.has_rule = true};
    return &utc;
}

void mr__zone_destroy(struct mr__zone *zone)
{
    if (zone != NULL) {
        mr__free(zone->times);
        mr__free(zone->offsets);
        mr__free(zone);
    }
}

/* ---- finding a file ----------------------------------------------------------------------- */

/* A path below the database's folder, which it cannot leave: there is no dot. */
static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > MR__ZONE_NAME_BYTES_MAX || name[0] == '/' || name[len - 1] == '/') {
        return false;
    }
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
           len;
}

mr_status mr__zone_load(const char *name, struct mr__zone **ret_zone, mr_error *reterr)
{
    if (!name_valid(name)) {
        return mr__error_set(
            reterr, MR_EINVAL,
            "a time zone has a name like Europe/Paris or UTC: letters, digits, _ + - /");
    }
    if (strcmp(name, "UTC") == 0) {
        struct mr__zone *zone = mr__calloc(1, sizeof *zone);
        if (zone == NULL) {
            return mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
        *zone = *mr__zone_utc();
        *ret_zone = zone;
        return MR_OK;
    }
    const char *folder = getenv("TZDIR");
    if (folder == NULL || folder[0] == '\0') {
        folder = FOLDER;
    }
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return mr__error_set(
            reterr, mr__status_from_errno(errno),
            "time zone %s: %s cannot be read (is the package tzdata installed?): %s", name, folder,
            strerror(errno));
    }
    /* Not blocking: what lies there could be a pipe. */
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int number = errno;
    (void)close(folder_fd); /* nothing was written */
    if (fd < 0) {
        mr_status status = mr__status_from_errno(number);
        return status == MR_ENOTFOUND
                   ? mr__error_set(reterr, status, "there is no time zone %s in %s", name, folder)
                   : mr__error_set(reterr, status, "time zone %s in %s: %s", name, folder,
                                   strerror(number));
    }
    mr_status status = read_file(fd, name, ret_zone, reterr);
    (void)close(fd);
    return status;
}

static mr_status read_file(int fd, const char *name, struct mr__zone **ret_zone, mr_error *reterr)
{
    struct stat file;
    if (fstat(fd, &file) != 0) {
        return mr__error_set(reterr, mr__status_from_errno(errno), "time zone %s: %s", name,
                             strerror(errno));
    }
    if (!S_ISREG(file.st_mode)) {
        return mr__error_set(reterr, MR_ENOTFOUND, "there is no time zone %s: it is a folder",
                             name);
    }
    uint8_t *bytes = mr__malloc(MR__ZONE_BYTES_MAX + 1); /* one more: to see that it is too large */
    if (bytes == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    size_t len = 0;
    ssize_t got = 1;
    while (got != 0 && len <= MR__ZONE_BYTES_MAX) {
        got = read(fd, bytes + len, MR__ZONE_BYTES_MAX + 1 - len);
        if (got < 0 && errno != EINTR) {
            mr__free(bytes);
            return mr__error_set(reterr, mr__status_from_errno(errno), "time zone %s: %s", name,
                                 strerror(errno));
        }
        len += got > 0 ? (size_t)got : 0;
    }
    mr_error error = {0};
    mr_status status = mr__zone_parse(bytes, len, ret_zone, &error);
    mr__free(bytes);
    return status == MR_OK ? MR_OK
                           : mr__error_set(reterr, status, "time zone %s: %s", name, error.message);
}

/* ---- TZif --------------------------------------------------------------------------------- */

struct header {
    uint8_t version; /* 0, '2', '3', '4' */
    uint32_t utc_count, standard_count, leap_count, time_count, type_count, text_bytes;
};

static bool read_header(struct mr__reader *r, struct header *ret_header)
{
    const uint8_t *head = mr__read_bytes(r, 20);
    if (head == NULL || memcmp(head, "TZif", 4) != 0) {
        return false;
    }
    ret_header->version = head[4];
    ret_header->utc_count = mr__read_u32be(r);
    ret_header->standard_count = mr__read_u32be(r);
    ret_header->leap_count = mr__read_u32be(r);
    ret_header->time_count = mr__read_u32be(r);
    ret_header->type_count = mr__read_u32be(r);
    ret_header->text_bytes = mr__read_u32be(r);
    return !r->failed;
}

/* The bytes of a block's data; a count has 32 bits, so that no sum overflows. */
static uint64_t block_bytes(const struct header *h, unsigned time_bytes)
{
    return (uint64_t)h->time_count * (time_bytes + 1) + (uint64_t)h->type_count * 6 +
           h->text_bytes + (uint64_t)h->leap_count * (time_bytes + 4) + h->standard_count +
           h->utc_count;
}

/* The transitions and their offsets. What names the offsets and tells standard time is not read. */
static bool read_table(struct mr__reader *r, const struct header *h, unsigned time_bytes,
                       struct mr__zone *zone)
{
    for (uint32_t i = 0; i < h->time_count; i++) {
        zone->times[i] = time_bytes == 8 ? (int64_t)mr__read_u64be(r) : (int32_t)mr__read_u32be(r);
        if (zone->times[i] < -MOMENT_MAX || zone->times[i] > MOMENT_MAX ||
            (i > 0 && zone->times[i] <= zone->times[i - 1])) {
            return false;
        }
    }
    const uint8_t *indexes = mr__read_bytes(r, h->time_count);
    int32_t offsets[TYPES_MAX] = {0};
    for (uint32_t i = 0; i < h->type_count; i++) {
        offsets[i] = (int32_t)mr__read_u32be(r);
        (void)mr__read_bytes(r, 2); /* whether it is daylight saving time, and its name */
        if (offsets[i] <= -WEST_MAX || offsets[i] >= MR__ZONE_OFFSET_MAX) {
            return false;
        }
    }
    if (r->failed || (indexes == NULL && h->time_count > 0)) {
        return false;
    }
    for (uint32_t i = 0; i < h->time_count; i++) {
        if (indexes[i] >= h->type_count) {
            return false;
        }
        zone->offsets[i] = offsets[indexes[i]];
    }
    zone->count = h->time_count;
    zone->first_offset = offsets[0];
    return true;
}

/* What stands between two newlines at the end of a file of version 2 or later: maybe nothing. */
static bool read_footer(struct mr__reader *r, struct mr__zone *zone)
{
    size_t left = mr__reader_left(r);
    const char *text = (const char *)r->at;
    if (left < 2 || text[0] != '\n') {
        return false;
    }
    const char *end = memchr(text + 1, '\n', left - 1);
    if (end == NULL) {
        return false;
    }
    size_t len = (size_t)(end - text) - 1;
    return len == 0 || read_rule(text + 1, len, zone);
}

mr_status mr__zone_parse(const uint8_t *bytes, size_t len, struct mr__zone **ret_zone,
                         mr_error *reterr)
{
    struct mr__reader r;
    struct header h;
    unsigned time_bytes = 4;
    if (len > MR__ZONE_BYTES_MAX) {
        return mr__error_set(reterr, MR_ELIMIT, "more than %u bytes", MR__ZONE_BYTES_MAX);
    }
    mr__reader_init(&r, bytes, len);
    if (!read_header(&r, &h)) {
        return mr__error_set(reterr, MR_EFORMAT, "not a TZif file");
    }
    if (h.version >= '2') { /* later versions are like the fourth, or have another magic number */
        time_bytes = 8;
        uint64_t skip = block_bytes(&h, 4);
        if (skip > mr__reader_left(&r) || mr__read_bytes(&r, (size_t)skip) == NULL ||
            !read_header(&r, &h)) {
            return mr__error_set(reterr, MR_EFORMAT, "a damaged TZif file");
        }
    }
    if (h.leap_count > 0) {
        return mr__error_set(reterr, MR_EFORMAT,
                             "it counts leap seconds, which Unix time does not");
    }
    if (h.time_count > MR__ZONE_TRANSITIONS_MAX) {
        return mr__error_set(reterr, MR_ELIMIT, "more than %u transitions",
                             MR__ZONE_TRANSITIONS_MAX);
    }
    if (h.type_count == 0 || h.type_count > TYPES_MAX ||
        block_bytes(&h, time_bytes) > mr__reader_left(&r)) {
        return mr__error_set(reterr, MR_EFORMAT, "a damaged TZif file");
    }
    struct mr__zone *zone = mr__calloc(1, sizeof *zone);
    if (zone != NULL) {
        zone->times = mr__calloc((size_t)h.time_count + 1, sizeof *zone->times);
        zone->offsets = mr__calloc((size_t)h.time_count + 1, sizeof *zone->offsets);
    }
    if (zone == NULL || zone->times == NULL || zone->offsets == NULL) {
        mr__zone_destroy(zone);
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    bool good = read_table(&r, &h, time_bytes, zone);
    if (good && time_bytes == 8) {
        (void)mr__read_bytes(&r, (size_t)h.text_bytes + h.standard_count + h.utc_count);
        good = read_footer(&r, zone);
    }
    if (!good) {
        mr__zone_destroy(zone);
        return mr__error_set(reterr, MR_EFORMAT, "a damaged TZif file");
    }
    *ret_zone = zone;
    return MR_OK;
}

/* ---- the footer: a TZ string of POSIX, as CET-1CEST,M3.5.0,M10.5.0/3 ---------------------- */

/* Each reads its part and moves `at` behind it. The text ends with a newline, which belongs to no
 * part: no reader passes it. */

static bool read_name(const char **at)
{
    const char *begin = *at;
    if (*begin == '<') {
        const char *end = begin + 1;
        while (*end != '>' && *end != '\n') {
            end++;
        }
        *at = *end == '>' ? end + 1 : end;
        return *end == '>' && end - begin - 1 >= RULE_NAMES;
    }
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z')) {
        (*at)++;
    }
    return *at - begin >= RULE_NAMES;
}

static bool read_number(const char **at, int min, int max, int *ret)
{
    const char *begin = *at;
    int number = 0;
    while (**at >= '0' && **at <= '9' && number <= max) {
        number = number * 10 + (**at - '0');
        (*at)++;
    }
    *ret = number;
    return *at > begin && number >= min && number <= max;
}

static bool accept(const char **at, char c)
{
    bool there = **at == c;
    *at += there ? 1 : 0;
    return there;
}

/* [+-]hours[:minutes[:seconds]] */
static bool read_time(const char **at, int hours_max, int32_t *ret_s)
{
    int hours, minutes = 0, seconds = 0;
    bool negative = accept(at, '-');
    if (!negative) {
        (void)accept(at, '+'); /* it says nothing */
    }
    if (!read_number(at, 0, hours_max, &hours)) {
        return false;
    }
    if (accept(at, ':') && (!read_number(at, 0, 59, &minutes) ||
                            (accept(at, ':') && !read_number(at, 0, 59, &seconds)))) {
        return false;
    }
    int32_t time_s = hours * 3600 + minutes * 60 + seconds;
    *ret_s = negative ? -time_s : time_s;
    return true;
}

static bool read_change(const char **at, struct change *ret_change)
{
    struct change change = {.form = '0', .time_s = 2 * 3600};
    bool good;
    if (accept(at, 'M')) {
        change.form = 'M';
        good = read_number(at, 1, 12, &change.month) && accept(at, '.') &&
               read_number(at, 1, 5, &change.week) && accept(at, '.') &&
               read_number(at, 0, 6, &change.day);
    } else if (accept(at, 'J')) {
        change.form = 'J';
        good = read_number(at, 1, 365, &change.day);
    } else {
        good = read_number(at, 0, 365, &change.day);
    }
    if (good && accept(at, '/')) {
        good = read_time(at, RULE_H_MAX, &change.time_s);
    }
    *ret_change = change;
    return good;
}

/* `text` is followed by a newline, which `len` does not count. */
static bool read_rule(const char *text, size_t len, struct mr__zone *zone)
{
    const char *at = text, *end = text + len;
    if (!read_name(&at) || !read_time(&at, 24, &zone->standard)) {
        return false;
    }
    zone->standard = -zone->standard; /* POSIX counts to the west */
    zone->has_rule = true;
    if (at == end) {
        return true;
    }
    zone->has_dst = true;
    zone->dst = zone->standard + 3600;
    if (!read_name(&at)) {
        return false;
    }
    if (*at != ',') {
        if (!read_time(&at, 24, &zone->dst)) {
            return false;
        }
        zone->dst = -zone->dst;
    }
    return accept(&at, ',') && read_change(&at, &zone->to_dst) && accept(&at, ',') &&
           read_change(&at, &zone->to_standard) && at == end;
}

/* ---- looking up --------------------------------------------------------------------------- */

/* When `change` happens in `year`, where `offset` holds before it. */
static int64_t change_moment(const struct change *change, int64_t year, int32_t offset)
{
    int64_t day = mr__date_days(year, 1, 1);
    if (change->form == 'M') {
        day = mr__date_days(year, change->month, 1);
        int first_weekday = (int)((day % 7 + 7 + 4) % 7); /* 1970 began on a Thursday */
        int in_month = (change->day - first_weekday + 7) % 7 + 7 * (change->week - 1);
        day += in_month < mr__date_month_days(year, change->month) ? in_month : in_month - 7;
    } else if (change->form == 'J') {
        bool after_leap_day = change->day >= 60 && mr__date_month_days(year, 2) == 29;
        day += change->day - 1 + (after_leap_day ? 1 : 0);
    } else {
        day += change->day;
    }
    return day * MR__DAY_S + change->time_s - offset;
}

static struct mr__zone_span rule_span(const struct mr__zone *zone, int64_t unix_s)
{
    struct mr__zone_span span = {INT64_MIN, INT64_MAX, zone->standard};
    if (!zone->has_dst) {
        return span;
    }
    /* A change can lie a week outside of its year: two years on each side are enough. Where both
     * fall together, daylight saving time holds on: so a rule says that it never ends. */
    int64_t days = unix_s / MR__DAY_S - (unix_s % MR__DAY_S < 0 ? 1 : 0);
    int64_t this_year = mr__date_of(days).year;
    for (int64_t year = this_year - 2; year <= this_year + 2; year++) {
        int64_t to_dst = change_moment(&zone->to_dst, year, zone->standard);
        int64_t to_standard = change_moment(&zone->to_standard, year, zone->dst);
        if (to_standard <= unix_s && to_standard > span.begin) {
            span.begin = to_standard;
            span.offset = zone->standard;
        }
        if (to_dst <= unix_s && to_dst >= span.begin) {
            span.begin = to_dst;
            span.offset = zone->dst;
        }
        span.end = to_standard > unix_s ? MR__MIN(span.end, to_standard) : span.end;
        span.end = to_dst > unix_s ? MR__MIN(span.end, to_dst) : span.end;
    }
    return span;
}

struct mr__zone_span mr__zone_span(const struct mr__zone *zone, int64_t unix_s)
{
    unix_s = MR__MIN(MR__MAX(unix_s, -MOMENT_MAX), MOMENT_MAX);
    uint32_t low = 0, high = zone->count; /* the transitions before `low` are not after unix_s */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= unix_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct mr__zone_span span;
    if (low == zone->count && zone->has_rule) {
        span = rule_span(zone, unix_s);
        if (low > 0) {
            span.begin = MR__MAX(span.begin, zone->times[low - 1]);
        }
        return span;
    }
    span.begin = low == 0 ? INT64_MIN : zone->times[low - 1];
    span.end = low == zone->count ? INT64_MAX : zone->times[low];
    span.offset = low == 0 ? zone->first_offset : zone->offsets[low - 1];
    return span;
}

int32_t mr__zone_offset(const struct mr__zone *zone, int64_t unix_s)
{
    return mr__zone_span(zone, unix_s).offset;
}
