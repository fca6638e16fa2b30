/* SPDX-License-Identifier: MIT
 *
 * Goal: our reader of TZif says what the C library's says, and no file harms it. Method: every zone
 * of tzdata is compared with localtime_r, around each transition and in between, to the year 2100
 * and so far into the footers; footers that tzdata does not use are compared in the same way, as
 * files made here; damaged files must be refused, and no prefix of a good one may do harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"

/* The code itself, with allocations that fail on demand. */
static int allocations_left = -1; /* -1: all succeed */

static void *failing_malloc(size_t bytes)
{
    allocations_left -= allocations_left > 0 ? 1 : 0;
    return allocations_left == 0 ? NULL : malloc(bytes);
}

static void *failing_calloc(size_t count, size_t bytes)
{
    allocations_left -= allocations_left > 0 ? 1 : 0;
    return allocations_left == 0 ? NULL : calloc(count, bytes);
}

#define mr__malloc failing_malloc
#define mr__calloc failing_calloc
#include "core/base/zone.c"
#undef mr__malloc
#undef mr__calloc

#include <cmocka.h> /* last: its macros take plain words */

#define YEAR_S  INT64_C(31556952)
#define YEAR(y) (((y)-1970) * YEAR_S)

static char temp[] = "/tmp/mr_test_zone_XXXXXX";

static int64_t library_offset(int64_t unix_s)
{
    struct tm tm;
    time_t seconds = (time_t)unix_s;
    assert_non_null(localtime_r(&seconds, &tm));
    return tm.tm_gmtoff;
}

static void library_zone(const char *tz)
{
    assert_int_equal(setenv("TZ", tz, 1), 0);
    tzset();
}

static void same_at(const struct mr__zone *zone, const char *name, int64_t unix_s)
{
    int64_t ours = mr__zone_offset(zone, unix_s), theirs = library_offset(unix_s);
    if (ours != theirs) {
        fail_msg("%s at %lld: %lld, the C library says %lld", name, (long long)unix_s,
                 (long long)ours, (long long)theirs);
    }
}

/* Both readers, at the borders of our spans and on a walk of its own, which finds borders that we
 * do not see. */
static unsigned compare(const struct mr__zone *zone, const char *name, int64_t from, int64_t until,
                        int64_t step)
{
    unsigned borders = 0;
    for (int64_t at = from; at < until; at += step) {
        same_at(zone, name, at);
    }
    for (struct mr__zone_span span = mr__zone_span(zone, from); span.end < until;
         span = mr__zone_span(zone, span.end)) {
        same_at(zone, name, span.end - 1);
        same_at(zone, name, span.end);
        assert_true(mr__zone_span(zone, span.end).begin == span.end);
        borders++;
    }
    return borders;
}

static void zone__agrees_with_the_c_library_everywhere(void **state)
{
    FILE *list = fopen(FOLDER "/zone1970.tab", "r");
    assert_non_null(list);
    char line[512], name[128];
    unsigned zones = 0, borders = 0;
    while (fgets(line, sizeof line, list) != NULL) {
        if (line[0] == '#' || sscanf(line, "%*s %*s %127s", name) != 1) {
            continue;
        }
        struct mr__zone *zone;
        mr_error error = {0};
        if (mr__zone_load(name, &zone, &error) != MR_OK) {
            fail_msg("%s", error.message);
        }
        library_zone(name);
        borders += compare(zone, name, YEAR(1900), YEAR(2100), 86400 * 13 + 4567);
        mr__zone_destroy(zone);
        zones++;
    }
    assert_int_equal(fclose(list), 0);
    assert_true(zones > 250 && borders > 20000);
}

static void zone__agrees_with_the_c_library_hour_by_hour(void **state)
{
    static const char *const names[] = {
        "Europe/Paris",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "Asia/Tehran",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/St_Johns",
        "Antarctica/Troll",
        "Europe/Dublin",
        "Asia/Gaza",
        "UTC",
        "America/Nuuk",
        "Africa/Cairo",
    };
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        struct mr__zone *zone;
        assert_int_equal(mr__zone_load(names[i], &zone, NULL), MR_OK);
        library_zone(names[i]);
        compare(zone, names[i], YEAR(1970), YEAR(2050), 3600 * 3 + 1);
        mr__zone_destroy(zone);
    }
}

