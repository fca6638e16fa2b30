/* SPDX-License-Identifier: MIT
 *
 * Goal: the share data of a run gives back what was put, in byte order of the keys, counts its
 * bytes, and holds up threads that read while one writes. Method: a table against a model of it,
 * and threads that look for values that were never put.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/exec/share.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__share *share;

static int set_up(void **state)
{
    share = mr__share_create();
    return share == NULL;
}

static int tear_down(void **state)
{
    mr__share_unref(share);
    return 0;
}

static struct mr__blob blob(const char *text)
{
    return (struct mr__blob){text, text == NULL ? 0 : strlen(text)};
}

static void put(const char *key, const char *json)
{
    assert_int_equal(mr__share_put(share, blob(key), blob(json)), MR_OK);
}

static void expect(const char *key, const char *json)
{
    struct mr__buf buf = {0};
    assert_int_equal(mr__share_get(share, key, strlen(key), &buf), json != NULL);
    if (json != NULL) {
        assert_string_equal(mr__buf_cstr(&buf), json);
    }
    mr__buf_finish(&buf);
}

static void put__replaces_and_removes(void **state)
{
    expect("a", NULL);
    put("a", "1");
    put("b", "[2]");
    expect("a", "1");
    assert_int_equal(mr__share_bytes(share), 6);
    put("a", "\"longer\"");
    expect("a", "\"longer\"");
    assert_int_equal(mr__share_bytes(share), 13);
    assert_int_equal(mr__share_size(share, "a", 1), 9);
    put("a", NULL);
    put("a", NULL); /* It is gone already. */
    expect("a", NULL);
    expect("b", "[2]");
    assert_int_equal(mr__share_bytes(share), 4);
    assert_int_equal(mr__share_size(share, "a", 1), 0);
}

static void next__goes_in_byte_order(void **state)
{
    static const char *const sorted[] = {"B", "a", "a.", "ab", "b", "\xc3\xa4"};
    static const uint8_t order[] = {3, 0, 5, 1, 4, 2};
    for (size_t i = 0; i < MR__COUNT(order); i++) {
        put(sorted[order[i]], "0");
    }
    struct mr__buf key = {0}, after = {0};
    size_t count = 0;
    for (struct mr__blob from = {NULL, 0}; mr__share_next(share, from, &key); count++) {
        assert_true(count < MR__COUNT(sorted));
        assert_string_equal(mr__buf_cstr(&key), sorted[count]);
        mr__buf_reset(&after);
        mr__buf_bytes(&after, key.data, key.len);
        mr__buf_reset(&key);
        from = (struct mr__blob){(const char *)after.data, after.len};
    }
    assert_int_equal(count, MR__COUNT(sorted));
    assert_true(mr__share_next(share, blob("aa"), &key)); /* after a key that is not there */
    assert_string_equal(mr__buf_cstr(&key), "ab");
    mr__buf_finish(&key);
    mr__buf_finish(&after);
}

static _Atomic bool over;

static void *reader(void *arg)
{
    struct mr__share *mine = arg;
    struct mr__buf buf = {0};
    while (!atomic_load(&over)) {
        mr__buf_reset(&buf);
        if (mr__share_get(mine, "k", 1, &buf)) {
            const char *text = mr__buf_cstr(&buf);
            assert_true(strcmp(text, "1111111111") == 0 || strcmp(text, "22") == 0);
        }
        mr__buf_reset(&buf);
        (void)mr__share_next(mine, blob("a"), &buf);
    }
    mr__buf_finish(&buf);
    mr__share_unref(mine);
    return NULL;
}

static void share__is_read_by_threads_while_it_is_written(void **state)
{
    pthread_t threads[2];
    atomic_store(&over, false);
    for (size_t i = 0; i < MR__COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader, mr__share_ref(share)), 0);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        put("k", i % 3 == 0 ? "1111111111" : i % 3 == 1 ? "22" : NULL);
        put("other", i % 2 == 0 ? "0" : NULL);
    }
    mr__share_unref(share); /* The threads' own references keep it. */
    share = NULL;
    atomic_store(&over, true);
    for (size_t i = 0; i < MR__COUNT(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(put__replaces_and_removes),
        TEST(next__goes_in_byte_order),
        TEST(share__is_read_by_threads_while_it_is_written),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
