/* SPDX-License-Identifier: MIT
 *
 * Idempotency keys and tokens of submits: which run was made with which. They are known of every
 * live run, and of finished ones until the store's index has them. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

static struct mr__hash *table_of(struct mr__shard *sh, bool token)
{
    return token ? &sh->tokens : &sh->keys;
}

static struct mr__keyrow *row_of(struct mr__shard *sh, bool token, struct mr__blob key)
{
    uint64_t number = 0;
    (void)mr__hash_get(table_of(sh, token), key.data, key.len, &number);
    return (struct mr__keyrow *)(uintptr_t)number;
}

static mr_status row_add(struct mr__shard *sh, bool token, struct mr__blob key,
                         const uint8_t *run_id)
{
    if (key.len == 0 || row_of(sh, token, key) != NULL) {
        return MR_OK; /* the first run of a key keeps it */
    }
    struct mr__keyrow *row = mr__malloc(sizeof *row + key.len);
    if (row == NULL) {
        return MR_ENOMEM;
    }
    memcpy(row->run_id, run_id, MR__RUN_ID_BYTES);
    row->len = (uint32_t)key.len;
    memcpy(row->bytes, key.data, key.len);
    mr_status status =
        mr__hash_put(table_of(sh, token), row->bytes, row->len, (uint64_t)(uintptr_t)row);
    if (status != MR_OK) {
        mr__free(row);
    }
    return status; /* NOLINT(clang-analyzer-unix.Malloc): the table has the row, as a number */
}

mr_status mr__shard_keys_add(struct mr__shard *sh, const struct mr__event *created)
{
    mr_status status = row_add(sh, false, created->key, created->id);
    return status == MR_OK ? row_add(sh, true, created->token, created->id) : status;
}

mr_status mr__shard_key_add(struct mr__shard *sh, const struct mr__run *run)
{
    struct mr__reader r;
    struct mr__event created;
    mr__reader_init(&r, run->log.data, run->log.len);
    return mr__event_decode(&r, 0, &created) ? mr__shard_keys_add(sh, &created) : MR_EFORMAT;
}

void mr__shard_key_drop(struct mr__shard *sh, bool token, const char *key, const uint8_t *run_id)
{
    struct mr__keyrow *row =
        key == NULL ? NULL : row_of(sh, token, (struct mr__blob){key, strlen(key)});
    if (row != NULL && memcmp(row->run_id, run_id, MR__RUN_ID_BYTES) == 0) {
        (void)mr__hash_del(table_of(sh, token), row->bytes, row->len);
        mr__free(row);
    }
}

const uint8_t *mr__shard_key_owner(struct mr__shard *sh, struct mr__blob key, bool token)
{
    const struct mr__keyrow *row = row_of(sh, token, key);
    return row == NULL ? NULL : row->run_id;
}

struct mr__run *mr__shard_find_key(struct mr__shard *sh, struct mr__blob key, bool token)
{
    const uint8_t *run_id = mr__shard_key_owner(sh, key, token);
    return run_id == NULL ? NULL : mr__run_find(&sh->s, run_id);
}

void mr__shard_keys_finish(struct mr__shard *sh)
{
    struct mr__hash *const tables[] = {&sh->keys, &sh->tokens};
    for (size_t t = 0; t < MR__COUNT(tables); t++) {
        for (size_t i = 0; i < tables[t]->cap; i++) {
            if (tables[t]->rows[i].key != NULL) {
                mr__free((void *)(uintptr_t)tables[t]->rows[i].number);
            }
        }
        mr__hash_finish(tables[t]);
    }
}
