/* SPDX-License-Identifier: MIT
 *
 * Keys and values. Pure; any thread.
 */
#include "core/store/records.h"

#include "core/base/hash.h"

/* ---- keys --------------------------------------------------------------------------------------
 */

static void key_begin(struct mr__key *key, uint8_t table, uint8_t kind)
{
    key->bytes[0] = table;
    key->bytes[1] = kind;
    key->len = kind == 0 ? 1 : 2;
}

static void key_number(struct mr__key *key, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        key->bytes[key->len++] = (uint8_t)(v >> (8 * i));
    }
}

static void key_bytes(struct mr__key *key, const void *bytes, size_t len)
{
    MR_ASSERT(key->len + len <= MR__STORE_KEY_BYTES_MAX);
    memcpy(key->bytes + key->len, bytes, len);
    key->len += len;
}

/* Text of any length, as itself if it is short, else as its hash; then a NUL. */
static void key_text(struct mr__key *key, const char *text, size_t len)
{
    if (len <= MR__ID_BYTES_MAX && memchr(text, 0, len) == NULL) {
        key_bytes(key, text, len);
    } else {
        uint8_t digest[17] = {0xff}; /* no UTF-8 begins with this byte */
        mr__hash128(text, len, digest + 1);
        key_bytes(key, digest, sizeof digest);
    }
    key_number(key, 0, 1);
}

void mr__key_definition(struct mr__key *key, const char *dag_id, const uint8_t version[16])
{
    key_begin(key, MR__TABLE_CONFIG, 'd');
    key_text(key, dag_id, strlen(dag_id));
    key_bytes(key, version, 16);
}

void mr__key_pushed(struct mr__key *key, const char *dag_id)
{
    key_begin(key, MR__TABLE_CONFIG, 'p');
    key_text(key, dag_id, strlen(dag_id));
}

static bool key_dag_id(struct mr__bytes key, char kind, struct mr__blob *ret_dag_id)
{
    const char *bytes = key.data;
    if (key.len < 4 || bytes[0] != MR__TABLE_CONFIG || bytes[1] != kind ||
        bytes[key.len - 1] != 0) {
        return false;
    }
    *ret_dag_id = (struct mr__blob){bytes + 2, key.len - 3};
    return ret_dag_id->len <= MR__ID_BYTES_MAX && memchr(bytes + 2, 0, ret_dag_id->len) == NULL;
}

bool mr__key_pushed_id(struct mr__bytes key, struct mr__blob *ret_dag_id)
{
    return key_dag_id(key, 'p', ret_dag_id);
}

void mr__key_schedule(struct mr__key *key, const char *dag_id)
{
    key_begin(key, MR__TABLE_CONFIG, 's');
    key_text(key, dag_id, strlen(dag_id));
}

bool mr__key_schedule_id(struct mr__bytes key, struct mr__blob *ret_dag_id)
{
    return key_dag_id(key, 's', ret_dag_id);
}

void mr__key_owner(struct mr__key *key, uint16_t shard)
{
    key_begin(key, MR__TABLE_CONFIG, 'o');
    key_number(key, shard, 2);
}

void mr__key_indexed(struct mr__key *key, uint16_t shard)
{
    key_begin(key, MR__TABLE_CONFIG, 'i');
    key_number(key, shard, 2);
}

void mr__key_journal(struct mr__key *key, uint16_t shard, uint64_t lsn, uint16_t part)
{
    key_begin(key, MR__TABLE_JOURNAL, 0);
    key_number(key, shard, 2);
    key_number(key, lsn, 8);
    key_number(key, part, 2);
}

void mr__key_live(struct mr__key *key, uint16_t shard, const uint8_t *run_id)
{
    key_begin(key, MR__TABLE_LIVE, 0);
    key_number(key, shard, 2);
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
}

void mr__key_history(struct mr__key *key, uint16_t shard, uint64_t lsn, uint16_t part)
{
    mr__key_journal(key, shard, lsn, part);
    key->bytes[0] = MR__TABLE_HISTORY;
}

void mr__key_by_id(struct mr__key *key, const uint8_t *run_id)
{
    key_begin(key, MR__TABLE_INDEX, 'i');
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
}

