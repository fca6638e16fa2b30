/* SPDX-License-Identifier: MIT
 *
 * What test_hooks.py watches: a program that embeds the engine and prints each hook that it is
 * told of as "UNIX-MS HOOK STATUS REASON", and each end of the run as "= STATUS".
 *
 * told STORE PLUGINS FILE HOOKS [retry|continue]...: HOOKS is mr_options.hooks as a number. After
 * each end the next word is said to the run.
 */
#include <millrace/engine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_hook(const mr_hook *hook, void *user)
{
    static const char *const names[] = {
        "beforeRun",      "beforeSuccess", "beforeFail", "beforeBlock", "beforeRetry",
        "beforeContinue", "onSuccess",     "onFailure",  "onCancel",    "onExit"};
    struct timespec now;
    unsigned number = 0;
    while (number < 9 && hook->hook != 1u << number) {
        number++;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld %s %s %s\n", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, names[number],
           hook->status, hook->reason);
    if (strcmp(hook->dag_id, user) != 0) {
        printf("the dag is %s\n", hook->dag_id);
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    mr_engine *engine;
    mr_error error;
    char run_id[MR_RUN_ID_BYTES], dag_id[] = "dag";
    const char *status;
    if (argc < 5) {
        return 2;
    }
    mr_options options = MR_OPTIONS(.store = argv[1], .plugins = argv[2], .on_hook = on_hook,
                                    .user = dag_id, .hooks = (uint32_t)atoi(argv[4]));
    mr_start_options start = MR_START(.file = argv[3]);
    if (mr_open(&options, &engine, &error) != MR_OK) {
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    mr_status result = mr_start(engine, &start, run_id, &error);
    for (int i = 5; result == MR_OK; i++) {
        result = mr_wait(engine, run_id, MR_FOREVER, &status, &error);
        if (result == MR_OK) {
            printf("= %s\n", status);
            (void)fflush(stdout);
        }
        if (result != MR_OK || i >= argc) {
            break;
        }
        result = strcmp(argv[i], "retry") == 0 ? mr_retry(engine, run_id, &error)
                                               : mr_continue(engine, run_id, &error);
    }
    if (result != MR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    mr_close(engine);
    return result != MR_OK;
}