/* ---- files made here ---------------------------------------------------------------------- */

static void put_header(struct mr__buf *buf, char version, uint32_t leaps, uint32_t times,
                       uint32_t types)
{
    uint8_t reserved[15] = {0};
    mr__buf_text(buf, "TZif");
    mr__buf_u8(buf, (uint8_t)version);
    mr__buf_bytes(buf, reserved, sizeof reserved);
    mr__buf_u32be(buf, 0);
    mr__buf_u32be(buf, 0);
    mr__buf_u32be(buf, leaps);
    mr__buf_u32be(buf, times);
    mr__buf_u32be(buf, types);
    mr__buf_u32be(buf, 4);
}

static void put_type(struct mr__buf *buf, int32_t offset)
{
    mr__buf_u32be(buf, (uint32_t)offset);
    mr__buf_u8(buf, 0);
    mr__buf_u8(buf, 0);
}

/* One type and a footer, of version 3. `offset` is what holds before any transition: there is none.
 */
static void put_file(struct mr__buf *buf, int32_t offset, const char *footer)
{
    mr__buf_reset(buf);
    for (int i = 0; i < 2; i++) {
        put_header(buf, '3', 0, 0, 1);
        put_type(buf, offset);
        mr__buf_bytes(buf, "XYZ", 4);
    }
    mr__buf_printf(buf, "\n%s\n", footer);
}

static mr_status parse(const struct mr__buf *buf, struct mr__zone **ret_zone)
{
    mr_error error = {0};
    mr_status status = mr__zone_parse(buf->data, buf->len, ret_zone, &error);
    assert_true(status == MR_OK || error.message[0] != '\0');
    return status;
}

static void zone__footers_agree_with_the_c_library(void **state)
{
    static const char *const footers[] = {
        "UTC0",
        "<+0330>-3:30",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "EET-2EEST,M3.4.4/50,M10.4.4/50",
        "AAA3BBB,J59/1:02:03,J60",
        "AAA3BBB,59,60/23:59:59",
        "AAA-12:34:56BBB-13,J32,J334/0",
        "AAA5BBB,M11.5.6/25,M2.1.0/3",
    };
    struct mr__buf buf;
    mr__buf_init(&buf);
    for (size_t i = 0; i < MR__COUNT(footers); i++) {
        struct mr__zone *zone;
        put_file(&buf, 0, footers[i]);
        if (parse(&buf, &zone) != MR_OK) {
            fail_msg("%s is refused", footers[i]);
        }
        library_zone(footers[i]);
        compare(zone, footers[i], YEAR(1971), YEAR(2400), 86400 * 3 + 4567);
        mr__zone_destroy(zone);
    }
    mr__buf_finish(&buf);
}

static void zone__a_change_near_new_year(void **state)
{
    /* The C library looks in the year that it is in UTC, and is wrong here. 1976 begins at
     * 1975-12-31T11:25:04Z in this zone, its daylight saving time two hours later. */
    static const int64_t to_dst = INT64_C(189264304), to_standard = INT64_C(220791600);
    struct mr__buf buf;
    struct mr__zone *zone;
    mr__buf_init(&buf);
    put_file(&buf, 0, "AAA-12:34:56BBB-13,J1,J365/0");
    assert_int_equal(parse(&buf, &zone), MR_OK);
    assert_int_equal(mr__zone_offset(zone, to_dst - 1), 12 * 3600 + 34 * 60 + 56);
    struct mr__zone_span span = mr__zone_span(zone, to_dst);
    assert_int_equal(span.begin, to_dst);
    assert_int_equal(span.end, to_standard); /* 1976-12-30T11:00:00Z */
    assert_int_equal(span.offset, 13 * 3600);
    mr__zone_destroy(zone);

    /* Both changes of a year lie in the next one: on 2 January it is that of the year before last.
     */
    put_file(&buf, 0, "AAA0BBB,J365/150,J365/100");
    assert_int_equal(parse(&buf, &zone), MR_OK);
    span = mr__zone_span(zone, mr__date_days(2000, 1, 2) * 86400);
    assert_int_equal(span.begin, mr__date_days(1998, 12, 31) * 86400 + 150 * 3600);
    assert_int_equal(span.end, mr__date_days(1999, 12, 31) * 86400 + 99 * 3600);
    assert_int_equal(span.offset, 3600);
    mr__zone_destroy(zone);
    mr__buf_finish(&buf);
}

