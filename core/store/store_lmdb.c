/* SPDX-License-Identifier: MIT
 *
 * The store port on LMDB. Three kinds of thread meet here:
 *
 *   loop       asks (commit, read) and gets callbacks in poll()
 *   committer  writes one batch at a time, grows the map between two, keeps room on the disk
 *   reader     runs read functions, one after the other
 *
 * `mutex` guards what is handed over. `env_lock` guards the environment: who uses it holds the lock
 * for reading, who replaces it or its map for writing. A commit whose outcome is not known sets
 * `broken`: whoever comes next opens the environment anew before going on.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "core/store/store_lmdb.h"

enum commit_state { COMMIT_IDLE, COMMIT_ASKED, COMMIT_DONE };

struct lmdb_read {
    mr__read_fn fn;
    mr__read_cb cb;
    void *user;
    mr_status status;
    struct lmdb_read *next;
};

struct read_list {
    struct lmdb_read *first, **end;
};

struct lmdb_store {
    struct mr__store base;
    struct mr__lmdb_options options;
    mr__notify_fn notify;
    void *user;
    char *path;

    pthread_rwlock_t env_lock;
    struct mr__lmdb_env env;
    atomic_bool broken;
    atomic_bool nearly_full;
    atomic_uint_fast64_t commits;

    pthread_t committer, reader;
    pthread_mutex_t mutex;
    pthread_cond_t commit_wake, read_wake;
    atomic_bool stop; /* written under the mutex; read functions look at it without */
    /* under the mutex: */
    enum commit_state commit_state;
    struct read_list reads, reads_done;
    size_t reads_count; /* in both lists and in the reader's hands */
    /* of the commit under way; the loop's before it asks and after it is done, else the
     * committer's: */
    const struct mr__batch *batch;
    const struct mr__guard *guard;
    mr__commit_cb commit_cb;
    void *commit_user;
    mr_status commit_status;
    mr_error commit_error;
};

static void lmdb_commit(struct mr__store *base, const struct mr__batch *batch,
                        const struct mr__guard *guard, mr__commit_cb cb, void *user);
static mr_status lmdb_read(struct mr__store *base, mr__read_fn fn, mr__read_cb cb, void *user);
static mr_status lmdb_read_now(struct mr__store *base, mr__read_fn fn, void *user);
static void lmdb_poll(struct mr__store *base);
static bool lmdb_nearly_full(struct mr__store *base);
static mr_status lmdb_stats(struct mr__store *base, struct mr__store_stats *ret_stats);
static void lmdb_close(struct mr__store *base);

static mr_status init_locks(struct lmdb_store *store);
static void finish_locks(struct lmdb_store *store);
static mr_status start_threads(struct lmdb_store *store);
static void *committer_main(void *arg);
static void *reader_main(void *arg);
static mr_status env_enter(struct lmdb_store *store, mr_error *reterr);
static void env_leave(struct lmdb_store *store);

static const struct mr__store_ops lmdb_ops = {
    .commit = lmdb_commit,
    .read = lmdb_read,
    .read_now = lmdb_read_now,
    .poll = lmdb_poll,
    .nearly_full = lmdb_nearly_full,
    .stats = lmdb_stats,
    .close = lmdb_close,
};

/* ---- open and close ---------------------------------------------------------------------------
 */

mr_status mr__store_lmdb_open(const char *path, mr__notify_fn notify, void *user,
                              struct mr__store **ret_store, mr_error *reterr)
{
    struct mr__lmdb_options options = {
        .map_bytes = MR__LMDB_MAP_BYTES,
        .read_ms_max = MR__STORE_READ_MS_MAX,
        .room_look_ms = MR__STORE_RETRY_MS,
    };
    return mr__lmdb_open(path, &options, notify, user, ret_store, reterr);
}

static void read_list_init(struct read_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

mr_status mr__lmdb_open(const char *path, const struct mr__lmdb_options *options,
                        mr__notify_fn notify, void *user, struct mr__store **ret_store,
                        mr_error *reterr)
{
    mr_status status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    struct lmdb_store *store = mr__calloc(1, sizeof *store);
    if (store == NULL) {
        return status;
    }
    store->base.ops = &lmdb_ops;
    store->base.limits = (struct mr__store_limits){
        .ops_max = MR__LMDB_OPS_MAX,
        .bytes_max = MR__LMDB_BYTES_MAX,
        .value_max = MR__LMDB_VALUE_MAX,
    };
    store->options = *options;
    store->notify = notify;
    store->user = user;
    read_list_init(&store->reads);
    read_list_init(&store->reads_done);
    store->path = mr__strdup(path);
    if (store->path == NULL || init_locks(store) != MR_OK) {
        goto fail_free;
    }
    status = mr__lmdb_env_open(&store->env, path, options->map_bytes, false, reterr);
    if (status != MR_OK) {
        goto fail_locks;
    }
    atomic_store(&store->nearly_full, !mr__lmdb_env_reserve(&store->env));
    status = start_threads(store);
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "the store's threads could not be started");
        goto fail_env;
    }
    *ret_store = &store->base;
    return MR_OK;

