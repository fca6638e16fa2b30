/* SPDX-License-Identifier: MIT
 *
 * The engine inside a program of your own: open a store, run a dag file, wait, print how it ended.
 * While it runs, `millrace --store STORE ps` in another terminal shows the run.
 *
 * embed [FILE [STORE [PLUGINS]]]: PLUGINS are folders with ':' between, beside the installed ones.
 */
#include <millrace/engine.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    mr_options options = MR_OPTIONS(.store = argc > 2 ? argv[2] : "embed-store",
                                    .plugins = argc > 3 ? argv[3] : NULL);
    mr_start_options start = MR_START(.file = argc > 1 ? argv[1] : "examples/hello.yaml");
    mr_engine *engine;
    mr_error error;
    char run_id[MR_RUN_ID_BYTES];
    const char *status = "not started";

    if (mr_open(&options, &engine, &error) != MR_OK) {
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    if (mr_start(engine, &start, run_id, &error) != MR_OK ||
        mr_wait(engine, run_id, MR_FOREVER, &status, &error) != MR_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    printf("%s\n", status);
    mr_close(engine);
    return strcmp(status, "success") != 0;
}
