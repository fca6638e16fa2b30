#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Goal: a lock is held by one task of the store at a time, in two terminals, across runs and after
`kill -9`; why says who waits for whom; a task that is silent for too long is ended; how far a task is
can be seen from another terminal. Method: the action with-lock, Lua and shell scripts."""
import re

from harness import equal, has, main, statuses, task_of, wait_until

# Two of these at once would write "in in out out".
EXCLUSIVE = """tasks:
  - id: work
    action: with-lock
    params: {name: db, run: 'echo "in $MILLRACE_FENCE" >> order; sleep 0.3; echo "out $MILLRACE_FENCE" >> order'}
"""
HOLDS = """tasks: [{id: hold, action: with-lock, params: {name: db, run: 'echo held > held; while [ ! -e go ]; do sleep 0.05; done'}}]
"""
WANTS = """tasks: [{id: want, action: with-lock, params: {name: db, run: 'echo $MILLRACE_FENCE'%s}}]
"""


def held(case):
    wait_until(lambda: case.read("held"), "the lock")


def test_two_terminals_exclude_each_other(case):
    case.file("dag.yaml", EXCLUSIVE)
    runs = [case.start("run", "dag.yaml") for _ in range(4)]
    for run in runs:
        run.end().exits(0)
    lines = case.read("order").split("\n")[:-1]
    equal(len(lines), 8)
    fences = [int(line.split()[1]) for line in lines[::2]]
    equal(lines, [f"{word} {fence}" for fence in fences for word in ("in", "out")], "the order")
    assert fences == sorted(set(fences)), f"fencing numbers grow: {fences}"


def test_why_names_the_lock_and_its_holder(case):
    case.file("hold.yaml", HOLDS)
    case.file("want.yaml", WANTS % "")
    first = case.start("run", "hold.yaml")
    held(case)
    second = case.start("run", "want.yaml")
    run = second.run_id()
    why = wait_until(lambda: (lambda out: out if "lock" in out else None)(case.m("why", run, "want").exits(0).out), "why")
    assert re.fullmatch(r'want waits for lock "db", held by task hold of run '
                        + first.run_id()[-8:] + r" since \d{4}-\d\d-\d\dT\S+Z\n", why), why
    link = case.m("why", run, "want", "-o", "json").exits(0).json()["waits"][0]
    since = link["lock"].pop("since")
    equal(link, {"task": "want", "status": "running", "waitsFor": "lock",
                 "lock": {"name": "db", "run": first.run_id(), "task": "hold"}})
    assert since.startswith("20"), since
    has(case.m("why", run).exits(0).out, 'waits for lock "db"')
    case.file("go", "")
    first.end().exits(0)
    second.end().exits(0)
    equal(case.m("why", run, "want").exits(0).out, "want waits for nothing: it is success\n")


def test_waiting_has_an_end(case):
    case.file("hold.yaml", HOLDS)
    case.file("want.yaml", WANTS % ", wait: 0s")
    case.file("later.yaml", WANTS % ", wait: 200ms")
    first = case.start("run", "hold.yaml")
    held(case)
    document = case.m("run", "want.yaml", "-o", "json").exits(1).json()
    equal(task_of(document, "want")["reason"], 'lock "db" is held by another task')
    document = case.m("run", "later.yaml", "-o", "json").exits(1).json()
    equal(task_of(document, "want")["reason"], 'lock "db" is held by another task, still after 200ms')
    case.file("wait.yaml", WANTS % "")
    run = case.m("run", "wait.yaml", "--detach").exits(0).run_id()
    wait_until(lambda: "lock" in case.m("why", run, "want").out, "the wait")
    case.m("cancel", run).exits(0)
    wait_until(lambda: case.show(run)["status"] == "canceled", "the end of a wait that was canceled")
    case.file("go", "")
    first.end().exits(0)


def test_params_of_with_lock(case):
    has(case.m("actions", "with-lock").exits(0).out, "name", "run", "env", "wait", "ttl", "30s")
    for params, reason in (("wait: soon", 'wait: "soon" is no duration such as 300ms, 10s, 5m, 2h or 1d'),
                           ("ttl: 0s", "ttl: a lock that is renewed needs at least 100ms"),
                           ("ttl: 2d", "a lock with options that are none: ttl_ms is at most 86400000, wait_ms at least -1"),
                           ("env: {'A=': 1}", 'env: "A=" is no name of a variable')):
        case.file("dag.yaml", WANTS % f", {params}")
        document = case.m("run", "dag.yaml", "-o", "json").exits(1).json()
        equal(task_of(document, "want")["reason"], reason)
    case.file("dag.yaml", 'tasks: [{id: a, action: with-lock, params: {name: x, run: "exit 7"}}]\n')
    equal(task_of(case.m("run", "dag.yaml", "-o", "json").exits(1).json(), "a")["reason"], "exit 7")


def test_a_lock_is_renewed_while_the_command_runs(case):
    case.file("dag.yaml", """tasks:
  - {id: long, action: with-lock, params: {name: x, ttl: 900ms, run: sleep 3; echo $MILLRACE_FENCE}}
  - {id: other, action: with-lock, params: {name: x, run: echo $MILLRACE_FENCE}}
