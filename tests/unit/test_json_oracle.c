/* SPDX-License-Identifier: MIT
 *
 * Goal: our JSON is everybody's JSON. Method: random values are written by mr__value_print, read
 * and written again by cJSON, and read by mr__value_parse: they must come back equal. Integers stay
 * below 2^53, since cJSON holds doubles; test_value.c has the larger ones. The seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "core/base/value.h"

#define ROUNDS 20000
#define DEPTH  4

static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

static mr_value random_text(struct mr__arena *arena)
{
    static const char *const pieces[] = {
        "a",    "Z",        "\"",           "\\", "/",      "\n",     "\x01",
        "\x7f", "\xc3\xa9", "\xe4\xb8\xad", " ",  "\t\r\b", "{\"a\"", "\xf0\x9f\x98\x80"};
    char text[256] = "";
    for (uint32_t i = below(12); i > 0; i--) {
        (void)strcat(text, pieces[below((uint32_t)MR__COUNT(pieces))]);
    }
    const char *copy = mr__arena_dup(arena, text, strlen(text));
    assert_non_null(copy);
    return mr__value_str(copy, strlen(copy));
}

static mr_value random_value(struct mr__arena *arena, unsigned depth)
{
    uint32_t n = below(5);
    mr_value value = {.type = MR_LIST, .len = n};
    switch (below(depth > 0 ? 7 : 5)) {
    case 0: return mr__value_null();
    case 1: return mr__value_bool(below(2) == 1);
    case 2: return mr__value_int((int64_t)(next_random() >> 11) - (int64_t)(1ull << 52));
    case 3: return mr__value_number((double)(int64_t)next_random() / 1e6 + 0.5);
    case 4: return random_text(arena);
    case 5: {
        mr_value *items = mr__arena_alloc(arena, (n + 1) * sizeof *items);
        for (uint32_t i = 0; i < n; i++) {
            items[i] = random_value(arena, depth - 1);
        }
        value.u.list = items;
        return value;
    }
    default: {
        mr_member *members = mr__arena_alloc(arena, (n + 1) * sizeof *members);
        for (uint32_t i = 0; i < n; i++) { /* a number in front: keys are not repeated */
            members[i].key = mr__arena_printf(arena, "%u%s", i, random_text(arena).u.s);
            members[i].value = random_value(arena, depth - 1);
        }
        value.type = MR_MAP;
        value.u.map = members;
        return value;
    }
    }
}

static void json__cjson_reads_what_we_write_and_we_what_it_writes(void **unused)
{
    (void)unused;
    struct mr__arena arena;
    struct mr__buf buf;
    mr__arena_init(&arena);
    mr__buf_init(&buf);
    for (int round = 0; round < ROUNDS; round++) {
        mr_error error = {0};
        mr_value back, value = random_value(&arena, DEPTH);
        mr__buf_reset(&buf);
        mr__value_print(&buf, &value);
        cJSON *tree = cJSON_Parse(mr__buf_cstr(&buf));
        assert_non_null(tree);
        char *text = cJSON_PrintUnformatted(tree);
        assert_non_null(text);
        if (mr__value_parse(&arena, text, strlen(text), &back, &error) != MR_OK) {
            fail_msg("round %d: %s: %s", round, error.message, text);
        }
        /* cJSON writes a double that is whole as an integer: compare through its own text. */
        cJSON *again = cJSON_Parse(text);
        mr__buf_reset(&buf);
        mr__value_print(&buf, &back);
        cJSON *ours = cJSON_Parse(mr__buf_cstr(&buf));
        assert_true(cJSON_Compare(again, ours, 1));
        assert_true(cJSON_Compare(tree, ours, 1));
        cJSON_Delete(tree);
        cJSON_Delete(again);
        cJSON_Delete(ours);
        cJSON_free(text);
        mr__arena_reset(&arena);
    }
    mr__buf_finish(&buf);
    mr__arena_finish(&arena);
}

int main(void)
{
    const char *seed = getenv("MILLRACE_SEED");
    state = seed == NULL ? 0x9e3779b97f4a7c15ull : strtoull(seed, NULL, 0);
    printf("seed %llu\n", (unsigned long long)state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__cjson_reads_what_we_write_and_we_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
