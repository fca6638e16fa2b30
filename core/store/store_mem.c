/* SPDX-License-Identifier: MIT
 *
 * The store in memory, for tests and the simulation. One thread: everything is done in poll(), the
 * commit first if the verdict allows it, then the reads.
 *
 * An image is a treap of reference-counted nodes: a node that is shared is copied before it
 * changes, one that is not is changed in place. So a copy of an image and a read's snapshot cost
 * nothing, and a batch is built beside the tree that it replaces: all of it or none. A node's
 * priority is the hash of its key, so that the same keys always give the same tree.
 *
 * A step that runs out of memory drops what it works on and sets `failed`: the half-built tree is
 * thrown away as a whole, the old one still stands.
 */
#include <stdlib.h>

#include "core/base/hash.h"
#include "core/store/store.h"

struct entry {
    size_t refs;
    size_t key_len, value_len;
    uint8_t bytes[]; /* the key, then the value */
};

struct node {
    size_t refs;
    uint64_t priority;
    struct entry *entry;
    struct node *left, *right;
};

struct mr__mem_image {
    struct node *root;
};

struct mem_read {
    mr__read_fn fn;
    mr__read_cb cb;
    void *user;
    struct mem_read *next;
};

struct mem_store {
    struct mr__store base;
    struct mr__mem_options options;
    struct mr__mem_image *image;
    const struct mr__batch *batch; /* under way; NULL: none */
    const struct mr__guard *guard;
    mr__commit_cb commit_cb;
    void *commit_user;
    struct mem_read *reads, **reads_end;
    size_t reads_count;
    uint64_t commits;
};

struct mem_snapshot {
    struct mr__snapshot base;
    struct node *root;
};

static void mem_commit(struct mr__store *base, const struct mr__batch *batch,
                       const struct mr__guard *guard, mr__commit_cb cb, void *user);
static mr_status mem_read(struct mr__store *base, mr__read_fn fn, mr__read_cb cb, void *user);
static mr_status mem_read_now(struct mr__store *base, mr__read_fn fn, void *user);
static void mem_poll(struct mr__store *base);
static bool mem_nearly_full(struct mr__store *base);
static mr_status mem_stats(struct mr__store *base, struct mr__store_stats *ret_stats);
static void mem_close(struct mr__store *base);
static void poll_commit(struct mem_store *store);
static mr_status write_batch(struct mem_store *store, mr_error *error);
static bool guard_holds(struct node *root, const struct mr__guard *guard);
static void notify(struct mem_store *store);
static mr_status snapshot_get(struct mr__snapshot *s, const void *key, size_t len,
                              struct mr__bytes *ret_value);
static mr_status snapshot_range(struct mr__snapshot *s, struct mr__bytes from, struct mr__bytes to,
                                uint32_t flags, size_t limit, mr__range_cb cb, void *user);
static struct node *node_ref(struct node *node);
static void node_unref(struct node *node);
static struct node *tree_apply(struct node *root, const struct mr__batch *batch, bool *failed);
static const struct entry *tree_find(const struct node *root, struct mr__bytes key);

static const struct mr__store_ops mem_ops = {
    .commit = mem_commit,
    .read = mem_read,
    .read_now = mem_read_now,
    .poll = mem_poll,
    .nearly_full = mem_nearly_full,
    .stats = mem_stats,
    .close = mem_close,
};

static mr_status snapshot_copy(struct mr__snapshot *s, int fd, mr_error *reterr);
static const struct mr__snapshot_ops snapshot_ops = {
    .get = snapshot_get, .range = snapshot_range, .copy = snapshot_copy};

/* ---- images -----------------------------------------------------------------------------------
 */

struct mr__mem_image *mr__mem_image_create(void)
{
    return mr__calloc(1, sizeof(struct mr__mem_image));
}

struct mr__mem_image *mr__mem_image_copy(const struct mr__mem_image *image)
{
    struct mr__mem_image *copy = mr__mem_image_create();
    if (copy != NULL) {
        copy->root = node_ref(image->root);
    }
    return copy;
}

