/* SPDX-License-Identifier: MIT
 *
 * The byte buffer and the reader. No state of its own, any thread.
 */
#include "core/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

void mr__buf_init(struct mr__buf *buf)
{
    memset(buf, 0, sizeof *buf);
}

void mr__buf_finish(struct mr__buf *buf)
{
    mr__free(buf->data);
    memset(buf, 0, sizeof *buf);
}

bool mr__buf_reserve(struct mr__buf *buf, size_t bytes)
{
    if (buf->failed) {
        return false;
    }
    if (buf->cap - buf->len >= bytes) {
        return true;
    }
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap - buf->len < bytes) {
        if (cap > SIZE_MAX / 4) {
            buf->failed = true;
            return false;
        }
        cap *= 2;
    }
    uint8_t *data = mr__realloc(buf->data, cap);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void mr__buf_bytes(struct mr__buf *buf, const void *bytes, size_t len)
{
    if (len > 0 && mr__buf_reserve(buf, len)) {
        memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
    }
}

void mr__buf_text(struct mr__buf *buf, const char *text)
{
    mr__buf_bytes(buf, text, strlen(text));
}

void mr__buf_printf(struct mr__buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len >= 0 && mr__buf_reserve(buf, (size_t)len + 1)) {
        (void)vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, args);
        buf->len += (size_t)len;
    }
    va_end(args);
}

void mr__buf_u8(struct mr__buf *buf, uint8_t v)
{
    if (mr__buf_reserve(buf, 1)) {
        buf->data[buf->len++] = v;
    }
}

void mr__buf_varint(struct mr__buf *buf, uint64_t v)
{
    if (mr__buf_reserve(buf, MR__VARINT_BYTES_MAX)) {
        buf->len = (size_t)(mr__varint_put(buf->data + buf->len, v) - buf->data);
    }
}

void mr__buf_zigzag(struct mr__buf *buf, int64_t v)
{
    mr__buf_varint(buf, mr__zigzag(v));
}

static void put_bytes(struct mr__buf *buf, uint64_t v, int count, bool big)
{
    if (!mr__buf_reserve(buf, (size_t)count)) {
        return;
    }
    for (int i = 0; i < count; i++) {
        int shift = 8 * (big ? count - 1 - i : i);
        buf->data[buf->len++] = (uint8_t)(v >> shift);
    }
}

void mr__buf_u32le(struct mr__buf *buf, uint32_t v)
{
    put_bytes(buf, v, 4, false);
}

void mr__buf_u64le(struct mr__buf *buf, uint64_t v)
{
    put_bytes(buf, v, 8, false);
}

void mr__buf_u16be(struct mr__buf *buf, uint16_t v)
{
    put_bytes(buf, v, 2, true);
}

void mr__buf_u32be(struct mr__buf *buf, uint32_t v)
{
    put_bytes(buf, v, 4, true);
}

void mr__buf_u64be(struct mr__buf *buf, uint64_t v)
{
    put_bytes(buf, v, 8, true);
}

void mr__buf_blob(struct mr__buf *buf, const void *bytes, size_t len)
{
    mr__buf_varint(buf, len);
    mr__buf_bytes(buf, bytes, len);
}

const char *mr__buf_cstr(struct mr__buf *buf)
{
    if (!mr__buf_reserve(buf, 1)) {
        return NULL;
    }
    buf->data[buf->len] = 0;
    return (const char *)buf->data;
}

const uint8_t *mr__read_bytes(struct mr__reader *r, size_t len)
{
    if (r->failed || mr__reader_left(r) < len) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *bytes = r->at;
    r->at += len;
    return bytes;
}

uint8_t mr__read_u8(struct mr__reader *r)
{
    const uint8_t *p = mr__read_bytes(r, 1);
    return p == NULL ? 0 : *p;
}

uint64_t mr__read_varint(struct mr__reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *p = mr__read_bytes(r, 1);
        if (p == NULL) {
            return 0;
        }
        if (shift == 63 && *p > 1) {
            break;
        }
        v |= (uint64_t)(*p & 0x7f) << shift;
        if ((*p & 0x80) == 0) {
            return v;
        }
    }
    r->failed = true;
    return 0;
}

int64_t mr__read_zigzag(struct mr__reader *r)
{
    uint64_t v = mr__read_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static uint64_t read_fixed(struct mr__reader *r, int count, bool big)
{
    const uint8_t *p = mr__read_bytes(r, (size_t)count);
    uint64_t v = 0;
    for (int i = 0; p != NULL && i < count; i++) {
        v |= (uint64_t)p[i] << (8 * (big ? count - 1 - i : i));
    }
    return v;
}

uint32_t mr__read_u32le(struct mr__reader *r)
{
    return (uint32_t)read_fixed(r, 4, false);
}

uint64_t mr__read_u64le(struct mr__reader *r)
{
    return read_fixed(r, 8, false);
}

uint16_t mr__read_u16be(struct mr__reader *r)
{
    return (uint16_t)read_fixed(r, 2, true);
}

uint32_t mr__read_u32be(struct mr__reader *r)
{
    return (uint32_t)read_fixed(r, 4, true);
}

uint64_t mr__read_u64be(struct mr__reader *r)
{
    return read_fixed(r, 8, true);
}

const uint8_t *mr__read_blob(struct mr__reader *r, size_t *ret_len)
{
    uint64_t len = mr__read_varint(r);
    if (r->failed || len > mr__reader_left(r)) {
        r->failed = true;
        *ret_len = 0;
        return NULL;
    }
    *ret_len = (size_t)len;
    return mr__read_bytes(r, (size_t)len);
}
