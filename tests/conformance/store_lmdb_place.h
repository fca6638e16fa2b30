/* SPDX-License-Identifier: MIT
 *
 * Goal: what the LMDB store's tests stand on. Method: a place is a folder of its own; rows are
 * numbered and hold their number, so that they can be counted and checked after any accident.
 */
#ifndef STORE_LMDB_PLACE_H
#define STORE_LMDB_PLACE_H

#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "core/store/store_lmdb.h"
#include "tests/conformance/store_faults.h"
#include "tests/conformance/store_suite.h"

enum { PATH_BYTES = 512 };

struct place {
    char path[PATH_BYTES], data[PATH_BYTES + 16], lock[PATH_BYTES + 16];
    struct mr__lmdb_options options;
    bool mounted;
};

static void *place_create(void)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(place->path, PATH_BYTES, "%s/mr-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(place->path));
    (void)snprintf(place->data, sizeof place->data, "%s/data.mdb", place->path);
    (void)snprintf(place->lock, sizeof place->lock, "%s/lock.mdb", place->path);
    place->options.map_bytes = MR__LMDB_MAP_BYTES;
    place->options.read_ms_max = MR__STORE_READ_MS_MAX;
    place->options.room_look_ms = 20;
    return place;
}

static void place_destroy(void *user)
{
    struct place *place = user;
    faults_clear();
    if (place->mounted) {
        (void)umount2(place->path, MNT_DETACH);
    } else {
        (void)unlink(place->data);
        (void)unlink(place->lock);
    }
    assert_int_equal(rmdir(place->path), 0);
    free(place);
}

static mr_status try_open(struct place *place, struct mr__store **ret_store, mr_error *error)
{
    static struct suite_bell bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    memset(error, 0, sizeof *error);
    *ret_store = NULL;
    mr_status status =
        mr__lmdb_open(place->path, &place->options, suite_notify, &bell, ret_store, error);
    if (status != MR_OK) {
        assert_null(*ret_store);
        assert_int_equal(error->status, status);
        assert_true(error->message[0] != '\0');
    }
    return status;
}

static struct mr__store *place_open(void *user, mr__notify_fn notify, void *notify_user)
{
    struct place *place = user;
    struct mr__store *store = NULL;
    mr_error error = {MR_OK, ""};
    if (mr__lmdb_open(place->path, &place->options, notify, notify_user, &store, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    return store;
}

static const struct suite_driver driver = {
    .place_create = place_create,
    .place_destroy = place_destroy,
    .open = place_open,
    .threads = true,
    .random_batches = 2000,
};

/* ---- helpers ----------------------------------------------------------------------------------
 */

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void put_numbered(struct suite *s, char table, unsigned n, size_t len)
{
    char key[16];
    uint8_t *value = malloc(len + 1);
    assert_non_null(value);
    memset(value, (int)(n & 0xff), len + 1);
    (void)snprintf(key, sizeof key, "%c%06u", table, n);
    mr__batch_put(&s->batch, key, 7, value, len);
    free(value);
}

/* Counts rows, each of which must be as put_numbered made it. */
struct numbered {
    struct suite_read *read;
    char table;
    unsigned count;
    bool wrong;
};

static bool numbered_row(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct numbered *numbered = user;
    const uint8_t *bytes = value.data;
    char digits[7] = "";
    memcpy(digits, (const char *)key.data + 1, MR__MIN(key.len - 1, 6u));
    unsigned n = (unsigned)strtoul(digits, NULL, 10) & 0xff;
    if (value.len > 0) { /* all bytes are alike */
        numbered->wrong |= bytes[0] != n || memcmp(bytes, bytes + 1, value.len - 1) != 0;
    }
    numbered->count++;
    return true;
}

static mr_status numbered_fn(struct mr__snapshot *snapshot, void *user)
{
    struct numbered *numbered = user;
    char from = numbered->table, to = (char)(from + 1);
    return snapshot->ops->range(snapshot, (struct mr__bytes){&from, 1}, (struct mr__bytes){&to, 1},
                                0, 0, numbered_row, numbered);
}

/* The rows of one table; UINT_MAX: not readable, or not what was put. */
static unsigned count_numbered(struct mr__store *store, char table)
{
    struct numbered numbered = {.table = table};
    mr_status status = store->ops->read_now(store, numbered_fn, &numbered);
    return status != MR_OK || numbered.wrong ? UINT32_MAX : numbered.count;
}

static mr_status commit_numbered(struct suite *s, char table, unsigned n, size_t len)
{
    put_numbered(s, table, n, len);
    return suite_commit(s);
}

static uint8_t *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *ret_len = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*ret_len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *ret_len, file), *ret_len);
    (void)fclose(file);
    return bytes;
}

static void write_whole(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

#endif
