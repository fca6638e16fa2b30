/* SPDX-License-Identifier: MIT
 *
 * Goal: every store does what store.h says, no more and no less. Method: one list of tests, run on
 * each driver by its own test file, which says how to make, open and drop a place for a store. What
 * only one driver can show (failing disks, verdicts) stands in that driver's file.
 */
#ifndef STORE_SUITE_H
#define STORE_SUITE_H

#include "tests/conformance/store_suite_model.h"

/* ---- puts, deletes, ranges --------------------------------------------------------------------
 */

static void store__puts_and_deletes_of_one_batch_are_seen_together(void **state)
{
    struct suite *s = *state;
    suite_put(s, "cb", "2");
    suite_put(s, "ca", "1");
    suite_put(s, "la", "live");
    suite_put(s, "cempty", "");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "c", "m", "ca=1 cb=2 cempty= la=live");
    suite_put(s, "cb", "3");
    mr__batch_del(&s->batch, "ca", 2);
    mr__batch_del(&s->batch, "cmissing", 8);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "c", "m", "cb=3 cempty= la=live");
    suite_expect_value(s, suite_bytes("cempty"), MR_OK, suite_bytes(""));
    suite_expect_value(s, suite_bytes("ca"), MR_ENOTFOUND, suite_bytes(""));
    suite_expect_value(s, suite_bytes("unknown table"), MR_ENOTFOUND, suite_bytes(""));
}

static void store__an_empty_batch_is_committed(void **state)
{
    struct suite *s = *state;
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "");
}

static void store__the_last_operation_on_a_key_wins(void **state)
{
    struct suite *s = *state;
    suite_put(s, "j9", "first");
    suite_put(s, "j1", "x");
    suite_put(s, "j9", "second");
    mr__batch_del(&s->batch, "j1", 2);
    suite_put(s, "x1", "old");
    mr__batch_del(&s->batch, "x1", 2);
    suite_put(s, "x1", "new");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "j9=second x1=new");
    suite_put(s, "j5", "below the last key of the journal");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "j", "k", "j5=below the last key of the journal j9=second");
}

static void store__range_keeps_to_bounds_limit_and_direction(void **state)
{
    struct suite *s = *state;
    const char *keys[] = {"c1", "g1", "g2", "g3", "h1", "l1", "l2", "x1"};
    for (size_t i = 0; i < MR__COUNT(keys); i++) {
        suite_put(s, keys[i], "");
    }
    assert_int_equal(suite_commit(s), MR_OK);
    static const struct {
        const char *from, *to;
        uint32_t flags;
        size_t limit, stop_after;
        const char *expected;
    } rows[] = {
        {"g1", "g3", 0, 0, 0, "g1= g2="},
        {"g", "h", 0, 0, 0, "g1= g2= g3="},
        {"g", "h", 0, 2, 0, "g1= g2="},
        {"g", "h", 0, 0, 1, "g1="},
        {"g", "h", MR__RANGE_REVERSE, 0, 0, "g3= g2= g1="},
        {"g", "h", MR__RANGE_REVERSE, 2, 0, "g3= g2="},
        {"g1", "g3", MR__RANGE_REVERSE, 0, 0, "g2= g1="},
        {"g11", "g3", MR__RANGE_REVERSE, 0, 0, "g2="},
        {"g2", "l2", 0, 0, 0, "g2= g3= h1= l1="},
        {"g2", "l2", MR__RANGE_REVERSE, 0, 0, "l1= h1= g3= g2="},
        {"g2", "l2", MR__RANGE_REVERSE, 3, 0, "l1= h1= g3="},
        {"g2", "l2", 0, 0, 3, "g2= g3= h1="},
        {"", "\xff", 0, 0, 0, "c1= g1= g2= g3= h1= l1= l2= x1="},
        {"", "\xff", MR__RANGE_REVERSE, 1, 0, "x1="},
        {"h2", "l1", 0, 0, 0, ""},
        {"h2", "l1", MR__RANGE_REVERSE, 0, 0, ""},
        {"g3", "g1", 0, 0, 0, ""},
        {"g3", "g1", MR__RANGE_REVERSE, 0, 0, ""},
        {"g2", "g2", 0, 0, 0, ""},
        {"", "", 0, 0, 0, ""},
        {"d", "f", 0, 0, 0, ""},
        {"y", "z", MR__RANGE_REVERSE, 0, 0, ""},
    };
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        struct suite_scan scan = {.from = suite_bytes(rows[i].from), .to = suite_bytes(rows[i].to)};
        scan.flags = rows[i].flags;
        scan.limit = rows[i].limit;
        scan.stop_after = rows[i].stop_after;
        suite_expect_scan(s, scan, rows[i].expected);
    }
}

