/* SPDX-License-Identifier: MIT
 *
 * Values into a statement and out of it; see sqlite_values.h.
 */
#include "plugins/sqlite/sqlite_values.h"

#include <math.h>
#include <nettle/base64.h>
#include <stdlib.h>

static mr_status no_memory(mr_error *reterr)
{
    return mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
}

/* ---- in ---------------------------------------------------------------------------------------
 */

static mr_status bind_failed(int i, int code, mr_error *reterr)
{
    return code == SQLITE_OK ? MR_OK
           : code == SQLITE_NOMEM
               ? no_memory(reterr)
               : mr__text_error(reterr, MR_EINVAL, "bind: the value of parameter %d: %s", i,
                                sqlite3_errstr(code));
}

static mr_status bind_blob(sqlite3_stmt *statement, int i, const mr_value *base64, mr_error *reterr)
{
    struct base64_decode_ctx decode;
    size_t bytes = BASE64_DECODE_LENGTH(base64->len);
    uint8_t *blob = malloc(bytes + 1);
    if (blob == NULL) {
        return no_memory(reterr);
    }
    base64_decode_init(&decode);
    if (base64_decode_update(&decode, &bytes, blob, base64->len, base64->u.s) == 0 ||
        base64_decode_final(&decode) == 0) {
        free(blob);
        return mr__text_error(reterr, MR_EINVAL, "bind: the base64 of parameter %d is none", i);
    }
    return bind_failed(i, sqlite3_bind_blob64(statement, i, blob, bytes, free), reterr);
}

static mr_status bind_json(sqlite3_stmt *statement, int i, const mr_value *value, mr_error *reterr)
{
    struct mr__text json = {0};
    mr__text_json(&json, value);
    if (json.failed) {
        mr__text_finish(&json);
        return no_memory(reterr);
    }
    return bind_failed(
        i, sqlite3_bind_text64(statement, i, json.bytes, json.len, free, SQLITE_UTF8), reterr);
}

static mr_status bind_value(sqlite3_stmt *statement, int i, const mr_value *value, mr_error *reterr)
{
    const mr_value *base64 = mr_value_get(value, "base64");
    int code = SQLITE_OK;
    switch (value->type) {
    case MR_NULL: code = sqlite3_bind_null(statement, i); break;
    case MR_BOOL:
    case MR_INT: code = sqlite3_bind_int64(statement, i, value->u.i); break;
    case MR_NUMBER: code = sqlite3_bind_double(statement, i, value->u.d); break;
    case MR_STRING:
        code =
            sqlite3_bind_text64(statement, i, value->u.s, value->len, SQLITE_STATIC, SQLITE_UTF8);
        break;
    default:
        return base64 != NULL && base64->type == MR_STRING && value->len == 1
                   ? bind_blob(statement, i, base64, reterr)
                   : bind_json(statement, i, value, reterr);
    }
    return bind_failed(i, code, reterr);
}

static mr_status bind_list(sqlite3_stmt *statement, const mr_value *list, mr_error *reterr)
{
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < list->len; i++) {
        status = bind_value(statement, (int)i + 1, &list->u.list[i], reterr);
    }
    return status;
}

/* SQLite tells of a name with the mark before it: ":name". */
static mr_status bind_map(sqlite3_stmt *statement, const mr_value *map, mr_error *reterr)
{
    int count = sqlite3_bind_parameter_count(statement);
    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        const mr_value *value = name == NULL ? NULL : mr_value_get(map, name + 1);
        if (value == NULL) {
            return name == NULL ? mr__text_error(reterr, MR_EINVAL,
                                                 "bind: parameter %d has no name: give a list", i)
                                : mr__text_error(reterr, MR_EINVAL,
                                                 "bind: lacks \"%.128s\" of the query", name + 1);
        }
        mr_status status = bind_value(statement, i, value, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < map->len; i++) {
        const char *key = map->u.map[i].key;
        bool used = false;
        for (int j = 1; !used && j <= count; j++) {
            used = strcmp(sqlite3_bind_parameter_name(statement, j) + 1, key) == 0;
        }
        if (!used) {
            return mr__text_error(reterr, MR_EINVAL, "bind: \"%.128s\" is not in the query", key);
        }
    }
    return MR_OK;
}

