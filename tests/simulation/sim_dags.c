/* SPDX-License-Identifier: MIT
 *
 * The dags that the simulation runs: every rule of the scheduler has one that needs it. The
 * action's name says how its attempts behave (sim_exec.c). Parsed once for all seeds: a dag never
 * changes.
 */
#include <stdlib.h>

#include "tests/simulation/sim.h"

const char *const sim_dags[] = {
    "id: one\n"
    "tasks: [{id: a, action: loop}]\n",

    "id: gate\n"
    "tasks: [{id: a}, {id: b, dependOn: [a]}]\n",

    "id: chain\n"
    "tasks:\n"
    "  - {id: a, action: loop}\n"
    "  - {id: b, action: spawn, dependOn: [a]}\n"
    "  - {id: c, action: loop, dependOn: [b]}\n"
    "  - {id: d, action: worker, dependOn: [c]}\n"
    "  - {id: e, dependOn: [d]}\n"
    "  - {id: f, action: loop, dependOn: [e]}\n",

    "id: diamond\n"
    "tags: {team: a}\n"
    "vars: {x: {defaultValue: \"1\"}}\n"
    "tasks:\n"
    "  - {id: join, action: spawn, dependOn: [l, r], params: {p: \"{{x}}\"}}\n"
    "  - {id: l, action: wait, dependOn: [top]}\n"
    "  - {id: r, action: idem, dependOn: [top], params: {p: \"{{x}}\"}}\n"
    "  - {id: top, action: loop, params: {p: \"{{x}}\"}}\n",

    "id: wide\n"
    "maxParallel: 4\n"
    "tasks:\n"
    "  - {id: a, action: spawn}\n"
    "  - {id: b, action: loop}\n"
    "  - {id: c, action: wait}\n"
    "  - {id: d, action: spawn}\n"
    "  - {id: e, action: loop}\n"
    "  - {id: f, action: idem}\n"
    "  - {id: g, action: worker}\n"
    "  - {id: h, action: wait}\n"
    "  - {id: i, action: spawn}\n"
    "  - {id: join, dependOn: [a, b, c, d, e, f, g, h, i]}\n",

    "id: lost\n"
    "onLost: retry\n"
    "tasks:\n"
    "  - {id: a, action: spawn}\n"
    "  - {id: b, action: worker}\n"
    "  - {id: c, action: idem, onLost: fail}\n"
    "  - {id: d, action: spawn, onLost: ask, dependOn: [a]}\n"
    "  - {id: e, action: loop, dependOn: [b, d]}\n",

    "id: ask\n"
    "onLost: ask\n"
    "timeout: 5m\n"
    "tags: {team: b, stage: x}\n"
    "tasks:\n"
    "  - {id: a, action: spawn}\n"
    "  - {id: b, action: loop, dependOn: [a]}\n"
    "  - {id: c, action: worker, dependOn: [a]}\n",

    "id: timed\n"
    "timeout: 20s\n"
    "tasks:\n"
    "  - {id: a, action: spawn, timeout: 2s}\n"
    "  - {id: b, action: wait, timeout: 3s}\n"
    "  - {id: c, action: loop, timeout: 1s, dependOn: [a]}\n"
    "  - {id: d, action: wait, dependOn: [b]}\n"
    "  - {id: e, action: wait, timeout: 1h, dependOn: [d]}\n",

    "id: fails\n"
    "tags: {team: a}\n"
    "vars: {x: {defaultValue: \"1\"}}\n"
    "tasks:\n"
    "  - {id: a, action: fails, params: {p: \"{{x}}\"}}\n"
    "  - {id: b, action: spawn, dependOn: [a]}\n"
    "  - {id: c, action: fails}\n"
    "  - {id: d, action: loop, dependOn: [c]}\n"
    "  - {id: e, action: loop, dependOn: [b, d]}\n",

    "id: late\n"
    "maxParallel: 1\n"
    "tasks:\n"
    "  - {id: a, action: stubborn}\n"
    "  - {id: b, action: stubborn, onLost: retry}\n"
    "  - {id: c, action: loop, dependOn: [a]}\n",
};

const size_t sim_dag_count = MR__COUNT(sim_dags);

struct mr__dag *sim_dag_parse(size_t i)
{
    static struct mr__dag *parsed[MR__COUNT(sim_dags)];
    if (parsed[i] == NULL) {
        struct mr__problems problems;
        struct mr__parse_options options = {.file = "sim.yaml"};
        mr__problems_init(&problems);
        if (mr__dag_parse(sim_dags[i], strlen(sim_dags[i]), &options, &problems, &parsed[i]) !=
            MR_OK) {
            abort(); /* the text above is wrong */
        }
        mr__problems_finish(&problems);
    }
    return mr__dag_ref(parsed[i]);
}
