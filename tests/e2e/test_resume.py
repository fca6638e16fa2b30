#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: after `kill -9` nothing that was accepted is lost, no attempt runs twice, nobody survives, and
`run --resume` goes on as onLost says. Method: kill the owner while a task stands, then look."""
import os
import time

from harness import BUILD, EXAMPLES, equal, has, main, statuses, task_of, wait_until

# Task a leaves a line for each attempt, then stands until there is a file `go`.
DAG = """
id: dag
%s
tasks:
  - {id: first, run: 'echo first >>trace'}
  - {id: a, dependOn: [first], run: 'echo "a $MILLRACE_ATTEMPT" >>trace; while [ ! -e go ]; do sleep 0.05; done'}
  - {id: b, dependOn: [a], run: 'echo b >>trace'}
"""


def killed(case, head="", text=None):
    """A run whose owner was killed while task a ran. Its processes live on."""
    owner = case.start("run", case.file("dag.yaml", text or DAG % head))
    run = owner.run_id()
    wait_until(lambda: "a " in case.read("trace"), "task a")
    owner.kill()
    return run


def test_nothing_goes_on_by_itself(case):
    """Other verbs look and leave everything as it stands: the run, and its processes."""
    run = killed(case)
    before = case.shells()
    equal(len(before), 1)
    result = case.m("ps", "-o", "json").exits(0)
    equal([r["id"] for r in result.json()], [run])
    has(result.err, "1", "--resume")
    case.m("show", run).exits(0)
    case.m("run", case.file("other.yaml", "tasks: [{id: x}]\n")).exits(0).says("--resume")
    equal(case.shells(), before)
    equal((case.show(run)["status"], statuses(case.show(run))["a"]), ("running", "running"))


def test_lost_fails_by_default(case):
    """The engine cannot know whether a command may be repeated; it says what to type next."""
    run = killed(case)
    result = case.m("run", "--resume").exits(1)
    has(result.err, "retry", run[-8:])
    document = case.show(run)
    equal(document["status"], "failed")
    equal(statuses(document), {"first": "success", "a": "failed", "b": "init"})
    equal(task_of(document, "a")["reason"], "lost: the engine stopped while it ran")
    equal(case.children(), [], "survivors")
    case.file("go", "")
    case.m("retry", run).exits(0)
    equal(case.read("trace"), "first\na 1\na 2\nb\n")


def test_lost_retry(case):
    run = killed(case, "onLost: retry")
    survivors = case.children()
    resumed = case.start("run", "--resume")
    wait_until(lambda: "a 2" in case.read("trace"), "the second attempt")
    assert not set(survivors) & set(case.children()), "the first attempt lives beside the second"
    case.file("go", "")
    resumed.end().exits(0)
    document = case.show(run)
    equal({t["id"]: t["attempts"] for t in document["tasks"]}, {"first": 1, "a": 2, "b": 1})
    equal(case.read("trace"), "first\na 1\na 2\nb\n")
    case.m("run", "--resume").exits(0)
    equal(case.read("trace"), "first\na 1\na 2\nb\n")


def test_lost_ask(case):
    run = killed(case, "onLost: ask")
    case.m("run", "--resume").exits(8)
    equal((case.show(run)["status"], statuses(case.show(run))["a"]), ("blocked", "blocked"))
    equal(case.children(), [], "survivors")
    # Blocked runs are not gone on with, only continued.
    case.m("run", "--resume").exits(0)
    case.m("wait", run).exits(8)
    case.m("retry", run).exits(6)
    case.file("go", "")
    case.m("continue", run[-8:]).exits(0)
    equal(case.read("trace"), "first\na 1\na 2\nb\n")
    equal(case.show(run)["status"], "success")


def test_task_over_dag(case):
    """A task's onLost wins over the dag's."""
    killed(case, text="""
onLost: retry
tasks:
  - {id: a, onLost: fail, run: 'echo "a 1" >>trace; sleep 60'}
""")
    case.m("run", "--resume").exits(1)


def test_lost_three_times(case):
    """Whatever onLost says: it may be what kills the engine."""
    run = killed(case, "onLost: retry")
    for attempt in (2, 3):
        owner = case.start("run", "--resume")
        wait_until(lambda: f"a {attempt}" in case.read("trace"), f"attempt {attempt}")  # pylint: disable=cell-var-from-loop
        owner.kill()
    case.m("run", "--resume").exits(1)
    task = case.task("a", run)
    equal((task["status"], task["attempts"]), ("failed", 3))
    assert task["reason"].startswith("lost 3 times: "), task["reason"]
    # A manual retry starts the count anew.
    case.file("go", "")
    case.m("retry", run).exits(0)
    equal(case.task("a", run)["attempts"], 4)


def test_waits_go_on(case):
    """A wait is not lost: it ends when it would have ended, not a full length after the restart."""
    started = time.monotonic()
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: w, wait: 3s}, {id: x, dependOn: [w]}]\n"))
    run = owner.run_id()
    wait_until(lambda: statuses(case.show(run))["w"] == "running", "the wait")
    time.sleep(0.5)
    owner.kill()
    time.sleep(1)
    case.m("run", "--resume").exits(0)
    elapsed = time.monotonic() - started
    assert 2.9 <= elapsed < 4.5, f"{elapsed:.2f} s"
    equal(case.task("w", run)["attempts"], 1)


def test_ten_runs_of_ten_processes(case):
    """All ten are killed at once; all ten runs end, each of their finished tasks once."""
    file = case.file("dag.yaml", """
