#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: whatever waits says what for: `why` has a line and a JSON member for each state. Method: a
run is brought into the state, and asked about from another process, where need be after kill -9."""
import os

from harness import BUILD, TIME, equal, has, main, statuses, task_of, wait_until

PLUGINS = os.path.join(BUILD, "tests/e2e/native")
HOLD = "'until test -e go; do sleep 0.05; done'"


def owner_of(case, text, *args):
    case.file("dag.yaml", text)
    process = case.start("run", "dag.yaml", *args)
    return process, process.run_id()


def why(case, *words):
    """The answer's waits by task, and its lines."""
    document = case.m("why", *words, "-o", "json").exits(0).json()
    equal(sorted(document), ["lines", "run", "status", "waits"])
    for row in document["waits"]:
        assert {"task", "status", "waitsFor"} <= set(row), row
    return {row["task"]: row for row in document["waits"]}, document["lines"]


def waits_for(case, task, word, run="-"):
    """Waits until the task's reason is the word; its row and lines."""
    def look():
        rows, lines = why(case, run, task)
        return (rows[task], lines) if rows[task]["waitsFor"] == word else None
    return wait_until(look, f"{task} to wait for {word}", 15)


def finish(case, process, code=0):
    case.file("go", "")
    return process.end().exits(code)


def test_dependency_and_attempt(case):
    """The chain from a task to what it waits for in the end; a whole run shows what has its turn."""
    process, run = owner_of(case, f"""
tasks:
  - {{id: a, run: {HOLD}}}
  - {{id: b, dependOn: [a]}}
  - {{id: c, dependOn: [b]}}
  - {{id: bad, run: exit 1}}
  - {{id: dead, dependOn: [bad]}}
  - {{id: deader, dependOn: [dead]}}
""")
    wait_until(lambda: statuses(case.show(run))["bad"] == "failed", "the failure")
    rows, lines = why(case, run, "c")
    equal([(r, rows[r]["waitsFor"], rows[r].get("of")) for r in rows],
          [("c", "task", "b"), ("b", "task", "a"), ("a", "attempt", None)])
    has("\n".join(lines), "c waits for task b", "b waits for task a", "a runs: attempt 1")
    rows, lines = why(case, run)
    equal(list(rows), ["a"])
    has(lines[0], run[-8:], "running")
    rows, lines = why(case, run, "deader")
    equal([(r, rows[r].get("of")) for r in rows], [("deader", "dead"), ("dead", "bad"), ("bad", None)])
    has("\n".join(lines), "cannot begin", "exit 1")
    finish(case, process, 1)


def test_timer_and_retry(case):
    process, run = owner_of(case, "tasks: [{id: t, wait: 1h}, {id: r, retry: {max: 1, delay: 1h}, run: exit 7}]\n")
    row, lines = waits_for(case, "t", "timer")
    assert TIME.fullmatch(row["until"]), row
    has(lines[0], "t waits until", row["until"])
    row, lines = waits_for(case, "r", "retry")
    assert TIME.fullmatch(row["until"]), row
    has(lines[0], "attempt 2", "exit 7")
    case.m("cancel", run).exits(0)
    process.end().exits(1)


def test_jobs_limit_and_max_parallel(case):
    process, _ = owner_of(case, f"tasks: [{{id: a, run: {HOLD}}}, {{id: b, run: 'true'}}]\n", "-j", "1")
    _, lines = waits_for(case, "b", "jobs limit")
    has(lines[0], "1 of 1 jobs")
    finish(case, process)
    os.unlink(os.path.join(case.work, "go"))
    process, _ = owner_of(case, f"maxParallel: 1\ntasks: [{{id: a, run: {HOLD}}}, {{id: z, run: 'true'}}]\n")
    _, lines = waits_for(case, "z", "maxParallel of the run")
    has(lines[0], "maxParallel of the run is 1")
    finish(case, process)
    os.unlink(os.path.join(case.work, "go"))
    process, _ = owner_of(case, f"tasks: [{{id: f, forEach: \"{{1, 2}}\", maxParallel: 1, run: {HOLD}}}]\n")
    _, lines = waits_for(case, "f[1]", "maxParallel of the fan-out")
    has(lines[0], "maxParallel of the fan-out is 1")
    row, lines = waits_for(case, "f", "children")
    equal(row["of"], "f[0]")
    has(lines[0], "0 of 2 have ended")
    finish(case, process)


def test_blocked(case):
    case.file("dag.yaml", "tasks: [{id: a, blockIf: 'true'}, {id: b, dependOn: [a]}]\n")
    case.m("run", "dag.yaml").exits(8)
    rows, lines = why(case, "-", "b")
    equal([(r, rows[r]["waitsFor"]) for r in rows], [("b", "task"), ("a", "continue")])
    has("\n".join(lines), "blocked by blockIf", "continue")
    rows, lines = why(case)
    equal(list(rows), ["a"])
    has(lines[0], "blocked")


def test_paused(case):
    process, run = owner_of(case, f"tasks: [{{id: a, run: {HOLD}}}, {{id: b, dependOn: [a]}}]\n")
    wait_until(case.children, "the task")
    case.m("pause", run).exits(0)
    equal(why(case, run, "a")[0]["a"]["waitsFor"], "attempt")
    case.file("go", "")
    wait_until(lambda: statuses(case.show(run))["a"] == "success", "its end")
    rows, lines = why(case, run, "b")
    equal(rows["b"]["waitsFor"], "unpause")
    has(lines[0], "paused")
    case.m("unpause", run).exits(0)
    process.end().exits(0)


