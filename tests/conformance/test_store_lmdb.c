/* SPDX-License-Identifier: MIT
 *
 * Goal: the LMDB store keeps store.h's promises on a real disk, when that disk fails or is full,
 * when the file is not what it should be, and when the process is killed. Method: the suite; writes
 * that fail on demand; files cut off and overwritten in many places; a small tmpfs of the test's
 * own (skipped where mounting is not allowed); a child that is killed while it commits.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/conformance/store_lmdb_place.h"

/* ---- writes that fail -------------------------------------------------------------------------
 */

static void lmdb__a_failed_write_or_flush_of_pages_writes_nothing(void **state)
{
    struct suite *s = *state;
    static const struct {
        bool sync;
        int number;
        mr_status expected;
    } rows[] = {
        {true, EIO, MR_EIO},  {true, ENOSPC, MR_EFULL},  {true, EDQUOT, MR_EFULL},
        {false, EIO, MR_EIO}, {false, ENOSPC, MR_EFULL}, {false, EDQUOT, MR_EFULL},
        {false, 0, MR_EIO},
    };
    assert_int_equal(commit_numbered(s, 'j', 0, 100), MR_OK);
    for (unsigned i = 0; i < MR__COUNT(rows); i++) {
        faults.number = rows[i].number;
        *(rows[i].sync ? &faults.syncs : &faults.pages) = 1;
        put_numbered(s, 'j', i + 1, 20000);
        put_numbered(s, 'h', i + 1, 100);
        assert_int_equal(suite_commit_guarded(s, NULL), rows[i].expected);
        assert_int_equal(count_numbered(s->store, 'j'), i + 1);
        assert_int_equal(count_numbered(s->store, 'h'), i);
        assert_int_equal(suite_commit(s), MR_OK); /* the same batch again */
        assert_int_equal(count_numbered(s->store, 'j'), i + 2);
    }
    suite_close(s);
    suite_open(s);
    assert_int_equal(count_numbered(s->store, 'j'), MR__COUNT(rows) + 1);
    assert_int_equal(count_numbered(s->store, 'h'), MR__COUNT(rows));
}

static void lmdb__a_failed_write_of_the_meta_page_is_unknown_and_then_known(void **state)
{
    struct suite *s = *state;
    unsigned there = 0;
    for (unsigned i = 0; i < 12; i++) {
        bool done = i % 2 == 1, by_read = i % 4 < 2;
        faults.number = i % 3 == 0 ? 0 : EIO;
        faults.metas_done = done;
        faults.metas = 2; /* the commit's write, and LMDB's try to take it back */
        assert_int_equal(commit_numbered(s, 'j', i, 5000), MR_EUNKNOWN);
        there += done;
        if (by_read) {
            assert_int_equal(count_numbered(s->store, 'j'), there);
        }
        assert_int_equal(commit_numbered(s, 'h', i, 100), MR_OK);
        assert_int_equal(count_numbered(s->store, 'j'), there);
        assert_int_equal(count_numbered(s->store, 'h'), i + 1);
    }
    suite_close(s);
    suite_open(s);
    assert_int_equal(count_numbered(s->store, 'j'), there);
}

static void lmdb__nothing_goes_on_until_the_meta_pages_are_firm_again(void **state)
{
    struct suite *s = *state;
    faults.number = EIO;
    faults.metas = 1;
    assert_int_equal(commit_numbered(s, 'j', 1, 10), MR_EUNKNOWN);
    faults.whole_metas = 1;
    assert_int_equal(commit_numbered(s, 'j', 2, 10), MR_EIO);
    faults.whole_metas = 1;
    assert_int_equal(count_numbered(s->store, 'j'), UINT32_MAX);
    faults.syncs = 1;
    struct mr__store_stats stats;
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_EIO);
    assert_int_equal(commit_numbered(s, 'j', 3, 10), MR_OK);
    assert_int_equal(count_numbered(s->store, 'j'), 1);
}

