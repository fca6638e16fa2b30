/* SPDX-License-Identifier: MIT
 *
 * The first half reads an expression into bit sets; the second finds its next time. A wall time is
 * found by fields (month, day, hour, minute, second: each the lowest bit that is left), never by
 * trying minutes; how it becomes a moment is the rule of cron.h. Pure; any thread.
 */
#include "core/model/cron.h"

#include <stdio.h>

#include "core/base/clock.h"

#define NEVER_S     INT64_C(253402300800) /* the year 10000 */
#define FIRST_S     INT64_C(-62167219200) /* the year 0 */
#define QUOTE_BYTES 32

/* ---- reading an expression ---------------------------------------------------------------- */

static const char month_names[] = "jan feb mar apr may jun jul aug sep oct nov dec";
static const char weekday_names[] = "sun mon tue wed thu fri sat";

static const struct field {
    const char *name;
    unsigned min, max;
    unsigned last;     /* where `*` and N/step end: 7 is a second name of Sunday only */
    const char *names; /* of the numbers from min on, or NULL */
} fields[] = {
    {"second", 0, 59, 59, NULL},       {"minute", 0, 59, 59, NULL},
    {"hour", 0, 23, 23, NULL},         {"day-of-month", 1, 31, 31, NULL},
    {"month", 1, 12, 12, month_names}, {"day-of-week", 0, 7, 6, weekday_names},
};
enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

/* What a field says. */
struct set {
    uint64_t bits;
    bool any;  /* it has a `*` without a step */
    bool star; /* it has a `*` */
    bool last; /* it has an `L` */
};

struct piece {
    const char *at;
    size_t len;
};

static const struct {
    const char *name, *meaning;
} shortcuts[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

static mr_status parse_fields(struct piece text, struct mr__cron *cron, mr_error *reterr);
static mr_status parse_every(struct piece text, struct mr__cron *cron, mr_error *reterr);
static mr_status parse_field(const struct field *field, struct piece text, struct set *set,
                             mr_error *reterr);
static mr_status parse_item(const struct field *field, struct piece item, struct set *set,
                            mr_error *reterr);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes what stands before the first `mark` off `rest`, and the mark. False: there is none, and all
 * of `rest` was taken. */
static bool take_until(struct piece *rest, char mark, struct piece *ret_taken)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->at, mark, rest->len);
    *ret_taken = *rest;
    if (found == NULL) {
        rest->at += rest->len;
        rest->len = 0;
        return false;
    }
    ret_taken->len = (size_t)(found - rest->at);
    rest->at = found + 1;
    rest->len -= ret_taken->len + 1;
    return true;
}

/* Takes the next word off `rest`; empty: there is none. */
static struct piece take_word(struct piece *rest)
{
    struct piece word;
    while (rest->len > 0 && is_blank(*rest->at)) {
        rest->at++;
        rest->len--;
    }
    word.at = rest->at;
    while (rest->len > 0 && !is_blank(*rest->at)) {
        rest->at++;
        rest->len--;
    }
    word.len = (size_t)(rest->at - word.at);
    return word;
}

static bool is_text(struct piece piece, const char *text)
{
    return piece.len == strlen(text) && memcmp(piece.at, text, piece.len) == 0;
}

/* For messages: short, and nothing in it that a terminal could take for a command. */
static const char *quote(struct piece piece, char ret_text[QUOTE_BYTES])
{
    size_t len = MR__MIN(piece.len, QUOTE_BYTES - 4);
    for (size_t i = 0; i < len; i++) {
        ret_text[i] = piece.at[i] > ' ' && piece.at[i] < 0x7f ? piece.at[i] : '?';
    }
    memcpy(ret_text + len, len < piece.len ? "..." : "", len < piece.len ? 4 : 1);
    return ret_text;
}

