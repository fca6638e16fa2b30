/* SPDX-License-Identifier: MIT
 *
 * The typed calls of millrace/engine.h: mr_start, mr_wait, mr_cancel and so on write a request and
 * read its answer; mr_validate and mr_plugin_* work without a store. No state, any thread.
 */
#include <errno.h>
#include <limits.h>
#include <millrace/engine.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/value.h"
#include "core/engine/engine.h"
#include "core/exec/registry.h"
#include "core/model/dag.h"
#include "sdk/dag_file.h"
#include "sdk/handle.h"
#include "sdk/stream.h"

static mr_status start_text(const mr_start_options *options, struct mr__buf *file,
                            const char **ret_text, size_t *ret_len, mr_error *reterr);
static mr_status write_submit(const mr_start_options *options, const char *text, size_t len,
                              struct mr__buf *buf, mr_error *reterr);
static mr_status start_request(mr_engine *engine, const mr_start_options *options,
                               struct mr__buf *request, mr_error *reterr);
static mr_status write_map(struct mr__buf *buf, const char *name, const char *json,
                           mr_error *reterr);
static void write_text(struct mr__buf *buf, const char *name, const char *text, size_t len);
static mr_status call_text(mr_engine *engine, const char *request, bool attach,
                           struct mr__buf *ret_answer, mr_error *reterr);
static const mr_plugin *plugin_of(const struct mr__registry *registry, const char *file);
static bool has_self_test(const mr_plugin *plugin);
static mr_status write_plugin(const struct mr__registry *registry, const char *file,
                              struct mr__buf *out);
static mr_status command(mr_engine *engine, const char *op, const char *run_id, bool attach,
                         mr_error *reterr);

const char *mr_version(void)
{
    return MR__VERSION_TEXT;
}

mr_status mr_set_allocator(mr_malloc_fn malloc_fn, mr_realloc_fn realloc_fn, mr_free_fn free_fn)
{
    if (malloc_fn == NULL || realloc_fn == NULL || free_fn == NULL) {
        return MR_EINVAL;
    }
    return mr__alloc_set(malloc_fn, realloc_fn, free_fn) ? MR_OK : MR_ECONFLICT;
}

void mr_free(void *memory)
{
    mr__free(memory);
}

/* ---- starting a run ------------------------------------------------------------------------ */

mr_status mr_start(mr_engine *engine, const mr_start_options *options,
                   char ret_run_id[MR_RUN_ID_BYTES], mr_error *reterr)
{
    struct mr__buf request, answer;
    mr__buf_init(&request);
    mr__buf_init(&answer);
    mr_status status = mr__handle_may_wait(engine, "mr_start", "mr_start_cb", reterr);
    if (status == MR_OK) {
        status = start_request(engine, options, &request, reterr);
    }
    if (status == MR_OK) {
        status = call_text(engine, (const char *)request.data, true, &answer, reterr);
    }
    if (status == MR_OK) {
        struct mr__arena arena;
        mr__arena_init(&arena);
        mr_value value = mr__value_null();
        (void)mr__value_parse(&arena, (const char *)answer.data, answer.len, &value, NULL);
        const char *run = mr_value_str(mr_value_get(&value, "run"), NULL);
        if (run != NULL && strlen(run) < MR_RUN_ID_BYTES) {
            memcpy(ret_run_id, run, strlen(run) + 1);
        } else {
            status = mr__error_set(reterr, MR_EUNKNOWN, "the run was accepted, its id not told");
        }
        mr__arena_finish(&arena);
    }
    mr__buf_finish(&request);
    mr__buf_finish(&answer);
    return status;
}

mr_status mr_start_cb(mr_engine *engine, const mr_start_options *options, mr_answer_cb cb,
                      void *user, mr_error *reterr)
{
    struct mr__buf request;
    mr__buf_init(&request);
    mr_status status = start_request(engine, options, &request, reterr);
    if (status == MR_OK) {
        status =
            mr__request_cb_attach(engine, (const char *)request.data, true, cb, user, NULL, reterr);
    }
    mr__buf_finish(&request);
    return status;
}

/* The whole request, with a final NUL. */
static mr_status start_request(mr_engine *engine, const mr_start_options *options,
                               struct mr__buf *request, mr_error *reterr)
{
    if (engine == NULL || options == NULL || options->size < sizeof(uint32_t)) {
        return mr__error_set(reterr, MR_EINVAL, "handle and options must be given");
    }
    mr_start_options known = {.size = sizeof known};
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    struct mr__buf file;
    mr__buf_init(&file);
    const char *text = NULL;
    size_t len = 0;
    mr_status status = start_text(&known, &file, &text, &len, reterr);
    if (status == MR_OK) {
        status = write_submit(&known, text, len, request, reterr);
    }
    mr__buf_finish(&file);
    return status;
}

