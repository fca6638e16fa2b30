/* SPDX-License-Identifier: MIT
 *
 * The engine inside of a C++17 program: an action that is a lambda, a dag in code, and a run that
 * is waited for.
 *
 * embed [STORE]
 */
#include <iostream>
#include <millrace/engine.h>
#include <millrace/plugin.h>
#include <string_view>

int main(int argc, char **argv)
{
    const mr_action square = mr_action_make(
        "square",
        [](mr_task *t) {
            const int64_t n = mr_param_int(t, "n");
            return mr_output_str(t, "squared", mr_printf(t, "%lld", static_cast<long long>(n * n)));
        },
        MR_ON_WORKER,
        [] {
            static const mr_param params[] = {{"n", MR_INT, MR_REQUIRED, nullptr, "a number"}, {}};
            return params;
        }());
    const mr_action *const actions[] = {&square, nullptr};

    mr_options options{};
    options.size = sizeof options;
    options.store = argc > 1 ? argv[1] : "embed-cpp-store";
    options.actions = actions;
    mr_engine *engine = nullptr;
    mr_error error{};
    if (mr_open(&options, &engine, &error) != MR_OK) {
        std::cerr << error.message << '\n';
        return 1;
    }

    mr_dag *dag = mr_dag_create("squares");
    mr_dag_task(dag, "seven", "square");
    mr_dag_param_int(dag, "seven", "n", 7);
    mr_start_options start{};
    start.size = sizeof start;
    start.dag = dag;
    char run[MR_RUN_ID_BYTES];
    const char *status = "not started";
    if (mr_start(engine, &start, run, &error) != MR_OK ||
        mr_wait(engine, run, MR_FOREVER, &status, &error) != MR_OK) {
        std::cerr << error.message << '\n';
    }
    mr_dag_destroy(dag);
    std::cout << status << '\n';
    mr_close(engine);
    return status == std::string_view("success") ? 0 : 1;
}