static void lmdb__a_commit_flushes_once_and_writes_one_meta_page(void **state)
{
    struct suite *s = *state;
    assert_int_equal(commit_numbered(s, 'j', 0, 10), MR_OK);
    long syncs = faults.sync_calls, metas = faults.meta_writes;
    for (unsigned i = 1; i <= 10; i++) {
        put_numbered(s, 'j', i, 30000);
        put_numbered(s, 'x', 100 - i, 300);
        assert_int_equal(suite_commit(s), MR_OK);
    }
    assert_int_equal(faults.sync_calls - syncs, 10);
    assert_int_equal(faults.meta_writes - metas, 10);
    assert_int_equal(suite_commit(s), MR_OK); /* an empty batch flushes nothing */
    assert_int_equal(faults.sync_calls - syncs, 10);
}

static void lmdb__no_allocation_that_fails_keeps_it_from_opening_later(void **state)
{
    struct suite *s = *state;
    if (FAULTS_SANITIZED) {
        skip();
    }
    assert_int_equal(commit_numbered(s, 'j', 0, 10), MR_OK);
    suite_close(s);
    unsigned failed = 0;
    bool reached = true; /* there is an n-th allocation */
    for (long n = 0; reached; n++) {
        struct mr__store *store;
        mr_error error;
        faults.allocations = n;
        mr_status status = try_open(s->place, &store, &error);
        reached = faults.allocations < 0;
        faults.allocations = -1;
        if (status == MR_OK) {
            assert_int_equal(count_numbered(store, 'j'), 1);
            store->ops->close(store);
        } else {
            assert_int_equal(status, MR_ENOMEM);
            failed++;
        }
    }
    assert_true(failed > 5);
}

static void lmdb__no_allocation_that_fails_leaves_half_a_batch(void **state)
{
    struct suite *s = *state;
    if (FAULTS_SANITIZED) {
        skip();
    }
    for (unsigned i = 0; i < 300; i++) {
        put_numbered(s, 'x', i, 100);
    }
    assert_int_equal(suite_commit(s), MR_OK);
    for (unsigned i = 0; i < 20; i++) { /* out of order, so that the driver sorts */
        put_numbered(s, 'x', 1000 - i * 50, i % 5 * 3000);
        put_numbered(s, 'j', i, 20);
    }
    mr__batch_del_range(&s->batch, "x000000", 7, "x000040", 7);
    mr_status status = MR_ENOMEM;
    long n = 0;
    for (; status != MR_OK; n++) {
        struct suite_commit commit = {.done = false};
        faults.allocations = n;
        s->store->ops->commit(s->store, &s->batch, NULL, suite_on_commit, &commit);
        suite_wait(s, &commit.done);
        faults.allocations = -1;
        status = commit.status;
        if (status != MR_OK) {
            assert_int_equal(status, MR_ENOMEM);
            assert_int_equal(count_numbered(s->store, 'x'), 300);
            assert_int_equal(count_numbered(s->store, 'j'), 0);
        }
    }
    assert_true(n > 10);
    assert_int_equal(count_numbered(s->store, 'j'), 20);
    assert_int_equal(count_numbered(s->store, 'x'), 300 - 40 + 15);
}

/* ---- files that are not what they should be ---------------------------------------------------
 */

static void fill_for_damage(struct suite *s)
{
    for (unsigned i = 0; i < 12; i++) {
        for (unsigned k = 0; k < 50; k++) {
            put_numbered(s, 'x', (i * 50 + k) * 7919 % 600, 60 + k);
        }
        put_numbered(s, 'h', i, 3000 + i * 2000);
        put_numbered(s, 'j', i, 500);
        assert_int_equal(suite_commit(s), MR_OK);
        mr__batch_del_range(&s->batch, "j000000", 7, "j000008", 7);
    }
    assert_int_equal(suite_commit(s), MR_OK);
}

/* True if the store opens; then all of it must be there, or (`loose`) be readable at least. */
static bool opens_well(struct place *place, bool loose)
{
    struct mr__store *store;
    mr_error error;
    mr_status status = try_open(place, &store, &error);
    if (status != MR_OK) {
        assert_true(status == MR_ESTORE || status == MR_EFORMAT);
        return false;
    }
    unsigned x = count_numbered(store, 'x'), h = count_numbered(store, 'h');
    if (!loose) {
        assert_int_equal(x, 600);
        assert_int_equal(h, 12);
        assert_int_equal(count_numbered(store, 'j'), 4);
    }
    store->ops->close(store);
    return true;
}

