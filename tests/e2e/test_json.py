#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: the JSON documents have every field that contract.md and docs/requests.md promise, with its
type, and no other. Method: one dag with every kind of task and ending, read through each verb."""
import os
import re

from harness import RUN_ID, TIME, equal, has, main, task_of

DAG = """
id: kinds
tags: {team: web}
vars:
  name: {defaultValue: world}
  big: {type: int, defaultValue: 9007199254740993}
tasks:
  - {id: text, env: {N: "{{name}}"}, run: 'echo "hello $N"; echo careful >&2'}
  - {id: value, dependOn: [text], output: json, run: 'echo "{\\"n\\": 9007199254740993, \\"l\\": [1, null, true]}"'}
  - {id: silent, output: none, run: echo nothing}
  - {id: gate, dependOn: [text, value]}
  - {id: pause, wait: 10ms}
  - {id: bad, run: exit 7}
  - {id: never, dependOn: [bad], run: echo no}
"""
RUN_KEYS = ["id", "dag", "version", "status", "reason", "trigger", "vars", "share", "tags", "createdAt", "startedAt",
            "endedAt", "tasks"]
TASK_KEYS = ["id", "action", "status", "reason", "attempts", "dependOn", "params", "output", "startedAt", "endedAt",
             "traces"]
HEADER_KEYS = [k for k in RUN_KEYS if k not in ("vars", "share", "tasks")]


def is_time(value, what):
    assert isinstance(value, str) and TIME.fullmatch(value), f"{what} is {value!r}"


def check_run(run):
    equal(list(run), RUN_KEYS, "keys of the run, in order")
    assert RUN_ID.fullmatch(run["id"]), run["id"]
    equal((run["dag"], run["status"], run["trigger"]), ("kinds", "failed", "manually"))
    assert re.fullmatch(r"[0-9a-f]{8,64}", run["version"]), run["version"]
    equal(run["vars"], {"name": "world", "big": 9007199254740993})
    equal(list(run["vars"]), ["name", "big"])
    equal(run["share"], {})
    equal(run["tags"], {"team": "web", "k": "v"})
    for key in ("createdAt", "startedAt", "endedAt"):
        is_time(run[key], key)
    assert run["createdAt"] <= run["startedAt"] <= run["endedAt"], run
    has(run["reason"], "bad")
    equal([t["id"] for t in run["tasks"]], ["text", "value", "silent", "gate", "pause", "bad", "never"])
    for task in run["tasks"]:
        equal(list(task), TASK_KEYS, f"keys of task {task['id']}, in order")
        for trace in task["traces"]:
            equal(list(trace), ["time", "message"])
            is_time(trace["time"], "a trace's time")
    # id: action, status, reason, attempts, parents, params, output
    wanted = {
        "text": ("sh", "success", "", 1, [], {"run": 'echo "hello $N"; echo careful >&2', "env": {"N": "world"}},
                 "hello world"),
        "value": ("sh", "success", "", 1, ["text"], None, {"n": 9007199254740993, "l": [1, None, True]}),
        "silent": ("sh", "success", "", 1, [], None, None),
        "gate": (None, "success", "", None, ["text", "value"], None, None),
        "pause": ("wait", "success", "", 1, [], {"for": "10ms"}, None),
        "bad": ("sh", "failed", "exit 7", 1, [], None, None),
        "never": ("sh", "init", "", 0, ["bad"], None, None),
    }
    for task_id, (action, status, reason, attempts, parents, params, output) in wanted.items():
        task = task_of(run, task_id)
        equal((task["status"], task["reason"], task["dependOn"], task["output"]), (status, reason, parents, output), task_id)
        if action is not None:
            equal(task["action"], action, task_id)
        if attempts is not None:
            equal(task["attempts"], attempts, task_id)
        if params is not None:
            equal({k: v for k, v in task["params"].items() if k in params}, params, task_id)
        if status == "init":
            equal((task["startedAt"], task["endedAt"]), (None, None), task_id)
        else:
            is_time(task["startedAt"], task_id)
            is_time(task["endedAt"], task_id)


def run_kinds(case, *args):
    return case.m("run", case.file("kinds.yaml", DAG), "--tag", "k=v", *args).exits(1)


def test_run_show_wait(case):
    """One document on stdout, the same from each verb."""
    run = run_kinds(case, "-o", "json").json()
    check_run(run)
    equal(case.show(), run, "show")
    equal(case.m("wait", "-o", "json").exits(1).json(), run, "wait")
    result = case.m("show", "-o", "jsonl").exits(0)
    equal((result.out.count("\n"), result.lines()), (1, [run]), "-o jsonl")


def test_a_run_while_it_runs(case):
    """What has not happened yet is null."""
    case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: sleep 30}, {id: b, dependOn: [a]}]\n")).run_id()
    run = case.show()
    equal((run["status"], run["endedAt"]), ("running", None))
    a, b = run["tasks"]
    equal((a["status"], a["attempts"], a["endedAt"], a["output"]), ("running", 1, None, None))
    is_time(a["startedAt"], "startedAt")
    equal((b["status"], b["attempts"], b["startedAt"], b["output"]), ("init", 0, None, None))


def test_ps_and_runs(case):
    case.file("ok.yaml", "id: ok\ntasks: [{id: a}]\n")
    first = case.m("run", "ok.yaml", "--tag", "n=1").exits(0).run_id()
    second = run_kinds(case).run_id()
    third = case.m("run", "ok.yaml", "--tag", "n=2").exits(0).run_id()
    runs = case.m("runs", "-o", "json").exits(0).json()
    equal([r["id"] for r in runs], [third, second, first], "newest first")
    for run in runs:
        equal(list(run), HEADER_KEYS)
    document = case.show(second)
    equal(runs[1], {k: document[k] for k in HEADER_KEYS})
    equal(case.m("runs", "-o", "jsonl").exits(0).lines(), runs)
    equal(case.m("ps", "-o", "json").exits(0).json(), [])
    equal(case.m("ps", "-o", "jsonl").exits(0).out, "")
    ids = lambda *args: [r["id"] for r in case.m("runs", "-o", "json", *args).exits(0).json()]
    equal(ids("--dag", "ok"), [third, first])
    equal(ids("--status", "failed"), [second])
    equal(ids("--tag", "n=2"), [third])
    equal(ids("--tag", "n=2", "--status", "failed"), [])
    equal(ids("--limit", "2"), [third, second])
    equal(ids("--since", "1h"), [third, second, first])
    equal(ids("--dag", "nobody"), [])
    for run in (first, second, third):
        has(case.m("runs").exits(0).out, run[-8:])


def test_events(case):
    case.m("run", case.file("dag.yaml", "tasks: [{id: a, run: 'true'}]\n")).exits(0)
    events = case.m("events", "-o", "jsonl").exits(0).lines()
    names = [e["event"] for e in events]
    equal(names, ["runCreated", "attemptStarted", "attemptEnded", "runEnded"])
    for event in events:
        is_time(event["time"], "time")
    equal([e["time"] for e in events], sorted(e["time"] for e in events), "order")
    ended = events[names.index("attemptEnded")]
    equal((ended["task"], ended["attempt"], ended["status"]), ("a", 1, "success"))
    equal(events[-1]["status"], "success")
    equal(case.m("events", "-o", "json").exits(0).json(), events)
    # For people too.
    has(case.m("events").exits(0).out, "attemptStarted", "a")


def test_logs(case):
    run_kinds(case)
    logs = case.m("logs", "-", "text", "-o", "jsonl").exits(0).lines()
    equal(sorted((entry["task"], entry["attempt"], entry["stream"], entry["text"]) for entry in logs),
          [("text", 1, "stderr", "careful\n"), ("text", 1, "stdout", "hello world\n")])
    for entry in logs:
        is_time(entry["time"], "time")
    every = case.m("logs", "-o", "json").exits(0).json()
    equal({entry["task"] for entry in every}, {"text", "value", "silent"})


def test_resumed_runs(case):
    """-o json is the document of a single run, -o jsonl one a line."""
    file = case.file("dag.yaml", "onLost: retry\ntasks: [{id: a, run: 'test -e go || sleep 30'}]\n")
    for count in (1, 2):
        owner = case.start("run", file)
        owner.run_id()
        if count == 2:
            case.start("run", file).run_id()
        for process in reversed(case.background):
            if process.running():
                process.kill()
        case.file("go", "")
        if count == 1:
            equal(case.m("run", "--resume", "-o", "json").exits(0).json()["status"], "success")
        else:
            documents = case.m("run", "--resume", "-o", "jsonl").exits(0).lines()
            equal([d["status"] for d in documents], ["success", "success"])
        os.unlink(case.path("work/go"))


if __name__ == "__main__":
    main()
