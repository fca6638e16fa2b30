/* SPDX-License-Identifier: MIT
 *
 * Goal: what is written is read as it was, and bytes that a spoilt process makes up are refused
 * without a look beyond them. Method: every kind to and fro, cut at every byte, changed in every
 * byte, and by hand where a length, a kind or a NUL is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/exec/wire.h"

#include <cmocka.h> /* last: its macros take plain words */

/* A message of that kind with numbers and texts of all sizes. */
static struct mr__wire sample(enum mr__wire_kind kind)
{
    static const char *const texts[] = {"", "a", NULL, "longer text", "x"};
    struct mr__wire m = {.kind = kind};
    for (unsigned i = 0; i < MR__WIRE_NUMBERS_MAX; i++) {
        m.number[i] = i % 2 == 0 ? INT64_MIN + i : INT64_MAX / (i + 1);
    }
    for (unsigned i = 0; i < MR__WIRE_TEXTS_MAX; i++) {
        m.text[i] = mr__wire_text(texts[i % MR__COUNT(texts)]);
    }
    return m;
}

static enum mr__wire_sender sender_of(enum mr__wire_kind kind)
{
    return kind < MR__WIRE_TRACE ? MR__WIRE_FROM_ENGINE : MR__WIRE_FROM_HOST;
}

static enum mr__wire_sender other(enum mr__wire_sender sender)
{
    return sender == MR__WIRE_FROM_HOST ? MR__WIRE_FROM_ENGINE : MR__WIRE_FROM_HOST;
}

/* In memory of exactly that size, so that a look beyond it is seen by the sanitizer. */
static mr_status read_exactly(const void *bytes, size_t len, enum mr__wire_sender sender,
                              struct mr__wire *ret_message, size_t *ret_used)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    mr_status status = mr__wire_read(copy, len, sender, ret_message, ret_used);
    free(copy);
    return status;
}

static void wire__reads_what_it_wrote(void **state)
{
    for (int kind = MR__WIRE_NONE + 1; kind < MR__WIRE_KINDS; kind++) {
        struct mr__wire m = sample((enum mr__wire_kind)kind), again;
        struct mr__buf out = {0};
        size_t used = 0;
        assert_int_equal(mr__wire_write(&out, &m), MR_OK);
        assert_int_equal(mr__wire_read(out.data, out.len, sender_of(m.kind), &again, &used), MR_OK);
        assert_int_equal(used, out.len);
        assert_int_equal(again.kind, kind);
        struct mr__buf twice = {0};
        assert_int_equal(mr__wire_write(&twice, &again), MR_OK);
        assert_int_equal(twice.len, out.len);
        assert_memory_equal(twice.data, out.data, out.len);
        mr__buf_finish(&twice);
        mr__buf_finish(&out);
    }
}

static void wire__keeps_absent_and_empty_apart(void **state)
{
    struct mr__wire m = {.kind = MR__WIRE_CALL, .number = {-1, 2, 0, INT64_MIN}}, again;
    struct mr__buf out = {0};
    size_t used;
    m.text[1] = (struct mr__blob){"a\0b", 3};
    assert_int_equal(mr__wire_write(&out, &m), MR_OK);
    m.text[0] = mr__wire_text("");
    assert_int_equal(mr__wire_write(&out, &m), MR_OK);
    assert_int_equal(mr__wire_read(out.data, out.len, MR__WIRE_FROM_HOST, &again, &used), MR_OK);
    assert_null(again.text[0].data);
    assert_int_equal(again.text[1].len, 3);
    assert_memory_equal(again.text[1].data, "a\0b", 4);
    assert_int_equal(again.number[3], INT64_MIN);
    assert_int_equal(
        mr__wire_read(out.data + used, out.len - used, MR__WIRE_FROM_HOST, &again, &used), MR_OK);
    assert_string_equal(again.text[0].data, "");
    mr__buf_finish(&out);
}

static void wire__waits_for_the_rest(void **state)
{
    for (int kind = MR__WIRE_NONE + 1; kind < MR__WIRE_KINDS; kind++) {
        struct mr__wire m = sample((enum mr__wire_kind)kind), again;
        struct mr__buf out = {0};
        size_t used;
        assert_int_equal(mr__wire_write(&out, &m), MR_OK);
        for (size_t len = 0; len < out.len; len++) {
            assert_int_equal(read_exactly(out.data, len, sender_of(m.kind), &again, &used),
                             MR_PENDING);
        }
        mr__buf_finish(&out);
    }
}

