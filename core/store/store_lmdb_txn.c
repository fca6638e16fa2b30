/* SPDX-License-Identifier: MIT
 *
 * The two kinds of transaction: a batch written whole, and a snapshot read. Called with the store's
 * env lock held for reading, so that the map stays where it is.
 *
 * Puts go through one cursor a table, in key order: neighbours then share the way down the tree.
 * Deletes use a fresh cursor each while none is open on their table, because LMDB has had faults
 * where one cursor deletes under another.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/store/store_lmdb.h"

struct writer {
    struct mr__lmdb_env *env;
    MDB_txn *txn;
    const struct mr__batch *batch;
    MDB_cursor *cursors[MR__LMDB_TABLES]; /* for puts; NULL: not open */
    bool append_failed;                   /* the journal's keys are not in order this time */
};

struct lmdb_snapshot {
    struct mr__snapshot base;
    struct mr__lmdb_env *env;
    MDB_txn *txn;
    int64_t end_ms; /* 0: none */
    const atomic_bool *stop;
};

static int check_guard(struct writer *w, const struct mr__guard *guard);
static int apply(struct writer *w);
static int apply_puts(struct writer *w, size_t from, size_t to);
static int apply_sorted(struct writer *w, size_t from, size_t to);
static int apply_op(struct writer *w, const struct mr__op *op);
static int apply_put(struct writer *w, size_t table, MDB_val *key, MDB_val *value);
static int apply_del_range(struct writer *w, struct mr__bytes from, struct mr__bytes to);
static int del_range_in(struct writer *w, size_t table, struct mr__bytes from, struct mr__bytes to);
static void close_cursors(struct writer *w);
static mr_status commit_failed(struct writer *w, int code, mr_error *reterr);
static mr_status snapshot_get(struct mr__snapshot *s, const void *key, size_t len,
                              struct mr__bytes *ret_value);
static mr_status snapshot_range(struct mr__snapshot *s, struct mr__bytes from, struct mr__bytes to,
                                uint32_t flags, size_t limit, mr__range_cb cb, void *user);

static mr_status snapshot_copy(struct mr__snapshot *s, int fd, mr_error *reterr);

static const struct mr__snapshot_ops snapshot_ops = {
    .get = snapshot_get, .range = snapshot_range, .copy = snapshot_copy};

/* ---- keys -------------------------------------------------------------------------------------
 */

