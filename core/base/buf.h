/* SPDX-License-Identifier: MIT
 *
 * A growing byte buffer, a bounded reader over bytes, and the integer forms that everything durable
 * is made of: varints (LEB128), zigzag for signed ones, little-endian fixed ones in values,
 * big-endian in keys (so that memcmp order is number order).
 *
 * A failed growth sets `failed`; later writes do nothing, so that a run of writes needs one check.
 * A read past the end sets `failed` likewise and gives zeros.
 */
#ifndef MR__BUF_H
#define MR__BUF_H

#include "core/base/base.h"

/* A stretch of bytes, borrowed. */
struct mr__blob {
    const char *data; /* NULL: absent */
    size_t len;
};

struct mr__buf {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

void mr__buf_init(struct mr__buf *buf);
void mr__buf_finish(struct mr__buf *buf);
static inline void mr__buf_reset(struct mr__buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

/* Makes room for `bytes` more; false (and failed set) when out of memory. */
bool mr__buf_reserve(struct mr__buf *buf, size_t bytes);
void mr__buf_bytes(struct mr__buf *buf, const void *bytes, size_t len);
void mr__buf_text(struct mr__buf *buf, const char *text); /* without its NUL */
MR__PRINTF(2, 3) void mr__buf_printf(struct mr__buf *buf, const char *fmt, ...);
void mr__buf_u8(struct mr__buf *buf, uint8_t v);
void mr__buf_varint(struct mr__buf *buf, uint64_t v);
void mr__buf_zigzag(struct mr__buf *buf, int64_t v);
void mr__buf_u32le(struct mr__buf *buf, uint32_t v);
void mr__buf_u64le(struct mr__buf *buf, uint64_t v);
void mr__buf_u16be(struct mr__buf *buf, uint16_t v);
void mr__buf_u32be(struct mr__buf *buf, uint32_t v);
void mr__buf_u64be(struct mr__buf *buf, uint64_t v);
/* A varint length, then the bytes. */
void mr__buf_blob(struct mr__buf *buf, const void *bytes, size_t len);
/* Adds a NUL that `len` does not count and returns the text; NULL if the buffer failed. */
const char *mr__buf_cstr(struct mr__buf *buf);

#define MR__VARINT_BYTES_MAX 10

/* Writes at most MR__VARINT_BYTES_MAX bytes to `at` and returns the end. */
static inline uint8_t *mr__varint_put(uint8_t *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

static inline uint64_t mr__zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

struct mr__reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline void mr__reader_init(struct mr__reader *r, const void *bytes, size_t len)
{
    r->at = (const uint8_t *)bytes;
    r->end = len == 0 ? r->at : r->at + len; /* no bytes may be no pointer */
    r->failed = false;
}
static inline size_t mr__reader_left(const struct mr__reader *r)
{
    return (size_t)(r->end - r->at);
}
uint8_t mr__read_u8(struct mr__reader *r);
uint64_t mr__read_varint(struct mr__reader *r);
int64_t mr__read_zigzag(struct mr__reader *r);
uint32_t mr__read_u32le(struct mr__reader *r);
uint64_t mr__read_u64le(struct mr__reader *r);
uint16_t mr__read_u16be(struct mr__reader *r);
uint32_t mr__read_u32be(struct mr__reader *r);
uint64_t mr__read_u64be(struct mr__reader *r);
const uint8_t *mr__read_bytes(struct mr__reader *r, size_t len); /* NULL past the end */
/* A blob: borrowed from the reader's bytes. NULL past the end. */
const uint8_t *mr__read_blob(struct mr__reader *r, size_t *ret_len);

#endif
