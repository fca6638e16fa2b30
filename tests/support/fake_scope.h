/* SPDX-License-Identifier: MIT
 *
 * A scope and an evaluator for tests that need no Lua: the share data and the tasks' outputs are a
 * few JSON texts, and an expression is looked up in a table of what it gives. `item` and `item.KEY`
 * (by the item's name in the scope) are understood.
 */
#ifndef FAKE_SCOPE_H
#define FAKE_SCOPE_H

#include <stdio.h>
#include <string.h>

#include "core/model/scope.h"

/* What an expression gives: JSON; or, from the others, that it fails or must be done again. */
struct fake_expression {
    const char *text, *json;
};
#define FAKE_FAILS     "!"
#define FAKE_AGAIN     "?"
#define FAKE_NO_MEMORY "*"

struct fake_scope {
    struct mr__scope scope;
    struct mr__evaluator evaluator;
    const struct fake_expression *expressions; /* ends with a text of NULL */
    const char *const *share;                  /* key, JSON, ..., NULL; keys ascending */
    const char *const *outputs; /* JSON or NULL, by task; or NULL: no task is there */
    unsigned evaluated;         /* how many expressions */
};

static inline bool fake_share(const struct mr__scope *scope, const char *key, size_t len,
                              struct mr__blob *ret_json)
{
    const struct fake_scope *fake = scope->user;
    for (size_t i = 0; fake->share != NULL && fake->share[i] != NULL; i += 2) {
        if (strlen(fake->share[i]) == len && memcmp(fake->share[i], key, len) == 0) {
            *ret_json = (struct mr__blob){fake->share[i + 1], strlen(fake->share[i + 1])};
            return true;
        }
    }
    return false;
}

static inline bool fake_share_next(const struct mr__scope *scope, struct mr__blob after,
                                   struct mr__blob *ret_key)
{
    const struct fake_scope *fake = scope->user;
    char key[64] = "";
    if (after.data != NULL) {
        (void)snprintf(key, sizeof key, "%.*s", (int)after.len, after.data);
    }
    for (size_t i = 0; fake->share != NULL && fake->share[i] != NULL; i += 2) {
        if (after.data == NULL || strcmp(fake->share[i], key) > 0) {
            *ret_key = (struct mr__blob){fake->share[i], strlen(fake->share[i])};
            return true;
        }
    }
    return false;
}

static inline bool fake_task(const struct mr__scope *scope, uint32_t task,
                             struct mr__scope_task *ret_task)
{
    const struct fake_scope *fake = scope->user;
    if (fake->outputs == NULL) {
        return false;
    }
    const char *output = fake->outputs[task];
    *ret_task = (struct mr__scope_task){
        .status = output == NULL ? "init" : "success",
        .reason = {"", 0},
        .output = {output, output == NULL ? 0 : strlen(output)},
    };
    return true;
}

/* `item`, `item.KEY`; false: it is another expression. */
static inline bool fake_item(const struct mr__scope *scope, const char *text,
                             struct mr__arena *arena, mr_value *ret_value, mr_status *ret_status)
{
    size_t len = scope->item_name == NULL ? 0 : strlen(scope->item_name);
    if (len == 0 || strncmp(text, scope->item_name, len) != 0 ||
        (text[len] != '\0' && text[len] != '.')) {
        return false;
    }
    *ret_status = mr__value_parse(arena, scope->item.data, scope->item.len, ret_value, NULL);
    if (*ret_status == MR_OK && text[len] == '.') {
        const mr_value *member = mr_value_get(ret_value, text + len + 1);
        *ret_value = member == NULL ? mr__value_null() : *member;
    }
    return true;
}

static inline mr_status fake_eval(void *user, const struct mr__scope *scope, uint32_t script,
                                  struct mr__arena *arena, mr_value *ret_value, bool *ret_again,
                                  mr_error *reterr)
{
    struct fake_scope *fake = user;
    const struct mr__script *row = &scope->dag->scripts[script];
    mr_status status;
    fake->evaluated++;
    if (fake_item(scope, row->text, arena, ret_value, &status)) {
        return status;
    }
    const struct fake_expression *at = fake->expressions;
    while (at != NULL && at->text != NULL && strcmp(at->text, row->text) != 0) {
        at++;
    }
    const char *json = at == NULL || at->text == NULL ? FAKE_FAILS : at->json;
    if (strcmp(json, FAKE_AGAIN) == 0) {
        *ret_again = true;
        return mr__error_set(reterr, MR_ELIMIT, "too slow");
    }
    if (strcmp(json, FAKE_NO_MEMORY) == 0) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    if (strcmp(json, FAKE_FAILS) == 0) {
        return mr__error_set(reterr, MR_EINVAL, "f.yaml:%u: it fails", row->pos.line);
    }
    return mr__value_parse(arena, json, strlen(json), ret_value, reterr);
}

/* A pattern of the tests is a text that must stand within. */
static inline mr_status fake_matches(void *user, const char *text, size_t len, const char *pattern,
                                     size_t pattern_len, bool *ret_matches, mr_error *reterr)
{
    (void)user;
    if (pattern_len == 1 && *pattern == '%') {
        return mr__error_set(reterr, MR_EINVAL, "malformed pattern");
    }
    *ret_matches = memmem(text, len, pattern, pattern_len) != NULL;
    return MR_OK;
}

static inline void fake_scope_init(struct fake_scope *fake, const struct mr__dag *dag,
                                   const mr_value *vars)
{
    *fake = (struct fake_scope){
        .scope = {.dag = dag,
                  .vars = vars,
                  .user = fake,
                  .task = fake_task,
                  .share = fake_share,
                  .share_next = fake_share_next},
        .evaluator = {.user = fake, .eval = fake_eval, .matches = fake_matches},
    };
}

#endif
