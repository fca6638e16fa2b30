/* SPDX-License-Identifier: MIT
 *
 * Listings: ps and runs, newest first. What is in memory (unfinished runs, and finished ones that
 * are not indexed yet) is merged with the index, page by page, so that a listing of millions holds
 * up nobody. Loop thread, but where a job's function says otherwise.
 */
#include <stdlib.h>

#include "core/engine/engine_impl.h"

#define PAGE_LINES 256u
#define PAGE_KEYS  512u

/* A run that is in memory: its line, or where it stands in the history. */
struct item {
    uint8_t id[MR__RUN_ID_BYTES];
    char *line; /* owned; NULL: read it from `place` */
    struct mr__place place;
};

struct list {
    struct mr__request *request;
    /* filters; status -1, dag NULL, since 0: any */
    int status;
    const char *dag;
    const mr_value *tags;
    int64_t since_ms;
    uint64_t limit, sent; /* 0: all */
    bool live_only;

    struct item *items; /* newest first */
    size_t item_count, item_at;
    struct mr__key from, to, cursor; /* of the index, read downwards from the cursor */
    uint8_t keys[PAGE_KEYS][MR__RUN_ID_BYTES];
    struct mr__place places[PAGE_KEYS];
    size_t key_count, key_at;
    bool index_done, done;
    struct mr__buf lines; /* of this page */
    size_t line_count;
    mr_error error;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->item_count; i++) {
        mr__free(list->items[i].line);
    }
    mr__free(list->items);
    mr__buf_finish(&list->lines);
    mr__request_unref(list->request);
    mr__free(list);
}

/* ---- filters
 * ------------------------------------------------------------------------------------- */

static int64_t id_ms(const uint8_t *id)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    return ms;
}

static bool tags_match(const struct list *list, struct mr__blob json)
{
    struct mr__arena arena;
    mr_value tags;
    if (list->tags == NULL || list->tags->len == 0) {
        return true;
    }
    mr__arena_init(&arena);
    bool ok = mr__value_parse(&arena, json.data, json.len, &tags, NULL) == MR_OK;
    for (uint32_t i = 0; i < list->tags->len && ok; i++) {
        const mr_value *have = mr_value_get(&tags, list->tags->u.map[i].key);
        ok = have != NULL && mr__value_equal(have, &list->tags->u.map[i].value);
    }
    mr__arena_finish(&arena);
    return ok;
}

static bool matches(const struct list *list, const struct mr__doc_header *header)
{
    const struct mr__event *created = header->created;
    return (list->status < 0 || header->status == list->status) &&
           (list->dag == NULL || (created->dag.len == strlen(list->dag) &&
                                  memcmp(created->dag.data, list->dag, created->dag.len) == 0)) &&
           created->time_ms >= list->since_ms && tags_match(list, created->tags);
}

static void add_line(struct mr__buf *out, const struct mr__doc_header *header)
{
    mr__buf_text(out, "{\"run\":");
    mr__doc_header(out, header);
    mr__buf_text(out, "}");
}

/* ---- what is in memory
 * --------------------------------------------------------------------------- */

static char *live_line(const struct list *list, const struct mr__run *run)
{
    struct mr__event created;
    struct mr__buf out;
    struct mr__blob log = {(const char *)run->log.data, run->log.len};
    char *line = NULL;
    if (!mr__read_created(log, &created)) {
        return NULL;
    }
    bool over = (run->flags & MR__RUNFLAG_SETTLED) != 0;
    struct mr__doc_header header = {.created = &created,
                                    .status = run->status,
                                    .started_ms = run->began_ms,
                                    .ended_ms = over ? run->last_ms : 0};
    if (!matches(list, &header)) {
        return NULL;
    }
    mr__buf_init(&out);
    add_line(&out, &header);
    if (mr__buf_cstr(&out) != NULL) {
        line = mr__strdup((const char *)out.data);
    }
    mr__buf_finish(&out);
    return line;
}

static int newest_first(const void *a, const void *b)
{
    return memcmp(((const struct item *)b)->id, ((const struct item *)a)->id, MR__RUN_ID_BYTES);
}

