/* SPDX-License-Identifier: MIT
 *
 * The dags of the store, in memory: an array sorted by id. See definitions.h. Loop thread.
 */
#include "core/engine/definitions.h"

#include <stdlib.h>

#include "core/model/nearest.h"

static void rows_drop(struct mr__definitions *definitions)
{
    while (definitions->count > 0) {
        mr__free(definitions->rows[--definitions->count]);
    }
}

void mr__definitions_init(struct mr__definitions *definitions)
{
    *definitions = (struct mr__definitions){.count = 0};
}

void mr__definitions_finish(struct mr__definitions *definitions)
{
    rows_drop(definitions);
    mr__free(definitions->rows);
    while (definitions->problems != NULL) {
        struct mr__file_problem *problem = definitions->problems;
        definitions->problems = problem->next;
        mr__free(problem->file);
        mr__free(problem->message);
        mr__free(problem);
    }
    mr__definitions_init(definitions);
}

/* ---- reading the store --------------------------------------------------------------------------
 */

struct reading {
    struct mr__definitions *definitions;
    mr_status status;
    mr_error *reterr;
};

static bool read_row(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct reading *reading = user;
    struct mr__pushed pushed;
    struct mr__blob id;
    if (!mr__key_pushed_id(key, &id)) {
        reading->status =
            mr__error_set(reading->reterr, MR_EFORMAT, "the store has a key of no dag");
        return false;
    }
    reading->status = mr__pushed_read(value, &pushed, reading->reterr);
    if (reading->status == MR_OK) {
        reading->status = mr__definitions_put(reading->definitions, id, &pushed);
    }
    return reading->status == MR_OK;
}

static mr_status read_rows(struct mr__snapshot *snapshot, void *user)
{
    static const uint8_t from[] = {MR__TABLE_CONFIG, 'p'}, to[] = {MR__TABLE_CONFIG, 'p' + 1};
    struct reading *reading = user;
    mr_status status =
        snapshot->ops->range(snapshot, (struct mr__bytes){from, sizeof from},
                             (struct mr__bytes){to, sizeof to}, 0, 0, read_row, reading);
    return reading->status != MR_OK ? reading->status : status;
}

mr_status mr__definitions_read(struct mr__definitions *definitions, struct mr__store *store,
                               mr_error *reterr)
{
    mr_error error = {0};
    struct mr__definitions fresh;
    struct reading reading = {.definitions = &fresh, .reterr = &error};
    mr__definitions_init(&fresh);
    mr_status status = store->ops->read_now(store, read_rows, &reading);
    if (status != MR_OK) {
        mr__definitions_finish(&fresh);
        return mr__error_set(reterr, status, "the dags of the store cannot be read: %s",
                             error.status == status ? error.message : mr_status_text(status));
    }
    rows_drop(definitions);
    mr__free(definitions->rows);
    definitions->rows = fresh.rows;
    definitions->count = fresh.count;
    definitions->cap = fresh.cap;
    if (definitions->changed != NULL) {
        definitions->changed(definitions->user, NULL);
    }
    return MR_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

/* Where the id stands, or is to stand. */
static size_t row_place(const struct mr__definitions *definitions, struct mr__blob id,
                        bool *ret_found)
{
    size_t from = 0, to = definitions->count;
    *ret_found = false;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const char *other = definitions->rows[middle]->id;
        int order = strncmp(other, id.data, id.len);
        order = order == 0 && other[id.len] != '\0' ? 1 : order;
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        *(order < 0 ? &from : &to) = order < 0 ? middle + 1 : middle;
    }
    return from;
}

/* Copies the blob to `at`, with a NUL, and returns what is behind it. */
static char *copy_blob(char *at, struct mr__blob *blob)
{
    if (blob->len == 0) {
        *blob = (struct mr__blob){NULL, 0};
        return at;
    }
    memcpy(at, blob->data, blob->len);
    at[blob->len] = '\0';
    blob->data = at;
    return at + blob->len + 1;
}

static struct mr__dag_row *row_make(struct mr__blob id, const struct mr__pushed *pushed)
{
    struct mr__dag_row *row =
        mr__malloc(sizeof *row + id.len + pushed->file.len + pushed->folder.len + pushed->cron.len +
                   pushed->timezone.len + 5);
    if (row == NULL) {
        return NULL;
    }
    *row = (struct mr__dag_row){.pushed = *pushed};
    char *at = copy_blob((char *)(row + 1), &id);
    row->id = id.data;
    at = copy_blob(at, &row->pushed.file);
    at = copy_blob(at, &row->pushed.folder);
    at = copy_blob(at, &row->pushed.cron);
    (void)copy_blob(at, &row->pushed.timezone); /* the last one */
    return row;
}

