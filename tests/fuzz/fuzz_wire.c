/* SPDX-License-Identifier: MIT
 *
 * Goal: no bytes make the reader of a host process's messages crash, and what it takes comes out
 * and in again the same. Method: libFuzzer, from either side.
 */
#include "core/exec/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int side = MR__WIRE_FROM_ENGINE; side <= MR__WIRE_FROM_HOST; side++) {
        struct mr__wire message, again;
        struct mr__buf out = {0};
        size_t used, used_again;
        mr_status status = mr__wire_read(data, size, (enum mr__wire_sender)side, &message, &used);
        MR_ASSERT(status == MR_OK || status == MR_PENDING || status == MR_EFORMAT);
        if (status == MR_OK) {
            MR_ASSERT(used <= size && mr__wire_write(&out, &message) == MR_OK);
            status =
                mr__wire_read(out.data, out.len, (enum mr__wire_sender)side, &again, &used_again);
            MR_ASSERT(status == MR_OK && used_again == out.len && again.kind == message.kind);
        }
        mr__buf_finish(&out);
    }
    return 0;
}