void mr__key_by_dag(struct mr__key *key, const char *dag_id, const uint8_t *run_id)
{
    key_begin(key, MR__TABLE_INDEX, 'd');
    key_text(key, dag_id, strlen(dag_id));
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
}

void mr__key_by_status(struct mr__key *key, uint8_t status, const uint8_t *run_id)
{
    key_begin(key, MR__TABLE_INDEX, 's');
    key_number(key, status, 1);
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
}

void mr__key_by_tag(struct mr__key *key, const char *tag, const char *value, const uint8_t *run_id)
{
    key_begin(key, MR__TABLE_INDEX, 't');
    key_text(key, tag, strlen(tag));
    key_text(key, value, strlen(value));
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
}

void mr__key_idempotency(struct mr__key *key, struct mr__blob idempotency_key)
{
    key_begin(key, MR__TABLE_INDEX, 'k');
    key_text(key, idempotency_key.data, idempotency_key.len);
}

void mr__key_log(struct mr__key *key, const uint8_t *run_id, enum mr__log_kind kind, uint32_t task,
                 uint64_t n)
{
    key_begin(key, MR__TABLE_LOG, 0);
    key_bytes(key, run_id, MR__RUN_ID_BYTES);
    key_number(key, kind, 1);
    key_number(key, task, 4);
    key_number(key, n, 8);
}

static uint64_t key_read(const uint8_t *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) {
        v = v << 8 | at[i];
    }
    return v;
}

#define LOG_KEY_BYTES (1 + MR__RUN_ID_BYTES + 1 + 4 + 8)

uint64_t mr__key_log_n(struct mr__bytes key)
{
    return key.len == LOG_KEY_BYTES ? key_read((const uint8_t *)key.data + LOG_KEY_BYTES - 8, 8)
                                    : 0;
}

const uint8_t *mr__key_run_id(struct mr__bytes key)
{
    return key.len < 2 + MR__RUN_ID_BYTES ? NULL
                                          : (const uint8_t *)key.data + key.len - MR__RUN_ID_BYTES;
}

bool mr__key_lsn(struct mr__bytes key, uint64_t *ret_lsn, uint16_t *ret_part)
{
    const uint8_t *at = key.data;
    if (key.len != 13) {
        return false;
    }
    *ret_lsn = key_read(at + 3, 8);
    *ret_part = (uint16_t)key_read(at + 11, 2);
    return true;
}

void mr__key_after(struct mr__key *key)
{
    while (key->len > 0 && key->bytes[key->len - 1] == 0xff) {
        key->len--;
    }
    MR_ASSERT(key->len > 0); /* no table is 0xff */
    key->bytes[key->len - 1]++;
}

/* ---- records -----------------------------------------------------------------------------------
 */

size_t mr__record_begin(struct mr__buf *buf)
{
    size_t begin = buf->len;
    mr__buf_u8(buf, MR__RECORD_FORMAT);
    return begin;
}

void mr__record_end(struct mr__buf *buf, size_t begin)
{
    if (!buf->failed) {
        mr__buf_u64le(buf, mr__hash64(buf->data + begin, buf->len - begin));
    }
}

mr_status mr__record_open(struct mr__bytes value, const char *what, struct mr__reader *ret_reader,
                          mr_error *reterr)
{
    const uint8_t *bytes = value.data;
    if (value.len < 9) {
        return mr__error_set(reterr, MR_EFORMAT, "%s is cut short (%zu bytes)", what, value.len);
    }
    if (bytes[0] != MR__RECORD_FORMAT) {
        return mr__error_set(reterr, MR_EFORMAT, "%s has format %u; this version reads format %u",
                             what, bytes[0], MR__RECORD_FORMAT);
    }
    struct mr__reader sum;
    mr__reader_init(&sum, bytes + value.len - 8, 8);
    if (mr__read_u64le(&sum) != mr__hash64(bytes, value.len - 8)) {
        return mr__error_set(reterr, MR_EFORMAT, "%s is damaged: its checksum does not match",
                             what);
    }
    mr__reader_init(ret_reader, bytes + 1, value.len - 9);
    return MR_OK;
}

static void read_blob(struct mr__reader *r, struct mr__blob *ret_blob)
{
    ret_blob->data = (const char *)mr__read_blob(r, &ret_blob->len);
}

