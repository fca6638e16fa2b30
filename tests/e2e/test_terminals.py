#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: what one terminal runs, another one sees and steers; a store has one owner, and whoever is
attached takes over when it dies. Method: an owner in the background whose task waits for a file."""
import os
import signal
import stat
import time

from harness import PROGRAM, TIMEOUT, equal, has, main, statuses, wait_until

HOLD = """
id: hold
onLost: retry
tasks:
  - {id: a, run: 'echo begun; while [ ! -e go ]; do sleep 0.05; done; echo done'}
  - {id: b, dependOn: [a], run: echo after}
"""


def hold(case, *args):
    """An owner whose run stands in task a."""
    owner = case.start("run", case.file("hold.yaml", HOLD), *args)
    run = owner.run_id()
    wait_until(lambda: "begun" in case.m("logs", run, "a").out, "task a")
    return owner, run


def test_a_second_terminal_looks(case):
    owner, run = hold(case)
    equal([r["id"] for r in case.m("ps", "-o", "json").exits(0).json()], [run])
    has(case.m("ps").exits(0).out, run[-8:], "hold")
    equal(statuses(case.show(run)), {"a": "running", "b": "init"})
    follow = case.start("logs", run, "-f")
    follow_one = case.start("logs", "a", "-f")
    watch = case.start("watch", run)
    watch_json = case.start("watch", run, "-o", "jsonl")
    wait = case.start("wait", run)
    case.m("wait", run, "--timeout", "300ms").exits(124)
    wait_until(lambda: "begun" in follow.out() and "begun" in follow_one.out(), "the log that is there")
    assert "done" not in follow.out()
    case.file("go", "")
    owner.end().exits(0)
    has(follow.end().exits(0).out, "begun", "done", "after")
    has(follow_one.end().exits(0).out, "begun", "done")
    assert "after" not in follow_one.out(), follow_one.out()
    watch.end().exits(0)
    wait.end().exits(0)
    lines = watch_json.end().exits(0).lines()
    assert lines, "watch -o jsonl says nothing"
    case.m("watch", run).exits(0)
    case.m("wait", run).exits(0)


def test_a_second_terminal_cancels(case):
    owner, run = hold(case)
    children = case.children()
    assert children, "the task has no process"
    case.m("cancel", run).exits(0)
    result = owner.end().exits(1)
    assert result.seconds < 20, f"{result}"
    document = case.show(run)
    equal(document["status"], "canceled")
    equal(statuses(document), {"a": "canceled", "b": "canceled"})
    wait_until(lambda: not case.children(), "the end of its processes", 10)


def test_a_second_terminal_runs(case):
    """The owner stays until the runs of those who are attached have ended."""
    owner, run = hold(case)
    case.file("quick.yaml", "id: quick\ntasks: [{id: q, run: 'echo $MILLRACE_RUN'}]\n")
    second = case.m("run", "quick.yaml").exits(0).run_id()
    assert second != run
    failing = case.m("run", case.file("bad.yaml", "tasks: [{id: a, run: exit 3}]\n"), "-o", "json").exits(1).json()
    equal(failing["tasks"][0]["reason"], "exit 3")
    case.m("run", case.file("wrong.yaml", "tasks: [{id: a, rnu: x}]\n")).exits(3).says("wrong.yaml:1:", "run")
    slow = case.start("run", case.file("slow.yaml", "tasks: [{id: s, run: 'while [ ! -e go2 ]; do sleep 0.05; done'}]\n"))
    slow.run_id()
    case.file("go", "")
    wait_until(lambda: case.show(run)["status"] == "success", "the owner's own run")
    time.sleep(0.5)
    assert owner.running(), f"the owner left: {owner.end()}"
    case.file("go2", "")
    slow.end().exits(0)
    owner.end().exits(0)


def test_folders_of_attached_runs(case):
    """A run's commands run where its own `run` was called, not where the owner stands."""
    hold(case)
    here = case.path("elsewhere")
    os.mkdir(here)
    case.m("run", case.file("pwd.yaml", "tasks: [{id: p, run: pwd}]\n"), cwd=here).exits(0)
    equal(case.show()["tasks"][0]["output"], here)


