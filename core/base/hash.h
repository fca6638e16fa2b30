/* SPDX-License-Identifier: MIT
 *
 * A hash table from keys of any bytes to 64-bit numbers (mostly an index into an array), open
 * addressing, keys borrowed from the caller. xxHash is both the table's hash and the checksum of
 * everything on disk.
 */
#ifndef MR__HASH_H
#define MR__HASH_H

#include "core/base/base.h"

uint64_t mr__hash64(const void *bytes, size_t len);                      /* XXH3, 64 bits */
void mr__hash128(const void *bytes, size_t len, uint8_t ret_digest[16]); /* XXH3, canonical form */

struct mr__hash_row {
    const void *key; /* NULL: free; borrowed while it is in the table */
    uint32_t len;
    uint32_t hash;
    uint64_t number;
};

struct mr__hash {
    struct mr__hash_row *rows;
    size_t count, cap; /* cap is 0 or a power of two */
};

void mr__hash_init(struct mr__hash *table);
void mr__hash_finish(struct mr__hash *table);
/* Adds or replaces. MR_ENOMEM changes nothing. */
mr_status mr__hash_put(struct mr__hash *table, const void *key, size_t len, uint64_t number);
bool mr__hash_get(const struct mr__hash *table, const void *key, size_t len, uint64_t *ret_number);
bool mr__hash_del(struct mr__hash *table, const void *key, size_t len);

#endif