static int compare(struct mr__bytes a, struct mr__bytes b)
{
    size_t len = MR__MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static struct mr__bytes op_key(const struct mr__batch *batch, const struct mr__op *op)
{
    return (struct mr__bytes){batch->bytes.data + op->key, op->key_len};
}

static struct mr__bytes bytes_of(const MDB_val *val)
{
    return (struct mr__bytes){val->mv_data, val->mv_size};
}

/* MR__LMDB_TABLES: none. */
static size_t table_of(uint8_t byte)
{
    size_t i = 0;
    while (i < MR__LMDB_TABLES && mr__lmdb_tables[i].byte != byte) {
        i++;
    }
    return i;
}

static bool table_within(size_t table, struct mr__bytes from, struct mr__bytes to)
{
    uint8_t byte = mr__lmdb_tables[table].byte, next = (uint8_t)(byte + 1);
    return compare(from, (struct mr__bytes){&next, 1}) < 0 &&
           compare((struct mr__bytes){&byte, 1}, to) < 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

mr_status mr__lmdb_write(struct mr__lmdb_env *env, const struct mr__batch *batch,
                         const struct mr__guard *guard, bool *ret_map_full, mr_error *reterr)
{
    struct writer w = {.env = env, .batch = batch};
    *ret_map_full = false;
    int rc = mdb_txn_begin(env->env, NULL, 0, &w.txn);
    if (rc != 0) {
        return mr__lmdb_error(reterr, rc, "beginning a commit");
    }
    rc = check_guard(&w, guard);
    if (rc == MDB_NOTFOUND) {
        mdb_txn_abort(w.txn);
        return mr__error_set(reterr, MR_ECONFLICT, "the guard's key holds another value");
    }
    if (rc == 0) {
        rc = apply(&w);
    }
    close_cursors(&w);
    if (rc != 0) {
        mdb_txn_abort(w.txn);
        *ret_map_full = rc == MDB_MAP_FULL;
        return mr__lmdb_error(reterr, rc, "writing a batch");
    }
    rc = mdb_txn_commit(w.txn);
    *ret_map_full = rc == MDB_MAP_FULL;
    return rc == 0 ? MR_OK : commit_failed(&w, rc, reterr);
}

/* MDB_NOTFOUND: it does not hold. */
static int check_guard(struct writer *w, const struct mr__guard *guard)
{
    if (guard == NULL || guard->key.len == 0) {
        return 0;
    }
    MDB_val key = {guard->key.len, (void *)guard->key.data}, value;
    size_t table = table_of(((const uint8_t *)guard->key.data)[0]);
    int rc =
        table == MR__LMDB_TABLES ? MDB_NOTFOUND : mdb_get(w->txn, w->env->dbi[table], &key, &value);
    if (rc == 0 && compare(bytes_of(&value), guard->value) != 0) {
        rc = MDB_NOTFOUND;
    }
    return rc;
}

/* Between two deletions of ranges the operations may be put in key order. */
static int apply(struct writer *w)
{
    const struct mr__op *ops = w->batch->ops;
    int rc = 0;
    for (size_t i = 0, end; rc == 0 && i < w->batch->count; i = end) {
        end = i;
        while (end < w->batch->count && ops[end].kind != MR__OP_DEL_RANGE) {
            end++;
        }
        if (end > i) {
            rc = apply_puts(w, i, end);
        } else {
            struct mr__bytes to = {w->batch->bytes.data + ops[i].value, ops[i].value_len};
            rc = apply_del_range(w, op_key(w->batch, &ops[i]), to);
            end = i + 1;
        }
    }
    return rc;
}

static int apply_puts(struct writer *w, size_t from, size_t to)
{
    const struct mr__batch *batch = w->batch;
    const struct mr__op *last[MR__LMDB_TABLES] = {NULL};
    for (size_t i = from; i < to; i++) {
        const struct mr__op *op = &batch->ops[i];
        size_t table = table_of(batch->bytes.data[op->key]);
        MR_ASSERT(table < MR__LMDB_TABLES); /* the batch has been checked */
        if (last[table] != NULL && compare(op_key(batch, last[table]), op_key(batch, op)) > 0) {
            return apply_sorted(w, from, to);
        }
        last[table] = op;
    }
    int rc = 0;
    for (size_t i = from; rc == 0 && i < to; i++) {
        rc = apply_op(w, &batch->ops[i]);
    }
    return rc;
}

/* Of two operations on one key the later one stays later. */
static int apply_sorted_compare(const void *a, const void *b, void *user)
{
    const struct mr__op *left = *(const struct mr__op *const *)a;
    const struct mr__op *right = *(const struct mr__op *const *)b;
    int order = compare(op_key(user, left), op_key(user, right));
    return order != 0 ? order : (left > right) - (left < right);
}

static int apply_sorted(struct writer *w, size_t from, size_t to)
{
    const struct mr__op **list = mr__malloc((to - from) * sizeof *list);
    if (list == NULL) {
        return ENOMEM;
    }
    for (size_t i = from; i < to; i++) {
        list[i - from] = &w->batch->ops[i];
    }
    qsort_r(list, to - from, sizeof *list, apply_sorted_compare, (void *)w->batch);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < to - from; i++) {
        rc = apply_op(w, list[i]);
    }
    mr__free(list);
    return rc;
}

static int apply_op(struct writer *w, const struct mr__op *op)
{
    uint8_t *bytes = w->batch->bytes.data;
    size_t table = table_of(bytes[op->key]);
    MDB_val key = {op->key_len, bytes + op->key};
    if (op->kind == MR__OP_PUT) {
        MDB_val value = {op->value_len, bytes + op->value};
        return apply_put(w, table, &key, &value);
    }
    MR_ASSERT(op->kind == MR__OP_DEL);
    if (w->cursors[table] != NULL) {
        mdb_cursor_close(w->cursors[table]);
        w->cursors[table] = NULL;
    }
    int rc = mdb_del(w->txn, w->env->dbi[table], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply_put(struct writer *w, size_t table, MDB_val *key, MDB_val *value)
{
    int rc = 0;
    if (w->cursors[table] == NULL) {
        rc = mdb_cursor_open(w->txn, w->env->dbi[table], &w->cursors[table]);
        if (rc != 0) {
            w->cursors[table] = NULL;
            return rc;
        }
    }
    MDB_cursor *cursor = w->cursors[table];
    if (mr__lmdb_tables[table].byte == MR__TABLE_JOURNAL && !w->append_failed) {
        rc = mdb_cursor_put(cursor, key, value, MDB_APPEND);
        if (rc != MDB_KEYEXIST) {
            return rc;
        }
        w->append_failed = true;
    }
    return mdb_cursor_put(cursor, key, value, 0);
}

static int apply_del_range(struct writer *w, struct mr__bytes from, struct mr__bytes to)
{
    int rc = 0;
    close_cursors(w);
    for (size_t i = 0; rc == 0 && i < MR__LMDB_TABLES; i++) {
        if (table_within(i, from, to)) {
            rc = del_range_in(w, i, from, to);
        }
    }
    return rc;
}

static int del_range_in(struct writer *w, size_t table, struct mr__bytes from, struct mr__bytes to)
{
    int rc = 0;
    while (rc == 0) {
        MDB_cursor *cursor;
        MDB_val key = {from.len, (void *)from.data}, value;
        rc = mdb_cursor_open(w->txn, w->env->dbi[table], &cursor);
        if (rc != 0) {
            return rc;
        }
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (rc == 0) {
            rc = compare(bytes_of(&key), to) < 0 ? mdb_cursor_del(cursor, 0) : MDB_NOTFOUND;
        }
        mdb_cursor_close(cursor);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void close_cursors(struct writer *w)
{
    for (size_t i = 0; i < MR__LMDB_TABLES; i++) {
        if (w->cursors[i] != NULL) {
            mdb_cursor_close(w->cursors[i]);
            w->cursors[i] = NULL;
        }
    }
}

/* A commit fails before its meta page is written, then nothing was, or while it is: then LMDB lets
 * nobody begin a transaction any more, and only the disk knows. */
static mr_status commit_failed(struct writer *w, int code, mr_error *reterr)
{
    MDB_txn *probe;
    int rc = mdb_txn_begin(w->env->env, NULL, MDB_RDONLY, &probe);
    if (rc == 0) {
        mdb_txn_abort(probe);
    }
    if (rc == MDB_PANIC || code == MDB_PANIC) {
        return mr__error_set(reterr, MR_EUNKNOWN, "the end of a commit failed: %s",
                             mdb_strerror(code));
    }
    /* LMDB calls a short write EIO, which on a full disk is just that. */
    struct statvfs fs;
    if (code == EIO && fstatvfs(w->env->fd, &fs) == 0 &&
        (uint64_t)fs.f_bavail * fs.f_frsize < w->batch->bytes.len + (1u << 20)) {
        code = ENOSPC;
    }
    return mr__lmdb_error(reterr, code, "writing a commit");
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

mr_status mr__lmdb_read(struct mr__lmdb_env *env, mr__read_fn fn, void *user, int64_t limit_ms,
                        const atomic_bool *stop)
{
    struct lmdb_snapshot snapshot = {.base.ops = &snapshot_ops, .env = env, .stop = stop};
    snapshot.end_ms = limit_ms == 0 ? 0 : now_ms() + limit_ms;
    int rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &snapshot.txn);
    if (rc != 0) {
        return mr__lmdb_error(NULL, rc, "");
    }
    mr_status status = fn(&snapshot.base, user);
    mdb_txn_abort(snapshot.txn);
    return status;
}

static mr_status snapshot_ended(const struct lmdb_snapshot *snapshot)
{
    if (snapshot->stop != NULL && atomic_load_explicit(snapshot->stop, memory_order_relaxed)) {
        return MR_ECANCELED;
    }
    return snapshot->end_ms != 0 && now_ms() >= snapshot->end_ms ? MR_ETIMEDOUT : MR_OK;
}

static mr_status snapshot_get(struct mr__snapshot *s, const void *key, size_t len,
                              struct mr__bytes *ret_value)
{
    struct lmdb_snapshot *snapshot = MR__CONTAINER(s, struct lmdb_snapshot, base);
    mr_status status = snapshot_ended(snapshot);
    if (status != MR_OK) {
        return status;
    }
    size_t table = len == 0 ? MR__LMDB_TABLES : table_of(((const uint8_t *)key)[0]);
    if (table == MR__LMDB_TABLES) {
        return MR_ENOTFOUND;
    }
    MDB_val k = {len, (void *)key}, value;
    int rc = mdb_get(snapshot->txn, snapshot->env->dbi[table], &k, &value);
    if (rc != 0) {
        return mr__lmdb_error(NULL, rc, "");
    }
    *ret_value = bytes_of(&value);
    return MR_OK;
}

struct walk {
    struct lmdb_snapshot *snapshot;
    struct mr__bytes from, to;
    bool reverse, ended; /* ended: by the callback or the limit */
    size_t left;
    mr__range_cb cb;
    void *user;
};

/* The cursor at the first key to show. */
static int walk_seek(struct walk *walk, MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
    if (!walk->reverse) {
        *key = (MDB_val){walk->from.len, (void *)walk->from.data};
        return mdb_cursor_get(cursor, key, value, walk->from.len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    }
    *key = (MDB_val){walk->to.len, (void *)walk->to.data};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (rc == 0) {
        return mdb_cursor_get(cursor, key, value, MDB_PREV);
    }
    return rc == MDB_NOTFOUND ? mdb_cursor_get(cursor, key, value, MDB_LAST) : rc;
}

static mr_status walk_table(struct walk *walk, size_t table)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(walk->snapshot->txn, walk->snapshot->env->dbi[table], &cursor);
    if (rc != 0) {
        return mr__lmdb_error(NULL, rc, "");
    }
    mr_status status = MR_OK;
    for (rc = walk_seek(walk, cursor, &key, &value); rc == 0;
         rc = mdb_cursor_get(cursor, &key, &value, walk->reverse ? MDB_PREV : MDB_NEXT)) {
        struct mr__bytes bytes = bytes_of(&key);
        bool within =
            walk->reverse ? compare(bytes, walk->from) >= 0 : compare(bytes, walk->to) < 0;
        if (!within || (status = snapshot_ended(walk->snapshot)) != MR_OK) {
            break;
        }
        if (walk->left-- == 0 || !walk->cb(walk->user, bytes, bytes_of(&value))) {
            walk->ended = true;
            break;
        }
    }
    mdb_cursor_close(cursor);
    return rc == 0 || rc == MDB_NOTFOUND ? status : mr__lmdb_error(NULL, rc, "");
}

static mr_status snapshot_range(struct mr__snapshot *s, struct mr__bytes from, struct mr__bytes to,
                                uint32_t flags, size_t limit, mr__range_cb cb, void *user)
{
    struct walk walk = {.from = from, .to = to, .cb = cb, .user = user};
    walk.snapshot = MR__CONTAINER(s, struct lmdb_snapshot, base);
    walk.reverse = (flags & MR__RANGE_REVERSE) != 0;
    walk.left = limit == 0 ? SIZE_MAX : limit;
    mr_status status = snapshot_ended(walk.snapshot);
    for (size_t i = 0; status == MR_OK && !walk.ended && i < MR__LMDB_TABLES; i++) {
        size_t table = walk.reverse ? MR__LMDB_TABLES - 1 - i : i;
        if (table_within(table, from, to)) {
            status = walk_table(&walk, table);
        }
    }
    return status;
}

/* Compact: pages that are free now are left out. LMDB refuses that (MDB_INCOMPATIBLE) where it has
 * lost count of free pages, which harms nobody else: then the copy is page by page. */
static mr_status snapshot_copy(struct mr__snapshot *s, int fd, mr_error *reterr)
{
    struct lmdb_snapshot *snapshot = MR__CONTAINER(s, struct lmdb_snapshot, base);
    int rc = mdb_env_copyfd2(snapshot->env->env, fd, MDB_CP_COMPACT);
    if (rc == MDB_INCOMPATIBLE) {
        rc = ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0
                 ? errno
                 : mdb_env_copyfd2(snapshot->env->env, fd, 0);
    }
    return rc == 0 ? MR_OK : mr__lmdb_error(reterr, rc, "the copy");
}

mr_status mr__lmdb_count(struct mr__lmdb_env *env, uint64_t ret_keys[256])
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return mr__lmdb_error(NULL, rc, "");
    }
    for (size_t i = 0; rc == 0 && i < MR__LMDB_TABLES; i++) {
        MDB_stat stat;
        rc = mdb_stat(txn, env->dbi[i], &stat);
        if (rc == 0) {
            ret_keys[mr__lmdb_tables[i].byte] = stat.ms_entries;
        }
    }
    mdb_txn_abort(txn);
    return rc == 0 ? MR_OK : mr__lmdb_error(NULL, rc, "");
}
