#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: Ctrl-C cancels, SIGTERM and SIGHUP leave runs resumable, and no process of a task outlives
any of them. Method: a signal to an owner in the background."""
import os
import signal
import subprocess
import time

from harness import PROGRAM, equal, has, main, statuses, wait_until

DAG = """
onLost: retry
tasks:
  - {id: a, run: 'echo up >>trace; while [ ! -e go ]; do sleep 0.05; done'}
  - {id: b, dependOn: [a]}
"""
STUBBORN = "tasks: [{id: a, run: 'trap \"\" TERM INT HUP; echo up >>trace; while :; do sleep 0.2; done'}]\n"


def owner_of(case, text=DAG, *args):
    owner = case.start("run", case.file("dag.yaml", text), *args)
    run = owner.run_id()
    wait_until(lambda: "up" in case.read("trace"), "the task")
    return owner, run


def test_interrupt_cancels(case):
    owner, run = owner_of(case)
    owner.kill(signal.SIGINT)
    equal(owner.end().code, 130)
    equal(case.children(), [])
    equal((case.show(run)["status"], statuses(case.show(run))), ("canceled", {"a": "canceled", "b": "canceled"}))


def test_interrupt_with_json(case):
    """The run document is still what stands on stdout."""
    owner = case.start("run", case.file("dag.yaml", DAG), "-o", "json")
    wait_until(lambda: "up" in case.read("trace"), "the task")
    owner.kill(signal.SIGINT)
    result = owner.end()
    equal((result.code, result.json()["status"]), (130, "canceled"))


def test_second_interrupt_quits_at_once(case):
    owner, _ = owner_of(case, STUBBORN)
    owner.kill(signal.SIGINT)
    time.sleep(0.3)
    started = time.monotonic()
    owner.kill(signal.SIGINT)
    equal(owner.end().code, 130)
    assert time.monotonic() - started < 2


def test_terminate_leaves_runs_resumable(case):
    for number in (signal.SIGTERM, signal.SIGHUP):
        case.file("trace", "")
        owner, run = owner_of(case)
        owner.kill(number)
        result = owner.end()
        equal(result.code, 143)
        equal(case.children(), [])
        equal(case.show(run)["status"], "running")
        case.file("go", "")
        case.m("run", "--resume").exits(0)
        equal(case.show(run)["status"], "success")
        equal(case.task("a", run)["attempts"], 2)
        os.unlink(case.path("work/go"))


def test_terminate_ends_what_ignores_it(case):
    owner, run = owner_of(case, STUBBORN)
    started = time.monotonic()
    owner.kill(signal.SIGTERM)
    equal(owner.end().code, 143)
    assert time.monotonic() - started < 15
    equal(case.children(), [])
    # By default such an attempt is lost.
    case.m("run", "--resume").exits(1)
    has(case.task("a", run)["reason"], "lost")


def test_terminate_of_a_waiting_owner(case):
    """An owner whose own run has ended, but which stays for others, goes too; one of them takes over."""
    owner, run = owner_of(case)
    other = case.start("run", case.file("other.yaml", DAG.replace("go ", "go2 ").replace("trace", "trace2")))
    second = other.run_id()
    wait_until(lambda: "up" in case.read("trace2"), "the other task")
    case.file("go", "")
    wait_until(lambda: case.show(run)["status"] == "success", "the owner's run")
    owner.kill(signal.SIGTERM)
    equal(owner.end().code, 143)
    case.file("go2", "")
    other.end().exits(0)
    equal(case.show(second)["status"], "success")


def test_closed_pipe(case):
    """`millrace runs | head -1` is no error and no death by signal."""
    file = case.file("quick.yaml", "tasks: [{id: a}]\n")
    for _ in range(3):
        case.m("run", file).exits(0)
    done = subprocess.run(f"{PROGRAM} runs -o jsonl | head -n 1 | wc -l", shell=True, env=case.env, cwd=case.work,
                          timeout=30, check=True, capture_output=True, encoding="utf-8")
    equal((done.stdout.strip(), done.stderr), ("1", ""))


if __name__ == "__main__":
    main()