static void zone__daylight_time_that_never_ends(void **state)
{
    struct mr__buf buf;
    struct mr__zone *zone;
    mr__buf_init(&buf);
    put_file(&buf, 0, "XXX3EDT4,0/0,J365/23"); /* zic's own example for Version 3 */
    assert_int_equal(parse(&buf, &zone), MR_OK);
    for (int64_t at = YEAR(1990); at < YEAR(2090); at += 1799) {
        assert_int_equal(mr__zone_offset(zone, at), -4 * 3600);
    }
    mr__zone_destroy(zone);
    mr__buf_finish(&buf);
}

static void zone__bad_footers_are_refused(void **state)
{
    static const char *const footers[] = {
        "X0",
        "UTC",
        "UTC25",
        "UTC0:60",
        "<UTC0",
        "<A>0",
        "UTC0 ",
        "AAA0BBB",
        "AAA0BB,1,2",
        "AAA0BBB,1",
        "AAA0BBB,1,",
        "AAA0BBB,1,2,",
        "AAA0BBB,366,2",
        "AAA0BBB,J0,2",
        "AAA0BBB,M13.1.0,2",
        "AAA0BBB,M1.6.0,2",
        "AAA0BBB,M1.1.7,2",
        "AAA0BBB,M1.1,2",
        "AAA0BBB,1/168,2",
        "AAA0BBB,1/-168,2",
        "AAA0BBB,1/,2",
        "99999999999999",
        "AAA99999999999999999999",
        ",",
    };
    struct mr__buf buf;
    mr__buf_init(&buf);
    for (size_t i = 0; i < MR__COUNT(footers); i++) {
        struct mr__zone *zone;
        put_file(&buf, 0, footers[i]);
        if (parse(&buf, &zone) != MR_EFORMAT) {
            fail_msg("%s is not refused", footers[i]);
        }
    }
    mr__buf_finish(&buf);
}

static void zone__reads_version_1(void **state)
{
    struct mr__buf buf;
    struct mr__zone *zone;
    mr__buf_init(&buf);
    put_header(&buf, '\0', 0, 2, 2);
    mr__buf_u32be(&buf, (uint32_t)-1000);
    mr__buf_u32be(&buf, 2000);
    mr__buf_u8(&buf, 1);
    mr__buf_u8(&buf, 0);
    put_type(&buf, -3600);
    put_type(&buf, 7200);
    mr__buf_bytes(&buf, "XYZ", 4);
    assert_int_equal(parse(&buf, &zone), MR_OK);
    static const struct {
        int64_t at;
        int32_t offset;
    } cases[] = {{INT64_MIN, -3600}, {-1001, -3600}, {-1000, 7200},
                 {1999, 7200},       {2000, -3600},  {INT64_MAX, -3600}};
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        assert_int_equal(mr__zone_offset(zone, cases[i].at), cases[i].offset);
    }
    mr__zone_destroy(zone);
    buf.data[44 + 3] = 1; /* the first transition is after the second */
    buf.data[44] = 0x7f;
    assert_int_equal(parse(&buf, &zone), MR_EFORMAT);
    mr__buf_finish(&buf);
}

