/* SPDX-License-Identifier: MIT
 *
 * The share data of one run as it is durable: what its attempts read while they run. The loop
 * writes it when a commit is durable; any thread reads it. Counted references, any thread.
 */
#ifndef MR__SHARE_H
#define MR__SHARE_H

#include "core/base/buf.h"

struct mr__share;

struct mr__share *mr__share_create(void); /* one reference; NULL: out of memory */
struct mr__share *mr__share_ref(struct mr__share *share);
void mr__share_unref(struct mr__share *share); /* NULL is allowed */

/* json absent: removes it. MR_ENOMEM. */
mr_status mr__share_put(struct mr__share *share, struct mr__blob key, struct mr__blob json);
/* Adds the value's JSON to `ret_json`; false: there is none (or ret_json->failed). */
bool mr__share_get(struct mr__share *share, const char *key, size_t len, struct mr__buf *ret_json);
/* Bytes of the key and its value; 0: there is none. */
size_t mr__share_size(struct mr__share *share, const char *key, size_t len);
/* The first key greater than `after` (absent: of all), in byte order, added to `ret_key`. */
bool mr__share_next(struct mr__share *share, struct mr__blob after, struct mr__buf *ret_key);
/* Bytes of all keys and values, and how many there are. */
size_t mr__share_bytes(struct mr__share *share);
size_t mr__share_count(struct mr__share *share);
/* The pair number `i` in byte order of the keys, borrowed until the table is changed: for one that
 * nobody writes to any more. False: there are fewer. */
bool mr__share_at(struct mr__share *share, size_t i, struct mr__blob *ret_key,
                  struct mr__blob *ret_json);

#endif