static bool collect(struct list *list)
{
    struct mr__shard *shard = list->request->engine->shard;
    const struct mr__scheduler *s = mr__shard_state(shard);
    const struct mr__pending *pending;
    struct mr__shard_stats stats;
    mr__shard_stats(shard, &stats);
    list->items = mr__calloc(s->run_count + stats.index_pending + 1, sizeof *list->items);
    if (list->items == NULL) {
        return false;
    }
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        char *line = run == NULL || (list->live_only && (run->flags & MR__RUNFLAG_SETTLED) != 0)
                         ? NULL
                         : live_line(list, run);
        if (line != NULL) {
            struct item *item = &list->items[list->item_count++];
            memcpy(item->id, run->id, MR__RUN_ID_BYTES);
            item->line = line;
        }
    }
    for (size_t i = 0; !list->live_only && (pending = mr__shard_pending(shard, i)) != NULL; i++) {
        bool wanted = (list->status < 0 || pending->status == list->status) &&
                      (list->dag == NULL || strcmp(mr__pending_dag(pending), list->dag) == 0) &&
                      mr__shard_find(shard, pending->id) == NULL &&
                      mr__shard_pending_find(shard, pending->id) == pending;
        if (wanted) {
            struct item *item = &list->items[list->item_count++];
            memcpy(item->id, pending->id, MR__RUN_ID_BYTES);
            item->place = pending->place;
        }
    }
    qsort(list->items, list->item_count, sizeof list->items[0], newest_first);
    return true;
}

/* ---- reader thread
 * ------------------------------------------------------------------------------- */

static bool add_key(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct list *list = user;
    const uint8_t *id = mr__key_run_id(key);
    memcpy(list->cursor.bytes, key.data, key.len);
    list->cursor.len = key.len;
    if (id != NULL && mr__place_read(value, &list->places[list->key_count])) {
        memcpy(list->keys[list->key_count++], id, MR__RUN_ID_BYTES);
    }
    return true;
}

static mr_status more_keys(struct mr__snapshot *snapshot, struct list *list)
{
    list->key_at = list->key_count = 0;
    mr_status status =
        snapshot->ops->range(snapshot, (struct mr__bytes){list->from.bytes, list->from.len},
                             (struct mr__bytes){list->cursor.bytes, list->cursor.len},
                             MR__RANGE_REVERSE, PAGE_KEYS, add_key, list);
    list->index_done = list->key_count == 0;
    return status;
}

/* The line of a finished run, if it is as the index says and passes the filters. */
static mr_status add_finished(struct mr__snapshot *snapshot, struct list *list,
                              const struct mr__place *place)
{
    struct mr__buf copy;
    struct mr__finished finished;
    struct mr__event created;
    mr__buf_init(&copy);
    mr_status status = mr__read_finished(snapshot, place, &copy, &finished, &list->error);
    if (status == MR_OK && mr__read_created(finished.log, &created)) {
        struct mr__doc_header header = {.created = &created,
                                        .status = finished.status,
                                        .reason = finished.reason,
                                        .started_ms = finished.started_ms,
                                        .ended_ms = finished.ended_ms};
        if (matches(list, &header)) {
            add_line(&list->lines, &header);
            mr__buf_text(&list->lines, "\n");
            list->line_count++;
        }
    }
    mr__buf_finish(&copy);
    return status;
}

/* An entry of another listing than by id may be of before a retry: the one by id says which counts.
 */
static bool is_current(struct mr__snapshot *snapshot, const uint8_t *id,
                       const struct mr__place *place)
{
    struct mr__place current;
    return mr__read_place(snapshot, id, &current) == MR_OK && current.lsn == place->lsn &&
           current.part == place->part && current.offset == place->offset;
}

static mr_status next_line(struct mr__snapshot *snapshot, struct list *list)
{
    const struct item *item = list->item_at < list->item_count ? &list->items[list->item_at] : NULL;
    const uint8_t *key = list->key_at < list->key_count ? list->keys[list->key_at] : NULL;
    if (item == NULL && key == NULL) {
        list->done = true;
        return MR_OK;
    }
    int order = item == NULL ? -1 : key == NULL ? 1 : memcmp(item->id, key, MR__RUN_ID_BYTES);
    if (order >= 0) {
        list->item_at++;
        list->key_at += order == 0; /* memory is newer than the index */
        if (item->line == NULL) {
            mr_status status = add_finished(snapshot, list, &item->place);
            return status == MR_ENOTFOUND ? MR_OK : status; /* indexed and pruned since */
        }
        mr__buf_text(&list->lines, item->line);
        mr__buf_text(&list->lines, "\n");
        list->line_count++;
        return MR_OK;
    }
    const struct mr__place *place = &list->places[list->key_at++];
    if (id_ms(key) < list->since_ms) {
        list->index_done = true;
        list->key_at = list->key_count;
        return MR_OK;
    }
    return is_current(snapshot, key, place) ? add_finished(snapshot, list, place) : MR_OK;
}

