/* SPDX-License-Identifier: MIT
 *
 * The share data as one attempt sees it: what it has set itself, over what it is having flushed,
 * over what is durable. The thread that runs the action, but for what is marked as the loop's.
 *
 * Own sets stand in a table of their own (`own`; an empty JSON text says that the key is removed).
 * A flush takes that table away as a whole, and nobody writes to it any more; the loop hands it to
 * the engine and says when it is durable. Until then the attempt sees it; if it fails, it becomes
 * unflushed again.
 */
#include <stdlib.h>

#include "core/exec/task_host.h"

struct mr__flush {
    struct mr__letter letter; /* stays first */
    struct mr__exec *exec;
    struct mr__task *task;             /* loop; NULL: it is over */
    struct mr__share *sets;            /* a reference */
    struct mr__flush *older;           /* of the same attempt */
    struct mr__flush *next, *previous; /* loop: those that the engine has */
    _Atomic uint32_t refs;             /* the attempt's, the loop's */
    bool done;                         /* under the executor's mutex, with ... */
    mr_status status;
    void (*then)(void *arg, mr_status status); /* loop: told once it is done; or NULL */
    void *then_arg;
};

struct mr__task_share {
    struct mr__share *own; /* not flushed; NULL: nothing */
    size_t own_count;
    size_t replaces;           /* bytes that are durable under the keys of `own` */
    struct mr__flush *flushes; /* newest first; done ones are noticed by settle() */
    struct mr__hash seen;      /* of mr__task_see, all in the attempt's arena */
};

static void flush_unref(struct mr__flush *flush)
{
    if (atomic_fetch_sub(&flush->refs, 1) == 1) {
        mr__share_unref(flush->sets);
        mr__free(flush);
    }
}

static struct mr__task_share *share_of(struct mr__task *t)
{
    if (t->sets == NULL) {
        t->sets = mr__calloc(1, sizeof *t->sets);
    }
    if (t->share == NULL && t->attempt != NULL && t->attempt->share != NULL) {
        t->share = mr__share_ref(t->attempt->share);
    }
    return t->sets;
}

/* Takes back what a flush could not make durable, unless it was set anew. */
static mr_status take_back(struct mr__task_share *s, struct mr__share *sets)
{
    struct mr__blob key, json;
    if (s->own == NULL) {
        s->own = mr__share_ref(sets);
        s->own_count = mr__share_count(sets);
        return MR_OK;
    }
    for (size_t i = 0; mr__share_at(sets, i, &key, &json); i++) {
        if (mr__share_size(s->own, key.data, key.len) == 0) {
            mr_status status = mr__share_put(s->own, key, json);
            if (status != MR_OK) {
                return status;
            }
        }
    }
    s->own_count = mr__share_count(s->own);
    return MR_OK;
}