static void lmdb__a_file_that_was_cut_off_is_refused(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    fill_for_damage(s);
    suite_close(s);
    size_t len;
    uint8_t *bytes = read_whole(place->data, &len);
    unsigned opened = 0;
    size_t sizes[] = {1, 15, 16, 100, 151, 152, 4095, 4096, 4097, 4247, 8191, 8192, 8193, 12288};
    for (size_t i = 0; i < MR__COUNT(sizes); i++) {
        write_whole(place->data, bytes, sizes[i]);
        assert_false(opens_well(place, false));
    }
    for (size_t size = 16384; size < len; size += 4096) {
        write_whole(place->data, bytes, size - (size / 4096 % 3));
        opened += opens_well(place, false);
    }
    assert_true(opened < len / 4096 / 2);
    write_whole(place->data, bytes, len);
    assert_true(opens_well(place, false));
    free(bytes);
}

static void lmdb__a_large_file_that_was_cut_off_is_refused_too(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    assert_int_equal(commit_numbered(s, 'h', 0, 400000), MR_OK);
    for (unsigned i = 0; i < 4000; i++) { /* more pages than are read at an ordinary opening */
        put_numbered(s, 'x', i * 7919 % 4000, 1000);
    }
    assert_int_equal(suite_commit(s), MR_OK);
    mr__batch_del(&s->batch, "h000000", 7);
    for (unsigned i = 0; i < 8; i++) { /* moves the roots from the file's end to its beginning */
        assert_int_equal(commit_numbered(s, 'c', 0, i), MR_OK);
    }
    suite_close(s);
    struct stat st;
    assert_int_equal(stat(place->data, &st), 0);
    for (off_t pages = 100; pages < 1000; pages += 100) {
        struct mr__store *store;
        mr_error error;
        assert_int_equal(truncate(place->data, st.st_size - pages * 4096), 0);
        assert_int_equal(try_open(place, &store, &error), MR_ESTORE);
        assert_non_null(strstr(error.message, "damaged"));
    }
}

static void lmdb__free_pages_may_be_missing_at_the_files_end(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    fill_for_damage(s);
    struct stat before, after;
    assert_int_equal(stat(place->data, &before), 0);
    put_numbered(s, 'l', 1, 2 << 20);
    assert_int_equal(suite_commit(s), MR_OK);
    mr__batch_del(&s->batch, "l000001", 7);
    assert_int_equal(suite_commit(s), MR_OK);
    suite_close(s);
    assert_int_equal(stat(place->data, &after), 0);
    assert_true(after.st_size > before.st_size + (1 << 20));
    assert_int_equal(truncate(place->data, after.st_size - (1 << 20)), 0);
    assert_true(opens_well(place, false));
    suite_open(s);
    assert_int_equal(commit_numbered(s, 'l', 2, 3 << 20), MR_OK);
    suite_close(s);
    assert_true(opens_well(place, false));
}

static void lmdb__a_page_of_garbage_is_refused(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    fill_for_damage(s);
    suite_close(s);
    size_t len;
    uint8_t *bytes = read_whole(place->data, &len), saved[4096];
    unsigned opened = 0;
    for (size_t at = 0; at + 4096 <= len; at += 4096) {
        memcpy(saved, bytes + at, 4096);
        for (size_t i = 0; i < 4096; i++) {
            bytes[at + i] = (uint8_t)((at + i) * 2654435761u >> 13);
        }
        write_whole(place->data, bytes, len);
        opened += opens_well(place, true); /* a free page, or the middle of a large value */
        memset(bytes + at, 0, 4096);
        write_whole(place->data, bytes, len);
        opened += opens_well(place, true);
        memcpy(bytes + at, saved, 4096);
    }
    assert_true(opened < 2 * len / 4096);
    write_whole(place->data, bytes, len);
    assert_true(opens_well(place, false));
    free(bytes);
}

