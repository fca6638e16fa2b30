/* SPDX-License-Identifier: MIT
 *
 * Goal: the table of dags says what the store says, in order, and tells of changes. Method: rows
 * put by hand and read back from a store in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/engine/definitions.h"

static struct mr__blob blob(const char *text)
{
    return (struct mr__blob){text, strlen(text)};
}

static struct mr__pushed pushed(uint8_t version, const char *file, const char *cron)
{
    struct mr__pushed p = {.version = {version},
                           .pushed_ms = 1000 + version,
                           .task_count = version,
                           .file = blob(file),
                           .folder = blob("/work"),
                           .cron = blob(cron)};
    return p;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

static void definitions__stand_in_the_order_of_their_ids(void **state)
{
    static const char *const ids[] = {"m", "a", "z", "ab", "b", "a-b"};
    static const char *const sorted[] = {"a", "a-b", "ab", "b", "m", "z"};
    struct mr__definitions table;
    mr__definitions_init(&table);
    for (uint8_t i = 0; i < MR__COUNT(ids); i++) {
        struct mr__pushed p = pushed(i, "f.yaml", "");
        assert_int_equal(mr__definitions_put(&table, blob(ids[i]), &p), MR_OK);
    }
    for (size_t i = 0; i < MR__COUNT(sorted); i++) {
        assert_string_equal(mr__definitions_at(&table, i)->id, sorted[i]);
        assert_ptr_equal(mr__definitions_find(&table, sorted[i]), mr__definitions_at(&table, i));
    }
    assert_null(mr__definitions_at(&table, MR__COUNT(sorted)));
    assert_null(mr__definitions_find(&table, "aa"));
    assert_null(mr__definitions_find(&table, ""));
    mr__definitions_finish(&table);
}

static void definitions__a_row_is_a_copy_and_is_replaced(void **state)
{
    char file[] = "one.yaml";
    struct mr__definitions table;
    mr__definitions_init(&table);
    struct mr__pushed p = pushed(1, file, "");
    assert_int_equal(mr__definitions_put(&table, blob("d"), &p), MR_OK);
    file[0] = 'X';
    struct mr__dag_row *row = mr__definitions_find(&table, "d");
    assert_string_equal(row->pushed.file.data, "one.yaml");
    assert_null(row->pushed.cron.data);
    row->next_ms = 77;
    row->waiting = 1;
    row->skipped = 2;
    row->skipped_ms = 3;
    p = row->pushed; /* borrowed from the very row that is replaced */
    p.stopped = true;
    assert_int_equal(mr__definitions_put(&table, blob("d"), &p), MR_OK);
    row = mr__definitions_find(&table, "d");
    assert_true(row->pushed.stopped);
    assert_string_equal(row->pushed.file.data, "one.yaml");
    assert_int_equal(row->next_ms, 77);
    assert_int_equal(row->waiting + row->skipped * 10, 21);
    assert_int_equal(row->skipped_ms, 3);
    assert_int_equal(table.count, 1);
    mr__definitions_finish(&table);
}

static void definitions__suggest_the_nearest(void **state)
{
    struct mr__definitions table;
    mr__definitions_init(&table);
    struct mr__pushed p = pushed(1, "f", "");
    assert_null(mr__definitions_nearest(&table, "deploy"));
    assert_int_equal(mr__definitions_put(&table, blob("deploy"), &p), MR_OK);
    assert_int_equal(mr__definitions_put(&table, blob("report"), &p), MR_OK);
    assert_string_equal(mr__definitions_nearest(&table, "deplyo"), "deploy");
    assert_null(mr__definitions_nearest(&table, "something"));
    mr__definitions_finish(&table);
}

static void definitions__refuse_one_more_than_the_limit(void **state)
{
    struct mr__definitions table;
    char id[16];
    mr__definitions_init(&table);
    struct mr__pushed p = pushed(1, "", "");
    for (uint32_t i = 0; i <= MR__DAGS_MAX; i++) {
        (void)snprintf(id, sizeof id, "%08u", i);
        assert_int_equal(mr__definitions_put(&table, blob(id), &p),
                         i < MR__DAGS_MAX ? MR_OK : MR_ELIMIT);
    }
    assert_int_equal(mr__definitions_put(&table, blob("00000000"), &p), MR_OK);
    mr__definitions_finish(&table);
}

/* ---- changes and problems ----------------------------------------------------------------------
 */

static void note_change(void *user, const struct mr__dag_row *row)
{
    char *seen = user;
    strcat(seen, row == NULL ? "*" : row->id);
}

static void definitions__tell_of_changes(void **state)
{
    char seen[16] = "";
    struct mr__definitions table;
    mr__definitions_init(&table);
    table.changed = note_change;
    table.user = seen;
    struct mr__pushed p = pushed(1, "", "");
    assert_int_equal(mr__definitions_put(&table, blob("a"), &p), MR_OK);
    assert_int_equal(mr__definitions_put(&table, blob("b"), &p), MR_OK);
    assert_int_equal(mr__definitions_put(&table, blob("a"), &p), MR_OK);
    assert_string_equal(seen, "aba");
    mr__definitions_finish(&table);
}

