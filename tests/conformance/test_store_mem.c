/* SPDX-License-Identifier: MIT
 *
 * Goal: the store in memory keeps store.h's promises and the test's verdicts, also when memory runs
 * out. Method: the suite; each verdict; and, with the code itself included here, the k-th
 * allocation failing for every k.
 */
#include "tests/conformance/store_suite.h"

static size_t allocations_left = SIZE_MAX; /* the one after these fails */

static bool allocation_fails(void)
{
    return allocations_left-- == 0;
}

static void *failing_malloc(size_t bytes)
{
    return allocation_fails() ? NULL : malloc(bytes);
}

static void *failing_calloc(size_t count, size_t bytes)
{
    return allocation_fails() ? NULL : calloc(count, bytes);
}

#define mr__malloc failing_malloc
#define mr__calloc failing_calloc
#include "core/store/store_mem.c"
#undef mr__malloc
#undef mr__calloc

struct verdicts {
    enum mr__mem_verdict next[16];
    size_t asked;
};

struct place {
    struct mr__mem_image *image;
    struct mr__mem_options options;
    struct verdicts verdicts;
};

static void *place_create(void)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    place->image = mr__mem_image_create();
    assert_non_null(place->image);
    return place;
}

static void place_destroy(void *user)
{
    struct place *place = user;
    mr__mem_image_destroy(place->image);
    free(place);
}

static struct mr__store *place_open(void *user, mr__notify_fn notify_fn, void *notify_user)
{
    struct place *place = user;
    struct mr__store *store = NULL;
    place->options.notify = notify_fn;
    place->options.notify_user = notify_user;
    assert_int_equal(mr__store_mem_open(place->image, &place->options, &store), MR_OK);
    return store;
}

static const struct suite_driver driver = {
    .place_create = place_create,
    .place_destroy = place_destroy,
    .open = place_open,
    .random_batches = 2000,
};

/* ---- verdicts ---------------------------------------------------------------------------------
 */

static enum mr__mem_verdict give_verdict(void *user, const struct mr__batch *batch)
{
    struct verdicts *verdicts = user;
    assert_non_null(batch);
    assert_true(verdicts->asked < MR__COUNT(verdicts->next));
    return verdicts->next[verdicts->asked++];
}

/* Opens the suite's store again, with these verdicts for its next commits. */
static struct verdicts *expect_verdicts(struct suite *s, const enum mr__mem_verdict *next,
                                        size_t count)
{
    struct place *place = s->place;
    suite_close(s);
    memcpy(place->verdicts.next, next, count * sizeof *next);
    place->verdicts.asked = 0;
    place->options.verdict = give_verdict;
    place->options.user = &place->verdicts;
    suite_open(s);
    return &place->verdicts;
}

static void mem__each_verdict_is_kept(void **state)
{
    struct suite *s = *state;
    static const struct {
        enum mr__mem_verdict verdict;
        mr_status status;
        bool written;
    } rows[] = {
        {MR__MEM_OK, MR_OK, true},
        {MR__MEM_FAIL, MR_EIO, false},
        {MR__MEM_FULL, MR_EFULL, false},
        {MR__MEM_UNKNOWN_WRITTEN, MR_EUNKNOWN, true},
        {MR__MEM_UNKNOWN_UNWRITTEN, MR_EUNKNOWN, false},
    };
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        struct verdicts *verdicts = expect_verdicts(s, &rows[i].verdict, 1);
        char key[8];
        (void)snprintf(key, sizeof key, "j%zu", i);
        suite_put(s, key, "");
        assert_int_equal(suite_commit(s), rows[i].status);
        assert_int_equal(verdicts->asked, 1);
        suite_expect_value(s, suite_bytes(key), rows[i].written ? MR_OK : MR_ENOTFOUND,
                           suite_bytes(""));
    }
}

static void mem__a_guard_stands_above_unknown_written(void **state)
{
    struct suite *s = *state;
    enum mr__mem_verdict verdict = MR__MEM_UNKNOWN_WRITTEN;
    (void)expect_verdicts(s, &verdict, 1);
    suite_put(s, "c1", "");
    struct mr__guard guard = {suite_bytes("co"), suite_bytes("1")};
    assert_int_equal(suite_commit_guarded(s, &guard), MR_ECONFLICT);
    suite_expect(s, "a", "z", "");
}

static void mem__wait_asks_at_each_poll_and_holds_up_no_read(void **state)
{
    struct suite *s = *state;
    enum mr__mem_verdict next[] = {MR__MEM_WAIT, MR__MEM_WAIT, MR__MEM_OK};
    struct verdicts *verdicts = expect_verdicts(s, next, 3);
    struct suite_commit commit = {.done = false};
    suite_put(s, "c1", "");
    s->store->ops->commit(s->store, &s->batch, NULL, suite_on_commit, &commit);
    assert_int_equal(verdicts->asked, 0);
    s->store->ops->poll(s->store);
    assert_int_equal(verdicts->asked, 1);
    suite_expect(s, "a", "z", "");
    assert_int_equal(verdicts->asked, 2);
    assert_false(commit.done);
    s->store->ops->poll(s->store);
    assert_true(commit.done);
    suite_expect(s, "a", "z", "c1=");
    assert_int_equal(verdicts->asked, 3);
}

