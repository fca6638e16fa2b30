#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: a dag whose stored text a later program refuses is named, and in nobody's way. Method: its text is
spoiled in the store between two owners (spoil_dag.c), and made good again."""
import os
import subprocess

from harness import BUILD, equal, has, main, statuses, wait_until

SPOIL = os.path.join(BUILD, "tests/e2e/spoil_dag")
HOLD = """
id: hold
onLost: retry
tasks:
  - {id: a, run: 'echo begun; [ -e go ] || exec sleep 60'}
  - {id: b, dependOn: [a], run: echo after}
"""


def spoil(case, dag, *more):
    subprocess.run([SPOIL, case.store, dag, *more], check=True, stdout=subprocess.DEVNULL, timeout=60)


def hold(case):
    """A run whose owner is killed in its task a."""
    owner = case.start("run", case.file("hold.yaml", HOLD))
    run = owner.run_id()
    wait_until(lambda: "begun" in case.m("logs", run, "a").out, "task a")
    owner.kill()
    return run


def test_the_others_go_on(case):
    other = case.file("other.yaml", "id: other\ntasks: [{id: o, run: echo one}]\n")
    run = hold(case)
    spoil(case, "hold")
    result = case.m("ps").exits(0)
    has(result.err, 'the stored text of dag "hold" does not parse', "1 unfinished run of it stays as it is", run)
    equal(case.m("ps", "-q").exits(0).err, "")
    case.m("run", other).exits(0)
    equal([r["dag"] for r in case.m("runs", "-o", "json").exits(0).json()], ["other"])
    equal(case.m("run", "hold.yaml", "--timeout", "2s", "-v", "none=1").code, 2)
    # Its run is named, and nothing is done to it.
    for verb in ("show", "cancel", "continue", "why", "logs"):
        case.m(verb, run).exits(3).says("does not parse")
    result = case.m("run", "--resume").exits(3)
    has(result.err, f"run {run} stays as it is", "does not parse")
    errors = case.m("run", "--resume", "-o", "json").exits(3).json()["errors"]
    equal(len(errors), 1)
    has(errors[0]["message"], run)
    case.m("store", "check").exits(0)
    # It goes on where the text can be read.
    spoil(case, "hold", "restore")
    case.file("go", "")
    equal(case.m("run", "--resume").exits(0).err.count("does not parse"), 0)
    equal(statuses(case.show(run)), {"a": "success", "b": "success"})
    case.m("show", "-", "-o", "json").exits(0)


def test_runs_that_go_on_beside_it(case):
    """`run --resume` goes on with all others, and its exit code says that one was left."""
    run = hold(case)
    owner = case.start("run", case.file("two.yaml", HOLD.replace("id: hold", "id: two")))
    two = owner.run_id()
    wait_until(lambda: "begun" in case.m("logs", two, "a").out, "task a of the other")
    owner.kill()
    spoil(case, "hold")
    case.file("go", "")
    result = case.m("run", "--resume").exits(3)
    has(result.err, f"run {run} stays as it is")
    equal(case.show(two)["status"], "success")


def test_a_pushed_one_is_marked(case):
    case.file("hold.yaml", "id: hold\ntasks: [{id: a, run: echo one}]\n")
    case.m("push", "hold.yaml").exits(0)
    spoil(case, "hold")
    serve = case.start("serve")
    wait_until(lambda: os.path.exists(os.path.join(case.store, "sock")), "the owner")
    case.m("run", "hold").exits(3).says("does not parse")
    dag = case.m("dags", "-o", "json").exits(0).json()[0]
    equal(dag["id"], "hold")
    has(dag["problem"], "does not parse")
    has(case.m("dags").exits(0).out, "hold")
    # A text that parses takes its place.
    case.file("hold.yaml", "id: hold\ntasks: [{id: a, run: echo two}]\n")
    case.m("push", "hold.yaml").exits(0)
    equal(case.m("dags", "-o", "json").exits(0).json()[0]["problem"], None)
    case.m("run", "hold").exits(0)
    serve.kill()


def test_a_finished_run_of_it(case):
    run = case.m("run", case.file("one.yaml", "id: one\ntasks: [{id: a, run: echo one}]\n")).exits(0).run_id()
    spoil(case, "one")
    equal(case.m("ps").exits(0).err, "")
    equal([r["id"] for r in case.m("runs", "--dag", "one", "-o", "json").exits(0).json()], [run])
    case.m("show", run).exits(3).says("does not parse")
    spoil(case, "one", "restore")
    equal(case.show(run)["status"], "success")


if __name__ == "__main__":
    main()
