/* SPDX-License-Identifier: MIT
 *
 * What the store alone can do: batches of N appended journal entries, one commit after the other,
 * the next batch filled while one is written. Other figures are compared with this one, taken in
 * the same minute on the same disk.
 *
 * usage: bench_store FOLDER [ENTRIES [BYTES [SECONDS]]]    (1000 entries of 64 bytes, 2 seconds)
 * It works in a fresh folder inside FOLDER and removes it. One line of name=value.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/store/store.h"

enum { PATH_BYTES = 4096, LATENCIES_MAX = 1 << 20 };

struct bench {
    struct mr__store *store;
    size_t entries, bytes;
    double seconds;
    uint64_t lsn;
    uint8_t *value;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool rung, done;
    mr_status status;
    uint64_t commits;
    float *latencies; /* in ms, of the first commits */
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_notify(void *user)
{
    struct bench *bench = user;
    (void)pthread_mutex_lock(&bench->mutex);
    bench->rung = true;
    (void)pthread_cond_signal(&bench->cond);
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void on_commit(void *user, mr_status status, const mr_error *error)
{
    struct bench *bench = user;
    bench->done = true;
    bench->status = status;
    if (status != MR_OK) {
        (void)fprintf(stderr, "bench_store: %s\n", error->message);
    }
}

static void wait_commit(struct bench *bench)
{
    while (!bench->done) {
        (void)pthread_mutex_lock(&bench->mutex);
        while (!bench->rung) {
            (void)pthread_cond_wait(&bench->cond, &bench->mutex);
        }
        bench->rung = false;
        (void)pthread_mutex_unlock(&bench->mutex);
        bench->store->ops->poll(bench->store);
    }
}

static void fill(struct bench *bench, struct mr__batch *batch)
{
    mr__batch_reset(batch);
    for (size_t i = 0; i < bench->entries; i++) {
        uint8_t key[11] = {MR__TABLE_JOURNAL, 0, 0};
        uint64_t lsn = bench->lsn++;
        for (int k = 10; k > 2; k--, lsn >>= 8) {
            key[k] = (uint8_t)lsn;
        }
        mr__batch_put(batch, key, sizeof key, bench->value, bench->bytes);
    }
}

static double run(struct bench *bench)
{
    struct mr__batch batches[2];
    mr__batch_init(&batches[0]);
    mr__batch_init(&batches[1]);
    fill(bench, &batches[0]);
    double begin = now(), end = begin + bench->seconds, at = begin;
    for (unsigned turn = 0; bench->status == MR_OK && at < end; turn ^= 1) {
        bench->done = false;
        bench->store->ops->commit(bench->store, &batches[turn], NULL, on_commit, bench);
        fill(bench, &batches[turn ^ 1]);
        wait_commit(bench);
        double after = now();
        if (bench->commits < LATENCIES_MAX) {
            bench->latencies[bench->commits] = (float)((after - at) * 1000);
        }
        bench->commits++;
        at = after;
    }
    mr__batch_finish(&batches[0]);
    mr__batch_finish(&batches[1]);
    return at - begin;
}

static int compare_latencies(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static void print(struct bench *bench, double seconds)
{
    size_t count = bench->commits < LATENCIES_MAX ? (size_t)bench->commits : LATENCIES_MAX;
    double puts = (double)bench->commits * (double)bench->entries;
    struct mr__store_stats stats = {0};
    (void)bench->store->ops->stats(bench->store, &stats);
    qsort(bench->latencies, count, sizeof *bench->latencies, compare_latencies);
    (void)printf("entries=%zu bytes=%zu commits=%" PRIu64 " seconds=%.3f commits_per_second=%.0f "
                 "puts_per_second=%.0f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f file_mb=%.1f\n",
                 bench->entries, bench->bytes, bench->commits, seconds,
                 (double)bench->commits / seconds, puts / seconds, bench->latencies[count / 2],
                 bench->latencies[count * 99 / 100], bench->latencies[count - 1],
                 (double)stats.bytes_used / 1e6);
}

static void remove_folder(const char *path)
{
    const char *names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        char file[PATH_BYTES + 16];
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        (void)unlink(file);
    }
    (void)rmdir(path);
}

int main(int argc, char **argv)
{
    struct bench bench = {.entries = 1000, .bytes = 64, .seconds = 2};
    bench.entries = argc > 2 ? strtoul(argv[2], NULL, 10) : bench.entries;
    bench.bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : bench.bytes;
    bench.seconds = argc > 4 ? strtod(argv[4], NULL) : bench.seconds;
    char path[PATH_BYTES];
    if (argc < 2 || argc > 5 || bench.entries == 0 || bench.bytes > (1u << 30) ||
        snprintf(path, sizeof path, "%s/bench-XXXXXX", argv[1]) >= (int)sizeof path) {
        (void)fprintf(stderr, "usage: bench_store FOLDER [ENTRIES [BYTES [SECONDS]]]\n");
        return 2;
    }
    bench.value = calloc(1, bench.bytes + 1);
    bench.latencies = calloc(LATENCIES_MAX, sizeof *bench.latencies);
    if (bench.value == NULL || bench.latencies == NULL || mkdtemp(path) == NULL) {
        perror("bench_store");
        return 1;
    }
    (void)pthread_mutex_init(&bench.mutex, NULL);
    (void)pthread_cond_init(&bench.cond, NULL);
    mr_error error = {MR_OK, ""};
    bench.status = mr__store_lmdb_open(path, on_notify, &bench, &bench.store, &error);
    if (bench.status != MR_OK) {
        (void)fprintf(stderr, "bench_store: %s\n", error.message);
    } else {
        double seconds = run(&bench);
        if (bench.status == MR_OK && bench.commits > 0) {
            print(&bench, seconds);
        }
        bench.store->ops->close(bench.store);
    }
    remove_folder(path);
    free(bench.value);
    free(bench.latencies);
    return bench.status == MR_OK ? 0 : 1;
}
