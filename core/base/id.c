/* SPDX-License-Identifier: MIT
 *
 * Making, reading and writing run ids. One thread per source.
 */
#include "core/base/id.h"

#include <errno.h>
#include <sys/random.h>

#define COUNTER_BITS 12
#define SHARD_BITS   10

static void system_random(void *user, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            MR_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

void mr__id_source_init(struct mr__id_source *source, uint16_t shard)
{
    MR_ASSERT(shard < 1u << SHARD_BITS);
    *source = (struct mr__id_source){.random = system_random, .shard = shard};
}

static void take_random(struct mr__id_source *source, uint8_t *bytes, uint16_t len)
{
    if (source->pool_left < len) {
        source->random(source->user, source->pool, sizeof source->pool);
        source->pool_left = sizeof source->pool;
    }
    memcpy(bytes, source->pool + sizeof source->pool - source->pool_left, len);
    source->pool_left = (uint16_t)(source->pool_left - len);
}

void mr__id_next(struct mr__id_source *source, int64_t now_ms, uint8_t ret_id[MR__RUN_ID_BYTES])
{
    uint64_t now = now_ms < 0 ? 0 : ((uint64_t)now_ms & ((UINT64_C(1) << 48) - 1)) << COUNTER_BITS;
    source->last = MR__MAX(now, source->last + 1);

    uint64_t ms = source->last >> COUNTER_BITS;
    unsigned counter = (unsigned)source->last & ((1u << COUNTER_BITS) - 1);
    for (int i = 0; i < 6; i++) {
        ret_id[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    ret_id[6] = (uint8_t)(0x70 | counter >> 8);
    ret_id[7] = (uint8_t)counter;
    /* Variant (2 bits), shard (10), the first 4 of the 52 random bits; then the other 48. */
    take_random(source, ret_id + 9, 7);
    ret_id[8] = (uint8_t)(0x80 | source->shard >> 4);
    ret_id[9] = (uint8_t)((source->shard & 0xf) << 4 | (ret_id[9] & 0xf));
}

void mr__id_seen(struct mr__id_source *source, const uint8_t id[MR__RUN_ID_BYTES])
{
    uint64_t at = 0;
    for (int i = 0; i < 6; i++) {
        at = at << 8 | id[i];
    }
    at = at << COUNTER_BITS | (uint64_t)(id[6] & 0xf) << 8 | id[7];
    source->last = MR__MAX(source->last, at);
}

void mr__id_text(const uint8_t id[MR__RUN_ID_BYTES], char ret_text[MR__RUN_ID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = ret_text;
    for (int i = 0; i < MR__RUN_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 0xf];
    }
    *at = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mr__id_parse(const char *text, size_t len, uint8_t ret_id[MR__RUN_ID_BYTES])
{
    if (len != MR__RUN_ID_TEXT_BYTES - 1) {
        return false;
    }
    uint8_t id[MR__RUN_ID_BYTES];
    const char *at = text;
    for (int i = 0; i < MR__RUN_ID_BYTES; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-') {
            return false;
        }
        int high = hex_digit(at[0]), low = hex_digit(at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    memcpy(ret_id, id, sizeof id);
    return true;
}