""")
    document = case.m("run", "dag.yaml", "-o", "json").exits(0).json()
    long, other = task_of(document, "long"), task_of(document, "other")
    assert other["endedAt"] >= long["endedAt"], "not before the other had ended"


def test_killed_holder_and_resume(case):
    """The engine is killed: its locks are gone, numbers grow, nobody waits for a dead holder."""
    case.file("hold.yaml", HOLDS)
    case.file("want.yaml", WANTS % "")
    case.file("order.yaml", EXCLUSIVE)
    owner = case.start("run", "order.yaml")
    owner.end().exits(0)
    first = int(case.read("order").split()[1])
    owner = case.start("run", "hold.yaml")
    held(case)
    owner.kill()
    document = case.m("run", "--resume", "-o", "json").exits(1).json()
    has(task_of(document, "hold")["reason"], "lost")
    equal(case.children(), [])
    document = case.m("run", "want.yaml", "-o", "json").exits(0).json()
    assert int(case.m("logs", document["id"], "want").out) > first + 1, "it was not above that of the dead holder"


def test_lua(case):
    case.file("dag.yaml", """tasks:
  - id: count
    forEach: "{1, 2, 3, 4, 5, 6, 7, 8}"
    lua: |
      local fence = lock("counter")
      local n = (share.n or 0) + 1
      sleep(20)
      share.n = n
      flush()
      unlock("counter")
      return fence
""")
    document = case.m("run", "dag.yaml", "-j", "8", "-o", "json").exits(0).json()
    equal(document["share"], {"n": 8})
    equal(len(set(task_of(document, "count")["output"])), 8)


def test_heartbeat(case):
    case.file("dag.yaml", """tasks:
  - {id: silent, run: sleep 100, heartbeat: 300ms}
  - {id: lively, run: "for i in 1 2 3 4 5; do sleep 0.15; echo $i; done", heartbeat: 2s}
  - {id: script, lua: "for i = 1, 10 do sleep(50) heartbeat() end", heartbeat: 2s}
  - {id: stuck, lua: "while true do sleep(1000) end", heartbeat: 300ms}
  - {id: again, run: "[ -e again ] || { touch again; sleep 100; }", heartbeat: 300ms, retry: 1}
""")
    result = case.m("run", "dag.yaml", "-o", "json").exits(1)
    document = result.json()
    equal(statuses(document), {"silent": "failed", "lively": "success", "script": "success", "stuck": "failed",
                               "again": "success"})
    for task in ("silent", "stuck"):
        equal(task_of(document, task)["reason"], "no heartbeat for 300ms")
    equal(task_of(document, "again")["attempts"], 2)
    assert result.seconds < 20, result


PROGRESS = """tasks:
  - id: steps
    lua: |
      for i = 1, 1000 do
        progress(i / 2000, "step " .. i)
      end
      while not canceled() do sleep(20) end
"""


def test_progress_is_seen_by_a_second_terminal(case):
    case.file("dag.yaml", PROGRESS)
    owner = case.start("run", "dag.yaml", "--progress", "plain")
    run = owner.run_id()
    task = wait_until(lambda: (lambda t: t if t.get("progress", {}).get("fraction") == 0.5 else None)(case.task("steps", run)),
                      "the progress")
    equal(task["progress"], {"fraction": 0.5, "note": "step 1000"})
    has(case.m("show", run).exits(0).out, "50 % step 1000\n")
    watch = case.start("watch", run, "--progress", "plain")
    wait_until(lambda: "50 % step 1000" in watch.err(), "the second terminal's line")
    has(owner.err(), "running   steps  ", " % step ")
    case.m("cancel", run).exits(0)
    owner.end().exits(1)
    watch.end().exits(1)
    assert "progress" not in case.task("steps", run), "it is not kept with the run"


def test_progress_comes_a_few_times_a_second(case):
    """A step of a loop is cheap, and the stream of a watcher does not grow with it."""
    case.file("dag.yaml", """tasks:
  - {id: begin, wait: 1s}
  - id: steps
    dependOn: begin
    lua: |
      local from = now()
      local n = 0
      while now() < from + 1500 do n = n + 1 progress(n % 100 / 100) end
      return n
""")
    owner = case.start("run", "dag.yaml")
    watch = case.m("watch", owner.run_id(), "-o", "jsonl").exits(0)
    told = [line["progress"] for line in watch.lines() if "progress" in line]
    assert 2 <= len(told) <= 9, f"{len(told)} in 1.5 s"
    equal(set(told[0]), {"task", "attempt", "fraction", "note"})
    steps = case.task("steps", owner.run_id())["output"]
    assert steps > 1000, f"{steps} steps"
    owner.end().exits(0)


if __name__ == "__main__":
    main()