mr_status mr__cron_parse(const char *text, size_t len, struct mr__cron *ret_cron, mr_error *reterr)
{
    struct mr__cron cron = {0};
    struct piece rest = {text, len};
    char shown[QUOTE_BYTES];
    if (len > MR__CRON_BYTES_MAX) {
        return mr__error_set(reterr, MR_ELIMIT, "a cron expression has at most %u bytes",
                             MR__CRON_BYTES_MAX);
    }
    struct piece word = take_word(&rest);
    mr_status status = MR_EINVAL;
    if (word.len == 0 || *word.at != '@') {
        if (memchr(word.at, '=', word.len) != NULL) {
            return mr__error_set(reterr, MR_EINVAL,
                                 "%s: a time zone does not belong into the expression",
                                 quote(word, shown));
        }
        status = parse_fields((struct piece){text, len}, &cron, reterr);
    } else if (is_text(word, "@every")) {
        status = parse_every(rest, &cron, reterr);
    } else {
        const char *meaning = NULL;
        for (size_t i = 0; i < MR__COUNT(shortcuts); i++) {
            if (is_text(word, shortcuts[i].name) && take_word(&rest).len == 0) {
                meaning = shortcuts[i].meaning;
            }
        }
        if (meaning == NULL) {
            return mr__error_set(reterr, MR_EINVAL,
                                 "%s is not one of @yearly, @monthly, @weekly, @daily, @hourly and "
                                 "@every DURATION, alone",
                                 quote(word, shown));
        }
        status = parse_fields((struct piece){meaning, strlen(meaning)}, &cron, reterr);
    }
    if (status == MR_OK) {
        *ret_cron = cron;
    }
    return status;
}

static mr_status parse_every(struct piece text, struct mr__cron *cron, mr_error *reterr)
{
    struct piece word = take_word(&text);
    if (take_word(&text).len > 0 || !mr__duration_parse(word.at, word.len, &cron->every_ms)) {
        return mr__error_set(reterr, MR_EINVAL,
                             "@every needs one duration, a number and a unit: 90s, 5m, 2h or 1d");
    }
    if (cron->every_ms < 1000) {
        return mr__error_set(reterr, MR_EINVAL, "@every needs a duration of at least 1s");
    }
    return MR_OK;
}