static void zone__limits(void **state)
{
    struct mr__buf buf;
    struct mr__zone *zone;
    mr__buf_init(&buf);
    for (uint32_t count = MR__ZONE_TRANSITIONS_MAX; count <= MR__ZONE_TRANSITIONS_MAX + 1;
         count++) {
        mr__buf_reset(&buf);
        put_header(&buf, '\0', 0, count, 1);
        for (uint32_t i = 0; i < count; i++) {
            mr__buf_u32be(&buf, i);
        }
        for (uint32_t i = 0; i < count; i++) {
            mr__buf_u8(&buf, 0);
        }
        put_type(&buf, 0);
        mr__buf_bytes(&buf, "XYZ", 4);
        bool within = count <= MR__ZONE_TRANSITIONS_MAX;
        assert_int_equal(parse(&buf, &zone), within ? MR_OK : MR_ELIMIT);
        mr__zone_destroy(within ? zone : NULL);
    }
    static const int32_t offsets[] = {-25 * 3600 + 1, -25 * 3600, 26 * 3600 - 1, 26 * 3600};
    for (size_t i = 0; i < MR__COUNT(offsets); i++) {
        put_file(&buf, offsets[i], "");
        assert_int_equal(parse(&buf, &zone), i % 2 == 0 ? MR_OK : MR_EFORMAT);
        if (i % 2 == 0) {
            assert_int_equal(mr__zone_offset(zone, 0), offsets[i]);
            mr__zone_destroy(zone);
        }
    }
    put_file(&buf, 0, "UTC0"); /* what is behind the footer does not count, but for its length */
    while (buf.len < MR__ZONE_BYTES_MAX) {
        mr__buf_u8(&buf, 'x');
    }
    assert_int_equal(parse(&buf, &zone), MR_OK);
    mr__zone_destroy(zone);
    mr__buf_u8(&buf, 'x');
    assert_int_equal(parse(&buf, &zone), MR_ELIMIT);

    mr__buf_reset(&buf);
    put_header(&buf, '\0', 1, 0, 1);
    put_type(&buf, 0);
    mr__buf_bytes(&buf, "XYZ\0........", 12);
    assert_int_equal(parse(&buf, &zone), MR_EFORMAT);
    mr__buf_finish(&buf);
}