void mr__mem_image_destroy(struct mr__mem_image *image)
{
    if (image != NULL) {
        node_unref(image->root);
        mr__free(image);
    }
}

/* ---- the store --------------------------------------------------------------------------------
 */

mr_status mr__store_mem_open(struct mr__mem_image *image, const struct mr__mem_options *options,
                             struct mr__store **ret_store)
{
    struct mem_store *store = mr__calloc(1, sizeof *store);
    if (store == NULL) {
        return MR_ENOMEM;
    }
    if (options != NULL) {
        store->options = *options;
    }
    struct mr__store_limits *limits = &store->options.limits;
    store->base.limits.ops_max = limits->ops_max == 0 ? SIZE_MAX : limits->ops_max;
    store->base.limits.bytes_max = limits->bytes_max == 0 ? SIZE_MAX : limits->bytes_max;
    store->base.limits.value_max = limits->value_max == 0 ? SIZE_MAX : limits->value_max;
    store->base.ops = &mem_ops;
    store->image = image;
    store->reads_end = &store->reads;
    *ret_store = &store->base;
    return MR_OK;
}

static void mem_commit(struct mr__store *base, const struct mr__batch *batch,
                       const struct mr__guard *guard, mr__commit_cb cb, void *user)
{
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    MR_ASSERT(store->batch == NULL);
    store->batch = batch;
    store->guard = guard;
    store->commit_cb = cb;
    store->commit_user = user;
    notify(store);
}

static mr_status mem_read(struct mr__store *base, mr__read_fn fn, mr__read_cb cb, void *user)
{
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    if (store->reads_count == MR__STORE_READS_MAX) {
        return MR_ELIMIT;
    }
    struct mem_read *read = mr__malloc(sizeof *read);
    if (read == NULL) {
        return MR_ENOMEM;
    }
    *read = (struct mem_read){.fn = fn, .cb = cb, .user = user};
    *store->reads_end = read;
    store->reads_end = &read->next;
    store->reads_count++;
    notify(store);
    return MR_OK;
}

static mr_status mem_read_now(struct mr__store *base, mr__read_fn fn, void *user)
{
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    struct mem_snapshot snapshot = {.base.ops = &snapshot_ops};
    snapshot.root = node_ref(store->image->root);
    mr_status status = fn(&snapshot.base, user);
    node_unref(snapshot.root);
    return status;
}

static void mem_poll(struct mr__store *base)
{
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    size_t reads =
        store->reads_count; /* a callback may ask for more: those are for the next poll */
    if (store->batch != NULL) {
        poll_commit(store);
    }
    for (; reads > 0; reads--) {
        struct mem_read *read = store->reads;
        store->reads = read->next;
        if (store->reads == NULL) {
            store->reads_end = &store->reads;
        }
        store->reads_count--;
        read->cb(read->user, mem_read_now(base, read->fn, read->user));
        mr__free(read);
    }
}

static bool mem_nearly_full(struct mr__store *base)
{
    return false;
}

static void count_keys(const struct node *node, struct mr__store_stats *stats)
{
    if (node != NULL) {
        count_keys(node->left, stats);
        stats->keys[node->entry->bytes[0]]++;
        stats->bytes_used += node->entry->key_len + node->entry->value_len;
        count_keys(node->right, stats);
    }
}

static mr_status mem_stats(struct mr__store *base, struct mr__store_stats *ret_stats)
{
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    memset(ret_stats, 0, sizeof *ret_stats);
    count_keys(store->image->root, ret_stats);
    ret_stats->bytes_mapped = ret_stats->bytes_used;
    ret_stats->engine = "memory";
    ret_stats->commits = store->commits;
    ret_stats->room_bytes = UINT64_MAX;
    return MR_OK;
}

/* A commit under way is not written: what is not done in poll() is not done, as if the power went.
 */
static void mem_close(struct mr__store *base)
{
    if (base == NULL) {
        return;
    }
    struct mem_store *store = MR__CONTAINER(base, struct mem_store, base);
    while (store->reads != NULL) {
        struct mem_read *next = store->reads->next;
        mr__free(store->reads);
        store->reads = next;
    }
    mr__free(store);
}