/* Looks at which flushes are through. MR_ENOMEM: one stays as it is. */
static mr_status settle(struct mr__task *t)
{
    struct mr__task_share *s = t->sets;
    mr_status result = MR_OK;
    for (struct mr__flush **link = &s->flushes; *link != NULL;) {
        struct mr__flush *flush = *link;
        (void)pthread_mutex_lock(&t->exec->mutex);
        bool done = flush->done;
        mr_status status = flush->status;
        (void)pthread_mutex_unlock(&t->exec->mutex);
        if (done && status != MR_OK) {
            result = take_back(s, flush->sets);
        }
        if (!done || result != MR_OK) {
            link = &flush->older;
            continue;
        }
        *link = flush->older;
        flush_unref(flush);
    }
    return result;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* The JSON of a key; false: there is none. The newest layer that knows the key decides. */
static bool lookup(const struct mr__task *t, const char *key, size_t len, struct mr__buf *ret_json)
{
    const struct mr__task_share *s = t->sets;
    if (s->own != NULL && mr__share_get(s->own, key, len, ret_json)) {
        return ret_json->len > 0;
    }
    for (const struct mr__flush *flush = s->flushes; flush != NULL; flush = flush->older) {
        if (mr__share_get(flush->sets, key, len, ret_json)) {
            return ret_json->len > 0;
        }
    }
    return t->share != NULL && mr__share_get(t->share, key, len, ret_json);
}

bool mr__task_share_json(struct mr__task *t, const char *key, size_t len, struct mr__buf *ret_json)
{
    if (share_of(t) == NULL) {
        return false;
    }
    (void)settle(t);
    return lookup(t, key, len, ret_json);
}

/* Puts the least key of `share` after `after` into `least`, if it is less than what stands there.
 */
static void nearer(struct mr__share *share, struct mr__blob after, struct mr__buf *least,
                   bool *found)
{
    struct mr__buf key = {0};
    if (share != NULL && mr__share_next(share, after, &key)) {
        int order = !*found ? -1 : memcmp(key.data, least->data, MR__MIN(key.len, least->len));
        if (order < 0 || (order == 0 && key.len < least->len)) {
            mr__buf_reset(least);
            mr__buf_bytes(least, key.data, key.len);
            *found = true;
        }
    }
    mr__buf_finish(&key);
}

bool mr__task_share_next(struct mr__task *t, struct mr__blob after, struct mr__buf *ret_key)
{
    struct mr__buf json = {0}, from = {0};
    bool found = false, there = false;
    if (share_of(t) == NULL) {
        return false;
    }
    (void)settle(t);
    do {
        found = false;
        nearer(t->sets->own, after, ret_key, &found);
        for (struct mr__flush *flush = t->sets->flushes; flush != NULL; flush = flush->older) {
            nearer(flush->sets, after, ret_key, &found);
        }
        nearer(t->share, after, ret_key, &found);
        if (found) { /* It may be one that is removed. */
            mr__buf_reset(&json);
            there = lookup(t, (const char *)ret_key->data, ret_key->len, &json);
            mr__buf_reset(&from);
            mr__buf_bytes(&from, ret_key->data, ret_key->len);
            after = (struct mr__blob){(const char *)from.data, from.len};
        }
    } while (found && !there && !from.failed && !ret_key->failed);
    mr__buf_finish(&json);
    mr__buf_finish(&from);
    return found && there && !ret_key->failed;
}

const mr_value *mr__task_share_get(mr_task *task, const char *key)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf json = {0};
    const mr_value *value = NULL;
    if (key != NULL && mr__task_may_call(t, "mr_share_get") &&
        mr__task_share_json(t, key, strlen(key), &json)) {
        value = mr__task_see(&t->sets->seen, &t->arena, key, &json);
    }
    mr__buf_finish(&json);
    return value;
}

const char *mr__task_share_key(mr_task *task, const char *after)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf key = {0};
    const char *copy = NULL;
    struct mr__blob from = {after, after == NULL ? 0 : strlen(after)};
    if (mr__task_may_call(t, "mr_share_next") && mr__task_share_next(t, from, &key)) {
        copy = mr__arena_dup(&t->arena, (const char *)key.data, key.len);
    }
    mr__buf_finish(&key);
    return copy;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Whether one more set fits. What is durable under a key that is set anew goes. */
static mr_status check_limits(struct mr__task *t, const char *key, size_t key_len, size_t json_len,
                              mr_error *reterr)
{
    const struct mr__task_share *s = t->sets;
    size_t bytes = t->share == NULL ? 0 : mr__share_bytes(t->share);
    size_t count = t->share == NULL ? 0 : mr__share_count(t->share);
    size_t before = s->own == NULL ? 0 : mr__share_size(s->own, key, key_len);
    size_t replaces = s->replaces;
    if (before == 0 && t->share != NULL) {
        replaces += mr__share_size(t->share, key, key_len);
    }
    bytes -= MR__MIN(bytes, replaces);
    bytes += s->own == NULL ? 0 : mr__share_bytes(s->own) - before;
    for (const struct mr__flush *flush = s->flushes; flush != NULL; flush = flush->older) {
        bytes += mr__share_bytes(flush->sets);
    }
    if (json_len > MR__OUTPUT_BYTES_MAX || bytes + key_len + json_len > MR__OUTPUT_BYTES_MAX) {
        return mr__error_set(reterr, MR_ELIMIT, "share data of more than %u bytes",
                             MR__OUTPUT_BYTES_MAX);
    }
    if (before == 0 && count + s->own_count >= MR__SHARE_KEYS_MAX) {
        return mr__error_set(reterr, MR_ELIMIT, "share data of more than %u keys",
                             MR__SHARE_KEYS_MAX);
    }
    return MR_OK;
}

