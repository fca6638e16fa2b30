/* SPDX-License-Identifier: MIT
 *
 * Goal: no text makes the Lua host crash, hang or forget how to add. Method: libFuzzer; the bytes
 * are an expression, a chunk and an action file, with a small budget, one state for all.
 */
#include "lua_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mr__lua_budget small = {
    .instructions = 20000, .ms = 100, .memory_bytes = 1u << 20, .output_bytes = 1u << 16};

static void trace(void *user, const char *line, size_t len)
{
    MR_ASSERT(user == NULL && line[len] == '\0');
}

static mr_status share_set(void *user, const char *key, const char *json, size_t len,
                           mr_error *reterr)
{
    MR_ASSERT(mr__utf8_valid(key, strlen(key)) && (json == NULL || mr__utf8_valid(json, len)));
    return MR_OK;
}

static const struct mr__lua_acts acts = {.trace = trace, .share_set = share_set};

static void check_error(mr_status status, const mr_error *error)
{
    MR_ASSERT(status == MR_OK || status == MR_EINVAL || status == MR_EFAILED ||
              status == MR_ELIMIT);
    MR_ASSERT(status == MR_OK || mr__utf8_valid(error->message, strlen(error->message)));
}

static void try_expression(struct lua_fixture *f, const char *text, size_t len,
                           struct mr__arena *arena)
{
    mr_value value;
    mr_error error = {0};
    fixture_script(f, MR__SCRIPT_EXPRESSION, text, len);
    mr_status status = mr__lua_eval(f->lua, &f->scope, 0, &small, arena, &value, &error);
    check_error(status, &error);
    if (status == MR_OK) {
        mr__buf_reset(&f->text);
        mr__value_print(&f->text, &value);
        MR_ASSERT(mr__value_parse(arena, (const char *)f->text.data, f->text.len, &value, NULL) ==
                  MR_OK);
    }
}

static void try_chunk(struct lua_fixture *f, const char *text, size_t len)
{
    mr_error error = {0};
    fixture_script(f, MR__SCRIPT_CHUNK, text, len);
    mr__buf_reset(&f->text);
    check_error(mr__lua_run(f->lua, &f->scope, 0, &acts, &small, &f->text, &error), &error);
}

static void try_file(struct lua_fixture *f, const char *text, size_t len, struct mr__arena *arena)
{
    struct mr__lua_file file = {.path = "f.lua", .text = text, .len = len};
    struct mr__lua_action action;
    mr_error error = {0};
    mr__hash128(text, len, file.digest);
    check_error(mr__lua_action_read(f->lua, &file, arena, &action, &error), &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lua_fixture f;
    struct mr__arena arena; /* of what comes out; the fixture's own holds what scripts see */
    char *text = malloc(size + 1);
    if (f.lua == NULL) {
        fixture_init(&f);
    }
    MR_ASSERT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    mr__arena_init(&arena);
    try_expression(&f, text, size, &arena);
    try_chunk(&f, text, size);
    try_file(&f, text, size, &arena);
    mr__arena_finish(&arena);
    free(text);
    MR_ASSERT(fixture_eval(&f, "1+1") == MR_OK && strcmp(mr__buf_cstr(&f.text), "2") == 0);
    return 0;
}
