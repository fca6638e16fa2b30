/* SPDX-License-Identifier: MIT
 *
 * What tests of embedding share: a store of their own, actions of this program, a dag that uses
 * them, a loop that turns until something is so. Header only.
 */
#ifndef MR__EMBED_FIXTURE_H
#define MR__EMBED_FIXTURE_H

#include <millrace/engine.h>
#include <millrace/plugin.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

#define EMBED_WAIT_MS 20000

static char embed_store[64];

static inline int embed_set_up(void **state)
{
    temp_store_make(embed_store);
    return 0;
}

static inline int embed_tear_down(void **state)
{
    temp_store_remove(embed_store);
    return 0;
}

/* Gives its param `text` back, longer by one. */
static inline mr_status embed_say(mr_task *t)
{
    return mr_output_str(t, "said", mr_printf(t, "%s!", mr_param_str(t, "text")));
}

/* Sleeps on a worker. */
static inline mr_status embed_nap(mr_task *t)
{
    return mr_sleep(t, mr_param_int(t, "ms"));
}

static const mr_param embed_say_params[] = {
    {.name = "text", .type = MR_STRING, .default_json = "\"hello\"", .help = "what to say"},
    {.name = NULL},
};
static const mr_param embed_nap_params[] = {
    {.name = "ms", .type = MR_INT, .default_json = "60000", .help = "how long"},
    {.name = NULL},
};
static const mr_action embed_say_action =
    MR_ACTION(.name = "say", .params = embed_say_params, .run = embed_say);
static const mr_action embed_nap_action =
    MR_ACTION(.name = "nap", .params = embed_nap_params, .run = embed_nap);
static const mr_action *const embed_actions[] = {&embed_say_action, &embed_nap_action, NULL};

#define EMBED_SAY "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"say\"}]}"
#define EMBED_NAP "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"nap\"}]}"

static inline mr_engine *embed_open(const mr_options *options)
{
    mr_engine *engine = NULL;
    mr_error error = {.message = ""};
    if (mr_open(options, &engine, &error) != MR_OK) {
        print_error("%s\n", error.message);
    }
    assert_non_null(engine);
    return engine;
}

static inline mr_engine *embed_open_default(void)
{
    mr_options options = MR_OPTIONS(.store = embed_store, .actions = embed_actions);
    return embed_open(&options);
}

/* What callbacks have told. One is filled by one thread at a time; others look under the lock. */
struct embed_told {
    pthread_mutex_t lock;
    uint32_t answers, ends;
    mr_status status; /* of the last call */
    char json[4096], message[512];
};

#define EMBED_TOLD                                                     \
    {                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER, .status = MR_OK, .json = "" \
    }

static inline void embed_on_answer(const mr_answer *answer, void *user)
{
    struct embed_told *told = user;
    (void)pthread_mutex_lock(&told->lock);
    assert_int_equal(told->ends, 0);
    assert_int_equal(answer->size, sizeof *answer);
    if (answer->status == MR_OK) {
        told->answers++;
    } else {
        told->ends++;
        told->status = answer->status;
        (void)snprintf(told->message, sizeof told->message, "%s", answer->message);
    }
    if (answer->json != NULL) {
        (void)snprintf(told->json, sizeof told->json, "%s", answer->json);
    }
    (void)pthread_mutex_unlock(&told->lock);
}

static inline bool embed_has_ended(struct embed_told *told)
{
    (void)pthread_mutex_lock(&told->lock);
    bool ended = told->ends > 0;
    (void)pthread_mutex_unlock(&told->lock);
    return ended;
}

static inline void embed_wait_ended(struct embed_told *told)
{
    for (long due = temp_store_now_ms() + EMBED_WAIT_MS; !embed_has_ended(told);) {
        assert_true(temp_store_now_ms() < due);
        (void)usleep(1000);
    }
}

/* The id in {"run":"ID",...}. */
static inline void embed_run_id(const char *json, char ret_id[MR_RUN_ID_BYTES])
{
    const char *at = strstr(json, "\"run\":\"");
    assert_non_null(at);
    (void)snprintf(ret_id, MR_RUN_ID_BYTES, "%s", at + strlen("\"run\":\""));
}

#endif