fail_env:
    mr__lmdb_env_close(&store->env);
fail_locks:
    finish_locks(store);
fail_free:
    mr__free(store->path);
    mr__free(store);
    return status;
}

static mr_status init_locks(struct lmdb_store *store)
{
    pthread_condattr_t monotonic;
    pthread_rwlockattr_t fair;
    if (pthread_condattr_init(&monotonic) != 0) {
        return MR_ENOMEM;
    }
    /* None of these can fail on Linux but for lack of memory, which they do not take. */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_rwlockattr_init(&fair);
    (void)pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->commit_wake, &monotonic);
    (void)pthread_cond_init(&store->read_wake, NULL);
    (void)pthread_rwlock_init(&store->env_lock, &fair);
    (void)pthread_rwlockattr_destroy(&fair);
    (void)pthread_condattr_destroy(&monotonic);
    return MR_OK;
}

static void finish_locks(struct lmdb_store *store)
{
    (void)pthread_rwlock_destroy(&store->env_lock);
    (void)pthread_cond_destroy(&store->read_wake);
    (void)pthread_cond_destroy(&store->commit_wake);
    (void)pthread_mutex_destroy(&store->mutex);
}

static void stop_thread(struct lmdb_store *store, pthread_t thread)
{
    (void)pthread_mutex_lock(&store->mutex);
    atomic_store(&store->stop, true);
    (void)pthread_cond_broadcast(&store->commit_wake);
    (void)pthread_cond_broadcast(&store->read_wake);
    (void)pthread_mutex_unlock(&store->mutex);
    (void)pthread_join(thread, NULL);
}

/* The threads inherit a mask that blocks every signal: those are the host program's. */
static mr_status start_threads(struct lmdb_store *store)
{
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    mr_status status = MR_OK;
    if (pthread_create(&store->committer, NULL, committer_main, store) != 0) {
        status = MR_ENOMEM;
    } else if (pthread_create(&store->reader, NULL, reader_main, store) != 0) {
        stop_thread(store, store->committer);
        status = MR_ENOMEM;
    } else {
        (void)pthread_setname_np(store->committer, "mr-committer");
        (void)pthread_setname_np(store->reader, "mr-reader");
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return status;
}

static void free_reads(struct read_list *list)
{
    while (list->first != NULL) {
        struct lmdb_read *next = list->first->next;
        mr__free(list->first);
        list->first = next;
    }
}

static void lmdb_close(struct mr__store *base)
{
    if (base == NULL) {
        return;
    }
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    stop_thread(store, store->committer);
    stop_thread(store, store->reader);
    free_reads(&store->reads);
    free_reads(&store->reads_done);
    mr__lmdb_env_close(&store->env);
    finish_locks(store);
    mr__free(store->path);
    mr__free(store);
}

/* ---- the loop's side --------------------------------------------------------------------------
 */

static void lmdb_commit(struct mr__store *base, const struct mr__batch *batch,
                        const struct mr__guard *guard, mr__commit_cb cb, void *user)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    (void)pthread_mutex_lock(&store->mutex);
    MR_ASSERT(store->commit_state == COMMIT_IDLE);
    store->batch = batch;
    store->guard = guard;
    store->commit_cb = cb;
    store->commit_user = user;
    store->commit_state = COMMIT_ASKED;
    (void)pthread_mutex_unlock(&store->mutex);
    (void)pthread_cond_signal(&store->commit_wake);
}

static void read_list_add(struct read_list *list, struct lmdb_read *read)
{
    read->next = NULL;
    *list->end = read;
    list->end = &read->next;
}

static mr_status lmdb_read(struct mr__store *base, mr__read_fn fn, mr__read_cb cb, void *user)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    struct lmdb_read *read = mr__malloc(sizeof *read);
    if (read == NULL) {
        return MR_ENOMEM;
    }
    *read = (struct lmdb_read){.fn = fn, .cb = cb, .user = user};
    (void)pthread_mutex_lock(&store->mutex);
    bool fits = store->reads_count < MR__STORE_READS_MAX;
    if (fits) {
        store->reads_count++;
        read_list_add(&store->reads, read);
    }
    (void)pthread_mutex_unlock(&store->mutex);
    if (!fits) {
        mr__free(read);
        return MR_ELIMIT;
    }
    (void)pthread_cond_signal(&store->read_wake);
    return MR_OK;
}

static mr_status lmdb_read_now(struct mr__store *base, mr__read_fn fn, void *user)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    mr_status status = env_enter(store, NULL);
    if (status != MR_OK) {
        return status;
    }
    status = mr__lmdb_read(&store->env, fn, user, 0, NULL);
    env_leave(store);
    return status;
}

