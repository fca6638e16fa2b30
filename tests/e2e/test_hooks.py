#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: the hooks of a dag and of a program that embeds the engine are called at their points, in
their order; what goes wrong in one changes nothing; a kill in the middle of one repeats it. Method:
hooks that trace, read back from the log; a program that prints what it is told (native/told.c)."""
import datetime
import os
import signal
import subprocess
import time

from harness import BUILD, TIMEOUT, equal, has, main, statuses, task_of, wait_until

TOLD = os.path.join(BUILD, "tests/e2e/native/told")
PLUGINS = ":".join(os.path.join(BUILD, "plugins", name) for name in ("noop", "sh", "wait"))
NAMES = ["beforeRun", "beforeSuccess", "beforeFail", "beforeBlock", "beforeRetry", "beforeContinue", "onSuccess",
         "onFailure", "onCancel", "onExit"]
ALL = "hooks:\n" + "".join(f"  {n}: {{lua: \"trace('{n}', run.status, run.reason)\"}}\n" for n in NAMES)
FAILS = ["beforeFail", "onFailure", "onExit"]
SUCCEEDS = ["beforeSuccess", "onSuccess", "onExit"]


def traces(case, run="-"):
    """What the hooks have traced, in order: (time, text)."""
    lines = case.m("logs", run, "-o", "jsonl").exits(0).lines()
    return [(line["time"], line["text"].rstrip("\n")) for line in lines if line["task"] is None]


def names(case, run="-"):
    return [text.split()[0] for _, text in traces(case, run)]


def run(case, text, *args, code=0):
    case.file("dag.yaml", text)
    return case.m("run", "dag.yaml", "-o", "json", *args).exits(code).json()


def test_points_and_order(case):
    run(case, ALL + "tasks: [{id: a}]\n")
    equal(names(case), ["beforeRun"] + SUCCEEDS)
    equal([text for _, text in traces(case)][1:3], ["beforeSuccess success ", "onSuccess success "])
    run(case, ALL + "tasks: [{id: a, run: test -e good}, {id: b, dependOn: [a]}]\n", code=1)
    equal(names(case), ["beforeRun"] + FAILS)
    has([text for _, text in traces(case)][1], "beforeFail failed", "a: exit 1")
    case.file("good", "")
    case.m("retry").exits(0)
    equal(names(case), ["beforeRun"] + FAILS + ["beforeRetry"] + SUCCEEDS)
    run(case, ALL + "tasks: [{id: a, blockIf: 'true'}]\n", code=8)
    equal(names(case), ["beforeRun", "beforeBlock"])
    case.m("continue").exits(0)
    equal(names(case), ["beforeRun", "beforeBlock", "beforeContinue"] + SUCCEEDS)


def test_cancel_and_timeout(case):
    for how in ("cancel", "timeout"):
        case.file("dag.yaml", ALL + ("timeout: 500ms\n" if how == "timeout" else "") + "tasks: [{id: a, run: sleep 60}]\n")
        owner = case.start("run", "dag.yaml")
        run_id = owner.run_id()
        wait_until(lambda: statuses(case.show(run_id))["a"] == "running", "the task")
        if how == "cancel":
            case.m("cancel", run_id).exits(0)
        owner.end().exits(1)
        equal(names(case, run_id), ["beforeRun"] + (["onCancel", "onExit"] if how == "cancel" else FAILS), how)


def test_nothing_begins_before_before_run_has_ended(case):
    case.file("dag.yaml", "hooks: {beforeRun: {lua: \"sleep(600) trace('slept')\"}}\n"
              "tasks: [{id: a, run: date +%s.%N}]\n")
    document = case.m("run", "dag.yaml", "-o", "json").exits(0).json()
    slept = datetime.datetime.fromisoformat(traces(case)[0][0].replace("Z", "+00:00")).timestamp()
    assert float(task_of(document, "a")["output"]) > slept - 0.01
    has(case.m("events").exits(0).out, "runCreated")


def test_hooks_see_the_run(case):
    document = run(case, """
vars: {v: {defaultValue: x}}
tasks:
  - {id: a, lua: "share.k = 7 return {n = 1}"}
  - {id: b, run: exit 4}
hooks:
  onFailure: {lua: "trace(vars.v, share.k, tasks.a.output.n, tasks.b.status, tasks.b.reason, run.status, run.dag, run.id)"}
""", code=1)
    equal([text for _, text in traces(case)], [f"x 7 1 failed exit 4 failed dag {document['id']}"])


def test_a_hook_that_fails_changes_nothing(case):
    """It is traced with the file's line; the others are called."""
    document = run(case, """
hooks:
  beforeRun: {lua: "error('boom')"}
  beforeSuccess:
    lua: |
      local t = nil

      return t.x
  onSuccess: {lua: "share.x = 1"}
  onExit: {lua: "trace('exit')"}
tasks: [{id: a, run: 'true'}]
""")
    equal((document["status"], document["share"]), ("success", {}))
    got = [text for _, text in traces(case)]
    for text, name, line, word in zip(got, ("beforeRun", "beforeSuccess", "onSuccess"), (3, 8, 9), ("boom", "index", "read-only")):
        has(text, f"hook {name} failed: dag.yaml:{line}: ", word)
    equal(got[3:], ["exit"])