/* The dag's text, from the caller or from the file, and fit to travel as JSON. */
static mr_status start_text(const mr_start_options *options, struct mr__buf *file,
                            const char **ret_text, size_t *ret_len, mr_error *reterr)
{
    if (options->dag != NULL) {
        mr_status status = mr_dag_text(options->dag, ret_text, reterr);
        if (status != MR_OK) {
            return status;
        }
        *ret_len = strlen(*ret_text);
    } else if (options->text != NULL) {
        *ret_text = options->text;
        *ret_len = strlen(options->text);
    } else if (options->file != NULL) {
        mr_status status = mr__dag_file_read(options->file, file, reterr);
        if (status != MR_OK) {
            return status;
        }
        *ret_text = (const char *)file->data;
        *ret_len = file->len;
    } else {
        return mr__error_set(reterr, MR_EINVAL, "a file, a text or a dag must be given");
    }
    if (*ret_len > MR__DAG_FILE_BYTES_MAX || memchr(*ret_text, '\0', *ret_len) != NULL ||
        !mr__utf8_valid(*ret_text, *ret_len)) {
        /* JSON cannot carry it as it is. The parser says what is wrong, and where. */
        struct mr__parse_options how = {.file = options->file};
        mr_status status = mr__dag_file_check(&how, *ret_text, *ret_len, NULL, NULL, NULL, reterr);
        return status != MR_OK
                   ? status
                   : mr__error_set(reterr, MR_EDEFINITION, "a dag file is text in UTF-8");
    }
    return MR_OK;
}

