/* SPDX-License-Identifier: MIT
 *
 * The world's store and the lives of the engine. A crash is played by `dead`: from then on nothing
 * that the shard does has any effect, and when its call has returned it is thrown away.
 */
#include "tests/conformance/world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define BEGIN_WALL_MS   1700000000000
#define SETTLE_MAX      100000
#define ASKS_MAX        10
#define STORE_TIMEOUT_S 30

void world_broken(const struct world *w, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    print_error("%s: %s\n%.*s", w->context, text, (int)w->calls.len, (const char *)w->calls.data);
    fail();
    abort(); /* fail() does not return */
}

/* ---- time and luck -------------------------------------------------------------------------- */

static int64_t clock_wall(struct mr__clock *clock)
{
    return BEGIN_WALL_MS + MR__CONTAINER(clock, struct world, clock)->monotonic_ms;
}

static int64_t clock_monotonic(struct mr__clock *clock)
{
    return MR__CONTAINER(clock, struct world, clock)->monotonic_ms;
}

static void random_bytes(void *user, void *bytes, size_t len)
{
    struct world *w = user;
    for (size_t i = 0; i < len; i++) {
        w->random = w->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(w->random >> 56);
    }
}

/* ---- the store ------------------------------------------------------------------------------ */

static struct world *world_of(struct mr__store *store)
{
    return MR__CONTAINER(store->ops, struct world, ops);
}

static void ring(void *user)
{
    (void)sem_post(&((struct world *)user)->bell);
}

static void on_commit(void *user, mr_status status, const mr_error *error);

static void store_commit(struct mr__store *store, const struct mr__batch *batch,
                         const struct mr__guard *guard, mr__commit_cb cb, void *user)
{
    struct world *w = world_of(store);
    if (w->dead) {
        return;
    }
    w->commits++;
    if (w->commits == w->crash.at && w->crash.before) {
        w->dead = w->crashed = true;
        return;
    }
    w->flying = true;
    w->commit_cb = cb;
    w->commit_user = user;
    if (w->failing) {
        w->fake = MR_EIO;
        return;
    }
    w->store_ops->commit(store, batch, guard, on_commit, w);
}

static void on_commit(void *user, mr_status status, const mr_error *error)
{
    struct world *w = user;
    mr_error lost;
    w->flying = false;
    if (status == MR_OK && w->commits == w->crash.at && !w->crash.before) {
        w->dead = w->crashed = true;
        return;
    }
    if (status == MR_OK && w->unknown) {
        w->unknown = false;
        status = mr__error_set(&lost, MR_EUNKNOWN, "the store does not answer");
        error = &lost;
    }
    w->commit_cb(w->commit_user, status, error);
}

static void store_wait(struct world *w)
{
    mr_error error;
    struct timespec until;
    if (w->fake != MR_OK) {
        mr_status status = w->fake;
        w->fake = MR_OK;
        (void)mr__error_set(&error, status, "the disk fails");
        on_commit(w, status, &error);
        return;
    }
    if (w->folder != NULL) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += STORE_TIMEOUT_S;
        while (sem_timedwait(&w->bell, &until) != 0) {
            if (errno != EINTR) {
                world_broken(w, "the store does not answer");
            }
        }
    }
    w->store_ops->poll(w->store);
}

static void store_open(struct world *w)
{
    mr_error error = {0};
    struct mr__mem_options options = {.notify = ring, .notify_user = w};
    mr_status status = w->folder != NULL
                           ? mr__store_lmdb_open(w->folder, ring, w, &w->store, &error)
                           : mr__store_mem_open(w->image, &options, &w->store);
    if (status != MR_OK) {
        world_broken(w, "the store cannot be opened: %s", error.message);
    }
    w->store_ops = w->store->ops;
    w->ops = *w->store_ops;
    w->ops.commit = store_commit;
    w->store->ops = &w->ops;
    w->flying = false;
    w->fake = MR_OK;
}

/* ---- lives ---------------------------------------------------------------------------------- */

static void on_arm(void *user, int64_t due_ms)
{
    ((struct world *)user)->armed_ms = due_ms;
}

static void on_rebuilt(void *user)
{
}

static void on_broken(void *user, const mr_error *error)
{
    struct world *w = user;
    w->broken = true;
    w->trouble = *error;
}

static void on_say(void *user, int32_t level, const char *line)
{
}