static void notify(struct mem_store *store)
{
    if (store->options.notify != NULL) {
        store->options.notify(store->options.notify_user);
    }
}

static void poll_commit(struct mem_store *store)
{
    enum mr__mem_verdict verdict = MR__MEM_OK;
    if (store->options.verdict != NULL) {
        verdict = store->options.verdict(store->options.user, store->batch);
    }
    mr_error error = {MR_OK, ""};
    mr_status status = MR_OK;
    switch (verdict) {
    case MR__MEM_WAIT: return;
    case MR__MEM_OK: status = write_batch(store, &error); break;
    case MR__MEM_FAIL: status = mr__error_set(&error, MR_EIO, "the test fails this commit"); break;
    case MR__MEM_FULL: status = mr__error_set(&error, MR_EFULL, "the test's store is full"); break;
    case MR__MEM_UNKNOWN_WRITTEN:
        /* A batch that could not be written is known to be not written. */
        status = write_batch(store, &error);
        if (status == MR_OK) {
            status =
                mr__error_set(&error, MR_EUNKNOWN, "the test hides what became of this commit");
        }
        break;
    case MR__MEM_UNKNOWN_UNWRITTEN:
        status = mr__error_set(&error, MR_EUNKNOWN, "the test hides what became of this commit");
        break;
    }
    store->batch = NULL; /* before the callback, which may begin the next one */
    store->commit_cb(store->commit_user, status, status == MR_OK ? NULL : &error);
}

static mr_status write_batch(struct mem_store *store, mr_error *error)
{
    mr_status status = mr__batch_check(store->batch, &store->base.limits, error);
    if (status != MR_OK) {
        return status;
    }
    struct mr__mem_image *image = store->image;
    if (!guard_holds(image->root, store->guard)) {
        return mr__error_set(error, MR_ECONFLICT, "the guard's key holds another value");
    }
    bool failed = false;
    struct node *root = tree_apply(node_ref(image->root), store->batch, &failed);
    if (failed) {
        node_unref(root);
        return mr__error_set(error, MR_ENOMEM, "out of memory while the batch was written");
    }
    node_unref(image->root);
    image->root = root;
    store->commits++;
    return MR_OK;
}

static bool guard_holds(struct node *root, const struct mr__guard *guard)
{
    if (guard == NULL || guard->key.len == 0) {
        return true;
    }
    const struct entry *entry = tree_find(root, guard->key);
    return entry != NULL && entry->value_len == guard->value.len &&
           (guard->value.len == 0 ||
            memcmp(entry->bytes + entry->key_len, guard->value.data, guard->value.len) == 0);
}

/* ---- nodes ------------------------------------------------------------------------------------
 */

static struct entry *entry_create(struct mr__bytes key, struct mr__bytes value)
{
    if (value.len > SIZE_MAX / 2) {
        return NULL;
    }
    struct entry *entry = mr__malloc(sizeof *entry + key.len + value.len);
    if (entry != NULL) {
        entry->refs = 1;
        entry->key_len = key.len;
        entry->value_len = value.len;
        memcpy(entry->bytes, key.data, key.len);
        if (value.len > 0) {
            memcpy(entry->bytes + key.len, value.data, value.len);
        }
    }
    return entry;
}

static void entry_unref(struct entry *entry)
{
    if (--entry->refs == 0) {
        mr__free(entry);
    }
}

static struct node *node_ref(struct node *node)
{
    if (node != NULL) {
        node->refs++;
    }
    return node;
}

static void node_unref(struct node *node)
{
    if (node != NULL && --node->refs == 0) {
        entry_unref(node->entry);
        node_unref(node->left);
        node_unref(node->right);
        mr__free(node);
    }
}

