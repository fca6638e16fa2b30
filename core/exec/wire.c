/* SPDX-License-Identifier: MIT
 *
 * The codec of the messages between the engine and its host processes. Pure.
 */
#include "core/exec/wire.h"

#define LENGTH_BYTES 4u

/* What each kind has. */
static const struct {
    enum mr__wire_sender sender;
    uint8_t numbers, texts;
} shapes[MR__WIRE_KINDS] = {
#define SHAPE(name, from, number_count, text_count) \
    [MR__WIRE_##name] = {MR__WIRE_FROM_##from, number_count, text_count},
    MR__WIRE_MAP(SHAPE)
#undef SHAPE
};

struct mr__blob mr__wire_text(const char *text)
{
    return (struct mr__blob){text, text == NULL ? 0 : strlen(text)};
}

mr_status mr__wire_write(struct mr__buf *out, const struct mr__wire *m)
{
    size_t begin = out->len, bytes = 1 + MR__WIRE_NUMBERS_MAX * MR__VARINT_BYTES_MAX;
    for (unsigned i = 0; i < shapes[m->kind].texts; i++) {
        bytes += m->text[i].len + 1 + MR__VARINT_BYTES_MAX;
    }
    if (bytes > MR__WIRE_BYTES_MAX) {
        return MR_ELIMIT;
    }
    mr__buf_u32le(out, 0); /* The length follows. */
    mr__buf_u8(out, (uint8_t)m->kind);
    for (unsigned i = 0; i < shapes[m->kind].numbers; i++) {
        mr__buf_zigzag(out, m->number[i]);
    }
    for (unsigned i = 0; i < shapes[m->kind].texts; i++) {
        const struct mr__blob *text = &m->text[i];
        mr__buf_varint(out, text->data == NULL ? 0 : text->len + 1);
        if (text->data != NULL) {
            mr__buf_bytes(out, text->data, text->len);
            mr__buf_u8(out, 0);
        }
    }
    if (out->failed) {
        out->len = begin;
        out->failed = false;
        return MR_ENOMEM;
    }
    uint32_t len = (uint32_t)(out->len - begin - LENGTH_BYTES);
    for (unsigned i = 0; i < LENGTH_BYTES; i++) {
        out->data[begin + i] = (uint8_t)(len >> (8 * i));
    }
    return MR_OK;
}

/* One text, its NUL included; false: there is none. */
static bool read_text(struct mr__reader *r, struct mr__blob *ret_text)
{
    size_t len;
    const uint8_t *bytes = mr__read_blob(r, &len);
    if (bytes == NULL) {
        return false;
    }
    *ret_text = (struct mr__blob){NULL, 0};
    if (len == 0) {
        return true;
    }
    *ret_text = (struct mr__blob){(const char *)bytes, len - 1};
    return bytes[len - 1] == 0;
}

mr_status mr__wire_read(const uint8_t *bytes, size_t len, enum mr__wire_sender sender,
                        struct mr__wire *ret_message, size_t *ret_used)
{
    struct mr__reader r;
    if (len < LENGTH_BYTES) {
        return MR_PENDING;
    }
    mr__reader_init(&r, bytes, len);
    uint32_t message_len = mr__read_u32le(&r);
    if (message_len == 0 || message_len > MR__WIRE_BYTES_MAX) {
        return MR_EFORMAT;
    }
    if (len > LENGTH_BYTES) { /* A wrong kind is no reason to wait for the rest. */
        uint8_t kind = bytes[LENGTH_BYTES];
        if (kind == MR__WIRE_NONE || kind >= MR__WIRE_KINDS || shapes[kind].sender != sender) {
            return MR_EFORMAT;
        }
    }
    if (len - LENGTH_BYTES < message_len) {
        return MR_PENDING;
    }
    mr__reader_init(&r, bytes + LENGTH_BYTES, message_len);
    memset(ret_message, 0, sizeof *ret_message);
    ret_message->kind = (enum mr__wire_kind)mr__read_u8(&r);
    for (unsigned i = 0; i < shapes[ret_message->kind].numbers; i++) {
        ret_message->number[i] = mr__read_zigzag(&r);
    }
    for (unsigned i = 0; i < shapes[ret_message->kind].texts; i++) {
        if (!read_text(&r, &ret_message->text[i])) {
            return MR_EFORMAT;
        }
    }
    if (r.failed || mr__reader_left(&r) != 0) {
        return MR_EFORMAT;
    }
    *ret_used = LENGTH_BYTES + message_len;
    return MR_OK;
}
