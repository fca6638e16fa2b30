/* SPDX-License-Identifier: MIT
 *
 * The hash table: linear probing, deletion by moving rows back, at most half full. And xxHash.
 */
#include "core/base/hash.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t mr__hash64(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

void mr__hash128(const void *bytes, size_t len, uint8_t ret_digest[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
    memcpy(ret_digest, canonical.digest, 16);
}

void mr__hash_init(struct mr__hash *table)
{
    memset(table, 0, sizeof *table);
}

void mr__hash_finish(struct mr__hash *table)
{
    mr__free(table->rows);
    memset(table, 0, sizeof *table);
}

/* The row of the key, or the free one where it would go. */
static size_t find(const struct mr__hash *table, const void *key, size_t len, uint32_t hash)
{
    size_t mask = table->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const struct mr__hash_row *row = &table->rows[i];
        if (row->key == NULL ||
            (row->hash == hash && row->len == len && memcmp(row->key, key, len) == 0)) {
            return i;
        }
    }
}

static mr_status grow(struct mr__hash *table)
{
    struct mr__hash bigger = {.cap = table->cap == 0 ? 16 : table->cap * 2, .count = table->count};
    bigger.rows = mr__calloc(bigger.cap, sizeof *bigger.rows);
    if (bigger.rows == NULL) {
        return MR_ENOMEM;
    }
    for (size_t i = 0; i < table->cap; i++) {
        const struct mr__hash_row *row = &table->rows[i];
        if (row->key != NULL) {
            bigger.rows[find(&bigger, row->key, row->len, row->hash)] = *row;
        }
    }
    mr__free(table->rows);
    *table = bigger;
    return MR_OK;
}

mr_status mr__hash_put(struct mr__hash *table, const void *key, size_t len, uint64_t number)
{
    MR_ASSERT(key != NULL && len <= UINT32_MAX);
    if ((table->count + 1) * 2 > table->cap) {
        mr_status status = grow(table);
        if (status != MR_OK) {
            return status;
        }
    }
    uint32_t hash = (uint32_t)mr__hash64(key, len);
    struct mr__hash_row *row = &table->rows[find(table, key, len, hash)];
    if (row->key == NULL) {
        table->count++;
    }
    *row = (struct mr__hash_row){.key = key, .len = (uint32_t)len, .hash = hash, .number = number};
    return MR_OK;
}

bool mr__hash_get(const struct mr__hash *table, const void *key, size_t len, uint64_t *ret_number)
{
    if (table->count == 0) {
        return false;
    }
    const struct mr__hash_row *row =
        &table->rows[find(table, key, len, (uint32_t)mr__hash64(key, len))];
    if (row->key == NULL) {
        return false;
    }
    if (ret_number != NULL) {
        *ret_number = row->number;
    }
    return true;
}

bool mr__hash_del(struct mr__hash *table, const void *key, size_t len)
{
    if (table->count == 0) {
        return false;
    }
    size_t mask = table->cap - 1;
    size_t hole = find(table, key, len, (uint32_t)mr__hash64(key, len));
    if (table->rows[hole].key == NULL) {
        return false;
    }
    table->count--;
    for (size_t i = (hole + 1) & mask; table->rows[i].key != NULL; i = (i + 1) & mask) {
        size_t home = table->rows[i].hash & mask;
        /* The row may move back only if its home is not between the hole and itself. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->rows[hole] = table->rows[i];
            hole = i;
        }
    }
    table->rows[hole].key = NULL;
    return true;
}