def test_interrupt_of_an_attached_one_detaches(case):
    owner, _ = hold(case)
    other = case.start("run", case.file("two.yaml", HOLD.replace("id: hold", "id: two")))
    run = other.run_id()
    time.sleep(0.3)
    other.kill(signal.SIGINT)
    equal(other.end().code, 130)
    equal(case.show(run)["status"], "running")
    case.file("go", "")
    owner.end().exits(0)
    equal(case.show(run)["status"], "success")


def test_an_attached_one_takes_over(case):
    """The owner is killed; one of those that are attached goes on with all runs, its own included."""
    owner, run = hold(case)
    others = [case.start("run", case.file(f"o{i}.yaml", HOLD.replace("id: hold", f"id: o{i}"))) for i in range(3)]
    ids = [o.run_id() for o in others]
    wait_until(lambda: all(statuses(case.show(i))["a"] == "running" for i in ids), "all three")
    owner.kill()
    case.file("go", "")
    for other in others:
        other.end().exits(0)
    documents = [case.show(i) for i in [run] + ids]
    equal([d["status"] for d in documents], ["success"] * 4)
    for document in documents:
        assert document["tasks"][0]["attempts"] <= 2, document
    wait_until(lambda: not case.children(), "the end of all processes", 10)


def test_a_task_that_runs_a_dag(case):
    """`millrace run` inside a task goes to the same store."""
    case.file("inner.yaml", "id: inner\ntasks: [{id: i, run: echo inside}]\n")
    case.file("outer.yaml", "id: outer\ntasks: [{id: o, env: {PROGRAM: '%s'}, run: '$PROGRAM run inner.yaml'}]\n" % PROGRAM)
    outer = case.m("run", "outer.yaml", "-o", "json", timeout=TIMEOUT).exits(0).json()
    runs = case.m("runs", "-o", "json").exits(0).json()
    equal([r["dag"] for r in runs], ["inner", "outer"])
    equal(outer["tasks"][0]["output"], runs[0]["id"])


def test_the_socket_is_for_this_user_alone(case):
    hold(case)
    mode = os.stat(os.path.join(case.store, "sock")).st_mode
    assert stat.S_ISSOCK(mode)
    equal(stat.S_IMODE(mode) & 0o077, 0, "rights of group and others")
    equal(stat.S_IMODE(os.stat(case.store).st_mode) & 0o022, 0, "write rights of others on the store")


def test_two_stores(case):
    """Two owners beside each other know nothing of each other."""
    _, run = hold(case)
    other = case.path("other")
    case.stores.append(other)
    second = case.m("--store", other, "run", case.file("q.yaml", "tasks: [{id: q, run: 'echo $MILLRACE_STORE'}]\n")).exits(0)
    equal([r["id"] for r in case.m("--store", other, "runs", "-o", "json").exits(0).json()], [second.run_id()])
    equal(case.m("--store", other, "show", "-o", "json").exits(0).json()["tasks"][0]["output"], other)
    equal([r["id"] for r in case.m("runs", "-o", "json").exits(0).json()], [run])
    case.m("--store", other, "show", run).exits(5)


def test_a_task_that_ended_before_anybody_looked_is_told(case):
    """A run's first task may end between the run's acceptance and the first look at it: its line was missing."""
    case.file("dag.yaml", "tasks: [{id: quick}, {id: slow, wait: 50ms}]\n")
    for i in range(5):
        err = case.m("run", "dag.yaml", "--progress", "plain", "--store", case.path(f"store-{i}")).exits(0).err
        has(err, "success   quick", "success   slow")


if __name__ == "__main__":
    main()
