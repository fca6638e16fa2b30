/* SPDX-License-Identifier: MIT
 *
 * Goal: what stands in the store is read back as it was written, a run in the history keeps its
 * place whatever is pruned around it, and damage is seen. Method: round trips, and random prunes of
 * a part beside the list of what must be left of it; seeds are printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/store/records.h"

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- definitions -------------------------------------------------------------------------------
 */

static void definition__remembers_how_it_was_parsed(void **state)
{
    for (int compat = 0; compat < 2; compat++) {
        struct mr__definition definition = {.file = {"f.yaml", 6},
                                            .default_id = {"f", 1},
                                            .text = {"tasks: []", 9},
                                            .compat = compat};
        struct mr__definition got;
        struct mr__buf value;
        mr_error error;
        mr__buf_init(&value);
        mr__definition_write(&value, &definition);
        struct mr__bytes bytes = {value.data, value.len};
        assert_int_equal(mr__definition_read(bytes, &got, &error), MR_OK);
        assert_int_equal(got.compat, compat);
        assert_int_equal(got.text.len, 9);
        bytes.len--;
        assert_int_equal(mr__definition_read(bytes, &got, &error), MR_EFORMAT);
        mr__buf_finish(&value);
    }
}

static void pushed__key_gives_the_id_back(void **state)
{
    struct mr__key key;
    struct mr__blob id;
    uint8_t version[16] = {0};
    mr__key_pushed(&key, "deploy");
    assert_true(mr__key_pushed_id((struct mr__bytes){key.bytes, key.len}, &id));
    assert_int_equal(id.len, 6);
    assert_memory_equal(id.data, "deploy", 6);
    mr__key_definition(&key, "deploy", version);
    assert_false(mr__key_pushed_id((struct mr__bytes){key.bytes, key.len}, &id));
    mr__key_owner(&key, 0);
    assert_false(mr__key_pushed_id((struct mr__bytes){key.bytes, key.len}, &id));
}

/* ---- parts of the history ----------------------------------------------------------------------
 */

#define RUNS 40u

struct model {
    uint32_t offset;
    bool pruned;
};

static size_t log_len(size_t i)
{
    return 1 + i * 37 % 300;
}

/* A part as archive.c writes it. Run i has i in its times, and a log of its own length. */
static void write_part(struct mr__buf *value, struct model *model, size_t runs)
{
    static const char log[512];
    size_t begin = mr__record_begin(value);
    for (size_t i = 0; i < runs; i++) {
        struct mr__finished finished = {.status = 3,
                                        .started_ms = (int64_t)i,
                                        .ended_ms = (int64_t)i,
                                        .log = {log, log_len(i)}};
        model[i] = (struct model){.offset = (uint32_t)value->len};
        mr__finished_write(value, &finished);
    }
    mr__record_end(value, begin);
}

static struct mr__bytes bytes_of(const struct mr__buf *value)
{
    return (struct mr__bytes){value->data, value->len};
}

/* Every run that must be there is found at its offset and met on the walk, and no other. */
static void check_part(const struct mr__buf *value, const struct model *model, size_t runs)
{
    struct mr__part part;
    struct mr__finished finished;
    for (size_t i = 0; i < runs; i++) {
        assert_int_equal(mr__part_open(bytes_of(value), "it", &part, NULL), MR_OK);
        bool found = mr__part_find(&part, model[i].offset, &finished);
        assert_int_equal(found, !model[i].pruned);
        assert_false(part.r.failed);
        if (found) {
            assert_int_equal(finished.ended_ms, i);
            assert_int_equal(finished.log.len, log_len(i));
            assert_int_equal(part.run_offset, model[i].offset);
        }
    }
    size_t i = 0;
    assert_int_equal(mr__part_open(bytes_of(value), "it", &part, NULL), MR_OK);
    while (mr__part_next(&part, &finished)) {
        while (i < runs && model[i].pruned) {
            i++;
        }
        assert_true(i < runs);
        assert_int_equal(part.run_offset, model[i].offset);
        assert_int_equal(finished.ended_ms, i);
        i++;
    }
    assert_false(part.r.failed);
    while (i < runs && model[i].pruned) {
        i++;
    }
    assert_int_equal(i, runs);
}