static void shard_open(struct world *w, struct mr__shard **ret_shard)
{
    mr_error error = {0};
    struct mr__shard *shard = mr__shard_create();
    if (shard == NULL) {
        abort();
    }
    struct mr__shard_options options = {
        .store = w->store,
        .executor = &w->port,
        .clock = &w->clock,
        .ids = &w->ids,
        .evaluator = &w->evaluator.port,
        .jobs = 64,
        .journal_bytes_keep = w->journal_bytes_keep,
        .events =
            {.user = w, .arm = on_arm, .rebuilt = on_rebuilt, .broken = on_broken, .say = on_say},
    };
    if (mr__shard_open(shard, &options, &error) != MR_OK) {
        world_broken(w, "the shard cannot be opened: %s", error.message);
    }
    *ret_shard = shard;
}

static void open_life(struct world *w)
{
    w->life++;
    w->dead = w->broken = false;
    w->armed_ms = INT64_MAX;
    mr__id_source_init(&w->ids, 0);
    w->ids.random = random_bytes;
    w->ids.user = w;
    store_open(w);
    shard_open(w, &w->shard);
    w->events = mr__shard_exec_events(w->shard);
}

static void close_life(struct world *w)
{
    w->dead = true;
    if (w->flying && w->fake == MR_OK) {
        world_broken(w, "the engine is closed in the middle of a commit");
    }
    world_exec_crash(w);
    mr__shard_destroy(w->shard);
    w->store_ops->close(w->store);
    w->shard = NULL;
}

/* As `run --resume` does: everything goes on but runs whose action is missing. */
static void resume_all(struct world *w)
{
    const struct mr__scheduler *s = mr__shard_state(w->shard);
    uint8_t ids[WORLD_RUNS_MAX * 4][MR__RUN_ID_BYTES];
    size_t count = 0;
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        if (run != NULL && run->plan->missing == 0) {
            if (count == MR__COUNT(ids)) {
                world_broken(w, "too many runs");
            }
            memcpy(ids[count++], run->id, MR__RUN_ID_BYTES);
        }
    }
    if (count > 0) {
        mr__shard_resume(w->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])ids, count);
    }
}

static void next_life(struct world *w)
{
    bool at_rest = !w->dead;
    close_life(w);
    open_life(w);
    world_exec_carry(w, !at_rest);
    resume_all(w);
}

void world_init(struct world *w, const char *folder, struct world_crash crash)
{
    memset(w, 0, sizeof *w);
    w->folder = folder;
    w->crash = crash;
    w->clock = (struct mr__clock){clock_wall, clock_monotonic};
    w->random = 1;
    w->image = mr__mem_image_create();
    if (w->image == NULL || sem_init(&w->bell, 0, 0) != 0) {
        abort();
    }
    mr__buf_init(&w->log);
    mr__scheduler_init(&w->past, 1);
    world_exec_init(w);
    open_life(w);
}

void world_finish(struct world *w)
{
    close_life(w);
    mr__scheduler_finish(&w->past);
    mr__buf_finish(&w->log);
    for (size_t i = 0; i < w->run_count; i++) {
        mr__plan_unref(w->runs[i].plan);
    }
    world_exec_finish(w);
    mr__mem_image_destroy(w->image);
    (void)sem_destroy(&w->bell);
}

void world_settle(struct world *w)
{
    for (unsigned i = 0, still = 0; still < 2; i++) {
        if (i == SETTLE_MAX) {
            world_broken(w, "it does not come to rest");
        }
        if (w->dead) {
            next_life(w);
        }
        bool moved = false;
        mr__shard_pump(w->shard);
        if (!w->dead && w->flying) {
            store_wait(w);
            moved = true;
        }
        if (!w->dead && !w->broken) {
            moved |= world_exec_go(w);
        }
        if (!w->dead && !w->broken && w->armed_ms <= w->monotonic_ms) {
            mr__shard_timer(w->shard);
            moved = true;
        }
        still = moved || w->dead ? 0 : still + 1;
    }
}

void world_advance(struct world *w, int64_t ms)
{
    int64_t until = w->monotonic_ms + ms;
    world_settle(w);
    while (w->armed_ms <= until && !w->broken) {
        w->monotonic_ms = MR__MAX(w->monotonic_ms, w->armed_ms);
        world_settle(w);
    }
    w->monotonic_ms = until;
    world_settle(w);
}

void world_crash(struct world *w)
{
    world_settle(w);
    next_life(w);
    world_settle(w);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void on_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct world *w = user;
    w->answered = true;
    w->status = status;
    if (error != NULL) {
        w->error = *error;
    }
    if (run_id != NULL && w->run_count > 0 && !w->runs[w->run_count - 1].known) {
        memcpy(w->runs[w->run_count - 1].id, run_id, MR__RUN_ID_BYTES);
    }
}

