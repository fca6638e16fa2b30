/* SPDX-License-Identifier: MIT
 *
 * Goal: no sequence of batches makes a store differ from a plain array. Method: random puts,
 * deletes and deleted ranges over 600 keys of all tables, from one seed, and random ranges read
 * back after each batch; now and then everything, also after the store has been opened again.
 */
#ifndef STORE_SUITE_MODEL_H
#define STORE_SUITE_MODEL_H

#include "tests/conformance/store_suite_driver.h"

enum { MODEL_KEYS = 600, MODEL_KEY_BYTES = 5, MODEL_VALUE_MAX = 9000 };

struct suite_model {
    uint64_t random;
    bool there[MODEL_KEYS];
    uint32_t len[MODEL_KEYS];
    uint8_t seed[MODEL_KEYS];
    uint8_t bytes[MODEL_VALUE_MAX + 256]; /* a value is a piece of this */
};

static uint32_t model_random(struct suite_model *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((m->random >> 33) % below);
}

/* Key number i, in the order of the numbers, over all six tables. */
static void model_key(uint32_t i, char key[MODEL_KEY_BYTES + 1])
{
    (void)snprintf(key, MODEL_KEY_BYTES + 1, "%c%04u", "cghjlx"[i * 6 / MODEL_KEYS], i);
}

static void model_fill(struct suite_model *m, struct suite *s)
{
    uint32_t count = model_random(m, 4) == 0 ? model_random(m, 200) : model_random(m, 12);
    for (uint32_t n = 0; n < count; n++) {
        char key[MODEL_KEY_BYTES + 1], to[MODEL_KEY_BYTES + 1];
        uint32_t i = model_random(m, MODEL_KEYS), what = model_random(m, 100);
        model_key(i, key);
        if (what < 65) {
            m->there[i] = true;
            m->len[i] = model_random(m, what < 8 ? MODEL_VALUE_MAX : 120);
            m->seed[i] = (uint8_t)model_random(m, 256);
            mr__batch_put(&s->batch, key, MODEL_KEY_BYTES, m->bytes + m->seed[i], m->len[i]);
        } else if (what < 98) {
            m->there[i] = false;
            mr__batch_del(&s->batch, key, MODEL_KEY_BYTES);
        } else {
            uint32_t end = i + model_random(m, 150);
            end = MR__MIN(end, MODEL_KEYS - 1);
            model_key(end, to);
            mr__batch_del_range(&s->batch, key, MODEL_KEY_BYTES, to, MODEL_KEY_BYTES);
            for (uint32_t k = i; k < end; k++) {
                m->there[k] = false;
            }
        }
    }
}

struct suite_model_walk {
    struct suite_read *read;
    struct suite_model *m;
    uint32_t from, to, flags, limit;
    uint32_t next, seen; /* next: the key that may come */
    bool wrong;
};

/* Moves `next` to the next key that is there. */
static bool model_advance(struct suite_model_walk *w)
{
    bool reverse = (w->flags & MR__RANGE_REVERSE) != 0;
    for (;; w->next += reverse ? UINT32_MAX : 1) {
        if (reverse ? w->next < w->from || w->next == UINT32_MAX : w->next >= w->to) {
            return false;
        }
        if (w->m->there[w->next]) {
            return w->limit == 0 || w->seen < w->limit;
        }
    }
}

static bool model_row(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct suite_model_walk *w = user;
    char expected[MODEL_KEY_BYTES + 1];
    if (!model_advance(w)) {
        w->wrong = true;
        return false;
    }
    uint32_t i = w->next;
    model_key(i, expected);
    w->wrong |= key.len != MODEL_KEY_BYTES || memcmp(key.data, expected, key.len) != 0 ||
                value.len != w->m->len[i] ||
                (value.len > 0 && memcmp(value.data, w->m->bytes + w->m->seed[i], value.len) != 0);
    w->seen++;
    w->next += (w->flags & MR__RANGE_REVERSE) != 0 ? UINT32_MAX : 1;
    return !w->wrong;
}

static mr_status model_walk_fn(struct mr__snapshot *snapshot, void *user)
{
    struct suite_model_walk *w = user;
    char from[MODEL_KEY_BYTES + 1], to[MODEL_KEY_BYTES + 1];
    model_key(w->from, from);
    model_key(w->to, to);
    if (w->to == MODEL_KEYS) {
        (void)strcpy(to, "\xff");
    }
    w->next = (w->flags & MR__RANGE_REVERSE) != 0 ? w->to - 1 : w->from;
    mr_status status = snapshot->ops->range(snapshot, suite_bytes(from), suite_bytes(to), w->flags,
                                            w->limit, model_row, w);
    return w->wrong || model_advance(w) ? MR_EFAILED : status;
}

static void model_check(struct suite_model *m, struct suite *s, bool all)
{
    struct suite_model_walk w = {.m = m, .to = MODEL_KEYS};
    if (!all) {
        w.from = model_random(m, MODEL_KEYS);
        w.to = w.from + 1 + model_random(m, MODEL_KEYS - w.from);
        w.flags = model_random(m, 2) == 0 ? 0 : MR__RANGE_REVERSE;
        w.limit = model_random(m, 2) == 0 ? 0 : 1 + model_random(m, 20);
    }
    assert_int_equal(suite_read(s, model_walk_fn, &w), MR_OK);
}

static void store__random_batches_against_a_model(void **state)
{
    struct suite *s = *state;
    struct suite_model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->random = 20261124;
    for (size_t i = 0; i < sizeof m->bytes; i++) {
        m->bytes[i] = (uint8_t)model_random(m, 256);
    }
    for (unsigned n = 0; n < suite_driver->random_batches; n++) {
        model_fill(m, s);
        assert_int_equal(suite_commit(s), MR_OK);
        model_check(m, s, false);
        if (n % 100 == 99) {
            model_check(m, s, true);
        }
        if (n % 400 == 399) {
            suite_close(s);
            suite_open(s);
            model_check(m, s, true);
        }
    }
    struct mr__store_stats stats;
    uint64_t counted = 0, there = 0;
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    for (size_t i = 0; i < MR__COUNT(stats.keys); i++) {
        counted += stats.keys[i];
    }
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        there += m->there[i];
    }
    assert_int_equal(counted, there);
    free(m);
}

#endif
