#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: retry, cancel, timeouts, limits, keys and the order of tasks do what contract.md says.
Method: small dags whose commands leave a trace in the working folder."""
import os
import signal
import time

from harness import equal, has, main, statuses, task_of, wait_until


def run(case, text, *args, code=0, **more):
    return case.m("run", case.file("dag.yaml", text), "-o", "json", *args, **more).exits(code).json()


def test_order(case):
    """Parents end before their children begin; independent tasks run side by side."""
    text = "tasks:\n"
    for name, parents in (("a", ""), ("b", "a"), ("c", "a"), ("d", "b, c")):
        text += f"  - {{id: {name}, dependOn: [{parents}], run: 'echo +$MILLRACE_TASK >>order; sleep 0.3; echo -$MILLRACE_TASK >>order'}}\n"
    run(case, text)
    lines = case.read("order").split()
    equal((lines[:2], lines[-2:]), (["+a", "-a"], ["+d", "-d"]))
    equal((sorted(lines[2:4]), sorted(lines[4:6])), (["+b", "+c"], ["-b", "-c"]), "b and c side by side")


def test_a_failure_stops_only_what_depends_on_it(case):
    document = run(case, """
tasks:
  - {id: bad, run: exit 3}
  - {id: child, dependOn: [bad], run: echo}
  - {id: grandchild, dependOn: [child, other], run: echo}
  - {id: other, run: sleep 0.3}
  - {id: after, dependOn: [other], run: 'true'}
""", code=1)
    equal(document["status"], "failed")
    equal(statuses(document), {"bad": "failed", "child": "init", "grandchild": "init", "other": "success", "after": "success"})


def test_reasons(case):
    document = run(case, """
tasks:
  - {id: code, run: exit 200}
  - {id: strict, run: 'false; echo not reached'}
  - {id: signal, run: 'kill -9 $$'}
  - {id: term, run: 'kill $$'}
  - {id: slow, timeout: 300ms, run: sleep 30}
  - {id: json, output: json, run: "echo '{} {}'"}
  - {id: unknown, run: no-such-command-here}
""", code=1)
    reasons = {t["id"]: t["reason"] for t in document["tasks"]}
    equal({k: reasons[k] for k in ("code", "strict", "signal", "term", "slow", "unknown")},
          {"code": "exit 200", "strict": "exit 1", "signal": "killed by SIGKILL", "term": "killed by SIGTERM",
           "slow": "timed out after 300ms", "unknown": "exit 127"})
    has(reasons["json"], "JSON")
    equal(set(statuses(document).values()), {"failed"})


def test_a_timeout_ends_the_whole_group(case):
    """Children of the command too, and those that ignore SIGTERM."""
    document = run(case, """
tasks:
  - {id: slow, timeout: 500ms, run: 'trap "" TERM; (trap "" TERM; sleep 60) & sleep 60 & wait; sleep 60'}
""", code=1)
    equal(document["tasks"][0]["reason"], "timed out after 500ms")
    wait_until(lambda: not case.children(), "the end of its processes", 10)


def test_what_a_command_leaves_behind_is_ended(case):
    run(case, "tasks: [{id: a, run: 'sleep 60 >/dev/null 2>&1 & echo left'}]\n")
    wait_until(lambda: not case.children(), "the end of its processes", 10)


def test_timeout_of_a_run(case):
    started = time.monotonic()
    document = run(case, "timeout: 500ms\ntasks: [{id: a, run: sleep 60}, {id: b, dependOn: [a]}]\n", code=1)
    assert time.monotonic() - started < 20
    has(document["reason"], "timed out after 500ms")
    assert statuses(document)["a"] in ("failed", "canceled"), document
    wait_until(lambda: not case.children(), "the end of its processes", 10)


def test_timeout_of_the_command_line(case):
    """The only owner goes, so the run is canceled."""
    result = case.m("run", case.file("dag.yaml", "tasks: [{id: a, run: sleep 60}]\n"), "--timeout", "500ms").exits(124)
    equal(case.show(result.out.strip())["status"], "canceled")
    equal(case.children(), [])


def most_at_once(case):
    """From the lines + and - of all tasks in their order."""
    most = now = 0
    for mark in case.read("marks").split():
        now += 1 if mark == "+" else -1
        most = max(most, now)
    equal(now, 0)
    return most


MARKS = "tasks:\n" + "".join(
    f"  - {{id: t{i}, run: 'echo + >>marks; sleep 0.2; echo - >>marks'}}\n" for i in range(8))


def test_max_parallel(case):
    run(case, "maxParallel: 3\n" + MARKS)
    equal(most_at_once(case), 3)


def test_jobs(case):
    run(case, MARKS, "-j", "2")
    equal(most_at_once(case), 2)
    os.unlink(case.path("work/marks"))
    run(case, MARKS, "--jobs", "1")
    equal(most_at_once(case), 1)


def test_waits_hold_no_job(case):
    text = "tasks:\n" + "".join(f"  - {{id: w{i}, wait: 500ms}}\n" for i in range(200)) + "  - {id: s, run: 'true'}\n"
    started = time.monotonic()
    run(case, text, "-j", "1")
    assert time.monotonic() - started < 5


def test_max_parallel_counts_waits(case):
    started = time.monotonic()
    run(case, "maxParallel: 1\ntasks: [{id: a, wait: 400ms}, {id: b, wait: 400ms}, {id: c, wait: 400ms}]\n")
    assert time.monotonic() - started > 1.1


def test_retry(case):
    """Only what failed is done again; attempts are counted; the same key for each of them."""
    text = """
