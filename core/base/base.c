/* SPDX-License-Identifier: MIT
 *
 * Assertions, errors and small text helpers. No state, any thread.
 */
#include "core/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void mr__assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "millrace: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

mr_status mr__error_setv(mr_error *reterr, mr_status status, const char *fmt, va_list args)
{
    if (reterr != NULL) {
        reterr->status = status;
        (void)vsnprintf(reterr->message, sizeof reterr->message, fmt, args);
    }
    return status;
}

mr_status mr__error_set(mr_error *reterr, mr_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    status = mr__error_setv(reterr, status, fmt, args);
    va_end(args);
    return status;
}

mr_status mr__status_from_errno(int number)
{
    switch (number) {
    case 0: return MR_OK;
    case ENOMEM: return MR_ENOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return MR_EFULL;
    case EACCES:
    case EPERM:
    case EROFS: return MR_EPERM;
    case ENOENT:
    case ENOTDIR: return MR_ENOTFOUND;
    case EINVAL:
    case ENAMETOOLONG: return MR_EINVAL;
    case EBUSY:
    case EAGAIN: return MR_EBUSY;
    default: return MR_EIO;
    }
}

unsigned mr__edit_distance(const char *a, const char *b, unsigned max)
{
    size_t row[MR__ID_BYTES_MAX + 2];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > MR__ID_BYTES_MAX || b_len > MR__ID_BYTES_MAX) {
        return max + 1;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t cost = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost = MR__MIN(cost, above + 1);
            row[j] = MR__MIN(cost, row[j - 1] + 1);
            diagonal = above;
        }
    }
    return row[b_len] > max ? max + 1 : (unsigned)row[b_len];
}

bool mr__utf8_valid(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes, *end = p + len;
    while (p < end) {
        unsigned char c = *p++;
        unsigned more, low = 0x80, high = 0xbf;
        if (c < 0x80) {
            continue;
        }
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;
        } else if (c >= 0xe0 && c <= 0xef) {
            more = 2;
            low = c == 0xe0 ? 0xa0 : low;
            high = c == 0xed ? 0x9f : high;
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            low = c == 0xf0 ? 0x90 : low;
            high = c == 0xf4 ? 0x8f : high;
        } else {
            return false;
        }
        for (; more > 0; more--, p++) {
            if (p == end || *p < low || *p > high) {
                return false;
            }
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}

bool mr__id_valid(const char *id, size_t len)
{
    if (len == 0 || len > MR__ID_BYTES_MAX || !mr__utf8_valid(id, len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];
        if (c <= ' ' || c == 0x7f || c == '[' || c == ']' || c == '/' || c == ',') {
            return false;
        }
        /* U+0080..U+009F are control characters, U+00A0 and U+3000 blanks. */
        if (c == 0xc2 && i + 1 < len && (unsigned char)id[i + 1] <= 0xa0) {
            return false;
        }
        if (c == 0xe3 && i + 2 < len && memcmp(id + i, "\xe3\x80\x80", 3) == 0) {
            return false;
        }
    }
    return true;
}
