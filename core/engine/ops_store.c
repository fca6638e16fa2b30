/* SPDX-License-Identifier: MIT
 *
 * Ops about the store itself: stats, check, backup and prune. Loop thread; check and backup run on
 * the reader thread.
 */
#include <stdlib.h>

#include "core/engine/backup.h"
#include "core/engine/check.h"
#include "core/engine/engine_impl.h"
#include "core/engine/prune.h"

void mr__op_stats(struct mr__request *request)
{
    static const struct {
        uint8_t table;
        const char *name;
    } tables[] = {{MR__TABLE_CONFIG, "config"}, {MR__TABLE_JOURNAL, "journal"},
                  {MR__TABLE_LIVE, "live"},     {MR__TABLE_HISTORY, "history"},
                  {MR__TABLE_INDEX, "index"},   {MR__TABLE_LOG, "log"}};
    struct mr__engine *engine = request->engine;
    const struct mr__scheduler *s = mr__shard_state(engine->shard);
    struct mr__store_stats stats;
    struct mr__shard_stats shard;
    struct mr__buf *out = &request->out;
    mr_status status = engine->store->ops->stats(engine->store, &stats);
    if (status != MR_OK) {
        mr__answer_fail(request, status, "the store cannot be read: %s", mr_status_text(status));
        return;
    }
    mr__shard_stats(engine->shard, &shard);
    mr__buf_reset(out);
    mr__buf_text(out, "{\"stats\":{\"path\":");
    mr__json_str(out, engine->path, strlen(engine->path));
    mr__buf_printf(out, ",\"format\":%u,\"engine\":\"%s\"", MR__RECORD_FORMAT, stats.engine);
    mr__buf_printf(out, ",\"bytesUsed\":%llu,\"bytesMapped\":%llu",
                   (unsigned long long)stats.bytes_used, (unsigned long long)stats.bytes_mapped);
    if (stats.room_bytes == UINT64_MAX) {
        mr__buf_text(out, ",\"roomBytes\":null");
    } else {
        mr__buf_printf(out, ",\"roomBytes\":%llu", (unsigned long long)stats.room_bytes);
    }
    mr__buf_printf(out, ",\"commits\":%llu,\"keys\":{", (unsigned long long)stats.commits);
    for (size_t i = 0; i < MR__COUNT(tables); i++) {
        mr__buf_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", tables[i].name,
                       (unsigned long long)stats.keys[tables[i].table]);
    }
    mr__buf_printf(out, "},\"runs\":{\"live\":%u,\"dormant\":%u}", s->run_count, s->dormant_count);
    mr__buf_printf(out, ",\"journal\":{\"first\":%llu,\"last\":%llu,\"bytes\":%llu}",
                   (unsigned long long)shard.journal_first, (unsigned long long)shard.journal_last,
                   (unsigned long long)shard.journal_bytes);
    mr__buf_printf(out, ",\"index\":{\"pending\":%zu}},\"end\":true}", shard.index_pending);
    mr__answer(request, true);
}

struct check_job {
    struct mr__request *request;
    struct mr__buf out;
};

/* Reader thread. */
static mr_status check_read(struct mr__snapshot *snapshot, void *user)
{
    struct check_job *job = user;
    bool ok;
    mr__buf_text(&job->out, "{\"check\":");
    return mr__check_snapshot(snapshot, &job->out, &ok);
}

static void check_done(void *user, mr_status status)
{
    struct check_job *job = user;
    mr__buf_text(&job->out, "},\"end\":true}");
    if (status != MR_OK || job->out.failed) {
        mr__answer_fail(job->request, status == MR_OK ? MR_ENOMEM : status,
                        "the store cannot be read: %s", mr_status_text(status));
    } else {
        mr__answer_text(job->request, (const char *)job->out.data, job->out.len, true);
    }
    mr__request_unref(job->request);
    mr__buf_finish(&job->out);
    mr__free(job);
}

static void check_begin(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct check_job *job = user;
    if (status == MR_OK) {
        status = mr__engine_read(job->request->engine, check_read, check_done, job);
    }
    if (status != MR_OK) {
        check_done(job, status);
    }
}