static mr_status write_submit(const mr_start_options *options, const char *text, size_t len,
                              struct mr__buf *buf, mr_error *reterr)
{
    char folder[PATH_MAX];
    if (options->folder == NULL && getcwd(folder, sizeof folder) == NULL) {
        return mr__error_set(reterr, MR_ENOTFOUND, "cannot tell the current folder: %s",
                             strerror(errno));
    }
    const char *at = options->folder != NULL ? options->folder : folder;
    mr__buf_text(buf, "{\"op\":\"submit\"");
    write_text(buf, "text", text, len);
    write_text(buf, "folder", at, strlen(at));
    if (options->file != NULL) {
        write_text(buf, "file", options->file, strlen(options->file));
    }
    if (options->key != NULL) {
        write_text(buf, "key", options->key, strlen(options->key));
    }
    mr_status status = MR_OK;
    if (options->vars_json != NULL) {
        status = write_map(buf, "vars", options->vars_json, reterr);
    }
    if (status == MR_OK && options->tags_json != NULL) {
        status = write_map(buf, "tags", options->tags_json, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    mr__buf_text(buf, "}");
    return mr__buf_cstr(buf) != NULL ? MR_OK : mr__error_set(reterr, MR_ENOMEM, "out of memory");
}

static mr_status write_map(struct mr__buf *buf, const char *name, const char *json,
                           mr_error *reterr)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value map = mr__value_null();
    mr_error error;
    mr_status status = mr__value_parse(&arena, json, strlen(json), &map, &error);
    if (status != MR_OK) {
        status = mr__error_set(reterr, status == MR_ENOMEM ? MR_ENOMEM : MR_EINVAL, "%s: %s", name,
                               error.message);
    } else if (map.type != MR_MAP) {
        status = mr__error_set(reterr, MR_EINVAL, "%s must be a JSON map", name);
    } else {
        mr__buf_printf(buf, ",\"%s\":", name);
        mr__value_print(buf, &map);
    }
    mr__arena_finish(&arena);
    return status;
}

static void write_text(struct mr__buf *buf, const char *name, const char *text, size_t len)
{
    mr__buf_printf(buf, ",\"%s\":", name);
    mr__json_str(buf, text, len);
}

/* ---- what a run can be asked to do --------------------------------------------------------- */

mr_status mr_wait(mr_engine *engine, const char *run_id, int64_t timeout_ms,
                  const char **ret_status, mr_error *reterr)
{
    static const char *const names[] = {"success", "failed", "canceled", "blocked"};
    if (engine == NULL || run_id == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "handle and run must be given");
    }
    mr_status status = mr__handle_may_wait(engine, "mr_wait", "mr_request_cb", reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__buf request;
    mr__buf_init(&request);
    mr__buf_text(&request, "{\"op\":\"wait\"");
    write_text(&request, "run", run_id, strlen(run_id));
    mr__buf_text(&request, "}");
    const char *text = mr__buf_cstr(&request);
    mr_stream *stream = NULL;
    const char *json = NULL;
    status = text == NULL ? mr__error_set(reterr, MR_ENOMEM, "out of memory")
                          : mr_request(engine, text, &stream, reterr);
    mr__buf_finish(&request);
    if (status == MR_OK) {
        status = mr_stream_next(stream, timeout_ms, &json, reterr);
    }
    if (status == MR_OK) {
        struct mr__arena arena;
        mr__arena_init(&arena);
        mr_value answer = mr__value_null();
        status = mr__value_parse(&arena, json, strlen(json), &answer, reterr);
        const char *name = mr_value_str(mr_value_get(mr_value_get(&answer, "run"), "status"), "");
        const char *found = NULL;
        for (size_t i = 0; i < MR__COUNT(names); i++) {
            found = strcmp(names[i], name) == 0 ? names[i] : found;
        }
        if (status == MR_OK && found == NULL) {
            status = mr__error_set(reterr, MR_EFORMAT, "run %s has an unknown status", run_id);
        }
        if (status == MR_OK && ret_status != NULL) {
            *ret_status = found;
        }
        mr__arena_finish(&arena);
    }
    mr_stream_close(stream);
    return status;
}

mr_status mr_cancel(mr_engine *engine, const char *run_id, mr_error *reterr)
{
    return command(engine, "cancel", run_id, false, reterr);
}

mr_status mr_retry(mr_engine *engine, const char *run_id, mr_error *reterr)
{
    return command(engine, "retry", run_id, true, reterr);
}

mr_status mr_continue(mr_engine *engine, const char *run_id, mr_error *reterr)
{
    return command(engine, "continue", run_id, true, reterr);
}

/* `attach`: the run goes on because of this, so that an owner elsewhere stays for it. */
static mr_status command(mr_engine *engine, const char *op, const char *run_id, bool attach,
                         mr_error *reterr)
{
    if (engine == NULL || run_id == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "handle and run must be given");
    }
    char call[32];
    (void)snprintf(call, sizeof call, "mr_%s", op);
    mr_status status = mr__handle_may_wait(engine, call, "mr_request_cb", reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__buf request, answer;
    mr__buf_init(&request);
    mr__buf_init(&answer);
    mr__buf_printf(&request, "{\"op\":\"%s\"", op);
    write_text(&request, "run", run_id, strlen(run_id));
    mr__buf_text(&request, "}");
    const char *text = mr__buf_cstr(&request);
    status = text == NULL ? mr__error_set(reterr, MR_ENOMEM, "out of memory")
                          : call_text(engine, text, attach, &answer, reterr);
    mr__buf_finish(&request);
    mr__buf_finish(&answer);
    return status;
}

/* One request with one answer, which is copied. */
static mr_status call_text(mr_engine *engine, const char *request, bool attach,
                           struct mr__buf *ret_answer, mr_error *reterr)
{
    mr_stream *stream;
    mr_status status = mr__request_attach(engine, request, attach, &stream, reterr);
    if (status != MR_OK) {
        return status;
    }
    const char *json = NULL;
    status = mr_stream_next(stream, MR_FOREVER, &json, reterr);
    if (status == MR_OK) {
        mr__buf_text(ret_answer, json);
        if (mr__buf_cstr(ret_answer) == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        }
    }
    mr_stream_close(stream);
    return status;
}

/* ---- without a store ----------------------------------------------------------------------- */

mr_status mr_validate(const char *file, const char *text, size_t text_len, const char *plugins,
                      char **ret_json, mr_error *reterr)
{
    mr_validate_options options =
        MR_VALIDATE(.file = file, .text = text, .text_len = text_len, .plugins = plugins);
    return mr_validate_with(&options, ret_json, reterr);
}

mr_status mr_validate_with(const mr_validate_options *options, char **ret_json, mr_error *reterr)
{
    mr_validate_options known = {.size = sizeof known};
    if (options == NULL || options->size < sizeof(uint32_t)) {
        return mr__error_set(reterr, MR_EINVAL, "options must be given");
    }
    memcpy(&known, options, MR__MIN((size_t)options->size, sizeof known));
    struct mr__buf read;
    mr__buf_init(&read);
    struct mr__registry *registry = NULL;
    mr_status status = mr__dag_file_need(known.file, &known.text, &known.text_len, &read, reterr);
    if (status == MR_OK) {
        status =
            mr__registry_create_with(known.plugins, known.actions, NULL, NULL, &registry, reterr);
    }
    if (status == MR_OK) {
        struct mr__parse_options how = {.file = known.file, .compat = known.compat != 0};
        status =
            mr__dag_file_check(&how, known.text, known.text_len, registry, NULL, ret_json, reterr);
    }
    mr__registry_destroy(registry);
    mr__buf_finish(&read);
    return status;
}

mr_status mr_plugin_check(const char *file, char **ret_json, mr_error *reterr)
{
    struct mr__registry *registry = NULL;
    struct mr__buf out;
    if (file == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "a file must be given");
    }
    mr__buf_init(&out);
    mr_status status = mr__registry_create_of(file, &registry, reterr);
    if (status == MR_OK) {
        status = write_plugin(registry, file, &out);
        if (status != MR_OK || mr__buf_cstr(&out) == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        } else if (ret_json != NULL) {
            *ret_json = (char *)out.data; /* malloc's, as buf.h has it */
            mr__buf_init(&out);
        }
    }
    mr__registry_destroy(registry);
    mr__buf_finish(&out);
    return status;
}

