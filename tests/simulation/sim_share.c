/* SPDX-License-Identifier: MIT
 *
 * The share data: who set what, and whether it is durable. Each set has a number of its own, which
 * is the value that it gives to its key, so that a value in a table says all about itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

/* ---- sets ----------------------------------------------------------------------------------- */

static struct sim_set *set_add(struct sim *sim, uint32_t *ret_number)
{
    if (sim->exec.set_count + 1 >= SIM_SETS_MAX) {
        sim_broken(sim, "the simulation has too few sets");
    }
    *ret_number = ++sim->exec.set_count;
    struct sim_set *set = &sim->exec.sets[*ret_number];
    *set = (struct sim_set){.run = NULL};
    return set;
}

size_t sim_share_make(struct sim *sim, const struct sim_attempt *a, bool of_end, size_t max,
                      struct mr__share_set *sets, char (*text)[32])
{
    static const char *const keys[SIM_KEYS_MAX] = {"k0", "k1", "k2", "k3"};
    size_t count = 1 + sim_below(sim, (uint32_t)max);
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        struct sim_set *set = set_add(sim, &number);
        set->run = sim_truth_find(sim, a->ref.run_id);
        set->key = sim_below(sim, SIM_KEYS_MAX);
        set->task = a->ref.task;
        set->attempt = a->ref.attempt;
        set->of_end = of_end;
        sets[i].key = (struct mr__blob){keys[set->key], 2};
        sets[i].json = (struct mr__blob){NULL, 0};
        if (!sim_chance(sim, 150)) {
            int len = snprintf(text[i], sizeof text[i], "%u", number);
            sets[i].json = (struct mr__blob){text[i], (size_t)len};
        } else {
            set->removes = true;
        }
    }
    return count;
}

uint32_t sim_share_given(struct sim *sim, uint32_t key)
{
    uint32_t number;
    struct sim_set *set = set_add(sim, &number);
    set->key = key;
    set->given = true;
    return number;
}

static uint32_t number_of(struct mr__blob json)
{
    char text[16] = "";
    memcpy(text, json.data, MR__MIN(json.len, sizeof text - 1));
    return (uint32_t)strtoul(text, NULL, 10);
}

/* ---- flushes -------------------------------------------------------------------------------- */

static void on_done(void *arg, mr_status status)
{
    struct sim_flush *flush = arg;
    struct sim *sim = flush->sim;
    if (flush->answered) {
        sim_broken(sim, "a flush is answered twice");
    }
    if (flush->life != sim->life) {
        sim_broken(sim, "a flush is answered in another life");
    }
    flush->answered = true;
    for (uint32_t i = flush->first; i < flush->first + flush->count && status == MR_OK; i++) {
        if (!sim->dead && !sim->exec.sets[i].removes && !sim->exec.sets[i].durable) {
            sim_broken(sim, "a flush is answered before it is durable");
        }
    }
    const struct sim_set *set = &sim->exec.sets[flush->first];
    if (status == MR_ECLOSED) {
        sim_count(sim, SIM_flush_closed);
    } else if (status != MR_OK && !sim->dead &&
               sim_expect_current(set->run, set->task, set->attempt)) {
        sim_broken(sim, "a flush of an attempt that goes on is answered: %s",
                   mr_status_text(status));
    }
}

void sim_share_flush(struct sim *sim, const struct sim_attempt *a)
{
    struct mr__share_set sets[3];
    char text[3][32];
    if (sim->exec.flush_count == SIM_FLUSHES_MAX) {
        sim_broken(sim, "the simulation has too few flushes");
    }
    struct sim_flush *flush = &sim->exec.flushes[sim->exec.flush_count++];
    *flush = (struct sim_flush){.sim = sim, .first = sim->exec.set_count + 1, .life = sim->life};
    flush->count = (uint32_t)sim_share_make(sim, a, false, MR__COUNT(sets), sets, text);
    sim_note(sim, "flush task %u attempt %u", a->ref.task, a->ref.attempt);
    sim_count(sim, SIM_flushed);
    sim->exec.events.share(sim->exec.events.user, &a->ref, sets, flush->count, on_done, flush);
}

