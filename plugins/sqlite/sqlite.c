/* SPDX-License-Identifier: MIT
 *
 * The actions `sqlite-read` and `sqlite-write`: one statement on an SQLite database. Workers.
 *
 * Each attempt has a connection of its own. The statement is a transaction of its own, which ends
 * with it: whatever fails, or is canceled, has changed nothing. Waiting for other writers and the
 * statement itself look every few milliseconds whether they are to stop.
 */
#include <errno.h>
#include <millrace/plugin.h>

#include "plugins/path.h"
#include "plugins/sqlite/sqlite_values.h"

#define STEPS_BETWEEN_LOOKS 10000 /* of SQLite's machine: well below a millisecond each */
#define BUSY_MS             20    /* between two attempts to get the lock */
#define ROWS_MAX            1000000

static const mr_param read_params[] = {
    {.name = "db",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "the file; a relative path begins in the run's folder"},
    {.name = "query",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "one statement; never templated: pass values through bind"},
    {.name = "bind", .type = MR_NULL, .help = "a list for ?, or a map for :name"},
    {.name = "maxRows",
     .type = MR_INT,
     .default_json = "10000",
     .help = "at most so many; more of them fail"},
    {.name = NULL},
};

static const mr_param write_params[] = {
    {.name = "db",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "the file; a relative path begins in the run's folder"},
    {.name = "query",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "one statement; never templated: pass values through bind"},
    {.name = "bind", .type = MR_NULL, .help = "a list for ?, or a map for :name"},
    {.name = "create",
     .type = MR_BOOL,
     .default_json = "false",
     .help = "make the file where it is not there"},
    {.name = "maxRows",
     .type = MR_INT,
     .default_json = "10000",
     .help = "of RETURNING, at most so many; more of them fail"},
    {.name = NULL},
};

/* ---- what SQLite says -------------------------------------------------------------------------
 */

static mr_status status_of(mr_task *t, int code)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM: return MR_ENOMEM;
    case SQLITE_INTERRUPT:
    case SQLITE_BUSY: return mr_cancel_reason(t) != MR_NOT_CANCELED ? MR_ECANCELED : MR_EBUSY;
    case SQLITE_FULL: return MR_EFULL;
    case SQLITE_IOERR: return MR_EIO;
    case SQLITE_PERM:
    case SQLITE_READONLY: return MR_EPERM;
    case SQLITE_CANTOPEN: return MR_ENOTFOUND;
    case SQLITE_CONSTRAINT: return MR_ECONFLICT;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return MR_EFORMAT;
    default: return MR_EFAILED;
    }
}

/* The failure of the connection's latest call. retry.if sees SQLite's number as error.sqlite. */
static mr_status fail_by(mr_task *t, sqlite3 *db, const char *path)
{
    int code = sqlite3_extended_errcode(db), kind = code & 0xff;
    int number = kind == SQLITE_CANTOPEN || kind == SQLITE_IOERR ? sqlite3_system_errno(db) : 0;
    (void)mr_detail_int(t, "sqlite", code); /* An older host does without. */
    if (number == ENOENT && strcmp(sqlite3_errmsg(db), sqlite3_errstr(SQLITE_CANTOPEN)) == 0) {
        return mr_fail(t, MR_ENOTFOUND, "%s is not there", path); /* ATTACH would name another */
    }
    return number == 0 ? mr_fail(t, status_of(t, code), "%s", sqlite3_errmsg(db))
                       : mr_fail(t, status_of(t, code), "%s: %s: %s", path, sqlite3_errmsg(db),
                                 strerror(number));
}

static int on_busy(void *arg, int count)
{
    mr_task *t = arg;
    if (count == 0) {
        mr_trace(t, "waits for another writer");
    }
    return mr_sleep(t, BUSY_MS) == MR_OK;
}

static int on_progress(void *arg)
{
    return mr_cancel_reason(arg) != MR_NOT_CANCELED;
}

/* ---- the database -----------------------------------------------------------------------------
 */

