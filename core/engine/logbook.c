/* SPDX-License-Identifier: MIT
 *
 * What tasks write: captured output and trace lines, gathered per task run and put into the store
 * as chunks, with the next commit or after a short while. Bounded: of the output of one attempt the
 * oldest chunks go, of traces the newest lines are not taken. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

#define TRACES_DROPPED "further trace lines are not kept (the limit is 1000 a task)"

static struct mr__logbook *book_of(struct mr__shard *sh, const struct mr__attempt_ref *ref)
{
    uint8_t key[MR__RUN_ID_BYTES + 4];
    uint64_t number;
    memcpy(key, ref->run_id, MR__RUN_ID_BYTES);
    memcpy(key + MR__RUN_ID_BYTES, &ref->task, 4);
    if (mr__hash_get(&sh->logbooks, key, sizeof key, &number)) {
        return (struct mr__logbook *)(uintptr_t)number;
    }
    struct mr__logbook *book = mr__calloc(1, sizeof *book);
    if (book == NULL) {
        return NULL;
    }
    memcpy(book->key, key, sizeof key);
    mr__buf_init(&book->text);
    if (mr__hash_put(&sh->logbooks, book->key, sizeof book->key, (uint64_t)(uintptr_t)book) !=
        MR_OK) {
        mr__free(book);
        return NULL;
    }
    return book;
}

static void book_free(struct mr__shard *sh, struct mr__logbook *book)
{
    (void)mr__hash_del(&sh->logbooks, book->key, sizeof book->key);
    mr__buf_finish(&book->text);
    mr__free(book->chunks);
    mr__free(book);
}

static uint32_t book_task(const struct mr__logbook *book)
{
    uint32_t task;
    memcpy(&task, book->key + MR__RUN_ID_BYTES, 4);
    return task;
}

static void mark_dirty(struct mr__shard *sh, struct mr__logbook *book)
{
    if (!book->dirty) {
        book->dirty = true;
        book->next_dirty = sh->dirty;
        sh->dirty = book;
    }
}

/* ---- chunks
 * -------------------------------------------------------------------------------------- */

/* Remembers a chunk of output, and lets the oldest go where the attempt has too many bytes. */
static void chunk_account(struct mr__shard *sh, struct mr__logbook *book, uint64_t n, size_t bytes)
{
    if (2 * (book->chunk_head + book->chunk_count + 1) > book->chunk_cap) {
        if (book->chunk_count > 0) {
            memmove(book->chunks, book->chunks + 2 * book->chunk_head,
                    book->chunk_count * 2 * sizeof *book->chunks);
        }
        book->chunk_head = 0;
        if (2 * (book->chunk_count + 1) > book->chunk_cap) {
            size_t cap = book->chunk_cap == 0 ? 16 : book->chunk_cap * 2;
            uint64_t *chunks = mr__realloc(book->chunks, cap * sizeof *chunks);
            if (chunks == NULL) {
                return; /* the chunk is kept longer than it should be: no harm */
            }
            book->chunks = chunks;
            book->chunk_cap = cap;
        }
    }
    uint64_t *chunk = book->chunks + 2 * (book->chunk_head + book->chunk_count++);
    chunk[0] = n;
    chunk[1] = bytes;
    book->stored_bytes += bytes;
    while (book->stored_bytes > MR__LOG_ATTEMPT_BYTES_MAX && book->chunk_count > 1) {
        struct mr__key key;
        uint64_t *oldest = book->chunks + 2 * book->chunk_head++;
        book->chunk_count--;
        book->stored_bytes -= oldest[1];
        mr__key_log(&key, book->key, MR__LOG_OUTPUT, book_task(book), oldest[0]);
        mr__batch_del(&sh->filling, key.bytes, key.len);
    }
}

static void chunk_put(struct mr__shard *sh, struct mr__logbook *book, enum mr__log_kind kind,
                      const struct mr__log_chunk *chunk)
{
    struct mr__key key;
    struct mr__buf value;
    uint64_t n = ++sh->log_n;
    mr__buf_init(&value);
    mr__log_chunk_write(&value, chunk);
    mr__key_log(&key, book->key, kind, book_task(book), n);
    if (!value.failed) {
        mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
    }
    if (kind == MR__LOG_OUTPUT) {
        chunk_account(sh, book, n, value.len);
    }
    mr__buf_finish(&value);
}