static void definitions__keep_the_problems_of_files(void **state)
{
    struct mr__definitions table;
    mr__definitions_init(&table);
    assert_null(mr__definitions_problem(&table, "a.yaml"));
    assert_int_equal(mr__definitions_set_problem(&table, "a.yaml", "one"), MR_OK);
    assert_int_equal(mr__definitions_set_problem(&table, "b.yaml", "two"), MR_OK);
    assert_int_equal(mr__definitions_set_problem(&table, "a.yaml", "three"), MR_OK);
    assert_string_equal(mr__definitions_problem(&table, "a.yaml"), "three");
    assert_int_equal(mr__definitions_set_problem(&table, "a.yaml", NULL), MR_OK);
    assert_int_equal(mr__definitions_set_problem(&table, "never.yaml", NULL), MR_OK);
    assert_null(mr__definitions_problem(&table, "a.yaml"));
    assert_string_equal(mr__definitions_problem(&table, "b.yaml"), "two");
    mr__definitions_finish(&table);
}

/* ---- the store ---------------------------------------------------------------------------------
 */

static void on_commit(void *user, mr_status status, const mr_error *error)
{
    *(mr_status *)user = status;
}

static void put(struct mr__store *store, const char *id, const struct mr__pushed *p, size_t cut)
{
    struct mr__batch batch;
    struct mr__guard guard = {{NULL, 0}, {NULL, 0}};
    struct mr__key key;
    struct mr__buf value;
    mr_status status = MR_EUNKNOWN;
    mr__batch_init(&batch);
    mr__buf_init(&value);
    mr__pushed_write(&value, p);
    mr__key_pushed(&key, id);
    mr__batch_put(&batch, key.bytes, key.len, value.data, value.len - cut);
    store->ops->commit(store, &batch, &guard, on_commit, &status);
    store->ops->poll(store);
    assert_int_equal(status, MR_OK);
    mr__batch_finish(&batch);
    mr__buf_finish(&value);
}

static void definitions__are_read_back_from_the_store(void **state)
{
    char seen[16] = "";
    struct mr__mem_options options = {.notify = NULL};
    struct mr__mem_image *image = mr__mem_image_create();
    struct mr__store *store;
    struct mr__definitions table;
    mr_error error;
    assert_int_equal(mr__store_mem_open(image, &options, &store), MR_OK);
    struct mr__pushed b = pushed(2, "b.yaml", "0 7 * * *"), a = pushed(1, "", "");
    b.stopped = b.text_stopped = true;
    b.timezone = blob("Europe/Paris");
    b.overlap = 3;
    b.catchup = 1;
    b.from_ms = 1234;
    put(store, "b", &b, 0);
    put(store, "a", &a, 0);
    mr__definitions_init(&table);
    table.changed = note_change;
    table.user = seen;
    assert_int_equal(mr__definitions_put(&table, blob("gone"), &a), MR_OK);
    assert_int_equal(mr__definitions_read(&table, store, &error), MR_OK);
    assert_string_equal(seen, "gone*");
    assert_int_equal(table.count, 2);
    const struct mr__pushed *got = &mr__definitions_at(&table, 1)->pushed;
    assert_memory_equal(got->version, b.version, sizeof b.version);
    assert_true(got->stopped && got->text_stopped);
    assert_int_equal(got->pushed_ms, 1002);
    assert_int_equal(got->task_count, 2);
    assert_string_equal(got->file.data, "b.yaml");
    assert_string_equal(got->folder.data, "/work");
    assert_string_equal(got->cron.data, "0 7 * * *");
    assert_string_equal(got->timezone.data, "Europe/Paris");
    assert_int_equal(got->overlap, 3);
    assert_int_equal(got->catchup, 1);
    assert_int_equal(got->from_ms, 1234);
    got = &mr__definitions_at(&table, 0)->pushed;
    assert_false(got->stopped || got->text_stopped);
    assert_null(got->file.data);

    /* A damaged record is an error, and the table stays as it was. */
    put(store, "c", &a, 1);
    assert_int_equal(mr__definitions_read(&table, store, &error), MR_EFORMAT);
    assert_int_equal(table.count, 2);
    mr__definitions_finish(&table);
    store->ops->close(store);
    mr__mem_image_destroy(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions__stand_in_the_order_of_their_ids),
        cmocka_unit_test(definitions__a_row_is_a_copy_and_is_replaced),
        cmocka_unit_test(definitions__suggest_the_nearest),
        cmocka_unit_test(definitions__refuse_one_more_than_the_limit),
        cmocka_unit_test(definitions__tell_of_changes),
        cmocka_unit_test(definitions__keep_the_problems_of_files),
        cmocka_unit_test(definitions__are_read_back_from_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