def test_a_hook_that_loops_holds_up_nobody(case):
    """Others go on beside it; the owner may go at any time, and the hook is called again."""
    case.file("dag.yaml", "hooks: {onExit: {lua: \"trace('in') while not share.out do pcall(function() while true do end end) end\"}}\n"
              "tasks: [{id: a}]\n")
    owner = case.start("run", "dag.yaml")
    run_id = owner.run_id()
    wait_until(lambda: names(case, run_id) == ["in"], "the hook")
    for i in range(3):
        case.file("other.yaml", f"hooks: {{onExit: {{lua: \"trace('other')\"}}}}\ntasks: [{{id: a, run: echo {i}}}]\n")
        assert case.m("run", "other.yaml").exits(0).seconds < 5
    equal(case.show(run_id)["status"], "running")
    owner.kill(signal.SIGTERM)
    started = time.monotonic()
    equal(owner.end().code, 143)
    assert time.monotonic() - started < 10
    equal(case.show(run_id)["status"], "running")


def test_a_hook_has_thirty_seconds(case):
    """Then the run ends as it would have."""
    case.file("dag.yaml", "hooks: {onSuccess: {lua: sleep(3600000)}, onExit: {lua: \"trace('exit')\"}}\ntasks: [{id: a}]\n")
    result = case.m("run", "dag.yaml").exits(0)
    assert 29 < result.seconds < 45, result
    has(traces(case)[0][1], "hook onSuccess failed: dag.yaml:1: ")
    equal(names(case)[1:], ["exit"])


def test_killed_in_a_hook(case):
    """It is called again, and the run ends once."""
    for hook, status in (("beforeRun", "success"), ("beforeFail", "failed"), ("onExit", "success")):
        case.file("dag.yaml", f"hooks: {{{hook}: {{lua: \"trace('begun') sleep(1500) trace('done')\"}}}}\n"
                  f"tasks: [{{id: a, run: 'echo >>ran; exit {1 if status == 'failed' else 0}'}}]\n")
        case.file("ran", "")
        owner = case.start("run", "dag.yaml")
        run_id = owner.run_id()
        wait_until(lambda: [t for _, t in traces(case, run_id)] == ["begun"], hook)
        owner.kill()
        document = case.m("run", "--resume", "-o", "json").exits(1 if status == "failed" else 0).json()
        equal((document["id"], document["status"]), (run_id, status))
        equal([t for _, t in traces(case, run_id)], ["begun", "begun", "done"], hook)
        equal(case.read("ran"), "\n", "the task ran once")
        events = [line["event"] for line in case.m("events", run_id, "-o", "jsonl").exits(0).lines()]
        equal(events.count("runEnded"), 1, hook)


# ---- from a program ---------------------------------------------------------------------------------


def told(case, text, *commands, hooks=(1 << 10) - 1, meanwhile=None):
    """What the program was told, line by line."""
    env = dict(case.env)
    process = subprocess.Popen([TOLD, case.store, PLUGINS, case.file("dag.yaml", text), str(hooks), *commands], env=env,
                               cwd=case.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    if meanwhile is not None:
        meanwhile()
    out, err = process.communicate(timeout=TIMEOUT)
    equal((process.returncode, err), (0, ""))
    return out.splitlines()


def told_names(lines):
    return [line.split()[1] for line in lines if not line.startswith("=")]


def test_a_program_is_told(case):
    lines = told(case, "tasks: [{id: a, run: 'test -e good || { touch good; exit 3; }'}, {id: b, dependOn: [a], blockIf: 'true'}]\n",
                 "retry", "continue")
    equal(told_names(lines), ["beforeRun"] + FAILS + ["beforeRetry", "beforeBlock", "beforeContinue"] + SUCCEEDS)
    equal([line for line in lines if line.startswith("=")], ["= failed", "= blocked", "= success"])
    has("\n".join(lines), "beforeFail failed a: exit 3", "onSuccess success")


def test_a_program_is_told_of_a_cancel(case):
    def cancel():
        wait_until(lambda: case.children(), "the task")
        case.m("cancel").exits(0)
    lines = told(case, "tasks: [{id: a, run: sleep 60}]\n", meanwhile=cancel)
    equal(told_names(lines), ["beforeRun", "onCancel", "onExit"])


def test_a_program_is_told_what_it_asked_for(case):
    equal(told_names(told(case, "tasks: [{id: a}]\n", hooks=1 << 6)), ["onSuccess"])
    equal(told_names(told(case, "tasks: [{id: a}]\n", hooks=0)), [])


def test_a_program_is_told_before_the_dags_hooks(case):
    lines = told(case, ALL + "tasks: [{id: a, run: exit 3}]\n")
    equal(told_names(lines), names(case))
    for line, (when, text) in zip(lines, traces(case)):
        traced = datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() * 1000
        assert int(line.split()[0]) <= traced + 1, (line, when, text)


if __name__ == "__main__":
    main()
