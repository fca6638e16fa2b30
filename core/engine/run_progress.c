/* SPDX-License-Identifier: MIT
 *
 * The table of what attempts say of their progress. Few say anything: it is gone through as a whole
 * when somebody asks for a run. Loop thread, but for the printing.
 */
#include "core/engine/run_progress.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/value.h"

static void make_key(uint8_t key[MR__RUN_ID_BYTES + 4], const struct mr__attempt_ref *ref)
{
    memcpy(key, ref->run_id, MR__RUN_ID_BYTES);
    memcpy(key + MR__RUN_ID_BYTES, &ref->task, 4);
}

static struct mr__run_progress *row_of(const struct mr__hash_row *row)
{
    return (struct mr__run_progress *)(uintptr_t)row->number;
}

const struct mr__run_progress *mr__run_progress_put(struct mr__hash *table,
                                                    const struct mr__attempt_ref *ref,
                                                    double fraction, const char *note)
{
    uint8_t key[MR__RUN_ID_BYTES + 4];
    uint64_t number;
    struct mr__run_progress *row;
    make_key(key, ref);
    if (mr__hash_get(table, key, sizeof key, &number)) {
        row = (struct mr__run_progress *)(uintptr_t)number;
    } else {
        row = mr__calloc(1, sizeof *row);
        if (row == NULL) {
            return NULL;
        }
        memcpy(row->key, key, sizeof key);
        row->task = ref->task;
        if (mr__hash_put(table, row->key, sizeof row->key, (uintptr_t)row) != MR_OK) {
            mr__free(row);
            return NULL;
        }
    }
    row->attempt = ref->attempt;
    row->fraction = fraction;
    memcpy(row->note, note, strlen(note) + 1);
    return row;
}

void mr__run_progress_del(struct mr__hash *table, const struct mr__attempt_ref *ref)
{
    uint8_t key[MR__RUN_ID_BYTES + 4];
    uint64_t number;
    if (table->count == 0) {
        return;
    }
    make_key(key, ref);
    if (mr__hash_get(table, key, sizeof key, &number)) {
        (void)mr__hash_del(table, key, sizeof key);
        mr__free((struct mr__run_progress *)(uintptr_t)number);
    }
}

void mr__run_progress_finish(struct mr__hash *table)
{
    for (size_t i = 0; i < table->cap; i++) {
        if (table->rows[i].key != NULL) {
            mr__free(row_of(&table->rows[i]));
        }
    }
    mr__hash_finish(table);
}

struct mr__run_progress *mr__run_progress_list(const struct mr__hash *table, const uint8_t *run_id,
                                               size_t *ret_count)
{
    struct mr__run_progress *list = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < table->cap && table->count > 0; i++) {
        const struct mr__hash_row *row = &table->rows[i];
        if (row->key == NULL || memcmp(row->key, run_id, MR__RUN_ID_BYTES) != 0) {
            continue;
        }
        if (list == NULL && (list = mr__calloc(table->count, sizeof *list)) == NULL) {
            break;
        }
        list[(*ret_count)++] = *row_of(row);
    }
    return list;
}

void mr__run_progress_print(struct mr__buf *out, const struct mr__run_progress *progress)
{
    mr__buf_text(out, "\"fraction\":");
    if (isnan(progress->fraction)) {
        mr__buf_text(out, "null");
    } else {
        const mr_value rounded = {.type = MR_NUMBER, .u.d = round(progress->fraction * 1e4) / 1e4};
        mr__value_print(out, &rounded);
    }
    mr__buf_text(out, ",\"note\":");
    mr__json_str(out, progress->note, strlen(progress->note));
}