static void lmdb__a_byte_of_garbage_crashes_nothing(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    fill_for_damage(s);
    suite_close(s);
    size_t len;
    uint8_t *bytes = read_whole(place->data, &len);
    uint64_t random = 20261125;
    unsigned refused = 0;
    for (unsigned i = 0; i < 1500; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t pages = i % 3 == 0 ? 2 : len / 4096, page = (random >> 33) % pages;
        /* Mostly where a page's structure is: its head, its list of nodes, a meta's fields. */
        size_t within = (random >> 20) % (i % 2 == 0 ? 160 : 4096);
        uint8_t *byte = bytes + page * 4096 + within, old = *byte;
        *byte ^= (uint8_t)(1u << (random >> 50) % 8);
        write_whole(place->data, bytes, len);
        refused += !opens_well(place, true);
        *byte = old;
    }
    assert_true(refused > 50);
    free(bytes);
}

static void lmdb__a_foreign_file_is_refused_in_clear_words(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    suite_close(s);
    size_t len;
    uint8_t *bytes = read_whole(place->data, &len);
    static const struct {
        size_t at, len;
        const char *bytes;
        const char *words;
    } rows[] = {
        {0, 0, NULL, "no millrace store"},
        {16, 4, "SQLi", "no millrace store"},
        {16, 4, "\xbe\xef\xc0\xde", "another byte order"},
        {20, 4, "\x02\x00\x00\x00", "format 2"},
        {40, 4, "\x00\x04\x00\x00", "pages of 1024 bytes"},
        {40, 4, "\x00\x00\x01\x00", "pages of 65536 bytes"},
        {40, 4, "\x01\x10\x00\x00", "pages of 4097 bytes"},
    };
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        struct mr__store *store;
        mr_error error;
        write_whole(place->data, bytes, len);
        if (rows[i].bytes == NULL) {
            write_whole(place->data, "just a text file\n", 17);
        } else {
            memcpy(bytes + rows[i].at, rows[i].bytes, rows[i].len);
            uint8_t *damaged = bytes;
            write_whole(place->data, damaged, len);
        }
        assert_int_equal(try_open(place, &store, &error), MR_EFORMAT);
        assert_non_null(strstr(error.message, rows[i].words));
        assert_non_null(strstr(error.message, place->path));
        free(bytes);
        (void)unlink(place->data);
        suite_open(s);
        suite_close(s);
        bytes = read_whole(place->data, &len);
    }
    free(bytes);
    (void)unlink(place->data);
    assert_int_equal(mkdir(place->data, 0700), 0);
    struct mr__store *store;
    mr_error error;
    assert_true(try_open(place, &store, &error) != MR_OK);
    assert_int_equal(rmdir(place->data), 0);
}

static void lmdb__another_programs_lmdb_file_is_refused(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    suite_close(s);
    for (int i = 0; i < 2; i++) {
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;
        MDB_val key = {3, "abc"}, value = {3, "def"};
        (void)unlink(place->data);
        assert_int_equal(mdb_env_create(&env), 0);
        assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
        assert_int_equal(mdb_env_open(env, place->path, 0, 0600), 0);
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        /* Keys in the main tree; then a table of our name but of another kind. */
        assert_int_equal(mdb_dbi_open(txn, i == 0 ? NULL : "journal",
                                      i == 0 ? 0 : MDB_CREATE | MDB_DUPSORT, &dbi),
                         0);
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        struct mr__store *store;
        mr_error error;
        assert_int_equal(try_open(place, &store, &error), i == 0 ? MR_EFORMAT : MR_ESTORE);
    }
}

static void lmdb__a_lock_file_of_garbage_does_no_harm(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    assert_int_equal(commit_numbered(s, 'j', 1, 10), MR_OK);
    suite_close(s);
    uint8_t garbage[20000];
    memset(garbage, 0xa5, sizeof garbage);
    size_t sizes[] = {0, 1, 100, 8192, sizeof garbage};
    for (unsigned i = 0; i < MR__COUNT(sizes); i++) {
        write_whole(place->lock, garbage, sizes[i]);
        suite_open(s);
        assert_int_equal(commit_numbered(s, 'j', i + 2, 10), MR_OK);
        assert_int_equal(count_numbered(s->store, 'j'), i + 2);
        suite_close(s);
    }
}