static void wire__refuses_what_the_other_side_says(void **state)
{
    for (int kind = MR__WIRE_NONE + 1; kind < MR__WIRE_KINDS; kind++) {
        struct mr__wire m = sample((enum mr__wire_kind)kind), again;
        struct mr__buf out = {0};
        size_t used;
        assert_int_equal(mr__wire_write(&out, &m), MR_OK);
        assert_int_equal(read_exactly(out.data, 5, other(sender_of(m.kind)), &again, &used),
                         MR_EFORMAT);
        mr__buf_finish(&out);
    }
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void wire__refuses_what_is_no_message(void **state)
{
    const struct {
        const char *what;
        const uint8_t *bytes;
        size_t len;
    } bad[] = {
        {"an empty message", BYTES(0, 0, 0, 0)},
        {"a message that is too long", BYTES(1, 0, 0, 4)},
        {"the kind 0", BYTES(1, 0, 0, 0, 0)},
        {"a kind that is none", BYTES(1, 0, 0, 0, MR__WIRE_KINDS)},
        {"a number that is not there", BYTES(1, 0, 0, 0, MR__WIRE_LOG)},
        {"a number without an end", BYTES(2, 0, 0, 0, MR__WIRE_LOG, 0x80)},
        {"a text that is longer than the message", BYTES(4, 0, 0, 0, MR__WIRE_TRACE, 3, 'a', 0)},
        {"a text without its NUL", BYTES(4, 0, 0, 0, MR__WIRE_TRACE, 2, 'a', 'b')},
        {"bytes after the last text", BYTES(5, 0, 0, 0, MR__WIRE_TRACE, 2, 'a', 0, 0)},
        {"bytes after the kind", BYTES(2, 0, 0, 0, MR__WIRE_HEARTBEAT, 0)},
        {"a number of more than 64 bits", BYTES(13, 0, 0, 0, MR__WIRE_LOG, 0xff, 0xff, 0xff, 0xff,
                                                0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 0)},
    };
    struct mr__wire m;
    size_t used;
    for (size_t i = 0; i < MR__COUNT(bad); i++) {
        if (read_exactly(bad[i].bytes, bad[i].len, MR__WIRE_FROM_HOST, &m, &used) != MR_EFORMAT) {
            fail_msg("%s was taken", bad[i].what);
        }
    }
}

/* Whatever comes of a changed byte is within the message. */
static void wire__survives_every_changed_byte(void **state)
{
    for (int kind = MR__WIRE_NONE + 1; kind < MR__WIRE_KINDS; kind++) {
        struct mr__wire m = sample((enum mr__wire_kind)kind), again;
        struct mr__buf out = {0};
        assert_int_equal(mr__wire_write(&out, &m), MR_OK);
        for (size_t at = 0; at < out.len; at++) {
            uint8_t before = out.data[at];
            for (unsigned byte = 0; byte < 256; byte++) {
                size_t used = 0;
                out.data[at] = (uint8_t)byte;
                mr_status status =
                    read_exactly(out.data, out.len, sender_of(m.kind), &again, &used);
                assert_true(status == MR_PENDING || status == MR_EFORMAT ||
                            (status == MR_OK && used > 0 && used <= out.len));
            }
            out.data[at] = before;
        }
        mr__buf_finish(&out);
    }
}

static void wire__has_a_limit(void **state)
{
    struct mr__buf out = {0};
    char *text = calloc(1, MR__WIRE_BYTES_MAX);
    assert_non_null(text);
    memset(text, 'x', MR__WIRE_BYTES_MAX - 1);
    struct mr__wire m = {.kind = MR__WIRE_TRACE, .text = {{text, MR__WIRE_BYTES_MAX - 200}}}, again;
    size_t used;
    assert_int_equal(mr__wire_write(&out, &m), MR_OK);
    assert_int_equal(mr__wire_read(out.data, out.len, MR__WIRE_FROM_HOST, &again, &used), MR_OK);
    size_t len = out.len;
    m.text[0].len = MR__WIRE_BYTES_MAX;
    assert_int_equal(mr__wire_write(&out, &m), MR_ELIMIT);
    assert_int_equal(out.len, len);
    mr__buf_finish(&out);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wire__reads_what_it_wrote),
        cmocka_unit_test(wire__keeps_absent_and_empty_apart),
        cmocka_unit_test(wire__waits_for_the_rest),
        cmocka_unit_test(wire__refuses_what_the_other_side_says),
        cmocka_unit_test(wire__refuses_what_is_no_message),
        cmocka_unit_test(wire__survives_every_changed_byte),
        cmocka_unit_test(wire__has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