tasks:
  - {id: good, run: 'echo good >>done'}
  - {id: bad, run: 'echo "$MILLRACE_ATTEMPT $MILLRACE_IDEMPOTENCY_KEY" >>keys; test -e repaired'}
  - {id: child, dependOn: [good, bad], run: 'true'}
"""
    document = run(case, text, code=1)
    equal(case.m("retry").exits(1).code, 1)
    case.file("repaired", "")
    again = case.m("retry", document["id"][-8:], "-o", "json").exits(0).json()
    equal(again["id"], document["id"])
    equal({t["id"]: t["attempts"] for t in again["tasks"]}, {"good": 1, "bad": 3, "child": 1})
    equal(case.read("done"), "good\n")
    lines = [line.split() for line in case.read("keys").splitlines()]
    equal([line[0] for line in lines], ["1", "2", "3"])
    equal(len({line[1] for line in lines}), 1, "idempotency keys")


def test_commands_in_the_wrong_state(case):
    """Nothing is changed, and the message says the state."""
    done = run(case, "tasks: [{id: a}]\n")
    for verb in ("retry", "cancel", "continue"):
        case.m(verb).exits(6).says("success")
    equal(case.show(), done)
    run(case, "tasks: [{id: a, run: exit 1}]\n", code=1)
    for verb in ("cancel", "continue"):
        case.m(verb).exits(6).says("failed")
    case.start("run", case.file("slow.yaml", "tasks: [{id: a, run: sleep 30}]\n")).run_id()
    for verb in ("retry", "continue"):
        case.m(verb).exits(6).says("running")


def test_a_canceled_run_may_be_retried(case):
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: 'test -e go || sleep 30'}, {id: b, dependOn: [a]}]\n"))
    owner.run_id()
    wait_until(case.children, "the task")
    case.m("cancel").exits(0)
    owner.end().exits(1)
    equal(statuses(case.show()), {"a": "canceled", "b": "canceled"})
    case.file("go", "")
    case.m("retry").exits(0)
    equal(statuses(case.show()), {"a": "success", "b": "success"})


def test_cancel_wins_over_failed(case):
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: exit 1}, {id: b, run: sleep 30}]\n"))
    owner.run_id()
    wait_until(lambda: statuses(case.show())["a"] == "failed", "the failure")
    case.m("cancel").exits(0)
    equal(owner.end().exits(1).code, 1)
    equal((case.show()["status"], statuses(case.show())), ("canceled", {"a": "failed", "b": "canceled"}))


def test_cancel_ends_what_ignores_it(case):
    """SIGTERM first, SIGKILL after a grace."""
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: 'trap \"\" TERM; echo up; while :; do sleep 1; done'}]\n"))
    owner.run_id()
    wait_until(lambda: "up" in case.m("logs", "-", "a").out, "the task")
    started = time.monotonic()
    case.m("cancel").exits(0)
    owner.end().exits(1)
    assert time.monotonic() - started < 15
    equal(case.children(), [])


def test_cancel_lets_clean_up(case):
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: 'trap \"echo cleaned >mark; exit 0\" TERM; echo up; while :; do sleep 0.05; done'}]\n"))
    owner.run_id()
    wait_until(lambda: "up" in case.m("logs", "-", "a").out, "the task")
    case.m("cancel").exits(0)
    owner.end().exits(1)
    equal(case.read("mark"), "cleaned\n")


def test_retry_shows_what_is_new(case):
    """What earlier attempts printed was seen before: a retry shows the output of its own alone."""
    file = case.file("dag.yaml", """