static void store__del_range_keeps_to_its_bounds_and_its_place_in_the_batch(void **state)
{
    struct suite *s = *state;
    suite_put(s, "h1", "");
    suite_put(s, "h2", "");
    suite_put(s, "h3", "");
    suite_put(s, "j1", "");
    suite_put(s, "l1", "");
    assert_int_equal(suite_commit(s), MR_OK);
    mr__batch_del_range(&s->batch, "h2", 2, "h3", 2);
    mr__batch_del_range(&s->batch, "h9", 2, "h1", 2);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "h1= h3= j1= l1=");
    suite_put(s, "h2", "before: gone");
    mr__batch_del_range(&s->batch, "h2", 2, "k", 1); /* more than one table */
    suite_put(s, "h25", "after: stays");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "h1= h25=after: stays l1=");
    mr__batch_del_range(&s->batch, "a", 1, "z", 1);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "");
}

static void store__del_range_of_many_keys(void **state)
{
    struct suite *s = *state;
    char key[16], value[600];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "h%05u", i);
        mr__batch_put(&s->batch, key, 6, value, i % sizeof value);
    }
    assert_int_equal(suite_commit(s), MR_OK);
    mr__batch_del_range(&s->batch, "h00002", 6, "h04998", 6);
    assert_int_equal(suite_commit(s), MR_OK);
    struct mr__store_stats stats;
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    assert_int_equal(stats.keys[MR__TABLE_HISTORY], 4);
    suite_expect(s, "h", "h04998", "h00000= h00001=v");
    suite_expect_value(s, suite_bytes("h04999"), MR_OK, (struct mr__bytes){value, 4999 % 600});
    mr__batch_del_range(&s->batch, "a", 1, "z", 1);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "");
}

static void store__keys_of_the_greatest_length(void **state)
{
    struct suite *s = *state;
    uint8_t key[MR__STORE_KEY_BYTES_MAX];
    memset(key, 0xff, sizeof key);
    key[0] = MR__TABLE_INDEX;
    for (size_t len = sizeof key - 3; len <= sizeof key; len++) {
        mr__batch_put(&s->batch, key, len, &len, sizeof len);
    }
    mr__batch_put(&s->batch, key, 1, "table byte alone", 16);
    assert_int_equal(suite_commit(s), MR_OK);
    for (size_t len = sizeof key - 3; len <= sizeof key; len++) {
        suite_expect_value(s, (struct mr__bytes){key, len}, MR_OK,
                           (struct mr__bytes){&len, sizeof len});
    }
    suite_expect_value(s, (struct mr__bytes){key, sizeof key - 4}, MR_ENOTFOUND, suite_bytes(""));
    suite_expect_value(s, (struct mr__bytes){key, 1}, MR_OK, suite_bytes("table byte alone"));
}