static void lmdb__remote_file_systems_and_bad_versions_are_known(void **state)
{
    assert_string_equal(mr__lmdb_remote_fs(0x6969), "NFS");
    assert_string_equal(mr__lmdb_remote_fs(0xff534d42), "CIFS");
    assert_string_equal(mr__lmdb_remote_fs(0xffffffffff534d42), "CIFS"); /* a signed f_type */
    assert_string_equal(mr__lmdb_remote_fs(0xfe534d42), "SMB2");
    assert_string_equal(mr__lmdb_remote_fs(0x01021997), "9p");
    assert_string_equal(mr__lmdb_remote_fs(0x65735546), "FUSE");
    assert_null(mr__lmdb_remote_fs(0xef53));     /* ext4 */
    assert_null(mr__lmdb_remote_fs(0x01021994)); /* tmpfs */
    assert_null(mr__lmdb_remote_fs(0x794c7630)); /* overlay */
    const bool good[] = {true, true, false, false, false, false, false, false, true, true};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mr__lmdb_version_good(0, 9, 24 + i), good[i]);
    }
    assert_false(mr__lmdb_version_good(0, 9, 23));
    assert_false(mr__lmdb_version_good(1, 0, 0));
    assert_false(mr__lmdb_version_good(0, 10, 24));
}

static void lmdb__no_folder_is_an_error(void **state)
{
    struct suite *s = *state;
    struct place nowhere = *(struct place *)s->place, *place = s->place;
    struct mr__store *store;
    mr_error error;
    (void)snprintf(nowhere.path, PATH_BYTES, "%.400s/none", place->path);
    assert_int_equal(try_open(&nowhere, &store, &error), MR_ESTORE);
    assert_non_null(strstr(error.message, "/none"));
}

/* ---- the map ----------------------------------------------------------------------------------
 */

static void lmdb__the_map_grows_before_it_is_full(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    suite_close(s);
    place->options.map_bytes = 16 << 20;
    suite_open(s);
    struct mr__store_stats stats;
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(commit_numbered(s, 'h', i, 1 << 20), MR_OK);
        assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
        assert_true(stats.bytes_used < stats.bytes_mapped / 10 * 8);
        assert_int_equal(count_numbered(s->store, 'h'), i + 1);
    }
    assert_true(stats.bytes_mapped >= 80u << 20 && stats.bytes_mapped <= 256u << 20);
    /* One batch that is larger than the map, and smaller than what makes LMDB 0.9.24 leak. */
    assert_int_equal(commit_numbered(s, 'h', 60, (size_t)200 << 20), MR_OK);
    assert_int_equal(count_numbered(s->store, 'h'), 61);
    suite_close(s);
    suite_open(s);
    assert_int_equal(count_numbered(s->store, 'h'), 61);
}

static mr_status slow_read(struct mr__snapshot *snapshot, void *user)
{
    struct mr__bytes value;
    mr_status status = MR_OK;
    for (unsigned i = 0; status == MR_OK && i < 30000 / 5; i++) {
        status = snapshot->ops->get(snapshot, "c1", 2, &value);
        sleep_ms(5);
    }
    return status;
}

static void lmdb__growing_waits_for_a_long_read_which_ends_at_its_limit(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    suite_close(s);
    place->options.map_bytes = 16 << 20;
    place->options.read_ms_max = 300;
    suite_open(s);
    suite_put(s, "c1", "");
    assert_int_equal(suite_commit(s), MR_OK);
    struct suite_read read = {.done = false}, *user = &read;
    assert_int_equal(s->store->ops->read(s->store, slow_read, suite_on_read, &user), MR_OK);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(commit_numbered(s, 'h', i, 1 << 20), MR_OK);
    }
    suite_wait(s, &read.done);
    assert_int_equal(read.status, MR_ETIMEDOUT);
    assert_int_equal(count_numbered(s->store, 'h'), 40);
}

