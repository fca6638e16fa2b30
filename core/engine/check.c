/* SPDX-License-Identifier: MIT
 *
 * The store check. See check.h.
 */
#include "core/engine/check.h"

#include <stdio.h>

#include "core/base/value.h"
#include "core/engine/engine.h"
#include "core/engine/reads.h"

#define ERRORS_MAX 100u
#define STEP_KEYS  256u

struct check {
    struct mr__snapshot *snapshot;
    struct mr__buf errors; /* "...","..." */
    uint32_t error_count;
    uint64_t definitions, journal, events, live, finished, index, logs, bytes;
    uint64_t last_lsn;
    uint16_t next_part;
    /* index entries of this step, looked up after the walk's callback has returned */
    uint8_t ids[STEP_KEYS][MR__RUN_ID_BYTES];
    struct mr__place places[STEP_KEYS];
    size_t held;
    struct mr__buf texts; /* likewise: keys of texts that pushed dags need, each a blob */
    struct mr__key cursor;
    size_t step;
};

MR__PRINTF(2, 3) static void report(struct check *check, const char *fmt, ...)
{
    char line[MR_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (check->error_count++ < ERRORS_MAX) {
        mr__buf_text(&check->errors, check->errors.len == 0 ? "" : ",");
        mr__json_str(&check->errors, line, strlen(line));
    }
}

static void check_events(struct check *check, struct mr__blob log, const char *what)
{
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    bool first = true;
    mr__reader_init(&r, log.data, log.len);
    while (mr__reader_left(&r) > 0) {
        if (!mr__event_decode(&r, last_ms, &event) ||
            first != (event.type == MR__EVENT_RUN_CREATED)) {
            report(check, "%s: event %llu is damaged", what, (unsigned long long)check->events);
            return;
        }
        first = false;
        last_ms = event.time_ms;
        check->events++;
    }
}

/* ---- one function per kind of record
 * ------------------------------------------------------------- */

static void check_pushed(struct check *check, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__pushed pushed;
    struct mr__blob id;
    struct mr__key text;
    char dag[MR__ID_BYTES_MAX + 1];
    mr_error error;
    if (!mr__key_pushed_id(key, &id)) {
        report(check, "the store has a key of no dag");
        return;
    }
    if (mr__pushed_read(value, &pushed, &error) != MR_OK) {
        report(check, "%s", error.message);
        return;
    }
    memcpy(dag, id.data, id.len);
    dag[id.len] = '\0';
    mr__key_definition(&text, dag, pushed.version);
    mr__buf_blob(&check->texts, text.bytes, text.len);
}

static void check_config(struct check *check, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__definition definition;
    struct mr__reader r;
    mr_error error;
    const uint8_t *bytes = key.data;
    if (key.len > 2 && bytes[1] == 'd') {
        check->definitions++;
        if (mr__definition_read(value, &definition, &error) != MR_OK) {
            report(check, "%s", error.message);
        }
    } else if (key.len > 2 && bytes[1] == 'p') {
        check_pushed(check, key, value);
    } else if (key.len > 2 && bytes[1] == 's') {
        struct mr__schedule_mark mark;
        if (mr__schedule_mark_read(value, &mark, &error) != MR_OK) {
            report(check, "%s", error.message);
        }
    } else if (mr__record_open(value, "a record of the store itself", &r, &error) != MR_OK) {
        report(check, "%s", error.message);
    }
}

static void check_journal(struct check *check, struct mr__bytes key, struct mr__bytes value)
{
    uint64_t lsn = 0;
    uint16_t part = 0;
    struct mr__journal_part read;
    mr_error error;
    if (!mr__key_lsn(key, &lsn, &part)) {
        report(check, "the journal has a key that is none");
        return;
    }
    if (mr__journal_part_read(value, &read, &error) != MR_OK) {
        report(check, "journal entry %llu: %s", (unsigned long long)lsn, error.message);
        return;
    }
    if (check->last_lsn != 0 && lsn != check->last_lsn + (check->next_part == 0)) {
        report(check, "the journal has a gap: %llu follows %llu", (unsigned long long)lsn,
               (unsigned long long)check->last_lsn);
    } else if (part != check->next_part) {
        report(check, "journal entry %llu: part %u is missing", (unsigned long long)lsn,
               check->next_part);
    }
    check->last_lsn = lsn;
    check->next_part = read.last ? 0 : (uint16_t)(part + 1);
    check->journal += read.last;
}

static void check_live(struct check *check, struct mr__bytes value)
{
    struct mr__live live;
    mr_error error;
    check->live++;
    if (mr__live_read(value, &live, &error) != MR_OK) {
        report(check, "%s", error.message);
    } else {
        check_events(check, live.log, "a checkpoint");
    }
}

static void check_history(struct check *check, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__part part;
    struct mr__finished finished;
    mr_error error;
    uint64_t lsn = 0;
    uint16_t number = 0;
    char what[64];
    (void)mr__key_lsn(key, &lsn, &number);
    (void)snprintf(what, sizeof what, "history %llu, part %u", (unsigned long long)lsn, number);
    if (mr__part_open(value, what, &part, &error) != MR_OK) {
        report(check, "%s", error.message);
        return;
    }
    while (mr__part_next(&part, &finished)) {
        check->finished++;
        check_events(check, finished.log, what);
    }
    if (part.r.failed) {
        report(check, "%s: a run is damaged", what);
    }
}

static void check_index(struct check *check, struct mr__bytes key, struct mr__bytes value)
{
    const uint8_t *bytes = key.data, *id = mr__key_run_id(key);
    check->index++;
    if (key.len > 2 && bytes[1] == 'k') {
        if (value.len != MR__RUN_ID_BYTES) {
            report(check, "the index has a key that names no run");
        }
    } else if (id == NULL || !mr__place_read(value, &check->places[check->held])) {
        report(check, "the index has an entry that is none");
    } else {
        memcpy(check->ids[check->held++], id, MR__RUN_ID_BYTES);
    }
}

static void check_log(struct check *check, struct mr__bytes value)
{
    struct mr__log_chunk chunk;
    check->logs++;
    if (!mr__log_chunk_read(value, &chunk)) {
        report(check, "a chunk of a task's log is damaged");
    }
}

/* ---- the walk
 * ------------------------------------------------------------------------------------ */

static bool check_key(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct check *check = user;
    check->step++;
    check->bytes += key.len + value.len;
    memcpy(check->cursor.bytes, key.data, key.len);
    check->cursor.bytes[key.len] = 0;
    check->cursor.len = key.len + 1;
    switch (*(const uint8_t *)key.data) {
    case MR__TABLE_CONFIG: check_config(check, key, value); break;
    case MR__TABLE_JOURNAL: check_journal(check, key, value); break;
    case MR__TABLE_LIVE: check_live(check, value); break;
    case MR__TABLE_HISTORY: check_history(check, key, value); break;
    case MR__TABLE_INDEX: check_index(check, key, value); break;
    case MR__TABLE_LOG: check_log(check, value); break;
    default: report(check, "a key of no known table"); break;
    }
    return true;
}

static void check_places(struct check *check, struct mr__buf *copy)
{
    struct mr__finished finished;
    struct mr__event created;
    mr_error error;
    for (size_t i = 0; i < check->held; i++) {
        (void)mr__error_set(&error, MR_ENOTFOUND, "it is not there");
        if (mr__read_finished(check->snapshot, &check->places[i], copy, &finished, &error) !=
                MR_OK ||
            !mr__read_created(finished.log, &created)) {
            report(check, "an index entry points to a run that cannot be read: %s", error.message);
        } else if (memcmp(created.id, check->ids[i], MR__RUN_ID_BYTES) != 0) {
            report(check, "an index entry points to another run");
        }
    }
    check->held = 0;
}

static void check_texts(struct check *check)
{
    struct mr__reader r;
    mr__reader_init(&r, check->texts.data, check->texts.len);
    while (mr__reader_left(&r) > 0) {
        size_t len;
        struct mr__bytes value;
        const uint8_t *key = mr__read_blob(&r, &len);
        if (check->snapshot->ops->get(check->snapshot, key, len, &value) != MR_OK) {
            report(check, "the text of dag \"%s\" is missing, which was pushed",
                   (const char *)key + 2);
        }
    }
    mr__buf_reset(&check->texts);
}

static mr_status check_table(struct check *check, uint8_t table, struct mr__buf *copy)
{
    const uint8_t to[] = {(uint8_t)(table + 1)};
    mr_status status = MR_OK;
    check->cursor.bytes[0] = table;
    check->cursor.len = 1;
    do {
        struct mr__key from = check->cursor;
        check->step = 0;
        status = check->snapshot->ops->range(
            check->snapshot, (struct mr__bytes){from.bytes, from.len},
            (struct mr__bytes){to, sizeof to}, 0, STEP_KEYS, check_key, check);
        check_places(check, copy);
        check_texts(check);
        status = status == MR_OK && check->texts.failed ? MR_ENOMEM : status;
    } while (status == MR_OK && check->step > 0);
    return status;
}

mr_status mr__check_snapshot(struct mr__snapshot *snapshot, struct mr__buf *out, bool *ret_ok)
{
    static const uint8_t tables[] = {MR__TABLE_CONFIG,  MR__TABLE_JOURNAL, MR__TABLE_LIVE,
                                     MR__TABLE_HISTORY, MR__TABLE_INDEX,   MR__TABLE_LOG};
    struct check check = {.snapshot = snapshot};
    struct mr__buf copy;
    mr_status status = MR_OK;
    mr__buf_init(&check.errors);
    mr__buf_init(&check.texts);
    mr__buf_init(&copy);
    for (size_t i = 0; i < sizeof tables && status == MR_OK; i++) {
        status = check_table(&check, tables[i], &copy);
    }
    *ret_ok = check.error_count == 0;
    mr__buf_printf(out, "{\"ok\":%s,\"errors\":[", *ret_ok ? "true" : "false");
    mr__buf_bytes(out, check.errors.data, check.errors.len);
    mr__buf_printf(out,
                   "],\"errorCount\":%u,\"definitions\":%llu,\"journal\":%llu,\"live\":%llu,"
                   "\"finished\":%llu,\"events\":%llu,\"index\":%llu,\"logs\":%llu,\"bytes\":%llu",
                   check.error_count, (unsigned long long)check.definitions,
                   (unsigned long long)check.journal, (unsigned long long)check.live,
                   (unsigned long long)check.finished, (unsigned long long)check.events,
                   (unsigned long long)check.index, (unsigned long long)check.logs,
                   (unsigned long long)check.bytes);
    status = status == MR_OK && (out->failed || check.errors.failed) ? MR_ENOMEM : status;
    mr__buf_finish(&check.errors);
    mr__buf_finish(&check.texts);
    mr__buf_finish(&copy);
    return status;
}

/* ---- a store that nobody holds
 * ------------------------------------------------------------------- */

struct offline {
    struct mr__buf *out;
    bool ok;
};

static mr_status offline_read(struct mr__snapshot *snapshot, void *user)
{
    struct offline *offline = user;
    return mr__check_snapshot(snapshot, offline->out, &offline->ok);
}

static void offline_notify(void *user)
{
    /* Nothing is asked of the store that would call back. */
}

mr_status mr__check_path(const char *path, struct mr__buf *out, mr_error *reterr)
{
    struct mr__store *store;
    struct offline offline = {.out = out};
    mr_status status = mr__store_lmdb_open(path, offline_notify, NULL, &store, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = store->ops->read_now(store, offline_read, &offline);
    store->ops->close(store);
    mr__buf_text(out, "}");
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "the store cannot be read: %s",
                             mr_status_text(status));
    }
    return MR_OK;
}