/* Writes what stays, as prune.c does. */
static void rewrite(struct mr__buf *value, const struct model *model, size_t runs)
{
    struct mr__part part;
    struct mr__finished finished;
    struct mr__buf fresh;
    uint32_t at;
    mr__buf_init(&fresh);
    size_t begin = mr__part_keep_begin(&fresh, &at);
    assert_int_equal(mr__part_open(bytes_of(value), "it", &part, NULL), MR_OK);
    while (mr__part_next(&part, &finished)) {
        size_t i = (size_t)finished.ended_ms;
        assert_true(i < runs);
        if (!model[i].pruned) {
            mr__part_keep(&fresh, &at, part.run_offset, part.run);
        }
    }
    mr__record_end(&fresh, begin);
    mr__buf_finish(value);
    *value = fresh;
}

static void part__keeps_places_whatever_is_pruned(void **state)
{
    for (uint64_t round = 1; round <= 200; round++) {
        struct model model[RUNS];
        struct mr__buf value;
        seed = round * UINT64_C(0x9e3779b97f4a7c15);
        mr__buf_init(&value);
        write_part(&value, model, RUNS);
        check_part(&value, model, RUNS);
        size_t before = value.len;
        for (size_t left = RUNS; left > 0;) {
            for (size_t i = 0; i < RUNS; i++) {
                if (!model[i].pruned && next_random() % 4 == 0) {
                    model[i].pruned = true;
                    left--;
                }
            }
            rewrite(&value, model, RUNS);
            check_part(&value, model, RUNS);
            assert_true(value.len <= before + 2); /* the mark in front of the first rewrite */
            before = value.len;
        }
        mr__buf_finish(&value);
    }
}

static void part__has_no_run_between_runs(void **state)
{
    struct model model[3];
    struct mr__part part;
    struct mr__finished finished;
    struct mr__buf value;
    mr__buf_init(&value);
    write_part(&value, model, 3);
    model[1].pruned = true;
    rewrite(&value, model, 3);
    for (uint32_t offset = 0; offset < 1000; offset++) {
        bool is_place = offset == model[0].offset || offset == model[2].offset;
        assert_int_equal(mr__part_open(bytes_of(&value), "it", &part, NULL), MR_OK);
        assert_int_equal(mr__part_find(&part, offset, &finished), is_place);
    }
    mr__buf_finish(&value);
    /* One that was never pruned: past its end there is none. */
    mr__buf_init(&value);
    write_part(&value, model, 3);
    assert_int_equal(mr__part_open(bytes_of(&value), "it", &part, NULL), MR_OK);
    assert_false(mr__part_find(&part, 100000, &finished));
    assert_int_equal(mr__part_open(bytes_of(&value), "it", &part, NULL), MR_OK);
    assert_false(mr__part_find(&part, 0, &finished));
    mr__buf_finish(&value);
}

static void part__sees_damage(void **state)
{
    static const uint8_t bad[][12] = {
        {1, 0, 0, 7},                                  /* no gap, no run */
        {1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, /* a gap larger than a part */
        {1, 0, 0x80},                                  /* a gap that is cut short */
    };
    static const size_t lens[] = {4, 9, 3};
    for (size_t i = 0; i < MR__COUNT(bad); i++) {
        struct mr__part part;
        struct mr__finished finished;
        struct mr__buf value;
        mr__buf_init(&value);
        mr__buf_bytes(&value, bad[i], lens[i]);
        mr__record_end(&value, 0);
        assert_int_equal(mr__part_open(bytes_of(&value), "it", &part, NULL), MR_OK);
        assert_false(mr__part_next(&part, &finished));
        assert_true(part.r.failed);
        mr__buf_finish(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definition__remembers_how_it_was_parsed),
        cmocka_unit_test(pushed__key_gives_the_id_back),
        cmocka_unit_test(part__keeps_places_whatever_is_pruned),
        cmocka_unit_test(part__has_no_run_between_runs),
        cmocka_unit_test(part__sees_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