static mr_status finish_read(const struct mr__reader *r, const char *what, mr_error *reterr)
{
    if (r->failed || r->at != r->end) {
        return mr__error_set(reterr, MR_EFORMAT, "%s is damaged: its fields do not add up", what);
    }
    return MR_OK;
}

void mr__journal_part_write(struct mr__buf *buf, const struct mr__journal_part *part)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_u8(buf, MR__EVENT_FORMAT);
    mr__buf_u8(buf, part->last);
    mr__buf_varint(buf, part->event_count);
    mr__buf_blob(buf, part->events.data, part->events.len);
    mr__record_end(buf, begin);
}

mr_status mr__journal_part_read(struct mr__bytes value, struct mr__journal_part *ret_part,
                                mr_error *reterr)
{
    struct mr__reader r;
    mr_status status = mr__record_open(value, "a journal entry", &r, reterr);
    if (status != MR_OK) {
        return status;
    }
    uint8_t format = mr__read_u8(&r);
    if (format != MR__EVENT_FORMAT) {
        return mr__error_set(reterr, MR_EFORMAT,
                             "a journal entry has events of format %u; this version reads %u",
                             format, MR__EVENT_FORMAT);
    }
    ret_part->last = mr__read_u8(&r) != 0;
    ret_part->event_count = (uint32_t)mr__read_varint(&r);
    read_blob(&r, &ret_part->events);
    return finish_read(&r, "a journal entry", reterr);
}

void mr__live_write(struct mr__buf *buf, const struct mr__live *live)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_u8(buf, MR__EVENT_FORMAT);
    mr__buf_varint(buf, live->lsn);
    mr__buf_varint(buf, live->slot);
    mr__buf_blob(buf, live->log.data, live->log.len);
    mr__record_end(buf, begin);
}

mr_status mr__live_read(struct mr__bytes value, struct mr__live *ret_live, mr_error *reterr)
{
    struct mr__reader r;
    mr_status status = mr__record_open(value, "a checkpoint", &r, reterr);
    if (status != MR_OK) {
        return status;
    }
    if (mr__read_u8(&r) != MR__EVENT_FORMAT) {
        return mr__error_set(reterr, MR_EFORMAT, "a checkpoint has events of an unknown format");
    }
    ret_live->lsn = mr__read_varint(&r);
    ret_live->slot = (uint32_t)mr__read_varint(&r);
    read_blob(&r, &ret_live->log);
    return finish_read(&r, "a checkpoint", reterr);
}

void mr__finished_write(struct mr__buf *buf, const struct mr__finished *finished)
{
    mr__buf_u8(buf, MR__EVENT_FORMAT);
    mr__buf_u8(buf, finished->status);
    mr__buf_zigzag(buf, finished->started_ms);
    mr__buf_zigzag(buf, finished->ended_ms);
    mr__buf_blob(buf, finished->reason.data, finished->reason.len);
    mr__buf_blob(buf, finished->log.data, finished->log.len);
}

bool mr__finished_read(struct mr__reader *r, struct mr__finished *ret_finished)
{
    r->failed |= mr__read_u8(r) != MR__EVENT_FORMAT;
    ret_finished->status = mr__read_u8(r);
    r->failed |= ret_finished->status >= MR__RUN_STATUSES;
    ret_finished->started_ms = mr__read_zigzag(r);
    ret_finished->ended_ms = mr__read_zigzag(r);
    read_blob(r, &ret_finished->reason);
    read_blob(r, &ret_finished->log);
    return !r->failed;
}

#define GAP 0 /* where a run's format would stand; then a varint: its bytes */

mr_status mr__part_open(struct mr__bytes value, const char *what, struct mr__part *ret_part,
                        mr_error *reterr)
{
    *ret_part = (struct mr__part){.offset = 1}; /* the record's own format byte */
    return mr__record_open(value, what, &ret_part->r, reterr);
}