void mr__op_check(struct mr__request *request)
{
    struct check_job *job = mr__calloc(1, sizeof *job);
    if (job == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    job->request = request;
    mr__buf_init(&job->out);
    mr__request_ref(request);
    mr__shard_after(request->engine->shard, check_begin, job);
}

/* ---- backup ------------------------------------------------------------------------------- */

struct backup_job {
    struct mr__request *request;
    const char *dest; /* in the request */
    uint64_t bytes;
    mr_error error;
};

/* Reader thread. */
static mr_status backup_read(struct mr__snapshot *snapshot, void *user)
{
    struct backup_job *job = user;
    return mr__backup(snapshot, job->dest, &job->bytes, &job->error);
}

static void backup_done(void *user, mr_status status)
{
    struct backup_job *job = user;
    struct mr__request *request = job->request;
    if (status != MR_OK) {
        bool told = job->error.status == status;
        mr__answer_fail(request, status, "no copy was made: %s",
                        told ? job->error.message : mr_status_text(status));
    } else {
        mr__buf_reset(&request->out);
        mr__buf_text(&request->out, "{\"backup\":{\"path\":");
        mr__json_str(&request->out, job->dest, strlen(job->dest));
        mr__buf_printf(&request->out, ",\"bytes\":%llu},\"end\":true}",
                       (unsigned long long)job->bytes);
        mr__answer(request, true);
    }
    mr__request_unref(request);
    mr__free(job);
}

static void backup_begin(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct backup_job *job = user;
    if (status == MR_OK) {
        status = mr__engine_read(job->request->engine, backup_read, backup_done, job);
    }
    if (status != MR_OK) {
        backup_done(job, status);
    }
}

void mr__op_backup(struct mr__request *request)
{
    const char *dest = mr__field_str(request, "dest");
    if (dest == NULL || dest[0] != '/' || dest[strlen(dest) - 1] == '/') {
        mr__answer_fail(request, MR_EINVAL,
                        "\"dest\" must be the absolute path of the folder to be made");
        return;
    }
    struct backup_job *job = mr__calloc(1, sizeof *job);
    if (job == NULL) {
        mr__answer_fail(request, MR_ENOMEM, "out of memory");
        return;
    }
    job->request = request;
    job->dest = dest;
    mr__request_ref(request);
    mr__request_hold(request); /* what was begun is done, also if nobody waits for the owner */
    mr__shard_after(request->engine->shard, backup_begin, job);
}

/* ---- prune
 * --------------------------------------------------------------------------------------- */

static void prune_done(void *user, mr_status status, const mr_error *error, uint64_t runs)
{
    struct mr__request *request = user;
    if (status != MR_OK) {
        mr__answer_failed(request, error);
    } else {
        bool dry_run = mr__field_true(request, "dryRun");
        mr__buf_reset(&request->out);
        mr__buf_printf(&request->out, "{\"prune\":{\"runs\":%llu,\"dryRun\":%s},\"end\":true}",
                       (unsigned long long)runs, dry_run ? "true" : "false");
        mr__answer(request, true);
    }
    mr__request_unref(request);
}

void mr__op_prune(struct mr__request *request)
{
    const struct mr__engine *engine = request->engine;
    const char *status = mr__field_str(request, "status");
    int64_t older_ms = mr_value_int(mr_value_get(&request->json, "older"), -1);
    int64_t keep = mr_value_int(mr_value_get(&request->json, "keep"), 0);
    struct mr__prune_options options = {
        .before_ms = older_ms < 0 ? INT64_MAX : engine->clock->wall_ms(engine->clock) - older_ms,
        .keep = keep < 0 ? 0 : (uint64_t)keep,
        .dag = mr__field_str(request, "dag"),
        .status = status == NULL ? -1 : mr__run_status_find(status),
        .dry_run = mr__field_true(request, "dryRun"),
    };
    if (status != NULL && options.status != MR__RUN_SUCCESS && options.status != MR__RUN_FAILED &&
        options.status != MR__RUN_CANCELED) {
        mr__answer_fail(request, MR_EINVAL,
                        "only finished runs can be pruned: success, failed or canceled, not \"%s\"",
                        status);
    } else if (older_ms < 0 && options.keep == 0 && options.dag == NULL && status == NULL) {
        mr__answer_fail(request, MR_EINVAL,
                        "which runs? a prune needs \"older\", \"keep\", \"dag\" or \"status\"");
    } else {
        mr__request_ref(request);
        mr__request_hold(request); /* what was begun is done, also if nobody waits for the owner */
        mr__prune(request->engine, &options, prune_done, request);
    }
}
