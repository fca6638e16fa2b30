/* SPDX-License-Identifier: MIT
 *
 * Goal: of what attempts say of their progress the last word of each is known, by run, until its
 * end; and it is JSON. Method: rows in and out of the table.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/run_progress.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__attempt_ref ref(uint8_t run, uint32_t task, uint32_t attempt)
{
    struct mr__attempt_ref it = {.task = task, .attempt = attempt};
    memset(it.run_id, run, sizeof it.run_id);
    return it;
}

static void put(struct mr__hash *table, uint8_t run, uint32_t task, uint32_t attempt,
                const char *note)
{
    struct mr__attempt_ref it = ref(run, task, attempt);
    assert_non_null(mr__run_progress_put(table, &it, 0.5, note));
}

static void run_progress__is_the_last_word_of_each(void **state)
{
    struct mr__hash table;
    size_t count;
    struct mr__attempt_ref one = ref(1, 1, 2), none = ref(1, 9, 1);
    mr__hash_init(&table);
    assert_null(mr__run_progress_list(&table, one.run_id, &count));
    put(&table, 1, 1, 1, "first");
    put(&table, 1, 1, 2, "second");
    put(&table, 1, 2, 1, "other task");
    put(&table, 2, 1, 1, "other run");
    struct mr__run_progress *list = mr__run_progress_list(&table, one.run_id, &count);
    assert_int_equal(count, 2);
    const struct mr__run_progress *row = &list[list[0].task == 1 ? 0 : 1];
    assert_int_equal(row->attempt, 2);
    assert_string_equal(row->note, "second");
    free(list);
    mr__run_progress_del(&table, &one);
    mr__run_progress_del(&table, &one);
    mr__run_progress_del(&table, &none);
    list = mr__run_progress_list(&table, one.run_id, &count);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].note, "other task");
    free(list);
    mr__run_progress_finish(&table);
}

static void run_progress__is_json(void **state)
{
    static const struct {
        double fraction;
        const char *note, *json;
    } rows[] = {
        {0, "", "\"fraction\":0.0,\"note\":\"\""},
        {1, "a \"b\"", "\"fraction\":1.0,\"note\":\"a \\\"b\\\"\""},
        {1.0 / 3, "x", "\"fraction\":0.3333,\"note\":\"x\""},
        {0.00004, "x", "\"fraction\":0.0,\"note\":\"x\""},
        {NAN, "\xff", "\"fraction\":null,\"note\":\"\xef\xbf\xbd\""},
    };
    struct mr__buf out;
    mr__buf_init(&out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr__run_progress progress = {.fraction = rows[i].fraction};
        memcpy(progress.note, rows[i].note, strlen(rows[i].note) + 1);
        mr__buf_reset(&out);
        mr__run_progress_print(&out, &progress);
        assert_string_equal(mr__buf_cstr(&out), rows[i].json);
    }
    mr__buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_progress__is_the_last_word_of_each),
        cmocka_unit_test(run_progress__is_json),
    };
    return cmocka_run_group_tests_name("run_progress", tests, NULL, NULL);
}