bool mr__part_next(struct mr__part *part, struct mr__finished *ret_finished)
{
    struct mr__reader *r = &part->r;
    while (mr__reader_left(r) > 0 && *r->at == GAP) {
        (void)mr__read_u8(r); /* it is one */
        uint64_t bytes = mr__read_varint(r);
        r->failed |= bytes > UINT32_MAX - part->offset;
        if (r->failed) {
            return false;
        }
        part->offset += (uint32_t)bytes;
    }
    const uint8_t *begin = r->at;
    if (mr__reader_left(r) == 0 || !mr__finished_read(r, ret_finished)) {
        return false;
    }
    part->run = (struct mr__blob){(const char *)begin, (size_t)(r->at - begin)};
    part->run_offset = part->offset;
    part->offset += (uint32_t)part->run.len;
    return true;
}

bool mr__part_find(struct mr__part *part, uint32_t offset, struct mr__finished *ret_finished)
{
    struct mr__reader *r = &part->r;
    if (mr__reader_left(r) > 0 && *r->at != GAP) {
        if (offset == 0 || offset - 1 >= mr__reader_left(r)) {
            return false;
        }
        r->at += offset - 1;
        part->offset = offset;
        return mr__part_next(part, ret_finished);
    }
    while (part->offset <= offset && mr__part_next(part, ret_finished)) {
        if (part->run_offset >= offset) {
            return part->run_offset == offset;
        }
    }
    return false;
}

size_t mr__part_keep_begin(struct mr__buf *buf, uint32_t *ret_at)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_u8(buf, GAP);
    mr__buf_varint(buf, 0);
    *ret_at = 1;
    return begin;
}

void mr__part_keep(struct mr__buf *buf, uint32_t *at, uint32_t offset, struct mr__blob run)
{
    if (offset > *at) {
        mr__buf_u8(buf, GAP);
        mr__buf_varint(buf, offset - *at);
    }
    mr__buf_bytes(buf, run.data, run.len);
    *at = offset + (uint32_t)run.len;
}

void mr__place_write(const struct mr__place *place, uint8_t ret_bytes[MR__PLACE_BYTES])
{
    struct mr__key key = {.len = 0};
    key_number(&key, place->lsn, 8);
    key_number(&key, place->part, 2);
    key_number(&key, place->offset, 4);
    memcpy(ret_bytes, key.bytes, MR__PLACE_BYTES);
}

bool mr__place_read(struct mr__bytes value, struct mr__place *ret_place)
{
    const uint8_t *at = value.data;
    if (value.len != MR__PLACE_BYTES) {
        return false;
    }
    ret_place->lsn = key_read(at, 8);
    ret_place->part = (uint16_t)key_read(at + 8, 2);
    ret_place->offset = (uint32_t)key_read(at + 10, 4);
    return true;
}

void mr__definition_write(struct mr__buf *buf, const struct mr__definition *definition)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_blob(buf, definition->file.data, definition->file.len);
    mr__buf_blob(buf, definition->default_id.data, definition->default_id.len);
    mr__buf_blob(buf, definition->text.data, definition->text.len);
    if (definition->compat) {
        mr__buf_u8(buf, 1); /* not there: 0 */
    }
    mr__record_end(buf, begin);
}

mr_status mr__definition_read(struct mr__bytes value, struct mr__definition *ret_definition,
                              mr_error *reterr)
{
    struct mr__reader r;
    mr_status status = mr__record_open(value, "a dag's text", &r, reterr);
    if (status != MR_OK) {
        return status;
    }
    read_blob(&r, &ret_definition->file);
    read_blob(&r, &ret_definition->default_id);
    read_blob(&r, &ret_definition->text);
    ret_definition->compat = !r.failed && mr__reader_left(&r) > 0 && mr__read_u8(&r) != 0;
    return finish_read(&r, "a dag's text", reterr);
}

void mr__pushed_write(struct mr__buf *buf, const struct mr__pushed *pushed)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_bytes(buf, pushed->version, sizeof pushed->version);
    mr__buf_u8(buf, (uint8_t)(pushed->stopped | pushed->text_stopped << 1));
    mr__buf_zigzag(buf, pushed->pushed_ms);
    mr__buf_varint(buf, pushed->task_count);
    mr__buf_blob(buf, pushed->file.data, pushed->file.len);
    mr__buf_blob(buf, pushed->folder.data, pushed->folder.len);
    mr__buf_blob(buf, pushed->cron.data, pushed->cron.len);
    mr__buf_blob(buf, pushed->timezone.data, pushed->timezone.len);
    mr__buf_u8(buf, pushed->overlap);
    mr__buf_u8(buf, pushed->catchup);
    mr__buf_zigzag(buf, pushed->from_ms);
    mr__record_end(buf, begin);
}

