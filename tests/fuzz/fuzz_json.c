/* SPDX-License-Identifier: MIT
 *
 * Goal: no bytes make the JSON reader crash, and what it takes comes out and in again the same.
 * Method: libFuzzer; the value is printed, read again and compared, and coerced to every type.
 */
#include <stdlib.h>

#include "core/base/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr__arena arena;
    struct mr__buf once, twice;
    mr_value value, again, copy;
    mr_error error;
    mr__arena_init(&arena);
    mr__buf_init(&once);
    mr__buf_init(&twice);
    mr_status status = mr__value_parse(&arena, (const char *)data, size, &value, &error);
    MR_ASSERT(status == MR_OK || (status == MR_EINVAL && error.message[0] != '\0'));
    if (status == MR_OK) {
        mr__value_print(&once, &value);
        status = mr__value_parse(&arena, (const char *)once.data, once.len, &again, &error);
        MR_ASSERT(status == MR_OK && mr__value_equal(&value, &again));
        mr__value_print(&twice, &again);
        MR_ASSERT(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
        MR_ASSERT(mr__value_dup(&arena, &value, &copy) == MR_OK && mr__value_equal(&value, &copy));
    }
    for (uint32_t type = MR_NULL; type <= MR_MAP; type++) {
        if (mr__value_from_text(&arena, (const char *)data, size, type, &value)) {
            MR_ASSERT(value.type == type);
        }
    }
    mr__json_str(&twice, (const char *)data, size);
    MR_ASSERT(mr__utf8_valid((const char *)twice.data, twice.len));
    mr__buf_finish(&once);
    mr__buf_finish(&twice);
    mr__arena_finish(&arena);
    return 0;
}