static mr_status parse_fields(struct piece text, struct mr__cron *cron, mr_error *reterr)
{
    struct piece words[FIELDS] = {{0}}, rest = text;
    struct set sets[FIELDS] = {{.bits = 1}}; /* without a field for them: second 0 */
    unsigned count = 0;
    for (struct piece word = take_word(&rest); word.len > 0; word = take_word(&rest)) {
        if (count < FIELDS) {
            words[count] = word;
        }
        count++;
    }
    if (count != FIELDS && count != FIELDS - 1) {
        return mr__error_set(reterr, MR_EINVAL,
                             "%u field%s; a cron expression has 5 (minute hour day-of-month month "
                             "day-of-week), or 6 with seconds in front",
                             count, count == 1 ? "" : "s");
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned which = FIELDS - count + i;
        sets[which].bits = 0;
        mr_status status = parse_field(&fields[which], words[i], &sets[which], reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    cron->seconds = sets[SECOND].bits;
    cron->minutes = sets[MINUTE].bits;
    cron->hours = (uint32_t)sets[HOUR].bits;
    cron->days = (uint32_t)sets[DAY].bits;
    cron->months = (uint32_t)sets[MONTH].bits;
    cron->weekdays = (uint32_t)((sets[WEEKDAY].bits | sets[WEEKDAY].bits >> 7) & 0x7f);
    cron->last_day = sets[DAY].last;
    cron->any_day = sets[DAY].any;
    cron->any_weekday = sets[WEEKDAY].any;
    cron->follows_clock = sets[HOUR].star || cron->hours == 0xffffff;
    return MR_OK;
}

static mr_status parse_field(const struct field *field, struct piece text, struct set *set,
                             mr_error *reterr)
{
    struct piece item;
    bool more = true;
    while (more) {
        more = take_until(&text, ',', &item);
        mr_status status = parse_item(field, item, set, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    return MR_OK;
}

/* False: it is no number. All that are too large for any field count as 1000. */
static bool parse_number(struct piece text, unsigned *ret)
{
    unsigned number = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        number = MR__MIN(number * 10 + (unsigned)(text.at[i] - '0'), 1000);
    }
    *ret = number;
    return true;
}

/* A number or a name of the field. */
static mr_status parse_value(const struct field *field, struct piece text, unsigned *ret,
                             mr_error *reterr)
{
    char shown[QUOTE_BYTES];
    if (text.len == 3 && field->names != NULL) {
        for (const char *name = field->names; name < field->names + strlen(field->names);
             name += 4) {
            /* Letters of either case differ in one bit. */
            if ((text.at[0] | 0x20) == name[0] && (text.at[1] | 0x20) == name[1] &&
                (text.at[2] | 0x20) == name[2]) {
                *ret = field->min + (unsigned)(name - field->names) / 4;
                return MR_OK;
            }
        }
    }
    if (!parse_number(text, ret)) {
        (void)quote(text, shown);
        return field->names == NULL
                   ? mr__error_set(reterr, MR_EINVAL, "%s \"%s\" is not a number", field->name,
                                   shown)
                   : mr__error_set(
                         reterr, MR_EINVAL, "%s \"%s\" is not a number or a name from %.3s to %s",
                         field->name, shown, field->names, field->names + strlen(field->names) - 3);
    }
    if (*ret < field->min || *ret > field->max) {
        return mr__error_set(reterr, MR_EINVAL, "%s %s is not in %u-%u", field->name,
                             quote(text, shown), field->min, field->max);
    }
    return MR_OK;
}

/* One of: star, number, range; each may have a step. Or L. */
static mr_status parse_item(const struct field *field, struct piece item, struct set *set,
                            mr_error *reterr)
{
    char shown[QUOTE_BYTES];
    struct piece step_text = item, upper, range, lower;
    unsigned low = field->min, high = field->last, step = 1;
    bool stepped = take_until(&step_text, '/', &range);
    upper = range;
    bool ranged = take_until(&upper, '-', &lower);
    unsigned step_max = field->last - field->min + 1;
    if (stepped && (!parse_number(step_text, &step) || step == 0 || step > step_max)) {
        return mr__error_set(reterr, MR_EINVAL, "%s: the step \"%s\" is not in 1-%u", field->name,
                             quote(step_text, shown), step_max);
    }
    if (field == &fields[DAY] && (is_text(item, "L") || is_text(item, "l"))) {
        set->last = true;
        return MR_OK;
    }
    if (is_text(range, "*") || is_text(range, "?")) {
        set->star = true;
        set->any = set->any || step == 1;
    } else {
        mr_status status = parse_value(field, lower, &low, reterr);
        if (status == MR_OK && ranged) {
            status = parse_value(field, upper, &high, reterr);
        } else if (!stepped) {
            high = low;
        }
        if (status != MR_OK) {
            return status;
        }
    }
    if (field == &fields[WEEKDAY] && ranged && high == 0) {
        high = low > 0 ? field->max : 0; /* sat-sun */
    } else if (!ranged && low > field->last) {
        low = field->min; /* 7 is 0, and 7/2 is 0/2 */
        high = stepped ? field->last : low;
    }
    if (low > high && ranged) {
        return mr__error_set(reterr, MR_EINVAL, "%s range %s runs backwards", field->name,
                             quote(range, shown));
    }
    for (unsigned i = low; i <= high; i += step) {
        set->bits |= UINT64_C(1) << i;
    }
    return MR_OK;
}

/* ---- the next wall time ------------------------------------------------------------------- */

/* The lowest number of the set that is not below `from` (up to 63), or -1. */
static int lowest(uint64_t bits, int from)
{
    uint64_t left = bits >> from;
    return left == 0 ? -1 : from + __builtin_ctzll(left);
}

/* The first second of a day, from `from` (0 to 86399) on, that matches. */
static bool next_of_day(const struct mr__cron *cron, int from, int *ret)
{
    int hour = from / 3600, minute = from / 60 % 60;
    int s = lowest(cron->seconds, from % 60);
    int m = lowest(cron->minutes, s < 0 ? minute + 1 : minute);
    int h = lowest(cron->hours, m < 0 ? hour + 1 : hour);
    if (h != hour) {
        m = lowest(cron->minutes, 0);
    }
    if (h != hour || m != minute) {
        s = lowest(cron->seconds, 0);
    }
    *ret = h * 3600 + m * 60 + s;
    return h >= 0;
}

/* The days of a month that match: bit 1 to 31. */
static uint32_t days_of_month(const struct mr__cron *cron, int64_t year, int month)
{
    int len = mr__date_month_days(year, month);
    int64_t first = mr__date_days(year, month, 1);
    unsigned weekday = (unsigned)((first % 7 + 7 + 4) % 7); /* 1970 began on a Thursday */
    /* The week as it begins on the first, then five times over. */
    uint64_t week = (cron->weekdays >> weekday | cron->weekdays << (7 - weekday)) & 0x7f;
    uint64_t by_weekday = week * UINT64_C(0x10204081) << 1;
    uint64_t by_day = cron->days | (cron->last_day ? UINT64_C(1) << len : 0);
    uint64_t match = cron->any_weekday ? by_day : by_day | by_weekday;
    if (cron->any_day) {
        match = cron->any_weekday ? UINT64_MAX : by_weekday;
    }
    return (uint32_t)(match & ((UINT64_C(1) << (len + 1)) - 2));
}

/* The first wall time that matches, from `from` on and before `limit`. */
static bool next_wall(const struct mr__cron *cron, int64_t from, int64_t limit, int64_t *ret)
{
    int64_t from_day = (from - FIRST_S) / MR__DAY_S + FIRST_S / MR__DAY_S;
    int from_s = (int)(from - from_day * MR__DAY_S);
    struct mr__date date = mr__date_of(from_day);
    int64_t year = date.year;
    int month = date.month;
    while (mr__date_days(year, month, 1) * MR__DAY_S < limit) {
        uint64_t days = 0;
        if (lowest(cron->months, month) == month) {
            days = days_of_month(cron, year, month);
        }
        for (int day = lowest(days, date.day); day > 0; day = lowest(days, day + 1)) {
            int64_t this_day = mr__date_days(year, month, day);
            int second;
            if (next_of_day(cron, this_day == from_day ? from_s : 0, &second)) {
                *ret = this_day * MR__DAY_S + second;
                return *ret < limit;
            }
        }
        date.day = 1;
        year += month == 12 ? 1 : 0;
        month = month == 12 ? 1 : month + 1;
    }
    return false;
}

/* ---- and the moment that it is ------------------------------------------------------------ */

/* The least wall time that no clock has shown before `unix_s`, nor passed over. */
static int64_t wall_unseen(const struct mr__zone *zone, int64_t unix_s)
{
    int64_t unseen = INT64_MIN, end = unix_s;
    do {
        struct mr__zone_span span = mr__zone_span(zone, end - 1);
        unseen = MR__MAX(unseen, end + span.offset);
        end = span.begin;
    } while (end > unseen - MR__ZONE_OFFSET_MAX); /* earlier clocks have shown less */
    return unseen;
}

/* The first moment at which a clock shows `wall` or more: within a gap, its end. */
static int64_t wall_reached(const struct mr__zone *zone, int64_t wall)
{
    int64_t begin = wall - MR__ZONE_OFFSET_MAX;
    for (;;) {
        struct mr__zone_span span = mr__zone_span(zone, begin);
        int64_t moment = MR__MAX(begin, wall - span.offset);
        if (moment < span.end) {
            return moment;
        }
        begin = span.end;
    }
}

/* Fixed hours: what runs are wall times, each at the first moment at which it is reached. */
static bool next_fixed(const struct mr__cron *cron, const struct mr__zone *zone, int64_t from,
                       int64_t limit, int64_t *ret)
{
    int64_t wall;
    if (!next_wall(cron, wall_unseen(zone, from), limit, &wall)) {
        return false;
    }
    *ret = wall_reached(zone, wall);
    return true;
}

/* Following the clock: what runs are moments, those whose wall time matches. */
static bool next_following(const struct mr__cron *cron, const struct mr__zone *zone, int64_t from,
                           int64_t limit, int64_t *ret)
{
    while (from < limit) {
        struct mr__zone_span span = mr__zone_span(zone, from);
        int64_t wall, end = MR__MIN(span.end, limit);
        if (next_wall(cron, from + span.offset, end + span.offset, &wall)) {
            *ret = wall - span.offset;
            return true;
        }
        from = end;
    }
    return false;
}

bool mr__cron_next(const struct mr__cron *cron, const struct mr__zone *zone, int64_t after_ms,
                   int64_t *ret_ms)
{
    /* With a day in hand, so that no wall time lies outside of the calendar. */
    after_ms = MR__MAX(after_ms, (FIRST_S + 2 * MR__DAY_S) * 1000);
    if (after_ms >= (NEVER_S - 2 * MR__DAY_S) * 1000) {
        return false;
    }
    if (cron->every_ms > 0) {
        int64_t past = after_ms % cron->every_ms;
        *ret_ms = after_ms - past + (past < 0 ? 0 : cron->every_ms);
        return true;
    }
    int64_t from = after_ms / 1000 - (after_ms % 1000 < 0 ? 1 : 0) + 1, next;
    int64_t limit = MR__MIN(from + INT64_C(366) * MR__DAY_S * MR__CRON_YEARS_MAX, NEVER_S);
    bool found = cron->follows_clock ? next_following(cron, zone, from, limit, &next)
                                     : next_fixed(cron, zone, from, limit, &next);
    if (found) {
        *ret_ms = next * 1000;
    }
    return found;
}
