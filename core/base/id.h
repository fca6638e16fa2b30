/* SPDX-License-Identifier: MIT
 *
 * Run ids: UUIDv7 (RFC 9562, section 5.7), strictly increasing in one owner: time part = max(now,
 * last + 1 in the sub-millisecond counter), the shard in the 12 bits after the version's counter.
 * Layout of the 128 bits: 48 Unix ms | 4 version (7) | 12 counter | 2 variant | 10 shard | 52
 * random.
 */
#ifndef MR__ID_H
#define MR__ID_H

#include "core/base/base.h"

#define MR__RUN_ID_BYTES      16
#define MR__RUN_ID_TEXT_BYTES 37
#define MR__ID_POOL_BYTES     448 /* asked for at once: 64 ids */

struct mr__id_source {
    uint64_t last; /* ms << 12 | counter of the latest id given */
    /* Fills with random bytes: getrandom, or the simulation's seed. */
    void (*random)(void *user, void *bytes, size_t len);
    void *user;
    uint16_t shard;
    uint16_t pool_left; /* random bytes that no id has had: the last ones of `pool` */
    uint8_t pool[MR__ID_POOL_BYTES];
};

void mr__id_source_init(struct mr__id_source *source, uint16_t shard);
/* A new id, larger than every one before it. */
void mr__id_next(struct mr__id_source *source, int64_t now_ms, uint8_t ret_id[MR__RUN_ID_BYTES]);
/* Never again an id at or below this one (recovery). */
void mr__id_seen(struct mr__id_source *source, const uint8_t id[MR__RUN_ID_BYTES]);
void mr__id_text(const uint8_t id[MR__RUN_ID_BYTES], char ret_text[MR__RUN_ID_TEXT_BYTES]);
bool mr__id_parse(const char *text, size_t len, uint8_t ret_id[MR__RUN_ID_BYTES]);

#endif