/* Puts what the book has gathered into the batch. */
static void book_flush(struct mr__shard *sh, struct mr__logbook *book)
{
    if (book->text.len == 0) {
        return;
    }
    struct mr__log_chunk chunk = {
        .stream = book->stream,
        .attempt = book->attempt,
        .time_ms = book->time_ms,
        .text = {(const char *)book->text.data, book->text.len},
    };
    chunk_put(sh, book, MR__LOG_OUTPUT, &chunk);
    mr__buf_reset(&book->text);
}

/* ---- public
 * -------------------------------------------------------------------------------------- */

/* False: there are too many, and those who follow the run are not told of it either. */
static bool add_trace(struct mr__shard *sh, struct mr__logbook *book, struct mr__log_chunk *chunk)
{
    if (book->dropped) {
        return false;
    }
    if (++book->traces > MR__TRACE_LINES_MAX) {
        book->dropped = true;
        chunk->text = (struct mr__blob){TRACES_DROPPED, sizeof TRACES_DROPPED - 1};
    }
    chunk->text.len = MR__MIN(chunk->text.len, MR__TRACE_LINE_BYTES_MAX);
    chunk_put(sh, book, MR__LOG_TRACE, chunk);
    mark_dirty(sh, book);
    return true;
}

void mr__logbook_add(struct mr__shard *sh, struct mr__run *run, const struct mr__attempt_ref *ref,
                     uint8_t stream, const char *bytes, size_t len)
{
    struct mr__logbook *book = book_of(sh, ref);
    struct mr__log_chunk chunk = {
        .stream = stream,
        .attempt = ref->attempt,
        .time_ms = sh->opt.clock->wall_ms(sh->opt.clock),
        .text = {bytes, len},
    };
    if (book == NULL || len == 0) {
        return; /* output is not worth a failure of the run */
    }
    if (book->attempt != ref->attempt) {
        book_flush(sh, book);
        book->attempt = ref->attempt;
        book->chunk_head = book->chunk_count = 0;
        book->stored_bytes = 0;
        book->ended = false;
    }
    if (stream == MR__STREAM_TRACE && !add_trace(sh, book, &chunk)) {
        return;
    }
    if (run->flags & MR__RUNFLAG_WATCHED) {
        sh->opt.events.log(sh->opt.events.user, run, ref->task, &chunk);
    }
    if (stream == MR__STREAM_TRACE) {
        return;
    }
    if (book->text.len > 0 &&
        (book->stream != stream || book->text.len + len > MR__LOG_CHUNK_BYTES_MAX)) {
        book_flush(sh, book);
    }
    if (book->text.len == 0) {
        book->stream = stream;
        book->time_ms = chunk.time_ms;
    }
    mr__buf_bytes(&book->text, bytes, len);
    mark_dirty(sh, book);
}

/* The attempt is over: its book goes once what it holds is in the batch. */
void mr__logbook_ended(struct mr__shard *sh, const struct mr__run *run, uint32_t task)
{
    uint8_t key[MR__RUN_ID_BYTES + 4];
    uint64_t number;
    if (sh->logbooks.count == 0) {
        return;
    }
    memcpy(key, run->id, MR__RUN_ID_BYTES);
    memcpy(key + MR__RUN_ID_BYTES, &task, 4);
    if (mr__hash_get(&sh->logbooks, key, sizeof key, &number)) {
        struct mr__logbook *book = (struct mr__logbook *)(uintptr_t)number;
        book->ended = true;
        mark_dirty(sh, book);
    }
}

void mr__logbook_hand_over(struct mr__shard *sh)
{
    struct mr__logbook *book = sh->dirty;
    sh->dirty = NULL;
    while (book != NULL) {
        struct mr__logbook *next = book->next_dirty;
        book->dirty = false;
        book_flush(sh, book);
        if (book->ended) {
            book_free(sh, book);
        }
        book = next;
    }
}

void mr__logbook_finish(struct mr__shard *sh)
{
    for (size_t i = 0; i < sh->logbooks.cap; i++) {
        if (sh->logbooks.rows[i].key != NULL) {
            struct mr__logbook *book = (struct mr__logbook *)(uintptr_t)sh->logbooks.rows[i].number;
            mr__buf_finish(&book->text);
            mr__free(book->chunks);
            mr__free(book);
        }
    }
    mr__hash_finish(&sh->logbooks);
    sh->dirty = NULL;
}
