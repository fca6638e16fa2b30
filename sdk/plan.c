/* SPDX-License-Identifier: MIT
 *
 * mr_plan: a dag file as a graph, with what will become of its tasks. No state, any thread.
 */
#include <millrace/engine.h>

#include "core/engine/preview.h"
#include "sdk/dag_file.h"

static mr_status read_vars(const mr_plan_options *options, const struct mr__dag *dag,
                           struct mr__arena *arena, mr_value *ret_vars, mr_error *reterr);
static mr_status write_plan(const mr_plan_options *options, const struct mr__dag *dag,
                            const char *valid, struct mr__buf *out, mr_error *reterr);

mr_status mr_plan(const mr_plan_options *options, char **ret_json, mr_error *reterr)
{
    mr_plan_options known = {.size = sizeof known};
    if (options == NULL || options->size < sizeof(uint32_t) || ret_json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "options and a place for the plan must be given");
    }
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    struct mr__registry *registry = NULL;
    struct mr__dag *dag = NULL;
    struct mr__buf read, out;
    char *valid = NULL;
    mr__buf_init(&read);
    mr__buf_init(&out);
    mr_status status = mr__dag_file_need(known.file, &known.text, &known.text_len, &read, reterr);
    if (status == MR_OK) {
        status =
            mr__registry_create_with(known.plugins, known.actions, NULL, NULL, &registry, reterr);
    }
    if (status == MR_OK) {
        struct mr__parse_options how = {.file = known.file, .compat = known.compat != 0};
        status =
            mr__dag_file_check(&how, known.text, known.text_len, registry, &dag, &valid, reterr);
    }
    if (status == MR_EDEFINITION) {
        *ret_json = valid;
        valid = NULL;
    } else if (status == MR_OK) {
        status = write_plan(&known, dag, valid, &out, reterr);
    }
    if (status == MR_OK) {
        *ret_json = (char *)out.data; /* for mr_free, as buf.h has it */
        mr__buf_init(&out);
    }
    mr_free(valid);
    mr__dag_unref(dag);
    mr__registry_destroy(registry);
    mr__buf_finish(&read);
    mr__buf_finish(&out);
    return status;
}

/* `valid`: mr_validate's document. */
static mr_status write_plan(const mr_plan_options *options, const struct mr__dag *dag,
                            const char *valid, struct mr__buf *out, mr_error *reterr)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value vars = mr__value_null(), document = mr__value_null();
    mr_status status = mr__value_parse(&arena, valid, strlen(valid), &document, reterr);
    if (status == MR_OK && options->graph == 0) {
        status = read_vars(options, dag, &arena, &vars, reterr);
    }
    if (status == MR_OK) {
        const mr_value *warnings = mr_value_get(&document, "warnings");
        mr__buf_text(out, "{\"dag\":");
        mr__json_str(out, dag->id, strlen(dag->id));
        mr__buf_text(out, ",\"vars\":");
        mr__value_print(out, &vars);
        mr__buf_text(out, ",");
        status = mr__preview(dag, options->graph == 0 ? &vars : NULL, out);
        mr__buf_text(out, ",\"warnings\":");
        mr__value_print(out, warnings);
        mr__buf_text(out, "}");
        if (status != MR_OK || mr__buf_cstr(out) == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
    }
    mr__arena_finish(&arena);
    return status;
}

/* The variables as a run would have them: what is given, over the file, over the defaults. */
static mr_status read_vars(const mr_plan_options *options, const struct mr__dag *dag,
                           struct mr__arena *arena, mr_value *ret_vars, mr_error *reterr)
{
    mr_value given = {.type = MR_MAP}, over = {.type = MR_MAP};
    struct mr__buf file;
    mr__buf_init(&file);
    mr_status status = MR_OK;
    if (options->vars_file != NULL) {
        status = mr__dag_file_read(options->vars_file, &file, reterr);
    }
    if (status == MR_OK && options->vars_file != NULL) {
        status = mr__vars_read(options->vars_file, (const char *)file.data, file.len, arena, &given,
                               reterr);
    }
    if (status == MR_OK && options->vars_json != NULL) {
        status =
            mr__value_parse(arena, options->vars_json, strlen(options->vars_json), &over, reterr);
    }
    if (status == MR_OK && over.type != MR_MAP) {
        status = mr__error_set(reterr, MR_EINVAL, "vars must be a JSON map");
    }
    if (status == MR_OK && mr__value_merge(arena, &given, &over) != MR_OK) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    if (status == MR_OK) {
        status = mr__dag_vars(dag, &given, arena, ret_vars, reterr);
    }
    mr__buf_finish(&file);
    return status;
}