/* A node that only the caller holds, for the reference given; NULL and `failed`: out of memory. */
static struct node *node_own(struct node *node, bool *failed)
{
    if (node->refs == 1) {
        return node;
    }
    struct node *copy = mr__malloc(sizeof *copy);
    if (copy == NULL) {
        *failed = true;
    } else {
        *copy = *node;
        copy->refs = 1;
        copy->entry->refs++;
        (void)node_ref(copy->left);
        (void)node_ref(copy->right);
    }
    node_unref(node);
    return copy;
}

/* ---- the tree: each function takes the references given and returns owned ones ----------------
 */

static int compare(const struct entry *entry, struct mr__bytes key)
{
    size_t len = MR__MIN(entry->key_len, key.len);
    int order = len == 0 ? 0 : memcmp(entry->bytes, key.data, len);
    if (order != 0) {
        return order;
    }
    return entry->key_len < key.len ? -1 : entry->key_len > key.len;
}

static const struct entry *tree_find(const struct node *root, struct mr__bytes key)
{
    while (root != NULL) {
        int order = compare(root->entry, key);
        if (order == 0) {
            return root->entry;
        }
        root = order < 0 ? root->right : root->left;
    }
    return NULL;
}

/* What is below `key`, and the rest. */
static void tree_split(struct node *root, struct mr__bytes key, struct node **ret_below,
                       struct node **ret_rest, bool *failed)
{
    *ret_below = *ret_rest = NULL;
    if (root == NULL || (root = node_own(root, failed)) == NULL) {
        return;
    }
    if (compare(root->entry, key) < 0) {
        tree_split(root->right, key, &root->right, ret_rest, failed);
        *ret_below = root;
    } else {
        tree_split(root->left, key, ret_below, &root->left, failed);
        *ret_rest = root;
    }
}

/* Everything in `left` is below everything in `right`. */
static struct node *tree_merge(struct node *left, struct node *right, bool *failed)
{
    if (left == NULL || right == NULL) {
        return left != NULL ? left : right;
    }
    if (left->priority >= right->priority) {
        left = node_own(left, failed);
        if (left == NULL) {
            node_unref(right);
            return NULL;
        }
        left->right = tree_merge(left->right, right, failed);
        return left;
    }
    right = node_own(right, failed);
    if (right == NULL) {
        node_unref(left);
        return NULL;
    }
    right->left = tree_merge(left, right->left, failed);
    return right;
}

/* Takes `added`, whose key may be there already. */
static struct node *tree_put(struct node *root, struct node *added, bool *failed)
{
    struct entry *entry = added->entry;
    struct mr__bytes key = {entry->bytes, entry->key_len};
    int order = root == NULL ? 0 : compare(root->entry, key);
    if (root != NULL && order != 0 && root->priority >= added->priority) {
        root = node_own(root, failed);
        if (root == NULL) {
            node_unref(added);
        } else if (order < 0) {
            root->right = tree_put(root->right, added, failed);
        } else {
            root->left = tree_put(root->left, added, failed);
        }
        return root;
    }
    if (root != NULL && order == 0) {
        root = node_own(root, failed);
        if (root != NULL) {
            entry_unref(root->entry);
            root->entry = entry;
            entry->refs++;
        }
        node_unref(added);
        return root;
    }
    tree_split(root, key, &added->left, &added->right, failed);
    return added;
}

static struct node *tree_del(struct node *root, struct mr__bytes key, bool *failed)
{
    root = root == NULL ? NULL : node_own(root, failed);
    if (root == NULL) {
        return NULL;
    }
    int order = compare(root->entry, key);
    if (order < 0) {
        root->right = tree_del(root->right, key, failed);
    } else if (order > 0) {
        root->left = tree_del(root->left, key, failed);
    } else {
        struct node *rest = tree_merge(root->left, root->right, failed);
        root->left = root->right = NULL;
        node_unref(root);
        return rest;
    }
    return root;
}

static struct node *tree_del_range(struct node *root, struct mr__bytes from, struct mr__bytes to,
                                   bool *failed)
{
    struct node *below, *within, *rest;
    tree_split(root, from, &below, &rest, failed);
    tree_split(rest, to, &within, &rest, failed);
    node_unref(within);
    return tree_merge(below, rest, failed);
}