/* `*ret_db` is **owned**, also after an error. */
static mr_status open_db(mr_task *t, const char *path, int flags, sqlite3 **ret_db)
{
    int code =
        sqlite3_open_v2(path, ret_db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (*ret_db == NULL) {
        return MR_ENOMEM;
    }
    if (code == SQLITE_OK) {
        code = sqlite3_busy_handler(*ret_db, on_busy, t);
    }
    if (code == SQLITE_OK) { /* No statement of ours could turn it on for another one. */
        code = sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    }
    sqlite3_progress_handler(*ret_db, STEPS_BETWEEN_LOOKS, on_progress, t);
    (void)sqlite3_limit(*ret_db, SQLITE_LIMIT_LENGTH, MR__SQLITE_BYTES_MAX);
    return code == SQLITE_OK ? MR_OK : fail_by(t, *ret_db, path);
}

/* A writer that was killed in a transaction has left its journal: before anybody reads, SQLite puts
 * back what it had changed, which a connection for reading only may not. */
static bool roll_back_killed(mr_task *t, const char *path)
{
    sqlite3 *db = NULL;
    mr_status status = open_db(t, path, SQLITE_OPEN_READWRITE, &db);
    bool done = status == MR_OK &&
                sqlite3_exec(db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_OK;
    (void)sqlite3_close(db); /* It has no statement. */
    return done;
}

/* Exactly one statement. `*ret_statement` is **owned**, also after an error. */
static mr_status prepare(mr_task *t, sqlite3 *db, const char *path, sqlite3_stmt **ret_statement)
{
    const mr_value *query = mr_param_get(t, "query");
    const char *rest, *end = query->u.s + query->len;
    sqlite3_stmt *second = NULL;
    int code = sqlite3_prepare_v2(db, query->u.s, (int)query->len, ret_statement, &rest);
    if (code == SQLITE_READONLY_ROLLBACK && roll_back_killed(t, path)) {
        code = sqlite3_prepare_v2(db, query->u.s, (int)query->len, ret_statement, &rest);
    }
    if (code != SQLITE_OK) {
        return fail_by(t, db, path);
    }
    if (*ret_statement == NULL) {
        return mr_fail(t, MR_EINVAL, "query: has no statement");
    }
    /* What follows may be blanks and comments: they give none, and no error. */
    code = sqlite3_prepare_v2(db, rest, (int)(end - rest), &second, NULL);
    bool more = second != NULL || code != SQLITE_OK;
    (void)sqlite3_finalize(second); /* It was never run. */
    return more ? mr_fail(t, MR_EINVAL, "query: has more than one statement") : MR_OK;
}

/* Makes a statement that is left in its middle have done nothing: SQLite would keep what one with
 * RETURNING has changed before its first row. */
static mr_status abandon(sqlite3_stmt *statement, mr_status status)
{
    sqlite3_interrupt(sqlite3_db_handle(statement));
    (void)sqlite3_step(statement); /* It ends as interrupted, and is rolled back. */
    return status;
}

/* Runs it to its end; the rows are added to `json`. */
static mr_status step(mr_task *t, sqlite3_stmt *statement, const char *path, struct mr__text *json)
{
    int64_t max = mr_param_int(t, "maxRows"), count = 0;
    mr_error error;
    int code;
    if (max < 0 || max > ROWS_MAX) {
        return mr_fail(t, MR_EINVAL, "maxRows: must be 0 to %d", ROWS_MAX);
    }
    mr__text_puts(json, "[");
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == max) {
            return abandon(statement, mr_fail(t, MR_ELIMIT, "more than %lld rows", (long long)max));
        }
        mr__text_puts(json, count++ == 0 ? "" : ",");
        mr_status status = mr__sqlite_add_row(statement, json, &error);
        if (status != MR_OK) {
            return abandon(statement, mr_fail(t, status, "%s", error.message));
        }
    }
    mr__text_puts(json, "]");
    return code == SQLITE_DONE ? MR_OK : fail_by(t, sqlite3_db_handle(statement), path);
}

static mr_status give(mr_task *t, sqlite3 *db, sqlite3_stmt *statement, const struct mr__text *json)
{
    mr_value changes = {.type = MR_INT, .u.i = sqlite3_changes64(db)};
    mr_value last_id = {.type = MR_INT, .u.i = sqlite3_last_insert_rowid(db)};
    mr_status status = json->failed ? MR_ENOMEM : MR_OK;
    if (status == MR_OK && sqlite3_column_count(statement) > 0) {
        status = mr_output_json(t, "rows", json->bytes, json->len);
    }
    if (status == MR_OK && sqlite3_stmt_readonly(statement) == 0) {
        status = mr_output(t, "changes", &changes);
        if (status == MR_OK && last_id.u.i != 0) {
            status = mr_output(t, "lastId", &last_id);
        }
    }
    return status;
}

static mr_status run(mr_task *t, int flags)
{
    struct mr__text json = {0};
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    mr_error error = {.status = MR_OK};
    const char *path;
    mr_status status = mr__path_param(t, "db", &path);
    if (status == MR_OK) {
        status = open_db(t, path, flags, &db);
    }
    if (status == MR_OK) {
        status = prepare(t, db, path, &statement);
    }
    if (status == MR_OK && (flags & SQLITE_OPEN_READONLY) != 0 &&
        sqlite3_stmt_readonly(statement) == 0) {
        status = mr_fail(t, MR_EPERM, "query: writes, which is for sqlite-write");
    }
    if (status == MR_OK) {
        status = mr__sqlite_check_columns(statement, &error);
        if (status == MR_OK) {
            status = mr__sqlite_bind(statement, mr_param_get(t, "bind"), &error);
        }
        status = status == MR_OK ? step(t, statement, path, &json)
                                 : mr_fail(t, status, "%s", error.message);
    }
    if (status == MR_OK) {
        status = give(t, db, statement, &json);
    }
    (void)sqlite3_finalize(statement); /* Its error is the one that step had. */
    (void)sqlite3_close(db);           /* No statement is left that could keep it open. */
    mr__text_finish(&json);
    return status;
}

static mr_status read_run(mr_task *t)
{
    return run(t, SQLITE_OPEN_READONLY);
}

static mr_status write_run(mr_task *t)
{
    return run(t,
               SQLITE_OPEN_READWRITE | (mr_param_int(t, "create") != 0 ? SQLITE_OPEN_CREATE : 0));
}

static const mr_action sqlite_read =
    MR_ACTION(.name = "sqlite-read", .flags = MR_IDEMPOTENT,
              .help = "reads rows of an SQLite database", .params = read_params, .run = read_run);
static const mr_action sqlite_write =
    MR_ACTION(.name = "sqlite-write", .help = "runs one statement on an SQLite database",
              .params = write_params, .run = write_run);
MR_PLUGIN("sqlite", "0.1.0", &sqlite_read, &sqlite_write);
