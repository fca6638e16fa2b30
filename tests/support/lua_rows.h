/* SPDX-License-Identifier: MIT
 *
 * Expressions and what they give, a row each, over one fixture. Included after cmocka.
 */
#ifndef MR__LUA_ROWS_H
#define MR__LUA_ROWS_H

#include "lua_fixture.h"

static struct lua_fixture f;

struct row {
    const char *script, *expected;
};

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_finish(&f);
    return 0;
}

static void assert_rows(const struct row *rows, size_t count, mr_status expected)
{
    for (size_t i = 0; i < count; i++) {
        mr_status status = fixture_eval(&f, rows[i].script);
        const char *text = mr__buf_cstr(&f.text);
        if (status != expected || strcmp(text, rows[i].expected) != 0) {
            fail_msg("%s\n  gives %d %s\n  not     %d %s", rows[i].script, status, text, expected,
                     rows[i].expected);
        }
    }
}

#endif