mr_status mr__task_share_put(struct mr__task *t, const char *key, const char *json, size_t len,
                             mr_error *reterr)
{
    size_t key_len = key == NULL ? 0 : strlen(key);
    struct mr__task_share *s = share_of(t);
    if (key_len == 0 || key_len > MR__KEY_BYTES_MAX || !mr__utf8_valid(key, key_len)) {
        return mr__error_set(reterr, MR_EINVAL,
                             "a key of the share data has 1 to %u bytes of UTF-8",
                             MR__KEY_BYTES_MAX);
    }
    if (t->wait_ms >= 0) {
        return mr__error_set(reterr, MR_EINVAL, "share data set after mr_finish_after");
    }
    if (s == NULL || settle(t) != MR_OK ||
        (s->own == NULL && (s->own = mr__share_create()) == NULL)) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    if (json == NULL) {
        json = "";
        len = 0;
    }
    mr_status status = check_limits(t, key, key_len, len, reterr);
    if (status != MR_OK) {
        return status;
    }
    bool is_new = mr__share_size(s->own, key, key_len) == 0;
    status = mr__share_put(s->own, (struct mr__blob){key, key_len}, (struct mr__blob){json, len});
    if (status != MR_OK) {
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    if (is_new) {
        s->own_count++;
        s->replaces += t->share == NULL ? 0 : mr__share_size(t->share, key, key_len);
    }
    return MR_OK;
}

static mr_status put(struct mr__task *t, const char *key, const struct mr__buf *json)
{
    mr_error error;
    mr_status status = mr__task_share_put(t, key, json == NULL ? NULL : (const char *)json->data,
                                          json == NULL ? 0 : json->len, &error);
    return status == MR_OK ? MR_OK : mr__task_fail(t, status, "%s", error.message);
}

mr_status mr__task_share_set(mr_task *task, const char *key, const mr_value *value)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf json = {0};
    mr_error error;
    if (!mr__task_may_call(t, "mr_share_set")) {
        return MR_EINVAL;
    }
    if (value == NULL) {
        return put(t, key, NULL);
    }
    mr_status status = mr__task_json(&json, value, &error);
    status = status == MR_OK ? put(t, key, &json)
                             : mr__task_fail(t, status, "share data: %s", error.message);
    mr__buf_finish(&json);
    return status;
}

mr_status mr__task_share_set_json(mr_task *task, const char *key, const char *json, size_t len)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf compact = {0};
    mr_error error;
    if (!mr__task_may_call(t, "mr_share_set")) {
        return MR_EINVAL;
    }
    if (len > MR__OUTPUT_BYTES_MAX) {
        return mr__task_fail(t, MR_ELIMIT, "share data of more than %u bytes",
                             MR__OUTPUT_BYTES_MAX);
    }
    mr_status status = mr__task_compact(&compact, json, len, &error);
    status = status == MR_OK
                 ? put(t, key, &compact)
                 : mr__task_fail(t, status, "share data is not one JSON value: %s", error.message);
    mr__buf_finish(&compact);
    return status;
}

/* ---- flush ------------------------------------------------------------------------------------
 */

/* A table as the engine is told of it: **owned**, its texts are the table's. */
static struct mr__share_set *list_sets(struct mr__share *table, size_t *ret_count)
{
    size_t count = mr__share_count(table);
    struct mr__share_set *sets = mr__calloc(count == 0 ? 1 : count, sizeof *sets);
    for (size_t i = 0; sets != NULL && i < count; i++) {
        (void)mr__share_at(table, i, &sets[i].key, &sets[i].json);
        if (sets[i].json.len == 0) {
            sets[i].json.data = NULL; /* it is removed */
        }
    }
    *ret_count = count;
    return sets;
}

/* Loop: the engine says how it went. */
static void flush_done(void *arg, mr_status status)
{
    struct mr__flush *flush = arg;
    struct mr__exec *x = flush->exec;
    (void)pthread_mutex_lock(&x->mutex);
    flush->done = true;
    flush->status = status;
    if (!x->closing && flush->task != NULL && flush->task->has_wake) {
        (void)pthread_cond_broadcast(&flush->task->wake);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (flush->next != NULL) {
        flush->next->previous = flush->previous;
    }
    *(flush->previous == NULL ? &x->flushes : &flush->previous->next) = flush->next;
    if (flush->then != NULL && flush->task != NULL) {
        flush->then(flush->then_arg, status);
    }
    flush_unref(flush);
}

/* Loop: from a worker's letter, or from the call itself. */
static void flush_tell(struct mr__exec *x, struct mr__letter *letter)
{
    struct mr__flush *flush = (struct mr__flush *)letter;
    size_t count;
    flush->next = x->flushes;
    if (x->flushes != NULL) {
        x->flushes->previous = flush;
    }
    x->flushes = flush;
    if (x->closing || flush->task == NULL || flush->task->told) {
        flush_done(flush, MR_ECANCELED);
        return;
    }
    struct mr__share_set *sets = list_sets(flush->sets, &count);
    if (sets == NULL) {
        flush_done(flush, MR_ENOMEM);
        return;
    }
    struct mr__attempt_ref ref = flush->task->ref;
    struct mr__share *table =
        mr__share_ref(flush->sets); /* The flush may be gone once it is done. */
    x->events.share(x->events.user, &ref, sets, count, flush_done, flush);
    mr__free(sets);
    mr__share_unref(table);
}

/* Until the loop says so, or somebody wants the attempt to end. */
static mr_status flush_wait(struct mr__task *t, struct mr__flush *flush)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    while (!flush->done && atomic_load(&t->cancel_reason) == MR_NOT_CANCELED) {
        (void)pthread_cond_wait(&t->wake, &x->mutex);
    }
    mr_status status = flush->done ? flush->status : MR_ECANCELED;
    (void)pthread_mutex_unlock(&x->mutex);
    return status;
}