/* The table that came from the file; NULL: it has no action that came from there. */
static const mr_plugin *plugin_of(const struct mr__registry *registry, const char *file)
{
    const mr_plugin *plugin = NULL;
    for (size_t i = 0; i < mr__registry_count(registry) && plugin == NULL; i++) {
        const struct mr__action *action = mr__registry_at(registry, i);
        bool here = action->file != NULL && strcmp(action->file, file) == 0;
        plugin = here ? action->of : NULL;
    }
    return plugin;
}

mr_status mr_plugin_test(const char *file, mr_error *reterr)
{
    struct mr__registry *registry = NULL;
    mr_error failure = {.status = MR_OK};
    if (file == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "a file must be given");
    }
    mr_status status = mr__registry_create_of(file, &registry, reterr);
    if (status != MR_OK) {
        return status;
    }
    const mr_plugin *plugin = plugin_of(registry, file);
    bool has_test = has_self_test(plugin);
    mr__registry_destroy(registry);
    if (!has_test) {
        return mr__error_set(reterr, MR_ENOSYS, "%s: it has no self-test", file);
    }
    status = plugin->self_test(&failure);
    if (status == MR_OK) {
        return MR_OK;
    }
    failure.message[sizeof failure.message - 1] = '\0';
    return mr__error_set(reterr, MR_EFAILED, "%s: self-test: %s", file,
                         failure.message[0] != '\0' ? failure.message : mr_status_text(status));
}

/* A Lua file's table is the registry's own and has none. */
static bool has_self_test(const mr_plugin *plugin)
{
    return plugin != NULL && MR_HAS(mr_plugin, plugin, self_test) && plugin->self_test != NULL;
}

/* {"file","plugin","version","selfTest","actions":[...]}, of the actions that came from the file.
 */
static mr_status write_plugin(const struct mr__registry *registry, const char *file,
                              struct mr__buf *out)
{
    struct mr__arena arena;
    struct mr__buf all;
    mr__arena_init(&arena);
    mr__buf_init(&all);
    mr__registry_json(registry, NULL, &all);
    mr_value value = mr__value_null();
    mr_status status = all.failed
                           ? MR_ENOMEM
                           : mr__value_parse(&arena, (const char *)all.data, all.len, &value, NULL);
    const mr_value *actions = mr_value_get(&value, "actions");
    const mr_value *first = NULL;
    mr__buf_text(out, "{\"file\":");
    mr__json_str(out, file, strlen(file));
    mr__buf_text(out, ",\"actions\":[");
    for (uint32_t i = 0; actions != NULL && i < actions->len; i++) {
        const mr_value *action = &actions->u.list[i];
        if (strcmp(mr_value_str(mr_value_get(action, "file"), ""), file) == 0) {
            mr__buf_text(out, first == NULL ? "{" : ",{");
            for (uint32_t j = 0; j < action->len; j++) {
                const mr_member *member = &action->u.map[j];
                mr__buf_printf(out, "%s\"%s\":", j == 0 ? "" : ",", member->key);
                mr__value_print(out, &member->value);
            }
            mr__buf_text(out, "}");
            first = action;
        }
    }
    mr__buf_text(out, "]");
    const char *const names[] = {"plugin", "version"};
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        const char *text = mr_value_str(mr_value_get(first, names[i]), NULL);
        if (text != NULL) {
            write_text(out, names[i], text, strlen(text));
        }
    }
    mr__buf_text(out, has_self_test(plugin_of(registry, file)) ? ",\"selfTest\":true}"
                                                               : ",\"selfTest\":false}");
    mr__arena_finish(&arena);
    mr__buf_finish(&all);
    return status;
}
