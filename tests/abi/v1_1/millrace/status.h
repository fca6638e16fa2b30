/* SPDX-License-Identifier: MIT
 *
 * Status codes and error details: the only way in which any part of millrace says that something
 * went wrong. 0 is success, a negative number an error; the two positive ones are not errors.
 *
 * An `mr_error` is a plain struct of the caller's, filled only on failure. Nothing in it is to be
 * freed.
 */
#ifndef MILLRACE_STATUS_H
#define MILLRACE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text). Numbers never change their meaning. */
#define MR_STATUS_MAP(X)                              \
    X(MR_OK, 0, "ok")                                 \
    X(MR_PENDING, 1, "pending")                       \
    X(MR_END, 2, "end of stream")                     \
    X(MR_ENOMEM, -1, "out of memory")                 \
    X(MR_EINVAL, -2, "invalid argument")              \
    X(MR_EDEFINITION, -3, "invalid definition")       \
    X(MR_EPERM, -4, "not allowed")                    \
    X(MR_ENOTFOUND, -5, "not found")                  \
    X(MR_ECONFLICT, -6, "conflict")                   \
    X(MR_ESTORE, -7, "store unreachable or unusable") \
    X(MR_EFULL, -8, "store full")                     \
    X(MR_EFORMAT, -9, "unknown or damaged format")    \
    X(MR_EBUSY, -10, "in use")                        \
    X(MR_EIO, -11, "input/output error")              \
    X(MR_ECANCELED, -12, "canceled")                  \
    X(MR_ETIMEDOUT, -13, "timed out")                 \
    X(MR_ELIMIT, -14, "limit reached")                \
    X(MR_EABI, -15, "incompatible plugin")            \
    X(MR_ENOSYS, -16, "not supported")                \
    X(MR_ECLOSED, -17, "closed")                      \
    X(MR_EFAILED, -18, "failed")                      \
    X(MR_EUNKNOWN, -19, "outcome unknown")

typedef int32_t mr_status;

enum {
#define MR_STATUS_ENUM(name, number, text) name = number,
    MR_STATUS_MAP(MR_STATUS_ENUM)
#undef MR_STATUS_ENUM
};

/* Returns the text of `status`, "unknown status" for a number that is none. Static; any thread. */
static inline const char *mr_status_text(mr_status status)
{
    switch (status) {
#define MR_STATUS_CASE(name, number, text) \
    case number: return text;
        MR_STATUS_MAP(MR_STATUS_CASE)
#undef MR_STATUS_CASE
    default: return "unknown status";
    }
}

#define MR_ERROR_MESSAGE_BYTES 512

/* What went wrong. Written only on failure; `message` is one line of UTF-8 without a final dot. */
typedef struct mr_error {
    mr_status status;
    char message[MR_ERROR_MESSAGE_BYTES];
} mr_error;

#ifdef __cplusplus
}
#endif
#endif