static struct node *node_create(struct mr__bytes key, struct mr__bytes value)
{
    struct node *node = mr__calloc(1, sizeof *node);
    if (node == NULL) {
        return NULL;
    }
    node->refs = 1;
    node->priority = mr__hash64(key.data, key.len);
    node->entry = entry_create(key, value);
    if (node->entry == NULL) {
        mr__free(node);
        return NULL;
    }
    return node;
}

static struct node *tree_apply(struct node *root, const struct mr__batch *batch, bool *failed)
{
    for (size_t i = 0; i < batch->count && !*failed; i++) {
        const struct mr__op *op = &batch->ops[i];
        struct mr__bytes key = {batch->bytes.data + op->key, op->key_len};
        struct mr__bytes value = {batch->bytes.data + op->value, op->value_len};
        switch (op->kind) {
        case MR__OP_PUT: {
            struct node *added = node_create(key, value);
            if (added == NULL) {
                *failed = true;
            } else {
                root = tree_put(root, added, failed);
            }
            break;
        }
        case MR__OP_DEL:
            if (tree_find(root, key) != NULL) {
                root = tree_del(root, key, failed);
            }
            break;
        case MR__OP_DEL_RANGE: root = tree_del_range(root, key, value, failed); break;
        default: MR_ASSERT(!"an unknown kind of operation");
        }
    }
    return root;
}

/* ---- snapshots --------------------------------------------------------------------------------
 */

struct walk {
    struct mr__bytes from, to;
    bool reverse;
    size_t left; /* keys that may still be shown */
    mr__range_cb cb;
    void *user;
};

/* False: the walk is over. */
static bool walk_tree(struct walk *walk, const struct node *node)
{
    if (node == NULL) {
        return true;
    }
    const struct entry *entry = node->entry;
    bool low = compare(entry, walk->from) < 0, high = compare(entry, walk->to) >= 0;
    const struct node *first = walk->reverse ? node->right : node->left;
    const struct node *second = walk->reverse ? node->left : node->right;
    bool skip_first = walk->reverse ? high : low, skip_second = walk->reverse ? low : high;
    if (!skip_first && !walk_tree(walk, first)) {
        return false;
    }
    if (!low && !high) {
        if (walk->left-- == 0) {
            return false;
        }
        struct mr__bytes key = {entry->bytes, entry->key_len};
        struct mr__bytes value = {entry->bytes + entry->key_len, entry->value_len};
        if (!walk->cb(walk->user, key, value)) {
            return false;
        }
    }
    return skip_second || walk_tree(walk, second);
}

static mr_status snapshot_range(struct mr__snapshot *s, struct mr__bytes from, struct mr__bytes to,
                                uint32_t flags, size_t limit, mr__range_cb cb, void *user)
{
    struct mem_snapshot *snapshot = MR__CONTAINER(s, struct mem_snapshot, base);
    struct walk walk = {.from = from, .to = to, .cb = cb, .user = user};
    walk.reverse = (flags & MR__RANGE_REVERSE) != 0;
    walk.left = limit == 0 ? SIZE_MAX : limit;
    (void)walk_tree(&walk, snapshot->root); /* where it ended is the callback's to know */
    return MR_OK;
}

static mr_status snapshot_get(struct mr__snapshot *s, const void *key, size_t len,
                              struct mr__bytes *ret_value)
{
    struct mem_snapshot *snapshot = MR__CONTAINER(s, struct mem_snapshot, base);
    const struct entry *entry = tree_find(snapshot->root, (struct mr__bytes){key, len});
    if (entry == NULL) {
        return MR_ENOTFOUND;
    }
    *ret_value = (struct mr__bytes){entry->bytes + entry->key_len, entry->value_len};
    return MR_OK;
}

static mr_status snapshot_copy(struct mr__snapshot *s, int fd, mr_error *reterr)
{
    return mr__error_set(reterr, MR_ENOSYS, "a store in memory has no file to copy");
}
