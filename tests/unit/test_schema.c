/* SPDX-License-Identifier: MIT
 *
 * Goal: no key that the parser takes is missing in the schema. Method: the schema as a value; each
 * of the parser's tables is looked up in it key by key, and each of its references is followed.
 * What the schema accepts and refuses, tests/e2e/test_schema.py tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/parse.h"

static struct mr__arena arena;
static mr_value defs;

static int set_up(void **state)
{
    struct mr__buf buf;
    mr_error error = {MR_OK, ""};
    mr__arena_init(&arena);
    mr__buf_init(&buf);
    mr__buf_text(&buf, "{");
    mr__schema_defs(&buf);
    mr__buf_text(&buf, "}");
    mr_status status = mr__value_parse(&arena, (const char *)buf.data, buf.len, &defs, &error);
    mr__buf_finish(&buf);
    if (status != MR_OK) {
        fail_msg("%s", error.message);
    }
    return 0;
}

static int tear_down(void **state)
{
    mr__arena_finish(&arena);
    return 0;
}

static void schema__has_every_key_of_the_parser(void **state)
{
    static const struct mr__key_table *const tables[] = {
        &mr__key_table_dag,   &mr__key_table_variable, &mr__key_table_task,
        &mr__key_table_check, &mr__key_table_retry,    &mr__key_table_condition,
        &mr__key_table_hook,  &mr__key_table_schedule, &mr__key_table_limits};
    for (size_t i = 0; i < MR__COUNT(tables); i++) {
        const mr_value *place = mr_value_get(&defs, tables[i]->name);
        const mr_value *properties = mr_value_get(place, "properties");
        uint32_t count = 0;
        assert_non_null(properties);
        for (size_t j = 0; j < tables[i]->count; j++) {
            const struct mr__key *key = &tables[i]->keys[j];
            const mr_value *property = mr_value_get(properties, key->name);
            assert_non_null(property);
            assert_string_equal(mr_value_str(mr_value_get(property, "description"), ""), key->help);
            count++;
        }
        assert_int_equal(properties->len, count);
        assert_int_equal(mr_value_get(place, "additionalProperties")->type, MR_BOOL);
    }
    const mr_value *hooks = mr_value_get(mr_value_get(&defs, "hooks"), "properties");
    assert_int_equal(hooks->len, MR__HOOKS);
    for (uint32_t i = 0; i < hooks->len; i++) {
        assert_non_null(mr_value_get(&hooks->u.map[i].value, "description"));
    }
}

/* Every "$ref" below the value is in `defs`, but for "actions", which the caller of the model adds.
 */
static size_t follow(const mr_value *value)
{
    size_t found = 0;
    for (uint32_t i = 0; value->type == MR_LIST && i < value->len; i++) {
        found += follow(&value->u.list[i]);
    }
    for (uint32_t i = 0; value->type == MR_MAP && i < value->len; i++) {
        const mr_member *member = &value->u.map[i];
        if (strcmp(member->key, "$ref") == 0) {
            const char *name = mr_value_str(&member->value, "");
            assert_int_equal(strncmp(name, "#/$defs/", 8), 0);
            if (strcmp(name + 8, "actions") != 0 && mr_value_get(&defs, name + 8) == NULL) {
                fail_msg("%s leads nowhere", name);
            }
            found++;
        } else {
            found += follow(&member->value);
        }
    }
    return found;
}

static void schema__references_lead_somewhere(void **state)
{
    assert_true(follow(&defs) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema__has_every_key_of_the_parser),
        cmocka_unit_test(schema__references_lead_somewhere),
    };
    return cmocka_run_group_tests_name("schema", tests, set_up, tear_down);
}