/* A flush of all that is set; NULL: nothing is. */
static mr_status flush_make(struct mr__task *t, struct mr__flush **ret_flush, mr_error *reterr)
{
    struct mr__exec *x = t->exec;
    struct mr__task_share *s = share_of(t);
    *ret_flush = NULL;
    if (s == NULL || settle(t) != MR_OK) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    if (s->own == NULL) {
        return MR_OK;
    }
    struct mr__flush *flush = mr__calloc(1, sizeof *flush);
    if (flush == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    *flush = (struct mr__flush){.letter = {.deliver = flush_tell},
                                .exec = x,
                                .task = t,
                                .sets = s->own,
                                .older = s->flushes,
                                .refs = 2};
    s->flushes = flush;
    s->own = NULL;
    s->own_count = s->replaces = 0;
    *ret_flush = flush;
    return MR_OK;
}

mr_status mr__task_share_save_then(struct mr__task *t, void (*done)(void *arg, mr_status status),
                                   void *arg, mr_error *reterr)
{
    struct mr__flush *flush;
    mr_status status = flush_make(t, &flush, reterr);
    if (status == MR_OK && flush == NULL) {
        done(arg, MR_OK);
    } else if (status == MR_OK) {
        flush->then = done;
        flush->then_arg = arg;
        flush_tell(t->exec, &flush->letter);
    }
    return status;
}

mr_status mr__task_share_save(struct mr__task *t, mr_error *reterr)
{
    struct mr__exec *x = t->exec;
    struct mr__flush *flush;
    mr_status made = flush_make(t, &flush, reterr);
    if (made != MR_OK || flush == NULL) {
        return made;
    }
    if (mr__task_on_loop(x)) {
        flush_tell(x, &flush->letter);
        return MR_OK;
    }
    if (!mr__exec_post(x, &flush->letter)) {
        flush_unref(flush); /* the loop's */
        return mr__error_set(reterr, MR_ECANCELED, "%s", mr_status_text(MR_ECANCELED));
    }
    mr_status status = flush_wait(t, flush);
    if (status != MR_OK) {
        (void)mr__error_set(reterr, status, "share data was not saved: %s", mr_status_text(status));
    }
    return status;
}

mr_status mr__task_share_flush(mr_task *task)
{
    struct mr__task *t = mr__task_of(task);
    mr_error error;
    if (!mr__task_may_call(t, "mr_share_flush")) {
        return MR_EINVAL;
    }
    mr_status status = mr__task_share_save(t, &error);
    return status == MR_OK ? MR_OK : mr__task_fail(t, status, "%s", error.message);
}

/* ---- the end of a phase, of the attempt, of the executor: loop --------------------------------
 */

bool mr__task_share_unsaved(const struct mr__task *t)
{
    return t->sets != NULL && t->sets->own != NULL;
}

mr_status mr__task_share_take(struct mr__task *t, struct mr__share **ret_table,
                              struct mr__share_set **ret_sets, size_t *ret_count)
{
    struct mr__task_share *s = t->sets;
    if (settle(t) != MR_OK) {
        return MR_ENOMEM;
    }
    if (s->own == NULL) {
        return MR_OK;
    }
    struct mr__share_set *sets = list_sets(s->own, ret_count);
    if (sets == NULL) {
        return MR_ENOMEM;
    }
    *ret_sets = sets;
    *ret_table = s->own;
    s->own = NULL;
    s->own_count = s->replaces = 0;
    return MR_OK;
}

void mr__task_share_finish(struct mr__task *t)
{
    struct mr__task_share *s = t->sets;
    mr__share_unref(t->share);
    t->share = NULL;
    if (s == NULL) {
        return;
    }
    while (s->flushes != NULL) {
        struct mr__flush *flush = s->flushes;
        s->flushes = flush->older;
        flush->task = NULL;
        flush_unref(flush);
    }
    mr__share_unref(s->own);
    mr__hash_finish(&s->seen);
    mr__free(s);
    t->sets = NULL;
}

void mr__exec_drop_flushes(struct mr__exec *x)
{
    while (x->flushes != NULL) {
        struct mr__flush *flush = x->flushes;
        x->flushes = flush->next;
        flush_unref(flush);
    }
}