/* Asks until there is an answer. One that a crash has cut off is asked for again, unless it had
 * become durable: then it was done. */
static mr_status ask(struct world *w, void (*issue)(struct world *w, void *arg), void *arg)
{
    uint32_t life;
    do {
        life = w->life;
        w->answered = false;
        issue(w, arg);
        world_settle(w);
        for (int i = 0; i < ASKS_MAX && !w->answered && (w->failing || w->unknown); i++) {
            world_advance(w, 500); /* the store is asked again */
        }
        if (!w->answered) {
            world_broken(w, "a request is not answered");
        }
    } while (w->status == MR_ECLOSED && w->life != life && w->crash.before);
    if (w->status == MR_ECLOSED && w->life != life) {
        w->status = MR_OK;
    }
    return w->status;
}

struct submit {
    struct mr__dag *dag;
    struct mr__blob vars;
};

static void issue_submit(struct world *w, void *arg)
{
    const struct submit *submit = arg;
    struct mr__plan *plan = mr__shard_plan(w->shard, submit->dag->version);
    if (plan == NULL && mr__shard_plan_add(w->shard, mr__dag_ref(submit->dag), &plan) != MR_OK) {
        abort();
    }
    struct mr__submit how = {
        .plan = plan, .folder = {"/", 1}, .vars = submit->vars, .tags = {"{}", 2}};
    mr__shard_submit(w->shard, &how, on_done, w);
}

mr_status world_submit(struct world *w, struct mr__dag *dag, struct mr__blob vars)
{
    struct submit submit = {dag, vars};
    if (w->run_count == WORLD_RUNS_MAX) {
        world_broken(w, "too many runs in one case");
    }
    struct world_run *run = &w->runs[w->run_count++];
    if (mr__plan_create(dag, world_exec_bind, w, &run->plan) != MR_OK) {
        abort();
    }
    mr_status status = ask(w, issue_submit, &submit);
    run->known = status == MR_OK;
    return status;
}

struct command {
    size_t run;
    const struct mr__command_of *what;
};

static bool read_back(struct world *w, size_t run);

/* As the engine does: a finished run comes back from the history first. */
static void issue_command(struct world *w, void *arg)
{
    const struct command *command = arg;
    const struct world_run *run = &w->runs[command->run];
    mr_error error = {0};
    if (mr__shard_find(w->shard, run->id) == NULL &&
        (command->what->command == MR__COMMAND_RETRY ||
         command->what->command == MR__COMMAND_CONTINUE) &&
        read_back(w, command->run)) {
        struct mr__plan *plan = mr__shard_plan(w->shard, run->plan->dag->version);
        if (plan == NULL &&
            mr__shard_plan_add(w->shard, mr__dag_ref(run->plan->dag), &plan) != MR_OK) {
            abort();
        }
        struct mr__blob log = {(const char *)w->log.data, w->log.len};
        if (mr__shard_revive(w->shard, run->id, plan, log, &error) != MR_OK) {
            on_done(w, error.status, &error, NULL);
            return;
        }
    }
    mr__shard_command(w->shard, run->id, command->what, on_done, w);
}

mr_status world_command(struct world *w, size_t run, const struct mr__command_of *what)
{
    struct command command = {run, what};
    return ask(w, issue_command, &command);
}

/* The other owner makes a run of its own, by which it marks the store as its own. */
void world_take_over(struct world *w, struct mr__dag *dag)
{
    struct mr__shard *mine = w->shard;
    int64_t armed_ms = w->armed_ms;
    world_settle(w);
    shard_open(w, &w->shard);
    if (world_submit(w, dag, (struct mr__blob){"{}", 2}) != MR_OK) {
        world_broken(w, "the other owner cannot write: %s", w->error.message);
    }
    mr__shard_destroy(w->shard);
    w->shard = mine;
    w->armed_ms = armed_ms;
}

/* ---- looking -------------------------------------------------------------------------------- */

struct lookup {
    struct world *w;
    const uint8_t *id;
};

static mr_status place_of(struct mr__snapshot *snapshot, struct world *w, const uint8_t *id,
                          struct mr__place *ret_place)
{
    const struct mr__pending *pending = mr__shard_pending_find(w->shard, id);
    struct mr__key key;
    struct mr__bytes value;
    if (pending != NULL) {
        *ret_place = pending->place;
        return MR_OK;
    }
    mr__key_by_id(&key, id);
    mr_status status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    return status == MR_OK && !mr__place_read(value, ret_place) ? MR_EFORMAT : status;
}

