/* SPDX-License-Identifier: MIT
 *
 * Reading from a snapshot. Reader thread.
 */
#include "core/engine/reads.h"
#include "core/exec/executor.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "core/engine/shard.h"

#define PAGE_BYTES  (512u << 10)
#define PAGE_CHUNKS 512u

/* ---- runs
 * ---------------------------------------------------------------------------------------- */

mr_status mr__read_place(struct mr__snapshot *snapshot, const uint8_t *run_id,
                         struct mr__place *ret_place)
{
    struct mr__key key;
    struct mr__bytes value;
    mr__key_by_id(&key, run_id);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status == MR_OK && !mr__place_read(value, ret_place)) {
        status = MR_EFORMAT;
    }
    return status;
}

mr_status mr__read_finished(struct mr__snapshot *snapshot, const struct mr__place *place,
                            struct mr__buf *copy, struct mr__finished *ret_finished,
                            mr_error *reterr)
{
    struct mr__key key;
    struct mr__bytes value;
    struct mr__part part;
    struct mr__reader r;
    mr__key_history(&key, 0, place->lsn, place->part);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status == MR_OK) {
        status = mr__part_open(value, "a part of the history", &part, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    if (!mr__part_find(&part, place->offset, ret_finished)) {
        return part.r.failed
                   ? mr__error_set(reterr, MR_EFORMAT, "a finished run in the history is damaged")
                   : mr__error_set(reterr, MR_ENOTFOUND,
                                   "there is no run in the history at this place");
    }
    mr__buf_reset(copy);
    mr__buf_bytes(copy, part.run.data, part.run.len);
    if (copy->failed) {
        return MR_ENOMEM;
    }
    mr__reader_init(&r, copy->data, copy->len);
    MR_ASSERT(mr__finished_read(&r, ret_finished)); /* now pointing into the copy */
    return MR_OK;
}

bool mr__read_created(struct mr__blob log, struct mr__event *ret_event)
{
    struct mr__reader r;
    mr__reader_init(&r, log.data, log.len);
    return mr__event_decode(&r, 0, ret_event) && ret_event->type == MR__EVENT_RUN_CREATED;
}

mr_status mr__read_dag(struct mr__snapshot *snapshot, const struct mr__event *created,
                       struct mr__dag **ret_dag, mr_error *reterr)
{
    char id[MR__ID_BYTES_MAX + 1];
    struct mr__key key;
    struct mr__bytes value;
    struct mr__definition definition;
    if (created->dag.len > MR__ID_BYTES_MAX) {
        return mr__error_set(reterr, MR_EFORMAT, "a run names no dag");
    }
    memcpy(id, created->dag.data, created->dag.len);
    id[created->dag.len] = '\0';
    mr__key_definition(&key, id, created->version);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "the text of dag \"%s\" is missing in the store", id);
    }
    status = mr__definition_read(value, &definition, reterr);
    return status == MR_OK ? mr__definition_parse(&definition, ret_dag, reterr) : status;
}

mr_status mr__read_key(struct mr__snapshot *snapshot, struct mr__blob key,
                       uint8_t ret_run_id[MR__RUN_ID_BYTES])
{
    struct mr__key record;
    struct mr__bytes value;
    struct mr__place place;
    mr__key_idempotency(&record, key);
    mr_status status = snapshot->ops->get(snapshot, record.bytes, record.len, &value);
    if (status != MR_OK || value.len != MR__RUN_ID_BYTES) {
        return status == MR_OK ? MR_ENOTFOUND : status;
    }
    memcpy(ret_run_id, value.data, MR__RUN_ID_BYTES);
    /* A key whose run never became durable counts for nothing. */
    return mr__read_place(snapshot, ret_run_id, &place);
}

/* ---- traces
 * -------------------------------------------------------------------------------------- */