static mr_status rows_grow(struct mr__definitions *definitions)
{
    if (definitions->count < definitions->cap) {
        return MR_OK;
    }
    if (definitions->count >= MR__DAGS_MAX) {
        return MR_ELIMIT;
    }
    size_t cap = definitions->cap == 0 ? 16 : definitions->cap * 2;
    struct mr__dag_row **rows = mr__realloc(definitions->rows, cap * sizeof(struct mr__dag_row *));
    if (rows == NULL) {
        return MR_ENOMEM;
    }
    definitions->rows = rows;
    definitions->cap = cap;
    return MR_OK;
}

mr_status mr__definitions_put(struct mr__definitions *definitions, struct mr__blob id,
                              const struct mr__pushed *pushed)
{
    bool found;
    size_t at = row_place(definitions, id, &found);
    mr_status status = found ? MR_OK : rows_grow(definitions);
    struct mr__dag_row *row = status == MR_OK ? row_make(id, pushed) : NULL;
    if (row == NULL) {
        return status == MR_OK ? MR_ENOMEM : status;
    }
    if (found) {
        const struct mr__dag_row *old = definitions->rows[at];
        row->next_ms = old->next_ms;
        row->waiting = old->waiting;
        row->skipped = old->skipped;
        row->skipped_ms = old->skipped_ms;
        mr__free(definitions->rows[at]);
    } else {
        memmove(definitions->rows + at + 1, definitions->rows + at,
                (definitions->count - at) * sizeof(struct mr__dag_row *));
        definitions->count++;
    }
    definitions->rows[at] = row;
    if (definitions->changed != NULL) {
        definitions->changed(definitions->user, row);
    }
    return MR_OK;
}

const struct mr__dag_row *mr__definitions_at(const struct mr__definitions *definitions, size_t i)
{
    return i < definitions->count ? definitions->rows[i] : NULL;
}

struct mr__dag_row *mr__definitions_find(const struct mr__definitions *definitions, const char *id)
{
    bool found;
    size_t at = row_place(definitions, (struct mr__blob){id, strlen(id)}, &found);
    return found ? definitions->rows[at] : NULL;
}

const char *mr__definitions_nearest(const struct mr__definitions *definitions, const char *id)
{
    struct mr__nearest nearest;
    uint64_t budget = MR__NEAREST_BUDGET;
    mr__nearest_init(&nearest, id, &budget);
    for (size_t i = 0; i < definitions->count; i++) {
        mr__nearest_try(&nearest, definitions->rows[i]->id, i);
    }
    return nearest.found;
}

/* ---- files with problems ------------------------------------------------------------------------
 */

static struct mr__file_problem **problem_place(const struct mr__definitions *definitions,
                                               const char *file)
{
    struct mr__file_problem *const *at = &definitions->problems;
    while (*at != NULL && strcmp((*at)->file, file) != 0) {
        at = &(*at)->next;
    }
    return (struct mr__file_problem **)(uintptr_t)at; /* the list is changed by its owner alone */
}

const char *mr__definitions_problem(const struct mr__definitions *definitions, const char *file)
{
    const struct mr__file_problem *problem = *problem_place(definitions, file);
    return problem == NULL ? NULL : problem->message;
}

mr_status mr__definitions_set_problem(struct mr__definitions *definitions, const char *file,
                                      const char *message)
{
    struct mr__file_problem **at = problem_place(definitions, file), *problem = *at;
    if (problem != NULL) {
        *at = problem->next;
        mr__free(problem->file);
        mr__free(problem->message);
        mr__free(problem);
    }
    if (message == NULL) {
        return MR_OK;
    }
    problem = mr__calloc(1, sizeof *problem);
    if (problem != NULL) {
        problem->file = mr__strdup(file);
        problem->message = mr__strdup(message);
    }
    if (problem == NULL || problem->file == NULL || problem->message == NULL) {
        if (problem != NULL) {
            mr__free(problem->file);
            mr__free(problem->message);
        }
        mr__free(problem);
        return MR_ENOMEM;
    }
    problem->next = definitions->problems;
    definitions->problems = problem;
    return MR_OK;
}