static mr_status lookup_read(struct mr__snapshot *snapshot, void *user)
{
    struct lookup *lookup = user;
    struct mr__key key;
    struct mr__bytes value;
    struct mr__place place;
    struct mr__finished finished;
    struct mr__reader r;
    mr_status status = place_of(snapshot, lookup->w, lookup->id, &place);
    if (status != MR_OK) {
        return status;
    }
    mr__key_history(&key, 0, place.lsn, place.part);
    status = snapshot->ops->get(snapshot, key.bytes, key.len, &value);
    if (status != MR_OK || mr__record_open(value, "history", &r, NULL) != MR_OK) {
        return MR_EFORMAT;
    }
    r.at = (const uint8_t *)value.data + place.offset;
    if (!mr__finished_read(&r, &finished)) {
        return MR_EFORMAT;
    }
    mr__buf_reset(&lookup->w->log);
    mr__buf_bytes(&lookup->w->log, finished.log.data, finished.log.len);
    return MR_OK;
}

/* The events of a finished run, in w->log. */
static bool read_back(struct world *w, size_t run)
{
    struct lookup lookup = {w, w->runs[run].id};
    return w->store->ops->read_now(w->store, lookup_read, &lookup) == MR_OK;
}

const struct mr__run *world_look(struct world *w, size_t run)
{
    struct mr__run *it = mr__shard_find(w->shard, w->runs[run].id);
    if (it != NULL) {
        return it;
    }
    if (!read_back(w, run)) {
        world_broken(w, "the run is nowhere: not live, and not in the history");
    }
    mr__scheduler_finish(&w->past);
    mr__scheduler_init(&w->past, 1);
    if (mr__run_create(&w->past, 0, w->runs[run].id, w->runs[run].plan, &it) != MR_OK ||
        mr__replay(&w->past, it, w->log.data, w->log.len) != MR_OK) {
        world_broken(w, "a finished run cannot be read back");
    }
    return it;
}

struct listing {
    struct world *w;
    const uint8_t *id;
    int status;
};

static mr_status listing_read(struct mr__snapshot *snapshot, void *user)
{
    struct listing *listing = user;
    struct mr__key key;
    struct mr__bytes value;
    for (uint8_t status = 0; status < MR__RUN_STATUSES; status++) {
        mr__key_by_status(&key, status, listing->id);
        if (snapshot->ops->get(snapshot, key.bytes, key.len, &value) == MR_OK) {
            listing->status = listing->status == -1 ? status : -2;
        }
    }
    return MR_OK;
}

int world_listed(struct world *w, size_t run)
{
    struct listing listing = {w, w->runs[run].id, -1};
    const struct mr__pending *pending = mr__shard_pending_find(w->shard, listing.id);
    if (pending != NULL) {
        return pending->status;
    }
    (void)w->store->ops->read_now(w->store, listing_read, &listing);
    return listing.status;
}

struct tracing {
    const uint8_t *id;
    uint32_t task;
    struct mr__buf *lines;
};

static bool on_chunk(void *user, struct mr__bytes key, struct mr__bytes value)
{
    const struct tracing *tracing = user;
    struct mr__log_chunk chunk;
    if (mr__log_chunk_read(value, &chunk)) {
        mr__buf_bytes(tracing->lines, chunk.text.data, chunk.text.len);
        mr__buf_text(tracing->lines, "\n");
    }
    return true;
}

static mr_status tracing_read(struct mr__snapshot *snapshot, void *user)
{
    const struct tracing *tracing = user;
    struct mr__key from, to;
    mr__key_log(&from, tracing->id, MR__LOG_TRACE, tracing->task, 0);
    mr__key_log(&to, tracing->id, MR__LOG_TRACE, tracing->task, UINT64_MAX);
    return snapshot->ops->range(snapshot, (struct mr__bytes){from.bytes, from.len},
                                (struct mr__bytes){to.bytes, to.len}, 0, 0, on_chunk, user);
}

void world_traces(struct world *w, size_t run, uint32_t task, struct mr__buf *lines)
{
    struct tracing tracing = {w->runs[run].id, task, lines};
    (void)mr__shard_log_mark(w->shard);
    world_settle(w);
    (void)w->store->ops->read_now(w->store, tracing_read, &tracing);
}