static bool add_trace(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct mr__buf *out = user;
    struct mr__log_chunk chunk;
    char time[MR__TIME_TEXT_BYTES];
    if (mr__log_chunk_read(value, &chunk)) {
        mr__time_text(chunk.time_ms, time);
        mr__buf_printf(out,
                       "%s{\"time\":\"%s\",\"message\":", out->data[out->len - 1] == '[' ? "" : ",",
                       time);
        mr__json_str(out, chunk.text.data, chunk.text.len);
        mr__buf_text(out, "}");
    }
    return !out->failed;
}

static bool note_any(void *user, struct mr__bytes key, struct mr__bytes value)
{
    *(bool *)user = true;
    return false;
}

static mr_status each_trace(void *user, uint32_t task, struct mr__buf *out)
{
    struct mr__read_traces *traces = user;
    struct mr__key from, to;
    if (!traces->looked) {
        /* Most runs have none: one look instead of one a task. */
        traces->looked = true;
        mr__key_log(&from, traces->run_id, MR__LOG_TRACE, 0, 0);
        mr__key_log(&to, traces->run_id, MR__LOG_OUTPUT, 0, 0);
        mr_status status = traces->snapshot->ops->range(
            traces->snapshot, (struct mr__bytes){from.bytes, from.len},
            (struct mr__bytes){to.bytes, to.len}, 0, 1, note_any, &traces->any);
        if (status != MR_OK) {
            return status;
        }
    }
    if (!traces->any) {
        return MR_OK;
    }
    mr__key_log(&from, traces->run_id, MR__LOG_TRACE, task, 0);
    mr__key_log(&to, traces->run_id, MR__LOG_TRACE, task + 1, 0);
    return traces->snapshot->ops->range(traces->snapshot, (struct mr__bytes){from.bytes, from.len},
                                        (struct mr__bytes){to.bytes, to.len}, 0, 0, add_trace, out);
}

static void add_progress(void *user, uint32_t task, uint32_t attempt, struct mr__buf *out)
{
    const struct mr__read_traces *traces = user;
    for (size_t i = 0; i < traces->progress_count; i++) {
        const struct mr__run_progress *progress = &traces->progress[i];
        if (progress->task == task && progress->attempt == attempt) {
            mr__buf_text(out, ",\"progress\":{");
            mr__run_progress_print(out, progress);
            mr__buf_text(out, "}");
        }
    }
}

struct mr__doc_traces mr__read_traces(struct mr__read_traces *traces)
{
    return (struct mr__doc_traces){.user = traces, .each = each_trace, .progress = add_progress};
}

/* ---- logs
 * ---------------------------------------------------------------------------------------- */

void mr__log_json(struct mr__buf *out, struct mr__blob task, const struct mr__log_chunk *chunk)
{
    static const char *const streams[] = {"", "stdout", "stderr", "trace"};
    char time[MR__TIME_TEXT_BYTES];
    mr__time_text(chunk->time_ms, time);
    mr__buf_text(out, "{\"log\":{\"task\":");
    if (task.len == 0) {
        mr__buf_text(out, "null");
    } else {
        mr__json_str(out, task.data, task.len);
    }
    mr__buf_printf(out,
                   ",\"attempt\":%u,\"stream\":\"%s\",\"time\":\"%s\",\"text\":", chunk->attempt,
                   streams[chunk->stream & 3], time);
    mr__json_str(out, chunk->text.data, chunk->text.len);
    mr__buf_text(out, "}}");
}

struct page_item {
    uint64_t n;
    size_t at, len; /* the line, in page_read.lines */
};
struct page_read {
    const struct mr__log_page *page;
    uint32_t task;       /* whose chunks are read */
    struct mr__buf name; /* its name */
    struct mr__buf lines;
    struct page_item items[2 * PAGE_CHUNKS + 2];
    size_t count;
    size_t seen;   /* chunks, also those that were passed over */
    uint64_t last; /* the highest number seen */
};

