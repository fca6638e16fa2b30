#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: commands do what contract.md says to single tasks and to no others; a paused run begins
nothing until it goes on. Method: commands given through the owner, from a second process; the dags'
commands leave marks in the working folder."""
from harness import equal, main, statuses, task_of, wait_until


def owner_of(case, text, *args):
    """A run of the dag in the background, and its id."""
    process = case.start("run", case.file("dag.yaml", text), *args)
    return process, process.run_id()


def marks(case):
    return case.read("marks").split()


def test_retry_of_one_task(case):
    run = case.m("run", case.file("dag.yaml", """
tasks:
  - {id: a, run: 'echo a >>marks; test -e good'}
  - {id: b, run: 'echo b >>marks; test -e good'}
  - {id: c, dependOn: [a], run: echo c >>marks}
""")).exits(1).run_id()
    case.file("good", "")
    document = case.m("retry", "a", "-o", "json").exits(1).json()
    equal(document["id"], run)
    equal(statuses(document), {"a": "success", "b": "failed", "c": "success"})
    equal(sorted(marks(case)), ["a", "a", "b", "c"])
    case.m("retry", run, "a").exits(6).says("a", "success")
    case.m("retry", run, "b", "c").exits(6).says("c", "success")
    equal(len(marks(case)), 4, "all of the named tasks must fit, or none is retried")
    case.m("retry", "b").exits(0)
    equal(case.task("b")["attempts"], 2)


def test_cancel_of_one_task(case):
    """The others go on, and the run fails."""
    process, run = owner_of(case, """
tasks:
  - {id: slow, run: 'echo slow >>marks; sleep 60'}
  - {id: child, dependOn: [slow], run: echo}
  - {id: other, run: 'until test -e go; do sleep 0.05; done'}
  - {id: after, dependOn: [other], run: 'true'}
""")
    wait_until(lambda: marks(case), "the slow task")
    case.m("cancel", run, "slow").exits(0)
    wait_until(lambda: case.task("slow")["status"] == "canceled", "its end")
    equal(case.show()["status"], "running")
    case.m("cancel", run, "slow").exits(6).says("slow", "canceled")
    case.file("go", "")
    process.end().exits(1)
    document = case.show(run)
    equal(document["status"], "failed")
    equal(statuses(document), {"slow": "canceled", "child": "init", "other": "success", "after": "success"})


def test_continue_of_one_task(case):
    check = "preCheck: {stop: {act: block, conditions: [{source: vars, key: stage, op: in, values: [prod]}]}}"
    case.m("run", case.file("dag.yaml", f"""
vars: {{stage: {{defaultValue: prod}}}}
tasks:
  - {{id: a, {check}, run: echo a >>marks}}
  - {{id: b, {check}, run: echo b >>marks}}
""")).exits(8)
    case.m("continue", "b").exits(8)
    equal(statuses(case.show()), {"a": "blocked", "b": "success"})
    case.m("continue", "b").exits(6).says("b", "success")
    case.m("continue").exits(0)
    equal(marks(case), ["b", "a"])


def test_pause_and_unpause(case):
    process, run = owner_of(case, """
tasks:
  - {id: a, run: 'echo a >>marks; until test -e go; do sleep 0.05; done'}
  - {id: b, dependOn: [a], run: echo b >>marks}
""")
    wait_until(lambda: marks(case), "the first task")
    case.m("pause", run).exits(0).says("unpause")
    case.m("pause", run).exits(6).says("paused")
    case.file("go", "")
    wait_until(lambda: case.task("a", run)["status"] == "success", "the end of what had begun")
    equal((case.show(run)["status"], case.task("b", run)["status"]), ("paused", "init"))
    assert process.running(), process.err()
    case.m("unpause", run).exits(0)
    process.end().exits(0)
    equal(marks(case), ["a", "b"])
    case.m("unpause", run).exits(6).says("success")


def test_a_paused_run_waits_for_the_next_owner(case):
    """run --resume leaves it alone; unpause goes on with it."""
    process, run = owner_of(case, """
tasks:
  - {id: a, run: 'echo a >>marks; until test -e go; do sleep 0.05; done'}
  - {id: b, dependOn: [a], run: echo b >>marks}
""")
    wait_until(lambda: marks(case), "the first task")
    case.m("pause", run).exits(0)
    case.file("go", "")
    wait_until(lambda: case.task("a", run)["status"] == "success", "the end of what had begun")
    process.kill()
    case.m("run", "--resume").exits(0)
    equal(case.show(run)["status"], "paused")
    case.m("watch", run).exits(8).says("unpause")
    case.m("unpause").exits(0)
    equal(task_of(case.show(run), "a")["attempts"], 1)
    equal(marks(case), ["a", "b"])


if __name__ == "__main__":
    main()
