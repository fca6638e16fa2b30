/* SPDX-License-Identifier: MIT
 *
 * Goal: no TZif file and no cron expression makes a lookup crash, loop or contradict itself.
 * Method: libFuzzer; the first byte is the length of the expression, which comes next, the rest is
 * the file. Spans must hold the moments that they were asked for and follow each other without a
 * hole; the times of a schedule must ascend, and asking just before one must give it again.
 */
#include "core/base/zone.h"
#include "core/model/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_zone(const struct mr__zone *zone)
{
    for (int64_t at = INT64_C(-4000000000); at < INT64_C(8000000000); at += 700000001) {
        struct mr__zone_span span = mr__zone_span(zone, at);
        MR_ASSERT(span.begin <= at && at < span.end);
        MR_ASSERT(span.offset > -MR__ZONE_OFFSET_MAX && span.offset < MR__ZONE_OFFSET_MAX);
        if (span.end != INT64_MAX) {
            struct mr__zone_span next = mr__zone_span(zone, span.end);
            MR_ASSERT(next.begin == span.end);
            MR_ASSERT(mr__zone_span(zone, span.end - 1).end == span.end);
        }
    }
}

static void check_cron(const struct mr__cron *cron, const struct mr__zone *zone)
{
    for (int64_t at = INT64_C(-4000000000000); at < INT64_C(8000000000000); at += 2000000000001) {
        int64_t after = at, next, again;
        for (int i = 0; i < 4 && mr__cron_next(cron, zone, after, &next); i++) {
            MR_ASSERT(next > after);
            MR_ASSERT(mr__cron_next(cron, zone, next - 1, &again) && again == next);
            after = next;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t text_len = MR__MIN(data[0], size - 1);
    const char *text = (const char *)data + 1;
    struct mr__zone *zone = NULL;
    struct mr__cron cron;
    mr_error error = {0};
    mr_status status = mr__zone_parse(data + 1 + text_len, size - 1 - text_len, &zone, &error);
    MR_ASSERT(status == MR_OK || error.message[0] != '\0');
    if (status == MR_OK) {
        check_zone(zone);
    }
    status = mr__cron_parse(text, text_len, &cron, &error);
    MR_ASSERT(status == MR_OK ||
              (status == MR_EINVAL && mr__utf8_valid(error.message, strlen(error.message))));
    if (status == MR_OK) {
        check_cron(&cron, mr__zone_utc());
        if (zone != NULL) {
            check_cron(&cron, zone);
        }
    }
    mr__zone_destroy(zone);
    return 0;
}
