#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: a plugin that was built against the header of an earlier minor runs as it did then, in every call
that it can make. Method: tests/abi/calls.c, built with each released header and with today's."""
import os

from harness import BUILD, equal, has, main, statuses, task_of

BUILT = {"0": "v1_0", "1": "v1_1", "now": "now"}
PLUGINS = [word for folder in BUILT.values() for word in ("--plugins", os.path.join(BUILD, "tests/abi", folder))]

DAG = """
id: calls
vars: {{stage: {{defaultValue: dev}}}}
tasks:
  - {{id: worker, action: calls-{0}-worker, timeout: 1m, retry: {{max: 1{1}}}, params: {{must: [1, 2]}}}}
  - {{id: loop, action: calls-{0}-loop, timeout: 1m}}
  - {{id: wait, action: calls-{0}-wait}}
  - {{id: stay, action: calls-{0}-stay, timeout: 100ms}}
  - {{id: lock, action: calls-{0}-lock, timeout: 1m}}
"""


def run(case, number, more=""):
    case.file("dag.yaml", DAG.format(number, more))
    return case.m("run", "dag.yaml", *PLUGINS, "-o", "json").exits(1).json()


def check(case, document, number):
    equal(statuses(document), {"worker": "success", "loop": "success", "wait": "success", "stay": "failed", "lock": "success"}, number)
    worker = task_of(document, "worker")
    equal((worker["output"], worker["attempts"]),
          ({"number": 0.5, "data": "retry, before", "json": {"a": [1, None]}}, 2), number)
    equal([trace["message"] for trace in worker["traces"]], ["attempt 1", "attempt 2", "after retry, before"], number)
    equal(task_of(document, "loop")["output"], {"said": "said in /"}, number)
    equal(task_of(document, "stay")["reason"], "timed out after 100ms", number)
    equal([trace["message"] for trace in task_of(document, "stay")["traces"]], ["canceled because of 2"], number)
    logs = case.m("logs", document["id"], "worker").exits(0).out
    has(logs, "out\n", "err\n")


def test_calls_of_1_0(case):
    document = run(case, "0")
    check(case, document, "0")
    equal(document["share"], {})


def test_calls_of_1_1(case):
    """Details of a failure are seen by retry.if: without them the second attempt would not come."""
    document = run(case, "1", ", if: \"error.code == 42 and error.kind == 'why'\"")
    check(case, document, "1")
    equal(document["share"], {"flag": True, "text": "a", "json": [1]})


def test_calls_of_today(case):
    document = run(case, "now", ", if: \"error.code == 42 and error.kind == 'why'\"")
    check(case, document, "now")
    has(case.m("logs", document["id"], "worker").exits(0).out, "error: line\n", "debug: line\n")


def test_calls_in_a_process_of_their_own(case):
    """All that a plugin can call but mr_spawn, which a host process refuses."""
    case.file("dag.yaml", DAG.format("now", ", if: \"error.code == 42 and error.kind == 'why'\"")
              .replace("calls-now-loop,", "calls-now-loop, isolation: none,") + "isolation: process\n")
    document = case.m("run", "dag.yaml", *PLUGINS, "-o", "json").exits(1).json()
    equal(statuses(document), {"worker": "success", "loop": "success", "wait": "success", "stay": "failed", "lock": "success"})
    equal(document["share"], {"flag": True, "text": "a", "json": [1]})
    equal(task_of(document, "worker")["output"], {"number": 0.5, "data": "retry, before", "json": {"a": [1, None]}})


def test_all_released_minors_at_once(case):
    """Plugins of different minors live in one process."""
    listed = case.m("actions", *PLUGINS).exits(0).out
    has(listed, "minor-0", *[f"calls-{number}-worker" for number in BUILT])
    for number, folder in BUILT.items():
        file = os.path.join(BUILD, "tests/abi", folder, f"calls_{number}.so")
        has(case.m("plugin", "check", file).exits(0).out, ": ok\n", f"calls-{number}-stay")


if __name__ == "__main__":
    main()
