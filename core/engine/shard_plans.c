/* SPDX-License-Identifier: MIT
 *
 * Dag versions in memory: their plans, known by version, kept a while after their last run; and
 * what is stored of definitions. Loop thread.
 */
#include "core/engine/shard_impl.h"

#include <stdlib.h>

static struct mr__action_binding bind_action(void *user, const char *name)
{
    struct mr__executor *x = user;
    return x->ops->bind(x, name);
}

#define PLANS_KEPT 64u /* unused plans beyond this many are freed */

static void plans_trim(struct mr__shard *sh)
{
    size_t unused = 0;
    for (size_t i = 0; i < sh->plan_count; i++) {
        unused += sh->plan_list[i]->refs == 1;
    }
    for (size_t i = 0; i < sh->plan_count && unused > PLANS_KEPT;) {
        struct mr__plan *plan = sh->plan_list[i];
        if (plan->refs > 1) {
            i++;
            continue;
        }
        (void)mr__hash_del(&sh->plans, plan->dag->version, MR__VERSION_BYTES);
        sh->plan_list[i] = sh->plan_list[--sh->plan_count];
        if (i < sh->plan_count) {
            const uint8_t *version = sh->plan_list[i]->dag->version;
            MR_ASSERT(mr__hash_put(&sh->plans, version, MR__VERSION_BYTES, i) == MR_OK);
        }
        mr__plan_unref(plan);
        unused--;
    }
}

struct mr__plan *mr__shard_plan(struct mr__shard *sh, const uint8_t *version)
{
    uint64_t i;
    return mr__hash_get(&sh->plans, version, MR__VERSION_BYTES, &i) ? sh->plan_list[i] : NULL;
}

mr_status mr__shard_plan_add(struct mr__shard *sh, struct mr__dag *dag, struct mr__plan **ret_plan)
{
    struct mr__plan *plan = mr__shard_plan(sh, dag->version);
    if (plan != NULL) {
        mr__dag_unref(dag);
        *ret_plan = plan;
        return MR_OK;
    }
    plans_trim(sh);
    if (sh->plan_count == sh->plan_cap) {
        size_t cap = sh->plan_cap == 0 ? 16 : sh->plan_cap * 2;
        struct mr__plan **list = mr__realloc(sh->plan_list, cap * sizeof *list);
        if (list == NULL) {
            mr__dag_unref(dag);
            return MR_ENOMEM;
        }
        sh->plan_list = list;
        sh->plan_cap = cap;
    }
    mr_status status = mr__plan_create(dag, bind_action, sh->opt.executor, &plan);
    if (status != MR_OK) {
        mr__dag_unref(dag);
        return status;
    }
    status = mr__hash_put(&sh->plans, dag->version, MR__VERSION_BYTES, sh->plan_count);
    if (status != MR_OK) {
        mr__plan_unref(plan);
        return status;
    }
    sh->plan_list[sh->plan_count++] = plan;
    *ret_plan = plan;
    return MR_OK;
}

void mr__shard_put(struct mr__shard *sh, const struct mr__key *key, struct mr__bytes value,
                   struct mr__plan *plan, mr__done_fn done, void *user)
{
    if (plan != NULL) {
        mr__plan_store(sh, plan);
    }
    mr__batch_put(&sh->filling, key->bytes, key->len, value.data, value.len);
    sh->want_commit = true;
    /* Where this refuses, the batch is not handed over any more either. */
    mr__shard_after(sh, done, user);
}

void mr__shard_put_after(struct mr__shard *sh, const struct mr__key *key, struct mr__bytes value,
                         mr__done_fn done, void *user)
{
    mr__batch_put(&sh->after, key->bytes, key->len, value.data, value.len);
    sh->want_commit = true;
    mr__shard_after(sh, done, user);
}

/* The definition goes to the store with the run that uses it, or with its push. */
void mr__plan_store(struct mr__shard *sh, struct mr__plan *plan)
{
    const struct mr__dag *dag = plan->dag;
    if (plan->stored) {
        return;
    }
    struct mr__key key;
    struct mr__buf value;
    struct mr__definition definition = {
        .file = {dag->file, strlen(dag->file)},
        .default_id = {dag->id, strlen(dag->id)},
        .text = {dag->text, dag->text_len},
        .compat = dag->compat,
    };
    mr__buf_init(&value);
    mr__key_definition(&key, dag->id, dag->version);
    mr__definition_write(&value, &definition);
    mr__batch_put(&sh->filling, key.bytes, key.len, value.data, value.len);
    sh->s.failed |= value.failed;
    mr__buf_finish(&value);
    plan->stored = true;
}