static void lmdb_poll(struct mr__store *base)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    mr_error error = {MR_OK, ""};
    (void)pthread_mutex_lock(&store->mutex);
    bool committed = store->commit_state == COMMIT_DONE;
    if (committed) {
        store->commit_state = COMMIT_IDLE;
        if (store->commit_status != MR_OK) {
            error = store->commit_error; /* a callback may begin a commit that writes to it */
        }
    }
    mr_status status = store->commit_status;
    struct lmdb_read *reads = store->reads_done.first;
    read_list_init(&store->reads_done);
    for (struct lmdb_read *read = reads; read != NULL; read = read->next) {
        store->reads_count--;
    }
    (void)pthread_mutex_unlock(&store->mutex);
    if (committed) {
        store->commit_cb(store->commit_user, status, status == MR_OK ? NULL : &error);
    }
    while (reads != NULL) {
        struct lmdb_read *next = reads->next;
        reads->cb(reads->user, reads->status);
        mr__free(reads);
        reads = next;
    }
}

static bool lmdb_nearly_full(struct mr__store *base)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    return atomic_load_explicit(&store->nearly_full, memory_order_relaxed);
}

static mr_status lmdb_stats(struct mr__store *base, struct mr__store_stats *ret_stats)
{
    struct lmdb_store *store = MR__CONTAINER(base, struct lmdb_store, base);
    mr_status status = env_enter(store, NULL);
    if (status != MR_OK) {
        return status;
    }
    struct mr__store_stats stats = {.commits = atomic_load(&store->commits)};
    status = mr__lmdb_count(&store->env, stats.keys);
    if (status == MR_OK) {
        stats.engine = mdb_version(NULL, NULL, NULL);
        stats.bytes_used = mr__lmdb_env_end(&store->env);
        stats.bytes_mapped = store->env.map_bytes;
        stats.room_bytes = mr__lmdb_env_room(&store->env);
        *ret_stats = stats;
    }
    env_leave(store);
    return status;
}

/* ---- the environment's lock -------------------------------------------------------------------
 */

/* Holds the lock for reading on MR_OK, with an environment that is fit for use. */
static mr_status env_enter(struct lmdb_store *store, mr_error *reterr)
{
    for (;;) {
        (void)pthread_rwlock_rdlock(&store->env_lock);
        if (!atomic_load(&store->broken)) {
            return MR_OK;
        }
        (void)pthread_rwlock_unlock(&store->env_lock);
        (void)pthread_rwlock_wrlock(&store->env_lock);
        mr_status status = MR_OK;
        if (atomic_load(&store->broken)) { /* nobody else was quicker */
            uint64_t map_bytes = MR__MAX(store->env.map_bytes, store->options.map_bytes);
            mr__lmdb_env_close(&store->env);
            status = mr__lmdb_env_open(&store->env, store->path, map_bytes, true, reterr);
            atomic_store(&store->broken, status != MR_OK);
        }
        (void)pthread_rwlock_unlock(&store->env_lock);
        if (status != MR_OK) {
            return status;
        }
    }
}

static void env_leave(struct lmdb_store *store)
{
    (void)pthread_rwlock_unlock(&store->env_lock);
}

/* ---- the committer ----------------------------------------------------------------------------
 */

/* What a batch may add to the file: its bytes in whole pages, and the pages above them. */
static uint64_t batch_growth(const struct mr__batch *batch)
{
    return 2 * (uint64_t)batch->bytes.len + ((uint64_t)1 << 20);
}

/* With `must` a long read is waited for; without, growing can wait for the next commit. */
static mr_status grow_map(struct lmdb_store *store, uint64_t bytes, bool must, mr_error *reterr)
{
    if (must) {
        (void)pthread_rwlock_wrlock(&store->env_lock);
    } else if (pthread_rwlock_trywrlock(&store->env_lock) != 0) {
        return MR_EBUSY;
    }
    mr_status status = MR_OK;
    if (!atomic_load(&store->broken)) {
        status = mr__lmdb_env_grow(&store->env, store->path, bytes, reterr);
        if (store->env.env == NULL) {
            atomic_store(&store->broken, true);
        }
    }
    (void)pthread_rwlock_unlock(&store->env_lock);
    return status;
}

/* Early, while there is still room in the map: so that it is never found full. */
static mr_status grow_early(struct lmdb_store *store, mr_error *reterr)
{
    uint64_t bytes = batch_growth(store->batch);
    mr_status status = env_enter(store, reterr);
    if (status != MR_OK) {
        return status;
    }
    bool wants = store->env.map_refused == 0 && mr__lmdb_env_wants_growth(&store->env, bytes);
    bool must = mr__lmdb_env_end(&store->env) + bytes > store->env.map_bytes / 10 * 9;
    env_leave(store);
    if (wants) {
        mr_error ignored;
        (void)grow_map(store, bytes, must, &ignored); /* the batch may fit all the same */
    }
    return MR_OK;
}