def test_dormant(case):
    """After kill -9, from a new terminal: nobody goes on with it."""
    process, run = owner_of(case, f"onLost: retry\ntasks: [{{id: a, run: {HOLD}}}, {{id: b, dependOn: [a]}}, {{id: t, wait: 1h}}]\n")
    wait_until(case.children, "the task")
    process.kill()
    for task in ("a", "t"):
        rows, lines = why(case, run, task)
        equal(rows[task]["waitsFor"], "an owner that goes on with the run", task)
        has(lines[0], "run --resume")
    rows, _ = why(case, run, "b")
    equal([(r, rows[r]["waitsFor"]) for r in rows], [("b", "task"), ("a", "an owner that goes on with the run")])
    equal(sorted(why(case, run)[0]), ["a", "t"])
    case.m("cancel", run).exits(0)


def test_an_action_that_is_missing_at_resume(case):
    case.file("dag.yaml", "tasks: [{id: a, action: phases, params: {stay: run}}, {id: b, dependOn: [a]}]\n")
    process = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    run = process.run_id()
    wait_until(lambda: case.read("calls").count("run "), "the task")
    process.kill()
    case.m("run", "--resume").exits(5).says("phases")
    rows, lines = why(case, run, "b")
    equal(rows["a"]["waitsFor"], "an action that no plugin has")
    has("\n".join(lines), 'no plugin has its action "phases"')
    rows, _ = why(case, run, "b", "--plugins", PLUGINS)
    equal(rows["a"]["waitsFor"], "an owner that goes on with the run")


def test_phases(case):
    for phase, word in (("run_before", "run_before"), ("run_after", "run_after")):
        case.file("dag.yaml", f"tasks: [{{id: a, action: phases, params: {{stay: {phase}}}}}]\n")
        process = case.start("run", "dag.yaml", "--plugins", PLUGINS)
        process.run_id()
        _, lines = waits_for(case, "a", word)
        has(lines[0], f"{phase} is being called")
        finish(case, process)
        os.unlink(os.path.join(case.work, "go"))


def test_conditions(case):
    """One that loops is over after its budget; the others of its kind wait meanwhile."""
    loop = "(function() while true do end end)()"
    text = "tasks:\n" + "".join(f"  - {{id: t{i}, skipIf: \"{loop}\"}}\n" for i in range(400))
    process, run = owner_of(case, text)
    _, lines = waits_for(case, "t399", "conditions")
    has(lines[0], "conditions and templates")
    case.m("cancel", run).exits(0)
    process.end().exits(1)


def test_hooks(case):
    process, run = owner_of(case, "hooks: {beforeRun: {lua: sleep(1500)}}\ntasks: [{id: a}, {id: b, dependOn: [a]}]\n")
    rows, lines = why(case, run, "b")
    equal([(r, rows[r]["waitsFor"]) for r in rows], [("b", "task"), ("a", "hooks")])
    has("\n".join(lines), "hooks")
    process.end().exits(0)
    # At the end of a run, when no task is left that could wait for them.
    process, run = owner_of(case, "hooks: {onExit: {lua: sleep(1500)}}\ntasks: [{id: a}]\n")
    wait_until(lambda: statuses(case.show(run))["a"] == "success", "the task")
    rows, lines = why(case, run)
    equal(rows[None]["waitsFor"], "hooks")
    equal(lines[1], "hooks of its end are being called: onExit")
    process.kill()
    rows, lines = why(case, run)
    equal(rows[None]["waitsFor"], "an owner that goes on with the run")
    has(lines[1], "run --resume")


def test_cancel_that_has_not_ended_yet(case):
    process, run = owner_of(case, "tasks: [{id: a, run: 'trap \"\" TERM; echo up >marks; while :; do sleep 0.1; done'}, {id: b, dependOn: [a]}]\n")
    wait_until(lambda: case.read("marks"), "the task")
    cancel = case.start("cancel", run, "a")
    row, lines = waits_for(case, "a", "cancel")
    equal(row["status"], "running")
    has(lines[0], "was told to end", "attempt 1")
    cancel.end().exits(0)
    process.end().exits(1)


def test_finished_runs(case):
    case.file("dag.yaml", "tasks: [{id: a}, {id: b, run: exit 3}, {id: c, dependOn: [b]}, {id: s, skipIf: 'true'}]\n")
    case.m("run", "dag.yaml").exits(1)
    rows, lines = why(case)
    equal(rows, {})
    has(lines[0], "failed: b: exit 3")
    equal([why(case, "-", t)[0][t]["waitsFor"] for t in ("a", "b", "c", "s")], ["nothing"] * 4)
    has(why(case, "-", "c")[1][0], "cannot begin", "b is failed")
    has(why(case, "-", "s")[1][0], "it is skipped: skipped by skipIf")
    case.m("why", "-", "d").exits(5).says('"d"')
    case.m("why", "ffff0000").exits(5)
    equal(case.m("why", "-", "b").exits(0).out, "b waits for nothing: it is failed: exit 3\n")
    equal(case.m("why", "b").exits(0).out, "b waits for nothing: it is failed: exit 3\n")


if __name__ == "__main__":
    main()