onLost: retry
tasks:
  - {id: first, run: 'echo "first $MILLRACE_RUN" >>trace'}
  - {id: a, dependOn: [first], run: 'echo "a $MILLRACE_RUN" >>begun; while [ ! -e go ]; do sleep 0.05; done'}
  - {id: b, dependOn: [a], run: 'echo "b $MILLRACE_RUN" >>trace'}
""")
    processes = [case.start("run", "-j", "10", file) for _ in range(10)]
    ids = [p.run_id() for p in processes]
    equal(len(set(ids)), 10)
    wait_until(lambda: case.read("begun").count("\n") == 10, "all of them")
    for process in processes:
        process.process.kill()
    for process in processes:
        process.process.wait()
    case.file("go", "")
    documents = case.m("run", "--resume", "-o", "jsonl").exits(0).lines()
    equal(sorted(d["id"] for d in documents), sorted(ids))
    equal({d["status"] for d in documents}, {"success"})
    equal(sorted(case.read("trace").split("\n")), sorted([""] + [f"{t} {i}" for t in ("first", "b") for i in ids]))
    equal(case.children(), [])


def test_accepted_is_durable(case):
    """The moment the id is printed, the run is in the store."""
    file = case.file("dag.yaml", "tasks: [{id: a, wait: 60s}]\n")
    ids = []
    for _ in range(10):
        owner = case.start("run", file)
        ids.append(owner.run_id())
        owner.kill()
    equal({r["id"] for r in case.m("ps", "-o", "json").exits(0).json()}, set(ids))


def test_cancel_after_a_kill(case):
    """It acts on the named run alone, whose processes are ended first."""
    one = killed(case)
    os.unlink(case.path("work/trace"))
    two = killed(case)
    case.m("cancel", one).exits(0)
    equal((case.show(one)["status"], case.show(two)["status"]), ("canceled", "running"))
    children = case.children()
    assert children, "the other run's processes are gone"
    for pid in children:
        with open(f"/proc/{pid}/environ", "rb") as file:
            has(file.read().decode(), "MILLRACE_RUN=" + two)


def test_a_missing_plugin(case):
    """A run whose action is gone stays untouched and is named; the others go on."""
    plugins = os.path.join(BUILD, "examples/plugin-greet")
    text = """
onLost: retry
tasks:
  - {id: a, run: 'echo "a $MILLRACE_ATTEMPT" >>trace; while [ ! -e go ]; do sleep 0.05; done'}
  - {id: greeting, dependOn: [a], action: greet}
"""
    owner = case.start("run", case.file("dag.yaml", text), "--plugins", plugins)
    run = owner.run_id()
    wait_until(lambda: "a " in case.read("trace"), "task a")
    owner.kill()
    other = killed(case, "onLost: retry", text=None)
    case.file("go", "")
    result = case.m("run", "--resume").exits(5)
    has(result.err, run[-8:], "greet")
    equal(case.show(other)["status"], "success")
    equal((case.show(run)["status"], case.task("a", run)["attempts"]), ("running", 1))
    case.m("run", "--resume", "--plugins", plugins).exits(0)
    equal(case.task("greeting", run)["output"], {"text": "hello world"})


def test_the_definition_may_have_changed(case):
    """A run keeps the text that it began with."""
    run = killed(case, "onLost: retry")
    case.file("dag.yaml", "tasks: [{id: other, run: exit 1}]\n")
    case.file("go", "")
    case.m("run", "--resume").exits(0)
    equal(statuses(case.show(run)), {"first": "success", "a": "success", "b": "success"})


def test_resume_with_nothing_to_do(case):
    case.m("run", "--resume").exits(0)
    equal(case.m("run", "--resume", "-o", "jsonl").exits(0).out, "")


def test_worst_exit_code(case):
    killed(case, "onLost: retry")
    os.unlink(case.path("work/trace"))
    killed(case, "onLost: fail")
    case.file("go", "")
    case.m("run", "--resume").exits(1)


def test_kill_of_a_second_resume(case):
    """A large dag, killed again and again while it goes on: every task runs, none that has finished
    runs again."""
    file = os.path.join(EXAMPLES, "fanout-1000.yaml")
    owner = case.start("run", file, "-v", "work=out")
    run = owner.run_id()
    for _ in range(4):
        time.sleep(0.5)
        owner.kill()
        before = {t["id"]: t["attempts"] for t in case.show(run)["tasks"] if t["status"] == "success"}
        owner = case.start("run", "--resume")
        wait_until(lambda: not owner.running() or sum(  # pylint: disable=cell-var-from-loop
            t["status"] == "success" for t in case.show(run)["tasks"]) > len(before), "progress")  # pylint: disable=cell-var-from-loop
        after = {t["id"]: t["attempts"] for t in case.show(run)["tasks"]}
        for task, attempts in before.items():
            equal(after[task], attempts, f"attempts of {task}, which had finished")
    owner.end(120).exits(0)
    equal(case.show(run)["status"], "success")


if __name__ == "__main__":
    main()
