/* SPDX-License-Identifier: MIT
 *
 * Counting in a file that many tasks of many runs share, which takes a lock; and in the run's share
 * data, which others see once it is flushed. The file remembers the fencing number of its last
 * writer, and refuses one that has lost the lock without knowing it: its number is smaller.
 */
#include <errno.h>
#include <millrace/plugin.h>
#include <stdio.h>

/* The count and the number of who wrote it; 0 of a file that is not there. */
static mr_status read_count(mr_task *t, const char *path, long long *count,
                            unsigned long long *fence)
{
    FILE *file = fopen(path, "r");
    *count = 0;
    *fence = 0;
    if (file == NULL) {
        return errno == ENOENT ? MR_OK : mr_fail(t, MR_EIO, "cannot read %s", path);
    }
    int found = fscanf(file, "%lld written by %llu", count, fence);
    (void)fclose(file);
    return found == 2 ? MR_OK : mr_fail(t, MR_EFORMAT, "%s is no counter", path);
}

/* The new file takes the old one's place whole. */
static mr_status write_count(mr_task *t, const char *path, long long count,
                             unsigned long long fence)
{
    const char *other = mr_printf(t, "%s.%llu", path, fence);
    FILE *file = other == NULL ? NULL : fopen(other, "w");
    int bad = file == NULL || fprintf(file, "%lld written by %llu\n", count, fence) < 0;
    bad |= file != NULL && fclose(file) != 0;
    return bad || rename(other, path) != 0 ? mr_fail(t, MR_EIO, "cannot write %s", path) : MR_OK;
}

/* In the share data, for everybody in this run: before the lock is let go. */
static mr_status share_count(mr_task *t)
{
    mr_value count = {.type = MR_INT, .u.i = mr_value_int(mr_share_get(t, "counted"), 0) + 1};
    mr_status status = mr_share_set(t, "counted", &count);
    return status == MR_OK ? mr_share_flush(t) : status;
}

static mr_status count_once(mr_task *t, const char *path)
{
    mr_lock_options options = MR_LOCK(.ttl_ms = 10000, .wait_ms = -1);
    long long count;
    unsigned long long before;
    uint64_t fence;
    mr_status status = mr_lock(t, path, &options, &fence);
    if (status != MR_OK) {
        return status;
    }
    status = read_count(t, path, &count, &before);
    if (status == MR_OK && before > fence) {
        status = mr_fail(t, MR_ECONFLICT, "%s was written by a later holder", path);
    }
    if (status == MR_OK) {
        status = write_count(t, path, count + 1, fence);
    }
    if (status == MR_OK) {
        status = share_count(t);
    }
    return status == MR_OK ? mr_unlock(t, path) : status; /* else it goes with the attempt */
}

static mr_status count_run(mr_task *t)
{
    const char *path = mr_printf(t, "%s/%s", mr_info(t)->folder, mr_param_str(t, "file"));
    int64_t times = mr_param_int(t, "times");
    mr_status status = path == NULL ? MR_ENOMEM : MR_OK;
    for (int64_t i = 0; i < times && status == MR_OK; i++) {
        status = count_once(t, path);
        mr_progress(t, (double)(i + 1) / (double)times, "counting");
    }
    mr_logf(t, status == MR_OK ? MR_LOG_INFO : MR_LOG_ERROR, "%s: %s", path,
            mr_status_text(status));
    return status;
}

static const mr_param params[] = {
    {.name = "file", .type = MR_STRING, .flags = MR_REQUIRED, .help = "in the run's folder"},
    {.name = "times", .type = MR_INT, .default_json = "1", .help = "how often"},
    {.name = NULL},
};
static const mr_action action =
    MR_ACTION(.name = "count", .help = "counts in a file that others count in, too",
              .params = params, .run = count_run);
MR_PLUGIN("counter", "1.0.0", &action);
