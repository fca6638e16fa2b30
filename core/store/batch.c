/* SPDX-License-Identifier: MIT
 *
 * Batches: a list of operations whose keys and values stand in one growing buffer, so that a batch
 * of a hundred thousand puts costs two allocations and none once it is reused. No thread of its
 * own.
 */
#include <stdlib.h>

#include "core/store/store.h"

static size_t copy_bytes(struct mr__batch *batch, const void *bytes, size_t len);
static void add_op(struct mr__batch *batch, enum mr__op_kind kind, const void *key, size_t key_len,
                   const void *value, size_t value_len);

bool mr__table_known(uint8_t byte)
{
    switch (byte) {
    case MR__TABLE_CONFIG:
    case MR__TABLE_JOURNAL:
    case MR__TABLE_LIVE:
    case MR__TABLE_HISTORY:
    case MR__TABLE_INDEX:
    case MR__TABLE_LOG: return true;
    default: return false;
    }
}

void mr__batch_init(struct mr__batch *batch)
{
    memset(batch, 0, sizeof *batch);
}

void mr__batch_finish(struct mr__batch *batch)
{
    mr__buf_finish(&batch->bytes);
    mr__free(batch->ops);
    memset(batch, 0, sizeof *batch);
}

void mr__batch_reset(struct mr__batch *batch)
{
    mr__buf_reset(&batch->bytes);
    batch->count = 0;
    batch->failed = false;
}

void mr__batch_put(struct mr__batch *batch, const void *key, size_t key_len, const void *value,
                   size_t value_len)
{
    add_op(batch, MR__OP_PUT, key, key_len, value, value_len);
}

void mr__batch_del(struct mr__batch *batch, const void *key, size_t key_len)
{
    add_op(batch, MR__OP_DEL, key, key_len, NULL, 0);
}

void mr__batch_del_range(struct mr__batch *batch, const void *from, size_t from_len, const void *to,
                         size_t to_len)
{
    MR_ASSERT(to_len <= MR__STORE_KEY_BYTES_MAX);
    add_op(batch, MR__OP_DEL_RANGE, from, from_len, to, to_len);
}

void mr__batch_append(struct mr__batch *to, const struct mr__batch *from, size_t first,
                      size_t count)
{
    MR_ASSERT(first + count <= from->count);
    for (size_t i = first; i < first + count; i++) {
        const struct mr__op *op = &from->ops[i];
        add_op(to, (enum mr__op_kind)op->kind, from->bytes.data + op->key, op->key_len,
               from->bytes.data + op->value, op->value_len);
    }
    to->failed |= from->failed;
}

mr_status mr__batch_check(const struct mr__batch *batch, const struct mr__store_limits *limits,
                          mr_error *reterr)
{
    if (batch->failed) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory while the batch was filled");
    }
    if (batch->count > limits->ops_max) {
        return mr__error_set(reterr, MR_ELIMIT, "a batch of %zu operations, the store takes %zu",
                             batch->count, limits->ops_max);
    }
    if (batch->bytes.len > limits->bytes_max) {
        return mr__error_set(reterr, MR_ELIMIT, "a batch of %zu bytes, the store takes %zu",
                             batch->bytes.len, limits->bytes_max);
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct mr__op *op = &batch->ops[i];
        if (op->kind == MR__OP_PUT && op->value_len > limits->value_max) {
            return mr__error_set(reterr, MR_ELIMIT, "a value of %zu bytes, the store takes %zu",
                                 op->value_len, limits->value_max);
        }
        /* The ends of a range are bounds, not keys: they may lie anywhere. */
        if (op->kind != MR__OP_DEL_RANGE && !mr__table_known(batch->bytes.data[op->key])) {
            return mr__error_set(reterr, MR_EINVAL, "a key of the unknown table 0x%02x",
                                 batch->bytes.data[op->key]);
        }
    }
    return MR_OK;
}

static void add_op(struct mr__batch *batch, enum mr__op_kind kind, const void *key, size_t key_len,
                   const void *value, size_t value_len)
{
    MR_ASSERT(key_len > 0 && key_len <= MR__STORE_KEY_BYTES_MAX);
    if (batch->failed) {
        return;
    }
    if (batch->count == batch->cap) {
        size_t cap = batch->cap == 0 ? 16 : batch->cap * 2;
        struct mr__op *ops =
            cap > SIZE_MAX / sizeof *ops ? NULL : mr__realloc(batch->ops, cap * sizeof *ops);
        if (ops == NULL) {
            batch->failed = true;
            return;
        }
        batch->ops = ops;
        batch->cap = cap;
    }
    struct mr__op op = {.kind = kind, .key_len = (uint32_t)key_len, .value_len = value_len};
    op.key = copy_bytes(batch, key, key_len);
    op.value = copy_bytes(batch, value, value_len);
    if (!batch->failed) {
        batch->ops[batch->count++] = op;
    }
}

static size_t copy_bytes(struct mr__batch *batch, const void *bytes, size_t len)
{
    size_t at = batch->bytes.len;
    mr__buf_bytes(&batch->bytes, bytes, len);
    if (batch->bytes.failed) {
        batch->failed = true;
    }
    return at;
}