static void store__large_values(void **state)
{
    struct suite *s = *state;
    size_t len = 5u << 20;
    uint8_t *value = malloc(len);
    assert_non_null(value);
    for (size_t i = 0; i < len; i++) {
        value[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    mr__batch_put(&s->batch, "hbig", 4, value, len);
    suite_put(s, "hsmall", "x");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect_value(s, suite_bytes("hbig"), MR_OK, (struct mr__bytes){value, len});
    mr__batch_put(&s->batch, "hbig", 4, value + 1, len - 1);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_close(s);
    suite_open(s);
    suite_expect_value(s, suite_bytes("hbig"), MR_OK, (struct mr__bytes){value + 1, len - 1});
    suite_expect_value(s, suite_bytes("hsmall"), MR_OK, suite_bytes("x"));
    free(value);
}

static void store__a_key_of_no_table_is_refused(void **state)
{
    struct suite *s = *state;
    suite_put(s, "c1", "");
    suite_put(s, "z1", "");
    assert_int_equal(suite_commit(s), MR_EINVAL);
    suite_expect(s, "\x01", "\xff", "");
}

static void store__a_failed_batch_is_refused(void **state)
{
    struct suite *s = *state;
    suite_put(s, "c1", "");
    s->batch.failed = true;
    assert_int_equal(suite_commit(s), MR_ENOMEM);
    suite_expect(s, "\x01", "\xff", "");
}

/* ---- guards -----------------------------------------------------------------------------------
 */

static void store__a_guard_lets_only_its_owner_commit(void **state)
{
    struct suite *s = *state;
    suite_put(s, "co", "epoch 1");
    assert_int_equal(suite_commit(s), MR_OK);
    static const struct {
        const char *key, *value;
        mr_status expected;
    } rows[] = {
        {"co", "epoch 1", MR_OK},
        {"co", "epoch 2", MR_ECONFLICT},
        {"co", "epoch", MR_ECONFLICT},
        {"co", "epoch 11", MR_ECONFLICT},
        {"co", "", MR_ECONFLICT},
        {"cabsent", "epoch 1", MR_ECONFLICT},
        {"cabsent", "", MR_ECONFLICT},
        {"zunknown", "", MR_ECONFLICT},
        {"", "", MR_OK},
        {"co", "epoch 1", MR_OK},
    };
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "j%zu", i);
        suite_put(s, key, "");
        struct mr__guard guard = {suite_bytes(rows[i].key), suite_bytes(rows[i].value)};
        assert_int_equal(suite_commit_guarded(s, &guard), rows[i].expected);
        mr__batch_reset(&s->batch);
        suite_expect_value(s, suite_bytes(key), rows[i].expected == MR_OK ? MR_OK : MR_ENOTFOUND,
                           suite_bytes(""));
    }
    struct mr__guard guard = {suite_bytes("co"), suite_bytes("epoch 2")};
    assert_int_equal(suite_commit_guarded(s, &guard), MR_ECONFLICT); /* an empty batch too */
}

static void store__a_guard_sees_the_commit_before_and_not_its_own_batch(void **state)
{
    struct suite *s = *state;
    struct mr__guard one = {suite_bytes("co"), suite_bytes("1")};
    struct mr__guard two = {suite_bytes("co"), suite_bytes("2")};
    suite_put(s, "co", "1");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_put(s, "co", "2");
    assert_int_equal(suite_commit_guarded(s, &two), MR_ECONFLICT);
    assert_int_equal(suite_commit_guarded(s, &one), MR_OK);
    assert_int_equal(suite_commit_guarded(s, &one), MR_ECONFLICT);
    assert_int_equal(suite_commit_guarded(s, &two), MR_OK);
}

/* ---- reads ------------------------------------------------------------------------------------
 */

struct suite_chain {
    struct suite_read *read;
    struct suite *s;
    struct suite_read seen;
    unsigned expected, commits;
    bool done;
};

static mr_status suite_chain_read(struct mr__snapshot *snapshot, void *user)
{
    struct suite_chain *chain = user;
    struct mr__bytes value;
    mr_status status = snapshot->ops->get(snapshot, "cn", 2, &value);
    if (status != MR_OK || value.len != sizeof chain->expected) {
        return MR_EFAILED;
    }
    return memcmp(value.data, &chain->expected, value.len) == 0 ? MR_OK : MR_EFAILED;
}

static void suite_chain_step(struct suite_chain *chain);

static void suite_chain_on_read(void *user, mr_status status)
{
    struct suite_chain *chain = user;
    assert_int_equal(status, MR_OK);
    if (++chain->commits == 100) {
        chain->done = true;
    } else {
        suite_chain_step(chain);
    }
}

static void suite_chain_on_commit(void *user, mr_status status, const mr_error *error)
{
    struct suite_chain *chain = user;
    assert_int_equal(status, MR_OK);
    struct mr__store *store = chain->s->store;
    assert_int_equal(store->ops->read(store, suite_chain_read, suite_chain_on_read, chain), MR_OK);
}

static void suite_chain_step(struct suite_chain *chain)
{
    struct suite *s = chain->s;
    chain->expected++;
    mr__batch_reset(&s->batch);
    mr__batch_put(&s->batch, "cn", 2, &chain->expected, sizeof chain->expected);
    s->store->ops->commit(s->store, &s->batch, NULL, suite_chain_on_commit, chain);
}

