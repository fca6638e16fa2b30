/* SPDX-License-Identifier: MIT
 *
 * The dags that the simulation runs: every rule of the scheduler has one that needs it. The
 * action's name says how its attempts behave (sim_exec.c). Parsed once for all seeds: a dag never
 * changes.
 */
#include <stdio.h>
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

    "id: phases\n"
    "maxParallel: 2\n"
    "tasks:\n"
    "  - {id: a, action: phases, params: {p: \"{{ 'odds 500' }}\"}}\n"
    "  - {id: b, action: before, timeout: 2s, params: {p: \"{{ 'fails 100' }}\"}}\n"
    "  - {id: c, action: after, dependOn: [a]}\n"
    "  - {id: d, action: phases, dependOn: [b], onLost: retry}\n"
    "  - {id: e, action: loop, dependOn: [c, d]}\n",

    "id: retried\n"
    "tasks:\n"
    "  - {id: a, action: fails, retry: {max: 3, delay: 1s}}\n"
    "  - {id: b, action: fails, retry: {max: 4, delay: 2s, backoff: exponential, maxDelay: 10s,\n"
    "      jitter: 0.5, if: \"'odds 800'\"}}\n"
    "  - {id: c, action: phases, timeout: 1s, retry: {max: 2, delay: 5m}}\n"
    "  - {id: d, action: fails, dependOn: [a], retry: {max: 2, if: \"'fails 200'\"}}\n"
    "  - {id: e, action: before, dependOn: [c], retry: {max: 5}}\n",

    "id: conditions\n"
    "vars: {x: {defaultValue: \"1\"}}\n"
    "tasks:\n"
    "  - {id: a, action: loop, runIf: \"'odds 800'\", skipIf: \"'odds 200'\"}\n"
    "  - {id: b, action: fails, blockIf: \"'odds 500'\", retry: {max: 2, delay: 1s}}\n"
    "  - id: c\n"
    "    action: spawn\n"
    "    onLost: retry\n"
    "    dependOn: [a]\n"
    "    preCheck:\n"
    "      skips: {act: skip, conditions: [{source: vars, key: x, op: \"==\", value: \"2\"}]}\n"
    "      blocks: {act: block, conditions: [{source: vars, key: x, op: \"==\", value: \"3\"}]}\n"
    "  - {id: d, action: before, dependOn: [b], skipIf: \"'fails 300'\"}\n"
    "  - {id: e, dependOn: [c, d], blockIf: \"'odds 400'\"}\n",

    "id: fan\n"
    "maxParallel: 5\n"
    "timeout: 2m\n"
    "tasks:\n"
    "  - {id: a, action: loop}\n"
    "  - {id: b, action: spawn, dependOn: [a], forEach: \"'items 5'\", maxParallel: 2,\n"
    "      params: {p: \"{{ 'fails 80' }}\", q: \"{{ item }}\"}}\n"
    "  - {id: c, action: fails, dependOn: [a], forEach: \"'items 4'\", retry: {max: 1, delay: 1s,\n"
    "      if: \"'odds 700'\"}}\n"
    "  - {id: d, action: phases, dependOn: [b], forEach: \"'items 3'\", maxParallel: 1}\n"
    "  - {id: f, action: wait, forEach: \"'items 3'\", timeout: 30s}\n"
    "  - {id: e, dependOn: [c, d]}\n",

    "id: fanask\n"
    "onLost: ask\n"
    "tasks:\n"
    "  - {id: a, action: fails, forEach: \"'items 6'\", maxParallel: 3}\n"
    "  - {id: b, action: worker, forEach: \"'items 4'\", blockIf: \"'odds 300'\"}\n"
    "  - {id: c, dependOn: [a], when: always, action: shares, forEach: \"'lists 300'\"}\n"
    "  - {id: d, dependOn: [b], when: failed}\n",

    "id: when\n"
    "tasks:\n"
    "  - {id: a, action: fails}\n"
    "  - {id: b, action: loop, dependOn: [a]}\n"
    "  - {id: c, action: loop, dependOn: [b]}\n"
    "  - {id: d, action: before, dependOn: [c], when: always, retry: {max: 1, delay: 1s}}\n"
    "  - {id: e, action: spawn, dependOn: [c], when: failed}\n"
    "  - {id: f, action: wait, dependOn: [d, e]}\n"
    "  - {id: g, dependOn: [f, a], when: always, blockIf: \"'odds 300'\"}\n",

    "id: shares\n"
    "tasks:\n"
    "  - {id: a, action: shares}\n"
    "  - {id: b, action: worker}\n"
    "  - {id: c, action: after, dependOn: [a], onLost: retry}\n"
    "  - {id: d, action: phases, dependOn: [a]}\n"
    "  - {id: e, action: shares, dependOn: [b], params: {p: \"{{ 'odds 500' }}\"}}\n"
    "  - {id: f, action: shares, dependOn: [c, d, e]}\n",

    "id: looks\n"
    "tasks:\n"
    "  - {id: a, action: shares, onLost: retry}\n"
    "  - {id: b, action: shares, dependOn: [a], onLost: retry}\n"
    "  - {id: c, action: wait}\n"
    "  - id: d\n"
    "    action: spawn\n"
    "    dependOn: [c]\n"
    "    preCheck:\n"
    "      even: {act: skip, conditions: [{source: share-data, key: k0, op: matches,\n"
    "        value: \"[02468]$\"}]}\n"
    "      all: {act: block, conditions: [{source: share-data, key: k1, op: exists},\n"
    "        {source: share-data, key: k2, op: matches, value: \"[02468]$\"}]}\n"
    "  - id: e\n"
    "    action: loop\n"
    "    dependOn: [c]\n"
    "    skipIf: \"'odds 300'\"\n"
    "    preCheck:\n"
    "      even: {act: block, conditions: [{source: share-data, key: k3, op: matches,\n"
    "        value: \"[02468]$\"}]}\n"
    "  - id: f\n"
    "    action: loop\n"
    "    dependOn: [c]\n"
    "    runIf: \"'odds 700'\"\n"
    "    preCheck:\n"
    "      none: {act: skip, conditions: [{source: share-data, key: k1, op: exists,\n"
    "        value: false}]}\n"
    "  - {id: g, dependOn: [b, d, e, f]}\n",

    "id: hooks\n"
    "timeout: 1m\n"
    "hooks: {beforeRun: {lua: \"return 1\"}, beforeFail: {lua: \"return 1\"},\n"
    "  beforeRetry: {lua: \"return 1\"}, beforeContinue: {lua: \"return 1\"},\n"
    "  onSuccess: {lua: \"return 1\"}, onExit: {lua: \"return 1\"}}\n"
    "tasks:\n"
    "  - {id: a, action: fails}\n"
    "  - {id: b, action: before, blockIf: \"'odds 300'\", retry: {max: 1, delay: 1s}}\n"
    "  - {id: c, action: phases}\n"
    "  - {id: d, action: phases, dependOn: [a]}\n"
    "  - {id: e, action: wait}\n",

    "id: again\n"
    "hooks: {beforeRetry: {lua: \"return 1\"}, beforeContinue: {lua: \"return 1\"}}\n"
    "tasks:\n"
    "  - {id: a, action: fails}\n"
    "  - {id: b, action: phases, onLost: ask}\n"
    "  - {id: c, action: phases, dependOn: [b]}\n"
    "  - {id: d, action: phases}\n"
    "  - {id: e, action: before, dependOn: [d]}\n",

    "id: ends\n"
    "hooks: {beforeSuccess: {lua: \"return 1\"}, beforeBlock: {lua: \"return 1\"},\n"
    "  onFailure: {lua: \"return 1\"}, onCancel: {lua: \"return 1\"}}\n"
    "tasks:\n"
    "  - {id: a, action: spawn, blockIf: \"'odds 500'\"}\n"
    "  - {id: b, dependOn: [a], forEach: \"'items 2'\"}\n",
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
            (void)fprintf(stderr, "%s%s", sim_dags[i],
                          problems.count == 0 ? "" : problems.list[0].message);
            abort(); /* the text above is wrong */
        }
        mr__problems_finish(&problems);
    }
    return mr__dag_ref(parsed[i]);
}
