/* SPDX-License-Identifier: MIT
 *
 * Goal: what the tests of store_suite.h stand on. Method: a driver makes places and opens stores on
 * them; one fixture a test; commits, reads and ranges that wait for their callbacks, as text where
 * that is easier to compare.
 */
#ifndef STORE_SUITE_DRIVER_H
#define STORE_SUITE_DRIVER_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "core/store/store.h"

struct suite_bell {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t rings;
};

struct suite_driver {
    void *(*place_create)(void);
    void (*place_destroy)(void *place);
    struct mr__store *(*open)(void *place, mr__notify_fn notify, void *user);
    bool threads; /* reads run beside commits */
    unsigned random_batches;
};

struct suite {
    void *place;
    struct mr__store *store;
    struct suite_bell bell;
    struct mr__batch batch;
};

static const struct suite_driver *suite_driver; /* set by main */

/* ---- helpers ----------------------------------------------------------------------------------
 */

static void suite_notify(void *user)
{
    struct suite_bell *bell = user;
    (void)pthread_mutex_lock(&bell->mutex);
    bell->rings++;
    (void)pthread_cond_signal(&bell->cond);
    (void)pthread_mutex_unlock(&bell->mutex);
}

/* Polls, each time the store asks for it, until *done. */
static void suite_wait(struct suite *s, const bool *done)
{
    uint64_t seen = 0;
    while (!*done) {
        s->store->ops->poll(s->store);
        if (*done) {
            break;
        }
        (void)pthread_mutex_lock(&s->bell.mutex);
        while (s->bell.rings == seen) {
            (void)pthread_cond_wait(&s->bell.cond, &s->bell.mutex);
        }
        seen = s->bell.rings;
        (void)pthread_mutex_unlock(&s->bell.mutex);
    }
}

struct suite_commit {
    bool done;
    mr_status status;
    mr_error error;
};

static void suite_on_commit(void *user, mr_status status, const mr_error *error)
{
    struct suite_commit *commit = user;
    assert_false(commit->done);
    commit->done = true;
    commit->status = status;
    assert_int_equal(status == MR_OK, error == NULL);
    if (error != NULL) {
        assert_int_equal(error->status, status);
        assert_true(error->message[0] != '\0');
        commit->error = *error;
    }
}

static mr_status suite_commit_guarded(struct suite *s, const struct mr__guard *guard)
{
    struct suite_commit commit = {.done = false};
    s->store->ops->commit(s->store, &s->batch, guard, suite_on_commit, &commit);
    suite_wait(s, &commit.done);
    return commit.status;
}

/* Commits s->batch and empties it. */
static mr_status suite_commit(struct suite *s)
{
    mr_status status = suite_commit_guarded(s, NULL);
    mr__batch_reset(&s->batch);
    return status;
}

static void suite_put(struct suite *s, const char *key, const char *value)
{
    mr__batch_put(&s->batch, key, strlen(key), value, strlen(value));
}

static struct mr__bytes suite_bytes(const char *text)
{
    return (struct mr__bytes){text, strlen(text)};
}

struct suite_read {
    bool done;
    mr_status status;
};

static void suite_on_read(void *user, mr_status status)
{
    struct suite_read *read = *(struct suite_read **)user;
    assert_false(read->done);
    read->done = true;
    read->status = status;
}

/* fn's user begins with a pointer to a struct suite_read, which this sets. */
static mr_status suite_read(struct suite *s, mr__read_fn fn, void *user)
{
    struct suite_read read = {.done = false};
    *(struct suite_read **)user = &read;
    assert_int_equal(s->store->ops->read(s->store, fn, suite_on_read, user), MR_OK);
    suite_wait(s, &read.done);
    return read.status;
}

/* A range as text: "key=value key=value". */
struct suite_scan {
    struct suite_read *read;
    struct mr__bytes from, to;
    uint32_t flags;
    size_t limit, stop_after; /* stop_after: the callback ends the walk; 0: never */
    size_t count;
    struct mr__buf text;
};

static bool suite_scan_row(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct suite_scan *scan = user;
    if (scan->count++ > 0) {
        mr__buf_u8(&scan->text, ' ');
    }
    mr__buf_bytes(&scan->text, key.data, key.len);
    mr__buf_u8(&scan->text, '=');
    mr__buf_bytes(&scan->text, value.data, value.len);
    return scan->count != scan->stop_after;
}

static mr_status suite_scan_fn(struct mr__snapshot *snapshot, void *user)
{
    struct suite_scan *scan = user;
    return snapshot->ops->range(snapshot, scan->from, scan->to, scan->flags, scan->limit,
                                suite_scan_row, scan);
}

static void suite_expect_scan(struct suite *s, struct suite_scan scan, const char *expected)
{
    mr__buf_init(&scan.text);
    assert_int_equal(suite_read(s, suite_scan_fn, &scan), MR_OK);
    assert_string_equal(mr__buf_cstr(&scan.text), expected);
    mr__buf_finish(&scan.text);
}

static void suite_expect(struct suite *s, const char *from, const char *to, const char *expected)
{
    struct suite_scan scan = {.from = suite_bytes(from), .to = suite_bytes(to)};
    suite_expect_scan(s, scan, expected);
}

struct suite_get {
    struct suite_read *read;
    struct mr__bytes key;
    struct mr__buf value;
};

static mr_status suite_get_fn(struct mr__snapshot *snapshot, void *user)
{
    struct suite_get *get = user;
    struct mr__bytes value;
    mr_status status = snapshot->ops->get(snapshot, get->key.data, get->key.len, &value);
    if (status == MR_OK) {
        mr__buf_bytes(&get->value, value.data, value.len);
    }
    return status;
}

static void suite_expect_value(struct suite *s, struct mr__bytes key, mr_status expected,
                               struct mr__bytes value)
{
    struct suite_get get = {.key = key};
    mr__buf_init(&get.value);
    assert_int_equal(suite_read(s, suite_get_fn, &get), expected);
    if (expected == MR_OK) {
        assert_int_equal(get.value.len, value.len);
        if (value.len > 0) {
            assert_memory_equal(get.value.data, value.data, value.len);
        }
    }
    mr__buf_finish(&get.value);
}

static void suite_open(struct suite *s)
{
    s->store = suite_driver->open(s->place, suite_notify, &s->bell);
    assert_non_null(s->store);
}

static void suite_close(struct suite *s)
{
    if (s->store != NULL) {
        s->store->ops->close(s->store);
        s->store = NULL;
    }
}

static int suite_setup(void **state)
{
    struct suite *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)pthread_mutex_init(&s->bell.mutex, NULL);
    (void)pthread_cond_init(&s->bell.cond, NULL);
    mr__batch_init(&s->batch);
    s->place = suite_driver->place_create();
    suite_open(s);
    *state = s;
    return 0;
}

static int suite_teardown(void **state)
{
    struct suite *s = *state;
    suite_close(s);
    suite_driver->place_destroy(s->place);
    mr__batch_finish(&s->batch);
    (void)pthread_cond_destroy(&s->bell.cond);
    (void)pthread_mutex_destroy(&s->bell.mutex);
    free(s);
    return 0;
}

#endif
