/* SPDX-License-Identifier: MIT
 *
 * A dag's stored text that the parser refuses, as after a change of the parser: two characters in
 * front of it, and away again. Header only.
 */
#ifndef MR__SPOIL_H
#define MR__SPOIL_H

#include <stdlib.h>
#include <string.h>

#include "core/store/records.h"

struct spoil {
    const char *dag;
    bool restore;
    struct mr__batch batch;
    size_t count; /* of the versions that were changed */
};

static inline bool spoil_one(void *user, struct mr__bytes key, struct mr__bytes value)
{
    struct spoil *spoil = user;
    struct mr__definition definition;
    struct mr__buf text, changed;
    if (mr__definition_read(value, &definition, NULL) != MR_OK ||
        definition.default_id.len != strlen(spoil->dag) ||
        memcmp(definition.default_id.data, spoil->dag, definition.default_id.len) != 0) {
        return true;
    }
    mr__buf_init(&text);
    mr__buf_init(&changed);
    mr__buf_text(&text, spoil->restore ? "" : "%%");
    size_t from = spoil->restore ? 2 : 0;
    mr__buf_bytes(&text, definition.text.data + from, definition.text.len - from);
    definition.text = (struct mr__blob){(const char *)text.data, text.len};
    mr__definition_write(&changed, &definition);
    mr__batch_put(&spoil->batch, key.data, key.len, changed.data, changed.len);
    spoil->count++;
    mr__buf_finish(&text);
    mr__buf_finish(&changed);
    return true;
}

static inline mr_status spoil_read(struct mr__snapshot *snapshot, void *user)
{
    static const uint8_t from[] = {MR__TABLE_CONFIG, 'd'}, to[] = {MR__TABLE_CONFIG, 'd' + 1};
    return snapshot->ops->range(snapshot, (struct mr__bytes){from, sizeof from},
                                (struct mr__bytes){to, sizeof to}, 0, 0, spoil_one, user);
}

static inline void spoil_on_commit(void *user, mr_status status, const mr_error *error)
{
    (void)error;
    *(mr_status *)user = status;
}

/* Hands the change of all versions of the dag over; `*ret_status` is set when the store is polled.
 * How many they are. The batch is the caller's to finish then. */
static inline size_t spoil_begin(struct spoil *spoil, struct mr__store *store,
                                 mr_status *ret_status)
{
    static const struct mr__guard none = {{NULL, 0}, {NULL, 0}};
    *ret_status = MR_EUNKNOWN;
    mr__batch_init(&spoil->batch);
    if (store->ops->read_now(store, spoil_read, spoil) != MR_OK || spoil->batch.failed) {
        abort();
    }
    store->ops->commit(store, &spoil->batch, &none, spoil_on_commit, ret_status);
    return spoil->count;
}

#endif