static void lmdb__close_ends_a_long_read(void **state)
{
    struct suite *s = *state;
    struct timespec before, after;
    suite_put(s, "c1", "");
    assert_int_equal(suite_commit(s), MR_OK);
    assert_int_equal(s->store->ops->read(s->store, slow_read, suite_no_read, NULL), MR_OK);
    sleep_ms(20);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    suite_close(s);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 5);
}

/* What this process has of it, in bytes. */
static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1) {
        _exit(2);
    }
    (void)fclose(file);
    return (rlim_t)pages * 4096;
}

static void lmdb__little_address_space_is_enough_for_a_small_store(void **state)
{
    struct suite *s = *state;
    if (FAULTS_SANITIZED) {
        skip();
    }
    suite_close(s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {address_space() + (200u << 20), RLIM_INFINITY};
        struct mr__store_stats stats;
        (void)setrlimit(RLIMIT_AS, &limit);
        suite_open(s);
        mr_status status = MR_OK;
        unsigned n = 0;
        while (status == MR_OK && n < 400) {
            status = commit_numbered(s, 'h', n, 1 << 20);
            n += status == MR_OK;
        }
        bool well = status == MR_EFULL && n > 30 && count_numbered(s->store, 'h') == n &&
                    s->store->ops->nearly_full(s->store) &&
                    s->store->ops->stats(s->store, &stats) == MR_OK &&
                    stats.bytes_mapped <= limit.rlim_cur;
        mr__batch_del_range(&s->batch, "h", 1, "i", 1);
        well = well && suite_commit(s) == MR_OK;
        /* LMDB reuses what the commit before the last one has freed. */
        well = well && commit_numbered(s, 'j', 1, 10) == MR_OK;
        well = well && commit_numbered(s, 'h', 1, 1 << 20) == MR_OK;
        suite_close(s);
        _exit(well ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    suite_open(s);
    assert_int_equal(count_numbered(s->store, 'h'), 1);
}

/* ---- room on the disk -------------------------------------------------------------------------
 */

/* A tmpfs in a mount namespace of our own, which goes with this process. Skips where that is not
 * allowed. */
static void mount_small(struct suite *s, const char *options)
{
    struct place *place = s->place;
    suite_close(s);
    (void)unlink(place->data);
    (void)unlink(place->lock);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", place->path, "tmpfs", 0, options) != 0) {
        skip();
    }
    place->mounted = true;
}

static void ballast_path(struct suite *s, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%.400s/ballast", ((struct place *)s->place)->path);
}

static void put_ballast(struct suite *s, off_t bytes)
{
    char path[PATH_BYTES];
    ballast_path(s, path);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
    (void)close(fd);
}

static void drop_ballast(struct suite *s)
{
    char path[PATH_BYTES];
    ballast_path(s, path);
    assert_int_equal(unlink(path), 0);
}

static void lmdb__room_is_kept_for_completions_when_the_disk_fills_up(void **state)
{
    struct suite *s = *state;
    mount_small(s, "size=64m");
    put_ballast(s, 30 << 20);
    suite_open(s);
    assert_false(s->store->ops->nearly_full(s->store));
    unsigned n = 0, warned = 0;
    mr_status status = MR_OK;
    struct mr__store_stats stats;
    for (; status == MR_OK && n < 2000; n++) {
        if (warned == 0 && s->store->ops->nearly_full(s->store)) {
            warned = n;
        }
        status = commit_numbered(s, 'h', n, 100000);
    }
    n--; /* the last one failed */
    assert_int_equal(status, MR_EFULL);
    assert_true(warned > 0);
    assert_true((n - warned) * 100000 > MR__STORE_ROOM_BYTES / 10 * 9);
    assert_true(s->store->ops->nearly_full(s->store));
    assert_int_equal(count_numbered(s->store, 'h'), n);
    assert_int_equal(s->store->ops->stats(s->store, &stats), MR_OK);
    assert_true(stats.room_bytes < 1 << 20);

    suite_close(s);
    suite_open(s); /* also on a full disk */
    assert_true(s->store->ops->nearly_full(s->store));
    assert_int_equal(count_numbered(s->store, 'h'), n);
    drop_ballast(s);
    for (int i = 0; i < 500 && s->store->ops->nearly_full(s->store); i++) {
        sleep_ms(10); /* it looks by itself */
    }
    assert_false(s->store->ops->nearly_full(s->store));
    assert_int_equal(commit_numbered(s, 'h', n, 100000), MR_OK);
    assert_int_equal(count_numbered(s->store, 'h'), n + 1);
    suite_close(s);
}

static void lmdb__a_disk_that_is_full_at_first_is_an_error(void **state)
{
    struct suite *s = *state;
    mount_small(s, "size=1m");
    struct mr__store *store;
    mr_error error;
    for (off_t bytes = 1 << 20; bytes > (1 << 20) - 12 * 4096; bytes -= 4096) {
        put_ballast(s, bytes);
        mr_status status = try_open(s->place, &store, &error);
        if (status == MR_OK) {
            store->ops->close(store);
        } else {
            assert_int_equal(status, MR_EFULL);
        }
        assert_true(status != MR_OK || bytes < 1 << 20);
        drop_ballast(s);
        suite_open(s);
        assert_int_equal(commit_numbered(s, 'h', 1, 10), MR_OK);
        suite_close(s);
        (void)unlink(((struct place *)s->place)->data);
        (void)unlink(((struct place *)s->place)->lock);
    }
}

static void lmdb__a_folder_that_cannot_be_written_is_an_error(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    mount_small(s, "size=1m");
    for (int i = 0; i < 2; i++) {
        struct mr__store *store;
        mr_error error;
        assert_int_equal(mount("none", place->path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        assert_int_equal(try_open(place, &store, &error), MR_ESTORE);
        assert_non_null(strstr(error.message, "Read-only file system"));
        assert_int_equal(mount("none", place->path, NULL, MS_REMOUNT, NULL), 0);
        suite_open(s);
        suite_close(s);
    }
}

/* ---- being one process among others -----------------------------------------------------------
 */

static void lmdb__files_are_private_and_not_inherited(void **state)
{
    struct suite *s = *state;
    struct place *place = s->place;
    unsigned found = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char name[64], target[PATH_BYTES];
        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(name, target, sizeof target - 1);
        if (len > 0 && strncmp(target, place->path, strlen(place->path)) == 0) {
            assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
            found++;
        }
    }
    assert_int_equal(found, 3); /* the lock, the data, and the data for meta pages */
    struct stat st;
    assert_int_equal(stat(place->data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(place->lock, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void lmdb__two_stores_live_in_one_process(void **state)
{
    struct suite *s = *state;
    struct place *place = place_create();
    struct mr__store *other = place_open(place, suite_notify, &s->bell);
    assert_int_equal(commit_numbered(s, 'j', 1, 10), MR_OK);
    assert_int_equal(count_numbered(other, 'j'), 0);
    other->ops->close(other);
    assert_int_equal(commit_numbered(s, 'j', 2, 10), MR_OK);
    assert_int_equal(count_numbered(s->store, 'j'), 2);
    place_destroy(place);
}

static mr_status copy_to(struct mr__snapshot *snapshot, void *user)
{
    return snapshot->ops->copy(snapshot, *(int *)user, NULL);
}

static void lmdb__a_copy_is_a_store(void **state)
{
    struct suite *s = *state;
    struct place *place = place_create();
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(commit_numbered(s, 'j', i, 500), MR_OK);
    }
    int fd = open(place->data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(s->store->ops->read_now(s->store, copy_to, &fd), MR_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(commit_numbered(s, 'j', 21, 500), MR_OK);
    struct mr__store *copy = place_open(place, suite_notify, &s->bell);
    assert_int_equal(count_numbered(copy, 'j'), 20);
    assert_int_equal(count_numbered(s->store, 'j'), 21);
    copy->ops->close(copy);
    place_destroy(place);
}

static void lmdb__a_copy_that_cannot_be_written_is_an_error(void **state)
{
    struct suite *s = *state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(commit_numbered(s, 'j', 1, 500), MR_OK);
    assert_int_equal(s->store->ops->read_now(s->store, copy_to, &fd), MR_EFULL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(commit_numbered(s, 'j', 2, 500), MR_OK);
}

/* Commits numbers for ever, and says each one that is durable. */
static void commit_until_killed(struct suite *s, int fd, unsigned first)
{
    suite_open(s);
    for (unsigned n = first;; n++) {
        put_numbered(s, 'j', n, n % 50 * 200);
        put_numbered(s, 'x', (n * 7919u) % 1000000, 60);
        if (n > 40) {
            char key[16];
            (void)snprintf(key, sizeof key, "h%06u", n - 40);
            mr__batch_del(&s->batch, key, 7);
        }
        put_numbered(s, 'h', n, 300);
        if (suite_commit(s) != MR_OK || write(fd, &n, sizeof n) != (ssize_t)sizeof n) {
            _exit(1);
        }
    }
}

static void lmdb__what_was_committed_survives_a_kill(void **state)
{
    struct suite *s = *state;
    unsigned next = 0;
    for (unsigned round = 0; round < 25; round++) {
        int ends[2];
        suite_close(s);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            commit_until_killed(s, ends[1], next);
        }
        (void)close(ends[1]);
        unsigned last = 0, acknowledged = next;
        ssize_t len = read(ends[0], &last, sizeof last); /* it has begun */
        assert_int_equal(len, sizeof last);
        sleep_ms(round * 7 % 50);
        (void)kill(child, SIGKILL);
        do {
            acknowledged = last + 1;
        } while (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last);
        (void)close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        suite_open(s);
        next = count_numbered(s->store, 'j');
        assert_true(next == acknowledged || next == acknowledged + 1);
        assert_int_equal(count_numbered(s->store, 'x'), next);
        assert_int_equal(count_numbered(s->store, 'h'), MR__MIN(next, 41u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUITE_TESTS,
        SUITE_TEST(lmdb__a_failed_write_or_flush_of_pages_writes_nothing),
        SUITE_TEST(lmdb__a_failed_write_of_the_meta_page_is_unknown_and_then_known),
        SUITE_TEST(lmdb__nothing_goes_on_until_the_meta_pages_are_firm_again),
        SUITE_TEST(lmdb__a_commit_flushes_once_and_writes_one_meta_page),
        SUITE_TEST(lmdb__no_allocation_that_fails_keeps_it_from_opening_later),
        SUITE_TEST(lmdb__no_allocation_that_fails_leaves_half_a_batch),
        SUITE_TEST(lmdb__a_file_that_was_cut_off_is_refused),
        SUITE_TEST(lmdb__a_large_file_that_was_cut_off_is_refused_too),
        SUITE_TEST(lmdb__free_pages_may_be_missing_at_the_files_end),
        SUITE_TEST(lmdb__a_page_of_garbage_is_refused),
        SUITE_TEST(lmdb__a_byte_of_garbage_crashes_nothing),
        SUITE_TEST(lmdb__a_foreign_file_is_refused_in_clear_words),
        SUITE_TEST(lmdb__another_programs_lmdb_file_is_refused),
        SUITE_TEST(lmdb__a_lock_file_of_garbage_does_no_harm),
        SUITE_TEST(lmdb__remote_file_systems_and_bad_versions_are_known),
        SUITE_TEST(lmdb__no_folder_is_an_error),
        SUITE_TEST(lmdb__the_map_grows_before_it_is_full),
        SUITE_TEST(lmdb__growing_waits_for_a_long_read_which_ends_at_its_limit),
        SUITE_TEST(lmdb__close_ends_a_long_read),
        SUITE_TEST(lmdb__little_address_space_is_enough_for_a_small_store),
        SUITE_TEST(lmdb__room_is_kept_for_completions_when_the_disk_fills_up),
        SUITE_TEST(lmdb__a_disk_that_is_full_at_first_is_an_error),
        SUITE_TEST(lmdb__a_folder_that_cannot_be_written_is_an_error),
        SUITE_TEST(lmdb__files_are_private_and_not_inherited),
        SUITE_TEST(lmdb__two_stores_live_in_one_process),
        SUITE_TEST(lmdb__a_copy_is_a_store),
        SUITE_TEST(lmdb__a_copy_that_cannot_be_written_is_an_error),
        SUITE_TEST(lmdb__what_was_committed_survives_a_kill),
    };
    suite_driver = &driver;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