mr_status mr__sqlite_bind(sqlite3_stmt *statement, const mr_value *bind, mr_error *reterr)
{
    int count = sqlite3_bind_parameter_count(statement);
    if (bind->type == MR_MAP) {
        return bind_map(statement, bind, reterr);
    }
    if (bind->type != MR_LIST && bind->type != MR_NULL) {
        return mr__text_error(reterr, MR_EINVAL, "bind: must be a list or a map");
    }
    if (bind->len != (uint32_t)count) {
        return mr__text_error(reterr, MR_EINVAL, "bind: has %u values, the query %d parameters",
                              bind->len, count);
    }
    return bind_list(statement, bind, reterr);
}

/* ---- out --------------------------------------------------------------------------------------
 */

mr_status mr__sqlite_check_columns(sqlite3_stmt *statement, mr_error *reterr)
{
    int count = sqlite3_column_count(statement);
    for (int i = 0; i < count; i++) {
        const char *name = sqlite3_column_name(statement, i);
        if (name == NULL) {
            return no_memory(reterr);
        }
        for (int j = 0; j < i; j++) {
            if (strcmp(sqlite3_column_name(statement, j), name) == 0) {
                return mr__text_error(reterr, MR_EINVAL,
                                      "query: two columns are called \"%.128s\": name one with AS",
                                      name);
            }
        }
    }
    return MR_OK;
}

/* Text of a database may be anything: what is no UTF-8 becomes U+FFFD. */
static void add_text(struct mr__text *json, const char *bytes, size_t len)
{
    struct mr__text good = {0};
    mr__text_puts(&good, "");
    mr__text_utf8(&good, bytes, len);
    json->failed = json->failed || good.failed;
    if (!good.failed) {
        mr__text_json_string(json, good.bytes, good.len);
    }
    mr__text_finish(&good);
}

static void add_blob(struct mr__text *json, const uint8_t *blob, size_t len)
{
    size_t bytes = BASE64_ENCODE_RAW_LENGTH(len);
    char *base64 = malloc(bytes + 1);
    if (base64 == NULL) {
        json->failed = true;
        return;
    }
    base64_encode_raw(base64, len, blob);
    mr__text_puts(json, "{\"base64\":\"");
    mr__text_add(json, base64, bytes);
    mr__text_puts(json, "\"}");
    free(base64);
}

static mr_status add_value(sqlite3_stmt *statement, int i, struct mr__text *json, mr_error *reterr)
{
    mr_value number;
    switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
        number = (mr_value){.type = MR_INT, .u.i = sqlite3_column_int64(statement, i)};
        mr__text_json(json, &number);
        break;
    case SQLITE_FLOAT:
        number = (mr_value){.type = MR_NUMBER, .u.d = sqlite3_column_double(statement, i)};
        if (isinf(number.u.d)) {
            return mr__text_error(reterr, MR_EINVAL, "the column \"%.128s\" has an infinite number",
                                  sqlite3_column_name(statement, i));
        }
        mr__text_json(json, &number);
        break;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        json->failed = json->failed || text == NULL;
        add_text(json, text == NULL ? "" : text, (size_t)sqlite3_column_bytes(statement, i));
        break;
    }
    case SQLITE_BLOB: {
        const uint8_t *blob = sqlite3_column_blob(statement, i); /* NULL where it has no bytes */
        add_blob(json, blob, (size_t)sqlite3_column_bytes(statement, i));
        break;
    }
    default: mr__text_puts(json, "null");
    }
    return MR_OK;
}

mr_status mr__sqlite_add_row(sqlite3_stmt *statement, struct mr__text *json, mr_error *reterr)
{
    int count = sqlite3_column_count(statement);
    mr_status status = MR_OK;
    for (int i = 0; status == MR_OK && i < count; i++) {
        const char *name = sqlite3_column_name(statement, i);
        mr__text_puts(json, i == 0 ? "{" : ",");
        add_text(json, name, strlen(name));
        mr__text_puts(json, ":");
        status = add_value(statement, i, json, reterr);
        if (status == MR_OK && json->len > MR__SQLITE_BYTES_MAX) { /* A row has many values. */
            status = mr__text_error(reterr, MR_ELIMIT, "the rows have more than %u bytes",
                                    MR__SQLITE_BYTES_MAX);
        }
    }
    mr__text_puts(json, "}");
    return status == MR_OK && json->failed ? no_memory(reterr) : status;
}