static void store__a_read_sees_the_commit_whose_callback_began_it(void **state)
{
    struct suite *s = *state;
    struct suite_chain chain = {.s = s};
    suite_chain_step(&chain);
    suite_wait(s, &chain.done);
    mr__batch_reset(&s->batch);
}

static mr_status suite_fail_read(struct mr__snapshot *snapshot, void *user)
{
    return MR_EFAILED;
}

static void store__a_reads_status_reaches_its_callback(void **state)
{
    struct suite *s = *state;
    struct suite_read *user;
    assert_int_equal(suite_read(s, suite_fail_read, &user), MR_EFAILED);
    assert_int_equal(s->store->ops->read_now(s->store, suite_fail_read, NULL), MR_EFAILED);
}

static void store__too_many_reads_are_refused_and_none_is_lost(void **state)
{
    struct suite *s = *state;
    struct suite_read reads[MR__STORE_READS_MAX], *users[MR__STORE_READS_MAX];
    memset(reads, 0, sizeof reads);
    for (size_t i = 0; i < MR__STORE_READS_MAX; i++) {
        users[i] = &reads[i];
        assert_int_equal(s->store->ops->read(s->store, suite_fail_read, suite_on_read, &users[i]),
                         MR_OK);
    }
    assert_int_equal(s->store->ops->read(s->store, suite_fail_read, suite_on_read, NULL),
                     MR_ELIMIT);
    for (size_t i = 0; i < MR__STORE_READS_MAX; i++) {
        suite_wait(s, &reads[i].done);
        assert_int_equal(reads[i].status, MR_EFAILED);
    }
    suite_expect(s, "a", "z", "");
}

struct suite_isolation {
    struct suite_read *read;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned step; /* 1: the first look is done; 2: the commits are done */
    struct mr__buf first, second;
};

static void suite_step(struct suite_isolation *iso, unsigned step)
{
    (void)pthread_mutex_lock(&iso->mutex);
    iso->step = step;
    (void)pthread_cond_broadcast(&iso->cond);
    (void)pthread_mutex_unlock(&iso->mutex);
}

static void suite_step_wait(struct suite_isolation *iso, unsigned step)
{
    (void)pthread_mutex_lock(&iso->mutex);
    while (iso->step < step) {
        (void)pthread_cond_wait(&iso->cond, &iso->mutex);
    }
    (void)pthread_mutex_unlock(&iso->mutex);
}

static bool suite_isolation_row(void *user, struct mr__bytes key, struct mr__bytes value)
{
    mr__buf_blob(user, key.data, key.len);
    mr__buf_blob(user, value.data, value.len);
    return true;
}

static mr_status suite_isolation_fn(struct mr__snapshot *snapshot, void *user)
{
    struct suite_isolation *iso = user;
    struct mr__bytes from = suite_bytes("a"), to = suite_bytes("z");
    mr_status status =
        snapshot->ops->range(snapshot, from, to, 0, 0, suite_isolation_row, &iso->first);
    suite_step(iso, 1);
    suite_step_wait(iso, 2);
    if (status == MR_OK) {
        status = snapshot->ops->range(snapshot, from, to, 0, 0, suite_isolation_row, &iso->second);
    }
    return status;
}

static void store__a_read_sees_one_moment_while_commits_go_on(void **state)
{
    struct suite *s = *state;
    if (!suite_driver->threads) {
        skip();
    }
    for (unsigned i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "l%03u", i);
        suite_put(s, key, "old");
    }
    assert_int_equal(suite_commit(s), MR_OK);
    struct suite_isolation iso = {.step = 0};
    (void)pthread_mutex_init(&iso.mutex, NULL);
    (void)pthread_cond_init(&iso.cond, NULL);
    struct suite_read read = {.done = false};
    iso.read = &read;
    assert_int_equal(s->store->ops->read(s->store, suite_isolation_fn, suite_on_read, &iso), MR_OK);
    suite_step_wait(&iso, 1);
    for (unsigned i = 0; i < 30; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "l%03u", i);
        suite_put(s, key, "new");
        (void)snprintf(key, sizeof key, "l%03u", 99 - i);
        mr__batch_del(&s->batch, key, 4);
        (void)snprintf(key, sizeof key, "x%03u", i);
        suite_put(s, key, "new");
        assert_int_equal(suite_commit(s), MR_OK);
    }
    suite_step(&iso, 2);
    suite_wait(s, &read.done);
    assert_int_equal(read.status, MR_OK);
    assert_int_equal(iso.first.len, iso.second.len);
    assert_memory_equal(iso.first.data, iso.second.data, iso.first.len);
    mr__buf_finish(&iso.first);
    mr__buf_finish(&iso.second);
    (void)pthread_cond_destroy(&iso.cond);
    (void)pthread_mutex_destroy(&iso.mutex);
}