static void zone__damaged_files_are_refused_or_harmless(void **state)
{
    static uint8_t bytes[MR__ZONE_BYTES_MAX];
    FILE *file = fopen(FOLDER "/Europe/Paris", "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    assert_true(len > 500);
    for (size_t cut = 0; cut < len; cut++) {
        struct mr__zone *zone;
        uint8_t *copy = malloc(cut + 1); /* of its very size: a sanitizer sees a read past it */
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(mr__zone_parse(copy, cut, &zone, NULL), MR_EFORMAT);
        free(copy);
    }
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct mr__zone *zone;
            bytes[at] ^= (uint8_t)(1u << bit);
            if (mr__zone_parse(bytes, len, &zone, NULL) == MR_OK) {
                (void)mr__zone_offset(zone, YEAR(2000));
                (void)mr__zone_offset(zone, YEAR(2060));
                mr__zone_destroy(zone);
            }
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

static void zone__out_of_memory_is_an_error(void **state)
{
    static const char *const names[] = {"UTC", "Europe/Paris"};
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        struct mr__zone *zone = NULL;
        mr_status status = MR_ENOMEM;
        int n = 1;
        for (; status == MR_ENOMEM; n++) {
            mr_error error = {0};
            allocations_left = n;
            status = mr__zone_load(names[i], &zone, &error);
            assert_true(status == MR_OK || strstr(error.message, "out of memory") != NULL);
        }
        allocations_left = -1;
        assert_int_equal(status, MR_OK);
        assert_int_equal(n, i == 0 ? 3 : 6); /* the one beyond them all was not needed */
        mr__zone_destroy(zone);
    }
}

/* ---- names -------------------------------------------------------------------------------- */

static void zone__names(void **state)
{
    static const struct {
        const char *name;
        mr_status status;
    } cases[] = {
        {"UTC", MR_OK},
        {"Etc/GMT+12", MR_OK},
        {"America/Argentina/Buenos_Aires", MR_OK},
        {"", MR_EINVAL},
        {"/etc/passwd", MR_EINVAL},
        {"../zoneinfo/UTC", MR_EINVAL},
        {"Europe/../UTC", MR_EINVAL},
        {"Europe/", MR_EINVAL},
        {"zone.tab", MR_EINVAL},
        {"Europe/Par is", MR_EINVAL},
        {":UTC", MR_EINVAL},
        {"Europe/Pariss", MR_ENOTFOUND},
        {"Europe/Paris/Montmartre", MR_ENOTFOUND},
        {"Europe", MR_ENOTFOUND},
        {"right/UTC", MR_EFORMAT},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__zone *zone = NULL;
        mr_error error = {0};
        mr_status status = mr__zone_load(cases[i].name, &zone, &error);
        if (strcmp(cases[i].name, "right/UTC") == 0 && status == MR_ENOTFOUND) {
            continue; /* some systems have no such files */
        }
        if (status != cases[i].status) {
            fail_msg("%s: %d %s", cases[i].name, status, error.message);
        }
        assert_int_equal(status == MR_OK, error.message[0] == '\0');
        mr__zone_destroy(zone);
    }
    mr_error error = {0};
    struct mr__zone *zone;
    assert_int_equal(mr__zone_load("Europe/Pariss", &zone, &error), MR_ENOTFOUND);
    assert_string_equal(error.message, "there is no time zone Europe/Pariss in " FOLDER);
    char name[MR__ZONE_NAME_BYTES_MAX + 2];
    memset(name, 'a', sizeof name);
    name[MR__ZONE_NAME_BYTES_MAX] = '\0';
    assert_int_equal(mr__zone_load(name, &zone, NULL), MR_ENOTFOUND);
    memset(name, 'a', sizeof name);
    name[MR__ZONE_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(mr__zone_load(name, &zone, NULL), MR_EINVAL);
}

static void zone__tzdir_is_honoured_and_utc_needs_no_files(void **state)
{
    struct mr__zone *zone;
    mr_error error = {0};
    char path[64];
    struct mr__buf buf;
    mr__buf_init(&buf);
    put_file(&buf, 0, "ABC-7");
    (void)snprintf(path, sizeof path, "%s/Mine", temp);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(buf.data, 1, buf.len, file), buf.len);
    assert_int_equal(fclose(file), 0);
    mr__buf_finish(&buf);
    assert_int_equal(setenv("TZDIR", temp, 1), 0);
    assert_int_equal(mr__zone_load("Mine", &zone, NULL), MR_OK);
    assert_int_equal(mr__zone_offset(zone, 0), 7 * 3600);
    mr__zone_destroy(zone);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(mkfifo(path, 0600), 0); /* not waited for */
    assert_int_equal(mr__zone_load("Mine", &zone, NULL), MR_ENOTFOUND);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(temp), 0);

    assert_int_equal(mr__zone_load("Europe/Paris", &zone, &error), MR_ENOTFOUND);
    assert_non_null(strstr(error.message, "tzdata"));
    assert_int_equal(mr__zone_load("UTC", &zone, NULL), MR_OK);
    assert_int_equal(mr__zone_offset(zone, YEAR(2026)), 0);
    assert_int_equal(mr__zone_offset(mr__zone_utc(), YEAR(2026)), 0);
    mr__zone_destroy(zone);
    assert_int_equal(unsetenv("TZDIR"), 0);
}

int main(void)
{
    if (mkdtemp(temp) == NULL) {
        perror(temp);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zone__agrees_with_the_c_library_everywhere),
        cmocka_unit_test(zone__agrees_with_the_c_library_hour_by_hour),
        cmocka_unit_test(zone__footers_agree_with_the_c_library),
        cmocka_unit_test(zone__a_change_near_new_year),
        cmocka_unit_test(zone__daylight_time_that_never_ends),
        cmocka_unit_test(zone__bad_footers_are_refused),
        cmocka_unit_test(zone__reads_version_1),
        cmocka_unit_test(zone__limits),
        cmocka_unit_test(zone__damaged_files_are_refused_or_harmless),
        cmocka_unit_test(zone__out_of_memory_is_an_error),
        cmocka_unit_test(zone__names),
        cmocka_unit_test(zone__tzdir_is_honoured_and_utc_needs_no_files),
    };
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
