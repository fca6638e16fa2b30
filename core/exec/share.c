/* SPDX-License-Identifier: MIT
 *
 * The share data of one run: an array of entries sorted by key, under one mutex. Values are copied
 * in and out, so that no reader holds anything of it. Any thread.
 */
#include "core/exec/share.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
    size_t key_len, json_len;
    char bytes[]; /* the key, then the JSON */
};

struct mr__share {
    pthread_mutex_t mutex;
    uint32_t refs;
    struct entry **entries; /* by key, in byte order */
    size_t count, cap;
    size_t bytes;
};

struct mr__share *mr__share_create(void)
{
    struct mr__share *share = mr__calloc(1, sizeof *share);
    if (share == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&share->mutex, NULL) != 0) {
        mr__free(share);
        return NULL;
    }
    share->refs = 1;
    return share;
}

struct mr__share *mr__share_ref(struct mr__share *share)
{
    (void)pthread_mutex_lock(&share->mutex);
    share->refs++;
    (void)pthread_mutex_unlock(&share->mutex);
    return share;
}

void mr__share_unref(struct mr__share *share)
{
    if (share == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&share->mutex);
    bool last = --share->refs == 0;
    (void)pthread_mutex_unlock(&share->mutex);
    if (!last) {
        return;
    }
    for (size_t i = 0; i < share->count; i++) {
        mr__free(share->entries[i]);
    }
    mr__free(share->entries);
    (void)pthread_mutex_destroy(&share->mutex);
    mr__free(share);
}

static int compare(const struct entry *entry, const char *key, size_t len)
{
    int order = memcmp(entry->bytes, key, MR__MIN(entry->key_len, len));
    return order != 0 ? order : entry->key_len < len ? -1 : entry->key_len > len;
}

/* Where the key stands, or would: the number of keys that are less. */
static size_t place_of(const struct mr__share *share, const char *key, size_t len, bool *ret_there)
{
    size_t low = 0, high = share->count;
    *ret_there = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(share->entries[middle], key, len);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void remove_at(struct mr__share *share, size_t at)
{
    struct entry *entry = share->entries[at];
    share->bytes -= entry->key_len + entry->json_len;
    share->count--;
    memmove(&share->entries[at], &share->entries[at + 1],
            (share->count - at) * sizeof(struct entry *));
    mr__free(entry);
}

static mr_status put_at(struct mr__share *share, size_t at, bool there, struct entry *entry)
{
    if (there) {
        share->bytes -= share->entries[at]->key_len + share->entries[at]->json_len;
        mr__free(share->entries[at]);
    } else {
        if (share->count == share->cap) {
            size_t cap = share->cap == 0 ? 8 : share->cap * 2;
            struct entry **entries = mr__realloc(share->entries, cap * sizeof(struct entry *));
            if (entries == NULL) {
                return MR_ENOMEM;
            }
            share->entries = entries;
            share->cap = cap;
        }
        memmove(&share->entries[at + 1], &share->entries[at],
                (share->count - at) * sizeof(struct entry *));
        share->count++;
    }
    share->entries[at] = entry;
    share->bytes += entry->key_len + entry->json_len;
    return MR_OK;
}

mr_status mr__share_put(struct mr__share *share, struct mr__blob key, struct mr__blob json)
{
    struct entry *entry = NULL;
    mr_status status = MR_OK;
    bool there;
    if (json.data != NULL) {
        entry = mr__malloc(sizeof *entry + key.len + json.len);
        if (entry == NULL) {
            return MR_ENOMEM;
        }
        *entry = (struct entry){.key_len = key.len, .json_len = json.len};
        memcpy(entry->bytes, key.data, key.len);
        memcpy(entry->bytes + key.len, json.data, json.len);
    }
    (void)pthread_mutex_lock(&share->mutex);
    size_t at = place_of(share, key.data, key.len, &there);
    if (entry != NULL) {
        status = put_at(share, at, there, entry);
    } else if (there) {
        remove_at(share, at);
    }
    (void)pthread_mutex_unlock(&share->mutex);
    if (status != MR_OK) {
        mr__free(entry);
    }
    return status;
}

bool mr__share_get(struct mr__share *share, const char *key, size_t len, struct mr__buf *ret_json)
{
    bool there;
    (void)pthread_mutex_lock(&share->mutex);
    size_t at = place_of(share, key, len, &there);
    if (there) {
        const struct entry *entry = share->entries[at];
        mr__buf_bytes(ret_json, entry->bytes + entry->key_len, entry->json_len);
    }
    (void)pthread_mutex_unlock(&share->mutex);
    return there && !ret_json->failed;
}

size_t mr__share_size(struct mr__share *share, const char *key, size_t len)
{
    bool there;
    (void)pthread_mutex_lock(&share->mutex);
    size_t at = place_of(share, key, len, &there);
    size_t size = there ? share->entries[at]->key_len + share->entries[at]->json_len : 0;
    (void)pthread_mutex_unlock(&share->mutex);
    return size;
}

bool mr__share_next(struct mr__share *share, struct mr__blob after, struct mr__buf *ret_key)
{
    bool there = false;
    (void)pthread_mutex_lock(&share->mutex);
    size_t at = after.data == NULL ? 0 : place_of(share, after.data, after.len, &there);
    at += there;
    bool found = at < share->count;
    if (found) {
        mr__buf_bytes(ret_key, share->entries[at]->bytes, share->entries[at]->key_len);
    }
    (void)pthread_mutex_unlock(&share->mutex);
    return found && !ret_key->failed;
}

size_t mr__share_bytes(struct mr__share *share)
{
    (void)pthread_mutex_lock(&share->mutex);
    size_t bytes = share->bytes;
    (void)pthread_mutex_unlock(&share->mutex);
    return bytes;
}

size_t mr__share_count(struct mr__share *share)
{
    (void)pthread_mutex_lock(&share->mutex);
    size_t count = share->count;
    (void)pthread_mutex_unlock(&share->mutex);
    return count;
}

bool mr__share_at(struct mr__share *share, size_t i, struct mr__blob *ret_key,
                  struct mr__blob *ret_json)
{
    (void)pthread_mutex_lock(&share->mutex);
    bool there = i < share->count;
    if (there) {
        const struct entry *entry = share->entries[i];
        *ret_key = (struct mr__blob){entry->bytes, entry->key_len};
        *ret_json = (struct mr__blob){entry->bytes + entry->key_len, entry->json_len};
    }
    (void)pthread_mutex_unlock(&share->mutex);
    return there;
}