/* Not worth opening the environment anew: who uses it next does. */
static void keep_room(struct lmdb_store *store)
{
    (void)pthread_rwlock_rdlock(&store->env_lock);
    if (!atomic_load(&store->broken)) {
        atomic_store_explicit(&store->nearly_full, !mr__lmdb_env_reserve(&store->env),
                              memory_order_relaxed);
    }
    (void)pthread_rwlock_unlock(&store->env_lock);
}

static mr_status write_once(struct lmdb_store *store, bool *ret_map_full)
{
    mr_status status = env_enter(store, &store->commit_error);
    if (status != MR_OK) {
        *ret_map_full = false;
        return status;
    }
    status =
        mr__lmdb_write(&store->env, store->batch, store->guard, ret_map_full, &store->commit_error);
    if (status == MR_EUNKNOWN) {
        atomic_store(&store->broken, true);
    }
    env_leave(store);
    return status;
}

static mr_status write_batch(struct lmdb_store *store)
{
    mr_status status = mr__batch_check(store->batch, &store->base.limits, &store->commit_error);
    if (status != MR_OK) {
        return status;
    }
    bool map_full;
    status = grow_early(store, &store->commit_error);
    if (status != MR_OK) {
        return status;
    }
    status = write_once(store, &map_full);
    while (map_full) {
        mr_status grown = grow_map(store, batch_growth(store->batch), true, &store->commit_error);
        if (grown != MR_OK) {
            status = grown;
            break;
        }
        status = write_once(store, &map_full);
    }
    if (status == MR_OK) {
        atomic_fetch_add(&store->commits, 1);
    }
    keep_room(store);
    return status;
}

/* Waits for a commit; while there is too little room, also for the next time to look for some. */
static void committer_wait(struct lmdb_store *store)
{
    if (!atomic_load(&store->nearly_full)) {
        (void)pthread_cond_wait(&store->commit_wake, &store->mutex);
        return;
    }
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail */
    int64_t ns = at.tv_nsec + store->options.room_look_ms % 1000 * 1000000;
    at.tv_sec += store->options.room_look_ms / 1000 + ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    if (pthread_cond_timedwait(&store->commit_wake, &store->mutex, &at) == ETIMEDOUT &&
        store->commit_state != COMMIT_ASKED) {
        (void)pthread_mutex_unlock(&store->mutex);
        keep_room(store);
        (void)pthread_mutex_lock(&store->mutex);
    }
}

static void *committer_main(void *arg)
{
    struct lmdb_store *store = arg;
    (void)pthread_mutex_lock(&store->mutex);
    for (;;) {
        if (store->commit_state == COMMIT_ASKED) {
            (void)pthread_mutex_unlock(&store->mutex);
            mr_status status = write_batch(store);
            (void)pthread_mutex_lock(&store->mutex);
            store->commit_status = status;
            store->commit_state = COMMIT_DONE;
            (void)pthread_mutex_unlock(&store->mutex);
            store->notify(store->user);
            (void)pthread_mutex_lock(&store->mutex);
        } else if (atomic_load(&store->stop)) {
            break;
        } else {
            committer_wait(store);
        }
    }
    (void)pthread_mutex_unlock(&store->mutex);
    return NULL;
}

/* ---- the reader -------------------------------------------------------------------------------
 */

static mr_status read_one(struct lmdb_store *store, const struct lmdb_read *read)
{
    mr_status status = env_enter(store, NULL);
    if (status == MR_OK) {
        status = mr__lmdb_read(&store->env, read->fn, read->user, store->options.read_ms_max,
                               &store->stop);
        env_leave(store);
    }
    return status;
}

static void *reader_main(void *arg)
{
    struct lmdb_store *store = arg;
    (void)pthread_mutex_lock(&store->mutex);
    while (!atomic_load(&store->stop)) {
        struct lmdb_read *read = store->reads.first;
        if (read == NULL) {
            (void)pthread_cond_wait(&store->read_wake, &store->mutex);
            continue;
        }
        store->reads.first = read->next;
        if (store->reads.first == NULL) {
            store->reads.end = &store->reads.first;
        }
        (void)pthread_mutex_unlock(&store->mutex);
        read->status = read_one(store, read);
        (void)pthread_mutex_lock(&store->mutex);
        read_list_add(&store->reads_done, read);
        (void)pthread_mutex_unlock(&store->mutex);
        store->notify(store->user);
        (void)pthread_mutex_lock(&store->mutex);
    }
    (void)pthread_mutex_unlock(&store->mutex);
    return NULL;
}