tasks:
  - {id: first, run: echo from-first}
  - {id: second, dependOn: [first], run: 'echo "attempt-$MILLRACE_ATTEMPT"; sleep 0.3; test -e repaired'}
""")
    has(case.m("run", file).exits(1).err, "first| from-first", "second| attempt-1")
    case.file("repaired", "")
    err = case.m("retry").exits(0).err
    has(err, "second| attempt-2")
    assert "from-first" not in err and "attempt-1" not in err, err
    has(case.m("logs").exits(0).out, "from-first", "attempt-1", "attempt-2")


def test_key(case):
    """A second run with the same key is a conflict that names the first, also when that has ended."""
    file = case.file("dag.yaml", "tasks: [{id: a, run: 'echo x >>count'}]\n")
    first = case.m("run", file, "--key", "order-7").exits(0).run_id()
    equal(case.m("run", file, "--key", "order-7").exits(6).says(first).out, "")
    has(case.m("run", file, "--key", "order-7", "-o", "json").exits(6).json()["errors"][0]["message"], first)
    case.m("run", file, "--key", "order-8").exits(0)
    equal(case.read("count"), "x\nx\n")


def test_key_race(case):
    """Of ten at once one runs."""
    file = case.file("dag.yaml", "tasks: [{id: a, run: 'echo x >>count; sleep 1'}]\n")
    results = [p.end() for p in [case.start("run", file, "--key", "k") for _ in range(10)]]
    equal(sorted(r.code for r in results), [0] + [6] * 9)
    equal(case.read("count"), "x\n")


def test_many_runs_at_once(case):
    """Ten processes on a store that does not exist yet: one makes and owns it, none fails."""
    file = case.file("dag.yaml", "tasks: [{id: a, run: 'echo $MILLRACE_RUN >>runs; sleep 0.2'}, {id: b, dependOn: [a]}]\n")
    ids = [p.end().exits(0).run_id() for p in [case.start("run", file) for _ in range(10)]]
    equal(sorted(case.read("runs").split()), sorted(ids))
    equal(len(case.m("runs", "-o", "json").exits(0).json()), 10)


def test_wait_action(case):
    started = time.monotonic()
    document = run(case, "tasks: [{id: a, wait: 700ms}, {id: b, action: ff-waiting, params: {waitingTime: 700ms}}]\n")
    assert 0.7 <= time.monotonic() - started < 5
    equal(set(statuses(document).values()), {"success"})


def test_stopped_by_signal_from_outside(case):
    """Someone kills a task's process: that is the task's failure and nobody else's."""
    owner = case.start("run", case.file("dag.yaml", "tasks: [{id: a, run: 'exec sleep 60'}, {id: b, run: sleep 1}]\n"))
    owner.run_id()
    target = wait_until(
        lambda: [p for p in case.children() if open(f"/proc/{p}/cmdline", "rb").read() == b"sleep\x0060\0"], "the process")
    os.kill(target[0], signal.SIGKILL)
    owner.end().exits(1)
    equal(statuses(case.show()), {"a": "failed", "b": "success"})
    equal(case.task("a")["reason"], "killed by SIGKILL")


def test_a_wide_and_a_long_dag(case):
    wide = "tasks:\n" + "".join(f"  - {{id: t{i}}}\n" for i in range(5000))
    long = "tasks:\n  - {id: t0}\n" + "".join(f"  - {{id: t{i}, dependOn: [t{i - 1}]}}\n" for i in range(1, 3000))
    for text in (wide, long):
        document = run(case, text)
        equal({t["status"] for t in document["tasks"]}, {"success"})
        equal(len(task_of(document, "t1")["dependOn"]) <= 1, True)


if __name__ == "__main__":
    main()