mr_status mr__pushed_read(struct mr__bytes value, struct mr__pushed *ret_pushed, mr_error *reterr)
{
    struct mr__reader r;
    mr_status status = mr__record_open(value, "a pushed dag", &r, reterr);
    if (status != MR_OK) {
        return status;
    }
    const uint8_t *version = mr__read_bytes(&r, sizeof ret_pushed->version);
    if (version != NULL) {
        memcpy(ret_pushed->version, version, sizeof ret_pushed->version);
    }
    uint8_t flags = mr__read_u8(&r);
    ret_pushed->stopped = (flags & 1) != 0;
    ret_pushed->text_stopped = (flags & 2) != 0;
    ret_pushed->pushed_ms = mr__read_zigzag(&r);
    ret_pushed->task_count = (uint32_t)mr__read_varint(&r);
    read_blob(&r, &ret_pushed->file);
    read_blob(&r, &ret_pushed->folder);
    read_blob(&r, &ret_pushed->cron);
    read_blob(&r, &ret_pushed->timezone);
    ret_pushed->overlap = mr__read_u8(&r);
    ret_pushed->catchup = mr__read_u8(&r);
    ret_pushed->from_ms =
        !r.failed && mr__reader_left(&r) > 0 ? mr__read_zigzag(&r) : ret_pushed->pushed_ms;
    return finish_read(&r, "a pushed dag", reterr);
}

void mr__schedule_mark_write(struct mr__buf *buf, const struct mr__schedule_mark *mark)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_zigzag(buf, mark->decided_ms);
    mr__buf_varint(buf, mark->skipped);
    mr__buf_zigzag(buf, mark->skipped_ms);
    mr__buf_varint(buf, mark->waiting_count);
    for (uint32_t i = 0; i < mark->waiting_count; i++) {
        mr__buf_zigzag(buf, mark->waiting[i]);
    }
    mr__record_end(buf, begin);
}

mr_status mr__schedule_mark_read(struct mr__bytes value, struct mr__schedule_mark *ret_mark,
                                 mr_error *reterr)
{
    struct mr__reader r;
    mr_status status = mr__record_open(value, "a schedule's mark", &r, reterr);
    if (status != MR_OK) {
        return status;
    }
    *ret_mark = (struct mr__schedule_mark){.decided_ms = mr__read_zigzag(&r)};
    ret_mark->skipped = mr__read_varint(&r);
    ret_mark->skipped_ms = mr__read_zigzag(&r);
    uint64_t count = mr__read_varint(&r);
    r.failed |= count > MR__SCHEDULE_QUEUE_MAX;
    for (; ret_mark->waiting_count < count && !r.failed; ret_mark->waiting_count++) {
        ret_mark->waiting[ret_mark->waiting_count] = mr__read_zigzag(&r);
    }
    return finish_read(&r, "a schedule's mark", reterr);
}

void mr__log_chunk_write(struct mr__buf *buf, const struct mr__log_chunk *chunk)
{
    size_t begin = mr__record_begin(buf);
    mr__buf_u8(buf, chunk->stream);
    mr__buf_varint(buf, chunk->attempt);
    mr__buf_zigzag(buf, chunk->time_ms);
    mr__buf_blob(buf, chunk->text.data, chunk->text.len);
    mr__record_end(buf, begin);
}

bool mr__log_chunk_read(struct mr__bytes value, struct mr__log_chunk *ret_chunk)
{
    struct mr__reader r;
    if (mr__record_open(value, "a log chunk", &r, NULL) != MR_OK) {
        return false;
    }
    ret_chunk->stream = mr__read_u8(&r);
    ret_chunk->attempt = (uint32_t)mr__read_varint(&r);
    ret_chunk->time_ms = mr__read_zigzag(&r);
    read_blob(&r, &ret_chunk->text);
    return !r.failed && r.at == r.end;
}
