/* SPDX-License-Identifier: MIT
 *
 * Goal: conditions, retry, fan-outs, Lua, hooks and schedules of a dag file become what contract.md
 * says, or their problems are told with their place. Method: a table of broken files
 * (parse_broken_tasks.h), good ones whose dags are looked at, fastflow's own examples, limits at
 * their edge and one past it, and large files against a clock.
 */
#include "core/base/clock.h"
#include "parse_fixture.h"

#include "parse_broken_tasks.h"

static void parse__names_every_problem_of_broken_tasks(void **state)
{
    assert_broken(broken_tasks, MR__COUNT(broken_tasks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__names_every_problem_of_broken_tasks),
    };
    return cmocka_run_group_tests_name("parse_tasks", tests, NULL, NULL);
}