void sim_share_crash(struct sim *sim)
{
    for (size_t i = 0; i < sim->exec.flush_count; i++) {
        if (!sim->exec.flushes[i].answered) {
            sim_count(sim, SIM_flush_lost);
        }
    }
    sim->exec.flush_count = 0;
    for (uint32_t i = 1; i <= sim->exec.set_count; i++) {
        if (sim->exec.sets[i].of_end && !sim->exec.sets[i].durable) {
            sim->exec.sets[i].lost = true;
            sim_count(sim, SIM_sets_lost);
        }
    }
}

void sim_share_closed(struct sim *sim)
{
    for (size_t i = 0; i < sim->exec.flush_count; i++) {
        if (!sim->exec.flushes[i].answered) {
            sim_broken(sim, "a flush is not answered though the engine closes");
        }
    }
}

/* ---- what is durable ------------------------------------------------------------------------ */

void sim_share_durable(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t key = event->key.len == 2 ? (uint32_t)(event->key.data[1] - '0') : SIM_KEYS_MAX;
    struct sim_task *task = &run->tasks[event->task];
    if (key >= SIM_KEYS_MAX) {
        sim_broken(sim, "a key is set that nobody set");
    }
    if (event->payload.data == NULL) {
        run->share[key] = 0;
        sim_count(sim, SIM_share_removed);
        return;
    }
    uint32_t number = number_of(event->payload);
    struct sim_set *set = &sim->exec.sets[number <= sim->exec.set_count ? number : 0];
    bool given = set->given && run->status == MR__RUN_INIT;
    if (number == 0 || set->key != key || set->durable ||
        !(given || (set->run == run && set->task == event->task &&
                    sim_expect_current(run, event->task, set->attempt)))) {
        sim_broken(sim, "task %u: share data are set twice, or by nobody whose attempt runs",
                   event->task);
    }
    if (set->lost) {
        sim_broken(sim, "task %u: what the end of a lost attempt set is there", event->task);
    }
    set->run = run;
    set->durable = true;
    task->end_sets += set->of_end;
    run->share[key] = number;
    run->shared += given;
    sim_count(sim, SIM_shared);
}

uint32_t sim_share_at(const struct sim_run *run, const char *key, size_t seen)
{
    struct mr__reader r;
    struct mr__event event;
    uint32_t number = 0;
    mr__reader_init(&r, run->log.data, seen);
    while (mr__reader_left(&r) > 0 && mr__event_decode(&r, 0, &event)) {
        if (event.type == MR__EVENT_SHARE_SET && event.key.len == strlen(key) &&
            memcmp(event.key.data, key, event.key.len) == 0) {
            number = event.payload.data == NULL ? 0 : number_of(event.payload);
        }
    }
    return number;
}

void sim_share_check(struct sim *sim, const struct sim_run *run, struct mr__share *share,
                     bool exact)
{
    for (uint32_t key = 0; key < SIM_KEYS_MAX; key++) {
        char name[] = {'k', (char)('0' + key)};
        struct mr__buf json;
        mr__buf_init(&json);
        bool found = mr__share_get(share, name, sizeof name, &json);
        uint32_t number =
            found ? number_of((struct mr__blob){(const char *)json.data, json.len}) : 0;
        mr__buf_finish(&json);
        const struct sim_set *set = &sim->exec.sets[number <= sim->exec.set_count ? number : 0];
        if (found && (number == 0 || set->run != run || !set->durable || set->key != key)) {
            sim_broken(sim, "dag %s: an attempt sees share data that are not durable",
                       run->plan->dag->id);
        }
        if (exact && number != run->share[key]) {
            sim_broken(sim, "dag %s: an attempt sees %u as k%u, and durable is %u",
                       run->plan->dag->id, number, key, run->share[key]);
        }
        if (found) {
            sim_count(sim, SIM_share_seen);
        }
    }
}