static bool page_add(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct page_read *read = user;
    struct mr__log_chunk chunk;
    uint64_t n = mr__key_log_n(key);
    if (n > read->page->upto) {
        return false;
    }
    read->last = n;
    read->seen++;
    if (mr__log_chunk_read(value, &chunk) && chunk.time_ms >= read->page->since_ms) {
        struct page_item *item = &read->items[read->count++];
        *item = (struct page_item){.n = n, .at = read->lines.len};
        mr__log_json(&read->lines, (struct mr__blob){(const char *)read->name.data, read->name.len},
                     &chunk);
        item->len = read->lines.len - item->at;
    }
    return !read->lines.failed && read->lines.len < PAGE_BYTES;
}

static int by_number(const void *a, const void *b)
{
    const struct page_item *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

static mr_status page_range(struct mr__snapshot *snapshot, struct page_read *read,
                            enum mr__log_kind kind, uint64_t from_n, uint64_t to_n)
{
    struct mr__key from, to;
    mr__key_log(&from, read->page->run_id, kind, read->task, from_n);
    mr__key_log(&to, read->page->run_id, kind, read->task, to_n);
    return snapshot->ops->range(snapshot, (struct mr__bytes){from.bytes, from.len},
                                (struct mr__bytes){to.bytes, to.len}, 0, PAGE_CHUNKS, page_add,
                                read);
}

/* Some chunks of one task: outputs from the cursor on, and the traces that belong between them. */
static mr_status read_task_page(struct mr__snapshot *snapshot, struct mr__log_page *page,
                                bool *ret_more)
{
    struct page_read *read = mr__calloc(1, sizeof *read);
    if (read == NULL) {
        return MR_ENOMEM;
    }
    read->page = page;
    read->task = page->task < page->names->count ? page->task : MR__HOOK_TASK;
    mr__buf_init(&read->name);
    mr__run_names_print(page->names, read->task, &read->name);
    mr__buf_init(&read->lines);
    mr_status status = page_range(snapshot, read, MR__LOG_OUTPUT, page->next, UINT64_MAX);
    bool full = read->seen >= PAGE_CHUNKS || read->lines.len >= PAGE_BYTES;
    uint64_t upto = full ? read->last : UINT64_MAX - 1;
    if (status == MR_OK) {
        size_t before = read->seen;
        status = page_range(snapshot, read, MR__LOG_TRACE, page->next, upto + 1);
        if (read->seen - before >= PAGE_CHUNKS) {
            /* Traces are bounded by less than two pages: let the outputs behind them wait. */
            full = true;
            upto = read->last;
        }
    }
    qsort(read->items, read->count, sizeof read->items[0], by_number);
    for (size_t i = 0; i < read->count && status == MR_OK; i++) {
        if (read->items[i].n <= upto) {
            mr__buf_bytes(&page->lines, read->lines.data + read->items[i].at, read->items[i].len);
            mr__buf_text(&page->lines, "\n");
        }
    }
    if (status == MR_OK && (read->lines.failed || read->name.failed || page->lines.failed)) {
        status = MR_ENOMEM;
    }
    *ret_more = full;
    page->next = upto + 1;
    mr__buf_finish(&read->name);
    mr__buf_finish(&read->lines);
    mr__free(read);
    return status;
}

/* Whether the log of the task that the cursor is at is wanted. Behind the last one are hooks. */
static bool page_wants(const struct mr__log_page *page)
{
    if (page->only_task < 0) {
        return true;
    }
    return page->task < page->names->count &&
           (page->task == page->only_task ||
            mr__run_names_row(page->names, page->task) == page->only_task);
}

mr_status mr__read_log_page(struct mr__snapshot *snapshot, struct mr__log_page *page)
{
    mr__buf_reset(&page->lines);
    while (page->task <= page->names->count && page->lines.len < PAGE_BYTES) {
        bool more = false;
        mr_status status = page_wants(page) ? read_task_page(snapshot, page, &more) : MR_OK;
        if (status != MR_OK) {
            return status;
        }
        if (!more) {
            page->next = 0;
            page->task++;
        }
    }
    page->done = page->task > page->names->count;
    return MR_OK;
}
