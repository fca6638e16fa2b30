/* SPDX-License-Identifier: MIT
 *
 * The engine inside of a program that has a libuv loop already: it lives on that loop, beside a
 * timer of the program's own, and no call waits. The program brings an action and a dag in code,
 * starts a run, hears of its events as they come, and leaves.
 *
 * embed_uv [STORE]
 */
#include <millrace/engine.h>
#include <millrace/plugin.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static mr_engine *engine;
static uv_timer_t ticker;
static int failed = 1;

/* An action of this program, on a worker thread: it may block. */
static mr_status greet(mr_task *t)
{
    const char *who = mr_param_str(t, "who");
    return mr_output_str(t, "text", mr_printf(t, "hello %s", who));
}

static const mr_param params[] = {
    {.name = "who", .type = MR_STRING, .flags = MR_REQUIRED, .help = "whom to greet"},
    {.name = NULL},
};
static const mr_action greet_action = MR_ACTION(.name = "greet", .params = params, .run = greet);
static const mr_action *const actions[] = {&greet_action, NULL};

static void on_tick(uv_timer_t *timer)
{
    /* The program's own business goes on all the while. */
}

static void on_closed(void *user)
{
    uv_close((uv_handle_t *)&ticker, NULL); /* The loop has nothing left, and uv_run returns. */
}

static void leave(const char *message)
{
    if (message != NULL) {
        fprintf(stderr, "%s\n", message);
    }
    (void)mr_close_async(engine, on_closed, NULL, NULL);
}

/* One call for each event of the run, and a last one. */
static void on_event(const mr_answer *answer, void *user)
{
    if (answer->status == MR_OK) {
        printf("%s\n", answer->json);
        failed = strstr(answer->json, "\"status\":\"success\"") == NULL;
    } else {
        leave(answer->status == MR_END ? NULL : answer->message);
    }
}

static void on_started(const mr_answer *answer, void *user)
{
    mr_error error;
    if (answer->status == MR_END) { /* The run is durable: from now on it is watched. */
        if (mr_request_cb(engine, "{\"op\":\"watch\",\"run\":\"-\"}", on_event, NULL, NULL,
                          &error) != MR_OK) {
            leave(error.message);
        }
    } else if (answer->status != MR_OK) {
        leave(answer->message);
    }
}

/* greet -> (a run of the action in this program) -> thank, which uses its output. */
static mr_status start(mr_error *error)
{
    mr_dag *dag = mr_dag_create("greetings");
    if (dag == NULL) {
        return MR_ENOMEM;
    }
    mr_dag_var(dag, "who", "{\"defaultValue\":\"world\"}");
    mr_dag_task(dag, "greet", "greet");
    mr_dag_param_str(dag, "greet", "who", "{{who}}");
    mr_dag_task(dag, "thank", "greet");
    mr_dag_param_str(dag, "thank", "who", "{{tasks.greet.output.text}}");
    mr_dag_depend(dag, "thank", "greet");
    mr_start_options options = MR_START(.dag = dag, .vars_json = "{\"who\":\"loop\"}");
    mr_status status = mr_start_cb(engine, &options, on_started, NULL, error);
    mr_dag_destroy(dag);
    return status;
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    mr_options options = MR_OPTIONS(.store = argc > 1 ? argv[1] : "embed-uv-store",
                                    .actions = actions, .loop = loop);
    mr_error error = {.message = "out of memory"};
    if (mr_open(&options, &engine, &error) != MR_OK) {
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    (void)uv_timer_init(loop, &ticker);
    (void)uv_timer_start(&ticker, on_tick, 100, 100);
    if (start(&error) != MR_OK) {
        leave(error.message);
    }
    (void)uv_run(loop, UV_RUN_DEFAULT);
    return failed;
}
