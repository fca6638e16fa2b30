/* SPDX-License-Identifier: MIT
 *
 * Goal: a time zone that does not exist is an error at its place, with the one that was meant.
 * Method: dags whose zones are slightly wrong, against the tzdata of this machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/engine/schedule_check.h"

static void check__names_the_zone_that_was_meant(void **state)
{
    static const struct {
        const char *zone, *near; /* near "": it is good; NULL: an error without a suggestion */
    } cases[] = {
        {"Europe/Paris", ""},
        {"UTC", ""},
        {"Europe/Pariss", "Europe/Paris"},
        {"europe/paris", "Europe/Paris"},
        {"America/New_york", "America/New_York"},
        {"utc", "UTC"},
        {"America/Arkansas/Little", NULL},
        {"Europe", NULL},
        {"../etc/passwd", NULL},
        {"Atlantis/Capital", NULL},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        char text[256];
        struct mr__problems problems;
        struct mr__dag *dag;
        mr__problems_init(&problems);
        (void)snprintf(text, sizeof text,
                       "schedule:\n  cron: \"@daily\"\n  timezone: %s\ntasks: [{id: a}]\n",
                       cases[i].zone);
        assert_int_equal(mr__dag_parse(text, strlen(text), NULL, &problems, &dag), MR_OK);
        mr__schedule_check(dag, &problems);
        bool good = cases[i].near != NULL && cases[i].near[0] == '\0';
        assert_int_equal(problems.count, good ? 0 : 1);
        if (!good) {
            assert_string_equal(problems.list[0].code, "E353");
            assert_int_equal(problems.list[0].pos.line, 3);
            assert_int_equal(problems.list[0].pos.column, 13);
            if (cases[i].near == NULL) {
                assert_null(problems.list[0].suggestion);
            } else {
                assert_string_equal(problems.list[0].suggestion, cases[i].near);
            }
        }
        mr__dag_unref(dag);
        mr__problems_finish(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check__names_the_zone_that_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