/* ---- close and stats --------------------------------------------------------------------------
 */

static void suite_no_commit(void *user, mr_status status, const mr_error *error)
{
    fail_msg("a callback after close");
}

static void suite_no_read(void *user, mr_status status)
{
    fail_msg("a callback after close");
}

static void store__close_with_a_commit_and_reads_under_way(void **state)
{
    struct suite *s = *state;
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        mr__batch_reset(&s->batch);
        (void)snprintf(key, sizeof key, "j%02ua", i);
        suite_put(s, key, "");
        key[3] = 'b';
        suite_put(s, key, "");
        s->store->ops->commit(s->store, &s->batch, NULL, suite_no_commit, NULL);
        for (unsigned k = 0; k < i; k++) {
            assert_int_equal(s->store->ops->read(s->store, suite_fail_read, suite_no_read, NULL),
                             MR_OK);
        }
        suite_close(s);
        suite_open(s);
        struct mr__store_stats stats;
        assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
        assert_int_equal(stats.keys[MR__TABLE_JOURNAL] % 2, 0); /* all of it or none */
    }
}

static void store__stats_count(void **state)
{
    struct suite *s = *state;
    struct mr__store_stats stats;
    suite_put(s, "j1", "");
    suite_put(s, "j2", "");
    suite_put(s, "x1", "");
    assert_int_equal(suite_commit(s), MR_OK);
    suite_put(s, "x1", "again");
    assert_int_equal(suite_commit(s), MR_OK);
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    assert_int_equal(stats.commits, 2);
    assert_int_equal(stats.keys[MR__TABLE_JOURNAL], 2);
    assert_int_equal(stats.keys[MR__TABLE_INDEX], 1);
    assert_int_equal(stats.keys[MR__TABLE_LIVE], 0);
    assert_true(stats.bytes_used > 0 && stats.bytes_mapped >= stats.bytes_used);
    assert_true(stats.room_bytes > 0);
    assert_false(s->store->ops->nearly_full(s->store));
}

#define SUITE_TEST(name) cmocka_unit_test_setup_teardown(name, suite_setup, suite_teardown)
#define SUITE_TESTS                                                                                \
    SUITE_TEST(store__puts_and_deletes_of_one_batch_are_seen_together),                            \
        SUITE_TEST(store__an_empty_batch_is_committed),                                            \
        SUITE_TEST(store__the_last_operation_on_a_key_wins),                                       \
        SUITE_TEST(store__range_keeps_to_bounds_limit_and_direction),                              \
        SUITE_TEST(store__del_range_keeps_to_its_bounds_and_its_place_in_the_batch),               \
        SUITE_TEST(store__del_range_of_many_keys), SUITE_TEST(store__keys_of_the_greatest_length), \
        SUITE_TEST(store__large_values), SUITE_TEST(store__a_key_of_no_table_is_refused),          \
        SUITE_TEST(store__a_failed_batch_is_refused),                                              \
        SUITE_TEST(store__a_guard_lets_only_its_owner_commit),                                     \
        SUITE_TEST(store__a_guard_sees_the_commit_before_and_not_its_own_batch),                   \
        SUITE_TEST(store__a_read_sees_the_commit_whose_callback_began_it),                         \
        SUITE_TEST(store__a_reads_status_reaches_its_callback),                                    \
        SUITE_TEST(store__too_many_reads_are_refused_and_none_is_lost),                            \
        SUITE_TEST(store__a_read_sees_one_moment_while_commits_go_on),                             \
        SUITE_TEST(store__random_batches_against_a_model),                                         \
        SUITE_TEST(store__close_with_a_commit_and_reads_under_way), SUITE_TEST(store__stats_count)

#endif