static void mem__close_drops_a_commit_that_waits(void **state)
{
    struct suite *s = *state;
    suite_put(s, "c1", "");
    s->store->ops->commit(s->store, &s->batch, NULL, suite_no_commit, NULL);
    suite_close(s);
    suite_open(s);
    suite_expect(s, "a", "z", "");
}

static void mem__limits_are_kept(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    suite_close(s);
    place->options.limits = (struct mr__store_limits){3, 20, 10};
    suite_open(s);
    suite_put(s, "c1", "");
    suite_put(s, "c2", "");
    suite_put(s, "c3", "0123456789");
    assert_int_equal(suite_commit(s), MR_OK);
    for (unsigned i = 0; i < 4; i++) {
        suite_put(s, "x", "");
    }
    assert_int_equal(suite_commit(s), MR_ELIMIT);
    suite_put(s, "x", "0123456789a");
    assert_int_equal(suite_commit(s), MR_ELIMIT);
    suite_put(s, "x1", "0123456789");
    suite_put(s, "x2", "01234567");
    assert_int_equal(suite_commit(s), MR_ELIMIT);
    suite_expect(s, "a", "z", "c1= c2= c3=0123456789");
}

/* ---- images -----------------------------------------------------------------------------------
 */

static void mem__a_copied_image_goes_its_own_way(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    char key[16];
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "h%03u", i);
        suite_put(s, key, "1");
    }
    assert_int_equal(suite_commit(s), MR_OK);
    struct mr__mem_image *copy = mr__mem_image_copy(place->image), *original = place->image;
    assert_non_null(copy);
    suite_put(s, "h000", "2");
    mr__batch_del_range(&s->batch, "h001", 4, "h999", 4);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_expect(s, "a", "z", "h000=2 h999=1");
    suite_close(s);
    place->image = copy;
    suite_open(s);
    struct mr__store_stats stats;
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    assert_int_equal(stats.keys['h'], 1000);
    suite_expect(s, "h000", "h002", "h000=1 h001=1");
    mr__batch_del(&s->batch, "h999", 4);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_close(s);
    place->image = original;
    suite_open(s);
    suite_expect(s, "a", "z", "h000=2 h999=1");
    mr__mem_image_destroy(copy);
}

static void mem__a_hundred_thousand_keys(void **state)
{
    struct suite *s = *state;
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t mixed = i * 2654435761u;
        uint8_t key[5] = {'x', (uint8_t)(mixed >> 24), (uint8_t)(mixed >> 16),
                          (uint8_t)(mixed >> 8), (uint8_t)mixed};
        mr__batch_put(&s->batch, key, sizeof key, &i, sizeof i);
        if (i % 1000 == 999) {
            assert_int_equal(suite_commit(s), MR_OK);
        }
    }
    struct mr__store_stats stats;
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    assert_int_equal(stats.keys['x'], 100000);
}

static void mem__no_allocation_that_fails_leaves_half_a_batch(void **state)
{
    struct suite *s = *state;
    char key[16];
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, "h%02u", i);
        suite_put(s, key, "1");
    }
    assert_int_equal(suite_commit(s), MR_OK);
    for (unsigned i = 0; i < 50; i += 2) {
        (void)snprintf(key, sizeof key, "h%02u", i);
        suite_put(s, key, "22");
        (void)snprintf(key, sizeof key, "j%02u", i);
        suite_put(s, key, "22");
        (void)snprintf(key, sizeof key, "h%02u", i + 1);
        mr__batch_del(&s->batch, key, 3);
    }
    mr__batch_del_range(&s->batch, "h10", 3, "j20", 3);
    mr_status status = MR_ENOMEM;
    size_t n = 0;
    for (; status != MR_OK; n++) {
        struct mr__store_stats stats;
        allocations_left = n;
        status = suite_commit_guarded(s, NULL);
        allocations_left = SIZE_MAX;
        assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
        if (status != MR_OK) {
            assert_int_equal(status, MR_ENOMEM);
            assert_int_equal(stats.keys['h'], 50);
            assert_int_equal(stats.keys['j'], 0);
        }
    }
    assert_true(n > 100);
    allocations_left = 0;
    assert_null(mr__mem_image_create());
    allocations_left = 0;
    assert_int_equal(s->store->ops->read(s->store, suite_fail_read, suite_no_read, NULL),
                     MR_ENOMEM);
    allocations_left = SIZE_MAX;
    suite_expect(s, "a", "h04", "h00=22 h02=22");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_TESTS,
        SUITE_TEST(mem__each_verdict_is_kept),
        SUITE_TEST(mem__a_guard_stands_above_unknown_written),
        SUITE_TEST(mem__wait_asks_at_each_poll_and_holds_up_no_read),
        SUITE_TEST(mem__close_drops_a_commit_that_waits),
        SUITE_TEST(mem__limits_are_kept),
        SUITE_TEST(mem__a_copied_image_goes_its_own_way),
        SUITE_TEST(mem__a_hundred_thousand_keys),
        SUITE_TEST(mem__no_allocation_that_fails_leaves_half_a_batch),
    };
    suite_driver = &driver;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
