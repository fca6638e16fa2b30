#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: a paused run begins nothing, whatever comes due meanwhile, and loses nothing of it; only
unpause goes on with it. Method: pauses in each state, checked by what the commands have written."""
import os
import time

from harness import BUILD, equal, has, main, statuses, task_of, wait_until

PLUGINS = os.path.join(BUILD, "tests/e2e/native")
HOLD = "until test -e go; do sleep 0.05; done"


def owner_of(case, text, *args):
    case.file("dag.yaml", text)
    process = case.start("run", "dag.yaml", *args)
    return process, process.run_id()


def marks(case):
    return case.read("marks").split()


def test_a_retry_that_comes_due(case):
    """It is due when the run goes on, and does not begin before."""
    process, run = owner_of(case, "tasks: [{id: a, retry: {max: 1, delay: 500ms}, run: 'echo $MILLRACE_ATTEMPT >>marks; test $MILLRACE_ATTEMPT = 2'}]\n")
    wait_until(lambda: statuses(case.show(run))["a"] == "retrying", "the wait")
    case.m("pause", run).exits(0)
    time.sleep(1.2)
    equal((marks(case), case.show(run)["status"]), (["1"], "paused"))
    case.m("unpause", run).exits(0)
    process.end().exits(0)
    equal(marks(case), ["1", "2"])


def test_a_fan_out(case):
    """Children that have begun end; the next ones wait."""
    process, run = owner_of(case, f"tasks: [{{id: a, forEach: '{{1, 2, 3, 4}}', maxParallel: 2, run: 'echo $MILLRACE_TASK >>marks; {HOLD}'}}]\n")
    wait_until(lambda: len(marks(case)) == 2, "two children")
    case.m("pause", run).exits(0)
    case.file("go", "")
    wait_until(lambda: statuses(case.show(run))["a[1]"] == "success", "their end")
    time.sleep(0.3)
    equal((sorted(marks(case)), statuses(case.show(run))["a"]), (["a[0]", "a[1]"], "running"))
    case.m("unpause", run).exits(0)
    process.end().exits(0)
    equal(sorted(marks(case)), ["a[0]", "a[1]", "a[2]", "a[3]"])


def test_a_timer_and_a_failure(case):
    """A wait ends by itself; what comes after it, also of a failure, waits."""
    process, run = owner_of(case, f"""
tasks:
  - {{id: w, wait: 600ms}}
  - {{id: b, dependOn: [w], run: echo b >>marks}}
  - {{id: bad, run: '{HOLD}; exit 1'}}
  - {{id: f, dependOn: [bad], when: failed, run: echo f >>marks}}
hooks: {{onFailure: {{lua: "trace('over')"}}}}
""")
    wait_until(case.children, "the task")
    case.m("pause", run).exits(0)
    case.file("go", "")
    wait_until(lambda: (statuses(case.show(run))["w"], statuses(case.show(run))["bad"]) == ("success", "failed"), "both to end")
    time.sleep(0.3)
    equal((marks(case), case.show(run)["status"]), ([], "paused"))
    case.m("unpause", run).exits(1)
    process.end().exits(1)
    equal(sorted(marks(case)), ["b", "f"])


def test_pause_before_run_before_is_through(case):
    """A phase that was called goes on; its task is then begun, or waits: it ran once in any case."""
    case.file("dag.yaml", "tasks: [{id: a, action: phases, params: {stay: run_before}}, {id: b, dependOn: [a], action: phases}]\n")
    process = case.start("run", "dag.yaml", "--plugins", PLUGINS)
    run = process.run_id()
    wait_until(lambda: "run_before" in case.read("calls"), "run_before")
    case.m("pause", run).exits(0)
    case.file("go", "")
    time.sleep(0.5)
    equal((case.show(run)["status"], statuses(case.show(run))["b"]), ("paused", "init"))
    case.m("unpause", run).exits(0)
    process.end().exits(0)
    phases = [line.split()[0] for line in case.read("calls").splitlines()]
    equal((phases.count("run"), phases.count("run_after"), phases[-1]), (2, 2, "run_after"))
    equal(set(statuses(case.show(run)).values()), {"success"})


def test_what_was_begun_is_lost_with_the_owner(case):
    """After kill -9 a paused run is left alone by run --resume and run; unpause decides about the lost attempt."""
    process, run = owner_of(case, f"onLost: retry\ntasks: [{{id: a, run: 'echo a >>marks; {HOLD}'}}, {{id: b, dependOn: [a], run: echo b >>marks}}]\n")
    wait_until(lambda: marks(case), "the task")
    case.m("pause", run).exits(0)
    process.kill()
    case.m("run", "--resume").exits(0)
    case.file("other.yaml", "tasks: [{id: x}]\n")
    case.m("run", "other.yaml").exits(0)
    equal((case.show(run)["status"], marks(case)), ("paused", ["a"]))
    has(case.m("ps").exits(0).out, run[-8:], "paused")
    case.file("go", "")
    case.m("unpause", run).exits(0)
    equal((case.show(run)["status"], marks(case)), ("success", ["a", "a", "b"]))
    equal(task_of(case.show(run), "a")["attempts"], 2)


def test_commands_for_a_paused_run(case):
    """wait and watch say how to go on; cancel ends it; retry and continue do not unpause it."""
    process, run = owner_of(case, f"tasks: [{{id: a, run: '{HOLD}'}}, {{id: b, dependOn: [a]}}, {{id: c, blockIf: 'true'}}, {{id: d, run: exit 1}}]\n")
    wait_until(lambda: statuses(case.show(run))["d"] == "failed", "the failure")
    case.m("pause", run).exits(0)
    case.m("pause", run).exits(6).says("paused")
    case.m("wait", run, "--timeout", "300ms").exits(124)
    case.m("cancel", run).exits(0)
    process.end().exits(1)
    equal((case.show(run)["status"], statuses(case.show(run))),
          ("canceled", {"a": "canceled", "b": "canceled", "c": "canceled", "d": "failed"}))
    for verb in ("pause", "unpause"):
        case.m(verb, run).exits(6).says("canceled")
        case.m(verb, "ffff0000").exits(5)


def test_a_word_that_names_no_run_paused_the_latest(case):
    process, run = owner_of(case, f"tasks: [{{id: a, run: '{HOLD}'}}]\n")
    case.m("pause", "a").exits(5).says("a")
    case.m("pause", "ffff0000").exits(5).says("ffff0000")
    equal(case.show(run)["status"], "running")
    case.m("pause", run).exits(0)
    case.m("unpause", "ffff0000").exits(5)
    equal(case.show(run)["status"], "paused")
    case.m("cancel", run).exits(0)
    process.end().exits(1)


def test_exit_codes_of_unpause(case):
    for text, code, status in (("run: 'true'", 0, "success"), ("run: exit 3", 1, "failed"), ("blockIf: 'true'", 8, "blocked")):
        case.file("dag.yaml", f"tasks: [{{id: hold, run: '{HOLD}'}}, {{id: a, dependOn: [hold], {text}}}]\n")
        process = case.start("run", "dag.yaml")
        run = process.run_id()
        wait_until(case.children, "the task")
        case.m("pause", run).exits(0)
        process.kill()
        case.file("go", "")
        case.m("unpause", run).exits(1)  # `hold` was lost
        equal(case.m("retry", run, "hold", "-o", "json").exits(code).json()["status"], status)
        os.unlink(os.path.join(case.work, "go"))


if __name__ == "__main__":
    main()