static mr_status list_read(struct mr__snapshot *snapshot, void *user)
{
    struct list *list = user;
    mr_status status = MR_OK;
    mr__buf_reset(&list->lines);
    list->line_count = 0;
    for (uint32_t steps = 0; steps < 4 * PAGE_LINES && status == MR_OK && !list->done &&
                             list->line_count < PAGE_LINES &&
                             (list->limit == 0 || list->sent + list->line_count < list->limit);
         steps++) {
        if (list->key_at == list->key_count && !list->index_done) {
            status = more_keys(snapshot, list);
        }
        if (status == MR_OK) {
            status = next_line(snapshot, list);
        }
    }
    return status == MR_OK && list->lines.failed ? MR_ENOMEM : status;
}

/* ---- loop thread
 * --------------------------------------------------------------------------------- */

static void list_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id);

static void list_done(void *user, mr_status status)
{
    struct list *list = user;
    struct mr__request *request = list->request;
    if (status != MR_OK) {
        mr__answer_fail(request, status, "%s",
                        list->error.status == MR_OK ? mr_status_text(status) : list->error.message);
    }
    mr__answer_lines(request, &list->lines);
    list->sent += list->line_count;
    if (request->ended || request->closed) {
        list_free(list);
    } else if (list->done || (list->limit > 0 && list->sent >= list->limit)) {
        mr__answer_text(request, "{\"end\":true}", 12, true);
        list_free(list);
    } else {
        list_next(list, MR_OK, NULL, NULL);
    }
}

static void list_next(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct list *list = user;
    if (status == MR_OK) {
        status = mr__engine_read(list->request->engine, list_read, list_done, list);
    }
    if (status != MR_OK) {
        list->line_count = 0;
        mr__buf_reset(&list->lines);
        list_done(list, status);
    }
}

static bool read_filters(struct mr__request *request, struct list *list)
{
    const char *status = mr__field_str(request, "status");
    list->dag = mr__field_str(request, "dag");
    list->tags = mr_value_get(&request->json, "tags");
    list->since_ms = mr_value_int(mr_value_get(&request->json, "since"), 0);
    list->limit = (uint64_t)mr_value_int(mr_value_get(&request->json, "limit"),
                                         list->live_only ? 0 : MR__LIST_LIMIT_DEFAULT);
    list->status = status == NULL ? -1 : mr__run_status_find(status);
    if (status != NULL && list->status < 0) {
        mr__answer_fail(request, MR_EINVAL,
                        "\"%s\" is no status of a run: init, scheduled, running, success, failed, "
                        "canceled, blocked or paused",
                        status);
        return false;
    }
    return true;
}

static void list_begin(struct mr__request *request, bool live_only)
{
    struct list *list = mr__calloc(1, sizeof *list);
    if (list == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    list->request = request;
    list->live_only = list->index_done = live_only;
    mr__request_ref(request);
    static const uint8_t lowest[MR__RUN_ID_BYTES];
    if (!read_filters(request, list) || !collect(list)) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory"); /* unless it was answered */
        list_free(list);
        return;
    }
    if (list->dag != NULL) {
        mr__key_by_dag(&list->from, list->dag, lowest);
    } else if (list->status >= 0) {
        mr__key_by_status(&list->from, (uint8_t)list->status, lowest);
    } else if (list->tags != NULL && list->tags->type == MR_MAP && list->tags->len > 0) {
        const mr_member *tag = &list->tags->u.map[0];
        mr__key_by_tag(&list->from, tag->key, mr_value_str(&tag->value, ""), lowest);
    } else {
        mr__key_by_id(&list->from, lowest);
    }
    list->from.len -= MR__RUN_ID_BYTES;
    list->cursor = list->from;
    mr__key_after(&list->cursor);
    mr__shard_after(request->engine->shard, list_next, list);
}

void mr__op_ps(struct mr__request *request)
{
    list_begin(request, true);
}

void mr__op_runs(struct mr__request *request)
{
    list_begin(request, false);
}
